/* SPDX-License-Identifier: Apache-2.0 */
/* Explicit congestion notification (RFC 3168). */
#include "world.h"

#define M 1440

static const struct mt_tcp_conf off = {.ecn = MT_TCP_ECN_OFF}, ask = {.ecn = MT_TCP_ECN_ASK};

static const struct sent *out(uint32_t back)
{
	return &w.out[(w.n_out - 1 - back) % 512];
}

/* A connection with ECN that a peer opened. */
static void with_ecn(void)
{
	up(NULL);
	rx(.flags = S | E | W, .mss = 1440, .sack_ok = true);
	tx(.flags = SA | E, .ack = 1, .sack_ok = true);
	rx(.flags = A, .seq = 1, .ack = 1);
	events("accept ");
	CU_ASSERT_TRUE(conn()->flags & MT_CF_ECN);
	none();
}

static void accepts(void)
{
	static const struct {
		const struct mt_tcp_conf *conf;
		uint8_t syn, answer;
	} cases[] = {
		{NULL, S | E | W, SA | E},
		{NULL, S, SA},
		{NULL, S | E, SA},
		{NULL, S | W, SA},
		{&off, S | E | W, SA},
		{&ask, S | E | W, SA | E},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		up(cases[i].conf);
		rx(.flags = cases[i].syn, .mss = 1440);
		tx(.flags = cases[i].answer, .ack = 1);
		rx(.flags = A, .seq = 1, .ack = 1);
		CU_ASSERT_EQUAL(!!(conn()->flags & MT_CF_ECN), !!(cases[i].answer & E));
		CU_ASSERT_EQUAL(counter(MT_TCP_ecn_agreed), !!(cases[i].answer & E));
		skip_all();
		down();
	}
}

static void asks(void)
{
	static const struct {
		uint8_t answer;
		bool agreed;
	} cases[] = {{SA | E, true}, {SA, false}, {SA | E | W, false}};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		up(&ask);
		opened();
		tx(.flags = S | E | W);
		rx(.flags = cases[i].answer, .ack = 1, .mss = 1440);
		tx(.flags = A, .seq = 1, .ack = 1);
		CU_ASSERT_EQUAL(!!(conn()->flags & MT_CF_ECN), cases[i].agreed);
		CU_ASSERT_FALSE(conn()->flags & MT_CF_CWR);
		down();
	}
}

/* Without being asked to, we do not ask; an answer to what was not asked means nothing. */
static void asks_not(void)
{
	up(NULL);
	opened();
	tx(.flags = S);
	rx(.flags = SA | E, .ack = 1, .mss = 1440);
	tx(.flags = A, .seq = 1, .ack = 1);
	CU_ASSERT_FALSE(conn()->flags & MT_CF_ECN);
	down();
}

/* Something on the path drops SYNs that ask: the second one does not. */
static void asks_once(void)
{
	up(&ask);
	opened();
	tx(.flags = S | E | W);
	pass(400);
	tx(.flags = S);
	rx(.flags = SA | E, .ack = 1, .mss = 1440);
	CU_ASSERT_FALSE(conn()->flags & MT_CF_ECN);
	skip_all();
	down();
}

/* New data may be marked; ACKs, probes and what goes again may not (§6.1.4, §6.1.5, §6.1.6). */
static void what_is_marked(void)
{
	with_ecn();
	send_bytes(M);
	CU_ASSERT_TRUE(out(0)->ect);
	pass(1100);
	tx(.flags = PA, .seq = 1, .ack = 1, .len = M);
	tx(.flags = PA, .seq = 1, .ack = 1, .len = M);
	CU_ASSERT_FALSE(out(0)->ect);
	rx(.flags = PA, .seq = 1, .ack = 1 + M, .len = 100);
	pass(50);
	tx(.flags = A, .seq = 1 + M, .ack = 101);
	CU_ASSERT_FALSE(out(0)->ect);
	none();
	down();
}

static void nothing_without(void)
{
	up(NULL);
	accepted();
	send_bytes(M);
	CU_ASSERT_FALSE(out(0)->ect);
	rx(.flags = A | E, .seq = 1, .ack = 1 + M);
	CU_ASSERT_EQUAL(counter(MT_TCP_ecn_slowed), 0);
	rx(.flags = PA, .seq = 1, .ack = 1 + M, .len = 100, .ce = true);
	pass(50);
	CU_ASSERT_EQUAL(out(0)->flags, A);
	CU_ASSERT_EQUAL(counter(MT_TCP_ecn_marked), 0);
	skip_all();
	down();
}

/* Every ACK says so until the peer's CWR comes (§6.1.3). */
static void echoes(void)
{
	with_ecn();
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 100, .ce = true);
	tx(.flags = A | E, .seq = 1, .ack = 101);
	rx(.flags = PA, .seq = 101, .ack = 1, .len = 100);
	pass(50);
	tx(.flags = A | E, .seq = 1, .ack = 201);
	rx(.flags = PA | W, .seq = 201, .ack = 1, .len = 100);
	pass(50);
	tx(.flags = A, .seq = 1, .ack = 301);
	rx(.flags = PA | W, .seq = 301, .ack = 1, .len = 100, .ce = true);
	tx(.flags = A | E, .seq = 1, .ack = 401);
	rx(.flags = A, .seq = 401, .ack = 1, .ce = true); /* no data, no mark (§6.1.4) */
	CU_ASSERT_EQUAL(counter(MT_TCP_ecn_marked), 2);
	none();
	down();
}

/* The peer tells of a mark: slower, once per round trip, and it is told. Nothing goes again. */
static void slows_down(void)
{
	with_ecn();
	send_bytes(6 * M);
	skip_all();
	rx(.flags = A | E, .seq = 1, .ack = 1 + M);
	CU_ASSERT_EQUAL(conn()->cc.cwnd, 6 * M * 7 / 10);
	CU_ASSERT_EQUAL(conn()->cc.ssthresh, 6 * M * 7 / 10);
	rx(.flags = A | E, .seq = 1, .ack = 1 + 3 * M);
	CU_ASSERT_EQUAL(counter(MT_TCP_ecn_slowed), 1);
	none();
	send_bytes(2 * M);
	tx(.flags = A | W, .seq = 1 + 6 * M, .ack = 1, .len = M);
	skip_all();
	CU_ASSERT_FALSE(conn()->flags & MT_CF_CWR);
	rx(.flags = A | E, .seq = 1, .ack = 1 + 6 * M); /* the round trip is over */
	CU_ASSERT_EQUAL(counter(MT_TCP_ecn_slowed), 2);
	rx(.flags = A, .seq = 1, .ack = 1 + 8 * M);
	CU_ASSERT_EQUAL(conn()->retransmits, 0);
	CU_ASSERT_EQUAL(w.t->losses.in_use, 0);
	skip_all();
	down();
}

/* That an earlier loss was none does not take back what a mark asked for. */
static void stays_slow(void)
{
	uint32_t cwnd;

	with_ecn();
	send_bytes(6 * M);
	pass(20);
	rx(.flags = A, .seq = 1, .ack = 1, .sack = {1 + M, 1 + 6 * M});
	rx(.flags = A, .seq = 1, .ack = 1 + 6 * M);
	send_bytes(M);
	rx(.flags = A | E, .seq = 1, .ack = 1 + 6 * M);
	CU_ASSERT_EQUAL(counter(MT_TCP_ecn_slowed), 1);
	cwnd = conn()->cc.cwnd;
	rx(.flags = A, .seq = 1, .ack = 1 + 6 * M, .sack = {1, 1 + M}); /* sent twice for nothing */
	CU_ASSERT_EQUAL(counter(MT_TCP_dsacks_in), 1);
	CU_ASSERT_EQUAL(counter(MT_TCP_undone), 0);
	CU_ASSERT_EQUAL(conn()->cc.cwnd, cwnd);
	rx(.flags = A, .seq = 1, .ack = 1 + 7 * M);
	CU_ASSERT_EQUAL(w.t->losses.in_use, 0);
	skip_all();
	down();
}

const struct mt_test ecn_tests[] = {
	{"ECN when the peer asks", accepts},
	{"ECN asked for", asks},
	{"ECN not asked for", asks_not},
	{"ECN asked for once", asks_once},
	{"ECN-capable is only new data", what_is_marked},
	{"no ECN where none was agreed on", nothing_without},
	{"marks are echoed until CWR", echoes},
	{"an echo slows down, once", slows_down},
	{"a mark outlasts a loss that was none", stays_slow},
	{0},
};
