/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-way modes: only packets to the endpoint pass this node, and nothing of them changes but the
 * TTL, which falls by 1 so that packets cannot loop (as in IPVS). Tunnels put a header before them.
 * The odd entry of a flow is not in the table; its key names the endpoint.
 *
 * - Any node finds the endpoint of a packet by its hash, so a packet without a flow is forwarded,
 *   never refused. A flow keeps its endpoint when others come and go.
 * - The node sees no reply, so a second packet proves nothing about the client, and forged clients
 *   could hold the places of modes with replies. A flow is therefore kept only while its packets
 *   would go to another endpoint without it, from its second packet on, of TCP from its second
 *   segment after the SYN. That is so after a change of endpoints or of their health, which clients
 *   do not cause, and shares of the table (share.c) bound it. Other flows evict none, and are the
 *   first to give way: when all places are taken, their packets are sent without a flow.
 * - States of TCP follow the client's segments alone: SYN_SENT, ESTABLISHED from a segment without
 *   SYN on, HALF_CLOSED from its FIN, RESET. A reset may be forged, so a later segment restores
 *   ESTABLISHED, and until then only the flow's place in the table is at stake.
 * - ICMP errors about packets of the endpoint come to the VIP, so to this node. They go on to the
 *   endpoint that a packet of the quoted flow would go to, or path MTU discovery would fail. Their
 *   rate is limited, apart for those without a flow here, because these are easily forged.
 */
#include "mt_l4_priv.h"

#include <rte_tcp.h>

static uint16_t length_of(const struct rte_mbuf *m)
{
	return (uint16_t)(m->pkt_len - m->l2_len);
}

/* ---- sending ------------------------------------------------------------------------------- */

static void take_hop(struct rte_mbuf *m)
{
	void *l3 = rte_pktmbuf_mtod_offset(m, void *, m->l2_len);

	if (mt_likely(RTE_ETH_IS_IPV4_HDR(m->packet_type))) {
		struct rte_ipv4_hdr *ip = l3;

		ip->time_to_live--;
		/* The TTL is the first byte of its word. */
		ip->hdr_checksum =
			l4_adjusted(ip->hdr_checksum, (uint16_t)~rte_cpu_to_be_16(0x0100));
	} else {
		((struct rte_ipv6_hdr *)l3)->hop_limits--;
	}
}

static void count_bytes(struct mt_l4 *l, uint32_t service, const struct rte_mbuf *m)
{
	mt_count(l->stats[service].packets, 0);
	mt_count_n(&l->stats[service].bytes, 0, length_of(m));
}

static mt_inline uint16_t overhead_of(enum mt_l4_mode mode, const struct rte_mbuf *m)
{
	return l4_overhead(mode, RTE_ETH_IS_IPV4_HDR(m->packet_type) != 0);
}

static bool pass_on(
	struct mt_l4 *l, struct rte_mbuf *m, struct l4_hop *hop, const struct l4_way *way)
{
	take_hop(m);
	if (way->mode != MT_L4_DSR && mt_unlikely(!l4_encapsulate(l, m, hop, way)))
		return false;
	return mt_net_forward(l->net, m, &hop->dst);
}

/* ---- packets of a flow --------------------------------------------------------------------- */

/* The endpoint of packets without a flow, as any node chooses it. */
static const struct mt_l4_endpoint *home_of(
	const struct mt_l4 *l, const struct mt_l4_group *g, const struct l4_key *in)
{
	uint64_t hash = l4_choice_hash(in, g->by_source);

	return &g->endpoints[l4_key_proto(in) == IPPROTO_TCP ? l4_slot_of_rest(g, hash, l->now)
							     : mt_l4_choose(g, hash)];
}

/* True if packets without a flow go there, also when the table before a change is forgotten. */
static bool is_home(const struct mt_l4 *l, const struct mt_l4_group *g, const struct l4_key *in,
	const struct mt_l4_endpoint *to)
{
	uint64_t hash = l4_choice_hash(in, g->by_source);

	return to == home_of(l, g, in) &&
	       (l4_key_proto(in) != IPPROTO_TCP || to == &g->endpoints[l4_slot(g, hash)]);
}

bool l4_is_home(const struct mt_l4 *l, uint32_t pair)
{
	const struct mt_l4_row *r;
	const struct mt_l4_endpoint *to = l4_endpoint_now(l, pair, &r);

	return to && is_home(l, r->group, &l->entries[2 * pair].key, to);
}

static void set_plain(struct mt_l4 *l, uint32_t pair, bool settled)
{
	struct l4_entry *e = &l->entries[2 * pair];
	bool plain = settled && (l4_key_proto(&e->key) == IPPROTO_UDP ||
					l->tcp[pair].state == MT_L4_ESTABLISHED);

	e->service = (e->service & ~L4_ONE_WAY_PLAIN) | (plain ? L4_ONE_WAY_PLAIN : 0);
}

static enum mt_l4_state next_state(enum mt_l4_state state, uint8_t flags)
{
	if (flags & RTE_TCP_RST_FLAG)
		return MT_L4_RESET;
	if (flags & RTE_TCP_SYN_FLAG)
		/* The endpoint of an open connection sends a challenge ACK (RFC 5961 §4). */
		return state == MT_L4_ESTABLISHED ? state : MT_L4_SYN_SENT;
	if (flags & RTE_TCP_FIN_FLAG)
		return MT_L4_HALF_CLOSED;
	return state == MT_L4_HALF_CLOSED ? state : MT_L4_ESTABLISHED;
}

/* Notes a packet that may change its flow. */
static void note(struct mt_l4 *l, const struct rte_mbuf *m, uint32_t pair)
{
	struct l4_entry *e = &l->entries[2 * pair];
	bool tcp = l4_has_tcp(m), open = true, settled = e[1].service & L4_KEPT;

	if (tcp) {
		struct l4_tcp *t = &l->tcp[pair];

		open = t->state == MT_L4_ESTABLISHED;
		t->state = (uint8_t)next_state((enum mt_l4_state)t->state, l4_tcp_flags(m));
		if (t->state == MT_L4_RESET && settled) {
			l4_unkeep(l, pair);
			settled = false;
		}
	}
	if (open && e->packets && !settled && (!tcp || l->tcp[pair].state != MT_L4_RESET))
		settled = l4_one_way_settle(l, pair);
	set_plain(l, pair, settled);
}

bool l4_one_way_settle(struct mt_l4 *l, uint32_t pair)
{
	if (!l4_is_home(l, pair))
		return l4_keep(l, pair);
	l->entries[2 * pair + 1].service |= L4_CONFIRMED;
	return true;
}

/* That of a flow. Of IPv4, its own entry has it, so that a packet touches one line only. */
static struct mt_addr endpoint_of(const struct l4_entry *e)
{
	return l4_key_is6(&e->key) ? l4_key_src(&e[1].key) : mt_addr4(e->v4.dst);
}

bool l4_one_way(struct mt_l4 *l, struct rte_mbuf *m, uint32_t idx, bool plain)
{
	struct l4_entry *e = &l->entries[idx];
	enum mt_l4_mode mode = (enum mt_l4_mode)e->mode;
	struct l4_way way = {.mode = mode, .in = &e->key, .service = e->service & L4_SERVICE};
	const struct mt_net_dst *dst;

	dst = l4_way_out(l, m, idx, overhead_of(mode, m));
	if (mt_unlikely(!dst))
		return false;
	if (mt_unlikely(!plain))
		note(l, m, idx / 2);
	e->seen = l->tick;
	e->packets++;
	count_bytes(l, way.service, m);
	way.endpoint = endpoint_of(e);
	return pass_on(l, m, mt_container_of(dst, struct l4_hop, dst), &way);
}

/* ---- packets without a flow ---------------------------------------------------------------- */

static void send_without_flow(
	struct mt_l4 *l, struct rte_mbuf *m, struct l4_hop *hop, const struct l4_way *way)
{
	l4_count(l, MT_L4_without_flow);
	count_bytes(l, way->service, m);
	if (pass_on(l, m, hop, way))
		l4_count(l, MT_L4_forwarded);
}

static uint32_t add(struct mt_l4 *l, const struct l4_pkt *p, const struct mt_l4_row *r,
	const struct mt_l4_endpoint *to)
{
	struct mt_addr client = l4_key_src(&p->key);
	struct l4_key back = l4_make_key(
		&to->addr, to->port, &client, l4_key_sport(&p->key), l4_key_proto(&p->key));

	return l4_add_one_way(l, &p->key, &back, r->service, (enum mt_l4_mode)r->mode);
}

/* True if a flow helps the packet's successors, or costs no other flow its place. */
static bool is_worth_a_flow(const struct mt_l4 *l, const struct l4_pkt *p,
	const struct mt_l4_row *r, const struct mt_l4_endpoint *to)
{
	/* A later fragment may be one of a reset. */
	if (l4_key_is_tcp(&p->key) && (!l4_has_tcp(p->m) || l4_tcp_flags(p->m) & RTE_TCP_RST_FLAG))
		return false;
	return !l4_is_crowded(l) || !is_home(l, r->group, &p->key, to);
}

uint32_t l4_one_way_new(struct mt_l4 *l, struct l4_pkt *p, const struct mt_l4_row *r,
	const struct mt_l4_endpoint *to)
{
	const struct l4_way way = {(enum mt_l4_mode)r->mode, to->addr, &p->key, r->service};
	struct l4_hop hop = {.name = 0};
	bool tcp = l4_key_is_tcp(&p->key);
	uint32_t idx = L4_NONE;

	if (!l4_reaches(l, p->m, &way, &hop.dst))
		return L4_NONE;
	if (p->leaves)
		l4_left(l, p->leaves - 1);
	if (is_worth_a_flow(l, p, r, to))
		idx = add(l, p, r, to);
	if (idx == L4_NONE) {
		send_without_flow(l, p->m, &hop, &way);
		return L4_NONE;
	}
	if (tcp) {
		l->tcp[idx / 2] = (struct l4_tcp){.state = MT_L4_SYN_SENT};
		mt_count_n(l->counters, MT_L4_flows_adopted, !p->opens);
	}
	(void)l4_set_hop(l, idx, &hop.dst);
	return idx;
}

/* ---- ICMP errors --------------------------------------------------------------------------- */

/* The endpoint of a flow that the table does not have. False: its port has no one-way mode. */
static bool choose(const struct mt_l4 *l, const struct l4_key *in, struct l4_way *way)
{
	struct mt_addr client = l4_key_src(in), vip = l4_key_dst(in);
	const struct mt_l4_row *r =
		l->set ? mt_l4_row(l->set, &vip, l4_key_dport(in), l4_key_proto(in)) : NULL;
	const struct mt_l4_endpoint *to;
	uint32_t rule;

	if (!r || !mt_l4_is_one_way((enum mt_l4_mode)r->mode) || !r->group ||
		l4_may_begin(r, &client, &rule) != MT_L4_N_OUTCOMES)
		return false;
	to = home_of(l, r->group, in);
	if (!to->port || !l4_is_let_through(to, &client))
		return false;
	way->mode = (enum mt_l4_mode)r->mode;
	way->endpoint = to->addr;
	way->service = r->service;
	return true;
}

bool l4_one_way_icmp(struct mt_l4 *l, struct rte_mbuf *m, const struct l4_key *in, uint32_t idx)
{
	struct l4_hop hop = {.name = 0};
	struct l4_way way = {.in = in};

	if (idx == L4_NONE) {
		if (!choose(l, in, &way))
			return false;
	} else if (l->entries[idx].service & L4_ONE_WAY) {
		way.mode = l4_mode_of(&l->entries[idx]);
		way.endpoint = endpoint_of(&l->entries[idx]);
		way.service = l->entries[idx].service & L4_SERVICE;
	} else {
		return false;
	}
	/* An error that waited for a neighbour was charged when it arrived. */
	if (!l->park_until && !mt_net_may_pass_error(l->net, idx != L4_NONE)) {
		l4_free(l, m);
		return true;
	}
	/* No error is sent about an error (RFC 1122 §3.2.2). */
	if (l4_hops_left(m) <= 1)
		l4_lose(l, m, MT_L4_ttl_exceeded, way.service);
	else if (l4_reaches(l, m, &way, &hop.dst) && pass_on(l, m, &hop, &way))
		l4_count(l, MT_L4_icmp_to_endpoint);
	return true;
}
