/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is behind a listener of a discovery service: routes for messages, destinations for bytes. Made
 * once and shared by snapshots as long as the listener and its routes are the same and every cluster that
 * they name is where it was.
 */
#include "mt_conf_mesh_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Most services are small and there may be ten thousand. */
#define FIRST_BLOCK 512u

static void free_service(struct mt_conf *c, struct mt_shared_service *sv)
{
	struct mt_service *s = sv->s;

	mt_mesh_last_forget(&c->mesh.last_services, sv->at, sv);
	if (s && s->routes)
		mt_route_table_free(s->routes);
	for (uint32_t i = 0; s && i < s->n_filter_insts; i++)
		s->filter_insts[i].type->free_conf(s->filter_insts[i].conf);
	if (sv->index)
		mt_indexes_put(&c->services, sv->index);
	mt_region_fini(&sv->region);
	free(sv);
}

void mt_mesh_service_put(struct mt_conf *c, struct mt_shared_service *sv)
{
	if (--sv->refs)
		return;
	if (mt_strmap_get(&c->mesh.services, sv->name) == sv)
		mt_strmap_del(&c->mesh.services, sv->name);
	free_service(c, sv);
}

/* ---- clusters that it leads to ------------------------------------------------------------------ */

static uint64_t dep_hash(const struct mt_build *b, uint32_t at)
{
	return at < b->snap->n_doc_clusters ? b->snap->clusters[at]->hash : 0;
}

static void note(struct mt_build *b, const char *name, uint32_t at)
{
	struct mt_mesh_build *m = b->mesh_build;
	struct mt_mesh_dep *d =
		mt_region_push(m->deps_region, (void **)&m->deps, &m->n_deps, sizeof(*d));

	if (!d)
		return;
	d->at = at;
	if (at == MT_NO_CLUSTER) {
		d->name = mt_region_strdup(m->deps_region, name);
		return;
	}
	d->id = b->clusters_v[at].id;
	d->hash = dep_hash(b, at);
}

static void tell_unknown(
	struct mt_build *b, const struct mt_meta *meta, const char *path, const char *name)
{
	mt_diag_resource(b->diags, MT_DIAG_WARNING, meta, path, NULL,
		"no cluster \"%.128s\": what goes there is answered natively", name);
}

/*
 * A name that is not known, or no longer: as in Envoy the route stays and what it would send there is
 * answered natively.
 */
uint32_t mt_b_mesh_cluster(struct mt_build *b, const char *path, const char *name, uint32_t at)
{
	name = name ? name : "";
	if (at == MT_NO_CLUSTER)
		at = mt_mesh_place(b, name);
	note(b, name, at);
	if (at == MT_NO_CLUSTER)
		tell_unknown(b, b->mesh, path, name);
	return at;
}

static bool leads_there(const struct mt_build *b, const struct mt_mesh_dep *d)
{
	if (d->at == MT_NO_CLUSTER)
		return d->name && !mt_strmap_get(&b->clusters, d->name) &&
		       mt_mesh_place(b, d->name) == MT_NO_CLUSTER;
	return d->at < b->n_clusters && b->clusters_v[d->at].id == d->id &&
	       dep_hash(b, d->at) == d->hash;
}

/* ---- names -------------------------------------------------------------------------------------- */

/* "outbound|20880|v1|host" */
static const char *host_of_cluster(struct mt_build *b, const char *name)
{
	const char *bar = strrchr(name, '|');

	return bar && bar[1] ? mt_region_strdup(&b->tmp, bar + 1) : NULL;
}

/* "host_20880", as control planes name routes for messages. */
static const char *host_of_routes(struct mt_build *b, const char *name)
{
	const char *end = strrchr(name, '_');

	if (!end || end == name || !end[1] || end[1 + strspn(end + 1, "0123456789")])
		return NULL;
	return mt_region_strndup(&b->tmp, name, (size_t)(end - name));
}

static const struct mt_text *first_cluster(const struct mt_mesh_chain *chain)
{
	const struct mt_rule_list *l = chain->proxy ? &chain->proxy->routes : NULL;

	if (!chain->proxy)
		return chain->n_dests ? &chain->dests[0].cluster : NULL;
	return l->n_rules && l->rules[0].n_dests ? &l->rules[0].dests[0].cluster : NULL;
}

/* The service's host where names tell it, so that counters read as with documents; else the listener's. */
static const char *service_name(
	struct mt_build *b, const struct mt_mesh_listener *l, const struct mt_mesh_chain *chain)
{
	const struct mt_text *cluster = first_cluster(chain);
	const char *name = NULL;

	if (chain->proxy && chain->proxy->routes_name.s)
		name = host_of_routes(b, chain->proxy->routes_name.s);
	if (!name && cluster && cluster->s)
		name = host_of_cluster(b, cluster->s);
	return name ? name : l->meta.name;
}

/* ---- making it ---------------------------------------------------------------------------------- */

static int new_service(struct mt_build *b, struct mt_shared_service *sv,
	const struct mt_mesh_listener *l, const struct mt_mesh_chain *chain)
{
	const char *name = service_name(b, l, chain);
	char *id = mt_region_printf(&b->tmp, "%s:%u", name, l->addresses[0].port);
	struct mt_service *s = sv->s = mt_region_alloc(&sv->region, sizeof(*s));

	if (!id || !s)
		return -ENOMEM;
	sv->index = mt_indexes_get(&b->conf->services, id);
	if (!sv->index) {
		mt_b_error(b, &l->meta, 0, NULL, "fewer services, or more memory",
			"there is no room for its counters (%u services at most)",
			MT_SNAPSHOT_SERVICES_MAX);
		return -EINVAL;
	}
	s->name = mt_b_keep(b, name);
	s->key = mt_b_keep(b, mt_b_lower(b, name));
	s->id = mt_strhash(id, 0);
	s->index = sv->index->v;
	s->file = mt_b_file(b, l->meta.origin.file);
	s->resource = sv->name;
	if (chain->proxy && chain->proxy->routes_name.s)
		s->routes_resource = mt_b_keep(b, chain->proxy->routes_name.s);
	s->tcp_cluster = MT_NO_CLUSTER;
	return 0;
}

/* As listeners are found: 0.0.0.0 and :: are both any local address. */
static int add_texts(struct mt_shared_service *sv, const struct mt_mesh_listener *l)
{
	char text[MT_ADDR_STRLEN];

	sv->texts = mt_region_alloc(&sv->region, sizeof(*sv->texts) * l->n_addresses);
	for (uint32_t i = 0; sv->texts && i < l->n_addresses; i++) {
		struct mt_addr a = mt_mesh_any_or_same(&l->addresses[i].addr);

		mt_addr_port_str(&a, l->addresses[i].port, text);
		sv->texts[sv->n_texts++] = mt_region_strdup(&sv->region, text);
	}
	return sv->region.failed ? -ENOMEM : 0;
}

static int route(struct mt_build *b, struct mt_shared_service *sv, const struct mt_route_for *f)
{
	int rc = mt_b_route_service(b, f, sv->s, &sv->hash);

	if (rc == 0 && sv->region.failed)
		rc = -ENOMEM;
	return rc;
}

/* A list that no source has given, or that cannot be compiled: nothing matches, as in Envoy. */
static const struct mt_rule_list no_routes = {.name = "routes"};

static int route_messages(struct mt_build *b, struct mt_shared_service *sv,
	const struct mt_mesh_listener *l, const struct mt_mesh_chain *chain,
	const struct mt_mesh_routes *routes)
{
	const struct mt_proxy_patch *p = chain->proxy;
	struct mt_route_for f = {.meta = &l->meta,
		.list = &p->routes,
		.codec = sv->codec,
		.port = l->addresses[0].port,
		.fallback = MT_NO_CLUSTER};
	int rc;

	if (p->routes_name.s && !routes)
		f.list = &no_routes;
	if (p->routes_name.s && routes) {
		f.meta = b->mesh = &routes->meta;
		f.list = &routes->list;
	}
	rc = route(b, sv, &f);
	b->mesh = &l->meta;
	if (rc == -EINVAL && routes) {
		/* Not the last word: it is compiled, and refused, with every load. */
		sv->serial = 0;
		f.list = &no_routes;
		rc = route(b, sv, &f);
	}
	if (rc == 0)
		rc = mt_b_finish_service(
			b, &l->meta, p->limit, sv->codec, f.port, sv->s, &sv->hash);
	return rc;
}

/* One rule for all connections. */
static int route_bytes(struct mt_build *b, struct mt_shared_service *sv,
	const struct mt_mesh_listener *l, const struct mt_mesh_chain *chain)
{
	struct mt_rule rule = {.dests = chain->dests, .n_dests = chain->n_dests};
	struct mt_rule_list list = {.name = "tcp", .rules = &rule, .n_rules = 1};
	const struct mt_route_for f = {.meta = &l->meta,
		.list = &list,
		.codec = sv->codec,
		.port = l->addresses[0].port,
		.fallback = MT_NO_CLUSTER};

	return route(b, sv, &f);
}

static bool find_codec(struct mt_build *b, struct mt_shared_service *sv,
	const struct mt_mesh_listener *l, const struct mt_mesh_chain *chain)
{
	struct mt_proto proto;

	if (!chain->proxy) {
		sv->codec = mt_codec_find("tcp");
		return true;
	}
	if (!mt_b_proxy_codec(b, &l->meta, chain->proxy, "filter_chains", &proto))
		return false;
	sv->codec = proto.codec;
	sv->opts = proto.opts;
	return true;
}

static int fill(struct mt_build *b, struct mt_shared_service *sv, const struct mt_mesh_listener *l,
	const struct mt_mesh_chain *chain, const struct mt_mesh_routes *routes)
{
	uint32_t idle_ms = chain->idle_ms;
	int rc;

	if (!find_codec(b, sv, l, chain))
		return -EINVAL;
	if (chain->proxy && chain->proxy->idle_ms.set)
		idle_ms = chain->proxy->idle_ms.v;
	sv->idle_s = (idle_ms + 999) / 1000;
	sv->hash = mt_strhash(sv->codec->name, sv->opts);
	rc = new_service(b, sv, l, chain);
	if (rc == 0)
		rc = add_texts(sv, l);
	if (rc == 0)
		rc = chain->proxy ? route_messages(b, sv, l, chain, routes)
				  : route_bytes(b, sv, l, chain);
	return rc;
}

static struct mt_shared_service *make(struct mt_build *b, const struct mt_mesh_listener *l,
	const struct mt_mesh_chain *chain, const struct mt_mesh_routes *routes)
{
	size_t len = strlen(l->meta.name) + 1;
	struct mt_shared_service *sv = calloc(1, sizeof(*sv) + len);
	struct mt_mesh_build *m = b->mesh_build;
	int rc;

	if (!sv) {
		b->tmp.failed = true;
		return NULL;
	}
	memcpy(sv->name, l->meta.name, len);
	sv->at = MT_NO_CLUSTER;
	mt_region_init(&sv->region, 0);
	sv->region.first = FIRST_BLOCK;
	sv->serial = l->meta.serial;
	sv->routes_serial = routes ? routes->meta.serial : 0;
	sv->protocols = m->protocols;
	m->deps = NULL;
	m->n_deps = 0;
	m->deps_region = b->keep = &sv->region;
	b->mesh = &l->meta;
	rc = fill(b, sv, l, chain, routes);
	if (sv->s)
		sv->turned = mt_overrides_service_stamp(&b->conf->overrides, sv->s->name);
	b->mesh = NULL;
	b->keep = &b->snap->region;
	sv->deps = m->deps;
	sv->n_deps = m->n_deps;
	b->tmp.failed |= rc == -ENOMEM || sv->region.failed;
	if (rc == 0 && !b->tmp.failed)
		return sv;
	free_service(b->conf, sv);
	return NULL;
}

/* ---- found or made ------------------------------------------------------------------------------ */

static bool is_same(const struct mt_build *b, const struct mt_shared_service *sv,
	const struct mt_mesh_listener *l, uint32_t at, uint64_t extension,
	const struct mt_mesh_routes *routes)
{
	if (!sv->serial || sv->serial != l->meta.serial || sv->chain != at ||
		sv->extension_serial != extension ||
		sv->routes_serial != (routes ? routes->meta.serial : 0) ||
		(routes && !sv->routes_serial) || sv->protocols != b->mesh_build->protocols ||
		sv->turned != mt_overrides_service_stamp(&b->conf->overrides, sv->s->name))
		return false;
	for (uint32_t i = 0; i < sv->n_deps; i++)
		if (!leads_there(b, &sv->deps[i]))
			return false;
	return true;
}

/* What is wrong is told with each load, as if it had been compiled again. */
static void tell_again(
	struct mt_build *b, const struct mt_shared_service *sv, const struct mt_meta *meta)
{
	for (uint32_t i = 0; i < sv->n_deps; i++)
		if (sv->deps[i].name)
			tell_unknown(b, meta, NULL, sv->deps[i].name);
}

struct mt_shared_service *mt_mesh_service_get(struct mt_build *b, const struct mt_mesh_listener *l,
	const struct mt_mesh_chain *chain, uint32_t at, uint64_t extension,
	struct mt_shared_service *old)
{
	struct mt_shared_service *sv;
	const struct mt_mesh_routes *routes = NULL;
	uint32_t routes_at = old ? old->routes_at : MT_NO_CLUSTER;

	if (chain->proxy && chain->proxy->routes_name.s)
		routes = mt_mesh_find(
			b, MT_MESH_NAMED_ROUTES, chain->proxy->routes_name.s, &routes_at);
	if (old && is_same(b, old, l, at, extension, routes)) {
		tell_again(b, old, routes ? &routes->meta : &l->meta);
		b->conf->mesh.work.services_shared++;
		old->refs++;
		old->routes_at = routes_at;
		return old;
	}
	sv = make(b, l, chain, routes);
	if (!sv)
		return NULL;
	b->conf->mesh.work.services_made++;
	sv->refs = 1;
	sv->routes_at = routes_at;
	sv->chain = at;
	sv->extension_serial = extension;
	if (mt_strmap_put(&b->conf->mesh.services, sv->name, sv, NULL)) {
		free_service(b->conf, sv);
		b->tmp.failed = true;
		return NULL;
	}
	return sv;
}
