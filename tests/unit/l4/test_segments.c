/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP segments: which are rewritten and how, which are answered by a reset, and ICMP errors about
 * them.
 */
#include "conn.h"
#include "mt_rand.h"
#include "test_l4.h"

#include <netinet/in.h>
#include <string.h>

static struct scene s;

#define C "10.1.1.1"

/* ---- rewriting ---------------------------------------------------------------------------------- */

/* The segment that left is the one that came, with other ends and right checksums. */
static void same(const struct fx_frame *out, struct cn_segment g, const struct sc_ends *to)
{
	char text[2][MT_ADDR_STRLEN];
	uint16_t l2 = sc_l2(out);
	struct fx_pkt want = {0};
	uint8_t *ip = want.b + 14;

	g.src = mt_addr_str(&to->src, text[0]);
	g.dst = mt_addr_str(&to->dst, text[1]);
	g.sport = to->sport;
	g.dport = to->dport;
	cn_frame(&g, &want);
	/* The data depend on the port. */
	CU_ASSERT_EQUAL_FATAL(out->len - l2, want.len - 14);
	memcpy(want.b + want.len - g.data, out->b + out->len - g.data, g.data);
	ip[ip[0] >> 4 == 4 ? 8 : 7]--;
	fx_resum(&want, 14);
	CU_ASSERT_EQUAL(memcmp(out->b + l2, ip, want.len - 14u), 0);
	CU_ASSERT(fx_sums_ok(out, l2));
}

static void one(const char *src, bool full, uint32_t i)
{
	bool is4 = !strchr(src, ':');
	struct cn_segment syn = {.src = src,
				  .dst = is4 ? (full ? "203.0.113.80" : "192.0.2.80")
					     : (full ? "2001:db8::81" : "2001:db8::80"),
				  .sport = (uint16_t)(1 + i % 65535),
				  .dport = full ? 5433 : 5432,
				  .seq = i * 77777,
				  .flags = SYN,
				  .stamp = i % 3},
			  back;
	const struct fx_frame *out = cn_pass(&s, &syn);
	char text[2][MT_ADDR_STRLEN];
	struct sc_ends to;

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	to = sc_ends(out);
	CU_ASSERT_EQUAL(to.dport, full ? 5001 : 5000);
	same(out, syn, &to);
	back = (struct cn_segment){.src = mt_addr_str(&to.dst, text[0]),
		.dst = mt_addr_str(&to.src, text[1]),
		.sport = to.dport,
		.dport = to.sport,
		.seq = i,
		.ack = syn.seq + 1,
		.flags = SYN | ACK};
	out = cn_pass(&s, &back);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	same(out, back, &(struct sc_ends){fx_addr(syn.dst), fx_addr(src), syn.dport, syn.sport});
	syn.seq++;
	syn.ack = i + 1;
	syn.flags = ACK;
	syn.data = (uint16_t)(i * 31 % 1200);
	out = cn_pass(&s, &syn);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	same(out, syn, &to);
}

static void random_flows(uint16_t workers)
{
	struct mt_rand r;

	mt_rand_seed(&r, 90 + workers);
	sc_open(&s, workers, 4096);
	for (uint32_t i = 0; i < 2000; i++) {
		char src[MT_ADDR_STRLEN];

		if (i % 2)
			snprintf(src, sizeof(src), "10.%u.%u.%u", mt_rand_below(&r, 256),
				mt_rand_below(&r, 256), 1 + mt_rand_below(&r, 254));
		else
			snprintf(src, sizeof(src), "2001:db8:%x::%x", 1 + mt_rand_below(&r, 65535),
				mt_rand_below(&r, 65536));
		one(src, i / 2 % 2, mt_rand_below(&r, UINT32_MAX));
	}
	CU_ASSERT_EQUAL(sc_flows(&s), 2000);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_forwarded), 6000);
	CU_ASSERT_EQUAL(s.f.tcp, 0);
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

/* A wrong checksum stays wrong. */
static void wrong_stays_wrong(void)
{
	const struct cn_segment g = {
		.src = C, .dst = "192.0.2.80", .sport = 7, .dport = 5432, .flags = SYN};
	struct fx_pkt p = {0};

	sc_open(&s, 1, 64);
	CU_ASSERT_PTR_NOT_NULL(cn_pass(&s, &g));
	cn_frame(&g, &p);
	p.b[14 + 20 + 16] ^= 1;
	fx_clear(&s.f);
	sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	CU_ASSERT_EQUAL_FATAL(s.f.port[0].n, 1);
	CU_ASSERT_FALSE(fx_sums_ok(&s.f.port[0].sent[0], 14));
	CU_ASSERT(sc_close(&s));
}

/* ---- segments without a flow ---------------------------------------------------------------------- */

/* The reset of a host without a connection (RFC 9293 §3.10.7.1), from the address that was meant. */
static void is_reset(const struct fx_frame *f, const struct cn_segment *g)
{
	struct mt_addr from = fx_addr(g->dst), to = fx_addr(g->src);
	const uint8_t *tcp;
	struct sc_ends e;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	tcp = cn_tcp(f);
	e = sc_ends(f);
	CU_ASSERT(fx_sums_ok(f, sc_l2(f)));
	CU_ASSERT(mt_addr_eq(&e.src, &from) && mt_addr_eq(&e.dst, &to));
	CU_ASSERT(e.sport == g->dport && e.dport == g->sport);
	if (g->flags & ACK) {
		CU_ASSERT_EQUAL(tcp[13], RST);
		CU_ASSERT_EQUAL(cn_word(tcp + 4), g->ack);
	} else {
		CU_ASSERT_EQUAL(tcp[13], RST | ACK);
		CU_ASSERT_EQUAL(cn_word(tcp + 4), 0);
		CU_ASSERT_EQUAL(cn_word(tcp + 8),
			g->seq + g->data + !!(g->flags & SYN) + !!(g->flags & FIN));
	}
}

static void no_connection(void)
{
	static const uint8_t flags[] = {ACK, FIN | ACK, FIN, 0, SYN | ACK, SYN | FIN};
	struct cn_segment g = {
		.src = C, .dst = "192.0.2.80", .sport = 9, .dport = 5432, .seq = 7, .ack = 99};

	sc_open(&s, 1, 64);
	for (size_t i = 0; i < MT_ARRAY_LEN(flags); i++) {
		g.flags = flags[i];
		g.data = (uint16_t)(i * 5);
		is_reset(cn_pass(&s, &g), &g);
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_connection), i + 1);
	}
	g.src = "2001:db8:1::1";
	g.dst = "2001:db8::80";
	is_reset(cn_pass(&s, &g), &g);
	/* A reset gets no answer. */
	g.flags = RST | ACK;
	CU_ASSERT_PTR_NULL(cn_pass(&s, &g));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_connection), 8);
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_forward_reset_out), 7);
	CU_ASSERT_EQUAL(sc_flows(&s), 0);
	CU_ASSERT(sc_close(&s));
}

/* Resets for n segments without a flow, which arrive together. */
static uint32_t resets_of(uint32_t n)
{
	const struct cn_segment g = {
		.src = C, .dst = "192.0.2.80", .sport = 9, .dport = 5432, .flags = ACK};
	uint64_t before = fx_count(&s.f, MT_NET_forward_reset_out);
	struct fx_pkt p = {0};

	cn_frame(&g, &p);
	fx_clear(&s.f);
	for (uint32_t i = 0; i < n; i++)
		sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	return (uint32_t)(fx_count(&s.f, MT_NET_forward_reset_out) - before);
}

/*
 * After a restart all connections send such segments: 10,000 a second get a reset, also while a
 * flood uses up the limit of ICMP errors.
 */
static void many_resets(void)
{
	struct fx_pkt p = {0};

	sc_open(&s, 1, 64);
	sc_frame(&(struct sc_udp){C, "192.0.2.80", 9, 4002, 10, 0, false}, &p);
	for (int i = 0; i < 60; i++)
		sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	CU_ASSERT(fx_count(&s.f, MT_NET_icmp_limited) > 20);
	for (int ms = 0; ms < 100; ms++) {
		CU_ASSERT_EQUAL(resets_of(10), 10);
		sc_turn(&s, MT_MSEC);
	}
	sc_turn(&s, MT_SEC);
	CU_ASSERT_EQUAL(resets_of(200), 64);
	CU_ASSERT(sc_close(&s));
}

/* New connections that cannot be made, and replies to NAT addresses without a flow. */
static void refused(void)
{
	struct cn_segment g = {
		.src = C, .dst = "192.0.2.80", .sport = 9, .dport = 5434, .flags = SYN};
	struct fx_pkt p = {0};

	sc_open(&s, 1, 64);
	is_reset(cn_pass(&s, &g), &g);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_endpoint), 1);
	g = (struct cn_segment){.src = "198.51.100.21",
		.dst = "192.0.2.90",
		.sport = 5001,
		.dport = 40003,
		.ack = 5,
		.flags = SYN | ACK};
	is_reset(cn_pass(&s, &g), &g);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_flow), 1);
	/* A row that is gone since lib/net looked. */
	g = (struct cn_segment){
		.src = C, .dst = "192.0.2.80", .sport = 9, .dport = 5999, .flags = SYN};
	cn_frame(&g, &p);
	fx_clear(&s.f);
	sc_in(&s, 0, &p, 20);
	is_reset(&s.f.port[0].sent[0], &g);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_row), 1);
	for (uint32_t i = 0; i < s.set->n_rows; i++)
		s.set->rows[i].closed = true;
	g.dport = 5432;
	is_reset(cn_pass(&s, &g), &g);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_closed_by_policy), 1);
	/* From a server to a foreign address: the kernel's, or dropped. */
	g = (struct cn_segment){
		.src = "192.0.2.21", .dst = "10.9.9.9", .sport = 5000, .dport = 1, .flags = ACK};
	CU_ASSERT_PTR_NULL(cn_pass(&s, &g));
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_not_local), 1);
	CU_ASSERT_EQUAL(sc_flows(&s), 0);
	CU_ASSERT(sc_close(&s));
}

/* Ports towards one server run out, and come back when they have rested. */
static void no_nat_port(void)
{
	struct cn c[11];

	sc_open(&s, 1, 400);
	s.set->nat_hi = s.set->nat_lo + 9;
	for (uint16_t i = 0; i < 11; i++)
		c[i] = cn_new(C, (uint16_t)(7000 + i), true);
	for (uint16_t i = 0; i < 10; i++) {
		CU_ASSERT(cn_open(&s, &c[i]));
		(void)cn_client(&s, &c[i], FIN | ACK, 0);
		(void)cn_server(&s, &c[i], FIN | ACK, 0);
		(void)cn_client(&s, &c[i], ACK, 0);
		CU_ASSERT_EQUAL(cn_state(&s, &c[i]), MT_L4_TIME_WAIT);
	}
	CU_ASSERT_EQUAL(cn_tcp(cn_client(&s, &c[10], SYN, 0))[13], RST | ACK);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_nat_port), 1);
	CU_ASSERT_EQUAL(sc_stats(&s, SC_FULL_TCP).no_nat_port, 1);
	s.f.now += 2100 * MT_MSEC;
	CU_ASSERT(cn_open(&s, &c[10]));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_nat_port), 1);
	CU_ASSERT(sc_close(&s));
}

static void headers(void)
{
	const struct cn_segment g = {
		.src = C, .dst = "192.0.2.80", .sport = 9, .dport = 5432, .flags = SYN, .data = 4};
	uint64_t bad = 0;
	struct fx_pkt p;

	sc_open(&s, 1, 64);
	for (uint8_t words = 0; words < 16; words++) {
		cn_frame(&g, &p);
		p.b[14 + 20 + 12] = (uint8_t)(words << 4);
		sc_in(&s, 0, &p, 20);
		bad += words < 5 || words > 6;
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_header_bad), bad);
	}
	for (uint16_t len = 0; len < 20; len++) {
		cn_frame(&g, &p);
		p.len = (uint16_t)(14 + 20 + len);
		sc_in(&s, 0, &p, 20);
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_header_bad), ++bad);
	}
	for (int at = 0; at < 4; at += 2) {
		cn_frame(&g, &p);
		p.b[14 + 20 + at] = p.b[14 + 20 + at + 1] = 0;
		sc_in(&s, 0, &p, 20);
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_header_bad), ++bad);
	}
	/* Options that end too early, or never. */
	for (uint32_t i = 0; i < 256; i++) {
		cn_frame(&(struct cn_segment){.src = C,
				 .dst = "192.0.2.80",
				 .sport = (uint16_t)(10 + i),
				 .dport = 5432,
				 .flags = SYN,
				 .stamp = 1},
			&p);
		p.b[14 + 20 + 20 + i % 12] = (uint8_t)i;
		p.b[14 + 20 + 20 + (i + 1) % 12] = (uint8_t)(i / 12);
		sc_in(&s, 0, &p, 20);
	}
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_header_bad), bad);
	for (int i = 0; i < 4; i++)
		sc_turn(&s, 2 * MT_MSEC);
	CU_ASSERT(sc_close(&s));
}

/* ---- ICMP errors ---------------------------------------------------------------------------------- */

static const struct fx_frame *sent_error(void)
{
	for (uint16_t port = 0; port < FX_PORTS; port++)
		for (uint16_t i = 0; i < MT_MIN(s.f.port[port].n, FX_SENT); i++) {
			const struct fx_frame *f = &s.f.port[port].sent[i];
			const uint8_t *ip = f->b + sc_l2(f);

			if (ip[0] >> 4 == 4 ? ip[-1] == 0 && ip[9] == 1
					    : ip[6] == 58 && ip[40] < 128)
				return f;
		}
	return NULL;
}

/*
 * The client gets the error about its SYN, quoted as it was sent, from 8 bytes of TCP on. One byte of
 * a checksum stays as it is.
 */
static void errors(const char *src, const char *dst)
{
	struct cn_segment g = {.src = src, .dst = dst, .sport = 9, .dport = 5432, .flags = SYN};
	uint16_t ip = strchr(src, ':') ? 40 : 20;

	g.stamp = 5;
	one(src, false, 1); /* the client's router is known */
	for (uint16_t quote = (uint16_t)(ip + 8); quote <= ip + 32; quote++) {
		struct fx_pkt p = {0}, want = {0};
		const struct fx_frame *f;

		g.sport++;
		sc_turn(&s, 100 * MT_MSEC);
		sc_error(cn_pass(&s, &g), ip == 20 ? 3 : 1, 4, 0x514, quote, &p);
		fx_clear(&s.f);
		sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
		f = sent_error();
		CU_ASSERT_PTR_NOT_NULL_FATAL(f);
		CU_ASSERT(fx_sums_ok(f, sc_l2(f)));
		cn_frame(&g, &want);
		want.b[14 + (ip == 20 ? 8 : 7)]--;
		fx_resum(&want, 14);
		CU_ASSERT_EQUAL(f->len - sc_l2(f), ip + 8 + quote);
		CU_ASSERT_EQUAL(
			memcmp(f->b + sc_l2(f) + ip + 8, want.b + 14, quote - (quote == ip + 17)),
			0);
	}
}

static void icmp(void)
{
	sc_open(&s, 1, 256);
	errors(C, "192.0.2.80");
	errors("2001:db8:1::1", "2001:db8::80");
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_icmp_forwarded), 50);
	CU_ASSERT(sc_close(&s));
	sc_open(&s, 3, 256);
	errors(C, "192.0.2.80");
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_icmp_forwarded), 25);
	CU_ASSERT(sc_close(&s));
}

const struct mt_test segment_tests[] = {{"random flows, one worker", one_worker},
	{"random flows, three workers", three_workers}, {"wrong stays wrong", wrong_stays_wrong},
	{"no connection", no_connection}, {"many resets", many_resets}, {"refused", refused},
	{"no NAT port", no_nat_port}, {"headers", headers}, {"ICMP errors", icmp}, {0}};
