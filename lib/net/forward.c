/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that lib/l4 forwards: queued for a port, answered by an ICMP error, or taken back. */
#include "mt_net_priv.h"

#include <string.h>

#include <rte_icmp.h>
#include <rte_tcp.h>

static const struct net_error errors[] = {
	[MT_NET_ERROR_TIME] = {11, 0, 3, 0, 0},
	[MT_NET_ERROR_TOO_BIG] = {3, 4, 2, 0, 0},
	[MT_NET_ERROR_PORT] = {3, 3, 1, 4, 0},
	[MT_NET_ERROR_ADMIN] = {3, 13, 1, 1, 0},
};

uint32_t mt_net_gen(const struct mt_netw *w)
{
	return w->gen;
}

uint16_t mt_net_port_mtu(const struct mt_netw *w, const struct mt_net_dst *dst)
{
	return __atomic_load_n(&w->net->ports[dst->port]->mtu, __ATOMIC_RELAXED);
}

/* For a port that takes one buffer a packet; NULL: dropped. */
static mt_noinline struct rte_mbuf *in_one(struct mt_netw *w, struct rte_mbuf *m)
{
	struct rte_mbuf *copy = rte_pktmbuf_copy(m, w->pools->data, 0, UINT32_MAX);

	if (copy && copy->nb_segs > 1) {
		mt_buf_free(copy);
		copy = NULL;
	}
	if (copy)
		copy->l2_len = m->l2_len;
	else
		net_count(w, MT_NET_tx_no_memory);
	mt_buf_free(m);
	return copy;
}

/* Replaces the Ethernet header. False: there is no room for a longer one. */
static bool put_l2(struct rte_mbuf *m, const struct mt_net_dst *dst)
{
	if (mt_unlikely(dst->l2len > m->l2_len)) {
		if (!rte_pktmbuf_prepend(m, (uint16_t)(dst->l2len - m->l2_len)))
			return false;
	} else {
		rte_pktmbuf_adj(m, (uint16_t)(m->l2_len - dst->l2len));
	}
	if (mt_likely(dst->l2len == sizeof(struct net_ether)))
		memcpy(rte_pktmbuf_mtod(m, void *), dst->l2, sizeof(struct net_ether));
	else
		memcpy(rte_pktmbuf_mtod(m, void *), dst->l2, dst->l2len);
	return true;
}

/* The mbuf as ports take it; and the neighbour is in use. */
static mt_inline void settle(struct mt_netw *w, struct rte_mbuf *m, const struct mt_net_dst *dst)
{
	m->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
	m->tx_offload = 0;
	atomic_store_explicit(&w->used[dst->neigh], 1, memory_order_relaxed);
}

bool mt_net_forward(struct mt_netw *w, struct rte_mbuf *m, const struct mt_net_dst *dst)
{
	if (mt_unlikely(!net_tx_forward_room(w, dst->port))) {
		net_drop(w, m, MT_NET_forward_full);
		return false;
	}
	if (mt_unlikely(m->nb_segs > 1 && !w->net->ports[dst->port]->caps.tx_chains)) {
		m = in_one(w, m);
		if (!m)
			return false;
	}
	if (mt_unlikely(!put_l2(m, dst))) {
		net_drop(w, m, MT_NET_tx_no_memory);
		return false;
	}
	settle(w, m, dst);
	net_tx_put(w, dst->port, NET_LANE_FORWARD, m);
	return true;
}

/*
 * Queues a packet as it is most often: in one buffer, with an Ethernet header without a VLAN tag
 * before and after, and its queue is neither empty nor full. False: it stays.
 */
static mt_inline bool queue(struct mt_netw *w, struct rte_mbuf *m, const struct mt_net_dst *dst)
{
	const uint8_t l2len = sizeof(struct net_ether);
	struct net_lane *lane = &w->tx[dst->port].lane[NET_LANE_FORWARD];
	uint16_t n = lane->n;

	if (mt_unlikely((uint16_t)(n - 1) >= NET_TXQ - 1 || m->nb_segs > 1 || dst->l2len != l2len ||
			m->l2_len != l2len))
		return false;
	memcpy(rte_pktmbuf_mtod(m, void *), dst->l2, sizeof(struct net_ether));
	settle(w, m, dst);
	lane->m[n] = m;
	lane->n = (uint16_t)(n + 1);
	return true;
}

uint16_t mt_net_forward_burst(
	struct mt_netw *w, struct rte_mbuf **pkts, const struct mt_net_dst *const *dsts, uint16_t n)
{
	uint16_t sent = 0;

	for (uint16_t i = 0; i < n; i++)
		sent = (uint16_t)(sent + (mt_likely(queue(w, pkts[i], dsts[i])) ||
						 mt_net_forward(w, pkts[i], dsts[i])));
	return sent;
}

/* As the input path described the packet that it left to lib/l4. */
static struct net_rx described(const struct mt_netw *w, struct rte_mbuf *m)
{
	struct net_rx rx = {.port = w->net->ports[m->port],
		.m = m,
		.l2_unicast = true,
		.is4 = RTE_ETH_IS_IPV4_HDR(m->packet_type),
		.l2_len = (uint8_t)m->l2_len,
		.l3_len = (uint16_t)m->l3_len,
		.len = (uint16_t)(m->pkt_len - m->l2_len)};

	memcpy(&rx.peer, rte_pktmbuf_mtod(m, const struct net_ether *)->src, sizeof(rx.peer));
	if (rx.is4) {
		const struct rte_ipv4_hdr *ip = rx_l3(&rx);

		rx.src = mt_addr4(ip->src_addr);
		rx.dst = mt_addr4(ip->dst_addr);
	} else {
		const struct rte_ipv6_hdr *ip = rx_l3(&rx);

		memcpy(&rx.src, ip->src_addr, sizeof(rx.src));
		memcpy(&rx.dst, ip->dst_addr, sizeof(rx.dst));
	}
	return rx;
}

mt_noinline void mt_net_forward_error(
	struct mt_netw *w, struct rte_mbuf *m, enum mt_net_error kind, uint16_t mtu)
{
	struct net_rx rx = described(w, m);
	struct net_error e = errors[kind];
	const struct net_addr *own;

	e.word = mtu;
	if (!mt_net_is_local(w, &rx.dst)) {
		own = net_port_addr(w->table, rx.port->index, &rx.src);
		if (!own) {
			mt_buf_free(m);
			return;
		}
		rx.dst = own->addr;
	}
	net_error_out(
		w, &rx, &e, kind == MT_NET_ERROR_TOO_BIG ? &w->too_big_limit : &w->forward_limit);
}

static struct rte_mbuf *build_reset(struct mt_netw *w, const struct net_rx *rx)
{
	const struct rte_tcp_hdr *in = rx_l4(rx);
	uint32_t hlen = (in->data_off >> 4) * 4u, from = 0;
	struct rte_mbuf *m = mt_buf_ctrl(w->pools);
	struct rte_tcp_hdr *tcp;

	if (mt_unlikely(!m)) {
		net_count(w, MT_NET_tx_no_memory);
		return NULL;
	}
	tcp = (struct rte_tcp_hdr *)rte_pktmbuf_append(m, sizeof(*tcp));
	MT_ASSERT(tcp);
	*tcp = (struct rte_tcp_hdr){.src_port = in->dst_port,
		.dst_port = in->src_port,
		.data_off = sizeof(*tcp) / 4 << 4,
		.tcp_flags = RTE_TCP_RST_FLAG};
	if (in->tcp_flags & RTE_TCP_ACK_FLAG) {
		tcp->sent_seq = in->recv_ack;
	} else {
		from = rte_be_to_cpu_32(in->sent_seq) + rx_l4_len(rx) - hlen +
		       !!(in->tcp_flags & RTE_TCP_SYN_FLAG) + !!(in->tcp_flags & RTE_TCP_FIN_FLAG);
		tcp->recv_ack = rte_cpu_to_be_32(from);
		tcp->tcp_flags |= RTE_TCP_ACK_FLAG;
	}
	tcp->cksum = net_cksum(m, 0, m->pkt_len,
		rx->is4 ? net_pseudo4(mt_addr_v4(&rx->dst), mt_addr_v4(&rx->src), sizeof(*tcp))
			: net_pseudo6(&rx->dst, &rx->src, sizeof(*tcp), IPPROTO_TCP));
	return m;
}

/* Apart, because most resets of a flood are not sent. */
static mt_noinline void send_reset(struct mt_netw *w, struct rte_mbuf *m)
{
	struct net_rx rx = described(w, m);
	struct rte_mbuf *reset = build_reset(w, &rx);

	if (!reset)
		return;
	net_count(w, MT_NET_forward_reset_out);
	net_reply_as(w, &rx, IPPROTO_TCP, reset);
}

void mt_net_forward_reset(struct mt_netw *w, struct rte_mbuf *m)
{
	const struct rte_tcp_hdr *tcp =
		rte_pktmbuf_mtod_offset(m, const void *, m->l2_len + m->l3_len);

	if (tcp->tcp_flags & RTE_TCP_RST_FLAG)
		return;
	if (net_limited(&w->reset_limit, w->now))
		net_count(w, MT_NET_icmp_limited);
	else
		send_reset(w, m);
}

void mt_net_not_forwarded(struct mt_netw *w, struct rte_mbuf *m)
{
	struct net_rx rx = described(w, m);

	net_punt(w, &rx, MT_NET_not_local);
}

void mt_net_refuse_fragment(struct mt_netw *w, struct rte_mbuf *m)
{
	net_drop(w, m, MT_NET_ip_fragment_refused);
}

static struct rte_mbuf *build_passed(struct mt_netw *w, const struct mt_net_passed *e)
{
	struct rte_mbuf *m = mt_buf_ctrl(w->pools);
	bool is4 = mt_addr_is4(&e->to);
	struct rte_icmp_hdr *icmp;

	if (mt_unlikely(!m)) {
		net_count(w, MT_NET_tx_no_memory);
		return NULL;
	}
	icmp = (struct rte_icmp_hdr *)rte_pktmbuf_append(m, (uint16_t)(sizeof(*icmp) + e->len));
	MT_ASSERT(icmp && e->len <= NET_QUOTE_MAX);
	*icmp = (struct rte_icmp_hdr){.icmp_type = e->type, .icmp_code = e->code};
	memcpy(&icmp->icmp_ident, e->word, sizeof(e->word));
	memcpy(icmp + 1, e->quote, e->len);
	icmp->icmp_cksum = net_cksum(m, 0, m->pkt_len,
		is4 ? 0 : net_pseudo6(&e->from, &e->to, m->pkt_len, IPPROTO_ICMPV6));
	return m;
}

bool mt_net_may_pass_error(struct mt_netw *w, bool known)
{
	if (!net_limited(known ? &w->pass_limit : &w->stray_limit, w->now))
		return true;
	net_count(w, MT_NET_icmp_limited);
	return false;
}

bool mt_net_pass_error(
	struct mt_netw *w, const struct mt_net_passed *e, const struct mt_net_dst *dst)
{
	const struct net_rx rx = {.is4 = mt_addr_is4(&e->to), .src = e->to, .dst = e->from};
	struct rte_mbuf *m;

	if (!mt_net_may_pass_error(w, true))
		return false;
	m = build_passed(w, e);
	if (!m)
		return false;
	net_count(w, MT_NET_icmp_error_out);
	net_reply_by(w, &rx, rx.is4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, m, dst);
	return true;
}
