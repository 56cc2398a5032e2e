/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts the words of a view off a request. */
#include "view.h"

#include <errno.h>
#include <string.h>

/* Checked in this order: longer operators first. */
static const struct {
	const char *sign;
	enum mt_compare op;
} signs[] = {{"!=", MT_IS_NOT}, {"<=", MT_AT_MOST}, {">=", MT_AT_LEAST}, {"=", MT_IS},
	{"~", MT_HOLDS}, {"<", MT_LESS}, {">", MT_MORE}};

/* Splits "field=value" in place; false: the word has no operator. */
static bool condition(const char *word, struct mt_condition *c)
{
	char *at = strpbrk(word, "!<>=~");

	for (size_t i = 0; at && at != word && i < MT_ARRAY_LEN(signs); i++) {
		size_t len = strlen(signs[i].sign);

		if (strncmp(at, signs[i].sign, len) != 0)
			continue;
		*at = '\0';
		*c = (struct mt_condition){word, at + len, signs[i].op};
		return true;
	}
	return false;
}

/* Number of words that are conditions of `where`; 0: none. */
static uint32_t where(
	struct mt_ctl_view *v, const struct mt_request *r, uint32_t at, struct mt_err *e)
{
	uint32_t n = 0;
	struct mt_condition c;

	while (at + n < r->n && condition(r->words[at + n], &c)) {
		if (v->n_where == MT_VIEW_MAX)
			return (uint32_t)mt_err(e, 0, "at most %u conditions", MT_VIEW_MAX);
		v->where[v->n_where++] = c;
		n++;
	}
	return n;
}

static int limit(struct mt_ctl_view *v, const char *word, struct mt_err *e)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(word, &end, 10);
	if (*word < '0' || *word > '9' || *end || errno || n >= UINT32_MAX)
		return mt_err(e, -EINVAL, "limit needs a number of rows, not `%s`", word);
	v->limit = (uint32_t)n;
	return 0;
}

static int filter(
	struct mt_ctl_view *v, struct mt_request *r, uint32_t at, uint32_t end, struct mt_err *e)
{
	const char *name = at < end ? r->words[at] : "";

	if (strcmp(name, "count") == 0 && end - at == 1) {
		v->count = true;
	} else if (strcmp(name, "json") == 0 && end - at == 1) {
		r->json = true;
	} else if (strcmp(name, "grep") == 0 && end - at == 2) {
		if (v->n_grep == MT_VIEW_MAX)
			return mt_err(e, -EINVAL, "at most %u times `| grep`", MT_VIEW_MAX);
		v->grep[v->n_grep++] = r->words[at + 1];
	} else {
		return mt_err(e, -EINVAL, "expected `grep WORD`, `count` or `json` after |");
	}
	return 0;
}

/* Parses all filters, from the first bar on. */
static int filters(struct mt_ctl_view *v, struct mt_request *r, struct mt_err *e)
{
	uint32_t bar = 0, at, end;
	int rc = 0;

	while (bar < r->n && strcmp(r->words[bar], "|") != 0)
		bar++;
	for (at = bar; at < r->n && rc == 0; at = end) {
		for (end = at + 1; end < r->n && strcmp(r->words[end], "|") != 0;)
			end++;
		rc = filter(v, r, at + 1, end, e);
	}
	r->n = bar;
	return rc;
}

/*
 * Rejects `where`, `sort` or `limit` as the last word. Hardly any operator looks for rows with such
 * a word, and an empty answer would mislead.
 */
static int half_typed(const char *word, struct mt_err *e)
{
	static const struct {
		const char *word, *wants;
	} all[] = {{"where", "conditions like state=closed, bytes>1000 or name~abc"},
		{"sort", "a field"}, {"limit", "a number of rows"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		if (strcmp(word, all[i].word) == 0)
			return mt_err(e, -EINVAL,
				"%s needs %s after it (rows with the word: `| grep %s`)", word,
				all[i].wants, word);
	return 0;
}

/*
 * Parses the words of the view from `at` on. Returns the number of words used; 0: not a view;
 * -EINVAL.
 */
static int table_word(struct mt_ctl_view *v, struct mt_request *r, uint32_t at, struct mt_err *e)
{
	const char *word = r->words[at];
	uint32_t n;

	if (at + 1 >= r->n)
		return half_typed(word, e);
	if (strcmp(word, "where") == 0) {
		e->text[0] = '\0';
		n = where(v, r, at + 1, e);
		if (e->text[0])
			return -EINVAL;
		return n ? (int)n + 1
			 : mt_err(e, -EINVAL,
				   "where needs conditions like state=closed, bytes>1000 or "
				   "name~abc");
	}
	if (strcmp(word, "sort") == 0) {
		v->sort = r->words[at + 1];
		return 2;
	}
	if (strcmp(word, "limit") == 0)
		return limit(v, r->words[at + 1], e) < 0 ? -EINVAL : 2;
	return 0;
}

int mt_view_cut(struct mt_ctl_view *v, struct mt_request *r, bool table, struct mt_err *e)
{
	uint32_t first = r->n;

	*v = (struct mt_ctl_view){.limit = UINT32_MAX};
	if (filters(v, r, e) < 0)
		return -EINVAL;
	first = r->n;
	for (uint32_t at = 0; table && at < r->n;) {
		int n = table_word(v, r, at, e);

		if (n < 0)
			return n;
		if (n == 0 && first < r->n)
			return mt_err(e, -EINVAL,
				"`%s` is out of place; there may stand a condition, `where`, "
				"`sort` or "
				"`limit`",
				r->words[at]);
		first = n ? MT_MIN(first, at) : first;
		at += n ? (uint32_t)n : 1;
	}
	r->n = MT_MIN(first, r->n);
	return 0;
}
