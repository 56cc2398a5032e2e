/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACK field: send window, acknowledged bytes, and the findings for loss recovery and congestion
 * control (RFC 9293 §3.10.7.4 fifth step, RFC 5681 §2, §3.2).
 */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

/*
 * RFC 9293 §3.10.7.4: only a segment newer than the last one that updated the window may change it.
 * A segment that acknowledges new data counts as newer even if it repeats old data of its own.
 * Otherwise the right edge would move by the acknowledged bytes, past what the peer offers.
 */
static bool update_window(struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	uint32_t wnd = (uint32_t)seg->wnd << c->snd_scale;
	bool changed;

	if ((!mt_seq_gt(seg->ack, c->snd_una) || mt_mutant(MT_MUTANT_stale_window)) &&
		!mt_seq_lt(c->snd_wl1, seg->seq) &&
		!(c->snd_wl1 == seg->seq && mt_seq_leq(c->snd_wl2, seg->ack)))
		return false;
	changed = wnd != c->snd_wnd;
	c->snd_wnd = wnd;
	c->max_wnd = MT_MAX(c->max_wnd, wnd);
	c->snd_wl1 = seg->seq;
	c->snd_wl2 = seg->ack;
	return changed;
}

/* RFC 6298 §3: the timed segment; after a timeout only timestamps show which copy was answered. */
static uint32_t rtt_of(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	uint32_t us;

	if (c->rtt_at && mt_seq_geq(seg->ack, c->rtt_seq)) {
		us = t->now_us - c->rtt_at;
		c->rtt_at = 0;
		return (int32_t)us > 0 ? MT_MIN(us, 60u * 1000 * 1000) : 1;
	}
	if (c->retries && c->flags & MT_CF_TS && seg->tsecr) {
		uint32_t ms = mt_tcp_ts_now(t, c->ts_off) - seg->tsecr;

		return ms < 60000 ? MT_MAX(ms, 1u) * 1000 : 0;
	}
	return 0;
}

static void tell_acked(struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t bytes)
{
	c->bytes_out += bytes;
	if (c->s.user->acked) {
		c->acked += bytes;
		mt_tcp_event(t, c, MT_EV_ACKED);
	}
	if (c->s.want_writable && c->s.tx_queued <= c->s.tx_high / 2) {
		c->s.want_writable = false;
		mt_tcp_event(t, c, MT_EV_WRITABLE);
	}
}

/* Time when the newest segment was sent; everything is acknowledged now. */
static uint32_t last_sent(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	if (!c->nxt_seg)
		return t->now_ms;
	return t->now_ms - (t->now_us - (uint32_t)mt_link(c->nxt_seg)->mark) / 1000;
}

/* Advances snd_una: frees bytes of the queue, restarts or stops the timer (RFC 6298 §5.2, §5.3). */
static void advance(
	struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg, uint32_t sample)
{
	uint32_t bytes = MT_MIN(seg->ack - c->snd_una, c->tx.len);
	uint32_t rtt = rtt_of(t, c, seg);

	if (rtt || sample)
		mt_tcp_rtt_sample(t, c, rtt ? rtt : sample);
	else if (c->retries && mt_mutant(MT_BREAK_karn_forgotten))
		mt_tcp_rto_reset(t, c);
	c->retries = 0;
	c->flags &= ~(MT_CF_RTO_KIND | MT_CF_TLP_DUE);
	if (seg->ack == c->snd_nxt)
		c->idle_ms = last_sent(t, c);
	mt_tcp_tx_acked(c, bytes, seg->ack);
	if (mt_tcp_flight(c))
		mt_tcp_rto_start(t, c);
	else
		c->at[MT_TCP_AT_RTO] = 0;
	if (bytes)
		tell_acked(t, c, bytes);
}

/*
 * True if cwnd was the limit since the last ACK. Otherwise cwnd must not grow, because an unused
 * window gives no information about the path (RFC 7661).
 */
static inline bool limited(const struct mt_tcp_conn *c, uint32_t flight)
{
	return c->flags & MT_CF_CWND_LTD ||
	       (flight * 2 > c->cc.cwnd && c->cc.cwnd < c->cc.ssthresh);
}

/* The first slow start, without a known ssthresh, measures each round trip (RFC 9406 §4.2). */
static uint32_t round_trip(struct mt_tcp *t, const struct mt_tcp_conn *c, uint32_t acked)
{
	return c->cc.ssthresh == MT_CC_SSTHRESH_INF ? mt_tcp_rtt_newest(t, c, acked) : 0;
}

void mt_tcp_cc_ack(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_ack_ctx *ctx)
{
	if (!limited(c, ctx->prior_flight))
		return;
	ctx->now_ms = t->now_ms;
	ctx->srtt_us = c->srtt_us;
	ctx->una = c->snd_una;
	ctx->nxt = c->snd_nxt;
	t->cc->ack(&c->cc, ctx);
}

/* mt_tcp_ack_plain() for the case that the congestion window may grow. */
static mt_noinline void ack_limited(
	struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	struct mt_ack_ctx ctx = {
		.acked = seg->ack - c->snd_una,
		.prior_flight = mt_tcp_flight(c),
	};

	ctx.rtt_us = round_trip(t, c, ctx.acked);
	advance(t, c, seg, 0);
	mt_tcp_cc_ack(t, c, &ctx);
}

void mt_tcp_ack_plain(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	if (mt_unlikely(limited(c, mt_tcp_flight(c))))
		ack_limited(t, c, seg);
	else
		advance(t, c, seg, 0);
}

/* Number of bytes that have arrived; its growth is RFC 6937's DeliveredData. */
static uint32_t arrived(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	const struct mt_tcp_loss *l = mt_tcp_loss(t, c);

	if (!(c->flags & MT_CF_SACK))
		return c->snd_una + MT_MIN(c->dup_acks * c->cc.mss, mt_tcp_flight(c));
	return c->snd_una + (l ? l->sacked : 0);
}

/*
 * Processes SACKs and acknowledged bytes, and updates loss recovery before those bytes are freed.
 */
static void take_ack(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg,
	struct mt_ack_ctx *ctx)
{
	uint32_t before = arrived(t, c), sample = 0;
	struct mt_tcp_loss *l;

	if (seg->n_sack && c->flags & MT_CF_SACK && ctx->prior_flight)
		ctx->sacked = mt_tcp_sack_in(t, c, seg);
	l = mt_tcp_loss(t, c);
	if (l && ctx->acked)
		sample = mt_tcp_rack_acked(t, c, l, seg, ctx->acked);
	if (ctx->acked) {
		ctx->rtt_us = round_trip(t, c, ctx->acked);
		advance(t, c, seg, sample);
	}
	/*
	 * Without news there is no walk over the queue: losses that depend on time alone have a
	 * timer.
	 */
	if (l && (ctx->acked || ctx->sacked)) {
		mt_tcp_sack_advance(c, l);
		mt_tcp_rack_sacked(t, c, l, seg, ctx->acked + ctx->sacked);
	}
	if (c->flags & MT_CF_SACK)
		ctx->delivered = arrived(t, c) - before;
	else
		ctx->delivered = ctx->acked ? (mt_seq_gt(seg->ack, before) ? seg->ack - before : 0)
					    : (ctx->dup ? c->cc.mss : 0);
}

static void new_ack_field(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	bool wnd = update_window(c, seg), dsack = false;
	struct mt_tcp_block dup;
	struct mt_ack_ctx ctx = {
		.acked = seg->ack - c->snd_una,
		.prior_flight = mt_tcp_flight(c),
	};

	if (c->snd_wnd == 0 || c->flags & MT_CF_PERSIST)
		c->retries = c->flags & MT_CF_PERSIST && c->snd_wnd == 0 ? c->retries : 0;
	if (seg->n_sack && c->flags & MT_CF_SACK)
		dsack = mt_tcp_dsack_in(c, seg, &dup);
	/* RFC 5681 §2; with SACK only newly reported bytes count (RFC 6675 §2). */
	ctx.dup = !ctx.acked && ctx.prior_flight > 0 && seg->len == 0 &&
		  !(seg->flags & MT_TCP_FIN) && !wnd &&
		  (!(c->flags & MT_CF_SACK) || mt_mutant(MT_BREAK_dup_ack_of_any));
	take_ack(t, c, seg, &ctx);
	ctx.dup = ctx.dup || (!ctx.acked && ctx.sacked);
	mt_tcp_recovery_ack(t, c, seg, &ctx, dsack ? &dup : NULL);
	mt_tcp_recovery_tidy(t, c);
	if (c->flags & MT_CF_FIN_SENT && !(c->flags & MT_CF_FIN_ACKED) && c->snd_una == c->snd_nxt)
		mt_tcp_fin_acked(t, c);
}

/*
 * RFC 5961 §5.2: the oldest ACK number that may still be in flight. Never before the first byte,
 * because no peer can have acknowledged what was never sent.
 */
static uint32_t oldest(const struct mt_tcp_conn *c)
{
	uint64_t acked = c->bytes_out + (c->flags & MT_CF_FIN_ACKED ? 1 : 0);

	return c->snd_una - (uint32_t)MT_MIN((uint64_t)MT_MAX(c->max_wnd, 65535u), acked);
}

bool mt_tcp_ack_ok(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	if (mt_unlikely(c->state == MT_TCP_SYN_RCVD) && !mt_tcp_syn_acked(t, c, seg))
		return false;
	if (mt_seq_gt(seg->ack, c->snd_nxt) && !mt_mutant(MT_MUTANT_ack_of_unsent)) {
		mt_tcp_challenge(t, c, MT_TCP_ack_unsent);
		return false;
	}
	if (mt_seq_lt(seg->ack, oldest(c))) {
		mt_tcp_challenge(t, c, MT_TCP_ack_too_old);
		return false;
	}
	return true;
}

void mt_tcp_ack(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	if (!mt_seq_lt(seg->ack, c->snd_una)) /* otherwise it is late, but its data may be new */
		new_ack_field(t, c, seg);
}
