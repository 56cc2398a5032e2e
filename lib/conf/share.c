/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two snapshots have in common is made once. A document that was not read again (its serial) and whose
 * names lead where they led (the topology) compiles to the same, so its table is shared and its references
 * are not looked up again.
 */
#include "mt_conf_priv.h"

#include <errno.h>
#include <string.h>

/* ---- where names lead ---------------------------------------------------------------------------- */

static uint64_t hash_name(const char *s, uint64_t h)
{
	return mt_hash_bytes(s, strlen(s) + 1, h);
}

static uint64_t hash_host(const struct mt_host *host, uint64_t h)
{
	for (uint32_t i = 0; i < host->se->n_hosts; i++)
		h = hash_name(host->se->hosts[i].s, h);
	h = mt_hash_u64(host->se->n_hosts, h);
	for (uint32_t i = 0; host->rule && i < host->rule->n_subsets; i++)
		h = hash_name(host->rule->subsets[i].name.s, h);
	return mt_hash_u64(host->rule ? host->rule->n_subsets + 1 : 0, h);
}

static uint64_t hash_documents(const struct mt_objs *objs, uint64_t h)
{
	for (uint32_t i = 0; i < objs->n; i++)
		h = mt_hash_u64(((const struct mt_meta *)objs->v[i])->serial, h);
	return mt_hash_u64(objs->n, h);
}

/* The tables of the current snapshot, by the number that a service keeps. */
static void find_previous(struct mt_build *b)
{
	struct mt_snapshot *current = b->conf->current;
	const struct mt_snap *s;

	if (!current)
		return;
	s = mt_container_of(current, struct mt_snap, pub);
	b->previous = mt_region_alloc(
		&b->tmp, sizeof(struct mt_shared_routes *) * b->conf->services.next);
	if (!b->previous)
		return;
	b->n_previous = b->conf->services.next;
	for (uint32_t i = 0; i < s->n_doc_services; i++)
		if (s->tables[i])
			b->previous[s->indexes[i]->v] = s->tables[i];
}

/*
 * Clusters in their order, because routes name them by place; hosts with their aliases and subsets, which
 * destinations name; gateways and protocols, which documents and lists name.
 */
void mt_b_topology(struct mt_build *b)
{
	uint64_t h = 1;

	for (uint32_t i = 0; i < b->n_clusters; i++)
		h = mt_hash_u64(b->clusters_v[i].id, h);
	for (uint32_t i = 0; i < b->n_hosts; i++)
		h = hash_host(&b->host_list[i], h);
	h = hash_documents(&b->model->gateways, h);
	b->topology = hash_documents(&b->model->app_protocols, h);
	find_previous(b);
}

/* ---- references ---------------------------------------------------------------------------------- */

static int by_serial(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

bool mt_b_was_checked(const struct mt_build *b, const struct mt_meta *meta)
{
	return b->conf->n_checked && b->conf->topology == b->topology && meta->serial &&
	       bsearch(&meta->serial, b->conf->checked, b->conf->n_checked, sizeof(uint64_t),
		       by_serial);
}

void mt_b_remember_checked(struct mt_build *b)
{
	const struct mt_model *m = b->model;
	const struct mt_objs *const all[] = {
		&m->virtual_services, &m->meta_routers, &m->envoy_filters};
	uint32_t n = 0;
	uint64_t *v;

	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		n += all[i]->n;
	v = malloc(sizeof(*v) * (n + 1));
	free(b->conf->checked);
	b->conf->checked = v;
	b->conf->n_checked = 0;
	b->conf->topology = b->topology;
	for (size_t i = 0; v && i < MT_ARRAY_LEN(all); i++)
		for (uint32_t k = 0; k < all[i]->n; k++)
			if (!mt_b_leads_nowhere(b, all[i]->v[k]))
				v[b->conf->n_checked++] =
					((const struct mt_meta *)all[i]->v[k])->serial;
	if (v)
		qsort(v, b->conf->n_checked, sizeof(*v), by_serial);
}

/* ---- route tables -------------------------------------------------------------------------------- */

void mt_shared_routes_put(struct mt_shared_routes *r)
{
	if (--r->refs)
		return;
	mt_route_table_free(r->table);
	free(r);
}

/* The hash before the routes stands for the codec and its options. */
static bool is_same(const struct mt_build *b, const struct mt_shared_routes *r,
	const struct mt_route_for *f, uint64_t before, uint64_t turned)
{
	uint64_t made_of = f->list ? f->list->made_of : 0;
	bool same_list = made_of ? r->made_of == made_of : r->list == f->list && !r->made_of;

	return r->document == f->meta->serial && r->document && same_list &&
	       r->topology == b->topology && r->before == before && r->fallback == f->fallback &&
	       r->turned == turned;
}

bool mt_b_share_routes(
	struct mt_build *b, const struct mt_route_for *f, uint32_t at, uint64_t *hash)
{
	uint32_t index = b->snap->indexes[at]->v;
	struct mt_shared_routes *r = index < b->n_previous ? b->previous[index] : NULL;
	uint64_t turned = mt_overrides_service_stamp(&b->conf->overrides, b->services[at]->name);

	if (!r || !is_same(b, r, f, *hash, turned))
		return false;
	r->refs++;
	b->snap->tables[at] = r;
	b->services[at]->routes = r->table;
	*hash = r->after;
	return true;
}

/* One of them, or of a document that it was joined with, leads nowhere: it is to be told with the next load, too. */
static bool is_lost(struct mt_build *b, const struct mt_route_for *f)
{
	bool lost = mt_b_leads_nowhere(b, f->meta);

	for (uint32_t i = 0; b->lost.n && f->list && i < f->list->n_rules && !lost; i++)
		lost = f->list->rules[i].by && mt_b_leads_nowhere(b, f->list->rules[i].by);
	return lost;
}

int mt_b_offer_routes(struct mt_build *b, const struct mt_route_for *f, uint32_t at,
	uint64_t before, uint64_t after)
{
	struct mt_shared_routes *r;

	/* Ports of bytes have none, and nothing that would be worth sharing. */
	if (!b->services[at]->routes || is_lost(b, f))
		return 0;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	*r = (struct mt_shared_routes){.refs = 1,
		.table = b->services[at]->routes,
		.document = f->meta->serial,
		.list = f->list,
		.made_of = f->list ? f->list->made_of : 0,
		.topology = b->topology,
		.before = before,
		.after = after,
		.turned = mt_overrides_service_stamp(&b->conf->overrides, b->services[at]->name),
		.fallback = f->fallback};
	b->snap->tables[at] = r;
	return 0;
}
