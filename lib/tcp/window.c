/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receive window: the unused part of two budgets, one in bytes and one in truesize. It is never
 * reduced once advertised (RFC 9293 §3.8.6), except by rounding to the scale, opened in steps
 * (silly window avoidance, §3.8.6.2.2), and auto-tuned to what the user consumes per round trip.
 * Both budgets grow by the bytes that the user keeps of an incomplete message (rx_kept), so that
 * the rest can arrive.
 *
 * A receive queue pins at most twice its window plus twice the kept bytes. If it would pin more
 * than twice its bytes and 16 KiB, short payloads are copied together (mt_tcp_rx_sparse()): on
 * arrival, in order or not, and when the user's unread bytes pin much more. Beyond that, payload is
 * dropped and the peer retransmits. Out-of-order data counts too, in at most 64 ranges.
 */
#include "mt_mutant.h"
#include "mt_tcp_settle_priv.h"

/* Connections processed per loop iteration when memory pressure begins or ends. */
#define SWEEP_PER_TURN 256

uint32_t mt_tcp_rcv_wnd(const struct mt_tcp_conn *c)
{
	int32_t wnd = (int32_t)(c->rcv_adv - c->rcv_nxt);

	return wnd > 0 ? (uint32_t)wnd : 0;
}

uint32_t mt_tcp_rx_limit(const struct mt_tcp_conn *c)
{
	return 2 * (c->rcv_budget + c->s.rx_kept);
}

/*
 * Budget of an opaque TCP stream whose holder has too much: the holder's share, but at least two
 * segments.
 */
static uint32_t budget_of(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	uint32_t part = c->s.tx_high;

	if (mt_likely(!c->s.squeezed) || c->s.rx_class != MT_CLASS_STREAMING)
		return c->rcv_budget;
	part = MT_MAX(part, 2u * mt_tcp_local_mss(t, &c->tuple, c->dst.mtu));
	return MT_MIN(c->rcv_budget, part);
}

/*
 * Bytes that may come in addition to those waiting, limited by payload and by pinned memory. Bytes
 * that the user keeps do not count against it.
 */
static uint32_t room(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	const struct mt_chain *rx = &c->s.rx;
	uint32_t limit = mt_tcp_rx_limit(c);
	uint32_t budget = budget_of(t, c) + c->s.rx_kept;
	uint32_t waits = rx->len + (mt_mutant(MT_MUTANT_window_shut_by_queue) ? c->tx.len : 0);
	uint32_t by_bytes = waits < budget ? budget - waits : 0;
	uint32_t by_memory = rx->truesize < limit ? (limit - rx->truesize) / 2 : 0;

	return t->pressure >= 2 ? 0 : MT_MIN(by_bytes, by_memory);
}

/* Bytes by which the right edge would move. */
static uint32_t gain(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	int32_t g = (int32_t)(c->rcv_nxt + room(t, c) - c->rcv_adv);

	if (mt_mutant(MT_MUTANT_window_stays_shut) && c->rcv_adv == c->rcv_nxt)
		return 0;
	return g > 0 ? (uint32_t)g : 0;
}

static uint32_t least_step(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	if (mt_mutant(MT_BREAK_silly_receiver))
		return 1;
	return MT_MIN(c->rcv_budget / 2, (uint32_t)mt_tcp_local_mss(t, &c->tuple, c->dst.mtu));
}

/*
 * True if the edge may move by `g`. Usually g is far too small, and the exact step need not be
 * computed.
 */
static bool worth_a_step(const struct mt_tcp *t, const struct mt_tcp_conn *c, uint32_t g)
{
	return mt_unlikely(g >= MT_MIN(c->rcv_budget, (uint32_t)c->dst.mtu) / 4 ||
			   mt_mutant(MT_BREAK_silly_receiver)) &&
	       g >= least_step(t, c);
}

uint16_t mt_tcp_advertise(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	uint32_t g = gain(t, c), wnd;

	if (t->pressure >= 2)
		c->flags |= MT_CF_WND_HELD;
	if (worth_a_step(t, c, g))
		c->rcv_adv += g;
	/*
	 * Rounded down: the edge may look smaller than before by less than one unit of the scale.
	 * RFC 7323 §2.4 requires every sender to accept that, and data up to rcv_adv is still
	 * accepted. Rounding up would open the window a little with each ACK.
	 */
	wnd = mt_mutant(MT_MUTANT_window_taken_back) ? room(t, c) : mt_tcp_rcv_wnd(c);
	return (uint16_t)MT_MIN(wnd >> c->rcv_scale, 65535u);
}

void mt_tcp_consumed(struct mt_stream *s)
{
	struct mt_tcp *t = mt_tcp_of(s);
	struct mt_tcp_conn *c = mt_tcp_conn_of(s);
	uint32_t g, wnd;

	mt_tcp_cell(c->state, MT_TCP_CELL_RECV);
	mt_tcp_mark(t, c); /* its holdings are settled again */
	if (c->flags & MT_CF_ENDED) {
		if (s->rx.len == 0 && !(c->events & MT_EV_CLOSED))
			mt_tcp_event(t, c, MT_EV_CLOSED);
		return;
	}
	if (c->state < MT_TCP_ESTABLISHED || s->rx_eof)
		return;
	/* The remaining small pieces would keep the window closed. */
	if (mt_unlikely(s->rx.truesize > 2 * (mt_tcp_rx_slack(c) + s->rx.len)))
		mt_chain_compact(&s->rx, t->pools);
	wnd = mt_tcp_rcv_wnd(c);
	/*
	 * Send a window update only when the peer may be short of window; otherwise ACKs of data
	 * carry it. Usually the gain need not be computed: window and gain together are at most the
	 * budget and what is kept.
	 */
	if (mt_likely(wnd > c->rcv_budget / 2 + s->rx_kept))
		return;
	g = gain(t, c);
	if (!worth_a_step(t, c, g) || (wnd >= c->rcv_budget / 2 && g < c->rcv_budget / 2))
		return;
	c->flags |= MT_CF_ACK_NOW;
}

void mt_tcp_tune(struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t bytes)
{
	uint32_t round = c->srtt_us ? c->srtt_us / 1000 + 1 : 100;

	c->tune_bytes += bytes;
	if (t->now_ms - c->tune_ms < round)
		return;
	/*
	 * The window, not the user, was the limit: a large part of it came within one round trip.
	 */
	if (c->tune_bytes >= c->rcv_budget / 2 && c->s.rx.len < c->rcv_budget / 2 + c->s.rx_kept &&
		t->pressure == 0 && !c->s.squeezed && c->rcv_budget < t->conf.rx_window_max) {
		c->rcv_budget = MT_MIN(2 * c->rcv_budget, t->conf.rx_window_max);
		mt_tcp_note(t, MT_TCP_windows_grown);
	}
	c->tune_ms = t->now_ms;
	c->tune_bytes = 0;
}

void mt_tcp_pressure(struct mt_tcp *t, uint32_t free_pct)
{
	uint8_t level = free_pct < 10 ? 3 : free_pct < 20 ? 2 : free_pct < 30 ? 1 : 0;

	if ((t->pressure >= 2) != (level >= 2))
		t->sweep_idx = 0;
	t->pressure = level;
}

/*
 * Frees out-of-order queues when memory is short; reopens windows that were kept closed when it is
 * not.
 */
static void sweep_one(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	if (t->pressure >= 2) {
		if (!c->ooo)
			return;
		mt_tcp_note(t, MT_TCP_ooo_given_up);
		mt_tcp_ooo_free(t, c);
		mt_tcp_settle(t, c);
		return;
	}
	if (!(c->flags & MT_CF_WND_HELD))
		return;
	c->flags &= ~MT_CF_WND_HELD;
	if (c->state >= MT_TCP_ESTABLISHED && gain(t, c) >= least_step(t, c)) {
		c->flags |= MT_CF_ACK_NOW;
		mt_tcp_mark(t, c);
	}
}

void mt_tcp_sweep(struct mt_tcp *t)
{
	for (uint32_t i = 0; i < SWEEP_PER_TURN; i++) {
		struct mt_tcp_conn *c = mt_slab_next(&t->conns, &t->sweep_idx);

		if (!c) {
			t->sweep_idx = UINT32_MAX;
			return;
		}
		sweep_one(t, c);
	}
}
