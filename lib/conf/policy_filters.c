/* SPDX-License-Identifier: Apache-2.0 */
/* In which chains of filters a filter stands that nobody runs: it closes there, and nowhere else. */
#include "mt_conf_policy_priv.h"

#include <string.h>

static bool is_filter(const struct mt_policy *p)
{
	return p->kind == MT_POLICY_OF_CLOSING && p->of.closing->n_places;
}

bool mt_policy_is_in_chain(const struct mt_closing_place *at, enum mt_port_web web)
{
	if (at->chain == MT_CHAIN_HTTP)
		return web != MT_WEB_NOT;
	return at->chain == MT_CHAIN_ANY || web != MT_WEB;
}

/* A port as the filter may write it, by one number or another. */
struct filtered {
	uint8_t context;
	uint32_t port, other;
	enum mt_port_web web;
};

static bool stands(const struct mt_closing_place *at, const struct filtered *f)
{
	return (at->contexts & f->context) && mt_policy_is_in_chain(at, f->web) &&
	       (!at->port || at->port == f->port || at->port == f->other);
}

static bool one_stands(const struct mt_policy *p, const struct filtered *f)
{
	const struct mt_closing *c = p->of.closing;

	for (uint32_t i = 0; i < c->n_places; i++)
		if (stands(&c->places[i], f))
			return true;
	return false;
}

bool mt_policy_stands_before(
	const struct mt_policy *p, const struct mt_workload *w, const struct mt_unit *u)
{
	const struct filtered f = {MT_CONTEXT_INBOUND, u->port->number.v, mt_b_endpoint_port(u, w),
		(enum mt_port_web)u->web};

	if (mt_policy_is_dubbo(p))
		return u->codec->dubbo_policies;
	return !is_filter(p) || one_stands(p, &f);
}

bool mt_policy_stands_before_any(
	const struct mt_policy *p, const struct mt_host *h, const struct mt_workload *w)
{
	for (const struct mt_unit *u = h->units; u; u = u->next)
		if (mt_policy_stands_before(p, w, u))
			return true;
	for (const struct mt_unit *u = h->forwards; u; u = u->next)
		if (mt_policy_stands_before(p, w, u))
			return true;
	return false;
}

bool mt_policy_is_outbound(const struct mt_policy *p)
{
	bool any = false;

	for (uint32_t i = 0; is_filter(p) && i < p->of.closing->n_places; i++)
		any |= (p->of.closing->places[i].contexts & MT_CONTEXT_OUTBOUND) != 0;
	return any;
}

/* Sets of ports: bits. NULL: there are no filters, or there is no memory. */
static bool has_port(const uint64_t *ports, uint16_t port)
{
	return ports && ports[port / 64] >> port % 64 & 1;
}

static void note_port(uint64_t *ports, uint32_t port)
{
	if (port < MT_POLICY_PORTS)
		ports[port / 64] |= 1ull << port % 64;
}

static void note_ports(struct mt_build *b, const struct mt_host *h)
{
	for (const struct mt_unit *u = h->units; u; u = u->next) {
		note_port(b->policies->ports, u->port->number.v);
		note_port(b->policies->ports, u->port->target_port.v);
		for (uint32_t k = 0; k < h->n_workloads; k++)
			note_port(b->policies->ports, mt_b_endpoint_port(u, h->workloads[k]));
	}
}

static void note_gateway(struct mt_build *b, const struct mt_gateway *g)
{
	for (uint32_t k = 0; mt_b_selects_node(b, &g->selector) && k < g->n_servers; k++)
		note_port(b->policies->gateway_ports, g->servers[k].port.number.v);
}

void mt_b_policy_ports(struct mt_build *b)
{
	struct mt_policies *all = b->policies;

	if (!b->model->n_closings)
		return;
	all->ports = mt_region_alloc(&b->tmp, MT_POLICY_PORTS / 8);
	all->gateway_ports = mt_region_alloc(&b->tmp, MT_POLICY_PORTS / 8);
	for (uint32_t i = 0; all->ports && i < b->n_hosts; i++)
		note_ports(b, &b->host_list[i]);
	for (uint32_t i = 0; all->gateway_ports && i < b->model->gateways.n; i++)
		note_gateway(b, b->model->gateways.v[i]);
}

/* Who names gateways, by context, target or labels, means one's port; else it may be a port of a service. */
static bool may_mean_gateways(
	const struct mt_build *b, const struct mt_policy *p, const struct mt_closing_place *at)
{
	if (!(at->contexts & MT_CONTEXT_GATEWAY) || has_port(b->policies->gateway_ports, at->port))
		return false;
	return at->contexts == MT_CONTEXT_GATEWAY || mt_policy_has_targets(p) ||
	       mt_policy_selector(p) || !has_port(b->policies->ports, at->port);
}

/*
 * A Service may lead a gateway's port to another one of its Pods, and the filter name that: what says a port that no gateway
 * here has may mean any.
 */
bool mt_policy_stands_at(
	const struct mt_build *b, const struct mt_policy *p, uint16_t port, enum mt_port_web web)
{
	const struct filtered f = {MT_CONTEXT_GATEWAY, port, port, web};

	if (!is_filter(p) || one_stands(p, &f))
		return true;
	for (uint32_t i = 0; i < p->of.closing->n_places; i++) {
		struct mt_closing_place at = p->of.closing->places[i];

		if (!may_mean_gateways(b, p, &at))
			continue;
		at.port = 0;
		if (stands(&at, &f))
			return true;
	}
	return false;
}

bool mt_policy_is_of_gateways(const struct mt_policy *p)
{
	bool any = !is_filter(p);

	for (uint32_t i = 0; !any && i < p->of.closing->n_places; i++)
		any = (p->of.closing->places[i].contexts & MT_CONTEXT_GATEWAY) != 0;
	return any;
}
