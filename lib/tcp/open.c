/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Active open: source ports, SYN, SYN-SENT, simultaneous open (RFC 9293 §3.5, §3.10.7.3; RFC 6528).
 */
#include "mt_siphash.h"
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

/* RFC 6298 §5.7: RTO for data if a SYN timed out and no round trip was measured. */
#define SYN_LOST_RTO_MS 3000

/* Source addresses that one open tries before it fails, which bounds the search. */
#define SOURCES_TRIED 4

uint32_t mt_tcp_isn(const struct mt_tcp *t, const struct mt_tuple *tuple)
{
	struct mt_tcp_key key = mt_tcp_key_of(tuple);

	/* RFC 6528 §3: M + F(tuple, secret), M ticks every 4 us (here 4.096) */
	return mt_tcp_cell_isn(
		(mt_mutant(MT_BREAK_isn_stands_still) ? 0 : (uint32_t)(t->now >> 12)) +
		(uint32_t)mt_siphash(t->secret, &key, sizeof(key)));
}

uint32_t mt_tcp_ts_offset(const struct mt_tcp *t, const struct mt_tuple *tuple)
{
	struct mt_tcp_key key = mt_tcp_key_of(tuple);

	return (uint32_t)mt_siphash(t->secret + 16, &key, sizeof(key));
}

uint16_t mt_tcp_syn_window(const struct mt_tcp *t)
{
	return (uint16_t)MT_MIN(t->conf.rx_window_init, 65535u);
}

uint16_t mt_tcp_local_mss(const struct mt_tcp *t, const struct mt_tuple *tuple, uint16_t mtu)
{
	bool is4 = mt_addr_is4(&tuple->remote);
	uint32_t mss = is4 ? t->conf.mss4 : t->conf.mss6, headers = is4 ? 40 : 60;

	/* Leaves room for timestamps and a longer prefix on the other side (MTU 1500 and more). */
	if (!mss)
		mss = MT_MAX(mtu, 1500u) - headers - MT_TCP_MSS_SPARE;
	if (mtu > headers + MT_TCP_MSS_MIN)
		mss = MT_MIN(mss, mtu - headers);
	return (uint16_t)mss;
}

void mt_tcp_agree(struct mt_tcp *t, struct mt_tcp_conn *c, uint8_t has, uint16_t mss,
	uint8_t wscale, uint32_t tsval)
{
	uint32_t fallback =
		mt_addr_is4(&c->tuple.remote) ? MT_TCP_MSS_DEFAULT4 : MT_TCP_MSS_DEFAULT6;

	c->mss_peer =
		has & MT_TCP_HAS_MSS ? (uint16_t)MT_MAX(mss, MT_TCP_MSS_MIN) : (uint16_t)fallback;
	if (has & MT_TCP_HAS_TS) {
		c->flags |= MT_CF_TS;
		c->ts_recent = tsval;
	}
	if (has & MT_TCP_HAS_SACK_OK)
		c->flags |= MT_CF_SACK;
	c->snd_scale = has & MT_TCP_HAS_WSCALE ? wscale : 0;
	c->rcv_scale = has & MT_TCP_HAS_WSCALE ? t->rcv_scale : 0;
}

void mt_tcp_established(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	c->state = MT_TCP_ESTABLISHED;
	c->cc.mss = mt_tcp_mss(c, c->flags & MT_CF_TS ? MT_TCP_TS_LEN : 0);
	c->cc.cwnd = mt_cc_initial_window(c->cc.mss);
	if (c->retries) /* RFC 6928 §2: a lost SYN indicates congestion */
		c->cc.cwnd = c->cc.mss;
	mt_tcp_rto_reset(t, c);
	if (c->retries && !c->srtt_us && !mt_mutant(MT_BREAK_syn_loss_forgotten))
		c->rto_ms = SYN_LOST_RTO_MS;
	mt_tcp_path_recall(t, c);
	c->retries = 0;
	c->at[MT_TCP_AT_RTO] = c->at[MT_TCP_AT_LIMIT] = 0;
	mt_tcp_keep_start(t, c);
	c->recover = c->snd_una - 1;
	c->rtt_at = 0;
	c->idle_ms = t->now_ms;
	c->last_ack = c->rcv_nxt;
}

enum mt_net_result mt_tcp_send_syn(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	bool reply = c->state == MT_TCP_SYN_RCVD;
	uint8_t has = MT_TCP_HAS_TS | MT_TCP_HAS_SACK_OK | MT_TCP_HAS_WSCALE;
	uint8_t opts[MT_TCP_OPTS_MAX];
	struct mt_tcp_ctrl ctrl = {
		.tuple = &c->tuple,
		.dst = &c->dst,
		.seq = c->snd_una,
		.ack = reply ? c->rcv_nxt : 0,
		.wnd = mt_tcp_syn_window(t),
		.flags = MT_TCP_SYN | (reply ? MT_TCP_ACK : 0),
		.opts = opts,
	};
	enum mt_net_result rc;

	if (!reply)
		ctrl.flags |= mt_tcp_ecn_ask(t, c);
	if (reply)
		has = (c->flags & MT_CF_TS ? MT_TCP_HAS_TS : 0) |
		      (c->flags & MT_CF_SACK ? MT_TCP_HAS_SACK_OK : 0) |
		      (c->rcv_scale | c->snd_scale ? MT_TCP_HAS_WSCALE : 0);
	ctrl.opt_len = mt_tcp_opts_syn(opts, has, mt_tcp_local_mss(t, &c->tuple, c->dst.mtu),
		t->rcv_scale, mt_tcp_ts_now(t, c->ts_off), reply ? c->ts_recent : 0);
	rc = mt_tcp_send_ctrl(t, &ctrl);
	if (rc == MT_NET_SENT) {
		/*
		 * A SYN-ACK also serves as an ACK. It cannot carry a D-SACK, which would be stale
		 * later.
		 */
		c->flags &= ~(MT_CF_SYN_DUE | MT_CF_ACK_NOW | MT_CF_DSACK);
		if (!c->rtt_at && c->retries == 0) {
			c->rtt_at = t->now_us;
			c->rtt_seq = c->snd_nxt;
		}
	}
	if (!c->at[MT_TCP_AT_RTO])
		c->at[MT_TCP_AT_RTO] = mt_tcp_in(t, c->rto_ms);
	return rc;
}

static void syn_rtt(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	int32_t us = (int32_t)(t->now_us - c->rtt_at);

	if (c->rtt_at)
		mt_tcp_rtt_sample(t, c, (uint32_t)MT_MAX(us, 1));
	c->rtt_at = 0;
}

static void take_syn(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	mt_tcp_agree(t, c, seg->has, seg->mss, seg->wscale, seg->tsval);
	c->rcv_nxt = c->last_ack = seg->seq + 1;
	c->rcv_adv = c->rcv_nxt + mt_tcp_syn_window(t);
	c->rcvd_ms = t->now_ms;
	c->snd_wnd = c->max_wnd = seg->wnd;
	c->snd_wl1 = seg->seq;
	c->snd_wl2 = seg->ack;
}

void mt_tcp_syn_sent(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	bool ack = seg->flags & MT_TCP_ACK;

	/* First step: only the SYN can be acknowledged. */
	if (ack && seg->ack != c->snd_nxt && !mt_mutant(MT_BREAK_syn_sent_any_ack)) {
		mt_tcp_note(t, MT_TCP_ack_unsent);
		mt_tcp_reset_reply(t, seg);
		return;
	}
	/* second step; a RST without ACK could be forged by anyone */
	if (seg->flags & MT_TCP_RST) {
		if (ack || mt_mutant(MT_BREAK_refused_without_ack)) {
			mt_tcp_note(t, MT_TCP_refused);
			mt_tcp_conn_fail(t, c, MT_CLOSE_REFUSED);
		}
		return;
	}
	if (!(seg->flags & MT_TCP_SYN)) {
		mt_tcp_note(t, MT_TCP_flags_illegal);
		return;
	}
	take_syn(t, c, seg);
	if (ack) {
		c->snd_una = seg->ack;
		syn_rtt(t, c);
		mt_tcp_ecn_answered(t, c, seg);
		mt_tcp_established(t, c);
		c->flags |= MT_CF_ACK_NOW;
		c->flags &= ~MT_CF_SYN_DUE;
		mt_tcp_event(t, c, MT_EV_CONNECTED);
		mt_tcp_note(t, MT_TCP_connects);
		return;
	}
	c->flags &= ~MT_CF_CWR;
	c->state = MT_TCP_SYN_RCVD; /* simultaneous open (figure 8) */
	c->flags |= MT_CF_SYN_DUE;
	mt_tcp_note(t, MT_TCP_simultaneous_opens);
}

bool mt_tcp_syn_acked(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	if (seg->ack != c->snd_nxt) {
		mt_tcp_note(t, MT_TCP_ack_unsent);
		mt_tcp_reset_reply(t, seg);
		return false;
	}
	c->snd_una = seg->ack;
	syn_rtt(t, c);
	mt_tcp_established(t, c);
	c->flags &= ~MT_CF_SYN_DUE;
	mt_tcp_event(t, c, MT_EV_CONNECTED);
	mt_tcp_note(t, MT_TCP_connects);
	return true;
}

/*
 * A tuple in TIME-WAIT is free again after a second if timestamps tell old segments from new (RFC
 * 6191).
 */
static bool taken(void *arg, const struct mt_tuple *tuple)
{
	struct mt_tcp *t = arg;
	uint32_t val = mt_tcp_find(t, tuple, mt_tcp_hash(t, tuple));

	if (val == MT_TABLE_NONE)
		return false;
	return mt_tcp_val_kind(val) != MT_TCP_KIND_TW ||
	       !mt_tcp_tw_reusable(t, mt_slab_at(&t->tws, mt_tcp_val_idx(val)));
}

/* Chooses a free tuple that this worker owns, with one source address. */
static bool choose_port(struct mt_tcp *t, struct mt_tuple *tuple)
{
	uint16_t lo = t->conf.port_lo, hi = t->conf.port_hi;

	tuple->lport = (uint16_t)(lo + mt_rand_below(&t->rand, hi - lo + 1u));
	return mt_steer_source_port(t->steer, t->worker, tuple, lo, hi, taken, t) == 0;
}

/* Tries several addresses of a pool; each has its own ports. */
static bool choose_source(struct mt_tcp *t, struct mt_tuple *tuple, const struct mt_addr *local)
{
	uint64_t rnd = mt_rand_u64(&t->rand);

	if (local) {
		tuple->local = *local;
		return choose_port(t, tuple);
	}
	for (uint32_t i = 0; i < SOURCES_TRIED; i++) {
		if (!mt_net_source_addr(t->net, &tuple->remote, rnd + i, &tuple->local))
			return false;
		if (choose_port(t, tuple))
			return true;
	}
	return false;
}

/* Sequence numbers must start above those of the tuple's previous connection. */
static uint32_t first_seq(struct mt_tcp *t, const struct mt_tuple *tuple, uint32_t hash)
{
	uint32_t val = mt_tcp_find(t, tuple, hash), iss = mt_tcp_isn(t, tuple);
	struct mt_tcp_tw *tw;

	if (val == MT_TABLE_NONE)
		return iss;
	tw = mt_slab_at(&t->tws, mt_tcp_val_idx(val));
	iss = mt_seq_max(iss, tw->snd_nxt + 65537);
	mt_tcp_tw_free(t, tw);
	mt_tcp_note(t, MT_TCP_time_wait_reused);
	return iss;
}

static struct mt_stream *refuse(
	struct mt_tcp *t, enum mt_tcp_outcome o, enum mt_close_reason r, enum mt_close_reason *why)
{
	mt_tcp_note(t, o);
	if (why)
		*why = r;
	return NULL;
}

static void start(struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t connect_ms)
{
	c->state = MT_TCP_SYN_SENT;
	c->flags |= MT_CF_ACTIVE | MT_CF_SYN_DUE;
	c->snd_nxt = c->snd_una + 1;
	connect_ms = connect_ms ? connect_ms : t->conf.connect_ms;
	/* RFC 6298 §2.1 specifies 1 s; a short connect timeout must allow more than one SYN. */
	c->rto_ms = MT_MAX(MT_MIN(1000u, connect_ms / 3), t->conf.min_rto_ms);
	c->at[MT_TCP_AT_LIMIT] = mt_tcp_in(t, connect_ms);
	mt_tcp_mark(t, c);
}

struct mt_stream *mt_tcp_open(
	struct mt_transport *tr, const struct mt_stream_to *to, enum mt_close_reason *why)
{
	struct mt_tcp *t = mt_container_of(tr, struct mt_tcp, transport);
	struct mt_tuple tuple = {.remote = *to->remote, .rport = to->port};
	struct mt_net_dst dst = {0};
	struct mt_tcp_conn *c;
	uint32_t iss, hash;

	MT_ASSERT(!to->tls);
	if (mt_net_route(t->net, to->local, to->remote, &dst) == MT_NET_NO_ROUTE)
		return refuse(t, MT_TCP_open_no_route, MT_CLOSE_UNREACHABLE, why);
	if (!choose_source(t, &tuple, to->local))
		return refuse(t, MT_TCP_no_source_port, MT_CLOSE_NO_SOURCE_PORT, why);
	hash = mt_tcp_hash(t, &tuple);
	iss = first_seq(t, &tuple, hash);
	c = mt_tcp_conn_new(t, &tuple);
	if (!c)
		return refuse(t, MT_TCP_open_no_memory, MT_CLOSE_NO_MEMORY, why);
	c->dst = dst;
	c->snd_una = iss;
	if (mt_table_insert(
		    &t->table, hash, mt_tcp_val(MT_TCP_KIND_CONN, mt_slab_idx(&t->conns, c)))) {
		mt_slab_free(&t->conns, c);
		return refuse(t, MT_TCP_open_no_memory, MT_CLOSE_NO_MEMORY, why);
	}
	c->flags |= MT_CF_IN_TABLE;
	c->s.user = to->user;
	c->s.user_ctx = to->user_ctx;
	c->s.owner_idx = to->owner_idx;
	c->s.silent = (uint8_t)MT_MIN((to->silent_ms + 99u) / 100, 255u);
	c->s.rx_class = MT_CLASS_REPLYING;
	c->s.tx_class = MT_CLASS_RESENDING;
	mt_tcp_cell(MT_TCP_CLOSED, MT_TCP_CELL_OPEN);
	start(t, c, to->connect_ms);
	mt_tcp_note(t, MT_TCP_opens);
	return &c->s;
}
