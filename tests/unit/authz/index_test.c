/* SPDX-License-Identifier: Apache-2.0 */
/* Many policies: judged by their index, and by each rule in its turn, a call has the same end for the same reason. */
#include "authz_test.h"
#include "mt_authz_priv.h"
#include "mt_test.h"

#define CASES	 3000
#define POLICIES 60
#define CALLS	 8

static struct mt_authz_policy *one(struct chance *c, struct mt_region *r,
	const struct mt_codec *codec, const struct mt_authz_callers *who)
{
	struct mt_authz_policy *p = mt_authz_compile(r, chance_policy(c, r), codec, NULL, who);

	MT_ASSERT(p);
	return p;
}

static struct tally {
	uint32_t indexed, effects[MT_AUTHZ_CLOSED + 1];
} tally;

/* The same policies without their index. */
static bool agrees(const struct mt_authz *a, const struct said *s, const struct mt_codec *codec)
{
	struct mt_authz plain = *a;
	const struct mt_authz_policy *by, *plain_by;
	enum mt_authz_effect e, f;
	uint32_t steps;

	plain.index = NULL;
	e = said_judge(s, a, codec, &by, &steps);
	f = said_judge(s, &plain, codec, &plain_by, NULL);
	tally.indexed += a->index != NULL;
	tally.effects[e]++;
	return e == f && by == plain_by && steps <= mt_authz_work(a, s->n_metadata);
}

static void as_each_rule_in_its_turn(void)
{
	static const char *const domains[] = {"td", "old-td"};
	const struct mt_authz_callers who = {true, true, domains, 2};
	uint32_t wrong = 0;

	for (uint64_t seed = 1; seed <= CASES && wrong < 5; seed++) {
		struct chance c = {.seed = seed * 0x9e3779b97f4a7c15ull, .long_words = seed % 2};
		struct mt_authz_policy *v[POLICIES];
		const struct mt_codec *codec = chance_codec(&c);
		uint32_t n = 1 + chance_of(&c, POLICIES);
		const struct mt_authz *a;
		struct mt_region r;

		mt_region_init(&r, 1 << 20);
		for (uint32_t i = 0; i < n; i++)
			v[i] = one(&c, &r, codec, &who);
		a = mt_authz_set(&r, v, n, NULL);
		MT_ASSERT(a);
		for (uint32_t i = 0; i < CALLS; i++) {
			struct said s = chance_call(&c);

			if (!agrees(a, &s, codec)) {
				printf("seed %llu, call %u\n", (unsigned long long)seed, i);
				wrong++;
			}
		}
		mt_region_fini(&r);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(tally.indexed > CASES * CALLS / 2);
	for (int e = MT_AUTHZ_ALLOWED; e <= MT_AUTHZ_CLOSED; e++)
		CU_ASSERT(tally.effects[e] > 50);
}

static const struct mt_authz *compiled(struct mt_region *r, const struct mt_authorization_policy *p,
	uint32_t n, const struct mt_codec *codec)
{
	static const char *const domains[] = {"td"};
	const struct mt_authz_callers who = {true, true, domains, 1};
	struct mt_authz_policy **v = mt_region_alloc(r, sizeof(struct mt_authz_policy *) * n);

	for (uint32_t i = 0; i < n; i++) {
		v[i] = mt_authz_compile(r, &p[i], codec, NULL, &who);
		MT_ASSERT(v[i]);
	}
	return mt_authz_set(r, v, n, NULL);
}

static struct mt_authorization_policy of_account(struct mt_region *r, const char *principal)
{
	struct mt_authorization_policy p = {
		.meta = {.kind = "AuthorizationPolicy", .ns = "a", .name = "p"},
		.action.v = MT_POLICY_DENY,
		.n_rules = 1,
		.rules = mt_region_alloc(r, sizeof(*p.rules))};
	struct mt_policy_source *s = mt_region_alloc(r, sizeof(*s));

	p.rules->n_from = 1;
	p.rules->from = mt_region_alloc(r, sizeof(*p.rules->from));
	p.rules->from->source = s;
	s->principals.n = 1;
	s->principals.v = mt_region_alloc(r, sizeof(*s->principals.v));
	s->principals.v[0].s = principal;
	return p;
}

/* Of a hundred accounts each is found, and nobody else pays for them. */
static void one_of_a_hundred(void)
{
	struct mt_authorization_policy p[100] = {0};
	const struct mt_codec *codec = mt_codec_find("dubbo");
	const struct mt_authz *a;
	struct mt_region r;
	uint32_t steps;

	mt_region_init(&r, 1 << 20);
	for (uint32_t i = 0; i < 100; i++)
		p[i] = of_account(&r, mt_region_printf(&r, "td/ns/shop/sa/client-%u", i));
	a = compiled(&r, p, 100, codec);
	CU_ASSERT_PTR_NOT_NULL_FATAL(a->index);
	for (uint32_t i = 0; i < 110; i++) {
		const struct mt_authz_policy *by;
		struct said s = {.peer = "10.0.0.1",
			.server = "10.0.0.2",
			.principal = mt_region_printf(&r, "td/ns/shop/sa/client-%u", i),
			.mtls = true};
		enum mt_authz_effect e = said_judge(&s, a, codec, &by, &steps);

		CU_ASSERT_EQUAL(e, i < 100 ? MT_AUTHZ_DENIED : MT_AUTHZ_ALLOWED);
		CU_ASSERT(steps < 60);
	}
	mt_region_fini(&r);
}

static struct mt_authorization_policy of_header(
	struct mt_region *r, enum mt_policy_action action, const char *key, const char *value)
{
	struct mt_authorization_policy p = {
		.meta = {.kind = "AuthorizationPolicy", .ns = "a", .name = "p"},
		.action.v = action,
		.n_rules = 1,
		.rules = mt_region_alloc(r, sizeof(*p.rules))};
	struct mt_policy_condition *w = mt_region_alloc(r, sizeof(*w));

	p.rules->n_when = 1;
	p.rules->when = w;
	w->key.s = mt_region_printf(r, "request.headers[%s]", key);
	w->values.n = 1;
	w->values.v = mt_region_alloc(r, sizeof(*w->values.v));
	w->values.v[0].s = value;
	return p;
}

static enum mt_authz_effect of_headers(
	const struct mt_authz *a, const char *const pairs[4], uint32_t n)
{
	const struct mt_codec *codec = mt_codec_find("dubbo");
	const struct mt_authz_policy *by;
	struct said s = {.peer = "10.0.0.1", .server = "10.0.0.2", .n_metadata = n};

	for (uint32_t i = 0; i < n; i++) {
		s.metadata[i].key = pairs[2 * i];
		s.metadata[i].value = pairs[2 * i + 1];
	}
	CU_ASSERT(agrees(a, &s, codec));
	return said_judge(&s, a, codec, &by, NULL);
}

/* Who allows means the letters as they are written, who denies means them all: one question answers both. */
static void keys_in_other_letters(void)
{
	static const struct {
		const char *pairs[4];
		uint32_t n;
		enum mt_authz_effect want;
	} rows[] = {
		{{"tenant", "good-3"}, 1, MT_AUTHZ_ALLOWED},
		{{"Tenant", "good-3"}, 1, MT_AUTHZ_DENIED},
		{{"tenant", "bad-3"}, 1, MT_AUTHZ_DENIED},
		{{"TENANT", "bad-3"}, 1, MT_AUTHZ_DENIED},
		{{"tenant", "good-3", "Tenant", "bad-3"}, 2, MT_AUTHZ_DENIED},
		{{"Tenant", "other", "tenant", "good-3"}, 2, MT_AUTHZ_ALLOWED},
		{{"tenant", "good-3", "tenant", "other"}, 2, MT_AUTHZ_DENIED},
		{{"other", "good-3"}, 1, MT_AUTHZ_DENIED},
	};
	struct mt_authorization_policy p[40];
	const struct mt_authz *a;
	struct mt_region r;

	mt_region_init(&r, 1 << 20);
	for (uint32_t i = 0; i < 20; i++) {
		p[i] = of_header(&r, MT_POLICY_DENY, "tenant", mt_region_printf(&r, "bad-%u", i));
		p[20 + i] = of_header(
			&r, MT_POLICY_ALLOW, "tenant", mt_region_printf(&r, "good-%u", i));
	}
	a = compiled(&r, p, 40, mt_codec_find("dubbo"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(a->index);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		CU_ASSERT_EQUAL(of_headers(a, rows[i].pairs, rows[i].n), rows[i].want);
	mt_region_fini(&r);
}

/* What was read of the first is not what the second one has. */
static void two_keys(void)
{
	static const struct {
		const char *pairs[4];
		uint32_t n;
		enum mt_authz_effect want;
	} rows[] = {
		{{"tenant", "bad-3"}, 1, MT_AUTHZ_DENIED},
		{{"zone", "near-3"}, 1, MT_AUTHZ_ALLOWED},
		{{"tenant", "bad-3", "zone", "near-3"}, 2, MT_AUTHZ_DENIED},
		{{"tenant", "near-3", "zone", "bad-3"}, 2, MT_AUTHZ_DENIED},
		{{"tenant", "good", "zone", "near-3"}, 2, MT_AUTHZ_ALLOWED},
	};
	struct mt_authorization_policy p[40];
	const struct mt_authz *a;
	struct mt_region r;

	mt_region_init(&r, 1 << 20);
	for (uint32_t i = 0; i < 20; i++) {
		p[i] = of_header(&r, MT_POLICY_DENY, "tenant", mt_region_printf(&r, "bad-%u", i));
		p[20 + i] =
			of_header(&r, MT_POLICY_ALLOW, "zone", mt_region_printf(&r, "near-%u", i));
	}
	a = compiled(&r, p, 40, mt_codec_find("dubbo"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(a->index);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		CU_ASSERT_EQUAL(of_headers(a, rows[i].pairs, rows[i].n), rows[i].want);
	mt_region_fini(&r);
}

#define LONGEST 64

/* A value of each length, and each of its letters counts. */
static void each_letter_of_a_value(void)
{
	struct mt_authorization_policy p[LONGEST];
	const struct mt_authz *a;
	struct mt_region r;

	mt_region_init(&r, 1 << 20);
	for (uint32_t i = 0; i < LONGEST; i++)
		p[i] = of_header(
			&r, MT_POLICY_ALLOW, "tenant", mt_region_printf(&r, "%0*u", i + 1, 0));
	a = compiled(&r, p, LONGEST, mt_codec_find("dubbo"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(a->index);
	for (uint32_t len = 1; len <= LONGEST; len++) {
		char *value = mt_region_printf(&r, "%0*u", len, 0);
		const char *const pairs[4] = {"tenant", value};

		CU_ASSERT_EQUAL(of_headers(a, pairs, 1), MT_AUTHZ_ALLOWED);
		for (uint32_t i = 0; i < len; i++) {
			value[i] = '1';
			CU_ASSERT_EQUAL(of_headers(a, pairs, 1), MT_AUTHZ_DENIED);
			value[i] = '0';
		}
	}
	mt_region_fini(&r);
}

const struct mt_test index_tests[] = {
	{"as_each_rule_in_its_turn", as_each_rule_in_its_turn},
	{"one_of_a_hundred", one_of_a_hundred},
	{"keys_in_other_letters", keys_in_other_letters},
	{"two_keys", two_keys},
	{"each_letter_of_a_value", each_letter_of_a_value},
	{0},
};
