/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors about packets that are not forwarded (RFC 792, 1191, 1812, 4443). */
#include "mt_forward_packet.h"

#include <netinet/in.h>

#include <rte_ip.h>

#define TTL	       64
#define CONTROL	       0xc0 /* precedence 6, internetwork control (RFC 1812 §4.3.2.5) */
#define ICMP_LEN       8
#define QUOTE_AFTER    8    /* bytes that a quote has at least after the header, if there are any */
#define IP6_MTU	       1280 /* at least */
#define ICMP6_INFO     128  /* types below are errors */
#define ICMP6_REDIRECT 137

/* Type and code of both families. */
static const struct {
	uint8_t type4, code4, type6, code6;
} kinds[MT_FWD_ERRORS] = {
	[MT_FWD_ERROR_TIME] = {11, 0, 3, 0},
	[MT_FWD_ERROR_NO_ROUTE] = {3, 0, 1, 0},
	[MT_FWD_ERROR_HOST] = {3, 1, 1, 3},
	[MT_FWD_ERROR_ADMIN] = {3, 13, 1, 1},
	[MT_FWD_ERROR_TOO_BIG] = {3, 4, 2, 0},
};

/* Echo and its reply, router discovery, timestamps, information and masks; others may be errors. */
static bool is_query4(uint8_t type)
{
	return type == 0 || type == 8 || type == 9 || type == 10 || (type >= 13 && type <= 18);
}

bool mt_fwd_may_error(const struct mt_fwd_packet *p, const uint8_t *ip, uint32_t have, bool group)
{
	uint32_t end = MT_MIN(have, (uint32_t)p->len);

	if (group || p->later || p->l4 == 0)
		return false;
	if (p->proto != (p->is4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return true;
	if (p->l4 >= end)
		return false;
	if (p->is4)
		return is_query4(ip[p->l4]);
	return ip[p->l4] >= ICMP6_INFO && ip[p->l4] != ICMP6_REDIRECT;
}

static void head4(
	const struct mt_fwd_packet *p, const struct mt_addr *from, uint8_t *out, uint32_t len)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)out;

	memset(ip, 0, sizeof(*ip));
	ip->version_ihl = RTE_IPV4_VHL_DEF;
	ip->type_of_service = CONTROL;
	ip->total_length = rte_cpu_to_be_16((uint16_t)len);
	ip->fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG);
	ip->time_to_live = TTL;
	ip->next_proto_id = IPPROTO_ICMP;
	ip->src_addr = mt_addr_v4(from);
	ip->dst_addr = mt_addr_v4(&p->src);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void head6(
	const struct mt_fwd_packet *p, const struct mt_addr *from, uint8_t *out, uint32_t len)
{
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)out;

	memset(ip, 0, sizeof(*ip));
	ip->vtc_flow = rte_cpu_to_be_32(6u << 28);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(len - sizeof(*ip)));
	ip->proto = IPPROTO_ICMPV6;
	ip->hop_limits = TTL;
	memcpy(ip->src_addr, from, sizeof(ip->src_addr));
	memcpy(ip->dst_addr, &p->src, sizeof(ip->dst_addr));
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

uint32_t mt_fwd_error(const struct mt_fwd_packet *p, const uint8_t *ip, uint32_t have,
	enum mt_fwd_error kind, uint16_t mtu, const struct mt_addr *from, uint8_t *out,
	uint32_t room)
{
	uint32_t head = p->is4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	uint32_t quote = MT_MIN(have, (uint32_t)p->len);
	uint32_t least = MT_MIN(quote, p->head + (uint32_t)QUOTE_AFTER);
	uint8_t *icmp = out + head;
	uint16_t sum;

	room = MT_MIN(room, p->is4 ? (uint32_t)MT_FWD_ERROR4_MAX : (uint32_t)MT_FWD_ERROR6_MAX);
	if (room < head + ICMP_LEN + least)
		return 0;
	quote = MT_MIN(quote, room - head - ICMP_LEN);
	memset(icmp, 0, ICMP_LEN);
	icmp[0] = p->is4 ? kinds[kind].type4 : kinds[kind].type6;
	icmp[1] = p->is4 ? kinds[kind].code4 : kinds[kind].code6;
	if (kind == MT_FWD_ERROR_TOO_BIG)
		put16(icmp + 6, p->is4 ? mtu : MT_MAX(mtu, (uint16_t)IP6_MTU));
	memcpy(icmp + ICMP_LEN, ip, quote);
	if (p->is4) {
		head4(p, from, out, head + ICMP_LEN + quote);
		sum = (uint16_t)~rte_raw_cksum(icmp, ICMP_LEN + quote);
	} else {
		head6(p, from, out, head + ICMP_LEN + quote);
		sum = rte_ipv6_udptcp_cksum((const struct rte_ipv6_hdr *)out, icmp);
	}
	memcpy(icmp + 2, &sum, sizeof(sum));
	return head + ICMP_LEN + quote;
}
