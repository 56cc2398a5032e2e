/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passive open: half-open records until the handshake is complete, then a connection (RFC 9293
 * §3.10.7.2, §3.10.7.4; RFC 4987). Records with the same number of SYN-ACKs sent wait equally long,
 * so one FIFO per level serves as their timer.
 */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

#define SYN_ACK_MS 1000u

static struct mt_tcp_half *at(struct mt_tcp *t, uint32_t name)
{
	return name ? mt_slab_at(&t->halves, name - 1) : NULL;
}

static void unlink_half(struct mt_tcp *t, struct mt_tcp_half *h)
{
	struct mt_tcp_half_list *l = &t->half[h->level];
	struct mt_tcp_half *next = at(t, h->next), *prev = at(t, h->prev);

	if (next)
		next->prev = h->prev;
	else
		l->tail = h->prev;
	if (prev)
		prev->next = h->next;
	else
		l->head = h->next;
}

static void link_half(struct mt_tcp *t, struct mt_tcp_half *h)
{
	struct mt_tcp_half_list *l = &t->half[h->level];
	uint32_t name = mt_slab_idx(&t->halves, h) + 1;

	h->due_ms = mt_tcp_in(t, SYN_ACK_MS << h->level);
	h->next = 0;
	h->prev = l->tail;
	if (l->tail)
		at(t, l->tail)->next = name;
	else
		l->head = name;
	l->tail = name;
}

/* Removes the record from its list and the slab; the caller removes the table entry. */
static void release(struct mt_tcp *t, struct mt_tcp_half *h)
{
	unlink_half(t, h);
	mt_slab_free(&t->halves, h);
}

void mt_tcp_half_free(struct mt_tcp *t, struct mt_tcp_half *h)
{
	struct mt_tuple tuple = mt_tcp_tuple_of(&h->key);
	uint32_t val = mt_tcp_val(MT_TCP_KIND_HALF, mt_slab_idx(&t->halves, h));

	MT_ASSERT(mt_table_remove(&t->table, mt_tcp_hash(t, &tuple), val));
	release(t, h);
}

static uint8_t has_of(const struct mt_tcp_half *h)
{
	return MT_TCP_HAS_MSS | (h->has_ts ? MT_TCP_HAS_TS : 0) |
	       (h->has_sack ? MT_TCP_HAS_SACK_OK : 0) | (h->has_wscale ? MT_TCP_HAS_WSCALE : 0);
}

/*
 * `in`: the SYN; NULL: a retransmission by the timer. Without a known next hop nothing is sent
 * until the SYN comes again.
 */
static void send_syn_ack(
	struct mt_tcp *t, const struct mt_tcp_half *h, uint32_t tsval, const struct rte_mbuf *in)
{
	struct mt_tuple tuple = mt_tcp_tuple_of(&h->key);
	uint8_t opts[MT_TCP_OPTS_MAX];
	struct mt_net_dst dst = {0};
	struct mt_tcp_ctrl ctrl = {
		.tuple = &tuple,
		.dst = &dst,
		.seq = h->iss,
		.ack = h->irs + 1,
		.wnd = mt_tcp_syn_window(t),
		.flags = MT_TCP_SYN | MT_TCP_ACK | (h->has_ecn ? MT_TCP_ECE : 0),
		.opts = opts,
	};

	if (mt_net_route_back(t->net, in, &tuple.remote, &dst) != MT_NET_SENT)
		return;
	ctrl.opt_len = mt_tcp_opts_syn(opts, has_of(h), mt_tcp_local_mss(t, &tuple, dst.mtu),
		t->rcv_scale, tsval, h->ts_recent);
	mt_tcp_send_ctrl(t, &ctrl);
}

static void answer(struct mt_tcp *t, const struct mt_tcp_half *h, const struct rte_mbuf *in)
{
	struct mt_tuple tuple = mt_tcp_tuple_of(&h->key);

	send_syn_ack(t, h, mt_tcp_ts_now(t, mt_tcp_ts_offset(t, &tuple)), in);
}

/* Facts of a SYN, in the form that a record or a cookie stores. */
static struct mt_tcp_half facts_of(const struct mt_tcp_seg *seg)
{
	bool is4 = mt_addr_is4(&seg->tuple.remote);
	uint32_t mss = seg->has & MT_TCP_HAS_MSS	   ? seg->mss
		       : mt_mutant(MT_BREAK_mss_untrusted) ? 1460
		       : is4				   ? MT_TCP_MSS_DEFAULT4
							   : MT_TCP_MSS_DEFAULT6;

	return (struct mt_tcp_half){
		.key = mt_tcp_key_of(&seg->tuple),
		.irs = seg->seq,
		.ts_recent = seg->has & MT_TCP_HAS_TS ? seg->tsval : 0,
		.mss = (uint16_t)MT_MAX(mss, MT_TCP_MSS_MIN),
		.wscale = (uint8_t)(seg->has & MT_TCP_HAS_WSCALE ? seg->wscale & 15 : 0),
		.has_ts = !!(seg->has & MT_TCP_HAS_TS),
		.has_wscale = !!(seg->has & MT_TCP_HAS_WSCALE),
		.has_sack = !!(seg->has & MT_TCP_HAS_SACK_OK),
	};
}

/* Keeps no state: the answer encodes it (RFC 4987 §3.6). */
static void answer_cookie(struct mt_tcp *t, struct mt_tcp_half *facts, const struct rte_mbuf *in)
{
	uint32_t tsval;

	if (!facts->has_ts)
		facts->has_sack = facts->has_wscale = facts->has_ecn = 0;
	facts->iss = mt_tcp_cookie_make(t, facts, &tsval);
	send_syn_ack(t, facts, tsval, in);
	mt_tcp_note(t, MT_TCP_cookies_sent);
}

void mt_tcp_listen_syn(struct mt_tcp *t, const struct mt_tcp_seg *seg, uint32_t floor)
{
	struct mt_tcp_half facts = facts_of(seg), *h = NULL;

	mt_tcp_note(t, MT_TCP_syns_in);
	facts.has_ecn = mt_tcp_ecn_wanted(t, seg);
	if (!t->conf.cookies_always && t->pressure < 2 && t->halves.in_use < t->conf.max_half_open)
		h = mt_slab_alloc(&t->halves, NULL);
	if (h && mt_table_insert(&t->table, seg->hash,
			 mt_tcp_val(MT_TCP_KIND_HALF, mt_slab_idx(&t->halves, h)))) {
		mt_slab_free(&t->halves, h);
		h = NULL;
	}
	if (!h) {
		answer_cookie(t, &facts, seg->m);
		return;
	}
	*h = facts;
	h->iss = mt_tcp_isn(t, &seg->tuple);
	if (floor)
		h->iss = mt_seq_max(h->iss, floor);
	link_half(t, h);
	answer(t, h, seg->m);
}

/* Creates a connection from a record or a cookie's facts; NULL: refused. */
static struct mt_tcp_conn *make_conn(struct mt_tcp *t, struct mt_tcp_half *h,
	const struct mt_tcp_half *facts, const struct mt_tcp_seg *seg)
{
	struct mt_tcp_conn *c = mt_tcp_conn_new(t, &seg->tuple);
	uint32_t val;

	if (!c)
		return NULL;
	c->tuple.entry = (uint16_t)(seg->m->port + 1);
	val = mt_tcp_val(MT_TCP_KIND_CONN, mt_slab_idx(&t->conns, c));
	if (h) {
		MT_ASSERT(mt_table_replace(&t->table, seg->hash,
			mt_tcp_val(MT_TCP_KIND_HALF, mt_slab_idx(&t->halves, h)), val));
	} else if (mt_table_insert(&t->table, seg->hash, val)) {
		mt_slab_free(&t->conns, c);
		return NULL;
	}
	c->flags |= MT_CF_IN_TABLE;
	mt_net_route_stream(t->net, &c->tuple, &c->dst);
	mt_tcp_agree(t, c, has_of(facts), facts->mss, facts->wscale, facts->ts_recent);
	if (facts->has_ecn) {
		c->flags |= MT_CF_ECN;
		mt_tcp_note(t, MT_TCP_ecn_agreed);
	}
	c->snd_una = c->snd_nxt = facts->iss + 1;
	c->rcv_nxt = facts->irs + 1;
	c->rcv_adv = c->rcv_nxt + mt_tcp_syn_window(t);
	c->snd_wnd = c->max_wnd = (uint32_t)seg->wnd << c->snd_scale;
	c->snd_wl1 = seg->seq;
	c->snd_wl2 = seg->ack;
	return c;
}

/*
 * Measures the handshake's round trip by the echoed timestamp, which needs no state (not with
 * cookies, whose low timestamp bits are options). A retransmitted SYN-ACK makes the initial window
 * small (RFC 6928 §2).
 */
static void first_rtt(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_half *record,
	const struct mt_tcp_seg *seg)
{
	uint32_t ms = mt_tcp_ts_now(t, c->ts_off) - seg->tsecr;

	c->retries = record->level;
	if (record->has_ts && ms < 60000)
		mt_tcp_rtt_sample(t, c, MT_MAX(ms, 1u) * 1000);
}

void mt_tcp_accepted(struct mt_tcp *t, struct mt_tcp_half *h, const struct mt_tcp_half *facts,
	struct mt_tcp_seg *seg)
{
	struct mt_tcp_half copy = *facts;
	int listener = t->listen->lookup(t->listen_arg, &seg->tuple.local, seg->tuple.lport);
	struct mt_tcp_conn *c = listener < 0 ? NULL : make_conn(t, h, &copy, seg);

	if (!c) { /* the listener is gone, or all connections are in use */
		if (h)
			mt_tcp_half_free(t, h);
		mt_tcp_note(t, MT_TCP_accept_refused);
		mt_tcp_reset_reply(t, seg);
		return;
	}
	if (h) {
		release(t, h);
		first_rtt(t, c, &copy, seg);
	}
	mt_tcp_established(t, c);
	c->s.owner_idx = (uint32_t)listener; /* until accept() replaces it */
	mt_tcp_event(t, c, MT_EV_ACCEPT);
	mt_tcp_note(t, MT_TCP_accepts);
	mt_tcp_arrives(t, c, seg);
	mt_tcp_mark(t, c);
}

/*
 * A record has no challenge throttle of its own, so challenges share the rate limit of resets (RFC
 * 5961 §7).
 */
static void challenge(struct mt_tcp *t, const struct mt_tcp_half *h, const struct mt_tcp_seg *seg)
{
	struct mt_tuple tuple = mt_tcp_tuple_of(&h->key);
	uint8_t opts[MT_TCP_OPTS_MAX];
	struct mt_tcp_ctrl ctrl = {
		.tuple = &tuple,
		.in = seg->m,
		.seq = h->iss + 1,
		.ack = h->irs + 1,
		.wnd = (uint16_t)(mt_tcp_syn_window(t) >> (h->has_wscale ? t->rcv_scale : 0)),
		.flags = MT_TCP_ACK,
		.opts = opts,
	};

	if (!mt_tcp_may_reset(t)) {
		mt_tcp_note(t, MT_TCP_challenges_withheld);
		return;
	}
	if (h->has_ts)
		ctrl.opt_len = mt_tcp_opts_ts(
			opts, mt_tcp_ts_now(t, mt_tcp_ts_offset(t, &tuple)), h->ts_recent);
	mt_tcp_note(t, MT_TCP_challenge_acks);
	mt_tcp_send_ctrl(t, &ctrl);
}

/*
 * Processes a RST: an exact one resets, one elsewhere in the window gets a challenge ACK (RFC 5961
 * §3.2).
 */
static void half_reset(struct mt_tcp *t, struct mt_tcp_half *h, const struct mt_tcp_seg *seg)
{
	if (seg->seq == h->irs + 1 || mt_mutant(MT_BREAK_half_rst_anywhere)) {
		mt_tcp_half_free(t, h);
		mt_tcp_note(t, MT_TCP_resets_in);
	} else if (seg->seq - (h->irs + 1) < mt_tcp_syn_window(t)) {
		mt_tcp_note(t, MT_TCP_rst_not_exact);
		challenge(t, h, seg);
	} else {
		mt_tcp_note(t, MT_TCP_rst_out_of_window);
	}
}

/* RFC 9293 §3.10.7.4, first step. */
static bool in_window(
	const struct mt_tcp *t, const struct mt_tcp_half *h, const struct mt_tcp_seg *seg)
{
	uint32_t len = seg->len + (seg->flags & MT_TCP_FIN ? 1 : 0);
	uint32_t first = h->irs + 1, edge = first + mt_tcp_syn_window(t);

	if (len == 0)
		return mt_seq_geq(seg->seq, first) && mt_seq_leq(seg->seq, edge);
	return mt_seq_lt(seg->seq, edge) && mt_seq_gt(seg->seq + len, first);
}

/*
 * The SYN came twice, the first time when all records were in use. So the client may answer the
 * cookie that it got then, with its ACK, or with data if that ACK was lost.
 */
static bool answers_cookie(struct mt_tcp *t, struct mt_tcp_half *h, struct mt_tcp_seg *seg)
{
	struct mt_tcp_seg first = *seg;
	struct mt_tcp_half facts;

	first.seq = h->irs + 1;
	if (!mt_tcp_cookie_check(t, &first, &facts))
		return false;
	mt_tcp_note(t, MT_TCP_cookies_good);
	mt_tcp_half_free(t, h);
	mt_tcp_accepted(t, NULL, &facts, seg);
	return true;
}

void mt_tcp_half_input(struct mt_tcp *t, struct mt_tcp_half *h, struct mt_tcp_seg *seg)
{
	if (seg->flags & MT_TCP_RST) {
		half_reset(t, h, seg);
		return;
	}
	if (seg->flags &
		MT_TCP_SYN) { /* a repeated SYN, or a new one: the SYN-ACK makes its sender reset */
		answer(t, h, seg->m);
		mt_tcp_note(t, MT_TCP_syn_again);
		return;
	}
	if (h->has_ts && !(seg->has & MT_TCP_HAS_TS)) { /* RFC 7323 §3.2 */
		mt_tcp_note(t, MT_TCP_timestamp_missing);
		return;
	}
	if (h->has_ts && mt_seq_lt(seg->tsval, h->ts_recent)) {
		mt_tcp_note(t, MT_TCP_paws);
		challenge(t, h, seg);
		return;
	}
	if (!in_window(t, h, seg)) {
		mt_tcp_note(t, MT_TCP_out_of_window);
		challenge(t, h, seg);
		return;
	}
	if (seg->ack != h->iss + 1 && answers_cookie(t, h, seg))
		return;
	if (seg->ack != h->iss + 1 && !mt_mutant(MT_BREAK_half_bad_ack)) {
		mt_tcp_note(t, MT_TCP_ack_unsent);
		mt_tcp_reset_reply(t, seg);
		return;
	}
	mt_tcp_accepted(t, h, h, seg);
}

static bool expire_one(struct mt_tcp *t, struct mt_tcp_half *h)
{
	if (!mt_tcp_due(t, h->due_ms))
		return false;
	mt_tcp_cell(MT_TCP_HALF_OPEN, MT_TCP_CELL_HANDSHAKE);
	if (h->level + 1 >= MT_TCP_HALF_LEVELS) {
		mt_tcp_half_free(t, h);
		mt_tcp_note(t, MT_TCP_half_open_timeouts);
		return true;
	}
	unlink_half(t, h);
	h->level++;
	link_half(t, h);
	if (!mt_mutant(MT_BREAK_syn_ack_once))
		answer(t, h, NULL);
	mt_tcp_note(t, MT_TCP_syn_retransmits);
	return true;
}

void mt_tcp_half_timers(struct mt_tcp *t)
{
	/* From the last level down, so that a record that moves up is not processed twice. */
	for (int i = MT_TCP_HALF_LEVELS - 1; i >= 0; i--)
		while (t->half[i].head && expire_one(t, at(t, t->half[i].head)))
			;
}

uint64_t mt_tcp_half_next(const struct mt_tcp *t)
{
	uint32_t best = UINT32_MAX;

	for (int i = 0; i < MT_TCP_HALF_LEVELS; i++) {
		const struct mt_tcp_half *h;
		int32_t left;

		if (!t->half[i].head)
			continue;
		h = mt_slab_at(&t->halves, t->half[i].head - 1);
		left = (int32_t)(h->due_ms - t->now_ms);
		best = MT_MIN(best, (uint32_t)MT_MAX(left, 0));
	}
	return best == UINT32_MAX ? MT_NEVER : (t->now / MT_MSEC + best) * MT_MSEC;
}
