/* SPDX-License-Identifier: Apache-2.0 */
/* The sender's scoreboard (RFC 2018 §5, RFC 6675 §3-§4). */
#include "mt_tcp_priv.h"

#define DUP_THRESH 3

struct mt_tcp_loss *mt_tcp_loss_get(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct mt_tcp_loss *l = mt_tcp_loss(t, c);

	if (l)
		return l;
	/* As many as connections, so this can't fail. */
	l = mt_slab_alloc(&t->losses, NULL);
	MT_ASSERT(l);
	c->loss = mt_slab_idx(&t->losses, l) + 1;
	l->high_rxt = l->lost_to = c->snd_una;
	return l;
}

/* Adds [start, end); returns the bytes that are new, 0 also when there is no room for the range. */
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
			return 0; /* SACK is advice: forgetting costs a retransmission at most */
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

		/* Blocks come from outside: only what is outstanding counts; below una is D-SACK. */
		if (!mt_seq_lt(b.start, b.end) || mt_seq_lt(b.start, una) ||
			mt_seq_gt(b.end, c->snd_nxt))
			continue;
		fresh += add(mt_tcp_loss_get(t, c), b.start, b.end);
	}
	return fresh;
}

/*
 * IsLost(): DupThresh ranges, or more than (DupThresh - 1) * SMSS bytes, were SACKed above. The answer
 * only changes at ranges, so one walk from the top finds the highest place for which it is yes.
 */
static void raise_lost(const struct mt_tcp_conn *c, struct mt_tcp_loss *l)
{
	uint32_t above = 0;

	for (uint32_t i = l->n; i-- > 0;) {
		above += l->r[i].end - l->r[i].start;
		if (l->n - i >= DUP_THRESH || above > (DUP_THRESH - 1) * c->cc.mss) {
			l->lost_to = mt_seq_max(l->lost_to, l->r[i].start);
			return;
		}
	}
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
	l->high_rxt = mt_seq_max(l->high_rxt, una);
	l->lost_to = mt_seq_max(l->lost_to, una);
	if (mt_seq_leq(l->pos_seq, una))
		l->pos_seg = NULL;
	raise_lost(c, l);
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
	uint32_t flight = mt_tcp_flight(c), gone, again = 0;

	/* Without SACK each duplicate ACK stands for a segment that arrived (RFC 5681 §3.2 step 4). */
	gone = c->flags & MT_CF_SACK ? 0 : MT_MIN(c->dup_acks * c->cc.mss, flight);
	if (l) {
		gone += l->sacked + mt_tcp_unsacked(l, c->snd_una, l->lost_to);
		again = mt_tcp_unsacked(l, c->snd_una, l->high_rxt);
	}
	return flight + again > gone ? flight + again - gone : 0;
}

bool mt_tcp_next_lost(const struct mt_tcp_conn *c, const struct mt_tcp_loss *l, uint32_t limit,
	uint32_t *seq, uint32_t *len)
{
	uint32_t at = mt_seq_max(l->high_rxt, c->snd_una), end = limit;

	for (uint32_t i = 0; i < l->n; i++) {
		if (mt_seq_leq(l->r[i].end, at))
			continue;
		if (mt_seq_leq(l->r[i].start, at)) {
			at = l->r[i].end;
			continue;
		}
		end = mt_seq_min(end, l->r[i].start);
		break;
	}
	if (!mt_seq_lt(at, end))
		return false;
	*seq = at;
	*len = end - at;
	return true;
}
