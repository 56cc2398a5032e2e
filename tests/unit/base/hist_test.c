/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_hist.h"
#include "mt_rand.h"
#include "suites.h"

#define BITS  4
#define TOP   29
#define N     MT_HIST_BUCKETS(BITS, TOP)
#define DRAWS 20000

/* Buckets follow each other without a gap: each begins where the one before ends. */
static void test_buckets(void)
{
	for (uint32_t bits = 0; bits <= 7; bits++) {
		uint32_t n = (uint32_t)MT_HIST_BUCKETS(bits, 40u);

		for (uint32_t b = 0; b < n; b++) {
			uint64_t low = mt_hist_low(b, bits), next = mt_hist_low(b + 1, bits);

			CU_ASSERT_FATAL(low < next);
			CU_ASSERT_EQUAL_FATAL(mt_hist_bucket(low, bits), b);
			CU_ASSERT_EQUAL_FATAL(mt_hist_bucket(next - 1, bits), b);
			CU_ASSERT_EQUAL_FATAL(mt_hist_bucket(mt_hist_middle(b, bits), bits), b);
		}
		CU_ASSERT_EQUAL(mt_hist_low(n, bits), 1ull << 40);
	}
	CU_ASSERT_EQUAL(mt_hist_bucket(UINT64_MAX, 7), MT_HIST_BUCKETS(7, 64) - 1);
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void against_exact(uint64_t *values, uint32_t n)
{
	static const double shares[] = {0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1};
	uint64_t counts[N] = {0};

	for (uint32_t i = 0; i < n; i++)
		mt_hist_add(counts, N, BITS, values[i]);
	qsort(values, n, sizeof(*values), ascending);
	CU_ASSERT_EQUAL(mt_hist_count(counts, N), n);
	for (size_t s = 0; s < MT_ARRAY_LEN(shares); s++) {
		/* The nearest-rank quantile: the smallest value that has its share below or at it. */
		uint64_t rank = (uint64_t)(shares[s] * 1000 + 0.5) * n;
		uint64_t at = rank ? (rank + 999) / 1000 - 1 : 0;
		double exact = (double)values[at];
		double got = (double)mt_hist_at(counts, N, BITS, shares[s]);

		CU_ASSERT_FATAL(got >= exact * (1 - 1.0 / 32) - 1 && got <= exact * (1 + 1.0 / 32));
	}
}

/* Uniform over exponents, over values, a heavy tail with two humps, and few values. */
static void test_quantiles(void)
{
	static uint64_t v[DRAWS];
	struct mt_rand r;

	mt_rand_seed(&r, 7);
	for (uint32_t i = 0; i < DRAWS; i++)
		v[i] = mt_rand_u64(&r) >> (64 - 1 - mt_rand_below(&r, TOP - 1));
	against_exact(v, DRAWS);
	for (uint32_t i = 0; i < DRAWS; i++)
		v[i] = mt_rand_below(&r, 5000);
	against_exact(v, DRAWS);
	for (uint32_t i = 0; i < DRAWS; i++)
		v[i] = mt_rand_below(&r, 100) ? 80 + mt_rand_below(&r, 30)
					      : 100000 + mt_rand_below(&r, 9000000);
	against_exact(v, DRAWS);
	for (uint32_t n = 1; n < 12; n++) {
		for (uint32_t i = 0; i < n; i++)
			v[i] = i * 1000;
		against_exact(v, n);
	}
}

static void test_bounds(void)
{
	uint64_t counts[N] = {0};

	CU_ASSERT_EQUAL(mt_hist_at(counts, N, BITS, 0.5), 0);
	for (uint64_t v = 0; v < 4096; v++)
		mt_hist_add(counts, N, BITS, v);
	for (uint64_t bound = 1; bound <= 4096; bound *= 2)
		CU_ASSERT_EQUAL(mt_hist_below(counts, N, BITS, bound), bound);
	CU_ASSERT_EQUAL(mt_hist_below(counts, N, BITS, 1536), 1536);
	/* What is longer than anything that is expected is not lost. */
	mt_hist_add(counts, N, BITS, UINT64_MAX);
	CU_ASSERT_EQUAL(counts[N - 1], 1);
	CU_ASSERT_EQUAL(mt_hist_below(counts, N, BITS, 1ull << TOP), 4097);
}

const struct mt_test hist_tests[] = {
	{"hist: buckets follow each other", test_buckets},
	{"hist: quantiles against exact ones", test_quantiles},
	{"hist: what lies below a bound", test_bounds},
	{0},
};
