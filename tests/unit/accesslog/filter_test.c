/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of outputs: each attribute, errors, and what an absent value does. */
#include "mt_alog_names.h"
#include "suites.h"

#include <stdlib.h>

static bool passes(const char *text, const struct mt_alog_record *r)
{
	struct mt_err e = {""};
	struct mt_alog_filter *f = mt_alog_filter_new(text, &e);
	struct mt_alog_trial *t = malloc(mt_alog_trial_size());
	bool yes;

	if (!f)
		printf("\n  `%s`: %s\n", text, e.text);
	CU_ASSERT_TRUE_FATAL(f && t);
	yes = mt_alog_filter_passes(f, t, r);
	/* A second evaluation uses the memory of the first. */
	CU_ASSERT_EQUAL(mt_alog_filter_passes(f, t, r), yes);
	mt_alog_filter_free(f);
	free(t);
	return yes;
}

static void check(const char *text, const struct mt_alog_record *r, bool want)
{
	bool got = passes(text, r);

	if (got != want)
		printf("\n  `%s` is %s\n", text, got ? "true" : "false");
	CU_ASSERT_EQUAL(got, want);
}

/* Each attribute of a call has the value that its line has. */
static void attributes(void)
{
	static const char *const all[] = {
		"request.path == '/org.example.DemoService/sayHello'",
		"request.url_path.endsWith('/sayHello')",
		"request.method == 'sayHello'",
		"request.host == 'org.example.demoservice'",
		"request.protocol == 'dubbo'",
		"request.time == timestamp('2026-01-02T03:04:05.678Z')",
		"request.duration == duration('5.1ms')",
		"request.size == 241 && request.total_size == 241",
		"response.code == 200 && response.code < 400",
		"response.code_details == 'via_upstream'",
		"response.flags == 0",
		"response.size == 120 && response.total_size == 120",
		"response.backend_latency == duration('4.4ms')",
		"source.address == '192.0.2.2:57632' && source.port == 57632",
		"destination.address == '240.240.1.1:20880' && destination.port == 20880",
		"upstream.address == '198.51.100.12:20880' && upstream.port == 20880",
		"upstream.local_address == '198.51.100.1:39221'",
		"upstream.request_attempt_count == 1u",
		"xds.cluster_name == 'outbound|20880||org.example.demoservice'",
		"xds.route_name == 'canary'",
		"request.path.matches('Demo.*/say') && !request.path.matches('^say')",
	};
	struct mt_alog_record r;

	record_of_call(&r);
	mt_alog_set_number(&r, MT_ALOG_ATTEMPTS, 1);
	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++) {
		char not_so[200];

		check(all[i], &r, true);
		snprintf(not_so, sizeof(not_so), "!(%s)", all[i]);
		check(not_so, &r, false);
	}
}

/* The code, details and flags of other endings; the record's own code counts first. */
static void endings(void)
{
	struct mt_alog_record r;

	record_of_call(&r);
	r.ending = MT_ENDING_no_route;
	check("response.code == 404 && response.code_details == 'route_not_found'", &r, true);
	check("response.flags == 256", &r, true);
	check("response.code >= 500 || response.flags != 0", &r, true);
	r.code = 503;
	r.flags = MT_FLAG_URX;
	check("response.code == 503 && response.flags > 256", &r, true);
}

/* A value that is not known is an error, and an error is false. */
static void absent(void)
{
	static const char *const texts[] = {"request.path", "request.method", "request.host",
		"request.protocol", "response.backend_latency", "request.duration", "request.size",
		"source.address", "source.port", "upstream.address", "upstream.port",
		"upstream.request_attempt_count", "xds.cluster_name", "xds.route_name"};
	struct mt_alog_record r = {.ending = MT_ENDING_bad_request};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		char text[200];

		snprintf(text, sizeof(text), "!has(%s)", texts[i]);
		check(text, &r, true);
		snprintf(text, sizeof(text), "%s == dyn('a')", texts[i]);
		check(text, &r, false);
		snprintf(text, sizeof(text), "!(%s == dyn('a'))", texts[i]);
		check(text, &r, false);
		snprintf(text, sizeof(text), "%s == dyn('a') || response.code == 400", texts[i]);
		check(text, &r, true);
	}
	check("has(request.time) && has(response.flags) && has(response.code)", &r, true);
}

/* The longest names that a client can send have their path whole. */
static void long_texts(void)
{
	static char name[257];
	struct mt_alog_record r;

	memset(name, 'n', sizeof(name) - 1);
	record_of_call(&r);
	mt_alog_set_text(&r, MT_ALOG_INTERFACE, name);
	mt_alog_set_text(&r, MT_ALOG_METHOD, name);
	check("size(request.path) == 514 && request.path.endsWith('n')", &r, true);
	check("request.path == request.url_path && request.path != source.address", &r, true);
}

/* Metadata that is there and that is not; names are compared without case. */
static void metadata(void)
{
	static const struct mt_alog_named named[] = {
		{MT_ALOG_REQUEST, {NULL, 0}, {(const uint8_t *)"x-user", 6},
			{MT_VALUE_TEXT, {.text = {(const uint8_t *)"anna", 4}}}},
		{MT_ALOG_RESPONSE, {NULL, 0}, {(const uint8_t *)"x-cost", 6},
			{MT_VALUE_TEXT, {.text = {(const uint8_t *)"7", 1}}}},
	};
	struct mt_alog_record r;

	record_of_call(&r);
	check("has(request.headers.user) || request.headers['x-user'] == 'anna'", &r, false);
	check("'x-user' in request.headers", &r, false);
	r.named = named;
	r.n_named = MT_ARRAY_LEN(named);
	check("request.headers['x-user'] == 'anna' && int(response.headers['X-COST']) == 7", &r,
		true);
	check("'X-User' in request.headers && !('x-user' in response.headers)", &r, true);
	check("!has(request.headers.user) && has(request.headers)", &r, true);
	check("request.headers['x-cost'] == '7' || request.headers['x-user'] != 'anna'", &r, false);
}

/* The names that a format and a filter read, each once and in lower case. */
static void names(void)
{
	struct mt_alog_names all = {0};
	struct mt_err e = {""};
	char text[4096];
	struct mt_alog_format *f = compiled("%REQ(X-User?:PATH)% %RESP(x-Cost):3% %REQ(:METHOD)% "
					    "%DYNAMIC_METADATA(meltemi:kind)% %PROTOCOL% "
					    "%COALESCE({\"operators\": [{\"command\": \"REQ\", "
					    "\"param\": \"tenant\"}]})%",
		MT_ALOG_TEXT, false);
	struct mt_alog_filter *filter = mt_alog_filter_new(
		"request.headers['x-user'] == 'a' || 'x-b' in response.headers || "
		"has(request.headers.C) || response.headers['x-cost'] == request.headers.d",
		&e);

	CU_ASSERT_TRUE_FATAL(f && filter);
	CU_ASSERT_TRUE(mt_alog_name(&all, f, NULL));
	CU_ASSERT_TRUE(mt_alog_name(&all, f, filter));
	CU_ASSERT_EQUAL_FATAL(all.n[MT_ALOG_REQUEST], 4);
	CU_ASSERT_EQUAL_FATAL(all.n[MT_ALOG_RESPONSE], 2);
	CU_ASSERT_STRING_EQUAL(all.of[MT_ALOG_REQUEST][0], "x-user");
	CU_ASSERT_STRING_EQUAL(all.of[MT_ALOG_REQUEST][1], "tenant");
	CU_ASSERT_STRING_EQUAL(all.of[MT_ALOG_REQUEST][2], "c");
	CU_ASSERT_STRING_EQUAL(all.of[MT_ALOG_REQUEST][3], "d");
	CU_ASSERT_STRING_EQUAL(all.of[MT_ALOG_RESPONSE][0], "x-cost");
	CU_ASSERT_STRING_EQUAL(all.of[MT_ALOG_RESPONSE][1], "x-b");
	mt_alog_format_free(f);
	/* Further names find no room, and names that are there already need none. */
	text[0] = '\0';
	for (uint32_t i = 0; i < MT_ALOG_NAMES; i++)
		snprintf(text + strlen(text), 16, "%%REQ(n%u)%%", i);
	f = compiled(text, MT_ALOG_TEXT, false);
	CU_ASSERT_FALSE(mt_alog_name(&all, f, NULL));
	CU_ASSERT_EQUAL(all.n[MT_ALOG_REQUEST], MT_ALOG_NAMES);
	mt_alog_format_free(f);
	f = compiled("%REQ(d)% %REQ(n1)%", MT_ALOG_TEXT, false);
	CU_ASSERT_TRUE(mt_alog_name(&all, f, filter));
	mt_alog_format_free(f);
	mt_alog_filter_free(filter);
}

static void too_many_names(void)
{
	struct mt_err e = {""};
	char text[4096] = "'a' in request.headers";
	struct mt_alog_filter *f;

	for (uint32_t i = 1; i < 64; i++)
		strcat(text, " || 'a' in request.headers");
	f = mt_alog_filter_new(text, &e);
	CU_ASSERT_PTR_NOT_NULL(f);
	mt_alog_filter_free(f);
	strcat(text, " || 'a' in request.headers");
	CU_ASSERT_PTR_NULL(mt_alog_filter_new(text, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "the filter reads metadata more than 64 times"));
}

static void refused_filters(void)
{
	static const struct {
		const char *text, *want;
	} t[] = {
		{"response.code >=", "column 17: the expression ends where a value is missing"},
		{"request.query == 'b'", "column 1: `request.query` is not an attribute "
					 "here; attributes are request.path"},
		{"request.size > 1 && request.headers[request.method] == 'b'",
			"column 21: the name of metadata must be a constant, as in"},
		{"(request.size > 1 ? 'a' : 'b') in response.headers",
			"column 35: the name of metadata must be a constant, as in"},
		{"dyn(request.headers)['a'] == 'b'", "column 5: the name of metadata must be"},
		{"connection.mtls", "column 1: `connection` is not an attribute here"},
		{"response.code", "column 1: the filter is of type int; compare it"},
		{"response.code == '200'", "column 15: `==` does not take int and string"},
		{"", "column 1: the expression is empty"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_err e = {""};

		CU_ASSERT_PTR_NULL(mt_alog_filter_new(t[i].text, &e));
		if (!strstr(e.text, t[i].want))
			printf("\n  `%s`: %s\n", t[i].text, e.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, t[i].want));
	}
	mt_alog_filter_free(NULL);
}

const struct mt_test filter_tests[] = {{"attributes of filters", attributes},
	{"endings in filters", endings}, {"absent values in filters", absent},
	{"long texts in filters", long_texts}, {"metadata in filters", metadata},
	{"names of metadata", names}, {"too many names in a filter", too_many_names},
	{"filters that are refused", refused_filters}, {0}};
