/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of outputs: each attribute, errors, and what an absent value does. */
#include "mt_alog_filter.h"
#include "suites.h"

static bool passes(const char *text, const struct mt_alog_record *r)
{
	struct mt_err e = {""};
	struct mt_alog_filter *f = mt_alog_filter_new(text, &e);
	bool yes;

	if (!f)
		printf("\n  `%s`: %s\n", text, e.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	yes = mt_alog_filter_passes(f, r);
	/* A second evaluation uses the memory of the first. */
	CU_ASSERT_EQUAL(mt_alog_filter_passes(f, r), yes);
	mt_alog_filter_free(f);
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

static void refused_filters(void)
{
	static const struct {
		const char *text, *want;
	} t[] = {
		{"response.code >=", "column 17: the expression ends where a value is missing"},
		{"request.headers['a'] == 'b'", "column 1: `request.headers` is not an attribute "
						"here; attributes are request.path"},
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
	{"long texts in filters", long_texts}, {"filters that are refused", refused_filters}, {0}};
