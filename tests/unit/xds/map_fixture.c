/* SPDX-License-Identifier: Apache-2.0 */
#include "map_fixture.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
	char buf[8192];
	size_t len;
};

static void mt_printf(2, 3) put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, sizeof(t->buf) - t->len, fmt, ap);
	va_end(ap);
	t->len = MT_MIN(t->len + (size_t)n, sizeof(t->buf) - 1);
}

Xds__Any *any_of_text(struct mt_pb_arena *a, enum mt_xds_type type, const char *text)
{
	struct mt_err why = {""};
	struct mt_pb_reader r = {.arena = a, .why = &why};
	const ProtobufCMessageDescriptor *d = mt_pb_type(mt_xds_url(type));
	Xds__Struct *s = mt_pb_struct_of_text(a, "t", text, strlen(text), &why);
	ProtobufCMessage *m = s ? mt_pb_from_struct(&r, d, s) : NULL;
	Xds__Any *any = mt_region_alloc(&a->region, sizeof(*any));

	if (!m)
		printf("\n  %s\n", why.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	xds__any__init(any);
	any->type_url = (char *)mt_xds_url(type);
	any->value.len = protobuf_c_message_get_packed_size(m);
	any->value.data = mt_region_alloc(&a->region, any->value.len + 1);
	protobuf_c_message_pack(m, any->value.data);
	return any;
}

struct mapped map_text(enum mt_xds_type type, const char *text)
{
	struct mapped m = {.why = {""}};
	char *copy = strdup(text);

	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	mt_pb_arena_init(&m.arena, 64u << 20);
	m.body = any_of_text(&m.arena, type, copy);
	m.rc = mt_xds_map(type, m.body, &(struct mt_xds_from){"xds:t", "lab"}, 7, &m.m, &m.why);
	free(copy);
	return m;
}

void unmap(struct mapped *m)
{
	mt_model_free(m->m.part);
	mt_pb_arena_fini(&m->arena);
}

static void put_conds(struct text *t, const struct mt_rule_match *match)
{
	static const char *const ops[] = {
		"exact", "prefix", "suffix", "contains", "regex", "present", "range"};

	for (uint32_t i = 0; i < match->n_conds; i++) {
		const struct mt_cond *c = &match->conds[i];

		put(t, "%s%s%s %s", i ? ", " : "", c->invert ? "!" : "", c->key.s, ops[c->op]);
		if (c->op == MT_COND_RANGE)
			put(t, " [%" PRId64 ",%" PRId64 ")", c->lo, c->hi);
		else if (c->value.s)
			put(t, " %s", c->value.s);
		put(t, "%s%s", c->ignore_case ? " nocase" : "",
			c->missing_as_empty ? " or missing" : "");
	}
}

static void put_mutations(
	struct text *t, const char *what, const struct mt_rule_mutation *m, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		put(t, m[i].value.s ? " %s %s=%s" : " %s -%s", what, m[i].key.s, m[i].value.s);
}

static void put_rule(struct text *t, const struct mt_rule *r)
{
	put(t, "%s: ", r->name.s ? r->name.s : "");
	for (uint32_t i = 0; i < r->n_matches; i++) {
		put(t, "%s", i ? "; " : "");
		put_conds(t, &r->matches[i]);
	}
	put(t, " ->");
	for (uint32_t i = 0; i < r->n_dests; i++)
		if (r->dests[i].weight.set)
			put(t, " %s=%u", r->dests[i].cluster.s, r->dests[i].weight.v);
		else
			put(t, " %s", r->dests[i].cluster.s);
	if (r->timeout.set)
		put(t, " %ums", r->timeout.v);
	for (uint32_t i = 0; i < r->n_hash_keys; i++)
		put(t, " hash %s", r->hash_keys[i].s);
	if (r->hash_source)
		put(t, " hash source");
	put_mutations(t, "req", r->req_mut, r->n_req_mut);
	put_mutations(t, "rsp", r->rsp_mut, r->n_rsp_mut);
	for (uint32_t i = 0; i < r->n_mirrors; i++)
		put(t, " %u copied to %s", r->mirrors[i].percent->ppm.v,
			r->mirrors[i].to.cluster.s);
}

const char *rules_str(const struct mt_rule_list *list)
{
	static struct text t;

	t.len = 0;
	t.buf[0] = '\0';
	for (uint32_t i = 0; i < list->n_rules; i++) {
		put(&t, "%s", i ? " | " : "");
		put_rule(&t, &list->rules[i]);
	}
	return t.buf;
}

const char *conds_str(const struct mt_rule_match *match)
{
	static struct text t;

	t.len = 0;
	t.buf[0] = '\0';
	put_conds(&t, match);
	return t.buf;
}

const char *refs_str(const struct mapped *m)
{
	static struct text t;

	t.len = 0;
	t.buf[0] = '\0';
	for (uint32_t i = 0; i < m->m.n_refs; i++) {
		const struct mt_xds_ref *r = &m->m.refs[i];

		put(&t, "%s%s %s", i ? "; " : "", mt_xds_name(r->type), r->name);
		if (r->server)
			put(&t, " @%s%s", r->server, r->delta ? " delta" : "");
		if (r->timeout_ns == MT_NEVER)
			put(&t, " no limit");
		else if (r->timeout_ns)
			put(&t, " %" PRIu64 "ms", (uint64_t)(r->timeout_ns / MT_MSEC));
	}
	return t.buf;
}

const char *ignored_str(const struct mapped *m)
{
	static struct text t;

	t.len = 0;
	t.buf[0] = '\0';
	for (uint32_t i = 0; i < m->m.n_ignored; i++)
		put(&t, "%s: %s\n", m->m.ignored[i].field, m->m.ignored[i].why);
	return t.buf;
}

const char *in_text(const char *format, const char *body)
{
	static char buf[16384];
	const char *at = strstr(format, "%s");

	snprintf(buf, sizeof(buf), "%.*s%s%s", (int)(at - format), format, body, at + 2);
	return buf;
}
