/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RACK (RFC 8985 §6): a segment is lost when one that was sent later has arrived and a reordering
 * window has passed. Each buffer's mark has the time when it was sent; a walk over the send queue
 * ends at the first buffer that was sent after all that arrived.
 *
 * Walks have a budget. Otherwise a peer that reports byte by byte, or a thousand segments in
 * flight, would make each ACK very costly.
 */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

#define DUP_THRESH   3
#define REO_PERSIST  16 /* recoveries for which a widened window lasts (§6.2 step 4) */
#define REO_MULT_MAX 64
#define DEBT_MAX                                                                                   \
	16384 /* limit of the debt in buffers; a longer walk adds no more than this limit */
/* Maximum number of buffers that are joined into one retransmitted segment. */
#define JOINED_MAX 64
/* Rate limit of deferred walks, in buffers per millisecond. */
#define WALK_PER_MS 1024
/* Timestamps tick in ms, so a smaller difference to an echoed timestamp is not significant. */
#define ECHO_SLACK_MS 1

/* Position of a walk: one buffer of the send queue. */
struct walk {
	struct rte_mbuf *m;
	uint32_t seq, end; /* its part that was sent */
	uint32_t unsacked; /* bytes of that part that are not SACKed */
	uint32_t range;	   /* index of the first range of the scoreboard that ends after seq */
	uint32_t n;	   /* buffers visited */
};

static void walk_paid(struct mt_tcp *t, struct mt_tcp_loss *l, const struct walk *w)
{
	t->rack_walked += w->n;
	l->credit = MT_MAX(l->credit - (int32_t)w->n, -DEBT_MAX);
}

static struct walk walk_start(const struct mt_tcp_conn *c)
{
	return (struct walk){.end = c->snd_una};
}

static bool walk_next(const struct mt_tcp_conn *c, const struct mt_tcp_loss *l, struct walk *w)
{
	w->m = w->m ? mt_link(w->m)->next : c->tx.head;
	if (!w->m || !mt_seq_lt(w->end, c->snd_nxt))
		return false;
	w->n++;
	w->seq = w->end;
	w->end = mt_seq_min(w->seq + mt_link(w->m)->len, c->snd_nxt);
	w->unsacked = w->end - w->seq;
	while (w->range < l->n && mt_seq_leq(l->r[w->range].end, w->seq))
		w->range++;
	for (uint32_t i = w->range; i < l->n && mt_seq_lt(l->r[i].start, w->end); i++)
		w->unsacked -= mt_seq_min(l->r[i].end, w->end) - mt_seq_max(l->r[i].start, w->seq);
	return true;
}

static bool fin_outstanding(const struct mt_tcp_conn *c, const struct mt_tcp_loss *l)
{
	if (!(c->flags & MT_CF_FIN_SENT) || c->flags & MT_CF_FIN_ACKED)
		return false;
	return l->n == 0 || l->r[l->n - 1].end != c->snd_nxt;
}

/* RACK_sent_after() */
static bool after(uint32_t us, uint32_t end, uint32_t than_us, uint32_t than_end)
{
	return mt_seq_gt(us, than_us) || (us == than_us && mt_seq_gt(end, than_end));
}

/* §6.2 step 2: true if the answer may be to an earlier copy. */
static bool ambiguous(const struct mt_tcp *t, const struct mt_tcp_conn *c,
	const struct mt_tcp_seg *seg, uint32_t rtt)
{
	uint32_t sent_ts = mt_tcp_ts_now(t, c->ts_off) - rtt / 1000;

	if (!seg) /* several ACKs: unknown which of them */
		return true;
	if (c->flags & MT_CF_TS && seg->has & MT_TCP_HAS_TS &&
		mt_seq_lt(seg->tsecr, sent_ts - ECHO_SLACK_MS))
		return true;
	return rtt < c->min_rtt_us;
}

/* A whole buffer arrived: RACK_update(), RACK_detect_reordering(). */
static void delivered(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l,
	const struct mt_tcp_seg *seg, uint64_t mark, uint32_t end)
{
	uint32_t us = (uint32_t)mark, rtt = t->now_us - us;

	if (mt_seq_gt(end, l->fack))
		l->fack = end;
	else if (!(mark & MT_TX_RETRANS) && mt_seq_lt(end, l->fack))
		c->flags |= MT_CF_REORDERED;
	if (mark & MT_TX_RETRANS && ambiguous(t, c, seg, rtt))
		return;
	if (l->rack_set && !after(us, end, l->rack_us, l->rack_end))
		return;
	l->rack_set = true;
	l->rack_us = us;
	l->rack_end = end;
	l->rack_rtt_us = rtt;
}

uint32_t mt_tcp_rack_acked(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l,
	const struct mt_tcp_seg *seg, uint32_t bytes)
{
	struct walk w = walk_start(c);
	uint32_t to = c->snd_una + bytes, sample = 0;

	while (walk_next(c, l, &w) && mt_seq_leq(w.end, to)) {
		uint64_t mark = mt_link(w.m)->mark;

		/* The buffer is freed next, so the lost list starts at its successor. */
		if (w.m == l->todo && w.end - w.seq == mt_link(w.m)->len) {
			l->todo = mt_link(w.m)->next;
			l->todo_seq = w.end;
		}
		if (w.end - w.seq < mt_link(w.m)->len || mark & MT_TX_SACKED)
			continue;
		delivered(t, c, l, seg, mark, w.end);
		sample = mark & MT_TX_RETRANS ? 0 : MT_MAX(t->now_us - (uint32_t)mark, 1u);
	}
	if (l->todo && mt_seq_lt(l->todo_seq, to))
		/* the buffer's front is freed next, so its remainder starts there */
		l->todo_seq = to;
	return sample;
}

/*
 * RACK_update_reo_wnd(): 0 if no reordering was seen yet and either recovery is in progress or
 * enough was SACKed.
 */
static uint32_t reo_wnd(const struct mt_tcp_conn *c, const struct mt_tcp_loss *l)
{
	uint32_t rtt;

	if (mt_mutant(MT_MUTANT_no_reorder_window))
		return 0;
	if (!(c->flags & MT_CF_REORDERED) &&
		(c->mode != MT_TCP_OPEN || l->sacked >= DUP_THRESH * c->cc.mss ||
			l->n >= DUP_THRESH))
		return 0;
	rtt = c->min_rtt_us ? c->min_rtt_us : l->rack_rtt_us;
	return MT_MIN((1u + c->reo_mult) * (rtt / 4), MT_MAX(c->srtt_us, rtt));
}

void mt_tcp_rack_dsack(struct mt_tcp_conn *c, struct mt_tcp_loss *l)
{
	if (l->dsack_round_set && mt_seq_lt(c->snd_una, l->dsack_round))
		return;
	l->dsack_round_set = true;
	l->dsack_round = c->snd_nxt;
	c->reo_mult = (uint8_t)MT_MIN(c->reo_mult + 1, REO_MULT_MAX);
	c->reo_persist = REO_PERSIST;
}

/* Adds a buffer that is lost and waits to be sent again. */
static void note_lost(struct mt_tcp_loss *l, const struct walk *w)
{
	uint32_t bytes = w->unsacked;

	if (mt_seq_gt(l->resume, w->seq) && mt_seq_lt(l->resume, w->end))
		bytes = mt_tcp_unsacked(l, l->resume, w->end);
	l->lost += bytes;
	if (l->todo)
		return;
	l->todo = w->m;
	l->todo_seq = w->seq;
}

/* Uses the timer of the retransmission timeout for `wait_us`; 0: gives it back. */
static void reo_timer(
	struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l, uint32_t wait_us)
{
	uint32_t at;

	if (c->flags & MT_CF_REO)
		c->at[MT_TCP_AT_RTO] = l->rto_at;
	c->flags &= ~MT_CF_REO;
	if (wait_us == 0)
		return;
	at = mt_tcp_in(t, wait_us / 1000);
	if (c->at[MT_TCP_AT_RTO] && mt_seq_leq(c->at[MT_TCP_AT_RTO], at))
		return;
	l->rto_at = c->at[MT_TCP_AT_RTO];
	c->at[MT_TCP_AT_RTO] = at;
	c->flags |= MT_CF_REO;
}

/* Time in us until a segment sent at `us` counts as lost; 0: it is lost. */
static uint32_t patience(
	const struct mt_tcp *t, const struct mt_tcp_loss *l, uint32_t us, uint32_t reo)
{
	uint32_t age = t->now_us - us, limit = l->rack_rtt_us + reo;

	return age >= limit ? 0 : limit - age;
}

static void detect_fin(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l, uint32_t reo)
{
	if (!fin_outstanding(c, l))
		return;
	if (l->rack_set && after(l->rack_us, l->rack_end, (uint32_t)l->fin_mark, c->snd_nxt) &&
		patience(t, l, (uint32_t)l->fin_mark, reo) == 0)
		l->fin_mark |= MT_TX_LOST;
	if (l->fin_mark & MT_TX_LOST)
		l->lost++;
}

void mt_tcp_rack_detect(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l)
{
	struct walk w = walk_start(c);
	uint32_t reo = reo_wnd(c, l), wait = 0;

	l->lost = 0;
	l->todo = NULL;
	while (walk_next(c, l, &w)) {
		uint64_t *mark = &mt_link(w.m)->mark;
		uint32_t left;

		if (w.unsacked == 0)
			continue;
		if (*mark & MT_TX_LOST) {
			note_lost(l, &w);
			continue;
		}
		if (!l->rack_set || !after(l->rack_us, l->rack_end, (uint32_t)*mark, w.end)) {
			if (!(*mark & MT_TX_RETRANS))
				break; /* what follows was sent later */
			continue;
		}
		left = patience(t, l, (uint32_t)*mark, reo);
		wait = MT_MAX(wait, left);
		if (left)
			continue;
		*mark |= MT_TX_LOST;
		note_lost(l, &w);
	}
	walk_paid(t, l, &w);
	detect_fin(t, c, l, reo);
	reo_timer(t, c, l, wait);
}

/*
 * Marks buffers that arrived whole since the last walk; `seg`: the ACK that reported them, NULL:
 * several ACKs.
 */
static void mark_sacked(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l,
	const struct mt_tcp_seg *seg)
{
	uint32_t top = l->n ? l->r[l->n - 1].end : c->snd_una;
	struct walk w = walk_start(c);

	while (walk_next(c, l, &w) && mt_seq_lt(w.seq, top)) {
		uint64_t *mark = &mt_link(w.m)->mark;

		if (w.unsacked || *mark & MT_TX_SACKED)
			continue;
		delivered(t, c, l, seg, *mark, w.end);
		*mark |= MT_TX_SACKED;
	}
	walk_paid(t, l, &w);
	l->put_off = false;
}

/* Defers the walk until later ACKs have earned credit or the reordering timer fires. */
static void put_off(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l, uint32_t news)
{
	uint32_t debt = (uint32_t)-l->credit / WALK_PER_MS;
	uint32_t at = mt_tcp_in(t, MT_MAX(c->srtt_us / 8000, debt));

	l->put_off = true;
	/*
	 * Some of the news may have been counted as lost. Subtracting all of it errs towards more
	 * in flight.
	 */
	l->lost -= MT_MIN(l->lost, news);
	if (c->at[MT_TCP_AT_RTO] && mt_seq_leq(c->at[MT_TCP_AT_RTO], at))
		return;
	if (!(c->flags & MT_CF_REO))
		l->rto_at = c->at[MT_TCP_AT_RTO];
	c->at[MT_TCP_AT_RTO] = at;
	c->flags |= MT_CF_REO;
}

void mt_tcp_rack_sacked(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l,
	const struct mt_tcp_seg *seg, uint32_t news)
{
	if (l->n && c->flags & MT_CF_TLP) { /* §7.2: no tail loss probe while something is SACKed */
		c->flags &= ~MT_CF_TLP;
		c->at[MT_TCP_AT_RTO] = mt_tcp_in(t, c->rto_ms);
	}
	l->credit = MT_MIN(l->credit + MT_TCP_WALK_ACK, MT_TCP_WALK_MAX);
	if (mt_unlikely(l->credit < 0)) {
		put_off(t, c, l, news);
		return;
	}
	mark_sacked(t, c, l, l->put_off ? NULL : seg);
	mt_tcp_rack_detect(t, c, l);
}

void mt_tcp_rack_timeout(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct mt_tcp_loss *l = mt_tcp_loss(t, c);

	mt_tcp_cell(c->state, MT_TCP_CELL_REO);
	c->flags &= ~MT_CF_REO;
	c->at[MT_TCP_AT_RTO] = l && l->rto_at ? l->rto_at : mt_tcp_in(t, c->rto_ms);
	if (!l)
		return;
	if (l->put_off)
		mark_sacked(t, c, l, NULL);
	mt_tcp_rack_detect(t, c, l);
	if (l->lost && c->mode == MT_TCP_OPEN)
		mt_tcp_recovery_enter(t, c);
	mt_tcp_mark(t, c);
}

void mt_tcp_lose(
	struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l, enum mt_tcp_lose what)
{
	uint32_t rtt = l->rack_set ? l->rack_rtt_us + reo_wnd(c, l) : c->srtt_us;
	struct walk w = walk_start(c);
	bool first = true;

	while (walk_next(c, l, &w)) {
		struct mt_link *k = mt_link(w.m);

		if (w.unsacked == 0)
			continue;
		if (first || what == MT_TCP_LOSE_ALL || t->now_us - (uint32_t)k->mark >= rtt)
			k->mark |= MT_TX_LOST;
		first = false;
	}
	if (fin_outstanding(c, l))
		l->fin_mark |= MT_TX_LOST;
	l->resume = c->snd_una;
	l->first_only = false;
	mt_tcp_rack_detect(t, c, l);
}

void mt_tcp_lose_first(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l)
{
	struct walk w = walk_start(c);
	uint32_t before = 0, resume = l->resume;

	l->resume = c->snd_una;
	l->first_only = true;
	if (!walk_next(c, l, &w)) {
		if (!fin_outstanding(c, l))
			return;
		l->fin_mark |= MT_TX_LOST;
		l->lost = MT_MAX(l->lost, 1u);
		return;
	}
	if (mt_link(w.m)->mark & MT_TX_LOST)
		before = mt_seq_gt(resume, w.seq) && mt_seq_lt(resume, w.end) ? w.end - resume
									      : w.unsacked;
	mt_link(w.m)->mark |= MT_TX_LOST;
	l->lost = MT_MAX(l->lost + w.unsacked - before, w.unsacked);
	/*
	 * buffers after the first are found from there, without a walk over everything sent again
	 */
	if (l->todo)
		return;
	l->lost = w.unsacked;
	detect_fin(t, c, l, reo_wnd(c, l));
	l->todo = w.m;
	l->todo_seq = w.seq;
}

void mt_tcp_sack_forget(struct mt_tcp_conn *c, struct mt_tcp_loss *l)
{
	struct walk w = walk_start(c);

	l->n = l->sacked = 0;
	while (walk_next(c, l, &w))
		mt_link(w.m)->mark &= ~MT_TX_SACKED;
}

void mt_tcp_unlose(struct mt_tcp_conn *c, struct mt_tcp_loss *l)
{
	struct walk w = walk_start(c);

	while (walk_next(c, l, &w))
		mt_link(w.m)->mark &= ~MT_TX_LOST;
	l->fin_mark &= ~MT_TX_LOST;
	l->lost = 0;
	l->todo = NULL;
}

/*
 * Moves *at to the first byte at or after it that is not SACKed, and returns how many follow; 0:
 * none below `end`. *range is an index into the scoreboard: ranges before it end before `at`;
 * initially 0.
 */
static uint32_t run_at(const struct mt_tcp_loss *l, uint32_t *range, uint32_t *at, uint32_t end)
{
	for (; *range < l->n; ++*range) {
		const struct mt_tcp_block *b = &l->r[*range];

		if (mt_seq_leq(b->end, *at))
			continue;
		if (mt_seq_gt(b->start, *at))
			return mt_seq_min(b->start, end) - *at;
		*at = b->end;
		if (mt_seq_geq(*at, end))
			return 0;
	}
	return end - *at;
}

/* Finds the lost run in buffer m, which starts at `seq`: its start in *at; returns its length. */
static uint32_t lost_in(const struct mt_tcp_conn *c, const struct mt_tcp_loss *l,
	const struct rte_mbuf *m, uint32_t seq, uint32_t *range, uint32_t *at)
{
	uint32_t end = mt_seq_min(seq + mt_link(m)->len, c->snd_nxt);

	*at = seq;
	if (!(mt_link(m)->mark & MT_TX_LOST) || !mt_seq_lt(seq, end))
		return 0;
	if (mt_seq_gt(l->resume, seq) && mt_seq_leq(l->resume, end))
		*at = l->resume;
	return mt_seq_lt(*at, end) ? run_at(l, range, at, end) : 0;
}

/* Moves l->todo to the next buffer with lost bytes, [*seq, *seq + *len); false: there is none. */
static bool go_to_lost(const struct mt_tcp_conn *c, struct mt_tcp_loss *l, uint32_t *range,
	uint32_t *seq, uint32_t *len)
{
	for (; l->todo; l->todo_seq += mt_link(l->todo)->len, l->todo = mt_link(l->todo)->next) {
		*len = lost_in(c, l, l->todo, l->todo_seq, range, seq);
		if (*len)
			return true;
	}
	return false;
}

bool mt_tcp_next_lost(const struct mt_tcp_conn *c, struct mt_tcp_loss *l, uint32_t mss,
	uint32_t *seq, uint32_t *len)
{
	struct rte_mbuf *m = c->tx.head;
	uint32_t at = c->snd_una, range = 0, joined = 0, next;

	*len = l->first_only && m ? lost_in(c, l, m, at, &range, seq) : 0;
	if (*len == 0) {
		if (!go_to_lost(c, l, &range, seq, len)) {
			*seq = c->snd_nxt - 1;
			*len = l->fin_mark & MT_TX_LOST && fin_outstanding(c, l);
			return *len > 0;
		}
		m = l->todo;
		at = l->todo_seq;
	}
	/*
	 * Join small buffers. Not all that fit, because each ACK repeats this search while sending
	 * is not allowed.
	 */
	while (*len < mss && ++joined < JOINED_MAX && *seq + *len == at + mt_link(m)->len) {
		uint32_t more;

		at += mt_link(m)->len;
		m = mt_link(m)->next;
		more = m ? lost_in(c, l, m, at, &range, &next) : 0;
		if (more == 0 || next != at)
			break;
		*len += more;
	}
	return true;
}

/* Updates one buffer of what was sent again. */
static void resent_one(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l,
	struct rte_mbuf *m, uint32_t seq, uint32_t to)
{
	uint32_t end = mt_seq_min(seq + mt_link(m)->len, c->snd_nxt), at = to, range = 0;
	uint64_t *mark = &mt_link(m)->mark;

	if (*mark & MT_TX_LOST && mt_seq_lt(to, end) && run_at(l, &range, &at, end)) {
		if (!l->first_only) {
			l->resume = to;
			return;
		}
		/*
		 * Only one segment is known to be missing. If more counted as lost, every later
		 * buffer would be walked over for it.
		 */
		l->lost -= MT_MIN(l->lost, end - to);
	}
	*mark = (*mark & MT_TX_ACK) | t->now_us | MT_TX_RETRANS;
}

void mt_tcp_resent(
	struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l, uint32_t seq, uint32_t len)
{
	struct rte_mbuf *m = l->todo ? l->todo : c->tx.head;
	uint32_t at = l->todo ? l->todo_seq : c->snd_una, to = seq + len;

	if (l->todo && mt_seq_lt(seq, at)) {
		m = c->tx.head;
		at = c->snd_una;
	}
	for (; m && mt_seq_lt(at, to); at += mt_link(m)->len, m = mt_link(m)->next)
		if (mt_seq_gt(at + mt_link(m)->len, seq))
			resent_one(t, c, l, m, at, to);
	l->resent = mt_seq_max(mt_seq_max(l->resent, c->snd_una), to);
	if (to == c->snd_nxt && c->flags & MT_CF_FIN_SENT)
		l->fin_mark = t->now_us | MT_TX_RETRANS;
	l->lost -= MT_MIN(l->lost, len);
}
