/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines from pieces. Each value may use what remains of the line when all later pieces have their
 * fewest bytes, so that literals always fit and JSON is always complete.
 */
#include "mt_alog_format_priv.h"

/* An object or array of a format without empty values. */
struct level {
	uint32_t member; /* start of the current member in the line */
	bool empty;	 /* no member is written yet */
};

struct state {
	struct mt_alog_out out;
	struct level levels[MT_ALOG_DEPTH + 1];
	uint32_t depth;
	bool dropped; /* the current member is left out */
	bool cut;
};

static void put(struct state *s, const void *p, uint32_t n)
{
	memcpy(s->out.p + s->out.len, p, n);
	s->out.len += n;
}

/* Bytes of a literal or of a scratch. Both may be read, and the line written, for 16 bytes. */
static mt_inline void put_padded(struct state *s, const void *p, uint32_t n)
{
	if (n <= MT_ALOG_PADDING)
		memcpy(s->out.p + s->out.len, p, MT_ALOG_PADDING);
	else
		memcpy(s->out.p + s->out.len, p, n);
	s->out.len += n;
}

static void put_slice(struct state *s, struct mt_slice text)
{
	if (text.len)
		put_padded(s, text.p, text.len);
}

/* The first bytes of a value, without a part of a character. */
static struct mt_slice limited(struct mt_slice part, uint32_t limit)
{
	uint32_t n = MT_MIN(part.len, limit), back = 0;

	if (n == part.len)
		return part;
	while (back < 3 && back < n && (part.p[n - back] & 0xc0) == 0x80)
		back++;
	if (back && mt_utf8_len((const char *)part.p + n - back, part.len - (n - back)) > back)
		n -= back;
	return (struct mt_slice){part.p, n};
}

static void put_limited(
	struct state *s, const struct mt_alog_piece *p, const struct mt_alog_value *v)
{
	uint32_t left = p->limit;

	for (uint32_t i = 0; i < v->n_parts && !s->out.cut; i++) {
		struct mt_slice part = limited(v->parts[i], left);

		left -= part.len;
		mt_alog_escape(&s->out, part, p->form != MT_ALOG_AS_TEXT);
		if (part.len < v->parts[i].len)
			break;
	}
}

static void put_text(struct state *s, const struct mt_alog_piece *p, const struct mt_alog_value *v)
{
	if (v->plain && !p->is_limited && v->parts[0].len <= s->out.end - s->out.len) {
		if (v->own)
			put_padded(s, v->scratch, v->parts[0].len);
		else
			put(s, v->parts[0].p, v->parts[0].len);
		return;
	}
	if (p->is_limited)
		put_limited(s, p, v);
	else
		for (uint32_t i = 0; i < v->n_parts && !s->out.cut; i++)
			mt_alog_escape(&s->out, v->parts[i], p->form != MT_ALOG_AS_TEXT);
	s->cut |= s->out.cut;
	s->out.cut = false;
}

/* False: it has no room. */
static bool put_number(struct state *s, const struct mt_alog_piece *p, int64_t n)
{
	uint64_t magnitude = n < 0 ? -(uint64_t)n : (uint64_t)n;
	char digits[24];
	uint32_t len = 0;

	if (n < 0)
		digits[len++] = '-';
	len += mt_alog_digits(digits + len, magnitude);
	if (p->is_limited && p->form != MT_ALOG_AS_JSON)
		len = MT_MIN(len, p->limit);
	if (len > s->out.end - s->out.len)
		return false;
	put(s, digits, len);
	return true;
}

static bool put_bool(struct state *s, bool yes)
{
	uint32_t len = yes ? 4 : 5;

	if (len > s->out.end - s->out.len)
		return false;
	put(s, yes ? "true" : "false", len);
	return true;
}

static void put_unset(
	struct state *s, const struct mt_alog_format *f, const struct mt_alog_piece *p)
{
	if (f->omit_empty)
		s->dropped = p->form == MT_ALOG_AS_JSON;
	else if (p->form == MT_ALOG_AS_JSON)
		put(s, "null", 4);
	else
		put(s, "-", 1);
}

static mt_inline void put_value(struct state *s, const struct mt_alog_format *f,
	const struct mt_alog_piece *p, const struct mt_alog_value *v)
{
	bool done = true;

	s->out.end = MT_ALOG_LINE - p->rest;
	switch (v->type) {
	case MT_ALOG_IS_TEXT:
		if (p->form == MT_ALOG_AS_JSON) {
			put(s, "\"", 1);
			s->out.end--;
			put_text(s, p, v);
			put(s, "\"", 1);
		} else {
			put_text(s, p, v);
		}
		return;
	case MT_ALOG_IS_NUMBER:
		done = put_number(s, p, v->number);
		break;
	case MT_ALOG_IS_BOOL:
		done = put_bool(s, v->number != 0);
		break;
	case MT_ALOG_UNSET:
		put_unset(s, f, p);
		return;
	}
	if (done)
		return;
	s->cut = true;
	put_unset(s, f, p);
}

/* The first choice that has a value, with its own limit if that is less; otherwise unset. */
static mt_noinline void put_first_of(struct state *s, const struct mt_alog_format *f,
	const struct mt_alog_piece *p, const struct mt_alog_record *r, uint64_t now,
	struct mt_alog_value *v)
{
	struct mt_alog_piece one = *p;

	put_slice(s, p->before);
	v->type = MT_ALOG_UNSET;
	for (uint32_t i = 0; i < p->n_choices && v->type == MT_ALOG_UNSET; i++) {
		const struct mt_alog_piece *c = &p->choices[i];

		mt_alog_value_of(c, r, now, v);
		one.is_limited = p->is_limited || c->is_limited;
		one.limit = MT_MIN(p->is_limited ? p->limit : UINT32_MAX,
			c->is_limited ? c->limit : UINT32_MAX);
	}
	put_value(s, f, &one, v);
}

/* ---- members that may be left out ----------------------------------------------------------- */

static void open(struct state *s, const struct mt_alog_piece *p)
{
	s->levels[s->depth++] = (struct level){.empty = true};
	put_slice(s, p->text);
}

static void member(struct state *s, const struct mt_alog_piece *p)
{
	struct level *l = &s->levels[s->depth - 1];

	l->member = s->out.len;
	s->dropped = false;
	if (!l->empty)
		put(s, ",", 1);
	put_slice(s, p->text);
}

static void end_member(struct state *s)
{
	struct level *l = &s->levels[s->depth - 1];

	if (s->dropped)
		s->out.len = l->member;
	else
		l->empty = false;
	s->dropped = false;
}

/* An object without members is left out, except the whole; an empty list is kept. */
static void close_level(struct state *s, const struct mt_alog_piece *p)
{
	struct level *l = &s->levels[--s->depth];

	s->dropped = l->empty && s->depth > 0 && p->text.p[0] == '}';
	put_slice(s, p->text);
}

/* ---- the line ------------------------------------------------------------------------------- */

void mt_alog_render(struct mt_alog_format *f, const struct mt_alog_record *r, uint64_t now,
	struct mt_alog_line *line)
{
	struct state s = {.out = {.p = line->text}};
	struct mt_alog_value v;

	for (const struct mt_alog_piece *p = f->pieces, *end = p + f->n_pieces; p < end; p++)
		switch ((enum mt_alog_piece_kind)p->kind) {
		case MT_ALOG_LITERAL:
			put_slice(&s, p->text);
			break;
		case MT_ALOG_VALUE:
			put_slice(&s, p->before);
			mt_alog_value_of(p, r, now, &v);
			put_value(&s, f, p, &v);
			break;
		case MT_ALOG_FIRST:
			put_first_of(&s, f, p, r, now, &v);
			break;
		case MT_ALOG_OPEN:
			open(&s, p);
			break;
		case MT_ALOG_MEMBER:
			member(&s, p);
			break;
		case MT_ALOG_END_MEMBER:
			end_member(&s);
			break;
		case MT_ALOG_CLOSE:
			close_level(&s, p);
			break;
		}
	line->len = s.out.len;
	line->cut = s.cut;
}
