/* SPDX-License-Identifier: Apache-2.0 */
/* Maps Cluster (CDS). */
#include "mt_xds_map_priv.h"

#include <string.h>

#define RING_MAX	8388608u /* limit of the API */
#define TABLE_MAX	5000011u
#define OUTLIER_DEFAULT 5u

static bool discovery(struct mt_xmap *m, const Xds__Cluster *c, struct mt_res_cluster *out)
{
	static const enum mt_res_discovery types[] = {MT_RES_STATIC, MT_RES_STRICT_DNS,
		MT_RES_LOGICAL_DNS, MT_RES_EDS, MT_RES_ORIGINAL_DST};

	if (c->cluster_discovery_type_case == XDS__CLUSTER__CLUSTER_DISCOVERY_TYPE_CLUSTER_TYPE)
		return mt_xm_bad(m, "cluster_type.name", "\"%.64s\" is not a known type",
			c->cluster_type->name);
	if (c->cluster_discovery_type_case == XDS__CLUSTER__CLUSTER_DISCOVERY_TYPE_TYPE) {
		if (c->type < 0 || c->type >= (int32_t)MT_ARRAY_LEN(types))
			return mt_xm_bad(m, "type", "%d is not known", c->type);
		out->discovery = types[c->type];
	}
	return true;
}

#define POLICIES "envoy.extensions.load_balancing_policies."

/* Maximum nesting: a policy in a policy (WrrLocality). */
#define POLICY_DEPTH 2u

/* Selects the first supported policy of the list, as the API specifies. */
static bool policy(struct mt_xmap *m, const Xds__LoadBalancingPolicy *list, unsigned int depth,
	struct mt_res_cluster *out)
{
	static const struct {
		const char *type;
		enum mt_res_lb lb;
	} known[] = {{POLICIES "round_robin.v3.RoundRobin", MT_RES_ROUND_ROBIN},
		{POLICIES "least_request.v3.LeastRequest", MT_RES_LEAST_REQUEST},
		{POLICIES "random.v3.Random", MT_RES_RANDOM},
		{POLICIES "ring_hash.v3.RingHash", MT_RES_RING_HASH},
		{POLICIES "maglev.v3.Maglev", MT_RES_MAGLEV}};
	const Xds__TypedExtensionConfig *config;
	const Xds__WrrLocality *weighted;
	struct mt_xm_any any;

	for (size_t i = 0; list && i < list->n_policies; i++) {
		config = list->policies[i]->typed_extension_config;
		if (!config || !mt_xm_open(m, "load_balancing_policy", config->typed_config, &any))
			continue;
		for (size_t k = 0; k < MT_ARRAY_LEN(known); k++)
			if (strcmp(any.type, known[k].type) == 0) {
				out->lb = known[k].lb;
				mt_xm_note(m, MT_XDS_NOTE_lb_config, "load_balancing_policy");
				return true;
			}
		if (strcmp(any.type, POLICIES "wrr_locality.v3.WrrLocality") != 0 ||
			depth == POLICY_DEPTH)
			continue;
		weighted = mt_xm_read(
			m, "load_balancing_policy", &any, &xds__wrr_locality__descriptor);
		out->locality_weighted = true;
		return weighted && policy(m, weighted->endpoint_picking_policy, depth + 1, out);
	}
	return mt_xm_bad(m, "load_balancing_policy", "no policy that is known here");
}

static bool balancer(struct mt_xmap *m, const Xds__Cluster *c, struct mt_res_cluster *out)
{
	if (c->load_balancing_policy)
		return policy(m, c->load_balancing_policy, 1, out);
	switch (c->lb_policy) {
	case 0:
		out->lb = MT_RES_ROUND_ROBIN;
		return true;
	case 1:
		out->lb = MT_RES_LEAST_REQUEST;
		return true;
	case 2:
		out->lb = MT_RES_RING_HASH;
		return true;
	case 3:
		out->lb = MT_RES_RANDOM;
		return true;
	case 5:
		out->lb = MT_RES_MAGLEV;
		return true;
	case 6:
		if (out->discovery != MT_RES_ORIGINAL_DST)
			mt_xm_note(m, MT_XDS_NOTE_lb_provided, "lb_policy");
		return true;
	case 7:
		return mt_xm_bad(m, "load_balancing_policy", "missing");
	default:
		return mt_xm_bad(m, "lb_policy", "%d is not known", c->lb_policy);
	}
}

static bool is_prime(uint64_t n)
{
	for (uint64_t d = 2; d * d <= n; d++)
		if (n % d == 0)
			return false;
	return n >= 2;
}

static bool u64(struct mt_xmap *m, const char *field, const Xds__UInt64Value *v, uint32_t max,
	uint32_t *out)
{
	if (!v)
		return true;
	if (v->value < 1 || v->value > max)
		return mt_xm_bad(
			m, field, "%llu is not within 1 and %u", (unsigned long long)v->value, max);
	*out = (uint32_t)v->value;
	return true;
}

static bool ring(
	struct mt_xmap *m, const Xds__Cluster__RingHashLbConfig *r, struct mt_res_cluster *out)
{
	uint32_t mark = mt_xm_in(m, "ring_hash_lb_config");

	if (!u64(m, "minimum_ring_size", r->minimum_ring_size, RING_MAX, &out->ring_min) ||
		!u64(m, "maximum_ring_size", r->maximum_ring_size, RING_MAX, &out->ring_max))
		return false;
	if (out->ring_max && out->ring_min > out->ring_max)
		return mt_xm_bad(m, "minimum_ring_size", "above the maximum");
	if (r->hash_function < 0 || r->hash_function > 1)
		return mt_xm_bad(m, "hash_function", "%d is not known", r->hash_function);
	if (r->hash_function == 1)
		mt_xm_note(m, MT_XDS_NOTE_murmur, "hash_function");
	mt_xm_out(m, mark);
	return true;
}

/* Maps slow start of new endpoints. Fields that are not set have Envoy's defaults. */
static bool slow_start(
	struct mt_xmap *m, const Xds__Cluster__SlowStartConfig *s, struct mt_res_cluster *out)
{
	double aggression = s && s->aggression ? s->aggression->default_value : 1;
	double least = s && s->min_weight_percent ? s->min_weight_percent->value : 10;

	if (!s)
		return true;
	if (!(aggression >= 0.01 && aggression <= 100))
		return mt_xm_bad(m, "slow_start_config.aggression", "not within 0.01 and 100");
	if (!(least >= 0 && least <= 100))
		return mt_xm_bad(m, "slow_start_config.min_weight_percent", "not a percentage");
	out->warmup_aggression = (uint32_t)(aggression * 100 + 0.5);
	out->warmup_least = (uint16_t)(least * 100 + 0.5);
	return mt_xm_ms(
		m, "slow_start_config.slow_start_window", s->slow_start_window, 0, &out->warmup_ms);
}

/* Slow start counts only in the lb_config of the cluster's own policy. */
static bool warmup(struct mt_xmap *m, const Xds__Cluster *c, struct mt_res_cluster *out)
{
	if (out->lb == MT_RES_ROUND_ROBIN &&
		c->lb_config_case == XDS__CLUSTER__LB_CONFIG_ROUND_ROBIN_LB_CONFIG)
		return slow_start(m, c->round_robin_lb_config->slow_start_config, out);
	if (out->lb == MT_RES_LEAST_REQUEST &&
		c->lb_config_case == XDS__CLUSTER__LB_CONFIG_LEAST_REQUEST_LB_CONFIG)
		return slow_start(m, c->least_request_lb_config->slow_start_config, out);
	return true;
}

static bool balancer_sizes(struct mt_xmap *m, const Xds__Cluster *c, struct mt_res_cluster *out)
{
	if (c->lb_config_case == XDS__CLUSTER__LB_CONFIG_RING_HASH_LB_CONFIG &&
		!ring(m, c->ring_hash_lb_config, out))
		return false;
	if (c->lb_config_case == XDS__CLUSTER__LB_CONFIG_MAGLEV_LB_CONFIG) {
		const Xds__UInt64Value *size = c->maglev_lb_config->table_size;

		if (!u64(m, "maglev_lb_config.table_size", size, TABLE_MAX, &out->table_size))
			return false;
		if (size && !is_prime(size->value))
			return mt_xm_bad(m, "maglev_lb_config.table_size", "%llu is not a prime",
				(unsigned long long)size->value);
	}
	return true;
}

static bool common(
	struct mt_xmap *m, const Xds__Cluster__CommonLbConfig *c, struct mt_res_cluster *out)
{
	double panic;

	if (!c)
		return true;
	out->locality_weighted |=
		c->locality_config_specifier_case ==
		XDS__CLUSTER__COMMON_LB_CONFIG__LOCALITY_CONFIG_SPECIFIER_LOCALITY_WEIGHTED_LB_CONFIG;
	if (!c->healthy_panic_threshold)
		return true;
	panic = c->healthy_panic_threshold->value;
	if (!(panic >= 0 && panic <= 100))
		return mt_xm_bad(m, "common_lb_config.healthy_panic_threshold", "not a percentage");
	out->panic_percent = (struct mt_num){.v = (uint32_t)panic, .set = true};
	return true;
}

/*
 * Reads a limit of at least `least`. UINT32_MAX, which Istio writes for "no limit", becomes 0. A
 * limit of 0 connections or requests is rejected, because it would block all calls.
 */
static bool bound(struct mt_xmap *m, const char *field, const Xds__UInt32Value *v, uint32_t least,
	uint32_t *out)
{
	if (!mt_xm_u32(m, field, v, least, UINT32_MAX, out))
		return false;
	if (*out == UINT32_MAX)
		*out = 0;
	return true;
}

static bool num_u32(struct mt_xmap *m, const char *field, const Xds__UInt32Value *v, uint32_t max,
	struct mt_num *out)
{
	out->set = v != NULL;
	return mt_xm_u32(m, field, v, 0, max, &out->v);
}

static bool retry_budget(struct mt_xmap *m, const Xds__CircuitBreakers__Thresholds__RetryBudget *b,
	struct mt_res_cluster *out)
{
	struct mt_retry_budget_policy *to;
	uint32_t mark = mt_xm_in(m, "retry_budget");

	if (!b) {
		mt_xm_out(m, mark);
		return true;
	}
	out->retry_budget = to = mt_xm_alloc(m, sizeof(*to));
	if (!to || !mt_xm_percent(m, "budget_percent", b->budget_percent, &to->percent) ||
		!num_u32(m, "min_retry_concurrency", b->min_retry_concurrency, UINT32_MAX,
			&to->least))
		return false;
	mt_xm_out(m, mark);
	return true;
}

/* As in Envoy, UINT32_MAX is in fact no limit. */
static bool retries(
	struct mt_xmap *m, const Xds__CircuitBreakers__Thresholds *t, struct mt_res_cluster *out)
{
	if (t->max_retries)
		out->max_retries = (struct mt_num){
			.v = t->max_retries->value, .set = t->max_retries->value != UINT32_MAX};
	return retry_budget(m, t->retry_budget, out);
}

/* Envoy's default. */
#define MAX_RETRIES 3u

static bool breakers(struct mt_xmap *m, const Xds__CircuitBreakers *b, struct mt_res_cluster *out)
{
	bool had = false;

	out->max_retries = (struct mt_num){.v = MAX_RETRIES, .set = true};
	for (size_t i = 0; b && i < b->n_thresholds; i++) {
		const Xds__CircuitBreakers__Thresholds *t = b->thresholds[i];
		uint32_t mark = mt_xm_at(m, "circuit_breakers.thresholds", i);

		if (t->priority < 0 || t->priority > 1)
			return mt_xm_bad(m, "priority", "%d is not known", t->priority);
		if (t->priority == 1)
			mt_xm_note(m, MT_XDS_NOTE_high, "priority");
		else if (had)
			return mt_xm_bad(m, "priority", "DEFAULT is given twice");
		else if (!bound(m, "max_connections", t->max_connections, 1,
				 &out->max_connections) ||
			 !bound(m, "max_requests", t->max_requests, 1, &out->max_requests) ||
			 !bound(m, "max_pending_requests", t->max_pending_requests, 0,
				 &out->max_pending) ||
			 !retries(m, t, out))
			return false;
		had |= t->priority == 0;
		mt_xm_out(m, mark);
	}
	return true;
}

static bool num_ms(struct mt_xmap *m, const char *field, const Xds__Duration *d, struct mt_num *out)
{
	out->set = d != NULL;
	return mt_xm_ms(m, field, d, 1, &out->v);
}

static bool errors_off(const Xds__OutlierDetection *o)
{
	return o->enforcing_consecutive_5xx && o->enforcing_consecutive_5xx->value == 0;
}

/* Number of consecutive failures and error replies that eject an endpoint. */
static struct mt_num errors(const Xds__OutlierDetection *o)
{
	if (errors_off(o))
		return (struct mt_num){.set = true};
	if (o->consecutive_5xx)
		return (struct mt_num){.v = o->consecutive_5xx->value, .set = true};
	return (struct mt_num){.v = OUTLIER_DEFAULT};
}

/*
 * Number of consecutive failures that eject an endpoint. A failed or broken connection and a call
 * that times out are both gateway failures and local-origin failures. The first of the three
 * thresholds that is enabled therefore applies.
 */
static struct mt_num failures(const Xds__OutlierDetection *o)
{
	bool off = errors_off(o);
	const Xds__UInt32Value *const said[] = {o->consecutive_gateway_failure,
		o->consecutive_local_origin_failure, off ? NULL : o->consecutive_5xx};

	for (size_t i = 0; i < MT_ARRAY_LEN(said); i++)
		if (said[i] && said[i]->value)
			return (struct mt_num){.v = said[i]->value, .set = true};
	return (struct mt_num){.v = off || o->consecutive_5xx ? 0 : OUTLIER_DEFAULT};
}

static bool outlier(struct mt_xmap *m, const Xds__OutlierDetection *o, struct mt_res_cluster *out)
{
	struct mt_res_outlier *to;
	uint32_t mark = mt_xm_in(m, "outlier_detection");

	if (!o) {
		mt_xm_out(m, mark);
		return true;
	}
	to = mt_xm_alloc(m, sizeof(*to));
	if (!to)
		return false;
	to->failures = failures(o);
	to->errors = errors(o);
	/* Off if no threshold is enabled. */
	if (to->failures.v)
		out->outlier = to;
	else
		mt_xm_note(m, MT_XDS_NOTE_outlier_off, "consecutive_5xx");
	if (!num_ms(m, "interval", o->interval, &to->interval_ms) ||
		!num_ms(m, "base_ejection_time", o->base_ejection_time, &to->base_ejection_ms) ||
		!num_ms(m, "max_ejection_time", o->max_ejection_time, &to->max_ejection_ms) ||
		!num_u32(m, "max_ejection_percent", o->max_ejection_percent, 100, &to->max_percent))
		return false;
	mt_xm_out(m, mark);
	return true;
}

/* True for Istio's match: TLS for endpoints with tlsMode=istio, plaintext for others. */
static bool is_tls_mode(const Xds__Struct *match)
{
	const Xds__Value *v = match && match->n_fields == 1 ? match->fields[0]->value : NULL;

	return v && v->kind_case == XDS__VALUE__KIND_STRING_VALUE &&
	       strcmp(match->fields[0]->key, "tlsMode") == 0 &&
	       strcmp(v->string_value, "istio") == 0;
}

/*
 * Maps a transport socket that matches by other metadata than tlsMode, which are not read. If it
 * has TLS, the endpoints that need it are unknown. The TLS settings are then marked as unsupported
 * (unmade), because plaintext to all endpoints would be worse than no calls.
 */
static bool other_socket(struct mt_xmap *m, const Xds__Cluster__TransportSocketMatch *t,
	struct mt_res_cluster *out, bool *closed)
{
	struct mt_res_tls *tls;

	if (!mt_xm_upstream_tls(m, "transport_socket", t->transport_socket, &tls))
		return false;
	if (!tls) {
		if (t->match && t->match->n_fields)
			mt_xm_note(m, MT_XDS_NOTE_socket_match, "match");
		return true;
	}
	if (out->tls && !out->tls_by_endpoint)
		return true; /* all endpoints have TLS anyway */
	tls->unmade = "its TLS is for endpoints by metadata other than tlsMode, which are not read";
	out->tls = tls;
	out->tls_by_endpoint = false;
	*closed = true;
	return true;
}

static bool sockets(struct mt_xmap *m, const Xds__Cluster *c, struct mt_res_cluster *out)
{
	struct mt_res_tls *tls;
	bool closed = false;

	if (!mt_xm_upstream_tls(m, "transport_socket", c->transport_socket, &out->tls))
		return false;
	for (size_t i = 0; i < c->n_transport_socket_matches; i++) {
		const Xds__Cluster__TransportSocketMatch *t = c->transport_socket_matches[i];
		uint32_t mark = mt_xm_at(m, "transport_socket_matches", i);

		if (is_tls_mode(t->match)) {
			if (!mt_xm_upstream_tls(m, "transport_socket", t->transport_socket, &tls))
				return false;
			if (tls && !out->tls) {
				out->tls = tls;
				out->tls_by_endpoint = true;
			}
		} else if (!closed && !other_socket(m, t, out, &closed)) {
			return false;
		}
		mt_xm_out(m, mark);
	}
	return true;
}

static bool from_eds(struct mt_xmap *m, const Xds__Cluster *c, struct mt_res_cluster *out)
{
	const Xds__Cluster__EdsClusterConfig *e = c->eds_cluster_config;
	const char *name = e && *e->service_name ? e->service_name : c->name;

	if (!e)
		return mt_xm_bad(m, "eds_cluster_config", "missing");
	return mt_xm_name(m, "eds_cluster_config.service_name", name, &out->endpoints_name) &&
	       mt_xm_ref(m, "eds_cluster_config.eds_config", e->eds_config, MT_XDS_EDS,
		       out->endpoints_name);
}

/*
 * Maps the cluster's load_assignment. It gets the meta of the cluster, whatever its cluster_name
 * is.
 */
static struct mt_res_endpoints *own(struct mt_xmap *m, const Xds__Cluster *c,
	const struct mt_res_cluster *out, struct mt_res_dns *dns)
{
	struct mt_res_endpoints *e = mt_xm_alloc(m, sizeof(*e));
	static const Xds__ClusterLoadAssignment none = XDS__CLUSTER_LOAD_ASSIGNMENT__INIT;
	uint32_t mark = mt_xm_in(m, "load_assignment");

	if (!e)
		return NULL;
	e->meta = out->meta;
	e->meta.kind = "ClusterLoadAssignment";
	if (!mt_xm_endpoints(m, c->load_assignment ? c->load_assignment : &none, e, dns))
		return NULL;
	mt_xm_out(m, mark);
	return e;
}

static bool from_dns(struct mt_xmap *m, const Xds__Cluster *c, struct mt_res_cluster *out)
{
	struct mt_res_dns *d = mt_xm_alloc(m, sizeof(*d));

	if (!d)
		return false;
	if (c->dns_lookup_family < 0 || c->dns_lookup_family > MT_RES_BOTH)
		return mt_xm_bad(m, "dns_lookup_family", "%d is not known", c->dns_lookup_family);
	d->family = (enum mt_res_family)c->dns_lookup_family;
	d->respect_ttl = c->respect_dns_ttl;
	if (!mt_xm_ms(m, "dns_refresh_rate", c->dns_refresh_rate, 1, &d->refresh_ms))
		return false;
	d->fixed = own(m, c, out, d);
	out->dns = d;
	out->endpoints_name = out->meta.name;
	if (!d->fixed)
		return false;
	if (out->discovery == MT_RES_LOGICAL_DNS && d->n_names + d->fixed->n_eps != 1)
		return mt_xm_bad(m, "load_assignment", "a LOGICAL_DNS cluster has one endpoint");
	return true;
}

static bool endpoints(struct mt_xmap *m, const Xds__Cluster *c, struct mt_res_cluster *out)
{
	switch (out->discovery) {
	case MT_RES_EDS:
		return from_eds(m, c, out);
	case MT_RES_STRICT_DNS:
	case MT_RES_LOGICAL_DNS:
		return from_dns(m, c, out);
	case MT_RES_STATIC:
		out->endpoints = own(m, c, out, NULL);
		return out->endpoints != NULL;
	default:
		return true;
	}
}

bool mt_xm_cluster(struct mt_xmap *m, const Xds__Cluster *c)
{
	struct mt_res_cluster *out = mt_xm_alloc(m, sizeof(*out));

	return out && mt_xm_add(m, &m->out->part->res_clusters, &out->meta, "Cluster", c->name) &&
	       discovery(m, c, out) && balancer(m, c, out) && balancer_sizes(m, c, out) &&
	       warmup(m, c, out) && common(m, c->common_lb_config, out) &&
	       mt_xm_ms(m, "connect_timeout", c->connect_timeout, 1, &out->connect_ms) &&
	       breakers(m, c->circuit_breakers, out) && outlier(m, c->outlier_detection, out) &&
	       sockets(m, c, out) && endpoints(m, c, out);
}
