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
	bool content;  /* it is more than blanks and comments */
};

/* A text, and what is known of the one before it. */
struct reading {
	const char *text;
	uint32_t first; /* objects that were there before it */
	const struct mt_pieces *was;
	struct mt_pieces *now;
};

/* As YAML has it: a line ends with a line feed, a carriage return, or both. */
const char *mt_next_line(const char *p, const char *end, uint32_t *line)
{
	const char *feed = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
	const char *stop = feed ? feed : end;
	const char *back = p < stop ? memchr(p, '\r', (size_t)(stop - p)) : NULL;

	if (!feed && !back)
		return end;
	++*line;
	if (!back)
		return feed + 1;
	return back + (back + 1 == feed ? 2 : 1);
}

/* What is indented belongs to a text; at the left edge the three dashes always begin a document, and three dots end one. */
static bool is_mark(const char *line, const char *end, const char *mark)
{
	size_t left = (size_t)(end - line);

	return left >= 3 && memcmp(line, mark, 3) == 0 &&
	       (left == 3 || (line[3] && strchr(" \t\r\n", line[3])));
}

/* Whether a line holds anything but blanks, a comment, and the dashes in front of them. */
static bool has_content(const char *line, const char *end)
{
	if (is_mark(line, end, "---"))
		line += 3;
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	return line < end && *line != '\r' && *line != '\n' && *line != '#';
}

/*
 * The piece that begins at `at`; returns where the next one begins. Directives (%YAML) belong to the document behind their
 * dashes.
 */
static const char *cut(const char *at, const char *end, struct piece *p, uint32_t *line)
{
	bool directives = false, ended = false;
	const char *next = at;

	*p = (struct piece){.text = at, .line = *line};
	do {
		bool directive = *next == '%' && !p->content, mark = is_mark(next, end, "...");

		ended = mark;
		directives = directive || (directives && !is_mark(next, end, "---"));
		p->content |= !directive && !mark && has_content(next, end);
		next = mt_next_line(next, end, line);
	} while (next < end && !ended &&
		 (!is_mark(next, end, "---") || (directives && !p->content)));
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
static int add_illegible(struct mt_fctx *c, struct mt_model *part, const struct piece *p,
	const struct mt_diags *why, const struct mt_meta *about, bool alone)
{
	struct mt_object *o = mt_region_alloc(&part->region, sizeof(*o));
	const char *file = mt_region_strdup(&part->region, c->file);
	const struct mt_kind *k;
	bool ours;

	if (!o || !file)
		return -ENOMEM;
	*o = (struct mt_object){.source = mt_region_strdup(&part->region, c->place->source),
		.group = "",
		.kind = "",
		.ns = "",
		.name = "",
		.origin = {file, p->line},
		.serial = about->serial,
		.hash = mt_hash_bytes(p->text, p->len, 0),
		.illegible = true,
		.status = MT_OBJECT_REFUSED,
		.part = part};
	/* Behind a document that could be read nobody knows where it begins. */
	if (alone)
		mt_scan_identity(&part->region, p->text, p->len, o);
	k = mt_kind_find(o->group, o->kind);
	/* What names itself and no namespace is where all such documents are. */
	o->ns_unwritten = !*o->ns && !c->place->ns;
	if (*o->name && !*o->ns)
		o->ns = mt_region_strdup(&part->region, mt_place_namespace(c->place, k));
	if (!o->ns || !o->source)
		return -ENOMEM;
	ours = k || mt_group_is_known(o->group, strlen(o->group));
	/* What protects nobody and does not say who it is may be a template, or what an editor left behind. */
	if (!ours || (!*o->name && !(k && k->restricts) && !(k && k->list == 0 && k->spec))) {
		o->why = ours ? "it cannot be parsed, and does not say its name"
			      : "it cannot be parsed, and says no kind of a mesh";
		o->status = MT_OBJECT_FOREIGN;
		ours = false;
	}
	o->is_node = k && k->list == 0 && k->spec;
	o->may_restrict = k && k->restricts;
	if (o->may_restrict)
		o->restricts = MT_RESTRICTS_CALLS;
	copy_diags(c->diags, why, !ours);
	return part->region.failed ? -ENOMEM : mt_objects_add(c->objects, o);
}

/* In a part of its own: what was parsed of it until then may be large, and nobody needs it. */
static int illegible(struct mt_fctx *c, const struct piece *p, const struct mt_diags *why,
	const struct mt_meta *about, bool alone)
{
	struct mt_model *part = mt_model_new();
	int rc;

	if (!part)
		return -ENOMEM;
	part->region.first = MT_PART_FIRST;
	rc = add_illegible(c, part, p, why, about, alone);
	mt_model_free(part);
	return rc;
}

static int read_piece(struct mt_fctx *c, const struct piece *p)
{
	const struct mt_meta about = {.origin = {c->file, p->line}, .serial = mt_object_serial()};
	struct mt_diags *diags = c->diags, mine;
	uint32_t before = c->objects->n;
	int rc;

	mt_diags_init(&mine);
	c->filled = NULL;
	c->second = false;
	rc = mt_yaml_piece(&c->model->region, &mine, &about, p->line, p->text, p->len,
		c->place->mesh_config ? mt_mesh_config_read : mt_document_read, c);
	if (rc == 0 && c->second) {
		mt_diag_object(&mine, MT_DIAG_ERROR, &about, p->line, NULL,
			"divide documents by lines of ---, with a line feed", "a second document");
		rc = -EINVAL;
	}
	if (rc == -EINVAL)
		rc = illegible(c, p, &mine, &about, c->objects->n == before);
	else
		copy_diags(diags, &mine, false);
	mt_diags_fini(&mine);
	return rc;
}

/* Nothing of it is used: which of them counted would hang on their order. */
static int too_many(
	struct mt_diags *diags, const struct mt_diags *mark, const char *name, uint32_t line)
{
	const struct mt_meta about = {.origin = {name, line}, .serial = mt_object_serial()};

	mt_diags_rewind(diags, mark);
	mt_diag_object(diags, MT_DIAG_ERROR, &about, line, NULL, "split the file",
		"more than %u objects in one file", MT_SOURCE_OBJECTS_MAX);
	return -E2BIG;
}

/* In a part of its own. */
static int read_anew(struct mt_fctx *c, const struct piece *p, const char *name)
{
	int rc;

	c->model = mt_model_new();
	if (!c->model)
		return -ENOMEM;
	c->model->region.first = MT_PART_FIRST;
	c->file = mt_region_strdup(&c->model->region, name);
	rc = c->file ? read_piece(c, p) : -ENOMEM;
	if (c->model->region.failed)
		rc = -ENOMEM;
	mt_model_free(c->model);
	return rc;
}

/* ---- pieces that were read before ------------------------------------------------------------------- */

void mt_pieces_fini(struct mt_pieces *p)
{
	free(p->v);
	*p = (struct mt_pieces){0};
}

/* Both are in the order of lines: *from goes on where it was. NULL: it is not there, or has to be read again. */
static const struct mt_piece_read *find_piece(
	const struct mt_pieces *was, const struct piece *p, uint32_t *from)
{
	const struct mt_piece_read *r;

	if (!was || !was->text)
		return NULL;
	while (*from < was->n && was->v[*from].line < p->line)
		++*from;
	r = *from < was->n ? &was->v[*from] : NULL;
	if (!r || r->line != p->line || r->len != p->len || !r->clean)
		return NULL;
	return memcmp(was->text + r->at, p->text, p->len) == 0 ? r : NULL;
}

static int take_over(struct mt_fctx *c, const struct mt_pieces *was, const struct mt_piece_read *r)
{
	int rc = 0;

	for (uint32_t i = 0; i < r->n && rc == 0; i++)
		rc = mt_objects_add(c->objects, was->objects->v[r->first + i]);
	c->documents += r->documents;
	return rc;
}

static int note_piece(struct mt_pieces *now, const struct mt_piece_read *r)
{
	if (now->n == now->cap) {
		uint32_t cap = now->cap ? 2 * now->cap : 4;
		struct mt_piece_read *more = realloc(now->v, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		now->v = more;
		now->cap = cap;
	}
	now->v[now->n++] = *r;
	return 0;
}

static int read_or_take(struct mt_fctx *c, const struct piece *p, const char *name,
	const struct reading *g, uint32_t *from)
{
	const struct mt_piece_read *old = find_piece(g->was, p, from);
	uint32_t first = c->objects->n, documents = c->documents, said = mt_diags_count(c->diags);
	int rc = old ? take_over(c, g->was, old) : read_anew(c, p, name);

	if (rc || !g->now)
		return rc;
	return note_piece(g->now, &(struct mt_piece_read){.at = (size_t)(p->text - g->text),
					  .len = p->len,
					  .line = p->line,
					  .first = first - g->first,
					  .n = c->objects->n - first,
					  .documents = c->documents - documents,
					  .clean = mt_diags_count(c->diags) == said});
}

static int read_text(struct mt_objects *out, struct mt_diags *diags,
	const struct mt_source_place *place, const char *name, uint32_t line,
	const struct reading *g, size_t len, uint32_t *documents)
{
	struct mt_fctx c = {.diags = diags,
		.objects = out,
		.place = place,
		.most = out->n + MT_SOURCE_OBJECTS_MAX};
	const char *at = g->text, *end = g->text + len;
	const struct mt_diags mark = *diags;
	uint32_t from = 0;
	int rc = 0;

	while (at < end && rc == 0) {
		struct piece p;

		at = cut(at, end, &p, &line);
		if (!p.content)
			continue;
		rc = read_or_take(&c, &p, name, g, &from);
		if (rc == 0 && out->n >= c.most && at < end)
			c.too_many = true;
		if (rc == 0 && c.too_many)
			rc = too_many(diags, &mark, name, p.line);
	}
	*documents = c.documents;
	return rc;
}

int mt_text_read(struct mt_objects *out, struct mt_diags *diags,
	const struct mt_source_place *place, const char *name, const char *text, size_t len,
	uint32_t *documents, const struct mt_pieces *was, struct mt_pieces *now)
{
	const struct reading g = {text, out->n, was, now};

	return read_text(out, diags, place, name, 1, &g, len, documents);
}

int mt_source_objects(struct mt_objects *out, struct mt_diags *diags,
	const struct mt_source_place *place, const char *file, uint32_t line, const char *text,
	uint32_t *documents)
{
	const struct reading g = {.text = text};

	return read_text(out, diags, place, file, line, &g, strlen(text), documents);
}
