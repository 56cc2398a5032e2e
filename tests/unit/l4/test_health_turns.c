/* SPDX-License-Identifier: Apache-2.0 */
/*
 * More health checks are due than a worker may begin, in virtual time: each endpoint has its turn,
 * and namespaces with few endpoints do not wait for those with many.
 */
#include "mt_l4_priv.h"
#include "scene.h"
#include "test_l4.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

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

/* ---- work ---------------------------------------------------------------------------------- */

#define MANY_OWNERS (MT_L4_CHECK_QUEUES / 2)
#define TRIES	    5 /* of which the shortest counts, as other programs use the processor */

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * MT_SEC + (uint64_t)t.tv_nsec;
}

/* Time in which a pass begins: checks of each queue wait, and no place for a connection is free. */
static uint64_t begin_ns(struct mt_l4 *l, struct mt_l4_set *set)
{
	uint64_t began;

	for (uint32_t i = 0; i < set->n_check_ranges; i++)
		l->turns.queues[set->check_ranges[i].queue] =
			(struct l4_check_queue){.waiting = 1, .refused = L4_NONE};
	l->turns.queues[1].open = MT_L4_CHECKS_AT_ONCE;
	l->turns.queues[0].waiting = 2 * MT_L4_CHECKS_PER_S;
	l->now += MT_SEC;
	began = cpu_ns();
	l4_turns_begin(l);
	began = cpu_ns() - began;
	CU_ASSERT_EQUAL(l->turns.queues[0].granted, MT_L4_CHECKS_PER_S);
	CU_ASSERT_EQUAL(l->turns.spare, 0);
	return began;
}

/* One queue gets all checks of a second, next to a thousand that get none. */
static void grants_are_bounded(void)
{
	static struct mt_l4_check_range ranges[MANY_OWNERS + 1];
	struct mt_l4_set set = {.check_ranges = ranges, .n_check_ranges = MANY_OWNERS + 1};
	const struct mt_l4_set *was;
	uint64_t least_ns = UINT64_MAX;

	for (uint16_t i = 1; i <= MANY_OWNERS; i++)
		ranges[i].queue = (uint16_t)(2 * i - 1);
	memset(&s, 0, sizeof(s));
	s.checks = &(const struct mt_l4_check_ops){.connect = begin_one, .changed = ignore};
	s.health = mt_l4_health_new(1, (const uint8_t *)"0123456789abcdef");
	sc_open(&s, 1, 64);
	was = s.l[0]->set;
	s.l[0]->set = &set;
	for (int i = 0; i < TRIES; i++)
		least_ns = MT_MIN(least_ns, begin_ns(s.l[0], &set));
	s.l[0]->set = was;
	CU_ASSERT(least_ns < MT_MSEC);
	CU_ASSERT(sc_close(&s));
	mt_l4_health_free(s.health);
}

#define MANY_SERVICES (MT_L4_SERVICES_MAX / 2)

/* Time in which the checks of these services are listed. */
static uint64_t list_ns(const struct mt_l4_conf *c, struct mt_l4_set *set)
{
	uint64_t began = cpu_ns();

	set->n_checks = set->n_check_ranges = 0;
	CU_ASSERT_EQUAL(l4_checks_list(set, c), 0);
	return cpu_ns() - began;
}

/* Each service has an owner of its own, so that owners share queues. */
static void listing_is_bounded(void)
{
	static struct mt_l4_service_conf list[MANY_SERVICES];
	static struct mt_l4_endpoint_conf e[MANY_SERVICES];
	static struct mt_l4_check checks[MANY_SERVICES];
	static struct mt_l4_check_range ranges[MT_L4_CHECK_QUEUES];
	static char names[MANY_SERVICES][64];
	static const uint8_t healthy;
	struct mt_l4_set set = {.checks = checks, .check_ranges = ranges};
	uint64_t least_ns = UINT64_MAX;

	for (uint32_t i = 0; i < MANY_SERVICES; i++) {
		snprintf(names[i], sizeof(names[i]), "a-namespace-of-the-mesh-with-number-%u", i);
		e[i] = (struct mt_l4_endpoint_conf){
			.port = 80, .health = {&healthy, i + 1, i, NULL}};
		list[i] = (struct mt_l4_service_conf){
			.owner = names[i], .endpoints = &e[i], .n_endpoints = 1, .check = each_2s};
	}
	for (int i = 0; i < TRIES; i++)
		least_ns = MT_MIN(least_ns,
			list_ns(&(struct mt_l4_conf){.services = list, .n_services = MANY_SERVICES},
				&set));
	CU_ASSERT(least_ns < 10 * MT_MSEC);
	CU_ASSERT_EQUAL(set.n_checks, MANY_SERVICES);
	CU_ASSERT_EQUAL(set.n_check_ranges, MANY_OWNERS);
	for (uint32_t i = 0; i < set.n_check_ranges; i++)
		CU_ASSERT_EQUAL(ranges[i].queue, 2 * i + 1);
}

const struct mt_test health_turn_tests[] = {{"many_endpoints", many_endpoints},
	{"many_silent", many_silent}, {"others_of_many", others_of_many},
	{"others_of_silent", others_of_silent}, {"many_owners", many_owners},
	{"grants_are_bounded", grants_are_bounded}, {"listing_is_bounded", listing_is_bounded},
	{0}};
