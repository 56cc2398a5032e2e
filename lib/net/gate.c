/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Separates packets that lib/l4 forwards from those that end here: by a bit of the destination's
 * entry, then by (address, port, protocol). A packet for lib/l4 is left as mt_l4_input() needs it:
 * headers contiguous and writable, their lengths and its owner's hash in the mbuf. ICMP errors
 * about forwarded packets are left to lib/l4 as well, at the owner of the quoted tuple, and
 * fragments at the owner of their addresses and identification, because only the first one has
 * ports.
 */
#include "mt_net_priv.h"

#include <string.h>

#include <rte_icmp.h>
#include <rte_tcp.h>
#include <rte_udp.h>

/* Bytes of the transport header that must have arrived; 0: lib/l4 does not forward the protocol. */
static inline uint16_t header_of(uint8_t proto)
{
	if (proto == IPPROTO_TCP)
		return sizeof(struct rte_tcp_hdr);
	return proto == IPPROTO_UDP ? sizeof(struct rte_udp_hdr) : 0;
}

/* Replaces the headers by a copy in a buffer of this worker's own; NULL: dropped. */
static mt_noinline struct rte_mbuf *own_header(struct mt_netw *w, struct rte_mbuf *m, uint16_t len)
{
	struct rte_mbuf *head = mt_buf_data(w->pools);
	void *to = head ? rte_pktmbuf_append(head, len) : NULL;

	if (mt_unlikely(!to)) {
		mt_buf_free(head);
		net_drop(w, m, MT_NET_rx_no_memory);
		return NULL;
	}
	memcpy(to, rte_pktmbuf_mtod(m, const void *), len);
	rte_pktmbuf_adj(m, len);
	head->ol_flags |= m->ol_flags & RTE_MBUF_F_RX_RSS_HASH;
	head->hash = m->hash;
	head->next = m;
	head->nb_segs = (uint16_t)(m->nb_segs + 1);
	head->pkt_len = len + m->pkt_len;
	net_count(w, MT_NET_rx_copied);
	return head;
}

/* Takes the packet for lib/l4. UDP and TCP headers start with their ports. */
static void leave(struct mt_netw *w, struct net_rx *rx)
{
	const uint16_t *ports = rx_l4(rx);
	struct mt_tuple t = {.local = rx->dst,
		.remote = rx->src,
		.lport = rte_be_to_cpu_16(ports[1]),
		.rport = rte_be_to_cpu_16(ports[0])};
	bool tcp = rx->proto == IPPROTO_TCP;
	bool hashed = (tcp ? rx->port->caps.rss : rx->port->caps.rss_udp) &&
		      rx->m->ol_flags & RTE_MBUF_F_RX_RSS_HASH;
	struct rte_mbuf *m = rx->m;

	if (mt_unlikely(!mt_buf_writable(m))) {
		m = own_header(w, m, (uint16_t)(rx->l2_len + rx->l3_len + header_of(rx->proto)));
		if (!m)
			return;
	}
	m->port = rx->port->index;
	m->l2_len = rx->l2_len;
	m->l3_len = rx->l3_len;
	m->packet_type = RTE_PTYPE_L2_ETHER | (tcp ? MT_NET_PTYPE_SEGMENT : RTE_PTYPE_L4_UDP) |
			 (rx->is4 ? RTE_PTYPE_L3_IPV4_EXT_UNKNOWN : RTE_PTYPE_L3_IPV6_EXT_UNKNOWN);
	if (w->net->workers > 1 && !hashed)
		m->hash.rss = mt_steer_hash(w->net->steer, &t);
	MT_ASSERT(w->n_forwarded < NET_FORWARDED);
	w->forwarded[w->n_forwarded++] = m;
}

/* Takes the ICMP error about a packet with this tuple, as the node sent it. */
static bool leave_error(struct mt_netw *w, struct net_rx *rx, const struct mt_tuple *t)
{
	uint32_t headers = (uint32_t)rx->l2_len + rx->l3_len + sizeof(struct rte_icmp_hdr);
	struct rte_mbuf *m = rx->m;

	/* lib/l4 may forward the error itself, with its quote in the first buffer. */
	if (mt_unlikely(!mt_buf_writable(m))) {
		m = own_header(
			w, m, (uint16_t)MT_MIN(headers + MT_NET_QUOTE_MAX, (uint32_t)m->data_len));
		if (!m)
			return true;
	}
	m->port = rx->port->index;
	m->l2_len = rx->l2_len;
	m->l3_len = rx->l3_len;
	m->packet_type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L4_ICMP |
			 (rx->is4 ? RTE_PTYPE_L3_IPV4_EXT_UNKNOWN : RTE_PTYPE_L3_IPV6_EXT_UNKNOWN);
	if (w->net->workers > 1)
		m->hash.rss = mt_steer_hash(w->net->steer, t);
	MT_ASSERT(w->n_forwarded < NET_FORWARDED);
	w->forwarded[w->n_forwarded++] = m;
	return true;
}

bool mt_net_quoted(const void *quote, uint32_t len, struct mt_tuple *t, uint8_t *proto)
{
	const struct rte_ipv6_hdr *ip6 = quote;
	const struct rte_ipv4_hdr *ip4 = quote;
	uint16_t hlen, port[2];

	if (len < sizeof(*ip4))
		return false;
	if (ip4->version == 4) {
		hlen = (uint16_t)(ip4->ihl * 4u);
		if (hlen < sizeof(*ip4) ||
			ip4->fragment_offset & rte_cpu_to_be_16(RTE_IPV4_HDR_OFFSET_MASK))
			return false;
		*proto = ip4->next_proto_id;
		t->local = mt_addr4(ip4->src_addr);
		t->remote = mt_addr4(ip4->dst_addr);
	} else {
		hlen = sizeof(*ip6);
		if (len < hlen || rte_be_to_cpu_32(ip6->vtc_flow) >> 28 != 6)
			return false;
		*proto = ip6->proto;
		memcpy(&t->local, ip6->src_addr, sizeof(t->local));
		memcpy(&t->remote, ip6->dst_addr, sizeof(t->remote));
		/* Such an address would be taken for one of IPv4; no node sends it in IPv6. */
		if (mt_addr_is4(&t->local) || mt_addr_is4(&t->remote))
			return false;
	}
	/* Routers need not quote more than these eight bytes, of TCP either (RFC 792). */
	if (!header_of(*proto) || len < hlen + sizeof(struct rte_udp_hdr))
		return false;
	memcpy(port, (const uint8_t *)quote + hlen, sizeof(port));
	t->lport = rte_be_to_cpu_16(port[0]);
	t->rport = rte_be_to_cpu_16(port[1]);
	return t->lport && t->rport;
}

bool net_quoted(const struct net_rx *rx, uint16_t off, struct mt_tuple *t, uint8_t *proto)
{
	uint32_t here = MT_MIN(
		(uint32_t)rx_l4_len(rx), (uint32_t)rx->m->data_len - rx->l2_len - rx->l3_len);
	const uint8_t *quote = (const uint8_t *)rx_l4(rx) + off;

	return here > off && (quote[0] >> 4 == 4) == rx->is4 &&
	       mt_net_quoted(quote, here - off, t, proto);
}

/* The same of a packet that the receiver of the error must have sent. */
static bool quoted(const struct net_rx *rx, uint16_t off, struct mt_tuple *t, uint8_t *proto)
{
	return net_quoted(rx, off, t, proto) && mt_addr_eq(&t->local, &rx->dst);
}

/* True if lib/l4 owns this port of the local address that the packet is for. */
static bool is_forwarded(
	const struct net_served *s, const struct net_rx *rx, uint16_t port, uint8_t proto)
{
	if (rx->forward & NET_FORWARD_ROWS && net_rows_has(&s->rows, &rx->dst, port, proto))
		return true;
	return rx->forward & NET_FORWARD_NAT && port >= s->nat_lo && port <= s->nat_hi &&
	       (proto == IPPROTO_UDP || s->nat_tcp) && net_set_find(&s->nat, &rx->dst);
}

bool net_gate_error(struct mt_netw *w, struct net_rx *rx, uint16_t off)
{
	struct mt_tuple t = {.lport = 0};
	uint8_t proto;

	if (!rx->forward || !quoted(rx, off, &t, &proto) ||
		!is_forwarded(w->served, rx, t.lport, proto))
		return false;
	return leave_error(w, rx, &t);
}

/* An error about a packet that kept its client's address. */
static bool foreign_error(struct mt_netw *w, struct net_rx *rx)
{
	const struct rte_icmp_hdr *icmp = rx_l4(rx);
	uint32_t at = (uint32_t)rx->l2_len + rx->l3_len, pseudo = 0;
	uint16_t len = rx_l4_len(rx);
	struct mt_tuple t = {.lport = 0};
	uint8_t proto;

	if (!rx_has(rx, sizeof(*icmp)) || !quoted(rx, sizeof(*icmp), &t, &proto) ||
		!net_rows_has(&w->served->servers, &t.remote, t.rport, proto))
		return false;
	if (rx->is4 ? icmp->icmp_type != 3 && icmp->icmp_type != 11
		    : icmp->icmp_type == 0 || icmp->icmp_type > 4)
		return false;
	if (!rx->is4)
		pseudo = net_pseudo6(&rx->src, &rx->dst, len, IPPROTO_ICMPV6);
	if (net_is_ours(w, &rx->src) || net_cksum(rx->m, at, len, pseudo) != 0)
		return false;
	net_trim(rx->m, (uint32_t)rx->l2_len + rx->len);
	return leave_error(w, rx, &t);
}

bool net_gate(struct mt_netw *w, struct net_rx *rx)
{
	uint16_t need = header_of(rx->proto);
	const uint16_t *ports = rx_l4(rx);

	if (!need || !rx_has(rx, need) ||
		!is_forwarded(w->served, rx, rte_be_to_cpu_16(ports[1]), rx->proto))
		return false;
	net_trim(rx->m, (uint32_t)rx->l2_len + rx->len);
	leave(w, rx);
	return true;
}

bool net_gate_foreign(struct mt_netw *w, struct net_rx *rx)
{
	uint16_t need = header_of(rx->proto);
	const uint16_t *ports = rx_l4(rx);

	if (rx->proto == (rx->is4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return foreign_error(w, rx);
	if (!need || !rx_has(rx, need) || net_is_ours(w, &rx->src) ||
		!net_rows_has(&w->served->servers, &rx->src, rte_be_to_cpu_16(ports[0]), rx->proto))
		return false;
	net_trim(rx->m, (uint32_t)rx->l2_len + rx->len);
	leave(w, rx);
	return true;
}

/* Hash of what the fragments of a datagram have in common; a device has none that is equal. */
static uint32_t fragment_hash(const struct mt_netw *w, const struct net_rx *rx)
{
	struct mt_tuple t = {.local = rx->dst, .remote = rx->src};

	if (rx->is4) {
		const struct rte_ipv4_hdr *ip = rx_l3(rx);

		t.lport = rte_be_to_cpu_16(ip->packet_id);
	} else {
		const uint8_t *id = (const uint8_t *)rx_l4(rx) - sizeof(uint32_t);

		t.lport = (uint16_t)(id[0] << 8 | id[1]);
		t.rport = (uint16_t)(id[2] << 8 | id[3]);
	}
	return mt_steer_hash(w->net->steer, &t);
}

bool net_gate_fragment(struct mt_netw *w, struct net_rx *rx, bool local)
{
	uint16_t headers = (uint16_t)(rx->l2_len + rx->l3_len + header_of(rx->proto));
	uint16_t owner = w->worker;
	struct rte_mbuf *m = rx->m;
	uint32_t hash = 0;

	if (!header_of(rx->proto))
		return false;
	if (local ? !rx->forward
		  : net_is_ours(w, &rx->src) || !net_set_find(&w->served->server_addrs, &rx->src))
		return false;
	net_trim(m, (uint32_t)rx->l2_len + rx->len);
	if (w->net->workers > 1) {
		hash = fragment_hash(w, rx);
		owner = mt_steer_owner_of_hash(w->net->steer, hash);
	}
	if (mt_unlikely(!mt_buf_writable(m))) {
		m = own_header(w, m, MT_MIN(headers, m->data_len));
		if (!m)
			return true;
	}
	m->hash.rss = hash;
	m->port = rx->port->index;
	m->l2_len = rx->l2_len;
	m->l3_len = rx->l3_len;
	m->packet_type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L4_FRAG |
			 (rx->is4 ? RTE_PTYPE_L3_IPV4_EXT_UNKNOWN : RTE_PTYPE_L3_IPV6_EXT_UNKNOWN);
	if (owner != w->worker) {
		if (mt_steer_push(w->net->steer, w->worker, owner, &m, 1) == 0)
			net_drop(w, m, MT_NET_handoff_full);
		return true;
	}
	MT_ASSERT(w->n_forwarded < NET_FORWARDED);
	w->forwarded[w->n_forwarded++] = m;
	return true;
}

struct rte_mbuf **mt_net_forwarded(struct mt_netw *w, uint16_t *n)
{
	*n = w->n_forwarded;
	w->n_forwarded = 0;
	return w->forwarded;
}
