/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collects the documents that the daemon reads, if they are YAML or JSON. They are stored as data,
 * so that comments and unreadable parts stay out. Files that they name (keys, certificates, tokens)
 * are never opened.
 */
#include "support.h"

#include "mt_source.h"
#include "mt_strmap.h"
#include "mt_yaml.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NODE_DEFAULT  "/etc/meltemi/node.yaml"
#define DOCUMENTS_MAX 500
#define DIRECTORIES   16
#define DEPTH_MAX     32 /* of nested directories, as in the daemon */

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

static void add_root(void *list, const struct mt_ynode *root)
{
	json_array_append_new(list, as_json(root));
}

static bool is_json(const char *path)
{
	size_t len = strlen(path);

	return len > 5 && strcmp(path + len - 5, ".json") == 0;
}

/* Replaces tabs, which may indent JSON but not YAML; strings of JSON cannot contain them. */
static void blank_tabs(char *text)
{
	for (; *text; text++)
		if (*text == '\t')
			*text = ' ';
}

/* All documents of a file as JSON; NULL if it does not exist or is not YAML. */
static json_t *documents_of(const char *path)
{
	char *text = support_file(path);
	struct mt_region region;
	struct mt_diags diags;
	json_t *list = json_array();
	int rc = -ENOENT;

	if (text && is_json(path))
		blank_tabs(text);
	if (text) {
		mt_region_init(&region, 256u << 20);
		mt_diags_init(&diags);
		rc = mt_yaml_parse(&region, &diags, path, text, strlen(text), add_root, list);
		mt_diags_fini(&diags);
		mt_region_fini(&region);
	}
	free(text);
	if (rc == 0)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *add_document(struct support *s, const char *path)
{
	struct item *it;
	const char *base = strrchr(path, '/');

	it = support_add(s, "a document, as data: without comments", "documents/%03u/%.80s.json",
		s->n, base ? base + 1 : path);
	redact_name(s->redact, "file", base ? base + 1 : path);
	it->json = documents_of(path);
	if (!it->json)
		support_left_out(it, "%s does not exist, or is not YAML", path);
	return it->json;
}

/* ---- directories ---------------------------------------------------------------------------- */

/*
 * Visits what the daemon reads, in the same order; a file or directory that several links lead to
 * is visited once.
 */
struct walk {
	struct support *s;
	struct mt_strmap seen; /* "DEVICE:INODE" of what was visited */
	uint32_t documents;
};

static bool met_before(struct walk *w, const char *path, bool *is_dir)
{
	struct stat st;
	char key[64], *kept;

	if (stat(path, &st))
		return true;
	*is_dir = S_ISDIR(st.st_mode);
	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino);
	if (mt_strmap_get(&w->seen, key))
		return true;
	kept = strdup(key);
	if (!kept || mt_strmap_put(&w->seen, kept, w, NULL))
		exit(EXIT_REFUSED);
	return false;
}

static int not_hidden(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void add_directory(struct walk *w, const char *dir, uint32_t depth);

static void add_path(struct walk *w, const char *path, const char *name, uint32_t depth)
{
	bool is_dir;

	if (met_before(w, path, &is_dir))
		return;
	if (is_dir)
		add_directory(w, path, depth + 1);
	else if (mt_source_wants(name) && w->documents++ < DOCUMENTS_MAX)
		(void)add_document(w->s, path);
}

static void add_directory(struct walk *w, const char *dir, uint32_t depth)
{
	struct dirent **list;
	int n = depth < DEPTH_MAX ? scandir(dir, &list, not_hidden, alphasort) : -1;
	char path[4096];

	for (int i = 0; i < n; i++) {
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name) <
			sizeof(path))
			add_path(w, path, list[i]->d_name, depth);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

/* A collected answer of the daemon, before it becomes text; NULL if there is none. */
static const json_t *answer(const struct support *s, const char *name)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (strcmp(s->items[i].name, name) == 0)
			return s->items[i].json;
	return NULL;
}

static void add_directories(struct support *s, char dirs[][4096], uint32_t n)
{
	struct walk w = {.s = s};
	const char *key;
	uint32_t pos = 0;

	for (uint32_t k = 0; k < n; k++)
		add_directory(&w, dirs[k], 0);
	if (w.documents > DOCUMENTS_MAX)
		support_left_out(support_add(s, "", "documents/others"), "%u documents",
			w.documents - DOCUMENTS_MAX);
	while (mt_strmap_next(&w.seen, &pos, &key))
		free((char *)(uintptr_t)key);
	mt_strmap_fini(&w.seen);
}

void support_documents(struct support *s)
{
	const json_t *config = answer(s, "show/config.json");
	const char *said = json_string_value(json_object_get(config, "node_file"));
	const json_t *dirs = json_object_get(config, "directories"), *sources, *node, *row;
	char path[4096], copies[DIRECTORIES][4096];
	uint32_t n = 0;
	size_t i;

	snprintf(path, sizeof(path), "%s",
		s->node_file ? s->node_file
		: said	     ? said
			     : NODE_DEFAULT);
	/* Copied, because items move when others are added. */
	json_array_foreach(dirs, i, row) if (n < DIRECTORIES)
		snprintf(copies[n++], sizeof(copies[0]), "%s", json_string_value(row));
	node = add_document(s, path);
	sources = json_object_get(json_object_get(json_array_get(node, 0), "spec"), "sources");
	if (!dirs)
		json_array_foreach(sources, i, row)
		{
			const char *dir = json_string_value(json_object_get(row, "directory"));

			if (dir && n < DIRECTORIES)
				snprintf(copies[n++], sizeof(copies[0]), "%s", dir);
		}
	support_metrics(s, node);
	add_directories(s, copies, n);
}
