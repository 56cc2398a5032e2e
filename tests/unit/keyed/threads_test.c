/* SPDX-License-Identifier: Apache-2.0 */
/* Four workers at one table. Virtual time; every count is exact whatever the scheduler does. */
#include "suites.h"

#include "mt_rand.h"

#include <pthread.h>
#include <sched.h>

#define FILL	  (100 * MT_MSEC)
#define ROUNDS	  40
#define KEYS	  6
#define MAX	  50u
#define PER_FILL  30u
#define NEW_KEYS  4000
#define TOGETHER  16 /* keys after which the workers meet again */
#define NEW_MAX	  3u
#define VICTIMS	  40
#define SECONDS	  20
#define ATTACKERS 2
#define ATTACKS	  (1000000 / SECONDS / ATTACKERS)

struct worker {
	pthread_t thread;
	uint16_t number;
	struct mt_rand rnd;
	uint32_t admitted[NEW_KEYS];
};

static struct worker workers[WORKERS];
static pthread_barrier_t barrier;
static struct mt_keyed *table;
static struct mt_keyed_rule *rule;
static uint64_t keys[NEW_KEYS];
static uint64_t arrived;

static void run(void *(*body)(void *))
{
	pthread_barrier_init(&barrier, NULL, WORKERS);
	arrived = 0;
	for (uint16_t i = 0; i < WORKERS; i++) {
		memset(&workers[i], 0, sizeof(workers[i]));
		workers[i].number = i;
		mt_rand_seed(&workers[i].rnd, i);
		CU_ASSERT_EQUAL_FATAL(
			pthread_create(&workers[i].thread, NULL, body, &workers[i]), 0);
	}
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	pthread_barrier_destroy(&barrier);
}

static uint32_t sum_of(uint32_t i)
{
	uint32_t sum = 0;

	for (int w = 0; w < WORKERS; w++)
		sum += workers[w].admitted[i];
	return sum;
}

/* The first n keys: each eight in a row are in eight lines. */
static void spread(uint32_t n)
{
	uint64_t k = 0;

	for (uint32_t i = 0; i < n; i++) {
		while ((key(rule, k) & rule->line_mask) != i % 8)
			k++;
		keys[i] = key(rule, k++);
	}
}

static void sometimes_yield(struct worker *w)
{
	if (mt_rand_below(&w->rnd, 512) == 0)
		sched_yield();
}

/* ---- exact ----------------------------------------------------------------------------------- */

/* Every round is one fill; each worker takes more often than there are tokens. */
static void *rounds(void *arg)
{
	struct worker *w = arg;

	for (uint32_t k = 0; k < ROUNDS; k++) {
		uint64_t now = k * FILL;

		pthread_barrier_wait(&barrier);
		for (uint32_t i = 0; i < 8 * KEYS * MAX; i++) {
			uint32_t n = mt_rand_below(&w->rnd, KEYS);

			now += mt_rand_below(&w->rnd, 10 * MT_USEC);
			w->admitted[k * KEYS + n] +=
				mt_keyed_take(rule, w->number, keys[n], 1, now);
			sometimes_yield(w);
		}
	}
	return NULL;
}

static void test_exact(void)
{
	uint64_t all = 0;

	table = mt_keyed_new(4096, WORKERS);
	rule = rule_of(table, MAX, PER_FILL, FILL);
	for (uint64_t n = 0; n < KEYS; n++)
		keys[n] = key(rule, n);
	run(rounds);
	for (uint32_t i = 0; i < ROUNDS * KEYS; i++) {
		CU_ASSERT_EQUAL(sum_of(i), i < KEYS ? MAX : PER_FILL);
		all += sum_of(i);
	}
	CU_ASSERT_EQUAL(info_of(table, rule).admitted, all);
	CU_ASSERT_EQUAL(
		info_of(table, rule).refused, (uint64_t)WORKERS * ROUNDS * 8 * KEYS * MAX - all);
	CU_ASSERT_EQUAL(overflowed(table, rule), 0);
	mt_keyed_free(table);
}

/* ---- new buckets ----------------------------------------------------------------------------- */

/* Waits until all workers are at the n-th meeting. */
static void meet(uint64_t n)
{
	__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL);
	for (uint32_t i = 0; __atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < (n + 1) * WORKERS; i++)
		if (i > 100)
			sched_yield();
}

/* All make the bucket of the same key at the same time, in places of full buckets of earlier keys. */
static void *newcomers(void *arg)
{
	struct worker *w = arg;

	for (uint32_t n = 0; n < NEW_KEYS; n++) {
		if (n % TOGETHER == 0)
			meet(n / TOGETHER);
		for (uint32_t i = 0; i < NEW_MAX + 1; i++)
			w->admitted[n] +=
				mt_keyed_take(rule, w->number, keys[n], 1, n / TOGETHER * FILL);
	}
	return NULL;
}

static void test_new_buckets(void)
{
	uint32_t wrong = 0;

	table = mt_keyed_new(64, WORKERS);
	rule = rule_of(table, NEW_MAX, NEW_MAX, FILL);
	spread(NEW_KEYS);
	run(newcomers);
	for (uint32_t n = 0; n < NEW_KEYS; n++)
		wrong += sum_of(n) != NEW_MAX;
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(overflowed(table, rule), 0);
	mt_keyed_free(table);
}

/* ---- attack ---------------------------------------------------------------------------------- */

static void attack(struct worker *w, uint64_t second)
{
	for (uint32_t i = 0; i < ATTACKS; i++) {
		mt_keyed_take(rule, w->number, key(rule, mt_rand_u64(&w->rnd)), 1, second * MT_SEC);
		sometimes_yield(w);
	}
}

static void call(struct worker *w, uint64_t second)
{
	for (uint32_t i = 0; i < 2 * VICTIMS * MAX; i++) {
		uint32_t n = i % VICTIMS;

		w->admitted[second * VICTIMS + n] +=
			mt_keyed_take(rule, w->number, keys[n], 1, second * MT_SEC);
		sometimes_yield(w);
	}
}

static void *attacked(void *arg)
{
	struct worker *w = arg;

	for (uint64_t second = 0; second < SECONDS; second++) {
		pthread_barrier_wait(&barrier);
		/* The victims are in the table before the attack of this second begins. */
		for (uint32_t n = w->number; n < VICTIMS; n += WORKERS)
			w->admitted[second * VICTIMS + n] +=
				mt_keyed_take(rule, w->number, keys[n], 1, second * MT_SEC);
		pthread_barrier_wait(&barrier);
		if (w->number < ATTACKERS)
			attack(w, second);
		else
			call(w, second);
	}
	return NULL;
}

static void test_attack(void)
{
	table = mt_keyed_new(MT_KEYED_DEFAULT / 8, WORKERS);
	rule = rule_of(table, MAX, MAX, MT_SEC);
	for (uint64_t n = 0; n < VICTIMS; n++)
		keys[n] = key(rule, n);
	run(attacked);
	for (uint32_t i = 0; i < SECONDS * VICTIMS; i++)
		CU_ASSERT_EQUAL(sum_of(i), MAX);
	CU_ASSERT(overflowed(table, rule) > 0);
	mt_keyed_free(table);
}

/* ---- racing clocks, ticks -------------------------------------------------------------------- */

static uint64_t shared_clock;

#define OTHERS	800
#define AT_ONCE 16

/*
 * One clock that all push forward and each reads late: workers are in different fills at once. In each fill other keys
 * come, in each line two at once, so that places change hands and no key needs an overflow bucket.
 */
static void *racing(void *arg)
{
	struct worker *w = arg;
	uint64_t now = 0;

	for (uint32_t i = 0; i < 60000; i++) {
		if (mt_rand_below(&w->rnd, 8) == 0)
			now = __atomic_add_fetch(&shared_clock,
				mt_rand_below(&w->rnd, 400 * MT_USEC), __ATOMIC_RELAXED);
		w->admitted[0] += mt_keyed_take(rule, w->number, keys[0], 1, now);
		if (i % 64 == 0)
			mt_keyed_take(rule, w->number,
				keys[1 + (now / FILL * AT_ONCE + mt_rand_below(&w->rnd, AT_ONCE)) %
						 OTHERS],
				1, now);
		if (w->number == 0 && i % 500 == 0)
			mt_keyed_tick(table, now);
	}
	return NULL;
}

static void test_racing_clocks(void)
{
	uint64_t supply;

	shared_clock = 0;
	table = mt_keyed_new(64, WORKERS);
	rule = rule_of(table, MAX, PER_FILL, FILL);
	spread(OTHERS + 1);
	run(racing);
	supply = MAX + shared_clock / FILL * PER_FILL;
	CU_ASSERT(shared_clock / FILL > 20);
	CU_ASSERT(sum_of(0) <= supply);
	/* Demand is above supply, so at most the tokens of the last fills are left. */
	CU_ASSERT(sum_of(0) + MAX >= supply);
	CU_ASSERT_EQUAL(overflowed(table, rule), 0);
	mt_keyed_free(table);
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool one_letter(const struct mt_keyed_hot *hot)
{
	for (uint32_t i = 1; i < hot->len; i++)
		if (hot->name[i] != hot->name[0])
			return false;
	return hot->len == MT_KEYED_NAME;
}

static void *noting(void *arg)
{
	struct worker *w = arg;
	struct mt_keyed_hot hot[16];
	char name[MT_KEYED_NAME];

	for (uint32_t i = 0; i < 30000; i++) {
		uint64_t n = mt_rand_below(&w->rnd, 26 * 26);

		if (w->number > 0) {
			memset(name, (int)('a' + n % 26), sizeof(name));
			mt_keyed_note(
				rule, w->number, key(rule, n), name, sizeof(name), i * MT_MSEC);
		} else if (i % 20 == 0) {
			for (uint32_t k = mt_keyed_hottest(
				     table, i * MT_MSEC, hot, MT_ARRAY_LEN(hot));
				k-- > 0;)
				w->admitted[0] += !one_letter(&hot[k]);
		}
	}
	return NULL;
}

static void test_names(void)
{
	table = mt_keyed_new(64, WORKERS);
	rule = rule_of(table, 1, 1, MT_SEC);
	run(noting);
	CU_ASSERT_EQUAL(workers[0].admitted[0], 0);
	mt_keyed_free(table);
}

const struct mt_test thread_tests[] = {
	{"four workers admit exactly what was filled in", test_exact},
	{"four workers make the same bucket", test_new_buckets},
	{"a million keys while four workers count", test_attack},
	{"racing clocks never admit more", test_racing_clocks},
	{"none of the names is torn", test_names},
	{0},
};
