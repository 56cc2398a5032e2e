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
	CU_ASSERT(!answer.status[0].has_reset);
	CU_ASSERT_EQUAL(answer.n_headers, 0);
}

/* With limits, quotas and headers for replies, which are skipped. */
#define OVER                                                                                       \
	"0802122008011210080a10021a0a7065725f6d696e75746518092208083b1080cab5ee01121e080212040801" \
	"1007220208032a10080512080880e2cf"                                                         \
	"aa0610071a0271311a150a0f526174654c696d69742d4c696d6974120231301a150a0f526174654c696d6974" \
	"2d52657365741a0235391a0e0a073a73"                                                         \
	"74617475731203343239220b0a09782d6c696d697465642a04626f647932100a0e0a01611209110000000000" \
	"00f83f3a020802"

static void test_over(void)
{
	const struct mt_rls_status *t = answer.status;

	CU_ASSERT(reads(2, OVER));
	CU_ASSERT_EQUAL(answer.code, MT_RLS_OVER_LIMIT);
	CU_ASSERT_EQUAL_FATAL(answer.n_statuses, 2);
	CU_ASSERT_EQUAL(t[0].code, MT_RLS_OK);
	CU_ASSERT(t[0].has_reset && t[0].reset == 59500 * MT_MSEC);
	CU_ASSERT_EQUAL(t[1].code, MT_RLS_OVER_LIMIT);
	CU_ASSERT(t[1].has_reset && t[1].reset == 3 * MT_SEC);
	CU_ASSERT_EQUAL_FATAL(answer.n_headers, 1);
	CU_ASSERT(
		is_text(answer.header[0].key, "x-limited") && is_text(answer.header[0].value, ""));
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
	r.request_headers_to_add = list;
	r.n_request_headers_to_add = n;
	memset(&answer, 0xee, sizeof(answer));
	return mt_rls_read(&answer, 1, bytes, xds__rate_limit_response__pack(&r, bytes));
}

/* The service refuses the call, however much it sends with it. */
static void test_headers_that_do_not_fit(void)
{
	for (uint32_t n = MT_RLS_HEADERS - 1; n <= MANY; n++) {
		CU_ASSERT(reads_headers(n, 1));
		CU_ASSERT_EQUAL(answer.n_headers, MT_MIN(n, (uint32_t)MT_RLS_HEADERS));
	}
	/* The key and the NULs of both. */
	CU_ASSERT(reads_headers(1, MT_RLS_BYTES - 3));
	CU_ASSERT_EQUAL(answer.n_headers, 1);
	CU_ASSERT_EQUAL(answer.used, MT_RLS_BYTES);
	CU_ASSERT(reads_headers(1, MT_RLS_BYTES - 2));
	CU_ASSERT_EQUAL(answer.n_headers, 0);
	CU_ASSERT_EQUAL(answer.code, MT_RLS_OVER_LIMIT);
	CU_ASSERT_EQUAL(answer.used, 0);
}

/* As many headers for replies as an answer may have, of field 3, come before that for the call. */
static void test_headers_of_replies(void)
{
	uint8_t bytes[512] = {0x08, 0x01};
	size_t len = 2;

	for (uint32_t i = 0; i < MT_RLS_HEADERS; i++, len += 8)
		memcpy(bytes + len, "\x1a\x06\x0a\x01r\x12\x01s", 8);
	memcpy(bytes + len, "\x22\x06\x0a\x01k\x12\x01v", 8);
	CU_ASSERT(mt_rls_read(&answer, 1, bytes, len + 8));
	CU_ASSERT_EQUAL_FATAL(answer.n_headers, 1);
	CU_ASSERT(is_text(answer.header[0].key, "k") && is_text(answer.header[0].value, "v"));
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
	{"headers_of_replies", test_headers_of_replies}, {"too_much_memory", test_too_much_memory},
	{0}};
