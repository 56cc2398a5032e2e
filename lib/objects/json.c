/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as JSON for operators, and a document as one line of YAML that parses to the same tree. */
#include "mt_objects_priv.h"

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
 * Longest text of a document. Only documents with aliases can reach this limit, because each alias
 * is written out.
 */
#define TEXT_MAX (64u << 20)

/*
 * Writes a node and its children as text. `*left` is the number of bytes that may still be written;
 * at 0 the text is incomplete.
 */
static void put_node(FILE *f, const struct mt_ynode *n, size_t *left)
{
	size_t len = 4 + (n->text ? strlen(n->text) : 0) + (n->key ? strlen(n->key) : 0);
	bool map = n->type == MT_Y_MAP;

	*left -= MT_MIN(len, *left);
	if (!*left)
		return;
	if (n->type == MT_Y_SCALAR) {
		if (mt_yaml_is_null(n))
			fputs("null", f);
		else if (is_bare(n))
			fputs(n->text, f);
		else
			mt_put_quoted(f, n->text);
		return;
	}
	fputc(map ? '{' : '[', f);
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		if (map) {
			mt_put_quoted(f, k->key);
			fputs(": ", f);
		}
		put_node(f, k, left);
		if (k->next)
			fputs(", ", f);
	}
	fputc(map ? '}' : ']', f);
}

char *mt_document_text(const struct mt_ynode *root)
{
	char *text = NULL;
	size_t size, left = TEXT_MAX;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	put_node(f, root, &left);
	if (fclose(f) == 0 && left)
		return text;
	free(text);
	return NULL;
}
