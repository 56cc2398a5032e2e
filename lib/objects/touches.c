/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds which hosts each object affects, once the statuses of all objects are known. The lists of
 * all objects have a limit with shares by owner, because objects times hosts would fill the memory
 * of the daemon; hosts beyond it are not listed.
 */
#include "mt_meant.h"
#include "mt_objects_priv.h"

#include <stdio.h>
#include <string.h>

struct touching {
	struct mt_object_table *t;
	const struct mt_model *m;
	struct mt_by_label entries;
	struct mt_strmap names;	 /* of hosts, in t->words */
	struct mt_strmap hosts;	 /* services with effect, by name */
	struct mt_idmap touched; /* struct touched, by address of the row */
	struct touched *last;
	struct mt_budget budget;
};

/* The hosts that a row has. */
struct touched {
	struct mt_strmap hosts;
	struct touched *before;
};

/* Returns the host's name in t->words, which all lists share; NULL: no memory. */
static const char *intern(struct touching *x, const char *host)
{
	char *name = mt_strmap_get(&x->names, host);

	if (name)
		return name;
	name = mt_region_strdup(&x->t->words, host);
	return name && mt_strmap_put(&x->names, name, name, NULL) == 0 ? name : NULL;
}

static struct touched *touched_of(struct touching *x, const struct mt_object_row *row)
{
	struct touched *of = mt_idmap_get(&x->touched, (uintptr_t)row);

	if (of)
		return of;
	of = mt_region_alloc(&x->t->words, sizeof(*of));
	if (!of || mt_idmap_put(&x->touched, (uintptr_t)row, of))
		return NULL;
	of->before = x->last;
	x->last = of;
	/* The compiler has reported some. */
	for (uint32_t i = 0; i < row->n_touches; i++)
		(void)mt_strmap_put(&of->hosts, row->touches[i], of, NULL);
	return of;
}

/* Adds a host to a row once. Without memory, or beyond the limit, the host is not listed. */
static void touch(struct touching *x, struct mt_object_row *row, const char *host)
{
	struct mt_region *words = &x->t->words;
	struct touched *of = touched_of(x, row);
	const char **slot;

	if (!of || mt_strmap_get(&of->hosts, host) || !mt_budget_has(&x->budget, 1))
		return;
	host = intern(x, host);
	slot = host ? mt_region_push(words, (void **)&row->touches, &row->n_touches, sizeof(*slot))
		    : NULL;
	if (!slot)
		return;
	*slot = host;
	(void)mt_strmap_put(&of->hosts, host, row, NULL);
}

static void index_hosts(struct touching *x)
{
	for (uint32_t i = 0; i < x->m->service_entries.n; i++) {
		const struct mt_service_entry *se = x->m->service_entries.v[i];
		const struct mt_object_row *row = mt_table_row(x->t, se->meta.serial);

		/* Skip service entries that have no effect or are shadowed by another one. */
		if (row &&
			(row->status == MT_OBJECT_NO_EFFECT || row->status == MT_OBJECT_SHADOWED))
			continue;
		for (uint32_t k = 0; k < se->n_hosts; k++) {
			const char *key = intern(x, se->hosts[k].s);

			if (key && !mt_strmap_get(&x->hosts, key))
				mt_strmap_put(&x->hosts, key, (void *)se, NULL);
		}
	}
}

static const struct mt_meta *find_host(const void *hosts, const char *name)
{
	const struct mt_service_entry *se = mt_strmap_get(hosts, name);

	return se ? &se->meta : NULL;
}

/*
 * Adds the hosts of a name, which is resolved as in the compiler: a full name, a short name, or a
 * wildcard.
 */
static void touch_named(
	struct touching *x, struct mt_object_row *row, const char *host, const char *ns)
{
	char full[MT_MEANT_HOST];
	const char *key = mt_meant_host(x->m, host, ns, find_host, &x->hosts, full);
	uint32_t pos = 0;

	if (key) {
		touch(x, row, key);
		return;
	}
	while (host[0] == '*' && mt_budget_has(&x->budget, 1) &&
		mt_strmap_next(&x->hosts, &pos, &key))
		if (mt_host_covers(host, key))
			touch(x, row, key);
}

static void touch_texts(struct touching *x, struct mt_object_row *row, const struct mt_text *v,
	uint32_t n, const char *ns)
{
	for (uint32_t i = 0; i < n; i++)
		touch_named(x, row, v[i].s, ns);
}

/*
 * True if the virtual service is for gateways only. Then its hosts are names that clients of
 * gateways send, which need not be hosts of a service.
 */
static bool is_of_gateways(const struct mt_virtual_service *vs)
{
	for (uint32_t i = 0; i < vs->n_gateways; i++)
		if (strcmp(vs->gateways[i].s, "mesh") == 0)
			return false;
	return vs->n_gateways > 0;
}

static void touch_as_written(
	struct touching *x, struct mt_object_row *row, const struct mt_virtual_service *vs)
{
	for (uint32_t i = 0; i < vs->n_hosts; i++)
		touch(x, row, vs->hosts[i].s);
}

/*
 * Adds the hosts of a Gateway's servers. In "NAMESPACE/HOST" the namespace only limits the routes
 * that may bind, so it is ignored here.
 */
static void touch_servers(struct touching *x, struct mt_object_row *row, const struct mt_gateway *g)
{
	for (uint32_t i = 0; i < g->n_servers; i++)
		for (uint32_t k = 0; k < g->servers[i].n_hosts; k++) {
			const char *host = g->servers[i].hosts[k].s, *slash = strchr(host, '/');

			touch(x, row, slash ? slash + 1 : host);
		}
}

/* Adds the hosts that the object itself names. */
static void touch_written(struct touching *x, struct mt_object_row *row)
{
	const struct mt_model *m = row->used->part;
	const char *ns = row->used->ns;

	for (uint32_t i = 0; i < m->service_entries.n; i++) {
		const struct mt_service_entry *se = m->service_entries.v[i];

		for (uint32_t k = 0; k < se->n_hosts; k++)
			touch(x, row, se->hosts[k].s);
	}
	for (uint32_t i = 0; i < m->destination_rules.n; i++) {
		const struct mt_destination_rule *dr = m->destination_rules.v[i];

		/*
		 * Skip wildcards, because more specific rules precede them. The compiler reports
		 * the hosts of a wildcard.
		 */
		if (dr->host.s[0] != '*')
			touch_named(x, row, dr->host.s, ns);
	}
	for (uint32_t i = 0; i < m->virtual_services.n; i++) {
		const struct mt_virtual_service *vs = m->virtual_services.v[i];

		if (is_of_gateways(vs))
			touch_as_written(x, row, vs);
		else
			touch_texts(x, row, vs->hosts, vs->n_hosts, ns);
	}
	for (uint32_t i = 0; i < m->gateways.n; i++)
		touch_servers(x, row, m->gateways.v[i]);
	for (uint32_t i = 0; i < m->meta_routers.n; i++) {
		const struct mt_meta_router *mr = m->meta_routers.v[i];

		touch_texts(x, row, mr->hosts, mr->n_hosts, ns);
	}
}

static bool has_part(const struct mt_object_row *row)
{
	return row && row->used && row->status != MT_OBJECT_NO_EFFECT &&
	       row->status != MT_OBJECT_SHADOWED && row->status != MT_OBJECT_IGNORED;
}

static void touch_serial(
	struct touching *x, const struct mt_meta *meta, const struct mt_service_entry *se)
{
	struct mt_object_row *row = meta ? mt_table_row(x->t, meta->serial) : NULL;

	for (uint32_t i = 0; has_part(row) && i < se->n_hosts && mt_budget_has(&x->budget, 1); i++)
		touch(x, row, se->hosts[i].s);
}

static void index_entries(struct touching *x)
{
	x->entries.region = &x->t->words;
	for (uint32_t i = 0; i < x->m->workload_entries.n; i++) {
		struct mt_workload_entry *we = x->m->workload_entries.v[i];

		mt_by_label_add(&x->entries, we->meta.ns, &we->w.labels, we);
	}
}

static void touch_selected(struct touching *x, const struct mt_service_entry *se)
{
	const struct mt_bag *bag =
		mt_by_label_find(&x->entries, se->meta.ns, &se->selector->labels);

	for (uint32_t i = 0; i < bag->n; i++) {
		const struct mt_workload_entry *we = bag->v[i];

		if (!mt_budget_has(
			    &x->budget, mt_work_of_match(&se->selector->labels, &we->w.labels)))
			return;
		if (mt_labels_match(&se->selector->labels, &we->w.labels))
			touch_serial(x, &we->meta, se);
	}
}

/* Adds a service's hosts to the service, and to the objects from which its endpoints come. */
static void touch_service(struct touching *x, const struct mt_service_entry *se)
{
	const struct mt_object_row *row = mt_table_row(x->t, se->meta.serial);

	if (!has_part(row))
		return;
	if (se->kubernetes)
		touch_serial(x, &se->meta, se);
	for (uint32_t i = 0; i < se->n_endpoints; i++) {
		touch_serial(x, se->endpoints[i].by, se);
		touch_serial(x, se->endpoints[i].pod, se);
	}
	if (se->selector)
		touch_selected(x, se);
}

/* Adds a VirtualService's hosts to the delegates whose rules it contains. */
static void touch_delegates(struct touching *x, const struct mt_virtual_service *vs)
{
	const struct mt_object_row *row =
		vs->n_delegates ? mt_table_row(x->t, vs->meta.serial) : NULL;

	if (!has_part(row))
		return;
	for (uint32_t i = 0; i < vs->n_delegates; i++) {
		struct mt_object_row *of = mt_table_row(x->t, vs->delegates[i]->serial);

		if (has_part(of) && is_of_gateways(vs))
			touch_as_written(x, of, vs);
		else if (has_part(of))
			touch_texts(x, of, vs->hosts, vs->n_hosts, vs->meta.ns);
	}
}

/*
 * Adds to a route of Gateway API the Services that are its parents; for a route at a gateway, its
 * backends.
 */
static void touch_route(struct touching *x, const struct mt_virtual_service *vs)
{
	struct mt_object_row *row = vs->gateway_api ? mt_table_row(x->t, vs->meta.serial) : NULL;

	if (!has_part(row))
		return;
	if (!is_of_gateways(vs)) {
		touch_texts(x, row, vs->hosts, vs->n_hosts, vs->meta.ns);
		return;
	}
	for (uint32_t i = 0; i < vs->lists->n_rules; i++)
		for (uint32_t k = 0; k < vs->lists->rules[i].n_dests; k++) {
			const struct mt_dest *d = &vs->lists->rules[i].dests[k].dest;

			if (!d->refused)
				touch_named(x, row, d->host.s, vs->meta.ns);
		}
}

static void touch_gateway(struct touching *x, const struct mt_gateway *g)
{
	struct mt_object_row *row = g->gateway_api ? mt_table_row(x->t, g->meta.serial) : NULL;

	if (has_part(row))
		touch_servers(x, row, g);
}

static void touch_rows(struct touching *x)
{
	for (uint32_t i = 0; i < x->t->n; i++) {
		struct mt_object_row *row = &x->t->rows[i];

		if (!has_part(row) || row->n_touches || !mt_budget_begin_row(&x->budget, row))
			continue;
		touch_written(x, row);
		(void)mt_budget_end(&x->budget);
	}
}

static void touch_made(struct touching *x)
{
	const struct mt_model *m = x->m;

	for (uint32_t i = 0; i < m->service_entries.n; i++) {
		const struct mt_service_entry *se = m->service_entries.v[i];

		if (!mt_budget_begin(&x->budget, &se->meta))
			continue;
		touch_service(x, se);
		(void)mt_budget_end(&x->budget);
	}
	for (uint32_t i = 0; i < m->gateways.n; i++) {
		const struct mt_gateway *g = m->gateways.v[i];

		if (!mt_budget_begin(&x->budget, &g->meta))
			continue;
		touch_gateway(x, g);
		(void)mt_budget_end(&x->budget);
	}
	for (uint32_t i = 0; i < m->virtual_services.n; i++) {
		const struct mt_virtual_service *vs = m->virtual_services.v[i];

		if (!mt_budget_begin(&x->budget, &vs->meta))
			continue;
		touch_delegates(x, vs);
		touch_route(x, vs);
		(void)mt_budget_end(&x->budget);
	}
}

void mt_table_touch(struct mt_object_table *t)
{
	struct touching x = {.t = t,
		.m = t->model,
		.budget = {.t = t,
			.region = &t->words,
			.most = {.memory = mt_objects_memory / 16, .work = mt_objects_work}}};

	if (!t->model || t->touched)
		return;
	t->touched = true;
	index_hosts(&x);
	index_entries(&x);
	touch_rows(&x);
	touch_made(&x);
	for (struct touched *of = x.last; of; of = of->before)
		mt_strmap_fini(&of->hosts);
	mt_idmap_fini(&x.touched);
	mt_budget_fini(&x.budget);
	mt_by_label_fini(&x.entries);
	mt_strmap_fini(&x.hosts);
	mt_strmap_fini(&x.names);
}
