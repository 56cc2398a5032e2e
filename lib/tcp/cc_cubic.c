/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUBIC (RFC 9438) in integers: windows in bytes, time in milliseconds, C = 0.4, beta = 0.7.
 * W_cubic(t) = C * (t - K)^3 + W_max (figure 1); the Reno-friendly window W_est is §4.3.
 */
#include "mt_tcp_cc_priv.h"

/* Largest |t - K| that is used: keeps 4 * dt^3 * mss within 64 bits. */
#define DT_MAX_MS 60000

static uint32_t cube_root(uint64_t v)
{
	uint32_t r = 0;

	for (uint32_t bit = 1u << 20; bit; bit >>= 1) {
		uint64_t x = r | bit;

		if (x * x * x <= v)
			r |= bit;
	}
	return r;
}

static uint32_t clamp_cwnd(int64_t w)
{
	return (uint32_t)(w < 0 ? 0 : MT_MIN(w, (int64_t)MT_CC_CWND_MAX));
}

static uint32_t w_cubic(const struct mt_tcp_cc *cc, uint32_t t_ms)
{
	int64_t dt = (int64_t)t_ms - cc->k_ms;

	dt = MT_MIN(MT_MAX(dt, -DT_MAX_MS), DT_MAX_MS);
	/* 0.4 * (dt/1000)^3 segments */
	return clamp_cwnd((int64_t)cc->w_max + dt * dt * dt / 1000 * 4 * cc->mss / 10000000);
}

static void begin_epoch(struct mt_tcp_cc *cc, uint32_t now_ms)
{
	cc->epoch_ms = now_ms ? now_ms : 1;
	cc->w_est = cc->cwnd;
	cc->acc = 0;
	if (cc->w_max <= cc->cwnd) {
		cc->w_max = cc->cwnd; /* §4.2: no larger window is known, K = 0 */
		cc->k_ms = 0;
		return;
	}
	/* K = cbrt((W_max - cwnd_epoch) / C), §4.2 */
	cc->k_ms = cube_root((uint64_t)(cc->w_max - cc->cwnd) * 2500000000ull / cc->mss);
}

/* §4.3: the window of Reno with CUBIC's beta; alpha = 3 (1 - beta) / (1 + beta) until W_prior. */
static void grow_reno(struct mt_tcp_cc *cc, uint32_t acked)
{
	uint32_t alpha = cc->w_est >= cc->prior ? 1000 : 529;

	cc->acc += acked;
	if (cc->acc < cc->cwnd)
		return;
	cc->acc -= cc->cwnd;
	cc->w_est = MT_MIN(cc->w_est + cc->mss * alpha / 1000, MT_CC_CWND_MAX);
}

static void cubic_ack(struct mt_tcp_cc *cc, const struct mt_ack_ctx *ctx)
{
	uint32_t acked = ctx->acked, t, target;

	if (cc->cwnd < cc->ssthresh)
		acked = mt_cc_slow_start(cc, ctx);
	if (acked == 0)
		return;
	if (cc->epoch_ms == 0)
		begin_epoch(cc, ctx->now_ms);
	t = ctx->now_ms - cc->epoch_ms;
	grow_reno(cc, acked);
	if (w_cubic(cc, t) < cc->w_est) {
		cc->cwnd = MT_MAX(cc->cwnd, cc->w_est);
		return;
	}
	/* §4.4, §4.5: towards W_cubic(t + RTT), at most half a window per round trip. */
	target = w_cubic(cc, t + ctx->srtt_us / 1000);
	target = MT_MIN(target, cc->cwnd + cc->cwnd / 2);
	if (target > cc->cwnd)
		cc->cwnd += (uint32_t)((uint64_t)(target - cc->cwnd) * acked / cc->cwnd);
}

static void cubic_loss(struct mt_tcp_cc *cc, uint32_t flight)
{
	uint32_t w = MT_MIN(flight, cc->cwnd);

	mt_cc_forget_rounds(cc);
	cc->prior = cc->cwnd;
	/* §4.7 fast convergence: below the last maximum, release bandwidth for new flows */
	cc->w_max = cc->cwnd < cc->w_max ? (uint32_t)((uint64_t)cc->cwnd * 17 / 20) : cc->cwnd;
	cc->ssthresh = MT_MAX((uint32_t)((uint64_t)w * 7 / 10), 2 * cc->mss);
	cc->epoch_ms = 0;
}

/* §4.8: the first stage after a timeout starts with K = 0 and the current window. */
static void cubic_timeout(struct mt_tcp_cc *cc)
{
	mt_cc_forget_rounds(cc);
	cc->w_max = 0;
	cc->epoch_ms = 0;
}

/* §5.8: the window does not grow during idle time. */
static void cubic_restart(struct mt_tcp_cc *cc)
{
	mt_cc_forget_rounds(cc);
	cc->epoch_ms = 0;
}

const struct mt_cc_ops mt_cc_cubic = {"cubic", cubic_ack, cubic_loss, cubic_timeout, cubic_restart};
