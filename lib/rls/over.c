/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors over their limit, for a short time: a fixed table with a few places for each key. */
#include "mt_rls.h"

#include "mt_mutant.h"

#define LEAST (20 * MT_MSEC)
#define MOST  (1 * MT_SEC)
/* The service rounds the end of a limit to whole seconds. */
#define EARLY (1 * MT_SEC)

uint64_t mt_rls_over_lasts(const struct mt_rls_status *s)
{
	uint64_t early = mt_mutant(MT_MUTANT_over_kept_to_end) ? 0 : EARLY;
	uint64_t left = s->has_reset && s->reset > early ? s->reset - early : 0;

	if (mt_mutant(MT_MUTANT_over_kept_long))
		return 60 * MOST;
	return MT_MIN(MT_MAX(left, LEAST), MOST);
}

/* The key's place, or that of the entry that ends first, which is emptied. */
static struct mt_rls_over_entry *place_of(struct mt_rls_over *o, uint64_t key)
{
	struct mt_rls_over_entry *set = o->entry[key % MT_RLS_OVER_SETS], *first = set;

	for (uint32_t i = 0; i < MT_RLS_OVER_WAYS; i++) {
		if (set[i].until && set[i].key == key)
			return &set[i];
		if (set[i].until < first->until)
			first = &set[i];
	}
	first->until = 0;
	return first;
}

void mt_rls_over_keep(struct mt_rls_over *o, const struct mt_rls_keys *keys,
	const struct mt_rls_answer *a, uint64_t now)
{
	if (a->code != MT_RLS_OVER_LIMIT)
		return;
	for (uint32_t i = 0; i < MT_MIN(keys->n, a->n_statuses); i++) {
		struct mt_rls_over_entry *e;
		uint64_t until;

		if (a->status[i].code != MT_RLS_OVER_LIMIT)
			continue;
		e = place_of(o, keys->of[i]);
		until = now + mt_rls_over_lasts(&a->status[i]);
		/* Answers may come in another order than the queries. */
		e->key = keys->of[i];
		e->until = MT_MAX(e->until, until);
	}
}

static bool is_over(const struct mt_rls_over *o, uint64_t key, uint64_t now)
{
	const struct mt_rls_over_entry *set = o->entry[key % MT_RLS_OVER_SETS];

	for (uint32_t i = 0; i < MT_RLS_OVER_WAYS; i++)
		if (set[i].key == key && now < set[i].until)
			return true;
	return false;
}

bool mt_rls_over_any(
	const struct mt_rls_over *o, const struct mt_rls_keys *keys, uint64_t now, uint32_t *which)
{
	for (uint32_t i = 0; i < keys->n; i++) {
		if (!is_over(o, keys->of[i], now))
			continue;
		*which = i;
		return true;
	}
	return false;
}
