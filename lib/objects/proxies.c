/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds which Telemetry and ProxyConfig objects apply to this node. A selector is compared with the
 * node's labels. An object without a selector applies to the mesh if it is in the root namespace,
 * otherwise to its own namespace. The node's namespace is the one in the Node document; without
 * one, the namespaces of the services and gateways that the node serves. If a namespace has several
 * objects without a selector, the oldest applies.
 */
#include "mt_objects_priv.h"

#include <string.h>

struct proxies {
	struct mt_object_table *t;
	const struct mt_model *m;
	struct mt_strmap served; /* namespaces of services and of this node's gateways */
	struct mt_strmap here;	 /* this node's Gateways of Gateway API, by "NAMESPACE/NAME" */
	/* the oldest struct mt_proxy_setting without a selector, by "KIND NAMESPACE" */
	struct mt_strmap first;
};

static void tell(struct proxies *x, enum mt_diag_severity severity, const struct mt_meta *meta,
	const char *path, const char *fmt, const struct mt_meta *of)
{
	mt_diag_object(&x->t->translated, severity, meta, meta->origin.line, path, NULL, fmt,
		of->kind, of->ns, of->name);
}

static const struct mt_labels *labels_of(const struct mt_model *m)
{
	static const struct mt_labels none;

	return m->node ? &m->node->meta.labels : &none;
}

static bool is_here(const struct proxies *x, const struct mt_gateway *g)
{
	return mt_labels_match(&g->selector, labels_of(x->m));
}

static void put_gateway(struct proxies *x, const struct mt_gateway *g)
{
	char key[MT_OBJECT_NAME_MAX], *copy;

	mt_object_name_key(key, g->meta.ns, g->gateway_api);
	copy = mt_strmap_get(&x->here, key) ? NULL : mt_region_strdup(&x->t->words, key);
	if (copy)
		mt_strmap_put(&x->here, copy, x, NULL);
}

static void index_namespaces(struct proxies *x)
{
	for (uint32_t i = 0; i < x->m->service_entries.n; i++) {
		const struct mt_service_entry *se = x->m->service_entries.v[i];

		mt_strmap_put(&x->served, se->meta.ns, x, NULL);
	}
	for (uint32_t i = 0; i < x->m->gateways.n; i++) {
		const struct mt_gateway *g = x->m->gateways.v[i];

		if (!is_here(x, g))
			continue;
		mt_strmap_put(&x->served, g->meta.ns, x, NULL);
		if (g->gateway_api)
			put_gateway(x, g);
	}
}

/*
 * True if the target is a Gateway of this node. Targets of other kinds configure waypoints, which
 * are not supported.
 */
static bool is_target(const struct proxies *x, const struct mt_policy_target *t, const char *ns)
{
	char key[MT_OBJECT_NAME_MAX];

	mt_object_name_key(key, ns, t->name.s);
	return strcmp(t->kind.s, "Gateway") == 0 && mt_strmap_get(&x->here, key);
}

static bool has_target(const struct proxies *x, const struct mt_proxy_setting *s)
{
	bool found = s->target && is_target(x, s->target, s->meta.ns);

	for (uint32_t i = 0; i < s->n_targets; i++)
		found |= is_target(x, &s->targets[i], s->meta.ns);
	return found;
}

/* True if `ns` is the root namespace or one of the node's namespaces (see the file header). */
static bool is_of_node(const struct proxies *x, const char *ns)
{
	if (strcmp(ns, mt_model_root(x->m)) == 0)
		return true;
	return x->m->mesh.ns ? strcmp(ns, x->m->mesh.ns) == 0
			     : mt_strmap_get(&x->served, ns) != NULL;
}

/* Returns the reason why the object does not apply to this node; NULL: it applies. */
static const char *why_not(const struct proxies *x, const struct mt_proxy_setting *s)
{
	bool targets = s->target || s->n_targets;

	if (targets)
		return has_target(x, s) ? NULL : "none of its targets is this node";
	if (s->selector && s->selector->labels.n_kv &&
		!mt_labels_match(&s->selector->labels, labels_of(x->m)))
		return "it is for proxies with other labels than this node's";
	if (is_of_node(x, s->meta.ns))
		return NULL;
	return x->m->mesh.ns ? "it is of another namespace than this node"
			     : "no service of its namespace is here";
}

static void judge(struct proxies *x, const struct mt_proxy_setting *s)
{
	const char *why = why_not(x, s);
	const struct mt_proxy_setting *first;
	char *key;

	if (why) {
		mt_diag_object(&x->t->translated, MT_DIAG_INERT, &s->meta, s->meta.origin.line,
			NULL, NULL, "%s", why);
		return;
	}
	if (s->target || s->n_targets || (s->selector && s->selector->labels.n_kv))
		return;
	key = mt_region_printf(&x->t->words, "%s %s", s->meta.kind, s->meta.ns);
	first = key ? mt_strmap_get(&x->first, key) : NULL;
	if (!first) {
		if (key)
			mt_strmap_put(&x->first, key, (void *)s, NULL);
		return;
	}
	tell(x, MT_DIAG_SHADOWED, &s->meta, NULL, "%s %s/%s is older and counts instead",
		&first->meta);
	tell(x, MT_DIAG_NOTE, &first->meta, NULL,
		"in place of %s %s/%s, which has no selector either", &s->meta);
}

void mt_table_proxies(struct mt_object_table *t, const struct mt_model *m)
{
	struct proxies x = {.t = t, .m = m};

	if (!m->proxy_settings.n)
		return;
	index_namespaces(&x);
	for (uint32_t i = 0; i < m->proxy_settings.n; i++)
		judge(&x, m->proxy_settings.v[i]);
	mt_strmap_fini(&x.served);
	mt_strmap_fini(&x.here);
	mt_strmap_fini(&x.first);
}
