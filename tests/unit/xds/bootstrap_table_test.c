/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of bootstraps and all that becomes of each: what is told, with lines, fields and remedies, and what is
 * asked where. With MT_BOOTSTRAPS_OUT=FILE the table is written anew, for a change that is meant.
 */
#include "suites.h"

#include "mt_xds_boot.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE MT_SOURCE_ROOT "/tests/unit/xds/bootstraps.txt"
#define CASE  "=== "
#define THEN  "---\n"

struct out {
	char text[16384];
	size_t len;
};

static void mt_printf(2, 3) say(struct out *o, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(o->text + o->len, sizeof(o->text) - o->len, fmt, ap);
	va_end(ap);
	CU_ASSERT_FATAL(n >= 0 && o->len + (size_t)n < sizeof(o->text));
	o->len += (size_t)n;
}

static void say_struct(struct out *o, const Xds__Struct *s);

static void say_value(struct out *o, const Xds__Value *v)
{
	switch (v->kind_case) {
	case XDS__VALUE__KIND_NUMBER_VALUE:
		say(o, "%g", v->number_value);
		break;
	case XDS__VALUE__KIND_STRING_VALUE:
		say(o, "\"%s\"", v->string_value);
		break;
	case XDS__VALUE__KIND_BOOL_VALUE:
		say(o, "%s", v->bool_value ? "true" : "false");
		break;
	case XDS__VALUE__KIND_STRUCT_VALUE:
		say_struct(o, v->struct_value);
		break;
	case XDS__VALUE__KIND_LIST_VALUE:
		say(o, "[");
		for (size_t i = 0; i < v->list_value->n_values; i++) {
			say(o, "%s", i ? ", " : "");
			say_value(o, v->list_value->values[i]);
		}
		say(o, "]");
		break;
	default:
		say(o, "null");
	}
}

static void say_struct(struct out *o, const Xds__Struct *s)
{
	say(o, "{");
	for (size_t i = 0; i < s->n_fields; i++) {
		say(o, "%s%s: ", i ? ", " : "", s->fields[i]->key);
		say_value(o, s->fields[i]->value);
	}
	say(o, "}");
}

static void say_node(struct out *o, const Xds__Node *n)
{
	say(o, "node: id=%s cluster=%s", n->id, n->cluster);
	if (n->locality)
		say(o, " locality=%s/%s/%s", n->locality->region, n->locality->zone,
			n->locality->sub_zone);
	if (n->metadata) {
		say(o, " metadata=");
		say_struct(o, n->metadata);
	}
	say(o, "\n");
}

static void say_pem(struct out *o, const char *what, const struct mt_xds_pem *p)
{
	if (p->file)
		say(o, " %s=file:%s", what, p->file);
	if (p->text)
		say(o, " %s=text:%s", what, p->text);
	if (p->secret)
		say(o, " %s=secret:%s", what, p->secret);
}

static void say_server(struct out *o, const struct mt_xds_server *s)
{
	say(o, "server: %s", s->name);
	for (uint32_t i = 0; i < s->n_addresses; i++)
		say(o, " %s", s->addresses[i]);
	if (s->connect_ns)
		say(o, " connect=%lums", (unsigned long)(s->connect_ns / MT_MSEC));
	if (s->tls) {
		say(o, " tls sni=%s", s->tls->sni ? s->tls->sni : "-");
		say_pem(o, "roots", &s->tls->roots);
		say_pem(o, "chain", &s->tls->chain);
		say_pem(o, "key", &s->tls->key);
		for (uint32_t i = 0; i < s->tls->n_sans; i++)
			say(o, " san=%s", s->tls->sans[i]);
	}
	if (s->unusable)
		say(o, " unusable at line %u: %s", s->line, s->unusable);
	say(o, "\n");
}

static void say_way(struct out *o, const char *what, const struct mt_xds_way *w)
{
	if (!w->server) {
		say(o, "%s: not asked\n", what);
		return;
	}
	say(o, "%s: %s%s%s", what, w->server, w->delta ? " delta" : "", w->ads ? " ads" : "");
	for (uint32_t i = 0; i < w->n_headers; i++)
		say(o, " %s=%s", w->headers[i].name, w->headers[i].value);
	say(o, "\n");
}

static void say_all(struct out *o, const struct mt_xds_bootstrap *b)
{
	say_node(o, b->node);
	for (uint32_t i = 0; i < b->n_servers; i++)
		say_server(o, &b->servers[i]);
	say_way(o, "ads", &b->ads);
	say_way(o, "lds", &b->lds);
	say_way(o, "cds", &b->cds);
	if (b->names)
		say(o, "names\n");
	for (uint32_t i = 0; i < b->n_unused; i++)
		say(o, "unused: %s\n", b->unused[i]);
}

static void outcome(struct out *o, const char *text, size_t len)
{
	struct mt_diags diags;
	struct mt_xds_bootstrap *b;
	char line[1024];

	mt_diags_init(&diags);
	b = mt_xds_bootstrap_text(&diags, "b", text, len);
	CU_ASSERT_EQUAL(b == NULL, diags.errors > 0);
	mt_diags_sort(&diags);
	for (uint32_t i = 0; i < diags.n; i++) {
		mt_diag_format(&diags.items[i], line, sizeof(line));
		say(o, "%s\n", line);
	}
	if (b)
		say_all(o, b);
	mt_xds_bootstrap_free(b);
	mt_diags_fini(&diags);
}

static char *table(void)
{
	FILE *f = fopen(TABLE, "r");
	char *text;
	long size;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	text = calloc(1, (size_t)size + 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_EQUAL_FATAL(fread(text, 1, (size_t)size, f), (size_t)size);
	fclose(f);
	return text;
}

/* What stands at the beginning of a line, or the end. */
static char *find_line(char *p, const char *what)
{
	for (; *p; p++)
		if ((p[-1] == '\n') && strncmp(p, what, strlen(what)) == 0)
			return p;
	return p;
}

/* One case, from its name to the next; its end. */
static char *check(char *p, FILE *again)
{
	static struct out o;
	char *text = strchr(p, '\n') + 1, *then = find_line(text, THEN),
	     *wanted = then + strlen(THEN), *end = find_line(wanted, CASE);

	CU_ASSERT_FATAL(*then && wanted <= end);
	o.len = 0;
	outcome(&o, text, (size_t)(then - text));
	if (again)
		fprintf(again, "%.*s%.*s", (int)(wanted - p), p, (int)o.len, o.text);
	else if (o.len != (size_t)(end - wanted) || memcmp(o.text, wanted, o.len) != 0) {
		fprintf(stderr, "%.*swanted:\n%.*sgot:\n%.*s", (int)(text - p), p,
			(int)(end - wanted), wanted, (int)o.len, o.text);
		CU_FAIL("another outcome");
	}
	return end;
}

static void as_the_table_says(void)
{
	const char *path = getenv("MT_BOOTSTRAPS_OUT");
	char *text = table(), *p = find_line(text + 1, CASE);
	FILE *again = path ? fopen(path, "w") : NULL;
	uint32_t n = 0;

	if (again)
		fprintf(again, "%.*s", (int)(p - text), text);
	for (; *p; n++)
		p = check(p, again);
	CU_ASSERT(n > 50);
	if (again)
		fclose(again);
	free(text);
}

const struct mt_test bootstrap_table_tests[] = {{"as_the_table_says", as_the_table_says}, {0}};
