/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reaction to loss: recovery with PRR (RFC 6937), the tail loss probe (RFC 8985 §7), and undo of
 * the response when nothing was lost, detected by timestamps (Eifel, RFC 3522, RFC 4015) or by
 * D-SACK.
 */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

#define DUP_THRESH 3
/* §7.2 specifies 2 * SRTT; timers tick in ms. */
#define PTO_SLACK_MS 2

void mt_tcp_undo_save(struct mt_tcp_conn *c, struct mt_tcp_loss *l)
{
	l->can_undo = true;
	l->undo_sent = false;
	l->undo_first = c->flags & MT_CF_TS;
	l->undo_una = c->snd_una;
	l->undo_until = c->snd_nxt;
	l->undo_left = 0;
	l->undo_cc = c->cc;
}

void mt_tcp_recovery_enter(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct mt_tcp_loss *l = mt_tcp_loss_get(t, c);
	uint32_t flight = mt_tcp_flight(c);

	mt_tcp_undo_save(c, l);
	t->cc->loss(&c->cc, flight);
	c->mode = MT_TCP_RECOVERY;
	c->recover = c->snd_nxt;
	l->tlp = false;
	l->prr = true;
	l->prr_delivered = l->prr_out = 0;
	l->prr_flight = MT_MAX(flight, 1u);
	l->owed = true; /* RFC 6937 §3.1: the fast retransmit */
	mt_tcp_note(t, MT_TCP_fast_recoveries);
}

static void leave(struct mt_tcp_conn *c, struct mt_tcp_loss *l)
{
	if (c->mode == MT_TCP_RECOVERY && l->prr)
		c->cc.cwnd = c->cc.ssthresh;
	c->mode = MT_TCP_OPEN;
	c->dup_acks = 0;
	l->owed = l->prr = false;
	l->undo_until = c->snd_nxt;
	if (c->reo_persist && --c->reo_persist == 0)
		c->reo_mult = 0;
}

/*
 * Nothing was lost: restores the state before, except that the path is now known to reorder (RFC
 * 4015 §3).
 */
static void undo(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l)
{
	uint32_t cwnd = MT_MAX(c->cc.cwnd, l->undo_cc.cwnd), mss = c->cc.mss;

	l->can_undo = false;
	if (mt_mutant(MT_MUTANT_undo_missing))
		return;
	c->flags |= MT_CF_REORDERED;
	c->cc = l->undo_cc;
	c->cc.cwnd = cwnd;
	c->cc.mss = mss;
	l->prr = false;
	if (c->mode != MT_TCP_OPEN) {
		mt_tcp_unlose(c, l);
		leave(c, l);
	}
	mt_tcp_note(t, MT_TCP_undone);
}

/* The first ACK that moves snd_una after a retransmission: checks which copy it answers. */
static void eifel(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l,
	const struct mt_tcp_seg *seg)
{
	if (!l->can_undo || !l->undo_first || !l->undo_sent)
		return;
	l->undo_first = false;
	if (seg->has & MT_TCP_HAS_TS && mt_seq_lt(seg->tsecr, l->undo_ts))
		undo(t, c, l);
}

/* If each retransmission was reported as a duplicate, none was needed. */
static void dsack(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l,
	const struct mt_tcp_block *dup)
{
	uint32_t n = dup->end - dup->start;

	mt_tcp_rack_dsack(c, l);
	if (l->tlp && l->tlp_again && dup->end == l->tlp_end)
		l->tlp = false; /* §7.4.2: the probe was not needed */
	if (!l->can_undo || !l->undo_sent || mt_seq_lt(dup->start, l->undo_una))
		return;
	l->undo_left -= MT_MIN(n, l->undo_left);
	if (l->undo_left == 0)
		undo(t, c, l);
}

/* §7.4.2: a loss that the probe repaired counts like any other. */
static void tlp_ack(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l,
	const struct mt_ack_ctx *ctx)
{
	if (!l->tlp || mt_seq_lt(c->snd_una, l->tlp_end))
		return;
	if (l->tlp_again && mt_seq_gt(c->snd_una, l->tlp_end)) {
		t->cc->loss(&c->cc, ctx->prior_flight);
		c->cc.cwnd = c->cc.ssthresh;
	} else if (l->tlp_again && !ctx->dup) {
		return; /* the next ACK decides */
	}
	l->tlp = false;
}

/* RFC 6937 §3, with the safe variant of the lower bound. */
static void prr(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l,
	const struct mt_ack_ctx *ctx)
{
	uint32_t pipe = mt_tcp_pipe(t, c), ssthresh = c->cc.ssthresh;
	int64_t send;

	l->prr_delivered += ctx->delivered;
	if (pipe > ssthresh) {
		send = ((int64_t)l->prr_delivered * ssthresh + l->prr_flight - 1) / l->prr_flight -
		       l->prr_out;
	} else {
		int64_t limit =
			MT_MAX((int64_t)l->prr_delivered - l->prr_out, (int64_t)ctx->delivered);

		if (ctx->acked && l->lost == 0)
			limit += c->cc.mss;
		send = MT_MIN((int64_t)ssthresh - pipe, limit);
	}
	c->cc.cwnd = pipe + (uint32_t)MT_MAX(send, (int64_t)0);
}

/*
 * True if this ACK indicates a loss. Without SACK, duplicate ACKs that follow a recovery may be
 * caused by its retransmissions (RFC 6582 §3.2 step 2).
 */
static bool loss_found(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	const struct mt_tcp_loss *l = mt_tcp_loss(t, c);

	if (mt_tcp_flight(c) == 0)
		return false;
	if (l && l->lost)
		return true;
	if (c->dup_acks < DUP_THRESH)
		return false;
	if (c->flags & MT_CF_SACK) /* a peer that negotiated SACK but reports nothing */
		return !(l && l->n) && mt_seq_geq(c->snd_una, c->recover);
	return mt_seq_gt(c->snd_una, c->recover);
}

/* A partial ACK without SACK: the next segment is lost as well (RFC 6582 §3.2 step 3). */
static void partial_ack(
	struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l, uint32_t acked)
{
	uint32_t segs = acked / c->cc.mss;

	if (c->flags & MT_CF_SACK && l->n)
		return;
	/* Each acknowledged segment, except the first, had one duplicate ACK. */
	c->dup_acks = (uint8_t)(c->dup_acks > segs ? c->dup_acks - segs : 0);
	l->owed = true;
	mt_tcp_lose_first(t, c, l);
}

static void open(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_ack_ctx *ctx, bool left)
{
	struct mt_tcp_loss *l;

	if (ctx->acked) {
		c->dup_acks = 0;
		if (!left)
			mt_tcp_cc_ack(t, c, ctx);
	} else if (ctx->dup && c->dup_acks < UINT8_MAX) {
		c->dup_acks++;
	}
	if (!loss_found(t, c))
		return;
	mt_tcp_recovery_enter(t, c);
	l = mt_tcp_loss(t, c);
	if (l->lost == 0)
		mt_tcp_lose_first(t, c, l);
	prr(t, c, l, ctx);
}

/* Processes what needs the loss record; true if this ACK ended recovery. */
static bool episode(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg,
	const struct mt_ack_ctx *ctx, const struct mt_tcp_block *dup)
{
	struct mt_tcp_loss *l = mt_tcp_loss(t, c);
	uint8_t mode = c->mode;

	if (!l)
		return false;
	if (ctx->acked)
		eifel(t, c, l, seg);
	if (ctx->acked && l->hole_mss)
		mt_tcp_black_hole_over(t, c, l, c->mode != MT_TCP_OPEN);
	if (dup)
		dsack(t, c, l, dup);
	tlp_ack(t, c, l, ctx);
	if (c->mode != MT_TCP_OPEN && ctx->acked && mt_seq_geq(c->snd_una, c->recover))
		leave(c, l);
	return c->mode != mode;
}

void mt_tcp_recovery_ack(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg,
	struct mt_ack_ctx *ctx, const struct mt_tcp_block *dup)
{
	bool left = episode(t, c, seg, ctx, dup);
	struct mt_tcp_loss *l = mt_tcp_loss(t, c);

	if (dup)
		mt_tcp_note(t, MT_TCP_dsacks_in);
	switch (c->mode) {
	case MT_TCP_OPEN:
		open(t, c, ctx, left);
		break;
	case MT_TCP_RECOVERY:
		if (ctx->acked)
			partial_ack(t, c, l, ctx->acked);
		else if (ctx->dup && c->dup_acks < UINT8_MAX)
			c->dup_acks++;
		if (l->prr)
			prr(t, c, l, ctx);
		break;
	default: /* MT_TCP_LOSS: slow start over the lost data */
		if (ctx->acked)
			mt_tcp_cc_ack(t, c, ctx);
	}
}

void mt_tcp_recovery_tidy(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct mt_tcp_loss *l = mt_tcp_loss(t, c);

	if (!l)
		return;
	/*
	 * Nothing is in flight: clear the RACK timestamp, which compares as newer after half a wrap
	 * of the us clock.
	 */
	if (mt_tcp_flight(c) == 0)
		l->rack_set = false;
	if (c->mode != MT_TCP_OPEN || l->n || l->lost || l->tlp || l->cwr)
		return;
	if (c->flags & MT_CF_SACK && l->can_undo && l->undo_sent &&
		mt_seq_leq(c->snd_una, l->undo_until))
		return; /* a D-SACK may still come */
	if (c->flags & MT_CF_REO) {
		c->flags &= ~MT_CF_REO;
		c->at[MT_TCP_AT_RTO] = l->rto_at;
	}
	mt_tcp_loss_free(t, c);
}

void mt_tcp_pto_start(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	const struct mt_tcp_loss *l = mt_tcp_loss(t, c);
	uint32_t pto = c->srtt_us / 500 + PTO_SLACK_MS;

	if (!(c->flags & MT_CF_SACK) || c->mode != MT_TCP_OPEN || c->srtt_us == 0 ||
		(l && (l->n || l->tlp)) || pto >= c->rto_ms)
		return;
	c->at[MT_TCP_AT_RTO] = mt_tcp_in(t, pto);
	c->flags |= MT_CF_TLP;
}

void mt_tcp_pto_timeout(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	mt_tcp_cell(c->state, MT_TCP_CELL_TLP);
	c->flags &= ~MT_CF_TLP;
	/* §7.3: the timeout remains as the last resort */
	c->at[MT_TCP_AT_RTO] = mt_tcp_in(t, c->rto_ms);
	if (c->mode == MT_TCP_OPEN) {
		/* flush checks for due probes only if there is a loss record */
		mt_tcp_loss_get(t, c);
		c->flags |= MT_CF_TLP_DUE;
	}
	mt_tcp_mark(t, c);
}
