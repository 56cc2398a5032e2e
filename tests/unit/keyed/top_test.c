/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that are refused most often. */
#include "suites.h"

#include <ctype.h>

static void note(
	struct mt_keyed_rule *r, uint16_t worker, const char *name, uint32_t times, uint64_t now)
{
	for (uint32_t i = 0; i < times; i++)
		mt_keyed_note(
			r, worker, mt_keyed_hash(r, name, strlen(name)), name, strlen(name), now);
}

static bool is(const struct mt_keyed_hot *hot, const char *name)
{
	return hot->len == strlen(name) && memcmp(hot->name, name, hot->len) == 0;
}

static void test_order(void)
{
	struct mt_keyed *t = mt_keyed_new(64, WORKERS);
	struct mt_keyed_rule *r = rule_of(t, 1, 1, MT_SEC);
	struct mt_keyed_hot hot[4];

	CU_ASSERT_EQUAL(mt_keyed_hottest(t, 0, hot, 4), 0);
	note(r, 0, "a", 5, 1);
	note(r, 1, "b", 4, 2);
	note(r, 2, "b", 4, 3);
	note(r, 0, "c", 1, 4);
	CU_ASSERT_EQUAL_FATAL(mt_keyed_hottest(t, 4, hot, 4), 3);
	CU_ASSERT(is(&hot[0], "b") && hot[0].refused == 8 && hot[0].error == 0 && hot[0].last == 3);
	CU_ASSERT(is(&hot[1], "a") && hot[1].refused == 5 && hot[1].last == 1);
	CU_ASSERT(is(&hot[2], "c") && hot[2].refused == 1);
	CU_ASSERT_STRING_EQUAL(hot[0].rule, "rule");
	CU_ASSERT_EQUAL(mt_keyed_hottest(t, 4, hot, 2), 2);
	CU_ASSERT(is(&hot[1], "a"));
	/* Counts are halved; keys that were not refused for a minute, and rules without references, are left out. */
	note(r, 0, "c", 1, 15 * MT_SEC);
	CU_ASSERT_EQUAL(mt_keyed_hottest(t, 15 * MT_SEC, hot, 4), 3);
	CU_ASSERT(is(&hot[1], "a") && hot[1].refused == 2);
	note(r, 0, "d", 1, 3600 * MT_SEC);
	CU_ASSERT_EQUAL(mt_keyed_hottest(t, 3600 * MT_SEC, hot, 4), 1);
	CU_ASSERT(is(&hot[0], "d"));
	mt_keyed_rule_put(t, r, 0);
	CU_ASSERT_EQUAL(mt_keyed_hottest(t, 3600 * MT_SEC, hot, 4), 0);
	mt_keyed_free(t);
}

/* A hot key is found among many cold ones. */
static void test_many(void)
{
	struct mt_keyed *t = mt_keyed_new(64, 1);
	struct mt_keyed_rule *r = rule_of(t, 1, 1, MT_SEC);
	struct mt_keyed_hot hot[3];
	char name[16];

	for (uint32_t i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "cold-%u", i);
		note(r, 0, name, 1, 0);
		if (i % 8 == 0)
			note(r, 0, "hot", 1, 0);
		if (i % 16 == 0)
			note(r, 0, "warm", 1, 0);
	}
	CU_ASSERT_EQUAL_FATAL(mt_keyed_hottest(t, 0, hot, 3), 3);
	CU_ASSERT(is(&hot[0], "hot"));
	CU_ASSERT(hot[0].refused >= 12500 && hot[0].refused - hot[0].error <= 12500);
	CU_ASSERT(is(&hot[1], "warm"));
	CU_ASSERT(hot[1].refused >= 6250 && hot[1].refused - hot[1].error <= 6250);
	mt_keyed_free(t);
}

static void test_names(void)
{
	struct mt_keyed *t = mt_keyed_new(64, 1);
	struct mt_keyed_def def = rule_def("tokens", 1, 1, MT_SEC);
	struct mt_keyed_rule *r = rule_of(t, 1, 1, MT_SEC), *secret;
	struct mt_keyed_hot hot[2];
	char name[100];

	def.hidden = true;
	secret = rule_for(t, &def, 0);
	memset(name, 'n', sizeof(name));
	mt_keyed_note(r, 0, key(r, 1), name, sizeof(name), 0);
	CU_ASSERT_EQUAL_FATAL(mt_keyed_hottest(t, 0, hot, 2), 1);
	CU_ASSERT_EQUAL(hot[0].len, MT_KEYED_NAME);
	CU_ASSERT_EQUAL(memcmp(hot[0].name, name, MT_KEYED_NAME), 0);
	mt_keyed_note(secret, 0, key(secret, 1), "token-4711", 10, 0);
	mt_keyed_note(secret, 0, key(secret, 1), "token-4711", 10, 0);
	CU_ASSERT_EQUAL_FATAL(mt_keyed_hottest(t, 0, hot, 2), 2);
	CU_ASSERT(hot[0].hidden && hot[0].len == 12 && !hot[1].hidden);
	for (uint32_t i = 0; i < hot[0].len; i++)
		CU_ASSERT(isxdigit((unsigned char)hot[0].name[i]));
	/* The name is nowhere in the worker's counters. */
	for (size_t i = 0; i + 10 <= sizeof(*t->tops); i++)
		CU_ASSERT_NOT_EQUAL(memcmp((const char *)t->tops + i, "token-4711", 10), 0);
	mt_keyed_free(t);
}

const struct mt_test top_tests[] = {
	{"order", test_order},
	{"a hot key among many", test_many},
	{"names", test_names},
	{0},
};
