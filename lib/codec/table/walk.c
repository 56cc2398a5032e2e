/* SPDX-License-Identifier: Apache-2.0 */
/* Walks through a container once, forward, and fills the slots of the wanted elements. */
#include "walk.h"

void table_found(struct table_run *r, const struct mt_ct_target *g, uint32_t off, uint32_t len)
{
	if (g->slot == MT_CT_NONE || (g->first && table_there(r, g->slot)))
		return;
	table_fill(r, g->slot, off, len);
}

/* A text of the index; NULL: there is no room for it. Texts come in the order of the message. */
static const uint8_t *text_of(struct table_run *r, struct table_slot at)
{
	struct mt_cursor *cur = &r->text;

	if (!r->cur)
		return r->head + at.off;
	if (!cur->seg || cur->pos > at.off)
		mt_cursor_init(cur, r->cur->chain, 0);
	r->used += MT_MIN(r->cur->chain->segs, at.off - cur->pos);
	mt_cursor_skip(cur, at.off - cur->pos);
	return mt_meta_text(r->meta, cur, at.len);
}

bool table_entry(struct table_run *r, struct table_slot key, struct table_slot value,
	struct table_slot element)
{
	struct mt_metadata *m = r->meta;
	struct mt_meta_entry *e;
	struct mt_slice name = {NULL, key.len};

	if (key.len > UINT16_MAX)
		return true;
	name.p = text_of(r, key);
	e = name.p ? mt_meta_add(m, name) : NULL;
	if (!e)
		return false;
	e->kind = MT_META_TEXT;
	e->value_len = value.len;
	e->value.text = text_of(r, value);
	e->group = r->group;
	e->off = element.off;
	e->end = element.off + element.len;
	return e->value.text != NULL;
}

static void clear(struct table_run *r, const struct mt_ct_walk *w, uint32_t off)
{
	struct table_state *s = r->s;

	s->phase = 1;
	s->pos = s->mark = off;
	s->depth = s->in = s->mode = 0;
	s->level = 0;
	memset(s->stack, 0, sizeof(s->stack));
	for (uint32_t i = 0; !r->meta && i < w->n; i++)
		if (walk_target(r, w, i)->slot != MT_CT_NONE)
			table_empty(r, walk_target(r, w, i)->slot);
}

enum table_rc table_walk(
	struct table_run *r, const struct mt_ct_walk *w, uint32_t off, uint32_t end)
{
	static table_walk_fn *const walks[MT_CT_FORMATS] = {
		[MT_CT_PROTOBUF] = table_walk_protobuf,
		[MT_CT_JCE_STRUCT] = table_walk_jce,
		[MT_CT_TLV] = table_walk_tlv,
		[MT_CT_PAIRS] = table_walk_pairs,
		[MT_CT_LINES] = table_walk_lines,
		[MT_CT_WORDS] = table_walk_words,
		[MT_CT_JSON] = table_walk_json,
	};

	if (!r->s->phase)
		clear(r, w, off);
	return walks[w->format](r, w, end);
}

/* ---- tags, lengths and values --------------------------------------------------------------- */

enum table_rc table_walk_tlv(struct table_run *r, const struct mt_ct_walk *w, uint32_t end)
{
	uint32_t head = (uint32_t)w->key_width + w->value_width, have;
	bool little = w->flags & MT_CT_WALK_LITTLE;
	struct table_state *s = r->s;
	uint8_t tmp[8];

	while (s->pos < end) {
		const uint8_t *p = walk_ahead(r, end, head, tmp, &have);
		uint64_t tag, len, next;

		if (have < head)
			return walk_more(r, end, have);
		tag = walk_number(p, w->key_width, little);
		len = walk_number(p + w->key_width, w->value_width, little);
		if (w->flags & MT_CT_WALK_WHOLE)
			len = len < head ? UINT32_MAX : len - head;
		if (len > end - s->pos - head || !walk_may_pass(r))
			return TABLE_MALFORMED;
		for (uint32_t i = 0; i < w->n; i++)
			if (walk_target(r, w, i)->number == tag)
				table_found(r, walk_target(r, w, i), s->pos + head, (uint32_t)len);
		next = s->pos + head + len - s->mark;
		next = (next + w->pad - 1) / w->pad * w->pad;
		s->pos = (uint32_t)MT_MIN(s->mark + next, end);
		if (!table_may(r, ELEMENT_STEPS + 2u * w->n))
			return TABLE_WAIT;
	}
	return TABLE_GOT;
}

/* ---- keys and values with their lengths ------------------------------------------------------ */

/*
 * Reads a length at s->pos + at, and checks that so many bytes follow in the container. A length of
 * -1 in four bytes stands for a null, which has none.
 */
static enum table_rc length_at(struct table_run *r, const struct mt_ct_walk *w, uint32_t at,
	uint32_t end, uint32_t *len, bool *null)
{
	uint32_t width = w->value_width, off = r->s->pos + at;
	uint8_t tmp[4];
	const uint8_t *p;

	if (width > end - off)
		return TABLE_MALFORMED;
	if (!table_arrived(r, off + width))
		return TABLE_WAIT;
	p = table_bytes(r, off, width, tmp);
	*len = p ? (uint32_t)walk_number(p, width, w->flags & MT_CT_WALK_LITTLE) : 0;
	if (width == 4 && *len == UINT32_MAX) {
		*null = true;
		*len = 0;
	}
	return *len > end - off - width ? TABLE_MALFORMED : TABLE_GOT;
}

static bool maybe_wanted(const struct table_run *r, const struct mt_ct_walk *w, uint32_t len)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (walk_target(r, w, i)->len == len)
			return true;
	return false;
}

/* Bits of the targets with this key. */
static uint32_t wanted(struct table_run *r, const struct mt_ct_walk *w, struct table_slot key)
{
	bool icase = w->flags & MT_CT_WALK_ICASE;
	uint32_t bits = 0;

	for (uint32_t i = 0; i < w->n; i++) {
		const struct mt_ct_target *g = walk_target(r, w, i);

		if (g->len == key.len && table_equal(r, key.off, key.len, g->text, g->len, icase))
			bits |= 1u << i;
	}
	return bits;
}

static void give(
	struct table_run *r, const struct mt_ct_walk *w, uint32_t bits, struct table_slot value)
{
	for (uint32_t i = 0; bits && i < w->n; i++)
		if (bits >> i & 1)
			table_found(r, walk_target(r, w, i), value.off, value.len);
}

/* An entry of the index, or the value of targets. False: the index is full. */
static bool pair(struct table_run *r, const struct mt_ct_walk *w, struct table_slot key,
	struct table_slot value)
{
	uint32_t from = r->s->pos;

	if (r->meta)
		return table_entry(
			r, key, value, (struct table_slot){from, value.off + value.len - from});
	if (maybe_wanted(r, w, key.len))
		give(r, w, wanted(r, w, key), value);
	return true;
}

/*
 * Starts again at the pair when more of it has come: at its key, and at its second length. A pair
 * with a null is none: readers keep an earlier value of the key.
 */
enum table_rc table_walk_pairs(struct table_run *r, const struct mt_ct_walk *w, uint32_t end)
{
	struct table_state *s = r->s;
	uint32_t width = w->value_width;

	while (s->pos < end) {
		struct table_slot key = {s->pos + width, 0}, value;
		enum table_rc rc;
		bool null = false;

		table_mark(r, s->pos);
		rc = length_at(r, w, 0, end, &key.len, &null);
		if (rc == TABLE_GOT)
			rc = length_at(r, w, width + key.len, end, &value.len, &null);
		r->keep = rc == TABLE_WAIT;
		if (rc == TABLE_GOT && !walk_may_pass(r))
			rc = TABLE_MALFORMED;
		if (rc != TABLE_GOT)
			return rc;
		value.off = key.off + key.len + width;
		if (!null && !pair(r, w, key, value))
			return TABLE_GOT;
		s->pos = value.off + value.len;
		if (!table_may(r, ELEMENT_STEPS + 4u * w->n))
			return TABLE_WAIT;
	}
	return TABLE_GOT;
}

/* ---- lines ----------------------------------------------------------------------------------- */

enum { LINE_KEY, LINE_VALUE };
/*
 * stack[]: end of the key; the current text without blanks around; start of the key; bits of its
 * targets; start of the line; what follows a carriage return; bits of `seen`.
 */
enum {
	LINE_KEY_END,
	LINE_FROM,
	LINE_TO,
	LINE_KEY_FROM,
	LINE_WANTED,
	LINE_START,
	LINE_AFTER_CR,
	LINE_SEEN
};
enum seen { SEEN_LF = 1, SEEN_CRLF = 2, SEEN_EMPTY = 4 };

/* Blanks within a line: unlike white space of JSON without the line feed, which may end it. */
static bool is_blank_in_line(uint8_t b)
{
	return b == ' ' || b == '\t' || b == '\r';
}

/*
 * True if keys and values end with the same character, so that one text more or less makes values
 * of all later keys. A last key with an empty value is then not there: Java's split() drops it.
 */
static bool in_turns(const struct mt_ct_walk *w)
{
	return w->between == w->end;
}

/* True of a client's message, that rules are about. */
static bool is_client(const struct table_run *r)
{
	return r->msg->flags == MT_DIR_DOWN;
}

/* True if one key or value more or less matters. */
static bool is_strict(const struct table_run *r, const struct mt_ct_walk *w)
{
	return in_turns(w) && is_client(r);
}

/* The text from state.mark to pos, with TRIM without blanks around. */
static struct table_slot line_text(const struct table_state *s, const struct mt_ct_walk *w)
{
	if (!(w->flags & MT_CT_WALK_TRIM))
		return (struct table_slot){s->mark, s->pos - s->mark};
	if (s->stack[LINE_TO] <= s->mark)
		return (struct table_slot){s->mark, 0};
	return (struct table_slot){s->stack[LINE_FROM], s->stack[LINE_TO] - s->stack[LINE_FROM]};
}

static void line_begin(struct table_run *r, uint8_t mode, uint32_t at)
{
	struct table_state *s = r->s;

	s->mode = mode;
	s->mark = s->stack[LINE_FROM] = s->stack[LINE_TO] = at;
	if (mode != LINE_KEY)
		return;
	s->stack[LINE_START] = at;
	table_mark(r, at);
}

/* A key ends at state.pos, or goes on after a blank: finds its targets while it is near. */
static void line_key(struct table_run *r, const struct mt_ct_walk *w, struct table_slot key)
{
	bool may = !r->meta && key.len <= MT_CT_KEY;

	r->s->stack[LINE_WANTED] = may ? wanted(r, w, key) : 0;
}

/* True if the key's targets were found when the first blank after it was read. */
static bool line_key_known(const struct table_state *s)
{
	return s->stack[LINE_TO] > s->mark && s->stack[LINE_TO] < s->pos;
}

/* A line ended at state.pos, with its last character before `to`. false: the index is full. */
static bool line_done(struct table_run *r, const struct mt_ct_walk *w, uint32_t to)
{
	struct table_state *s = r->s;
	struct table_slot key = {
		s->stack[LINE_KEY_FROM], s->stack[LINE_KEY_END] - s->stack[LINE_KEY_FROM]};
	struct table_slot value = line_text(s, w);

	if (s->mode == LINE_KEY) {
		/* No value: a line of another kind, or an empty value. */
		if (w->flags & MT_CT_WALK_TRIM || value.len == 0)
			return true;
		key = value;
		value = (struct table_slot){s->pos, 0};
		line_key(r, w, key);
	}
	if (r->meta)
		return table_entry(r, key, value,
			(struct table_slot){s->stack[LINE_START], to - s->stack[LINE_START]});
	give(r, w, s->stack[LINE_WANTED], value);
	return true;
}

/*
 * True for what readers of headers take for different lines: a line that starts with a blank, which
 * some of them add to the one before, a carriage return within a line, and a zero byte.
 */
static bool is_ambiguous(const struct table_state *s, uint8_t b)
{
	if (s->stack[LINE_AFTER_CR] == s->pos)
		return b != '\n';
	return b == '\0' || (s->stack[LINE_START] == s->pos && (b == ' ' || b == '\t'));
}

static bool is_control(uint8_t b)
{
	return (b < ' ' && b != '\t') || b == 0x7f;
}

/*
 * True for what only some servers accept or read as another line: lines that end in different ways,
 * a line after an empty one, control characters.
 */
static bool is_doubtful(struct table_state *s, uint8_t b)
{
	bool after_cr = s->stack[LINE_AFTER_CR] == s->pos;
	uint32_t *seen = &s->stack[LINE_SEEN];

	if (*seen & SEEN_EMPTY)
		return true;
	if (b == '\r')
		return false;
	if (b != '\n')
		return is_control(b);
	*seen |= after_cr ? SEEN_CRLF : SEEN_LF;
	if (s->pos - s->stack[LINE_START] == after_cr)
		*seen |= SEEN_EMPTY;
	return (*seen & (SEEN_LF | SEEN_CRLF)) == (SEEN_LF | SEEN_CRLF);
}

/* True if servers may take the key before the separator at state.pos for another one. */
static bool is_doubtful_key(const struct table_state *s, struct table_slot key)
{
	return key.len == 0 || key.off + key.len != s->pos;
}

/* A byte of a key or value: keeps where the text without blanks around begins and ends. */
static void line_trim(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	struct table_state *s = r->s;
	bool begun = s->stack[LINE_TO] > s->mark;

	if (is_blank_in_line(b)) {
		/* A compare here, not at the separator, which may follow after many blanks. */
		if (s->mode == LINE_KEY && begun && s->stack[LINE_TO] == s->pos)
			line_key(r, w, line_text(s, w));
		return;
	}
	if (!begun) {
		s->stack[LINE_FROM] = s->pos;
		if (s->mode == LINE_KEY)
			table_mark(r, s->pos);
	}
	s->stack[LINE_TO] = s->pos + 1;
}

enum line { LINE_GOES_ON, LINE_NO_ROOM, LINE_WRONG };

/* The byte at state.pos, of a container up to `end`. */
static enum line line_byte(struct table_run *r, const struct mt_ct_walk *w, uint32_t end, uint8_t b)
{
	struct table_state *s = r->s;

	if (w->flags & MT_CT_WALK_TRIM) {
		if (is_ambiguous(s, b) || (is_client(r) && is_doubtful(s, b)))
			return LINE_WRONG;
		if (b == '\r')
			s->stack[LINE_AFTER_CR] = s->pos + 1;
	}
	if (s->mode == LINE_KEY && b == w->between) {
		struct table_slot key = line_text(s, w);

		if (key.len == 0 && is_strict(r, w))
			return LINE_WRONG;
		if (w->flags & MT_CT_WALK_TRIM && is_client(r) && is_doubtful_key(s, key))
			return LINE_WRONG;
		s->stack[LINE_KEY_FROM] = key.off;
		s->stack[LINE_KEY_END] = key.off + key.len;
		if (!(w->flags & MT_CT_WALK_TRIM) || !line_key_known(s))
			line_key(r, w, key);
		line_begin(r, LINE_VALUE, s->pos + 1);
		return LINE_GOES_ON;
	}
	if (b == w->end) {
		bool last = s->pos + 1 == end && s->mark == s->pos && in_turns(w);
		bool room = last || line_done(r, w, s->pos + 1);

		/* An empty line is not compared with the targets. */
		if (s->mode != LINE_KEY || s->mark < s->pos)
			r->used += ELEMENT_STEPS + 4u * w->n;
		line_begin(r, LINE_KEY, s->pos + 1);
		return room ? LINE_GOES_ON : LINE_NO_ROOM;
	}
	if (w->flags & MT_CT_WALK_TRIM)
		line_trim(r, w, b);
	return LINE_GOES_ON;
}

/* Ends the last line, which may lack its character. */
static enum table_rc line_rest(struct table_run *r, const struct mt_ct_walk *w)
{
	struct table_state *s = r->s;

	if (in_turns(w)) {
		if (s->mode == LINE_VALUE && s->mark < s->pos)
			line_done(r, w, s->pos);
		return s->mode == LINE_KEY && s->mark < s->pos && is_strict(r, w) ? TABLE_MALFORMED
										  : TABLE_GOT;
	}
	if (s->mark < s->pos || s->mode == LINE_VALUE)
		line_done(r, w, s->pos);
	return TABLE_GOT;
}

enum table_rc table_walk_lines(struct table_run *r, const struct mt_ct_walk *w, uint32_t end)
{
	struct table_state *s = r->s;
	bool may = true;
	const uint8_t *p;

	if (s->phase == 1) {
		s->phase = 2;
		s->stack[LINE_AFTER_CR] = UINT32_MAX;
		line_begin(r, LINE_KEY, s->pos);
	}
	for (uint32_t n; may && (n = table_piece(r, s->pos, end, &p)) > 0;) {
		for (uint32_t i = 0; i < n; i++, s->pos++) {
			enum line is = line_byte(r, w, end, p[i]);

			if (is != LINE_GOES_ON)
				return is == LINE_WRONG ? TABLE_MALFORMED : TABLE_GOT;
		}
		may = table_may(r, 4 * n + 4);
	}
	if (s->pos < end) {
		bool begun = !(w->flags & MT_CT_WALK_TRIM) || s->stack[LINE_TO] > s->mark;

		/* Blanks before a key are not read again, nor is a key that no target has. */
		r->keep = s->mode == LINE_KEY && begun && s->pos - s->stack[LINE_FROM] <= MT_CT_KEY;
		return walk_on(r, may);
	}
	return line_rest(r, w);
}

/* ---- words ----------------------------------------------------------------------------------- */

/* state.level: words begun; mode 1: in a word, which began at state.mark. */
static void word_done(struct table_run *r, const struct mt_ct_walk *w)
{
	struct table_state *s = r->s;

	s->mode = 0;
	for (uint32_t i = 0; i < w->n; i++)
		if (walk_target(r, w, i)->number == s->level)
			table_found(r, walk_target(r, w, i), s->mark, s->pos - s->mark);
	r->used += 2u * w->n;
}

static void word_byte(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	struct table_state *s = r->s;
	bool runs = w->flags & MT_CT_WALK_TRIM; /* blanks in a row are one */
	bool between = runs ? is_blank_in_line(b) : b == w->between;

	if (s->mode == 0 && (!between || !runs)) {
		s->mode = 1;
		s->mark = s->pos;
		s->level = (uint16_t)MT_MIN(s->level + 1, UINT16_MAX);
	}
	if (s->mode == 1 && between)
		word_done(r, w);
}

/*
 * True if a client's text is more than a line of words: a control character, or a carriage return
 * before its end, which some servers take for the end of a line or for a blank.
 */
static bool is_no_line(
	const struct table_run *r, const struct mt_ct_walk *w, uint32_t end, uint8_t b)
{
	if (!(w->flags & MT_CT_WALK_TRIM) || !is_client(r))
		return false;
	return b == '\r' ? r->s->pos + 1 != end : is_control(b);
}

enum table_rc table_walk_words(struct table_run *r, const struct mt_ct_walk *w, uint32_t end)
{
	struct table_state *s = r->s;
	bool may = true;
	const uint8_t *p;

	for (uint32_t n; may && (n = table_piece(r, s->pos, end, &p)) > 0;) {
		for (uint32_t i = 0; i < n; i++, s->pos++) {
			if (is_no_line(r, w, end, p[i]))
				return TABLE_MALFORMED;
			word_byte(r, w, p[i]);
		}
		may = table_may(r, 4 * n + 4);
	}
	if (s->pos < end)
		return walk_on(r, may);
	/* Nothing after the last character between words is an empty word. */
	if (s->mode == 0 && !(w->flags & MT_CT_WALK_TRIM)) {
		s->mark = s->pos;
		s->level = (uint16_t)MT_MIN(s->level + 1, UINT16_MAX);
		s->mode = 1;
	}
	if (s->mode == 1)
		word_done(r, w);
	return TABLE_GOT;
}
