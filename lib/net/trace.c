/* SPDX-License-Identifier: Apache-2.0 */
/*
 * While tracing is on, packets are processed one by one, so that the counters that change in
 * between belong to this packet. Tracing changes neither a packet nor its fate.
 */
#include "mt_net_priv.h"
#include "mt_trace.h"

#include <string.h>

#include <rte_tcp.h>

void mt_netw_set_trace(struct mt_netw *w, struct mt_trace *t)
{
	w->trace = t;
}

/* The unread part of a packet's start: `left` bytes at p. */
struct head {
	const uint8_t *p;
	uint32_t left;
};

/* The next `n` bytes, or NULL. */
static const void *take(struct head *h, uint32_t n)
{
	const void *p = h->p;

	if (h->left < n)
		return NULL;
	h->p += n;
	h->left -= n;
	return p;
}

static uint16_t ethertype(struct head *h)
{
	const struct net_ether *eth = take(h, sizeof(*eth));
	const struct rte_vlan_hdr *tag;

	if (!eth)
		return 0;
	if (eth->type != rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN))
		return rte_be_to_cpu_16(eth->type);
	tag = take(h, sizeof(*tag));
	return tag ? rte_be_to_cpu_16(tag->eth_proto) : 0;
}

/* Protocol above IPv4; -1: header incomplete, or a later fragment. *len: bytes after the header. */
static int ip4(struct head *h, struct mt_trace_packet *k, uint32_t *len)
{
	const struct rte_ipv4_hdr *ip = take(h, sizeof(*ip));
	uint32_t hlen;

	if (!ip)
		return -1;
	hlen = (ip->version_ihl & 0xfu) * 4;
	k->src = mt_addr4(ip->src_addr);
	k->dst = mt_addr4(ip->dst_addr);
	*len = rte_be_to_cpu_16(ip->total_length);
	if (hlen < sizeof(*ip) || *len < hlen || !take(h, hlen - sizeof(*ip)) ||
		ip->fragment_offset & rte_cpu_to_be_16(RTE_IPV4_HDR_OFFSET_MASK))
		return -1;
	*len -= hlen;
	return ip->next_proto_id;
}

/* Does not parse extension headers. */
static int ip6(struct head *h, struct mt_trace_packet *k, uint32_t *len)
{
	const struct rte_ipv6_hdr *ip = take(h, sizeof(*ip));

	if (!ip)
		return -1;
	memcpy(&k->src, ip->src_addr, sizeof(k->src));
	memcpy(&k->dst, ip->dst_addr, sizeof(k->dst));
	*len = rte_be_to_cpu_16(ip->payload_len);
	return ip->proto;
}

static void tcp(struct head *h, struct mt_trace_packet *k, uint32_t len)
{
	const struct rte_tcp_hdr *t = take(h, sizeof(*t));
	uint32_t hlen;

	if (!t)
		return;
	hlen = (t->data_off >> 4) * 4u;
	k->sport = rte_be_to_cpu_16(t->src_port);
	k->dport = rte_be_to_cpu_16(t->dst_port);
	k->seq = rte_be_to_cpu_32(t->sent_seq);
	k->ack = rte_be_to_cpu_32(t->recv_ack);
	k->flags = t->tcp_flags;
	k->payload = len > hlen ? len - hlen : 0;
}

static void above_ip(struct head *h, struct mt_trace_packet *k, int proto, uint32_t len)
{
	const uint16_t *ports;

	switch (proto) {
	case IPPROTO_TCP:
		k->proto = "tcp";
		tcp(h, k, len);
		break;
	case IPPROTO_UDP:
		k->proto = "udp";
		ports = take(h, 4);
		if (ports) {
			k->sport = rte_be_to_cpu_16(ports[0]);
			k->dport = rte_be_to_cpu_16(ports[1]);
		}
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		k->proto = "icmp";
	}
}

/* Parses bytes that have not been checked yet. */
static void describe(
	const struct mt_port *port, const struct rte_mbuf *m, struct mt_trace_packet *k)
{
	struct head h = {rte_pktmbuf_mtod(m, const uint8_t *), m->data_len};
	uint32_t len = 0;
	int proto = -1;

	*k = (struct mt_trace_packet){.proto = "other", .port = port->name, .len = m->pkt_len};
	switch (ethertype(&h)) {
	case RTE_ETHER_TYPE_IPV4:
		proto = ip4(&h, k, &len);
		break;
	case RTE_ETHER_TYPE_IPV6:
		proto = ip6(&h, k, &len);
		break;
	case RTE_ETHER_TYPE_ARP:
		k->proto = "arp";
		return;
	}
	above_ip(&h, k, proto, len);
}

/* Copies the current bytes for a capture. */
static void copy(struct mt_netw *w, struct mt_trace_note *note, const struct rte_mbuf *m)
{
	const void *bytes;
	uint32_t n;
	uint8_t *to;

	if (!w->trace->capture)
		return;
	to = mt_capture_packet(w->trace, note, &n);
	if (!to)
		return;
	bytes = rte_pktmbuf_read(m, 0, n, to);
	if (bytes && bytes != to)
		memcpy(to, bytes, n);
}

/*
 * Of packets handed over by other workers only TCP is captured here (see mt_handoff_trace()); those
 * workers captured the rest.
 */
static bool is_tcp(const struct rte_mbuf *m)
{
	return (m->packet_type & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_TCP;
}

static uint16_t one(struct mt_netw *w, struct mt_port *port, struct rte_mbuf **m)
{
	return port ? net_input(w, port, m, 1, m) : net_input_handed(w, m, 1, m);
}

uint16_t net_trace_input(struct mt_netw *w, struct mt_port *port, struct rte_mbuf **pkts,
	uint16_t n, struct rte_mbuf **tcp)
{
	uint64_t before[MT_NET_N_OUTCOMES];
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct mt_trace_packet k;
		struct mt_trace_note *note;

		describe(port ? port : w->net->ports[m->port], m, &k);
		note = mt_trace_note(w->trace, &k, false);
		note->handed = !port;
		if (port || is_tcp(m))
			copy(w, note, m);
		memcpy(before, w->counters, sizeof(before));
		if (one(w, port, &m)) {
			note->buffer = m;
			tcp[kept++] = m;
		}
		note->net_cycles = (uint32_t)(mt_trace_tsc() - note->tsc);
		note->net = mt_trace_decided(&mt_net_outcomes, before, w->counters);
	}
	return kept;
}

static bool tx_one(struct mt_netw *w, struct mt_port *port, struct rte_mbuf *m)
{
	struct mt_trace_packet k;
	struct mt_trace_note *note;

	describe(port, m, &k);
	note = mt_trace_note(w->trace, &k, true);
	copy(w, note, m);
	if (port->ops->tx(port, w->worker, &m, 1) == 0) {
		mt_trace_note_undo(w->trace);
		return false;
	}
	mt_trace_note_sent(w->trace, note);
	return true;
}

uint16_t net_trace_tx(struct mt_netw *w, struct mt_port *port, struct rte_mbuf **m, uint16_t n)
{
	uint16_t took = 0;

	while (took < n && tx_one(w, port, m[took]))
		took++;
	return took;
}
