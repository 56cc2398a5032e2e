/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment input: staged passes over the burst, then the fast or the slow path for each segment. The
 * fast path is for an established connection without loss, in sequence, with nothing unusual. Each
 * check for something unusual is a named function.
 */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

void mt_tcp_drop(struct mt_tcp *t, struct mt_tcp_seg *seg, enum mt_tcp_outcome why)
{
	mt_tcp_note(t, why);
	mt_buf_free(seg->m);
	seg->m = NULL;
}

/* Records the state and segment (mt_tcp_cell_priv.h); compiled only with MT_MUTANTS. */
static inline void visit(enum mt_tcp_state state, const void *object, const struct mt_tcp_seg *seg)
{
	mt_cell(state, mt_tcp_state_name(state), seg->flags, seg->len > 0);
	mt_tcp_cell_segment(state, object, seg);
}

static inline bool q_flags(const struct mt_tcp_seg *seg)
{
	return (seg->flags & (MT_TCP_FIN | MT_TCP_SYN | MT_TCP_RST | MT_TCP_ACK | MT_TCP_ECE |
				     MT_TCP_CWR)) != MT_TCP_ACK;
}

static inline bool q_options(const struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	if (seg->n_sack || seg->has & MT_TCP_HAS_CE)
		return true;
	if (!(c->flags & MT_CF_TS))
		return false;
	/* RFC 7323 §3.2: once agreed, every segment carries them; §5.3: PAWS */
	return !(seg->has & MT_TCP_HAS_TS) || mt_seq_lt(seg->tsval, c->ts_recent);
}

static inline bool q_sequence(const struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	return seg->seq != c->rcv_nxt || seg->len > mt_tcp_rcv_wnd(c) || c->ooo;
}

static inline bool q_ack(const struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	uint32_t acked = seg->ack - c->snd_una, flight = mt_tcp_flight(c);

	if (acked > flight)
		return true;
	return acked == 0 && flight > 0 && seg->len == 0; /* maybe a duplicate ACK */
}

static inline bool q_loss(const struct mt_tcp_conn *c)
{
	return c->mode | c->loss | c->dup_acks;
}

static inline bool q_memory(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	return t->pressure > 0 || mt_tcp_rx_much(c);
}

static inline bool unusual(
	const struct mt_tcp *t, const struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	return c->state != MT_TCP_ESTABLISHED || q_flags(seg) || q_options(c, seg) ||
	       q_sequence(c, seg) || q_ack(c, seg) || q_loss(c) || q_memory(t, c) ||
	       (c->flags & (MT_CF_PERSIST | MT_CF_DETACHED | MT_CF_REFUSES)) || seg->wnd == 0 ||
	       t->conf.slow_path_only;
}

static void fast(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	if (c->flags & MT_CF_TS &&
		(mt_seq_leq(seg->seq, c->last_ack) || mt_mutant(MT_BREAK_ts_recent_of_any)))
		c->ts_recent = seg->tsval; /* RFC 7323 §4.3 */
	c->rcvd_ms = t->now_ms;
	c->retries = 0;
	c->snd_wnd = (uint32_t)seg->wnd << c->snd_scale;
	c->max_wnd = MT_MAX(c->max_wnd, c->snd_wnd);
	c->snd_wl1 = seg->seq;
	c->snd_wl2 = seg->ack;
	if (seg->ack != c->snd_una)
		mt_tcp_ack_plain(t, c, seg);
	if (seg->len > 0)
		mt_tcp_take(t, c, seg);
	mt_buf_free(seg->m);
	seg->m = NULL;
	mt_tcp_mark(t, c);
}

static mt_noinline void slow(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	switch (mt_tcp_dispatch((enum mt_tcp_state)c->state, seg->flags)) {
	case MT_TCP_DO_SYN_SENT:
		mt_tcp_syn_sent(t, c, seg);
		break;
	case MT_TCP_DO_ARRIVES:
		mt_tcp_arrives(t, c, seg);
		break;
	default:
		mt_tcp_drop(t, seg, MT_TCP_flags_illegal);
	}
	mt_buf_free(seg->m);
	seg->m = NULL;
	mt_tcp_mark(t, c);
}

/* No connection: passes the segment to a listener, otherwise answers with a RST. */
static mt_noinline void miss(struct mt_tcp *t, struct mt_tcp_seg *seg)
{
	bool listens = false;

	if (mt_unlikely(t->ignores_syns) &&
		(seg->flags & (MT_TCP_SYN | MT_TCP_ACK)) == MT_TCP_SYN) {
		mt_tcp_drop(t, seg, MT_TCP_syns_ignored);
		return;
	}
	/* An ACK gets a RST even if there is a listener, unless cookies are outstanding. */
	if (!(seg->flags & MT_TCP_ACK) || t->now < t->cookie_until)
		listens = t->listen && t->listen->lookup(t->listen_arg, &seg->tuple.local,
					       seg->tuple.lport) >= 0;
	visit(listens ? MT_TCP_LISTEN : MT_TCP_CLOSED, NULL, seg);
	switch (mt_tcp_dispatch(listens ? MT_TCP_LISTEN : MT_TCP_CLOSED, seg->flags)) {
	case MT_TCP_DO_LISTEN:
		mt_tcp_listen_syn(t, seg, 0);
		break;
	case MT_TCP_DO_COOKIE:
		mt_tcp_cookie_ack(t, seg);
		break;
	case MT_TCP_DO_RESET:
		mt_tcp_reset_reply(t, seg);
		mt_tcp_note(t, MT_TCP_no_connection);
		break;
	default:
		mt_tcp_note(t, MT_TCP_no_connection);
	}
	mt_buf_free(seg->m);
	seg->m = NULL;
}

/* Processes a segment for a half-open or TIME-WAIT record. */
static mt_noinline void record(struct mt_tcp *t, struct mt_tcp_seg *seg, uint32_t val)
{
	uint32_t idx = mt_tcp_val_idx(val);
	bool half = mt_tcp_val_kind(val) == MT_TCP_KIND_HALF;

	visit(half ? MT_TCP_HALF_OPEN : MT_TCP_TIME_WAIT,
		half ? mt_slab_at(&t->halves, idx) : mt_slab_at(&t->tws, idx), seg);
	switch (mt_tcp_dispatch(half ? MT_TCP_HALF_OPEN : MT_TCP_TIME_WAIT, seg->flags)) {
	case MT_TCP_DO_HALF:
		mt_tcp_half_input(t, mt_slab_at(&t->halves, idx), seg);
		break;
	case MT_TCP_DO_TIME_WAIT:
		mt_tcp_tw_input(t, mt_slab_at(&t->tws, idx), seg);
		break;
	default:
		mt_tcp_drop(t, seg, MT_TCP_flags_illegal);
	}
	mt_buf_free(seg->m);
	seg->m = NULL;
}

/* Returns the table's value for this segment: nearly always the one found by the prefetch. */
static inline uint32_t entry(const struct mt_tcp *t, const struct mt_tcp_seg *seg)
{
	if (mt_likely(seg->val != MT_TABLE_NONE && mt_tcp_val_kind(seg->val) == MT_TCP_KIND_CONN)) {
		const struct mt_tcp_conn *c = mt_slab_at(&t->conns, mt_tcp_val_idx(seg->val));

		/*
		 * Connections are freed at the end of a loop iteration, so `c` is still a valid
		 * object.
		 */
		if (mt_likely(c->flags & MT_CF_IN_TABLE && mt_tuple_eq(&c->tuple, &seg->tuple)))
			return seg->val;
	}
	return mt_tcp_find(t, &seg->tuple, seg->hash);
}

void mt_tcp_segment(struct mt_tcp *t, struct mt_tcp_seg *seg)
{
	uint32_t val = entry(t, seg);
	struct mt_tcp_conn *c;

	if (mt_unlikely(val == MT_TABLE_NONE)) {
		miss(t, seg);
		return;
	}
	if (mt_unlikely(mt_tcp_val_kind(val) != MT_TCP_KIND_CONN)) {
		record(t, seg, val);
		return;
	}
	c = mt_slab_at(&t->conns, mt_tcp_val_idx(val));
	visit((enum mt_tcp_state)c->state, c, seg);
	if (mt_likely(!unusual(t, c, seg)))
		fast(t, c, seg);
	else
		slow(t, c, seg);
}

/*
 * Keys are compared again at the last stage: an earlier segment of the burst may have changed the
 * table.
 */
void mt_tcp_burst(struct mt_tcp *t, struct rte_mbuf **pkts, uint16_t n)
{
	struct mt_tcp_seg segs[MT_TCP_BURST];
	uint32_t k = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (mt_unlikely(!mt_tcp_parse(t, pkts[i], &segs[k]))) {
			mt_buf_free(pkts[i]);
			continue;
		}
		segs[k].hash = mt_tcp_hash(t, &segs[k].tuple);
		mt_table_prefetch(&t->table, segs[k].hash);
		k++;
	}
	for (uint32_t i = 0; i < k; i++)
		segs[i].val = mt_tcp_prefetch(t, segs[i].hash);
	for (uint32_t i = 0; i < k; i++)
		mt_tcp_prefetch_queue(t, segs[i].val);
	for (uint32_t i = 0; i < k; i++)
		mt_tcp_segment(t, &segs[i]);
	mt_count_n(t->counters, MT_TCP_segments_in, k);
}

void mt_tcp_input(struct mt_tcp *t, struct rte_mbuf **pkts, uint16_t n)
{
	while (n > 0) {
		uint16_t part = MT_MIN(n, (uint16_t)MT_TCP_BURST);

		mt_traced(t->trace) ? mt_tcp_trace_burst(t, pkts, part)
				    : mt_tcp_burst(t, pkts, part);
		pkts += part;
		n -= part;
	}
}
