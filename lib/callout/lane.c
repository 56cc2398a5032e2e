/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hands queries between a worker and the thread by two rings, and wakes the thread.
 *
 *	worker: put, rung = 1; if asleep, write to the eventfd
 *	thread: rung = 0, take; before it sleeps: asleep = 1; if rung, do not sleep
 *
 * Both sides store and then load, sequentially consistent. So either the worker sees that the
 * thread sleeps, or the thread sees that the worker has put a query.
 */
#include "mt_callout_priv.h"

#include <string.h>
#include <unistd.h>

_Static_assert(MT_CALLOUT_SLOTS <= 256, "slots are numbered by a byte");

/* ---- rings ----------------------------------------------------------------------------------- */

static void put(struct mt_callout_ring *r, uint32_t slot)
{
	r->v[r->head % MT_CALLOUT_SLOTS] = (uint8_t)slot;
	__atomic_store_n(&r->head, r->head + 1, __ATOMIC_RELEASE);
}

static bool take(struct mt_callout_ring *r, uint32_t *slot)
{
	if (__atomic_load_n(&r->head, __ATOMIC_ACQUIRE) == r->tail)
		return false;
	*slot = r->v[r->tail % MT_CALLOUT_SLOTS];
	__atomic_store_n(&r->tail, r->tail + 1, __ATOMIC_RELEASE);
	return true;
}

void mt_callout_ring_bell(struct mt_callout *x)
{
	const uint64_t one = 1;

	__atomic_store_n(&x->rung, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&x->asleep, __ATOMIC_SEQ_CST))
		(void)!write(x->bell.fd, &one, sizeof(one));
}

/* ---- worker ---------------------------------------------------------------------------------- */

uint32_t mt_callout_room(const struct mt_callout_lane *l)
{
	return l->n_free;
}

struct mt_callout_slot *mt_callout_slot(struct mt_callout_lane *l)
{
	struct mt_callout_slot *s;
	uint32_t index;

	if (!l->n_free)
		return NULL;
	index = l->free[--l->n_free];
	s = mt_callout_slot_at(l, index);
	s->lane = l;
	s->index = index;
	return s;
}

void mt_callout_ask(struct mt_callout_slot *s, struct mt_callout_provider *p, uint64_t timeout)
{
	s->provider = mt_callout_hold(p);
	s->timeout = timeout;
	put(&s->lane->asked, s->index);
	mt_callout_ring_bell(s->lane->x);
}

struct mt_callout_slot *mt_callout_take(struct mt_callout_lane *l)
{
	uint32_t i;

	return take(&l->answered, &i) ? mt_callout_slot_at(l, i) : NULL;
}

void mt_callout_give_back(struct mt_callout_slot *s)
{
	s->lane->free[s->lane->n_free++] = (uint8_t)s->index;
}

/* ---- thread ---------------------------------------------------------------------------------- */

struct mt_callout_slot *mt_callout_lane_asked(struct mt_callout_lane *l)
{
	uint32_t i;

	return take(&l->asked, &i) ? mt_callout_slot_at(l, i) : NULL;
}

void mt_callout_lane_answered(struct mt_callout_slot *s)
{
	struct mt_callout_lane *l = s->lane;

	l->x->kind->done(l->x, s);
	mt_callout_drop(s->provider);
	s->provider = NULL;
	put(&l->answered, s->index);
	l->wake(l->who);
}

/* ---- boot ------------------------------------------------------------------------------------ */

static void wake_none(uint64_t who)
{
}

bool mt_callout_lane_init(struct mt_callout *x, struct mt_callout_lane *l)
{
	memset(l, 0, sizeof(*l));
	l->x = x;
	l->wake = wake_none;
	l->slots = calloc(MT_CALLOUT_SLOTS, x->kind->slot_size);
	while (l->n_free < MT_CALLOUT_SLOTS) {
		l->free[l->n_free] = (uint8_t)(MT_CALLOUT_SLOTS - 1 - l->n_free);
		l->n_free++;
	}
	return l->slots != NULL;
}

/* Frees the lane and the queries still queued in it. */
void mt_callout_lane_fini(struct mt_callout_lane *l)
{
	uint32_t i;

	while (take(&l->asked, &i))
		mt_callout_drop(mt_callout_slot_at(l, i)->provider);
	free(l->slots);
}

void mt_callout_wake(struct mt_callout_lane *l, void (*wake)(uint64_t who), uint64_t who)
{
	l->wake = wake;
	l->who = who;
}
