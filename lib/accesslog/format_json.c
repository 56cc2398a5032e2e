/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON formats (RFC 8259). The whole is checked first, also its depth. Constants and structure
 * become literals, so that a line is a list of literals and values like one of text. Members are
 * sorted by name, as in Envoy. Without empty values the structure stays as pieces, because members
 * may be left out.
 */
#include "mt_alog_format_priv.h"

#include <stdlib.h>

#define MEMBERS 512 /* of an object */

static bool value(struct mt_alog_maker *m, size_t *at);
static bool skip_value(struct mt_alog_maker *m, size_t *at, uint32_t depth);

static void skip_space(const struct mt_alog_maker *m, size_t *at)
{
	while (*at < m->len && strchr(" \t\r\n", m->text[*at]) && m->text[*at])
		++*at;
}

static char peek(const struct mt_alog_maker *m, size_t at)
{
	return at < m->len ? m->text[at] : '\0';
}

/* ---- syntax --------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* The four digits after \u; -1: they are not there. */
static int32_t hex4(const struct mt_alog_maker *m, size_t at)
{
	int32_t n = 0;

	for (size_t i = 0; i < 4; i++) {
		int digit = hex_digit(peek(m, at + i));

		if (digit < 0)
			return -1;
		n = n * 16 + digit;
	}
	return n;
}

static uint32_t to_utf8(char *p, uint32_t c)
{
	static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
	uint32_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (uint32_t i = n; i-- > 1; c >>= 6)
		p[i] = (char)(0x80 | (c & 0x3f));
	p[0] = (char)(marks[n] | c);
	return n;
}

/* Decodes \uNNNN at `at`, also a pair of surrogates. Returns the bytes read; 0: it is malformed. */
static size_t unicode(const struct mt_alog_maker *m, size_t at, char *to, uint32_t *n)
{
	int32_t c = hex4(m, at + 2), low;

	if (c < 0 || (c >= 0xdc00 && c < 0xe000))
		return 0;
	if (c < 0xd800 || c >= 0xe000) {
		*n = to_utf8(to, (uint32_t)c);
		return 6;
	}
	if (peek(m, at + 6) != '\\' || peek(m, at + 7) != 'u')
		return 0;
	low = hex4(m, at + 8);
	if (low < 0xdc00 || low > 0xdfff)
		return 0;
	*n = to_utf8(to, 0x10000 + (uint32_t)(c - 0xd800) * 0x400 + (uint32_t)(low - 0xdc00));
	return 12;
}

/*
 * Decodes the character at `at` of a string into `to` (4 bytes). Returns the bytes read; 0: it is
 * malformed.
 */
static size_t character(const struct mt_alog_maker *m, size_t at, char *to, uint32_t *n)
{
	static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
	unsigned char c = (unsigned char)m->text[at];
	size_t len;

	*n = 1;
	*to = (char)c;
	if (c == '\\') {
		if (peek(m, at + 1) == 'u')
			return unicode(m, at, to, n);
		for (const char *e = escapes; *e; e += 2)
			if (peek(m, at + 1) == *e) {
				*to = e[1];
				return 2;
			}
		return 0;
	}
	if (c < 0x80)
		return c >= 0x20;
	len = mt_utf8_len(m->text + at, m->len - at);
	memcpy(to, m->text + at, len);
	*n = (uint32_t)len;
	return len;
}

/* Passes over the string that starts at *at. */
static bool skip_string(struct mt_alog_maker *m, size_t *at)
{
	size_t start = *at, i = start + 1, step;
	char to[4];
	uint32_t n;

	while (i < m->len && m->text[i] != '"') {
		step = character(m, i, to, &n);
		if (!step)
			return mt_alog_fail(
				m, i, "this character or escape may not be in a string");
		i += step;
	}
	if (i >= m->len)
		return mt_alog_fail(m, start, "this string does not end");
	*at = i + 1;
	return true;
}

static bool digits(const struct mt_alog_maker *m, size_t *at)
{
	size_t start = *at;

	while (peek(m, *at) >= '0' && peek(m, *at) <= '9')
		++*at;
	return *at > start;
}

static bool skip_number(struct mt_alog_maker *m, size_t *at)
{
	size_t start = *at;
	bool good;

	*at += peek(m, *at) == '-';
	if (peek(m, *at) == '0') {
		++*at;
		good = true;
	} else {
		good = digits(m, at);
	}
	if (good && peek(m, *at) == '.') {
		++*at;
		good = digits(m, at);
	}
	if (good && (peek(m, *at) == 'e' || peek(m, *at) == 'E')) {
		++*at;
		*at += peek(m, *at) == '+' || peek(m, *at) == '-';
		good = digits(m, at);
	}
	return good || mt_alog_fail(m, start,
			       "a value is needed: \"text\", a number, true, false, "
			       "null, {...} or [...]");
}

static bool skip_word(struct mt_alog_maker *m, size_t *at)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++) {
		size_t n = strlen(words[i]);

		if (m->len - *at >= n && memcmp(m->text + *at, words[i], n) == 0) {
			*at += n;
			return true;
		}
	}
	return skip_number(m, at);
}

/* Passes over "key": and white space. */
static bool skip_key(struct mt_alog_maker *m, size_t *at)
{
	skip_space(m, at);
	if (peek(m, *at) != '"')
		return mt_alog_fail(m, *at, "a name in quotes is needed here");
	if (!skip_string(m, at))
		return false;
	skip_space(m, at);
	if (peek(m, *at) != ':')
		return mt_alog_fail(m, *at, "a colon is needed after the name");
	++*at;
	return true;
}

/* True at the end of an object or array; otherwise passes over the comma. */
static bool at_end(struct mt_alog_maker *m, size_t *at, char close, bool *failed)
{
	skip_space(m, at);
	if (peek(m, *at) == close) {
		++*at;
		return true;
	}
	if (peek(m, *at) != ',') {
		*failed = !mt_alog_fail(m, *at, "a comma or %c is needed here", close);
		return true;
	}
	++*at;
	return false;
}

static bool skip_items(struct mt_alog_maker *m, size_t *at, uint32_t depth)
{
	bool object = m->text[*at] == '{', failed = false;
	char close = object ? '}' : ']';

	++*at;
	skip_space(m, at);
	if (peek(m, *at) == close) {
		++*at;
		return true;
	}
	do
		if ((object && !skip_key(m, at)) || !skip_value(m, at, depth + 1))
			return false;
	while (!at_end(m, at, close, &failed));
	return !failed;
}

static bool skip_value(struct mt_alog_maker *m, size_t *at, uint32_t depth)
{
	skip_space(m, at);
	if (depth == MT_ALOG_DEPTH)
		return mt_alog_fail(m, *at, "a format has at most %d levels", MT_ALOG_DEPTH);
	switch (peek(m, *at)) {
	case '{':
	case '[':
		return skip_items(m, at, depth);
	case '"':
		return skip_string(m, at);
	default:
		return skip_word(m, at);
	}
}

/* ---- strings -------------------------------------------------------------------------------- */

/* Decodes the string at *at, with the place of each byte. The caller frees both, always. */
static bool decode(struct mt_alog_maker *m, size_t *at, char **text, uint32_t **places, size_t *n)
{
	size_t start = *at, i = start + 1;

	if (!skip_string(m, at))
		return false;
	*text = malloc(*at - start);
	*places = malloc((*at - start) * sizeof(**places));
	if (!*text || !*places)
		return mt_alog_no_memory(m);
	for (*n = 0; i < *at - 1;) {
		uint32_t len;
		size_t step = character(m, i, *text + *n, &len);

		for (uint32_t k = 0; k < len; k++)
			(*places)[(*n)++] = (uint32_t)i;
		i += step;
	}
	return true;
}

static bool quoted(struct mt_alog_maker *m, const struct mt_alog_source_text *s)
{
	return mt_alog_literal(m, "\"", 1) && mt_alog_template(m, s, MT_ALOG_AS_STRING) &&
	       mt_alog_literal(m, "\"", 1);
}

static bool string(struct mt_alog_maker *m, size_t *at)
{
	uint32_t *places = NULL;
	char *text = NULL;
	bool done = false;
	size_t n;

	if (decode(m, at, &text, &places, &n)) {
		struct mt_alog_source_text s = {.p = text, .n = n, .at = places};

		done = mt_alog_is_single(&s) ? mt_alog_template(m, &s, MT_ALOG_AS_JSON)
					     : quoted(m, &s);
	}
	free(text);
	free(places);
	return done;
}

/* ---- structure ------------------------------------------------------------------------------ */

struct member {
	size_t value; /* place in the format */
	size_t key;
	char *name; /* decoded */
	uint32_t len;
};

static int by_name(const void *va, const void *vb)
{
	const struct member *a = va, *b = vb;
	int order = memcmp(a->name, b->name, MT_MIN(a->len, b->len));

	return order ? order : a->len < b->len ? -1 : a->len > b->len;
}

static bool structure(
	struct mt_alog_maker *m, enum mt_alog_piece_kind kind, const char *p, size_t n)
{
	struct mt_alog_piece *piece;
	char *text;

	if (!m->f->omit_empty) {
		/* Only what is not left out needs a piece of its own. */
		return kind == MT_ALOG_END_MEMBER || mt_alog_literal(m, p, n);
	}
	piece = mt_alog_piece(m, kind);
	if (!piece)
		return false;
	text = mt_alog_copy(m, p, n);
	if (!text)
		return mt_alog_no_memory(m);
	piece->text = (struct mt_slice){(const uint8_t *)text, (uint32_t)n};
	return true;
}

/* Writes "key": as JSON. */
static bool key_text(const struct member *member, char **text, size_t *n)
{
	struct mt_alog_out o = {.end = member->len * 6 + 3};

	o.p = *text = malloc(o.end);
	if (!o.p)
		return false;
	o.p[o.len++] = '"';
	mt_alog_escape(&o, (struct mt_slice){(const uint8_t *)member->name, member->len}, true);
	o.p[o.len++] = '"';
	o.p[o.len++] = ':';
	*n = o.len;
	return true;
}

/* True if the value is null, which is an empty one. */
static bool is_null(const struct mt_alog_maker *m, size_t at)
{
	skip_space(m, &at);
	return peek(m, at) == 'n';
}

static bool emit_member(struct mt_alog_maker *m, const struct member *member, bool first)
{
	size_t at = member->value, n = 0;
	char *text = NULL;
	bool done;

	if (m->f->omit_empty && is_null(m, at))
		return true;
	if (member->name && !key_text(member, &text, &n))
		return mt_alog_no_memory(m);
	done = (first || m->f->omit_empty || mt_alog_literal(m, ",", 1)) &&
	       structure(m, MT_ALOG_MEMBER, text ? text : "", n) && value(m, &at) &&
	       structure(m, MT_ALOG_END_MEMBER, "", 0);
	free(text);
	return done;
}

static bool emit(struct mt_alog_maker *m, struct member *list, uint32_t n, bool object)
{
	if (object) {
		qsort(list, n, sizeof(*list), by_name);
		for (uint32_t i = 1; i < n; i++)
			if (by_name(&list[i - 1], &list[i]) == 0)
				return mt_alog_fail(m, MT_MAX(list[i - 1].key, list[i].key),
					"this name is given twice");
	}
	if (!structure(m, MT_ALOG_OPEN, object ? "{" : "[", 1))
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!emit_member(m, &list[i], i == 0))
			return false;
	return structure(m, MT_ALOG_CLOSE, object ? "}" : "]", 1);
}

/* Finds the next member or element. False: the end, or it failed. */
static bool next_member(
	struct mt_alog_maker *m, size_t *at, struct member *to, bool object, bool *failed)
{
	uint32_t *places = NULL;
	size_t n = 0, key;

	*failed = true;
	if (object) {
		skip_space(m, at);
		to->key = key = *at;
		if (!skip_key(m, at) || !decode(m, &key, &to->name, &places, &n)) {
			free(places);
			return false;
		}
		free(places);
		to->len = (uint32_t)n;
	}
	to->value = *at;
	if (!skip_value(m, at, 0))
		return false;
	*failed = false;
	return !at_end(m, at, object ? '}' : ']', failed);
}

static bool items(struct mt_alog_maker *m, size_t *at)
{
	bool object = m->text[*at] == '{', failed = false, more;
	struct member *list = calloc(MEMBERS, sizeof(*list));
	uint32_t n = 0;

	if (!list)
		return mt_alog_no_memory(m);
	++*at;
	skip_space(m, at);
	more = peek(m, *at) != (object ? '}' : ']');
	if (!more)
		++*at;
	while (more && n < MEMBERS)
		more = next_member(m, at, &list[n++], object, &failed);
	if (!failed && more)
		failed = !mt_alog_fail(m, *at, "an object or list has at most %d values", MEMBERS);
	if (!failed)
		failed = !emit(m, list, n, object);
	for (uint32_t i = 0; i < n; i++)
		free(list[i].name);
	free(list);
	return !failed;
}

static bool value(struct mt_alog_maker *m, size_t *at)
{
	size_t start;

	skip_space(m, at);
	switch (peek(m, *at)) {
	case '{':
	case '[':
		return items(m, at);
	case '"':
		return string(m, at);
	default:
		start = *at;
		return skip_word(m, at) && mt_alog_literal(m, m->text + start, *at - start);
	}
}

bool mt_alog_json(struct mt_alog_maker *m)
{
	size_t at = 0, end;

	skip_space(m, &at);
	if (peek(m, at) != '{')
		return mt_alog_fail(
			m, at, "a JSON format is an object: {\"name\": \"%%OPERATOR%%\"}");
	end = at;
	if (!skip_value(m, &end, 0))
		return false;
	skip_space(m, &end);
	if (end < m->len)
		return mt_alog_fail(m, end, "nothing may follow the object");
	return value(m, &at) && mt_alog_literal(m, "\n", 1);
}
