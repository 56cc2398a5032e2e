/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer must not send, and waits that come to their end. */
#include "scene.h"

#include "mt_proxy_priv.h"

#include <stdio.h>

static void test_stray_messages(void)
{
	struct fake_conn *c, *s;
	struct toy t;
	uint64_t id;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'P', 7, 64); /* a client's reply to nobody */
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_unexpected_kind), 1);
	scene_send_request(c, 'Q', 1, 64);
	s = scene_connected_server(0);
	id = scene_next_sent(s).id;
	scene_send_request(s, 'Q', 9, 64); /* a server that calls back */
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_request), 1);
	t = scene_next_sent(s);
	CU_ASSERT(t.kind == 'P' && t.status == 1 && t.id == 9 && t.first == MT_REPLY_DENIED);
	scene_send_request(s, 'O', 10, 64); /* wants no answer */
	CU_ASSERT_EQUAL(s->sent.len, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_request_dropped), 1);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 0);
	/* Both connections go on as if nothing had come. */
	scene_answer(s, id, 1, 64);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 1);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/*
 * Answers are not sent in the middle of a request, and not without end to a server that does not
 * read them.
 */
static void test_server_calls_at_bad_times(void)
{
	enum { LONG = 200000, FLOOD = 20000 };
	struct fake_conn *c, *s;
	struct toy t;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 1, "call", LONG);
	lab_feed(c, scene_buf, LONG / 2);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(lab_take(s, scene_buf, LONG), LONG / 2);
	scene_send_request(s, 'Q', 9, 64);
	scene_send_request(s, 'H', 10, TOY_HEADER);
	CU_ASSERT_EQUAL(s->sent.len, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_request_dropped), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_heartbeat_dropped), 1);
	toy_make(scene_buf, 'Q', 1, "call", LONG);
	lab_feed(c, scene_buf + LONG / 2, LONG / 2);
	CU_ASSERT_EQUAL(lab_take(s, scene_buf, LONG), LONG / 2);
	for (uint32_t i = 0; i < FLOOD; i++)
		scene_send_request(s, 'Q', 100 + i, 64);
	CU_ASSERT_TRUE(s->s.tx_queued < s->s.tx_high + 4096);
	CU_ASSERT_TRUE(scene_counted(MT_PROXY_up_request_dropped) > 1);
	for (uint32_t i = 0; i < FLOOD; i++)
		scene_send_request(s, 'H', 100 + i, TOY_HEADER);
	CU_ASSERT_TRUE(s->s.tx_queued < s->s.tx_high + 4096);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_heartbeat_dropped), 1 + FLOOD);
	/* It reads again, and its next heartbeat is answered. */
	lab_take(s, scene_buf, SCENE_BUF);
	CU_ASSERT_EQUAL_FATAL(s->sent.len, 0);
	scene_send_request(s, 'H', 9, TOY_HEADER);
	t = scene_next_sent(s);
	CU_ASSERT(t.kind == 'h' && t.id == 9);
	scene_answer(s, 1, 1, 64);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/*
 * The proxy has half-closed the connection to learn whether its call is answered at all: no answer
 * follows the FIN.
 */
static void test_server_calls_after_our_fin(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	s = scene_connected_server(0);
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_TRUE_FATAL(s->shut);
	scene_send_request(s, 'Q', 9, 64);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_request_dropped), 1);
	lab_fin(s);
	scene_stop();
}

/*
 * Heartbeats of a client that does not read its answers stay unread in its window. Each is answered
 * when the client reads again.
 */
static void test_heartbeats_of_a_client_that_does_not_read(void)
{
	enum { SOFT = 16384, FLOOD = 2000 };
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .reply_soft = SOFT};
	struct fake_conn *c;
	uint32_t answers = 0;
	struct toy t;

	scene_start_with(1, &conf);
	c = lab_client(CONFIG_SAFE);
	for (uint32_t i = 0; i < FLOOD; i++)
		scene_send_request(c, 'H', i, TOY_HEADER);
	CU_ASSERT_TRUE(c->s.tx_queued < SOFT + 4096);
	CU_ASSERT_TRUE(c->s.rx.len > 0);
	CU_ASSERT_TRUE(scene_counted(MT_PROXY_paused_budget) > 0);
	for (; (t = scene_next_sent(c)).kind == 'h'; answers++)
		CU_ASSERT_EQUAL(t.id, answers);
	CU_ASSERT_EQUAL(answers, FLOOD);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* Its codec can read no more than its frame: it is answered, and what follows it is served. */
static void test_unsupported_request(void)
{
	struct fake_conn *c, *s;
	struct toy t;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'U', 3, 64);
	t = scene_next_sent(c);
	CU_ASSERT(t.kind == 'P' && t.status == 1 && t.id == 3);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_unsupported), 1);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	scene_send_request(c, 'Q', 4, 64);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 1, 64);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 4);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* Finagle's probe reaches no server, and its client's calls go on in plain Thrift. */
static void test_finagle_probe(void)
{
	static const char probe[] = "\0\0\0\x28\x80\1\0\1\0\0\0\x1b"
				    "__can__finagle__trace__v3__\0\0\0\7\0",
			  call[] = "\0\0\0\xe\x80\1\0\1\0\0\0\1m\0\0\0\x8\0",
			  answer[] = "\0\0\0\x44\x80\1\0\3\0\0\0\x1b"
				     "__can__finagle__trace__v3__\0\0\0\7\xb\0\1\0\0\0\xe"
				     "unknown method\x8\0\2\0\0\0\1\0";
	struct fake_conn *c, *s;
	uint8_t got[128];

	scene_start(1);
	config_speak(lab.snap, 0, mt_codec_find("thrift"), 0);
	c = lab_client(CONFIG_SAFE);
	lab_feed(c, (const uint8_t *)probe, sizeof(probe) - 1);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(lab_take(c, got, sizeof(got)), sizeof(answer) - 1);
	CU_ASSERT_EQUAL(memcmp(got, answer, sizeof(answer) - 1), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_no_upgrade), 1);
	lab_feed(c, (const uint8_t *)call, sizeof(call) - 1);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(lab_take(s, got, sizeof(got)), sizeof(call) - 1);
	CU_ASSERT_EQUAL(got[12], 'm');
	/* Behind a call, it is answered after that call's reply. */
	lab_feed(c, (const uint8_t *)probe, sizeof(probe) - 1);
	CU_ASSERT_EQUAL(lab_take(c, got, sizeof(got)), 0);
	lab_close(c, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	scene_stop();
}

static void test_idle_client(void)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .down_idle_s = 20};
	struct fake_conn *c;

	scene_start_with(1, &conf);
	c = lab_client(CONFIG_SAFE);
	lab_advance(19 * MT_SEC);
	CU_ASSERT_FALSE(c->shut);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_TRUE(c->shut && !c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_idle), 1);
	lab_flush_detached();
	scene_stop();
}

static void test_too_many_outstanding(void)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .down_outstanding = 2};
	struct fake_conn *c, *s;

	scene_start_with(1, &conf);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	for (uint64_t id = 1; id <= 3; id++)
		scene_send_request(c, 'Q', id, 64);
	CU_ASSERT_TRUE(scene_counted(MT_PROXY_paused_outstanding) > 0);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 2);
	s = scene_connected_server(0);
	/* With each reply the next one is read. */
	for (uint64_t id = 1; id <= 3; id++) {
		scene_answer(s, scene_next_sent(s).id, 1, 64);
		CU_ASSERT_EQUAL(scene_next_sent(c).id, id);
	}
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

static void test_half_closed_for_long(void)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .half_closed_s = 30};
	struct fake_conn *c, *s;

	scene_start_with(1, &conf);
	c = lab_client(CONFIG_OPAQUE);
	s = scene_connected_server(0);
	lab_fin(c);
	CU_ASSERT_TRUE(s->shut);
	lab_advance(29 * MT_SEC);
	lab_feed(s, "more", 4); /* the other direction lives: the time begins again */
	lab_advance(29 * MT_SEC);
	CU_ASSERT_FALSE(c->aborted || s->aborted);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_TRUE(c->aborted && s->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_half_closed_timeout), 1);
	scene_stop();
}

/* Replies that wait for the one of an earlier call are the server's delay: no clock runs, and all of them come. */
static void test_replies_held(void)
{
	enum { CALLS = 64, LEN = 8000 };
	static const struct mt_proxy_conf conf = {.max_down = 64,
		.max_up = 128,
		.max_exchanges = 4096,
		.serial_lanes = CALLS,
		.reply_soft = 16384};
	struct fake_conn *c, *s[CALLS];

	scene_start_with(1, &conf);
	scene_patient();
	c = lab_client(CONFIG_SERIAL);
	for (uint32_t i = 0; i < CALLS; i++) {
		scene_send_request(c, 'Q', i, 64);
		s[i] = scene_connected_server(i);
		scene_next_sent(s[i]);
	}
	for (uint32_t i = 1; i < CALLS; i++)
		scene_answer(s[i], i, 1, LEN);
	lab_advance(60 * MT_SEC);
	CU_ASSERT_TRUE_FATAL(c->live);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	scene_answer(s[0], 0, 1, LEN);
	for (uint32_t n, all = 0; all < CALLS * LEN; all += n) {
		n = lab_take(c, scene_buf, LEN);
		CU_ASSERT_TRUE_FATAL(n > 0);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_slow_reader), 0);
	scene_bye(c);
	scene_stop();
}

static enum mt_filter_verdict add_one(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	static const struct mt_mutation m = {
		.key = "fixed", .value = "v", .key_len = 5, .value_len = 1};

	mt_filter_mutate(ctx->fw, v, &m, 1);
	return MT_FILTER_NEXT;
}

/* The toy protocol does not let this key be changed. */
static void test_mutation_impossible(void)
{
	static const struct mt_filter adder = {.name = "adder", .on_request = add_one};
	static struct mt_filter_inst chain[] = {{.type = &adder}};
	struct fake_conn *c, *s;

	scene_start(1);
	scene_filters(chain, 1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mutation_failed), 1);
	scene_answer(s, scene_next_sent(s).id, 1, 64); /* it went on without it */
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 1);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* A route's changes are no offer: the call does not go without them, whatever keeps them out of the message. */
static void test_route_mutation_impossible(void)
{
	static struct mt_mutation changes[MT_VIEW_MUTATIONS + 1],
		fixed = {.key = "fixed", .key_len = 5, .value = "v", .value_len = 1};
	static char names[MT_VIEW_MUTATIONS + 1][4];
	struct mt_route_action *a;
	struct fake_conn *c, *s;

	for (uint32_t i = 0; i < MT_ARRAY_LEN(changes); i++) {
		snprintf(names[i], sizeof(names[i]), "k%u", i);
		changes[i] = (struct mt_mutation){
			.key = names[i], .key_len = (uint16_t)strlen(names[i])};
	}
	scene_start(1);
	a = (struct mt_route_action *)mt_route_at(lab.snap->services[0]->routes, 0);
	c = lab_client(CONFIG_SAFE);
	a->req_mut = &fixed;
	a->n_req_mut = 1;
	scene_send_request(c, 'Q', 1, 64);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_OVERLOAD);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mutation_failed), 1);
	/* Nor if one is only removed, unless the message does not have it. */
	fixed.value = NULL;
	toy_noted.has_fixed = true;
	scene_send_request(c, 'Q', 3, 64);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_OVERLOAD);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mutation_failed), 2);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	toy_noted.has_fixed = false;
	scene_send_request(c, 'Q', 4, 64);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 1, 64);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 4);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mutation_failed), 2);
	a->req_mut = changes;
	a->n_req_mut = MT_ARRAY_LEN(changes);
	scene_send_request(c, 'Q', 2, 64);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_OVERLOAD);
	CU_ASSERT_EQUAL(s->sent.len, 0);
	a->n_req_mut = 0;
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

const struct mt_test stray_tests[] = {{"stray messages", test_stray_messages},
	{"server calls at bad times", test_server_calls_at_bad_times},
	{"server calls after our FIN", test_server_calls_after_our_fin},
	{"heartbeats of a client that does not read",
		test_heartbeats_of_a_client_that_does_not_read},
	{"unsupported request", test_unsupported_request}, {"Finagle's probe", test_finagle_probe},
	{"idle client", test_idle_client}, {"too many outstanding", test_too_many_outstanding},
	{"half-closed for long", test_half_closed_for_long}, {"replies held", test_replies_held},
	{"mutation impossible", test_mutation_impossible},
	{"route's mutation impossible", test_route_mutation_impossible}, {0}};
