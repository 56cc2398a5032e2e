/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The out-of-order queue: ranges with their own chains, sorted, disjoint, never touching. Its
 * contents were reported by SACK; they are dropped only under memory pressure (RFC 2018 §8 allows
 * that).
 */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

#define SPARSE_TIMES 4 /* as for in-order data: mt_tcp_take() */

static uint32_t end_of(const struct mt_tcp_range *r)
{
	return r->seq + r->data.len;
}

static void release(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	mt_slab_free(&t->ooos, mt_tcp_ooo(t, c));
	c->ooo = 0;
}

void mt_tcp_ooo_free(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct mt_tcp_ooo *o = mt_tcp_ooo(t, c);

	if (!o)
		return;
	for (uint32_t i = 0; i < o->n; i++)
		mt_chain_free(&o->r[i].data);
	release(t, c);
}

static void remove_range(struct mt_tcp_ooo *o, uint32_t i)
{
	memmove(&o->r[i], &o->r[i + 1], (o->n - i - 1) * sizeof(o->r[0]));
	o->n--;
}

static void count_memory(struct mt_tcp_ooo *o)
{
	o->bytes = o->truesize = 0;
	for (uint32_t i = 0; i < o->n; i++) {
		o->bytes += o->r[i].data.len;
		o->truesize += o->r[i].data.truesize;
	}
}

void mt_tcp_dup_note(struct mt_tcp_conn *c, uint32_t seq, uint32_t len)
{
	if (!(c->flags & MT_CF_SACK) || len == 0)
		return;
	c->flags |= MT_CF_DSACK | MT_CF_ACK_NOW;
	c->dup_seq = seq;
	c->dup_len = (uint16_t)MT_MIN(len, UINT16_MAX);
}

/* Trims the parts of the segment that ranges already hold, at its front and at its end. */
static bool trim_known(struct mt_tcp_conn *c, struct mt_tcp_ooo *o, struct mt_tcp_seg *seg)
{
	bool told = false;

	for (uint32_t i = 0; i < o->n && seg->len > 0; i++) {
		struct mt_tcp_range *r = &o->r[i];
		uint32_t seg_end = seg->seq + seg->len;

		if (mt_seq_leq(end_of(r), seg->seq) || mt_seq_geq(r->seq, seg_end))
			continue;
		r->stamp =
			++o->stamp; /* the range with the duplicate is reported directly after it */
		if (!told)	    /* RFC 2883 §4: report the first of several */
			mt_tcp_dup_note(c, mt_seq_max(r->seq, seg->seq),
				mt_seq_min(end_of(r), seg_end) - mt_seq_max(r->seq, seg->seq));
		told = true;
		if (mt_seq_leq(r->seq, seg->seq)) {
			uint32_t n = MT_MIN(end_of(r) - seg->seq, seg->len);

			seg->seq += n;
			seg->skip += n;
			seg->len -= n;
		} else if (mt_seq_geq(end_of(r), seg_end)) {
			seg->len = r->seq - seg->seq;
		}
	}
	return seg->len > 0;
}

/* Drops ranges that the segment covers completely, as it carries their bytes again. */
static void drop_covered(struct mt_tcp_ooo *o, const struct mt_tcp_seg *seg)
{
	for (uint32_t i = 0; i < o->n;) {
		struct mt_tcp_range *r = &o->r[i];

		if (mt_seq_geq(r->seq, seg->seq) && mt_seq_leq(end_of(r), seg->seq + seg->len)) {
			if (!mt_mutant(MT_MUTANT_leaked_mbuf))
				mt_chain_free(&r->data);
			remove_range(o, i);
		} else {
			i++;
		}
	}
}

/* Joins range i with its follower when they touch. */
static void join(struct mt_tcp_ooo *o, uint32_t i)
{
	if (i + 1 >= o->n || end_of(&o->r[i]) != o->r[i + 1].seq)
		return;
	mt_chain_concat(&o->r[i].data, &o->r[i + 1].data);
	o->r[i].stamp = MT_MAX(o->r[i].stamp, o->r[i + 1].stamp);
	remove_range(o, i + 1);
}

/*
 * Appends to a range that it touches (the common case: arrivals in order after a hole), or makes a
 * new one.
 */
static enum mt_tcp_outcome place(struct mt_tcp *t, struct mt_tcp_ooo *o, struct mt_tcp_seg *seg)
{
	uint32_t i = 0;

	while (i < o->n && mt_seq_lt(end_of(&o->r[i]), seg->seq))
		i++;
	if (i == o->n || end_of(&o->r[i]) != seg->seq) {
		if (o->n == MT_TCP_OOO_RANGES)
			return MT_TCP_ooo_full;
		memmove(&o->r[i + 1], &o->r[i], (o->n - i) * sizeof(o->r[0]));
		o->r[i] = (struct mt_tcp_range){.seq = seg->seq};
		o->n++;
	}
	if (!mt_tcp_payload(t, &o->r[i].data, seg)) {
		if (o->r[i].data.len == 0)
			remove_range(o, i);
		return MT_TCP_rx_no_memory;
	}
	o->r[i].stamp = ++o->stamp;
	join(o, i);
	return MT_TCP_ooo_queued;
}

static struct mt_tcp_ooo *get(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct mt_tcp_ooo *o = mt_tcp_ooo(t, c);

	if (o)
		return o;
	o = mt_slab_alloc(&t->ooos, NULL);
	MT_ASSERT(o); /* as many as connections */
	c->ooo = mt_slab_idx(&t->ooos, o) + 1;
	return o;
}

/*
 * True if the queue may pin one more segment: in-order and out-of-order data share the connection's
 * limit. A lower limit would drop what a sender with a large window has in flight after one hole.
 */
static bool fits(const struct mt_tcp *t, const struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	const struct mt_tcp_ooo *o = mt_tcp_ooo(t, c);
	uint32_t size = seg->m ? seg->m->nb_segs * mt_buf_truesize(seg->m) : 0;

	/*
	 * While memory is getting short, segments that pin much for few bytes are dropped; the peer
	 * sends them again.
	 */
	if (t->pressure > 0 && seg->len > 0 && size > SPARSE_TIMES * seg->len)
		return false;
	return t->pressure < 2 &&
	       (o ? o->truesize : 0) + c->s.rx.truesize + size <= mt_tcp_rx_limit(c);
}

void mt_tcp_ooo_insert(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg)
{
	bool fin = seg->flags & MT_TCP_FIN;
	uint32_t fin_seq = seg->seq + seg->len;
	struct mt_tcp_ooo *o;

	if (mt_unlikely(t->ledger.crowded) && seg->len > 0 && mt_tcp_crowded_out(t, c)) {
		mt_tcp_note(t, MT_TCP_rx_admission_limited);
		return;
	}
	/* RFC 5681 §4.2: ACK at once, one for each, so that the sender can count. */
	c->flags |= MT_CF_ACK_NOW;
	c->ooo_acks += c->ooo_acks < UINT8_MAX;
	if (!fits(t, c, seg)) {
		mt_tcp_note(t, MT_TCP_ooo_full);
		return;
	}
	o = get(t, c);
	if (fin) {
		o->has_fin = true;
		o->fin_seq = fin_seq;
	}
	if (seg->len > 0 && trim_known(c, o, seg)) {
		drop_covered(o, seg);
		mt_tcp_note(t, place(t, o, seg));
	} else if (!fin) {
		mt_tcp_note(t, MT_TCP_ooo_duplicate);
	}
	count_memory(o);
	if (o->n == 0 && !o->has_fin)
		release(t, c);
}

/*
 * Appends data that is now in order. Small pieces are copied into free space of the last buffer if
 * the queue would pin too much otherwise.
 */
static void deliver(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_chain *d)
{
	struct mt_chain *rx = &c->s.rx;

	while (d->len && mt_tcp_rx_sparse(c, d->len, d->truesize)) {
		uint32_t n = mt_link(d->head)->len;

		if (2 * n > mt_buf_truesize(d->head)) {
			(void)mt_chain_split(d, n, rx, t->pools); /* moves the buffer */
			continue;
		}
		if (mt_chain_write(rx, t->pools, mt_link_data(d->head), n))
			break;
		mt_tcp_note(t, MT_TCP_rx_coalesced);
		mt_chain_drop(d, n);
	}
	mt_chain_concat(rx, d);
}

bool mt_tcp_ooo_drain(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct mt_tcp_ooo *o = mt_tcp_ooo(t, c);
	uint32_t before = c->rcv_nxt;
	bool fin;

	while (o->n && mt_seq_leq(o->r[0].seq, c->rcv_nxt)) {
		struct mt_chain *d = &o->r[0].data;
		uint32_t old = MT_MIN(c->rcv_nxt - o->r[0].seq, d->len);

		/* the segment that filled the hole repeated these bytes */
		if (!(c->flags & MT_CF_DSACK))
			mt_tcp_dup_note(c, o->r[0].seq, old);
		if (!mt_mutant(MT_MUTANT_overlap_not_trimmed))
			mt_chain_drop(d, old);
		if (o->has_fin && mt_seq_geq(o->fin_seq, c->rcv_nxt) &&
			o->fin_seq - c->rcv_nxt < d->len)
			mt_chain_truncate(d, o->fin_seq - c->rcv_nxt); /* nothing follows a FIN */
		c->rcv_nxt += d->len;
		c->bytes_in += d->len;
		if (d->len)
			mt_tcp_event(t, c, MT_EV_READABLE);
		deliver(t, c, d);
		remove_range(o, 0);
	}
	if (c->rcv_nxt != before)
		mt_tcp_tune(t, c, c->rcv_nxt - before);
	if (!mt_mutant(MT_BREAK_hole_ack_delayed))
		c->flags |= MT_CF_ACK_NOW;
	count_memory(o);
	fin = o->has_fin && o->fin_seq == c->rcv_nxt;
	if (o->n == 0 && (!o->has_fin || mt_seq_leq(o->fin_seq, c->rcv_nxt)))
		release(t, c);
	return fin;
}

static bool newer(const struct mt_tcp_range *a, const struct mt_tcp_range *b)
{
	if (mt_mutant(MT_BREAK_sack_oldest_first))
		return mt_seq_lt(a->seq, b->seq);
	return a->stamp > b->stamp;
}

uint32_t mt_tcp_ooo_blocks(const struct mt_tcp_ooo *o, struct mt_tcp_block *blocks, uint32_t max)
{
	uint32_t last = UINT32_MAX, n;

	for (n = 0; n < max; n++) {
		const struct mt_tcp_range *best = NULL;

		for (uint32_t i = 0; i < o->n; i++)
			if (o->r[i].stamp < last && (!best || newer(&o->r[i], best)))
				best = &o->r[i];
		if (!best)
			break;
		blocks[n] = (struct mt_tcp_block){best->seq, end_of(best)};
		last = best->stamp;
	}
	return n;
}
