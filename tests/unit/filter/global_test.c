/* SPDX-License-Identifier: Apache-2.0 */
/* The global rate limit; the test is the thread that asks the service. */
#include "suites.h"

#include "global_ratelimit/global.h"
#include "mt_callout_priv.h"
#include "mt_filter_global.h"
#include "mt_filter_inbox.h"
#include "mt_rls_client.h"

#include "ratelimit.pb-c.h"

#include <stdio.h>
#include <string.h>

#define NOW (100 * MT_SEC)

static struct mt_filter_worker fw;
static struct mt_callout x;
static struct mt_callout_lane *lane;
static struct mt_callout_provider *provider;
static struct mt_filter_inst inst;
static struct mt_tally_registry *tallies;
static struct mt_view view;

/* ---- a worker ----------------------------------------------------------------------------------------- */

static const struct mt_matcher_def hello = {.key = "method", .op = MT_MATCH_PREFIX, .value = "say"};
static const struct mt_global_property properties[] = {{"method", "m"}, {"user", "u"}};

static void set_up(bool fail_open)
{
	static const char *const servers[] = {"127.0.0.1:1"};
	const struct mt_callout_conf conf = {.name = "limits",
		.servers = servers,
		.n_servers = 1,
		.timeout = MT_SEC,
		.fail_open = fail_open};
	struct mt_global_def def = {.domain = "shop",
		.match = &hello,
		.n_match = 1,
		.properties = properties,
		.n_properties = 2};
	char err[128];

	mt_filter_worker_init(&fw, 0);
	fw.inbox = mt_filter_inbox_new();
	def.tallies = tallies = mt_tally_registry_new(1);
	def.limited = "a:1";
	memset(&x, 0, sizeof(x));
	x.kind = &mt_rls_kind;
	lane = aligned_alloc(MT_CACHE_LINE, sizeof(*lane));
	CU_ASSERT_FATAL(fw.inbox && lane && mt_callout_lane_init(&x, lane));
	CU_ASSERT_FATAL(mt_global_attach(&fw, lane));
	def.provider = provider = mt_callout_provider_new(&conf);
	def.fail_open = fail_open;
	CU_ASSERT_PTR_NOT_NULL_FATAL(provider);
	inst = (struct mt_filter_inst){.type = &mt_filter_global_ratelimit,
		.conf = mt_global_compile(&kv_codec, &def, err, sizeof(err))};
	CU_ASSERT_PTR_NOT_NULL_FATAL(inst.conf);
}

static void tear_down(void)
{
	CU_ASSERT_EQUAL(mt_callout_room(lane), MT_CALLOUT_SLOTS);
	inst.type->free_conf(inst.conf);
	CU_ASSERT_PTR_NULL(mt_tally_next(tallies, NULL));
	mt_tally_registry_free(tallies);
	CU_ASSERT_EQUAL(provider->refs, 1);
	mt_callout_drop(provider);
	mt_global_detach(&fw);
	mt_callout_lane_fini(lane);
	free(lane);
	mt_filter_inbox_free(fw.inbox);
}

static uint64_t left(struct mt_filter_ctx *ctx)
{
	return 3 * MT_SEC;
}

/* How the last call was refused. */
static enum mt_ending refused_as;
static enum mt_local_reply reply;

static struct mt_addr peer_of(uint32_t client)
{
	return mt_addr4(0x010000c0 + (client << 24));
}

static enum mt_filter_verdict call_of(
	const struct mt_addr *peer, const char *text, uint32_t exchange, uint64_t now)
{
	struct mt_filter_ctx ctx = {.now = now,
		.fw = &fw,
		.at = 1,
		.exchange = exchange,
		.generation = 1,
		.left = left};
	enum mt_filter_verdict verdict;

	kv_view(&view, text);
	view.peer = *peer;
	verdict = inst.type->on_request(&inst, &view, &ctx);
	refused_as = ctx.ending;
	reply = ctx.reply;
	return verdict;
}

static enum mt_filter_verdict call(const char *text, uint32_t exchange, uint64_t now)
{
	const struct mt_addr peer = peer_of(1);
	enum mt_filter_verdict verdict = call_of(&peer, text, exchange, now);

	CU_ASSERT(verdict != MT_FILTER_REPLY || reply == MT_REPLY_OVER_LIMIT);
	return verdict;
}

/* ---- the service -------------------------------------------------------------------------------------- */

static struct mt_rls_slot *asked(void)
{
	struct mt_callout_slot *s = mt_callout_lane_asked(lane);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return mt_container_of(s, struct mt_rls_slot, callout);
}

static void answers(struct mt_rls_slot *s, const char *bytes, size_t len)
{
	mt_rls_kind.read(&s->callout, (const uint8_t *)bytes, len);
	mt_callout_lane_answered(&s->callout);
}

static void fails(struct mt_rls_slot *s, enum mt_callout_failure why)
{
	mt_rls_kind.fail(&s->callout, why);
	mt_callout_lane_answered(&s->callout);
}

#define ANSWERS(s, bytes) answers(s, bytes, sizeof(bytes) - 1)
#define BOTH_OK		  "\x08\x01\x12\x02\x08\x01\x12\x02\x08\x01"
/* The second descriptor, for 3 s. */
#define ALL_OVER  "\x08\x02" /* without descriptors */
#define USER_OVER "\x08\x02\x12\x02\x08\x01\x12\x06\x08\x02\x22\x02\x08\x03"

struct seen {
	uint32_t n, exchange;
	enum mt_filter_verdict verdict;
	enum mt_local_reply reply;
	enum mt_ending ending;
	char changes[64];
	uint32_t stop_at; /* the worker has no time for more of them */
};

static bool see(void *arg, const struct mt_filter_resume *r)
{
	struct seen *s = arg;

	s->n++;
	s->exchange = r->ticket.exchange;
	s->verdict = r->verdict;
	s->reply = r->reply;
	s->ending = r->ending;
	if (r->verdict == MT_FILTER_REPLY)
		inst.type->on_refused(&inst, r, &fw);
	mt_mutations_str(r->changes, r->n_changes, s->changes, sizeof(s->changes));
	return s->n != s->stop_at;
}

static struct seen resumed(uint64_t now)
{
	struct seen s = {0};

	CU_ASSERT_EQUAL(mt_global_take(&fw, now, see, &s), s.n);
	return s;
}

static uint64_t counted(const char *rule)
{
	for (const struct mt_tally *t = NULL; (t = mt_tally_next(tallies, t)) != NULL;)
		if (strcmp(t->service, "a:1") == 0 && strcmp(t->rule, rule) == 0)
			return mt_tally_sum(t);
	CU_FAIL_FATAL("no such rule");
	return 0;
}

/* ---- calls -------------------------------------------------------------------------------------------- */

static void test_passes(void)
{
	Xds__RateLimitRequest *r;
	struct mt_rls_slot *s;
	struct seen seen;

	set_up(false);
	CU_ASSERT_EQUAL(call("method=other\n", 1, NOW), MT_FILTER_NEXT);
	CU_ASSERT_PTR_NULL(mt_callout_lane_asked(lane));
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
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_global_waited], 1);
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
	CU_ASSERT_EQUAL(refused_as, MT_ENDING_over_global_limit);
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_global_limited], 2);
	CU_ASSERT_PTR_NULL(mt_callout_lane_asked(lane));
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
		CU_ASSERT_EQUAL(fw.counters[MT_FILTER_global_failed], 2);
		/* Not with texts that it cannot be sent. */
		CU_ASSERT_EQUAL(call("method=say\nuser=\377\n", 1, NOW), MT_FILTER_REPLY);
		CU_ASSERT_EQUAL(fw.counters[MT_FILTER_global_unread], 1);
		CU_ASSERT_EQUAL(refused_as, MT_ENDING_limit_error);
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
	uint32_t n = MT_CALLOUT_SLOTS - mt_callout_room(lane);

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
		CU_ASSERT_EQUAL(reply, MT_REPLY_OVERLOAD);
		CU_ASSERT_EQUAL(refused_as, MT_ENDING_overload);
		CU_ASSERT_EQUAL(fw.counters[MT_FILTER_global_crowded], 2);
		CU_ASSERT_EQUAL(fw.counters[MT_FILTER_global_failed], 0);
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
		CU_ASSERT_EQUAL(reply, MT_REPLY_OVERLOAD);
		CU_ASSERT_EQUAL(refused_as, MT_ENDING_overload);
	}
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_global_failed], 0);
}

static uint32_t pass_of(const struct mt_addr *peer, uint64_t now)
{
	uint32_t n = 0;

	while (call_of(peer, "method=say\n", 1, now) == MT_FILTER_NEXT)
		n++;
	CU_ASSERT_EQUAL(reply, MT_REPLY_OVERLOAD);
	CU_ASSERT_EQUAL(refused_as, MT_ENDING_overload);
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
		CU_ASSERT(open || refused_as == MT_ENDING_limit_error);
		CU_ASSERT_EQUAL(fw.counters[MT_FILTER_global_failed], 1);
		l = inst.conf;
		l->provider = second;
		peer = peer_of(200);
		CU_ASSERT(wait_of(&peer) > 4);
		l->provider = provider;
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
	struct mt_global_limit *l = inst.conf;
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
	l->provider = provider;
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

/* The call gets the headers for requests, and not those for replies. */
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
	tear_down();
}

/* An answer wakes the worker; those for which it has no time stay, and it comes back for them. */
static void test_wakes(void)
{
	struct seen seen = {.stop_at = 1};

	set_up(false);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(call("method=say\n", i, NOW), MT_FILTER_SUSPEND);
	CU_ASSERT_FALSE(mt_filter_inbox_rung(fw.inbox));
	for (uint32_t i = 0; i < 3; i++)
		ANSWERS(asked(), BOTH_OK);
	CU_ASSERT_TRUE(mt_filter_inbox_rung(fw.inbox));
	(void)mt_filter_inbox_take(fw.inbox, &fw, 1, see, &seen);
	CU_ASSERT_FALSE(mt_filter_inbox_rung(fw.inbox));
	CU_ASSERT_EQUAL(mt_global_take(&fw, NOW, see, &seen), 1);
	CU_ASSERT_TRUE(mt_filter_inbox_rung(fw.inbox));
	CU_ASSERT_EQUAL(resumed(NOW).n, 2);
	tear_down();
}

/* A worker without a lane has nobody who could be asked. */
static void test_no_lane(void)
{
	for (uint32_t open = 0; open < 2; open++) {
		set_up(open);
		mt_global_detach(&fw);
		CU_ASSERT_EQUAL(
			call("method=say\n", 1, NOW), open ? MT_FILTER_NEXT : MT_FILTER_REPLY);
		CU_ASSERT(open || refused_as == MT_ENDING_limit_error);
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
		inst.type->free_conf(inst.conf);
		inst.conf = mt_global_compile(&kv_codec, &def, err, sizeof(err));
		CU_ASSERT_PTR_NOT_NULL_FATAL(inst.conf);
		CU_ASSERT_EQUAL(
			call("method=say\n", 1, NOW), open ? MT_FILTER_NEXT : MT_FILTER_REPLY);
		CU_ASSERT(open || refused_as == MT_ENDING_limit_error);
		CU_ASSERT_EQUAL(fw.counters[MT_FILTER_global_failed], 1);
		inst.type->explain(&inst, &view, NOW, &told);
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
	kv_view(&view, "method=other\n");
	inst.type->explain(&inst, &view, NOW, &told);
	CU_ASSERT_EQUAL(told.verdict, MT_FILTER_NEXT);
	kv_view(&view, "method=say\n");
	inst.type->explain(&inst, &view, NOW, &told);
	CU_ASSERT_EQUAL(told.verdict, MT_FILTER_SUSPEND);
	CU_ASSERT_STRING_EQUAL(
		told.words, "waits for the rate limit service \"limits\" (domain \"shop\")");
	tear_down();
}

/* A byte stream shows no properties. */
static void test_stream(void)
{
	struct mt_filter_ctx ctx = {.now = NOW, .fw = &fw};

	set_up(true);
	CU_ASSERT_EQUAL(inst.type->on_stream(&inst, &ctx), MT_FILTER_REPLY);
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
		.domain = "", .provider = provider, .properties = many, .n_properties = 1};
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

/* ---- limits of routes --------------------------------------------------------------------------------- */

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

static void set_up_routes(void)
{
	struct mt_global_def def = {.domain = "shop", .routes = routes, .n_routes = 4};
	char err[128];

	set_up(true);
	inst.type->free_conf(inst.conf);
	def.provider = provider;
	def.fail_open = true;
	def.tallies = tallies;
	def.limited = "a:1";
	named = kv_codec;
	named.service_key = "service";
	named.method_key = mt_key_make(&kv_codec, "method");
	inst.conf = mt_global_compile(&named, &def, err, sizeof(err));
	CU_ASSERT_PTR_NOT_NULL_FATAL(inst.conf);
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
	inst.type->explain(&inst, &view, NOW, &told);
	CU_ASSERT_STRING_EQUAL(told.words, "its route has no limit: not limited");
	/* Nor is a call without the only descriptor. */
	CU_ASSERT_EQUAL(call("method=ask\n", 1, NOW), MT_FILTER_NEXT);
	CU_ASSERT_PTR_NULL(mt_callout_lane_asked(lane));
	/* What cannot be counted is no way past the limit. */
	CU_ASSERT_EQUAL(call("method=buy\nuser=\xff\n", 1, NOW), MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(refused_as, MT_ENDING_limit_error);
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_global_waited], 6);
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

const struct mt_test global_tests[] = {{"passes", test_passes}, {"over", test_over},
	{"failures", test_failures}, {"crowds", test_crowds}, {"full", test_full},
	{"namespaces", test_namespaces}, {"few_pass", test_few_pass}, {"headers", test_headers},
	{"wakes", test_wakes}, {"no_lane", test_no_lane}, {"no_service", test_no_service},
	{"explain", test_explain}, {"stream", test_stream}, {"refused_defs", test_refused_defs},
	{"routes", test_routes}, {"routes_over", test_routes_over},
	{"routes_refused", test_routes_refused}, {"long_keys", test_long_keys}, {0}};
