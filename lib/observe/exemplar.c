/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Selects the exemplars of a service. Readers use a sequence count that only the worker writes.
 */
#include "mt_exemplar.h"

#include <string.h>

/* Within this time a call without a trace does not replace one with a trace. */
#define KEPT  (60 * MT_SEC)
#define TRIES 8

_Static_assert(sizeof(struct mt_exemplar) % sizeof(uint64_t) == 0, "copied by words");

static void put(struct mt_exemplar_slot *s, const struct mt_exemplar *e)
{
	uint64_t words[MT_ARRAY_LEN(s->words)];

	memcpy(words, e, sizeof(words));
	__atomic_store_n(&s->turn, s->turn + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		__atomic_store_n(&s->words[i], words[i], __ATOMIC_RELAXED);
	__atomic_store_n(&s->turn, s->turn + 1, __ATOMIC_RELEASE);
}

static void get(const struct mt_exemplar_slot *s, struct mt_exemplar *e)
{
	uint64_t words[MT_ARRAY_LEN(s->words)];

	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		words[i] = __atomic_load_n(&s->words[i], __ATOMIC_RELAXED);
	memcpy(e, words, sizeof(words));
}

/* True if the present exemplar is more useful than `next`. */
static bool stays(const struct mt_exemplar_slot *s, const struct mt_exemplar *next)
{
	struct mt_exemplar e;

	if (next->span.len)
		return false;
	get(s, &e);
	return e.span.len && e.service == next->service && next->wall < e.wall + KEPT;
}

void mt_exemplar_keep(struct mt_exemplars *x, const struct mt_record *r)
{
	uint32_t at = 63 - (uint32_t)__builtin_clzll(r->answer_us | 1);
	struct mt_exemplar_slot *s = &x->at[MT_MIN(at, MT_EXEMPLARS - 1u)];
	const struct mt_exemplar e = {.service = r->service_id,
		.workload = r->workload,
		.caller = r->caller,
		.us = r->answer_us,
		.wall = r->wall + r->took,
		.exchange = r->exchange,
		.span = r->span};

	if (!stays(s, &e))
		put(s, &e);
}

bool mt_exemplar_read(const struct mt_exemplars *x, uint32_t i, struct mt_exemplar *out)
{
	const struct mt_exemplar_slot *s = &x->at[i];

	for (int k = 0; k < TRIES; k++) {
		uint32_t turn = __atomic_load_n(&s->turn, __ATOMIC_ACQUIRE);

		if (turn == 0)
			return false;
		get(s, out);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(turn & 1) && __atomic_load_n(&s->turn, __ATOMIC_RELAXED) == turn)
			return true;
	}
	return false;
}
