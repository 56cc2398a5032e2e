/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_rand.h"
#include "../../outcomes_seen.h"
#include "suites.h"

static struct mt_filter_worker workers[MAX_WORKERS];
static struct mt_limit_registry *reg;

static void setup(uint16_t n)
{
	reg = mt_limit_registry_new(n);
	for (uint16_t i = 0; i < MAX_WORKERS; i++)
		mt_filter_worker_init(&workers[i], i);
}

static uint32_t drain(void *l, uint16_t n_workers, uint64_t now)
{
	uint32_t admitted = 0;

	for (uint32_t i = 0; i < 1000; i++)
		admitted += passes(l, &workers[i % n_workers], now);
	return admitted;
}

/* Full at the start, filled at multiples of the interval since then, never above the maximum. */
static void test_fills(void)
{
	static const struct {
		uint64_t at_ms;
		uint32_t admits;
	} t[] = {
		{0, 5},
		{999, 0},
		{1000, 2},
		{1999, 0},
		{2000, 2},
		{5000, 5},
		{5001, 0},
		{6000, 2},
		{60000, 5},
	};

	for (uint16_t n = 1; n <= MAX_WORKERS; n++) {
		void *l;

		setup(n);
		l = one_bucket(reg, (struct mt_bucket_numbers){5, 2, MT_SEC}, 77);
		for (size_t i = 0; i < MT_ARRAY_LEN(t); i++)
			CU_ASSERT_EQUAL(drain(l, n, 77 + t[i].at_ms * MT_MSEC), t[i].admits);
		mt_filter_types[0]->free_conf(l);
		mt_limit_registry_free(reg);
	}
}

/* The shared word is not touched per request, and what is not used comes back after a millisecond. */
static void test_claims(void)
{
	struct mt_limit_info info;
	void *l;

	setup(2);
	l = one_bucket(reg, (struct mt_bucket_numbers){1000, 1000, 60 * MT_SEC}, 0);
	CU_ASSERT_TRUE(passes(l, &workers[0], 10));
	info = the_bucket(reg, 10);
	/* 1000 / (8 * 2) is 62: the cap of 32 applies, one of them is spent. */
	CU_ASSERT(info.tokens == 968 && info.claimed == 31 && info.admitted == 1);
	CU_ASSERT_EQUAL(mt_filter_next(&workers[0]), 10 + MT_MSEC);
	mt_filter_tick(&workers[0], 10 + MT_MSEC - 1);
	CU_ASSERT_EQUAL(the_bucket(reg, 10).claimed, 31);
	mt_filter_tick(&workers[0], 10 + MT_MSEC);
	info = the_bucket(reg, 10);
	CU_ASSERT(info.tokens == 999 && info.claimed == 0);
	CU_ASSERT_EQUAL(mt_filter_next(&workers[0]), MT_NEVER);
	CU_ASSERT_EQUAL(workers[0].counters[MT_FILTER_claims_returned], 31);
	outcomes_seen(&mt_filter_outcomes, workers[0].counters);
	/* So a bucket gives exactly what it has, also to a worker that saw it empty before. */
	CU_ASSERT_TRUE(passes(l, &workers[0], 20));
	for (int i = 0; i < 967; i++)
		CU_ASSERT_TRUE(passes(l, &workers[1], 20));
	CU_ASSERT_FALSE(passes(l, &workers[1], 20));
	mt_filter_flush(&workers[0]);
	for (int i = 0; i < 31; i++)
		CU_ASSERT_TRUE(passes(l, &workers[1], 20));
	CU_ASSERT_FALSE(passes(l, &workers[1], 20));
	info = the_bucket(reg, 20);
	CU_ASSERT(info.admitted == 1000 && info.refused == 2 && info.tokens == 0);
	mt_filter_types[0]->free_conf(l);
	mt_limit_registry_free(reg);
}

/* A claim is not spent after the epoch turned, and is lost once the bucket was filled. */
static void test_claim_expires(void)
{
	void *l;

	setup(2);
	l = one_bucket(reg, (struct mt_bucket_numbers){160, 160, MT_SEC}, 0);
	CU_ASSERT_TRUE(passes(l, &workers[0], MT_SEC - 1));
	CU_ASSERT_EQUAL(the_bucket(reg, 0).claimed, 9);
	CU_ASSERT_TRUE(passes(l, &workers[1], MT_SEC));
	mt_filter_tick(&workers[0], 2 * MT_SEC);
	CU_ASSERT_EQUAL(workers[0].counters[MT_FILTER_claims_expired], 9);
	outcomes_seen(&mt_filter_outcomes, workers[0].counters);
	CU_ASSERT_EQUAL(drain(l, 2, MT_SEC), 159);
	mt_filter_types[0]->free_conf(l);
	mt_limit_registry_free(reg);
}

/*
 * Workers, requests, ticks and steps of time in random order, against the plain definition of a bucket:
 * never more than it, and never fewer by more than the claims that expired.
 */
static void test_random(void)
{
	uint64_t total = 0;
	struct mt_rand r;

	for (uint64_t seed = 0; seed < 100; seed++) {
		struct mt_bucket_numbers num;
		uint64_t now = 0, supply, admitted = 0, expired = 0;
		uint64_t epoch = 0;
		uint16_t n;
		void *l;

		mt_rand_seed(&r, seed);
		n = (uint16_t)(1 + mt_rand_below(&r, MAX_WORKERS));
		num.max_tokens = 1 + mt_rand_below(&r, 500);
		num.tokens_per_fill = 1 + mt_rand_below(&r, 500);
		num.fill_ns = 50 * MT_MSEC;
		setup(n);
		l = one_bucket(reg, num, 0);
		supply = num.max_tokens;
		for (int i = 0; i < 5000; i++) {
			struct mt_filter_worker *fw = &workers[mt_rand_below(&r, n)];

			if (mt_rand_below(&r, 50) == 0)
				now += mt_rand_below(&r, 20 * MT_MSEC);
			for (; epoch < now / num.fill_ns; epoch++)
				supply = MT_MIN(
					supply + num.tokens_per_fill, (uint64_t)num.max_tokens);
			mt_filter_tick(fw, now);
			if (passes(l, fw, now)) {
				CU_ASSERT_FATAL(supply > 0);
				supply--;
				admitted++;
			}
		}
		for (uint16_t w = 0; w < n; w++) {
			mt_filter_flush(&workers[w]);
			expired += workers[w].counters[MT_FILTER_claims_expired];
		}
		CU_ASSERT(the_bucket(reg, now).tokens + expired >= supply);
		CU_ASSERT(the_bucket(reg, now).tokens <= supply);
		CU_ASSERT_EQUAL(the_bucket(reg, now).admitted, admitted);
		total += admitted;
		mt_filter_types[0]->free_conf(l);
		mt_limit_registry_free(reg);
	}
	CU_ASSERT(total > 10000);
}

const struct mt_test bucket_tests[] = {
	{"full at first, then filled in steps", test_fills},
	{"claims come back", test_claims},
	{"claims expire with the epoch", test_claim_expires},
	{"random order against the definition", test_random},
	{0},
};
