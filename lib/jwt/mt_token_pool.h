/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that verifies tokens, for workers, which never do. A worker's lane has a slot for each token that is under way; slots
 * are handed over and back by their numbers. It locks nothing, allocates nothing and waits for nobody.
 */
#pragma once

#include "mt_token.h"

#define MT_TOKEN_SLOTS	64
#define MT_TOKEN_DIGEST 32

struct mt_token_pool;

/* The worker's, from when the lane gives it until it is asked, and from when it is taken until it is given back. */
struct mt_token_slot {
	struct mt_token_rules *rules; /* held while it is asked */
	uint64_t rules_id;	      /* theirs, also behind that */
	uint64_t allowed;
	int64_t now_s;
	uint8_t digest[MT_TOKEN_DIGEST]; /* the worker's name for it */
	uint32_t len;
	char token[MT_TOKEN_MAX];
	struct mt_token_result result;
};

/* Numbers of slots: one puts, one takes. There are never more than it has room for. */
struct mt_token_ring {
	mt_cache_aligned uint32_t head;
	mt_cache_aligned uint32_t tail;
	uint8_t v[MT_TOKEN_SLOTS];
};

struct mt_token_lane {
	struct mt_token_ring asked, answered;
	struct mt_token_pool *pool;
	struct mt_token_slot *slots; /* of MT_TOKEN_SLOTS */
	/* The worker's: slots that are free. */
	uint8_t free[MT_TOKEN_SLOTS];
	uint32_t n_free;
	/* The thread: something was answered. Set before the first token is asked. */
	void (*wake)(uint64_t who);
	uint64_t who;
};

/* Boot. NULL with *e. */
struct mt_token_pool *mt_token_pool_new(uint32_t n_workers, struct mt_err *e);
/* When workers have ended. NULL is allowed. */
void mt_token_pool_free(struct mt_token_pool *p);
struct mt_token_lane *mt_token_pool_lane(struct mt_token_pool *p, uint32_t worker);

/* ---- worker ---------------------------------------------------------------------------------------- */

/* A slot to fill (allowed, now_s, digest, len, token); NULL: all are under way. */
struct mt_token_slot *mt_token_lane_slot(struct mt_token_lane *l);
/* It is filled: verified by these rules, on the thread, which is woken if it sleeps. */
void mt_token_lane_ask(
	struct mt_token_lane *l, struct mt_token_slot *s, const struct mt_token_rules *rules);
/* The next one that was verified, and whose result is there; NULL: none now. */
struct mt_token_slot *mt_token_lane_take(struct mt_token_lane *l);
/* Of one that was taken, or not asked. */
void mt_token_lane_give_back(struct mt_token_lane *l, struct mt_token_slot *s);

static inline uint32_t mt_token_lane_index(
	const struct mt_token_lane *l, const struct mt_token_slot *s)
{
	return (uint32_t)(s - l->slots);
}
