/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams: served, answered at once and later, malformed, not served. */
#include "fixture.h"
#include "test_net.h"

#include <ctype.h>

static struct fx f;
static uint8_t got[MT_NET_UDP_MAX];
static struct mt_net_from from;
static uint16_t got_len;
static uint32_t calls;
static bool answer, serve;

static void send_back(const struct mt_net_from *to)
{
	struct rte_mbuf *m;
	uint8_t *data;
	uint16_t n = MT_MIN(got_len, (uint16_t)MT_NET_UDP_MAX);

	m = mt_net_udp_new(f.w[0], &data);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	for (uint16_t i = 0; i < n; i++)
		data[i] = (uint8_t)toupper(got[i]);
	mt_net_udp_send(f.w[0], to, m, n);
}

static bool on_datagram(void *arg, const struct mt_net_from *who, const uint8_t *data, uint16_t len)
{
	CU_ASSERT_PTR_EQUAL(arg, &f);
	calls++;
	from = *who;
	got_len = len;
	memcpy(got, data, MT_MIN(len, (uint16_t)MT_NET_UDP_MAX));
	if (answer)
		send_back(who);
	return serve;
}

static void open_node(void)
{
	fx_open(&f, 1);
	mt_netw_set_udp(f.w[0], on_datagram, &f);
	calls = 0;
	answer = serve = true;
}

/* A datagram with these bytes; `lie` is added to its length, `sum` false: no checksum. */
static void datagram(struct fx_pkt *p, const char *src, const char *dst, const char *bytes,
	uint16_t len, int lie, bool sum)
{
	uint8_t b[1600] = {0x9c, 0x40, 0, 53};
	uint16_t claims = (uint16_t)(len + 8 + lie);

	b[4] = (uint8_t)(claims >> 8);
	b[5] = (uint8_t)claims;
	memcpy(b + 8, bytes, len);
	fx_ip(p, src, dst, 17, b, (uint16_t)(len + 8), sum ? 6 : -1);
}

static void round_trip(void)
{
	static const struct {
		const char *src, *dst;
		uint16_t l4;
	} rows[] = {
		{"192.0.2.9", "192.0.2.1", 34},
		{"10.1.1.1", "203.0.113.80", 34},
		{"2001:db8::9", "2001:db8::1", 54},
		{"2001:db8:7::9", "2001:db8::80", 54},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const struct fx_frame *out = f.port[0].sent;
		struct mt_addr us = fx_addr(rows[i].dst), them = fx_addr(rows[i].src);
		struct fx_pkt p = {0};

		open_node();
		datagram(&p, rows[i].src, rows[i].dst, "hello", 5, 0, true);
		fx_in(&f, 0, 0, p.b, p.len);
		CU_ASSERT_EQUAL(got_len, 5);
		CU_ASSERT(mt_addr_eq(&from.local, &us) && mt_addr_eq(&from.remote, &them));
		CU_ASSERT(from.lport == 53 && from.rport == 40000);
		CU_ASSERT_EQUAL_FATAL(f.port[0].n, 1);
		CU_ASSERT(fx_sums_ok(out, 14));
		CU_ASSERT_EQUAL(memcmp(out->b, fx_peer_mac, 6), 0);
		CU_ASSERT_EQUAL(memcmp(out->b + rows[i].l4, "\0\x35\x9c\x40\0\x0d", 6), 0);
		CU_ASSERT_EQUAL(memcmp(out->b + rows[i].l4 + 8, "HELLO", 5), 0);
		CU_ASSERT_EQUAL(out->len, rows[i].l4 + 13u);
		/* Later, from what was kept. */
		fx_turn(&f, MT_SEC);
		fx_clear(&f);
		send_back(&from);
		fx_turn(&f, MT_MSEC);
		CU_ASSERT(f.port[0].n == 1 && fx_sums_ok(out, 14));
		CU_ASSERT_EQUAL(fx_count(&f, MT_NET_udp_in), 1);
		CU_ASSERT_EQUAL(fx_count(&f, MT_NET_udp_out), 2);
		CU_ASSERT(fx_close(&f));
	}
}

static void sizes(void)
{
	static char bytes[1500];

	memset(bytes, 'x', sizeof(bytes));
	for (uint16_t len = 0; len <= 1400; len = (uint16_t)(len + 100)) {
		struct fx_pkt p = {0};

		open_node();
		answer = len <= MT_NET_UDP_MAX;
		datagram(&p, "192.0.2.9", "192.0.2.1", bytes, len, 0, true);
		/* In one piece, and in pieces. */
		CU_ASSERT_PTR_NULL(fx_in_keep(&f, 0, 0, fx_mbuf(&f, p.b, p.len, 0)));
		CU_ASSERT_PTR_NULL(fx_in_keep(&f, 0, 0, fx_mbuf(&f, p.b, p.len, 60)));
		CU_ASSERT_EQUAL(calls, 2);
		CU_ASSERT_EQUAL(got_len, len);
		CU_ASSERT_EQUAL(memcmp(got, bytes, MT_MIN(len, (uint16_t)MT_NET_UDP_MAX)), 0);
		CU_ASSERT_EQUAL(f.port[0].n, answer ? 2 : 0);
		for (uint16_t i = 0; i < f.port[0].n; i++)
			CU_ASSERT(fx_sums_ok(&f.port[0].sent[i], 14));
		CU_ASSERT(fx_close(&f));
	}
	open_node();
	CU_ASSERT_EQUAL(mt_net_udp_room(f.w[0], &from), 1232);
	f.port[0].p.mtu = 576;
	CU_ASSERT_EQUAL(mt_net_udp_room(f.w[0], &from), 548);
	f.port[0].p.mtu = 1500;
	CU_ASSERT(fx_close(&f));
}

static void malformed(void)
{
	struct fx_pkt p = {0};
	uint32_t bad = 0;

	open_node();
	for (int lie = -6; lie <= 6; lie++) {
		uint32_t before = calls;

		p.len = 0;
		datagram(&p, "192.0.2.9", "192.0.2.1", "abcd", 4, lie, true);
		fx_in(&f, 0, 0, p.b, p.len);
		/* Bytes behind the datagram are no part of it, but then its checksum is of another length. */
		CU_ASSERT_EQUAL(calls - before, lie == 0);
		bad += lie != 0;
	}
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_udp_bad), bad);
	/* Each damaged bit of the checksum, ports and bytes. */
	for (uint16_t at = 34; at < 46; at++) {
		p.len = 0;
		datagram(&p, "192.0.2.9", "192.0.2.1", "abcd", 4, 0, true);
		p.b[at] ^= 0x10;
		fx_in(&f, 0, 0, p.b, p.len);
	}
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_udp_bad), bad + 12);
	CU_ASSERT_EQUAL(calls, 1);
	/* Without a checksum: IPv4 only. */
	p.len = 0;
	datagram(&p, "192.0.2.9", "192.0.2.1", "abcd", 4, 0, false);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL(calls, 2);
	p.len = 0;
	datagram(&p, "2001:db8::9", "2001:db8::1", "abcd", 4, 0, false);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL(calls, 2);
	/* Cut at every byte. */
	for (uint16_t len = 0; len < 12; len++) {
		static const uint8_t bytes[12] = {1, 2, 0, 53, 0, 12};

		p.len = 0;
		fx_ip(&p, "192.0.2.9", "192.0.2.1", 17, bytes, len, -1);
		fx_in(&f, 0, 0, p.b, p.len);
	}
	CU_ASSERT_EQUAL(calls, 2);
	CU_ASSERT(fx_close(&f));
}

static void unserved(void)
{
	struct fx_pkt p = {0};

	open_node();
	answer = serve = false;
	datagram(&p, "192.0.2.9", "192.0.2.1", "hello", 5, 0, true);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL(f.port[0].n, 1);
	CU_ASSERT_EQUAL(f.port[0].sent[0].b[34], 3);
	CU_ASSERT_EQUAL(f.port[0].sent[0].b[35], 3);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_proto_unserved), 1);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_udp_in), 0);
	CU_ASSERT(fx_close(&f));
}

const struct mt_test net_udp_tests[] = {{"round_trip", round_trip}, {"sizes", sizes},
	{"malformed", malformed}, {"unserved", unserved}, {0}};
