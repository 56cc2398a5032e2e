/* SPDX-License-Identifier: Apache-2.0 */
/* JSON formats. */
#include "suites.h"

#include <jansson.h>

static const char *json_of(const char *text, bool omit_empty)
{
	struct mt_alog_record r;

	record_of_call(&r);
	return line_of(text, MT_ALOG_JSON, omit_empty, &r);
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *value = json_string_value(json_object_get(o, key));

	return value ? value : "(not a string)";
}

static void test_default(void)
{
	json_t *o = json_loads(json_of(NULL, false), 0, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	CU_ASSERT_EQUAL(json_object_size(o), 24);
	CU_ASSERT_STRING_EQUAL(text_of(o, "start_time"), "2026-01-02T03:04:05.678Z");
	CU_ASSERT_STRING_EQUAL(text_of(o, "path"), "/org.example.DemoService/sayHello");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(o, "response_code")), 200);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(o, "duration")), 5);
	CU_ASSERT_STRING_EQUAL(text_of(o, "upstream_service_time"), "4");
	CU_ASSERT_STRING_EQUAL(text_of(o, "response_flags"), "-");
	CU_ASSERT_STRING_EQUAL(
		text_of(o, "upstream_cluster"), "outbound|20880||org.example.demoservice");
	CU_ASSERT_TRUE(json_is_null(json_object_get(o, "x_forwarded_for")));
	json_decref(o);
	o = json_loads(json_of(NULL, true), 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	CU_ASSERT_EQUAL(json_object_size(o), 18);
	CU_ASSERT_PTR_NULL(json_object_get(o, "x_forwarded_for"));
	json_decref(o);
}

/* Members are sorted, constants stay as they are, and a type is kept if an operator stands alone. */
static void test_structure(void)
{
	CU_ASSERT_STRING_EQUAL(
		json_of(" {\"b\" : \"%BYTES_SENT%\", \"a\": [1, -2.50e+3, true, null, "
			"\"x\", {}, []],\n\t\"c\":{\"z\":\"%BYTES_SENT% B\",\"y\":\"\"}} ",
			false),
		"{\"a\":[1,-2.50e+3,true,null,\"x\",{},[]],\"b\":120,\"c\":{\"y\":\"\",\"z\":\"120 "
		"B\"}}\n");
	CU_ASSERT_STRING_EQUAL(json_of("{}", false), "{}\n");
	CU_ASSERT_STRING_EQUAL(json_of("{\"a\":\"100%%\",\"b\":\"%PROTOCOL%%PROTOCOL%\","
				       "\"c\":\"%REQ(x)%-%REQ(x)%\",\"d\":\"%REQ(x)%\"}",
				       false),
		"{\"a\":\"100%\",\"b\":\"dubbodubbo\",\"c\":\"---\",\"d\":null}\n");
}

static void test_omitted(void)
{
	CU_ASSERT_STRING_EQUAL(
		json_of("{\"a\":\"%REQ(x)%\",\"b\":{\"c\":\"%REQ(x)%\"},\"d\":[\"%REQ(x)%\",null],"
			"\"e\":null,\"f\":\"%REQ(x)%:%REQ(y)%\",\"g\":\"%PROTOCOL%\",\"h\":{}}",
			true),
		"{\"d\":[],\"f\":\":\",\"g\":\"dubbo\"}\n");
	CU_ASSERT_STRING_EQUAL(
		json_of("{\"a\":\"%REQ(x)%\",\"b\":{\"c\":{\"d\":\"%REQ(x)%\"}}}", true), "{}\n");
	CU_ASSERT_STRING_EQUAL(
		json_of("{\"l\":[\"%REQ(x)%\",1,\"%REQ(x)%\",{\"a\":2,\"b\":\"%REQ(x)%\"}]}", true),
		"{\"l\":[1,{\"a\":2}]}\n");
}

static void test_strings(void)
{
	CU_ASSERT_STRING_EQUAL(json_of("{\"\\u00e9\\n\\\"\":\"\\\\ \\/ \\b\\f\\r\\t \\ud83d\\ude00 "
				       "\\u0000 %PROTOCOL%\"}",
				       false),
		"{\"\xc3\xa9\\n\\\"\":\"\\\\ / \\b\\f\\r\\t \xf0\x9f\x98\x80 \\u0000 dubbo\"}\n");
	/* An operator may be written with escapes, and its column is that of the format. */
	CU_ASSERT_STRING_EQUAL(
		json_of("{\"a\":\"\\u0025PROTOCOL%\"}", false), "{\"a\":\"dubbo\"}\n");
	CU_ASSERT_STRING_EQUAL(refused("{\"a\":\"\\u0041 %NO%\"}", MT_ALOG_JSON),
		"column 14: NO is not an operator");
	CU_ASSERT_STRING_EQUAL(refused("{\n \"a\":\n\"%REQ%\"}", MT_ALOG_JSON),
		"line 3, column 2: REQ needs a name in parentheses, for example (USER-AGENT)");
}

static void test_refused(void)
{
	static const char *const bad[] = {"", "[]", "\"%PROTOCOL%\"", "{", "{\"a\"}", "{\"a\":}",
		"{\"a\":1,}", "{\"a\":1 \"b\":2}", "{\"a\":01}", "{\"a\":1.}", "{\"a\":-}",
		"{\"a\":1e}", "{\"a\":tru}", "{\"a\":\"x}", "{\"a\":\"\n\"}", "{\"a\":\"\\x\"}",
		"{\"a\":\"\\ud800\"}", "{\"a\":\"\\ud800\\u0041\"}", "{\"a\":\"\\udc00\"}",
		"{\"a\":\"\\u12\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":1}x",
		"{\"a\":1,\"a\":2}", "{a:1}", "{\"a\":[1,]}", "{\"a\":[1 2]}", "{\"a\":{\"b\":1}",
		"{\"a\":\"%\"}", "{1:2}"};
	char deep[200] = "{\"a\":";

	for (uint32_t i = 0; i < MT_ARRAY_LEN(bad); i++) {
		CU_ASSERT_PTR_NOT_NULL(strstr(refused(bad[i], MT_ALOG_JSON), "column "));
		if (!refused(bad[i], MT_ALOG_JSON)[0])
			printf("\naccepted: %s\n", bad[i]);
	}
	CU_ASSERT_STRING_EQUAL(
		refused("{\"a\":1,\"a\":2}", MT_ALOG_JSON), "column 8: this name is given twice");
	for (int i = 0; i < 14; i++)
		strcat(deep, "[");
	for (int i = 0; i < 14; i++)
		strcat(deep, "]");
	strcat(deep, "}");
	CU_ASSERT_STRING_EQUAL(refused(deep, MT_ALOG_JSON), "");
	CU_ASSERT_PTR_NOT_NULL(strstr(json_of(deep, true), "[[[[[[[[[[[[[[]"));
	memmove(deep + 6, deep + 5, strlen(deep + 5) + 1);
	deep[5] = '[';
	strcpy(deep + strlen(deep) - 1, "]}");
	CU_ASSERT_STRING_EQUAL(refused(deep, MT_ALOG_JSON), "");
	memmove(deep + 6, deep + 5, strlen(deep + 5) + 1);
	deep[5] = '[';
	strcpy(deep + strlen(deep) - 1, "]}");
	CU_ASSERT_PTR_NOT_NULL(strstr(refused(deep, MT_ALOG_JSON), "at most 16 levels"));
}

const struct mt_test json_tests[] = {
	{"default", test_default},
	{"structure", test_structure},
	{"omitted", test_omitted},
	{"strings", test_strings},
	{"refused", test_refused},
	{0},
};
