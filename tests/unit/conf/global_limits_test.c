/* SPDX-License-Identifier: Apache-2.0 */
/* Global rate limits of MetaRouters: which service is queried, and calls without one. */
#include "conf_test.h"

#include "mt_filter_priv.h"
#include "mt_source.h"

#include "global_ratelimit/global.h"

#include <arpa/inet.h>

/* The Node permits endpoints at 169.254.0.0/16, but the host queries none there. */
#define NODE                                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n  ports: [{name: "     \
	"p0, device: net_null0, addresses: [192.0.2.250/24, '2001:db8::250/64']}]\n  routes: "     \
	"[{to: 169.254.0.0/16, port: p0}]\n"
#define ENTRY(name, namespace, host, vip, ports, endpoints)                                        \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name      \
	", namespace: " namespace "}\nspec: {hosts: [" host "], addresses: [" vip                  \
				  "], location: MESH_INTERNAL, resolution: STATIC, ports: [" ports \
				  "], endpoints: [" endpoints "]}\n"
#define A                                                                                          \
	ENTRY("a", "shop", "a.test", "192.0.2.9", "{number: 80, name: tcp-metaprotocol-dubbo}",    \
		"{address: 192.0.2.1}")
#define LIMITS(namespace, endpoints)                                                               \
	ENTRY("limits", namespace, "limits.test", "192.0.2.10",                                    \
		"{number: 8081, targetPort: 9001, name: grpc}", endpoints)
#define ROUTER(namespace, more)                                                                    \
	"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\nmetadata: {name: r, " \
	"namespace: " namespace "}\nspec: {hosts: [a.test], localRateLimit: {tokenBucket: "        \
				"{maxTokens: 5, fillInterval: 1s}}, globalRateLimit: {domain: d, " \
				"rateLimitService: "                                               \
				"'outbound|8081||limits.test', descriptors: [{property: method, "  \
				"descriptorKey: m}]" more "}}\n"
/* With an exportTo, or endpoints that ask for mutual TLS. */
#define LIMITS_FOR(namespace, more)                                                                \
	ENTRY("limits", namespace, "limits.test", "192.0.2.10",                                    \
		"{number: 8081, targetPort: 9001, name: grpc}",                                    \
		"{address: 192.0.2.8}], " more ", subjectAltNames: [")
#define MESHED	 "{address: 192.0.2.8, labels: {security.istio.io/tlsMode: istio}}"
#define LENT(to) "  mesh: {nodeIdentityUse: {clients: [192.0.2.0/24], to: [" to "]}}\n"
#define HERE	 "{address: 192.0.2.8}, {address: '2001:db8::8'}"

struct scene {
	struct mt_conf *conf;
	struct mt_model *m;
	struct mt_diags diags;
	struct mt_snapshot *s;
	const char *node; /* more of the Node, or NULL */
};

static void load(struct scene *sc, const char *documents)
{
	static char text[16384];

	snprintf(text, sizeof(text), NODE "%s" A "%s", sc->node ? sc->node : "", documents);
	sc->m = mt_model_new();
	mt_diags_init(&sc->diags);
	mt_source_text(sc->m, &sc->diags, "t", text, strlen(text));
	sc->s = mt_conf_compile(sc->conf, sc->m, &sc->diags, NOW);
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

static struct scene begin(const char *documents)
{
	const struct mt_conf_options o = {.workers = 1, .asks = true};
	struct mt_err e;
	struct scene sc = {.conf = mt_conf_create(&o, &e)};

	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.conf);
	load(&sc, documents);
	return sc;
}

static void end(struct scene *sc)
{
	unload(sc);
	mt_conf_destroy(sc->conf);
}

/* The limit of a.test, after the local one. */
static const struct mt_global_limit *limit_of(const struct scene *sc)
{
	for (uint32_t i = 0; i < sc->s->n_services; i++) {
		const struct mt_service *s = sc->s->services[i];

		if (strcmp(s->name, "a.test") != 0)
			continue;
		CU_ASSERT_EQUAL_FATAL(s->n_filter_insts, 2);
		CU_ASSERT_PTR_EQUAL(s->filter_insts[0].type, &mt_filter_local_ratelimit);
		CU_ASSERT_PTR_EQUAL_FATAL(s->filter_insts[1].type, &mt_filter_global_ratelimit);
		CU_ASSERT_FALSE(s->early_ok);
		return s->filter_insts[1].conf;
	}
	CU_FAIL_FATAL("no such service");
	return NULL;
}

static bool is_told(const struct scene *sc, const char *words)
{
	for (uint32_t i = 0; i < sc->diags.n; i++)
		if (strstr(sc->diags.items[i].message, words))
			return true;
	return false;
}

static void compiled(void)
{
	struct scene sc = begin(LIMITS("shop", HERE) ROUTER("shop", ""));
	const struct mt_global_limit *l = limit_of(&sc);
	struct mt_grpc_conf to = {0};

	CU_ASSERT_STRING_EQUAL(l->domain, "d");
	CU_ASSERT_TRUE(l->fail_open);
	CU_ASSERT_EQUAL_FATAL(l->n, 1);
	CU_ASSERT_STRING_EQUAL(l->of[0].entry[0].from, "method");
	CU_ASSERT_STRING_EQUAL(l->of[0].entry[0].key, "m");
	CU_ASSERT_PTR_NOT_NULL_FATAL(l->provider);
	CU_ASSERT_TRUE(l->provider->fail_open);
	CU_ASSERT_EQUAL(l->provider->timeout, 20 * MT_MSEC);
	mt_grpc_target_fill(l->provider->target, &to);
	CU_ASSERT_EQUAL_FATAL(to.n_servers, 2);
	CU_ASSERT_STRING_EQUAL(to.servers[0], "192.0.2.8:9001");
	CU_ASSERT_STRING_EQUAL(to.servers[1], "[2001:db8::8]:9001");
	CU_ASSERT_EQUAL(sc.diags.warnings, 0);
	end(&sc);
}

/* Refusals are counted by port, domain and key, also over a reload. */
static void counted(void)
{
	struct scene sc = begin(LIMITS("shop", HERE) ROUTER("shop", "")), next = sc;
	const struct mt_global_limit *l = limit_of(&sc);

	CU_ASSERT_FATAL(l->tally && l->of[0].tally);
	CU_ASSERT_STRING_EQUAL(l->tally->service, "a.test:80");
	CU_ASSERT_STRING_EQUAL(l->tally->rule, "d");
	CU_ASSERT_STRING_EQUAL(l->of[0].tally->rule, "d: m");
	load(&next, LIMITS("shop", HERE) ROUTER("shop", ", requestTimeout: 1s"));
	CU_ASSERT_PTR_NOT_EQUAL(limit_of(&next), l);
	CU_ASSERT_PTR_EQUAL(limit_of(&next)->of[0].tally, l->of[0].tally);
	unload(&next);
	unload(&sc);
	CU_ASSERT_PTR_NULL(mt_tally_next(mt_conf_tallies(sc.conf), NULL));
	mt_conf_destroy(sc.conf);
}

/* The same service keeps its connection; one with other endpoints, or another timeout, is new. */
static void kept(void)
{
	struct scene sc = begin(LIMITS("shop", HERE) ROUTER("shop", "")), next = sc;
	const struct mt_callout_provider *p = limit_of(&sc)->provider;
	struct mt_grpc_conf to = {0};

	load(&next, LIMITS("shop", HERE) ROUTER("shop", ""));
	CU_ASSERT_PTR_EQUAL(limit_of(&next)->provider, p);
	unload(&next);
	load(&next, LIMITS("shop", "{address: 192.0.2.7}") ROUTER("shop", ""));
	CU_ASSERT_PTR_NOT_EQUAL(limit_of(&next)->provider, p);
	mt_grpc_target_fill(limit_of(&next)->provider->target, &to);
	CU_ASSERT_STRING_EQUAL(to.servers[0], "192.0.2.7:9001");
	unload(&next);
	load(&next, LIMITS("shop", HERE) ROUTER("shop", ", requestTimeout: 1s, denyOnFail: true"));
	CU_ASSERT_PTR_NOT_EQUAL(limit_of(&next)->provider, p);
	CU_ASSERT_EQUAL(limit_of(&next)->provider->timeout, MT_SEC);
	CU_ASSERT_FALSE(limit_of(&next)->fail_open);
	unload(&next);
	end(&sc);
}

static const struct {
	const char *documents, *why;
} rows[] = {
	{ROUTER("shop", ""), "there is no such service and port here: nothing is limited"},
	{ROUTER("shop", ", denyOnFail: true"),
		"there is no such service and port here: calls under the limit are refused"},
	{LIMITS("shop", "{address: 169.254.169.254}") ROUTER("shop", ""),
		"its endpoints have loopback addresses, addresses of the link"},
	{LIMITS("shop", "{address: limits.example}") ROUTER("shop", ""),
		"its endpoints have no addresses"},
};

static void without_a_service(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct scene sc = begin(rows[i].documents);

		CU_ASSERT_PTR_NULL(limit_of(&sc)->provider);
		CU_ASSERT_TRUE(is_told(&sc, rows[i].why));
		if (!is_told(&sc, rows[i].why))
			mt_diags_print((struct mt_diags *)&sc.diags, stderr);
		end(&sc);
	}
}

/* Services that the author of a namespace may not have queried: denyOnFail does not matter. */
#define OF_LINK                                                                                    \
	"its endpoints have loopback addresses, addresses of the link, or of a cloud's services "  \
	"for the host, and are not of the root namespace: calls under the limit are refused"
#define OF_HOST                                                                                    \
	"its endpoints have addresses of the host, and are not of the root namespace: calls "      \
	"under the limit are refused"
#define OUT_OF_REACH                                                                               \
	"its endpoints have addresses that no port and no route of the Node leads to, and are "    \
	"not of the root namespace: calls under the limit are refused"
#define ROOT  "write the service in the root namespace, with this one in its exportTo"
#define ROUTE ROOT ", or write a route to its endpoints in the Node's spec.routes"
#define OF_LIMITS                                                                                  \
	"the service is of namespace limits, and its exportTo does not name this one: calls "      \
	"under the limit are refused"
static const struct {
	const char *documents, *why;
	const char *remedy; /* NULL: it is queried; denyOnFail decides; "=": all of it */
	const char *node;
} permission_rows[] = {
	{LIMITS("limits", HERE) ROUTER("shop", ""), OF_LIMITS, "exportTo", NULL},
	{LIMITS_FOR("limits", "exportTo: ['*']") ROUTER("shop", ""), OF_LIMITS, "exportTo", NULL},
	{LIMITS_FOR("limits", "exportTo: [., other, shop]") ROUTER("shop", ""), NULL, NULL, NULL},
	{LIMITS_FOR("limits", "exportTo: ['*']") ROUTER("istio-system", ""), NULL, NULL, NULL},
	{LIMITS("istio-system", HERE) ROUTER("shop", ""), "of namespace istio-system", "exportTo",
		NULL},
	{LIMITS_FOR("istio-system", "exportTo: [., shop]") ROUTER("shop", ""), NULL, NULL, NULL},
	{LIMITS("shop", "{address: 10.0.0.5}") ROUTER("shop", ""), OUT_OF_REACH, ROUTE, NULL},
	/* A route of the Node does not help with these. */
	{LIMITS("shop", "{address: 192.0.2.77}") ROUTER("shop", ""), OF_HOST, "=" ROOT, NULL},
	{LIMITS("shop", "{address: 169.254.169.254}") ROUTER("shop", ""), OF_LINK, "=" ROOT, NULL},
	{LIMITS("istio-system", "{address: 10.0.0.5}") ROUTER("istio-system", ""), NULL, NULL,
		NULL},
	{LIMITS("shop", MESHED) ROUTER("shop", ""), "needs the node's identity, which the Node",
		"nodeIdentityUse.to", NULL},
	{LIMITS("shop", MESHED) ROUTER("shop", ""), "needs the node's identity, which the Node",
		"nodeIdentityUse.to", LENT("other")},
	{LIMITS("shop", MESHED) ROUTER("shop", ""), "nothing is limited", NULL, LENT("shop")},
	{LIMITS("istio-system", MESHED) ROUTER("istio-system", ""), "nothing is limited", NULL,
		NULL},
	{LIMITS("shop", MESHED ", {address: 192.0.2.7}") ROUTER("shop", ""), NULL, NULL, NULL},
};

static bool has_remedy(const struct mt_diag *d, const char *remedy)
{
	if (!remedy || !d->remedy)
		return !remedy && !d->remedy;
	return *remedy == '=' ? strcmp(d->remedy, remedy + 1) == 0
			      : strstr(d->remedy, remedy) != NULL;
}

static void permission(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(permission_rows); i++) {
		const struct mt_conf_options o = {.workers = 1, .asks = true};
		const struct mt_conf_kernel own = {.addr = mt_addr4(htonl(0xc000024d))};
		struct mt_err e;
		struct scene sc = {.conf = mt_conf_create(&o, &e), .node = permission_rows[i].node};
		const char *why = permission_rows[i].why, *remedy = permission_rows[i].remedy;
		const struct mt_diag *d = NULL;

		CU_ASSERT_PTR_NOT_NULL_FATAL(sc.conf);
		CU_ASSERT_EQUAL(mt_conf_set_kernel(sc.conf, &own, 1), 1);
		load(&sc, permission_rows[i].documents);
		for (uint32_t k = 0; why && k < sc.diags.n; k++)
			if (strstr(sc.diags.items[k].message, why))
				d = &sc.diags.items[k];
		CU_ASSERT_EQUAL(limit_of(&sc)->provider == NULL, why != NULL);
		CU_ASSERT_EQUAL(limit_of(&sc)->fail_open, remedy == NULL);
		CU_ASSERT_EQUAL(d != NULL, why != NULL);
		if (d) {
			CU_ASSERT_STRING_EQUAL(d->path, "spec.globalRateLimit.rateLimitService");
			CU_ASSERT_TRUE(has_remedy(d, remedy));
			CU_ASSERT_TRUE(d->origin.line > 0);
		}
		if (!d != !why || (limit_of(&sc)->provider == NULL) != (why != NULL)) {
			fprintf(stderr, "row %zu\n", i);
			mt_diags_print((struct mt_diags *)&sc.diags, stderr);
		}
		end(&sc);
	}
}

/*
 * Each provider has a connection of its own: a namespace has at most 16, and the root namespace any
 * number. The first limits in the order of documents have them.
 */
static void few(void)
{
	static const struct {
		const char *ns;
		int routers, without;
	} rows_of[] = {{"shop", 16, 0}, {"shop", 18, 2}, {"istio-system", 18, 0}};

	for (size_t at = 0; at < MT_ARRAY_LEN(rows_of); at++) {
		static char text[16384];
		int len = snprintf(text, sizeof(text), "%s", LIMITS("shop", HERE)), without = 0;
		struct scene sc;

		for (int i = 0; i < 2 * rows_of[at].routers; i++)
			len += snprintf(text + len, sizeof(text) - (size_t)len,
				"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: "
				"MetaRouter\nmetadata: {name: r%d, namespace: %s}\nspec: {hosts: "
				"[n%d.test], globalRateLimit: {domain: d, rateLimitService: "
				"'outbound|8081||limits.test', descriptors: [{property: method, "
				"descriptorKey: m}], requestTimeout: %dms}}\n",
				i, rows_of[at].ns, i, 1 + i / 2);
		sc = begin(text);
		for (uint32_t i = 0; i < sc.diags.n; i++)
			without += strstr(sc.diags.items[i].message, "16 combinations") != NULL;
		CU_ASSERT_EQUAL(without, 2 * rows_of[at].without);
		end(&sc);
	}
}

#define GLOBAL(x)                                                                                  \
	"apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\nmetadata: {name: r}\n"     \
	"spec:\n  hosts: [a.test]\n  globalRateLimit: {" x "}\n"
#define BY_METHOD "descriptors: [{property: method, descriptorKey: m}]"
#define NO_CLUSTER                                                                                 \
	"spec.globalRateLimit: rateLimitService is not the name of a cluster of Istio without a "  \
	"subset"

#define X64   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define X1024 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64

static const struct {
	const char *text, *why;
} refused_rows[] = {
	{GLOBAL("domain: " X1024 ", rateLimitService: 'outbound|80||limits', descriptors: "
		"[{property: a, descriptorKey: " X1024 "}, {property: a, descriptorKey: b}]"),
		"spec.globalRateLimit: the domain and the descriptors' keys have 2049 bytes"},
	{GLOBAL("domain: d, rateLimitService: limits, " BY_METHOD), NO_CLUSTER},
	{GLOBAL("domain: d, rateLimitService: 'inbound|80||limits', " BY_METHOD), NO_CLUSTER},
	{GLOBAL("domain: d, rateLimitService: 'outbound|80|v1|limits', " BY_METHOD), NO_CLUSTER},
	{GLOBAL("domain: d, rateLimitService: 'outbound|65536||limits', " BY_METHOD), NO_CLUSTER},
	{GLOBAL("domain: d, rateLimitService: 'outbound|0||limits', " BY_METHOD), NO_CLUSTER},
	{GLOBAL("domain: d, rateLimitService: 'outbound|80||', " BY_METHOD), NO_CLUSTER},
	{GLOBAL("domain: d, rateLimitService: 'outbound|80||a|b', " BY_METHOD), NO_CLUSTER},
	{GLOBAL("domain: d, rateLimitService: 'outbound|', " BY_METHOD), NO_CLUSTER},
	{GLOBAL("domain: d, rateLimitService: 'outbound|80||limits', descriptors: []"),
		"spec.globalRateLimit: the limit has no descriptors"},
	{GLOBAL("domain: '', rateLimitService: 'outbound|80||limits', " BY_METHOD),
		"spec.globalRateLimit.domain: is empty"},
	{GLOBAL("domain: d, " BY_METHOD),
		"spec.globalRateLimit: the global rate limit is missing its rateLimitService"},
	{GLOBAL("domain: d, rateLimitService: 'outbound|80||limits'"),
		"spec.globalRateLimit: the global rate limit is missing its descriptors"},
	{GLOBAL("rateLimitService: 'outbound|80||limits', " BY_METHOD),
		"spec.globalRateLimit: the global rate limit is missing its domain"},
	{GLOBAL("domain: d, rateLimitService: 'outbound|80||limits', descriptors: [{property: a}]"),
		"spec.globalRateLimit.descriptors[0]: the descriptor is missing its descriptorKey"},
};

static void refused(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(refused_rows); i++) {
		struct scene sc = {.m = mt_model_new()};
		char text[512];

		mt_diags_init(&sc.diags);
		mt_source_text(
			sc.m, &sc.diags, "t", refused_rows[i].text, strlen(refused_rows[i].text));
		CU_ASSERT_EQUAL_FATAL(sc.diags.n, 1);
		mt_diag_format(&sc.diags.items[0], text, sizeof(text));
		CU_ASSERT_PTR_NOT_NULL(strstr(text, "t:6: error: "));
		CU_ASSERT_PTR_NOT_NULL(strstr(text, refused_rows[i].why));
		if (!strstr(text, refused_rows[i].why))
			fprintf(stderr, "%s\n", text);
		mt_diags_fini(&sc.diags);
		mt_model_free(sc.m);
	}
}

const struct mt_test global_limits_tests[] = {{"compiled", compiled}, {"counted", counted},
	{"kept", kept}, {"without_a_service", without_a_service}, {"permission", permission},
	{"few", few}, {"refused", refused}, {0}};
