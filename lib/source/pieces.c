/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text is cut at its `---` lines before anything of it is parsed, so that one document that is no YAML costs none of
 * the others.
 */
#include "mt_fields.h"
#include "mt_files.h"
#include "mt_strmap.h"

#include <errno.h>
#include <string.h>

struct piece {
	const char *text;
	size_t len;
	uint32_t line; /* of its first byte; the first is 1 */
};

/* What is indented belongs to a text; at the left edge the three dashes always begin a document. */
static bool is_separator(const char *line, size_t left)
{
	return left >= 3 && memcmp(line, "---", 3) == 0 &&
	       (left == 3 || strchr(" \t\r\n", line[3]));
}

/* The piece that begins at `at`; returns where the next one begins. */
static const char *cut(const char *at, const char *end, struct piece *p, uint32_t *line)
{
	const char *next = at;

	*p = (struct piece){.text = at, .line = *line};
	do {
		const char *eol = memchr(next, '\n', (size_t)(end - next));

		next = eol ? eol + 1 : end;
		*line += eol != NULL;
	} while (next < end && !is_separator(next, (size_t)(end - next)));
	p->len = (size_t)(next - at);
	return next;
}

static void copy_diags(struct mt_diags *to, const struct mt_diags *from, bool as_warnings)
{
	for (uint32_t i = 0; i < from->n; i++)
		mt_diags_copy(to, &from->items[i],
			as_warnings ? MT_DIAG_WARNING : from->items[i].severity);
}

/*
 * No YAML. What its lines tell may be enough to know of which object it is the newest version; a template or a text
 * that only looks like a document is nobody's.
 */
static int illegible(struct mt_fctx *c, const struct piece *p, const struct mt_diags *why,
	const struct mt_meta *about)
{
	struct mt_object *o = mt_region_alloc(&c->model->region, sizeof(*o));
	const struct mt_kind *k;
	bool ours;

	if (!o)
		return -ENOMEM;
	*o = (struct mt_object){.source = MT_SOURCE_DOCUMENTS,
		.origin = {c->file, p->line},
		.serial = about->serial,
		.hash = mt_hash_bytes(p->text, p->len, 0),
		.illegible = true,
		.status = MT_OBJECT_REFUSED,
		.part = c->model};
	mt_scan_identity(&c->model->region, p->text, p->len, o);
	k = mt_kind_find(o->group, o->kind);
	ours = k || mt_group_is_known(o->group, strlen(o->group));
	if (!ours) {
		o->status = MT_OBJECT_FOREIGN;
		o->why = "it cannot be parsed, and says no kind of a mesh";
	}
	o->is_node = k && k->list == 0 && k->spec;
	if (k && k->restricts)
		o->restricts = MT_RESTRICTS_CALLS;
	copy_diags(c->diags, why, !ours);
	return mt_objects_add(c->objects, o);
}

static int read_piece(struct mt_fctx *c, const struct piece *p)
{
	const struct mt_meta about = {.origin = {c->file, p->line}, .serial = mt_object_serial()};
	struct mt_diags *diags = c->diags, mine;
	int rc;

	mt_diags_init(&mine);
	rc = mt_yaml_piece(
		&c->model->region, &mine, &about, p->line, p->text, p->len, mt_document_read, c);
	if (rc == -EINVAL)
		rc = illegible(c, p, &mine, &about);
	else
		copy_diags(diags, &mine, false);
	mt_diags_fini(&mine);
	return rc;
}

static int read_text(struct mt_objects *out, struct mt_diags *diags, const char *name,
	uint32_t line, const char *text, size_t len, uint32_t *documents)
{
	struct mt_fctx c = {.diags = diags, .objects = out};
	const char *at = text, *end = text + len;
	int rc = 0;

	while (at < end && rc == 0) {
		struct piece p;

		at = cut(at, end, &p, &line);
		c.model = mt_model_new();
		if (!c.model)
			return -ENOMEM;
		c.model->region.first = MT_PART_FIRST;
		c.file = mt_region_strdup(&c.model->region, name);
		rc = c.file ? read_piece(&c, &p) : -ENOMEM;
		if (c.model->region.failed)
			rc = -ENOMEM;
		mt_model_free(c.model);
	}
	*documents = c.documents;
	return rc;
}

int mt_text_read(struct mt_objects *out, struct mt_diags *diags, const char *name, const char *text,
	size_t len, uint32_t *documents)
{
	return read_text(out, diags, name, 1, text, len, documents);
}

int mt_source_objects(struct mt_objects *out, struct mt_diags *diags, const char *file,
	uint32_t line, const char *text, uint32_t *documents)
{
	return read_text(out, diags, file, line, text, strlen(text), documents);
}
