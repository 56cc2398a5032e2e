/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides if a forwarded port fails closed because of a policy. Layer 4 sees only addresses and
 * ports. A policy that selects an endpoint of the port and names anything else closes the port,
 * because the same caller would be judged by it if the port were terminated. So do
 * PeerAuthentication STRICT, CUSTOM, and filters that are not run. Ports of rules are decided here;
 * rules by address are left to lib/l4 (forward_clients.c).
 */
#include "mt_conf_forward_priv.h"

#include <stdlib.h>
#include <string.h>

/* The packets to one port of an endpoint that a rule, or a part of one, matches. */
enum fit {
	FIT_NONE,
	FIT_ADDRESS, /* depends on the source's address */
	FIT_UNSEEN,  /* depends on what packets do not show */
	FIT_ALL,
};

struct look {
	struct mt_build *b;
	const struct mt_policed *to;
	const struct mt_unit *port; /* the forwarded one */
	const char *field;	    /* the first one that is not seen; NULL: none */
	struct mt_forward_closing *out;
	/*
	 * ALLOW policies of an endpoint: there are some; a rule matches packets, of all clients or
	 * of some, or the port is closed because of one.
	 */
	bool allows, allowed;
	struct mt_policy *last_allow; /* of them */
};

/* The policy is evaluated, and its result is the same for all packets. */
static void deny(struct look *l, struct mt_policy *p, const char *why)
{
	p->enforced = true;
	if (!l->out->by)
		*l->out = (struct mt_forward_closing){p, why, true};
}

/* The policy cannot be evaluated. */
static void fail_closed(struct look *l, struct mt_policy *p, const char *why)
{
	p->enforced = true;
	if (!p->closes_forward) {
		p->closes_forward = why;
		p->closed_port = l->port;
	}
	if (!l->out->by || l->out->evaluated)
		*l->out = (struct mt_forward_closing){p, why, false};
}

/* ---- rules ------------------------------------------------------------------------------- */

static void unseen(struct look *l, const char *field)
{
	l->field = l->field ? l->field : field;
}

static bool has(const struct mt_texts *a, const struct mt_texts *b)
{
	return a->n || b->n;
}

/* True if one of the texts is a port at which packets arrive. */
static bool has_port(const struct look *l, const struct mt_texts *t, bool of_service)
{
	for (uint32_t i = 0; i < t->n; i++) {
		unsigned long port = strtoul(t->v[i].s, NULL, 10);

		if (port == l->to->port || (of_service && port == l->to->u->port->number.v))
			return true;
	}
	return false;
}

/* True if a port here is in `is`, or `is` is empty, and none is in `not_`. */
static bool fits_port(
	const struct look *l, const struct mt_texts *is, const struct mt_texts *not_, bool allow)
{
	return (!is->n || has_port(l, is, !allow)) && !has_port(l, not_, allow);
}

static enum fit fit_source(struct look *l, const struct mt_policy_source *s)
{
	const struct {
		bool written;
		const char *name;
	} fields[] = {{has(&s->principals, &s->not_principals), "principals"},
		{has(&s->request_principals, &s->not_request_principals), "requestPrincipals"},
		{has(&s->namespaces, &s->not_namespaces), "namespaces"},
		{has(&s->service_accounts, &s->not_service_accounts), "serviceAccounts"},
		{has(&s->trust_domains, &s->not_trust_domains), "trustDomains"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(fields); i++)
		if (fields[i].written) {
			unseen(l, fields[i].name);
			return FIT_UNSEEN;
		}
	return has(&s->ip_blocks, &s->not_ip_blocks) ||
			       has(&s->remote_ip_blocks, &s->not_remote_ip_blocks)
		       ? FIT_ADDRESS
		       : FIT_ALL;
}

static enum fit fit_operation(struct look *l, const struct mt_policy_operation *o, bool allow)
{
	const struct {
		bool written;
		const char *name;
	} fields[] = {{has(&o->hosts, &o->not_hosts), "hosts"},
		{has(&o->methods, &o->not_methods), "methods"},
		{has(&o->paths, &o->not_paths), "paths"},
		{has(&o->interfaces, &o->not_interfaces), "interfaces"}};

	if (!fits_port(l, &o->ports, &o->not_ports, allow))
		return FIT_NONE;
	for (size_t i = 0; i < MT_ARRAY_LEN(fields); i++)
		if (fields[i].written) {
			unseen(l, fields[i].name);
			return FIT_UNSEEN;
		}
	return FIT_ALL;
}

static enum fit fit_condition(struct look *l, const struct mt_policy_condition *c, bool allow)
{
	static const char *const addresses[] = {"source.ip", "remote.ip", "destination.ip"};

	if (strcmp(c->key.s, "destination.port") == 0)
		return fits_port(l, &c->values, &c->not_values, allow) ? FIT_ALL : FIT_NONE;
	for (size_t i = 0; i < MT_ARRAY_LEN(addresses); i++)
		if (strcmp(c->key.s, addresses[i]) == 0)
			return FIT_ADDRESS;
	unseen(l, c->key.s);
	return FIT_UNSEEN;
}

/* Of conditions that must all match: one that never does decides, else one that is not seen. */
static enum fit both(enum fit a, enum fit b)
{
	if (a == FIT_NONE || b == FIT_NONE)
		return FIT_NONE;
	if (a == FIT_UNSEEN || b == FIT_UNSEEN)
		return FIT_UNSEEN;
	return a == FIT_ADDRESS || b == FIT_ADDRESS ? FIT_ADDRESS : FIT_ALL;
}

/* Of alternatives: one that is not seen counts even next to one that matches everything. */
static enum fit either(enum fit a, enum fit b)
{
	if (a == FIT_UNSEEN || b == FIT_UNSEEN)
		return FIT_UNSEEN;
	return MT_MAX(a, b);
}

static enum fit fit_rule(struct look *l, const struct mt_policy_rule *r, bool allow)
{
	enum fit from = r->n_from ? FIT_NONE : FIT_ALL, to = r->n_to ? FIT_NONE : FIT_ALL;
	enum fit when = FIT_ALL;
	const char *before = l->field;

	for (uint32_t i = 0; i < r->n_from; i++)
		from = either(from, r->from[i].source ? fit_source(l, r->from[i].source) : FIT_ALL);
	for (uint32_t i = 0; i < r->n_to; i++)
		to = either(to,
			r->to[i].operation ? fit_operation(l, r->to[i].operation, allow) : FIT_ALL);
	for (uint32_t i = 0; i < r->n_when; i++)
		when = both(when, fit_condition(l, &r->when[i], allow));
	if (both(both(from, to), when) != FIT_UNSEEN)
		l->field = before;
	return both(both(from, to), when);
}

static enum fit fit_rules(struct look *l, const struct mt_authorization_policy *a)
{
	enum fit all = FIT_NONE;

	for (uint32_t i = 0; i < a->n_rules; i++)
		all = either(all, fit_rule(l, &a->rules[i], a->action.v == MT_POLICY_ALLOW));
	return all;
}

/* ---- policies ---------------------------------------------------------------------------- */

static const char *unseen_words(struct look *l)
{
	return mt_region_printf(&l->b->tmp, "names \"%.64s\", which packets do not show", l->field);
}

static void consider_authorization(struct look *l, struct mt_policy *p)
{
	const struct mt_authorization_policy *a = p->of.authorization;
	enum fit fit;

	l->field = NULL;
	fit = fit_rules(l, a);
	if (a->action.v == MT_POLICY_ALLOW) {
		l->last_allow = p;
		l->allows = true;
		l->allowed |= fit != FIT_NONE;
	}
	p->enforced = true;
	if (a->action.v == MT_POLICY_CUSTOM && fit != FIT_NONE)
		fail_closed(l, p,
			"requires the decision of a provider, for which forwarded packets do not "
			"wait");
	else if (fit == FIT_UNSEEN)
		fail_closed(l, p, unseen_words(l));
	else if (a->action.v == MT_POLICY_DENY && fit == FIT_ALL)
		deny(l, p, "denies every packet of it");
}

static void consider(struct look *l, struct mt_policy *p)
{
	const struct mt_policed *to = l->to;
	bool selects = mt_policy_selects(p, to->h, to->w);
	bool unsure = mt_policy_may_select(l->b, p, to->h, to->w);

	if ((!selects && !unsure) || p->kind == MT_POLICY_OF_PEERS ||
		p->kind == MT_POLICY_OF_TOKENS ||
		!mt_policy_is_ours(p, mt_instance_class(to->h, to->w)) || !mt_policy_is_real(p) ||
		!mt_policy_stands_before(p, to->w, to->u))
		return;
	if (unsure)
		fail_closed(l, p, "may select its endpoints: their labels are unknown");
	else if (p->kind == MT_POLICY_OF_AUTHORIZATION)
		consider_authorization(l, p);
	else if (!p->of.closing->harmless && !p->of.closing->messages_only)
		fail_closed(l, p, "cannot be evaluated");
}

static void consider_all(struct look *l, struct mt_policy_bag *bag)
{
	const struct mt_policies_found may =
		mt_policy_find(bag ? &bag->all : NULL, l->to->h, l->to->w);

	for (uint32_t i = 0; i < may.n; i++)
		consider(l, may.v[i]);
}

static void consider_peers(struct look *l)
{
	const struct mt_policed *to = l->to;
	struct mt_policy *p;

	if (mt_instance_class(to->h, to->w) == MT_INSTANCE_BARE &&
		mt_b_peer_mode(l->b, to->h, to->w, to->port, &p) == MT_MTLS_STRICT)
		fail_closed(l, p, "requires mTLS, which forwarded packets do not prove");
}

static void consider_drifting(struct look *l)
{
	const struct mt_policies *all = l->b->policies;
	const struct mt_policed *to = l->to;

	if (!mt_instance_meta(to->h, to->w)->ns_unwritten ||
		mt_instance_class(to->h, to->w) != MT_INSTANCE_BARE)
		return;
	for (uint32_t i = 0; i < all->n_drifting; i++)
		if (mt_policy_may_fit(l->b, all->drifting[i], to->h, to->w) &&
			mt_policy_stands_before(all->drifting[i], to->w, to->u))
			fail_closed(l, all->drifting[i],
				"may be of its namespace, which is not written");
}

/* All of one endpoint's. ALLOW policies count together: one rule of one of them is enough. */
static void consider_endpoint(struct look *l)
{
	const char *ns = mt_instance_meta(l->to->h, l->to->w)->ns;
	const char *root = mt_b_root_namespace(l->b);

	l->allows = l->allowed = false;
	consider_peers(l);
	if (strcmp(ns, root) != 0)
		consider_all(l, mt_b_policies_of(l->b, root));
	consider_all(l, mt_b_policies_of(l->b, ns));
	consider_drifting(l);
	if (l->allows && !l->allowed)
		deny(l, l->last_allow, "allows no packet of it");
}

/* Filters in the proxies of clients; this node stands in their place. */
static void consider_clients(struct look *l)
{
	struct mt_policy_walk walk = mt_b_policies_closing(l->b, l->to->h, l->to->u);

	for (struct mt_policy *p; (p = mt_policy_next(&walk)) != NULL;)
		fail_closed(l, p, "cannot be evaluated");
}

/* Of all endpoints of a destination. */
static void consider_dest(struct look *l, struct mt_policed *to, const struct mt_forward_dest *d)
{
	const struct mt_labels *labels = d->subset ? &d->subset->labels : NULL;

	to->h = d->h;
	to->u = d->u;
	for (uint32_t i = 0; i < d->h->n_workloads; i++) {
		to->w = d->h->workloads[i];
		to->port = mt_b_endpoint_port(d->u, to->w);
		/* Its own proxy enforces what selects it. */
		if (to->w->weight.v && (!labels || mt_labels_match(labels, &to->w->labels)) &&
			!mt_b_forward_by_tls(l->b, d, to->w))
			consider_endpoint(l);
	}
}

bool mt_b_forward_closed(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	struct mt_forward_closing *out)
{
	struct mt_policed to = {.h = h, .u = u};
	struct look l = {.b = b, .to = &to, .port = u, .out = out};

	*out = (struct mt_forward_closing){0};
	if (!b->policies)
		return false;
	consider_clients(&l);
	for (uint32_t i = 0; u->route && i < u->route->n; i++)
		consider_dest(&l, &to, &u->route->v[i]);
	return out->by != NULL;
}
