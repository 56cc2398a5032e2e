/* SPDX-License-Identifier: Apache-2.0 */
/* What lib/l4 uses: the queue for forwarded packets, Ethernet headers, errors, packets taken back. */
#include "fixture.h"
#include "mt_net_priv.h"
#include "test_net.h"

static struct fx f;

/* A datagram as the input path leaves it to lib/l4. */
static struct rte_mbuf *received(const char *src, const char *dst, uint16_t data, uint16_t seg)
{
	uint8_t udp[1500] = {
		0x10, 1, 0x10, 2, [4] = (uint8_t)((8 + data) >> 8), (uint8_t)(8 + data)};
	struct fx_pkt p = {0};
	struct rte_mbuf *m;

	fx_ip(&p, src, dst, 17, udp, (uint16_t)(8 + data), 6);
	m = fx_mbuf(&f, p.b, p.len, seg);
	m->port = 0;
	m->l2_len = 14;
	m->l3_len = p.b[12] == 8 ? 20 : 40;
	m->packet_type = RTE_PTYPE_L4_UDP | (p.b[12] == 8 ? RTE_PTYPE_L3_IPV4_EXT_UNKNOWN
							  : RTE_PTYPE_L3_IPV6_EXT_UNKNOWN);
	return m;
}

static void resolved(struct mt_net_dst *dst)
{
	struct mt_addr to = fx_addr("192.0.2.9");
	struct fx_pkt p = {0};

	fx_open(&f, 1);
	fx_turn(&f, 5 * MT_SEC); /* announcements are over */
	fx_turn(&f, 5 * MT_SEC);
	CU_ASSERT_EQUAL(mt_net_route(f.w[0], NULL, &to, dst), MT_NET_WAIT);
	fx_turn(&f, MT_MSEC);
	fx_arp(&p, 2, fx_peer_mac, "192.0.2.9", "192.0.2.1", fx_our_mac[0]);
	fx_in(&f, 0, 0, p.b, p.len);
	fx_turn(&f, MT_MSEC);
	CU_ASSERT_EQUAL_FATAL(mt_net_route(f.w[0], NULL, &to, dst), MT_NET_SENT);
	CU_ASSERT_EQUAL(dst->gen, mt_net_gen(f.w[0]));
	fx_clear(&f);
}

/* The frame keeps its IP packet and gets our header, with or without a tag. */
static void new_header(void)
{
	struct mt_net_dst dst = {0};

	resolved(&dst);
	CU_ASSERT(mt_net_forward(f.w[0], received("192.0.2.7", "192.0.2.80", 30, 0), &dst));
	mt_net_flush(f.w[0]);
	CU_ASSERT_EQUAL_FATAL(f.port[0].n, 1);
	CU_ASSERT_EQUAL(f.port[0].sent[0].len, 14 + 20 + 38);
	CU_ASSERT_EQUAL(memcmp(f.port[0].sent[0].b, fx_peer_mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(f.port[0].sent[0].b + 6, fx_our_mac[0], 6), 0);
	CU_ASSERT_EQUAL(f.port[0].sent[0].b[12], 8);
	CU_ASSERT(fx_sums_ok(&f.port[0].sent[0], 14));
	/* To a port with a VLAN, the header grows. */
	dst.port = 1;
	dst.l2len =
		net_l2_write(f.w[0], 1, (const struct rte_ether_addr *)fx_peer_mac, 0x0800, dst.l2);
	CU_ASSERT_EQUAL(dst.l2len, 18);
	CU_ASSERT(mt_net_forward(f.w[0], received("192.0.2.7", "192.0.2.80", 30, 0), &dst));
	mt_net_flush(f.w[0]);
	CU_ASSERT_EQUAL_FATAL(f.port[1].n, 1);
	CU_ASSERT_EQUAL(f.port[1].sent[0].len, 18 + 20 + 38);
	CU_ASSERT_EQUAL(f.port[1].sent[0].b[15], 7);
	CU_ASSERT(fx_sums_ok(&f.port[1].sent[0], 18));
	CU_ASSERT(fx_close(&f));
}

static void no_headroom(void)
{
	struct mt_net_dst dst = {0};
	struct rte_mbuf *m;

	resolved(&dst);
	dst.port = 1;
	dst.l2len =
		net_l2_write(f.w[0], 1, (const struct rte_ether_addr *)fx_peer_mac, 0x0800, dst.l2);
	m = received("192.0.2.7", "192.0.2.80", 30, 0);
	memmove(m->buf_addr, rte_pktmbuf_mtod(m, void *), m->data_len);
	m->data_off = 0;
	CU_ASSERT_FALSE(mt_net_forward(f.w[0], m, &dst));
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_tx_no_memory), 1);
	CU_ASSERT(fx_close(&f));
}

/* A port without chains gets one buffer. */
static void one_buffer(void)
{
	struct mt_net_dst dst = {0};

	resolved(&dst);
	f.port[0].p.caps.tx_chains = false;
	CU_ASSERT(mt_net_forward(f.w[0], received("192.0.2.7", "192.0.2.80", 900, 400), &dst));
	f.port[0].p.caps.tx_chains = true;
	CU_ASSERT(mt_net_forward(f.w[0], received("192.0.2.7", "192.0.2.80", 900, 400), &dst));
	mt_net_flush(f.w[0]);
	CU_ASSERT_EQUAL_FATAL(f.port[0].n, 2);
	CU_ASSERT_EQUAL(f.port[0].sent[0].segs, 1);
	CU_ASSERT_EQUAL(f.port[0].sent[1].segs, 3);
	CU_ASSERT(fx_sums_ok(&f.port[0].sent[0], 14));
	CU_ASSERT(fx_sums_ok(&f.port[0].sent[1], 14));
	CU_ASSERT(fx_close(&f));
}

/* Both pools are needed for as many packets as a queue takes. */
static struct rte_mbuf *like(uint8_t proto, bool ctrl)
{
	uint8_t bytes[60] = {[12] = 8, [14] = 0x45, [23] = proto};
	struct rte_mbuf *m = ctrl ? mt_buf_ctrl(&f.pools) : mt_buf_data(&f.pools);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	memcpy(rte_pktmbuf_append(m, sizeof(bytes)), bytes, sizeof(bytes));
	m->l2_len = 14;
	return m;
}

/* A burst of unlike packets leaves in order: each is sent as alone, or dropped. */
static void whole_burst(void)
{
	struct mt_net_dst dst = {0}, tagged;
	const struct mt_net_dst *to[520];
	struct rte_mbuf *m[520];

	resolved(&dst);
	tagged = dst;
	tagged.port = 1;
	tagged.l2len = net_l2_write(
		f.w[0], 1, (const struct rte_ether_addr *)fx_peer_mac, 0x0800, tagged.l2);
	for (int i = 0; i < 6; i++) {
		m[i] = received("192.0.2.7", "192.0.2.80", (uint16_t)(400 + i), i == 2 ? 200 : 0);
		to[i] = i == 3 || i == 4 ? &tagged : &dst;
	}
	f.port[0].p.caps.tx_chains = false;
	CU_ASSERT_EQUAL(mt_net_forward_burst(f.w[0], m, to, 6), 6);
	mt_net_flush(f.w[0]);
	CU_ASSERT_EQUAL_FATAL(f.port[0].n, 4);
	CU_ASSERT_EQUAL_FATAL(f.port[1].n, 2);
	for (int i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(f.port[0].sent[i].len, 14 + 20 + 8 + (i < 3 ? 400 + i : 405));
		CU_ASSERT_EQUAL(f.port[0].sent[i].segs, 1);
		CU_ASSERT_EQUAL(memcmp(f.port[0].sent[i].b, fx_peer_mac, 6), 0);
		CU_ASSERT_EQUAL(memcmp(f.port[0].sent[i].b + 6, fx_our_mac[0], 6), 0);
		CU_ASSERT(fx_sums_ok(&f.port[0].sent[i], 14));
	}
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(f.port[1].sent[i].len, 18 + 20 + 8 + 403 + i);
		CU_ASSERT_EQUAL(f.port[1].sent[i].b[15], 7);
		CU_ASSERT(fx_sums_ok(&f.port[1].sent[i], 18));
	}
	f.port[0].deaf = true;
	for (int i = 0; i < 520; i++) {
		m[i] = like(99, i % 2);
		to[i] = &dst;
	}
	CU_ASSERT_EQUAL(mt_net_forward_burst(f.w[0], m, to, 520), 512);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_forward_full), 8);
	f.port[0].deaf = false;
	CU_ASSERT(fx_close(&f));
}

/* Forwarded packets fill their own queue and take turns with the others; the rest is dropped. */
static void third_lane(void)
{
	struct mt_net_dst dst = {0};
	char got[4] = {0};

	resolved(&dst);
	f.port[0].deaf = true;
	for (int i = 0; i < 600; i++)
		CU_ASSERT_EQUAL(mt_net_forward(f.w[0], like(99, i % 2), &dst), i < 512);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_forward_full), 88);
	CU_ASSERT_EQUAL(mt_net_tx_room(f.w[0], 0), 512); /* those took nothing of it */
	for (int i = 0; i < 200; i++)
		net_tx_put(f.w[0], 0, NET_LANE_TCP, like(6, false));
	for (int i = 0; i < 100; i++)
		net_tx(f.w[0], 0, like(17, true));
	f.port[0].deaf = false;
	mt_net_begin(f.w[0], f.now);
	mt_net_flush(f.w[0]);
	CU_ASSERT_EQUAL(f.port[0].n, 512 + 200 + 100);
	/* The first frame of each of the first three bursts. */
	for (uint16_t at = 0, k = 0; k < 3; at = (uint16_t)(at + 64), k++) {
		uint8_t proto = f.port[0].sent[at].b[23];

		got[k] = proto == 6 ? 't' : proto == 17 ? 'o' : 'f';
	}
	CU_ASSERT_PTR_NOT_NULL(strchr(got, 't'));
	CU_ASSERT_PTR_NOT_NULL(strchr(got, 'o'));
	CU_ASSERT_PTR_NOT_NULL(strchr(got, 'f'));
	CU_ASSERT(fx_close(&f));
}

static void error(const char *dst, enum mt_net_error kind, uint16_t mtu, const char *from,
	uint8_t type, uint8_t code)
{
	struct mt_net_dst hop = {0};
	const struct fx_frame *out = f.port[0].sent;
	struct mt_addr src = fx_addr(from);
	bool is4 = mt_addr_is4(&src);
	const uint8_t *icmp = out->b + 14 + (is4 ? 20 : 40);

	resolved(&hop);
	mt_net_forward_error(
		f.w[0], received(is4 ? "192.0.2.9" : "2001:db8::9", dst, 700, 0), kind, mtu);
	mt_net_flush(f.w[0]);
	CU_ASSERT_EQUAL_FATAL(f.port[0].n, 1);
	CU_ASSERT(fx_sums_ok(out, 14));
	CU_ASSERT_EQUAL(
		memcmp(out->b + 14 + (is4 ? 12 : 8), src.b + (is4 ? 12 : 0), is4 ? 4 : 16), 0);
	CU_ASSERT_EQUAL(icmp[0], type);
	CU_ASSERT_EQUAL(icmp[1], code);
	CU_ASSERT_EQUAL(icmp[6] << 8 | icmp[7], mtu);
	CU_ASSERT_EQUAL(memcmp(out->b, fx_peer_mac, 6), 0);
	CU_ASSERT(fx_close(&f));
}

static void errors(void)
{
	error("192.0.2.80", MT_NET_ERROR_TIME, 0, "192.0.2.80", 11, 0);
	error("2001:db8::80", MT_NET_ERROR_TIME, 0, "2001:db8::80", 3, 0);
	error("192.0.2.80", MT_NET_ERROR_TOO_BIG, 1400, "192.0.2.80", 3, 4);
	error("2001:db8::80", MT_NET_ERROR_TOO_BIG, 1400, "2001:db8::80", 2, 0);
	error("192.0.2.80", MT_NET_ERROR_PORT, 0, "192.0.2.80", 3, 3);
	error("2001:db8::80", MT_NET_ERROR_PORT, 0, "2001:db8::80", 1, 4);
	error("192.0.2.80", MT_NET_ERROR_ADMIN, 0, "192.0.2.80", 3, 13);
	error("2001:db8::80", MT_NET_ERROR_ADMIN, 0, "2001:db8::80", 1, 1);
	/* The port answers about packets for others. */
	error("203.0.113.9", MT_NET_ERROR_TIME, 0, "192.0.2.1", 11, 0);
	error("2001:db8:9::9", MT_NET_ERROR_TIME, 0, "2001:db8::1", 3, 0);
}

/*
 * Errors about packets that are too big have a limit of their own: floods that are answered by
 * resets and other errors leave it alone.
 */
static void limits(void)
{
	struct mt_net_dst hop = {0};

	resolved(&hop);
	for (int i = 0; i < 200; i++)
		mt_net_forward_error(
			f.w[0], received("192.0.2.9", "192.0.2.80", 10, 0), MT_NET_ERROR_TIME, 0);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_icmp_error_out), 20);
	for (int i = 0; i < 1000; i++)
		mt_net_forward_error(f.w[0], received("192.0.2.9", "192.0.2.80", 700, 0),
			MT_NET_ERROR_TOO_BIG, 1400);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_icmp_error_out), 20 + 200);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_icmp_limited), 180 + 800);
	mt_net_flush(f.w[0]);
	CU_ASSERT(fx_close(&f));
}

/* A port without an address of the family stays silent. */
static void no_source(void)
{
	struct mt_net_dst hop = {0};
	struct rte_mbuf *m;

	resolved(&hop);
	m = received("2001:db8:5::9", "2001:db8:9::9", 10, 0);
	m->port = 1;
	mt_net_forward_error(f.w[0], m, MT_NET_ERROR_TIME, 0);
	mt_net_flush(f.w[0]);
	CU_ASSERT_EQUAL(f.port[0].n + f.port[1].n, 0);
	CU_ASSERT(fx_close(&f));
}

static void taken_back(void)
{
	struct mt_net_dst hop = {0};

	resolved(&hop);
	mt_net_not_forwarded(f.w[0], received("192.0.2.9", "203.0.113.9", 10, 0));
	mt_net_not_forwarded(f.w[0], received("2001:db8::9", "2001:db8:9::9", 10, 0));
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_not_local), 2);
	CU_ASSERT(fx_close(&f));
}

const struct mt_test net_forward_tests[] = {
	{"new_header", new_header},
	{"no_headroom", no_headroom},
	{"one_buffer", one_buffer},
	{"whole_burst", whole_burst},
	{"third_lane", third_lane},
	{"errors", errors},
	{"limits", limits},
	{"no_source", no_source},
	{"taken_back", taken_back},
	{0},
};
