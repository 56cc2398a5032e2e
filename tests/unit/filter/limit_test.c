/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include "mt_balance.h"
#include "mt_filter_limit_watch.h"

#include <stdio.h>

#define MIN5  ((struct mt_bucket_numbers){5, 5, 60 * MT_SEC})
#define TEN2  ((struct mt_bucket_numbers){2, 2, 10 * MT_SEC})
#define FREE  mt_filter_types[0]->free_conf
#define EXACT .op = MT_MATCH_EXACT

static struct mt_limit_registry *reg;
static struct mt_filter_worker fw;
static struct mt_view view;

static void setup(void)
{
	reg = mt_limit_registry_new(1);
	mt_filter_worker_init(&fw, 0);
}

/* Of 10 messages like this one, how many pass. */
static uint32_t of_ten(void *l, const char *text, uint64_t now)
{
	struct mt_filter_inst f = {.type = mt_filter_types[0], .conf = l};
	uint32_t n = 0;

	kv_view(&view, text);
	for (int i = 0; i < 10; i++) {
		struct mt_filter_ctx ctx = {.now = now, .fw = &fw};

		if (f.type->on_request(&f, &view, &ctx) == MT_FILTER_NEXT) {
			n++;
			continue;
		}
		CU_ASSERT_EQUAL(ctx.reply, MT_REPLY_OVER_LIMIT);
		CU_ASSERT_STRING_EQUAL(ctx.reply_text, "over limit");
	}
	return n;
}

static const struct mt_matcher_def hello = {.key = "method", EXACT, .value = "sayHello"};

/* 5 a minute for the service, 2 in 10 s for one method: each request charges one bucket only. */
static void test_condition_charges_its_own(void)
{
	struct mt_limit_cond_def cond = {&hello, 1, TEN2, 0};
	struct mt_limit_def def = {"thrift:9090", true, MIN5, &cond, 1, NULL};
	char err[128];
	void *l;

	setup();
	l = mt_limit_compile(reg, &kv_codec, &def, 0, err, sizeof(err));
	mt_limit_commit(reg, 0);
	CU_ASSERT_EQUAL(of_ten(l, "method=sayHello\n", 1), 2);
	CU_ASSERT_EQUAL(of_ten(l, "method=other\n", 1), 5);
	CU_ASSERT_EQUAL(of_ten(l, "method=sayHello\n", 10 * MT_SEC - 1), 0);
	CU_ASSERT_EQUAL(of_ten(l, "method=sayHello\n", 10 * MT_SEC), 2);
	CU_ASSERT_EQUAL(of_ten(l, "method=other\n", 10 * MT_SEC), 0);
	CU_ASSERT_EQUAL(of_ten(l, "method=other\n", 60 * MT_SEC), 5);
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_rate_limited], 8 + 5 + 10 + 8 + 10 + 5);
	FREE(l);
	mt_limit_registry_free(reg);
}

/* Of 10 byte streams, how many pass. */
static uint32_t of_ten_streams(void *l)
{
	const struct mt_filter_inst f = {.type = mt_filter_types[0], .conf = l};
	uint32_t n = 0;

	for (int i = 0; i < 10; i++) {
		struct mt_filter_ctx ctx = {.now = 1, .fw = &fw};

		if (f.type->on_stream(&f, &ctx) == MT_FILTER_NEXT)
			n++;
		else
			CU_ASSERT_EQUAL(ctx.reply, MT_REPLY_OVER_LIMIT);
	}
	return n;
}

/* A byte stream takes a token as a call does. With conditions none passes, as its bucket is not known. */
static void test_streams(void)
{
	struct mt_limit_cond_def cond = {&hello, 1, TEN2, 0};

	for (uint32_t n_conds = 0; n_conds < 2; n_conds++) {
		struct mt_limit_def def = {"thrift:9090", true, MIN5, &cond, n_conds, NULL};
		char err[128];
		void *l;

		setup();
		l = mt_limit_compile(reg, &kv_codec, &def, 0, err, sizeof(err));
		CU_ASSERT_PTR_NOT_NULL_FATAL(l);
		mt_limit_commit(reg, 0);
		CU_ASSERT_EQUAL(of_ten_streams(l), n_conds ? 0 : 5);
		CU_ASSERT_EQUAL(of_ten(l, "method=other\n", 1), n_conds ? 5 : 0);
		CU_ASSERT_EQUAL(fw.counters[MT_FILTER_rate_limited], 15);
		FREE(l);
		mt_limit_registry_free(reg);
	}
}

/* Sets the service's bucket, or that of its condition, or both (NULL), to report-only. */
static void report_only(struct mt_limit_rule rules[2], const char *match)
{
	static char words[2][64];
	struct mt_limit_info info;
	uint32_t idx = 0, n = 0;

	while (mt_limit_next(reg, &idx, 0, &info)) {
		if (match && (strcmp(info.match, "*") == 0) != (strcmp(match, "*") == 0))
			continue;
		CU_ASSERT_FATAL(n < 2);
		snprintf(words[n], sizeof(words[n]), "%s", info.match);
		rules[n] = (struct mt_limit_rule){"thrift:9090", words[n], {.report_only = true}};
		n++;
	}
	mt_limit_set_rules(reg, rules, n);
	mt_limit_commit(reg, 1);
}

/* Report-only refuses no byte stream under conditions, if all buckets are, and none is charged. */
static void test_streams_report_only(void)
{
	struct mt_limit_cond_def cond = {&hello, 1, TEN2, 0};

	for (uint32_t own = 0; own < 2; own++) {
		struct mt_limit_def def = {"thrift:9090", own, MIN5, &cond, 1, NULL};
		struct mt_limit_rule rules[2];
		char err[128];
		void *l;

		setup();
		l = mt_limit_compile(reg, &kv_codec, &def, 0, err, sizeof(err));
		CU_ASSERT_PTR_NOT_NULL_FATAL(l);
		mt_limit_commit(reg, 0);
		CU_ASSERT_EQUAL(of_ten_streams(l), 0);
		report_only(rules, "*");
		CU_ASSERT_EQUAL(of_ten_streams(l), 0);
		if (own) {
			report_only(rules, "condition");
			CU_ASSERT_EQUAL(of_ten_streams(l), 0);
		}
		CU_ASSERT_EQUAL(fw.counters[MT_FILTER_would_be_limited], 0);
		report_only(rules, NULL);
		CU_ASSERT_EQUAL(of_ten_streams(l), 10);
		CU_ASSERT_EQUAL(fw.counters[MT_FILTER_would_be_limited], 10);
		CU_ASSERT_EQUAL(fw.counters[MT_FILTER_rate_limited], own ? 30 : 20);
		mt_limit_set_rules(reg, NULL, 0);
		mt_limit_commit(reg, 1);
		CU_ASSERT_EQUAL(of_ten(l, "method=sayHello\n", 1), 2);
		FREE(l);
		mt_limit_registry_free(reg);
	}
}

static void test_order_and_no_bucket(void)
{
	struct mt_matcher_def any = {.key = "method", .op = MT_MATCH_PRESENT};
	struct mt_limit_cond_def conds[] = {{&hello, 1, TEN2, 0}, {&any, 1, MIN5, 0}};
	struct mt_limit_def def = {"s:1", .conds = conds, .n_conds = 2};
	char err[128];
	void *l;

	setup();
	l = mt_limit_compile(reg, &kv_codec, &def, 0, err, sizeof(err));
	mt_limit_commit(reg, 0);
	CU_ASSERT_EQUAL(of_ten(l, "method=sayHello\n", 1), 2);
	CU_ASSERT_EQUAL(of_ten(l, "method=x\n", 1), 5);
	CU_ASSERT_EQUAL(of_ten(l, "user=x\n", 1), 10);
	FREE(l);
	mt_limit_registry_free(reg);
}

static void test_refusals(void)
{
	struct mt_matcher_def bad = {.key = "m", .op = MT_MATCH_REGEX, .value = "("};
	struct mt_limit_cond_def good_cond = {&hello, 1, TEN2, 0}, bad_match = {&bad, 1, TEN2, 0},
				 bad_cond = {&hello, 1, {2, 2, MT_MSEC}, 0};
	struct mt_limit_cond_def two[] = {good_cond, bad_match};
	const struct {
		struct mt_limit_def def;
		const char *says;
	} t[] = {
		{{"s", false, {0}, NULL, 0, NULL}, "needs a tokenBucket"},
		{{"s", true, {0, 1, MT_SEC}, NULL, 0, NULL}, "tokenBucket: maxTokens"},
		{{"s", true, {1, 0, MT_SEC}, NULL, 0, NULL}, "tokensPerFill"},
		{{"s", true, {1, 1, 49 * MT_MSEC}, NULL, 0, NULL}, "50ms"},
		{{"s", true, MIN5, &bad_cond, 1, NULL}, "conditions[0].tokenBucket: fillInterval"},
		{{"s", true, MIN5, two, 2, NULL}, "bad regex"},
	};
	char err[128];
	uint32_t idx = 0;
	struct mt_limit_info info;

	setup();
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		CU_ASSERT_PTR_NULL(
			mt_limit_compile(reg, &kv_codec, &t[i].def, 0, err, sizeof(err)));
		CU_ASSERT_PTR_NOT_NULL(strstr(err, t[i].says));
	}
	mt_limit_commit(reg, 0);
	CU_ASSERT_FALSE(mt_limit_next(reg, &idx, 0, &info));
	mt_limit_registry_free(reg);
}

/* The same numbers: the same bucket. Other numbers: min(tokens, new max), for old users too. */
static void test_reload(void)
{
	static const struct {
		struct mt_bucket_numbers to;
		uint32_t left; /* right after the move, with 3 of 5 left before */
		uint64_t next_fill;
		uint32_t after_fill;
	} t[] = {
		{{5, 5, 60 * MT_SEC}, 3, 60 * MT_SEC, 5}, {{2, 2, 60 * MT_SEC}, 2, 60 * MT_SEC, 2},
		{{9, 1, 60 * MT_SEC}, 3, 60 * MT_SEC, 4},
		{{9, 4, 10 * MT_SEC}, 3, 40 * MT_SEC, 7}, /* another pace: counted from the move */
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_limit_info info;
		void *a, *b;

		setup();
		a = one_bucket(reg, MIN5, 0);
		CU_ASSERT(passes(a, &fw, 1) && passes(a, &fw, 1));
		b = one_bucket(reg, t[i].to, 30 * MT_SEC);
		info = the_bucket(reg, 30 * MT_SEC);
		CU_ASSERT_EQUAL(info.tokens, t[i].left);
		CU_ASSERT_EQUAL(info.admitted, 2);
		/* A worker that still has the old snapshot takes from the same tokens. */
		CU_ASSERT_TRUE(passes(a, &fw, 30 * MT_SEC));
		info = the_bucket(reg, 30 * MT_SEC);
		CU_ASSERT(info.tokens == t[i].left - 1 && info.admitted == 3);
		CU_ASSERT_EQUAL(the_bucket(reg, t[i].next_fill - 1).tokens, t[i].left - 1);
		CU_ASSERT_EQUAL(the_bucket(reg, t[i].next_fill).tokens,
			MT_MIN(t[i].after_fill - 1 + (i < 2), t[i].to.max_tokens));
		FREE(a);
		CU_ASSERT_TRUE(passes(b, &fw, 30 * MT_SEC));
		FREE(b);
		mt_limit_registry_free(reg);
	}
}

/* A configuration that was compiled and refused has changed nothing. */
static void test_refused_reload(void)
{
	struct mt_limit_def def = {.service = "svc:1", .has_bucket = true, .numbers = TEN2, 0};
	char err[128];
	void *a, *b;

	setup();
	a = one_bucket(reg, MIN5, 0);
	CU_ASSERT_TRUE(passes(a, &fw, 1));
	b = mt_limit_compile(reg, &kv_codec, &def, 2, err, sizeof(err));
	FREE(b);
	mt_limit_commit(reg, 3);
	CU_ASSERT_EQUAL(the_bucket(reg, 3).numbers.max_tokens, 5);
	CU_ASSERT_EQUAL(the_bucket(reg, 3).tokens, 4);
	FREE(a);
	mt_limit_registry_free(reg);
}

/* Claims that are under way during a move are neither lost nor doubled. */
static void test_claims_survive_move(void)
{
	void *a, *b;
	uint32_t n = 0;

	setup();
	a = one_bucket(reg, (struct mt_bucket_numbers){80, 80, 60 * MT_SEC}, 0);
	CU_ASSERT_TRUE(passes(a, &fw, 1));
	CU_ASSERT_EQUAL(the_bucket(reg, 1).claimed, 9);
	b = one_bucket(reg, (struct mt_bucket_numbers){100, 50, 60 * MT_SEC}, 2);
	CU_ASSERT_EQUAL(the_bucket(reg, 2).tokens, 70);
	mt_filter_tick(&fw, 1 + MT_MSEC);
	CU_ASSERT_EQUAL(the_bucket(reg, 2).tokens, 79);
	while (passes(n % 2 ? a : b, &fw, 3))
		n++;
	CU_ASSERT_EQUAL(n, 79);
	FREE(a);
	FREE(b);
	mt_limit_registry_free(reg);
}

/* 9 tokens are claimed of 160; then the bucket gets other numbers, one token is spent, the claim comes back. */
static void test_claims_fit_after_move(void)
{
	static const struct {
		const char *what;
		uint64_t claimed_at, moved_at;
		struct mt_bucket_numbers to;
		uint32_t moved, left; /* tokens right after the move, and at the end */
	} t[] = {
		{"room for all", 1, 2, {200, 50, 60 * MT_SEC}, 150, 158},
		{"room for some", 1, 2, {155, 75, 60 * MT_SEC}, 150, 154},
		{"no room", 1, 2, {1, 1, 60 * MT_SEC}, 1, 0},
		{"no room at another pace", 1, 2, {1, 1, 10 * MT_SEC}, 1, 0},
		/* A fill came between: the claim is lost, though the new bucket has room. */
		{"of the epoch before", 60 * MT_SEC - 9, 60 * MT_SEC + 9, {200, 50, 60 * MT_SEC},
			160, 159},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_filter_worker other;
		uint64_t end = t[i].claimed_at + MT_MSEC;
		void *a, *b;

		reg = mt_limit_registry_new(2);
		mt_filter_worker_init(&fw, 0);
		mt_filter_worker_init(&other, 1);
		a = one_bucket(reg, (struct mt_bucket_numbers){160, 80, 60 * MT_SEC}, 0);
		CU_ASSERT_TRUE(passes(a, &fw, t[i].claimed_at));
		CU_ASSERT_EQUAL(the_bucket(reg, t[i].claimed_at).claimed, 9);
		b = one_bucket(reg, t[i].to, t[i].moved_at);
		CU_ASSERT_EQUAL(the_bucket(reg, t[i].moved_at).tokens, t[i].moved);
		CU_ASSERT_TRUE(passes(b, &other, t[i].moved_at));
		mt_filter_flush(&other);
		mt_filter_tick(&fw, end);
		CU_ASSERT_EQUAL(the_bucket(reg, end).tokens, t[i].left);
		FREE(a);
		FREE(b);
		mt_limit_registry_free(reg);
	}
}

/* Removed and back within minutes: not full again. Much later: a new bucket. */
static void test_comes_back(void)
{
	void *a;

	setup();
	a = one_bucket(reg, MIN5, 0);
	CU_ASSERT(passes(a, &fw, 1) && passes(a, &fw, 1));
	FREE(a);
	a = one_bucket(reg, MIN5, 20 * MT_SEC);
	CU_ASSERT_EQUAL(the_bucket(reg, 20 * MT_SEC).tokens, 3);
	FREE(a);
	mt_limit_commit(reg, 3600 * MT_SEC);
	a = one_bucket(reg, MIN5, 3601 * MT_SEC);
	CU_ASSERT_EQUAL(the_bucket(reg, 3601 * MT_SEC).admitted, 0);
	FREE(a);
	mt_limit_registry_free(reg);
}

/* The time it lingers begins when it is let go, however long ago the last change was. */
static void test_lingers_from_its_end(void)
{
	void *a;

	setup();
	a = one_bucket(reg, MIN5, 0);
	CU_ASSERT(passes(a, &fw, 1) && passes(a, &fw, 1));
	mt_limit_now(reg, 3600 * MT_SEC);
	FREE(a);
	mt_limit_commit(reg, 3601 * MT_SEC);
	a = one_bucket(reg, MIN5, 3602 * MT_SEC);
	CU_ASSERT_EQUAL(the_bucket(reg, 3602 * MT_SEC).admitted, 2);
	FREE(a);
	mt_limit_registry_free(reg);
}

static void test_counts_from_commit(void)
{
	struct mt_limit_def def = {"thrift:9090", true, MIN5, NULL, 0, NULL};
	char err[128];
	void *l;

	setup();
	l = mt_limit_compile(reg, &kv_codec, &def, 0, err, sizeof(err));
	mt_limit_commit(reg, 57 * MT_SEC);
	CU_ASSERT_EQUAL(of_ten(l, "method=other\n", 58 * MT_SEC), 5);
	CU_ASSERT_EQUAL(of_ten(l, "method=other\n", 61 * MT_SEC), 0);
	CU_ASSERT_EQUAL(of_ten(l, "method=other\n", 117 * MT_SEC - 1), 0);
	CU_ASSERT_EQUAL(of_ten(l, "method=other\n", 117 * MT_SEC), 5);
	FREE(l);
	mt_limit_registry_free(reg);
}

static void test_iteration(void)
{
	struct mt_limit_registry *r = mt_limit_registry_new(3);
	struct mt_limit_cond_def conds[] = {
		{&hello, 1, TEN2, 0}, {&hello, 1, TEN2, 0}, {NULL, 0, TEN2, 0}};
	struct mt_limit_info info;
	uint32_t idx = 0, n = 0, stars = 0;
	void *l[2000];
	char name[32], err[128];

	for (uint32_t i = 0; i < 2000; i++) {
		struct mt_limit_def def = {name, true, MIN5, conds, 3, NULL};

		snprintf(name, sizeof(name), "svc-%u:80", i);
		l[i] = mt_limit_compile(r, &kv_codec, &def, 0, err, sizeof(err));
	}
	mt_limit_commit(r, 0);
	while (mt_limit_next(r, &idx, 0, &info)) {
		n++;
		stars += strcmp(info.match, "*") == 0;
		CU_ASSERT_EQUAL(info.tokens, info.numbers.max_tokens);
	}
	CU_ASSERT(n == 8000 && stars == 4000);
	for (uint32_t i = 0; i < 2000; i++)
		FREE(l[i]);
	mt_limit_registry_free(r);
}

/* What mt_limit_watch() has reported since the last look. */
static struct mt_limit_edge edges[4];
static char edge_of[4][64];
static uint32_t n_edges;

static void note_edge(void *arg, const struct mt_limit_info *info, const struct mt_limit_edge *e)
{
	CU_ASSERT_FATAL(n_edges < MT_ARRAY_LEN(edges));
	snprintf(edge_of[n_edges], sizeof(edge_of[0]), "%s %s", info->service, info->match);
	edges[n_edges++] = *e;
}

/* Buckets that refuse at present; what has started or stopped is in `edges`. */
static uint32_t look_at(uint64_t s)
{
	n_edges = 0;
	return mt_limit_watch(reg, s * MT_SEC, note_edge, NULL);
}

/* A bucket starts to refuse once, goes on through a change of its numbers, and stops once. */
static void test_watch(void)
{
	struct mt_limit_cond_def cond = {&hello, 1, TEN2, 0};
	struct mt_limit_def def = {"thrift:9090", true, MIN5, &cond, 1, NULL};
	char err[128];
	void *l, *changed;

	setup();
	l = mt_limit_compile(reg, &kv_codec, &def, 0, err, sizeof(err));
	mt_limit_commit(reg, 0);
	CU_ASSERT(look_at(1) == 0 && n_edges == 0);
	CU_ASSERT_EQUAL(of_ten(l, "method=other\n", 2 * MT_SEC), 5);
	CU_ASSERT(look_at(2) == 1 && n_edges == 1 && edges[0].starts);
	CU_ASSERT_STRING_EQUAL(edge_of[0], "thrift:9090 *");
	CU_ASSERT_EQUAL(of_ten(l, "method=other\n", 30 * MT_SEC), 0);
	CU_ASSERT(look_at(30) == 1 && n_edges == 0);
	CU_ASSERT(look_at(89) == 1 && n_edges == 0);
	def.numbers.max_tokens = 6;
	changed = mt_limit_compile(reg, &kv_codec, &def, 89 * MT_SEC, err, sizeof(err));
	mt_limit_commit(reg, 89 * MT_SEC);
	CU_ASSERT(look_at(90) == 0 && n_edges == 1 && !edges[0].starts);
	CU_ASSERT(edges[0].refused == 15 && edges[0].lasted == 28 * MT_SEC);
	CU_ASSERT(look_at(1000) == 0 && n_edges == 0);
	/* The other bucket, and this one again: each is counted from its own start. */
	CU_ASSERT_EQUAL(of_ten(changed, "method=sayHello\n", 1001 * MT_SEC), 2);
	CU_ASSERT_EQUAL(of_ten(changed, "method=other\n", 1001 * MT_SEC), 6);
	CU_ASSERT(look_at(1001) == 2 && n_edges == 2 && edges[0].starts && edges[1].starts);
	CU_ASSERT(look_at(1060) == 2 && n_edges == 0);
	CU_ASSERT(look_at(1061) == 0 && n_edges == 2);
	CU_ASSERT_EQUAL(edges[0].refused + edges[1].refused, 8 + 4);
	FREE(l);
	FREE(changed);
	mt_limit_registry_free(reg);
}

#define MANY 20000u

/* Each of many conditions has a bucket, also the second one with the same words. */
static void test_many_conditions(void)
{
	static struct mt_matcher_def match[MANY];
	static struct mt_limit_cond_def conds[MANY];
	static char values[MANY][12];
	struct mt_limit_def def = {"thrift:9090", false, MIN5, conds, MANY, NULL};
	struct mt_limit_info info;
	uint32_t idx = 0, n = 0;
	char err[128];
	void *l;

	setup();
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(values[i], sizeof(values[i]), "v%u", i / 2);
		match[i] = (struct mt_matcher_def){.key = "method", EXACT, .value = values[i]};
		conds[i] = (struct mt_limit_cond_def){&match[i], 1, TEN2, i};
	}
	l = mt_limit_compile(reg, &kv_codec, &def, 0, err, sizeof(err));
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	mt_limit_commit(reg, 0);
	while (mt_limit_next(reg, &idx, 1, &info))
		n++;
	CU_ASSERT_EQUAL(n, MANY);
	CU_ASSERT_EQUAL(of_ten(l, "method=v7\n", 1), 2);
	FREE(l);
	mt_limit_registry_free(reg);
}

/* Whether a hash without a key, which an author can compute, puts the bucket into chain 1. */
static bool is_in_chain_1(const struct mt_matcher_def *match)
{
	char words[64];
	uint64_t h = mt_balance_hash("thrift:9090", 11, 0);

	mt_matcher_str(match, 1, words, sizeof(words));
	return mt_balance_hash(words, strlen(words), h) % 32768 == 1;
}

#define CHOSEN 64u

/* Conditions that an author chose for a hash without a key do not share a chain. */
static void test_chosen_conditions(void)
{
	static struct mt_matcher_def match[CHOSEN];
	static struct mt_limit_cond_def conds[CHOSEN];
	static char values[CHOSEN][16];
	struct mt_limit_def def = {"thrift:9090", false, MIN5, conds, CHOSEN, NULL};
	struct mt_limit_info info;
	uint32_t idx = 0, last = 0, n_chains = 0, tried = 0;
	char err[128];
	void *l;

	setup();
	for (uint32_t n = 0; n < CHOSEN; n++) {
		match[n] = (struct mt_matcher_def){.key = "method", EXACT, .value = values[n]};
		do
			snprintf(values[n], sizeof(values[n]), "v%u", tried++);
		while (!is_in_chain_1(&match[n]));
		conds[n] = (struct mt_limit_cond_def){&match[n], 1, TEN2, n};
	}
	l = mt_limit_compile(reg, &kv_codec, &def, 0, err, sizeof(err));
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	mt_limit_commit(reg, 0);
	/* The upper half of the index is the chain. */
	for (; mt_limit_next(reg, &idx, 1, &info); last = idx)
		n_chains += idx >> 16 != last >> 16;
	CU_ASSERT(n_chains > CHOSEN / 2);
	FREE(l);
	mt_limit_registry_free(reg);
}

const struct mt_test limit_tests[] = {
	{"start and stop of refusing", test_watch},
	{"a condition charges its own bucket only", test_condition_charges_its_own},
	{"byte streams", test_streams},
	{"byte streams and report-only", test_streams_report_only},
	{"first condition decides; none passes", test_order_and_no_bucket},
	{"what does not compile", test_refusals},
	{"reload keeps min(tokens, new max)", test_reload},
	{"a refused reload changes nothing", test_refused_reload},
	{"claims survive a move", test_claims_survive_move},
	{"claims fit into what a move keeps", test_claims_fit_after_move},
	{"a limit that goes and comes back", test_comes_back},
	{"a bucket lingers from its end", test_lingers_from_its_end},
	{"fills count from the commit, not from the compile", test_counts_from_commit},
	{"iteration", test_iteration},
	{"many conditions", test_many_conditions},
	{"conditions chosen for their hash", test_chosen_conditions},
	{0},
};
