/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller may call: all of a service, some methods, nothing, and the rule that says so. */
#include "analyse_test.h"

#define FRONT "cluster.local/ns/web/sa/front"
#define OTHER "cluster.local/ns/web/sa/other"

/* Each for the service `s` of namespace a, port 80. */
static const struct {
	const char *policy; /* spec of one, and of another one behind it */
	const char *other;
	const char *principal, *from;	/* NULL: anywhere */
	const char *may, *which, *rule; /* part of the texts; which NULL: null */
} rows[] = {
	{NULL, NULL, FRONT, NULL, "all", NULL, "no policy is about it"},
	{"{}", NULL, FRONT, NULL, "nothing", NULL,
		"no rule of ALLOW fits (AuthorizationPolicy a/p)"},
	{"{rules: [{from: [{source: {principals: [" FRONT "]}}]}]}", NULL, FRONT, NULL, "all", NULL,
		"AuthorizationPolicy a/p (/tmp"},
	{"{rules: [{from: [{source: {principals: [" FRONT "]}}]}]}", NULL, OTHER, NULL, "nothing",
		NULL, "no rule of ALLOW"},
	{"{rules: [{from: [{source: {principals: [" FRONT "]}}]}]}", NULL, "", NULL, "nothing",
		NULL, "no rule of ALLOW"},
	{"{rules: [{from: [{source: {principals: [" FRONT
	 "]}}], to: [{operation: {methods: [get, 'put*']}}]}]}",
		NULL, FRONT, NULL, "methods", "methods get, put*", "AuthorizationPolicy a/p"},
	{"{rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}", NULL, "", "10.1.2.3", "all",
		NULL, "a/p"},
	{"{rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}", NULL, "", "11.1.2.3", "nothing",
		NULL, "no rule"},
	{"{rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}", NULL, "", NULL, "methods",
		"some calls", "a/p"},
	{"{action: DENY, rules: [{from: [{source: {namespaces: [web]}}]}]}", NULL, FRONT, NULL,
		"nothing", NULL, "a/p"},
	{"{action: DENY, rules: [{from: [{source: {namespaces: [web]}}]}]}", NULL, "", NULL, "all",
		NULL, "no policy of ALLOW"},
	{"{action: DENY, rules: [{to: [{operation: {methods: [drop]}}]}]}",
		"{rules: [{from: [{source: {namespaces: [web]}}]}]}", FRONT, NULL, "methods",
		"all but: methods drop", "a/p"},
	{"{rules: [{to: [{operation: {ports: ['81']}}]}]}", NULL, FRONT, NULL, "nothing", NULL,
		"no rule"},
};

static bool holds(const json_t *row, const char *key, const char *want)
{
	const char *text = json_string_value(json_object_get(row, key));

	return want ? text && strstr(text, want) : text == NULL;
}

static void check(struct looked *l, size_t i)
{
	struct mt_addr from;
	json_t *all, *row;

	CU_ASSERT(!rows[i].from || mt_addr_parse(rows[i].from, &from) == 0);
	all = mt_analyse_principal(&l->in, rows[i].principal, rows[i].from ? &from : NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(all);
	row = json_array_get(json_object_get(all, "calls"), 0);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(all, "calls")), 1);
	if (!holds(row, "may", rows[i].may) || !holds(row, "which", rows[i].which) ||
		!holds(row, "rule", rows[i].rule)) {
		printf("row %zu: ", i);
		(void)json_dumpf(row, stdout, 0);
		printf("\n");
		CU_FAIL("a row is not as it is said");
	}
	json_decref(all);
}

static void what_a_caller_may_call(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct looked l;
		char text[1024];

		looked_begin(&l);
		scene_write(&l.sc, "1-service.yaml", SERVICE("s", "a", "192.0.2.9"));
		snprintf(text, sizeof(text), SECURITY("AuthorizationPolicy", "p", "a", "%s"),
			rows[i].policy ? rows[i].policy : "");
		if (rows[i].policy)
			scene_write(&l.sc, "2-policy.yaml", text);
		snprintf(text, sizeof(text), SECURITY("AuthorizationPolicy", "q", "a", "%s"),
			rows[i].other ? rows[i].other : "");
		if (rows[i].other)
			scene_write(&l.sc, "3-policy.yaml", text);
		looked_load(&l);
		check(&l, i);
		looked_end(&l);
	}
}

/* Who shows nothing has the name of his address, if that lives on a port of workloads. */
static void who_lives_on_a_port(void)
{
	struct mt_bound bound = {.principal = FRONT};
	struct mt_snapshot snap = {.bound = &bound, .n_bound = 1};
	struct looked l;

	looked_begin(&l);
	CU_ASSERT_EQUAL(mt_addr_parse("192.0.2.77", &bound.addr), 0);
	scene_write(&l.sc, "1-service.yaml", SERVICE("s", "a", "192.0.2.9"));
	scene_write(&l.sc, "2-policy.yaml",
		SECURITY("AuthorizationPolicy", "p", "a",
			"{rules: [{from: [{source: {principals: [" FRONT "]}}]}]}"));
	looked_load(&l);
	for (int lives = 0; lives < 2; lives++) {
		const struct mt_snapshot *was = l.in.snap;
		json_t *all;

		snap.clusters = was->clusters;
		snap.n_clusters = was->n_clusters;
		if (lives)
			l.in.snap = &snap;
		all = mt_analyse_principal(&l.in, "", &bound.addr);
		l.in.snap = was;
		CU_ASSERT_PTR_NOT_NULL_FATAL(all);
		CU_ASSERT(holds(json_array_get(json_object_get(all, "calls"), 0), "may",
			lives ? "all" : "nothing"));
		json_decref(all);
	}
	looked_end(&l);
}

/* As in the daemon, no rule may depend on the name of a workload that has none. */
static void who_has_no_name(void)
{
	static const struct {
		const char *policy, *may;
	} unnamed_rows[] = {
		{"{action: DENY, rules: [{from: [{source: {principals: [" OTHER "]}}]}]}",
			"nothing"},
		{"{action: DENY, rules: [{from: [{source: {notPrincipals: [" OTHER "]}}]}]}",
			"nothing"},
		{"{action: DENY, rules: [{from: [{source: {principals: [" OTHER
		 "]}}], to: [{operation: {methods: [drop]}}]}]}",
			"methods"},
		{"{action: DENY, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8], principals: "
		 "[" OTHER "]}}]}]}",
			"all"},
		{"{rules: [{from: [{source: {notPrincipals: [" OTHER "]}}]}]}", "nothing"},
		{"{rules: [{from: [{source: {ipBlocks: [192.0.2.0/24]}}]}]}", "all"},
	};
	struct mt_bound bound = {.disputed = true, .why = "two WorkloadEntries have the address"};
	struct mt_snapshot snap = {.bound = &bound, .n_bound = 1};

	CU_ASSERT_EQUAL(mt_addr_parse("192.0.2.77", &bound.addr), 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(unnamed_rows); i++) {
		const struct mt_snapshot *was;
		struct looked l;
		json_t *all;
		char text[512];

		looked_begin(&l);
		scene_write(&l.sc, "1-service.yaml", SERVICE("s", "a", "192.0.2.9"));
		snprintf(text, sizeof(text), SECURITY("AuthorizationPolicy", "p", "a", "%s"),
			unnamed_rows[i].policy);
		scene_write(&l.sc, "2-policy.yaml", text);
		looked_load(&l);
		was = l.in.snap;
		snap.clusters = was->clusters;
		snap.n_clusters = was->n_clusters;
		l.in.snap = &snap;
		all = mt_analyse_principal(&l.in, "", &bound.addr);
		l.in.snap = was;
		CU_ASSERT_PTR_NOT_NULL_FATAL(all);
		CU_ASSERT(holds(json_array_get(json_object_get(all, "calls"), 0), "may",
			unnamed_rows[i].may));
		CU_ASSERT(holds(all, "principal", "none: two WorkloadEntries have the address"));
		json_decref(all);
		looked_end(&l);
	}
}

const struct mt_test calls_tests[] = {{"what_a_caller_may_call", what_a_caller_may_call},
	{"who_lives_on_a_port", who_lives_on_a_port}, {"who_has_no_name", who_has_no_name}, {0}};
