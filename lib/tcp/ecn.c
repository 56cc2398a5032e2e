/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explicit congestion notification (RFC 3168): negotiated by the SYNs. Then ECE echoes a packet
 * marked by a router until the sender reports that it has reduced its window.
 */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

#define ECN_FLAGS (MT_TCP_ECE | MT_TCP_CWR)

bool mt_tcp_ecn_wanted(const struct mt_tcp *t, const struct mt_tcp_seg *syn)
{
	return t->conf.ecn != MT_TCP_ECN_OFF && (syn->flags & ECN_FLAGS) == ECN_FLAGS;
}

/*
 * §6.1.1.1: a retransmitted SYN does not request ECN, as something on the path may drop such SYNs.
 * Until the answer comes MT_CF_CWR means that ECN was requested.
 */
uint8_t mt_tcp_ecn_ask(const struct mt_tcp *t, struct mt_tcp_conn *c)
{
	c->flags &= ~MT_CF_CWR;
	if (t->conf.ecn != MT_TCP_ECN_ASK || c->retries)
		return 0;
	c->flags |= MT_CF_CWR;
	return ECN_FLAGS;
}

void mt_tcp_ecn_answered(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	bool agreed = c->flags & MT_CF_CWR && (seg->flags & ECN_FLAGS) == MT_TCP_ECE;

	c->flags &= ~MT_CF_CWR;
	if (!agreed)
		return;
	c->flags |= MT_CF_ECN;
	mt_tcp_note(t, MT_TCP_ecn_agreed);
}

/* §6.1.2: like one loss, but without a retransmission; at most once per round trip. */
static void slow_down(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct mt_tcp_loss *l = mt_tcp_loss_get(t, c);

	if (c->mode == MT_TCP_OPEN && !mt_mutant(MT_BREAK_ecn_not_slowed)) {
		t->cc->loss(&c->cc, mt_tcp_flight(c));
		c->cc.cwnd = c->cc.ssthresh;
		l->can_undo =
			false; /* the cwnd before an earlier loss must not be restored any more */
		mt_tcp_note(t, MT_TCP_ecn_slowed);
	}
	if (!l->cwr)
		c->flags |= MT_CF_CWR;
	l->cwr = true;
	l->cwr_end = c->snd_nxt;
}

void mt_tcp_ecn_in(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	struct mt_tcp_loss *l = mt_tcp_loss(t, c);

	if (l && l->cwr && mt_seq_geq(seg->ack, l->cwr_end))
		l->cwr = false;
	if (seg->flags & MT_TCP_CWR || mt_mutant(MT_BREAK_ecn_echoed_once))
		c->flags &= ~MT_CF_ECE;
	if (seg->has & MT_TCP_HAS_CE && seg->len > 0) {
		c->flags |= MT_CF_ECE | MT_CF_ACK_NOW;
		mt_tcp_note(t, MT_TCP_ecn_marked);
	}
	if (seg->flags & MT_TCP_ECE && mt_tcp_flight(c) &&
		(!l || !l->cwr || mt_mutant(MT_BREAK_ecn_slowed_twice)))
		slow_down(t, c);
}
