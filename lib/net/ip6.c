/* SPDX-License-Identifier: Apache-2.0 */
/* IPv6 input and the bounded walk over extension headers (RFC 8200 §4). */
#include "mt_net_priv.h"

#include <string.h>

#define EXT_MAX	      8	  /* headers */
#define EXT_BYTES_MAX 256 /* l3_len of an mbuf has nine bits */
#define ROUTING_TYPE0 0	  /* RFC 5095: must not be processed */

uint16_t net_pseudo6(const struct mt_addr *a, const struct mt_addr *b, uint32_t len, uint8_t proto)
{
	struct {
		struct mt_addr a, b;
		uint32_t len, proto;
	} p = {*a, *b, rte_cpu_to_be_32(len), rte_cpu_to_be_32(proto)};

	return (uint16_t)net_sum(&p, sizeof(p));
}

/*
 * The two high bits of an option's type define how to treat an unknown one: 00 skips it, all others
 * require that the packet is dropped.
 */
static bool options_ok(const uint8_t *p, uint32_t len)
{
	while (len > 0) {
		uint32_t step = 1;

		if (p[0] != 0) { /* 0 is Pad1 */
			if (len < 2 || (p[0] & 0xc0) != 0)
				return false;
			step = 2u + p[1];
			if (step > len)
				return false;
		}
		p += step;
		len -= step;
	}
	return true;
}

/*
 * Length of one extension header at p (`left` bytes contiguous, `left` >= 8), or 0 with the reason
 * in *why when the packet must be dropped.
 */
static uint32_t ext_len(uint8_t type, const uint8_t *p, uint32_t left, enum mt_net_outcome *why)
{
	uint32_t len = (p[1] + 1u) * 8;

	*why = MT_NET_ip_options_refused;
	if (type == IPPROTO_FRAGMENT) {
		/* An atomic fragment is a whole packet (RFC 6946). */
		*why = MT_NET_ip_fragment_refused;
		return (p[2] | (p[3] & 0xf9)) == 0 ? 8 : 0;
	}
	if (len > left) {
		*why = MT_NET_ip_header_bad;
		return 0;
	}
	if (type == IPPROTO_ROUTING) /* skipped if it has no segments left, unless type 0 */
		return p[2] != ROUTING_TYPE0 && p[3] == 0 ? len : 0;
	return options_ok(p + 2, len - 2) ? len : 0;
}

static bool is_ext(uint8_t type)
{
	return type == IPPROTO_HOPOPTS || type == IPPROTO_DSTOPTS || type == IPPROTO_ROUTING ||
	       type == IPPROTO_FRAGMENT;
}

/* Walks to the transport header; sets proto, l3_len, nh_off. MT_NET_rx_tcp when it is there. */
static enum mt_net_outcome walk(struct net_rx *rx)
{
	const uint8_t *ip = rx_l3(rx);
	uint32_t here = MT_MIN((uint32_t)rx->m->data_len - rx->l2_len, (uint32_t)rx->len);
	uint32_t off = sizeof(struct rte_ipv6_hdr);

	for (int i = 0; i <= EXT_MAX; i++) {
		enum mt_net_outcome why;
		uint32_t len;

		if (mt_likely(!is_ext(rx->proto))) {
			rx->l3_len = (uint16_t)off;
			return MT_NET_rx_tcp;
		}
		/* Hop-by-hop options come first or not at all. */
		if (i == EXT_MAX || off + 8 > here || (rx->proto == IPPROTO_HOPOPTS && i > 0))
			return MT_NET_ip_header_bad;
		len = ext_len(rx->proto, ip + off, here - off, &why);
		if (len == 0) {
			rx->l3_len = (uint16_t)off; /* for fragment() */
			return why;
		}
		rx->proto = ip[off];
		rx->nh_off = (uint8_t)off;
		off += len;
		if (off > sizeof(struct rte_ipv6_hdr) + EXT_BYTES_MAX - 8)
			return MT_NET_ip_header_bad;
	}
	return MT_NET_ip_header_bad;
}

/*
 * Rejects ::1, multicast and v4-mapped sources. `::` passes with ICMPv6 only, of which
 * net_icmp6_input() then accepts only neighbour discovery.
 */
static bool source_ok(const struct net_rx *rx)
{
	const struct mt_addr *a = &rx->src;

	if (a->b[0] == 0xff || mt_addr_is4(a))
		return false;
	if (a->q[0] == 0 && rte_be_to_cpu_64(a->q[1]) == 1)
		return false;
	return !mt_addr_is_zero(a) || rx->proto == IPPROTO_ICMPV6;
}

static enum mt_net_outcome check(struct net_rx *rx, const struct rte_ipv6_hdr *ip)
{
	uint32_t got = rx->m->pkt_len - rx->l2_len;
	uint32_t total;

	if ((uint32_t)rx->m->data_len - rx->l2_len < sizeof(*ip) ||
		(rte_be_to_cpu_32(ip->vtc_flow) >> 28) != 6)
		return MT_NET_ip_header_bad;
	total = (uint32_t)sizeof(*ip) + rte_be_to_cpu_16(ip->payload_len);
	if (total > got || total > UINT16_MAX)
		return MT_NET_truncated;
	rx->is4 = false;
	rx->len = (uint16_t)total;
	rx->proto = ip->proto;
	rx->nh_off = 6;
	rx->ttl = ip->hop_limits;
	memcpy(&rx->src, ip->src_addr, sizeof(rx->src));
	memcpy(&rx->dst, ip->dst_addr, sizeof(rx->dst));
	return walk(rx);
}

/*
 * A part of a packet, with its fragment header at l3_len: lib/l4 gets it, the kernel if it is not
 * for a local address, or it is dropped.
 */
static mt_noinline void fragment(struct mt_netw *w, struct net_rx *rx)
{
	const uint8_t *header = (const uint8_t *)rx_l3(rx) + rx->l3_len;
	bool local, station = rx->l2_unicast && rx->dst.b[0] != 0xff && !mt_addr_is4(&rx->dst);

	rx->proto = header[0];
	rx->nh_off = (uint8_t)rx->l3_len;
	rx->l3_len = (uint16_t)(rx->l3_len + sizeof(struct rte_ipv6_fragment_ext));
	local = net_to_us(w, rx);
	if (!source_ok(rx) || (local && net_is_ours(w, &rx->src)))
		net_drop(w, rx->m, MT_NET_martian_source);
	else if (station && net_gate_fragment(w, rx, local))
		return;
	else if (station && !local)
		net_punt(w, rx, MT_NET_ip_fragment_refused);
	else
		net_drop(w, rx->m, MT_NET_ip_fragment_refused);
}

bool net_ip6_input(struct mt_netw *w, struct net_rx *rx)
{
	enum mt_net_outcome bad = check(rx, rx_l3(rx));
	bool multicast;

	if (bad == MT_NET_rx_tcp && !source_ok(rx))
		bad = MT_NET_martian_source;
	if (mt_unlikely(bad != MT_NET_rx_tcp)) {
		if (bad == MT_NET_ip_fragment_refused)
			fragment(w, rx);
		else
			net_drop(w, rx->m, bad);
		return false;
	}
	/* Of group packets only neighbour discovery is accepted; it checks the target itself. */
	multicast = rx->dst.b[0] == 0xff;
	if (mt_unlikely(multicast || !rx->l2_unicast)) {
		if (rx->proto != IPPROTO_ICMPV6 || (!multicast && !mt_net_is_local(w, &rx->dst))) {
			net_drop(w, rx->m, MT_NET_multicast_ignored);
			return false;
		}
	} else if (mt_unlikely(mt_addr_is4(&rx->dst) || !net_to_us(w, rx))) {
		if (w->has_servers && !mt_addr_is4(&rx->dst) && net_gate_foreign(w, rx))
			return false;
		net_punt(w, rx, MT_NET_not_local);
		return false;
	}
	if (mt_unlikely(net_is_ours(w, &rx->src))) {
		net_drop(w, rx->m, MT_NET_martian_source);
		return false;
	}
	if (mt_unlikely(rx->forward) && net_gate_may(w->served, rx) && net_gate(w, rx))
		return false;
	net_trim(rx->m, (uint32_t)rx->l2_len + rx->len);
	return net_l4_input(w, rx);
}
