/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `labels` of a provider of access logs: a map of YAML as the text of a JSON object, which is a
 * format of lib/accesslog. A map that is too long ends early, and the format is refused.
 */
#include "mt_fields.h"

#include <stdlib.h>
#include <string.h>

#define LONGEST 65536u /* bytes; longer than any format */

struct text {
	char *p; /* LONGEST + 1 bytes */
	size_t n;
};

static void add(struct text *to, const char *p, size_t n)
{
	n = MT_MIN(n, LONGEST - to->n);
	memcpy(to->p + to->n, p, n);
	to->n += n;
}

static void add_string(struct text *to, const char *s)
{
	static const char digits[] = "0123456789abcdef";

	add(to, "\"", 1);
	for (; *s; s++) {
		uint8_t c = (uint8_t)*s;
		const char code[] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};

		if (c < 0x20)
			add(to, code, sizeof(code));
		else if (c == '"' || c == '\\')
			add(to, (const char[]){'\\', (char)c}, 2);
		else
			add(to, s, 1);
	}
	add(to, "\"", 1);
}

/* Passes over one or more digits. False: there is none. */
static bool digits(const char **s)
{
	const char *start = *s;

	while (**s >= '0' && **s <= '9')
		++*s;
	return *s > start;
}

/* True for a number as JSON writes it. */
static bool is_number(const char *s)
{
	s += *s == '-';
	if (*s == '0' && s[1] >= '0' && s[1] <= '9')
		return false;
	if (!digits(&s))
		return false;
	if (*s == '.' && (s++, !digits(&s)))
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		if (!digits(&s))
			return false;
	}
	return !*s;
}

/* Numbers and truth values are those that are not in quotes. */
static void add_scalar(struct text *to, const struct mt_ynode *n)
{
	if (mt_yaml_is_null(n))
		add(to, "null", 4);
	else if (n->plain && (strcmp(n->text, "true") == 0 || strcmp(n->text, "false") == 0 ||
				     is_number(n->text)))
		add(to, n->text, strlen(n->text));
	else
		add_string(to, n->text);
}

/* The depth is that of the YAML tree, at most MT_YAML_DEPTH. */
static void add_node(struct text *to, const struct mt_ynode *n)
{
	bool map = n->type == MT_Y_MAP;

	if (n->type == MT_Y_SCALAR) {
		add_scalar(to, n);
		return;
	}
	add(to, map ? "{" : "[", 1);
	for (const struct mt_ynode *i = n->first; i && to->n < LONGEST; i = i->next) {
		if (i != n->first)
			add(to, ", ", 2);
		if (map) {
			add_string(to, i->key);
			add(to, ": ", 2);
		}
		add_node(to, i);
	}
	add(to, map ? "}" : "]", 1);
}

void mt_read_log_labels(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_file_log_format *f = obj;
	struct text t = {malloc(LONGEST + 1), 0};

	if (mt_yaml_is_null(n) || !mt_want_map(c, n, "a map of names to texts with operators")) {
		free(t.p);
		return;
	}
	if (!t.p) {
		c->model->region.failed = true;
		return;
	}
	/* As in Istio, a map without members is the default format of JSON. */
	add_node(&t, n);
	t.p[t.n] = '\0';
	f->labels = (struct mt_text){mt_region_strdup(&c->model->region, t.p), n->line};
	free(t.p);
}
