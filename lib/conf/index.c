/* SPDX-License-Identifier: Apache-2.0 */
/* Documents by what they are about; whatever is said twice is refused. */
#include "mt_conf_priv.h"

#include <stdio.h>
#include <string.h>

/* An object of this kind, namespace and name. */
struct named {
	const struct mt_meta *meta;
	struct named *next; /* another name of the same hash */
};

static bool same_name(const struct mt_meta *a, const struct mt_meta *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->ns, b->ns) == 0 &&
	       strcmp(a->kind, b->kind) == 0;
}

/* Who has the name already; NULL: nobody, so it is its own from now on. */
static const struct mt_meta *take_name(
	struct mt_build *b, struct mt_idmap *names, const struct mt_meta *meta)
{
	uint64_t h = mt_hash_text(meta->name, mt_hash_text(meta->ns, mt_hash_text(meta->kind, 0)));
	uint64_t id = h ? h : 1; /* no map has an id 0 */
	struct named *first = mt_idmap_get(names, id), *n;

	for (n = first; n; n = n->next)
		if (same_name(n->meta, meta))
			return n->meta;
	n = mt_region_alloc(&b->tmp, sizeof(*n));
	if (n)
		*n = (struct named){meta, first};
	if (!n || mt_idmap_put(names, id, n))
		b->tmp.failed = true;
	return NULL;
}

/* The same kind, namespace and name twice. */
static void check_names(struct mt_build *b, const struct mt_objs *objs, struct mt_idmap *names)
{
	for (uint32_t i = 0; i < objs->n; i++) {
		const struct mt_meta *meta = objs->v[i], *first = take_name(b, names, meta);

		if (first)
			mt_b_error(b, meta, meta->origin.line, "metadata.name",
				"give it another name, or remove one",
				"%s \"%s\" is already at %s:%u", meta->kind, meta->name,
				first->origin.file, first->origin.line);
	}
}

static void in_place_of(struct mt_build *b, const struct mt_meta *winner, uint32_t line,
	const struct mt_meta *loser, uint32_t loser_line, const char *path, const char *host)
{
	mt_b_shadowed(b, loser, loser_line, path, NULL, "\"%.128s\" is that of %s %s/%s", host,
		winner->kind, winner->ns, winner->name);
	mt_b_warn(b, winner, line, NULL, NULL, "in place of %s %s/%s, which has \"%.128s\" as well",
		loser->kind, loser->ns, loser->name, host);
}

/* A document about a host that is not here has no effect, as everywhere in the field; the operator is told. */
static struct mt_host *want_host(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_text *host, const char *path)
{
	struct mt_host *h = mt_b_host(b, host->s, meta->ns);

	if (!h)
		mt_b_inert(b, meta, host->line, path, mt_b_host_remedy(b, host->s), MT_B_NO_HOST,
			host->s);
	return h;
}

static void not_exported(struct mt_build *b, const struct mt_meta *meta)
{
	mt_b_inert(b, meta, meta->origin.line, "spec.exportTo", NULL,
		"it is not visible where clients of its host are");
}

static void index_routers(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->model->meta_routers.n; i++) {
		const struct mt_meta_router *mr = b->model->meta_routers.v[i];
		struct mt_host *h = want_host(b, &mr->meta, &mr->hosts[0], "spec.hosts[0]");

		if (!h)
			continue;
		if (!mt_b_rule_visible(b, &mr->export_to, &mr->meta, false, h->se->meta.ns))
			not_exported(b, &mr->meta);
		else if (h->router)
			in_place_of(b, &h->router->meta, h->router->hosts[0].line, &mr->meta,
				mr->hosts[0].line, "spec.hosts[0]", mr->hosts[0].s);
		else
			h->router = mr;
	}
}

/* Whether its routes are for clients of the services' own addresses. */
static bool for_mesh(const struct mt_virtual_service *vs)
{
	for (uint32_t i = 0; i < vs->n_gateways; i++)
		if (strcmp(vs->gateways[i].s, "mesh") == 0)
			return true;
	return vs->n_gateways == 0;
}

/* How many hosts of one VirtualService are here, and whose they are. */
struct claims {
	const struct mt_virtual_service *vs;
	uint32_t here, taken, hidden;
	const struct mt_meta *by; /* who has the first of those that are taken */
	uint32_t at;
};

/* Routes of bytes, which a MetaRouter has none of. */
static bool leads_bytes(const struct mt_virtual_service *vs)
{
	for (uint32_t i = 0; i < vs->n_lists; i++)
		if (strcmp(vs->lists[i].name, "tcp") == 0)
			return true;
	return false;
}

/* The oldest owns the host; a MetaRouter, be it for limits alone, comes before its routes of messages. */
static void claim(struct mt_build *b, struct claims *c, uint32_t i, struct mt_host *h, bool exact)
{
	const struct mt_virtual_service *vs = c->vs;
	const struct mt_meta *by = NULL;

	c->here++;
	if (!mt_b_rule_visible(b, &vs->export_to, &vs->meta, false, h->se->meta.ns)) {
		c->hidden++;
		return;
	}
	if (h->router && !leads_bytes(vs))
		by = &h->router->meta;
	else if (h->vs && (exact || h->vs != vs))
		by = h->vs == vs ? NULL : &h->vs->meta;
	if (!by) {
		h->vs = vs;
		return;
	}
	c->taken++;
	c->at = c->by ? c->at : i;
	c->by = c->by ? c->by : by;
}

/* "*.x": every host below that nobody names more closely. */
static void claim_below(struct mt_build *b, struct claims *c, uint32_t i)
{
	const char *word = mt_b_lower(b, c->vs->hosts[i].s);

	for (uint32_t k = 0; k < b->n_hosts; k++)
		if (mt_host_covers(word, mt_b_lower(b, b->host_list[k].se->hosts[0].s)))
			claim(b, c, i, &b->host_list[k], false);
}

static void tell_claims(struct mt_build *b, const struct claims *c)
{
	const struct mt_virtual_service *vs = c->vs;
	char path[MT_INDEX_PATH];

	mt_index_path(path, "spec.hosts", c->at, "");
	if (c->here && c->hidden == c->here && vs->n_gateways < 2)
		not_exported(b, &vs->meta);
	else if (c->here && c->taken == c->here && vs->n_gateways < 2)
		in_place_of(b, c->by, c->by->origin.line, &vs->meta, vs->hosts[c->at].line, path,
			vs->hosts[c->at].s);
	else if (c->taken)
		mt_b_warn(b, &vs->meta, vs->hosts[c->at].line, path, NULL,
			"\"%.128s\" is that of %s %s/%s", vs->hosts[c->at].s, c->by->kind,
			c->by->ns, c->by->name);
}

/* One that is for other hosts as well works for those. */
static void miss_host(
	struct mt_build *b, const struct mt_virtual_service *vs, uint32_t i, bool others)
{
	const char *name = vs->hosts[i].s, *remedy = mt_b_host_remedy(b, name);
	char path[32];

	snprintf(path, sizeof(path), "spec.hosts[%u]", i);
	if (others)
		mt_b_warn(b, &vs->meta, vs->hosts[i].line, path, remedy, MT_B_NO_HOST, name);
	else
		mt_b_inert(b, &vs->meta, vs->hosts[i].line, path, remedy, MT_B_NO_HOST, name);
}

static void index_virtual_service(struct mt_build *b, const struct mt_virtual_service *vs)
{
	struct claims c = {.vs = vs};
	bool missed[64] = {false};

	for (uint32_t i = 0; i < vs->n_hosts; i++) {
		struct mt_host *h = mt_b_host(b, vs->hosts[i].s, vs->meta.ns);
		uint32_t before = c.here;

		if (h)
			claim(b, &c, i, h, true);
		else if (vs->hosts[i].s[0] == '*')
			claim_below(b, &c, i);
		if (i < MT_ARRAY_LEN(missed))
			missed[i] = c.here == before;
	}
	for (uint32_t i = 0; i < vs->n_hosts && i < MT_ARRAY_LEN(missed); i++)
		if (missed[i])
			miss_host(b, vs, i, c.here || vs->n_gateways > 1);
	tell_claims(b, &c);
}

/* Named hosts before wildcards, longer ones before shorter ones: whoever is nearest has the host. */
static void index_virtual_services(struct mt_build *b)
{
	const struct mt_objs *all = &b->model->virtual_services;

	for (int wild = 0; wild <= 1; wild++)
		for (uint32_t i = 0; i < all->n; i++) {
			const struct mt_virtual_service *vs = all->v[i];

			if (for_mesh(vs) && vs->n_hosts && (vs->hosts[0].s[0] == '*') == wild)
				index_virtual_service(b, vs);
		}
}

/* Hosts first: all other documents are found by theirs. */
void mt_b_index(struct mt_build *b)
{
	const struct mt_model *m = b->model;
	const struct mt_objs *const all[] = {&m->service_entries, &m->workload_entries,
		&m->destination_rules, &m->virtual_services, &m->meta_routers, &m->app_protocols,
		&m->gateways, &m->envoy_filters};
	struct mt_idmap names = {0};
	uint32_t n = 0;

	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		n += all[i]->n;
	if (mt_idmap_reserve(&names, n))
		b->tmp.failed = true;
	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		check_names(b, all[i], &names);
	mt_idmap_fini(&names);
	mt_b_index_hosts(b);
	mt_b_index_rules(b);
	index_routers(b);
	index_virtual_services(b);
}
