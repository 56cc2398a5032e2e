/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors in and out, rate limits, the exception TAP, configuration errors. */
#include "fixture.h"
#include "test_net.h"

#include <errno.h>
#include <string.h>

static struct fx f;

static void errors_in(void)
{
	static const struct {
		bool six;
		uint8_t type, code;
		uint32_t rest;
		enum mt_net_icmp kind;
		uint16_t mtu;
	} rows[] = {
		{false, 3, 0, 0, MT_NET_ICMP_UNREACH, 0},
		{false, 3, 1, 0, MT_NET_ICMP_UNREACH, 0},
		{false, 3, 2, 0, MT_NET_ICMP_HARD, 0},
		{false, 3, 3, 0, MT_NET_ICMP_HARD, 0},
		{false, 3, 4, 1400, MT_NET_ICMP_TOO_BIG, 1400},
		{false, 3, 4, 0, MT_NET_ICMP_TOO_BIG, 1006}, /* next below the packet's 1480 */
		{false, 3, 13, 0, MT_NET_ICMP_HARD, 0},
		{false, 11, 0, 0, MT_NET_ICMP_UNREACH, 0},
		{false, 12, 0, 0, MT_NET_ICMP_UNREACH, 0},
		{true, 1, 0, 0, MT_NET_ICMP_UNREACH, 0},
		{true, 1, 1, 0, MT_NET_ICMP_HARD, 0},
		{true, 1, 3, 0, MT_NET_ICMP_UNREACH, 0},
		{true, 1, 4, 0, MT_NET_ICMP_HARD, 0},
		{true, 2, 0, 1280, MT_NET_ICMP_TOO_BIG, 1280},
		{true, 2, 0, 0xffffffff, MT_NET_ICMP_TOO_BIG, 65535},
		{true, 3, 0, 0, MT_NET_ICMP_UNREACH, 0},
		{true, 4, 1, 0, MT_NET_ICMP_HARD, 0},
		{true, 4, 0, 0, MT_NET_ICMP_UNREACH, 0},
	};

	fx_open(&f, 1);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const char *us = rows[i].six ? "2001:db8::80" : "203.0.113.80";
		const char *them = rows[i].six ? "2001:db8:7::9" : "10.0.0.9";
		struct mt_tuple want = {fx_addr(us), fx_addr(them), 2000, 8080, 0};
		struct fx_pkt p = {0};

		fx_icmp_error(&p, rows[i].six ? "2001:db8::fe" : "192.0.2.254", rows[i].type,
			rows[i].code, rows[i].rest, us, 2000, them, 8080, 0xdeadbeef);
		fx_in(&f, 0, 0, p.b, p.len);
		CU_ASSERT_EQUAL(f.icmp, i + 1);
		CU_ASSERT(mt_tuple_eq(&f.icmp_tuple, &want));
		CU_ASSERT_EQUAL(f.icmp_seq, 0xdeadbeef);
		CU_ASSERT_EQUAL(f.icmp_kind, rows[i].kind);
		CU_ASSERT_EQUAL(f.icmp_mtu, rows[i].mtu);
	}
	CU_ASSERT(fx_close(&f));
}

/* An ICMPv6 error that quotes IPv4-mapped addresses is not about a connection of IPv4. */
static void mapped_errors(void)
{
	struct mt_addr us = fx_addr("203.0.113.80"), them = fx_addr("10.0.0.9");
	uint8_t b[8 + 40 + 8] = {1, 3}, *ip = b + 8;
	struct fx_pkt p = {0};

	fx_open(&f, 1);
	ip[0] = 0x60;
	ip[5] = 20;
	ip[6] = 6;
	ip[7] = 63;
	memcpy(ip + 8, &us, 16);
	memcpy(ip + 24, &them, 16);
	ip[41] = ip[43] = 80;
	fx_ip(&p, "2001:db8::fe", "2001:db8::80", 58, b, sizeof(b), 2);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL(f.icmp, 0);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_icmp_error_foreign), 1);
	CU_ASSERT(fx_close(&f));
}

/* An error that arrives elsewhere is told on the worker that owns the inner tuple. */
static void errors_handed_over(void)
{
	fx_open(&f, 3);
	for (uint16_t port = 1; port <= 60; port++) {
		struct mt_tuple t = {fx_addr("192.0.2.1"), fx_addr("10.0.0.9"), port, 80, 0};
		uint16_t owner = mt_steer_owner(&f.steer, &t), next = 0;
		uint16_t at = (uint16_t)((owner + 1) % 3);
		struct rte_mbuf *m, *tcp;
		struct fx_pkt p = {0};

		fx_icmp_error(&p, "192.0.2.254", 3, 3, 0, "192.0.2.1", port, "10.0.0.9", 80, 1);
		fx_in(&f, at, 0, p.b, p.len);
		CU_ASSERT_EQUAL(f.icmp, port - 1u);
		CU_ASSERT_EQUAL_FATAL(mt_steer_pop(&f.steer, owner, &next, &m, 1), 1);
		CU_ASSERT_EQUAL(mt_net_input_handed(f.w[owner], &m, 1, &tcp), 0);
		CU_ASSERT_EQUAL(f.icmp, port);
		CU_ASSERT(mt_tuple_eq(&f.icmp_tuple, &t));
	}
	/* A full ring drops and counts. */
	for (int i = 0; i < 70; i++) {
		struct fx_pkt p = {0};

		fx_icmp_error(&p, "192.0.2.254", 3, 3, 0, "192.0.2.1", 1, "10.0.0.9", 80, 1);
		fx_in(&f, 0, 0, p.b, p.len);
		fx_in(&f, 1, 0, p.b, p.len);
	}
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_handoff_full), f.icmp == 60 ? 14 : 7);
	CU_ASSERT(fx_close(&f));
}

/* With several workers each segment carries the hash by which its owner is found. */
static void tcp_is_hashed(void)
{
	struct fx_pkt p = {0};
	struct rte_mbuf *m, *same;
	struct mt_tuple t = {fx_addr("192.0.2.1"), fx_addr("192.0.2.9"), 80, 4000, 0};

	fx_open(&f, 3);
	fx_tcp(&p, "192.0.2.9", 4000, "192.0.2.1", 80, 5);
	m = fx_in_keep(&f, 1, 0, fx_mbuf(&f, p.b, p.len, 0));
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m->hash.rss, mt_steer_hash(&f.steer, &t));
	CU_ASSERT_EQUAL(mt_net_input_handed(f.w[2], &m, 1, &same), 1);
	CU_ASSERT_PTR_EQUAL(m, same);
	mt_buf_free(m);
	CU_ASSERT(fx_close(&f));
}

static void unreachable(const char *src, const char *dst, uint8_t proto, uint16_t l4, uint8_t type,
	uint8_t code, uint8_t pointer)
{
	static const uint8_t payload[200];
	const struct fx_frame *out = f.port[0].sent;
	struct fx_pkt p = {0};

	fx_open(&f, 1);
	fx_ip(&p, src, dst, proto, payload, sizeof(payload), -1);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL_FATAL(f.port[0].n, 1);
	CU_ASSERT(fx_sums_ok(out, 14));
	CU_ASSERT_EQUAL(out->b[l4], type);
	CU_ASSERT_EQUAL(out->b[l4 + 1], code);
	CU_ASSERT_EQUAL(out->b[l4 + 7], pointer);
	/* It quotes the packet from its IP header on. */
	CU_ASSERT_EQUAL(memcmp(out->b + l4 + 8, p.b + 14, out->len - l4 - 8u), 0);
	CU_ASSERT(out->len - l4 - 8u >= l4 - 14u + 8u);
	CU_ASSERT(fx_close(&f));
}

static void unreachables_out(void)
{
	unreachable("192.0.2.9", "192.0.2.1", 17, 34, 3, 3, 0);
	unreachable("192.0.2.9", "203.0.113.80", 132, 34, 3, 2, 0);
	unreachable("2001:db8::9", "2001:db8::1", 17, 54, 1, 4, 0);
	unreachable("2001:db8::9", "2001:db8::1", 132, 54, 4, 1, 6);
}

/* What outsiders can make us send is bounded in a burst and over time. */
static void limits(void)
{
	static const uint8_t udp[8];
	struct fx_pkt u = {0}, e = {0};

	fx_open(&f, 1);
	fx_ip(&u, "192.0.2.9", "192.0.2.1", 17, udp, sizeof(udp), -1);
	fx_echo(&e, "192.0.2.9", "192.0.2.1", 20);
	for (int i = 0; i < 1000; i++) {
		fx_in(&f, 0, 0, u.b, u.len);
		fx_in(&f, 0, 0, e.b, e.len);
	}
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_icmp_error_out), 20);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_icmp_echoed), 200);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_icmp_limited), 1780);
	for (int i = 0; i < 1000; i++) {
		f.now += MT_MSEC / 2;
		fx_in(&f, 0, 0, u.b, u.len);
		fx_in(&f, 0, 0, e.b, e.len);
	}
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_icmp_error_out), 20 + 50);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_icmp_echoed), 200 + 500);
	CU_ASSERT(fx_close(&f));
}

/* Port 1 as the exception TAP of port 0. */
static void exception_tap(void)
{
	static const uint8_t kernel_mac[6] = {2, 0, 0, 0, 0, 2};
	const struct mt_net_addr_conf addrs[] = {{fx_addr("192.0.2.1"), 24, 0}};
	const struct mt_net_port_conf ports[] = {{0, 1, false}, {0, MT_NET_PORT_NONE, false}};
	const struct mt_net_conf conf = {.addrs = addrs, .n_addrs = 1, .ports = ports};
	struct fx_pkt p = {0};
	struct mt_err e;

	fx_open(&f, 1);
	CU_ASSERT_EQUAL(mt_net_configure(f.net, &conf, NULL, &e), 0);
	for (int i = 0; i < 3; i++)
		fx_turn(&f, 2 * MT_SEC);
	fx_clear(&f);
	/* To the kernel's own station. */
	fx_eth(&p, kernel_mac, 0x0800);
	fx_tcp(&p, "192.0.2.9", 1, "192.0.2.2", 22, 0);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL(f.port[1].n, 1);
	/* To ours, but for an address that is not. */
	p.len = 0;
	fx_tcp(&p, "192.0.2.9", 1, "192.0.2.2", 22, 0);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL_FATAL(f.port[1].n, 2);
	/* The kernel takes packets for its own station only. */
	CU_ASSERT_EQUAL(memcmp(f.port[1].sent[1].b, kernel_mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(f.port[1].sent[1].b + 6, p.b + 6, p.len - 6u), 0);
	/* A broadcast goes both ways: to the kernel, and to us, who answer. */
	p.len = 0;
	fx_arp(&p, 1, fx_peer_mac, "192.0.2.9", "192.0.2.1", NULL);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL(f.port[1].n, 3);
	CU_ASSERT_EQUAL(f.port[0].n, 1);
	/* Ours alone. */
	p.len = 0;
	fx_tcp(&p, "192.0.2.9", 1, "192.0.2.1", 22, 0);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL(f.tcp, 1);
	CU_ASSERT_EQUAL(f.port[1].n, 3);
	/* What the kernel sends goes to the wire as it is. */
	fx_in(&f, 0, 1, p.b, p.len);
	CU_ASSERT_EQUAL(f.port[0].n, 2);
	CU_ASSERT_EQUAL(memcmp(f.port[0].sent[1].b, p.b, p.len), 0);
	CU_ASSERT_EQUAL(f.tcp, 1);
	CU_ASSERT(fx_close(&f));
}

/* A part of an IPv6 packet that is not for us goes to the kernel as the whole packet would. */
static void exception_tap_fragment(void)
{
	static const uint8_t kernel_mac[6] = {2, 0, 0, 0, 0, 2},
			     part[16] = {17, 0, 0, 1, 0, 0, 0, 7};
	const struct mt_net_addr_conf addrs[] = {{fx_addr("2001:db8::1"), 64, 0}};
	const struct mt_net_port_conf ports[] = {{0, 1, false}, {0, MT_NET_PORT_NONE, false}};
	const struct mt_net_conf conf = {.addrs = addrs, .n_addrs = 1, .ports = ports};
	struct fx_pkt p = {0};
	struct mt_err e;

	fx_open(&f, 1);
	CU_ASSERT_EQUAL(mt_net_configure(f.net, &conf, NULL, &e), 0);
	for (int i = 0; i < 3; i++)
		fx_turn(&f, 2 * MT_SEC);
	fx_clear(&f);
	fx_ip(&p, "2001:db8::9", "2001:db8:7::7", 44, part, sizeof(part), -1);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL_FATAL(f.port[1].n, 1);
	CU_ASSERT_EQUAL(memcmp(f.port[1].sent[0].b, kernel_mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(f.port[1].sent[0].b + 6, p.b + 6, p.len - 6u), 0);
	/* For us it is refused. */
	p.len = 0;
	fx_ip(&p, "2001:db8::9", "2001:db8::1", 44, part, sizeof(part), -1);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL(f.port[1].n, 1);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_ip_fragment_refused), 1);
	CU_ASSERT(fx_close(&f));
}

/* The TAP's side of a tagged port is untagged; also when somebody else holds the frame. */
static void exception_tap_tagged(void)
{
	static const uint8_t kernel_mac[6] = {2, 0, 0, 0, 0, 2}, tag[6] = {0x81, 0, 0, 5, 8, 0};
	const struct mt_net_port_conf ports[] = {{5, 1, false}, {0, MT_NET_PORT_NONE, false}};
	const struct mt_net_conf conf = {.ports = ports};
	struct fx_pkt plain = {0}, tagged = {0};
	struct rte_mbuf *m;
	struct mt_err e;

	fx_eth(&plain, kernel_mac, 0x0800);
	fx_eth(&tagged, kernel_mac, 0);
	tagged.len = 12;
	fx_put(&tagged, tag, sizeof(tag));
	fx_tcp(&plain, "192.0.2.9", 1, "192.0.2.2", 22, 9);
	fx_tcp(&tagged, "192.0.2.9", 1, "192.0.2.2", 22, 9);
	for (int held = 0; held < 2; held++) {
		fx_open(&f, 1);
		CU_ASSERT_EQUAL(mt_net_configure(f.net, &conf, NULL, &e), 0);
		fx_turn(&f, 5 * MT_SEC);
		fx_turn(&f, 5 * MT_SEC);
		fx_clear(&f);
		m = fx_mbuf(&f, tagged.b, tagged.len, 0);
		if (held)
			mt_buf_hold(m);
		fx_in_keep(&f, 0, 0, m);
		CU_ASSERT_EQUAL_FATAL(f.port[1].n, 1);
		CU_ASSERT_EQUAL(f.port[1].sent[0].len, plain.len);
		CU_ASSERT_EQUAL(memcmp(f.port[1].sent[0].b, plain.b, plain.len), 0);
		if (held) { /* the other owner's frame is as it was */
			CU_ASSERT_EQUAL(m->pkt_len, tagged.len);
			mt_buf_free(m);
		}
		m = fx_mbuf(&f, plain.b, plain.len, 0);
		if (held)
			mt_buf_hold(m);
		fx_in_keep(&f, 0, 1, m);
		CU_ASSERT_EQUAL_FATAL(f.port[0].n, 1);
		CU_ASSERT_EQUAL(f.port[0].sent[0].len, tagged.len);
		CU_ASSERT_EQUAL(memcmp(f.port[0].sent[0].b, tagged.b, tagged.len), 0);
		if (held)
			mt_buf_free(m);
		CU_ASSERT(fx_close(&f));
	}
}

static void bad_configurations(void)
{
	const struct mt_net_addr_conf good = {fx_addr("192.0.2.1"), 24, 0};
	const struct mt_net_addr_conf addrs[] = {{fx_addr("192.0.2.1"), 24, 9},
		{fx_addr("192.0.2.1"), 33, 0}, {fx_addr("::"), 64, 0}};
	const struct mt_net_route_conf routes[] = {
		{fx_addr("10.0.0.0"), 8, fx_addr("10.9.9.9"), MT_NET_PORT_NONE},
		{fx_addr("10.0.0.0"), 33, fx_addr("192.0.2.9"), MT_NET_PORT_NONE},
		{fx_addr("10.0.0.0"), 8, fx_addr("2001:db8::1"), 0},
		{fx_addr("10.0.0.0"), 8, fx_addr("::"), MT_NET_PORT_NONE},
		{fx_addr("10.0.0.0"), 8, fx_addr("192.0.2.9"), 9}};
	const struct mt_net_port_conf ports[][FX_PORTS] = {
		{{4095, MT_NET_PORT_NONE, false}, {0, MT_NET_PORT_NONE, false}},
		{{0, 0, false}, {0, MT_NET_PORT_NONE, false}},
		{{0, 5, false}, {0, MT_NET_PORT_NONE, false}}};
	struct mt_net_old *old;
	struct mt_err e;

	fx_open(&f, 1);
	for (size_t i = 0; i < MT_ARRAY_LEN(addrs); i++) {
		struct mt_net_conf c = {.addrs = &addrs[i], .n_addrs = 1};

		CU_ASSERT_EQUAL(mt_net_configure(f.net, &c, &old, &e), -EINVAL);
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(routes); i++) {
		struct mt_net_conf c = {
			.addrs = &good, .n_addrs = 1, .routes = &routes[i], .n_routes = 1};

		CU_ASSERT_EQUAL(mt_net_configure(f.net, &c, &old, &e), -EINVAL);
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(ports); i++) {
		struct mt_net_conf c = {.addrs = &good, .n_addrs = 1, .ports = ports[i]};

		CU_ASSERT_EQUAL(mt_net_configure(f.net, &c, &old, &e), -EINVAL);
	}
	/* The one from before still serves. */
	{
		struct mt_addr a = fx_addr("198.51.100.1");

		fx_turn(&f, 0);
		CU_ASSERT(mt_net_is_local(f.w[0], &a));
		CU_ASSERT_EQUAL(
			mt_net_configure(f.net, &(struct mt_net_conf){.addrs = &good, .n_addrs = 1},
				&old, &e),
			0);
		CU_ASSERT(mt_net_is_local(f.w[0], &a)); /* until the next turn begins */
		fx_turn(&f, 0);
		CU_ASSERT_FALSE(mt_net_is_local(f.w[0], &a));
		mt_net_old_free(old);
	}
	CU_ASSERT(fx_close(&f));
}

const struct mt_test net_icmp_tests[] = {
	{"errors_in", errors_in},
	{"errors_handed_over", errors_handed_over},
	{"mapped_errors", mapped_errors},
	{"tcp_is_hashed", tcp_is_hashed},
	{"unreachables_out", unreachables_out},
	{"limits", limits},
	{"exception_tap", exception_tap},
	{"exception_tap_fragment", exception_tap_fragment},
	{"exception_tap_tagged", exception_tap_tagged},
	{"bad_configurations", bad_configurations},
	{0},
};
