/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks through a JSON object byte by byte. Only the objects on the path to a wanted member are
 * parsed; inside other values the walk counts brackets outside of strings. The last of repeated
 * members counts. Names on the path, and wanted texts, must not contain escape sequences: a server
 * would read another text than the one that is compared here.
 */
#include "walk.h"

enum mode {
	J_VALUE,   /* before a value */
	J_MEMBER,  /* in an object: before a member or its end */
	J_NAME,	   /* in a member's name, which starts at state.mark */
	J_COLON,   /* after the name */
	J_TEXT,	   /* in a string, which starts at state.mark */
	J_LITERAL, /* in a number or word, which starts at state.mark with state.level */
	J_NEXT,	   /* after a value: before a comma or the object's end */
	J_NESTED,  /* in another object or array; state.level counts brackets */
	J_QUOTED,  /* in a string there */
	J_END,
};

#define J_ESCAPE   0x80 /* in `mode`: after a backslash */
#define J_WANTED   7	/* stack[]: bits of the targets of the current member */
#define LEVELS_MAX 1000

static bool blank(uint8_t b)
{
	return b == ' ' || b == '\t' || b == '\n' || b == '\r';
}

static bool ends_literal(uint8_t b)
{
	return blank(b) || b == ',' || b == '}' || b == ']';
}

/* True if target i is below target `top`, both as 1 + index. */
static bool below(const struct table_run *r, const struct mt_ct_walk *w, uint32_t i, uint32_t top)
{
	while (i != 0 && i != top)
		i = walk_target(r, w, i - 1)->parent;
	return i == top;
}

/* The member is there again, so that nothing of its earlier value counts. */
static void forget(struct table_run *r, const struct mt_ct_walk *w, uint32_t wanted)
{
	for (uint32_t i = 0; wanted && i < w->n; i++)
		for (uint32_t k = 0; k < w->n; k++)
			if (wanted >> i & 1 && below(r, w, k + 1, i + 1) &&
				walk_target(r, w, k)->slot != MT_CT_NONE)
				table_empty(r, walk_target(r, w, k)->slot);
}

/* A name ended at state.pos: finds its targets. */
static void name(struct table_run *r, const struct mt_ct_walk *w)
{
	struct table_state *s = r->s;
	uint32_t wanted = 0, len = s->pos - s->mark;

	for (uint32_t i = 0; i < w->n; i++) {
		const struct mt_ct_target *g = walk_target(r, w, i);

		if (g->parent == s->in && g->len == len &&
			table_equal(r, s->mark, len, g->text, g->len, false))
			wanted |= 1u << i;
	}
	r->used += 4u * w->n;
	s->stack[J_WANTED] = wanted;
	forget(r, w, wanted);
}

/* A value of the wanted member ended. */
static void value(struct table_run *r, const struct mt_ct_walk *w, enum mt_ct_accept is,
	uint32_t off, uint32_t end)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (r->s->stack[J_WANTED] >> i & 1 && walk_accepts(walk_target(r, w, i), is))
			table_found(r, walk_target(r, w, i), off, end - off);
}

/* 1 + index of the target with an object to be entered; 0: none. */
static uint32_t entered(const struct table_run *r, const struct mt_ct_walk *w)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (r->s->stack[J_WANTED] >> i & 1 && walk_target(r, w, i)->nested)
			return i + 1;
	return 0;
}

static enum mode after_value(const struct table_state *s, bool outer)
{
	return outer && s->depth == 0 ? J_END : J_NEXT;
}

/* The first byte of a value. */
static enum table_rc begin(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	struct table_state *s = r->s;
	uint32_t into = s->depth ? entered(r, w) : 0;

	s->mark = s->pos;
	if (s->depth == 0) {
		/* Only an object has members. */
		s->mode = b == '{' ? J_MEMBER : J_END;
		s->depth = b == '{';
	} else if (b == '{' && into && s->depth < TABLE_STACK) {
		s->depth++;
		s->in = (uint8_t)into;
		s->mode = J_MEMBER;
	} else if (b == '{' || b == '[') {
		s->mode = J_NESTED;
		s->level = 1;
	} else if (b == '"') {
		s->mode = J_TEXT;
		s->mark = s->pos + 1;
	} else if (b == '-' || (b >= '0' && b <= '9') || (b >= 'a' && b <= 'z')) {
		s->mode = J_LITERAL;
		s->level = b;
	} else {
		return TABLE_MALFORMED;
	}
	return TABLE_GOT;
}

static enum table_rc object_end(struct table_run *r, const struct mt_ct_walk *w)
{
	walk_up(r, w);
	r->s->mode = (uint8_t)after_value(r->s, true);
	return TABLE_GOT;
}

static enum table_rc member(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	struct table_state *s = r->s;

	if (b == '}')
		return object_end(r, w);
	if (b != '"')
		return TABLE_MALFORMED;
	s->mode = J_NAME;
	s->mark = s->pos + 1;
	table_mark(r, s->mark);
	return TABLE_GOT;
}

static enum table_rc in_name(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	if (b == '\\')
		return TABLE_MALFORMED;
	if (b == '"') {
		name(r, w);
		r->s->mode = J_COLON;
	}
	return TABLE_GOT;
}

static enum table_rc in_text(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	struct table_state *s = r->s;

	if (b == '\\') {
		if (s->stack[J_WANTED])
			return TABLE_MALFORMED;
		s->mode |= J_ESCAPE;
	} else if (b == '"') {
		value(r, w, MT_CT_STRING, s->mark, s->pos);
		s->mode = J_NEXT;
	}
	return TABLE_GOT;
}

static enum table_rc next(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	if (b == '}')
		return object_end(r, w);
	if (b != ',')
		return TABLE_MALFORMED;
	r->s->mode = J_MEMBER;
	return TABLE_GOT;
}

static enum table_rc in_literal(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	struct table_state *s = r->s;
	uint16_t first = s->level;

	if (!ends_literal(b))
		return TABLE_GOT;
	/* A null means that there is no value. */
	if (first != 'n')
		value(r, w, first == 't' || first == 'f' ? MT_CT_GROUP : MT_CT_NUMBER, s->mark,
			s->pos);
	s->mode = J_NEXT;
	return blank(b) ? TABLE_GOT : next(r, w, b);
}

static enum table_rc nested(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	struct table_state *s = r->s;

	if (b == '"') {
		s->mode = J_QUOTED;
	} else if (b == '{' || b == '[') {
		if (++s->level > LEVELS_MAX)
			return TABLE_MALFORMED;
	} else if ((b == '}' || b == ']') && --s->level == 0) {
		value(r, w, MT_CT_GROUP, s->mark, s->pos + 1);
		s->mode = J_NEXT;
	}
	return TABLE_GOT;
}

/* The byte at state.pos. */
static enum table_rc byte(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	struct table_state *s = r->s;

	if (s->mode & J_ESCAPE) {
		s->mode &= (uint8_t)~J_ESCAPE;
		return TABLE_GOT;
	}
	switch ((enum mode)s->mode) {
	case J_NAME:
		return in_name(r, w, b);
	case J_TEXT:
		return in_text(r, w, b);
	case J_LITERAL:
		return in_literal(r, w, b);
	case J_NESTED:
		return nested(r, w, b);
	case J_QUOTED:
		if (b == '\\')
			s->mode |= J_ESCAPE;
		else if (b == '"')
			s->mode = J_NESTED;
		return TABLE_GOT;
	default:
		break;
	}
	if (blank(b))
		return TABLE_GOT;
	switch ((enum mode)s->mode) {
	case J_VALUE:
		return begin(r, w, b);
	case J_MEMBER:
		return member(r, w, b);
	case J_COLON:
		s->mode = J_VALUE;
		return b == ':' ? TABLE_GOT : TABLE_MALFORMED;
	case J_NEXT:
		return next(r, w, b);
	default:
		return TABLE_GOT;
	}
}

enum table_rc table_walk_json(struct table_run *r, const struct mt_ct_walk *w, uint32_t end)
{
	struct table_state *s = r->s;
	const uint8_t *p;

	for (uint32_t n; (n = table_piece(r, s->pos, end, &p)) > 0;) {
		for (uint32_t i = 0; i < n; i++, s->pos++) {
			enum table_rc rc = byte(r, w, p[i]);

			if (rc != TABLE_GOT)
				return rc;
			if (s->mode == J_END)
				return TABLE_GOT;
		}
		r->used += 8 * n + 4;
	}
	if (s->pos < end) {
		/* A longer name is none that is looked for. */
		r->keep = s->mode == J_NAME && s->pos - s->mark <= MT_CT_KEY;
		table_arrived(r, s->pos + 1);
		return TABLE_WAIT;
	}
	/* An empty container has no members. */
	return s->mode == J_VALUE && s->depth == 0 ? TABLE_GOT : TABLE_MALFORMED;
}
