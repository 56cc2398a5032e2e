/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP (RFC 792, 1191), and the unreachable messages of both families that the node sends. */
#include "mt_net_priv.h"

#include <string.h>

#include <rte_icmp.h>

#define UNREACH	       3
#define UNREACH_PROTO  2
#define UNREACH_PORT   3
#define UNREACH_FRAG   4
#define UNREACH_ADMIN  13
#define TIME_EXCEEDED  11
#define PARAM_PROBLEM  12
#define ICMP6_UNREACH  1
#define ICMP6_PORT     4
#define ICMP6_PARAM    4
#define ICMP6_NEXT_HDR 1

/*
 * Routers older than RFC 1191 report no MTU: use the next plateau below the packet's size (its §7).
 */
static uint16_t plateau(uint16_t len)
{
	static const uint16_t sizes[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296};

	for (size_t i = 0; i < MT_ARRAY_LEN(sizes); i++)
		if (sizes[i] < len)
			return sizes[i];
	return 68;
}

static void unreach_in(struct mt_netw *w, struct net_rx *rx, uint8_t code)
{
	const uint8_t *icmp = rx_l4(rx);
	uint16_t mtu = 0, inner_len;

	switch (code) {
	case UNREACH_PROTO:
	case UNREACH_PORT:
	case UNREACH_ADMIN:
		net_icmp_error_in(w, rx, sizeof(struct rte_icmp_hdr), MT_NET_ICMP_HARD, 0);
		return;
	case UNREACH_FRAG:
		memcpy(&mtu, icmp + 6, sizeof(mtu));
		mtu = rte_be_to_cpu_16(mtu);
		if (mtu == 0 && rx_has(rx, sizeof(struct rte_icmp_hdr) + 4)) {
			memcpy(&inner_len, icmp + sizeof(struct rte_icmp_hdr) + 2,
				sizeof(inner_len));
			mtu = plateau(rte_be_to_cpu_16(inner_len));
		}
		net_icmp_error_in(w, rx, sizeof(struct rte_icmp_hdr), MT_NET_ICMP_TOO_BIG, mtu);
		return;
	default:
		net_icmp_error_in(w, rx, sizeof(struct rte_icmp_hdr), MT_NET_ICMP_UNREACH, 0);
	}
}

void net_icmp4_input(struct mt_netw *w, struct net_rx *rx)
{
	const struct rte_icmp_hdr *icmp = rx_l4(rx);
	uint32_t off = (uint32_t)rx->l2_len + rx->l3_len;

	if (!rx_has(rx, sizeof(*icmp)) || net_cksum(rx->m, off, rx_l4_len(rx), 0) != 0) {
		net_drop(w, rx->m, MT_NET_icmp_bad);
		return;
	}
	switch (icmp->icmp_type) {
	case RTE_IP_ICMP_ECHO_REQUEST:
		net_echo(w, rx, RTE_IP_ICMP_ECHO_REPLY, 0);
		return;
	case RTE_IP_ICMP_ECHO_REPLY:
		net_echo_reply(w, rx);
		return;
	case UNREACH:
		unreach_in(w, rx, icmp->icmp_code);
		return;
	case TIME_EXCEEDED:
	case PARAM_PROBLEM:
		net_icmp_error_in(w, rx, sizeof(*icmp), MT_NET_ICMP_UNREACH, 0);
		return;
	default:
		net_drop(w, rx->m, MT_NET_icmp_ignored);
	}
}

/* ---- errors out ---------------------------------------------------------------------------- */

const struct net_error net_port_unreachable = {UNREACH, UNREACH_PORT, ICMP6_UNREACH, ICMP6_PORT, 0};
static const struct net_error proto_unreachable = {
	UNREACH, UNREACH_PROTO, ICMP6_PARAM, ICMP6_NEXT_HDR, 0};

static void fill4(const struct net_error *e, struct rte_mbuf *m, struct rte_icmp_hdr *icmp)
{
	uint32_t word = rte_cpu_to_be_32(e->word);

	icmp->icmp_type = e->type4;
	icmp->icmp_code = e->code4;
	memcpy(&icmp->icmp_ident, &word, sizeof(word));
	icmp->icmp_cksum = net_cksum(m, 0, m->pkt_len, 0);
}

static void fill6(const struct net_rx *rx, const struct net_error *e, struct rte_mbuf *m,
	struct rte_icmp_hdr *icmp)
{
	/* A parameter problem names the field that was not understood. */
	uint32_t word = rte_cpu_to_be_32(e->type6 == ICMP6_PARAM ? rx->nh_off : e->word);

	icmp->icmp_type = e->type6;
	icmp->icmp_code = e->code6;
	memcpy(&icmp->icmp_ident, &word, sizeof(word));
	icmp->icmp_cksum = net_cksum(
		m, 0, m->pkt_len, net_pseudo6(&rx->dst, &rx->src, m->pkt_len, IPPROTO_ICMPV6));
}

/*
 * Builds the error, quoting as much of the packet as a control mbuf holds: more than RFC 792
 * requires.
 */
static struct rte_mbuf *build(struct mt_netw *w, const struct net_rx *rx, const struct net_error *e)
{
	uint16_t quote = MT_MIN(rx->len, NET_QUOTE_MAX);
	struct rte_mbuf *m = mt_buf_ctrl(w->pools);
	struct rte_icmp_hdr *icmp;
	const void *from;

	if (!m) {
		net_count(w, MT_NET_tx_no_memory);
		return NULL;
	}
	icmp = (struct rte_icmp_hdr *)rte_pktmbuf_append(m, (uint16_t)(sizeof(*icmp) + quote));
	MT_ASSERT(icmp);
	memset(icmp, 0, sizeof(*icmp));
	from = rte_pktmbuf_read(rx->m, rx->l2_len, quote, icmp + 1);
	if (from != (const void *)(icmp + 1))
		memcpy(icmp + 1, from, quote);
	if (rx->is4)
		fill4(e, m, icmp);
	else
		fill6(rx, e, m, icmp);
	return m;
}

void net_error_out(
	struct mt_netw *w, struct net_rx *rx, const struct net_error *e, struct net_limit *limit)
{
	struct rte_mbuf *m;

	/* No error about packets to a group or without a source address (RFC 1122 §3.2.2). */
	if (!rx->l2_unicast || rx->dst.b[0] == 0xff || mt_addr_is_zero(&rx->src)) {
		mt_buf_free(rx->m);
		return;
	}
	if (net_limited(limit, w->now)) {
		net_drop(w, rx->m, MT_NET_icmp_limited);
		return;
	}
	m = build(w, rx, e);
	mt_buf_free(rx->m);
	if (!m)
		return;
	net_count(w, MT_NET_icmp_error_out);
	net_reply(w, rx, m);
}

void net_unreachable(struct mt_netw *w, struct net_rx *rx)
{
	net_count(w, MT_NET_proto_unserved);
	net_error_out(w, rx, rx->proto == IPPROTO_UDP ? &net_port_unreachable : &proto_unreachable,
		&w->error_limit);
}
