/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata values of a call: blocks, and what formats read of them. */
#include "mt_alog_entry.h"
#include "suites.h"

static struct mt_slice of(const char *text)
{
	return (struct mt_slice){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static bool keep(
	uint8_t *block, uint16_t *used, enum mt_alog_from from, const char *name, const char *value)
{
	return mt_alog_keep(block, used, from, of(name), of(value));
}

static void is_named(
	const struct mt_alog_named *n, enum mt_alog_from from, const char *name, const char *value)
{
	CU_ASSERT_EQUAL(n->from, from);
	CU_ASSERT_TRUE(mt_slice_eq_str(n->name, name));
	CU_ASSERT_EQUAL(n->value.type, MT_VALUE_TEXT);
	CU_ASSERT_TRUE(mt_slice_eq_str(n->value.text, value));
}

static void blocks(void)
{
	struct mt_alog_named named[MT_ALOG_KEPT_VALUES];
	uint8_t block[MT_ALOG_KEPT] = {0};
	uint16_t used = 0;

	CU_ASSERT_EQUAL(mt_alog_kept(block, 0, named), 0);
	CU_ASSERT_TRUE(keep(block, &used, MT_ALOG_REQUEST, "x-user", "anna"));
	CU_ASSERT_TRUE(keep(block, &used, MT_ALOG_REQUEST, "empty", ""));
	CU_ASSERT_TRUE(keep(block, &used, MT_ALOG_RESPONSE, "x-user", "server"));
	CU_ASSERT_EQUAL_FATAL(mt_alog_kept(block, used, named), 3);
	is_named(&named[0], MT_ALOG_REQUEST, "x-user", "anna");
	is_named(&named[1], MT_ALOG_REQUEST, "empty", "");
	is_named(&named[2], MT_ALOG_RESPONSE, "x-user", "server");
	/* A block that was cut has the values before. */
	for (uint32_t len = 0; len < used; len++)
		CU_ASSERT_TRUE(mt_alog_kept(block, len, named) < 3);
}

/* A value that does not fit changes nothing, and a shorter one may follow. */
static void full_blocks(void)
{
	struct mt_alog_named named[MT_ALOG_KEPT_VALUES];
	static char large[2 * MT_ALOG_KEPT];
	uint8_t block[MT_ALOG_KEPT + 1];
	uint16_t used = 0, before;
	uint32_t n = 0;

	memset(large, 'v', sizeof(large) - 1);
	block[MT_ALOG_KEPT] = 0x5a;
	CU_ASSERT_TRUE(keep(block, &used, MT_ALOG_REQUEST, "a", "1"));
	before = used;
	CU_ASSERT_FALSE(keep(block, &used, MT_ALOG_REQUEST, "b", large));
	CU_ASSERT_FALSE(mt_alog_keep(block, &used, MT_ALOG_REQUEST, of("b"),
		(struct mt_slice){(const uint8_t *)large, UINT32_MAX}));
	CU_ASSERT_EQUAL(used, before);
	while (keep(block, &used, MT_ALOG_RESPONSE, "c", "2"))
		n++;
	CU_ASSERT_EQUAL(block[MT_ALOG_KEPT], 0x5a);
	CU_ASSERT_TRUE(used <= MT_ALOG_KEPT && n > MT_ALOG_KEPT_VALUES);
	CU_ASSERT_EQUAL(mt_alog_kept(block, used, named), MT_ALOG_KEPT_VALUES);
	is_named(&named[MT_ALOG_KEPT_VALUES - 1], MT_ALOG_RESPONSE, "c", "2");
}

/*
 * Lines have the values of an entry behind its other texts, with escapes; names are compared
 * without case.
 */
static void in_lines(void)
{
	static uint64_t bytes[(sizeof(struct mt_alog_entry) + MT_ALOG_KEPT) / 8 + 8];
	struct mt_alog_entry *e = (struct mt_alog_entry *)(void *)bytes;
	struct mt_alog_made made;
	struct mt_alog_record r;
	uint8_t *block;

	e->interface_len = MT_ALOG_NO_TEXT;
	e->method_len = e->reason_len = 2;
	memcpy(e->texts, "mewh", 4);
	block = (uint8_t *)e->texts + 4;
	CU_ASSERT_TRUE(keep(block, &e->kept_len, MT_ALOG_REQUEST, "x-User", "an\"\n\x1b\xff"));
	CU_ASSERT_TRUE(keep(block, &e->kept_len, MT_ALOG_RESPONSE, "x-cost", "7"));
	mt_alog_entry_view(e, &made, &r);
	CU_ASSERT_STRING_EQUAL(line_of("%REQ(:METHOD)% %REQ(X-USER)% %REQ(x-cost?x-user):2% "
				       "%RESP(X-Cost)% %RESP(x-user)%",
				       MT_ALOG_TEXT, false, &r),
		"me an\\x22\\x0a\\x1b\\xff an 7 -\n");
	CU_ASSERT_STRING_EQUAL(line_of("{\"a\": \"%REQ(X-USER)%\", \"b\": \"%RESP(x-cost)%\", "
				       "\"c\": \"%REQ(z)%\"}",
				       MT_ALOG_JSON, false, &r),
		"{\"a\":\"an\\\"\\n\\u001b\\\\xff\",\"b\":\"7\",\"c\":null}\n");
}

/* TRACE_ID and SPAN_ID, also of a trace that the client does not record. */
static void traces(void)
{
	static uint64_t bytes[(sizeof(struct mt_alog_entry) + MT_ALOG_KEPT) / 8 + 8];
	struct mt_alog_entry *e = (struct mt_alog_entry *)(void *)bytes;
	struct mt_alog_format *f = compiled("%TRACE_ID% %REQ(b3)% %SPAN_ID%", MT_ALOG_TEXT, false);
	struct mt_alog_made made;
	struct mt_alog_record r;
	uint32_t n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (mt_alog_key(f, n))
		CU_ASSERT_EQUAL(mt_alog_key(f, n++)->from, MT_ALOG_REQUEST);
	CU_ASSERT_EQUAL(n, MT_SPAN_KEYS);
	mt_alog_format_free(f);
	e->interface_len = e->method_len = MT_ALOG_NO_TEXT;
	CU_ASSERT_TRUE(keep((uint8_t *)e->texts, &e->kept_len, MT_ALOG_RESPONSE, "b3",
		"00f067aa0ba902b7-00f067aa0ba902b7"));
	mt_alog_entry_view(e, &made, &r);
	CU_ASSERT_STRING_EQUAL(line_of("%TRACE_ID% %SPAN_ID%", MT_ALOG_TEXT, false, &r), "- -\n");
	CU_ASSERT_TRUE(keep((uint8_t *)e->texts, &e->kept_len, MT_ALOG_REQUEST, "TraceParent",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"));
	mt_alog_entry_view(e, &made, &r);
	CU_ASSERT_STRING_EQUAL(line_of("%TRACE_ID% %SPAN_ID%", MT_ALOG_TEXT, false, &r),
		"4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7\n");
}

/* An entry with spans has their trace, and the span of the call, also if the client names others. */
static void own_traces(void)
{
	static uint64_t bytes[(sizeof(struct mt_alog_entry) + 2 * MT_ALOG_KEPT) / 8];
	struct mt_alog_entry *e = (struct mt_alog_entry *)(void *)bytes;
	struct mt_alog_spans s = {.trace_len = MT_TRACE_ID, .has_parent = true};
	struct mt_alog_made made;
	struct mt_alog_record r;

	memset(s.trace, 0x11, sizeof(s.trace));
	memset(s.parent, 0x22, sizeof(s.parent));
	memset(s.call, 0x33, sizeof(s.call));
	e->interface_len = e->method_len = MT_ALOG_NO_TEXT;
	e->spans = MT_ALOG_SPAN_CALL;
	for (int named = 0; named < 2; named++) {
		if (named)
			CU_ASSERT_TRUE(keep((uint8_t *)e->texts, &e->kept_len, MT_ALOG_REQUEST,
				"traceparent",
				"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
		memcpy((char *)e + mt_alog_entry_size(e->interface_len, e->method_len,
					   e->reason_len, e->kept_len),
			&s, sizeof(s));
		mt_alog_entry_view(e, &made, &r);
		CU_ASSERT_STRING_EQUAL(line_of("%TRACE_ID% %SPAN_ID%", MT_ALOG_TEXT, false, &r),
			"11111111111111111111111111111111 3333333333333333\n");
	}
}

const struct mt_test kept_tests[] = {{"blocks of metadata", blocks},
	{"full blocks of metadata", full_blocks}, {"metadata in lines", in_lines},
	{"traces in lines", traces}, {"traces of spans in lines", own_traces}, {0}};
