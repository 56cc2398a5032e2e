/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the work of a build (work.c) before it is done. A service has the steps of its clusters,
 * also of subsets and policies (of the endpoints in a cluster): a service that is refused is
 * closed, but without its DestinationRule or its policies it would be open. Routes are of the
 * document that routes, but of the service if that document limits calls as well. Limits are of the
 * service, too, and at a gateway of the document that routes, without which no calls come in.
 *
 * Documents of other namespaces pay for themselves, so that their authors cannot close a service.
 * The subsets of their DestinationRules are paid for by the namespace of the service, and closed at
 * it alone: the rule is not refused, because all calls need its TLS settings. A limit of another
 * namespace is lost with its document.
 */
#include "mt_conf_forward_priv.h"
#include "mt_conf_listener_priv.h"
#include "mt_conf_policy_priv.h"
#include "mt_conf_service_priv.h"

#include "mt_secret_hash.h"
#include "mt_share.h"

#include <string.h>

/* A subset's cluster has room for each endpoint of its host. */
#define STEPS_OF_LOOK 1
/* An address of a port: a listener. */
#define STEPS_OF_LISTENER 16
/*
 * A bucket of a limit takes about 13 us where many others are, and 1 KB, with 64 workers 8 KB. Its
 * condition is a route besides.
 */
#define STEPS_OF_BUCKET 128
/* A filter that denies calls to an endpoint takes about 400 ns. */
#define STEPS_OF_FILTER 4
/* Names of ports and labels that are compared in one step. */
#define STEP_OF_NAMES 16

#define ROUTES_REMEDY	 "write fewer rules or shorter texts, or name fewer hosts in one document"
#define COPIES_REMEDY	 "write fewer rules, or name fewer gateways in documents with the same host"
#define CLIENTS_REMEDY	 "write fewer rules of TrafficPolicies, or fewer targets"
#define LIMITS_REMEDY	 "write fewer conditions of rate limits, or fewer ports"
#define SERVICE_REMEDY	 "write fewer global rate limits, or name services with fewer endpoints"
#define TABLES_REMEDY	 "write smaller hash rings, or fewer ports or subsets with consistentHash"
#define ENDPOINTS_REMEDY "write fewer ports, subsets or endpoints"
#define INBOUND_REMEDY	 "write fewer conditions of rate limits, or fewer ports, subsets or endpoints"

/* ---- services -------------------------------------------------------------------------------- */

/* Filters in the proxies of clients, of all ports. Endpoints of a port have those that close. */
struct outbound {
	uint64_t n, n_closing;
};

static struct outbound outbound_of(
	const struct mt_build *b, const struct mt_host *h, const struct mt_unit *u)
{
	struct outbound all = {0};

	for (; b->policies && b->policies->n_outbound && u; u = u->next) {
		const struct mt_policy_walk behind = mt_b_policies_behind(b, h, u);
		const struct mt_policy_walk closing = mt_b_policies_closing(b, h, u);

		all.n += mt_policy_walk_sum(&behind).n;
		all.n_closing += mt_policy_walk_sum(&closing).n;
	}
	return all;
}

static uint32_t count_units(const struct mt_unit *u)
{
	uint32_t n = 0;

	for (; u; u = u->next)
		n++;
	return n;
}

#define CODECS_MOST 64

/* The codecs of its ports, for which policies are compiled. */
static uint32_t count_codecs(const struct mt_host *h)
{
	const struct mt_codec *seen[CODECS_MOST];
	uint32_t n = 0, i;

	for (const struct mt_unit *u = h->units; u && n < CODECS_MOST; u = u->next) {
		for (i = 0; i < n && seen[i] != u->codec; i++)
			;
		seen[i] = u->codec;
		n += i == n;
	}
	return n + (h->forwards != NULL);
}

/* The work that the endpoints of a host cause. */
struct endpoints {
	struct outbound outbound; /* of the ports that are terminated */
	uint64_t n;
	uint64_t labels;   /* compared in one cluster, to find its members */
	uint64_t policies; /* of all, each once */
	uint64_t members;  /* in the cluster of all of them */
	uint64_t chosen;   /* in the clusters of all subsets: their members */
	uint64_t n_chosen;
	struct mt_policy_sets sets;
	struct mt_table_steps tables; /* of one port */
};

static void add_endpoint(struct mt_build *b, const struct mt_host *h, const struct mt_workload *w,
	struct endpoints *e)
{
	uint64_t policies = mt_b_steps_of_policies(b, h, w, &e->sets);
	uint64_t one = policies + MT_STEPS_OF_ENDPOINT, n = 0;

	e->n++;
	e->labels += (w->labels.n_kv + w->ports.n_kv) / STEP_OF_NAMES;
	e->policies += policies;
	e->members += one;
	if (h->rule && h->rule->n_subsets)
		n = mt_b_subsets_of(b, h->rule, &w->labels);
	e->chosen += one * n;
	e->n_chosen += n;
}

static void count_endpoints(struct mt_build *b, const struct mt_host *h, struct endpoints *e)
{
	e->outbound = outbound_of(b, h, h->units);
	e->sets.n_outbound = e->outbound.n_closing;
	for (uint32_t i = 0; i < h->n_workloads; i++)
		add_endpoint(b, h, h->workloads[i], e);
	/* Endpoints with names that are not resolved have policies as well. */
	for (uint32_t i = 0; h->se->resolution.v >= MT_RESOLUTION_DNS && i < h->se->n_endpoints;
		i++)
		add_endpoint(b, h, &h->se->endpoints[i], e);
	e->tables = mt_b_steps_of_tables(b, h, e->n_chosen);
}

static bool is_foreign(const struct mt_host *h, const struct mt_meta *meta)
{
	return strcmp(meta->ns, h->se->meta.ns) != 0;
}

/* The place of a rule of another namespace at the host. */
static struct mt_work_place place_of(const struct mt_build *b, const struct mt_host *h)
{
	const struct mt_meta *own = &h->se->meta;

	return (struct mt_work_place){.host = own,
		.payer = own,
		.at = (uint32_t)(h - b->host_list) + 1,
		.closed = "its subsets are closed: "};
}

/* Each subset looks at all endpoints, and has its members. */
static void want_subsets(
	struct mt_build *b, const struct mt_host *h, uint64_t ports, const struct endpoints *e)
{
	static const char few_all[] = "write fewer ports, subsets, endpoints or policies";
	static const char few[] = "write fewer ports or subsets";
	const struct mt_destination_rule *dr = h->rule;
	uint64_t n = dr ? dr->n_subsets : 0, steps;
	const struct mt_meta *own = &h->se->meta;
	const struct mt_work_place place = place_of(b, h);

	if (!n)
		return;
	steps = ports * (n * (MT_STEPS_OF_CLUSTER + e->labels + e->n * STEPS_OF_LOOK) + e->chosen) +
		e->outbound.n_closing * e->n_chosen * STEPS_OF_FILTER;
	if (is_foreign(h, &dr->meta)) {
		mt_b_want_at_host(b, MT_WORK_STEPS, &dr->meta, &place, steps, few_all);
		mt_b_want_at_host(b, MT_WORK_STEPS, &dr->meta, &place, ports * e->tables.subsets,
			TABLES_REMEDY);
		mt_b_want_at_host(b, MT_WORK_CLUSTERS, &dr->meta, &place, ports * n, few);
		mt_b_want_at_host(b, MT_WORK_ENDPOINTS, &dr->meta, &place, ports * e->n_chosen,
			ENDPOINTS_REMEDY);
		return;
	}
	mt_b_want(b, MT_WORK_STEPS, own, steps, few_all);
	mt_b_want(b, MT_WORK_STEPS, own, ports * e->tables.subsets, TABLES_REMEDY);
	mt_b_want(b, MT_WORK_CLUSTERS, own, ports * n, few);
	mt_b_want(b, MT_WORK_ENDPOINTS, own, ports * e->n_chosen, ENDPOINTS_REMEDY);
}

/* Of all ports and subsets. */
static void want_clusters(struct mt_build *b, const struct mt_host *h)
{
	uint64_t ports = count_units(h->units), forwards = count_units(h->forwards);
	const struct outbound forwarded = outbound_of(b, h, h->forwards);
	struct endpoints e = {0};
	uint64_t unserved = h->se->n_ports - MT_MIN(h->se->n_ports, ports + forwards);
	uint64_t closing, filters;

	count_endpoints(b, h, &e);
	closing = (e.outbound.n_closing + forwarded.n_closing) * STEPS_OF_FILTER;
	/* A port is compared with its filters also if the service is closed. */
	filters = e.outbound.n + forwarded.n + closing;
	mt_b_want(b, MT_WORK_STEPS, &h->se->meta,
		(ports + forwards) * (MT_STEPS_OF_CLUSTER + e.labels + e.members),
		"write fewer ports, endpoints or policies");
	mt_b_want(b, MT_WORK_STEPS, &h->se->meta, ports * e.tables.all, TABLES_REMEDY);
	want_subsets(b, h, ports, &e);
	mt_b_want(b, MT_WORK_STEPS, &h->se->meta,
		(ports + forwards) * h->n_addrs * STEPS_OF_LISTENER,
		"write fewer ports or addresses");
	mt_b_want(b, MT_WORK_CLUSTERS, &h->se->meta, ports + forwards,
		"write fewer ports or subsets");
	mt_b_want(b, MT_WORK_SERVICES, &h->se->meta, ports, "write fewer ports");
	mt_b_want(b, MT_WORK_ENDPOINTS, &h->se->meta, (ports + forwards) * h->n_workloads,
		ENDPOINTS_REMEDY);
	/* Policies are compared with each endpoint once more, and with ports that are not served. */
	mt_b_want(b, MT_WORK_STEPS, &h->se->meta,
		e.policies * (1 + unserved) + filters + closing * e.n,
		"write fewer policies or endpoints");
	mt_b_want(b, MT_WORK_STEPS, &h->se->meta,
		count_codecs(h) * e.sets.of_codec + ports * e.sets.at_ports +
			forwards * e.sets.rules,
		"write fewer ports, or policies with conditions on ports");
	mt_b_want_closed(b, MT_WORK_STEPS, &h->se->meta,
		(ports + forwards) * (MT_STEPS_OF_CLUSTER + h->n_addrs * STEPS_OF_LISTENER) +
			filters);
	mt_b_want_closed(b, MT_WORK_CLUSTERS, &h->se->meta, ports + forwards);
	mt_b_want_closed(b, MT_WORK_SERVICES, &h->se->meta, ports);
	mt_b_want_closed(b, MT_WORK_ENDPOINTS, &h->se->meta, 0);
}

/* ---- routes ---------------------------------------------------------------------------------- */

/* Of the rules of a list from `at` to before `end`. */
static uint64_t steps_of_rules(const struct mt_rule_list *list, uint32_t at, uint32_t end)
{
	uint64_t steps = 0;

	for (; at < end; at++)
		steps += mt_b_steps_of_rule(&list->rules[at]);
	return steps;
}

/* Steps of a list or limit that were counted before; 0: they were not. */
static uint64_t known_steps(const struct mt_build *b, const void *of)
{
	return (uintptr_t)mt_idmap_get(&b->work.lists, (uintptr_t)of);
}

static uint64_t keep_steps(struct mt_build *b, const void *of, uint64_t steps)
{
	if (mt_idmap_put(&b->work.lists, (uintptr_t)of, (void *)(uintptr_t)steps))
		b->tmp.failed = true;
	return steps;
}

/* Many services may share a list. */
static uint64_t steps_of_list(struct mt_build *b, const struct mt_rule_list *list)
{
	uint64_t known = known_steps(b, list);

	return known ? known : keep_steps(b, list, 1 + steps_of_rules(list, 0, list->n_rules));
}

/* Many ports and endpoints may share a limit. Each has buckets of its own. */
static uint64_t steps_of_limit(struct mt_build *b, const struct mt_limit_conf *l)
{
	uint64_t steps = known_steps(b, l);

	if (steps)
		return steps;
	steps = MT_STEPS_OF_ROUTE + (l->bucket ? STEPS_OF_BUCKET : 0);
	for (uint32_t i = 0; i < l->n_conds; i++)
		steps += STEPS_OF_BUCKET + MT_STEPS_OF_ROUTE +
			 mt_b_steps_of_conds(l->conds[i].match);
	return keep_steps(b, l, steps);
}

/* Where the service of a global limit is: twice each endpoint is looked at (grpc_providers.c). */
static uint64_t steps_of_service(
	struct mt_build *b, const struct mt_meta *meta, const struct mt_global_conf *g)
{
	const struct mt_host *h = mt_b_host(b, g->host.s, meta->ns);

	return MT_STEPS_OF_ROUTE + (h ? 2 * (uint64_t)h->n_workloads : 0);
}

/* Many ports may share a global limit. Each looks for its service, and compiles its match. */
static uint64_t steps_of_global(
	struct mt_build *b, const struct mt_meta *meta, const struct mt_global_conf *g)
{
	uint64_t steps = known_steps(b, g);

	if (steps)
		return steps;
	return keep_steps(b, g,
		STEPS_OF_BUCKET + steps_of_service(b, meta, g) +
			(g->match ? mt_b_steps_of_conds(g->match) : 0));
}

static uint64_t steps_of_limits(struct mt_build *b, const struct mt_service_limits *l)
{
	return (l->local ? steps_of_limit(b, l->local) : 0) +
	       (l->global ? steps_of_global(b, l->global_meta, l->global) : 0);
}

/* Each is looked for once more, for a warning. */
static void want_services_of_limits(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->model->meta_routers.n; i++) {
		const struct mt_meta_router *mr = b->model->meta_routers.v[i];

		if (mr->global)
			mt_b_want(b, MT_WORK_STEPS, &mr->meta,
				steps_of_service(b, &mr->meta, mr->global), SERVICE_REMEDY);
	}
}

/* True if the document with the routes of a port limits its calls as well. */
static bool limits(const struct mt_host *h, const struct mt_unit *u, const struct mt_meta *meta)
{
	const struct mt_meta *by;

	return (mt_b_unit_limit(h, u, &by) && by == meta) ||
	       (mt_b_unit_global(h, u) && &h->router->meta == meta);
}

/* True for documents of the namespace of `of`, and of the operator's. */
static bool is_trusted(
	const struct mt_build *b, const struct mt_meta *of, const struct mt_meta *meta)
{
	return strcmp(meta->ns, of->ns) == 0 || strcmp(meta->ns, mt_b_root_namespace(b)) == 0;
}

static void want_routes(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u)
{
	const struct mt_meta *meta;
	const struct mt_rule_list *list = mt_b_unit_rules(h, u, &meta);

	/* Without the document its limit would be lost. */
	if (limits(h, u, meta) && is_trusted(b, &h->se->meta, meta))
		meta = &h->se->meta;
	mt_b_want(b, MT_WORK_STEPS, meta, list ? steps_of_list(b, list) : MT_STEPS_OF_ROUTE,
		ROUTES_REMEDY);
}

/* ---- limits of calls ------------------------------------------------------------------------- */

/* Of all ports: each has buckets of its own. */
static void want_limits(struct mt_build *b, const struct mt_host *h)
{
	uint64_t own = 0;

	for (const struct mt_unit *u = h->units; u; u = u->next) {
		const struct mt_meta *meta;
		const struct mt_limit_conf *l = mt_b_unit_limit(h, u, &meta);
		const struct mt_global_conf *g = mt_b_unit_global(h, u);

		if (l && is_trusted(b, &h->se->meta, meta))
			own += steps_of_limit(b, l);
		else if (l)
			mt_b_want(b, MT_WORK_STEPS, meta, steps_of_limit(b, l), LIMITS_REMEDY);
		if (g && is_trusted(b, &h->se->meta, &h->router->meta))
			own += steps_of_global(b, &h->router->meta, g);
		else if (g)
			mt_b_want(b, MT_WORK_STEPS, &h->router->meta,
				steps_of_global(b, &h->router->meta, g), LIMITS_REMEDY);
	}
	mt_b_want(b, MT_WORK_STEPS, &h->se->meta, own, LIMITS_REMEDY);
}

/*
 * The rules of a TrafficPolicy, which are checked once, and compiled by each port and each route by
 * server names. The service pays, because its calls would not be limited if the policy were refused.
 */
static void want_clients(struct mt_build *b, const struct mt_host *h)
{
	uint64_t n = 1;

	if (!h->limiter)
		return;
	for (const struct mt_unit *u = h->units; u; u = u->next)
		n += 1 + (h->bytes.vs ? mt_b_tls_rules(h->bytes.vs) : 0);
	mt_b_want(b, MT_WORK_STEPS, &h->se->meta, n * mt_b_steps_of_clients(h->limiter),
		CLIENTS_REMEDY);
}

/* The work that limits in endpoints' own proxies cause. */
struct inbound {
	uint64_t own;	 /* in the clusters of all endpoints */
	uint64_t chosen; /* in the clusters of subsets */
};

static void add_inbound(struct mt_build *b, const struct mt_host *h, const struct mt_workload *w,
	struct inbound *to)
{
	uint64_t n = mt_host_subsets(h) ? mt_b_subsets_of(b, h->rule, &w->labels) : 0;

	for (const struct mt_unit *u = h->units; u; u = u->next) {
		const struct mt_policed at = {h, w, u, mt_b_endpoint_port(u, w), false};
		const struct mt_meta *meta;
		const struct mt_limit_conf *l = mt_b_inbound_limit(b, &at, &meta);
		uint64_t steps = l ? steps_of_limit(b, l) : 0;

		if (l && !is_trusted(b, &h->se->meta, meta)) {
			mt_b_want(b, MT_WORK_STEPS, meta, steps * (1 + n), INBOUND_REMEDY);
			continue;
		}
		to->own += steps;
		to->chosen += steps * n;
	}
}

/*
 * Limits in endpoints' own proxies are compiled for each cluster with the endpoint. To look for
 * them, ports, endpoints and patches are compared: hosts with too many of these were closed before.
 */
static void want_inbound(struct mt_build *b)
{
	for (uint32_t i = 0; b->n_inbound && i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i];
		const struct mt_work_place place = place_of(b, h);
		struct inbound all = {0};

		for (uint32_t k = 0; k < h->n_workloads; k++)
			add_inbound(b, h, h->workloads[k], &all);
		mt_b_want(b, MT_WORK_STEPS, &h->se->meta, all.own, INBOUND_REMEDY);
		if (h->rule && is_foreign(h, &h->rule->meta))
			mt_b_want_at_host(b, MT_WORK_STEPS, &h->rule->meta, &place, all.chosen,
				INBOUND_REMEDY);
		else
			mt_b_want(b, MT_WORK_STEPS, &h->se->meta, all.chosen, INBOUND_REMEDY);
	}
}

/* ---- gateways -------------------------------------------------------------------------------- */

/* A comparison of a VirtualService with a server, or of two of their hosts, takes about 25 ns. */
#define STEP_OF_SERVERS 4

#define GATES_REMEDY   "write fewer servers, hosts, or policies with conditions on ports"
#define SERVERS_REMEDY "name fewer gateways or hosts"
#define LOOKS_REMEDY   "name fewer gateways, or write fewer rules"

/* A word of `gateways` is looked up four times, with about 100 ns each. */
#define STEPS_OF_WORD 4

/* Servers of a Gateway, and hosts of all of them. */
struct servers {
	uint64_t n, n_hosts;
};

/* NULL: there is no Gateway of this name at this node. */
static const struct servers *find_servers(
	const struct mt_strmap *all, const char *ns, const char *name)
{
	char key[MT_GATEWAY_KEY];

	return mt_strmap_get(all, mt_b_gateway_key(name, ns, key));
}

static void count_servers(struct mt_build *b, struct mt_strmap *all, const struct mt_gateway *g)
{
	const char *name = mt_region_printf(&b->tmp, "%s/%s", g->meta.ns, g->meta.name);
	struct servers *s = name ? mt_share_account(all, &b->tmp, name, sizeof(*s)) : NULL;

	for (uint32_t i = 0; s && i < g->n_servers; i++) {
		s->n++;
		s->n_hosts += g->servers[i].n_hosts;
	}
}

/*
 * Comparisons to find out if rules lead from a server, and the hosts that they lead to, which are
 * looked up. They are made also if no rule does.
 */
static uint64_t looks_of(const struct mt_rule_list *l)
{
	uint64_t n = l->n_rules;

	for (uint32_t i = 0; i < l->n_rules; i++) {
		const struct mt_rule *r = &l->rules[i];

		n += (uint64_t)r->n_dests * STEP_OF_SERVERS;
		for (uint32_t k = 0; k < r->n_matches; k++)
			n += 1 + (uint64_t)r->matches[k].n_gateways;
	}
	return n;
}

/* Of all lists: ports of a Gateway may have several protocols. */
static uint64_t looks_of_all(const struct mt_virtual_service *vs)
{
	uint64_t n = 1;

	for (uint32_t i = 0; i < vs->n_lists; i++)
		n += looks_of(&vs->lists[i]);
	return n;
}

/* Words in `gateways` of the document and of its matches. */
static uint64_t words_of(const struct mt_virtual_service *vs)
{
	uint64_t n = vs->n_gateways;

	for (uint32_t i = 0; i < vs->n_lists; i++)
		for (uint32_t k = 0; k < vs->lists[i].n_rules; k++)
			for (uint32_t j = 0; j < vs->lists[i].rules[k].n_matches; j++)
				n += vs->lists[i].rules[k].matches[j].n_gateways;
	return n;
}

/*
 * A VirtualService is compared with each server of the Gateways that it names. Hosts of one of
 * Gateway API were compared before, where its Gateway was read.
 */
static void want_virtual_service(
	struct mt_build *b, const struct mt_strmap *all, const struct mt_virtual_service *vs)
{
	uint64_t hosts = vs->gateway_api ? 0 : vs->n_hosts;
	uint64_t looks = vs->n_gateways ? looks_of_all(vs) : 0;

	mt_b_want(b, MT_WORK_STEPS, &vs->meta, words_of(vs) * STEPS_OF_WORD, LOOKS_REMEDY);
	for (uint32_t i = 0; i < vs->n_gateways; i++) {
		const struct servers *s = find_servers(all, vs->meta.ns, vs->gateways[i].s);

		if (!s)
			continue;
		/* Its hosts are compared with the server's, and looked for among another one's. */
		mt_b_want(b, MT_WORK_STEPS, &vs->meta,
			(s->n + s->n_hosts) * hosts / STEP_OF_SERVERS, SERVERS_REMEDY);
		mt_b_want(
			b, MT_WORK_STEPS, &vs->meta, s->n * looks / STEP_OF_SERVERS, LOOKS_REMEDY);
	}
}

/* A service of a MetaRouter at a server, before its routes are compiled: about 1 us and 1 KB. */
#define STEPS_OF_BOUND 32

/* The routes of a MetaRouter are bound to each server; its limit is looked for there. */
static void want_meta_router(
	struct mt_build *b, const struct mt_strmap *all, const struct mt_meta_router *mr)
{
	uint64_t looks = looks_of(&mr->routes), each, each_of;
	const struct mt_work_place place = mt_b_at_gateways(&mr->meta);

	mt_b_want(b, MT_WORK_STEPS, &mr->meta, (uint64_t)mr->n_gateways * STEPS_OF_WORD,
		LOOKS_REMEDY);
	each = (mr->routes.n_rules ? STEPS_OF_BOUND : 1) + looks / STEP_OF_SERVERS;
	for (uint32_t i = 0; i < mr->n_gateways; i++) {
		const struct servers *s = find_servers(all, mr->meta.ns, mr->gateways[i].s);

		if (!s)
			continue;
		each_of = s->n * each + s->n_hosts / STEP_OF_SERVERS;
		if (mr->limit || mr->global)
			mt_b_want_at_host(
				b, MT_WORK_STEPS, &mr->meta, &place, each_of, LOOKS_REMEDY);
		else
			mt_b_want(b, MT_WORK_STEPS, &mr->meta, each_of, LOOKS_REMEDY);
	}
}

/* Servers of Gateways for other nodes are not served here. */
static void want_servers(struct mt_build *b)
{
	const struct mt_model *m = b->model;
	struct mt_strmap all = {0};

	for (uint32_t i = 0; i < m->gateways.n; i++) {
		const struct mt_gateway *g = m->gateways.v[i];

		if (!mt_b_selects_node(b, &g->selector))
			continue;
		count_servers(b, &all, g);
		mt_b_want(b, MT_WORK_STEPS, &g->meta, mt_b_steps_at_gateway(b, g), GATES_REMEDY);
	}
	for (uint32_t i = 0; i < m->virtual_services.n; i++)
		want_virtual_service(b, &all, m->virtual_services.v[i]);
	for (uint32_t i = 0; i < m->meta_routers.n; i++)
		want_meta_router(b, &all, m->meta_routers.v[i]);
	mt_strmap_fini(&all);
}

/* ---- all ------------------------------------------------------------------------------------- */

static void close_hosts(struct mt_build *b)
{
	for (uint32_t i = 0; b->work.closed.n && i < b->n_hosts; i++) {
		struct mt_host *h = &b->host_list[i];

		if (mt_idmap_get(&b->work.closed, mt_b_work_id(&h->se->meta, 0))) {
			h->over = true;
			h->n_workloads = 0;
		} else if (h->rule && is_foreign(h, &h->rule->meta)) {
			h->no_subsets = mt_idmap_get(&b->work.closed,
						mt_b_work_id(&h->rule->meta, i + 1)) != NULL;
		}
	}
}

void mt_b_work(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i];

		want_clusters(b, h);
		for (const struct mt_unit *u = h->units; u; u = u->next)
			want_routes(b, h, u);
		want_limits(b, h);
		want_clients(b, h);
	}
	mt_b_want_checks(b);
	want_services_of_limits(b);
	want_servers(b);
	mt_b_want_passed(b);
	mt_b_decide_again(b);
	mt_b_settle_work(b);
	close_hosts(b);
	if (!b->work.over) {
		mt_b_want_chains(b);
		want_inbound(b);
		mt_b_settle_work(b);
		close_hosts(b);
	}
	b->work.fixed = true;
}

/* Adds to the demand of the document at a port of a gateway. */
static void want_at(struct mt_build *b, const struct mt_document_service *d, enum mt_work_kind kind,
	const struct mt_meta *meta, uint64_t n, const char *remedy)
{
	const struct mt_work_place place = mt_b_at_gateways(meta);

	/* A MetaRouter with a limit. */
	if ((d->limits.local || d->limits.global) && meta == d->limits.meta)
		mt_b_want_at_host(b, kind, meta, &place, n, remedy);
	else
		mt_b_want(b, kind, meta, n, remedy);
}

/*
 * The limit at a port of a gateway. The document that routes pays if the limit is of its namespace
 * or the operator's, because its calls would not be limited if that were refused.
 */
static void want_limit_at(struct mt_build *b, const struct mt_document_service *d)
{
	const struct mt_meta *meta = d->route.meta;

	if (!d->limits.local && !d->limits.global)
		return;
	if (!is_trusted(b, meta, d->limits.meta))
		meta = d->limits.meta;
	want_at(b, d, MT_WORK_STEPS, meta, steps_of_limits(b, &d->limits), LIMITS_REMEDY);
}

/* A copy of a rule takes about 600 bytes. So all steps take less than the memory of a build. */
#define COPIED_OF_STEP 24

void mt_b_want_copies(struct mt_build *b, const struct mt_meta *meta, size_t bytes)
{
	mt_b_want(b, MT_WORK_STEPS, meta, bytes / COPIED_OF_STEP, COPIES_REMEDY);
	mt_b_settle_growth(b);
}

/* Each of joined VirtualServices pays for its own rules, so that no author charges another one. */
static void want_bound(struct mt_build *b, const struct mt_document_service *d)
{
	const struct mt_route_for *f = &d->route;
	uint32_t at = 0;

	if (!d->n_parts)
		want_at(b, d, MT_WORK_STEPS, f->meta, steps_of_list(b, f->list), ROUTES_REMEDY);
	for (uint32_t i = 0; i < d->n_parts; i++) {
		mt_b_want(b, MT_WORK_STEPS, d->parts[i].meta,
			1 + steps_of_rules(f->list, at, d->parts[i].end), ROUTES_REMEDY);
		at = d->parts[i].end;
	}
	want_limit_at(b, d);
	/* Those of services were counted before. */
	if (d->limits.clients && d->gate_meta)
		want_at(b, d, MT_WORK_STEPS, f->meta, mt_b_steps_of_clients(d->limits.clients),
			CLIENTS_REMEDY);
	/* The same name and port at several addresses has the same counters. */
	if (!mt_b_is_counted(b, mt_secret_hash_text(d->slot->name, f->port)))
		want_at(b, d, MT_WORK_SERVICES, f->meta, 1, "name fewer ports of gateways");
}

/*
 * Calls that a MetaRouter limits have no route if it is closed at gateways. The limit of another
 * namespace is lost there.
 */
static void close_bound(struct mt_build *b, struct mt_document_service *d)
{
	static const struct mt_rule_list none = {.name = "routes"};

	if (!d->limits.local && !d->limits.global)
		return;
	if (!mt_b_is_closed_at_gateways(b, d->limits.meta))
		return;
	if (is_trusted(b, d->route.meta, d->limits.meta))
		d->route.list = &none;
	d->limits.local = NULL;
	d->limits.global = NULL;
}

void mt_b_work_of_gateways(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_bound; i++) {
		/* What is passed on was counted before (passing.c). */
		if (b->bound[i].route.list)
			want_bound(b, &b->bound[i]);
	}
	mt_b_settle_work(b);
	for (uint32_t i = 0; b->work.closed.n && i < b->n_bound; i++)
		close_bound(b, &b->bound[i]);
}
