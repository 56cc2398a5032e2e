/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the end of an unframed struct by walking its fields: a push machine with an explicit stack
 * in the decoder's state. Every container element takes at least one byte, so the message limit
 * bounds counts. Bytes bound the work.
 */
#include "thrift.h"

/* The encoding of a value, whichever its protocol is. Four bits each. */
enum code {
	C_BAD,
	C_F0, /* no bytes: a compact boolean field is in its header */
	C_F1,
	C_F2,
	C_F4,
	C_F8,
	C_F16,
	C_VARINT,
	C_BLOB,
	C_STRUCT,
	C_LIST,
	C_MAP,
};

static const uint8_t fixed_size[] = {
	[C_F0] = 0, [C_F1] = 1, [C_F2] = 2, [C_F4] = 4, [C_F8] = 8, [C_F16] = 16};

/* Type ids of the binary protocol. */
static const uint8_t binary_codes[] = {
	[2] = C_F1,    /* bool */
	[3] = C_F1,    /* byte */
	[4] = C_F8,    /* double */
	[6] = C_F2,    /* i16 */
	[8] = C_F4,    /* i32 */
	[10] = C_F8,   /* i64 */
	[11] = C_BLOB, /* string */
	[12] = C_STRUCT,
	[13] = C_MAP,
	[14] = C_LIST, /* set */
	[15] = C_LIST,
	[16] = C_F16, /* uuid */
};

/* Type ids of the compact protocol as elements. As fields, 1 and 2 have no bytes of their own. */
static const uint8_t compact_codes[] = {
	[1] = C_F1,	/* true */
	[2] = C_F1,	/* false */
	[3] = C_F1,	/* byte */
	[4] = C_VARINT, /* i16 */
	[5] = C_VARINT, /* i32 */
	[6] = C_VARINT, /* i64 */
	[7] = C_F8,	/* double */
	[8] = C_BLOB,
	[9] = C_LIST,
	[10] = C_LIST, /* set */
	[11] = C_MAP,
	[12] = C_STRUCT,
	[13] = C_F16, /* uuid */
};

enum walk_phase {
	P_FIELD,    /* a field header, or the struct's end */
	P_FIELD_ID, /* compact, long form: the id's varint, then the value */
	P_VALUE,    /* a value of w->code */
	P_VARINT,   /* inside a varint that is skipped */
	P_BLOB_LEN,
	P_LIST,
	P_LIST_LEN,
	P_MAP,
	P_MAP_TYPES,
	P_NEXT, /* a value has ended; the stack decides what comes next */
};

static uint8_t code_of(const struct thrift_walk *w, uint8_t type)
{
	if (w->compact)
		return type < MT_ARRAY_LEN(compact_codes) ? compact_codes[type] : C_BAD;
	return type < MT_ARRAY_LEN(binary_codes) ? binary_codes[type] : C_BAD;
}

/*
 * The stack; its last byte is the top. A struct is one byte. A container is its count (1, 2 or 4
 * bytes, as wide as the count was at first), for maps a byte with both codes, and the top byte:
 * kind, width, and a list's code or a map's state (0: a key comes next).
 */
#define K_STRUCT 0x00
#define K_LIST	 0x40
#define K_MAP	 0x80
#define K_KIND	 0xc0
#define K_WIDTH	 0x30
#define K_LOW	 0x0f

static uint32_t width_of(uint8_t top)
{
	return 1u << ((top & K_WIDTH) >> 4);
}

static uint32_t get_count(const uint8_t *at, uint32_t width)
{
	uint32_t v = 0;

	while (width-- > 0)
		v = v << 8 | *at++;
	return v;
}

static void put_count(uint8_t *at, uint32_t width, uint32_t v)
{
	for (uint32_t i = 0; i < width; i++)
		at[i] = (uint8_t)(v >> 8 * (width - 1 - i));
}

static bool push(struct thrift_walk *w, uint8_t kind, uint8_t low, uint32_t count)
{
	uint8_t wbits = count <= UINT8_MAX ? 0 : count <= UINT16_MAX ? 1 : 2;
	uint32_t width = kind == K_STRUCT ? 0 : 1u << wbits;
	uint32_t need = 1 + width + (kind == K_MAP);
	uint8_t *at = w->stack + w->sp;

	if (w->depth == THRIFT_DEPTH || w->sp + need > THRIFT_STACK)
		return false;
	put_count(at, width, count);
	if (kind == K_MAP)
		at[width] = w->types;
	at[need - 1] = (uint8_t)(kind | (kind == K_STRUCT ? 0 : wbits << 4) | low);
	w->sp += (uint8_t)need;
	w->depth++;
	return true;
}

static void pop(struct thrift_walk *w, uint32_t bytes)
{
	w->sp -= (uint8_t)bytes;
	w->depth--;
}

/* A value has ended: prepares the next item of the innermost level. */
static void next(struct thrift_walk *w)
{
	uint8_t *top = &w->stack[w->sp - 1], *count;
	uint32_t width = width_of(*top), map = (*top & K_KIND) == K_MAP, left;

	if ((*top & K_KIND) == K_STRUCT) {
		w->phase = P_FIELD;
		return;
	}
	count = top - map - width;
	left = get_count(count, width);
	if (map && (*top & 1)) {
		*top &= (uint8_t)~1;
		w->code = top[-1] & 15;
		w->phase = P_VALUE;
		return;
	}
	if (left == 0) {
		pop(w, 1 + map + width);
		return;
	}
	put_count(count, width, left - 1);
	w->code = map ? top[-1] >> 4 : *top & K_LOW;
	if (map)
		*top |= 1;
	w->phase = P_VALUE;
}

void thrift_walk_init(struct thrift_walk *w, bool compact)
{
	*w = (struct thrift_walk){.compact = compact};
	push(w, K_STRUCT, 0, 0);
}

/* Bytes that this message may still have after the cursor. */
static uint32_t room(const struct mt_decoder *d)
{
	uint32_t pos = mt_decoder_pos(d);

	return pos < d->max_message ? d->max_message - pos : 0;
}

static enum mt_decode too_long(struct mt_decoder *d)
{
	return mt_decode_too_long(d, "thrift: message longer than the limit");
}

static enum mt_decode set_skip(struct thrift_walk *w, struct mt_decoder *d, uint64_t n)
{
	if (n > room(d))
		return too_long(d);
	w->skip = (uint32_t)n;
	w->phase = P_NEXT;
	return MT_DECODE_DONE;
}

static enum mt_decode field(struct thrift_walk *w, struct mt_decoder *d)
{
	uint8_t b;

	if (!mt_cursor_u8(&d->cur, &b))
		return MT_DECODE_MORE;
	if (b == 0) {
		pop(w, 1);
		w->phase = P_NEXT;
		return MT_DECODE_DONE;
	}
	w->phase = P_VALUE;
	if (!w->compact) {
		w->code = code_of(w, b);
		w->skip = 2;
	} else {
		w->code = (b & 15) == 1 || (b & 15) == 2 ? C_F0 : code_of(w, b & 15);
		if (b >> 4 == 0)
			w->phase = P_FIELD_ID;
	}
	if (w->code == C_BAD)
		return mt_decode_bad(d, "thrift: unknown field type");
	return MT_DECODE_DONE;
}

/* Skips a varint of at most `max` bytes, then continues with `phase`. */
static enum mt_decode skip_varint(
	struct thrift_walk *w, struct mt_decoder *d, uint32_t max, uint8_t phase)
{
	uint8_t b;

	do {
		if (!mt_cursor_u8(&d->cur, &b))
			return MT_DECODE_MORE;
		if (++w->shift > max)
			return mt_decode_bad(d, "thrift: varint too long");
	} while (b & 0x80);
	w->shift = 0;
	w->phase = phase;
	return MT_DECODE_DONE;
}

/* Reads a varint of 32 bits into *v. */
static enum mt_decode read_varint(struct thrift_walk *w, struct mt_decoder *d, uint32_t *v)
{
	uint8_t b;

	do {
		if (!mt_cursor_u8(&d->cur, &b))
			return MT_DECODE_MORE;
		if (w->shift == 28 && b > 0x0f)
			return mt_decode_bad(d, "thrift: varint too long");
		w->acc |= (uint32_t)(b & 0x7f) << w->shift;
		w->shift += 7;
	} while (b & 0x80);
	*v = w->acc;
	w->acc = 0;
	w->shift = 0;
	return MT_DECODE_DONE;
}

static enum mt_decode value(struct thrift_walk *w, struct mt_decoder *d)
{
	switch (w->code) {
	case C_VARINT:
		w->phase = P_VARINT;
		return MT_DECODE_DONE;
	case C_BLOB:
		w->phase = P_BLOB_LEN;
		return MT_DECODE_DONE;
	case C_LIST:
		w->phase = P_LIST;
		return MT_DECODE_DONE;
	case C_MAP:
		w->phase = P_MAP;
		return MT_DECODE_DONE;
	case C_STRUCT:
		if (!push(w, K_STRUCT, 0, 0))
			return mt_decode_bad(d, "thrift: nested too deep");
		w->phase = P_FIELD;
		return MT_DECODE_DONE;
	default:
		return set_skip(w, d, fixed_size[w->code]);
	}
}

static enum mt_decode blob_len(struct thrift_walk *w, struct mt_decoder *d)
{
	uint32_t n;

	if (w->compact) {
		enum mt_decode rc = read_varint(w, d, &n);

		if (rc != MT_DECODE_DONE)
			return rc;
	} else if (!mt_cursor_be32(&d->cur, &n)) {
		return MT_DECODE_MORE;
	}
	return set_skip(w, d, n);
}

/* Starts a list after its head: `n` elements of the low code in w->types. */
static enum mt_decode open_list(struct thrift_walk *w, struct mt_decoder *d, uint32_t n)
{
	uint8_t code = w->types & 15;

	if (code == C_BAD && n > 0)
		return mt_decode_bad(d, "thrift: unknown element type");
	if (code <= C_F16)
		return set_skip(w, d, (uint64_t)n * fixed_size[code]);
	if (n > room(d))
		return too_long(d);
	if (!push(w, K_LIST, code, n))
		return mt_decode_bad(d, "thrift: nested too deep");
	w->phase = P_NEXT;
	return MT_DECODE_DONE;
}

static enum mt_decode list(struct thrift_walk *w, struct mt_decoder *d)
{
	uint8_t tmp[5], b;
	const uint8_t *p;
	uint32_t n;

	if (!w->compact) {
		p = mt_cursor_peek(&d->cur, 5, tmp);
		if (!p)
			return MT_DECODE_MORE;
		w->types = code_of(w, p[0]);
		n = mt_get_be32(p + 1);
		mt_cursor_skip(&d->cur, 5);
		return open_list(w, d, n);
	}
	if (!mt_cursor_u8(&d->cur, &b))
		return MT_DECODE_MORE;
	w->types = code_of(w, b & 15);
	if (b >> 4 < 15)
		return open_list(w, d, b >> 4);
	w->phase = P_LIST_LEN;
	return MT_DECODE_DONE;
}

static enum mt_decode list_len(struct thrift_walk *w, struct mt_decoder *d)
{
	uint32_t n;
	enum mt_decode rc = read_varint(w, d, &n);

	return rc == MT_DECODE_DONE ? open_list(w, d, n) : rc;
}

static enum mt_decode open_map(
	struct thrift_walk *w, struct mt_decoder *d, uint8_t ktype, uint8_t vtype, uint32_t n)
{
	uint8_t k = code_of(w, ktype), v = code_of(w, vtype);

	w->phase = P_NEXT;
	if (n == 0)
		return MT_DECODE_DONE;
	if (k == C_BAD || v == C_BAD)
		return mt_decode_bad(d, "thrift: unknown element type");
	if (n > room(d))
		return too_long(d);
	w->types = (uint8_t)(k << 4 | v);
	if (!push(w, K_MAP, 0, n))
		return mt_decode_bad(d, "thrift: nested too deep");
	return MT_DECODE_DONE;
}

static enum mt_decode map(struct thrift_walk *w, struct mt_decoder *d)
{
	enum mt_decode rc;
	uint8_t tmp[6];
	const uint8_t *p;
	uint32_t n;

	if (!w->compact) {
		p = mt_cursor_peek(&d->cur, 6, tmp);
		if (!p)
			return MT_DECODE_MORE;
		memcpy(tmp, p, 6);
		mt_cursor_skip(&d->cur, 6);
		return open_map(w, d, tmp[0], tmp[1], mt_get_be32(tmp + 2));
	}
	rc = read_varint(w, d, &n);
	if (rc != MT_DECODE_DONE)
		return rc;
	if (n > room(d))
		return too_long(d);
	w->acc = n;
	w->phase = n ? P_MAP_TYPES : P_NEXT;
	return MT_DECODE_DONE;
}

static enum mt_decode map_types(struct thrift_walk *w, struct mt_decoder *d)
{
	uint32_t n = w->acc;
	uint8_t b;

	if (!mt_cursor_u8(&d->cur, &b))
		return MT_DECODE_MORE;
	w->acc = 0;
	return open_map(w, d, b >> 4, b & 15, n);
}

/* Processes one item; DONE: continue. */
static enum mt_decode step(struct thrift_walk *w, struct mt_decoder *d)
{
	switch ((enum walk_phase)w->phase) {
	case P_FIELD:
		return field(w, d);
	case P_FIELD_ID:
		return skip_varint(w, d, THRIFT_VARINT32, P_VALUE);
	case P_VALUE:
		return value(w, d);
	case P_VARINT:
		return skip_varint(w, d, THRIFT_VARINT64, P_NEXT);
	case P_BLOB_LEN:
		return blob_len(w, d);
	case P_LIST:
		return list(w, d);
	case P_LIST_LEN:
		return list_len(w, d);
	case P_MAP:
		return map(w, d);
	case P_MAP_TYPES:
		return map_types(w, d);
	case P_NEXT:
		next(w);
		return MT_DECODE_DONE;
	}
	return mt_decode_bad(d, "thrift: walker");
}

enum mt_decode thrift_walk_run(struct thrift_walk *w, struct mt_decoder *d)
{
	enum mt_decode rc;

	do {
		if (mt_unlikely(d->steps == 0))
			return MT_DECODE_MORE;
		d->steps--;
		if (w->skip) {
			w->skip -= mt_cursor_skip(&d->cur, w->skip);
			if (w->skip)
				return MT_DECODE_MORE;
		}
		if (w->depth == 0)
			return MT_DECODE_DONE;
		rc = step(w, d);
		if (mt_decoder_pos(d) > d->max_message)
			return too_long(d);
	} while (rc == MT_DECODE_DONE);
	return rc;
}
