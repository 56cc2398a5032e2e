/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps routes of messages: RouteConfiguration (RDS) and MetaProtocol's inline route_config.
 * Messages have no host, so a RouteConfiguration has at most one virtual host, whose name and
 * domains do not matter.
 */
#include "mt_xds_map_priv.h"

#include <string.h>

#define ROUTES_MAX 100000u
#define HASH_MAX   100u
/* Hash keys that a load balancer combines: MT_CLUSTER_HASH_KEYS of lib/upstream. */
#define HASH_TAKEN 4u

/*
 * Maps a match. Conditions that messages cannot meet are errors, because a route without them would
 * match more.
 */
static bool match(struct mt_xmap *m, const Xds__RouteMatch *r, struct mt_rule *rule)
{
	struct mt_rule_match *to = mt_xm_match(m, rule);
	uint32_t mark = mt_xm_in(m, "match"), ppm;

	if (!to)
		return false;
	if (!r) {
		mt_xm_out(m, mark);
		return true;
	}
	if (r->path_specifier_case != XDS__ROUTE_MATCH__PATH_SPECIFIER__NOT_SET &&
		(r->path_specifier_case != XDS__ROUTE_MATCH__PATH_SPECIFIER_PREFIX ||
			(*r->prefix && strcmp(r->prefix, "/") != 0)))
		return mt_xm_bad(m, NULL, "messages have no path; only the prefix \"/\" holds");
	if (r->runtime_fraction) {
		if (!mt_xm_fraction(m, "runtime_fraction.default_value",
			    r->runtime_fraction->default_value, &ppm))
			return false;
		if (ppm != 1000000)
			return mt_xm_bad(m, "runtime_fraction",
				"a part of the messages cannot be matched; use weighted_clusters");
	}
	if (!mt_xm_headers(m, "headers", r->headers, r->n_headers, to))
		return false;
	mt_xm_out(m, mark);
	return true;
}

static bool hash_key(struct mt_xmap *m, const char *field, const char *key, struct mt_rule *rule)
{
	struct mt_text *t;

	if (rule->n_hash_keys == HASH_MAX)
		return mt_xm_bad(m, field, "more than %u", HASH_MAX);
	if (rule->n_hash_keys == HASH_TAKEN)
		mt_xm_note(m, MT_XDS_NOTE_hash_more, NULL);
	t = mt_region_push(m->r, (void **)&rule->hash_keys, &rule->n_hash_keys, sizeof(*t));
	if (!t)
		return mt_xm_no_memory(m);
	return mt_xm_name_text(m, field, key, t);
}

static bool hash_policies(struct mt_xmap *m, const Xds__RouteAction *a, struct mt_rule *rule)
{
	for (size_t i = 0; i < a->n_hash_policy; i++) {
		const Xds__RouteAction__HashPolicy *h = a->hash_policy[i];
		uint32_t mark = mt_xm_at(m, "hash_policy", i);

		if (h->policy_specifier_case ==
			XDS__ROUTE_ACTION__HASH_POLICY__POLICY_SPECIFIER_HEADER) {
			if (!hash_key(m, "header.header_name", h->header->header_name, rule))
				return false;
		} else if (
			h->policy_specifier_case ==
				XDS__ROUTE_ACTION__HASH_POLICY__POLICY_SPECIFIER_CONNECTION_PROPERTIES &&
			h->connection_properties->source_ip)
			rule->hash_source = true;
		else
			mt_xm_note(m, MT_XDS_NOTE_hash_other, NULL);
		mt_xm_out(m, mark);
	}
	return true;
}

static bool action(struct mt_xmap *m, const Xds__RouteAction *a, struct mt_rule *rule)
{
	uint32_t mark = mt_xm_in(m, "route");
	bool ok = true;

	if (a->cluster_specifier_case == XDS__ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER)
		ok = mt_xm_one_cluster(m, a->cluster, rule);
	else if (a->cluster_specifier_case ==
		 XDS__ROUTE_ACTION__CLUSTER_SPECIFIER_WEIGHTED_CLUSTERS)
		ok = mt_xm_weighted(m, "weighted_clusters", a->weighted_clusters, rule);
	else
		return mt_xm_bad(m, NULL, "neither cluster nor weighted_clusters");
	if (!ok || !mt_xm_ms(m, "timeout", a->timeout, 0, &rule->timeout.v) ||
		!hash_policies(m, a, rule) || !mt_xm_retries(m, a->retry_policy, &rule->retries))
		return false;
	for (size_t i = 0; i < a->n_request_mirror_policies; i++) {
		const Xds__RouteAction__RequestMirrorPolicy *one = a->request_mirror_policies[i];

		if (!mt_xm_mirror(m, i, one->cluster, one->runtime_fraction, rule))
			return false;
	}
	rule->timeout.set = rule->timeout.v != 0;
	mt_xm_out(m, mark);
	return true;
}

/* Maps header changes in the order in which they apply: first removed keys, then set values. */
static bool mutations(struct mt_xmap *m, const char *add, Xds__HeaderValueOption *const *v,
	size_t n, const char *remove, char *const *keys, size_t n_keys,
	struct mt_rule_mutation **list, uint32_t *n_list)
{
	uint32_t mark;

	for (size_t i = 0; i < n_keys; i++) {
		mark = mt_xm_at(m, remove, i);
		if (!mt_xm_mutation(m, keys[i], NULL, list, n_list))
			return false;
		mt_xm_out(m, mark);
	}
	for (size_t i = 0; i < n; i++) {
		const Xds__HeaderValue *h = v[i]->header;

		mark = mt_xm_at(m, add, i);
		if (!h)
			return mt_xm_bad(m, "header", "missing");
		if (h->raw_value.len)
			return mt_xm_bad(m, "header.raw_value", "only texts are set (value)");
		if (v[i]->append_action == 1 || v[i]->append_action == 3)
			mt_xm_note(m, MT_XDS_NOTE_append, "append_action");
		mt_xm_in(m, "header");
		if (!mt_xm_mutation(m, h->key, h->value, list, n_list))
			return false;
		mt_xm_out(m, mark);
	}
	return true;
}

static bool route(struct mt_xmap *m, const Xds__Route *r, struct mt_rule *rule)
{
	rule->origin.file = m->out->meta->origin.file;
	if (*r->name && !mt_xm_words(m, "name", r->name, MT_XM_NAME_MAX, &rule->name))
		return false;
	if (r->action_case != XDS__ROUTE__ACTION_ROUTE)
		return mt_xm_bad(m, "route", "missing: messages are routed to clusters only");
	return match(m, r->match, rule) && action(m, r->route, rule) &&
	       mutations(m, "request_headers_to_add", r->request_headers_to_add,
		       r->n_request_headers_to_add, "request_headers_to_remove",
		       r->request_headers_to_remove, r->n_request_headers_to_remove, &rule->req_mut,
		       &rule->n_req_mut) &&
	       mutations(m, "response_headers_to_add", r->response_headers_to_add,
		       r->n_response_headers_to_add, "response_headers_to_remove",
		       r->response_headers_to_remove, r->n_response_headers_to_remove,
		       &rule->rsp_mut, &rule->n_rsp_mut);
}

bool mt_xm_route_configuration(struct mt_xmap *m, const Xds__RouteConfiguration *c)
{
	struct mt_res_routes *out = mt_xm_alloc(m, sizeof(*out));
	const Xds__VirtualHost *v = c->n_virtual_hosts ? c->virtual_hosts[0] : NULL;
	struct mt_rule_retries *retries = NULL; /* of routes without a policy */

	if (!out ||
		!mt_xm_add(m, &m->out->part->res_routes, &out->meta, "RouteConfiguration", c->name))
		return false;
	out->list.origin = out->meta.origin;
	out->list.name = "virtual_hosts[0].routes";
	if (c->n_virtual_hosts > 1)
		return mt_xm_bad(m, "virtual_hosts", "messages have no host: one of them at most");
	if (!v)
		return true;
	if (v->n_routes > ROUTES_MAX)
		return mt_xm_bad(m, "virtual_hosts[0].routes", "more than %u", ROUTES_MAX);
	out->list.rules = mt_xm_array(m, v->n_routes, sizeof(*out->list.rules));
	if (!out->list.rules)
		return false;
	mt_xm_in(m, "virtual_hosts[0]");
	if (!mt_xm_retries(m, v->retry_policy, &retries))
		return false;
	for (size_t i = 0; i < v->n_routes; i++) {
		uint32_t mark = mt_xm_at(m, "routes", i);

		struct mt_rule *rule = &out->list.rules[out->list.n_rules++];

		if (!route(m, v->routes[i], rule))
			return false;
		if (!rule->retries)
			rule->retries = retries;
		mt_xm_out(m, mark);
	}
	return true;
}

/* ---- MetaProtocol's route_config ------------------------------------------------------------- */

static bool meta_action(struct mt_xmap *m, const Xds__MetaRouteAction *a, struct mt_rule *rule)
{
	uint32_t mark = mt_xm_in(m, "route");
	bool ok = true;

	if (a->cluster_specifier_case == XDS__META_ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER)
		ok = mt_xm_one_cluster(m, a->cluster, rule);
	else if (a->cluster_specifier_case ==
		 XDS__META_ROUTE_ACTION__CLUSTER_SPECIFIER_WEIGHTED_CLUSTERS)
		ok = mt_xm_weighted(m, "weighted_clusters", a->weighted_clusters, rule);
	else
		return mt_xm_bad(m, NULL, "neither cluster nor weighted_clusters");
	for (size_t i = 0; ok && i < a->n_hash_policy; i++)
		ok = hash_key(m, "hash_policy", a->hash_policy[i], rule);
	for (size_t i = 0; ok && i < a->n_request_mirror_policies; i++)
		ok = mt_xm_mirror(m, i, a->request_mirror_policies[i]->cluster,
			a->request_mirror_policies[i]->runtime_fraction, rule);
	if (!ok)
		return false;
	mt_xm_out(m, mark);
	return true;
}

static bool meta_mutations(struct mt_xmap *m, const char *field, Xds__MetaKeyValue *const *v,
	size_t n, struct mt_rule_mutation **list, uint32_t *n_list)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t mark = mt_xm_at(m, field, i);

		if (!mt_xm_mutation(m, v[i]->key, v[i]->value, list, n_list))
			return false;
		mt_xm_out(m, mark);
	}
	return true;
}

static bool meta_route(struct mt_xmap *m, const Xds__MetaRoute *r, struct mt_rule *rule)
{
	struct mt_rule_match *to;

	rule->origin.file = m->out->meta->origin.file;
	to = mt_xm_match(m, rule);
	if (!to || (*r->name && !mt_xm_words(m, "name", r->name, MT_XM_NAME_MAX, &rule->name)))
		return false;
	if (!r->route)
		return mt_xm_bad(m, "route", "missing");
	return (!r->match || mt_xm_headers(m, "match.metadata", r->match->metadata,
				     r->match->n_metadata, to)) &&
	       meta_action(m, r->route, rule) &&
	       meta_mutations(m, "request_mutation", r->request_mutation, r->n_request_mutation,
		       &rule->req_mut, &rule->n_req_mut) &&
	       meta_mutations(m, "response_mutation", r->response_mutation, r->n_response_mutation,
		       &rule->rsp_mut, &rule->n_rsp_mut);
}

bool mt_xm_meta_routes(
	struct mt_xmap *m, const Xds__MetaRouteConfiguration *c, struct mt_rule_list *out)
{
	uint32_t mark = mt_xm_in(m, "route_config");

	if (!c->n_routes)
		return mt_xm_bad(m, "routes", "there are none");
	if (c->n_routes > ROUTES_MAX)
		return mt_xm_bad(m, "routes", "more than %u", ROUTES_MAX);
	out->rules = mt_xm_array(m, c->n_routes, sizeof(*out->rules));
	if (!out->rules)
		return false;
	for (size_t i = 0; i < c->n_routes; i++) {
		uint32_t inner = mt_xm_at(m, "routes", i);

		if (!meta_route(m, c->routes[i], &out->rules[out->n_rules++]))
			return false;
		mt_xm_out(m, inner);
	}
	mt_xm_out(m, mark);
	return true;
}
