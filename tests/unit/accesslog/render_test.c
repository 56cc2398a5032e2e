/* SPDX-License-Identifier: Apache-2.0 */
/* Values of any content and any length: one line, valid JSON, at most 8 KiB. */
#include "suites.h"

#include "mt_rand.h"

#include <jansson.h>

static struct mt_alog_record record;

static const char *text_value(const void *p, uint32_t n)
{
	record_of_call(&record);
	record.texts[MT_ALOG_ROUTE] = (struct mt_slice){p, n};
	return line_of("<%ROUTE_NAME%>", MT_ALOG_TEXT, false, &record);
}

static const char *json_value(const void *p, uint32_t n)
{
	record_of_call(&record);
	record.texts[MT_ALOG_ROUTE] = (struct mt_slice){p, n};
	return line_of("{\"r\":\"%ROUTE_NAME%\"}", MT_ALOG_JSON, false, &record);
}

static void test_escaped(void)
{
	static const char odd[] = "a\"b\\c\nd\r\te\0f\x7fg";

	CU_ASSERT_STRING_EQUAL(
		text_value(odd, sizeof(odd) - 1), "<a\\x22b\\x5cc\\x0ad\\x0d\\x09e\\x00f\\x7fg>\n");
	CU_ASSERT_STRING_EQUAL(json_value(odd, sizeof(odd) - 1),
		"{\"r\":\"a\\\"b\\\\c\\nd\\r\\te\\u0000f\\u007fg\"}\n");
	/* Valid UTF-8 stays; a lone byte, an overlong form, a surrogate, and a C1 control do not. */
	CU_ASSERT_STRING_EQUAL(
		text_value("\xc3\xa9\xf0\x9f\x98\x80", 6), "<\xc3\xa9\xf0\x9f\x98\x80>\n");
	CU_ASSERT_STRING_EQUAL(text_value("\xff\xc0\xaf\xed\xa0\x80\xc2\x85", 8),
		"<\\xff\\xc0\\xaf\\xed\\xa0\\x80\\xc2\\x85>\n");
	CU_ASSERT_STRING_EQUAL(json_value("\xff|\xc3", 3), "{\"r\":\"\\\\xff|\\\\xc3\"}\n");
	CU_ASSERT_STRING_EQUAL(json_value("", 0), "{\"r\":\"\"}\n");
	CU_ASSERT_STRING_EQUAL(text_value("", 0), "<>\n");
}

/* A length counts bytes of the value, and no character is divided. */
static void test_limited(void)
{
	static const struct mt_alog_named named = {MT_ALOG_REQUEST, {0}, {(const uint8_t *)"k", 1},
		{MT_VALUE_TEXT,
			{.text = {(const uint8_t *)"a\xc3\xa9\xf0\x9f\x98\x80\xff\xff", 9}}}};
	static const char *const lines[] = {"\n", "a\n", "a\n", "a\xc3\xa9\n", "a\xc3\xa9\n",
		"a\xc3\xa9\n", "a\xc3\xa9\n", "a\xc3\xa9\xf0\x9f\x98\x80\n",
		"a\xc3\xa9\xf0\x9f\x98\x80\\xff\n"};
	char format[32];

	record_of_call(&record);
	record.named = &named;
	record.n_named = 1;
	for (uint32_t i = 0; i < MT_ARRAY_LEN(lines); i++) {
		snprintf(format, sizeof(format), "%%REQ(k):%u%%", i);
		CU_ASSERT_STRING_EQUAL(line_of(format, MT_ALOG_TEXT, false, &record), lines[i]);
	}
	record.texts[MT_ALOG_METHOD] = (struct mt_slice){(const uint8_t *)"abcdefgh", 8};
	record.texts[MT_ALOG_INTERFACE] = (struct mt_slice){(const uint8_t *)"ifc", 3};
	CU_ASSERT_STRING_EQUAL(
		line_of("%REQ(:PATH):3%,%REQ(:PATH):4%,%REQ(:PATH):5%,%REQ(:PATH):7%", MT_ALOG_TEXT,
			false, &record),
		"/if,/ifc,/ifc/,/ifc/ab\n");
}

static struct mt_alog_line line;

static void render(const char *format, enum mt_alog_encoding encoding, bool omit_empty)
{
	struct mt_alog_format *f = compiled(format, encoding, omit_empty);

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	memset(&line, 0, sizeof(line));
	mt_alog_render(f, &record, 0, &line);
	mt_alog_format_free(f);
	CU_ASSERT_TRUE_FATAL(line.len > 0 && line.len <= MT_ALOG_LINE);
	CU_ASSERT_EQUAL(line.text[line.len - 1], '\n');
	CU_ASSERT_PTR_NULL(memchr(line.text, '\n', line.len - 1));
}

static void check_json(void)
{
	json_error_t e;
	json_t *o = json_loadb(line.text, line.len, 0, &e);

	/* The library refuses \u0000 unless it is permitted. */
	if (!o)
		o = json_loadb(line.text, line.len, JSON_ALLOW_NUL, &e);
	CU_ASSERT_PTR_NOT_NULL(o);
	json_decref(o);
}

/* Values of 1 MiB are cut, and what comes after them is complete. */
static void test_cut(void)
{
	static uint8_t big[1 << 20];

	record_of_call(&record);
	for (int fill = 0; fill < 256; fill += 5) {
		memset(big, fill, sizeof(big));
		record.texts[MT_ALOG_INTERFACE] = record.texts[MT_ALOG_METHOD] =
			record.texts[MT_ALOG_AUTHORITY] = (struct mt_slice){big, sizeof(big)};
		render("%REQ(:METHOD)% end", MT_ALOG_TEXT, false);
		CU_ASSERT_TRUE(line.cut);
		CU_ASSERT_TRUE(line.len > MT_ALOG_LINE - 8);
		CU_ASSERT_EQUAL(memcmp(line.text + line.len - 5, " end\n", 5), 0);
		render(NULL, MT_ALOG_TEXT, false);
		CU_ASSERT_TRUE(line.cut);
		for (int omit = 0; omit < 2; omit++) {
			render(NULL, MT_ALOG_JSON, omit);
			CU_ASSERT_TRUE(line.cut);
			check_json();
			render("{\"a\":{\"b\":\"%REQ(:PATH)%\",\"c\":\"%DURATION%\"},\"d\":[\"x%"
			       "REQ(:METHOD)%\","
			       "\"%REQ(:METHOD)%\",\"%BYTES_SENT%\"]}",
				MT_ALOG_JSON, omit);
			check_json();
		}
	}
	record_of_call(&record);
	render(NULL, MT_ALOG_TEXT, false);
	CU_ASSERT_FALSE(line.cut);
}

/* A line whose last place is needed for literals: numbers that do not fit are unset. */
static void test_no_room(void)
{
	static char format[MT_ALOG_FORMAT_TEXT];

	record_of_call(&record);
	memset(format, 'x', MT_ALOG_LINE - 3);
	strcpy(format + MT_ALOG_LINE - 3, "%START_TIME%%BYTES_SENT%");
	render(format, MT_ALOG_TEXT, false);
	CU_ASSERT_TRUE(line.cut);
	CU_ASSERT_EQUAL(line.len, MT_ALOG_LINE);
	CU_ASSERT_EQUAL(memcmp(line.text + MT_ALOG_LINE - 4, "x2-\n", 4), 0);
	strcpy(format, "{\"a\":\"");
	memset(format + 6, 'x', MT_ALOG_LINE - 30);
	strcpy(format + MT_ALOG_LINE - 24, "\",\"b\":\"%START_TIME%\",\"c\":\"%CONNECTION_ID%\"}");
	mt_alog_set_number(&record, MT_ALOG_CONNECTION, UINT64_MAX);
	render(format, MT_ALOG_JSON, false);
	CU_ASSERT_TRUE(line.cut);
	CU_ASSERT_PTR_NOT_NULL(memmem(line.text, line.len, "\"c\":null}", 9));
	check_json();
}

static void random_texts(struct mt_rand *rnd, uint8_t *bytes, uint32_t size)
{
	for (uint32_t i = 0; i < MT_ALOG_TEXTS; i++) {
		uint32_t n = mt_rand_below(rnd, mt_rand_below(rnd, 4) ? 40 : 3000);

		record.texts[i] = (struct mt_slice){bytes + mt_rand_below(rnd, size - n), n};
	}
	record.ending = mt_rand_below(rnd, MT_N_ENDINGS);
}

static void test_random(void)
{
	static uint8_t bytes[1 << 16];
	struct mt_rand rnd;

	mt_rand_seed(&rnd, 4);
	for (uint32_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(mt_rand_below(&rnd, 3) ? ' ' + mt_rand_below(&rnd, 95)
							    : mt_rand_below(&rnd, 256));
	record_of_call(&record);
	for (uint32_t i = 0; i < 2000; i++) {
		random_texts(&rnd, bytes, sizeof(bytes));
		render(NULL, MT_ALOG_TEXT, i & 1);
		render(NULL, MT_ALOG_JSON, i & 1);
		check_json();
	}
}

const struct mt_test render_tests[] = {
	{"escaped", test_escaped},
	{"limited", test_limited},
	{"cut", test_cut},
	{"no room", test_no_room},
	{"random", test_random},
	{0},
};
