/* SPDX-License-Identifier: Apache-2.0 */
/* What is over its limit is refused without a question for a while, and for no longer. */
#include "rls_test.h"

#define NOW (1000 * MT_SEC)

static struct mt_rls_over over;
static struct mt_rls_answer answer;

static void answers(enum mt_rls_code code, bool has_reset, uint64_t reset)
{
	memset(&answer, 0, sizeof(answer));
	answer.code = code;
	answer.n_statuses = 1;
	answer.status[0] =
		(struct mt_rls_status){.code = code, .has_reset = has_reset, .reset = reset};
}

static void keep(uint64_t key, uint64_t now)
{
	const struct mt_rls_keys keys = {.of = {key}, .n = 1};

	mt_rls_over_keep(&over, &keys, &answer, now);
}

static bool is_over(uint64_t key, uint64_t now)
{
	const struct mt_rls_keys keys = {.of = {key}, .n = 1};
	uint32_t which = 9;
	bool is = mt_rls_over_any(&over, &keys, now, &which);

	CU_ASSERT_EQUAL(which, is ? 0 : 9);
	return is;
}

/* Until a second before the limit's end, and from 20 ms to 1 s. */
static void test_lasts(void)
{
	static const struct {
		bool has_reset;
		uint64_t reset, lasts;
	} t[] = {
		{false, 0, 20 * MT_MSEC},
		{true, 0, 20 * MT_MSEC},
		{true, 1 * MT_SEC, 20 * MT_MSEC},
		{true, 1020 * MT_MSEC, 20 * MT_MSEC},
		{true, 1021 * MT_MSEC, 21 * MT_MSEC},
		{true, 1500 * MT_MSEC, 500 * MT_MSEC},
		{true, 2 * MT_SEC, 1 * MT_SEC},
		{true, 3 * MT_SEC, 1 * MT_SEC},
		{true, UINT64_MAX, 1 * MT_SEC},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		memset(&over, 0, sizeof(over));
		answers(MT_RLS_OVER_LIMIT, t[i].has_reset, t[i].reset);
		CU_ASSERT_EQUAL(mt_rls_over_lasts(&answer.status[0]), t[i].lasts);
		CU_ASSERT(!is_over(5, NOW));
		keep(5, NOW);
		CU_ASSERT(is_over(5, NOW) && is_over(5, NOW + t[i].lasts - 1));
		CU_ASSERT(!is_over(5, NOW + t[i].lasts));
		CU_ASSERT(!is_over(6, NOW) && !is_over(5 + MT_RLS_OVER_SETS, NOW));
	}
}

/* Of several descriptors, those whose own status it is. */
static void test_each(void)
{
	const struct mt_rls_keys keys = {.of = {1, 2, 3}, .n = 3};
	uint32_t which = 9;

	memset(&over, 0, sizeof(over));
	answers(MT_RLS_OVER_LIMIT, false, 0);
	answer.n_statuses = 3;
	answer.status[0].code = MT_RLS_OK;
	answer.status[1].code = MT_RLS_OVER_LIMIT;
	mt_rls_over_keep(&over, &keys, &answer, NOW);
	CU_ASSERT(!is_over(1, NOW) && is_over(2, NOW) && !is_over(3, NOW));
	CU_ASSERT(mt_rls_over_any(&over, &keys, NOW, &which));
	CU_ASSERT_EQUAL(which, 1);
}

/* What the service lets pass, or says nothing about, is not remembered. */
static void test_not_over(void)
{
	memset(&over, 0, sizeof(over));
	answers(MT_RLS_OK, true, 5 * MT_SEC);
	keep(1, NOW);
	answer.status[0].code = MT_RLS_OVER_LIMIT;
	keep(2, NOW);
	answers(MT_RLS_OVER_LIMIT, true, 5 * MT_SEC);
	answer.n_statuses = 0;
	keep(3, NOW);
	CU_ASSERT(!is_over(1, NOW) && !is_over(2, NOW) && !is_over(3, NOW));
	CU_ASSERT(!is_over(0, NOW));
}

/* An older answer, which comes later, does not end it. */
static void test_again(void)
{
	memset(&over, 0, sizeof(over));
	answers(MT_RLS_OVER_LIMIT, true, 5 * MT_SEC);
	keep(1, NOW);
	answers(MT_RLS_OVER_LIMIT, false, 0);
	keep(1, NOW);
	CU_ASSERT(is_over(1, NOW + MT_SEC - 1));
	keep(1, NOW + MT_SEC - 1);
	CU_ASSERT(is_over(1, NOW + MT_SEC + 1));
	CU_ASSERT(!is_over(1, NOW + MT_SEC + 20 * MT_MSEC));
}

/* A set that is full forgets what ends first; others are not touched. */
static void test_full(void)
{
	memset(&over, 0, sizeof(over));
	answers(MT_RLS_OVER_LIMIT, false, 0);
	for (uint64_t i = 0; i <= MT_RLS_OVER_WAYS; i++)
		keep(7 + i * MT_RLS_OVER_SETS, NOW + i);
	keep(8, NOW);
	CU_ASSERT(!is_over(7, NOW + MT_RLS_OVER_WAYS));
	for (uint64_t i = 1; i <= MT_RLS_OVER_WAYS; i++)
		CU_ASSERT(is_over(7 + i * MT_RLS_OVER_SETS, NOW + MT_RLS_OVER_WAYS));
	CU_ASSERT(is_over(8, NOW + MT_RLS_OVER_WAYS));
	/* As many as there are places, each in its own. */
	memset(&over, 0, sizeof(over));
	for (uint64_t key = 0; key < MT_RLS_OVER_SETS * MT_RLS_OVER_WAYS; key++)
		keep(key, NOW);
	for (uint64_t key = 0; key < MT_RLS_OVER_SETS * MT_RLS_OVER_WAYS; key++)
		CU_ASSERT(is_over(key, NOW));
}

const struct mt_test over_tests[] = {{"lasts", test_lasts}, {"each", test_each},
	{"not_over", test_not_over}, {"again", test_again}, {"full", test_full}, {0}};
