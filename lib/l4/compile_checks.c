/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints of a set and how they are checked for health. */
#include "mt_l4_priv.h"

#include <stdlib.h>

static bool is_checked(const struct mt_l4_service_conf *c, const struct mt_l4_endpoint_conf *e)
{
	return c->check.kind != MT_L4_CHECK_NONE && e->health.unhealthy;
}

struct mt_l4_endpoint l4_endpoint_of(
	const struct mt_l4_service_conf *c, const struct mt_l4_endpoint_conf *e)
{
	bool checked = is_checked(c, e);

	return (struct mt_l4_endpoint){.addr = e->addr,
		.port = e->port,
		.part = e->part,
		.index = checked ? e->health.index : UINT32_MAX,
		.unhealthy = checked ? e->health.unhealthy : NULL};
}

#define OWNERS (MT_L4_CHECK_QUEUES / 2)

/* A place for the owner, by its hash, so that it is mostly the same in the next set. */
static uint32_t place_of(const char *owners[OWNERS], const char *owner)
{
	uint32_t first = (uint32_t)(mt_balance_hash(owner, strlen(owner), 0) % OWNERS);

	for (uint32_t i = 0; i < OWNERS; i++) {
		uint32_t at = (first + i) % OWNERS;

		if (!owners[at])
			owners[at] = owner;
		if (strcmp(owners[at], owner) == 0)
			return at;
	}
	return first;
}

/* Connections have their own queues: only these need one of the places. */
static uint16_t queue_of(const char *owners[OWNERS], const struct mt_l4_service_conf *c)
{
	uint32_t place = place_of(owners, c->owner ? c->owner : "");

	return (uint16_t)(place * 2 + (c->check.kind == MT_L4_CHECK_TCP));
}

static int by_queue(const void *a, const void *b)
{
	const struct mt_l4_check *x = a, *y = b;

	if (x->queue != y->queue)
		return x->queue < y->queue ? -1 : 1;
	return (x->health.index > y->health.index) - (x->health.index < y->health.index);
}

static void find_ranges(struct mt_l4_set *s)
{
	for (uint32_t i = 0; i < s->n_checks; i++) {
		if (i == 0 || s->checks[i].queue != s->checks[i - 1].queue)
			s->check_ranges[s->n_check_ranges++] =
				(struct mt_l4_check_range){i, 0, s->checks[i].queue};
		s->check_ranges[s->n_check_ranges - 1].n++;
	}
}

void l4_checks_list(struct mt_l4_set *s, const struct mt_l4_conf *c)
{
	const char *owners[OWNERS] = {NULL};

	for (uint32_t i = 0; i < c->n_services; i++) {
		const struct mt_l4_service_conf *v = &c->services[i];
		uint16_t queue = queue_of(owners, v);

		for (uint32_t k = 0; !v->closed && k < v->n_endpoints; k++) {
			const struct mt_l4_endpoint_conf *e = &v->endpoints[k];

			if (!is_checked(v, e))
				continue;
			MT_ASSERT(e->health.index < MT_L4_INDEXES_MAX && v->check.interval_ms &&
				  v->check.failures);
			s->checks[s->n_checks++] = (struct mt_l4_check){
				e->addr, e->port, v->check, e->health, v->cluster, queue};
		}
	}
	qsort(s->checks, s->n_checks, sizeof(*s->checks), by_queue);
	find_ranges(s);
}
