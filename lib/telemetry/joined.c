/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of counters of several items, such as series with the same labels. As in fold.c, a sum
 * grows by what each item has counted since its last round, so that it never decreases when an item
 * goes away. Items are remembered when they are gone, because they may return with their counters;
 * above MOST of them those that were not seen for some rounds are forgotten.
 */
#include "mt_idmap.h"
#include "mt_strmap.h"
#include "mt_telemetry.h"

#include <string.h>

#define ROUNDS_KEPT 16
#define MOST	    16384 /* sums and items */

struct entry {
	uint32_t round, n;
	uint64_t v[]; /* of a sum: its values; of an item: those of its last round */
};

struct mt_joined {
	uint32_t round;
	struct mt_idmap entries;
};

struct mt_joined *mt_joined_new(void)
{
	return calloc(1, sizeof(struct mt_joined));
}

void mt_joined_free(struct mt_joined *j)
{
	for (uint32_t i = 0; j && i < j->entries.cap; i++)
		free(j->entries.slots[i].value);
	if (j)
		mt_idmap_fini(&j->entries);
	free(j);
}

/* Forgets what was not seen lately. Without memory all stay. */
static void sweep(struct mt_joined *j)
{
	struct mt_idmap all = j->entries, kept = {0};

	if (mt_idmap_reserve(&kept, all.n))
		return;
	for (uint32_t i = 0; i < all.cap; i++) {
		struct entry *e = all.slots[i].value;

		if (e && j->round - e->round < ROUNDS_KEPT)
			(void)mt_idmap_put(&kept, all.slots[i].id, e);
		else
			free(e);
	}
	j->entries = kept;
	mt_idmap_fini(&all);
}

void mt_joined_begin(struct mt_joined *j)
{
	if (++j->round % ROUNDS_KEPT == 0 && j->entries.n > MOST)
		sweep(j);
}

static struct entry *get(struct mt_joined *j, uint64_t id, uint32_t n)
{
	struct entry *e;

	id += id == 0;
	e = mt_idmap_get(&j->entries, id);
	if (!e) {
		e = calloc(1, sizeof(*e) + n * sizeof(e->v[0]));
		if (!e || mt_idmap_put(&j->entries, id, e)) {
			free(e);
			return NULL;
		}
		e->n = n;
	}
	e->round = j->round;
	return e->n == n ? e : NULL;
}

const uint64_t *mt_joined_add(
	struct mt_joined *j, uint64_t sum, uint64_t item, const uint64_t *values, uint32_t n)
{
	struct entry *s = get(j, sum, n);
	struct entry *e = get(j, mt_hash_words((uint64_t[]){sum, item}, 16, 1), n);

	if (!s || !e)
		return NULL;
	for (uint32_t i = 0; i < n; i++) {
		/* A lower value: the item began again at 0. */
		s->v[i] += values[i] >= e->v[i] ? values[i] - e->v[i] : values[i];
		e->v[i] = values[i];
	}
	return s->v;
}
