/* SPDX-License-Identifier: Apache-2.0 */
/* Calls and opaque streams that wait for an answer of an endpoint: how many, and since when. */
#include "scene.h"

#include "mt_proxy_priv.h"

#define PASS (500 * MT_MSEC)

static struct mt_ep_waiting waiting(void)
{
	const struct mt_ep_state *e = lab.snap->clusters[0].eps[0].state;

	return mt_proxy_ep_waiting(lab.p, e->index, e->id, lab.now);
}

static void begin(void)
{
	scene_start(1);
	scene_patient();
}

static void connect_all(void)
{
	for (uint32_t i = 0; i < lab_n_servers(); i++)
		if (!lab_server(i)->connected)
			lab_connect(lab_server(i));
}

/* A client whose call goes to the server at once. */
static struct fake_conn *calling(uint16_t port)
{
	struct fake_conn *c = lab_client(port);

	scene_send_request(c, 'Q', 1, 64);
	connect_all();
	return c;
}

static void answer(uint32_t server)
{
	struct fake_conn *s = lab_server(server);

	scene_answer(s, scene_next_sent(s).id, 1, 64);
}

static void test_oldest(void)
{
	struct fake_conn *c[3];
	uint64_t sent[3], heard;

	begin();
	c[0] = lab_client(CONFIG_SERIAL);
	scene_send_request(c[0], 'Q', 1, 64);
	lab_advance(PASS);
	CU_ASSERT_EQUAL(waiting().calls, 0); /* its connection opens */
	connect_all();
	sent[0] = lab.now;
	for (uint32_t i = 1; i < 3; i++) {
		lab_advance(100 * MT_MSEC);
		sent[i] = lab.now;
		c[i] = calling(CONFIG_SERIAL);
	}
	lab_advance(PASS);
	CU_ASSERT_EQUAL(waiting().calls, 3);
	CU_ASSERT_EQUAL(waiting().oldest, sent[0]);
	CU_ASSERT_EQUAL(waiting().since, sent[0]);
	CU_ASSERT_EQUAL(waiting().heard, 0);
	lab_advance(20 * MT_SEC);
	CU_ASSERT(waiting().calls == 3 && waiting().oldest == sent[0]);
	answer(1);
	heard = lab.now;
	lab_advance(PASS);
	CU_ASSERT(waiting().calls == 2 && waiting().oldest == sent[0]);
	CU_ASSERT(waiting().since == sent[0] && waiting().heard == heard);
	answer(0);
	lab_advance(PASS);
	CU_ASSERT(waiting().calls == 1 && waiting().oldest == sent[2]);
	CU_ASSERT_TRUE(mt_proxy_next(lab.p) <= lab.now + PASS);
	answer(2);
	lab_advance(PASS);
	CU_ASSERT(waiting().calls == 0 && waiting().oldest == 0 && waiting().since == 0);
	CU_ASSERT_FALSE(mt_waiting_busy(lab.p));
	for (uint32_t i = 0; i < 3; i++)
		scene_bye(c[i]);
	scene_stop();
}

/*
 * Each client leaves before the next pass but one, as those with short time-outs of their own; then
 * all leave at the same time, and try again two seconds later.
 */
static void test_clients_leave(void)
{
	struct fake_conn *before = NULL, *c;
	uint64_t first;

	begin();
	first = lab.now;
	for (uint32_t i = 0; i < 12; i++) {
		c = calling(CONFIG_SERIAL);
		if (before)
			lab_close(before, MT_CLOSE_RESET);
		before = c;
		lab_advance(800 * MT_MSEC);
	}
	CU_ASSERT_EQUAL(waiting().calls, 1);
	CU_ASSERT(waiting().oldest > first + 8 * MT_SEC);
	CU_ASSERT_EQUAL(waiting().since, first);
	CU_ASSERT_EQUAL(waiting().heard, 0);
	for (uint32_t i = 0; i < 3; i++) {
		lab_close(before, MT_CLOSE_RESET);
		lab_advance(2 * MT_SEC);
		CU_ASSERT(waiting().calls == 0 && waiting().since == first);
		before = calling(CONFIG_SERIAL);
		lab_advance(PASS);
		CU_ASSERT(waiting().calls == 1 && waiting().since == first);
	}
	/* Nothing waits for longer than that: the next call begins anew. */
	lab_close(before, MT_CLOSE_RESET);
	lab_advance(MT_WAITING_PAUSE + PASS);
	CU_ASSERT(waiting().calls == 0 && waiting().since == 0);
	first = lab.now;
	c = calling(CONFIG_SERIAL);
	lab_advance(PASS);
	CU_ASSERT(waiting().calls == 1 && waiting().since == first);
	/* So does a call after the endpoint has sent something. */
	answer(lab_n_servers() - 1);
	CU_ASSERT_EQUAL(waiting().since, 0);
	lab_advance(PASS);
	first = lab.now;
	scene_send_request(c, 'Q', 2, 64);
	lab_advance(PASS);
	CU_ASSERT(waiting().calls == 1 && waiting().since == first);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* More than a step takes: nothing is shown of a pass that is not complete. */
static void test_pieces(void)
{
	enum { CALLS = 300 };
	struct fake_conn *c;

	begin();
	c = lab_client(CONFIG_SAFE);
	for (uint32_t i = 0; i < CALLS; i++)
		scene_send_request(c, 'Q', i + 1, 64);
	connect_all();
	lab_advance(PASS);
	CU_ASSERT_EQUAL(waiting().calls, 0);
	CU_ASSERT_EQUAL(mt_proxy_next(lab.p), lab.now + MT_MSEC);
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(waiting().calls, 0);
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(waiting().calls, CALLS);
	/* Half of them are answered; the next pass is not shown before its end either. */
	for (uint32_t i = 0; i < CALLS / 2; i++)
		answer(0);
	lab_advance(PASS - 2 * MT_MSEC);
	CU_ASSERT_EQUAL(waiting().calls, CALLS);
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(waiting().calls, CALLS / 2);
	/* Nothing is under way, so nothing waits. */
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(waiting().calls, 0);
	scene_stop();
}

/* Calls that wait for something else: their client, an acknowledgement, the rest of a reply. */
static void test_others(void)
{
	enum { LONG = 70000 };
	struct fake_conn *oneway, *arriving, *replying, *waits, *s;

	begin();
	oneway = lab_client(CONFIG_SAFE);
	scene_send_request(oneway, 'O', 1, 64);
	connect_all();
	arriving = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 1, "call", LONG);
	lab_feed(arriving, scene_buf, LONG / 2);
	connect_all();
	replying = lab_client(CONFIG_SAFE);
	scene_send_request(replying, 'Q', 2, LONG);
	connect_all();
	s = lab_server(lab_n_servers() - 1);
	CU_ASSERT_EQUAL(scene_next_sent(s).id, 2);
	lab_advance(PASS);
	CU_ASSERT_EQUAL(waiting().calls, 1);
	toy_make(scene_buf, 'P', 2, "done", 2 * LONG);
	lab_feed(s, scene_buf, LONG);
	lab_advance(PASS);
	CU_ASSERT_EQUAL(waiting().calls, 0);
	CU_ASSERT_EQUAL(lab.p->n_attempts, 3);
	waits = calling(CONFIG_SAFE);
	lab_advance(PASS);
	CU_ASSERT_EQUAL(waiting().calls, 1);
	lab_close(oneway, MT_CLOSE_RESET);
	lab_close(arriving, MT_CLOSE_RESET);
	lab_close(replying, MT_CLOSE_RESET);
	lab_close(waits, MT_CLOSE_RESET);
	scene_stop();
}

/* The index is another endpoint's by now: neither has the other's numbers. */
static void test_index_is_reused(void)
{
	struct mt_ep_state *e;
	struct fake_conn *c;

	begin();
	e = lab.snap->clusters[0].eps[0].state;
	c = calling(CONFIG_SERIAL);
	lab_advance(PASS);
	CU_ASSERT_EQUAL(waiting().calls, 1);
	lab.p->ep_stats[e->index].id = e->id + 1000;
	CU_ASSERT(waiting().calls == 0 && waiting().heard == 0);
	lab_advance(PASS);
	CU_ASSERT_EQUAL(mt_proxy_ep_waiting(lab.p, e->index, e->id + 1000, lab.now).calls, 0);
	answer(0);
	CU_ASSERT_EQUAL(mt_proxy_ep_waiting(lab.p, e->index, e->id + 1000, lab.now).heard, 0);
	CU_ASSERT_EQUAL(mt_proxy_ep_waiting(lab.p, MT_PROXY_EPS_MAX, 1, lab.now).calls, 0);
	scene_bye(c);
	scene_stop();
}

/* ---- opaque streams ------------------------------------------------------------------------------ */

/* A connected stream; *server is its other end. */
static struct fake_conn *stream(struct fake_conn **server)
{
	struct fake_conn *c = lab_client(CONFIG_OPAQUE);

	*server = scene_connected_server(lab_n_servers() - 1);
	return c;
}

/* Both ends read all that they were sent, so that a reset need not wait for that. */
static void read_both(struct fake_conn *c, struct fake_conn *s)
{
	lab_take(c, scene_buf, SCENE_BUF);
	lab_take(s, scene_buf, SCENE_BUF);
}

static void test_streams(void)
{
	struct fake_conn *c[2], *s[2];
	uint64_t asked, heard;

	begin();
	c[0] = stream(&s[0]);
	c[1] = stream(&s[1]);
	lab_feed(s[0], "hello", 5); /* the server speaks first: nobody waited for that */
	CU_ASSERT(waiting().streams == 0 && waiting().answered == 0);
	lab_advance(MT_SEC);
	asked = lab.now;
	lab_feed(c[0], "get", 3);
	lab_advance(MT_SEC);
	lab_feed(c[0], "more", 4);
	lab_feed(c[1], "get", 3);
	CU_ASSERT(waiting().streams == 2 && waiting().streams_since == asked);
	lab_advance(MT_SEC);
	heard = lab.now;
	lab_feed(s[0], "here", 4);
	lab_feed(s[0], "it is", 5);
	CU_ASSERT(waiting().streams == 1 && waiting().answered == 1);
	CU_ASSERT(waiting().streams_since == asked && waiting().heard == heard);
	/* What an answered stream is sent again waits again, and is the same stream. */
	lab_feed(c[0], "again", 5);
	CU_ASSERT_EQUAL(waiting().streams, 2);
	lab_feed(s[0], "here", 4);
	CU_ASSERT(waiting().streams == 1 && waiting().answered == 1);
	read_both(c[1], s[1]);
	lab_close(c[1], MT_CLOSE_RESET);
	CU_ASSERT(waiting().streams == 0 && waiting().streams_since == 0);
	CU_ASSERT_EQUAL(waiting().unanswered, 0);
	lab_advance(MT_SEC);
	asked = lab.now;
	lab_feed(c[0], "anew", 4);
	CU_ASSERT_EQUAL(waiting().streams_since, asked);
	read_both(c[0], s[0]);
	lab_close(s[0], MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(waiting().streams, 0);
	scene_stop();
}

/* Clients of opaque TCP with short time-outs: all leave at the same time, and try again. */
static void test_streams_leave(void)
{
	struct fake_conn *c, *s;
	uint64_t first;

	begin();
	c = stream(&s);
	first = lab.now;
	for (uint32_t i = 0; i < 5; i++) {
		lab_feed(c, "get", 3);
		CU_ASSERT(waiting().streams == 1 && waiting().streams_since == first);
		lab_advance(2 * MT_SEC);
		read_both(c, s);
		lab_close(c, MT_CLOSE_RESET);
		lab_advance(2 * MT_SEC);
		CU_ASSERT(waiting().streams == 0 && waiting().streams_since == first);
		c = stream(&s);
	}
	lab_advance(2 * MT_SEC);
	CU_ASSERT(waiting().streams == 0 && waiting().streams_since == 0);
	first = lab.now;
	lab_feed(c, "get", 3);
	CU_ASSERT_EQUAL(waiting().streams_since, first);
	lab_feed(s, "here", 4);
	lab_advance(MT_SEC);
	first = lab.now;
	lab_feed(c, "get", 3);
	CU_ASSERT_EQUAL(waiting().streams_since, first);
	read_both(c, s);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* A server that only receives: its FIN shows that it is there. */
static void test_receives_only(void)
{
	struct fake_conn *c, *s;

	begin();
	c = stream(&s);
	lab_feed(c, "log line", 8);
	lab_take(s, scene_buf, SCENE_BUF);
	s->end.pos.acked = 8;
	CU_ASSERT_EQUAL(waiting().streams, 1);
	lab_fin(c);
	CU_ASSERT_EQUAL(waiting().streams, 1);
	lab_fin(s);
	CU_ASSERT(waiting().streams == 0 && waiting().unanswered == 1 && waiting().answered == 0);
	lab_close(s, MT_CLOSE_OK);
	scene_stop();
}

/* What the server has not read goes to another connection, where the stream still waits. */
static void test_joined_again(void)
{
	struct fake_conn *c, *s;

	begin();
	c = stream(&s);
	lab_feed(c, "get", 3);
	s->end.reset_ack = true;
	s->end.reset_acked = 0;
	lab_close(s, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(waiting().streams, 0);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(waiting().streams, 1);
	lab_feed(s, "here", 4);
	CU_ASSERT(waiting().streams == 0 && waiting().answered == 1);
	read_both(c, s);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

const struct mt_test waiting_tests[] = {
	{"the oldest call", test_oldest},
	{"clients with short time-outs", test_clients_leave},
	{"a pass in pieces", test_pieces},
	{"calls that wait for something else", test_others},
	{"an index that is reused", test_index_is_reused},
	{"streams that wait", test_streams},
	{"streams of clients with short time-outs", test_streams_leave},
	{"streams to a server that only receives", test_receives_only},
	{"a stream that is joined again", test_joined_again},
	{0},
};
