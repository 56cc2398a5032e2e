/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks through a JSON object byte by byte. Only the objects on the path to a wanted member are
 * parsed; inside other values the walk counts brackets outside of strings. Comments, single quotes
 * and all else that JSON does not have break the format: a server that reads it would find other
 * members. The last of repeated members counts, but in a client's message a repeated name on the
 * path breaks the format: servers differ in what null and a second object leave of the first. Names
 * on the path, and wanted texts, must not contain escape sequences: a server would read another
 * text than the one that is compared here.
 */
#include "walk.h"

#include <ctype.h>

enum mode {
	J_VALUE,   /* before a value */
	J_FIRST,   /* in an object: before its first member or its end */
	J_MEMBER,  /* after a comma: before a member */
	J_NAME,	   /* in a member's name, which starts at state.mark */
	J_COLON,   /* after the name */
	J_TEXT,	   /* in a string, which starts at state.mark */
	J_LITERAL, /* in a number or word, which starts at state.mark */
	J_NEXT,	   /* after a value: before a comma or the object's end */
	J_NESTED,  /* in another object or array; state.level counts brackets */
	J_QUOTED,  /* in a string there */
	J_ITEM,	   /* in a number or word there */
	J_END,
};

#define J_ESCAPE 0x80 /* in `mode`: after a backslash */

/*
 * stack[]: below J_PART a bit for each bracket, 1 for an object; the part of a number or word that
 * is read, or in an escape sequence how many digits are left; bits of the current member's targets,
 * and of those that were there.
 */
enum { J_PART = 5, J_WANTED, J_SEEN };
#define LEVELS_MAX (32 * J_PART)

/* The part of a number that is read; from L_WORD on the position in `words`. */
enum {
	L_WRONG,
	L_MINUS,
	L_ZERO,
	L_INTEGER,
	L_POINT,
	L_FRACTION,
	L_EXPONENT,
	L_SIGN,
	L_POWER,
	L_WORD
};

static const char words[] = "true\0false\0null";
enum { W_TRUE, W_FALSE = 5, W_NULL = 11 };

static bool is_digit(uint8_t b)
{
	return b >= '0' && b <= '9';
}

/* After the first byte of a number or word. */
static uint32_t literal_begin(uint8_t b)
{
	switch (b) {
	case '-':
		return L_MINUS;
	case '0':
		return L_ZERO;
	case 't':
		return L_WORD + W_TRUE + 1;
	case 'f':
		return L_WORD + W_FALSE + 1;
	case 'n':
		return L_WORD + W_NULL + 1;
	default:
		return is_digit(b) ? L_INTEGER : L_WRONG;
	}
}

/* After one more. */
static uint32_t literal_next(uint32_t is, uint8_t b)
{
	bool digit = is_digit(b), exponent = b == 'e' || b == 'E';

	switch (is) {
	case L_MINUS:
		return b == '0' ? L_ZERO : digit ? L_INTEGER : L_WRONG;
	case L_INTEGER:
		if (digit)
			return L_INTEGER;
		/* fall through */
	case L_ZERO:
		return b == '.' ? L_POINT : exponent ? L_EXPONENT : L_WRONG;
	case L_FRACTION:
		if (exponent)
			return L_EXPONENT;
		/* fall through */
	case L_POINT:
		return digit ? L_FRACTION : L_WRONG;
	case L_EXPONENT:
		return digit ? L_POWER : b == '+' || b == '-' ? L_SIGN : L_WRONG;
	case L_SIGN:
	case L_POWER:
		return digit ? L_POWER : L_WRONG;
	default:
		return b && words[is - L_WORD] == (char)b ? is + 1 : L_WRONG;
	}
}

static bool is_whole(uint32_t is)
{
	if (is >= L_WORD)
		return words[is - L_WORD] == '\0';
	return is == L_ZERO || is == L_INTEGER || is == L_FRACTION || is == L_POWER;
}

/* True for null, which means that there is no value. */
static bool is_null(uint32_t is)
{
	return is > L_WORD + W_NULL;
}

static bool is_white_space(uint8_t b)
{
	return b == ' ' || b == '\t' || b == '\n' || b == '\r';
}

static bool ends_literal(uint8_t b)
{
	return is_white_space(b) || b == ',' || b == '}' || b == ']';
}

/* True if it matters that there is nothing but an object: in a message that rules are about. */
static bool is_strict(const struct table_run *r)
{
	return r->msg->flags == MT_DIR_DOWN;
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

/* The letter at p, in lower case also if it is one of the two that readers in Go take for it. */
static uint8_t letter(const uint8_t *p, uint32_t n, uint32_t *used)
{
	*used = 1;
	if (n > 1 && p[0] == 0xc5 && p[1] == 0xbf) {
		*used = 2;
		return 's';
	}
	if (n > 2 && p[0] == 0xe2 && p[1] == 0x84 && p[2] == 0xaa) {
		*used = 3;
		return 'k';
	}
	return (uint8_t)tolower(p[0]);
}

/* True if the name p[0, n) is the text in another case. */
static bool is_other_case(const uint8_t *p, uint32_t n, const uint8_t *text, uint32_t len)
{
	uint32_t used, i;

	if (n == len && memcmp(p, text, n) == 0)
		return false;
	for (i = 0; n > 0 && i < len; i++, p += used, n -= used)
		if (letter(p, n, &used) != (uint8_t)tolower(text[i]))
			return false;
	return n == 0 && i == len;
}

/*
 * True if a client's name, which ended at state.pos, is a wanted one in another case: some readers
 * take it for that. The longest names that are compared have three bytes for a letter.
 */
static bool is_doubtful(struct table_run *r, const struct mt_ct_walk *w)
{
	uint32_t len = r->s->pos - r->s->mark;
	uint8_t tmp[3 * MT_CT_KEY];
	const uint8_t *p;

	if (!is_strict(r) || len == 0 || len > sizeof(tmp))
		return false;
	p = table_bytes(r, r->s->mark, len, tmp);
	for (uint32_t i = 0; p && i < w->n; i++) {
		const struct mt_ct_target *g = walk_target(r, w, i);

		if (g->parent == r->s->in && is_other_case(p, len, r->t->text + g->text, g->len))
			return true;
	}
	return false;
}

/* A name ended at state.pos: finds its targets. False: a client has repeated it. */
static bool name(struct table_run *r, const struct mt_ct_walk *w)
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
	if (s->stack[J_SEEN] & wanted && is_strict(r))
		return false;
	s->stack[J_SEEN] |= wanted;
	forget(r, w, wanted);
	return true;
}

/*
 * A value of the wanted member ended. Where a number is wanted, a text is there with its quotes,
 * so it is not a number.
 */
static void value(struct table_run *r, const struct mt_ct_walk *w, enum mt_ct_accept is,
	uint32_t off, uint32_t end)
{
	for (uint32_t i = 0; i < w->n; i++) {
		const struct mt_ct_target *g = walk_target(r, w, i);
		bool other = is == MT_CT_STRING && g->accept == MT_CT_NUMBER;

		if (!(r->s->stack[J_WANTED] >> i & 1))
			continue;
		if (other)
			table_found(r, g, off - 1, end - off + 2);
		else if (g->accept == MT_CT_NUMBER || walk_accepts(g, is))
			table_found(r, g, off, end - off);
	}
}

/* 1 + index of the target with an object to be entered; 0: none. */
static uint32_t entered(const struct table_run *r, const struct mt_ct_walk *w)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (r->s->stack[J_WANTED] >> i & 1 && walk_target(r, w, i)->nested)
			return i + 1;
	return 0;
}

static void after_value(struct table_state *s)
{
	s->mode = s->depth ? J_NEXT : J_END;
}

/* A bracket opens inside of another value, or opens it. */
static enum table_rc opens(struct table_state *s, uint8_t b)
{
	uint32_t bit = 1u << s->level % 32, *kinds = s->stack + s->level / 32;

	if (s->level == LEVELS_MAX)
		return TABLE_MALFORMED;
	*kinds = b == '{' ? *kinds | bit : *kinds & ~bit;
	s->level++;
	return TABLE_GOT;
}

/* A bracket closes there. False: another one was opened. */
static bool closes(struct table_state *s, uint8_t b)
{
	uint32_t level = --s->level;

	return (s->stack[level / 32] >> level % 32 & 1) == (b == '}');
}

/* The first byte of a value. */
static enum table_rc begin(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	struct table_state *s = r->s;
	uint32_t into = s->depth ? entered(r, w) : 0;

	s->mark = s->pos;
	if (b == '{' && (!s->depth || (into && s->depth < TABLE_STACK))) {
		/* Places of the object itself begin here; object_end() finds their end. */
		if (into)
			value(r, w, MT_CT_GROUP, s->pos, s->pos);
		s->depth++;
		s->in = (uint8_t)into;
		s->mode = J_FIRST;
	} else if (!s->depth) {
		/* Only an object has members. Servers may execute each call of a client's list. */
		s->mode = J_END;
		return is_strict(r) ? TABLE_MALFORMED : TABLE_GOT;
	} else if (b == '{' || b == '[') {
		s->mode = J_NESTED;
		s->level = 0;
		return opens(s, b);
	} else if (b == '"') {
		s->mode = J_TEXT;
		s->mark = s->pos + 1;
	} else {
		s->mode = J_LITERAL;
		s->stack[J_PART] = literal_begin(b);
		return s->stack[J_PART] == L_WRONG ? TABLE_MALFORMED : TABLE_GOT;
	}
	return TABLE_GOT;
}

/* Places of an object that was entered end at state.pos. */
static void whole_object(struct table_run *r, const struct mt_ct_walk *w)
{
	const struct mt_ct_target *in = walk_target(r, w, r->s->in - 1u);

	for (uint32_t i = 0; i < w->n; i++) {
		const struct mt_ct_target *g = walk_target(r, w, i);
		uint32_t off;

		if (g->nested || g->slot == MT_CT_NONE || g->parent != in->parent ||
			g->text != in->text || g->len != in->len || !table_there(r, g->slot))
			continue;
		off = table_slot(r, g->slot).off;
		table_fill(r, g->slot, off, r->s->pos + 1 - off);
	}
	r->used += w->n;
}

static enum table_rc object_end(struct table_run *r, const struct mt_ct_walk *w)
{
	if (r->s->in)
		whole_object(r, w);
	walk_up(r, w);
	after_value(r->s);
	return TABLE_GOT;
}

static enum table_rc member(struct table_run *r, uint8_t b)
{
	struct table_state *s = r->s;

	if (b != '"')
		return TABLE_MALFORMED;
	s->mode = J_NAME;
	s->mark = s->pos + 1;
	table_mark(r, s->mark);
	return TABLE_GOT;
}

static enum table_rc in_name(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	if (b == '\\' || b < ' ')
		return TABLE_MALFORMED;
	if (b == '"') {
		if (is_doubtful(r, w) || !name(r, w))
			return TABLE_MALFORMED;
		r->s->mode = J_COLON;
	}
	return TABLE_GOT;
}

static enum table_rc in_text(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	struct table_state *s = r->s;

	if (b < ' ')
		return TABLE_MALFORMED;
	if (b == '\\') {
		if (s->stack[J_WANTED])
			return TABLE_MALFORMED;
		s->mode |= J_ESCAPE;
	} else if (b == '"') {
		value(r, w, MT_CT_STRING, s->mark, s->pos);
		after_value(s);
	}
	return TABLE_GOT;
}

static enum table_rc in_quotes(struct table_state *s, uint8_t b)
{
	if (b < ' ')
		return TABLE_MALFORMED;
	if (b == '\\')
		s->mode |= J_ESCAPE;
	else if (b == '"')
		s->mode = J_NESTED;
	return TABLE_GOT;
}

/* After a backslash. */
static enum table_rc escaped(struct table_state *s, uint8_t b)
{
	uint32_t *left = &s->stack[J_PART];

	if (*left) {
		if (!isxdigit(b))
			return TABLE_MALFORMED;
		--*left;
	} else if (b == 'u') {
		*left = 4;
	} else if (!b || !strchr("\"\\/bfnrt", b)) {
		return TABLE_MALFORMED;
	}
	if (!*left)
		s->mode &= (uint8_t)~J_ESCAPE;
	return TABLE_GOT;
}

/* After a value. */
static enum table_rc next(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	if (r->s->mode == J_END)
		return TABLE_MALFORMED;
	if (b == '}')
		return object_end(r, w);
	if (b != ',')
		return TABLE_MALFORMED;
	r->s->mode = J_MEMBER;
	return TABLE_GOT;
}

static enum table_rc nested(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	struct table_state *s = r->s;

	if (b == '"') {
		s->mode = J_QUOTED;
	} else if (b == '{' || b == '[') {
		return opens(s, b);
	} else if (b == '}' || b == ']') {
		if (!closes(s, b))
			return TABLE_MALFORMED;
		if (s->level == 0) {
			value(r, w, MT_CT_GROUP, s->mark, s->pos + 1);
			after_value(s);
		}
	} else if (!is_white_space(b) && b != ',' && b != ':') {
		s->mode = J_ITEM;
		s->stack[J_PART] = literal_begin(b);
		return s->stack[J_PART] == L_WRONG ? TABLE_MALFORMED : TABLE_GOT;
	}
	return TABLE_GOT;
}

/* A number or word ended before b. */
static enum table_rc literal_end(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	struct table_state *s = r->s;
	uint32_t was = s->stack[J_PART];

	s->stack[J_PART] = 0;
	if (!is_whole(was) || !ends_literal(b))
		return TABLE_MALFORMED;
	if (s->mode == J_ITEM) {
		s->mode = J_NESTED;
		return nested(r, w, b);
	}
	if (!is_null(was))
		value(r, w, was < L_WORD ? MT_CT_NUMBER : MT_CT_GROUP, s->mark, s->pos);
	after_value(s);
	return is_white_space(b) ? TABLE_GOT : next(r, w, b);
}

static enum table_rc in_literal(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	uint32_t is = literal_next(r->s->stack[J_PART], b);

	if (is == L_WRONG)
		return literal_end(r, w, b);
	r->s->stack[J_PART] = is;
	return TABLE_GOT;
}

/* The byte at state.pos, between names and values. */
static enum table_rc between(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	struct table_state *s = r->s;

	if (is_white_space(b))
		return TABLE_GOT;
	switch ((enum mode)s->mode) {
	case J_VALUE:
		return begin(r, w, b);
	case J_FIRST:
		return b == '}' ? object_end(r, w) : member(r, b);
	case J_MEMBER:
		return member(r, b);
	case J_COLON:
		s->mode = J_VALUE;
		return b == ':' ? TABLE_GOT : TABLE_MALFORMED;
	default:
		return next(r, w, b);
	}
}

/* The byte at state.pos. */
static enum table_rc byte(struct table_run *r, const struct mt_ct_walk *w, uint8_t b)
{
	if (r->s->mode & J_ESCAPE)
		return escaped(r->s, b);
	switch ((enum mode)r->s->mode) {
	case J_NAME:
		return in_name(r, w, b);
	case J_TEXT:
		return in_text(r, w, b);
	case J_LITERAL:
	case J_ITEM:
		return in_literal(r, w, b);
	case J_NESTED:
		return nested(r, w, b);
	case J_QUOTED:
		return in_quotes(r->s, b);
	default:
		return between(r, w, b);
	}
}

/* At the container's end. */
static enum table_rc rest(const struct table_state *s)
{
	/* An empty container has no members. */
	if (s->mode == J_END || (s->mode == J_VALUE && s->depth == 0))
		return TABLE_GOT;
	return TABLE_MALFORMED;
}

enum table_rc table_walk_json(struct table_run *r, const struct mt_ct_walk *w, uint32_t end)
{
	struct table_state *s = r->s;
	bool may = true;
	const uint8_t *p;

	for (uint32_t n; may && (n = table_piece(r, s->pos, end, &p)) > 0;) {
		for (uint32_t i = 0; i < n; i++, s->pos++) {
			enum table_rc rc = byte(r, w, p[i]);

			if (rc != TABLE_GOT)
				return rc;
			if (s->mode == J_END && !is_strict(r))
				return TABLE_GOT;
		}
		may = table_may(r, 8 * n + 4);
	}
	if (s->pos < end) {
		/* A longer name is none that is looked for. */
		r->keep = s->mode == J_NAME && s->pos - s->mark <= 3 * MT_CT_KEY;
		return walk_on(r, may);
	}
	return rest(s);
}
