/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Announcements: gratuitous ARP (a request whose sender and target are the announced address, RFC
 * 5227 §2.3) and unsolicited neighbour advertisements (RFC 4861 §7.2.6) for new addresses. Each is
 * sent twice, a second apart, at most PER_TURN in a loop iteration. Addresses that were already
 * there before a change are not announced again.
 */
#include "mt_net_priv.h"

#define ROUNDS	    2
#define ROUND_GAP   (1 * MT_SEC)
#define PER_TURN    16
#define SLICE_GAP   (1 * MT_MSEC)
#define ND_OVERRIDE 0x20000000u

static void announce(struct mt_netw *w, const struct net_addr *a)
{
	static const struct mt_addr all_nodes = {.b = {0xff, 0x02, [15] = 1}};
	uint16_t port = a->port;

	if (!a->fresh)
		return;
	if (port == MT_NET_PORT_NONE) {
		const struct net_route *r = net_connected(w->table, &a->addr, MT_NET_PORT_NONE);

		if (!r)
			return;
		port = r->port;
	}
	net_count(w, MT_NET_announced);
	if (mt_addr_is4(&a->addr))
		net_arp_send(w, port, RTE_ARP_OP_REQUEST, NULL, &a->addr, &a->addr, NULL);
	else
		net_nd_advertise(w, port, &a->addr, &all_nodes, NULL, ND_OVERRIDE);
}

/* Own addresses first (after a change of the table), then VIPs, as one list. */
static const struct net_addr *nth(const struct mt_netw *w, uint32_t i)
{
	const struct net_set *own = &w->table->own;

	if (w->owner->announce_own && i < own->n)
		return &own->list[i];
	i -= w->owner->announce_own ? own->n : 0;
	return i < w->vips->n ? &w->vips->list[i] : NULL;
}

static void restart(struct mt_netw *w)
{
	struct net_owner *o = w->owner;

	/* If a round that covered own addresses was cut short, the new one covers them too. */
	o->announce_own =
		w->table->gen != o->table_seen || (o->announce_own && o->announce_at != MT_NEVER);
	o->table_seen = w->table->gen;
	o->conf_seen = w->conf;
	o->announce_at = w->now;
	o->announce_next = o->announce_round = 0;
}

void net_announce_tick(struct mt_netw *w)
{
	struct net_owner *o = w->owner;

	if (mt_unlikely(w->conf != o->conf_seen))
		restart(w);
	if (mt_likely(w->now < o->announce_at))
		return;
	for (int n = 0; n < PER_TURN; n++) {
		const struct net_addr *a = nth(w, o->announce_next++);

		if (a) {
			announce(w, a);
			continue;
		}
		o->announce_next = 0;
		o->announce_at = w->now + ROUND_GAP;
		if (++o->announce_round < ROUNDS)
			return;
		o->announce_at = MT_NEVER;
		atomic_store_explicit(&w->net->announced, o->conf_seen, memory_order_release);
		return;
	}
	o->announce_at = w->now + SLICE_GAP;
}
