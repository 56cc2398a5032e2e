/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether one rule fits whatever another one fits: by chance, against calls that lib/authz judges by both; and as a table of what
 * has to be seen.
 */
#include "../authz/authz_test.h"
#include "analyse_test.h"

#define CASES 30000
#define CALLS 60

static enum mt_authz_effect judged(struct mt_region *r, const struct mt_authz_policy *p,
	uint32_t rule, const struct said *s, const struct mt_codec *codec)
{
	struct mt_authz_policy one = *p, *v = &one;
	const struct mt_authz_policy *by;

	one.rules = &p->rules[rule];
	one.n_rules = 1;
	return said_judge(s, mt_authz_set(r, &v, 1, NULL), codec, &by, NULL);
}

/* What follows if all that fits x fits y. */
static bool follows(bool x_allows, bool y_allows, enum mt_authz_effect x, enum mt_authz_effect y)
{
	if (x_allows)
		return x != MT_AUTHZ_ALLOWED || (y == MT_AUTHZ_ALLOWED) == y_allows;
	return x == MT_AUTHZ_ALLOWED || y != MT_AUTHZ_ALLOWED;
}

/* A call that contradicts the answer; how many pairs were answered by yes. */
static uint32_t contradictions(struct chance *c, struct mt_region *r, const struct mt_codec *codec,
	const struct mt_authz_policy *x, const struct mt_authz_policy *y, uint32_t *yes)
{
	bool xa = x->action == MT_AUTHZ_ALLOW, ya = y->action == MT_AUTHZ_ALLOW;
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < x->n_rules; i++)
		for (uint32_t k = 0; k < y->n_rules; k++) {
			if (!mt_an_rule_within(&x->rules[i], &y->rules[k], xa != ya))
				continue;
			(*yes)++;
			for (uint32_t n = 0; n < CALLS; n++) {
				struct said s = chance_call(c);

				wrong += !follows(xa, ya, judged(r, x, i, &s, codec),
					judged(r, y, k, &s, codec));
			}
		}
	return wrong;
}

/* The same with a part of what it asks for left out, or another value beside. */
static void widen(struct chance *c, struct mt_texts *l, const struct mt_texts *other)
{
	uint32_t how = chance_of(c, 4);

	if (how == 0)
		l->n = 0;
	else if (how == 1 && l->n == 1 && other->n)
		*l = *other;
}

static void widen_source(struct chance *c, struct mt_policy_source *s, struct mt_policy_source *o)
{
	widen(c, &s->ip_blocks, &o->ip_blocks);
	widen(c, &s->not_ip_blocks, &o->not_ip_blocks);
	widen(c, &s->principals, &o->principals);
	widen(c, &s->not_principals, &o->not_principals);
	widen(c, &s->namespaces, &o->namespaces);
	widen(c, &s->not_namespaces, &o->not_namespaces);
	widen(c, &s->service_accounts, &o->service_accounts);
	widen(c, &s->trust_domains, &o->trust_domains);
}

static struct mt_authz_policy *compile(struct mt_region *r, struct mt_authorization_policy *p,
	uint8_t action, const struct mt_codec *codec)
{
	static const char *const domains[] = {"td", "old-td"};
	static const struct mt_authz_callers who = {false, true, domains, 2};

	p->action.v = action;
	return mt_authz_compile(r, p, codec, NULL, &who);
}

static uint32_t one_case(struct chance *c, uint32_t *yes)
{
	static const uint8_t actions[][2] = {{MT_POLICY_ALLOW, MT_POLICY_ALLOW},
		{MT_POLICY_DENY, MT_POLICY_DENY}, {MT_POLICY_ALLOW, MT_POLICY_DENY}};
	const uint8_t *action = actions[chance_of(c, 3)];
	const struct mt_codec *codec = chance_codec(c);
	struct mt_authorization_policy *w, *v;
	struct mt_authz_policy *x, *y;
	struct mt_region r;
	uint32_t wrong;

	mt_region_init(&r, 1 << 22);
	w = chance_policy(c, &r);
	v = chance_policy(c, &r);
	x = compile(&r, w, action[0], codec);
	for (uint32_t i = 0; i < w->n_rules; i++)
		for (uint32_t k = 0; k < w->rules[i].n_from; k++)
			if (w->rules[i].from[k].source && v->n_rules && v->rules[0].n_from &&
				v->rules[0].from[0].source)
				widen_source(
					c, w->rules[i].from[k].source, v->rules[0].from[0].source);
	y = compile(&r, chance_of(c, 3) ? w : v, action[1], codec);
	wrong = contradictions(c, &r, codec, x, y, &yes[action[0] + action[1]]);
	mt_region_fini(&r);
	return wrong;
}

static void what_is_said_holds_for_every_call(void)
{
	uint32_t wrong = 0, yes[4] = {0};

	for (uint64_t seed = 0; seed < CASES && wrong < 5; seed++) {
		struct chance c = {.seed = seed * 0x9e3779b97f4a7c15ull};
		uint32_t n = one_case(&c, yes);

		if (n)
			printf("seed %llu\n", (unsigned long long)seed);
		wrong += n;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	/* Of each pair of actions there are many that are told. */
	CU_ASSERT(yes[MT_POLICY_ALLOW + MT_POLICY_ALLOW] > 500);
	CU_ASSERT(yes[MT_POLICY_DENY + MT_POLICY_DENY] > 500);
	CU_ASSERT(yes[MT_POLICY_ALLOW + MT_POLICY_DENY] > 500);
}

static void what_is_impossible_fits_no_call(void)
{
	uint32_t wrong = 0, yes = 0;

	for (uint64_t seed = 0; seed < CASES; seed++) {
		struct chance c = {.seed = seed * 0x9e3779b97f4a7c15ull};
		const struct mt_codec *codec = chance_codec(&c);
		struct mt_authz_policy *p;
		struct mt_region r;

		mt_region_init(&r, 1 << 22);
		p = compile(&r, chance_policy(&c, &r), seed & 1 ? MT_POLICY_ALLOW : MT_POLICY_DENY,
			codec);
		for (uint32_t i = 0; i < p->n_rules; i++) {
			if (!mt_an_rule_is_impossible(&p->rules[i]))
				continue;
			yes++;
			for (uint32_t n = 0; n < CALLS; n++) {
				struct said s = chance_call(&c);

				wrong += judged(&r, p, i, &s, codec) ==
					 (seed & 1 ? MT_AUTHZ_ALLOWED : MT_AUTHZ_DENIED);
			}
		}
		mt_region_fini(&r);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(yes > 500);
}

/* ---- what has to be seen ---------------------------------------------------------------------------- */

struct row {
	const char *x, *y;
	bool within;
};

#define FROM(text)     "from: [{source: {" text "}}]"
#define TO(text)       "to: [{operation: {" text "}}]"
#define BOTH(from, to) FROM(from) ", " TO(to)
#define A	       "principals: [cluster.local/ns/a/sa/b]"

static const struct row rows[] = {
	{FROM(A), FROM(A), true},
	{FROM(A), FROM("principals: ['cluster.local/ns/a/*']"), true},
	{FROM("principals: ['cluster.local/ns/a/*']"), FROM(A), false},
	{FROM(A), FROM("principals: ['*']"), true},
	{FROM(A), FROM("namespaces: [a]"), true},
	{FROM(A), FROM("namespaces: [c]"), false},
	{FROM("principals: [x/y/ns/a/sa/b]"), FROM("namespaces: [a]"), false},
	{FROM("principals: [cluster.local/ns/a/sa/b/c]"), FROM("namespaces: [a]"), false},
	{FROM("namespaces: [a]"), FROM(A), false},
	{FROM("namespaces: [a]"), FROM("principals: ['*']"), true},
	{FROM("serviceAccounts: [a/b]"), FROM("namespaces: [a]"), true},
	{FROM("ipBlocks: [10.1.0.0/16]"), FROM("ipBlocks: [10.0.0.0/8]"), true},
	{FROM("ipBlocks: [10.0.0.0/8]"), FROM("ipBlocks: [10.1.0.0/16]"), false},
	{FROM("ipBlocks: [10.1.0.0/16, 11.0.0.1]"), FROM("ipBlocks: [10.0.0.0/8]"), false},
	{BOTH(A, "methods: [get]"), FROM(A), true},
	{FROM(A), BOTH(A, "methods: [get]"), false},
	{BOTH(A, "methods: [getOne]"), BOTH(A, "methods: ['get*']"), true},
	{TO("paths: [/i.F/get]"), TO("paths: ['/i.F/*']"), true},
	{TO("paths: [/i.F/get]"), TO("paths: ['*/get']"), true},
	{TO("ports: ['80']"), TO("ports: ['80', '81']"), true},
	{TO("methods: [a]"), TO("notMethods: [b]"), true},
	{TO("notMethods: [a]"), TO("notMethods: [b]"), false},
	{TO("notMethods: ['a*']"), TO("notMethods: [ab]"), true},
	{FROM(A), "from: [{source: {namespaces: [c]}}, {source: {" A "}}]", true},
	{"from: [{source: {namespaces: [c]}}, {source: {" A "}}]", FROM(A), false},
	{"when: [{key: 'request.headers[k]', values: [a]}]",
		"when: [{key: 'request.headers[k]', values: ['a*']}]", true},
	{"when: [{key: 'request.headers[k]', values: [a]}]",
		"when: [{key: 'request.headers[l]', values: ['a*']}]", false},
	{"when: [{key: no.such, values: [a]}]", "when: [{key: no.such, values: [a]}]", false},
};

static const struct mt_authz_policy *policy_of(const struct looked *l)
{
	for (uint32_t i = 0; i < l->audit.n_rows; i++)
		if (l->audit.rows[i].rules && l->audit.rows[i].rules->n_allow)
			return l->audit.rows[i].rules->allow[0];
	return NULL;
}

static void rows_of_rules(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const struct mt_authz_policy *p;
		struct looked l;
		char text[1024];

		looked_begin(&l);
		scene_write(&l.sc, "1-services.yaml",
			ISTIO("ServiceEntry", "s",
				"a") "  hosts: [i.f]\n  ports: [{number: 80, name: "
				     "tcp-metaprotocol-dubbo}]\n  location: MESH_INTERNAL\n  "
				     "resolution: STATIC\n  "
				     "endpoints: [{address: 192.0.2.9, ports: "
				     "{tcp-metaprotocol-dubbo: 80}}]\n");
		snprintf(text, sizeof(text),
			SECURITY("AuthorizationPolicy", "p", "a", "{rules: [{%s}, {%s}]}"),
			rows[i].x, rows[i].y);
		scene_write(&l.sc, "2-policy.yaml", text);
		looked_load(&l);
		p = policy_of(&l);
		if (!p || p->n_rules != 2 ||
			mt_an_rule_within(&p->rules[0], &p->rules[1], false) != rows[i].within) {
			printf("row %zu: %s | %s\n", i, rows[i].x, rows[i].y);
			CU_FAIL("a row is not as it is said");
		}
		looked_end(&l);
	}
}

const struct mt_test subset_tests[] = {
	{"what_is_said_holds_for_every_call", what_is_said_holds_for_every_call},
	{"what_is_impossible_fits_no_call", what_is_impossible_fits_no_call},
	{"rows_of_rules", rows_of_rules},
	{0},
};
