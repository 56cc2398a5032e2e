/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NewReno's window: RFC 5681 §3.1 with byte counting; recovery itself is in lib/tcp (RFC 6582,
 * 6675).
 */
#include "mt_tcp_cc_priv.h"

static void newreno_ack(struct mt_tcp_cc *cc, const struct mt_ack_ctx *ctx)
{
	uint32_t acked = ctx->acked;

	if (cc->cwnd < cc->ssthresh)
		acked = mt_cc_slow_start(cc, ctx);
	if (acked == 0)
		return;
	/* Adds one SMSS per cwnd of acknowledged bytes, without a division. */
	cc->acc += acked;
	if (cc->acc >= cc->cwnd) {
		cc->acc -= cc->cwnd;
		cc->cwnd = MT_MIN(cc->cwnd + cc->mss, MT_CC_CWND_MAX);
	}
}

static void newreno_loss(struct mt_tcp_cc *cc, uint32_t flight)
{
	cc->ssthresh = MT_MAX(flight / 2, 2 * cc->mss); /* RFC 5681 equation 4 */
	cc->acc = 0;
}

static void newreno_restart(struct mt_tcp_cc *cc)
{
	mt_cc_forget_rounds(cc);
	cc->acc = 0;
}

const struct mt_cc_ops mt_cc_newreno = {
	"newreno", newreno_ack, newreno_loss, newreno_restart, newreno_restart};
