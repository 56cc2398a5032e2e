/* SPDX-License-Identifier: Apache-2.0 */
/* What rules say of endpoints that are new, and of too few that are left; and how old endpoints are when a cluster is made anew. */
#include "conf_test.h"
#include "conf_texts.h"

#include <stdio.h>

#define WHOLE "outbound|20880||a.x"

static const struct {
	const char *policy;
	uint32_t ms, least, aggression, min_health;
	const char *told; /* NULL: nothing */
} rules[] = {
	{"{}", 0, 0, 0, 0, NULL},
	{"{loadBalancer: {warmup: {duration: 60s}}}", 60000, 1000, 100, 0, NULL},
	{"{loadBalancer: {warmupDurationSecs: 5s}}", 5000, 1000, 100, 0, NULL},
	{"{loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 1m, minimumPercent: 2.5, "
	 "aggression: 1.5}}}",
		60000, 250, 150, 0, NULL},
	{"{loadBalancer: {simple: RANDOM, warmup: {duration: 60s}}}", 0, 0, 0, 0,
		"have no slow start"},
	{"{loadBalancer: {consistentHash: {useSourceIp: true}, warmupDurationSecs: 9s}}", 0, 0, 0,
		0, "have no slow start"},
	{"{outlierDetection: {minHealthPercent: 40}}", 0, 0, 0, 40, NULL},
	{"{outlierDetection: {minHealthPercent: 0}}", 0, 0, 0, 0, NULL},
	/* Also where Meltemi's own rule puts instances aside. */
	{"{outlierDetection: {consecutive5xxErrors: 0, minHealthPercent: 30}}", 0, 0, 0, 30, NULL},
};

static void written(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rules); i++) {
		char text[2048];
		const struct mt_cluster *c;
		struct built b;

		snprintf(text, sizeof(text), "%s%s  host: a.x\n  trafficPolicy: %s\n", SERVICE_A,
			ISTIO("DestinationRule", "a"), rules[i].policy);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		c = cluster(b.s, WHOLE);
		CU_ASSERT_EQUAL(c->warmup != NULL, rules[i].ms != 0);
		CU_ASSERT_EQUAL(c->careful, rules[i].ms || rules[i].min_health);
		if (c->warmup) {
			CU_ASSERT_EQUAL(c->warmup->rule.ms, rules[i].ms);
			CU_ASSERT_EQUAL(c->warmup->rule.least, rules[i].least);
			CU_ASSERT_EQUAL(c->warmup->rule.aggression, rules[i].aggression);
		}
		CU_ASSERT_EQUAL(c->min_health, rules[i].min_health);
		CU_ASSERT_EQUAL(b.diags.warnings, rules[i].told != NULL);
		if (rules[i].told)
			CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 21, rules[i].told));
		unbuild(&b);
	}
}

/* The change of the last snapshot that was compiled. */
static struct mt_conf_change last;

static struct mt_snapshot *compile(
	struct mt_conf *c, const char *extra, const char *policy, uint64_t now)
{
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;
	struct mt_snapshot *s;
	struct mt_err e;
	char text[2048];

	snprintf(text, sizeof(text), "%s%s%s  host: a.x\n  trafficPolicy: %s\n", SERVICE_A, extra,
		ISTIO("DestinationRule", "a"), policy);
	mt_diags_init(&diags);
	mt_source_text(m, &diags, "t", text, strlen(text));
	s = mt_conf_compile(c, m, &diags, now);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(mt_conf_publish(c, s, now, &last, &e), 0);
	mt_diags_fini(&diags);
	mt_model_free(m);
	return s;
}

#define WARM  "{loadBalancer: {warmup: {duration: 60s}}}"
#define THIRD "  - {address: 198.51.100.3}\n"

static uint64_t since(const struct mt_snapshot *s, uint32_t i)
{
	const struct mt_cluster *c = cluster(s, WHOLE);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c->warmup);
	CU_ASSERT_TRUE_FATAL(i < c->n_eps);
	return c->warmup->since[i];
}

/* The age is the endpoint's, whatever else of the cluster changes. */
static void ages_stay(void)
{
	struct mt_conf *c = new_conf();
	const struct mt_snapshot *s = compile(c, "", WARM, 100);

	CU_ASSERT(since(s, 0) == 100 && since(s, 1) == 100);
	s = compile(c, THIRD, WARM, 200);
	CU_ASSERT(since(s, 0) == 100 && since(s, 1) == 100 && since(s, 2) == 200);
	s = compile(c, THIRD, "{loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 9s}}}", 300);
	CU_ASSERT(since(s, 0) == 100 && since(s, 1) == 100 && since(s, 2) == 200);
	/* It left, and is back as a new one. */
	(void)compile(c, "", WARM, 400);
	s = compile(c, THIRD, WARM, 500);
	CU_ASSERT(since(s, 0) == 100 && since(s, 2) == 500);
	/* Who was there before anybody asked is warm. */
	(void)compile(c, THIRD, "{}", 600);
	s = compile(c, THIRD, WARM, 700);
	CU_ASSERT(since(s, 0) == 0 && since(s, 2) == 0);
	mt_conf_destroy(c);
}

/* A change of each field is reported. */
static void changes_are_told(void)
{
	static const struct {
		const char *warmup, *told;
	} steps[] = {
		{"{duration: 60s}", NULL},
		{"{duration: 30s}", "warm-up, ms: 60000 to 30000"},
		{"{duration: 30s, minimumPercent: 20}", "warm-up begins at, 1/100 %: 1000 to 2000"},
		{"{duration: 30s, minimumPercent: 20, aggression: 2}",
			"warm-up aggression, 1/100: 100 to 200"},
		{"{duration: 30s, minimumPercent: 20, aggression: 2}", ""},
	};
	struct mt_conf *c = new_conf();

	for (size_t i = 0; i < MT_ARRAY_LEN(steps); i++) {
		const struct mt_conf_items *items = mt_conf_items(c);
		char policy[256];

		snprintf(policy, sizeof(policy), "{loadBalancer: {warmup: %s}}", steps[i].warmup);
		(void)compile(c, "", policy, 100 + i);
		if (!steps[i].told)
			continue;
		CU_ASSERT_EQUAL(mt_conf_change_none(&last), *steps[i].told == '\0');
		CU_ASSERT_EQUAL(items->n > 0, *steps[i].told != '\0');
		for (uint32_t k = 0; k < items->n; k++)
			CU_ASSERT_STRING_EQUAL(items->v[k].fields, steps[i].told);
	}
	mt_conf_destroy(c);
}

const struct mt_test careful_tests[] = {
	{"written", written},
	{"changes_are_told", changes_are_told},
	{"ages_stay", ages_stay},
	{0},
};
