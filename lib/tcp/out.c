/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends what a connection may send now: retransmissions, new data, FIN, probes, ACKs, in this
 * order, each with the newest ACK (RFC 9293 §3.8, RFC 5681 §3.1, RFC 6675 §4 NextSeg()). Called by
 * flush only.
 */
#include "mt_mutant.h"
#include "mt_tcp_out_priv.h"
#include "mt_tcp_settle_priv.h"

#include <rte_mbuf.h>

/*
 * Segments that may always leave together; and the round trip from which on larger bursts are
 * paced.
 */
#define BURST	     4
#define PACED_RTT_US 4000

/* MSS of a segment without options. */
static uint32_t mss_of(const struct mt_tcp_conn *c)
{
	uint32_t headers = mt_addr_is4(&c->tuple.remote) ? 40 : 60;
	uint32_t mtu = c->dst.mtu ? c->dst.mtu : 1500;
	uint32_t path = mtu > headers + MT_TCP_MSS_MIN ? mtu - headers : MT_TCP_MSS_MIN;

	return MT_MAX(MT_MIN(path, (uint32_t)c->mss_peer), MT_TCP_MSS_MIN);
}

/* RFC 6691: the announced MSS does not count options, the sender does. */
static uint32_t less_options(uint32_t mss, uint32_t opt_len)
{
	return mt_mutant(MT_MUTANT_mss_without_options) ? mss : mss - opt_len;
}

uint32_t mt_tcp_mss(const struct mt_tcp_conn *c, uint32_t opt_len)
{
	return less_options(mss_of(c), opt_len);
}

void mt_tcp_tx_acked(struct mt_tcp_conn *c, uint32_t n, uint32_t ack)
{
	bool all = ack == c->snd_nxt;

	mt_chain_drop(&c->tx, n);
	c->snd_una = ack;
	/*
	 * The buffer of snd_nxt still has unsent bytes, unless everything that was sent is
	 * acknowledged.
	 */
	if (all || !c->tx.head) { /* or only this side's FIN is left */
		c->nxt_seg = c->tx.head;
		c->nxt_off = c->tx.head ? mt_link(c->tx.head)->off : 0;
	}
	c->s.tx_queued = c->tx.truesize;
}

/*
 * Appends a small chain to the open tail if some of that is still unsent, so that they leave in one
 * segment.
 */
static void coalesce(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_chain *chain)
{
	uint32_t unsent = mt_tcp_data_end(c) - c->snd_nxt, moved, room;
	const struct rte_mbuf *tail = c->tx.tail;

	if (chain->len >= t->coalesce || !tail || (int32_t)unsent <= 0)
		return;
	room = mt_buf_writable(tail) ? tail->buf_len - mt_link(tail)->off - mt_link(tail)->len : 0;
	if (room < chain->len)
		return;
	if (mt_likely(chain->segs == 1))
		mt_chain_coalesce(chain, &c->tx, t->pools);
	else
		mt_chain_forward(chain, chain->len, &c->tx, t->pools, &moved);
}

/*
 * The user was not notified yet that the connection ended. Until then it may take the bytes back
 * (mt_stream_reclaim()).
 */
static mt_noinline void send_too_late(
	struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_chain *chain)
{
	mt_tcp_note(t, MT_TCP_sent_after_end);
	if (c->s.tx_shut || c->flags & MT_CF_DEAD) {
		mt_chain_free(chain);
		return;
	}
	mt_chain_concat(&c->tx, chain);
	c->s.tx_queued = c->tx.truesize;
	mt_tcp_settle(t, c);
}

void mt_tcp_send(struct mt_stream *s, struct mt_chain *chain)
{
	struct mt_tcp *t = mt_tcp_of(s);
	struct mt_tcp_conn *c = mt_tcp_conn_of(s);

	mt_tcp_cell(c->state, MT_TCP_CELL_SEND);
	if (mt_unlikely(c->state == MT_TCP_CLOSED || s->tx_shut)) {
		send_too_late(t, c, chain);
		return;
	}
	coalesce(t, c, chain);
	mt_chain_concat(&c->tx, chain);
	if (!c->nxt_seg && c->tx.head) {
		c->nxt_seg = c->tx.head;
		c->nxt_off = mt_link(c->nxt_seg)->off;
	}
	s->tx_queued = c->tx.truesize;
	mt_tcp_mark(t, c);
}

/* A segment was sent, with the newest ACK. A duplicate is reported once (RFC 2883 §4). */
static void acked_along(struct mt_tcp_out *o)
{
	struct mt_tcp_conn *c = o->c;

	if (mt_unlikely(c->flags & MT_CF_DSACK)) {
		c->flags &= ~MT_CF_DSACK;
		o->opt_len = mt_tcp_opts_data(o->t, c, o->opts);
	}
	c->flags &= ~(MT_CF_ACK_NOW | MT_CF_ACK_DELAY);
	c->last_ack = c->rcv_nxt;
	c->ack_segs = c->ooo_acks = 0;
	c->at[MT_TCP_AT_ACK] = 0;
}

/* True if the port takes one more, and the connection's quantum is not used up. */
static inline bool may_build(struct mt_tcp_out *o)
{
	if (mt_unlikely(o->room == 0))
		o->room = mt_net_tx_room(o->t->net, o->c->dst.port);
	return mt_likely(o->room > 0 && o->quantum > 0);
}

bool mt_tcp_send_segment(struct mt_tcp_out *o, uint32_t seq, const struct mt_tcp_place *at,
	uint32_t len, uint8_t flags)
{
	struct mt_tcp_conn *c = o->c;
	struct mt_tcp_ctrl ctrl = {
		.tuple = &c->tuple,
		.seq = seq,
		.ack = c->rcv_nxt,
		.wnd = o->wnd,
		.flags = (uint8_t)(flags | MT_TCP_ACK | MT_CF_ECE_BITS(c->flags)),
		.opt_len = o->opt_len,
		.opts = o->opts,
	};
	struct rte_mbuf *m;

	if (!may_build(o)) {
		o->result = MT_NET_BUSY;
		return false;
	}
	m = mt_buf_segment(o->t->pools, at ? at->seg : NULL,
		at ? at->off - mt_link(at->seg)->off : 0, len, o->hdr_room, o->chains_ok);
	if (mt_unlikely(!m)) {
		mt_tcp_note(o->t, MT_TCP_tx_no_memory);
		o->result = MT_NET_NO_MEMORY;
		return false;
	}
	mt_tcp_write_header(m, &ctrl);
	if (mt_mutant(MT_BREAK_ecn_of_all) && c->flags & MT_CF_ECN)
		o->tos = MT_IP_ECT;
	o->room--;
	o->quantum -= (int32_t)(len + o->hdr_room);
	mt_net_output_tcp(o->t->net, m, &c->tuple, &c->dst, o->tos);
	mt_tcp_note(o->t, MT_TCP_segments_out);
	acked_along(o);
	return true;
}

void mt_tcp_start_rto(struct mt_tcp_out *o)
{
	struct mt_tcp_conn *c = o->c;

	if (mt_mutant(MT_MUTANT_forgotten_timer))
		return;
	if (c->at[MT_TCP_AT_RTO] && !(c->flags & MT_CF_PERSIST)) {
		/*
		 * More than a segment is in flight now: the probe timeout counts from the last one.
		 */
		if (c->flags & MT_CF_TLP || mt_tcp_flight(c) > c->cc.mss)
			mt_tcp_pto_start(o->t, c);
		return;
	}
	if (c->flags & MT_CF_PERSIST)
		c->retries = 0;
	c->flags &= ~MT_CF_RTO_KIND;
	c->at[MT_TCP_AT_RTO] =
		mt_tcp_in(o->t, c->rto_ms); /* nothing was in flight: no probe for one segment */
}

/*
 * RFC 5681 §4.1: if nothing was sent for an RTO the ACK clock is lost, even if data arrived
 * meanwhile.
 */
static void after_idle(struct mt_tcp_out *o)
{
	struct mt_tcp_conn *c = o->c;

	if (mt_tcp_flight(c) || o->t->now_ms - c->idle_ms <= c->rto_ms ||
		mt_mutant(MT_BREAK_idle_forgotten))
		return;
	c->cc.cwnd = MT_MIN(c->cc.cwnd, mt_cc_initial_window(c->cc.mss));
	o->t->cc->restart(&c->cc);
}

/*
 * Length of the next new segment, 0: none may be sent; *blocked: because of the peer's window.
 * Sender's silly window avoidance (RFC 9293 §3.8.6.2.1): a full segment, or all there is, or half
 * of the largest window.
 */
static uint32_t next_len(struct mt_tcp_out *o, bool force, bool *blocked)
{
	struct mt_tcp_conn *c = o->c;
	uint32_t unsent = mt_tcp_data_end(c) - c->snd_nxt, flight = mt_tcp_flight(c);
	uint32_t usable = c->snd_wnd > flight ? c->snd_wnd - flight : 0;
	uint32_t pipe = mt_tcp_pipe(o->t, c), len = MT_MIN(unsent, o->mss);

	*blocked = false;
	c->flags &= ~MT_CF_CWND_LTD;
	if (len == 0)
		return 0;
	if (len > usable) {
		*blocked = true;
		len = usable;
		if (!force && len < c->max_wnd / 2 && !mt_mutant(MT_BREAK_silly_sender))
			return 0;
	}
	if (pipe + len > c->cc.cwnd) {
		c->flags |= MT_CF_CWND_LTD;
		return pipe == 0 ? MT_MIN(len, c->cc.cwnd) : 0;
	}
	return len;
}

/*
 * Moves the position past what was sent; marks its buffers with the time (RFC 8985 §5.2) and the
 * ACK number of their segment.
 */
static void move_sent(const struct mt_tcp_out *o, struct mt_tcp_place *p, uint32_t n)
{
	uint64_t mark = o->t->now_us | (uint64_t)o->c->rcv_nxt << MT_TX_ACK_SHIFT;
	uint64_t stays = o->c->loss ? ~(uint64_t)UINT32_MAX : MT_TX_ACK | MT_TX_RETRANS;

	for (;;) {
		struct mt_link *l = mt_link(p->seg);
		uint32_t here = l->off + l->len - p->off;

		/*
		 * Bytes in front of these, in the same buffer, may have been sent again or be lost.
		 */
		if (mt_unlikely(p->off != l->off))
			l->mark = o->t->now_us | (l->mark & stays);
		else
			l->mark = mark;
		if (n <= here) {
			p->off += n;
			return;
		}
		n -= here;
		p->seg = l->next;
		p->off = mt_link(p->seg)->off;
	}
}

/*
 * Sends new data that routers may mark; the first of it has CWR after a reduction (RFC 3168
 * §6.1.2).
 */
static mt_noinline bool send_ecn(
	struct mt_tcp_out *o, const struct mt_tcp_place *p, uint32_t len, uint8_t flags)
{
	struct mt_tcp_conn *c = o->c;
	bool sent;

	o->tos = MT_IP_ECT;
	flags |= c->flags & MT_CF_CWR ? MT_TCP_CWR : 0;
	sent = mt_tcp_send_segment(o, c->snd_nxt, p, len, flags);
	o->tos = 0;
	if (sent)
		c->flags &= ~MT_CF_CWR;
	return sent;
}

void mt_tcp_send_one_new(struct mt_tcp_out *o, uint32_t len)
{
	struct mt_tcp_conn *c = o->c;
	struct mt_tcp_place p = {c->nxt_seg, c->nxt_off};
	uint32_t unsent = mt_tcp_data_end(c) - c->snd_nxt;
	uint8_t flags = 0;
	bool sent;

	mt_tcp_place_normalize(&p);
	len = mt_tcp_cut(o, &p, len);
	if (len == unsent)
		flags = MT_TCP_PSH | (c->s.tx_shut ? MT_TCP_FIN : 0);
	if (mt_unlikely(c->flags & MT_CF_ECN))
		sent = send_ecn(o, &p, len, flags);
	else
		sent = mt_tcp_send_segment(o, c->snd_nxt, &p, len, flags);
	if (!sent)
		return;
	move_sent(o, &p, len);
	c->nxt_seg = p.seg;
	c->nxt_off = p.off;
	c->snd_nxt += len;
	if (flags & MT_TCP_FIN) {
		c->snd_nxt++;
		mt_tcp_fin_sent(c);
	}
	if (c->mode != MT_TCP_OPEN) {
		mt_tcp_loss(o->t, c)->prr_out += len;
	} else if (!c->rtt_at) {
		c->rtt_at = o->t->now_us;
		c->rtt_seq = c->snd_nxt;
	}
	mt_tcp_start_rto(o);
}

static void send_fin(struct mt_tcp_out *o)
{
	struct mt_tcp_conn *c = o->c;

	if (!mt_tcp_send_segment(o, c->snd_nxt, NULL, 0, MT_TCP_FIN))
		return;
	c->snd_nxt++;
	mt_tcp_fin_sent(c);
	mt_tcp_start_rto(o);
}

/*
 * True if what was just sent is a burst. A large window that opens at once (after a pause, by one
 * ACK for many segments) would fill a router's queue. The same window spread over its round trip
 * would not.
 *
 * Per millisecond, the timer's step, it allows twice the window's average rate, at least BURST
 * segments, and the initial window if nothing was in flight. For shorter round trips the step is
 * too long.
 */
static bool is_burst(const struct mt_tcp_out *o, uint32_t from)
{
	const struct mt_tcp_conn *c = o->c;
	uint32_t least = BURST * o->mss;

	if (c->srtt_us < PACED_RTT_US || mt_mutant(MT_BREAK_burst_unlimited))
		return false;
	if (from == c->snd_una)
		least = mt_cc_initial_window(o->mss);
	return c->snd_nxt - from >=
	       MT_MAX((uint64_t)c->cc.cwnd * 2000 / c->srtt_us, (uint64_t)least);
}

/*
 * Sends what is left after the first segment, usually nothing; true: the peer's window blocks it.
 */
static mt_noinline bool send_more(struct mt_tcp_out *o, uint32_t from, bool force)
{
	struct mt_tcp_conn *c = o->c;
	bool blocked = false;

	while (o->result == MT_NET_SENT && mt_tcp_may_send(c)) {
		uint32_t len = next_len(o, force, &blocked);

		if (len == 0)
			break;
		if (c->snd_nxt - from >= BURST * o->mss && is_burst(o, from)) {
			c->flags |= MT_CF_CWND_LTD; /* cwnd is what is being paced */
			o->paused = true;
			break;
		}
		mt_tcp_send_one_new(o, len);
	}
	return blocked;
}

static void send_new(struct mt_tcp_out *o, bool force)
{
	struct mt_tcp_conn *c = o->c;
	uint32_t len, from = c->snd_nxt;
	bool blocked;

	if (!mt_tcp_may_send(c))
		return;
	after_idle(o);
	len = next_len(o, force, &blocked);
	if (len)
		mt_tcp_send_one_new(o, len);
	if (len && c->snd_nxt != mt_tcp_data_end(c))
		blocked = send_more(o, from, force);
	if (o->result != MT_NET_SENT)
		return;
	if (mt_tcp_may_send(c) && c->s.tx_shut && c->snd_nxt == mt_tcp_data_end(c)) {
		if (c->snd_wnd > mt_tcp_flight(c))
			send_fin(o);
		else
			blocked = true;
	}
	if (blocked)
		mt_tcp_persist(o);
}

static void delay_ack(const struct mt_tcp *t, struct mt_tcp_conn *c)
{
	if (c->flags & MT_CF_ACK_DELAY && !c->at[MT_TCP_AT_ACK])
		c->at[MT_TCP_AT_ACK] = mt_tcp_in(t, t->conf.delack_ms);
}

/* Sends ACKs that no data carried; a peer without SACK counts duplicates one by one. */
static void send_acks(struct mt_tcp_out *o)
{
	struct mt_tcp_conn *c = o->c;
	uint32_t n = c->flags & MT_CF_SACK ? 1 : MT_MAX(MT_MIN(c->ooo_acks, 8), 1);

	if (c->flags & MT_CF_ACK_NOW) {
		while (n-- > 0 && mt_tcp_send_segment(o, c->snd_nxt, NULL, 0, 0))
			mt_tcp_note(o->t, MT_TCP_pure_acks);
		return;
	}
	delay_ack(o->t, c);
}

/* Checks the port, and sets what all segments of this flush share. */
static enum mt_net_result prepare(struct mt_tcp_out *o)
{
	struct mt_tcp_conn *c = o->c;
	enum mt_net_result rc = mt_net_tx_ready(o->t->net, &c->tuple, &c->dst, &o->room);
	const struct mt_port_caps *caps;
	uint32_t mss;

	if (mt_unlikely(rc != MT_NET_SENT))
		return rc;
	o->quantum = INT32_MAX;
	o->limited = mt_unlikely(o->t->waiting) && mt_tcp_wait_credit(o->t, c, &o->quantum);
	if (mt_unlikely(o->quantum <= 0))
		return MT_NET_BUSY;
	caps = mt_net_caps(o->t->net, &c->dst);
	mss = mss_of(c);
	o->paused = false;
	o->opt_len = mt_tcp_opts_data(o->t, c, o->opts);
	o->mss = less_options(mss, o->opt_len);
	o->hdr_room = mt_net_headroom(&c->dst, mt_addr_is4(&c->tuple.remote)) + MT_TCP_HDR_LEN +
		      o->opt_len;
	o->chains_ok = caps->tx_chains || mt_mutant(MT_MUTANT_chains_everywhere);
	o->wnd = mt_tcp_advertise(o->t, c);
	c->cc.mss = less_options(mss, c->flags & MT_CF_TS ? MT_TCP_TS_LEN : 0);
	return MT_NET_SENT;
}

/* True if only received data marked the connection: no segment is due, at most a delayed ACK. */
static bool quiet(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	uint32_t due = MT_CF_ACK_NOW | MT_CF_PROBE_DUE | MT_CF_FORCE | MT_CF_TLP_DUE;

	return c->snd_nxt == mt_tcp_data_end(c) && !(c->flags & due) && !c->loss && !c->s.tx_shut &&
	       mt_tcp_may_send(c) && t->pressure == 0;
}

static enum mt_net_result send_due(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct mt_tcp_out o;
	struct mt_tcp_loss *l;
	bool force = c->flags & MT_CF_FORCE;

	o.t = t;
	o.c = c;
	o.tos = 0;
	o.result = prepare(&o);
	if (mt_unlikely(o.result != MT_NET_SENT))
		return o.result;
	c->flags &= ~MT_CF_FORCE;
	l = mt_tcp_loss(t, c);
	if (mt_unlikely(l)) {
		if (c->mode != MT_TCP_OPEN)
			mt_tcp_resend_lost(&o, l);
		else if (c->flags & MT_CF_TLP_DUE)
			mt_tcp_tail_probe(&o, l);
	}
	if (o.result == MT_NET_SENT)
		send_new(&o, force);
	if (o.result == MT_NET_SENT && c->flags & MT_CF_PROBE_DUE)
		mt_tcp_send_probe(&o);
	if (o.result == MT_NET_SENT)
		send_acks(&o);
	if (mt_unlikely(o.limited))
		mt_tcp_wait_spent(c, o.quantum);
	if (mt_unlikely(o.paused))
		c->at[MT_TCP_AT_ACK] = mt_tcp_in(t, 0);
	return o.result;
}

enum mt_net_result mt_tcp_output(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	if (!quiet(t, c))
		return send_due(t, c);
	c->flags &= ~MT_CF_CWND_LTD; /* nothing waits for the window */
	delay_ack(t, c);
	return MT_NET_SENT;
}
