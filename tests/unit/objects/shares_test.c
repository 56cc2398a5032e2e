/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares of what a load may take: an author who writes too much loses objects by name, and the
 * objects of all others are read, compiled and served.
 */
#include "objects_test.h"

#include <stdio.h>
#include <string.h>

#define KIB 1024u

/* Writes a service of about so many KiB. */
static void put(FILE *f, const char *ns, const char *name, uint32_t kib)
{
	fprintf(f,
		"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
		"metadata: {name: %s, namespace: %s, annotations: {x: \"%0*d\"}}\nspec:\n"
		"  hosts: [%s.%s]\n  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"
		"  location: MESH_INTERNAL\n  resolution: STATIC\n"
		"  endpoints: [{address: 198.51.100.1}]\n",
		name, ns, (int)(kib * KIB), 1, name, ns);
}

/* Writes services NAME1 to NAMEn into a file. */
static void put_all(
	struct scene *sc, const char *file, const char *ns, const char *name, int n, uint32_t kib)
{
	char *text, one[16];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (int i = 1; i <= n; i++) {
		snprintf(one, sizeof(one), "%s%d", name, i);
		put(f, ns, one, kib);
	}
	fclose(f);
	scene_write(sc, file, text);
	free(text);
}

static void begin(struct scene *sc, uint32_t kib)
{
	scene_begin(sc);
	mt_objects_memory = kib * KIB;
}

static void end(struct scene *sc)
{
	mt_objects_memory = MT_MODEL_LIMIT;
	scene_end(sc);
}

/* Number of objects of the namespace with this status. */
static uint32_t count(const struct scene *sc, const char *ns, enum mt_object_status status)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < sc->t->n; i++)
		n += strcmp(sc->t->rows[i].o->ns, ns) == 0 && sc->t->rows[i].status == status;
	return n;
}

/* The oldest are used as far as the share goes, and of others all. */
static void one_namespace_takes_too_much(void)
{
	struct scene sc;

	begin(&sc, 1024);
	put_all(&sc, "a.yaml", "greedy", "g", 8, 200);
	put_all(&sc, "b.yaml", "other", "o", 2, 150);
	scene_load(&sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_IN_FORCE), 2);
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_IN_FORCE), 3);
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_REFUSED), 5);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "o1.other"), 1);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "g3.greedy"), 1);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "g4.greedy"), -1);
	CU_ASSERT(scene_has(&sc, "/a.yaml:32: error: takes ", "for objects of namespace greedy: "));
	CU_ASSERT(
		scene_has(&sc, "/a.yaml:32: error: takes ", "(make it smaller, or remove others"));
	/* The same again, with other resources of discovery servers. */
	mt_table_reset(sc.t);
	scene_compile(&sc);
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_IN_FORCE), 3);
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_REFUSED), 5);
	end(&sc);
}

/* New versions that do not fit are not used; a start does as the reload did. */
static void last_good_versions_stay(void)
{
	struct scene sc;
	char *before, *after;

	begin(&sc, 1024);
	put_all(&sc, "a.yaml", "greedy", "g", 8, 1);
	put_all(&sc, "b.yaml", "other", "o", 2, 150);
	scene_load(&sc);
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_IN_FORCE), 8);
	put_all(&sc, "a.yaml", "greedy", "g", 8, 200);
	put_all(&sc, "b.yaml", "other", "o", 2, 160);
	scene_load(&sc);
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_IN_FORCE), 2);
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_IN_FORCE), 3);
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_LAST_GOOD), 5);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "g8.greedy"), 1);
	before = scene_json(&sc);
	scene_restart(&sc);
	scene_load(&sc);
	after = scene_json(&sc);
	CU_ASSERT_STRING_EQUAL(before, after);
	free(before);
	free(after);
	/* One more, which is the oldest by its name, displaces none of those that are in use. */
	put_all(&sc, "c.yaml", "greedy", "a", 1, 200);
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "a1", "refused");
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_IN_FORCE), 3);
	end(&sc);
}

/* Whose objects alone would fill the memory has all of it while others need none. */
static void the_only_owner(void)
{
	struct scene sc;

	begin(&sc, 1024);
	put_all(&sc, "a.yaml", "greedy", "g", 4, 200);
	scene_load(&sc);
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_IN_FORCE), 4);
	put_all(&sc, "a.yaml", "greedy", "g", 9, 200);
	scene_load(&sc);
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_REFUSED), 4);
	end(&sc);
}

/* A policy that is refused denies calls, as one that cannot be read. */
static void a_refused_policy(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f,
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
		"metadata: {name: p, namespace: greedy, annotations: {x: \"%0*d\"}}\n"
		"spec: {action: DENY, rules: [{}]}\n",
		(int)(900 * KIB), 1);
	fclose(f);
	begin(&sc, 1024);
	put_all(&sc, "a.yaml", "greedy", "g", 1, 200);
	put_all(&sc, "b.yaml", "other", "o", 1, 1);
	scene_load(&sc);
	scene_write(&sc, "p.yaml", text);
	scene_load(&sc);
	IS_STATUS(&sc, "AuthorizationPolicy", "p", "refused");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "g1.greedy"), -2);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "o1.other"), 1);
	end(&sc);
	free(text);
}

/* The namespaces of a source that is limited to them have one share together. */
static void namespaces_of_one_source(void)
{
	struct scene sc;
	char cmd[100];

	begin(&sc, 1024);
	snprintf(cmd, sizeof(cmd), "mkdir %s/all %s/team", sc.dir, sc.dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	scene_write(&sc, "0-node.yaml",
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"
		"  sources: [{directory: team, namespaces: [a, b]}, {directory: all}]\n");
	put_all(&sc, "team/a.yaml", "a", "a", 2, 300);
	put_all(&sc, "team/b.yaml", "b", "b", 2, 300);
	put_all(&sc, "all/o.yaml", "other", "o", 3, 150);
	scene_load_node(&sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_IN_FORCE), 3);
	CU_ASSERT_EQUAL(count(&sc, "a", MT_OBJECT_REFUSED) + count(&sc, "b", MT_OBJECT_REFUSED), 3);
	CU_ASSERT(scene_has(&sc, "/team/b.yaml:", "for objects of the source of a, b: "));
	end(&sc);
}

/* Writes `n` Services that select all of `n` workloads of the namespace. */
static void put_services(FILE *f, const char *ns, int n)
{
	for (int i = 0; i < n; i++)
		fprintf(f,
			"---\napiVersion: v1\nkind: Service\nmetadata: {name: s%d, namespace: %s}\n"
			"spec: {clusterIP: 10.9.%d.%d, selector: {app: s}, ports: [{name: tcp-a, "
			"port: 80}]}\n---\n" ISTIO("WorkloadEntry", "w%d",
				"%s") "  address: 10.8.%d.%d\n  labels: {app: s}\n",
			i, ns, *ns, i, i, ns, *ns, i);
}

/* Services times workloads: a namespace with too many lacks endpoints, and no other does. */
static void services_times_workloads(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "greedy", 200);
	put_services(f, "other", 30);
	fclose(f);
	begin(&sc, 8192);
	scene_write(&sc, "a.yaml", text);
	scene_load(&sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_REFUSED), 0);
	CU_ASSERT(sc.t->model->region.used < 5u << 20);
	for (uint32_t i = 0; i < sc.t->n; i++) {
		const struct mt_object_row *row = &sc.t->rows[i];

		if (strcmp(row->o->ns, "other") == 0)
			CU_ASSERT_EQUAL(row->n_notes, 0);
	}
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s0.greedy.svc.cluster.local"), 200);
	CU_ASSERT(scene_endpoints(&sc, "s99.greedy.svc.cluster.local") < 200);
	for (int i = 0; i < 30; i++) {
		char host[64];

		snprintf(host, sizeof(host), "s%d.other.svc.cluster.local", i);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, host), 30);
	}
	CU_ASSERT(scene_has(
		&sc, "warning", "take too much memory or time: further ones are left out"));
	end(&sc);
	free(text);
}

/* Writes `n` services that select all of `n` WorkloadEntries of the namespace. */
static void put_entries(FILE *f, const char *ns, int n)
{
	for (int i = 0; i < n; i++)
		fprintf(f,
			"---\n" ISTIO("ServiceEntry", "s%02d",
				"%s") "  hosts: [s%02d.%s]\n  ports: [{number: 80, name: "
				      "tcp-metaprotocol-dubbo}]\n  location: MESH_INTERNAL\n"
				      "  resolution: STATIC\n  workloadSelector: {labels: {app: "
				      "s}}\n---\n" ISTIO("WorkloadEntry", "w%d",
					      "%s") "  address: 10.8.%d.%d\n  labels: {app: s}\n",
			i, ns, i, ns, i, ns, *ns, i);
}

/* ServiceEntries times workloads fill the memory of a build: it has shares, too. */
static void entries_times_workloads(void)
{
	const uint32_t most = mt_conf_instances;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_entries(f, "greedy", 60);
	put_entries(f, "other", 15);
	fclose(f);
	scene_begin(&sc);
	mt_conf_instances = 1000;
	scene_write(&sc, "a.yaml", text);
	scene_load(&sc);
	mt_conf_instances = most;
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s00.greedy"), 60);
	CU_ASSERT(scene_endpoints(&sc, "s59.greedy") < 60);
	CU_ASSERT(scene_has(&sc, "warning", "namespace greedy are too many: further ones"));
	for (int i = 0; i < 15; i++) {
		char host[64];

		snprintf(host, sizeof(host), "s%02d.other", i);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, host), 15);
	}
	for (uint32_t i = 0; i < sc.t->n; i++)
		if (strcmp(sc.t->rows[i].o->ns, "other") == 0)
			CU_ASSERT_EQUAL(sc.t->rows[i].n_notes, 0);
	scene_end(&sc);
	free(text);
}

/* DestinationRules of one host are joined in memory for all of them, not for each pair. */
static void rules_of_one_host(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put(f, "x", "a", 1);
	for (int i = 0; i < 8000; i++)
		fprintf(f,
			"---\n" ISTIO("DestinationRule", "d%d",
				"x") "  host: a.x\n  subsets: [{name: v%d, labels: {v: v%d}}]\n",
			i, i, i);
	fclose(f);
	scene_begin(&sc);
	scene_write(&sc, "a.yaml", text);
	scene_load(&sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	scene_end(&sc);
	free(text);
}

/* Writes services s0.x.example to sN.x.example of namespace x. */
static void put_hosts(FILE *f, int n)
{
	for (int i = 0; i < n; i++)
		fprintf(f,
			"---\n" ISTIO("ServiceEntry", "s%d",
				"x") "  hosts: [s%d.x.example]\n  resolution: STATIC\n"
				     "  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"
				     "  endpoints: [{address: 198.51.100.1}]\n",
			i, i);
}

/* Writes a Service with `ports` ports, and `n` endpoints in its slice with these. */
static void put_ports(FILE *f, int ports, int n)
{
	fprintf(f, "---\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: x}\n"
		   "spec:\n  clusterIP: 10.9.0.1\n  ports:\n");
	for (int i = 0; i < ports; i++)
		fprintf(f, "  - {name: tcp-%d, port: %d}\n", i, i + 1);
	fprintf(f,
		"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s1, "
		"namespace: x, labels: {kubernetes.io/service-name: s}}\naddressType: IPv4\n"
		"ports:\n");
	for (int i = 0; i < ports; i++)
		fprintf(f, "- {name: tcp-%d, port: %d}\n", i, i + 1);
	fprintf(f, "endpoints:\n");
	for (int i = 0; i < n; i++)
		fprintf(f, "- addresses: [10.8.%d.%d]\n", i >> 8, i & 255);
}

/* Endpoints of a slice share their list of ports, so that a Service takes the sum of both. */
static void ports_times_endpoints(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_ports(f, 200, 1000);
	fclose(f);
	begin(&sc, 4096);
	scene_write(&sc, "a.yaml", text);
	scene_load(&sc);
	free(text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	CU_ASSERT_FALSE(scene_has(&sc, "warning", "take too much memory"));
	CU_ASSERT_EQUAL(sc.t->model->service_entries.n, 1);
	CU_ASSERT_EQUAL(
		((struct mt_service_entry *)sc.t->model->service_entries.v[0])->n_endpoints, 1000);
	end(&sc);
}

/*
 * Writes `n` ServiceEntries, and `n` Pods and WorkloadEntries, which have all three of their labels
 * in namespace other, and any two of them in others.
 */
static void put_selectors(FILE *f, const char *ns, int n)
{
	static const char *const some[] = {
		"a: a, b: b, c: d", "a: a, b: d, c: c", "a: d, b: b, c: c"};

	for (int i = 0; i < n; i++) {
		const char *labels = *ns == 'o' ? "a: a, b: b, c: c" : some[i % 3];

		fprintf(f,
			"---\n" ISTIO("ServiceEntry", "s%d",
				"%s") "  hosts: [s%d.%s]\n"
				      "  ports: [{number: 80, name: tcp}]\n  resolution: STATIC\n"
				      "  workloadSelector: {labels: {a: a, b: b, c: c}}\n",
			i, ns, i, ns);
		fprintf(f,
			"---\n" ISTIO("WorkloadEntry", "w%d",
				"%s") "  address: 10.8.%d.%d\n  labels: {%s}\n",
			i, ns, *ns, i, labels);
		fprintf(f,
			"---\napiVersion: v1\nkind: Pod\n"
			"metadata: {name: p%d, namespace: %s, labels: {%s}}\n"
			"status: {phase: Running, podIP: 10.7.%d.%d, "
			"conditions: [{type: Ready, status: 'True'}]}\n",
			i, ns, labels, *ns, i);
	}
}

/* Selectors times workloads that they do not select: a namespace has a share of comparisons. */
static void selectors_times_workloads(void)
{
	const uint64_t most = mt_objects_work;
	struct scene sc;
	char *text, host[32];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_selectors(f, "greedy", 200);
	put_selectors(f, "other", 10);
	mt_objects_work = 4000;
	scene_load_text(&sc, f, &text);
	mt_objects_work = most;
	CU_ASSERT(scene_has(&sc, "warning", "not all workloads are compared with it"));
	for (int i = 0; i < 10; i++) {
		snprintf(host, sizeof(host), "s%d.other", i);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, host), 20);
	}
	scene_end(&sc);
}

/*
 * EndpointSlices that lack their Service are compared with names of Services within a share, so
 * that the hint for the slice of another namespace stays.
 */
static void strays_times_services(void)
{
#define SLICE                                                                                      \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: q%d, "        \
	"namespace: %s, labels: {kubernetes.io/service-name: %s}}\naddressType: IPv4\n"            \
	"endpoints: []\n"
	const uint64_t most = mt_objects_work;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (int i = 0; i < 300; i++)
		fprintf(f,
			"---\napiVersion: v1\nkind: Service\nmetadata: {name: s%d, namespace: "
			"greedy}"
			"\nspec: {ports: [{name: tcp, port: 80}]}\n" SLICE,
			i, i, "greedy", "quite-another");
	fprintf(f,
		"---\napiVersion: v1\nkind: Service\nmetadata: {name: basket, namespace: other}\n"
		"spec: {ports: [{name: tcp, port: 80}]}\n" SLICE,
		300, "other", "baskt");
	mt_objects_work = 20000;
	scene_load_text(&sc, f, &text);
	mt_objects_work = most;
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_NO_EFFECT), 300);
	CU_ASSERT(scene_has(
		&sc, "metadata", "kubernetes.io/service-name: basket, in namespace other"));
	scene_end(&sc);
}

/* The hosts that objects affect are listed within a share, too. */
static void touches_have_shares(void)
{
	const uint64_t most = mt_objects_work;
	uint32_t n = 0;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_entries(f, "x", 80);
	fprintf(f, "---\n" SERVICE("last", "z", "198.51.100.1"));
	mt_objects_work = 4000;
	scene_load_text(&sc, f, &text);
	mt_table_touch(sc.t);
	mt_objects_work = most;
	for (uint32_t i = 0; i < sc.t->n; i++)
		n += sc.t->rows[i].n_touches;
	CU_ASSERT(n > 1000 && n < 4000);
	CU_ASSERT_EQUAL(scene_row(&sc, "ServiceEntry", "last")->n_touches, 1);
	scene_end(&sc);
}

/*
 * Wildcard rules times hosts take the memory of their sum, whether the rules are joined for the
 * hosts or are of a namespace without clients.
 */
static void rules_times_hosts(void)
{
	const uint64_t most = mt_conf_memory;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_hosts(f, 1000);
	for (int i = 0; i < 2000; i++)
		fprintf(f,
			"---\n" ISTIO("DestinationRule", "d%d", "%s") "  host: '*.x.example'\n%s",
			i, i % 2 ? "x" : "y",
			i == 1999 ? "  subsets: [{name: v, labels: {v: v}}]\n" : "");
	mt_conf_memory = 16u << 20;
	scene_load_text(&sc, f, &text);
	mt_conf_memory = most;
	CU_ASSERT_EQUAL(count(&sc, "x", MT_OBJECT_IN_FORCE), 2000);
	CU_ASSERT_EQUAL(count(&sc, "y", MT_OBJECT_NO_EFFECT), 1000);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s999.x.example"), 1);
	scene_end(&sc);
}

/* Wildcards of VirtualServices visit free hosts only, each once. */
static void routes_times_hosts(void)
{
	const uint32_t most = mt_conf_wildcards;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_hosts(f, 500);
	for (int i = 0; i < 1000; i++)
		fprintf(f,
			"---\n" ISTIO("VirtualService", "v%04d",
				"%s") "  hosts: ['*.x.example']\n%s"
				      "  dubbo: [{name: v%04d, route: [{destination: {host: "
				      "s0.x.example}}]}]\n",
			i, i % 2 ? "x" : "y", i % 2 ? "" : "  exportTo: ['.']\n", i);
	mt_conf_wildcards = 8000;
	scene_load_text(&sc, f, &text);
	mt_conf_wildcards = most;
	CU_ASSERT_FALSE(scene_has(&sc, "warning", "are too many"));
	IS_STATUS(&sc, "VirtualService", "v0001", "in-force-with-notes");
	IS_STATUS(&sc, "VirtualService", "v0003", "shadowed");
	IS_STATUS(&sc, "VirtualService", "v0000", "no-effect");
	scene_end(&sc);
}

/* A namespace with too much work for wildcards lacks some of it, and no other does. */
static void too_many_wildcards(void)
{
	const uint32_t most = mt_conf_wildcards;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_hosts(f, 20);
	for (int i = 0; i < 200; i++)
		fprintf(f,
			"---\n" ISTIO("VirtualService", "v%04d",
				"%s") "  hosts: ['*%d.x.example']\n"
				      "  dubbo: [{route: [{destination: {host: s0.x.example}}]}]\n",
			i, i < 190 ? "greedy" : "other", i < 190 ? 0 : i - 180);
	mt_conf_wildcards = 200;
	scene_load_text(&sc, f, &text);
	mt_conf_wildcards = most;
	CU_ASSERT(scene_has(&sc, "warning", "VirtualServices of namespace greedy are too many"));
	for (int i = 190; i < 200; i++) {
		char name[16];

		snprintf(name, sizeof(name), "v%04d", i);
		IS_STATUS(&sc, "VirtualService", name, "in-force");
		CU_ASSERT_EQUAL(scene_row(&sc, "VirtualService", name)->n_notes, 0);
	}
	scene_end(&sc);
}

/* ---- diagnostics ----------------------------------------------------------------------------- */

#define BROKEN(name, ns, host)                                                                     \
	"---\n" ISTIO(                                                                             \
		"VirtualService", name, ns) "  hosts: [" host "]\n"                                \
					    "  http: [{route: [{destination: {host: a.x}}], "      \
					    "rewrite: {uri: /}}]\n"

/* The list is full; what has errors is refused nevertheless, and nothing else. */
static void more_messages_than_are_kept(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs(SERVICE("a", "x", "198.51.100.1") "---\n" SERVICE("g", "greedy", "198.51.100.2"), f);
	fputs(BROKEN("theirs", "greedy", "g.greedy") BROKEN("mine", "x", "a.x"), f);
	fclose(f);
	scene_begin(&sc);
	scene_write(&sc, "a.yaml", text);
	sc.fill = MT_DIAG_KEEP;
	scene_load(&sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	IS_STATUS(&sc, "VirtualService", "mine", "refused");
	IS_STATUS(&sc, "VirtualService", "theirs", "refused");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	/* The other namespace has its messages, and that of the many has no more. */
	CU_ASSERT(scene_has(&sc, "/a.yaml:", "rewrite: cannot be applied"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(scene_row(&sc, "VirtualService", "mine")->why, "cannot be applied"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(scene_row(&sc, "VirtualService", "theirs")->why, "too many messages"));
	scene_end(&sc);
	free(text);
}

const struct mt_test shares_tests[] = {
	{"one_namespace_takes_too_much", one_namespace_takes_too_much},
	{"last_good_versions_stay", last_good_versions_stay},
	{"the_only_owner", the_only_owner},
	{"a_refused_policy", a_refused_policy},
	{"namespaces_of_one_source", namespaces_of_one_source},
	{"services_times_workloads", services_times_workloads},
	{"entries_times_workloads", entries_times_workloads},
	{"rules_of_one_host", rules_of_one_host},
	{"rules_times_hosts", rules_times_hosts},
	{"routes_times_hosts", routes_times_hosts},
	{"too_many_wildcards", too_many_wildcards},
	{"ports_times_endpoints", ports_times_endpoints},
	{"selectors_times_workloads", selectors_times_workloads},
	{"strays_times_services", strays_times_services},
	{"touches_have_shares", touches_have_shares},
	{"more_messages_than_are_kept", more_messages_than_are_kept},
	{0},
};
