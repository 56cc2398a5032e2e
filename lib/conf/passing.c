/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports of AUTO_PASSTHROUGH, as east-west gateways have them: TLS of the mesh's clients goes on unread to the service that its server name
 * is made of, outbound_.PORT_.SUBSET_.HOST, without a VirtualService. Only to instances with a proxy of their own, which ends it and judges who
 * comes: what no proxy is in front of would have policies gone round.
 */
#include "mt_conf_cluster_priv.h"
#include "mt_conf_forward_priv.h"
#include "mt_conf_listener_priv.h"
#include "mt_conf_policy_priv.h"

#include "mt_secret_hash.h"

#include <string.h>

/* ---- which services ---------------------------------------------------------------------------------- */

static bool is_auto(const struct mt_gateway_server *s)
{
	return s->tls && s->tls->mode.set && s->tls->mode.v == MT_GATEWAY_AUTO_PASSTHROUGH;
}

/* "NAMESPACE/HOST": of services there. */
static bool is_admitted(
	const struct mt_gateway *g, const struct mt_gateway_server *s, const struct mt_host *h)
{
	const char *name = h->units->host;

	for (uint32_t i = 0; i < s->n_hosts; i++) {
		const char *host = s->hosts[i].s, *slash = strchr(host, '/');

		if (slash && !mt_b_is_routes_namespace(host, h->se->meta.ns, g))
			continue;
		host = slash ? slash + 1 : host;
		if (strcmp(host, "*") == 0 || mt_host_covers(host, name))
			return true;
	}
	return !s->n_hosts;
}

static uint32_t place_of(const struct mt_build *b, const struct mt_host *h)
{
	return (uint32_t)(h - b->host_list) + 1;
}

static bool is_passed(struct mt_build *b, const struct mt_gateway *g,
	const struct mt_gateway_server *s, const struct mt_host *h)
{
	return h->units && h->se->location.v != MT_LOCATION_MESH_EXTERNAL && is_auto(s) &&
	       is_admitted(g, s, h) && mt_b_is_exported_to(b, h->se, g->meta.ns) &&
	       !mt_idmap_get(&b->work.closed, mt_b_work_id(&g->meta, place_of(b, h)));
}

/* A server of AUTO_PASSTHROUGH of this node. */
struct mt_auto_server {
	const struct mt_gateway *gateway;
	const struct mt_gateway_server *server;
	uint64_t steps; /* of the limit of its clients, for each name */
};

/* Lists the servers of AUTO_PASSTHROUGH of this node's Gateways. */
static void find_auto(struct mt_build *b)
{
	b->passing_found = true;
	for (uint32_t i = 0; i < b->model->gateways.n; i++) {
		const struct mt_gateway *g = b->model->gateways.v[i];
		bool here = mt_b_selects_node(b, &g->selector);
		const struct mt_client_target *limit = here ? mt_b_gateway_clients(b, g) : NULL;

		for (uint32_t k = 0; here && k < g->n_servers; k++) {
			struct mt_auto_server *slot;

			if (!is_auto(&g->servers[k]))
				continue;
			slot = mt_region_push(
				&b->tmp, (void **)&b->passing, &b->n_passing, sizeof(*slot));
			if (slot)
				*slot = (struct mt_auto_server){g, &g->servers[k],
					limit ? mt_b_steps_of_clients(limit) : 0};
		}
	}
}

/* ---- their work ------------------------------------------------------------------------------ */

/* A host is compared with a host of a server in about 25 ns. */
#define STEP_OF_HOSTS 4
/* A chain of a server takes about 1.6 us and 1.6 KB. */
#define STEPS_OF_CHAIN 32
/* A name for which there is no cluster takes about 200 ns. */
#define STEPS_OF_NAME 2

#define REMEDY "write fewer servers with AUTO_PASSTHROUGH, or fewer hosts in them"

/* True if some instance has a proxy of its own, which may end TLS. */
static bool has_proxies(const struct mt_host *h)
{
	for (uint32_t i = 0; i < h->n_workloads; i++)
		if (mt_instance_class(h, h->workloads[i]) == MT_INSTANCE_MESHED &&
			h->workloads[i]->proxy != MT_PROXY_AMBIENT)
			return true;
	return false;
}

/* Lists the hosts that servers may pass TLS on to, in b->tmp. NULL: none, or no memory. */
static const struct mt_host **passable(struct mt_build *b, uint32_t *n)
{
	const struct mt_host **v = NULL;

	*n = 0;
	for (uint32_t i = 0; b->n_passing && i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i], **slot;

		if (!h->units || h->se->location.v == MT_LOCATION_MESH_EXTERNAL || !has_proxies(h))
			continue;
		slot = mt_region_push(&b->tmp, (void **)&v, n, sizeof(*slot));
		if (slot)
			*slot = h;
	}
	return v;
}

void mt_b_want_passed(struct mt_build *b)
{
	uint32_t n;

	if (!b->passing_found)
		find_auto(b);
	(void)passable(b, &n);
	for (uint32_t i = 0; i < b->n_passing; i++)
		mt_b_want(b, MT_WORK_STEPS, &b->passing[i].gateway->meta,
			(uint64_t)n * (1 + b->passing[i].server->n_hosts) / STEP_OF_HOSTS, REMEDY);
}

/* True if the port or a subset of it has an instance that ends TLS, as a cluster of it would. */
static bool is_led_to(struct mt_build *b, const struct mt_forward_dest *d)
{
	const struct mt_host *h = d->h;

	for (uint32_t i = 0; i < h->n_workloads; i++) {
		const struct mt_workload *w = h->workloads[i];

		if (mt_b_forward_has(d, w) && mt_b_ends_mtls(b, h, w, mt_b_endpoint_port(d->u, w)))
			return true;
	}
	return false;
}

/* Ports and subsets of a host that TLS can be passed on to: each has a name. */
static uint64_t count_names(struct mt_build *b, const struct mt_host *h)
{
	uint64_t n = 0;

	for (const struct mt_unit *u = h->units; u; u = u->next) {
		struct mt_forward_dest d = {.h = h, .u = u};

		if (!is_led_to(b, &d))
			continue;
		n++;
		for (uint32_t i = 0; i < mt_host_subsets(h); i++) {
			d.subset = &h->rule->subsets[i];
			n += is_led_to(b, &d);
		}
	}
	return n;
}

static uint64_t steps_of_cluster(const struct mt_host *h)
{
	return MT_STEPS_OF_CLUSTER + (uint64_t)h->n_workloads * MT_STEPS_OF_ENDPOINT;
}

/* All names of a host, for which clusters are looked for. */
static uint64_t count_looks(const struct mt_host *h)
{
	uint64_t ports = 0;

	for (const struct mt_unit *u = h->units; u; u = u->next)
		ports++;
	return ports * (1 + (uint64_t)mt_host_subsets(h));
}

/*
 * Identifies the counters of a host's names at a port, which servers of several addresses share, or
 * with port 0 its clusters. Each Gateway pays for both, because others may be closed at the host.
 */
static uint64_t places_of(const struct mt_host *h, const struct mt_gateway *g, uint32_t port)
{
	const void *of[] = {h, g};

	return mt_secret_hash(of, sizeof(of), port);
}

/*
 * A Gateway pays for hosts of all namespaces, because its servers multiply them. Those of others are
 * left out if they are too much, so that their authors do not have it refused.
 */
static void want(struct mt_build *b, enum mt_work_kind kind, const struct mt_gateway *g,
	const struct mt_host *h, uint64_t n)
{
	const struct mt_work_place place = {.host = &h->se->meta,
		.payer = &g->meta,
		.at = place_of(b, h),
		.closed = "it passes no TLS on to a service: "};

	if (strcmp(g->meta.ns, h->se->meta.ns) == 0)
		mt_b_want(b, kind, &g->meta, n, REMEDY);
	else
		mt_b_want_at_host(b, kind, &g->meta, &place, n, REMEDY);
}

/* The chains of a host, and its clusters. */
static void want_chains_of(struct mt_build *b, const struct mt_host *h)
{
	uint64_t names = 0, looks = count_looks(h);
	bool counted = false;

	for (uint32_t i = 0; i < b->n_passing; i++) {
		const struct mt_gateway *g = b->passing[i].gateway;
		const struct mt_gateway_server *s = b->passing[i].server;

		if (!is_passed(b, g, s, h))
			continue;
		names = counted ? names : count_names(b, h);
		counted = true;
		want(b, MT_WORK_STEPS, g, h,
			names * (STEPS_OF_CHAIN + b->passing[i].steps) + looks * STEPS_OF_NAME);
		if (!mt_b_is_counted(b, places_of(h, g, s->port.number.v)))
			want(b, MT_WORK_SERVICES, g, h, names);
		if (mt_b_is_counted(b, places_of(h, g, 0)))
			continue;
		want(b, MT_WORK_CLUSTERS, g, h, names);
		want(b, MT_WORK_STEPS, g, h, names * steps_of_cluster(h));
	}
}

void mt_b_want_chains(struct mt_build *b)
{
	uint32_t n;
	const struct mt_host **v = passable(b, &n);

	for (uint32_t i = 0; v && i < n; i++)
		want_chains_of(b, v[i]);
}

/* ---- for clusters ---------------------------------------------------------------------------- */

const struct mt_meta *mt_b_passed_by(struct mt_build *b, const struct mt_host *h)
{
	if (!b->passing_found)
		find_auto(b);
	for (uint32_t i = 0; i < b->n_passing; i++) {
		const struct mt_auto_server *at = &b->passing[i];

		if (is_passed(b, at->gateway, at->server, h))
			return &at->gateway->meta;
	}
	return NULL;
}

bool mt_b_ends_mtls(
	struct mt_build *b, const struct mt_host *h, const struct mt_workload *w, uint16_t port)
{
	struct mt_policy *whose;

	return mt_instance_class(h, w) == MT_INSTANCE_MESHED && w->proxy != MT_PROXY_AMBIENT &&
	       (!b->policies || mt_b_peer_mode(b, h, w, port, &whose) != MT_MTLS_DISABLE);
}

char *mt_b_passed_name(struct mt_build *b, const struct mt_unit *u, const struct mt_subset *subset)
{
	return mt_region_printf(&b->tmp, "outbound_.%u_.%s_.%s", u->port->number.v,
		subset ? subset->name.s : "", u->host);
}

/* ---- their chains ------------------------------------------------------------------------------------ */

/* What one port of a gateway leads to, while it is gone through. */
struct port {
	struct mt_build *b;
	const struct mt_passing *at;
	uint32_t n;
};

static void bind(struct port *p, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_subset *subset)
{
	struct mt_build *b = p->b;
	const struct mt_gateway_server *s = p->at->server;
	const struct mt_meta *g = &p->at->gateway->meta;
	uint16_t port = (uint16_t)s->port.number.v;
	char *name = mt_b_passed_name(b, u, subset);
	const char **names = mt_region_alloc(&b->tmp, sizeof(*names));
	uint32_t at = name ? mt_b_find_cluster(b, name) : MT_NO_CLUSTER;
	struct mt_listen_tls t = {.names = names, .n_names = 1, .of_mesh = true};
	const struct mt_listen_port where = {.addr = &s->bind_addr,
		.port = port,
		.meta = g,
		.line = s->port.number.line,
		.path = p->at->path};
	struct mt_document_service *d;

	if (!names || at == MT_NO_CLUSTER)
		return;
	names[0] = mt_b_lower(b, name);
	t.service = mt_b_service_slot(b, name, name, port, g->origin);
	d = mt_region_push(&b->tmp, (void **)&b->bound, &b->n_bound, sizeof(*d));
	if (!t.service || !d) {
		b->tmp.failed = true;
		return;
	}
	t.service->unique =
		mt_region_printf(&b->tmp, "documents %s %s %s", name, p->at->name, p->at->path);
	if (!t.service->unique)
		return;
	*d = (struct mt_document_service){.slot = t.service,
		.route = {.meta = &h->se->meta,
			.gateway = p->at->name,
			.codec = mt_codec_bytes(),
			.port = port,
			.fallback = at},
		.limits = {.meta = g, .clients = mt_b_gateway_clients(b, p->at->gateway)},
		.gate = p->at->gate,
		.gate_hash = p->at->gate_hash,
		.gate_meta = g};
	mt_b_listen_tls(b, &where, &t);
	p->n++;
}

uint32_t mt_b_bind_passing(struct mt_build *b, const struct mt_passing *at)
{
	struct port p = {b, at, 0};
	uint32_t n;
	const struct mt_host **v = passable(b, &n);

	for (uint32_t i = 0; v && i < n; i++) {
		const struct mt_host *h = v[i];

		if (!is_passed(b, at->gateway, at->server, h))
			continue;
		for (const struct mt_unit *u = h->units; u; u = u->next) {
			bind(&p, h, u, NULL);
			for (uint32_t k = 0; k < mt_host_subsets(h); k++)
				bind(&p, h, u, &h->rule->subsets[k]);
		}
	}
	return p.n;
}
