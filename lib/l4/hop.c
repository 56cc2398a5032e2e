/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Next hops. Flows share a small cache of them: an entry names a place and its stamp, which changes
 * whenever the place gets another content or routes and neighbours change. Stamps repeat after four
 * million contents of a place: hops that share one may change it with each packet.
 *
 * A packet waits at most a second for a neighbour that is being resolved. A neighbour that does not
 * answer must not keep packets for others from waiting, so each has a share of the places, and so
 * have replies to a link of the node: their clients may be forged, any number of them.
 */
#include "mt_l4_priv.h"

#include <string.h>

#define WAIT MT_SEC

static struct mt_addr new_destination(const struct mt_l4 *l, uint32_t idx)
{
	/* The reverse of the other direction's key. */
	return l4_key_src(&l->entries[idx ^ 1].key);
}

/* A neighbour's entry may be another one's, with another Ethernet address, before `gen` changes. */
static bool is_same(const struct mt_net_dst *a, const struct mt_net_dst *b)
{
	return a->neigh == b->neigh && a->mtu == b->mtu && a->port == b->port && a->gen == b->gen &&
	       memcmp(a->l2, b->l2, RTE_ETHER_ADDR_LEN) == 0;
}

/*
 * The place of a hop: one of a set, so that hops hardly ever displace each other while they are
 * used. The MTU is part of the hash, because it may differ by destination.
 */
static struct l4_hop *place(struct mt_l4 *l, const struct mt_net_dst *dst)
{
	/* The upper bits of the product depend on all bits of the number. */
	uint32_t h = (dst->neigh * 31 + dst->mtu) * 0x9e3779b9u >> (32 - L4_HOP_BITS);
	struct l4_hop *set = &l->hops[h & ~(L4_HOP_WAYS - 1)], *old = NULL;

	for (uint32_t i = 0; i < L4_HOP_WAYS; i++) {
		if (is_same(&set[i].dst, dst))
			return &set[i];
		if (!old && set[i].dst.gen != l->net_gen)
			old = &set[i];
	}
	return old ? old : &set[l->hop_turn++ % L4_HOP_WAYS];
}

static bool may_park(const struct mt_l4 *l, uint32_t hop, bool reply)
{
	uint32_t same = 0, replies = 0;

	for (uint32_t i = 0; i < l->n_parked; i++) {
		same += l->parked[i].hop == hop;
		replies += l->parked[i].reply;
	}
	return l->n_parked < L4_PARKED && same < L4_PARKED_HOP &&
	       (!reply || replies < L4_PARKED_REPLIES);
}

void l4_park(struct mt_l4 *l, struct rte_mbuf *m, uint32_t hop, bool reply, uint32_t service)
{
	uint64_t until = l->park_until ? l->park_until : l->now + WAIT;

	if (l->now >= until || !may_park(l, hop, reply)) {
		l4_lose(l, m, MT_L4_neighbour_unknown, service);
		return;
	}
	if (!l->park_until)
		l4_count(l, MT_L4_neighbour_wait);
	l->parked[l->n_parked++] = (struct l4_parked){m, until, hop, reply};
}

static uint32_t next_name(uint32_t name, uint32_t place)
{
	uint32_t stamp = (name >> L4_HOP_BITS) + 1;

	/* No flow has the stamp 0. */
	stamp += stamp >> (32 - L4_HOP_BITS);
	return stamp << L4_HOP_BITS | place;
}

const struct mt_net_dst *l4_set_hop(struct mt_l4 *l, uint32_t idx, const struct mt_net_dst *dst)
{
	struct l4_entry *e = &l->entries[idx];
	struct l4_hop *h = place(l, dst);

	if (!is_same(&h->dst, dst)) {
		h->dst = *dst;
		h->has_source = false;
		h->name = next_name(h->name, (uint32_t)(h - l->hops));
	}
	e->hop = h->name;
	return &h->dst;
}

/* MT_L4_DSR keeps the destination's address, with which a router would send the packet back. */
static bool may_use(const struct mt_l4 *l, uint32_t idx, const struct mt_net_dst *dst)
{
	const struct l4_entry *e = &l->entries[idx];

	return dst->on_link || !(e->service & L4_ONE_WAY) || e->mode != MT_L4_DSR;
}

mt_noinline bool l4_is_too_long(
	const struct mt_l4 *l, const struct rte_mbuf *m, const struct mt_net_dst *dst, uint32_t len)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, const void *, m->l2_len);

	if (!RTE_ETH_IS_IPV4_HDR(m->packet_type) ||
		ip->fragment_offset & rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG))
		return true;
	return len > mt_net_port_mtu(l->net, dst);
}

mt_noinline const struct mt_net_dst *l4_resolve(struct mt_l4 *l, struct rte_mbuf *m, uint32_t idx)
{
	struct mt_addr to = new_destination(l, idx);
	struct mt_net_dst dst = {0};
	bool reply = idx & 1;

	switch (reply ? mt_net_route_guest(l->net, &to, &dst)
		      : mt_net_route(l->net, NULL, &to, &dst)) {
	case MT_NET_SENT:
		if (mt_likely(may_use(l, idx, &dst)))
			return l4_set_hop(l, idx, &dst);
		l4_drop(l, m, MT_L4_not_on_link);
		return NULL;
	case MT_NET_WAIT:
		l4_park(l, m, dst.neigh, reply && dst.on_link,
			l->entries[idx].service & L4_SERVICE);
		return NULL;
	default:
		l4_lose(l, m, MT_L4_no_route, l->entries[idx].service & L4_SERVICE);
		return NULL;
	}
}

/* An ICMP error gets no answer (RFC 1122 §3.2.2). */
mt_noinline void l4_refuse_too_big(
	struct mt_l4 *l, struct rte_mbuf *m, const struct mt_net_dst *dst, uint16_t overhead)
{
	if ((m->packet_type & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_ICMP)
		l4_drop(l, m, MT_L4_too_big);
	else
		l4_refuse(
			l, m, MT_L4_too_big, MT_NET_ERROR_TOO_BIG, (uint16_t)(dst->mtu - overhead));
}

bool l4_reaches(
	struct mt_l4 *l, struct rte_mbuf *m, const struct l4_way *way, struct mt_net_dst *dst)
{
	uint16_t overhead = l4_overhead(way->mode, RTE_ETH_IS_IPV4_HDR(m->packet_type) != 0);
	enum mt_net_result rc = mt_net_route(l->net, NULL, &way->endpoint, dst);

	if (rc != MT_NET_SENT && rc != MT_NET_WAIT) {
		l4_lose(l, m, MT_L4_no_route, way->service);
		return false;
	}
	if (way->mode == MT_L4_DSR && !dst->on_link) {
		l4_drop(l, m, MT_L4_not_on_link);
		return false;
	}
	if (l4_is_too_big(l, m, dst, m->pkt_len - m->l2_len + overhead)) {
		l4_refuse_too_big(l, m, dst, overhead);
		return false;
	}
	if (rc == MT_NET_WAIT)
		l4_park(l, m, dst->neigh, false, way->service);
	return rc == MT_NET_SENT;
}

void l4_retry(struct mt_l4 *l)
{
	struct l4_parked waiting[L4_PARKED];
	uint32_t n = l->n_parked;

	if (mt_likely(n == 0) || l->now - l->retried < L4_RETRY)
		return;
	l->retried = l->now;
	memcpy(waiting, l->parked, n * sizeof(waiting[0]));
	l->n_parked = 0;
	for (uint32_t i = 0; i < n; i++) {
		l->park_until = waiting[i].until;
		mt_l4_input(l, &waiting[i].m, 1);
	}
	l->park_until = 0;
}
