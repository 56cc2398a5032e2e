/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rates in virtual time: each of them in each mode, by 1 and 3 workers. Clients offer several times
 * the rate N for T seconds. At most N * (T + 1) passes, and nearly N * T.
 */
#include "limited.h"
#include "mt_l4_priv.h"
#include "test_l4.h"

#define SECONDS 3
#define DATA	472 /* packets of 500 bytes */

struct offer {
	enum mt_l4_limit limit;
	uint32_t rate;
	uint32_t each_ms; /* packets offered */
};

static const struct offer offers[] = {
	{MT_L4_SOURCE_NEW_CONNECTIONS, 90, 1},
	{MT_L4_SOURCE_PACKETS, 600, 3},
	{MT_L4_SOURCE_BYTES, 300000, 3},
	{MT_L4_SERVICE_NEW_CONNECTIONS, 200, 1},
	{MT_L4_SERVICE_NEW_CONNECTIONS, 7, 1},
	{MT_L4_SERVICE_PACKETS, 1000, 4},
	{MT_L4_SERVICE_BYTES, 500000, 4},
};

static bool is_new(const struct offer *o)
{
	return o->limit % L4_KINDS == MT_L4_SOURCE_NEW_CONNECTIONS;
}

/* The i-th packet: of one source or of many, on 60 flows or on its own one. */
static bool offered(const struct li_service *v, const struct offer *o, uint32_t i, bool tcp)
{
	uint32_t source = o->limit < MT_L4_SERVICE_NEW_CONNECTIONS ? 0 : i % 50;
	uint16_t port = (uint16_t)(2000 + (is_new(o) ? i : i % 60));
	char client[MT_ADDR_STRLEN];

	li_client(1000 * (uint32_t)(o - offers) + source, client);
	return tcp ? li_syn(v, client, port) : li_datagram(v, client, port, DATA);
}

static uint64_t passed(const struct li_service *v, const struct offer *o, bool tcp)
{
	uint64_t n = 0;

	for (uint32_t ms = 0; ms < 1000 * SECONDS; ms++) {
		for (uint32_t i = 0; i < o->each_ms; i++)
			n += offered(v, o, ms * o->each_ms + i, tcp);
		sc_turn(&li, MT_MSEC);
	}
	return n;
}

static void check(const struct li_service *v, const struct offer *o, uint16_t workers, bool tcp)
{
	uint32_t service = tcp ? v->tcp_id : v->id, size = 1, slack = 0;
	uint64_t n, most, refused = li_refused(service, o->limit);

	if (o->limit % L4_KINDS == MT_L4_SOURCE_BYTES)
		size = DATA + 28;
	if (o->limit < MT_L4_SERVICE_NEW_CONNECTIONS)
		slack = workers;
	li_warm();
	li_limit(service, o->limit, o->rate);
	n = passed(v, o, tcp);
	most = (uint64_t)o->rate * (SECONDS + 1) / size + slack;
	if (n > most || n * size < (uint64_t)o->rate * SECONDS * 97 / 100)
		printf("%s, %s%s, %u workers: %lu passed, at most %lu\n", v->name,
			mt_l4_limit_names[o->limit], tcp ? " of TCP" : "", workers, n, most);
	CU_ASSERT(n <= most);
	CU_ASSERT(n * size >= (uint64_t)o->rate * SECONDS * 97 / 100);
	CU_ASSERT_EQUAL(
		li_refused(service, o->limit) - refused, (uint64_t)o->each_ms * 1000 * SECONDS - n);
	li.limits[service] = (struct mt_l4_limits_conf){{0}};
	sc_swap(&li);
	/* The flows end, so that their ports are free. */
	for (uint32_t i = 0; i < 3500; i++)
		sc_turn(&li, 20 * MT_MSEC);
}

static void all(uint16_t workers)
{
	li_open(workers, 30000);
	for (uint32_t m = 0; m < LI_SERVICES; m++)
		for (uint32_t i = 0; i < MT_ARRAY_LEN(offers); i++) {
			check(&li_services[m], &offers[i], workers, false);
			if (is_new(&offers[i]))
				check(&li_services[m], &offers[i], workers, true);
		}
	for (uint32_t i = MT_L4_limit_source_new_connections; i <= MT_L4_limit_service_bytes; i++)
		CU_ASSERT(sc_count(&li, i) > 0);
	li_close();
}

static void one_worker(void)
{
	all(1);
}

static void three_workers(void)
{
	all(3);
}

/* A worker's share of a source's rate is 1/W, wherever the source's flows arrive. */
static void share(void)
{
	const struct li_service *v = &li_services[MT_L4_NAT];
	uint64_t n = 0;

	li_open(3, 1000);
	li_limit(v->id, MT_L4_SOURCE_PACKETS, 300);
	for (uint32_t ms = 0; ms < 2000; ms++) {
		n += li_datagram(v, "10.1.0.7", 2000, 10);
		sc_turn(&li, MT_MSEC);
	}
	CU_ASSERT(n <= 300 && n >= 290);
	li_close();
}

/* A bucket is full when it is new, and refills at its rate. */
static void burst(void)
{
	const struct li_service *v = &li_services[MT_L4_NAT];
	uint32_t n = 0;

	li_open(1, 1000);
	li_limit(v->id, MT_L4_SOURCE_PACKETS, 50);
	for (uint32_t i = 0; i < 200; i++)
		n += li_datagram(v, "10.1.0.7", 2000, 10);
	CU_ASSERT_EQUAL(n, 50);
	sc_turn(&li, 100 * MT_MSEC);
	for (uint32_t i = 0; i < 200; i++)
		n += li_datagram(v, "10.1.0.7", 2000, 10);
	CU_ASSERT_EQUAL(n, 55);
	sc_turn(&li, 60 * MT_SEC);
	for (uint32_t i = 0; i < 200; i++)
		n += li_datagram(v, "10.1.0.7", 2000, 10);
	CU_ASSERT_EQUAL(n, 105);
	li_close();
}

/* The largest packet passes a limit of bytes that is smaller. */
static void large_packet(void)
{
	const struct li_service *v = &li_services[MT_L4_NAT];

	li_open(3, 1000);
	li_limit(v->id, MT_L4_SOURCE_BYTES, MT_L4_BYTES_MIN);
	CU_ASSERT(li_datagram(v, "10.1.0.7", 2000, 1400));
	li_limit(v->id, MT_L4_SERVICE_BYTES, MT_L4_BYTES_MIN);
	for (uint32_t i = 0; i < 45; i++)
		CU_ASSERT(li_datagram(v, "10.1.0.7", 2000, 1400));
	CU_ASSERT(!li_datagram(v, "10.1.0.7", 2000, 1400));
	li_close();
}

/* Addresses of one /64 are one source, those of others are not. */
static void ipv6(void)
{
	const struct li_service v = {"nat", "2001:db8::80", SC_NAT, SC_NAT_TCP, 4000, 5432};

	li_open(1, 1000);
	(void)li_datagram(&v, "2001:db8:9::1", 1999, 10);
	sc_turn(&li, MT_MSEC);
	li_limit(v.id, MT_L4_SOURCE_PACKETS, 2);
	CU_ASSERT(li_datagram(&v, "2001:db8:9::1", 2000, 10));
	CU_ASSERT(li_datagram(&v, "2001:db8:9::2:1", 2000, 10));
	CU_ASSERT(!li_datagram(&v, "2001:db8:9::3", 2000, 10));
	CU_ASSERT(li_datagram(&v, "2001:db8:9:1::1", 2000, 10));
	li_close();
}

/* A packet that one limit drops costs the others nothing. */
static void dropped_costs_nothing(void)
{
	const struct li_service *v = &li_services[MT_L4_NAT];

	li_open(1, 1000);
	li.limits[v->id].max[MT_L4_SOURCE_PACKETS] = 5;
	li_limit(SC_EMPTY, MT_L4_SOURCE_PACKETS, 0);
	li.limits[v->id].max[MT_L4_SERVICE_PACKETS] = 10;
	sc_swap(&li);
	for (uint32_t i = 0; i < 100; i++)
		(void)li_datagram(v, "10.1.0.7", 2000, 10);
	/* The source has spent 5 of 10. */
	for (uint32_t i = 0; i < 5; i++)
		CU_ASSERT(li_datagram(v, "10.1.0.8", 2000, 10));
	CU_ASSERT(!li_datagram(v, "10.1.0.9", 2000, 10));
	CU_ASSERT_EQUAL(li_refused(v->id, MT_L4_SOURCE_PACKETS), 95);
	CU_ASSERT_EQUAL(li_refused(v->id, MT_L4_SERVICE_PACKETS), 1);
	/* 0.1 s later the service admits one; the source that it dropped was charged nothing. */
	sc_turn(&li, 101 * MT_MSEC);
	CU_ASSERT(li_datagram(v, "10.1.0.9", 2000, 10));
	li_close();
}

/* Fragments count as packets, and so do packets of a service with a limit of bytes. */
static void fragments(void)
{
	const struct li_service *v = &li_services[MT_L4_NAT];
	struct sc_udp u = {
		.src = "10.1.0.7", .dst = v->vip, .sport = 2000, .dport = v->port, .data = 992};
	struct sc_part parts[] = {{0, 504, true, 77}, {504, 496, false, 77}};
	struct fx_pkt whole = {0}, p = {0};

	li_open(1, 1000);
	li_limit(v->id, MT_L4_SOURCE_PACKETS, 3);
	sc_frame(&u, &whole);
	for (uint32_t i = 0; i < 4; i++) {
		parts[i % 2].id = 77 + i / 2;
		sc_fragment(&whole, &parts[i % 2], &p);
		sc_receive(&li, 0, fx_mbuf(&li.f, p.b, p.len, 0));
	}
	CU_ASSERT_EQUAL(li_refused(v->id, MT_L4_SOURCE_PACKETS), 1);
	li_close();
}

const struct mt_test limit_tests[] = {{"one worker", one_worker}, {"three workers", three_workers},
	{"share", share}, {"burst", burst}, {"large packet", large_packet}, {"IPv6", ipv6},
	{"dropped costs nothing", dropped_costs_nothing}, {"fragments", fragments}, {0}};
