/* SPDX-License-Identifier: Apache-2.0 */
/* Calls under way, and the slowest of the last minutes, as the shell shows them. */
#include "scene.h"

#include <string.h>

#define SOME 64

static struct mt_exchange_info calls[SOME];

/* One that is answered after `ms` at the server. */
static void call(struct fake_conn *c, struct fake_conn *s, uint64_t id, uint32_t ms)
{
	struct toy q;

	scene_send_request(c, 'Q', id, 64);
	q = scene_next_sent(s);
	lab_advance(ms * MT_MSEC);
	scene_answer(s, q.id, 9, 40);
	(void)scene_next_sent(c);
}

static uint64_t least(uint32_t n)
{
	uint64_t ns = MT_NEVER;

	for (uint32_t i = 0; i < n; i++)
		ns = MT_MIN(ns, calls[i].age_ns);
	return ns;
}

static void test_parts(void)
{
	struct fake_conn *c, *s;
	uint32_t idx = 0;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 7, 64);
	lab_advance(30 * MT_MSEC);
	CU_ASSERT_TRUE_FATAL(mt_exchange_info_next(lab.p, &idx, calls));
	CU_ASSERT_STRING_EQUAL(calls[0].state, "connecting");
	CU_ASSERT_EQUAL(calls[0].age_ns, 30 * MT_MSEC);
	CU_ASSERT_EQUAL(calls[0].connect_us, 30000);
	CU_ASSERT_EQUAL(calls[0].server_us, 0);
	CU_ASSERT_FALSE(mt_exchange_info_next(lab.p, &idx, calls));
	s = lab_server(0);
	lab_connect(s);
	lab_advance(50 * MT_MSEC);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	(void)scene_next_sent(c);
	CU_ASSERT_EQUAL(mt_proxy_slow(lab.p, calls, SOME), 1);
	CU_ASSERT_STRING_EQUAL(calls[0].state, "ok");
	CU_ASSERT_EQUAL(calls[0].age_ns, 80 * MT_MSEC);
	CU_ASSERT_EQUAL(calls[0].queue_us, 0);
	CU_ASSERT_EQUAL(calls[0].connect_us, 30000);
	CU_ASSERT_EQUAL(calls[0].server_us, 50000);
	CU_ASSERT_EQUAL(calls[0].reply_us, 0);
	idx = 0;
	CU_ASSERT_FALSE(mt_exchange_info_next(lab.p, &idx, calls));
	scene_bye(c);
	scene_stop();
}

static void test_slowest(void)
{
	struct fake_conn *c, *s;
	uint32_t n;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	(void)scene_next_sent(c);
	/* 1 to 40 ms, in an order of their own: the 16 slowest stay. */
	for (uint32_t i = 0; i < 40; i++)
		call(c, s, i, 1 + i * 7 % 40);
	n = mt_proxy_slow(lab.p, calls, SOME);
	CU_ASSERT_EQUAL(n, MT_SLOW_CALLS);
	CU_ASSERT_EQUAL(least(n), 25 * MT_MSEC);
	/* The next window has its own, beside those of this one; then they go. */
	lab_advance(MT_SLOW_WINDOW);
	call(c, s, 100, 2);
	n = mt_proxy_slow(lab.p, calls, SOME);
	CU_ASSERT_EQUAL(n, MT_SLOW_CALLS + 1);
	CU_ASSERT_EQUAL(least(n), 2 * MT_MSEC);
	CU_ASSERT_EQUAL(mt_proxy_slow(lab.p, calls, 3), 3);
	lab_advance(MT_SLOW_WINDOW);
	CU_ASSERT_EQUAL(mt_proxy_slow(lab.p, calls, SOME), 1);
	lab_advance(MT_SLOW_WINDOW);
	CU_ASSERT_EQUAL(mt_proxy_slow(lab.p, calls, SOME), 0);
	scene_bye(c);
	scene_stop();
}

static void test_how_they_ended(void)
{
	struct fake_conn *c;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	lab_close(lab_server(0), MT_CLOSE_REFUSED);
	(void)scene_next_sent(c);
	CU_ASSERT_EQUAL(mt_proxy_slow(lab.p, calls, SOME), 1);
	CU_ASSERT_STRING_EQUAL(calls[0].state, "no_endpoint");
	scene_bye(c);
	scene_stop();
}

const struct mt_test slow_tests[] = {{"where its time went", test_parts},
	{"the slowest stay", test_slowest}, {"how they ended", test_how_they_ended}, {0}};
