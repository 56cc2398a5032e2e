/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that verifies tokens, and the lanes.
 *
 *	worker: put, rung = 1; if asleep, write to the eventfd
 *	thread: rung = 0, take; before it sleeps: asleep = 1; if rung, do not sleep
 *
 * Both sides store and then load, sequentially consistent. So either the worker sees that the
 * thread sleeps, or the thread sees that the worker has put a token.
 */
#include "mt_token_pool.h"

#include "mt_crypto.h"
#include "mt_rights.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TURN 8 /* tokens of one worker before those of the next */

struct mt_token_pool {
	mt_cache_aligned uint32_t rung; /* workers set it, the thread clears it */
	uint32_t asleep;		/* the thread writes it, workers read it */
	uint32_t stop;
	int fd;
	bool started;
	pthread_t id;
	uint32_t n_lanes;
	struct mt_token_lane *lanes;
};

/* ---- rings ----------------------------------------------------------------------------------- */

static void put(struct mt_token_ring *r, uint32_t slot)
{
	r->v[r->head % MT_TOKEN_SLOTS] = (uint8_t)slot;
	__atomic_store_n(&r->head, r->head + 1, __ATOMIC_RELEASE);
}

static bool take(struct mt_token_ring *r, uint32_t *slot)
{
	if (__atomic_load_n(&r->head, __ATOMIC_ACQUIRE) == r->tail)
		return false;
	*slot = r->v[r->tail % MT_TOKEN_SLOTS];
	__atomic_store_n(&r->tail, r->tail + 1, __ATOMIC_RELEASE);
	return true;
}

/* ---- worker ---------------------------------------------------------------------------------- */

struct mt_token_slot *mt_token_lane_slot(struct mt_token_lane *l)
{
	return l->n_free ? &l->slots[l->free[--l->n_free]] : NULL;
}

static void ring(struct mt_token_pool *p)
{
	const uint64_t one = 1;

	__atomic_store_n(&p->rung, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&p->asleep, __ATOMIC_SEQ_CST))
		(void)!write(p->fd, &one, sizeof(one));
}

void mt_token_lane_ask(
	struct mt_token_lane *l, struct mt_token_slot *s, const struct mt_token_rules *rules)
{
	s->rules_id = rules->id;
	s->rules = mt_token_rules_hold((struct mt_token_rules *)rules);
	put(&l->asked, mt_token_lane_index(l, s));
	ring(l->pool);
}

struct mt_token_slot *mt_token_lane_take(struct mt_token_lane *l)
{
	uint32_t i;

	return take(&l->answered, &i) ? &l->slots[i] : NULL;
}

void mt_token_lane_give_back(struct mt_token_lane *l, struct mt_token_slot *s)
{
	/* A token is a credential: leave no copy in memory. */
	OPENSSL_cleanse(s->token, s->len);
	l->free[l->n_free++] = (uint8_t)mt_token_lane_index(l, s);
}

/* ---- thread ---------------------------------------------------------------------------------- */

static bool serve(struct mt_token_lane *l)
{
	uint32_t i, n = 0;

	while (n < TURN && take(&l->asked, &i)) {
		struct mt_token_slot *s = &l->slots[i];

		n++;
		mt_token_verify(s->rules, s->allowed, s->token, s->len, s->now_s, &s->result);
		mt_token_rules_drop(s->rules);
		s->rules = NULL;
		put(&l->answered, i);
	}
	if (n)
		l->wake(l->who);
	return n > 0;
}

static void rest(struct mt_token_pool *p)
{
	uint64_t n;

	__atomic_store_n(&p->asleep, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&p->rung, __ATOMIC_SEQ_CST))
		(void)!read(p->fd, &n, sizeof(n));
	__atomic_store_n(&p->asleep, 0, __ATOMIC_SEQ_CST);
}

static void *loop(void *arg)
{
	struct mt_token_pool *p = arg;

	while (!__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE)) {
		bool busy = __atomic_exchange_n(&p->rung, 0, __ATOMIC_SEQ_CST);

		for (uint32_t i = 0; i < p->n_lanes; i++)
			busy |= serve(&p->lanes[i]);
		if (!busy)
			rest(p);
	}
	mt_crypto_thread_end();
	return NULL;
}

/* ---- boot ------------------------------------------------------------------------------------ */

static int start(struct mt_token_pool *p)
{
	int rc;

	p->fd = eventfd(0, EFD_CLOEXEC);
	if (p->fd < 0)
		return -errno;
	rc = mt_rights_thread(&p->id, "mt-jwt", loop, p);
	p->started = rc == 0;
	return rc;
}

static void nobody(uint64_t who)
{
}

static bool make_lane(struct mt_token_pool *p, struct mt_token_lane *l)
{
	memset(l, 0, sizeof(*l));
	l->pool = p;
	l->wake = nobody;
	/* Backed by memory only once they are used. */
	l->slots = calloc(MT_TOKEN_SLOTS, sizeof(*l->slots));
	for (uint32_t i = 0; i < MT_TOKEN_SLOTS; i++)
		l->free[l->n_free++] = (uint8_t)(MT_TOKEN_SLOTS - 1 - i);
	return l->slots != NULL;
}

struct mt_token_pool *mt_token_pool_new(uint32_t n_workers, struct mt_err *e)
{
	struct mt_token_pool *p = aligned_alloc(MT_CACHE_LINE, sizeof(*p));
	int rc = -ENOMEM;

	if (p) {
		memset(p, 0, sizeof(*p));
		p->fd = -1;
		p->lanes = aligned_alloc(MT_CACHE_LINE, n_workers * sizeof(*p->lanes));
	}
	for (; p && p->lanes && p->n_lanes < n_workers; p->n_lanes++)
		if (!make_lane(p, &p->lanes[p->n_lanes]))
			break;
	if (p && p->n_lanes == n_workers)
		rc = start(p);
	if (rc == 0)
		return p;
	mt_err(e, rc, "a thread that verifies tokens: %s", strerror(-rc));
	mt_token_pool_free(p);
	return NULL;
}

void mt_token_pool_free(struct mt_token_pool *p)
{
	if (!p)
		return;
	if (p->started) {
		__atomic_store_n(&p->stop, 1, __ATOMIC_SEQ_CST);
		ring(p);
		pthread_join(p->id, NULL);
	}
	for (uint32_t i = 0; i < p->n_lanes; i++) {
		uint32_t slot;

		while (take(&p->lanes[i].asked, &slot))
			mt_token_rules_drop(p->lanes[i].slots[slot].rules);
		OPENSSL_cleanse(p->lanes[i].slots, MT_TOKEN_SLOTS * sizeof(struct mt_token_slot));
		free(p->lanes[i].slots);
	}
	if (p->fd >= 0)
		close(p->fd);
	free(p->lanes);
	free(p);
}

struct mt_token_lane *mt_token_pool_lane(struct mt_token_pool *p, uint32_t worker)
{
	MT_ASSERT(worker < p->n_lanes);
	return &p->lanes[worker];
}
