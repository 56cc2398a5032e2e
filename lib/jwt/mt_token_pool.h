/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that verifies tokens for the workers. Each worker has a lane with a slot for each token
 * in verification. The two sides hand slots over by number through rings, so that a worker never
 * locks, allocates or waits.
 */
#pragma once

#include "mt_token.h"

#define MT_TOKEN_SLOTS	64
#define MT_TOKEN_DIGEST 32

struct mt_token_pool;

/*
 * A token and its result. The worker owns the slot from mt_token_lane_slot() to
 * mt_token_lane_ask(), and again from mt_token_lane_take() to mt_token_lane_give_back().
 */
struct mt_token_slot {
	struct mt_token_rules *rules; /* reference, while the thread has the slot */
	uint64_t rules_id;	      /* id of `rules`; stays valid after that */
	uint64_t allowed;
	int64_t now_s;
	uint8_t digest[MT_TOKEN_DIGEST]; /* the worker's cache key for the token */
	uint32_t len;
	char token[MT_TOKEN_MAX];
	struct mt_token_result result;
};

/*
 * Ring of slot numbers for one producer and one consumer. It has an entry for every slot, so it
 * never overflows.
 */
struct mt_token_ring {
	mt_cache_aligned uint32_t head;
	mt_cache_aligned uint32_t tail;
	uint8_t v[MT_TOKEN_SLOTS];
};

struct mt_token_lane {
	struct mt_token_ring asked, answered;
	struct mt_token_pool *pool;
	struct mt_token_slot *slots; /* MT_TOKEN_SLOTS of them */
	/* Worker only: the free slots. */
	uint8_t free[MT_TOKEN_SLOTS];
	uint32_t n_free;
	/* Called by the thread after it answered queries. Set before the first token is queued. */
	void (*wake)(uint64_t who);
	uint64_t who;
};

/* Starts the thread. NULL on error, with *e set. Boot only. */
struct mt_token_pool *mt_token_pool_new(uint32_t n_workers, struct mt_err *e);
/* Ends the thread; call after the workers have ended. NULL is allowed. */
void mt_token_pool_free(struct mt_token_pool *p);
struct mt_token_lane *mt_token_pool_lane(struct mt_token_pool *p, uint32_t worker);

/* ---- worker ---------------------------------------------------------------------------------- */

/*
 * A free slot, in which the caller sets allowed, now_s, digest, len and token; NULL if none is
 * free.
 */
struct mt_token_slot *mt_token_lane_slot(struct mt_token_lane *l);
/* Hands a filled slot to the thread, for verification by `rules`; wakes the thread if it sleeps. */
void mt_token_lane_ask(
	struct mt_token_lane *l, struct mt_token_slot *s, const struct mt_token_rules *rules);
/* The next slot with a result; NULL if there is none. */
struct mt_token_slot *mt_token_lane_take(struct mt_token_lane *l);
/* Frees a slot that was taken, or that was not passed to mt_token_lane_ask(). */
void mt_token_lane_give_back(struct mt_token_lane *l, struct mt_token_slot *s);

static inline uint32_t mt_token_lane_index(
	const struct mt_token_lane *l, const struct mt_token_slot *s)
{
	return (uint32_t)(s - l->slots);
}
