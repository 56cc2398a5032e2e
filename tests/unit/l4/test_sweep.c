/* SPDX-License-Identifier: Apache-2.0 */
/* The sweep over all places after a change: which flows it meets, and in what time. */
#include "mt_l4_priv.h"
#include "scene.h"
#include "test_l4.h"

static struct scene s;

/* A datagram of client 10.`net`.0.`i`. */
static bool passes(uint32_t net, uint32_t i)
{
	char src[MT_ADDR_STRLEN];
	const struct sc_udp u = {src, "192.0.2.80", 7000, 4000, 10, 0, false};

	snprintf(src, sizeof(src), "10.%u.%u.%u", net, i / 200, 1 + i % 200);
	return sc_pass(&s, &u) != NULL;
}

/* Clients of 10.1.0.0/16 may not use the service any more. */
static struct mt_l4_sources *deny(void)
{
	struct mt_l4_network net = {.addr = fx_addr("10.1.0.0"), .prefix = 16};
	const struct mt_l4_service_conf c = {.deny = &net, .n_deny = 1};
	struct mt_l4_sources *sources = NULL;

	CU_ASSERT_EQUAL_FATAL(l4_sources_make(&c, &sources), 0);
	for (uint32_t i = 0; i < s.set->n_rows; i++)
		if (s.set->rows[i].service == SC_NAT)
			s.set->rows[i].sources = sources;
	s.set->generation++;
	return sources;
}

/* Flows that begin while it is under way take new places of the table. */
static void table_grows(void)
{
	struct mt_l4_sources *sources;

	sc_open(&s, 1, 4096);
	for (uint32_t i = 0; i < 200; i++)
		CU_ASSERT(passes(1, i));
	while (s.l[0]->at != 100)
		sc_turn(&s, 10 * MT_MSEC);
	CU_ASSERT_EQUAL(sc_flows(&s), 200);
	sources = deny();
	for (uint32_t i = 0; i < 150; i++) {
		CU_ASSERT(passes(2, i));
		sc_turn(&s, 4 * MT_MSEC);
	}
	for (uint32_t i = 0; i < 200; i++)
		sc_turn(&s, 10 * MT_MSEC);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_ended), 200);
	CU_ASSERT_EQUAL(sc_flows(&s), 150);
	CU_ASSERT(sc_close(&s));
	l4_sources_free(sources);
}

/* Loop iterations of a worker that sleeps as long as it may, until it has no denied flow. */
static uint64_t swept_in(uint32_t *iterations)
{
	uint64_t began = s.f.now;

	for (*iterations = 0; sc_flows(&s) && s.f.now - began < 60 * MT_SEC; ++*iterations) {
		uint64_t next = mt_l4_next(s.l[0]);

		sc_turn(&s, MT_MAX(next, s.f.now + 20 * MT_USEC) - s.f.now);
	}
	return s.f.now - began;
}

/* The last of many places, at a worker without packets. */
static void asleep(void)
{
	struct mt_l4_sources *sources;
	uint32_t iterations;

	sc_open(&s, 1, 4000000);
	for (uint32_t i = 0; i < 100; i++)
		CU_ASSERT(passes(1, i));
	/* The places between were used by flows that have ended. */
	s.l[0]->fresh = 1000000;
	s.l[0]->at = 100;
	sources = deny();
	sc_turn(&s, 0);
	CU_ASSERT(swept_in(&iterations) < 1200 * MT_MSEC);
	CU_ASSERT(iterations < 1000000 / 200);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_ended), 100);
	CU_ASSERT(sc_close(&s));
	l4_sources_free(sources);
}

/* A worker that stood still does not make up for all of that time at once, nor for much of it. */
static void after_a_pause(void)
{
	uint32_t turns = 0;

	sc_open(&s, 1, 4000000);
	CU_ASSERT(passes(1, 1));
	s.l[0]->fresh = 1000000;
	s.l[0]->at = 100;
	sc_turn(&s, 7 * MT_SEC);
	CU_ASSERT_EQUAL(s.l[0]->at, 100 + 256);
	while (mt_l4_next(s.l[0]) <= s.f.now && ++turns < 1000)
		sc_turn(&s, 0);
	CU_ASSERT(turns > 20 && turns < 80);
	sc_turn(&s, MT_MSEC);
	CU_ASSERT(mt_l4_next(s.l[0]) > s.f.now);
	CU_ASSERT(sc_close(&s));
}

const struct mt_test sweep_tests[] = {
	{"table grows", table_grows}, {"asleep", asleep}, {"after a pause", after_a_pause}, {0}};
