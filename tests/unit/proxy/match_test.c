/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reply goes to the call that it answers, or to none: servers that answer late, twice, or by
 * ids of their own.
 */
#include "scene.h"
#include "toy_ids.h"

#include "mt_proxy_priv.h"

#include <string.h>

static void begin(void)
{
	scene_start(1);
	toy_ids_stop();
}

static void call(struct fake_conn *c, char kind, const char *method, uint64_t id)
{
	toy_make(scene_buf, kind, id, method, 64);
	CU_ASSERT_TRUE_FATAL(lab_feed(c, scene_buf, 64));
}

/* By exactly this id. */
static void answer(struct fake_conn *s, const char *method, uint64_t id)
{
	toy_make(scene_buf, 'P', id, method, 40);
	CU_ASSERT_TRUE_FATAL(lab_feed(s, scene_buf, 40));
}

static void expect(struct fake_conn *c, const char *method, uint64_t id)
{
	struct toy t = scene_next_sent(c);

	CU_ASSERT_STRING_EQUAL(t.method, method);
	CU_ASSERT_EQUAL(t.id, id);
	CU_ASSERT_EQUAL(t.status, 0);
}

static void expect_error(struct fake_conn *c, uint64_t id)
{
	struct toy t = scene_next_sent(c);

	CU_ASSERT_EQUAL(t.kind, 'P');
	CU_ASSERT_EQUAL(t.id, id);
	CU_ASSERT_EQUAL(t.status, 1);
}

/* The id that the next message to a server carries. */
static uint64_t next_id(struct fake_conn *s, const char *method)
{
	struct toy t = scene_next_sent(s);

	CU_ASSERT_STRING_EQUAL(t.method, method);
	return t.id;
}

/* A call and its answer; `echoes`: with the call's id, else with 0. The server's connection. */
static struct fake_conn *served(struct fake_conn *c, const char *method, uint64_t id, bool echoes)
{
	struct fake_conn *s;
	uint64_t given;

	call(c, 'Q', method, id);
	s = lab_server(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	if (!s->connected)
		lab_connect(s);
	given = next_id(s, method);
	answer(s, method, echoes ? given : 0);
	expect(c, method, id);
	return s;
}

static void test_equal_ids(void)
{
	enum { CLIENTS = 4 };
	struct fake_conn *c[CLIENTS], *s[CLIENTS];
	uint64_t given[CLIENTS];

	begin();
	for (uint32_t i = 0; i < CLIENTS; i++) {
		c[i] = lab_client(CONFIG_SERIAL);
		call(c[i], 'Q', "ask ", 77);
		s[i] = scene_connected_server(i);
		given[i] = next_id(s[i], "ask ");
		CU_ASSERT_NOT_EQUAL(given[i], 77);
	}
	/* This connection never gave out the id of another connection's call. */
	answer(s[0], "ask ", given[1]);
	expect_error(c[0], 77);
	CU_ASSERT_TRUE(s[0]->aborted);
	for (uint32_t i = 1; i < CLIENTS; i++) {
		answer(s[i], "ask ", given[i]);
		expect(c[i], "ask ", 77);
		CU_ASSERT_EQUAL(c[0]->sent.len, 0);
	}
	for (uint32_t i = 0; i < CLIENTS; i++)
		lab_close(c[i], MT_CLOSE_RESET);
	scene_stop();
}

/* A one-way call that is answered nevertheless, while another client's call with its id is out. */
static void test_one_way_is_answered(void)
{
	struct fake_conn *a, *b, *s;
	uint64_t note, ask;

	begin();
	a = lab_client(CONFIG_SERIAL);
	b = lab_client(CONFIG_SERIAL);
	s = served(b, "ask ", 76, true);
	call(a, 'O', "note", 77);
	note = next_id(s, "note");
	call(b, 'Q', "ask ", 77);
	ask = next_id(s, "ask ");
	answer(s, "note", note);
	CU_ASSERT_EQUAL(b->sent.len, 0);
	answer(s, "ask ", ask);
	expect(b, "ask ", 77);
	CU_ASSERT_EQUAL(a->sent.len, 0);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
	lab_close(a, MT_CLOSE_RESET);
	lab_close(b, MT_CLOSE_RESET);
	scene_stop();
}

static void test_answered_twice(void)
{
	struct fake_conn *a, *b, *s;
	uint64_t first, second;

	begin();
	a = lab_client(CONFIG_SERIAL);
	b = lab_client(CONFIG_SERIAL);
	call(a, 'Q', "ask ", 7);
	s = scene_connected_server(0);
	first = next_id(s, "ask ");
	answer(s, "ask ", first);
	expect(a, "ask ", 7);
	call(b, 'Q', "ask ", 7);
	second = next_id(s, "ask ");
	answer(s, "old ", first);
	CU_ASSERT_EQUAL(b->sent.len, 0);
	answer(s, "ask ", second);
	expect(b, "ask ", 7);
	answer(s, "old ", second); /* while nothing is out */
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_unknown_reply), 0);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	lab_close(a, MT_CLOSE_RESET);
	lab_close(b, MT_CLOSE_RESET);
	scene_stop();
}

/* Only the reply to the call whose client left frees the connection. */
static void test_client_left(void)
{
	struct fake_conn *a, *b, *s, *other;
	uint64_t first, second;

	begin();
	a = lab_client(CONFIG_SERIAL);
	b = lab_client(CONFIG_SERIAL);
	s = served(a, "ask ", 6, true);
	call(a, 'Q', "ask ", 7);
	first = next_id(s, "ask ");
	lab_close(a, MT_CLOSE_RESET);
	answer(s, "ask ", first - 1);
	call(b, 'Q', "ask ", 7);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	other = scene_connected_server(1);
	second = next_id(other, "ask ");
	answer(s, "ask ", first);
	CU_ASSERT_EQUAL(b->sent.len, 0);
	call(b, 'Q', "ask ", 8);
	answer(other, "ask ", second);
	expect(b, "ask ", 7);
	answer(s, "ask ", next_id(s, "ask "));
	expect(b, "ask ", 8);
	lab_close(b, MT_CLOSE_RESET);
	scene_stop();
}

static void test_never_given(void)
{
	struct fake_conn *c, *s;

	begin();
	c = lab_client(CONFIG_SERIAL);
	for (int i = 0; i < 3; i++) {
		s = served(c, "ask ", 1, true);
		call(c, 'Q', "ask ", 2);
		/*
		 * One of ours that is still to come; the client's own; a server that stops to
		 * echo.
		 */
		answer(s, "ask ", i == 0 ? next_id(s, "ask ") + 1 : i == 1 ? 2 : 0);
		expect_error(c, 2);
		CU_ASSERT_TRUE(s->aborted);
		CU_ASSERT_EQUAL(lab_n_servers(), 0);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_bad_reply), 3);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_unknown_reply), 3);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/*
 * For a server that answers every call with id 0, position and method show which call a reply
 * answers.
 */
static void test_no_ids(void)
{
	struct fake_conn *a, *b, *s, *other;
	const struct mt_ep_state *ep;

	begin();
	a = lab_client(CONFIG_NAMED);
	b = lab_client(CONFIG_NAMED);
	for (uint64_t i = 0; i < 3; i++) {
		s = served(a, "ask ", 10 + i, false);
		CU_ASSERT_PTR_EQUAL(served(b, "ask ", 10 + i, false), s);
	}
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	/* Its client leaves: the late reply is nobody's, but shows that the server is alive. */
	ep = lab.snap->clusters[0].eps[0].state;
	call(a, 'Q', "ask ", 20);
	next_id(s, "ask ");
	lab_advance(100 * MT_MSEC);
	lab_close(a, MT_CLOSE_RESET);
	CU_ASSERT_FALSE(s->aborted);
	CU_ASSERT_NOT_EQUAL(ep->given_up, 0);
	call(b, 'Q', "ask ", 21);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	other = scene_connected_server(1);
	answer(s, "ask ", 0);
	CU_ASSERT_EQUAL(ep->given_up, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
	CU_ASSERT_EQUAL(b->sent.len, 0);
	CU_ASSERT_TRUE(s->detached);
	s = other;
	next_id(s, "ask ");
	answer(s, "ask ", 0);
	expect(b, "ask ", 21);
	/* Another method's reply. */
	call(b, 'Q', "ask ", 22);
	answer(s, "note", 0);
	expect_error(b, 22);
	CU_ASSERT_TRUE(s->aborted);
	/* A reply too many. */
	s = served(b, "ask ", 23, false);
	answer(s, "ask ", 0);
	CU_ASSERT_TRUE(s->aborted);
	served(b, "ask ", 24, false);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_unknown_reply), 2);
	lab_close(b, MT_CLOSE_RESET);
	scene_stop();
}

/* The late reply does not come: the connection ends. */
static void test_no_ids_no_reply(void)
{
	struct fake_conn *c, *s;

	begin();
	c = lab_client(CONFIG_NAMED);
	s = served(c, "ask ", 1, false);
	call(c, 'Q', "ask ", 2);
	next_id(s, "ask ");
	lab_close(c, MT_CLOSE_RESET);
	lab_advance(9 * MT_SEC);
	CU_ASSERT_FALSE(s->aborted);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_TRUE(s->aborted);
	scene_stop();
}

/* Without ids a one-way call, which may be answered, and other calls take different connections. */
static void test_no_ids_one_way(void)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .serial_lanes = 2};
	struct fake_conn *a, *b, *s, *spoilt;

	scene_start_with(1, &conf);
	toy_ids_stop();
	a = lab_client(CONFIG_SERIAL);
	b = lab_client(CONFIG_SERIAL);
	s = served(b, "ask ", 7, false);
	call(a, 'O', "note", 7);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	spoilt = scene_connected_server(1);
	next_id(spoilt, "note");
	call(b, 'Q', "ask ", 8);
	next_id(s, "ask ");
	answer(spoilt, "note", 0);
	CU_ASSERT_EQUAL(b->sent.len, 0);
	CU_ASSERT_TRUE(spoilt->aborted);
	answer(s, "ask ", 0);
	expect(b, "ask ", 8);
	/* At the limit the connection of one-way calls gives way. */
	call(a, 'O', "note", 9);
	spoilt = scene_connected_server(1);
	next_id(spoilt, "note");
	call(b, 'Q', "ask ", 10);
	next_id(s, "ask ");
	call(a, 'Q', "ask ", 11);
	lab_advance(MT_MSEC);
	CU_ASSERT_TRUE(spoilt->detached || spoilt->aborted);
	answer(s, "ask ", 0);
	expect(b, "ask ", 10);
	lab_close(a, MT_CLOSE_RESET);
	lab_close(b, MT_CLOSE_RESET);
	scene_stop();
}

enum { N_NOTED = 4 };

/* All serial connections of an endpoint: one with replies to calls, and others with one-way calls. */
struct full {
	struct fake_conn *a, *b, *c; /* clients of the one-way calls, of the others, of none yet */
	struct fake_conn *s, *noted[N_NOTED]; /* servers' connections of b and a */
};

static void fill_connections(struct full *x)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .serial_lanes = 1 + N_NOTED};

	scene_start_with(1, &conf);
	scene_patient();
	toy_ids_stop();
	x->a = lab_client(CONFIG_SERIAL);
	x->b = lab_client(CONFIG_SERIAL);
	x->c = lab_client(CONFIG_SERIAL);
	x->s = served(x->b, "ask ", 7, false);
	/* While they connect each call opens another connection. */
	for (uint32_t i = 0; i < N_NOTED; i++)
		call(x->a, 'O', "note", i);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 1 + N_NOTED);
	for (uint32_t i = 0; i < N_NOTED; i++)
		x->noted[i] = scene_connected_server(1 + i);
}

/* Two calls, of which the second one has no connection. */
static void call_one_more(struct full *x)
{
	call(x->b, 'Q', "ask ", 8);
	next_id(x->s, "ask ");
	call(x->c, 'Q', "ask ", 9);
}

static void end_full(struct full *x)
{
	lab_close(x->a, MT_CLOSE_RESET);
	lab_close(x->b, MT_CLOSE_RESET);
	lab_close(x->c, MT_CLOSE_RESET);
	scene_stop();
}

/*
 * At the limit a call takes the place of one connection of one-way calls, and the others stay:
 * `acked` if their servers have acknowledged what was sent on them.
 */
static void gives_way(bool acked)
{
	struct full x;
	uint32_t closed = 0;

	fill_connections(&x);
	for (uint32_t i = 0; i < N_NOTED && acked; i++)
		next_id(x.noted[i], "note");
	call_one_more(&x);
	lab_advance(MT_MSEC);
	for (uint32_t i = 0; i < N_NOTED && !acked; i++)
		next_id(x.noted[i], "note");
	lab_advance(MT_MSEC);
	for (uint32_t i = 0; i < N_NOTED; i++)
		closed += x.noted[i]->detached || x.noted[i]->aborted;
	CU_ASSERT_EQUAL(closed, 1);
	CU_ASSERT_EQUAL(lab_n_servers(), 1 + N_NOTED);
	answer(x.s, "ask ", 0);
	expect(x.b, "ask ", 8);
	x.s = scene_connected_server(N_NOTED);
	next_id(x.s, "ask ");
	answer(x.s, "ask ", 0);
	expect(x.c, "ask ", 9);
	end_full(&x);
}

static void test_one_gives_way(void)
{
	gives_way(true);
	gives_way(false);
}

/*
 * A call waits at the limit, and no one-way call on the idle connections is acknowledged. Only one
 * of these drains, also after more events. An acknowledgement on any of them frees the waiting call.
 */
static void any_acknowledged(uint32_t acked, int events)
{
	struct full x;
	uint32_t draining = 0;

	fill_connections(&x);
	call_one_more(&x);
	for (int i = 0; i < events; i++) {
		mt_lane_hungry(lab.p, mt_up_of(&x.s->s)->lanes);
		lab_advance(MT_MSEC);
	}
	for (uint32_t i = 0; i < N_NOTED; i++)
		draining += mt_up_of(&x.noted[i]->s)->state == MT_UP_DRAINING;
	CU_ASSERT_EQUAL(draining, 1);
	CU_ASSERT_EQUAL(lab_n_servers(), 1 + N_NOTED);
	next_id(x.noted[acked], "note");
	lab_advance(MT_MSEC);
	CU_ASSERT_TRUE(x.noted[acked]->detached || x.noted[acked]->aborted);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 1 + N_NOTED);
	x.s = lab_server(N_NOTED);
	CU_ASSERT_FALSE_FATAL(x.s->connected);
	lab_connect(x.s);
	next_id(x.s, "ask ");
	answer(x.s, "ask ", 0);
	expect(x.c, "ask ", 9);
	for (uint32_t i = 0; i < N_NOTED; i++)
		if (i != acked)
			next_id(x.noted[i], "note");
	end_full(&x);
}

static void test_any_acknowledged(void)
{
	for (uint32_t acked = 0; acked < N_NOTED; acked++) {
		any_acknowledged(acked, 0);
		any_acknowledged(acked, 3);
	}
}

/*
 * Nothing is known of the server, and the first call on its connection was one-way: the next one
 * takes another.
 */
static void test_not_known_yet(void)
{
	struct fake_conn *a, *b, *s;

	begin();
	a = lab_client(CONFIG_SERIAL);
	b = lab_client(CONFIG_SERIAL);
	call(a, 'O', "note", 7);
	s = scene_connected_server(0);
	next_id(s, "note");
	call(a, 'O', "note", 8);
	next_id(s, "note");
	call(b, 'Q', "note", 7);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	answer(s, "note", 0);
	CU_ASSERT_EQUAL(b->sent.len, 0);
	lab_close(a, MT_CLOSE_RESET);
	lab_close(b, MT_CLOSE_RESET);
	scene_stop();
}

/* A client's late replies come with its own ids; more than 64 are not kept. */
static void test_bound_client(void)
{
	enum { NOTES = 70 };
	uint64_t given[NOTES];
	struct fake_conn *c, *s;

	begin();
	c = lab_client(CONFIG_NAMED);
	for (int i = 0; i < 3; i++) {
		call(c, 'Q', "note", 1);
		call(c, 'Q', "ask ", 2);
		s = lab_server(0);
		if (!s->connected)
			lab_connect(s);
		next_id(s, "note");
		answer(s, "ask ", next_id(s, "ask "));
		expect(c, "ask ", 2);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_learnt), 1);
	for (uint64_t i = 0; i < NOTES; i++) {
		call(c, 'Q', "note", 1000 + i);
		given[i] = next_id(s, "note");
	}
	answer(s, "note", given[0]);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
	answer(s, "note", given[NOTES - 1]);
	expect(c, "note", 1000 + NOTES - 1);
	answer(s, "note", given[NOTES - 2]);
	expect(c, "note", 1000 + NOTES - 2);
	answer(s, "note", given[NOTES - 2]); /* twice */
	CU_ASSERT_EQUAL(c->sent.len, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_oneway_answered), 2);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	answer(s, "note", 1000);
	CU_ASSERT_TRUE(s->aborted);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* The same where the server answers with id 0. */
static void test_bound_no_ids(void)
{
	struct fake_conn *c, *s;

	begin();
	c = lab_client(CONFIG_NAMED);
	for (uint64_t i = 0; i < 3; i++) {
		call(c, 'Q', "note", 10 + i);
		call(c, 'Q', "ask ", 20 + i);
		s = lab_server(0);
		if (!s->connected)
			lab_connect(s);
		answer(s, "ask ", 0);
		expect(c, "ask ", 20 + i);
	}
	answer(s, "note", 0);
	expect(c, "note", 10);
	answer(s, "note", 0);
	expect(c, "note", 11);
	CU_ASSERT_FALSE(s->aborted);
	answer(s, "odd ", 0);
	CU_ASSERT_TRUE(s->aborted);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* Long calls of a protocol whose ids correlate have a connection alone: the same holds there. */
static void test_bulk(void)
{
	enum { LONG = 100000 };
	struct fake_conn *a, *b, *s;
	uint64_t first, second;

	begin();
	a = lab_client(CONFIG_SAFE);
	b = lab_client(CONFIG_SAFE);
	scene_send_request(a, 'Q', 7, LONG);
	s = scene_connected_server(0);
	first = scene_next_sent(s).id;
	CU_ASSERT_NOT_EQUAL(first, 7);
	answer(s, "ask ", first);
	expect(a, "ask ", 7);
	scene_send_request(b, 'Q', 7, LONG);
	second = scene_next_sent(s).id;
	answer(s, "old ", first);
	CU_ASSERT_EQUAL(b->sent.len, 0);
	answer(s, "ask ", second);
	expect(b, "ask ", 7);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	scene_send_request(b, 'Q', 8, LONG);
	first = scene_next_sent(s).id;
	answer(s, "old ", 0);
	answer(s, "old ", first + 1);
	answer(s, "old ", 8);
	CU_ASSERT_EQUAL(b->sent.len, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_unknown_reply), 3);
	answer(s, "ask ", first);
	expect(b, "ask ", 8);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	lab_close(a, MT_CLOSE_RESET);
	lab_close(b, MT_CLOSE_RESET);
	scene_stop();
}

/*
 * A long reply that is late is skipped as it comes, and one that was never asked for ends the
 * connection at its head.
 */
static void test_long_replies(void)
{
	enum { LONG = 200000 };
	struct fake_conn *a, *b, *s;
	uint64_t first;

	begin();
	a = lab_client(CONFIG_SERIAL);
	b = lab_client(CONFIG_SERIAL);
	call(a, 'Q', "ask ", 7);
	s = scene_connected_server(0);
	first = next_id(s, "ask ");
	answer(s, "ask ", first);
	expect(a, "ask ", 7);
	call(b, 'Q', "ask ", 7);
	toy_make(scene_buf, 'P', first, "old ", LONG);
	lab_feed(s, scene_buf, LONG / 2);
	lab_feed(s, scene_buf + LONG / 2, LONG / 2);
	CU_ASSERT_EQUAL(b->sent.len, 0);
	answer(s, "ask ", next_id(s, "ask "));
	expect(b, "ask ", 7);
	call(b, 'Q', "ask ", 8);
	toy_make(scene_buf, 'P', first - 1, "old ", LONG);
	lab_feed(s, scene_buf, LONG / 2);
	expect_error(b, 8);
	CU_ASSERT_TRUE(s->aborted);
	lab_close(a, MT_CLOSE_RESET);
	lab_close(b, MT_CLOSE_RESET);
	scene_stop();
}

/* A reply that begins while no call is out would delay the next call's. */
static void test_begun_while_free(void)
{
	struct fake_conn *c, *s;
	uint64_t first;

	for (uint32_t len = 64; len <= 200000; len += 199936) {
		begin();
		c = lab_client(CONFIG_SERIAL);
		call(c, 'Q', "ask ", 7);
		s = scene_connected_server(0);
		first = next_id(s, "ask ");
		answer(s, "ask ", first);
		expect(c, "ask ", 7);
		toy_make(scene_buf, 'P', first, "old ", len);
		lab_feed(s, scene_buf, len / 2);
		call(c, 'Q', "ask ", 8);
		CU_ASSERT_EQUAL(s->sent.len, 0);
		if (!s->detached)
			lab_feed(s, scene_buf + len / 2, len - len / 2);
		CU_ASSERT_TRUE(s->detached);
		s = scene_connected_server(0);
		answer(s, "ask ", next_id(s, "ask "));
		expect(c, "ask ", 8);
		lab_close(c, MT_CLOSE_RESET);
		scene_stop();
	}
}

/* One address has a server that echoes ids, and then one that does not. */
static void test_mixed_servers(void)
{
	struct fake_conn *a, *b, *echoes, *s;

	begin();
	a = lab_client(CONFIG_SERIAL);
	b = lab_client(CONFIG_SERIAL);
	echoes = served(a, "ask ", 1, true);
	call(a, 'Q', "slow", 2);
	next_id(echoes, "slow");
	call(b, 'O', "note", 3);
	s = scene_connected_server(1);
	next_id(s, "note");
	/* Ids are known to be echoed, so the call takes the connection of the one-way call. */
	call(b, 'Q', "ask ", 4);
	next_id(s, "ask ");
	answer(s, "ask ", 0);
	expect_error(b, 4);
	CU_ASSERT_TRUE(s->aborted);
	/* They are not any more. */
	call(b, 'O', "note", 5);
	next_id(scene_connected_server(1), "note");
	call(b, 'Q', "ask ", 6);
	s = scene_connected_server(2);
	next_id(s, "ask ");
	answer(s, "ask ", 0);
	expect(b, "ask ", 6);
	lab_close(a, MT_CLOSE_RESET);
	lab_close(b, MT_CLOSE_RESET);
	scene_stop();
}

/* Calls of one client wait for a connection that they share, and there is no memory for the first ones' ids. */
static void test_no_memory_for_ids(void)
{
	for (uint32_t n = 1; n <= 2; n++) {
		struct fake_conn *a, *b, *s;

		begin();
		a = lab_client(CONFIG_NAMED);
		b = lab_client_from(CONFIG_NAMED, 3);
		call(a, 'Q', "ask ", 1);
		call(a, 'Q', "ask ", 2);
		CU_ASSERT_EQUAL(lab_n_servers(), 1);
		toy_noted.no_id = n;
		s = scene_connected_server(0);
		for (uint64_t id = 1; id <= n; id++)
			expect_error(a, id);
		if (n == 1)
			next_id(s, "ask ");
		call(b, 'Q', "ask ", 7);
		CU_ASSERT_EQUAL(lab_n_servers(), n == 1 ? 2 : 1);
		if (n == 1) {
			answer(s, "ask ", 0);
			CU_ASSERT_EQUAL(b->sent.len, 0);
			expect(a, "ask ", 2);
			s = scene_connected_server(1);
		}
		next_id(s, "ask ");
		answer(s, "ask ", 0);
		expect(b, "ask ", 7);
		lab_close(a, MT_CLOSE_RESET);
		lab_close(b, MT_CLOSE_RESET);
		scene_stop();
	}
}

/*
 * Pushes, and errors of calls that the server could not read, have ids that Meltemi never gives to
 * calls: they say nothing about the ids of replies.
 */
static void test_ids_of_servers(void)
{
	static const uint64_t ids[] = {0, 1, 4095, 1ull << 40, UINT64_MAX};
	const uint32_t n = 10 * MT_ARRAY_LEN(ids);
	struct fake_conn *c, *s;
	uint64_t given;

	begin();
	c = lab_client(CONFIG_SAFE);
	s = served(c, "ask ", 1, true);
	for (uint32_t i = 0; i < n; i++)
		answer(s, "push", ids[i % MT_ARRAY_LEN(ids)]);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_unknown_reply), n);
	CU_ASSERT_FALSE_FATAL(s->detached);
	call(c, 'Q', "ask ", 2);
	given = next_id(s, "ask ");
	answer(s, "ask ", given);
	expect(c, "ask ", 2);
	/* These could be the ids of calls. */
	for (uint32_t i = 0; i < 16; i++) {
		CU_ASSERT_FALSE(s->detached);
		answer(s, "ask ", i % 2 ? given + 1 : (1ull << 40) - 1);
	}
	CU_ASSERT_TRUE(s->detached);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

const struct mt_test match_tests[] = {{"equal ids", test_equal_ids},
	{"a one-way call is answered", test_one_way_is_answered},
	{"answered twice", test_answered_twice}, {"client left", test_client_left},
	{"an id that was never given", test_never_given}, {"ids of servers", test_ids_of_servers},
	{"no ids", test_no_ids}, {"no ids, no late reply", test_no_ids_no_reply},
	{"no ids, one-way", test_no_ids_one_way}, {"one gives way", test_one_gives_way},
	{"any acknowledged one gives way", test_any_acknowledged},
	{"not known yet", test_not_known_yet}, {"bound client", test_bound_client},
	{"bound client, no ids", test_bound_no_ids}, {"bulk", test_bulk},
	{"long replies", test_long_replies}, {"begun while free", test_begun_while_free},
	{"mixed servers", test_mixed_servers}, {"no memory for ids", test_no_memory_for_ids}, {0}};
