/* SPDX-License-Identifier: Apache-2.0 */
/* Whose word counts where several documents have one host, and who sees which of them. */
#include "conf_test.h"

#include <string.h>

#define IN(kind, name, ns)                                                                         \
	"---\napiVersion: networking.istio.io/v1\nkind: " kind "\nmetadata: {name: " name          \
	", namespace: " ns "}\nspec:\n"
/* 10 lines. */
#define ENTRY(name, ns, number, address, more)                                                     \
	IN("ServiceEntry", name, ns)                                                               \
	"  hosts: [s.x]\n  resolution: STATIC\n  ports: [{number: " number                         \
	", name: tcp}]\n  endpoints: [{address: " address ", labels: {of: " name "}}]\n" more
#define RULE(name, ns, host, subset)                                                               \
	IN("DestinationRule", name, ns)                                                            \
	"  host: '" host "'\n  subsets: [{name: " subset "}]\n"
#define ROUTES(name, ns, host, port)                                                               \
	IN("VirtualService", name, ns)                                                             \
	"  hosts: ['" host "']\n  tcp: [{match: [{port: 1}], route: [{destination: {host: s.x, "   \
	"subset: " port "}}]}]\n"

static uint32_t told(const struct built *b, enum mt_diag_severity severity, const char *words)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->diags.n; i++)
		n += b->diags.items[i].severity == severity &&
		     strstr(b->diags.items[i].message, words) != NULL;
	return n;
}

static bool has_cluster(const struct mt_snapshot *s, const char *name)
{
	for (uint32_t i = 0; i < s->n_clusters; i++)
		if (strcmp(s->clusters[i].name, name) == 0)
			return true;
	return false;
}

static struct built build_in(const char *node_ns, const char *text)
{
	struct built b = {.conf = new_conf(), .m = mt_model_new()};

	mt_diags_init(&b.diags);
	mt_source_text(b.m, &b.diags, "t", text, strlen(text));
	b.m->mesh.ns = node_ns;
	b.s = mt_conf_compile(b.conf, b.m, &b.diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	return b;
}

/* In one namespace: the first one's ports, the endpoints of all, each with the number that it has in its own. */
static void one_namespace_joins(void)
{
	struct built b = build_in(NULL,
		ENTRY("a", "x", "1", "198.51.100.1", "") ENTRY("b", "x", "2", "198.51.100.2", ""));
	const struct mt_cluster *c = cluster(b.s, "outbound|1||s.x");

	CU_ASSERT_EQUAL_FATAL(c->n_eps, 2);
	CU_ASSERT_STRING_EQUAL(endpoint(c, 0), "198.51.100.1:1");
	CU_ASSERT_STRING_EQUAL(endpoint(c, 1), "198.51.100.2:2");
	CU_ASSERT_FALSE(has_cluster(b.s, "outbound|2||s.x"));
	CU_ASSERT_EQUAL(told(&b, MT_DIAG_WARNING, "join"), 1);
	unbuild(&b);
	/* Nothing of the second one is without effect. */
	b = build_in(NULL,
		ENTRY("a", "x", "1", "198.51.100.1", "") ENTRY("b", "x", "1", "198.51.100.2", ""));
	CU_ASSERT_EQUAL(cluster(b.s, "outbound|1||s.x")->n_eps, 2);
	CU_ASSERT_EQUAL(told(&b, MT_DIAG_WARNING, "join"), 0);
	CU_ASSERT_EQUAL(b.diags.warnings, 0);
	unbuild(&b);
}

/* What a joined ServiceEntry has beside endpoints has no effect, and a warning names each such field. */
static void what_does_not_join(void)
{
#define FIRST		    "---\n" HEAD("a") "  hosts: [s.x, t.x]\n  addresses: [192.0.2.1]\n" REST("1")
#define SECOND(hosts, more) "---\n" HEAD("b") "  hosts: [" hosts "]\n" more REST("2")
#define HEAD(name)                                                                                 \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name           \
	", namespace: x}\nspec:\n"
#define REST(last)                                                                                 \
	"  resolution: STATIC\n  ports: [{number: 1, name: tcp}]\n"                                \
	"  endpoints: [{address: 198.51.100." last "}]\n"
	static const struct {
		const char *text, *path;
	} t[] = {{FIRST SECOND("s.x", ""), NULL}, {FIRST SECOND("s.x, T.x", ""), NULL},
		{FIRST SECOND("s.x, t.x, u.x, v.x", ""), "spec.hosts[2]"},
		{FIRST SECOND("s.x", "  addresses: [192.0.2.1]\n"), NULL},
		{FIRST SECOND("s.x", "  addresses: [192.0.2.2, 192.0.2.3]\n"), "spec.addresses[0]"},
		{FIRST SECOND("s.x", "  subjectAltNames: [spiffe://a/b]\n"),
			"spec.subjectAltNames[0]"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct built b = build_in(NULL, t[i].text);

		CU_ASSERT_EQUAL(cluster(b.s, "outbound|1||s.x")->n_eps, 2);
		CU_ASSERT_EQUAL(b.diags.warnings, t[i].path ? 1 : 0);
		CU_ASSERT_EQUAL(
			told(&b, MT_DIAG_WARNING, "only endpoints are joined"), t[i].path ? 1 : 0);
		for (uint32_t k = 0; t[i].path && k < b.diags.n; k++)
			CU_ASSERT_STRING_EQUAL(b.diags.items[k].path, t[i].path);
		unbuild(&b);
	}
}

/* Between namespaces one has the host; the node's own comes first. */
static void namespaces_do_not(void)
{
	static const char text[] =
		ENTRY("a", "x", "1", "198.51.100.1", "") ENTRY("b", "y", "2", "198.51.100.2", "");
	struct built b = build_in(NULL, text);

	CU_ASSERT_EQUAL(cluster(b.s, "outbound|1||s.x")->n_eps, 1);
	CU_ASSERT_FALSE(has_cluster(b.s, "outbound|2||s.x"));
	CU_ASSERT_EQUAL(told(&b, MT_DIAG_SHADOWED, "ServiceEntry x/a"), 1);
	CU_ASSERT_EQUAL(told(&b, MT_DIAG_WARNING, "in place of ServiceEntry y/b"), 1);
	unbuild(&b);
	b = build_in("y", text);
	CU_ASSERT_EQUAL(cluster(b.s, "outbound|2||s.x")->n_eps, 1);
	CU_ASSERT_FALSE(has_cluster(b.s, "outbound|1||s.x"));
	unbuild(&b);
}

/* So many that they are put into a map. */
#define MANY "a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q"

/* exportTo: names of namespaces, its own, all, none. */
static void who_sees_it(void)
{
	static const struct {
		const char *text, *node_ns;
		bool seen;
	} rows[] = {
		{ENTRY("a", "x", "1", "198.51.100.1", "  exportTo: ['.']\n"), NULL, true},
		{ENTRY("a", "x", "1", "198.51.100.1", "  exportTo: ['.']\n"), "y", false},
		{ENTRY("a", "x", "1", "198.51.100.1", "  exportTo: [z, y]\n"), "y", true},
		{ENTRY("a", "x", "1", "198.51.100.1", "  exportTo: ['*']\n"), "y", true},
		{ENTRY("a", "x", "1", "198.51.100.1", "  exportTo: ['~']\n"), "x", false},
		{ENTRY("a", "x", "1", "198.51.100.1", ""), "y", true},
		{ENTRY("a", "x", "1", "198.51.100.1", "  exportTo: [" MANY "]\n"), "y", false},
		{ENTRY("a", "x", "1", "198.51.100.1", "  exportTo: [" MANY "]\n"), "q", true},
		{ENTRY("a", "x", "1", "198.51.100.1", "  exportTo: [" MANY "]\n"), "x", false},
		{ENTRY("a", "x", "1", "198.51.100.1", "  exportTo: [" MANY ", '.']\n"), "x", true},
		{ENTRY("a", "x", "1", "198.51.100.1", "  exportTo: [" MANY ", '.']\n"), "y", false},
		{ENTRY("a", "x", "1", "198.51.100.1", "  exportTo: [" MANY ", '*']\n"), "y", true},
		/* Lists of two objects are not mixed up. */
		{ENTRY("b", "w", "2", "198.51.100.2", "  exportTo: [" MANY ", y]\n")
				ENTRY("a", "x", "1", "198.51.100.1", "  exportTo: [" MANY "]\n"),
			"y", false},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_in(rows[i].node_ns, rows[i].text);

		CU_ASSERT_EQUAL(has_cluster(b.s, "outbound|1||s.x"), rows[i].seen);
		CU_ASSERT_EQUAL(told(&b, MT_DIAG_INERT, "not visible"), !rows[i].seen);
		unbuild(&b);
	}
}

#define SERVED ENTRY("a", "x", "1", "198.51.100.1", "")
#define ROOT   RULE("r", "istio-system", "s.x", "root")
#define OWN    RULE("o", "x", "*.x", "own")
#define CLIENT RULE("c", "y", "*", "client")

/* The first namespace of client, service and root that has a rule, whole; in it the nearest host. */
static void layers_of_rules(void)
{
	static const struct {
		const char *text, *node_ns, *subset;
		uint32_t shadowed, inert;
	} rows[] = {
		{SERVED ROOT, NULL, "root", 0, 0},
		{SERVED ROOT OWN, NULL, "own", 1, 0},
		{SERVED ROOT OWN CLIENT, "y", "client", 2, 0},
		{SERVED ROOT OWN CLIENT, NULL, "own", 1, 1},
		{SERVED OWN RULE("n", "x", "s.x", "near"), NULL, "near", 1, 0},
		{SERVED RULE("w", "x", "*", "wide") OWN, NULL, "own", 1, 0},
		{SERVED OWN RULE("e", "y", "s.x", "e") "  exportTo: ['.']\n", "z", "own", 0, 1},
		{SERVED RULE(
			 "w", "x", "s.x", "w") "  workloadSelector: {matchLabels: {a: b}}\n" OWN,
			NULL, "own", 0, 1},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_in(rows[i].node_ns, rows[i].text);
		char name[64];

		snprintf(name, sizeof(name), "outbound|1|%s|s.x", rows[i].subset);
		CU_ASSERT_TRUE(has_cluster(b.s, name));
		CU_ASSERT_EQUAL(b.s->n_clusters, 2);
		CU_ASSERT_EQUAL(b.diags.shadowed, rows[i].shadowed);
		CU_ASSERT_EQUAL(b.diags.inert, rows[i].inert);
		unbuild(&b);
	}
}

/*
 * Rules of one wildcard serve all hosts that they cover, but each client's namespace sees its own:
 * a root rule that is exported to one namespace has no effect for services of another.
 */
static void rules_of_many_hosts(void)
{
#define HOST(name, ns)                                                                             \
	IN("ServiceEntry", name, ns)                                                               \
	"  hosts: [" name ".x]\n  resolution: STATIC\n  ports: [{number: 1, name: tcp}]\n"         \
	"  endpoints: [{address: 198.51.100.1}]\n"
	struct built b = build_in(NULL,
		HOST("a", "x") HOST("b", "y") HOST("c", "z") RULE("r1", "istio-system", "*.x",
			"one") "  exportTo: [x]\n" RULE("r2", "istio-system", "*.x",
			"two") "  exportTo: [x, y]\n" RULE("own", "z", "*", "own")
			RULE("far", "w", "*.x", "far"));

	CU_ASSERT_TRUE(has_cluster(b.s, "outbound|1|one|a.x"));
	CU_ASSERT_TRUE(has_cluster(b.s, "outbound|1|two|a.x"));
	CU_ASSERT_FALSE(has_cluster(b.s, "outbound|1|one|b.x"));
	CU_ASSERT_TRUE(has_cluster(b.s, "outbound|1|two|b.x"));
	CU_ASSERT_TRUE(has_cluster(b.s, "outbound|1|own|c.x"));
	CU_ASSERT_EQUAL(b.s->n_clusters, 7);
	CU_ASSERT_EQUAL(b.diags.shadowed, 0);
	CU_ASSERT_EQUAL(b.diags.inert, 1);
	unbuild(&b);
#undef HOST
}

#define POLICY "  trafficPolicy: {loadBalancer: {simple: RANDOM}}\n"

/*
 * The same host twice: the subsets of both, the first one's policy, and of one name the first one's.
 * One warning about the younger one names what has no effect.
 */
static void rules_join(void)
{
	struct built b = build_in(
		NULL, SERVED RULE("r1", "x", "s.x", "one") RULE("r2", "x", "s.x", "two") POLICY);

	CU_ASSERT_EQUAL(b.s->n_clusters, 3);
	CU_ASSERT_EQUAL(b.diags.warnings, 0);
	unbuild(&b);
	b = build_in(NULL, SERVED RULE("r1", "x", "s.x", "one") POLICY RULE("r2", "x", "s.x", "two")
				   RULE("r3", "x", "s.x", "one") POLICY);
	CU_ASSERT_EQUAL(told(&b, MT_DIAG_WARNING, "has a subset \"one\""), 1);
	CU_ASSERT_EQUAL(told(&b, MT_DIAG_WARNING, "not used"), 2);
	CU_ASSERT_EQUAL(b.diags.warnings, 2);

	CU_ASSERT_EQUAL(b.s->n_clusters, 3);
	CU_ASSERT_TRUE(has_cluster(b.s, "outbound|1|one|s.x"));
	CU_ASSERT_TRUE(has_cluster(b.s, "outbound|1|two|s.x"));
	CU_ASSERT_EQUAL(b.diags.shadowed, 0);
	unbuild(&b);
}

/* The oldest has the host; a wildcard only what nobody names. */
static void routes_of_a_host(void)
{
	struct built b = build_in(NULL,
		SERVED RULE("r1", "x", "s.x", "one") RULE("r2", "x", "s.x", "two")
			ROUTES("wild", "x", "*.x", "one") ROUTES("first", "x", "s.x", "two")
				ROUTES("late", "x", "s.x", "one"));
	const struct mt_service *s = service(b.s, "s.x");

	CU_ASSERT_STRING_EQUAL(b.s->clusters[s->tcp_cluster].name, "outbound|1|two|s.x");
	CU_ASSERT_EQUAL(b.diags.shadowed, 2);
	CU_ASSERT_EQUAL(told(&b, MT_DIAG_WARNING, "in place of VirtualService x/late"), 1);
	unbuild(&b);
	b = build_in(NULL, SERVED RULE("r1", "x", "s.x", "one") ROUTES("wild", "x", "*.x", "one"));
	s = service(b.s, "s.x");
	CU_ASSERT_STRING_EQUAL(b.s->clusters[s->tcp_cluster].name, "outbound|1|one|s.x");
	unbuild(&b);
}

#define LIMITS(name, ns, since)                                                                    \
	"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"                     \
	"metadata: {name: " name ", namespace: " ns since "}\nspec:\n  hosts: [s.x]\n"             \
	"  localRateLimit: {tokenBucket: {maxTokens: 1, fillInterval: 1s}}\n"

/* Another namespace's MetaRouter, though older, does not take the limits of the service's own away. */
static void routers_of_the_service(void)
{
#define SINCE ", creationTimestamp: '2020-01-01T00:00:00Z'"
	static const char *const texts[] = {
		SERVED LIMITS("own", "x", SINCE) LIMITS("far", "a", ""),
		SERVED LIMITS("far", "a", "") LIMITS("own", "x", SINCE),
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct built b = build_in(NULL, texts[i]);

		CU_ASSERT_EQUAL(b.diags.shadowed, 1);
		CU_ASSERT_EQUAL(told(&b, MT_DIAG_WARNING, "in place of MetaRouter a/far"), 1);
		unbuild(&b);
	}
}

const struct mt_test owners_tests[] = {
	{"one_namespace_joins", one_namespace_joins},
	{"what does not join", what_does_not_join},
	{"namespaces_do_not", namespaces_do_not},
	{"who_sees_it", who_sees_it},
	{"layers_of_rules", layers_of_rules},
	{"rules_of_many_hosts", rules_of_many_hosts},
	{"rules_join", rules_join},
	{"routes_of_a_host", routes_of_a_host},
	{"routers_of_the_service", routers_of_the_service},
	{0},
};
