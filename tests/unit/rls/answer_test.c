/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of bytes. The vectors are what Envoy's own messages (Python package xds-protos 1.85.0) serialise to. */
#include "rls_test.h"

#include "ratelimit.pb-c.h"

static struct mt_rls_answer answer;

/* The time of day of each answer, s. */
#define UNIX 1699999990ll

static bool reads(uint32_t n_descriptors, const char *hex)
{
	uint8_t bytes[1024];

	/* What an earlier answer has left must not count. */
	memset(&answer, 0xee, sizeof(answer));
	return mt_rls_read(&answer, n_descriptors, bytes, unhex(hex, bytes), UNIX * MT_SEC);
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

/* With limits, which are skipped, and headers for replies. The last quota has no end. */
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
	CU_ASSERT(t[0].remaining == 9 && t[1].remaining == 0);
	CU_ASSERT(t[0].quota.requests == 0 && answer.quota.requests == 0);
	CU_ASSERT_EQUAL(t[1].quota.requests, 5);
	CU_ASSERT_EQUAL(t[1].quota.lasts, 10 * MT_SEC + 7);
	CU_ASSERT(is_text(t[1].quota.id, "q1"));
	CU_ASSERT_EQUAL_FATAL(answer.n_headers, 1);
	CU_ASSERT(
		is_text(answer.header[0].key, "x-limited") && is_text(answer.header[0].value, ""));
	/* The third is ":status". */
	CU_ASSERT_EQUAL_FATAL(answer.n_reply_headers, 2);
	CU_ASSERT(is_text(answer.reply_header[0].key, "RateLimit-Limit"));
	CU_ASSERT(is_text(answer.reply_header[0].value, "10"));
	CU_ASSERT(is_text(answer.reply_header[1].key, "RateLimit-Reset"));
	CU_ASSERT(is_text(answer.reply_header[1].value, "59"));
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

/* ---- quotas ---------------------------------------------------------------------------------------- */

/* Reads an answer whose status and whole have the same quota; the requests that both grant. */
static uint32_t reads_quota(Xds__RateLimitResponse__Quota *q, Xds__Timestamp *end, size_t id_len)
{
	static char id[MT_RLS_BYTES];
	uint8_t bytes[2 * MT_RLS_BYTES];
	Xds__RateLimitResponse__DescriptorStatus
		s = XDS__RATE_LIMIT_RESPONSE__DESCRIPTOR_STATUS__INIT,
		*list[] = {&s};
	Xds__RateLimitResponse r = XDS__RATE_LIMIT_RESPONSE__INIT;

	memset(id, 'i', id_len);
	id[id_len] = '\0';
	q->id = id;
	if (end) {
		q->expiration_specifier_case =
			XDS__RATE_LIMIT_RESPONSE__QUOTA__EXPIRATION_SPECIFIER_VALID_UNTIL;
		q->valid_until = end;
	}
	s.code = r.overall_code = MT_RLS_OK;
	s.quota = r.quota = q;
	r.statuses = list;
	r.n_statuses = 1;
	memset(&answer, 0xee, sizeof(answer));
	CU_ASSERT(mt_rls_read(
		&answer, 1, bytes, xds__rate_limit_response__pack(&r, bytes), UNIX * MT_SEC));
	CU_ASSERT_EQUAL_FATAL(answer.n_statuses, 1);
	CU_ASSERT_EQUAL(answer.status[0].quota.requests, answer.quota.requests);
	if (answer.quota.requests) {
		CU_ASSERT_EQUAL(answer.status[0].quota.lasts, answer.quota.lasts);
		CU_ASSERT(is_text(answer.quota.id, id) && is_text(answer.status[0].quota.id, id));
	}
	return answer.quota.requests;
}

/* A quota has a time that is one, later than now, and an id that is not too long. */
static void test_quotas(void)
{
	static const struct {
		int64_t seconds;
		int32_t nanos;
		uint64_t lasts; /* 0: it is none */
	} t[] = {
		{UNIX + 1, 5, MT_SEC + 5},
		{UNIX, 1, 1},
		{UNIX, 0, 0},
		{UNIX - 1, 999999999, 0},
		{UNIX + 1, -1, 0},
		{UNIX + 1, 1000000000, 0},
		{-1, 0, 0},
		{INT64_MAX, 0, 0},
	};
	Xds__RateLimitResponse__Quota q = XDS__RATE_LIMIT_RESPONSE__QUOTA__INIT;
	Xds__Timestamp end = XDS__TIMESTAMP__INIT;

	q.requests = 4;
	CU_ASSERT_EQUAL(reads_quota(&q, NULL, 0), 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		end.seconds = t[i].seconds;
		end.nanos = t[i].nanos;
		CU_ASSERT_EQUAL(reads_quota(&q, &end, i), t[i].lasts ? 4 : 0);
		CU_ASSERT(!t[i].lasts || answer.quota.lasts == t[i].lasts);
	}
	end.seconds = UNIX + 1;
	end.nanos = 0;
	CU_ASSERT_EQUAL(reads_quota(&q, &end, 255), 4);
	CU_ASSERT_EQUAL(reads_quota(&q, &end, 256), 0);
	q.requests = 0;
	CU_ASSERT_EQUAL(reads_quota(&q, &end, 2), 0);
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
	return mt_rls_read(
		&answer, 1, bytes, xds__rate_limit_response__pack(&r, bytes), UNIX * MT_SEC);
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

/* More headers for replies than an answer may have, of field 3, come before that for the call. */
static void test_headers_of_replies(void)
{
	uint8_t bytes[512] = {0x08, 0x01};
	size_t len = 2;

	for (uint32_t i = 0; i < MANY; i++, len += 8)
		memcpy(bytes + len, "\x1a\x06\x0a\x01r\x12\x01s", 8);
	memcpy(bytes + len, "\x22\x06\x0a\x01k\x12\x01v", 8);
	CU_ASSERT(mt_rls_read(&answer, 1, bytes, len + 8, UNIX * MT_SEC));
	CU_ASSERT_EQUAL_FATAL(answer.n_headers, 1);
	CU_ASSERT(is_text(answer.header[0].key, "k") && is_text(answer.header[0].value, "v"));
	CU_ASSERT_EQUAL_FATAL(answer.n_reply_headers, MT_RLS_HEADERS);
	for (uint32_t i = 0; i < MT_RLS_HEADERS; i++)
		CU_ASSERT(is_text(answer.reply_header[i].key, "r") &&
			  is_text(answer.reply_header[i].value, "s"));
}

/* Headers for the call have room first: one with a value of this length. */
static bool leaves_room(uint32_t value_len)
{
	static uint8_t bytes[2 * MT_RLS_BYTES];
	static char value[MT_RLS_BYTES];
	Xds__RateLimitResponse r = XDS__RATE_LIMIT_RESPONSE__INIT;
	Xds__HeaderValue h = XDS__HEADER_VALUE__INIT, of_reply = XDS__HEADER_VALUE__INIT;
	Xds__HeaderValue *list[] = {&h}, *of_replies[] = {&of_reply};

	memset(value, 'v', value_len);
	value[value_len] = '\0';
	h.key = of_reply.key = "k";
	h.value = value;
	of_reply.value = "s";
	r.overall_code = MT_RLS_OK;
	r.request_headers_to_add = list;
	r.response_headers_to_add = of_replies;
	r.n_request_headers_to_add = r.n_response_headers_to_add = 1;
	CU_ASSERT(mt_rls_read(
		&answer, 1, bytes, xds__rate_limit_response__pack(&r, bytes), UNIX * MT_SEC));
	CU_ASSERT_EQUAL(answer.n_headers, 1);
	return answer.n_reply_headers == 1;
}

static void test_room_of_replies(void)
{
	/* Two texts of one byte, and the NULs of all four. */
	CU_ASSERT(leaves_room(MT_RLS_BYTES - 7));
	CU_ASSERT_EQUAL(answer.used, MT_RLS_BYTES);
	CU_ASSERT_FALSE(leaves_room(MT_RLS_BYTES - 6));
	CU_ASSERT_FALSE(leaves_room(MT_RLS_BYTES - 3));
}

/* So many statuses that they need more memory than an answer may take: it is no answer. */
static void test_too_much_memory(void)
{
	static uint8_t bytes[64 * 1024] = {0x08, 0x01};

	for (size_t i = 2; i < sizeof(bytes); i += 2)
		bytes[i] = 0x12;
	CU_ASSERT(!mt_rls_read(&answer, 1, bytes, sizeof(bytes), UNIX * MT_SEC));
	CU_ASSERT(mt_rls_read(&answer, 1, bytes, 200, UNIX * MT_SEC));
}

const struct mt_test answer_tests[] = {{"bare", test_bare}, {"over", test_over},
	{"other_statuses", test_other_statuses}, {"undecided", test_undecided},
	{"times", test_times}, {"quotas", test_quotas},
	{"headers_that_do_not_fit", test_headers_that_do_not_fit},
	{"headers_of_replies", test_headers_of_replies}, {"room_of_replies", test_room_of_replies},
	{"too_much_memory", test_too_much_memory}, {0}};
