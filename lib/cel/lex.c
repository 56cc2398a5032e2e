/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of an expression. */
#include "mt_cel_parse.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int mt_cel_fail(struct mt_cel_parser *p, uint32_t at, const char *fmt, ...)
{
	char text[sizeof(p->e->text)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return mt_err(p->e, -EINVAL, "column %u: %s", at + 1, text);
}

static char at_of(const struct mt_cel_parser *p, uint32_t at)
{
	return at < p->len ? p->text[at] : '\0';
}

static uint32_t skip_blanks(const struct mt_cel_parser *p, uint32_t at)
{
	for (;;) {
		char c = at_of(p, at);

		if (c && strchr(" \t\n\r\f", c)) {
			at++;
		} else if (c == '/' && at_of(p, at + 1) == '/') {
			while (at < p->len && p->text[at] != '\n')
				at++;
		} else {
			return at;
		}
	}
}

static uint32_t digits(const struct mt_cel_parser *p, uint32_t at)
{
	while (isdigit((unsigned char)at_of(p, at)))
		at++;
	return at;
}

/* The end of an exponent that starts here; `at`: there is none. */
static uint32_t exponent(const struct mt_cel_parser *p, uint32_t at)
{
	uint32_t from = at + 1;

	if (at_of(p, at) != 'e' && at_of(p, at) != 'E')
		return at;
	if (at_of(p, from) == '+' || at_of(p, from) == '-')
		from++;
	return digits(p, from) > from ? digits(p, from) : at;
}

static uint32_t hex_digits(const struct mt_cel_parser *p, uint32_t at)
{
	while (isxdigit((unsigned char)at_of(p, at)))
		at++;
	return at;
}

static void number(const struct mt_cel_parser *p, struct mt_cel_token *t)
{
	uint32_t end = digits(p, t->at), after;

	t->kind = MT_CEL_T_INT;
	if (at_of(p, t->at) == '0' && at_of(p, t->at + 1) == 'x' &&
		isxdigit((unsigned char)at_of(p, t->at + 2))) {
		end = hex_digits(p, t->at + 2);
	} else {
		after = end;
		if (at_of(p, end) == '.' && isdigit((unsigned char)at_of(p, end + 1)))
			after = digits(p, end + 1);
		after = exponent(p, after);
		if (after > end)
			t->kind = MT_CEL_T_DOUBLE;
		end = after;
	}
	if (t->kind == MT_CEL_T_INT && (at_of(p, end) == 'u' || at_of(p, end) == 'U')) {
		t->kind = MT_CEL_T_UINT;
		end++;
	}
	t->len = end - t->at;
}

/* Bytes of `b` and `r` before a quote; *is_raw: escapes have no meaning. */
static uint32_t text_prefix(const struct mt_cel_parser *p, uint32_t at, bool *is_raw)
{
	uint32_t n = 0;

	if (at_of(p, at) == 'b' || at_of(p, at) == 'B')
		n++;
	*is_raw = at_of(p, at + n) == 'r' || at_of(p, at + n) == 'R';
	return n + (*is_raw ? 1 : 0);
}

/* The end of a text with its quote at `from`; 0: it has none. */
static uint32_t text_end(const struct mt_cel_parser *p, uint32_t from, bool is_raw)
{
	char quote = p->text[from];
	bool is_long = at_of(p, from + 1) == quote && at_of(p, from + 2) == quote;

	for (uint32_t at = from + (is_long ? 3 : 1); at < p->len; at++) {
		char c = p->text[at];

		if (c == '\\' && !is_raw)
			at++;
		else if (!is_long && (c == '\n' || c == '\r'))
			return 0;
		else if (c == quote && !is_long)
			return at + 1;
		else if (c == quote && at_of(p, at + 1) == quote && at_of(p, at + 2) == quote)
			return at + 3;
	}
	return 0;
}

static int quoted(struct mt_cel_parser *p, struct mt_cel_token *t, uint32_t prefix, bool is_raw)
{
	uint32_t end = text_end(p, t->at + prefix, is_raw);

	if (!end)
		return mt_cel_fail(p, t->at,
			"the text is not closed; write %c at its end, and line ends as \\n",
			p->text[t->at + prefix]);
	t->kind = MT_CEL_T_TEXT;
	t->len = end - t->at;
	return 0;
}

static int sign(struct mt_cel_parser *p, struct mt_cel_token *t)
{
	static const char two[][3] = {"==", "!=", "<=", ">=", "&&", "||"};
	char c = p->text[t->at];

	t->kind = MT_CEL_T_SIGN;
	t->len = 2;
	for (size_t i = 0; i < MT_ARRAY_LEN(two); i++)
		if (c == two[i][0] && at_of(p, t->at + 1) == two[i][1])
			return 0;
	t->len = 1;
	if (c && strchr("()[]{},.?:+-*/%!<>", c))
		return 0;
	if (c == '=' || c == '&' || c == '|')
		return mt_cel_fail(p, t->at, "`%c` is not an operator; write `%c%c`", c, c, c);
	if (isprint((unsigned char)c))
		return mt_cel_fail(p, t->at, "`%c` has no meaning in CEL; remove it", c);
	return mt_cel_fail(
		p, t->at, "byte 0x%02x has no meaning in CEL; write it in quotes", (uint8_t)c);
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

int mt_cel_lex(struct mt_cel_parser *p, uint32_t at, struct mt_cel_token *t)
{
	uint32_t prefix;
	bool is_raw;
	char c;

	*t = (struct mt_cel_token){.kind = MT_CEL_T_END, .at = skip_blanks(p, at)};
	if (t->at >= p->len)
		return 0;
	c = p->text[t->at];
	prefix = text_prefix(p, t->at, &is_raw);
	if (at_of(p, t->at + prefix) == '"' || at_of(p, t->at + prefix) == '\'')
		return quoted(p, t, prefix, is_raw);
	if (isdigit((unsigned char)c) ||
		(c == '.' && isdigit((unsigned char)at_of(p, t->at + 1)))) {
		number(p, t);
		return 0;
	}
	if (!is_word(c))
		return sign(p, t);
	t->kind = MT_CEL_T_NAME;
	while (is_word(at_of(p, t->at + t->len)))
		t->len++;
	return 0;
}

int mt_cel_advance(struct mt_cel_parser *p)
{
	p->now = p->next;
	if (p->now.kind == MT_CEL_T_END)
		return 0;
	return mt_cel_lex(p, p->now.at + p->now.len, &p->next);
}

bool mt_cel_is(const struct mt_cel_parser *p, const char *word)
{
	return (p->now.kind == MT_CEL_T_SIGN || p->now.kind == MT_CEL_T_NAME) &&
	       p->now.len == strlen(word) && memcmp(p->text + p->now.at, word, p->now.len) == 0;
}

bool mt_cel_take(struct mt_cel_parser *p, const char *word, int *rc)
{
	if (!mt_cel_is(p, word))
		return false;
	*rc = mt_cel_advance(p);
	return true;
}

int mt_cel_expect(struct mt_cel_parser *p, const char *word, const char *why)
{
	int rc = 0;

	if (mt_cel_take(p, word, &rc))
		return rc;
	if (p->now.kind == MT_CEL_T_END)
		return mt_cel_fail(
			p, p->now.at, "the expression ends; `%s` is missing %s", word, why);
	return mt_cel_fail(p, p->now.at, "found `%.*s`; `%s` is missing %s",
		(int)MT_MIN(p->now.len, 40u), p->text + p->now.at, word, why);
}
