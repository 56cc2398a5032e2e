/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator turns at run time: numbers of limits, limits that only report, faults; and what filters explain. */
#include "suites.h"
#include "../../outcomes_seen.h"

#include "mt_filter_fault.h"
#include "mt_rand.h"

#include <stdio.h>

#define FIVE ((struct mt_bucket_numbers){5, 5, 60 * MT_SEC})

static struct mt_limit_registry *reg;
static struct mt_filter_worker fw;
static struct mt_view view;

static void setup(void)
{
	reg = mt_limit_registry_new(1);
	mt_filter_worker_init(&fw, 0);
}

static uint32_t of_twenty(void *limit, uint64_t now)
{
	uint32_t n = 0;

	for (int i = 0; i < 20; i++)
		n += passes(limit, &fw, now);
	return n;
}

/* Reports for a while, is enforced again, and never counts a request twice. */
static void test_report_only(void)
{
	const struct mt_limit_rule rule = {"svc:1", "*", {.report_only = true}};
	struct mt_limit_info info;
	void *l;

	setup();
	l = one_bucket(reg, FIVE, 0);
	mt_limit_set_rules(reg, &rule, 1);
	CU_ASSERT_EQUAL(of_twenty(l, 1), 5); /* not before the commit */
	mt_limit_commit(reg, 2);
	CU_ASSERT_EQUAL(of_twenty(l, 60 * MT_SEC), 20);
	info = the_bucket(reg, 60 * MT_SEC);
	CU_ASSERT(info.report_only && !info.turned);
	CU_ASSERT(info.admitted == 10 && info.refused == 15 && info.would_refuse == 15);
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_would_be_limited], 15);
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_rate_limited], 15);
	outcomes_seen(&mt_filter_outcomes, fw.counters);
	mt_limit_set_rules(reg, NULL, 0);
	mt_limit_commit(reg, 61 * MT_SEC);
	CU_ASSERT_EQUAL(of_twenty(l, 120 * MT_SEC), 5);
	info = the_bucket(reg, 120 * MT_SEC);
	CU_ASSERT(!info.report_only && info.refused == 30 && info.would_refuse == 15);
	mt_filter_find("local_ratelimit")->free_conf(l);
	mt_limit_registry_free(reg);
}

/* Other numbers at the next load, also for who still holds the old one; what was counted stays counted. */
static void test_numbers(void)
{
	const struct mt_limit_rule rule = {"svc:1", "*", {.max_tokens = 8, .report_only = true}};
	struct mt_limit_info info;
	void *old, *l, *back;

	setup();
	old = one_bucket(reg, FIVE, 0);
	CU_ASSERT_EQUAL(of_twenty(old, 1), 5);
	mt_limit_set_rules(reg, &rule, 1);
	l = one_bucket(reg, FIVE, 2);
	CU_ASSERT_EQUAL(of_twenty(l, 60 * MT_SEC), 20);
	CU_ASSERT_EQUAL(of_twenty(old, 61 * MT_SEC), 20);
	info = the_bucket(reg, 61 * MT_SEC);
	CU_ASSERT(info.turned && info.numbers.max_tokens == 8 && info.numbers.tokens_per_fill == 5);
	CU_ASSERT(info.admitted == 5 + 5 && info.would_refuse == 35 && info.refused == 15);
	mt_limit_set_rules(reg, NULL, 0);
	back = one_bucket(reg, FIVE, 62 * MT_SEC);
	CU_ASSERT_EQUAL(of_twenty(back, 120 * MT_SEC), 5);
	CU_ASSERT_EQUAL(of_twenty(l, 180 * MT_SEC), 5);
	CU_ASSERT_FALSE(the_bucket(reg, 180 * MT_SEC).turned);
	for (int i = 0; i < 3; i++)
		mt_filter_find("local_ratelimit")->free_conf(i == 0 ? old : i == 1 ? l : back);
	mt_limit_registry_free(reg);
}

/* One change of a limit: by a reload, or by the operator, who may make it report only. */
struct step {
	struct mt_bucket_numbers loaded;
	struct mt_limit_override set;
};

/* 20 requests, by two workers in turn; how many passed. */
static uint32_t of_both(void *limit, struct mt_filter_worker *second, uint64_t now)
{
	uint32_t n = 0;

	for (int i = 0; i < 20; i++)
		n += passes(limit, i % 2 ? second : &fw, now);
	return n;
}

static void check_counts(uint64_t now, uint64_t admitted, uint64_t refused, uint64_t reported)
{
	struct mt_limit_info info = the_bucket(reg, now);

	CU_ASSERT_EQUAL(info.admitted, admitted);
	CU_ASSERT_EQUAL(info.refused, refused);
	CU_ASSERT_EQUAL(info.would_refuse, reported);
}

/* Each of the three counters goes on over each change of numbers, however many there are. */
static void test_counters_go_on(void)
{
	static const struct step steps[] = {
		{{5, 5, 60 * MT_SEC}, {.report_only = false}},
		{{5, 5, 60 * MT_SEC}, {.max_tokens = 3, .report_only = true}},
		{{9, 2, 60 * MT_SEC}, {.report_only = true}},
		{{4, 4, 30 * MT_SEC}, {.report_only = false}},
		{{4, 4, 30 * MT_SEC}, {.tokens_per_fill = 2, .report_only = true}},
		{{4, 4, 30 * MT_SEC}, {.fill_ns = 10 * MT_SEC}},
	};
	struct mt_limit_rule rule = {.service = "svc:1", .match = "*"};
	uint64_t admitted = 0, refused = 0, reported = 0, now = 0;
	struct mt_filter_worker second;
	void *l[MT_ARRAY_LEN(steps)];

	reg = mt_limit_registry_new(2);
	mt_filter_worker_init(&fw, 0);
	mt_filter_worker_init(&second, 1);
	for (size_t i = 0; i < MT_ARRAY_LEN(steps); i++) {
		bool report = steps[i].set.report_only;
		uint32_t tokens, passed;

		rule.set = steps[i].set;
		mt_limit_set_rules(reg, &rule, 1);
		l[i] = one_bucket(reg, steps[i].loaded, now);
		check_counts(now, admitted, refused, reported);
		now += 60 * MT_SEC;
		tokens = the_bucket(reg, now).tokens;
		passed = of_both(l[i], &second, now);
		CU_ASSERT(tokens > 0 && tokens < 20);
		CU_ASSERT_EQUAL(passed, report ? 20 : tokens);
		admitted += tokens;
		*(report ? &reported : &refused) += 20 - tokens;
		check_counts(now, admitted, refused, reported);
	}
	CU_ASSERT(admitted && refused && reported);
	for (size_t i = 0; i < MT_ARRAY_LEN(steps); i++)
		mt_filter_find("local_ratelimit")->free_conf(l[i]);
	mt_limit_registry_free(reg);
}

/* What it says is what it then does, and saying it takes no token. */
static void test_explain_limit(void)
{
	struct mt_filter_inst f = {
		.type = mt_filter_find("local_ratelimit"), .file = "t", .line = 7};
	void *l;

	setup();
	f.conf = l = one_bucket(reg, FIVE, 0);
	kv_view(&view, "");
	for (int i = 0; i < 8; i++) {
		struct mt_filter_told told = {.verdict = MT_FILTER_NEXT};

		for (int again = 0; again < 3; again++)
			f.type->explain(&f, &view, 1, &told);
		CU_ASSERT_EQUAL(told.verdict == MT_FILTER_NEXT, i < 5);
		CU_ASSERT_PTR_NOT_NULL(strstr(told.words, "of 5 tokens"));
		CU_ASSERT_EQUAL(passes(l, &fw, 1), i < 5);
	}
	f.type->free_conf(l);
	mt_limit_registry_free(reg);
}

/* ---- faults ------------------------------------------------------------------------------------- */

static enum mt_filter_verdict hit(void *conf, uint64_t rnd, uint64_t now, uint64_t token)
{
	struct mt_filter_inst f = {.type = mt_filter_find("fault"), .conf = conf};
	struct mt_filter_ctx ctx = {.now = now, .fw = &fw, .exchange = (uint32_t)token};

	kv_view(&view, "");
	view.rnd = rnd;
	return f.type->on_request(&f, &view, &ctx);
}

static void test_fault_shares(void)
{
	const struct mt_fault_conf c = {.delay_ms = 1, .delay_ppm = 200000, .abort_ppm = 100000};
	uint32_t n[3] = {0};
	struct mt_rand rng;
	struct mt_filter_ticket ticket;
	void *conf = mt_fault_compile(&c);

	mt_rand_seed(&rng, 5);
	mt_filter_worker_init(&fw, 0);
	for (uint64_t i = 0; i < 10000; i++) {
		n[hit(conf, mt_rand_u64(&rng), i * MT_MSEC, i)]++;
		while (mt_filter_due(&fw, i * MT_MSEC, &ticket))
			;
	}
	CU_ASSERT(n[MT_FILTER_REPLY] > 900 && n[MT_FILTER_REPLY] < 1100);
	CU_ASSERT(n[MT_FILTER_SUSPEND] > 1650 && n[MT_FILTER_SUSPEND] < 1950);
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_fault_aborted], n[MT_FILTER_REPLY]);
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_fault_delayed], n[MT_FILTER_SUSPEND]);
	outcomes_seen(&mt_filter_outcomes, fw.counters);
	free(conf);
}

/* Delays of different lengths come due in the order of time; what does not fit goes on at once. */
static void test_fault_delays(void)
{
	struct mt_rand rng;
	struct mt_filter_ticket ticket;
	uint64_t last = 0;
	uint32_t n = 0;

	mt_rand_seed(&rng, 9);
	mt_filter_worker_init(&fw, 0);
	CU_ASSERT_EQUAL(mt_filter_next(&fw), MT_NEVER);
	for (uint32_t i = 0; i < MT_FILTER_WAITS; i++) {
		struct mt_fault_conf c = {
			.delay_ms = 1 + mt_rand_below(&rng, 500), .delay_ppm = MT_FAULT_ALL};

		CU_ASSERT_EQUAL(
			hit(&c, mt_rand_u64(&rng), 0, c.delay_ms * MT_MSEC), MT_FILTER_SUSPEND);
	}
	CU_ASSERT_EQUAL(hit(&(struct mt_fault_conf){1, MT_FAULT_ALL, 0}, 1, 0, 1), MT_FILTER_NEXT);
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_fault_full], 1);
	outcomes_seen(&mt_filter_outcomes, fw.counters);
	while (fw.n_waits) {
		uint64_t next = mt_filter_next(&fw);

		CU_ASSERT_FALSE(mt_filter_due(&fw, next - 1, &ticket));
		CU_ASSERT_TRUE(mt_filter_due(&fw, next, &ticket));
		/* The exchange's number is its own time here. */
		CU_ASSERT(ticket.exchange == next && next >= last);
		last = next;
		n++;
	}
	CU_ASSERT_EQUAL(n, MT_FILTER_WAITS);
}

const struct mt_test turned_tests[] = {
	{"a limit that only reports", test_report_only},
	{"numbers of a limit", test_numbers},
	{"counters go on when numbers change", test_counters_go_on},
	{"a limit explained", test_explain_limit},
	{"shares of faults", test_fault_shares},
	{"delays in order", test_fault_delays},
	{0},
};
