/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that may use a service: lists of networks, and what becomes of flows of others. */
#include "mt_l4_priv.h"
#include "conn.h"
#include "scene.h"
#include "test_l4.h"

#define NETWORKS 40

static struct mt_l4_network network(const char *text)
{
	struct mt_l4_network n = {0};

	CU_ASSERT_EQUAL_FATAL(mt_prefix_parse(text, &n.addr, &n.prefix), 0);
	return n;
}

static bool admits_addr(const struct mt_l4_sources *s, const struct mt_addr *a)
{
	uint32_t rule;

	return !s || l4_sources_find(s, a, &rule);
}

static bool admits(const struct mt_l4_sources *s, const char *client)
{
	struct mt_addr a;

	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(client, &a), 0);
	return admits_addr(s, &a);
}

static struct mt_l4_sources *made(const struct mt_l4_network *allow, uint32_t n_allow,
	const struct mt_l4_network *deny, uint32_t n_deny)
{
	struct mt_l4_service_conf c = {
		.allow = allow, .n_allow = n_allow, .deny = deny, .n_deny = n_deny};
	struct mt_l4_sources *s = NULL;

	CU_ASSERT_EQUAL_FATAL(l4_sources_make(&c, &s), 0);
	return s;
}

static void lists(void)
{
	struct mt_l4_network allow[] = {
		network("10.0.0.0/8"), network("2001:db8::/32"), network("192.0.2.7")};
	struct mt_l4_network deny[] = {
		network("10.1.0.0/16"), network("10.1.2.0/24"), network("2001:db8:1::9/128")};
	struct mt_l4_sources *s = made(allow, 3, deny, 3);

	CU_ASSERT(admits(s, "10.0.255.255") && admits(s, "10.2.0.0") && admits(s, "192.0.2.7"));
	CU_ASSERT(!admits(s, "10.1.0.0") && !admits(s, "10.1.2.3") && !admits(s, "10.1.255.255"));
	CU_ASSERT(!admits(s, "9.255.255.255") && !admits(s, "11.0.0.0") && !admits(s, "192.0.2.8"));
	CU_ASSERT(admits(s, "2001:db8:1::8") && !admits(s, "2001:db8:1::9") &&
		  !admits(s, "2001:db9::"));
	l4_sources_free(s);
	/* `allow` alone closes the service to the other family, `deny` alone opens it to all others. */
	s = made(allow, 1, NULL, 0);
	CU_ASSERT(admits(s, "10.1.2.3") && !admits(s, "2001:db8::1"));
	l4_sources_free(s);
	s = made(NULL, 0, deny, 1);
	CU_ASSERT(!admits(s, "10.1.2.3") && admits(s, "10.2.0.1") && admits(s, "2001:db8::1"));
	l4_sources_free(s);
	CU_ASSERT_PTR_NULL(made(NULL, 0, NULL, 0));
}

/* The network that decides; one inside another is counted by that one. */
static void rules(void)
{
	static const struct {
		const char *client;
		bool admitted;
		uint32_t rule;
	} rows[] = {{"10.0.0.1", true, 5}, {"10.1.0.1", false, 7}, {"10.1.2.3", false, 7},
		{"192.0.2.7", true, 6}, {"192.0.2.8", false, 0}, {"2001:db8::1", true, 0},
		{"2001:db8::9", false, 9}};
	struct mt_l4_network allow[] = {
		network("192.0.2.7"), network("10.0.0.0/8"), network("2001:db8::/32")};
	struct mt_l4_network deny[] = {
		network("2001:db8::9/128"), network("10.1.2.0/24"), network("10.1.0.0/16")};
	struct mt_l4_sources *s;

	allow[0].rule = 6;
	allow[1].rule = 5;
	deny[0].rule = 9;
	deny[1].rule = 8;
	deny[2].rule = 7;
	s = made(allow, 3, deny, 3);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		uint32_t rule = 99;
		struct mt_addr a;

		mt_addr_parse(rows[i].client, &a);
		CU_ASSERT_EQUAL(l4_sources_find(s, &a, &rule), rows[i].admitted);
		CU_ASSERT_EQUAL(rule, rows[i].rule);
	}
	l4_sources_free(s);
}

/* ::/0 contains no IPv4 address, and 0.0.0.0/0 no IPv6 address. */
static void families(void)
{
	struct mt_l4_network all4 = network("0.0.0.0/0"), all6 = network("::/0");
	struct mt_l4_sources *s = made(&all4, 1, NULL, 0);

	CU_ASSERT(
		admits(s, "0.0.0.0") && admits(s, "255.255.255.255") && !admits(s, "2001:db8::1"));
	l4_sources_free(s);
	s = made(&all6, 1, NULL, 0);
	CU_ASSERT(admits(s, "::1") && admits(s, "ffff::1") && !admits(s, "192.0.2.1"));
	l4_sources_free(s);
}

/* Networks of IPv6 that end with the addresses that stand for IPv4. */
static void before_ipv4(void)
{
	static const char *const nets[] = {"::/80", "::8000:0:0/81", "::fffe:0:0/95"};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(nets); i++) {
		struct mt_l4_network v[] = {network(nets[i]), network("192.0.2.0/24")};
		struct mt_l4_sources *s = made(v, 1, NULL, 0);

		CU_ASSERT(admits(s, "::fffe:1:1") && !admits(s, "192.0.2.1"));
		CU_ASSERT_FALSE(admits(s, "0.0.0.0") || admits(s, "255.255.255.255"));
		l4_sources_free(s);
		s = made(v, 2, NULL, 0);
		CU_ASSERT(admits(s, "192.0.2.1") && !admits(s, "198.51.100.1"));
		l4_sources_free(s);
	}
}

static struct mt_l4_network any_network(struct mt_rand *rand)
{
	struct mt_l4_network n = {0};
	bool is4 = mt_rand_below(rand, 2);

	/* Few distinct bits, so that networks contain each other and clients meet them. */
	if (is4)
		n.addr = mt_addr4(rte_cpu_to_be_32(0x0a000000 | mt_rand_below(rand, 64)));
	else
		n.addr.q[1] = rte_cpu_to_be_64(mt_rand_below(rand, 64));
	n.prefix = (uint8_t)((is4 ? 26 : 122) + mt_rand_below(rand, 7));
	return n;
}

static bool is_in(const struct mt_l4_network *v, const struct mt_addr *a)
{
	for (uint32_t i = 0; i < NETWORKS / 2; i++)
		if (mt_prefix_contains(&v[i].addr, v[i].prefix, a))
			return true;
	return false;
}

static void at_random(void)
{
	struct mt_rand rand;

	mt_rand_seed(&rand, 7);
	for (uint32_t round = 0; round < 200; round++) {
		struct mt_l4_network v[NETWORKS], *deny = &v[NETWORKS / 2];
		struct mt_l4_sources *s;

		for (uint32_t i = 0; i < NETWORKS; i++)
			v[i] = any_network(&rand);
		s = made(v, NETWORKS / 2, deny, NETWORKS / 2);
		for (uint32_t i = 0; i < 140; i++) {
			struct mt_addr a = mt_addr4(rte_cpu_to_be_32(0x09ffffffu + i));

			CU_ASSERT_EQUAL(admits_addr(s, &a), is_in(v, &a) && !is_in(deny, &a));
			a = (struct mt_addr){.q = {0, rte_cpu_to_be_64(i)}};
			CU_ASSERT_EQUAL(admits_addr(s, &a), is_in(v, &a) && !is_in(deny, &a));
		}
		l4_sources_free(s);
	}
}

/* A client that the lists leave out gets no new flow, and soon loses those that it has. */
static void flows(void)
{
	static struct scene s;
	struct sc_udp u = {
		.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 9, .dport = 4000, .data = 4};
	struct mt_l4_network deny = network("10.1.0.0/16");
	struct mt_l4_sources *sources = made(NULL, 0, &deny, 1);

	sc_open(&s, 1, 400);
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	for (uint32_t i = 0; i < s.set->n_rows; i++)
		if (s.set->rows[i].service == SC_NAT)
			s.set->rows[i].sources = sources;
	s.set->generation++;
	u.sport = 10;
	CU_ASSERT_PTR_NULL(sc_pass(&s, &u));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_source_denied), 1);
	CU_ASSERT_EQUAL(sc_stats(&s, SC_NAT).denied, 1);
	u.src = "10.2.1.1";
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	for (uint32_t i = 0; i < 2000; i++)
		sc_turn(&s, MT_MSEC);
	CU_ASSERT_EQUAL(sc_flows(&s), 1);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_ended), 1);
	CU_ASSERT(sc_close(&s));
	l4_sources_free(sources);
}

/* Each network has its counter, which begins again when another network gets its number. */
static void rule_counters(void)
{
	static struct scene s;
	struct sc_udp u = {
		.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 9, .dport = 4000, .data = 4};
	struct mt_l4_network deny = network("10.1.0.0/16"), allow = network("10.0.0.0/8");
	struct mt_l4_sources *sources;

	deny.rule = 4;
	allow.rule = MT_L4_RULES_MAX;
	sources = made(&allow, 1, &deny, 1);
	sc_open(&s, 1, 400);
	for (uint32_t i = 0; i < s.set->n_rows; i++)
		if (s.set->rows[i].service == SC_NAT)
			s.set->rows[i].sources = sources;
	s.set->rules[s.set->n_rules++] = (struct mt_l4_rule){deny, SC_NAT, true, 11};
	s.set->generation++;
	CU_ASSERT_PTR_NULL(sc_pass(&s, &u));
	CU_ASSERT_PTR_NULL(sc_pass(&s, &u));
	CU_ASSERT_EQUAL(mt_l4_rule_packets(s.l[0], 3), 2);
	u.src = "10.2.1.1";
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u)); /* of the flow: the lists are not read */
	CU_ASSERT_EQUAL(mt_l4_rule_packets(s.l[0], MT_L4_RULES_MAX - 1), 1);
	s.set->generation++;
	sc_turn(&s, MT_MSEC);
	CU_ASSERT_EQUAL(mt_l4_rule_packets(s.l[0], 3), 2);
	s.set->rules[0].owner = 13;
	s.set->generation++;
	sc_turn(&s, MT_MSEC);
	CU_ASSERT_EQUAL(mt_l4_rule_packets(s.l[0], 3), 0);
	CU_ASSERT(sc_close(&s));
	l4_sources_free(sources);
}

/*
 * A policy of one endpoint: its flows are refused and end, TCP by a reset, and none of them goes to
 * the other endpoint.
 */
static void policies(void)
{
	static struct scene s;
	struct mt_addr_range range = {fx_addr("10.2.0.0"), fx_addr("10.2.255.255")};
	struct mt_addr_ranges clients = {&range, 1};
	struct sc_udp u = {"10.1.1.1", "192.0.2.80", 0, 4000, 40, 0, false};
	uint32_t sent = 0, flows, resets;

	sc_open(&s, 1, 400);
	for (u.sport = 1; u.sport <= 60; u.sport++)
		CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	for (uint32_t i = 0; i < s.set->n_services; i++)
		if (s.set->services[i].id == SC_NAT || s.set->services[i].id == SC_NAT_TCP)
			s.set->services[i].v4->endpoints[0].clients = &clients;
	s.set->generation++;
	for (uint32_t i = 0; i < 2000; i++)
		sc_turn(&s, MT_MSEC);
	flows = sc_flows(&s);
	CU_ASSERT(flows > 5 && flows < 55);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_ended), 60 - flows);
	for (u.sport = 1; u.sport <= 60; u.sport++)
		sent += sc_pass(&s, &u) != NULL;
	CU_ASSERT_EQUAL(sent, flows);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_policy_denied), 60 - flows);
	CU_ASSERT_EQUAL(sc_stats(&s, SC_NAT).policy_denied, 60 - flows);
	u.src = "10.2.1.1";
	for (u.sport = 1; u.sport <= 60; u.sport++)
		CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	resets = (uint32_t)fx_count(&s.f, MT_NET_forward_reset_out);
	for (uint16_t port = 1; port <= 40; port++) {
		const struct cn_segment g = {.src = "10.1.1.1",
			.dst = "192.0.2.80",
			.sport = port,
			.dport = 5432,
			.flags = SYN};

		CU_ASSERT_PTR_NOT_NULL(cn_pass(&s, &g));
	}
	resets = (uint32_t)fx_count(&s.f, MT_NET_forward_reset_out) - resets;
	CU_ASSERT(resets > 5);
	CU_ASSERT_EQUAL(sc_stats(&s, SC_NAT_TCP).policy_denied, resets);
	CU_ASSERT(sc_close(&s));
}

const struct mt_test source_tests[] = {{"lists", lists}, {"families", families},
	{"before IPv4", before_ipv4}, {"rules", rules}, {"counters of rules", rule_counters},
	{"at random", at_random}, {"flows", flows}, {"policies", policies}, {0}};
