/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment arrival in synchronized states, step by step as RFC 9293 §3.10.7.4, with RFC 5961 and
 * 7323.
 */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

#include <rte_mbuf.h>

/* At most one such answer per connection in this time, so that two confused ends cannot loop. */
#define CHALLENGE_MS 50
/* Payloads up to this size are copied together when much is pinned already. */
#define SPARSE_MAX 1400
/* Payloads up to this size are still accepted when memory is nearly exhausted. */
#define PRESSED_MAX 256
/* RFC 7323 §5.5: ts_recent is outdated after this; the timestamp clock wraps in 49.7 days. */
#define PAWS_IDLE_MS (24u * 24 * 3600 * 1000)
#define TS_FAR	     (UINT32_C(1) << 30) /* a quarter of the timestamp clock's range */

void mt_tcp_challenge(struct mt_tcp *t, struct mt_tcp_conn *c, enum mt_tcp_outcome why)
{
	mt_tcp_note(t, why);
	if (t->now_ms - c->oow_ms < CHALLENGE_MS && !mt_mutant(MT_BREAK_challenge_unlimited)) {
		mt_tcp_note(t, MT_TCP_challenges_withheld);
		return;
	}
	c->oow_ms = t->now_ms;
	c->flags |= MT_CF_ACK_NOW;
	mt_tcp_note(t, MT_TCP_challenge_acks);
}

/* RFC 7323 §5.3 R1. A RST is never rejected for its timestamp (§5.2). */
static bool paws_refuses(
	const struct mt_tcp *t, const struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	if (!(c->flags & MT_CF_TS) ||
		(seg->flags & MT_TCP_RST && !mt_mutant(MT_BREAK_paws_of_rst)) ||
		mt_mutant(MT_BREAK_paws_off))
		return false;
	return mt_seq_lt(seg->tsval, c->ts_recent) &&
	       (t->now_ms - c->rcvd_ms < PAWS_IDLE_MS || mt_mutant(MT_BREAK_paws_for_ever));
}

/*
 * First step: true if part of the segment is in the window. An empty segment at the right edge is
 * accepted too: the peer filled the window, the data was lost, but its ACK is valid.
 */
static bool acceptable(const struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	uint32_t wnd = mt_tcp_rcv_wnd(c);
	uint32_t len = seg->len + (seg->flags & MT_TCP_FIN ? 1 : 0);
	uint32_t edge = c->rcv_nxt + wnd;

	if (seg->flags &
		MT_TCP_RST) /* RFC 5961 §3.2: only its number counts; its payload is dropped */
		len = 0;
	if (len == 0)
		return mt_seq_geq(seg->seq, c->rcv_nxt) && mt_seq_leq(seg->seq, edge);
	if (wnd == 0)
		return false;
	return mt_seq_lt(seg->seq, edge) && mt_seq_gt(seg->seq + len, c->rcv_nxt);
}

/* Fifth step: the ACK field. */
static void ack_field(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	if (!mt_tcp_ack_ok(t, c, seg))
		return;
	c->rcvd_ms = t->now_ms; /* the peer is alive, even if the local window is closed */
	mt_tcp_ack(t, c, seg);
}

/*
 * True for an ACK whose sequence number is after the byte with which the peer probed the closed
 * local window, and which was not accepted.
 */
static bool behind_probe(const struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	return seg->len == 0 && seg->seq == c->rcv_nxt + 1 && mt_tcp_rcv_wnd(c) == 0 &&
	       !(seg->flags & (MT_TCP_SYN | MT_TCP_FIN));
}

/*
 * Stores the timestamp (RFC 7323 §4.3), but only with an ACK that the peer can send now. Otherwise
 * an attacker who guessed a sequence number, but no ACK, could set a timestamp far ahead, and PAWS
 * would reject all segments of the peer.
 */
static void keep_timestamp(struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	if (mt_seq_lt(seg->ack, c->snd_una))
		return;
	if (mt_seq_leq(seg->seq, c->last_ack) || mt_mutant(MT_BREAK_ts_recent_of_any))
		c->ts_recent = seg->tsval;
}

/*
 * True for a keep-alive of the peer, or its probe of the local window: it repeats the octet before
 * rcv_nxt (RFC 9293 §3.8.4).
 */
static bool is_keepalive(const struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	return seg->len <= 1 && seg->seq == c->rcv_nxt - 1 && seg->flags & MT_TCP_ACK &&
	       !(seg->flags & (MT_TCP_SYN | MT_TCP_FIN)) && mt_seq_geq(seg->ack, c->snd_una) &&
	       mt_seq_leq(seg->ack, c->snd_nxt);
}

/*
 * Records that the peer is alive. RFC 7323 §4.3 ignores the timestamp of a segment before the
 * window. One that is a quarter of the clock's range ahead is stored: after 24 days of keep-alives
 * PAWS would otherwise reject the peer, whose clock would seem to have gone back.
 */
static void keepalive_in(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	c->rcvd_ms = t->now_ms;
	if (c->flags & MT_CF_TS && mt_seq_gt(seg->tsval, c->ts_recent + TS_FAR))
		keep_timestamp(c, seg);
}

/* Ends the connection, and stores how far the reset acknowledges sent bytes. */
static void reset_taken(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	bool says = seg->flags & MT_TCP_ACK && mt_seq_geq(seg->ack, c->snd_una) &&
		    mt_seq_leq(seg->ack, c->snd_nxt);

	mt_tcp_note(t, MT_TCP_resets_in);
	mt_tcp_conn_fail(t, c, c->state == MT_TCP_SYN_RCVD ? MT_CLOSE_REFUSED : MT_CLOSE_RESET);
	if (!says)
		return;
	c->flags |= MT_CF_RST_ACK;
	c->rst_ack = seg->ack;
}

/*
 * Lowest ACK number in segments that are not acknowledged yet, in the window before rcv_nxt. It is
 * that of the first buffer, since ACKs only grow. rcv_nxt if no data is in flight.
 */
static uint32_t lowest_ack(const struct mt_tcp_conn *c)
{
	uint64_t mark = c->tx.head ? mt_link(c->tx.head)->mark : 0;
	uint64_t now = (uint64_t)c->rcv_nxt << MT_TX_ACK_SHIFT;

	if (!c->tx.head || mt_tcp_flight(c) == 0)
		return c->rcv_nxt;
	return c->rcv_nxt - (uint32_t)((now - (mark & MT_TX_ACK)) >> MT_TX_ACK_SHIFT);
}

/*
 * A closed socket answers data with a RST without ACK, whose number is the one that the data's
 * segment acknowledged (RFC 9293 §3.10.7.1; Linux in FIN-WAIT does the same). Data that crossed the
 * peer's FIN did not acknowledge it, so the RST lies before rcv_nxt, and RFC 5961 would drop it
 * until the retransmission. To forge it an attacker must hit one of the few numbers between the
 * latest ACKs.
 */
static bool reset_crossed(const struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	return c->s.rx_eof && mt_seq_lt(seg->seq, c->rcv_nxt) &&
	       (mt_seq_geq(seg->seq, lowest_ack(c)) || mt_mutant(MT_BREAK_crossed_rst_anywhere)) &&
	       !mt_mutant(MT_BREAK_crossed_rst_dropped);
}

static void not_acceptable(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	if (seg->flags & MT_TCP_RST) {
		if (reset_crossed(c, seg) || mt_mutant(MT_MUTANT_reset_out_of_window))
			reset_taken(t, c, seg);
		else
			mt_tcp_note(t, MT_TCP_rst_out_of_window);
		return;
	}
	if (behind_probe(c, seg)) {
		seg->seq = c->rcv_nxt;
		ack_field(t, c, seg);
		return;
	}
	if (is_keepalive(c, seg))
		keepalive_in(t, c, seg);
	/*
	 * §3.10.7.4: with a closed window ACKs are still valid; the data is answered but not
	 * accepted.
	 */
	if (seg->seq == c->rcv_nxt && !(seg->flags & MT_TCP_SYN))
		ack_field(t, c, seg);
	if (c->state == MT_TCP_CLOSED)
		return;
	if (seg->len == 0 || seg->flags & MT_TCP_SYN) {
		mt_tcp_challenge(t, c, MT_TCP_out_of_window);
		return;
	}
	if (!mt_mutant(MT_BREAK_outside_unanswered))
		c->flags |= MT_CF_ACK_NOW; /* the ACK was lost, or the window is closed */
	if (mt_seq_lt(seg->seq, c->rcv_nxt))
		mt_tcp_dup_note(c, seg->seq, MT_MIN(c->rcv_nxt - seg->seq, seg->len));
	mt_tcp_note(t, MT_TCP_out_of_window);
}

/*
 * Second step, RFC 5961 §3.2: a RST exactly in sequence resets, one elsewhere in the window gets a
 * challenge ACK.
 */
static void reset_in(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	if (seg->seq != c->rcv_nxt && !mt_mutant(MT_BREAK_rst_in_window_believed)) {
		mt_tcp_challenge(t, c, MT_TCP_rst_not_exact);
		return;
	}
	reset_taken(t, c, seg);
}

/* Trims the segment to what is in the window and new. */
static void trim(struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	uint32_t edge = c->rcv_nxt + mt_tcp_rcv_wnd(c);

	if (mt_seq_lt(seg->seq, c->rcv_nxt)) {
		uint32_t old = MT_MIN(c->rcv_nxt - seg->seq, seg->len);

		mt_tcp_dup_note(c, seg->seq, old);
		seg->skip += old;
		seg->len -= old;
		seg->seq += old;
		if (!mt_mutant(MT_BREAK_old_data_unanswered))
			c->flags |= MT_CF_ACK_NOW; /* a retransmission: the ACK was lost */
	}
	if (mt_seq_gt(seg->seq + seg->len, edge) && !mt_mutant(MT_BREAK_window_edge_ignored)) {
		seg->len = edge - seg->seq;
		seg->flags &= (uint8_t)~MT_TCP_FIN;
	}
}

static bool shared(const struct rte_mbuf *m)
{
	for (; m; m = m->next)
		if (rte_mbuf_refcnt_read(m) > 1)
			return true;
	return false;
}

/* Appends by copy, into the chain's open tail first. */
static bool payload_copy(struct mt_tcp *t, struct mt_chain *to, const struct mt_tcp_seg *seg)
{
	uint32_t skip = seg->skip, left = seg->len, before = to->len;

	for (const struct rte_mbuf *m = seg->m; m && left > 0; m = m->next) {
		uint32_t from = MT_MIN(skip, (uint32_t)m->data_len);
		uint32_t n = MT_MIN(m->data_len - from, left);

		if (n &&
			mt_chain_write(to, t->pools, rte_pktmbuf_mtod_offset(m, void *, from), n)) {
			mt_chain_truncate(to, before);
			return false;
		}
		skip -= from;
		left -= n;
	}
	return true;
}

bool mt_tcp_payload(struct mt_tcp *t, struct mt_chain *to, struct mt_tcp_seg *seg)
{
	/* While the sender still references an mbuf, the mbuf's link belongs to the sender. */
	if (mt_unlikely(shared(seg->m))) {
		mt_tcp_note(t, MT_TCP_rx_shared_copied);
		return payload_copy(t, to, seg);
	}
	mt_chain_append_pkt(to, seg->m, seg->skip, seg->len);
	seg->m = NULL;
	return true;
}

/*
 * True if the queue would pin more than twice its bytes, not counting a few pieces; stricter when
 * much is waiting.
 */
static bool sparse(const struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	return mt_tcp_rx_sparse(c, seg->len, seg->m->nb_segs * mt_buf_truesize(seg->m)) ||
	       (mt_tcp_rx_much(c) && seg->len <= SPARSE_MAX);
}

/*
 * Much is waiting already, or memory is short: accepts payload according to the pressure marks;
 * small payloads are copied into partly filled buffers.
 */
static mt_noinline bool take_pressed(
	struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	struct mt_chain *rx = &c->s.rx;

	if (t->pressure >= 3 && seg->len > PRESSED_MAX) {
		mt_tcp_note(t, MT_TCP_rx_no_memory);
		return false;
	}
	if (t->pressure && rx->truesize > 4 * rx->len)
		mt_chain_compact(rx, t->pools);
	/*
	 * Bytes that the window promised are not dropped because buffers are half empty: recovery
	 * would take the sender long.
	 */
	if (rx->truesize > mt_tcp_rx_limit(c) + mt_buf_truesize(seg->m) &&
		rx->truesize / 3 * 2 > rx->len)
		mt_chain_compact(rx, t->pools);
	if (rx->truesize > mt_tcp_rx_limit(c) + mt_buf_truesize(seg->m)) {
		mt_tcp_note(t, MT_TCP_rx_over_budget);
		return false;
	}
	if (t->pressure >= 3 || sparse(c, seg)) {
		mt_tcp_note(t, MT_TCP_rx_coalesced);
		return payload_copy(t, rx, seg);
	}
	return mt_tcp_payload(t, rx, seg);
}

bool mt_tcp_take(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	uint32_t n = seg->len;
	bool ok = mt_likely(t->pressure == 0 && c->s.rx.truesize <= mt_tcp_rx_slack(c))
			  ? mt_tcp_payload(t, &c->s.rx, seg)
			  : take_pressed(t, c, seg);

	if (mt_unlikely(!ok))
		return false;
	c->rcv_nxt += n;
	c->bytes_in += n;
	mt_tcp_event(t, c, MT_EV_READABLE);
	mt_tcp_tune(t, c, n);
	/*
	 * RFC 9293 §3.8.6.3, RFC 5681 §4.2: ACK at least every second full segment, and every
	 * segment while a hole is open
	 */
	c->mss_rcv = (uint16_t)MT_MAX(c->mss_rcv, MT_MIN(n, UINT16_MAX));
	if (n >= c->mss_rcv && ++c->ack_segs >= 2 && !mt_mutant(MT_BREAK_ack_every_second))
		c->flags |= MT_CF_ACK_NOW;
	c->flags |=
		c->ooo && !mt_mutant(MT_BREAK_hole_ack_delayed) ? MT_CF_ACK_NOW : MT_CF_ACK_DELAY;
	return true;
}

/* Seventh and eighth step: text and FIN. */
static void text(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	bool fin = seg->flags & MT_TCP_FIN;

	if (seg->len == 0 && !fin)
		return;
	if (c->s.rx_eof && !mt_mutant(MT_BREAK_text_after_fin)) {
		mt_tcp_note(t, MT_TCP_after_fin);
		return;
	}
	if (mt_unlikely(c->flags & MT_CF_REFUSES) && mt_tcp_refuses(t, c, seg))
		return;
	if (mt_mutant(MT_MUTANT_deaf_half_closed) && c->flags & MT_CF_FIN_SENT && !fin)
		return;
	if (seg->seq != c->rcv_nxt && !(fin && mt_mutant(MT_MUTANT_early_eof))) {
		mt_tcp_ooo_insert(t, c, seg);
		return;
	}
	if (seg->len > 0 && !mt_tcp_take(t, c, seg))
		return;
	/* Out-of-order data after a FIN that is now in sequence is invalid, and is dropped. */
	if (fin || (c->ooo && mt_tcp_ooo_drain(t, c)))
		mt_tcp_fin_in(t, c);
}

/*
 * After a simultaneous open each end answers the other's SYN with a SYN-ACK (RFC 9293 figure 8).
 * Its SYN is already known, so only the ACK of the local SYN remains.
 */
static void forget_known_syn(const struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	if (c->state != MT_TCP_SYN_RCVD || seg->seq + 1 != c->rcv_nxt ||
		(seg->flags & (MT_TCP_SYN | MT_TCP_ACK)) != (MT_TCP_SYN | MT_TCP_ACK))
		return;
	seg->flags &= (uint8_t)~MT_TCP_SYN;
	if (!mt_mutant(MT_MUTANT_syn_window_scaled))
		/* a window in a segment with SYN is never scaled (RFC 7323 §2.2) */
		seg->wnd >>= c->snd_scale;
	seg->seq++;
}

void mt_tcp_arrives(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	forget_known_syn(c, seg);
	if (c->flags & MT_CF_TS && !(seg->has & MT_TCP_HAS_TS) && !(seg->flags & MT_TCP_RST) &&
		!mt_mutant(MT_BREAK_ts_missing_taken)) {
		mt_tcp_note(t, MT_TCP_timestamp_missing); /* RFC 7323 §3.2 */
		return;
	}
	if (paws_refuses(t, c, seg)) {
		if (seg->len > 0 || seg->flags & MT_TCP_FIN) {
			c->flags |= MT_CF_ACK_NOW;
			mt_tcp_note(t, MT_TCP_paws);
		} else {
			mt_tcp_challenge(t, c, MT_TCP_paws);
		}
		return;
	}
	if (!acceptable(c, seg)) {
		not_acceptable(t, c, seg);
		return;
	}
	if (seg->flags & MT_TCP_RST) {
		reset_in(t, c, seg);
		return;
	}
	if (seg->flags & MT_TCP_SYN) { /* fourth step, RFC 5961 §4.2 */
		if (mt_mutant(MT_BREAK_syn_resets))
			reset_taken(t, c, seg);
		else
			mt_tcp_challenge(t, c, MT_TCP_syn_in_window);
		return;
	}
	/*
	 * An attacker who guessed a sequence number in the window must also guess the ACK before
	 * the segment changes anything (RFC 5961 §5).
	 */
	if (mt_mutant(MT_MUTANT_timestamp_unchecked) && mt_seq_leq(seg->seq, c->last_ack))
		c->ts_recent = seg->tsval;
	if (!mt_tcp_ack_ok(t, c, seg))
		return;
	c->rcvd_ms = t->now_ms;
	if (c->flags & MT_CF_TS)
		keep_timestamp(c, seg);
	trim(c, seg);
	if (c->flags & MT_CF_ECN)
		mt_tcp_ecn_in(t, c, seg);
	mt_tcp_ack(t, c, seg);
	if (c->state != MT_TCP_CLOSED)
		text(t, c, seg);
}
