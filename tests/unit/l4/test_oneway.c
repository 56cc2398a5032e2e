/* SPDX-License-Identifier: Apache-2.0 */
/* One-way modes: packets that leave, byte by byte, and those that cannot. */
#include "mt_rand.h"
#include "oneway.h"
#include "test_l4.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* Inserts IP options of `words` words before the payload. */
static void add_options(struct fx_pkt *p, uint8_t words)
{
	uint8_t *ip = p->b + 14;
	uint16_t more = (uint16_t)(words * 4);

	memmove(ip + 20 + more, ip + 20, (size_t)p->len - 34);
	memset(ip + 20, 1, more);
	ip[0] = (uint8_t)(ip[0] + words);
	p->len = (uint16_t)(p->len + more);
	ip[2] = (uint8_t)((p->len - 14) >> 8);
	ip[3] = (uint8_t)(p->len - 14);
	ip[8]++;
	ow_rewritten(p);
}

static void source(struct mt_rand *r, bool is4, char src[MT_ADDR_STRLEN])
{
	if (is4)
		snprintf(src, MT_ADDR_STRLEN, "10.%u.%u.%u", mt_rand_below(r, 256),
			mt_rand_below(r, 256), 1 + mt_rand_below(r, 254));
	else
		snprintf(src, MT_ADDR_STRLEN, "2001:db8:%x::%x", 1 + mt_rand_below(r, 65535),
			mt_rand_below(r, 65536));
}

static void random_frame(struct mt_rand *r, struct fx_pkt *p, bool *tcp)
{
	bool is4 = mt_rand_below(r, 2);
	char src[MT_ADDR_STRLEN];
	uint16_t sport = (uint16_t)(1 + mt_rand_below(r, 65535));

	source(r, is4, src);
	*tcp = mt_rand_below(r, 2);
	*p = (struct fx_pkt){0};
	if (*tcp)
		cn_frame(&(struct cn_segment){.src = src,
				 .dst = is4 ? VIP4 : VIP6,
				 .sport = sport,
				 .dport = ow_tcp_port,
				 .seq = (uint32_t)mt_rand_u64(r),
				 .ack = (uint32_t)mt_rand_u64(r),
				 .flags = (uint8_t)mt_rand_below(r, 64),
				 .data = (uint16_t)mt_rand_below(r, 1300),
				 .stamp = mt_rand_below(r, 3)},
			p);
	else
		sc_frame(&(struct sc_udp){.src = src,
				 .dst = is4 ? VIP4 : VIP6,
				 .sport = sport,
				 .dport = ow_udp_port,
				 .data = (uint16_t)mt_rand_below(r, 1300),
				 .ttl = (uint8_t)(2 + mt_rand_below(r, 254)),
				 .no_sum = is4 && mt_rand_below(r, 4) == 0},
			p);
	if (is4) {
		p->b[15] = (uint8_t)mt_rand_below(r, 256);
		p->b[20] = (uint8_t)(mt_rand_below(r, 2) << 6);
		p->b[22]++;
		ow_rewritten(p);
	} else {
		p->b[14] = (uint8_t)(0x60 | mt_rand_below(r, 16));
		p->b[15] = (uint8_t)mt_rand_below(r, 256);
		p->b[17] = (uint8_t)mt_rand_below(r, 256);
	}
	if (is4 && mt_rand_below(r, 3) == 0)
		add_options(p, (uint8_t)(1 + mt_rand_below(r, 10)));
}

static struct sc_ends ends_of(const struct fx_pkt *p)
{
	struct fx_frame f = {.len = p->len};
	uint32_t options = p->b[14] >> 4 == 4 ? (p->b[14] & 15) * 4u - 20 : 0;

	memcpy(f.b, p->b, 34);
	memcpy(f.b + 34, p->b + 34 + options, sizeof(f.b) - 34 - options);
	return sc_ends(&f);
}

/* Twice the same packet, with and without a flow; a damaged checksum stays as it is. */
static void random_packets(uint16_t workers, enum mt_l4_mode mode)
{
	uint32_t per[SC_DIRECT] = {0};
	struct mt_rand r;

	mt_rand_seed(&r, 90 + workers);
	ow_open_mode(workers, 8192, mode);
	for (int i = 0; i < 3000; i++) {
		struct sc_ends e;
		struct fx_pkt p;
		bool tcp;
		int to;

		random_frame(&r, &p, &tcp);
		/* A damaged packet; without data these are bytes of the checksum. */
		if (mt_rand_below(&r, 8) == 0)
			p.b[p.len - 1] ^= 0x40;
		if (!tcp && p.b[14] >> 4 == 6 && !p.b[60] && !p.b[61])
			p.b[60] = p.b[61] = 0xff; /* 0 would be no checksum */
		e = ends_of(&p);
		to = ow_forwarded(&p, mt_rand_below(&r, 4) ? 0 : 80);
		CU_ASSERT_EQUAL(to, ow_chosen(ow.set, &e, tcp ? IPPROTO_TCP : IPPROTO_UDP));
		CU_ASSERT_EQUAL(ow_forwarded(&p, 0), to);
		per[to]++;
		if (i % 100 == 0)
			sc_turn(&ow, 10 * MT_MSEC);
	}
	for (int i = 0; i < SC_DIRECT; i++)
		CU_ASSERT(per[i] > 350 && per[i] < 650);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_forwarded), 6000);
	CU_ASSERT(sc_close(&ow));
}

static void one_worker(void)
{
	random_packets(1, MT_L4_DSR);
	random_packets(1, MT_L4_IPIP);
	random_packets(1, MT_L4_GUE);
}

static void three_workers(void)
{
	random_packets(3, MT_L4_DSR);
	random_packets(3, MT_L4_IPIP);
	random_packets(3, MT_L4_GUE);
}

/* ---- packets that cannot leave ------------------------------------------------------------- */

/* ICMP error that was sent: its type and code as one number; 0: none. *mtu: of too big. */
static uint16_t error_sent(uint16_t *mtu)
{
	for (uint16_t i = 0; i < MT_MIN(ow.f.port[0].n, FX_SENT); i++) {
		const uint8_t *ip = ow.f.port[0].sent[i].b + 14;
		bool is4 = ip[-2] == 8 && ip[-1] == 0 && ip[9] == 1;
		const uint8_t *icmp = ip + (is4 ? 20 : 40);

		if (!is4 && !(ip[-2] == 0x86 && ip[6] == 58 && icmp[0] < 128))
			continue;
		CU_ASSERT(fx_sums_ok(&ow.f.port[0].sent[i], 14));
		*mtu = (uint16_t)(icmp[6] << 8 | icmp[7]);
		return (uint16_t)(icmp[0] << 8 | icmp[1]);
	}
	return 0;
}

/* Errors for clients wait for their router once; an error of port 4002 makes it known. */
static void learn_router(void)
{
	for (int i = 0; i < 4; i++) {
		struct fx_pkt p = {0};

		sc_frame(&(struct sc_udp){.src = C, .dst = VIP4, .sport = 1, .dport = 4002}, &p);
		sc_receive(&ow, 0, fx_mbuf(&ow.f, p.b, p.len, 0));
		sc_turn(&ow, 2 * MT_MSEC);
		p.len = 0;
		sc_frame(&(struct sc_udp){.src = "2001:db8:1::1",
				 .dst = VIP6,
				 .sport = 1,
				 .dport = ow_udp_port,
				 .ttl = 1},
			&p);
		sc_receive(&ow, 0, fx_mbuf(&ow.f, p.b, p.len, 0));
		sc_turn(&ow, 2 * MT_MSEC);
	}
	fx_clear(&ow.f);
}

/*
 * Packets longer than the path's MTU, of a flow and without one: an error tells the client, unless
 * routers may fragment them.
 */
static void too_big(void)
{
	static const char *const ends[2][2] = {{C, VIP4}, {"2001:db8:1::1", VIP6}};
	uint16_t mtu;

	for (int i = 0; i < 24; i++) {
		static const enum mt_l4_mode modes[] = {MT_L4_DSR, MT_L4_IPIP, MT_L4_GUE};
		static const uint16_t more[] = {0, 0, 12};
		bool is4 = i & 1, df = i & 2, known = i & 4;
		uint16_t over = (uint16_t)((i / 8 ? (is4 ? 20 : 40) : 0) + more[i / 8]);
		struct sc_udp u = {.src = ends[!is4][0],
			.dst = ends[!is4][1],
			.sport = 77,
			.dport = ow_udp_port,
			.data = (uint16_t)(1421 - (is4 ? 28 : 48))};
		struct fx_pkt p = {0};

		ow_open_mode(1, 64, modes[i / 8]);
		learn_router();
		u.dport = ow_udp_port;
		sc_frame(&u, &p);
		(void)ow_forwarded(&p, 0);
		for (int e = 0; e < SC_DIRECT; e++)
			mt_net_pmtu_learn(
				ow.f.w[0], &ow_endpoints[e].addr, (uint16_t)(1420 + over));
		u.sport = known ? 77 : 78;
		p.len = 0;
		sc_frame(&u, &p);
		if (is4) {
			p.b[20] = df ? 0x40 : 0;
			p.b[22]++;
			ow_rewritten(&p);
		}
		if (is4 && !df) {
			(void)ow_forwarded(&p, 0);
		} else {
			CU_ASSERT(ow_drops(&p));
			CU_ASSERT_EQUAL(error_sent(&mtu), is4 ? 0x0304 : 0x0200);
			CU_ASSERT_EQUAL(mtu, 1420);
		}
		CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_too_big), df || !is4);
		/* One byte less fits. */
		u.data--;
		p.len = 0;
		sc_frame(&u, &p);
		(void)ow_forwarded(&p, 0);
		CU_ASSERT(sc_close(&ow));
	}
}

/* A packet that is too long does not wait for its endpoint's neighbour. */
static void too_big_at_once(void)
{
	static const enum mt_l4_mode modes[] = {MT_L4_DSR, MT_L4_IPIP, MT_L4_GUE};

	for (size_t i = 0; i < MT_ARRAY_LEN(modes); i++) {
		struct fx_pkt p = {0};

		ow_open_mode(1, 64, modes[i]);
		sc_close(&ow);
		sc_open(&ow, 1, 64);
		for (int e = 0; e < SC_DIRECT; e++)
			mt_net_pmtu_learn(ow.f.w[0], &ow_endpoints[e].addr, 1280);
		ow_datagram(&p, 77, 1300);
		p.b[20] = 0x40;
		p.b[22]++;
		ow_rewritten(&p);
		sc_receive(&ow, 0, fx_mbuf(&ow.f, p.b, p.len, 0));
		CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_neighbour_wait), 0);
		CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_too_big), 1);
		CU_ASSERT(sc_close(&ow));
	}
}

static void hop_limit(void)
{
	struct sc_udp u = {
		.src = C, .dst = VIP4, .sport = 77, .dport = ow_udp_port, .data = 20, .ttl = 1};
	struct fx_pkt p = {0};
	uint64_t before;
	uint16_t mtu;

	ow_open(1, 64);
	u.dport = ow_udp_port;
	learn_router();
	before = sc_count(&ow, MT_L4_ttl_exceeded);
	for (uint32_t n = 1; n <= 2; n++) {
		p.len = 0;
		u.ttl = 1;
		sc_frame(&u, &p);
		CU_ASSERT(ow_drops(&p));
		CU_ASSERT_EQUAL(error_sent(&mtu), 0x0b00);
		CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_ttl_exceeded) - before, n);
		p.len = 0;
		u.ttl = 2;
		sc_frame(&u, &p);
		(void)ow_forwarded(&p, 0);
	}
	CU_ASSERT(sc_close(&ow));
}

/* A router leads to the endpoint: with the VIP as its destination the packet would come back. */
static void not_on_link(void)
{
	struct sc_udp u = {.src = C, .dst = VIP4, .sport = 5, .dport = 4011, .data = 20};

	ow_open(1, 64);
	CU_ASSERT_PTR_NULL(sc_pass(&ow, &u));
	CU_ASSERT_PTR_NULL(sc_pass(&ow, &u));
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_not_on_link), 2);
	CU_ASSERT_EQUAL(sc_flows(&ow), 0);
	CU_ASSERT(sc_close(&ow));
}

/* The network of the endpoints leaves the port, when a flow is there already. */
static void leaves_the_link(void)
{
	const struct mt_net_addr_conf addrs[] = {{fx_addr("198.18.0.1"), 24, 0}};
	const struct mt_net_route_conf routes[] = {
		{fx_addr("0.0.0.0"), 0, fx_addr("198.18.0.254"), MT_NET_PORT_NONE}};
	const struct mt_net_port_conf ports[FX_PORTS] = {
		{0, MT_NET_PORT_NONE, false}, {7, MT_NET_PORT_NONE, false}};
	const struct mt_net_conf conf = {
		.addrs = addrs, .n_addrs = 1, .routes = routes, .n_routes = 1, .ports = ports};
	struct mt_net_old *old = NULL;
	struct fx_pkt p;
	struct mt_err e;

	ow_open(1, 64);
	ow_datagram(&p, 3, 20);
	(void)ow_forwarded(&p, 0);
	CU_ASSERT_EQUAL_FATAL(mt_net_configure(ow.f.net, &conf, &old, &e), 0);
	for (int i = 0; i < 6; i++) {
		CU_ASSERT(ow_drops(&p));
		sc_turn(&ow, 2 * MT_MSEC);
	}
	CU_ASSERT(sc_count(&ow, MT_L4_not_on_link) >= 5);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_forwarded), 1);
	mt_net_old_free(old);
	CU_ASSERT(sc_close(&ow));
}

/* Packets wait for a neighbour that answers, and make their flows then. */
static void parked(void)
{
	struct fx_pkt p;

	sc_open(&ow, 1, 256);
	fx_clear(&ow.f);
	for (uint16_t i = 1; i <= 20; i++) {
		ow_datagram(&p, i, 20);
		sc_receive(&ow, 0, fx_mbuf(&ow.f, p.b, p.len, 0));
	}
	CU_ASSERT_EQUAL(sc_flows(&ow), 0);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_neighbour_wait), 20);
	for (int i = 0; i < 5; i++)
		sc_turn(&ow, 2 * MT_MSEC);
	CU_ASSERT_EQUAL(sc_flows(&ow), 20);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_forwarded), 20);
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_neighbour_unknown), 0);
	CU_ASSERT(sc_close(&ow));
}

/* ---- fragments ----------------------------------------------------------------------------- */

/* All fragments reach one endpoint in any order, and keep their identification. */
static void fragments_of(enum mt_l4_mode mode, bool tcp)
{
	static const uint16_t order[2][3] = {{0, 1, 2}, {2, 1, 0}};

	ow_open_mode(3, 256, mode);
	for (uint32_t i = 0; i < 60; i++) {
		bool is4 = i & 1;
		struct sc_udp u = {.src = is4 ? C : "2001:db8:1::1",
			.dst = is4 ? VIP4 : VIP6,
			.sport = (uint16_t)(500 + i),
			.dport = ow_udp_port,
			.data = 1192};
		/* The first one is of a SYN, or of a segment in a connection of another node. */
		const struct cn_segment g = {.src = u.src,
			.dst = u.dst,
			.sport = u.sport,
			.dport = ow_tcp_port,
			.flags = i & 4 ? SYN : ACK,
			.data = 1180};
		struct fx_pkt whole = {0}, part[3], got;
		uint32_t n = 0;
		int to = -1;

		if (tcp)
			cn_frame(&g, &whole);
		else
			sc_frame(&u, &whole);
		for (uint16_t k = 0; k < 3; k++) {
			part[k].len = 0;
			sc_fragment(&whole,
				&(struct sc_part){.from = (uint16_t)(400 * k),
					.len = 400,
					.more = k < 2,
					.id = 7000 + i},
				&part[k]);
		}
		fx_clear(&ow.f);
		for (uint16_t k = 0; k < 3; k++) {
			const struct fx_pkt *f = &part[order[i & 1 ? i / 2 % 2 : 1][k]];

			sc_receive(&ow, 0, fx_mbuf(&ow.f, f->b, f->len, 0));
		}
		for (uint16_t f = 0; f < MT_MIN(ow.f.port[0].n, FX_SENT); f++) {
			const struct fx_frame *out = &ow.f.port[0].sent[f];

			for (uint16_t k = 0; k < 3; k++) {
				got = part[k];
				ow_expected(&got, ow_received_by(out), out);
				if (out->len == got.len &&
					memcmp(out->b + 14, got.b + 14, got.len - 14u) == 0) {
					n++;
					CU_ASSERT(to < 0 || to == ow_received_by(out));
					to = ow_received_by(out);
				}
			}
		}
		CU_ASSERT_EQUAL(n, 3);
		CU_ASSERT(to >= 0);
	}
	CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_forwarded), 180);
	CU_ASSERT_EQUAL(sc_flows(&ow), 60);
	CU_ASSERT(sc_close(&ow));
}

static void fragments(void)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		fragments_of(MT_L4_DSR, tcp);
		fragments_of(MT_L4_IPIP, tcp);
		fragments_of(MT_L4_GUE, tcp);
	}
}

/* ---- tunnels ------------------------------------------------------------------------------- */

/* An endpoint in another network: the outer packet goes to the router. */
static void far_endpoint(void)
{
	struct sc_udp u = {.src = C, .dst = VIP4, .sport = 5, .dport = 4013, .data = 20};
	struct mt_addr to = fx_addr("10.9.9.9");
	const struct fx_frame *out;
	struct fx_pkt p = {0};

	ow_open_mode(1, 64, MT_L4_IPIP);
	(void)sc_pass(&ow, &u); /* the router is learned */
	for (int i = 0; i < 2; i++) {
		p.len = 0;
		sc_frame(&u, &p);
		fx_clear(&ow.f);
		sc_receive(&ow, 0, fx_mbuf(&ow.f, p.b, p.len, 0));
		CU_ASSERT_EQUAL_FATAL(ow.f.port[0].n, 1);
		out = &ow.f.port[0].sent[0];
		ow_rewritten(&p);
		ow_tunnelled(&p, &to, out);
		CU_ASSERT_EQUAL(out->len, p.len);
		CU_ASSERT_EQUAL(memcmp(out->b, fx_peer_mac, 6), 0);
		CU_ASSERT_EQUAL(memcmp(out->b + 14, p.b + 14, p.len - 14u), 0);
	}
	CU_ASSERT(sc_close(&ow));
}

/* Packets that may be fragmented on the way have different identifications, at all workers. */
static void identifications(void)
{
	static bool seen[65536];
	struct fx_pkt p;

	memset(seen, 0, sizeof(seen));
	ow_open_mode(3, 8192, MT_L4_IPIP);
	for (uint16_t i = 0; i < 3000; i++) {
		const struct fx_frame *out;
		uint16_t id;

		ow_datagram(&p, (uint16_t)(1 + i % 500), 20);
		(void)ow_forwarded(&p, 0);
		out = ow_left();
		id = (uint16_t)(out->b[18] << 8 | out->b[19]);
		CU_ASSERT_FALSE(seen[id]);
		seen[id] = true;
	}
	CU_ASSERT(sc_close(&ow));
}

/* The source port of GUE: one for each flow, also of its errors; many for many flows. */
static void ports_of_flows(void)
{
	static bool seen[65536];
	uint32_t ports = 0;
	struct fx_pkt p;

	memset(seen, 0, sizeof(seen));
	ow_open_mode(3, 8192, MT_L4_GUE);
	for (uint16_t i = 0; i < 500; i++) {
		uint16_t port[2];

		for (int k = 0; k < 2; k++) {
			const struct fx_frame *out;

			ow_datagram(&p, (uint16_t)(1 + i), (uint16_t)(20 + k));
			(void)ow_forwarded(&p, 0);
			out = ow_left();
			port[k] = (uint16_t)(out->b[34] << 8 | out->b[35]);
		}
		CU_ASSERT_EQUAL(port[0], port[1]);
		ports += !seen[port[0]];
		seen[port[0]] = true;
	}
	CU_ASSERT(ports > 450);
	CU_ASSERT(sc_close(&ow));
}

/* The buffer has no space for the outer header. */
static void no_headroom_of(enum mt_l4_mode mode, uint16_t need)
{
	for (uint16_t room = 0; room <= need; room = (uint16_t)(room + need)) {
		struct fx_pkt p;
		struct rte_mbuf *m;

		ow_open_mode(1, 64, mode);
		ow_datagram(&p, 9, 20);
		m = fx_mbuf(&ow.f, p.b, p.len, 0);
		memmove((uint8_t *)m->buf_addr + room, p.b, p.len);
		m->data_off = room;
		fx_clear(&ow.f);
		sc_receive(&ow, 0, m);
		CU_ASSERT_EQUAL(ow_left() != NULL, room == need);
		CU_ASSERT_EQUAL(sc_count(&ow, MT_L4_no_headroom), room < need);
		CU_ASSERT(sc_close(&ow));
	}
}

static void no_headroom(void)
{
	no_headroom_of(MT_L4_IPIP, 20);
	no_headroom_of(MT_L4_GUE, 32);
}

const struct mt_test one_way_tests[] = {{"one_worker", one_worker},
	{"three_workers", three_workers}, {"too_big", too_big},
	{"too_big_at_once", too_big_at_once}, {"hop_limit", hop_limit},
	{"not_on_link", not_on_link}, {"leaves_the_link", leaves_the_link}, {"parked", parked},
	{"fragments", fragments}, {"far_endpoint", far_endpoint},
	{"identifications", identifications}, {"ports_of_flows", ports_of_flows},
	{"no_headroom", no_headroom}, {0}};
