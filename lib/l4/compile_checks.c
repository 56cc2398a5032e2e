/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints of a set and how they are checked for health. */
#include "mt_l4_priv.h"
#include "mt_strmap.h"

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

/* Owners of a set's checks, and their places. */
struct owners {
	struct mt_strmap known; /* place + 1 */
	bool taken[OWNERS];
	uint32_t n;
};

static uint32_t hash_of(const char *owner)
{
	return (uint32_t)(mt_balance_hash(owner, strlen(owner), 0) % OWNERS);
}

/* A place by the owner's hash, so that it is mostly the same in the next set. */
static int take_place(struct owners *o, const char *owner, uint32_t *place)
{
	*place = hash_of(owner);
	while (o->taken[*place])
		*place = (*place + 1) % OWNERS;
	o->taken[*place] = true;
	o->n++;
	return mt_strmap_put(&o->known, owner, (void *)(uintptr_t)(*place + 1), NULL);
}

/*
 * Connections have their own queues: only these need one of the places. When all places are taken,
 * other owners share that of their hash. 0 or -ENOMEM.
 */
static int queue_of(struct owners *o, const struct mt_l4_service_conf *c, uint16_t *queue)
{
	const char *owner = c->owner ? c->owner : "";
	uintptr_t known = (uintptr_t)mt_strmap_get(&o->known, owner);
	uint32_t place = known ? (uint32_t)(known - 1) : hash_of(owner);
	int rc = known || o->n == OWNERS ? 0 : take_place(o, owner, &place);

	*queue = (uint16_t)(place * 2 + (c->check.kind == MT_L4_CHECK_TCP));
	return rc;
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

static void add_checks(struct mt_l4_set *s, const struct mt_l4_service_conf *v, uint16_t queue)
{
	for (uint32_t k = 0; k < v->n_endpoints; k++) {
		const struct mt_l4_endpoint_conf *e = &v->endpoints[k];

		if (!is_checked(v, e))
			continue;
		MT_ASSERT(e->health.index < MT_L4_INDEXES_MAX && v->check.interval_ms &&
			  v->check.failures);
		s->checks[s->n_checks++] = (struct mt_l4_check){
			e->addr, e->port, v->check, e->health, v->cluster, queue};
	}
}

int l4_checks_list(struct mt_l4_set *s, const struct mt_l4_conf *c)
{
	struct owners owners = {.n = 0};
	int rc = 0;

	for (uint32_t i = 0; !rc && i < c->n_services; i++) {
		const struct mt_l4_service_conf *v = &c->services[i];
		uint16_t queue;

		rc = queue_of(&owners, v, &queue);
		if (!rc && !v->closed)
			add_checks(s, v, queue);
	}
	mt_strmap_fini(&owners.known);
	qsort(s->checks, s->n_checks, sizeof(*s->checks), by_queue);
	find_ranges(s);
	return rc;
}
