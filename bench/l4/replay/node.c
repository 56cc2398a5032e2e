/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../tests/eal_unpinned.h"
#include "replay.h"

#include <string.h>

#include <netinet/in.h>

#define PORT	    4000
#define PORT_BEHIND 5000
#define PER_FAMILY  3
#define N_ENDPOINTS (2 * PER_FAMILY)

static struct mt_addr addr(const char *text)
{
	struct mt_addr a;

	if (mt_addr_parse(text, &a))
		replay_die("no address", text);
	return a;
}

static uint16_t no_rx(struct mt_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return 0;
}

static uint16_t take(struct mt_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		replay_sent((struct replay *)p, pkts[i]);
	mt_buf_free_bulk(pkts, n);
	return n;
}

static const struct mt_port_ops ops = {no_rx, take};

static void open_net(struct replay *r)
{
	static const char *const own[] = {
		"192.0.2.1/24", "198.51.100.254/24", "2001:db8::1/64", "2001:db8:1::ff/64"};
	struct mt_net_addr_conf addrs[MT_ARRAY_LEN(own)] = {{.port = 0}};
	struct mt_net_route_conf routes[2] = {
		{.port = MT_NET_PORT_NONE, .via = addr("192.0.2.254")},
		{.port = MT_NET_PORT_NONE, .via = addr("2001:db8::fe")}};
	const struct mt_net_conf conf = {
		.addrs = addrs, .n_addrs = MT_ARRAY_LEN(own), .routes = routes, .n_routes = 2};
	struct mt_port *port = &r->port;
	struct mt_err e;

	for (size_t i = 0; i < MT_ARRAY_LEN(own); i++)
		(void)mt_prefix_parse(own[i], &addrs[i].addr, &addrs[i].prefix);
	(void)mt_prefix_parse("10.0.0.0/8", &routes[0].to, &routes[0].prefix);
	(void)mt_prefix_parse("2001:db8:c::/48", &routes[1].to, &routes[1].prefix);
	/* 1500 and the headers of GUE. */
	r->port = (struct mt_port){.ops = &ops, .mtu = 1552, .n_rxq = 1, .n_txq = 1};
	memcpy(&r->port.mac, "\2\0\0\0\0\1", 6);
	r->port.caps.tx_chains = true;
	r->port.caps.max_frame = 1566;
	r->port.link_up = true;
	r->net = mt_net_create(&port, 1, 1, NULL);
	if (!r->net || mt_net_configure(r->net, &conf, NULL, &e))
		replay_die("no network", "");
	r->netw = mt_netw_create(r->net, 0, &r->pools, NULL, NULL, 1);
	if (!r->netw)
		replay_die("no network", "");
}

static struct mt_l4_set *compiled(enum mt_l4_mode mode)
{
	static const char *const text[N_ENDPOINTS] = {"198.51.100.1", "198.51.100.2",
		"198.51.100.3", "2001:db8:1::1", "2001:db8:1::2", "2001:db8:1::3"};
	const struct mt_addr vips[] = {addr("192.0.2.80"), addr("2001:db8::80")};
	const struct mt_addr nat[] = {addr("203.0.113.1"), addr("2001:db8:2::1")};
	struct mt_l4_endpoint_conf endpoints[N_ENDPOINTS];
	struct mt_l4_service_conf service = {.id = 1,
		.name = "udp",
		.vips = vips,
		.n_vips = 2,
		.port = PORT,
		.proto = IPPROTO_UDP,
		.mode = mode,
		.endpoints = endpoints,
		.n_endpoints = N_ENDPOINTS};
	struct mt_l4_service_conf list[2] = {service, service};
	const struct mt_l4_conf conf = {.services = list,
		.n_services = 2,
		.nat = nat,
		.n_nat = 2,
		.nat_lo = 1024,
		.nat_hi = 65535};
	struct mt_l4_set *set;
	struct mt_err e;

	for (int i = 0; i < N_ENDPOINTS; i++)
		endpoints[i] = (struct mt_l4_endpoint_conf){.addr = addr(text[i]),
			.port = mt_l4_is_one_way(mode) ? PORT : PORT_BEHIND,
			.weight = 1};
	list[1].id = 2;
	list[1].name = "tcp";
	list[1].proto = IPPROTO_TCP;
	if (mt_l4_compile(&conf, &set, &e))
		replay_die("no services", e.text);
	return set;
}

static void open_l4(struct replay *r, enum mt_l4_mode mode)
{
	const struct mt_addr local[] = {addr("192.0.2.80"), addr("2001:db8::80"),
		addr("203.0.113.1"), addr("2001:db8:2::1")};
	const struct mt_l4_worker_conf part = {.steer = &r->steer,
		.net = r->netw,
		.flows = 65536,
		.seed = 1,
		.secret = {0x5eed, 0xb0b}};
	struct mt_net_vips *vips = mt_net_vips_new(local, MT_ARRAY_LEN(local), 0);

	r->set = compiled(mode);
	if (!vips || mt_l4_expose(r->set, vips))
		replay_die("no memory", "");
	mt_net_vips_use(r->net, vips, NULL);
	r->l4 = mt_l4_create(&part);
	if (!r->l4)
		replay_die("no memory", "");
}

void replay_open(struct replay *r, enum mt_l4_mode mode)
{
	char *args[] = {"l4_replay", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=error", "-l", "0", NULL};

	if (eal_init_unpinned(MT_ARRAY_LEN(args) - 1, args) < 0 || mt_buf_init() ||
		mt_pools_init(&r->pools, "l4", 511, 511, MT_BUF_DATA_ROOM, SOCKET_ID_ANY) ||
		mt_steer_init(&r->steer, 1, 64))
		replay_die("the EAL did not start", "");
	open_net(r);
	open_l4(r, mode);
	for (int i = 0; i < 10; i++) { /* announcements are over */
		r->now += MT_SEC;
		replay_turn(r, NULL, 0);
	}
}

void replay_close(struct replay *r)
{
	mt_l4_destroy(r->l4);
	mt_l4_set_free(r->set);
	mt_netw_destroy(r->netw);
	mt_net_destroy(r->net);
	mt_steer_fini(&r->steer);
	mt_pools_fini(&r->pools);
}

void replay_turn(struct replay *r, struct rte_mbuf **pkts, uint16_t n)
{
	struct rte_mbuf *left[REPLAY_BURST], **forwarded;

	mt_net_begin(r->netw, r->now);
	mt_l4_begin(r->l4, r->now, r->set);
	if (n) {
		n = mt_net_input(r->netw, &r->port, pkts, n, left);
		mt_buf_free_bulk(left, n);
		r->unclaimed += n;
		forwarded = mt_net_forwarded(r->netw, &n);
		mt_l4_input(r->l4, forwarded, n);
	}
	mt_net_tick(r->netw);
	mt_l4_tick(r->l4);
	mt_net_flush(r->netw);
}
