/* SPDX-License-Identifier: Apache-2.0 */
/* When certificates are renewed: years pass in virtual time. */
#include "mt_cert.h"
#include "mt_renew.h"
#include "suites.h"

#include <string.h>

#define DAY 86400

static struct mt_rand rng;

static void is_due_at_80_percent_with_spread(void)
{
	int64_t sum = 0, least = INT64_MAX, most = 0;

	for (uint64_t seed = 0; seed < 2000; seed++) {
		struct mt_renew r = {0};

		mt_rand_seed(&rng, seed);
		mt_renew_have(&r, 1000, 1000 + DAY, &rng);
		sum += r.due - 1000;
		least = MT_MIN(least, r.due - 1000);
		most = MT_MAX(most, r.due - 1000);
		CU_ASSERT_FALSE(mt_renew_turn(&r, 0, r.due - 1, &rng));
		CU_ASSERT_TRUE(mt_renew_turn(&r, 0, r.due, &rng));
		/* Once. */
		CU_ASSERT_FALSE(mt_renew_turn(&r, 1, r.due + 1, &rng));
	}
	CU_ASSERT_TRUE(least >= DAY * 77 / 100 && least < DAY * 78 / 100);
	CU_ASSERT_TRUE(most <= DAY * 83 / 100 && most > DAY * 82 / 100);
	CU_ASSERT_TRUE(sum / 2000 > DAY * 795 / 1000 && sum / 2000 < DAY * 805 / 1000);
}

static void asks_at_once_without_a_certificate(void)
{
	struct mt_renew r = {0};
	char buf[300];

	mt_rand_seed(&rng, 1);
	CU_ASSERT_STRING_EQUAL(mt_renew_words(&r, 0, 5, buf, sizeof(buf)), "no certificate yet");
	CU_ASSERT_TRUE(mt_renew_turn(&r, 7, 5, &rng));
	CU_ASSERT_STRING_EQUAL(
		mt_renew_words(&r, 0, 5, buf, sizeof(buf)), "no certificate yet, being renewed");
	mt_renew_have(&r, 0, DAY, &rng);
	CU_ASSERT_EQUAL(r.renewals, 1);
	/* Found in a file, at three quarters of its life and after its end. */
	mt_renew_have(&r, 0, DAY, &rng);
	CU_ASSERT_EQUAL(r.renewals, 1);
	CU_ASSERT_FALSE(mt_renew_turn(&r, 7, DAY * 3 / 4, &rng));
	CU_ASSERT_TRUE(mt_renew_turn(&r, 7, DAY + 1, &rng));
}

static void short_lives_are_no_storm(void)
{
	struct mt_renew r = {0};
	uint32_t asked = 0;

	mt_rand_seed(&rng, 1);
	for (uint64_t ms = 0; ms < 60000; ms += 10) {
		int64_t wall = 1000 + (int64_t)(ms / 1000);

		if (!mt_renew_turn(&r, ms * MT_MSEC, wall, &rng))
			continue;
		asked++;
		mt_renew_have(&r, wall, wall + 1, &rng);
	}
	CU_ASSERT_EQUAL(asked, 30);
}

/* A control plane that is away for a week: how often it is asked, and that the attempts go on for good. */
static void a_failure_is_followed_by_others_ever_later(void)
{
	struct mt_renew r = {0};
	uint64_t now = 0, last = 0, gaps[8];
	uint32_t attempts = 0;
	int64_t start = 1000000;

	mt_rand_seed(&rng, 3);
	mt_renew_have(&r, start, start + DAY, &rng);
	for (; now < 7ull * DAY * MT_SEC; now += MT_SEC) {
		if (!mt_renew_turn(&r, now, start + (int64_t)(now / MT_SEC), &rng))
			continue;
		if (attempts && attempts <= 8)
			gaps[attempts - 1] = now - last;
		CU_ASSERT_TRUE(!attempts || now - last <= MT_RENEW_BACKOFF_MAX_NS + MT_SEC);
		attempts++;
		last = now;
		mt_renew_failed(&r, now, "nobody is there", &rng);
	}
	for (uint32_t i = 0; i < 8; i++) {
		uint64_t full = MT_MIN(MT_RENEW_BACKOFF_MIN_NS << i, MT_RENEW_BACKOFF_MAX_NS);

		CU_ASSERT_TRUE(gaps[i] >= full / 2 && gaps[i] <= full + MT_SEC);
	}
	/* From 80 % of the first day to the end of the seventh: one in 225 s on average. */
	CU_ASSERT_TRUE(attempts > 6 * DAY / 300 && attempts < 7 * DAY / 150);
	CU_ASSERT_TRUE(now - last <= MT_RENEW_BACKOFF_MAX_NS);
	CU_ASSERT_TRUE(mt_renew_expired(&r, start + 7 * DAY));
	CU_ASSERT_EQUAL(r.failures, attempts);
	/* The first success ends it. */
	now += MT_RENEW_BACKOFF_MAX_NS;
	CU_ASSERT_TRUE(mt_renew_turn(&r, now, start + 7 * DAY, &rng));
	mt_renew_have(&r, start + 7 * DAY, start + 8 * DAY, &rng);
	CU_ASSERT_EQUAL(r.failures, 0);
	CU_ASSERT_FALSE(mt_renew_expired(&r, start + 7 * DAY));
}

static void machines_do_not_ask_together(void)
{
	uint64_t least = UINT64_MAX, most = 0;

	for (uint64_t seed = 0; seed < 500; seed++) {
		struct mt_renew r = {0};

		mt_rand_seed(&rng, seed);
		CU_ASSERT_TRUE(mt_renew_turn(&r, 0, 0, &rng));
		for (int i = 0; i < 6; i++) {
			mt_renew_failed(&r, 0, "no", &rng);
			CU_ASSERT_TRUE(mt_renew_turn(&r, r.retry_at, 0, &rng));
		}
		mt_renew_failed(&r, 0, "no", &rng);
		least = MT_MIN(least, r.retry_at);
		most = MT_MAX(most, r.retry_at);
	}
	CU_ASSERT_TRUE(most - least > 50 * MT_SEC);
}

static void no_answer_is_a_failure(void)
{
	struct mt_renew r = {0};

	mt_rand_seed(&rng, 1);
	CU_ASSERT_TRUE(mt_renew_turn(&r, MT_SEC, 0, &rng));
	CU_ASSERT_FALSE(mt_renew_turn(&r, MT_SEC + MT_RENEW_ANSWER_NS - 1, 0, &rng));
	CU_ASSERT_EQUAL(r.state, MT_RENEW_ASKING);
	CU_ASSERT_FALSE(mt_renew_turn(&r, MT_SEC + MT_RENEW_ANSWER_NS, 0, &rng));
	CU_ASSERT_EQUAL(r.state, MT_RENEW_WAITING);
	CU_ASSERT_STRING_EQUAL(r.why.text, "no answer within 30 s");
	/* What comes too late changes nothing. */
	mt_renew_failed(&r, MT_SEC + MT_RENEW_ANSWER_NS, "late", &rng);
	CU_ASSERT_EQUAL(r.failures, 1);
}

/* The wall clock may be set while we run; the monotonic one paces the attempts. */
static void clocks_that_jump(void)
{
	struct mt_renew r = {0};
	char buf[300];

	mt_rand_seed(&rng, 1);
	mt_renew_have(&r, 10 * DAY, 11 * DAY, &rng);
	CU_ASSERT_FALSE(mt_renew_turn(&r, 0, 0, &rng));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(mt_renew_words(&r, 0, 0, buf, sizeof(buf)), "the clock is late"));
	CU_ASSERT_TRUE(mt_renew_turn(&r, 0, 4000ll * DAY, &rng));
	mt_renew_failed(&r, 0, "no", &rng);
	CU_ASSERT_FALSE(mt_renew_turn(&r, 1, 9000ll * DAY, &rng));
	/* Times from certificates are outside data. */
	mt_renew_have(&r, 0, INT64_MAX, &rng);
	CU_ASSERT_TRUE(r.due > INT64_MAX / 2);
	mt_renew_have(&r, 100, 50, &rng);
	CU_ASSERT_EQUAL(r.due, 100 + MT_RENEW_LEAST_S);
}

static void words_say_how_it_stands(void)
{
	struct mt_renew r = {0};
	char buf[300];

	mt_rand_seed(&rng, 1);
	mt_renew_have(&r, 0, DAY, &rng);
	r.due = 20 * 3600;
	CU_ASSERT_STRING_EQUAL(
		mt_renew_words(&r, 0, 3600, buf, sizeof(buf)), "valid for 23 h, renewed in 19 h");
	CU_ASSERT_TRUE(mt_renew_turn(&r, 0, 20 * 3600, &rng));
	mt_renew_failed(&r, 0, "connection refused", &rng);
	r.retry_at = 2 * MT_SEC;
	CU_ASSERT_STRING_EQUAL(mt_renew_words(&r, 0, 20 * 3600, buf, sizeof(buf)),
		"valid for 4 h, renewal failed 1 times, tried again in 2 s: connection refused");
	CU_ASSERT_STRING_EQUAL(mt_renew_words(&r, 3 * MT_SEC, DAY + 90, buf, sizeof(buf)),
		"expired 1 min 30 s ago, renewal failed 1 times, tried again in 0 s: connection "
		"refused");
	/* A buffer that is too short is no reason to write past it. */
	for (size_t size = 1; size < 80; size++) {
		memset(buf, 'x', sizeof(buf));
		mt_renew_words(&r, 0, DAY, buf, size);
		CU_ASSERT_TRUE(strlen(buf) < size && buf[size] == 'x');
	}
	CU_ASSERT_STRING_EQUAL(mt_span_words(-90061, buf, sizeof(buf)), "1 d 1 h");
	CU_ASSERT_STRING_EQUAL(mt_span_words(0, buf, sizeof(buf)), "0 s");
	CU_ASSERT_STRING_EQUAL(mt_time_words(0, buf, sizeof(buf)), "1970-01-01 00:00:00 UTC");
}

const struct mt_test renew_tests[] = {
	{"is_due_at_80_percent_with_spread", is_due_at_80_percent_with_spread},
	{"short_lives_are_no_storm", short_lives_are_no_storm},
	{"asks_at_once_without_a_certificate", asks_at_once_without_a_certificate},
	{"a_failure_is_followed_by_others_ever_later", a_failure_is_followed_by_others_ever_later},
	{"machines_do_not_ask_together", machines_do_not_ask_together},
	{"no_answer_is_a_failure", no_answer_is_a_failure}, {"clocks_that_jump", clocks_that_jump},
	{"words_say_how_it_stands", words_say_how_it_stands}, {0}};
