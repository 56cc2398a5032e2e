/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match_test.c in the real protocols: each transport and encoding of Thrift, with a connection
 * for each call and shared ones, Dubbo and awesomeRPC. Both clients number their calls alike, and
 * every byte that they get is compared.
 */
#include "match_wire.h"
#include "scene.h"
#include "toy_ids.h"

#include "mt_proxy_priv.h"

#include <string.h>

#define LISTENER 2 /* CONFIG_SERIAL's place */
#define TEXT	 "secret"
#define MOST	 200

/* The client's id of every call: a byte in compact, narrower than the proxy's ids. */
static const struct wire_ids theirs = {.id = 77, .outer = 1077};

struct talk {
	const struct wire *w;
	uint32_t piece; /* bytes of a buffer; 0: all in one */
	struct fake_conn *a, *b;
};

static struct wire_ids both(uint64_t id)
{
	return (struct wire_ids){id, (uint32_t)id};
}

static void feed(const struct talk *t, struct fake_conn *c, const uint8_t *p, uint32_t n)
{
	CU_ASSERT_TRUE_FATAL(t->piece ? lab_feed_pieces(c, p, n, t->piece) : lab_feed(c, p, n));
}

static void begin(struct talk *t, const struct wire *w, uint32_t piece)
{
	scene_start(1);
	toy_ids_stop();
	config_speak(lab.snap, LISTENER, mt_codec_find(w->codec), w->opts);
	*t = (struct talk){.w = w,
		.piece = piece,
		.a = lab_client(CONFIG_SERIAL),
		.b = lab_client(CONFIG_SERIAL)};
}

static void end(struct talk *t)
{
	if (t->a->live)
		lab_close(t->a, MT_CLOSE_RESET);
	lab_close(t->b, MT_CLOSE_RESET);
	scene_stop();
}

static void call(const struct talk *t, struct fake_conn *c, bool oneway, const char *method)
{
	uint8_t p[MOST];

	feed(t, c, p, wire_call(t->w, p, oneway, theirs, method, TEXT));
}

/*
 * What the i-th server gets next is the call with an id of the proxy's and not changed in any
 * other way.
 */
static uint64_t taken(const struct talk *t, uint32_t i, bool oneway, const char *method)
{
	struct fake_conn *s = lab_server(i);
	uint8_t got[MOST], want[MOST];
	uint64_t id;
	uint32_t n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	if (!s->connected)
		lab_connect(s);
	n = lab_take(s, got, sizeof(got));
	CU_ASSERT_TRUE_FATAL(n > 0);
	id = wire_id(t->w, got);
	CU_ASSERT_NOT_EQUAL(id, theirs.id);
	CU_ASSERT_EQUAL_FATAL(n, wire_call(t->w, want, oneway, both(id), method, TEXT));
	CU_ASSERT_EQUAL(memcmp(got, want, n), 0);
	return id;
}

static void answer(
	const struct talk *t, uint32_t i, uint64_t id, const char *method, const char *text)
{
	uint8_t p[MOST];

	feed(t, lab_server(i), p, wire_reply(t->w, p, both(id), method, text));
}

static void expect(const struct talk *t, struct fake_conn *c, const char *method, const char *text)
{
	uint8_t got[MOST], want[MOST];
	uint32_t n = lab_take(c, got, sizeof(got));

	CU_ASSERT_EQUAL_FATAL(n, wire_reply(t->w, want, theirs, method, text));
	CU_ASSERT_EQUAL(memcmp(got, want, n), 0);
}

static void expect_nothing(const struct fake_conn *c)
{
	CU_ASSERT_EQUAL(c->sent.len, 0);
}

/* A native error: bytes that the server did not send. */
static void expect_error(const struct talk *t, struct fake_conn *c)
{
	uint8_t got[MOST * 4];
	uint32_t n = lab_take(c, got, sizeof(got));

	CU_ASSERT_TRUE(n > 0);
	CU_ASSERT_PTR_NULL(memmem(got, n, TEXT, strlen(TEXT)));
}

static void for_each(void (*test)(struct talk *t), bool serial_only)
{
	static const uint32_t pieces[] = {0, 3};
	struct talk t;

	for (uint32_t i = 0; i < n_wires; i++) {
		if (serial_only && !wires[i].serial)
			continue;
		for (uint32_t k = 0; k < MT_ARRAY_LEN(pieces); k++) {
			begin(&t, &wires[i], pieces[k]);
			test(&t);
			end(&t);
		}
	}
}

/* A call of b's in between, so that the server is known to echo ids. */
static void served(const struct talk *t)
{
	call(t, t->b, false, "ask");
	answer(t, 0, taken(t, 0, false, "ask"), "ask", "yes");
	expect(t, t->b, "ask", "yes");
}

static void one_way_is_answered(struct talk *t)
{
	uint64_t note, ask;

	if (t->w->no_oneway)
		return;
	served(t);
	call(t, t->a, true, "slow");
	note = taken(t, 0, true, "slow");
	lab_advance(5 * MT_MSEC);
	call(t, t->b, false, "ask");
	ask = taken(t, 0, false, "ask");
	answer(t, 0, note, "slow", TEXT);
	expect_nothing(t->b);
	answer(t, 0, ask, "ask", "yes");
	expect(t, t->b, "ask", "yes");
	expect_nothing(t->a);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
}

static void answered_twice(struct talk *t)
{
	uint64_t first, second;

	call(t, t->a, false, "ask");
	first = taken(t, 0, false, "ask");
	answer(t, 0, first, "ask", "yes");
	expect(t, t->a, "ask", "yes");
	answer(t, 0, first, "ask", TEXT); /* nothing is out */
	call(t, t->b, false, "ask");
	second = taken(t, 0, false, "ask");
	answer(t, 0, first, "ask", TEXT);
	expect_nothing(t->b);
	answer(t, 0, second, "ask", "no");
	expect(t, t->b, "ask", "no");
	expect_nothing(t->a);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_unknown_reply), 0);
}

static void late(struct talk *t)
{
	uint32_t at = t->w->serial ? 1 : 0;
	uint64_t first, second;

	served(t);
	call(t, t->a, false, "ask");
	first = taken(t, 0, false, "ask");
	lab_close(t->a, MT_CLOSE_RESET);
	call(t, t->b, false, "ask");
	second = taken(t, at, false, "ask");
	answer(t, 0, first, "ask", TEXT);
	expect_nothing(t->b);
	answer(t, at, second, "ask", "yes");
	expect(t, t->b, "ask", "yes");
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
	CU_ASSERT_EQUAL(lab_n_servers(), at + 1);
}

static void out_of_order(struct talk *t)
{
	uint32_t at = t->w->serial ? 1 : 0;
	uint64_t first, second;

	call(t, t->a, false, "ask");
	first = taken(t, 0, false, "ask");
	call(t, t->b, false, "ask");
	second = taken(t, at, false, "ask");
	answer(t, at, second, "ask", "b's");
	expect_nothing(t->a);
	expect(t, t->b, "ask", "b's");
	answer(t, 0, first, "ask", "a's");
	expect(t, t->a, "ask", "a's");
	expect_nothing(t->b);
}

/* By the client's own id, by one that is to come, and by 0 from a server that echoes ids. */
static void never_given(struct talk *t)
{
	for (uint32_t i = 0; i < 3; i++) {
		uint64_t id;

		served(t);
		call(t, t->b, false, "ask");
		id = taken(t, 0, false, "ask");
		answer(t, 0, i == 0 ? theirs.id : i == 1 ? id + 1 : 0, "ask", TEXT);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_unknown_reply), i + 1);
		if (t->w->serial) {
			expect_error(t, t->b);
			CU_ASSERT_EQUAL(lab_n_servers(), 0);
			continue;
		}
		expect_nothing(t->b);
		answer(t, 0, id, "ask", "yes");
		expect(t, t->b, "ask", "yes");
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_bad_reply), t->w->serial ? 3 : 0);
}

/* A server that answers with id 0. */
static void no_ids(struct talk *t)
{
	for (int i = 0; i < 3; i++) {
		call(t, i % 2 ? t->a : t->b, false, "ask");
		taken(t, 0, false, "ask");
		answer(t, 0, 0, "ask", "yes");
		expect(t, i % 2 ? t->a : t->b, "ask", "yes");
	}
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	/* One-way calls take another connection, and their replies end it. */
	call(t, t->a, true, "slow");
	taken(t, 1, true, "slow");
	call(t, t->b, false, "slow");
	taken(t, 0, false, "slow");
	answer(t, 1, 0, "slow", TEXT);
	expect_nothing(t->b);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	answer(t, 0, 0, "slow", "yes");
	expect(t, t->b, "slow", "yes");
	/* Another method's reply. */
	call(t, t->b, false, "ask");
	taken(t, 0, false, "ask");
	answer(t, 0, 0, "slow", TEXT);
	expect_error(t, t->b);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_unknown_reply), 2);
	expect_nothing(t->a);
}

/*
 * After a call without an answer no other call takes the connection where ids are not echoed. A late
 * answer ends it, or the call's time-out.
 */
static void no_ids_left(struct talk *t)
{
	call(t, t->b, false, "ask");
	taken(t, 0, false, "ask");
	answer(t, 0, 0, "ask", "yes");
	expect(t, t->b, "ask", "yes");
	call(t, t->a, false, "ask");
	taken(t, 0, false, "ask");
	lab_close(t->a, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	answer(t, 0, 0, "ask", TEXT);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	call(t, t->b, false, "ask");
	taken(t, 0, false, "ask");
	lab_advance(2 * MT_SEC);
	expect_error(t, t->b);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
}

/* A call that is sent again has an id of its new connection, and its reply has the client's. */
static void sent_again(struct talk *t)
{
	struct fake_conn *s;

	call(t, t->b, false, "ask");
	s = lab_server(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	lab_connect(s);
	s->end.reset_ack = true;
	s->end.reset_acked = s->end.pos.acked;
	lab_close(s, MT_CLOSE_RESET);
	answer(t, 0, taken(t, 0, false, "ask"), "ask", "yes");
	expect(t, t->b, "ask", "yes");
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_transparent_retry), 1);
}

/* A long call of Dubbo's, which has a connection alone. The id that its server sees. */
static uint64_t long_call(const struct talk *t, struct fake_conn *c)
{
	static char text[100001];
	static uint8_t sent[101000], got[101000];
	struct fake_conn *s;
	uint32_t n;

	memset(text, 'x', sizeof(text) - 1);
	n = wire_call(t->w, sent, false, theirs, "ask", text);
	feed(t, c, sent, n);
	s = lab_server(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	if (!s->connected)
		lab_connect(s);
	CU_ASSERT_EQUAL(lab_take(s, got, sizeof(got)), n);
	CU_ASSERT_NOT_EQUAL(wire_id(t->w, got), theirs.id);
	/* Only the id differs. */
	CU_ASSERT_EQUAL(memcmp(got, sent, 4), 0);
	CU_ASSERT_EQUAL(memcmp(got + 12, sent + 12, n - 12), 0);
	return wire_id(t->w, got);
}

static void test_long_calls(void)
{
	uint64_t first, second;
	struct talk t;

	for (uint32_t i = 0; i < n_wires; i++) {
		if (strcmp(wires[i].codec, "dubbo") != 0)
			continue;
		begin(&t, &wires[i], 0);
		first = long_call(&t, t.a);
		answer(&t, 0, first, "ask", "a's");
		expect(&t, t.a, "ask", "a's");
		second = long_call(&t, t.b);
		answer(&t, 0, first, "ask", TEXT);
		answer(&t, 0, theirs.id, "ask", TEXT);
		expect_nothing(t.b);
		answer(&t, 0, second, "ask", "b's");
		expect(&t, t.b, "ask", "b's");
		expect_nothing(t.a);
		CU_ASSERT_EQUAL(lab_n_servers(), 1);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_unknown_reply), 1);
		end(&t);
	}
}

static void test_one_way_is_answered(void)
{
	for_each(one_way_is_answered, false);
}

static void test_answered_twice(void)
{
	for_each(answered_twice, false);
}

static void test_late(void)
{
	for_each(late, false);
}

static void test_out_of_order(void)
{
	for_each(out_of_order, false);
}

static void test_never_given(void)
{
	for_each(never_given, false);
}

static void test_no_ids(void)
{
	for_each(no_ids, true);
}

static void test_no_ids_left(void)
{
	for_each(no_ids_left, true);
}

static void test_sent_again(void)
{
	for_each(sent_again, false);
}

const struct mt_test match_wire_tests[] = {{"a one-way call is answered", test_one_way_is_answered},
	{"answered twice", test_answered_twice}, {"late", test_late},
	{"out of order", test_out_of_order}, {"an id that was never given", test_never_given},
	{"no ids", test_no_ids}, {"no ids, client left", test_no_ids_left},
	{"sent again", test_sent_again}, {"long calls", test_long_calls}, {0}};
