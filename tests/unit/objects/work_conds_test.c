/* SPDX-License-Identifier: Apache-2.0 */
/* Work of a compilation that few words cause. */
#include "work_test.h"

#include <string.h>

/* Writes a policy of 300 rules with one condition of this kind. */
static void put_policy_of(FILE *f, const char *of, const char *kind)
{
	fprintf(f, "---\n" SECURITY("AuthorizationPolicy", "p", "greedy", ""));
	fprintf(f, "  %s\n  rules:\n", of);
	for (int i = 0; i < 300; i++)
		fprintf(f,
			"  - {to: [{operation: {%s: ['80']}}], from: [{source: {principals: "
			"[cluster.local/ns/x/sa/a%d]}}]}\n",
			kind, i);
}

static void put_policy(FILE *f, const char *kind)
{
	put_policy_of(f, "action: ALLOW", kind);
}

/* A policy is compiled once for all ports, but its rules are chosen for each if they depend on it. */
static void policies_at_ports(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int at = 0; at < 2; at++) {
		FILE *f = open_memstream(&text, &size);

		put_services(f, "greedy", 1, 1, 20);
		put_policy(f, at ? "ports" : "methods");
		load(&sc, 30000, f, &text);
		IS_STATUS(&sc, "ServiceEntry", "s0", at ? "fail-closed" : "in-force");
		CU_ASSERT_EQUAL(scene_has(&sc, "policies with conditions on ports", OVER), at);
		scene_end(&sc);
	}
}

/* Policies of one name have a set for each of them. */
static void policies_of_one_name(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int one = 0; one < 2; one++) {
		FILE *f = open_memstream(&text, &size);

		put_services(f, "greedy", 1, 1, 1);
		for (int i = 0; i < 40; i++)
			fprintf(f,
				"---\n" SECURITY("AuthorizationPolicy", "p%d", "greedy",
					"{action: DENY, rules: [{from: [{source: {ipBlocks: "
					"[10.0.0.%d]}}]}]}"),
				one ? 0 : i, i);
		load(&sc, 8000, f, &text);
		IS_STATUS(&sc, "ServiceEntry", "s0", one ? "fail-closed" : "in-force");
		scene_end(&sc);
	}
}

/* Ports that are not served are noted for each endpoint and policy. */
static void ports_not_served(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int many = 0; many < 2; many++) {
		FILE *f = open_memstream(&text, &size);

		fputs("---\n" ISTIO("ServiceEntry", "s", "greedy"), f);
		fputs("  hosts: [s.greedy.example]\n  resolution: STATIC\n  ports:\n"
		      "  - {number: 80, name: tcp-metaprotocol-dubbo}\n",
			f);
		for (int i = 0; i < (many ? 200 : 1); i++)
			fprintf(f, "  - {number: %d, name: udp-%d, protocol: UDP}\n", 1000 + i, i);
		fputs("  endpoints: [{address: 198.51.100.1}, {address: 198.51.100.2}]\n", f);
		for (int i = 0; i < 15; i++)
			fprintf(f,
				"---\n" SECURITY("AuthorizationPolicy", "p%d", "greedy",
					"{action: DENY, rules: [{to: [{operation: {ports: "
					"['%d']}}]}]}"),
				i, i + 1);
		load(&sc, 8000, f, &text);
		CU_ASSERT_EQUAL(
			strcmp(scene_status(&sc, "ServiceEntry", "s"), "fail-closed") == 0, many);
		scene_end(&sc);
	}
}

/* At a forwarded port they are compared for each endpoint. */
static void policies_at_forwards(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int many = 0; many < 2; many++) {
		FILE *f = open_memstream(&text, &size);

		fputs("---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
		      "metadata: {name: s, namespace: greedy, annotations: "
		      "{meltemi.io/forwarding: nat}}\n"
		      "spec:\n  hosts: [s.greedy.example]\n  addresses: [203.0.113.1]\n"
		      "  location: MESH_INTERNAL\n  resolution: STATIC\n"
		      "  ports: [{number: 80, name: tcp}]\n  endpoints: [",
			f);
		for (int i = 0; i < (many ? 100 : 10); i++)
			fprintf(f, "%s{address: 198.51.100.%d}", i ? ", " : "", i + 1);
		fputs("]\n", f);
		put_policy(f, "methods");
		load(&sc, 30000, f, &text);
		CU_ASSERT_EQUAL(scene_has(&sc, "write fewer ports", OVER), many);
		scene_end(&sc);
	}
}

/* They are chosen for each server of a Gateway as well. */
static void policies_at_servers(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int at = 0; at < 2; at++) {
		FILE *f = open_memstream(&text, &size);

		put_services(f, "greedy", 1, 1, 1);
		fputs("---\n" ISTIO("Gateway", "g", "greedy") "  selector: {}\n  servers:\n", f);
		for (int i = 0; i < 50; i++)
			fprintf(f, "  - {port: {number: %d, name: tcp}, hosts: ['*']}\n", 1000 + i);
		put_policy(f, at ? "ports" : "methods");
		load(&sc, 60000, f, &text);
		CU_ASSERT_EQUAL(strcmp(scene_status(&sc, "Gateway", "g"), "refused") == 0, at);
		CU_ASSERT_EQUAL(scene_has(&sc, "policies with conditions on ports", OVER), at);
		IS_STATUS(&sc, "ServiceEntry", "s0", "in-force");
		scene_end(&sc);
	}
}

/* Rules of a set that depends on ports have an index for each server. */
static void rules_at_servers(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int at = 0; at < 2; at++) {
		FILE *f = open_memstream(&text, &size);

		fputs("---\n" ISTIO("Gateway", "g", "greedy") "  selector: {}\n  servers:\n", f);
		for (int i = 0; i < 50; i++)
			fprintf(f, "  - {port: {number: %d, name: tcp}, hosts: ['*']}\n", 1000 + i);
		fputs("---\n" SECURITY("AuthorizationPolicy", "p", "greedy", ""), f);
		fputs("  action: DENY\n  rules:\n", f);
		for (int i = 0; i < 100; i++)
			fprintf(f, "  - to: [{operation: {%s: ['80']}}]\n",
				at ? "ports" : "methods");
		load(&sc, 20000, f, &text);
		CU_ASSERT_EQUAL(strcmp(scene_status(&sc, "Gateway", "g"), "refused") == 0, at);
		scene_end(&sc);
	}
}

/* Hosts of a Gateway are noted for each of its policies. */
static void policies_times_hosts(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int many = 0; many < 2; many++) {
		FILE *f = open_memstream(&text, &size);

		fputs("---\n" ISTIO("Gateway", "g", "greedy") "  selector: {}\n  servers:\n"
							      "  - port: {number: 80, name: tcp}\n"
							      "    hosts:\n",
			f);
		for (int i = 0; i < (many ? 500 : 1); i++)
			fprintf(f, "    - h%d.example\n", i);
		for (int i = 0; i < 50; i++)
			fprintf(f,
				"---\n" SECURITY("AuthorizationPolicy", "p%d", "greedy",
					"{action: DENY, rules: [{from: [{source: {ipBlocks: "
					"[10.0.0.1]}}]}]}"),
				i);
		load(&sc, 20000, f, &text);
		CU_ASSERT_EQUAL(strcmp(scene_status(&sc, "Gateway", "g"), "refused") == 0, many);
		scene_end(&sc);
	}
}

/* A Gateway pays for no policies that are about others. */
static void policies_of_others(void)
{
	static const struct {
		const char *of;
		bool pays;
	} rows[] = {{"selector: {matchLabels: {app: other}}", false},
		{"targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: x}]", false},
		{"targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: g}]", true},
		{"action: DENY", true}};
	struct scene sc;
	char *text;
	size_t size;

	for (size_t at = 0; at < MT_ARRAY_LEN(rows); at++) {
		FILE *f = open_memstream(&text, &size);

		put_services(f, "greedy", 1, 1, 1);
		fputs("---\n" ISTIO("Gateway", "g", "greedy") "  selector: {}\n  servers:\n", f);
		for (int i = 0; i < 50; i++)
			fprintf(f, "  - {port: {number: %d, name: tcp}, hosts: ['*']}\n", 1000 + i);
		put_policy_of(f, rows[at].of, "ports");
		load(&sc, 20000, f, &text);
		CU_ASSERT_EQUAL(
			strcmp(scene_status(&sc, "Gateway", "g"), "refused") == 0, rows[at].pays);
		scene_end(&sc);
	}
}

/* Writes a filter in the proxies of clients that closes a port. */
static void put_filter(FILE *f, int i, int port)
{
	fprintf(f,
		"---\n" ISTIO("EnvoyFilter", "f%d",
			"greedy") "  configPatches: [{applyTo: NETWORK_FILTER, match: {context: "
				  "SIDECAR_OUTBOUND, listener: {portNumber: %d}}, patch: "
				  "{operation: INSERT_FIRST, value: {name: "
				  "envoy.filters.network.rbac, typed_config: {'@type': "
				  "type.googleapis.com/"
				  "envoy.extensions.filters.network.rbac.v3.RBAC}}}}]\n",
		i, port);
}

/* Filters in the proxies of clients count for the endpoints of the ports that they close. */
static void filters_of_clients(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int closes = 0; closes < 2; closes++) {
		FILE *f = open_memstream(&text, &size);

		put_services(f, "greedy", 1, 100, 1);
		for (int i = 0; i < 100; i++)
			put_filter(f, i, closes ? 80 : 9999);
		/* Each endpoint is compared with each filter, whether it closes the port or not. */
		load(&sc, 66000, f, &text);
		CU_ASSERT_EQUAL(scene_has(&sc, "fewer", OVER), closes);
		IS_STATUS(&sc, "ServiceEntry", "s0", closes ? "fail-closed" : "in-force");
		scene_end(&sc);
	}
}

/* Closed services are compared with filters of clients as well: they are refused if that is much. */
static void filters_of_closed(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "greedy", 20, 1, 1);
	for (int i = 0; i < 400; i++)
		put_filter(f, i, 80);
	load(&sc, 6000, f, &text);
	CU_ASSERT(count(&sc, "greedy", MT_OBJECT_REFUSED) >= 15);
	scene_end(&sc);
}

/* Each label of an endpoint is looked for among those of policies, in each service that has it. */
static void labels_of_endpoints(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("---\n" ISTIO("WorkloadEntry", "w", "greedy"), f);
	fputs("  address: 198.51.100.1\n  labels:\n    app: a\n", f);
	for (int i = 0; i < 500; i++)
		fprintf(f, "    l%d: v\n", i);
	for (int i = 0; i < 20; i++)
		fprintf(f,
			"---\n" ISTIO("ServiceEntry", "s%d",
				"greedy") "  hosts: [s%d.greedy.example]\n"
					  "  resolution: STATIC\n"
					  "  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"
					  "  workloadSelector: {labels: {app: a}}\n",
			i, i);
	for (int i = 0; i < 20; i++)
		fprintf(f,
			"---\n" SECURITY("AuthorizationPolicy", "p%d", "greedy",
				"{selector: {matchLabels: {app: b%d}}, action: DENY, rules: [{}]}"),
			i, i);
	load(&sc, 8000, f, &text);
	CU_ASSERT(count(&sc, "greedy", MT_OBJECT_FAIL_CLOSED) +
			  count(&sc, "greedy", MT_OBJECT_REFUSED) >
		  10);
	CU_ASSERT(scene_has(&sc, "policies", OVER));
	scene_end(&sc);
}

/* Endpoints with unknown labels are compared with all policies, each of which counts once. */
static void labels_not_known(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int more = 0; more < 2; more++) {
		FILE *f = open_memstream(&text, &size);

		fputs("---\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: greedy}\n"
		      "spec: {clusterIP: 10.96.0.1, ports: [{name: tcp-a, port: 80}]}\n"
		      "---\napiVersion: v1\nkind: Endpoints\n"
		      "metadata: {name: s, namespace: greedy}\n"
		      "subsets:\n- ports: [{name: tcp-a, port: 80}]\n  addresses:\n",
			f);
		for (int i = 0; i < 100; i++)
			fprintf(f, "  - {ip: 198.51.100.%d}\n", i + 1);
		for (int i = 0; i < (more ? 400 : 200); i++)
			fprintf(f,
				"---\n" SECURITY("AuthorizationPolicy", "p%d", "greedy",
					"{action: DENY, rules: [{from: [{source: {ipBlocks: "
					"[10.0.0.1]}}]}]}"),
				i);
		load(&sc, 180000, f, &text);
		CU_ASSERT_EQUAL(
			strcmp(scene_status(&sc, "Service", "s"), "fail-closed") == 0, more);
		scene_end(&sc);
	}
}

const struct mt_test work_conds_tests[] = {{"policies at ports", policies_at_ports},
	{"policies of one name", policies_of_one_name}, {"ports not served", ports_not_served},
	{"policies at forwards", policies_at_forwards},
	{"policies at servers", policies_at_servers}, {"policies of others", policies_of_others},
	{"filters of clients", filters_of_clients}, {"filters of closed", filters_of_closed},
	{"rules at servers", rules_at_servers}, {"policies times hosts", policies_times_hosts},
	{"labels of endpoints", labels_of_endpoints}, {"labels not known", labels_not_known}, {0}};
