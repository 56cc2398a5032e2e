/* SPDX-License-Identifier: Apache-2.0 */
/* Services compiled into a set, the set read, and what the compiler refuses. */
#include "crowd.h"
#include "mt_l4.h"
#include "test_l4.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static struct mt_addr addr(const char *text)
{
	struct mt_addr a;

	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(text, &a), 0);
	return a;
}

/* Two services, one with both families; each test changes what it needs. */
static struct scene {
	struct mt_addr vips[2], dns_vip, nat[2];
	struct mt_l4_endpoint_conf endpoints[4], dns[1];
	struct mt_l4_service_conf services[2];
	struct mt_l4_conf conf;
} s;

static void scene(void)
{
	s.vips[0] = addr("10.0.0.1");
	s.vips[1] = addr("2001:db8::1");
	s.dns_vip = s.vips[0];
	s.nat[0] = addr("10.0.9.1");
	s.nat[1] = addr("2001:db8::9:1");
	for (uint16_t i = 0; i < 4; i++) {
		char text[32];

		snprintf(text, sizeof(text), i < 3 ? "10.0.1.%u" : "2001:db8::1:%u", i + 1u);
		s.endpoints[i] =
			(struct mt_l4_endpoint_conf){.addr = addr(text), .port = 5000, .weight = 1};
	}
	s.dns[0] =
		(struct mt_l4_endpoint_conf){.addr = s.endpoints[1].addr, .port = 53, .weight = 1};
	s.services[0] = (struct mt_l4_service_conf){.id = 7,
		.name = "media",
		.vips = s.vips,
		.n_vips = 2,
		.port = 4000,
		.proto = IPPROTO_UDP,
		.mode = MT_L4_NAT_FULL,
		.endpoints = s.endpoints,
		.n_endpoints = 4};
	s.services[1] = (struct mt_l4_service_conf){.id = 3,
		.name = "dns",
		.vips = &s.dns_vip,
		.n_vips = 1,
		.port = 53,
		.proto = IPPROTO_UDP,
		.endpoints = s.dns,
		.n_endpoints = 1};
	s.conf = (struct mt_l4_conf){s.services, 2, s.nat, 2, 40000, 60999, 1, false};
}

static struct mt_l4_set *compiled(void)
{
	struct mt_l4_set *set = NULL;
	struct mt_err e;

	CU_ASSERT_EQUAL_FATAL(mt_l4_compile(&s.conf, &set, &e), 0);
	return set;
}

static void test_found(void)
{
	struct mt_l4_set *set;
	const struct mt_l4_row *r;

	scene();
	set = compiled();
	r = mt_l4_row(set, &s.vips[0], 4000, IPPROTO_UDP);
	CU_ASSERT_FATAL(r && r->group);
	CU_ASSERT_EQUAL(r->service, 7);
	CU_ASSERT_EQUAL(r->mode, MT_L4_NAT_FULL);
	CU_ASSERT_EQUAL(r->group->n_endpoints, 3);
	r = mt_l4_row(set, &s.vips[1], 4000, IPPROTO_UDP);
	CU_ASSERT_FATAL(r && r->group);
	CU_ASSERT_EQUAL(r->group->n_endpoints, 1);
	CU_ASSERT(mt_addr_eq(&r->group->endpoints[0].addr, &s.endpoints[3].addr));
	r = mt_l4_row(set, &s.vips[0], 53, IPPROTO_UDP);
	CU_ASSERT_FATAL(r != NULL);
	CU_ASSERT_EQUAL(r->mode, MT_L4_NAT);
	CU_ASSERT_PTR_NULL(mt_l4_row(set, &s.vips[1], 53, IPPROTO_UDP));
	CU_ASSERT_PTR_NULL(mt_l4_row(set, &s.vips[0], 53, IPPROTO_TCP));
	for (uint32_t port = 0; port <= 65535; port++)
		if (!mt_l4_row(set, &s.vips[0], (uint16_t)port, IPPROTO_UDP) !=
			(port != 53 && port != 4000))
			CU_FAIL_FATAL("another port leads to a row");
	CU_ASSERT_STRING_EQUAL(mt_l4_service(set, 7)->name, "media");
	CU_ASSERT_PTR_NULL(mt_l4_service(set, 4));
	mt_l4_set_free(set);
}

static void test_bits(void)
{
	struct mt_l4_set *set;

	scene();
	set = compiled();
	CU_ASSERT_EQUAL(mt_l4_addr_bits(set, &s.vips[0]), MT_L4_ADDR_ROWS);
	CU_ASSERT_EQUAL(mt_l4_addr_bits(set, &s.nat[1]), MT_L4_ADDR_NAT);
	/* Endpoints of `nat` answer foreign addresses, and of services that had that mode. */
	CU_ASSERT_EQUAL(mt_l4_addr_bits(set, &s.dns[0].addr), MT_L4_ADDR_SERVER);
	CU_ASSERT_EQUAL(mt_l4_addr_bits(set, &s.endpoints[0].addr), MT_L4_ADDR_SERVER);
	CU_ASSERT_EQUAL(set->n_servers, 5);
	CU_ASSERT_FALSE(set->nat_tcp);
	CU_ASSERT_EQUAL(set->n_nat4, 1);
	CU_ASSERT_EQUAL(set->n_nat6, 1);
	mt_l4_set_free(set);
}

/* An endpoint that is a service's address, too, has both bits; several services share endpoints. */
static void test_shared(void)
{
	struct mt_l4_set *set;

	scene();
	s.dns[0].addr = s.vips[0];
	s.services[0].mode = MT_L4_NAT;
	s.endpoints[1] = s.endpoints[0];
	set = compiled();
	CU_ASSERT_EQUAL(mt_l4_addr_bits(set, &s.vips[0]), MT_L4_ADDR_ROWS | MT_L4_ADDR_SERVER);
	CU_ASSERT_EQUAL(set->n_servers, 4); /* of five, two are the same */
	mt_l4_set_free(set);
}

static void test_no_endpoint(void)
{
	struct mt_l4_set *set;
	const struct mt_l4_row *r;

	scene();
	s.services[0].n_endpoints = 3;
	set = compiled();
	r = mt_l4_row(set, &s.vips[1], 4000, IPPROTO_UDP);
	CU_ASSERT_FATAL(r != NULL);
	CU_ASSERT_PTR_NULL(r->group);
	mt_l4_set_free(set);
}

/*
 * An unhealthy endpoint's hashes go to the next one of the table, which differs by hash; the others'
 * do not move. Without a healthy endpoint all are chosen as if they were healthy.
 */
static void test_candidates(void)
{
	uint8_t out[4] = {0};
	struct mt_l4_endpoint_conf list[4];
	const struct mt_l4_group *g;
	struct mt_l4_set *set;
	uint32_t to[3] = {0};

	scene();
	s.services[0].check = (struct mt_l4_check_conf){MT_L4_CHECK_TCP, false, 3, 2000};
	for (uint32_t i = 0; i < 4; i++) {
		list[i] = s.services[0].endpoints[i];
		list[i].health = (struct mt_l4_health_of){&out[i], i + 1, i, NULL};
	}
	s.services[0].endpoints = list;
	set = compiled();
	CU_ASSERT_EQUAL(set->n_checks, 4);
	g = mt_l4_row(set, &s.vips[0], 4000, IPPROTO_UDP)->group;
	for (uint64_t h = 0; h < 3000; h++) {
		uint32_t first, second, third;

		first = mt_l4_choose(g, h);
		*(uint8_t *)g->endpoints[first].unhealthy = 1;
		second = mt_l4_choose(g, h);
		*(uint8_t *)g->endpoints[second].unhealthy = 2;
		third = mt_l4_choose(g, h);
		CU_ASSERT(first < 3 && second < 3 && third < 3);
		CU_ASSERT(first != second && second != third && first != third);
		*(uint8_t *)g->endpoints[third].unhealthy = 1;
		CU_ASSERT_EQUAL(mt_l4_choose(g, h), first);
		memset(out, 0, sizeof(out));
		to[second] += first == 0;
	}
	/* The hashes of one endpoint go to both others. */
	CU_ASSERT(to[1] > 300 && to[2] > 300);
	mt_l4_set_free(set);
}

/* An endpoint of a weight so small that it has hardly a slot takes the place of an unhealthy one. */
static void test_far_candidate(void)
{
	uint8_t out[2] = {1, 0};
	const struct mt_l4_endpoint_conf list[] = {{.addr = addr("192.0.2.21"),
							   .port = 5000,
							   .weight = 100000,
							   .health = {&out[0], 1, 1, NULL}},
		{.addr = addr("192.0.2.22"),
			.port = 5000,
			.weight = 1,
			.health = {&out[1], 2, 2, NULL}},
		{.addr = addr("192.0.2.23"), .port = 5000}};
	const struct mt_l4_group *g;
	struct mt_l4_set *set;

	scene();
	s.services[0].check = (struct mt_l4_check_conf){MT_L4_CHECK_ICMP, false, 3, 2000};
	s.services[0].endpoints = list;
	s.services[0].n_endpoints = 3;
	set = compiled();
	g = mt_l4_row(set, &s.vips[0], 4000, IPPROTO_UDP)->group;
	for (uint64_t h = 0; h < 3000; h++)
		CU_ASSERT_EQUAL(mt_l4_choose(g, h), 1);
	mt_l4_set_free(set);
}

/* Flows of an unhealthy endpoint go to others of its part only, or stay. */
static void test_parts(void)
{
	uint8_t out[4] = {0};
	struct mt_l4_endpoint_conf list[4];
	const struct mt_l4_group *g;
	struct mt_l4_set *set;

	scene();
	s.services[0].check = (struct mt_l4_check_conf){MT_L4_CHECK_TCP, false, 3, 2000};
	for (uint32_t i = 0; i < 4; i++) {
		list[i] = s.services[0].endpoints[i];
		list[i].health = (struct mt_l4_health_of){&out[i], i + 1, i, NULL};
		list[i].part = i == 1;
	}
	s.services[0].endpoints = list;
	set = compiled();
	g = mt_l4_row(set, &s.vips[0], 4000, IPPROTO_UDP)->group;
	for (uint64_t h = 0; h < 3000; h++) {
		uint32_t first = mt_l4_choose(g, h);

		*(uint8_t *)g->endpoints[first].unhealthy = 1;
		CU_ASSERT_EQUAL(mt_l4_choose(g, h), first == 1 ? 1 : 2 - first);
		memset(out, 0, sizeof(out));
	}
	mt_l4_set_free(set);
}

/*
 * A part of two endpoints with few slots, with so many endpoints of another part around each that
 * neither slots nor places next to it have the other one.
 */
static void test_far_in_part(void)
{
	enum { N = 1000, A = 100, B = 600 };
	static struct mt_l4_endpoint_conf list[N];
	static uint8_t out[N];
	const struct mt_l4_group *g;
	struct mt_l4_set *set;
	uint32_t moved = 0;

	scene();
	for (uint32_t i = 0; i < N; i++) {
		char text[32];

		snprintf(text, sizeof(text), "10.0.%u.%u", 16 + i / 256, i % 256);
		out[i] = i == A;
		list[i] = (struct mt_l4_endpoint_conf){.addr = addr(text),
			.port = 5000,
			.weight = i == A || i == B ? 10 : 1000,
			.part = i == A || i == B,
			.health = {&out[i], i + 1, i, NULL}};
	}
	s.services[0].check = (struct mt_l4_check_conf){MT_L4_CHECK_ICMP, false, 3, 2000};
	s.services[0].endpoints = list;
	s.services[0].n_endpoints = N;
	s.services[0].n_vips = 1;
	set = compiled();
	g = mt_l4_row(set, &s.vips[0], 4000, IPPROTO_UDP)->group;
	for (uint64_t h = 0; h < g->table.size; h++) {
		if (mt_maglev_at(&g->table, h) != A)
			continue;
		moved++;
		CU_ASSERT_EQUAL(mt_l4_choose(g, h), B);
	}
	CU_ASSERT(moved > 0);
	mt_l4_set_free(set);
}

/* Of more members of a part than are read, the healthy ones are found wherever they are. */
static void test_large_part(void)
{
	enum { N = 1024, HEALTHY = 16 };
	static struct mt_l4_endpoint_conf list[N];
	static uint8_t out[N];
	const struct mt_l4_group *g;
	struct mt_l4_set *set;

	scene();
	for (uint32_t i = 0; i < N; i++) {
		char text[32];

		snprintf(text, sizeof(text), "10.0.%u.%u", 16 + i / 256, i % 256);
		out[i] = i < N - HEALTHY;
		list[i] = (struct mt_l4_endpoint_conf){.addr = addr(text),
			.port = 5000,
			.weight = out[i] ? 1000 : 1,
			.health = {&out[i], i + 1, i, NULL}};
	}
	s.services[0].check = (struct mt_l4_check_conf){MT_L4_CHECK_ICMP, false, 3, 2000};
	s.services[0].endpoints = list;
	s.services[0].n_endpoints = N;
	s.services[0].n_vips = 1;
	set = compiled();
	g = mt_l4_row(set, &s.vips[0], 4000, IPPROTO_UDP)->group;
	for (uint64_t h = 0; h < 3000; h++)
		CU_ASSERT(mt_l4_choose(g, h) >= N - HEALTHY);
	mt_l4_set_free(set);
}

/* A share without an endpoint: a fifth of the hashes, of no address that sends replies. */
static void test_refused_share(void)
{
	struct mt_l4_endpoint_conf list[3];
	const struct mt_l4_group *g;
	struct mt_l4_set *set;
	uint32_t refused_hashes = 0;

	scene();
	memcpy(list, s.endpoints, sizeof(list));
	list[0] = (struct mt_l4_endpoint_conf){.addr = mt_addr4(0), .weight = 2, .refuses = true};
	list[1].weight = list[2].weight = 4;
	s.services[0].endpoints = list;
	s.services[0].n_endpoints = 3;
	s.services[0].n_vips = 1;
	s.services[0].mode = MT_L4_DSR;
	s.services[0].port = 5000;
	set = compiled();
	CU_ASSERT_EQUAL(set->n_servers, 3); /* and that of the other service */
	g = mt_l4_row(set, &s.vips[0], 5000, IPPROTO_UDP)->group;
	for (uint64_t h = 0; h < 30000; h++)
		refused_hashes += g->endpoints[mt_l4_choose(g, h)].port == 0;
	CU_ASSERT(refused_hashes > 5500 && refused_hashes < 6500);
	mt_l4_set_free(set);
}

/* The same key chooses the same endpoint whatever the service is called; another key does not. */
static void test_key(void)
{
	struct mt_l4_set *a, *b, *c;
	uint32_t moved = 0;

	scene();
	s.services[0].key = "one";
	s.services[0].closed = true;
	a = compiled();
	CU_ASSERT(mt_l4_service(a, 7)->closed && !mt_l4_service(a, 3)->closed);
	CU_ASSERT(mt_l4_row(a, &s.vips[0], 4000, IPPROTO_UDP)->closed);
	s.services[0].name = "renamed";
	b = compiled();
	s.services[0].key = "two";
	c = compiled();
	for (uint64_t h = 0; h < 1000; h++) {
		const struct mt_l4_group *g = mt_l4_row(a, &s.vips[0], 4000, IPPROTO_UDP)->group;

		CU_ASSERT_EQUAL(mt_l4_choose(g, h),
			mt_l4_choose(mt_l4_row(b, &s.vips[0], 4000, IPPROTO_UDP)->group, h));
		moved += mt_l4_choose(g, h) !=
			 mt_l4_choose(mt_l4_row(c, &s.vips[0], 4000, IPPROTO_UDP)->group, h);
	}
	CU_ASSERT(moved > 300);
	mt_l4_set_free(a);
	mt_l4_set_free(b);
	mt_l4_set_free(c);
}

/* Addresses that an author chose so that their hashes would be equal without a key. */
static void test_chosen_addresses(void)
{
	static struct mt_addr vips[CROWD];
	struct mt_l4_set *set;

	scene();
	for (uint32_t i = 0; i < CROWD; i++)
		vips[i] = crowd_addr(i);
	s.services[0].vips = vips;
	s.services[0].n_vips = CROWD;
	set = compiled();
	CU_ASSERT(crowd_longest_row(set->slots, set->mask + 1) <= CROWD_ROW);
	for (uint32_t i = 0; i < CROWD; i++) {
		const struct mt_l4_row *r = mt_l4_row(set, &vips[i], 4000, IPPROTO_UDP);

		CU_ASSERT(r && mt_addr_eq(&r->addr, &vips[i]));
	}
	CU_ASSERT_PTR_NULL(mt_l4_row(set, &vips[0], 4001, IPPROTO_UDP));
	mt_l4_set_free(set);
}

static void refused(const char *words)
{
	struct mt_l4_set *set = NULL;
	struct mt_err e = {{0}};

	CU_ASSERT_EQUAL(mt_l4_compile(&s.conf, &set, &e), -EINVAL);
	CU_ASSERT_PTR_NULL(set);
	if (!strstr(e.text, words))
		printf("\n\"%s\" is not in \"%s\"", words, e.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, words));
	scene();
}

static void test_refusals(void)
{
	scene();
	s.services[0].id = MT_L4_SERVICES_MAX;
	refused("is above 8191");
	s.services[0].id = 3;
	refused("have the same id");
	s.services[0].proto = IPPROTO_ICMP;
	refused("media: only UDP and TCP are forwarded");
	s.services[0].mode = MT_L4_MODES;
	refused("no forwarding mode");
	s.services[0].n_vips = 0;
	refused("no address and port");
	s.services[0].port = 0;
	refused("no address and port");
	s.endpoints[2].port = 0;
	refused("endpoint 2 has no address and port");
	s.endpoints[2].addr = (struct mt_addr){0};
	refused("endpoint 2 has no address and port");
	s.services[0].port = 53;
	refused("10.0.0.1:53: service media forwards it already");
	s.conf.n_nat = 1;
	refused("needs a NAT address of IPv6");
	s.conf.n_nat = 0;
	refused("needs a NAT address of IPv4");
	s.conf.nat_lo = 0;
	refused("0 to 60999 is not a range");
	s.conf.nat_hi = 39999;
	refused("40000 to 39999 is not a range");
	s.nat[0] = s.vips[0];
	refused("10.0.0.1: it is an address of a service");
	s.nat[0] = s.dns[0].addr;
	refused("10.0.1.2: it is an endpoint's");
}

const struct mt_test set_tests[] = {{"rows and services are found", test_found},
	{"bits of addresses", test_bits}, {"shared addresses and endpoints", test_shared},
	{"a family without endpoints", test_no_endpoint}, {"candidates", test_candidates},
	{"far_candidate", test_far_candidate}, {"parts of the endpoints", test_parts},
	{"far_in_part", test_far_in_part}, {"large_part", test_large_part},
	{"a refused share", test_refused_share}, {"key of the choice", test_key},
	{"chosen addresses", test_chosen_addresses}, {"refusals of the compiler", test_refusals},
	{0}};
