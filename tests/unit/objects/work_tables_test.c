/* SPDX-License-Identifier: Apache-2.0 */
/* Work of the tables of clusters' balancers. */
#include "work_test.h"

/* Writes a service of two endpoints, and its rule with 50 subsets of both, or of none. */
static void put_service(FILE *f, const char *policy, int weight, const char *label)
{
	fprintf(f,
		"---\n" ISTIO("ServiceEntry", "s",
			"greedy") "  hosts: [s.greedy.example]\n  resolution: STATIC\n"
				  "  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"
				  "  endpoints:\n"
				  "  - {address: 198.51.100.1, labels: {app: a}, locality: r/a}\n"
				  "  - {address: 198.51.100.2, labels: {app: a}, locality: r/b, "
				  "weight: %d}\n",
		weight);
	fprintf(f,
		"---\n" ISTIO("DestinationRule", "d", "greedy") "  host: s.greedy.example\n"
								"  trafficPolicy: {%s}\n"
								"  subsets:\n",
		policy);
	for (int i = 0; i < 50; i++)
		fprintf(f, "  - {name: v%d, labels: {app: %s}}\n", i, label);
}

#define HASH(x) "loadBalancer: {consistentHash: {useSourceIp: true" x "}}"

/* Tables count by their size, for each cluster that has endpoints, and each of its levels. */
static void tables_count(void)
{
	static const struct {
		const char *policy;
		int weight;
		const char *label;
		bool closed;
	} rows[] = {{"", 1, "a", false}, {HASH(""), 1, "a", true}, {HASH(""), 1, "b", false},
		{HASH(", minimumRingSize: 64"), 1, "a", false},
		{HASH(", minimumRingSize: 64"), 60000, "a", true},
		{HASH(", ringHash: {minimumRingSize: 8388608}"), 1, "b", true},
		{HASH(", ringHash: {minimumRingSize: 3000}"), 1, "a", false},
		{HASH(", ringHash: {minimumRingSize: 3000}") ", outlierDetection: {}", 1, "a",
			true},
		{"", 8191, "a", true}, {"", 8191, "b", false}, {"", 10, "a", false}};
	struct scene sc;
	char *text;
	size_t size;

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		FILE *f = open_memstream(&text, &size);

		put_services(f, "other", 2, 1, 1);
		put_service(f, rows[i].policy, rows[i].weight, rows[i].label);
		load(&sc, 100000, f, &text);
		IS_STATUS(&sc, "ServiceEntry", "s", rows[i].closed ? "fail-closed" : "in-force");
		CU_ASSERT_EQUAL(scene_has(&sc, "write smaller hash rings", OVER), rows[i].closed);
		CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_IN_FORCE), 2);
		scene_end(&sc);
	}
}

/* Subsets by a rule of another namespace are closed at the service, which stays. */
static void tables_of_others(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "greedy", 1, 2, 1);
	fputs("---\n" ISTIO("DestinationRule", "d", "istio-system") "  host: s0.greedy.example\n"
								    "  subsets:\n",
		f);
	for (int i = 0; i < 50; i++)
		fprintf(f,
			"  - {name: v%d, trafficPolicy: {" HASH(", minimumRingSize: 9000") "}}\n",
			i);
	load(&sc, 100000, f, &text);
	IS_STATUS(&sc, "ServiceEntry", "s0", "in-force");
	IS_STATUS(&sc, "DestinationRule", "d", "fail-closed");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s0.greedy.example"), 2);
	scene_end(&sc);
}

const struct mt_test work_tables_tests[] = {
	{"tables count", tables_count}, {"tables of others", tables_of_others}, {0}};
