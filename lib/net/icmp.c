/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code shared by ICMP and ICMPv6: answers to a received packet, and errors about segments that the
 * node sent.
 */
#include "mt_net_priv.h"

#include <string.h>

#include <rte_icmp.h>
#include <rte_tcp.h>

#define REPLY_TTL 64

static void *prepend(struct rte_mbuf *m, uint16_t n)
{
	void *p = rte_pktmbuf_prepend(m, n);

	MT_ASSERT(p); /* control mbufs and packets without their headers have room */
	return p;
}

static void reply_ip4(const struct net_rx *rx, uint8_t proto, struct rte_mbuf *m)
{
	uint16_t len = (uint16_t)(m->pkt_len + sizeof(struct rte_ipv4_hdr));
	struct rte_ipv4_hdr *ip = prepend(m, sizeof(*ip));

	memset(ip, 0, sizeof(*ip));
	ip->version_ihl = RTE_IPV4_VHL_DEF;
	ip->total_length = rte_cpu_to_be_16(len);
	ip->fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG);
	ip->time_to_live = REPLY_TTL;
	ip->next_proto_id = proto;
	ip->src_addr = mt_addr_v4(&rx->dst);
	ip->dst_addr = mt_addr_v4(&rx->src);
	ip->hdr_checksum = (uint16_t)~net_sum(ip, sizeof(*ip));
}

static void reply_ip6(const struct net_rx *rx, uint8_t proto, struct rte_mbuf *m)
{
	uint16_t len = (uint16_t)m->pkt_len;
	struct rte_ipv6_hdr *ip = prepend(m, sizeof(*ip));

	ip->vtc_flow = rte_cpu_to_be_32(6u << 28);
	ip->payload_len = rte_cpu_to_be_16(len);
	ip->proto = proto;
	ip->hop_limits = REPLY_TTL;
	memcpy(ip->src_addr, &rx->dst, sizeof(ip->src_addr));
	memcpy(ip->dst_addr, &rx->src, sizeof(ip->dst_addr));
}

void net_reply_by(struct mt_netw *w, const struct net_rx *rx, uint8_t proto, struct rte_mbuf *m,
	const struct mt_net_dst *dst)
{
	if (rx->is4)
		reply_ip4(rx, proto, m);
	else
		reply_ip6(rx, proto, m);
	memcpy(prepend(m, dst->l2len), dst->l2, dst->l2len);
	m->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
	m->tx_offload = 0;
	net_tx(w, dst->port, m);
}

void net_reply_as(struct mt_netw *w, const struct net_rx *rx, uint8_t proto, struct rte_mbuf *m)
{
	struct mt_net_dst dst = {.port = rx->port->index};

	dst.l2len = net_l2_write(w, dst.port, &rx->peer,
		rx->is4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6, dst.l2);
	net_reply_by(w, rx, proto, m, &dst);
}

void net_reply(struct mt_netw *w, const struct net_rx *rx, struct rte_mbuf *m)
{
	net_reply_as(w, rx, rx->is4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, m);
}

/* Returns the packet from its ICMP header on, in writable memory; NULL: dropped. */
static struct rte_mbuf *writable_l4(struct mt_netw *w, struct net_rx *rx)
{
	uint16_t off = (uint16_t)(rx->l2_len + rx->l3_len);
	struct rte_mbuf *m = rx->m, *copy;

	if (m->nb_segs == 1 && mt_buf_writable(m)) {
		rte_pktmbuf_adj(m, off);
		return m;
	}
	copy = rte_pktmbuf_copy(m, w->pools->data, off, UINT32_MAX);
	if (copy && copy->nb_segs > 1 && !rx->port->caps.tx_chains) {
		mt_buf_free(copy);
		copy = NULL;
	}
	mt_buf_free(m);
	if (!copy)
		net_count(w, MT_NET_tx_no_memory);
	return copy;
}

void net_echo(struct mt_netw *w, struct net_rx *rx, uint8_t type, uint32_t pseudo)
{
	struct rte_icmp_hdr *icmp;
	struct rte_mbuf *m;

	if (net_limited(&w->echo_limit, w->now)) {
		net_drop(w, rx->m, MT_NET_icmp_limited);
		return;
	}
	m = writable_l4(w, rx);
	if (!m)
		return;
	icmp = rte_pktmbuf_mtod(m, struct rte_icmp_hdr *);
	icmp->icmp_type = type;
	icmp->icmp_cksum = 0;
	icmp->icmp_cksum = net_cksum(m, 0, m->pkt_len, pseudo);
	net_count(w, MT_NET_icmp_echoed);
	net_reply(w, rx, m);
}

/* ---- errors about the node's segments ------------------------------------------------------- */

/* Reads tuple and sequence number of the quoted segment, which the node sent; false: not TCP. */
static bool quoted(const struct net_rx *rx, uint16_t off, struct mt_tuple *t, uint32_t *seq)
{
	const uint8_t *ip = (const uint8_t *)rx_l4(rx) + off;
	uint8_t proto;

	if (!net_quoted(rx, off, t, &proto) || proto != IPPROTO_TCP)
		return false;
	ip += rx->is4 ? (ip[0] & 0xf) * 4u : sizeof(struct rte_ipv6_hdr);
	memcpy(seq, ip + offsetof(struct rte_tcp_hdr, sent_seq), sizeof(*seq));
	*seq = rte_be_to_cpu_32(*seq);
	return true;
}

void net_icmp_error_in(
	struct mt_netw *w, struct net_rx *rx, uint16_t off, enum mt_net_icmp kind, uint16_t mtu)
{
	struct rte_mbuf *m = rx->m;
	struct mt_tuple t;
	uint16_t owner;
	uint32_t seq;

	if (rx->forward && net_gate_error(w, rx, off))
		return;
	if (!quoted(rx, off, &t, &seq) || !mt_net_is_local(w, &t.local)) {
		net_drop(w, m, MT_NET_icmp_error_foreign);
		return;
	}
	owner = w->net->workers > 1 ? mt_steer_owner(w->net->steer, &t) : w->worker;
	if (owner == w->worker) {
		net_count(w, MT_NET_icmp_error_in);
		if (w->events && w->events->icmp)
			w->events->icmp(w->events_arg, &t, seq, kind, mtu);
		mt_buf_free(m);
		return;
	}
	/* The owner parses the whole frame again: mt_net_input_handed(). */
	m->port = rx->port->index;
	m->packet_type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L4_ICMP;
	if (mt_steer_push(w->net->steer, w->worker, owner, &m, 1) == 0)
		net_drop(w, m, MT_NET_handoff_full);
}
