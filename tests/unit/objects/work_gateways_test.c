/* SPDX-License-Identifier: Apache-2.0 */
/* Work of a compilation that ports of Gateways multiply (work_test.c has the other work). */
#include "work_test.h"

/* Rules of a VirtualService at each server of a Gateway. */
static void servers_times_rules(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, "---\n" ISTIO("Gateway", "g", "other") "  selector: {}\n  servers:\n");
	for (int i = 0; i < 50; i++)
		fprintf(f, "  - {port: {number: %d, name: tcp}, hosts: ['*']}\n", 1000 + i);
	put_services(f, "other", 1, 1, 1);
	for (int i = 0; i < 2; i++) {
		fprintf(f,
			"---\n" ISTIO("VirtualService", "v%d",
				"%s") "  hosts: [h%d.example]\n  gateways: [other/g]\n  tcp:\n",
			i, i ? "other" : "greedy", i);
		for (int k = 0; k < (i ? 1 : 100); k++)
			fprintf(f, "  - {match: [{port: 9}], route: [{destination: {host: "
				   "s0.other.example}}]}\n");
		fprintf(f, "  - {route: [{destination: {host: s0.other.example}}]}\n");
	}
	load(&sc, 100000, f, &text);
	IS_STATUS(&sc, "VirtualService", "v0", "refused");
	CU_ASSERT(scene_has(&sc, "write fewer rules", OVER));
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_REFUSED), 0);
	IS_STATUS(&sc, "VirtualService", "v1", "in-force");
	scene_end(&sc);
}

/* Joined VirtualServices pay for their own rules, whichever is first at the servers. */
static void joined_pay_for_themselves(void)
{
	for (int first = 0; first < 2; first++) {
		struct scene sc;
		char *text;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		fputs("---\n" ISTIO("Gateway", "g", "other") "  selector: {}\n  servers:\n", f);
		for (int i = 0; i < 50; i++)
			fprintf(f, "  - {port: {number: %d, name: tcp}, hosts: ['*']}\n", 1000 + i);
		put_services(f, "other", 1, 1, 1);
		for (int i = 0; i < 2; i++) {
			bool own = i == first;

			fprintf(f,
				"---\n" ISTIO(
					"VirtualService", "%s", "%s") "  hosts: [h.example]\n"
								      "  gateways: [other/g]\n"
								      "  tcp:\n",
				own ? "few" : "many", own ? "other" : "greedy");
			for (int k = 0; k < (own ? 1 : 100); k++)
				fputs("  - {match: [{gateways: [other/g]}], route: [{destination: "
				      "{host: s0.other.example}}]}\n",
					f);
		}
		load(&sc, 100000, f, &text);
		IS_STATUS(&sc, "VirtualService", "many", "refused");
		CU_ASSERT(scene_has(&sc, "write fewer rules", OVER));
		CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_REFUSED), 0);
		IS_STATUS(&sc, "VirtualService", "few", "in-force");
		scene_end(&sc);
	}
}

/* Copies of joined rules are charged to their namespace, not to the Gateway's. */
static void copies_pay_for_themselves(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int joined = 0; joined < 2; joined++) {
		FILE *f = open_memstream(&text, &size);

		fputs("---\n" ISTIO("Gateway", "g", "other") "  selector: {}\n  servers:\n", f);
		for (int i = 0; i < 50; i++)
			fprintf(f, "  - {port: {number: %d, name: tcp}, hosts: ['*']}\n", 1000 + i);
		put_services(f, "other", 1, 1, 1);
		for (int i = 0; i < 3; i++) {
			fprintf(f,
				"---\n" ISTIO(
					"VirtualService", "v%d", "%s") "  hosts: [h%d.example]\n"
								       "  gateways: [other/g]\n"
								       "  tcp:\n",
				i, i ? "greedy" : "other", joined ? 0 : i);
			for (int k = 0; k < (i ? 600 : 1); k++)
				fputs("  - {match: [{gateways: [other/g]}], route: [{destination: "
				      "{host: s0.other.example}}]}\n",
					f);
		}
		load(&sc, 3000000, f, &text);
		IS_STATUS(&sc, "Gateway", "g", "in-force");
		IS_STATUS(&sc, "VirtualService", "v0", "in-force");
		CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_REFUSED), joined);
		CU_ASSERT_EQUAL(scene_has(&sc, "fewer rules", OVER), joined);
		scene_end(&sc);
	}
}

/* Rules that lead from no server are looked at for each of them. */
static void servers_times_matches(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("---\n" ISTIO("Gateway", "g", "other") "  selector: {}\n  servers:\n", f);
	for (int i = 0; i < 50; i++)
		fprintf(f, "  - {port: {number: %d, name: tcp}, hosts: ['*']}\n", 1000 + i);
	put_services(f, "other", 1, 1, 1);
	fputs("---\n" ISTIO("VirtualService", "v", "greedy"), f);
	fputs("  hosts: [h.example]\n  gateways: [other/g, mesh]\n  tcp:\n", f);
	for (int i = 0; i < 500; i++)
		fputs("  - {match: [{gateways: [mesh]}], route: [{destination: {host: "
		      "s0.other.example}}]}\n",
			f);
	load(&sc, 20000, f, &text);
	IS_STATUS(&sc, "VirtualService", "v", "refused");
	CU_ASSERT(scene_has(&sc, "name fewer gateways", OVER));
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_REFUSED), 0);
	scene_end(&sc);
}

/* Hosts of a VirtualService are looked for at each server. */
static void servers_times_hosts(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("---\n" ISTIO("Gateway", "g", "other") "  selector: {}\n  servers:\n", f);
	for (int i = 0; i < 50; i++)
		fprintf(f, "  - {port: {number: %d, name: tcp}, hosts: ['*']}\n", 1000 + i);
	put_services(f, "other", 1, 1, 1);
	fputs("---\n" ISTIO("VirtualService", "v", "greedy"), f);
	fputs("  gateways: [other/g]\n  hosts:\n", f);
	for (int i = 0; i < 1000; i++)
		fprintf(f, "  - h%d.example\n", i);
	fputs("  tcp: [{route: [{destination: {host: s0.other.example}}]}]\n", f);
	/* 1000 hosts at 50 servers, compared and looked for: 25,000 steps. */
	load(&sc, 20000, f, &text);
	IS_STATUS(&sc, "VirtualService", "v", "refused");
	CU_ASSERT(scene_has(&sc, "name fewer gateways or hosts", OVER));
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_REFUSED), 0);
	scene_end(&sc);
}

/* Routes of MetaRouters are bound to each server. */
static void servers_times_routers(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("---\n" ISTIO("Gateway", "g", "greedy") "  selector: {}\n  servers:\n", f);
	for (int i = 0; i < 50; i++)
		fprintf(f, "  - {port: {number: %d, name: tcp}, hosts: ['*']}\n", 1000 + i);
	put_services(f, "other", 1, 1, 1);
	for (int i = 0; i < 50; i++)
		fprintf(f,
			"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"
			"metadata: {name: m%d, namespace: greedy}\nspec:\n  gateways: [g]\n"
			"  hosts: [h%d.example]\n"
			"  routes: [{route: [{destination: {host: s0.other.example}}]}]\n",
			i, i);
	load(&sc, 20000, f, &text);
	CU_ASSERT(count(&sc, "greedy", MT_OBJECT_REFUSED) > 30);
	CU_ASSERT(count(&sc, "greedy", MT_OBJECT_REFUSED) < 50);
	CU_ASSERT(scene_has(&sc, "name fewer gateways", OVER));
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_REFUSED), 0);
	scene_end(&sc);
}

/* Gateways for nodes with other labels cost nothing. */
static void servers_of_other_nodes(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("---\n" ISTIO("Gateway", "g", "other"), f);
	fputs("  selector: {of: another-node}\n  servers:\n", f);
	for (int i = 0; i < 500; i++)
		fprintf(f, "  - {port: {number: %d, name: tcp}, hosts: ['*']}\n", 1000 + i);
	put_services(f, "other", 1, 1, 1);
	fputs("---\n" ISTIO("VirtualService", "v", "other"), f);
	fputs("  gateways: [g]\n  hosts:\n", f);
	for (int i = 0; i < 100; i++)
		fprintf(f, "  - h%d.example\n", i);
	fputs("  tcp: [{route: [{destination: {host: s0.other.example}}]}]\n", f);
	load(&sc, 1000, f, &text);
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_REFUSED), 0);
	CU_ASSERT_EQUAL(sc.rounds, 1);
	scene_end(&sc);
}

/* Writes service s0 of a namespace, with a proxy of its own, and a rule with subsets of it. */
static void put_meshed(FILE *f, const char *ns, int ports, int subsets)
{
	fprintf(f,
		"---\n" ISTIO("ServiceEntry", "s0", "%s") "  hosts: [s0.%s.example]\n"
							  "  location: MESH_INTERNAL\n"
							  "  resolution: STATIC\n  ports:\n",
		ns, ns);
	for (int i = 0; i < ports; i++)
		fprintf(f, "  - {number: %d, name: tcp-%d}\n", 80 + i, i);
	fputs("  endpoints: [{address: 203.0.113.1, labels: {app: a}, serviceAccount: s}]\n", f);
	if (!subsets)
		return;
	fprintf(f, "---\n" ISTIO("DestinationRule", "d", "%s") "  host: s0.%s.example\n", ns, ns);
	fputs("  subsets:\n", f);
	for (int i = 0; i < subsets; i++)
		fprintf(f, "  - {name: v%d, labels: {app: a}}\n", i);
}

/* Writes a Gateway that passes TLS on at `n` ports. */
static void put_passing(FILE *f, const char *ns, const char *hosts, int n)
{
	fprintf(f, "---\n" ISTIO("Gateway", "pass", "%s") "  selector: {}\n  servers:\n", ns);
	for (int i = 0; i < n; i++)
		fprintf(f,
			"  - {port: {number: %d, name: tls, protocol: TLS}, hosts: ['%s'], tls: "
			"{mode: AUTO_PASSTHROUGH}}\n",
			15000 + i, hosts);
}

/* A Gateway with AUTO_PASSTHROUGH pays for what it passes TLS to, and for no other hosts. */
static void passing_is_of_some(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_meshed(f, "v", 1, 0);
	put_passing(f, "v", "./*", 20);
	scene_begin(&sc);
	fclose(f);
	scene_write(&sc, "v.yaml", text);
	free(text);
	load_again(&sc, 20000);
	CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, "Gateway", "pass"), "refused");
	publish(&sc);
	put_file(&sc, "a", 100, 1);
	load_again(&sc, 20000);
	CU_ASSERT_EQUAL(count(&sc, "a", MT_OBJECT_IN_FORCE), 100);
	CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, "Gateway", "pass"), "refused");
	CU_ASSERT_EQUAL(sc.rounds, 1);
	scene_end(&sc);
}

/* Writes the file of a namespace with a service of 10 ports and many endpoints with proxies. */
static void put_large(struct scene *sc, const char *ns)
{
	char *text, name[32];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f,
		ISTIO("ServiceEntry", "s0", "%s") "  hosts: [s0.%s.example]\n"
						  "  location: MESH_INTERNAL\n"
						  "  resolution: STATIC\n  ports:\n",
		ns, ns);
	for (int i = 0; i < 10; i++)
		fprintf(f, "  - {number: %d, name: tcp-%d}\n", 80 + i, i);
	fputs("  endpoints:\n", f);
	for (int i = 0; i < 200; i++)
		fprintf(f, "  - {address: 203.0.113.%d, labels: {app: a}, serviceAccount: s}\n",
			i + 1);
	fclose(f);
	snprintf(name, sizeof(name), "%s.yaml", ns);
	scene_write(sc, name, text);
	free(text);
}

/*
 * A Gateway in force that passes TLS on to all hosts stays, if a new service of another namespace
 * needs too much, and closing that leaves enough.
 */
static void passing_outlives_new_hosts(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_meshed(f, "v", 1, 0);
	put_passing(f, "v", "*/*", 20);
	scene_begin(&sc);
	fclose(f);
	scene_write(&sc, "v.yaml", text);
	free(text);
	load_again(&sc, 30000);
	publish(&sc);
	put_large(&sc, "greedy");
	for (int i = 0; i < 3; i++) {
		load_again(&sc, 30000);
		CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, "Gateway", "pass"), "refused");
		CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_FAIL_CLOSED), 1);
		CU_ASSERT(sc.s->n_listeners > 0);
		publish(&sc);
	}
	scene_end(&sc);
}

/* Chains are made for each port and subset at each server. */
static void chains_are_counted(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_meshed(f, "other", 20, 20);
	put_passing(f, "greedy", "*/*", 50);
	load(&sc, 100000, f, &text);
	IS_STATUS(&sc, "Gateway", "pass", "fail-closed");
	CU_ASSERT(scene_has(&sc, "AUTO_PASSTHROUGH", OVER));
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_REFUSED), 0);
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_FAIL_CLOSED), 0);
	CU_ASSERT(scene_endpoints(&sc, "s0.other.example") >= 0);
	scene_end(&sc);
}

/*
 * What a Gateway passes TLS to has clusters and counters of its own. It is refused for them, not
 * the service that it passes TLS to.
 */
static void chains_have_places(void)
{
	const uint64_t clusters = mt_conf_clusters, services = mt_conf_services;

	for (int i = 0; i < 2; i++) {
		struct scene sc;
		char *text;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		put_meshed(f, "other", 10, 0);
		scene_load_text(&sc, f, &text);
		publish(&sc);
		f = open_memstream(&text, &size);
		put_passing(f, "greedy", "*/*", 1);
		fclose(f);
		scene_write(&sc, "greedy.yaml", text);
		free(text);
		mt_conf_clusters = i ? clusters : 15;
		mt_conf_services = i ? 15 : services;
		scene_load(&sc);
		mt_conf_clusters = clusters;
		mt_conf_services = services;
		IS_STATUS(&sc, "Gateway", "pass", "fail-closed");
		CU_ASSERT(scene_has(&sc, "AUTO_PASSTHROUGH", OVER));
		CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_REFUSED), 0);
		CU_ASSERT(scene_endpoints(&sc, "s0.other.example") >= 0);
		scene_end(&sc);
	}
}

/* Servers at two addresses of one port share the counters of what they lead to. */
static void addresses_share_counters(void)
{
	const uint64_t services = mt_conf_services;

	for (int i = 0; i < 2; i++) {
		struct scene sc;
		char *text;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		put_meshed(f, "other", 10, 0);
		fputs("---\n" ISTIO("Gateway", "two", "greedy") "  selector: {}\n  servers:\n", f);
		for (int k = 1; k < 3; k++)
			fprintf(f,
				"  - {port: {number: 15443, name: %s}, bind: 192.0.2.%d, hosts: "
				"['*/*']%s}\n",
				i ? "tcp" : "tls, protocol: TLS", k,
				i ? "" : ", tls: {mode: AUTO_PASSTHROUGH}");
		if (i) {
			fputs("---\n" ISTIO("VirtualService", "v", "greedy"), f);
			fputs("  hosts: [h.example]\n  gateways: [two]\n", f);
			fputs("  tcp: [{route: [{destination: {host: s0.other.example}}]}]\n", f);
		}
		mt_conf_services = i ? 11 : 20;
		scene_load_text(&sc, f, &text);
		mt_conf_services = services;
		CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_REFUSED), 0);
		CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_REFUSED), 0);
		CU_ASSERT_EQUAL(sc.rounds, 1);
		scene_end(&sc);
	}
}

/* A Gateway leaves out what is too much of another namespace, and goes on with its own hosts. */
static void passing_leaves_out_hosts(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_meshed(f, "v", 1, 0);
	put_meshed(f, "greedy", 100, 0);
	put_passing(f, "v", "*/*", 20);
	load(&sc, 60000, f, &text);
	for (int i = 0; i < 2; i++) {
		bool own = false, others = false;

		IS_STATUS(&sc, "Gateway", "pass", "fail-closed");
		CU_ASSERT(scene_has(&sc, "for service s0", "more than is left for namespace v"));
		CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_FAIL_CLOSED), 0);
		for (uint32_t k = 0; k < sc.s->n_clusters; k++) {
			const char *name = sc.s->clusters[k].name;

			own |= strcmp(name, "outbound_.80_._.s0.v.example") == 0;
			others |= strcmp(name, "outbound_.80_._.s0.greedy.example") == 0;
		}
		CU_ASSERT(own && !others);
		load_again(&sc, 60000);
	}
	scene_end(&sc);
}

/* If a host is left out of one Gateway, the next one that passes TLS to it pays for its clusters. */
static void passing_pays_each(void)
{
	const uint64_t clusters = mt_conf_clusters;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_meshed(f, "other", 10, 0);
	scene_load_text(&sc, f, &text);
	publish(&sc);
	f = open_memstream(&text, &size);
	for (int i = 0; i < 3; i++)
		put_passing(f, i == 0 ? "greedy" : i == 1 ? "more" : "most", "*/*", 1);
	fclose(f);
	scene_write(&sc, "greedy.yaml", text);
	free(text);
	mt_conf_clusters = 15;
	scene_load(&sc);
	mt_conf_clusters = clusters;
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	CU_ASSERT(sc.s->n_clusters <= 15);
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_REFUSED), 0);
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_FAIL_CLOSED), 0);
	scene_end(&sc);
}

/* Ports and subsets without an instance that ends the mesh's TLS have no chains, and cost nothing. */
static void chains_without_members(void)
{
	const uint64_t services = mt_conf_services;

	for (int i = 0; i < 3; i++) {
		struct scene sc;
		char *text;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		put_meshed(f, "other", 10, 0);
		if (i == 0)
			fputs("---\n" SECURITY("PeerAuthentication", "p", "other",
				      "{mtls: {mode: DISABLE}}"),
				f);
		if (i == 1) {
			fputs("---\n" ISTIO("DestinationRule", "d", "other"), f);
			fputs("  host: s0.other.example\n  subsets:\n", f);
			for (int k = 0; k < 10; k++)
				fprintf(f, "  - {name: v%d, labels: {app: none}}\n", k);
		}
		put_passing(f, "greedy", "*/*", 1);
		/* The service has 10; the Gateway has as many more, unless mTLS is disabled. */
		mt_conf_services = i ? 20 : 10;
		scene_load_text(&sc, f, &text);
		mt_conf_services = services;
		CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, "Gateway", "pass"), "refused");
		CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_REFUSED), 0);
		CU_ASSERT_EQUAL(sc.rounds, 1);
		scene_end(&sc);
	}
}

/* Routes have counters at each port of a Gateway. */
static void routes_at_ports_are_counted(void)
{
	const uint64_t services = mt_conf_services;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "other", 4, 1, 1);
	fputs("---\n" ISTIO("Gateway", "g", "other") "  selector: {}\n  servers:\n", f);
	for (int i = 0; i < 20; i++)
		fprintf(f, "  - {port: {number: %d, name: tcp}, hosts: ['*']}\n", 1000 + i);
	fputs("---\n" ISTIO("VirtualService", "v", "greedy"), f);
	fputs("  hosts: [h.example]\n  gateways: [other/g]\n", f);
	fputs("  tcp: [{route: [{destination: {host: s0.other.example}}]}]\n", f);
	mt_conf_services = 15;
	scene_load_text(&sc, f, &text);
	mt_conf_services = services;
	IS_STATUS(&sc, "VirtualService", "v", "refused");
	CU_ASSERT(scene_has(&sc, "name fewer ports of gateways", OVER));
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_REFUSED), 0);
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_FAIL_CLOSED), 0);
	scene_end(&sc);
}

const struct mt_test work_gateways_tests[] = {{"servers times rules", servers_times_rules},
	{"joined pay for themselves", joined_pay_for_themselves},
	{"copies pay for themselves", copies_pay_for_themselves},
	{"servers times matches", servers_times_matches},
	{"servers times hosts", servers_times_hosts},
	{"servers times routers", servers_times_routers},
	{"servers of other nodes", servers_of_other_nodes},
	{"passing is of some", passing_is_of_some},
	{"passing outlives new hosts", passing_outlives_new_hosts},
	{"chains are counted", chains_are_counted}, {"chains have places", chains_have_places},
	{"addresses share counters", addresses_share_counters},
	{"passing leaves out hosts", passing_leaves_out_hosts},
	{"passing pays each", passing_pays_each},
	{"chains without members", chains_without_members},
	{"routes at ports are counted", routes_at_ports_are_counted}, {0}};
