/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TIME-WAIT as records (RFC 9293 §3.4.2, RFC 1337, RFC 6191). All wait equally long, so a ring in
 * order of arrival serves as the timer. A restarted wait only changes the record's own end, which
 * is checked when the record reaches the head of the ring.
 */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

#define REUSE_MS 1000 /* RFC 6191 §2: timestamps must have advanced */

static uint32_t index_of(const struct mt_tcp *t, const struct mt_tcp_tw *tw)
{
	return mt_slab_idx(&t->tws, tw);
}

static void ring_push(struct mt_tcp *t, uint32_t idx)
{
	t->tw_ring[(t->tw_head + t->tw_n++) % t->tw_cap] = idx;
}

static uint32_t ring_pop(struct mt_tcp *t)
{
	uint32_t idx = t->tw_ring[t->tw_head];

	t->tw_head = (t->tw_head + 1) % t->tw_cap;
	t->tw_n--;
	return idx;
}

/*
 * Removes the record from the table; it stays in the ring until its turn, so that the ring has no
 * holes.
 */
void mt_tcp_tw_free(struct mt_tcp *t, struct mt_tcp_tw *tw)
{
	struct mt_tuple tuple = mt_tcp_tuple_of(&tw->key);
	uint32_t idx = index_of(t, tw);

	MT_ASSERT(mt_table_remove(
		&t->table, mt_tcp_hash(t, &tuple), mt_tcp_val(MT_TCP_KIND_TW, idx)));
	t->tw_due[idx] = 0;
	t->tw_live--;
}

static void retire(struct mt_tcp *t, uint32_t idx)
{
	struct mt_tcp_tw *tw = mt_slab_at(&t->tws, idx);

	if (t->tw_due[idx])
		mt_tcp_tw_free(t, tw);
	mt_slab_free(&t->tws, tw);
}

static struct mt_tcp_tw *make_record(struct mt_tcp *t)
{
	if (t->tw_n == t->tw_cap) {
		uint32_t idx = ring_pop(t);

		if (t->tw_due[idx])
			mt_tcp_note(t, MT_TCP_time_wait_evicted);
		retire(t, idx);
	}
	return mt_slab_alloc(&t->tws, NULL);
}

void mt_tcp_tw_enter(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct mt_tcp_tw *tw = make_record(t);
	uint32_t idx;

	MT_ASSERT(tw); /* the ring has the same capacity */
	idx = index_of(t, tw);
	tw->key = mt_tcp_key_of(&c->tuple);
	tw->snd_nxt = c->snd_nxt;
	tw->rcv_nxt = c->rcv_nxt;
	tw->ts_recent = c->flags & MT_CF_TS ? (c->ts_recent ? c->ts_recent : 1) : 0;
	MT_ASSERT(mt_table_replace(&t->table, mt_tcp_hash(t, &c->tuple),
		mt_tcp_val(MT_TCP_KIND_CONN, mt_slab_idx(&t->conns, c)),
		mt_tcp_val(MT_TCP_KIND_TW, idx)));
	c->flags &= ~MT_CF_IN_TABLE;
	t->tw_due[idx] = mt_tcp_in(t, t->conf.time_wait_ms);
	t->tw_live++;
	ring_push(t, idx);
	mt_tcp_note(t, MT_TCP_time_waits);
	mt_tcp_ended(t, c);
}

/* Time since the wait began. */
static uint32_t age(const struct mt_tcp *t, const struct mt_tcp_tw *tw)
{
	uint32_t left = t->tw_due[index_of(t, tw)] - t->now_ms;

	return left < t->conf.time_wait_ms ? t->conf.time_wait_ms - left : 0;
}

bool mt_tcp_tw_reusable(const struct mt_tcp *t, const struct mt_tcp_tw *tw)
{
	return (tw->ts_recent && age(t, tw) >= REUSE_MS) || mt_mutant(MT_BREAK_tw_open_at_once);
}

static void answer(struct mt_tcp *t, const struct mt_tcp_tw *tw, const struct mt_tcp_seg *seg)
{
	struct mt_tuple tuple = mt_tcp_tuple_of(&tw->key);
	uint8_t opts[MT_TCP_OPTS_MAX];
	struct mt_tcp_ctrl ctrl = {
		.tuple = &tuple,
		.in = seg->m,
		.seq = tw->snd_nxt,
		.ack = tw->rcv_nxt,
		.flags = MT_TCP_ACK,
		.opts = opts,
	};

	if (tw->ts_recent)
		ctrl.opt_len = mt_tcp_opts_ts(
			opts, mt_tcp_ts_now(t, mt_tcp_ts_offset(t, &tuple)), tw->ts_recent);
	mt_tcp_send_ctrl(t, &ctrl);
}

/* RFC 6191 §2 and RFC 9293 §3.10.7.4: true if this SYN provably belongs to a new connection. */
static bool new_life(
	const struct mt_tcp *t, const struct mt_tcp_tw *tw, const struct mt_tcp_seg *seg)
{
	if (mt_mutant(MT_BREAK_tw_any_syn))
		return true;
	if (tw->ts_recent && seg->has & MT_TCP_HAS_TS && seg->tsval != tw->ts_recent)
		return mt_seq_gt(seg->tsval, tw->ts_recent);
	return mt_seq_gt(seg->seq, tw->rcv_nxt);
}

static bool reopen(struct mt_tcp *t, struct mt_tcp_tw *tw, const struct mt_tcp_seg *seg)
{
	uint32_t floor = tw->snd_nxt + 65537;

	if (!new_life(t, tw, seg) || !t->listen ||
		t->listen->lookup(t->listen_arg, &seg->tuple.local, seg->tuple.lport) < 0)
		return false;
	mt_tcp_tw_free(t, tw);
	mt_tcp_note(t, MT_TCP_time_wait_reused);
	mt_tcp_listen_syn(t, seg, floor ? floor : 1);
	return true;
}

void mt_tcp_tw_input(struct mt_tcp *t, struct mt_tcp_tw *tw, struct mt_tcp_seg *seg)
{
	if (seg->flags & MT_TCP_RST) { /* RFC 1337 §3: must not cut the wait short */
		if (mt_mutant(MT_BREAK_tw_rst))
			mt_tcp_tw_free(t, tw);
		mt_tcp_note(t, MT_TCP_time_wait_rst);
		return;
	}
	if (seg->flags & MT_TCP_SYN) {
		if (!(seg->flags & MT_TCP_ACK) && reopen(t, tw, seg))
			return;
		mt_tcp_note(t, MT_TCP_syn_in_window);
		answer(t, tw, seg);
		return;
	}
	/* An empty ACK in sequence needs no answer; anything else is an old copy. */
	if (seg->len == 0 && !(seg->flags & MT_TCP_FIN) && seg->seq == tw->rcv_nxt)
		return;
	if (seg->flags & MT_TCP_FIN && seg->seq + seg->len + 1 == tw->rcv_nxt &&
		!mt_mutant(MT_BREAK_tw_fin_once))
		t->tw_due[index_of(t, tw)] = mt_tcp_in(t, t->conf.time_wait_ms);
	mt_tcp_note(t, MT_TCP_time_wait_acks);
	answer(t, tw, seg);
}

/* True if the head's wait was restarted, so that it ends after its successor's. */
static bool out_of_turn(const struct mt_tcp *t, uint32_t idx)
{
	uint32_t next = t->tw_ring[(t->tw_head + 1) % t->tw_cap];

	return t->tw_n > 1 && mt_seq_lt(t->tw_due[next], t->tw_due[idx]);
}

void mt_tcp_tw_timers(struct mt_tcp *t)
{
	while (t->tw_n) {
		uint32_t idx = t->tw_ring[t->tw_head];

		if (!t->tw_due[idx] || mt_tcp_due(t, t->tw_due[idx])) {
			mt_tcp_cell(MT_TCP_TIME_WAIT, MT_TCP_CELL_TW);
			retire(t, ring_pop(t));
		} else if (out_of_turn(t, idx))
			ring_push(t, ring_pop(t));
		else
			return;
	}
}

uint64_t mt_tcp_tw_next(const struct mt_tcp *t)
{
	int32_t left;

	if (!t->tw_n)
		return MT_NEVER;
	left = (int32_t)(t->tw_due[t->tw_ring[t->tw_head]] - t->now_ms);
	return (t->now / MT_MSEC + (uint32_t)MT_MAX(left, 0)) * MT_MSEC;
}
