/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of documents times other documents: what they cost is bounded, and all else is compiled as
 * if they were short.
 */
#include "objects_test.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Comparisons of texts so far: the linker leads calls of all libraries here. */
static uint64_t n_compared;

int __real_strcmp(const char *a, const char *b);
int __wrap_strcmp(const char *a, const char *b);
int __real_strcasecmp(const char *a, const char *b);
int __wrap_strcasecmp(const char *a, const char *b);

int __wrap_strcmp(const char *a, const char *b)
{
	n_compared++;
	return __real_strcmp(a, b);
}

int __wrap_strcasecmp(const char *a, const char *b)
{
	n_compared++;
	return __real_strcasecmp(a, b);
}

/* Writes `n` services of one port that select all of `n` WorkloadEntries with `ports` ports. */
static void put_unknown_ports(FILE *f, const char *ns, int n, int ports)
{
	for (int i = 0; i < n; i++) {
		fprintf(f,
			"---\n" ISTIO("ServiceEntry", "s%02d",
				"%s") "  hosts: [s%02d.%s]\n  ports: [{number: 80, name: "
				      "tcp-metaprotocol-dubbo}]\n  location: MESH_INTERNAL\n"
				      "  resolution: STATIC\n  workloadSelector: {labels: {app: "
				      "s}}\n---\n" ISTIO("WorkloadEntry", "w%d",
					      "%s") "  address: 10.8.%d.%d\n  labels: {app: s}\n"
						    "  ports: {tcp-metaprotocol-dubbo: 80",
			i, ns, i, ns, i, ns, *ns, i);
		for (int k = 0; k < ports; k++)
			fprintf(f, ", p%d: %d", k, k + 1);
		fputs("}\n", f);
	}
}

static uint32_t notes_of(const struct scene *sc, const char *ns)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < sc->t->n; i++)
		n += strcmp(sc->t->rows[i].o->ns, ns) == 0 ? sc->t->rows[i].n_notes : 0;
	return n;
}

/* Names of ports take memory for each WorkloadEntry, not for each service that selects it. */
static void services_times_workloads_times_ports(void)
{
	const uint64_t most = mt_conf_memory;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_unknown_ports(f, "x", 60, 100);
	mt_conf_memory = 8u << 20;
	scene_load_text(&sc, f, &text);
	mt_conf_memory = most;
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s59.x"), 60);
	CU_ASSERT(scene_has(&sc, "spec.ports.p9", "no service that selects it has a port \"p9\""));
	CU_ASSERT_FALSE(scene_has(&sc, "spec.ports.tcp-", "no service that selects it"));
	scene_end(&sc);
}

/* A namespace has a share of names of ports that are compared, and all of its instances. */
static void ports_have_shares(void)
{
	const uint64_t most = mt_conf_compared;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_unknown_ports(f, "greedy", 20, 30);
	put_unknown_ports(f, "other", 5, 1);
	mt_conf_compared = 4000;
	scene_load_text(&sc, f, &text);
	mt_conf_compared = most;
	CU_ASSERT(scene_has(&sc, "note", "of namespace greedy are too many for all of their"));
	CU_ASSERT_FALSE(scene_has(&sc, "spec.ports.p29", "no service that selects it"));
	CU_ASSERT_EQUAL(notes_of(&sc, "other"), 5);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s19.greedy"), 20);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s04.other"), 5);
	scene_end(&sc);
}

/* Writes `n` services by names, and as many WorkloadEntries with names, one for each. */
static void put_names(FILE *f, const char *ns, int n)
{
	for (int i = 0; i < n; i++)
		fprintf(f,
			"---\n" ISTIO("ServiceEntry", "s%02d",
				"%s") "  hosts: [s%02d.%s]\n  ports: [{number: 80, name: tcp}]\n"
				      "  resolution: DNS\n  workloadSelector: {labels: {app: s, "
				      "of: s%d}}\n---\n" ISTIO("WorkloadEntry", "w%d",
					      "%s") "  address: w%d.example\n  labels: {app: s, "
						    "of: "
						    "s%d}\n",
			i, ns, i, ns, i, i, ns, i, i);
	fprintf(f,
		"---\n" ISTIO("WorkloadEntry", "lost", "%s") "  address: lost.example\n"
							     "  labels: {app: s, of: none}\n",
		ns);
}

/*
 * WorkloadEntries with names are compared with services by names within a share, and are not
 * reported as unused if some were not compared.
 */
static void names_times_services(void)
{
	const uint64_t most = mt_conf_compared;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_names(f, "greedy", 60);
	put_names(f, "other", 5);
	mt_conf_compared = 2000;
	scene_load_text(&sc, f, &text);
	mt_conf_compared = most;
	CU_ASSERT(scene_has(&sc, "warning", "namespace greedy are too many: further ones"));
	CU_ASSERT_EQUAL(scene_row(&sc, "WorkloadEntry", "w59")->n_notes, 0);
	CU_ASSERT(scene_has(&sc, "warning", "\"lost.example\" is not an address"));
	for (uint32_t i = 0; i < sc.t->n; i++)
		if (strcmp(sc.t->rows[i].o->name, "lost") == 0)
			CU_ASSERT_EQUAL(sc.t->rows[i].n_notes,
				strcmp(sc.t->rows[i].o->ns, "other") == 0 ? 1 : 0);
	scene_end(&sc);
}

/* Length of lists whose product would be too many comparisons. */
#define LONG 16000

/* Matches for ports and hosts of a VirtualService are compared as often as their sum. */
static void ports_of_matches_times_hosts(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	uint64_t from;

	fprintf(f, ISTIO("ServiceEntry", "s", "x") "  ports: [{number: 80, name: tcp}]\n"
						   "  resolution: STATIC\n"
						   "  endpoints: [{address: 198.51.100.1}]\n"
						   "  hosts:\n");
	for (int i = 0; i < LONG; i++)
		fprintf(f, "  - h%d.x\n", i);
	fprintf(f, "---\n" ISTIO("VirtualService", "v", "x") "  hosts:\n");
	for (int i = 0; i < LONG; i++)
		fprintf(f, "  - h%d.x\n", i);
	fprintf(f, "  tcp:\n  - match: [{port: 80}");
	for (int i = 0; i < LONG; i++)
		fprintf(f, ", {port: %d}", 1000 + i);
	fprintf(f, "]\n    route: [{destination: {host: h0.x}}]\n");
	scene_load_text(&sc, f, &text);
	from = n_compared;
	scene_compile(&sc);
	CU_ASSERT(n_compared - from < LONG * 100);
	CU_ASSERT(scene_has(&sc, "spec.tcp[0].match[1].port", "none of its hosts has port 1000"));
	CU_ASSERT_FALSE(scene_has(&sc, "spec.tcp[0].match[0].port", "none of its hosts"));
	scene_end(&sc);
}

#define GWAPI(version, kind, name, ns)                                                             \
	"---\napiVersion: gateway.networking.k8s.io/" version "\nkind: " kind                      \
	"\nmetadata: {name: " name ", namespace: " ns "}\nspec:\n"
#define KUBE_SERVICE(name, ns, ip)                                                                 \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: " name ", namespace: " ns            \
	"}\nspec: {clusterIP: " ip ", ports: [{name: tcp, port: 80}]}\n"

/* Writes a route of namespace x with 50 backends of namespace y, and a grant with long lists. */
static void put_grant(FILE *f, const char *ns, int n)
{
	fputs(KUBE_SERVICE("s", "x", "10.9.0.1") KUBE_SERVICE("u", "y", "10.9.0.2")
			GWAPI("v1alpha2", "TCPRoute", "r",
				"x") "  parentRefs: [{kind: Service, group: '', name: s}]\n"
				     "  rules:\n  - backendRefs:\n",
		f);
	for (int i = 0; i < 50; i++)
		fputs("    - {name: u, namespace: y, port: 80}\n", f);
	fprintf(f, GWAPI("v1beta1", "ReferenceGrant", "g", "%s") "  from:\n", ns);
	for (int i = 0; i < n; i++)
		fprintf(f,
			"  - {group: gateway.networking.k8s.io, kind: TCPRoute, namespace: n%d}\n",
			i);
	fputs("  - {group: gateway.networking.k8s.io, kind: TCPRoute, namespace: x}\n"
	      "  to: [{group: '', kind: Service}]\n",
		f);
}

static void load_grant(struct scene *sc, const char *ns, int n)
{
	const uint64_t most = mt_objects_work;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_grant(f, ns, n);
	mt_objects_work = 10000;
	scene_load_text(sc, f, &text);
	mt_objects_work = most;
}

/* Backends times lists of ReferenceGrants: a namespace has a share, for grants that may apply. */
static void backends_times_grants(void)
{
	static const char cut[] = "not all of its parents are served by it";
	struct scene sc;

	load_grant(&sc, "y", 10);
	IS_STATUS(&sc, "ReferenceGrant", "g", "in-force");
	CU_ASSERT_FALSE(scene_has(&sc, "warning", cut));
	CU_ASSERT_FALSE(scene_has(&sc, "warning", "no ReferenceGrant of namespace y"));
	scene_end(&sc);
	load_grant(&sc, "y", 1000);
	CU_ASSERT(scene_has(&sc, "warning", cut));
	CU_ASSERT_FALSE(scene_has(&sc, "warning", "no ReferenceGrant of namespace y"));
	scene_end(&sc);
	load_grant(&sc, "z", 1000);
	CU_ASSERT_FALSE(scene_has(&sc, "warning", cut));
	CU_ASSERT(scene_has(&sc, "warning", "no ReferenceGrant of namespace y"));
	scene_end(&sc);
}

/* Matches by a value times hosts of a VirtualService, too. */
static void values_of_matches_times_hosts(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	uint64_t from;

	fprintf(f, ISTIO("ServiceEntry", "s", "x") "  resolution: STATIC\n"
						   "  location: MESH_INTERNAL\n"
						   "  ports: [{number: 80, name: "
						   "tcp-metaprotocol-dubbo}]\n"
						   "  endpoints: [{address: 198.51.100.1}]\n"
						   "  hosts:\n");
	for (int i = 0; i < LONG; i++)
		fprintf(f, "  - h%d.x\n", i);
	fprintf(f, "---\n" ISTIO("VirtualService", "v", "x") "  hosts:\n");
	for (int i = 0; i < LONG; i++)
		fprintf(f, "  - h%d.x\n", i);
	fprintf(f, "  dubbo:\n  - match:\n");
	for (int i = 0; i < LONG; i++)
		fprintf(f, "    - {headers: {method: {exact: m%d}}}\n", i);
	fprintf(f, "    route: [{destination: {host: h0.x}}]\n");
	scene_load_text(&sc, f, &text);
	from = n_compared;
	scene_compile(&sc);
	CU_ASSERT(n_compared - from < LONG * 100);
	CU_ASSERT(scene_has(&sc, "spec.dubbo", "calls of h0.x that no match takes have no route"));
	scene_end(&sc);
}

/* Writes a service with `ports` ports, and `n` endpoints with as many ports of other names. */
static void put_mistyped(FILE *f, int n, int ports)
{
	fprintf(f, "---\n" ISTIO("ServiceEntry", "s", "x") "  hosts: [s.x]\n  resolution: STATIC\n"
							   "  ports:\n");
	for (int k = 0; k < ports; k++)
		fprintf(f, "  - {number: %d, name: tcp-%d}\n", k + 1, k);
	fputs("  endpoints:\n", f);
	for (int i = 0; i < n; i++) {
		fprintf(f, "  - address: 10.8.0.%d\n    ports: {tcp-0: 1", i);
		for (int k = 0; k < ports; k++)
			fprintf(f, ", tcq-%d: 1", k);
		fputs("}\n", f);
	}
}

/*
 * Each port of the service is looked up twice among the ports of each endpoint, which counts as
 * work. The check of the endpoints' ports adds none of these comparisons.
 */
static void ports_times_ports(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	uint64_t from = n_compared;

	put_mistyped(f, 100, 800);
	scene_load_text(&sc, f, &text);
	CU_ASSERT(n_compared - from < 100 * 800 * 800 / 2 * 5);
	IS_STATUS(&sc, "ServiceEntry", "s", "refused");
	CU_ASSERT(scene_has(&sc, "spec.endpoints[0].ports.tcq-0",
		"the service has no port \"tcq-0\" (did you mean tcp-0?)"));
	CU_ASSERT_FALSE(scene_has(&sc, "spec.endpoints[0].ports.tcp-0", "has no port"));
	scene_end(&sc);
}

/* A node whose callers have principals, by the port that they use. */
static const char vouching[] =
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n  ports:\n"
	"  - {name: p0, device: net_null0, addresses: [192.0.2.1/24], side: workloads}\n";

/* Principals of a policy are repeated for the aliases of the trust domain, each once. */
static void principals_of_a_policy(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	uint64_t from;

	fputs(SERVICE("s", "x", "198.51.100.1"), f);
	fputs("---\n" SECURITY("AuthorizationPolicy", "p", "x", "") "  rules:\n"
								    "  - from:\n"
								    "    - source:\n"
								    "        principals:\n",
		f);
	for (int i = 0; i < LONG; i++)
		fprintf(f, "        - cluster.local/ns/x/sa/a%d\n", i);
	fclose(f);
	scene_begin(&sc);
	scene_write(&sc, "0-node.yaml", vouching);
	scene_write(&sc, "a.yaml", text);
	free(text);
	scene_load(&sc);
	from = n_compared;
	scene_compile(&sc);
	CU_ASSERT(n_compared - from < LONG * 100);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s.x"), 1);
	scene_end(&sc);
}

#define ISSUERS 3000

/* Keys that many rules for tokens contain are found without a look at all others. */
static void keys_of_tokens(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	uint64_t from;

	fputs(ISTIO("ServiceEntry", "s", "x") "  hosts: [s.x]\n  resolution: STATIC\n"
					      "  location: MESH_INTERNAL\n"
					      "  ports: [{number: 80, name: "
					      "tcp-metaprotocol-dubbo}]\n  endpoints:\n",
		f);
	for (int i = 0; i < ISSUERS; i++)
		fprintf(f, "  - {address: 10.1.%d.%d, labels: {app: a%d}}\n", i / 256, i % 256, i);
	for (int i = 0; i < ISSUERS; i++)
		fprintf(f,
			"---\n" SECURITY("RequestAuthentication", "t%d", "x",
				"{selector: {matchLabels: {app: a%d}}, jwtRules: [{issuer: i%d, "
				"jwks: '{\"keys\":[],\"n\":%d}'}]}"),
			i, i, i, i);
	fclose(f);
	scene_begin(&sc);
	scene_write(&sc, "a.yaml", text);
	free(text);
	from = n_compared;
	scene_load(&sc);
	CU_ASSERT(n_compared - from < ISSUERS * ISSUERS / 2);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s.x"), ISSUERS);
	scene_end(&sc);
}

const struct mt_test lists_tests[] = {
	{"services_times_workloads_times_ports", services_times_workloads_times_ports},
	{"ports_have_shares", ports_have_shares},
	{"names_times_services", names_times_services},
	{"ports_of_matches_times_hosts", ports_of_matches_times_hosts},
	{"backends_times_grants", backends_times_grants},
	{"values_of_matches_times_hosts", values_of_matches_times_hosts},
	{"ports_times_ports", ports_times_ports},
	{"principals_of_a_policy", principals_of_a_policy},
	{"keys_of_tokens", keys_of_tokens},
	{0},
};
