/* SPDX-License-Identifier: Apache-2.0 */
/* One-way calls that were sent: they live until they are acknowledged, and are sent again if they provably were not read. */
#include "scene.h"

#include "mt_proxy_priv.h"

#define LEN 64u

static const uint16_t ports[] = {CONFIG_SAFE, CONFIG_SERIAL};

/* A one-way call is out, and nothing of it is acknowledged. */
static struct fake_conn *one_way(uint16_t port, struct fake_conn **client)
{
	struct fake_conn *s;

	scene_start(1);
	scene_patient();
	*client = lab_client(port);
	scene_send_request(*client, 'O', 1, LEN);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(s->sent.len, LEN);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway), 0);
	CU_ASSERT_EQUAL(lab.p->n_unacked, 1);
	return s;
}

static void over(uint64_t sent, uint64_t repeated, uint64_t lost)
{
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway), sent);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_transparent_retry), repeated);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway_lost), lost);
	CU_ASSERT_EQUAL(lab.p->n_unacked, 0);
	scene_stop();
}

/* The acknowledgement ends it, and lets its client's FIN through. */
static void test_acknowledged(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(ports); i++) {
		struct fake_conn *c, *s = one_way(ports[i], &c);

		lab_fin(c);
		CU_ASSERT_FALSE(c->detached);
		lab_take(s, scene_buf, LEN - 1);
		CU_ASSERT_FALSE(c->detached);
		lab_take(s, scene_buf, 1);
		CU_ASSERT_TRUE(c->detached);
		CU_ASSERT_TRUE(s->live && !s->detached);
		/* What ends later has read it. */
		lab_close(s, MT_CLOSE_RESET);
		over(1, 0, 0);
	}
}

/* Whether its end is held against the endpoint. */
static bool blamed(void)
{
	return lab.snap->clusters[0].eps[0].state->recent != 0;
}

/* It crosses the end of a connection whose server has read nothing of it, and whose client has gone by then. */
static void test_crosses_the_end(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(ports); i++) {
		struct fake_conn *c, *s = one_way(ports[i], &c), *other;

		lab_fin(c);
		lab_fin(s);
		CU_ASSERT_TRUE(s->live);
		lab_close(s, MT_CLOSE_RESET);
		other = lab_server(0);
		CU_ASSERT_FALSE(blamed());
		CU_ASSERT_PTR_NOT_NULL_FATAL(other);
		lab_connect(other);
		CU_ASSERT_EQUAL(other->sent.len, LEN);
		CU_ASSERT_EQUAL(scene_next_sent(other).kind, 'O');
		CU_ASSERT_TRUE(c->detached);
		over(1, 1, 0);
	}
}

/* What may have been read is not sent again, and is told of. */
static void test_lost(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(ports); i++) {
		struct fake_conn *c, *s = one_way(ports[i], &c);

		lab_close(s, MT_CLOSE_RESET);
		CU_ASSERT_PTR_NULL(lab_server(0));
		CU_ASSERT_TRUE(c->live);
		CU_ASSERT_TRUE(blamed());
		scene_bye(c);
		over(0, 0, 1);
	}
}

/* What the segment that ends the connection acknowledges was not lost: `writable` has not been told yet. */
static void test_acknowledged_by_the_end(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(ports); i++) {
		for (int reset = 0; reset < 2; reset++) {
			struct fake_conn *c, *s = one_way(ports[i], &c);

			lab_fin(c);
			s->end.pos.acked = LEN;
			if (reset)
				lab_close(s, MT_CLOSE_RESET);
			else
				lab_fin(s);
			CU_ASSERT_EQUAL(lab.p->n_unacked, 0);
			CU_ASSERT_TRUE(s->detached || !s->live);
			CU_ASSERT_FALSE(blamed());
			CU_ASSERT_TRUE(c->detached);
			over(1, 0, 0);
		}
	}
}

/* The server's FIN alone says nothing: its machine may still take what was sent. */
static void test_half_closed(void)
{
	for (int in_time = 0; in_time < 2; in_time++) {
		struct fake_conn *c, *s = one_way(CONFIG_SAFE, &c);

		s->end.resent = LEN;
		lab_fin(s);
		lab_advance(2900 * MT_MSEC);
		CU_ASSERT_TRUE(s->live && !s->detached);
		if (in_time)
			lab_take(s, scene_buf, LEN);
		else
			lab_advance(200 * MT_MSEC);
		CU_ASSERT_TRUE(s->detached);
		scene_bye(c);
		over(in_time, 0, !in_time);
	}
}

/* A client that resets its connection does not ask what became of it. */
static void test_client_resets(void)
{
	struct fake_conn *c, *s = one_way(CONFIG_SAFE, &c);

	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_TRUE(s->live);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_client_closed), 0);
	over(1, 0, 0);
}

/* A connection that is to end waits for it. */
static void test_drained(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(ports); i++) {
		struct fake_conn *c, *s = one_way(ports[i], &c);

		mt_up_drain(lab.p, mt_up_of(&s->s));
		lab_advance(MT_SEC);
		CU_ASSERT_FALSE(s->detached);
		lab_take(s, scene_buf, LEN);
		lab_advance(10 * MT_MSEC);
		CU_ASSERT_TRUE(s->detached);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_drained), 1);
		scene_bye(c);
		over(1, 0, 0);
	}
}

/* Also one that is to end before all of the call was sent. */
static void test_drained_meanwhile(void)
{
	const uint32_t len = 200000;

	for (size_t i = 0; i < MT_ARRAY_LEN(ports); i++) {
		struct fake_conn *c, *s;

		scene_start(1);
		scene_patient();
		c = lab_client(ports[i]);
		toy_make(scene_buf, 'O', 1, "call", len);
		lab_feed(c, scene_buf, len / 2);
		s = scene_connected_server(0);
		mt_up_drain(lab.p, mt_up_of(&s->s));
		lab_feed(c, scene_buf + len / 2, len - len / 2);
		CU_ASSERT_EQUAL(s->sent.len, len);
		CU_ASSERT_EQUAL(lab.p->n_unacked, 1);
		CU_ASSERT_FALSE(s->detached);
		lab_take(s, scene_buf, len);
		lab_advance(10 * MT_MSEC);
		CU_ASSERT_TRUE(s->detached);
		scene_bye(c);
		over(1, 0, 0);
	}
}

/* What is let go while nothing speaks against its server is delivered by the transport. */
static void test_let_go(void)
{
	struct fake_conn *c, *s = one_way(CONFIG_SAFE, &c);

	mt_up_close(lab.p, mt_up_of(&s->s), MT_PROXY_up_idle);
	CU_ASSERT_TRUE(s->detached);
	CU_ASSERT_FALSE(s->aborted);
	scene_bye(c);
	over(1, 0, 0);
}

/* Unless it has to be reset, because another call on it was never transmitted. */
static void test_not_let_go(void)
{
	struct fake_conn *c, *s = one_way(CONFIG_SAFE, &c);

	s->stopped = true;
	scene_send_request(c, 'O', 2, LEN);
	CU_ASSERT_EQUAL(lab.p->n_unacked, 2);
	mt_up_close(lab.p, mt_up_of(&s->s), MT_PROXY_up_idle);
	CU_ASSERT_TRUE(s->aborted);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(scene_next_sent(s).kind, 'O');
	scene_bye(c);
	over(1, 1, 1);
}

/* Neither an endpoint's nor a client's limit counts them, and there are bounds for a client and for all. */
static void test_bounds(void)
{
	const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 64, .down_outstanding = 12};
	struct fake_conn *c, *other, *s;

	scene_start_with(1, &conf);
	c = lab_client(CONFIG_SAFE);
	other = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'O', 1, LEN);
	s = scene_connected_server(0);
	for (uint32_t i = 2; i <= 20; i++)
		scene_send_request(c, 'O', i, LEN);
	CU_ASSERT_EQUAL(s->sent.len, 20 * LEN);
	CU_ASSERT_EQUAL(lab.p->n_unacked, 12);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway), 8);
	for (uint32_t i = 1; i <= 10; i++)
		scene_send_request(other, 'O', i, LEN);
	CU_ASSERT_EQUAL(s->sent.len, 30 * LEN);
	CU_ASSERT_EQUAL(lab.p->n_unacked, 16);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway), 14);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_paused_outstanding), 0);
	CU_ASSERT_EQUAL(lab.p->ep_stats[0].outstanding, 0);
	lab_take(s, scene_buf, 10 * LEN);
	CU_ASSERT_EQUAL(lab.p->n_unacked, 6);
	lab_take(s, scene_buf, 20 * LEN);
	scene_bye(c);
	scene_bye(other);
	over(30, 0, 0);
}

/* Once sent it makes room for its client's next call, acknowledged or not. */
static void test_makes_room(void)
{
	const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 64, .down_outstanding = 2};
	struct fake_conn *c, *s;

	scene_start_with(1, &conf);
	c = lab_client(CONFIG_SAFE);
	for (uint32_t i = 1; i <= 3; i++)
		scene_send_request(c, 'O', i, LEN);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 2);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(s->sent.len, 3 * LEN);
	lab_take(s, scene_buf, 3 * LEN);
	scene_bye(c);
	over(3, 0, 0);
}

/* A machine that answers and takes nothing for ever keeps neither the call, nor its client's FIN, nor its connection. */
static void test_never_acknowledged(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(ports); i++) {
		struct fake_conn *c, *s = one_way(ports[i], &c);

		lab_fin(c);
		mt_up_drain(lab.p, mt_up_of(&s->s));
		lab_advance(9 * MT_SEC);
		CU_ASSERT_FALSE(c->detached || s->detached);
		lab_advance(2 * MT_SEC);
		CU_ASSERT_TRUE(c->detached && s->detached);
		over(0, 0, 1);
	}
}

/* What is sent again has what is left of its own time-out. */
static void test_time_is_left(void)
{
	struct fake_conn *c, *s = one_way(CONFIG_SAFE, &c);

	lab_advance(MT_SEC);
	lab_fin(s);
	lab_close(s, MT_CLOSE_RESET);
	CU_ASSERT_PTR_NOT_NULL_FATAL(lab_server(0));
	CU_ASSERT_EQUAL(mt_deadlines_next(&lab.p->deadlines), lab.now + 999 * MT_SEC);
	lab_connect(lab_server(0));
	lab_take(lab_server(0), scene_buf, LEN);
	scene_bye(c);
	over(1, 1, 0);
}

/* From here on calls of "note" are known to be one-way, though they do not say so. */
static void learn_note(void)
{
	struct fake_conn *c = lab_client(CONFIG_NAMED), *s;

	for (int i = 0; i < 3; i++) {
		toy_make(scene_buf, 'Q', 0, "note", LEN);
		toy_make(scene_buf + LEN, 'Q', 1, "ask ", LEN);
		lab_feed(c, scene_buf, 2 * LEN);
		s = lab_server(0);
		if (!s->connected)
			lab_connect(s);
		lab_take(s, scene_buf, 2 * LEN);
		toy_make(scene_buf, 'P', 1, "ask ", LEN);
		lab_feed(s, scene_buf, LEN);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_learnt), 1);
	scene_bye(c);
	lab_flush_detached();
}

/* Behind it on its connection a call is out that is one-way without saying so; both end, each in its own way. */
static void test_beside_silent(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	scene_patient();
	learn_note();
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'O', 1, LEN);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(lab.p->n_unacked, 1);
	s->s.tx_high = 1;
	toy_make(scene_buf, 'Q', 2, "note", LEN);
	lab_feed(c, scene_buf, LEN);
	CU_ASSERT_EQUAL(s->sent.len, 2 * LEN);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway_learnt), 3);
	s->end.resent = 2 * LEN;
	lab_fin(s);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway_learnt), 4);
	CU_ASSERT_TRUE(s->live && !s->detached);
	CU_ASSERT_EQUAL(mt_up_of(&s->s)->n_behind, 0);
	lab_take(s, scene_buf, 2 * LEN);
	CU_ASSERT_TRUE(s->detached);
	scene_bye(c);
	over(1, 0, 0);
}

/* One that was sent in parts is sent again whole, and its connection carries others meanwhile. */
static void test_long(void)
{
	const uint32_t len = 200000;
	struct fake_conn *c, *s, *other;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'O', 1, "call", len);
	lab_feed(c, scene_buf, len / 2);
	s = scene_connected_server(0);
	lab_feed(c, scene_buf + len / 2, len - len / 2);
	CU_ASSERT_EQUAL(s->sent.len, len);
	CU_ASSERT_EQUAL(lab.p->n_unacked, 1);
	/* It begins another one there, of which nothing more comes. */
	toy_make(scene_buf, 'O', 2, "call", len);
	lab_feed(c, scene_buf, len / 2);
	CU_ASSERT_EQUAL(s->sent.len, len + len / 2);
	lab_fin(s);
	CU_ASSERT_TRUE(s->live && !s->detached);
	/* The client breaks off: what cannot be whole ends the connection, and the other one is sent again. */
	s->stopped = true;
	s->end.pos.sent = 0;
	lab_fin(c);
	CU_ASSERT_TRUE(s->aborted);
	other = scene_connected_server(0);
	CU_ASSERT_EQUAL(other->sent.len, len);
	CU_ASSERT_FALSE(c->detached);
	while (lab_take(other, scene_buf, SCENE_BUF) > 0)
		;
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_client_closed), 1);
	over(1, 1, 0);
}

/* The client whose end waits for it has its connection for itself, which goes with it. */
static void test_connection_ends_with_it(void)
{
	struct fake_conn *c, *other, *s;

	scene_start(1);
	scene_patient();
	learn_note();
	c = lab_client(CONFIG_NAMED);
	other = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'O', 1, LEN);
	s = scene_connected_server(0);
	scene_send_request(other, 'O', 2, LEN);
	CU_ASSERT_EQUAL(lab.p->n_unacked, 2);
	toy_make(scene_buf, 'Q', 3, "note", LEN);
	lab_feed(c, scene_buf, LEN);
	CU_ASSERT_EQUAL(s->sent.len, 3 * LEN);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway_learnt), 4);
	lab_fin(c);
	CU_ASSERT_FALSE(c->detached || s->detached);
	lab_take(s, scene_buf, 3 * LEN);
	CU_ASSERT_TRUE(c->detached && s->detached);
	CU_ASSERT_FALSE(s->aborted);
	scene_bye(other);
	over(2, 0, 0);
}

/* Its endpoint was ejected, and the time is over: the next call is on trial. */
static struct mt_ep_state *eject(void)
{
	struct mt_ep_state *st = lab.snap->clusters[0].eps[0].state;

	for (int i = 0; i < 3; i++)
		mt_ep_failed(st, lab.now);
	CU_ASSERT_TRUE(mt_ep_ejected(st, lab.now));
	lab_advance(6 * MT_SEC);
	CU_ASSERT_FALSE(mt_ep_ejected(st, lab.now));
	return st;
}

static void is_back(struct mt_ep_state *st, bool back)
{
	CU_ASSERT_EQUAL(lab.p->lb.counters[MT_UPSTREAM_trial], 1);
	CU_ASSERT_EQUAL(lab.p->lb.counters[MT_UPSTREAM_returned], back);
	CU_ASSERT_EQUAL(mt_ep_ejected(st, lab.now), !back);
}

/* A service whose calls are all one-way: the acknowledgement of the trial brings the endpoint back, and nothing less. */
static void test_trial(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(ports); i++) {
		struct mt_ep_state *st;
		struct fake_conn *c, *s;

		scene_start(1);
		c = lab_client(ports[i]);
		st = eject();
		scene_send_request(c, 'O', 1, LEN);
		s = scene_connected_server(0);
		lab_take(s, scene_buf, LEN - 1);
		is_back(st, false);
		lab_take(s, scene_buf, 1);
		is_back(st, true);
		scene_bye(c);
		over(1, 0, 0);
	}
}

/* So does that of a call which is known to be one-way, though it does not say so. */
static void test_trial_of_a_silent_call(void)
{
	struct mt_ep_state *st;
	struct fake_conn *c, *s;

	scene_start(1);
	scene_patient();
	learn_note();
	c = lab_client(CONFIG_NAMED);
	st = eject();
	toy_make(scene_buf, 'Q', 2, "note", LEN);
	lab_feed(c, scene_buf, LEN);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(s->sent.len, LEN);
	is_back(st, false);
	lab_take(s, scene_buf, LEN);
	is_back(st, true);
	scene_bye(c);
	over(1, 0, 0);
}

static uint32_t ended;

static void ends(
	const struct mt_filter_inst *f, const struct mt_filter_end *end, struct mt_filter_ctx *ctx)
{
	(void)f;
	(void)ctx;
	ended++;
	CU_ASSERT_EQUAL(end->how, MT_FILTER_ENDED_ONEWAY);
}

/* Filters are told when it is sent, once, and do not see it again. */
static void test_filters(void)
{
	static const struct mt_filter type = {.name = "ends", .on_end = ends};
	struct mt_filter_inst filter = {.type = &type};
	struct fake_conn *c, *s;

	ended = 0;
	scene_start(1);
	scene_filters(&filter, 1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'O', 1, LEN);
	CU_ASSERT_EQUAL(ended, 0);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(ended, 1);
	lab_fin(s);
	lab_close(s, MT_CLOSE_RESET);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(lab.p->n_unacked, 1);
	lab_take(s, scene_buf, LEN);
	CU_ASSERT_EQUAL(ended, 1);
	scene_bye(c);
	over(1, 1, 0);
}

const struct mt_test unacked_tests[] = {
	{"never acknowledged", test_never_acknowledged},
	{"time is left", test_time_is_left},
	{"beside a silent call", test_beside_silent},
	{"acknowledged", test_acknowledged},
	{"crosses the end", test_crosses_the_end},
	{"lost", test_lost},
	{"half-closed", test_half_closed},
	{"its client resets", test_client_resets},
	{"drained", test_drained},
	{"let go", test_let_go},
	{"bounds", test_bounds},
	{"long", test_long},
	{"filters", test_filters},
	{"its connection ends with it", test_connection_ends_with_it},
	{"makes room", test_makes_room},
	{"drained meanwhile", test_drained_meanwhile},
	{"acknowledged by the end", test_acknowledged_by_the_end},
	{"not let go", test_not_let_go},
	{"trial", test_trial},
	{"trial of a silent call", test_trial_of_a_silent_call},
	{0},
};
