/* SPDX-License-Identifier: Apache-2.0 */
/* Adds elements to containers: at the end, except in JCE, where tags ascend, and in JSON. */
#include "write.h"

#include <errno.h>

/* The number as text or in binary, as the place has it; `old`: a head of JCE with the tag. */
static void put_number(struct write_out *o, const struct mt_ct_place *form, const uint8_t *old,
	uint32_t old_len, uint64_t v)
{
	uint8_t tmp[WRITE_NUMBER];
	uint32_t n = write_number_width(form, old, old_len, v, true);

	o->full |= n == 0 || n > sizeof(tmp);
	if (o->full)
		return;
	write_number(form, old, old_len, v, tmp, n);
	write_put(o, tmp, n);
}

/* A value with its length in front. */
struct value {
	struct write_out out;
	uint8_t bytes[WRITE_NUMBER];
};

static void make_value(struct value *value, const struct mt_ct_place *form, uint64_t v)
{
	value->out = (struct write_out){.to = value->bytes, .most = sizeof(value->bytes)};
	put_number(&value->out, form, NULL, 0, v);
}

static void put_value(struct write_out *o, const struct value *value)
{
	o->full |= value->out.full;
	write_put(o, value->bytes, value->out.n);
}

/* ---- protobuf ------------------------------------------------------------------------------- */

static void protobuf_field(
	struct write_out *o, uint32_t number, const struct mt_ct_place *form, uint64_t v)
{
	struct value value;

	if (form->type == MT_CT_LITTLE) {
		bool narrow = v >> 32 == 0;

		write_put_varint(o, (uint64_t)number << 3 | (narrow ? 5 : 1));
		write_put_binary(o, v, narrow ? 4 : 8, true);
		return;
	}
	if (form->type == MT_CT_DECIMAL) {
		make_value(&value, form, v);
		write_put_varint(o, (uint64_t)number << 3 | 2);
		write_put_varint(o, value.out.n);
		put_value(o, &value);
		return;
	}
	write_put_varint(o, (uint64_t)number << 3);
	put_number(o, form, NULL, 0, v);
}

/* An embedded message that is there already is merged with this one. */
static void protobuf(struct write_out *o, const struct write_change *c, const struct mt_ct_walk *w,
	const struct mt_ct_target *g, const struct mt_ct_place *form, uint64_t v)
{
	uint8_t inner[WRITE_SMALL];
	uint32_t n;

	protobuf_field(o, g->number, form, v);
	while (g->parent) {
		n = o->n;
		memcpy(inner, o->to, n);
		g = &c->r->t->targets[w->first + g->parent - 1u];
		o->n = 0;
		write_put_varint(o, (uint64_t)g->number << 3 | 2);
		write_put_varint(o, n);
		write_put(o, inner, n);
	}
}

/* ---- others --------------------------------------------------------------------------------- */

static void jce(struct write_out *o, const struct mt_ct_target *g, const struct mt_ct_place *form,
	uint64_t v)
{
	/* If it is not a number: a string with a length of one byte. */
	uint8_t type = form->type == MT_CT_JCE ? 0 : 6, head[2];
	uint32_t n = mt_ct_jce_head((uint8_t)g->number, type, head);
	struct value value;

	if (form->type == MT_CT_JCE) {
		put_number(o, form, head, n, v);
		return;
	}
	make_value(&value, form, v);
	write_put(o, head, n);
	write_put_byte(o, (uint8_t)value.out.n);
	put_value(o, &value);
}

static void tlv(struct write_out *o, const struct mt_ct_walk *w, uint32_t in_len,
	const struct mt_ct_target *g, const struct mt_ct_place *form, uint64_t v)
{
	bool little = w->flags & MT_CT_WALK_LITTLE;
	uint32_t head = (uint32_t)w->key_width + w->value_width, n, len;
	struct value value;

	make_value(&value, form, v);
	len = value.out.n;
	for (n = in_len; n & (w->pad - 1u); n++)
		write_put_byte(o, 0);
	write_put_binary(o, g->number, w->key_width, little);
	write_put_binary(o, len + (w->flags & MT_CT_WALK_WHOLE ? head : 0), w->value_width, little);
	put_value(o, &value);
	for (n += head + len; n & (w->pad - 1u); n++)
		write_put_byte(o, 0);
}

static void pairs(struct write_out *o, const struct write_change *c, const struct mt_ct_walk *w,
	const struct mt_ct_target *g, const struct mt_ct_place *form, uint64_t v)
{
	struct value value;

	make_value(&value, form, v);
	o->full |= value.out.full;
	write_put_counted(o, w, c->r->t->text + g->text, g->len);
	write_put_counted(o, w, value.bytes, value.out.n);
}

bool write_last_is(const struct write_change *c, uint32_t from, uint32_t to, uint8_t b)
{
	uint8_t tmp[1];
	const uint8_t *p = to > from ? table_bytes(c->r, to - 1, 1, tmp) : NULL;

	return p && *p == b;
}

bool write_has_cr(const struct write_change *c, const struct mt_ct_walk *w, struct table_slot in)
{
	uint32_t pos = in.off, end = in.off + in.len;
	uint8_t last = 0, tmp[1];
	const uint8_t *p, *at;

	if (!(w->flags & MT_CT_WALK_TRIM))
		return false;
	for (uint32_t n; (n = table_piece(c->r, pos, end, &p)) > 0; pos += n) {
		at = memchr(p, w->end, n);
		if (at)
			return (at > p ? at[-1] : last) == '\r';
		last = p[n - 1];
	}
	p = end < c->r->arrived ? table_bytes(c->r, end, 1, tmp) : NULL;
	return !p || *p != w->end;
}

/* A line after the last one, which may lack its end. */
static void line(struct write_out *o, const struct write_change *c, const struct mt_ct_walk *w,
	struct table_slot in, const struct mt_ct_target *g, const struct mt_ct_place *form,
	uint64_t v)
{
	bool ended = write_last_is(c, in.off, in.off + in.len, w->end);
	bool headers = w->flags & MT_CT_WALK_TRIM, cr = write_has_cr(c, w, in);

	if (in.len && !ended && cr)
		write_put_byte(o, '\r');
	if (in.len && !ended)
		write_put_byte(o, w->end);
	write_put(o, c->r->t->text + g->text, g->len);
	write_put_byte(o, w->between);
	if (headers)
		write_put_byte(o, ' ');
	put_number(o, form, NULL, 0, v);
	if (ended && cr)
		write_put_byte(o, '\r');
	if (ended)
		write_put_byte(o, w->end);
}

/* Finds where an object's first member is or would be. *more: there is one. */
static bool object(const struct write_change *c, struct table_slot in, uint32_t *at, bool *more)
{
	bool open = false;
	uint8_t tmp[1];

	for (uint32_t i = in.off; i < in.off + in.len; i++) {
		const uint8_t *p = table_bytes(c->r, i, 1, tmp);

		if (!p)
			return false;
		if (*p <= ' ')
			continue;
		if (open) {
			*more = *p != '}';
			return true;
		}
		if (*p != '{')
			return false;
		open = true;
		*at = i + 1;
	}
	return false;
}

static bool json(struct write_out *o, const struct write_change *c, struct table_slot in,
	const struct mt_ct_target *g, const struct mt_ct_place *form, uint64_t v, uint32_t *at)
{
	bool more = false;

	if (g->parent || !object(c, in, at, &more))
		return false;
	write_put_byte(o, '"');
	write_put(o, c->r->t->text + g->text, g->len);
	write_put(o, "\":", 2);
	put_number(o, form, NULL, 0, v);
	if (more)
		write_put_byte(o, ',');
	return true;
}

/* ---- elements ------------------------------------------------------------------------------- */

static bool element(struct write_out *o, const struct write_change *c, const struct mt_ct_walk *w,
	struct table_slot in, const struct mt_ct_target *g, const struct mt_ct_place *form,
	uint64_t v, uint32_t *at)
{
	struct table_state s = *c->r->s;
	struct table_run r = *c->r;

	r.s = &s;
	r.trace = NULL;
	switch ((enum mt_ct_format)w->format) {
	case MT_CT_PROTOBUF:
		protobuf(o, c, w, g, form, v);
		return true;
	case MT_CT_JCE_STRUCT:
		jce(o, g, form, v);
		return !g->parent && write_room_jce(&r, in, g->number, at);
	case MT_CT_TLV:
		tlv(o, w, in.len, g, form, v);
		return true;
	case MT_CT_PAIRS:
		pairs(o, c, w, g, form, v);
		return true;
	case MT_CT_LINES:
		line(o, c, w, in, g, form, v);
		return true;
	case MT_CT_JSON:
		return json(o, c, in, g, form, v, at);
	default:
		return false;
	}
}

static const struct mt_ct_target *target_of(
	const struct write_change *c, const struct mt_ct_walk *w, uint32_t slot)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (c->r->t->targets[w->first + i].slot == slot)
			return &c->r->t->targets[w->first + i];
	return NULL;
}

int write_insert(struct write_change *c, const struct mt_ct_place *form, uint64_t v)
{
	const struct table_trace *t = c->r->trace;
	const struct table_event *by;
	const struct mt_ct_walk *w;
	const struct mt_ct_target *g;
	struct write_edit *e;
	struct write_out o;
	uint32_t at;

	if (form->base != MT_CT_IN || form->at || form->size || !t->of[form->slot])
		return -ENOTSUP;
	by = &t->event[t->of[form->slot] - 1];
	if (by->op->code != MT_CT_WALK || !by->there)
		return -ENOTSUP;
	w = &c->r->t->walks[by->op->n];
	g = target_of(c, w, form->slot);
	at = by->part.off + by->part.len;
	e = g ? write_edit_add(c, at, 0) : NULL;
	if (!e)
		return -ENOTSUP;
	o = (struct write_out){.to = e->small, .most = WRITE_SMALL};
	if (!element(&o, c, w, by->part, g, form, v, &at) || o.full)
		return -ENOTSUP;
	e->off = at;
	e->len = o.n;
	return write_edit_in(c, e, by->op->within) ? 0 : -ENOTSUP;
}
