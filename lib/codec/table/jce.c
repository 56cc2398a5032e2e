/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks through a struct of JCE (TARS). stack[] has an item for each struct, list and map that was
 * entered. Tags ascend in a struct, and readers of JCE do not look back, so the walk ends after the
 * highest wanted tag, and the first element of a repeated tag counts. A lower tag than before, or a
 * second struct that would be entered, is a mistake, because readers pass over it.
 */
#include "jce.h"
#include "write.h"

/*
 * Items of the stack: a struct, or how many elements of a list or map are left. A wanted struct has
 * 1 + its last tag, or more if that must not be repeated; that of the outer one is state.mark.
 */
#define STRUCT_WANTED  0xffff0000u
#define STRUCT_SKIPPED 0xfffe0000u
#define AFTER_TAG      0xffffu
#define OF_MAP	       0x80000000u
#define OF_TEXTS       0x40000000u /* keys and values of the map must be texts */
#define OF_BYTES       0x20000000u /* elements of the list must be bytes */

enum {
	T_INT8,
	T_INT16,
	T_INT32,
	T_INT64,
	T_FLOAT,
	T_DOUBLE,
	T_STRING1,
	T_STRING4,
	T_MAP,
	T_LIST,
	T_STRUCT,
	T_END,
	T_ZERO,
	T_BYTES
};

struct element {
	uint32_t tag, type;
	uint32_t head; /* bytes of the head, and of what is before the value */
	uint32_t len;  /* of the value's bytes; MAP, LIST: elements */
	bool once;     /* no further element may have its tag */
	uint32_t of;   /* MAP, LIST: OF_TEXTS or OF_BYTES, or 0 */
};

static uint32_t big(const uint8_t *p, uint32_t n)
{
	uint32_t v = 0;

	for (uint32_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/*
 * Bytes of an integer with tag 0, its head and value; 0: too few bytes; UINT32_MAX: not an integer
 * up to 2^31. Some readers pass over a count with another tag.
 */
static uint32_t count(const uint8_t *p, uint32_t n, uint32_t *v)
{
	uint32_t type;

	if (n == 0)
		return 0;
	type = p[0];
	*v = 0;
	if (type == T_ZERO)
		return 1;
	if (type > T_INT32)
		return UINT32_MAX;
	if (n < 1 + (1u << type))
		return 0;
	*v = big(p + 1, 1u << type);
	/* A negative number is not a count. */
	return *v >> ((8u << type) - 1) ? UINT32_MAX : 1 + (1u << type);
}

/* A value that starts with a count. */
static enum table_rc counted(const uint8_t *p, uint32_t n, struct element *e)
{
	uint32_t skip = e->type == T_BYTES ? 1 : 0, used;

	if (n < e->head + skip)
		return TABLE_WAIT;
	used = count(p + e->head + skip, n - e->head - skip, &e->len);
	if (used == 0)
		return TABLE_WAIT;
	if (used == UINT32_MAX || (skip && p[e->head] != 0))
		return TABLE_MALFORMED;
	e->head += skip + used;
	return TABLE_GOT;
}

/* WAIT: too few bytes. */
static enum table_rc head(const uint8_t *p, uint32_t n, struct element *e)
{
	static const uint8_t sizes[] = {1, 2, 4, 8, 4, 8};

	e->head = table_jce_head(p, n);
	if (n < e->head)
		return TABLE_WAIT;
	e->type = p[0] & 15;
	e->tag = e->head == 2 ? p[1] : p[0] >> 4;
	e->len = 0;
	e->once = false;
	e->of = 0;
	if (e->type <= T_DOUBLE) {
		e->len = sizes[e->type];
	} else if (e->type == T_STRING1 || e->type == T_STRING4) {
		uint32_t width = e->type == T_STRING1 ? 1 : 4;

		if (n < e->head + width)
			return TABLE_WAIT;
		e->len = big(p + e->head, width);
		e->head += width;
	} else if (e->type == T_MAP || e->type == T_LIST || e->type == T_BYTES) {
		return counted(p, n, e);
	} else if (e->type > T_BYTES || (e->type == T_END && p[0] != T_END)) {
		return TABLE_MALFORMED;
	}
	return TABLE_GOT;
}

static enum table_rc next_element(struct table_run *r, uint32_t end, struct element *e)
{
	uint32_t have;
	enum table_rc rc;
	uint8_t tmp[16];
	const uint8_t *p = walk_ahead(r, end, sizeof(tmp), tmp, &have);

	rc = p ? head(p, have, e) : TABLE_WAIT;
	if (rc == TABLE_WAIT)
		return walk_more(r, end, have);
	if (rc == TABLE_GOT && (e->head > end - r->s->pos || e->len > end - r->s->pos - e->head))
		return TABLE_MALFORMED;
	return rc;
}

static enum mt_ct_accept is(const struct element *e)
{
	if (e->type <= T_INT64 || e->type == T_ZERO)
		return MT_CT_NUMBER;
	if (e->type == T_STRING1 || e->type == T_STRING4)
		return MT_CT_STRING;
	return e->type == T_BYTES ? MT_CT_BYTE_LIST : MT_CT_GROUP;
}

/* True if servers read the element as the target: it has its type, and is not wider. */
static bool accepts(const struct mt_ct_target *g, const struct element *e)
{
	if (g->accept == MT_CT_BYTE_LIST && e->type == T_LIST)
		return g->width != 0;
	if (g->width && e->type <= T_INT64 && e->len > g->width)
		return false;
	return walk_accepts(g, is(e));
}

static bool is_struct(uint32_t item)
{
	return item >= STRUCT_SKIPPED;
}

static bool is_wanted(uint32_t item)
{
	return item >= STRUCT_WANTED;
}

/* True for a list or map without elements left. */
static bool is_over(uint32_t item)
{
	return (item & ~(OF_MAP | OF_TEXTS | OF_BYTES)) == 0;
}

/*
 * Keys and elements of lists have the tag 0, values 1. Readers pass over a lower tag than theirs.
 */
static bool is_tag_of(uint32_t item, const struct element *e)
{
	return e->tag == (item & OF_MAP ? item & 1 : 0);
}

/* Counts the element down in the list or map that it is in; false: it has a wrong tag or type. */
static bool count_down(struct table_state *s, const struct element *e)
{
	uint32_t *item = s->depth ? &s->stack[s->depth - 1] : NULL;

	if (!item || is_struct(*item))
		return true;
	if (!is_tag_of(*item, e) || (*item & OF_TEXTS && is(e) != MT_CT_STRING) ||
		(*item & OF_BYTES && e->type != T_INT8 && e->type != T_ZERO))
		return false;
	--*item;
	return true;
}

/* The entries of a map with texts, for the index. */
static bool entries(struct table_run *r, uint32_t end, uint32_t n)
{
	for (; n > 0; n--) {
		struct table_slot text[2];
		uint32_t at = r->s->pos;

		for (uint32_t i = 0; i < 2; i++) {
			struct element e;

			r->used += ELEMENT_STEPS;
			if (next_element(r, end, &e) != TABLE_GOT || is(&e) != MT_CT_STRING ||
				e.tag != i)
				return false;
			text[i] = (struct table_slot){r->s->pos + e.head, e.len};
			r->s->pos += e.head + e.len;
		}
		if (!table_entry(r, text[0], text[1], (struct table_slot){at, r->s->pos - at}))
			return false;
	}
	return true;
}

/* *into: 0: not a target; 1 + its index if it is to be entered. */
static enum table_rc targets(struct table_run *r, const struct mt_ct_walk *w, uint32_t end,
	struct element *e, uint32_t *into, bool *past)
{
	uint32_t at = r->s->pos;

	*past = r->s->depth == 0;
	for (uint32_t i = 0; i < w->n; i++) {
		const struct mt_ct_target *g = walk_target(r, w, i);

		if (g->parent != r->s->in)
			continue;
		*past = *past && e->tag > g->number;
		e->once |= e->tag == g->number && g->nested;
		if (e->tag != g->number || !accepts(g, e))
			continue;
		if (g->nested && e->type == T_STRUCT) {
			*into = i + 1;
		} else if (r->meta && e->type == T_MAP) {
			bool ok;

			r->s->pos = at + e->head;
			ok = entries(r, end, e->len) || r->meta->state == MT_META_TOO_LARGE;
			r->s->pos = at;
			/* Of a repeated tag the first element counts. */
			*past = true;
			return ok ? TABLE_GOT : TABLE_MALFORMED;
		} else if (!r->meta && e->type == T_MAP && !g->nested) {
			/* A place of a map is there: its entries follow. */
			table_found(r, g, at, e->head);
			e->of = OF_TEXTS;
		} else if (!r->meta && e->type == T_LIST && g->accept == MT_CT_BYTE_LIST) {
			table_found(r, g, at, e->head);
			e->of = OF_BYTES;
		} else if (!r->meta && is(e) == MT_CT_NUMBER) {
			table_found(r, g, at, e->head + e->len);
		} else if (!r->meta && is(e) != MT_CT_GROUP) {
			table_found(r, g, at + e->head, e->len);
		}
	}
	return TABLE_GOT;
}

/* Moves past the element, or into it. */
static enum table_rc step(struct table_run *r, const struct element *e, uint32_t into, uint32_t end)
{
	struct table_state *s = r->s;
	uint32_t item = STRUCT_SKIPPED;

	s->pos += e->head;
	if (e->type == T_STRUCT && into) {
		item = STRUCT_WANTED;
		s->in = (uint8_t)into;
	} else if (e->type == T_MAP || e->type == T_LIST) {
		/* An element has a byte at least, so that the count has a bound. */
		if (e->len > (end - s->pos) / (e->type == T_MAP ? 2 : 1))
			return TABLE_MALFORMED;
		if (e->len >= OF_BYTES / 2)
			return TABLE_MALFORMED;
		item = e->type == T_MAP ? 2 * e->len | OF_MAP : e->len;
		item |= e->of;
	} else if (e->type != T_STRUCT) {
		s->pos += e->len;
		return TABLE_GOT;
	}
	if (s->depth == TABLE_STACK)
		return TABLE_MALFORMED;
	s->stack[s->depth++] = item;
	return TABLE_GOT;
}

/* A struct's end. */
static enum table_rc leave(struct table_run *r, const struct mt_ct_walk *w)
{
	struct table_state *s = r->s;
	uint32_t item = s->depth ? s->stack[s->depth - 1] : 0;

	if (!is_struct(item))
		return TABLE_MALFORMED;
	s->pos++;
	if (is_wanted(item))
		walk_up(r, w);
	else
		s->depth--;
	return TABLE_GOT;
}

/*
 * An element of the outer struct or of a wanted one. Of a repeated tag readers take the first
 * element, whatever its type.
 */
static enum table_rc member(struct table_run *r, const struct mt_ct_walk *w, uint32_t end,
	struct element *e, uint32_t *into, bool *past)
{
	struct table_state *s = r->s;
	uint32_t *item = s->depth ? &s->stack[s->depth - 1] : &s->mark;
	uint32_t after = *item & AFTER_TAG, now = e->tag + 1;
	enum table_rc rc = TABLE_GOT;

	if (now < after)
		return TABLE_MALFORMED;
	if (now != after)
		rc = targets(r, w, end, e, into, past);
	*item = (*item & ~AFTER_TAG) | (now + e->once);
	return rc;
}

/* One element, with its head at state.pos. *past: no later one is wanted. */
static enum table_rc one(struct table_run *r, const struct mt_ct_walk *w, uint32_t end, bool *past)
{
	struct table_state *s = r->s;
	uint32_t into = 0;
	struct element e;
	enum table_rc rc = next_element(r, end, &e);

	if (rc != TABLE_GOT)
		return rc;
	if (!walk_may_pass(r))
		return TABLE_MALFORMED;
	if (e.type == T_END)
		return leave(r, w);
	if (!s->depth || is_wanted(s->stack[s->depth - 1]))
		rc = member(r, w, end, &e, &into, past);
	else if (!count_down(s, &e))
		rc = TABLE_MALFORMED;
	return rc != TABLE_GOT || *past ? rc : step(r, &e, into, end);
}

enum table_rc table_walk_jce(struct table_run *r, const struct mt_ct_walk *w, uint32_t end)
{
	struct table_state *s = r->s;
	bool past = false;

	if (s->phase == 1) {
		s->phase = 2;
		s->mark = 0;
	}
	while (!past) {
		enum table_rc rc;

		if (s->depth && is_over(s->stack[s->depth - 1])) {
			s->depth--;
			continue;
		}
		if (s->pos == end)
			return s->depth ? TABLE_MALFORMED : TABLE_GOT;
		rc = one(r, w, end, &past);
		if (rc != TABLE_GOT)
			return rc;
		if (!table_may(r, ELEMENT_STEPS + 2u * w->n) && !past)
			return TABLE_WAIT;
	}
	return TABLE_GOT;
}

/* ---- changes -------------------------------------------------------------------------------- */

/* The next element, also inside of others, with its head at state.pos. ABSENT: the end. */
static enum table_rc next_of_all(struct table_run *r, uint32_t end, struct element *e)
{
	struct table_state *s = r->s;

	for (;;) {
		enum table_rc rc;

		if (s->depth && is_over(s->stack[s->depth - 1])) {
			s->depth--;
			continue;
		}
		if (s->pos == end)
			return s->depth ? TABLE_MALFORMED : TABLE_ABSENT;
		rc = next_element(r, end, e);
		if (rc != TABLE_GOT || e->type != T_END)
			return rc;
		if (!s->depth || s->stack[s->depth - 1] != STRUCT_SKIPPED)
			return TABLE_MALFORMED;
		s->pos++;
		s->depth--;
	}
}

static enum table_rc past(struct table_run *r, uint32_t end, const struct element *e)
{
	return count_down(r->s, e) ? step(r, e, 0, end) : TABLE_MALFORMED;
}

/* The length of a string or list of bytes. */
static bool nest_in(
	struct write_change *c, struct table_run *r, const struct element *e, uint32_t edit)
{
	uint32_t pos = r->s->pos, tag, value = pos + e->head;
	struct table_slot at, all = {value, e->len};
	uint8_t tmp[1];
	const uint8_t *p = table_bytes(r, pos, 1, tmp);

	if (!p)
		return false;
	tag = table_jce_head(p, 1);
	/* A list of bytes has the head of its elements first. */
	at.off = pos + tag + (e->type == T_BYTES);
	at.len = value - at.off;
	return write_count_add(
		c, e->type == T_BYTES ? MT_CT_JCE : MT_CT_BIG, at, e->len, all, edit);
}

bool write_nest_jce(struct write_change *c, struct table_run *r, struct table_slot in,
	struct table_slot part, uint32_t edit)
{
	uint32_t end = in.off + in.len;
	struct element e;

	r->s->pos = in.off;
	r->s->depth = 0;
	while (next_of_all(r, end, &e) == TABLE_GOT && r->s->pos <= part.off) {
		if (r->s->pos == part.off && e.head + e.len == part.len)
			return true; /* a number */
		if ((is(&e) == MT_CT_STRING || e.type == T_BYTES) &&
			r->s->pos + e.head == part.off && e.len == part.len)
			return nest_in(c, r, &e, edit);
		if (past(r, end, &e) != TABLE_GOT)
			return false;
	}
	return false;
}

bool write_room_jce(struct table_run *r, struct table_slot in, uint32_t tag, uint32_t *at)
{
	uint32_t end = in.off + in.len;
	struct element e;
	enum table_rc rc;

	r->s->pos = in.off;
	r->s->depth = 0;
	while ((rc = next_of_all(r, end, &e)) == TABLE_GOT) {
		if (!r->s->depth && e.tag > tag)
			break;
		if (past(r, end, &e) != TABLE_GOT)
			return false;
	}
	*at = r->s->pos;
	return rc == TABLE_GOT || rc == TABLE_ABSENT;
}
