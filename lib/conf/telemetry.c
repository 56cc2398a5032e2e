/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accessLogging of Telemetry: which providers get lines of the calls of a namespace or gateway. Of
 * the objects that apply (telemetry_levels.c), the last one that names providers decides which are
 * in scope; without one, those of the MeshConfig are. Then all sections turn them on or off in
 * turn. Unlike in istiod, a section without providers applies to accessLogFile, too, and its filter
 * counts.
 *
 * The node's namespace is that of the Node document; without one, the namespace of the service, or
 * of the gateway that its clients come to.
 */
#include "mt_conf_policy_priv.h"
#include "mt_conf_telemetry_priv.h"
#include "mt_idmap.h"
#include "mt_secret_hash.h"

#include <string.h>
#include <strings.h>

#define MODE_SERVER 2 /* of mt_telemetry_match.mode */
#define FIELD	    "spec.accessLogging"

struct merge {
	struct mt_build *b;
	const struct mt_log_set *defaults;
	struct mt_log_sets *to;
	struct mt_idmap told;	 /* objects with providers that were checked */
	struct mt_strmap served; /* namespaces of services and of this node's gateways */
};

/* Warns about providers that write no file, once for each object. */
static void check_providers(struct merge *m, const struct mt_proxy_setting *t)
{
	uint64_t id = (uint64_t)(uintptr_t)t;

	if (mt_idmap_get(&m->told, id))
		return;
	if (mt_idmap_put(&m->told, id, m))
		m->b->tmp.failed = true;
	for (uint32_t i = 0; i < t->n_logs; i++)
		for (uint32_t k = 0; k < t->logs[i].n_providers; k++)
			(void)mt_b_log_provider(
				m->b, &t->meta, &t->logs[i].providers[k].name, FIELD);
}

/* All calls are those of clients here: other sections are as if they were not written. */
static bool is_of_clients(const struct mt_telemetry_log *s)
{
	return s->match.mode.v != MODE_SERVER;
}

static bool has_sections(const struct mt_proxy_setting *t)
{
	for (uint32_t i = 0; i < t->n_logs; i++)
		if (is_of_clients(&t->logs[i]))
			return true;
	return false;
}

static struct mt_telemetry_levels levels_of(
	struct merge *m, const char *ns, const struct mt_gateway *g)
{
	struct mt_telemetry_levels l = mt_b_telemetry_levels(m->b, ns, g, has_sections);

	for (uint32_t i = 0; i < l.n; i++)
		check_providers(m, l.v[i]);
	return l;
}

/* ---- sections ------------------------------------------------------------------------------- */

static bool names(const struct mt_telemetry_log *s, const char *provider)
{
	for (uint32_t i = 0; i < s->n_providers; i++)
		if (strcasecmp(s->providers[i].name.s, provider) == 0)
			return true;
	return false;
}

/* The last object with a section that names providers; NULL: none. */
static const struct mt_proxy_setting *in_scope_by(const struct mt_telemetry_levels *l)
{
	for (uint32_t i = l->n; i-- > 0;)
		for (uint32_t k = 0; k < l->v[i]->n_logs; k++)
			if (is_of_clients(&l->v[i]->logs[k]) && l->v[i]->logs[k].n_providers)
				return l->v[i];
	return NULL;
}

/* Default providers are in scope without an object that decides. */
static bool is_in_scope(
	const struct merge *m, const struct mt_proxy_setting *by, const char *provider)
{
	for (uint32_t i = 0; by && i < by->n_logs; i++)
		if (is_of_clients(&by->logs[i]) && names(&by->logs[i], provider))
			return true;
	for (uint32_t i = 0; !by && i < m->defaults->n; i++)
		if (strcasecmp(m->defaults->v[i].provider, provider) == 0)
			return true;
	return false;
}

/* The state of a provider while sections are applied. */
struct state {
	struct mt_log_use use;
	bool on;
};

struct states {
	const struct mt_proxy_setting *by;
	struct state *v;
	uint32_t n;
};

static struct state *state_of(struct merge *m, struct states *all, const char *provider)
{
	const char *name;
	struct state *s;

	for (uint32_t i = 0; i < all->n; i++)
		if (strcasecmp(all->v[i].use.provider, provider) == 0)
			return &all->v[i];
	name = mt_b_lower(m->b, provider);
	s = name ? mt_region_push(&m->b->tmp, (void **)&all->v, &all->n, sizeof(*s)) : NULL;
	if (s)
		s->use.provider = name;
	return s;
}

static void apply(struct merge *m, struct states *all, const struct mt_proxy_setting *t,
	const struct mt_telemetry_log *section, const char *provider)
{
	struct state *s;

	if (!is_in_scope(m, all->by, provider))
		return;
	s = state_of(m, all, provider);
	if (!s)
		return;
	s->on = !section->disabled.v;
	s->use.meta = &t->meta;
	s->use.line = section->origin.line;
	if (!section->n_providers && !section->filter.expression.s)
		return;
	s->use.filter = section->filter.expression.s;
	s->use.filter_line = section->filter.expression.line;
}

/* `before`: the last section so far that named providers; NULL: none did. */
static void apply_section(struct merge *m, struct states *all, const struct mt_proxy_setting *t,
	const struct mt_telemetry_log *section, const struct mt_telemetry_log *before)
{
	for (uint32_t i = 0; before && i < before->n_providers; i++)
		apply(m, all, t, section, before->providers[i].name.s);
	for (uint32_t i = 0; !before && i < m->defaults->n; i++)
		apply(m, all, t, section, m->defaults->v[i].provider);
}

/* Providers that write no file are left out here, after all sections. */
static const struct mt_log_set *set_of(struct merge *m, const struct states *all)
{
	struct mt_log_set *set = mt_region_alloc(&m->b->tmp, sizeof(*set));

	for (uint32_t i = 0; set && i < all->n; i++) {
		const struct state *s = &all->v[i];
		const struct mt_text name = {s->use.provider, 0};

		if (s->on && (!*name.s || mt_b_log_provider(m->b, NULL, &name, NULL)))
			(void)mt_log_set_add(m->b, set, &s->use);
	}
	return set;
}

/* The set of calls in this namespace that come to this gateway (NULL: none). NULL: no memory. */
static const struct mt_log_set *merged(struct merge *m, const char *ns, const struct mt_gateway *g)
{
	const struct mt_telemetry_log *before = NULL;
	struct mt_telemetry_levels l = levels_of(m, ns, g);
	struct states all = {.by = in_scope_by(&l)};

	if (!l.n)
		return m->defaults;
	for (uint32_t i = 0; i < l.n; i++)
		for (uint32_t k = 0; k < l.v[i]->n_logs; k++) {
			const struct mt_telemetry_log *section = &l.v[i]->logs[k];

			if (!is_of_clients(section))
				continue;
			before = section->n_providers ? section : before;
			apply_section(m, &all, l.v[i], section, before);
		}
	return set_of(m, &all);
}

/* ---- sets ----------------------------------------------------------------------------------- */

struct mt_log_use *mt_log_set_add(
	struct mt_build *b, struct mt_log_set *set, const struct mt_log_use *use)
{
	struct mt_log_use *to = mt_region_push(&b->tmp, (void **)&set->v, &set->n, sizeof(*set->v));

	if (!to)
		return NULL;
	*to = *use;
	to->key = mt_secret_hash_text(
		use->provider, use->filter ? mt_secret_hash_text(use->filter, 3) : 2);
	to->key += to->key == 0;
	set->hash += to->key;
	return to;
}

static bool is_same(const struct mt_log_set *a, const struct mt_log_set *b)
{
	return a->n == b->n && a->hash == b->hash;
}

static void push_set(struct merge *m, const struct mt_log_set *set)
{
	const struct mt_log_set **slot =
		mt_region_push(&m->b->tmp, (void **)&m->to->v, &m->to->n, sizeof(*slot));

	if (slot)
		*slot = set;
}

static void add_set(struct merge *m, const char *key, const char *ns, const struct mt_gateway *g)
{
	const struct mt_log_set *set;

	if (!key || mt_strmap_get(&m->to->by_place, key))
		return;
	set = merged(m, ns, g);
	if (!set || mt_strmap_put(&m->to->by_place, key, (void *)(uintptr_t)set, NULL))
		m->b->tmp.failed = true;
	else
		push_set(m, set);
}

static void note_namespaces(struct merge *m)
{
	const struct mt_model *model = m->b->model;

	for (uint32_t i = 0; i < model->service_entries.n; i++) {
		const struct mt_service_entry *se = model->service_entries.v[i];

		mt_strmap_put(&m->served, se->meta.ns, m, NULL);
	}
	for (uint32_t i = 0; i < model->gateways.n; i++) {
		const struct mt_gateway *g = model->gateways.v[i];

		if (mt_b_selects_node(m->b, &g->selector))
			mt_strmap_put(&m->served, g->meta.ns, m, NULL);
	}
}

/* Namespaces with objects of their own. */
static void add_namespaces(struct merge *m)
{
	const struct mt_objs *all = &m->b->model->proxy_settings;

	if (m->b->model->mesh.ns || !m->b->telemetry.n)
		return;
	note_namespaces(m);
	for (uint32_t i = 0; i < all->n; i++) {
		const struct mt_proxy_setting *t = all->v[i];

		if (t->n_logs && !mt_telemetry_has_targets(t) &&
			mt_strmap_get(&m->served, t->meta.ns))
			add_set(m, t->meta.ns, t->meta.ns, NULL);
	}
}

/* Gateways with objects that target them. */
static void add_gateways(struct merge *m)
{
	const struct mt_model *model = m->b->model;

	for (uint32_t i = 0; i < model->gateways.n; i++) {
		const struct mt_gateway *g = model->gateways.v[i];
		const struct mt_telemetry_levels *bag = mt_b_telemetry_of(m->b, g->meta.ns);
		bool any = false;

		for (uint32_t k = 0; k < bag->n && g->gateway_api; k++)
			any |= bag->v[k]->n_logs && mt_telemetry_targets(bag->v[k], g);
		if (any && mt_b_selects_node(m->b, &g->selector)) {
			const char *ns = mt_gateway_ns(m->b, g);

			add_set(m, mt_b_telemetry_place(m->b, ns, g), ns, g);
		}
	}
}

/* Services of other namespaces follow the root namespace, without what selects its own proxies. */
static bool add_general(struct merge *m)
{
	const char *ns = m->b->model->mesh.ns;

	m->to->defaults = m->defaults;
	m->to->general = merged(m, ns ? ns : mt_b_root_namespace(m->b), NULL);
	m->to->services = ns ? m->to->general : merged(m, "", NULL);
	if (!m->to->general || !m->to->services)
		return false;
	if (!is_same(m->to->general, m->to->services))
		push_set(m, m->to->services);
	return true;
}

struct mt_log_sets *mt_b_log_sets(struct mt_build *b, const struct mt_log_set *defaults)
{
	struct merge m = {.b = b, .defaults = defaults};
	bool ok;

	m.to = mt_region_alloc(&b->tmp, sizeof(*m.to));
	if (!m.to)
		return NULL;
	mt_b_telemetry_fill(b);
	ok = add_general(&m);
	if (ok) {
		add_namespaces(&m);
		add_gateways(&m);
	}
	mt_strmap_fini(&m.served);
	mt_idmap_fini(&m.told);
	return ok ? m.to : NULL;
}

void mt_b_log_sets_fini(struct mt_log_sets *s)
{
	if (s)
		mt_strmap_fini(&s->by_place);
}

static const struct mt_log_set *find(struct mt_build *b, const char *ns, const struct mt_gateway *g)
{
	const struct mt_log_set *set = NULL;
	const char *place = g && g->gateway_api ? mt_b_telemetry_place(b, ns, g) : NULL;

	if (place)
		set = mt_strmap_get(&b->logs->by_place, place);
	if (!set)
		set = mt_strmap_get(&b->logs->by_place, ns);
	return set ? set : b->logs->services;
}

const struct mt_alog_scope *mt_b_log_scope(struct mt_build *b, struct mt_region *r, const char *ns,
	const struct mt_gateway *g, uint64_t *hash)
{
	const struct mt_log_set *set;
	struct mt_alog_scope *s;

	*hash = 0;
	if (!b->logs || !b->logs->n)
		return NULL;
	set = find(b, g ? mt_gateway_ns(b, g) : mt_b_client_ns(b, ns), g);
	if (is_same(set, b->logs->general))
		return NULL;
	*hash = set->hash + 1;
	s = r ? mt_region_alloc(r, sizeof(*s) + set->n * sizeof(s->keys[0])) : NULL;
	for (uint32_t i = 0; s && i < set->n; i++)
		s->keys[s->n++] = set->v[i].key;
	return s;
}
