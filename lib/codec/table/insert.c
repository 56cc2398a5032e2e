/* SPDX-License-Identifier: Apache-2.0 */
/* Adds elements to containers: at the end, except in JCE, where tags ascend, and in JSON. */
#include "write.h"

#include "mt_varint.h"

#include <errno.h>

/* Bytes in the order in which they are written, or from the end to the start. */
struct out {
	uint8_t *to;
	uint32_t n;
};

static void put(struct out *o, const void *p, uint32_t n)
{
	if (n <= WRITE_SMALL - o->n)
		memcpy(o->to + o->n, p, n);
	o->n = MT_MIN(o->n + n, WRITE_SMALL + 1u);
}

static void put_byte(struct out *o, uint8_t b)
{
	put(o, &b, 1);
}

static void put_varint(struct out *o, uint64_t v)
{
	uint8_t tmp[MT_VARINT_MOST];

	put(o, tmp, mt_varint_put(tmp, v));
}

static void put_plain(struct out *o, uint64_t v, uint32_t width, bool little)
{
	for (uint32_t i = 0; i < width; i++)
		put_byte(o, (uint8_t)(v >> 8 * (little ? i : width - 1 - i)));
}

/* The number as text or in binary, as the place has it; `old`: a head of JCE with the tag. */
static void put_number(struct out *o, const struct mt_ct_place *form, const uint8_t *old,
	uint32_t old_len, uint64_t v)
{
	uint8_t tmp[WRITE_NUMBER];
	uint32_t n = write_number_width(form, old, old_len, v, true);

	if (n == 0 || n > sizeof(tmp))
		n = WRITE_SMALL + 1;
	else
		write_number(form, old, old_len, v, tmp, n);
	put(o, tmp, n);
}

/* ---- protobuf ------------------------------------------------------------------------------- */

static void protobuf_field(
	struct out *o, uint32_t number, const struct mt_ct_place *form, uint64_t v)
{
	uint8_t text[WRITE_NUMBER];
	struct out value = {text, 0};

	if (form->type == MT_CT_LITTLE) {
		bool narrow = v >> 32 == 0;

		put_varint(o, (uint64_t)number << 3 | (narrow ? 5 : 1));
		put_plain(o, v, narrow ? 4 : 8, true);
		return;
	}
	if (form->type == MT_CT_DECIMAL) {
		put_number(&value, form, NULL, 0, v);
		put_varint(o, (uint64_t)number << 3 | 2);
		put_varint(o, value.n);
		put(o, text, value.n);
		return;
	}
	put_varint(o, (uint64_t)number << 3);
	put_number(o, form, NULL, 0, v);
}

/* An embedded message that is there already is merged with this one. */
static void protobuf(struct out *o, const struct write_change *c, const struct mt_ct_walk *w,
	const struct mt_ct_target *g, const struct mt_ct_place *form, uint64_t v)
{
	uint8_t inner[WRITE_SMALL];
	struct out in = {inner, 0};

	protobuf_field(o, g->number, form, v);
	while (g->parent) {
		in.n = 0;
		put(&in, o->to, MT_MIN(o->n, (uint32_t)WRITE_SMALL));
		g = &c->r->t->targets[w->first + g->parent - 1u];
		o->n = 0;
		put_varint(o, (uint64_t)g->number << 3 | 2);
		put_varint(o, in.n);
		put(o, inner, in.n);
	}
}

/* ---- others --------------------------------------------------------------------------------- */

static void jce(
	struct out *o, const struct mt_ct_target *g, const struct mt_ct_place *form, uint64_t v)
{
	uint8_t head[2] = {(uint8_t)(g->number << 4), 0}, text[WRITE_NUMBER];
	struct out value = {text, 0};

	if (g->number >= 15) {
		head[0] = 0xf0;
		head[1] = (uint8_t)g->number;
	}
	if (form->type == MT_CT_JCE) {
		put_number(o, form, head, sizeof(head), v);
		return;
	}
	put_number(&value, form, NULL, 0, v);
	head[0] |= 6; /* a string with a length of one byte */
	put(o, head, g->number >= 15 ? 2 : 1);
	put_byte(o, (uint8_t)value.n);
	put(o, text, value.n);
}

static void tlv(struct out *o, const struct mt_ct_walk *w, uint32_t in_len,
	const struct mt_ct_target *g, const struct mt_ct_place *form, uint64_t v)
{
	bool little = w->flags & MT_CT_WALK_LITTLE;
	uint32_t head = (uint32_t)w->key_width + w->value_width, n;
	uint8_t text[WRITE_NUMBER];
	struct out value = {text, 0};

	put_number(&value, form, NULL, 0, v);
	for (n = in_len; n & (w->pad - 1u); n++)
		put_byte(o, 0);
	put_plain(o, g->number, w->key_width, little);
	put_plain(o, value.n + (w->flags & MT_CT_WALK_WHOLE ? head : 0), w->value_width, little);
	put(o, text, value.n);
	for (n += head + value.n; n & (w->pad - 1u); n++)
		put_byte(o, 0);
}

static void pairs(struct out *o, const struct write_change *c, const struct mt_ct_walk *w,
	const struct mt_ct_target *g, const struct mt_ct_place *form, uint64_t v)
{
	bool little = w->flags & MT_CT_WALK_LITTLE;
	uint8_t text[WRITE_NUMBER];
	struct out value = {text, 0};

	put_number(&value, form, NULL, 0, v);
	put_plain(o, g->len, w->value_width, little);
	put(o, c->r->t->text + g->text, g->len);
	put_plain(o, value.n, w->value_width, little);
	put(o, text, value.n);
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
static void line(struct out *o, const struct write_change *c, const struct mt_ct_walk *w,
	struct table_slot in, const struct mt_ct_target *g, const struct mt_ct_place *form,
	uint64_t v)
{
	bool ended = write_last_is(c, in.off, in.off + in.len, w->end);
	bool headers = w->flags & MT_CT_WALK_TRIM, cr = write_has_cr(c, w, in);

	if (in.len && !ended && cr)
		put_byte(o, '\r');
	if (in.len && !ended)
		put_byte(o, w->end);
	put(o, c->r->t->text + g->text, g->len);
	put_byte(o, w->between);
	if (headers)
		put_byte(o, ' ');
	put_number(o, form, NULL, 0, v);
	if (ended && cr)
		put_byte(o, '\r');
	if (ended)
		put_byte(o, w->end);
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

static bool json(struct out *o, const struct write_change *c, struct table_slot in,
	const struct mt_ct_target *g, const struct mt_ct_place *form, uint64_t v, uint32_t *at)
{
	bool more = false;

	if (g->parent || !object(c, in, at, &more))
		return false;
	put_byte(o, '"');
	put(o, c->r->t->text + g->text, g->len);
	put(o, "\":", 2);
	put_number(o, form, NULL, 0, v);
	if (more)
		put_byte(o, ',');
	return true;
}

/* ---- elements ------------------------------------------------------------------------------- */

static bool element(struct out *o, const struct write_change *c, const struct mt_ct_walk *w,
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
	struct out o;
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
	o = (struct out){e->small, 0};
	if (!element(&o, c, w, by->part, g, form, v, &at) || o.n > WRITE_SMALL)
		return -ENOTSUP;
	e->off = at;
	e->len = o.n;
	return write_edit_in(c, e, by->op->within) ? 0 : -ENOTSUP;
}
