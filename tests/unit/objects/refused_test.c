/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests what the compiler refuses, one version at a time, and what is enforced and served instead.
 */
#include "objects_test.h"

#define N_TOKENS 258

static char *text_of(FILE *f, char **text)
{
	fclose(f);
	return *text;
}

/*
 * With more sources of keys than a node may have, what their policies protect is closed, as if a
 * policy could not be read.
 */
static void tokens_not_verified(void)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	uint32_t refused = 0, closed = 0;
	struct scene sc;

	for (int i = 0; i < N_TOKENS; i++)
		fprintf(f,
			SERVICE("s%d", "n%d", "198.51.100.1") "---\n" SECURITY(
				"RequestAuthentication", "r%d", "n%d",
				"{jwtRules: [{issuer: i, jwksUri: 'http://192.0.2.9/%d'}]}") "---"
											     "\n",
			i, i, i, i, i, i, i);
	scene_begin(&sc);
	scene_write(&sc, "a.yaml", text_of(f, &text));
	scene_load(&sc);
	CU_ASSERT_PTR_NOT_NULL(sc.s);
	for (int i = 0; i < N_TOKENS; i++) {
		char name[16], host[16];
		bool is_refused;

		snprintf(name, sizeof(name), "r%d", i);
		snprintf(host, sizeof(host), "s%d.n%d", i, i);
		is_refused =
			strcmp(scene_status(&sc, "RequestAuthentication", name), "refused") == 0;
		CU_ASSERT_EQUAL(scene_endpoints(&sc, host), is_refused ? -2 : 1);
		refused += is_refused;
		closed += scene_endpoints(&sc, host) == -2;
	}
	CU_ASSERT_EQUAL(refused, 2);
	CU_ASSERT_EQUAL(closed, 2);
	/*
	 * A later resource of a discovery server does not change that, and takes no memory of the
	 * table.
	 */
	for (int i = 0; i < 4; i++) {
		size_t used = sc.t->region.used;

		mt_table_reset(sc.t);
		scene_compile(&sc);
		CU_ASSERT_EQUAL(sc.t->region.used, used);
		CU_ASSERT_EQUAL(sc.diags.closed, 2);
	}
	scene_end(&sc);
	free(text);
}

/* A version falls back once, also if errors of another one stand between its own. */
static void errors_in_turn(bool again)
{
	static const char bad[] = SERVICE("%s", "x", "%s") "  addresses: [%s]\n";
	char text[2048];
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		SERVICE("a", "x", "198.51.100.1") "---\n" SERVICE("b", "x", "198.51.100.2"));
	scene_load(&sc);
	if (again)
		scene_restart(&sc);
	/* Addresses of a and b are reported before endpoints of a and b. */
	snprintf(text, sizeof(text), bad, "a", "a", "127.0.0.2", "127.0.0.1");
	strcat(text, "---\n");
	snprintf(text + strlen(text), sizeof(text) - strlen(text), bad, "b", "b", "127.0.0.4",
		"127.0.0.3");
	scene_write(&sc, "a.yaml", text);
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "a", "last-good");
	IS_STATUS(&sc, "ServiceEntry", "b", "last-good");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "b.x"), 1);
	/* All four are reported. */
	CU_ASSERT_EQUAL(sc.diags.errors, 4);
	scene_end(&sc);
}

static void errors_in_turns(void)
{
	errors_in_turn(false);
	errors_in_turn(true);
}

/*
 * Each one has the host until it is refused, so that only the next compilation finds its
 * successor's fault.
 */
static void errors_found_one_by_one(void)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct scene sc;

	fputs(SERVICE("good", "x", "198.51.100.1") "---\n" SERVICE("other", "y", "198.51.100.2"),
		f);
	for (int i = 0; i < 300; i++)
		fprintf(f,
			"---\n" ISTIO("ServiceEntry", "s%03d", "y") "  hosts: [taken.y]\n"
								    "  ports: [{number: 80, name: "
								    "tcp}, {number: 80, name: "
								    "tcp-b}]\n",
			i);
	scene_begin(&sc);
	scene_write(&sc, "a.yaml", text_of(f, &text));
	scene_load(&sc);
	CU_ASSERT_PTR_NOT_NULL(sc.s);
	CU_ASSERT(sc.rounds > 64 && sc.rounds < 70);
	IS_STATUS(&sc, "ServiceEntry", "s000", "refused");
	IS_STATUS(&sc, "ServiceEntry", "s299", "refused");
	IS_STATUS(&sc, "ServiceEntry", "good", "in-force");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "good.x"), 1);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(scene_row(&sc, "ServiceEntry", "s000")->why, "already on line"));
	scene_end(&sc);
	free(text);
}

/* Writes entries of one host in a namespace: each has the host until it is refused. */
static void put_chain(FILE *f, const char *name, const char *ns, int n)
{
	for (int i = 0; i < n; i++)
		fprintf(f,
			"---\n" ISTIO("ServiceEntry", "%s%03d",
				"%s") "  hosts: [taken.y]\n"
				      "  ports: [{number: 80, name: tcp}, {number: 80, name: "
				      "tcp-b}]\n",
			name, i, ns);
}

/*
 * An author in y needs more rounds than are exact. Namespace z, of which one object has an error
 * that y's objects hid until then, loses that object only.
 */
static void errors_of_another_namespace(void)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct scene sc;

	fputs(SERVICE("good", "z", "198.51.100.1") "---\n" SERVICE("a", "z", "198.51.100.2"), f);
	put_chain(f, "s", "y", 70);
	put_chain(f, "t", "z", 1);
	scene_begin(&sc);
	scene_write(&sc, "a.yaml", text_of(f, &text));
	/* The same after a reset of the table. */
	for (int i = 0; i < 2; i++) {
		if (i == 0) {
			scene_load(&sc);
		} else {
			mt_table_reset(sc.t);
			scene_compile(&sc);
		}
		CU_ASSERT_PTR_NOT_NULL(sc.s);
		CU_ASSERT(sc.rounds > 64 && sc.rounds < 70);
		IS_STATUS(&sc, "ServiceEntry", "s069", "refused");
		IS_STATUS(&sc, "ServiceEntry", "t000", "refused");
		IS_STATUS(&sc, "ServiceEntry", "good", "in-force");
		IS_STATUS(&sc, "ServiceEntry", "a", "in-force");
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "good.z"), 1);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.z"), 1);
	}
	scene_end(&sc);
	free(text);
}

/* A second such namespace gets a few rounds of its own, so that a load stays bounded. */
static void errors_of_two_authors(void)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct scene sc;

	fputs(SERVICE("good", "x", "198.51.100.1") "---\n" SERVICE("a", "z", "198.51.100.2"), f);
	put_chain(f, "s", "y", 100);
	put_chain(f, "t", "z", 100);
	scene_begin(&sc);
	scene_write(&sc, "a.yaml", text_of(f, &text));
	scene_load(&sc);
	CU_ASSERT_PTR_NOT_NULL(sc.s);
	CU_ASSERT(sc.rounds > 72 && sc.rounds < 80);
	IS_STATUS(&sc, "ServiceEntry", "t099", "refused");
	IS_STATUS(&sc, "ServiceEntry", "a", "refused");
	IS_STATUS(&sc, "ServiceEntry", "good", "in-force");
	scene_end(&sc);
	free(text);
}

/* Many such namespaces do not cost a few rounds each. */
static void errors_of_many_authors(void)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct scene sc;

	fputs(SERVICE("good", "x", "198.51.100.1"), f);
	for (int i = 0; i < 40; i++) {
		char name[16], ns[16];

		snprintf(name, sizeof(name), "s%02d-", i);
		snprintf(ns, sizeof(ns), "n%02d", i);
		put_chain(f, name, ns, 12);
	}
	scene_begin(&sc);
	scene_write(&sc, "a.yaml", text_of(f, &text));
	scene_load(&sc);
	CU_ASSERT_PTR_NOT_NULL(sc.s);
	CU_ASSERT(sc.rounds > 256 && sc.rounds < 290);
	IS_STATUS(&sc, "ServiceEntry", "s39-011", "refused");
	IS_STATUS(&sc, "ServiceEntry", "good", "in-force");
	scene_end(&sc);
	free(text);
}

/*
 * Finds all that cannot be applied to the ports of one host at once; the first one that can be
 * applied has the host.
 */
static void routes_of_one_host(void)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct scene sc;

	fputs(SERVICE("a", "x", "198.51.100.1") "---\n" ROUTE("z1", "x", "a.x", "") "---\n" ROUTE(
		      "z2", "x", "a.x", ""),
		f);
	for (int i = 0; i < 66; i++)
		fprintf(f,
			"---\n" ISTIO(
				"VirtualService", "v%03d", "x") "  hosts: [a.x]\n  http: "
								"[{match: [{uri: {exact: /a}}], "
								"route: [{destination: {host: "
								"a.x}}]}]\n",
			i);
	scene_begin(&sc);
	scene_write(&sc, "a.yaml", text_of(f, &text));
	scene_load(&sc);
	CU_ASSERT_PTR_NOT_NULL(sc.s);
	CU_ASSERT_EQUAL(sc.rounds, 2);
	IS_STATUS(&sc, "VirtualService", "v000", "refused");
	IS_STATUS(&sc, "VirtualService", "v065", "refused");
	IS_STATUS(&sc, "VirtualService", "z1", "in-force-with-notes");
	IS_STATUS(&sc, "VirtualService", "z2", "shadowed");
	scene_end(&sc);
	free(text);
}

#define AT(name, addresses, more)                                                                  \
	ISTIO("ServiceEntry", name, "x")                                                           \
	"  hosts: [" name ".x]\n  addresses: [" addresses "]\n  resolution: STATIC\n"              \
	"  ports: [{number: 80, name: tcp" more                                                    \
	"}]\n  endpoints: [{address: 198.51.100.1}]\n---\n"
#define KEYED(name, addresses)                                                                     \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name           \
	", namespace: x, annotations: {interface: k}}\nspec:\n  hosts: [" name                     \
	".x]\n  addresses: [" addresses "]\n  resolution: STATIC\n"                                \
	"  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"                                  \
	"  endpoints: [{address: 198.51.100.1}]\n---\n"
#define PROTO(name, codec)                                                                         \
	"apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: ApplicationProtocol\nmetadata: "       \
	"{name: " name "}\nspec: {protocol: p1, codec: aeraki.meta_protocol.codec." codec          \
	"}\n---\n"

/* No object is refused because of a refused one. s1 is sound, s2 is refused, s3 is in force. */
static const struct {
	const char *kind, *text;
} voids[] = {
	{"ServiceEntry", AT("s1", "192.0.2.10", "") AT("s2", "192.0.2.11, 192.0.2.10", "")
				 AT("s3", "192.0.2.12, 192.0.2.11", "")},
	{"ServiceEntry", AT("s1", "192.0.2.10", "") AT("s2", "192.0.2.11, 127.0.0.1", "")
				 AT("s3", "192.0.2.11", "")},
	/* Of messages, by the protocol and by the key. */
	{"ServiceEntry", AT("s1", "192.0.2.10", "") AT("s2", "192.0.2.11, 192.0.2.10", "")
				 AT("s3", "192.0.2.11", "-metaprotocol-dubbo")},
	{"ServiceEntry", AT("s1", "192.0.2.10", "") KEYED("s2", "192.0.2.11, 192.0.2.10") AT("s4",
				 "192.0.2.11", "-metaprotocol-dubbo") KEYED("s3", "192.0.2.11")},
	/* An instance that would be a service's address. */
	{"ServiceEntry", AT("s1", "192.0.2.10", "") AT("s2", "198.51.100.1, 127.0.0.1", "")
				 AT("s3", "192.0.2.11", "")},
	{"ApplicationProtocol", PROTO("s1", "nothing") PROTO("s2", "nothing") PROTO("s3", "dubbo")},
};

static void refused_objects_hold_nothing(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(voids); i++) {
		struct scene sc;

		scene_begin(&sc);
		scene_write(&sc, "a.yaml", voids[i].text);
		scene_load(&sc);
		CU_ASSERT_PTR_NOT_NULL(sc.s);
		IS_STATUS(&sc, voids[i].kind, "s2", "refused");
		IS_STATUS(&sc, voids[i].kind, "s3", "in-force");
		if (strcmp(scene_status(&sc, voids[i].kind, "s3"), "in-force") != 0)
			fprintf(stderr, "row %zu: %s\n", i,
				scene_row(&sc, voids[i].kind, "s3")->why);
		scene_end(&sc);
	}
}

/* What served before goes on, also in the namespace of those that are wrong. */
static void what_served_before(void)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct scene sc;

	for (int i = 0; i < 100; i++)
		fprintf(f,
			"---\n" ISTIO("ServiceEntry", "s%03d", "y") "  hosts: [taken.y]\n"
								    "  ports: [{number: 80, name: "
								    "tcp}, {number: 80, name: "
								    "tcp-b}]\n",
			i);
	scene_begin(&sc);
	scene_write(&sc, "a.yaml", SERVICE("other", "y", "198.51.100.2"));
	scene_load(&sc);
	scene_restart(&sc);
	scene_write(&sc, "b.yaml", text_of(f, &text));
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "other", "in-force");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "other.y"), 1);
	IS_STATUS(&sc, "ServiceEntry", "s099", "refused");
	scene_end(&sc);
	free(text);
}

#define TARGET(kind, name, more) "{group: networking.istio.io, kind: " kind ", name: " name more "}"
#define VERSIONED(version, spec) OF_KIND(version, "AuthorizationPolicy", spec)
#define OF_KIND(version, kind, spec)                                                               \
	version "kind: " kind "\nmetadata: {name: p, namespace: x}\nspec: " spec "\n"
#define REFUSED(ns, scope) SECURITY("AuthorizationPolicy", "p", ns, "{action: NONSENSE, " scope "}")

/* A refused policy closes its targets, and its whole namespace if these cannot be read. */
static const struct {
	const char *text, *status;
	int a, b;
} scopes[] = {
	{REFUSED("x", "targetRefs: [" TARGET("ServiceEntry", "a", "") "]"), "refused", -2, 1},
	{REFUSED("x", "targetRef: " TARGET("ServiceEntry", "b", "")), "refused", 1, -2},
	{REFUSED("x", "targetRefs: [" TARGET("ServiceEntry", "a", ", namespace: y") "]"), "refused",
		-2, 1},
	{REFUSED("x", "targetRefs: [" TARGET("ServiceEntry", "none", ", namespace: y") "]"),
		"refused", 1, 1},
	{REFUSED("istio-system", "targetRefs: [" TARGET("ServiceEntry", "a", ", namespace: x") "]"),
		"refused", 1, 1},
	{REFUSED("x", "targetRefs: []"), "refused", -2, -2},
	{REFUSED("x", "targetRefs: {}"), "refused", -2, -2},
	{REFUSED("x", "targetRefs: [" TARGET("Nonsense", "a", "") "]"), "refused", -2, -2},
	{REFUSED("x", "targetRefs: [{kind: ServiceEntry, name: a, group: [x]}]"), "refused", -2,
		-2},
	{REFUSED("x", "targetRefs: [" TARGET("ServiceEntry", "a", "") ", {kind: ServiceEntry}]"),
		"refused", -2, -2},
	{REFUSED("x", "selector: {matchLabels: {v: w}}, targetRefs: [" TARGET(
			      "ServiceEntry", "a", "") "]"),
		"refused", -2, -2},
	/* A wrong version, a misspelled group or none. What would let everybody in closes nothing. */
	{VERSIONED("apiVersion: security.istio.io/v9\n", "{}"), "refused", -2, -2},
	{VERSIONED("apiVersion: security.istio.oi/v1\n", "{}"), "refused", -2, -2},
	{VERSIONED("apiVersion: security.istio.com/v1\n", "{}"), "refused", -2, -2},
	{VERSIONED("apiVersion: v1\n", "{}"), "refused", -2, -2},
	{VERSIONED("apiVersion:\n", "{}"), "refused", -2, -2},
	{VERSIONED("", "{action: DENY, rules: [{}]}"), "refused", -2, -2},
	{VERSIONED("", "{targetRefs: [" TARGET("ServiceEntry", "a", "") "]}"), "refused", -2, 1},
	{VERSIONED("apiVersion: security.istio.oi/v1\n", "{rules: [{}]}"), "refused", 1, 1},
	/* In another group of the mesh. */
	{VERSIONED("apiVersion: networking.istio.io/v1\n", "{}"), "refused", -2, -2},
	{VERSIONED("apiVersion: gateway.networking.k8s.io/v1\n", "{}"), "refused", -2, -2},
	{VERSIONED("apiVersion: discovery.k8s.io/v1\n", "{}"), "refused", -2, -2},
	/* Of other software. */
	{VERSIONED("apiVersion: security.example.com/v1\n", "{}"), "ignored", 1, 1},
	{VERSIONED("apiVersion: policy.linkerd.io/v1alpha1\n", "{}"), "ignored", 1, 1},
	/* A misspelled kind. */
	{OF_KIND("apiVersion: security.istio.io/v1\n", "AuthorizationPolcy", "{}"), "refused", -2,
		-2},
	{OF_KIND("apiVersion: security.istio.io/v1\n", "authorizationpolicy",
		 "{targetRefs: [" TARGET("ServiceEntry", "a", "") "]}"),
		"refused", -2, 1},
	{OF_KIND("", "AuthorizationPolcy", "{action: DENY, rules: [{}]}"), "refused", -2, -2},
	{OF_KIND("apiVersion: security.istio.io/v1\n", "AuthorizationPolcy", "{rules: [{}]}"),
		"refused", 1, 1},
	{OF_KIND("apiVersion: policy.linkerd.io/v1\n", "AuthorizationPolcy", "{}"), "", 1, 1},
	/* The same, and not YAML. */
	{OF_KIND("apiVersion: security.istio.oi/v1\n", "AuthorizationPolicy", "{rules: ["),
		"refused", -2, -2},
	{OF_KIND("apiVersion: security.istio.io/v1\n", "AuthorizationPolcy", "{rules: ["),
		"refused", -2, -2},
	{OF_KIND("apiVersion: security.example.com/v1\n", "AuthorizationPolicy", "{rules: ["),
		"ignored", 1, 1},
	/* The namespace of a target refuses no policy. */
	{SECURITY("AuthorizationPolicy", "p", "x",
		 "{targetRefs: [" TARGET("ServiceEntry", "a", ", namespace: y") "], rules: [{}]}"),
		"in-force-with-notes", 1, 1},
	{SECURITY("AuthorizationPolicy", "p", "istio-system",
		 "{targetRef: " TARGET("ServiceEntry", "a", ", namespace: x") ", rules: [{}]}"),
		"no-effect", 1, 1},
};

static void scopes_of_refused_policies(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(scopes); i++) {
		struct scene sc;

		scene_begin(&sc);
		scene_write(&sc, "a.yaml",
			SERVICE("a", "x", "198.51.100.1") "---\n" SERVICE(
				"b", "x", "198.51.100.2"));
		scene_write(&sc, "b.yaml", scopes[i].text);
		scene_load(&sc);
		IS_STATUS(&sc, "AuthorizationPolicy", "p", scopes[i].status);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), scopes[i].a);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "b.x"), scopes[i].b);
		if (scene_endpoints(&sc, "a.x") != scopes[i].a ||
			scene_endpoints(&sc, "b.x") != scopes[i].b)
			fprintf(stderr, "row %zu: %d %d\n", i, scene_endpoints(&sc, "a.x"),
				scene_endpoints(&sc, "b.x"));
		scene_end(&sc);
	}
}

#define GOOD(version, kind, spec)                                                                  \
	"apiVersion: " version "\nkind: " kind "\nmetadata: {name: o, namespace: x}\n" spec
#define ENTRY                                                                                      \
	"spec: {hosts: [o.x], ports: [{number: 80, name: tcp}], resolution: STATIC, "              \
	"endpoints: [{address: 198.51.100.3}]}\n"
#define PLACE	"spec: {address: 198.51.100.4}\n"
#define ROUTES	"spec: {hosts: [a.x], tcp: [{route: [{destination: {host: a.x}}]}]}\n"
#define LISTENS "spec: {servers: [{port: {number: 90, name: tcp, protocol: TCP}, hosts: ['*']}]}\n"
#define ISTIOS	"networking.istio.io/v1"
#define WRONG	"networking.istio.oi/v1"
#define PROTOCOL(group, kind)                                                                      \
	"apiVersion: " group "/v1alpha1\nkind: " kind "\nmetadata: {name: o}\n"                    \
	"spec: {protocol: o, codec: aeraki.meta_protocol.codec.dubbo}\n"

/* A mistake in kind or apiVersion is one in the object: its last good version stays in use. */
static void kinds_that_are_meant(void)
{
	static const struct {
		const char *kind, *good, *bad, *status;
	} t[] = {
		{"ServiceEntry", GOOD(ISTIOS, "ServiceEntry", ENTRY),
			GOOD(WRONG, "ServiceEntry", ENTRY), "last-good"},
		{"ServiceEntry", GOOD(ISTIOS, "ServiceEntry", ENTRY),
			GOOD("v1", "ServiceEntry", ENTRY), "last-good"},
		{"ServiceEntry", GOOD(ISTIOS, "ServiceEntry", ENTRY),
			GOOD(ISTIOS, "ServiceEntri", ENTRY), "last-good"},
		{"ServiceEntry", GOOD(ISTIOS, "ServiceEntry", ENTRY),
			GOOD(WRONG, "ServiceEntry", "spec: [\n"), "last-good"},
		{"ServiceEntry", GOOD(ISTIOS, "ServiceEntry", ENTRY),
			GOOD("example.com/v1", "ServiceEntry", ENTRY), "ignored"},
		{"WorkloadEntry", GOOD(ISTIOS, "WorkloadEntry", PLACE),
			GOOD(WRONG, "WorkloadEntry", PLACE), "last-good"},
		{"VirtualService", GOOD(ISTIOS, "VirtualService", ROUTES),
			GOOD(WRONG, "VirtualService", ROUTES), "last-good"},
		{"Gateway", GOOD(ISTIOS, "Gateway", LISTENS), GOOD(WRONG, "Gateway", LISTENS),
			"last-good"},
		/* In another group of the mesh. */
		{"ServiceEntry", GOOD(ISTIOS, "ServiceEntry", ENTRY),
			GOOD("security.istio.io/v1", "ServiceEntry", ENTRY), "last-good"},
		/* It has no namespace. */
		{"ApplicationProtocol", PROTOCOL("metaprotocol.aeraki.io", "ApplicationProtocol"),
			PROTOCOL("metaprotocol.aeraki.oi", "ApplicationProtocol"), "last-good"},
		{"ApplicationProtocol", PROTOCOL("metaprotocol.aeraki.io", "ApplicationProtocol"),
			PROTOCOL("metaprotocol.aeraki.io", "ApplicationProtocl"), "last-good"},
		/* Of the kind of this name in another group. */
		{"Gateway", GOOD(ISTIOS, "Gateway", LISTENS),
			GOOD("gateway.networking.k8s.oi/v1", "Gateway", LISTENS), "refused"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct scene sc;

		scene_begin(&sc);
		scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
		scene_write(&sc, "o.yaml", t[i].good);
		scene_load(&sc);
		CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, t[i].kind, "o"), "refused");
		scene_write(&sc, "o.yaml", t[i].bad);
		for (int load = 0; load < 2; load++) {
			scene_load(&sc);
			if (strcmp(scene_status(&sc, t[i].kind, "o"), t[i].status) != 0)
				fprintf(stderr, "row %zu: %s\n", i,
					scene_status(&sc, t[i].kind, "o"));
			IS_STATUS(&sc, t[i].kind, "o", t[i].status);
			scene_restart(&sc);
		}
		scene_end(&sc);
	}
}

const struct mt_test refused_tests[] = {
	{"kinds_that_are_meant", kinds_that_are_meant},
	{"scopes_of_refused_policies", scopes_of_refused_policies},
	{"errors_found_one_by_one", errors_found_one_by_one},
	{"errors_of_another_namespace", errors_of_another_namespace},
	{"errors_of_two_authors", errors_of_two_authors},
	{"errors_of_many_authors", errors_of_many_authors},
	{"routes_of_one_host", routes_of_one_host},
	{"what_served_before", what_served_before},
	{"refused_objects_hold_nothing", refused_objects_hold_nothing},
	{"tokens_not_verified", tokens_not_verified},
	{"errors_in_turns", errors_in_turns},
	{0},
};
