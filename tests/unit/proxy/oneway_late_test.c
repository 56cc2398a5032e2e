/* SPDX-License-Identifier: Apache-2.0 */
/* Time-outs of calls in doubt: that of the last one is all of theirs, as long as it is there. */
#include "scene.h"

#include "mt_proxy_priv.h"

static struct fake_conn *client, *server;

static void call(const char *method, uint64_t id)
{
	toy_make(scene_buf, 'Q', id, method, 64);
	CU_ASSERT_TRUE_FATAL(lab_feed(client, scene_buf, 64));
	if (!server) {
		server = lab_server(0);
		lab_connect(server);
	}
	CU_ASSERT_STRING_EQUAL(scene_next_sent(server).method, method);
}

static void answer(const char *method, uint64_t id)
{
	toy_make(scene_buf, 'P', id, method, 40);
	CU_ASSERT_TRUE_FATAL(lab_feed(server, scene_buf, 40));
	CU_ASSERT_EQUAL(scene_next_sent(client).status, 0);
}

/* After that, calls of "note" are known to be one-way. */
static void start(void)
{
	scene_start(1);
	client = lab_client(CONFIG_NAMED);
	server = NULL;
	for (uint64_t id = 1; id < 7; id += 2) {
		call("note", id);
		call("ask ", id + 1);
		answer("ask ", id + 1);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_learnt), 1);
}

/*
 * A one-way call keeps its place behind a call that waits for its reply, and ends at its time-out.
 * Then the server is asked by a FIN, and if it does nothing, the first call has its own time-out.
 */
static void test_before_a_silent_one(void)
{
	struct toy t;

	start();
	call("slow", 11);
	call("note", 12);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 2);
	lab_advance(3 * MT_SEC);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
	t = scene_next_sent(client);
	CU_ASSERT_EQUAL(t.id, 11);
	CU_ASSERT_EQUAL(t.first, MT_REPLY_TIMEOUT);
	lab_close(client, MT_CLOSE_RESET);
	lab_advance(30 * MT_SEC);
	scene_stop();
}

/* While the last call is there, its time-out is that of the first one. */
static void test_by_the_last_one(void)
{
	start();
	call("slow", 11);
	lab_advance(500 * MT_MSEC);
	call("note", 12);
	lab_advance(900 * MT_MSEC);
	answer("slow", 11);
	lab_advance(MT_SEC);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
	lab_close(client, MT_CLOSE_RESET);
	lab_advance(30 * MT_SEC);
	scene_stop();
}

/* Another client shows that calls of "slow" are one-way, too. */
static void teach_slow(void)
{
	struct fake_conn *other = lab_client(CONFIG_NAMED), *s;

	for (uint64_t id = 1; id < 7; id += 2) {
		toy_make(scene_buf, 'Q', id, "slow", 64);
		CU_ASSERT_TRUE_FATAL(lab_feed(other, scene_buf, 64));
		toy_make(scene_buf, 'Q', id + 1, "ask ", 64);
		CU_ASSERT_TRUE_FATAL(lab_feed(other, scene_buf, 64));
		s = lab_server(1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		if (!s->connected)
			lab_connect(s);
		CU_ASSERT_EQUAL(scene_next_sent(s).id, id);
		CU_ASSERT_EQUAL(scene_next_sent(s).id, id + 1);
		toy_make(scene_buf, 'P', id + 1, "ask ", 40);
		CU_ASSERT_TRUE_FATAL(lab_feed(s, scene_buf, 40));
		CU_ASSERT_EQUAL(scene_next_sent(other).id, id + 1);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_learnt), 2);
	lab_close(other, MT_CLOSE_RESET);
}

/* The last call ends after the FIN: a server that does nothing does not keep its connection. */
static void test_known_after_the_fin(void)
{
	start();
	call("slow", 11);
	call("note", 12);
	teach_slow();
	lab_advance(3 * MT_SEC);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
	CU_ASSERT_TRUE(server->shut);
	CU_ASSERT_FALSE(server->aborted);
	lab_advance(30 * MT_SEC);
	CU_ASSERT_TRUE(server->aborted);
	lab_close(client, MT_CLOSE_RESET);
	lab_advance(30 * MT_SEC);
	scene_stop();
}

const struct mt_test oneway_late_tests[] = {{"before a silent one", test_before_a_silent_one},
	{"by the last one", test_by_the_last_one},
	{"known after the FIN", test_known_after_the_fin}, {0}};
