/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_balance.h"
#include "mt_rand.h"
#include "mt_test.h"

#include <stdio.h>

#define MAX_N 1000
#define KEYS  100000

static char name_store[MAX_N][32];
static const char *names[MAX_N];

static void make_names(void)
{
	for (uint32_t i = 0; i < MAX_N; i++) {
		snprintf(
			name_store[i], sizeof(name_store[i]), "10.0.%u.%u:20880", i / 256, i % 256);
		names[i] = name_store[i];
	}
}

static void count_slots(const struct mt_maglev *m, uint32_t *counts, uint32_t n)
{
	memset(counts, 0, sizeof(*counts) * n);
	for (uint32_t i = 0; i < m->size; i++) {
		CU_ASSERT_FATAL(m->slots[i] < n);
		counts[m->slots[i]]++;
	}
}

static void test_sizes(void)
{
	static const struct {
		uint32_t n, size;
	} t[] = {{1, 251}, {2, 1601}, {16, 1601}, {17, 6421}, {64, 6421}, {65, 25601},
		{1000, 102407}};
	struct mt_maglev m;

	make_names();
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		CU_ASSERT_EQUAL(mt_maglev_build(&m, names, NULL, t[i].n), 0);
		CU_ASSERT_EQUAL(m.size, t[i].size);
		mt_maglev_free(&m);
	}
	CU_ASSERT_PTR_NULL(m.slots);
}

static void test_equal_spread(void)
{
	static const uint32_t ns[] = {1, 2, 4, 10, 100, 1000};
	uint32_t counts[MAX_N];
	struct mt_maglev m;

	make_names();
	for (size_t k = 0; k < MT_ARRAY_LEN(ns); k++) {
		mt_maglev_build(&m, names, NULL, ns[k]);
		count_slots(&m, counts, ns[k]);
		/* Every backend has taken the same number of turns, one more or less. */
		for (uint32_t i = 0; i < ns[k]; i++)
			CU_ASSERT(counts[i] >= m.size / ns[k] && counts[i] <= m.size / ns[k] + 1);
		mt_maglev_free(&m);
	}
}

static void test_weights(void)
{
	static const struct {
		uint32_t w[4];
	} t[] = {{{1, 2, 3, 4}}, {{80, 20, 80, 20}}, {{1, 0, 1, 0}}, {{1, 1, 1, 4000000000u}},
		{{100, 1, 1, 1}}};
	uint32_t counts[4];
	struct mt_maglev m;

	make_names();
	for (size_t k = 0; k < MT_ARRAY_LEN(t); k++) {
		double sum = 0;

		for (int i = 0; i < 4; i++)
			sum += t[k].w[i];
		mt_maglev_build(&m, names, t[k].w, 4);
		count_slots(&m, counts, 4);
		for (int i = 0; i < 4; i++) {
			double want = t[k].w[i] / sum * m.size;

			CU_ASSERT(counts[i] >= want - 3 && counts[i] <= want + 3);
			CU_ASSERT_EQUAL(counts[i] > 0, t[k].w[i] > 0);
		}
		mt_maglev_free(&m);
	}
}

/* All weights 0 is the same as equal weights: nothing better is known. */
static void test_zero_weights(void)
{
	static const uint32_t zero[4];
	struct mt_maglev a, b;

	make_names();
	mt_maglev_build(&a, names, zero, 4);
	mt_maglev_build(&b, names, NULL, 4);
	CU_ASSERT_EQUAL(memcmp(a.slots, b.slots, a.size * sizeof(*a.slots)), 0);
	mt_maglev_free(&a);
	mt_maglev_free(&b);
}

/* One backend leaves: its own keys move, and few others. */
static void test_leave(void)
{
	static const struct {
		uint32_t n;
		double others; /* share of other keys that may move */
	} t[] = {{4, 0.03}, {10, 0.03}, {100, 0.03}, {1000, 0.02}};
	struct mt_rand r;

	make_names();
	for (size_t k = 0; k < MT_ARRAY_LEN(t); k++) {
		uint32_t n = t[k].n, own = 0, other = 0;
		struct mt_maglev a, b;

		mt_rand_seed(&r, k);
		mt_maglev_build(&a, names, NULL, n);
		mt_maglev_build(&b, names, NULL, n - 1);
		for (uint32_t i = 0; i < KEYS; i++) {
			uint64_t h = mt_rand_u64(&r);
			uint32_t before = mt_maglev_pick(&a, h), after = mt_maglev_pick(&b, h);

			if (before == n - 1)
				own++;
			else if (before != after)
				other++;
		}
		CU_ASSERT(own < KEYS * 1.3 / n);
		CU_ASSERT(other <= KEYS * t[k].others);
		mt_maglev_free(&a);
		mt_maglev_free(&b);
	}
}

static void test_reorder(void)
{
	const char *other[100];
	struct mt_maglev a, b;
	struct mt_rand r;
	uint32_t wa[100], wb[100];

	make_names();
	for (uint32_t i = 0; i < 100; i++) {
		wa[i] = 1 + i % 7;
		other[i] = names[(i * 37 + 11) % 100];
		wb[i] = 1 + (i * 37 + 11) % 100 % 7;
	}
	mt_maglev_build(&a, names, wa, 100);
	mt_maglev_build(&b, other, wb, 100);
	mt_rand_seed(&r, 1);
	for (uint32_t i = 0; i < KEYS; i++) {
		uint64_t h = mt_rand_u64(&r);

		CU_ASSERT_STRING_EQUAL(names[mt_maglev_pick(&a, h)], other[mt_maglev_pick(&b, h)]);
	}
	mt_maglev_free(&a);
	mt_maglev_free(&b);
}

/* Values from the reference implementation's own test vectors and from `xxhsum -H64`. */
static void test_hash(void)
{
	struct mt_slice one = {(const uint8_t *)"abc", 3}, none = {NULL, 0};
	struct mt_slice ab[] = {{(const uint8_t *)"b", 1}, {(const uint8_t *)"a", 1}};
	struct mt_slice missing[] = {{(const uint8_t *)"a", 1}, {NULL, 0}};
	uint64_t chain;

	CU_ASSERT_EQUAL(mt_balance_hash("", 0, 0), 0xef46db3751d8e999ull);
	CU_ASSERT_EQUAL(mt_balance_hash("abc", 3, 0), 0x44bc2cf5ad770999ull);
	CU_ASSERT_EQUAL(mt_balance_hash_values(&one, 1), 0x44bc2cf5ad770999ull);
	CU_ASSERT_EQUAL(mt_balance_hash_values(&none, 1), 0xef46db3751d8e999ull);
	chain = mt_balance_hash("b", 1, mt_balance_hash("a", 1, 0));
	CU_ASSERT_EQUAL(mt_balance_hash_values(ab, 2), chain);
	chain = mt_balance_hash("a", 1, mt_balance_hash("", 0, 0));
	CU_ASSERT_EQUAL(mt_balance_hash_values(missing, 2), chain);
}

static void test_wseq(void)
{
	static const uint32_t w[] = {2, 4, 0, 6}, equal[] = {5, 5, 5}, big[] = {1, 4000000000u};
	uint32_t counts[4] = {0}, run = 0, longest = 0;
	struct mt_wseq s;

	CU_ASSERT_EQUAL(mt_wseq_build(&s, w, 4), 0);
	CU_ASSERT_EQUAL(s.n, 6);
	for (uint32_t i = 0; i < 600; i++) {
		counts[mt_wseq_at(&s, i, 4)]++;
		run = i && mt_wseq_at(&s, i, 4) == mt_wseq_at(&s, i - 1, 4) ? run + 1 : 1;
		longest = MT_MAX(longest, run);
	}
	CU_ASSERT(counts[0] == 100 && counts[1] == 200 && counts[2] == 0 && counts[3] == 300);
	CU_ASSERT(longest <= 2);
	mt_wseq_free(&s);
	CU_ASSERT_EQUAL(mt_wseq_build(&s, equal, 3), 0);
	CU_ASSERT(s.n == 0 && mt_wseq_at(&s, 4, 3) == 1);
	CU_ASSERT_EQUAL(mt_wseq_build(&s, big, 2), 0);
	CU_ASSERT(s.n <= MT_WSEQ_MAX + 1);
	counts[0] = 0;
	for (uint32_t i = 0; i < s.n; i++)
		counts[0] += s.order[i] == 0;
	CU_ASSERT_EQUAL(counts[0], 1);
	mt_wseq_free(&s);
}

static void test_two(void)
{
	uint32_t seen[5][5] = {{0}};
	struct mt_rand r;
	uint32_t a, b;

	mt_rand_seed(&r, 7);
	for (int i = 0; i < 20000; i++) {
		mt_balance_two(mt_rand_u64(&r), 5, &a, &b);
		CU_ASSERT_FATAL(a < 5 && b < 5 && a != b);
		seen[a][b]++;
	}
	for (a = 0; a < 5; a++)
		for (b = 0; b < 5; b++)
			CU_ASSERT(a == b || (seen[a][b] > 850 && seen[a][b] < 1150));
	mt_balance_two(UINT64_MAX, 1, &a, &b);
	CU_ASSERT(a == 0 && b == 0);
}

/* Of 100,000 keys, how many each backend has. */
static void count_keys(const struct mt_ring *r, uint32_t *counts, uint32_t n)
{
	memset(counts, 0, sizeof(*counts) * n);
	for (uint32_t k = 0; k < KEYS; k++) {
		uint32_t i = mt_ring_pick(r, mt_balance_hash(&k, sizeof(k), 0));

		CU_ASSERT_FATAL(i < n);
		counts[i]++;
	}
}

/* Points of a ring, and the shares of four backends in percent of all keys. */
static void test_ring_shares(void)
{
	static const struct {
		uint32_t n, w[4], min, max, points;
	} t[] = {
		{4, {1, 1, 1, 1}, 0, 0, 1024},
		{1, {1}, 0, 0, 1024},
		{4, {1, 1, 1, 1}, 1000, 0, 1000},
		{3, {1, 1, 1}, 1000, 0, 1002}, /* each has the same whole number */
		{4, {1, 2, 3, 4}, 4096, 0, 4100},
		{4, {1, 1, 1, 1}, 4096, 64, 64},
		{4, {1, 1, 1, 4000000000u}, 0, 0, MT_RING_MAX},
		{2, {0, 5}, 0, 0, 1024},
	};
	uint32_t counts[4];
	struct mt_ring r;

	make_names();
	for (size_t k = 0; k < MT_ARRAY_LEN(t); k++) {
		double sum = 0;

		for (uint32_t i = 0; i < t[k].n; i++)
			sum += t[k].w[i];
		CU_ASSERT_EQUAL_FATAL(
			mt_ring_build(&r, names, t[k].w, t[k].n, t[k].min, t[k].max), 0);
		CU_ASSERT_EQUAL(r.n, t[k].points);
		count_keys(&r, counts, t[k].n);
		/* Arcs differ in length: a few hundred points share within a quarter. */
		for (uint32_t i = 0; i < t[k].n && t[k].points >= 1000; i++) {
			double want = t[k].w[i] / sum * KEYS;

			CU_ASSERT(counts[i] + 3 >= want * 0.75 && counts[i] <= want * 1.25 + 3);
		}
		mt_ring_free(&r);
	}
}

/* A point is where other proxies have it, and a key belongs to the first one at or behind its hash. */
static void test_ring_points(void)
{
	static const char *const two[] = {"192.0.2.1:80", "192.0.2.2:80"};
	uint64_t hash = mt_balance_hash("192.0.2.2:80_3", 14, 0);
	struct mt_ring r;

	CU_ASSERT_EQUAL_FATAL(mt_ring_build(&r, two, NULL, 2, 8, 0), 0);
	CU_ASSERT_EQUAL(r.n, 8);
	for (uint32_t i = 1; i < r.n; i++)
		CU_ASSERT(r.points[i - 1].hash <= r.points[i].hash);
	CU_ASSERT_EQUAL(mt_ring_pick(&r, hash), 1);
	for (uint32_t i = 0; i < r.n; i++) {
		CU_ASSERT_EQUAL(mt_ring_pick(&r, r.points[i].hash), r.points[i].idx);
		CU_ASSERT_EQUAL(
			mt_ring_pick(&r, r.points[i].hash + 1), r.points[(i + 1) % r.n].idx);
	}
	CU_ASSERT_EQUAL(mt_ring_pick(&r, UINT64_MAX), r.points[0].idx);
	mt_ring_free(&r);
}

/* Who leaves takes only its own keys along, whatever the order of the rest. */
static void test_ring_leave(void)
{
	const char *left[9];
	struct mt_ring a, b;

	make_names();
	for (uint32_t i = 0; i < 9; i++)
		left[8 - i] = names[i];
	/* As many points for each. */
	CU_ASSERT_EQUAL_FATAL(mt_ring_build(&a, names, NULL, 10, 1000, 0), 0);
	CU_ASSERT_EQUAL_FATAL(mt_ring_build(&b, left, NULL, 9, 900, 0), 0);
	for (uint32_t k = 0; k < KEYS; k++) {
		uint64_t h = mt_balance_hash(&k, sizeof(k), 0);
		uint32_t i = mt_ring_pick(&a, h);

		CU_ASSERT(i == 9 || mt_ring_pick(&b, h) == 8 - i);
	}
	mt_ring_free(&a);
	mt_ring_free(&b);
}

static const struct mt_test tests[] = {
	{"table sizes are the smallest primes", test_sizes},
	{"equal weights share equally", test_equal_spread},
	{"weights are kept within three slots", test_weights},
	{"all-zero weights are equal weights", test_zero_weights},
	{"few keys move when a backend leaves", test_leave},
	{"order of the list does not matter", test_reorder},
	{"XXH64, sorted and chained", test_hash},
	{"weighted sequence", test_wseq},
	{"two different choices", test_two},
	{"ring: points and shares", test_ring_shares},
	{"ring: where points are", test_ring_points},
	{"ring: few keys move when a backend leaves", test_ring_leave},
	{0},
};

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"balance", tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
