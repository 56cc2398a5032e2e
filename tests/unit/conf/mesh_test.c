/* SPDX-License-Identifier: Apache-2.0 */
/* What discovery services say becomes listeners, services and clusters, each resource on its own. */
#include "mesh_build.h"

#include "mt_secret_hash.h"
#include "mt_idmap.h"

#include <stdio.h>

#define C1 "outbound|20880||a.x"
#define C2 "outbound|20880|v2|a.x"

static void messages(void)
{
	struct mesh_scene sc = mesh_scene_new();
	const struct mt_route_action *a;
	const struct mt_listener *l;
	struct mt_res_routes *r;
	struct mt_rule *rule;

	mesh_simple_cluster(sc.m, C1);
	mesh_simple_cluster(sc.m, C2);
	mesh_proxy(sc.m, mesh_listener(sc.m, "240.240.0.1_20880", "240.240.0.1", 20880), "dubbo",
		"a.x_20880");
	r = mesh_routes(sc.m, "a.x_20880");
	rule = mesh_rule(sc.m, &r->list, "v2", NULL);
	mesh_cond(sc.m, rule, "user", MT_COND_EXACT, "jane");
	mesh_dest(sc.m, &rule->dests, &rule->n_dests, C1, 20);
	mesh_dest(sc.m, &rule->dests, &rule->n_dests, C2, 80);
	mesh_rule(sc.m, &r->list, "rest", C1);
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.n, 0);
	l = listener(sc.s, "240.240.0.1", 20880);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_STRING_EQUAL(l->protos->codec->name, "dubbo");
	CU_ASSERT_STRING_EQUAL(l->file, "xds:test");
	CU_ASSERT_EQUAL(l->line, 0);
	CU_ASSERT_STRING_EQUAL(l->protos->services[0]->name, "a.x");
	CU_ASSERT_EQUAL_FATAL(mt_route_count(l->protos->services[0]->routes), 2);
	a = mt_route_at(l->protos->services[0]->routes, 0);
	CU_ASSERT_EQUAL_FATAL(a->n_dests, 2);
	CU_ASSERT_STRING_EQUAL(sc.s->clusters[a->dests[0].cluster].name, C1);
	CU_ASSERT_STRING_EQUAL(sc.s->clusters[a->dests[1].cluster].name, C2);
	CU_ASSERT_EQUAL(a->dests[1].weight, 80);
	CU_ASSERT_STRING_EQUAL(endpoint(cluster(sc.s, C2), 1), "198.51.100.2:80");
	mesh_scene_end(&sc);
}

/* Known methods of services of one namespace share a quota, also if a discovery service has sent them. */
static void namespaces(void)
{
	static const struct {
		const char *host, *ns;
	} cases[] = {
		{"demo.shop.svc.cluster.local", "shop"},
		{"demo.shop.svc.example.org", "shop"},
		{"demo.shop.example.org", NULL},
		{"demo.shop.svc", NULL},
		{"demo..svc.cluster.local", NULL},
		{"demo", NULL},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		struct mesh_scene sc = mesh_scene_new();
		const struct mt_service *s;
		char name[128], table[128];
		struct mt_res_chain *c;

		snprintf(name, sizeof(name), "outbound|20880||%s", cases[i].host);
		snprintf(table, sizeof(table), "%s_20880", cases[i].host);
		mesh_simple_cluster(sc.m, name);
		mesh_proxy(sc.m, mesh_listener(sc.m, "l", "192.0.2.1", 20880), "dubbo", table);
		mesh_rule(sc.m, &mesh_routes(sc.m, table)->list, "all", name);
		c = mesh_chain(sc.m, mesh_listener(sc.m, "k", "192.0.2.2", 20880));
		mesh_dest(sc.m, &c->dests, &c->n_dests, name, 1);
		mesh_load(&sc);
		for (uint32_t k = 0; k < 2; k++) {
			s = listener(sc.s, k ? "192.0.2.2" : "192.0.2.1", 20880)
				    ->protos->services[0];
			CU_ASSERT_STRING_EQUAL(s->name, cases[i].host);
			CU_ASSERT_EQUAL(s->owner,
				mt_service_owner(
					cases[i].ns ? mt_secret_hash_text(cases[i].ns, 0) : 0,
					s->id));
			CU_ASSERT_EQUAL(s->ns != NULL, cases[i].ns != NULL);
			if (s->ns && cases[i].ns)
				CU_ASSERT_STRING_EQUAL(s->ns, cases[i].ns);
		}
		mesh_scene_end(&sc);
	}
}

static void bytes(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_chain *c;
	const struct mt_listener *l;

	mesh_simple_cluster(sc.m, C1);
	mesh_simple_cluster(sc.m, C2);
	c = mesh_chain(sc.m, mesh_listener(sc.m, "l", "0.0.0.0", 7000));
	mesh_dest(sc.m, &c->dests, &c->n_dests, C1, 1);
	mesh_dest(sc.m, &c->dests, &c->n_dests, C2, 3);
	c->idle_ms = 90500;
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.n, 0);
	/* Any local address. */
	l = listener(sc.s, "192.0.2.9", 7000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT(l->protos->codec->opaque);
	CU_ASSERT_EQUAL(l->chains->idle_s, 91);
	CU_ASSERT_EQUAL_FATAL(l->protos->services[0]->n_tcp_dests, 2);
	CU_ASSERT_EQUAL(l->protos->services[0]->tcp_total_weight, 4);
	CU_ASSERT_STRING_EQUAL(
		sc.s->clusters[l->protos->services[0]->tcp_dests[1].cluster].name, C2);
	mesh_scene_end(&sc);
}

/* Metrics name this node as the destination of calls to an inbound listener. */
static void inbound(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_listener *l;
	struct mt_res_chain *c;

	mesh_simple_cluster(sc.m, C1);
	for (int i = 0; i < 2; i++) {
		l = mesh_listener(sc.m, i ? "in" : "out", i ? "192.0.2.1" : "192.0.2.2", 7000);
		c = mesh_chain(sc.m, l);
		mesh_dest(sc.m, &c->dests, &c->n_dests, C1, 1);
	}
	l->direction = MT_RES_INBOUND;
	l->bound = true;
	mesh_load(&sc);
	CU_ASSERT_TRUE(listener(sc.s, "192.0.2.1", 7000)->protos->services[0]->inbound);
	CU_ASSERT_FALSE(listener(sc.s, "192.0.2.2", 7000)->protos->services[0]->inbound);
	mesh_scene_end(&sc);
}

/* Routes and clusters that are not there yet: answered natively, and told. */
static void not_there(void)
{
	struct mesh_scene sc = mesh_scene_new();
	const struct mt_route_action *a;
	struct mt_res_routes *r;
	const struct mt_service *s;

	mesh_proxy(sc.m, mesh_listener(sc.m, "l", "192.0.2.1", 1), "dubbo", "later");
	mesh_proxy(sc.m, mesh_listener(sc.m, "l2", "192.0.2.2", 1), "dubbo", "r");
	r = mesh_routes(sc.m, "r");
	mesh_rule(sc.m, &r->list, "one", "nowhere");
	for (int i = 0; i < 2; i++) {
		mesh_load(&sc);
		CU_ASSERT_EQUAL(sc.diags.n, 1);
		CU_ASSERT(mesh_told(&sc, MT_DIAG_WARNING, "r", "no cluster \"nowhere\""));
		s = listener(sc.s, "192.0.2.1", 1)->protos->services[0];
		CU_ASSERT_EQUAL(mt_route_count(s->routes), 0);
		s = listener(sc.s, "192.0.2.2", 1)->protos->services[0];
		a = mt_route_at(s->routes, 0);
		CU_ASSERT_EQUAL(mt_route_pick(a, 1), MT_ROUTE_NO_CLUSTER);
	}
	/* It comes: the route leads there. */
	mesh_simple_cluster(sc.m, "nowhere");
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.n, 0);
	s = listener(sc.s, "192.0.2.2", 1)->protos->services[0];
	a = mt_route_at(s->routes, 0);
	CU_ASSERT_STRING_EQUAL(sc.s->clusters[mt_route_pick(a, 1)].name, "nowhere");
	mesh_scene_end(&sc);
}

/* One bad thing of each kind, and a good listener beside them that is served all the same. */
static void left_out(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_listener *l;
	struct mt_res_routes *r;
	struct mt_res_cluster *tls;
	struct mt_rule *rule;

	mesh_simple_cluster(sc.m, C1);
	tls = mesh_cluster(sc.m, "tls");
	tls->tls = mt_region_alloc(&sc.m->region, sizeof(*tls->tls));
	mesh_cluster(sc.m, C1);
	mesh_proxy(sc.m, mesh_listener(sc.m, "good", "192.0.2.1", 1), "dubbo", "ok");
	mesh_rule(sc.m, &mesh_routes(sc.m, "ok")->list, "one", C1);
	mesh_proxy(sc.m, mesh_listener(sc.m, "same address", "192.0.2.1", 1), "dubbo", "ok");
	mesh_proxy(sc.m, mesh_listener(sc.m, "good", "192.0.2.2", 1), "dubbo", "ok");
	mesh_proxy(sc.m, mesh_listener(sc.m, "codec", "192.0.2.3", 1), "nonsense", "ok");
	mesh_proxy(sc.m, mesh_listener(sc.m, "address", "224.0.0.1", 1), "dubbo", "ok");
	mesh_proxy(sc.m, mesh_listener(sc.m, "regex", "192.0.2.4", 1), "dubbo", "bad");
	r = mesh_routes(sc.m, "bad");
	rule = mesh_rule(sc.m, &r->list, "one", C1);
	mesh_cond(sc.m, rule, "user", MT_COND_REGEX, "a(b");
	mesh_chain(sc.m, mesh_listener(sc.m, "nothing", "192.0.2.5", 1));
	l = mesh_listener(sc.m, "inline", "192.0.2.6", 1);
	rule = mesh_rule(sc.m, &mesh_proxy(sc.m, l, "dubbo", NULL)->routes, "one", C1);
	mesh_cond(sc.m, rule, "user", MT_COND_REGEX, "a(b");
	for (int i = 0; i < 2; i++) {
		mesh_load(&sc);
		CU_ASSERT_EQUAL(sc.diags.errors, 0);
		CU_ASSERT_EQUAL(sc.diags.left_out, 7);
		CU_ASSERT_EQUAL(sc.diags.not_served, 2);
		CU_ASSERT(mesh_told(&sc, MT_DIAG_NOT_SERVED, "tls", "cannot be encrypted"));
		CU_ASSERT(mesh_told(&sc, MT_DIAG_LEFT_OUT, C1, "another source has one"));
		CU_ASSERT(mesh_told(
			&sc, MT_DIAG_LEFT_OUT, "same address", "192.0.2.1:1 is in use by"));
		CU_ASSERT(mesh_told(&sc, MT_DIAG_LEFT_OUT, "good", "another source has one"));
		CU_ASSERT(mesh_told(&sc, MT_DIAG_LEFT_OUT, "codec", "unknown protocol"));
		CU_ASSERT(mesh_told(&sc, MT_DIAG_LEFT_OUT, "address", "multicast"));
		CU_ASSERT(mesh_told(&sc, MT_DIAG_LEFT_OUT, "bad", ""));
		CU_ASSERT(mesh_told(
			&sc, MT_DIAG_NOT_SERVED, "nothing", "has no filter that can be served"));
		CU_ASSERT(mesh_told(&sc, MT_DIAG_LEFT_OUT, "inline", ""));
		CU_ASSERT_EQUAL(
			mt_route_count(listener(sc.s, "192.0.2.1", 1)->protos->services[0]->routes),
			1);
		/* Its routes are left out, so that nothing matches; the listener itself is sound. */
		CU_ASSERT_EQUAL(
			mt_route_count(listener(sc.s, "192.0.2.4", 1)->protos->services[0]->routes),
			0);
		CU_ASSERT_EQUAL(sc.s->n_listeners, 2);
		CU_ASSERT_EQUAL(sc.s->n_services, 2);
	}
	mesh_scene_end(&sc);
}

/* What only makes sense behind a redirecting kernel: one line in all, and no listener. */
static void passing(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_chain *c;
	struct mt_res_listener *l;

	mesh_cluster(sc.m, "PassthroughCluster")->discovery = MT_RES_ORIGINAL_DST;
	mesh_cluster(sc.m, "InboundPassthroughCluster")->discovery = MT_RES_ORIGINAL_DST;
	mesh_cluster(sc.m, "BlackHoleCluster")->discovery = MT_RES_STATIC;
	c = mesh_chain(sc.m, mesh_listener(sc.m, "virtualOutbound", "0.0.0.0", 15001));
	mesh_dest(sc.m, &c->dests, &c->n_dests, "PassthroughCluster", 1);
	l = mesh_listener(sc.m, "virtualInbound", "0.0.0.0", 15006);
	mesh_chain(sc.m, l);
	c = mesh_chain(sc.m, mesh_listener(sc.m, "0.0.0.0_443", "0.0.0.0", 443));
	mesh_dest(sc.m, &c->dests, &c->n_dests, "PassthroughCluster", 1);
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.s->n_listeners, 0);
	CU_ASSERT_EQUAL(sc.s->n_clusters, 1);
	CU_ASSERT_EQUAL_FATAL(sc.diags.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(sc.diags.items[0].message, "5 listeners and clusters"));
	mesh_scene_end(&sc);
}

#define SE                                                                                         \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a"          \
	"}\nspec:\n  hosts: [a.x]\n  addresses: [192.0.2.1]\n  resolution: STATIC\n"               \
	"  ports: [{number: 20880, name: tcp-metaprotocol-dubbo}]\n"                               \
	"  endpoints: [{address: 203.0.113.1}]\n"

#define SE_OF(name, host, address)                                                                 \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name           \
	", namespace: m}\nspec:\n  hosts: [" host "]\n  addresses: [" address "]\n"                \
	"  resolution: STATIC\n  ports: [{number: 20880, name: tcp-metaprotocol-dubbo}]\n"         \
	"  endpoints: [{address: 203.0.113.1}]\n"

static void add_mesh_service(struct mesh_scene *sc)
{
	struct mt_res_routes *r = mesh_routes(sc->m, "r");

	mesh_proxy(sc->m, mesh_listener(sc->m, "l", "192.0.2.1", 20880), "dubbo", "r");
	mesh_rule(sc->m, &r->list, "one", C1);
}

static bool shadowed_by(const struct mesh_scene *sc, const char *words)
{
	for (uint32_t i = 0; i < sc->diags.n; i++)
		if (sc->diags.items[i].severity == MT_DIAG_SHADOWED &&
			strstr(sc->diags.items[i].message, words))
			return true;
	return false;
}

/* Documents have their address and their cluster's name; routes of the mesh may lead to their clusters. */
static void documents_win(void)
{
	struct mesh_scene sc = mesh_scene_new();
	const struct mt_route_action *a;
	struct mt_res_routes *r;

	CU_ASSERT_EQUAL(mt_source_text(sc.m, &sc.diags, "t", SE, strlen(SE)), 0);
	mesh_simple_cluster(sc.m, C1);
	mesh_proxy(sc.m, mesh_listener(sc.m, "l", "192.0.2.1", 20880), "dubbo", "r");
	mesh_proxy(sc.m, mesh_listener(sc.m, "l2", "192.0.2.2", 20880), "dubbo", "r");
	r = mesh_routes(sc.m, "r");
	mesh_rule(sc.m, &r->list, "one", C1);
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.n, 2);
	CU_ASSERT(mesh_told(&sc, MT_DIAG_LEFT_OUT, C1, "a document has a cluster of this name"));
	CU_ASSERT(mesh_told(&sc, MT_DIAG_LEFT_OUT, "l", "is in use by a.x of t"));
	CU_ASSERT_EQUAL(sc.s->n_clusters, 1);
	CU_ASSERT_STRING_EQUAL(endpoint(cluster(sc.s, C1), 0), "203.0.113.1:20880");
	a = mt_route_at(listener(sc.s, "192.0.2.2", 20880)->protos->services[0]->routes, 0);
	CU_ASSERT_STRING_EQUAL(sc.s->clusters[mt_route_pick(a, 0)].name, C1);
	mesh_scene_end(&sc);
}

/* A source that is limited to some namespaces takes neither host nor address from the control plane. */
static void limited_documents_lose(void)
{
	static const struct {
		const char *text, *words; /* NULL: the document is served */
	} rows[] = {
		{SE_OF("x", "a.x", "192.0.2.9"), "\"a.x\" is that of the control plane"},
		{SE_OF("x", "b.x", "192.0.2.1"), "192.0.2.1 is that of listener l of"},
		{SE_OF("x", "b.x", "192.0.2.9"), NULL},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mesh_scene sc = mesh_scene_new();
		struct mt_idmap standings = {0};
		const struct mt_meta *meta;
		const char *text = rows[i].text;

		CU_ASSERT_EQUAL(mt_source_text(sc.m, &sc.diags, "t", text, strlen(text)), 0);
		meta = sc.m->service_entries.v[0];
		mt_idmap_put(
			&standings, meta->serial, (void *)(uintptr_t)(1 + MT_STANDING_LIMITED));
		sc.m->standings = &standings;
		mesh_simple_cluster(sc.m, C1);
		add_mesh_service(&sc);
		mesh_load(&sc);
		CU_ASSERT_EQUAL(sc.diags.shadowed, rows[i].words != NULL);
		CU_ASSERT(!rows[i].words || shadowed_by(&sc, rows[i].words));
		CU_ASSERT_EQUAL(sc.s->n_clusters, rows[i].words ? 1 : 2);
		CU_ASSERT_STRING_NOT_EQUAL(endpoint(cluster(sc.s, C1), 0), "203.0.113.1:20880");
		sc.m->standings = NULL;
		mt_idmap_fini(&standings);
		mesh_scene_end(&sc);
	}
}

/*
 * Clusters of which only the name is there have their places, so that nothing is compiled again when they come; they
 * give way to whoever has the cluster.
 */
static void only_named(void)
{
	static const char *const names[] = {C1, C2};
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_cluster *c[2];
	const struct mt_route_table *routes;
	struct mt_res_routes *r;
	struct mt_conf_work before, after;
	const struct mt_cluster *cl;

	CU_ASSERT_EQUAL(mt_source_text(sc.m, &sc.diags, "t", SE, strlen(SE)), 0);
	for (int i = 0; i < 2; i++) {
		c[i] = mesh_cluster(sc.m, names[i]);
		c[i]->demand_ms = 700;
	}
	mesh_proxy(sc.m, mesh_listener(sc.m, "l2", "192.0.2.2", 20880), "dubbo", "r");
	r = mesh_routes(sc.m, "r");
	mesh_rule(sc.m, &r->list, "one", C2);
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.n, 0);
	/* A document has the first one. */
	CU_ASSERT_EQUAL(sc.s->n_clusters, 2);
	CU_ASSERT_PTR_NULL(cluster(sc.s, C1)->demand);
	cl = cluster(sc.s, C2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(cl->demand);
	CU_ASSERT_EQUAL(cl->demand_ms, 700);
	CU_ASSERT_EQUAL(cl->n_eps, 0);
	CU_ASSERT_STRING_EQUAL(mt_upstream_cluster_name(mt_conf_upstreams(sc.conf), cl->index), C2);
	CU_ASSERT_PTR_EQUAL(mt_conf_cluster(sc.conf, C2)->demand, cl->demand);
	mt_upstream_absent(mt_conf_upstreams(sc.conf), C2, 77, "why");
	CU_ASSERT_EQUAL(cl->demand->absent_until, 77);
	mt_upstream_absent(mt_conf_upstreams(sc.conf), "unheard of", 78, "why");
	CU_ASSERT_EQUAL(cl->demand->absent_until, 77);
	/* It comes: at the same place, with the same number. */
	routes = listener(sc.s, "192.0.2.2", 20880)->protos->services[0]->routes;
	before = mt_conf_work(sc.conf);
	c[1]->demand_ms = 0;
	c[1]->meta.serial++;
	c[1]->discovery = MT_RES_EDS;
	c[1]->endpoints_name = C2;
	mesh_endpoint(sc.m, mesh_endpoints(sc.m, C2), "198.51.100.7", 1, MT_RES_HEALTHY);
	mesh_load(&sc);
	after = mt_conf_work(sc.conf);
	CU_ASSERT_EQUAL(sc.diags.n, 0);
	CU_ASSERT_EQUAL(after.clusters_made - before.clusters_made, 1);
	CU_ASSERT_EQUAL(after.services_made, before.services_made);
	CU_ASSERT_PTR_EQUAL(
		listener(sc.s, "192.0.2.2", 20880)->protos->services[0]->routes, routes);
	CU_ASSERT_PTR_NULL(cluster(sc.s, C2)->demand);
	CU_ASSERT_STRING_EQUAL(endpoint(cluster(sc.s, C2), 0), "198.51.100.7:80");
	mesh_scene_end(&sc);
}

/* Workers' arrays have so many places: what comes behind is left out, the others serve. */
static void too_many(void)
{
	struct mesh_scene sc = mesh_scene_new();
	uint32_t n = MT_SNAPSHOT_SERVICES_MAX + 3;

	mesh_simple_cluster(sc.m, C1);
	for (uint32_t i = 0; i < n; i++) {
		char name[32], address[32];
		struct mt_res_chain *c;

		snprintf(name, sizeof(name), "l%u", i);
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 8 & 255, i & 255,
			1 + (i >> 16));
		c = mesh_chain(sc.m, mesh_listener(sc.m, name, address, 1));
		mesh_dest(sc.m, &c->dests, &c->n_dests, "x", 1);
	}
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.s->n_services, MT_SNAPSHOT_SERVICES_MAX);
	CU_ASSERT_EQUAL(sc.diags.left_out, 3);
	CU_ASSERT_PTR_NOT_NULL(listener(sc.s, "10.0.7.1", 1));
	CU_ASSERT_PTR_NULL(listener(sc.s, "10.0.1.2", 1));
	mesh_scene_end(&sc);
}

const struct mt_test mesh_tests[] = {
	{"messages", messages},
	{"namespaces", namespaces},
	{"bytes", bytes},
	{"inbound", inbound},
	{"not_there", not_there},
	{"left_out", left_out},
	{"passing", passing},
	{"documents_win", documents_win},
	{"limited_documents_lose", limited_documents_lose},
	{"only_named", only_named},
	{"too_many", too_many},
	{0},
};
