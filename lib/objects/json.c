/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as JSON for operators, and a document as one line of YAML that parses to the same tree. */
#include "mt_objects_priv.h"

#include "mt_idmap.h"
#include "mt_quoted.h"
#include "mt_yaml.h"

#include <ctype.h>
#include <string.h>

static json_t *text(const char *s)
{
	json_t *j = json_string(s ? s : "");

	/* Texts from files may be invalid UTF-8. */
	return j ? j : json_string("?");
}

static json_t *notes(const struct mt_object_row *row)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < row->n_notes; i++)
		json_array_append_new(
			all, json_pack("{s:s, s:o, s:o}", "severity",
				     mt_diag_severity_str(row->notes[i].severity), "field",
				     text(row->notes[i].field), "text", text(row->notes[i].text)));
	return all;
}

const char *mt_row_severity(const struct mt_object_row *row)
{
	if (row->unreadable)
		return "error";
	switch (row->status) {
	case MT_OBJECT_REFUSED:
	case MT_OBJECT_LAST_GOOD:
		return "error";
	case MT_OBJECT_FAIL_CLOSED:
		return "warning";
	case MT_OBJECT_IN_FORCE:
	case MT_OBJECT_IGNORED:
		return row->warned ? "warning" : row->n_notes ? "note" : "ok";
	default:
		return row->warned ? "warning" : "note";
	}
}

static int by_text(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static json_t *touches(const struct mt_object_row *row)
{
	json_t *all = json_array();

	if (row->n_touches)
		qsort(row->touches, row->n_touches, sizeof(char *), by_text);
	for (uint32_t i = 0; i < row->n_touches; i++)
		if (!i || strcmp(row->touches[i], row->touches[i - 1]) != 0)
			json_array_append_new(all, text(row->touches[i]));
	return all;
}

static json_t *origins(const struct mt_object_row *row)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < row->n_origins; i++)
		json_array_append_new(
			all, json_pack("{s:o, s:I}", "file", text(row->origins[i].file), "line",
				     (json_int_t)row->origins[i].line));
	return all;
}

static json_t *hash_text(const struct mt_object *o)
{
	char hash[MT_CONTENT_HASH_TEXT];

	mt_content_hash_str(&o->hash, hash);
	return json_string(hash);
}

json_t *mt_row_json(const struct mt_object_row *row)
{
	const struct mt_object *o = row->o;
	/* Show the hash, because operators copy it into the Node's spec.unenforced. */
	bool exempts = o->restricts && (row->status == MT_OBJECT_FAIL_CLOSED || row->unenforced);

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"status", mt_object_status_str(row->status), "severity", mt_row_severity(row),
		"kind", text(o->kind), "namespace", text(o->ns), "name", text(o->name), "file",
		text(o->origin.file), "line", (json_int_t)o->origin.line, "group", text(o->group),
		"source", text(o->source), "touches", touches(row), "origins", origins(row),
		"reason", text(row->why), "notes", notes(row), "hash",
		exempts ? hash_text(o) : json_null());
}

json_t *mt_table_json(struct mt_object_table *t)
{
	json_t *all = json_array();

	mt_table_touch(t);
	for (uint32_t i = 0; all && i < t->n; i++)
		json_array_append_new(all, mt_row_json(&t->rows[i]));
	return all;
}

/* ---- documents ------------------------------------------------------------------------------- */

/* True if the scalar is written without quotes, because quotes would make a number a string. */
static bool is_bare(const struct mt_ynode *n)
{
	if (!n->plain || !*n->text)
		return false;
	for (const char *p = n->text; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._+/", *p) &&
			!(*p == '-' && p > n->text))
			return false;
	return true;
}

/*
 * Longest text of a document. It is hardly longer than what was read, because aliases are written
 * as such. Otherwise short documents could fill the memory and the disk.
 */
#define TEXT_MAX (64u << 20)

/* Shorter texts are written again for each alias. */
#define LONG_TEXT 64

/* A document while it is written. */
struct writer {
	FILE *f;
	size_t left; /* bytes that may still be written; at 0 the text is incomplete */
	/*
	 * By address of what aliases share with their anchor, the first child or a long text: ONCE,
	 * AGAIN, or AGAIN plus the number of the anchor that has been written.
	 */
	struct mt_idmap shared;
	uintptr_t anchors;
	bool failed;
};

enum { ONCE = 1, AGAIN };

/* Returns what the node shares with its aliases; 0: it is too short to have an anchor. */
static uintptr_t shared_of(const struct mt_ynode *n)
{
	if (n->type != MT_Y_SCALAR)
		return (uintptr_t)n->first;
	return n->text && strnlen(n->text, LONG_TEXT) == LONG_TEXT ? (uintptr_t)n->text : 0;
}

/* Finds what occurs more than once. Visits each node once, and not once for each alias. */
static void find_shared(struct writer *w, const struct mt_ynode *n)
{
	uintptr_t id = shared_of(n), seen = id ? (uintptr_t)mt_idmap_get(&w->shared, id) : 0;

	if (seen == AGAIN)
		return;
	if (id && mt_idmap_put(&w->shared, id, (void *)(seen + 1)))
		w->failed = true;
	for (const struct mt_ynode *k = n->first; k && !seen; k = k->next)
		find_shared(w, k);
}

/* Writes an alias, and returns true, or an anchor in front of the node if an alias follows. */
static bool put_alias(struct writer *w, const struct mt_ynode *n)
{
	uintptr_t id = shared_of(n), seen = id ? (uintptr_t)mt_idmap_get(&w->shared, id) : 0;

	if (seen < AGAIN)
		return false;
	if (seen > AGAIN) {
		fprintf(w->f, "*a%zu", (size_t)(seen - AGAIN));
		return true;
	}
	w->anchors++;
	if (mt_idmap_put(&w->shared, id, (void *)(AGAIN + w->anchors)))
		w->failed = true;
	fprintf(w->f, "&a%zu ", (size_t)w->anchors);
	return false;
}

static void put_scalar(FILE *f, const struct mt_ynode *n)
{
	if (mt_yaml_is_null(n))
		fputs("null", f);
	else if (is_bare(n))
		fputs(n->text, f);
	else
		mt_put_quoted(f, n->text);
}

/* Writes a node and its children as text. */
static void put_node(struct writer *w, const struct mt_ynode *n)
{
	bool map = n->type == MT_Y_MAP, alias = w->left && put_alias(w, n);
	size_t len = 4 + (n->text && !alias ? strlen(n->text) : 0) + (n->key ? strlen(n->key) : 0);

	w->left -= MT_MIN(len, w->left);
	if (!w->left || alias)
		return;
	if (n->type == MT_Y_SCALAR) {
		put_scalar(w->f, n);
		return;
	}
	fputc(map ? '{' : '[', w->f);
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		if (map) {
			mt_put_quoted(w->f, k->key);
			fputs(": ", w->f);
		}
		put_node(w, k);
		if (k->next)
			fputs(", ", w->f);
	}
	fputc(map ? '}' : ']', w->f);
}

char *mt_document_text(const struct mt_ynode *root)
{
	struct writer w = {.left = TEXT_MAX};
	char *text = NULL;
	size_t size;

	w.f = open_memstream(&text, &size);
	if (!w.f)
		return NULL;
	find_shared(&w, root);
	put_node(&w, root);
	mt_idmap_fini(&w.shared);
	if (fclose(w.f) == 0 && w.left && !w.failed)
		return text;
	free(text);
	return NULL;
}
