/* SPDX-License-Identifier: Apache-2.0 */
/* Policies of CUSTOM: whom their rules ask, where that one is, and when nobody is asked, so that they close. */
#include "conf_test.h"
#include "mt_authz.h"
#include "mt_extauthz_priv.h"
#include "mt_idmap.h"
#include "mt_source.h"

/* The Node permits endpoints there. */
#define ROUTE(to) "{to: " to ", port: p0}"
#define NODE                                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n  ports: [{name: "     \
	"p0, "                                                                                     \
	"device: net_null0, addresses: [192.0.2.250/24, '2001:db8::250/64']}]\n"                   \
	"  routes: [" ROUTE("169.254.0.0/16") ", " ROUTE("100.100.100.200/32") ", " ROUTE(         \
		"'fd00:ec2::/32'") ", " ROUTE("'fe80::/10'") ", " ROUTE("'64:ff9b::a9fe:a9fe/"     \
									"128'") "]\n"
#define SERVICES                                                                                   \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, "        \
	"namespace: shop}\nspec: {hosts: [a.test], addresses: [192.0.2.9], location: "             \
	"MESH_INTERNAL, resolution: STATIC, "                                                      \
	"ports: [{number: 80, name: tcp-metaprotocol-dubbo}, {number: 90, name: tcp}], "           \
	"endpoints: "                                                                              \
	"[{address: 192.0.2.1, labels: {app: a}}]}\n"                                              \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: judge, "    \
	"namespace: shop}\nspec: {hosts: [judge.test], addresses: [192.0.2.10], location: "        \
	"MESH_INTERNAL, resolution: "                                                              \
	"STATIC, "                                                                                 \
	"ports: [{number: 9000, targetPort: 9001, name: grpc}], endpoints: "                       \
	"[{address: 192.0.2.8}, {address: '2001:db8::8'}]}\n"
#define MESH                                                                                       \
	"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n" \
	"data:\n  mesh: |\n    extensionProviders:\n%s"
#define GRPC(name, rest)                                                                           \
	"    - {name: " name ", envoyExtAuthzGrpc: {service: judge.test, port: \"9000\"" rest "}}" \
	"\n"
#define POLICY(name, provider)                                                                     \
	"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: " name \
	", namespace: shop}\nspec: {action: CUSTOM, " provider                                     \
	"rules: [{to: [{operation: {methods: "                                                     \
	"[get]}}]}]}\n"
#define ONE POLICY("p", "provider: {name: one}, ")

struct scene {
	struct mt_conf *conf;
	struct mt_model *m;
	struct mt_diags diags;
	struct mt_snapshot *s;
};

static struct mt_conf *conf_new(bool asks)
{
	const struct mt_conf_options o = {.workers = 1, .asks = asks};
	struct mt_err e;
	struct mt_conf *c = mt_conf_create(&o, &e);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

/* Objects whose names begin with "limited" are of a source with `namespaces`. */
static void set_standings(struct mt_model *m, struct mt_idmap *standings)
{
	for (uint32_t i = 0; i < m->service_entries.n; i++) {
		const struct mt_meta *meta = m->service_entries.v[i];

		if (strncmp(meta->name, "limited", 7) == 0)
			CU_ASSERT_EQUAL(mt_idmap_put(standings, meta->serial,
						(void *)(uintptr_t)(MT_STANDING_LIMITED + 1)),
				0);
	}
	m->standings = standings;
}

static void load(struct scene *sc, const char *mesh, const char *policies)
{
	struct mt_idmap standings = {0};
	static char text[8192];

	snprintf(text, sizeof(text), NODE SERVICES MESH "%s", mesh, policies);
	sc->m = mt_model_new();
	mt_diags_init(&sc->diags);
	mt_source_text(sc->m, &sc->diags, "t", text, strlen(text));
	sc->m->mesh.config = sc->m->mesh_configs.n ? sc->m->mesh_configs.v[0] : NULL;
	set_standings(sc->m, &standings);
	sc->s = mt_conf_compile(sc->conf, sc->m, &sc->diags, NOW);
	sc->m->standings = NULL;
	mt_idmap_fini(&standings);
	if (!sc->s)
		mt_diags_print((struct mt_diags *)&sc->diags, stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->s);
}

static void unload(struct scene *sc)
{
	mt_conf_discard(sc->conf, sc->s, NOW);
	mt_diags_fini(&sc->diags);
	mt_model_free(sc->m);
}

/* What guards the instance of port 80, or of 90. */
static const struct mt_authz_policy *first_of(const struct scene *sc, const char *name)
{
	for (uint32_t i = 0; i < sc->s->n_clusters; i++) {
		const struct mt_cluster *c = &sc->s->clusters[i];

		if (strcmp(c->name, name) != 0)
			continue;
		CU_ASSERT_PTR_NOT_NULL_FATAL(c->guards);
		CU_ASSERT_EQUAL_FATAL(c->guards[0]->deny[0]->action, MT_AUTHZ_CLOSE);
		return c->guards[0]->deny[0];
	}
	mt_diags_print((struct mt_diags *)&sc->diags, stderr);
	CU_FAIL_FATAL("no such cluster");
	return NULL;
}

static bool is_closed(const struct scene *sc, const char *name)
{
	for (uint32_t i = 0; i < sc->s->n_clusters; i++)
		if (strcmp(sc->s->clusters[i].name, name) == 0)
			return sc->s->clusters[i].closed_by && sc->s->clusters[i].n_eps == 0;
	return false;
}

static bool is_told(const struct scene *sc, const char *words)
{
	for (uint32_t i = 0; i < sc->diags.n; i++)
		if (strstr(sc->diags.items[i].message, words))
			return true;
	return false;
}

static struct mt_grpc_conf where(const struct mt_extauthz_provider *p)
{
	struct mt_grpc_conf conf = {0};

	mt_grpc_target_fill(p->callout.target, &conf);
	return conf;
}

/* ---- asked ------------------------------------------------------------------------------------------ */

static void asked(void)
{
	struct scene sc = {.conf = conf_new(true)};
	const struct mt_extauthz_provider *p;
	const struct mt_authz_policy *a;

	load(&sc, GRPC("one", ", timeout: 0.5s, failOpen: true"), ONE);
	a = first_of(&sc, "outbound|80||a.test");
	CU_ASSERT_PTR_NOT_NULL_FATAL(a->asks);
	p = a->asks;
	CU_ASSERT_EQUAL(a->asks_id, mt_extauthz_id(p));
	CU_ASSERT_TRUE(cluster(sc.s, "outbound|80||a.test")->guards_change);
	CU_ASSERT_STRING_EQUAL(mt_extauthz_name(p), "one");
	CU_ASSERT(mt_extauthz_fails_open(p));
	CU_ASSERT_EQUAL(p->callout.timeout, 500 * MT_MSEC);
	CU_ASSERT_EQUAL_FATAL(where(p).n_servers, 2);
	CU_ASSERT_STRING_EQUAL(where(p).servers[0], "192.0.2.8:9001");
	CU_ASSERT_STRING_EQUAL(where(p).servers[1], "[2001:db8::8]:9001");
	/* Byte streams have no method, and no provider is asked about them: all are closed. */
	CU_ASSERT_TRUE(is_closed(&sc, "outbound|90||a.test"));
	CU_ASSERT(is_told(&sc, "no provider is queried for opaque TCP"));
	unload(&sc);
	mt_conf_destroy(sc.conf);
}

/* One that says the same is the same one, with its connection; what is not used any more goes with its last snapshot. */
static void kept(void)
{
	struct scene sc = {.conf = conf_new(true)}, next = sc;
	struct mt_extauthz_provider *p;
	uint32_t id;

	load(&sc, GRPC("one", ""), ONE);
	p = first_of(&sc, "outbound|80||a.test")->asks;
	id = mt_extauthz_id(p);
	load(&next, GRPC("one", ""), ONE);
	CU_ASSERT_PTR_EQUAL(first_of(&next, "outbound|80||a.test")->asks, p);
	unload(&next);
	load(&next, GRPC("one", ", timeout: 1s"), ONE);
	CU_ASSERT_NOT_EQUAL(first_of(&next, "outbound|80||a.test")->asks_id, id);
	CU_ASSERT_EQUAL(p->callout.refs, sc.s ? 1 : 0);
	unload(&next);
	unload(&sc);
	mt_conf_destroy(sc.conf);
}

/* ---- closed ----------------------------------------------------------------------------------------- */

static const struct {
	const char *mesh, *policies, *why;
	bool asks;
} closed_rows[] = {
	{GRPC("other", ""), ONE, "MeshConfig's extensionProviders do not have it", true},
	{"    - {name: one, envoyExtAuthzHttp: {service: judge.test, port: 9000}}\n", ONE,
		"it is none of envoyExtAuthzGrpc", true},
	{GRPC("one", ", includeRequestBodyInCheck: {maxRequestBytes: 10}"), ONE, "it needs bodies",
		true},
	{GRPC("one", ""), POLICY("p", ""), "it names none", true},
	{GRPC("one", ""), ONE, "this node queries no provider", false},
};

static void closed(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(closed_rows); i++) {
		struct scene sc = {.conf = conf_new(closed_rows[i].asks)};

		load(&sc, closed_rows[i].mesh, closed_rows[i].policies);
		CU_ASSERT_PTR_NULL(first_of(&sc, "outbound|80||a.test")->asks);
		CU_ASSERT(is_told(&sc, closed_rows[i].why));
		CU_ASSERT(is_told(&sc, "its provider cannot be queried"));
		unload(&sc);
		mt_conf_destroy(sc.conf);
	}
}

/* Istio denies all then, whatever the rules fit. */
static void two_of_them(void)
{
	struct scene sc = {.conf = conf_new(true)};

	load(&sc, GRPC("one", "") GRPC("two", ""), ONE POLICY("q", "provider: {name: two}, "));
	for (uint32_t i = 0; i < sc.s->n_clusters; i++)
		if (strcmp(sc.s->clusters[i].name, "outbound|80||a.test") == 0)
			CU_ASSERT(sc.s->clusters[i].n_eps == 0 && sc.s->clusters[i].closed_by);
	CU_ASSERT(is_told(&sc, "names another one"));
	unload(&sc);
	mt_conf_destroy(sc.conf);
}

/* One that is among no documents is what DNS says. */
static void by_name(void)
{
	struct scene sc = {.conf = conf_new(true)};
	const struct mt_authz_policy *a;

	load(&sc, "    - {name: one, envoyExtAuthzGrpc: {service: shop/judge.example, port: 7}}\n",
		ONE);
	a = first_of(&sc, "outbound|80||a.test");
	CU_ASSERT_PTR_NOT_NULL_FATAL(a->asks);
	CU_ASSERT_EQUAL_FATAL(where(a->asks).n_servers, 1);
	CU_ASSERT_STRING_EQUAL(where(a->asks).servers[0], "judge.example:7");
	unload(&sc);
	mt_conf_destroy(sc.conf);
}

/* The provider of a service whose endpoints are these, in this namespace. */
#define LOCAL(ns, endpoints)                                                                       \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: local, "    \
	"namespace: " ns "}\nspec: {hosts: [local.test], addresses: [192.0.2.11], location: "      \
	"MESH_INTERNAL, resolution: STATIC, ports: [{number: 9000, name: grpc}], endpoints: "      \
	"[" endpoints "]}\n"

static const struct {
	const char *documents;
	const char *server; /* the only one; NULL: the provider cannot be queried */
} local_rows[] = {
	{LOCAL("shop", "{address: 169.254.169.254}"), NULL},
	{LOCAL("shop", "{address: 'fd00:ec2::254'}"), NULL},
	{LOCAL("shop", "{address: 'fe80::1'}, {address: 100.100.100.200}"), NULL},
	{LOCAL("shop", "{address: '64:ff9b::a9fe:a9fe'}"), NULL},
	{LOCAL("shop", "{address: 169.254.169.254}, {address: 192.0.2.7}"), "192.0.2.7:9000"},
	{LOCAL("istio-system", "{address: 169.254.1.1}"), "169.254.1.1:9000"},
};

/* The host connects to nothing that only it may reach, at the request of an author of a service. */
static void for_the_host(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(local_rows); i++) {
		struct scene sc = {.conf = conf_new(true)};
		const struct mt_extauthz_provider *p;
		char text[2048];

		snprintf(text, sizeof(text), "%s" ONE, local_rows[i].documents);
		load(&sc,
			"    - {name: one, envoyExtAuthzGrpc: {service: local.test, port: 9000}}\n",
			text);
		p = first_of(&sc, "outbound|80||a.test")->asks;
		CU_ASSERT_EQUAL(p != NULL, local_rows[i].server != NULL);
		if (p && local_rows[i].server) {
			CU_ASSERT_EQUAL(where(p).n_servers, 1);
			CU_ASSERT_STRING_EQUAL(where(p).servers[0], local_rows[i].server);
		} else {
			CU_ASSERT(is_told(&sc, "its endpoints have loopback addresses, addresses "
					       "of the link"));
		}
		unload(&sc);
		mt_conf_destroy(sc.conf);
	}
}

/* ---- whose service it is --------------------------------------------------------------------- */

#define OF(name, ns, host, endpoint)                                                               \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name      \
	", namespace: " ns "}\nspec: {hosts: ['" host "'], addresses: [192.0.2.12], location: "    \
	"MESH_INTERNAL, resolution: STATIC, ports: [{number: 9000, name: grpc}], endpoints: "      \
	"[{address: " endpoint "}]}\n"
#define LIMITED(ns, host) OF("limited", ns, host, "192.0.2.66")

static const struct {
	const char *service, *documents;
	const char *server; /* NULL: the provider cannot be queried */
} owner_rows[] = {
	/* A host of another namespace, of a source with `namespaces`: neither it nor DNS. */
	{"judge.example.com", LIMITED("a", "judge.example.com"), NULL},
	{"ops/judge.example.com", LIMITED("a", "judge.example.com"), NULL},
	{"judge", LIMITED("a", "judge"), NULL},
	{"ops/judge.ops", LIMITED("a", "judge.ops"), NULL},
	{"judge.ops.svc.cluster.local", LIMITED("a", "judge.ops.svc.cluster.local"), NULL},
	/* The namespace that is written before the host or in it, and the root namespace. */
	{"a/judge.example.com", LIMITED("a", "judge.example.com"), "192.0.2.66:9000"},
	{"a/judge", LIMITED("a", "judge"), "192.0.2.66:9000"},
	{"judge.a.svc", LIMITED("a", "judge.a.svc.cluster.local"), "192.0.2.66:9000"},
	{"a/judge.a", LIMITED("a", "judge.a"), "192.0.2.66:9000"},
	{"a/judge.a", LIMITED("a", "judge.a.svc.cluster.local"), "192.0.2.66:9000"},
	/* A host with one dot has none in it: the namespace may be called like a domain. */
	{"judge.a", LIMITED("a", "judge.a"), NULL},
	{"judge.a", LIMITED("a", "judge.a.svc.cluster.local"), NULL},
	{"judge.a.svc.cluster.local", LIMITED("a", "judge.a.svc.cluster.local"), "192.0.2.66:9000"},
	{"judge.example.com", LIMITED("istio-system", "judge.example.com"), "192.0.2.66:9000"},
	/* A source without `namespaces`, but not an endpoint of one with them that joins it. */
	{"judge.example.com", OF("open", "a", "judge.example.com", "192.0.2.7"), "192.0.2.7:9000"},
	{"judge.example.com",
		OF("open", "a", "judge.example.com", "192.0.2.7") LIMITED("a", "judge.example.com"),
		"192.0.2.7:9000"},
	/* An address is one, whoever has it as a host; so is another name in DNS. */
	{"198.51.100.20", LIMITED("a", "198.51.100.20"), "198.51.100.20:9000"},
	{"judge.example.com", LIMITED("a", "other.example.com"), "judge.example.com:9000"},
};

/* An author of one namespace does not become the service that decides calls of all. */
static void whose_service(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(owner_rows); i++) {
		struct scene sc = {.conf = conf_new(true)};
		const struct mt_extauthz_provider *p;
		char text[2048], mesh[256];
		bool good;

		snprintf(text, sizeof(text), "%s" ONE, owner_rows[i].documents);
		snprintf(mesh, sizeof(mesh),
			"    - {name: one, envoyExtAuthzGrpc: {service: '%s', port: 9000}}\n",
			owner_rows[i].service);
		load(&sc, mesh, text);
		p = first_of(&sc, "outbound|80||a.test")->asks;
		good = owner_rows[i].server
			       ? p && where(p).n_servers == 1 &&
					 strcmp(where(p).servers[0], owner_rows[i].server) == 0
			       : !p && is_told(&sc, "its provider cannot be queried") &&
					 is_told(&sc, "is not queried, so that policies of CUSTOM "
						      "fail closed: ServiceEntry a/limited has");
		if (!good) {
			printf("\n  row %zu: %s ", i, p ? where(p).servers[0] : "closed");
			mt_diags_print(&sc.diags, stdout);
		}
		CU_ASSERT_TRUE(good);
		unload(&sc);
		mt_conf_destroy(sc.conf);
	}
}

const struct mt_test providers_tests[] = {{"asked", asked}, {"kept", kept}, {"closed", closed},
	{"two_of_them", two_of_them}, {"by_name", by_name}, {"for_the_host", for_the_host},
	{"whose_service", whose_service}, {0}};
