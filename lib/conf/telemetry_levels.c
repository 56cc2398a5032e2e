/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which Telemetry applies to the calls of a namespace or gateway. Objects are merged as in istiod:
 * first the oldest of the root namespace without a selector, then the oldest of the node's
 * namespace without one, then those of that namespace that select the node or target the gateway,
 * the oldest first.
 */
#include "mt_conf_policy_priv.h"
#include "mt_conf_telemetry_priv.h"

#include <string.h>

static bool has_selector(const struct mt_proxy_setting *t)
{
	return t->selector && t->selector->labels.n_kv;
}

bool mt_telemetry_has_targets(const struct mt_proxy_setting *t)
{
	return t->target || t->n_targets;
}

void mt_b_telemetry_fill(struct mt_build *b)
{
	const struct mt_objs *all = &b->model->proxy_settings;

	for (uint32_t i = 0; i < all->n; i++) {
		const struct mt_proxy_setting *t = all->v[i], **slot;
		struct mt_telemetry_levels *bag = mt_strmap_get(&b->telemetry, t->meta.ns);

		if (strcmp(t->meta.kind, "Telemetry") != 0)
			continue;
		if (!bag) {
			bag = mt_region_alloc(&b->tmp, sizeof(*bag));
			if (!bag || mt_strmap_put(&b->telemetry, t->meta.ns, bag, NULL)) {
				b->tmp.failed = true;
				return;
			}
		}
		slot = mt_region_push(&b->tmp, (void **)&bag->v, &bag->n, sizeof(*slot));
		if (slot)
			*slot = t;
	}
}

const struct mt_telemetry_levels *mt_b_telemetry_of(const struct mt_build *b, const char *ns)
{
	static const struct mt_telemetry_levels none;
	const struct mt_telemetry_levels *bag = mt_strmap_get(&b->telemetry, ns);

	return bag ? bag : &none;
}

/* The oldest of a namespace without selector and targets; NULL: none. */
static const struct mt_proxy_setting *of_namespace(const struct mt_build *b, const char *ns)
{
	const struct mt_telemetry_levels *bag = mt_b_telemetry_of(b, ns);

	for (uint32_t i = 0; i < bag->n; i++)
		if (!has_selector(bag->v[i]) && !mt_telemetry_has_targets(bag->v[i]))
			return bag->v[i];
	return NULL;
}

static bool is_target(const struct mt_policy_target *t, const struct mt_gateway *g)
{
	return strcmp(t->kind.s, "Gateway") == 0 && strcmp(t->name.s, g->gateway_api) == 0;
}

bool mt_telemetry_targets(const struct mt_proxy_setting *t, const struct mt_gateway *g)
{
	bool found = t->target && is_target(t->target, g);

	for (uint32_t i = 0; i < t->n_targets; i++)
		found |= is_target(&t->targets[i], g);
	return found;
}

static bool selects(const struct mt_build *b, const struct mt_proxy_setting *t)
{
	return !mt_telemetry_has_targets(t) && has_selector(t) &&
	       mt_b_selects_node(b, &t->selector->labels);
}

static void add(struct mt_build *b, struct mt_telemetry_levels *l, mt_telemetry_fn *applies,
	const struct mt_proxy_setting *t)
{
	const struct mt_proxy_setting **slot;

	if (!t || !applies(t))
		return;
	slot = mt_region_push(&b->tmp, (void **)&l->v, &l->n, sizeof(*slot));
	if (slot)
		*slot = t;
}

struct mt_telemetry_levels mt_b_telemetry_levels(
	struct mt_build *b, const char *ns, const struct mt_gateway *g, mt_telemetry_fn *applies)
{
	const char *root = mt_b_root_namespace(b);
	const struct mt_telemetry_levels *bag = mt_b_telemetry_of(b, ns);
	struct mt_telemetry_levels l = {0};

	add(b, &l, applies, of_namespace(b, root));
	if (strcmp(ns, root) != 0)
		add(b, &l, applies, of_namespace(b, ns));
	for (uint32_t i = 0; i < bag->n; i++)
		if (selects(b, bag->v[i]))
			add(b, &l, applies, bag->v[i]);
	bag = g && g->gateway_api ? mt_b_telemetry_of(b, g->meta.ns) : mt_b_telemetry_of(b, "");
	for (uint32_t i = 0; g && g->gateway_api && i < bag->n; i++)
		if (mt_telemetry_targets(bag->v[i], g))
			add(b, &l, applies, bag->v[i]);
	return l;
}

const char *mt_b_telemetry_place(struct mt_build *b, const char *ns, const struct mt_gateway *g)
{
	return mt_region_printf(&b->tmp, "%s %s/%s", ns, g->meta.ns, g->gateway_api);
}
