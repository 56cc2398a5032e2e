/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ends of a connection: FIN in both directions, abort, detach (RFC 9293 §3.6, §3.10.4,
 * §3.10.7.4).
 */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

/* Time limit for a detached connection to deliver its queue and receive the peer's FIN. */
#define DETACHED_MS 60000
/*
 * Delay from the peer's ACK of the FIN to the RST for data that came after the user stopped
 * reading. The peer's application may not have read all bytes in its receive buffer, and some TCP
 * stacks discard those on a RST.
 */
#define LATE_MS 100

void mt_tcp_ended(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	mt_tcp_conn_end(t, c);
	mt_tcp_loss_free(t, c);
	if (c->flags & MT_CF_DETACHED) {
		mt_tcp_conn_dead(t, c);
		return;
	}
	c->flags |= MT_CF_ENDED;
	c->reason = MT_CLOSE_OK;
	/* The user still owns bytes that it has not consumed: closed() waits for them. */
	if (c->s.rx.len == 0)
		mt_tcp_event(t, c, MT_EV_CLOSED);
}

/* Eighth step: the peer's FIN is in sequence. */
void mt_tcp_fin_in(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	c->rcv_nxt++;
	c->s.rx_eof = true;
	c->fin_una = c->snd_una;
	c->flags |= mt_mutant(MT_BREAK_fin_ack_delayed) ? MT_CF_ACK_DELAY : MT_CF_ACK_NOW;
	mt_tcp_ooo_free(t, c);
	mt_tcp_event(t, c, MT_EV_EOF);
	switch (c->state) {
	case MT_TCP_ESTABLISHED:
		c->state = MT_TCP_CLOSE_WAIT;
		mt_tcp_keep_start(t, c);
		if (mt_mutant(MT_BREAK_close_wait_skipped))
			mt_tcp_shutdown(&c->s);
		break;
	case MT_TCP_FIN_WAIT_1:
		/* this side's FIN is not acknowledged: simultaneous close */
		c->state = MT_TCP_CLOSING;
		if (mt_mutant(MT_BREAK_closing_skipped))
			mt_tcp_tw_enter(t, c);
		break;
	case MT_TCP_FIN_WAIT_2:
		mt_tcp_tw_enter(t, c);
		break;
	}
}

void mt_tcp_fin_sent(struct mt_tcp_conn *c)
{
	c->flags |= MT_CF_FIN_SENT;
	if (c->state == MT_TCP_ESTABLISHED)
		c->state = MT_TCP_FIN_WAIT_1;
	else if (c->state == MT_TCP_CLOSE_WAIT)
		c->state = MT_TCP_LAST_ACK;
}

/*
 * RFC 9293 §3.6.1: a side that has closed and receives more data resets, to show that data was
 * lost; but not before the peer has this side's bytes.
 */
static void reset_late(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	const uint32_t when = MT_CF_DETACHED | MT_CF_REFUSED;

	if ((c->flags & when) == when && c->state == MT_TCP_FIN_WAIT_2)
		c->at[MT_TCP_AT_LIMIT] = mt_tcp_in(t, LATE_MS);
}

void mt_tcp_fin_acked(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	c->flags |= MT_CF_FIN_ACKED;
	switch (c->state) {
	case MT_TCP_FIN_WAIT_1:
		c->state = MT_TCP_FIN_WAIT_2;
		reset_late(t, c);
		break;
	case MT_TCP_CLOSING:
		mt_tcp_tw_enter(t, c);
		break;
	case MT_TCP_LAST_ACK:
		c->flags &= ~MT_CF_ACK_NOW; /* the peer needs no further ACK */
		mt_tcp_ended(t, c);
		break;
	}
}

void mt_tcp_shutdown(struct mt_stream *s)
{
	if (s->tx_shut)
		return;
	mt_tcp_cell(mt_tcp_conn_of(s)->state, MT_TCP_CELL_SHUTDOWN);
	s->tx_shut = true;
	mt_tcp_mark(mt_tcp_of(s), mt_tcp_conn_of(s));
}

/* RFC 9293 §3.10.5: no RST is needed before the handshake, or when both ends have closed. */
static bool owes_reset(const struct mt_tcp_conn *c)
{
	return c->state != MT_TCP_CLOSED && c->state != MT_TCP_SYN_SENT &&
	       c->state != MT_TCP_CLOSING && c->state != MT_TCP_LAST_ACK;
}

/* Counts aborts with a RST by reason. */
static void count_abort(struct mt_tcp *t, enum mt_abort_reason why)
{
	static const enum mt_tcp_outcome rows[MT_ABORT_N_REASONS] = {
		[MT_ABORT_CANCELLED] = MT_TCP_aborts_cancelled,
		[MT_ABORT_PROTOCOL] = MT_TCP_aborts_protocol,
		[MT_ABORT_SLOW] = MT_TCP_aborts_slow,
		[MT_ABORT_RELAYED] = MT_TCP_aborts_relayed,
	};

	mt_tcp_note(t, rows[why]);
}

void mt_tcp_abort(struct mt_stream *s, enum mt_abort_reason why)
{
	struct mt_tcp *t = mt_tcp_of(s);
	struct mt_tcp_conn *c = mt_tcp_conn_of(s);

	mt_tcp_cell(c->state, MT_TCP_CELL_ABORT);
	if (owes_reset(c) && !mt_mutant(MT_BREAK_abort_silent)) {
		c->flags |= MT_CF_RST_DUE;
		count_abort(t, why);
		mt_tcp_mark(t, c);
	}
	c->flags &= ~(MT_CF_ACK_NOW | MT_CF_SYN_DUE | MT_CF_PROBE_DUE);
	mt_tcp_conn_dead(t, c);
}

uint32_t mt_tcp_reset_all(struct mt_tcp *t, uint32_t *idx, uint32_t budget)
{
	struct mt_tcp_conn *c;
	uint32_t n = 0;

	while (n < budget && (c = mt_slab_next(&t->conns, idx))) {
		if (c->flags & MT_CF_DEAD)
			continue;
		n += c->state != MT_TCP_CLOSED && c->state != MT_TCP_SYN_SENT;
		mt_tcp_abort(&c->s, MT_ABORT_CANCELLED);
	}
	return n;
}

bool mt_tcp_owes(const struct mt_tcp *t)
{
	const struct mt_tcp_conn *c;
	uint32_t idx = 0;

	while ((c = mt_slab_next(&t->conns, &idx)))
		if (c->flags & MT_CF_DETACHED && !(c->flags & MT_CF_DEAD) && c->tx.len > 0)
			return true;
	return false;
}

bool mt_tcp_lingers(const struct mt_tcp *t)
{
	const uint32_t when = MT_CF_DETACHED | MT_CF_REFUSES;
	const struct mt_tcp_conn *c;
	uint32_t idx = 0;

	while ((c = mt_slab_next(&t->conns, &idx)))
		if ((c->flags & (when | MT_CF_DEAD)) == when && owes_reset(c))
			return true;
	return false;
}

void mt_tcp_detach(struct mt_stream *s)
{
	struct mt_tcp *t = mt_tcp_of(s);
	struct mt_tcp_conn *c = mt_tcp_conn_of(s);

	mt_tcp_cell(c->state, MT_TCP_CELL_DETACH);
	c->flags |= MT_CF_DETACHED;
	s->user = &mt_tcp_user_none;
	s->keeps = false;
	c->events = 0;
	mt_chain_free(&s->rx);
	s->rx_kept = 0;
	if (c->state == MT_TCP_CLOSED || c->state == MT_TCP_SYN_SENT) {
		mt_tcp_conn_dead(t, c);
		return;
	}
	c->at[MT_TCP_AT_LIMIT] = mt_tcp_in(t, DETACHED_MS);
	mt_tcp_consumed(s);
	mt_tcp_shutdown(s);
	mt_tcp_mark(t, c);
}

void mt_tcp_refuse(struct mt_stream *s, uint32_t words)
{
	struct mt_tcp *t = mt_tcp_of(s);
	struct mt_tcp_conn *c = mt_tcp_conn_of(s);

	if (s->rx_eof || c->flags & MT_CF_REFUSES)
		return;
	c->flags |= MT_CF_REFUSES;
	c->words = words;
	if (!c->ooo)
		return;
	mt_tcp_ooo_free(t, c); /* none of it is acknowledged */
	mt_tcp_mark(t, c);     /* its holdings are settled again */
}

bool mt_tcp_refuses(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	if (seg->len == 0)
		return false;
	if (seg->len <= c->words && seg->seq == c->rcv_nxt) {
		c->words -= seg->len;
		return false;
	}
	mt_tcp_note(t, MT_TCP_late_refused);
	if (!(c->flags & MT_CF_REFUSED)) {
		c->flags |= MT_CF_REFUSED;
		reset_late(t, c);
	}
	return true;
}
