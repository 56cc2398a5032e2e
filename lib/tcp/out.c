/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a connection may send now: retransmissions, new data, FIN, probes, ACKs, in this order, each
 * with the newest ACK on it (RFC 9293 §3.8, RFC 5681 §3.1, RFC 6675 §4 NextSeg()). Called by flush only.
 */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

#include <rte_mbuf.h>

#define RETRY_MS       10 /* after the pool was empty */
#define PERSIST_MAX_MS 60000u

/* One flush of one connection: what all its segments share. */
struct out {
	struct mt_tcp *t;
	struct mt_tcp_conn *c;
	enum mt_net_result result; /* not MT_NET_SENT: stop */
	bool no_memory;
	bool chains_ok;
	uint16_t wnd;
	uint8_t tos; /* of new data on a connection with ECN; 0 for all else (RFC 3168 §6.1.4, §6.1.5) */
	uint32_t mss, hdr_room;
	uint32_t opt_len;
	uint8_t opts[MT_TCP_OPTS_MAX];
};

/* A place in the send queue. */
struct place {
	struct rte_mbuf *seg;
	uint32_t off; /* from buf_addr */
};

uint32_t mt_tcp_mss(const struct mt_tcp_conn *c, uint32_t opt_len)
{
	uint32_t headers = mt_addr_is4(&c->tuple.remote) ? 40 : 60;
	uint32_t mtu = c->dst.mtu ? c->dst.mtu : 1500;
	uint32_t path = mtu > headers + MT_TCP_MSS_MIN ? mtu - headers : MT_TCP_MSS_MIN;

	/* RFC 6691: the announced MSS does not count options, the sender does. */
	if (mt_mutant(MT_MUTANT_mss_without_options))
		opt_len = 0;
	return MT_MAX(MT_MIN(path, (uint32_t)c->mss_peer), MT_TCP_MSS_MIN) - opt_len;
}

/* A place at the end of a buffer is the start of the next one, once there is one. */
static void normalize(struct place *p)
{
	const struct mt_link *l = mt_link(p->seg);

	if (p->off == l->off + l->len && l->next) {
		p->seg = l->next;
		p->off = mt_link(p->seg)->off;
	}
}

static void move_on(struct place *p, uint32_t n)
{
	for (;;) {
		const struct mt_link *l = mt_link(p->seg);
		uint32_t here = l->off + l->len - p->off;

		if (n <= here) {
			p->off += n;
			return;
		}
		n -= here;
		p->seg = l->next;
		p->off = mt_link(p->seg)->off;
	}
}

void mt_tcp_tx_acked(struct mt_tcp_conn *c, uint32_t n, uint32_t ack)
{
	bool all = ack == c->snd_nxt;

	mt_chain_drop(&c->tx, n);
	c->snd_una = ack;
	/* The buffer in which snd_nxt lies keeps bytes that wait, unless all that was sent is gone. */
	if (all || !c->tx.head) { /* or only our FIN is left */
		c->nxt_seg = c->tx.head;
		c->nxt_off = c->tx.head ? mt_link(c->tx.head)->off : 0;
	}
	c->s.tx_queued = c->tx.truesize;
	c->s.tx_bytes = c->tx.len;
}

/* Small chains go into the open tail if some of it still waits: they leave in one segment. */
static void coalesce(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_chain *chain)
{
	uint32_t unsent = mt_tcp_data_end(c) - c->snd_nxt, moved, room;
	const struct rte_mbuf *tail = c->tx.tail;

	if (chain->len >= MT_TCP_COALESCE_MAX || !tail || (int32_t)unsent <= 0)
		return;
	room = mt_buf_writable(tail) ? tail->buf_len - mt_link(tail)->off - mt_link(tail)->len : 0;
	if (room >= chain->len)
		mt_chain_forward(chain, chain->len, &c->tx, t->pools, &moved);
}

void mt_tcp_send(struct mt_stream *s, struct mt_chain *chain)
{
	struct mt_tcp *t = mt_tcp_of(s);
	struct mt_tcp_conn *c = mt_tcp_conn_of(s);

	if (c->state == MT_TCP_CLOSED || s->tx_shut) {
		mt_tcp_note(t, MT_TCP_sent_after_end);
		mt_chain_free(chain);
		return;
	}
	coalesce(t, c, chain);
	mt_chain_concat(&c->tx, chain);
	if (!c->nxt_seg && c->tx.head) {
		c->nxt_seg = c->tx.head;
		c->nxt_off = mt_link(c->nxt_seg)->off;
	}
	s->tx_queued = c->tx.truesize;
	s->tx_bytes = c->tx.len;
	mt_tcp_mark(t, c);
}

/* A segment left: the ACK on it is the newest there is. A duplicate is reported once (RFC 2883 §4). */
static void acked_along(struct out *o)
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

/*
 * Sends [seq, seq + len) from `at`. A retransmission gets a fresh header by itself: while the port
 * holds the earlier packet the buffer is not ours alone, and mt_buf_segment() copies or clones then.
 */
static bool send_segment(
	struct out *o, uint32_t seq, const struct place *at, uint32_t len, uint8_t flags)
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
	struct rte_mbuf *m = mt_buf_segment(o->t->pools, at ? at->seg : NULL,
		at ? at->off - mt_link(at->seg)->off : 0, len, o->hdr_room, o->chains_ok);

	if (mt_unlikely(!m)) {
		mt_tcp_note(o->t, MT_TCP_tx_no_memory);
		o->no_memory = true;
		o->result = MT_NET_BUSY;
		return false;
	}
	mt_tcp_write_header(m, &ctrl);
	if (mt_mutant(MT_BREAK_ecn_of_all) && c->flags & MT_CF_ECN)
		o->tos = MT_IP_ECT;
	o->result = mt_net_output_tcp(o->t->net, m, &c->tuple, &c->dst, o->tos);
	if (mt_unlikely(o->result != MT_NET_SENT)) {
		mt_buf_free(m);
		return false;
	}
	mt_tcp_note(o->t, MT_TCP_segments_out);
	acked_along(o);
	return true;
}

/* As much as may go in one segment from `at`: a buffer's end that is near a full segment ends it. */
static uint32_t cut(const struct out *o, const struct place *at, uint32_t len)
{
	const struct mt_link *l = mt_link(at->seg);
	uint32_t here = l->off + l->len - at->off;

	len = MT_MIN(len, o->mss);
	if (here < len && here >= o->mss - o->mss / 8)
		return here;
	return len;
}

static void start_rto(struct out *o)
{
	struct mt_tcp_conn *c = o->c;

	if (mt_mutant(MT_MUTANT_forgotten_timer))
		return;
	if (c->at[MT_TCP_AT_RTO] && !(c->flags & MT_CF_PERSIST)) {
		/* More than a segment is on its way now: the probe's time counts from the last one. */
		if (c->flags & MT_CF_TLP || mt_tcp_flight(c) > c->cc.mss)
			mt_tcp_pto_start(o->t, c);
		return;
	}
	if (c->flags & MT_CF_PERSIST)
		c->retries = 0;
	c->flags &= ~MT_CF_RTO_KIND;
	c->at[MT_TCP_AT_RTO] =
		mt_tcp_in(o->t, c->rto_ms); /* nothing was on its way: no probe for one */
}

/* Where `seq` lies: from the first lost buffer on if that is before it, else from the head. */
static struct place find(const struct mt_tcp_conn *c, const struct mt_tcp_loss *l, uint32_t seq)
{
	struct place p = {c->tx.head, mt_link(c->tx.head)->off};
	uint32_t from = c->snd_una;

	if (l->todo && mt_seq_leq(l->todo_seq, seq)) {
		p = (struct place){l->todo, mt_link(l->todo)->off};
		from = l->todo_seq;
	}
	move_on(&p, seq - from);
	normalize(&p);
	return p;
}

/* Sends a run again; at most one segment. Returns what of the sequence went, 0: it did not go. */
static uint32_t resend(struct out *o, struct mt_tcp_loss *l, uint32_t seq, uint32_t len)
{
	struct mt_tcp_conn *c = o->c;
	uint32_t data = mt_tcp_data_end(c) - seq;
	struct place p;
	uint8_t flags = 0;

	/* The last number may be our FIN's. */
	if ((int32_t)data <= 0 && mt_mutant(MT_MUTANT_lost_fin))
		return 1;
	if ((int32_t)data <= 0)
		return send_segment(o, seq, NULL, 0, MT_TCP_FIN) ? 1 : 0;
	p = find(c, l, seq);
	len = cut(o, &p, MT_MIN(len, data));
	if (len == data) {
		flags = MT_TCP_PSH;
		if (c->flags & MT_CF_FIN_SENT)
			flags |= MT_TCP_FIN;
	}
	if (!send_segment(o, seq, &p, len, flags))
		return 0;
	return len + (flags & MT_TCP_FIN ? 1 : 0);
}

static uint32_t resend_and_note(struct out *o, struct mt_tcp_loss *l, uint32_t seq, uint32_t len)
{
	struct mt_tcp_conn *c = o->c;
	uint32_t sent = resend(o, l, seq, len);

	if (!sent)
		return 0;
	c->rtt_at = 0; /* Karn: an answer may be to either copy */
	c->retransmits++;
	mt_tcp_note(o->t, MT_TCP_retransmits);
	mt_tcp_resent(o->t, c, l, seq, sent);
	start_rto(o);
	return sent;
}

/* NextSeg rule 1: what is lost and was not sent again yet. */
static void resend_lost(struct out *o, struct mt_tcp_loss *l)
{
	struct mt_tcp_conn *c = o->c;
	uint32_t seq, len, sent;

	while (l->lost && mt_tcp_next_lost(c, l, o->mss, &seq, &len)) {
		if (!l->owed && mt_tcp_pipe(o->t, c) + MT_MIN(len, o->mss) > c->cc.cwnd)
			return;
		sent = resend_and_note(o, l, seq, len);
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

/* RFC 5681 §4.1: when nothing was sent for an RTO the ACK clock is gone, whatever came meanwhile. */
static void after_idle(struct out *o)
{
	struct mt_tcp_conn *c = o->c;

	if (mt_tcp_flight(c) || o->t->now_ms - c->idle_ms <= c->rto_ms ||
		mt_mutant(MT_BREAK_idle_forgotten))
		return;
	c->cc.cwnd = MT_MIN(c->cc.cwnd, mt_cc_initial_window(c->cc.mss));
	o->t->cc->restart(&c->cc);
}

static bool may_send_data(const struct mt_tcp_conn *c)
{
	return c->state == MT_TCP_ESTABLISHED || c->state == MT_TCP_CLOSE_WAIT;
}

/*
 * Length of the next new segment, 0: none may go; *blocked: by the peer's window. Sender's silly window
 * avoidance (RFC 9293 §3.8.6.2.1): a full segment, or all there is, or half of the largest window.
 */
static uint32_t next_len(struct out *o, bool force, bool *blocked)
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

/* Behind what was sent; its buffers bear the time (RFC 8985 §5.2). */
static void move_sent(const struct out *o, struct place *p, uint32_t n)
{
	for (;;) {
		struct mt_link *l = mt_link(p->seg);
		uint32_t here = l->off + l->len - p->off;

		/* Bytes in front of these, in the same buffer, may have been sent again or be lost. */
		if (mt_unlikely(o->c->loss) && p->off != l->off)
			l->mark = o->t->now_us | (l->mark & ~(uint64_t)UINT32_MAX);
		else
			l->mark = o->t->now_us;
		if (n <= here) {
			p->off += n;
			return;
		}
		n -= here;
		p->seg = l->next;
		p->off = mt_link(p->seg)->off;
	}
}

/* New data may be marked by routers; the first of it says that we slowed down (RFC 3168 §6.1.2). */
static mt_noinline bool send_ecn(struct out *o, const struct place *p, uint32_t len, uint8_t flags)
{
	struct mt_tcp_conn *c = o->c;
	bool sent;

	o->tos = MT_IP_ECT;
	flags |= c->flags & MT_CF_CWR ? MT_TCP_CWR : 0;
	sent = send_segment(o, c->snd_nxt, p, len, flags);
	o->tos = 0;
	if (sent)
		c->flags &= ~MT_CF_CWR;
	return sent;
}

static void send_one_new(struct out *o, uint32_t len)
{
	struct mt_tcp_conn *c = o->c;
	struct place p = {c->nxt_seg, c->nxt_off};
	uint32_t unsent = mt_tcp_data_end(c) - c->snd_nxt;
	uint8_t flags = 0;
	bool sent;

	normalize(&p);
	len = cut(o, &p, len);
	if (len == unsent)
		flags = MT_TCP_PSH | (c->s.tx_shut ? MT_TCP_FIN : 0);
	if (mt_unlikely(c->flags & MT_CF_ECN))
		sent = send_ecn(o, &p, len, flags);
	else
		sent = send_segment(o, c->snd_nxt, &p, len, flags);
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
	start_rto(o);
}

static void send_fin(struct out *o)
{
	struct mt_tcp_conn *c = o->c;

	if (!send_segment(o, c->snd_nxt, NULL, 0, MT_TCP_FIN))
		return;
	c->snd_nxt++;
	mt_tcp_fin_sent(c);
	start_rto(o);
}

/* Sends the last segment again: what of the buffer in which snd_nxt lies was sent, or a segment's worth. */
static bool resend_tail(struct out *o, struct mt_tcp_loss *l)
{
	struct mt_tcp_conn *c = o->c;
	uint32_t n = c->nxt_seg ? c->nxt_off - mt_link(c->nxt_seg)->off : 0;

	n = MT_MIN(n ? n : o->mss, o->mss) + (c->flags & MT_CF_FIN_SENT ? 1 : 0);
	n = MT_MIN(n, mt_tcp_flight(c));
	return resend_and_note(o, l, c->snd_nxt - n, n) > 0;
}

/* TLP_send_probe(), RFC 8985 §7.3: new data whatever cwnd says, else the last segment once more. */
static void tail_probe(struct out *o, struct mt_tcp_loss *l)
{
	struct mt_tcp_conn *c = o->c;
	uint32_t unsent = mt_tcp_data_end(c) - c->snd_nxt, flight = mt_tcp_flight(c);
	uint32_t len = MT_MIN(unsent, o->mss), nxt = c->snd_nxt;
	bool again;

	c->flags &= ~MT_CF_TLP_DUE;
	if (flight == 0)
		return;
	again = !may_send_data(c) || len == 0 || flight + len > c->snd_wnd;
	if (again && !resend_tail(o, l))
		return;
	if (!again)
		send_one_new(o, len);
	if (!again && c->snd_nxt == nxt)
		return;
	l->tlp = true;
	l->tlp_again = again;
	l->tlp_end = c->snd_nxt;
	c->flags &= ~MT_CF_RTO_KIND;
	c->at[MT_TCP_AT_RTO] = mt_tcp_in(o->t, c->rto_ms);
	mt_tcp_note(o->t, MT_TCP_tail_probes);
}

/* The persist timer runs while only the peer's window holds us back (RFC 9293 §3.8.6.1). */
static void persist(struct out *o)
{
	struct mt_tcp_conn *c = o->c;

	if (mt_tcp_flight(c) || c->flags & MT_CF_PERSIST || mt_mutant(MT_MUTANT_no_probe))
		return;
	c->flags |= MT_CF_PERSIST;
	c->at[MT_TCP_AT_RTO] =
		mt_tcp_in(o->t, MT_MIN(c->rto_ms << MT_MIN(c->retries, 9), PERSIST_MAX_MS));
}

static void send_new(struct out *o, bool force)
{
	struct mt_tcp_conn *c = o->c;
	bool blocked = false;
	uint32_t len;

	if (!may_send_data(c))
		return;
	after_idle(o);
	while (o->result == MT_NET_SENT && may_send_data(c)) {
		len = next_len(o, force, &blocked);
		if (len == 0)
			break;
		send_one_new(o, len);
	}
	if (o->result != MT_NET_SENT)
		return;
	if (may_send_data(c) && c->s.tx_shut && c->snd_nxt == mt_tcp_data_end(c)) {
		if (c->snd_wnd > mt_tcp_flight(c))
			send_fin(o);
		else
			blocked = true;
	}
	if (blocked)
		persist(o);
}

/* A segment from before the window: the peer must answer with its ACK and window (RFC 9293 §3.8.4). */
static void send_probe(struct out *o)
{
	struct mt_tcp_conn *c = o->c;

	if (!send_segment(o, c->snd_una - 1, NULL, 0, 0))
		return;
	c->flags &= ~MT_CF_PROBE_DUE;
	mt_tcp_note(o->t, MT_TCP_probes);
}

/* ACKs that nothing carried; a peer without SACK counts duplicates one by one. */
static void send_acks(struct out *o)
{
	struct mt_tcp_conn *c = o->c;
	uint32_t n = c->flags & MT_CF_SACK ? 1 : MT_MAX(MT_MIN(c->ooo_acks, 8), 1);

	if (c->flags & MT_CF_ACK_NOW) {
		while (n-- > 0 && send_segment(o, c->snd_nxt, NULL, 0, 0))
			mt_tcp_note(o->t, MT_TCP_pure_acks);
		return;
	}
	if (c->flags & MT_CF_ACK_DELAY && !c->at[MT_TCP_AT_ACK])
		c->at[MT_TCP_AT_ACK] = mt_tcp_in(o->t, o->t->conf.delack_ms);
}

static void prepare(struct out *o)
{
	struct mt_tcp_conn *c = o->c;
	const struct mt_port_caps *caps = mt_net_caps(o->t->net, &c->dst);

	o->opt_len = mt_tcp_opts_data(o->t, c, o->opts);
	o->mss = mt_tcp_mss(c, o->opt_len);
	o->hdr_room = mt_net_headroom(&c->dst, mt_addr_is4(&c->tuple.remote)) + MT_TCP_HDR_LEN +
		      o->opt_len;
	o->chains_ok = caps && (caps->tx_chains || mt_mutant(MT_MUTANT_chains_everywhere));
	o->wnd = mt_tcp_advertise(o->t, c);
	c->cc.mss = mt_tcp_mss(c, c->flags & MT_CF_TS ? MT_TCP_TS_LEN : 0);
}

enum mt_net_result mt_tcp_output(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct out o = {.t = t, .c = c, .result = MT_NET_SENT};
	struct mt_tcp_loss *l;
	bool force = c->flags & MT_CF_FORCE;

	c->flags &= ~MT_CF_FORCE;
	prepare(&o);
	l = mt_tcp_loss(t, c);
	if (mt_unlikely(l)) {
		if (c->mode != MT_TCP_OPEN)
			resend_lost(&o, l);
		else if (c->flags & MT_CF_TLP_DUE)
			tail_probe(&o, l);
	}
	if (o.result == MT_NET_SENT)
		send_new(&o, force);
	if (o.result == MT_NET_SENT && c->flags & MT_CF_PROBE_DUE)
		send_probe(&o);
	if (o.result == MT_NET_SENT)
		send_acks(&o);
	if (o.no_memory)
		c->at[MT_TCP_AT_ACK] = mt_tcp_in(t, RETRY_MS);
	return o.no_memory ? MT_NET_SENT : o.result;
}
