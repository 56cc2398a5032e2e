/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts the words of a view off a request. */
#include "view.h"

#include <errno.h>
#include <string.h>

/* True if the word changes whether what follows is within quotes. */
static bool turns_quote(const char *word)
{
	bool odd = false;

	for (; (word = strchr(word, '"')) != NULL; word++)
		odd = !odd;
	return odd;
}

/* Number of words after `where` that are its expression. */
static uint32_t where(struct mt_ctl_view *v, const struct mt_request *r, uint32_t at)
{
	bool quoted = false;
	uint32_t n = 0;

	while (at + n < r->n && (quoted || (strcmp(r->words[at + n], "sort") != 0 &&
						   strcmp(r->words[at + n], "limit") != 0)))
		quoted ^= turns_quote(r->words[at + n++]);
	mt_ctl_join_words(r->words + at, n, v->where, sizeof(v->where));
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

/* The first bar that is not within the quotes of `where`; r->n: none. */
static uint32_t first_bar(const struct mt_request *r)
{
	bool quoted = false, within = false;
	uint32_t i = 0;

	for (; i < r->n && (quoted || strcmp(r->words[i], "|") != 0); i++) {
		quoted = within && quoted != turns_quote(r->words[i]);
		within |= strcmp(r->words[i], "where") == 0;
	}
	return i;
}

/* Parses all filters, from the first bar on. */
static int filters(struct mt_ctl_view *v, struct mt_request *r, struct mt_err *e)
{
	uint32_t bar = first_bar(r), at, end;
	int rc = 0;

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
	} all[] = {{"where", "an expression like state=closed, bytes>1000 or name~abc"},
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
		if (v->where[0])
			return mt_err(e, -EINVAL, "`where` is given twice");
		n = where(v, r, at + 1);
		return n ? (int)n + 1 : half_typed(word, e);
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
				"`%s` is out of place; there may stand `where`, `sort` or `limit`",
				r->words[at]);
		first = n ? MT_MIN(first, at) : first;
		at += n ? (uint32_t)n : 1;
	}
	r->n = MT_MIN(first, r->n);
	return 0;
}
