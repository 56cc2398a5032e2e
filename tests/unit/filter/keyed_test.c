/* SPDX-License-Identifier: Apache-2.0 */
/* Rate limits by key, with a stand-in for the worker that knows the caller. */
#include "suites.h"

#include "mt_filter_keyed.h"
#include "mt_rand.h"

#include <pthread.h>
#include <stdio.h>

#define KEYED  (&mt_filter_keyed_ratelimit)
#define MINUTE (60 * MT_SEC)
#define TWO    ((struct mt_keyed_numbers){2, 2, MINUTE})

static struct mt_limit_registry *reg;
static struct mt_filter_worker fw;
static struct mt_view view;
static const char *principal; /* of the caller */
static uint16_t port;
static char err[256];

static void caller(struct mt_filter_ctx *ctx, struct mt_filter_caller *who)
{
	who->addr = view.peer;
	who->port = port;
	who->principal = (struct mt_slice){
		(const uint8_t *)principal, principal ? (uint32_t)strlen(principal) : 0};
}

static void setup(uint16_t workers)
{
	reg = mt_limit_registry_new(workers);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mt_limit_keyed(reg, 1024));
	mt_filter_worker_init(&fw, 0);
	principal = NULL;
	port = 1;
}

static void *compile(const struct mt_keyed_rule_def *rules, uint32_t n, uint64_t now)
{
	const struct mt_keyed_limit_def def = {.rules = rules, .n_rules = n};
	void *l = mt_keyed_limit_compile(reg, &kv_codec, &def, now, err, sizeof(err));

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	return l;
}

static void *one(const struct mt_keyed_select_def *s)
{
	const struct mt_keyed_rule_def r = {.name = "shop/p rules[0] of a",
		.numbers = TWO,
		.selects = s,
		.n_selects = s ? 1 : 0};

	return compile(&r, 1, 0);
}

static void done(void *l)
{
	KEYED->free_conf(l);
	mt_limit_registry_free(reg);
}

/* Of 5 messages like this one from `from`, how many pass. */
static uint32_t of_five_at(void *l, const char *from, const char *text, uint64_t now)
{
	struct mt_filter_inst f = {.type = KEYED, .conf = l};
	uint32_t n = 0;

	kv_view(&view, text);
	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(from, &view.peer), 0);
	for (int i = 0; i < 5; i++) {
		struct mt_filter_ctx ctx = {.now = now, .fw = &fw, .caller = caller};

		if (KEYED->on_request(&f, &view, &ctx) == MT_FILTER_NEXT) {
			n++;
			continue;
		}
		CU_ASSERT_EQUAL(ctx.reply, MT_REPLY_OVER_LIMIT);
		CU_ASSERT_EQUAL(ctx.ending, MT_ENDING_ok);
		CU_ASSERT_STRING_EQUAL(ctx.reply_text, "over limit");
	}
	return n;
}

static uint32_t of_five(void *l, const char *from, const char *text)
{
	return of_five_at(l, from, text, 1);
}

#define ANY "method=a\n"

static struct mt_keyed_select_def network(const char *net, uint8_t by)
{
	struct mt_keyed_select_def s = {.has_net = true, .by = by};

	CU_ASSERT_EQUAL_FATAL(mt_prefix_parse(net, &s.net, &s.prefix), 0);
	return s;
}

/* Each address has a bucket, of IPv6 each /64; addresses outside the network are not limited. */
static void test_addresses(void)
{
	struct mt_keyed_select_def s[] = {
		network("192.0.2.0/24", MT_KEYED_BY_ADDRESS), network("::/0", MT_KEYED_BY_ADDRESS)};
	const struct mt_keyed_rule_def r = {
		.name = "r", .numbers = TWO, .selects = s, .n_selects = 2};
	void *l;

	setup(1);
	l = compile(&r, 1, 0);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 2);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.2", ANY), 2);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 0);
	CU_ASSERT_EQUAL(of_five(l, "198.51.100.1", ANY), 5);
	CU_ASSERT_EQUAL(of_five(l, "2001:db8::1", ANY), 2);
	CU_ASSERT_EQUAL(of_five(l, "2001:db8::ffff:2", ANY), 0);
	CU_ASSERT_EQUAL(of_five(l, "2001:db8:0:1::1", ANY), 2);
	CU_ASSERT_EQUAL(of_five_at(l, "192.0.2.1", ANY, MINUTE), 2);
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_rate_limited], 3 + 3 + 5 + 3 + 5 + 3 + 3);
	done(l);
}

/* Without Distinct all calls that are selected share a bucket; without selectors all calls do. */
static void test_together(void)
{
	struct mt_keyed_select_def s = network("192.0.2.0/24", 0);
	void *l;

	setup(1);
	l = one(&s);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 2);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.2", ANY), 0);
	CU_ASSERT_EQUAL(of_five(l, "198.51.100.1", ANY), 5);
	done(l);
	setup(1);
	l = one(NULL);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 2);
	CU_ASSERT_EQUAL(of_five(l, "2001:db8::1", ANY), 0);
	done(l);
}

/* Each value has a bucket; calls without the key are not selected. */
static void test_metadata(void)
{
	static const char *const keys[] = {"user", "tier"};
	const struct mt_keyed_select_def s = {.keys = keys, .n_keys = 2};
	void *l;

	setup(1);
	l = one(&s);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", "user=a\ntier=x\n"), 2);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.2", "user=a\ntier=x\n"), 0);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.2", "USER=a\ntier=x\n"), 0);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", "user=x\ntier=a\n"), 2);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", "user=\ntier=a\n"), 2);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", "user=a\n"), 5);
	done(l);
}

/* Conditions select; calls that they do not match take no token. */
static void test_conditions(void)
{
	const struct mt_matcher_def match[] = {
		{.key = "method", .op = MT_MATCH_EXACT, .value = "buy"},
		{.key = "tier",
			.op = MT_MATCH_EXACT,
			.value = "gold",
			.invert = true,
			.missing_as_empty = true}};
	const struct mt_keyed_select_def s = {.match = match, .n_match = 2};
	void *l;

	setup(1);
	l = one(&s);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", "method=sell\n"), 5);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", "method=buy\ntier=gold\n"), 5);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", "method=buy\n"), 2);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", "method=buy\ntier=tin\n"), 0);
	done(l);
}

/* Each principal has a bucket, and all callers without one have one together. */
static void test_principals(void)
{
	const struct mt_keyed_select_def each = {.by = MT_KEYED_BY_PRINCIPAL},
					 exact = {.principal = "cluster.local/ns/a/sa/b"};
	void *l;

	setup(1);
	l = one(&each);
	principal = "cluster.local/ns/a/sa/b";
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 2);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.2", ANY), 0);
	principal = "cluster.local/ns/a/sa/c";
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 2);
	principal = NULL;
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 2);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.2", ANY), 0);
	done(l);
	setup(1);
	l = one(&exact);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 5);
	principal = "cluster.local/ns/a/sa/bb";
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 5);
	principal = "cluster.local/ns/a/sa/b";
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 2);
	done(l);
}

static void test_connections(void)
{
	const struct mt_keyed_select_def s = {.by = MT_KEYED_BY_CONNECTION};
	void *l;

	setup(1);
	l = one(&s);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 2);
	port = 2;
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 2);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 0);
	done(l);
}

/* Keys of two kinds with the same text do not share a bucket; the first selector decides. */
static void test_kinds(void)
{
	static const char *const user[] = {"user"}, *const group[] = {"group"};
	const struct mt_keyed_select_def s[] = {
		{.keys = user, .n_keys = 1}, {.keys = group, .n_keys = 1}};
	const struct mt_keyed_rule_def r = {
		.name = "r", .numbers = TWO, .selects = s, .n_selects = 2};
	void *l;

	setup(1);
	l = compile(&r, 1, 0);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", "user=a\n"), 2);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", "group=a\n"), 2);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", "user=a\ngroup=b\n"), 0);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", "group=b\n"), 2);
	done(l);
}

/* The strictest rule counts, in any order; what it refuses costs the others nothing. */
static void test_strictest(void)
{
	struct mt_keyed_select_def s = network("0.0.0.0/0", MT_KEYED_BY_ADDRESS);
	const struct mt_keyed_rule_def r[] = {{.name = "all", .numbers = {4, 4, MINUTE}, .line = 1},
		{.name = "each",
			.numbers = {3, 3, MINUTE},
			.selects = &s,
			.n_selects = 1,
			.line = 2}};
	void *l;

	setup(1);
	l = compile(r, 2, 0);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 3);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 0);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.2", ANY), 1);
	done(l);
}

/* A report-only rule refuses nothing, and counts; the next rule still does. */
static void test_report_only(void)
{
	const struct mt_keyed_rule_def r[] = {
		{.name = "new", .numbers = {1, 1, MINUTE}, .report_only = true},
		{.name = "old", .numbers = {4, 4, MINUTE}}};
	struct mt_keyed_info info;
	uint32_t idx = 0;
	void *l;

	setup(1);
	l = compile(r, 2, 0);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 4);
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_would_be_limited], 4);
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_rate_limited], 1);
	CU_ASSERT_TRUE(mt_keyed_next(mt_limit_keyed(reg, 0), &idx, &info));
	CU_ASSERT_STRING_EQUAL(info.name, "new");
	CU_ASSERT(info.admitted == 1 && info.refused == 4);
	done(l);
}

/* Names of refused keys are shown, but not of keys that may be secrets. */
static void test_names(void)
{
	static const char *const user[] = {"user"}, *const token[] = {"X-Token"};
	struct mt_keyed_select_def s[] = {network("0.0.0.0/0", MT_KEYED_BY_ADDRESS),
		network("::/0", MT_KEYED_BY_ADDRESS), {.keys = token, .n_keys = 1}};
	struct mt_keyed_hot hot[4];
	void *l;

	setup(1);
	s[0].keys = user;
	s[0].n_keys = 1;
	for (uint32_t i = 0; i < 3; i++) {
		static const char *const names[] = {"192.0.2.1, a", "2001:db8::/64", NULL};

		l = one(&s[i]);
		of_five(l, i == 1 ? "2001:db8::5" : "192.0.2.1", "user=a\nx-token=b\n");
		CU_ASSERT_EQUAL_FATAL(mt_keyed_hottest(mt_limit_keyed(reg, 0), 1, hot, 4), 1);
		CU_ASSERT_STRING_EQUAL(hot[0].rule, "shop/p rules[0] of a");
		CU_ASSERT_EQUAL(hot[0].refused, 3);
		CU_ASSERT_EQUAL(hot[0].hidden, i == 2);
		if (names[i]) {
			CU_ASSERT_EQUAL(hot[0].len, strlen(names[i]));
			CU_ASSERT_EQUAL(memcmp(hot[0].name, names[i], hot[0].len), 0);
		}
		done(l);
		setup(1);
	}
	mt_limit_registry_free(reg);
}

/* A reload keeps the buckets of a rule with the same numbers. */
static void test_reload(void)
{
	struct mt_keyed_select_def s = network("0.0.0.0/0", MT_KEYED_BY_ADDRESS);
	const struct mt_keyed_rule_def other = {.name = "shop/p rules[0] of a",
		.numbers = {3, 3, MINUTE},
		.selects = &s,
		.n_selects = 1};
	void *l, *next;

	setup(1);
	l = one(&s);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 2);
	next = one(&s);
	KEYED->free_conf(l);
	CU_ASSERT_EQUAL(of_five(next, "192.0.2.1", ANY), 0);
	l = compile(&other, 1, 1);
	KEYED->free_conf(next);
	CU_ASSERT_EQUAL(of_five(l, "192.0.2.1", ANY), 3);
	done(l);
}

static uint32_t of_five_streams(void *l, const char *from)
{
	struct mt_filter_inst f = {.type = KEYED, .conf = l};
	uint32_t n = 0;

	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(from, &view.peer), 0);
	for (int i = 0; i < 5; i++) {
		struct mt_filter_ctx ctx = {.now = 1, .fw = &fw, .caller = caller, .stream = &view};

		n += KEYED->on_stream(&f, &ctx) == MT_FILTER_NEXT;
	}
	return n;
}

/* Streams take tokens by address. Those at a port of messages may not evade limits by metadata. */
static void test_streams(void)
{
	static const char *const user[] = {"user"};
	struct mt_keyed_select_def s[] = {
		network("0.0.0.0/0", MT_KEYED_BY_ADDRESS), {.keys = user, .n_keys = 1}};
	struct mt_keyed_rule_def r[] = {{.name = "a", .numbers = TWO, .selects = s, .n_selects = 1},
		{.name = "b", .numbers = TWO, .selects = s + 1, .n_selects = 1}};
	const struct mt_keyed_limit_def def = {.rules = r, .n_rules = 2};
	void *l;

	setup(1);
	l = compile(r, 1, 0);
	CU_ASSERT_EQUAL(of_five_streams(l, "192.0.2.1"), 2);
	CU_ASSERT_EQUAL(of_five_streams(l, "192.0.2.2"), 2);
	done(l);
	setup(1);
	l = compile(r, 2, 0);
	CU_ASSERT_EQUAL(of_five_streams(l, "192.0.2.1"), 0);
	done(l);
	setup(1);
	r[1].report_only = true;
	l = compile(r, 2, 0);
	CU_ASSERT_EQUAL(of_five_streams(l, "192.0.2.1"), 2);
	done(l);
	setup(1);
	r[1].report_only = false;
	l = mt_keyed_limit_compile(reg, mt_codec_bytes(), &def, 0, err, sizeof(err));
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_EQUAL(of_five_streams(l, "192.0.2.1"), 2);
	done(l);
}

/* A limit that cannot be enforced refuses all calls and streams. */
static void test_closed(void)
{
	const struct mt_keyed_limit_def def = {.closed = true};
	struct mt_filter_ctx ctx = {.now = 1, .fw = &fw, .caller = caller};
	struct mt_filter_inst f = {.type = KEYED};

	setup(1);
	f.conf = mt_keyed_limit_compile(reg, &kv_codec, &def, 0, err, sizeof(err));
	kv_view(&view, ANY);
	CU_ASSERT_EQUAL(KEYED->on_request(&f, &view, &ctx), MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(ctx.reply, MT_REPLY_OVER_LIMIT);
	CU_ASSERT_EQUAL(ctx.ending, MT_ENDING_limit_error);
	CU_ASSERT_EQUAL(of_five_streams(f.conf, "192.0.2.1"), 0);
	done(f.conf);
}

static void test_bad(void)
{
	const struct mt_keyed_rule_def r = {.name = "r", .numbers = {UINT32_MAX, 1, MINUTE}};
	const struct mt_keyed_limit_def def = {.rules = &r, .n_rules = 1};

	setup(1);
	CU_ASSERT_PTR_NULL(mt_keyed_limit_compile(reg, &kv_codec, &def, 0, err, sizeof(err)));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "268435455"));
	mt_limit_registry_free(reg);
}

static void test_explain(void)
{
	struct mt_keyed_select_def s = network("192.0.2.0/24", MT_KEYED_BY_ADDRESS);
	struct mt_filter_inst f = {.type = KEYED};
	struct mt_filter_told told = {0};

	setup(1);
	f.conf = one(&s);
	CU_ASSERT_EQUAL(of_five(f.conf, "192.0.2.1", ANY), 2);
	KEYED->explain(&f, &view, 1, &told);
	CU_ASSERT_EQUAL(told.verdict, MT_FILTER_REPLY);
	CU_ASSERT_STRING_EQUAL(told.words, "shop/p rules[0] of a: 0 of 2 tokens are there");
	CU_ASSERT_EQUAL(mt_addr_parse("192.0.2.2", &view.peer), 0);
	told = (struct mt_filter_told){0};
	KEYED->explain(&f, &view, 1, &told);
	CU_ASSERT_EQUAL(told.verdict, MT_FILTER_NEXT);
	CU_ASSERT_STRING_EQUAL(told.words, "shop/p rules[0] of a: 2 of 2 tokens are there");
	CU_ASSERT_EQUAL(mt_addr_parse("198.51.100.2", &view.peer), 0);
	told = (struct mt_filter_told){0};
	KEYED->explain(&f, &view, 1, &told);
	CU_ASSERT_STRING_EQUAL(told.words, "no rule applies: not limited");
	done(f.conf);
}

/* Opaque streams show no metadata: selectors that read some match nothing. */
static void test_explain_bytes(void)
{
	static const char *const user[] = {"user"};
	const struct mt_keyed_select_def s = {.keys = user, .n_keys = 1};
	const struct mt_keyed_rule_def r = {
		.name = "r", .numbers = TWO, .selects = &s, .n_selects = 1};
	const struct mt_keyed_limit_def def = {.rules = &r, .n_rules = 1};
	struct mt_filter_inst f = {.type = KEYED};
	struct mt_filter_told told = {0};

	setup(1);
	f.conf = mt_keyed_limit_compile(reg, mt_codec_bytes(), &def, 0, err, sizeof(err));
	CU_ASSERT_PTR_NOT_NULL_FATAL(f.conf);
	kv_view(&view, "user=a\n");
	KEYED->explain(&f, &view, 1, &told);
	CU_ASSERT_STRING_EQUAL(told.words, "no rule applies: not limited");
	done(f.conf);
}

/* ---- threads --------------------------------------------------------------------------------- */

#define CLIENTS 64u
#define EPOCHS	20u
#define ASKS	(CLIENTS * 200u)
#define TOKENS	100u
#define FILL	(100 * MT_MSEC)

struct asker {
	pthread_t thread;
	struct mt_filter_worker fw;
	struct mt_view view;
	struct mt_rand rnd;
	uint32_t admitted[EPOCHS][CLIENTS];
};

static struct asker askers[MAX_WORKERS];
static pthread_barrier_t barrier;
static void *shared;

static void *ask(void *arg)
{
	struct asker *a = arg;
	struct mt_filter_inst f = {.type = KEYED, .conf = shared};

	kv_view(&a->view, ANY);
	for (uint32_t k = 0; k < EPOCHS; k++) {
		uint64_t now = k * FILL;

		pthread_barrier_wait(&barrier);
		for (uint32_t i = 0; i < ASKS; i++) {
			struct mt_filter_ctx ctx = {.fw = &a->fw};
			uint32_t client = i % CLIENTS;

			now += mt_rand_below(&a->rnd, FILL / ASKS);
			ctx.now = now;
			a->view.peer = (struct mt_addr){
				.q = {__builtin_bswap64(0x20010db800000000 + client), i}};
			a->admitted[k][client] +=
				KEYED->on_request(&f, &a->view, &ctx) == MT_FILTER_NEXT;
		}
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

/* Each client gets its tokens of each epoch exactly, by however many workers. */
static void test_threads(void)
{
	struct mt_keyed_select_def s = network("::/0", MT_KEYED_BY_ADDRESS);
	const struct mt_keyed_rule_def r = {
		.name = "r", .numbers = {TOKENS, TOKENS, FILL}, .selects = &s, .n_selects = 1};

	setup(MAX_WORKERS);
	shared = compile(&r, 1, 0);
	pthread_barrier_init(&barrier, NULL, MAX_WORKERS);
	for (uint16_t i = 0; i < MAX_WORKERS; i++) {
		mt_filter_worker_init(&askers[i].fw, i);
		mt_rand_seed(&askers[i].rnd, i);
		CU_ASSERT_EQUAL_FATAL(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
	}
	for (int i = 0; i < MAX_WORKERS; i++)
		pthread_join(askers[i].thread, NULL);
	for (uint32_t k = 0; k < EPOCHS; k++)
		for (uint32_t client = 0; client < CLIENTS; client++) {
			uint32_t sum = 0;

			for (int i = 0; i < MAX_WORKERS; i++)
				sum += askers[i].admitted[k][client];
			CU_ASSERT_EQUAL(sum, TOKENS);
		}
	pthread_barrier_destroy(&barrier);
	done(shared);
}

const struct mt_test keyed_tests[] = {{"addresses", test_addresses}, {"together", test_together},
	{"metadata", test_metadata}, {"conditions", test_conditions},
	{"principals", test_principals}, {"connections", test_connections}, {"kinds", test_kinds},
	{"strictest", test_strictest}, {"report only", test_report_only}, {"names", test_names},
	{"reload", test_reload}, {"streams", test_streams}, {"closed", test_closed},
	{"bad", test_bad}, {"explain", test_explain}, {"explain bytes", test_explain_bytes},
	{"threads", test_threads}, {0}};
