/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes: the tail loss probe (RFC 8985 §7.3), the probe of a closed window (RFC 9293 §3.8.6.1),
 * the keep-alive (§3.8.4); and the persist timer.
 */
#include "mt_mutant.h"
#include "mt_tcp_out_priv.h"

#define PERSIST_MAX_MS 60000u
/* The longest time to the next probe after an unanswered one. */
#define PERSIST_LOST_MS 15000u

/* Sends the last segment again: the sent part of the buffer of snd_nxt, or a segment's worth. */
static bool resend_tail(struct mt_tcp_out *o, struct mt_tcp_loss *l)
{
	struct mt_tcp_conn *c = o->c;
	uint32_t n = c->nxt_seg ? c->nxt_off - mt_link(c->nxt_seg)->off : 0;

	n = MT_MIN(n ? n : o->mss, o->mss) + (c->flags & MT_CF_FIN_SENT ? 1 : 0);
	n = MT_MIN(n, mt_tcp_flight(c));
	return mt_tcp_resend_run(o, l, c->snd_nxt - n, n) > 0;
}

/*
 * TLP_send_probe(), RFC 8985 §7.3: new data regardless of cwnd, otherwise the last segment again.
 */
void mt_tcp_tail_probe(struct mt_tcp_out *o, struct mt_tcp_loss *l)
{
	struct mt_tcp_conn *c = o->c;
	uint32_t unsent = mt_tcp_data_end(c) - c->snd_nxt, flight = mt_tcp_flight(c);
	uint32_t len = MT_MIN(unsent, o->mss), nxt = c->snd_nxt;
	bool again;

	c->flags &= ~MT_CF_TLP_DUE;
	if (flight == 0)
		return;
	again = !mt_tcp_may_send(c) || len == 0 || flight + len > c->snd_wnd;
	if (again && !resend_tail(o, l))
		return;
	if (!again)
		mt_tcp_send_one_new(o, len);
	if (!again && c->snd_nxt == nxt)
		return;
	l->tlp = true;
	l->tlp_again = again;
	l->tlp_end = c->snd_nxt;
	c->flags &= ~MT_CF_RTO_KIND;
	c->at[MT_TCP_AT_RTO] = mt_tcp_in(o->t, c->rto_ms);
	mt_tcp_note(o->t, MT_TCP_tail_probes);
}

/*
 * Time to the next window probe. It doubles up to a minute, whether or not the peer answers. After
 * an unanswered probe it is at most PERSIST_LOST_MS: at one probe a minute, two losses in a row
 * would look like a dead peer (SILENCE_MAX_MS of timer.c).
 */
static uint32_t persist_ms(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	uint32_t ms = MT_MIN(c->rto_ms << MT_MIN(c->retries, 9), PERSIST_MAX_MS);
	bool lost = t->now_ms - c->rcvd_ms > ms + ms / 2;

	return lost ? MT_MIN(ms, PERSIST_LOST_MS) : ms;
}

/* Runs the persist timer while only the peer's window prevents sending (RFC 9293 §3.8.6.1). */
void mt_tcp_persist(struct mt_tcp_out *o)
{
	struct mt_tcp_conn *c = o->c;

	if (mt_tcp_flight(c) || c->flags & MT_CF_PERSIST || mt_mutant(MT_MUTANT_no_probe))
		return;
	c->flags |= MT_CF_PERSIST;
	if (c->snd_wnd == 0 && c->retries == 0 && c->zero_windows < UINT16_MAX)
		c->zero_windows++;
	c->at[MT_TCP_AT_RTO] = mt_tcp_in(o->t, persist_ms(o->t, c));
}

/*
 * Sends a segment from before the window: the peer must answer with its ACK and window (RFC 9293
 * §3.8.4). On a path in doubt it sends the first unacknowledged octet again: Linux answers that at
 * once, but probes without data only twice a second.
 */
void mt_tcp_send_probe(struct mt_tcp_out *o)
{
	struct mt_tcp_conn *c = o->c;
	bool octet = mt_tcp_octet_goes(c);
	struct mt_tcp_place first = {c->tx.head, octet ? mt_link(c->tx.head)->off : 0};

	if (!mt_tcp_send_segment(
		    o, octet ? c->snd_una : c->snd_una - 1, octet ? &first : NULL, octet, 0))
		return;
	c->flags &= ~MT_CF_PROBE_DUE;
	mt_tcp_note(o->t, MT_TCP_probes);
}
