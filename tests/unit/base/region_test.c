/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include "mt_rand.h"
#include "mt_region.h"
#include "mt_strmap.h"

#include <stdio.h>
#include <string.h>

static void pieces(void)
{
	struct mt_region r;
	uint8_t *p[300];

	mt_region_init(&r, 0);
	for (int i = 0; i < 300; i++) {
		/* From 1 byte to more than a block. */
		size_t size = (size_t)(i + 1) * (i % 7 == 0 ? 700 : 1);

		p[i] = mt_region_alloc(&r, size);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p[i]);
		CU_ASSERT_EQUAL((uintptr_t)p[i] % 16, 0);
		for (size_t j = 0; j < size; j++)
			CU_ASSERT_EQUAL_FATAL(p[i][j], 0);
		memset(p[i], i, size);
	}
	for (int i = 0; i < 300; i++)
		CU_ASSERT_EQUAL(p[i][i], (uint8_t)i);
	CU_ASSERT_STRING_EQUAL(mt_region_printf(&r, "%d-%s", 7, "x"), "7-x");
	CU_ASSERT_STRING_EQUAL(mt_region_printf(&r, "%s", ""), "");
	CU_ASSERT_STRING_EQUAL(mt_region_printf(&r, "a"), "a");
	CU_ASSERT_STRING_EQUAL(mt_region_printf(&r, "100%%"), "100%");
	CU_ASSERT_STRING_EQUAL(
		mt_region_printf(&r, "%u|%s%s|%u", 0, "a", "bc", 4294967295u), "0|abc|4294967295");
	CU_ASSERT_STRING_EQUAL(
		mt_region_printf(&r, "%s %.3s %5u %lu", "a", "abcdef", 7, 8ul), "a abc     7 8");
	CU_ASSERT_STRING_EQUAL(mt_region_printf(&r, "%u%u%u%u%u%u%u%u%u%u%u%u%u%u%u%u%u%u", 1, 2, 3,
				       4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8),
		"123456789012345678");
	CU_ASSERT_STRING_EQUAL(
		mt_region_printf(&r, "%.*s/%lx-%lu%s", 2, "abcdef", 0xbeefl, ~0ul, ""),
		"ab/beef-18446744073709551615");
	CU_ASSERT_STRING_EQUAL(mt_region_printf(&r, "%.*s|%ld|%u", -1, "abc", -5l, 7u), "abc|-5|7");
	CU_ASSERT_STRING_EQUAL(mt_region_strndup(&r, "abc", 2), "ab");
	CU_ASSERT_FALSE(r.failed);
	mt_region_fini(&r);
	CU_ASSERT_PTR_NULL(r.head);
}

static void limit(void)
{
	struct mt_region r;

	mt_region_init(&r, 1000);
	CU_ASSERT_PTR_NOT_NULL(mt_region_alloc(&r, 600));
	CU_ASSERT_PTR_NULL(mt_region_alloc(&r, 600));
	CU_ASSERT_TRUE(r.failed);
	CU_ASSERT_PTR_NULL(mt_region_alloc(&r, SIZE_MAX - 8));
	CU_ASSERT_PTR_NOT_NULL(mt_region_alloc(&r, 400));
	mt_region_fini(&r);
}

static void arrays(void)
{
	struct mt_region r;
	uint32_t *v = NULL, n = 0;

	mt_region_init(&r, 0);
	for (uint32_t i = 0; i < 1000; i++) {
		uint32_t *slot = mt_region_push(&r, (void **)&v, &n, sizeof(*v));

		CU_ASSERT_PTR_NOT_NULL_FATAL(slot);
		CU_ASSERT_EQUAL(*slot, 0);
		*slot = i;
	}
	CU_ASSERT_EQUAL(n, 1000);
	for (uint32_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(v[i], i);
	mt_region_fini(&r);
}

#define KEYS 2000

/* Against an array, with removals in between. */
static void map_like_an_array(void)
{
	static char keys[KEYS][16];
	bool there[KEYS] = {false};
	struct mt_strmap m = {0};
	struct mt_rand rnd;
	uint32_t n = 0, pos = 0, seen = 0;

	mt_rand_seed(&rnd, 7);
	for (int i = 0; i < KEYS; i++)
		snprintf(keys[i], sizeof(keys[i]), "key-%d", i);
	for (int i = 0; i < 20000; i++) {
		uint32_t k = mt_rand_below(&rnd, KEYS);
		void *old = NULL;

		if (mt_rand_below(&rnd, 3)) {
			CU_ASSERT_EQUAL(mt_strmap_put(&m, keys[k], &there[k], &old), 0);
			CU_ASSERT_EQUAL(old != NULL, there[k]);
			n += !there[k];
			there[k] = true;
		} else {
			old = mt_strmap_del(&m, keys[k]);
			CU_ASSERT_EQUAL(old != NULL, there[k]);
			n -= there[k];
			there[k] = false;
		}
		CU_ASSERT_EQUAL(m.n, n);
	}
	for (int i = 0; i < KEYS; i++)
		CU_ASSERT_PTR_EQUAL(mt_strmap_get(&m, keys[i]), there[i] ? &there[i] : NULL);
	while (mt_strmap_next(&m, &pos, NULL))
		seen++;
	CU_ASSERT_EQUAL(seen, n);
	CU_ASSERT(m.cap <= 4 * KEYS);
	mt_strmap_fini(&m);
}

static void empty_key(void)
{
	struct mt_strmap m = {0};
	char empty[1] = "";

	CU_ASSERT_PTR_NULL(mt_strmap_get(&m, ""));
	CU_ASSERT_EQUAL(mt_strmap_put(&m, empty, &m, NULL), 0);
	CU_ASSERT_PTR_EQUAL(mt_strmap_get(&m, ""), &m);
	CU_ASSERT_PTR_EQUAL(mt_strmap_del(&m, ""), &m);
	CU_ASSERT_PTR_NULL(mt_strmap_get(&m, ""));
	mt_strmap_fini(&m);
}

const struct mt_test region_tests[] = {
	{"pieces", pieces},
	{"limit", limit},
	{"arrays", arrays},
	{"map_like_an_array", map_like_an_array},
	{"empty_key", empty_key},
	{0},
};
