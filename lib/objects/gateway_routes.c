/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes of Gateway API. Binds a route to the listeners and Services that are its parents, and
 * resolves its backends. Warns if a parent does not admit the route or no ReferenceGrant permits a
 * backend.
 */
#include "mt_gateway_api_priv.h"

#include "mt_secret_hash.h"

#include <stdio.h>
#include <string.h>

/* ---- destinations ---------------------------------------------------------------------------- */

static bool grants(const struct mt_gwapi_grant *g, const struct mt_meta *route, const char *name)
{
	bool from = false, to = false;

	for (uint32_t i = 0; i < g->n_from; i++)
		from |= mt_gwapi_is(&g->from[i].group, MT_GWAPI_GROUP) &&
			mt_gwapi_is(&g->from[i].kind, route->kind) &&
			mt_gwapi_is(&g->from[i].ns, route->ns);
	for (uint32_t i = 0; i < g->n_to; i++)
		to |= mt_gwapi_is_service(&g->to[i], false) &&
		      (!g->to[i].name.s || mt_gwapi_is(&g->to[i].name, name));
	return from && to;
}

/* Also false if the route may cost no more; then it is cut. */
static bool is_granted(struct mt_gwapi *x, const char *ns, const char *name, const char *host)
{
	bool granted = strcmp(ns, x->route->meta.ns) == 0;

	if (!mt_gwapi_may_ask(x))
		return false;
	for (uint32_t i = 0; i < x->m->gwapi_grants.n; i++) {
		const struct mt_gwapi_grant *g = x->m->gwapi_grants.v[i];

		if (strcmp(g->meta.ns, ns) != 0)
			continue;
		if (!mt_gwapi_may_read(x, g, name))
			return false;
		if (!grants(g, &x->route->meta, name))
			continue;
		granted = x->asked[i] = true;
		mt_diag_host(&x->t->translated, &g->meta, host);
	}
	return granted;
}

static void add_backend(struct mt_gwapi *x, const struct mt_gwapi_ref *r, uint32_t at)
{
	struct mt_rule_dest *d = mt_region_push(
		&x->m->region, (void **)&x->rule->dests, &x->rule->n_dests, sizeof(*d));
	const char *ns = r->ns.s ? r->ns.s : x->route->meta.ns;
	bool host =
		mt_gwapi_is(&r->group, "networking.istio.io") && mt_gwapi_is(&r->kind, "Hostname");
	char path[64];

	if (!d)
		return;
	*d = (struct mt_rule_dest){.origin = r->origin, .weight = r->weight};
	d->dest.origin = r->origin;
	d->dest.port.number = r->port;
	d->dest.host.line = r->name.line;
	d->dest.host.s =
		host ? mt_host_name(&x->m->region, r->name.s)
		     : mt_service_host(&x->m->region, r->name.s, ns, mt_model_domain(x->m));
	snprintf(path, sizeof(path), "spec.rules[0].backendRefs[%u]", at);
	d->dest.refused = !d->dest.host.s || !(host || mt_gwapi_is_service(r, true));
	if (d->dest.refused)
		mt_gwapi_tell(x, MT_DIAG_WARNING, &x->route->meta, r->origin.line, path,
			"neither a Service nor a host: what gets there fails");
	else if (!host && !is_granted(x, ns, r->name.s, d->dest.host.s) && !x->budget.full) {
		d->dest.refused = true;
		mt_gwapi_tell(x, MT_DIAG_WARNING, &x->route->meta, r->origin.line, path,
			mt_region_printf(&x->m->region,
				"no ReferenceGrant of namespace %s lets it lead there: what gets "
				"there fails",
				ns));
	}
}

/*
 * If all weights are 0, makes every connection fail by giving all weight to the first backend and
 * marking it as refused.
 */
static void check_shares(struct mt_gwapi *x)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < x->rule->n_dests; i++)
		sum += x->rule->dests[i].weight.v;
	if (sum || !x->rule->n_dests)
		return;
	x->rule->dests[0].weight.v = 1;
	x->rule->dests[0].dest.refused = true;
	mt_gwapi_tell(x, MT_DIAG_WARNING, &x->route->meta, x->rule->origin.line, "spec.rules[0]",
		"all weights are 0: every connection fails");
}

static bool make_rule(struct mt_gwapi *x)
{
	const struct mt_gwapi_rule *from = &x->route->rules[0];

	x->rule = mt_region_alloc(&x->m->region, sizeof(*x->rule));
	if (!x->rule)
		return false;
	x->rule->origin = from->origin;
	x->rule->name = from->name;
	/* A part of the backends would get all connections. */
	for (uint32_t i = 0; i < from->n_backends; i++) {
		if (!mt_budget_has(&x->budget, 1))
			return false;
		add_backend(x, &from->backends[i], i);
		if (x->budget.full)
			return false;
	}
	check_shares(x);
	if (x->route->n_rules > 1)
		mt_gwapi_tell(x, MT_DIAG_WARNING, &x->route->meta, x->route->rules[1].origin.line,
			"spec.rules[1]", "the first rule takes every connection: the others none");
	return true;
}

/* ---- routes ---------------------------------------------------------------------------------- */

static struct mt_virtual_service *make_service(struct mt_gwapi *x, const struct mt_text host)
{
	struct mt_virtual_service *vs = mt_region_alloc(&x->m->region, sizeof(*vs));
	struct mt_rule_list *list = mt_region_alloc(&x->m->region, sizeof(*list));
	struct mt_text *hosts = mt_region_alloc(&x->m->region, sizeof(*hosts));

	if (!vs || !list || !hosts || !host.s)
		return NULL;
	*hosts = host;
	*list = (struct mt_rule_list){.origin = x->route->meta.origin,
		.name = x->route->tls ? "tls" : "tcp",
		.rules = x->rule,
		.n_rules = 1};
	*vs = (struct mt_virtual_service){.meta = x->route->meta,
		.hosts = hosts,
		.n_hosts = 1,
		.lists = list,
		.n_lists = 1,
		.gateway_api = true};
	/* A route may become several virtual services, whose names must differ. */
	if (x->n_made++)
		vs->meta.name =
			mt_region_printf(&x->m->region, "%s~%u", x->route->meta.name, x->n_made);
	if (!vs->meta.name || mt_model_add(x->m, &x->m->virtual_services, vs))
		return NULL;
	return vs;
}

static uint64_t stamp_text(const char *s, uint64_t h)
{
	return s ? mt_secret_hash(s, strlen(s) + 1, h) : h + 1;
}

/*
 * Sets made_of to a hash of the rule. Each load makes a new list, and the compiler compares the
 * hashes to find out if the content changed.
 */
static void stamp(const struct mt_virtual_service *vs)
{
	const struct mt_rule *r = vs->lists->rules;
	uint64_t h = vs->meta.serial;

	for (uint32_t i = 0; i < r->n_dests; i++) {
		const struct mt_dest *d = &r->dests[i].dest;
		const uint32_t n[] = {d->port.number.v, d->refused, r->dests[i].weight.v};

		h = mt_secret_hash(n, sizeof(n), stamp_text(d->host.s, h));
	}
	for (uint32_t i = 0; i < r->n_matches; i++) {
		const struct mt_rule_match *m = &r->matches[i];

		h = mt_secret_hash(&m->port.v, sizeof(m->port.v), h);
		for (uint32_t k = 0; k < m->n_sni; k++)
			h = stamp_text(m->sni[k].s, h);
		for (uint32_t k = 0; k < m->n_gateways; k++)
			h = stamp_text(m->gateways[k].s, h);
	}
	vs->lists->made_of = h | 1;
}

/*
 * Gives this parent a copy of the rule with a match for its own port, because other parents have
 * other ports.
 */
static void match_service(
	struct mt_gwapi *x, struct mt_virtual_service *vs, const struct mt_gwapi_ref *p)
{
	static struct mt_text any = {"*", 0};
	struct mt_rule_match *match = mt_region_alloc(&x->m->region, sizeof(*match));
	struct mt_rule *rule = mt_region_alloc(&x->m->region, sizeof(*rule));

	if (!match || !rule)
		return;
	*match = (struct mt_rule_match){.origin = p->origin, .port = p->port};
	if (x->route->tls) {
		match->sni = x->route->n_hostnames ? x->route->hostnames : &any;
		match->n_sni = MT_MAX(x->route->n_hostnames, 1u);
	}
	*rule = *x->rule;
	rule->matches = match;
	rule->n_matches = 1;
	vs->lists->rules = rule;
}

/*
 * Binds the route to clients of a Service. If the Service is in another namespace, the route
 * applies only to clients in the route's own namespace.
 */
static void bind_service(struct mt_gwapi *x, const struct mt_gwapi_ref *p)
{
	static struct mt_text own = {".", 0};
	const char *ns = p->ns.s ? p->ns.s : x->route->meta.ns;
	const struct mt_text host = {
		mt_service_host(&x->m->region, p->name.s, ns, mt_model_domain(x->m)), p->name.line};
	struct mt_virtual_service *vs = make_service(x, host);

	if (vs && strcmp(ns, x->route->meta.ns) != 0)
		vs->export_to = (struct mt_exports){&own, 1};
	if (!vs)
		return;
	if (p->port.set || x->route->tls)
		match_service(x, vs, p);
	stamp(vs);
}

/* Returns the narrower of two host names if one covers the other, otherwise NULL. */
static const char *both(const char *listener, const char *route)
{
	if (strcmp(listener, "*") == 0 || mt_host_covers(listener, route))
		return route;
	return strcmp(route, "*") == 0 || mt_host_covers(route, listener) ? listener : NULL;
}

/*
 * Adds a match of the server names that both the route and the listener (`own`) accept. Returns
 * false if there is no such name.
 */
static bool match_names(struct mt_gwapi *x, const struct mt_text *own, const char *gateway)
{
	static const struct mt_text any = {"*", 0};
	const struct mt_text *of = x->route->n_hostnames ? x->route->hostnames : &any;
	struct mt_rule_match m = {.origin = x->route->meta.origin}, *slot;
	struct mt_text *t;

	for (uint32_t i = 0; i < MT_MAX(x->route->n_hostnames, 1u); i++) {
		const char *name;

		if (!mt_budget_has(&x->budget, mt_gwapi_work(own->s) + mt_gwapi_work(of[i].s)))
			return false;
		name = both(own->s ? own->s : "*", of[i].s);
		t = name ? mt_region_push(&x->m->region, (void **)&m.sni, &m.n_sni, sizeof(*t))
			 : NULL;
		if (t)
			*t = (struct mt_text){name, x->route->meta.origin.line};
	}
	t = gateway ? mt_region_push(&x->m->region, (void **)&m.gateways, &m.n_gateways, sizeof(*t))
		    : NULL;
	if (t)
		*t = (struct mt_text){gateway, x->route->meta.origin.line};
	if (!m.n_sni)
		return false;
	slot = mt_region_push(&x->m->region, (void **)&x->matches, &x->n_matches, sizeof(*slot));
	if (slot)
		*slot = m;
	return slot != NULL;
}

static void name_listener(struct mt_gwapi *x, const struct mt_gwapi_bound *b)
{
	struct mt_text *name =
		mt_region_push(&x->m->region, (void **)&x->names, &x->n_names, sizeof(*name));

	if (name)
		*name = (struct mt_text){b->name, x->route->meta.origin.line};
}

static void bind_listener(struct mt_gwapi *x, struct mt_gwapi_bound *b)
{

	if (!mt_gwapi_admits(x, b)) {
		x->refused = true;
		return;
	}
	if (x->route->tls) {
		if (match_names(x, &b->listener->hostname, b->name))
			name_listener(x, b);
		else
			x->refused = true;
		return;
	}
	if (b->route && b->route != x->route) {
		x->before = x->before ? x->before : &b->route->meta;
		return;
	}
	if (b->route)
		return;
	b->route = x->route;
	name_listener(x, b);
}

static void bind_gateways(struct mt_gwapi *x)
{
	const struct mt_text host = {
		mt_region_printf(&x->m->region, "%s/%s", x->route->meta.ns, x->route->meta.name),
		x->route->meta.origin.line};
	struct mt_virtual_service *vs = make_service(x, host);

	if (!vs)
		return;
	vs->gateways = x->names;
	vs->n_gateways = x->n_names;
	if (x->route->tls && x->matches) {
		vs->lists->rules = mt_region_alloc(&x->m->region, sizeof(*x->rule));
		if (!vs->lists->rules)
			return;
		*vs->lists->rules = *x->rule;
		vs->lists->rules->matches = x->matches;
		vs->lists->rules->n_matches = x->n_matches;
	}
	stamp(vs);
}

static void find_parents(struct mt_gwapi *x)
{
	const struct mt_gwapi_route *r = x->route;

	for (uint32_t i = 0; i < r->n_parents && mt_budget_has(&x->budget, 1 + x->n_bound); i++) {
		const struct mt_gwapi_ref *p = &r->parents[i], **slot;

		if (mt_gwapi_is_service(p, false)) {
			slot = mt_gwapi_has_service(x, p->ns.s ? p->ns.s : r->meta.ns, p->name.s)
				       ? mt_region_push(&x->m->region, (void **)&x->services,
						 &x->n_services, sizeof(*slot))
				       : NULL;
			if (slot)
				*slot = p;
			continue;
		}
		for (uint32_t k = 0; k < x->n_bound; k++)
			if (mt_gwapi_is_parent(x, p, &x->bound[k]))
				bind_listener(x, &x->bound[k]);
	}
}

/* Reports why no parent serves the route, and conflicts with an older route about a listener. */
static void tell_parents(struct mt_gwapi *x)
{
	const struct mt_meta *meta = &x->route->meta;
	bool served = x->n_names || x->n_services;

	if (x->before) {
		mt_gwapi_tell(x, served ? MT_DIAG_WARNING : MT_DIAG_SHADOWED, meta, 0,
			"spec.parentRefs",
			mt_region_printf(&x->m->region,
				"%s %s/%s, which is older, has the listener", x->before->kind,
				x->before->ns, x->before->name));
		mt_gwapi_tell(x, MT_DIAG_WARNING, x->before, 0, "spec.parentRefs",
			mt_region_printf(&x->m->region,
				"in place of %s %s/%s, which has the same listener", meta->kind,
				meta->ns, meta->name));
	} else if (!served) {
		mt_gwapi_tell(x, MT_DIAG_INERT, meta, 0, "spec.parentRefs",
			x->refused ? "the listener does not admit it (allowedRoutes, hostname)"
				   : "none of its parents is served here");
	}
}

void mt_gwapi_route(struct mt_gwapi *x, const struct mt_gwapi_route *r)
{
	x->route = r;
	x->before = NULL;
	x->names = NULL;
	x->services = NULL;
	x->n_names = x->n_services = x->n_made = 0;
	x->refused = false;
	x->matches = NULL;
	x->n_matches = 0;
	find_parents(x);
	/* Without a part of its names the rest would go to another route. */
	if (x->budget.full)
		return;
	tell_parents(x);
	if ((!x->n_names && !x->n_services) || !r->n_rules || !make_rule(x))
		return;
	for (uint32_t i = 0; i < x->n_services; i++) {
		/* stamp() reads the whole rule each time. */
		if (!mt_budget_has(&x->budget, 1ull + x->rule->n_dests + r->n_hostnames))
			return;
		bind_service(x, x->services[i]);
	}
	if (x->n_names)
		bind_gateways(x);
}
