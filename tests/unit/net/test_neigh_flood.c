/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbours while stations of a link forge addresses: what a flood leaves to others. */
#include "fixture.h"
#include "test_net.h"

#include "mt_net_priv.h"

static struct fx f;

/* A node whose announcements are over. */
static void open_quiet(uint16_t workers)
{
	fx_open(&f, workers);
	for (int i = 0; i < 4; i++)
		fx_turn(&f, 2 * MT_SEC);
	fx_clear(&f);
}

static uint32_t generation(void)
{
	return atomic_load(&f.net->dst_gen);
}

/* Entries in use as the node counts them, which are those that it lists. */
static uint32_t in_use(void)
{
	struct mt_net_neigh_info info;
	uint32_t n = 0, idx = 0, size;

	while (mt_net_neigh_next(f.net, &idx, &info))
		n++;
	CU_ASSERT_EQUAL(mt_net_neigh_in_use(f.net, &size), n);
	return n;
}

/* A host of the network 10.0.0.0/8, with a station of its own. */
static void arp_of(uint32_t host, uint8_t station)
{
	struct fx_pkt p = {0};
	uint8_t mac[6] = {2, station, 0, 0, (uint8_t)(host >> 8), (uint8_t)host};

	fx_arp(&p, 1, mac, "10.7.0.0", "10.0.0.1", NULL);
	p.b[30] = (uint8_t)(host >> 8);
	p.b[31] = (uint8_t)host;
	fx_in(&f, 0, 0, p.b, p.len);
}

static void open_wide(void)
{
	const struct mt_net_addr_conf wide = {fx_addr("10.0.0.1"), 8, 0};
	const struct mt_net_conf conf = {.addrs = &wide, .n_addrs = 1};
	struct mt_err e;

	open_quiet(1);
	CU_ASSERT_EQUAL(mt_net_configure(f.net, &conf, NULL, &e), 0);
	for (int i = 0; i < 4; i++)
		fx_turn(&f, 2 * MT_SEC);
	fx_clear(&f);
}

/* The index of the cache line of a field. */
#define LINE(field) (offsetof(struct mt_net, field) / MT_CACHE_LINE)

/* What workers write for a new neighbour shares no cache line with what they read for packets. */
static void lines_apart(void)
{
	static const size_t read[] = {LINE(ports), LINE(n_ports), LINE(steer), LINE(table),
		LINE(served), LINE(dst_gen), LINE(conf_gen), LINE(neigh), LINE(key[1])};
	static const size_t written[] = {
		LINE(neigh_done), LINE(neigh_kick), LINE(neigh_in_use), LINE(neigh_new)};

	open_quiet(1);
	CU_ASSERT_EQUAL((uintptr_t)f.net % MT_CACHE_LINE, 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(written); i++)
		for (size_t k = 0; k < MT_ARRAY_LEN(read); k++)
			CU_ASSERT(written[i] > read[k]);
	/* The owner's alone. */
	CU_ASSERT_NOT_EQUAL(LINE(neigh_done), LINE(neigh_kick));
	CU_ASSERT(fx_close(&f));
}

/* Forged requests make entries that nothing uses: their ends leave cached destinations alone. */
static void unused_end(void)
{
	struct mt_net_neigh_info info;
	uint32_t gen, size, most = 0, host = 0, idx = 0;

	open_wide();
	gen = generation();
	for (int i = 0; i < 1200; i++) {
		for (int k = 0; k < 90 && i < 300; k++)
			arp_of(++host, 0);
		if (i % 100 == 0) {
			uint32_t n = in_use();

			most = MT_MAX(most, n);
		}
		fx_clear(&f);
		fx_turn(&f, 100 * MT_MSEC);
	}
	CU_ASSERT(!mt_net_neigh_next(f.net, &idx, &info));
	CU_ASSERT(most > 1000);
	CU_ASSERT_EQUAL(mt_net_neigh_in_use(f.net, &size), 0);
	CU_ASSERT_EQUAL(size, NET_NEIGH_MAX);
	CU_ASSERT_EQUAL(generation(), gen);
	CU_ASSERT(fx_close(&f));
}

/* 900 hosts that are used alternate their stations: together they have a limit. */
static void many_alternate(void)
{
	struct mt_addr a = fx_addr("10.7.0.0");
	struct mt_net_dst dst = {0};
	uint32_t gen, sent = 0;

	open_wide();
	for (uint32_t host = 1; host <= 900; host++) {
		arp_of(host, 0);
		a.b[14] = (uint8_t)(host >> 8);
		a.b[15] = (uint8_t)host;
		sent += mt_net_route_guest(f.w[0], &a, &dst) == MT_NET_SENT;
	}
	CU_ASSERT(sent > 850);
	gen = generation();
	for (uint8_t station = 1; station <= 10; station++)
		for (uint32_t host = 1; host <= 900; host++) {
			arp_of(host, station);
			a.b[14] = (uint8_t)(host >> 8);
			a.b[15] = (uint8_t)host;
			(void)mt_net_route_guest(f.w[0], &a, &dst);
			fx_clear(&f);
			fx_turn(&f, MT_SEC / 900);
		}
	CU_ASSERT(fx_count(&f, MT_NET_neigh_changed) > 7000);
	CU_ASSERT(generation() - gen <= 64 + 4 * 10 + 4);
	CU_ASSERT(fx_close(&f));
}

/* Stations that ask for us from 65,000 addresses leave room for the ones that we ask for. */
static void flood_leaves_room(void)
{
	const struct mt_net_addr_conf wide = {fx_addr("10.0.0.1"), 8, 0};
	const struct mt_net_conf conf = {.addrs = &wide, .n_addrs = 1};
	struct mt_net_dst dst = {0};
	uint32_t waits = 0;
	struct mt_err e;

	open_quiet(1);
	CU_ASSERT_EQUAL(mt_net_configure(f.net, &conf, NULL, &e), 0);
	for (uint32_t i = 0; i < 65000; i++) {
		struct fx_pkt p = {0};

		fx_arp(&p, 1, fx_peer_mac, "10.7.0.0", "10.0.0.1", NULL);
		p.b[30] = (uint8_t)(i >> 8);
		p.b[31] = (uint8_t)i;
		fx_in(&f, 0, 0, p.b, p.len);
	}
	for (uint8_t i = 1; i < 255; i++) {
		struct mt_addr a = fx_addr("10.9.0.0");

		a.b[15] = i;
		waits += mt_net_route(f.w[0], NULL, &a, &dst) == MT_NET_WAIT;
	}
	CU_ASSERT_EQUAL(waits, 254);
	CU_ASSERT(fx_close(&f));
}

/* Accepted connections of 65,000 stations leave room for the neighbours that the node calls. */
static void clients_leave_room(void)
{
	struct mt_tuple t = {
		.local = fx_addr("10.0.0.1"), .remote = fx_addr("10.7.0.0"), .entry = 1};
	struct mt_addr a = fx_addr("10.9.0.0");
	struct mt_net_dst dst = {0};
	uint32_t waits = 0, room, clients = 0;

	open_wide();
	for (uint32_t i = 0; i < 65000; i++) {
		t.remote.b[14] = (uint8_t)(i >> 8);
		t.remote.b[15] = (uint8_t)i;
		dst.gen = 0;
		clients += mt_net_tx_ready(f.w[0], &t, &dst, &room) == MT_NET_WAIT;
	}
	CU_ASSERT(clients > 45000);
	for (uint8_t i = 1; i < 255; i++) {
		a.b[15] = i;
		waits += mt_net_route(f.w[0], NULL, &a, &dst) == MT_NET_WAIT;
	}
	CU_ASSERT_EQUAL(waits, 254);
	CU_ASSERT(fx_close(&f));
}

/* Clients on the link, to which forwarded replies go: each of 2,000 has an entry of its own. */
static void many_guests(void)
{
	const struct mt_net_addr_conf wide = {fx_addr("10.0.0.1"), 8, 0};
	const struct mt_net_conf conf = {.addrs = &wide, .n_addrs = 1};
	struct mt_addr a = fx_addr("10.7.0.0");
	struct mt_net_dst dst = {0};
	uint32_t waits = 0;
	struct mt_err e;

	open_quiet(1);
	CU_ASSERT_EQUAL(mt_net_configure(f.net, &conf, NULL, &e), 0);
	fx_turn(&f, 0);
	for (uint32_t i = 1; i <= 2000; i++) {
		a.b[14] = (uint8_t)(i >> 8);
		a.b[15] = (uint8_t)i;
		waits += mt_net_route_guest(f.w[0], &a, &dst) == MT_NET_WAIT;
	}
	CU_ASSERT(waits >= 1998);
	/* A thousand solicitations a second, three tries, and all fail without an event. */
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_solicited), 1000);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_limited), waits - 1000);
	/* The node's own neighbours are not limited, although a guest was there first. */
	CU_ASSERT_EQUAL(mt_net_route(f.w[0], NULL, &a, &dst), MT_NET_WAIT);
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_solicited), 1001);
	for (int i = 0; i < 10; i++) {
		uint64_t before = fx_count(&f, MT_NET_neigh_solicited);

		fx_clear(&f);
		fx_turn(&f, MT_SEC / 2);
		CU_ASSERT(fx_count(&f, MT_NET_neigh_solicited) - before <= 1001);
	}
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_solicited) + fx_count(&f, MT_NET_neigh_limited),
		3 * waits + 1);
	/* Nobody asked the others, so they have not failed. */
	CU_ASSERT(fx_count(&f, MT_NET_neigh_failed) >= 1000);
	CU_ASSERT(fx_count(&f, MT_NET_neigh_failed) < waits);
	CU_ASSERT_EQUAL(f.neigh_failed, 1);
	CU_ASSERT(fx_close(&f));
}

/*
 * 5,500 forged guests a second, while the node waits for a neighbour of its own: workers wait for
 * that one only, so an event visits no guest.
 */
static void forged_guests(void)
{
	const struct mt_net_addr_conf wide = {fx_addr("10.0.0.1"), 8, 0};
	const struct mt_net_conf conf = {.addrs = &wide, .n_addrs = 1};
	struct mt_addr a = fx_addr("10.7.0.0"), own = fx_addr("10.9.0.1");
	struct mt_net_dst dst = {0};
	uint32_t most = 0;
	struct mt_err e;

	open_quiet(1);
	CU_ASSERT_EQUAL(mt_net_configure(f.net, &conf, NULL, &e), 0);
	fx_turn(&f, 0);
	for (uint32_t i = 1; i <= 55000; i++) {
		a.b[13] = (uint8_t)(7 + i / 65536);
		a.b[14] = (uint8_t)(i >> 8);
		a.b[15] = (uint8_t)i;
		(void)mt_net_route_guest(f.w[0], &a, &dst);
		(void)mt_net_route(f.w[0], NULL, &own, &dst);
		most = MT_MAX(most, f.w[0]->n_wait);
		fx_clear(&f);
		fx_turn(&f, MT_SEC / 5500);
	}
	CU_ASSERT_EQUAL(most, 1);
	CU_ASSERT(fx_count(&f, MT_NET_neigh_solicited) <= 11500);
	CU_ASSERT(fx_close(&f));
}

static uint32_t solicited(uint16_t port)
{
	return f.port[port].n;
}

/* Forged guests of one port use up no solicitations of another one's. */
static void guests_by_port(void)
{
	const struct mt_net_addr_conf addrs[] = {
		{fx_addr("10.0.0.1"), 8, 0}, {fx_addr("198.51.100.1"), 24, 1}};
	const struct mt_net_conf conf = {.addrs = addrs, .n_addrs = 2};
	struct mt_addr a = fx_addr("10.7.0.0"), other = fx_addr("198.51.100.9");
	struct mt_net_dst dst = {0};
	struct mt_err e;

	open_quiet(1);
	CU_ASSERT_EQUAL(mt_net_configure(f.net, &conf, NULL, &e), 0);
	for (int i = 0; i < 4; i++)
		fx_turn(&f, 2 * MT_SEC);
	fx_clear(&f);
	for (uint32_t i = 1; i <= 2000; i++) {
		a.b[14] = (uint8_t)(i >> 8);
		a.b[15] = (uint8_t)i;
		(void)mt_net_route_guest(f.w[0], &a, &dst);
	}
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(solicited(0), 1000);
	CU_ASSERT(fx_count(&f, MT_NET_neigh_limited) > 900);
	CU_ASSERT_EQUAL(mt_net_route_guest(f.w[0], &other, &dst), MT_NET_WAIT);
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(solicited(1), 1);
	CU_ASSERT_EQUAL(solicited(0), 1000);
	CU_ASSERT(fx_close(&f));
}

/* The way of an accepted connection's segments to host 10.7.0.0 + i. */
static enum mt_net_result route_client(uint32_t i)
{
	struct mt_tuple t = {
		.local = fx_addr("10.0.0.1"), .remote = fx_addr("10.7.0.0"), .entry = 1};
	struct mt_net_dst dst = {0};

	t.remote.b[14] = (uint8_t)(i >> 8);
	t.remote.b[15] = (uint8_t)i;
	return mt_net_route_stream(f.w[0], &t, &dst);
}

/*
 * Handshakes of 3,000 forged stations: a thousand solicitations a second, and each has three before
 * it fails. They take none of guests, nor guests theirs.
 */
static void many_clients(void)
{
	struct mt_addr guest = fx_addr("10.9.0.1");
	struct mt_net_dst dst = {0};
	uint32_t waits = 0;
	uint64_t sent;

	open_wide();
	for (uint32_t i = 1; i <= 3000; i++)
		waits += route_client(i) == MT_NET_WAIT;
	CU_ASSERT_EQUAL(waits, 3000);
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_solicited), 1000);
	CU_ASSERT_EQUAL(mt_net_route_guest(f.w[0], &guest, &dst), MT_NET_WAIT);
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_solicited), 1001);
	for (int i = 0; i < 40; i++) {
		sent = fx_count(&f, MT_NET_neigh_solicited);
		fx_clear(&f);
		fx_turn(&f, MT_SEC / 2);
		CU_ASSERT(fx_count(&f, MT_NET_neigh_solicited) - sent <= 1001);
	}
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_solicited), 3 * 3001);
	CU_ASSERT_EQUAL(f.neigh_failed, 3000);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_failed), 3001);
	CU_ASSERT(fx_close(&f));
}

/* A long list of clients that wait is not looked through at each event. */
static void long_wait(void)
{
	open_wide();
	for (uint32_t i = 1; i <= 2000; i++)
		(void)route_client(i);
	fx_turn(&f, 0);
	arp_of(1, 0);
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(f.neigh_ok, 1);
	arp_of(2, 0);
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(f.neigh_ok, 1);
	CU_ASSERT(mt_net_next(f.w[0]) > f.now && mt_net_next(f.w[0]) <= f.now + 2 * MT_MSEC);
	fx_turn(&f, mt_net_next(f.w[0]) - f.now);
	CU_ASSERT_EQUAL(f.neigh_ok, 2);
	CU_ASSERT(fx_close(&f));
}

#define ROUTERS 64

/* 64 networks beyond 10.9.0.0/24, each with a router of its own. */
static void open_routers(void)
{
	const struct mt_net_addr_conf wide = {fx_addr("10.0.0.1"), 8, 0};
	struct mt_net_route_conf routes[ROUTERS];
	const struct mt_net_conf conf = {
		.addrs = &wide, .n_addrs = 1, .routes = routes, .n_routes = ROUTERS};
	struct mt_err e;

	for (uint8_t i = 0; i < ROUTERS; i++) {
		routes[i] = (struct mt_net_route_conf){
			fx_addr("172.16.0.0"), 24, fx_addr("10.9.0.0"), MT_NET_PORT_NONE};
		routes[i].to.b[14] = i;
		routes[i].via.b[15] = (uint8_t)(i + 1);
	}
	open_quiet(1);
	CU_ASSERT_EQUAL(mt_net_configure(f.net, &conf, NULL, &e), 0);
	for (int i = 0; i < 4; i++)
		fx_turn(&f, 2 * MT_SEC);
	fx_clear(&f);
}

/* The way to a client of network i. */
static enum mt_net_result route_beyond(uint8_t i, struct mt_net_dst *dst)
{
	struct mt_addr a = fx_addr("172.16.0.9");

	a.b[14] = i;
	return mt_net_route_guest(f.w[0], &a, dst);
}

/* 65,000 forged clients of a link: its routers find a place, and are solicited. */
static void routers_find_room(void)
{
	struct mt_addr a = fx_addr("10.7.0.0");
	struct mt_net_dst dst = {0};
	uint32_t waits = 0;

	open_routers();
	for (uint32_t i = 0; i < 65000; i++) {
		a.b[14] = (uint8_t)(i >> 8);
		a.b[15] = (uint8_t)i;
		(void)mt_net_route_guest(f.w[0], &a, &dst);
	}
	for (uint8_t i = 0; i < ROUTERS; i++)
		waits += route_beyond(i, &dst) == MT_NET_WAIT;
	CU_ASSERT_EQUAL(waits, ROUTERS);
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_neigh_solicited), 1000 + ROUTERS);
	CU_ASSERT(fx_close(&f));
}

/* A router that asks for us first has the entry of a guest until a packet goes to it. */
static void router_asks_first(void)
{
	const uint8_t mac[6] = {2, 0, 0, 0, 9, 1};
	struct mt_net_dst dst = {0};
	struct fx_pkt p = {0};

	open_routers();
	fx_arp(&p, 1, mac, "10.9.0.1", "10.0.0.1", NULL);
	fx_in(&f, 0, 0, p.b, p.len);
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(route_beyond(0, &dst), MT_NET_SENT);
	fx_turn(&f, 0);
	CU_ASSERT_EQUAL(f.net->neigh[dst.neigh].user, NET_NEIGH_OWN);
	CU_ASSERT(fx_close(&f));
}

const struct mt_test net_neigh_flood_tests[] = {
	{"lines_apart", lines_apart},
	{"unused_end", unused_end},
	{"many_alternate", many_alternate},
	{"flood_leaves_room", flood_leaves_room},
	{"clients_leave_room", clients_leave_room},
	{"many_guests", many_guests},
	{"forged_guests", forged_guests},
	{"guests_by_port", guests_by_port},
	{"many_clients", many_clients},
	{"long_wait", long_wait},
	{"routers_find_room", routers_find_room},
	{"router_asks_first", router_asks_first},
	{0},
};
