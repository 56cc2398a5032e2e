/* SPDX-License-Identifier: Apache-2.0 */
/* Names that expressions may use: the fields of calls, connections and packets, and columns. */
#include "mt_expr.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#define WORD_MAX 24 /* longer words are not compared */
#define FAR	 2  /* most mistakes in a word */

const struct mt_expr_field_row mt_expr_fields[MT_EXPR_N_FIELDS] = {
#define MT_EXPR_FIELD(n, t, w) {#n, MT_EXPR_##t, w},
#include "expr_fields.def"
#undef MT_EXPR_FIELD
};

_Static_assert(MT_EXPR_N_FIELDS <= 64, "a bit for each field");
_Static_assert(MT_EXPR_N_FIELDS + MT_EXPR_NAMES <= 256, "an id for each name");

void mt_expr_names_of_fields(struct mt_expr_names *names, uint64_t allowed)
{
	names->n = 0;
	names->keys = allowed & MT_EXPR_BIT(meta0);
	for (uint8_t f = 0; f < MT_EXPR_meta0; f++) {
		struct mt_expr_name name = {mt_expr_fields[f].name, mt_expr_fields[f].type, f, f};

		if (!(allowed >> f & 1))
			continue;
		/* `host` has no value of its own. */
		if (f == MT_EXPR_host) {
			name.id = MT_EXPR_src;
			name.also = MT_EXPR_dst;
		}
		if (f == MT_EXPR_tls)
			name.also = MT_EXPR_encrypted;
		names->of[names->n++] = name;
	}
}

void mt_expr_names_add(struct mt_expr_names *names, const char *name, enum mt_expr_type type)
{
	uint8_t id = (uint8_t)(MT_EXPR_N_FIELDS + names->n);

	for (uint32_t i = 0; i < names->n; i++)
		if (strcmp(names->of[i].name, name) == 0)
			return;
	if (names->n < MT_EXPR_NAMES)
		names->of[names->n++] = (struct mt_expr_name){name, type, id, id};
}

uint32_t mt_word_distance(const char *a, size_t n, const char *b, size_t m)
{
	uint32_t d[WORD_MAX + 1][WORD_MAX + 1];

	if (n > WORD_MAX || m > WORD_MAX)
		return UINT32_MAX;
	for (size_t i = 0; i <= n; i++)
		d[i][0] = (uint32_t)i;
	for (size_t k = 0; k <= m; k++)
		d[0][k] = (uint32_t)k;
	for (size_t i = 1; i <= n; i++)
		for (size_t k = 1; k <= m; k++) {
			uint32_t best = d[i - 1][k - 1] + (a[i - 1] != b[k - 1]);

			best = MT_MIN(best, MT_MIN(d[i - 1][k], d[i][k - 1]) + 1);
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				best = MT_MIN(best, d[i - 2][k - 2] + 1);
			d[i][k] = best;
		}
	return d[n][m];
}

static const char *nearest(const struct mt_expr_names *names, const char *word, size_t len)
{
	uint32_t least = FAR + 1;
	const char *found = NULL;

	for (uint32_t i = 0; i < names->n; i++) {
		uint32_t d =
			mt_word_distance(word, len, names->of[i].name, strlen(names->of[i].name));

		if (d < least && d < len) {
			least = d;
			found = names->of[i].name;
		}
	}
	return found;
}

static int add_name(char *text, size_t size, size_t *n, const char *name)
{
	const char *more = *n && text[*n - 1] != ' ' ? ", " : "";

	if (*n + strlen(more) + strlen(name) + sizeof(", …") > size) {
		snprintf(text + *n, size - *n, ", …");
		return -ENOSPC;
	}
	*n += (size_t)snprintf(text + *n, size - *n, "%s%s", more, name);
	return 0;
}

static void unknown(
	const struct mt_expr_names *names, const char *word, size_t len, struct mt_err *e)
{
	const char *near = nearest(names, word, len);
	size_t n;

	mt_err(e, 0, "`%.*s` is not a field here; %s%s%sfields are: ", (int)MT_MIN(len, 40u), word,
		near ? "did you mean `" : "", near ? near : "", near ? "`? " : "");
	n = strlen(e->text);
	for (uint32_t i = 0; i < names->n; i++)
		if (add_name(e->text, sizeof(e->text), &n, names->of[i].name) < 0)
			return;
	if (names->keys)
		add_name(e->text, sizeof(e->text), &n, ".KEY");
}

const struct mt_expr_name *mt_expr_name_find(
	const struct mt_expr_names *names, const char *word, size_t len, struct mt_err *e)
{
	const struct mt_expr_name *found = NULL;
	uint32_t n = 0;

	for (uint32_t i = 0; len && i < names->n; i++) {
		if (strncasecmp(names->of[i].name, word, len) != 0)
			continue;
		if (!names->of[i].name[len])
			return &names->of[i];
		found = &names->of[i];
		n++;
	}
	if (n == 1)
		return found;
	unknown(names, word, len, e);
	return NULL;
}
