/* SPDX-License-Identifier: Apache-2.0 */
/* Segments out: resolution, headers, checksums, queues. */
#include "fixture.h"
#include "mt_net_priv.h"
#include "test_net.h"

#include <rte_tcp.h>

static struct fx f;

/* A segment of `len` payload bytes as lib/tcp makes one, the payload in `chain` more mbufs. */
static struct rte_mbuf *segment(const struct mt_tuple *t, uint16_t len, bool chain)
{
	uint8_t bytes[20 + 1500] = {0};
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)bytes;
	struct rte_mbuf *m;

	tcp->src_port = rte_cpu_to_be_16(t->lport);
	tcp->dst_port = rte_cpu_to_be_16(t->rport);
	tcp->data_off = 5 << 4;
	for (uint16_t i = 0; i < len; i++)
		bytes[20 + i] = (uint8_t)(i + 1);
	m = fx_mbuf(&f, bytes, (uint16_t)(20 + len), chain ? 21 : 0);
	m->l4_len = 20;
	return m;
}

static struct mt_tuple tuple(const char *local, const char *remote)
{
	return (struct mt_tuple){fx_addr(local), fx_addr(remote), 2000, 8080, 0};
}

static void answer_arp(const char *ip, const uint8_t mac[6])
{
	struct fx_pkt p = {0};

	fx_arp(&p, 2, mac, ip, "192.0.2.1", fx_our_mac[0]);
	fx_in(&f, 0, 0, p.b, p.len);
}

static void answer_nd(const char *ip)
{
	struct fx_pkt p = {0};

	fx_nd(&p, 136, ip, "2001:db8::1", ip, 0x60000000, 2, fx_peer_mac);
	fx_in(&f, 0, 0, p.b, p.len);
}

/* WAIT, a request on the wire, an answer, the event, then the segment with right checksums. */
static void one_way(const char *local, const char *remote, const char *hop, bool chain)
{
	struct mt_tuple t = tuple(local, remote);
	const struct fx_frame *out = f.port[0].sent;
	bool is4 = mt_addr_is4(&t.local);
	struct mt_net_dst dst = {0};
	uint32_t room;

	fx_open(&f, 1);
	fx_turn(&f, 5 * MT_SEC); /* announcements are over */
	fx_turn(&f, 5 * MT_SEC);
	fx_clear(&f);
	CU_ASSERT_EQUAL(mt_net_tx_ready(f.w[0], &t, &dst, &room), MT_NET_WAIT);
	fx_turn(&f, MT_MSEC);
	CU_ASSERT_EQUAL(f.port[0].n, 1);
	if (is4)
		answer_arp(hop, fx_peer_mac);
	else
		answer_nd(hop);
	CU_ASSERT_EQUAL(f.neigh_ok, 0);
	fx_turn(&f, MT_MSEC);
	CU_ASSERT_EQUAL(f.neigh_ok, 1);
	CU_ASSERT_EQUAL(f.last_neigh, dst.neigh);
	fx_clear(&f);
	CU_ASSERT_EQUAL_FATAL(fx_send(&f, 0, segment(&t, 777, chain), &t, &dst, 2), MT_NET_SENT);
	mt_net_flush(f.w[0]);
	CU_ASSERT_EQUAL_FATAL(f.port[0].n, 1);
	CU_ASSERT_EQUAL(out->len, 797 + 14 + (is4 ? 20 : 40));
	CU_ASSERT(fx_sums_ok(out, 14));
	CU_ASSERT_EQUAL(memcmp(out->b, fx_peer_mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(out->b + 6, fx_our_mac[0], 6), 0);
	CU_ASSERT_EQUAL(is4 ? out->b[15] : (out->b[15] >> 4), 2); /* tos */
	CU_ASSERT(fx_close(&f));
}

static void resolves_and_sends(void)
{
	for (int chain = 0; chain < 2; chain++) {
		one_way("192.0.2.1", "192.0.2.9", "192.0.2.9", chain);
		one_way("192.0.2.80", "10.9.9.9", "192.0.2.254", chain);
		one_way("2001:db8::1", "2001:db8::9", "2001:db8::9", chain);
		one_way("2001:db8::1", "2001:db8:5::9", "2001:db8::fe", chain);
	}
}

/* A device that sums leaves the pseudo header's share in the field. */
static void offload(void)
{
	struct mt_tuple t = tuple("192.0.2.1", "192.0.2.9");
	const struct fx_frame *out = f.port[0].sent;
	struct mt_net_dst dst = {0};
	uint32_t sum = 0;

	fx_open(&f, 1);
	f.port[0].p.caps.tx_cksum_ip = f.port[0].p.caps.tx_cksum_tcp = true;
	mt_net_route(f.w[0], NULL, &t.remote, &dst);
	fx_turn(&f, MT_MSEC);
	answer_arp("192.0.2.9", fx_peer_mac);
	fx_clear(&f);
	CU_ASSERT_EQUAL_FATAL(fx_send(&f, 0, segment(&t, 10, false), &t, &dst, 0), MT_NET_SENT);
	mt_net_flush(f.w[0]);
	CU_ASSERT_EQUAL(out->ol_flags,
		RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM);
	CU_ASSERT_EQUAL(out->b[24] | out->b[25], 0);
	for (int i = 26; i < 34; i += 2)
		sum += (uint32_t)(out->b[i] << 8 | out->b[i + 1]);
	CU_ASSERT_EQUAL((uint16_t)~fx_sum(sum + 6 + 30, NULL, 0), out->b[50] << 8 | out->b[51]);
	CU_ASSERT(fx_close(&f));
}

/* Resolves 192.0.2.9 and 192.0.2.254. */
static void open_resolved(void)
{
	struct mt_net_dst dst = {0};
	struct mt_addr a = fx_addr("192.0.2.9"), gw = fx_addr("10.0.0.9");

	fx_open(&f, 1);
	for (int i = 0; i < 3; i++)
		fx_turn(&f, 2 * MT_SEC);
	mt_net_route(f.w[0], NULL, &a, &dst);
	mt_net_route(f.w[0], NULL, &gw, &dst);
	fx_turn(&f, 0);
	answer_arp("192.0.2.9", fx_peer_mac);
	answer_arp("192.0.2.254", fx_peer_mac);
	fx_turn(&f, 0);
	fx_clear(&f);
}

/* Type of service and hop limit of a segment that just left. */
static void leaves_with(const struct mt_tuple *t, uint8_t tos, uint8_t hops)
{
	const uint8_t *b = f.port[0].sent[0].b;
	struct mt_net_dst dst = {0};

	fx_clear(&f);
	CU_ASSERT_EQUAL_FATAL(fx_send(&f, 0, segment(t, 10, false), t, &dst, 2), MT_NET_SENT);
	mt_net_flush(f.w[0]);
	if (mt_addr_is4(&t->remote)) {
		CU_ASSERT_TRUE(b[15] == tos && b[22] == hops);
		CU_ASSERT_EQUAL(fx_sum(0, b + 14, 20), 0);
	} else {
		CU_ASSERT_TRUE((uint8_t)(b[14] << 4 | b[15] >> 4) == tos && b[21] == hops);
	}
}

/* RFC 9293 MUST-48, MUST-49: both are configuration's, beside the two bits of ECN. */
static void hop_limit_and_dscp(void)
{
	const struct mt_net_addr_conf addrs[] = {
		{fx_addr("192.0.2.1"), 24, 0}, {fx_addr("2001:db8::1"), 64, 0}};
	struct mt_net_conf conf = {.addrs = addrs, .n_addrs = 2, .hop_limit = 7, .dscp = 46};
	struct mt_tuple t4 = tuple("192.0.2.1", "192.0.2.9");
	struct mt_tuple t6 = tuple("2001:db8::1", "2001:db8::9");
	struct mt_net_dst dst = {0};
	struct mt_err e;

	open_resolved();
	mt_net_route(f.w[0], NULL, &t6.remote, &dst);
	fx_turn(&f, 0);
	answer_nd("2001:db8::9");
	leaves_with(&t4, 2, 64);
	leaves_with(&t6, 2, 64);
	CU_ASSERT_EQUAL(mt_net_configure(f.net, &conf, NULL, &e), 0);
	fx_turn(&f, 0);
	leaves_with(&t4, 46 << 2 | 2, 7);
	leaves_with(&t6, 46 << 2 | 2, 7);
	CU_ASSERT(fx_close(&f));
}

/* A port that takes nothing: segments are refused at the bound, and what waits is dropped in time. */
static void deaf_port(void)
{
	struct mt_tuple t = tuple("192.0.2.1", "192.0.2.9");
	struct mt_net_dst dst = {0};
	uint32_t sent = 0, room;
	struct rte_mbuf *m;

	open_resolved();
	f.port[0].deaf = true;
	for (; mt_net_tx_ready(f.w[0], &t, &dst, &room) == MT_NET_SENT; sent++) {
		if (sent % 100 == 0)
			mt_net_flush(f.w[0]);
		m = sent < 400 ? mt_buf_ctrl(&f.pools) : mt_buf_data(&f.pools);
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		rte_pktmbuf_append(m, 20);
		CU_ASSERT_EQUAL(room, 512 - sent);
		mt_net_output_tcp(f.w[0], m, &t, &dst, 0);
	}
	CU_ASSERT_EQUAL(sent, 512);
	f.port[0].calls = 0;
	for (uint32_t i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(mt_net_tx_ready(f.w[0], &t, &dst, &room), MT_NET_BUSY);
	CU_ASSERT_EQUAL(f.port[0].calls, 0); /* it said that it is full, once in this turn */
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_tx_busy), 1001);
	CU_ASSERT_EQUAL(mt_net_next(f.w[0]), f.now + 10 * MT_USEC);
	fx_turn(&f, 50 * MT_MSEC);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_tx_stuck), 0);
	fx_turn(&f, 50 * MT_MSEC);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_tx_stuck), 512);
	f.port[0].deaf = false;
	CU_ASSERT_EQUAL(fx_send(&f, 0, segment(&t, 1, false), &t, &dst, 0), MT_NET_SENT);
	fx_turn(&f, MT_MSEC);
	CU_ASSERT_EQUAL(f.port[0].n, 1);
	CU_ASSERT(fx_close(&f));
}

/* Kinds of the next n frames that left: 't' a segment of a connection, 'o' another packet. */
static void left(uint16_t from, const char *want)
{
	for (uint16_t i = 0; want[i]; i++) {
		CU_ASSERT_TRUE_FATAL(from + i < f.port[0].n);
		CU_ASSERT_EQUAL(f.port[0].sent[from + i].b[12 + 11], want[i] == 't' ? 6 : 17);
	}
}

/* An IPv4 header's worth of some datagram. */
static struct rte_mbuf *datagram(void)
{
	uint8_t bytes[60] = {[12] = 8, [14] = 0x45, [23] = 17};

	return fx_mbuf(&f, bytes, sizeof(bytes), 0);
}

/* Connections fill a port: what cannot wait has a share of its own, is dropped beyond it, and takes turns. */
static void two_lanes(void)
{
	struct mt_tuple t = tuple("192.0.2.1", "192.0.2.9");
	struct mt_net_dst dst = {0};
	uint32_t room;

	open_resolved();
	f.port[0].deaf = true;
	for (uint16_t i = 0; i < 200; i++)
		CU_ASSERT_EQUAL(fx_send(&f, 0, segment(&t, 1, false), &t, &dst, 0), MT_NET_SENT);
	for (uint16_t i = 0; i < 150; i++)
		net_tx(f.w[0], 0, datagram());
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_tx_full), 150 - 128);
	CU_ASSERT_EQUAL(mt_net_tx_ready(f.w[0], &t, &dst, &room), MT_NET_SENT);
	CU_ASSERT_EQUAL(room, 512 - 200); /* those took nothing of it */
	fx_clear(&f);
	f.port[0].deaf = false;
	f.port[0].take = 3;
	for (uint16_t k = 0; k < 8; k++)
		mt_net_flush(f.w[0]);
	left(0, "oootttooo");
	f.port[0].take = 0;
	fx_clear(&f);
	while (mt_net_next(f.w[0]) < f.now + MT_MSEC)
		mt_net_flush(f.w[0]);
	CU_ASSERT_EQUAL(f.port[0].n, 200 + 128 - 8 * 3);
	CU_ASSERT(fx_close(&f));
}

/* A port that takes three at a time: all leave, in order. */
static void slow_port(void)
{
	struct mt_tuple t = tuple("192.0.2.1", "192.0.2.9");
	struct mt_net_dst dst = {0};

	open_resolved();
	f.port[0].take = 3;
	for (uint16_t i = 0; i < 40; i++) {
		struct rte_mbuf *m = segment(&t, 1, false);

		rte_pktmbuf_mtod(m, uint8_t *)[20] = (uint8_t)i;
		CU_ASSERT_EQUAL(fx_send(&f, 0, m, &t, &dst, 0), MT_NET_SENT);
		if (i % 8 == 7)
			mt_net_flush(f.w[0]);
	}
	while (mt_net_next(f.w[0]) < f.now + MT_MSEC && f.port[0].n < 100)
		mt_net_flush(f.w[0]);
	CU_ASSERT(mt_net_next(f.w[0]) >= f.now + MT_MSEC); /* nothing waits */
	CU_ASSERT_EQUAL_FATAL(f.port[0].n, 40);
	for (uint16_t i = 0; i < 40; i++)
		CU_ASSERT_EQUAL(f.port[0].sent[i].b[54], i);
	CU_ASSERT(fx_close(&f));
}

/* The longest prefix decides, in whatever order the routes are written. */
static void longest_prefix(void)
{
	const struct mt_net_addr_conf addrs[] = {
		{fx_addr("192.0.2.1"), 24, 0}, {fx_addr("198.51.100.1"), 24, 1}};
	const struct mt_net_route_conf routes[] = {
		{fx_addr("0.0.0.0"), 0, fx_addr("192.0.2.254"), MT_NET_PORT_NONE},
		{fx_addr("10.0.0.0"), 8, fx_addr("198.51.100.9"), MT_NET_PORT_NONE},
		{fx_addr("10.1.0.0"), 16, fx_addr("192.0.2.9"), MT_NET_PORT_NONE},
		{fx_addr("10.1.2.3"), 32, fx_addr("::"), 1}};
	const struct mt_net_conf conf = {
		.addrs = addrs, .n_addrs = 2, .routes = routes, .n_routes = 4};
	static const struct {
		const char *to;
		uint16_t port;
	} rows[] = {{"11.0.0.1", 0}, {"10.9.0.1", 1}, {"10.1.0.1", 0}, {"10.1.2.3", 1}};
	struct mt_err e;

	fx_open(&f, 1);
	CU_ASSERT_EQUAL(mt_net_configure(f.net, &conf, NULL, &e), 0);
	fx_turn(&f, 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_net_dst dst = {0};
		struct mt_addr a = fx_addr(rows[i].to);

		CU_ASSERT_EQUAL(mt_net_route(f.w[0], NULL, &a, &dst), MT_NET_WAIT);
		CU_ASSERT_EQUAL(dst.port, rows[i].port);
	}
	CU_ASSERT(fx_close(&f));
}

/*
 * Routers on the link of a port whose addresses have no networks: solicited there from the port's
 * address, or for a link-local router from the port's link-local one.
 */
static void on_link_routers(void)
{
	const struct mt_net_addr_conf addrs[] = {
		{fx_addr("198.51.100.77"), 32, 0}, {fx_addr("2001:db8::77"), 128, 0}};
	const struct mt_net_route_conf routes[] = {
		{fx_addr("0.0.0.0"), 0, fx_addr("198.51.100.1"), 0},
		{fx_addr("::"), 0, fx_addr("fe80::1"), 0}};
	const struct mt_net_conf conf = {
		.addrs = addrs, .n_addrs = 2, .routes = routes, .n_routes = 2};
	static const struct {
		const char *remote, *router, *local, *asks;
		uint16_t from, target; /* offsets in the solicitation */
	} rows[] = {{"203.0.113.9", "198.51.100.1", "198.51.100.77", "198.51.100.77", 28, 38},
		{"198.51.100.1", "198.51.100.1", "198.51.100.77", "198.51.100.77", 28, 38},
		{"2001:db8:9::9", "fe80::1", "2001:db8::77", "fe80::ff:fe00:1", 22, 62}};
	struct mt_err e;

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_addr a = fx_addr(rows[i].remote), router = fx_addr(rows[i].router), local,
			       want = fx_addr(rows[i].local), asks = fx_addr(rows[i].asks);
		const struct fx_frame *out = f.port[0].sent;
		size_t at = mt_addr_is4(&a) ? 12 : 0, len = 16 - at;
		struct mt_net_dst dst = {0};
		struct fx_pkt p = {0};

		fx_open(&f, 1);
		CU_ASSERT_EQUAL_FATAL(mt_net_configure(f.net, &conf, NULL, &e), 0);
		for (int k = 0; k < 4; k++)
			fx_turn(&f, 2 * MT_SEC); /* announcements are over */
		fx_clear(&f);
		CU_ASSERT(mt_net_source_addr(f.w[0], &a, 0, &local) && mt_addr_eq(&local, &want));
		CU_ASSERT_EQUAL(mt_net_route(f.w[0], NULL, &a, &dst), MT_NET_WAIT);
		fx_turn(&f, 0);
		CU_ASSERT_EQUAL_FATAL(f.port[0].n, 1);
		CU_ASSERT_EQUAL(memcmp(out->b + rows[i].from, asks.b + at, len), 0);
		CU_ASSERT_EQUAL(memcmp(out->b + rows[i].target, router.b + at, len), 0);
		if (at)
			fx_arp(&p, 2, fx_peer_mac, rows[i].router, rows[i].asks, fx_our_mac[0]);
		else
			fx_nd(&p, 136, rows[i].router, rows[i].asks, rows[i].router, 0x60000000, 2,
				fx_peer_mac);
		fx_in(&f, 0, 0, p.b, p.len);
		fx_turn(&f, 0);
		CU_ASSERT_EQUAL(mt_net_route(f.w[0], NULL, &a, &dst), MT_NET_SENT);
		CU_ASSERT_EQUAL(memcmp(dst.l2, fx_peer_mac, 6), 0);
		CU_ASSERT(fx_close(&f));
	}
}

static uint16_t mtu_to(const char *remote)
{
	struct mt_net_dst dst = {0};
	struct mt_addr a = fx_addr(remote);

	CU_ASSERT_NOT_EQUAL(mt_net_route(f.w[0], NULL, &a, &dst), MT_NET_NO_ROUTE);
	return dst.mtu;
}

static void path_mtu(void)
{
	struct mt_addr four = fx_addr("10.0.0.9"), six = fx_addr("2001:db8:7::9");
	struct mt_net_dst dst = {0};

	open_resolved();
	CU_ASSERT_EQUAL(mt_net_route(f.w[0], NULL, &four, &dst), MT_NET_SENT);
	CU_ASSERT_EQUAL(dst.mtu, 1500);
	mt_net_pmtu_learn(f.w[0], &four, 1400);
	CU_ASSERT_EQUAL(mtu_to("10.0.0.9"), 1400);
	CU_ASSERT_EQUAL(mtu_to("10.0.0.10"), 1500);
	/* What was cached before is stale, in this turn already and in the next. */
	{
		struct mt_net_dst fresh = {0};

		mt_net_route(f.w[0], NULL, &four, &fresh);
		CU_ASSERT_NOT_EQUAL(fresh.gen, dst.gen);
		fx_turn(&f, 0);
		mt_net_route(f.w[0], NULL, &four, &dst);
		CU_ASSERT_EQUAL(fresh.gen, dst.gen);
	}
	mt_net_pmtu_learn(f.w[0], &four, 1450); /* never raised */
	CU_ASSERT_EQUAL(mtu_to("10.0.0.9"), 1400);
	mt_net_pmtu_learn(f.w[0], &four, 68);
	CU_ASSERT_EQUAL(mtu_to("10.0.0.9"), 552);
	mt_net_pmtu_learn(f.w[0], &six, 0);
	CU_ASSERT_EQUAL(mtu_to("2001:db8:7::9"), 1280);
	fx_turn(&f, 300 * MT_SEC);
	CU_ASSERT_EQUAL(mtu_to("10.0.0.9"), 552);
	fx_turn(&f, 301 * MT_SEC);
	CU_ASSERT_EQUAL(mtu_to("10.0.0.9"), 1500);
	/* Bounded: 100,000 paths do not grow it, and the newest is known. */
	for (uint32_t i = 0; i < 100000; i++) {
		four.w[3] = rte_cpu_to_be_32(0x0b000000 + i);
		mt_net_pmtu_learn(f.w[0], &four, 1000);
	}
	CU_ASSERT_EQUAL(mtu_to("11.1.134.159"), 1000);
	CU_ASSERT(fx_close(&f));
}

static uint32_t set_without_key(const struct mt_addr *a)
{
	return (uint32_t)((a->q[0] ^ mt_rotl64(a->q[1], 31)) * 0x9e3779b97f4a7c15ull >> 32) % 64;
}

/* Peers cannot choose addresses that take the place of another path. */
static void path_mtu_of_others(void)
{
	struct mt_addr kept = fx_addr("10.0.0.9"), other = kept;

	open_resolved();
	mt_net_pmtu_learn(f.w[0], &kept, 1400);
	for (uint32_t i = 1, n = 0; n < 8; i++) {
		other.w[3] = rte_cpu_to_be_32(0x0b000000 + i);
		if (set_without_key(&other) != set_without_key(&kept))
			continue;
		mt_net_pmtu_learn(f.w[0], &other, 1000);
		n++;
	}
	CU_ASSERT_EQUAL(mtu_to("10.0.0.9"), 1400);
	CU_ASSERT(fx_close(&f));
}

/* What can't be sent to. */
static void no_route(void)
{
	static const char *const rows[] = {"192.0.2.255", "192.0.2.0", "224.0.0.1",
		"255.255.255.255", "127.0.0.1", "0.0.0.0", "::", "ff02::1", "192.0.2.1",
		"192.0.2.80", "203.0.113.80", "2001:db8::1"};
	struct mt_net_dst dst = {0};

	open_resolved();
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_addr a = fx_addr(rows[i]);

		CU_ASSERT_EQUAL(mt_net_route(f.w[0], NULL, &a, &dst), MT_NET_NO_ROUTE);
	}
	CU_ASSERT(fx_close(&f));
}

/* A port's MTU may change, and cached destinations are filled again. */
static void port_mtu(void)
{
	struct mt_addr four = fx_addr("10.0.0.9");
	struct mt_port *p;
	struct mt_net_dst dst = {0};
	uint16_t was;

	open_resolved();
	CU_ASSERT_EQUAL(mt_net_route(f.w[0], NULL, &four, &dst), MT_NET_SENT);
	CU_ASSERT_EQUAL(dst.mtu, 1500);
	p = f.net->ports[dst.port];
	was = p->mtu;
	p->mtu = 1400;
	mt_net_mtu_changed(f.net);
	fx_turn(&f, 0);
	CU_ASSERT_NOT_EQUAL(mt_net_gen(f.w[0]), dst.gen);
	CU_ASSERT_EQUAL(mtu_to("10.0.0.9"), 1400);
	p->mtu = was;
	mt_net_mtu_changed(f.net);
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(mtu_to("10.0.0.9"), 1500);
	CU_ASSERT(fx_close(&f));
}

/* A tagged port: 18 bytes of L2; frames in with the tag, or with it stripped by the device. */
static void vlan(void)
{
	static const uint8_t tag[4] = {0x81, 0, 0x20, 7};
	struct mt_tuple t = tuple("198.51.100.1", "198.51.100.9");
	const struct fx_frame *out = f.port[1].sent;
	struct mt_net_dst dst = {0};
	struct fx_pkt p = {0};
	struct rte_mbuf *m;

	fx_open(&f, 1);
	fx_eth(&p, fx_our_mac[1], 0);
	p.len = 12;
	fx_put(&p, tag, 4);
	fx_put(&p, "\x08\x00", 2);
	fx_tcp(&p, "198.51.100.9", 1, "198.51.100.1", 2, 10);
	m = fx_in_keep(&f, 0, 1, fx_mbuf(&f, p.b, p.len, 0));
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m->l2_len, 18);
	mt_buf_free(m);
	p.b[15] = 8;
	fx_in(&f, 0, 1, p.b, p.len);
	p.b[15] = 7;
	memmove(p.b + 12, p.b + 16, p.len - 16u);
	p.len -= 4;
	fx_in(&f, 0, 1, p.b, p.len); /* untagged */
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_vlan_unknown), 2);
	m = fx_mbuf(&f, p.b, p.len, 0);
	m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	m->vlan_tci = 0x2007;
	m = fx_in_keep(&f, 0, 1, m);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m->l2_len, 14);
	mt_buf_free(m);
	mt_net_route(f.w[0], NULL, &t.remote, &dst);
	fx_turn(&f, MT_MSEC);
	p.len = 0;
	fx_eth(&p, fx_our_mac[1], 0);
	p.len = 12;
	fx_put(&p, tag, 4);
	fx_put(&p, "\x08\x06", 2);
	fx_arp(&p, 2, fx_peer_mac, "198.51.100.9", "198.51.100.1", NULL);
	fx_in(&f, 0, 1, p.b, p.len);
	fx_clear(&f);
	m = segment(&t, 5, false);
	CU_ASSERT_EQUAL_FATAL(fx_send(&f, 0, m, &t, &dst, 0), MT_NET_SENT);
	mt_net_flush(f.w[0]);
	CU_ASSERT_EQUAL(out->len, 18 + 20 + 25);
	CU_ASSERT_EQUAL(memcmp(out->b + 12, "\x81\x00\x00\x07\x08\x00", 6), 0);
	CU_ASSERT(fx_sums_ok(out, 18));
	CU_ASSERT(fx_close(&f));
}

/* A device's verdict on checksums is believed only when its sheet says so. */
static void rx_offload(void)
{
	static const struct {
		bool trust, damaged;
		uint64_t flags;
		uint32_t accepted;
	} rows[] = {
		{false, false, RTE_MBUF_F_RX_L4_CKSUM_BAD, 1},
		{false, true, RTE_MBUF_F_RX_L4_CKSUM_GOOD, 0},
		{true, false, RTE_MBUF_F_RX_L4_CKSUM_BAD, 0},
		{true, true, RTE_MBUF_F_RX_L4_CKSUM_GOOD, 1},
		{true, true, 0, 0},
		{true, false, RTE_MBUF_F_RX_IP_CKSUM_BAD, 0},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct fx_pkt p = {0};
		struct rte_mbuf *m;

		fx_open(&f, 1);
		f.port[0].p.caps.rx_cksum = rows[i].trust;
		fx_tcp(&p, "192.0.2.9", 1, "192.0.2.1", 2, 10);
		p.b[p.len - 1] ^= rows[i].damaged;
		m = fx_mbuf(&f, p.b, p.len, 0);
		m->ol_flags |= rows[i].flags;
		mt_buf_free(fx_in_keep(&f, 0, 0, m));
		CU_ASSERT_EQUAL(f.tcp, rows[i].accepted);
		CU_ASSERT(fx_close(&f));
	}
}

/* net_ring hands over the sender's own mbuf: it is copied, the sender's stays as it was. */
static void shared_rx(void)
{
	struct rte_mbuf *m, *got;
	struct fx_pkt p = {0};

	fx_open(&f, 1);
	f.port[0].p.caps.rx_shared = true;
	fx_tcp(&p, "192.0.2.9", 1, "192.0.2.1", 2, 10);
	fx_put(&p, NULL, 7);
	m = fx_mbuf(&f, p.b, p.len, 0);
	mt_buf_hold(m);
	got = fx_in_keep(&f, 0, 0, m);
	CU_ASSERT_PTR_NOT_NULL_FATAL(got);
	CU_ASSERT_PTR_NOT_EQUAL(got, m);
	CU_ASSERT_EQUAL(m->pkt_len, p.len);
	CU_ASSERT_EQUAL(rte_mbuf_refcnt_read(m), 1);
	mt_buf_free(m);
	mt_buf_free(got);
	CU_ASSERT(fx_close(&f));
}

static void source_addresses(void)
{
	static const struct {
		const char *remote, *local;
	} rows[] = {
		{"192.0.2.9", "192.0.2.1"},
		{"10.0.0.9", "192.0.2.1"},
		{"198.51.100.9", "198.51.100.1"},
		{"2001:db8::9", "2001:db8::1"},
		{"2001:db8:99::9", "2001:db8::1"},
	};
	struct mt_addr pool[] = {fx_addr("192.0.2.51"), fx_addr("192.0.2.52")};
	const struct mt_net_addr_conf addrs[] = {{fx_addr("192.0.2.1"), 24, 0}};
	const struct mt_net_conf conf = {
		.addrs = addrs, .n_addrs = 1, .sources = pool, .n_sources = 2};
	struct mt_addr local, remote = fx_addr("192.0.2.9");
	struct mt_err e;

	fx_open(&f, 1);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_addr a = fx_addr(rows[i].remote), want = fx_addr(rows[i].local);

		CU_ASSERT_FATAL(mt_net_source_addr(f.w[0], &a, 7, &local));
		CU_ASSERT(mt_addr_eq(&local, &want));
	}
	CU_ASSERT_EQUAL(mt_net_configure(f.net, &conf, NULL, &e), 0);
	fx_turn(&f, 0);
	for (uint64_t rnd = 0; rnd < 4; rnd++) {
		CU_ASSERT(mt_net_source_addr(f.w[0], &remote, rnd, &local));
		CU_ASSERT(mt_addr_eq(&local, &pool[rnd % 2]));
		CU_ASSERT(mt_net_is_local(f.w[0], &local));
	}
	remote = fx_addr("10.0.0.1");
	CU_ASSERT_FALSE(mt_net_source_addr(f.w[0], &remote, 0, &local));
	CU_ASSERT(fx_close(&f));
}

const struct mt_test net_output_tests[] = {
	{"resolves_and_sends", resolves_and_sends},
	{"offload", offload},
	{"hop_limit_and_dscp", hop_limit_and_dscp},
	{"deaf_port", deaf_port},
	{"slow_port", slow_port},
	{"two_lanes", two_lanes},
	{"longest_prefix", longest_prefix},
	{"on_link_routers", on_link_routers},
	{"path_mtu", path_mtu},
	{"path_mtu_of_others", path_mtu_of_others},
	{"port_mtu", port_mtu},
	{"no_route", no_route},
	{"vlan", vlan},
	{"rx_offload", rx_offload},
	{"shared_rx", shared_rx},
	{"source_addresses", source_addresses},
	{0},
};
