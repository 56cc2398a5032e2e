/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service thread: what may wait (a disk, above all) is done there, one task after the other, so that the control thread
 * never does. The control thread hands a task over, and hears of its end in its own loop. All functions but `run` are called
 * on the control thread.
 */
#pragma once

#include "mt_base.h"
#include "mt_log.h"

/* More than these are not taken over: who hands over that much faster than the disk is has to wait. */
#define MT_SERVICE_TASKS 64

/* The first member of what the task works on, which nobody else touches until `done`. */
struct mt_task {
	/* On the service thread. What it returns goes to done(). */
	int (*run)(struct mt_task *t);
	/* On the control thread; the task is its owner's again. */
	void (*done)(struct mt_task *t, int rc);
	struct mt_task *next; /* lib/service's */
	int rc;
};

struct mt_service;

/* `name`: the thread's, at most 15 bytes. NULL with the reason in e. */
struct mt_service *mt_service_new(const char *name, struct mt_err *e);
/* Everything that was taken over is done first. NULL is allowed. */
void mt_service_free(struct mt_service *s);

/*
 * Takes the task over. s NULL: it is run and done at once, as before there is a loop, or where there is none. 0, or -EAGAIN:
 * too many wait.
 */
int mt_service_submit(struct mt_service *s, struct mt_task *t);

/* Readable when mt_service_turn() has something to do. */
int mt_service_fd(const struct mt_service *s);
/* Calls done() of all that have been run. */
void mt_service_turn(struct mt_service *s);
/* Waits until all are run, and calls their done(): for the end of who owns tasks. NULL is allowed. */
void mt_service_drain(struct mt_service *s);
