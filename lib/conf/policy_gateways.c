/* SPDX-License-Identifier: Apache-2.0 */
/* Policies that select this node as a gateway: they are enforced at its ports, or close them. */
#include "mt_conf_policy_priv.h"

#include <string.h>

/* A class is of no namespace: the root namespace speaks of it. */
static bool is_about(const struct mt_build *b, const struct mt_policy_target *t,
	const struct mt_policy *p, const struct mt_gateway *g)
{
	const char *name = g->gateway_api ? g->gateway_api : g->meta.name;

	if (strcmp(t->kind.s, "GatewayClass") == 0)
		return g->gateway_class && strcmp(t->name.s, g->gateway_class) == 0 &&
		       strcmp(p->meta->ns, mt_b_root_namespace(b)) == 0;
	return strcmp(t->kind.s, "Gateway") == 0 && strcmp(t->name.s, name) == 0 &&
	       strcmp(p->meta->ns, g->meta.ns) == 0;
}

static bool targets(const struct mt_build *b, const struct mt_policy *p, const struct mt_gateway *g)
{
	if (p->scope->target && is_about(b, p->scope->target, p, g))
		return true;
	for (uint32_t i = 0; i < p->scope->n_targets; i++)
		if (is_about(b, &p->scope->targets[i], p, g))
			return true;
	return false;
}

const char *mt_gateway_ns(const struct mt_build *b, const struct mt_gateway *g)
{
	return b->model->mesh.ns ? b->model->mesh.ns : g->meta.ns;
}

static bool selects(const struct mt_build *b, const struct mt_policy *p, const struct mt_gateway *g)
{
	const struct mt_labels *want = mt_policy_selector(p);

	if (mt_policy_has_targets(p))
		return targets(b, p, g);
	if (want && !mt_b_selects_node(b, want))
		return false;
	return strcmp(p->meta->ns, mt_gateway_ns(b, g)) == 0 ||
	       strcmp(p->meta->ns, mt_b_root_namespace(b)) == 0;
}

/* Which certificates a gateway asks for is its own word; and Aeraki's policies are those of servers. */
bool mt_policy_is_about(
	const struct mt_build *b, const struct mt_policy *p, const struct mt_gateway *g)
{
	return p->kind != MT_POLICY_OF_PEERS && !mt_policy_is_dubbo(p) &&
	       mt_policy_is_of_gateways(p) && selects(b, p, g);
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

/* Policies of a namespace. */
static void find_in(struct mt_build *b, const struct mt_gateway *g, const char *ns)
{
	const struct mt_policy_bag *bag = mt_b_policies_of(b, ns);

	for (uint32_t i = 0; bag && i < bag->all.n; i++)
		if (mt_policy_is_about(b, bag->all.v[i], g))
			found_at(b, bag->all.v[i], g);
}

/* Policies of other namespaces are not about the Gateway. */
static void find_all(struct mt_build *b, const struct mt_gateway *g)
{
	const char *own = mt_gateway_ns(b, g), *root = mt_b_root_namespace(b);

	find_in(b, g, root);
	if (strcmp(own, root) != 0)
		find_in(b, g, own);
	if (strcmp(g->meta.ns, own) != 0 && strcmp(g->meta.ns, root) != 0)
		find_in(b, g, g->meta.ns);
}

void mt_b_policies_at_gateways(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->model->gateways.n; i++) {
		const struct mt_gateway *g = b->model->gateways.v[i];

		if (mt_b_selects_node(b, &g->selector))
			find_all(b, g);
	}
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
