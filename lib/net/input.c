/* SPDX-License-Identifier: Apache-2.0 */
/* Ethernet and VLAN input, from a received burst to the TCP segments in it. */
#include "mt_mutant.h"
#include "mt_net_priv.h"

#include <rte_tcp.h>
#include <rte_prefetch.h>

/* True if the frame's VLAN is the port's; sets l2_len and *type. */
static bool vlan_ok(const struct mt_netw *w, struct net_rx *rx, uint16_t *type)
{
	const struct net_ether *eth = rte_pktmbuf_mtod(rx->m, const struct net_ether *);
	uint16_t want = w->table->ports[rx->port->index].vlan, id = 0;

	*type = rte_be_to_cpu_16(eth->type);
	rx->l2_len = sizeof(*eth);
	/* Only the STRIPPED flag means that the tag is no longer in the frame. */
	if (rx->m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) {
		id = rx->m->vlan_tci & 0xfff;
	} else if (*type == RTE_ETHER_TYPE_VLAN) {
		const struct rte_vlan_hdr *tag = (const struct rte_vlan_hdr *)(eth + 1);

		if (rx->m->data_len < sizeof(*eth) + sizeof(*tag))
			return false;
		id = rte_be_to_cpu_16(tag->vlan_tci) & 0xfff;
		*type = rte_be_to_cpu_16(tag->eth_proto);
		rx->l2_len = sizeof(*eth) + sizeof(*tag);
	}
	return id == want; /* id 0 is a priority tag: untagged */
}

/* Checks of a port with NET_PORT_* flags; false: the frame was taken or dropped. */
static mt_noinline bool flagged_in(struct mt_netw *w, struct net_rx *rx, uint16_t type)
{
	uint8_t flags = w->table->flags[rx->port->index];

	if (flags & NET_PORT_BOUND && !net_bound(w, rx, type))
		return false;
	return !(flags & NET_PORT_PUNTS) || !net_punt_early(w, rx);
}

/* One frame; true when rx->m is a TCP segment for the caller. */
static bool frame_in(struct mt_netw *w, struct net_rx *rx)
{
	const struct net_ether *eth;
	uint16_t type;

	rx->m = net_own(w, rx->m, rx->port->caps.rx_shared, NET_HEADERS_MAX);
	if (mt_unlikely(!rx->m))
		return false;
	if (mt_unlikely(rx->m->data_len < sizeof(*eth))) {
		net_drop(w, rx->m, MT_NET_frame_short);
		return false;
	}
	eth = rte_pktmbuf_mtod(rx->m, const struct net_ether *);
	memcpy(&rx->peer, eth->src, sizeof(rx->peer));
	rx->l2_unicast = !(eth->dst[0] & RTE_ETHER_GROUP_ADDR);
	if (mt_unlikely(!vlan_ok(w, rx, &type))) {
		net_drop(w, rx->m, MT_NET_vlan_unknown);
		return false;
	}
	if (mt_unlikely(w->table->flags[rx->port->index]) && !flagged_in(w, rx, type))
		return false;
	if (rx->l2_unicast && mt_unlikely(!net_ether_is(eth->dst, &rx->port->mac))) {
		net_drop(w, rx->m, MT_NET_not_our_mac);
		return false;
	}
	if (mt_likely(type == RTE_ETHER_TYPE_IPV4))
		return net_ip4_input(w, rx);
	if (type == RTE_ETHER_TYPE_IPV6)
		return net_ip6_input(w, rx);
	if (type == RTE_ETHER_TYPE_ARP)
		net_arp_input(w, rx);
	else
		net_drop(w, rx->m, MT_NET_ethertype_unknown);
	return false;
}

/* Ignore sum flags that the packet arrived with: only lib/net may set them. */
static void forget_sums(struct rte_mbuf *m)
{
	for (; m; m = m->next)
		m->ol_flags &= ~mt_buf_summed;
}

static bool tcp_checksum_ok(const struct net_rx *rx, uint32_t hlen)
{
	uint64_t flag = rx->m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
	uint32_t off = (uint32_t)rx->l2_len + rx->l3_len, pseudo;
	uint16_t len = rx_l4_len(rx);

	if (rx->port->caps.rx_cksum && flag == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		return true;
	if (rx->port->caps.rx_cksum && flag == RTE_MBUF_F_RX_L4_CKSUM_BAD)
		return false;
	if (rx->is4)
		pseudo = net_pseudo4(mt_addr_v4(&rx->src), mt_addr_v4(&rx->dst), len);
	else
		pseudo = net_pseudo6(&rx->src, &rx->dst, len, IPPROTO_TCP);
	if (len >= hlen + NET_SUM_KEEP_MIN && rx->m->data_len == off + len)
		return net_sum_fold((uint64_t)pseudo +
				    net_sum_keep(rx->m, off, hlen + MT_CHAIN_PREFIX_MAX)) == 0xffff;
	return net_cksum(rx->m, off, len, pseudo) == 0;
}

static bool tcp_in(struct mt_netw *w, struct net_rx *rx)
{
	const struct rte_tcp_hdr *tcp = rx_l4(rx);
	struct rte_mbuf *m = rx->m;
	uint32_t l4_len;

	if (mt_unlikely(!rx_has(rx, sizeof(*tcp))))
		goto bad;
	l4_len = (tcp->data_off >> 4) * 4u;
	if (mt_unlikely(l4_len < sizeof(*tcp) || !rx_has(rx, (uint16_t)l4_len)))
		goto bad;
	if (mt_unlikely(!tcp_checksum_ok(rx, l4_len)) &&
		!mt_mutant(MT_MUTANT_checksum_not_verified)) {
		net_drop(w, m, MT_NET_tcp_checksum_bad);
		return false;
	}
	m->port = rx->port->index; /* for mt_net_route_back() */
	m->l2_len = rx->l2_len;
	m->l3_len = rx->l3_len;
	m->l4_len = l4_len;
	m->packet_type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L4_TCP |
			 (rx->is4 ? RTE_PTYPE_L3_IPV4_EXT_UNKNOWN : RTE_PTYPE_L3_IPV6_EXT_UNKNOWN);
	if (w->net->workers > 1 && !(rx->port->caps.rss && m->ol_flags & RTE_MBUF_F_RX_RSS_HASH)) {
		struct mt_tuple t = {rx->dst, rx->src, rte_be_to_cpu_16(tcp->dst_port),
			rte_be_to_cpu_16(tcp->src_port), 0};

		m->hash.rss = mt_steer_hash(w->net->steer, &t);
	}
	net_count(w, MT_NET_rx_tcp);
	return true;
bad:
	net_drop(w, m, MT_NET_tcp_header_bad);
	return false;
}

bool net_l4_input(struct mt_netw *w, struct net_rx *rx)
{
	forget_sums(rx->m);
	if (mt_likely(rx->proto == IPPROTO_TCP))
		return tcp_in(w, rx);
	if (rx->is4 && rx->proto == IPPROTO_ICMP)
		net_icmp4_input(w, rx);
	else if (!rx->is4 && rx->proto == IPPROTO_ICMPV6)
		net_icmp6_input(w, rx);
	else if (rx->proto == IPPROTO_UDP && w->udp)
		net_udp_input(w, rx);
	else
		net_unreachable(w, rx);
	return false;
}

uint16_t net_input(struct mt_netw *w, struct mt_port *port, struct rte_mbuf **pkts, uint16_t n,
	struct rte_mbuf **tcp)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n && i < 4; i++)
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], void *));
	for (uint16_t i = 0; i < n; i++) {
		struct net_rx rx = {.port = port, .m = pkts[i]};

		if (i + 4 < n)
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + 4], void *));
		if (frame_in(w, &rx))
			tcp[kept++] = rx.m;
	}
	return kept;
}

uint16_t mt_net_input(struct mt_netw *w, struct mt_port *port, struct rte_mbuf **pkts, uint16_t n,
	struct rte_mbuf **tcp)
{
	return mt_traced(w->trace) ? net_trace_input(w, port, pkts, n, tcp)
				   : net_input(w, port, pkts, n, tcp);
}

uint16_t net_input_handed(
	struct mt_netw *w, struct rte_mbuf **pkts, uint16_t n, struct rte_mbuf **tcp)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct net_rx rx = {.m = pkts[i]};

		if ((rx.m->packet_type & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_TCP) {
			tcp[kept++] = rx.m;
			continue;
		}
		/* Of datagrams only those for lib/l4 are handed over. */
		if ((rx.m->packet_type & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_UDP ||
			(rx.m->packet_type & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_FRAG ||
			(rx.m->packet_type & RTE_PTYPE_L4_MASK) == MT_NET_PTYPE_SEGMENT) {
			w->forwarded[w->n_forwarded++] = rx.m;
			continue;
		}
		/* Set by net_icmp_error_in() on the other worker. */
		rx.port = w->net->ports[rx.m->port];
		if (frame_in(w, &rx))
			tcp[kept++] = rx.m;
	}
	return kept;
}

uint16_t mt_net_input_handed(
	struct mt_netw *w, struct rte_mbuf **pkts, uint16_t n, struct rte_mbuf **tcp)
{
	return mt_traced(w->trace) ? net_trace_input(w, NULL, pkts, n, tcp)
				   : net_input_handed(w, pkts, n, tcp);
}
