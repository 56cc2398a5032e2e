/* SPDX-License-Identifier: Apache-2.0 */
/* Words, numbers and times of a script's line. */
#include "script.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool alone(char c)
{
	return c == '[' || c == ']' || c == ',';
}

bool sc_word(const char **p, char word[SC_WORD_MAX])
{
	const char *s = *p;
	size_t n = 0;

	while (*s && isspace((unsigned char)*s))
		s++;
	if (alone(*s)) {
		word[n++] = *s++;
	} else {
		while (*s && !isspace((unsigned char)*s) && !alone(*s) && n < SC_WORD_MAX - 1)
			word[n++] = *s++;
	}
	word[n] = 0;
	*p = s;
	return n > 0;
}

bool sc_need(struct sc_run *r, const char **p, char word[SC_WORD_MAX], const char *what)
{
	return sc_word(p, word) || sc_fail(r, "%s is missing", what);
}

bool sc_is(const char *word, const char *what)
{
	return strcmp(word, what) == 0;
}

struct expr {
	struct sc_run *r;
	const char *at;
	bool bad;
};

static int64_t sum(struct expr *e);

static int64_t factor(struct expr *e)
{
	char *end;
	int64_t v;

	if (*e->at == '-') {
		e->at++;
		return -factor(e);
	}
	if (*e->at == '(') {
		e->at++;
		v = sum(e);
		e->bad |= *e->at != ')';
		e->at += *e->at == ')';
		return v;
	}
	if (*e->at == 'i' || *e->at == 'M') {
		v = *e->at == 'i' ? e->r->i : (int64_t)sc_flow_mss(e->r, e->r->cur);
		e->at++;
		return v;
	}
	if (!isdigit((unsigned char)*e->at)) {
		e->bad = true;
		return 0;
	}
	v = strtoll(e->at, &end, 0);
	e->at = end;
	return v;
}

static int64_t product(struct expr *e)
{
	int64_t v = factor(e);

	while (!e->bad && *e->at == '*') {
		e->at++;
		v *= factor(e);
	}
	return v;
}

static int64_t sum(struct expr *e)
{
	int64_t v = product(e);

	while (!e->bad && (*e->at == '+' || *e->at == '-')) {
		bool plus = *e->at++ == '+';
		int64_t w = product(e);

		v = plus ? v + w : v - w;
	}
	return v;
}

bool sc_expr(struct sc_run *r, const char *text, int64_t *v)
{
	struct expr e = {.r = r, .at = text[0] == '+' ? text + 1 : text};

	*v = sum(&e);
	if (!e.bad && *e.at == '/') { /* one number for each family */
		int64_t w;

		e.at++;
		w = sum(&e);
		*v = r->v.v6 ? w : *v;
	}
	return (!e.bad && *e.at == 0) || sc_fail(r, "`%s` is no number", text);
}

bool sc_number(struct sc_run *r, const char **p, const char *what, int64_t *v)
{
	char word[SC_WORD_MAX];

	return sc_need(r, p, word, what) && sc_expr(r, word, v);
}

bool sc_range(struct sc_run *r, const char *text, int64_t *lo, int64_t *hi)
{
	const char *dots = strstr(text, "..");
	char first[SC_WORD_MAX];

	if (!dots) {
		*hi = 0;
		if (!sc_expr(r, text, lo))
			return false;
		*hi = *lo;
		return true;
	}
	snprintf(first, sizeof(first), "%.*s", (int)(dots - text), text);
	return sc_expr(r, first, lo) && sc_expr(r, dots + 2, hi);
}

static uint64_t unit_of(const char *s)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {{"us", MT_USEC}, {"ms", MT_MSEC}, {"s", MT_SEC}, {"m", 60 * MT_SEC},
		{"h", 3600 * MT_SEC}, {"d", 24 * 3600 * MT_SEC}};

	for (size_t i = 0; i < MT_ARRAY_LEN(units); i++)
		if (sc_is(s, units[i].name))
			return units[i].ns;
	return 0;
}

bool sc_span(struct sc_run *r, const char *text, uint64_t *lo, uint64_t *hi)
{
	char *end;
	uint64_t unit;

	*lo = strtoull(text[0] == '+' ? text + 1 : text, &end, 10);
	*hi = *lo;
	if (end[0] == '.' && end[1] == '.')
		*hi = strtoull(end + 2, &end, 10);
	unit = unit_of(end);
	if (!unit || *hi < *lo)
		return sc_fail(r, "`%s` is no time (200ms, 1s, 200..260ms)", text);
	*lo *= unit;
	*hi *= unit;
	return true;
}
