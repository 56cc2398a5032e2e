/* SPDX-License-Identifier: Apache-2.0 */
/* Ops that fill the slots of places, each after those of what it needs. */
#include "file.h"

#define UNTIL_MAX 8192u

void cf_forget(struct cf_build *b)
{
	for (struct cf_place *p = b->v->places; p; p = p->next)
		p->emitted = 0;
}

void cf_branch(struct cf_build *b)
{
	b->branches++;
}

void cf_join(struct cf_build *b)
{
	for (struct cf_place *p = b->v->places; p; p = p->next)
		if (p->emitted > b->branches)
			p->emitted = 0;
	b->branches--;
}

/* The container that a place is in; NULL: the message. */
static struct cf_place *outer_place(const struct cf_place *p)
{
	while (p && !p->in.place)
		p = p->after.place;
	return p ? p->in.place : NULL;
}

static uint8_t within(const struct cf_place *p)
{
	const struct cf_place *in = outer_place(p);

	return in ? in->slot : MT_CT_NONE;
}

/* Where a place starts. */
static struct mt_ct_place position(struct cf_build *b, struct cf_place *p)
{
	struct mt_ct_place at = {.base = MT_CT_START, .mask = UINT64_MAX};

	if (p->after.place) {
		uint16_t i = cf_after(b, p->after.place);

		at = b->places ? b->places[i] : at;
		at.at += (int32_t)p->at.v;
		return at;
	}
	at.at = (int32_t)p->at.v;
	if (p->in.place) {
		at.base = MT_CT_IN;
		at.slot = p->in.place->slot;
	} else if (p->at.negative) {
		at.base = MT_CT_END;
	}
	return at;
}

uint16_t cf_after(struct cf_build *b, struct cf_place *p)
{
	struct mt_ct_place at = {.base = MT_CT_AFTER, .slot = p->slot, .mask = UINT64_MAX};

	if (p->slotted) {
		/* Its delimiter belongs to it. */
		at.at = p->how == CF_UNTIL ? (int32_t)strlen(p->until.s) : 0;
		return cf_add_place(b, at);
	}
	at = position(b, p);
	at.at += (int32_t)p->size.v;
	if (at.base == MT_CT_END && at.at >= 0)
		cf_error(b, "spec.places", p->origin.line, "place it elsewhere",
			"nothing comes after the end of the message");
	return cf_add_place(b, at);
}

uint16_t cf_content(struct cf_build *b, struct cf_place *p)
{
	struct mt_ct_place at = {.base = MT_CT_IN, .slot = p->slot};

	if (!p->slotted) {
		at = position(b, p);
		at.size = (uint8_t)p->size.v;
	}
	at.type = (uint8_t)p->number;
	at.mask = p->mask.set ? p->mask.v : UINT64_MAX;
	at.absent = p->absent.v;
	/* Decimal digits may have a sign; without it ids that are written back would lose theirs. */
	at.flags = (uint8_t)((p->is_signed.v || p->number == MT_CT_DECIMAL ? MT_CT_SIGNED : 0) |
			     (p->absent.set ? MT_CT_DEFAULT : 0));
	/* How many bytes must be there at least. */
	if (at.base == MT_CT_START)
		b->least = MT_MAX(b->least, (uint32_t)at.at + at.size);
	return cf_add_place(b, at);
}

static void counted(struct cf_build *b, struct cf_place *p, struct mt_ct_op op)
{
	struct mt_ct_place at = position(b, p);

	at.size = (uint8_t)p->count.v;
	at.type = cf_is_little(b, &p->count_order) ? MT_CT_LITTLE : MT_CT_BIG;
	op.code = MT_CT_COUNTED;
	op.place = cf_add_place(b, at);
	op.n = p->count_unit.set ? p->count_unit.v : 1;
	op.m = (uint32_t)p->count_add.v;
	cf_op(b, op);
}

static void sized(struct cf_build *b, struct cf_place *p, struct mt_ct_op op)
{
	op.code = MT_CT_SIZED;
	op.place = cf_add_place(b, position(b, p));
	op.n = cf_content(b, p->length.place);
	op.lo = p->unit.set ? p->unit.v : 1;
	op.hi = p->add.v;
	cf_op(b, op);
}

/* True for line ends of two bytes, which some servers also find where only one of both is. */
static bool is_line_end(const char *s)
{
	while (strncmp(s, "\r\n", 2) == 0)
		s += 2;
	return !*s;
}

static void until(struct cf_build *b, struct cf_place *p, struct mt_ct_op op)
{
	op.code = MT_CT_UNTIL;
	op.place = cf_add_place(b, position(b, p));
	op.m = (uint32_t)strlen(p->until.s);
	op.n = cf_text(b, p->until.s, op.m);
	op.lo = p->max.set ? p->max.v : UNTIL_MAX;
	op.flags = is_line_end(p->until.s) ? MT_CT_IF : 0;
	cf_op(b, op);
}

static void hessian(struct cf_build *b, struct cf_place *p, struct mt_ct_op op)
{
	struct mt_ct_place at = {.base = MT_CT_IN, .slot = p->in.place->slot, .mask = UINT64_MAX};

	if (p->nth > 1) {
		cf_find(b, p->in.place->value[p->nth - 2]);
		at.base = MT_CT_AFTER;
		at.slot = p->in.place->value[p->nth - 2]->slot;
	}
	op.code = MT_CT_HESSIAN;
	op.place = cf_add_place(b, at);
	cf_op(b, op);
}

/* All that is wanted of a container is found in one walk. */
static void walk(struct cf_build *b, struct cf_place *p)
{
	struct cf_place *in = p->in.place;

	cf_op(b, (struct mt_ct_op){.code = MT_CT_WALK, .within = in->slot, .n = cf_walk(b, in)});
	for (struct cf_place *q = b->v->places; q; q = q->next)
		if (q->used && q->how == CF_FOUND && q->in.place == in)
			q->emitted = b->branches + 1;
}

void cf_find_entries(struct cf_build *b, struct cf_place *map)
{
	for (struct cf_place *p = b->v->places; p; p = p->next)
		if (p->used && p->how == CF_FOUND && p->in.place == map->in.place) {
			cf_find(b, p);
			return;
		}
	walk(b, map);
}

void cf_find(struct cf_build *b, struct cf_place *p)
{
	struct mt_ct_op op = {.slot = p->slot, .within = within(p)};

	if (p->emitted)
		return;
	p->emitted = b->branches + 1;
	if (p->in.place)
		cf_find(b, p->in.place);
	if (p->after.place)
		cf_find(b, p->after.place);
	if (p->length.place)
		cf_find(b, p->length.place);
	if (!p->slotted || cf_failed(b))
		return;
	switch (p->how) {
	case CF_FIXED: {
		struct mt_ct_place at = position(b, p);

		at.size = (uint8_t)p->size.v;
		op.code = MT_CT_FIXED;
		op.place = cf_add_place(b, at);
		cf_op(b, op);
		return;
	}
	case CF_COUNTED:
		counted(b, p, op);
		return;
	case CF_SIZED:
		sized(b, p, op);
		return;
	case CF_TO:
		op.code = MT_CT_TO;
		op.place = cf_add_place(b, position(b, p));
		op.m = (uint32_t)p->to.v;
		cf_op(b, op);
		return;
	case CF_UNTIL:
		until(b, p, op);
		return;
	case CF_NUMERAL:
		op.code = MT_CT_NUMERAL;
		op.place = cf_add_place(b, position(b, p));
		cf_op(b, op);
		return;
	case CF_FOUND:
		walk(b, p);
		return;
	case CF_HESSIAN_VALUE:
		hessian(b, p, op);
		return;
	}
}

void cf_fit(struct cf_build *b, struct cf_place *p)
{
	if (!p)
		return;
	cf_fit(b, p->in.place);
	cf_fit(b, p->after.place);
	if ((p->how != CF_SIZED && p->how != CF_COUNTED) || p->fits)
		return;
	p->fits = true;
	cf_op(b, (struct mt_ct_op){.code = MT_CT_FIT, .within = p->slot});
}

/* The end of a part of constant size at a constant offset; 0: it is none. */
static uint32_t end_of(const struct mt_ct_place *at)
{
	return at->base == MT_CT_START && at->size ? (uint32_t)at->at + at->size : 0;
}

void cf_arrived(struct cf_build *b, const struct mt_ct_place *at)
{
	uint32_t end = end_of(at);

	if (end <= b->sure)
		b->held = MT_MAX(b->held, end);
}

/* True if there may be other bytes at the place than a number. */
static bool may_be_other(const struct cf_place *p)
{
	const struct cf_place *in = p->in.place;

	if (p->number == MT_CT_BYTES || p->number == MT_CT_DECIMAL)
		return p->number == MT_CT_DECIMAL;
	/* Walks of protobuf and JCE find numbers only. */
	if (p->how == CF_FOUND)
		return in->container.holds != CF_PROTOBUF && in->container.holds != CF_JCE;
	return p->how != CF_FIXED && p->how != CF_NUMERAL;
}

static void hold(struct cf_build *b, struct cf_place *p, uint32_t most, uint8_t flags)
{
	uint16_t i = cf_content(b, p);
	const struct mt_ct_place *at = b->places ? &b->places[i] : NULL;
	uint32_t end = at ? end_of(at) : 0;
	bool number = most && b->dir == MT_DIR_DOWN && may_be_other(p);

	/* The op would find that it need not wait. */
	if (end && end <= MT_MIN(b->held, MT_CT_LEAD) && (!most || at->size <= most) && !number)
		return;
	cf_op(b, (struct mt_ct_op){.code = MT_CT_HOLD,
			 .flags = flags,
			 .slot = p->slotted ? p->slot : MT_CT_NONE,
			 .place = i,
			 .n = most,
			 .m = number});
	if (at)
		cf_arrived(b, at);
}

void cf_hold(struct cf_build *b, struct cf_place *p)
{
	hold(b, p, 0, 0);
}

void cf_hold_entries(struct cf_build *b, struct cf_place *p)
{
	hold(b, p, 0, MT_CT_IF);
}

void cf_hold_value(struct cf_build *b, struct cf_place *p)
{
	hold(b, p, MT_META_SCRATCH, 0);
}
