/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The codecs of a model, compiled. A document is compiled once for each version of its object.
 * Tables stay until the store is freed, because connections keep the codec that they began with. A
 * document that compiles to a table that the store has gets that one, so that its connections stay.
 */
#include "file.h"

#include "mt_codec_registry.h"

#include <errno.h>

/* A table, and the memory that it is in. */
struct kept_table {
	struct mt_region region;
	const struct mt_codec_table *table;
};

/* An object that was compiled without mistakes. */
struct entry {
	uint64_t serial;
	bool used; /* by the current load */
	const struct mt_codec_table *table;
};

struct mt_codec_store {
	struct entry v[MT_CODECFILE_MAX];
	uint32_t n;
	struct mt_codec_registry *registry; /* of the last load; held */
	uint32_t n_tables;
	struct kept_table tables[MT_CODECFILE_TABLES];
};

struct mt_codec_store *mt_codec_store_new(void)
{
	struct mt_codec_store *s = calloc(1, sizeof(*s));

	if (s)
		s->registry = mt_codec_registry_hold(mt_codec_registry_built_in());
	return s;
}

void mt_codec_store_free(struct mt_codec_store *s)
{
	if (!s)
		return;
	mt_codec_registry_drop(s->registry);
	for (uint32_t i = 0; i < s->n_tables; i++)
		mt_region_fini(&s->tables[i].region);
	free(s);
}

struct mt_codec_registry *mt_codec_store_registry(const struct mt_codec_store *s)
{
	return s->registry;
}

static struct entry *find(struct mt_codec_store *s, uint64_t serial)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].serial == serial)
			return &s->v[i];
	return NULL;
}

static const struct mt_codec_table *find_alike(
	const struct mt_codec_store *s, const struct mt_codec_table *t)
{
	for (uint32_t i = 0; i < s->n_tables; i++)
		if (mt_codec_same(&s->tables[i].table->codec, &t->codec))
			return s->tables[i].table;
	return NULL;
}

static void refuse(struct mt_diags *diags, const struct mt_codec_document *d, const char *remedy,
	const char *what, uint32_t most)
{
	mt_diag_object(diags, MT_DIAG_ERROR, &d->meta, d->meta.origin.line, NULL, remedy,
		"there are %u %s already", most, what);
}

/* Compiles the document. NULL: it has mistakes, which are in `diags`, or there is no memory. */
static const struct mt_codec_table *compile(
	struct mt_codec_store *s, const struct mt_codec_document *d, struct mt_diags *diags)
{
	struct mt_region region;
	const struct mt_codec_table *t, *alike;

	mt_region_init(&region, 0);
	t = mt_codecfile_object(&region, diags, d);
	alike = t ? find_alike(s, t) : NULL;
	if (t && !alike && s->n_tables == MT_CODECFILE_TABLES) {
		refuse(diags, d, "restart the node", "versions of codecs", MT_CODECFILE_TABLES);
		t = NULL;
	}
	if (!t || alike) {
		mt_region_fini(&region);
		return alike;
	}
	s->tables[s->n_tables++] = (struct kept_table){region, t};
	return t;
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

static int load(struct mt_codec_store *s, const struct mt_codec_document *d, struct mt_diags *diags)
{
	const struct mt_codec_table *t;
	uint32_t errors = diags->errors;

	if (find(s, d->meta.serial))
		return 0;
	t = compile(s, d, diags);
	if (!t)
		return diags->errors == errors ? -ENOMEM : 0;
	MT_ASSERT(s->n < MT_CODECFILE_MAX);
	s->v[s->n++] = (struct entry){.serial = d->meta.serial, .used = true, .table = t};
	return 0;
}

/* True if the last load had the document's codec, maybe another version of it. */
static bool is_known(struct mt_codec_store *s, const struct mt_codec_document *d)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].serial == d->meta.serial ||
			strcmp(s->v[i].table->codec.name, d->meta.name) == 0)
			return true;
	return false;
}

/*
 * Chooses the documents to compile, by their number in the model. Those of the last load come
 * first, so that a new one takes no codec from the services that use it.
 */
static void choose(struct mt_codec_store *s, const struct mt_model *m, bool *chosen)
{
	uint32_t n = 0;

	for (uint32_t known = 2; known-- > 0;)
		for (uint32_t i = 0; i < m->codecs.n && n < MT_CODECFILE_MAX; i++) {
			const struct mt_codec_document *d = m->codecs.v[i];

			if (chosen[i] || is_known(s, d) != known || instead(m, d))
				continue;
			chosen[i] = true;
			n++;
		}
}

/* Forgets objects that are not chosen, so that there is room for others. */
static void forget(struct mt_codec_store *s, const struct mt_model *m, const bool *chosen)
{
	for (uint32_t i = 0; i < s->n; i++)
		s->v[i].used = false;
	for (uint32_t i = 0; i < m->codecs.n; i++) {
		const struct mt_codec_document *d = m->codecs.v[i];
		struct entry *e = chosen[i] ? find(s, d->meta.serial) : NULL;

		if (e)
			e->used = true;
	}
	for (uint32_t i = s->n; i-- > 0;)
		if (!s->v[i].used)
			s->v[i] = s->v[--s->n];
}

/* Makes the registry of the codecs in the model's order, unless the last load had the same. */
static int make_registry(struct mt_codec_store *s, const struct mt_model *m)
{
	const struct mt_codec *served[MT_CODECFILE_MAX];
	struct mt_codec_registry *r = s->registry;
	uint32_t n = 0, first = mt_codec_registry_built_in()->n;

	for (uint32_t i = 0; i < m->codecs.n; i++) {
		const struct mt_codec_document *d = m->codecs.v[i];
		const struct entry *e = instead(m, d) ? NULL : find(s, d->meta.serial);

		if (e)
			served[n++] = &e->table->codec;
	}
	if (r->n == first + n && memcmp(r->v + first, served, n * sizeof(served[0])) == 0)
		return 0;
	r = mt_codec_registry_new(served, n);
	if (!r)
		return -ENOMEM;
	mt_codec_registry_drop(s->registry);
	s->registry = r;
	return 0;
}

/*
 * Warns at the first document of the Node, because those of packages do not change. Connections may
 * use any earlier table, so that none can be freed before a restart.
 */
static void warn_of_tables(
	const struct mt_codec_store *s, const struct mt_model *m, struct mt_diags *diags)
{
	for (uint32_t i = 0; s->n_tables >= MT_CODECFILE_TABLES_WARN && i < m->codecs.n; i++) {
		const struct mt_codec_document *d = m->codecs.v[i];

		if (d->installed)
			continue;
		mt_diag_object(diags, MT_DIAG_WARNING, &d->meta, d->meta.origin.line, NULL,
			"restart the node in time",
			"there are %u versions of codecs; a new one is refused when there are %u",
			s->n_tables, MT_CODECFILE_TABLES);
		return;
	}
}

int mt_codec_store_load(struct mt_codec_store *s, const struct mt_model *m, struct mt_diags *diags)
{
	bool *chosen = calloc(MT_MAX(m->codecs.n, 1u), sizeof(*chosen));
	int rc = 0;

	if (!chosen)
		return -ENOMEM;
	choose(s, m, chosen);
	forget(s, m, chosen);
	for (uint32_t i = 0; i < m->codecs.n && rc == 0; i++) {
		const struct mt_codec_document *d = m->codecs.v[i], *other = instead(m, d);

		if (other)
			mt_diag_object(diags, MT_DIAG_SHADOWED, &d->meta, d->meta.origin.line, NULL,
				NULL, "codec %s of %s is used", d->meta.name,
				other->meta.origin.file);
		else if (chosen[i])
			rc = load(s, d, diags);
		else
			refuse(diags, d, "remove others", "codecs", MT_CODECFILE_MAX);
	}
	free(chosen);
	warn_of_tables(s, m, diags);
	return rc ? rc : make_registry(s, m);
}

const struct mt_codec_table *mt_codec_store_find(const struct mt_codec_store *s, uint64_t serial)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].serial == serial)
			return s->v[i].table;
	return NULL;
}
