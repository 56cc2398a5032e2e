/* SPDX-License-Identifier: Apache-2.0 */
#include "import_groups.h"

#include "mt_log.h"
#include "mt_strmap.h"

#include <ctype.h>
#include <string.h>

#define GROUPS	10 /* shown for one status */
#define OBJECTS 4  /* shown for one group */
#define HOSTS	3  /* shown for one object that fails closed */

struct group {
	char *key, *text; /* the text of the first one */
	json_t *objects;  /* an array of our own, with borrowed rows */
};

struct groups {
	struct mt_strmap by_key;
	struct group *v;
	uint32_t n, cap;
};

/* ---- grouping -------------------------------------------------------------------------------- */

/*
 * Makes the key of a text. Texts that differ only in numbers have the same key, for example
 * "ports[0]" and "ports[1]".
 */
static char *key_of(const char *text)
{
	char *key = strdup(text), *to = key;

	for (const char *p = text; key && *p; p++) {
		bool digit = isdigit((unsigned char)*p);

		if (!digit || to == key || to[-1] != '#')
			*to++ = digit ? '#' : *p;
	}
	if (key)
		*to = '\0';
	return key;
}

static bool room(struct groups *g)
{
	uint32_t cap = g->cap ? 2 * g->cap : 16;
	struct group *v;

	if (g->n < g->cap)
		return true;
	v = realloc(g->v, cap * sizeof(*v));
	if (!v)
		return false;
	g->v = v;
	g->cap = cap;
	return true;
}

static void add(struct groups *g, const char *text, json_t *object)
{
	char *key = key_of(text);
	/* Stores the index + 1, because pointers change when the array grows; 0 means none. */
	uintptr_t at = key ? (uintptr_t)mt_strmap_get(&g->by_key, key) : 0;
	json_t *objects;

	if (!key)
		return;
	if (!at && room(g)) {
		g->v[g->n] = (struct group){key, strdup(text), json_array()};
		at = ++g->n;
		/* Without memory for the key, the next object of the kind starts another group. */
		(void)mt_strmap_put(&g->by_key, key, (void *)at, NULL);
		key = NULL;
	}
	free(key);
	objects = at ? g->v[at - 1].objects : NULL;
	/* Two fields of one object may have the same text. */
	if (objects && json_array_get(objects, json_array_size(objects) - 1) != object)
		json_array_append(objects, object);
}

static void fini(struct groups *g)
{
	mt_strmap_fini(&g->by_key);
	for (uint32_t i = 0; i < g->n; i++) {
		free(g->v[i].key);
		free(g->v[i].text);
		json_decref(g->v[i].objects);
	}
	free(g->v);
}

static int by_size(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	size_t n = json_array_size(x->objects), k = json_array_size(y->objects);

	return n != k ? (n < k) - (n > k) : strcmp(x->key, y->key);
}

/* Adds "spec.mtls.mode: PERMISSIVE: no TLS is ended". */
static void add_note(struct groups *g, const json_t *note, json_t *object)
{
	const char *field = text_in(note, "field");
	char *text;

	if (asprintf(&text, "%s%s%s", field, *field ? ": " : "", text_in(note, "text")) < 0)
		return;
	add(g, text, object);
	free(text);
}

/*
 * Adds the reason for the object's status; for ignored objects, which cannot be parsed, also where
 * the error is.
 */
static void add_reason(struct groups *g, json_t *object)
{
	const char *reason = text_in(object, "reason");
	const char *note = text_in(json_array_get(json_object_get(object, "notes"), 0), "text");
	bool ignored = strcmp(text_in(object, "status"), "ignored") == 0;
	char *text;

	if (asprintf(&text, "%s%s%s", reason, ignored && *note ? ": " : "", ignored ? note : "") <
		0)
		return;
	add(g, text, object);
	free(text);
}

/*
 * Collects the texts for objects of one status: the reasons for it, and for objects with an effect
 * their notes.
 */
static void gather(struct groups *g, const struct import *m, enum mt_object_status status)
{
	const char *word = mt_object_status_str(status);
	json_t *row, *note;
	size_t i, k;

	json_array_foreach(json_object_get(m->report, "objects"), i, row)
	{
		if (strcmp(text_in(row, "status"), word) != 0)
			continue;
		if (status == MT_OBJECT_IN_FORCE)
			add(g, "", row);
		else if (status != MT_OBJECT_NOTES)
			add_reason(g, row);
		if (status == MT_OBJECT_NOTES || status == MT_OBJECT_FAIL_CLOSED)
			json_array_foreach(json_object_get(row, "notes"), k, note)
				add_note(g, note, row);
	}
	if (g->n)
		qsort(g->v, g->n, sizeof(*g->v), by_size);
}

/* ---- one object ------------------------------------------------------------------------------ */

static void put(FILE *out, const char *text)
{
	char safe[1024];

	(void)mt_escape(safe, sizeof(safe), text);
	fputs(safe, out);
}

/* Prints "Kind NAMESPACE/NAME (FILE:LINE)", without the parts that the object does not have. */
static void put_object(const json_t *o, FILE *out)
{
	const char *ns = text_in(o, "namespace"), *name = text_in(o, "name");
	const char *kind = text_in(o, "kind");

	put(out, *kind ? kind : "a document");
	if (*name) {
		fputc(' ', out);
		put(out, ns);
		fputs(*ns ? "/" : "", out);
		put(out, name);
	}
	fputs(" (", out);
	put(out, text_in(o, "file"));
	fprintf(out, ":%lld)", (long long)json_integer_value(json_object_get(o, "line")));
}

/* Prints the hosts that an object which fails closed applies to. */
static void put_touches(const json_t *o, bool all, FILE *out)
{
	const json_t *hosts = json_object_get(o, "touches");
	size_t i, n = json_array_size(hosts);
	json_t *host;

	fputs(n ? ", about " : "", out);
	json_array_foreach(hosts, i, host)
	{
		if (!all && i == HOSTS) {
			fprintf(out, " and %zu more", n - HOSTS);
			return;
		}
		fputs(i ? ", " : "", out);
		put(out, json_string_value(host));
	}
}

/* ---- one group ------------------------------------------------------------------------------- */

static void put_each(const struct import *m, const struct group *g, bool closes, FILE *out)
{
	size_t n = json_array_size(g->objects), i;
	json_t *o;

	json_array_foreach(g->objects, i, o)
	{
		if (!m->all && i == OBJECTS) {
			fprintf(out, "    and %zu more (--all)\n", n - OBJECTS);
			return;
		}
		fputs("    ", out);
		put_object(o, out);
		if (closes)
			put_touches(o, m->all, out);
		fputc('\n', out);
	}
}

static uint32_t n_of_kind(const struct group *g, const char *kind, bool *first, size_t at)
{
	uint32_t n = 0;
	json_t *o;
	size_t i;

	*first = true;
	json_array_foreach(g->objects, i, o)
	{
		if (strcmp(text_in(o, "kind"), kind) != 0)
			continue;
		n++;
		*first &= i >= at;
	}
	return n;
}

/* Prints "3 Deployment, 1 ReplicaSet": for ignored objects the kinds are sufficient. */
static void put_kinds(const struct group *g, FILE *out)
{
	uint32_t kinds = 0;
	json_t *o;
	size_t i;

	fputs("    ", out);
	json_array_foreach(g->objects, i, o)
	{
		const char *kind = text_in(o, "kind");
		bool first;
		uint32_t n;

		/* More kinds would not be read, and each costs another count. */
		if (kinds == 30) {
			fputs(", and others (--all)", out);
			break;
		}
		n = n_of_kind(g, kind, &first, i);
		if (!first)
			continue;
		fprintf(out, "%s%u ", kinds++ ? ", " : "", n);
		put(out, *kind ? kind : n == 1 ? "document" : "documents");
	}
	fputc('\n', out);
}

static void put_status(const struct import *m, enum mt_object_status status, FILE *out)
{
	bool ignored = status == MT_OBJECT_IGNORED;
	struct groups g = {0};
	uint32_t n = 0;

	gather(&g, m, status);
	if (g.n)
		fprintf(out, "\n%s: %s\n", mt_object_status_str(status),
			mt_object_status_help(status));
	for (uint32_t i = 0; i < g.n; i++) {
		if (!m->all && i >= GROUPS) {
			n += (uint32_t)json_array_size(g.v[i].objects);
			continue;
		}
		if (*g.v[i].text) {
			fputs("  ", out);
			put(out, g.v[i].text);
			fputc('\n', out);
		}
		if (ignored && !m->all)
			put_kinds(&g.v[i], out);
		else
			put_each(m, &g.v[i], status == MT_OBJECT_FAIL_CLOSED, out);
	}
	if (n)
		fprintf(out, "  and %u more, for %u other reasons (--all)\n", n, g.n - GROUPS);
	fini(&g);
}

void import_groups(const struct import *m, FILE *out)
{
	static const enum mt_object_status order[] = {MT_OBJECT_REFUSED, MT_OBJECT_LAST_GOOD,
		MT_OBJECT_FAIL_CLOSED, MT_OBJECT_NOTES, MT_OBJECT_ELSEWHERE, MT_OBJECT_SHADOWED,
		MT_OBJECT_WAITING, MT_OBJECT_NO_EFFECT, MT_OBJECT_IGNORED};

	for (size_t i = 0; i < MT_ARRAY_LEN(order); i++)
		put_status(m, order[i], out);
	if (m->all)
		put_status(m, MT_OBJECT_IN_FORCE, out);
}
