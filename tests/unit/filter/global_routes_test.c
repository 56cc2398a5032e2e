/* SPDX-License-Identifier: Apache-2.0 */
/* Global rate limits with descriptors of routes. */
#include "global_lab.h"

#include "mt_callout_priv.h"
#include "ratelimit.pb-c.h"

#include <stdio.h>
#include <string.h>

/* As of Envoy's filter for Thrift: `buy` is counted by method and client, and by the user if it has one. */
static const struct mt_matcher_def buy = {.key = "method", .op = MT_MATCH_EXACT, .value = "buy"};
static const struct mt_matcher_def look = {.key = "method", .op = MT_MATCH_EXACT, .value = "look"};
static const struct mt_matcher_def ask = {.key = "method", .op = MT_MATCH_EXACT, .value = "ask"};
static const struct mt_matcher_def vip = {.key = "user", .op = MT_MATCH_PREFIX, .value = "vip-"};
static const struct mt_global_entry_def by_client[] = {
	{.source = MT_GLOBAL_METHOD, .key = "m"}, {.source = MT_GLOBAL_ADDRESS, .key = "address"}};
static const struct mt_global_entry_def by_user[] = {
	{.source = MT_GLOBAL_TEXT, .key = "kind", .from = "user"},
	{.source = MT_GLOBAL_METADATA, .key = "u", .from = "user"}};
static const struct mt_global_entry_def if_vip[] = {
	{.source = MT_GLOBAL_TEXT, .key = "vip", .from = "yes", .match = &vip, .n_match = 1}};
static const struct mt_global_entry_def if_not_vip[] = {{.source = MT_GLOBAL_TEXT,
	.key = "vip",
	.from = "no",
	.match = &vip,
	.n_match = 1,
	.unless = true}};
static const struct mt_global_descriptor_def of_buy[] = {{by_client, 2}, {by_user, 2}};
static const struct mt_global_descriptor_def of_ask[] = {{by_user, 2}};
static const struct mt_global_descriptor_def of_others[] = {{if_vip, 1}, {if_not_vip, 1}};
static const struct mt_global_route_def routes[] = {
	{&buy, 1, of_buy, 2}, {&look, 1, of_ask, 0}, {&ask, 1, of_ask, 1}, {NULL, 0, of_others, 2}};

static struct mt_codec named; /* kv_codec with a service */

static void set_up_of(const struct mt_global_route_def *of, uint32_t n)
{
	struct mt_global_def def = {.domain = "shop", .routes = of, .n_routes = n};
	char err[128];

	set_up(true);
	lab.inst.type->free_conf(lab.inst.conf);
	def.provider = lab.provider;
	def.fail_open = true;
	def.tallies = lab.tallies;
	def.limited = "a:1";
	named = kv_codec;
	named.service_key = "service";
	named.method_key = mt_key_make(&kv_codec, "method");
	lab.inst.conf = mt_global_compile(&named, &def, err, sizeof(err));
	CU_ASSERT_PTR_NOT_NULL_FATAL(lab.inst.conf);
}

static void set_up_routes(void)
{
	set_up_of(routes, MT_ARRAY_LEN(routes));
}

/* "KEY=VALUE KEY=VALUE; KEY=VALUE" of the query; it is answered with these bytes. */
static const char *query_of(const char *text, const char *bytes, size_t len)
{
	static char words[512];
	Xds__RateLimitRequest *r;
	struct mt_rls_slot *s;
	size_t at = 0;

	CU_ASSERT_EQUAL_FATAL(call(text, 1, NOW), MT_FILTER_SUSPEND);
	s = asked();
	r = xds__rate_limit_request__unpack(NULL, s->len, s->query);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	for (size_t i = 0; i < r->n_descriptors; i++)
		for (size_t k = 0; k < r->descriptors[i]->n_entries; k++)
			at += (size_t)snprintf(words + at, sizeof(words) - at, "%s%s=%s",
				k   ? " "
				: i ? "; "
				    : "",
				r->descriptors[i]->entries[k]->key,
				r->descriptors[i]->entries[k]->value);
	xds__rate_limit_request__free_unpacked(r, NULL);
	answers(s, bytes, len);
	return words;
}

#define QUERY_OF(text, bytes) query_of(text, bytes, sizeof(bytes) - 1)
#define ONE_OK		      "\x08\x01\x12\x02\x08\x01"
#define ONE_OVER	      "\x08\x02\x12\x06\x08\x02\x22\x02\x08\x03"

static void test_routes(void)
{
	struct mt_filter_told told = {.verdict = MT_FILTER_NEXT};

	set_up_routes();
	CU_ASSERT_STRING_EQUAL(QUERY_OF("method=buy\nservice=shop\nuser=joe\n", BOTH_OK),
		"m=shop:buy address=192.0.0.2; kind=user u=joe");
	CU_ASSERT_STRING_EQUAL(QUERY_OF("method=buy\n", ONE_OK), "m=buy address=192.0.0.2");
	CU_ASSERT_STRING_EQUAL(
		QUERY_OF("method=buy\nuser=\n", BOTH_OK), "m=buy address=192.0.0.2; kind=user u=");
	CU_ASSERT_STRING_EQUAL(QUERY_OF("method=other\nuser=vip-1\n", ONE_OK), "vip=yes");
	CU_ASSERT_STRING_EQUAL(QUERY_OF("method=other\nuser=joe\n", ONE_OK), "vip=no");
	CU_ASSERT_STRING_EQUAL(QUERY_OF("method=ask\nuser=joe\n", ONE_OK), "kind=user u=joe");
	CU_ASSERT_EQUAL(resumed(NOW).n, 6);
	/* A route without descriptors is not limited, and is not passed over. */
	CU_ASSERT_EQUAL(call("method=look\n", 1, NOW), MT_FILTER_NEXT);
	lab.inst.type->explain(&lab.inst, &lab.view, NOW, &told);
	CU_ASSERT_STRING_EQUAL(told.words, "its route has no limit: not limited");
	/* Nor is a call without the only descriptor. */
	CU_ASSERT_EQUAL(call("method=ask\n", 1, NOW), MT_FILTER_NEXT);
	CU_ASSERT_PTR_NULL(mt_callout_lane_asked(lab.lane));
	/* What cannot be counted is no way past the limit. */
	CU_ASSERT_EQUAL(call("method=buy\nuser=\xff\n", 1, NOW), MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(lab.refused_as, MT_ENDING_limit_error);
	CU_ASSERT_EQUAL(lab.fw.counters[MT_FILTER_global_waited], 6);
	tear_down();
}

/* Refusals are counted by the descriptor's keys, also if the call has none of those before it. */
static void test_routes_over(void)
{
	set_up_routes();
	(void)QUERY_OF("method=other\nuser=joe\n", ONE_OVER);
	CU_ASSERT_EQUAL(resumed(NOW).verdict, MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(counted("shop: vip"), 1);
	CU_ASSERT_EQUAL(call("method=other\nuser=ann\n", 2, NOW), MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(counted("shop: vip"), 2);
	(void)QUERY_OF("method=buy\nuser=joe\n", USER_OVER);
	CU_ASSERT_EQUAL(resumed(NOW).verdict, MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(counted("shop: kind, u"), 1);
	CU_ASSERT_EQUAL(counted("shop: m, address"), 0);
	tear_down();
}

static const struct mt_global_entry_def by_session[] = {
	{.source = MT_GLOBAL_METADATA, .key = "u", .from = "user"},
	{.source = MT_GLOBAL_METADATA, .key = "s", .from = "session"}};
static const struct mt_global_entry_def by_name[] = {{.source = MT_GLOBAL_METHOD, .key = "m"}};
static const struct mt_global_descriptor_def of_session[] = {{by_session, 2}, {by_session, 1}};
static const struct mt_global_descriptor_def of_name[] = {{by_name, 1}};
static const struct mt_global_route_def long_routes[] = {
	{&ask, 1, of_session, 1}, {&look, 1, of_session, 2}, {NULL, 0, of_name, 1}};

/* A call with the metadata `text`, and `key` with a value of this length. */
static enum mt_filter_verdict long_call(const char *text, const char *key, size_t len)
{
	static char all[2 * MT_RLS_QUERY];
	int at = snprintf(all, sizeof(all), "%s%s=", text, key);

	memset(all + at, 'v', len);
	memcpy(all + at + len, "\n", 2);
	return call(all, 1, NOW);
}

#define LONG (MT_RLS_QUERY + 1)

/* An entry without a value drops its descriptor, also if another one's value is too long. */
static void test_too_long(void)
{
	set_up_of(long_routes, MT_ARRAY_LEN(long_routes));
	CU_ASSERT_EQUAL(long_call("method=ask\n", "user", LONG), MT_FILTER_NEXT);
	CU_ASSERT_EQUAL(long_call("method=ask\nsession=1\n", "user", LONG), MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(lab.refused_as, MT_ENDING_limit_error);
	/* The method's name, which needs the method. */
	CU_ASSERT_EQUAL(long_call("method=\n", "service", LONG), MT_FILTER_NEXT);
	CU_ASSERT_EQUAL(long_call("", "service", MT_RLS_QUERY), MT_FILTER_NEXT);
	CU_ASSERT_EQUAL(long_call("method=buy\n", "service", LONG), MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(long_call("method=buy\n", "service", MT_RLS_QUERY), MT_FILTER_REPLY);
	CU_ASSERT_PTR_NULL(mt_callout_lane_asked(lab.lane));
	/* A descriptor that the call does not have takes no room of the next one. */
	CU_ASSERT_EQUAL(
		long_call("method=look\n", "user", MT_RLS_QUERY / 2 + 1), MT_FILTER_SUSPEND);
	ANSWERS(asked(), ONE_OK);
	CU_ASSERT_EQUAL(resumed(NOW).n, 1);
	tear_down();
}

/* A status of no descriptor of the call, but of one of an earlier call, is counted for the limit. */
static void test_more_statuses(void)
{
	struct mt_rls_slot *s;

	set_up_routes();
	(void)QUERY_OF("method=buy\nuser=joe\n", BOTH_OK);
	CU_ASSERT_EQUAL(resumed(NOW).verdict, MT_FILTER_NEXT);
	CU_ASSERT_EQUAL(call("method=ask\nuser=joe\n", 1, NOW), MT_FILTER_SUSPEND);
	s = asked();
	mt_rls_kind.read(&s->callout, (const uint8_t *)ONE_OVER, sizeof(ONE_OVER) - 1);
	s->answer.status[1] = s->answer.status[0];
	s->answer.status[0].code = MT_RLS_OK;
	s->answer.n_statuses = 2;
	mt_callout_lane_answered(&s->callout);
	CU_ASSERT_EQUAL(resumed(NOW).verdict, MT_FILTER_REPLY);
	CU_ASSERT(counted("shop") == 1 && counted("shop: kind, u") == 0);
	tear_down();
}

static void test_routes_refused(void)
{
	struct mt_global_entry_def many[MT_RLS_ENTRIES + 1];
	struct mt_global_descriptor_def d = {many, MT_RLS_ENTRIES + 1};
	struct mt_global_route_def r = {.descriptors = &d, .n = 1};
	const struct mt_global_def def = {.domain = "d", .routes = &r, .n_routes = 1};
	char err[128];

	for (uint32_t i = 0; i < MT_ARRAY_LEN(many); i++)
		many[i] = by_client[0];
	CU_ASSERT_PTR_NULL(mt_global_compile(&kv_codec, &def, err, sizeof(err)));
	CU_ASSERT_STRING_EQUAL(err, "a global rate limit has at most 16 descriptors of 8 entries");
	d.n = MT_RLS_ENTRIES;
	r.n = MT_RLS_DESCRIPTORS + 1;
	CU_ASSERT_PTR_NULL(mt_global_compile(&kv_codec, &def, err, sizeof(err)));
	CU_ASSERT_STRING_EQUAL(err, "a global rate limit has at most 16 descriptors of 8 entries");
}

/* Descriptors with long keys have counts of their own. */
static void test_long_keys(void)
{
	static char key[2][1024];
	const struct mt_global_property long_keys[] = {{"method", key[0]}, {"method", key[1]}};
	struct mt_global_def def = {.domain = "d",
		.properties = long_keys,
		.n_properties = 2,
		.limited = "a:1",
		.tallies = mt_tally_registry_new(1)};
	const struct mt_global_limit *l;
	char err[128];

	for (size_t i = 0; i < 2; i++) {
		memset(key[i], 'k', sizeof(key[i]) - 1);
		key[i][sizeof(key[i]) - 2] = (char)('a' + i);
	}
	l = mt_global_compile(&kv_codec, &def, err, sizeof(err));
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_PTR_NOT_EQUAL(l->of[0].tally, l->of[1].tally);
	CU_ASSERT_EQUAL(strlen(l->of[1].tally->rule), 3 + strlen(key[1]));
	mt_global_free((void *)l);
	mt_tally_registry_free(def.tallies);
}

const struct mt_test global_routes_tests[] = {{"routes", test_routes},
	{"routes_over", test_routes_over}, {"too_long", test_too_long},
	{"more_statuses", test_more_statuses}, {"routes_refused", test_routes_refused},
	{"long_keys", test_long_keys}, {0}};
