/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that close their connection while calls wait, in protocols whose clients never half-close. */
#include "scene.h"

#include "mt_proxy_priv.h"

static struct mt_codec closing;

/* The first listener speaks the protocol, and its clients never half-close. */
static struct fake_conn *start_with(const struct mt_codec *codec, const struct mt_proxy_conf *conf)
{
	scene_start_with(1, conf);
	closing = *codec;
	closing.client_whole_close = true;
	config_speak(lab.snap, 0, &closing, 0);
	scene_patient();
	return lab_client(CONFIG_SAFE);
}

static struct fake_conn *start(const struct mt_codec *codec, uint32_t outstanding)
{
	const struct mt_proxy_conf conf = {.max_down = 64,
		.max_up = 64,
		.max_exchanges = 4096,
		.down_outstanding = outstanding};

	return start_with(codec, &conf);
}

static void call(struct fake_conn *c, const char *method, uint64_t id)
{
	toy_make(scene_buf, 'Q', id, method, 64);
	CU_ASSERT_TRUE_FATAL(lab_feed(c, scene_buf, 64));
}

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

/* How the calls of all clients have ended. */
static void ended(uint64_t ok, uint64_t closed, uint64_t oneway)
{
	const struct mt_service_stats *st = mt_proxy_service_stats(lab.p, 0);

	CU_ASSERT_EQUAL(st->ok, ok);
	CU_ASSERT_EQUAL(st->client_left, closed);
	CU_ASSERT_EQUAL(st->oneway, oneway);
	CU_ASSERT_EQUAL(mt_service_local_replies(st), 0);
}

/* A server that hangs: the call ends with its client, and what the server sends in the end is for nobody. */
static void test_two_way(void)
{
	struct fake_conn *c = start(&toy_codec, 0), *other = lab_client(CONFIG_SAFE), *s;
	uint64_t id, other_id;

	call(c, "ask ", 1);
	call(other, "ask ", 1);
	s = scene_connected_server(0);
	id = scene_next_sent(s).id;
	other_id = scene_next_sent(s).id;
	lab_advance(MT_SEC);
	lab_fin(c);
	CU_ASSERT_TRUE(c->aborted);
	ended(0, 1, 0);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 1);
	scene_answer(s, id, 1, 40);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
	CU_ASSERT_EQUAL(other->sent.len, 0);
	scene_answer(s, other_id, 2, 40);
	CU_ASSERT_EQUAL(scene_next_sent(other).first, 2);
	ended(1, 1, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered), 1);
	/* Without a call that waits the end is one in order. */
	lab_fin(other);
	CU_ASSERT_TRUE(other->detached);
	scene_stop();
}

/* Where clients may half-close, the reply goes to the client. */
static void test_may_half_close(void)
{
	struct fake_conn *c = start(&toy_codec, 0), *s;

	closing.client_whole_close = false;
	call(c, "ask ", 1);
	s = scene_connected_server(0);
	lab_fin(c);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 1);
	scene_answer(s, scene_next_sent(s).id, 7, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 7);
	CU_ASSERT_TRUE(c->detached);
	ended(1, 0, 0);
	scene_stop();
}

/* Calls that wait for a connection: two-way ones end, a one-way call is delivered. */
static void test_not_sent(void)
{
	struct fake_conn *c = start(&toy_codec, 0), *s;

	call(c, "ask ", 1);
	scene_send_request(c, 'O', 2, 64);
	lab_fin(c);
	ended(0, 1, 0);
	CU_ASSERT_TRUE(c->live && !c->detached);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(s->sent.len, 64);
	CU_ASSERT_FALSE(c->aborted);
	CU_ASSERT_EQUAL(scene_next_sent(s).kind, 'O');
	CU_ASSERT_TRUE(c->aborted);
	ended(0, 1, 1);
	scene_stop();
}

/* Requests that were complete before the FIN and are decoded after it. */
static void test_pipelined(void)
{
	struct fake_conn *c = start(&toy_codec, 2), *s;

	call(c, "ask ", 1);
	call(c, "ask ", 2);
	call(c, "ask ", 3);
	scene_send_request(c, 'O', 4, 64);
	call(c, "ask ", 5);
	s = scene_connected_server(0);
	scene_next_sent(s);
	scene_next_sent(s);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), 2);
	lab_fin(c);
	CU_ASSERT_EQUAL(s->sent.len, 64);
	CU_ASSERT_EQUAL(scene_next_sent(s).kind, 'O');
	CU_ASSERT_TRUE(c->aborted);
	ended(0, 4, 1);
	scene_stop();
}

/* A reply that is being forwarded goes on, to its last byte if the client reads. */
static void test_long_reply(void)
{
	enum { LEN = 100000 };

	for (int reads = 0; reads < 2; reads++) {
		struct fake_conn *c = start(&toy_codec, 0), *s;
		uint64_t id;

		call(c, "ask ", 1);
		s = scene_connected_server(0);
		id = scene_next_sent(s).id;
		call(c, "ask ", 2);
		toy_make(scene_buf, 'P', id, "done", LEN);
		lab_feed(s, scene_buf, LEN / 2);
		CU_ASSERT_EQUAL(c->sent.len, LEN / 2);
		lab_fin(c);
		CU_ASSERT_TRUE(c->live && !c->aborted);
		ended(1, 1, 0);
		lab_advance(2 * MT_SEC);
		toy_make(scene_buf, 'P', id, "done", LEN);
		lab_feed(s, scene_buf + LEN / 2, LEN / 2);
		CU_ASSERT_TRUE(c->live && !c->aborted);
		for (uint32_t taken = 0; reads && taken < LEN;) {
			CU_ASSERT_FALSE_FATAL(c->aborted);
			lab_advance(900 * MT_MSEC);
			taken += lab_take(c, scene_buf, LEN / 4);
		}
		if (!reads)
			lab_advance(1100 * MT_MSEC);
		CU_ASSERT_TRUE(c->aborted);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_truncated), 0);
		scene_stop();
	}
}

/* After it the method is known to answer. */
static struct fake_conn *know(const char *method)
{
	struct fake_conn *c = lab_client(CONFIG_SAFE), *s;

	call(c, method, 1);
	s = scene_connected_server(0);
	expect(s, method, 1);
	answer(s, method, 1);
	expect(c, method, 1);
	lab_fin(c);
	CU_ASSERT_TRUE(c->detached);
	return s;
}

/* One call at a time on a connection: the late reply is skipped, and the next call gets its own. */
static void test_serial(void)
{
	struct fake_conn *c = start(&toy_named_codec, 0), *other = lab_client(CONFIG_SAFE), *s;

	s = know("ask ");
	call(c, "ask ", 5);
	expect(s, "ask ", 5);
	lab_fin(c);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_FALSE(s->shut);
	ended(1, 1, 0);
	answer(s, "ask ", 5);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
	call(other, "ask ", 6);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	expect(s, "ask ", 6);
	answer(s, "ask ", 6);
	expect(other, "ask ", 6);
	ended(2, 1, 0);
	lab_fin(other);
	scene_stop();
}

/* A reply that waits for that to an earlier call is sent behind it. It is counted in any case. */
static void test_held_reply(void)
{
	for (int hangs = 0; hangs < 2; hangs++) {
		struct fake_conn *c = start(&toy_named_codec, 0), *s, *second;

		s = know("ask ");
		call(c, "ask ", 5);
		call(c, "ask ", 6);
		second = scene_connected_server(1);
		expect(s, "ask ", 5);
		expect(second, "ask ", 6);
		answer(second, "ask ", 6);
		CU_ASSERT_EQUAL(c->sent.len, 0);
		lab_fin(c);
		lab_advance(9 * MT_SEC);
		CU_ASSERT_TRUE(c->live && !c->aborted);
		if (hangs) {
			lab_advance(1100 * MT_MSEC);
			CU_ASSERT_TRUE(c->aborted);
			CU_ASSERT_EQUAL(c->sent.len, 0);
		} else {
			answer(s, "ask ", 5);
			expect(c, "ask ", 5);
			expect(c, "ask ", 6);
			CU_ASSERT_TRUE(c->detached);
		}
		ended(3 - (uint64_t)hangs, (uint64_t)hangs, 0);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered), 3 - (uint64_t)hangs);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_client_closed), (uint64_t)hangs);
		scene_stop();
	}
}

/*
 * Another Meltemi, which does not know the methods, tests by FIN while its client waits for a slow
 * reply. The calls before it are known to be one-way here, or end with the reply.
 */
static void test_tester_waits(void)
{
	for (int known = 0; known < 2; known++) {
		struct fake_conn *c = start(&toy_named_codec, 0), *s;

		s = know("slow");
		for (int i = 0; i < 3 * known; i++) {
			struct fake_conn *teacher = lab_client(CONFIG_SAFE);

			call(teacher, "note", 1);
			s = scene_connected_server(0);
			expect(s, "note", 1);
			lab_fin(teacher);
			lab_fin(s);
		}
		for (uint64_t i = 0; i < 64; i++)
			call(c, "note", i);
		call(c, "slow", 64);
		s = scene_connected_server(0);
		for (uint64_t i = 0; i < 64; i++)
			expect(s, "note", i);
		expect(s, "slow", 64);
		lab_advance(1100 * MT_MSEC);
		lab_fin(c);
		lab_advance(8 * MT_SEC);
		CU_ASSERT_TRUE(c->live && !c->aborted);
		answer(s, "slow", 64);
		expect(c, "slow", 64);
		CU_ASSERT_TRUE(c->detached);
		scene_stop();
	}
}

/* It may be one-way in spite of its type: the server's FIN shows that it is. */
static void test_tested_by_fin(void)
{
	for (int early = 0; early < 2; early++) {
		struct fake_conn *c = start(&toy_named_codec, 0), *s;

		call(c, "note", 7);
		if (early)
			lab_fin(c);
		s = scene_connected_server(0);
		if (!early)
			lab_fin(c);
		expect(s, "note", 7);
		CU_ASSERT_TRUE(s->shut);
		CU_ASSERT_TRUE(c->live && !c->detached);
		lab_advance(900 * MT_MSEC);
		lab_fin(s);
		CU_ASSERT_TRUE(c->detached);
		ended(0, 0, 1);
		scene_stop();
	}
}

/* The server hangs, so that no result comes. */
static void test_no_result(void)
{
	struct fake_conn *c = start(&toy_named_codec, 0), *s;

	call(c, "slow", 7);
	s = scene_connected_server(0);
	lab_advance(5 * MT_SEC);
	lab_fin(c);
	CU_ASSERT_TRUE(s->shut);
	lab_advance(900 * MT_MSEC);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 1);
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
	CU_ASSERT_TRUE(c->aborted);
	ended(0, 1, 0);
	scene_stop();
}

/* The FIN is the test of another Meltemi, which reads on: each reply extends the time. */
static void test_goes_on_answering(void)
{
	static const char *const method[] = {"one ", "two ", "thre"};
	struct fake_conn *c = start(&toy_named_codec, 0), *s;

	for (uint64_t i = 0; i < 3; i++)
		call(c, method[i], i);
	s = scene_connected_server(0);
	lab_fin(c);
	for (uint64_t i = 0; i < 3; i++) {
		lab_advance(900 * MT_MSEC);
		expect(s, method[i], i);
		answer(s, method[i], i);
		expect(c, method[i], i);
	}
	CU_ASSERT_TRUE(c->detached);
	ended(3, 0, 0);
	scene_stop();
}

/*
 * All connections are taken: one was tested by FIN and its server hangs, the other one is idle and
 * bound to a client. Another client's call gets the place of the second while the first still has a
 * call, and else that of the first when the test is over.
 */
static void test_room(void)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .serial_lanes = 2};

	for (int gone = 0; gone < 2; gone++) {
		struct fake_conn *hung, *bound, *c, *s[2];

		hung = start_with(&toy_named_codec, &conf);
		closing.client_whole_close = gone;
		bound = lab_client(CONFIG_SAFE);
		c = lab_client(CONFIG_SAFE);
		call(hung, "slow", 1);
		s[0] = scene_connected_server(0);
		call(bound, "note", 2);
		call(bound, "ask ", 3);
		s[1] = scene_connected_server(1);
		answer(s[1], "ask ", 3);
		lab_fin(hung);
		lab_advance(1100 * MT_MSEC);
		CU_ASSERT_TRUE(s[0]->shut && !s[1]->shut);
		CU_ASSERT_EQUAL(hung->aborted, gone);
		call(c, "ask ", 4);
		CU_ASSERT_EQUAL(s[1]->shut, !gone);
		if (gone)
			lab_advance(11 * MT_SEC);
		else
			lab_fin(s[1]);
		CU_ASSERT_EQUAL(lab_n_servers(), 2);
		s[0] = scene_connected_server(1);
		expect(s[0], "ask ", 4);
		if (!gone)
			lab_close(hung, MT_CLOSE_RESET);
		lab_close(c, MT_CLOSE_RESET);
		lab_close(bound, MT_CLOSE_RESET);
		lab_advance(700 * MT_SEC);
		scene_stop();
	}
}

/* After a call without its reply no other reply is forwarded, which could be taken for that one. */
static void test_no_reply_after(void)
{
	struct fake_conn *c = start(&toy_named_codec, 0), *s, *second;
	const struct mt_ep_state *ep;

	s = know("ask ");
	call(c, "ask ", 1);
	call(c, "new ", 2);
	second = scene_connected_server(1);
	expect(s, "ask ", 1);
	expect(second, "new ", 2);
	ep = lab.snap->clusters[0].eps[0].state;
	lab_advance(100 * MT_MSEC);
	lab_fin(c);
	CU_ASSERT_TRUE(second->shut && c->live);
	lab_advance(5 * MT_SEC);
	toy_make(scene_buf, 'P', 2, "new ", 40);
	CU_ASSERT_TRUE_FATAL(lab_feed(second, scene_buf, 20));
	lab_advance(5100 * MT_MSEC);
	ended(1, 1, 0);
	CU_ASSERT_NOT_EQUAL(ep->given_up, 0);
	toy_make(scene_buf, 'P', 2, "new ", 40);
	CU_ASSERT_TRUE_FATAL(lab_feed(second, scene_buf + 20, 20));
	/* The server is alive all the same. */
	CU_ASSERT_EQUAL(ep->given_up, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
	CU_ASSERT_TRUE(c->aborted);
	ended(1, 2, 0);
	scene_stop();
}

/* The same for a local reply. */
static void test_no_local_reply_after(void)
{
	struct fake_conn *c = start(&toy_named_codec, 0), *s, *second;

	s = know("ask ");
	call(c, "ask ", 1);
	call(c, "new ", 2);
	expect(s, "ask ", 1);
	lab_fin(c);
	/* The first one stays for 10 s, the other one until its connection is open. */
	lab_advance(10100 * MT_MSEC);
	CU_ASSERT_TRUE(c->live && !c->aborted);
	ended(1, 1, 0);
	for (int i = 0; i < 10 && (second = lab_server(1)) && !second->connected; i++)
		lab_close(second, MT_CLOSE_REFUSED);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	ended(1, 2, 0);
	scene_stop();
}

/* Calls that are known to be one-way end as such, also those behind a call that is not answered. */
static void test_silent(void)
{
	struct fake_conn *c = start(&toy_named_codec, 0), *s;

	for (int i = 0; i < 3; i++) {
		struct fake_conn *teacher = lab_client(CONFIG_SAFE);

		call(teacher, "note", 1);
		s = scene_connected_server(0);
		expect(s, "note", 1);
		lab_fin(teacher);
		lab_fin(s);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_learnt), 1);
	ended(0, 0, 3);
	call(c, "slow", 1);
	call(c, "note", 2);
	s = scene_connected_server(0);
	expect(s, "slow", 1);
	expect(s, "note", 2);
	lab_fin(c);
	lab_advance(10100 * MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	ended(0, 1, 4);
	scene_stop();
}

/* A client calls the server, which does not answer, and gives up after this time. */
static struct fake_conn *give_up_after(uint64_t ns, uint8_t host, bool resets)
{
	struct fake_conn *c = lab_client_from(CONFIG_SAFE, host), *s;
	uint32_t i = 0;

	call(c, "ask ", 1);
	while ((s = lab_server(i)) && s->sent.len == 0 && s->connected)
		i++;
	if (!s->connected)
		lab_connect(s);
	expect(s, "ask ", 1);
	lab_advance(ns);
	if (resets)
		lab_close(c, MT_CLOSE_RESET);
	else
		lab_fin(c);
	return s;
}

static struct fake_conn *give_up(uint8_t host, bool resets)
{
	return give_up_after(MT_SEC, host, resets);
}

static uint64_t ejections(void)
{
	return mt_proxy_upstream_counters(lab.p)[MT_UPSTREAM_ejected];
}

/* A server without heartbeats hangs: clients that give up are evidence, one client alone is none. */
static void test_evidence(void)
{
	for (int resets = 0; resets < 2; resets++) {
		struct fake_conn *c = start(&toy_named_codec, 0), *s;
		struct mt_ep_event e;
		uint64_t missed;

		know("ask ");
		for (int i = 0; i < 12; i++)
			give_up(7, resets);
		CU_ASSERT_EQUAL(ejections(), 0);
		s = give_up(8, resets);
		CU_ASSERT_EQUAL(ejections(), 1);
		CU_ASSERT_TRUE_FATAL(mt_proxy_ep_event(lab.p, &e, &missed));
		CU_ASSERT_STRING_EQUAL(e.why, "clients give up their calls");
		answer(s, "ask ", 1);
		lab_fin(c);
		lab_advance(60 * MT_SEC);
		scene_stop();
	}
}

static void test_no_evidence(void)
{
	struct fake_conn *c = start(&toy_named_codec, 0), *s;

	know("ask ");
	for (uint8_t round = 0; round < 3; round++) {
		for (uint8_t i = 0; i < 4; i++)
			s = give_up((uint8_t)(7 + i), false);
		answer(s, "ask ", 1);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 3);
	CU_ASSERT_EQUAL(ejections(), 0);
	lab_fin(c);
	lab_advance(60 * MT_SEC);
	scene_stop();
}

/* While the endpoint's latency is not known, calls count that have waited for 1 s. */
static void test_latency_unknown(void)
{
	struct fake_conn *c = start(&toy_named_codec, 0);

	for (uint8_t i = 0; i < 12; i++)
		give_up_after(900 * MT_MSEC, (uint8_t)(7 + i % 2), true);
	CU_ASSERT_EQUAL(ejections(), 0);
	for (uint8_t i = 0; i < 5; i++)
		give_up((uint8_t)(7 + i % 2), true);
	CU_ASSERT_EQUAL(ejections(), 1);
	lab_fin(c);
	lab_advance(60 * MT_SEC);
	scene_stop();
}

const struct mt_test leave_tests[] = {
	{"two-way calls", test_two_way},
	{"clients that may half-close", test_may_half_close},
	{"calls that were not sent", test_not_sent},
	{"pipelined requests", test_pipelined},
	{"a long reply goes on", test_long_reply},
	{"one call at a time", test_serial},
	{"a held reply", test_held_reply},
	{"a tester waits", test_tester_waits},
	{"tested by FIN", test_tested_by_fin},
	{"no result of the test", test_no_result},
	{"goes on answering", test_goes_on_answering},
	{"room for others", test_room},
	{"no reply after a lost one", test_no_reply_after},
	{"no local reply after a lost one", test_no_local_reply_after},
	{"calls known to be one-way", test_silent},
	{"evidence of a server that hangs", test_evidence},
	{"no evidence", test_no_evidence},
	{"evidence while the latency is unknown", test_latency_unknown},
	{0},
};
