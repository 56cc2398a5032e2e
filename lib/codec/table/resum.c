/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checksums of a changed message. A message can be so long that a worker must not sum it in one
 * piece. decode() has found its sums right, so they follow by what the changed bytes make: the
 * difference of the old and the new bytes, moved by the number of bytes after them.
 */
#include "mt_mutant.h"
#include "sum.h"
#include "write.h"

#include <errno.h>

/* Bytes that the sums of one change may read. */
#define BYTES (4 * MT_CT_LEAD)

static bool spend(struct write_change *c, uint32_t n)
{
	if (n > c->may_sum)
		return false;
	c->may_sum -= n;
	return true;
}

/* Adds [off, end) of the message that r reads. False: they are too many, or not there. */
static bool add_old(struct write_change *c, struct table_run *r, const struct mt_ct_sum *sum,
	uint32_t off, uint32_t end, uint32_t *reg)
{
	const uint8_t *p;

	if (off < end && !spend(c, end - off))
		return false;
	for (uint32_t n; (n = table_piece(r, off, end, &p)) > 0; off += n)
		*reg = table_sum_add(sum, *reg, p, n);
	return off >= end;
}

static bool add_new(struct write_change *c, const struct mt_ct_sum *sum, const uint8_t *p,
	uint32_t n, uint32_t *reg)
{
	*reg = table_sum_add(sum, *reg, p, n);
	return spend(c, n);
}

/* ---- by the pieces of the change ------------------------------------------------------------- */

/* Pieces [first, end) of the change, and the range that a sum was of. */
struct part {
	uint32_t first, end, from, to;
};

static bool moves_none(const struct write_change *c, const struct part *in)
{
	for (uint32_t i = in->first; i < in->end; i++)
		if (c->piece[i].old != c->piece[i].len)
			return false;
	return true;
}

/* The pieces keep their lengths. */
static bool in_place(struct write_change *c, struct write_sum *s, const struct part *in)
{
	for (uint32_t i = in->first; i < in->end; i++) {
		const struct write_piece *w = &c->piece[i];
		uint32_t from = MT_MAX(w->off, in->from), to = MT_MIN(w->off + w->old, in->to);
		uint32_t was = 0, now = 0;

		if (from >= to)
			continue;
		if (!add_old(c, c->r, s->sum, from, to, &was) ||
			!add_new(c, s->sum, w->p + (from - w->off), to - from, &now))
			return false;
		s->reg = table_sum_differ(s->sum, s->reg, was, now, in->to - to);
	}
	return true;
}

/* Bytes count wherever they are. */
static bool anywhere(struct write_change *c, struct write_sum *s, const struct part *in)
{
	uint32_t was = 0, now = 0;

	for (uint32_t i = in->first; i < in->end; i++) {
		const struct write_piece *w = &c->piece[i];

		if (!add_old(c, c->r, s->sum, w->off, w->off + w->old, &was) ||
			!add_new(c, s->sum, w->p, w->len, &now))
			return false;
	}
	s->reg = table_sum_differ(s->sum, s->reg, was, now, 0);
	return true;
}

/* All that is in front of the last piece counts by another position. */
static bool in_front(struct write_change *c, struct write_sum *s, const struct part *in)
{
	uint32_t was = s->sum->initial, now, at = c->piece[in->first].off;

	if (!add_old(c, c->r, s->sum, in->from, at, &was))
		return false;
	now = was;
	for (uint32_t i = in->first; i < in->end; i++) {
		const struct write_piece *w = &c->piece[i];

		if (!add_old(c, c->r, s->sum, at, w->off, &now) ||
			!add_new(c, s->sum, w->p, w->len, &now) ||
			!add_old(c, c->r, s->sum, at, w->off + w->old, &was))
			return false;
		at = w->off + w->old;
	}
	s->reg = table_sum_differ(s->sum, s->reg, was, now, in->to - at);
	return true;
}

/*
 * Finds the pieces in the range. False: other bytes than theirs enter or leave it. A piece that is
 * inserted at an end of the range is in it if the range has it after the change.
 */
static bool find_part(const struct write_change *c, const struct write_sum *s, struct part *in)
{
	const struct write_piece *w = c->piece, *end = w + c->n_pieces;
	int64_t grown = 0;

	for (; w < end && w->off + w->old <= in->from; w++) {
		if (w->off == in->from && s->from == in->from + grown)
			break;
		grown += (int64_t)w->len - w->old;
	}
	if (s->from != in->from + grown)
		return false;
	in->first = (uint32_t)(w - c->piece);
	for (; w < end && w->off >= in->from && w->off + w->old <= in->to; w++) {
		if (w->off == in->to && s->to == in->to + grown)
			break;
		grown += (int64_t)w->len - w->old;
	}
	in->end = (uint32_t)(w - c->piece);
	return s->to == in->to + grown && (w == end || w->off >= in->to);
}

static bool follow(struct write_change *c, struct write_sum *s, struct part *in)
{
	if (moves_none(c, in))
		return in_place(c, s, in);
	if (!find_part(c, s, in)) {
		s->again = true;
		return true;
	}
	if (moves_none(c, in))
		return in_place(c, s, in);
	return table_sum_moves(s->sum) ? in_front(c, s, in) : anywhere(c, s, in);
}

bool write_resum(struct write_change *c)
{
	const struct table_trace *t = c->r->trace;
	uint32_t len = c->r->msg->len;

	c->n_sums = 0;
	c->may_sum = BYTES;
	for (uint32_t i = 0; i < t->n; i++) {
		const struct table_event *e = &t->event[i];
		struct write_sum *s = &c->sum[c->n_sums];
		struct part all = {.end = c->n_pieces};

		if (e->op->code != MT_CT_SUM)
			continue;
		if (!e->there || c->n_sums++ == MT_CT_SUMS)
			return false;
		*s = (struct write_sum){.op = e->op, .sum = &c->r->t->sums[e->op->n]};
		s->reg = (uint32_t)e->value ^ s->sum->final;
		if (!table_sum_range(s->sum, len, &all.from, &all.to) ||
			!table_sum_range(s->sum, (uint32_t)(len + c->growth), &s->from, &s->to) ||
			!follow(c, s, &all))
			return false;
	}
	return true;
}

/* ---- the new message ------------------------------------------------------------------------- */

/* Finds the numbers in the new message. False: other sums are checked there. */
static bool find_sums(struct write_change *c, const struct table_trace *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct table_event *e = &t->event[i];

		if (e->op->code != MT_CT_SUM)
			continue;
		if (n == c->n_sums || c->sum[n].op != e->op || !e->there)
			return false;
		c->sum[n].has = e->value;
		c->sum[n].at = e->at;
		c->sum[n++].place = e->place;
	}
	return n == c->n_sums;
}

/* Sums that cannot follow: of the whole range. */
static bool add_again(struct write_change *c, struct table_run *r)
{
	for (uint32_t i = 0; i < c->n_sums; i++) {
		struct write_sum *s = &c->sum[i];

		if (!s->again)
			continue;
		s->reg = s->sum->initial;
		if (!add_old(c, r, s->sum, s->from, s->to, &s->reg))
			return false;
	}
	return true;
}

/* A sum may be part of what another one covers. */
static void follow_number(
	struct write_change *c, struct table_slot at, const uint8_t *old, const uint8_t *bytes)
{
	for (uint32_t i = 0; i < c->n_sums; i++) {
		struct write_sum *s = &c->sum[i];
		uint32_t from = MT_MAX(at.off, s->from), to = MT_MIN(at.off + at.len, s->to);
		uint32_t was, now;

		if (from >= to)
			continue;
		was = table_sum_add(s->sum, 0, old + (from - at.off), to - from);
		now = table_sum_add(s->sum, 0, bytes + (from - at.off), to - from);
		s->reg = table_sum_differ(s->sum, s->reg, was, now, s->to - to);
	}
}

static bool keep(struct write_undo *u, struct table_slot at, const uint8_t *bytes)
{
	for (uint32_t i = 0; i < u->n; i++)
		if (u->was[i].off == at.off)
			return true;
	if (u->n == MT_CT_SUMS)
		return false;
	u->was[u->n].off = at.off;
	u->was[u->n].len = at.len;
	memcpy(u->was[u->n++].bytes, bytes, at.len);
	return true;
}

static int write_sum(struct write_change *c, struct write_sum *s, uint64_t v, struct write_undo *u,
	struct mt_chain *chain, struct mt_pools *p)
{
	const struct mt_ct_place *form = &c->r->t->places[s->place];
	uint8_t old[8], now[8];

	if (s->at.len > sizeof(old))
		return -ENOTSUP;
	mt_chain_read(chain, s->at.off, old, s->at.len);
	if (write_number_width(form, old, s->at.len, v, false) != s->at.len)
		return -ENOTSUP;
	write_number(form, old, s->at.len, v, now, s->at.len);
	/* Only bytes that are writable can be written back. */
	if (mt_chain_patch(chain, s->at.off, old, s->at.len, p))
		return -ENOMEM;
	if (!keep(u, s->at, old))
		return -ENOTSUP;
	MT_ASSERT(mt_chain_patch(chain, s->at.off, now, s->at.len, p) == 0);
	s->has = v;
	follow_number(c, s->at, old, now);
	return 0;
}

/* Writes all that are wrong. Returns how many, or a negative error. */
static int write_round(
	struct write_change *c, struct write_undo *u, struct mt_chain *chain, struct mt_pools *p)
{
	int n = 0, rc;

	for (uint32_t i = 0; i < c->n_sums; i++) {
		struct write_sum *s = &c->sum[i];
		uint64_t v = table_sum_number(s->sum, s->reg);

		if (v == s->has)
			continue;
		rc = write_sum(c, s, v, u, chain, p);
		if (rc)
			return rc;
		n++;
	}
	return n;
}

int write_new_sums(struct write_change *c, struct table_run *r, struct write_undo *u,
	struct mt_chain *chain, struct mt_pools *p)
{
	int n = 1, all = 0;

	if (mt_mutant(MT_MUTANT_table_sum_stale))
		return 0;
	if (!find_sums(c, r->trace) || !add_again(c, r))
		return -ENOTSUP;
	for (uint32_t round = 0; n > 0; round++) {
		if (round > MT_CT_SUMS)
			return -ENOTSUP;
		n = write_round(c, u, chain, p);
		all += n;
	}
	return n ? n : all;
}

bool write_has_sums(struct write_change *c, const struct table_trace *t)
{
	if (!find_sums(c, t))
		return false;
	for (uint32_t i = 0; i < c->n_sums; i++)
		if (c->sum[i].has != table_sum_number(c->sum[i].sum, c->sum[i].reg))
			return false;
	return true;
}

void write_sums_back(const struct write_undo *u, struct mt_chain *chain, struct mt_pools *p)
{
	for (uint32_t i = u->n; i-- > 0;)
		MT_ASSERT(mt_chain_patch(chain, u->was[i].off, u->was[i].bytes, u->was[i].len, p) ==
			  0);
}
