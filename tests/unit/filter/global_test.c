/* SPDX-License-Identifier: Apache-2.0 */
/* The global rate limit: which calls wait, pass and are refused. */
#include "global_lab.h"

#include "mt_callout_priv.h"
#include "ratelimit.pb-c.h"

#define ALL_OVER "\x08\x02" /* without descriptors */

static void test_passes(void)
{
	Xds__RateLimitRequest *r;
	struct mt_rls_slot *s;
	struct seen seen;

	set_up(false);
	CU_ASSERT_EQUAL(call("method=other\n", 1, NOW), MT_FILTER_NEXT);
	CU_ASSERT_PTR_NULL(mt_callout_lane_asked(lab.lane));
	CU_ASSERT_EQUAL(call("method=sayHello\nuser=joe\n", 2, NOW), MT_FILTER_SUSPEND);
	CU_ASSERT_EQUAL(resumed(NOW).n, 0);
	s = asked();
	CU_ASSERT_EQUAL(s->callout.timeout, 3 * MT_SEC);
	r = xds__rate_limit_request__unpack(NULL, s->len, s->query);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_STRING_EQUAL(r->domain, "shop");
	CU_ASSERT_EQUAL_FATAL(r->n_descriptors, 2);
	CU_ASSERT_STRING_EQUAL(r->descriptors[0]->entries[0]->key, "m");
	CU_ASSERT_STRING_EQUAL(r->descriptors[0]->entries[0]->value, "sayHello");
	CU_ASSERT_STRING_EQUAL(r->descriptors[1]->entries[0]->value, "joe");
	xds__rate_limit_request__free_unpacked(r, NULL);
	ANSWERS(s, BOTH_OK);
	seen = resumed(NOW);
	CU_ASSERT_EQUAL(seen.n, 1);
	CU_ASSERT_EQUAL(seen.exchange, 2);
	CU_ASSERT_EQUAL(seen.verdict, MT_FILTER_NEXT);
	CU_ASSERT_EQUAL(lab.fw.counters[MT_FILTER_global_waited], 1);
	tear_down();
}

/* What the service refuses is refused by itself for a while, also of other calls with that property. */
static void test_over(void)
{
	struct seen seen;

	set_up(true);
	CU_ASSERT_EQUAL(call("method=sayHello\nuser=joe\n", 2, NOW), MT_FILTER_SUSPEND);
	ANSWERS(asked(), USER_OVER);
	seen = resumed(NOW);
	CU_ASSERT_EQUAL(seen.n, 1);
	CU_ASSERT_EQUAL(seen.verdict, MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(seen.reply, MT_REPLY_OVER_LIMIT);
	CU_ASSERT_EQUAL(seen.ending, MT_ENDING_over_global_limit);
	CU_ASSERT_EQUAL(call("method=sayBye\nuser=joe\n", 3, NOW + MT_SEC - 1), MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(lab.refused_as, MT_ENDING_over_global_limit);
	CU_ASSERT_EQUAL(lab.fw.counters[MT_FILTER_global_limited], 2);
	CU_ASSERT_PTR_NULL(mt_callout_lane_asked(lab.lane));
	CU_ASSERT_EQUAL(call("method=sayHello\nuser=ann\n", 4, NOW), MT_FILTER_SUSPEND);
	ANSWERS(asked(), BOTH_OK);
	CU_ASSERT_EQUAL(call("method=sayBye\nuser=joe\n", 5, NOW + MT_SEC), MT_FILTER_SUSPEND);
	ANSWERS(asked(), BOTH_OK);
	CU_ASSERT_EQUAL(resumed(NOW + MT_SEC).n, 2);
	CU_ASSERT_EQUAL(counted("shop: u"), 2);
	CU_ASSERT_EQUAL(counted("shop: m"), 0);
	CU_ASSERT_EQUAL(call("method=say\n", 6, NOW), MT_FILTER_SUSPEND);
	ANSWERS(asked(), ALL_OVER);
	CU_ASSERT_EQUAL(resumed(NOW).verdict, MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(counted("shop"), 1);
	tear_down();
}

/* Without an answer it passes or not, as the limit says; not if its own time is over. */
static void test_failures(void)
{
	for (uint32_t open = 0; open < 2; open++) {
		struct seen seen;

		set_up(open);
		CU_ASSERT_EQUAL(call("method=say\n", 1, NOW), MT_FILTER_SUSPEND);
		fails(asked(), MT_CALLOUT_LATE);
		seen = resumed(NOW);
		CU_ASSERT_EQUAL(seen.verdict, open ? MT_FILTER_NEXT : MT_FILTER_REPLY);
		CU_ASSERT(open || seen.reply == MT_REPLY_OVER_LIMIT);
		CU_ASSERT_EQUAL(seen.ending, open ? MT_ENDING_ok : MT_ENDING_limit_error);
		CU_ASSERT_EQUAL(call("method=say\n", 1, NOW), MT_FILTER_SUSPEND);
		fails(asked(), MT_CALLOUT_EXPIRED);
		seen = resumed(NOW);
		CU_ASSERT_EQUAL(seen.verdict, MT_FILTER_REPLY);
		CU_ASSERT_EQUAL(seen.reply, MT_REPLY_TIMEOUT);
		CU_ASSERT_EQUAL(seen.ending, MT_ENDING_timeout);
		CU_ASSERT_EQUAL(lab.fw.counters[MT_FILTER_global_failed], 2);
		/* Not with texts that it cannot be sent. */
		CU_ASSERT_EQUAL(call("method=say\nuser=\377\n", 1, NOW), MT_FILTER_REPLY);
		CU_ASSERT_EQUAL(lab.fw.counters[MT_FILTER_global_unread], 1);
		CU_ASSERT_EQUAL(lab.refused_as, MT_ENDING_limit_error);
		CU_ASSERT(counted("shop") == 0 && counted("shop: m") == 0);
		tear_down();
	}
}

static uint32_t wait_of(const struct mt_addr *peer)
{
	uint32_t n = 0;

	while (call_of(peer, "method=say\n", 1, NOW) == MT_FILTER_SUSPEND)
		n++;
	return n;
}

static void answer_all(void)
{
	uint32_t n = MT_CALLOUT_SLOTS - mt_callout_room(lab.lane);

	for (uint32_t i = 0; i < n; i++)
		ANSWERS(asked(), BOTH_OK);
	CU_ASSERT_EQUAL(resumed(NOW).n, n);
}

/* A client does not pass its limit by many calls, from whichever addresses of its network. */
static void test_crowds(void)
{
	for (uint32_t open = 0; open < 2; open++) {
		struct mt_addr peer = {.b = {0x20, 1, 0xd, 0xb8}}, other = peer_of(1);

		set_up(open);
		CU_ASSERT_EQUAL(wait_of(&peer), 48);
		peer.q[1] = 7;
		CU_ASSERT_EQUAL(call_of(&peer, "method=say\n", 1, NOW), MT_FILTER_REPLY);
		CU_ASSERT_EQUAL(lab.reply, MT_REPLY_OVERLOAD);
		CU_ASSERT_EQUAL(lab.refused_as, MT_ENDING_overload);
		CU_ASSERT_EQUAL(lab.fw.counters[MT_FILTER_global_crowded], 2);
		CU_ASSERT_EQUAL(lab.fw.counters[MT_FILTER_global_failed], 0);
		CU_ASSERT_EQUAL(wait_of(&other), 24);
		peer.b[7] = 1;
		CU_ASSERT_EQUAL(wait_of(&peer), 12);
		answer_all();
		CU_ASSERT_EQUAL(wait_of(&peer), 48);
		answer_all();
		tear_down();
	}
}

/* Seven clients have all slots of a service, and are refused with more calls. */
static void fill(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < 7; i++) {
		const struct mt_addr peer = peer_of(i);

		n += wait_of(&peer);
	}
	CU_ASSERT_EQUAL(n, MT_CALLOUT_SLOTS / 4 * 3);
	for (uint32_t i = 0; i < 7; i++) {
		const struct mt_addr peer = peer_of(i);

		CU_ASSERT_EQUAL(call_of(&peer, "method=say\n", 1, NOW), MT_FILTER_REPLY);
		CU_ASSERT_EQUAL(lab.reply, MT_REPLY_OVERLOAD);
		CU_ASSERT_EQUAL(lab.refused_as, MT_ENDING_overload);
	}
	CU_ASSERT_EQUAL(lab.fw.counters[MT_FILTER_global_failed], 0);
}

static uint32_t pass_of(const struct mt_addr *peer, uint64_t now)
{
	uint32_t n = 0;

	while (call_of(peer, "method=say\n", 1, now) == MT_FILTER_NEXT)
		n++;
	CU_ASSERT_EQUAL(lab.reply, MT_REPLY_OVERLOAD);
	CU_ASSERT_EQUAL(lab.refused_as, MT_ENDING_overload);
	return n;
}

/* As few calls of other clients pass as could wait, in each timeout. */
static void test_few_pass(void)
{
	uint32_t n = 0;

	set_up(true);
	fill();
	for (uint32_t k = 0; k < 2; k++, n = 0) {
		for (uint32_t i = 0; i < 100; i++) {
			const struct mt_addr peer = peer_of(20 + i);
			uint32_t few = pass_of(&peer, NOW + k * MT_SEC);

			CU_ASSERT(i > 0 || few == 48);
			n += few;
		}
		CU_ASSERT_EQUAL(n, MT_CALLOUT_SLOTS / 4 * 3);
	}
	answer_all();
	tear_down();
}

/* A few clients fill the slots of a service, but not those of another one. */
static void test_full(void)
{
	static const char *const servers[] = {"127.0.0.1:2"};

	for (uint32_t open = 0; open < 2; open++) {
		const struct mt_callout_conf conf = {
			.name = "others", .servers = servers, .n_servers = 1, .timeout = MT_SEC};
		struct mt_callout_provider *second = mt_callout_provider_new(&conf);
		struct mt_global_limit *l;
		struct mt_addr peer;

		set_up(open);
		fill();
		peer = peer_of(100);
		CU_ASSERT_EQUAL(call_of(&peer, "method=say\n", 1, NOW),
			open ? MT_FILTER_NEXT : MT_FILTER_REPLY);
		CU_ASSERT(open || lab.refused_as == MT_ENDING_limit_error);
		CU_ASSERT_EQUAL(lab.fw.counters[MT_FILTER_global_failed], 1);
		l = lab.inst.conf;
		l->provider = second;
		peer = peer_of(200);
		CU_ASSERT(wait_of(&peer) > 4);
		l->provider = lab.provider;
		answer_all();
		CU_ASSERT_EQUAL(call("method=say\n", 2, NOW), MT_FILTER_SUSPEND);
		answer_all();
		mt_callout_drop(second);
		tear_down();
	}
}

#define SERVICES 16

struct calls {
	uint32_t waiting, passed;
};

/* As many calls of many clients as there is room for. */
static struct calls calls_by(struct mt_callout_provider *p)
{
	struct mt_global_limit *l = lab.inst.conf;
	struct calls n = {0};

	l->provider = p;
	for (uint32_t i = 0; i < 200; i++) {
		const struct mt_addr peer = mt_addr4(p->id << 8 | i);
		enum mt_filter_verdict v;

		while ((v = call_of(&peer, "method=say\n", 1, NOW)) != MT_FILTER_REPLY) {
			n.waiting += v == MT_FILTER_SUSPEND;
			n.passed += v == MT_FILTER_NEXT;
		}
	}
	l->provider = lab.provider;
	return n;
}

/* Many silent services of one namespace leave room for those of another one. */
static void test_namespaces(void)
{
	static const char *const servers[] = {"127.0.0.1:2"};

	for (uint32_t open = 0; open < 2; open++) {
		struct mt_callout_provider *of_many[SERVICES], *of_one;
		struct mt_callout_conf conf = {.name = "others",
			.servers = servers,
			.n_servers = 1,
			.timeout = MT_SEC,
			.fail_open = open,
			.owner = 1};
		struct calls n, all = {0};

		set_up(open);
		for (uint32_t i = 0; i < SERVICES; i++) {
			of_many[i] = mt_callout_provider_new(&conf);
			n = calls_by(of_many[i]);
			all.waiting += n.waiting;
			all.passed += n.passed;
		}
		conf.owner = 2;
		of_one = mt_callout_provider_new(&conf);
		CU_ASSERT(all.waiting <= MT_CALLOUT_SLOTS / 8 * 7);
		CU_ASSERT(all.passed <= MT_CALLOUT_SLOTS / 8 * 7);
		n = calls_by(of_one);
		CU_ASSERT(n.waiting >= 12);
		CU_ASSERT(!open || n.passed >= 12);
		answer_all();
		for (uint32_t i = 0; i < SERVICES; i++)
			mt_callout_drop(of_many[i]);
		mt_callout_drop(of_one);
		tear_down();
	}
}

/* The call gets the headers for requests and for replies, but not if it is refused. */
static void test_headers(void)
{
	struct seen seen;

	set_up(false);
	CU_ASSERT_EQUAL(call("method=say\n", 1, NOW), MT_FILTER_SUSPEND);
	ANSWERS(asked(), "\x08\x01\x1a\x06\x0a\x01r\x12\x01s\x22\x06\x0a\x01k\x12\x01v");
	seen = resumed(NOW);
	CU_ASSERT_EQUAL(seen.n, 1);
	CU_ASSERT_EQUAL(seen.verdict, MT_FILTER_NEXT);
	CU_ASSERT_STRING_EQUAL(seen.changes, "sets k=v");
	CU_ASSERT_STRING_EQUAL(seen.reply_changes, "sets r=s");
	CU_ASSERT_EQUAL(call("method=say\n", 2, NOW), MT_FILTER_SUSPEND);
	ANSWERS(asked(), ALL_OVER "\x1a\x06\x0a\x01r\x12\x01s");
	seen = resumed(NOW);
	CU_ASSERT_EQUAL(seen.verdict, MT_FILTER_REPLY);
	CU_ASSERT(!*seen.changes && !*seen.reply_changes);
	tear_down();
}

/* An answer wakes the worker; those for which it has no time stay, and it comes back for them. */
static void test_wakes(void)
{
	struct seen seen = {.stop_at = 1};

	set_up(false);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(call("method=say\n", i, NOW), MT_FILTER_SUSPEND);
	CU_ASSERT_FALSE(mt_filter_inbox_rung(lab.fw.inbox));
	for (uint32_t i = 0; i < 3; i++)
		ANSWERS(asked(), BOTH_OK);
	CU_ASSERT_TRUE(mt_filter_inbox_rung(lab.fw.inbox));
	(void)mt_filter_inbox_take(lab.fw.inbox, &lab.fw, 1, see, &seen);
	CU_ASSERT_FALSE(mt_filter_inbox_rung(lab.fw.inbox));
	CU_ASSERT_EQUAL(mt_global_take(&lab.fw, NOW, see, &seen), 1);
	CU_ASSERT_TRUE(mt_filter_inbox_rung(lab.fw.inbox));
	CU_ASSERT_EQUAL(resumed(NOW).n, 2);
	tear_down();
}

/* A worker without a lane has nobody who could be asked. */
static void test_no_lane(void)
{
	for (uint32_t open = 0; open < 2; open++) {
		set_up(open);
		mt_global_detach(&lab.fw);
		CU_ASSERT_EQUAL(
			call("method=say\n", 1, NOW), open ? MT_FILTER_NEXT : MT_FILTER_REPLY);
		CU_ASSERT(open || lab.refused_as == MT_ENDING_limit_error);
		tear_down();
	}
}

/* A limit of which the service is not known. */
static void test_no_service(void)
{
	for (uint32_t open = 0; open < 2; open++) {
		const struct mt_global_def def = {.domain = "shop",
			.fail_open = open,
			.properties = properties,
			.n_properties = 1};
		struct mt_filter_told told = {.verdict = MT_FILTER_SUSPEND};
		char err[128];

		set_up(open);
		lab.inst.type->free_conf(lab.inst.conf);
		lab.inst.conf = mt_global_compile(&kv_codec, &def, err, sizeof(err));
		CU_ASSERT_PTR_NOT_NULL_FATAL(lab.inst.conf);
		CU_ASSERT_EQUAL(
			call("method=say\n", 1, NOW), open ? MT_FILTER_NEXT : MT_FILTER_REPLY);
		CU_ASSERT(open || lab.refused_as == MT_ENDING_limit_error);
		CU_ASSERT_EQUAL(lab.fw.counters[MT_FILTER_global_failed], 1);
		lab.inst.type->explain(&lab.inst, &lab.view, NOW, &told);
		CU_ASSERT_EQUAL(told.verdict, open ? MT_FILTER_NEXT : MT_FILTER_REPLY);
		CU_ASSERT_STRING_EQUAL(
			told.words, "there is no rate limit service (domain \"shop\")");
		tear_down();
	}
}

static void test_explain(void)
{
	struct mt_filter_told told = {.verdict = MT_FILTER_NEXT};

	set_up(false);
	kv_view(&lab.view, "method=other\n");
	lab.inst.type->explain(&lab.inst, &lab.view, NOW, &told);
	CU_ASSERT_EQUAL(told.verdict, MT_FILTER_NEXT);
	kv_view(&lab.view, "method=say\n");
	lab.inst.type->explain(&lab.inst, &lab.view, NOW, &told);
	CU_ASSERT_EQUAL(told.verdict, MT_FILTER_SUSPEND);
	CU_ASSERT_STRING_EQUAL(
		told.words, "waits for the rate limit service \"limits\" (domain \"shop\")");
	tear_down();
}

/* A byte stream shows no properties. */
static void test_stream(void)
{
	struct mt_filter_ctx ctx = {.now = NOW, .fw = &lab.fw};

	set_up(true);
	CU_ASSERT_EQUAL(lab.inst.type->on_stream(&lab.inst, &ctx), MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(ctx.ending, MT_ENDING_ok);
	tear_down();
}

static void test_refused_defs(void)
{
	static const struct mt_matcher_def bad = {
		.key = "method", .op = MT_MATCH_REGEX, .value = "("};
	struct mt_global_property many[MT_RLS_DESCRIPTORS + 1];
	struct mt_global_def def;
	char err[128];

	set_up(false);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(many); i++)
		many[i] = properties[0];
	def = (struct mt_global_def){
		.domain = "", .provider = lab.provider, .properties = many, .n_properties = 1};
	CU_ASSERT_PTR_NULL(mt_global_compile(&kv_codec, &def, err, sizeof(err)));
	def.domain = "d";
	def.n_properties = 0;
	CU_ASSERT_PTR_NULL(mt_global_compile(&kv_codec, &def, err, sizeof(err)));
	def.n_properties = MT_RLS_DESCRIPTORS + 1;
	CU_ASSERT_PTR_NULL(mt_global_compile(&kv_codec, &def, err, sizeof(err)));
	def.n_properties = 1;
	def.match = &bad;
	def.n_match = 1;
	CU_ASSERT_PTR_NULL(mt_global_compile(&kv_codec, &def, err, sizeof(err)));
	tear_down();
}

const struct mt_test global_tests[] = {{"passes", test_passes}, {"over", test_over},
	{"failures", test_failures}, {"crowds", test_crowds}, {"full", test_full},
	{"namespaces", test_namespaces}, {"few_pass", test_few_pass}, {"headers", test_headers},
	{"wakes", test_wakes}, {"no_lane", test_no_lane}, {"no_service", test_no_service},
	{"explain", test_explain}, {"stream", test_stream}, {"refused_defs", test_refused_defs},
	{0}};
