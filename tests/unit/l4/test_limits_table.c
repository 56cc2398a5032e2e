/* SPDX-License-Identifier: Apache-2.0 */
/* Floods: of one source, and from more forged sources than a worker has places for. */
#include "limited.h"
#include "mt_l4_priv.h"
#include "test_l4.h"

#include <stdio.h>

static const struct li_service *const nat = &li_services[MT_L4_NAT];

/* One source floods by many flows; another one's flow and its new connections go on. */
static void other_source(void)
{
	uint32_t passed = 0, opened = 0, flood = 0, made;
	uint64_t before;

	for (uint16_t workers = 1; workers <= 3; workers += 2) {
		li_open(workers, 2000);
		li.limits[SC_NAT].max[MT_L4_SOURCE_PACKETS] = 300;
		li.limits[SC_NAT].max[MT_L4_SOURCE_NEW_CONNECTIONS] = 60;
		li.limits[SC_NAT].max[MT_L4_SERVICE_PACKETS] = 1000;
		sc_swap(&li);
		before = sc_count(&li, MT_L4_flows_made);
		passed = opened = flood = 0;
		for (uint32_t ms = 0; ms < 4000; ms++) {
			for (uint32_t i = 0; i < 10; i++)
				flood += li_datagram(nat, "10.1.0.7",
					(uint16_t)(2000 + (ms * 10 + i) % 4000), 10);
			if (ms % 20 == 0)
				passed += li_datagram(nat, "10.2.0.8", 2000, 10);
			if (ms % 100 == 50)
				opened += li_datagram(nat, "10.2.0.8", (uint16_t)(3000 + ms), 10);
			sc_turn(&li, MT_MSEC);
		}
		CU_ASSERT_EQUAL(passed, 200);
		CU_ASSERT_EQUAL(opened, 40);
		/* The bucket of packets is full until the first flows repeat theirs. */
		CU_ASSERT(flood >= 1400 && flood <= 300u * 5 + workers);
		made = (uint32_t)(sc_count(&li, MT_L4_flows_made) - before) - 1 - opened;
		CU_ASSERT(made >= 290 && made <= 60u * 5 + workers);
		CU_ASSERT_EQUAL(li_refused(SC_NAT, MT_L4_SERVICE_PACKETS), 0);
		li_close();
	}
}

/*
 * Packets straight to a worker's tables, because the flows of so many sources do not matter here:
 * each is of another source, `each` in a microsecond.
 */
static bool admits(uint32_t source)
{
	struct l4_pkt p = {.m = fx_mbuf(&li.f, (uint8_t[64]){0}, 60, 0)};
	struct mt_addr src = mt_addr4(rte_cpu_to_be_32(source)), dst = fx_addr("192.0.2.80");
	bool admitted;

	p.m->l2_len = 14;
	p.key = l4_make_key(&src, 2000, &dst, 4000, IPPROTO_UDP);
	admitted = l4_limit_new(li.l[0], &p, SC_NAT, false);
	if (admitted)
		mt_buf_free(p.m);
	return admitted;
}

static void at(uint64_t now)
{
	li.f.now = now;
	mt_l4_begin(li.l[0], now, li.set);
}

/*
 * As many forged sources as the places admit: 65,536 places of 10 a second, flooded by half of
 * that. A source that opens 5 a second loses nothing.
 */
static void full_table(void)
{
	uint64_t start, others = 0, forged = 0;
	struct mt_rand rand;

	mt_rand_seed(&rand, 5);
	li_open(1, 1000);
	li_limit(SC_NAT, MT_L4_SOURCE_NEW_CONNECTIONS, 10);
	start = li.f.now;
	for (uint32_t i = 0; i < 5 * 330000; i++) {
		at(start + i * 3030ull);
		forged += admits(0x20000000u | (uint32_t)(mt_rand_u64(&rand) >> 36));
		if (i % 66000 == 0)
			others += admits(0x0a020008);
	}
	CU_ASSERT_EQUAL(others, 25);
	CU_ASSERT(forged > 5 * 330000 * 99 / 100);
	CU_ASSERT(sc_count(&li, MT_L4_limit_sources_displaced) > 0);
	li_close();
}

/* Sources beyond all places share what these have: the flood does not pass unlimited. */
static void beyond_table(void)
{
	uint64_t start, passed = 0;
	struct mt_rand rand;

	mt_rand_seed(&rand, 5);
	li_open(1, 1000);
	li_limit(SC_NAT, MT_L4_SOURCE_NEW_CONNECTIONS, 1);
	start = li.f.now;
	for (uint32_t i = 0; i < 600000; i++) {
		at(start + i * 3333ull); /* 300,000 a second, for two seconds */
		passed += admits(0x20000000u | (uint32_t)(mt_rand_u64(&rand) >> 36));
	}
	CU_ASSERT(passed <= 3 * 8 * L4_SOURCE_SETS);
	CU_ASSERT(passed >= 2 * 8 * L4_SOURCE_SETS * 9 / 10);
	li_close();
}

/* A source gets no more than its rate, however many others take places. */
static void flooded_by(uint64_t ns)
{
	uint64_t start, passed = 0;
	struct mt_rand rand;

	mt_rand_seed(&rand, 6);
	li_open(1, 1000);
	li_limit(SC_NAT, MT_L4_SOURCE_NEW_CONNECTIONS, 10);
	start = li.f.now;
	for (uint64_t at_ns = 0; at_ns < 2 * MT_SEC; at_ns += ns) {
		at(start + at_ns);
		(void)admits(0x20000000u | (uint32_t)(mt_rand_u64(&rand) >> 36));
		if (at_ns / MT_MSEC != (at_ns + ns) / MT_MSEC)
			passed += admits(0x0a020008); /* a thousand a second */
	}
	CU_ASSERT(passed > 0 && passed <= 10 * (2 + 1));
	li_close();
}

static void displaced(void)
{
	flooded_by(3030);
	flooded_by(1666);
}

/* Places of a second ago are free: their sources say nothing any more. */
static void aged(void)
{
	uint64_t start, before;
	uint32_t passed = 0;

	li_open(1, 1000);
	li_limit(SC_NAT, MT_L4_SOURCE_NEW_CONNECTIONS, 1);
	start = li.f.now;
	for (uint32_t i = 0; i < 400000; i++)
		(void)admits(0x20000000u + i);
	before = sc_count(&li, MT_L4_limit_sources_displaced);
	at(start + 200 * MT_SEC);
	for (uint32_t i = 0; i < 20000; i++)
		passed += admits(0x30000000u + i);
	/* Some sets are chosen more than eight times. */
	CU_ASSERT(passed > 20000 * 999 / 1000);
	CU_ASSERT(sc_count(&li, MT_L4_limit_sources_displaced) - before < 400);
	li_close();
}

const struct mt_test limit_table_tests[] = {{"another source", other_source},
	{"full table", full_table}, {"beyond the table", beyond_table}, {"displaced", displaced},
	{"aged", aged}, {0}};
