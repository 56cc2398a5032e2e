/* SPDX-License-Identifier: Apache-2.0 */
/*
 * More health checks are due than a worker may begin, in virtual time: each endpoint has its turn,
 * and namespaces with few endpoints do not wait for those with many.
 */
#include "scene.h"
#include "test_l4.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define ENDPOINTS 12000
#define OWNERS	  201
#define PLACES	  256

static const struct mt_l4_check_conf each_2s = {MT_L4_CHECK_TCP, false, 3, 2000};

/* Endpoints are answered at once, or never, so that each holds a place for 1.5 s. */
static struct many {
	uint32_t silent; /* endpoints from 0 on */
	uint32_t begun[ENDPOINTS], total;
	uint64_t last[ENDPOINTS], gap[ENDPOINTS]; /* between two checks, at most */
	struct {
		uint32_t index, token;
		uint64_t until;
	} held[PLACES];
	uint32_t n_held;
} many;
static struct scene s;

static bool begin_one(void *arg, const struct mt_l4_check *k, uint32_t token, uint32_t timeout_ms)
{
	uint32_t i = k->health.index;

	if (many.n_held == PLACES)
		return false;
	many.total++;
	if (many.begun[i]++)
		many.gap[i] = MT_MAX(many.gap[i], s.f.now - many.last[i]);
	many.last[i] = s.f.now;
	if (i >= many.silent) {
		mt_l4_checked(s.l[0], i, token, MT_L4_PASSED, NULL);
		return true;
	}
	many.held[many.n_held].index = i;
	many.held[many.n_held].token = token;
	many.held[many.n_held++].until = s.f.now + timeout_ms * MT_MSEC;
	return true;
}

/* In the order in which they began. */
static void end_silent(void)
{
	uint32_t n = 0;

	for (; n < many.n_held && many.held[n].until <= s.f.now; n++)
		mt_l4_checked(
			s.l[0], many.held[n].index, many.held[n].token, MT_L4_FAILED, "silent");
	many.n_held -= n;
	memmove(many.held, many.held + n, many.n_held * sizeof(many.held[0]));
}

static void ignore(void *arg, const struct mt_l4_check *k, const char *why)
{
}

/* Services of as many owners, with these numbers of endpoints. */
static void compile(const uint32_t *n, uint32_t owners)
{
	static struct mt_l4_endpoint_conf e[ENDPOINTS];
	static struct mt_l4_service_conf list[OWNERS];
	static const uint8_t healthy;
	static char names[OWNERS][16];
	static struct mt_addr vip;
	const struct mt_l4_conf conf = {.services = list, .n_services = owners};
	struct mt_err err;
	uint32_t at = 0;

	vip = fx_addr("192.0.2.80");
	for (uint32_t i = 0; i < owners; i++) {
		snprintf(names[i], sizeof(names[i]), "ns-%u", i);
		list[i] = (struct mt_l4_service_conf){.id = i,
			.name = names[i],
			.owner = names[i],
			.vips = &vip,
			.n_vips = 1,
			.port = (uint16_t)(1000 + i),
			.proto = IPPROTO_TCP,
			.endpoints = &e[at],
			.n_endpoints = n[i],
			.check = each_2s};
		for (uint32_t k = 0; k < n[i]; k++, at++)
			e[at] = (struct mt_l4_endpoint_conf){
				.addr = mt_addr4(rte_cpu_to_be_32(0x0a000000 + at)),
				.port = 80,
				.weight = 1,
				.health = {&healthy, at + 1, at, NULL}};
	}
	CU_ASSERT_EQUAL_FATAL(mt_l4_compile(&conf, &s.set, &err), 0);
}

/* Lets `seconds` pass with these endpoints, of which the first `silent` do not answer. */
static uint64_t check(const uint32_t *n, uint32_t owners, uint32_t silent, uint32_t seconds)
{
	static const struct mt_l4_check_ops ops = {.connect = begin_one, .changed = ignore};
	uint64_t delayed;

	memset(&many, 0, sizeof(many));
	many.silent = silent;
	s = (struct scene){.checks = &ops};
	s.health = mt_l4_health_new(1, (const uint8_t *)"0123456789abcdef");
	sc_open(&s, 1, 64);
	mt_l4_set_free(s.set);
	compile(n, owners);
	for (uint32_t i = 0; i < 1000 * seconds; i++) {
		end_silent();
		sc_turn(&s, MT_MSEC);
	}
	delayed = sc_count(&s, MT_L4_checks_delayed);
	CU_ASSERT(sc_close(&s));
	mt_l4_health_free(s.health);
	return delayed;
}

/* How often the endpoint was checked that was checked least, of [from, end). */
static uint32_t least(uint32_t from, uint32_t end)
{
	uint32_t n = UINT32_MAX;

	for (uint32_t i = from; i < end; i++)
		n = MT_MIN(n, many.begun[i]);
	return n;
}

/* The longest time between two checks of an endpoint of [from, end), in ms. */
static uint32_t longest_ms(uint32_t from, uint32_t end)
{
	uint64_t ns = 0;

	for (uint32_t i = from; i < end; i++)
		ns = MT_MAX(ns, many.gap[i]);
	return (uint32_t)(ns / MT_MSEC);
}

/* A worker begins at most 1,000 checks a second; each endpoint has its turn nevertheless. */
static void many_endpoints(void)
{
	const uint32_t n = 5000;

	CU_ASSERT(check(&n, 1, 0, 10) > 0);
	CU_ASSERT(least(0, n) >= 1);
	CU_ASSERT(many.total >= 9000 && many.total <= 10100);
}

/* Silent endpoints hold all places; each endpoint has its turn nevertheless. */
static void many_silent(void)
{
	const uint32_t n = 1000;

	CU_ASSERT(check(&n, 1, n, 30) > 0);
	CU_ASSERT(least(0, n) >= 3);
	CU_ASSERT(many.total <= 30 * PLACES);
}

/* One namespace has more checks than a worker can begin: others keep their interval. */
static void others_of_many(void)
{
	const uint32_t n[3] = {3, 10000, 40};

	CU_ASSERT(check(n, 3, 0, 30) > 0);
	CU_ASSERT(least(0, 3) >= 13);
	CU_ASSERT(longest_ms(0, 3) <= 2200);
	CU_ASSERT(least(10003, 10043) >= 13);
	CU_ASSERT(longest_ms(10003, 10043) <= 2200);
	CU_ASSERT(least(3, 10003) >= 2);
	CU_ASSERT(many.total >= 29000 && many.total <= 30100);
}

/* The same if its endpoints do not answer, and hold the places. */
static void others_of_silent(void)
{
	const uint32_t n[2] = {2000, 10};

	CU_ASSERT(check(n, 2, 2000, 30) > 0);
	CU_ASSERT(least(2000, 2010) >= 12);
	CU_ASSERT(longest_ms(2000, 2010) <= 2500);
	CU_ASSERT(least(0, 2000) >= 1);
}

/* Many namespaces with many checks: one with few waits for one check of each at most. */
static void many_owners(void)
{
	uint32_t n[OWNERS], first = 50 * (OWNERS - 1);

	for (uint32_t i = 0; i < OWNERS; i++)
		n[i] = i < OWNERS - 1 ? 50 : 2;
	CU_ASSERT(check(n, OWNERS, 0, 30) > 0);
	CU_ASSERT(least(first, first + 2) >= 11);
	CU_ASSERT(longest_ms(first, first + 2) <= 2000 + 2 * 1000 * OWNERS / 1000 + 100);
	CU_ASSERT(least(0, first) >= 2);
}

const struct mt_test health_turn_tests[] = {{"many_endpoints", many_endpoints},
	{"many_silent", many_silent}, {"others_of_many", others_of_many},
	{"others_of_silent", others_of_silent}, {"many_owners", many_owners}, {0}};
