/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams in fragments on their way: in any order, in both directions, by one and three workers. */
#include "fragments.h"
#include "test_l4.h"

#include <string.h>

static struct scene s;

/* Bytes after the IP header. */
static uint16_t bytes_of(const struct fr *f)
{
	return (uint16_t)(f->whole.len - 14 - (f->whole.b[14] >> 4 == 4 ? 20 : 40));
}

void fr_cut(struct fr *f, uint32_t id)
{
	f->id = id;
	f->n = (uint16_t)((bytes_of(f) + FR_PART - 1) / FR_PART);
}

void fr_make(struct fr *f, const struct sc_udp *u, uint32_t id)
{
	sc_frame(u, &f->whole);
	fr_cut(f, id);
}

void fr_send(struct scene *sc, const struct fr *f, struct sc_part part)
{
	struct fx_pkt p = {0};

	part.id = f->id;
	sc_fragment(&f->whole, &part, &p);
	sc_receive(sc, 0, fx_mbuf(&sc->f, p.b, p.len, 0));
}

void fr_send_one(struct scene *sc, const struct fr *f, uint16_t i)
{
	uint16_t from = (uint16_t)(i * FR_PART);

	fr_send(sc, f,
		(struct sc_part){.from = from,
			.len = (uint16_t)MT_MIN(FR_PART, bytes_of(f) - from),
			.more = i + 1 < f->n});
}

void fr_send_all(struct scene *sc, const struct fr *f, enum fr_order order)
{
	for (uint16_t i = 0; i < f->n; i++)
		if (order != FR_ODD_FIRST)
			fr_send_one(sc, f, order == FR_FORWARD ? i : (uint16_t)(f->n - 1 - i));
		else if (i % 2)
			fr_send_one(sc, f, i);
	for (uint16_t i = 0; order == FR_ODD_FIRST && i < f->n; i += 2)
		fr_send_one(sc, f, i);
}

static bool is_fragment(const struct fx_frame *f)
{
	const uint8_t *ip = f->b + sc_l2(f);

	return ip[0] >> 4 == 4 ? ip[-2] == 8 && ip[-1] == 0 && ((ip[6] & 0x3f) | ip[7])
			       : ip[-2] == 0x86 && ip[6] == 44;
}

/* What is known of a datagram that is put together. */
struct joined {
	struct fx_frame *whole;
	uint32_t id, bytes;
	uint16_t n, end; /* end: 0 as long as the last fragment is missing */
	uint8_t proto;
};

/* Writes a fragment to its place in the frame; false: it is not one of this datagram. */
static bool join(struct joined *j, const struct fx_frame *f)
{
	const uint8_t *ip = f->b + sc_l2(f), *h = ip + 40;
	bool is4 = ip[0] >> 4 == 4, more = is4 ? ip[6] & 0x20 : h[3] & 1;
	uint16_t hlen = is4 ? 20 : 48, n = (uint16_t)(f->len - sc_l2(f) - hlen);
	uint16_t from = (uint16_t)(is4 ? (ip[6] << 8 | ip[7]) * 8 : (h[2] << 8 | h[3]) & 0xfff8);
	uint32_t id = is4 ? (uint32_t)(ip[4] << 8 | ip[5])
			  : (uint32_t)h[4] << 24 | (uint32_t)(h[5] << 16 | h[6] << 8 | h[7]);
	uint8_t *to = j->whole->b + 14 + (is4 ? 20 : 40);

	if (is4 && fx_sum(0, ip, 20) != 0)
		return false;
	if (j->n == 0) {
		memcpy(j->whole->b + 12, ip - 2, (size_t)(to - j->whole->b) - 12);
		j->id = id;
		j->proto = is4 ? ip[9] : h[0];
		if (from)
			return false; /* the first one leaves first */
	}
	if (id != j->id ||
		memcmp(j->whole->b + 14 + (is4 ? 12 : 8), ip + (is4 ? 12 : 8), is4 ? 8 : 32))
		return false;
	memcpy(to + from, ip + hlen, n);
	if (!more)
		j->end = (uint16_t)(from + n);
	j->bytes += n;
	j->n++;
	j->whole->len = (uint16_t)(to - j->whole->b + j->end);
	return true;
}

/* Writes the lengths that the whole has. */
static void set_lengths(struct fx_frame *whole, uint8_t proto)
{
	uint8_t *ip = whole->b + 14;
	bool is4 = ip[0] >> 4 == 4;
	uint16_t len = (uint16_t)(whole->len - 14 - (is4 ? 0 : 40)), sum;

	ip[is4 ? 2 : 4] = (uint8_t)(len >> 8);
	ip[is4 ? 3 : 5] = (uint8_t)len;
	if (!is4) {
		ip[6] = proto;
		return;
	}
	memset(ip + 4, 0, 4);
	ip[10] = ip[11] = 0;
	sum = fx_sum(0, ip, 20);
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
}

uint16_t fr_join(struct scene *sc, struct fx_frame *whole, uint32_t *id)
{
	struct joined j = {.whole = whole};

	for (uint16_t port = 0; port < FX_PORTS; port++)
		for (uint16_t i = 0; i < MT_MIN(sc->f.port[port].n, FX_SENT); i++)
			if (is_fragment(&sc->f.port[port].sent[i]) &&
				!join(&j, &sc->f.port[port].sent[i]))
				return 0;
	if (!j.end || j.bytes != j.end)
		return 0;
	*id = j.id;
	set_lengths(whole, j.proto);
	return j.n;
}

/* ---- on the way ---------------------------------------------------------------------------- */

/* Passes a datagram; returns its ends behind the node. */
static struct sc_ends pass(const struct sc_udp *u, uint32_t id, enum fr_order order)
{
	static struct fx_frame whole;
	uint32_t new_id = 0;
	struct fr f;

	fr_make(&f, u, id);
	fx_clear(&s.f);
	fr_send_all(&s, &f, order);
	for (int i = 0; i < 5; i++)
		sc_turn(&s, 2 * MT_MSEC);
	CU_ASSERT_EQUAL(fr_join(&s, &whole, &new_id), f.n);
	CU_ASSERT(u->no_sum || fx_sums_ok(&whole, 14));
	CU_ASSERT_EQUAL(whole.len, f.whole.len);
	CU_ASSERT_EQUAL(
		memcmp(whole.b + whole.len - u->data, f.whole.b + whole.len - u->data, u->data), 0);
	CU_ASSERT_EQUAL(whole.b[14] >> 4 == 4 ? whole.b[22] : whole.b[21], 63);
	return sc_ends(&whole);
}

static void there_and_back(const char *src, const char *vip, uint16_t port, enum fr_order order)
{
	const struct sc_udp u = {.src = src, .dst = vip, .sport = 777, .dport = port, .data = 1300};
	char text[2][MT_ADDR_STRLEN];
	struct mt_addr client = fx_addr(src), to = fx_addr(vip);
	struct sc_ends e = pass(&u, 0x1234, order), again = pass(&u, 0x1235, order), back;
	struct sc_udp reply = {.sport = e.dport, .dport = e.sport, .data = 1400};

	CU_ASSERT_EQUAL(memcmp(&e, &again, sizeof(e)), 0);
	CU_ASSERT_EQUAL(e.dport, port + 1000);
	reply.src = mt_addr_str(&e.dst, text[0]);
	reply.dst = mt_addr_str(&e.src, text[1]);
	back = pass(&reply, 0x77777777, order);
	CU_ASSERT(mt_addr_eq(&back.src, &to) && back.sport == port);
	CU_ASSERT(mt_addr_eq(&back.dst, &client) && back.dport == 777);
}

static void orders(uint16_t workers)
{
	for (enum fr_order order = FR_FORWARD; order < FR_ORDERS; order++) {
		sc_open(&s, workers, 64);
		there_and_back("10.1.1.1", "192.0.2.80", 4000, order);
		there_and_back("2001:db8:1::1", "2001:db8::80", 4000, order);
		there_and_back("10.1.1.1", "203.0.113.80", 4001, order);
		there_and_back("2001:db8:1::1", "2001:db8::81", 4001, order);
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 4);
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_fragments_kept) > 0, order != FR_FORWARD);
		CU_ASSERT(sc_close(&s));
	}
}

static void one_worker(void)
{
	orders(1);
}

/* The datagram's owner and the flow's are different workers, for most of them. */
static void three_workers(void)
{
	orders(3);
	sc_open(&s, 3, 64);
	for (uint16_t i = 0; i < 60; i++) {
		const struct sc_udp u = {.src = "10.1.1.1",
			.dst = "192.0.2.80",
			.sport = (uint16_t)(1000 + i % 7),
			.dport = 4000,
			.data = 900};

		pass(&u, i * 977u, i % 3);
	}
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 7);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_forwarded), 180);
	CU_ASSERT(sc_close(&s));
}

/* Whole packets and fragments are of the same flow; a datagram without a checksum keeps none. */
static void with_whole_ones(void)
{
	struct sc_udp u = {
		.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 5, .dport = 4000, .data = 900};
	struct sc_ends e, whole;
	const struct fx_frame *out;

	sc_open(&s, 3, 64);
	out = sc_pass(&s, &u);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	whole = sc_ends(out);
	e = pass(&u, 9, FR_FORWARD);
	CU_ASSERT_EQUAL(memcmp(&e, &whole, sizeof(e)), 0);
	u.no_sum = true;
	e = pass(&u, 10, FR_BACKWARD);
	CU_ASSERT_EQUAL(memcmp(&e, &whole, sizeof(e)), 0);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 1);
	CU_ASSERT(sc_close(&s));
}

/* Clients that use the same identification share a NAT address: the endpoint sees different ones. */
static void identifications(void)
{
	uint32_t ids[24];
	struct fx_frame whole;

	sc_open(&s, 3, 64);
	for (uint16_t i = 0; i < 24; i++) {
		const struct sc_udp u = {.src = i % 2 ? "10.1.1.1" : "10.1.1.2",
			.dst = "203.0.113.80",
			.sport = (uint16_t)(100 + i),
			.dport = 4001,
			.data = 900};

		pass(&u, 5, FR_FORWARD);
		CU_ASSERT(fr_join(&s, &whole, &ids[i]) > 0);
		for (uint16_t k = 0; k < i; k++)
			CU_ASSERT_NOT_EQUAL(ids[k], ids[i]);
	}
	CU_ASSERT(sc_close(&s));
}

/* Fragments that lib/net keeps from lib/l4, and those for no service. */
static void which(void)
{
	struct sc_udp u = {
		.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 5, .dport = 4321, .data = 500};
	struct fr f;

	sc_open(&s, 1, 64);
	fr_make(&f, &u, 1);
	fr_send_all(&s, &f, FR_FORWARD);
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_ip_fragment_refused), 2);
	u.dst = "192.0.2.70"; /* not local, and not from an endpoint */
	fr_make(&f, &u, 1);
	fr_send_all(&s, &f, FR_FORWARD);
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_not_local), 2);
	u.src = "192.0.2.21"; /* from an endpoint, but without a flow */
	u.dst = "10.1.1.1";
	fr_make(&f, &u, 1);
	fr_send_all(&s, &f, FR_BACKWARD);
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_not_local), 4);
	u.src = "2001:db8:1::1";
	u.dst = "2001:db8:77::1";
	fr_make(&f, &u, 1);
	fr_send_all(&s, &f, FR_FORWARD);
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_ip_fragment_refused), 4);
	u.dst = "2001:db8::80";
	u.src = "::1";
	fr_make(&f, &u, 1);
	fr_send_all(&s, &f, FR_FORWARD);
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_martian_source), 2);
	CU_ASSERT(sc_close(&s));
}

/* Errors are about the first fragment only. */
static void errors(void)
{
	const struct sc_udp empty = {
		.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 5, .dport = 4002, .data = 1000};
	struct sc_udp u = {.src = "10.1.1.1",
		.dst = "192.0.2.80",
		.sport = 5,
		.dport = 4000,
		.data = 1000,
		.ttl = 1};
	struct fr f;

	sc_open(&s, 1, 64);
	fx_clear(&s.f);
	fr_make(&f, &empty, 1);
	fr_send_all(&s, &f, FR_FORWARD);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_endpoint), 3);
	CU_ASSERT_EQUAL(s.f.port[0].n, 1);
	fx_clear(&s.f);
	fr_make(&f, &u, 2);
	fr_send_all(&s, &f, FR_FORWARD);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_ttl_exceeded), 3);
	CU_ASSERT_EQUAL(s.f.port[0].n, 1);
	CU_ASSERT_EQUAL(sc_flows(&s), 0);
	CU_ASSERT(sc_close(&s));
}

/* A buffer that its sender holds is not written. */
static void shared(void)
{
	const struct sc_udp u = {
		.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 9, .dport = 4000, .data = 900};
	struct rte_mbuf *m[3];
	struct fx_frame whole;
	struct fx_pkt p[3];
	uint32_t id;
	struct fr f;

	sc_open(&s, 1, 64);
	pass(&u, 1, FR_FORWARD);
	fx_clear(&s.f);
	s.f.port[0].p.caps.rx_shared = true;
	fr_make(&f, &u, 2);
	for (int i = 2; i >= 0; i--) {
		const struct sc_part part = {.from = (uint16_t)(i * FR_PART),
			.len = i == 2 ? 108 : FR_PART,
			.more = i < 2,
			.id = 2};

		p[i].len = 0;
		sc_fragment(&f.whole, &part, &p[i]);
		m[i] = fx_mbuf(&s.f, p[i].b, p[i].len, 0);
		mt_buf_hold(m[i]);
		sc_receive(&s, 0, m[i]);
	}
	CU_ASSERT_EQUAL(fr_join(&s, &whole, &id), 3);
	CU_ASSERT(fx_sums_ok(&whole, 14));
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(memcmp(rte_pktmbuf_mtod(m[i], void *), p[i].b, p[i].len), 0);
		mt_buf_free(m[i]);
	}
	CU_ASSERT(sc_close(&s));
}

const struct mt_test fragment_tests[] = {{"one_worker", one_worker},
	{"three_workers", three_workers}, {"with_whole_ones", with_whole_ones},
	{"identifications", identifications}, {"which", which}, {"errors", errors},
	{"shared", shared}, {0}};
