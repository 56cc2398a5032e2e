/* SPDX-License-Identifier: Apache-2.0 */
/* The sender's scoreboard (RFC 2018 §5, RFC 6675 §3-§4) and reported duplicates (RFC 2883). */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

struct mt_tcp_loss *mt_tcp_loss_get(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct mt_tcp_loss *l = mt_tcp_loss(t, c);

	if (l)
		return l;
	/* There are as many as connections, so this cannot fail. */
	l = mt_slab_alloc(&t->losses, NULL);
	MT_ASSERT(l);
	c->loss = mt_slab_idx(&t->losses, l) + 1;
	l->fack = l->resent = c->snd_una;
	l->credit = MT_TCP_WALK_MAX;
	l->fin_mark = t->now_us; /* the latest time when it can have been sent */
	return l;
}

/* Adds [start, end); returns the bytes that are new, also 0 if there is no room for the range. */
static uint32_t add(struct mt_tcp_loss *l, uint32_t start, uint32_t end)
{
	uint32_t i = 0, j, old = 0;

	while (i < l->n && mt_seq_lt(l->r[i].end, start))
		i++;
	for (j = i; j < l->n && mt_seq_leq(l->r[j].start, end); j++) {
		old += l->r[j].end - l->r[j].start;
		start = mt_seq_min(start, l->r[j].start);
		end = mt_seq_max(end, l->r[j].end);
	}
	if (i == j) {
		if (l->n == MT_TCP_SACKED_MAX)
			return 0; /* SACK is advisory: dropping it costs at most a retransmission */
		memmove(&l->r[i + 1], &l->r[i], (l->n - i) * sizeof(l->r[0]));
		l->n++;
	} else if (j > i + 1) {
		memmove(&l->r[i + 1], &l->r[j], (l->n - j) * sizeof(l->r[0]));
		l->n -= j - i - 1;
	}
	l->r[i] = (struct mt_tcp_block){start, end};
	l->sacked += end - start - old;
	return end - start - old;
}

uint32_t mt_tcp_sack_in(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg)
{
	uint32_t una = mt_seq_max(seg->ack, c->snd_una), fresh = 0;

	for (uint32_t i = 0; i < seg->n_sack; i++) {
		struct mt_tcp_block b = seg->sack[i];

		/* Blocks are untrusted: only outstanding data counts; below una it is a D-SACK. */
		if (!mt_seq_lt(b.start, b.end) || mt_seq_lt(b.start, una) ||
			mt_seq_gt(b.end, c->snd_nxt))
			continue;
		fresh += add(mt_tcp_loss_get(t, c), b.start, b.end);
	}
	return fresh;
}

bool mt_tcp_dsack_in(
	const struct mt_tcp_conn *c, const struct mt_tcp_seg *seg, struct mt_tcp_block *dup)
{
	struct mt_tcp_block b = seg->sack[0];

	if (mt_mutant(MT_MUTANT_dsack_ignored) || !mt_seq_lt(b.start, b.end) ||
		mt_seq_gt(b.end, c->snd_nxt) ||
		mt_seq_lt(b.start, c->snd_una - MT_MAX(c->max_wnd, 65535u)))
		return false; /* not about recently sent data */
	if (c->s.silent && b.end - b.start == 1)
		return false; /* about a probe */
	*dup = b;
	if (mt_seq_leq(b.end, seg->ack))
		return true;
	return seg->n_sack > 1 && mt_seq_leq(seg->sack[1].start, b.start) &&
	       mt_seq_geq(seg->sack[1].end, b.end);
}

void mt_tcp_sack_advance(struct mt_tcp_conn *c, struct mt_tcp_loss *l)
{
	uint32_t una = c->snd_una, gone = 0;

	while (gone < l->n && mt_seq_leq(l->r[gone].end, una)) {
		l->sacked -= l->r[gone].end - l->r[gone].start;
		gone++;
	}
	if (gone) {
		memmove(&l->r[0], &l->r[gone], (l->n - gone) * sizeof(l->r[0]));
		l->n -= gone;
	}
	if (l->n && mt_seq_lt(l->r[0].start, una)) {
		l->sacked -= una - l->r[0].start;
		l->r[0].start = una;
	}
}

uint32_t mt_tcp_unsacked(const struct mt_tcp_loss *l, uint32_t from, uint32_t to)
{
	uint32_t n = to - from;

	if (!mt_seq_lt(from, to))
		return 0;
	for (uint32_t i = 0; i < l->n && mt_seq_lt(l->r[i].start, to); i++) {
		uint32_t a = mt_seq_max(l->r[i].start, from), b = mt_seq_min(l->r[i].end, to);

		if (mt_seq_lt(a, b))
			n -= b - a;
	}
	return n;
}

uint32_t mt_tcp_pipe(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	const struct mt_tcp_loss *l = mt_tcp_loss(t, c);
	uint32_t flight = mt_tcp_flight(c), gone;

	/*
	 * Without SACK each duplicate ACK stands for a segment that arrived (RFC 5681 §3.2 step 4).
	 */
	gone = c->flags & MT_CF_SACK ? 0 : MT_MIN(c->dup_acks * c->cc.mss, flight);
	if (l)
		gone += l->sacked + l->lost;
	return flight > gone ? flight - gone : 0;
}
