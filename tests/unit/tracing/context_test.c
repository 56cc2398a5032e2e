/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_tracing.h"
#include "suites.h"

#include <math.h>
#include <string.h>

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define SHORT  "a3ce929d0e0e4736"
#define SPAN   "00f067aa0ba902b7"
#define PADDED "0000000000000000" SHORT

static const struct mt_tracing_rule never = {0, MT_TRACING_W3C, MT_TRACE_ID};
static const struct mt_tracing_rule always = {MT_TRACING_ALWAYS, MT_TRACING_W3C, MT_TRACE_ID};
static const struct mt_tracing_rule b3 = {MT_TRACING_ALWAYS, MT_TRACING_B3_PARTS, MT_TRACE_ID};
static const struct mt_tracing_rule b3_short = {MT_TRACING_ALWAYS, MT_TRACING_B3_PARTS, 8};
static const struct mt_tracing_rule silent = {MT_TRACING_ALWAYS, 0, MT_TRACE_ID};

static struct mt_rand rnd;
static struct mt_tracing_context context;

static struct mt_slice slice(const char *s)
{
	return (struct mt_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

typedef const char *const values_of[MT_SPAN_ALL_KEYS];

static enum mt_tracing_decision decide(const struct mt_tracing_rule *rule, values_of values)
{
	struct mt_span_values v = {.seen = 0};

	for (uint32_t k = 0; k < MT_SPAN_ALL_KEYS; k++)
		if (values[k])
			mt_span_see(&v, (enum mt_span_key)k, slice(values[k]));
	if (!rnd.s[0])
		mt_rand_seed(&rnd, 1);
	memset(&context, 0xee, sizeof(context));
	return mt_tracing_decide(rule, &v, &rnd, &context);
}

/* ---- the decision --------------------------------------------------------------------------- */

static void test_decision(void)
{
	static const struct {
		const char *values[MT_SPAN_ALL_KEYS];
		enum mt_tracing_decision never, always;
	} rows[] = {
		{{NULL}, MT_TRACING_NOT_DRAWN, MT_TRACING_DRAWN},
		{{"00-" TRACE "-" SPAN "-01"}, MT_TRACING_JOINED, MT_TRACING_JOINED},
		{{"00-" TRACE "-" SPAN "-00"}, MT_TRACING_UNSAMPLED, MT_TRACING_UNSAMPLED},
		/* traceparent wins. */
		{{"00-" TRACE "-" SPAN "-00", TRACE "-" SPAN "-1"}, MT_TRACING_UNSAMPLED,
			MT_TRACING_UNSAMPLED},
		{{"00-" TRACE "-" SPAN "-01", "0"}, MT_TRACING_JOINED, MT_TRACING_JOINED},
		/* Malformed contexts count as absent. */
		{{"00-" TRACE "-0000000000000000-01"}, MT_TRACING_NOT_DRAWN, MT_TRACING_DRAWN},
		{{"?", TRACE "-" SPAN "-1"}, MT_TRACING_JOINED, MT_TRACING_JOINED},
		{{NULL, TRACE "-" SPAN "-9"}, MT_TRACING_NOT_DRAWN, MT_TRACING_DRAWN},
		{{NULL, NULL, TRACE, NULL, "1"}, MT_TRACING_NOT_DRAWN, MT_TRACING_DRAWN},
		{{NULL, NULL, NULL, SPAN, "1"}, MT_TRACING_NOT_DRAWN, MT_TRACING_DRAWN},
		/* B3 without a decision. */
		{{NULL, TRACE "-" SPAN}, MT_TRACING_NOT_DRAWN, MT_TRACING_JOINED},
		{{NULL, NULL, TRACE, SPAN}, MT_TRACING_NOT_DRAWN, MT_TRACING_JOINED},
		/* A decision without a trace. */
		{{NULL, "0"}, MT_TRACING_UNSAMPLED, MT_TRACING_UNSAMPLED},
		{{NULL, "1"}, MT_TRACING_DRAWN, MT_TRACING_DRAWN},
		{{NULL, NULL, NULL, NULL, "1"}, MT_TRACING_DRAWN, MT_TRACING_DRAWN},
		{{NULL, NULL, NULL, NULL, "0"}, MT_TRACING_UNSAMPLED, MT_TRACING_UNSAMPLED},
		{{NULL, NULL, TRACE, NULL, "0"}, MT_TRACING_UNSAMPLED, MT_TRACING_UNSAMPLED},
		{{NULL, NULL, NULL, NULL, NULL, "1"}, MT_TRACING_DRAWN, MT_TRACING_DRAWN},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_tracing_context before;

		memset(&before, 0xee, sizeof(before));
		CU_ASSERT_EQUAL(decide(&never, rows[i].values), rows[i].never);
		if (rows[i].never < MT_TRACING_JOINED)
			CU_ASSERT(memcmp(&before, &context, sizeof(context)) == 0);
		CU_ASSERT_EQUAL(decide(&always, rows[i].values), rows[i].always);
	}
}

/* A joined call keeps the trace and has the sender as its parent. */
static void test_joined(void)
{
	char hex[2 * MT_TRACE_ID + 1];

	CU_ASSERT_EQUAL(decide(&never, (values_of){"00-" TRACE "-" SPAN "-01"}), MT_TRACING_JOINED);
	CU_ASSERT_EQUAL(context.trace_len, MT_TRACE_ID);
	CU_ASSERT_STRING_EQUAL(mt_span_hex(context.trace, MT_TRACE_ID, hex), TRACE);
	CU_ASSERT(context.has_parent);
	CU_ASSERT_STRING_EQUAL(mt_span_hex(context.parent, MT_SPAN_ID, hex), SPAN);
	CU_ASSERT_STRING_NOT_EQUAL(mt_span_hex(context.span, MT_SPAN_ID, hex), SPAN);
	CU_ASSERT(!context.is_debug);
	CU_ASSERT_EQUAL(decide(&never, (values_of){NULL, SHORT "-" SPAN "-d"}), MT_TRACING_JOINED);
	CU_ASSERT_EQUAL(context.trace_len, 8);
	CU_ASSERT(context.is_debug);
}

/* New ids differ, and a short trace has zeroes behind it. */
static void test_drawn(void)
{
	static const uint8_t none[MT_TRACE_ID];
	struct mt_tracing_context first;

	CU_ASSERT_EQUAL(decide(&always, (values_of){NULL}), MT_TRACING_DRAWN);
	first = context;
	CU_ASSERT(!first.has_parent && !first.is_debug && first.trace_len == MT_TRACE_ID);
	CU_ASSERT(memcmp(first.trace, none, 8) && memcmp(first.trace + 8, none, 8));
	CU_ASSERT(memcmp(first.span, none, MT_SPAN_ID));
	CU_ASSERT_EQUAL(decide(&always, (values_of){NULL}), MT_TRACING_DRAWN);
	CU_ASSERT(memcmp(first.trace, context.trace, MT_TRACE_ID));
	CU_ASSERT(memcmp(first.span, context.span, MT_SPAN_ID));
	CU_ASSERT_EQUAL(decide(&b3_short, (values_of){NULL}), MT_TRACING_DRAWN);
	CU_ASSERT(context.trace_len == 8 && memcmp(context.trace + 8, none, 8) == 0);
}

/* A random number can be 0, an id cannot. */
static void test_zero(void)
{
	struct mt_rand zero = {{0}};
	uint8_t id[MT_SPAN_ID] = {0};

	mt_tracing_new_id(&zero, id);
	CU_ASSERT(memcmp(id, (uint8_t[MT_SPAN_ID]){0}, MT_SPAN_ID));
}

static void test_threshold(void)
{
	static const uint32_t calls = 200000;
	struct mt_tracing_rule rule = always;
	const struct mt_span_values none = {.seen = 0};

	CU_ASSERT_EQUAL(mt_tracing_threshold(0), 0);
	CU_ASSERT_EQUAL(mt_tracing_threshold(-1), 0);
	CU_ASSERT_EQUAL(mt_tracing_threshold(NAN), 0);
	CU_ASSERT_EQUAL(mt_tracing_threshold(100), MT_TRACING_ALWAYS);
	CU_ASSERT_EQUAL(mt_tracing_threshold(INFINITY), MT_TRACING_ALWAYS);
	CU_ASSERT_EQUAL(mt_tracing_threshold(50), MT_TRACING_ALWAYS / 2);
	CU_ASSERT_EQUAL(mt_tracing_threshold(0.01), 429497);
	for (uint32_t percent = 0; percent <= 100; percent += 20) {
		double want = calls * (percent / 100.0), spread = sqrt(calls) / 2;
		uint32_t drawn = 0;

		mt_rand_seed(&rnd, percent);
		rule.threshold = mt_tracing_threshold(percent);
		for (uint32_t i = 0; i < calls; i++)
			drawn +=
				mt_tracing_decide(&rule, &none, &rnd, &context) == MT_TRACING_DRAWN;
		CU_ASSERT(fabs(drawn - want) <= (percent % 100 ? 5 * spread : 0));
	}
}

/* ---- writing -------------------------------------------------------------------------------- */

static const uint8_t own[MT_SPAN_ID] = {0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11};
static const uint8_t attempt[MT_SPAN_ID] = {0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22};
#define OWN	"1111111111111111"
#define ATTEMPT "2222222222222222"

/* What a request gets: NAME=VALUE, one a line. */
static const char *written(const uint8_t *of)
{
	static char text[512];
	struct mt_tracing_text t;
	uint32_t n;
	char *to = text;

	memcpy(context.span, own, MT_SPAN_ID);
	n = mt_tracing_write(&context, of, &t);
	for (uint32_t i = 0; i < n; i++)
		to += sprintf(to, "%s=%.*s\n", t.keys[i].name, (int)t.keys[i].value.len,
			t.keys[i].value.p);
	*to = '\0';
	return text;
}

static void test_write_w3c(void)
{
	(void)decide(&always, (values_of){"00-" TRACE "-" SPAN "-01"});
	CU_ASSERT_STRING_EQUAL(written(NULL), "traceparent=00-" TRACE "-" OWN "-01\n");
	CU_ASSERT_STRING_EQUAL(written(attempt), "traceparent=00-" TRACE "-" ATTEMPT "-01\n");
	/* Versions and flags that are not known are not written. */
	(void)decide(&always, (values_of){"cc-" TRACE "-" SPAN "-ff-more"});
	CU_ASSERT_STRING_EQUAL(written(NULL), "traceparent=00-" TRACE "-" OWN "-01\n");
}

static void test_write_b3(void)
{
	(void)decide(&b3, (values_of){NULL, NULL, TRACE, SPAN, "true"});
	CU_ASSERT_STRING_EQUAL(written(NULL), "X-B3-TraceId=" TRACE "\nX-B3-SpanId=" OWN
					      "\nX-B3-ParentSpanId=" SPAN "\nX-B3-Sampled=1\n");
	CU_ASSERT_STRING_EQUAL(written(attempt), "X-B3-TraceId=" TRACE "\nX-B3-SpanId=" ATTEMPT
						 "\nX-B3-ParentSpanId=" OWN "\nX-B3-Sampled=1\n");
	(void)decide(&b3, (values_of){NULL, NULL, SHORT, SPAN, NULL, "1"});
	CU_ASSERT_STRING_EQUAL(written(NULL), "X-B3-TraceId=" SHORT "\nX-B3-SpanId=" OWN
					      "\nX-B3-ParentSpanId=" SPAN "\nX-B3-Flags=1\n");
	/* A new trace has no parent. */
	(void)decide(&b3, (values_of){NULL});
	memcpy(context.trace, own, MT_SPAN_ID);
	memcpy(context.trace + MT_SPAN_ID, own, MT_SPAN_ID);
	CU_ASSERT_STRING_EQUAL(
		written(NULL), "X-B3-TraceId=" OWN OWN "\nX-B3-SpanId=" OWN "\nX-B3-Sampled=1\n");
}

/* A request's own formats name the same parent as the rule's. */
static void test_write_all(void)
{
	(void)decide(&always, (values_of){NULL, SHORT "-" SPAN "-d"});
	CU_ASSERT_STRING_EQUAL(written(attempt), "traceparent=00-" PADDED "-" ATTEMPT "-01\n"
						 "b3=" SHORT "-" ATTEMPT "-d-" OWN "\n");
	(void)decide(&b3, (values_of){"00-" TRACE "-" SPAN "-01", "x", SHORT});
	CU_ASSERT_STRING_EQUAL(written(NULL), "traceparent=00-" TRACE "-" OWN "-01\n"
					      "b3=" TRACE "-" OWN "-1-" SPAN "\n"
					      "X-B3-TraceId=" TRACE "\nX-B3-SpanId=" OWN
					      "\nX-B3-ParentSpanId=" SPAN "\nX-B3-Sampled=1\n");
	(void)decide(&silent, (values_of){"00-" TRACE "-" SPAN "-01", "x", SHORT});
	CU_ASSERT_STRING_EQUAL(written(attempt), "");
}

const struct mt_test context_tests[] = {
	{"decision", test_decision},
	{"joined calls", test_joined},
	{"drawn calls", test_drawn},
	{"ids are not zero", test_zero},
	{"threshold", test_threshold},
	{"W3C is written", test_write_w3c},
	{"B3 is written", test_write_b3},
	{"all formats are written", test_write_all},
	{NULL, NULL},
};
