/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_upstream_priv.h"
#include "suites.h"

#include <stdio.h>

static struct mt_addr addr(const char *text)
{
	struct mt_addr a;

	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(text, &a), 0);
	return a;
}

static void test_identity(void)
{
	struct mt_upstream_registry *r = mt_upstream_registry_new();
	struct mt_addr a = addr("192.0.2.1"), b = addr("2001:db8::1");
	struct mt_ep_state *e = mt_upstream_ep_get(r, "c1", &a, 80, 0);

	CU_ASSERT_PTR_EQUAL(mt_upstream_ep_get(r, "c1", &a, 80, 0), e);
	CU_ASSERT_PTR_NOT_EQUAL(mt_upstream_ep_get(r, "c2", &a, 80, 0), e);
	CU_ASSERT_PTR_NOT_EQUAL(mt_upstream_ep_get(r, "c1", &a, 81, 0), e);
	CU_ASSERT_PTR_NOT_EQUAL(mt_upstream_ep_get(r, "c1", &b, 80, 0), e);
	CU_ASSERT_EQUAL(e->refs, 2);
	CU_ASSERT_EQUAL(mt_upstream_ep_indexes(r), 4);
	CU_ASSERT_EQUAL(mt_upstream_cluster_get(r, "c1", 0), 0);
	CU_ASSERT_EQUAL(mt_upstream_cluster_get(r, "c2", 0), 1);
	CU_ASSERT_EQUAL(mt_upstream_cluster_get(r, "c1", 0), 0);
	CU_ASSERT_EQUAL(mt_upstream_cluster_indexes(r), 2);
	mt_upstream_registry_free(r);
}

/* Gone and back within the linger time: the same state; much later the index serves another. */
static void test_linger(void)
{
	struct mt_upstream_registry *r = mt_upstream_registry_new();
	struct mt_addr a = addr("192.0.2.1"), b = addr("192.0.2.2"), c = addr("192.0.2.3");
	struct mt_ep_state *e = mt_upstream_ep_get(r, "c", &a, 80, 0), *f;
	uint64_t old_id = e->id, now = MT_SEC;

	e->ejected_until = 77;
	mt_upstream_ep_put(r, e, now);
	f = mt_upstream_ep_get(r, "c", &b, 80, now + MT_UPSTREAM_LINGER - 1);
	CU_ASSERT(f != e && f->index == 1);
	CU_ASSERT_PTR_EQUAL(mt_upstream_ep_get(r, "c", &a, 80, now), e);
	CU_ASSERT_EQUAL(e->ejected_until, 77);
	mt_upstream_ep_put(r, e, now + MT_SEC);
	f = mt_upstream_ep_get(r, "c", &c, 80, now + MT_SEC + MT_UPSTREAM_LINGER);
	CU_ASSERT_PTR_EQUAL(f, e);
	CU_ASSERT(f->index == 0 && f->id != old_id && f->ejected_until == 0 && f->refs == 1);
	/* And the first identity gets a new entry. */
	CU_ASSERT_EQUAL(mt_upstream_ep_get(r, "c", &a, 80, now)->index, 2);
	mt_upstream_registry_free(r);
}

/* Many come and go: everybody is found again, and indexes do not grow without bound. */
static void test_churn(void)
{
	struct mt_upstream_registry *r = mt_upstream_registry_new();
	uint64_t now = 0;
	char name[32];

	for (int round = 0; round < 5; round++) {
		int64_t idx[300];

		for (int i = 0; i < 300; i++) {
			snprintf(name, sizeof(name), "cluster-%d-%d", round, i);
			idx[i] = mt_upstream_cluster_get(r, name, now);
			CU_ASSERT(idx[i] >= 0 && idx[i] < 300);
		}
		for (int i = 0; i < 300; i++) {
			snprintf(name, sizeof(name), "cluster-%d-%d", round, i);
			CU_ASSERT_EQUAL(mt_upstream_cluster_get(r, name, now), idx[i]);
		}
		for (int i = 0; i < 600; i++)
			mt_upstream_cluster_put(r, (uint32_t)idx[i % 300], now);
		now += MT_UPSTREAM_LINGER;
	}
	CU_ASSERT_EQUAL(mt_upstream_cluster_indexes(r), 300);
	mt_upstream_registry_free(r);
}

/* No more places than workers' arrays have: the oldest that nobody names goes early, then nothing. */
static void test_room(void)
{
	struct mt_upstream_registry *r = mt_upstream_registry_new();
	struct mt_addr a = addr("192.0.2.1");
	struct mt_ep_state *first;
	char name[32];

	for (uint32_t i = 0; i < MT_UPSTREAM_CLUSTERS_MAX; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		CU_ASSERT_EQUAL_FATAL(mt_upstream_cluster_get(r, name, 0), i);
	}
	CU_ASSERT(mt_upstream_cluster_get(r, "more", 0) < 0);
	mt_upstream_cluster_put(r, 7, 0);
	CU_ASSERT_EQUAL(mt_upstream_cluster_get(r, "more", 0), 7);
	CU_ASSERT(mt_upstream_cluster_get(r, "c7", 0) < 0);
	for (uint32_t i = 0; i < MT_UPSTREAM_EPS_MAX; i++) {
		snprintf(name, sizeof(name), "c%u", i / 60000);
		CU_ASSERT_PTR_NOT_NULL_FATAL(
			mt_upstream_ep_get(r, name, &a, (uint16_t)(i % 60000), 0));
	}
	CU_ASSERT_PTR_NULL(mt_upstream_ep_get(r, "more", &a, 80, 0));
	first = mt_upstream_ep_get(r, "c0", &a, 0, 0);
	CU_ASSERT_EQUAL(first->refs, 2);
	mt_upstream_ep_put(r, first, 0);
	CU_ASSERT_PTR_NULL(mt_upstream_ep_get(r, "more", &a, 80, 0));
	mt_upstream_ep_put(r, first, 0);
	CU_ASSERT_PTR_EQUAL(mt_upstream_ep_get(r, "more", &a, 80, 0), first);
	mt_upstream_registry_free(r);
}

#define CHOSEN 1000

/* Names whose XXH64 agree in their low 12 bits. */
static const char *chosen(uint32_t i)
{
	static char names[CHOSEN][16];
	static uint32_t n, next;

	for (; n < CHOSEN; next++) {
		int len = snprintf(names[n], sizeof(names[n]), "c%u", next);

		n += (mt_balance_hash(names[n], (size_t)len, 0) & 0xfff) == 7;
	}
	return names[i];
}

static uint32_t longest_row(const struct mt_cluster_index *x)
{
	uint32_t row = 0, most = 0;

	for (uint32_t i = 0; i < 2 * x->n_slots; i++) {
		row = x->slots[i & (x->n_slots - 1)] ? row + 1 : 0;
		most = MT_MAX(most, row);
	}
	return most;
}

/* Names that an author chose so that their hashes would be equal without a key. */
static void test_chosen(void)
{
	struct mt_upstream_registry *r = mt_upstream_registry_new();

	for (uint32_t i = 0; i < CHOSEN; i++)
		CU_ASSERT_EQUAL(mt_upstream_cluster_get(r, chosen(i), 0), i);
	CU_ASSERT(longest_row(&r->clusters) <= 256);
	for (uint32_t i = 0; i < CHOSEN; i++)
		CU_ASSERT_EQUAL(mt_upstream_cluster_get(r, chosen(i), 0), i);
	mt_upstream_registry_free(r);
}

const struct mt_test registry_tests[] = {
	{"found by cluster, address and port", test_identity},
	{"kept for a while after the last reference", test_linger},
	{"churn reuses indexes", test_churn},
	{"room for so many", test_room},
	{"chosen names", test_chosen},
	{0},
};
