/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the routes that clients of a host's own address follow: those of a MetaRouter that has
 * routes, else those of a VirtualService that names the host whole, else by a wildcard. Among
 * wildcards the longest counts for ports of messages, as in istiod 1.31 for HTTP. For ports of
 * bytes the oldest VirtualService's counts, as there for TCP. Among equals the oldest counts. A
 * VirtualService that cannot be applied to a host's ports is refused and does not take them, so
 * that one compilation finds all that are wrong.
 */
#include "mt_conf_unmatched_priv.h"

#include "mt_sort.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static void in_place_of(struct mt_build *b, const struct mt_meta *winner, uint32_t line,
	const struct mt_meta *loser, uint32_t loser_line, const char *path, const char *host)
{
	mt_b_shadowed(b, loser, loser_line, path, NULL, "\"%.128s\" is that of %s %s/%s", host,
		winner->kind, winner->ns, winner->name);
	/* tell_replaced() has reported it. */
	if (strcmp(winner->kind, loser->kind) != 0)
		return;
	mt_b_warn(b, winner, line, NULL, NULL, "in place of %s %s/%s, which has \"%.128s\" as well",
		loser->kind, loser->ns, loser->name, host);
}

/*
 * Finds the host that a document is about. Without it the document has no effect, as in other
 * meshes, and this is reported.
 */
static struct mt_host *want_host(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_text *host, const char *path)
{
	struct mt_host *h = mt_b_host(b, host->s, meta->ns);

	if (!h)
		mt_b_unused(b, meta, host->line, path, mt_b_host_remedy(b, host->s), MT_B_NO_HOST,
			host->s);
	return h;
}

static void not_exported(
	struct mt_build *b, const struct mt_meta *meta, const struct mt_exports *to)
{
	mt_b_not_exported(b, meta, to, meta->origin.line, "spec.exportTo",
		"it is not visible where clients of its host are");
}

static void index_routers(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->model->meta_routers.n; i++) {
		const struct mt_meta_router *mr = b->model->meta_routers.v[i];
		struct mt_host *h = want_host(b, &mr->meta, &mr->hosts[0], "spec.hosts[0]");

		if (!h)
			continue;
		if (!mt_b_rule_visible(b, &mr->export_to, &mr->meta, false, h->se->meta.ns))
			not_exported(b, &mr->meta, &mr->export_to);
		else if (h->router)
			in_place_of(b, &h->router->meta, h->router->hosts[0].line, &mr->meta,
				mr->hosts[0].line, "spec.hosts[0]", mr->hosts[0].s);
		else
			h->router = mr;
	}
}

/* True if the MetaRouter replaces routes of messages; without routes it adds its limits to them. */
static bool has_routes(const struct mt_meta_router *router)
{
	return router && router->routes.n_rules;
}

/* Whether its routes are for clients of the services' own addresses. */
static bool for_mesh(const struct mt_virtual_service *vs)
{
	for (uint32_t i = 0; i < vs->n_gateways; i++)
		if (strcmp(vs->gateways[i].s, "mesh") == 0)
			return true;
	return vs->n_gateways == 0;
}

/* Counts the hosts of one VirtualService that are here, and those of them that others have. */
struct claims {
	const struct mt_virtual_service *vs; /* NULL: it is for gateways alone */
	uint32_t here, taken, hidden;
	const struct mt_meta *by; /* the owner of the first of those that are taken */
	uint32_t at;
	bool missed[64];
};

/* "*.x": claims every host below that is still free. */
struct wildcard {
	struct claims *of;
	const char *word;
	uint32_t at, order;
};

struct wildcards {
	struct wildcard *v;
	uint32_t n;
	const char **hosts; /* names of all hosts */
};

/* Routes of bytes, which a MetaRouter has none of. */
static bool leads_bytes(const struct mt_virtual_service *vs)
{
	for (uint32_t i = 0; i < vs->n_lists; i++)
		if (strcmp(vs->lists[i].name, "tcp") == 0)
			return true;
	return false;
}

static bool forwards_tcp(const struct mt_host *h)
{
	for (const struct mt_unit *u = h->forwards; u; u = u->next)
		if (u->transport == IPPROTO_TCP)
			return true;
	return false;
}

/* A host that is not served counts as one of messages, so that its VirtualServices are found once. */
static bool has_ports(const struct mt_host *h, bool opaque)
{
	for (const struct mt_unit *u = h->units; u; u = u->next)
		if (u->codec->opaque == opaque)
			return true;
	if (forwards_tcp(h))
		return opaque;
	return !h->units && !opaque;
}

/*
 * True if the rules can be applied to all ports of the host that would follow them; reports those
 * that cannot.
 */
static bool can_route(struct mt_build *b, const struct mt_host *h,
	const struct mt_virtual_service *vs, bool opaque)
{
	bool replaced = !opaque && has_routes(h->router), can = true;

	for (const struct mt_unit *u = h->units; u; u = u->next) {
		struct mt_route_for f = {.meta = &vs->meta,
			.list = mt_b_rule_list(vs, opaque ? NULL : u->protocol),
			.ns = h->se->meta.ns,
			.codec = u->codec,
			.port = (uint16_t)u->port->number.v};

		if (u->codec->opaque != opaque || replaced || !f.list ||
			(u->patch && u->patch->routes.n_rules))
			continue;
		can &= mt_b_can_route(b, &f, true);
	}
	for (const struct mt_unit *u = h->forwards; u && opaque; u = u->next) {
		struct mt_route_for f = {.meta = &vs->meta,
			.list = mt_b_rule_list(vs, NULL),
			.ns = h->se->meta.ns,
			.codec = u->codec,
			.port = (uint16_t)u->port->number.v};

		if (u->transport == IPPROTO_TCP && f.list)
			can &= mt_b_can_route(b, &f, true);
	}
	return can;
}

/* Reports that the MetaRouter's routes replace those that the VirtualService has for messages. */
static void tell_replaced(
	struct mt_build *b, const struct mt_host *h, const struct mt_virtual_service *vs)
{
	const struct mt_meta_router *router = h->router;

	for (const struct mt_unit *u = h->units; u; u = u->next) {
		if (u->codec->opaque || !mt_b_rule_list(vs, u->protocol))
			continue;
		mt_b_warn(b, &router->meta, router->routes.origin.line, "spec.routes",
			"repeat what is needed here, or remove `routes`",
			"the routes and timeouts of VirtualService %s/%s are not in force for "
			"%.128s: these routes replace them",
			vs->meta.ns, vs->meta.name, router->hosts[0].s);
		return;
	}
}

/*
 * Claims the host's ports of bytes, or of messages. A MetaRouter with routes precedes routes of
 * messages.
 */
static void claim(struct mt_build *b, struct claims *c, uint32_t i, struct mt_host *h, bool opaque)
{
	struct mt_host_routes *of = opaque ? &h->bytes : &h->messages;
	const struct mt_virtual_service *vs = c->vs;
	const struct mt_meta *by = NULL;

	if (!has_ports(h, opaque))
		return;
	c->here++;
	if (!mt_b_rule_visible(b, &vs->export_to, &vs->meta, false, h->se->meta.ns)) {
		c->hidden++;
		return;
	}
	if (!opaque && has_routes(h->router))
		tell_replaced(b, h, vs);
	if (has_routes(h->router) && !leads_bytes(vs))
		by = &h->router->meta;
	else if (of->vs && of->vs != vs)
		by = &of->vs->meta;
	if (by) {
		c->taken++;
		c->at = c->by ? c->at : i;
		c->by = c->by ? c->by : by;
	} else if (of->vs != vs && can_route(b, h, vs, opaque)) {
		of->vs = vs;
	}
}

static void claim_below(
	struct mt_build *b, const struct wildcards *all, const struct wildcard *w, bool opaque)
{
	uint32_t before = w->of->here;

	for (uint32_t k = 0; k < b->n_hosts; k++)
		if (mt_host_covers(w->word, all->hosts[k]))
			claim(b, w->of, w->at, &b->host_list[k], opaque);
	if (w->at < MT_ARRAY_LEN(w->of->missed) && w->of->here > before)
		w->of->missed[w->at] = false;
}

static void tell_claims(struct mt_build *b, const struct claims *c)
{
	const struct mt_virtual_service *vs = c->vs;
	char path[MT_INDEX_PATH];

	mt_index_path(path, "spec.hosts", c->at, "");
	if (c->here && c->hidden == c->here && vs->n_gateways < 2)
		not_exported(b, &vs->meta, &vs->export_to);
	else if (c->here && c->taken == c->here && vs->n_gateways < 2)
		in_place_of(b, c->by, c->by->origin.line, &vs->meta, vs->hosts[c->at].line, path,
			vs->hosts[c->at].s);
	else if (c->taken)
		mt_b_warn(b, &vs->meta, vs->hosts[c->at].line, path, NULL,
			"\"%.128s\" is that of %s %s/%s", vs->hosts[c->at].s, c->by->kind,
			c->by->ns, c->by->name);
}

/* Reports a host that is not here. A VirtualService for other hosts as well works for those. */
static void miss_host(
	struct mt_build *b, const struct mt_virtual_service *vs, uint32_t i, bool others)
{
	const char *name = vs->hosts[i].s, *remedy = mt_b_host_remedy(b, name);
	char path[32];

	snprintf(path, sizeof(path), "spec.hosts[%u]", i);
	if (others)
		mt_b_warn(b, &vs->meta, vs->hosts[i].line, path, remedy, MT_B_NO_HOST, name);
	else
		mt_b_unused(b, &vs->meta, vs->hosts[i].line, path, remedy, MT_B_NO_HOST, name);
}

static void tell(struct mt_build *b, const struct claims *c)
{
	const struct mt_virtual_service *vs = c->vs;

	for (uint32_t i = 0; i < vs->n_hosts && i < MT_ARRAY_LEN(c->missed); i++)
		if (c->missed[i])
			miss_host(b, vs, i, c->here || vs->n_gateways > 1);
	tell_claims(b, c);
}

/* Longer wildcards first, because *.a.x is nearer than *.x; of one length, the older one. */
static int by_nearness(const void *a, const void *b)
{
	const struct wildcard *x = a, *y = b;
	size_t n = strlen(x->word), m = strlen(y->word);

	if (n != m)
		return n > m ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void add_wildcard(struct mt_build *b, struct wildcards *all, struct claims *c, uint32_t i)
{
	struct wildcard *w = mt_region_push(&b->tmp, (void **)&all->v, &all->n, sizeof(*w));

	if (w)
		*w = (struct wildcard){c, c->vs->hosts[i].s, i, all->n};
}

/*
 * Claims hosts that are named whole. Collects wildcards, which are claimed after the whole names of
 * all VirtualServices.
 */
static void claim_named(struct mt_build *b, struct claims *c, struct wildcards *later)
{
	const struct mt_virtual_service *vs = c->vs;

	for (uint32_t i = 0; i < vs->n_hosts; i++) {
		struct mt_host *h = mt_b_host(b, vs->hosts[i].s, vs->meta.ns);

		if (h) {
			claim(b, c, i, h, true);
			claim(b, c, i, h, false);
			continue;
		}
		if (i < MT_ARRAY_LEN(c->missed))
			c->missed[i] = true;
		if (vs->hosts[i].s[0] == '*')
			add_wildcard(b, later, c, i);
	}
}

/* Claims by wildcards: in the order of VirtualServices for bytes, by nearness for messages. */
static void claim_wildcards(struct mt_build *b, struct wildcards *all)
{
	if (all->n)
		all->hosts = mt_region_alloc(&b->tmp, sizeof(*all->hosts) * b->n_hosts);
	for (uint32_t k = 0; all->hosts && k < b->n_hosts; k++)
		all->hosts[k] = b->host_list[k].se->hosts[0].s;
	for (uint32_t i = 0; all->hosts && i < all->n; i++)
		claim_below(b, all, &all->v[i], true);
	mt_sort(all->v, all->n, sizeof(*all->v), by_nearness);
	for (uint32_t i = 0; all->hosts && i < all->n; i++)
		claim_below(b, all, &all->v[i], false);
}

static void index_virtual_services(struct mt_build *b)
{
	const struct mt_objs *all = &b->model->virtual_services;
	struct claims *c = mt_region_alloc(&b->tmp, sizeof(*c) * all->n);
	struct wildcards later = {0};

	for (uint32_t i = 0; c && i < all->n; i++) {
		const struct mt_virtual_service *vs = all->v[i];

		if (!for_mesh(vs) || !vs->n_hosts)
			continue;
		c[i].vs = vs;
		claim_named(b, &c[i], &later);
	}
	claim_wildcards(b, &later);
	for (uint32_t i = 0; c && i < all->n; i++)
		if (c[i].vs)
			tell(b, &c[i]);
}

void mt_b_index_routes(struct mt_build *b)
{
	index_routers(b);
	index_virtual_services(b);
}
