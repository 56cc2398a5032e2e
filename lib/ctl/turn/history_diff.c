/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares two entries of the history by object. Reads only files with different texts, and
 * compares content by hash, so that order, comments and places of documents do not count.
 */
#include "mt_ctl_priv.h"
#include "mt_history.h"
#include "mt_object.h"
#include "mt_overrides.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int by_identity(const void *a, const void *b)
{
	return mt_object_cmp(*(struct mt_object *const *)a, *(struct mt_object *const *)b);
}

/* The caller ends `r` also after an error. */
static int read_sorted(const struct mt_source_texts *t, const struct mt_source_texts *same,
	struct mt_source_reading *r)
{
	struct mt_diags diags;
	int rc;

	mt_diags_init(&diags);
	rc = mt_source_texts_read(t, same, r, &diags);
	mt_diags_fini(&diags);
	if (rc == 0 && r->objects.n)
		qsort(r->objects.v, r->objects.n, sizeof(*r->objects.v), by_identity);
	return rc;
}

static void add_object(json_t *rows, const char *change, const struct mt_object *o)
{
	char name[512], origin[512];

	mt_object_str(o, name, sizeof(name));
	snprintf(origin, sizeof(origin), "%s:%u", o->origin.file, o->origin.line);
	mt_json_add(rows, MT_M("change", change), MT_M("object", name), MT_M("origin", origin));
}

static void compare(const struct mt_objects *a, const struct mt_objects *b, json_t *rows)
{
	uint32_t i = 0, k = 0;

	while (i < a->n || k < b->n) {
		int c = i == a->n ? 1 : k == b->n ? -1 : strcmp(a->v[i]->key, b->v[k]->key);

		if (c < 0) {
			add_object(rows, "removed", a->v[i++]);
		} else if (c > 0) {
			add_object(rows, "added", b->v[k++]);
		} else {
			if (!mt_content_hash_same(&a->v[i]->hash, &b->v[k]->hash))
				add_object(rows, "changed", b->v[k]);
			i++;
			k++;
		}
	}
}

static bool has_line(const char *text, const char *line, size_t len)
{
	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (strcspn(p, "\n") == len && memcmp(p, line, len) == 0)
			return true;
	return false;
}

/* Adds a row for each line of `text` that `other` lacks. */
static void add_overrides(json_t *rows, const char *change, const char *text, const char *other)
{
	for (size_t len; *text; text += len, text += *text == '\n') {
		char name[MT_OVERRIDE_TEXT + 16];

		len = strcspn(text, "\n");
		if (has_line(other, text, len))
			continue;
		snprintf(name, sizeof(name), "override: %.*s", (int)len, text);
		mt_json_add(rows, MT_M("change", change), MT_M("object", name),
			MT_M("origin", json_null()));
	}
}

int mt_history_diff(
	const struct mt_history_entry *a, const struct mt_history_entry *b, json_t *rows)
{
	struct mt_source_reading before = {0}, after = {0};
	int rc = read_sorted(a->texts, b->texts, &before);

	if (rc == 0)
		rc = read_sorted(b->texts, a->texts, &after);
	if (rc == 0) {
		compare(&before.objects, &after.objects, rows);
		add_overrides(rows, "removed", a->overrides, b->overrides);
		add_overrides(rows, "added", b->overrides, a->overrides);
	}
	mt_source_reading_fini(&before);
	mt_source_reading_fini(&after);
	return rc;
}
