/* SPDX-License-Identifier: Apache-2.0 */
/* TrafficPolicy of meltemi.io. */
#include "source_test.h"

#include "mt_model_traffic.h"

#define POLICY "apiVersion: meltemi.io/v1\nkind: TrafficPolicy\nmetadata: {name: a}\nspec:\n"
#define TARGET "  targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: s}]\n"
#define RULES  POLICY TARGET "  rateLimit:\n    local:\n      rules:\n      - "
#define LIMIT  "limit: {requests: 10, unit: Minute}"
#define SELECT RULES LIMIT "\n        clientSelectors: "

static void test_whole(void)
{
	struct loaded l = load_text(SELECT
		"[{headers: [{name: user, type: Distinct}, {name: tier, value: free, invert: "
		"true}], "
		"sourceCIDR: {value: '2001:db8::/32', type: Distinct}, principal: {type: "
		"Distinct}, "
		"connection: Distinct}]\n        shared: true\n"
		"        shadowMode: true\n      - {limit: {requests: 4294967295, unit: Day}}\n");
	const struct mt_client_policy *p;
	const struct mt_client_limit *rule;

	CU_ASSERT_EQUAL(l.diags.errors, 0);
	CU_ASSERT_EQUAL(l.diags.warnings, 0);
	CU_ASSERT_EQUAL_FATAL(l.m->client_policies.n, 1);
	p = l.m->client_policies.v[0];
	CU_ASSERT_STRING_EQUAL(p->targets[0].kind.s, "ServiceEntry");
	CU_ASSERT_EQUAL_FATAL(p->rates->local->n_rules, 2);
	rule = &p->rates->local->rules[0];
	CU_ASSERT(rule->quota->requests.v == 10 && rule->quota->unit.v == MT_QUOTA_MINUTE);
	CU_ASSERT(rule->shared.v && rule->shadow.v);
	CU_ASSERT_EQUAL_FATAL(rule->n_selectors, 1);
	CU_ASSERT_EQUAL_FATAL(rule->selectors[0].n_headers, 2);
	CU_ASSERT_EQUAL(rule->selectors[0].headers[0].type.v, MT_SELECT_DISTINCT);
	CU_ASSERT(rule->selectors[0].headers[1].invert.v);
	CU_ASSERT_STRING_EQUAL(rule->selectors[0].headers[1].value.s, "free");
	CU_ASSERT_EQUAL(rule->selectors[0].source->prefix, 32);
	CU_ASSERT_EQUAL(rule->selectors[0].source->type.v, MT_SELECT_SOURCE_DISTINCT);
	CU_ASSERT_EQUAL(rule->selectors[0].principal->type.v, MT_SELECT_SOURCE_DISTINCT);
	CU_ASSERT_TRUE(rule->selectors[0].connection.set);
	CU_ASSERT_EQUAL(p->rates->local->rules[1].quota->unit.v, MT_QUOTA_DAY);
	unload(&l);
}

static void test_bad(void)
{
	static const struct {
		const char *text, *expect;
	} rows[] = {
		{POLICY "  rateLimit: {}\n",
			"5: error: spec: the TrafficPolicy is missing its targetRefs"},
		{POLICY "  targetRefs: []\n", "5: error: spec: the policy applies to nothing"},
		{POLICY "  targetRefs: [{kind: Service}]\n",
			"5: error: spec.targetRefs[0]: the target is missing its name"},
		{POLICY "  targetRefs: [{kind: Service, name: a, namespace: b}]\n",
			"5: error: spec.targetRefs[0].namespace: unknown field"},
		{POLICY TARGET "  timeout: 5s\n", "6: error: spec.timeout: unknown field"},
		{POLICY TARGET "  rateLimit: {local: {}}\n",
			"6: error: spec.rateLimit.local: the local limit is missing its rules"},
		{RULES "{}\n",
			"9: error: spec.rateLimit.local.rules[0]: the rule is missing its limit"},
		{RULES "limit: {unit: Hour}\n", "9: error: spec.rateLimit.local.rules[0].limit: "
						"the limit is missing its requests"},
		{RULES "limit: {requests: 0, unit: Hour}\n",
			"9: error: spec.rateLimit.local.rules[0].limit.requests: "},
		{RULES "limit: {requests: 1, unit: Week}\n",
			"9: error: spec.rateLimit.local.rules[0].limit.unit: \"Week\""},
		{SELECT "[{}]\n", "10: error: spec.rateLimit.local.rules[0].clientSelectors[0]: "
				  "the selector selects"},
		{SELECT "[{headers: [{value: a}]}]\n",
			"10: error: spec.rateLimit.local.rules[0].clientSelectors[0].headers[0]: "
			"the header is missing its name"},
		{SELECT "[{headers: [{name: a}]}]\n",
			"10: error: spec.rateLimit.local.rules[0].clientSelectors[0].headers[0]: a "
			"header without a value"},
		{SELECT "[{headers: [{name: a, type: Distinct, value: b}]}]\n",
			"10: error: spec.rateLimit.local.rules[0].clientSelectors[0].headers[0]: "
			"Distinct has no value"},
		{SELECT "[{headers: [{name: a, type: Distinct, invert: true}]}]\n",
			"10: error: spec.rateLimit.local.rules[0].clientSelectors[0].headers[0]: "
			"Distinct cannot be inverted"},
		{SELECT "[{principal: {}}]\n",
			"10: error: spec.rateLimit.local.rules[0].clientSelectors[0].principal: a "
			"principal without a value"},
		{SELECT "[{principal: {type: Distinct, value: a}}]\n",
			"10: error: spec.rateLimit.local.rules[0].clientSelectors[0].principal: "
			"Distinct has no value"},
		{SELECT "[{connection: Exact}]\n",
			"10: error: spec.rateLimit.local.rules[0].clientSelectors[0].connection: "
			"\"Exact\""},
		{SELECT "[{sourceCIDR: {value: 10.0.0.0/33}}]\n",
			"10: error: "
			"spec.rateLimit.local.rules[0].clientSelectors[0].sourceCIDR.value: "
			"\"10.0.0.0/33\" is neither"},
		{SELECT "[{sourceCIDR: {value: 10.0.0.1, type: RegularExpression}}]\n",
			"10: error: "
			"spec.rateLimit.local.rules[0].clientSelectors[0].sourceCIDR.type: "
			"\"RegularExpression\""},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct loaded l = load_text(rows[i].text);
		bool same = strncmp(first_diag(&l), rows[i].expect, strlen(rows[i].expect)) == 0;

		CU_ASSERT(same);
		if (!same)
			fprintf(stderr, "row %zu: %s\n", i, first_diag(&l));
		unload(&l);
	}
}

/* Fields that change which calls are meant, or how many, each have a warning. */
static void test_warned(void)
{
	static const char *const rows[] = {
		SELECT "[{sourceCIDR: {value: 10.0.0.1}, methods: [GET]}]\n",
		SELECT "[{sourceCIDR: {value: 10.0.0.1}, path: {value: /a}}]\n",
		RULES LIMIT "\n        cost: {request: {from: Number, number: 2}}\n",
		POLICY TARGET "  rateLimit:\n    global: {rules: []}\n",
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct loaded l = load_text(rows[i]);

		CU_ASSERT_EQUAL(l.diags.errors, 0);
		CU_ASSERT_EQUAL(l.diags.warnings, 1);
		unload(&l);
	}
}

const struct mt_test traffic_policy_tests[] = {
	{"whole", test_whole}, {"bad", test_bad}, {"warned", test_warned}, {0}};
