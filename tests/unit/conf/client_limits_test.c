/* SPDX-License-Identifier: Apache-2.0 */
/* TrafficPolicies: whose clients they limit, and what becomes of rules that cannot be counted. */
#include "conf_test.h"

#include "mt_filter_keyed.h"

#include "keyed_ratelimit/keyed.h"

#include <stdio.h>
#include <string.h>

#define NODE                                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n  ports: [{name: "     \
	"p0, device: net_null0, addresses: [192.0.2.250/24]}]\n"
#define ENTRY(name, vip, port)                                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name      \
	", namespace: shop}\nspec: {hosts: [" name ".test], addresses: [" vip                      \
	"], location: MESH_INTERNAL, resolution: STATIC, ports: [" port                            \
	"], endpoints: [{address: 192.0.2.1}]}\n"
#define DUBBO "{number: 80, name: tcp-metaprotocol-dubbo}"
#define BYTES "{number: 81, name: tcp}"
#define TWO   DUBBO ", {number: 82, name: tcp-metaprotocol-dubbo-b}"
#define POLICY(name, targets, rules)                                                               \
	"---\napiVersion: meltemi.io/v1\nkind: TrafficPolicy\nmetadata: {name: " name              \
	", namespace: shop}\nspec: {targetRefs: [" targets "], rateLimit: {local: {rules: [" rules \
	"]}}}\n"
#define ENTRY_A "{group: networking.istio.io, kind: ServiceEntry, name: a}"
#define ENTRY_B "{group: networking.istio.io, kind: ServiceEntry, name: b}"
#define EACH                                                                                       \
	"{limit: {requests: 10, unit: Minute}, clientSelectors: [{sourceCIDR: {value: 0.0.0.0/0, " \
	"type: Distinct}}]}"
#define ALL "{limit: {requests: 3, unit: Hour}, shared: true, shadowMode: true}"

static const struct mt_keyed_limit *limit_in(const struct built *x, const char *host, uint32_t nth)
{
	for (uint32_t i = 0; x->s && i < x->s->n_services; i++) {
		const struct mt_service *s = x->s->services[i];

		if (strcmp(s->name, host) != 0 || nth--)
			continue;
		for (uint32_t k = 0; k < s->n_filter_insts; k++)
			if (s->filter_insts[k].type == &mt_filter_keyed_ratelimit)
				return s->filter_insts[k].conf;
		return NULL;
	}
	CU_FAIL("no such service");
	return NULL;
}

static bool is_told(const struct built *x, const char *words)
{
	for (uint32_t i = 0; i < x->diags.n; i++)
		if (strstr(x->diags.items[i].message, words))
			return true;
	return false;
}

/* The ports of a target have its limits together, and other services have none. */
static void targets(void)
{
	struct built x = build_text(NULL, NODE ENTRY("a", "192.0.2.9", TWO) ENTRY("b", "192.0.2.10",
						  DUBBO) POLICY("p", ENTRY_A, EACH ", " ALL));
	const struct mt_keyed_limit *l = limit_in(&x, "a.test", 0), *other;

	CU_ASSERT_EQUAL(x.diags.warnings, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_PTR_NULL(limit_in(&x, "b.test", 0));
	CU_ASSERT_EQUAL_FATAL(l->n, 2);
	CU_ASSERT_STRING_EQUAL(l->rules[0].name, "shop/p rules[1]");
	CU_ASSERT_TRUE(l->rules[0].report_only);
	CU_ASSERT_EQUAL(l->rules[0].numbers.fill_ns, 3600 * MT_SEC);
	CU_ASSERT_STRING_EQUAL(l->rules[1].name, "shop/p rules[0] of a.test");
	CU_ASSERT_EQUAL(l->rules[1].numbers.max_tokens, 10);
	CU_ASSERT_STRING_EQUAL(l->rules[1].selects[0].kind, "address");
	other = limit_in(&x, "a.test", 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(other);
	CU_ASSERT_PTR_EQUAL(other->rules[1].rule, l->rules[1].rule);
	unbuild(&x);
}

/* Each target has its own buckets, but for a shared rule. */
static void shared(void)
{
	struct built x =
		build_text(NULL, NODE ENTRY("a", "192.0.2.9", DUBBO) ENTRY("b", "192.0.2.10", DUBBO)
					 POLICY("p", ENTRY_A ", " ENTRY_B, EACH ", " ALL));
	const struct mt_keyed_limit *a = limit_in(&x, "a.test", 0), *b = limit_in(&x, "b.test", 0);

	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT_PTR_EQUAL(a->rules[0].rule, b->rules[0].rule);
	CU_ASSERT_PTR_NOT_EQUAL(a->rules[1].rule, b->rules[1].rule);
	unbuild(&x);
}

/* Metadata that come late make the service wait for them; addresses do not. */
static void waits(void)
{
	struct built x = build_text(NULL,
		NODE ENTRY("a", "192.0.2.9", DUBBO) ENTRY("b", "192.0.2.10", DUBBO)
			POLICY("p", ENTRY_A, EACH) POLICY("q", ENTRY_B,
				"{limit: {requests: 1, unit: Day}, clientSelectors: "
				"[{headers: [{name: user, type: Distinct}]}]}"));

	CU_ASSERT_PTR_NOT_NULL_FATAL(x.s);
	for (uint32_t i = 0; i < x.s->n_services; i++)
		CU_ASSERT_EQUAL(
			x.s->services[i]->searches, strcmp(x.s->services[i]->name, "b.test") == 0);
	unbuild(&x);
}

/* A port of opaque TCP takes a token for each connection. */
static void bytes(void)
{
	struct built x = build_text(
		NULL, NODE ENTRY("a", "192.0.2.9", DUBBO ", " BYTES) POLICY("p", ENTRY_A, EACH));
	const struct mt_keyed_limit *l = limit_in(&x, "a.test", 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_TRUE(l->opaque);
	unbuild(&x);
}

/* The first policy of a target counts, and targets that are not here are reported. */
static void conflicts(void)
{
	struct built x =
		build_text(NULL, NODE ENTRY("a", "192.0.2.9", DUBBO) POLICY("p", ENTRY_A, EACH)
					 POLICY("q", ENTRY_A, ALL) POLICY("r", ENTRY_B, ALL)
						 POLICY("s", "{kind: ServiceEntry, name: a}", ALL));
	const struct mt_keyed_limit *l = limit_in(&x, "a.test", 0);

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_EQUAL(l->n, 1);
	CU_ASSERT_TRUE(is_told(&x, "TrafficPolicy shop/p limits it already"));
	CU_ASSERT_TRUE(is_told(&x, "no ServiceEntry \"b\" of its namespace is served here"));
	CU_ASSERT_TRUE(is_told(&x, "ServiceEntry of the group \"\" cannot be limited"));
	unbuild(&x);
}

/* A policy with more rules than its namespace may have refuses the calls of its targets. */
static void too_many(void)
{
	const uint32_t before = mt_conf_client_rules;
	struct built x;
	const struct mt_keyed_limit *l;

	mt_conf_client_rules = 1;
	x = build_text(NULL,
		NODE ENTRY("a", "192.0.2.9", DUBBO) ENTRY("b", "192.0.2.10", DUBBO)
			POLICY("p", ENTRY_A, EACH ", " EACH) POLICY("q", ENTRY_B, ALL));
	mt_conf_client_rules = before;
	l = limit_in(&x, "a.test", 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_TRUE(l->closed);
	CU_ASSERT_TRUE(is_told(&x, "calls of its targets are refused: its rules count 2 times"));
	l = limit_in(&x, "b.test", 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_FALSE(l->closed);
	unbuild(&x);
}

static void refused(void)
{
	static const char *const rows[][2] = {
		{"{limit: {requests: 4294967295, unit: Day}}", "are too many to count by key"},
		{"{limit: {requests: 1, unit: Day}, clientSelectors: [{headers: [{name: a, type: "
		 "RegularExpression, value: '('}]}]}",
			"bad regular expression"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		char text[4096];
		struct built x;

		snprintf(text, sizeof(text), "%s" POLICY("p", ENTRY_A, "%s"),
			NODE ENTRY("a", "192.0.2.9", DUBBO), rows[i][0]);
		x = build_text(NULL, text);
		CU_ASSERT_PTR_NULL(x.s);
		CU_ASSERT_TRUE(is_told(&x, rows[i][1]));
		unbuild(&x);
	}
}

/* The Node's number of keys, rounded up, and the default one. */
static void table_of_keys(void)
{
	static const struct {
		const char *limits;
		uint32_t places;
	} rows[] = {{"  limits: {keys: 100}\n", 128}, {"", MT_KEYED_DEFAULT}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		char text[4096];
		struct built x;

		snprintf(text, sizeof(text), "%s%s%s", NODE, rows[i].limits,
			ENTRY("a", "192.0.2.9", DUBBO) POLICY("p", ENTRY_A, EACH));
		x = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(x.s);
		CU_ASSERT_EQUAL(
			mt_keyed_places(mt_limit_keyed(mt_conf_limits(x.conf), 0)), rows[i].places);
		unbuild(&x);
	}
}

const struct mt_test client_limits_tests[] = {{"client targets", targets},
	{"shared client limits", shared}, {"client limits wait", waits},
	{"client limits of bytes", bytes}, {"client conflicts", conflicts},
	{"too many client rules", too_many}, {"client limits refused", refused},
	{"table_of_keys", table_of_keys}, {0}};
