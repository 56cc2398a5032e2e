/* SPDX-License-Identifier: Apache-2.0 */
/* Retransmission of lost data (RFC 6675 §4 NextSeg() rule 1, RFC 8985 §6.2, RFC 6298 §5.4). */
#include "mt_mutant.h"
#include "mt_tcp_out_priv.h"

/*
 * Position of `seq`: searched from the first lost buffer if that is before it, otherwise from the
 * head.
 */
static struct mt_tcp_place find(
	const struct mt_tcp_conn *c, const struct mt_tcp_loss *l, uint32_t seq)
{
	struct mt_tcp_place p = {c->tx.head, mt_link(c->tx.head)->off};
	uint32_t from = c->snd_una;

	if (l->todo && mt_seq_leq(l->todo_seq, seq)) {
		p = (struct mt_tcp_place){l->todo, mt_link(l->todo)->off};
		from = l->todo_seq;
	}
	mt_tcp_place_move(&p, seq - from);
	mt_tcp_place_normalize(&p);
	return p;
}

/* Sends a run again, at most one segment. Returns the sequence space sent, 0 for nothing. */
static uint32_t resend(struct mt_tcp_out *o, struct mt_tcp_loss *l, uint32_t seq, uint32_t len)
{
	struct mt_tcp_conn *c = o->c;
	uint32_t data = mt_tcp_data_end(c) - seq;
	struct mt_tcp_place p;
	uint8_t flags = 0;

	/* The last sequence number may be the FIN's. */
	if ((int32_t)data <= 0 && mt_mutant(MT_MUTANT_lost_fin))
		return 1;
	if ((int32_t)data <= 0)
		return mt_tcp_send_segment(o, seq, NULL, 0, MT_TCP_FIN) ? 1 : 0;
	p = find(c, l, seq);
	len = mt_tcp_cut(o, &p, MT_MIN(len, data));
	if (len == data) {
		flags = MT_TCP_PSH;
		if (c->flags & MT_CF_FIN_SENT)
			flags |= MT_TCP_FIN;
	}
	if (!mt_tcp_send_segment(o, seq, &p, len, flags))
		return 0;
	return len + (flags & MT_TCP_FIN ? 1 : 0);
}

uint32_t mt_tcp_resend_run(struct mt_tcp_out *o, struct mt_tcp_loss *l, uint32_t seq, uint32_t len)
{
	struct mt_tcp_conn *c = o->c;
	uint32_t sent = resend(o, l, seq, len);

	if (!sent)
		return 0;
	c->rtt_at = 0; /* Karn: an answer may be to either copy */
	c->retransmits++;
	mt_tcp_note(o->t, MT_TCP_retransmits);
	mt_tcp_resent(o->t, c, l, seq, sent);
	mt_tcp_start_rto(o);
	return sent;
}

/* NextSeg rule 1: data that is lost and was not sent again yet. */
void mt_tcp_resend_lost(struct mt_tcp_out *o, struct mt_tcp_loss *l)
{
	struct mt_tcp_conn *c = o->c;
	uint32_t seq, len, sent;

	while (l->lost && mt_tcp_next_lost(c, l, o->mss, &seq, &len)) {
		if (!l->owed && mt_tcp_pipe(o->t, c) + MT_MIN(len, o->mss) > c->cc.cwnd)
			return;
		sent = mt_tcp_resend_run(o, l, seq, len);
		if (!sent)
			return;
		l->owed = false;
		l->prr_out += sent;
		l->undo_left += sent;
		if (!l->undo_sent) {
			l->undo_sent = true;
			l->undo_ts = mt_tcp_ts_now(o->t, c->ts_off);
		}
	}
	l->owed = false;
}
