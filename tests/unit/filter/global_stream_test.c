/* SPDX-License-Identifier: Apache-2.0 */
/* Global rate limits of opaque streams, with descriptors of texts and the client's address. */
#include "global_lab.h"

#include "mt_callout_priv.h"

#include "ratelimit.pb-c.h"

#define ONE_OK	 "\x08\x01\x12\x02\x08\x01"
#define ONE_OVER "\x08\x02\x12\x06\x08\x02\x22\x02\x08\x03"
/* Two streams until 2100, which count until the next day. */
#define ONE_QUOTA "\x08\x01\x12\x0e\x08\x01\x2a\x0a\x08\x02\x12\x06\x08\x80\xae\x99\xa4\x0f"

static const struct mt_global_entry_def entries[] = {
	{.source = MT_GLOBAL_TEXT, .key = "listener", .from = "books"},
	{.source = MT_GLOBAL_ADDRESS, .key = "client"}};
static const struct mt_global_descriptor_def fixed[] = {{entries, 2}};

static void set_up_fixed(bool fail_open)
{
	struct mt_global_def def = {
		.domain = "shop", .fixed = fixed, .n_fixed = 1, .fail_open = fail_open};
	char err[128];

	set_up(fail_open);
	lab.inst.type->free_conf(lab.inst.conf);
	def.provider = lab.provider;
	def.tallies = lab.tallies;
	def.limited = "a:1";
	lab.inst.conf = mt_global_compile(&kv_codec, &def, err, sizeof(err));
	CU_ASSERT_PTR_NOT_NULL_FATAL(lab.inst.conf);
}

static struct mt_addr client;

static void caller(struct mt_filter_ctx *ctx, struct mt_filter_caller *who)
{
	CU_ASSERT_PTR_EQUAL(ctx->stream, &client);
	*who = (struct mt_filter_caller){.addr = client};
}

static uint64_t left(struct mt_filter_ctx *ctx)
{
	return 600 * MT_SEC;
}

static enum mt_filter_verdict stream(uint64_t now)
{
	struct mt_filter_ctx ctx = {.now = now,
		.fw = &lab.fw,
		.at = 1,
		.exchange = 7,
		.generation = 3,
		.direction = MT_FILTER_OF_REPLY, /* of an exchange before */
		.left = left,
		.caller = caller,
		.stream = &client};
	enum mt_filter_verdict verdict;

	client = peer_of(1);
	verdict = lab.inst.type->on_stream(&lab.inst, &ctx);
	lab.refused_as = ctx.ending;
	return verdict;
}

/* A stream waits, passes, and is refused like a call. */
static void test_waits(void)
{
	Xds__RateLimitRequest *r;
	struct mt_rls_slot *s;

	set_up_fixed(false);
	CU_ASSERT_EQUAL(stream(NOW), MT_FILTER_SUSPEND);
	s = asked();
	r = xds__rate_limit_request__unpack(NULL, s->len, s->query);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_EQUAL_FATAL(r->n_descriptors, 1);
	CU_ASSERT_EQUAL_FATAL(r->descriptors[0]->n_entries, 2);
	CU_ASSERT_STRING_EQUAL(r->descriptors[0]->entries[0]->value, "books");
	CU_ASSERT_STRING_EQUAL(r->descriptors[0]->entries[1]->key, "client");
	CU_ASSERT_STRING_EQUAL(r->descriptors[0]->entries[1]->value, "192.0.0.2");
	xds__rate_limit_request__free_unpacked(r, NULL);
	ANSWERS(s, ONE_OK);
	CU_ASSERT_EQUAL(resumed(NOW).verdict, MT_FILTER_NEXT);
	CU_ASSERT_EQUAL(stream(NOW), MT_FILTER_SUSPEND);
	ANSWERS(asked(), ONE_OVER);
	CU_ASSERT_EQUAL(resumed(NOW).ending, MT_ENDING_over_global_limit);
	CU_ASSERT_EQUAL(stream(NOW), MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(lab.refused_as, MT_ENDING_over_global_limit);
	CU_ASSERT_EQUAL(counted("shop: listener, client"), 2);
	tear_down();
}

/* The wait is a stream's, whatever the exchange before was. */
static void test_ticket(void)
{
	struct mt_filter_ctx ctx = {
		.fw = &lab.fw, .at = 2, .exchange = 7, .generation = 3, .stream = &client};
	struct mt_filter_ticket t;

	set_up_fixed(false);
	for (uint32_t i = 0; i < 2; i++) {
		ctx.direction = i ? MT_FILTER_OF_REPLY : MT_FILTER_OF_REQUEST;
		t = mt_filter_ticket_of(&ctx);
		CU_ASSERT(t.exchange == 7 && t.generation == 3);
		CU_ASSERT_EQUAL(t.wait, MT_FILTER_WAIT_OF_STREAM + 2);
	}
	tear_down();
}

static void test_quotas(void)
{
	set_up_fixed(false);
	CU_ASSERT_EQUAL(stream(NOW), MT_FILTER_SUSPEND);
	ANSWERS(asked(), ONE_QUOTA);
	CU_ASSERT_EQUAL(resumed(NOW).verdict, MT_FILTER_NEXT);
	CU_ASSERT_EQUAL(stream(NOW), MT_FILTER_NEXT);
	CU_ASSERT_EQUAL(stream(NOW), MT_FILTER_REPLY);
	tear_down();
}

/* Without an answer, or a service. */
static void test_failures(void)
{
	for (uint32_t open = 0; open < 2; open++) {
		struct mt_global_limit *l;

		set_up_fixed(open);
		CU_ASSERT_EQUAL(stream(NOW), MT_FILTER_SUSPEND);
		fails(asked(), MT_CALLOUT_LATE);
		CU_ASSERT_EQUAL(resumed(NOW).verdict, open ? MT_FILTER_NEXT : MT_FILTER_REPLY);
		l = lab.inst.conf;
		mt_callout_drop(l->provider);
		l->provider = NULL;
		CU_ASSERT_EQUAL(stream(NOW), open ? MT_FILTER_NEXT : MT_FILTER_REPLY);
		CU_ASSERT_EQUAL(lab.refused_as, open ? MT_ENDING_ok : MT_ENDING_limit_error);
		tear_down();
	}
}

static void test_refused_defs(void)
{
	struct mt_global_descriptor_def many[MT_RLS_DESCRIPTORS + 1];
	struct mt_global_def def = {.domain = "d", .fixed = many};
	char err[128];

	for (uint32_t i = 0; i < MT_ARRAY_LEN(many); i++)
		many[i] = fixed[0];
	def.n_fixed = MT_RLS_DESCRIPTORS + 1;
	CU_ASSERT_PTR_NULL(mt_global_compile(&kv_codec, &def, err, sizeof(err)));
	def.n_fixed = 1;
	many[0].n = MT_RLS_ENTRIES + 1;
	CU_ASSERT_PTR_NULL(mt_global_compile(&kv_codec, &def, err, sizeof(err)));
	CU_ASSERT_STRING_EQUAL(err, "a global rate limit has at most 16 descriptors of 8 entries");
}

const struct mt_test global_stream_tests[] = {{"waits", test_waits}, {"ticket", test_ticket},
	{"quotas", test_quotas}, {"failures", test_failures}, {"refused_defs", test_refused_defs},
	{0}};
