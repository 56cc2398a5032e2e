/* SPDX-License-Identifier: Apache-2.0 */
/* Text formats: their syntax, and the values of operators. */
#include "suites.h"

#include <unistd.h>

static void test_default(void)
{
	CU_ASSERT_STRING_EQUAL(shown(NULL),
		"[2026-01-02T03:04:05.678Z] \"sayHello /org.example.DemoService/sayHello dubbo\" "
		"200 "
		"- via_upstream - \"-\" 241 120 5 4 \"-\" \"-\" \"-\" \"org.example.demoservice\" "
		"\"198.51.100.12:20880\" outbound|20880||org.example.demoservice "
		"198.51.100.1:39221 240.240.1.1:20880 192.0.2.2:57632 - canary\n");
}

static void test_syntax(void)
{
	CU_ASSERT_STRING_EQUAL(shown(""), "\n");
	CU_ASSERT_STRING_EQUAL(shown("constant"), "constant\n");
	CU_ASSERT_STRING_EQUAL(shown("one newline\n"), "one newline\n");
	CU_ASSERT_STRING_EQUAL(shown("100%% %PROTOCOL%%%%PROTOCOL%"), "100% dubbo%dubbo\n");
	CU_ASSERT_STRING_EQUAL(shown("\"%ROUTE_NAME%\"\t\\"), "\"canary\"\t\\\n");
	/* A parenthesis ends the arguments only before % or a length. */
	CU_ASSERT_STRING_EQUAL(shown("%START_TIME((%H) %M)%"), "(03) 04\n");
}

static void test_refused(void)
{
	CU_ASSERT_STRING_EQUAL(refused("%NO_SUCH_THING%", MT_ALOG_TEXT),
		"column 1: NO_SUCH_THING is not an operator");
	CU_ASSERT_STRING_EQUAL(refused("ab 100% c", MT_ALOG_TEXT),
		"column 7: no operator follows this %; write %% for a percent sign");
	CU_ASSERT_STRING_EQUAL(refused("x\n  %REQ%\n", MT_ALOG_TEXT),
		"line 2, column 3: REQ needs a name in parentheses, for example (USER-AGENT)");
	CU_ASSERT_STRING_EQUAL(refused("%REQ(a?b?c)%", MT_ALOG_TEXT),
		"column 1: REQ takes one alternative name, after one ?");
	CU_ASSERT_PTR_NOT_NULL(
		strstr(refused("  %PROTOCOL", MT_ALOG_TEXT), "column 3: PROTOCOL does not end"));
	CU_ASSERT_PTR_NOT_NULL(strstr(refused("%REQ(x%", MT_ALOG_TEXT), "REQ does not end"));
	CU_ASSERT_PTR_NOT_NULL(strstr(refused("%REQ(x):y%", MT_ALOG_TEXT), "REQ does not end"));
	CU_ASSERT_PTR_NOT_NULL(strstr(refused("%", MT_ALOG_TEXT), "column 1"));
	CU_ASSERT_STRING_EQUAL(refused("%PROTOCOL(x)%", MT_ALOG_TEXT),
		"column 1: PROTOCOL does not take arguments");
	CU_ASSERT_STRING_EQUAL(
		refused("%DURATION:3%", MT_ALOG_TEXT), "column 1: DURATION does not take a length");
	CU_ASSERT_STRING_EQUAL(refused("%START_TIME(%H%n)%", MT_ALOG_TEXT),
		"column 1: START_TIME: the format of a time may not contain a newline");
	CU_ASSERT_STRING_EQUAL(refused("%START_TIME(%_5En)%", MT_ALOG_TEXT),
		"column 1: START_TIME: the format of a time may not contain a newline");
	CU_ASSERT_PTR_NOT_NULL(
		strstr(refused("%START_TIME(%9999999Y)%", MT_ALOG_TEXT), "127 bytes"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(refused("%COMMON_DURATION(DS_RX_BEG)%", MT_ALOG_TEXT), "two points"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(refused("%COMMON_DURATION(DS_RX_BEG:DS_TX_END:s)%", MT_ALOG_TEXT), "units"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(refused("%UPSTREAM_HOST_WITHOUT_PORT(129)%", MT_ALOG_TEXT), "prefix"));
	CU_ASSERT_PTR_NOT_NULL(strstr(refused("%REQ(a b)%", MT_ALOG_TEXT), "without spaces"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(refused("%DYNAMIC_METADATA%", MT_ALOG_TEXT), "NAMESPACE:KEY"));
	CU_ASSERT_PTR_NOT_NULL(strstr(refused("%ENVIRONMENT%", MT_ALOG_TEXT), "variable"));
}

/* Long formats are refused before they could make a line that is too long. */
static void test_long(void)
{
	static char text[MT_ALOG_FORMAT_TEXT + 2];

	memset(text, 'x', sizeof(text) - 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(refused(text, MT_ALOG_TEXT), "more than 32768 bytes"));
	text[MT_ALOG_LINE] = '\0';
	CU_ASSERT_PTR_NOT_NULL(strstr(refused(text, MT_ALOG_TEXT), "at least 8193 bytes"));
	text[MT_ALOG_LINE - 1] = '\0';
	CU_ASSERT_EQUAL(strlen(shown(text)), MT_ALOG_LINE);
	text[0] = '\0';
	for (int i = 0; i < 1100; i++)
		strcat(text, "%PROTOCOL% ");
	CU_ASSERT_PTR_NOT_NULL(strstr(refused(text, MT_ALOG_TEXT), "more than 1024 parts"));
}

/* COALESCE(JSON): the first operator that has a value. */
static void test_coalesce(void)
{
#define FIRST(list) "%COALESCE({\"operators\": [" list "]})%"
	static const struct {
		const char *text, *want;
	} shows[] = {
		{FIRST("\"PROTOCOL\""), "dubbo\n"},
		{FIRST("\"REQUESTED_SERVER_NAME\", \"ROUTE_NAME\", \"PROTOCOL\""), "canary\n"},
		{FIRST("{\"command\": \"REQ\", \"param\": \"nosuch\"}, {\"command\": \"REQ\", "
		       "\"param\": \":authority\", \"max_length\": 3}"),
			"org\n"},
		{"%COALESCE({\"operators\": [\"PROTOCOL\"]}):2% "
		 "%COALESCE({\"operators\": [{\"command\": \"REQ\", \"param\": "
		 "\":authority\", \"max_length\": 9}]}):3%",
			"du org\n"},
		{FIRST("\"REQUESTED_SERVER_NAME\", {\"command\": \"REQ\", \"param\": \"a?b\"}"),
			"-\n"},
		{FIRST("{\"command\": \"START_TIME\", \"param\": \"%Y\"}") "," FIRST(
			 "\"GRPC_STATUS\", \"RESPONSE_CODE\""),
			"2026,200\n"},
	};
	static const struct {
		const char *text, *words;
	} refusals[] = {
		{"%COALESCE%", "column 1: COALESCE needs JSON, for example"},
		{"a %COALESCE()%", "column 3: COALESCE needs JSON"},
		{"%COALESCE({\"operators\": {}})%", "COALESCE needs JSON"},
		{"%COALESCE({\"operators\": [\"PROTOCOL\"], \"x\": 1})%", "COALESCE needs JSON"},
		{FIRST(""), "a list of 1 to 16 operators"},
		{FIRST("1"), "needs names of operators, or objects"},
		{FIRST("{}"), "needs texts for command and param"},
		{FIRST("{\"command\": \"REQ\", \"params\": \"a\"}"),
			"takes command, param and max_length"},
		{FIRST("{\"command\": \"REQ\", \"param\": \"a\", \"max_length\": 0}"),
			"a whole number above 0 for max_length"},
		{FIRST("{\"command\": \"REQ\", \"param\": \"a\", \"max_length\": 1.5}"),
			"a whole number above 0 for max_length"},
		{FIRST("{\"operator\": \"REQ\", \"param\": \"a\"}"),
			"takes command, param and max_length"},
		{FIRST("\"NOSUCH\""), "COALESCE: NOSUCH is not an operator"},
		{FIRST("\"REQ\""), "REQ needs a name in parentheses"},
		{FIRST("{\"command\": \"PROTOCOL\", \"max_length\": 1}"),
			"PROTOCOL does not take a length"},
		{FIRST("\"COALESCE\""), "COALESCE cannot contain itself"},
	};
	struct mt_alog_format *f;

	for (size_t i = 0; i < MT_ARRAY_LEN(shows); i++)
		CU_ASSERT_STRING_EQUAL(shown(shows[i].text), shows[i].want);
	for (size_t i = 0; i < MT_ARRAY_LEN(refusals); i++) {
		bool said = strstr(refused(refusals[i].text, MT_ALOG_TEXT), refusals[i].words);

		CU_ASSERT_TRUE(said);
		if (!said)
			printf("\n%s: %s\n", refusals[i].text,
				refused(refusals[i].text, MT_ALOG_TEXT));
	}
	/* The names that it reads are keys of the format; operators without values are noted. */
	f = compiled(FIRST("\"GRPC_STATUS\", {\"command\": \"REQ\", \"param\": \"user\"}"),
		MT_ALOG_TEXT, false);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_PTR_NOT_NULL(strstr(mt_alog_note(f, 0), "GRPC_STATUS has no value"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(mt_alog_key(f, 0));
	CU_ASSERT_TRUE(mt_slice_eq_str(mt_alog_key(f, 0)->name, "user"));
	mt_alog_format_free(f);
}

/* In JSON a number keeps its type, and a member without a value may be left out. */
static void test_coalesce_json(void)
{
#define IN_JSON(list) "%COALESCE({\\\"operators\\\": [" list "]})%"
	static const char format[] =
		"{\"code\": \"" IN_JSON("\\\"RESPONSE_CODE\\\"") "\", \"none\": \"" IN_JSON(
			"\\\"REQUESTED_SERVER_NAME\\\"") "\"}";
	struct mt_alog_record r;

	record_of_call(&r);
	CU_ASSERT_STRING_EQUAL(
		line_of(format, MT_ALOG_JSON, false, &r), "{\"code\":200,\"none\":null}\n");
	CU_ASSERT_STRING_EQUAL(line_of(format, MT_ALOG_JSON, true, &r), "{\"code\":200}\n");
}

static void test_times(void)
{
	CU_ASSERT_STRING_EQUAL(shown("%START_TIME%"), "2026-01-02T03:04:05.678Z\n");
	CU_ASSERT_STRING_EQUAL(shown("%EMIT_TIME%"), "2026-01-02T03:04:07.678Z\n");
	CU_ASSERT_STRING_EQUAL(shown("%START_TIME(%Y/%m/%dT%H:%M:%S%z %s)%"),
		"2026/01/02T03:04:05+0000 1767323045\n");
	CU_ASSERT_STRING_EQUAL(
		shown("%START_TIME(%s.%3f %f %1f%9f)%"), "1767323045.678 678000000 6678000000\n");
	CU_ASSERT_STRING_EQUAL(shown("%START_TIME(%%s)%"), "%s\n");
	setenv("TZ", "UTC-2", 1);
	CU_ASSERT_STRING_EQUAL(shown("%START_TIME_LOCAL%"), "2026-01-02T05:04:05.678+0200\n");
	CU_ASSERT_STRING_EQUAL(
		shown("%EMIT_TIME_LOCAL(%T)% %START_TIME(%T)%"), "05:04:07 03:04:05\n");
	unsetenv("TZ");
	CU_ASSERT_STRING_EQUAL(
		shown("%DURATION% %REQUEST_TX_DURATION% %RESPONSE_DURATION%"), "5 0 4\n");
	CU_ASSERT_STRING_EQUAL(shown("%COMMON_DURATION(DS_RX_BEG:US_RX_BEG)% "
				     "%COMMON_DURATION(US_TX_END:US_RX_BEG:us)% "
				     "%COMMON_DURATION(US_TX_END:US_RX_BEG:ns)% "
				     "%COMMON_DURATION(US_RX_BEG:US_TX_END:us)% "
				     "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:ms)%"),
		"4 4400 4400000 0 -\n");
}

static void test_addresses(void)
{
	struct mt_alog_record r;

	CU_ASSERT_STRING_EQUAL(shown("%UPSTREAM_HOST% %UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% "
				     "%DOWNSTREAM_LOCAL_PORT% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"),
		"198.51.100.12:20880 198.51.100.1 20880 -\n");
	CU_ASSERT_STRING_EQUAL(shown("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(16)% "
				     "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(0)% "
				     "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(64)% "
				     "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(31)%"),
		"192.0.0.0/16 0.0.0.0/0 192.0.2.2/32 192.0.2.2/31\n");
	record_of_call(&r);
	CU_ASSERT_EQUAL(mt_addr_parse("2001:db8::ffff:1", &r.ends[MT_ALOG_CLIENT].addr), 0);
	CU_ASSERT_STRING_EQUAL(
		line_of("%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% "
			"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(32)%",
			MT_ALOG_TEXT, false, &r),
		"[2001:db8::ffff:1]:57632 2001:db8::ffff:1 2001:db8::/32\n");
}

/* Codes, flags and details, with and without a reason. */
static void test_endings(void)
{
	static const char format[] = "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% "
				     "%CONNECTION_TERMINATION_DETAILS%";
	struct mt_alog_record r;

	record_of_call(&r);
	r.ending = MT_ENDING_connection_lost;
	r.flags = MT_FLAG_URX;
	CU_ASSERT_STRING_EQUAL(line_of(format, MT_ALOG_TEXT, false, &r),
		"503 UC,URX upstream_reset_before_response_started{connection_termination} -\n");
	CU_ASSERT_STRING_EQUAL(line_of("%RESPONSE_FLAGS_LONG%", MT_ALOG_TEXT, false, &r),
		"UpstreamConnectionTermination,UpstreamRetryLimitExceeded\n");
	r.flags = 0;
	r.ending = MT_ENDING_token_refused;
	CU_ASSERT_STRING_EQUAL(
		line_of(format, MT_ALOG_TEXT, false, &r), "401 - jwt_authn_access_denied -\n");
	mt_alog_set_text(&r, MT_ALOG_REASON, "Jwt is expired");
	CU_ASSERT_STRING_EQUAL(line_of(format, MT_ALOG_TEXT, false, &r),
		"401 - jwt_authn_access_denied{Jwt_is_expired} -\n");
	r.ending = MT_ENDING_ok;
	CU_ASSERT_STRING_EQUAL(line_of(format, MT_ALOG_TEXT, false, &r), "200 - via_upstream -\n");
	r.texts[MT_ALOG_REASON].p = NULL;
	r.ending = MT_ENDING_connection_denied;
	CU_ASSERT_STRING_EQUAL(line_of(format, MT_ALOG_TEXT, false, &r),
		"0 - rbac_access_denied_matched_policy[none] "
		"rbac_access_denied_matched_policy[none]\n");
	r.ending = MT_ENDING_fault;
	r.code = 418;
	CU_ASSERT_STRING_EQUAL(
		line_of(format, MT_ALOG_TEXT, false, &r), "418 FI fault_filter_abort -\n");
	r.ending = MT_ENDING_stream;
	r.code = 0;
	r.type = MT_ALOG_TCP_END;
	CU_ASSERT_STRING_EQUAL(line_of("%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %ACCESS_LOG_TYPE%",
				       MT_ALOG_TEXT, false, &r),
		"0 - TcpConnectionEnd\n");
}

static struct mt_slice slice(const char *text)
{
	return (struct mt_slice){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static void test_named(void)
{
	const struct mt_alog_named named[] = {
		{MT_ALOG_REQUEST, {0}, slice("user-agent"),
			{MT_VALUE_TEXT, {.text = slice("curl")}}},
		{MT_ALOG_RESPONSE, {0}, slice("Cost"), {MT_VALUE_INT, {.n = -12}}},
		{MT_ALOG_DYNAMIC, slice("meltemi"), slice("class"),
			{MT_VALUE_TEXT, {.text = slice("call")}}},
		{MT_ALOG_DYNAMIC, slice("thrift.proxy"), slice("request:message_type"),
			{MT_VALUE_TEXT, {.text = slice("call")}}},
		{MT_ALOG_PEER, slice("downstream_peer"), slice("workload"),
			{MT_VALUE_TEXT, {.text = slice("sleep")}}},
		{MT_ALOG_DYNAMIC, slice("meltemi"), slice("mtls"),
			{.type = MT_VALUE_BOOL, {.yes = true}}},
	};
	struct mt_alog_record r;

	record_of_call(&r);
	r.named = named;
	r.n_named = MT_ARRAY_LEN(named);
	CU_ASSERT_STRING_EQUAL(
		line_of("%REQ(USER-AGENT)% %REQ(user-agent):2% %REQ(X?User-Agent)% %REQ(X?Y)% "
			"%REQ(Cost)% %RESP(COST)% %REQ(USER-AGENT):0%|%REQ(:SCHEME?:METHOD)%",
			MT_ALOG_TEXT, false, &r),
		"curl cu curl - - -12 |sayHello\n");
	CU_ASSERT_STRING_EQUAL(
		line_of("%DYNAMIC_METADATA(meltemi:class)% %DYNAMIC_METADATA(meltemi:Class)% "
			"%DYNAMIC_METADATA(thrift.proxy:request:message_type)% "
			"%DYNAMIC_METADATA(meltemi:mtls)% "
			"%FILTER_STATE(downstream_peer:FIELD:workload)% "
			"%FILTER_STATE(upstream_peer:FIELD:workload)%",
			MT_ALOG_TEXT, false, &r),
		"call - call true sleep -\n");
}

/* Dynamic metadata of Envoy's proxies, each for calls of its protocol. */
static void test_dynamic(void)
{
	static const char text[] =
		"%DYNAMIC_METADATA(meltemi:service)% %DYNAMIC_METADATA(meltemi:method)% "
		"%DYNAMIC_METADATA(meltemi:kind)% %DYNAMIC_METADATA(dubbo.proxy:interface):3% "
		"%DYNAMIC_METADATA(dubbo.proxy:method)% %DYNAMIC_METADATA(dubbo.proxy:version)% "
		"%DYNAMIC_METADATA(dubbo.proxy:group)% %DYNAMIC_METADATA(thrift.proxy:method)% "
		"%DYNAMIC_METADATA(thrift.proxy:cluster_name)%";
	const struct mt_alog_named version = {
		MT_ALOG_REQUEST, {0}, slice("version"), {MT_VALUE_TEXT, {.text = slice("1.0")}}};
	struct mt_alog_record r;

	record_of_call(&r);
	r.named = &version;
	r.n_named = 1;
	CU_ASSERT_STRING_EQUAL(line_of(text, MT_ALOG_TEXT, false, &r),
		"org.example.DemoService sayHello call org sayHello 1.0 - - -\n");
	mt_alog_set_text(&r, MT_ALOG_PROTOCOL, "thrift");
	r.oneway = true;
	CU_ASSERT_STRING_EQUAL(line_of(text, MT_ALOG_TEXT, false, &r),
		"org.example.DemoService sayHello oneway - - - - sayHello "
		"outbound|20880||org.example.demoservice\n");
	r.type = MT_ALOG_TCP_END;
	CU_ASSERT_STRING_EQUAL(
		line_of("%DYNAMIC_METADATA(meltemi:kind)%", MT_ALOG_TEXT, false, &r), "-\n");
}

/* Without an interface, and without a method. */
static void test_path(void)
{
	struct mt_alog_record r;

	record_of_call(&r);
	r.texts[MT_ALOG_INTERFACE].p = NULL;
	CU_ASSERT_STRING_EQUAL(line_of("%REQ(:PATH)%", MT_ALOG_TEXT, false, &r), "/sayHello\n");
	r.texts[MT_ALOG_METHOD].p = NULL;
	CU_ASSERT_STRING_EQUAL(
		line_of("%REQ(:PATH)% %REQ(:METHOD)%", MT_ALOG_TEXT, false, &r), "- -\n");
	CU_ASSERT_STRING_EQUAL(line_of("[%REQ(:PATH)%]", MT_ALOG_TEXT, true, &r), "[]\n");
}

static void test_constants(void)
{
	char host[256] = "", line[300];

	CU_ASSERT_EQUAL(gethostname(host, sizeof(host) - 1), 0);
	snprintf(line, sizeof(line), "%s\n", host);
	CU_ASSERT_STRING_EQUAL(shown("%HOSTNAME%"), line);
	setenv("MELTEMI_TEST", "some value", 1);
	CU_ASSERT_STRING_EQUAL(shown("%ENVIRONMENT(MELTEMI_TEST)% %ENVIRONMENT(MELTEMI_TEST):4% "
				     "%ENVIRONMENT(NO_SUCH)%"),
		"some value some -\n");
	unsetenv("MELTEMI_TEST");
}

/* Operators of Envoy without a value are accepted and noted; names that a format reads are listed. */
static void test_notes(void)
{
	struct mt_alog_format *f =
		compiled("%GRPC_STATUS% %REQ(:SCHEME)% %FILTER_STATE(x)% %TRAILER(y):3% "
			 "%REQ(a?b)% %REQ(A)% %REQ(a)% %RESP(a)% %DYNAMIC_METADATA(n:k)%",
			MT_ALOG_TEXT, false);

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_STRING_EQUAL(mt_alog_note(f, 0), "GRPC_STATUS has no value, it is always empty");
	CU_ASSERT_STRING_EQUAL(mt_alog_note(f, 1),
		"REQ(:SCHEME) has no value, because RPC protocols do not have it");
	CU_ASSERT_PTR_NOT_NULL(
		strstr(mt_alog_note(f, 2), "FILTER_STATE(x) has no value: there are"));
	CU_ASSERT_STRING_EQUAL(mt_alog_note(f, 3), "TRAILER(y) has no value, it is always empty");
	CU_ASSERT_PTR_NULL(mt_alog_note(f, 4));
	CU_ASSERT_EQUAL(mt_alog_key(f, 0)->from, MT_ALOG_REQUEST);
	CU_ASSERT_TRUE(mt_slice_eq_str(mt_alog_key(f, 0)->name, "a"));
	CU_ASSERT_TRUE(mt_slice_eq_str(mt_alog_key(f, 1)->name, "b"));
	CU_ASSERT_TRUE(mt_slice_eq_str(mt_alog_key(f, 2)->name, "A"));
	CU_ASSERT_EQUAL(mt_alog_key(f, 3)->from, MT_ALOG_RESPONSE);
	CU_ASSERT_TRUE(mt_slice_eq_str(mt_alog_key(f, 4)->space, "n"));
	CU_ASSERT_PTR_NULL(mt_alog_key(f, 5));
	mt_alog_format_free(f);
}

/* Each operator of the table can be compiled and rendered, without any value too. */
static void test_every_operator(void)
{
	static const char *const arguments[] = {"", "(x)", "(x:y)", "(downstream_peer:FIELD:z)",
		"(DS_RX_BEG:DS_TX_END:us)", "({\"operators\": [\"PROTOCOL\"]})"};
	static const char *const names[] = {
#define MT_ALOG_OPERATOR(name, source, index, arguments) #name,
#include "operators.def"
#undef MT_ALOG_OPERATOR
	};
	struct mt_alog_record none;

	memset(&none, 0, sizeof(none));
	for (uint32_t i = 0; i < MT_ARRAY_LEN(names); i++) {
		uint32_t good = 0;

		for (uint32_t k = 0; k < MT_ARRAY_LEN(arguments); k++) {
			char format[200];

			snprintf(format, sizeof(format), "%%%s%s%%", names[i], arguments[k]);
			if (refused(format, MT_ALOG_TEXT)[0])
				continue;
			good++;
			CU_ASSERT_TRUE(strlen(shown(format)) > 1);
			CU_ASSERT_TRUE(strlen(line_of(format, MT_ALOG_TEXT, false, &none)) > 1);
		}
		CU_ASSERT_TRUE(good > 0);
		for (uint32_t k = 0; k < i; k++)
			CU_ASSERT_STRING_NOT_EQUAL(names[i], names[k]);
	}
}

const struct mt_test format_tests[] = {
	{"default", test_default},
	{"syntax", test_syntax},
	{"refused", test_refused},
	{"long", test_long},
	{"coalesce", test_coalesce},
	{"coalesce in json", test_coalesce_json},
	{"times", test_times},
	{"addresses", test_addresses},
	{"endings", test_endings},
	{"named", test_named},
	{"dynamic metadata", test_dynamic},
	{"path", test_path},
	{"constants", test_constants},
	{"notes", test_notes},
	{"every operator", test_every_operator},
	{0},
};
