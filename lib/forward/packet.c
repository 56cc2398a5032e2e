/* SPDX-License-Identifier: Apache-2.0 */
/* Reads packets that are to be forwarded; decides about their length and hop count. */
#include "mt_forward_packet.h"
#include "mt_forward_priv.h"

#include <netinet/in.h>

#include <rte_ip.h>

#define IP6_LEN	      40
#define IP6_WALK      8 /* extension headers at most, as lib/guest (RFC 7113) */
#define DF	      0x4000
#define MF	      0x2000
#define OFFSET	      0x1fff
#define OPTION_END    0
#define OPTION_NOP    1
#define OPTION_LSRR   131
#define OPTION_SSRR   137
#define FRAGMENT_MORE 1 /* of IPv6 */

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

const char *mt_fwd_fault_str(enum mt_fwd_fault f)
{
	static const char *const names[MT_FWD_FAULTS] = {
		"good", "short", "version", "checksum", "options", "source", "destination"};

	return f < MT_FWD_FAULTS ? names[f] : "?";
}

/* False for this network, loopback, link-local (RFC 3927 §2.7), groups and reserved addresses. */
static bool routable4(const uint8_t *a)
{
	return a[0] != 0 && a[0] != 127 && a[0] < 224 && !(a[0] == 169 && a[1] == 254);
}

/*
 * False for unspecified, loopback, IPv4-mapped (RFC 4291 §2.5) and link-local addresses, and
 * groups.
 */
static bool routable6(const struct mt_addr *a)
{
	bool low = a->q[0] == 0 && a->w[2] == 0 && a->b[12] == 0 && a->b[13] == 0 &&
		   a->b[14] == 0 && a->b[15] <= 1;

	return !low && a->b[0] != 0xff && !mt_addr_is4(a) && !mt_addr_is_link_local(a);
}

static bool options_ok(const uint8_t *p, uint32_t len)
{
	while (len && p[0] != OPTION_END) {
		uint32_t n = 1;

		if (p[0] != OPTION_NOP) {
			if (len < 2 || p[1] < 2 || p[1] > len || p[0] == OPTION_LSRR ||
				p[0] == OPTION_SSRR)
				return false;
			n = p[1];
		}
		p += n;
		len -= n;
	}
	return true;
}

static enum mt_fwd_fault read4(
	const uint8_t *ip, uint32_t have, uint32_t len, struct mt_fwd_packet *p)
{
	uint16_t part = be16(ip + 6);
	uint32_t v;

	p->head = (uint16_t)((ip[0] & 15) * 4);
	p->len = be16(ip + 2);
	if (p->head < 20 || p->head > have || p->len < p->head || p->len > len)
		return MT_FWD_SHORT;
	/* A part beyond the longest packet. */
	if ((part & OFFSET) * 8u + p->len - p->head > UINT16_MAX)
		return MT_FWD_SHORT;
	if (rte_raw_cksum(ip, p->head) != 0xffff)
		return MT_FWD_CHECKSUM;
	if (!options_ok(ip + 20, p->head - 20u))
		return MT_FWD_OPTIONS;
	if (!routable4(ip + 12))
		return MT_FWD_SOURCE;
	if (!routable4(ip + 16))
		return MT_FWD_DESTINATION;
	memcpy(&v, ip + 12, sizeof(v));
	p->src = mt_addr4(v);
	memcpy(&v, ip + 16, sizeof(v));
	p->dst = mt_addr4(v);
	p->df = part & DF;
	p->fragment = part & (MF | OFFSET);
	p->later = part & OFFSET;
	p->ttl = ip[8];
	p->proto = ip[9];
	p->l4 = p->head;
	return MT_FWD_GOOD;
}

/* Finds the header after the extension headers; l4 stays 0 if it is not in the bytes given. */
static void walk6(const uint8_t *ip, uint32_t have, struct mt_fwd_packet *p)
{
	uint32_t at = IP6_LEN, end = MT_MIN(have, (uint32_t)p->len);
	uint8_t next = ip[6];

	for (int i = 0; i <= IP6_WALK; i++) {
		uint32_t n;

		p->proto = next;
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
			next != IPPROTO_FRAGMENT && next != IPPROTO_AH) {
			p->l4 = (uint16_t)(at <= end ? at : 0);
			return;
		}
		if (at + 8 > end)
			return;
		n = (ip[at + 1] + 1u) * 8;
		if (next == IPPROTO_AH)
			n = (ip[at + 1] + 2u) * 4;
		if (next == IPPROTO_FRAGMENT) {
			n = 8;
			p->fragment = true;
			p->later = be16(ip + at + 2) & ~7u;
		}
		next = ip[at];
		at += n;
		if (p->later) {
			p->proto = next;
			p->l4 = (uint16_t)(at <= end ? at : 0);
			return;
		}
	}
}

static enum mt_fwd_fault read6(
	const uint8_t *ip, uint32_t have, uint32_t len, struct mt_fwd_packet *p)
{
	uint32_t all = IP6_LEN + (have >= IP6_LEN ? be16(ip + 4) : 0u);

	/* A jumbogram's length of 0 makes it an empty packet, which has no ports. */
	if (have < IP6_LEN || all > len || all > UINT16_MAX)
		return MT_FWD_SHORT;
	memcpy(&p->src, ip + 8, sizeof(p->src));
	memcpy(&p->dst, ip + 24, sizeof(p->dst));
	if (!routable6(&p->src))
		return MT_FWD_SOURCE;
	if (!routable6(&p->dst))
		return MT_FWD_DESTINATION;
	p->head = IP6_LEN;
	p->len = (uint16_t)all;
	p->df = true;
	p->ttl = ip[7];
	walk6(ip, have, p);
	return MT_FWD_GOOD;
}

static bool has_ports(const struct mt_fwd_packet *p, uint32_t have)
{
	return p->l4 && !p->fragment && p->l4 + 4u <= MT_MIN(have, (uint32_t)p->len) &&
	       (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP || p->proto == IPPROTO_SCTP);
}

static uint32_t flow_of(const uint8_t *ip, uint32_t have, const struct mt_fwd_packet *p)
{
	uint64_t h = fwd_mix(p->src.q[0] ^ fwd_mix(p->src.q[1] ^ p->proto));
	uint32_t ports = 0;

	if (has_ports(p, have))
		memcpy(&ports, ip + p->l4, sizeof(ports));
	h = fwd_mix(h ^ p->dst.q[0]);
	return (uint32_t)(fwd_mix(h ^ p->dst.q[1] ^ ports) >> 32);
}

enum mt_fwd_fault mt_fwd_read(
	const uint8_t *ip, uint32_t have, uint32_t len, struct mt_fwd_packet *p)
{
	enum mt_fwd_fault f;

	memset(p, 0, sizeof(*p));
	if (have > len || have < 20)
		return MT_FWD_SHORT;
	p->is4 = ip[0] >> 4 == 4;
	if (!p->is4 && ip[0] >> 4 != 6)
		return MT_FWD_VERSION;
	f = p->is4 ? read4(ip, have, len, p) : read6(ip, have, len, p);
	if (f == MT_FWD_GOOD)
		p->flow = flow_of(ip, have, p);
	return f;
}

/* The hop count comes first, as in RFC 1812 §5.2.1: an expired packet has no way out. */
enum mt_fwd_verdict mt_fwd_decide(const struct mt_fwd_packet *p, uint16_t mtu)
{
	if (p->ttl <= 1)
		return MT_FWD_TIME_EXCEEDED;
	if (p->len <= mtu)
		return MT_FWD_SEND;
	return p->df ? MT_FWD_TOO_BIG : MT_FWD_SPLIT;
}

/*
 * The new checksum is ~(~HC + ~m + m') (RFC 1624, equation 3) for the 16-bit word of TTL and
 * protocol.
 */
void mt_fwd_decrement(uint8_t *ip)
{
	uint32_t sum;

	if (ip[0] >> 4 == 6) {
		ip[7]--;
		return;
	}
	sum = (uint32_t)(uint16_t)~be16(ip + 10) + (uint16_t)~be16(ip + 8);
	ip[8]--;
	sum += be16(ip + 8);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = (uint8_t)(~sum >> 8);
	ip[11] = (uint8_t)~sum;
}
