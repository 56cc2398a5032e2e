/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adds a port to a Node document. The parsed tree shows the contents and the lines of keys; the
 * lines of text show where the list ends. The new text is parsed, too, so that a document in an
 * unusual form is refused instead of damaged.
 */
#include "nic_node.h"

#include "mt_quoted.h"
#include "mt_yaml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define INDENT 2

struct node {
	struct mt_region region;
	const struct mt_ynode *root; /* of the only document */
	uint32_t n;		     /* documents */
};

/* Where the new entry goes. */
struct place {
	size_t at;	    /* offset: the start of a line, or the end of the text */
	size_t cut, cut_to; /* a part of an earlier line that is left out: "[]" */
	size_t indent;	    /* of the new entry */
	bool key;	    /* the document lacks the key, too: it goes before the entry */
};

static const char by_hand[] = "write spec.ports as a list with one port in each line, or add the "
			      "port by hand";

/* ---- trees ----------------------------------------------------------------------------------- */

static void take_root(void *arg, const struct mt_ynode *root)
{
	struct node *n = arg;

	n->root = root;
	n->n++;
}

static bool parse(struct node *n, const char *text, size_t len, struct mt_err *e)
{
	struct mt_diags diags;
	bool ok;

	mt_region_init(&n->region, 64u << 20);
	mt_diags_init(&diags);
	ok = mt_yaml_parse(&n->region, &diags, "", text, len, take_root, n) == 0 && !diags.n;
	mt_diags_fini(&diags);
	if (!ok)
		(void)mt_err(e, -EINVAL, "it is not valid YAML: meltemid --check has the reason");
	else if (n->n != 1)
		(void)mt_err(e, -EINVAL, "it has %u documents, not one", n->n);
	return ok && n->n == 1;
}

static bool text_is(const struct mt_ynode *n, const char *text)
{
	return n && n->type == MT_Y_SCALAR && strcmp(n->text, text) == 0;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same(const struct mt_ynode *a, const struct mt_ynode *b, const struct mt_ynode *ports);

/* True if the list `ports` has one element more than `old`, which is NULL if it was not written. */
static bool one_more(const struct mt_ynode *old, const struct mt_ynode *ports)
{
	const struct mt_ynode *x = old && old->type == MT_Y_SEQ ? old->first : NULL,
			      *y = ports->first;

	for (; x && y; x = x->next, y = y->next)
		if (!same(x, y, NULL))
			return false;
	return !x && y && !y->next;
}

/* True if b is a, except for the list `ports` in b, which has one more element. */
static bool same(const struct mt_ynode *a, const struct mt_ynode *b, const struct mt_ynode *ports)
{
	const struct mt_ynode *x = a->first, *y = b->first;

	if (a->type != b->type || a->plain != b->plain || !same_text(a->key, b->key) ||
		!same_text(a->text, b->text))
		return false;
	while (x || y) {
		if (y && y == ports) {
			const struct mt_ynode *old = x && same_text(x->key, y->key) ? x : NULL;

			if (!one_more(old, ports))
				return false;
			x = old ? x->next : x;
			y = y->next;
			continue;
		}
		if (!x || !y || !same(x, y, ports))
			return false;
		x = x->next;
		y = y->next;
	}
	return true;
}

/* True if the entry is the last port of the tree, and the only difference. */
static bool is_added(const struct node *before, const struct node *after, const struct nic_port *p)
{
	const struct mt_ynode *ports = mt_yaml_get(mt_yaml_get(after->root, "spec"), "ports"),
			      *last;

	if (!ports || ports->type != MT_Y_SEQ || !ports->first)
		return false;
	for (last = ports->first; last->next; last = last->next)
		;
	return text_is(mt_yaml_get(last, "device"), p->device) &&
	       text_is(mt_yaml_get(last, "profile"), p->profile) &&
	       same(before->root, after->root, ports);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* The offset of a line (from 1); the length of the text if there are fewer. */
static size_t line_at(const char *text, size_t len, uint32_t line)
{
	size_t at = 0;

	for (; line > 1 && at < len; line--) {
		const char *end = memchr(text + at, '\n', len - at);

		at = end ? (size_t)(end - text) + 1 : len;
	}
	return at;
}

static size_t next_line(const char *text, size_t len, size_t at)
{
	const char *end = memchr(text + at, '\n', len - at);

	return end ? (size_t)(end - text) + 1 : len;
}

static size_t indent_of(const char *text, size_t len, size_t at)
{
	size_t n = 0;

	while (at + n < len && text[at + n] == ' ')
		n++;
	return n;
}

/* True for a line without contents: blanks or a comment. */
static bool is_empty(const char *text, size_t len, size_t at)
{
	at += indent_of(text, len, at);
	return at >= len || text[at] == '\n' || text[at] == '#' ||
	       (text[at] == '\r' && at + 1 < len && text[at + 1] == '\n');
}

/* Finds the end of the block list that follows the line at `at`, and its indentation. */
static bool find_end(const char *text, size_t len, size_t at, struct place *p)
{
	bool first = true;

	for (at = next_line(text, len, at); at < len; at = next_line(text, len, at)) {
		size_t indent = indent_of(text, len, at);
		bool dash = at + indent < len && text[at + indent] == '-';

		if (is_empty(text, len, at))
			continue;
		if (first && !dash)
			return false;
		if (first)
			p->indent = indent;
		else if (indent < p->indent || (indent == p->indent && !dash))
			break;
		first = false;
		p->at = next_line(text, len, at);
	}
	return !first;
}

/* The offset after "ports:" and blanks, which is the end of the line or the start of a value. */
static size_t after_key(const char *text, size_t len, size_t at)
{
	while (at < len && text[at] != ':')
		at++;
	at = MT_MIN(at + 1, len);
	return at + indent_of(text, len, at);
}

static bool find_place(const char *text, size_t len, const struct mt_ynode *spec, struct place *p,
	struct mt_err *e)
{
	const struct mt_ynode *ports = mt_yaml_get(spec, "ports"), *one = spec->first;
	size_t line, value;

	if (!ports) {
		p->key = true;
		p->at = line_at(text, len, one->key_line);
		p->indent = indent_of(text, len, p->at) + INDENT;
		value = after_key(text, len, line_at(text, len, spec->key_line));
		if (is_empty(text, len, value) && one->key_line > spec->key_line)
			return true;
		return mt_err(e, -EINVAL, "%s", by_hand) == 0;
	}
	line = line_at(text, len, ports->key_line);
	value = after_key(text, len, line);
	if (ports->n && is_empty(text, len, value) && find_end(text, len, line, p))
		return true;
	if (ports->n)
		return mt_err(e, -EINVAL, "%s", by_hand) == 0;
	p->at = next_line(text, len, line);
	p->indent = indent_of(text, len, line) + INDENT;
	if (value + 2 <= len && strncmp(text + value, "[]", 2) == 0) {
		p->cut = value;
		p->cut_to = value + 2;
	}
	return true;
}

/* ---- the entry ------------------------------------------------------------------------------- */

/* Fails if a port has the device or the name. *name: a free one if the caller gave none. */
static bool check_free(
	const struct mt_ynode *ports, const struct nic_port *p, char name[16], struct mt_err *e)
{
	uint32_t number = 0;

	snprintf(name, 16, "p0");
	for (const struct mt_ynode *i = ports ? ports->first : NULL; i;) {
		const struct mt_ynode *device = mt_yaml_get(i, "device"),
				      *own = mt_yaml_get(i, "name");

		if (device && device->type == MT_Y_SCALAR &&
			strcasecmp(device->text, p->device) == 0)
			return mt_err(e, -EEXIST, "line %u has the device %s already", i->line,
				       p->device) == 0;
		if (p->name && text_is(own, p->name))
			return mt_err(e, -EEXIST,
				       "line %u has a port %s already: choose another "
				       "--name",
				       i->line, p->name) == 0;
		i = i->next;
		if (text_is(own, name)) {
			snprintf(name, 16, "p%u", ++number);
			i = ports->first;
		}
	}
	return true;
}

static void put_entry(FILE *f, const struct place *p, const struct nic_port *port, const char *name,
	const char *end)
{
	int indent = (int)p->indent;

	if (p->key)
		fprintf(f, "%*sports:%s", indent - INDENT, "", end);
	fprintf(f, "%*s- name: ", indent, "");
	mt_put_quoted(f, name);
	fprintf(f, "%s%*s  device: ", end, indent, "");
	mt_put_quoted(f, port->device);
	fprintf(f, "%s%*s  profile: %s%s", end, indent, "", port->profile, end);
	if (port->n_addresses)
		fprintf(f, "%*s  addresses: [", indent, "");
	for (uint32_t i = 0; i < port->n_addresses; i++) {
		fputs(i ? ", " : "", f);
		mt_put_quoted(f, port->addresses[i]);
	}
	if (port->n_addresses)
		fprintf(f, "]%s", end);
}

/* Writes the parts of the text around the entry, with the line ends of the text. */
static char *compose(const char *text, size_t len, const struct place *p,
	const struct nic_port *port, const char *name)
{
	const char *lf = memchr(text, '\n', len),
		   *end = lf && lf > text && lf[-1] == '\r' ? "\r\n" : "\n";
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	if (!f)
		return NULL;
	fwrite(text, 1, p->cut_to ? p->cut : p->at, f);
	if (p->cut_to)
		fwrite(text + p->cut_to, 1, p->at - p->cut_to, f);
	if (p->at && text[p->at - 1] != '\n')
		fputs(end, f);
	put_entry(f, p, port, name, end);
	fwrite(text + p->at, 1, len - p->at, f);
	if (fclose(f) == 0)
		return out;
	free(out);
	return NULL;
}

/* Parses the result, and compares it. Frees it if it is wrong. */
static char *verified(
	char *out, const struct node *before, const struct nic_port *port, struct mt_err *e)
{
	struct node after = {.n = 0};
	struct mt_err unused;
	bool ok = out && parse(&after, out, strlen(out), &unused) && is_added(before, &after, port);

	if (out)
		mt_region_fini(&after.region);
	if (ok)
		return out;
	(void)mt_err(e, -EINVAL, "%s", out ? by_hand : "no memory");
	free(out);
	return NULL;
}

char *nic_node_add(const char *text, size_t len, const struct nic_port *port, struct mt_err *e)
{
	const struct mt_ynode *spec = NULL, *ports = NULL;
	struct node before = {.n = 0};
	struct place p = {.at = 0};
	char name[16], *out = NULL;

	if (parse(&before, text, len, e)) {
		spec = text_is(mt_yaml_get(before.root, "kind"), "Node")
			       ? mt_yaml_get(before.root, "spec")
			       : NULL;
		ports = spec ? mt_yaml_get(spec, "ports") : NULL;
		if (!spec || spec->type != MT_Y_MAP || !spec->first)
			(void)mt_err(e, -EINVAL, "it is not a Node document with a spec");
		else if (ports && ports->type != MT_Y_SEQ && !mt_yaml_is_null(ports))
			(void)mt_err(e, -EINVAL, "spec.ports is not a list");
		else if (check_free(ports, port, name, e) && find_place(text, len, spec, &p, e))
			out = verified(compose(text, len, &p, port, port->name ? port->name : name),
				&before, port, e);
	}
	mt_region_fini(&before.region);
	return out;
}
