/* SPDX-License-Identifier: Apache-2.0 */
/* Policies that select this node as a gateway: those that cannot be enforced there close its ports. */
#include "mt_conf_policy_priv.h"

#include <string.h>

static bool is_about(
	const struct mt_policy_target *t, const struct mt_policy *p, const struct mt_gateway *g)
{
	return strcmp(t->kind.s, "Gateway") == 0 && strcmp(t->name.s, g->meta.name) == 0 &&
	       strcmp(p->meta->ns, g->meta.ns) == 0;
}

static bool targets(const struct mt_policy *p, const struct mt_gateway *g)
{
	if (p->scope->target && is_about(p->scope->target, p, g))
		return true;
	for (uint32_t i = 0; i < p->scope->n_targets; i++)
		if (is_about(&p->scope->targets[i], p, g))
			return true;
	return false;
}

/* One of a namespace or the mesh that has no selector is enforced in front of instances; filters stand where they stand. */
static bool selects(const struct mt_build *b, const struct mt_policy *p, const struct mt_gateway *g)
{
	const struct mt_labels *want = mt_policy_selector(p);
	const char *own = b->model->mesh.ns;

	if (mt_policy_has_targets(p))
		return targets(p, g);
	if (want ? !mt_b_selects_node(b, want) : p->kind != MT_POLICY_OF_CLOSING)
		return false;
	return strcmp(p->meta->ns, g->meta.ns) == 0 || (own && strcmp(p->meta->ns, own) == 0) ||
	       strcmp(p->meta->ns, mt_b_root_namespace(b)) == 0;
}

static bool is_about_gateway(
	const struct mt_build *b, const struct mt_policy *p, const struct mt_gateway *g)
{
	bool harmless = p->kind == MT_POLICY_OF_CLOSING && p->of.closing->harmless;

	/* Which certificates a gateway asks for is its own word. */
	return p->kind != MT_POLICY_OF_PEERS && !mt_policy_is_dubbo(p) &&
	       (harmless || mt_policy_protects(p)) && mt_policy_is_of_gateways(p) &&
	       selects(b, p, g);
}

void mt_b_policies_at_gateways(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->model->gateways.n; i++) {
		const struct mt_gateway *g = b->model->gateways.v[i];

		for (uint32_t k = 0; mt_b_selects_node(b, &g->selector) && k < b->policies->n; k++)
			if (is_about_gateway(b, &b->policies->v[k], g))
				b->policies->v[k].gateway = g;
	}
}

/* Its hosts, each once: "NAMESPACE/HOST" says whose routes may be bound. */
static void touch(struct mt_build *b, const struct mt_policy *p, const struct mt_gateway_server *s)
{
	for (uint32_t i = 0; i < s->n_hosts; i++) {
		const char *host = s->hosts[i].s, *slash = strchr(host, '/');
		char *key;

		host = slash ? slash + 1 : host;
		key = mt_region_printf(&b->tmp, "%p %s", (const void *)p, host);
		if (!key || mt_strmap_get(&b->policies->touched, key))
			continue;
		mt_strmap_put(&b->policies->touched, key, b, NULL);
		mt_diag_host(b->diags, p->meta, host);
	}
}

bool mt_b_server_is_closed(struct mt_build *b, const struct mt_gateway *g,
	const struct mt_gateway_server *s, enum mt_port_web web)
{
	bool closed = false;

	for (uint32_t i = 0; b->policies && i < b->policies->n; i++) {
		struct mt_policy *p = &b->policies->v[i];

		if (!p->gateway || !is_about_gateway(b, p, g) ||
			!mt_policy_stands_at(b, p, (uint16_t)s->port.number.v, web))
			continue;
		touch(b, p, s);
		p->at_gateways = true;
		closed |= mt_policy_protects(p);
	}
	return closed;
}
