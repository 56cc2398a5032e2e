/* SPDX-License-Identifier: Apache-2.0 */
/* Rates of connections between two queries: of the same connection only, and by its own time. */
#include "suites.h"

#define MS(n) ((n)*MT_MSEC)

static struct mt_rate look(struct mt_ctl *c, uint64_t now, struct mt_tcp_info t)
{
	c->now = now;
	return mt_pace_look(c, 0, &t);
}

static bool is(struct mt_rate r, uint64_t in, uint64_t out, uint32_t ms)
{
	return r.in == in && r.out == out && r.over_ms == ms;
}

/*
 * The first query counts from the connection's start, the next one from the first. A query that
 * comes too soon gets the last rate.
 */
static void one_connection(void)
{
	struct mt_tcp_info t = {.index = 7, .born_ms = 100, .age_ns = MS(500), .bytes_in = 1000};
	struct mt_ctl *c = test_ctl(NULL);

	CU_ASSERT(is(look(c, MS(1000), t), 2000, 0, 500));
	t.age_ns = MS(600);
	t.bytes_in = 9000;
	CU_ASSERT(is(look(c, MS(1100), t), 2000, 0, 500));
	t.age_ns = MS(1500);
	t.bytes_out = 3000;
	CU_ASSERT(is(look(c, MS(2000), t), 8000, 3000, 1000));
	mt_ctl_destroy(c);
}

/*
 * A connection with the index of one that has ended does not continue its rate, even if it is as
 * old and has moved more.
 */
static void index_used_again(void)
{
	struct mt_tcp_info t = {.index = 7, .born_ms = 100, .age_ns = MS(500), .bytes_in = 1000};
	struct mt_ctl *c = test_ctl(NULL);

	(void)look(c, MS(1000), t);
	t = (struct mt_tcp_info){.index = 7, .born_ms = 700, .age_ns = MS(1000), .bytes_in = 4000};
	CU_ASSERT(is(look(c, MS(2000), t), 4000, 0, 1000));
	t = (struct mt_tcp_info){.index = 7, .born_ms = 900, .age_ns = MS(1100), .bytes_in = 5500};
	CU_ASSERT(is(look(c, MS(2100), t), 5000, 0, 1100));
	mt_ctl_destroy(c);
}

const struct mt_test pace_tests[] = {
	{"one connection", one_connection},
	{"an index that is used again", index_used_again},
	{0},
};
