/* SPDX-License-Identifier: Apache-2.0 */
/* Long messages and clients that do not read. */
#include "scene.h"

/* A header and then silence never enters a shared connection. */
static void test_long_request_has_its_own_lane(void)
{
	enum { LEN = 200000 };
	struct fake_conn *c[2], *s;
	uint32_t got = 0;

	scene_start(1);
	c[0] = lab_client(CONFIG_SAFE);
	c[1] = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 1, "call", LEN);
	lab_feed(c[0], scene_buf, 1000);
	lab_connect(lab_server(0));
	CU_ASSERT_EQUAL(lab_server(0)->sent.len, 1000);
	scene_send_request(c[1], 'Q', 2, 64);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 2);
	s = lab_server(1);
	lab_connect(s);
	CU_ASSERT_EQUAL(scene_next_sent(s).first, 2);
	toy_make(scene_buf, 'Q', 1, "call", LEN);
	for (uint32_t at = 1000; at < LEN; at += 9950)
		lab_feed(c[0], scene_buf + at, MT_MIN(9950u, LEN - at));
	for (uint32_t n; (n = lab_take(lab_server(0), scene_buf, SCENE_BUF)) > 0;)
		got += n;
	CU_ASSERT_EQUAL(got, LEN);
	scene_answer(lab_server(0), 1, 0x77, 50);
	CU_ASSERT_EQUAL(scene_next_sent(c[0]).first, 0x77);
	lab_close(c[1], MT_CLOSE_RESET);
	scene_bye(c[0]);
	CU_ASSERT_TRUE(c[0]->detached);
	scene_stop();
}

/*
 * A long request comes faster than its server reads: what arrived meanwhile follows when there is room
 * again, although the client sends nothing more.
 */
static void test_long_request_to_a_slow_server(void)
{
	enum { LEN = 200000 };
	struct fake_conn *c, *s;
	uint32_t got = 0;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 1, "call", LEN);
	lab_feed(c, scene_buf, 1000);
	s = lab_server(0);
	lab_connect(s);
	s->s.tx_high = 30000;
	for (uint32_t at = 1000; at < LEN; at += 9950)
		lab_feed(c, scene_buf + at, MT_MIN(9950u, LEN - at));
	CU_ASSERT_TRUE(s->sent.len < LEN);
	for (uint32_t n; (n = lab_take(s, scene_buf, SCENE_BUF)) > 0;)
		got += n;
	CU_ASSERT_EQUAL(got, LEN);
	scene_answer(s, 1, 0x77, 50);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x77);
	scene_bye(c);
	scene_stop();
}

/* The server stops reading for longer than a client may stall: that is not the client's doing. */
static void test_long_request_to_a_stalled_server(void)
{
	enum { LEN = 200000 };
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .bulk_idle_ms = 300};
	struct fake_conn *c, *s;
	uint32_t got = 0;

	scene_start_with(1, &conf);
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 1, "call", LEN);
	lab_feed(c, scene_buf, 1000);
	s = lab_server(0);
	lab_connect(s);
	s->s.tx_high = 30000;
	for (uint32_t at = 1000; at < LEN - 1000; at += 9900)
		lab_feed(c, scene_buf + at, MT_MIN(9900u, LEN - 1000 - at));
	lab_advance(600 * MT_MSEC);
	CU_ASSERT_TRUE_FATAL(c->live);
	for (uint32_t n; (n = lab_take(s, scene_buf, SCENE_BUF)) > 0;)
		got += n;
	CU_ASSERT_EQUAL(got, LEN - 1000);
	/* From here on it is. */
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_TRUE(c->live);
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_message_stalled), 1);
	scene_stop();
}

static void test_stalled_request(void)
{
	struct fake_conn *c;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 1, "call", 100000);
	lab_feed(c, scene_buf, 1000);
	lab_connect(lab_server(0));
	lab_advance(11 * MT_SEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_message_stalled), 1);
	c = lab_client(CONFIG_SAFE);
	lab_feed(c, scene_buf, 3);
	lab_advance(11 * MT_SEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_message_stalled), 2);
	scene_stop();
}

/* All of a long request is there before its connection is: the connect moves every byte. */
static void test_long_request_before_connect(void)
{
	enum { LEN = 70000, PIECE = 1428 };
	struct fake_conn *c, *s;
	uint32_t got;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 1, "early", LEN);
	for (uint32_t at = 0; at < LEN; at += PIECE)
		lab_feed(c, scene_buf + at, MT_MIN((uint32_t)PIECE, LEN - at));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_request_early), 1);
	s = lab_server(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	lab_connect(s);
	got = lab_take(s, scene_buf, SCENE_BUF);
	CU_ASSERT_EQUAL(got, LEN);
	CU_ASSERT_EQUAL(c->s.rx.len, 0);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

static void test_long_reply_cut_through(void)
{
	enum { LEN = 300000 };
	struct fake_conn *c, *s;
	uint32_t got = 0;
	uint64_t id;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	id = scene_next_sent(s).id;
	toy_make(scene_buf, 'P', id, "done", LEN);
	for (uint32_t at = 0; at < LEN; at += 10000) {
		static uint8_t out[SCENE_BUF];

		toy_make(scene_buf, 'P', id, "done", LEN);
		lab_feed(s, scene_buf + at, MT_MIN(10000u, LEN - at));
		got += lab_take(c, out, SCENE_BUF);
		if (at == 0)
			CU_ASSERT_EQUAL(toy_parse(out, SCENE_BUF).id, 1);
	}
	CU_ASSERT_EQUAL(got, LEN);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_early), 1);
	scene_send_request(c, 'Q', 2, 64);
	s = scene_connected_server(
		1); /* the next reply may be as long: it is not to hold up others' */
	scene_answer(s, scene_next_sent(s).id, 0x55, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x55);
	scene_bye(c);
	scene_stop();
}

/* The server dies in the middle of a long reply: no native error can be put behind it. */
static void test_long_reply_broken(void)
{
	struct fake_conn *c, *s;
	uint64_t id;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	id = scene_next_sent(s).id;
	toy_make(scene_buf, 'P', id, "done", 100000);
	lab_feed(s, scene_buf, 70000);
	lab_close(s, MT_CLOSE_RESET);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_truncated), 1);
	/* The client did not leave: it was shown the door. */
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_client_closed), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_reset), 1);
	scene_stop();
}

/* Replies that are not read: requests stop being decoded, then the client is reset, others go on. */
static void test_slow_reader(void)
{
	struct fake_conn *slow, *ok, *s;
	uint32_t sent = 0;

	scene_start_with(1, &(struct mt_proxy_conf){.wide_from = 65536});
	slow = lab_client(CONFIG_SAFE);
	ok = lab_client(CONFIG_SAFE);
	scene_send_request(slow, 'Q', 0, 64);
	s = lab_server(0);
	lab_connect(s);
	while (slow->live && sent++ < 100) {
		struct toy q = scene_next_sent(s);

		if (q.kind == 'Q')
			scene_answer(s, q.id, 1, 20000);
		if (slow->live)
			scene_send_request(slow, 'Q', sent, 64);
	}
	CU_ASSERT_TRUE(slow->s.tx_queued > lab.p->conf.reply_soft);
	CU_ASSERT_TRUE(scene_counted(MT_PROXY_paused_budget) > 0);
	scene_send_request(ok, 'Q', 3, 64);
	for (struct toy q; (q = scene_next_sent(s)).kind;)
		scene_answer(s, q.id, 0x44, 40);
	CU_ASSERT_EQUAL(scene_next_sent(ok).first, 0x44);
	lab_advance(12 * MT_SEC);
	CU_ASSERT_TRUE(slow->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_slow_reader), 1);
	scene_bye(ok);
	scene_stop();
}

/* Two long replies at once to a client that reads slowly: the later one has begun first and goes on. */
static void test_long_replies_crossing(void)
{
	enum { REQ = 70000, FIRST = 400000, SECOND = 100000 };
	struct fake_conn *c, *s[2];
	uint32_t got = 0;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, REQ);
	scene_send_request(c, 'Q', 2, REQ);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 2);
	for (uint32_t i = 0; i < 2; i++) {
		s[i] = lab_server(i);
		lab_connect(s[i]);
		CU_ASSERT_EQUAL(scene_next_sent(s[i]).id, i + 1);
	}
	toy_make(scene_buf, 'P', 2, "done", FIRST);
	for (uint32_t at = 0; at < FIRST; at += 10000)
		lab_feed(s[1], scene_buf + at, 10000);
	CU_ASSERT_TRUE(c->sent.len > 0 && c->sent.len < FIRST);
	toy_make(scene_buf, 'P', 1, "done", SECOND);
	for (uint32_t at = 0; at < SECOND; at += 10000)
		lab_feed(s[0], scene_buf + at, 10000);
	for (uint32_t n; (n = lab_take(c, scene_buf, SCENE_BUF)) > 0;)
		got += n;
	CU_ASSERT_EQUAL(got, FIRST + SECOND);
	scene_bye(c);
	CU_ASSERT_TRUE(c->detached);
	scene_stop();
}

const struct mt_test long_tests[] = {
	{"long request has its own lane", test_long_request_has_its_own_lane},
	{"long request to a slow server", test_long_request_to_a_slow_server},
	{"long request to a stalled server", test_long_request_to_a_stalled_server},
	{"stalled request", test_stalled_request},
	{"a long request before its connection", test_long_request_before_connect},
	{"long reply", test_long_reply_cut_through},
	{"long replies crossing", test_long_replies_crossing},
	{"long reply broken", test_long_reply_broken},
	{"slow reader", test_slow_reader},
	{0},
};
