/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps over Hessian values with an explicit stack. Depth, class definitions and values are
 * bounded; work is linear in bytes (every value takes at least one); nothing is allocated.
 */
#include "hessian.h"
#include "number.h"

enum phase {
	P_VALUE,     /* at the start of a value, or of a class definition before it */
	P_STRING,    /* inside a string that is a value */
	P_CHUNK,     /* the next chunk of binary data */
	P_TYPE,	     /* the type of a list or map: its name, or the number of an earlier one */
	P_TYPE_NAME, /* inside the name */
	P_TYPED,     /* after the type: a counted list's length, or the elements */
	P_DEF_NAME,  /* inside a class's name */
	P_DEF_COUNT, /* the number of its fields */
	P_DEF_FIELD, /* inside their names */
	P_NEXT,	     /* a value has ended; the stack decides what comes next */
};

/* A step is done: continue with the next one. */
#define GO_ON ((enum hs_rc)(HS_BROKEN + 1))

#define HEAD_MAX    9 /* a tag and eight bytes */
#define INT_MAX_LEN 5
#define CHUNK_HEAD  3 /* of binary data, with its length */

void hs_open(struct hs_walk *w, const struct mt_chain *c, uint32_t off, uint32_t end)
{
	mt_cursor_init(&w->cur, c, off);
	w->cur.end = end;
	w->p = w->e = w->run = NULL;
	w->budget = HS_VALUES;
	w->skip = w->names = 0;
	w->phase = P_VALUE;
	w->depth = 0;
	w->n_classes = 0;
	w->str = (struct hs_str){0};
}

void hs_reopen(struct hs_walk *w, const struct mt_chain *c)
{
	if (w->cur.chain == c && w->cur.epoch == c->epoch)
		return;
	w->cur.chain = c;
	mt_cursor_resync(&w->cur);
}

void hs_settle(struct hs_walk *w)
{
	mt_cursor_skip(&w->cur, (uint32_t)(w->p - w->run));
	w->run = w->p = w->e = NULL;
}

static bool refill(struct hs_walk *w)
{
	uint32_t n;

	hs_settle(w);
	n = mt_cursor_run(&w->cur, &w->run);
	if (n == 0) {
		w->run = NULL;
		return false;
	}
	w->p = w->run;
	w->e = w->p + n;
	return true;
}

static inline bool ready(struct hs_walk *w)
{
	return mt_likely(w->p != w->e) || refill(w);
}

int hs_peek(struct hs_walk *w)
{
	return ready(w) ? *w->p : -1;
}

/*
 * The next `want` bytes (at most HEAD_MAX) in one piece, without moving; fewer if there are fewer.
 */
static inline uint32_t look(
	struct hs_walk *w, uint32_t want, uint8_t tmp[HEAD_MAX], const uint8_t **at)
{
	uint32_t n;

	if (!ready(w))
		return 0;
	*at = w->p;
	if (mt_likely((uint32_t)(w->e - w->p) >= want))
		return want;
	hs_settle(w);
	n = MT_MIN(mt_cursor_left(&w->cur), want);
	*at = mt_cursor_peek(&w->cur, n, tmp);
	return n;
}

/* Moves over n bytes, which are there. */
static inline void advance(struct hs_walk *w, uint32_t n)
{
	if (mt_likely(n <= (uint32_t)(w->e - w->p))) {
		w->p += n;
		return;
	}
	hs_settle(w);
	mt_cursor_skip(&w->cur, n);
}

/* Bytes left in this message, from the next one on. */
static uint32_t left(const struct hs_walk *w)
{
	return w->cur.end - hs_pos(w);
}

/* Reads a count, an index or a length that is an int at head[at]; *end: the position after it. */
static enum hs_rc count_at(
	const uint8_t *head, uint32_t n, uint32_t at, uint32_t *end, uint32_t *count)
{
	uint32_t len;
	int64_t v;

	if (at >= n)
		return HS_MORE;
	if (hs_class_of(head[at]) != HS_C_INT)
		return HS_BROKEN;
	len = hs_len_of(head[at]);
	if (at + len > n)
		return HS_MORE;
	v = hs_int_value(head + at);
	*end = at + len;
	*count = (uint32_t)v;
	return v < 0 ? HS_BROKEN : GO_ON;
}

static enum hs_rc push(struct hs_walk *w, uint32_t n, bool map)
{
	/* Each value takes at least a byte, so a larger count is malformed. */
	if (w->depth + 1 >= HS_DEPTH || (n != HS_UNBOUNDED && n > left(w)))
		return HS_BROKEN;
	w->level[++w->depth] = (struct hs_level){.left = n, .map = map};
	w->phase = P_NEXT;
	return GO_ON;
}

static enum hs_rc object(struct hs_walk *w, uint32_t class)
{
	return class < w->n_classes ? push(w, w->fields[class], false) : HS_BROKEN;
}

/* The length of the chunk of binary data whose head is at p; *head: the head's length. */
static enum hs_rc chunk(const uint8_t *p, uint32_t n, uint32_t *head, uint32_t *len)
{
	if (p[0] >= 0x20 && p[0] <= 0x2f) {
		*head = 1;
		*len = p[0] - 0x20u;
		return GO_ON;
	}
	if (p[0] >= 0x34 && p[0] <= 0x37) {
		*head = 2;
		*len = n < 2 ? 0 : (p[0] - 0x34u) << 8 | p[1];
	} else if (p[0] == 'A' || p[0] == 'B') {
		*head = 3;
		*len = n < 3 ? 0 : (uint32_t)p[1] << 8 | p[2];
	} else {
		return HS_BROKEN;
	}
	return n < *head ? HS_MORE : GO_ON;
}

static enum hs_rc binary(struct hs_walk *w)
{
	uint8_t tmp[HEAD_MAX];
	const uint8_t *p = NULL;
	uint32_t n = look(w, CHUNK_HEAD, tmp, &p), head, len;
	enum hs_rc rc;
	bool more;

	if (n == 0)
		return HS_MORE;
	rc = chunk(p, n, &head, &len);
	if (rc != GO_ON)
		return rc;
	more = p[0] == 'A';
	advance(w, head);
	w->skip = len;
	w->phase = more ? P_CHUNK : P_NEXT;
	return GO_ON;
}

/*
 * Starts a container whose tag is followed by a number: its class, its length, or the target of a
 * reference.
 */
static enum hs_rc numbered(struct hs_walk *w, const uint8_t *p, uint32_t n)
{
	uint32_t end = 0, count = 0;
	uint8_t tag = p[0];
	enum hs_rc rc = count_at(p, n, 1, &end, &count);

	if (rc != GO_ON)
		return rc;
	advance(w, end);
	if (tag == 'X')
		return push(w, count, false);
	if (tag == 'O')
		return object(w, count);
	w->phase = P_NEXT;
	return GO_ON;
}

static enum hs_rc container(struct hs_walk *w, uint8_t tag)
{
	advance(w, 1);
	if (tag >= 0x60 && tag <= 0x6f)
		return object(w, tag - 0x60);
	if (tag >= 0x78 && tag <= 0x7f)
		return push(w, tag - 0x78, false);
	if (tag == 'H' || tag == 'W')
		return push(w, HS_UNBOUNDED, tag == 'H');
	w->tag = tag;
	w->phase = P_TYPE;
	return GO_ON;
}

/* Passes a value whose tag determines the length. */
static enum hs_rc fixed(struct hs_walk *w, enum hs_class class, const uint8_t *p, uint32_t n)
{
	uint32_t len = hs_len_of(p[0]);

	if (n < len)
		return HS_MORE;
	if (w->depth == 0 && class != HS_C_FIXED) {
		w->kind = HS_NUMBER;
		w->number = class == HS_C_INT ? hs_int_value(p) : hs_long_value(p);
	}
	advance(w, len);
	w->phase = P_NEXT;
	return GO_ON;
}

static enum hs_rc definition(struct hs_walk *w)
{
	w->p++;
	w->phase = P_DEF_NAME;
	return w->n_classes == HS_CLASSES ? HS_BROKEN : GO_ON;
}

static enum hs_rc head(struct hs_walk *w, enum hs_class class)
{
	uint8_t tmp[HEAD_MAX];
	const uint8_t *p = NULL;
	uint32_t n;

	switch (class) {
	case HS_C_STRING:
		w->phase = P_STRING;
		return GO_ON;
	case HS_C_DEFINITION:
		return definition(w);
	case HS_C_BINARY:
		return binary(w);
	case HS_C_INT:
	case HS_C_LONG:
	case HS_C_FIXED:
		n = look(w, hs_len_of(*w->p), tmp, &p);
		return fixed(w, class, p, n);
	case HS_C_NUMBERED:
		n = look(w, 1 + INT_MAX_LEN, tmp, &p);
		w->kind = w->depth ? w->kind : HS_COMPLEX;
		return numbered(w, p, n);
	case HS_C_CONTAINER:
		w->kind = w->depth ? w->kind : HS_COMPLEX;
		return container(w, *w->p);
	case HS_C_NONE:
		break;
	}
	return HS_BROKEN;
}

static enum hs_rc value(struct hs_walk *w)
{
	enum hs_rc rc;

	if (!ready(w))
		return HS_MORE;
	if (w->budget == 0)
		return HS_BROKEN;
	if (w->depth == 0)
		w->kind = HS_SCALAR;
	rc = head(w, hs_class_of(*w->p));
	if (rc == GO_ON)
		w->budget--;
	return rc;
}

/* Reads on in a string; after it continues with `phase`. */
static enum hs_rc string(struct hs_walk *w, uint8_t phase)
{
	uint32_t used;

	if (!ready(w))
		return HS_MORE;
	used = hs_str_feed(&w->str, w->p, (uint32_t)(w->e - w->p));
	w->p += used;
	used = used / 16 + w->str.slow;
	w->str.slow = 0;
	w->steps -= MT_MIN(w->steps, used);
	if (w->str.phase < HS_DONE)
		return GO_ON;
	if (w->str.phase != HS_DONE || w->str.null)
		return HS_BROKEN;
	w->phase = phase;
	return GO_ON;
}

static enum hs_rc string_value(struct hs_walk *w)
{
	enum hs_rc rc = string(w, P_NEXT);

	if (rc == GO_ON && w->phase == P_NEXT) {
		if (w->depth == 0 && !w->str.chunked)
			w->kind = HS_STRING;
		else
			w->str = (struct hs_str){0};
	}
	return rc;
}

static enum hs_rc name(struct hs_walk *w, uint8_t phase)
{
	enum hs_rc rc = string(w, phase);

	if (rc == GO_ON && w->phase == phase)
		w->str = (struct hs_str){0};
	return rc;
}

static enum hs_rc type(struct hs_walk *w)
{
	uint8_t tmp[HEAD_MAX];
	const uint8_t *p = NULL;
	uint32_t n = look(w, INT_MAX_LEN, tmp, &p), end = 0, number;
	enum hs_rc rc;

	if (n == 0)
		return HS_MORE;
	if (hs_class_of(p[0]) == HS_C_STRING) {
		w->phase = P_TYPE_NAME;
		return GO_ON;
	}
	rc = count_at(p, n, 0, &end, &number);
	if (rc != GO_ON)
		return rc;
	advance(w, end);
	w->phase = P_TYPED;
	return GO_ON;
}

static enum hs_rc typed(struct hs_walk *w)
{
	uint8_t tmp[HEAD_MAX];
	const uint8_t *p = NULL;
	uint32_t n, end = 0, count;
	enum hs_rc rc;

	if (w->tag == 'M' || w->tag == 'U')
		return push(w, HS_UNBOUNDED, w->tag == 'M');
	if (w->tag != 'V')
		return push(w, w->tag - 0x70u, false);
	n = look(w, INT_MAX_LEN, tmp, &p);
	rc = count_at(p, n, 0, &end, &count);
	if (rc != GO_ON)
		return rc;
	advance(w, end);
	return push(w, count, false);
}

static enum hs_rc def_count(struct hs_walk *w)
{
	uint8_t tmp[HEAD_MAX];
	const uint8_t *p = NULL;
	uint32_t n = look(w, INT_MAX_LEN, tmp, &p), end = 0, count;
	enum hs_rc rc = count_at(p, n, 0, &end, &count);

	if (rc != GO_ON)
		return rc;
	advance(w, end);
	if (count > left(w) || count > UINT16_MAX)
		return HS_BROKEN;
	w->fields[w->n_classes++] = (uint16_t)count;
	w->names = count;
	w->phase = count ? P_DEF_FIELD : P_VALUE;
	return GO_ON;
}

static enum hs_rc def_field(struct hs_walk *w)
{
	enum hs_rc rc = name(w, P_VALUE);

	if (rc == GO_ON && w->phase == P_VALUE && --w->names > 0)
		w->phase = P_DEF_FIELD;
	return rc;
}

/*
 * Ends a value: takes completed levels off the stack. A 'Z' must not stand in place of a map's
 * value.
 */
static enum hs_rc next(struct hs_walk *w)
{
	struct hs_level *l = &w->level[w->depth];

	if (w->depth == 0) {
		w->phase = P_VALUE;
		return HS_END;
	}
	if (l->left == HS_UNBOUNDED) {
		if (!ready(w))
			return HS_MORE;
		if (*w->p == 'Z') {
			if (l->map && l->odd)
				return HS_BROKEN;
			w->p++;
			w->depth--;
			return GO_ON;
		}
	} else if (l->left-- == 0) {
		w->depth--;
		return GO_ON;
	}
	l->odd = !l->odd;
	w->phase = P_VALUE;
	return GO_ON;
}

static enum hs_rc step(struct hs_walk *w)
{
	switch ((enum phase)w->phase) {
	case P_VALUE:
		return value(w);
	case P_STRING:
		return string_value(w);
	case P_CHUNK:
		return binary(w);
	case P_TYPE:
		return type(w);
	case P_TYPE_NAME:
		return name(w, P_TYPED);
	case P_TYPED:
		return typed(w);
	case P_DEF_NAME:
		return name(w, P_DEF_COUNT);
	case P_DEF_COUNT:
		return def_count(w);
	case P_DEF_FIELD:
		return def_field(w);
	case P_NEXT:
		return next(w);
	}
	return HS_BROKEN;
}

static bool pass(struct hs_walk *w)
{
	uint32_t n;

	if (w->skip <= (uint32_t)(w->e - w->p)) {
		w->p += w->skip;
		w->skip = 0;
		return true;
	}
	hs_settle(w);
	n = mt_cursor_skip(&w->cur, w->skip);
	w->steps -= MT_MIN(w->steps, n / 64);
	w->skip -= n;
	return w->skip == 0;
}

enum hs_rc hs_value(struct hs_walk *w)
{
	enum hs_rc rc = GO_ON;

	/* The text of the last value was needed until now. */
	if (w->depth == 0 && w->phase == P_VALUE)
		w->str = (struct hs_str){0};
	while (rc == GO_ON) {
		if (mt_unlikely(w->steps == 0) || (w->skip && !pass(w)))
			rc = HS_MORE;
		else
			rc = step(w);
		if (w->steps)
			w->steps--;
	}
	/* No pointer into the chain may remain between calls. */
	hs_settle(w);
	return rc;
}

enum hs_rc hs_map_head(struct hs_walk *w)
{
	enum hs_rc rc = GO_ON;
	int tag = hs_peek(w);

	w->str = (struct hs_str){0};
	if (tag != 'H' && tag != 'M')
		return HS_BROKEN;
	hs_pass(w);
	if (tag == 'M') {
		w->phase = P_TYPE;
		while (rc == GO_ON && w->phase != P_TYPED && w->steps > 0) {
			rc = w->phase == P_TYPE ? type(w) : name(w, P_TYPED);
			w->steps--;
		}
		w->phase = P_VALUE;
	}
	hs_settle(w);
	if (rc == GO_ON && tag == 'M' && w->steps == 0)
		rc = HS_MORE;
	return rc == GO_ON ? HS_END : rc;
}
