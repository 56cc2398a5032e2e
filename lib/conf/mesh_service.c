/* SPDX-License-Identifier: Apache-2.0 */
/* What is behind a listener of a discovery service, as a service: routes for messages, destinations for bytes. */
#include "mt_conf_mesh_priv.h"
#include "mt_conf_telemetry_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void tell_unknown(
	struct mt_build *b, const struct mt_meta *meta, const char *path, const char *name)
{
	mt_diag_resource(b->diags, MT_DIAG_WARNING, meta, path, NULL,
		"no cluster \"%.128s\": its calls are answered by a local reply", name);
}

/*
 * A name that is not known, or no longer: as in Envoy the route stays and what it would send there is
 * answered natively.
 */
uint32_t mt_b_mesh_cluster(struct mt_build *b, const char *path, const char *name, uint32_t at)
{
	struct mt_service_dep *d;

	name = name ? name : "";
	if (at == MT_NO_CLUSTER)
		at = mt_mesh_place(b, name);
	if (at != MT_NO_CLUSTER) {
		mt_b_note_dep(b, MT_DEP_PLACE, at);
		return at;
	}
	d = mt_b_note_dep(b, MT_DEP_UNKNOWN, at);
	if (d)
		d->of.name = mt_region_strdup(b->deps->region, name);
	tell_unknown(b, b->mesh, path, name);
	return at;
}

/* ---- names -------------------------------------------------------------------------------------- */

/* "outbound|20880|v1|host" */
static const char *host_of_cluster(struct mt_build *b, const char *name)
{
	const char *bar = strrchr(name, '|');

	return bar && bar[1] ? mt_host_name(&b->tmp, bar + 1) : NULL;
}

/* "host_20880", as control planes name routes for messages. */
static const char *host_of_routes(struct mt_build *b, const char *name)
{
	const char *end = strrchr(name, '_');
	char *host;

	if (!end || end == name || !end[1] || end[1 + strspn(end + 1, "0123456789")])
		return NULL;
	host = mt_region_strndup(&b->tmp, name, (size_t)(end - name));
	if (host)
		mt_host_fold(host);
	return host;
}

static const struct mt_text *first_cluster(const struct mt_res_chain *chain)
{
	const struct mt_rule_list *l = chain->proxy ? &chain->proxy->routes : NULL;

	if (!chain->proxy)
		return chain->n_dests ? &chain->dests[0].cluster : NULL;
	return l->n_rules && l->rules[0].n_dests ? &l->rules[0].dests[0].cluster : NULL;
}

/* The service's host where names tell it, so that counters read as with documents; else the listener's. */
static const char *service_name(
	struct mt_build *b, const struct mt_res_listener *l, const struct mt_res_chain *chain)
{
	const struct mt_text *cluster = first_cluster(chain);
	const char *name = NULL;

	if (chain->proxy && chain->proxy->routes_name.s)
		name = host_of_routes(b, chain->proxy->routes_name.s);
	if (!name && cluster && cluster->s)
		name = host_of_cluster(b, cluster->s);
	return name ? name : l->meta.name;
}

/* The namespace in NAME.NAMESPACE.svc.DOMAIN; NULL: the host has another form. */
static const char *namespace_of(struct mt_build *b, const char *host)
{
	const char *ns = strchr(host, '.'), *end = ns ? strchr(ns + 1, '.') : NULL;

	if (!end || end == ns + 1 || strncmp(end, ".svc.", 5) != 0)
		return NULL;
	return mt_region_strndup(&b->tmp, ns + 1, (size_t)(end - ns - 1));
}

/* ---- making it ---------------------------------------------------------------------------------- */

/* As listeners are found: 0.0.0.0 and :: are both any local address. */
static int add_texts(struct mt_shared_service *sv, const struct mt_res_listener *l)
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

/* A list that no source has given, or that cannot be compiled: nothing matches, as in Envoy. */
static const struct mt_rule_list no_routes = {.name = "routes"};

static int route_messages(struct mt_build *b, struct mt_shared_service *sv,
	const struct mt_res_listener *l, const struct mt_res_chain *chain,
	const struct mt_res_routes *routes)
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
	rc = mt_b_service_route(b, sv, &f);
	b->mesh = &l->meta;
	if (rc == -EINVAL && routes) {
		/* Not the last word: it is compiled, and refused, with every load. */
		sv->serial = 0;
		f.list = &no_routes;
		rc = mt_b_service_route(b, sv, &f);
	}
	if (rc == 0)
		rc = mt_b_finish_service(b,
			&(struct mt_service_limits){.meta = &l->meta,
				.local = p->limit,
				.global_meta = &l->meta,
				.global = p->global,
				.global_first = p->global_first},
			sv->codec, f.port, sv->s, &sv->hash);
	return rc;
}

/* One rule for all connections. */
static int route_bytes(struct mt_build *b, struct mt_shared_service *sv,
	const struct mt_res_listener *l, const struct mt_res_chain *chain)
{
	struct mt_rule rule = {.dests = chain->dests, .n_dests = chain->n_dests};
	struct mt_rule_list list = {.name = "tcp", .rules = &rule, .n_rules = 1};
	const struct mt_route_for f = {.meta = &l->meta,
		.list = &list,
		.codec = sv->codec,
		.port = l->addresses[0].port,
		.fallback = MT_NO_CLUSTER};

	int rc = mt_b_service_route(b, sv, &f);

	if (rc == 0)
		rc = mt_b_finish_service(b,
			&(struct mt_service_limits){.meta = &l->meta,
				.local = chain->local,
				.global_meta = &l->meta,
				.global = chain->global,
				.global_first = chain->global_first},
			sv->codec, f.port, sv->s, &sv->hash);
	return rc;
}

static bool find_codec(struct mt_build *b, const struct mt_res_listener *l,
	const struct mt_res_chain *chain, struct mt_service_said *said)
{
	struct mt_proto proto;

	if (!chain->proxy) {
		said->codec = mt_codec_bytes();
		return true;
	}
	if (!mt_b_proxy_codec(b, &l->meta, chain->proxy, "filter_chains", &proto))
		return false;
	said->codec = proto.codec;
	said->opts = proto.opts;
	return true;
}

static int fill(struct mt_build *b, struct mt_shared_service *sv, const struct mt_mesh_serve *what,
	const struct mt_res_routes *routes)
{
	const struct mt_res_listener *l = what->listener;
	const struct mt_proxy_patch *p = what->body->proxy;
	uint32_t idle_ms = p && p->idle_ms.set ? p->idle_ms.v : what->body->idle_ms;
	bool first = what->unique == l->meta.name;
	int rc = 0;

	sv->idle_s = (idle_ms + 999) / 1000;
	sv->s->inbound = l->direction == MT_RES_INBOUND;
	sv->s->log_scope = mt_b_chain_logs(&sv->region, what->body);
	if (p) {
		sv->s->tracing =
			mt_b_proxy_tracing(b, &sv->region, &l->meta, p, sv->codec, &sv->tracing);
		sv->hash = mt_hash_u64(sv->tracing, sv->hash);
	}
	sv->s->resource = first ? sv->name : mt_b_keep(b, l->meta.name);
	if (p && p->routes_name.s)
		sv->s->routes_resource = mt_b_keep(b, p->routes_name.s);
	if (first)
		rc = add_texts(sv, l);
	if (rc)
		return rc;
	return p ? route_messages(b, sv, l, what->body, routes) : route_bytes(b, sv, l, what->body);
}

static struct mt_shared_service *make(
	struct mt_build *b, const struct mt_mesh_serve *what, const struct mt_res_routes *routes)
{
	const struct mt_res_listener *l = what->listener;
	struct mt_service_said said = {.unique = what->unique,
		.meta = &l->meta,
		.origin = l->meta.origin,
		.port = l->addresses[0].port};
	struct mt_shared_service *sv;
	int rc;

	b->mesh = &l->meta;
	said.name = said.key = service_name(b, l, what->body);
	said.ns = namespace_of(b, said.name);
	sv = find_codec(b, l, what->body, &said) ? mt_b_service_begin(b, &said) : NULL;
	if (sv) {
		sv->serial = l->meta.serial;
		sv->routes_serial = routes ? routes->meta.serial : 0;
		sv->protocols = b->mesh_build->protocols;
		rc = fill(b, sv, what, routes);
		sv = mt_b_service_end(b, sv, rc);
	}
	b->mesh = NULL;
	return sv;
}

/* ---- found or made ------------------------------------------------------------------------------ */

static bool is_same(struct mt_build *b, struct mt_shared_service *sv,
	const struct mt_mesh_serve *what, const struct mt_res_routes *routes, uint32_t limiter)
{
	if (!sv->serial || sv->serial != what->listener->meta.serial || sv->chain != what->at ||
		sv->extension_serial != what->extension || sv->limiter != limiter ||
		sv->routes_serial != (routes ? routes->meta.serial : 0) ||
		(routes && !sv->routes_serial) || sv->protocols != b->mesh_build->protocols ||
		sv->override_stamp != mt_overrides_service_stamp(&b->conf->overrides, sv->s->name))
		return false;
	return mt_b_service_leads(b, sv, NULL);
}

/* What is wrong is told with each load, as if it had been compiled again. */
static void tell_again(
	struct mt_build *b, const struct mt_shared_service *sv, const struct mt_meta *meta)
{
	for (uint32_t i = 0; i < sv->deps.n; i++)
		if (sv->deps.v[i].kind == MT_DEP_UNKNOWN)
			tell_unknown(b, meta, NULL, sv->deps.v[i].of.name);
}

struct mt_shared_service *mt_mesh_service_get(
	struct mt_build *b, const struct mt_mesh_serve *what, struct mt_shared_service *old)
{
	const struct mt_proxy_patch *p = what->body->proxy;
	const struct mt_global_conf *global;
	struct mt_shared_service *sv;
	const struct mt_res_routes *routes = NULL;
	uint32_t routes_at = old ? old->routes_at : MT_NO_CLUSTER, limiter = 0;
	uint64_t tracing = 0;

	if (p && p->routes_name.s)
		routes = mt_mesh_find(b, MT_RES_NAMED_ROUTES, p->routes_name.s, &routes_at);
	global = p ? p->global : what->body->global;
	if (global)
		limiter = mt_b_mesh_limiter(b, &what->listener->meta, global);
	if (p)
		(void)mt_b_proxy_tracing(b, NULL, &what->listener->meta, p, NULL, &tracing);
	if (old && old->tracing == tracing && is_same(b, old, what, routes, limiter)) {
		tell_again(b, old, routes ? &routes->meta : &what->listener->meta);
		b->conf->shared.work.services_shared++;
		old->refs++;
		old->routes_at = routes_at;
		return old;
	}
	sv = make(b, what, routes);
	if (!sv)
		return NULL;
	sv->routes_at = routes_at;
	sv->limiter = limiter;
	sv->chain = what->at;
	sv->extension_serial = what->extension;
	return sv;
}
