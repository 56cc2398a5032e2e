/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports in policies that no selected endpoint has. PeerAuthentication and ALLOW rules mean ports of
 * endpoints; the port of a service that has another target port is the usual mistake.
 */
#include "mt_conf_unmatched_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DESTINATION_PORT "destination.port"

/* `service`: the port of the service that leads to it; 0: none. */
static void add(struct mt_build *b, struct mt_policy *p, uint16_t server, uint16_t service)
{
	void *to = (void *)((uintptr_t)server + 1);

	if (mt_idmap_put(&p->server_ports, server + 1u, to) ||
		(service && mt_idmap_put(&p->service_ports, service + 1u, to)))
		b->tmp.failed = true;
}

/* A container may listen on more ports than services have. */
static void add_containers(struct mt_build *b, struct mt_policy *p, const struct mt_workload *w)
{
	const struct mt_kube_pod *pod =
		w->pod ? mt_container_of(w->pod, const struct mt_kube_pod, meta) : NULL;

	for (uint32_t i = 0; pod && i < pod->spec.n_containers; i++) {
		const struct mt_kube_container *c = &pod->spec.containers[i];

		for (uint32_t k = 0; k < c->n_ports; k++)
			add(b, p, (uint16_t)c->ports[k].number.v, 0);
	}
}

void mt_policy_note_ports(struct mt_build *b, struct mt_policy *p, const struct mt_host *h,
	const struct mt_workload *w)
{
	if (p->kind == MT_POLICY_OF_PEERS ? !p->of.peers->n_ports : !p->by_port)
		return;
	p->ports_unknown |= b->policies->told || w->labels_unknown;
	if (p->ports_unknown)
		return;
	for (uint32_t i = 0; i < h->se->n_ports; i++) {
		const struct mt_unit u = {.port = &h->se->ports[i]};

		add(b, p, mt_b_endpoint_port(&u, w), (uint16_t)h->se->ports[i].number.v);
	}
	add_containers(b, p, w);
}

/* True if an endpoint has the port; otherwise *meant is that of a service with this number. */
static bool has(const struct mt_policy *p, uint32_t port, bool of_service, uint16_t *meant)
{
	uintptr_t to = (uintptr_t)mt_idmap_get(&p->service_ports, port + 1ull);

	*meant = to ? (uint16_t)(to - 1) : 0;
	return mt_idmap_get(&p->server_ports, port + 1ull) || (of_service && to);
}

static void warn(struct mt_build *b, const struct mt_policy *p, uint32_t line, const char *path,
	uint32_t port, uint16_t meant, const char *effect)
{
	char remedy[96] = "write a port of the endpoints";

	if (meant)
		snprintf(remedy, sizeof(remedy),
			"write %u, the endpoints' port; %u is the service's", meant, port);
	mt_b_warn(b, p->meta, line, path, remedy, "no selected endpoint has port %u: %s", port,
		effect);
}

static void tell_texts(struct mt_build *b, const struct mt_policy *p, const struct mt_texts *ports,
	uint32_t line, const char *path)
{
	bool allow = p->of.authorization->action.v == MT_POLICY_ALLOW;
	uint16_t meant;

	for (uint32_t i = 0; i < ports->n; i++) {
		uint32_t port = (uint32_t)strtoul(ports->v[i].s, NULL, 10);

		if (!has(p, port, !allow, &meant))
			warn(b, p, ports->v[i].line ? ports->v[i].line : line, path, port, meant,
				allow ? "no call is allowed by it" : "it applies to no call");
	}
}

static void tell_rules(struct mt_build *b, const struct mt_policy *p)
{
	const struct mt_authorization_policy *a = p->of.authorization;
	char path[80];

	for (uint32_t i = 0; i < a->n_rules; i++) {
		const struct mt_policy_rule *r = &a->rules[i];

		for (uint32_t k = 0; k < r->n_to; k++) {
			snprintf(path, sizeof(path), "spec.rules[%u].to[%u].operation.ports", i, k);
			if (r->to[k].operation)
				tell_texts(b, p, &r->to[k].operation->ports, r->origin.line, path);
		}
		for (uint32_t k = 0; k < r->n_when; k++) {
			snprintf(path, sizeof(path), "spec.rules[%u].when[%u].values", i, k);
			if (r->when[k].key.s && strcmp(r->when[k].key.s, DESTINATION_PORT) == 0)
				tell_texts(b, p, &r->when[k].values, r->origin.line, path);
		}
	}
}

void mt_b_tell_policy_ports(struct mt_build *b, const struct mt_policy *p)
{
	uint16_t meant;

	/* A gateway has ports of its own, and a discovery service may not send those of endpoints. */
	if (!p->server_ports.n || p->ports_unknown || p->gateway || !mt_policy_is_real(p))
		return;
	if (p->kind == MT_POLICY_OF_AUTHORIZATION)
		tell_rules(b, p);
	for (uint32_t i = 0; p->kind == MT_POLICY_OF_PEERS && i < p->of.peers->n_ports; i++) {
		const struct mt_port_mtls *port = &p->of.peers->ports[i];

		if (!has(p, port->port, false, &meant))
			warn(b, p, port->mtls.origin.line, "spec.portLevelMtls", port->port, meant,
				"this mode applies to nothing");
	}
}

/* ---- routes ---------------------------------------------------------------------------------- */

#define PORTS 65536

/* Ports of all hosts of a VirtualService, so that its matches do not visit each of its hosts. */
struct host_ports {
	const struct mt_virtual_service *vs;
	bool found; /* the others are set, which only matches for a port need */
	bool any;   /* some host may have any port */
	uint64_t has[PORTS / 64];
};

static void add_host_ports(struct host_ports *x, const struct mt_service_entry *se)
{
	for (uint32_t i = 0; i < se->n_ports; i++) {
		uint32_t port = se->ports[i].number.v;

		if (port < PORTS)
			x->has[port / 64] |= 1ull << port % 64;
	}
}

/* Visits the ports of each service once, however many of its names the VirtualService lists. */
static void find_host_ports(struct mt_build *b, struct host_ports *x)
{
	const struct mt_virtual_service *vs = x->vs;
	struct mt_idmap seen = {0};

	memset(x->has, 0, sizeof(x->has));
	x->found = true;
	x->any = !vs->n_hosts;
	for (uint32_t i = 0; i < vs->n_hosts && !x->any; i++) {
		const struct mt_host *h = mt_b_host(b, vs->hosts[i].s, vs->meta.ns);

		x->any = !h || !mt_host_is_served(h);
		if (x->any || mt_idmap_get(&seen, (uintptr_t)h))
			continue;
		add_host_ports(x, h->se);
		if (mt_idmap_put(&seen, (uintptr_t)h, b))
			b->tmp.failed = true;
	}
	mt_idmap_fini(&seen);
}

/* True if some host of it may have the port. */
static bool may_have(struct mt_build *b, struct host_ports *x, uint32_t port)
{
	if (!x->found)
		find_host_ports(b, x);
	return x->any || (port < PORTS && x->has[port / 64] >> port % 64 & 1);
}

static void tell_rule(
	struct mt_build *b, struct host_ports *x, const struct mt_rule *r, const char *path)
{
	char full[MT_CONF_PATH];

	for (uint32_t j = 0; j < r->n_matches; j++) {
		const struct mt_rule_match *m = &r->matches[j];

		if (!m->port.set || m->n_gateways || may_have(b, x, m->port.v))
			continue;
		snprintf(full, sizeof(full), "%s.match[%u].port", path, j);
		mt_b_warn(b, &x->vs->meta, m->port.line, full, "write a port of its hosts",
			"none of its hosts has port %u: this matches no call", m->port.v);
	}
}

void mt_b_tell_match_ports(struct mt_build *b, const struct mt_virtual_service *vs)
{
	struct host_ports x;
	char path[96];

	x.vs = vs;
	x.found = false;
	for (uint32_t i = 0; i < vs->n_gateways; i++)
		if (strcmp(vs->gateways[i].s, "mesh") != 0)
			return;
	for (uint32_t i = 0; i < vs->n_lists; i++) {
		const struct mt_rule_list *l = mt_written_list(&vs->lists[i]);

		for (uint32_t k = 0; k < l->n_rules; k++) {
			snprintf(path, sizeof(path), "spec.%.64s[%u]", l->name,
				l->made_of ? l->rules[k].at : k);
			tell_rule(b, &x, &l->rules[k], path);
		}
	}
}
