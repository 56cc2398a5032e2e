/* SPDX-License-Identifier: Apache-2.0 */
/* A node of lib/net and lib/l4 on a port that takes everything. */
#include "../../tests/eal_unpinned.h"
#include "bench_l4.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <rte_arp.h>
#include <rte_ether.h>

void bench_die(const char *what)
{
	fprintf(stderr, "l4: %s\n", what);
	exit(EXIT_FAILURE);
}

static uint16_t no_rx(struct mt_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return 0;
}

/* Notes a request for a neighbour; true: the frame was not a datagram. */
static bool asked(struct bench_l4 *b, struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const void *);
	const struct rte_arp_hdr *arp = (const void *)(eth + 1);

	if (eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4))
		return false;
	b->arp_due = true;
	b->arp_target = mt_addr4(arp->arp_data.arp_tip);
	b->arps++;
	mt_buf_free(m);
	return true;
}

static uint16_t take(struct mt_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct bench_l4 *b = (struct bench_l4 *)p;

	if (mt_unlikely(b->arps != UINT64_MAX)) { /* until neighbours are known */
		for (uint16_t i = 0; i < n; i++)
			if (!asked(b, pkts[i]))
				bench_die("a packet left before its time");
		return n;
	}
	b->sent += n;
	if (mt_unlikely(b->learn || b->verify))
		for (uint16_t i = 0; i < n; i++)
			bench_look(b, pkts[i]);
	if (b->flood)
		mt_buf_free_bulk(pkts, n);
	else
		bench_return(b, pkts, n);
	return n;
}

static const struct mt_port_ops ops = {no_rx, take};

static void make_net(struct bench_l4 *b)
{
	struct mt_port *port = &b->port;
	struct mt_net_addr_conf addrs[3] = {{.port = 0}, {.port = 0}};
	struct mt_net_route_conf route = {.port = MT_NET_PORT_NONE};
	struct mt_net_conf conf = {.addrs = addrs, .n_addrs = 2, .routes = &route, .n_routes = 1};
	struct mt_err e;

	/* 1500 and the headers of GUE. */
	b->port = (struct mt_port){.ops = &ops, .mtu = 1552, .n_rxq = 1, .n_txq = 1};
	memcpy(&b->port.mac, "\2\0\0\0\0\1", 6);
	b->port.caps.tx_chains = true;
	b->port.caps.max_frame = 1566;
	b->port.link_up = true;
	(void)mt_prefix_parse("192.0.2.1/24", &addrs[0].addr, &addrs[0].prefix);
	(void)mt_prefix_parse("198.51.100.254/24", &addrs[1].addr, &addrs[1].prefix);
	(void)mt_prefix_parse("10.0.0.0/8", &route.to, &route.prefix);
	(void)mt_addr_parse("192.0.2.254", &route.via);
	b->net = mt_net_create(&port, 1, 1, NULL);
	if (!b->net || mt_net_configure(b->net, &conf, NULL, &e))
		bench_die("the network was not made");
	b->netw = mt_netw_create(b->net, 0, &b->pools, NULL, NULL, 1);
	if (!b->netw)
		bench_die("the network was not made");
}

/* NAT addresses, so that ports suffice for all flows. */
static uint32_t sources(const struct bench_l4 *b, struct mt_addr *nat, uint32_t most)
{
	uint32_t n = MT_MIN(b->flows / (ENDPOINTS * 20000u) + 1, most);

	for (uint32_t i = 0; i < n; i++)
		nat[i] = mt_addr4(rte_cpu_to_be_32(0xcb007101 + i)); /* 203.0.113.1 on */
	return n;
}

/* Limits that no packet exceeds, and lists of clients. One-way modes have no limit of connections. */
static void restrict_clients(struct mt_l4_service_conf *c)
{
	static const struct mt_l4_network allow[] = {
		{.addr = {.b = {[10] = 0xff, [11] = 0xff, [12] = 10}}, .prefix = 8}};
	static const struct mt_l4_network deny[] = {
		{.addr = {.b = {[10] = 0xff, [11] = 0xff, [12] = 172, [13] = 16}}, .prefix = 12}};

	c->allow = allow;
	c->deny = deny;
	c->n_allow = c->n_deny = 1;
	c->limits = (struct mt_l4_limits_conf){{[MT_L4_SOURCE_NEW_CONNECTIONS] = 10000000,
		[MT_L4_SOURCE_PACKETS] = 10000000,
		[MT_L4_SOURCE_BYTES] = 4000000000,
		[MT_L4_SERVICE_NEW_CONNECTIONS] = 100000000,
		[MT_L4_SERVICE_PACKETS] = 100000000,
		[MT_L4_SERVICE_BYTES] = 4000000000,
		[MT_L4_SERVICE_CONNECTIONS] = mt_l4_is_one_way(c->mode) ? 0 : 100000000}};
}

/* The last endpoint has no weight, and need not be there. */
static struct mt_l4_set *compiled(
	const struct bench_l4 *b, bool limits, uint32_t n_endpoints, struct mt_l4_conf *conf)
{
	const struct mt_addr vip = mt_addr4(BENCH_VIP);
	struct mt_l4_endpoint_conf endpoints[ENDPOINTS + 1];
	const struct mt_l4_network deny = {
		.addr = mt_addr4(rte_cpu_to_be_32(BENCH_DENIED)), .prefix = 8, .rule = 1};
	struct mt_l4_service_conf service = {.id = 1,
		.name = "bench",
		.vips = &vip,
		.n_vips = 1,
		.port = VIP_PORT,
		.proto = b->flood ? IPPROTO_TCP : IPPROTO_UDP,
		.mode = b->mode,
		.deny = &deny,
		.n_deny = b->flood != FLOOD_NONE,
		.endpoints = endpoints,
		.n_endpoints = n_endpoints};
	struct mt_l4_set *set;
	struct mt_err e;

	for (uint32_t i = 0; i < n_endpoints; i++)
		endpoints[i] = (struct mt_l4_endpoint_conf){.addr = mt_addr4(bench_endpoint(i)),
			.port = bench_endpoint_port(b),
			.weight = i < ENDPOINTS};
	if (limits)
		restrict_clients(&service);
	conf->services = &service;
	conf->n_services = 1;
	if (mt_l4_compile(conf, &set, &e))
		bench_die("the services were not compiled");
	return set;
}

/* One service keeps 9 / 16 of it; one-way modes keep no flow, and those not kept have a quarter. */
static uint32_t capacity(const struct bench_l4 *b)
{
	return (mt_l4_is_one_way(b->mode) ? 4 : 2) * b->flows + 4 * BURST;
}

static void make_l4(struct bench_l4 *b)
{
	struct mt_addr nat[64], vips[65] = {mt_addr4(BENCH_VIP)};
	struct mt_l4_conf conf = {
		.nat = nat, .n_nat = sources(b, nat, 64), .nat_lo = 1024, .nat_hi = 65535};
	struct mt_l4_worker_conf part = {.steer = &b->steer,
		.net = b->netw,
		.flows = capacity(b),
		.seed = 1,
		.secret = {0x5eed, 0xb0b}};

	if (b->flood == FLOOD_PORTS)
		conf.nat_hi = 1087; /* all are in use before the flood is measured */
	memcpy(&vips[1], nat, conf.n_nat * sizeof(nat[0]));
	b->set = compiled(b, false, ENDPOINTS, &conf);
	b->limited = compiled(b, true, ENDPOINTS, &conf);
	b->changed = compiled(b, false, ENDPOINTS + 1, &conf);
	b->limiter = mt_l4_limiter_new(1);
	part.limiter = b->limiter;
	if (!b->limiter || mt_net_set_vips(b->net, vips, 1 + conf.n_nat, NULL))
		bench_die("the services were not compiled");
	b->l4 = mt_l4_create(&part);
	if (!b->l4)
		bench_die("no memory for the flow table");
}

void bench_limit(struct bench_l4 *b)
{
	struct mt_l4_set *was = b->set;

	b->set = b->limited;
	b->limited = was;
	/* A tick compares 256 flows with the new set; none is in the middle of it afterwards. */
	for (uint32_t i = 0; i < b->flows / 128 + 16; i++) {
		bench_begin(b, MT_MSEC);
		mt_l4_tick(b->l4);
	}
}

void bench_change(struct bench_l4 *b)
{
	struct mt_l4_set *was = b->set;

	b->set = b->changed;
	b->changed = was;
}

static void answer_arp(struct bench_l4 *b)
{
	struct rte_mbuf *m = mt_buf_data(&b->pools), *out[1];
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, 42);
	struct rte_arp_hdr *arp = (struct rte_arp_hdr *)(eth + 1);
	struct rte_ether_addr peer;

	bench_station(mt_addr_v4(&b->arp_target), peer.addr_bytes);
	memset(eth, 0, 42);
	eth->dst_addr = b->port.mac;
	eth->src_addr = peer;
	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP);
	arp->arp_hardware = rte_cpu_to_be_16(1);
	arp->arp_protocol = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	arp->arp_hlen = 6;
	arp->arp_plen = 4;
	arp->arp_opcode = rte_cpu_to_be_16(RTE_ARP_OP_REPLY);
	arp->arp_data.arp_sha = peer;
	arp->arp_data.arp_sip = mt_addr_v4(&b->arp_target);
	arp->arp_data.arp_tha = b->port.mac;
	arp->arp_data.arp_tip = rte_cpu_to_be_32(0xc0000201);
	(void)mt_net_input(b->netw, &b->port, &m, 1, out);
}

static void resolve(struct bench_l4 *b, const struct mt_addr *to)
{
	struct mt_net_dst dst;

	for (int i = 0; i < 100; i++) {
		bench_begin(b, MT_MSEC);
		b->arp_due = false;
		if (mt_net_route(b->netw, NULL, to, &dst) == MT_NET_SENT)
			return;
		mt_net_tick(b->netw);
		mt_net_flush(b->netw);
		if (b->arp_due)
			answer_arp(b);
	}
	bench_die("a neighbour was not resolved");
}

void bench_open(struct bench_l4 *b)
{
	char *args[10 + BENCH_DEVICES + 1] = {"l4", "--no-huge", "-m", "64", "--no-pci",
		"--no-telemetry", "--no-shconf", "--log-level=error", "-l", "0"};
	const int n = 10 + bench_link_args(b->link, &args[10]);
	const struct mt_addr client = mt_addr4(bench_client(0));

	if (eal_init_unpinned(n, args) < 0 || mt_buf_init() ||
		mt_pools_init(
			&b->pools, "l4", BENCH_BUFFERS, 511, MT_BUF_DATA_ROOM, SOCKET_ID_ANY) ||
		mt_steer_init(&b->steer, 1, 64))
		bench_die("the EAL did not start");
	b->now = MT_SEC;
	b->rnd = 0x9e3779b97f4a7c15ull;
	b->flow = calloc(b->flows, sizeof(*b->flow));
	if (!b->flow)
		bench_die("no memory");
	make_net(b);
	make_l4(b);
	for (int i = 0; i < 10; i++) { /* announcements are over */
		bench_begin(b, MT_SEC);
		mt_net_tick(b->netw);
		mt_net_flush(b->netw);
	}
	resolve(b, &client);
	for (uint32_t i = 0; i < ENDPOINTS; i++) {
		const struct mt_addr endpoint = mt_addr4(bench_endpoint(i));

		resolve(b, &endpoint);
	}
	b->arps = UINT64_MAX;
	bench_link_open(b);
}

void bench_close(struct bench_l4 *b)
{
	mt_l4_destroy(b->l4);
	mt_l4_set_free(b->set);
	mt_l4_set_free(b->limited);
	mt_l4_set_free(b->changed);
	mt_l4_limiter_free(b->limiter);
	mt_netw_destroy(b->netw);
	mt_net_destroy(b->net);
	bench_link_close(b);
	mt_steer_fini(&b->steer);
	mt_pools_fini(&b->pools);
	free(b->flow);
}

void bench_begin(struct bench_l4 *b, uint64_t ns)
{
	b->now += ns;
	mt_net_begin(b->netw, b->now);
	mt_l4_begin(b->l4, b->now, b->set);
}

void bench_forward(struct bench_l4 *b, struct rte_mbuf **pkts, uint16_t n)
{
	mt_l4_input(b->l4, pkts, n);
	mt_net_flush(b->netw);
}
