/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact index. Greedy: the key whose exact conditions have the most distinct values gets a hash
 * table of value -> places. This is repeated for the routes that it does not cover, up to
 * MT_ROUTE_INDEXES times; the rest is tested one by one. A route is in one index only. Precedence
 * is kept because a lookup merges the lists by place.
 */
#include "mt_route_priv.h"
#include "mt_secret_hash.h"

#include <errno.h>
#include <string.h>

/* With fewer routes, testing them costs no more than hashing a value. */
#define WORTH_AN_INDEX 4

/*
 * Used slots in a row, and so slots that a lookup goes through. Chance brings more together in less
 * than one of 10^12 tables, which are at most half full; values that an author chose for it do.
 * Then the table's hashes are secret ones, which cost more.
 */
#define ROW_MAX 256

struct item {
	uint64_t hash;
	const struct mt_cond *cond;
	uint32_t place;
};

struct work {
	struct item *items;
	bool *done; /* by place */
};

static bool indexable(const struct mt_cond *c)
{
	return c->op == MT_MATCH_EXACT && !c->invert && !c->ignore_case &&
	       !(c->missing_as_empty && c->len == 0);
}

static const struct mt_cond *indexable_on(const struct mt_route *r, uint8_t slot)
{
	for (uint32_t i = 0; i < r->match.n; i++)
		if (r->match.conds[i].slot == slot && indexable(&r->match.conds[i]))
			return &r->match.conds[i];
	return NULL;
}

static int value_cmp(const struct item *a, const struct item *b)
{
	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	if (a->cond->len != b->cond->len)
		return a->cond->len < b->cond->len ? -1 : 1;
	return memcmp(a->cond->value, b->cond->value, a->cond->len);
}

static int item_cmp(const void *x, const void *y)
{
	const struct item *a = x, *b = y;
	int d = value_cmp(a, b);

	if (d)
		return d;
	return a->place < b->place ? -1 : a->place > b->place;
}

/*
 * Collects the routes without an index that have an exact condition on this key, sorted by value.
 */
static uint32_t collect(
	const struct mt_route_table *t, const struct work *w, uint8_t slot, uint32_t *distinct)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct mt_cond *c = w->done[i] ? NULL : indexable_on(&t->routes[i], slot);

		if (c)
			w->items[n++] = (struct item){mt_balance_hash(c->value, c->len, 0), c, i};
	}
	qsort(w->items, n, sizeof(*w->items), item_cmp);
	*distinct = n > 0;
	for (uint32_t i = 1; i < n; i++)
		*distinct += value_cmp(&w->items[i - 1], &w->items[i]) != 0;
	return n;
}

static uint8_t best_slot(const struct mt_route_table *t, const struct work *w)
{
	uint8_t best = MT_ROUTE_NO_SLOT;
	uint32_t most = 0;

	for (uint8_t slot = 0; slot < MT_ROUTE_CACHED_KEYS; slot++) {
		uint32_t distinct, n = collect(t, w, slot, &distinct);

		if (n >= WORTH_AN_INDEX && distinct > most) {
			most = distinct;
			best = slot;
		}
	}
	return best;
}

/* Makes a list of the route's conditions without the one that the index tests. */
static int shorten(struct mt_route_table *t, struct mt_route *r, const struct mt_cond *skip)
{
	struct mt_cond *rest = mt_arena_alloc(&t->arena, sizeof(*rest) * r->match.n);

	if (!rest)
		return -ENOMEM;
	r->rest = rest;
	r->n_rest = 0;
	for (uint32_t i = 0; i < r->match.n; i++)
		if (&r->match.conds[i] != skip)
			rest[r->n_rest++] = r->match.conds[i];
	return 0;
}

static uint64_t hash_in(const struct mt_exact_index *x, const void *value, uint32_t len)
{
	return mt_unlikely(x->secret) ? mt_secret_hash(value, len, 0)
				      : mt_balance_hash(value, len, 0);
}

/* False if the value would be further from its slot than chance explains. */
static bool insert(struct mt_exact_index *x, const struct item *first, uint32_t at, uint32_t n)
{
	const struct mt_cond *c = first->cond;
	uint64_t hash = hash_in(x, c->value, c->len);
	uint32_t i = (uint32_t)hash & x->mask, row = 0;

	for (; x->slots[i].value; i = (i + 1) & x->mask)
		if (++row == ROW_MAX && !x->secret)
			return false;
	x->slots[i] = (struct mt_exact_slot){hash, c->value, c->len, at, n};
	return true;
}

static bool has_long_row(const struct mt_exact_index *x)
{
	uint32_t row = 0;

	/* A row may go on at the table's start. */
	for (uint32_t i = 0; i <= x->mask + ROW_MAX && row <= ROW_MAX; i++)
		row = x->slots[i & x->mask].value ? row + 1 : 0;
	return row > ROW_MAX;
}

/* False if more slots in a row are in use than chance explains. */
static bool fill(struct mt_exact_index *x, const struct work *w, uint32_t n)
{
	uint32_t start = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (i + 1 < n && value_cmp(&w->items[i], &w->items[i + 1]) == 0)
			continue;
		if (!insert(x, &w->items[start], start, i + 1 - start))
			return false;
		start = i + 1;
	}
	return !has_long_row(x);
}

static int build_one(struct mt_route_table *t, const struct work *w, uint8_t slot)
{
	struct mt_exact_index *x = &t->index[t->n_index];
	uint32_t distinct, n = collect(t, w, slot, &distinct), size = 8;

	while (size < distinct * 2)
		size *= 2;
	x->slots = mt_arena_alloc(&t->arena, sizeof(*x->slots) * size);
	x->places = mt_arena_alloc(&t->arena, sizeof(*x->places) * n);
	if (!x->slots || !x->places)
		return -ENOMEM;
	x->mask = size - 1;
	x->slot = slot;
	x->key = w->items[0].cond->key;
	for (uint32_t i = 0; i < n; i++) {
		const struct item *it = &w->items[i];

		x->places[i] = it->place;
		w->done[it->place] = true;
		if (shorten(t, &t->routes[it->place], it->cond) < 0)
			return -ENOMEM;
	}
	if (!fill(x, w, n)) {
		memset(x->slots, 0, sizeof(*x->slots) * size);
		x->secret = true;
		fill(x, w, n);
	}
	t->n_index++;
	return 0;
}

static int build_all(struct mt_route_table *t, const struct work *w)
{
	while (t->n_index < MT_ROUTE_INDEXES) {
		uint8_t slot = best_slot(t, w);

		if (slot == MT_ROUTE_NO_SLOT)
			break;
		if (build_one(t, w, slot) < 0)
			return -ENOMEM;
	}
	t->linear = mt_arena_alloc(&t->arena, sizeof(*t->linear) * t->n);
	if (!t->linear)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n; i++)
		if (!w->done[i])
			t->linear[t->n_linear++] = i;
	return 0;
}

int mt_route_index_build(struct mt_route_table *t)
{
	struct work w = {
		.items = calloc(t->n + 1, sizeof(*w.items)),
		.done = calloc(t->n + 1, sizeof(*w.done)),
	};
	int rc = w.items && w.done ? build_all(t, &w) : -ENOMEM;

	free(w.items);
	free(w.done);
	return rc;
}

const uint32_t *mt_exact_find(const struct mt_exact_index *x, struct mt_slice value, uint32_t *n)
{
	uint64_t hash = hash_in(x, value.p, value.len);

	for (uint32_t i = (uint32_t)hash & x->mask; x->slots[i].value; i = (i + 1) & x->mask) {
		const struct mt_exact_slot *s = &x->slots[i];

		if (s->hash == hash && s->len == value.len &&
			memcmp(s->value, value.p, value.len) == 0) {
			*n = s->n;
			return x->places + s->first;
		}
	}
	*n = 0;
	return NULL;
}
