/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of servers that end under calls: what was provably not read is sent again, and nothing else. */
#include "scene.h"

#include "mt_proxy_priv.h"

/* A connection that has carried a call, which was answered and acknowledged. */
static struct fake_conn *used_server(struct fake_conn *c, uint64_t id)
{
	struct fake_conn *s;

	scene_send_request(c, 'Q', id, 64);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, id, 64);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, id);
	return s;
}

/* Exactly one call, with this id, came to a connection that is not `old`; it is answered. */
static void answered_elsewhere(struct fake_conn *c, const struct fake_conn *old, uint64_t id)
{
	struct fake_conn *s = lab_server(0);
	struct toy q;

	if (s == old)
		s = lab_server(1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	lab_connect(s);
	q = scene_next_sent(s);
	CU_ASSERT_EQUAL(q.kind, 'Q');
	CU_ASSERT_EQUAL(q.len, 64);
	CU_ASSERT_EQUAL(scene_next_sent(s).kind, 0);
	scene_answer(s, q.id, 0x55, 64);
	q = scene_next_sent(c);
	CU_ASSERT_EQUAL(q.id, id);
	CU_ASSERT_EQUAL(q.status, 0);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 0);
}

static void lost(struct fake_conn *c, uint64_t id)
{
	struct toy q = scene_next_sent(c);

	CU_ASSERT_EQUAL(q.id, id);
	CU_ASSERT_EQUAL(q.status, 1);
	CU_ASSERT_EQUAL(q.first, MT_REPLY_CONN_LOST);
}

static void over(struct fake_conn *c, uint64_t repeated)
{
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_transparent_retry), repeated);
	scene_bye(c);
	scene_stop();
}

/* A second call, 2, is out on the connection that carried the first one. */
static struct fake_conn *second_call(uint16_t port, struct fake_conn **client)
{
	struct fake_conn *s;

	scene_start(1);
	scene_patient();
	*client = lab_client(port);
	s = used_server(*client, 1);
	scene_send_request(*client, 'Q', 2, 64);
	return s;
}

/* The server closes an idle connection while a call is on its way: its machine resets what crossed the FIN. */
static void test_crosses_the_end(void)
{
	static const uint16_t ports[] = {CONFIG_SAFE, CONFIG_SERIAL};

	for (size_t i = 0; i < MT_ARRAY_LEN(ports); i++) {
		struct fake_conn *c, *s = second_call(ports[i], &c);

		lab_fin(s);
		CU_ASSERT_TRUE(s->live); /* what became of the call is not known yet */
		CU_ASSERT_EQUAL(scene_next_sent(c).kind, 0);
		lab_close(s, MT_CLOSE_RESET);
		answered_elsewhere(c, s, 2);
		CU_ASSERT_EQUAL(lab.p->lb.counters[MT_UPSTREAM_ejected], 0);
		over(c, 1);
	}
}

/*
 * The same with a call sent twice: a loss probe is due before the RST of a busy server comes. A
 * server that never closes its sending side alone has not read it either.
 */
static void test_crosses_the_end_twice(void)
{
	for (int before = 0; before < 2; before++) {
		struct fake_conn *c, *s = second_call(CONFIG_SAFE, &c);

		s->end.resent = before ? s->end.pos.accepted : 0;
		lab_fin(s);
		CU_ASSERT_TRUE(s->live);
		s->end.resent = s->end.pos.accepted;
		lab_advance(100 * MT_MSEC);
		CU_ASSERT_EQUAL(scene_next_sent(c).kind, 0);
		lab_close(s, MT_CLOSE_RESET);
		answered_elsewhere(c, s, 2);
		over(c, 1);
		s = second_call(CONFIG_SERIAL, &c);
		s->end.resent = s->end.pos.accepted;
		lab_fin(s);
		lab_close(s, MT_CLOSE_RESET);
		lost(c, 2);
		over(c, 0);
	}
}

/* No RST comes: after a while that says enough of a server that never closes its sending side alone. */
static void test_quiet_after_the_end(void)
{
	struct fake_conn *c, *s = second_call(CONFIG_SAFE, &c);

	lab_fin(s);
	s->end.quiet = true;
	lab_advance(100 * MT_MSEC);
	CU_ASSERT_TRUE(s->aborted); /* before it leaves again */
	answered_elsewhere(c, s, 2);
	over(c, 1);
}

/* Of this protocol it is not known that its servers do so. */
static void test_half_close_of_others(void)
{
	struct fake_conn *c, *s = second_call(CONFIG_SERIAL, &c);

	lab_fin(s);
	s->end.quiet = true;
	lab_advance(100 * MT_MSEC);
	lost(c, 2);
	over(c, 0);
}

/* Nothing tells, ever. */
static void test_not_known_for_long(void)
{
	struct fake_conn *c, *s = second_call(CONFIG_SAFE, &c);

	lab_fin(s);
	lab_advance(2900 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 0);
	lab_advance(200 * MT_MSEC);
	lost(c, 2);
	over(c, 0);
}

/* The server's machine has it, or nobody knows: it may have run. */
static void test_may_have_run(void)
{
	for (int acknowledged = 0; acknowledged < 2; acknowledged++) {
		struct fake_conn *c, *s = second_call(CONFIG_SAFE, &c);

		if (acknowledged) {
			scene_next_sent(s);
			lab_fin(s);
		} else {
			lab_close(s, MT_CLOSE_RESET);
		}
		lost(c, 2);
		CU_ASSERT_EQUAL(lab_n_servers(), 0);
		over(c, 0);
	}
}

/* One was read and is lost with its connection; the next one, which was not, is sent again. */
static void test_one_of_two(void)
{
	struct fake_conn *c, *s = second_call(CONFIG_SAFE, &c);

	scene_next_sent(s);
	scene_send_request(c, 'Q', 3, 64);
	s->end.reset_ack = true;
	s->end.reset_acked = s->end.pos.acked;
	lab_close(s, MT_CLOSE_RESET);
	lost(c, 2);
	answered_elsewhere(c, s, 3);
	over(c, 1);
}

/*
 * The server ends inside a long reply. A call of another client, which it may not have read, keeps the
 * connection until the server's reset; no attempt receives the rest of the reply meanwhile.
 */
static void test_inside_a_long_reply(void)
{
	struct fake_conn *c, *other, *s = second_call(CONFIG_SAFE, &c);
	uint64_t id = scene_next_sent(s).id;

	other = lab_client(CONFIG_SAFE);
	scene_send_request(other, 'Q', 3, 64);
	toy_make(scene_buf, 'P', id, "done", 100000);
	lab_feed(s, scene_buf, 1000);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_early), 1);
	lab_fin(s);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_TRUE(s->live);
	lab_close(s, MT_CLOSE_RESET);
	answered_elsewhere(other, s, 3);
	over(other, 1);
}

/* It never left us: whoever ends the connection, for whatever reason. */
static void test_never_transmitted(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	s = used_server(c, 1);
	s->stopped = true;
	scene_send_request(c, 'Q', 2, 64);
	memset(scene_buf, 'x', TOY_HEADER);
	lab_feed(s, scene_buf, TOY_HEADER);
	CU_ASSERT_TRUE(s->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_malformed), 1);
	answered_elsewhere(c, s, 2);
	over(c, 1);
}

static void start_strict(void)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .unread_strict = true};

	scene_start_with(1, &conf);
	scene_patient();
}

/* Where a reset may be anybody's, only what never left us was not read. */
static void test_strict(void)
{
	for (int what = 0; what < 3; what++) {
		struct fake_conn *c, *s;

		start_strict();
		c = lab_client(CONFIG_SAFE);
		s = used_server(c, 1);
		s->stopped = what == 0;
		scene_send_request(c, 'Q', 2, 64);
		if (what == 2) {
			lab_fin(s); /* there is nothing to wait for */
			CU_ASSERT_TRUE(s->detached);
		} else {
			s->end.reset_ack = true;
			s->end.reset_acked = s->end.pos.acked;
			lab_close(s, MT_CLOSE_RESET);
		}
		if (what == 0)
			answered_elsewhere(c, s, 2);
		else
			lost(c, 2);
		over(c, what == 0);
	}
}

/* Each connection that it is given to ends: the last time it was a fresh one, then its client is told. */
static void test_not_for_ever(void)
{
	struct fake_conn *c, *s = second_call(CONFIG_SAFE, &c);

	for (uint32_t n = 0; n < 3; n++) {
		s->end.reset_ack = true;
		s->end.reset_acked = s->end.pos.acked;
		lab_close(s, MT_CLOSE_RESET);
		s = lab_server(0);
		if (s)
			lab_connect(s);
	}
	CU_ASSERT_PTR_NULL(s);
	lost(c, 2);
	over(c, 2);
}

/*
 * The same with connections that the server ends by FIN, so that bytes could still be sent on them.
 * Each is aborted, because the client is told that its call failed.
 */
static void test_given_up_is_aborted(void)
{
	struct fake_conn *c, *s = second_call(CONFIG_SAFE, &c);

	for (uint32_t n = 0; n < 3; n++) {
		lab_fin(s);
		s->end.quiet = true;
		lab_advance(100 * MT_MSEC);
		CU_ASSERT_TRUE(s->aborted);
		s = lab_server(0);
		if (s)
			lab_connect(s);
	}
	lost(c, 2);
	over(c, 2);
}

/* The server resets the connection; it has read nothing of the last call. */
static void reset_unread(struct fake_conn *s)
{
	s->end.reset_ack = true;
	s->end.reset_acked = s->end.pos.acked;
	lab_close(s, MT_CLOSE_RESET);
}

/* A client, and three free connections that have carried a call; the last one is taken first. */
static struct fake_conn *three_free(struct fake_conn *s[3])
{
	struct fake_conn *c;

	scene_start(1);
	c = lab_client(CONFIG_SERIAL);
	for (uint64_t i = 0; i < 3; i++) {
		struct fake_conn *other = lab_client(CONFIG_SERIAL);

		scene_send_request(other, 'Q', i, 64);
		s[i] = scene_connected_server((uint32_t)i);
		scene_next_sent(s[i]);
		scene_bye(other);
	}
	for (uint64_t i = 0; i < 3; i++)
		scene_answer(s[i], i, i, 64);
	return c;
}

/* A fresh connection is opened though there is one that is free. */
static void test_fresh_the_second_time(void)
{
	struct fake_conn *s[3], *c = three_free(s);

	scene_send_request(c, 'Q', 9, 64);
	for (int i = 2; i > 0; i--) {
		CU_ASSERT_TRUE(s[i]->sent.len > 0);
		reset_unread(s[i]);
	}
	CU_ASSERT_EQUAL(s[0]->sent.len, 0);
	answered_elsewhere(c, s[0], 9);
	over(c, 2);
}

/* None can be opened: the call takes the one that is free, and calls behind it do not wait for its time-out. */
static void test_no_fresh_one(void)
{
	struct fake_conn *s[3], *c = three_free(s), *other = lab_client(CONFIG_SERIAL);

	scene_send_request(c, 'Q', 9, 64);
	reset_unread(s[2]);
	lab.refuse_open = true;
	reset_unread(s[1]);
	scene_send_request(other, 'Q', 10, 64);
	CU_ASSERT_EQUAL(lab.p->pending[0], 1);
	for (uint64_t id = 9; id <= 10; id++) {
		struct toy q = scene_next_sent(s[0]);

		CU_ASSERT_EQUAL(q.kind, 'Q');
		scene_answer(s[0], q.id, id, 64);
		lab_advance(1);
	}
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 9);
	CU_ASSERT_EQUAL(scene_next_sent(other).id, 10);
	scene_bye(other);
	over(c, 2);
}

static struct mt_snapshot *route_gold(struct mt_snapshot *s)
{
	return config_two_routes(
		s, 0, "method", "gold", (struct mt_mutation){.key = "method", .key_len = 6}, true);
}

/* Its route has removed the key that it matches, and the configuration that it was routed by has retired. */
static void test_keeps_its_route(void)
{
	struct mt_snapshot *snap;
	struct fake_conn *c, *s;

	scene_start(1);
	scene_patient();
	route_gold(lab.snap);
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 2, "gold", 64);
	lab_feed(c, scene_buf, 64);
	s = scene_connected_server(0);
	snap = route_gold(config_make(1, 2, 1, true));
	snap->keep_from = 2;
	mt_proxy_adopt(lab.p, snap);
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	reset_unread(s);
	answered_elsewhere(c, s, 2);
	over(c, 1);
	config_free(1);
}

/*
 * The same, and the new configuration does not have that route: the call is routed by the metadata
 * that it has now, not by the value that was removed.
 */
static void test_route_is_gone(void)
{
	static const struct mt_mutation other = {
		.key = "method", .key_len = 6, .value = "else", .value_len = 4};

	for (int by_removed = 0; by_removed < 2; by_removed++) {
		struct mt_snapshot *snap;
		struct fake_conn *c, *s;
		struct toy q;

		scene_start(1);
		scene_patient();
		route_gold(lab.snap);
		c = lab_client(CONFIG_SAFE);
		toy_make(scene_buf, 'Q', 2, "gold", 64);
		lab_feed(c, scene_buf, 64);
		s = scene_connected_server(0);
		snap = config_two_routes(config_make(1, 2, 1, true), 0, "method",
			by_removed ? "gold" : "----", other, true);
		for (uint32_t i = 0; i < 2; i++)
			((struct mt_route_action *)mt_route_at(
				 snap->listeners[0].protos->services[0]->routes, i))
				->id += 10;
		snap->keep_from = 2;
		mt_proxy_adopt(lab.p, snap);
		lab_advance(MT_MSEC);
		CU_ASSERT_EQUAL(config_holds(0), 0);
		reset_unread(s);
		if (by_removed) {
			q = scene_next_sent(c);
			CU_ASSERT_EQUAL(q.status, 1);
			CU_ASSERT_EQUAL(q.first, MT_REPLY_NO_CLUSTER);
		} else {
			s = scene_connected_server(0);
			q = scene_next_sent(s);
			CU_ASSERT_STRING_EQUAL(q.method, "else");
			scene_answer(s, q.id, 1, 64);
			CU_ASSERT_EQUAL(scene_next_sent(c).id, 2);
		}
		over(c, 1);
		config_free(1);
	}
}

/* A long request of which half is here: what was sent of it goes again, and the rest behind that. */
static void test_half_a_long_one(void)
{
	enum { LEN = 200000, HALF = 100000 };
	struct fake_conn *c, *s, *t;
	uint32_t got;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 2, "call", LEN);
	lab_feed(c, scene_buf, HALF);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(s->sent.len, HALF);
	lab_fin(s);
	lab_close(s, MT_CLOSE_RESET);
	t = scene_connected_server(0);
	CU_ASSERT_EQUAL(t->sent.len, HALF);
	toy_make(scene_buf, 'Q', 2, "call", LEN);
	lab_feed(c, scene_buf + HALF, LEN - HALF);
	CU_ASSERT_EQUAL(t->sent.len, LEN);
	got = lab_take(t, scene_buf, SCENE_BUF);
	CU_ASSERT_EQUAL(got, LEN);
	for (uint32_t i = TOY_HEADER; i < LEN; i++)
		if (scene_buf[i] != 2)
			got = 0;
	CU_ASSERT_EQUAL(got, LEN);
	scene_answer(t, toy_parse(scene_buf, SCENE_BUF).id, 1, 64);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 2);
	over(c, 1);
}

/* Who leaves meanwhile is not waited for, and there may be no memory to send it again. */
static void test_nobody_waits(void)
{
	struct fake_conn *c, *s = second_call(CONFIG_SAFE, &c);

	lab_fin(s);
	lab_close(c, MT_CLOSE_RESET);
	lab_advance(100 * MT_MSEC);
	CU_ASSERT_TRUE(s->detached);
	c = lab_client(CONFIG_SAFE);
	s = used_server(c, 3);
	scene_send_request(c, 'Q', 4, 64);
	lab_fin(s);
	scene_starve();
	lab_close(s, MT_CLOSE_RESET);
	scene_relieve();
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_transparent_retry), 0);
	CU_ASSERT_TRUE(c->aborted); /* there was none to tell its client either */
	scene_stop();
}

/* ---- how long an endpoint leaves connections idle ---------------------------------------------------- */

/* A call is answered at `s`, or at a new connection; the one that it took. */
static struct fake_conn *call_takes(struct fake_conn *c, uint64_t id)
{
	struct fake_conn *s;

	scene_send_request(c, 'Q', id, 64);
	for (uint32_t i = 0; (s = lab_server(i)); i++) {
		if (!s->connected)
			lab_connect(s);
		if (s->sent.len)
			break;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	scene_answer(s, scene_next_sent(s).id, id, 64);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, id);
	return s;
}

/* Its connections end at the age of two seconds: those that are nearly as old take no call. */
static void test_idle_limit_is_learnt(void)
{
	static const uint16_t ports[] = {CONFIG_SAFE, CONFIG_SERIAL};

	for (size_t i = 0; i < MT_ARRAY_LEN(ports); i++) {
		struct fake_conn *c, *s;

		scene_start(1);
		c = lab_client(ports[i]);
		s = call_takes(c, 1);
		lab_advance(1800 * MT_MSEC);
		CU_ASSERT_PTR_EQUAL(call_takes(c, 2), s); /* nothing is known yet */
		lab_advance(2 * MT_SEC);
		lab_fin(s);
		s = call_takes(c, 3);
		lab_advance(1500 * MT_MSEC);
		CU_ASSERT_PTR_EQUAL(call_takes(c, 4), s);
		lab_advance(1700 * MT_MSEC);
		CU_ASSERT_PTR_NOT_EQUAL(call_takes(c, 5), s);
		CU_ASSERT_TRUE(s->live);
		/* It is still there after twice the time: that was no limit. */
		lab_advance(4 * MT_SEC);
		CU_ASSERT_PTR_NOT_NULL(call_takes(c, 6));
		CU_ASSERT_EQUAL(lab_n_servers(), 2);
		over(c, 0);
	}
}

/* Of different ages, within a second: the server itself ends, which says nothing of idle connections. */
static void test_restart_is_no_idle_limit(void)
{
	struct fake_conn *c, *s[2];

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SERIAL);
	for (uint64_t i = 0; i < 2; i++) {
		scene_send_request(c, 'Q', i, 64);
		s[i] = scene_connected_server((uint32_t)i);
		scene_next_sent(s[i]);
	}
	for (uint64_t i = 0; i < 2; i++) {
		scene_answer(s[i], i, i, 64);
		lab_advance(2 * MT_SEC);
	}
	lab_fin(s[0]);
	lab_fin(s[1]);
	while (scene_next_sent(c).kind)
		;
	s[0] = call_takes(c, 7);
	lab_advance(3 * MT_SEC);
	CU_ASSERT_PTR_EQUAL(call_takes(c, 8), s[0]);
	over(c, 0);
}

const struct mt_test retry_tests[] = {{"crosses the end", test_crosses_the_end},
	{"crosses the end twice", test_crosses_the_end_twice},
	{"quiet after the end", test_quiet_after_the_end},
	{"half close of others", test_half_close_of_others},
	{"not known for long", test_not_known_for_long}, {"may have run", test_may_have_run},
	{"one of two", test_one_of_two}, {"inside a long reply", test_inside_a_long_reply},
	{"never transmitted", test_never_transmitted}, {"strict", test_strict},
	{"not for ever", test_not_for_ever}, {"given up is aborted", test_given_up_is_aborted},
	{"fresh the second time", test_fresh_the_second_time}, {"no fresh one", test_no_fresh_one},
	{"keeps its route", test_keeps_its_route}, {"its route is gone", test_route_is_gone},
	{"half a long one", test_half_a_long_one}, {"nobody waits", test_nobody_waits},
	{"idle limit is learnt", test_idle_limit_is_learnt},
	{"restart is no idle limit", test_restart_is_no_idle_limit}, {0}};
