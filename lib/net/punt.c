/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exception TAP: a port and its TAP are a two-port bridge for all traffic that is not Meltemi's.
 * The kernel gets frames to the TAP's own Ethernet address, copies of group frames, and IP packets
 * for addresses that are not local. The latter were sent to the port's Ethernet address, as to a
 * router, and get that of the TAP, because the kernel drops packets to other stations. Frames from
 * the kernel go to the wire. The TAP's side is always untagged.
 */
#include "mt_net_priv.h"

#include <string.h>

/* Makes the frame writable if its tag must change, and clears receive flags; NULL: dropped. */
static struct rte_mbuf *for_sending(struct mt_netw *w, struct rte_mbuf *m, bool change)
{
	if (change && !mt_buf_writable(m)) {
		struct rte_mbuf *copy = rte_pktmbuf_copy(m, w->pools->data, 0, UINT32_MAX);

		mt_buf_free(m);
		m = copy;
	}
	if (!m) {
		net_count(w, MT_NET_rx_no_memory);
		return NULL;
	}
	m->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
	m->tx_offload = 0;
	return m;
}

/*
 * Sends the packet out of the TAP; takes it. `station`: the Ethernet address that it gets instead
 * of its destination's, or NULL.
 */
static void to_kernel(struct mt_netw *w, const struct net_rx *rx, struct rte_mbuf *m,
	const struct rte_ether_addr *station)
{
	bool tagged = rx->l2_len == sizeof(struct rte_ether_hdr) + sizeof(struct rte_vlan_hdr);

	m = for_sending(w, m, tagged || station);
	if (!m)
		return;
	if (station)
		memcpy(rte_pktmbuf_mtod(m, struct net_ether *)->dst, station, sizeof(*station));
	if (tagged && rte_vlan_strip(m)) {
		net_drop(w, m, MT_NET_frame_short);
		return;
	}
	m->ol_flags &= ~(RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED);
	net_count(w, MT_NET_punted);
	net_tx(w, w->table->ports[rx->port->index].exception, m);
}

/* Sends a kernel frame to the wire, with only the VLAN tag changed; takes the packet. */
static void to_wire(struct mt_netw *w, uint16_t port, struct rte_mbuf *m)
{
	uint16_t vlan = w->table->ports[port].vlan;

	m = for_sending(w, m, vlan != 0);
	if (!m)
		return;
	if (vlan) {
		m->vlan_tci = vlan;
		if (rte_vlan_insert(&m)) {
			net_drop(w, m, MT_NET_frame_short);
			return;
		}
	}
	net_count(w, MT_NET_punt_returned);
	net_tx(w, port, m);
}

bool net_punt_early(struct mt_netw *w, struct net_rx *rx)
{
	const struct net_ether *eth = rte_pktmbuf_mtod(rx->m, const struct net_ether *);
	uint16_t uplink = w->table->uplink[rx->port->index];
	uint16_t tap = w->table->ports[rx->port->index].exception;
	const struct mt_port *kernel;
	struct rte_mbuf *copy;

	if (uplink != MT_NET_PORT_NONE) {
		to_wire(w, uplink, rx->m);
		return true;
	}
	kernel = w->net->ports[tap];
	if (rx->l2_unicast) {
		if (net_ether_is(eth->dst, &rx->port->mac) || !net_ether_is(eth->dst, &kernel->mac))
			return false;
		to_kernel(w, rx, rx->m, NULL);
		return true;
	}
	copy = rte_pktmbuf_copy(rx->m, w->pools->data, 0, UINT32_MAX);
	if (copy)
		to_kernel(w, rx, copy, NULL);
	else
		net_count(w, MT_NET_rx_no_memory);
	return false;
}

void net_punt(struct mt_netw *w, struct net_rx *rx, enum mt_net_outcome otherwise)
{
	uint16_t tap = w->table->ports[rx->port->index].exception;

	if (tap == MT_NET_PORT_NONE)
		net_drop(w, rx->m, otherwise);
	else
		to_kernel(w, rx, rx->m, &w->net->ports[tap]->mac);
}
