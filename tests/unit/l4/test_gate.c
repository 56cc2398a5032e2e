/* SPDX-License-Identifier: Apache-2.0 */
/* Which packets lib/net leaves to lib/l4, and what it makes of shared buffers. */
#include "mt_net_priv.h"
#include "scene.h"
#include "test_l4.h"

static struct scene s;

static void receive(const struct sc_udp *u)
{
	struct fx_pkt p = {0};

	sc_frame(u, &p);
	sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
}

/* Counts packets that reached lib/l4, whatever became of them. */
static uint64_t seen(void)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < MT_L4_N_OUTCOMES; i++)
		sum += i == MT_L4_forwarded || i == MT_L4_neighbour_wait || i == MT_L4_no_flow ||
				       i == MT_L4_header_bad || i == MT_L4_no_row
			       ? sc_count(&s, i)
			       : 0;
	return sum;
}

static void is_left(const char *src, uint16_t sport, const char *dst, uint16_t dport, bool left)
{
	const struct sc_udp u = {.src = src, .dst = dst, .sport = sport, .dport = dport, .data = 8};
	uint64_t before = seen();

	receive(&u);
	if (seen() - before != left)
		printf("\n%s:%u to %s:%u", src, sport, dst, dport);
	CU_ASSERT_EQUAL(seen() - before, left);
}

static void which(void)
{
	sc_open(&s, 1, 400);
	is_left("10.1.1.1", 9, "192.0.2.80", 4000, true);
	is_left("10.1.1.1", 9, "192.0.2.80", 4001, false); /* a row of another address */
	is_left("10.1.1.1", 9, "192.0.2.1", 4000, false);
	is_left("10.1.1.1", 9, "203.0.113.80", 4000, false);
	is_left("10.1.1.1", 9, "203.0.113.80", 4001, true);
	is_left("2001:db8:1::1", 9, "2001:db8::80", 4000, true);
	is_left("2001:db8:1::1", 9, "2001:db8::80", 4001, false);
	is_left("10.1.1.1", 9, "192.0.2.90", 40000, true);
	is_left("10.1.1.1", 9, "192.0.2.90", 40999, true);
	is_left("10.1.1.1", 9, "192.0.2.90", 39999, false);
	is_left("10.1.1.1", 9, "192.0.2.90", 41000, false);
	is_left("2001:db8:1::1", 9, "2001:db8::90", 40500, true);
	/* Foreign destinations: only from endpoints of `nat`, and without a flow nothing is sent. */
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_not_local), 0);
	is_left("192.0.2.21", 5000, "10.1.1.1", 77, false);
	is_left("192.0.2.21", 5001, "10.1.1.1", 77, false);
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_not_local), 2);
	is_left("10.1.1.1", 0, "192.0.2.80", 4000, true); /* counted as malformed */
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_header_bad), 1);
	for (int i = 0; i < 4; i++)
		sc_turn(&s, 2 * MT_MSEC);
	CU_ASSERT(sc_close(&s));
}

/* A reply to the node's own address, as it is without configured NAT addresses. */
static void own_address(void)
{
	struct mt_net_vips *v = mt_net_vips_new(NULL, 0, 0);
	const struct mt_addr own = fx_addr("192.0.2.1");
	const struct mt_net_forwards f = {
		.nat = &own, .n_nat = 1, .nat_lo = 40000, .nat_hi = 40009};

	sc_open(&s, 1, 400);
	CU_ASSERT_EQUAL(mt_net_vips_forward(v, &f), 0);
	mt_net_vips_use(s.f.net, v, NULL);
	is_left("10.1.1.1", 9, "192.0.2.1", 40000, true);
	is_left("10.1.1.1", 9, "192.0.2.1", 40010, false);
	is_left("10.1.1.1", 9, "198.51.100.1", 40000, false);
	CU_ASSERT(sc_close(&s));
}

/* Other protocols, and fragments of them, for a forwarded port take the path that they always took. */
static void others(void)
{
	const struct sc_udp u = {.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 9, .dport = 4000};
	struct fx_pkt p = {0};

	sc_open(&s, 1, 400);
	fx_tcp(&p, "10.1.1.1", 9, "192.0.2.80", 4000, 10);
	sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	CU_ASSERT_EQUAL(s.f.tcp, 1);
	p.len = 0;
	fx_echo(&p, "10.1.1.1", "192.0.2.80", 10);
	sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_icmp_echoed), 1);
	p.len = 0;
	fx_tcp(&p, "10.1.1.1", 9, "192.0.2.80", 4000, 12);
	p.b[20] = 0x20; /* more fragments */
	fx_resum(&p, 14);
	sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_ip_fragment_refused), 1);
	sc_frame(&u, &p);
	p.b[26] = 127; /* a source that no host has */
	fx_resum(&p, 14);
	sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_martian_source), 1);
	CU_ASSERT_EQUAL(seen(), 0);
	CU_ASSERT(sc_close(&s));
}

/* Without rows all is as before. */
static void none(void)
{
	sc_open(&s, 1, 400);
	CU_ASSERT_EQUAL(mt_net_set_vips(s.f.net, NULL, 0, NULL), 0);
	is_left("10.1.1.1", 9, "192.0.2.80", 4000, false);
	is_left("192.0.2.21", 5000, "10.1.1.1", 77, false);
	is_left("10.1.1.1", 9, "192.0.2.90", 40000, false);
	CU_ASSERT(sc_close(&s));
}

/* A buffer that its sender still holds is not written: the headers are copied in front of it. */
static void shared(void)
{
	const struct sc_udp u = {
		.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 9, .dport = 4000, .data = 900};
	struct fx_pkt p = {0};
	struct rte_mbuf *m;

	sc_open(&s, 1, 400);
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	fx_clear(&s.f);
	s.f.port[0].p.caps.rx_shared = true;
	sc_frame(&u, &p);
	m = fx_mbuf(&s.f, p.b, p.len, 0);
	mt_buf_hold(m);
	sc_receive(&s, 0, m);
	CU_ASSERT_EQUAL_FATAL(s.f.port[0].n, 1);
	CU_ASSERT(fx_sums_ok(&s.f.port[0].sent[0], 14));
	CU_ASSERT_EQUAL(s.f.port[0].sent[0].segs, 2);
	CU_ASSERT_EQUAL(s.f.port[0].sent[0].len, p.len);
	CU_ASSERT_EQUAL(memcmp(rte_pktmbuf_mtod(m, void *), p.b, p.len), 0);
	mt_buf_free(m);
	CU_ASSERT(sc_close(&s));
}

/* The device's hash counts only if it includes the ports of datagrams. */
static void device_hash(void)
{
	const struct sc_udp u = {
		.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 9, .dport = 4000, .data = 9};
	struct mt_tuple t = {fx_addr(u.dst), fx_addr(u.src), u.dport, u.sport, 0};
	struct fx_pkt p = {0};

	sc_frame(&u, &p);
	for (int udp = 0; udp < 2; udp++) {
		struct rte_mbuf *m, *out[1], **fwd;
		uint16_t n;

		sc_open(&s, 3, 400);
		s.f.port[0].p.caps.rss = true;
		s.f.port[0].p.caps.rss_udp = udp;
		m = out[0] = fx_mbuf(&s.f, p.b, p.len, 0);
		m->hash.rss = 0x1234;
		m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
		mt_net_begin(s.f.w[0], s.f.now);
		CU_ASSERT_EQUAL(mt_net_input(s.f.w[0], &s.f.port[0].p, out, 1, out), 0);
		fwd = mt_net_forwarded(s.f.w[0], &n);
		CU_ASSERT_EQUAL_FATAL(n, 1);
		CU_ASSERT_EQUAL(fwd[0]->hash.rss, udp ? 0x1234 : mt_steer_hash(&s.f.steer, &t));
		mt_buf_free(fwd[0]);
		mt_net_forwarded(s.f.w[0], &n);
		CU_ASSERT_EQUAL(n, 0);
		CU_ASSERT(sc_close(&s));
	}
}

const struct mt_test gate_tests[] = {{"which", which}, {"own_address", own_address},
	{"others", others}, {"none", none}, {"shared", shared}, {"device_hash", device_hash}, {0}};
