/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets of rate limits, which ports, endpoints and servers of Gateways multiply. */
#include "work_test.h"

#include "mt_filter_limit.h"

#include <string.h>

#define FEW_CONDITIONS "write fewer conditions of rate limits"
#define FEW_CLIENTS    "write fewer rules of TrafficPolicies"

/* Writes a MetaRouter with a limit of `n` conditions for a host. `kind`: exact or regex. */
static void put_limit(FILE *f, const char *ns, const char *host, int n, const char *kind)
{
	fprintf(f,
		"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"
		"metadata: {name: m-%s, namespace: %s}\nspec:\n  hosts: [%s]\n"
		"  localRateLimit:\n    conditions:\n",
		host, ns, host);
	for (int i = 0; i < n; i++)
		fprintf(f,
			"    - {match: {attributes: {k: {%s: v%d}}}, tokenBucket: {maxTokens: 1, "
			"fillInterval: 1s}}\n",
			kind, i);
}

/* The buckets of the configuration in force. */
static uint32_t count_buckets(const struct scene *sc)
{
	const struct mt_limit_registry *r = mt_conf_limits(sc->conf);
	struct mt_limit_info info;
	uint32_t idx = 0, n = 0;

	while (mt_limit_next(r, &idx, 1000000, &info))
		n++;
	return n;
}

/* A port has buckets of its own for a MetaRouter's limit. Its service is closed, and has none then. */
static void limits_times_ports(void)
{
	static const struct {
		int ports, conditions;
		bool closed;
	} rows[] = {{20, 2, false}, {1, 100, false}, {20, 100, true}};
	struct scene sc;
	char *text;
	size_t size;

	for (size_t at = 0; at < MT_ARRAY_LEN(rows); at++) {
		FILE *f = open_memstream(&text, &size);

		put_services(f, "greedy", 1, 1, rows[at].ports);
		put_services(f, "other", 1, 1, 1);
		put_limit(f, "greedy", "s0.greedy.example", rows[at].conditions, "exact");
		load(&sc, 40000, f, &text);
		CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_FAIL_CLOSED), rows[at].closed);
		CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_REFUSED), 0);
		CU_ASSERT_EQUAL(scene_has(&sc, FEW_CONDITIONS, OVER), rows[at].closed);
		CU_ASSERT_EQUAL(
			scene_endpoints(&sc, "s0.greedy.example"), rows[at].closed ? -2 : 1);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "s0.other.example"), 1);
		publish(&sc);
		CU_ASSERT_EQUAL(count_buckets(&sc),
			rows[at].closed ? 0 : (uint32_t)(rows[at].ports * rows[at].conditions));
		scene_end(&sc);
	}
}

/* Regular expressions in its conditions count as those of routes do. */
static void limits_by_regex(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int regex = 0; regex < 2; regex++) {
		FILE *f = open_memstream(&text, &size);

		put_services(f, "greedy", 1, 1, 1);
		put_limit(f, "greedy", "s0.greedy.example", 100, regex ? "regex" : "exact");
		/* 100 buckets need 16,000 steps, and their expressions 12,800. */
		load(&sc, 24000, f, &text);
		IS_STATUS(&sc, "ServiceEntry", "s0", regex ? "fail-closed" : "in-force");
		scene_end(&sc);
	}
}

/* A MetaRouter of another namespace pays for its limit itself. */
static void limits_of_others(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "other", 1, 1, 20);
	put_limit(f, "greedy", "s0.other.example", 100, "exact");
	load(&sc, 40000, f, &text);
	IS_STATUS(&sc, "MetaRouter", "m-s0.other.example", "refused");
	CU_ASSERT(scene_has(&sc, FEW_CONDITIONS, OVER));
	IS_STATUS(&sc, "ServiceEntry", "s0", "in-force");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s0.other.example"), 1);
	scene_end(&sc);
}

/* Writes service s of namespace greedy with endpoints that have no proxies. */
static void put_bare(FILE *f, int endpoints)
{
	fputs("---\n" ISTIO("ServiceEntry", "s", "greedy") "  hosts: [s.greedy.example]\n"
							   "  location: MESH_INTERNAL\n"
							   "  resolution: STATIC\n"
							   "  ports: [{number: 80, name: "
							   "tcp-metaprotocol-dubbo}]\n"
							   "  endpoints:\n",
		f);
	for (int i = 0; i < endpoints; i++)
		fprintf(f, "  - {address: 198.51.100.%d, labels: {app: a}}\n", i + 1);
}

/* Writes an EnvoyFilter with a limit for the servers of the port. */
static void put_inbound(
	FILE *f, const char *ns, const char *selected, const char *protocol, int conditions)
{
	fprintf(f,
		"---\n" ISTIO("EnvoyFilter", "f",
			"%s") "  workloadSelector: {labels: {app: %s}}\n"
			      "  configPatches:\n"
			      "  - applyTo: NETWORK_FILTER\n"
			      "    match: {context: SIDECAR_INBOUND, listener: {name: "
			      "virtualInbound, filterChain: {destinationPort: 80}}}\n"
			      "    patch:\n      operation: REPLACE\n      value:\n"
			      "        name: m\n        typed_config:\n"
			      "          '@type': type.googleapis.com/"
			      "aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy\n"
			      "          applicationProtocol: %s\n"
			      "          metaProtocolFilters:\n"
			      "          - name: aeraki.meta_protocol.filters.local_ratelimit\n"
			      "            config:\n              conditions:\n",
		ns, selected, protocol);
	for (int i = 0; i < conditions; i++)
		fprintf(f,
			"              - {match: {metadata: [{name: k, exactMatch: v%d}]}, "
			"tokenBucket: {maxTokens: 1, fillInterval: 1s}}\n",
			i);
}

/* Writes a rule with subsets that all endpoints of the service are in. */
static void put_all_subsets(FILE *f, const char *ns, int n)
{
	fprintf(f, "---\n" ISTIO("DestinationRule", "d", "%s") "  host: s.greedy.example\n", ns);
	fputs("  subsets:\n", f);
	for (int i = 0; i < n; i++)
		fprintf(f, "  - {name: v%d, labels: {app: a}}\n", i);
}

/* An endpoint has buckets of its own for the limit in its proxy, also in the clusters of subsets. */
static void limits_times_endpoints(void)
{
	static const struct {
		const char *ns, *selected, *protocol;
		int endpoints, conditions, subsets;
		bool closed;
	} rows[] = {{"greedy", "a", "dubbo", 50, 1, 0, false},
		{"greedy", "a", "dubbo", 1, 50, 0, false},
		{"greedy", "a", "dubbo", 50, 50, 0, true},
		{"istio-system", "a", "dubbo", 50, 50, 0, true},
		{"greedy", "b", "dubbo", 50, 50, 0, false},
		{"other", "a", "dubbo", 50, 50, 0, false},
		{"greedy", "a", "thrift", 50, 50, 0, false},
		{"greedy", "a", "dubbo", 5, 20, 0, false},
		{"greedy", "a", "dubbo", 5, 20, 10, true}};
	struct scene sc;
	char *text;
	size_t size;

	for (size_t at = 0; at < MT_ARRAY_LEN(rows); at++) {
		FILE *f = open_memstream(&text, &size);

		put_bare(f, rows[at].endpoints);
		put_inbound(
			f, rows[at].ns, rows[at].selected, rows[at].protocol, rows[at].conditions);
		if (rows[at].subsets)
			put_all_subsets(f, "greedy", rows[at].subsets);
		load(&sc, 40000, f, &text);
		IS_STATUS(&sc, "ServiceEntry", "s", rows[at].closed ? "fail-closed" : "in-force");
		CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, "EnvoyFilter", "f"), "refused");
		CU_ASSERT_EQUAL(scene_has(&sc, FEW_CONDITIONS, OVER), rows[at].closed);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "s.greedy.example"),
			rows[at].closed ? -2 : rows[at].endpoints);
		scene_end(&sc);
	}
}

/* Subsets of another namespace's rule are closed before the service is. */
static void limits_in_foreign_subsets(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_bare(f, 5);
	put_inbound(f, "greedy", "a", "dubbo", 20);
	put_all_subsets(f, "istio-system", 10);
	load(&sc, 40000, f, &text);
	IS_STATUS(&sc, "DestinationRule", "d", "fail-closed");
	IS_STATUS(&sc, "ServiceEntry", "s", "in-force");
	CU_ASSERT(scene_has(&sc, "its subsets are closed: needs", OVER));
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s.greedy.example"), 5);
	scene_end(&sc);
}

/* 100 services of 2 ports with 20 conditions each need at most a 64th of the limit. */
static void limits_of_a_mesh_have_room(void)
{
	struct scene sc;
	char *text, host[32];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "x", 100, 5, 2);
	for (int i = 0; i < 100; i++) {
		snprintf(host, sizeof(host), "s%d.x.example", i);
		put_limit(f, "x", host, 20, "exact");
	}
	load(&sc, mt_conf_steps / 64, f, &text);
	CU_ASSERT_EQUAL(
		count(&sc, "x", MT_OBJECT_REFUSED) + count(&sc, "x", MT_OBJECT_FAIL_CLOSED), 0);
	CU_ASSERT_FALSE(scene_has(&sc, "", "thousand steps of work"));
	publish(&sc);
	CU_ASSERT_EQUAL(count_buckets(&sc), 100 * 2 * 20);
	scene_end(&sc);
}

/* Writes the routes of a MetaRouter or VirtualService that names Gateway g, and a limit with it. */
static void put_limited(FILE *f, bool by_router, int conditions)
{
	fputs("---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"
	      "metadata: {name: m, namespace: greedy}\nspec:\n  gateways: [g]\n"
	      "  hosts: [s0.greedy.example]\n",
		f);
	if (by_router)
		fputs("  routes: [{route: [{destination: {host: s0.greedy.example}}]}]\n", f);
	fputs("  localRateLimit:\n    conditions:\n", f);
	for (int i = 0; i < conditions; i++)
		fprintf(f,
			"    - {match: {attributes: {k: {exact: v%d}}}, tokenBucket: {maxTokens: "
			"1, fillInterval: 1s}}\n",
			i);
	if (by_router)
		return;
	fputs("---\n" ISTIO("VirtualService", "v", "greedy"), f);
	fputs("  hosts: [s0.greedy.example]\n  gateways: [g]\n"
	      "  dubbo: [{route: [{destination: {host: s0.greedy.example}}]}]\n",
		f);
}

/*
 * Each server has buckets of its own for the limit of a MetaRouter. A VirtualService with the routes
 * is refused, and the MetaRouter closed there, so that no calls pass without their limit.
 */
static void servers_times_limits(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int i = 0; i < 4; i++) {
		bool by_router = i & 1, many = i & 2;
		FILE *f = open_memstream(&text, &size);

		fputs("---\n" ISTIO("Gateway", "g", "greedy") "  selector: {}\n  servers:\n", f);
		for (int k = 0; k < 50; k++)
			fprintf(f,
				"  - {port: {number: %d, name: tcp-metaprotocol-dubbo}, hosts: "
				"['*']}\n",
				1000 + k);
		put_services(f, "greedy", 1, 1, 1);
		put_limited(f, by_router, many ? 100 : 2);
		load(&sc, 100000, f, &text);
		IS_STATUS(&sc, "ServiceEntry", "s0", "in-force");
		CU_ASSERT_EQUAL(scene_has(&sc, FEW_CONDITIONS, OVER), many);
		CU_ASSERT_EQUAL(strcmp(scene_status(&sc, "MetaRouter", "m"), "fail-closed") == 0,
			by_router && many);
		CU_ASSERT(by_router || (strcmp(scene_status(&sc, "VirtualService", "v"),
						"refused") == 0) == many);
		scene_end(&sc);
	}
}

#define LOCAL	     "localRateLimit: {tokenBucket: {fillInterval: 1s, maxTokens: 5, tokensPerFill: 5}}"
#define GLOBAL(more) GLOBAL_AT("s0", more)
#define GLOBAL_AT(service, more)                                                                   \
	"globalRateLimit: {domain: d, rateLimitService: 'outbound|80||" service                    \
	".greedy.example', descriptors: [{property: method, descriptorKey: m}]" more "}"
/* It is where the node's port leads to. */
#define NEAR                                                                                       \
	"---\n" ISTIO("ServiceEntry", "near", "greedy") "  hosts: [near.greedy.example]\n"         \
							"  resolution: STATIC\n"                   \
							"  ports: [{number: 80, name: tcp}]\n"     \
							"  endpoints: [{address: 192.0.2.9}]\n"

/* Work at gateways does not refuse a MetaRouter that limits calls of its service. */
static void limits_survive_gateways(void)
{
	static const struct {
		int servers, rules;
		uint64_t steps;
		bool closed, global;
	} rows[] = {{50, 1, 100000, false, false}, {2000, 1, 60000, true, false},
		{50, 100, 60000, true, false}, {50, 1, 100000, false, true},
		{2000, 1, 60000, true, true}, {50, 100, 60000, true, true}};
	struct scene sc;
	char *text;
	size_t size;

	for (size_t at = 0; at < MT_ARRAY_LEN(rows); at++) {
		FILE *f = open_memstream(&text, &size);

		fputs("---\n" ISTIO("Gateway", "g", "greedy") "  selector: {}\n  servers:\n", f);
		for (int i = 0; i < rows[at].servers; i++)
			fprintf(f,
				"  - {port: {number: %d, name: tcp-metaprotocol-dubbo}, hosts: "
				"['*']}\n",
				1000 + i);
		put_services(f, "greedy", 1, 1, 1);
		fputs(NEAR, f);
		fprintf(f,
			"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"
			"metadata: {name: m, namespace: greedy}\nspec:\n  gateways: [g]\n"
			"  hosts: [s0.greedy.example]\n  %s\n  routes:\n",
			rows[at].global ? GLOBAL_AT("near", "") : LOCAL);
		for (int i = 0; i < rows[at].rules; i++)
			fputs("  - {route: [{destination: {host: s0.greedy.example}}]}\n", f);
		load(&sc, rows[at].steps, f, &text);
		IS_STATUS(&sc, "MetaRouter", "m", rows[at].closed ? "fail-closed" : "in-force");
		CU_ASSERT_EQUAL(scene_has(&sc, "steps of work at gateways", OVER), rows[at].closed);
		IS_STATUS(&sc, "ServiceEntry", "s0", "in-force");
		publish(&sc);
		if (!rows[at].global)
			CU_ASSERT_EQUAL(count_buckets(&sc), rows[at].closed ? 1 : 51);
		scene_end(&sc);
	}
}

/* Writes MetaRouters with global limits for hosts that are not there. */
static void put_global(FILE *f, int n, const char *limit)
{
	for (int i = 0; i < n; i++)
		fprintf(f,
			"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"
			"metadata: {name: m%d, namespace: greedy}\nspec:\n"
			"  hosts: [none%d.greedy.example]\n  %s\n",
			i, i, limit);
}

/* Global limits are checked, and their services looked for, also if they limit no service. */
static void global_limits_are_checked(void)
{
	static const struct {
		const char *limit, *remedy;
		int endpoints;
	} rows[] = {{GLOBAL(""), NULL, 1},
		{GLOBAL(", match: {attributes: {k: {exact: a}}}"), NULL, 1},
		{GLOBAL(", match: {attributes: {k: {regex: a}}}"),
			"write fewer or shorter regular expressions", 1},
		{GLOBAL(""), "name services with fewer endpoints", 200}};
	struct scene sc;
	char *text;
	size_t size;

	for (size_t at = 0; at < MT_ARRAY_LEN(rows); at++) {
		FILE *f = open_memstream(&text, &size);

		put_services(f, "greedy", 1, rows[at].endpoints, 1);
		put_global(f, 100, rows[at].limit);
		load(&sc, 12000, f, &text);
		CU_ASSERT_EQUAL(
			count(&sc, "greedy", MT_OBJECT_REFUSED) > 0, rows[at].remedy != NULL);
		if (rows[at].remedy)
			CU_ASSERT(scene_has(&sc, rows[at].remedy, OVER));
		scene_end(&sc);
	}
}

/* Loads with a limit of endpoints. */
static void load_endpoints(struct scene *sc, uint64_t endpoints)
{
	const uint64_t most = mt_conf_endpoints;

	mt_conf_endpoints = endpoints;
	load_again(sc, mt_conf_steps);
	mt_conf_endpoints = most;
}

/* Writes service s of namespace greedy, and a rule with subsets that have all its endpoints. */
static void put_multiplied(struct scene *sc, const char *rule_ns, int endpoints, int subsets)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_bare(f, endpoints);
	if (subsets)
		put_all_subsets(f, rule_ns, subsets);
	fclose(f);
	scene_write(sc, "greedy.yaml", text);
	free(text);
}

/* Endpoints times subsets have shares: a small service of another namespace has its endpoint. */
static void endpoints_have_shares(void)
{
	struct scene sc;

	scene_begin(&sc);
	put_multiplied(&sc, "greedy", 40, 24);
	put_file(&sc, "other", 1, 1);
	load_endpoints(&sc, 1000);
	IS_STATUS(&sc, "ServiceEntry", "s", "fail-closed");
	CU_ASSERT(scene_has(&sc, "write fewer ports, subsets or endpoints", OVER));
	IS_STATUS(&sc, "ServiceEntry", "s0", "in-force");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s0.other.example"), 1);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s.greedy.example"), -2);
	scene_end(&sc);
}

/* So has a new endpoint while all are in use. */
static void endpoints_are_left_for_changes(void)
{
	struct scene sc;

	scene_begin(&sc);
	put_multiplied(&sc, "greedy", 40, 23);
	put_file(&sc, "other", 1, 40);
	load_endpoints(&sc, 1000);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s.greedy.example"), 40);
	publish(&sc);
	put_file(&sc, "other", 1, 41);
	load_endpoints(&sc, 1000);
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_IN_FORCE), 1);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s0.other.example"), 41);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s.greedy.example"), -2);
	scene_end(&sc);
}

/* Subsets of another namespace's rule are closed, and the service stays. */
static void endpoints_of_foreign_subsets(void)
{
	struct scene sc;

	scene_begin(&sc);
	put_multiplied(&sc, "istio-system", 40, 30);
	load_endpoints(&sc, 1000);
	IS_STATUS(&sc, "ServiceEntry", "s", "in-force");
	IS_STATUS(&sc, "DestinationRule", "d", "fail-closed");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s.greedy.example"), 40);
	scene_end(&sc);
}

/* Writes a TrafficPolicy with `n` rules for an object of namespace greedy. */
static void put_clients(FILE *f, const char *kind, const char *name, int n)
{
	fprintf(f,
		"---\napiVersion: meltemi.io/v1\nkind: TrafficPolicy\n"
		"metadata: {name: c, namespace: greedy}\nspec:\n"
		"  targetRefs: [{group: networking.istio.io, kind: %s, name: %s}]\n"
		"  rateLimit: {local: {rules: [",
		kind, name);
	for (int i = 0; i < n; i++)
		fprintf(f,
			"%s{limit: {requests: 1, unit: Day}, clientSelectors: [{headers: [{name: "
			"k, value: v%d}]}]}",
			i ? ", " : "", i);
	fputs("]}}\n", f);
}

/* Each port compiles the rules of a TrafficPolicy. Its service is closed, and not open without them. */
static void clients_times_ports(void)
{
	static const struct {
		int ports, rules;
		bool closed;
	} rows[] = {{20, 2, false}, {1, 60, false}, {20, 60, true}};
	struct scene sc;
	char *text;
	size_t size;

	for (size_t at = 0; at < MT_ARRAY_LEN(rows); at++) {
		FILE *f = open_memstream(&text, &size);

		put_services(f, "greedy", 1, 1, rows[at].ports);
		put_services(f, "other", 1, 1, 1);
		put_clients(f, "ServiceEntry", "s0", rows[at].rules);
		load(&sc, 40000, f, &text);
		CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_FAIL_CLOSED), rows[at].closed);
		CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_REFUSED), 0);
		CU_ASSERT_EQUAL(scene_has(&sc, FEW_CLIENTS, OVER), rows[at].closed);
		CU_ASSERT_EQUAL(
			scene_endpoints(&sc, "s0.greedy.example"), rows[at].closed ? -2 : 1);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "s0.other.example"), 1);
		scene_end(&sc);
	}
}

/* Each server of a Gateway compiles them, too. The document with the routes is refused. */
static void clients_times_servers(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int many = 0; many < 2; many++) {
		FILE *f = open_memstream(&text, &size);

		fputs("---\n" ISTIO("Gateway", "g", "greedy") "  selector: {}\n  servers:\n", f);
		for (int k = 0; k < 50; k++)
			fprintf(f,
				"  - {port: {number: %d, name: tcp-metaprotocol-dubbo}, hosts: "
				"['*']}\n",
				1000 + k);
		put_services(f, "greedy", 1, 1, 1);
		fputs("---\n" ISTIO("VirtualService", "v", "greedy"), f);
		fputs("  hosts: [s0.greedy.example]\n  gateways: [g]\n"
		      "  dubbo: [{route: [{destination: {host: s0.greedy.example}}]}]\n",
			f);
		put_clients(f, "Gateway", "g", many ? 60 : 1);
		load(&sc, 100000, f, &text);
		IS_STATUS(&sc, "ServiceEntry", "s0", "in-force");
		IS_STATUS(&sc, "VirtualService", "v", many ? "refused" : "in-force");
		CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, "TrafficPolicy", "c"), "refused");
		CU_ASSERT_EQUAL(scene_has(&sc, FEW_CLIENTS, OVER), many);
		scene_end(&sc);
	}
}

const struct mt_test work_limits_tests[] = {{"limits times ports", limits_times_ports},
	{"limits by regex", limits_by_regex}, {"limits of others", limits_of_others},
	{"endpoints have shares", endpoints_have_shares},
	{"endpoints are left for changes", endpoints_are_left_for_changes},
	{"endpoints of foreign subsets", endpoints_of_foreign_subsets},
	{"limits times endpoints", limits_times_endpoints},
	{"limits in foreign subsets", limits_in_foreign_subsets},
	{"limits of a mesh have room", limits_of_a_mesh_have_room},
	{"limits survive gateways", limits_survive_gateways},
	{"global limits are checked", global_limits_are_checked},
	{"servers times limits", servers_times_limits},
	{"clients times ports", clients_times_ports},
	{"clients times servers", clients_times_servers}, {0}};
