/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include "mt_heap.h"
#include "mt_rand.h"

#include <string.h>

#define N 20000

static struct {
	uint8_t *p;
	uint32_t size;
} held[N];

static void put(struct mt_heap *h, uint32_t i)
{
	for (uint32_t k = 0; held[i].p && k < held[i].size; k++)
		CU_ASSERT_EQUAL_FATAL(held[i].p[k], (uint8_t)i);
	mt_heap_free(h, held[i].p, held[i].size);
	held[i].p = NULL;
}

static void take(struct mt_heap *h, uint32_t i, uint32_t size)
{
	held[i].size = size;
	held[i].p = mt_heap_alloc(h, size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(held[i].p);
	CU_ASSERT_EQUAL((uintptr_t)held[i].p % 16, 0);
	for (uint32_t k = 0; k < size; k++)
		CU_ASSERT_EQUAL_FATAL(held[i].p[k], 0);
	memset(held[i].p, (int)(uint8_t)i, size);
}

/* No object is in another one, all are zeroed, and nothing stays. */
static void sizes_and_orders(void)
{
	struct mt_heap h = {0};
	struct mt_rand r;

	mt_rand_seed(&r, 7);
	for (uint32_t i = 0; i < 100000; i++) {
		uint32_t at = mt_rand_below(&r, N);

		if (held[at].p)
			put(&h, at);
		else
			take(&h, at, mt_rand_below(&r, MT_HEAP_MAX / 4));
	}
	for (uint32_t i = 0; i < N; i++)
		put(&h, i);
	CU_ASSERT_EQUAL(h.pages, 0);
}

/* All are replaced, one by one or all at once: as many pages as before. */
static void pages_go_back(void)
{
	struct mt_heap h = {0};
	uint64_t before;

	for (uint32_t i = 0; i < N / 2; i++)
		take(&h, i, 440);
	before = h.pages;
	CU_ASSERT_TRUE(before * (128 << 10) < (uint64_t)N / 2 * 460);
	for (uint32_t i = N / 2; i < N; i++)
		take(&h, i, 440);
	for (uint32_t i = 0; i < N / 2; i++)
		put(&h, i);
	CU_ASSERT_TRUE(h.pages <= before + 1);
	for (uint32_t i = 0; i < N / 2; i++) {
		take(&h, i, 440);
		put(&h, N / 2 + i * 7919 % (N / 2));
	}
	CU_ASSERT_TRUE(h.pages <= before + 1);
	for (uint32_t i = 0; i < N / 2; i++)
		put(&h, i);
	CU_ASSERT_EQUAL(h.pages, 0);
}

static void large_ones(void)
{
	struct mt_heap h = {0};

	take(&h, 0, MT_HEAP_MAX);
	take(&h, 1, MT_HEAP_MAX + 1);
	take(&h, 2, 0);
	CU_ASSERT_EQUAL(h.pages, 2);
	for (uint32_t i = 0; i < 3; i++)
		put(&h, i);
	mt_heap_free(&h, NULL, 5);
	CU_ASSERT_EQUAL(h.pages, 0);
}

const struct mt_test heap_tests[] = {
	{"sizes and orders", sizes_and_orders},
	{"pages go back", pages_go_back},
	{"large ones", large_ones},
	{0},
};
