/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks through a message of protobuf. stack[]: the ends of the messages that were entered. The
 * last of repeated fields counts, also when an embedded message comes in several pieces. mode: in a
 * key of a map up to state.mark, with what may follow in stack[KEY].
 */
#include "write.h"

/* Readers keep the number of a field in 32 bits with its wire type. */
#define FIELD_MAX 0x1fffffffu
/* Readers in C++ take tags and lengths of at most 5 bytes, also if the last of them are zero. */
#define TAG_BYTES 5

/* No walk is so deep that it has an end there. */
#define KEY MT_CT_WALK_DEPTH
_Static_assert(KEY < TABLE_STACK, "the stack has room for it");

struct field {
	uint64_t number;
	enum mt_ct_accept is;
	uint32_t off, len; /* of the value; a varint with all of its bytes */
	uint32_t tag;	   /* bytes of the tag */
};

/* Reads a field's head at p; *used: its bytes, 0: they are too few. */
static enum table_rc head(const uint8_t *p, uint32_t n, uint32_t *used, struct field *f)
{
	uint64_t tag, v;
	int a = table_varint(p, n, &tag), b;

	*used = 0;
	if (a <= 0)
		return a < 0 ? TABLE_MALFORMED : TABLE_GOT;
	f->number = tag >> 3;
	f->tag = (uint32_t)a;
	f->is = (tag & 7) == 2 ? MT_CT_STRING : MT_CT_NUMBER;
	if (f->number == 0 || f->number > FIELD_MAX || a > TAG_BYTES)
		return TABLE_MALFORMED;
	if ((tag & 7) == 1 || (tag & 7) == 5) {
		f->is = MT_CT_FIXED_NUMBER;
		f->len = (tag & 7) == 1 ? 8 : 4;
		*used = (uint32_t)a;
		return TABLE_GOT;
	}
	if ((tag & 7) != 0 && (tag & 7) != 2)
		return TABLE_MALFORMED;
	b = table_varint(p + a, n - (uint32_t)a, &v);
	if (b <= 0)
		return b < 0 ? TABLE_MALFORMED : TABLE_GOT;
	if ((tag & 7) == 2 && (v > UINT32_MAX || b > TAG_BYTES))
		return TABLE_MALFORMED;
	f->len = (tag & 7) == 2 ? (uint32_t)v : (uint32_t)b;
	*used = (uint32_t)((tag & 7) == 2 ? a + b : a);
	return TABLE_GOT;
}

/* The next field before `end`; does not move. */
static enum table_rc next_field(struct table_run *r, uint32_t end, struct field *f)
{
	uint32_t have, used = 0;
	enum table_rc rc = TABLE_GOT;
	uint8_t tmp[20];
	const uint8_t *p = walk_ahead(r, end, sizeof(tmp), tmp, &have);

	if (p)
		rc = head(p, have, &used, f);
	if (rc != TABLE_GOT)
		return rc;
	if (used == 0)
		return walk_more(r, end, have);
	f->off = r->s->pos + used;
	return f->len > end - f->off ? TABLE_MALFORMED : TABLE_GOT;
}

/*
 * An entry of a map: field 1 is the key, field 2 the value. False: the walk ends with *rc, because
 * the index is full, or because the entry has a field (a group, for example) after which servers
 * may find another key or value.
 */
static bool entry(struct table_run *r, struct field map, enum table_rc *rc)
{
	uint32_t back = r->s->pos, end = map.off + map.len;
	struct table_slot key = {map.off, 0}, value = {map.off, 0};
	struct field f;

	for (r->s->pos = map.off; r->s->pos < end; r->s->pos = f.off + f.len) {
		r->used += ELEMENT_STEPS;
		if (next_field(r, end, &f) != TABLE_GOT) {
			*rc = TABLE_MALFORMED;
			return false;
		}
		if (f.number == 1 && f.is == MT_CT_STRING)
			key = (struct table_slot){f.off, f.len};
		if (f.number == 2 && f.is == MT_CT_STRING)
			value = (struct table_slot){f.off, f.len};
	}
	r->s->pos = back;
	return table_entry(r, key, value, (struct table_slot){back, end - back});
}

/* ---- keys of maps ---------------------------------------------------------------------------- */

/* The bytes that must follow in a character of UTF-8, and the range of the next one. */
static uint32_t follows(uint32_t left, uint8_t least, uint8_t most)
{
	return left | (uint32_t)least << 8 | (uint32_t)most << 16;
}

/* One more byte of UTF-8. False: it is none. */
static bool is_utf8(uint32_t *next, uint8_t b)
{
	uint32_t left = *next & 0xff;

	if (left) {
		bool in = b >= (*next >> 8 & 0xff) && b <= *next >> 16;

		*next = left > 1 ? follows(left - 1, 0x80, 0xbf) : 0;
		return in;
	}
	if (b < 0x80)
		return true;
	*next = follows(b < 0xe0   ? 1
			: b < 0xf0 ? 2
				   : 3,
		b == 0xe0   ? 0xa0
		: b == 0xf0 ? 0x90
			    : 0x80,
		b == 0xed   ? 0x9f
		: b == 0xf4 ? 0x8f
			    : 0xbf);
	return b >= 0xc2 && b <= 0xf4;
}

/* Goes on with a key. GOT: all of it is UTF-8. */
static enum table_rc key(struct table_run *r)
{
	struct table_state *s = r->s;
	bool may = true;
	const uint8_t *p;

	for (uint32_t n; may && (n = table_piece(r, s->pos, s->mark, &p)) > 0; s->pos += n) {
		for (uint32_t i = 0; i < n; i++)
			if (!is_utf8(&s->stack[KEY], p[i]))
				return TABLE_MALFORMED;
		may = table_may(r, 4 * n);
	}
	if (s->pos < s->mark)
		return walk_on(r, may);
	s->mode = 0;
	return s->stack[KEY] ? TABLE_MALFORMED : TABLE_GOT;
}

/* True if the field is the key of a map's entry. */
static bool is_key(const struct table_run *r, const struct mt_ct_walk *w, const struct field *f)
{
	return r->s->in && walk_target(r, w, r->s->in - 1u)->accept == MT_CT_ENTRY &&
	       f->number == 1 && f->is == MT_CT_STRING;
}

static bool is_of(const struct mt_ct_target *g, const struct field *f)
{
	return g->accept == MT_CT_ENTRY ? f->is == MT_CT_STRING : walk_accepts(g, f->is);
}

/* The targets of a field. *into: 1 + index of the one to enter. False: the walk ends with *rc. */
static bool targets(struct table_run *r, const struct mt_ct_walk *w, const struct field *f,
	uint32_t *into, enum table_rc *rc)
{
	for (uint32_t i = 0; i < w->n; i++) {
		const struct mt_ct_target *g = walk_target(r, w, i);

		if (g->number != f->number || g->parent != r->s->in || !is_of(g, f))
			continue;
		if (g->nested && f->is == MT_CT_STRING)
			*into = i + 1;
		else if (!r->meta)
			table_found(r, g, f->off, f->len);
		else if (f->is == MT_CT_STRING && !entry(r, *f, rc))
			return false;
	}
	return true;
}

enum table_rc table_walk_protobuf(struct table_run *r, const struct mt_ct_walk *w, uint32_t end)
{
	struct table_state *s = r->s;

	for (;;) {
		uint32_t to = s->depth ? s->stack[s->depth - 1] : end, into = 0;
		struct field f;
		enum table_rc rc = s->mode ? key(r) : TABLE_GOT;

		if (rc != TABLE_GOT)
			return rc;
		if (s->pos == to) {
			if (!s->depth)
				return TABLE_GOT;
			walk_up(r, w);
			continue;
		}
		rc = next_field(r, to, &f);
		if (rc != TABLE_GOT)
			return rc;
		if (!walk_may_pass(r))
			return TABLE_MALFORMED;
		if (!targets(r, w, &f, &into, &rc))
			return rc;
		s->pos = f.off + f.len;
		if (into && s->depth < KEY) {
			s->pos = f.off;
			s->stack[s->depth++] = f.off + f.len;
			s->in = (uint8_t)into;
		} else if (is_key(r, w, &f)) {
			s->mode = 1;
			s->pos = f.off;
			s->mark = f.off + f.len;
			s->stack[KEY] = 0;
		}
		if (!table_may(r, ELEMENT_STEPS + 2u * w->n))
			return TABLE_WAIT;
	}
}

/* ---- changes -------------------------------------------------------------------------------- */

static bool contains(struct table_slot outer, struct table_slot part)
{
	return outer.off <= part.off && part.off + part.len <= outer.off + outer.len;
}

bool write_nest_protobuf(struct write_change *c, struct table_run *r, struct table_slot in,
	struct table_slot part, uint32_t edit)
{
	uint32_t end = in.off + in.len, start;
	struct field f;

	for (r->s->pos = in.off; r->s->pos < end;) {
		start = r->s->pos;
		if (next_field(r, end, &f) != TABLE_GOT)
			return false;
		r->s->pos = f.off + f.len;
		if (!contains((struct table_slot){start, f.off + f.len - start}, part))
			continue;
		if (f.is != MT_CT_STRING)
			return true;
		start += f.tag;
		if (!write_count_add(c, MT_CT_VARINT, (struct table_slot){start, f.off - start},
			    f.len, (struct table_slot){f.off, f.len}, edit))
			return false;
		if (f.off == part.off && f.len == part.len)
			return true;
		r->s->pos = f.off;
		end = f.off + f.len;
	}
	return false;
}
