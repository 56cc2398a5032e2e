/* SPDX-License-Identifier: Apache-2.0 */
/* Next hops, and the output of TCP segments. */
#include "mt_net_priv.h"

#include <string.h>

#include <rte_tcp.h>

/*
 * False for the network and directed broadcast addresses of a connected IPv4 network, and IPv6
 * groups.
 */
static bool is_host(const struct net_route *r, const struct mt_addr *a)
{
	uint32_t bits;

	if (!r->is4)
		return a->b[0] != 0xff;
	if (r->prefix > 30 || !r->connected)
		return true;
	bits = rte_be_to_cpu_32(mt_addr_v4(a)) & (UINT32_MAX >> r->prefix);
	return bits != 0 && bits != UINT32_MAX >> r->prefix;
}

/* True if the address can be a destination at all. */
static bool is_unicast(const struct mt_addr *a)
{
	uint8_t first = a->b[12];

	if (!mt_addr_is4(a))
		return a->b[0] != 0xff && !mt_addr_is_zero(a);
	return first != 0 && first != 127 && (first < 224 || first >= 240) &&
	       mt_addr_v4(a) != UINT32_MAX;
}

static enum mt_net_result refuse(struct mt_netw *w, struct mt_net_dst *dst, enum mt_net_outcome why)
{
	dst->l2len = 0;
	dst->gen = 0;
	net_count(w, why);
	return MT_NET_NO_ROUTE;
}

/* Returns the route, and fills dst except for the neighbour and the L2 header; NULL: no route. */
static const struct net_route *find_route(
	struct mt_netw *w, const struct mt_addr *remote, struct mt_net_dst *dst)
{
	const struct net_route *r = net_lookup(w->table, remote);

	if (!r || !is_unicast(remote) || !is_host(r, remote) || net_is_ours(w, remote))
		return NULL;
	dst->port = r->port;
	dst->mtu = net_pmtu(
		w, remote, __atomic_load_n(&w->net->ports[r->port]->mtu, __ATOMIC_RELAXED));
	dst->gen = w->gen;
	dst->l2len = 0;
	dst->on_link = r->connected;
	return r;
}

static void write_l2(struct mt_netw *w, const struct mt_addr *remote,
	const struct rte_ether_addr *mac, struct mt_net_dst *dst)
{
	dst->l2len = net_l2_write(w, dst->port, mac,
		mt_addr_is4(remote) ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6, dst->l2);
}

static enum mt_net_result route(
	struct mt_netw *w, const struct mt_addr *remote, uint32_t ways, struct mt_net_dst *dst)
{
	const struct net_route *r = find_route(w, remote, dst);
	const struct mt_addr *hop;
	struct rte_ether_addr mac;
	uint64_t word;

	if (!r)
		return refuse(w, dst, MT_NET_no_route);
	hop = r->connected ? remote : &r->via;
	/* No client can make up a router. */
	if (!r->connected)
		ways = NET_NEIGH_WAYS;
	dst->neigh = net_neigh_get(w->net, r->port, hop, ways, &word);
	if (mt_unlikely(dst->neigh == NET_NEIGH_NONE))
		return refuse(w, dst, MT_NET_neigh_full);
	net_neigh_need(w->net, dst->neigh, ways);
	if (mt_unlikely(!neigh_usable(word))) {
		if (neigh_state(word) == NEIGH_FAILED)
			return refuse(w, dst, MT_NET_neigh_still_failed);
		/* lib/l4 tries again by itself, and a flood of guests would fill the list. */
		if (ways != NET_NEIGH_GUEST_WAYS)
			net_neigh_wait(w, dst->neigh, word);
		return MT_NET_WAIT;
	}
	net_neigh_cache(w, dst->neigh, word);
	neigh_mac(word, &mac);
	write_l2(w, remote, &mac, dst);
	return MT_NET_SENT;
}

enum mt_net_result mt_net_route(struct mt_netw *w, const struct mt_addr *local,
	const struct mt_addr *remote, struct mt_net_dst *dst)
{
	return route(w, remote, NET_NEIGH_WAYS, dst);
}

enum mt_net_result mt_net_route_stream(
	struct mt_netw *w, const struct mt_tuple *t, struct mt_net_dst *dst)
{
	return route(w, &t->remote, t->entry ? NET_NEIGH_CLIENT_WAYS : NET_NEIGH_WAYS, dst);
}

enum mt_net_result mt_net_route_guest(
	struct mt_netw *w, const struct mt_addr *remote, struct mt_net_dst *dst)
{
	return route(w, remote, NET_NEIGH_GUEST_WAYS, dst);
}

enum mt_net_result mt_net_tx_ready(
	struct mt_netw *w, const struct mt_tuple *t, struct mt_net_dst *dst, uint32_t *room)
{
	if (mt_unlikely(dst->gen != w->gen || dst->l2len == 0)) {
		enum mt_net_result rc = mt_net_route_stream(w, t, dst);

		if (rc != MT_NET_SENT)
			return rc;
	}
	*room = mt_net_tx_room(w, dst->port);
	if (mt_likely(*room))
		return MT_NET_SENT;
	net_count(w, MT_NET_tx_busy);
	return MT_NET_BUSY;
}

/* Uses the neighbour of the route to `remote`, otherwise the station that sent `in`. */
static enum mt_net_result way_back(struct mt_netw *w, const struct rte_mbuf *in,
	const struct mt_addr *remote, struct mt_net_dst *dst)
{
	const struct net_route *r = find_route(w, remote, dst);
	struct rte_ether_addr mac;
	uint64_t word;

	if (!r)
		return refuse(w, dst, MT_NET_no_route);
	dst->neigh = net_neigh_find(w->net, r->port, r->connected ? remote : &r->via, &word);
	if (mt_likely(dst->neigh != NET_NEIGH_NONE && neigh_usable(word))) {
		net_neigh_cache(w, dst->neigh, word);
		neigh_mac(word, &mac);
		write_l2(w, remote, &mac, dst);
		return MT_NET_SENT;
	}
	if (!in)
		return MT_NET_WAIT;
	memcpy(&mac, rte_pktmbuf_mtod(in, const struct net_ether *)->src, sizeof(mac));
	if (!rte_is_unicast_ether_addr(&mac) || rte_is_zero_ether_addr(&mac))
		return MT_NET_WAIT;
	net_count(w, MT_NET_answered_back);
	dst->port = in->port;
	dst->neigh = NET_NEIGH_NOBODY;
	write_l2(w, remote, &mac, dst);
	return MT_NET_SENT;
}

enum mt_net_result mt_net_route_back(struct mt_netw *w, const struct rte_mbuf *in,
	const struct mt_addr *remote, struct mt_net_dst *dst)
{
	enum mt_net_result rc = way_back(w, in, remote, dst);

	if (rc == MT_NET_SENT && mt_unlikely(!net_tx_other_room(w, dst->port)))
		return MT_NET_BUSY;
	return rc;
}

bool mt_net_source_addr(
	const struct mt_netw *w, const struct mt_addr *remote, uint64_t rnd, struct mt_addr *local)
{
	const struct net_table *t = w->table;
	const struct net_route *r = net_lookup(t, remote);
	bool is4 = mt_addr_is4(remote);
	const struct net_addr *a;

	if (!r)
		return false;
	for (uint32_t i = 0; i < t->n_sources; i++) {
		a = &t->own.list[t->own.n - t->n_sources + (rnd + i) % t->n_sources];
		if (mt_addr_is4(&a->addr) == is4) {
			*local = a->addr;
			return true;
		}
	}
	a = net_port_addr(t, r->port, r->connected ? remote : &r->via);
	/*
	 * A gateway is often named by its link-local address, but a link-local source is useless
	 * beyond the link.
	 */
	if (a && !r->connected && !is4 && mt_addr_is_link_local(&a->addr))
		a = net_port_addr(t, r->port, remote);
	if (a)
		*local = a->addr;
	return a != NULL;
}

static void write_ip4(
	struct rte_mbuf *m, const struct mt_tuple *t, uint8_t tos, uint8_t ttl, bool offload)
{
	uint16_t len = (uint16_t)(m->pkt_len + sizeof(struct rte_ipv4_hdr));
	struct rte_ipv4_hdr *ip =
		(struct rte_ipv4_hdr *)rte_pktmbuf_prepend(m, sizeof(struct rte_ipv4_hdr));

	ip->version_ihl = RTE_IPV4_VHL_DEF;
	ip->type_of_service = tos;
	ip->total_length = rte_cpu_to_be_16(len);
	ip->packet_id = 0; /* RFC 6864: has no meaning with DF */
	ip->fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG);
	ip->time_to_live = ttl;
	ip->next_proto_id = IPPROTO_TCP;
	ip->hdr_checksum = 0;
	ip->src_addr = mt_addr_v4(&t->local);
	ip->dst_addr = mt_addr_v4(&t->remote);
	if (!offload)
		ip->hdr_checksum = (uint16_t)~net_sum(ip, sizeof(*ip));
}

static void write_ip6(struct rte_mbuf *m, const struct mt_tuple *t, uint8_t tos, uint8_t ttl)
{
	uint16_t len = (uint16_t)m->pkt_len;
	struct rte_ipv6_hdr *ip =
		(struct rte_ipv6_hdr *)rte_pktmbuf_prepend(m, sizeof(struct rte_ipv6_hdr));

	ip->vtc_flow = rte_cpu_to_be_32(6u << 28 | (uint32_t)tos << 20);
	ip->payload_len = rte_cpu_to_be_16(len);
	ip->proto = IPPROTO_TCP;
	ip->hop_limits = ttl;
	memcpy(ip->src_addr, &t->local, sizeof(ip->src_addr));
	memcpy(ip->dst_addr, &t->remote, sizeof(ip->dst_addr));
}

/* Fills in the TCP checksum, or the pseudo header's sum when the device does the rest. */
static void tcp_cksum(struct rte_mbuf *m, const struct mt_tuple *t, bool is4, bool offload)
{
	struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod(m, struct rte_tcp_hdr *);
	uint32_t len = m->pkt_len;
	uint32_t pseudo;

	if (is4)
		pseudo = net_pseudo4(mt_addr_v4(&t->local), mt_addr_v4(&t->remote), (uint16_t)len);
	else
		pseudo = net_pseudo6(&t->local, &t->remote, len, IPPROTO_TCP);
	tcp->cksum = 0;
	tcp->cksum = offload ? (uint16_t)pseudo : net_cksum(m, 0, len, pseudo);
}

/* Writes all headers in front of the segment, and its checksums. */
static mt_inline void finish(struct mt_netw *w, struct rte_mbuf *m, const struct mt_tuple *t,
	const struct mt_net_dst *dst, uint8_t tos)
{
	const struct mt_port_caps *caps = &w->net->ports[dst->port]->caps;
	bool is4 = mt_addr_is4(&t->remote);
	void *l2;

	tcp_cksum(m, t, is4, caps->tx_cksum_tcp);
	m->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
	if (caps->tx_cksum_tcp)
		m->ol_flags |=
			RTE_MBUF_F_TX_TCP_CKSUM | (is4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6);
	tos |= w->table->tos;
	if (is4) {
		write_ip4(m, t, tos, w->table->hop_limit, caps->tx_cksum_ip);
		if (caps->tx_cksum_ip)
			m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_IPV4;
	} else {
		write_ip6(m, t, tos, w->table->hop_limit);
	}
	m->l2_len = dst->l2len;
	m->l3_len = is4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	l2 = rte_pktmbuf_prepend(m, dst->l2len);
	memcpy(l2, dst->l2, dst->l2len);
	atomic_store_explicit(&w->used[dst->neigh], 1, memory_order_relaxed);
}

void mt_net_output_tcp(struct mt_netw *w, struct rte_mbuf *m, const struct mt_tuple *t,
	const struct mt_net_dst *dst, uint8_t tos)
{
	finish(w, m, t, dst, tos);
	net_tx_put(w, dst->port, NET_LANE_TCP, m);
}

mt_noinline void mt_net_answer_tcp(struct mt_netw *w, struct rte_mbuf *m, const struct mt_tuple *t,
	const struct mt_net_dst *dst)
{
	finish(w, m, t, dst, 0);
	net_tx_put(w, dst->port, NET_LANE_OTHER, m);
}
