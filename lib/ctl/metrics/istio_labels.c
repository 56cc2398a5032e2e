/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels of Istio's metrics. The node reports calls as `source`, like a client's sidecar, and those
 * of an inbound listener as `destination`. Calls of servers without a sidecar it reports as both,
 * because Istio's dashboards show what destinations report. Calls are counted by the workload where
 * they ended, and by the client's (mt_portion.h). Opaque TCP is counted by service, so a label of
 * its destination is known if all endpoints of the service share it.
 */
#include "mt_ctl_metrics_priv.h"

#include <stdio.h>
#include <string.h>

#define UNKNOWN "unknown"

/* ---- services ------------------------------------------------------------------------------- */

/* Copies texts of a snapshot, because the scrape may outlive it. */
static const char *keep(struct mt_region *r, const char *text)
{
	return text ? mt_region_strdup(r, text) : NULL;
}

static void add_cluster(struct mt_istio_service *to, const struct mt_cluster *cl)
{
	static const struct mt_peer unknown;
	const struct mt_peer *peer = cl->peer ? cl->peer : &unknown;

	if (!cl->n_eps)
		return;
	if (to->called)
		mt_peer_share(&to->peer, peer);
	else
		to->peer = *peer;
	to->called = true;
	to->not_bare |= cl->not_bare;
}

static void add_dests(struct mt_istio_service *to, const struct mt_snapshot *snap,
	const struct mt_route_dest *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (v[i].cluster < snap->n_clusters)
			add_cluster(to, &snap->clusters[v[i].cluster]);
}

struct mt_istio_service *mt_istio_service_of(
	struct mt_region *r, const struct mt_snapshot *snap, const struct mt_service *s)
{
	struct mt_istio_service *to = mt_region_alloc(r, sizeof(*to));
	uint32_t n = s->routes ? mt_route_count(s->routes) : 0;

	if (!to)
		return NULL;
	for (uint32_t i = 0; i < n; i++) {
		const struct mt_route_action *a = mt_route_at(s->routes, i);

		add_dests(to, snap, a->dests, a->n_dests);
	}
	add_dests(to, snap, s->tcp_dests, s->n_tcp_dests);
	if (!s->routes && s->tcp_cluster < snap->n_clusters)
		add_cluster(to, &snap->clusters[s->tcp_cluster]);
	for (int i = 0; i < MT_PEER_LABELS; i++)
		to->peer.label[i] = keep(r, to->peer.label[i]);
	to->ns = keep(r, s->ns);
	to->protocol = s->routes ? keep(r, mt_route_codec(s->routes)->name) : NULL;
	to->inbound = s->inbound;
	to->principal = s->inbound ? keep(r, snap->principal) : NULL;
	to->off = s->metrics_off;
	return to;
}

struct mt_istio_served *mt_istio_served_of(struct mt_region *r, const struct mt_istio_service *of,
	const struct mt_examples_of *examples, const struct mt_peer *peer,
	const struct mt_istio_caller *caller)
{
	struct mt_istio_served *to = mt_region_alloc(r, sizeof(*to));

	if (!to)
		return NULL;
	to->of = of;
	to->examples = *examples;
	to->caller = *caller;
	for (int i = 0; i < MT_PEER_LABELS; i++) {
		to->peer.label[i] = keep(r, peer->label[i]);
		to->caller.peer.label[i] = keep(r, caller->peer.label[i]);
	}
	return to;
}

void mt_istio_service_join(struct mt_istio_service *to, const struct mt_istio_service *more)
{
	if (to->called && more->called)
		mt_peer_share(&to->peer, &more->peer);
	else if (more->called)
		to->peer = more->peer;
	if (!to->protocol)
		to->protocol = more->protocol;
	else if (more->protocol && strcmp(to->protocol, more->protocol) != 0)
		to->protocol = UNKNOWN;
	if (!to->principal)
		to->principal = more->principal;
	to->called |= more->called;
	to->not_bare |= more->not_bare;
	to->inbound &= more->inbound;
	to->off &= more->off;
}

/* ---- labels --------------------------------------------------------------------------------- */

static struct mt_peer self_of(const struct mt_ctl *c)
{
	const struct mt_ctl_self *self = &c->env.self;
	struct mt_peer p = {.label = {[MT_PEER_WORKLOAD] = self->workload,
				    [MT_PEER_NAMESPACE] = self->ns,
				    [MT_PEER_CLUSTER] = self->cluster,
				    [MT_PEER_APP] = self->app,
				    [MT_PEER_VERSION] = self->version,
				    [MT_PEER_SERVICE] = self->canonical_service,
				    [MT_PEER_REVISION] = self->canonical_revision}};

	for (int i = 0; i < MT_PEER_SHOWN; i++)
		if (!*p.label[i])
			p.label[i] = i == MT_PEER_REVISION ? "latest" : NULL;
	return p;
}

/* Adds the labels of one side, in the order of enum mt_peer_label. */
static void add_side(
	struct mt_text_buf *out, const char *const names[MT_PEER_SHOWN], const struct mt_peer *p)
{
	struct mt_label l[MT_PEER_SHOWN];

	for (int i = 0; i < MT_PEER_SHOWN; i++)
		l[i] = (struct mt_label){names[i], mt_peer_shown(p, i)};
	mt_labels_add(out, l, MT_PEER_SHOWN);
}

static const char *const source_names[MT_PEER_SHOWN] = {"source_workload",
	"source_workload_namespace", "source_cluster", "source_app", "source_version",
	"source_canonical_service", "source_canonical_revision"};
static const char *const destination_names[MT_PEER_SHOWN] = {"destination_workload",
	"destination_workload_namespace", "destination_cluster", "destination_app",
	"destination_version", "destination_canonical_service", "destination_canonical_revision"};

/* Adds the labels of the called service; "NAME.NAMESPACE.svc..." has both in its host. */
static void add_service(struct mt_text_buf *out, const char *host, const char *ns)
{
	const char *svc = strstr(host, ".svc."), *dot = strchr(host, '.');
	char name[256], in_host[128];
	struct mt_label l[] = {{"destination_service", host}, {"destination_service_name", host},
		{"destination_service_namespace", ns ? ns : UNKNOWN}};

	if (svc && dot != svc && strchr(dot + 1, '.') == svc) {
		snprintf(name, sizeof(name), "%.*s", (int)(dot - host), host);
		snprintf(in_host, sizeof(in_host), "%.*s", (int)(svc - dot - 1), dot + 1);
		l[1].value = name;
		l[2].value = in_host;
	}
	mt_labels_add(out, l, MT_ARRAY_LEN(l));
}

bool mt_istio_reports(const struct mt_istio_service *s, enum mt_istio_reporter r)
{
	if (s->inbound)
		return r == MT_ISTIO_DESTINATION;
	return r == MT_ISTIO_SOURCE || (s->called && !s->not_bare);
}

/*
 * An unknown caller is this node, unless the node is the servers' own proxy, or the caller has a
 * certificate.
 */
static const struct mt_peer *source_of(const struct mt_istio_service *s,
	const struct mt_istio_caller *caller, const struct mt_peer *self)
{
	static const struct mt_peer unknown;

	for (int i = 0; caller && i < MT_PEER_SHOWN; i++)
		if (caller->peer.label[i])
			return &caller->peer;
	return s->inbound || (caller && caller->tls) ? &unknown : self;
}

static struct mt_label known(const char *name, const char *value)
{
	return (struct mt_label){name, value ? value : UNKNOWN};
}

/*
 * How the client connects. As in Istio's proxies, the reporter `source` does not know how servers
 * are reached, and calls that are not gRPC have an empty status. Opaque TCP is not counted by
 * client.
 */
static void add_security(struct mt_text_buf *out, const struct mt_istio_service *s,
	const struct mt_istio_caller *caller, enum mt_istio_reporter r, bool opaque)
{
	bool tls = caller && caller->tls, told = caller && !opaque && r == MT_ISTIO_DESTINATION;
	const struct mt_label l[] = {known("source_principal", caller ? caller->principal : NULL),
		known("destination_principal", s->inbound && tls ? s->principal : NULL),
		known("connection_security_policy", !told ? NULL
						    : tls ? "mutual_tls"
							  : "none"),
		{"grpc_response_status", ""}};

	mt_labels_add(out, l, opaque ? 3 : 4);
}

void mt_istio_labels(const struct mt_ctl *c, const char *host, const struct mt_istio_service *s,
	const struct mt_peer *served, const struct mt_istio_caller *caller,
	enum mt_istio_reporter r, struct mt_text_buf *out)
{
	const struct mt_peer self = self_of(c);
	const struct mt_label reporter = {
		"reporter", r == MT_ISTIO_SOURCE ? "source" : "destination"};
	const struct mt_label protocol = known("request_protocol", served ? s->protocol : "tcp");

	mt_labels_add(out, &reporter, 1);
	add_side(out, source_names, source_of(s, caller, &self));
	add_side(out, destination_names, s->inbound ? &self : served ? served : &s->peer);
	add_service(out, host, s->ns ? s->ns : s->peer.label[MT_PEER_NAMESPACE]);
	mt_labels_add(out, &protocol, 1);
	add_security(out, s, caller, r, !served);
}
