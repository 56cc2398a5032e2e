/* SPDX-License-Identifier: Apache-2.0 */
/* Global rate limits of discovery services' listeners: the cluster that is queried, and limits without one. */
#include "../tls/pki.h"
#include "mesh_build.h"

#include "mt_filter_priv.h"
#include "mt_grpc_target.h"

#include "global_ratelimit/global.h"

#include <stdio.h>
#include <string.h>

#define LIMITS "outbound|8081||limits.test"

static const char *istio[] = {"istio-peer-exchange", "istio"};

/* A listener of messages with a limit by the method. */
static struct mt_global_conf *limit(struct mesh_scene *sc, const char *cluster)
{
	struct mt_global_conf *g = mt_region_alloc(&sc->m->region, sizeof(*g));
	struct mt_proxy_patch *p =
		mesh_proxy(sc->m, mesh_listener(sc->m, "l", "240.240.0.1", 20880), "dubbo", NULL);

	mesh_simple_cluster(sc->m, "a");
	mesh_rule(sc->m, &p->routes, "all", "a");
	g->descriptors = mt_region_alloc(&sc->m->region, sizeof(*g->descriptors));
	g->n_descriptors = 1;
	g->descriptors->property.s = "method";
	g->descriptors->key.s = "m";
	g->domain.s = "shop";
	g->service.s = cluster;
	p->global = g;
	return g;
}

static const struct mt_global_limit *compiled(const struct mesh_scene *sc)
{
	const struct mt_listener *l = listener(sc->s, "240.240.0.1", 20880);
	const struct mt_service *s;

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	s = l->protos->services[0];
	CU_ASSERT_EQUAL_FATAL(s->n_filter_insts, 1);
	CU_ASSERT_PTR_EQUAL_FATAL(s->filter_insts->type, &mt_filter_global_ratelimit);
	CU_ASSERT_FALSE(s->early_ok);
	return s->filter_insts->conf;
}

/* "198.51.100.1:80 198.51.100.2:80" */
static const char *servers(const struct mt_global_limit *l)
{
	static char text[512];
	struct mt_grpc_conf to = {0};
	size_t len = 0;

	*text = 0;
	CU_ASSERT_PTR_NOT_NULL_FATAL(l->provider);
	mt_grpc_target_fill(l->provider->target, &to);
	for (uint32_t i = 0; i < to.n_servers; i++)
		len += (size_t)snprintf(
			text + len, sizeof(text) - len, i ? " %s" : "%s", to.servers[i]);
	return text;
}

static void queried(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_global_conf *g = limit(&sc, LIMITS);
	const struct mt_global_limit *l;

	mesh_simple_cluster(sc.m, LIMITS);
	g->deny_on_fail.v = 1;
	g->timeout = (struct mt_num){.v = 50, .set = true};
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.n, 0);
	l = compiled(&sc);
	CU_ASSERT_STRING_EQUAL(l->domain, "shop");
	CU_ASSERT_FALSE(l->fail_open);
	CU_ASSERT_EQUAL_FATAL(l->n, 1);
	CU_ASSERT_STRING_EQUAL(l->of[0].entry[0].from, "method");
	CU_ASSERT_STRING_EQUAL(servers(l), "198.51.100.1:80 198.51.100.2:80");
	CU_ASSERT_STRING_EQUAL(l->provider->name, LIMITS);
	CU_ASSERT_EQUAL(l->provider->timeout, 50 * MT_MSEC);
	CU_ASSERT_FALSE(l->provider->fail_open);
	mesh_scene_end(&sc);
}

/* The better priority first; none that drains, is unhealthy, or is for nobody but the host. */
static void which_endpoints(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_endpoints *e = mesh_endpoints(sc.m, LIMITS);

	limit(&sc, LIMITS);
	mesh_cluster(sc.m, LIMITS);
	mesh_locality(sc.m, e, 7, 1, "far");
	mesh_endpoint(sc.m, e, "198.51.100.7", 1, MT_RES_HEALTHY);
	mesh_locality(sc.m, e, 1, 1, "near");
	mesh_endpoint(sc.m, e, "198.51.100.1", 1, MT_RES_DRAINING);
	mesh_endpoint(sc.m, e, "198.51.100.2", 1, MT_RES_UNHEALTHY);
	mesh_endpoint(sc.m, e, "127.0.0.1", 1, MT_RES_HEALTHY);
	mesh_endpoint(sc.m, e, "169.254.169.254", 1, MT_RES_HEALTHY);
	mesh_endpoint(sc.m, e, "2001:db8::3", 1, MT_RES_DEGRADED);
	mesh_load(&sc);
	CU_ASSERT_STRING_EQUAL(servers(compiled(&sc)), "[2001:db8::3]:80 198.51.100.7:80");
	mesh_scene_end(&sc);
}

/* The listener has not changed: its service stays, with its connection, until the endpoints move. */
static void kept(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_endpoints *e;
	const struct mt_global_limit *l;
	uint32_t id;

	limit(&sc, LIMITS);
	e = mesh_simple_cluster(sc.m, LIMITS);
	mesh_load(&sc);
	l = compiled(&sc);
	id = l->provider->id;
	for (int i = 0; i < 3; i++) {
		mesh_load(&sc);
		CU_ASSERT_PTR_EQUAL(compiled(&sc), l);
	}
	mesh_endpoint(sc.m, e, "198.51.100.3", 1, MT_RES_HEALTHY);
	e->meta.serial += 1000;
	mesh_load(&sc);
	l = compiled(&sc);
	CU_ASSERT_NOT_EQUAL(l->provider->id, id);
	CU_ASSERT_STRING_EQUAL(servers(l), "198.51.100.1:80 198.51.100.2:80 198.51.100.3:80");
	mesh_scene_end(&sc);
}

/* Without a service failure_mode_deny decides, and each load says so; the service may come later. */
static void nobody(void)
{
	for (uint32_t deny = 0; deny < 2; deny++) {
		struct mesh_scene sc = mesh_scene_new();
		struct mt_global_conf *g = limit(&sc, LIMITS);
		const char *told =
			deny ? "calls under the limit are refused: there is no such cluster"
			     : "nothing is limited: there is no such cluster";

		g->deny_on_fail.v = deny;
		for (int i = 0; i < 2; i++) {
			mesh_load(&sc);
			CU_ASSERT_EQUAL(compiled(&sc)->fail_open, !deny);
			CU_ASSERT_PTR_NULL(compiled(&sc)->provider);
			CU_ASSERT(mesh_told(&sc, MT_DIAG_WARNING, "l", told));
		}
		mesh_simple_cluster(sc.m, LIMITS);
		mesh_load(&sc);
		CU_ASSERT_PTR_NOT_NULL(compiled(&sc)->provider);
		CU_ASSERT_EQUAL(sc.diags.n, 0);
		mesh_scene_end(&sc);
	}
}

/* A document's cluster takes the name, and its endpoints are an author's: they are not queried. */
static void of_a_document(void)
{
	static const char doc[] =
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: limits, "
		"namespace: shop}\nspec: {hosts: [limits.test], addresses: [192.0.2.9], "
		"resolution: STATIC, ports: [{number: 8081, name: tcp}], "
		"endpoints: [{address: 203.0.113.1}]}\n";
	struct mesh_scene sc = mesh_scene_new();

	CU_ASSERT_EQUAL(mt_source_text(sc.m, &sc.diags, "t", doc, strlen(doc)), 0);
	limit(&sc, LIMITS);
	mesh_simple_cluster(sc.m, LIMITS);
	mesh_load(&sc);
	CU_ASSERT_PTR_NULL(compiled(&sc)->provider);
	CU_ASSERT(mesh_told(&sc, MT_DIAG_WARNING, "l",
		"nothing is limited: a document has a cluster of this name"));
	mesh_scene_end(&sc);
}

static void no_endpoints(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_cluster *c;

	limit(&sc, LIMITS);
	c = mesh_cluster(sc.m, LIMITS);
	mesh_load(&sc);
	CU_ASSERT_PTR_NULL(compiled(&sc)->provider);
	CU_ASSERT(mesh_told(&sc, MT_DIAG_WARNING, "l", "has no endpoints that can be queried"));
	c->demand_ms = 5;
	mesh_load(&sc);
	CU_ASSERT_PTR_NULL(compiled(&sc)->provider);
	CU_ASSERT(mesh_told(&sc, MT_DIAG_WARNING, "l", "has not sent the cluster"));
	mesh_scene_end(&sc);
}

/* Endpoints with the mesh's mutual TLS are queried by it, by the node's own identity, or not at all. */
static void by_tls(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_endpoints *e;
	struct mt_res_cluster *c;
	struct mt_res_tls *tls = mt_region_alloc(&sc.m->region, sizeof(*tls));
	struct mt_res_san san = {"spiffe://cluster.local/ns/demo/sa/server", false};
	struct mt_grpc_conf to = {0};

	limit(&sc, LIMITS);
	e = mesh_simple_cluster(sc.m, LIMITS);
	c = sc.m->res_clusters.v[sc.m->res_clusters.n - 1];
	*tls = (struct mt_res_tls){.certificate = "default",
		.trust = "ROOTCA",
		.sni = "outbound_.8081_._.limits.test",
		.alpn = istio,
		.n_alpn = 2,
		.sans = &san,
		.n_sans = 1};
	c->tls = tls;
	c->tls_by_endpoint = true;
	e->localities->eps[1].tls = true;
	mesh_load(&sc);
	CU_ASSERT_STRING_EQUAL(servers(compiled(&sc)), "198.51.100.1:80");
	mt_grpc_target_fill(compiled(&sc)->provider->target, &to);
	CU_ASSERT_PTR_NULL(to.tls);
	mt_conf_set_identity(sc.conf, pki()->bob);
	mesh_load(&sc);
	CU_ASSERT_STRING_EQUAL(servers(compiled(&sc)), "198.51.100.2:80");
	mt_grpc_target_fill(compiled(&sc)->provider->target, &to);
	CU_ASSERT_PTR_NOT_NULL_FATAL(to.tls);
	CU_ASSERT(to.tls->istio);
	CU_ASSERT_STRING_EQUAL(to.tls->server_name, "outbound_.8081_._.limits.test");
	CU_ASSERT_STRING_EQUAL(to.tls->sans[0], san.text);
	san.prefix = true;
	c->tls_by_endpoint = false;
	c->meta.serial += 1000;
	mesh_load(&sc);
	CU_ASSERT_PTR_NULL(compiled(&sc)->provider);
	CU_ASSERT(mesh_told(&sc, MT_DIAG_WARNING, "l", "not by prefix"));
	san.prefix = false;
	tls->min_version = 0x0304;
	c->meta.serial += 1000;
	mesh_load(&sc);
	CU_ASSERT_PTR_NULL(compiled(&sc)->provider);
	mesh_scene_end(&sc);
}

/* The filters' order is kept. */
static void order(void)
{
	for (uint32_t first = 0; first < 2; first++) {
		struct mesh_scene sc = mesh_scene_new();
		struct mt_limit_conf local = {
			.bucket = &(struct mt_bucket_conf){.max_tokens = {.v = 1, .set = true},
				.tokens_per_fill = {.v = 1, .set = true},
				.fill_ms = {.v = 1000, .set = true}}};
		const struct mt_res_listener *l;
		const struct mt_service *s;

		limit(&sc, LIMITS);
		mesh_simple_cluster(sc.m, LIMITS);
		l = sc.m->res_listeners.v[0];
		l->chains->proxy->limit = &local;
		l->chains->proxy->global_first = first;
		mesh_load(&sc);
		s = listener(sc.s, "240.240.0.1", 20880)->protos->services[0];
		CU_ASSERT_EQUAL_FATAL(s->n_filter_insts, 2);
		CU_ASSERT_PTR_EQUAL(s->filter_insts[!first].type, &mt_filter_global_ratelimit);
		mesh_scene_end(&sc);
	}
}

/* A listener of opaque TCP: its limit is compiled for streams, and again with another descriptor. */
static void of_streams(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_listener *l = mesh_listener(sc.m, "l", "240.240.0.1", 20880);
	struct mt_res_chain *c = mesh_chain(sc.m, l);
	struct mt_global_conf *g = mt_region_alloc(&sc.m->region, sizeof(*g));
	struct mt_global_entry *e = mt_region_alloc(&sc.m->region, 2 * sizeof(*e));
	const struct mt_global_limit *limit, *next;

	mesh_simple_cluster(sc.m, "a");
	mesh_simple_cluster(sc.m, LIMITS);
	mesh_dest(sc.m, &c->dests, &c->n_dests, "a", 1);
	e[0] = (struct mt_global_entry){.value = MT_GLOBAL_OF_TEXT, .key.s = "k", .from.s = "v"};
	e[1] = (struct mt_global_entry){.value = MT_GLOBAL_OF_ADDRESS, .key.s = "client"};
	g->descriptors = mt_region_alloc(&sc.m->region, sizeof(*g->descriptors));
	*g->descriptors = (struct mt_global_descriptor){.entries = e, .n_entries = 2};
	g->n_descriptors = 1;
	g->of_streams = true;
	g->domain.s = "shop";
	g->service.s = LIMITS;
	c->global = g;
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.n, 0);
	limit = compiled(&sc);
	CU_ASSERT(limit->of_streams && limit->fail_open && limit->n == 1);
	CU_ASSERT_EQUAL_FATAL(limit->of[0].n, 2);
	CU_ASSERT_EQUAL(limit->of[0].entry[0].source, MT_GLOBAL_TEXT);
	CU_ASSERT_STRING_EQUAL(limit->of[0].entry[0].from, "v");
	CU_ASSERT_EQUAL(limit->of[0].entry[1].source, MT_GLOBAL_ADDRESS);
	CU_ASSERT_EQUAL(limit->provider->timeout, 20 * MT_MSEC);
	CU_ASSERT_STRING_EQUAL(servers(limit), "198.51.100.1:80 198.51.100.2:80");
	mesh_load(&sc);
	CU_ASSERT_PTR_EQUAL(compiled(&sc), limit);
	e[0].from.s = "w";
	l->meta.serial += 1000;
	mesh_load(&sc);
	next = compiled(&sc);
	CU_ASSERT_STRING_EQUAL(next->of[0].entry[0].from, "w");
	/* A limit without a service, which comes later. */
	g->service.s = "nowhere";
	l->meta.serial += 1000;
	mesh_load(&sc);
	CU_ASSERT(mesh_told(&sc, MT_DIAG_WARNING, "l", "nothing is limited"));
	CU_ASSERT_PTR_NULL(compiled(&sc)->provider);
	mesh_scene_end(&sc);
}

/* A listener of opaque TCP with a limit of the node itself. */
static void chain_with(
	struct mesh_scene *sc, const char *name, const char *a, struct mt_limit_conf *l)
{
	struct mt_res_chain *c = mesh_chain(sc->m, mesh_listener(sc->m, name, a, 20880));

	mesh_dest(sc->m, &c->dests, &c->n_dests, "a", 1);
	c->local = l;
}

static const struct mt_service *service_at(const struct mesh_scene *sc, const char *a)
{
	return listener(sc->s, a, 20880)->protos->services[0];
}

/* The buckets, as "SERVICE MATCH MAX" in the order of their names. */
static const char *buckets(const struct mesh_scene *sc)
{
	static char text[512];
	struct mt_limit_info all[4], info;
	uint32_t idx = 0, n = 0;
	size_t len = 0;

	*text = 0;
	while (n < MT_ARRAY_LEN(all) && mt_limit_next(mt_conf_limits(sc->conf), &idx, NOW, &info)) {
		uint32_t at = n++;

		for (; at && strcmp(all[at - 1].match, info.match) > 0; at--)
			all[at] = all[at - 1];
		all[at] = info;
	}
	for (uint32_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s %u", i ? "; " : "",
			all[i].service, all[i].match, all[i].numbers.max_tokens);
	return text;
}

static struct mt_bucket_conf bucket_of(uint32_t max)
{
	return (struct mt_bucket_conf){.max_tokens = {.v = max, .set = true},
		.tokens_per_fill = {.v = 1, .set = true},
		.fill_ms = {.v = 1000, .set = true}};
}

/* Listeners with one service have buckets of their own, which an operator overrides by their names. */
static void local_of_streams(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_bucket_conf five = bucket_of(5), six = bucket_of(6);
	struct mt_res_listener *l;
	struct mt_limit_conf own[2] = {
		{.bucket = &five, .label = "listener l"}, {.bucket = &six, .label = "listener m"}};
	struct mt_overrides s = {0};
	struct mt_override o;
	struct mt_err e;
	uint32_t id;

	mesh_simple_cluster(sc.m, "a");
	chain_with(&sc, "l", "240.240.0.1", &own[0]);
	l = sc.m->res_listeners.v[0];
	chain_with(&sc, "m", "240.240.0.2", &own[1]);
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.n, 0);
	CU_ASSERT_EQUAL_FATAL(service_at(&sc, "240.240.0.1")->n_filter_insts, 1);
	CU_ASSERT_PTR_EQUAL(
		service_at(&sc, "240.240.0.1")->filter_insts->type, &mt_filter_local_ratelimit);
	CU_ASSERT_STRING_EQUAL(buckets(&sc), "l:20880 listener l 5; m:20880 listener m 6");
	CU_ASSERT_EQUAL(mt_override_parse_line(&o, "limit l:20880 listener l max=9", &e), 0);
	CU_ASSERT_TRUE(mt_conf_override_applies(sc.conf, &o, &e));
	CU_ASSERT_EQUAL(mt_overrides_set(&s, &o, &id), 0);
	CU_ASSERT_EQUAL(mt_conf_set_overrides(sc.conf, &s), 0);
	mesh_load(&sc);
	CU_ASSERT_STRING_EQUAL(buckets(&sc), "l:20880 listener l 9; m:20880 listener m 6");
	/* A limit of calls does not limit connections. */
	own[0].label = NULL;
	l->meta.serial += 1000;
	mesh_load(&sc);
	CU_ASSERT_EQUAL(service_at(&sc, "240.240.0.1")->n_filter_insts, 0);
	mt_overrides_fini(&s);
	mesh_scene_end(&sc);
}

/* Two listeners with one bucket, whose numbers an operator overrides for both. */
static void shared_of_streams(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_bucket_conf five = bucket_of(5);
	struct mt_limit_conf one = {.bucket = &five, .label = "5 tokens", .shared = "share_key:k"};
	struct mt_overrides s = {0};
	struct mt_override o;
	struct mt_err e;
	uint32_t id;

	mesh_simple_cluster(sc.m, "a");
	chain_with(&sc, "l", "240.240.0.1", &one);
	chain_with(&sc, "m", "240.240.0.2", &one);
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.n, 0);
	CU_ASSERT_EQUAL(service_at(&sc, "240.240.0.1")->n_filter_insts, 1);
	CU_ASSERT_EQUAL(service_at(&sc, "240.240.0.2")->n_filter_insts, 1);
	CU_ASSERT_STRING_EQUAL(buckets(&sc), "share_key:k 5 tokens 5");
	CU_ASSERT_EQUAL(mt_override_parse_line(&o, "limit share_key:k 5 tokens max=9", &e), 0);
	CU_ASSERT_TRUE(mt_conf_override_applies(sc.conf, &o, &e));
	CU_ASSERT_EQUAL(mt_overrides_set(&s, &o, &id), 0);
	CU_ASSERT_EQUAL(mt_conf_set_overrides(sc.conf, &s), 0);
	mesh_load(&sc);
	CU_ASSERT_STRING_EQUAL(buckets(&sc), "share_key:k 5 tokens 9");
	mt_overrides_fini(&s);
	mesh_scene_end(&sc);
}

const struct mt_test mesh_limits_tests[] = {
	{"a cluster is queried", queried},
	{"which of its endpoints", which_endpoints},
	{"what did not change is kept", kept},
	{"no cluster", nobody},
	{"a document's cluster", of_a_document},
	{"no endpoints", no_endpoints},
	{"mutual TLS", by_tls},
	{"order of filters", order},
	{"opaque TCP", of_streams},
	{"local limits of opaque TCP", local_of_streams},
	{"shared limits of opaque TCP", shared_of_streams},
	{NULL, NULL},
};
