/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names changed fields of the Node document: those that changed since the start and need a restart,
 * and those that a load applies.
 */
#include "daemon.h"

#include "mt_keyed.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct list {
	char *buf;
	size_t size, len;
};

static void add(struct list *l, bool same, const char *fmt, ...) mt_printf(3, 4);

/* Adds a name to the list unless the values are the same. */
static void add(struct list *l, bool same, const char *fmt, ...)
{
	char name[64];
	va_list ap;

	if (same || l->len >= l->size)
		return;
	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	l->len += (size_t)snprintf(
		l->buf + l->len, l->size - l->len, "%s%s", l->len ? ", " : "", name);
}

static bool same_text(struct mt_text a, struct mt_text b)
{
	return a.s == b.s || (a.s && b.s && strcmp(a.s, b.s) == 0);
}

static bool same_texts(const struct mt_text *a, uint32_t n, const struct mt_text *b, uint32_t m)
{
	for (uint32_t i = 0; n == m && i < n; i++)
		if (!same_text(a[i], b[i]))
			return false;
	return n == m;
}

static bool same_addrs(
	const struct mt_node_addr *a, uint32_t n, const struct mt_node_addr *b, uint32_t m)
{
	for (uint32_t i = 0; n == m && i < n; i++)
		if (!mt_addr_eq(&a[i].addr, &b[i].addr) || a[i].prefix != b[i].prefix)
			return false;
	return n == m;
}

/* Without the roles, which a reload applies. */
/* A reload applies that there is none any more. */
static bool same_tls(const struct mt_node_tls *a, const struct mt_node_tls *b)
{
	if (!a || !b)
		return !b;
	return same_text(a->listen, b->listen) && same_text(a->certificate, b->certificate) &&
	       same_text(a->key, b->key) && same_text(a->client_roots, b->client_roots) &&
	       same_text(a->client_revocations, b->client_revocations);
}

static void port(
	struct list *l, uint32_t i, const struct mt_node_port *a, const struct mt_node_port *b)
{
	add(l, same_text(a->name, b->name), "spec.ports[%u].name", i);
	add(l, same_text(a->device, b->device), "spec.ports[%u].device", i);
	add(l, same_text(a->profile, b->profile), "spec.ports[%u].profile", i);
	add(l, same_addrs(a->addresses, a->n_addresses, b->addresses, b->n_addresses),
		"spec.ports[%u].addresses", i);
	add(l, a->mtu.v == b->mtu.v, "spec.ports[%u].mtu", i);
	add(l, a->vlan.v == b->vlan.v, "spec.ports[%u].vlan", i);
	add(l, same_text(a->exception, b->exception), "spec.ports[%u].exception", i);
	add(l,
		same_texts(a->kernel_addresses, a->n_kernel_addresses, b->kernel_addresses,
			b->n_kernel_addresses),
		"spec.ports[%u].kernelAddresses", i);
	add(l,
		same_texts(
			a->kernel_routes, a->n_kernel_routes, b->kernel_routes, b->n_kernel_routes),
		"spec.ports[%u].kernelRoutes", i);
	/* The side needs a restart; which workloads the port has is followed without one. */
	add(l, a->side.v == b->side.v, "spec.ports[%u].side", i);
}

static bool same_routes(const struct mt_node *a, const struct mt_node *b)
{
	for (uint32_t i = 0; a->n_routes == b->n_routes && i < a->n_routes; i++)
		if (!same_text(a->routes[i].to.text, b->routes[i].to.text) ||
			!same_text(a->routes[i].via_text, b->routes[i].via_text) ||
			!same_text(a->routes[i].port, b->routes[i].port))
			return false;
	return a->n_routes == b->n_routes;
}

static bool same_demand(const struct mt_node_demand *a, const struct mt_node_demand *b)
{
	if (!a || !b)
		return a == b;
	return a->timeout.v == b->timeout.v && a->idle.v == b->idle.v &&
	       a->absent.v == b->absent.v && a->names.v == b->names.v &&
	       a->per_second.v == b->per_second.v && a->routes.v == b->routes.v;
}

static bool same_xds(const struct mt_node_xds *a, const struct mt_node_xds *b)
{
	if (!a || !b)
		return a == b;
	return same_text(a->name, b->name) && same_text(a->bootstrap, b->bootstrap) &&
	       same_text(a->identity, b->identity) &&
	       same_texts(a->servers, a->n_servers, b->servers, b->n_servers) &&
	       same_text(a->node_id, b->node_id) && same_text(a->node_cluster, b->node_cluster) &&
	       a->delta.v == b->delta.v && a->plaintext.v == b->plaintext.v &&
	       same_text(a->roots, b->roots) && same_text(a->certificate, b->certificate) &&
	       same_text(a->key, b->key) && same_text(a->server_name, b->server_name) &&
	       same_demand(a->on_demand, b->on_demand);
}

static const struct mt_node_xds *next_server(const struct mt_node *n, uint32_t *at)
{
	while (*at < n->n_sources)
		if (n->sources[(*at)++].xds)
			return n->sources[*at - 1].xds;
	return NULL;
}

/* Without directories, which a reload reads and watches as the document has them. */
static bool same_sources(const struct mt_node *a, const struct mt_node *b)
{
	const struct mt_node_xds *x, *y;
	uint32_t i = 0, k = 0;

	do {
		x = next_server(a, &i);
		y = next_server(b, &k);
	} while (x && same_xds(x, y));
	return !x && !y;
}

static bool same_cores(const struct mt_node *a, const struct mt_node *b)
{
	for (uint32_t i = 0; a->n_cores == b->n_cores && i < a->n_cores; i++)
		if (a->cores[i].v != b->cores[i].v)
			return false;
	return a->n_cores == b->n_cores;
}

static bool same_servers(const struct mt_node_dns *a, const struct mt_node_dns *b)
{
	for (uint32_t i = 0; a->n_upstream == b->n_upstream && i < a->n_upstream; i++)
		if (!same_text(a->upstream[i].text, b->upstream[i].text))
			return false;
	return a->n_upstream == b->n_upstream && a->upstream_set == b->upstream_set;
}

static bool same_log(const struct mt_node_log *a, const struct mt_node_log *b)
{
	for (int i = 0; i < MT_LOG_MODULES; i++)
		if (a->modules[i].set != b->modules[i].set || a->modules[i].v != b->modules[i].v)
			return false;
	return a->level.set == b->level.set && a->level.v == b->level.v;
}

/*
 * Without the settings of the names themselves (ttl, domain, zones, search), which a reload
 * applies.
 */
static void dns(struct list *l, const struct mt_node_dns *a, const struct mt_node_dns *b)
{
	add(l, !a == !b, "spec.dns");
	if (!a || !b)
		return;
	add(l, same_text(a->listen, b->listen), "spec.dns.listen");
	add(l,
		a->addresses_set == b->addresses_set &&
			same_addrs(a->addresses, a->n_addresses, b->addresses, b->n_addresses),
		"spec.dns.addresses");
	add(l,
		a->allow_set == b->allow_set &&
			same_addrs(a->allow, a->n_allow, b->allow, b->n_allow),
		"spec.dns.allow");
	add(l, same_servers(a, b), "spec.dns.upstream");
}

static bool same_labels(const struct mt_labels *a, const struct mt_labels *b)
{
	for (uint32_t i = 0; a->n_kv == b->n_kv && i < a->n_kv; i++) {
		const char *value = mt_labels_get(b, a->kv[i].key);

		if (!value || strcmp(value, a->kv[i].value) != 0)
			return false;
	}
	return a->n_kv == b->n_kv;
}

static bool same_otlp(const struct mt_node_otlp *a, const struct mt_node_otlp *b)
{
	if (!a || !b)
		return a == b;
	return same_text(a->endpoint, b->endpoint) && a->interval.v == b->interval.v &&
	       a->timeout.v == b->timeout.v && same_labels(&a->headers, &b->headers) &&
	       same_labels(&a->resource, &b->resource) && same_text(a->roots, b->roots) &&
	       same_text(a->certificate, b->certificate) && same_text(a->key, b->key) &&
	       same_text(a->server_name, b->server_name);
}

static bool same_jwks(const struct mt_node_jwks *a, const struct mt_node_jwks *b)
{
	if (!a || !b)
		return a == b;
	return same_text(a->roots, b->roots) && a->local.v == b->local.v;
}

static bool same_nat(const struct mt_node_nat *a, const struct mt_node_nat *b)
{
	if (!a || !b)
		return a == b;
	return a->first == b->first && a->last == b->last &&
	       same_addrs(a->addresses, a->n_addresses, b->addresses, b->n_addresses);
}

/* Of what the ports of guests are made from. */
static bool same_guests(const struct mt_node_guests *a, const struct mt_node_guests *b)
{
	if (!a || !b)
		return a == b;
	for (uint32_t i = 0; i < a->n_networks && a->n_networks == b->n_networks; i++)
		if (!mt_addr_eq(&a->networks[i].address.addr, &b->networks[i].address.addr) ||
			a->networks[i].address.prefix != b->networks[i].address.prefix)
			return false;
	return a->n_networks == b->n_networks && same_text(a->mac_text, b->mac_text);
}

uint32_t lease_of(const struct mt_node *n)
{
	return n->limits && n->limits->lease.set ? n->limits->lease.v : 1;
}

/* Of the table of limits by key. */
static uint32_t keys_of(const struct mt_node *n)
{
	return n->limits && n->limits->keys.set ? n->limits->keys.v : MT_KEYED_DEFAULT;
}

bool node_changes(const struct mt_node *a, const struct mt_node *b, char *buf, size_t size)
{
	struct list l = {buf, size, 0};

	buf[0] = '\0';
	add(&l, strcmp(a->meta.name, b->meta.name) == 0, "metadata.name");
	add(&l, a->workers.v == b->workers.v, "spec.workers");
	add(&l, a->idle.v == b->idle.v, "spec.idle");
	add(&l, a->ecn.v == b->ecn.v, "spec.ecn");
	add(&l, a->unread.v == b->unread.v, "spec.unread");
	add(&l, a->keepalive.set == b->keepalive.set && a->keepalive.v == b->keepalive.v,
		"spec.keepalive");
	add(&l, a->connections.v == b->connections.v, "spec.connections");
	add(&l, a->retransmissions.v == b->retransmissions.v, "spec.retransmissions");
	add(&l, a->hop_limit.v == b->hop_limit.v, "spec.hopLimit");
	add(&l, a->dscp.v == b->dscp.v, "spec.dscp");
	add(&l, same_cores(a, b), "spec.cores");
	add(&l,
		same_addrs(a->source_addresses, a->n_source_addresses, b->source_addresses,
			b->n_source_addresses),
		"spec.sourceAddresses");
	add(&l, same_nat(a->nat, b->nat), "spec.nat");
	add(&l, same_guests(a->guests, b->guests), "spec.guests");
	add(&l, a->flows.v == b->flows.v, "spec.flows");
	add(&l, keys_of(a) == keys_of(b), "spec.limits.keys");
	add(&l, lease_of(a) == lease_of(b), "spec.limits.lease");
	add(&l, same_text(a->group, b->group), "spec.group");
	add(&l, a->memory.mb.v == b->memory.mb.v, "spec.memory.mb");
	add(&l, a->memory.hugepages.v == b->memory.hugepages.v, "spec.memory.hugepages");
	add(&l, a->n_ports == b->n_ports, "spec.ports");
	for (uint32_t i = 0; i < a->n_ports && a->n_ports == b->n_ports; i++)
		port(&l, i, &a->ports[i], &b->ports[i]);
	add(&l, same_routes(a, b), "spec.routes");
	add(&l, same_sources(a, b), "spec.sources (discovery servers)");
	add(&l, same_text(a->state_dir, b->state_dir), "spec.stateDirectory");
	add(&l, same_text(a->admin.socket, b->admin.socket), "spec.admin.socket");
	add(&l, same_text(a->admin.view_socket, b->admin.view_socket), "spec.admin.viewSocket");
	add(&l, same_text(a->admin.view_group, b->admin.view_group), "spec.admin.viewGroup");
	add(&l, same_text(a->admin.http, b->admin.http), "spec.admin.http");
	add(&l,
		same_texts(a->admin.http_names, a->admin.n_http_names, b->admin.http_names,
			b->admin.n_http_names),
		"spec.admin.httpNames");
	add(&l, a->admin.envoy.v == b->admin.envoy.v, "spec.admin.envoy");
	add(&l, a->admin.workload_series.v == b->admin.workload_series.v,
		"spec.admin.workloadSeries");
	add(&l, same_log(&a->admin.log, &b->admin.log), "spec.admin.log");
	add(&l, same_tls(a->admin.tls, b->admin.tls), "spec.admin.tls");
	dns(&l, a->dns, b->dns);
	add(&l, same_otlp(a->otlp, b->otlp), "spec.otlp");
	add(&l, same_jwks(a->jwks, b->jwks), "spec.jwks");
	return l.len > 0;
}

/* ---- fields that a reload applies ------------------------------------------------------------ */

static bool same_lend(const struct mt_node_lend *a, const struct mt_node_lend *b)
{
	if (!a || !b)
		return a == b;
	return same_texts(a->clients, a->n_clients, b->clients, b->n_clients) &&
	       same_texts(a->to, a->n_to, b->to, b->n_to);
}

static void mesh(struct list *l, const struct mt_node_mesh *a, const struct mt_node_mesh *b)
{
	static const struct mt_node_mesh none;

	a = a ? a : &none;
	b = b ? b : &none;
	add(l, same_text(a->ns, b->ns), "spec.mesh.namespace");
	add(l, same_text(a->service_account, b->service_account), "spec.mesh.serviceAccount");
	add(l, same_text(a->trust_domain, b->trust_domain), "spec.mesh.trustDomain");
	add(l, same_text(a->root_ns, b->root_ns), "spec.mesh.rootNamespace");
	add(l, same_text(a->config, b->config), "spec.mesh.config");
	add(l, same_lend(a->lend, b->lend), "spec.mesh.nodeIdentityUse");
}

static bool same_hash(const struct mt_node_unenforced *a, const struct mt_node_unenforced *b)
{
	return a->hash_void == b->hash_void && mt_content_hash_same(&a->hash, &b->hash);
}

static bool same_unenforced(const struct mt_node *a, const struct mt_node *b)
{
	for (uint32_t i = 0; a->n_unenforced == b->n_unenforced && i < a->n_unenforced; i++) {
		const struct mt_node_unenforced *x = &a->unenforced[i], *y = &b->unenforced[i];

		if (!same_text(x->kind, y->kind) || !same_text(x->ns, y->ns) ||
			!same_text(x->name, y->name) || !same_hash(x, y) || x->until != y->until)
			return false;
	}
	return a->n_unenforced == b->n_unenforced;
}

static bool same_networks(
	const struct mt_node_addr *a, uint32_t n_a, const struct mt_node_addr *b, uint32_t n_b)
{
	for (uint32_t i = 0; n_a == n_b && i < n_a; i++)
		if (!mt_addr_eq(&a[i].addr, &b[i].addr) || a[i].prefix != b[i].prefix)
			return false;
	return n_a == n_b;
}

static bool same_check(const struct mt_health_check_of *a, const struct mt_health_check_of *b)
{
	if (!a || !b)
		return !a && !b;
	return a->kind.set == b->kind.set && a->kind.v == b->kind.v &&
	       a->interval.v == b->interval.v && a->failures.v == b->failures.v;
}

static bool same_rates(const struct mt_forwarding_rates *a, const struct mt_forwarding_rates *b)
{
	if (!a || !b)
		return !a && !b;
	return a->connections.v == b->connections.v &&
	       a->new_connections.v == b->new_connections.v && a->packets.v == b->packets.v &&
	       a->bytes.v == b->bytes.v;
}

static bool same_limits(const struct mt_forwarding_limits *a, const struct mt_forwarding_limits *b)
{
	if (!a || !b)
		return !a && !b;
	return same_rates(a->source, b->source) && same_rates(a->service, b->service);
}

static bool same_forwarding(const struct mt_node *a, const struct mt_node *b)
{
	for (uint32_t i = 0; a->n_forwarding == b->n_forwarding && i < a->n_forwarding; i++) {
		const struct mt_node_forwarding *x = &a->forwarding[i], *y = &b->forwarding[i];

		if (!same_text(x->host, y->host) || x->port.v != y->port.v ||
			x->mode.v != y->mode.v || !same_check(x->check, y->check) ||
			!same_limits(x->limits, y->limits) ||
			!same_networks(x->allow, x->n_allow, y->allow, y->n_allow) ||
			!same_networks(x->deny, x->n_deny, y->deny, y->n_deny))
			return false;
	}
	return a->n_forwarding == b->n_forwarding;
}

static bool same_identity(const struct mt_node_identity *a, const struct mt_node_identity *b)
{
	if (!a || !b)
		return a == b;
	return same_text(a->directory, b->directory) && same_text(a->sds, b->sds);
}

static bool same_held(const struct mt_node *a, const struct mt_node *b)
{
	for (uint32_t i = 0; a->n_identities == b->n_identities && i < a->n_identities; i++) {
		const struct mt_node_held *x = &a->identities[i], *y = &b->identities[i];

		if (!same_text(x->principal, y->principal) ||
			!same_text(x->directory, y->directory) || !same_text(x->sds, y->sds) ||
			!same_text(x->secret, y->secret) || !same_text(x->xds, y->xds))
			return false;
	}
	return a->n_identities == b->n_identities;
}

static bool same_tls_files(const struct mt_node *a, const struct mt_node *b)
{
	for (uint32_t i = 0; a->n_tls_files == b->n_tls_files && i < a->n_tls_files; i++) {
		const struct mt_node_tls_files *x = &a->tls_files[i], *y = &b->tls_files[i];

		if (!same_text(x->directory, y->directory) ||
			!same_texts(x->namespaces, x->n_namespaces, y->namespaces, y->n_namespaces))
			return false;
	}
	return a->n_tls_files == b->n_tls_files;
}

static bool same_access_log(const struct mt_node_access_log *a, const struct mt_node_access_log *b)
{
	static const struct mt_node_access_log none;

	a = a ? a : &none;
	b = b ? b : &none;
	return same_texts(a->directories, a->n_directories, b->directories, b->n_directories) &&
	       a->sample.set == b->sample.set && a->sample.v == b->sample.v;
}

static bool same_owns(const struct mt_node_owns *a, const struct mt_node_owns *b)
{
	if (!a || !b)
		return a == b;
	return same_addrs(a->addresses, a->n_addresses, b->addresses, b->n_addresses) &&
	       same_texts(a->hosts, a->n_hosts, b->hosts, b->n_hosts);
}

static bool same_directories(const struct mt_node *a, const struct mt_node *b)
{
	for (uint32_t i = 0; a->n_sources == b->n_sources && i < a->n_sources; i++)
		if (!same_text(a->sources[i].directory, b->sources[i].directory) ||
			!same_text(a->sources[i].ns, b->sources[i].ns) ||
			!same_texts(a->sources[i].namespaces, a->sources[i].n_namespaces,
				b->sources[i].namespaces, b->sources[i].n_namespaces) ||
			!same_owns(a->sources[i].owns, b->sources[i].owns))
			return false;
	return a->n_sources == b->n_sources;
}

static bool same_roles(const struct mt_node_tls *a, const struct mt_node_tls *b)
{
	if (!a || !b)
		return a == b;
	for (uint32_t i = 0; a->n_roles == b->n_roles && i < a->n_roles; i++)
		if (!same_text(a->roles[i].identity, b->roles[i].identity) ||
			a->roles[i].role.v != b->roles[i].role.v)
			return false;
	return a->n_roles == b->n_roles;
}

static bool same_names(const struct mt_node_dns *a, const struct mt_node_dns *b)
{
	if (!a || !b)
		return true;
	return a->ttl.v == b->ttl.v && same_text(a->domain, b->domain) &&
	       same_texts(a->zones, a->n_zones, b->zones, b->n_zones) &&
	       same_texts(a->search, a->n_search, b->search, b->n_search);
}

bool node_followed(const struct mt_node *a, const struct mt_node *b, char *buf, size_t size)
{
	struct list l = {buf, size, 0};

	buf[0] = '\0';
	mesh(&l, a->mesh, b->mesh);
	add(&l, a->defaults.timeout.v == b->defaults.timeout.v, "spec.defaults.timeout");
	add(&l, a->drain.time.v == b->drain.time.v, "spec.drain.time");
	add(&l, a->drain.then.v == b->drain.then.v, "spec.drain.then");
	add(&l, same_unenforced(a, b), "spec.unenforced");
	add(&l, same_forwarding(a, b), "spec.forwarding");
	add(&l, same_identity(a->identity, b->identity), "spec.identity");
	add(&l, same_held(a, b), "spec.identities");
	add(&l, same_tls_files(a, b), "spec.tlsFiles");
	add(&l, same_texts(a->codecs, a->n_codecs, b->codecs, b->n_codecs), "spec.codecs");
	add(&l, same_access_log(a->access_log, b->access_log), "spec.accessLog");
	add(&l, same_directories(a, b), "spec.sources (directories)");
	add(&l, same_roles(a->admin.tls, b->admin.tls), "spec.admin.tls.roles");
	add(&l, same_names(a->dns, b->dns), "spec.dns (names)");
	return l.len > 0;
}
