/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of Zipkin, as text and read again by jansson. */
#include "spans.h"
#include "suites.h"

#include <jansson.h>

static char text[MT_TRACING_SPAN];

static uint32_t encode(const struct mt_tracing_span *s, struct mt_tracing_limits *limits)
{
	uint32_t len = mt_tracing_zipkin_span(s, limits, text);

	CU_ASSERT_FATAL(len <= sizeof(text));
	return len;
}

static json_t *decode(const struct mt_tracing_span *s, struct mt_tracing_limits *limits)
{
	json_t *j = json_loadb(text, encode(s, limits), JSON_REJECT_DUPLICATES, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	return j;
}

static const char *word(const json_t *j, const char *key)
{
	const char *value = json_string_value(json_object_get(j, key));

	return value ? value : "";
}

static void check(const struct mt_tracing_span *s, const char *want)
{
	struct mt_tracing_limits limits = {.tag = 256};
	uint32_t len = encode(s, &limits);

	CU_ASSERT_EQUAL(len, strlen(want));
	CU_ASSERT(memcmp(text, want, MT_MIN(len, (uint32_t)strlen(want))) == 0);
	CU_ASSERT_EQUAL(limits.cut, 0);
}

static void test_span(void)
{
	struct mt_tracing_span s;

	span_of_call(&s);
	check(&s, "{\"traceId\":\"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\",\"id\":\"1011121314151617\","
		  "\"parentId\":\"f0f1f2f3f4f5f6f7\",\"kind\":\"SERVER\","
		  "\"name\":\"org.example.DemoService/sayHello\",\"timestamp\":1767323045678000,"
		  "\"duration\":5100,\"localEndpoint\":{\"serviceName\":\"shop\","
		  "\"ipv4\":\"192.0.2.1\",\"port\":20880},"
		  "\"remoteEndpoint\":{\"ipv6\":\"2001:db8::1\",\"port\":39221},"
		  "\"tags\":{\"error\":\"upstream \\\"reset\\\"\",\"rpc.method\":\"sayHello\","
		  "\"peer\":\"\xc3\xa4\"}}");
}

static void test_root(void)
{
	struct mt_tracing_span s;

	span_of_call(&s);
	s.kind = MT_TRACING_CLIENT;
	s.trace_len = 8;
	s.has_parent = s.failed = false;
	s.is_debug = true;
	s.start = 999;
	s.end = 998;
	s.n_tags = 0;
	s.local = s.remote = (struct mt_tracing_end){.port = 0};
	check(&s, "{\"traceId\":\"a0a1a2a3a4a5a6a7\",\"id\":\"1011121314151617\","
		  "\"kind\":\"CLIENT\",\"name\":\"org.example.DemoService/sayHello\","
		  "\"timestamp\":1,\"duration\":1,\"debug\":true,\"tags\":{}}");
}

/* The tag of a failure replaces another one, and has a value. */
static void test_error(void)
{
	const struct mt_tracing_tag tags[] = {
		{slice_of("error"), slice_of("mine")}, {slice_of("k"), slice_of("v")}};
	struct mt_tracing_limits limits = {.tag = 256};
	struct mt_tracing_span s;
	json_t *j;

	span_of_call(&s);
	s.tags = tags;
	s.n_tags = 2;
	s.message.len = 0;
	j = decode(&s, &limits);
	CU_ASSERT_STRING_EQUAL(word(json_object_get(j, "tags"), "error"), "true");
	CU_ASSERT_EQUAL(json_object_size(json_object_get(j, "tags")), 2);
	json_decref(j);
	s.failed = false;
	j = decode(&s, &limits);
	CU_ASSERT_STRING_EQUAL(word(json_object_get(j, "tags"), "error"), "mine");
	json_decref(j);
	CU_ASSERT_EQUAL(limits.cut, 0);
}

/* Too much of everything, every byte of it escaped: tags that do not fit are counted. */
static void test_cut(void)
{
	struct mt_tracing_limits limits = {.tag = 1u << 30};
	struct mt_tracing_span s;
	const char *key;
	json_t *j, *tags, *value;
	size_t n = 0;

	span_of_call(&s);
	too_much(&s);
	j = json_loadb(text, encode(&s, &limits), 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	CU_ASSERT_EQUAL(strlen(word(j, "name")), MT_TRACING_TEXT);
	CU_ASSERT_EQUAL(
		strlen(word(json_object_get(j, "localEndpoint"), "serviceName")), MT_TRACING_TEXT);
	tags = json_object_get(j, "tags");
	json_object_foreach(tags, key, value)
	{
		n++;
		CU_ASSERT(strlen(key) <= MT_TRACING_TEXT);
		CU_ASSERT(json_string_length(value) <= MT_TRACING_VALUE);
	}
	CU_ASSERT(n == 2);
	/* Name, two services, the failure; all tags: one with two texts cut, others left out. */
	CU_ASSERT_EQUAL(limits.cut, 3 + 1 + (MANY_TAGS + 1));
	json_decref(j);
	limits = (struct mt_tracing_limits){.tag = 256};
	s.tags = small_tags;
	j = json_loadb(text, encode(&s, &limits), 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	CU_ASSERT_EQUAL(limits.cut, 3 + 1 + MANY_TAGS - MT_TRACING_TAGS);
	json_decref(j);
}

static void test_bytes(void)
{
	struct mt_tracing_tag tag = {
		slice_of("k\xff\n"), {(const uint8_t *)"a\0\xc3\xa4\xc3\xa4\xc3\xa4", 8}};
	struct mt_tracing_limits limits = {.tag = 8};
	struct mt_tracing_span s;
	json_t *j;

	span_of_call(&s);
	s.tags = &tag;
	s.n_tags = 1;
	s.failed = false;
	j = decode(&s, &limits);
	CU_ASSERT_STRING_EQUAL(word(json_object_get(j, "tags"), "k\xef\xbf\xbd\n"),
		"a\xef\xbf\xbd\xc3\xa4\xc3\xa4");
	CU_ASSERT_EQUAL(limits.cut, 1);
	json_decref(j);
}

/* Any byte in any text leaves the object valid. ASCII is read again, and other bytes are U+FFFD. */
static void test_each_byte(void)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint8_t bytes[] = {'a', (uint8_t)byte, '"'};
		const struct mt_slice one = {bytes, sizeof(bytes)};
		const struct mt_tracing_tag tags[] = {{one, one}};
		struct mt_tracing_limits limits = {.tag = 256};
		struct mt_tracing_span s;
		const char want[] = {'a', (char)byte, '"', '\0'};
		const char *is;
		json_t *j;

		span_of_call(&s);
		s.name = s.message = s.local.service = s.remote.service = one;
		s.tags = tags;
		s.n_tags = 1;
		j = decode(&s, &limits);
		is = word(j, "name");
		CU_ASSERT_STRING_EQUAL(is, byte && byte < 128 ? want : "a\xef\xbf\xbd\"");
		CU_ASSERT_STRING_EQUAL(word(json_object_get(j, "tags"), is), is);
		CU_ASSERT_STRING_EQUAL(word(json_object_get(j, "tags"), "error"), is);
		CU_ASSERT_STRING_EQUAL(
			word(json_object_get(j, "remoteEndpoint"), "serviceName"), is);
		json_decref(j);
	}
}

const struct mt_test zipkin_tests[] = {
	{"a span", test_span},
	{"a root", test_root},
	{"a failure", test_error},
	{"too much", test_cut},
	{"any bytes", test_bytes},
	{"each byte", test_each_byte},
	{NULL, NULL},
};
