/* SPDX-License-Identifier: Apache-2.0 */
/* Four threads at one bucket. Virtual time; every count is exact whatever the scheduler does. */
#include "mt_rand.h"
#include "suites.h"

#include <pthread.h>
#include <sched.h>

#define ROUNDS	   40
#define ASKS	   3000
#define FILL	   (100 * MT_MSEC)
#define MAX_TOKENS 1000u
#define PER_FILL   700u

struct taker {
	pthread_t thread;
	struct mt_filter_worker fw;
	struct mt_rand rnd;
	uint64_t admitted[ROUNDS];
};

static struct taker takers[MAX_WORKERS];
static pthread_barrier_t barrier;
static uint64_t shared_clock;
static void *limit;

/* Every round is one epoch; each thread asks more often than there are tokens. */
static void *rounds(void *arg)
{
	struct taker *t = arg;

	for (uint32_t k = 0; k < ROUNDS; k++) {
		uint64_t now = k * FILL;

		pthread_barrier_wait(&barrier);
		for (uint32_t i = 0; i < ASKS; i++) {
			now += mt_rand_below(&t->rnd, 20 * MT_USEC);
			mt_filter_tick(&t->fw, now);
			t->admitted[k] += passes(limit, &t->fw, now);
			if (mt_rand_below(&t->rnd, 64) == 0)
				sched_yield();
		}
	}
	return NULL;
}

static void start(void *(*run)(void *))
{
	for (uint16_t i = 0; i < MAX_WORKERS; i++) {
		memset(&takers[i], 0, sizeof(takers[i]));
		mt_filter_worker_init(&takers[i].fw, i);
		mt_rand_seed(&takers[i].rnd, i);
		CU_ASSERT_EQUAL_FATAL(pthread_create(&takers[i].thread, NULL, run, &takers[i]), 0);
	}
	for (int i = 0; i < MAX_WORKERS; i++)
		pthread_join(takers[i].thread, NULL);
}

static void test_exact_rounds(void)
{
	struct mt_limit_registry *reg = mt_limit_registry_new(MAX_WORKERS);

	limit = one_bucket(reg, (struct mt_bucket_numbers){MAX_TOKENS, PER_FILL, FILL}, 0);
	pthread_barrier_init(&barrier, NULL, MAX_WORKERS);
	start(rounds);
	for (uint32_t k = 0; k < ROUNDS; k++) {
		uint64_t sum = 0;

		for (int i = 0; i < MAX_WORKERS; i++)
			sum += takers[i].admitted[k];
		CU_ASSERT_EQUAL(sum, k ? PER_FILL : MAX_TOKENS);
	}
	CU_ASSERT_EQUAL(the_bucket(reg, 0).admitted, MAX_TOKENS + (ROUNDS - 1) * PER_FILL);
	CU_ASSERT_EQUAL(the_bucket(reg, 0).refused,
		(uint64_t)ROUNDS * ASKS * MAX_WORKERS - the_bucket(reg, 0).admitted);
	pthread_barrier_destroy(&barrier);
	mt_filter_types[0]->free_conf(limit);
	mt_limit_registry_free(reg);
}

/* One clock that all push forward and each reads late: workers are in different epochs at once. */
static void *racing(void *arg)
{
	struct taker *t = arg;
	uint64_t now = 0;

	for (uint32_t i = 0; i < ASKS * 20; i++) {
		if (mt_rand_below(&t->rnd, 8) == 0)
			now = __atomic_add_fetch(&shared_clock,
				mt_rand_below(&t->rnd, 400 * MT_USEC), __ATOMIC_RELAXED);
		mt_filter_tick(&t->fw, now);
		t->admitted[0] += passes(limit, &t->fw, now);
	}
	return NULL;
}

static void test_never_over(void)
{
	struct mt_limit_registry *reg = mt_limit_registry_new(MAX_WORKERS);
	struct mt_bucket_numbers num = {300, 120, 50 * MT_MSEC};
	uint64_t sum = 0, lost = 0, supply;

	shared_clock = 0;
	limit = one_bucket(reg, num, 0);
	start(racing);
	for (int i = 0; i < MAX_WORKERS; i++) {
		mt_filter_flush(&takers[i].fw);
		sum += takers[i].admitted[0];
		lost += takers[i].fw.counters[MT_FILTER_claims_expired];
	}
	supply = 300 + shared_clock / num.fill_ns * 120;
	CU_ASSERT(shared_clock / num.fill_ns > 20);
	CU_ASSERT(sum <= supply);
	/* Demand is far above supply, so nothing is left but what expired. */
	CU_ASSERT(sum + lost + the_bucket(reg, shared_clock).tokens >= supply - 300);
	CU_ASSERT_EQUAL(the_bucket(reg, shared_clock).admitted, sum);
	mt_filter_types[0]->free_conf(limit);
	mt_limit_registry_free(reg);
}

const struct mt_test thread_tests[] = {
	{"four threads admit exactly what was filled in", test_exact_rounds},
	{"racing clocks never admit more", test_never_over},
	{0},
};
