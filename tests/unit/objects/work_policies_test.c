/* SPDX-License-Identifier: Apache-2.0 */
/* Work of the sets of policies that endpoints have. */
#include "work_test.h"

#include <string.h>

/* Writes a policy of endpoints with the label, with `rules` rules of one condition each. */
static void put_rules_for(FILE *f, const char *name, const char *label, int rules)
{
	fprintf(f, "---\n" SECURITY("AuthorizationPolicy", "%s", "greedy", ""), name);
	fprintf(f, "  selector: {matchLabels: {%s}}\n  action: DENY\n  rules:\n", label);
	for (int i = 0; i < rules; i++)
		fprintf(f, "  - to: [{operation: {methods: [m%d]}}]\n", i);
}

/* Writes service s with 2^`bits` endpoints, each with other ones of the labels l0 to l5 or `own`. */
static void put_labelled(FILE *f, int bits, const char *own)
{
	fputs(ISTIO("ServiceEntry", "s", "greedy") "  hosts: [s.greedy.example]\n"
						   "  location: MESH_INTERNAL\n"
						   "  resolution: STATIC\n"
						   "  ports: [{number: 80, name: "
						   "tcp-metaprotocol-dubbo}]\n"
						   "  endpoints:\n",
		f);
	for (int i = 0; i < 1 << bits; i++) {
		fprintf(f, "  - {address: 198.51.100.%d, labels: {app: a", i + 1);
		for (int k = 0; k < bits; k++)
			if (i >> k & 1)
				fprintf(f, ", %s%d: x", own, k);
		fputs("}}\n", f);
	}
}

/*
 * Each endpoint has a set of its own if its labels choose other policies than those of the others.
 * Labels that no policy names choose none.
 */
static void labels_choose_sets(void)
{
	struct scene sc;
	char *text, name[8], label[16];
	size_t size;

	for (int i = 0; i < 4; i++) {
		bool chooses = i & 1, indexed = i & 2;
		FILE *f = open_memstream(&text, &size);

		put_labelled(f, 6, chooses ? "l" : "other");
		for (int k = 0; k < 6; k++) {
			snprintf(name, sizeof(name), "p%d", k);
			snprintf(label, sizeof(label), "l%d: x", k);
			put_rules_for(f, name, label, 50);
		}
		/* More policies than are compared without an index of their labels. */
		for (int k = 0; indexed && k < 20; k++) {
			snprintf(name, sizeof(name), "q%d", k);
			put_rules_for(f, name, "app: b", 1);
		}
		load(&sc, 60000, f, &text);
		IS_STATUS(&sc, "ServiceEntry", "s", chooses ? "fail-closed" : "in-force");
		CU_ASSERT_EQUAL(scene_has(&sc, "policies", OVER), chooses);
		scene_end(&sc);
	}
}

/* Policies that select nothing do not hide that fewer rules than an index may have are left. */
static void rules_of_others_hide_none(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "greedy", 20, 1, 1);
	put_rules_for(f, "mine", "app: a", 600);
	put_rules_for(f, "other", "app: b", 600);
	load(&sc, 100000, f, &text);
	CU_ASSERT(count(&sc, "greedy", MT_OBJECT_FAIL_CLOSED) > 10);
	CU_ASSERT(scene_has(&sc, "policies", OVER));
	scene_end(&sc);
}

/* Writes a RequestAuthentication of `rules` rules, with lists of `n` entries. */
static void put_tokens(FILE *f, const char *selected, int rules, int n, const char *list)
{
	fprintf(f, "---\n" SECURITY("RequestAuthentication", "t", "greedy", ""));
	fprintf(f, "  selector: {matchLabels: {%s}}\n  jwtRules:\n", selected);
	for (int i = 0; i < rules; i++) {
		fprintf(f, "  - issuer: i%d\n    jwksUri: http://a.example/\n    %s: [", i, list);
		for (int k = 0; k < n; k++)
			fprintf(f, strcmp(list, "audiences") == 0 ? "%sk%d-%d" : "%s{name: k%d-%d}",
				k ? ", " : "", i, k);
		fputs("]\n", f);
	}
}

/* Rules for tokens are copied for each set, and their metadata keys are compared with each other. */
static void tokens_count(void)
{
	static const struct {
		const char *selected, *list;
		int rules, n;
		bool closed;
	} rows[] = {{"app: a", "audiences", 60, 1, false}, {"app: a", "audiences", 60, 100, true},
		{"app: a", "fromHeaders", 60, 1, false}, {"app: a", "fromHeaders", 20, 100, true},
		{"app: b", "audiences", 60, 100, false}};
	struct scene sc;
	char *text;
	size_t size;

	for (size_t at = 0; at < MT_ARRAY_LEN(rows); at++) {
		FILE *f = open_memstream(&text, &size);

		put_services(f, "greedy", 20, 1, 1);
		put_tokens(f, rows[at].selected, rows[at].rules, rows[at].n, rows[at].list);
		/* More policies than are compared without an index of their labels. */
		for (int k = 0; k < 20; k++) {
			char name[8];

			snprintf(name, sizeof(name), "q%d", k);
			put_rules_for(f, name, "app: c", 1);
		}
		load(&sc, 60000, f, &text);
		CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_FAIL_CLOSED) > 5, rows[at].closed);
		CU_ASSERT_EQUAL(scene_has(&sc, "policies", OVER), rows[at].closed);
		scene_end(&sc);
	}
}

/* Lists of a rule for tokens have a limit. */
static void lists_of_tokens(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int n = 1000; n <= 1001; n++) {
		FILE *f = open_memstream(&text, &size);

		put_tokens(f, "app: a", 1, n, "audiences");
		scene_load_text(&sc, f, &text);
		CU_ASSERT_EQUAL(
			strcmp(scene_status(&sc, "RequestAuthentication", "t"), "refused") == 0,
			n > 1000);
		scene_end(&sc);
	}
}

/* Writes service s with 8 ports of these protocols in turn. */
static void put_protocols(FILE *f, const char *const *protocols, int n)
{
	fputs(ISTIO("ServiceEntry", "s", "greedy") "  hosts: [s.greedy.example]\n"
						   "  location: MESH_INTERNAL\n"
						   "  resolution: STATIC\n"
						   "  endpoints: [{address: 198.51.100.1, "
						   "labels: {app: a}}]\n"
						   "  ports:\n",
		f);
	for (int i = 0; i < 8; i++)
		fprintf(f, "  - {number: %d, name: tcp-metaprotocol-%s-%d}\n", 80 + i,
			protocols[i % n], i);
}

/* Conditions are compiled, and a set is made, for each protocol, not for each port. */
static void protocols_count(void)
{
	static const char *const protocols[] = {"dubbo", "thrift", "awesomerpc"};
	struct scene sc;
	char *text;
	size_t size;

	for (int many = 0; many < 2; many++) {
		FILE *f = open_memstream(&text, &size);

		put_protocols(f, protocols, many ? 3 : 1);
		put_rules_for(f, "p", "app: a", 300);
		load(&sc, 24000, f, &text);
		IS_STATUS(&sc, "ServiceEntry", "s", many ? "fail-closed" : "in-force");
		scene_end(&sc);
	}
}

/* Writes a policy of 20 rules with `n` values each of one condition. */
static void put_values(FILE *f, const char *condition, const char *value, int n)
{
	fprintf(f, "---\n" SECURITY("AuthorizationPolicy", "v", "greedy", ""));
	fputs("  action: DENY\n  rules:\n", f);
	for (int i = 0; i < 20; i++) {
		fprintf(f, "  - from:\n    - source:\n        %s: [", condition);
		for (int k = 0; k < n; k++) {
			fputs(k ? ", " : "", f);
			fprintf(f, value, k);
		}
		fputs("]\n", f);
	}
}

/* Values are compiled for each service, and networks have many rows of an index. */
static void values_count(void)
{
	static const struct {
		const char *condition, *value;
		int n;
		bool closed;
	} rows[] = {{"notNamespaces", "n%d", 1, false}, {"notNamespaces", "n%d", 200, true},
		{"namespaces", "n%d", 20, false}, {"ipBlocks", "10.%d.0.0/17", 20, true}};
	struct scene sc;
	char *text;
	size_t size;

	for (size_t at = 0; at < MT_ARRAY_LEN(rows); at++) {
		FILE *f = open_memstream(&text, &size);

		put_services(f, "greedy", 20, 1, 1);
		put_values(f, rows[at].condition, rows[at].value, rows[at].n);
		load(&sc, 90000, f, &text);
		CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_FAIL_CLOSED) +
						count(&sc, "greedy", MT_OBJECT_REFUSED) >
					0,
			rows[at].closed);
		scene_end(&sc);
	}
}

const struct mt_test work_policies_tests[] = {{"labels choose sets", labels_choose_sets},
	{"rules of others hide none", rules_of_others_hide_none}, {"tokens count", tokens_count},
	{"lists of tokens", lists_of_tokens}, {"protocols count", protocols_count},
	{"values count", values_count}, {0}};
