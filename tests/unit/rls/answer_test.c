/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of bytes. The vectors are what Envoy's own messages (Python package xds-protos 1.85.0) serialise to. */
#include "rls_test.h"

#include "ratelimit.pb-c.h"

static struct mt_rls_answer answer;

static bool reads(uint32_t n_descriptors, const char *hex)
{
	uint8_t bytes[1024];

	/* What an earlier answer has left must not count. */
	memset(&answer, 0xee, sizeof(answer));
	return mt_rls_read(&answer, n_descriptors, bytes, unhex(hex, bytes));
}

static bool is_text(struct mt_rls_text t, const char *want)
{
	return t.len == strlen(want) && strcmp(mt_rls_text(&answer, t), want) == 0;
}

static void test_bare(void)
{
	CU_ASSERT(reads(1, "080112020801"));
	CU_ASSERT_EQUAL(answer.code, MT_RLS_OK);
	CU_ASSERT_EQUAL_FATAL(answer.n_statuses, 1);
	CU_ASSERT_EQUAL(answer.status[0].code, MT_RLS_OK);
	CU_ASSERT(!answer.status[0].has_limit && !answer.status[0].has_reset);
	CU_ASSERT(!answer.status[0].quota.there && !answer.quota.there && !answer.cut);
	CU_ASSERT(is_text(answer.status[0].name, ""));
	CU_ASSERT_EQUAL(answer.n_reply_headers + answer.n_request_headers, 0);
}

static void check_statuses(void)
{
	const struct mt_rls_status *s = answer.status;

	CU_ASSERT_EQUAL_FATAL(answer.n_statuses, 2);
	CU_ASSERT_EQUAL(s[0].code, MT_RLS_OK);
	CU_ASSERT(s[0].has_limit && is_text(s[0].name, "per_minute"));
	CU_ASSERT_EQUAL(s[0].limit.requests_per_unit, 10);
	CU_ASSERT_EQUAL(s[0].limit.unit, MT_RLS_MINUTE);
	CU_ASSERT_EQUAL(s[0].remaining, 9);
	CU_ASSERT_EQUAL(s[0].reset, 59500 * MT_MSEC);
	CU_ASSERT(s[0].has_reset && !s[0].quota.there);
	CU_ASSERT_EQUAL(s[1].code, MT_RLS_OVER_LIMIT);
	CU_ASSERT_EQUAL(s[1].limit.unit, MT_RLS_WEEK);
	CU_ASSERT_EQUAL(s[1].reset, 3 * MT_SEC);
	CU_ASSERT(s[1].quota.there && s[1].quota.ends && is_text(s[1].quota.id, "q1"));
	CU_ASSERT_EQUAL(s[1].quota.requests, 5);
	CU_ASSERT_EQUAL(s[1].quota.valid_until, 1700000000 * MT_SEC + 7);
}

#define OVER                                                                                       \
	"0802122008011210080a10021a0a7065725f6d696e75746518092208083b1080cab5ee01121e080212040801" \
	"1007220208032a10080512080880e2cf"                                                         \
	"aa0610071a0271311a150a0f526174654c696d69742d4c696d6974120231301a150a0f526174654c696d6974" \
	"2d52657365741a0235391a0e0a073a73"                                                         \
	"74617475731203343239220b0a09782d6c696d697465642a04626f647932100a0e0a01611209110000000000" \
	"00f83f3a020802"

static void test_over(void)
{
	CU_ASSERT(reads(2, OVER));
	CU_ASSERT_EQUAL(answer.code, MT_RLS_OVER_LIMIT);
	check_statuses();
	CU_ASSERT_EQUAL_FATAL(answer.n_reply_headers, 2);
	CU_ASSERT_EQUAL_FATAL(answer.n_request_headers, 1);
	CU_ASSERT(is_text(answer.header[0].key, "RateLimit-Limit") &&
		  is_text(answer.header[0].value, "10"));
	CU_ASSERT(is_text(answer.header[1].key, "RateLimit-Reset") &&
		  is_text(answer.header[1].value, "59"));
	CU_ASSERT(
		is_text(answer.header[2].key, "x-limited") && is_text(answer.header[2].value, ""));
	CU_ASSERT(answer.quota.there && !answer.quota.ends && !answer.cut);
	CU_ASSERT_EQUAL(answer.quota.requests, 2);
}

/* Statuses that are not one for each descriptor say nothing about any; the decision stays. */
static void test_other_statuses(void)
{
	for (uint32_t n = 0; n <= MT_RLS_DESCRIPTORS + 1; n++) {
		CU_ASSERT(reads(n, OVER));
		CU_ASSERT_EQUAL(answer.code, MT_RLS_OVER_LIMIT);
		CU_ASSERT_EQUAL(answer.n_statuses, n == 2 ? 2 : 0);
	}
}

static void test_undecided(void)
{
	CU_ASSERT(!reads(1, ""));
	CU_ASSERT(!reads(1, "12020801"));		/* no overall code */
	CU_ASSERT(!reads(1, "0803"));			/* one of later */
	CU_ASSERT(!reads(1, "08ffffffffffffffffff01")); /* -1 */
	CU_ASSERT(!reads(1, "0801120208"));		/* cut off */
	CU_ASSERT(!reads(1, "0a03616263"));		/* another message */
	CU_ASSERT_EQUAL(answer.n_statuses, 0);
}

/* A time that is none is not there. */
static void test_times(void)
{
	static const struct {
		const char *hex;
		bool there;
		uint64_t reset;
	} t[] = {
		{"0802120408022200", true, 0},
		{"0802120f0802220b08ffffffffffffffffff01", false, 0},	  /* -1 s */
		{"080212110802220d080110ffffffffffffffffff01", false, 0}, /* -1 ns */
		{"0802120c080222080801108094ebdc03", false, 0},		  /* a second of ns */
		{"0802120c080222080801"
		 "10ff93ebdc03",
			true, 2 * MT_SEC - 1},			    /* one less */
		{"0802120f0802220b08ffffffffffffffff7f", false, 0}, /* cut off */
		{"0802120e0802220a08ffffffffffffffff7f", false, 0}, /* too late */
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		bool read = reads(1, t[i].hex);

		CU_ASSERT(!read || answer.status[0].has_reset == t[i].there);
		CU_ASSERT(!read || answer.status[0].reset == t[i].reset);
		CU_ASSERT_EQUAL(read, i != 5);
	}
}

/* ---- what does not fit ----------------------------------------------------------------------------- */

#define MANY (MT_RLS_HEADERS + 4)

static bool reads_headers(uint32_t n, uint32_t value_len)
{
	static uint8_t bytes[MANY * MT_RLS_BYTES];
	static char key[] = "k", value[MT_RLS_BYTES];
	Xds__RateLimitResponse r = XDS__RATE_LIMIT_RESPONSE__INIT;
	Xds__HeaderValue h = XDS__HEADER_VALUE__INIT, *list[MANY];

	memset(value, 'v', value_len);
	value[value_len] = '\0';
	h.key = key;
	h.value = value;
	for (uint32_t i = 0; i < MANY; i++)
		list[i] = &h;
	r.overall_code = MT_RLS_OVER_LIMIT;
	r.response_headers_to_add = r.request_headers_to_add = list;
	r.n_response_headers_to_add = n;
	r.n_request_headers_to_add = 1;
	memset(&answer, 0xee, sizeof(answer));
	return mt_rls_read(&answer, 1, bytes, xds__rate_limit_response__pack(&r, bytes));
}

/* The service refuses the call, however much it sends with it. */
static void test_headers_that_do_not_fit(void)
{
	CU_ASSERT(reads_headers(MT_RLS_HEADERS - 1, 1));
	CU_ASSERT_EQUAL(answer.n_reply_headers, MT_RLS_HEADERS - 1);
	CU_ASSERT_EQUAL(answer.n_request_headers, 1);
	CU_ASSERT(!answer.cut);
	for (uint32_t n = MT_RLS_HEADERS; n <= MANY; n++) {
		CU_ASSERT(reads_headers(n, 1));
		CU_ASSERT_EQUAL(answer.n_reply_headers, MT_RLS_HEADERS);
		CU_ASSERT_EQUAL(answer.n_request_headers, 0);
		CU_ASSERT(answer.cut);
	}
	/* A NUL at the start, the key and the NULs of both. */
	CU_ASSERT(reads_headers(0, MT_RLS_BYTES - 4));
	CU_ASSERT(answer.n_request_headers == 1 && !answer.cut);
	CU_ASSERT_EQUAL(answer.used, MT_RLS_BYTES);
	CU_ASSERT(reads_headers(0, MT_RLS_BYTES - 3));
	CU_ASSERT(answer.n_request_headers == 0 && answer.cut);
	CU_ASSERT_EQUAL(answer.code, MT_RLS_OVER_LIMIT);
	CU_ASSERT_EQUAL(answer.used, 1);
}

/* So many statuses that they need more memory than an answer may take: it is no answer. */
static void test_too_much_memory(void)
{
	static uint8_t bytes[64 * 1024] = {0x08, 0x01};

	for (size_t i = 2; i < sizeof(bytes); i += 2)
		bytes[i] = 0x12;
	CU_ASSERT(!mt_rls_read(&answer, 1, bytes, sizeof(bytes)));
	CU_ASSERT(mt_rls_read(&answer, 1, bytes, 200));
}

const struct mt_test answer_tests[] = {{"bare", test_bare}, {"over", test_over},
	{"other_statuses", test_other_statuses}, {"undecided", test_undecided},
	{"times", test_times}, {"headers_that_do_not_fit", test_headers_that_do_not_fit},
	{"too_much_memory", test_too_much_memory}, {0}};
