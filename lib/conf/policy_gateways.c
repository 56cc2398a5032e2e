/* SPDX-License-Identifier: Apache-2.0 */
/* Policies that select this node as a gateway: as they are not enforced there yet, those that protect close it. */
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

/* A policy of a namespace or the mesh, without a selector, is enforced in front of instances. */
static bool selects(const struct mt_build *b, const struct mt_policy *p, const struct mt_gateway *g)
{
	const struct mt_labels *want = mt_policy_selector(p);
	const char *own = b->model->mesh.ns;

	if (mt_policy_has_targets(p))
		return targets(p, g);
	return want && mt_b_selects_node(b, want) &&
	       (strcmp(p->meta->ns, g->meta.ns) == 0 || (own && strcmp(p->meta->ns, own) == 0) ||
		       strcmp(p->meta->ns, mt_b_root_namespace(b)) == 0);
}

static bool closes(const struct mt_build *b, const struct mt_policy *p, const struct mt_gateway *g)
{
	/* Which certificates a gateway asks for is its own word. */
	return p->kind != MT_POLICY_OF_PEERS && mt_policy_protects(p) && selects(b, p, g);
}

void mt_b_policies_at_gateways(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->model->gateways.n; i++) {
		const struct mt_gateway *g = b->model->gateways.v[i];

		for (uint32_t k = 0; mt_b_selects_node(b, &g->selector) && k < b->policies->n; k++)
			if (closes(b, &b->policies->v[k], g))
				b->policies->v[k].gateway = g;
	}
}

bool mt_b_gateway_is_closed(struct mt_build *b, const struct mt_gateway *g)
{
	for (uint32_t i = 0; b->policies && i < b->policies->n; i++) {
		const struct mt_policy *p = &b->policies->v[i];

		if (!p->gateway || !closes(b, p, g))
			continue;
		mt_b_verdict(b, MT_DIAG_CLOSED, &g->meta,
			"name the policy in the Node's `unenforced` to serve without it",
			"%s %s/%s is about it, and policies of gateways are not enforced yet: "
			"nothing is served here",
			p->meta->kind, p->meta->ns, p->meta->name);
		return true;
	}
	return false;
}
