/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include <pthread.h>

/* Failures ('f') and successes ('s') at these seconds; which one puts the endpoint aside. */
static void test_window(void)
{
	static const struct {
		const char *what;
		uint32_t at[6];
		int ejects; /* index of the event that ejects, -1: none */
	} t[] = {
		{"fff", {1, 1, 1}, 2},
		{"fff", {1, 6, 11}, 2},
		{"fff", {1, 6, 12}, -1},
		{"ffff", {0, 9, 11, 12}, 3}, /* the window slides */
		{"ffsff", {1, 2, 3, 4, 5}, -1},
		{"ffsfff", {1, 2, 3, 4, 5, 6}, 5},
		{"ff", {1, 1}, -1},
	};

	for (size_t k = 0; k < MT_ARRAY_LEN(t); k++) {
		struct mt_ep_state e = {0};
		int ejected = -1;

		for (int i = 0; t[k].what[i]; i++) {
			if (t[k].what[i] == 's')
				mt_ep_succeeded(&e);
			else if (mt_ep_failed(&e, t[k].at[i] * MT_SEC))
				ejected = i;
		}
		CU_ASSERT_EQUAL(ejected, t[k].ejects);
	}
}

/* What says that it leaves is out for 5 s or until it says that it stays; that is no failure. */
static void test_leaving(void)
{
	struct mt_ep_state e = {0};

	CU_ASSERT_FALSE(mt_ep_is_leaving(&e, 1));
	mt_ep_leaving(&e, 7 * MT_SEC);
	CU_ASSERT_TRUE(mt_ep_is_leaving(&e, 12 * MT_SEC - 1));
	CU_ASSERT_FALSE(mt_ep_is_leaving(&e, 12 * MT_SEC));
	mt_ep_leaving(&e, 20 * MT_SEC);
	mt_ep_stays(&e, 21 * MT_SEC);
	CU_ASSERT_FALSE(mt_ep_is_leaving(&e, 21 * MT_SEC));
	CU_ASSERT_FALSE(mt_ep_ejected(&e, 21 * MT_SEC));
	CU_ASSERT_EQUAL(e.ejections, 0);
}

static bool fail_thrice(struct mt_ep_state *e, uint64_t now)
{
	bool a = mt_ep_failed(e, now), b = mt_ep_failed(e, now), c = mt_ep_failed(e, now);

	CU_ASSERT(!a && !b);
	return c;
}

/*
 * Failures belong to the way in which connections are made: in another way the endpoint is as good
 * as new.
 */
static void test_another_way(void)
{
	struct mt_ep_state e = {0};
	uint64_t now = 100 * MT_SEC;

	mt_ep_failed(&e, now);
	mt_ep_failed(&e, now);
	mt_ep_talk(&e, 7);
	CU_ASSERT_TRUE(mt_ep_talks(&e, 7));
	CU_ASSERT_FALSE(mt_ep_talks(&e, 0));
	CU_ASSERT_TRUE(fail_thrice(&e, now));
	/* Passing the same way again changes nothing. */
	mt_ep_talk(&e, 7);
	CU_ASSERT_TRUE(mt_ep_ejected(&e, now + 1));
	mt_ep_ask(&e);
	mt_ep_drain(&e, true);
	mt_ep_talk(&e, 0);
	CU_ASSERT_FALSE(mt_ep_ejected(&e, now + 1));
	CU_ASSERT_TRUE(e.draining);
	CU_ASSERT_EQUAL(e.ejected_total, 1);
	/* A worker that has asked it in the old way gives up: no call is on trial. */
	mt_ep_ask_no_more(&e);
	CU_ASSERT_FALSE(mt_ep_try(&e, NULL, now + 1));
	/* It is ejected for the shortest time again. */
	CU_ASSERT_TRUE(fail_thrice(&e, now + 2));
	CU_ASSERT_FALSE(mt_ep_ejected(&e, now + 2 + 5 * MT_SEC));
}

static void test_doubling(void)
{
	static const uint32_t aside_s[] = {5, 10, 20, 40, 60, 60};
	struct mt_ep_state e = {0};
	uint64_t now = 100 * MT_SEC;

	for (size_t i = 0; i < MT_ARRAY_LEN(aside_s); i++) {
		CU_ASSERT_TRUE(fail_thrice(&e, now));
		CU_ASSERT_TRUE(mt_ep_ejected(&e, now + aside_s[i] * MT_SEC - 1));
		CU_ASSERT_FALSE(mt_ep_ejected(&e, now + aside_s[i] * MT_SEC));
		/* Failures of requests that were under way do not count while it is aside. */
		CU_ASSERT_FALSE(fail_thrice(&e, now + 1));
		now += aside_s[i] * MT_SEC;
	}
	/* A minute in rotation and the score is forgotten. */
	now += 61 * MT_SEC;
	CU_ASSERT_TRUE(fail_thrice(&e, now));
	CU_ASSERT_FALSE(mt_ep_ejected(&e, now + 5 * MT_SEC));
	CU_ASSERT_EQUAL(e.ejected_total, 7);
}

static uint32_t total_ejections;

static void *hammer(void *arg)
{
	struct mt_ep_state *e = arg;
	uint32_t mine = 0;

	/* 3,000 failures at one moment: aside once, whoever brings the third. */
	for (int i = 0; i < 3000; i++)
		mine += mt_ep_failed(e, 5 * MT_SEC);
	__atomic_fetch_add(&total_ejections, mine, __ATOMIC_RELAXED);
	return NULL;
}

static void test_threads(void)
{
	struct mt_ep_state e = {0};
	pthread_t t[4];

	total_ejections = 0;
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, hammer, &e), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CU_ASSERT_EQUAL(total_ejections, 1);
	CU_ASSERT_EQUAL(e.ejected_total, 1);
	CU_ASSERT_TRUE(mt_ep_ejected(&e, 5 * MT_SEC));
}

/* Failures in a row, however far apart; each time aside is longer by the first, up to the longest. */
static void test_counted(void)
{
	static const struct mt_outlier_rule rule = {.failures = 5, .base_ms = 1000, .max_ms = 2500};
	static const uint32_t aside_ms[] = {1000, 2000, 2500, 2500};
	struct mt_ep_state e = {0};
	uint64_t now = 7 * MT_SEC;

	for (size_t k = 0; k < MT_ARRAY_LEN(aside_ms); k++) {
		for (int i = 0; i < 4; i++, now += 30 * MT_SEC)
			CU_ASSERT_FALSE(mt_ep_failed_by(&e, &rule, now));
		mt_ep_succeeded(&e);
		for (int i = 0; i < 4; i++)
			CU_ASSERT_FALSE(mt_ep_failed_by(&e, &rule, now));
		/* A long time passes between them; but not since it was aside last. */
		e.ejected_until = e.ejected_until ? now - MT_SEC : 0;
		CU_ASSERT_TRUE(mt_ep_failed_by(&e, &rule, now));
		CU_ASSERT_TRUE(mt_ep_ejected(&e, now + aside_ms[k] * MT_MSEC - 1));
		now += aside_ms[k] * MT_MSEC;
		CU_ASSERT_FALSE(mt_ep_ejected(&e, now));
	}
}

/* A rule that changes does not take times for numbers, or the other way. */
static void test_other_rule(void)
{
	static const struct mt_outlier_rule rule = {.failures = 3, .base_ms = 1000, .max_ms = 2000};
	struct mt_ep_state e = {0};

	CU_ASSERT_FALSE(mt_ep_failed(&e, MT_SEC));
	CU_ASSERT_FALSE(mt_ep_failed_by(&e, &rule, 2 * MT_SEC));
	CU_ASSERT_FALSE(mt_ep_failed_by(&e, &rule, 2 * MT_SEC));
	CU_ASSERT_FALSE(mt_ep_failed(&e, 3 * MT_SEC));
	CU_ASSERT_FALSE(mt_ep_failed(&e, 3 * MT_SEC));
	CU_ASSERT_TRUE(mt_ep_failed(&e, 3 * MT_SEC));
}

/* Time-outs ('t'), replies ('s') and failures ('f') at these tenths of a second; which one puts the endpoint aside. */
static void test_timeouts(void)
{
	static const struct {
		const char *what;
		uint32_t at[12];
		int ejects;
	} t[] = {
		{"ttttt", {1, 4, 7, 10, 13}, 4},
		{"tttt", {1, 10, 20, 30}, -1},
		{"ttttsttttt", {1, 4, 7, 10, 11, 13, 20, 25, 30, 35}, 9},
		/* Many at once are one moment; what comes after it is another. */
		{"tttttttt", {1, 1, 1, 1, 1, 1, 2, 12}, 7},
		{"tttttstttts", {1, 1, 1, 1, 1, 2, 11, 11, 11, 11, 12}, -1},
		{"ttttt", {1, 3000, 6000, 9000, 12000}, 4},
		{"ffttttt", {1, 2, 3, 4, 5, 6, 20}, 6},
	};

	for (size_t k = 0; k < MT_ARRAY_LEN(t); k++) {
		struct mt_ep_state e = {0};
		int ejected = -1;

		for (int i = 0; t[k].what[i]; i++) {
			uint64_t now = 7 * MT_SEC + t[k].at[i] * 100 * MT_MSEC;

			if (t[k].what[i] == 's')
				mt_ep_succeeded(&e);
			else if (t[k].what[i] == 'f' ? mt_ep_failed(&e, now)
						     : mt_ep_timed_out(&e, NULL, now))
				ejected = i;
		}
		CU_ASSERT_EQUAL(ejected, t[k].ejects);
	}
}

/*
 * Calls that clients give up ('a' to 'd': the client), replies ('s'), late replies ('l') and
 * time-outs ('t') at these tenths of a second; which one ejects by the zero-filled rule, and by three
 * or seven failures in a row.
 */
static void test_given_up(void)
{
	static const struct mt_outlier_rule rules[] = {
		{0},
		{.failures = 3, .base_ms = 1000, .max_ms = 2000},
		{.failures = 7, .base_ms = 1000, .max_ms = 2000},
	};
	static const struct {
		const char *what;
		uint32_t at[12];
		int ejects[MT_ARRAY_LEN(rules)];
	} t[] = {
		{"ababa", {1, 4, 7, 10, 13}, {4, -1, -1}},
		{"aaaab", {1, 4, 7, 10, 13}, {4, -1, -1}},
		{"abcd", {1, 10, 20, 30}, {-1, -1, -1}},
		/* One client alone. */
		{"aaaaaaaaaaaa", {1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 34}, {-1, -1, -1}},
		{"aaaaaaaab", {1, 4, 7, 10, 13, 16, 19, 22, 25}, {8, -1, -1}},
		{"aabbccdabcd", {1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31}, {4, 6, 10}},
		/* A reply of any kind starts over. */
		{"abablabab", {1, 4, 7, 10, 11, 13, 16, 19, 22}, {-1, -1, -1}},
		{"ababslababa", {1, 4, 7, 10, 11, 12, 13, 16, 19, 22, 25}, {10, -1, -1}},
		/* Many at once are one moment. */
		{"aaaabbbbabc", {1, 1, 1, 1, 1, 1, 1, 1, 20, 21, 22}, {8, 10, -1}},
		/* Time-outs have a count of their own by the zero-filled rule. */
		{"ababttttt", {1, 4, 7, 10, 13, 16, 19, 22, 25}, {8, 6, -1}},
	};

	for (size_t k = 0; k < MT_ARRAY_LEN(t); k++)
		for (size_t r = 0; r < MT_ARRAY_LEN(rules); r++) {
			struct mt_ep_state e = {0};
			int ejected = -1;

			for (int i = 0; t[k].what[i]; i++) {
				uint64_t now = 7 * MT_SEC + t[k].at[i] * 100 * MT_MSEC;
				char c = t[k].what[i];
				bool put = false;

				if (c == 's')
					mt_ep_succeeded(&e);
				else if (c == 'l')
					mt_ep_replied(&e);
				else if (c == 't')
					put = mt_ep_timed_out(&e, &rules[r], now);
				else
					put = mt_ep_given_up(&e, &rules[r], (uint32_t)c, now);
				ejected = put && ejected < 0 ? i : ejected;
			}
			CU_ASSERT_EQUAL(ejected, t[k].ejects[r]);
		}
}

/* Where a rule counts, time-outs and failures count alike, and errors where it says so. */
static void test_errors(void)
{
	static const struct mt_outlier_rule rules[] = {
		{0},
		{.failures = 2, .base_ms = 1000, .max_ms = 2000},
		{.failures = 3, .base_ms = 1000, .max_ms = 2000, .errors = 3},
		{.failures = 2, .base_ms = 1000, .max_ms = 2000, .errors = 4},
	};
	static const struct {
		const char *what;
		int ejects[MT_ARRAY_LEN(rules)];
	} t[] = {
		{"eeeee", {-1, -1, 2, 3}},
		{"eesee", {-1, -1, -1, -1}},
		{"tet", {-1, -1, 2, -1}},
		{"tf", {-1, 1, -1, 1}},
		{"ete", {-1, -1, 2, -1}},
		{"etet", {-1, -1, 2, 3}},
		{"fefeff", {-1, 5, 2, 3}},
	};

	for (size_t k = 0; k < MT_ARRAY_LEN(t); k++)
		for (size_t r = 0; r < MT_ARRAY_LEN(rules); r++) {
			struct mt_ep_state e = {0};
			int ejected = -1;

			for (int i = 0; t[k].what[i]; i++) {
				uint64_t now = MT_SEC * (1 + i);
				bool put = false;

				switch (t[k].what[i]) {
				case 's':
					mt_ep_succeeded(&e);
					break;
				case 'e':
					put = mt_ep_erred_by(&e, &rules[r], now);
					break;
				case 't':
					put = mt_ep_timed_out(&e, &rules[r], now);
					break;
				default:
					put = mt_ep_failed_by(&e, &rules[r], now);
				}
				ejected = put && ejected < 0 ? i : ejected;
			}
			CU_ASSERT_EQUAL(ejected, t[k].ejects[r]);
		}
}

/* Its time over, one call goes there, and while nobody knows what becomes of it others go elsewhere, for longer each time. */
static void test_trial(void)
{
	static const uint32_t aside_s[] = {5, 10, 20};
	struct mt_ep_state e = {0};
	uint64_t now = 100 * MT_SEC;

	CU_ASSERT_FALSE(mt_ep_try(&e, NULL, now));
	CU_ASSERT_TRUE(mt_ep_silent(&e, NULL, now));
	CU_ASSERT_FALSE(mt_ep_silent(&e, NULL, now));
	/* A reply to a call that was sent before the trial does not return it. */
	CU_ASSERT_FALSE(mt_ep_trial_over(&e, now));
	for (size_t i = 0; i < MT_ARRAY_LEN(aside_s); i++) {
		CU_ASSERT_FALSE(mt_ep_try(&e, NULL, now));
		now += aside_s[i] * MT_SEC;
		CU_ASSERT_TRUE(mt_ep_ejected(&e, now - 1));
		CU_ASSERT_FALSE(mt_ep_ejected(&e, now));
		CU_ASSERT_TRUE(mt_ep_try(&e, NULL, now));
		CU_ASSERT_FALSE(mt_ep_try(&e, NULL, now));
		CU_ASSERT_TRUE(mt_ep_ejected(&e, now));
		CU_ASSERT_TRUE(mt_ep_on_trial(&e));
	}
	CU_ASSERT_TRUE(mt_ep_trial_over(&e, now));
	CU_ASSERT_FALSE(mt_ep_trial_over(&e, now));
	CU_ASSERT_FALSE(mt_ep_is_out(&e));
	CU_ASSERT_FALSE(mt_ep_ejected(&e, now));
	CU_ASSERT_FALSE(mt_ep_try(&e, NULL, now));
	/* Away again soon: for longer than the last time. */
	CU_ASSERT_TRUE(mt_ep_silent(&e, NULL, now + MT_SEC));
	CU_ASSERT_TRUE(mt_ep_ejected(&e, now + 41 * MT_SEC - 1));
	CU_ASSERT_EQUAL(e.ejected_total, 2);
}

/* Who is asked stays aside, however long it takes, until it has answered or nobody asks any more. */
static void test_asked(void)
{
	struct mt_ep_state e = {0};
	uint64_t now = 100 * MT_SEC;

	CU_ASSERT_TRUE(mt_ep_silent(&e, NULL, now));
	mt_ep_ask(&e);
	now += 1000 * MT_SEC;
	CU_ASSERT_TRUE(mt_ep_ejected(&e, now));
	CU_ASSERT_FALSE(mt_ep_try(&e, NULL, now));
	CU_ASSERT_FALSE(fail_thrice(&e, now));
	mt_ep_ask_no_more(&e);
	CU_ASSERT_FALSE(mt_ep_ejected(&e, now));
	CU_ASSERT_TRUE(mt_ep_try(&e, NULL, now));
	mt_ep_ask(&e);
	mt_ep_returned(&e, now);
	CU_ASSERT_FALSE(mt_ep_ejected(&e, now));
}

static void *claim_all(void *arg)
{
	struct mt_ep_state *e = arg;
	uint32_t mine = 0;

	for (int i = 0; i < 3000; i++)
		mine += mt_ep_try(e, NULL, 10 * MT_SEC);
	__atomic_fetch_add(&total_ejections, mine, __ATOMIC_RELAXED);
	return NULL;
}

/* One call on trial, whoever's it is. */
static void test_trial_threads(void)
{
	struct mt_ep_state e = {0};
	pthread_t t[4];

	total_ejections = 0;
	CU_ASSERT_TRUE(mt_ep_silent(&e, NULL, 5 * MT_SEC));
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, claim_all, &e), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CU_ASSERT_EQUAL(total_ejections, 1);
}

/* Health checks eject at once and end the ejection, whatever time has passed. */
static void test_unhealthy(void)
{
	struct mt_ep_state e = {0};
	uint64_t now = 100 * MT_SEC;

	for (uint32_t i = 1; i <= 3; i++) {
		mt_ep_unhealthy(&e, now);
		CU_ASSERT_EQUAL(e.ejected_total, i);
		CU_ASSERT_EQUAL(e.ejections, i);
		CU_ASSERT_TRUE(mt_ep_ejected(&e, now));
		CU_ASSERT_TRUE(mt_ep_ejected(&e, now + 3600 * MT_SEC));
		CU_ASSERT_FALSE(mt_ep_try(&e, NULL, now + 3600 * MT_SEC));
		mt_ep_returned(&e, now + 1);
		CU_ASSERT_FALSE(mt_ep_ejected(&e, now + 1));
		CU_ASSERT_EQUAL(e.back, MT_EP_BACK_NOW);
	}
}

const struct mt_test outlier_tests[] = {
	{"unhealthy by checks", test_unhealthy},
	{"three failures within 10 s", test_window},
	{"five time-outs in a row, not all at once", test_timeouts},
	{"calls given up", test_given_up},
	{"errors and time-outs by a rule", test_errors},
	{"one call on trial", test_trial},
	{"who is asked stays aside", test_asked},
	{"one call on trial, of four threads", test_trial_threads},
	{"another way of talking", test_another_way},
	{"time aside doubles and is forgotten", test_doubling},
	{"leaving is no failure", test_leaving},
	{"threads put it aside once", test_threads},
	{"failures in a row", test_counted},
	{"a rule that changes", test_other_rule},
	{0},
};
