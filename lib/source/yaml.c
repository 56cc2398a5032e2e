/* SPDX-License-Identifier: Apache-2.0 */
/* Builds trees of nodes from the events of libyaml. */
#include "mt_fields.h"
#include "mt_strmap.h"
#include "mt_yaml.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

/* State of reading one text. */
struct reader {
	yaml_parser_t parser;
	struct mt_region *region;
	struct mt_diags *diags;
	const struct mt_meta *about;
	uint32_t before; /* number of lines that precede this piece in its file */
	const char *text;
	size_t len;
	struct mt_strmap anchors; /* of the current document */
	uint32_t nodes;
	bool failed;
};

static uint32_t line_of(const struct reader *r, const yaml_mark_t *at)
{
	return r->before + (uint32_t)at->line + 1;
}

static void fail(struct reader *r, uint32_t line, const char *remedy, const char *what)
{
	/* Report only the first error, because it causes those that follow. */
	if (!r->failed)
		mt_diag_object(r->diags, MT_DIAG_ERROR, r->about, line, NULL, remedy, "%s", what);
	r->failed = true;
}

/* Line of an invalid byte. The decoder finds it ahead of the parser, which has no line for it. */
static uint32_t line_of_bytes(const struct reader *r)
{
	size_t end = MT_MIN(r->parser.problem_offset, r->len);
	uint32_t line = r->before + 1;

	for (const char *p = r->text, *stop = p + end, *next; p < stop; p = next) {
		uint32_t n = 0;

		next = mt_next_line(p, r->text + r->len, &n);
		line += next <= stop ? n : 0;
	}
	return line;
}

static void fail_bytes(struct reader *r)
{
	char what[128];

	snprintf(what, sizeof(what), "%s", r->parser.problem ? r->parser.problem : "not text");
	/* -1 if the text ends in the middle of a character. */
	if (r->parser.problem_value >= 0)
		snprintf(what + strlen(what), sizeof(what) - strlen(what), " (0x%02x)",
			(unsigned int)r->parser.problem_value);
	fail(r, line_of_bytes(r), "write the document as UTF-8 text", what);
}

static bool next_event(struct reader *r, yaml_event_t *e)
{
	const char *remedy = NULL;

	if (r->failed)
		return false;
	if (yaml_parser_parse(&r->parser, e))
		return true;
	if (r->parser.error == YAML_READER_ERROR) {
		fail_bytes(r);
		return false;
	}
	if (r->parser.problem && strstr(r->parser.problem, "cannot start any token"))
		remedy = "indent with spaces, not tabs; quote text that begins with @, ` or %";
	else if (r->parser.context)
		remedy = r->parser.context;
	fail(r, line_of(r, &r->parser.problem_mark), remedy,
		r->parser.problem ? r->parser.problem : "not YAML");
	return false;
}

static struct mt_ynode *new_node(struct reader *r, enum mt_ytype type, const yaml_event_t *e)
{
	struct mt_ynode *n = mt_region_alloc(r->region, sizeof(*n));
	uint32_t line = line_of(r, &e->start_mark);

	if (!n) {
		fail(r, line, NULL, "no memory is left for it");
		return NULL;
	}
	n->type = type;
	n->line = line;
	n->weight = 1;
	if (++r->nodes > MT_YAML_NODES) {
		fail(r, line, "split the document", "the document has too many values");
		return NULL;
	}
	return n;
}

/* Counts a text of the node, because aliases may repeat long ones. */
static void count_text(struct reader *r, struct mt_ynode *n, size_t len)
{
	n->weight += (uint32_t)(len / MT_YAML_TEXT);
	r->nodes += (uint32_t)(len / MT_YAML_TEXT);
	if (r->nodes > MT_YAML_NODES)
		fail(r, n->line, "split the document", "the document has too many values");
}

static struct mt_ynode *read_node(struct reader *r, yaml_event_t *e, unsigned int depth);

/* Shares the anchored subtree; only its root is copied, because the copy has other siblings. */
static struct mt_ynode *read_alias(struct reader *r, const yaml_event_t *e)
{
	const char *name = (const char *)e->data.alias.anchor;
	const struct mt_ynode *target = mt_strmap_get(&r->anchors, name);
	struct mt_ynode *n;
	uint32_t line = line_of(r, &e->start_mark);

	if (!target) {
		fail(r, line, "an alias stands after its anchor, in the same document",
			"unknown alias");
		return NULL;
	}
	n = new_node(r, target->type, e);
	if (!n)
		return NULL;
	*n = *target;
	n->key = NULL;
	n->next = NULL;
	n->key_line = 0;
	/*
	 * An alias counts with its whole subtree, so that nested aliases cannot expand without limit.
	 */
	r->nodes += target->weight;
	if (r->nodes > MT_YAML_NODES) {
		fail(r, line, "write the values out", "aliases expand to too many values");
		return NULL;
	}
	return n;
}

/* Appends a child and adds its weight, which an alias of the parent will count. */
static void append(struct mt_ynode *parent, struct mt_ynode **last, struct mt_ynode *child)
{
	if (*last)
		(*last)->next = child;
	else
		parent->first = child;
	*last = child;
	parent->n++;
	parent->weight += child->weight;
}

static void read_seq(struct reader *r, struct mt_ynode *seq, unsigned int depth)
{
	struct mt_ynode *last = NULL, *child;
	yaml_event_t e;

	while (next_event(r, &e)) {
		if (e.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&e);
			return;
		}
		child = read_node(r, &e, depth + 1);
		if (!child)
			return;
		append(seq, &last, child);
	}
}

/* The key of the next pair; NULL at the end of the map or after a failure. */
static const char *read_key(struct reader *r, uint32_t *line)
{
	const char *key = NULL;
	yaml_event_t e;

	if (!next_event(r, &e))
		return NULL;
	*line = line_of(r, &e.start_mark);
	if (e.type == YAML_SCALAR_EVENT) {
		key = mt_region_strndup(
			r->region, (const char *)e.data.scalar.value, e.data.scalar.length);
		if (!key)
			fail(r, *line, NULL, "no memory is left for it");
		else if (e.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(key, "<<") == 0)
			fail(r, *line, "write the fields out",
				"merge keys (<<) are not understood");
	} else if (e.type != YAML_MAPPING_END_EVENT) {
		fail(r, *line, "write the key as a word", "a key must be a text");
	}
	yaml_event_delete(&e);
	return r->failed ? NULL : key;
}

static void read_map(struct reader *r, struct mt_ynode *map, unsigned int depth)
{
	struct mt_ynode *last = NULL, *child;
	const char *key;
	yaml_event_t e;
	uint32_t line;

	while ((key = read_key(r, &line)) != NULL) {
		if (!next_event(r, &e))
			return;
		child = read_node(r, &e, depth + 1);
		if (!child)
			return;
		count_text(r, child, strlen(key));
		child->key = key;
		child->key_line = line;
		append(map, &last, child);
	}
}

/* Rejects texts with a NUL byte, where the model's strings would silently end. */
static struct mt_ynode *read_scalar(struct reader *r, const yaml_event_t *e)
{
	struct mt_ynode *n = new_node(r, MT_Y_SCALAR, e);
	size_t len = e->data.scalar.length;

	if (!n)
		return NULL;
	if (memchr(e->data.scalar.value, 0, len)) {
		fail(r, n->line, NULL, "a text holds a NUL byte");
		return NULL;
	}
	n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	n->text = mt_region_strndup(r->region, (const char *)e->data.scalar.value, len);
	if (!n->text)
		fail(r, n->line, NULL, "no memory is left for it");
	else
		count_text(r, n, len);
	return n->text ? n : NULL;
}

static const char *event_anchor(const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return (const char *)e->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT:
		return (const char *)e->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT:
		return (const char *)e->data.mapping_start.anchor;
	default:
		return NULL;
	}
}

/* Reads the node that starts with event `e`; deletes `e`. NULL after a failure. */
static struct mt_ynode *read_node(struct reader *r, yaml_event_t *e, unsigned int depth)
{
	const char *anchor = event_anchor(e);
	struct mt_ynode *n = NULL;
	char *name = anchor ? mt_region_strdup(r->region, anchor) : NULL;

	if (depth > MT_YAML_DEPTH) {
		fail(r, line_of(r, &e->start_mark), "no document needs more than 64 levels",
			"nested too deeply");
	} else if (e->type == YAML_ALIAS_EVENT) {
		n = read_alias(r, e);
	} else if (e->type == YAML_SCALAR_EVENT) {
		n = read_scalar(r, e);
	} else if (e->type == YAML_SEQUENCE_START_EVENT) {
		n = new_node(r, MT_Y_SEQ, e);
		if (n)
			read_seq(r, n, depth);
	} else if (e->type == YAML_MAPPING_START_EVENT) {
		n = new_node(r, MT_Y_MAP, e);
		if (n)
			read_map(r, n, depth);
	}
	yaml_event_delete(e);
	if (!n || r->failed)
		return NULL;
	if (name && mt_strmap_put(&r->anchors, name, n, NULL))
		fail(r, n->line, NULL, "no memory");
	return r->failed ? NULL : n;
}

/* Reads one document, with its own anchors and its own count of nodes. */
static void read_document(
	struct reader *r, void (*document)(void *arg, const struct mt_ynode *root), void *arg)
{
	struct mt_ynode *root;
	yaml_event_t e;

	r->nodes = 0;
	mt_strmap_fini(&r->anchors);
	if (!next_event(r, &e))
		return;
	root = read_node(r, &e, 0);
	/* Skip an empty document, but deliver an explicit `null`. */
	if (root && (!mt_yaml_is_null(root) || *root->text))
		document(arg, root);
}

int mt_yaml_piece(struct mt_region *region, struct mt_diags *diags, const struct mt_meta *about,
	uint32_t line, const char *text, size_t len,
	void (*document)(void *arg, const struct mt_ynode *root), void *arg)
{
	struct reader r = {.region = region,
		.diags = diags,
		.about = about,
		.before = line - 1,
		.text = text,
		.len = len};
	bool end = false;
	yaml_event_t e;

	if (!yaml_parser_initialize(&r.parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
	while (!end && next_event(&r, &e)) {
		yaml_event_type_t type = e.type;

		yaml_event_delete(&e);
		if (type == YAML_DOCUMENT_START_EVENT)
			read_document(&r, document, arg);
		end = type == YAML_STREAM_END_EVENT;
	}
	mt_strmap_fini(&r.anchors);
	yaml_parser_delete(&r.parser);
	if (region->failed)
		return -ENOMEM;
	return r.failed ? -EINVAL : 0;
}

int mt_yaml_parse(struct mt_region *region, struct mt_diags *diags, const char *name,
	const char *text, size_t len, void (*document)(void *arg, const struct mt_ynode *root),
	void *arg)
{
	const struct mt_meta about = {.origin = {name, 1}};
	int rc = mt_yaml_piece(region, diags, &about, 1, text, len, document, arg);

	return rc == -ENOMEM ? rc : 0;
}

const struct mt_ynode *mt_yaml_get(const struct mt_ynode *map, const char *key)
{
	if (!map || map->type != MT_Y_MAP)
		return NULL;
	for (const struct mt_ynode *n = map->first; n; n = n->next)
		if (strcmp(n->key, key) == 0)
			return n;
	return NULL;
}

bool mt_yaml_is_null(const struct mt_ynode *n)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};

	if (n->type != MT_Y_SCALAR || !n->plain)
		return false;
	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		if (strcmp(n->text, words[i]) == 0)
			return true;
	return false;
}

const char *mt_yaml_type_str(const struct mt_ynode *n)
{
	static const char *const names[] = {"a single value", "a list", "a map"};

	return mt_yaml_is_null(n) ? "empty" : names[n->type];
}
