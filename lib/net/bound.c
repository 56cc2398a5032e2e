/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses bound to a port of workloads. Such a port accepts only its bound addresses as sources,
 * and every other port rejects them. Frames are checked before anything else uses them, so the rule
 * holds for TCP, datagrams, neighbour entries and what the kernel gets through an exception TAP.
 */
#include "mt_net_priv.h"

#include <string.h>

#define QINQ_OLD 0x9100 /* before 802.1ad */

#define MLD_REPORT	  131
#define MLD_DONE	  132
#define ND_ROUTER_SOLICIT 133
#define ND_SOLICIT	  135
#define ND_ADVERTISE	  136
#define MLD2_REPORT	  143

static const struct net_addr *find(const struct mt_netw *w, const struct mt_addr *a)
{
	return net_set_find(&mt_container_of(w->vips, struct net_served, vips)->bound, a);
}

static bool is_of_port(const struct mt_netw *w, const struct net_rx *rx)
{
	return w->table->ports[rx->port->index].workloads;
}

/*
 * Returns MT_NET_rx_tcp if `a` may enter. `sha`: another Ethernet address that the frame claims for
 * it, or NULL.
 */
static enum mt_net_outcome judge(const struct mt_netw *w, const struct net_rx *rx,
	const struct mt_addr *a, const struct rte_ether_addr *sha)
{
	const struct net_addr *b = find(w, a);

	if (b && b->port != rx->port->index)
		return MT_NET_source_elsewhere;
	if (!b)
		return is_of_port(w, rx) ? MT_NET_source_unbound : MT_NET_rx_tcp;
	if (b->has_mac && (!rte_is_same_ether_addr(&b->mac, &rx->peer) ||
				  (sha && !rte_is_same_ether_addr(&b->mac, sha))))
		return MT_NET_source_other_mac;
	return MT_NET_rx_tcp;
}

/*
 * Offset of the ICMPv6 message from the IPv6 header: after that header, or after the hop-by-hop
 * options that MLD has (RFC 3810 section 5). 0: not ICMPv6, or not in the frame.
 */
static uint32_t icmp6_at(const struct net_rx *rx, const struct rte_ipv6_hdr *ip)
{
	const uint8_t *p = (const uint8_t *)ip;
	uint32_t have = rx->m->data_len - rx->l2_len, at = sizeof(*ip);
	uint8_t proto = ip->proto;

	if (proto == IPPROTO_HOPOPTS && have >= at + 8) {
		proto = p[at];
		at += (p[at + 1] + 1u) * 8;
	}
	return proto == IPPROTO_ICMPV6 && have > at ? at : 0;
}

/*
 * For sources that are link-local or unspecified (::), which no policy refers to. Allows neighbour
 * discovery, and to a group also router solicitations and MLD reports. Rejects everything else: it
 * would be a call from an unbound source, or a forged router advertisement for the kernel at an
 * exception TAP.
 */
static enum mt_net_outcome judge_of_link(const struct net_rx *rx, const struct rte_ipv6_hdr *ip)
{
	bool group = ip->dst_addr[0] == 0xff;
	uint32_t at = icmp6_at(rx, ip);

	if (!at && group && ip->proto != IPPROTO_ICMPV6)
		return MT_NET_multicast_ignored;
	switch (at ? ((const uint8_t *)ip)[at] : 0) {
	case ND_SOLICIT:
	case ND_ADVERTISE:
		return MT_NET_rx_tcp;
	case ND_ROUTER_SOLICIT:
	case MLD_REPORT:
	case MLD_DONE:
	case MLD2_REPORT:
		return group ? MT_NET_rx_tcp : MT_NET_source_unbound;
	default:
		return MT_NET_source_unbound;
	}
}

static enum mt_net_outcome judge4(const struct mt_netw *w, const struct net_rx *rx)
{
	const struct rte_ipv4_hdr *ip = rx_l3(rx);
	struct mt_addr src;

	if (rx->m->data_len < rx->l2_len + sizeof(*ip) || ip->src_addr == 0)
		return MT_NET_rx_tcp;
	src = mt_addr4(ip->src_addr);
	return judge(w, rx, &src, NULL);
}

static enum mt_net_outcome judge6(const struct mt_netw *w, const struct net_rx *rx)
{
	const struct rte_ipv6_hdr *ip = rx_l3(rx);
	enum mt_net_outcome o;
	struct mt_addr src;

	if (rx->m->data_len < rx->l2_len + sizeof(*ip))
		return MT_NET_rx_tcp;
	memcpy(&src, ip->src_addr, sizeof(src));
	/*
	 * Source ::ffff:a.b.c.d equals the IPv4 address a.b.c.d here, which may be bound.
	 * net_ip6_input() refuses it, but a kernel at an exception TAP would get it before.
	 */
	if (mt_addr_is4(&src) && is_of_port(w, rx))
		return MT_NET_source_unbound;
	if (!mt_addr_is_zero(&src) && !mt_addr_is_link_local(&src))
		return judge(w, rx, &src, NULL);
	o = judge_of_link(rx, ip);
	return o == MT_NET_rx_tcp || (is_of_port(w, rx) && !find(w, &src))
		       ? o
		       : judge(w, rx, &src, NULL);
}

/* A probe (RFC 5227) claims nothing yet. */
static enum mt_net_outcome judge_arp(const struct mt_netw *w, const struct net_rx *rx)
{
	const struct rte_arp_hdr *a = rx_l3(rx);
	struct mt_addr sender;

	if (rx->m->data_len < rx->l2_len + sizeof(*a) || a->arp_data.arp_sip == 0)
		return MT_NET_rx_tcp;
	sender = mt_addr4(a->arp_data.arp_sip);
	return judge(w, rx, &sender, &a->arp_data.arp_sha);
}

static bool passes(struct mt_netw *w, struct net_rx *rx, enum mt_net_outcome o)
{
	if (mt_likely(o == MT_NET_rx_tcp))
		return true;
	net_drop(w, rx->m, o);
	return false;
}

bool net_bound(struct mt_netw *w, struct net_rx *rx, uint16_t type)
{
	switch (type) {
	case RTE_ETHER_TYPE_IPV4:
		return passes(w, rx, judge4(w, rx));
	case RTE_ETHER_TYPE_IPV6:
		return passes(w, rx, judge6(w, rx));
	case RTE_ETHER_TYPE_ARP:
		return passes(w, rx, judge_arp(w, rx));
	/*
	 * A second tag after the port's own: lib/net would ignore it, but a kernel at the TAP might
	 * not.
	 */
	case RTE_ETHER_TYPE_VLAN:
	case RTE_ETHER_TYPE_QINQ:
	case QINQ_OLD:
		return passes(w, rx, MT_NET_vlan_unknown);
	default:
		return true;
	}
}

bool net_speaks_for(struct mt_netw *w, struct net_rx *rx, const struct mt_addr *a)
{
	return mt_addr_is_link_local(a) || passes(w, rx, judge(w, rx, a, NULL));
}
