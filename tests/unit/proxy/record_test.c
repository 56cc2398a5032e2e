/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of calls: those under way, the slowest of the last minutes, exemplars. */
#include "scene.h"

#include <string.h>

#define SOME 64

static struct mt_record calls[SOME];

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
		ns = MT_MIN(ns, calls[i].took);
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
	CU_ASSERT_TRUE_FATAL(mt_proxy_record_next(lab.p, &idx, calls));
	CU_ASSERT_STRING_EQUAL(calls[0].state, "connecting");
	CU_ASSERT_EQUAL(calls[0].took, 30 * MT_MSEC);
	CU_ASSERT_EQUAL(calls[0].connect_us, 30000);
	CU_ASSERT_EQUAL(calls[0].server_us, 0);
	CU_ASSERT_FALSE(mt_proxy_record_next(lab.p, &idx, calls));
	s = lab_server(0);
	lab_connect(s);
	lab_advance(50 * MT_MSEC);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	(void)scene_next_sent(c);
	CU_ASSERT_EQUAL(mt_slow_read(mt_proxy_slow(lab.p), calls, SOME), 1);
	CU_ASSERT_STRING_EQUAL(calls[0].state, "ok");
	CU_ASSERT_EQUAL(calls[0].took, 80 * MT_MSEC);
	CU_ASSERT_EQUAL(calls[0].queue_us, 0);
	CU_ASSERT_EQUAL(calls[0].connect_us, 30000);
	CU_ASSERT_EQUAL(calls[0].server_us, 50000);
	CU_ASSERT_EQUAL(calls[0].reply_us, 0);
	idx = 0;
	CU_ASSERT_FALSE(mt_proxy_record_next(lab.p, &idx, calls));
	scene_bye(c);
	scene_stop();
}

/* A one-way call takes as long as it takes to send it; until it is acknowledged it can be seen. */
static void test_one_way(void)
{
	struct fake_conn *c, *s;
	uint32_t idx = 0;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'O', 7, 64);
	lab_advance(30 * MT_MSEC);
	s = scene_connected_server(0);
	lab_advance(50 * MT_MSEC);
	CU_ASSERT_TRUE_FATAL(mt_proxy_record_next(lab.p, &idx, calls));
	CU_ASSERT_STRING_EQUAL(calls[0].state, "unacked");
	CU_ASSERT_EQUAL(calls[0].took, 30 * MT_MSEC);
	lab_take(s, scene_buf, 64);
	CU_ASSERT_EQUAL(mt_slow_read(mt_proxy_slow(lab.p), calls, SOME), 1);
	CU_ASSERT_STRING_EQUAL(calls[0].state, "oneway");
	CU_ASSERT_EQUAL(calls[0].took, 30 * MT_MSEC);
	CU_ASSERT_EQUAL(calls[0].connect_us, 30000);
	CU_ASSERT_EQUAL(calls[0].server_us, 0);
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
	n = mt_slow_read(mt_proxy_slow(lab.p), calls, SOME);
	CU_ASSERT_EQUAL(n, MT_SLOW_CALLS);
	CU_ASSERT_EQUAL(least(n), 25 * MT_MSEC);
	/* The next window has its own, beside those of this one; then they go. */
	lab_advance(MT_SLOW_WINDOW);
	call(c, s, 100, 2);
	n = mt_slow_read(mt_proxy_slow(lab.p), calls, SOME);
	CU_ASSERT_EQUAL(n, MT_SLOW_CALLS + 1);
	CU_ASSERT_EQUAL(least(n), 2 * MT_MSEC);
	CU_ASSERT_EQUAL(mt_slow_read(mt_proxy_slow(lab.p), calls, 3), 3);
	lab_advance(MT_SLOW_WINDOW);
	CU_ASSERT_EQUAL(mt_slow_read(mt_proxy_slow(lab.p), calls, SOME), 1);
	lab_advance(MT_SLOW_WINDOW);
	CU_ASSERT_EQUAL(mt_slow_read(mt_proxy_slow(lab.p), calls, SOME), 0);
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
	CU_ASSERT_EQUAL(mt_slow_read(mt_proxy_slow(lab.p), calls, SOME), 1);
	CU_ASSERT_STRING_EQUAL(calls[0].state, "no_endpoint");
	scene_bye(c);
	scene_stop();
}

/* Places that are taken, as bits. */
static uint32_t places(void)
{
	const struct mt_exemplars *x = mt_proxy_exemplars(lab.p, 0);
	struct mt_exemplar e;
	uint32_t found = 0;

	for (uint32_t i = 0; i < MT_EXEMPLARS; i++)
		found |= (uint32_t)mt_exemplar_read(x, i, &e) << i;
	return found;
}

static void test_places(void)
{
	struct fake_conn *c, *s;
	struct mt_exemplar e;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 7, 64);
	s = lab_server(0);
	lab_connect(s);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	(void)scene_next_sent(c);
	/* 0 us; then, less than a millisecond after the one before, none. */
	CU_ASSERT_EQUAL(places(), 1);
	call(c, s, 7, 5);
	CU_ASSERT_EQUAL(places(), 1);
	call(c, s, 7, 5);
	CU_ASSERT_EQUAL(places(), 1 | 1u << 12);
	call(c, s, 7, 7);
	CU_ASSERT_EQUAL(places(), 1 | 1u << 12);
	CU_ASSERT_TRUE_FATAL(mt_exemplar_read(mt_proxy_exemplars(lab.p, 0), 12, &e));
	CU_ASSERT_EQUAL(e.us, 7000);
	CU_ASSERT_EQUAL(e.span.len, 0);
	CU_ASSERT_NOT_EQUAL(e.exchange.gen, 0);
	/* Turned: none, then one in ten milliseconds. */
	mt_proxy_set_sampling(lab.p, 0);
	for (int i = 0; i < 5; i++)
		call(c, s, 7, 40);
	CU_ASSERT_EQUAL(places(), 1 | 1u << 12);
	mt_proxy_set_sampling(lab.p, 10);
	call(c, s, 7, 1);
	CU_ASSERT_EQUAL(places(), 1 | 1u << 9 | 1u << 12);
	call(c, s, 7, 3);
	CU_ASSERT_EQUAL(places(), 1 | 1u << 9 | 1u << 12);
	mt_proxy_set_sampling(lab.p, MT_EXEMPLAR_MS);
	CU_ASSERT_PTR_NULL(mt_proxy_exemplars(lab.p, MT_SNAPSHOT_SERVICES_MAX));
	scene_bye(c);
	scene_stop();
}

const struct mt_test record_tests[] = {{"where its time went", test_parts},
	{"a one-way call", test_one_way}, {"the slowest stay", test_slowest},
	{"how they ended", test_how_they_ended}, {"which is an exemplar", test_places}, {0}};
