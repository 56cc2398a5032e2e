/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled objects as Envoy resources. Information without a field in them is in their metadata
 * under "meltemi": file and line of the document, and a route's conditions as text.
 */
#include "mt_envoy_dump_priv.h"

#include <stdio.h>
#include <string.h>

static json_t *duration(uint32_t ms)
{
	char text[24];

	snprintf(text, sizeof(text), "%u.%03us", ms / 1000, ms % 1000);
	return json_string(text);
}

/* {"filter_metadata": {"meltemi": {...}}} */
static json_t *metadata(const char *file, uint32_t line, const char *match)
{
	json_t *m = json_object();
	char origin[1200];

	if (file) {
		snprintf(origin, sizeof(origin), line ? "%s:%u" : "%s", file, line);
		mt_json_set(m, MT_M("origin", origin));
	}
	if (match)
		mt_json_set(m, MT_M("match", match));
	return json_pack("{s:{s:o}}", "filter_metadata", "meltemi", m);
}

/* ---- clusters ------------------------------------------------------------------------------- */

static uint32_t priority_of(const struct mt_cluster *cl, uint32_t i)
{
	uint32_t priority = 0;

	for (uint32_t k = 1; k < cl->n_levels; k++)
		if (i >= cl->levels[k].first)
			priority = k;
	return priority;
}

json_t *mt_envoy_assignment(struct mt_envoy *e, const struct mt_cluster *cl)
{
	json_t *localities = json_array(), *hosts = NULL;
	const char *zone = NULL;
	uint32_t priority = 0;

	for (uint32_t i = 0; i < cl->n_eps; i++) {
		const struct mt_endpoint *ep = &cl->eps[i];
		const char *z = mt_endpoint_zone(cl, ep);
		uint32_t p = priority_of(cl, i);
		bool drains = __atomic_load_n(&ep->state->draining, __ATOMIC_RELAXED);

		/* Consecutive endpoints of one zone and priority form a group. */
		if (!hosts || p != priority || (z != zone && (!z || !zone || strcmp(z, zone)))) {
			json_t *l = json_pack("{s:[], s:i}", "lb_endpoints", "priority", (int)p);

			if (z)
				mt_json_set(l, MT_M("locality", mt_json_object(MT_M("zone", z))));
			hosts = json_object_get(l, "lb_endpoints");
			json_array_append_new(localities, l);
			zone = z;
			priority = p;
		}
		json_array_append_new(
			hosts, json_pack("{s:{s:o}, s:s, s:I}", "endpoint", "address",
				       mt_envoy_address(&ep->addr, ep->port), "health_status",
				       drains ? "DRAINING" : "HEALTHY", "load_balancing_weight",
				       (json_int_t)ep->weight));
	}
	return mt_json_object(
		MT_M("cluster_name", cl->endpoints_resource ? cl->endpoints_resource : cl->name),
		MT_M("endpoints", localities));
}

static json_t *retry_budget(const struct mt_retry_budget *b)
{
	return json_pack("{s:{s:f}, s:I}", "budget_percent", "value", b->share / 100.0,
		"min_retry_concurrency", (json_int_t)b->n);
}

json_t *mt_envoy_breakers(const struct mt_cluster *cl)
{
	json_t *t = mt_json_object(MT_M("priority", "DEFAULT"));

	if (cl->max_connections)
		mt_json_set(t, MT_M("max_connections", cl->max_connections));
	if (cl->max_pending)
		mt_json_set(t, MT_M("max_pending_requests", cl->max_pending));
	if (cl->retry_budget.bound == MT_RETRY_BOUND_NUMBER)
		mt_json_set(t, MT_M("max_retries", cl->retry_budget.n));
	if (cl->retry_budget.bound == MT_RETRY_BOUND_SHARE)
		mt_json_set(t, MT_M("retry_budget", retry_budget(&cl->retry_budget)));
	return json_pack("{s:[o]}", "thresholds", t);
}

json_t *mt_envoy_cluster_json(struct mt_envoy *e, const struct mt_cluster *cl)
{
	static const char *const policies[] = {[MT_LB_ROUND_ROBIN] = "ROUND_ROBIN",
		[MT_LB_RANDOM] = "RANDOM",
		[MT_LB_LEAST_REQUEST] = "LEAST_REQUEST",
		[MT_LB_MAGLEV] = "MAGLEV",
		[MT_LB_RING_HASH] = "RING_HASH"};
	bool eds = mt_envoy_by_api(cl) && cl->endpoints_resource;
	json_t *j = mt_json_object(MT_M("@type", MT_ENVOY_TYPE "envoy.config.cluster.v3.Cluster"),
		MT_M("name", cl->name), MT_M("type", eds ? "EDS" : "STATIC"),
		MT_M("lb_policy", policies[cl->lb]),
		MT_M("circuit_breakers", mt_envoy_breakers(cl)),
		MT_M("metadata", metadata(cl->file, 0, NULL)));

	if (eds)
		mt_json_set(
			j, MT_M("eds_cluster_config",
				   json_pack("{s:" ADS_FORMAT ", s:o}", "eds_config", ADS_VALUES,
					   "service_name", mt_json_text(cl->endpoints_resource))));
	else
		mt_json_set(j, MT_M("load_assignment", mt_envoy_assignment(e, cl)));
	if (cl->connect_ms)
		mt_json_set(j, MT_M("connect_timeout", duration(cl->connect_ms)));
	if (cl->outlier.failures)
		mt_json_set(j,
			MT_M("outlier_detection",
				mt_json_object(MT_M("consecutive_5xx", cl->outlier.errors),
					MT_M("consecutive_gateway_failure", cl->outlier.failures),
					MT_M("base_ejection_time", duration(cl->outlier.base_ms)),
					MT_M("max_ejection_time", duration(cl->outlier.max_ms)))));
	return j;
}

/* ---- listeners ------------------------------------------------------------------------------ */

void mt_envoy_routes_name(const struct mt_service *s, uint16_t port, char *buf, size_t size)
{
	if (s->routes_resource)
		snprintf(buf, size, "%s", s->routes_resource);
	else if (port)
		snprintf(buf, size, "%s_%u", s->name, port);
	else
		snprintf(buf, size, "%s", s->name);
}

static json_t *cluster_name(const struct mt_snapshot *s, uint32_t i)
{
	return mt_json_text(i < s->n_clusters ? s->clusters[i].name : "");
}

static json_t *tcp_proxy(const struct mt_snapshot *snap, const struct mt_service *s)
{
	json_t *j =
		mt_json_object(MT_M("@type", MT_ENVOY_TYPE
				       "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"),
			MT_M("stat_prefix", s->name));
	json_t *list;

	if (!s->n_tcp_dests) {
		mt_json_set(j, MT_M("cluster", cluster_name(snap, s->tcp_cluster)));
		return j;
	}
	list = json_array();
	for (uint32_t i = 0; i < s->n_tcp_dests; i++)
		if (s->tcp_dests[i].weight)
			mt_json_add(list, MT_M("name", cluster_name(snap, s->tcp_dests[i].cluster)),
				MT_M("weight", s->tcp_dests[i].weight));
	mt_json_set(j, MT_M("weighted_clusters", mt_json_object(MT_M("clusters", list))));
	return j;
}

static json_t *rpc_proxy(const struct mt_filter_chain_proto *p, const struct mt_service *s)
{
	const struct mt_codec *codec = p->codec;
	char name[512];

	mt_envoy_routes_name(s, p->chain->listener->port, name, sizeof(name));
	return json_pack("{s:s, s:s, s:o, s:{s:s}, s:{s:o, s:" ADS_FORMAT "}}", "@type",
		MT_ENVOY_TYPE "aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy",
		"application_protocol", codec->name, "stat_prefix", mt_json_text(s->name), "codec",
		"name", codec->aeraki_name ? codec->aeraki_name : codec->name, "rds",
		"route_config_name", mt_json_text(name), "config_source", ADS_VALUES);
}

/* Writes the part of a chain's match that is decided by the first bytes of a connection. */
static void set_match(json_t *chain, const struct mt_filter_chain_match *m)
{
	json_t *j = json_object();

	if (m->n_server_names)
		mt_json_set(
			j, MT_M("server_names", mt_json_texts(m->server_names, m->n_server_names)));
	if (m->transport != MT_TRANSPORT_ANY)
		mt_json_set(j, MT_M("transport_protocol",
				       m->transport == MT_TRANSPORT_TLS ? "tls" : "raw_buffer"));
	if (m->n_alpn)
		mt_json_set(j, MT_M("application_protocols", mt_json_texts(m->alpn, m->n_alpn)));
	if (json_object_size(j))
		mt_json_set(chain, MT_M("filter_chain_match", j));
	else
		json_decref(j);
}

static json_t *filter_chain(const struct mt_snapshot *snap, const struct mt_filter_chain *c)
{
	json_t *filters = json_array(), *chain = mt_json_object(MT_M("filters", filters));

	/*
	 * Services on one address are distinguished by a field of their messages; each has a
	 * filter.
	 */
	for (uint32_t i = 0; i < c->n_protos; i++)
		for (uint32_t k = 0; k < c->protos[i].n_services; k++) {
			const struct mt_service *s = c->protos[i].services[k];

			mt_json_add(filters,
				MT_M("name", s->routes ? "aeraki.meta_protocol_proxy"
						       : "envoy.filters.network.tcp_proxy"),
				MT_M("typed_config", s->routes ? rpc_proxy(&c->protos[i], s)
							       : tcp_proxy(snap, s)));
		}
	set_match(chain, &c->match);
	return chain;
}

json_t *mt_envoy_listener_json(struct mt_envoy *e, const struct mt_listener *l, const char *name)
{
	json_t *chains = json_array();

	for (uint32_t i = 0; i < l->n_chains; i++)
		json_array_append_new(chains, filter_chain(mt_ctl_snapshot(e->c), &l->chains[i]));
	return mt_json_object(MT_M("@type", MT_ENVOY_TYPE "envoy.config.listener.v3.Listener"),
		MT_M("name", name), MT_M("address", mt_envoy_address(&l->addr, l->port)),
		MT_M("filter_chains", chains), MT_M("metadata", metadata(l->file, l->line, NULL)));
}

/* ---- routes --------------------------------------------------------------------------------- */

static json_t *mirrors(const struct mt_snapshot *snap, const struct mt_route_action *a)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < a->n_mirrors; i++)
		json_array_append_new(
			list, json_pack("{s:o, s:{s:{s:I, s:s}}}", "cluster",
				      cluster_name(snap, a->mirrors[i].cluster), "runtime_fraction",
				      "default_value", "numerator", (json_int_t)a->mirrors[i].ppm,
				      "denominator", "MILLION"));
	return list;
}

static json_t *retry_policy(const struct mt_retry *r)
{
	char on[MT_RETRY_TEXT];
	json_t *p = mt_json_object(
		MT_M("retry_on", mt_retry_text(r->on, ",", on)), MT_M("num_retries", r->attempts));

	if (r->try_ms)
		mt_json_set(p, MT_M("per_try_timeout", duration(r->try_ms)));
	mt_json_set(p,
		MT_M("retry_back_off", mt_json_object(MT_M("base_interval", duration(r->base_ms)),
					       MT_M("max_interval", duration(r->max_ms)))));
	return p;
}

static json_t *route_target(const struct mt_snapshot *snap, const struct mt_route_action *a)
{
	json_t *r = json_object(), *list;

	if (a->n_dests == 1) {
		mt_json_set(r, MT_M("cluster", cluster_name(snap, a->dests[0].cluster)));
	} else {
		list = json_array();
		for (uint32_t i = 0; i < a->n_dests; i++)
			mt_json_add(list, MT_M("name", cluster_name(snap, a->dests[i].cluster)),
				MT_M("weight", a->dests[i].weight));
		mt_json_set(r, MT_M("weighted_clusters", mt_json_object(MT_M("clusters", list))));
	}
	if (a->n_mirrors)
		mt_json_set(r, MT_M("request_mirror_policies", mirrors(snap, a)));
	if (a->timeout_ms)
		mt_json_set(r, MT_M("timeout", duration(a->timeout_ms)));
	if (a->retry)
		mt_json_set(r, MT_M("retry_policy", retry_policy(a->retry)));
	return r;
}

static json_t *mutations(const struct mt_mutation *m, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:{s:o, s:o}}", "header", "key",
						    mt_json_bytes(m[i].key, m[i].key_len), "value",
						    mt_json_bytes(m[i].value, m[i].value_len)));
	return list;
}

json_t *mt_envoy_routes_json(struct mt_envoy *e, const struct mt_service *s, const char *name)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(e->c);
	json_t *routes = json_array();

	for (uint32_t i = 0; i < mt_route_count(s->routes); i++) {
		const struct mt_route_action *a = mt_route_at(s->routes, i);
		json_t *r = json_pack("{s:o, s:{s:s}, s:o, s:o}", "name",
			mt_json_text(a->name ? a->name : ""), "match", "prefix", "/", "route",
			route_target(snap, a), "metadata", metadata(a->file, a->line, a->match));

		if (a->n_req_mut)
			mt_json_set(r, MT_M("request_headers_to_add",
					       mutations(a->req_mut, a->n_req_mut)));
		if (a->n_rsp_mut)
			mt_json_set(r, MT_M("response_headers_to_add",
					       mutations(a->rsp_mut, a->n_rsp_mut)));
		json_array_append_new(routes, r);
	}
	return json_pack("{s:s, s:o, s:[{s:o, s:[s], s:o}]}", "@type",
		MT_ENVOY_TYPE "envoy.config.route.v3.RouteConfiguration", "name",
		mt_json_text(name), "virtual_hosts", "name", mt_json_text(s->name), "domains", "*",
		"routes", routes);
}
