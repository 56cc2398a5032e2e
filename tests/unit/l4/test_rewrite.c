/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of many flows, compared byte by byte with a rewriter that knows nothing of lib/l4: it
 * writes the new addresses and ports and computes all checksums anew.
 */
#include "mt_rand.h"
#include "scene.h"
#include "test_l4.h"

static struct scene s;

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* What must come of the frame; l2 bytes of L2 are not written. */
static void rewritten(struct fx_pkt *p, const struct sc_ends *to, bool keep_zero)
{
	uint8_t *ip = p->b + 14, *udp = ip + (ip[0] >> 4 == 4 ? 20 : 40);
	uint8_t pseudo[40] = {0};
	uint16_t len = (uint16_t)(p->len - (udp - p->b)), sum;
	bool is4 = ip[0] >> 4 == 4;

	memcpy(ip + (is4 ? 12 : 8), to->src.b + (is4 ? 12 : 0), is4 ? 4 : 16);
	memcpy(ip + (is4 ? 16 : 24), to->dst.b + (is4 ? 12 : 0), is4 ? 4 : 16);
	ip[is4 ? 8 : 7]--;
	put16(udp, to->sport);
	put16(udp + 2, to->dport);
	if (is4) {
		put16(ip + 10, 0);
		put16(ip + 10, fx_sum(0, ip, 20));
	}
	if (keep_zero)
		return;
	put16(udp + 6, 0);
	memcpy(pseudo, ip + (is4 ? 12 : 8), is4 ? 8 : 32);
	put16(pseudo + 34, len);
	pseudo[39] = 17;
	sum = (uint16_t)~fx_sum(0, pseudo, sizeof(pseudo));
	sum = fx_sum(sum, udp, len);
	put16(udp + 6, sum ? sum : 0xffff);
}

/* The frame that left is the one that came, rewritten. */
static void same(const struct fx_frame *out, const struct sc_udp *u, const struct sc_ends *to)
{
	struct fx_pkt want = {0};
	uint16_t l2 = sc_l2(out);

	sc_frame(u, &want);
	rewritten(&want, to, u->no_sum);
	CU_ASSERT_EQUAL_FATAL(out->len - l2, want.len - 14);
	CU_ASSERT_EQUAL(memcmp(out->b + l2, want.b + 14, (size_t)want.len - 14), 0);
	CU_ASSERT_EQUAL(memcmp(out->b, fx_peer_mac, 6), 0);
}

/* One flow: a datagram to the service, one back, and the ends that each must have. */
static void there_and_back(struct sc_udp u, const char *nat, struct mt_rand *r)
{
	char text[2][MT_ADDR_STRLEN];
	const struct fx_frame *out = sc_pass(&s, &u);
	struct sc_ends to, back;
	struct sc_udp reply;

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	to = sc_ends(out);
	same(out, &u, &to);
	CU_ASSERT_EQUAL(to.dport, u.dport + 1000);
	if (nat) {
		struct mt_addr a = fx_addr(nat);

		CU_ASSERT(mt_addr_eq(&to.src, &a));
		CU_ASSERT(to.sport >= 40000 && to.sport <= 40999);
	} else {
		struct mt_addr a = fx_addr(u.src);

		CU_ASSERT(mt_addr_eq(&to.src, &a));
		if (s.f.workers == 1)
			CU_ASSERT_EQUAL(to.sport, u.sport);
	}
	reply = (struct sc_udp){.src = mt_addr_str(&to.dst, text[0]),
		.dst = mt_addr_str(&to.src, text[1]),
		.sport = to.dport,
		.dport = to.sport,
		.data = (uint16_t)mt_rand_below(r, 900),
		.no_sum = mt_addr_is4(&to.dst) && mt_rand_below(r, 4) == 0};
	/* The reply's owner is the worker that has the flow; worker 0 finds it by lib/steer alone. */
	out = sc_pass(&s, &reply);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	back = (struct sc_ends){fx_addr(u.dst), fx_addr(u.src), u.dport, u.sport};
	same(out, &reply, &back);
}

static void random_flows(uint16_t workers)
{
	struct mt_rand r;

	mt_rand_seed(&r, 40 + workers);
	sc_open(&s, workers, 4096);
	for (int i = 0; i < 3000; i++) {
		char src[MT_ADDR_STRLEN];
		bool is4 = mt_rand_below(&r, 2), full = mt_rand_below(&r, 2);
		struct sc_udp u = {.src = src,
			.dst = is4 ? (full ? "203.0.113.80" : "192.0.2.80")
				   : (full ? "2001:db8::81" : "2001:db8::80"),
			.sport = (uint16_t)(1 + mt_rand_below(&r, 65535)),
			.dport = full ? 4001 : 4000,
			.data = (uint16_t)mt_rand_below(&r, 900),
			.no_sum = is4 && mt_rand_below(&r, 4) == 0};

		if (is4)
			snprintf(src, sizeof(src), "10.%u.%u.%u", mt_rand_below(&r, 256),
				mt_rand_below(&r, 256), 1 + mt_rand_below(&r, 254));
		else
			snprintf(src, sizeof(src), "2001:db8:%x::%x", 1 + mt_rand_below(&r, 65535),
				mt_rand_below(&r, 65536));
		there_and_back(u, full ? (is4 ? "192.0.2.90" : "2001:db8::90") : NULL, &r);
	}
	CU_ASSERT_EQUAL(sc_flows(&s), 3000);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_forwarded), 6000);
	CU_ASSERT(sc_close(&s));
}

static void one_worker(void)
{
	random_flows(1);
}

static void three_workers(void)
{
	random_flows(3);
}

/* Payloads whose checksum becomes each value near the ends of its range. */
static void checksums_at_the_ends(void)
{
	struct sc_udp u = {
		.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 7, .dport = 4000, .data = 2};
	struct sc_ends to;

	sc_open(&s, 1, 64);
	to = sc_ends(sc_pass(&s, &u));
	for (uint32_t v = 0; v <= 0xffff; v++) {
		struct fx_pkt p = {0}, want;
		const uint8_t *out = s.f.port[0].sent[0].b;
		uint16_t sum;

		sc_frame(&u, &p);
		put16(p.b + 42, (uint16_t)v);
		want = p;
		want.b[22]++; /* rewritten() takes it back: the sum as it was before */
		rewritten(&want, &(struct sc_ends){fx_addr(u.src), fx_addr(u.dst), 7, 4000}, false);
		memcpy(p.b + 40, want.b + 40, 2);
		want = p;
		rewritten(&want, &to, false);
		fx_clear(&s.f);
		sc_in(&s, 0, &p, 20);
		sum = (uint16_t)(out[40] << 8 | out[41]);
		if (memcmp(out + 14, want.b + 14, (size_t)want.len - 14) != 0 || sum == 0)
			CU_FAIL_FATAL("a checksum is wrong");
	}
	CU_ASSERT(sc_close(&s));
}

/* A wrong checksum stays wrong: lib/l4 must not make a damaged datagram look right. */
static void wrong_stays_wrong(void)
{
	struct sc_udp u = {
		.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 7, .dport = 4000, .data = 9};
	struct fx_pkt p = {0};

	sc_open(&s, 1, 64);
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	CU_ASSERT(fx_sums_ok(&s.f.port[0].sent[s.f.port[0].n - 1], 14));
	sc_frame(&u, &p);
	p.b[45] ^= 0x10;
	fx_clear(&s.f);
	sc_in(&s, 0, &p, 20);
	CU_ASSERT_EQUAL_FATAL(s.f.port[0].n, 1);
	CU_ASSERT_FALSE(fx_sums_ok(&s.f.port[0].sent[0], 14));
	CU_ASSERT(sc_close(&s));
}

const struct mt_test rewrite_tests[] = {{"random flows, one worker", one_worker},
	{"random flows, three workers", three_workers},
	{"checksums at the ends", checksums_at_the_ends}, {"wrong stays wrong", wrong_stays_wrong},
	{0}};
