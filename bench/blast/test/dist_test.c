/* SPDX-License-Identifier: Apache-2.0 */
#include "dist.h"
#include "test.h"

static void values(void)
{
	static const struct {
		const char *text;
		enum blast_unit unit;
		uint64_t value;
	} good[] = {{"20", BLAST_BYTES, 20}, {"120000B", BLAST_BYTES, 120000},
		{"10K", BLAST_BYTES, 10240}, {"1.5K", BLAST_BYTES, 1536},
		{"1M", BLAST_BYTES, 1048576}, {"250us", BLAST_TIME, 250000},
		{"0.5ms", BLAST_TIME, 500000}, {"10s", BLAST_TIME, 10 * MT_SEC},
		{"0ns", BLAST_TIME, 0}};
	uint64_t v;
	struct mt_err e;

	for (size_t i = 0; i < MT_ARRAY_LEN(good); i++) {
		CU_ASSERT_EQUAL(blast_value_parse(good[i].text, good[i].unit, &v, &e), 0);
		CU_ASSERT_EQUAL(v, good[i].value);
	}
}

static void refused(void)
{
	static const struct {
		const char *text;
		enum blast_unit unit;
	} bad[] = {{"", BLAST_BYTES}, {"-1", BLAST_BYTES}, {"20ms", BLAST_BYTES},
		{"10", BLAST_TIME}, {"5 ms", BLAST_TIME}, {"20,", BLAST_BYTES},
		{"20@", BLAST_BYTES}, {"20@0", BLAST_BYTES}, {"20@x", BLAST_BYTES},
		{"30-20", BLAST_BYTES}, {"20-", BLAST_BYTES}, {"nan", BLAST_BYTES},
		{"1e30", BLAST_BYTES}};
	struct blast_dist d;
	struct mt_err e;

	for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++) {
		e.text[0] = '\0';
		CU_ASSERT(blast_dist_parse(bad[i].text, bad[i].unit, &d, &e) < 0);
		CU_ASSERT(e.text[0] != '\0');
	}
}

/* Shares and bounds of 100,000 draws; the seed is fixed. */
static void shares(void)
{
	struct blast_dist d;
	struct mt_rand r;
	struct mt_err e;
	uint32_t small = 0, low = 0;

	mt_rand_seed(&r, 1);
	CU_ASSERT_EQUAL_FATAL(blast_dist_parse("20@9,100-199@1", BLAST_BYTES, &d, &e), 0);
	for (int i = 0; i < 100000; i++) {
		uint64_t v = blast_dist_pick(&d, &r);

		CU_ASSERT_FATAL(v == 20 || (v >= 100 && v <= 199));
		small += v == 20;
		low += v >= 100 && v < 150;
	}
	CU_ASSERT(small > 89000 && small < 91000);
	CU_ASSERT(low > 4600 && low < 5400);
	CU_ASSERT_EQUAL(blast_dist_min(&d), 20);
	CU_ASSERT_EQUAL(blast_dist_max(&d), 199);
	CU_ASSERT_DOUBLE_EQUAL(blast_dist_mean(&d), 18 + 14.95, 0.001);
}

const struct mt_test blast_dist_tests[] = {
	{"values", values}, {"refused", refused}, {"shares", shares}, {0}};
