/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gateway, which listeners of Gateway API's become, too: ports on the node's own addresses, for the VirtualServices and MetaRouters
 * that name it.
 */
#include "mt_conf_listener_priv.h"
#include "mt_conf_unmatched_priv.h"
#include "mt_share.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Documents that name a Gateway, in their order, and the Gateways of that name. */
struct naming {
	struct mt_objs routes;	 /* struct mt_virtual_service */
	struct mt_objs routers;	 /* struct mt_meta_router */
	struct mt_objs gateways; /* struct mt_gateway of this node; of Gateway API: by listener */
	bool reads_messages;	 /* some port of these */
};

/* NULL: there is no such Gateway. */
static struct naming *find_named(
	const struct mt_strmap *all, const struct mt_text *name, const char *ns)
{
	char key[MT_GATEWAY_KEY];

	return mt_strmap_get(all, mt_b_gateway_key(name->s, ns, key));
}

/* One port of one Gateway while what it leads to is looked for. */
struct server {
	const struct naming *by;
	const struct mt_gateway *gateway;
	const struct mt_gateway_server *conf;
	const char *name; /* the gateway's: NAMESPACE/NAME */
	const struct mt_codec *codec;
	const char *protocol; /* NULL: bytes */
	uint8_t opts;
	enum mt_port_web web;
	const struct mt_gate_guard *gate;
	uint64_t gate_hash;
	const struct mt_listen_end *end; /* NULL: clear text, or TLS that is passed through */
	char path[64];
	bool used;
	struct mt_objs routers; /* struct mt_meta_router: those of `by` that may be used here */
	struct mt_limiters limiters;
};

/* One document may be bound to several servers, and several ones to a server. Never NULL. */
static const char *unique_name(
	struct mt_build *b, const struct server *sv, const struct mt_meta *meta, const char *host)
{
	const char *name = mt_region_printf(&b->tmp, "documents %s:%u %s %s %s %s/%s", host,
		sv->conf->port.number.v, sv->name, sv->path, meta->kind, meta->ns, meta->name);

	return name ? name : "";
}

static void put(struct mt_build *b, struct mt_objs *list, const void *document)
{
	const void **slot;

	/* It may name the Gateway twice. */
	if (list->n && list->v[list->n - 1] == document)
		return;
	slot = mt_region_push(&b->tmp, (void **)&list->v, &list->n, sizeof(*slot));
	if (slot)
		*slot = document;
}

/* True for documents of the Gateway's namespace. */
static bool is_own(const struct server *sv, const struct mt_meta *meta)
{
	return strcmp(meta->ns, sv->gateway->meta.ns) == 0;
}

/*
 * `limiter`: the MetaRouter with the limits that apply; NULL: none. `joining`: the parts of the list;
 * NULL: all of it is of `meta`.
 */
static void bind_routes(struct mt_build *b, struct server *sv, const struct mt_meta *meta,
	const struct mt_rule_list *list, const struct mt_meta_router *limiter, const char *host,
	const struct mt_joining *joining)
{
	const struct mt_gateway_server *conf = sv->conf;
	uint16_t port = (uint16_t)conf->port.number.v;
	const struct mt_listen_port at = {.addr = &conf->bind_addr,
		.port = port,
		.meta = &sv->gateway->meta,
		.line = conf->port.number.line,
		.path = sv->path,
		.end = sv->end,
		.guest = is_own(sv, meta) ? NULL : meta};
	struct mt_service_slot *s = mt_b_service_slot(b, host, host, port, meta->origin);
	struct mt_document_service *d =
		mt_region_push(&b->tmp, (void **)&b->bound, &b->n_bound, sizeof(*d));

	if (!s || !d) {
		b->tmp.failed = true;
		return;
	}
	sv->used = true;
	s->unique = unique_name(b, sv, meta, host);
	*d = (struct mt_document_service){.slot = s,
		.route = {.meta = meta,
			.list = list,
			.gateway = sv->name,
			.codec = sv->codec,
			.port = port,
			.fallback = MT_NO_CLUSTER},
		.limits = {.meta = limiter ? &limiter->meta : meta,
			.local = limiter ? limiter->limit : NULL,
			.global_meta = limiter ? &limiter->meta : NULL,
			.global = limiter ? limiter->global : NULL,
			.clients = mt_b_gateway_clients(b, sv->gateway)},
		.opts = sv->opts,
		.gate = sv->gate,
		.gate_hash = sv->gate_hash,
		.gate_meta = &sv->gateway->meta,
		.gateway = sv->gateway,
		.parts = joining ? joining->parts : NULL,
		.n_parts = joining ? joining->n_parts : 0};
	mt_b_listen_add(b, &at, sv->codec, sv->opts, s);
}

/* Whether it is for clients there. */
static bool is_exported(
	struct mt_build *b, const struct mt_virtual_service *vs, const struct mt_gateway *g)
{
	return vs->gateway_api ||
	       mt_b_rule_visible(b, &vs->export_to, &vs->meta, false, g->meta.ns);
}

/*
 * Returns the VirtualService's list of rules for the server; NULL if it has none for this port and
 * gateway.
 */
static const struct mt_rule_list *leads_from(
	struct mt_build *b, const struct server *sv, const struct mt_virtual_service *vs)
{
	const struct mt_rule_list *list;

	if (!vs->n_hosts || !(vs->gateway_api || mt_b_is_of_server(b, vs, sv->gateway, sv->conf)) ||
		!is_exported(b, vs, sv->gateway))
		return NULL;
	list = mt_b_rule_list(vs, sv->protocol);
	if (!list ||
		!mt_b_leads_from(list, (uint16_t)sv->conf->port.number.v, vs->meta.ns, sv->name))
		return NULL;
	return list;
}

/*
 * True if the rules can be applied to the server's protocol. `tell`: otherwise their document is
 * refused.
 */
static bool can_lead(struct mt_build *b, const struct server *sv,
	const struct mt_virtual_service *vs, const struct mt_rule_list *list, bool tell)
{
	const struct mt_route_for f = {.meta = &vs->meta,
		.list = list,
		.gateway = sv->name,
		.codec = sv->codec,
		.port = (uint16_t)sv->conf->port.number.v};

	return mt_b_can_route(b, &f, tell);
}

/*
 * The routes of a server: those of its first VirtualService, or joined with those of others of the
 * same host.
 */
struct leading {
	const struct mt_virtual_service *first;
	struct mt_idmap names; /* of its hosts, once another one is compared */
	const struct mt_rule_list *list;
	struct mt_joining joining;
	/*
	 * Rules of `list` that do not take all calls, so that each is searched once; if the list is
	 * longer after a search, the next rule takes all.
	 */
	uint32_t n_before;
};

static bool joins(struct mt_build *b, const struct server *sv, struct leading *l,
	const struct mt_virtual_service *vs, const struct mt_rule_list *list)
{
	return !vs->gateway_api && !l->first->gateway_api &&
	       mt_b_shares_host(b, &l->names, l->first, vs) && can_lead(b, sv, vs, list, false);
}

/* Reports the rules of a further VirtualService that have no effect at the server. */
static void tell_unused(struct mt_build *b, const struct server *sv, struct leading *l,
	const struct mt_virtual_service *vs, bool does)
{
	const struct mt_meta *by = &l->first->meta;
	const struct mt_rule *all = NULL;

	if (does) {
		l->n_before = mt_b_takes_all(l->list, l->n_before,
			(uint16_t)sv->conf->port.number.v, l->first->meta.ns, sv->name);
		all = l->n_before < l->list->n_rules ? &l->list->rules[l->n_before] : NULL;
		by = all && all->by ? all->by : by;
	}
	if (!does)
		mt_b_warn(b, &vs->meta, vs->meta.origin.line, "spec.gateways", NULL,
			"not used at port %u of %s: %s %s/%s leads from there",
			sv->conf->port.number.v, sv->name, by->kind, by->ns, by->name);
	else if (all)
		mt_b_warn(b, &vs->meta, vs->meta.origin.line, "spec.gateways",
			"give the rule that takes all a match",
			"its rules are not reached at port %u of %s: line %u of %s %s/%s takes all",
			sv->conf->port.number.v, sv->name, all->origin.line, by->kind, by->ns,
			by->name);
}

/*
 * Its own namespace pays for the copies of its rules, because authors of any namespace may name the
 * Gateway, and at once, because copies of many servers would fill the memory of the build.
 */
static void join_routes(struct mt_build *b, struct leading *l, const struct mt_virtual_service *vs,
	const struct mt_rule_list *list)
{
	const struct mt_meta *gateway;
	size_t used;

	if (b->work.over)
		return;
	gateway = mt_b_pay(b, &vs->meta);
	used = b->tmp.used;
	mt_b_join_routes(b, &l->joining, vs, list);
	used = b->tmp.used - used;
	(void)mt_b_pay(b, gateway);
	mt_b_want_copies(b, &vs->meta, used);
}

/* Appends the rules of a further VirtualService, unless they cannot be used. */
static void add_leading(struct mt_build *b, const struct server *sv, struct leading *l,
	const struct mt_virtual_service *vs, const struct mt_rule_list *list)
{
	bool does = joins(b, sv, l, vs, list);

	tell_unused(b, sv, l, vs, does);
	if (!does)
		return;
	if (!l->joining.to) {
		l->joining.to = mt_region_alloc(&b->tmp, sizeof(*l->joining.to));
		if (!l->joining.to)
			return;
		join_routes(b, l, l->first, l->list);
		l->list = l->joining.to;
		/* Rules for other ports are not in the joined list. */
		l->n_before = 0;
	}
	join_routes(b, l, vs, list);
}

/* `vs`: the VirtualService with the routes; NULL: they are of a MetaRouter. */
static const struct mt_meta_router *limiter_of(struct mt_build *b, struct server *sv,
	const struct mt_meta *meta, const struct mt_virtual_service *vs,
	const struct mt_rule_list *list)
{
	const struct mt_gateway_limits at = {.routers = &sv->routers,
		.limiters = &sv->limiters,
		.gateway = sv->gateway,
		.name = sv->name,
		.port = (uint16_t)sv->conf->port.number.v,
		.messages = sv->protocol,
		.meta = meta,
		.vs = vs,
		.list = list};

	return mt_b_gateway_limiter(b, &at);
}

/*
 * Binds the routes of a server. Connections of bytes and RPC carry no host, so one VirtualService
 * leads: the first that names the gateway, shares a host with the server, and has a route from this
 * port. Rules of others of its host follow its own.
 */
static void bind_virtual_services(struct mt_build *b, struct server *sv)
{
	struct leading l = {
		.joining = {.port = (uint16_t)sv->conf->port.number.v, .gateway = sv->name}};

	for (uint32_t i = 0; i < sv->by->routes.n && !b->work.over; i++) {
		const struct mt_virtual_service *vs = sv->by->routes.v[i];
		const struct mt_rule_list *list = leads_from(b, sv, vs);

		if (list && l.first) {
			add_leading(b, sv, &l, vs, list);
		} else if (list && can_lead(b, sv, vs, list, true)) {
			l.first = vs;
			l.list = list;
		}
	}
	if (l.first)
		bind_routes(b, sv, &l.first->meta, l.list,
			limiter_of(b, sv, &l.first->meta, l.first, l.list), l.first->hosts[0].s,
			&l.joining);
	mt_idmap_fini(&l.names);
}

/*
 * True if the MetaRouter may be used at the server: it is of the Gateway's namespace, or it is
 * exported there, and the server is for its host.
 */
static bool admits(struct mt_build *b, const struct server *sv, const struct mt_meta_router *mr)
{
	if (mt_b_is_closed_at_gateways(b, &mr->meta))
		return false;
	if (is_own(sv, &mr->meta))
		return true;
	if (!mt_b_rule_visible(b, &mr->export_to, &mr->meta, false, sv->gateway->meta.ns)) {
		mt_b_warn(b, &mr->meta, mr->meta.origin.line, "spec.exportTo", NULL,
			"it is not exported to the namespace of gateway %s", sv->name);
		return false;
	}
	if (!mt_b_hosts_are_of_server(b, mr->hosts, 1, mr->meta.ns, sv->gateway, sv->conf)) {
		mt_b_note(b, &mr->meta, mr->hosts[0].line, "spec.hosts[0]", NULL,
			"not used at port %u of %s: hosts of the server do not include it",
			sv->conf->port.number.v, sv->name);
		return false;
	}
	return true;
}

/* Those of the Gateway's namespace come first, so that no other one's limit replaces theirs. */
static void find_routers(struct mt_build *b, struct server *sv)
{
	for (int own = 1; sv->protocol && own >= 0; own--)
		for (uint32_t i = 0; i < sv->by->routers.n; i++) {
			const struct mt_meta_router *mr = sv->by->routers.v[i];

			if (is_own(sv, &mr->meta) == own && admits(b, sv, mr))
				put(b, &sv->routers, mr);
		}
}

/* Binds the MetaRouters of the Gateway's namespace, or those of others. */
static void bind_routers(struct mt_build *b, struct server *sv, bool own)
{
	for (uint32_t i = 0; i < sv->routers.n; i++) {
		const struct mt_meta_router *mr = sv->routers.v[i];

		if (!mr->routes.n_rules || is_own(sv, &mr->meta) != own)
			continue;
		(void)limiter_of(b, sv, &mr->meta, NULL, &mr->routes);
		bind_routes(b, sv, &mr->meta, &mr->routes, mr, mr->hosts[0].s, NULL);
	}
}

/* TLS that is passed through goes by its server names. */
static void bind_names(struct mt_build *b, struct server *sv)
{
	const struct mt_tls_door door = {.gateway = sv->gateway,
		.server = sv->conf,
		.addrs = &sv->conf->bind_addr,
		.n_addrs = 1,
		.port = (uint16_t)sv->conf->port.number.v,
		.gate = sv->gate,
		.gate_hash = sv->gate_hash,
		.clients = mt_b_gateway_clients(b, sv->gateway)};

	for (uint32_t i = 0; i < sv->by->routes.n; i++) {
		const struct mt_virtual_service *vs = sv->by->routes.v[i];

		/* Of Gateway API's the listener's hostname was asked already. */
		if (vs->n_hosts &&
			(vs->gateway_api || mt_b_is_of_server(b, vs, sv->gateway, sv->conf)) &&
			is_exported(b, vs, sv->gateway))
			sv->used |= mt_b_bind_tls(b, &door, vs);
	}
}

static bool is_web(struct mt_build *b, const struct mt_gateway_port *p)
{
	const struct mt_port_words words = {.name = p->name.s, .protocol = p->protocol.s};
	struct mt_port_is is;

	mt_b_port(b, &words, &is);
	return is.web == MT_WEB;
}

/*
 * True if the server passes TLS through. A missing mode is the API's first, PASSTHROUGH. Without a
 * mode a port of HTTP has no TLS, and redirects at most.
 */
static bool passes_tls(struct mt_build *b, const struct server *sv)
{
	const struct mt_gateway_tls *tls = sv->conf->tls;

	if (!tls || tls->mode.set)
		return tls && tls->mode.v == MT_GATEWAY_PASSTHROUGH;
	return !tls->redirect.v && !is_web(b, &sv->conf->port);
}

static void tell_unsaid_mode(struct mt_build *b, const struct server *sv, uint32_t j)
{
	const struct mt_gateway_tls *tls = sv->conf->tls;
	char path[64];

	if (tls->mode.set || (!tls->credential.s && !tls->n_credentials && !tls->certificate.s))
		return;
	snprintf(path, sizeof(path), "spec.servers[%u].tls", j);
	mt_b_warn(b, &sv->gateway->meta, tls->origin.line, path, "write mode: SIMPLE",
		"no mode is written, which is PASSTHROUGH: its certificate is not used");
}

/* Without settings the port is served in plaintext. */
static void tell_no_tls(struct mt_build *b, const struct server *sv, uint32_t j)
{
	const char *protocol = sv->conf->port.protocol.s;
	char path[64];

	if (sv->gateway->gateway_api || !protocol ||
		(strcasecmp(protocol, "TLS") != 0 && strcasecmp(protocol, "HTTPS") != 0))
		return;
	snprintf(path, sizeof(path), "spec.servers[%u].tls", j);
	mt_b_warn(b, &sv->gateway->meta, sv->conf->origin.line, path,
		"write tls with its mode, or protocol: TCP",
		"protocol %s without tls: TLS is not terminated", protocol);
}

static bool passes_by_name(const struct server *sv)
{
	const struct mt_gateway_tls *tls = sv->conf->tls;

	return tls && tls->mode.set && tls->mode.v == MT_GATEWAY_AUTO_PASSTHROUGH;
}

/* false: it asks for TLS that cannot be ended. It is never served in clear text. */
static bool check_tls(struct mt_build *b, struct server *sv, uint32_t j)
{
	char path[64];

	if (!sv->conf->tls)
		tell_no_tls(b, sv, j);
	if (!sv->conf->tls || passes_tls(b, sv) || passes_by_name(sv))
		return true;
	if (sv->gateway->gateway_api)
		snprintf(path, sizeof(path), "spec.listeners[%u].tls", sv->gateway->listener);
	else
		snprintf(path, sizeof(path), "spec.servers[%u].tls", j);
	sv->end = mt_b_gateway_end(b, sv->gateway, sv->conf, path);
	return sv->end != NULL;
}

static bool find_codec(struct mt_build *b, struct server *sv)
{
	const struct mt_gateway_port *p = &sv->conf->port;
	const struct mt_meta *meta = &sv->gateway->meta;
	const struct mt_port_words words = {.name = p->name.s, .protocol = p->protocol.s};
	struct mt_port_is is;

	if (!mt_b_label(b, meta, &p->name, sv->path, "port"))
		return false;
	mt_b_port(b, &words, &is);
	sv->web = is.web;
	if (is.told)
		(is.harms ? mt_b_warn : mt_b_note)(
			b, meta, p->name.line, sv->path, is.remedy, "%s", is.told);
	switch (is.kind) {
	case MT_PORT_MESSAGES:
		sv->codec = is.proto->codec;
		sv->protocol = is.proto->name;
		sv->opts = is.proto->opts;
		return true;
	case MT_PORT_BYTES:
		sv->codec = mt_codec_bytes();
		return true;
	case MT_PORT_NOT_SERVED:
		return false;
	case MT_PORT_DATAGRAMS:
		mt_b_warn(b, meta, p->name.line, sv->path, "forward the port of a service",
			"gateways serve only TCP");
		return false;
	default:
		mt_b_error(b, meta, p->name.line, sv->path, "write tcp-metaprotocol-dubbo",
			"\"%.64s\" names no protocol", p->name.s);
		return false;
	}
}

/* Whether the Gateway is for nodes with the labels of this one. */
bool mt_b_selects_node(const struct mt_build *b, const struct mt_labels *want)
{
	static const struct mt_labels none;

	return mt_labels_match(want, b->model->node ? &b->model->node->meta.labels : &none);
}

static bool check_bind(struct mt_build *b, const struct server *sv, uint32_t j)
{
	const struct mt_text *bind = &sv->conf->bind;
	char path[64];

	/* Any address of the node, however it is written. */
	if (!bind->s || mt_addr_is_zero(&sv->conf->bind_addr) ||
		(mt_addr_is4(&sv->conf->bind_addr) && mt_addr_v4(&sv->conf->bind_addr) == 0) ||
		(mt_b_own_port(b, &sv->conf->bind_addr) &&
			!mt_b_of_kernel(b, &sv->conf->bind_addr)))
		return true;
	snprintf(path, sizeof(path), "spec.servers[%u].bind", j);
	return mt_b_serve_address(b, &sv->gateway->meta, bind->line, path, &sv->conf->bind_addr);
}

static bool check_policies(struct mt_build *b, struct server *sv)
{
	const struct mt_gate at = {sv->gateway, sv->conf, sv->codec, sv->web};

	return mt_b_gate(b, &at, &sv->gate, &sv->gate_hash);
}

static bool reads_messages(struct mt_build *b, const struct mt_gateway *g)
{
	for (uint32_t i = 0; i < g->n_servers; i++) {
		const struct mt_gateway_port *p = &g->servers[i].port;
		const struct mt_port_words words = {.name = p->name.s, .protocol = p->protocol.s};
		struct mt_port_is is;

		mt_b_port(b, &words, &is);
		if (is.kind == MT_PORT_MESSAGES)
			return true;
	}
	return false;
}

/* Routes of messages only, for gateways of this node that read none, and for no service's own address. */
static void check_lists(
	struct mt_build *b, const struct mt_strmap *all, const struct mt_virtual_service *vs)
{
	bool here = false;

	for (uint32_t i = 0; i < vs->n_lists; i++)
		if (strcmp(vs->lists[i].name, "http") != 0)
			return;
	for (uint32_t i = 0; i < vs->n_gateways; i++)
		if (strcmp(vs->gateways[i].s, "mesh") == 0)
			return;
	for (uint32_t i = 0; i < vs->n_gateways; i++) {
		const struct naming *x = find_named(all, &vs->gateways[i], vs->meta.ns);

		if (x && x->reads_messages)
			return;
		here |= x && x->gateways.n;
	}
	if (here)
		mt_b_unused(b, &vs->meta, vs->meta.origin.line, "spec.http",
			"name a port of the gateway tcp-metaprotocol-PROTOCOL",
			"no port of its gateways carries messages");
}

/* Told once, however many ports those gateways have. All of one name are in one namespace. */
static void check_exports(
	struct mt_build *b, const struct mt_strmap *all, const struct mt_virtual_service *vs)
{
	const struct mt_gateway *hidden = NULL;

	for (uint32_t i = 0; !hidden && i < vs->n_gateways; i++) {
		const struct naming *x = find_named(all, &vs->gateways[i], vs->meta.ns);
		const struct mt_gateway *g = x && x->gateways.n ? x->gateways.v[0] : NULL;

		if (g && !is_exported(b, vs, g))
			hidden = g;
	}
	if (hidden && vs->n_gateways == 1)
		mt_b_inert(b, &vs->meta, vs->meta.origin.line, "spec.exportTo", NULL,
			"it is not exported to the namespace of gateway %s/%s", hidden->meta.ns,
			hidden->meta.name);
	else if (hidden)
		mt_b_warn(b, &vs->meta, vs->meta.origin.line, "spec.exportTo", NULL,
			"it is not exported to the namespace of gateway %s/%s", hidden->meta.ns,
			hidden->meta.name);
}

/* To services, by the names that the mesh's clients give them. */
static void pass(struct mt_build *b, struct server *sv)
{
	const struct mt_passing at = {
		sv->gateway, sv->conf, sv->name, sv->path, sv->gate, sv->gate_hash};
	const struct mt_meta *meta = &sv->gateway->meta;

	if (!sv->codec->opaque)
		mt_b_warn(b, meta, sv->conf->port.name.line, sv->path, "name the port tls",
			"AUTO_PASSTHROUGH forwards TLS without reading it: %s is not served here",
			sv->codec->name);
	else if (mt_b_bind_passing(b, &at))
		sv->used = true;
	else
		mt_b_warn(b, meta, sv->conf->origin.line, sv->path,
			"write hosts of services that endpoints with proxies of their own have",
			"there is no service that this port could pass TLS on to");
}

/* ---- documents by the Gateways that they name ------------------------------------------------ */

/* The field `gateways` of a document. */
struct gateways {
	const struct mt_text *v;
	uint32_t n;
	const char *ns; /* of the document */
};

/* Adds the document to the routes or routers of each Gateway that it names. */
static void add_naming(struct mt_build *b, const struct mt_strmap *all, const struct gateways *of,
	const void *document, bool is_router)
{
	for (uint32_t i = 0; i < of->n; i++) {
		struct naming *x = find_named(all, &of->v[i], of->ns);

		if (x)
			put(b, is_router ? &x->routers : &x->routes, document);
	}
}

/* Makes the entry of the Gateway's name. Names without a Gateway have none: they may be many. */
static void add_gateway_name(struct mt_build *b, struct mt_strmap *all, const struct mt_gateway *g)
{
	char key[MT_GATEWAY_KEY];
	const char *name = mt_b_gateway_key(g->meta.name, g->meta.ns, key);

	if (mt_strmap_get(all, name))
		return;
	name = mt_region_strdup(&b->tmp, name);
	if (name)
		(void)mt_share_account(all, &b->tmp, name, sizeof(struct naming));
}

/* Adds the Gateway to its name, if some document names it. */
static void add_named(struct mt_build *b, const struct mt_strmap *all, const struct mt_gateway *g)
{
	const struct mt_text name = {.s = g->meta.name};
	struct naming *x = find_named(all, &name, g->meta.ns);

	if (!x || (!x->routes.n && !x->routers.n) || !mt_b_selects_node(b, &g->selector))
		return;
	put(b, &x->gateways, g);
	x->reads_messages |= reads_messages(b, g);
}

static void find_naming(struct mt_build *b, struct mt_strmap *all)
{
	const struct mt_model *m = b->model;

	for (uint32_t i = 0; i < m->gateways.n; i++)
		add_gateway_name(b, all, m->gateways.v[i]);
	for (uint32_t i = 0; i < m->virtual_services.n; i++) {
		const struct mt_virtual_service *vs = m->virtual_services.v[i];
		const struct gateways of = {vs->gateways, vs->n_gateways, vs->meta.ns};

		add_naming(b, all, &of, vs, false);
	}
	for (uint32_t i = 0; i < m->meta_routers.n; i++) {
		const struct mt_meta_router *mr = m->meta_routers.v[i];
		const struct gateways of = {mr->gateways, mr->n_gateways, mr->meta.ns};

		add_naming(b, all, &of, mr, true);
	}
	for (uint32_t i = 0; i < m->gateways.n; i++)
		add_named(b, all, m->gateways.v[i]);
}

/* ---- all Gateways ---------------------------------------------------------------------------- */

/* Notes the server's address, also without routes: if they come later, its object was there first. */
static void note_bind(struct mt_build *b, const struct server *sv)
{
	const struct mt_gateway_server *conf = sv->conf;
	const struct mt_listen_port at = {.addr = &conf->bind_addr,
		.port = (uint16_t)conf->port.number.v,
		.meta = &sv->gateway->meta,
		.line = conf->port.number.line,
		.path = sv->path};

	mt_b_bind(b, &at, sv->used);
}

/*
 * A server that is closed until its certificate can be read, or that has no routes for a while,
 * keeps its address, port and names.
 */
static void note_closed(struct mt_build *b, const struct server *sv)
{
	const struct mt_gateway_server *conf = sv->conf;
	struct mt_listen_end *end = conf->tls ? mt_region_alloc(&b->tmp, sizeof(*end)) : NULL;
	const struct mt_listen_closed closed = {.at = {.addr = &conf->bind_addr,
							.port = (uint16_t)conf->port.number.v,
							.meta = &sv->gateway->meta,
							.line = conf->port.number.line,
							.end = end},
		.codec = sv->codec,
		.opts = sv->opts};

	if (!conf->tls || (end && mt_b_gateway_names(b, conf, end)))
		mt_b_listen_closed(b, &closed);
}

/* Serves the routes that lead from the server. */
static void bind_server(struct mt_build *b, struct server *sv, uint32_t j)
{
	const struct mt_gateway *g = sv->gateway;

	if (passes_by_name(sv)) {
		pass(b, sv);
		return;
	}
	if (passes_tls(b, sv)) {
		tell_unsaid_mode(b, sv, j);
		bind_names(b, sv);
	} else {
		find_routers(b, sv);
		/* First those that no guest is to precede. */
		bind_routers(b, sv, true);
		bind_virtual_services(b, sv);
		bind_routers(b, sv, false);
	}
	if (!sv->used)
		mt_b_warn(b, &g->meta, sv->conf->origin.line, sv->path, "name the gateway in one",
			g->gateway_api ? "no route leads from here"
				       : "no VirtualService or MetaRouter leads from here");
}

static void add_server(struct mt_build *b, struct server *sv, uint32_t j)
{
	const struct mt_gateway *g = sv->gateway;

	if (g->gateway_api)
		snprintf(sv->path, sizeof(sv->path), "spec.listeners[%u].port", g->listener);
	else
		snprintf(sv->path, sizeof(sv->path), "spec.servers[%u].port", j);
	/* A server that is closed until its certificate can be read keeps its address. */
	if (check_tls(b, sv, j)) {
		if (!find_codec(b, sv) || !check_bind(b, sv, j) || !check_policies(b, sv))
			return;
		bind_server(b, sv, j);
	}
	if (!sv->used)
		note_closed(b, sv);
	note_bind(b, sv);
}

static void add_gateway(struct mt_build *b, const struct mt_gateway *g, const struct mt_strmap *all)
{
	static const struct naming none;
	const char *name = mt_region_printf(&b->tmp, "%s/%s", g->meta.ns, g->meta.name);
	const struct naming *by = mt_strmap_get(all, name);

	if (!name)
		return;
	if (!mt_b_selects_node(b, &g->selector)) {
		mt_b_not_node(b, &g->meta, g->meta.origin.line, "spec.selector", &g->selector,
			"it is for nodes with other labels");
		return;
	}
	for (uint32_t j = 0; j < g->n_servers && !b->work.over; j++) {
		struct server sv = {
			.by = by ? by : &none, .gateway = g, .conf = &g->servers[j], .name = name};

		add_server(b, &sv, j);
		mt_limiters_fini(&sv.limiters);
	}
}

void mt_b_gateways(struct mt_build *b)
{
	struct mt_strmap all = {0};

	find_naming(b, &all);
	for (uint32_t i = 0; i < b->model->virtual_services.n; i++) {
		const struct mt_virtual_service *vs = b->model->virtual_services.v[i];

		check_lists(b, &all, vs);
		check_exports(b, &all, vs);
	}
	for (uint32_t i = 0; i < b->model->gateways.n && !b->work.over; i++) {
		const struct mt_gateway *g = b->model->gateways.v[i];

		(void)mt_b_pay(b, &g->meta);
		if (b->work.full)
			break;
		add_gateway(b, g, &all);
	}
	(void)mt_b_pay(b, NULL);
	mt_b_keep_closed(b);
	mt_strmap_fini(&all);
}
