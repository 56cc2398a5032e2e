/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals of limits without buckets, by rule. */
#include "suites.h"

#include "mt_filter_tally.h"

#include <string.h>

/* Compiled limits of a service and rule share a count, which ends with the last of them. */
static void test_shared(void)
{
	struct mt_tally_registry *r = mt_tally_registry_new(2);
	struct mt_tally *a, *again, *other;

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	a = mt_tally_hold(r, "a:1", "shop: user");
	again = mt_tally_hold(r, "a:1", "shop: user");
	other = mt_tally_hold(r, "a:2", "shop: user");
	CU_ASSERT_FATAL(a && other && a == again && a != other);
	CU_ASSERT_PTR_NOT_EQUAL(mt_tally_hold(r, "a:1", "shop"), a);
	mt_tally_refused(a, 0);
	mt_tally_refused(again, 1);
	mt_tally_refused(other, 1);
	mt_tally_refused(NULL, 1);
	mt_tally_drop(a);
	CU_ASSERT_EQUAL(mt_tally_sum(again), 2);
	CU_ASSERT_EQUAL(mt_tally_sum(other), 1);
	mt_tally_drop(again);
	again = mt_tally_hold(r, "a:1", "shop: user");
	CU_ASSERT_PTR_NOT_NULL_FATAL(again);
	CU_ASSERT_EQUAL(mt_tally_sum(again), 0);
	mt_tally_drop(again);
	mt_tally_drop(NULL);
	mt_tally_registry_free(r);
	mt_tally_registry_free(NULL);
}

static uint32_t count(const struct mt_tally_registry *r)
{
	uint32_t n = 0;

	for (const struct mt_tally *t = NULL; (t = mt_tally_next(r, t)) != NULL;)
		n++;
	return n;
}

/* Counts leave the list from its start, its middle and its end. */
static void test_list(void)
{
	struct mt_tally_registry *r = mt_tally_registry_new(1);
	struct mt_tally *t[5];
	char name[16];

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_EQUAL(count(r), 0);
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "a:%d", i);
		t[i] = mt_tally_hold(r, name, "*");
		CU_ASSERT_PTR_NOT_NULL_FATAL(t[i]);
	}
	for (uint32_t i = 0; i < 5; i++) {
		static const int order[] = {2, 4, 0, 1, 3};

		mt_tally_drop(t[order[i]]);
		CU_ASSERT_EQUAL(count(r), 4 - i);
	}
	mt_tally_registry_free(r);
}

const struct mt_test tally_tests[] = {{"shared", test_shared}, {"list", test_list}, {0}};
