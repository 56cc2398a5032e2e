/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the numbers that count changed parts of a message, and computes them. */
#include "mt_mutant.h"
#include "write.h"

#include <errno.h>

/* Each round changes a width, or is the last. */
#define ROUNDS (4 * WRITE_COUNTS)

/* ---- what there is -------------------------------------------------------------------------- */

struct write_count *write_count_add(struct write_change *c, enum mt_ct_type type,
	struct table_slot at, uint64_t value, struct table_slot part, uint32_t edit)
{
	uint32_t bit = edit ? 1u << (edit - 1) : 0;
	struct write_count *n;
	bool alias = false;

	for (uint32_t i = 0; i < c->n_counts; i++) {
		n = &c->count[i];
		if (n->at.off != at.off || n->at.len != at.len || !at.len)
			continue;
		if (n->part.off == part.off && n->part.len == part.len) {
			n->edits |= bit;
			return n;
		}
		alias = true;
	}
	if (c->n_counts == WRITE_COUNTS || at.len > WRITE_NUMBER)
		return NULL;
	n = &c->count[c->n_counts++];
	*n = (struct write_count){.form = {.type = (uint8_t)type, .mask = UINT64_MAX},
		.at = at,
		.part = part,
		.value = value,
		.now = value,
		.unit = 1,
		.edits = bit,
		.width = at.len,
		.slot = MT_CT_NONE,
		.alias = alias};
	return n;
}

/* A part by a number that the program has read, or one of constant size. */
static bool add_part(struct write_change *c, const struct table_event *e)
{
	bool rigid = e->op->code == MT_CT_FIXED || e->op->code == MT_CT_HESSIAN;
	struct table_slot at = rigid ? (struct table_slot){e->part.off, 0} : e->at;
	struct write_count *n;

	if (!rigid && (!e->there || !e->at.len))
		return true;
	n = write_count_add(c, MT_CT_BYTES, at, e->value, e->part, 0);
	if (!n)
		return false;
	n->slot = e->op->slot;
	if (rigid)
		return true;
	n->form = c->r->t->places[e->place];
	n->unit = e->op->code == MT_CT_COUNTED ? e->op->n : (uint32_t)e->op->lo;
	return n->unit != 0;
}

/*
 * Returns the start of the part that the message's length counts; UINT32_MAX: it has several.
 * *slot: the place before it, or MT_CT_NONE.
 */
static uint32_t framed_from(const struct table_run *r, uint8_t *slot)
{
	const struct table_trace *t = r->trace;
	uint32_t from = 0, n = 0;

	*slot = MT_CT_NONE;
	for (uint32_t i = 0; i < t->n; i++) {
		const struct mt_ct_place *p = &r->t->places[t->event[i].place];

		if (t->event[i].op->code != MT_CT_OFFSET)
			continue;
		from = t->event[i].at.off;
		if (p->base == MT_CT_AFTER)
			*slot = p->slot;
		n++;
	}
	return n > 1 ? UINT32_MAX : from;
}

/* The message's length, if it is one number and not that of a part. */
static bool add_total(struct write_change *c)
{
	const struct table_trace *t = c->r->trace;
	const struct table_event *e = NULL;
	uint8_t before;
	uint32_t from = framed_from(c->r, &before);
	struct write_count *n;

	for (uint32_t i = 0; i < t->n; i++) {
		if (t->event[i].op->code != MT_CT_LENGTH)
			continue;
		if (e)
			return true; /* a sum: the parts' numbers are in it */
		e = &t->event[i];
	}
	if (!e || !e->there || from > c->r->msg->len)
		return true;
	for (uint32_t i = 0; i < c->n_counts; i++)
		if (c->count[i].at.off == e->at.off && c->count[i].at.len)
			return true;
	n = write_count_add(c, MT_CT_BYTES, e->at, e->value,
		(struct table_slot){from, c->r->msg->len - from}, 0);
	if (!n)
		return false;
	n->form = c->r->t->places[e->place];
	n->unit = (uint32_t)e->op->lo;
	n->rest = true;
	n->slot = before;
	return true;
}

bool write_begin(struct write_change *c, struct table_run *r)
{
	const struct table_trace *t = r->trace;

	c->r = r;
	c->n_edits = c->n_counts = c->n_pieces = 0;
	c->growth = 0;
	c->mutations = NULL;
	c->n_mutations = 0;
	for (uint32_t i = 0; i < t->n; i++) {
		uint32_t code = t->event[i].op->code;

		if ((code == MT_CT_FIXED || code == MT_CT_COUNTED || code == MT_CT_SIZED ||
			    code == MT_CT_HESSIAN) &&
			t->event[i].filled && !add_part(c, &t->event[i]))
			return false;
	}
	return add_total(c);
}

struct write_edit *write_edit_add(struct write_change *c, uint32_t off, uint32_t old)
{
	struct write_edit *e;

	if (c->n_edits == WRITE_EDITS)
		return NULL;
	e = &c->edit[c->n_edits++];
	e->off = off;
	e->old = old;
	e->p = NULL;
	e->len = e->around = 0;
	return e;
}

bool write_edit_in(struct write_change *c, struct write_edit *e, uint32_t slot)
{
	const struct table_trace *t = c->r->trace;
	uint32_t index = (uint32_t)(e - c->edit);

	while (slot != MT_CT_NONE) {
		const struct table_event *by;

		if (e->around >> slot & 1 || !t->of[slot])
			return false;
		e->around |= 1u << slot;
		by = &t->event[t->of[slot] - 1];
		if (by->op->code == MT_CT_WALK && e->len != e->old &&
			!write_nest(c, &c->r->t->walks[by->op->n], by->part, table_slot(c->r, slot),
				index + 1))
			return false;
		slot = by->op->within;
	}
	return true;
}

/* ---- the numbers ---------------------------------------------------------------------------- */

static bool in_slot(const struct write_count *n, const struct write_edit *e)
{
	return n->slot != MT_CT_NONE && e->around >> n->slot & 1;
}

/* True if the count's part contains a change at [off, off + old). */
static bool covers(const struct write_count *n, const struct write_edit *e, uint32_t index,
	uint32_t off, uint32_t old)
{
	if (e && n->edits >> index & 1)
		return true;
	if (n->rest && e && in_slot(n, e))
		return false;
	if (n->rest)
		return off >= n->part.off;
	if (e && in_slot(n, e))
		return true;
	if (old)
		return n->part.off <= off && off + old <= n->part.off + n->part.len;
	return n->part.off < off && off < n->part.off + n->part.len;
}

/* By how many bytes a part grows. */
static int64_t growth(const struct write_change *c, const struct write_count *n)
{
	int64_t sum = 0;

	for (uint32_t i = 0; i < c->n_edits; i++) {
		const struct write_edit *e = &c->edit[i];

		if (covers(n, e, i, e->off, e->old))
			sum += (int64_t)e->len - e->old;
	}
	for (uint32_t i = 0; i < c->n_counts; i++) {
		const struct write_count *k = &c->count[i];
		/* The fill after an element belongs to the container, also at its end. */
		uint32_t from = k->pad ? k->start : k->at.off;

		if (!k->alias && covers(n, NULL, 0, from, k->at.off + k->at.len - from))
			sum += (int64_t)k->width - k->at.len;
	}
	return sum;
}

static const uint8_t *old_bytes(
	const struct write_change *c, const struct write_count *n, uint8_t *tmp)
{
	return n->at.len ? table_bytes(c->r, n->at.off, n->at.len, tmp) : tmp;
}

/* Bytes that fill up a part that ends at `end`. */
static uint32_t fill_up(const struct write_count *n, int64_t grown)
{
	int64_t end = (int64_t)n->part.off + n->part.len + grown - n->start;

	return (uint32_t)(-end & (n->pad - 1));
}

static bool has_size(const struct mt_ct_place *form)
{
	return form->size || form->type == MT_CT_BIG || form->type == MT_CT_LITTLE;
}

/* Computes a number. True: its width has changed. */
static bool follow(struct write_change *c, struct write_count *n)
{
	int64_t grown = growth(c, n);
	uint32_t need = n->width, before = n->width;
	uint8_t tmp[WRITE_NUMBER];
	const uint8_t *old = old_bytes(c, n, tmp);

	if (n->pad) {
		n->width = grown ? fill_up(n, grown) : n->at.len;
		return n->width != before;
	}
	if (!n->at.len || !old) {
		n->wrong = grown != 0;
		return false;
	}
	n->now = n->value + (uint64_t)(grown / (int64_t)n->unit);
	n->wrong = grown % (int64_t)n->unit != 0;
	if (n->now != n->value || n->changed) {
		need = write_number_width(&n->form, old, n->at.len, n->now, false);
		n->wrong |= need == 0 || need > WRITE_NUMBER || (int64_t)n->now < 0;
	}
	if (n->wrong)
		return false;
	/*
	 * From one byte it only gets wider, so that the rounds end, with the shortest numbers: a
	 * total that counts itself may agree in two widths.
	 */
	if (n->now != n->value && !n->changed) {
		n->changed = true;
		n->width = has_size(&n->form) ? n->at.len : 1;
		return true;
	}
	n->width = MT_MAX(n->width, need);
	return n->width != before;
}

static const struct write_count *count_at(const struct write_change *c, struct table_slot at)
{
	for (uint32_t i = 0; i < c->n_counts; i++)
		if (c->count[i].at.len && c->count[i].at.off == at.off)
			return &c->count[i];
	return NULL;
}

/* True if the message's length is the sum of its numbers again. */
static bool total_agrees(const struct write_change *c)
{
	const struct table_trace *t = c->r->trace;
	struct write_count all = {.rest = true};
	int64_t sum = 0, grown;

	all.part.off = framed_from(c->r, &all.slot);
	grown = growth(c, &all);
	for (uint32_t i = 0; i < t->n; i++) {
		const struct table_event *e = &t->event[i];
		const struct write_count *n;

		if (e->op->code != MT_CT_LENGTH || !e->there)
			continue;
		n = count_at(c, e->at);
		sum += n ? (int64_t)(n->now - n->value) * (int64_t)e->op->lo : 0;
	}
	return sum == grown;
}

static bool agree(const struct write_change *c)
{
	for (uint32_t i = 0; i < c->n_counts; i++) {
		const struct write_count *n = &c->count[i];

		if (n->wrong || (n->alias && count_at(c, n->at)->now != n->now))
			return false;
	}
	return total_agrees(c);
}

/* ---- pieces --------------------------------------------------------------------------------- */

/* In the order of offsets; what is inserted comes before what is replaced there. */
static void add_piece(struct write_change *c, struct write_piece p)
{
	uint32_t i = c->n_pieces++;

	for (; i > 0; i--) {
		const struct write_piece *q = &c->piece[i - 1];

		if (q->off < p.off || (q->off == p.off && (p.old || !q->old)))
			break;
		c->piece[i] = *q;
	}
	c->piece[i] = p;
}

static bool apart(const struct write_change *c)
{
	for (uint32_t i = 1; i < c->n_pieces; i++)
		if (c->piece[i - 1].off + c->piece[i - 1].old > c->piece[i].off)
			return false;
	return true;
}

static void count_piece(struct write_change *c, uint32_t i)
{
	struct write_count *n = &c->count[i];
	uint8_t tmp[WRITE_NUMBER], *to = c->number[i];

	if (n->alias || (n->pad ? n->width == n->at.len : !n->changed) ||
		mt_mutant(MT_MUTANT_table_length_stale))
		return;
	if (n->pad)
		memset(to, 0, n->width);
	else
		write_number(&n->form, old_bytes(c, n, tmp), n->at.len, n->now, to, n->width);
	add_piece(c, (struct write_piece){n->at.off, n->at.len, n->width, to});
}

int write_settle(struct write_change *c)
{
	bool moved = true;

	for (uint32_t round = 0; moved && round < ROUNDS; round++) {
		moved = false;
		for (uint32_t i = 0; i < c->n_counts; i++)
			moved |= follow(c, &c->count[i]);
	}
	if (moved || !agree(c))
		return -ENOTSUP;
	for (uint32_t i = 0; i < c->n_edits; i++) {
		const struct write_edit *e = &c->edit[i];

		add_piece(c, (struct write_piece){e->off, e->old, e->len, e->p ? e->p : e->small});
	}
	for (uint32_t i = 0; i < c->n_counts; i++)
		count_piece(c, i);
	for (uint32_t i = 0; i < c->n_pieces; i++)
		c->growth += (int64_t)c->piece[i].len - c->piece[i].old;
	return apart(c) ? 0 : -ENOTSUP;
}
