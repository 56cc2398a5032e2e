/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of OTLP, decoded again, and compared with bytes of OpenTelemetry's own library. */
#include "spans.h"
#include "suites.h"

#include "otlp.pb-c.h"

#include <string.h>

static uint8_t bytes[MT_TRACING_SPAN];
static Otlp__ScopeSpans *decoded;

/* A message of the field alone. */
static const Otlp__Span *decode(
	const struct mt_tracing_span *s, struct mt_tracing_limits *limits, uint32_t *len)
{
	*len = mt_tracing_otlp_span(s, limits, bytes);
	CU_ASSERT_FATAL(*len <= sizeof(bytes));
	decoded = otlp__scope_spans__unpack(NULL, *len, bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(decoded);
	CU_ASSERT_EQUAL_FATAL(decoded->n_spans, 1);
	return decoded->spans[0];
}

static void drop(void)
{
	otlp__scope_spans__free_unpacked(decoded, NULL);
}

static bool is(ProtobufCBinaryData d, const uint8_t *p, size_t n)
{
	return d.len == n && memcmp(d.data, p, n) == 0;
}

static void test_span(void)
{
	struct mt_tracing_limits limits = {.tag = 256};
	struct mt_tracing_span s;
	const Otlp__Span *m;
	uint32_t len;

	span_of_call(&s);
	m = decode(&s, &limits, &len);
	CU_ASSERT(is(m->trace_id, s.trace, MT_TRACE_ID));
	CU_ASSERT(is(m->span_id, s.id, MT_SPAN_ID));
	CU_ASSERT(is(m->parent_span_id, s.parent, MT_SPAN_ID));
	CU_ASSERT_STRING_EQUAL(m->trace_state, "vendor=1");
	CU_ASSERT_STRING_EQUAL(m->name, "org.example.DemoService/sayHello");
	CU_ASSERT_EQUAL(m->kind, 2);
	CU_ASSERT_EQUAL(m->start_time_unix_nano, 1767323045678000000ull);
	CU_ASSERT_EQUAL(m->end_time_unix_nano, 1767323045683100000ull);
	CU_ASSERT_EQUAL(m->flags, 0x301);
	CU_ASSERT_EQUAL_FATAL(m->n_attributes, 2);
	CU_ASSERT_STRING_EQUAL(m->attributes[0]->key, "rpc.method");
	CU_ASSERT_STRING_EQUAL(m->attributes[0]->value->string_value, "sayHello");
	CU_ASSERT_EQUAL(m->dropped_attributes_count, 0);
	CU_ASSERT_EQUAL_FATAL(m->status != NULL, 1);
	CU_ASSERT_EQUAL(m->status->code, 2);
	CU_ASSERT_STRING_EQUAL(m->status->message, "upstream \"reset\"");
	CU_ASSERT_EQUAL(limits.cut, 0);
	drop();
}

/* A span without parent, times in the wrong order, a short trace id. */
static void test_root(void)
{
	static const uint8_t padding[8];
	struct mt_tracing_limits limits = {.tag = 256};
	struct mt_tracing_span s;
	const Otlp__Span *m;
	uint32_t len;

	span_of_call(&s);
	s.kind = MT_TRACING_CLIENT;
	s.trace_len = 8;
	s.has_parent = s.failed = false;
	s.end = s.start - 1;
	s.n_tags = 0;
	s.state.len = 0;
	m = decode(&s, &limits, &len);
	CU_ASSERT_EQUAL(m->trace_id.len, MT_TRACE_ID);
	CU_ASSERT(memcmp(m->trace_id.data, padding, 8) == 0);
	CU_ASSERT(memcmp(m->trace_id.data + 8, s.trace, 8) == 0);
	CU_ASSERT_EQUAL(m->parent_span_id.len, 0);
	CU_ASSERT_EQUAL(m->kind, 3);
	CU_ASSERT_EQUAL(m->end_time_unix_nano, s.start);
	CU_ASSERT_EQUAL(m->flags, 0x101);
	CU_ASSERT_PTR_NULL(m->status);
	CU_ASSERT_EQUAL(m->n_attributes, 0);
	CU_ASSERT_EQUAL(limits.cut, 0);
	drop();
}

/* Too much of everything: the span is as large as it may be, and what is missing is counted. */
static void test_cut(void)
{
	struct mt_tracing_limits limits = {.tag = 1024};
	struct mt_tracing_span s;
	const Otlp__Span *m;
	uint32_t len;

	span_of_call(&s);
	too_much(&s);
	m = decode(&s, &limits, &len);
	CU_ASSERT_EQUAL(strlen(m->name), MT_TRACING_TEXT);
	CU_ASSERT_STRING_EQUAL(m->trace_state, "");
	CU_ASSERT(m->n_attributes > 0);
	CU_ASSERT_EQUAL(strlen(m->attributes[0]->key), MT_TRACING_TEXT);
	CU_ASSERT_EQUAL(strlen(m->attributes[0]->value->string_value), 1024);
	CU_ASSERT_EQUAL(m->n_attributes + m->dropped_attributes_count, s.n_tags);
	/* Name, message, state; key and value of each attribute; attributes that are left out. */
	CU_ASSERT_EQUAL(limits.cut, 3 + 2 * m->n_attributes + m->dropped_attributes_count);
	drop();
	/* Many small tags. */
	limits = (struct mt_tracing_limits){.tag = 8};
	m = decode(&s, &limits, &len);
	CU_ASSERT(m->n_attributes > 10 && m->n_attributes < MT_TRACING_TAGS);
	drop();
	s.tags = small_tags;
	limits.tag = 256;
	m = decode(&s, &limits, &len);
	CU_ASSERT_EQUAL(m->n_attributes, MT_TRACING_TAGS);
	CU_ASSERT_EQUAL(m->dropped_attributes_count, s.n_tags - MT_TRACING_TAGS);
	drop();
}

/* Any bytes are valid UTF-8 afterwards. */
static void test_bytes(void)
{
	struct mt_tracing_limits limits = {.tag = 8};
	struct mt_tracing_tag tag = {
		slice_of("k\xff"), {(const uint8_t *)"a\0\xc3\xa4\xc3\xa4\xc3\xa4", 8}};
	struct mt_tracing_span s;
	const Otlp__Span *m;
	uint32_t len;

	span_of_call(&s);
	s.tags = &tag;
	s.n_tags = 1;
	s.state = slice_of("a=\n");
	m = decode(&s, &limits, &len);
	CU_ASSERT_STRING_EQUAL(m->trace_state, "");
	CU_ASSERT_STRING_EQUAL(m->attributes[0]->key, "k\xef\xbf\xbd");
	CU_ASSERT_STRING_EQUAL(
		m->attributes[0]->value->string_value, "a\xef\xbf\xbd\xc3\xa4\xc3\xa4");
	CU_ASSERT_EQUAL(limits.cut, 2);
	drop();
}

/* ---- bytes of OpenTelemetry's library -------------------------------------------------------- */

/* A message around bytes: tag, length, bytes. */
static uint32_t wrap(uint8_t *to, uint8_t tag, uint32_t len)
{
	uint32_t head = len < 0x80 ? 2 : 3;

	memmove(to + head, to, len);
	to[0] = tag;
	to[1] = (uint8_t)(len < 0x80 ? len : (len | 0x80));
	if (head == 3)
		to[2] = (uint8_t)(len >> 7);
	return len + head;
}

/* Puts bytes before others. */
static uint32_t before(uint8_t *to, uint32_t len, const uint8_t *head, uint32_t n)
{
	memmove(to + n, to, len);
	memcpy(to, head, n);
	return len + n;
}

static const uint8_t original[] = {
#include "otlp_request.inc"
};

/* generate.py makes the same request by opentelemetry-proto. */
static void test_request(void)
{
	const struct mt_tracing_tag attributes[] = {{slice_of("service.name"), slice_of("shop")}};
	struct mt_tracing_limits limits = {.tag = 256};
	uint8_t request[MT_TRACING_SPAN], head[MT_TRACING_RESOURCE];
	struct mt_tracing_span s;
	uint32_t n, len;

	span_of_call(&s);
	len = mt_tracing_otlp_span(&s, &limits, request);
	n = mt_tracing_otlp_scope("meltemi", "1.2", head);
	len = wrap(request, 0x12, before(request, len, head, n));
	n = mt_tracing_otlp_resource(attributes, 1, &limits, head);
	len = wrap(request, 0x0a, before(request, len, head, n));
	CU_ASSERT_EQUAL_FATAL(len, sizeof(original));
	CU_ASSERT(memcmp(request, original, len) == 0);
}

const struct mt_test otlp_tests[] = {
	{"a span", test_span},
	{"a root", test_root},
	{"too much", test_cut},
	{"any bytes", test_bytes},
	{"a request", test_request},
	{NULL, NULL},
};
