/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACK field: send window, acknowledged bytes, and what an ACK says about loss (RFC 9293 §3.10.7.4
 * fifth step, RFC 5681 §3.2, RFC 6582, RFC 6675 §5).
 */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

#define DUP_THRESH 3

/*
 * RFC 9293 §3.10.7.4: only a segment that is newer than the last that did may change the window. One
 * that acknowledges new data is, also when it repeats old data of its own: without it the right edge
 * would move by what was acknowledged, past what the peer offers.
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

/* RFC 6298 §3: the timed segment; after a timeout only timestamps tell which copy was answered. */
static uint32_t rtt_of(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	uint64_t ns;

	if (c->rtt_at && mt_seq_geq(seg->ack, c->rtt_seq)) {
		ns = t->now - c->rtt_at;
		c->rtt_at = 0;
		return (uint32_t)MT_MAX(MT_MIN(ns / MT_USEC, 60u * 1000 * 1000), 1u);
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

/* snd_una moves: bytes leave the queue, the timer starts again or stops (RFC 6298 §5.2, §5.3). */
static void advance(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	uint32_t bytes = MT_MIN(seg->ack - c->snd_una, c->tx.len);
	uint32_t rtt = rtt_of(t, c, seg);

	if (rtt)
		mt_tcp_rtt_sample(t, c, rtt);
	else if (c->retries)
		mt_tcp_rto_reset(t, c);
	c->retries = 0;
	c->flags &= ~MT_CF_PERSIST;
	mt_tcp_tx_acked(c, bytes, seg->ack);
	c->at[MT_TCP_AT_RTO] = mt_tcp_flight(c) ? mt_tcp_in(t, c->rto_ms) : 0;
	if (bytes)
		tell_acked(t, c, bytes);
}

static void grow_window(
	struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t acked, uint32_t prior_flight)
{
	struct mt_ack_ctx ctx = {
		.now_ms = t->now_ms,
		.acked = acked,
		.srtt_us = c->srtt_us,
		.prior_flight = prior_flight,
		/* RFC 7661's concern: a window that is not used says nothing about the path. */
		.cwnd_limited = c->flags & MT_CF_CWND_LTD ||
				(c->cc.cwnd < c->cc.ssthresh && prior_flight * 2 > c->cc.cwnd),
	};

	if (ctx.cwnd_limited)
		t->cc->ack(&c->cc, &ctx);
}

void mt_tcp_ack_plain(
	struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t ack, const struct mt_tcp_seg *seg)
{
	uint32_t flight = mt_tcp_flight(c), acked = ack - c->snd_una;

	advance(t, c, seg);
	grow_window(t, c, acked, flight);
}

/* The first outstanding segment counts as lost, whatever the scoreboard says. */
static void lose_first(struct mt_tcp_conn *c, struct mt_tcp_loss *l)
{
	uint32_t to = mt_seq_min(c->snd_una + c->cc.mss, c->snd_nxt);

	if (l->n)
		to = mt_seq_min(to, l->r[0].start);
	if (mt_seq_gt(to, l->lost_to))
		l->lost_to = l->guess = to;
}

static void enter_recovery(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct mt_tcp_loss *l = mt_tcp_loss_get(t, c);

	t->cc->loss(&c->cc, mt_tcp_flight(c));
	c->cc.cwnd = c->cc.ssthresh;
	c->mode = MT_TCP_RECOVERY;
	c->recover = c->snd_nxt;
	l->high_rxt = c->snd_una;
	lose_first(c, l);
	l->owed = true;
	l->rescued = false;
	mt_tcp_note(t, MT_TCP_fast_recoveries);
}

static void leave_recovery(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct mt_tcp_loss *l = mt_tcp_loss(t, c);

	c->mode = MT_TCP_OPEN;
	c->dup_acks = 0;
	if (!l)
		return;
	l->high_rxt = l->lost_to = c->snd_una;
	l->owed = false;
	if (l->n == 0)
		mt_tcp_loss_free(t, c);
}

/*
 * Whether this ACK says that something was lost. Without SACK duplicates that follow a recovery may be
 * the echo of our own retransmissions (RFC 6582 §3.2 step 2).
 */
static bool loss_found(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	const struct mt_tcp_loss *l = mt_tcp_loss(t, c);

	if (mt_tcp_flight(c) == 0)
		return false;
	if (c->flags & MT_CF_SACK) {
		if (l && mt_seq_gt(l->lost_to, c->snd_una))
			return true;
		return c->dup_acks >= DUP_THRESH && mt_seq_geq(c->snd_una, c->recover);
	}
	return c->dup_acks >= DUP_THRESH && mt_seq_gt(c->snd_una, c->recover);
}

/* A partial ACK: the next hole is lost as well (RFC 6582 §3.2 step 3, RFC 6675 §5 (B)). */
static void partial_ack(struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t acked)
{
	struct mt_tcp_loss *l = mt_tcp_loss(t, c);
	uint32_t segs = acked / c->cc.mss;

	if (!(c->flags & MT_CF_SACK)) {
		/* Each acknowledged segment was one that a duplicate ACK stood for, but the first. */
		c->dup_acks = (uint8_t)(c->dup_acks > segs ? c->dup_acks - segs : 0);
		l->high_rxt = c->snd_una;
		l->owed = true;
	}
	lose_first(c, l);
}

static void recovery(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_ack_ctx *ctx)
{
	if (ctx->acked && c->mode != MT_TCP_OPEN && mt_seq_geq(c->snd_una, c->recover)) {
		leave_recovery(t, c);
		return;
	}
	switch (c->mode) {
	case MT_TCP_OPEN:
		if (ctx->acked) {
			c->dup_acks = 0;
			grow_window(t, c, ctx->acked, ctx->prior_flight);
		} else if (ctx->dup && c->dup_acks < UINT8_MAX) {
			c->dup_acks++;
		}
		if (loss_found(t, c))
			enter_recovery(t, c);
		break;
	case MT_TCP_RECOVERY:
		if (ctx->acked)
			partial_ack(t, c, ctx->acked);
		else if (ctx->dup && c->dup_acks < UINT8_MAX)
			c->dup_acks++;
		break;
	default: /* MT_TCP_LOSS: slow start over what was lost */
		if (ctx->acked)
			grow_window(t, c, ctx->acked, ctx->prior_flight);
	}
}

/* An idle scoreboard is given back. */
static void tidy(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct mt_tcp_loss *l = mt_tcp_loss(t, c);

	if (!l)
		return;
	mt_tcp_sack_advance(c, l);
	if (c->mode == MT_TCP_OPEN && l->n == 0)
		mt_tcp_loss_free(t, c);
}

static bool new_ack_field(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	bool wnd = update_window(c, seg);
	struct mt_ack_ctx ctx = {
		.acked = seg->ack - c->snd_una,
		.prior_flight = mt_tcp_flight(c),
	};

	if (c->snd_wnd == 0 || c->flags & MT_CF_PERSIST)
		c->retries = c->flags & MT_CF_PERSIST && c->snd_wnd == 0 ? c->retries : 0;
	if (seg->n_sack && c->flags & MT_CF_SACK && ctx.prior_flight)
		ctx.sacked = mt_tcp_sack_in(t, c, seg);
	if (ctx.acked)
		advance(t, c, seg);
	ctx.dup = !ctx.acked && ctx.prior_flight > 0 &&
		  (ctx.sacked || (seg->len == 0 && !(seg->flags & MT_TCP_FIN) && !wnd));
	tidy(t, c);
	recovery(t, c, &ctx);
	tidy(t, c);
	if (c->flags & MT_CF_FIN_SENT && !(c->flags & MT_CF_FIN_ACKED) && c->snd_una == c->snd_nxt)
		mt_tcp_fin_acked(t, c);
	return true;
}

bool mt_tcp_ack(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	if (mt_unlikely(c->state == MT_TCP_SYN_RCVD) && !mt_tcp_syn_acked(t, c, seg))
		return false;
	if (mt_seq_gt(seg->ack, c->snd_nxt) && !mt_mutant(MT_MUTANT_ack_of_unsent)) {
		mt_tcp_challenge(t, c, MT_TCP_ack_unsent);
		return false;
	}
	/* RFC 5961 §5.2 */
	if (mt_seq_lt(seg->ack, c->snd_una - MT_MAX(c->max_wnd, 65535u))) {
		mt_tcp_challenge(t, c, MT_TCP_ack_too_old);
		return false;
	}
	if (mt_seq_lt(seg->ack, c->snd_una))
		return true; /* late, but its data may be new */
	return new_ack_field(t, c, seg);
}
