/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lookup. Each index gives the places of the routes for the message's value; the others are in
 * the linear list. Places are the order of precedence, so merging the lists by place keeps that of
 * the configuration.
 */
#include "mt_route_priv.h"

/* One ascending list of places that may match. */
struct run {
	const uint32_t *p, *end;
};

/* Removes and returns the smallest place at the head of any run; UINT32_MAX at the end. */
static uint32_t next_place(struct run *runs, uint32_t n)
{
	uint32_t best = UINT32_MAX, from = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (runs[i].p < runs[i].end && *runs[i].p < best) {
			best = *runs[i].p;
			from = i;
		}
	}
	if (best != UINT32_MAX)
		runs[from].p++;
	return best;
}

static uint32_t find_runs(const struct mt_route_table *t, struct mt_view *v,
	struct mt_value_cache *cache, struct run *runs)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n_index; i++) {
		const struct mt_exact_index *x = &t->index[i];
		const uint32_t *places;
		struct mt_slice value;
		uint32_t found;

		if (!mt_route_value(v, &x->key, x->slot, cache, &value))
			continue;
		places = mt_exact_find(x, value, &found);
		if (found)
			runs[n++] = (struct run){places, places + found};
	}
	if (t->n_linear)
		runs[n++] = (struct run){t->linear, t->linear + t->n_linear};
	return n;
}

const struct mt_route_action *mt_route_lookup(
	const struct mt_route_table *t, struct mt_view *v, uint32_t *idx)
{
	struct run runs[MT_ROUTE_INDEXES + 1];
	struct mt_value_cache cache;
	uint32_t n, place;

	/* The values need no clearing, because `known` tells which are valid. */
	cache.known = cache.present = 0;
	n = find_runs(t, v, &cache, runs);
	while ((place = next_place(runs, n)) != UINT32_MAX) {
		const struct mt_route *r = &t->routes[place];

		if (mt_cond_list_test(r->rest, r->n_rest, v, &cache)) {
			if (idx)
				*idx = place;
			return &r->action;
		}
	}
	return NULL;
}

uint32_t mt_route_linear(const struct mt_route_table *t)
{
	return t->n_linear;
}
