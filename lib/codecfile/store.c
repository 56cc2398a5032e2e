/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The codecs of a model, compiled. A document is compiled once for each version of its object; its
 * table stays as long as loads have the object.
 */
#include "file.h"

#include <errno.h>

/* An object that was compiled without mistakes. */
struct entry {
	uint64_t serial;
	bool used; /* by the current load */
	struct mt_region region;
	const struct mt_codec_table *table;
};

struct mt_codec_store {
	struct entry v[MT_CODECFILE_MAX];
	uint32_t n;
};

struct mt_codec_store *mt_codec_store_new(void)
{
	return calloc(1, sizeof(struct mt_codec_store));
}

static void drop(struct mt_codec_store *s, uint32_t i)
{
	mt_region_fini(&s->v[i].region);
	s->v[i] = s->v[--s->n];
}

void mt_codec_store_free(struct mt_codec_store *s)
{
	while (s && s->n)
		drop(s, s->n - 1);
	free(s);
}

static struct entry *find(struct mt_codec_store *s, uint64_t serial)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].serial == serial)
			return &s->v[i];
	return NULL;
}

static bool compile(
	struct mt_codec_store *s, const struct mt_codec_document *d, struct mt_diags *diags)
{
	struct entry *e = find(s, d->meta.serial);

	if (e) {
		e->used = true;
		return true;
	}
	MT_ASSERT(s->n < MT_CODECFILE_MAX);
	e = &s->v[s->n];
	*e = (struct entry){.serial = d->meta.serial, .used = true};
	mt_region_init(&e->region, 0);
	e->table = mt_codecfile_object(&e->region, diags, d);
	if (e->table)
		s->n++;
	else
		mt_region_fini(&e->region);
	return e->table != NULL;
}

/* The document with the same name that is used instead of an installed one; NULL: none. */
static const struct mt_codec_document *instead(
	const struct mt_model *m, const struct mt_codec_document *d)
{
	for (uint32_t i = 0; d->installed && i < m->codecs.n; i++) {
		const struct mt_codec_document *other = m->codecs.v[i];

		if (!other->installed && strcmp(other->meta.name, d->meta.name) == 0)
			return other;
	}
	return NULL;
}

static int load(struct mt_codec_store *s, const struct mt_model *m,
	const struct mt_codec_document *d, struct mt_diags *diags)
{
	const struct mt_codec_document *other = instead(m, d);
	uint32_t errors = diags->errors;

	if (other)
		mt_diag_object(diags, MT_DIAG_SHADOWED, &d->meta, d->meta.origin.line, NULL, NULL,
			"codec %s of %s is used", d->meta.name, other->meta.origin.file);
	else if (compile(s, d, diags))
		mt_diag_object(diags, MT_DIAG_INERT, &d->meta, d->meta.origin.line, NULL, NULL,
			"codec files are checked, but not served yet");
	else if (diags->errors == errors)
		return -ENOMEM;
	return 0;
}

int mt_codec_store_load(struct mt_codec_store *s, const struct mt_model *m, struct mt_diags *diags)
{
	int rc = 0;

	for (uint32_t i = 0; i < s->n; i++)
		s->v[i].used = false;
	for (uint32_t i = 0; i < m->codecs.n; i++) {
		const struct mt_codec_document *d = m->codecs.v[i];
		struct entry *e = find(s, d->meta.serial);

		if (e)
			e->used = i < MT_CODECFILE_MAX;
	}
	for (uint32_t i = s->n; i-- > 0;)
		if (!s->v[i].used)
			drop(s, i);
	for (uint32_t i = 0; i < m->codecs.n && rc == 0; i++) {
		const struct mt_codec_document *d = m->codecs.v[i];

		if (i < MT_CODECFILE_MAX)
			rc = load(s, m, d, diags);
		else
			mt_diag_object(diags, MT_DIAG_ERROR, &d->meta, d->meta.origin.line, NULL,
				"remove others", "there are %u codecs already", MT_CODECFILE_MAX);
	}
	return rc;
}

const struct mt_codec_table *mt_codec_store_find(const struct mt_codec_store *s, uint64_t serial)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].serial == serial)
			return s->v[i].table;
	return NULL;
}
