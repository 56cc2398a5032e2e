/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds forwarded services of mode `nat` with clients that send while no packet of the endpoints
 * passes the node: replies may take another way, past it, and then reach clients from a wrong
 * address.
 */
#include "mt_ctl_events_priv.h"
#include "mt_ctl_forwarding_priv.h"

#include <stdlib.h>

/* Packets that were seen of a service, by its number. */
struct mt_one_way {
	uint64_t owner;		  /* mt_l4_service.owner; 0: none was seen */
	uint64_t asked, answered; /* packets when the endpoints had answered last */
	uint64_t since;		  /* ns: clients have sent since then; 0: they have not */
};

static void look(struct mt_one_way *l, const struct mt_l4_service *s, const struct mt_l4_stats *st,
	uint64_t now)
{
	if (l->owner != s->owner || l->answered != st->packets[1] || l->asked > st->packets[0])
		*l = (struct mt_one_way){s->owner, st->packets[0], st->packets[1], 0};
	else if (!l->since && l->asked != st->packets[0])
		l->since = now;
}

void mt_events_one_way(struct mt_ctl *c)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(c);
	const struct mt_l4_set *set = snap ? snap->l4 : NULL;
	struct mt_events *e = c->events;

	if (set && !e->one_way)
		e->one_way = calloc(MT_L4_SERVICES_MAX, sizeof(*e->one_way));
	for (uint32_t i = 0; set && e->one_way && i < set->n_services; i++) {
		const struct mt_l4_service *s = &set->services[i];
		struct mt_l4_stats st;

		if (s->mode != MT_L4_NAT)
			continue;
		st = mt_ctl_forwarded(c, s->id);
		look(&e->one_way[s->id], s, &st, c->now);
	}
}

uint64_t mt_events_one_way_for(const struct mt_ctl *c, const struct mt_l4_service *s)
{
	const struct mt_one_way *l =
		c->events && c->events->one_way ? &c->events->one_way[s->id] : NULL;

	if (!l || s->mode != MT_L4_NAT || l->owner != s->owner || !l->since ||
		c->now - l->since < MT_ONE_WAY_NS)
		return 0;
	return c->now - l->since;
}
