/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_balance.h"
#include "mt_rand.h"
#include "mt_test.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#define MAX_N 4001
#define MANY  65536 /* more than entries of 2 bytes can name */
#define KEYS  100000

/* XXH64 of the slots of the first five names, of weights 1 to 5. */
#define TABLE_HASH 0x4ddb68b5071bc920ull

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
		CU_ASSERT_FATAL(mt_maglev_at(m, i) < n);
		counts[mt_maglev_at(m, i)]++;
	}
}

static void test_sizes(void)
{
	static const struct {
		uint32_t n, size;
	} t[] = {{1, 1}, {2, 65537}, {16, 65537}, {17, 65537}, {65, 65537}, {1000, 65537},
		{4000, 65537}, {4001, 1000003}};
	struct mt_maglev m;

	make_names();
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		CU_ASSERT_EQUAL(mt_maglev_build(&m, names, NULL, t[i].n), 0);
		CU_ASSERT_EQUAL(m.size, t[i].size);
		CU_ASSERT(m.slots && !m.wide);
		mt_maglev_free(&m);
	}
	CU_ASSERT_PTR_NULL(m.slots);
	CU_ASSERT_EQUAL(mt_maglev_usage().tables, 0);
}

static void test_wide(void)
{
	static char texts[MANY][16];
	static const char *many[MANY];
	uint32_t *counts = calloc(MANY, sizeof(*counts));
	struct mt_maglev m;

	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(texts[i], sizeof(texts[i]), "server-%u", i);
		many[i] = texts[i];
	}
	CU_ASSERT_EQUAL_FATAL(mt_maglev_build(&m, many, NULL, MANY), 0);
	CU_ASSERT(m.size == 1000003 && m.wide && !m.slots);
	count_slots(&m, counts, MANY);
	for (uint32_t i = 0; i < MANY; i++)
		CU_ASSERT(counts[i] > 0);
	CU_ASSERT_EQUAL(mt_maglev_pick(&m, UINT64_MAX), m.wide[m.size - 1]);
	mt_maglev_free(&m);
	free(counts);
	CU_ASSERT_EQUAL(mt_maglev_build(&m, many, NULL, MT_MAGLEV_MAX + 1), -E2BIG);
}

/* Most slots that a backend may have above its share. */
static double slack(double share)
{
	return sqrt(share) * 3 / 4 + 1;
}

static void test_equal_spread(void)
{
	static const struct {
		uint32_t n;
		double least; /* part of its share that each backend has */
	} t[] = {{1, 1}, {2, 0.99}, {4, 0.98}, {10, 0.96}, {65, 0.9}, {100, 0.88}, {256, 0.8},
		{1000, 0.6}};
	uint32_t counts[MAX_N];
	struct mt_maglev m;

	make_names();
	for (size_t k = 0; k < MT_ARRAY_LEN(t); k++) {
		double share;

		mt_maglev_build(&m, names, NULL, t[k].n);
		count_slots(&m, counts, t[k].n);
		share = (double)m.size / t[k].n;
		for (uint32_t i = 0; i < t[k].n; i++) {
			CU_ASSERT(counts[i] >= share * t[k].least);
			CU_ASSERT(counts[i] <= share + slack(share));
		}
		mt_maglev_free(&m);
	}
}

static void test_weights(void)
{
	static const struct {
		uint32_t w[4];
	} t[] = {{{1, 2, 3, 4}}, {{80, 20, 80, 20}}, {{1, 0, 1, 0}}, {{1, 1, 1, 4000000000u}},
		{{100, 1, 1, 1}}, {{1, 1000000, 1000000, 3}}, {{1, 65535, 300, 300}},
		{{3999999999u, 4000000000u, 7, 0}}};
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

			CU_ASSERT(counts[i] >= want * 0.95 - 2);
			CU_ASSERT(counts[i] <= want + slack(want));
			CU_ASSERT_EQUAL(counts[i] > 0, t[k].w[i] > 0);
		}
		mt_maglev_free(&m);
	}
}

/* Weights far apart: the table is filled, and each backend has a slot. */
static void test_extreme_weights(void)
{
	uint32_t counts[1000], w[1000];
	struct mt_maglev m;

	make_names();
	for (uint32_t heavy = 1; heavy < 1000; heavy *= 10) {
		for (uint32_t i = 0; i < 1000; i++)
			w[i] = i < heavy ? UINT32_MAX - i : i % 2 ? 1 : 30000;
		mt_maglev_build(&m, names, w, 1000);
		count_slots(&m, counts, 1000);
		for (uint32_t i = 0; i < 1000; i++)
			CU_ASSERT(counts[i] > 0);
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
	CU_ASSERT_PTR_EQUAL(a.slots, b.slots);
	mt_maglev_free(&a);
	mt_maglev_free(&b);
}

/* A set of backends: those from `first` on, without the one at `gone` (UINT32_MAX: none). */
struct set {
	uint32_t first, n, gone;
	bool weighted;
	uint32_t doubled; /* the weight of this one is twice as large; UINT32_MAX: none */
};

/* The backend of each of PICKS keys, which are spread evenly: its place among all names. */
#define PICKS 65536u

static void pick_all(const struct set *s, uint32_t *picks)
{
	const char *list[MAX_N];
	uint32_t w[MAX_N], at[MAX_N], n = 0;
	struct mt_maglev m;

	for (uint32_t i = s->first; i < s->first + s->n; i++) {
		if (i - s->first == s->gone)
			continue;
		list[n] = names[i];
		w[n] = (s->weighted ? 1 + i * 7 % 4 : 1) << (i - s->first == s->doubled);
		at[n++] = i;
	}
	CU_ASSERT_EQUAL_FATAL(mt_maglev_build(&m, list, w, n), 0);
	for (uint64_t i = 0; i < PICKS; i++)
		picks[i] = at[mt_maglev_pick(&m, i << 48 | 1ull << 47)];
	mt_maglev_free(&m);
}

/* Keys that move between a and b, in shares of 1 / n; `others`: neither from nor to `one`. */
static double moved(const uint32_t *a, const uint32_t *b, uint32_t n, uint32_t one, double *others)
{
	uint32_t all = 0, rest = 0;

	for (uint32_t i = 0; i < PICKS; i++) {
		all += a[i] != b[i];
		rest += a[i] != b[i] && a[i] != one && b[i] != one;
	}
	*others = (double)rest * n / PICKS;
	return (double)all * n / PICKS;
}

static const uint32_t counts_of_backends[] = {2, 3, 5, 8, 16, 17, 64, 65, 256, 999, 1000};

/* The most keys that move when one backend comes or goes; with unequal weights, too. */
struct moves {
	double come[2], gone[2];
};

static void moves_of(uint32_t n, uint32_t run, struct moves *most)
{
	static uint32_t before[PICKS], after[PICKS];
	struct set s = {run * 97, n, UINT32_MAX, run % 2, UINT32_MAX};
	double others, all;

	pick_all(&s, before);
	s.n = n + 1;
	pick_all(&s, after);
	all = moved(before, after, n, s.first + n, &others);
	CU_ASSERT(all <= 2.5 && others <= 1);
	most->come[run % 2] = MT_MAX(most->come[run % 2], all);
	s.n = n;
	s.gone = (run * 31 + 1) % n;
	pick_all(&s, after);
	all = moved(before, after, n, s.first + s.gone, &others);
	CU_ASSERT(all <= 2.5 && others <= 1);
	most->gone[run % 2] = MT_MAX(most->gone[run % 2], all);
}

/* One backend comes or goes: its own keys move, and few others. MT_PRINT=1 prints the table. */
static void test_moved(void)
{
	make_names();
	for (size_t k = 0; k < MT_ARRAY_LEN(counts_of_backends); k++) {
		uint32_t n = counts_of_backends[k];
		struct moves most = {{0}, {0}};

		for (uint32_t run = 0; run < (n < 999 ? 8 : 2); run++)
			moves_of(n, run, &most);
		if (getenv("MT_PRINT"))
			printf("\n  %4u backends: moved shares of 1/n: +1 %.2f, -1 %.2f; "
			       "weights 1 to 4: +1 %.2f, -1 %.2f",
				n, most.come[0], most.gone[0], most.come[1], most.gone[1]);
	}
}

/* One weight changes: the difference moves, and few other keys. */
static void test_weight_moves(void)
{
	static uint32_t before[PICKS], after[PICKS];

	make_names();
	for (size_t k = 0; k < MT_ARRAY_LEN(counts_of_backends); k++) {
		uint32_t n = counts_of_backends[k];

		for (uint32_t run = 0; run < 2; run++) {
			struct set s = {run * 97, n, UINT32_MAX, run % 2, UINT32_MAX};
			double others, all;

			pick_all(&s, before);
			s.doubled = (run * 31 + 1) % n;
			pick_all(&s, after);
			all = moved(before, after, n, s.first + s.doubled, &others);
			CU_ASSERT(all <= 2.5 && others <= 1);
		}
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

/* Nodes of other builds and architectures fill the same table, and so do later versions. */
static void test_same_everywhere(void)
{
	static const uint32_t w[] = {1, 2, 3, 4, 5};
	struct mt_maglev m;

	make_names();
	mt_maglev_build(&m, names, w, 5);
	CU_ASSERT_EQUAL(mt_balance_hash(m.slots, m.size * sizeof(*m.slots), 0), TABLE_HASH);
	mt_maglev_free(&m);
}

static void test_shared(void)
{
	static const uint32_t twos[] = {2, 2, 2}, other[] = {2, 2, 1};
	const char *reversed[3];
	struct mt_maglev a, b, c, d, e;

	make_names();
	for (uint32_t i = 0; i < 3; i++)
		reversed[i] = names[2 - i];
	mt_maglev_build(&a, names, NULL, 3);
	mt_maglev_build(&b, names, twos, 3);
	CU_ASSERT_PTR_EQUAL(a.slots, b.slots);
	CU_ASSERT(mt_maglev_usage().tables == 1 && mt_maglev_usage().users == 2);
	mt_maglev_build(&c, names, other, 3);
	mt_maglev_build(&d, names + 1, NULL, 3);
	mt_maglev_build(&e, reversed, NULL, 3);
	CU_ASSERT(a.slots != c.slots && a.slots != d.slots && a.slots != e.slots);
	CU_ASSERT(mt_maglev_usage().tables == 4 && mt_maglev_usage().users == 5);
	/* The table outlives its first user, and serves a new one without being built again. */
	mt_maglev_free(&a);
	CU_ASSERT(mt_maglev_pick(&b, 0) < 3);
	mt_maglev_build(&a, names, NULL, 3);
	CU_ASSERT_PTR_EQUAL(a.slots, b.slots);
	mt_maglev_free(&a);
	mt_maglev_free(&b);
	CU_ASSERT(mt_maglev_usage().tables == 3 && mt_maglev_usage().users == 3);
	mt_maglev_free(&c);
	mt_maglev_free(&d);
	mt_maglev_free(&e);
	mt_maglev_free(&e);
	CU_ASSERT(mt_maglev_usage().tables == 0 && mt_maglev_usage().users == 0);
	CU_ASSERT_EQUAL(mt_maglev_usage().bytes, 0);
}

/* 2,000 clusters with 40 sets of endpoints have 40 tables; each of those is at most 132,000 bytes. */
static void test_many_clusters(void)
{
	static struct mt_maglev m[2000];
	struct mt_maglev_usage u = mt_maglev_usage();
	uint64_t built = u.built;

	make_names();
	for (uint32_t i = 0; i < MT_ARRAY_LEN(m); i++)
		CU_ASSERT_EQUAL(mt_maglev_build(&m[i], names + i % 40 * 8, NULL, 2 + i % 4), 0);
	u = mt_maglev_usage();
	CU_ASSERT(u.tables == 40 && u.users == MT_ARRAY_LEN(m) && u.built == built + 40);
	CU_ASSERT(u.bytes <= 40 * 132000ull);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(m); i++)
		mt_maglev_free(&m[i]);
	CU_ASSERT(mt_maglev_usage().tables == 0 && mt_maglev_usage().bytes == 0);
	/* One endpoint needs no table. */
	for (uint32_t i = 0; i < MT_ARRAY_LEN(m); i++)
		CU_ASSERT(mt_maglev_build(&m[i], names + i, NULL, 1) == 0 &&
			  mt_maglev_pick(&m[i], UINT64_MAX) == 0);
	CU_ASSERT_EQUAL(mt_maglev_usage().bytes, 0);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(m); i++)
		mt_maglev_free(&m[i]);
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
	{"table sizes do not follow the backends", test_sizes},
	{"entries of four bytes", test_wide},
	{"equal weights share equally", test_equal_spread},
	{"weights are kept, with a slack", test_weights},
	{"extreme weights", test_extreme_weights},
	{"all-zero weights are equal weights", test_zero_weights},
	{"few keys move when a backend comes or goes", test_moved},
	{"few keys move when a weight changes", test_weight_moves},
	{"order of the list does not matter", test_reorder},
	{"the same table everywhere", test_same_everywhere},
	{"equal tables are shared", test_shared},
	{"tables of many clusters", test_many_clusters},
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
