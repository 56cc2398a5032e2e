/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collects the documents that the daemon reads, by the code with which it reads them. They are
 * stored as data, so that comments and unreadable parts stay out. Files that they name (keys,
 * certificates, tokens) are never opened.
 */
#include "support.h"

#include "mt_source.h"
#include "mt_yaml.h"

#include <stdio.h>
#include <string.h>

#define NODE_DEFAULT "/etc/meltemi/node.yaml"
#define FILES_MAX    500
#define DIRECTORIES  16

static json_t *as_json(const struct mt_ynode *n)
{
	json_t *j;

	if (n->type == MT_Y_SCALAR)
		return json_string(n->text ? n->text : "");
	j = n->type == MT_Y_MAP ? json_object() : json_array();
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		if (n->type == MT_Y_MAP)
			json_object_set_new(j, k->key ? k->key : "", as_json(k));
		else
			json_array_append_new(j, as_json(k));
	}
	return j;
}

/* Stores the documents of a file unless there are none, or they exceed the archive's limits. */
static void keep(struct support *s, struct item *it, const char *file, json_t *list)
{
	size_t bytes = json_dumpb(list, NULL, 0, JSON_INDENT(2));

	if (json_array_size(list) == 0) {
		support_left_out(it, "%s is not YAML", file);
	} else if (bytes > SUPPORT_ITEM_MAX || s->bytes + bytes > SUPPORT_ALL_MAX) {
		support_left_out(it, "more than %u MB, or %u MB in all", SUPPORT_ITEM_MAX >> 20,
			SUPPORT_ALL_MAX >> 20);
	} else {
		s->bytes += bytes;
		it->json = json_incref(list);
	}
	json_decref(list);
}

/* Adds the documents of a file, which are the first objects of `v`; returns their number. */
static uint32_t add_file(struct support *s, struct mt_object *const *v, uint32_t n)
{
	const char *file = v[0]->origin.file, *slash = strrchr(file, '/');
	struct item *it = support_add(s, "a document, as data: without comments",
		"documents/%03u/%.80s.json", s->n, slash ? slash + 1 : file);
	json_t *list = json_array();
	uint32_t i = 0;

	for (; i < n && strcmp(v[i]->origin.file, file) == 0; i++)
		if (v[i]->root)
			json_array_append_new(list, as_json(v[i]->root));
	keep(s, it, file, list);
	return i;
}

/* Lists the files and directories that could not be read: an error about one has no line. */
static void add_unread(struct support *s, const struct mt_diags *diags)
{
	for (uint32_t i = 0; i < diags->n; i++)
		if (diags->items[i].severity == MT_DIAG_ERROR && !diags->items[i].origin.line)
			support_left_out(support_add(s, "", "documents/unread"), "%s: %s",
				diags->items[i].origin.file, diags->items[i].message);
}

/* Adds all files. Returns the Node document as data, which the caller frees; NULL: none. */
static json_t *add_files(struct support *s, const struct mt_objects *all)
{
	json_t *node = NULL;
	uint32_t at = 0;

	for (uint32_t files = 0; at < all->n && files < FILES_MAX; files++)
		at += add_file(s, all->v + at, all->n - at);
	if (at < all->n)
		support_left_out(
			support_add(s, "", "documents/others"), "%u documents", all->n - at);
	for (uint32_t i = 0; i < all->n && !node; i++)
		if (all->v[i]->is_node && all->v[i]->root)
			node = as_json(all->v[i]->root);
	return node;
}

/* A collected answer of the daemon, before it becomes text; NULL if there is none. */
static const json_t *answer(const struct support *s, const char *name)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (strcmp(s->items[i].name, name) == 0)
			return s->items[i].json;
	return NULL;
}

void support_documents(struct support *s)
{
	const json_t *config = answer(s, "show/config.json");
	const char *running = json_string_value(json_object_get(config, "node_file"));
	const char *file = s->node_file ? s->node_file : running ? running : NODE_DEFAULT;
	const char *dirs[DIRECTORIES];
	struct mt_source_reading r = {0};
	struct mt_diags diags;
	json_t *row, *node = NULL;
	uint32_t n = 0;
	size_t i;

	json_array_foreach(json_object_get(config, "directories"), i, row) if (n < DIRECTORIES)
		dirs[n++] = json_string_value(row);
	mt_diags_init(&diags);
	if (mt_source_read(NULL, &r, &diags, file, dirs, n) == 0)
		node = add_files(s, &r.objects);
	add_unread(s, &diags);
	if (!node)
		support_left_out(support_add(s, "", "documents/node"),
			"%s does not exist, or is not a Node document", file);
	support_metrics(s, node);
	json_decref(node);
	mt_diags_fini(&diags);
	mt_source_reading_fini(&r);
}
