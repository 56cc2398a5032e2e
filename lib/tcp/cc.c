/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code shared by the congestion controls: the initial window, slow start (RFC 6928, RFC 3465, RFC
 * 9406).
 */
#include "mt_mutant.h"
#include "mt_tcp_cc_priv.h"

/*
 * Segments by which one ACK may open the window: receivers with receive offload acknowledge many at
 * once.
 */
#define SLOW_START_L 8

/* RFC 9406 §4.3 */
#define RTT_THRESH_MIN_US 4000u
#define RTT_THRESH_MAX_US 16000u
#define RTT_DIVISOR	  8
#define RTT_SAMPLES	  8
#define CSS_DIVISOR	  4
#define CSS_ROUNDS	  5

uint32_t mt_cc_initial_window(uint32_t mss)
{
	if (mt_mutant(MT_BREAK_initial_window_large))
		return 40 * mss;
	return MT_MIN(10 * mss, MT_MAX(2 * mss, 14600u));
}

void mt_cc_forget_rounds(struct mt_tcp_cc *cc)
{
	if (cc->ssthresh != MT_CC_SSTHRESH_INF)
		return;
	cc->last_rtt = cc->round_rtt = cc->css_rtt = cc->round_end = 0;
	cc->samples = cc->css_rounds = 0;
	cc->running = false;
}

static void begin_round(struct mt_tcp_cc *cc, const struct mt_ack_ctx *ctx)
{
	cc->last_rtt = cc->round_rtt;
	cc->round_rtt = 0;
	cc->samples = 0;
	cc->round_end = ctx->nxt;
	cc->running = true;
}

/*
 * Growing round trips mean a growing queue, so the path is full: enters conservative slow start. If
 * they shrink again it was jitter, and slow start continues.
 */
static void judge(struct mt_tcp_cc *cc)
{
	uint32_t thresh = MT_MAX(RTT_THRESH_MIN_US, cc->last_rtt / RTT_DIVISOR);

	if (cc->samples < RTT_SAMPLES || mt_mutant(MT_BREAK_hystart_off))
		return;
	if (cc->css_rtt) {
		if (cc->round_rtt < cc->css_rtt && !mt_mutant(MT_BREAK_hystart_no_way_back))
			cc->css_rtt = cc->css_rounds = 0;
		return;
	}
	if (cc->last_rtt && cc->round_rtt >= cc->last_rtt + MT_MIN(thresh, RTT_THRESH_MAX_US))
		cc->css_rtt = cc->round_rtt;
}

/*
 * A round ends when the first segment sent after windowEnd is acknowledged, so its samples come
 * only from segments of one round trip. False: conservative slow start has lasted its number of
 * rounds.
 */
static bool next_round(struct mt_tcp_cc *cc, const struct mt_ack_ctx *ctx)
{
	if (cc->running && (int32_t)(ctx->una - cc->round_end) <= 0)
		return true;
	begin_round(cc, ctx);
	return !cc->css_rtt || ++cc->css_rounds < CSS_ROUNDS;
}

/* RFC 9406 §4.2: a slow start without a known ssthresh ends when round trips get longer. */
static void explore(struct mt_tcp_cc *cc, const struct mt_ack_ctx *ctx, uint32_t grow)
{
	if (!next_round(cc, ctx)) {
		mt_cc_forget_rounds(cc);
		cc->ssthresh = cc->cwnd;
		return;
	}
	cc->cwnd = MT_MIN(cc->cwnd + (cc->css_rtt ? grow / CSS_DIVISOR : grow), MT_CC_CWND_MAX);
	if (ctx->rtt_us) {
		cc->round_rtt = MT_MIN(cc->round_rtt - 1, ctx->rtt_us - 1) + 1; /* 0: infinite */
		cc->samples += cc->samples < RTT_SAMPLES;
		judge(cc);
	}
}

uint32_t mt_cc_slow_start(struct mt_tcp_cc *cc, const struct mt_ack_ctx *ctx)
{
	uint32_t grow = MT_MIN(ctx->acked, SLOW_START_L * cc->mss);
	uint32_t room = cc->ssthresh - cc->cwnd;

	if (mt_mutant(MT_BREAK_growth_per_ack))
		grow = cc->mss;
	if (cc->ssthresh == MT_CC_SSTHRESH_INF) {
		explore(cc, ctx, grow);
		return 0;
	}
	if (grow <= room) {
		cc->cwnd = MT_MIN(cc->cwnd + grow, MT_CC_CWND_MAX);
		return 0;
	}
	cc->cwnd = cc->ssthresh;
	return grow - room;
}
