/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small stable numbers for routes, by their identity, so that workers count each in an array of their own. Tables are
 * freed in several places and know nothing of this; so numbers are not given back but swept: when there are twice as
 * many as snapshots name, those that none names may serve other routes. A number
 * that serves again goes on from what was counted under it.
 */
#include "mt_conf_priv.h"

#include <errno.h>
#include <string.h>

#define SWEEP_MIN 4096

/* Where an identity is, or would be; slots hold place in `v` + 1. */
static uint32_t *find(const struct mt_route_indexes *x, uint64_t id)
{
	uint32_t i = (uint32_t)(id ^ id >> 32) & (x->n_slots - 1);

	while (x->slots[i] && x->v[x->slots[i] - 1].id != id)
		i = (i + 1) & (x->n_slots - 1);
	return &x->slots[i];
}

static int rehash(struct mt_route_indexes *x, uint32_t n_slots)
{
	uint32_t *slots = calloc(n_slots, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	free(x->slots);
	x->slots = slots;
	x->n_slots = n_slots;
	for (uint32_t i = 0; i < x->n; i++)
		*find(x, x->v[i].id) = i + 1;
	return 0;
}

static int grow(struct mt_route_indexes *x)
{
	uint32_t cap = x->cap ? x->cap * 2 : 64;
	struct mt_route_number *v = realloc(x->v, sizeof(*v) * cap);

	if (!v)
		return -ENOMEM;
	x->v = v;
	if (rehash(x, cap * 2))
		return -ENOMEM;
	x->cap = cap;
	return 0;
}

uint32_t mt_route_index_get(struct mt_route_indexes *x, uint64_t id)
{
	uint32_t index;

	if (x->n_slots && *find(x, id))
		return x->v[*find(x, id) - 1].index;
	if (x->n == x->cap && grow(x))
		return 0;
	if (x->next < MT_SNAPSHOT_ROUTES_MAX - 1)
		index = ++x->next;
	else if (x->n_free)
		index = x->free[--x->n_free];
	else
		return 0;
	x->v[x->n] = (struct mt_route_number){.id = id, .index = index};
	*find(x, id) = ++x->n;
	return index;
}

static void mark_snapshot(struct mt_route_indexes *x, const struct mt_snapshot *s)
{
	for (uint32_t i = 0; i < s->n_services; i++) {
		const struct mt_route_table *t = s->services[i]->routes;

		for (uint32_t k = 0; t && k < mt_route_count(t); k++) {
			uint32_t at = *find(x, mt_route_at(t, k)->id);

			if (at)
				x->v[at - 1].named = true;
		}
	}
}

/* Keeps those that are named, in their order; the numbers of the others become free. */
static void drop_unnamed(struct mt_route_indexes *x)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < x->n; i++) {
		if (x->v[i].named)
			x->v[n++] = (struct mt_route_number){x->v[i].id, x->v[i].index, false};
		else
			x->free[x->n_free++] = x->v[i].index;
	}
	x->n = x->n_named = n;
	memset(x->slots, 0, sizeof(*x->slots) * x->n_slots);
	for (uint32_t i = 0; i < n; i++)
		*find(x, x->v[i].id) = i + 1;
}

void mt_route_indexes_sweep(struct mt_conf *c)
{
	struct mt_route_indexes *x = &c->routes;
	uint32_t *room;

	if (x->n < SWEEP_MIN || x->n < 2 * x->n_named)
		return;
	/* Every number is in use or free: the list never needs more places than there are numbers. */
	room = realloc(x->free, sizeof(*room) * (x->next + 1));
	if (!room)
		return;
	x->free = room;
	if (c->current)
		mark_snapshot(x, c->current);
	for (const struct mt_snap *s = c->retired; s; s = s->next)
		mark_snapshot(x, &s->pub);
	drop_unnamed(x);
}

void mt_route_indexes_fini(struct mt_route_indexes *x)
{
	free(x->v);
	free(x->slots);
	free(x->free);
	*x = (struct mt_route_indexes){0};
}
