/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the routes that clients of a host's own address follow: those of a MetaRouter that has
 * routes, else those of a VirtualService that names the host whole, else by a wildcard. Among
 * wildcards the longest counts for ports of messages, as in istiod 1.31 for HTTP. For ports of
 * bytes the oldest VirtualService's counts, as there for TCP. Among equals the oldest counts. A
 * VirtualService that cannot be applied to a host's ports is refused and does not take them, so
 * that one compilation finds all that are wrong. Routes of sources that the Node keeps from
 * the host (owned_hosts.c) do not count.
 *
 * A wildcard visits only hosts that are still free, so the work grows with VirtualServices and
 * hosts, not with their product.
 */
#include "mt_conf_host_order_priv.h"
#include "mt_conf_unmatched_priv.h"

#include "mt_share.h"
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

static void index_router(struct mt_build *b, const struct mt_meta_router *mr, struct mt_host *h)
{
	if (!mt_b_rule_visible(b, &mr->export_to, &mr->meta, false, h->se->meta.ns))
		not_exported(b, &mr->meta, &mr->export_to);
	else if (mt_b_is_kept_from(b, h, &mr->meta))
		mt_b_tell_kept(b, h, &mr->meta, &mr->hosts[0], "spec.hosts[0]", mr->n_gateways > 0);
	else if (h->router)
		in_place_of(b, &h->router->meta, h->router->hosts[0].line, &mr->meta,
			mr->hosts[0].line, "spec.hosts[0]", mr->hosts[0].s);
	else
		h->router = mr;
}

/* Those of the service's namespace come first, so that others cannot take its limits away. */
static void index_routers(struct mt_build *b)
{
	const struct mt_objs *all = &b->model->meta_routers;
	struct mt_host **hosts = mt_region_alloc(&b->tmp, sizeof(*hosts) * (all->n + 1));

	for (uint32_t i = 0; hosts && i < all->n; i++) {
		const struct mt_meta_router *mr = all->v[i];

		hosts[i] = want_host(b, &mr->meta, &mr->hosts[0], "spec.hosts[0]");
		if (hosts[i] && strcmp(mr->meta.ns, hosts[i]->se->meta.ns) == 0)
			index_router(b, mr, hosts[i]);
	}
	for (uint32_t i = 0; hosts && i < all->n; i++) {
		const struct mt_meta_router *mr = all->v[i];

		if (hosts[i] && strcmp(mr->meta.ns, hosts[i]->se->meta.ns) != 0)
			index_router(b, mr, hosts[i]);
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

/* What became of the hosts of one VirtualService that are here. */
struct claims {
	const struct mt_virtual_service *vs; /* NULL: it is for gateways alone */
	bool here, taken,
		hidden; /* some host is here; has other routes; is where it is not visible */
	bool given;	/* some host is its own, or would be if it were correct */
	bool cut;	/* the limit was reported */
	bool failed;	/* it cannot be applied to a host: it is refused */
	const struct mt_meta *by; /* the owner of the first of those that are taken */
	uint32_t at;
	const struct mt_host *kept; /* the first that its source is kept from */
	uint32_t kept_at;
	bool missed[64];
};

/* "*.x": claims every host below that is still free. */
struct wildcard {
	struct claims *of;
	const char *word;
	uint32_t at, order;
};

/*
 * Hosts with ports of one kind. Those with a MetaRouter's routes are apart, because these precede
 * routes of messages.
 */
enum kind { BYTES, MESSAGES, ROUTED, KINDS };

struct wildcards {
	struct mt_build *b;
	struct wildcard *v;
	uint32_t n;
	struct mt_host_order all[KINDS], by_ns[KINDS]; /* by_ns: of clients, if these are several */
	struct mt_host_order untold; /* of routed hosts: no wildcard's routes were reported yet */
	uint64_t work;
	struct mt_strmap owners; /* work, by namespace */
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

/*
 * Reports that the MetaRouter's routes replace those that the VirtualService has for messages.
 * False: it has none.
 */
static bool tell_replaced(
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
		return true;
	}
	return false;
}

static void note_taken(struct claims *c, uint32_t i, const struct mt_meta *by)
{
	c->taken = true;
	c->at = c->by ? c->at : i;
	c->by = c->by ? c->by : by;
}

static void note_kept(struct claims *c, uint32_t i, const struct mt_host *h)
{
	c->kept_at = c->kept ? c->kept_at : i;
	c->kept = c->kept ? c->kept : h;
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
	c->here = true;
	if (!mt_b_rule_visible(b, &vs->export_to, &vs->meta, false, h->se->meta.ns)) {
		c->hidden = true;
		return;
	}
	if (mt_b_is_kept_from(b, h, &vs->meta)) {
		note_kept(c, i, h);
		return;
	}
	if (!opaque && has_routes(h->router))
		(void)tell_replaced(b, h, vs);
	if (has_routes(h->router) && !leads_bytes(vs))
		by = &h->router->meta;
	else if (of->vs && of->vs != vs)
		by = &of->vs->meta;
	if (by) {
		note_taken(c, i, by);
		return;
	}
	c->given = true;
	if (of->vs != vs && can_route(b, h, vs, opaque))
		of->vs = vs;
}

/* ---- wildcards ------------------------------------------------------------------------------- */

/*
 * Most work of all wildcards: searches for hosts, and looks at hosts that have routes already. The
 * last quarter is for namespaces that have less than one.
 */
uint32_t mt_conf_wildcards = 1u << 23;

/* Charges work to the namespace of a VirtualService. False: it would have too much. */
static bool may_work(struct wildcards *x, struct claims *c)
{
	const struct mt_meta *meta = &c->vs->meta;
	uint64_t *own = mt_strmap_get(&x->owners, meta->ns);

	if (!own) {
		own = mt_region_alloc(&x->b->tmp, sizeof(*own));
		if (!own || mt_strmap_put(&x->owners, meta->ns, own, NULL)) {
			x->b->tmp.failed = true;
			return false;
		}
	}
	if (!mt_share_left(mt_conf_wildcards, x->work, *own)) {
		if (!c->cut)
			mt_b_warn(x->b, &c->vs->meta, meta->origin.line, "spec.hosts",
				"write fewer wildcards, or export them to fewer namespaces",
				"the wildcards of all VirtualServices of namespace %.253s are too "
				"many: not all of its hosts follow it",
				meta->ns);
		c->cut = true;
		return false;
	}
	x->work++;
	++*own;
	return true;
}

static struct mt_host_routes *routes_of(struct mt_host *h, enum kind kind)
{
	return kind == BYTES ? &h->bytes : &h->messages;
}

/* Gives the host to the VirtualService, so that no other wildcard visits it. */
static void give(struct wildcards *x, struct claims *c, uint32_t host, enum kind kind)
{
	routes_of(&x->b->host_list[host], kind)->vs = c->vs;
	mt_host_order_take(&x->all[kind], host);
	mt_host_order_take(&x->by_ns[kind], host);
}

/* Notes the first host that another VirtualService has. */
static void find_taken(struct wildcards *x, const struct wildcard *w, const struct mt_host_order *o,
	struct mt_host_span s, enum kind kind)
{
	for (uint32_t i = s.from; i < s.to && !w->of->by && may_work(x, w->of); i++) {
		const struct mt_host_routes *r = routes_of(&x->b->host_list[o->v[i].host], kind);

		if (r->vs && r->vs != w->of->vs)
			note_taken(w->of, w->at, &r->vs->meta);
	}
}

/* Claims the free hosts of a span. */
static void claim_span(struct wildcards *x, const struct wildcard *w, struct mt_host_order *o,
	struct mt_host_span s, enum kind kind)
{
	struct claims *c = w->of;
	uint32_t n = 0;

	for (uint32_t i = mt_host_order_free(o, s.from); i < s.to && !c->failed;
		i = mt_host_order_free(o, i + 1)) {
		uint32_t host = o->v[i].host;
		const struct mt_host *h = &x->b->host_list[host];

		if (mt_b_is_kept_from(x->b, h, &c->vs->meta)) {
			note_kept(c, w->at, h);
			if (!may_work(x, c))
				break;
			continue;
		}
		/* The MetaRouter's routes precede those of messages. */
		if (kind == BYTES && has_routes(h->router) && !leads_bytes(c->vs)) {
			note_taken(c, w->at, &h->router->meta);
			if (!may_work(x, c))
				break;
			continue;
		}
		c->given = true;
		c->failed = !can_route(x->b, &x->b->host_list[host], c->vs, kind == BYTES);
		if (!c->failed)
			give(x, c, host, kind);
		n++;
	}
	if (n < s.to - s.from)
		find_taken(x, w, o, s, kind);
}

/*
 * Reports to MetaRouters that their routes replace those of wildcards: to each the nearest
 * VirtualService that has some.
 */
static void tell_replaced_below(struct wildcards *x, const struct wildcard *w)
{
	struct mt_host_order *o = &x->untold;
	struct mt_host_span s = mt_host_order_below(o, "", w->word);

	for (uint32_t i = mt_host_order_free(o, s.from); i < s.to && may_work(x, w->of);
		i = mt_host_order_free(o, i + 1)) {
		const struct mt_host *h = &x->b->host_list[o->v[i].host];

		if (mt_b_rule_visible(
			    x->b, &w->of->vs->export_to, &w->of->vs->meta, false, h->se->meta.ns) &&
			!mt_b_is_kept_from(x->b, h, &w->of->vs->meta) &&
			tell_replaced(x->b, h, w->of->vs))
			mt_host_order_take(o, o->v[i].host);
	}
}

/* Claims hosts of the given order and namespace. Returns their number. */
static uint32_t claim_in(struct wildcards *x, const struct wildcard *w, struct mt_host_order *o,
	const char *ns, enum kind kind)
{
	struct mt_host_span s = mt_host_order_below(o, ns, w->word);

	if (s.from == s.to)
		return 0;
	if (kind == ROUTED && !leads_bytes(w->of->vs))
		note_taken(w->of, w->at, &x->b->host_list[o->v[s.from].host].router->meta);
	else
		claim_span(x, w, o, s, kind);
	return s.to - s.from;
}

/* True if clients of every namespace, or of the only one that there is, see the VirtualService. */
static bool is_seen_by_all(
	const struct wildcards *x, const struct mt_virtual_service *vs, const struct mt_exports *to)
{
	for (uint32_t i = 0; i < to->n; i++)
		if (strcmp(to->v[i].s, "*") == 0)
			return true;
	return !to->n || (x->b->model->mesh.ns &&
				 mt_b_rule_visible(x->b, &vs->export_to, &vs->meta, false, ""));
}

/* Claims hosts of the namespaces to which the VirtualService is exported. Returns their number. */
static uint32_t claim_exported(
	struct wildcards *x, const struct wildcard *w, const struct mt_exports *to, enum kind kind)
{
	const char *own = w->of->vs->meta.ns;
	struct mt_strmap seen = {0};
	uint32_t n = 0;

	/* With one namespace of clients, none of them sees it. */
	for (uint32_t i = 0; !x->b->model->mesh.ns && i < to->n && may_work(x, w->of); i++) {
		const char *ns = strcmp(to->v[i].s, ".") == 0 ? own : to->v[i].s;

		if (mt_strmap_get(&seen, ns))
			continue;
		if (mt_strmap_put(&seen, ns, x, NULL))
			x->b->tmp.failed = true;
		n += claim_in(x, w, &x->by_ns[kind], ns, kind);
	}
	mt_strmap_fini(&seen);
	return n;
}

static void claim_below(struct wildcards *x, const struct wildcard *w, enum kind kind)
{
	const struct mt_virtual_service *vs = w->of->vs;
	struct mt_exports to = mt_b_rule_exports(x->b, &vs->export_to, false);
	struct mt_host_span s = mt_host_order_below(&x->all[kind], "", w->word);

	if (s.from == s.to)
		return;
	w->of->here = true;
	if (w->at < MT_ARRAY_LEN(w->of->missed))
		w->of->missed[w->at] = false;
	if (kind == ROUTED)
		tell_replaced_below(x, w);
	if (is_seen_by_all(x, vs, &to))
		(void)claim_in(x, w, &x->all[kind], "", kind);
	else
		w->of->hidden |= claim_exported(x, w, &to, kind) < s.to - s.from;
}

static void tell_claims(struct mt_build *b, const struct claims *c)
{
	const struct mt_virtual_service *vs = c->vs;
	char path[MT_INDEX_PATH];

	if (c->kept)
		mt_b_tell_kept(b, c->kept, &vs->meta, &vs->hosts[c->kept_at],
			mt_index_path(path, "spec.hosts", c->kept_at, ""),
			c->given || vs->n_gateways > 1);
	mt_index_path(path, "spec.hosts", c->at, "");
	if (c->hidden && !c->taken && !c->given && vs->n_gateways < 2)
		not_exported(b, &vs->meta, &vs->export_to);
	else if (c->taken && !c->hidden && !c->given && vs->n_gateways < 2)
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

static void add_host(struct wildcards *x, uint32_t host, enum kind kind)
{
	const struct mt_host *h = &x->b->host_list[host];

	mt_host_order_add(x->b, &x->all[kind], host, "");
	if (!x->b->model->mesh.ns)
		mt_host_order_add(x->b, &x->by_ns[kind], host, h->se->meta.ns);
	if (kind == ROUTED)
		mt_host_order_add(x->b, &x->untold, host, "");
}

/* Sorts the hosts. Those that VirtualServices name are taken. */
static bool order_hosts(struct wildcards *x)
{
	struct mt_build *b = x->b;
	bool done = true;

	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i];

		if (has_ports(h, true))
			add_host(x, i, BYTES);
		if (has_ports(h, false))
			add_host(x, i, has_routes(h->router) ? ROUTED : MESSAGES);
	}
	for (int k = 0; k < KINDS; k++) {
		done &= mt_host_order_sort(b, &x->all[k]) && mt_host_order_sort(b, &x->by_ns[k]);
		for (uint32_t i = 0; done && i < b->n_hosts; i++)
			if (routes_of(&b->host_list[i], k)->vs) {
				mt_host_order_take(&x->all[k], i);
				mt_host_order_take(&x->by_ns[k], i);
			}
	}
	return done && mt_host_order_sort(b, &x->untold);
}

/* Claims by wildcards: in the order of VirtualServices for bytes, by nearness for messages. */
static void claim_wildcards(struct wildcards *x)
{
	if (!x->n || !order_hosts(x))
		return;
	for (uint32_t i = 0; i < x->n; i++)
		if (may_work(x, x->v[i].of))
			claim_below(x, &x->v[i], BYTES);
	mt_sort(x->v, x->n, sizeof(*x->v), by_nearness);
	for (uint32_t i = 0; i < x->n; i++) {
		if (!may_work(x, x->v[i].of))
			continue;
		claim_below(x, &x->v[i], MESSAGES);
		claim_below(x, &x->v[i], ROUTED);
	}
	mt_strmap_fini(&x->owners);
}

static void index_virtual_services(struct mt_build *b)
{
	const struct mt_objs *all = &b->model->virtual_services;
	struct claims *c = mt_region_alloc(&b->tmp, sizeof(*c) * all->n);
	struct wildcards later = {.b = b};

	for (uint32_t i = 0; c && i < all->n; i++) {
		const struct mt_virtual_service *vs = all->v[i];

		if (!for_mesh(vs) || !vs->n_hosts)
			continue;
		c[i].vs = vs;
		claim_named(b, &c[i], &later);
	}
	claim_wildcards(&later);
	for (uint32_t i = 0; c && i < all->n; i++)
		if (c[i].vs)
			tell(b, &c[i]);
}

void mt_b_index_routes(struct mt_build *b)
{
	index_routers(b);
	index_virtual_services(b);
}
