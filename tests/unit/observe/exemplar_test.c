/* SPDX-License-Identifier: Apache-2.0 */
/* Single calls as examples of latency: which stays, and that none is read half written. */
#include "mt_exemplar.h"

#include "suites.h"

#include <pthread.h>
#include <string.h>

#define CHANGES 500

static struct mt_exemplars places;
static bool done;

/* One of that trace, or of none. */
static void keep(uint8_t trace, uint64_t wall, uint64_t us)
{
	struct mt_record r = {.service_id = 77, .wall = wall, .answer_us = us};

	if (trace) {
		r.span.len = MT_TRACE_ID;
		memset(r.span.trace, trace, sizeof(r.span.trace));
	}
	mt_exemplar_keep(&places, &r);
}

static uint8_t first_of(uint32_t place)
{
	struct mt_exemplar e = {0};

	(void)mt_exemplar_read(&places, place, &e);
	return e.span.trace[0];
}

/* A trace that can be looked up is worth more than a name, for a while. */
static void test_stays(void)
{
	memset(&places, 0, sizeof(places));
	keep(1, MT_SEC, 100);
	keep(2, MT_SEC, 100);
	CU_ASSERT_EQUAL(first_of(6), 2);
	keep(0, 60 * MT_SEC, 100);
	CU_ASSERT_EQUAL(first_of(6), 2);
	keep(0, 61 * MT_SEC, 100);
	CU_ASSERT_EQUAL(first_of(6), 0);
	keep(0, 61 * MT_SEC, UINT64_MAX);
	CU_ASSERT_TRUE(mt_exemplar_read(&places, MT_EXEMPLARS - 1, &(struct mt_exemplar){0}));
}

/* When the call was over, not when it began. */
static void test_when(void)
{
	struct mt_record r = {.service_id = 77, .wall = 5 * MT_SEC, .took = MT_SEC};
	struct mt_exemplar e = {0};

	memset(&places, 0, sizeof(places));
	mt_exemplar_keep(&places, &r);
	CU_ASSERT_TRUE(mt_exemplar_read(&places, 0, &e));
	CU_ASSERT_EQUAL(e.wall, 6 * MT_SEC);
}

/* All parts of an exemplar say the same number. */
static void *write_on(void *arg)
{
	for (uint32_t i = 0; !__atomic_load_n(&done, __ATOMIC_ACQUIRE); i++)
		keep((uint8_t)(1 + (i & 31)), 1 + (i & 31), 64 + (i & 31));
	return arg;
}

static void test_whole(void)
{
	uint32_t changes = 0, torn = 0;
	struct mt_exemplar e;
	uint64_t last = 0;
	pthread_t writer;

	memset(&places, 0, sizeof(places));
	done = false;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&writer, NULL, write_on, NULL), 0);
	while (changes < CHANGES) {
		if (!mt_exemplar_read(&places, 6, &e))
			continue;
		changes += e.us != last;
		last = e.us;
		torn += e.us + 1 != e.wall + 64 || e.span.trace[0] != e.wall ||
			e.span.trace[15] != e.wall;
	}
	__atomic_store_n(&done, true, __ATOMIC_RELEASE);
	pthread_join(writer, NULL);
	CU_ASSERT_EQUAL(torn, 0);
}

const struct mt_test exemplar_tests[] = {
	{"which one stays", test_stays},
	{"when it was", test_when},
	{"none is torn", test_whole},
	{NULL, NULL},
};
