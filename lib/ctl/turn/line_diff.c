/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares two texts by line, for people. Common lines at both ends are skipped, and the middle is
 * compared by the longest common subsequence. If that is too much work (files that have nothing in
 * common) the whole middle is shown, first the old lines, then the new ones.
 */
#include "mt_history.h"
#include "mt_telemetry.h"

#include <stdio.h>
#include <string.h>

#define AROUND	  2	  /* common lines shown around a change */
#define CELLS_MAX 4000000 /* of the table: 16 MB during a comparison */

struct lines {
	const char **p;
	uint32_t *len;
	uint32_t n;
};

static bool split(struct lines *l, const char *text, size_t size)
{
	const char *end = text + size;
	uint32_t n = 0;

	for (const char *p = text; p < end; n++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		p = nl ? nl + 1 : end;
	}
	*l = (struct lines){calloc(n + 1, sizeof(*l->p)), calloc(n + 1, sizeof(*l->len)), 0};
	if (!l->p || !l->len)
		return false;
	for (const char *p = text; p < end; l->n++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		l->p[l->n] = p;
		l->len[l->n] = (uint32_t)((nl ? nl : end) - p);
		p = nl ? nl + 1 : end;
	}
	return true;
}

static void unsplit(struct lines *l)
{
	free(l->p);
	free(l->len);
}

static bool same(const struct lines *a, uint32_t i, const struct lines *b, uint32_t k)
{
	return a->len[i] == b->len[k] && memcmp(a->p[i], b->p[k], a->len[i]) == 0;
}

static void put(struct mt_text_buf *out, char sign, const struct lines *l, uint32_t i)
{
	mt_text_add(out, "%c ", sign);
	mt_text_bytes(out, l->p[i], l->len[i]);
	mt_text_add(out, "\n");
}

/*
 * t[i * w + k]: length of the longest common subsequence of a[i..] and b[k..] in the middle. NULL:
 * too large, or no memory.
 */
static uint32_t *table(
	const struct lines *a, const struct lines *b, uint32_t from, uint32_t na, uint32_t nb)
{
	uint32_t w = nb + 1;
	uint32_t *t;

	if ((uint64_t)(na + 1) * w > CELLS_MAX)
		return NULL;
	t = calloc((size_t)(na + 1) * w, sizeof(*t));
	for (uint32_t i = na; t && i-- > 0;)
		for (uint32_t k = nb; k-- > 0;)
			t[i * w + k] = same(a, from + i, b, from + k)
					       ? t[(i + 1) * w + k + 1] + 1
					       : MT_MAX(t[(i + 1) * w + k], t[i * w + k + 1]);
	return t;
}

/* Shows the middle. Of common lines only the first AROUND after a change are shown, then "...". */
static void middle(const struct lines *a, const struct lines *b, uint32_t from, uint32_t na,
	uint32_t nb, struct mt_text_buf *out)
{
	uint32_t *t = table(a, b, from, na, nb), w = nb + 1, i = 0, k = 0, since = 0;

	while (i < na || k < nb) {
		bool common = t && i < na && k < nb && same(a, from + i, b, from + k);

		if (common) {
			if (since++ < AROUND)
				put(out, ' ', a, from + i);
			else if (since == AROUND + 1)
				mt_text_add(out, "  ...\n");
			i++;
			k++;
			continue;
		}
		since = 0;
		if (i < na && (k == nb || !t || t[(i + 1) * w + k] >= t[i * w + k + 1]))
			put(out, '-', a, from + i++);
		else
			put(out, '+', b, from + k++);
	}
	free(t);
}

static void compare(
	const char *name, const struct lines *a, const struct lines *b, struct mt_text_buf *out)
{
	uint32_t head = 0, tail = 0, least = MT_MIN(a->n, b->n);

	while (head < least && same(a, head, b, head))
		head++;
	while (tail < least - head && same(a, a->n - 1 - tail, b, b->n - 1 - tail))
		tail++;
	mt_text_add(out, "%s, line %u:\n", name, head + 1);
	for (uint32_t i = head > AROUND ? head - AROUND : 0; i < head; i++)
		put(out, ' ', a, i);
	middle(a, b, head, a->n - head - tail, b->n - head - tail, out);
	for (uint32_t i = 0; i < MT_MIN(tail, (uint32_t)AROUND); i++)
		put(out, ' ', a, a->n - tail + i);
}

static bool has(const char *text, size_t len, const char *word)
{
	return memmem(text, len, word, strlen(word)) != NULL;
}

/*
 * True if the text before `at`, without quotes and spaces, ends in the word; *before: where the
 * word starts.
 */
static bool is_behind(const char *text, const char *at, const char *word, const char **before)
{
	size_t n = strlen(word);

	while (at > text && strchr("\"' \t\r\n", at[-1]))
		at--;
	if ((size_t)(at - text) < n)
		return false;
	*before = at - n;
	return memcmp(at - n, word, n) == 0;
}

/* True if the text has a Secret, in YAML or JSON, or PEM data of a private key or base64 of PEM. */
static bool holds_secret(const char *text, size_t len)
{
	static const char secret[] = "Secret";
	const char *at = text, *colon, *key;

	if (has(text, len, "PRIVATE KEY") || has(text, len, "LS0tLS1CRUdJTi"))
		return true;
	while ((at = memmem(at, len - (size_t)(at - text), secret, strlen(secret))) != NULL) {
		if (is_behind(text, at, ":", &colon) && is_behind(text, colon, "kind", &key))
			return true;
		at++;
	}
	return false;
}

void mt_line_diff(const char *name, const char *a, size_t a_len, const char *b, size_t b_len,
	struct mt_text_buf *out)
{
	struct lines la = {0}, lb = {0};

	if (a_len == b_len && memcmp(a, b, a_len) == 0)
		return;
	if (holds_secret(a, a_len) || holds_secret(b, b_len)) {
		mt_text_add(
			out, "%s: differs; it holds a Secret, and its lines are not shown\n", name);
		return;
	}
	if (split(&la, a, a_len) && split(&lb, b, b_len))
		compare(name, &la, &lb, out);
	unsplit(&la);
	unsplit(&lb);
}

/* ---- two configurations --------------------------------------------------------------------- */

/* The text of a file by its path; NULL: that load did not have the file. */
static const char *text_of(const struct mt_source_texts *t, const char *path, size_t *len)
{
	const char *text;

	for (uint32_t i = 0; i < mt_source_texts_count(t); i++)
		if (strcmp(mt_source_texts_at(t, i, &text, len), path) == 0)
			return text;
	*len = 0;
	return NULL;
}

void mt_history_diff(
	const struct mt_history_entry *a, const struct mt_history_entry *b, struct mt_text_buf *out)
{
	const char *ta, *tb;
	size_t la, lb;

	for (uint32_t i = 0; i < mt_source_texts_count(a->texts); i++) {
		const char *path = mt_source_texts_at(a->texts, i, &ta, &la);

		tb = text_of(b->texts, path, &lb);
		if (!tb)
			mt_text_add(out, "%s: was removed\n", path);
		if (ta != tb)
			mt_line_diff(path, ta, la, tb ? tb : "", lb, out);
	}
	for (uint32_t i = 0; i < mt_source_texts_count(b->texts); i++) {
		const char *path = mt_source_texts_at(b->texts, i, &tb, &lb);

		if (text_of(a->texts, path, &la))
			continue;
		mt_text_add(out, "%s: was added\n", path);
		mt_line_diff(path, "", 0, tb, lb, out);
	}
	mt_line_diff("run-time overrides", a->overrides, strlen(a->overrides), b->overrides,
		strlen(b->overrides), out);
}
