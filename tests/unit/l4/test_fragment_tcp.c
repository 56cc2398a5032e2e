/* SPDX-License-Identifier: Apache-2.0 */
/* TCP segments in fragments: on their way, in the flow's state, and those that hide their header. */
#include "fragments.h"
#include "test_l4.h"

#include <string.h>

static struct scene s;

/* ---- on the way ---------------------------------------------------------------------------- */

/*
 * Passes the segment in fragments; returns its ends behind the node, where it has its own bytes and
 * a right checksum.
 */
static struct sc_ends pass_frame(const struct fx_pkt *p, uint32_t id, enum fr_order order)
{
	static struct fx_frame whole;
	struct fr f = {.whole = *p};
	uint32_t new_id = 0;
	uint16_t kept;

	fr_cut(&f, id);
	fx_clear(&s.f);
	fr_send_all(&s, &f, order);
	for (int i = 0; i < 5; i++)
		sc_turn(&s, 2 * MT_MSEC);
	CU_ASSERT_EQUAL_FATAL(fr_join(&s, &whole, &new_id), f.n);
	CU_ASSERT(f.n > 1 && new_id != id);
	CU_ASSERT(fx_sums_ok(&whole, 14));
	CU_ASSERT_EQUAL_FATAL(whole.len, p->len);
	kept = (uint16_t)(p->len - 14 - (p->b[14] >> 4 == 4 ? 20 : 40) - 20);
	CU_ASSERT_EQUAL(memcmp(whole.b + whole.len - kept, p->b + p->len - kept, kept), 0);
	CU_ASSERT_EQUAL(whole.b[14] >> 4 == 4 ? whole.b[22] : whole.b[21], 63);
	return sc_ends(&whole);
}

static uint32_t next_id;

/* The next segment of an end, in fragments. */
static struct sc_ends pass(
	struct cn *c, bool server, uint8_t flags, uint16_t data, enum fr_order order)
{
	struct fx_pkt p = {0};

	cn_next(c, server, flags, data, &p);
	return pass_frame(&p, ++next_id, order);
}

static void there_and_back(
	const char *client, const char *vip, uint16_t port, uint16_t cport, enum fr_order order)
{
	struct cn c = {.client = client, .vip = vip, .cport = cport, .vport = port};
	struct mt_addr to = fx_addr(vip), from = fx_addr(client);
	struct sc_ends e;

	CU_ASSERT_FATAL(cn_open(&s, &c));
	for (int i = 0; i < 3; i++) {
		e = pass(&c, false, ACK, 1300, order);
		CU_ASSERT_EQUAL(memcmp(&e, &c.seen, sizeof(e)), 0);
		e = pass(&c, true, ACK, 1400, order);
		CU_ASSERT(mt_addr_eq(&e.src, &to) && e.sport == port);
		CU_ASSERT(mt_addr_eq(&e.dst, &from) && e.dport == cport);
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 100)); /* whole ones between them */
	}
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
}

static void orders(uint16_t workers)
{
	for (enum fr_order order = FR_FORWARD; order < FR_ORDERS; order++) {
		sc_open(&s, workers, 64);
		for (uint16_t port = 701; port < 706; port++) {
			there_and_back("10.1.1.1", "192.0.2.80", 5432, port, order);
			there_and_back("2001:db8:1::1", "2001:db8::80", 5432, port, order);
			there_and_back("10.1.1.1", "203.0.113.80", 5433, port, order);
			there_and_back("2001:db8:1::1", "2001:db8::81", 5433, port, order);
		}
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 20);
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragments_kept) > 0, order != FR_FORWARD);
		CU_ASSERT(sc_close(&s));
	}
}

static void one_worker(void)
{
	orders(1);
}

static void three_workers(void)
{
	orders(3);
}

/* ---- state of the flow --------------------------------------------------------------------- */

static struct cn opened(uint16_t workers)
{
	struct cn c = cn_new("10.1.1.1", 777, false);

	sc_open(&s, workers, 64);
	CU_ASSERT_FATAL(cn_open(&s, &c));
	return c;
}

/* A FIN counts with the number after all fragments, whichever of them comes first. */
static void fin(void)
{
	for (enum fr_order order = FR_FORWARD; order < FR_ORDERS; order++) {
		struct cn c = opened(3);
		uint32_t before = c.seq[1], end;

		pass(&c, true, FIN | ACK, 1300, order);
		CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_HALF_CLOSED);
		/* An acknowledgement of the first fragment's bytes is none of the FIN. */
		end = c.seq[1];
		c.seq[1] = before + 380;
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, FIN | ACK, 0));
		CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_CLOSING);
		c.seq[1] = end;
		/* A segment with the number after the FIN does not take it back. */
		CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, ACK, 0));
		CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_CLOSING);
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 0));
		CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_TIME_WAIT);
		CU_ASSERT(sc_close(&s));
	}
}

/* A FIN counts with its last fragment; data beyond it takes it back. */
static void fin_of_client(void)
{
	struct cn c = opened(1);
	struct fr f = {.id = 0};

	cn_next(&c, false, FIN | ACK, 900, &f.whole);
	fr_cut(&f, 99);
	fr_send_one(&s, &f, 0);
	fr_send_one(&s, &f, 1);
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	fr_send_one(&s, &f, 2);
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_HALF_CLOSED);
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 10));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	pass(&c, false, FIN | ACK, 900, FR_FORWARD);
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_HALF_CLOSED);
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 10));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	pass(&c, false, FIN | ACK, 900, FR_BACKWARD);
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_HALF_CLOSED);
	CU_ASSERT(sc_close(&s));
}

/* A SYN with data (RFC 7413) in fragments; the server acknowledges all, or nothing but the SYN. */
static void syn(void)
{
	for (int all = 0; all < 2; all++) {
		struct cn c = cn_new("10.1.1.1", 777, false);

		sc_open(&s, 3, 64);
		for (uint16_t i = 0; i < 12; i++) { /* all endpoints are known */
			struct cn other = cn_new("10.1.1.2", (uint16_t)(7 + i), false);

			CU_ASSERT(cn_open(&s, &other));
		}
		c.seen = pass(&c, false, SYN, 1000, FR_BACKWARD);
		CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_SYN_SENT);
		if (!all)
			c.seq[0] -= 1000;
		CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, SYN | ACK, 0));
		CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_SYN_RECEIVED);
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 0));
		CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
		CU_ASSERT(sc_close(&s));
	}
}

/* A server's SYN-ACK in fragments. */
static void syn_ack(void)
{
	struct cn c = cn_new("10.1.1.1", 777, true);

	sc_open(&s, 3, 64);
	CU_ASSERT_PTR_NOT_NULL_FATAL(cn_client(&s, &c, SYN, 0));
	pass(&c, true, SYN | ACK, 1000, FR_FORWARD);
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_SYN_RECEIVED);
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	CU_ASSERT(sc_close(&s));
}

static void reset(void)
{
	struct cn c = opened(1);

	pass(&c, true, RST | ACK, 900, FR_ODD_FIRST);
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_RESET);
	pass(&c, false, ACK, 900, FR_FORWARD);
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	CU_ASSERT(sc_close(&s));
}

/* Fragments keep a flow alive as whole segments do. */
static void alive(void)
{
	struct cn c = opened(1);
	struct mt_l4_flow f;

	for (int i = 0; i < 4; i++) {
		sc_turn(&s, 3600 * MT_SEC);
		CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, ACK, 0)); /* neighbours are known again */
		pass(&c, false, ACK, 1000, FR_FORWARD);
	}
	CU_ASSERT_FATAL(cn_flow(&s, &c, &f));
	CU_ASSERT_EQUAL(f.packets[0], 2 + 4 * 3);
	CU_ASSERT(sc_close(&s));
}

/* ---- those that are not forwarded ---------------------------------------------------------- */

static void send_frame(const struct fx_pkt *p, uint32_t id)
{
	struct fr f = {.whole = *p};

	fr_cut(&f, id);
	fx_clear(&s.f);
	fr_send_all(&s, &f, FR_FORWARD);
}

static void segment(struct fx_pkt *p, const char *src, const char *dst, uint16_t dport)
{
	const struct cn_segment g = {.src = src,
		.dst = dst,
		.sport = 9,
		.dport = dport,
		.seq = 5000,
		.ack = 7000,
		.flags = ACK,
		.data = 900};

	cn_frame(&g, p);
}

/* Without a flow: the first fragment is answered by one reset, and none of them makes a flow. */
static void without_flow(void)
{
	static const char *const ends[][2] = {
		{"192.0.2.9", "192.0.2.80"}, {"2001:db8::9", "2001:db8::80"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(ends); i++) {
		const struct fx_frame *out = &s.f.port[0].sent[0];
		struct fx_pkt p = {0};

		sc_open(&s, 3, 64);
		segment(&p, ends[i][0], ends[i][1], 5432);
		send_frame(&p, 1);
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_connection), 3);
		CU_ASSERT_EQUAL(sc_flows(&s), 0);
		CU_ASSERT_EQUAL_FATAL(s.f.port[0].n, 1);
		CU_ASSERT(fx_sums_ok(out, 14));
		CU_ASSERT_EQUAL(cn_tcp(out)[13], RST);
		CU_ASSERT_EQUAL(cn_word(cn_tcp(out) + 4), 7000);
		CU_ASSERT(sc_close(&s));
	}
}

/* Ports that are not forwarded: nothing answers, as a reset could hit a terminated connection. */
static void terminated(void)
{
	static const struct {
		const char *src, *dst;
		uint16_t port;
	} cases[] = {{"192.0.2.9", "192.0.2.80", 4000}, {"192.0.2.9", "192.0.2.80", 80},
		{"192.0.2.9", "192.0.2.90", 40500}, {"192.0.2.9", "192.0.2.90", 30000},
		{"192.0.2.9", "192.0.2.1", 80}, {"2001:db8::9", "2001:db8::80", 80}};

	sc_open(&s, 3, 64);
	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		struct fx_pkt p = {0};

		segment(&p, cases[i].src, cases[i].dst, cases[i].port);
		send_frame(&p, 1);
		CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_ip_fragment_refused), 3 * (i + 1));
		CU_ASSERT_EQUAL(s.f.port[0].n, 0);
	}
	CU_ASSERT_EQUAL(s.f.tcp, 0);
	CU_ASSERT_EQUAL(sc_flows(&s), 0);
	CU_ASSERT(sc_close(&s));
}

static void part(const struct fx_pkt *whole, uint16_t from, uint16_t len, uint32_t id)
{
	struct fr f = {.whole = *whole, .id = id};
	const struct sc_part part = {.from = from, .len = len, .more = true};

	fr_send(&s, &f, part);
}

/*
 * Fragments that divide the TCP header (RFC 1858), or put another one over it (RFC 3128): nothing
 * of them reaches an endpoint.
 */
static void tiny(void)
{
	struct cn c = opened(1);
	struct fx_pkt p = {0};
	uint64_t forwarded = sc_count(&s, MT_L4_forwarded);

	c.stamp = 1; /* a header of 32 bytes */
	cn_next(&c, false, ACK, 900, &p);
	part(&p, 0, 8, 1);
	part(&p, 0, 16, 2);
	part(&p, 0, 24, 3);
	part(&p, 8, 400, 4);
	part(&p, 16, 400, 5);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragment_tiny), 5);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragments_kept), 0);
	/* A part of the options, before and after the first fragment. */
	part(&p, 24, 400, 6);
	part(&p, 0, 32, 6);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragment_overlap), 2);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_forwarded), forwarded);
	part(&p, 0, 32, 7);
	part(&p, 24, 400, 7);
	part(&p, 0, 32, 8);
	part(&p, 0, 40, 8);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragment_overlap), 4);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_forwarded), forwarded + 2);
	/* A header that is too short, and ports that no host has. */
	p.b[34 + 12] = 4 << 4;
	part(&p, 0, 400, 9);
	p.b[34 + 12] = 8 << 4;
	memset(p.b + 34, 0, 2);
	part(&p, 0, 400, 10);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragment_bad), 2);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_forwarded), forwarded + 2);
	CU_ASSERT(sc_close(&s));
}

/* UDP and TCP have identifications of their own over IPv4, but not over IPv6. */
static void protocols(void)
{
	const char *const ends[2][2] = {
		{"10.1.1.1", "192.0.2.80"}, {"2001:db8:1::1", "2001:db8::80"}};

	for (int is6 = 0; is6 < 2; is6++) {
		struct cn c = {
			.client = ends[is6][0], .vip = ends[is6][1], .cport = 77, .vport = 5432};
		const struct sc_udp u = {
			.src = c.client, .dst = c.vip, .sport = 5, .dport = 4000, .data = 900};
		struct fr tcp = {.id = 0}, udp;
		uint64_t forwarded;

		sc_open(&s, 1, 64);
		CU_ASSERT_FATAL(cn_open(&s, &c));
		CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
		forwarded = sc_count(&s, MT_L4_forwarded);
		cn_next(&c, false, ACK, 900, &tcp.whole);
		fr_cut(&tcp, 7);
		fr_make(&udp, &u, 7);
		fr_send_one(&s, &tcp, 1);
		fr_send_one(&s, &udp, 1);
		fr_send_one(&s, &udp, 0);
		fr_send_one(&s, &tcp, 0);
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_forwarded), forwarded + (is6 ? 0 : 4));
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragment_overlap), is6 ? 4 : 0);
		CU_ASSERT(sc_close(&s));
	}
}

/* Fragments of SYNs are new connections for limits; others are packets. */
static void limits(void)
{
	struct cn c = cn_new("10.1.1.1", 777, false);
	struct fx_pkt p = {0};

	memset(s.limits, 0, sizeof(s.limits));
	s.limits[SC_NAT_TCP].max[MT_L4_SOURCE_NEW_CONNECTIONS] = 1;
	sc_open(&s, 1, 64);
	CU_ASSERT(cn_open(&s, &c));
	pass(&c, false, ACK, 1000, FR_FORWARD);
	c.cport++;
	cn_next(&c, false, SYN, 1000, &p);
	send_frame(&p, 9);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_limit_source_new_connections), 1);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_connection), 2);
	CU_ASSERT_EQUAL(sc_flows(&s), 1);
	CU_ASSERT(sc_close(&s));
	memset(s.limits, 0, sizeof(s.limits));
}

const struct mt_test fragment_tcp_tests[] = {{"one_worker", one_worker},
	{"three_workers", three_workers}, {"fin", fin}, {"fin_of_client", fin_of_client},
	{"syn", syn}, {"syn_ack", syn_ack}, {"reset", reset}, {"alive", alive},
	{"without_flow", without_flow}, {"terminated", terminated}, {"tiny", tiny},
	{"protocols", protocols}, {"limits", limits}, {0}};
