/* SPDX-License-Identifier: Apache-2.0 */
/* Documents by what they are about; whatever is said twice is refused. */
#include "mt_conf_priv.h"

#include <stdio.h>
#include <string.h>

#define NO_HOST "no ServiceEntry has the host \"%.128s\""

/* The same kind, namespace and name twice. */
static void check_names(struct mt_build *b, const struct mt_objs *objs, struct mt_strmap *names)
{
	for (uint32_t i = 0; i < objs->n; i++) {
		const struct mt_meta *meta = objs->v[i], *first;
		char *key = mt_region_printf(&b->tmp, "%s/%s/%s", meta->kind, meta->ns, meta->name);
		void *before = NULL;

		if (!key)
			return;
		mt_strmap_put(names, key, (void *)meta, &before);
		first = before;
		if (first)
			mt_b_error(b, meta, meta->origin.line, "metadata.name",
				"give it another name, or remove one",
				"%s \"%s\" is already at %s:%u", meta->kind, meta->name,
				first->origin.file, first->origin.line);
	}
}

static void bad_host(struct mt_build *b, const struct mt_service_entry *se, uint32_t i)
{
	char path[32];

	snprintf(path, sizeof(path), "spec.hosts[%u]", i);
	mt_b_error(b, &se->meta, se->hosts[i].line, path,
		"letters, digits, - and _ with dots between them, 253 at most",
		"\"%.128s\" is not a host's name", se->hosts[i].s);
}

/* Every host of a ServiceEntry names it; clusters are called by the first. */
static void add_hosts(struct mt_build *b, const struct mt_service_entry *se, struct mt_host *h)
{
	h->se = se;
	for (uint32_t i = 0; i < se->n_hosts; i++) {
		char *key = mt_b_lower(b, se->hosts[i].s);
		struct mt_host *other = mt_strmap_get(&b->hosts, key);
		char path[32];

		/* "*.example.com": all hosts below it, by one address. */
		if (!mt_is_host(key + (strncmp(key, "*.", 2) == 0 ? 2 : 0))) {
			bad_host(b, se, i);
			continue;
		}
		if (!other) {
			mt_strmap_put(&b->hosts, key, h, NULL);
			continue;
		}
		snprintf(path, sizeof(path), "spec.hosts[%u]", i);
		mt_b_error(b, &se->meta, se->hosts[i].line, path, "one ServiceEntry for each host",
			"\"%.128s\" is already served by %s:%u", se->hosts[i].s,
			other->se->meta.origin.file, other->se->meta.origin.line);
	}
}

static void index_hosts(struct mt_build *b)
{
	const struct mt_objs *ses = &b->model->service_entries;

	b->host_list = mt_region_alloc(&b->tmp, sizeof(*b->host_list) * ses->n);
	if (!b->host_list)
		return;
	b->n_hosts = ses->n;
	for (uint32_t i = 0; i < ses->n; i++)
		add_hosts(b, ses->v[i], &b->host_list[i]);
}

static void taken_already(struct mt_build *b, const struct mt_meta *meta, uint32_t line,
	const char *path, const char *host, const struct mt_meta *first)
{
	mt_b_error(b, meta, line, path, "merge them into one document",
		"%s:%u already has a %s for \"%.128s\"", first->origin.file, first->origin.line,
		meta->kind, host);
}

/* A document about a host that is not here has no effect, as everywhere in the field; the operator is told. */
static struct mt_host *want_host(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_text *host, const char *path)
{
	struct mt_host *h = mt_b_host(b, host->s, meta->ns);

	if (!h)
		mt_b_inert(
			b, meta, host->line, path, mt_b_host_remedy(b, host->s), NO_HOST, host->s);
	return h;
}

static void index_rules(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->model->destination_rules.n; i++) {
		const struct mt_destination_rule *dr = b->model->destination_rules.v[i];
		struct mt_host *h = want_host(b, &dr->meta, &dr->host, "spec.host");

		if (h && h->rule)
			taken_already(b, &dr->meta, dr->host.line, "spec.host", dr->host.s,
				&h->rule->meta);
		else if (h)
			h->rule = dr;
	}
}

static void index_routers(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->model->meta_routers.n; i++) {
		const struct mt_meta_router *mr = b->model->meta_routers.v[i];
		struct mt_host *h = want_host(b, &mr->meta, &mr->hosts[0], "spec.hosts[0]");

		if (h && h->router)
			taken_already(b, &mr->meta, mr->hosts[0].line, "spec.hosts[0]",
				mr->hosts[0].s, &h->router->meta);
		else if (h)
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

/* A VirtualService may be for several hosts; each host has at most one. */
static void take_host(
	struct mt_build *b, const struct mt_virtual_service *vs, uint32_t i, struct mt_host *h)
{
	char path[32];

	snprintf(path, sizeof(path), "spec.hosts[%u]", i);
	if (h->vs) {
		taken_already(b, &vs->meta, vs->hosts[i].line, path, vs->hosts[i].s, &h->vs->meta);
		return;
	}
	h->vs = vs;
	if (h->router && h->router->routes.n_rules)
		mt_b_warn(b, &vs->meta, vs->hosts[i].line, path, "keep one of them",
			"the routes of MetaRouter %s:%u are used instead",
			h->router->meta.origin.file, h->router->meta.origin.line);
}

/* One that is for other hosts as well works for those. */
static void miss_host(
	struct mt_build *b, const struct mt_virtual_service *vs, uint32_t i, bool others)
{
	const char *name = vs->hosts[i].s, *remedy = mt_b_host_remedy(b, name);
	char path[32];

	snprintf(path, sizeof(path), "spec.hosts[%u]", i);
	if (others)
		mt_b_warn(b, &vs->meta, vs->hosts[i].line, path, remedy, NO_HOST, name);
	else
		mt_b_inert(b, &vs->meta, vs->hosts[i].line, path, remedy, NO_HOST, name);
}

static void index_virtual_service(struct mt_build *b, const struct mt_virtual_service *vs)
{
	bool found = false;

	for (uint32_t i = 0; i < vs->n_hosts; i++) {
		struct mt_host *h = mt_b_host(b, vs->hosts[i].s, vs->meta.ns);

		if (h)
			take_host(b, vs, i, h);
		found |= h != NULL;
	}
	for (uint32_t i = 0; i < vs->n_hosts; i++)
		if (!mt_b_host(b, vs->hosts[i].s, vs->meta.ns))
			miss_host(b, vs, i, found || vs->n_gateways > 1);
}

/* Hosts first: all other documents are found by theirs. */
void mt_b_index(struct mt_build *b)
{
	const struct mt_model *m = b->model;
	const struct mt_objs *const all[] = {&m->service_entries, &m->workload_entries,
		&m->destination_rules, &m->virtual_services, &m->meta_routers, &m->app_protocols,
		&m->gateways, &m->envoy_filters};
	struct mt_strmap names = {0};

	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		check_names(b, all[i], &names);
	mt_strmap_fini(&names);
	index_hosts(b);
	index_rules(b);
	index_routers(b);
	for (uint32_t i = 0; i < m->virtual_services.n; i++)
		if (for_mesh(m->virtual_services.v[i]))
			index_virtual_service(b, m->virtual_services.v[i]);
}
