/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the identity of a piece that is not YAML from its lines, because most mistakes are far from
 * the lines that hold the identity. Reads only keys at the left edge and directly below
 * `metadata:`. If the piece starts with a brace, it reads the first occurrence of each key instead.
 */
#include "mt_fields.h"

#include <ctype.h>
#include <string.h>

/* Longer values cannot be names. */
#define WORD_MAX 253

struct scan {
	struct mt_region *region;
	struct mt_object *o;
	bool in_metadata;
	size_t indent; /* of the keys directly below metadata; 0: none seen yet */
};

/* The value after the colon, without quotes, blanks and comment. NULL: it cannot be a name. */
static const char *value(struct scan *s, const char *p, const char *end)
{
	const char *stop;
	char quote = 0;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if (p < end && (*p == '"' || *p == '\''))
		quote = *p++;
	for (stop = p; stop < end; stop++)
		if (quote ? *stop == quote : strchr(" \t\r\n,}#", *stop) != NULL)
			break;
	/* An expression of a template is not a name. */
	if (stop == p || stop - p > WORD_MAX || (stop - p > 1 && memcmp(p, "{{", 2) == 0))
		return NULL;
	return mt_region_strndup(s->region, p, (size_t)(stop - p));
}

/* The group is the part of apiVersion before the slash. */
static void set_group(struct scan *s, const char *version)
{
	const char *slash = strrchr(version, '/');

	if (!*s->o->group && slash)
		s->o->group = mt_region_strndup(s->region, version, (size_t)(slash - version));
}

static void set(struct scan *s, const char *key, size_t len, const char *v)
{
	const struct {
		const char *key, **to;
	} t[] = {{"kind", &s->o->kind}, {"name", &s->o->name}, {"namespace", &s->o->ns}};

	if (!v)
		return;
	if (len == 10 && memcmp(key, "apiVersion", len) == 0)
		set_group(s, v);
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++)
		if (strlen(t[i].key) == len && memcmp(key, t[i].key, len) == 0 && !**t[i].to)
			*t[i].to = v;
}

static bool is_key(const char *key, size_t len, const char *const *words)
{
	for (; *words; words++)
		if (strlen(*words) == len && memcmp(key, *words, len) == 0)
			return true;
	return false;
}

/* `metadata: {name: x, namespace: y}` */
static void flow_metadata(struct scan *s, const char *p, const char *end)
{
	while (p < end) {
		const char *key = p + strspn(p, " \t{,"), *colon;

		if (key >= end)
			return;
		colon = memchr(key, ':', (size_t)(end - key));
		if (!colon)
			return;
		if (is_key(key, (size_t)(colon - key),
			    (const char *const[]){"name", "namespace", NULL}))
			set(s, key, (size_t)(colon - key), value(s, colon + 1, end));
		p = memchr(colon, ',', (size_t)(end - colon));
		if (!p)
			return;
	}
}

static void scan_line(struct scan *s, const char *line, const char *end)
{
	static const char *const top[] = {"apiVersion", "kind", NULL};
	static const char *const below[] = {"name", "namespace", NULL};
	const char *key = line, *colon;
	size_t indent, len;

	while (key < end && *key == ' ')
		key++;
	indent = (size_t)(key - line);
	colon = key < end ? memchr(key, ':', (size_t)(end - key)) : NULL;
	if (!colon || *key == '#')
		return;
	len = (size_t)(colon - key);
	if (indent == 0) {
		s->in_metadata = len == 8 && memcmp(key, "metadata", len) == 0;
		s->indent = 0;
		if (s->in_metadata)
			flow_metadata(s, colon + 1, end);
		else if (is_key(key, len, top))
			set(s, key, len, value(s, colon + 1, end));
		return;
	}
	if (!s->in_metadata)
		return;
	s->indent = s->indent ? s->indent : indent;
	if (indent == s->indent && is_key(key, len, below))
		set(s, key, len, value(s, colon + 1, end));
}

/* Scans flow style: a key, with or without quotes, follows a brace or a comma. */
static void scan_flow(struct scan *s, const char *text, const char *end)
{
	static const char *const words[] = {"apiVersion", "kind", "name", "namespace"};

	for (const char *p = text; p < end; p++) {
		const char *key = p + 1;
		bool quoted;

		if (*p != '{' && *p != ',')
			continue;
		while (key < end && isspace((unsigned char)*key))
			key++;
		quoted = key < end && (*key == '"' || *key == '\'');
		key += quoted;
		for (size_t i = 0; i < MT_ARRAY_LEN(words); i++) {
			size_t len = strlen(words[i]);
			const char *v = key + len + quoted;

			if (v >= end || memcmp(key, words[i], len) != 0)
				continue;
			while (v < end && isspace((unsigned char)*v))
				v++;
			if (v < end && *v == ':')
				set(s, key, len, value(s, v + 1, end));
		}
	}
}

/* The first character after dashes, blanks, comments and directives; 0: none. */
static char first_of(const char *text, const char *end)
{
	uint32_t line = 0;

	for (const char *p = text; p < end; p = mt_next_line(p, end, &line)) {
		const char *at = p;

		if (end - at >= 3 && memcmp(at, "---", 3) == 0)
			at += 3;
		while (at < end && (*at == ' ' || *at == '\t'))
			at++;
		/* Braces of a template do not start a map. */
		if (end - at >= 2 && memcmp(at, "{{", 2) == 0)
			continue;
		if (at < end && !strchr("\r\n#%", *at))
			return *at;
	}
	return '\0';
}

void mt_scan_identity(struct mt_region *r, const char *text, size_t len, struct mt_object *o)
{
	struct scan s = {.region = r, .o = o};
	const char *end = text + len;
	uint32_t line = 0;

	o->group = o->kind = o->ns = o->name = "";
	if (first_of(text, end) == '{')
		scan_flow(&s, text, end);
	else
		for (const char *p = text; p < end;) {
			const char *next = mt_next_line(p, end, &line);

			scan_line(&s, p, next);
			p = next;
		}
}
