/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include "mt_rand.h"
#include "mt_slab.h"

#define CAP 64

static void test_references(void)
{
	struct mt_slab s;
	struct mt_ref a, b;
	uint64_t *p, *q;

	CU_ASSERT_EQUAL_FATAL(mt_slab_init(&s, "t", sizeof(*p), CAP), 0);
	p = mt_slab_alloc(&s, &a);
	q = mt_slab_alloc(&s, &b);
	CU_ASSERT_PTR_EQUAL(mt_slab_get(&s, a), p);
	CU_ASSERT_PTR_EQUAL(mt_slab_get(&s, b), q);
	CU_ASSERT_TRUE(mt_ref_eq(a, mt_slab_ref(&s, p)));
	CU_ASSERT_FALSE(mt_ref_is_none(a));
	CU_ASSERT_PTR_NULL(mt_slab_get(&s, MT_REF_NONE));
	mt_slab_free(&s, p);
	CU_ASSERT_PTR_NULL(mt_slab_get(&s, a));
	CU_ASSERT_EQUAL(s.in_use, 1);
	/* Far outside what was ever given out. */
	CU_ASSERT_PTR_NULL(mt_slab_get(&s, (struct mt_ref){CAP + 5, 1}));
	mt_slab_fini(&s);
}

/* Objects of a used slab: mt_slab_alloc() clears all bytes, mt_slab_take() has the rest equal. */
static void test_take(void)
{
	static const uint8_t none[48];
	struct mt_ref a, b;
	struct mt_slab s;
	uint8_t *p, *q;

	CU_ASSERT_EQUAL_FATAL(mt_slab_init(&s, "t", sizeof(none), 1), 0);
	p = mt_slab_take(&s, &a);
	CU_ASSERT_PTR_EQUAL(mt_slab_get(&s, a), p);
	memset(p, 0x5a, sizeof(none));
	CU_ASSERT_PTR_NULL(mt_slab_take(&s, &b));
	CU_ASSERT_TRUE(mt_ref_is_none(b));
	CU_ASSERT_EQUAL(s.failed, 1);
	mt_slab_free(&s, p);
	q = mt_slab_alloc(&s, &b);
	CU_ASSERT_PTR_EQUAL_FATAL(q, p);
	CU_ASSERT_EQUAL(memcmp(q, none, sizeof(none)), 0);
	CU_ASSERT_PTR_NULL(mt_slab_get(&s, a));
	CU_ASSERT_PTR_EQUAL(mt_slab_get(&s, b), q);
	CU_ASSERT_EQUAL(s.in_use, 1);
	mt_slab_free(&s, q);
	mt_slab_fini(&s);
}

/* Against a table of what is live; freed and reused in any order, full and empty. */
static void test_random(void)
{
	struct mt_ref refs[CAP], old[CAP] = {{0}};
	uint64_t *live[CAP] = {NULL};
	struct mt_rand rnd;
	struct mt_slab s;
	uint32_t n = 0;

	mt_rand_seed(&rnd, 3);
	CU_ASSERT_EQUAL_FATAL(mt_slab_init(&s, "t", 24, CAP), 0);
	for (int i = 0; i < 20000; i++) {
		uint32_t k = mt_rand_below(&rnd, CAP), seen = 0, idx = 0;

		if (live[k]) {
			CU_ASSERT_EQUAL_FATAL(*live[k], k);
			old[k] = refs[k];
			mt_slab_free(&s, live[k]);
			live[k] = NULL;
			n--;
		} else {
			live[k] = mt_slab_alloc(&s, &refs[k]);
			CU_ASSERT_PTR_NOT_NULL_FATAL(live[k]);
			CU_ASSERT_EQUAL_FATAL(*live[k], 0);
			*live[k] = k;
			n++;
		}
		CU_ASSERT_EQUAL_FATAL(s.in_use, n);
		CU_ASSERT_PTR_NULL_FATAL(mt_slab_get(&s, old[k]));
		while (mt_slab_next(&s, &idx))
			seen++;
		CU_ASSERT_EQUAL_FATAL(seen, n);
	}
	mt_slab_fini(&s);
}

static void test_full(void)
{
	struct mt_slab s;
	void *last = NULL;

	CU_ASSERT_EQUAL_FATAL(mt_slab_init(&s, "t", 100, CAP), 0);
	for (int i = 0; i < CAP; i++)
		CU_ASSERT_PTR_NOT_NULL_FATAL(last = mt_slab_alloc(&s, NULL));
	CU_ASSERT_PTR_NULL(mt_slab_alloc(&s, NULL));
	CU_ASSERT_EQUAL(s.failed, 1);
	CU_ASSERT_EQUAL(s.peak, CAP);
	mt_slab_free(&s, last);
	CU_ASSERT_PTR_NOT_NULL(mt_slab_alloc(&s, NULL));
	mt_slab_fini(&s);
}

const struct mt_test slab_tests[] = {
	{"references", test_references},
	{"not cleared", test_take},
	{"random", test_random},
	{"full", test_full},
	{0},
};
