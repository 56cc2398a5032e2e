/* SPDX-License-Identifier: Apache-2.0 */
/* Frames as bytes, written and summed without lib/net and without DPDK's helpers. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

struct mt_addr fx_addr(const char *text)
{
	struct mt_addr a;

	if (mt_addr_parse(text, &a))
		abort();
	return a;
}

static uint32_t add(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint16_t fx_sum(uint32_t start, const uint8_t *p, uint32_t len)
{
	return fold(add(start, p, len));
}

void fx_put(struct fx_pkt *p, const void *bytes, uint16_t len)
{
	if (bytes)
		memcpy(p->b + p->len, bytes, len);
	else
		memset(p->b + p->len, 0, len);
	p->len = (uint16_t)(p->len + len);
}

static void put16(struct fx_pkt *p, uint16_t v)
{
	p->b[p->len++] = (uint8_t)(v >> 8);
	p->b[p->len++] = (uint8_t)v;
}

static void set16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void set32(uint8_t *at, uint32_t v)
{
	set16(at, (uint16_t)(v >> 16));
	set16(at + 2, (uint16_t)v);
}

void fx_eth(struct fx_pkt *p, const uint8_t *to, uint16_t type)
{
	static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};

	p->len = 0;
	fx_put(p, to ? to : all, 6);
	fx_put(p, fx_peer_mac, 6);
	put16(p, type);
}

static uint32_t pseudo(
	const struct mt_addr *a, const struct mt_addr *b, uint8_t proto, uint16_t len)
{
	int skip = mt_addr_is4(a) ? 12 : 0;
	uint32_t sum = add(0, a->b + skip, (uint32_t)(16 - skip));

	return add(sum, b->b + skip, (uint32_t)(16 - skip)) + proto + len;
}

static void put_ip(struct fx_pkt *p, const struct mt_addr *src, const struct mt_addr *dst,
	uint8_t proto, uint16_t len)
{
	uint8_t *ip = p->b + p->len;

	if (!mt_addr_is4(src)) {
		put16(p, 0x6000);
		put16(p, 0);
		put16(p, len);
		p->b[p->len++] = proto;
		p->b[p->len++] = proto == 58 ? 255 : 64;
		fx_put(p, src->b, 16);
		fx_put(p, dst->b, 16);
		return;
	}
	put16(p, 0x4500);
	put16(p, (uint16_t)(20 + len));
	put16(p, 1);
	put16(p, 0x4000);
	p->b[p->len++] = 64;
	p->b[p->len++] = proto;
	put16(p, 0);
	fx_put(p, src->b + 12, 4);
	fx_put(p, dst->b + 12, 4);
	set16(ip + 10, fx_sum(0, ip, 20));
}

void fx_ip(struct fx_pkt *p, const char *src, const char *dst, uint8_t proto, const void *payload,
	uint16_t len, int sum_at)
{
	struct mt_addr s = fx_addr(src), d = fx_addr(dst);
	uint32_t start = 0;
	uint8_t *l4;

	if (p->len == 0)
		fx_eth(p, fx_our_mac[0], mt_addr_is4(&s) ? 0x0800 : 0x86dd);
	put_ip(p, &s, &d, proto, len);
	l4 = p->b + p->len;
	fx_put(p, payload, len);
	if (sum_at < 0)
		return;
	if (proto != 1)
		start = pseudo(&s, &d, proto, len);
	set16(l4 + sum_at, 0);
	set16(l4 + sum_at, fx_sum(start, l4, len));
}

void fx_tcp(struct fx_pkt *p, const char *src, uint16_t sport, const char *dst, uint16_t dport,
	uint16_t data)
{
	uint8_t tcp[2048] = {0};

	set16(tcp, sport);
	set16(tcp + 2, dport);
	set32(tcp + 4, 0x01020304);
	tcp[12] = 5 << 4;
	tcp[13] = 2;
	set16(tcp + 14, 0xffff);
	for (uint16_t i = 0; i < data; i++)
		tcp[20 + i] = (uint8_t)(i * 7 + 1);
	fx_ip(p, src, dst, 6, tcp, (uint16_t)(20 + data), 16);
}

void fx_echo(struct fx_pkt *p, const char *src, const char *dst, uint16_t data)
{
	struct mt_addr s = fx_addr(src);
	uint8_t icmp[2048] = {0};

	icmp[0] = mt_addr_is4(&s) ? 8 : 128;
	set16(icmp + 4, 0x1234);
	set16(icmp + 6, 1);
	for (uint16_t i = 0; i < data; i++)
		icmp[8 + i] = (uint8_t)(i * 3 + 5);
	fx_ip(p, src, dst, mt_addr_is4(&s) ? 1 : 58, icmp, (uint16_t)(8 + data), 2);
}

void fx_arp(struct fx_pkt *p, uint16_t op, const uint8_t sha[6], const char *sip, const char *tip,
	const uint8_t *to)
{
	struct mt_addr s = fx_addr(sip), t = fx_addr(tip);

	if (p->len == 0)
		fx_eth(p, to, 0x0806);
	put16(p, 1);
	put16(p, 0x0800);
	put16(p, 0x0604);
	put16(p, op);
	fx_put(p, sha, 6);
	fx_put(p, s.b + 12, 4);
	fx_put(p, NULL, 6);
	fx_put(p, t.b + 12, 4);
}

void fx_nd(struct fx_pkt *p, uint8_t type, const char *src, const char *dst, const char *target,
	uint32_t flags, uint8_t opt, const uint8_t mac[6])
{
	struct mt_addr t = fx_addr(target), d = fx_addr(dst);
	uint8_t group[6] = {0x33, 0x33, d.b[12], d.b[13], d.b[14], d.b[15]};
	uint8_t nd[32] = {type};

	set32(nd + 4, flags);
	memcpy(nd + 8, t.b, 16);
	if (opt) {
		nd[24] = opt;
		nd[25] = 1;
		memcpy(nd + 26, mac, 6);
	}
	if (p->len == 0)
		fx_eth(p, d.b[0] == 0xff ? group : fx_our_mac[0], 0x86dd);
	fx_ip(p, src, dst, 58, nd, opt ? 32 : 24, 2);
}

void fx_icmp_error(struct fx_pkt *p, const char *router, uint8_t type, uint8_t code, uint32_t rest,
	const char *inner_src, uint16_t sport, const char *inner_dst, uint16_t dport, uint32_t seq)
{
	struct mt_addr s = fx_addr(inner_src), d = fx_addr(inner_dst);
	bool is4 = mt_addr_is4(&s);
	struct fx_pkt in = {0};
	uint8_t head[8] = {type, code}, tcp[8];

	set32(head + 4, rest);
	fx_put(&in, head, 8);
	put_ip(&in, &s, &d, 6, 1460);
	set16(tcp, sport);
	set16(tcp + 2, dport);
	set32(tcp + 4, seq);
	fx_put(&in, tcp, 8);
	fx_ip(p, router, inner_src, is4 ? 1 : 58, in.b, in.len, 2);
}

bool fx_sums_ok(const struct fx_frame *f, uint16_t l2)
{
	const uint8_t *ip = f->b + l2, *l4;
	struct mt_addr s, d;
	uint16_t len;
	uint8_t proto;

	if (ip[0] >> 4 == 4) {
		uint32_t be;

		memcpy(&be, ip + 12, 4);
		s = mt_addr4(be);
		memcpy(&be, ip + 16, 4);
		d = mt_addr4(be);
		len = (uint16_t)((ip[2] << 8 | ip[3]) - 20);
		proto = ip[9];
		l4 = ip + 20;
		if (fx_sum(0, ip, 20) != 0)
			return false;
	} else {
		memcpy(&s, ip + 8, 16);
		memcpy(&d, ip + 24, 16);
		len = (uint16_t)(ip[4] << 8 | ip[5]);
		proto = ip[6];
		l4 = ip + 40;
	}
	if (l4 + len != f->b + f->len)
		return false;
	return fx_sum(proto == 1 ? 0 : pseudo(&s, &d, proto, len), l4, len) == 0;
}

void fx_resum(struct fx_pkt *p, uint16_t l2)
{
	uint8_t *ip = p->b + l2, *l4;
	struct mt_addr s, d;
	uint16_t len, hlen;
	uint8_t proto;

	if (p->len < l2 + 20 || (ip[0] >> 4 != 4 && p->len < l2 + 40))
		return;
	if (ip[0] >> 4 == 4) {
		uint32_t be[2];

		hlen = (uint16_t)((ip[0] & 15) * 4);
		if (hlen < 20 || l2 + hlen > p->len)
			return;
		memcpy(be, ip + 12, 8);
		s = mt_addr4(be[0]);
		d = mt_addr4(be[1]);
		set16(ip + 10, 0);
		set16(ip + 10, fx_sum(0, ip, hlen));
		len = (uint16_t)(MT_MAX((ip[2] << 8 | ip[3]), hlen) - hlen);
		proto = ip[9];
	} else {
		hlen = 40;
		memcpy(&s, ip + 8, 16);
		memcpy(&d, ip + 24, 16);
		len = (uint16_t)(ip[4] << 8 | ip[5]);
		proto = ip[6];
	}
	l4 = ip + hlen;
	if (len < (proto == 6 ? 18 : 4) || l4 + len > p->b + p->len)
		return;
	if (proto == 6 || proto == 1 || proto == 58) {
		int at = proto == 6 ? 16 : 2;

		set16(l4 + at, 0);
		set16(l4 + at, fx_sum(proto == 1 ? 0 : pseudo(&s, &d, proto, len), l4, len));
	}
}
