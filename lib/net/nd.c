/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbour discovery (RFC 4861 §7): solicitations and advertisements, in both directions. */
#include "mt_net_priv.h"

#include <string.h>

#include <rte_icmp.h>

#define ND_SOLICIT   135
#define ND_ADVERTISE 136
#define OPT_SOURCE   1
#define OPT_TARGET   2
#define F_SOLICITED  0x40000000u
#define F_OVERRIDE   0x20000000u
#define HOP_LIMIT    255

/* A solicitation or advertisement on the wire, up to the options. */
struct nd_msg {
	uint8_t type, code;
	uint16_t cksum;
	uint32_t flags;
	struct mt_addr target;
};

/* The only option that is sent. */
struct nd_lladdr {
	uint8_t type, len; /* in units of 8 bytes */
	struct rte_ether_addr mac;
};

static void nd_send(struct mt_netw *w, uint16_t port, struct nd_msg head, uint8_t option,
	const struct mt_addr *from, const struct mt_addr *to, const struct rte_ether_addr *to_mac)
{
	const uint16_t len = sizeof(struct nd_msg) + sizeof(struct nd_lladdr);
	struct rte_ipv6_hdr *ip;
	struct nd_lladdr lladdr = {option, 1, w->net->ports[port]->mac};
	struct rte_mbuf *m;
	uint8_t *nd;

	m = net_frame(
		w, port, to_mac, RTE_ETHER_TYPE_IPV6, (uint16_t)(sizeof(*ip) + len), (void **)&ip);
	if (!m)
		return;
	ip->vtc_flow = rte_cpu_to_be_32(6u << 28);
	ip->payload_len = rte_cpu_to_be_16(len);
	ip->proto = IPPROTO_ICMPV6;
	ip->hop_limits = HOP_LIMIT;
	memcpy(ip->src_addr, from, sizeof(ip->src_addr));
	memcpy(ip->dst_addr, to, sizeof(ip->dst_addr));
	nd = (uint8_t *)(ip + 1);
	memcpy(nd, &head, sizeof(head));
	memcpy(nd + sizeof(head), &lladdr, sizeof(lladdr));
	head.cksum =
		net_cksum(m, m->pkt_len - len, len, net_pseudo6(from, to, len, IPPROTO_ICMPV6));
	memcpy(nd, &head, sizeof(head));
	net_tx(w, port, m);
}

/* 33:33 and the last four bytes of the group (RFC 2464 §7). */
static struct rte_ether_addr group_mac(const struct mt_addr *a)
{
	return (struct rte_ether_addr){{0x33, 0x33, a->b[12], a->b[13], a->b[14], a->b[15]}};
}

/* ff02::1:ff00:0/104 and the last three bytes of the address (RFC 4291 §2.7.1). */
static struct mt_addr solicited_node(const struct mt_addr *a)
{
	return (struct mt_addr){
		.b = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a->b[13], a->b[14], a->b[15]}};
}

void net_nd_solicit(struct mt_netw *w, uint16_t port, const struct mt_addr *from,
	const struct mt_addr *target, const struct rte_ether_addr *to)
{
	struct mt_addr dst = to ? *target : solicited_node(target);
	struct rte_ether_addr mac = to ? *to : group_mac(&dst);

	nd_send(w, port, (struct nd_msg){.type = ND_SOLICIT, .target = *target}, OPT_SOURCE, from,
		&dst, &mac);
}

void net_nd_advertise(struct mt_netw *w, uint16_t port, const struct mt_addr *target,
	const struct mt_addr *to, const struct rte_ether_addr *to_mac, uint32_t flags)
{
	struct rte_ether_addr mac = to_mac ? *to_mac : group_mac(to);

	nd_send(w, port,
		(struct nd_msg){
			.type = ND_ADVERTISE, .flags = rte_cpu_to_be_32(flags), .target = *target},
		OPT_TARGET, target, to, &mac);
}

/* Finds the link-layer address option `want`; false when an option is malformed. */
static bool options(const struct net_rx *rx, uint8_t want, struct net_learn *l)
{
	const uint8_t *p = (const uint8_t *)rx_l4(rx) + sizeof(struct nd_msg);
	uint32_t left = rx_l4_len(rx) - (uint32_t)sizeof(struct nd_msg);

	while (left > 0) {
		uint32_t len;

		if (left < 8 || p[1] == 0 || p[1] * 8u > left)
			return false;
		len = p[1] * 8u;
		if (p[0] == want) {
			memcpy(&l->mac, p + 2, sizeof(l->mac));
			l->has_mac = rte_is_valid_assigned_ether_addr(&l->mac);
		}
		p += len;
		left -= len;
	}
	return true;
}

static void solicit_in(struct mt_netw *w, struct net_rx *rx, const struct nd_msg *nd)
{
	struct net_learn l = {.addr = rx->src, .port = rx->port->index, .override = true};
	static const struct mt_addr all_nodes = {.b = {0xff, 0x02, [15] = 1}};
	bool probe = mt_addr_is_zero(&rx->src);

	if (!options(rx, OPT_SOURCE, &l) || (probe && l.has_mac)) {
		net_drop(w, rx->m, MT_NET_nd_bad);
		return;
	}
	if (!net_answers(w, rx->port, &nd->target)) {
		net_drop(w, rx->m, MT_NET_nd_ignored);
		return;
	}
	net_count(w, MT_NET_nd_answered);
	/* duplicate address detection: the sender has no address yet (RFC 4862 §5.4) */
	if (probe) {
		net_nd_advertise(w, rx->port->index, &nd->target, &all_nodes, NULL, F_OVERRIDE);
	} else {
		l.create = net_is_on_link(w->table, &rx->src, rx->port->index);
		net_learn(w, &l);
		net_nd_advertise(w, rx->port->index, &nd->target, &rx->src,
			l.has_mac ? &l.mac : &rx->peer, F_SOLICITED | F_OVERRIDE);
	}
	mt_buf_free(rx->m);
}

static void advertise_in(struct mt_netw *w, struct net_rx *rx, const struct nd_msg *nd)
{
	uint32_t flags = rte_be_to_cpu_32(nd->flags);
	struct net_learn l = {.addr = nd->target, .port = rx->port->index};

	if (!options(rx, OPT_TARGET, &l)) {
		net_drop(w, rx->m, MT_NET_nd_bad);
		return;
	}
	if (mt_unlikely(w->table->flags[rx->port->index] & NET_PORT_BOUND) &&
		!net_speaks_for(w, rx, &nd->target))
		return;
	if (net_answers(w, rx->port, &nd->target)) {
		net_drop(w, rx->m, MT_NET_address_conflict);
		return;
	}
	l.override = flags & F_OVERRIDE;
	l.confirmed = (flags & F_SOLICITED) && rx->dst.b[0] != 0xff;
	/* A unicast solicitation may be answered without the option (RFC 4861 §4.4). */
	net_learn(w, &l);
	mt_buf_free(rx->m);
}

void net_nd_input(struct mt_netw *w, struct net_rx *rx)
{
	struct nd_msg nd;

	/* The hop limit proves that the sender is on the link (RFC 4861 §7.1). */
	if (rx->ttl != HOP_LIMIT || rx_l4_len(rx) < sizeof(nd) || !rx_has(rx, rx_l4_len(rx))) {
		net_drop(w, rx->m, MT_NET_nd_bad);
		return;
	}
	memcpy(&nd, rx_l4(rx), sizeof(nd));
	if (nd.code != 0 || nd.target.b[0] == 0xff || mt_addr_is4(&nd.target))
		net_drop(w, rx->m, MT_NET_nd_bad);
	else if (nd.type == ND_SOLICIT)
		solicit_in(w, rx, &nd);
	else
		advertise_in(w, rx, &nd);
}
