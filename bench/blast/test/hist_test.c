/* SPDX-License-Identifier: Apache-2.0 */
#include "hist.h"
#include "test.h"

static struct blast_hist h, other;

static double error_of(uint64_t v)
{
	uint64_t got;

	blast_hist_clear(&h);
	blast_hist_add(&h, v);
	/* A second, much larger value, so that the first is not read from the exact maximum. */
	blast_hist_add(&h, UINT64_MAX);
	got = blast_hist_at(&h, 0.5);
	return v ? ((double)got - (double)v) / (double)v : (double)got;
}

/* Around each power of two, where the buckets change their width. */
static void within_bounds(void)
{
	for (int shift = 0; shift < 64; shift++) {
		for (int64_t off = -3; off <= 3; off++) {
			uint64_t v = (1ull << shift) + (uint64_t)off;
			double e = error_of(v);

			CU_ASSERT(e < 0.004 && e > -0.004);
			CU_ASSERT(v >= 256 || e == 0);
			CU_ASSERT(mt_hist_bucket(v, BLAST_HIST_BITS) < BLAST_HIST_BUCKETS);
		}
	}
	CU_ASSERT_EQUAL(mt_hist_bucket(UINT64_MAX, BLAST_HIST_BITS), BLAST_HIST_BUCKETS - 1);
}

static void buckets_are_in_order(void)
{
	uint32_t last = 0;

	for (uint64_t v = 0; v < 300000; v++) {
		uint32_t b = mt_hist_bucket(v, BLAST_HIST_BITS);

		if (b != last && b != last + 1)
			CU_FAIL_FATAL("a bucket was left out");
		last = b;
	}
}

/* 1..1,000,000, each once: every percentile is known. */
static void percentiles(void)
{
	static const double shares[] = {0.001, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999};

	blast_hist_clear(&h);
	for (uint64_t v = 1000000; v > 0; v--)
		blast_hist_add(&h, v);
	for (size_t i = 0; i < MT_ARRAY_LEN(shares); i++)
		CU_ASSERT_DOUBLE_EQUAL(
			(double)blast_hist_at(&h, shares[i]), shares[i] * 1e6, shares[i] * 1e4);
	CU_ASSERT_EQUAL(blast_hist_at(&h, 1), 1000000);
	CU_ASSERT_EQUAL(h.min, 1);
	CU_ASSERT_EQUAL(h.sum, 500000500000);
	CU_ASSERT_DOUBLE_EQUAL((double)blast_hist_above(&h, 900000), 100000, 7000);
}

/* The tail of few observations is not rounded away. */
static void small_counts(void)
{
	blast_hist_clear(&h);
	CU_ASSERT_EQUAL(blast_hist_at(&h, 0.5), 0);
	for (int i = 0; i < 99; i++)
		blast_hist_add(&h, 5);
	blast_hist_add(&h, 50);
	CU_ASSERT_EQUAL(blast_hist_at(&h, 0.99), 5);
	CU_ASSERT_EQUAL(blast_hist_at(&h, 0.995), 50);
	CU_ASSERT_EQUAL(blast_hist_at(&h, 0), 5);
}

static void merged(void)
{
	blast_hist_clear(&h);
	blast_hist_clear(&other);
	blast_hist_merge(&h, &other);
	CU_ASSERT_EQUAL(h.n, 0);
	blast_hist_add(&other, 1000);
	blast_hist_merge(&h, &other);
	CU_ASSERT_EQUAL(h.min, 1000);
	blast_hist_add(&h, 7);
	blast_hist_merge(&h, &other);
	CU_ASSERT_EQUAL(h.n, 3);
	CU_ASSERT_EQUAL(h.min, 7);
	CU_ASSERT_EQUAL(h.max, 1000);
	CU_ASSERT_EQUAL(h.sum, 2007);
}

const struct mt_test blast_hist_tests[] = {{"within_bounds", within_bounds},
	{"buckets_are_in_order", buckets_are_in_order}, {"percentiles", percentiles},
	{"small_counts", small_counts}, {"merged", merged}, {0}};
