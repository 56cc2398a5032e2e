/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completions from other threads for exchanges that wait on a worker: a bounded ring (1,023
 * elements) with many producers, and the worker as its consumer. A producer never waits for the
 * worker, but may wait for the producer before it. A worker never waits for a producer: completions
 * by its own filters, inside one of their calls, go to a list of 1,024 that only the worker uses. A
 * worker takes at most 256 per loop iteration, half of them from its own list. While it polls it
 * finds them within 150 us. If it sleeps, the producer wakes it through a descriptor.
 *
 * Tickets are untrusted: one with an unknown place or generation counts as late. They contain the
 * number of the inbox. From the first iteration of a worker's stop on (mt_filter_inbox_close()) the
 * inbox answers -ESHUTDOWN; it is freed with the worker.
 */
#pragma once

#include "mt_filter.h"

/* How an exchange continues: struct mt_filter_completion as the worker uses it. */
struct mt_filter_resume {
	struct mt_filter_ticket ticket;
	enum mt_filter_verdict verdict; /* MT_FILTER_NEXT or MT_FILTER_REPLY */
	enum mt_local_reply reply;	/* MT_FILTER_REPLY, with `text` */
	enum mt_ending ending;		/* more exact than `reply`; MT_ENDING_ok: that of `reply` */
	const char *text;
	const struct mt_mutation *changes;
	uint32_t n_changes;
	/* MT_FILTER_NEXT: sets metadata of the server's reply. */
	const struct mt_mutation *reply_changes;
	uint32_t n_reply_changes;
	uint32_t rule; /* for on_refused() of the filter */
};

/* places of the ring, one of which stays free, and of the worker's own list */
#define MT_FILTER_INBOX_SIZE 1024
#define MT_FILTER_INBOXES    256 /* at the same time in the process */

struct mt_filter_inbox {
	/* any thread sets it, the worker clears it: something may be in the ring */
	uint32_t rung;
	uint32_t asleep; /* worker: w, any thread: r; if set, a producer has to write to wake_fd */
	int wake_fd;	 /* -1: the worker polls often enough */
	uint32_t index, serial;
	uint64_t full; /* any thread: completions refused because there was no place for them */
	struct rte_ring *ring;
	/* Worker: completions by its own filters, a ring of MT_FILTER_INBOX_SIZE. */
	struct letter *own;
	uint32_t own_first, n_own;
};

/* Boot only. NULL: no memory, or there are MT_FILTER_INBOXES already. */
struct mt_filter_inbox *mt_filter_inbox_new(void);
/*
 * Any thread, when the worker begins to stop: complete() returns -ESHUTDOWN from now on. May be
 * called repeatedly; NULL is allowed.
 */
void mt_filter_inbox_close(struct mt_filter_inbox *in);
/* Call after the worker has ended: closes the inbox and drops what is in it. NULL is allowed. */
void mt_filter_inbox_free(struct mt_filter_inbox *in);

/* Identifies the inbox for threads that have something for its worker in other queues. */
uint64_t mt_filter_inbox_who(const struct mt_filter_inbox *in);
/*
 * Any thread: makes the worker check its queues, and wakes it if it sleeps. Ignores an inbox that
 * is gone.
 */
void mt_filter_inbox_ring(uint64_t who);

/* Any thread: struct mt_filter_host's complete(). */
int mt_filter_complete(const struct mt_filter_ticket *t, const struct mt_filter_completion *how);

/*
 * Worker: call when a filter's function begins (with the inbox) and when it has returned (NULL).
 * Completions that this thread makes in between go to the worker's own list.
 */
void mt_filter_inbox_calls(struct mt_filter_inbox *in);

/* Worker: true if there may be something to take. */
static inline bool mt_filter_inbox_rung(const struct mt_filter_inbox *in)
{
	return __atomic_load_n(&in->rung, __ATOMIC_ACQUIRE);
}

/*
 * Worker: passes at most `budget` completions to resume(), and counts those that were refused for
 * want of a place. At most half of them come from the worker's own list, so that those of other
 * threads are not delayed. `r` and what it points to are valid until resume() returns, which
 * returns false if the next one is to stay for another call. Returns the number of completions.
 */
uint32_t mt_filter_inbox_take(struct mt_filter_inbox *in, struct mt_filter_worker *fw,
	uint32_t budget, bool (*resume)(void *arg, const struct mt_filter_resume *r), void *arg);

/*
 * Worker: call before it sleeps on wake_fd and other descriptors; false: there is something to
 * take, so it must not sleep. mt_filter_inbox_awake(): call after it has woken up.
 */
bool mt_filter_inbox_sleep(struct mt_filter_inbox *in);
void mt_filter_inbox_awake(struct mt_filter_inbox *in);
