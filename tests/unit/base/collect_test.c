/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_collect.h"
#include "suites.h"

#include <string.h>

static void up_to_the_limit(void)
{
	struct mt_collected c = {.max = 5};

	CU_ASSERT_EQUAL(mt_collect("", 1, 0, &c), 0);
	CU_ASSERT(!c.too_long);
	CU_ASSERT_EQUAL(mt_collect("abc", 1, 3, &c), 3);
	CU_ASSERT_EQUAL(mt_collect("de", 1, 2, &c), 2);
	CU_ASSERT(!c.too_long);
	CU_ASSERT_EQUAL(mt_collect("f", 1, 1, &c), 0);
	CU_ASSERT(c.too_long);
	CU_ASSERT_EQUAL(c.len, 5);
	CU_ASSERT(memcmp(c.p, "abcde", 5) == 0);
	mt_collected_clear(&c);
	CU_ASSERT(!c.p && c.len == 0 && !c.too_long);
	CU_ASSERT_EQUAL(mt_collect("123456", 1, 6, &c), 0);
	CU_ASSERT(c.too_long && !c.p);
	mt_collected_clear(&c);
}

const struct mt_test collect_tests[] = {{"up to the limit", up_to_the_limit}, {0}};
