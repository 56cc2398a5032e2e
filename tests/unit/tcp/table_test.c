/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what is legal, every cell; and the congestion controls as the pure functions they are. */
#include "world.h"

#include <math.h>

/* What RFC 9293 §3.10.7 says of a cell, told by rules in place of columns. */
static enum mt_tcp_action rule(enum mt_tcp_state s, uint8_t f)
{
	bool fin = f & F, syn = f & S, rst = f & R, ack = f & A;

	if ((syn && (fin || rst)))
		return MT_TCP_DO_DROP;
	if (s == MT_TCP_CLOSED)
		return rst ? MT_TCP_DO_DROP : MT_TCP_DO_RESET;
	if (s == MT_TCP_LISTEN) {
		if (rst)
			return MT_TCP_DO_DROP;
		if (ack)
			return syn ? MT_TCP_DO_RESET : MT_TCP_DO_COOKIE;
		return syn ? MT_TCP_DO_LISTEN : MT_TCP_DO_DROP;
	}
	if (!ack && !syn && !rst)
		return MT_TCP_DO_DROP;
	switch (s) {
	case MT_TCP_HALF_OPEN:
		return MT_TCP_DO_HALF;
	case MT_TCP_SYN_SENT:
		return MT_TCP_DO_SYN_SENT;
	case MT_TCP_TIME_WAIT:
		return MT_TCP_DO_TIME_WAIT;
	default:
		return MT_TCP_DO_ARRIVES;
	}
}

static void every_cell(void)
{
	bool seen[MT_TCP_N_ACTIONS] = {false};

	for (int s = 0; s < MT_TCP_N_STATES; s++)
		for (uint32_t f = 0; f < 32; f++) {
			enum mt_tcp_action a = mt_tcp_dispatch((enum mt_tcp_state)s, (uint8_t)f);

			CU_ASSERT_EQUAL(a, rule((enum mt_tcp_state)s, (uint8_t)f));
			seen[a] = true;
		}
	for (int a = 0; a < MT_TCP_N_ACTIONS; a++)
		CU_ASSERT_TRUE(seen[a]);
}

/* Brings a connection, or a record, into a state. */
static void make_state(enum mt_tcp_state s)
{
	up(NULL);
	switch (s) {
	case MT_TCP_CLOSED:
		w.listening = false;
		w.iss_known = true;
		return;
	case MT_TCP_LISTEN:
		w.iss_known = true;
		return;
	case MT_TCP_HALF_OPEN:
		rx(.flags = S, .mss = 1460);
		return;
	case MT_TCP_SYN_SENT:
	case MT_TCP_SYN_RCVD:
		opened();
		if (s == MT_TCP_SYN_RCVD)
			rx(.flags = S, .mss = 1460);
		return;
	default:
		accepted();
	}
	if (s == MT_TCP_CLOSE_WAIT || s == MT_TCP_LAST_ACK)
		rx(.flags = FA, .seq = 1, .ack = 1);
	if (s == MT_TCP_ESTABLISHED || s == MT_TCP_CLOSE_WAIT)
		return;
	mt_stream_shutdown(w.s);
	turn();
	if (s == MT_TCP_FIN_WAIT_2)
		rx(.flags = A, .seq = 1, .ack = 2);
	if (s == MT_TCP_CLOSING)
		rx(.flags = FA, .seq = 1, .ack = 1);
	if (s == MT_TCP_TIME_WAIT)
		rx(.flags = FA, .seq = 1, .ack = 2);
}

/* Every flag byte in every state, in sequence, behind it and outside: all memory comes back. */
static void every_state_survives(void)
{
	static const uint32_t seqs[] = {1, 2, 0, 70000};

	for (int s = 0; s < MT_TCP_N_STATES; s++)
		for (uint32_t f = 0; f < 32; f++)
			for (size_t i = 0; i < MT_ARRAY_LEN(seqs); i++) {
				make_state((enum mt_tcp_state)s);
				if (w.s && s >= MT_TCP_SYN_SENT && s < MT_TCP_TIME_WAIT)
					CU_ASSERT_EQUAL(conn()->state, s);
				rx(.flags = (uint8_t)f, .seq = seqs[i], .ack = f % 3, .len = f & 7);
				rx(.flags = (uint8_t)f, .seq = seqs[i], .ack = 2);
				pass(210);
				skip_all();
				down();
			}
}

static void initial_window(void)
{
	CU_ASSERT_EQUAL(mt_cc_initial_window(1460), 14600);
	CU_ASSERT_EQUAL(mt_cc_initial_window(536), 5360);
	CU_ASSERT_EQUAL(mt_cc_initial_window(9000), 18000);
}

static void newreno(void)
{
	struct mt_tcp_cc cc = {.cwnd = 10000, .ssthresh = 20000, .mss = 1000};
	struct mt_ack_ctx ctx = {.acked = 1000};

	for (int i = 0; i < 10; i++)
		mt_cc_newreno.ack(&cc, &ctx);
	CU_ASSERT_EQUAL(cc.cwnd, 20000); /* slow start doubled it */
	for (int i = 0; i < 20; i++)
		mt_cc_newreno.ack(&cc, &ctx);
	CU_ASSERT_EQUAL(cc.cwnd, 21000); /* one segment per window */
	mt_cc_newreno.loss(&cc, 21000);
	CU_ASSERT_EQUAL(cc.ssthresh, 10500);
	mt_cc_newreno.loss(&cc, 1000);
	CU_ASSERT_EQUAL(cc.ssthresh, 2000);
}

/* Against the formulas of RFC 9438 in floating point. */
static void cubic(void)
{
	struct mt_tcp_cc cc = {.cwnd = 1000000, .ssthresh = 1000000, .mss = 1000};
	struct mt_ack_ctx ctx = {.srtt_us = 100000, .now_ms = 5000};
	double k = cbrt(300.0 / 0.4), worst = 0;

	mt_cc_cubic.loss(&cc, 1000000);
	CU_ASSERT_EQUAL(cc.ssthresh, 700000);
	CU_ASSERT_EQUAL(cc.w_max, 1000000);
	cc.cwnd = cc.ssthresh;
	for (uint32_t ms = 0; ms < 15000; ms += 10) {
		double t = ms / 1000.0 + 0.1, want = 0.4 * pow(t - k, 3) + 1000;

		ctx.now_ms = 5000 + ms;
		ctx.acked = cc.cwnd / 10; /* a window per 100 ms */
		mt_cc_cubic.ack(&cc, &ctx);
		if (ms > 1000)
			worst = fmax(worst, fabs(cc.cwnd / 1000.0 - want) / want);
	}
	CU_ASSERT_TRUE(worst < 0.05);
	CU_ASSERT_TRUE(cc.cwnd > 1000000);
	mt_cc_cubic.loss(
		&cc, cc.cwnd / 2); /* fast convergence needs a smaller window than the last */
	CU_ASSERT_TRUE(cc.ssthresh < cc.cwnd);
	cc.cwnd = 500000;
	mt_cc_cubic.loss(&cc, 500000);
	CU_ASSERT_EQUAL(cc.w_max, 425000);
}

/* In short round trips CUBIC is no slower than Reno would be (§4.3). */
static void cubic_friendly(void)
{
	struct mt_tcp_cc cc = {.cwnd = 20000, .ssthresh = 20000, .mss = 1000, .w_max = 20000};
	struct mt_ack_ctx ctx = {.srtt_us = 1000, .now_ms = 5000};

	for (uint32_t ms = 0; ms < 100; ms++) {
		ctx.now_ms = 5000 + ms;
		ctx.acked = cc.cwnd;
		mt_cc_cubic.ack(&cc, &ctx);
	}
	CU_ASSERT_TRUE(cc.cwnd > 60000);
}

/* One round trip's ACKs, a segment each; the window behind it. */
static uint32_t round_of(struct mt_tcp_cc *cc, struct mt_ack_ctx *ctx, uint32_t rtt_us)
{
	uint32_t flight = cc->cwnd / cc->mss;

	for (uint32_t i = 0; i < flight; i++) {
		ctx->acked = cc->mss;
		ctx->una += cc->mss;
		ctx->rtt_us = rtt_us;
		mt_cc_cubic.ack(cc, ctx);
		ctx->nxt = ctx->una + cc->cwnd;
	}
	return cc->cwnd;
}

/* RFC 9406 §4.2, §4.3: what ends the first slow start, what does not, and that a loss always does. */
static void hystart(void)
{
	static const struct {
		uint32_t rtt, longer;
		bool slower;
	} rows[] = {{100000, 112499, false}, {100000, 112500, true}, {10000, 13999, false},
		{10000, 14000, true}, {500000, 515999, false}, {500000, 516000, true}};
	struct mt_ack_ctx ctx;
	struct mt_tcp_cc cc;

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		cc = (struct mt_tcp_cc){.cwnd = 10000, .ssthresh = MT_CC_SSTHRESH_INF, .mss = 1000};
		ctx = (struct mt_ack_ctx){.nxt = 10000, .srtt_us = rows[i].rtt, .now_ms = 1};
		CU_ASSERT_EQUAL(round_of(&cc, &ctx, rows[i].rtt), 20000);
		/* the eighth sample tells */
		CU_ASSERT_EQUAL(
			round_of(&cc, &ctx, rows[i].longer), rows[i].slower ? 31000 : 40000);
	}
	/* four more rounds at a quarter, then congestion avoidance from where it stands */
	for (int i = 0; i < 4; i++) {
		uint32_t before = cc.cwnd, after = round_of(&cc, &ctx, 600000);

		CU_ASSERT_TRUE(after > before * 6 / 5 && after <= before * 5 / 4);
		CU_ASSERT_EQUAL(cc.ssthresh, MT_CC_SSTHRESH_INF);
	}
	round_of(&cc, &ctx, 600000);
	CU_ASSERT_EQUAL(cc.ssthresh, cc.cwnd);
	round_of(&cc, &ctx, 600000);
	CU_ASSERT_TRUE(cc.ssthresh < cc.cwnd && cc.cwnd < cc.ssthresh + 3000);
	/* a loss in the middle leaves nothing of it to CUBIC */
	cc = (struct mt_tcp_cc){.cwnd = 10000, .ssthresh = MT_CC_SSTHRESH_INF, .mss = 1000};
	ctx = (struct mt_ack_ctx){.nxt = 10000, .srtt_us = 100000, .now_ms = 1};
	round_of(&cc, &ctx, 100000);
	mt_cc_cubic.loss(&cc, 20000);
	CU_ASSERT_TRUE(cc.ssthresh == 14000 && cc.w_max == 20000 && cc.prior == 20000);
	CU_ASSERT_TRUE(cc.w_est == 0 && cc.epoch_ms == 0 && cc.k_ms == 0);
}

/* A connection to address number `i` that ended, or one that begins, as far as path.c looks. */
static struct mt_tcp_conn *to(uint32_t i, uint32_t srtt_us)
{
	static struct mt_tcp_conn c;

	c = (struct mt_tcp_conn){.state = MT_TCP_ESTABLISHED, .srtt_us = srtt_us, .bytes_out = 1};
	c.tuple.remote = mt_addr4(rte_cpu_to_be_32(0x0a000000u + i));
	c.cc = (struct mt_tcp_cc){.cwnd = 14600, .ssthresh = MT_CC_SSTHRESH_INF, .mss = 1460};
	return &c;
}

/* However many addresses: so many places, the newest among them; ssthresh never below the window. */
static void paths(void)
{
	enum { N = 5000 };
	uint32_t known = 0;
	struct mt_tcp_conn *c;

	up(NULL);
	for (uint32_t i = 0; i < N; i++) {
		mt_tcp_begin(w.t, w.now += MT_MSEC);
		c = to(i, 1000 + i);
		c->cc.ssthresh = 5000;
		c->retransmits = 1;
		mt_tcp_path_remember(w.t, c);
	}
	for (uint32_t i = 0; i < N; i++) {
		c = to(i, 0);
		mt_tcp_path_recall(w.t, c);
		CU_ASSERT_TRUE(c->srtt_us == 0 || c->srtt_us == 1000 + i);
		CU_ASSERT_EQUAL(c->cc.ssthresh, c->srtt_us ? 14600 : MT_CC_SSTHRESH_INF);
		known += c->srtt_us != 0;
		CU_ASSERT_TRUE(c->srtt_us != 0 || i < N - 1);
	}
	CU_ASSERT_TRUE(known > 900 && known <= 1024);
	/* half old, half new; a value that was only handed on is not learnt again */
	mt_tcp_path_remember(w.t, to(N - 1, 3000));
	c = to(N - 1, 0);
	mt_tcp_path_recall(w.t, c);
	CU_ASSERT_EQUAL(c->srtt_us, (1000 + N - 1) / 2 + 1500);
	c->cc.ssthresh = 1000000;
	mt_tcp_path_remember(w.t, c);
	c = to(N - 1, 0);
	mt_tcp_path_recall(w.t, c);
	CU_ASSERT_EQUAL(c->cc.ssthresh, 14600);
	down();
}

/* One that answered a minute late makes the retransmissions of others behind its address no slower. */
static void path_of_a_late_one(void)
{
	static const uint32_t samples[] = {10000, 0};

	up(NULL);
	mt_tcp_path_remember(w.t, to(1, 60000000));
	for (uint32_t i = 0; i < MT_ARRAY_LEN(samples); i++) {
		struct mt_tcp_conn *c = to(1, samples[i]);

		mt_tcp_path_recall(w.t, c);
		CU_ASSERT_TRUE(c->srtt_us >= samples[i]);
		CU_ASSERT_TRUE(c->rto_ms <= (samples[i] ? 400 : 5000));
	}
	down();
}

static void idle_restart(void)
{
	up(NULL);
	accepted();
	conn()->cc.cwnd = 500000;
	pass(3000);
	send_bytes(100);
	CU_ASSERT_EQUAL(conn()->cc.cwnd, 14600);
	skip_all();
	down();
}

static void info(void)
{
	struct mt_tcp_info i;
	uint32_t idx = 0, a, b, c;

	up(NULL);
	accepted();
	send_bytes(100);
	rx(.flags = A, .seq = 1, .ack = 51, .len = 30);
	mt_tcp_counts(w.t, &a, &b, &c);
	CU_ASSERT_TRUE(a == 1 && b == 0 && c == 0);
	CU_ASSERT_TRUE(mt_tcp_info_next(w.t, &idx, &i));
	CU_ASSERT_STRING_EQUAL(i.state, "established");
	CU_ASSERT_TRUE(i.accepted);
	CU_ASSERT_EQUAL(i.bytes_in, 30);
	CU_ASSERT_EQUAL(i.bytes_out, 50);
	CU_ASSERT_EQUAL(i.tx_bytes, 50);
	CU_ASSERT_FALSE(mt_tcp_info_next(w.t, &idx, &i));
	for (uint32_t k = 0; k < MT_TCP_N_OUTCOMES; k++)
		CU_ASSERT_TRUE(strlen(mt_tcp_outcomes.rows[k].words) > 20);
	skip_all();
	down();
}

const struct mt_test table_tests[] = {
	{"every cell", every_cell},
	{"every state survives every flag", every_state_survives},
	{"info", info},
	{0},
};

const struct mt_test cc_tests[] = {
	{"initial window", initial_window},
	{"NewReno", newreno},
	{"CUBIC", cubic},
	{"HyStart++", hystart},
	{"what is known of paths", paths},
	{"the path of one that answers late", path_of_a_late_one},
	{"CUBIC in short round trips", cubic_friendly},
	{"idle restart", idle_restart},
	{0},
};
