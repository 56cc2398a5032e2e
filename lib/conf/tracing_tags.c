/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tags of spans by customTags (tracing.c merges them). Each service has a copy, because spans refer
 * to it until they are encoded. A value of metadata is kept as those that access logs name. Calls
 * keep few names for all, so no namespace has more than its share before others have theirs.
 *
 * Variables may contain what only operators of the node should know, so objects of other namespaces
 * than the root's do not read them.
 */
#include "mt_conf_policy_priv.h"
#include "mt_conf_telemetry_priv.h"

#include "mt_alog_entry.h"
#include "mt_alog_names.h"
#include "mt_peer.h"
#include "mt_tracing_span.h"

#include <stdlib.h>
#include <string.h>

#define SHARE 8u /* names of metadata */

static const char *field_of(const struct mt_build *b, const struct mt_meta *by)
{
	const struct mt_mesh_config *c = b->model->mesh.config;

	return c && by == &c->meta ? "defaultConfig.tracing.customTags" : "spec.tracing.customTags";
}

/* True if the settings are of all: those of the MeshConfig, and objects of the root namespace. */
static bool may_read_variables(const struct mt_build *b, const struct mt_meta *by)
{
	const struct mt_mesh_config *c = b->model->mesh.config;

	return (c && by == &c->meta) || strcmp(by->ns, mt_b_root_namespace(b)) == 0;
}

/* The value of all calls, or without metadata; NULL: none. */
static const char *value_of(const struct mt_custom_tag *t, bool variables)
{
	const char *value;

	if (t->literal)
		return t->literal->value.s;
	if (t->header)
		return t->header->value.s;
	if (!t->environment || !t->environment->name.s)
		return NULL;
	value = variables ? getenv(t->environment->name.s) : NULL;
	return value ? value : t->environment->value.s;
}

static const char *key_of(const struct mt_custom_tag *t)
{
	return t->header ? t->header->name.s : NULL;
}

static void tell_variables(struct mt_build *b, const struct mt_span_tags *tags)
{
	for (uint32_t i = 0; i < tags->from->n; i++) {
		const struct mt_custom_tag *t = &tags->from->v[i];

		if (t->environment && mt_b_tracing_first(b, t))
			mt_b_warn(b, tags->by, t->origin.line, field_of(b, tags->by),
				"write a literal, or the tag into an object of the root namespace",
				"tag %.64s has no value of a variable, but its default: objects of "
				"the root namespace and the MeshConfig alone read variables",
				t->name.s);
	}
}

/* Notes that its metadata is kept. */
static void note_keys(struct mt_build *b, const struct mt_span_tags *tags)
{
	struct mt_span_tags *one;

	for (one = b->span_tags; one; one = one->next)
		if (one->from == tags->from)
			return;
	one = mt_region_alloc(&b->tmp, sizeof(*one));
	if (!one)
		return;
	*one = *tags;
	one->next = b->span_tags;
	b->span_tags = one;
}

uint64_t mt_b_span_tags(struct mt_build *b, const struct mt_custom_tags *from,
	const struct mt_meta *by, struct mt_span_tags *to)
{
	bool variables = may_read_variables(b, by), keys = false;
	uint64_t h = from->n;

	*to = (struct mt_span_tags){.from = from, .by = by};
	for (uint32_t i = 0; i < from->n; i++) {
		h = mt_hash_text(from->v[i].name.s, h);
		h = mt_hash_text(key_of(&from->v[i]), h);
		h = mt_hash_text(value_of(&from->v[i], variables), h);
		keys |= key_of(&from->v[i]) != NULL;
	}
	if (!variables)
		tell_variables(b, to);
	if (keys)
		note_keys(b, to);
	return h;
}

/* Without memory the text is empty, and the region remembers it. */
static struct mt_slice copy(struct mt_region *r, const char *s)
{
	size_t len = s ? strnlen(s, MT_TRACING_VALUE) : 0;
	const char *own = len ? mt_region_strndup(r, s, len) : NULL;

	return own ? (struct mt_slice){(const uint8_t *)own, (uint32_t)len}
		   : (struct mt_slice){NULL, 0};
}

const struct mt_alog_tags *mt_b_span_tags_copy(
	const struct mt_build *b, struct mt_region *r, const struct mt_span_tags *tags)
{
	uint32_t n = tags->from ? tags->from->n : 0;
	struct mt_alog_tags *to;
	bool variables;

	MT_ASSERT(n <= MT_ALOG_TAGS);
	to = n ? mt_region_alloc(r, sizeof(*to) + n * sizeof(to->v[0])) : NULL;
	if (!to)
		return NULL;
	variables = may_read_variables(b, tags->by);
	for (uint32_t i = 0; i < n; i++) {
		const struct mt_custom_tag *t = &tags->from->v[i];
		struct mt_alog_tag *tag = &to->v[to->n];

		tag->key = copy(r, key_of(t));
		tag->value = copy(r, value_of(t, variables));
		if (!tag->key.len && !tag->value.len)
			continue;
		tag->name = copy(r, t->name.s);
		to->n++;
	}
	return to;
}

/*
 * Adds the metadata of an object's tags, at most *left new names. `last`: what finds no room is
 * reported.
 */
static void add_names(struct mt_build *b, const struct mt_span_tags *tags,
	struct mt_alog_names *names, uint32_t *left, bool last)
{
	for (uint32_t i = 0; i < tags->from->n && *left; i++) {
		const struct mt_custom_tag *t = &tags->from->v[i];
		uint32_t before = names->n[MT_ALOG_REQUEST];

		if (key_of(t) && !mt_alog_name_request(names, key_of(t)) && last)
			mt_b_warn(b, tags->by, t->origin.line, field_of(b, tags->by),
				"name less metadata in tags and access logs",
				"tag %.64s has its default in all spans: calls keep at most %d "
				"names of requests for all access logs and tags",
				t->name.s, MT_ALOG_NAMES);
		*left -= names->n[MT_ALOG_REQUEST] - before;
	}
}

/* How many names the tags of a namespace may still add to its share; NULL: no memory. */
static uint32_t *share_of(struct mt_build *b, struct mt_strmap *shares, const char *ns)
{
	uint32_t *left = mt_strmap_get(shares, ns);

	if (left)
		return left;
	left = mt_region_alloc(&b->tmp, sizeof(*left));
	if (!left)
		return NULL;
	*left = SHARE;
	if (mt_strmap_put(shares, ns, left, NULL))
		b->tmp.failed = true;
	return left;
}

/* Settings of all come first, then each namespace gets its share, and then what is left. */
void mt_b_span_tags_name(struct mt_build *b, struct mt_alog_names *names)
{
	struct mt_strmap shares = {0};

	for (const struct mt_span_tags *t = b->span_tags; t; t = t->next)
		if (may_read_variables(b, t->by))
			add_names(b, t, names, &(uint32_t){MT_ALOG_NAMES}, true);
	for (const struct mt_span_tags *t = b->span_tags; t; t = t->next) {
		uint32_t *left =
			may_read_variables(b, t->by) ? NULL : share_of(b, &shares, t->by->ns);

		if (left)
			add_names(b, t, names, left, false);
	}
	for (const struct mt_span_tags *t = b->span_tags; t; t = t->next)
		if (!may_read_variables(b, t->by))
			add_names(b, t, names, &(uint32_t){MT_ALOG_NAMES}, true);
	mt_strmap_fini(&shares);
}

/* ---- Istio's -------------------------------------------------------------------------------- */

/* As of istiod's proxies; an injector of Istio uses the trust domain as the id of the mesh, too. */
void mt_b_istio_tags(const struct mt_build *b, const char *to[MT_ALOG_ISTIO])
{
	const struct mt_node *n = b->model->node;
	const char *domain = b->model->mesh.trust_domain;
	struct mt_peer self;

	if (!n)
		return;
	self = mt_peer_of(
		n->meta.name, b->model->mesh.ns ? b->model->mesh.ns : n->meta.ns, &n->meta.labels);
	to[MT_ALOG_CANONICAL_SERVICE] = mt_peer_shown(&self, MT_PEER_SERVICE);
	to[MT_ALOG_CANONICAL_REVISION] = mt_peer_shown(&self, MT_PEER_REVISION);
	to[MT_ALOG_MESH_ID] = domain ? domain : "unknown";
	to[MT_ALOG_NAMESPACE] = mt_peer_shown(&self, MT_PEER_NAMESPACE);
	to[MT_ALOG_CLUSTER_ID] = "unknown";
}
