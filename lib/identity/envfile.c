/* SPDX-License-Identifier: Apache-2.0 */
/* Parser of cluster.env: shell assignments. Expansions and commands are errors; nothing is run. */
#include "mt_bundle.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define FILE_NAME  "cluster.env"
#define NEW_BUNDLE "make a new bundle (istioctl x workload entry configure), or correct the line"
#define ROWS_MAX   1000

struct reader {
	const char *p, *end;
	uint32_t line;
	char *out; /* output buffer: has space for the rest of the text */
	struct mt_finding *f;
};

static int bad(struct reader *r, const char *key, const char *what)
{
	return mt_find(r->f, FILE_NAME, r->line, key, NEW_BUNDLE, "%s", what);
}

static int quoted(struct reader *r, const char *key, char quote)
{
	uint32_t from = r->line;

	for (r->p++; r->p < r->end && *r->p != quote; r->p++) {
		if (quote == '"' && (*r->p == '$' || *r->p == '`'))
			return bad(r, key, "the value holds a shell expansion");
		if (quote == '"' && *r->p == '\\' && r->p + 1 < r->end &&
			strchr("\"\\$`", r->p[1]) && r->p[1])
			r->p++;
		r->line += *r->p == '\n';
		*r->out++ = *r->p;
	}
	if (r->p == r->end) {
		r->line = from;
		return bad(r, key, "a quote is opened and not closed");
	}
	r->p++;
	return 0;
}

/* Copies the value up to the end of the word, without quotes and escapes. */
static int value(struct reader *r, const char *key)
{
	int rc = 0;

	while (rc == 0 && r->p < r->end && !isspace((unsigned char)*r->p)) {
		char c = *r->p;

		if (c == '\'' || c == '"') {
			rc = quoted(r, key, c);
		} else if (c == '$' || c == '`') {
			rc = bad(r, key, "the value holds a shell expansion");
		} else if (strchr("|&;<>()", c) && c) {
			rc = bad(r, key, "the value holds a shell operator that is not quoted");
		} else {
			if (c == '\\' && r->p + 1 < r->end)
				r->p++;
			r->line += *r->p == '\n';
			*r->out++ = *r->p++;
		}
	}
	*r->out++ = '\0';
	return rc;
}

static void skip_blank(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\r'))
		r->p++;
}

static void next_line(struct reader *r)
{
	while (r->p < r->end && *r->p != '\n')
		r->p++;
	if (r->p < r->end)
		r->p++;
	r->line++;
}

/* Parses KEY=VALUE; key and value are copied to the output buffer. */
static int assignment(struct reader *r, struct mt_env_row *row)
{
	const char *from;

	if (r->end - r->p > 7 && strncmp(r->p, "export", 6) == 0 &&
		(r->p[6] == ' ' || r->p[6] == '\t')) {
		r->p += 7;
		skip_blank(r);
	}
	from = r->p;
	while (r->p < r->end && (isalnum((unsigned char)*r->p) || *r->p == '_'))
		r->p++;
	row->line = r->line;
	if (r->p == from || isdigit((unsigned char)*from) || r->p == r->end || *r->p != '=')
		return bad(r, "", "this is not an assignment like NAME='value'");
	row->key = r->out;
	memcpy(r->out, from, (size_t)(r->p - from));
	r->out += r->p - from;
	*r->out++ = '\0';
	r->p++;
	row->value = r->out;
	if (value(r, row->key))
		return -EINVAL;
	skip_blank(r);
	if (r->p < r->end && *r->p != '\n' && *r->p != '#')
		return bad(r, row->key, "something follows the value");
	return 0;
}

int mt_env_parse(struct mt_region *region, const char *text, size_t len, struct mt_env *out,
	struct mt_finding *f)
{
	struct reader r = {.p = text, .end = text + len, .line = 1, .f = f};

	*out = (struct mt_env){0};
	if (memchr(text, '\0', len))
		return bad(&r, "", "the file holds NUL bytes: not text");
	/*
	 * The NULs of key and value replace '=' and the end of the line, which the last line may
	 * lack.
	 */
	r.out = mt_region_alloc(region, len + 2);
	if (!r.out)
		return bad(&r, "", "no memory");
	for (; r.p < r.end; next_line(&r)) {
		struct mt_env_row row = {0}, *place;

		skip_blank(&r);
		if (r.p == r.end || *r.p == '#' || *r.p == '\n')
			continue;
		if (assignment(&r, &row))
			return -EINVAL;
		place = out->n < ROWS_MAX ? mt_region_push(region, (void **)&out->rows, &out->n,
						    sizeof(*out->rows))
					  : NULL;
		if (!place)
			return bad(&r, "", "too many assignments");
		*place = row;
	}
	return 0;
}

/* As in a shell, the last of several assignments counts. */
const struct mt_env_row *mt_env_row(const struct mt_env *env, const char *key)
{
	for (uint32_t i = env->n; i-- > 0;)
		if (strcmp(env->rows[i].key, key) == 0)
			return &env->rows[i];
	return NULL;
}

const char *mt_env_get(const struct mt_env *env, const char *key)
{
	const struct mt_env_row *row = mt_env_row(env, key);

	return row ? row->value : NULL;
}
