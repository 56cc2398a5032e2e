/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/l4 behind lib/net's gate under outside bytes: a node of three workers with forwarded services
 * (../unit/l4/scene.h) gets frames and time. The input is a list of records: how (one byte), a
 * length (one byte, times 4), bytes. They are a frame, or the source of a datagram or TCP segment
 * to a service or of a fragment of it, or changes to a reply to the packet that was sent last (of TCP with
 * the flags of the first byte), or to an ICMP error about it.
 */
#include "../unit/l4/conn.h"
#include "fuzz.h"

#include <string.h>

#define HOW_KIND   0x03
#define HOW_PORT   0x04
#define HOW_RESUM  0x08 /* make the checksums right */
#define HOW_PIECES 0x10 /* scattered over mbufs of 33 bytes */
#define HOW_TIME   0x20 /* a second passes */
#define HOW_LATER  0x40 /* a minute passes */
#define HOW_ERROR  0x80 /* of a reply: an ICMP error about the datagram instead */
#define HOW_PART   0x80 /* of a packet to a service: a fragment of it */

#define FLOWS 16

enum kind { FRAME, TO_NAT, TO_FULL, REPLY };

static struct scene s;
static struct fx_frame last; /* datagram or segment that was sent */

static const char *const vips[2][2] = {
	{"192.0.2.80", "203.0.113.80"}, {"2001:db8::80", "2001:db8::81"}};

/* Makes a fragment of the packet: one of eight offsets, four lengths and two identifications. */
static void cut(struct fx_pkt *p, uint8_t how)
{
	const struct sc_part part = {.from = (uint16_t)((how & 7) * 24),
		.len = (uint16_t)(((how >> 3 & 3) + 1) * 24),
		.more = how & 0x20,
		.id = how >> 7};
	struct fx_pkt whole = *p;

	sc_fragment(&whole, &part, p);
}

/* The source of the datagram is made of the bytes. */
static void to_service(struct fx_pkt *p, uint8_t how, const uint8_t *bytes, size_t len)
{
	/* dsr, tunnel-ipip, tunnel-gue */
	static const uint16_t udp[] = {4010, 4012, 4014, 4014}, tcp[] = {5440, 5441, 5442, 5442};
	uint8_t b[8] = {0};
	char src[MT_ADDR_STRLEN];
	struct sc_udp u = {.src = src};
	bool is6, one_way, full = (how & HOW_KIND) == TO_FULL;

	memcpy(b, bytes, MT_MIN(len, sizeof(b)));
	is6 = b[0] & 1;
	if (is6)
		snprintf(src, sizeof(src), "2001:db8:7::%x", b[1] + 1u);
	else
		snprintf(src, sizeof(src), "10.0.%u.%u", b[2] & 3u, b[1]);
	one_way = !full && b[0] & 8;
	u.dst = vips[is6][full];
	if (b[0] & 4) {
		const struct cn_segment g = {.src = src,
			.dst = u.dst,
			.sport = (uint16_t)(b[3] << 8 | b[4]),
			.dport = full	   ? 5433
				 : one_way ? tcp[b[0] >> 4 & 3]
					   : 5432,
			.seq = b[6] * 16u,
			.ack = b[6] * 16u,
			.flags = b[7],
			.data = b[5],
			.stamp = b[2]};

		cn_frame(&g, p);
		if (how & HOW_PART)
			cut(p, b[6]);
		return;
	}
	u.sport = (uint16_t)(b[3] << 8 | b[4]);
	u.dport = full ? 4001 : one_way ? udp[b[0] >> 4 & 3] : 4000;
	u.data = (uint16_t)(b[5] * 6);
	u.ttl = b[6];
	u.no_sum = b[0] & 2;
	sc_frame(&u, p);
	if (how & HOW_PART)
		cut(p, b[7]);
}

static bool is_tcp(const struct fx_frame *f)
{
	const uint8_t *ip = f->b + sc_l2(f);

	return ip[ip[0] >> 4 == 4 ? 9 : 6] == 6;
}

/* Of TCP: it acknowledges the segment, and goes on where that acknowledged. */
static void segment_back(struct fx_pkt *p, uint8_t flags)
{
	struct sc_ends e = sc_ends(&last);
	const uint8_t *tcp = cn_tcp(&last);
	char text[2][MT_ADDR_STRLEN];
	const struct cn_segment g = {.src = mt_addr_str(&e.dst, text[0]),
		.dst = mt_addr_str(&e.src, text[1]),
		.sport = e.dport,
		.dport = e.sport,
		.seq = cn_word(tcp + 8),
		.ack = cn_word(tcp + 4) + !!(tcp[13] & (SYN | FIN)),
		.flags = flags};

	cn_frame(&g, p);
}

static void reply(struct fx_pkt *p, uint8_t flags)
{
	struct sc_ends e = sc_ends(&last);
	char text[2][MT_ADDR_STRLEN];
	const struct sc_udp u = {.src = mt_addr_str(&e.dst, text[0]),
		.dst = mt_addr_str(&e.src, text[1]),
		.sport = e.dport,
		.dport = e.sport,
		.data = 20};

	if (is_tcp(&last))
		segment_back(p, flags);
	else
		sc_frame(&u, p);
}

/* True if the packet went to an endpoint that answers the client itself. */
static bool is_direct(const struct fx_frame *f)
{
	struct sc_ends e = sc_ends(f);
	struct mt_addr vip = fx_addr(vips[!mt_addr_is4(&e.dst)][0]);

	return mt_addr_eq(&e.dst, &vip);
}

/* As the endpoint sends its reply, but for the bytes after the ports. */
static void reverse(struct fx_frame *f)
{
	uint8_t *ip = f->b + sc_l2(f), *l4 = ip + (ip[0] >> 4 == 4 ? 20 : 40), was[32];
	uint8_t n = ip[0] >> 4 == 4 ? 4 : 16, *ends = ip + (n == 4 ? 12 : 8);

	memcpy(was, ends, 2u * n);
	memcpy(ends, was + n, n);
	memcpy(ends + n, was, n);
	memcpy(was, l4, 4);
	memcpy(l4, was + 2, 2);
	memcpy(l4 + 2, was, 2);
}

static void error(struct fx_pkt *p)
{
	bool is4 = last.b[sc_l2(&last)] >> 4 == 4;
	struct fx_frame sent = last;

	if (is_direct(&sent))
		reverse(&sent);
	sc_error(&sent, is4 ? 3 : 1, 4, 1280, 200, p);
}

/* Pairs of position and change. */
static void change(struct fx_pkt *p, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		p->b[bytes[i] % p->len] ^= bytes[i + 1];
}

static void make(struct fx_pkt *p, uint8_t how, const uint8_t *bytes, size_t len)
{
	switch (how & HOW_KIND) {
	case TO_NAT:
	case TO_FULL:
		to_service(p, how, bytes, len);
		if (len > 8)
			change(p, bytes + 8, len - 8);
		return;
	case REPLY:
		if (last.len) {
			if (how & HOW_ERROR)
				error(p);
			else
				reply(p, len ? bytes[0] : 0);
			change(p, bytes + (len > 0), len - (len > 0));
			return;
		}
	}
	p->len = (uint16_t)len;
	memcpy(p->b, bytes, len);
}

static void note_last(void)
{
	for (uint16_t port = 0; port < FX_PORTS; port++)
		for (uint16_t i = 0; i < MT_MIN(s.f.port[port].n, FX_SENT); i++) {
			const struct fx_frame *f = &s.f.port[port].sent[i];
			const uint8_t *ip = f->b + sc_l2(f);

			if (f->len > (is_tcp(f) ? 53 : 62) &&
				(ip[0] >> 4 == 4 ? ip[9] == 17 || is_tcp(f)
						 : ip[0] >> 4 == 6 && (ip[6] == 17 || is_tcp(f))))
				last = *f;
		}
	fx_clear(&s.f);
}

static void deliver(uint8_t how, const uint8_t *bytes, size_t len)
{
	struct fx_pkt p = {0};

	make(&p, how, bytes, len);
	if (p.len == 0)
		return;
	if (how & HOW_RESUM)
		fx_resum(&p, how & HOW_PORT ? 18 : 14);
	if (how & HOW_TIME)
		sc_turn(&s, MT_SEC);
	if (how & HOW_LATER)
		sc_turn(&s, 60 * MT_SEC);
	sc_receive(
		&s, how & HOW_PORT ? 1 : 0, fx_mbuf(&s.f, p.b, p.len, how & HOW_PIECES ? 33 : 0));
	for (int i = 0; i < 2; i++)
		sc_turn(&s, 2 * MT_MSEC);
	note_last();
	MT_ASSERT(sc_flows(&s) <= FLOWS * FX_WORKERS);
}

static void close_pools(void)
{
	mt_pools_fini(&s.f.pools);
}

static void open_pools(void)
{
	fx_eal();
	fx_open(&s.f, FX_WORKERS);
	fx_close_node(&s.f);
	atexit(close_pools);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!s.f.pools.data)
		open_pools();
	sc_open_node(&s, FX_WORKERS, FLOWS);
	fx_clear(&s.f);
	last.len = 0;
	while (size > 2) {
		uint8_t how = data[0];
		size_t len = MT_MIN(data[1] * 4u, size - 2);

		deliver(how, data + 2, len);
		data += 2 + len;
		size -= 2 + len;
	}
	sc_turn(&s, 2 * MT_SEC);
	MT_ASSERT(sc_close_node(&s));
	return 0;
}
