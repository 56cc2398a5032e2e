/* SPDX-License-Identifier: Apache-2.0 */
/* Life of flows: limits, ageing, ports, errors, next hops, changes of the configuration. */
#include "mt_l4_priv.h"
#include "mt_net_priv.h"
#include "scene.h"
#include "test_l4.h"

#include <netinet/in.h>

static struct scene s;

static struct sc_udp client(uint32_t i, const char *dst, uint16_t dport, char src[MT_ADDR_STRLEN])
{
	snprintf(src, MT_ADDR_STRLEN, "10.%u.%u.%u", i >> 14 & 255, i >> 7 & 127, 1 + (i & 127));
	return (struct sc_udp){.src = src, .dst = dst, .sport = 7000, .dport = dport, .data = 10};
}

static const struct fx_frame *ask(uint32_t i)
{
	char src[MT_ADDR_STRLEN];
	struct sc_udp u = client(i, "192.0.2.80", 4000, src);

	return sc_pass(&s, &u);
}

static const struct fx_frame *reply_to(const struct fx_frame *out)
{
	struct sc_ends e = sc_ends(out);
	char text[2][MT_ADDR_STRLEN];
	struct sc_udp u = {.src = mt_addr_str(&e.dst, text[0]),
		.dst = mt_addr_str(&e.src, text[1]),
		.sport = e.dport,
		.dport = e.sport,
		.data = 10};

	return sc_pass(&s, &u);
}

/* A client keeps its endpoint, and clients use all of them. */
static void endpoints(void)
{
	uint32_t to[3] = {0};

	sc_open(&s, 1, 1024);
	for (uint32_t i = 0; i < 300; i++) {
		struct sc_ends e = sc_ends(ask(i));

		to[e.dst.b[15] - 21]++;
		CU_ASSERT(
			mt_addr_eq(&e.dst, &(struct mt_addr){.q = {0, sc_ends(ask(i)).dst.q[1]}}));
	}
	CU_ASSERT(to[0] > 60 && to[1] > 60 && to[2] > 60);
	CU_ASSERT_EQUAL(sc_stats(&s, SC_NAT).flows_made, 300);
	CU_ASSERT_EQUAL(sc_stats(&s, SC_NAT).packets[0], 600);
	CU_ASSERT_EQUAL(sc_stats(&s, SC_NAT).packets[1], 0);
	CU_ASSERT_EQUAL(sc_stats(&s, SC_NAT).bytes, 600 * 38);
	CU_ASSERT(sc_close(&s));
}

/* Flows without a reply have a quarter of the table; the oldest go, those that are kept never. */
static void unanswered(void)
{
	sc_open(&s, 1, 400);
	for (uint32_t i = 0; i < 10; i++)
		CU_ASSERT_PTR_NOT_NULL(reply_to(ask(i)));
	for (uint32_t i = 10; i < 210; i++)
		CU_ASSERT_PTR_NOT_NULL(ask(i));
	CU_ASSERT_EQUAL(sc_flows(&s), 10 + 100);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_evicted), 100);
	/* The newest hundred are there, and a reply takes one of them out of the order. */
	CU_ASSERT_PTR_NOT_NULL(reply_to(ask(110)));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 210);
	ask(109);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 211);
	CU_ASSERT_EQUAL(sc_flows(&s), 11 + 100);
	for (uint32_t i = 0; i < 10; i++)
		ask(i);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 211);
	CU_ASSERT(sc_close(&s));
}

static void pass_time(uint64_t ns)
{
	for (uint64_t t = 0; t < ns; t += 100 * MT_MSEC)
		sc_turn(&s, 100 * MT_MSEC);
}

static void ageing(void)
{
	sc_open(&s, 1, 400);
	CU_ASSERT_EQUAL(mt_l4_next(s.l[0]), MT_NEVER);
	reply_to(ask(1));
	ask(2);
	CU_ASSERT(mt_l4_next(s.l[0]) <= s.f.now + 5 * MT_SEC);
	pass_time(29 * MT_SEC);
	CU_ASSERT_EQUAL(sc_flows(&s), 2);
	pass_time(12 * MT_SEC);
	CU_ASSERT_EQUAL(sc_flows(&s), 1);
	ask(1); /* begins its time anew */
	pass_time(179 * MT_SEC);
	CU_ASSERT_EQUAL(sc_flows(&s), 1);
	pass_time(12 * MT_SEC);
	CU_ASSERT_EQUAL(sc_flows(&s), 0);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_expired), 2);
	CU_ASSERT(sc_close(&s));
}

/* Two flows with the same client, port and endpoint differ in the port that the endpoint sees. */
static void port_taken(void)
{
	struct sc_udp u = {.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 9, .dport = 4000};
	struct mt_l4_flow f[2];
	uint32_t idx = 0;

	sc_open(&s, 1, 400);
	for (uint32_t i = 0; i < s.set->n_rows; i++)
		if (s.set->rows[i].port == 4001 && mt_addr_is4(&s.set->rows[i].addr)) {
			s.set->rows[i].group = mt_l4_row(s.set,
				&(struct mt_addr){.q = {0, fx_addr("192.0.2.80").q[1]}}, 4000,
				IPPROTO_UDP)
						       ->group;
			s.set->rows[i].mode = MT_L4_NAT;
		}
	s.set->rows[0].group->endpoints[1] = s.set->rows[0].group->endpoints[0];
	s.set->rows[0].group->endpoints[2] = s.set->rows[0].group->endpoints[0];
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	u.dst = "203.0.113.80";
	u.dport = 4001;
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	CU_ASSERT(mt_l4_flow_next(s.l[0], &idx, UINT32_MAX, &f[0]) &&
		  mt_l4_flow_next(s.l[0], &idx, UINT32_MAX, &f[1]));
	CU_ASSERT_FALSE(mt_l4_flow_next(s.l[0], &idx, UINT32_MAX, &f[1]));
	CU_ASSERT_EQUAL(f[0].source_port, 9);
	CU_ASSERT(f[1].source_port >= 1024);
	CU_ASSERT(mt_addr_eq(&f[1].source, &f[1].client));
	CU_ASSERT(sc_close(&s));
}

/* NAT ports towards one endpoint run out. */
static void no_nat_port(void)
{
	char src[MT_ADDR_STRLEN];
	struct sc_udp u;

	sc_open(&s, 1, 4096);
	s.set->nat_hi = s.set->nat_lo + 9;
	for (uint32_t i = 0; i < 10; i++) {
		u = client(i, "203.0.113.80", 4001, src);
		/* A flow without a reply would give its port. */
		CU_ASSERT_PTR_NOT_NULL(reply_to(sc_pass(&s, &u)));
	}
	u = client(10, "203.0.113.80", 4001, src);
	CU_ASSERT_PTR_NULL(sc_pass(&s, &u));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_nat_port), 1);
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_icmp_error_out), 1);
	CU_ASSERT(sc_close(&s));
}

/* Packets that no flow and no row takes, and rows without an endpoint. */
static void nowhere(void)
{
	struct sc_udp u = {.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 9, .dport = 4002};
	struct fx_pkt p = {0};

	sc_open(&s, 1, 64);
	CU_ASSERT_PTR_NULL(sc_pass(&s, &u));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_endpoint), 1);
	CU_ASSERT_EQUAL(sc_stats(&s, SC_EMPTY).no_endpoint, 1);
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_icmp_error_out), 1);
	u.dport = 4003;
	sc_frame(&u, &p);
	sc_in(&s, 0, &p, 20);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_row), 1);
	u.dst = "192.0.2.90";
	u.dport = 40003;
	CU_ASSERT_PTR_NULL(sc_pass(&s, &u));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_flow), 1);
	u = (struct sc_udp){.src = "192.0.2.21", .dst = "10.9.9.9", .sport = 5000, .dport = 1};
	CU_ASSERT_PTR_NULL(sc_pass(&s, &u));
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_not_local), 1);
	CU_ASSERT_EQUAL(sc_flows(&s), 0);
	CU_ASSERT(sc_close(&s));
}

static void hop_limits(void)
{
	struct sc_udp u = {
		.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 9, .dport = 4000, .ttl = 1};

	sc_open(&s, 1, 64);
	CU_ASSERT_PTR_NULL(sc_pass(&s, &u));
	u = (struct sc_udp){
		.src = "2001:db8:1::1", .dst = "2001:db8::80", .sport = 9, .dport = 4000, .ttl = 1};
	CU_ASSERT_PTR_NULL(sc_pass(&s, &u));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_ttl_exceeded), 2);
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_icmp_error_out), 2);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 0);
	u.ttl = 2;
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	u.ttl = 1;
	CU_ASSERT_PTR_NULL(sc_pass(&s, &u));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_ttl_exceeded), 3);
	CU_ASSERT_EQUAL(sc_stats(&s, SC_NAT).ttl_exceeded, 3);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 1);
	CU_ASSERT(sc_close(&s));
}

static void too_big(void)
{
	struct sc_udp u = {
		.src = "10.1.1.1", .dst = "203.0.113.80", .sport = 9, .dport = 4001, .data = 1200};

	sc_open(&s, 1, 64);
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	mt_net_pmtu_learn(
		s.f.w[0], &(struct mt_addr){.q = {0, fx_addr("198.51.100.21").q[1]}}, 1200);
	CU_ASSERT_PTR_NULL(sc_pass(&s, &u));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_too_big), 1);
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_icmp_error_out), 1);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 1);
	u.sport = 10;
	CU_ASSERT_PTR_NULL(sc_pass(&s, &u));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_too_big), 2);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 1);
	CU_ASSERT(sc_close(&s));
}

static uint64_t too_big_of(const struct sc_udp *u, bool df)
{
	uint64_t before = sc_count(&s, MT_L4_too_big);
	struct fx_pkt p = {0};

	sc_frame(u, &p);
	p.b[14 + 6] = df ? 0x40 : 0;
	fx_resum(&p, 14);
	sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	return sc_count(&s, MT_L4_too_big) - before;
}

/*
 * A path has less than the port's MTU: packets with DF are refused, those without it are not,
 * because routers can fragment them. The node fragments none for its own port.
 */
static void small_path(void)
{
	static const struct {
		const char *vip, *endpoint;
		uint16_t port, room; /* payload that the port takes */
	} rows[] = {{"203.0.113.80", "198.51.100.21", 4001, 1472},
		{"192.0.2.80", "10.9.9.9", 4013, 1452}};

	sc_open(&s, 1, 64);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct sc_udp u = {.src = "10.1.1.1", .dst = rows[i].vip, .dport = rows[i].port};
		struct mt_addr endpoint = fx_addr(rows[i].endpoint);

		u.sport = 9;
		(void)sc_pass(&s, &u);
		mt_net_pmtu_learn(s.f.w[0], &endpoint, 1000);
		u.data = 1200;
		CU_ASSERT_EQUAL(too_big_of(&u, true), 1);
		CU_ASSERT_EQUAL(too_big_of(&u, false), 0);
		u.sport = 10; /* without a flow yet */
		CU_ASSERT_EQUAL(too_big_of(&u, true), 1);
		u.data = (uint16_t)(rows[i].room + 1);
		CU_ASSERT_EQUAL(too_big_of(&u, false), 1);
		u.data = rows[i].room;
		CU_ASSERT_EQUAL(too_big_of(&u, false), 0);
	}
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 4);
	CU_ASSERT(sc_close(&s));
}

/* A port's MTU is lowered at run time, and raised again: packets of its flows meet it at once. */
static void lowered_mtu(void)
{
	struct sc_udp u = {
		.src = "10.1.1.1", .dst = "203.0.113.80", .sport = 9, .dport = 4001, .data = 1200};
	struct mt_port *p;
	uint16_t was;

	sc_open(&s, 1, 64);
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	CU_ASSERT_EQUAL(too_big_of(&u, false), 0);
	p = s.f.net->ports[1]; /* of the endpoint */
	was = p->mtu;
	p->mtu = 1200;
	mt_net_mtu_changed(s.f.net);
	sc_turn(&s, MT_MSEC);
	CU_ASSERT_EQUAL(too_big_of(&u, false), 1);
	CU_ASSERT_EQUAL(too_big_of(&u, true), 1);
	p->mtu = was;
	mt_net_mtu_changed(s.f.net);
	sc_turn(&s, MT_MSEC);
	CU_ASSERT_EQUAL(too_big_of(&u, false), 0);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 1);
	CU_ASSERT(sc_close(&s));
}

/* A flow does not take another flow's next hop for its own, however often their place changes. */
static void shared_hop(void)
{
	uint32_t wrong = 0;

	sc_open(&s, 1, 64);
	for (uint32_t i = 0; i < 400001; i++) {
		struct mt_net_dst dst = {.neigh = 5,
			.mtu = 1500,
			.port = i % (L4_HOP_WAYS + 1),
			.gen = s.l[0]->net_gen};
		const struct l4_entry *e = &s.l[0]->entries[0];
		const struct l4_hop *h = &s.l[0]->hops[e->hop % L4_HOPS];

		(void)l4_set_hop(s.l[0], i ? 2 : 0, &dst);
		wrong += h->name == e->hop && h->dst.port != 0;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(sc_close(&s));
}

/* A place of the neighbour table gets another station: flows to it do not get the former hop. */
static void other_station(void)
{
	struct mt_net_dst dst = {.neigh = 5, .mtu = 1500, .l2len = 14};
	uint32_t name;

	sc_open(&s, 1, 64);
	dst.gen = s.l[0]->net_gen;
	CU_ASSERT_EQUAL(l4_set_hop(s.l[0], 0, &dst)->l2[5], 0);
	name = s.l[0]->entries[0].hop;
	dst.l2[5] = 1;
	CU_ASSERT_EQUAL(l4_set_hop(s.l[0], 2, &dst)->l2[5], 1);
	CU_ASSERT_NOT_EQUAL(s.l[0]->entries[2].hop, name);
	CU_ASSERT_EQUAL(l4_set_hop(s.l[0], 4, &dst)->l2[5], 1);
	CU_ASSERT_EQUAL(s.l[0]->entries[4].hop, s.l[0]->entries[2].hop);
	CU_ASSERT(sc_close(&s));
}

/* Some hundred next hops, wherever their neighbours are in their table, all have a place. */
static void many_hops(void)
{
	struct mt_rand r;
	uint32_t names[300], lost = 0;

	mt_rand_seed(&r, 1);
	sc_open(&s, 1, 64);
	for (uint32_t i = 0; i < 300; i++) {
		struct mt_net_dst dst = {
			.neigh = mt_rand_below(&r, 65536), .mtu = 1500, .gen = s.l[0]->net_gen};

		(void)l4_set_hop(s.l[0], 0, &dst);
		names[i] = s.l[0]->entries[0].hop;
	}
	for (uint32_t i = 0; i < 300; i++)
		lost += s.l[0]->hops[names[i] % L4_HOPS].name != names[i];
	CU_ASSERT(lost <= 6);
	CU_ASSERT(sc_close(&s));
}

/*
 * No answer of the neighbours: 16 packets for each wait a second, then they and the next ones are
 * dropped. No flow is made for them.
 */
static void silent_neighbour(void)
{
	char src[MT_ADDR_STRLEN];
	struct fx_pkt p = {0};

	sc_open(&s, 1, 400);
	for (uint32_t i = 0; i < 90; i++) {
		struct sc_udp u = client(i, "192.0.2.80", 4000, src);

		sc_frame(&u, &p);
		sc_in(&s, 0, &p, 20);
	}
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_neighbour_wait), 48);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_neighbour_unknown), 42);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 0);
	CU_ASSERT(mt_l4_next(s.l[0]) <= s.f.now + MT_MSEC);
	for (int i = 0; i < 60; i++) {
		/* As sc_turn(), but nobody answers. */
		fx_clear(&s.f);
		s.f.now += 100 * MT_MSEC;
		mt_net_begin(s.f.w[0], s.f.now);
		mt_l4_begin(s.l[0], s.f.now, s.set);
		mt_net_tick(s.f.w[0]);
		mt_l4_tick(s.l[0]);
		mt_net_flush(s.f.w[0]);
	}
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_neighbour_unknown) + sc_count(&s, MT_L4_no_route), 90);
	CU_ASSERT_EQUAL(sc_stats(&s, SC_NAT).neighbour_unknown + sc_stats(&s, SC_NAT).no_route, 90);
	CU_ASSERT(sc_close(&s));
}

/*
 * Clients on the link that do not exist, to which an endpoint replies: their neighbours have half
 * of the places of waiting packets, and half of each bucket of the table.
 */
static void forged_neighbours(void)
{
	struct sc_udp u = {.src = "10.1.1.1", .dst = "203.0.113.80", .sport = 9, .dport = 4001};
	uint64_t wait, full;
	struct fx_pkt p = {0};
	struct mt_net_dst dst;

	sc_open(&s, 1, 16384);
	CU_ASSERT_PTR_NOT_NULL(ask(1));
	CU_ASSERT_PTR_NOT_NULL(ask(2));
	CU_ASSERT_PTR_NOT_NULL(ask(3));
	wait = sc_count(&s, MT_L4_neighbour_wait);
	for (uint32_t i = 0; i < 200; i++) {
		char client[MT_ADDR_STRLEN], text[2][MT_ADDR_STRLEN];
		const struct fx_frame *out;
		struct sc_ends e;

		snprintf(client, sizeof(client), "2001:db8::7:%x", 1 + i);
		out = sc_pass(&s,
			&(struct sc_udp){
				.src = client, .dst = "2001:db8::80", .sport = 9, .dport = 4000});
		CU_ASSERT_PTR_NOT_NULL_FATAL(out);
		e = sc_ends(out);
		sc_frame(&(struct sc_udp){.src = mt_addr_str(&e.dst, text[0]),
				 .dst = mt_addr_str(&e.src, text[1]),
				 .sport = e.dport,
				 .dport = e.sport},
			&p);
		sc_in(&s, 0, &p, 40);
	}
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_neighbour_wait) - wait, 1 + 64);
	for (uint32_t i = 0; i < 60000; i++) {
		struct mt_addr a = fx_addr("2001:db8::9:0");

		a.b[14] = (uint8_t)(i >> 8);
		a.b[15] = (uint8_t)i;
		(void)mt_net_route_guest(s.f.w[0], &a, &dst);
	}
	full = fx_count(&s.f, MT_NET_neigh_full);
	CU_ASSERT(full > 20000);
	/* A neighbour of the node's own choice finds an entry, and a packet for it waits. */
	for (uint32_t i = 0; i < 100; i++) {
		char text[MT_ADDR_STRLEN];
		struct mt_addr a;

		snprintf(text, sizeof(text), "2001:db8::8:%x", 1 + i);
		a = fx_addr(text);
		CU_ASSERT_EQUAL(mt_net_route(s.f.w[0], NULL, &a, &dst), MT_NET_WAIT);
		CU_ASSERT_EQUAL(mt_net_route_guest(s.f.w[0], &a, &dst), MT_NET_WAIT);
	}
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_neigh_full), full);
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	CU_ASSERT(sc_close(&s));
}

/* Errors about forwarded packets do not use up those about others. */
static void error_budgets(void)
{
	struct sc_udp u = {.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 9, .dport = 4002};
	struct fx_pkt p = {0};

	sc_open(&s, 1, 64);
	sc_frame(&u, &p);
	for (int i = 0; i < 50; i++)
		sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	CU_ASSERT(fx_count(&s.f, MT_NET_icmp_limited) > 20);
	u.dport = 9;
	(void)sc_pass(&s, &u); /* no row: UDP is not served */
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_proto_unserved), 1);
	CU_ASSERT_EQUAL(s.f.port[0].n, 1);
	CU_ASSERT_EQUAL(s.f.port[0].sent[0].b[34], 3);
	CU_ASSERT(sc_close(&s));
}

static void no_route(void)
{
	struct sc_udp u = {.src = "10.1.1.1", .dst = "203.0.113.80", .sport = 9, .dport = 4001};
	const struct mt_net_addr_conf addrs[] = {{fx_addr("192.0.2.1"), 24, 0}};
	const struct mt_net_conf conf = {.addrs = addrs, .n_addrs = 1};
	struct mt_err e;

	sc_open(&s, 1, 64);
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	CU_ASSERT_EQUAL(mt_net_configure(s.f.net, &conf, NULL, &e), 0);
	CU_ASSERT_PTR_NULL(sc_pass(&s, &u));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_route), 1);
	CU_ASSERT_EQUAL(sc_stats(&s, SC_FULL).no_route, 1);
	CU_ASSERT(sc_close(&s));
}

/* A service that goes takes its flows along, soon; the others stay. */
static void configuration(void)
{
	struct sc_udp u = {.src = "10.1.1.1", .dst = "203.0.113.80", .sport = 9, .dport = 4001};
	const struct mt_l4_set *whole;
	struct mt_l4_set *none;
	struct mt_err e;

	sc_open(&s, 1, 400);
	for (uint32_t i = 0; i < 20; i++)
		reply_to(ask(i));
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	whole = s.set;
	CU_ASSERT_EQUAL(mt_l4_compile(&(struct mt_l4_conf){0}, &none, &e), 0);
	CU_ASSERT_EQUAL(none->n_rows, 0);
	/* SC_FULL's address belongs to another service now, with the same endpoints. */
	for (uint32_t i = 0; i < s.set->n_rows; i++)
		if (s.set->rows[i].service == SC_FULL)
			s.set->rows[i].service = 77;
	s.set = none;
	sc_turn(&s, MT_MSEC);
	s.set = (struct mt_l4_set *)whole;
	pass_time(2 * MT_SEC);
	CU_ASSERT_EQUAL(sc_flows(&s), 20);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_ended), 1);
	s.set = none;
	pass_time(2 * MT_SEC);
	CU_ASSERT_EQUAL(sc_flows(&s), 0);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_ended), 21);
	mt_l4_set_free(none);
	s.set = (struct mt_l4_set *)whole;
	CU_ASSERT(sc_close(&s));
}

/* The services get another mode, as if a set had been compiled for it. */
static void set_mode(enum mt_l4_mode mode)
{
	for (uint32_t i = 0; i < s.set->n_rows; i++)
		s.set->rows[i].mode = mode;
	s.set->generation++;
}

/*
 * A service gets another mode: its flows keep theirs, in both directions, and new ones have the new
 * mode.
 */
static void another_mode(void)
{
	enum mt_l4_mode modes[2] = {MT_L4_NAT, MT_L4_NAT_FULL};

	for (int first = 0; first < 2; first++) {
		struct mt_addr client = fx_addr("10.0.0.2"), nat = fx_addr("192.0.2.90");
		const struct fx_frame *out;
		struct mt_l4_flow f;
		uint32_t idx = 0;

		sc_open(&s, 1, 400);
		set_mode(modes[first]);
		out = ask(1);
		CU_ASSERT(out && mt_addr_eq(&(struct mt_addr){.q = {0, sc_ends(out).src.q[1]}},
					 first ? &nat : &client));
		set_mode(modes[!first]);
		pass_time(2 * MT_SEC);
		CU_ASSERT_EQUAL(sc_flows(&s), 1);
		CU_ASSERT_PTR_NOT_NULL(reply_to(ask(1)));
		CU_ASSERT_PTR_NOT_NULL(reply_to(ask(2)));
		CU_ASSERT_EQUAL(sc_flows(&s), 2);
		for (int i = 0; i < 2; i++) {
			CU_ASSERT(mt_l4_flow_next(s.l[0], &idx, UINT32_MAX, &f));
			CU_ASSERT_EQUAL(f.mode, modes[first ^ i]);
		}
		set_mode(MT_L4_DSR);
		pass_time(2 * MT_SEC);
		CU_ASSERT_PTR_NOT_NULL(reply_to(ask(1)));
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_ended), 0);
		CU_ASSERT(sc_close(&s));
	}
}

/* A service that a policy closes takes no new flows and soon loses those that it has. */
static void closed(void)
{
	struct mt_l4_set *open_set, again;

	sc_open(&s, 1, 400);
	CU_ASSERT_PTR_NOT_NULL(reply_to(ask(1)));
	open_set = s.set;
	again = *open_set;
	again.generation++;
	for (uint32_t i = 0; i < again.n_rows; i++)
		again.rows[i].closed = again.rows[i].service == SC_NAT;
	again.services[0].closed = true;
	s.set = &again;
	CU_ASSERT_PTR_NULL(ask(2));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_closed_by_policy), 1);
	CU_ASSERT_EQUAL(sc_stats(&s, SC_NAT).closed, 1);
	pass_time(2 * MT_SEC);
	CU_ASSERT_EQUAL(sc_flows(&s), 0);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_ended), 1);
	s.set = open_set;
	CU_ASSERT(sc_close(&s));
}

/* A service that gets the id of another one counts from the start. */
static void another_service(void)
{
	struct mt_l4_set *first, again;
	struct mt_l4_service services[SC_SERVICES];

	sc_open(&s, 1, 400);
	CU_ASSERT_PTR_NOT_NULL(reply_to(ask(1)));
	CU_ASSERT_EQUAL(sc_stats(&s, SC_NAT).packets[0], 1);
	first = s.set;
	again = *first;
	again.generation++;
	memcpy(services, first->services, sizeof(*services) * first->n_services);
	again.services = services;
	s.set = &again;
	CU_ASSERT_PTR_NOT_NULL(ask(1));
	CU_ASSERT_EQUAL(sc_stats(&s, SC_NAT).packets[0], 2);
	again.generation++;
	services[0].owner++;
	CU_ASSERT_PTR_NOT_NULL(ask(1));
	CU_ASSERT_EQUAL(sc_stats(&s, SC_NAT).packets[0], 1);
	CU_ASSERT_EQUAL(sc_stats(&s, SC_NAT).flows_made, 0);
	s.set = first;
	CU_ASSERT(sc_close(&s));
}

/* Packets of one burst: the first makes the flow, the others use it. */
static void one_burst(void)
{
	struct sc_udp u = {
		.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 9, .dport = 4000, .data = 4};
	struct rte_mbuf *pkts[40];
	struct fx_pkt p = {0};

	sc_open(&s, 1, 64);
	for (uint32_t i = 0; i < 20; i++)
		ask(i); /* neighbours are known */
	for (int i = 0; i < 40; i++) {
		u.sport = (uint16_t)(9 + i % 2);
		sc_frame(&u, &p);
		pkts[i] = fx_mbuf(&s.f, p.b, p.len, 0);
		pkts[i]->l2_len = 14;
		pkts[i]->l3_len = 20;
		pkts[i]->packet_type = RTE_PTYPE_L4_UDP | RTE_PTYPE_L3_IPV4_EXT_UNKNOWN;
	}
	fx_clear(&s.f);
	mt_l4_input(s.l[0], pkts, 40);
	for (int i = 0; i < 3; i++)
		sc_turn(&s, 2 * MT_MSEC);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 22);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_forwarded), 60);
	CU_ASSERT(sc_close(&s));
}

const struct mt_test flow_tests[] = {{"endpoints", endpoints}, {"unanswered", unanswered},
	{"ageing", ageing}, {"port_taken", port_taken}, {"no_nat_port", no_nat_port},
	{"nowhere", nowhere}, {"hop_limits", hop_limits}, {"too_big", too_big},
	{"small_path", small_path}, {"lowered MTU", lowered_mtu}, {"shared_hop", shared_hop},
	{"other_station", other_station}, {"many hops", many_hops},
	{"silent_neighbour", silent_neighbour}, {"forged_neighbours", forged_neighbours},
	{"error_budgets", error_budgets}, {"no_route", no_route}, {"configuration", configuration},
	{"another mode", another_mode}, {"closed", closed}, {"another service", another_service},
	{"one_burst", one_burst}, {0}};
