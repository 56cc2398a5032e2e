/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/service: a thread for work that may block, above all writes and syncs of files, so that the
 * control thread never blocks. It runs tasks in the order in which they were submitted, so an older
 * version of a file never overwrites a newer one. The control thread submits a task, and its loop
 * is notified of the end by a descriptor. All functions except `run` are called on the control
 * thread.
 *
 * Invariants:
 * - Between submit and done() only run() accesses the task, and run() accesses only data of its
 *   own.
 * - An owner that gets -EAGAIN keeps the data and tries again later.
 * - An owner drains before it ends (mt_service_drain()), so no task outlives its owner.
 * - Without a service (NULL: --check, tests on virtual time) run() and done() are called at once,
 *   so there is only one way to write.
 *
 * Users: all files that are written while the event loop runs. Two kinds of changes take effect
 * only after they are on the disk: a snapshot with new addresses is published when they are written
 * (app/meltemid/publish.c), and a kept override takes effect when it is written (override.c), after
 * which the shell is answered. All other changes take effect at once, and a crash loses what was
 * not yet written: the last second of served.json, or the renewal of a certificate.
 * tests/smoke/disk_is_slow shows what waits for a disk that does not respond.
 */
#pragma once

#include "mt_base.h"
#include "mt_log.h"

#include <sys/types.h>

/* Queue length; mt_service_submit() returns -EAGAIN when it is full. */
#define MT_SERVICE_TASKS 64

/* A task; first member of the data that it works on, which no other code may use until done(). */
struct mt_task {
	/* Called on the service thread; its result is passed to done(). */
	int (*run)(struct mt_task *t);
	/* Called on the control thread; the caller owns the task again. */
	void (*done)(struct mt_task *t, int rc);
	struct mt_task *next; /* for lib/service only */
	int rc;
	size_t state_bytes; /* length of the write to the state directory that it is; 0: none */
};

struct mt_service;

/* Starts a service thread. `name`: of the thread, at most 15 bytes. NULL with the reason in e. */
struct mt_service *mt_service_new(const char *name, struct mt_err *e);
/* Ends the thread after mt_service_drain(). NULL is allowed. */
void mt_service_free(struct mt_service *s);

/*
 * Queues a task; the service thread owns it until done() is called. s NULL: calls run() and done()
 * at once, for use before there is a loop or without one. Returns 0, or -EAGAIN if MT_SERVICE_TASKS
 * are outstanding or the thread was given up.
 */
int mt_service_submit(struct mt_service *s, struct mt_task *t);

/*
 * Returns the error (-errno) of the last write to the state directory that has failed since the
 * last call, and its length in `bytes`; 0: none has failed. NULL is allowed.
 */
int mt_service_failed(struct mt_service *s, size_t *bytes);

/* File descriptor that is readable when mt_service_turn() has work. */
int mt_service_fd(const struct mt_service *s);
/* Calls done() of all tasks that have been run. */
void mt_service_turn(struct mt_service *s);
/*
 * Waits until all tasks are run, and calls their done(); for use before their owner ends. NULL is
 * allowed.
 *
 * If the tasks do not end within MT_SERVICE_PATIENCE, the thread is given up for good: queued tasks
 * are never run, and no done() is called any more. The data of the task that hangs must then live
 * as long as the process, so they must belong to the task alone.
 */
void mt_service_drain(struct mt_service *s);
#define MT_SERVICE_PATIENCE (10 * MT_SEC)
/* Sets another limit than MT_SERVICE_PATIENCE, ns. */
void mt_service_patience(struct mt_service *s, uint64_t ns);

/* ---- files ----------------------------------------------------------------------------------- */

/* Called on the control thread; e has the reason if rc is not 0. */
typedef void mt_replaced_fn(void *arg, int rc, const struct mt_err *e);

/*
 * Runs mt_file_replace() as a task, and creates the directory first if it does not exist. Takes
 * over `text`, which is from malloc() (NULL: no memory), and wipes it if `mode` lets only the owner
 * of the file read it. Calls `fn` once; before it returns if s is NULL, memory is short, or the
 * queue is full (-EAGAIN).
 */
void mt_service_replace(struct mt_service *s, const char *path, char *text, size_t len, mode_t mode,
	mt_replaced_fn *fn, void *arg);
