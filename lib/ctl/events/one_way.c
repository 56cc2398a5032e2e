/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds forwarded services of mode `nat` with clients that send while no packet of the endpoints
 * passes the node: replies may take another way, past it, and then reach clients from a wrong
 * address.
 */
#include "mt_ctl_events_priv.h"
#include "mt_ctl_forwarding_priv.h"

#include <stdlib.h>

#define ANSWERED_IN MT_SEC /* a packet that was seen may still be answered */

void mt_one_way_look(struct mt_one_way *l, const struct mt_l4_service *s,
	const struct mt_l4_stats *st, uint64_t now)
{
	if (l->owner != s->owner || l->answered != st->packets[1] || l->sent > st->packets[0]) {
		*l = (struct mt_one_way){
			.owner = s->owner, .sent = st->packets[0], .answered = st->packets[1]};
	} else if (l->sent != st->packets[0]) {
		l->sent = st->packets[0];
		if (!l->since)
			l->since = now;
		else if (!l->late && now - l->since >= MT_ONE_WAY_NS)
			l->late = now;
	}
}

uint64_t mt_one_way_ns(const struct mt_one_way *l, uint64_t now)
{
	return l->late && now - l->late >= ANSWERED_IN ? now - l->since : 0;
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
		mt_one_way_look(&e->one_way[s->id], s, &st, c->now);
	}
}

uint64_t mt_events_one_way_for(const struct mt_ctl *c, const struct mt_l4_service *s)
{
	const struct mt_one_way *l =
		c->events && c->events->one_way ? &c->events->one_way[s->id] : NULL;

	if (!l || s->mode != MT_L4_NAT || l->owner != s->owner)
		return 0;
	return mt_one_way_ns(l, c->now);
}
