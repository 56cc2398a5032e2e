/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps over Hessian values with an explicit stack: bounded in depth, in class definitions and in
 * values, linear in bytes (every value takes at least one), nothing allocated.
 */
#include "hessian.h"

void hs_open(struct hs_reader *r, const struct mt_chain *c, uint32_t off, uint32_t end)
{
	mt_cursor_init(&r->cur, c, off);
	r->cur.end = end;
	r->p = r->e = r->run = NULL;
	r->budget = HS_VALUES;
	r->n_classes = 0;
	r->objects = false;
}

uint32_t hs_pos(const struct hs_reader *r)
{
	return r->cur.pos + (uint32_t)(r->p - r->run);
}

/* Brings the cursor to p. */
static void settle(struct hs_reader *r)
{
	mt_cursor_skip(&r->cur, (uint32_t)(r->p - r->run));
	r->run = r->p = r->e = NULL;
}

static bool refill(struct hs_reader *r)
{
	uint32_t n;

	settle(r);
	n = mt_cursor_run(&r->cur, &r->p);
	if (n == 0) {
		r->p = NULL;
		return false;
	}
	r->run = r->p;
	r->e = r->p + n;
	return true;
}

int hs_peek(struct hs_reader *r)
{
	if (mt_unlikely(r->p == r->e) && !refill(r))
		return -1;
	return *r->p;
}

static inline bool take(struct hs_reader *r, uint8_t *b)
{
	if (mt_unlikely(r->p == r->e) && !refill(r))
		return false;
	*b = *r->p++;
	return true;
}

/* n bytes, big-endian, sign-extended from the first. */
static bool take_int(struct hs_reader *r, uint32_t n, int64_t *v)
{
	uint8_t b;

	for (uint32_t i = 0; i < n; i++) {
		if (!take(r, &b))
			return false;
		*v = i == 0 ? (int8_t)b : (int64_t)((uint64_t)*v << 8 | b);
	}
	return true;
}

static bool skip(struct hs_reader *r, uint32_t n)
{
	if (n <= (uint32_t)(r->e - r->p)) {
		r->p += n;
		return true;
	}
	settle(r);
	return mt_cursor_skip(&r->cur, n) == n;
}

static uint32_t left(const struct hs_reader *r)
{
	return mt_cursor_left(&r->cur) - (uint32_t)(r->p - r->run);
}

static bool string(struct hs_reader *r, struct hs_value *v)
{
	struct hs_str s = {0};

	while (s.phase < HS_DONE && hs_peek(r) >= 0)
		r->p += hs_str_feed(&s, r->p, (uint32_t)(r->e - r->p));
	if (s.phase != HS_DONE || s.null)
		return false;
	v->kind = s.chunked ? HS_SCALAR : HS_STRING;
	v->len = s.bytes;
	v->off = hs_pos(r) - s.bytes;
	return true;
}

static bool is_string(uint8_t tag)
{
	return tag <= 0x1f || (tag >= 0x30 && tag <= 0x33) || tag == 'S' || tag == 'R';
}

/* Compact ints: one byte 80-bf, two c0-cf, three d0-d7; 'I' and four. */
static bool number_int(struct hs_reader *r, uint8_t tag, int64_t *v)
{
	int64_t low = 0;

	if (tag >= 0x80 && tag <= 0xbf) {
		*v = tag - 0x90;
		return true;
	}
	if (tag == 'I')
		return take_int(r, 4, v);
	if (tag >= 0xc0 && tag <= 0xcf) {
		uint8_t b;

		if (!take(r, &b))
			return false;
		*v = (int64_t)(tag - 0xc8) * 256 + b;
		return true;
	}
	if (tag < 0xd0 || tag > 0xd7 || !take_int(r, 2, &low))
		return false;
	*v = (int64_t)(tag - 0xd4) * 65536 + (low & 0xffff);
	return true;
}

/* Compact longs: d8-ef, f0-ff and one, 38-3f and two; 'Y' and four, 'L' and eight. */
static bool number_long(struct hs_reader *r, uint8_t tag, int64_t *v)
{
	int64_t low = 0;
	uint8_t b;

	if (tag >= 0xd8 && tag <= 0xef) {
		*v = tag - 0xe0;
		return true;
	}
	if (tag >= 0xf0) {
		if (!take(r, &b))
			return false;
		*v = (int64_t)(tag - 0xf8) * 256 + b;
		return true;
	}
	if (tag == 'Y')
		return take_int(r, 4, v);
	if (tag == 'L')
		return take_int(r, 8, v);
	if (!take_int(r, 2, &low))
		return false;
	*v = (int64_t)(tag - 0x3c) * 65536 + (low & 0xffff);
	return true;
}

/* A count, an index or a length that stands as an int. */
static bool read_count(struct hs_reader *r, uint32_t *n)
{
	int64_t v = 0;
	uint8_t tag;

	if (!take(r, &tag) || !number_int(r, tag, &v) || v < 0)
		return false;
	*n = (uint32_t)v;
	return true;
}

/* The type of a list or map: its name, or the number of an earlier one. */
static bool type(struct hs_reader *r)
{
	struct hs_value v;
	uint32_t n;
	int tag = hs_peek(r);

	if (tag < 0)
		return false;
	return is_string((uint8_t)tag) ? string(r, &v) : read_count(r, &n);
}

static bool class_def(struct hs_reader *r)
{
	struct hs_value v;
	uint32_t n;

	if (r->n_classes == HS_CLASSES || !string(r, &v) || !read_count(r, &n) || n > left(r) ||
		n > UINT16_MAX)
		return false;
	r->fields[r->n_classes++] = (uint16_t)n;
	while (n-- > 0)
		if (!string(r, &v))
			return false;
	return true;
}

static bool binary(struct hs_reader *r, uint8_t tag)
{
	for (;;) {
		int64_t n = 0;
		bool more = tag == 'A';

		if (tag >= 0x20 && tag <= 0x2f) {
			n = tag - 0x20;
		} else if (tag >= 0x34 && tag <= 0x37) {
			uint8_t b;

			if (!take(r, &b))
				return false;
			n = (tag - 0x34) << 8 | b;
		} else if (tag == 'A' || tag == 'B') {
			if (!take_int(r, 2, &n))
				return false;
			n &= 0xffff;
		} else {
			return false;
		}
		if (!skip(r, (uint32_t)n))
			return false;
		if (!more)
			return true;
		if (!take(r, &tag))
			return false;
	}
}

static bool push(struct hs_reader *r, uint32_t *depth, uint32_t n, bool map)
{
	/* Each value takes at least a byte: a count beyond that is a lie. */
	if (*depth + 1 >= HS_DEPTH || (n != HS_UNBOUNDED && n > left(r)))
		return false;
	r->level[++*depth] = (struct hs_level){.left = n, .map = map};
	return true;
}

static bool object(struct hs_reader *r, uint32_t *depth, uint32_t idx)
{
	r->objects = true;
	return idx < r->n_classes && push(r, depth, r->fields[idx], false);
}

/* What may hold other values, and the rarer scalars. */
static bool container(struct hs_reader *r, uint8_t tag, uint32_t *depth, struct hs_value *v)
{
	uint32_t n;

	v->kind = HS_COMPLEX;
	if (tag >= 0x60 && tag <= 0x6f)
		return object(r, depth, tag - 0x60);
	if (tag >= 0x70 && tag <= 0x77)
		return type(r) && push(r, depth, tag - 0x70, false);
	if (tag >= 0x78 && tag <= 0x7f)
		return push(r, depth, tag - 0x78, false);
	switch (tag) {
	case 'H':
		return push(r, depth, HS_UNBOUNDED, true);
	case 'M':
		return type(r) && push(r, depth, HS_UNBOUNDED, true);
	case 'U':
		return type(r) && push(r, depth, HS_UNBOUNDED, false);
	case 'V':
		return type(r) && read_count(r, &n) && push(r, depth, n, false);
	case 'W':
		return push(r, depth, HS_UNBOUNDED, false);
	case 'X':
		return read_count(r, &n) && push(r, depth, n, false);
	case 'O':
		return read_count(r, &n) && object(r, depth, n);
	case 'Q':
		return read_count(r, &n);
	default:
		return false;
	}
}

static bool scalar(struct hs_reader *r, uint8_t tag, uint32_t *depth, struct hs_value *v)
{
	v->kind = HS_SCALAR;
	switch (tag) {
	case 'N':
	case 'T':
	case 'F':
	case 0x5b:
	case 0x5c:
		return true;
	case 0x5d:
		return skip(r, 1);
	case 0x5e:
		return skip(r, 2);
	case 0x5f:
	case 'K':
		return skip(r, 4);
	case 'D':
	case 'J':
		return skip(r, 8);
	default:
		break;
	}
	if ((tag >= 0x20 && tag <= 0x2f) || (tag >= 0x34 && tag <= 0x37) || tag == 'A' ||
		tag == 'B')
		return binary(r, tag);
	if (tag == 'I' || (tag >= 0x80 && tag <= 0xd7)) {
		v->kind = HS_NUMBER;
		return number_int(r, tag, &v->number);
	}
	if (tag >= 0xd8 || (tag >= 0x38 && tag <= 0x3f) || tag == 'Y' || tag == 'L') {
		v->kind = HS_NUMBER;
		return number_long(r, tag, &v->number);
	}
	return container(r, tag, depth, v);
}

/* Takes closed levels off the stack; false: a 'Z' stands where a map's value should. */
static bool unwind(struct hs_reader *r, uint32_t *depth)
{
	while (*depth > 0) {
		struct hs_level *l = &r->level[*depth];

		if (l->left == HS_UNBOUNDED && hs_peek(r) == 'Z') {
			if (l->map && l->odd)
				return false;
			r->p++;
		} else if (l->left != 0) {
			return true;
		}
		--*depth;
	}
	return true;
}

/* Class definitions stand before the object that needs them and are no values themselves. */
static bool class_defs(struct hs_reader *r)
{
	while (hs_peek(r) == 'C') {
		r->p++;
		if (r->budget == 0 || !class_def(r))
			return false;
		r->budget--;
	}
	return true;
}

/* The head of one value, with all of it unless it is a container. */
static bool head(struct hs_reader *r, uint32_t *depth, struct hs_value *v)
{
	int tag;

	if (!class_defs(r) || r->budget == 0)
		return false;
	r->budget--;
	tag = hs_peek(r);
	if (tag < 0)
		return false;
	if (is_string((uint8_t)tag))
		return string(r, v);
	r->p++;
	return scalar(r, (uint8_t)tag, depth, v);
}

bool hs_value(struct hs_reader *r, struct hs_value *v)
{
	struct hs_value inner;
	uint32_t depth = 0;

	if (!head(r, &depth, v ? v : &inner) || !unwind(r, &depth))
		return false;
	while (depth > 0) {
		struct hs_level *l = &r->level[depth];

		l->odd = !l->odd;
		if (l->left != HS_UNBOUNDED)
			l->left--;
		if (!head(r, &depth, &inner) || !unwind(r, &depth))
			return false;
	}
	return true;
}

bool hs_map_open(struct hs_reader *r)
{
	int tag = hs_peek(r);

	if (tag != 'H' && tag != 'M')
		return false;
	r->p++;
	return tag == 'H' || type(r);
}

bool hs_map_end(struct hs_reader *r)
{
	if (hs_peek(r) != 'Z')
		return false;
	r->p++;
	return true;
}
