/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include <pthread.h>

#define WORKERS 4

static struct mt_upstream_registry *r;

static struct mt_budget_account *account(const char *cluster, bool counts)
{
	int64_t index = mt_upstream_cluster_get(r, cluster, 0);
	struct mt_budget_account *a;

	CU_ASSERT_TRUE_FATAL(index >= 0);
	a = mt_upstream_budget(r, (uint32_t)index, WORKERS, counts);
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	return a;
}

static uint32_t take_all(struct mt_budget_account *a, const struct mt_retry_budget *b)
{
	uint32_t n = 0;

	while (n < 1000 && mt_budget_take(a, b))
		n++;
	CU_ASSERT_EQUAL(a->used, n);
	return n;
}

static void return_all(struct mt_budget_account *a, uint32_t n)
{
	while (n--)
		mt_budget_return(a);
	CU_ASSERT_EQUAL(a->used, 0);
}

static void test_number(void)
{
	static const uint32_t limits[] = {0, 1, 3, 100};
	struct mt_budget_account *a;

	r = mt_upstream_registry_new();
	a = account("c", false);
	for (size_t i = 0; i < MT_ARRAY_LEN(limits); i++) {
		struct mt_retry_budget b = {.bound = MT_RETRY_BOUND_NUMBER, .n = limits[i]};

		CU_ASSERT_EQUAL(take_all(a, &b), limits[i]);
		if (limits[i]) {
			mt_budget_return(a);
			CU_ASSERT_TRUE(mt_budget_take(a, &b));
			CU_ASSERT_FALSE(mt_budget_take(a, &b));
		}
		return_all(a, limits[i]);
	}
	CU_ASSERT_EQUAL(take_all(a, &(struct mt_retry_budget){0}), 1000);
	mt_upstream_registry_free(r);
}

/* Of the calls of all workers, but at least the minimum. */
static void test_share(void)
{
	struct mt_retry_budget b = {.bound = MT_RETRY_BOUND_SHARE,
		.share = MT_RETRY_BUDGET_SHARE,
		.n = MT_RETRY_BUDGET_LEAST};
	struct mt_budget_account *a;

	r = mt_upstream_registry_new();
	a = account("c", true);
	CU_ASSERT_EQUAL(take_all(a, &b), 3);
	return_all(a, 3);
	mt_budget_count(a, 0, 10);
	mt_budget_count(a, WORKERS - 1, 9);
	CU_ASSERT_EQUAL(mt_budget_limit(a, &b), 3);
	mt_budget_count(a, 1, 5);
	CU_ASSERT_EQUAL(mt_budget_limit(a, &b), 4);
	mt_budget_count(a, 1, 76);
	CU_ASSERT_EQUAL(take_all(a, &b), 20);
	/* Fewer calls: what is taken stays taken. */
	mt_budget_count(a, 1, -81);
	CU_ASSERT_FALSE(mt_budget_take(a, &b));
	return_all(a, 20);
	CU_ASSERT_EQUAL(take_all(a, &b), 3);
	return_all(a, 3);
	b.share = 10000;
	CU_ASSERT_EQUAL(mt_budget_limit(a, &b), 19);
	b.n = 0;
	b.share = 0;
	CU_ASSERT_EQUAL(mt_budget_limit(a, &b), 0);
	/* Not counted: the minimum. */
	CU_ASSERT_EQUAL(mt_budget_limit(account("other", false),
				&(struct mt_retry_budget){
					.bound = MT_RETRY_BOUND_SHARE, .share = 5000, .n = 7}),
		7);
	mt_upstream_registry_free(r);
}

/* The account outlives its cluster's name, because retries may still return units to it. */
static void test_account(void)
{
	struct mt_budget_account *a;

	r = mt_upstream_registry_new();
	a = account("c", false);
	CU_ASSERT_PTR_NULL(a->calls);
	CU_ASSERT_PTR_EQUAL(account("c", true), a);
	CU_ASSERT_PTR_NOT_NULL(a->calls);
	CU_ASSERT_PTR_EQUAL(mt_upstream_budget_at(r, a->index), a);
	CU_ASSERT_PTR_NULL(mt_upstream_budget_at(r, a->index + 1));
	CU_ASSERT_TRUE(mt_budget_take(a, &(struct mt_retry_budget){0}));
	mt_upstream_cluster_put(r, a->index, 0);
	mt_upstream_cluster_put(r, a->index, 0);
	CU_ASSERT_PTR_NOT_EQUAL(account("second", false), a);
	CU_ASSERT_EQUAL(mt_upstream_cluster_get(r, "third", 2 * MT_UPSTREAM_LINGER), a->index);
	CU_ASSERT_EQUAL(a->used, 1);
	CU_ASSERT_PTR_EQUAL(account("third", false), a);
	mt_budget_return(a);
	mt_upstream_registry_free(r);
}

#define LIMIT  5
#define ROUNDS 20000

static uint32_t most; /* units in use at once; atomic */
static uint32_t in_use;

static void *storm(void *arg)
{
	static const struct mt_retry_budget b = {.bound = MT_RETRY_BOUND_NUMBER, .n = LIMIT};
	struct mt_budget_account *a = arg;
	uintptr_t taken = 0;

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t n;

		if (!mt_budget_take(a, &b))
			continue;
		taken++;
		n = __atomic_add_fetch(&in_use, 1, __ATOMIC_RELAXED);
		if (n > __atomic_load_n(&most, __ATOMIC_RELAXED))
			__atomic_store_n(&most, n, __ATOMIC_RELAXED);
		__atomic_sub_fetch(&in_use, 1, __ATOMIC_RELAXED);
		mt_budget_return(a);
	}
	return (void *)taken;
}

/* Workers take and return at the same time: never more than the limit, and nothing is lost. */
static void test_threads(void)
{
	pthread_t t[2 * LIMIT];
	struct mt_budget_account *a;
	uintptr_t taken = 0;

	r = mt_upstream_registry_new();
	a = account("c", false);
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, storm, a), 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		void *n;

		pthread_join(t[i], &n);
		taken += (uintptr_t)n;
	}
	CU_ASSERT_TRUE(taken > 0);
	CU_ASSERT_TRUE(most <= LIMIT);
	CU_ASSERT_EQUAL(a->used, 0);
	mt_upstream_registry_free(r);
}

const struct mt_test retry_budget_tests[] = {{"a number", test_number}, {"a share", test_share},
	{"the account", test_account}, {"threads", test_threads}, {0}};
