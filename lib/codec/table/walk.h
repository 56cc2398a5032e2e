/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the walks of containers. */
#pragma once

#include "run.h"

/* Steps for an element: its head, and a look at each target. */
#define ELEMENT_STEPS 16

/*
 * The most elements of a container that a walk passes if the codec writes ids itself: set_id() and
 * restore_id() run the program again, in one piece, which keeps the worker from all else.
 */
#define WALK_ELEMENTS 16384

/* Counts an element in state.level. False: there are too many. */
static inline bool walk_may_pass(struct table_run *r)
{
	return !r->t->codec.correlate.set_id || r->meta || ++r->s->level <= WALK_ELEMENTS;
}

/* Up to n of the next bytes before `end`. *have: how many; 0: none has arrived, or the end. */
static inline const uint8_t *walk_ahead(
	struct table_run *r, uint32_t end, uint32_t n, uint8_t *tmp, uint32_t *have)
{
	uint32_t to = MT_MIN(end, r->arrived), pos = r->s->pos;

	*have = pos < to ? MT_MIN(to - pos, n) : 0;
	return *have ? table_bytes(r, pos, *have, tmp) : NULL;
}

/*
 * The head of an element needs more than the `have` bytes before `end`: waits for one more, unless
 * the container ends before.
 */
static inline enum table_rc walk_more(struct table_run *r, uint32_t end, uint32_t have)
{
	if (have >= end - r->s->pos)
		return TABLE_MALFORMED;
	table_arrived(r, r->s->pos + have + 1);
	return TABLE_WAIT;
}

/* More bytes of a text are needed, or, without `may`, more steps. */
static inline enum table_rc walk_on(struct table_run *r, bool may)
{
	if (may)
		table_arrived(r, r->s->pos + 1);
	return TABLE_WAIT;
}

/* A binary number of n bytes. */
static inline uint64_t walk_number(const uint8_t *p, uint32_t n, bool little)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < n; i++)
		v = v << 8 | p[little ? n - 1 - i : i];
	return v;
}

static inline const struct mt_ct_target *walk_target(
	const struct table_run *r, const struct mt_ct_walk *w, uint32_t i)
{
	return &r->t->targets[w->first + i];
}

static inline bool walk_accepts(const struct mt_ct_target *g, enum mt_ct_accept is)
{
	return g->accept == MT_CT_ANY || g->accept == is;
}

/* Leaves the container at the current depth. */
static inline void walk_up(struct table_run *r, const struct mt_ct_walk *w)
{
	r->s->depth--;
	r->s->in = r->s->in ? walk_target(r, w, r->s->in - 1u)->parent : 0;
}
