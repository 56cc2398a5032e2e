/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of policies that are found without a comparison with each: filters in the proxies of
 * clients by the ports that they name, and policies of Gateways by their targets. A walk visits
 * some groups, and each policy once.
 */
#include "mt_conf_policy_priv.h"

#include "mt_secret_hash.h"

#include <string.h>

enum group {
	BEHIND,	    /* filters in the proxies of clients, by port and protocol */
	CLOSING,    /* those of them that deny calls */
	OF_NODE,    /* of Gateways of this node, whatever their names */
	OF_GATEWAY, /* by name */
	OF_CLASS,
};

static uint64_t id_of(
	const struct mt_policy_bag *bag, enum group group, uint64_t port, const char *name)
{
	const uint64_t of[] = {(uintptr_t)bag, group, port};
	uint64_t h = mt_secret_hash(of, sizeof(of), 0);

	h = name ? mt_secret_hash_text(name, h) : h;
	return h ? h : 1;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static void add(struct mt_build *b, uint64_t id, struct mt_policy *p)
{
	struct mt_policy_group *to = mt_idmap_get(&b->policies->groups, id);
	struct mt_policy **slot;

	if (!to) {
		to = mt_region_alloc(&b->tmp, sizeof(*to));
		if (!to || mt_idmap_put(&b->policies->groups, id, to)) {
			b->tmp.failed = true;
			return;
		}
		*to = (struct mt_policy_group){0};
	}
	if (to->n && to->v[to->n - 1] == p)
		return;
	slot = mt_region_push(&b->tmp, (void **)&to->v, &to->n, sizeof(*slot));
	if (!slot)
		return;
	*slot = p;
	mt_policy_sum_add(&to->sum, &p->size);
}

static void add_at_port(struct mt_build *b, const struct mt_policy_bag *bag, struct mt_policy *p,
	uint64_t port, uint64_t web)
{
	add(b, id_of(bag, BEHIND, port << 8 | web, NULL), p);
	if (!p->of.closing->harmless)
		add(b, id_of(bag, CLOSING, port << 8 | web, NULL), p);
}

/* A filter with a selector is in the proxies of clients that have its labels. */
static void add_behind(struct mt_build *b, const struct mt_policy_bag *bag, struct mt_policy *p)
{
	const struct mt_labels *want = mt_policy_selector(p);

	if (!mt_policy_is_outbound(p))
		return;
	b->policies->n_outbound++;
	for (uint32_t i = 0; (!want || mt_b_selects_node(b, want)) && i < p->of.closing->n_places;
		i++) {
		const struct mt_closing_place *at = &p->of.closing->places[i];

		for (int web = MT_WEB_NOT; web <= MT_WEB; web++)
			if ((at->contexts & MT_CONTEXT_OUTBOUND) &&
				mt_policy_is_in_chain(at, (enum mt_port_web)web))
				add_at_port(b, bag, p, at->port, (uint64_t)web);
	}
}

static void add_target(struct mt_build *b, const struct mt_policy_bag *bag, struct mt_policy *p,
	const struct mt_policy_target *t)
{
	if (strcmp(t->kind.s, "GatewayClass") == 0)
		add(b, id_of(bag, OF_CLASS, 0, t->name.s), p);
	else if (strcmp(t->kind.s, "Gateway") == 0)
		add(b, id_of(bag, OF_GATEWAY, 0, t->name.s), p);
}

/* A Gateway itself names the certificates that it requires; Aeraki's policies are of servers. */
static void add_at_gateways(
	struct mt_build *b, const struct mt_policy_bag *bag, struct mt_policy *p)
{
	const struct mt_labels *want = mt_policy_selector(p);

	if (p->kind == MT_POLICY_OF_PEERS || mt_policy_is_dubbo(p) || !mt_policy_is_of_gateways(p))
		return;
	if (!mt_policy_has_targets(p)) {
		if (!want || mt_b_selects_node(b, want))
			add(b, id_of(bag, OF_NODE, 0, NULL), p);
		return;
	}
	if (p->scope->target)
		add_target(b, bag, p, p->scope->target);
	for (uint32_t i = 0; i < p->scope->n_targets; i++)
		add_target(b, bag, p, &p->scope->targets[i]);
}

void mt_b_policy_groups(struct mt_build *b)
{
	struct mt_policies *all = b->policies;

	for (uint32_t i = 0; i < all->n; i++) {
		const struct mt_policy_bag *bag = mt_b_policies_of(b, all->v[i].meta->ns);

		if (!bag)
			return;
		add_behind(b, bag, &all->v[i]);
		add_at_gateways(b, bag, &all->v[i]);
	}
}

/* ---- walks ----------------------------------------------------------------------------------- */

static const struct mt_policy_group *group_of(const struct mt_build *b,
	const struct mt_policy_bag *bag, enum group group, uint64_t port, const char *name)
{
	return mt_idmap_get(&b->policies->groups, id_of(bag, group, port, name));
}

static struct mt_policy_walk behind(const struct mt_build *b, const struct mt_host *h,
	const struct mt_unit *u, enum group group)
{
	const char *root = mt_b_root_namespace(b), *ns = mt_b_client_ns(b, h->se->meta.ns);
	const uint64_t port = (uint64_t)u->port->number.v << 8 | (uint64_t)u->web;
	struct mt_policy_walk w = {0};

	if (!b->policies || !b->policies->n_outbound)
		return w;
	for (int i = 0; i < 2; i++) {
		const struct mt_policy_bag *bag = mt_b_policies_of(b, i ? ns : root);

		if (!bag || (i && strcmp(ns, root) == 0))
			continue;
		w.of[i][0] = group_of(b, bag, group, u->web, NULL);
		w.of[i][1] = group_of(b, bag, group, port, NULL);
	}
	return w;
}

struct mt_policy_walk mt_b_policies_behind(
	const struct mt_build *b, const struct mt_host *h, const struct mt_unit *u)
{
	return behind(b, h, u, BEHIND);
}

struct mt_policy_walk mt_b_policies_closing(
	const struct mt_build *b, const struct mt_host *h, const struct mt_unit *u)
{
	return behind(b, h, u, CLOSING);
}

/* Policies of other namespaces are not about the Gateway. A class is of the root namespace. */
struct mt_policy_walk mt_b_policies_at(const struct mt_build *b, const struct mt_gateway *g)
{
	const char *root = mt_b_root_namespace(b), *own = mt_gateway_ns(b, g);
	const char *const ns[] = {root, own, g->meta.ns};
	const char *name = g->gateway_api ? g->gateway_api : g->meta.name;
	struct mt_policy_walk w = {0};

	for (int i = 0; b->policies && i < 3; i++) {
		const struct mt_policy_bag *bag = mt_b_policies_of(b, ns[i]);
		bool again = (i && strcmp(ns[i], root) == 0) || (i == 2 && strcmp(ns[i], own) == 0);

		if (!bag || again)
			continue;
		if (i < 2)
			w.of[i][0] = group_of(b, bag, OF_NODE, 0, NULL);
		if (strcmp(ns[i], g->meta.ns) == 0)
			w.of[i][1] = group_of(b, bag, OF_GATEWAY, 0, name);
		if (i == 0 && g->gateway_class)
			w.of[i][2] = group_of(b, bag, OF_CLASS, 0, g->gateway_class);
	}
	return w;
}

/* The next one of these groups, by age. NULL: there is none. */
static struct mt_policy *next_of(
	const struct mt_policy_group *const of[MT_POLICY_GROUPS], uint32_t at[MT_POLICY_GROUPS])
{
	struct mt_policy *first = NULL;

	for (int i = 0; i < MT_POLICY_GROUPS; i++)
		if (of[i] && at[i] < of[i]->n && (!first || of[i]->v[at[i]] < first))
			first = of[i]->v[at[i]];
	for (int i = 0; first && i < MT_POLICY_GROUPS; i++)
		if (of[i] && at[i] < of[i]->n && of[i]->v[at[i]] == first)
			at[i]++;
	return first;
}

struct mt_policy *mt_policy_next(struct mt_policy_walk *w)
{
	for (; w->bag < MT_POLICY_BAGS; w->bag++) {
		struct mt_policy *p = next_of(w->of[w->bag], w->at[w->bag]);

		if (p)
			return p;
	}
	return NULL;
}

struct mt_policy_group mt_policy_walk_sum(const struct mt_policy_walk *w)
{
	struct mt_policy_group sum = {0};

	for (int i = 0; i < MT_POLICY_BAGS; i++)
		for (int k = 0; k < MT_POLICY_GROUPS; k++) {
			const struct mt_policy_group *of = w->of[i][k];

			if (!of)
				continue;
			sum.n += of->n;
			mt_policy_sum_add(&sum.sum, &of->sum);
		}
	return sum;
}
