/* SPDX-License-Identifier: Apache-2.0 */
/* The exact texts of all files of a load; loads share the texts that did not change. */
#include "mt_files.h"

#include "mt_strmap.h"

#include <errno.h>
#include <string.h>

struct mt_source_texts {
	uint32_t refs, n, cap;
	struct mt_source_blob *v[];
};

struct mt_source_blob *mt_blob_new(
	const struct mt_source_place *place, const char *path, char *text, size_t len)
{
	struct mt_source_blob *b = calloc(1, sizeof(*b));

	if (!b) {
		free(text);
		return NULL;
	}
	*b = (struct mt_source_blob){.refs = 1,
		.len = len,
		.text = text,
		.path = strdup(path),
		.source = strdup(place->source),
		.ns = place->ns ? strdup(place->ns) : NULL,
		.only = place->only ? strdup(place->only) : NULL,
		.mesh_config = place->mesh_config,
		.codecs = place->codecs};
	if (b->path && b->source && !b->ns == !place->ns && !b->only == !place->only)
		return b;
	mt_blob_put(b);
	return NULL;
}

struct mt_source_place mt_blob_place(const struct mt_source_blob *b)
{
	return (struct mt_source_place){.source = b->source,
		.ns = b->ns,
		.only = b->only,
		.mesh_config = b->mesh_config,
		.codecs = b->codecs};
}

void mt_blob_put(struct mt_source_blob *b)
{
	if (!b || --b->refs)
		return;
	free(b->path);
	free(b->source);
	free(b->ns);
	free(b->only);
	free(b->text);
	free(b);
}

static void take(void *arg, uint32_t order, struct mt_source_blob *b)
{
	struct mt_source_texts *t = arg;

	if (order >= t->cap)
		return;
	t->v[order] = b;
	b->refs++;
}

struct mt_source_texts *mt_source_texts_new(const struct mt_source_cache *c)
{
	uint32_t n = mt_cache_count(c);
	struct mt_source_texts *t = calloc(1, sizeof(*t) + n * sizeof(t->v[0]));

	if (!t)
		return NULL;
	t->refs = 1;
	t->cap = n;
	mt_cache_each(c, take, t);
	/* Close the gaps of files that could not be read. */
	for (uint32_t i = 0; i < t->cap; i++)
		if (t->v[i])
			t->v[t->n++] = t->v[i];
	return t;
}

struct mt_source_texts *mt_source_texts_ref(struct mt_source_texts *t)
{
	t->refs++;
	return t;
}

void mt_source_texts_free(struct mt_source_texts *t)
{
	if (!t || --t->refs)
		return;
	for (uint32_t i = 0; i < t->n; i++)
		mt_blob_put(t->v[i]);
	free(t);
}

/*
 * True if `t` has the blob. Both loads read files in nearly the same order, so a search starts
 * where the last one ended.
 */
static bool has(const struct mt_source_texts *t, const struct mt_source_blob *b, uint32_t *from)
{
	for (uint32_t k = 0; k < t->n; k++) {
		uint32_t i = (*from + k) % t->n;

		if (t->v[i] != b)
			continue;
		*from = i + 1;
		return true;
	}
	return false;
}

size_t mt_source_texts_bytes(const struct mt_source_texts *t, const struct mt_source_texts *before)
{
	size_t bytes = sizeof(*t) + t->cap * sizeof(t->v[0]);
	uint32_t from = 0;

	for (uint32_t i = 0; i < t->n; i++)
		if (!before || !has(before, t->v[i], &from))
			bytes += sizeof(*t->v[i]) + t->v[i]->len + strlen(t->v[i]->path) + 2;
	return bytes;
}

/* Memory that texts of the sources with these namespaces have taken. NULL: no memory. */
static uint64_t *used_by(struct mt_strmap *used, struct mt_region *region, const char *only)
{
	uint64_t *n = mt_strmap_get(used, only);

	if (n)
		return n;
	n = mt_region_alloc(region, sizeof(*n));
	return n && mt_strmap_put(used, only, n, NULL) == 0 ? n : NULL;
}

/*
 * Reads one text. If it is of a source that is limited to some namespaces and exceeds the memory of
 * such a source, it counts as partly read, as in the load that it comes from.
 */
static int read_text(const struct mt_source_blob *b, uint64_t *used, struct mt_source_reading *r,
	struct mt_diags *diags)
{
	const struct mt_source_place place = mt_blob_place(b);
	uint64_t most = mt_source_limits.memory;
	struct mt_pieces now = {.most = used ? MT_MAX(most - MT_MIN(*used, most), 1u) : 0};
	uint32_t n = r->objects.n, ignored;
	int rc = mt_text_read(
		&r->objects, diags, &place, b->path, b->text, b->len, &ignored, NULL, &now);

	if (used)
		*used += now.memory;
	mt_pieces_fini(&now);
	if (rc != -EOVERFLOW)
		return rc;
	while (r->objects.n > n)
		mt_object_put(r->objects.v[--r->objects.n]);
	return mt_reading_partial(r, b->path);
}

int mt_source_texts_read(const struct mt_source_texts *t, const struct mt_source_texts *same,
	struct mt_source_reading *r, struct mt_diags *diags)
{
	struct mt_strmap used = {0};
	struct mt_region region;
	uint32_t from = 0;
	int rc = 0;

	mt_region_init(&region, 0);
	for (uint32_t i = 0; i < t->n && rc == 0; i++) {
		const char *only = t->v[i]->only;
		uint64_t *n = only ? used_by(&used, &region, only) : NULL;

		if (same && has(same, t->v[i], &from))
			continue;
		rc = only && !n ? -ENOMEM : read_text(t->v[i], n, r, diags);
	}
	mt_strmap_fini(&used);
	mt_region_fini(&region);
	return rc;
}
