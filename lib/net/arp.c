/* SPDX-License-Identifier: Apache-2.0 */
/* ARP (RFC 826, probes and announcements of RFC 5227). */
#include "mt_net_priv.h"

static bool well_formed(const struct rte_arp_hdr *a)
{
	return a->arp_hardware == rte_cpu_to_be_16(RTE_ARP_HRD_ETHER) &&
	       a->arp_protocol == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) &&
	       a->arp_hlen == RTE_ETHER_ADDR_LEN && a->arp_plen == 4 &&
	       rte_is_valid_assigned_ether_addr(&a->arp_data.arp_sha);
}

bool net_answers(const struct mt_netw *w, const struct mt_port *port, const struct mt_addr *a)
{
	const struct net_addr *own = net_set_find(&w->table->own, a);
	const struct net_addr *vip = own ? NULL : net_set_find(w->vips, a);
	const struct net_route *on;

	if (own && own->port != MT_NET_PORT_NONE)
		return own->port == port->index;
	if (!own && (!vip || vip->leaving))
		return false;
	on = net_connected(w->table, a, MT_NET_PORT_NONE);
	return !on || on->port == port->index;
}

void net_arp_send(struct mt_netw *w, uint16_t port, uint16_t op, const struct rte_ether_addr *to,
	const struct mt_addr *from, const struct mt_addr *target, const struct rte_ether_addr *tha)
{
	static const struct rte_ether_addr all = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	struct rte_arp_hdr *a;
	struct rte_mbuf *m =
		net_frame(w, port, to ? to : &all, RTE_ETHER_TYPE_ARP, sizeof(*a), (void **)&a);

	if (!m)
		return;
	a->arp_hardware = rte_cpu_to_be_16(RTE_ARP_HRD_ETHER);
	a->arp_protocol = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	a->arp_hlen = RTE_ETHER_ADDR_LEN;
	a->arp_plen = 4;
	a->arp_opcode = rte_cpu_to_be_16(op);
	a->arp_data.arp_sha = w->net->ports[port]->mac;
	a->arp_data.arp_sip = mt_addr_v4(from);
	a->arp_data.arp_tip = mt_addr_v4(target);
	if (tha)
		a->arp_data.arp_tha = *tha;
	net_tx(w, port, m);
}

/*
 * Learns the sender's address: an existing entry is updated, a new one made only if the packet is
 * for an address of this node. Returns false if the sender claims an address of this node.
 */
static bool learn_sender(struct mt_netw *w, const struct net_rx *rx, const struct rte_arp_hdr *a,
	const struct mt_addr *sip, bool to_us, bool reply)
{
	struct net_learn l = {.addr = *sip,
		.port = rx->port->index,
		.has_mac = true,
		.override = true,
		.mac = a->arp_data.arp_sha};

	if (a->arp_data.arp_sip == 0)
		return true;
	if (net_answers(w, rx->port, sip)) {
		if (rte_is_same_ether_addr(&l.mac, &rx->port->mac))
			return true;
		net_count(w, MT_NET_address_conflict);
		return false;
	}
	l.create = to_us && net_is_on_link(w->table, sip, rx->port->index);
	l.confirmed = to_us && reply;
	net_learn(w, &l);
	return true;
}

void net_arp_input(struct mt_netw *w, struct net_rx *rx)
{
	const struct rte_arp_hdr *a = rx_l3(rx);
	struct mt_addr sip, tip;
	bool to_us, request, sane;

	if (rx->m->data_len < rx->l2_len + sizeof(*a) || !well_formed(a)) {
		net_drop(w, rx->m, MT_NET_arp_bad);
		return;
	}
	request = a->arp_opcode == rte_cpu_to_be_16(RTE_ARP_OP_REQUEST);
	if (!request && a->arp_opcode != rte_cpu_to_be_16(RTE_ARP_OP_REPLY)) {
		net_drop(w, rx->m, MT_NET_arp_bad);
		return;
	}
	sip = mt_addr4(a->arp_data.arp_sip);
	tip = mt_addr4(a->arp_data.arp_tip);
	to_us = net_answers(w, rx->port, &tip);
	sane = learn_sender(w, rx, a, &sip, to_us, !request);
	if (request && to_us && sane) {
		net_count(w, MT_NET_arp_answered);
		net_arp_send(w, rx->port->index, RTE_ARP_OP_REPLY, &a->arp_data.arp_sha, &tip, &sip,
			&a->arp_data.arp_sha);
	} else if (request && sane) {
		net_count(w, MT_NET_arp_ignored);
	}
	mt_buf_free(rx->m);
}
