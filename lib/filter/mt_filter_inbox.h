/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other threads tell a worker of exchanges that wait for them: a bounded ring, many producers and the worker. A
 * producer never waits for the worker, but for the one before it in the ring. A worker never waits for a producer: what
 * its own filters tell it, inside one of their calls, goes to a list that is the worker's alone. Tickets name the inbox by number, so that a
 * late one finds out that it is gone.
 */
#pragma once

#include "mt_filter.h"

/* How an exchange goes on; the worker's own form of struct mt_filter_completion. */
struct mt_filter_resume {
	struct mt_filter_ticket ticket;
	enum mt_filter_verdict verdict; /* MT_FILTER_NEXT or MT_FILTER_REPLY */
	enum mt_local_reply reply;	/* MT_FILTER_REPLY, with `text` */
	const char *text;
	const struct mt_mutation *changes;
	uint32_t n_changes;
};

#define MT_FILTER_INBOX_SIZE 1024 /* of the ring one less, of the worker's own all */
#define MT_FILTER_INBOXES    256  /* at once, in the process */

struct mt_filter_inbox {
	uint32_t rung;	 /* any thread: w 1; worker: w 0; something may be in the ring */
	uint32_t asleep; /* worker: w, any thread: r; who rings has to write to wake_fd */
	int wake_fd;	 /* -1: the worker looks by itself often enough */
	uint32_t index, serial;
	uint64_t full; /* any thread: completions that found no room */
	struct rte_ring *ring;
	/* Worker: what its own filters have told, a circle of MT_FILTER_INBOX_SIZE. */
	struct letter *own;
	uint32_t own_first, n_own;
};

/* Boot. NULL: no memory, or MT_FILTER_INBOXES are there. */
struct mt_filter_inbox *mt_filter_inbox_new(void);
/* Any thread, when the worker begins to stop: complete() answers -ESHUTDOWN from here on. As often as wanted; NULL is allowed. */
void mt_filter_inbox_close(struct mt_filter_inbox *in);
/* When the worker has ended: closed, and what waits is dropped. NULL is allowed. */
void mt_filter_inbox_free(struct mt_filter_inbox *in);

/* Names the inbox to threads that have something for its worker elsewhere. */
uint64_t mt_filter_inbox_who(const struct mt_filter_inbox *in);
/* Any thread: its worker looks, and is woken if it sleeps. An inbox that is gone is passed over. */
void mt_filter_inbox_ring(uint64_t who);

/* Any thread: struct mt_filter_host's complete(). */
int mt_filter_complete(const struct mt_filter_ticket *t, const struct mt_filter_completion *how);

/*
 * Worker: a filter's function begins (its inbox) or is over (NULL); what is told this inbox by this thread meanwhile is the
 * worker's own.
 */
void mt_filter_inbox_calls(struct mt_filter_inbox *in);

/* Worker: whether there may be something to take. */
static inline bool mt_filter_inbox_rung(const struct mt_filter_inbox *in)
{
	return __atomic_load_n(&in->rung, __ATOMIC_ACQUIRE);
}

/*
 * Worker: hands at most `budget` completions to resume(), and counts those that found no room. Of the worker's own it
 * takes half of them at most, so that the others' come, too. What `r` points to is gone
 * when resume() returns. How many there were.
 */
uint32_t mt_filter_inbox_take(struct mt_filter_inbox *in, struct mt_filter_worker *fw,
	uint32_t budget, void (*resume)(void *arg, const struct mt_filter_resume *r), void *arg);

/* Worker, before it sleeps on wake_fd among others: false: not now, there is something to take. And when it is up again. */
bool mt_filter_inbox_sleep(struct mt_filter_inbox *in);
void mt_filter_inbox_awake(struct mt_filter_inbox *in);
