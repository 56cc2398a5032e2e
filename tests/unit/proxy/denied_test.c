/* SPDX-License-Identifier: Apache-2.0 */
/* Denied callers by policy, client, service and reason. */
#include "scene.h"

#include "mt_denied.h"

static void note(struct mt_denied *d, const char *by, uint32_t client, uint64_t wall)
{
	struct mt_addr a = {.q = {0, client}};

	d->by = by;
	mt_denied_note(d, &a, "shop", "denied by policy", wall);
}

/* Each combination has a row; an absent policy is one, too. */
static void test_rows(void)
{
	struct mt_denied d = {.n = 0};

	note(&d, "P a/b", 1, 10);
	note(&d, "P a/b", 1, 20);
	note(&d, "P a/b", 2, 30);
	note(&d, "P a/c", 1, 40);
	note(&d, NULL, 1, 50);
	CU_ASSERT_EQUAL_FATAL(d.n, 4);
	CU_ASSERT_EQUAL(d.v[0].count, 2);
	CU_ASSERT_EQUAL(d.v[0].over, 0);
	CU_ASSERT_EQUAL(d.v[0].last, 20);
	CU_ASSERT_STRING_EQUAL(d.v[0].by, "P a/b");
	CU_ASSERT_STRING_EQUAL(d.v[0].service, "shop");
	CU_ASSERT_STRING_EQUAL(d.v[3].by, "");
	CU_ASSERT_PTR_NULL(d.by);
	CU_ASSERT_TRUE(mt_denied_same(&d.v[0], &d.v[0]));
	CU_ASSERT_FALSE(mt_denied_same(&d.v[0], &d.v[1]));
	CU_ASSERT_FALSE(mt_denied_same(&d.v[0], &d.v[2]));
}

/* A caller among many others that are denied once keeps its row; a new one may get a place. */
static void test_full(void)
{
	struct mt_denied d = {.n = 0};
	uint32_t found = 0;

	for (uint32_t i = 0; i < 100; i++)
		note(&d, "P a/b", 7, i);
	for (uint32_t i = 0; i < 1000; i++)
		note(&d, "P a/b", 1000 + i, 1000 + i);
	CU_ASSERT_EQUAL(d.n, MT_DENIED_ROWS);
	CU_ASSERT_EQUAL(d.v[0].client.q[1], 7);
	CU_ASSERT_EQUAL(d.v[0].count, 100);
	for (uint32_t i = 1; i < d.n; i++) {
		CU_ASSERT_EQUAL(d.v[i].count - d.v[i].over, 1);
		found += d.v[i].client.q[1] == 1999;
	}
	CU_ASSERT_EQUAL(found, 1);
}

/* Texts that are longer than a row has room for are cut off, and found again. */
static void test_long(void)
{
	static char by[400];
	struct mt_denied d = {.n = 0};

	memset(by, 'x', sizeof(by) - 1);
	note(&d, by, 1, 1);
	note(&d, by, 1, 2);
	CU_ASSERT_EQUAL(d.n, 1);
	CU_ASSERT_EQUAL(d.v[0].count, 2);
	CU_ASSERT_EQUAL(strlen(d.v[0].by), MT_DENIED_BY - 1);
}

const struct mt_test denied_tests[] = {
	{"rows", test_rows},
	{"more callers than rows", test_full},
	{"long names", test_long},
	{0},
};
