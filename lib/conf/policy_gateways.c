/* SPDX-License-Identifier: Apache-2.0 */
/* Policies that select this node as a gateway: they are enforced at its ports, or close them. */
#include "mt_conf_policy_priv.h"

#include <string.h>

/* Values that are compiled in one step. */
#define STEP_OF_VALUES 2

const char *mt_gateway_ns(const struct mt_build *b, const struct mt_gateway *g)
{
	return b->model->mesh.ns ? b->model->mesh.ns : g->meta.ns;
}

/* Its hosts, each once: "NAMESPACE/HOST" says whose routes may be bound. */
static void touch_server(
	struct mt_build *b, const struct mt_policy *p, const struct mt_gateway_server *server)
{
	for (uint32_t i = 0; i < server->n_hosts; i++) {
		const char *host = server->hosts[i].s, *slash = strchr(host, '/');
		char *key;

		host = slash ? slash + 1 : host;
		key = mt_region_printf(&b->tmp, "%p %s", (const void *)p, host);
		if (!key || mt_strmap_get(&b->policies->touched, key))
			continue;
		mt_strmap_put(&b->policies->touched, key, b, NULL);
		mt_diag_host(b->diags, p->meta, host);
	}
}

static void found_at(struct mt_build *b, struct mt_policy *p, const struct mt_gateway *g)
{
	p->gateway = g;
	/* It is about all of it, also about what is not served; filters and tokens are only about some ports. */
	for (uint32_t i = 0; p->kind == MT_POLICY_OF_AUTHORIZATION && i < g->n_servers; i++)
		touch_server(b, p, &g->servers[i]);
}

static void find_all(struct mt_build *b, const struct mt_gateway *g)
{
	struct mt_policy_walk walk = mt_b_policies_at(b, g);

	for (struct mt_policy *p; (p = mt_policy_next(&walk)) != NULL;)
		found_at(b, p, g);
}

void mt_b_policies_at_gateways(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->model->gateways.n; i++) {
		const struct mt_gateway *g = b->model->gateways.v[i];

		if (mt_b_selects_node(b, &g->selector))
			find_all(b, g);
	}
}

uint64_t mt_b_steps_at_gateway(const struct mt_build *b, const struct mt_gateway *g)
{
	const struct mt_policy_walk walk = mt_b_policies_at(b, g);
	const struct mt_policy_group sum = mt_policy_walk_sum(&walk);

	return sum.n * (1ull + g->n_servers) + sum.at_ports * g->n_servers / STEP_OF_VALUES;
}

void mt_policy_touch_gate(struct mt_build *b, struct mt_policy *p, const struct mt_gate *at)
{
	p->at_gateways = true;
	touch_server(b, p, at->server);
}

static const struct mt_gate_guard *gate_of(
	struct mt_build *b, const struct mt_authz *a, uint16_t port)
{
	struct mt_gate_guard *d = a ? mt_region_alloc(&b->snap->region, sizeof(*d)) : NULL;

	if (d)
		*d = (struct mt_gate_guard){a, port};
	return d;
}

const struct mt_gate_guard *mt_b_gate_of_clients(
	struct mt_build *b, const struct mt_host *h, const struct mt_unit *u, uint64_t *hash)
{
	return gate_of(b, b->policies ? mt_b_guard_clients(b, h, u, hash) : NULL,
		(uint16_t)u->port->number.v);
}

bool mt_b_gate(struct mt_build *b, const struct mt_gate *at, const struct mt_gate_guard **gate,
	uint64_t *hash)
{
	const struct mt_authz *a = b->policies ? mt_b_guard_gate(b, at, hash) : NULL;

	mt_b_audit_gate(b, at, a);
	*gate = NULL;
	if (!a)
		return true;
	*gate = gate_of(b, a, (uint16_t)at->server->port.number.v);
	return *gate != NULL;
}
