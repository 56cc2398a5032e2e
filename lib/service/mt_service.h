/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service thread: what may wait (a disk, above all) is done there, one task after the other, so that the control thread
 * never does. The control thread hands a task over, and hears of its end in its own loop. All functions but `run` are called
 * on the control thread.
 */
#pragma once

#include "mt_base.h"
#include "mt_log.h"

#include <sys/types.h>

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
/* Everything that was taken over is done first, as mt_service_drain() has it. NULL is allowed. */
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
/*
 * Waits until all are run, and calls their done(): for the end of who owns tasks. NULL is allowed. A disk that does not
 * answer for MT_SERVICE_PATIENCE is given up, for good: tasks that wait are never run, done() of none is called any
 * more, and what the task that hangs works on must outlive the process, so it belongs to the task alone.
 */
void mt_service_drain(struct mt_service *s);
#define MT_SERVICE_PATIENCE (10 * MT_SEC)
/* Another patience, ns. */
void mt_service_patience(struct mt_service *s, uint64_t ns);

/* ---- files ----------------------------------------------------------------------------------------- */

/* On the control thread; e: the reason, when rc is not 0. */
typedef void mt_replaced_fn(void *arg, int rc, const struct mt_err *e);

/*
 * mt_file_replace() as a task, the directory made first if it is not there. The text, from malloc(), is taken over (NULL: no
 * memory), and wiped where the mode lets only its owner read it. `fn` is called once, before this returns where s is NULL or
 * takes no more (-EAGAIN).
 */
void mt_service_replace(struct mt_service *s, const char *path, char *text, size_t len, mode_t mode,
	mt_replaced_fn *fn, void *arg);
