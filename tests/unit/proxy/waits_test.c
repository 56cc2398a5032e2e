/* SPDX-License-Identifier: Apache-2.0 */
/* Replies that wait: for their turn, and for a client to read. Who reads gets them all. */
#include "scene.h"

#include "mt_proxy_priv.h"

/* Reads all that comes; how much it was. */
static uint32_t read_all(struct fake_conn *c)
{
	uint32_t got = 0;

	for (uint32_t n; (n = lab_take(c, scene_buf, SCENE_BUF)) > 0;)
		got += n;
	return got;
}

static void answer_in_pieces(
	struct fake_conn *server, uint64_t id, uint32_t len, uint32_t from, uint32_t to)
{
	enum { PIECE = 10000 };

	for (uint32_t at = from; at < to; at += PIECE) {
		toy_make(scene_buf, 'P', id, "done", len);
		lab_feed(server, scene_buf + at, MT_MIN((uint32_t)PIECE, to - at));
	}
}

/*
 * A client that does not read yet has no room when several long replies begin. Each of them goes on when it
 * reads, one behind the other.
 */
static void test_long_replies_find_no_room(void)
{
	enum { SMALLS = 2, SMALL = 60000, LEN = 70000, LONGS = 3 };
	struct fake_conn *c, *s[1 + LONGS];
	uint64_t id[SMALLS];

	scene_start_with(1, &(struct mt_proxy_conf){.reply_soft = 100000});
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	for (uint32_t i = 0; i < SMALLS; i++) {
		scene_send_request(c, 'Q', 10 + i, 64);
		s[0] = i ? s[0] : scene_connected_server(0);
		id[i] = scene_next_sent(s[0]).id;
	}
	for (uint32_t i = 1; i <= LONGS; i++) {
		scene_send_request(c, 'Q', i, LEN);
		s[i] = scene_connected_server(i);
		CU_ASSERT_EQUAL(scene_next_sent(s[i]).id, i);
	}
	for (uint32_t i = 0; i < SMALLS; i++)
		scene_answer(s[0], id[i], 1, SMALL);
	for (uint32_t i = 1; i <= LONGS; i++)
		answer_in_pieces(s[i], i, LEN, 0, LEN);
	CU_ASSERT_EQUAL(c->sent.len, SMALLS * SMALL);
	CU_ASSERT_EQUAL(read_all(c), SMALLS * SMALL + LONGS * LEN);
	scene_bye(c);
	CU_ASSERT_TRUE(c->detached);
	scene_stop();
}

/* A connection that waits for its client is not read: the server's window shuts. */
static void test_paused_is_not_read(void)
{
	enum { LEN = 400000, SOFT = 30000 };
	struct fake_conn *c, *s;

	scene_start_with(1, &(struct mt_proxy_conf){.reply_soft = SOFT});
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 70000);
	s = scene_connected_server(0);
	scene_next_sent(s);
	answer_in_pieces(s, 1, LEN, 0, LEN);
	CU_ASSERT_TRUE(c->sent.len <= SOFT + 10000);
	CU_ASSERT_TRUE(s->s.rx.len - s->s.rx_kept >= LEN - SOFT - 20000);
	CU_ASSERT_EQUAL(read_all(c), LEN);
	scene_bye(c);
	scene_stop();
}

/* The client leaves while connections wait for it: what is left of their replies is read and skipped. */
static void test_client_leaves_paused(void)
{
	enum { LEN = 70000 };
	struct fake_conn *c, *s[2];

	scene_start_with(1, &(struct mt_proxy_conf){.reply_soft = 30000});
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	for (uint32_t i = 0; i < 2; i++) {
		scene_send_request(c, 'Q', 1 + i, LEN);
		s[i] = scene_connected_server(i);
		scene_next_sent(s[i]);
	}
	for (uint32_t i = 0; i < 2; i++)
		answer_in_pieces(s[i], 1 + i, LEN, 0, LEN);
	CU_ASSERT_TRUE(s[1]->s.rx.len > 0);
	lab_close(c, MT_CLOSE_RESET);
	lab_advance(MT_SEC);
	for (uint32_t i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(s[i]->s.rx.len, 0);
	/* And their connections take the next call. */
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 7, LEN);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	CU_ASSERT_EQUAL(scene_next_sent(s[0]).id + scene_next_sent(s[1]).id, 7);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* The slow call is first in order; what was answered meanwhile goes as fast as its client reads. */
static void test_held_behind_a_slow_call(void)
{
	enum { CALLS = 30, LEN = 50000 };
	struct fake_conn *c, *s[CALLS];

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SERIAL);
	for (uint32_t i = 0; i < CALLS; i++) {
		scene_send_request(c, 'Q', i, 64);
		s[i] = scene_connected_server(i);
		scene_next_sent(s[i]);
	}
	for (uint32_t i = 1; i < CALLS; i++)
		scene_answer(s[i], i, 0x30 + i, LEN);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	lab_advance(MT_SEC);
	scene_answer(s[0], 0, 0x30, LEN);
	CU_ASSERT_TRUE_FATAL(c->live);
	CU_ASSERT_TRUE(c->s.tx_queued < lab.p->conf.reply_soft + 2 * LEN);
	for (uint32_t i = 0; i < CALLS; i++)
		CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x30 + i);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_slow_reader), 0);
	scene_bye(c);
	scene_stop();
}

/* A long reply comes slowly; those that came meanwhile wait for its end, and then for the client's window. */
static void test_held_behind_a_long_reply(void)
{
	enum { CALLS = 40, LEN = 50000, LONG = 100000 };
	struct fake_conn *c, *s[2];
	uint64_t ids[CALLS];
	uint32_t got;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 70000);
	s[1] = scene_connected_server(0);
	scene_next_sent(s[1]);
	scene_send_request(c, 'Q', 2, 64);
	s[0] = scene_connected_server(1);
	ids[0] = scene_next_sent(s[0]).id;
	for (uint32_t i = 1; i < CALLS; i++) {
		scene_send_request(c, 'Q', 2 + i, 64);
		ids[i] = scene_next_sent(s[0]).id;
	}
	answer_in_pieces(s[1], 1, LONG, 0, LONG / 2);
	got = read_all(c);
	for (uint32_t i = 0; i < CALLS; i++)
		scene_answer(s[0], ids[i], 0x30, LEN);
	lab_advance(2 * MT_SEC);
	answer_in_pieces(s[1], 1, LONG, LONG / 2, LONG);
	CU_ASSERT_TRUE_FATAL(c->live);
	CU_ASSERT_EQUAL(got + read_all(c), LONG + CALLS * LEN);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_slow_reader), 0);
	scene_bye(c);
	scene_stop();
}

/* Many replies at once to a client that is far away: they wait until it can have acknowledged the first ones. */
static void test_burst_to_a_distant_client(void)
{
	enum { CALLS = 40, LEN = 50000 };
	struct fake_conn *c, *s;
	uint64_t ids[CALLS];

	scene_start_with(1, &(struct mt_proxy_conf){.wide_from = 65536});
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 0, 64);
	s = scene_connected_server(0);
	ids[0] = scene_next_sent(s).id;
	for (uint32_t i = 1; i < CALLS; i++) {
		scene_send_request(c, 'Q', i, 64);
		ids[i] = scene_next_sent(s).id;
	}
	for (uint32_t i = 0; i < CALLS; i++)
		scene_answer(s, ids[i], 0x30, LEN);
	CU_ASSERT_TRUE(c->s.tx_queued < lab.p->conf.reply_soft + 2 * LEN);
	for (uint32_t i = 0; i < CALLS; i++) {
		lab_advance(MT_SEC);
		CU_ASSERT_TRUE_FATAL(c->live);
		CU_ASSERT_EQUAL(scene_next_sent(c).id, i);
	}
	/* And a deaf one is waited for only so long. */
	for (uint32_t i = 0; i < CALLS; i++) {
		scene_send_request(c, 'Q', i, 64);
		ids[i] = scene_next_sent(s).id;
	}
	for (uint32_t i = 0; i < CALLS; i++)
		scene_answer(s, ids[i], 0x30, LEN);
	lab_advance(lab.p->conf.slow_ms * MT_MSEC - MT_SEC);
	CU_ASSERT_TRUE(c->live);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_slow_reader), 1);
	scene_stop();
}

/* However much was asked for at once: who reads before its time is over gets all of it, and is not read on meanwhile. */
static void test_much_is_read_late(void)
{
	enum { CALLS = 100, LEN = 60000, SOFT = 20000 };
	struct fake_conn *c, *s;
	uint64_t ids[CALLS];
	uint32_t got = 0;

	scene_start_with(1, &(struct mt_proxy_conf){.reply_soft = SOFT, .wide_from = 65536});
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 0, 64);
	s = scene_connected_server(0);
	ids[0] = scene_next_sent(s).id;
	for (uint32_t i = 1; i < CALLS; i++) {
		scene_send_request(c, 'Q', i, 64);
		ids[i] = scene_next_sent(s).id;
	}
	for (uint32_t i = 0; i < CALLS; i++)
		scene_answer(s, ids[i], 0x30, LEN);
	scene_send_request(c, 'Q', CALLS, 64);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), CALLS);
	CU_ASSERT_TRUE(scene_counted(MT_PROXY_paused_budget) > 0);
	lab_advance(lab.p->conf.slow_ms * MT_MSEC - MT_SEC);
	CU_ASSERT_TRUE_FATAL(c->live);
	while (c->sent.len > 0)
		got += read_all(c);
	CU_ASSERT_EQUAL(got, CALLS * LEN);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), CALLS + 1);
	scene_answer(s, scene_next_sent(s).id, 1, 64);
	read_all(c);
	scene_bye(c);
	scene_stop();
}

/* A heartbeat comes in the middle of a long reply, whose end then waits for the client's window. */
static void test_heartbeat_behind_a_long_reply(void)
{
	enum { LEN = 300000, SOFT = 100000 };
	struct fake_conn *c, *s;
	uint64_t id;

	scene_start_with(1, &(struct mt_proxy_conf){.reply_soft = SOFT});
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = scene_connected_server(0);
	id = scene_next_sent(s).id;
	answer_in_pieces(s, id, LEN, 0, 70000);
	scene_send_request(c, 'H', 2, TOY_HEADER);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_heartbeat_answered), 1);
	answer_in_pieces(s, id, LEN, 70000, LEN);
	CU_ASSERT_TRUE(c->sent.len < LEN);
	for (uint32_t got = 0; got < LEN;)
		got += lab_take(c, scene_buf, LEN - got);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'h');
	scene_bye(c);
	scene_stop();
}

/* Heartbeats, or calls that find no exchange: what is answered and not read runs out of patience as replies do. */
static void deaf_to(char kind, const struct mt_proxy_conf *conf, enum mt_proxy_outcome answered)
{
	struct fake_conn *c;

	scene_start_with(1, conf);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	for (uint32_t i = 0; i < 1000 && c->s.tx_queued <= conf->reply_soft; i++)
		scene_send_request(c, kind, i, TOY_HEADER);
	CU_ASSERT_TRUE(scene_counted(answered) > 2);
	lab_advance(lab.p->conf.slow_ms * MT_MSEC - MT_SEC);
	CU_ASSERT_TRUE(c->live);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_slow_reader), 1);
	if (c->live)
		lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

static void test_deaf_to_heartbeats(void)
{
	deaf_to('H', &(struct mt_proxy_conf){.reply_soft = 100000}, MT_PROXY_heartbeat_answered);
}

static void test_deaf_to_refusals(void)
{
	deaf_to('Q', &(struct mt_proxy_conf){.reply_soft = 100000, .max_exchanges = 1},
		MT_PROXY_reply_overload);
}

const struct mt_test waits_tests[] = {
	{"long replies find no room", test_long_replies_find_no_room},
	{"a paused connection is not read", test_paused_is_not_read},
	{"a client leaves that connections wait for", test_client_leaves_paused},
	{"held behind a slow call", test_held_behind_a_slow_call},
	{"held behind a long reply", test_held_behind_a_long_reply},
	{"a burst to a distant client", test_burst_to_a_distant_client},
	{"a heartbeat behind a long reply", test_heartbeat_behind_a_long_reply},
	{"deaf to heartbeats", test_deaf_to_heartbeats},
	{"deaf to refusals", test_deaf_to_refusals},
	{"much is read late", test_much_is_read_late},
	{0},
};
