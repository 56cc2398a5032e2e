/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels of Istio's metrics. The node reports calls as `source`, like a client's sidecar, and those
 * of an inbound listener as `destination`. Calls of servers without a sidecar it reports as both,
 * because Istio's dashboards show what destinations report. Calls are counted by the workload where
 * they ended, and by the client's (mt_portion.h). Opaque TCP is counted by service, so a label of
 * its destination is known if all endpoints of the service share it.
 */
#include "mt_ctl_istio_priv.h"

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
	if (!to->changes)
		to->changes = more->changes;
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

static void add(struct mt_istio_label_set *to, const char *name, const char *value)
{
	to->v[to->n++] = (struct mt_label){name, value ? value : UNKNOWN};
}

/* Adds the labels of one side, in the order of enum mt_peer_label. */
static void add_side(struct mt_istio_label_set *to, const char *const names[MT_PEER_SHOWN],
	const struct mt_peer *p)
{
	for (int i = 0; i < MT_PEER_SHOWN; i++)
		add(to, names[i], mt_peer_shown(p, i));
}

static const char *const source_names[MT_PEER_SHOWN] = {"source_workload",
	"source_workload_namespace", "source_cluster", "source_app", "source_version",
	"source_canonical_service", "source_canonical_revision"};
static const char *const destination_names[MT_PEER_SHOWN] = {"destination_workload",
	"destination_workload_namespace", "destination_cluster", "destination_app",
	"destination_version", "destination_canonical_service", "destination_canonical_revision"};

/* Adds the labels of the called service; "NAME.NAMESPACE.svc..." has both in its host. */
static void add_service(struct mt_istio_label_set *to, const char *host, const char *ns)
{
	const char *svc = strstr(host, ".svc."), *dot = strchr(host, '.');
	bool both = svc && dot != svc && strchr(dot + 1, '.') == svc;

	if (both) {
		snprintf(to->name, sizeof(to->name), "%.*s", (int)(dot - host), host);
		snprintf(to->ns, sizeof(to->ns), "%.*s", (int)(svc - dot - 1), dot + 1);
	}
	add(to, "destination_service", host);
	add(to, "destination_service_name", both ? to->name : host);
	add(to, "destination_service_namespace", both ? to->ns : ns);
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

/*
 * How the client connects. As in Istio's proxies, the reporter `source` does not know how servers
 * are reached, and calls that are not gRPC have an empty status. Opaque TCP is not counted by
 * client.
 */
static void add_security(
	struct mt_istio_label_set *to, const struct mt_istio_series *s, enum mt_istio_reporter r)
{
	const struct mt_istio_caller *caller = s->caller;
	bool tls = caller && caller->tls;
	bool told = caller && s->served && r == MT_ISTIO_DESTINATION;

	add(to, "source_principal", caller ? caller->principal : NULL);
	add(to, "destination_principal", s->of->inbound && tls ? s->of->principal : NULL);
	add(to, "connection_security_policy", !told ? NULL : tls ? "mutual_tls" : "none");
	if (s->served)
		add(to, "grpc_response_status", "");
}

void mt_istio_label_set(const struct mt_ctl *c, const struct mt_istio_series *s,
	enum mt_istio_reporter r, struct mt_istio_label_set *to)
{
	const struct mt_istio_service *of = s->of;
	const char *ns = of->ns ? of->ns : of->peer.label[MT_PEER_NAMESPACE];

	to->n = 0;
	to->self = self_of(c);
	to->source = source_of(of, s->caller, &to->self);
	to->destination = of->inbound ? &to->self : s->served ? s->served : &of->peer;
	add(to, "reporter", r == MT_ISTIO_SOURCE ? "source" : "destination");
	add_side(to, source_names, to->source);
	add_side(to, destination_names, to->destination);
	add_service(to, s->host, ns);
	add(to, "request_protocol", s->served ? of->protocol : "tcp");
	add_security(to, s, r);
}

void mt_istio_labels(const struct mt_ctl *c, const char *host, const struct mt_istio_service *s,
	const struct mt_peer *served, const struct mt_istio_caller *caller,
	enum mt_istio_reporter r, struct mt_text_buf *out)
{
	const struct mt_istio_series series = {host, s, served, caller};
	struct mt_istio_label_set set;

	mt_istio_label_set(c, &series, r, &set);
	mt_labels_add(out, set.v, set.n);
}
