/* SPDX-License-Identifier: Apache-2.0 */
/* ICMPv6 (RFC 4443): echo and errors; neighbour discovery is in nd.c. */
#include "mt_net_priv.h"

#include <string.h>

#include <rte_icmp.h>

#define UNREACH	       1
#define UNREACH_ADMIN  1
#define UNREACH_PORT   4
#define TOO_BIG	       2
#define TIME_EXCEEDED  3
#define PARAM_PROBLEM  4
#define PARAM_NEXT_HDR 1
#define ECHO_REQUEST   128
#define ECHO_REPLY     129
#define ND_SOLICIT     135
#define ND_ADVERTISE   136

static void error_in(struct mt_netw *w, struct net_rx *rx, const struct rte_icmp_hdr *icmp)
{
	enum mt_net_icmp kind = MT_NET_ICMP_UNREACH;
	uint32_t mtu = 0;

	if (icmp->icmp_type == TOO_BIG) {
		memcpy(&mtu, &icmp->icmp_ident, sizeof(mtu));
		mtu = MT_MIN(rte_be_to_cpu_32(mtu), UINT16_MAX);
		kind = MT_NET_ICMP_TOO_BIG;
	} else if (icmp->icmp_type == UNREACH) {
		if (icmp->icmp_code == UNREACH_ADMIN || icmp->icmp_code == UNREACH_PORT)
			kind = MT_NET_ICMP_HARD;
	} else if (icmp->icmp_type == PARAM_PROBLEM && icmp->icmp_code == PARAM_NEXT_HDR) {
		kind = MT_NET_ICMP_HARD;
	}
	net_icmp_error_in(w, rx, sizeof(*icmp), kind, (uint16_t)mtu);
}

void net_icmp6_input(struct mt_netw *w, struct net_rx *rx)
{
	const struct rte_icmp_hdr *icmp = rx_l4(rx);
	uint32_t off = (uint32_t)rx->l2_len + rx->l3_len;
	uint16_t len = rx_l4_len(rx);
	bool group = rx->dst.b[0] == 0xff || !rx->l2_unicast, nd;

	if (!rx_has(rx, sizeof(*icmp)) ||
		net_cksum(rx->m, off, len, net_pseudo6(&rx->src, &rx->dst, len, IPPROTO_ICMPV6)) !=
			0) {
		net_drop(w, rx->m, MT_NET_icmp_bad);
		return;
	}
	nd = icmp->icmp_type == ND_SOLICIT || icmp->icmp_type == ND_ADVERTISE;
	if (nd)
		net_nd_input(w, rx);
	else if (group || mt_addr_is_zero(&rx->src))
		net_drop(w, rx->m, MT_NET_icmp_ignored);
	else if (icmp->icmp_type == ECHO_REQUEST)
		net_echo(w, rx, ECHO_REPLY, net_pseudo6(&rx->dst, &rx->src, len, IPPROTO_ICMPV6));
	else if (icmp->icmp_type == ECHO_REPLY)
		net_echo_reply(w, rx);
	else if (icmp->icmp_type >= UNREACH && icmp->icmp_type <= PARAM_PROBLEM)
		error_in(w, rx, icmp);
	else
		net_drop(w, rx->m, MT_NET_icmp_ignored);
}
