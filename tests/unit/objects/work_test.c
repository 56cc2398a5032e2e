/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work of a compilation that documents multiply: a namespace that writes too much of it has objects
 * refused by name, those in force stay, and other namespaces keep all of theirs.
 */
#include "work_test.h"

#include "mt_authz.h"

static void put_rules(FILE *f, const char *ns, const char *name, int n)
{
	fprintf(f,
		"---\n" ISTIO("VirtualService", "%s", "%s") "  hosts: ['*.%s.example']\n  dubbo:\n",
		name, ns, ns);
	for (int i = 0; i < n; i++)
		fprintf(f,
			"  - {match: [{headers: {k: {exact: v%d}}}], route: [{destination: {host: "
			"s0.%s.example}}]}\n",
			i, ns);
}

/* Rules of a wildcard times its hosts: 40 x 40 routes are too many, 20 x 5 are not. */
static void hosts_times_rules(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "greedy", 40, 1, 1);
	put_rules(f, "greedy", "many", 40);
	put_services(f, "other", 20, 1, 1);
	put_rules(f, "other", "few", 5);
	load(&sc, 40000, f, &text);
	IS_STATUS(&sc, "VirtualService", "many", "refused");
	CU_ASSERT(scene_has(&sc, "write fewer rules or shorter texts, or name fewer hosts", OVER));
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_IN_FORCE), 40);
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_IN_FORCE), 21);
	CU_ASSERT_EQUAL(sc.rounds, 2);
	scene_end(&sc);
}

/* What is reused of an earlier build counts as if it was made again. */
static void reuse_is_counted(void)
{
	const uint64_t most = mt_conf_steps;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "x", 20, 1, 1);
	put_rules(f, "x", "v", 10);
	scene_load_text(&sc, f, &text);
	IS_STATUS(&sc, "VirtualService", "v", "in-force");
	mt_conf_steps = 5000;
	scene_compile(&sc);
	mt_conf_steps = most;
	IS_STATUS(&sc, "VirtualService", "v", "refused");
	scene_end(&sc);
}

/*
 * Subsets of a wildcard times its hosts: services are closed, and the rule is not refused, because
 * all calls need its TLS settings.
 */
static void hosts_times_subsets(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "greedy", 30, 1, 1);
	fprintf(f, "---\n" ISTIO("DestinationRule", "many", "greedy") "  host: '*.greedy.example'\n"
								      "  subsets:\n");
	for (int i = 0; i < 30; i++)
		fprintf(f, "  - {name: v%d, labels: {app: a}}\n", i);
	put_services(f, "other", 20, 1, 1);
	load(&sc, 40000, f, &text);
	IS_STATUS(&sc, "DestinationRule", "many", "in-force");
	CU_ASSERT(count(&sc, "greedy", MT_OBJECT_FAIL_CLOSED) > 5);
	CU_ASSERT(count(&sc, "greedy", MT_OBJECT_FAIL_CLOSED) < 20);
	CU_ASSERT(scene_has(&sc, "write fewer ports, subsets, endpoints or policies", OVER));
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s19.other.example"), 1);
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_REFUSED), 0);
	scene_end(&sc);
}

static void put_policies(FILE *f, const char *ns, int n)
{
	for (int i = 0; i < n; i++)
		fprintf(f,
			"---\n" SECURITY("AuthorizationPolicy", "p%d", "%s",
				"{selector: {matchLabels: {app: a}}, action: DENY, rules: [{to: "
				"[{operation: {ports: ['%d']}}]}]}"),
			i, ns, i + 1000);
}

/* The service with too many policies is closed, and no policy of its namespace is refused. */
static void endpoints_times_policies(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "greedy", 2, 60, 1);
	put_services(f, "other", 2, 60, 1);
	put_policies(f, "greedy", 290);
	put_policies(f, "other", 10);
	load(&sc, 192000, f, &text);
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_FAIL_CLOSED), 1);
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_REFUSED), 0);
	CU_ASSERT(scene_has(&sc, "endpoints or policies", OVER));
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s1.other.example"), 60);
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_REFUSED), 0);
	scene_end(&sc);
}

/*
 * Each endpoint has policies in the clusters that it is in, not in those of all subsets: 20 subsets
 * of one endpoint each need less than a sixth of 20 with all endpoints.
 */
static void policies_in_subsets(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int all = 0; all < 2; all++) {
		FILE *f = open_memstream(&text, &size);

		fputs(ISTIO("ServiceEntry", "s", "greedy"), f);
		fputs("  hosts: [s.greedy.example]\n  resolution: STATIC\n", f);
		fputs("  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n", f);
		fputs("  endpoints:\n", f);
		for (int i = 1; i <= 20; i++)
			fprintf(f, "  - {address: 198.51.100.%d, labels: {app: a, v: v%d}}\n", i,
				i);
		fputs("---\n" ISTIO("DestinationRule", "d", "greedy"), f);
		fputs("  host: s.greedy.example\n  subsets:\n", f);
		for (int i = 1; i <= 20; i++)
			if (all)
				fprintf(f, "  - {name: v%d, labels: {app: a}}\n", i);
			else
				fprintf(f, "  - {name: v%d, labels: {app: a, v: v%d}}\n", i, i);
		put_policies(f, "greedy", 100);
		load(&sc, 40000, f, &text);
		IS_STATUS(&sc, "DestinationRule", "d", "in-force");
		CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_FAIL_CLOSED), (uint32_t)all);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "s.greedy.example"), all ? -2 : 20);
		scene_end(&sc);
	}
}

/* Only policies with labels of an endpoint are work for it. */
static void policies_by_label(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (int i = 0; i < 200; i++)
		fprintf(f,
			"---\n" ISTIO("ServiceEntry", "s%d",
				"x") "  hosts: [s%d.x]\n  resolution: STATIC\n"
				     "  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"
				     "  location: MESH_INTERNAL\n"
				     "  endpoints: [{address: 198.51.100.1, labels: {app: a%d, x: "
				     "x}}]\n"
				     "---\n" SECURITY("AuthorizationPolicy", "p%d", "x",
					     "{selector: {matchLabels: {x: x, app: a%d}}, action: "
					     "DENY, rules: [{}]}"),
			i, i, i, i, i);
	load(&sc, 200 * 140, f, &text);
	CU_ASSERT_EQUAL(count(&sc, "x", MT_OBJECT_IN_FORCE), 400);
	scene_end(&sc);
}

/* One service of a mesh: 2 ports, 2 subsets, 5 endpoints, 2 routes and a policy of its own. */
static void put_usual(FILE *f, int i)
{
	fprintf(f,
		"---\n" ISTIO("ServiceEntry", "s%d",
			"x") "  hosts: [s%d.x]\n  location: MESH_INTERNAL\n  resolution: STATIC\n"
			     "  ports: [{number: 80, name: tcp-metaprotocol-dubbo}, {number: 81, "
			     "name: tcp-metaprotocol-dubbo-2}]\n  endpoints:\n",
		i, i);
	for (int k = 0; k < 5; k++)
		fprintf(f,
			"  - {address: 10.1.%d.%d, labels: {app: s%d, version: v%d, tier: b, hash: "
			"h%d}}\n",
			i, k, i, k % 2, i);
	fprintf(f,
		"---\n" ISTIO(
			"DestinationRule", "d%d", "x") "  host: s%d.x\n  subsets:\n"
						       "  - {name: v0, labels: {version: v0}}\n"
						       "  - {name: v1, labels: {version: v1}}\n"
						       "---\n",
		i, i);
	fprintf(f,
		ISTIO("VirtualService", "v%d",
			"x") "  hosts: [s%d.x]\n  dubbo:\n"
			     "  - match: [{headers: {x: {exact: a}}}]\n"
			     "    route: [{destination: {host: s%d.x, subset: v0}}]\n"
			     "  - route: [{destination: {host: s%d.x, subset: v1}}]\n---\n",
		i, i, i, i);
	fprintf(f,
		SECURITY("AuthorizationPolicy", "p%d", "x",
			"{selector: {matchLabels: {app: s%d}}, rules: [{to: [{operation: {ports: "
			"['80', '81']}}]}]}"),
		i, i);
}

/* 10,000 of them need at most a seventh of the limit. */
static void a_mesh_has_room(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (int i = 0; i < 100; i++)
		put_usual(f, i);
	load(&sc, 100 * mt_conf_steps / 7 / 10000, f, &text);
	CU_ASSERT_EQUAL(count(&sc, "x", MT_OBJECT_IN_FORCE), 400);
	scene_end(&sc);
}

/* Writes a policy with conditions on 10 ports, in all rules. */
static void put_port_policy(FILE *f, const char *name, int i, const char *ns, int rules)
{
	fprintf(f, "---\n" SECURITY("AuthorizationPolicy", "%s%d", "%s", ""), name, i, ns);
	fprintf(f, "  action: DENY\n  rules:\n");
	for (int k = 0; k < rules; k++)
		fprintf(f,
			"  - to: [{operation: {ports: ['80', '81', '82', '%d', '4', '5', '6', '7', "
			"'8', '9']}}]\n    from: [{source: {namespaces: [n%d, a, b, c]}}]\n",
			10 + i, k);
}

/* 10,000 services with 3 ports, and 5 policies of the mesh, need at most a quarter of the limit. */
static void policies_of_a_mesh_have_room(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (int i = 0; i < 100; i++) {
		char ns[16];

		snprintf(ns, sizeof(ns), "n%d", i);
		put_services(f, ns, 1, 1, 3);
		put_policies(f, ns, 3);
	}
	for (int i = 0; i < 5; i++)
		put_port_policy(f, "mesh", i, "istio-system", 1);
	load(&sc, 100 * mt_conf_steps / 4 / 10000, f, &text);
	CU_ASSERT_EQUAL(
		count(&sc, "n99", MT_OBJECT_REFUSED) + count(&sc, "n0", MT_OBJECT_REFUSED), 0);
	for (int i = 0; i < 100; i++) {
		char name[32];

		snprintf(name, sizeof(name), "s0.n%d.example", i);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, name), 1);
	}
	CU_ASSERT_FALSE(scene_has(&sc, "", "thousand steps of work"));
	scene_end(&sc);
}

/* So does a Gateway with 500 servers and 200 policies, or with 500 hosts. */
static void policies_of_a_gateway_have_room(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int hosts = 0; hosts < 2; hosts++) {
		FILE *f = open_memstream(&text, &size);

		fputs("---\n" ISTIO("Gateway", "g", "x") "  selector: {}\n  servers:\n", f);
		for (int i = 0; i < (hosts ? 1 : 500); i++) {
			fprintf(f, "  - port: {number: %d, name: tcp}\n    hosts: [h0.example",
				1000 + i);
			for (int k = 1; k < (hosts ? 500 : 1); k++)
				fprintf(f, ", h%d.example", k);
			fputs("]\n", f);
		}
		for (int i = 0; i < 200; i++)
			put_port_policy(f, "p", i, "x", 1);
		load(&sc, mt_conf_steps / 4, f, &text);
		CU_ASSERT_FALSE(scene_has(&sc, "", "thousand steps of work"));
		CU_ASSERT_EQUAL(count(&sc, "x", MT_OBJECT_REFUSED), 0);
		scene_end(&sc);
	}
}

/* Whatever new namespaces need, and after a restart as well. */
static void those_in_force_stay(void)
{
	struct scene sc;

	scene_begin(&sc);
	put_file(&sc, "b", 6, 100);
	load_again(&sc, 10000);
	CU_ASSERT_EQUAL(count(&sc, "b", MT_OBJECT_IN_FORCE), 6);
	put_file(&sc, "a", 8, 100);
	put_file(&sc, "c", 1, 40);
	for (int i = 0; i < 2; i++) {
		load_again(&sc, 10000);
		CU_ASSERT_EQUAL(count(&sc, "b", MT_OBJECT_IN_FORCE), 6);
		CU_ASSERT_EQUAL(count(&sc, "c", MT_OBJECT_IN_FORCE), 1);
		CU_ASSERT_EQUAL(count(&sc, "a", MT_OBJECT_IN_FORCE), 4);
		CU_ASSERT_EQUAL(count(&sc, "a", MT_OBJECT_REFUSED), 4);
		scene_restart(&sc);
	}
	scene_end(&sc);
}

/* Writes a file of namespace `ns` with one service at 10.9.9.9. */
static void put_service_at(struct scene *sc, const char *ns, const char *host, int endpoints)
{
	char *text, name[32];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f,
		ISTIO("ServiceEntry", "%s", "%s") "  hosts: [%s]\n  addresses: [10.9.9.9]\n"
						  "  resolution: STATIC\n  ports: [{number: 80, "
						  "name: tcp}]\n  endpoints:\n",
		ns, ns, host);
	for (int i = 0; i < endpoints; i++)
		fprintf(f, "  - {address: 198.51.100.%d, labels: {app: a}}\n", i + 1);
	fclose(f);
	snprintf(name, sizeof(name), "%s.yaml", ns);
	scene_write(sc, name, text);
	free(text);
}

/* Writes a rule with `n` subsets of the service of namespace b, and a route to one of them. */
static void put_subsets(struct scene *sc, int n)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, ISTIO("DestinationRule", "many", "b") "  host: b.example\n  subsets:\n");
	for (int i = 0; i < n; i++)
		fprintf(f, "  - {name: v%d, labels: {app: a}}\n", i);
	fprintf(f, "---\n" ISTIO(
			   "VirtualService", "route", "b") "  hosts: [b.example]\n"
							   "  tcp: [{route: [{destination: "
							   "{host: b.example, subset: v1}}]}]\n");
	fclose(f);
	scene_write(sc, "rule.yaml", text);
	free(text);
}

/*
 * A service in force that needs too much by new subsets is closed, and nobody takes its host and
 * address. It is open again when there is room.
 */
static void closed_services_keep_their_places(void)
{
	const uint64_t clusters = mt_conf_clusters;
	struct scene sc;

	scene_begin(&sc);
	put_service_at(&sc, "b", "b.example", 100);
	put_subsets(&sc, 2);
	load_again(&sc, 10000);
	IS_STATUS(&sc, "VirtualService", "route", "in-force");
	put_subsets(&sc, 30);
	put_service_at(&sc, "a", "a.example", 1);
	put_service_at(&sc, "c", "b.example", 1);
	for (int i = 0; i < 3; i++) {
		/* Once too many steps, once too many clusters, once both. */
		mt_conf_clusters = i ? 20 : clusters;
		load_again(&sc, i == 1 ? 100000 : 10000);
		mt_conf_clusters = clusters;
		IS_STATUS(&sc, "ServiceEntry", "b", "fail-closed");
		IS_STATUS(&sc, "ServiceEntry", "a", "refused");
		CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, "ServiceEntry", "c"), "in-force");
		IS_STATUS(&sc, "DestinationRule", "many", "in-force");
		IS_STATUS(&sc, "VirtualService", "route", "in-force");
		CU_ASSERT(scene_has(&sc, "closed", "closed, without endpoints and subsets: needs"));
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "b.example"), -2);
		CU_ASSERT_EQUAL_FATAL(sc.s->n_listeners, 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s->listeners[0].closed_by);
		CU_ASSERT_STRING_EQUAL(sc.s->listeners[0].closed_by->by, "ServiceEntry b/b");
		scene_restart(&sc);
	}
	load_again(&sc, 100000);
	CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, "ServiceEntry", "b"), "fail-closed");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "b.example"), 100);
	CU_ASSERT_PTR_NULL(sc.s->listeners[0].closed_by);
	scene_end(&sc);
}

/*
 * The growth of a service in force counts as a new document would: others keep all that they have
 * in force, and new ones have their parts.
 */
static void growth_is_new(void)
{
	struct scene sc;

	scene_begin(&sc);
	put_service_at(&sc, "b", "b.example", 100);
	put_subsets(&sc, 2);
	put_file(&sc, "d", 8, 100);
	load_again(&sc, 12000);
	CU_ASSERT_EQUAL(count(&sc, "d", MT_OBJECT_IN_FORCE), 8);
	publish(&sc);
	put_subsets(&sc, 30);
	put_file(&sc, "e", 1, 20);
	for (int i = 0; i < 2; i++) {
		load_again(&sc, 12000);
		IS_STATUS(&sc, "ServiceEntry", "b", "fail-closed");
		CU_ASSERT_EQUAL(count(&sc, "d", MT_OBJECT_IN_FORCE), 8);
		CU_ASSERT_EQUAL(count(&sc, "e", MT_OBJECT_IN_FORCE), 1);
		publish(&sc);
	}
	put_subsets(&sc, 2);
	load_again(&sc, 12000);
	IS_STATUS(&sc, "ServiceEntry", "b", "in-force");
	scene_end(&sc);
}

/*
 * A new service that needs too much is closed if little of it is left, and then holds its host and
 * address. After a restart it is still new, so that those in force keep all that they have.
 */
static void new_services_hold_their_places(void)
{
	struct scene sc;

	scene_begin(&sc);
	put_file(&sc, "d", 8, 100);
	load_again(&sc, 12000);
	publish(&sc);
	put_service_at(&sc, "b", "b.example", 100);
	put_subsets(&sc, 30);
	load_again(&sc, 12000);
	IS_STATUS(&sc, "ServiceEntry", "b", "fail-closed");
	CU_ASSERT_EQUAL(count(&sc, "d", MT_OBJECT_IN_FORCE), 8);
	publish(&sc);
	put_service_at(&sc, "a", "a.example", 1);
	put_service_at(&sc, "c", "b.example", 1);
	load_again(&sc, 12000);
	IS_STATUS(&sc, "ServiceEntry", "b", "fail-closed");
	IS_STATUS(&sc, "ServiceEntry", "a", "refused");
	CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, "ServiceEntry", "c"), "in-force");
	scene_write(&sc, "a.yaml", NULL);
	scene_write(&sc, "c.yaml", NULL);
	scene_restart(&sc);
	load_again(&sc, 12000);
	IS_STATUS(&sc, "ServiceEntry", "b", "fail-closed");
	CU_ASSERT_EQUAL(count(&sc, "d", MT_OBJECT_IN_FORCE), 8);
	load_again(&sc, 100000);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "b.example"), 100);
	scene_end(&sc);
}

/* A new version that needs too much is refused, because its last good version serves. */
static void last_good_versions_serve(void)
{
	struct scene sc;

	scene_begin(&sc);
	put_service_at(&sc, "b", "b.example", 10);
	load_again(&sc, 10000);
	put_service_at(&sc, "b", "b.example", 200);
	put_subsets(&sc, 30);
	load_again(&sc, 10000);
	IS_STATUS(&sc, "ServiceEntry", "b", "last-good");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "b.example"), 10);
	scene_end(&sc);
}

/* New versions that need what the former ones did stay, although others need much. */
static void edits_stay(void)
{
	struct scene sc;

	scene_begin(&sc);
	put_file(&sc, "b", 8, 110);
	load_again(&sc, 10000);
	publish(&sc);
	put_file(&sc, "a", 20, 100);
	load_again(&sc, 10000);
	publish(&sc);
	put_file(&sc, "b", 8, 105);
	load_again(&sc, 10000);
	CU_ASSERT_EQUAL(count(&sc, "b", MT_OBJECT_IN_FORCE), 8);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s7.b.example"), 105);
	scene_end(&sc);
}

/* Writes a MetaRouter with a limit and many routes for service s0 of namespace greedy. */
static void put_router(FILE *f, const char *ns)
{
	fprintf(f,
		"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"
		"metadata: {name: m, namespace: %s}\nspec:\n  hosts: [s0.greedy.example]\n"
		"  localRateLimit: {tokenBucket: {maxTokens: 1, fillInterval: 1s}}\n"
		"  routes:\n",
		ns);
	for (int i = 0; i < 400; i++)
		fprintf(f,
			"  - {match: {attributes: {k: {exact: v%d}}}, route: [{destination: {host: "
			"s0.greedy.example}}]}\n",
			i);
}

/* Without the routes of a MetaRouter its limit would be lost, too: its one service is closed. */
static void limits_are_not_lost(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "greedy", 2, 1, 1);
	put_services(f, "other", 1, 1, 1);
	put_router(f, "greedy");
	load(&sc, 10000, f, &text);
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_FAIL_CLOSED), 1);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s0.greedy.example"), -2);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s1.greedy.example"), 1);
	CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, "MetaRouter", "m"), "refused");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s0.other.example"), 1);
	scene_end(&sc);
}

/* A MetaRouter of another namespace is refused itself, and closes no service. */
static void foreign_limits_close_nothing(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "greedy", 1, 1, 1);
	put_router(f, "other");
	load(&sc, 10000, f, &text);
	IS_STATUS(&sc, "MetaRouter", "m", "refused");
	CU_ASSERT(scene_has(&sc, "write fewer rules", "more than is left for namespace other"));
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_IN_FORCE), 1);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s0.greedy.example"), 1);
	scene_end(&sc);
}

/*
 * A DestinationRule of another namespace loses its subsets if they are too much, and closes no
 * service. Routes to them stay, and lead nowhere until there is room.
 */
static void foreign_subsets_close_nothing(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "b", 1, 100, 1);
	fputs("---\n" ISTIO("DestinationRule", "many", "istio-system"), f);
	fputs("  host: s0.b.example\n  subsets:\n", f);
	for (int i = 0; i < 30; i++)
		fprintf(f, "  - {name: v%d, labels: {app: a}}\n", i);
	fputs("---\n" ROUTE("r", "b", "s0.b.example", ", subset: v1"), f);
	load(&sc, 10000, f, &text);
	for (int i = 0; i < 2; i++) {
		IS_STATUS(&sc, "DestinationRule", "many", "fail-closed");
		IS_STATUS(&sc, "ServiceEntry", "s0", "in-force");
		CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, "VirtualService", "r"), "refused");
		CU_ASSERT(scene_has(&sc, "subset", "is closed, because DestinationRule"));
		CU_ASSERT(scene_has(&sc, "subsets", "its subsets are closed: needs"));
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "s0.b.example"), 100);
		load_again(&sc, 10000);
	}
	load_again(&sc, 100000);
	IS_STATUS(&sc, "VirtualService", "r", "in-force");
	IS_STATUS(&sc, "DestinationRule", "many", "in-force");
	scene_end(&sc);
}

/* True if the cluster of subset v0 of service s0 is there. */
static bool has_subset(const struct scene *sc, const char *ns)
{
	char name[128];

	snprintf(name, sizeof(name), "outbound|80|v0|s0.%s.example", ns);
	for (uint32_t i = 0; i < sc->s->n_clusters; i++)
		if (strcmp(sc->s->clusters[i].name, name) == 0)
			return !sc->s->clusters[i].closed_by;
	return false;
}

/* A rule for the services of all namespaces loses its subsets of those alone that are too large. */
static void subsets_close_at_one_host(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "other", 1, 10, 1);
	put_services(f, "greedy", 1, 10, 100);
	fputs("---\n" ISTIO("DestinationRule", "all", "istio-system"), f);
	fputs("  host: '*.example'\n  subsets:\n", f);
	for (int i = 0; i < 4; i++)
		fprintf(f, "  - {name: v%d, labels: {app: a}}\n", i);
	load(&sc, 60000, f, &text);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT(has_subset(&sc, "other"));
		CU_ASSERT_FALSE(has_subset(&sc, "greedy"));
		IS_STATUS(&sc, "DestinationRule", "all", "fail-closed");
		CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_IN_FORCE), 1);
		CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_IN_FORCE), 1);
		CU_ASSERT(scene_has(&sc, "its subsets are closed: needs", OVER));
		load_again(&sc, 60000);
	}
	scene_end(&sc);
}

/* The same of an EnvoyFilter. */
static void limits_of_filters_are_not_lost(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, ISTIO("ServiceEntry", "s", "greedy") "  hosts: [s.example]\n"
							"  addresses: [10.9.9.9]\n"
							"  resolution: STATIC\n"
							"  ports: [{number: 80, name: "
							"tcp-metaprotocol-dubbo}]\n"
							"  endpoints: [{address: 198.51.100.1}]\n");
	fprintf(f,
		"---\n" ISTIO("EnvoyFilter", "f",
			"greedy") "  configPatches:\n"
				  "  - applyTo: NETWORK_FILTER\n"
				  "    match: {listener: {name: 10.9.9.9_80}}\n"
				  "    patch:\n      operation: REPLACE\n      value:\n        "
				  "typed_config:\n"
				  "          '@type': type.googleapis.com/"
				  "aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy\n"
				  "          application_protocol: dubbo\n"
				  "          metaProtocolFilters:\n"
				  "          - name: aeraki.meta_protocol.filters.local_ratelimit\n"
				  "            config: {token_bucket: {max_tokens: 5, "
				  "fill_interval: 1s}}\n"
				  "          - name: aeraki.meta_protocol.filters.router\n"
				  "          routeConfig:\n            routes:\n");
	for (int i = 0; i < 400; i++)
		fprintf(f,
			"            - match: {metadata: [{name: k, exactMatch: v%d}]}\n"
			"              route: {cluster: outbound|80||s.example}\n",
			i);
	load(&sc, 10000, f, &text);
	IS_STATUS(&sc, "ServiceEntry", "s", "fail-closed");
	CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, "EnvoyFilter", "f"), "refused");
	CU_ASSERT(scene_has(&sc, "write fewer rules", OVER));
	scene_end(&sc);
}

/* A quarter is for new namespaces, even if documents in force have all. */
static void new_namespaces_have_a_quarter(void)
{
	struct scene sc;

	scene_begin(&sc);
	put_file(&sc, "b", 10, 100);
	load_again(&sc, 10000);
	CU_ASSERT_EQUAL(count(&sc, "b", MT_OBJECT_IN_FORCE), 10);
	put_file(&sc, "a", 20, 100);
	put_file(&sc, "c", 1, 100);
	load_again(&sc, 10000);
	CU_ASSERT_EQUAL(count(&sc, "a", MT_OBJECT_IN_FORCE), 0);
	CU_ASSERT_EQUAL(count(&sc, "c", MT_OBJECT_REFUSED), 1);
	put_file(&sc, "c", 1, 60);
	load_again(&sc, 10000);
	CU_ASSERT_EQUAL(count(&sc, "c", MT_OBJECT_IN_FORCE), 1);
	CU_ASSERT_EQUAL(count(&sc, "b", MT_OBJECT_IN_FORCE), 10);
	scene_end(&sc);
}

/* One after the other has its equal part, whatever its name and place among the documents. */
static void small_namespaces_have_all(void)
{
	struct scene sc;

	scene_begin(&sc);
	put_file(&sc, "a", 10, 140);
	put_file(&sc, "b", 20, 140);
	put_file(&sc, "c", 3, 100);
	put_file(&sc, "d", 1, 140);
	load_again(&sc, 16000);
	CU_ASSERT_EQUAL(count(&sc, "a", MT_OBJECT_IN_FORCE), 4);
	CU_ASSERT_EQUAL(count(&sc, "b", MT_OBJECT_IN_FORCE), 4);
	CU_ASSERT_EQUAL(count(&sc, "c", MT_OBJECT_IN_FORCE), 3);
	CU_ASSERT_EQUAL(count(&sc, "d", MT_OBJECT_IN_FORCE), 1);
	scene_end(&sc);
}

/* Clusters have a limit of their own: one namespace cannot take all places. */
static void clusters_have_shares(void)
{
	const uint64_t most = mt_conf_clusters;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "greedy", 30, 1, 2);
	put_services(f, "other", 10, 1, 1);
	mt_conf_clusters = 40;
	scene_load_text(&sc, f, &text);
	mt_conf_clusters = most;
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_IN_FORCE), 15);
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_IN_FORCE), 10);
	CU_ASSERT(scene_has(&sc, "write fewer ports or subsets", OVER));
	scene_end(&sc);
}

/* Ports of a service are compared by number, transport and name, however many there are. */
static void ports_of_one_service(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, "---\n" ISTIO("ServiceEntry", "s",
			   "x") "  hosts: [s.x]\n  resolution: STATIC\n  ports:\n");
	for (int i = 0; i < 5000; i++)
		fprintf(f, "  - {number: %d, name: tcp-%d}\n", i + 1, i);
	fprintf(f, "  - {number: 7, name: udp-7, protocol: UDP}\n"
		   "  - {number: 9, name: tcp-3, protocol: TCP}\n"
		   "  - {number: 6000, name: tcp-8}\n"
		   "  endpoints: [{address: 198.51.100.1}]\n");
	scene_load_text(&sc, f, &text);
	IS_STATUS(&sc, "ServiceEntry", "s", "refused");
	/* The first port with the number or the name: that of the name comes first here. */
	CU_ASSERT(scene_has(&sc, "spec.ports[5001].name", "already on line 12"));
	CU_ASSERT(scene_has(&sc, "spec.ports[5002].name", "already on line 17"));
	CU_ASSERT_FALSE(scene_has(&sc, "spec.ports[5000]", "already"));
	scene_end(&sc);
}

const struct mt_test work_tests[] = {{"hosts times rules", hosts_times_rules},
	{"reuse is counted", reuse_is_counted}, {"hosts times subsets", hosts_times_subsets},
	{"endpoints times policies", endpoints_times_policies},
	{"policies in subsets", policies_in_subsets}, {"policies by label", policies_by_label},
	{"a mesh has room", a_mesh_has_room},
	{"policies of a mesh have room", policies_of_a_mesh_have_room},
	{"policies of a gateway have room", policies_of_a_gateway_have_room},
	{"those in force stay", those_in_force_stay},
	{"new namespaces have a quarter", new_namespaces_have_a_quarter},
	{"small namespaces have all", small_namespaces_have_all},
	{"clusters have shares", clusters_have_shares},
	{"closed services keep their places", closed_services_keep_their_places},
	{"growth is new", growth_is_new},
	{"new services hold their places", new_services_hold_their_places},
	{"last good versions serve", last_good_versions_serve}, {"edits stay", edits_stay},
	{"limits are not lost", limits_are_not_lost},
	{"foreign limits close nothing", foreign_limits_close_nothing},
	{"foreign subsets close nothing", foreign_subsets_close_nothing},
	{"subsets close at one host", subsets_close_at_one_host},
	{"limits of filters are not lost", limits_of_filters_are_not_lost},
	{"ports of one service", ports_of_one_service}, {0}};
