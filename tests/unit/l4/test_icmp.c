/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP errors about packets of flows reach the packets' senders, quote what these have sent, and
 * have right checksums.
 */
#include "scene.h"
#include "test_l4.h"

#include <string.h>

static struct scene s;

static const struct fx_frame *sent_error(void)
{
	for (uint16_t port = 0; port < FX_PORTS; port++)
		for (uint16_t i = 0; i < MT_MIN(s.f.port[port].n, FX_SENT); i++) {
			const struct fx_frame *f = &s.f.port[port].sent[i];
			const uint8_t *ip = f->b + sc_l2(f);

			if (ip[-2] == 8 && ip[-1] == 0 && ip[9] == 1)
				return f;
			if (ip[-2] == 0x86 && ip[6] == 58 && ip[40] < 128)
				return f;
		}
	return NULL;
}

/* `out` is what became of `u`: an error about it goes to u's sender, about what that has sent. */
static void passed(struct sc_udp u, const struct fx_frame *out, uint8_t type, uint16_t quote)
{
	struct mt_addr from = fx_addr(u.dst), to = fx_addr(u.src);
	uint16_t ip = mt_addr_is4(&to) ? 20 : 40, len;
	struct fx_pkt p = {0}, want = {0};
	const struct fx_frame *f;
	const uint8_t *b;
	struct sc_ends e;

	sc_error(out, type, 4, 0x00000514, quote, &p);
	fx_clear(&s.f);
	sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	f = sent_error();
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(fx_sums_ok(f, sc_l2(f)));
	e = sc_ends(f);
	CU_ASSERT(mt_addr_eq(&e.src, &from));
	CU_ASSERT(mt_addr_eq(&e.dst, &to));
	b = f->b + sc_l2(f) + ip;
	CU_ASSERT_EQUAL(memcmp(b, (uint8_t[]){type, 4}, 2), 0);
	CU_ASSERT_EQUAL(memcmp(b + 4, (uint8_t[]){0, 0, 5, 0x14}, 4), 0);
	/* Each node on the way has taken 1 of the TTL. */
	u.ttl = 63;
	sc_frame(&u, &want);
	len = (uint16_t)MT_MIN(MT_MIN((uint32_t)quote, (uint32_t)want.len - 14), 112u);
	CU_ASSERT_EQUAL(f->len - sc_l2(f), ip + 8 + len);
	CU_ASSERT_EQUAL(memcmp(b + 8, want.b + 14, len), 0);
}

static void both_ways(struct sc_udp u, uint16_t quote)
{
	struct mt_addr to = fx_addr(u.src);
	uint8_t type = mt_addr_is4(&to) ? 3 : 1;
	char text[2][MT_ADDR_STRLEN];
	struct fx_frame out, back;
	struct sc_udp reply;
	struct sc_ends e;

	out = *sc_pass(&s, &u);
	e = sc_ends(&out);
	reply = (struct sc_udp){.src = mt_addr_str(&e.dst, text[0]),
		.dst = mt_addr_str(&e.src, text[1]),
		.sport = e.dport,
		.dport = e.sport,
		.data = 77};
	back = *sc_pass(&s, &reply);
	passed(u, &out, type, quote);
	passed(reply, &back, type, quote);
	u.data = 300;
	passed(u, sc_pass(&s, &u), mt_addr_is4(&to) ? 3 : 2, quote);
}

static void flows(uint16_t workers)
{
	uint64_t before;

	sc_open(&s, workers, 1024);
	for (uint16_t i = 0; i < 30; i++) {
		struct sc_udp u = {.src = i % 2 ? "10.1.1.1" : "2001:db8:1::1",
			.dst = i % 2 ? "192.0.2.80" : "2001:db8::80",
			.sport = (uint16_t)(3000 + i),
			.dport = 4000,
			.data = (uint16_t)(3 * i),
			.no_sum = i % 2 && i % 3 == 0};

		both_ways(u, (uint16_t)(48 + 10 * i));
		u.dst = i % 2 ? "203.0.113.80" : "2001:db8::81";
		u.dport = 4001;
		both_ways(u, (uint16_t)(48 + 10 * i));
		sc_turn(&s, MT_SEC);
	}
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_icmp_forwarded), 30 * 2 * 3);
	before = sc_count(&s, MT_L4_flows_made);
	CU_ASSERT_EQUAL(before, 60);
	CU_ASSERT(sc_close(&s));
}

static void one_worker(void)
{
	flows(1);
}

static void three_workers(void)
{
	flows(3);
}

/* Errors about nothing that the node has sent, and quotes that end too early. */
static void wrong(void)
{
	struct sc_udp u = {
		.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 9, .dport = 4000, .data = 20};
	struct fx_frame out;
	struct fx_pkt p = {0};

	sc_open(&s, 1, 64);
	out = *sc_pass(&s, &u);
	for (uint16_t quote = 0; quote < 28; quote++) {
		sc_error(&out, 3, 3, 0, quote, &p);
		sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
		sc_in(&s, 0, &p, 20);
	}
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_icmp_forwarded), 0);
	/* Another port of the endpoint's, and another of the client's. */
	out.b[14 + 20 + 1] ^= 1;
	sc_error(&out, 3, 3, 0, 28, &p);
	sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_icmp_no_flow), 1);
	/* A later fragment, a wrong checksum, an echo reply. */
	out.b[14 + 20 + 1] ^= 1;
	out.b[14 + 7] = 1;
	sc_error(&out, 3, 3, 0, 28, &p);
	sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	out.b[14 + 7] = 0;
	sc_error(&out, 3, 3, 0, 28, &p);
	p.b[14 + 20 + 2] ^= 1;
	sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	sc_error(&out, 0, 0, 0, 28, &p);
	sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_icmp_forwarded), 0);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_icmp_no_flow), 1);
	/* Many: at most 200 at once. */
	CU_ASSERT_PTR_NOT_NULL(sc_pass(
		&s, &(struct sc_udp){
			    .src = "192.0.2.254", .dst = "192.0.2.80", .sport = 1, .dport = 4000}));
	for (int i = 0; i < 3; i++) {
		sc_error(&out, 3, 3, 0, 28, &p);
		sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
		sc_turn(&s, 2 * MT_MSEC); /* the client's router is known */
	}
	for (int i = 0; i < 300; i++) {
		sc_error(&out, 3, 3, 0, 28, &p);
		sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	}
	CU_ASSERT(sc_count(&s, MT_L4_icmp_forwarded) >= 199);
	CU_ASSERT(sc_count(&s, MT_L4_icmp_forwarded) <= 210);
	CU_ASSERT(fx_count(&s.f, MT_NET_icmp_limited) >= 90);
	CU_ASSERT_EQUAL(sc_flows(&s), 2);
	CU_ASSERT(sc_close(&s));
}

/*
 * An ICMPv6 error that quotes a packet of IPv6 to the IPv4-mapped address of an endpoint, from an
 * address that ends in the client's: it is not about the flow of IPv4 with these ends.
 */
static void mapped(void)
{
	static const char foreign[] = "2001:db8:1::a01:101"; /* 10.1.1.1 */
	const struct sc_udp u = {
		.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 9, .dport = 4000, .data = 20};
	struct mt_addr client = fx_addr(foreign);
	uint8_t b[8 + 40 + 8] = {1, 4}, *ip = b + 8, proto;
	struct fx_pkt p = {0};
	const struct fx_frame *out;
	struct mt_tuple t;
	struct sc_ends e;

	sc_open(&s, 1, 64);
	out = sc_pass(&s, &u);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	e = sc_ends(out);
	ip[0] = 0x60;
	ip[5] = 8;
	ip[6] = 17;
	ip[7] = 63;
	memcpy(ip + 8, &client, 16);
	memcpy(ip + 24, &e.dst, 16);
	memcpy(ip + 40, out->b + sc_l2(out) + 20, 4);
	fx_ip(&p, "2001:db8:99::1", foreign, 58, b, sizeof(b), 2);
	fx_clear(&s.f);
	sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	CU_ASSERT_PTR_NULL(sent_error());
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_icmp_forwarded), 0);
	CU_ASSERT_FALSE(mt_net_quoted(ip, sizeof(b) - 8, &t, &proto));
	memcpy(ip + 8, &e.dst, 16);
	memcpy(ip + 24, &client, 16);
	CU_ASSERT_FALSE(mt_net_quoted(ip, sizeof(b) - 8, &t, &proto));
	memcpy(ip + 8, &client, 16);
	CU_ASSERT_TRUE(mt_net_quoted(ip, sizeof(b) - 8, &t, &proto));
	CU_ASSERT(sc_close(&s));
}

const struct mt_test icmp_tests[] = {{"one_worker", one_worker}, {"three_workers", three_workers},
	{"wrong", wrong}, {"mapped", mapped}, {0}};
