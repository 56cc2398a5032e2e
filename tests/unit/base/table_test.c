/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_rand.h"
#include "mt_table.h"
#include "suites.h"

#define CAP 20000

static uint32_t hashes[CAP];

static uint32_t hash_of(void *arg, uint32_t val)
{
	(void)arg;
	return hashes[val];
}

static bool has(const struct mt_table *t, uint32_t val)
{
	struct mt_table_iter it;
	uint32_t v = mt_table_first(t, hashes[val], &it);

	while (v != val && v != MT_TABLE_NONE)
		v = mt_table_next(t, &it);
	return v == val;
}

static uint32_t wrong(const struct mt_table *t, const bool *in)
{
	uint32_t bad = 0;

	for (uint32_t i = 0; i < CAP; i++)
		bad += has(t, i) != in[i];
	return bad;
}

/* `spread` 1: good hashes; larger ones crowd a few buckets and tags. */
static void churn(uint32_t spread)
{
	static bool in[CAP];
	struct mt_table t;
	struct mt_rand r;

	mt_rand_seed(&r, spread);
	memset(in, 0, sizeof(in));
	for (uint32_t i = 0; i < CAP; i++)
		hashes[i] = (uint32_t)mt_rand_u64(&r) / spread * spread;
	CU_ASSERT_EQUAL_FATAL(mt_table_init(&t, CAP, hash_of, NULL), 0);
	for (uint32_t i = 0; i < CAP; i++)
		CU_ASSERT_EQUAL(mt_table_insert(&t, hashes[i], i), 0);
	memset(in, 1, sizeof(in));
	CU_ASSERT_EQUAL(t.n, CAP);
	CU_ASSERT_EQUAL(wrong(&t, in), 0);
	for (uint32_t k = 0; k < 5 * CAP; k++) {
		uint32_t i = mt_rand_below(&r, CAP);

		bool ok = in[i] ? mt_table_remove(&t, hashes[i], i)
				: mt_table_insert(&t, hashes[i], i) == 0;

		CU_ASSERT_TRUE(ok);
		in[i] = !in[i];
	}
	CU_ASSERT_EQUAL(wrong(&t, in), 0);
	for (uint32_t i = 0; i < CAP; i++)
		CU_ASSERT_EQUAL(mt_table_remove(&t, hashes[i], i), in[i]);
	CU_ASSERT_EQUAL(t.n, 0);
	CU_ASSERT_EQUAL(t.over_used, 0);
	mt_table_fini(&t);
}

static void spread_hashes(void)
{
	churn(1);
}

static void crowded_hashes(void)
{
	churn(1u << 24);
}

static void replaces(void)
{
	struct mt_table t;

	hashes[1] = hashes[2] = 77;
	CU_ASSERT_EQUAL_FATAL(mt_table_init(&t, 100, hash_of, NULL), 0);
	CU_ASSERT_EQUAL(mt_table_insert(&t, 77, 1), 0);
	CU_ASSERT_FALSE(mt_table_replace(&t, 77, 2, 1));
	CU_ASSERT_TRUE(mt_table_replace(&t, 77, 1, 2));
	CU_ASSERT_TRUE(has(&t, 2));
	CU_ASSERT_FALSE(has(&t, 1));
	mt_table_fini(&t);
}

const struct mt_test table_tests[] = {
	{"table: good hashes", spread_hashes},
	{"table: crowded buckets", crowded_hashes},
	{"table: replace", replaces},
	{0},
};
