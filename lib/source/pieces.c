/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts a text at its `---` lines before it is parsed, so that a document that is not YAML does not
 * affect the others.
 */
#include "mt_fields.h"
#include "mt_files.h"

#include <errno.h>
#include <string.h>

struct piece {
	const char *text;
	size_t len;
	uint32_t line; /* of its first byte; the first is 1 */
	bool content;  /* it holds more than blanks and comments */
};

/* A text to read, and the pieces of its previous version. */
struct reading {
	const char *text;
	uint32_t first; /* number of objects that precede those of this text */
	const struct mt_pieces *was;
	struct mt_pieces *now;
};

/* As in YAML, a line ends with a line feed, a carriage return, or both. */
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

/*
 * True if the line starts with `mark`: at the left edge three dashes always start a document, and
 * three dots end one. Where they are indented they are part of a text.
 */
static bool is_mark(const char *line, const char *end, const char *mark)
{
	size_t left = (size_t)(end - line);

	return left >= 3 && memcmp(line, mark, 3) == 0 &&
	       (left == 3 || (line[3] && strchr(" \t\r\n", line[3])));
}

/* True if the line holds anything besides `---`, blanks and a comment. */
static bool has_content(const char *line, const char *end)
{
	if (is_mark(line, end, "---"))
		line += 3;
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	return line < end && *line != '\r' && *line != '\n' && *line != '#';
}

/*
 * Cuts off the piece that starts at `at`; returns the start of the next one. Directives (%YAML)
 * belong to the document after the next `---`.
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
	if (!as_warnings)
		mt_diags_copy_all(to, from);
	for (uint32_t i = 0; as_warnings && i < from->n; i++)
		mt_diags_copy(to, &from->items[i], MT_DIAG_WARNING);
}

/*
 * Limits an object to the namespaces of its source. One that may be a policy of them, because its
 * own namespace is not readable, stays one, without a name.
 */
static void confine(const struct mt_fctx *c, struct mt_object *o, const struct mt_kind *k)
{
	bool unread = o->ns_unwritten || !*o->ns;

	if (!*o->ns && k && k->restricts)
		return;
	if (!mt_place_excludes(c->place, k, o->ns))
		return;
	if (unread && k && k->restricts)
		o->name = o->ns = "";
	else
		o->outside = true;
}

/*
 * Adds an object without a readable namespace to each that its source may have, so that it closes
 * none of another source.
 */
static int add_to_each(struct mt_fctx *c, struct mt_model *part, const struct mt_object *o)
{
	const char *at = c->place->only;
	int rc = 0;

	while (*at && rc == 0) {
		size_t n = strcspn(at, ",");
		struct mt_object *one = mt_region_alloc(&part->region, sizeof(*one));
		char *ns = mt_region_strndup(&part->region, at, n);

		if (!one || !ns)
			return -ENOMEM;
		*one = *o;
		one->ns = ns;
		rc = mt_objects_add(c->objects, one);
		at += n + strspn(at + n, ", ");
	}
	return rc;
}

/* The kind that the object is of, or is probably meant to be of; NULL: unknown. */
static const struct mt_kind *kind_of(const struct mt_object *o)
{
	const struct mt_kind *k = mt_kind_find(o->group, o->kind);

	if (k || !*o->group)
		return k;
	return mt_group_is_known(o->group, strlen(o->group))
		       ? mt_kind_near(o->group, o->kind)
		       : mt_kind_of_mistyped(o->group, o->kind);
}

/*
 * Adds an object for a piece that is not YAML. Its lines may be enough to identify the object of
 * which it is the newest version; that object is rejected. A template, or a text that only looks
 * like a document, is ignored.
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
		.only = mt_place_only(c->place, &part->region),
		.origin = {file, p->line},
		.serial = about->serial,
		.illegible = true,
		.status = MT_OBJECT_REFUSED,
		.part = part};
	if (!mt_lines_hash(c, p->text, p->len, &o->hash))
		return -ENOMEM;
	/* If the piece also holds a readable document, the start of this one is unknown. */
	if (alone)
		mt_scan_identity(&part->region, p->text, p->len, o);
	k = kind_of(o);
	if (k) {
		o->group = k->group;
		o->kind = k->kind;
	}
	/* With a name and no namespace it is in the default namespace of the place. */
	o->ns_unwritten = !*o->ns && !c->place->ns;
	if (*o->name && !*o->ns)
		o->ns = mt_region_strdup(&part->region, mt_place_namespace(c->place, k));
	if (!o->ns || !o->source)
		return -ENOMEM;
	confine(c, o, k);
	ours = k || mt_group_is_known(o->group, strlen(o->group));
	/*
	 * Without a name only a Node or a kind that restricts access counts. Anything else may be a
	 * template or a leftover of an editor.
	 */
	if (!ours || (!*o->name && !(k && k->restricts) && !(k && k->list == 0 && k->spec))) {
		o->why = ours ? "it cannot be parsed, and has no readable name"
			      : "it cannot be parsed, and has no kind of a mesh";
		o->status = MT_OBJECT_IGNORED;
		ours = false;
	}
	o->is_node = k && k->list == 0 && k->spec && !o->outside;
	o->may_restrict = k && k->restricts && !o->outside;
	if (o->may_restrict)
		o->restricts = MT_RESTRICTS_CALLS;
	copy_diags(c->diags, why, !ours);
	if (part->region.failed)
		return -ENOMEM;
	return !*o->ns && o->may_restrict && c->place->only ? add_to_each(c, part, o)
							    : mt_objects_add(c->objects, o);
}

/* Uses a new part, so that the memory of the failed parse, which may be large, can be freed. */
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
	const struct mt_meta about = {
		.origin = {c->file, p->line}, .serial = mt_object_serial(), .ns = ""};
	struct mt_diags *diags = c->diags, mine;
	uint32_t before = c->objects->n;
	int rc;

	mt_diags_init(&mine);
	mine.owner = c->place->only;
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

/* Rejects the whole file, because otherwise the order of objects would decide which are used. */
static int too_many(
	struct mt_diags *diags, const struct mt_diags *mark, const char *name, uint32_t line)
{
	const struct mt_meta about = {.origin = {name, line}, .serial = mt_object_serial()};

	mt_diags_rewind(diags, mark);
	mt_diag_object(diags, MT_DIAG_ERROR, &about, line, NULL, "split the file",
		"more than %u objects in one file", MT_SOURCE_OBJECTS_MAX);
	return -E2BIG;
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Memory that each value takes at least; aliases save it here, but not where values are used. */
#define VALUE_BYTES 32

/* Memory of what was read of the text so far. */
static uint64_t memory_of(const struct mt_fctx *c)
{
	return MT_MAX(c->memory, c->weight * VALUE_BYTES) + c->diags->region.used;
}

/* Counts the objects from index `first` on. */
static void count_memory(struct mt_fctx *c, uint32_t first)
{
	for (uint32_t i = first; i < c->objects->n; i++) {
		const struct mt_object *o = c->objects->v[i];
		const struct mt_model *tree = o->part->n_parts ? o->part->parts[0] : NULL;

		c->memory += o->part->region.used;
		c->weight += o->root ? o->root->weight : 0;
		if (tree && tree != c->tree)
			c->memory += tree->region.used;
		c->tree = tree;
	}
}

/* True if the text takes more memory than it may, which is reported as an error of this line. */
static bool exceeds_memory(struct mt_fctx *c, const char *name, uint32_t line, bool failed)
{
	const struct mt_meta about = {.origin = {name, line}, .serial = mt_object_serial()};

	if (!c->most_memory || (!failed && memory_of(c) <= c->most_memory))
		return false;
	mt_diag_object(c->diags, MT_DIAG_ERROR, &about, line, NULL,
		"make it smaller: values that aliases repeat count each time",
		"takes more memory than is left for its source");
	return true;
}

/* Bounds the memory of a part, before it is read. */
static void limit_part(const struct mt_fctx *c, struct mt_model *part)
{
	uint64_t used = memory_of(c);

	part->region.first = MT_PART_FIRST;
	if (c->most_memory)
		part->region.limit = MT_MIN(
			part->region.limit, c->most_memory > used ? c->most_memory - used : 1);
}

/* Parses the piece into a new part. */
static int read_anew(struct mt_fctx *c, const struct piece *p, const char *name)
{
	int rc;

	c->model = mt_model_new();
	if (!c->model)
		return -ENOMEM;
	limit_part(c, c->model);
	c->file = mt_region_strdup(&c->model->region, name);
	rc = c->file ? read_piece(c, p) : -ENOMEM;
	if (c->model->region.failed)
		rc = exceeds_memory(c, name, p->line, true) ? -EOVERFLOW : -ENOMEM;
	mt_model_free(c->model);
	return rc;
}

/* ---- unchanged pieces ------------------------------------------------------------------------ */

void mt_pieces_fini(struct mt_pieces *p)
{
	free(p->v);
	*p = (struct mt_pieces){0};
}

/*
 * Finds an equal piece without diagnostics at the same line of the previous text. NULL: parse the
 * piece. Both texts are read in the order of lines, so *from only moves forward.
 */
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
	count_memory(c, first);
	g->now->memory = memory_of(c);
	if (exceeds_memory(c, name, p->line, false))
		return -EOVERFLOW;
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
		.most = out->n + MT_SOURCE_OBJECTS_MAX,
		.most_memory = g->now ? g->now->most : 0};
	const char *at = g->text, *end = g->text + len;
	const struct mt_diags mark = *diags;
	const char *owner = diags->owner;
	uint32_t from = 0;
	int rc = 0;

	diags->owner = place->only;
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
	mt_hash_end(&c);
	diags->owner = owner;
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
