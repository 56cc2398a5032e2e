/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps Envoy's thrift_proxy and dubbo_proxy to the same rules, with the metadata keys of the
 * codecs.
 */
#include "mt_xds_map_priv.h"

#include <string.h>

#define RULES_MAX 100000u

static struct mt_proxy_patch *start(struct mt_xmap *m, const char *protocol)
{
	struct mt_proxy_patch *p = mt_xm_alloc(m, sizeof(*p));

	if (!p)
		return NULL;
	p->origin.file = m->out->meta->origin.file;
	p->protocol.s = p->codec.s = protocol;
	p->routes.origin = p->origin;
	p->routes.name = "route_config.routes";
	return p;
}

static struct mt_rule *add_rule(struct mt_xmap *m, struct mt_proxy_patch *p)
{
	struct mt_rule_list *l = &p->routes;
	struct mt_rule *r;

	if (l->n_rules == RULES_MAX) {
		mt_xm_bad(m, NULL, "more than %u routes", RULES_MAX);
		return NULL;
	}
	r = mt_region_push(m->r, (void **)&l->rules, &l->n_rules, sizeof(*r));
	if (!r)
		mt_xm_no_memory(m);
	else
		r->origin = p->origin;
	return r;
}

#define NETWORK "envoy.extensions.filters.network."
#define THRIFT	NETWORK "thrift_proxy.filters."

/* Filters of a proxy, by the types of their configurations. */
struct filters {
	const char *router, *router_type;
	const char *harmless[3]; /* metadata; NULL-terminated */
	enum mt_xds_note not_run, protection;
};

static const struct filters thrift_filters = {"envoy.filters.thrift.router",
	NETWORK "thrift_proxy.router.v3.Router",
	{THRIFT "header_to_metadata.v3.HeaderToMetadata",
		THRIFT "payload_to_metadata.v3.PayloadToMetadata"},
	MT_XDS_NOTE_thrift_filter, MT_XDS_NOTE_thrift_protection};

static const struct filters dubbo_filters = {"envoy.filters.dubbo.router",
	NETWORK "dubbo_proxy.router.v3.Router", {NULL}, MT_XDS_NOTE_dubbo_protection,
	MT_XDS_NOTE_dubbo_protection};

/*
 * Notes a filter other than the router, because it is not run. A filter that may enforce access
 * must not be skipped, so the chain is not served then. The type decides, because a control plane
 * chooses names freely; only a router without a configuration, as is usual, has its exact name.
 */
static bool filter(struct mt_xmap *m, struct mt_res_chain *c, const struct filters *known,
	const char *name, const char *field, const Xds__Any *config)
{
	struct mt_xm_any any;

	if (!mt_xm_open(m, field, config, &any))
		return false;
	if (*any.type ? strcmp(any.type, known->router_type) == 0
		      : strcmp(name, known->router) == 0)
		return true;
	for (const char *const *t = known->harmless; *t; t++) {
		if (strcmp(any.type, *t) == 0) {
			mt_xm_note(m, known->not_run, NULL);
			return true;
		}
	}
	mt_xm_note(m, known->protection, NULL);
	c->unserved = "one of its filters is not run here and may protect";
	return true;
}

static bool exact(struct mt_xmap *m, const char *key, const char *value, size_t len,
	struct mt_rule_match *match, struct mt_cond **out)
{
	struct mt_cond *c = mt_xm_cond(m, key, match);

	if (!c)
		return false;
	c->op = MT_COND_EXACT;
	c->value.s = mt_region_strndup(m->r, value, len);
	if (out)
		*out = c;
	return c->value.s || mt_xm_no_memory(m);
}

/* ---- Thrift ---------------------------------------------------------------------------------- */

/*
 * Envoy compares the whole name, which is "service:method" in multiplexed messages; the codec
 * splits it at the first colon. A method_name without a colon therefore matches only messages
 * without a service.
 */
struct thrift_name {
	const char *service; /* NULL: only messages without one */
	const char *method;  /* NULL: any */
	enum mt_cond_op op;  /* for the method */
};

static bool split_name(
	struct mt_xmap *m, const char *name, bool is_service, struct thrift_name *out)
{
	size_t len = strlen(name);
	const char *colon;

	/*
	 * A service_name is a prefix of the whole name, with or without its last colon. So "a:b"
	 * matches methods of service "a" that start with "b:".
	 */
	if (is_service && name[len - 1] == ':')
		len--;
	colon = memchr(name, ':', len);
	*out = (struct thrift_name){.op = MT_COND_EXACT};
	if (*name == ':')
		return mt_xm_bad(
			m, is_service ? "service_name" : "method_name", "begins with a colon");
	if (!colon && !is_service) {
		out->method = name;
		return true;
	}
	out->service = mt_region_strndup(m->r, name, colon ? (size_t)(colon - name) : len);
	if (colon && is_service) {
		out->op = MT_COND_PREFIX;
		out->method =
			mt_region_printf(m->r, "%.*s:", (int)(name + len - colon - 1), colon + 1);
	} else if (colon) {
		out->method = colon + 1;
	}
	return (out->service && (!colon || out->method)) || mt_xm_no_memory(m);
}

static bool service_is(
	struct mt_xmap *m, const char *service, bool invert, struct mt_rule_match *to)
{
	struct mt_cond *c;

	if (service) {
		if (!exact(m, "service", service, strlen(service), to, &c))
			return false;
		c->invert = c->missing_as_empty = invert;
		return true;
	}
	c = mt_xm_cond(m, "service", to);
	if (c)
		c->invert = !invert;
	return c;
}

static bool method_is(
	struct mt_xmap *m, const struct thrift_name *n, bool invert, struct mt_rule_match *to)
{
	struct mt_cond *c;

	if (!n->method)
		return true;
	if (!exact(m, "method", n->method, strlen(n->method), to, &c))
		return false;
	c->op = n->op;
	c->invert = c->missing_as_empty = invert;
	return true;
}

/* Maps a match. With `invert`, either the service or the method must differ: one match for each. */
static bool thrift_matches(struct mt_xmap *m, const Xds__ThriftRouteMatch *t, struct mt_rule *rule)
{
	bool is_service =
		t->match_specifier_case == XDS__THRIFT_ROUTE_MATCH__MATCH_SPECIFIER_SERVICE_NAME;
	const char *name = is_service		     ? t->service_name
			   : t->match_specifier_case ? t->method_name
						     : "";
	struct thrift_name n = {0};

	if (!*name && t->invert)
		return mt_xm_bad(m, "invert", "nothing is left when every message is meant");
	if (*name && !split_name(m, name, is_service, &n))
		return false;
	rule->n_matches = n.method && t->invert ? 2 : 1;
	rule->matches = mt_xm_array(m, rule->n_matches, sizeof(*rule->matches));
	if (!rule->matches)
		return false;
	for (uint32_t i = 0; i < rule->n_matches; i++) {
		struct mt_rule_match *to = &rule->matches[i];

		to->origin = rule->origin;
		if (*name && (!t->invert || i == 0) && !service_is(m, n.service, t->invert, to))
			return false;
		if (n.method && (!t->invert || i == 1) && !method_is(m, &n, t->invert, to))
			return false;
		if (!mt_xm_headers(m, "headers", t->headers, t->n_headers, to))
			return false;
	}
	return true;
}

static bool thrift_weights(
	struct mt_xmap *m, const Xds__ThriftWeightedCluster *all, struct mt_rule *rule)
{
	struct mt_xm_weights w = {0};

	for (size_t i = 0; i < all->n_clusters; i++) {
		const Xds__ThriftClusterWeight *one = all->clusters[i];
		uint32_t mark = mt_xm_at(m, "weighted_clusters.clusters", i);

		if (!mt_xm_weigh(m, &w, one->name, one->weight ? one->weight->value : 0))
			return false;
		mt_xm_out(m, mark);
	}
	rule->dests = w.dests;
	rule->n_dests = w.n;
	return mt_xm_weighed(m, "weighted_clusters", &w);
}

static bool thrift_action(struct mt_xmap *m, const Xds__ThriftRouteAction *a, struct mt_rule *rule,
	struct mt_global_conf *g)
{
	bool ok;

	if (a->cluster_specifier_case == XDS__THRIFT_ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER)
		ok = mt_xm_one_cluster(m, a->cluster, rule);
	else if (a->cluster_specifier_case ==
		 XDS__THRIFT_ROUTE_ACTION__CLUSTER_SPECIFIER_WEIGHTED_CLUSTERS)
		ok = thrift_weights(m, a->weighted_clusters, rule);
	else
		return mt_xm_bad(m, NULL, "neither cluster nor weighted_clusters");
	if (a->strip_service_name)
		return mt_xm_bad(m, "strip_service_name", "methods' names are not changed here");
	for (size_t i = 0; ok && i < a->n_request_mirror_policies; i++)
		ok = mt_xm_mirror(m, i, a->request_mirror_policies[i]->cluster,
			a->request_mirror_policies[i]->runtime_fraction, rule);
	if (ok && g)
		ok = mt_xm_rate_limits(m, a->rate_limits, a->n_rate_limits, rule, g);
	return ok;
}

static bool thrift_route(struct mt_xmap *m, const Xds__ThriftRoute *r, struct mt_proxy_patch *p)
{
	struct mt_rule *rule = add_rule(m, p);
	uint32_t mark;

	if (!rule)
		return false;
	if (!r->match)
		return mt_xm_bad(m, "match", "missing");
	if (!r->route)
		return mt_xm_bad(m, "route", "missing");
	mark = mt_xm_in(m, "match");
	if (!thrift_matches(m, r->match, rule))
		return false;
	mt_xm_out(m, mark);
	mt_xm_in(m, "route");
	return thrift_action(m, r->route, rule, p->global);
}

static bool thrift_filter(struct mt_xmap *m, struct mt_res_chain *c, const char *name,
	const Xds__Any *config, struct mt_proxy_patch *p)
{
	struct mt_xm_any any;
	const void *msg;

	if (!mt_xm_open(m, "typed_config", config, &any))
		return false;
	if (strcmp(any.type, THRIFT "ratelimit.v3.RateLimit") != 0)
		return filter(m, c, &thrift_filters, name, "typed_config", config);
	msg = mt_xm_read(m, "typed_config", &any, &xds__thrift_rate_limit__descriptor);
	mt_xm_in(m, "typed_config");
	if (!msg || !mt_xm_thrift_global(m, msg, &p->global))
		return false;
	p->global->rules = &p->routes;
	return true;
}

bool mt_xm_thrift_proxy(struct mt_xmap *m, const Xds__ThriftProxy *t, struct mt_res_chain *c)
{
	struct mt_proxy_patch *p = start(m, "thrift");

	if (!p)
		return false;
	if (t->trds)
		return mt_xm_bad(
			m, "trds", "routes of this type are not fetched; use route_config");
	if (!t->route_config || !t->route_config->n_routes)
		return mt_xm_bad(m, "route_config.routes", "there are none");
	if (t->transport < 0 || t->transport > 3 || t->protocol < 0 || t->protocol > 3)
		return mt_xm_bad(m, "protocol", "not one that is spoken here");
	if (t->transport || t->protocol)
		mt_xm_note(m, MT_XDS_NOTE_thrift_fixed, t->transport ? "transport" : "protocol");
	if (!mt_xm_access_logs(m, t->access_log, t->n_access_log, &p->logs))
		return false;
	for (size_t i = 0; i < t->n_thrift_filters; i++) {
		const Xds__ThriftFilter *f = t->thrift_filters[i];
		bool typed = f->config_type_case == XDS__THRIFT_FILTER__CONFIG_TYPE_TYPED_CONFIG;
		uint32_t mark = mt_xm_at(m, "thrift_filters", i);

		if (!thrift_filter(m, c, f->name, typed ? f->typed_config : NULL, p))
			return false;
		mt_xm_out(m, mark);
	}
	for (size_t i = 0; i < t->route_config->n_routes; i++) {
		uint32_t mark = mt_xm_at(m, "route_config.routes", i);

		if (!thrift_route(m, t->route_config->routes[i], p))
			return false;
		mt_xm_out(m, mark);
	}
	c->proxy = p;
	return true;
}

/* ---- Dubbo ----------------------------------------------------------------------------------- */

/* Adds a condition for an interface: "a.b.C", "*.C" or "a.b.*"; none for "" and "*". */
static bool dubbo_interface(struct mt_xmap *m, const char *name, struct mt_rule_match *to)
{
	size_t len = strlen(name);
	enum mt_cond_op op = MT_COND_EXACT;
	struct mt_cond *c = NULL;

	if (!len || strcmp(name, "*") == 0)
		return true;
	if (*name == '*') {
		op = MT_COND_SUFFIX;
		name++;
		len--;
	} else if (name[len - 1] == '*') {
		op = MT_COND_PREFIX;
		len--;
	}
	if (!exact(m, "interface", name, len, to, &c))
		return false;
	c->op = op;
	return true;
}

static bool dubbo_match(struct mt_xmap *m, const Xds__DubboRouteConfiguration *all,
	const Xds__DubboRouteMatch *d, struct mt_rule_match *to)
{
	struct mt_cond *c;
	uint32_t mark;

	if (!dubbo_interface(m, all->interface, to) ||
		(*all->group && strcmp(all->group, "*") != 0 &&
			!exact(m, "group", all->group, strlen(all->group), to, NULL)) ||
		(*all->version && strcmp(all->version, "*") != 0 &&
			!exact(m, "version", all->version, strlen(all->version), to, NULL)))
		return false;
	if (!d)
		return true;
	mark = mt_xm_in(m, "match");
	if (d->method && d->method->n_params_match)
		return mt_xm_bad(m, "method.params_match", "arguments are not looked at");
	if (d->method && d->method->name) {
		c = mt_xm_cond(m, "method", to);
		if (!c || !mt_xm_string_match(m, "method.name", d->method->name, c))
			return false;
	}
	if (!mt_xm_headers(m, "headers", d->headers, d->n_headers, to))
		return false;
	mt_xm_out(m, mark);
	return true;
}

static bool dubbo_route(struct mt_xmap *m, const Xds__DubboRouteConfiguration *all,
	const Xds__DubboRoute *r, struct mt_proxy_patch *p)
{
	struct mt_rule *rule = add_rule(m, p);
	struct mt_rule_match *match = rule ? mt_xm_match(m, rule) : NULL;
	const Xds__DubboRouteAction *a = r->route;

	if (!match || !dubbo_match(m, all, r->match, match))
		return false;
	mt_xm_in(m, "route");
	if (a && a->cluster_specifier_case == XDS__DUBBO_ROUTE_ACTION__CLUSTER_SPECIFIER_CLUSTER)
		return mt_xm_one_cluster(m, a->cluster, rule);
	if (a && a->cluster_specifier_case ==
			 XDS__DUBBO_ROUTE_ACTION__CLUSTER_SPECIFIER_WEIGHTED_CLUSTERS)
		return mt_xm_weighted(m, "weighted_clusters", a->weighted_clusters, rule);
	return mt_xm_bad(m, NULL, "neither cluster nor weighted_clusters");
}

static bool dubbo_routes(struct mt_xmap *m, const char *field,
	Xds__DubboRouteConfiguration *const *all, size_t n, struct mt_proxy_patch *p)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t mark = mt_xm_at(m, field, i);

		for (size_t k = 0; k < all[i]->n_routes; k++) {
			uint32_t inner = mt_xm_at(m, "routes", k);

			if (!dubbo_route(m, all[i], all[i]->routes[k], p))
				return false;
			mt_xm_out(m, inner);
		}
		mt_xm_out(m, mark);
	}
	return true;
}

bool mt_xm_dubbo_proxy(struct mt_xmap *m, const Xds__DubboProxy *d, struct mt_res_chain *c)
{
	struct mt_proxy_patch *p = start(m, "dubbo");
	const Xds__DubboMultipleRouteConfiguration *many = NULL;

	if (!p)
		return false;
	if (d->route_specifier_case == XDS__DUBBO_PROXY__ROUTE_SPECIFIER_DRDS)
		return mt_xm_bad(
			m, "drds", "routes of this type are not fetched; use route_config");
	if (d->route_specifier_case == XDS__DUBBO_PROXY__ROUTE_SPECIFIER_MULTIPLE_ROUTE_CONFIG)
		many = d->multiple_route_config;
	if (d->protocol_type || d->serialization_type)
		return mt_xm_bad(m, "protocol_type", "not one that is spoken here");
	for (size_t i = 0; i < d->n_dubbo_filters; i++) {
		const Xds__DubboFilter *f = d->dubbo_filters[i];
		uint32_t mark = mt_xm_at(m, "dubbo_filters", i);

		if (!filter(m, c, &dubbo_filters, f->name, "config", f->config))
			return false;
		mt_xm_out(m, mark);
	}
	if (!dubbo_routes(m, "route_config", d->route_config, d->n_route_config, p) ||
		(many && !dubbo_routes(m, "multiple_route_config.route_config", many->route_config,
				 many->n_route_config, p)))
		return false;
	if (!p->routes.n_rules)
		return mt_xm_bad(m, "route_config", "there are no routes");
	c->proxy = p;
	return true;
}
