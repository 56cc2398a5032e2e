/* SPDX-License-Identifier: Apache-2.0 */
/* Values of literals: numbers, texts and bytes with their escapes. */
#include "mt_cel_parse.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A literal of digits, 0x and u, as a number without a sign. */
static int whole(struct mt_cel_parser *p, const struct mt_cel_token *t, uint64_t *n)
{
	const char *s = p->text + t->at;
	uint32_t base = 10, i = 0, end = t->len - (t->kind == MT_CEL_T_UINT ? 1 : 0);

	if (end > 2 && s[1] == 'x') {
		base = 16;
		i = 2;
	}
	for (*n = 0; i < end; i++) {
		uint32_t digit = isdigit((unsigned char)s[i])
					 ? (uint32_t)(s[i] - '0')
					 : (uint32_t)(tolower(s[i]) - 'a' + 10);

		if (__builtin_mul_overflow(*n, base, n) || __builtin_add_overflow(*n, digit, n))
			return mt_cel_fail(
				p, t->at, "the number is too large; a double ends in .0");
	}
	return 0;
}

static int int_literal(
	struct mt_cel_parser *p, const struct mt_cel_token *t, bool minus, struct mt_cel_value *v)
{
	uint64_t n;
	int rc = whole(p, t, &n);

	if (rc)
		return rc;
	if (n > (uint64_t)INT64_MAX + (minus ? 1 : 0))
		return mt_cel_fail(
			p, t->at, "the number is too large for int; an unsigned one ends in u");
	*v = mt_cel_int(minus ? (int64_t)(0 - n) : (int64_t)n);
	return 0;
}

static int double_literal(
	struct mt_cel_parser *p, const struct mt_cel_token *t, bool minus, struct mt_cel_value *v)
{
	char text[MT_CEL_NUMBER + 1]; /* with a minus */

	if (t->len >= MT_CEL_NUMBER)
		return mt_cel_fail(p, t->at, "the number is longer than %d bytes; shorten it",
			MT_CEL_NUMBER - 1);
	snprintf(text, sizeof(text), "%s%.*s", minus ? "-" : "", (int)t->len, p->text + t->at);
	*v = (struct mt_cel_value){.type = MT_CEL_DOUBLE, .real = strtod(text, NULL)};
	if (!isfinite(v->real))
		return mt_cel_fail(
			p, t->at, "the number is too large for double; write less than 1.8e308");
	return 0;
}

/* ---- texts ---------------------------------------------------------------------------------- */

struct unescape {
	struct mt_cel_parser *p;
	uint32_t at, end; /* in the expression: the next byte, the closing quote */
	bool is_bytes, is_raw;
};

static int digits_of(struct unescape *u, uint32_t from, uint32_t n, uint32_t base, uint32_t *c)
{
	const char *text = u->p->text;

	*c = 0;
	for (uint32_t i = 0; i < n; i++) {
		char d = from + i < u->end ? text[from + i] : 'z';
		uint32_t digit = isdigit((unsigned char)d) ? (uint32_t)(d - '0')
				 : isxdigit((unsigned char)d)
					 ? (uint32_t)(tolower((unsigned char)d) - 'a' + 10)
					 : base;

		if (digit >= base)
			return mt_cel_fail(u->p, u->at, "the escape needs %u %s digits", n,
				base == 8 ? "octal" : "hexadecimal");
		*c = *c * base + digit;
	}
	u->at = from + n;
	return 0;
}

static int numbered(struct unescape *u, uint32_t *c)
{
	uint32_t from = u->at;
	char kind = u->p->text[from + 1];
	int rc;

	if (kind == 'x' || kind == 'X')
		rc = digits_of(u, from + 2, 2, 16, c);
	else if (kind >= '0' && kind <= '3')
		rc = digits_of(u, from + 1, 3, 8, c);
	else if ((kind == 'u' || kind == 'U') && !u->is_bytes)
		rc = digits_of(u, from + 2, kind == 'u' ? 4 : 8, 16, c);
	else
		return mt_cel_fail(u->p, from,
			"`\\%c` is not an escape%s; write \\\\ for a backslash",
			isprint((unsigned char)kind) ? kind : '?', u->is_bytes ? " of bytes" : "");
	if (rc == 0 && (*c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff)))
		return mt_cel_fail(u->p, from,
			"the escape is not a character; up to \\U0010FFFF, not a surrogate");
	return rc;
}

/* Reads the escape at u->at. */
static int escape(struct unescape *u, uint32_t *c)
{
	static const char from[] = "abfnrtv\\?\"'`", to[] = "\a\b\f\n\r\t\v\\?\"'`";
	const char *found;

	if (u->at + 1 >= u->end)
		return mt_cel_fail(u->p, u->at, "the escape is not complete");
	found = u->p->text[u->at + 1] ? strchr(from, u->p->text[u->at + 1]) : NULL;
	if (!found)
		return numbered(u, c);
	*c = (uint8_t)to[found - from];
	u->at += 2;
	return 0;
}

static int unescape(struct unescape *u)
{
	struct mt_cel *cel = u->p->cel;

	while (u->at < u->end) {
		uint32_t c = (uint8_t)u->p->text[u->at];
		bool is_escape = c == '\\' && !u->is_raw;
		int rc = is_escape ? escape(u, &c) : 0;

		if (rc)
			return rc;
		/* An escape is at least as long as its character, so the texts fit. */
		if (is_escape && !u->is_bytes) {
			cel->n_texts = (uint16_t)(cel->n_texts +
						  mt_cel_put_char(cel->texts + cel->n_texts, c));
			continue;
		}
		cel->texts[cel->n_texts++] = (uint8_t)c;
		u->at += is_escape ? 0 : 1;
	}
	return 0;
}

static int text_literal(
	struct mt_cel_parser *p, const struct mt_cel_token *t, struct mt_cel_value *v)
{
	struct unescape u = {.p = p, .at = t->at, .end = t->at + t->len};
	uint16_t from = p->cel->n_texts;
	uint32_t quotes;
	int rc;

	for (; p->text[u.at] != '"' && p->text[u.at] != '\''; u.at++) {
		u.is_bytes |= tolower((unsigned char)p->text[u.at]) == 'b';
		u.is_raw |= tolower((unsigned char)p->text[u.at]) == 'r';
	}
	quotes = u.end - u.at >= 6 && p->text[u.at + 1] == p->text[u.at] &&
				 p->text[u.at + 2] == p->text[u.at]
			 ? 3
			 : 1;
	u.at += quotes;
	u.end -= quotes;
	rc = unescape(&u);
	if (rc)
		return rc;
	*v = mt_cel_text(
		(struct mt_slice){p->cel->texts + from, (uint32_t)(p->cel->n_texts - from)});
	v->type = u.is_bytes ? MT_CEL_BYTES : MT_CEL_STRING;
	return 0;
}

int mt_cel_literal(struct mt_cel_parser *p, const struct mt_cel_token *t, bool minus,
	struct mt_cel_value *value)
{
	*value = (struct mt_cel_value){.type = MT_CEL_UINT};
	switch (t->kind) {
	case MT_CEL_T_INT:
		return int_literal(p, t, minus, value);
	case MT_CEL_T_UINT:
		return whole(p, t, &value->u);
	case MT_CEL_T_DOUBLE:
		return double_literal(p, t, minus, value);
	default:
		return text_literal(p, t, value);
	}
}
