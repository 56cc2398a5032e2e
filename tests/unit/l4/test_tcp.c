/* SPDX-License-Identifier: Apache-2.0 */
/* States of TCP flows: what changes them, how long each lasts, and what a full table does to them. */
#include "conn.h"
#include "mt_rand.h"
#include "test_l4.h"

static struct scene s;

#define C "10.1.1.1"

static void pass_time(uint64_t ns)
{
	for (uint64_t t = 0; t < ns; t += 500 * MT_MSEC)
		sc_turn(&s, 500 * MT_MSEC);
}

/* ---- how a flow gets to each state ----------------------------------------------------------- */

static void to_syn_sent(struct cn *c)
{
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, c, SYN, 0));
}

static void to_syn_received(struct cn *c)
{
	to_syn_sent(c);
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, c, SYN | ACK, 0));
}

static void to_established(struct cn *c)
{
	CU_ASSERT(cn_open(&s, c));
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, c, ACK, 100));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, c, ACK, 200));
}

static void to_half_closed(struct cn *c)
{
	to_established(c);
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, c, FIN | ACK, 10));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, c, ACK, 900));
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, c, ACK, 0));
}

static void to_closing(struct cn *c)
{
	to_half_closed(c);
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, c, FIN | ACK, 0));
}

static void to_client_first(struct cn *c)
{
	to_closing(c);
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, c, ACK, 0));
}

static void to_server_first(struct cn *c)
{
	to_established(c);
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, c, FIN | ACK, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, c, FIN | ACK, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, c, ACK, 0));
}

static void to_reset(struct cn *c)
{
	to_established(c);
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, c, RST, 0));
}

static void to_reset_at_once(struct cn *c)
{
	CU_ASSERT(cn_open(&s, c));
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, c, RST, 0));
}

static void to_reset_after_fin(struct cn *c)
{
	to_half_closed(c);
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, c, RST, 0));
}

static void to_refused(struct cn *c)
{
	to_syn_sent(c);
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, c, RST | ACK, 0));
}

/* The sweep finds a flow at most 10 s after its time. */
static const struct {
	const char *name;
	void (*make)(struct cn *c);
	enum mt_l4_state state;
	uint32_t seconds;
	bool kept, closed;
} states[] = {
	{"SYN seen", to_syn_sent, MT_L4_SYN_SENT, 60, false, false},
	{"SYN-ACK seen", to_syn_received, MT_L4_SYN_RECEIVED, 60, false, false},
	{"established", to_established, MT_L4_ESTABLISHED, 7440, true, false},
	{"FIN of the client", to_half_closed, MT_L4_HALF_CLOSED, 240, true, false},
	{"both FINs", to_closing, MT_L4_CLOSING, 60, true, false},
	{"closed, the client first", to_client_first, MT_L4_TIME_WAIT, 2, false, true},
	{"closed, the server first", to_server_first, MT_L4_TIME_WAIT, 60, false, true},
	{"reset", to_reset, MT_L4_RESET, 7440, false, true},
	{"reset after the handshake", to_reset_at_once, MT_L4_RESET, 10, false, true},
	{"reset after a FIN", to_reset_after_fin, MT_L4_RESET, 10, false, true},
	{"refused", to_refused, MT_L4_RESET, 10, false, true},
};

static void time_outs(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(states); i++) {
		struct cn c = cn_new(C, 7000, false);
		struct mt_l4_flow f;

		sc_open(&s, 1, 400);
		states[i].make(&c);
		CU_ASSERT_FATAL(cn_flow(&s, &c, &f));
		if (f.state != states[i].state || f.kept != states[i].kept)
			printf("\n%s: state %u, kept %u\n", states[i].name, f.state, f.kept);
		CU_ASSERT_EQUAL(f.state, states[i].state);
		CU_ASSERT_EQUAL(f.kept, states[i].kept);
		CU_ASSERT_EQUAL(f.timeout >> 20, states[i].seconds * MT_SEC >> 20);
		pass_time((states[i].seconds - 1) * MT_SEC);
		CU_ASSERT_EQUAL(sc_flows(&s), 1);
		pass_time(12 * MT_SEC);
		CU_ASSERT_EQUAL(sc_flows(&s), 0);
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_closed), states[i].closed);
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_expired), !states[i].closed);
		CU_ASSERT(sc_close(&s));
	}
}

/* A packet in either direction begins an established flow's time again. */
static void both_directions_count(void)
{
	struct cn c = cn_new(C, 7000, false);

	sc_open(&s, 1, 400);
	to_established(&c);
	pass_time(7000 * MT_SEC);
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, ACK, 1));
	pass_time(7000 * MT_SEC);
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 1));
	pass_time(7000 * MT_SEC);
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 1);
	CU_ASSERT(sc_close(&s));
}

/* ---- the handshake ----------------------------------------------------------------------------- */

/* A client that does not know the server's number cannot have its flow kept. */
static void forged_client(void)
{
	struct cn c = cn_new(C, 7000, false);
	uint32_t right;

	sc_open(&s, 1, 400);
	to_syn_received(&c);
	right = c.seq[1];
	for (uint32_t wrong = 1; wrong; wrong <<= 1) {
		c.seq[1] = wrong < 0x10000 ? right - wrong : right + wrong;
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 0));
		CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_SYN_RECEIVED);
	}
	c.seq[1] = right;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	CU_ASSERT(sc_close(&s));
}

/* A SYN-ACK for another SYN, a server's SYN, data without a handshake: they pass, and change nothing. */
static void not_a_handshake(void)
{
	struct cn c = cn_new(C, 7000, false);
	uint32_t right;

	sc_open(&s, 1, 400);
	to_syn_sent(&c);
	right = c.seq[0];
	c.seq[0] = right + 5;
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, SYN | ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_SYN_SENT);
	c.seq[0] = right;
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, SYN, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, ACK, 10));
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 10));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_SYN_SENT);
	/* The client starts again with another number. */
	c.seq[0] = 5;
	CU_ASSERT(cn_open(&s, &c));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	/* SYNs of an established connection are for its ends to judge (RFC 5961 §4). */
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, SYN, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, SYN | ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 1);
	CU_ASSERT(sc_close(&s));
}

/*
 * Forged SYNs before the server's answer, and before or after the client's: the connection gets to
 * each state. `answered`: the server keeps nothing of a handshake, and answers them, too, before the
 * client's (1) or after it (2).
 */
static void handshake_among_forged(bool before, bool after, int answered)
{
	struct cn c = cn_new(C, 7000, false), forged = c;

	sc_open(&s, 1, 400);
	forged.seq[0] = 0x12345678;
	if (before)
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &forged, SYN, 0));
	to_syn_sent(&c);
	if (after) {
		forged.seq[0] = 0x12345678;
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &forged, SYN, 0));
	}
	forged.seq[1] = c.seq[1] + (1u << 29);
	if (answered == 1)
		CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &forged, SYN | ACK, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, SYN | ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_SYN_RECEIVED);
	if (answered == 2)
		CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &forged, SYN | ACK, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, FIN | ACK, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, FIN | ACK, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_TIME_WAIT);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 1);
	CU_ASSERT(sc_close(&s));
}

static void forged_syn(void)
{
	for (int answered = 0; answered < 3; answered++) {
		handshake_among_forged(true, false, answered);
		handshake_among_forged(false, true, answered);
	}
}

/* The same for a client's SYN with data, which the server does not take. */
static void forged_syn_after_data(void)
{
	struct cn c = cn_new(C, 7000, false), forged = c;

	sc_open(&s, 1, 400);
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, SYN, 100));
	c.seq[0] -= 100;
	forged.seq[0] = 0x12345678;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &forged, SYN, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, SYN | ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_SYN_RECEIVED);
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 100));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	CU_ASSERT(sc_close(&s));
}

/* The same for a connection that takes the ports of one that closes or rests. */
static void forged_syn_on_old_flow(void)
{
	static void (*const make[])(struct cn *) = {to_half_closed, to_client_first};

	for (size_t i = 0; i < MT_ARRAY_LEN(make); i++) {
		struct cn c = cn_new(C, 7000, false), forged;

		sc_open(&s, 1, 400);
		make[i](&c);
		forged = c;
		c.seq[0] -= 100000;
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, SYN, 0));
		forged.seq[0] -= 1u << 30;
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &forged, SYN, 0));
		c.seq[1] += 1000000;
		CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, SYN | ACK, 0));
		CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_SYN_RECEIVED);
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 0));
		CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
		CU_ASSERT(sc_close(&s));
	}
}

/* ---- closing ------------------------------------------------------------------------------------ */

static void half_close(void)
{
	struct cn c = cn_new(C, 7000, false);

	sc_open(&s, 1, 400);
	to_half_closed(&c);
	for (int i = 0; i < 20; i++) {
		pass_time(200 * MT_SEC);
		CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, ACK, 900));
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 0));
		CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_HALF_CLOSED);
	}
	CU_ASSERT(sc_close(&s));
}

/* Data beyond a FIN prove that its sender did not send it. */
static void forged_fin(void)
{
	struct cn c = cn_new(C, 7000, false);
	uint32_t right;

	sc_open(&s, 1, 400);
	to_established(&c);
	right = c.seq[0];
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, FIN | ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_HALF_CLOSED);
	c.seq[0] = right;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 1));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_HALF_CLOSED);
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 1));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	CU_ASSERT(sc_close(&s));
}

/* FINs that cross: the flow rests when both are acknowledged, and not before. */
static void crossing_fins(void)
{
	struct cn c = cn_new(C, 7000, false), old;

	sc_open(&s, 1, 400);
	to_established(&c);
	old = c;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, FIN | ACK, 0));
	c.seq[0] = old.seq[0];
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, FIN | ACK, 0));
	c.seq[0]++;
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_CLOSING);
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_CLOSING);
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_TIME_WAIT);
	/* Retransmissions and resets pass, and the flow rests on. */
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, RST, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_TIME_WAIT);
	CU_ASSERT(sc_close(&s));
}

/* While a flow rests, only a SYN that is newer by its number or timestamp makes another one. */
static void reuse(void)
{
	struct cn c = cn_new(C, 7000, false), again;

	sc_open(&s, 1, 400);
	c.stamp = 5000;
	to_server_first(&c);
	again = c;
	again.seq[0] = c.seq[0] - 1000;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &again, SYN, 0));
	again.seq[0] = c.seq[0] - 1000;
	again.stamp = 4000;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &again, SYN, 0));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 1);
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_TIME_WAIT);
	again.stamp = 6000;
	again.seq[0] = c.seq[0] - 1000;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &again, SYN, 0));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 2);
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_SYN_SENT);
	CU_ASSERT(mt_addr_eq(&again.seen.dst, &c.seen.dst));
	CU_ASSERT_EQUAL(again.seen.sport, c.seen.sport);
	/* Without timestamps. */
	c = cn_new(C, 7001, false);
	to_client_first(&c);
	again = c;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &again, SYN, 0));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 3);
	again.seq[0] = c.seq[0] + 1;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &again, SYN, 0));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 4);
	/* When the rest is over, any SYN, although the sweep has not come yet. */
	c = cn_new(C, 7002, false);
	to_client_first(&c);
	s.f.now += 2100 * MT_MSEC;
	again = c;
	again.seq[0] -= 1000;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &again, SYN, 0));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 6);
	CU_ASSERT(sc_close(&s));
}

/*
 * A client opens a connection on a flow whose server has lost the former one: its SYN changes
 * nothing, the server's SYN-ACK begins a handshake, and the FINs of the former one are forgotten.
 */
static void another_connection(void)
{
	static void (*const make[])(struct cn *) = {
		to_half_closed, to_closing, to_client_first, to_server_first};
	static const enum mt_l4_state state[] = {
		MT_L4_HALF_CLOSED, MT_L4_CLOSING, MT_L4_TIME_WAIT, MT_L4_TIME_WAIT};

	for (size_t i = 0; i < MT_ARRAY_LEN(make); i++) {
		struct cn c = cn_new(C, 7000, false);
		struct mt_l4_flow f;

		sc_open(&s, 1, 400);
		make[i](&c);
		c.seq[0] -= 100000; /* older, so that a flow that rests is not replaced */
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, SYN, 0));
		CU_ASSERT_EQUAL(cn_state(&s, &c), state[i]);
		/* One for another SYN does not count. */
		c.seq[0]++;
		c.seq[1] += 1000000;
		CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, SYN | ACK, 0));
		CU_ASSERT_EQUAL(cn_state(&s, &c), state[i]);
		c.seq[0]--;
		CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, SYN | ACK, 0));
		CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_SYN_RECEIVED);
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 0));
		CU_ASSERT_FATAL(cn_flow(&s, &c, &f));
		CU_ASSERT(f.state == MT_L4_ESTABLISHED && f.kept);
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, FIN | ACK, 0));
		CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_HALF_CLOSED);
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 1);
		CU_ASSERT(sc_close(&s));
	}
}

/* A server that keeps nothing of a handshake (SYN cookies) answers another SYN of the client. */
static void another_handshake(void)
{
	struct cn c = cn_new(C, 7000, false);

	sc_open(&s, 1, 400);
	to_syn_received(&c);
	c.seq[0] += 1u << 30;
	c.seq[1] += 1u << 29;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, SYN, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_SYN_RECEIVED);
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, SYN | ACK, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	CU_ASSERT(sc_close(&s));
}

/* ---- resets --------------------------------------------------------------------------------------- */

/* A reset that the other end does not accept costs an established flow nothing. */
static void forged_reset(void)
{
	struct cn c = cn_new(C, 7000, false), forged;
	struct mt_l4_flow f;

	sc_open(&s, 1, 400);
	to_established(&c);
	for (int server = 0; server < 2; server++) {
		forged = c;
		forged.seq[0] += 1u << 30;
		forged.seq[1] += 1u << 30;
		CU_ASSERT_PTR_NOT_NULL((server ? cn_server : cn_client)(&s, &forged, RST, 0));
		CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_RESET);
		/* What the sender of a true reset sent before it may come later. */
		CU_ASSERT_PTR_NOT_NULL((server ? cn_server : cn_client)(&s, &c, ACK, 10));
		CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_RESET);
		/* The other end goes on. */
		CU_ASSERT_PTR_NOT_NULL((server ? cn_client : cn_server)(&s, &c, ACK, 0));
		CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	}
	/* A forged SYN after it as well: the connection keeps its server and its ports. */
	forged = c;
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &forged, RST, 0));
	forged.seq[0] = 12345;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &forged, SYN, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_SYN_SENT);
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 10));
	CU_ASSERT_FATAL(cn_flow(&s, &c, &f));
	CU_ASSERT_EQUAL(f.state, MT_L4_ESTABLISHED);
	CU_ASSERT_EQUAL(f.kept, true);
	CU_ASSERT_EQUAL(f.source_port, c.seen.sport);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 1);
	CU_ASSERT(sc_close(&s));
}

/*
 * Forged segments of the client, of any number and in any order, shorten the time-out of a silent
 * connection by nothing.
 */
static void forged_and_silent(void)
{
	static const uint8_t flags[] = {RST, FIN | ACK, SYN, RST | ACK, FIN};
	struct cn c = cn_new(C, 7000, false), forged;
	struct mt_l4_flow f;
	struct mt_rand r;

	mt_rand_seed(&r, 5);
	sc_open(&s, 1, 4000);
	for (int i = 0; i < 200; i++) {
		uint32_t n = 1 + mt_rand_below(&r, 4);

		c = cn_new(C, (uint16_t)(7000 + i), false);
		to_established(&c);
		forged = c;
		for (uint32_t k = 0; k < n; k++) {
			/* The next segment often fits the last one. */
			if (mt_rand_below(&r, 2))
				forged.seq[0] = mt_rand_below(&r, UINT32_MAX);
			CU_ASSERT_PTR_NOT_NULL(cn_client(
				&s, &forged, flags[mt_rand_below(&r, MT_ARRAY_LEN(flags))], 0));
		}
		CU_ASSERT_FATAL(cn_flow(&s, &c, &f));
		CU_ASSERT_EQUAL(f.timeout >> 20, 7440 * MT_SEC >> 20);
		/* The server answers a FIN beyond its window by the number that it expects. */
		CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, ACK, 0));
		CU_ASSERT_FATAL(cn_flow(&s, &c, &f));
		CU_ASSERT_EQUAL(f.timeout >> 20, 7440 * MT_SEC >> 20);
	}
	CU_ASSERT(sc_close(&s));
}

/* Two hours later the connection goes on at its server, by its ports, and is kept again. */
static void survives_reset(void)
{
	struct cn c = cn_new(C, 7000, true), forged;
	struct sc_ends before;
	struct mt_l4_flow f;

	sc_open(&s, 1, 400);
	to_established(&c);
	before = c.seen;
	forged = c;
	forged.seq[0] += 1u << 30;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &forged, RST, 0));
	CU_ASSERT_FATAL(cn_flow(&s, &c, &f));
	CU_ASSERT_EQUAL(f.kept, false);
	pass_time(7200 * MT_SEC);
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, ACK, 10));
	CU_ASSERT_FATAL(cn_flow(&s, &c, &f));
	CU_ASSERT_EQUAL(f.state, MT_L4_ESTABLISHED);
	CU_ASSERT_EQUAL(f.kept, true);
	CU_ASSERT_EQUAL(f.source_port, before.sport);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 1);
	CU_ASSERT(sc_close(&s));
}

/* Flows that were reset give way to new ones, and their ports when no other is free. */
static void many_reset(void)
{
	struct cn c;

	sc_open(&s, 1, 400);
	for (uint16_t i = 0; i < 200; i++) {
		c = cn_new(C, (uint16_t)(2000 + i), false);
		to_reset(&c);
	}
	CU_ASSERT_EQUAL(sc_flows(&s), 100);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_rests_cut), 100);
	CU_ASSERT(sc_close(&s));
	sc_open(&s, 1, 400);
	s.set->nat_hi = s.set->nat_lo + 9;
	for (uint16_t i = 0; i < 10; i++) {
		c = cn_new(C, (uint16_t)(2000 + i), true);
		to_reset(&c);
	}
	c = cn_new(C, 3000, true);
	CU_ASSERT_EQUAL(cn_tcp(cn_client(&s, &c, SYN, 0))[13], RST | ACK);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_nat_port), 1);
	pass_time(11 * MT_SEC);
	CU_ASSERT_EQUAL(sc_flows(&s), 10);
	for (uint16_t i = 0; i < 10; i++) {
		c = cn_new(C, (uint16_t)(3000 + i), true);
		CU_ASSERT(cn_open(&s, &c));
	}
	CU_ASSERT_EQUAL(sc_flows(&s), 10);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_ports_taken_over), 10);
	CU_ASSERT(sc_close(&s));
}

/* The segment that restores a state counts in it: it may be sent only once. */
static void restoring_segment(void)
{
	struct cn c = cn_new(C, 7000, false), forged;

	sc_open(&s, 1, 400);
	to_syn_sent(&c);
	forged = c;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &forged, RST, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, SYN | ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_SYN_RECEIVED);
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &forged, RST, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &forged, RST, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, FIN | ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_HALF_CLOSED);
	/* Also after a forged SYN. */
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &forged, RST, 0));
	forged.seq[0] += 1u << 30;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &forged, SYN, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_HALF_CLOSED);
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, FIN | ACK, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_TIME_WAIT);
	CU_ASSERT(sc_close(&s));
}

/* After a true one the client connects again by the same port. */
static void again_after_reset(void)
{
	struct cn c = cn_new(C, 7000, false);

	sc_open(&s, 1, 400);
	to_reset(&c);
	c.seq[0] = 99;
	CU_ASSERT(cn_open(&s, &c));
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	to_refused(&(struct cn){.client = C, .vip = "192.0.2.80", .cport = 7001, .vport = 5432});
	CU_ASSERT_EQUAL(sc_flows(&s), 2);
	CU_ASSERT(sc_close(&s));
}

/* ---- a full table ---------------------------------------------------------------------------------- */

/* SYNs of forged clients, all answered, take a quarter of the table: no established flow goes. */
static void syn_flood(void)
{
	struct cn c[20];

	sc_open(&s, 1, 400);
	for (uint16_t i = 0; i < 20; i++) {
		c[i] = cn_new(C, (uint16_t)(7000 + i), false);
		to_established(&c[i]);
	}
	for (uint16_t i = 0; i < 1000; i++) {
		struct cn f = cn_new("10.2.2.2", (uint16_t)(2000 + i), false);

		to_syn_received(&f);
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &f, SYN, 0));
	}
	CU_ASSERT_EQUAL(sc_flows(&s), 20 + 100);
	CU_ASSERT_EQUAL(
		sc_count(&s, MT_L4_flows_over_share) + sc_count(&s, MT_L4_flows_evicted), 900);
	for (uint16_t i = 0; i < 20; i++) {
		CU_ASSERT_EQUAL(cn_state(&s, &c[i]), MT_L4_ESTABLISHED);
		CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c[i], ACK, 10));
	}
	/* Unanswered ones are counted as such. */
	for (uint16_t i = 0; i < 200; i++) {
		struct cn f = cn_new("10.2.2.3", (uint16_t)(2000 + i), false);

		to_syn_sent(&f);
	}
	CU_ASSERT(sc_count(&s, MT_L4_flows_evicted) >= 100);
	CU_ASSERT(sc_close(&s));
}

/* Closed flows give way to new ones, not established ones to them. */
static void many_closed(void)
{
	struct mt_l4_usage u;
	struct cn c = cn_new("10.9.9.9", 7000, false);

	sc_open(&s, 1, 400);
	to_established(&c);
	for (uint16_t i = 0; i < 1000; i++) {
		struct cn d = cn_new(C, (uint16_t)(2000 + i), false);

		to_server_first(&d);
	}
	mt_l4_usage(s.l[0], &u);
	CU_ASSERT_EQUAL(u.kept, 1);
	CU_ASSERT_EQUAL(u.flows, 101);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_rests_cut), 900);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_over_share), 0);
	CU_ASSERT_EQUAL(cn_state(&s, &c), MT_L4_ESTABLISHED);
	CU_ASSERT(sc_close(&s));
}

/* The table is full of established flows, then all close: there is room for each of them. */
static void all_close(void)
{
	struct mt_l4_usage u;
	struct cn c[300];

	sc_open(&s, 1, 400);
	for (uint16_t i = 0; i < 300; i++) {
		static char client[300][MT_ADDR_STRLEN];

		snprintf(client[i], sizeof(client[i]), "10.3.%u.%u", i / 100, 1 + i % 100);
		c[i] = cn_new(client[i], 7000, i % 2);
		to_established(&c[i]);
	}
	mt_l4_usage(s.l[0], &u);
	CU_ASSERT(u.kept > 200);
	CU_ASSERT_EQUAL(u.flows, 300);
	for (uint16_t i = 0; i < 300; i++) {
		if (cn_state(&s, &c[i]) == MT_L4_STATELESS)
			continue;
		(void)cn_server(&s, &c[i], FIN | ACK, 0);
		(void)cn_client(&s, &c[i], FIN | ACK, 0);
		(void)cn_server(&s, &c[i], ACK, 0);
		mt_l4_usage(s.l[0], &u);
		CU_ASSERT(u.flows <= 400 && u.flows - u.kept <= 100);
	}
	CU_ASSERT_EQUAL(u.kept, 0);
	CU_ASSERT_EQUAL(u.flows, 100);
	CU_ASSERT(sc_close(&s));
}

const struct mt_test tcp_tests[] = {{"time-outs", time_outs},
	{"both directions count", both_directions_count}, {"forged client", forged_client},
	{"not a handshake", not_a_handshake}, {"half close", half_close},
	{"forged FIN", forged_fin}, {"crossing FINs", crossing_fins}, {"reuse", reuse},
	{"another connection", another_connection}, {"another handshake", another_handshake},
	{"forged SYN", forged_syn}, {"forged SYN after data", forged_syn_after_data},
	{"forged SYN on an old flow", forged_syn_on_old_flow}, {"forged reset", forged_reset},
	{"restoring segment", restoring_segment}, {"forged and silent", forged_and_silent},
	{"survives a reset", survives_reset}, {"many reset", many_reset},
	{"again after a reset", again_after_reset}, {"SYN flood", syn_flood},
	{"many closed", many_closed}, {"all close", all_close}, {0}};
