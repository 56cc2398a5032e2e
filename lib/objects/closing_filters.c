/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the traffic to which the filters of an EnvoyFilter or WasmPlugin apply: workloads, contexts
 * (inbound, outbound, gateway), filter chains and ports. An unknown condition narrows nothing, so
 * the filter applies to more traffic.
 */
#include "mt_objects_priv.h"

#include "mt_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const struct mt_ynode *n)
{
	return n && n->type == MT_Y_SCALAR && !mt_yaml_is_null(n) ? n->text : NULL;
}

static bool is_word(const struct mt_ynode *n, const char *word)
{
	const char *text = text_of(n);

	return text && strcmp(text, word) == 0;
}

static bool is_one_of(const struct mt_ynode *n, const char *const *words, size_t n_words)
{
	for (size_t i = 0; i < n_words; i++)
		if (is_word(n, words[i]))
			return true;
	return false;
}

/*
 * Returns the port; 0: any. Ports 15001 and 15006 mean any, because a sidecar receives the traffic
 * of all ports there. Numbers in YAML's other notations (010, 8e3, 8_080) also count as any,
 * because this function does not read them.
 */
static uint16_t port_of(const struct mt_ynode *n)
{
	const char *text = text_of(n);
	bool plain = text && *text != '0' && strspn(text, "0123456789") == strlen(text);
	unsigned long v = plain ? strtoul(text, NULL, 10) : 0;

	return v > 65535 || v == 15001 || v == 15006 ? 0 : (uint16_t)v;
}

static void add_place(struct mt_region *r, struct mt_closing *c, const struct mt_closing_place *p)
{
	struct mt_closing_place *to =
		mt_region_push(r, (void **)&c->places, &c->n_places, sizeof(*to));

	if (to)
		*to = *p;
}

/*
 * The value of a key that the map has once; else NULL. A condition that is written twice narrows
 * nothing, because other readers may take the other one.
 */
static const struct mt_ynode *once(const struct mt_ynode *map, const char *key)
{
	const struct mt_ynode *first = mt_yaml_get(map, key);

	for (const struct mt_ynode *n = first ? first->next : NULL; n; n = n->next)
		if (strcmp(n->key, key) == 0)
			return NULL;
	return first;
}

/* ---- EnvoyFilter: istio.io/latest/docs/reference/config/networking/envoy-filter -------------- */

static uint8_t contexts_of(const struct mt_ynode *match)
{
	static const struct {
		const char *word;
		uint8_t contexts;
	} contexts[] = {{"SIDECAR_INBOUND", MT_CONTEXT_INBOUND},
		{"SIDECAR_OUTBOUND", MT_CONTEXT_OUTBOUND}, {"GATEWAY", MT_CONTEXT_GATEWAY}};
	const struct mt_ynode *context = once(match, "context");
	const struct mt_ynode *listener = once(match, "listener");

	for (size_t i = 0; i < MT_ARRAY_LEN(contexts); i++)
		if (is_word(context, contexts[i].word))
			return contexts[i].contexts;
	if (is_word(once(listener, "name"), "virtualInbound"))
		return MT_CONTEXT_INBOUND;
	return MT_CONTEXT_ANY;
}

/*
 * Filter chains that a patch changes. For network filters, ADD and INSERT_FIRST change every chain;
 * other operations change only chains that contain the filter named in the match.
 */
static uint8_t chain_of(const struct mt_ynode *p, const struct mt_ynode *filter)
{
	static const char *const of_http[] = {
		"HTTP_FILTER", "HTTP_ROUTE", "VIRTUAL_HOST", "ROUTE_CONFIGURATION"};
	static const char *const anywhere[] = {"ADD", "INSERT_FIRST"};
	const struct mt_ynode *to = once(p, "applyTo"), *name = once(filter, "name");
	const struct mt_ynode *op = once(once(p, "patch"), "operation");

	if (is_one_of(to, of_http, MT_ARRAY_LEN(of_http)))
		return MT_CHAIN_HTTP;
	if (!is_word(to, "NETWORK_FILTER") || !text_of(op) ||
		is_one_of(op, anywhere, MT_ARRAY_LEN(anywhere)))
		return MT_CHAIN_ANY;
	if (is_word(name, "envoy.filters.network.http_connection_manager"))
		return MT_CHAIN_HTTP;
	return is_word(name, "envoy.filters.network.tcp_proxy") ? MT_CHAIN_BYTES : MT_CHAIN_ANY;
}

static void read_patch(struct mt_region *r, struct mt_closing *c, const struct mt_ynode *p)
{
	const struct mt_ynode *match = once(p, "match");
	const struct mt_ynode *listener = once(match, "listener");
	const struct mt_ynode *chain = once(listener, "filterChain");
	struct mt_closing_place place = {.contexts = contexts_of(match),
		.chain = chain_of(p, once(chain, "filter")),
		.port = port_of(once(listener, "portNumber"))};

	if (!place.port)
		place.port = port_of(once(chain, "destinationPort"));
	add_place(r, c, &place);
}

/*
 * Reads the patches that restrict access; for a harmless closing all patches except those of the
 * bootstrap.
 */
static bool read_patches(struct mt_region *r, struct mt_closing *c, const struct mt_ynode *spec)
{
	const struct mt_ynode *patches = mt_yaml_get(spec, "configPatches");

	if (!patches || patches->type != MT_Y_SEQ)
		return false;
	for (const struct mt_ynode *p = patches->first; p; p = p->next) {
		if (p->type != MT_Y_MAP)
			return false;
		if (c->harmless ? !is_word(mt_yaml_get(p, "applyTo"), "BOOTSTRAP")
				: mt_patch_restricts(p))
			read_patch(r, c, p);
	}
	return c->n_places > 0;
}

/* ---- WasmPlugin: istio.io/latest/docs/reference/config/proxy_extensions/wasm-plugin ---------- */

/* A gateway is a client of its backends, so CLIENT includes gateways. */
static uint8_t mode_of(const struct mt_ynode *match)
{
	const struct mt_ynode *mode = mt_yaml_get(match, "mode");

	if (is_word(mode, "SERVER"))
		return MT_CONTEXT_INBOUND;
	if (is_word(mode, "CLIENT"))
		return MT_CONTEXT_OUTBOUND | MT_CONTEXT_GATEWAY;
	return MT_CONTEXT_ANY;
}

static bool read_match(struct mt_region *r, struct mt_closing *c, const struct mt_ynode *match,
	const struct mt_closing_place *at)
{
	const struct mt_ynode *ports = mt_yaml_get(match, "ports");
	struct mt_closing_place place = *at;

	if (match->type != MT_Y_MAP)
		return false;
	place.contexts = mode_of(match);
	if (!ports || mt_yaml_is_null(ports) || ports->type != MT_Y_SEQ || !ports->n) {
		add_place(r, c, &place);
		return true;
	}
	for (const struct mt_ynode *p = ports->first; p; p = p->next) {
		place.port = port_of(mt_yaml_get(p, "number"));
		add_place(r, c, &place);
	}
	return true;
}

static bool read_plugin(struct mt_region *r, struct mt_closing *c, const struct mt_ynode *spec)
{
	const struct mt_ynode *type = mt_yaml_get(spec, "type"),
			      *match = mt_yaml_get(spec, "match");
	struct mt_closing_place place = {.contexts = MT_CONTEXT_ANY};

	if (!text_of(type) || is_word(type, "HTTP") || is_word(type, "UNSPECIFIED_PLUGIN_TYPE"))
		place.chain = MT_CHAIN_HTTP;
	if (!match || mt_yaml_is_null(match) || (match->type == MT_Y_SEQ && !match->n)) {
		add_place(r, c, &place);
		return true;
	}
	if (match->type != MT_Y_SEQ)
		return false;
	for (const struct mt_ynode *m = match->first; m; m = m->next)
		if (!read_match(r, c, m, &place))
			return false;
	return true;
}

/* ---- selected workloads ---------------------------------------------------------------------- */

static bool read_target(struct mt_region *r, struct mt_closing *c, const struct mt_ynode *n)
{
	const char *kind = text_of(mt_yaml_get(n, "kind")), *name = text_of(mt_yaml_get(n, "name"));
	const struct mt_ynode *group = mt_yaml_get(n, "group");
	struct mt_policy_target *t =
		mt_region_push(r, (void **)&c->scope.targets, &c->scope.n_targets, sizeof(*t));

	if (!t || !kind || !name || (group && group->type != MT_Y_SCALAR))
		return false;
	*t = (struct mt_policy_target){.group = {text_of(group), n->line},
		.kind = {kind, n->line},
		.name = {name, n->line}};
	return strcmp(kind, "Gateway") == 0 || strcmp(kind, "GatewayClass") == 0 ||
	       strcmp(kind, "Service") == 0 || strcmp(kind, "ServiceEntry") == 0;
}

bool mt_closing_targets(struct mt_region *r, struct mt_closing *c, const struct mt_ynode *spec)
{
	const struct mt_ynode *one = mt_yaml_get(spec, "targetRef");
	const struct mt_ynode *all = mt_yaml_get(spec, "targetRefs");

	if (one && !mt_yaml_is_null(one) && !read_target(r, c, one))
		return false;
	if (!all || mt_yaml_is_null(all))
		return true;
	if (all->type != MT_Y_SEQ)
		return false;
	for (const struct mt_ynode *n = all->first; n; n = n->next)
		if (!read_target(r, c, n))
			return false;
	return true;
}

/* Sets the places of filters with targets: the traffic to the targets, whatever the context is. */
static void stand_at_targets(struct mt_closing *c)
{
	for (uint32_t i = 0; i < c->n_places; i++)
		c->places[i].contexts = MT_CONTEXT_INBOUND | MT_CONTEXT_GATEWAY;
}

static bool read_filter(struct mt_region *r, const struct mt_object *o, struct mt_closing *c)
{
	const struct mt_ynode *spec = mt_yaml_get(o->root, "spec");
	bool plugin = strcmp(o->kind, "WasmPlugin") == 0, bad = false;
	const struct mt_ynode *selector =
		mt_yaml_get(spec, plugin ? "selector" : "workloadSelector");

	if (!spec || spec->type != MT_Y_MAP)
		return false;
	if (selector && !mt_yaml_is_null(selector) && selector->type != MT_Y_MAP)
		return false;
	c->scope.selector = mt_closing_labels(
		r, mt_yaml_get(selector, plugin ? "matchLabels" : "labels"), &bad);
	if (bad || !mt_closing_targets(r, c, spec))
		return false;
	if (plugin ? !read_plugin(r, c, spec) : !read_patches(r, c, spec))
		return false;
	c->of = MT_CLOSING_BARE;
	if (c->scope.n_targets) {
		c->of |= MT_CLOSING_OUTSIDE;
		stand_at_targets(c);
	}
	return true;
}

/* ---- notes ----------------------------------------------------------------------------------- */

static void tell_target(struct mt_diags *diags, const struct mt_object *o, const struct mt_ynode *n,
	const char *path)
{
	const struct mt_meta about = {.origin = o->origin,
		.serial = o->serial,
		.kind = o->kind,
		.ns = o->ns,
		.name = o->name};
	const char *ns = text_of(mt_yaml_get(n, "namespace"));

	if (ns && strcmp(ns, o->ns) != 0)
		mt_diag_object(diags, MT_DIAG_WARNING, &about, n->line, path,
			"leave it out, or write the object into that namespace",
			"not enforced: targets are in the namespace of the object, %.64s; "
			"nothing in %.64s is selected",
			o->ns, ns);
}

void mt_table_plugins_tell(const struct mt_object_table *t, struct mt_diags *diags)
{
	for (uint32_t i = 0; i < t->n; i++) {
		const struct mt_object *o = t->rows[i].used ? t->rows[i].used : t->rows[i].o;
		const struct mt_ynode *spec, *all;
		uint32_t at = 0;
		char path[64];

		if (!o->root || strcmp(o->kind, "WasmPlugin") != 0)
			continue;
		spec = mt_yaml_get(o->root, "spec");
		all = mt_yaml_get(spec, "targetRefs");
		tell_target(diags, o, mt_yaml_get(spec, "targetRef"), "spec.targetRef.namespace");
		if (!all || all->type != MT_Y_SEQ)
			continue;
		for (const struct mt_ynode *n = all->first; n; n = n->next) {
			snprintf(path, sizeof(path), "spec.targetRefs[%u].namespace", at++);
			tell_target(diags, o, n, path);
		}
	}
}

bool mt_closing_is_filter(const struct mt_object *o)
{
	return o->root &&
	       (strcmp(o->kind, "EnvoyFilter") == 0 || strcmp(o->kind, "WasmPlugin") == 0);
}

bool mt_closing_read_filter(struct mt_region *r, const struct mt_object *o, struct mt_closing *c)
{
	struct mt_closing narrow = *c;

	if (!read_filter(r, o, &narrow))
		return false;
	*c = narrow;
	return true;
}
