/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP errors about packets of flows (RFC 5508). The quoted packet is one that the node has
 * rewritten, so the error is meant for its original sender: it goes there, from the address that
 * the sender used, and quotes the packet as it was sent. So a client learns that a port is closed
 * or that its packets are too big, and not where endpoints are. An error does not keep a flow
 * alive, and does not end it: a TCP host checks the quoted sequence number (RFC 5927).
 */
#include "mt_l4_priv.h"

#include <string.h>

#include <rte_icmp.h>
#include <rte_tcp.h>
#include <rte_udp.h>

/* RFC 1624, equation 3, with the difference taken back: words as they lie in memory. */
static uint16_t undone(uint16_t sum, uint16_t delta)
{
	uint32_t s = (uint32_t)(uint16_t)~sum + (uint16_t)~delta;

	return (uint16_t) ~((s & 0xffff) + (s >> 16));
}

/* The quote ends `left` bytes after the start of this header, and need not have its checksum. */
static void restore_l4(uint8_t *l4, uint32_t left, const struct l4_entry *e)
{
	uint32_t at = l4_key_proto(&e->key) == IPPROTO_TCP
			      ? offsetof(struct rte_tcp_hdr, cksum)
			      : offsetof(struct rte_udp_hdr, dgram_cksum);
	uint16_t sum;

	memcpy(l4, &e->key.q[4], 4);
	if (left < at + sizeof(sum))
		return;
	memcpy(&sum, l4 + at, sizeof(sum));
	if (sum == 0 && l4_key_proto(&e->key) == IPPROTO_UDP)
		return; /* the sender computed none */
	sum = undone(sum, e->l4_sum);
	memcpy(l4 + at, &sum, sizeof(sum));
}

/* Rewrites a quoted packet to what it was: `e` is the entry of its direction. */
static void restore(uint8_t *quote, uint16_t len, const struct l4_entry *e)
{
	const struct l4_key *k = &e->key;
	struct rte_ipv4_hdr *ip4 = (struct rte_ipv4_hdr *)quote;
	struct rte_ipv6_hdr *ip6 = (struct rte_ipv6_hdr *)quote;
	uint32_t ends, hlen = sizeof(*ip6);

	if (l4_key_is6(k)) {
		memcpy(ip6->src_addr, &k->q[0], 32);
	} else {
		/* The difference of the addresses, without that of the TTL. */
		ends = (uint32_t)e->ip_sum + rte_cpu_to_be_16(0x0100);
		memcpy(&ip4->src_addr, &k->q[0], 8);
		ip4->hdr_checksum =
			undone(ip4->hdr_checksum, (uint16_t)((ends & 0xffff) + (ends >> 16)));
		hlen = ip4->ihl * 4u;
	}
	restore_l4(quote + hlen, len - hlen, e);
}

/* Copies what is quoted; returns how much; 0: it has another protocol, or is too short. */
static uint16_t copy_quote(const struct rte_mbuf *m, uint8_t quote[MT_NET_QUOTE_MAX],
	struct mt_tuple *t, uint8_t *proto)
{
	uint32_t off = (uint32_t)m->l2_len + m->l3_len + sizeof(struct rte_icmp_hdr);
	uint16_t len;

	if (m->data_len <= off)
		return 0;
	len = (uint16_t)MT_MIN(m->data_len - off, (uint32_t)MT_NET_QUOTE_MAX);
	memcpy(quote, rte_pktmbuf_mtod_offset(m, const uint8_t *, off), len);
	if (!mt_net_quoted(quote, len, t, proto))
		return 0;
	return mt_addr_is4(&t->local) == (RTE_ETH_IS_IPV4_HDR(m->packet_type) != 0) ? len : 0;
}

/* `idx`: the entry of packets of the error's receiver. */
static bool route(struct mt_l4 *l, const struct mt_addr *to, uint32_t idx, struct mt_net_dst *dst)
{
	bool client = !(idx & 1);
	enum mt_net_result rc =
		client ? mt_net_route_guest(l->net, to, dst) : mt_net_route(l->net, NULL, to, dst);

	if (rc != MT_NET_SENT)
		l4_count_lost(l, rc == MT_NET_WAIT ? MT_L4_neighbour_unknown : MT_L4_no_route,
			l->entries[idx].service & L4_SERVICE);
	return rc == MT_NET_SENT;
}

mt_noinline void l4_icmp(struct mt_l4 *l, struct rte_mbuf *m)
{
	const struct rte_icmp_hdr *icmp =
		rte_pktmbuf_mtod_offset(m, const void *, m->l2_len + m->l3_len);
	uint8_t quote[MT_NET_QUOTE_MAX];
	struct mt_net_passed e = {.quote = quote};
	struct mt_net_dst dst = {0};
	struct mt_tuple t = {.lport = 0};
	struct l4_key back;
	uint8_t proto;
	uint32_t idx;

	e.len = copy_quote(m, quote, &t, &proto);
	if (!e.len) {
		l4_drop(l, m, MT_L4_header_bad);
		return;
	}
	/* Packets of the other direction reverse the tuple. */
	back = l4_make_key(&t.remote, t.rport, &t.local, t.lport, proto);
	idx = l4_find(l, &back, l4_hash(l, &back));
	if (l4_one_way_icmp(l, m, &back, idx))
		return;
	if (idx == L4_NONE) {
		l4_drop(l, m, MT_L4_icmp_no_flow);
		return;
	}
	idx ^= 1;
	restore(quote, e.len, &l->entries[idx]);
	e.to = l4_key_src(&l->entries[idx].key);
	e.from = l4_key_dst(&l->entries[idx].key);
	e.type = icmp->icmp_type;
	e.code = icmp->icmp_code;
	memcpy(e.word, &icmp->icmp_ident, sizeof(e.word));
	if (route(l, &e.to, idx, &dst) && mt_net_pass_error(l->net, &e, &dst))
		l4_count(l, MT_L4_icmp_forwarded);
	l4_free(l, m);
}
