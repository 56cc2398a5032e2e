/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A full flow table: one client, one service or clients of many addresses flood it with answered
 * flows, and others are served and keep their flows.
 */
#include "mt_l4_priv.h"
#include "scene.h"
#include "test_l4.h"

#define FLOWS 400 /* 300 places of kept flows, 100 of others */

static struct scene s;

static const struct fx_frame *ask(const char *src, uint16_t sport)
{
	struct sc_udp u = {
		.src = src, .dst = "192.0.2.80", .sport = sport, .dport = 4000, .data = 10};

	return sc_pass(&s, &u);
}

static bool replies(const struct fx_frame *out)
{
	struct sc_ends e;
	char text[2][MT_ADDR_STRLEN];
	struct sc_udp u;

	if (!out)
		return false;
	e = sc_ends(out);
	u = (struct sc_udp){.src = mt_addr_str(&e.dst, text[0]),
		.dst = mt_addr_str(&e.src, text[1]),
		.sport = e.dport,
		.dport = e.sport,
		.data = 10};
	return sc_pass(&s, &u) != NULL;
}

static struct mt_l4_usage usage(void)
{
	struct mt_l4_usage u;

	mt_l4_usage(s.l[0], &u);
	return u;
}

/* n flows of one client, or of a client each, all answered. */
static void flood(uint32_t n, bool one_client, uint32_t from)
{
	for (uint32_t i = from; i < from + n; i++) {
		char src[MT_ADDR_STRLEN];

		snprintf(src, sizeof(src), "10.%u.%u.%u", one_client ? 0 : 1 + (i >> 14),
			one_client ? 0 : i >> 7 & 127, one_client ? 9 : 1 + (i & 127));
		CU_ASSERT_FATAL(replies(ask(src, (uint16_t)(2000 + i))));
	}
}

static bool is_kept(const char *client, uint16_t port)
{
	struct mt_addr a = fx_addr(client);
	struct mt_l4_flow f;
	uint32_t idx = 0;

	while (mt_l4_flow_next(s.l[0], &idx, UINT32_MAX, &f))
		if (mt_addr_eq(&f.client, &a) && f.client_port == port)
			return f.kept && f.answered;
	return false;
}

/* Half of the kept flows at most are one client's, and the flows of others stay. */
static void one_client(void)
{
	uint64_t made;

	sc_open(&s, 1, FLOWS);
	flood(1000, true, 0);
	CU_ASSERT_EQUAL(usage().capacity, 400);
	CU_ASSERT_EQUAL(usage().kept_max, 300);
	CU_ASSERT_EQUAL(usage().kept, 150);
	CU_ASSERT_EQUAL(usage().flows, 250);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_over_share), 1000 - 250);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_evicted), 0);
	for (uint16_t i = 0; i < 20; i++)
		CU_ASSERT(replies(ask("10.9.9.9", (uint16_t)(100 + i))));
	CU_ASSERT(is_kept("10.9.9.9", 100) && is_kept("10.9.9.9", 119));
	flood(1000, true, 1000);
	made = sc_count(&s, MT_L4_flows_made);
	for (uint16_t i = 0; i < 20; i++)
		CU_ASSERT_PTR_NOT_NULL(ask("10.9.9.9", (uint16_t)(100 + i)));
	CU_ASSERT_PTR_NOT_NULL(ask("10.0.0.9", 2000)); /* of the flood, kept from the start */
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), made);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_table_full), 0);
	CU_ASSERT(sc_close(&s));
}

/* A reader gets each flow once, whatever part of the table it reads at a time. */
static void in_parts(void)
{
	struct mt_l4_flow f;
	uint32_t idx = 0, n = 0;

	sc_open(&s, 1, FLOWS);
	flood(90, true, 0);
	for (int i = 0; i < 2000; i++)
		sc_turn(&s, 100 * MT_MSEC);
	flood(10, true, 0);
	CU_ASSERT_EQUAL(mt_l4_places(s.l[0]), 90);
	for (uint32_t end = 7; idx < mt_l4_places(s.l[0]); end += 7) {
		while (mt_l4_flow_next(s.l[0], &idx, end, &f))
			n++;
		CU_ASSERT_EQUAL(idx, MT_MIN(end, 90));
	}
	CU_ASSERT_EQUAL(n, 10);
	CU_ASSERT(sc_close(&s));
}

/* A client of IPv6 is a /64. */
static void one_network(void)
{
	sc_open(&s, 1, FLOWS);
	for (uint32_t i = 0; i < 400; i++) {
		char src[MT_ADDR_STRLEN];
		struct sc_udp u = {.src = src,
			.dst = "2001:db8::80",
			.sport = (uint16_t)(2000 + i),
			.dport = 4000,
			.data = 10};

		snprintf(src, sizeof(src), "2001:db8:7::%x", 1 + i);
		CU_ASSERT_FATAL(replies(sc_pass(&s, &u)));
	}
	CU_ASSERT_EQUAL(usage().kept, 150);
	CU_ASSERT(sc_close(&s));
}

/* Clients of many addresses, forged or not, fill three quarters of the places of kept flows. */
static void one_service(void)
{
	struct sc_udp u = {
		.src = "10.9.9.9", .dst = "203.0.113.80", .sport = 7, .dport = 4001, .data = 10};
	uint64_t made;

	sc_open(&s, 1, FLOWS);
	flood(1000, false, 0);
	CU_ASSERT_EQUAL(usage().kept, 225);
	CU_ASSERT(replies(sc_pass(&s, &u)));
	CU_ASSERT(is_kept("10.9.9.9", 7));
	flood(1000, false, 1000);
	made = sc_count(&s, MT_L4_flows_made);
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), made);
	CU_ASSERT(sc_close(&s));
}

/* A flow beyond the shares stays while replies come, and is kept when a place is free. */
static void beyond(void)
{
	uint64_t made;

	sc_open(&s, 1, FLOWS);
	flood(400, true, 0);
	CU_ASSERT(replies(ask("10.0.0.9", 60000)));
	CU_ASSERT_FALSE(is_kept("10.0.0.9", 60000));
	for (uint32_t i = 0; i < 20; i++) {
		flood(50, true, 1000 + 50 * i);
		made = sc_count(&s, MT_L4_flows_made);
		CU_ASSERT(replies(ask("10.0.0.9", 60000)));
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), made);
	}
	CU_ASSERT_FALSE(is_kept("10.0.0.9", 60000));
	/* 30 s after its last packet such a flow ends. */
	for (int i = 0; i < 290; i++)
		sc_turn(&s, 100 * MT_MSEC);
	CU_ASSERT(replies(ask("10.0.0.9", 60000)));
	for (int i = 0; i < 250; i++)
		sc_turn(&s, 100 * MT_MSEC);
	CU_ASSERT_EQUAL(usage().flows, 151);
	for (int i = 0; i < 150; i++)
		sc_turn(&s, 100 * MT_MSEC);
	CU_ASSERT_EQUAL(usage().flows, 150);
	/* Kept ones end as well, and their places return. */
	for (int i = 0; i < 1800; i++)
		sc_turn(&s, 100 * MT_MSEC);
	CU_ASSERT_EQUAL(usage().flows, 0);
	CU_ASSERT_EQUAL(usage().kept, 0);
	CU_ASSERT(replies(ask("10.0.0.9", 60000)));
	CU_ASSERT(is_kept("10.0.0.9", 60000));
	for (uint32_t i = 0; i < L4_CLIENTS; i++)
		CU_ASSERT(s.l[0]->shares.clients[0][i] <= 1 && s.l[0]->shares.clients[1][i] <= 1);
	CU_ASSERT(sc_close(&s));
}

/* The index has no bucket for a flow. */
static void no_bucket(void)
{
	struct mt_table *t;

	sc_open(&s, 1, 40);
	t = &s.l[0]->table;
	CU_ASSERT_PTR_NOT_NULL(ask("10.9.9.9", 1));
	t->max_buckets = t->n_buckets;
	t->over_fresh = t->over_max;
	for (uint16_t i = 2; i < 20; i++)
		(void)ask("10.9.9.9", i);
	CU_ASSERT(sc_count(&s, MT_L4_table_full) > 0);
	CU_ASSERT(usage().flows > 2 && usage().flows < 20);
	CU_ASSERT(sc_close(&s));
}

/* No flow takes more memory than mt_l4_flow_bytes() has, and some take nearly as much. */
static void memory(void)
{
	uint32_t used = 0;
	double most = 0;

	sc_open(&s, 1, 16384);
	for (uint32_t i = 0; i < 12000; i++) {
		const struct mt_table *t = &s.l[0]->table;
		uint64_t bytes;

		flood(1, false, i);
		used = usage().flows;
		bytes = used * (2 * sizeof(struct l4_entry) + sizeof(struct l4_tcp)) +
			(uint64_t)(t->n_buckets + t->over_used) * sizeof(*t->b);
		if (used > 500)
			most = MT_MAX(most, (double)bytes / used);
	}
	if (getenv("MT_PRINT"))
		printf("\n  %.1f bytes a flow at most\n", most);
	CU_ASSERT(most <= (double)mt_l4_flow_bytes());
	CU_ASSERT(most > 0.9 * (double)mt_l4_flow_bytes());
	CU_ASSERT(used > 10000);
	CU_ASSERT(sc_close(&s));
}

const struct mt_test share_tests[] = {{"one_client", one_client}, {"one_network", one_network},
	{"in_parts", in_parts}, {"one_service", one_service}, {"beyond", beyond},
	{"no_bucket", no_bucket}, {"memory", memory}, {0}};
