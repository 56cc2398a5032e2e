/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attachments: finds them by stepping over the arguments, and reads them into the index without
 * building values.
 */
#include "dubbo.h"

/* A walk to the attachments. */
struct scan {
	struct hs_walk w;
	uint32_t values; /* values left before the attachments */
};
_Static_assert(sizeof(struct scan) <= MT_SCAN_STATE, "scan state");

enum scan_step { SCAN_BEGIN, SCAN_VALUES, SCAN_DONE };

/* Reads a character of a descriptor outside of a class name. false: malformed. */
static bool param_char(uint8_t ch, bool *in_name, int *n)
{
	switch (ch) {
	case '[':
		return true;
	case 'L':
		*in_name = true;
		break;
	case 'V':
	case 'Z':
	case 'B':
	case 'C':
	case 'D':
	case 'F':
	case 'I':
	case 'J':
	case 'S':
		break;
	default:
		return false;
	}
	++*n;
	return true;
}

/*
 * Counts the parameters in p[0..n), a part of a descriptor. *in_name: it ends inside a class name.
 * false: malformed.
 */
static inline bool count_run(const uint8_t *p, uint32_t n, bool *in_name, int *count)
{
	for (uint32_t i = 0; i < n; i++) {
		if (*in_name) {
			const uint8_t *end = memchr(p + i, ';', n - i);

			if (!end)
				return true;
			i = (uint32_t)(end - p);
			*in_name = false;
		} else if (!param_char(p[i], in_name, count)) {
			return false;
		}
	}
	return true;
}

/* The number of parameters in a request's descriptor; -1: malformed, or there is none. */
static int count_params(const struct mt_msg *msg, const struct mt_chain *c)
{
	uint32_t off = msg->field[DUBBO_F_TYPES].off, len = msg->field[DUBBO_F_TYPES].len, run;
	struct mt_cursor cur;
	const uint8_t *p;
	bool in_name = false;
	int n = 0;

	if (len == DUBBO_NO_TEXT)
		return -1;
	mt_cursor_init(&cur, c, off);
	cur.end = off + len;
	while ((run = mt_cursor_run(&cur, &p)) > 0) {
		if (!count_run(p, run, &in_name, &n))
			return -1;
		mt_cursor_skip(&cur, run);
	}
	return in_name ? -1 : n;
}

static bool is_request(const struct mt_msg *msg)
{
	return msg->kind == MT_MSG_REQUEST || msg->kind == MT_MSG_ONEWAY;
}

/* True if attachments follow the values. */
static bool has_map(const struct mt_msg *msg)
{
	return is_request(msg) || msg->aux >= DUBBO_RSP_EXCEPTION + DUBBO_RSP_ATT;
}

/*
 * The number of values before the attachments, or before their place; -1: there is no such place.
 */
static int values_before(const struct mt_msg *msg, const struct mt_chain *c)
{
	if (msg->variant != DUBBO_SER_HESSIAN || msg->len == 0)
		return -1;
	if (is_request(msg))
		return count_params(msg, c);
	if (msg->kind != MT_MSG_REPLY || msg->aux < DUBBO_RSP_EXCEPTION ||
		msg->aux > DUBBO_RSP_NULL + DUBBO_RSP_ATT)
		return -1;
	return msg->aux != DUBBO_RSP_NULL && msg->aux != DUBBO_RSP_NULL + DUBBO_RSP_ATT;
}

static enum mt_scan_rc nothing(struct mt_scan *s, struct mt_msg *msg)
{
	s->step = SCAN_DONE;
	msg->flags |= DUBBO_MAP_NONE;
	return MT_SCAN_DONE;
}

enum mt_scan_rc dubbo_seek(const struct mt_codec *self, struct mt_scan *s, struct mt_msg *msg,
	const struct mt_chain *c, uint32_t *steps)
{
	struct scan *sc = (struct scan *)s->state;
	enum hs_rc rc = HS_END;

	if (s->step == SCAN_DONE)
		return MT_SCAN_DONE;
	if (s->step == SCAN_BEGIN) {
		int n = values_before(msg, c);
		uint32_t types = msg->field[DUBBO_F_TYPES].len;

		if (types != DUBBO_NO_TEXT)
			*steps -= MT_MIN(*steps, types / 2);
		if (n < 0)
			return nothing(s, msg);
		hs_open(&sc->w, c, msg->field[DUBBO_F_ARGS].off, msg->len);
		sc->values = (uint32_t)n;
		s->step = SCAN_VALUES;
	}
	sc->w.steps = *steps;
	while (s->step == SCAN_VALUES && sc->values > 0 && rc == HS_END) {
		rc = hs_value(&sc->w);
		if (rc == HS_END)
			sc->values--;
	}
	*steps = sc->w.steps;
	/* The message is complete: bytes that are missing will never come. */
	if (rc == HS_MORE && sc->w.steps > 0 && c->len >= msg->len)
		rc = HS_BROKEN;
	if (rc == HS_BROKEN)
		return nothing(s, msg);
	if (rc == HS_MORE)
		return MT_SCAN_MORE;
	s->step = SCAN_DONE;
	msg->field[DUBBO_F_MAP].off = hs_pos(&sc->w);
	msg->flags |= sc->w.n_classes ? DUBBO_MAP_SOUGHT : DUBBO_MAP_SOUGHT | DUBBO_MAP_FIRST;
	return MT_SCAN_DONE;
}

/* ---- the index ---------------------------------------------------------------------------- */

/* A message in one piece. */
struct flat {
	const uint8_t *b;
	uint32_t len;
	uint32_t ascii; /* [DUBBO_HEADER, ascii) */
};

static mt_inline uint32_t flat_str(const struct flat *f, uint32_t at, struct mt_slice *text)
{
	uint32_t len = hs_tiny_str(f->b, at, f->ascii, text);

	if (mt_likely(len))
		return len;
	return hs_short_str_in(f->b + at, f->len - at, f->ascii - MT_MIN(at, f->ascii), text);
}

/* Where the map starts after arguments that are short ASCII strings; 0: use the walk. */
static uint32_t quick_locate(const struct flat *f, const struct mt_msg *msg)
{
	uint32_t at = msg->field[DUBBO_F_ARGS].off, types = msg->field[DUBBO_F_TYPES].len, len;
	struct mt_slice text;
	bool in_name = false;
	int n = 0;

	if (!is_request(msg) || msg->variant != DUBBO_SER_HESSIAN || types == DUBBO_NO_TEXT)
		return 0;
	if (!count_run(f->b + msg->field[DUBBO_F_TYPES].off, types, &in_name, &n) || in_name)
		return 0;
	for (; n > 0; n--, at += len) {
		len = flat_str(f, at, &text);
		if (len == 0)
			return 0;
	}
	return at;
}

/*
 * For the usual message: it lies in one mbuf, and its map has short ASCII strings. false: use the
 * walk (nothing in msg has changed).
 */
static bool quick(struct mt_msg *msg, const struct mt_chain *c, struct mt_metadata *m)
{
	struct flat f = {mt_link_data(c->head), msg->len, msg->aux32};
	uint32_t at, map;

	if (mt_link(c->head)->len < msg->len || msg->len > MT_META_BYTES)
		return false;
	map = at = quick_locate(&f, msg);
	if (at == 0 || at >= f.len || f.b[at] != 'H')
		return false;
	for (at++; at < f.len && f.b[at] != 'Z';) {
		struct mt_meta_entry *e;
		struct mt_slice k, v;
		uint32_t n = flat_str(&f, at, &k);
		uint32_t l = n ? flat_str(&f, at + n, &v) : 0;

		if (l == 0)
			return false;
		e = mt_meta_add(m, k);
		if (!e)
			break;
		e->value.text = v.p;
		e->value_len = v.len;
		e->kind = MT_META_TEXT;
		e->off = at;
		e->end = at += n + l;
	}
	if (at >= f.len)
		return false;
	if (m->state != MT_META_TOO_LARGE)
		m->state = MT_META_READ;
	m->end = at + 1;
	msg->field[DUBBO_F_MAP].off = map;
	msg->flags |= DUBBO_MAP_SOUGHT | DUBBO_MAP_FIRST;
	return true;
}

/* The text, in one piece, of the string that started at `from` and ended at the walk's position. */
static const uint8_t *text_of(struct mt_metadata *m, struct hs_walk *w, struct mt_cursor *from)
{
	uint32_t len = w->str.bytes;

	mt_cursor_skip(from, hs_pos(w) - len - from->pos);
	return mt_meta_text(m, from, len);
}

static enum hs_rc too_large(struct mt_metadata *m)
{
	m->state = MT_META_TOO_LARGE;
	return HS_BROKEN;
}

static enum hs_rc entry_value(struct mt_metadata *m, struct mt_meta_entry *e, struct hs_walk *w)
{
	struct mt_cursor from = w->cur;
	enum hs_rc rc = hs_value(w);

	if (rc != HS_END)
		return rc;
	e->end = hs_pos(w);
	e->value_len = 0;
	e->value.number = w->number;
	switch ((enum hs_kind)w->kind) {
	case HS_STRING:
		e->kind = MT_META_TEXT;
		e->value_len = w->str.bytes;
		e->value.text = text_of(m, w, &from);
		return e->value.text ? HS_END : HS_BROKEN;
	case HS_NUMBER:
		e->kind = MT_META_NUMBER;
		return HS_END;
	case HS_SCALAR:
		e->kind = MT_META_OTHER;
		return HS_END;
	case HS_COMPLEX:
		break;
	}
	e->kind = MT_META_KEPT;
	return HS_END;
}

static enum hs_rc entry(struct mt_metadata *m, struct hs_walk *w, uint32_t end)
{
	struct mt_cursor from = w->cur;
	struct mt_slice key = {NULL, 0};
	struct mt_meta_entry *e;
	uint32_t off = hs_pos(w), classes = w->n_classes;
	enum hs_rc rc = hs_value(w);

	if (rc != HS_END)
		return rc;
	/* Refuse a key in several chunks: its text is not known here, but the server reads it. */
	if (w->kind == HS_SCALAR)
		return HS_BROKEN;
	if (hs_pos(w) > end)
		return too_large(m);
	if (w->kind == HS_STRING) {
		key.len = w->str.bytes;
		key.p = text_of(m, w, &from);
		if (!key.p)
			return HS_BROKEN;
	}
	e = mt_meta_add(m, key);
	if (!e)
		return HS_BROKEN;
	e->off = off;
	rc = entry_value(m, e, w);
	if (rc != HS_END)
		return rc;
	/* Refuse a class definition before a text: later objects need it when a change removes it. */
	if (w->n_classes != classes && key.p && e->kind != MT_META_KEPT)
		return HS_BROKEN;
	return hs_pos(w) > end ? too_large(m) : HS_END;
}

/*
 * A value takes at most four steps for each byte, so a map that takes more than these is too long.
 */
#define MAP_STEPS (4 * MT_META_BYTES)

/* Reads the map from its head on. false: malformed. */
static bool read_map(const struct mt_msg *msg, struct mt_metadata *m, struct hs_walk *w)
{
	uint32_t end = msg->field[DUBBO_F_MAP].off + MT_META_BYTES;
	enum hs_rc rc;
	int tag = -1;

	w->steps = MAP_STEPS;
	rc = hs_map_head(w);
	while (rc == HS_END && (tag = hs_peek(w)) >= 0 && tag != 'Z') {
		hs_settle(w);
		rc = entry(m, w, end);
	}
	m->took += MAP_STEPS - w->steps;
	if (rc == HS_MORE && w->steps == 0)
		m->state = MT_META_TOO_LARGE;
	if (m->state == MT_META_TOO_LARGE)
		return true;
	if (rc != HS_END || tag != 'Z')
		return false;
	hs_pass(w);
	hs_settle(w);
	m->state = MT_META_READ;
	m->end = hs_pos(w);
	return true;
}

static void read_attachments(struct mt_msg *msg, struct mt_metadata *m, struct hs_walk *w)
{
	if (!(msg->flags & DUBBO_MAP_NONE) && has_map(msg) && !read_map(msg, m, w))
		msg->flags |= DUBBO_MAP_NONE;
}

/*
 * Reads the map of a long message again without a walk over its arguments. The classes that they
 * define are not known here, so a map with objects or definitions would be read differently: false,
 * and nothing is read.
 */
static bool read_alone(
	struct mt_msg *msg, const struct mt_chain *c, struct mt_metadata *m, struct hs_walk *w)
{
	hs_open(w, c, msg->field[DUBBO_F_MAP].off, msg->len);
	if (msg->flags & DUBBO_MAP_FIRST || !has_map(msg)) {
		read_attachments(msg, m, w);
		return true;
	}
	/* Without a class an object is malformed. */
	if (read_map(msg, m, w) && w->n_classes == 0)
		return true;
	m->n = m->text_used = 0;
	m->state = MT_META_ABSENT;
	return false;
}

/* Indexes a message that quick() cannot read, by a walk over its values. */
static mt_noinline void index_by_walk(const struct mt_codec *self, struct mt_msg *msg,
	const struct mt_chain *c, struct mt_metadata *m)
{
	struct scan *sc = (struct scan *)m->scan.state;
	uint32_t steps = MT_SCAN_STEPS;
	enum mt_scan_rc rc;

	m->n = 0;
	m->took += MT_MIN(c->segs, msg->len); /* a step for each buffer before the map */
	if (m->scan.step == SCAN_DONE) {
		hs_reopen(&sc->w, c);
	} else {
		bool again = msg->len > MT_SCAN_AT_ONCE && msg->flags & DUBBO_MAP_SOUGHT;

		if (again && read_alone(msg, c, m, &sc->w))
			return;
		m->scan.step = SCAN_BEGIN;
		rc = dubbo_seek(self, &m->scan, msg, c, &steps);
		m->took += MT_SCAN_STEPS - steps;
		if (rc == MT_SCAN_MORE) {
			/* An earlier reading may have found attachments: fail closed. */
			m->state = again ? MT_META_TOO_LARGE : MT_META_ABSENT;
			return;
		}
	}
	read_attachments(msg, m, &sc->w);
}

void dubbo_index(const struct mt_codec *self, struct mt_msg *msg, const struct mt_chain *c,
	struct mt_metadata *m)
{
	if (msg->flags & DUBBO_MAP_NONE || msg->len == 0 || c->len < msg->len || quick(msg, c, m))
		return;
	index_by_walk(self, msg, c, m);
}

bool dubbo_metadata(const struct mt_codec *self, const struct mt_msg *msg, const struct mt_chain *c,
	const struct mt_key *key, struct mt_slice *value, uint8_t *scratch)
{
	static const uint8_t fields[] = {
		[DUBBO_K_INTERFACE] = DUBBO_F_INTERFACE,
		[DUBBO_K_METHOD] = DUBBO_F_METHOD,
		[DUBBO_K_VERSION] = DUBBO_F_VERSION,
	};
	uint32_t f;

	if ((uint16_t)key->id >= MT_ARRAY_LEN(fields) || msg->kind == MT_MSG_REPLY)
		return false;
	f = fields[key->id];
	if (msg->field[f].len == DUBBO_NO_TEXT || msg->field[f].off == 0)
		return false;
	return mt_codec_slice(c, msg->field[f].off, msg->field[f].len, value, scratch);
}
