/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that are bound to a port of workloads: who enters by the port is one of them, and nobody is one of them who comes from
 * elsewhere. It is looked at in frames, before anybody else sees them, so that it holds for whatever is above: TCP, datagrams,
 * what neighbours are taken for, what the kernel gets by an exception TAP.
 */
#include "mt_net_priv.h"

#include <string.h>

#define QINQ_OLD 0x9100 /* before 802.1ad */

#define ND_SOLICIT   135
#define ND_ADVERTISE 136

static const struct net_addr *find(const struct mt_netw *w, const struct mt_addr *a)
{
	return net_set_find(&mt_container_of(w->vips, struct net_served, vips)->bound, a);
}

static bool is_of_port(const struct mt_netw *w, const struct net_rx *rx)
{
	return w->table->ports[rx->port->index].workloads;
}

/* MT_NET_rx_tcp: it may. `sha`: another Ethernet address that it claims for itself, or NULL. */
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

static bool is_link_local(const struct mt_addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/*
 * A station's own address of the link, or none yet, is nobody's whom policies know: with it neighbours are found, and groups are
 * asked, of which only neighbour discovery is heard. Everything else would be a call of somebody who is not bound.
 */
static bool is_of_link(const struct net_rx *rx, const struct rte_ipv6_hdr *ip)
{
	const uint8_t *type = (const uint8_t *)(ip + 1);

	if (ip->dst_addr[0] == 0xff)
		return true;
	return ip->proto == IPPROTO_ICMPV6 && rx->m->data_len > rx->l2_len + sizeof(*ip) &&
	       (*type == ND_SOLICIT || *type == ND_ADVERTISE);
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
	struct mt_addr src;

	if (rx->m->data_len < rx->l2_len + sizeof(*ip))
		return MT_NET_rx_tcp;
	memcpy(&src, ip->src_addr, sizeof(src));
	if ((mt_addr_is_zero(&src) || is_link_local(&src)) && is_of_link(rx, ip))
		return MT_NET_rx_tcp;
	return judge(w, rx, &src, NULL);
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
	/* Behind the port's own tag nobody here reads another one, and a kernel behind a TAP might. */
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
	return is_link_local(a) || passes(w, rx, judge(w, rx, a, NULL));
}
