/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_capture.h"

#include "mt_rand.h"
#include "mt_trace.h"

#include <string.h>

#include "suites.h"

static struct mt_trace *with(const char *expr, uint32_t what, uint32_t snap, uint64_t count)
{
	struct mt_capture_conf conf = {.what = what, .snap = snap, .count = count};
	struct mt_trace_conf trace = {.worker = 1, .exchanges = true, .count = UINT32_MAX};
	struct mt_err e;

	CU_ASSERT_EQUAL_FATAL(mt_expr_compile(&conf.expr, expr, ~0ull, &e), 0);
	trace.capture = mt_capture_new(&conf);
	CU_ASSERT_PTR_NOT_NULL_FATAL(trace.capture);
	return mt_trace_new(&trace);
}

static void done(struct mt_trace *t)
{
	mt_capture_free(t->capture);
	mt_trace_free(t);
}

static struct mt_trace_packet packet(uint8_t host, uint32_t len)
{
	struct mt_trace_packet p = {
		.sport = 1000, .dport = 80, .proto = "tcp", .port = "p0", .len = len, .payload = 1};

	p.src = mt_addr4(0x02020200u | host);
	p.dst = mt_addr4(0x01010101);
	return p;
}

/* A packet of `len` bytes, each of them `fill`; its note. */
static struct mt_trace_note *pass(
	struct mt_trace *t, uint8_t host, uint32_t len, uint8_t fill, bool tx)
{
	struct mt_trace_packet p = packet(host, len);
	struct mt_trace_note *n = mt_trace_note(t, &p, tx);
	uint32_t snap = 0;
	uint8_t *to = mt_capture_packet(t, n, &snap);

	if (to)
		memset(to, fill, snap);
	return n;
}

static const struct mt_capture_rec *next_is(
	struct mt_trace *t, uint32_t len, uint32_t snap, uint8_t fill)
{
	const struct mt_capture_rec *r = mt_capture_peek(t->capture);

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_EQUAL(r->len, len);
	CU_ASSERT_EQUAL(r->snap, snap);
	for (uint32_t i = 0; i < r->snap; i++)
		if (mt_capture_bytes(r)[i] != fill) {
			CU_FAIL("other bytes");
			break;
		}
	return r;
}

static void readable_at_the_end_of_the_turn(void)
{
	struct mt_trace *t = with("dport=80", MT_CAPTURE_PACKETS, 100, 10);

	pass(t, 1, 60, 7, false);
	CU_ASSERT_PTR_NULL(mt_capture_peek(t->capture));
	pass(t, 2, 1500, 8, true);
	mt_trace_turn_end(t);
	CU_ASSERT_EQUAL(next_is(t, 60, 60, 7)->at, MT_CAPTURE_RX);
	mt_capture_pop(t->capture);
	CU_ASSERT_EQUAL(next_is(t, 1500, 100, 8)->at, MT_CAPTURE_TX);
	mt_capture_pop(t->capture);
	CU_ASSERT_PTR_NULL(mt_capture_peek(t->capture));
	CU_ASSERT_EQUAL(t->capture->stats.taken, 2);
	done(t);
}

/* What became of it decides behind its bytes; what was handed on is another worker's; what the port refused was none. */
static void decided_late(void)
{
	static const struct mt_outcome bad = {"bad", MT_SEV_DROP, "it was bad"},
				       good = {"good", MT_SEV_INFO, ""};
	struct mt_trace *t = with("outcome=bad", MT_CAPTURE_PACKETS, 100, 10);

	pass(t, 1, 60, 1, false)->net = &good;
	pass(t, 1, 60, 2, false)->net = &bad;
	pass(t, 1, 60, 3, false);
	pass(t, 1, 60, 4, true); /* nothing is decided about what leaves */
	mt_trace_turn_end(t);
	CU_ASSERT_PTR_EQUAL(next_is(t, 60, 60, 2)->outcome, &bad);
	mt_capture_pop(t->capture);
	CU_ASSERT_PTR_NULL(mt_capture_peek(t->capture));
	done(t);

	t = with("", MT_CAPTURE_PACKETS, 100, 10);
	pass(t, 1, 60, 1, false)->owner = 0;
	pass(t, 1, 60, 2, false)->owner = -1;
	pass(t, 1, 60, 3, true);
	mt_trace_note_undo(t);
	mt_trace_turn_end(t);
	next_is(t, 60, 60, 2);
	mt_capture_pop(t->capture);
	CU_ASSERT_PTR_NULL(mt_capture_peek(t->capture));
	done(t);
}

/* Those whose place is taken within the turn are decided then. */
static void more_packets_than_notes(void)
{
	static const struct mt_outcome bad = {"bad", MT_SEV_DROP, "it was bad"};
	struct mt_trace *t = with("outcome=bad", MT_CAPTURE_PACKETS, 100, UINT64_MAX);

	for (uint32_t i = 0; i < 3 * MT_TRACE_NOTES; i++)
		pass(t, 1, 60, (uint8_t)i, false)->net = i % 2 ? &bad : NULL;
	mt_trace_turn_end(t);
	for (uint32_t i = 1; i < 3 * MT_TRACE_NOTES; i += 2) {
		CU_ASSERT_PTR_EQUAL(next_is(t, 60, 60, (uint8_t)i)->outcome, &bad);
		mt_capture_pop(t->capture);
	}
	CU_ASSERT_PTR_NULL(mt_capture_peek(t->capture));
	CU_ASSERT_EQUAL(t->capture->stats.taken, 3 * MT_TRACE_NOTES / 2);
	done(t);
}

/* Any sizes, a reader that comes now and then: what is read is what was written, in order, and the rest is counted. */
static void round_and_round(void)
{
	struct mt_trace *t = with("", MT_CAPTURE_PACKETS, MT_CAPTURE_SNAP, UINT64_MAX);
	uint32_t lens[4096] = {0}, wrote = 0, read = 0, lost = 0;
	struct mt_rand r;

	mt_rand_seed(&r, 5);
	for (uint32_t turn = 0; turn < 3000; turn++) {
		for (uint32_t i = mt_rand_below(&r, 8); i > 0; i--) {
			uint32_t len = 1 + mt_rand_below(&r, mt_rand_below(&r, 4) ? 1500 : 65535);

			if (!pass(t, 1, len, (uint8_t)wrote, false)->rec)
				lost++;
			else
				lens[wrote++ % MT_ARRAY_LEN(lens)] = len;
		}
		mt_trace_turn_end(t);
		if (mt_rand_below(&r, 40))
			continue;
		while (mt_capture_peek(t->capture)) {
			next_is(t, lens[read % MT_ARRAY_LEN(lens)], lens[read % MT_ARRAY_LEN(lens)],
				(uint8_t)read);
			read++;
			mt_capture_pop(t->capture);
		}
		CU_ASSERT_EQUAL(read, wrote);
	}
	CU_ASSERT_TRUE(lost > 0);
	CU_ASSERT_EQUAL(t->capture->stats.lost, lost);
	CU_ASSERT_EQUAL(t->capture->stats.taken, wrote);
	CU_ASSERT_TRUE(mt_byte_ring_position(&t->capture->ring) > 10ull * MT_CAPTURE_RING);
	done(t);
}

static void no_more_than_asked(void)
{
	struct mt_trace *t = with("", MT_CAPTURE_PACKETS, 100, 2);

	for (uint32_t turn = 0; turn < 5; turn++) {
		pass(t, 1, 60, 1, false);
		mt_trace_turn_end(t);
	}
	CU_ASSERT_EQUAL(t->capture->stats.taken, 2);
	CU_ASSERT_EQUAL(t->capture->stats.lost, 0);
	done(t);
}

/* The exchanges of this turn's segments, each once. */
static void exchanges_of_packets(void)
{
	struct mt_trace *t = with("", MT_CAPTURE_PACKETS, 100, 10);
	struct mt_tuple conn = {.lport = 80, .rport = 1000};
	struct mt_expr_values v = {0};
	uint16_t a, b;

	conn.local = mt_addr4(0x01010101);
	conn.remote = mt_addr4(0x02020201);
	pass(t, 1, 60, 1, false);
	a = mt_trace_begin(t, 11, &v);
	b = mt_trace_begin(t, 12, &v);
	mt_trace_arrivals(t, mt_trace_journey(t, a, 11), &conn);
	mt_trace_arrivals(t, mt_trace_journey(t, a, 11), &conn);
	mt_trace_arrivals(t, mt_trace_journey(t, b, 12), &conn);
	pass(t, 2, 60, 2, false);
	mt_trace_turn_end(t);
	CU_ASSERT_EQUAL(next_is(t, 60, 60, 1)->n_exchanges, 2);
	CU_ASSERT_EQUAL(mt_capture_peek(t->capture)->exchanges[0] +
				mt_capture_peek(t->capture)->exchanges[1],
		23);
	mt_capture_pop(t->capture);
	CU_ASSERT_EQUAL(next_is(t, 60, 60, 2)->n_exchanges, 0);
	done(t);
}

/* More than a record names are left out, and what the port refused is found by nobody. */
static void many_exchanges_of_a_packet(void)
{
	struct mt_trace *t = with("", MT_CAPTURE_PACKETS, 100, 10);
	struct mt_tuple conn = {.lport = 80, .rport = 1000};
	const struct mt_capture_rec *r;
	struct mt_expr_values v = {0};

	conn.local = mt_addr4(0x01010101);
	conn.remote = mt_addr4(0x02020201);
	pass(t, 1, 60, 9, true);
	mt_trace_note_undo(t);
	pass(t, 1, 60, 1, false);
	for (uint64_t key = 1; key <= MT_CAPTURE_EXCHANGES + 3; key++) {
		struct mt_trace_journey *j = mt_trace_journey(t, mt_trace_begin(t, key, &v), key);

		mt_trace_arrivals(t, j, &conn);
		CU_ASSERT_EQUAL(j->n_steps, 1); /* the packet, once */
	}
	mt_trace_turn_end(t);
	r = next_is(t, 60, 60, 1);
	CU_ASSERT_EQUAL(r->n_exchanges, MT_CAPTURE_EXCHANGES);
	for (uint64_t i = 0; i < MT_CAPTURE_EXCHANGES; i++)
		CU_ASSERT_EQUAL(r->exchanges[i], i + 1);
	CU_ASSERT_TRUE(mt_addr_is_zero(&r->src));
	done(t);
}

static void say(struct mt_trace *t, struct mt_trace_journey *j, enum mt_capture_at at,
	const char *text, uint32_t len)
{
	struct mt_tuple conn = {.lport = 80, .rport = 1000};
	uint32_t n = (uint32_t)strlen(text);
	uint8_t *to;

	conn.local = mt_addr4(0x01010101);
	conn.remote = mt_addr4(0x02020202);
	to = mt_capture_message(t, j, at, &conn, len, &n);

	if (to)
		memcpy(to, text, n);
}

/* Messages become records when their exchange has ended and is chosen. */
static void messages(void)
{
	struct mt_trace *t = with("", MT_CAPTURE_CLIENT, 8, 10);
	static const char *const statuses[] = {"bad", "ok", "bad"};
	const struct mt_capture_rec *r;
	struct mt_expr_values v = {0};
	struct mt_err e;

	CU_ASSERT_EQUAL_FATAL(mt_expr_compile(&t->conf.expr, "status=ok", ~0ull, &e), 0);
	mt_expr_set_str(&v, MT_EXPR_exchange, "1-2-3");
	for (uint32_t i = 0; i < 3; i++) {
		uint16_t number = mt_trace_begin(t, i, &v);
		struct mt_trace_journey *j = mt_trace_journey(t, number, i);

		say(t, j, MT_CAPTURE_REQUEST, "0123456789", 4000);
		say(t, j, MT_CAPTURE_FORWARDED, "not asked for", 13);
		CU_ASSERT_TRUE(mt_capture_saw(t, j, MT_CAPTURE_REQUEST));
		CU_ASSERT_FALSE(mt_capture_saw(t, j, MT_CAPTURE_ANSWER));
		if (i != 1)
			say(t, j, MT_CAPTURE_ANSWER, "no", 2);
		mt_trace_know_str(j, MT_EXPR_status, statuses[i]);
		mt_trace_end(t, j);
		mt_trace_turn_end(t);
	}
	r = mt_capture_peek(t->capture);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_EQUAL(r->at, MT_CAPTURE_REQUEST);
	CU_ASSERT_EQUAL(r->len, 4000);
	CU_ASSERT_EQUAL(r->snap, 8);
	CU_ASSERT_NSTRING_EQUAL(mt_capture_bytes(r), "01234567", 8);
	CU_ASSERT_NSTRING_EQUAL(mt_capture_comment(r), "exchange=1-2-3 status=ok", 24);
	CU_ASSERT_EQUAL(r->sport, 1000);
	mt_capture_pop(t->capture);
	CU_ASSERT_PTR_NULL(mt_capture_peek(t->capture));
	done(t);
}

/* A whole exchange through one place; it is chosen by its status. */
static void exchange(struct mt_trace *t, uint64_t key, const char *status, bool answered)
{
	struct mt_expr_values v = {0};
	struct mt_trace_journey *j = mt_trace_journey(t, mt_trace_begin(t, key, &v), key);

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	/* Of the last one nothing has come but its first bytes. */
	say(t, j, MT_CAPTURE_REQUEST, answered ? "from another client" : "ab", 40);
	if (answered)
		say(t, j, MT_CAPTURE_ANSWER, "to another client", 17);
	mt_trace_know_str(j, MT_EXPR_status, status);
	mt_trace_end(t, j);
	mt_trace_turn_end(t);
}

/* A place that was used before remembers nothing: no message, and no byte of one. */
static void place_used_again(void)
{
	struct mt_trace *t = with("", MT_CAPTURE_CLIENT, 16, 10);
	const struct mt_capture_rec *r;
	struct mt_err e;

	CU_ASSERT_EQUAL_FATAL(mt_expr_compile(&t->conf.expr, "status=ok", ~0ull, &e), 0);
	for (uint64_t i = 0; i < MT_TRACE_JOURNEYS; i++)
		exchange(t, i, "bad", true);
	exchange(t, 1000, "ok", false);
	r = mt_capture_peek(t->capture);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_EQUAL(r->at, MT_CAPTURE_REQUEST);
	CU_ASSERT_EQUAL(r->len, 40);
	CU_ASSERT_EQUAL(r->snap, 2);
	CU_ASSERT_NSTRING_EQUAL(mt_capture_bytes(r), "ab", 2);
	CU_ASSERT_NSTRING_EQUAL(mt_capture_comment(r), "status=ok", 9);
	mt_capture_pop(t->capture);
	CU_ASSERT_PTR_NULL(mt_capture_peek(t->capture));
	done(t);
}

/* Each message goes from its sender to its receiver, on its side. */
static void ends_of_messages(void)
{
	struct mt_trace *t = with("", MT_CAPTURE_CLIENT | MT_CAPTURE_ENDPOINT, 8, 10);
	struct mt_expr_values v = {0};
	struct mt_trace_journey *j = mt_trace_journey(t, mt_trace_begin(t, 1, &v), 1);

	for (enum mt_capture_at at = MT_CAPTURE_REQUEST; at <= MT_CAPTURE_ANSWER; at++)
		say(t, j, at, "x", 1);
	mt_trace_end(t, j);
	mt_trace_turn_end(t);
	for (enum mt_capture_at at = MT_CAPTURE_REQUEST; at <= MT_CAPTURE_ANSWER; at++) {
		bool outwards = at == MT_CAPTURE_FORWARDED || at == MT_CAPTURE_ANSWER;
		const struct mt_capture_rec *r = mt_capture_peek(t->capture);

		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		CU_ASSERT_EQUAL(r->at, at);
		CU_ASSERT_EQUAL(r->sport, outwards ? 80 : 1000);
		CU_ASSERT_EQUAL(r->dport, outwards ? 1000 : 80);
		CU_ASSERT_EQUAL(mt_addr_v4(&r->src), outwards ? 0x01010101u : 0x02020202u);
		CU_ASSERT_EQUAL(mt_addr_v4(&r->dst), outwards ? 0x02020202u : 0x01010101u);
		mt_capture_pop(t->capture);
	}
	done(t);
}

const struct mt_test capture_tests[] = {
	{"readable at the end of the turn", readable_at_the_end_of_the_turn},
	{"decided late", decided_late}, {"more packets than notes", more_packets_than_notes},
	{"round and round", round_and_round}, {"no more than asked", no_more_than_asked},
	{"exchanges of packets", exchanges_of_packets},
	{"many exchanges of a packet", many_exchanges_of_a_packet}, {"messages", messages},
	{"a place used again", place_used_again}, {"ends of messages", ends_of_messages}, {0}};
