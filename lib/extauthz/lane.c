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
#include "mt_extauthz_priv.h"

#include <string.h>
#include <unistd.h>

_Static_assert(MT_EXTAUTHZ_SLOTS <= 256, "slots are numbered by a byte");
_Static_assert(MT_EXTAUTHZ_BYTES <= UINT16_MAX, "texts are found by two bytes");

/* ---- rings ----------------------------------------------------------------------------------- */

static void put(struct mt_extauthz_ring *r, uint32_t slot)
{
	r->v[r->head % MT_EXTAUTHZ_SLOTS] = (uint8_t)slot;
	__atomic_store_n(&r->head, r->head + 1, __ATOMIC_RELEASE);
}

static bool take(struct mt_extauthz_ring *r, uint32_t *slot)
{
	if (__atomic_load_n(&r->head, __ATOMIC_ACQUIRE) == r->tail)
		return false;
	*slot = r->v[r->tail % MT_EXTAUTHZ_SLOTS];
	__atomic_store_n(&r->tail, r->tail + 1, __ATOMIC_RELEASE);
	return true;
}

uint32_t mt_extauthz_index(const struct mt_extauthz_lane *l, const struct mt_extauthz_slot *s)
{
	return (uint32_t)(s - l->slots);
}

void mt_extauthz_ring_bell(struct mt_extauthz *x)
{
	const uint64_t one = 1;

	__atomic_store_n(&x->rung, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&x->asleep, __ATOMIC_SEQ_CST))
		(void)!write(x->bell.fd, &one, sizeof(one));
}

/* ---- worker ---------------------------------------------------------------------------------- */

uint32_t mt_extauthz_room(const struct mt_extauthz_lane *l)
{
	return l->n_free;
}

struct mt_extauthz_slot *mt_extauthz_slot(struct mt_extauthz_lane *l)
{
	struct mt_extauthz_slot *s;

	if (!l->n_free)
		return NULL;
	s = &l->slots[l->free[--l->n_free]];
	/* Entries and bytes need no reset: only those counted by n_entries and `used` are read. */
	s->source_principal = s->destination_principal = s->service = s->protocol = s->interface =
		s->method = s->sni = (struct mt_extauthz_text){0, 0};
	s->n_entries = s->n_changes = s->used = 0;
	return s;
}

bool mt_extauthz_put(
	struct mt_extauthz_slot *s, struct mt_extauthz_text *t, const void *text, size_t len)
{
	if (len >= MT_EXTAUTHZ_BYTES - s->used)
		return false;
	*t = (struct mt_extauthz_text){(uint16_t)s->used, (uint16_t)len};
	memcpy(s->bytes + s->used, text, len);
	s->used += (uint32_t)len;
	/* protobuf-c needs texts that end with NUL. */
	s->bytes[s->used++] = '\0';
	return true;
}

void mt_extauthz_ask(
	struct mt_extauthz_lane *l, struct mt_extauthz_slot *s, struct mt_extauthz_provider *p)
{
	s->provider = mt_extauthz_hold(p);
	s->asked = p->id;
	s->fails_open = p->fail_open;
	put(&l->asked, mt_extauthz_index(l, s));
	mt_extauthz_ring_bell(l->x);
}

struct mt_extauthz_slot *mt_extauthz_take(struct mt_extauthz_lane *l)
{
	uint32_t i;

	return take(&l->answered, &i) ? &l->slots[i] : NULL;
}

void mt_extauthz_give_back(struct mt_extauthz_lane *l, struct mt_extauthz_slot *s)
{
	l->free[l->n_free++] = (uint8_t)mt_extauthz_index(l, s);
}

/* ---- thread ---------------------------------------------------------------------------------- */

struct mt_extauthz_call *mt_extauthz_lane_asked(struct mt_extauthz_lane *l)
{
	uint32_t i;

	if (!take(&l->asked, &i))
		return NULL;
	l->calls[i] = (struct mt_extauthz_call){.lane = l, .slot = &l->slots[i]};
	mt_list_init(&l->calls[i].node);
	return &l->calls[i];
}

void mt_extauthz_lane_answered(struct mt_extauthz_call *c)
{
	struct mt_extauthz_slot *s = c->slot;

	mt_count(c->lane->x->counters, s->why);
	mt_extauthz_drop(s->provider);
	s->provider = NULL;
	put(&c->lane->answered, mt_extauthz_index(c->lane, s));
	c->lane->wake(c->lane->who);
}

/* ---- boot ------------------------------------------------------------------------------------ */

static void nobody(uint64_t who)
{
}

bool mt_extauthz_lane_init(struct mt_extauthz *x, struct mt_extauthz_lane *l)
{
	memset(l, 0, sizeof(*l));
	l->x = x;
	l->wake = nobody;
	l->slots = calloc(MT_EXTAUTHZ_SLOTS, sizeof(*l->slots));
	while (l->n_free < MT_EXTAUTHZ_SLOTS) {
		l->free[l->n_free] = (uint8_t)(MT_EXTAUTHZ_SLOTS - 1 - l->n_free);
		l->n_free++;
	}
	return l->slots != NULL;
}

/* Frees the lane and the queries still queued in it. */
void mt_extauthz_lane_fini(struct mt_extauthz_lane *l)
{
	uint32_t i;

	while (take(&l->asked, &i))
		mt_extauthz_drop(l->slots[i].provider);
	free(l->slots);
}

void mt_extauthz_wake(struct mt_extauthz_lane *l, void (*wake)(uint64_t who), uint64_t who)
{
	l->wake = wake;
	l->who = who;
}
