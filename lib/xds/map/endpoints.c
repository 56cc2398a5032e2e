/* SPDX-License-Identifier: Apache-2.0 */
/* Maps ClusterLoadAssignment (EDS): localities and their endpoints. */
#include "mt_utf8.h"
#include "mt_xds_map_priv.h"

#include <string.h>

#define LOCALITIES_MAX	 4096u
#define ENDPOINTS_MAX	 1000000u
#define PRIORITY_MAX	 128u
#define OVERPROVISIONING 140u
#define WORKLOAD_MAX	 1024u /* bytes of metadata that are read */

/*
 * State while endpoints are mapped. l->eps has space for all endpoints; l->n_eps counts those that
 * are kept.
 */
struct filling {
	struct mt_res_endpoints *out;
	struct mt_res_dns *dns; /* receives host names; NULL: only addresses are allowed */
	struct mt_res_locality *l;
	uint32_t cap;
	uint64_t sum;	      /* of weights */
	bool several;	      /* endpoints have several namespaces, or an unknown one */
	const char *workload; /* of the last endpoint that has it: Istio's metadata */
	uint8_t peer;	      /* its mt_res_endpoint.peer */
	bool unlabelled;      /* some endpoint has none */
};

/* By the wire value of HealthStatus; UNKNOWN is healthy. */
static const uint8_t healths[] = {MT_RES_HEALTHY, MT_RES_HEALTHY, MT_RES_UNHEALTHY, MT_RES_DRAINING,
	MT_RES_UNHEALTHY, MT_RES_DEGRADED};

/*
 * True for addresses of no host: unspecified, multicast, broadcast (RFC 6890, RFC 4291 section
 * 2.7).
 */
static bool is_nobodys(const struct mt_addr *a)
{
	uint32_t v4;

	if (!mt_addr_is4(a))
		return mt_addr_is_zero(a) || a->b[0] == 0xff;
	v4 = __builtin_bswap32(mt_addr_v4(a));
	return v4 >> 24 == 0 || v4 >> 28 == 14 || v4 == UINT32_MAX;
}

static const Xds__Value *find(const Xds__Struct *s, const char *key)
{
	for (size_t i = 0; s && i < s->n_fields; i++)
		if (strcmp(s->fields[i]->key, key) == 0)
			return s->fields[i]->value;
	return NULL;
}

/* True if the metadata for transport_socket_matches has Istio's tlsMode=istio. */
static bool asks_for_tls(const Xds__Metadata *md)
{
	const Xds__Value *v;

	for (size_t i = 0; md && i < md->n_filter_metadata; i++) {
		if (strcmp(md->filter_metadata[i]->key, "envoy.transport_socket_match") != 0)
			continue;
		v = find(md->filter_metadata[i]->value, "tlsMode");
		return v && v->kind_case == XDS__VALUE__KIND_STRING_VALUE &&
		       strcmp(v->string_value, "istio") == 0;
	}
	return false;
}

/*
 * Returns the metadata for Istio's telemetry, "istio": {"workload": "NAME;NAMESPACE;CANONICAL
 * SERVICE;REVISION;CLUSTER"}. NULL if there are none.
 */
static const char *workload_of(const Xds__Metadata *md)
{
	for (size_t i = 0; md && i < md->n_filter_metadata; i++) {
		const Xds__Value *v;

		if (strcmp(md->filter_metadata[i]->key, "istio") != 0)
			continue;
		v = find(md->filter_metadata[i]->value, "workload");
		return v && v->kind_case == XDS__VALUE__KIND_STRING_VALUE ? v->string_value : NULL;
	}
	return NULL;
}

/* Returns the namespace of the first endpoint's workload. Empty if there is none. */
static struct mt_slice namespace_of(const Xds__LocalityLbEndpoints *l)
{
	const char *workload = l->n_lb_endpoints ? workload_of(l->lb_endpoints[0]->metadata) : NULL;
	const char *from = workload ? strchr(workload, ';') : NULL;

	return from ? (struct mt_slice){(const uint8_t *)from + 1, (uint32_t)strcspn(from + 1, ";")}
		    : (struct mt_slice){0};
}

/* Splits a copy of the metadata. Missing and empty parts are unknown. */
static struct mt_peer peer_of(char *text)
{
	static const enum mt_peer_label order[] = {MT_PEER_WORKLOAD, MT_PEER_NAMESPACE,
		MT_PEER_SERVICE, MT_PEER_REVISION, MT_PEER_CLUSTER};
	struct mt_peer p = {0};

	for (size_t i = 0; text && i < MT_ARRAY_LEN(order); i++) {
		const char *part = strsep(&text, ";");

		if (*part)
			p.label[order[i]] = part;
	}
	if (!p.label[MT_PEER_REVISION])
		p.label[MT_PEER_REVISION] = "latest";
	return p;
}

/* Control planes are not trusted to send UTF-8, and collectors refuse whole scrapes without it. */
static bool is_readable(const char *workload)
{
	size_t len = workload ? strlen(workload) : WORKLOAD_MAX;

	return len < WORKLOAD_MAX &&
	       mt_is_utf8((struct mt_slice){(const uint8_t *)workload, (uint32_t)len});
}

/* Notes a workload that is not in out->peers. id: mt_peer_id() of it. */
static bool add_peer(struct mt_xmap *m, struct filling *f, const char *workload, uint64_t id)
{
	bool first = !f->out->peer && !f->unlabelled;
	struct mt_peer one;

	if (!first && (f->out->many_peers || !id))
		return true;
	one = peer_of(mt_region_strdup(m->r, workload));
	if (first)
		f->out->peer = mt_region_alloc(m->r, sizeof(*f->out->peer));
	if (m->r->failed)
		return mt_xm_no_memory(m);
	if (first)
		*f->out->peer = one;
	f->peer = mt_res_peer_add(m->r, f->out, &one);
	return !m->r->failed || mt_xm_no_memory(m);
}

/*
 * Records the labels that the endpoint's workload shares with those before, and which workload it
 * is. Most endpoints have the same as the one before.
 */
static bool note_peer(struct mt_xmap *m, struct filling *f, const Xds__Metadata *md, uint8_t *to)
{
	const char *workload = workload_of(md);
	char copy[WORKLOAD_MAX];
	struct mt_peer one;
	bool ok = true;

	if (!is_readable(workload)) {
		f->unlabelled = true;
		f->out->peer = NULL;
		return true;
	}
	if (!f->workload || strcmp(workload, f->workload) != 0) {
		f->workload = workload;
		one = peer_of(strcpy(copy, workload));
		if (f->out->peer)
			mt_peer_share(f->out->peer, &one);
		f->peer = mt_res_peer_find(f->out, &one);
		ok = f->peer || add_peer(m, f, workload, mt_peer_id(&one));
	}
	*to = f->peer;
	return ok;
}

/*
 * Records the namespace of an assignment; none if localities differ. Only the first endpoint of
 * each locality is read, because endpoints of a service share a namespace.
 */
static bool note_namespace(struct mt_xmap *m, struct filling *f, const Xds__LocalityLbEndpoints *l)
{
	struct mt_slice ns = namespace_of(l);
	const char *have = f->out->ns;

	if (f->several || !l->n_lb_endpoints)
		return true;
	f->several =
		!ns.len || (have && (strlen(have) != ns.len || memcmp(have, ns.p, ns.len) != 0));
	if (f->several)
		f->out->ns = NULL;
	else if (!have)
		f->out->ns = mt_region_printf(m->r, "%.*s", (int)ns.len, (const char *)ns.p);
	return f->several || f->out->ns || mt_xm_no_memory(m);
}

/*
 * Fast path for most endpoints, without a path for errors: true if it is a valid IP address and
 * port.
 */
static bool is_simple(const Xds__LbEndpoint *e, struct mt_res_endpoint *out)
{
	const Xds__SocketAddress *s;

	if (e->host_identifier_case != XDS__LB_ENDPOINT__HOST_IDENTIFIER_ENDPOINT ||
		!e->endpoint->address ||
		e->endpoint->address->address_case != XDS__ADDRESS__ADDRESS_SOCKET_ADDRESS ||
		e->health_status < 0 || e->health_status >= (int32_t)sizeof(healths))
		return false;
	s = e->endpoint->address->socket_address;
	if (s->protocol != 0 || s->port_value < 1 || s->port_value > 65535 ||
		s->port_specifier_case != XDS__SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE ||
		mt_addr_parse(s->address, &out->addr) || is_nobodys(&out->addr))
		return false;
	out->port = (uint16_t)s->port_value;
	return true;
}

/* True for a DNS host name: letters, digits, dashes, underscores, dots. */
static bool is_host(const char *s)
{
	size_t len = strlen(s);

	return len && len <= 253 && *s != '.' && *s != '-' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		       len;
}

static bool add_name(
	struct mt_xmap *m, struct filling *f, const char *host, const struct mt_res_endpoint *e)
{
	struct mt_res_dns_name *n;

	if (!is_host(host))
		return mt_xm_bad(m, "address", "\"%.64s\" is not a host name", host);
	n = mt_region_push(m->r, (void **)&f->dns->names, &f->dns->n_names, sizeof(*n));
	if (!n)
		return mt_xm_no_memory(m);
	*n = (struct mt_res_dns_name){.host = mt_host_name(m->r, host),
		.locality = (uint32_t)(f->l - f->out->localities),
		.weight = e->weight,
		.port = e->port,
		.health = e->health,
		.tls = e->tls};
	return n->host || mt_xm_no_memory(m);
}

/*
 * Handles an endpoint that is_simple() does not: sets an error, leaves it out with a note, or adds
 * its host name.
 */
static bool unusual(struct mt_xmap *m, struct filling *f, const Xds__LbEndpoint *e,
	struct mt_res_endpoint *out, bool *keep)
{
	const Xds__Address *a;
	const char *host;

	*keep = false;
	if (e->health_status < 0 || e->health_status >= (int32_t)sizeof(healths))
		return mt_xm_bad(m, "health_status", "%d is not known", e->health_status);
	if (e->host_identifier_case == XDS__LB_ENDPOINT__HOST_IDENTIFIER_ENDPOINT_NAME) {
		mt_xm_note(m, MT_XDS_NOTE_named_endpoint, "endpoint_name");
		return true;
	}
	if (e->host_identifier_case != XDS__LB_ENDPOINT__HOST_IDENTIFIER_ENDPOINT)
		return mt_xm_bad(m, "endpoint", "missing");
	a = e->endpoint->address;
	if (a && (a->address_case == XDS__ADDRESS__ADDRESS_PIPE ||
			 a->address_case == XDS__ADDRESS__ADDRESS_ENVOY_INTERNAL_ADDRESS)) {
		mt_xm_note(m, MT_XDS_NOTE_pipe_endpoint, "endpoint");
		return true;
	}
	mt_xm_in(m, "endpoint");
	if (!mt_xm_socket(m, "address", a, &host, &out->port))
		return false;
	mt_xm_in(m, "address.socket_address");
	if (mt_addr_parse(host, &out->addr) == 0) {
		*keep = true;
		return !is_nobodys(&out->addr) ||
		       mt_xm_bad(m, "address", "%s can be no endpoint", host);
	}
	if (!f->dns)
		return mt_xm_bad(m, "address", "\"%.64s\" is not an IP address", host);
	return add_name(m, f, host, out);
}

static bool add_endpoint(struct mt_xmap *m, struct filling *f, const Xds__LbEndpoint *e, size_t i)
{
	struct mt_res_endpoint ep = {.weight = 1};
	uint32_t names = f->dns ? f->dns->n_names : 0;
	bool keep = true;
	uint8_t peer = 0;

	if (e->load_balancing_weight)
		ep.weight = e->load_balancing_weight->value;
	ep.tls = asks_for_tls(e->metadata);
	if (e->health_status >= 0 && e->health_status < (int32_t)sizeof(healths))
		ep.health = healths[e->health_status];
	if (!ep.weight || !is_simple(e, &ep)) {
		uint32_t mark = mt_xm_at(m, "lb_endpoints", i);

		if (!ep.weight)
			return mt_xm_bad(m, "load_balancing_weight", "0 is not a weight");
		if (!unusual(m, f, e, &ep, &keep))
			return false;
		mt_xm_out(m, mark);
	}
	f->sum += ep.weight;
	if (f->sum > UINT32_MAX)
		return mt_xm_bad(
			m, "lb_endpoints", "the weights add up to more than %u", UINT32_MAX);
	if (!keep && (!f->dns || f->dns->n_names == names))
		return true;
	f->out->not_bare |= ep.tls;
	if (!note_peer(m, f, e->metadata, &peer))
		return false;
	ep.peer = peer;
	if (keep)
		f->l->eps[f->l->n_eps++] = ep;
	else
		f->dns->names[names].peer = peer;
	return true;
}

/* Copies a text of a locality; "" leaves *out unchanged. */
static bool place(struct mt_xmap *m, const char *field, const char *s, const char **out)
{
	struct mt_text t = {0};

	if (!*s)
		return true;
	if (!mt_xm_words(m, field, s, MT_XM_NAME_MAX, &t))
		return false;
	*out = t.s;
	return true;
}

static bool add_locality(struct mt_xmap *m, struct filling *f, const Xds__LocalityLbEndpoints *l)
{
	struct mt_res_locality *to = f->l;

	if (l->locality &&
		(!place(m, "locality.region", l->locality->region, &to->region) ||
			!place(m, "locality.zone", l->locality->zone, &to->zone) ||
			!place(m, "locality.sub_zone", l->locality->sub_zone, &to->subzone)))
		return false;
	if (l->priority > PRIORITY_MAX)
		return mt_xm_bad(m, "priority", "above %u", PRIORITY_MAX);
	to->priority = l->priority;
	if (!mt_xm_u32(m, "load_balancing_weight", l->load_balancing_weight, 1, UINT32_MAX,
		    &to->weight))
		return false;
	if (l->n_lb_endpoints > ENDPOINTS_MAX - f->out->n_eps)
		return mt_xm_bad(m, "lb_endpoints", "more than %u in all", ENDPOINTS_MAX);
	to->eps = mt_xm_array(m, l->n_lb_endpoints, sizeof(*to->eps));
	if (!to->eps)
		return false;
	f->sum = 0;
	for (size_t i = 0; i < l->n_lb_endpoints; i++)
		if (!add_endpoint(m, f, l->lb_endpoints[i], i))
			return false;
	f->out->n_eps += to->n_eps;
	return note_namespace(m, f, l);
}

bool mt_xm_endpoints(struct mt_xmap *m, const Xds__ClusterLoadAssignment *a,
	struct mt_res_endpoints *out, struct mt_res_dns *dns)
{
	struct filling f = {.out = out, .dns = dns};

	out->overprovisioning = OVERPROVISIONING;
	if (a->policy &&
		!mt_xm_u32(m, "policy.overprovisioning_factor", a->policy->overprovisioning_factor,
			1, 100000, &out->overprovisioning))
		return false;
	if (a->n_endpoints > LOCALITIES_MAX)
		return mt_xm_bad(m, "endpoints", "more than %u localities", LOCALITIES_MAX);
	out->localities = mt_xm_array(m, a->n_endpoints, sizeof(*out->localities));
	if (!out->localities)
		return false;
	for (size_t i = 0; i < a->n_endpoints; i++) {
		uint32_t mark = mt_xm_at(m, "endpoints", i);

		f.l = &out->localities[out->n_localities++];
		if (!add_locality(m, &f, a->endpoints[i]))
			return false;
		mt_xm_out(m, mark);
	}
	return true;
}

#define REGION_MAX (1u << 20)

static size_t rounded(size_t n)
{
	return (n + 15) & ~(size_t)15;
}

/* Memory for labels, if all endpoints have those of the first. */
static size_t room_of_peer(const Xds__LocalityLbEndpoints *l)
{
	const char *workload = l->n_lb_endpoints ? workload_of(l->lb_endpoints[0]->metadata) : NULL;

	return workload ? rounded(strlen(workload) + 1) + rounded(sizeof(struct mt_peer)) +
				  rounded(sizeof(struct mt_res_peer))
			: 0;
}

/*
 * Memory of an assignment, with the block's header and the list of objects. It is computed, because
 * a guess from the serialized length is a third too high, and there may be 100,000 endpoints.
 */
static size_t room_of(const struct mt_xmap *m, const Xds__ClusterLoadAssignment *a)
{
	size_t room = 64 + rounded(sizeof(struct mt_res_endpoints)) +
		      rounded(strlen(a->cluster_name) + 1) + rounded(strlen(m->source) + 1) +
		      rounded(a->n_endpoints * sizeof(struct mt_res_locality));

	for (size_t i = 0; i < a->n_endpoints; i++) {
		const Xds__LocalityLbEndpoints *l = a->endpoints[i];

		room += rounded(l->n_lb_endpoints * sizeof(struct mt_res_endpoint));
		room += i == 0 ? rounded(namespace_of(l).len + 1) + room_of_peer(l) : 0;
		if (l->locality)
			room += rounded(strlen(l->locality->region) + 1) +
				rounded(strlen(l->locality->zone) + 1) +
				rounded(strlen(l->locality->sub_zone) + 1);
	}
	return room;
}

bool mt_xm_assignment(struct mt_xmap *m, const Xds__ClusterLoadAssignment *a)
{
	struct mt_res_endpoints *e;

	m->r->first = MT_MIN(room_of(m, a), REGION_MAX);
	e = mt_xm_alloc(m, sizeof(*e));
	if (!e)
		return false;
	if (!*a->cluster_name)
		return mt_xm_bad(m, "cluster_name", "missing");
	return mt_xm_add(m, &m->out->part->res_endpoints, &e->meta, "ClusterLoadAssignment",
		       a->cluster_name) &&
	       mt_xm_endpoints(m, a, e, NULL);
}
