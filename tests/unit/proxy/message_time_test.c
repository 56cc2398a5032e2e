/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages that are kept until they are complete may take 10 s, and a second more for each 500
 * bytes that have come; but 10 s after the last byte they are given up.
 */
#include "scene.h"

#include "mt_proxy_priv.h"

#define SHORT 40000
#define LONG  100000

static struct fake_conn *client;

static void start(void)
{
	scene_start(1);
	scene_patient();
	client = lab_client(CONFIG_SAFE);
}

/* Also long requests are kept until they are complete. */
static void keep_long_ones(bool keep)
{
	((struct mt_service *)lab.snap->listeners[0].protos->services[0])->early_ok = !keep;
}

/* Bytes of the message in scene_buf, so many at a time. Returns the seconds until the end. */
static uint32_t drip(
	struct fake_conn *c, uint32_t from, uint32_t len, uint32_t piece, uint64_t every)
{
	uint64_t began = lab.now;

	for (uint32_t at = from; at < len && c->live; at += piece) {
		lab_feed(c, scene_buf + at, MT_MIN(piece, len - at));
		lab_advance(every);
	}
	return (uint32_t)((lab.now - began) / MT_SEC);
}

static void is_served(uint32_t len)
{
	struct fake_conn *s = scene_connected_server(0);
	struct toy t = scene_next_sent(s);

	CU_ASSERT_EQUAL(t.len, len);
	scene_answer(s, t.id, 7, 64);
	CU_ASSERT_EQUAL(scene_next_sent(client).first, 7);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_message_stalled), 0);
	scene_bye(client);
	scene_stop();
}

static void is_cut_off(void)
{
	CU_ASSERT_TRUE(client->aborted);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_message_stalled), 1);
	scene_stop();
}

/* 600 bytes a second are fast enough, however long the message takes. */
static void test_slow(void)
{
	start();
	toy_make(scene_buf, 'Q', 1, "call", SHORT);
	CU_ASSERT_TRUE(drip(client, 0, SHORT, 600, MT_SEC) > 60);
	is_served(SHORT);

	start();
	keep_long_ones(true);
	toy_make(scene_buf, 'Q', 1, "call", LONG);
	CU_ASSERT_TRUE(drip(client, 0, LONG, 600, MT_SEC) > 160);
	keep_long_ones(false);
	is_served(LONG);
}

/* 400 are not: 10 s + 0.8 t pass after 50 s. A byte now and then helps nobody. */
static void test_too_slow(void)
{
	uint32_t s;

	start();
	toy_make(scene_buf, 'Q', 1, "call", SHORT);
	s = drip(client, 0, SHORT, 400, MT_SEC);
	CU_ASSERT_TRUE(s >= 49 && s <= 52);
	is_cut_off();

	start();
	toy_make(scene_buf, 'Q', 1, "call", SHORT);
	s = drip(client, 0, SHORT, 1, 2 * MT_SEC);
	CU_ASSERT_TRUE(s >= 10 && s <= 12);
	is_cut_off();
}

/* A long message, of which most has come at once: 150 s for 70,000 bytes. */
static void test_trickle_behind_many_bytes(void)
{
	uint32_t s;

	start();
	keep_long_ones(true);
	toy_make(scene_buf, 'Q', 1, "call", LONG);
	lab_feed(client, scene_buf, 70000);
	s = drip(client, 70000, LONG, 1, 9 * MT_SEC);
	CU_ASSERT_TRUE(s >= 149 && s <= 162);
	keep_long_ones(false);
	is_cut_off();
}

/* Many bytes, and then none: no more than 10 s. */
static void test_stops(void)
{
	start();
	toy_make(scene_buf, 'Q', 1, "call", SHORT);
	lab_feed(client, scene_buf, 100);
	lab_advance(5 * MT_SEC);
	lab_feed(client, scene_buf + 100, 30000);
	lab_advance(9900 * MT_MSEC);
	CU_ASSERT_TRUE_FATAL(client->live);
	lab_advance(200 * MT_MSEC);
	is_cut_off();
}

/* The bytes of a TLS record show when it is complete, so there is time for a whole one. */
static void test_record_below(void)
{
	start();
	toy_make(scene_buf, 'Q', 1, "call", SHORT);
	lab_feed(client, scene_buf, 100);
	client->coming = true;
	lab_advance(33 * MT_SEC);
	CU_ASSERT_TRUE_FATAL(client->live);
	lab_feed(client, scene_buf + 100, 16384);
	lab_advance(42 * MT_SEC);
	CU_ASSERT_TRUE_FATAL(client->live);
	lab_advance(3 * MT_SEC);
	is_cut_off();
}

/* The same holds for replies that are kept until they are complete. */
static void test_reply(void)
{
	struct fake_conn *s;
	uint64_t id;

	start();
	scene_send_request(client, 'Q', 1, 64);
	s = scene_connected_server(0);
	id = scene_next_sent(s).id;
	toy_make(scene_buf, 'P', id, "done", SHORT);
	CU_ASSERT_TRUE(drip(s, 0, SHORT, 600, MT_SEC) > 60);
	CU_ASSERT_EQUAL(scene_next_sent(client).len, SHORT);
	scene_bye(client);
	scene_stop();

	start();
	scene_send_request(client, 'Q', 1, 64);
	s = scene_connected_server(0);
	id = scene_next_sent(s).id;
	toy_make(scene_buf, 'P', id, "done", SHORT);
	CU_ASSERT_TRUE(drip(s, 0, SHORT, 1, 2 * MT_SEC) <= 12);
	CU_ASSERT_TRUE(s->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_stalled), 1);
	CU_ASSERT_EQUAL(scene_next_sent(client).first, MT_REPLY_TIMEOUT);
	scene_bye(client);
	scene_stop();
}

const struct mt_test message_time_tests[] = {{"slow", test_slow}, {"too slow", test_too_slow},
	{"a trickle behind many bytes", test_trickle_behind_many_bytes}, {"stops", test_stops},
	{"a record below", test_record_below}, {"a reply", test_reply}, {0}};
