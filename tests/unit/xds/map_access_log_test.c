/* SPDX-License-Identifier: Apache-2.0 */
/* access_log of proxies, also of tcp_proxy: loggers, formats, and what is not written; and tracing. */
#include "map_fixture.h"

#include "listener.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LISTENER                                                                                   \
	"{'name': 'l', 'address': {'socket_address': {'address': '192.0.2.1', 'port_value': "      \
	"80}}, "                                                                                   \
	"'filter_chains': [{'filters': [{'name': 'p', 'typed_config': %s}]}]}"
#define META                                                                                       \
	"{'@type': 'type.googleapis.com/aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy', "   \
	"'codec': {'name': 'dubbo'}, 'route_config': {'routes': [{'route': {'cluster': 'c'}}]}"
#define THRIFT                                                                                     \
	"{'@type': 'type.googleapis.com/envoy.extensions.filters.network.thrift_proxy.v3."         \
	"ThriftProxy', 'route_config': {'routes': [{'match': {'method_name': ''}, 'route': "       \
	"{'cluster': 'c'}}]}"
#define TCP                                                                                        \
	"{'@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', " \
	"'stat_prefix': 's', 'cluster': 'c'"
#define LOGS	 "type.googleapis.com/envoy.extensions.access_loggers."
#define FILE_LOG "{'name': 'a', 'typed_config': {'@type': '" LOGS "file.v3.FileAccessLog', 'path': "

/* Each log as "PATH json omit FORMAT"; a format that is not set is "default". */
static const char *logs_of(const char *proxy, const char *logs, const char **ignored)
{
	static char found[1024];
	char config[2048];
	struct mapped m;
	const struct mt_res_listener *l;
	const struct mt_chain_logs *all;
	size_t n = 0;

	snprintf(config, sizeof(config), "%s, 'access_log': [%s]}", proxy, logs);
	m = map_text(MT_XDS_LDS, in_text(LISTENER, config));
	if (m.rc)
		printf("\n  %s\n", m.why.text);
	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	l = (const void *)m.m.meta;
	all = l->chains[0].proxy ? &l->chains[0].proxy->logs : &l->chains[0].logs;
	CU_ASSERT_PTR_NOT_NULL(all->v);
	found[0] = '\0';
	for (uint32_t i = 0; i < all->n; i++) {
		const struct mt_chain_log *c = &all->v[i];

		n += (size_t)snprintf(found + n, sizeof(found) - n, "%s%s%s%s %s", i ? "; " : "",
			c->path.s, c->json ? " json" : "", c->omit_empty ? " omit" : "",
			c->format.s ? c->format.s : "default");
	}
	if (ignored) {
		static char words[1024];

		snprintf(words, sizeof(words), "%s", ignored_str(&m));
		*ignored = words;
	}
	unmap(&m);
	return found;
}

static void loggers(void)
{
	CU_ASSERT_STRING_EQUAL(logs_of(META, "", NULL), "");
	CU_ASSERT_STRING_EQUAL(logs_of(META, FILE_LOG "'/var/log/meltemi/a.log'}}", NULL),
		"/var/log/meltemi/a.log default");
	CU_ASSERT_STRING_EQUAL(
		logs_of(THRIFT, FILE_LOG "'/dev/stdout'}}", NULL), "/dev/stdout default");
	CU_ASSERT_STRING_EQUAL(logs_of(META,
				       "{'name': 'a', 'typed_config': {'@type': '" LOGS
				       "stream.v3.StdoutAccessLog'}}, {'name': 'b', "
				       "'typed_config': {'@type': '" LOGS
				       "stream.v3.StderrAccessLog', 'log_format': {'text_format': "
				       "'x'}}}",
				       NULL),
		"/dev/stdout default; /dev/stderr x");
}

/* Opaque TCP has the same loggers. A note says that there are no lines before the end of a connection. */
static void of_tcp(void)
{
	const char *ignored;

	CU_ASSERT_STRING_EQUAL(logs_of(TCP, "", &ignored), "");
	CU_ASSERT_STRING_EQUAL(ignored, "");
	CU_ASSERT_STRING_EQUAL(
		logs_of(TCP,
			FILE_LOG "'/a', 'log_format': {'text_format': '%PROTOCOL%'}}}, " FILE_LOG
				 "'/b', 'json_format': {'in': '%BYTES_RECEIVED%'}}}, "
				 "{'name': 'c', 'typed_config': {'@type': '" LOGS
				 "stream.v3.StdoutAccessLog'}}",
			&ignored),
		"/a %PROTOCOL%; /b json {\"in\": \"%BYTES_RECEIVED%\"}; /dev/stdout default");
	CU_ASSERT_STRING_EQUAL(ignored, "");
	CU_ASSERT_STRING_EQUAL(logs_of(TCP ", 'access_log_flush_interval': '5s', "
					   "'flush_access_log_on_connected': true",
				       FILE_LOG "'/a'}}", &ignored),
		"/a default");
	CU_ASSERT_PTR_NOT_NULL(
		strstr(ignored, "access_log_flush_interval: a connection leaves one"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(ignored, "flush_access_log_on_connected: a connection leaves one"));
}

/* A listener has logs of its own; a note says which connections leave a line there. */
static void of_listener(void)
{
	struct mapped m = map_text(MT_XDS_LDS,
		in_text("{'name': 'l', 'address': {'socket_address': {'address': '192.0.2.1', "
			"'port_value': 80}}, 'filter_chains': [{'filters': [{'name': 'p', "
			"'typed_config': " TCP "}}]}], 'access_log': [%s]}",
			FILE_LOG "'/a', 'format': 'x'}}, " FILE_LOG "''}}"));
	const struct mt_res_listener *l = (const void *)m.m.meta;

	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_EQUAL_FATAL(l->logs.n, 1);
	CU_ASSERT_STRING_EQUAL(l->logs.v[0].path.s, "/a");
	CU_ASSERT_STRING_EQUAL(l->logs.v[0].format.s, "x");
	CU_ASSERT_STRING_EQUAL(l->logs.v[0].field, "access_log[0]");
	CU_ASSERT_EQUAL(l->chains[0].logs.n, 0);
	CU_ASSERT_EQUAL(m.m.n_ignored, 2);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(ignored_str(&m), "access_log: connections that a chain gets"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(ignored_str(&m), "access_log[1].typed_config: without a path"));
	unmap(&m);
}

/* A tcp_proxy that is an extension has its logs. */
static void of_extension(void)
{
	struct mapped m = map_text(MT_XDS_ECDS, in_text("{'name': 'x', 'typed_config': %s}", TCP
							", 'access_log': [" FILE_LOG "'/a'}}]}"));
	const struct mt_res_extension *x = (const void *)m.m.meta;

	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_PTR_NULL(x->chain.proxy);
	CU_ASSERT_EQUAL_FATAL(x->chain.logs.n, 1);
	CU_ASSERT_STRING_EQUAL(x->chain.logs.v[0].path.s, "/a");
	CU_ASSERT_STRING_EQUAL(x->chain.logs.v[0].field, "typed_config.access_log[0]");
	unmap(&m);
}

static void formats(void)
{
	CU_ASSERT_STRING_EQUAL(
		logs_of(META, FILE_LOG "'/a', 'format': '%PROTOCOL%'}}", NULL), "/a %PROTOCOL%");
	CU_ASSERT_STRING_EQUAL(logs_of(META, FILE_LOG "'/a', 'format': ''}}", NULL), "/a default");
	CU_ASSERT_STRING_EQUAL(logs_of(META,
				       FILE_LOG "'/a', 'log_format': {'text_format_source': "
						"{'inline_string': 'x'}}}}",
				       NULL),
		"/a x");
	CU_ASSERT_STRING_EQUAL(logs_of(META,
				       FILE_LOG "'/a', 'log_format': {'json_format': {'b': "
						"'%DURATION%', 'a': {'n': [1, 2.5, true, null]}}, "
						"'omit_empty_values': true}}}",
				       NULL),
		"/a json omit {\"a\": {\"n\": [1, 2.5, true, null]}, \"b\": \"%DURATION%\"}");
	CU_ASSERT_STRING_EQUAL(
		logs_of(META, FILE_LOG "'/a', 'typed_json_format': {'b': '%DURATION%'}}}", NULL),
		"/a json {\"b\": \"%DURATION%\"}");
	CU_ASSERT_STRING_EQUAL(logs_of(META, FILE_LOG "'/a', 'json_format': {'b': 'x'}}}", NULL),
		"/a json {\"b\": \"x\"}");
}

/* Logs that are not written cost neither the others nor the listener, and are named. */
static void not_written(void)
{
#define WHERE "filter_chains[0].filters[0].typed_config.access_log[0]"
	static const struct {
		const char *log, *words;
	} rows[] = {
		{"{'name': 'envoy.access_loggers.file'}", ".typed_config: any but files"},
		{"{'name': 'a', 'typed_config': {'@type': '" LOGS
		 "grpc.v3.TcpGrpcAccessLogConfig'}}",
			".typed_config: any but files"},
		{FILE_LOG "'/a'}, 'filter': {'traceable_filter': {}}}",
			".filter: one that cannot be evaluated exactly"},
		{FILE_LOG "''}}", ".typed_config: without a path"},
		{FILE_LOG "'/a\\n'}}", ".typed_config: without a path"},
		{FILE_LOG "'/a', 'log_format': {}}}", ".typed_config: without a path, or"},
		{FILE_LOG "'/a', 'log_format': {'text_format_source': {'filename': '/f'}}}}",
			".typed_config: without a path, or"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const char *ignored;
		char all[512];

		snprintf(all, sizeof(all), "%s, " FILE_LOG "'/other'}}", rows[i].log);
		CU_ASSERT_STRING_EQUAL(logs_of(META, all, &ignored), "/other default");
		CU_ASSERT_PTR_NOT_NULL(strstr(ignored, rows[i].words));
		CU_ASSERT_PTR_NOT_NULL(strstr(ignored, WHERE));
		CU_ASSERT_STRING_EQUAL(logs_of(TCP, all, &ignored), "/other default");
		CU_ASSERT_PTR_NOT_NULL(strstr(ignored, rows[i].words));
		if (!strstr(ignored, rows[i].words))
			printf("\n  %s: %s\n", rows[i].words, ignored);
	}
#undef WHERE
}

/* `tracing`: the share of calls, the smaller of two, and what is refused. */
static void tracing(void)
{
	static const struct {
		const char *tracing, *why; /* tracing NULL: not set; why NULL: it is mapped */
		bool set;
		uint32_t share;
	} rows[] = {
		{NULL, NULL, false, 0},
		{"{}", NULL, true, 10000},
		{"{'client_sampling': {'value': 0}}", NULL, true, 10000},
		{"{'client_sampling': {'value': 100}, 'random_sampling': {'value': 12.5}, "
		 "'overall_sampling': {'value': 100}}",
			NULL, true, 1250},
		{"{'random_sampling': {'value': 50}, 'overall_sampling': {'value': 1}}", NULL, true,
			100},
		{"{'random_sampling': {}}", NULL, true, 0},
		{"{'random_sampling': {'value': 100.5}}",
			"tracing.random_sampling: not a percentage", false, 0},
		{"{'overall_sampling': {'value': -1}}",
			"tracing.overall_sampling: not a percentage", false, 0},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const struct mt_res_listener *l;
		char config[2048];
		struct mapped m;

		snprintf(config, sizeof(config), "%s%s%s}", META,
			rows[i].tracing ? ", 'tracing': " : "",
			rows[i].tracing ? rows[i].tracing : "");
		m = map_text(MT_XDS_LDS, in_text(LISTENER, config));
		l = (const void *)m.m.meta;
		CU_ASSERT_EQUAL(m.rc, rows[i].why ? -EINVAL : 0);
		if (rows[i].why) {
			CU_ASSERT_PTR_NOT_NULL(strstr(m.why.text, rows[i].why));
		} else if (!m.rc) {
			const struct mt_num *traced = &l->chains[0].proxy->traced;

			CU_ASSERT_EQUAL(traced->set, rows[i].set);
			CU_ASSERT_EQUAL(traced->set ? traced->v : 0, rows[i].share);
			CU_ASSERT_STRING_EQUAL(ignored_str(&m), "");
		}
		unmap(&m);
	}
}

/* "EXPRESSION skips N own"; "all": no expression; "none": the log has no lines. */
static const char *filter_of(const char *filter, const char **ignored)
{
	static char found[512], words[1024];
	char config[2048];
	struct mapped m;
	const struct mt_chain_logs *all;

	snprintf(config, sizeof(config),
		TCP
		", 'access_log': [{'filter': {%s}, 'name': 'a', 'typed_config': {'@type': '" LOGS
		"stream.v3.StdoutAccessLog'}}]}",
		filter);
	m = map_text(MT_XDS_LDS, in_text(LISTENER, config));
	if (m.rc)
		printf("\n  %s\n", m.why.text);
	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	all = &((const struct mt_res_listener *)(const void *)m.m.meta)->chains[0].logs;
	snprintf(words, sizeof(words), "%s", ignored_str(&m));
	*ignored = words;
	if (!all->n)
		snprintf(found, sizeof(found), "none");
	else if (all->v[0].skips)
		snprintf(found, sizeof(found), "%s skips %u%s",
			all->v[0].filter ? all->v[0].filter : "all", all->v[0].skips,
			all->v[0].own_draw ? " own" : "");
	else
		snprintf(found, sizeof(found), "%s", all->v[0].filter ? all->v[0].filter : "all");
	unmap(&m);
	return found;
}

/* Filters are expressions of CEL, or they cost their log with a note, and nothing else. */
static void filters(void)
{
	static const struct {
		const char *filter, *found;
	} rows[] = {
		{"'status_code_filter': {'comparison': {'op': 'GE', 'value': {'default_value': "
		 "400, 'runtime_key': 'k'}}}",
			"response.code >= 400"},
		{"'status_code_filter': {'comparison': {'op': 'LE', 'value': {'default_value': "
		 "399, 'runtime_key': 'k'}}}",
			"response.code <= 399"},
		{"'status_code_filter': {'comparison': {'op': 'NE', 'value': {'default_value': "
		 "200, 'runtime_key': 'k'}}}",
			"response.code != 200"},
		{"'status_code_filter': {'comparison': {'value': {}}}", "response.code == 0"},
		{"'status_code_filter': {'comparison': {}}", "none"},
		{"'status_code_filter': {}", "none"},
		{"'duration_filter': {'comparison': {'op': 'GE', 'value': {'default_value': 250, "
		 "'runtime_key': 'k'}}}",
			"request.duration >= duration('250ms')"},
		{"'duration_filter': {'comparison': {'op': 'LE', 'value': {'default_value': 250, "
		 "'runtime_key': 'k'}}}",
			"request.duration < duration('251ms')"},
		{"'duration_filter': {'comparison': {'op': 'EQ', 'value': {'default_value': 0, "
		 "'runtime_key': 'k'}}}",
			"request.duration >= duration('0ms') && request.duration < "
			"duration('1ms')"},
		{"'duration_filter': {'comparison': {'op': 'NE', 'value': {'default_value': "
		 "4294967295, 'runtime_key': 'k'}}}",
			"request.duration < duration('4294967295ms') || request.duration >= "
			"duration('4294967296ms')"},
		{"'not_health_check_filter': {}", "all"},
		{"'runtime_filter': {'runtime_key': 'k', 'percent_sampled': {'numerator': 125, "
		 "'denominator': 'TEN_THOUSAND'}}",
			"all skips 987500"},
		{"'runtime_filter': {'percent_sampled': {'numerator': 100}}", "all"},
		{"'runtime_filter': {'runtime_key': 'k', 'use_independent_randomness': true}",
			"all skips 1000000 own"},
		{"'and_filter': {'filters': [{'status_code_filter': {'comparison': {'op': 'GE', "
		 "'value': {'default_value': 500, 'runtime_key': 'k'}}}}, {'runtime_filter': "
		 "{'percent_sampled': {'numerator': 50}}}]}",
			"(response.code >= 500) && (true) skips 500000"},
		{"'or_filter': {'filters': [{'status_code_filter': {'comparison': {'op': 'GE', "
		 "'value': {'default_value': 500, 'runtime_key': 'k'}}}}, {'response_flag_filter': "
		 "{'flags': ['NR']}}]}",
			"(response.code >= 500) || (response.flags / 256 % 2 == 1)"},
		{"'and_filter': {'filters': [{'or_filter': {'filters': [{'status_code_filter': "
		 "{'comparison': {'op': 'GE', 'value': {'default_value': 500, 'runtime_key': "
		 "'k'}}}}, {'response_flag_filter': {'flags': ['NR']}}]}}, "
		 "{'not_health_check_filter': {}}]}",
			"((response.code >= 500) || (response.flags / 256 % 2 == 1)) && (true)"},
		{"'or_filter': {'filters': [{'status_code_filter': {'comparison': {'op': 'GE', "
		 "'value': {'default_value': 500, 'runtime_key': 'k'}}}}, {'runtime_filter': "
		 "{'percent_sampled': {'numerator': 50}}}]}",
			"none"},
		{"'and_filter': {'filters': [{'runtime_filter': {'percent_sampled': {'numerator': "
		 "50}}}, {'runtime_filter': {'percent_sampled': {'numerator': 50}}}]}",
			"none"},
		{"'and_filter': {}", "none"},
		{"'and_filter': {'filters': [{'status_code_filter': {'comparison': {'op': 'GE', "
		 "'value': {'default_value': 500, 'runtime_key': 'k'}}}}, {}]}",
			"none"},
		{"'response_flag_filter': {}", "response.flags != 0"},
		{"'response_flag_filter': {'flags': ['NR', 'LH', 'UH']}",
			"response.flags / 2 % 2 == 1 || response.flags / 256 % 2 == 1"},
		{"'response_flag_filter': {'flags': ['LH', 'DO']}", "false"},
		{"'response_flag_filter': {'flags': ['NR', 'XX']}", "none"},
		{"'header_filter': {'header': {'name': 'user', 'exact_match': 'a'}}",
			"request.headers[\"user\"] == \"a\""},
		{"'header_filter': {'header': {'name': 'user', 'string_match': {'prefix': 'a'}}}",
			"request.headers[\"user\"].startsWith(\"a\")"},
		{"'header_filter': {'header': {'name': 'user', 'suffix_match': 'a', "
		 "'invert_match': true}}",
			"!(request.headers[\"user\"].endsWith(\"a\"))"},
		{"'header_filter': {'header': {'name': 'user', 'contains_match': 'a', "
		 "'treat_missing_header_as_empty': true}}",
			"(\"user\" in request.headers ? request.headers[\"user\"] : "
			"\"\").contains(\"a\")"},
		{"'header_filter': {'header': {'name': 'user', 'string_match': {'safe_regex': "
		 "{'regex': 'a\\\\d'}}}}",
			"request.headers[\"user\"].matches(\"^(?:a\\\\d)$\")"},
		{"'header_filter': {'header': {'name': 'user', 'present_match': true}}",
			"\"user\" in request.headers"},
		{"'header_filter': {'header': {'name': 'user', 'present_match': false}}",
			"!(\"user\" in request.headers)"},
		{"'header_filter': {'header': {'name': 'user', 'invert_match': true}}",
			"!(\"user\" in request.headers)"},
		{"'header_filter': {'header': {'name': 'user', 'present_match': true, "
		 "'treat_missing_header_as_empty': true}}",
			"none"},
		{"'header_filter': {'header': {'name': 'user', 'range_match': {'start': 1, 'end': "
		 "2}}}",
			"none"},
		{"'header_filter': {'header': {'name': 'user', 'string_match': {'exact': 'a', "
		 "'ignore_case': true}}}",
			"none"},
		{"'header_filter': {'header': {'name': 'user', 'exact_match': 'a\\nb'}}", "none"},
		{"'header_filter': {'header': {'name': ':path', 'exact_match': 'a'}}", "none"},
		{"'header_filter': {}", "none"},
		{"'extension_filter': {'name': 'x', 'typed_config': {'@type': '" LOGS
		 "filters.cel.v3.ExpressionFilter', 'expression': 'response.code != 200'}}",
			"response.code != 200"},
		{"'extension_filter': {'name': 'x', 'typed_config': {'@type': '" LOGS
		 "filters.cel.v3.ExpressionFilter'}}",
			"none"},
		{"'extension_filter': {'name': 'x', 'typed_config': {'@type': '" LOGS
		 "filters.process_ratelimit.v3.ProcessRateLimitFilter'}}",
			"none"},
		{"'extension_filter': {'name': 'x'}", "none"},
		{"'traceable_filter': {}", "none"},
		{"'grpc_status_filter': {}", "none"},
		{"'metadata_filter': {}", "none"},
		{"'log_type_filter': {}", "none"},
		{"", "none"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const char *ignored, *found = filter_of(rows[i].filter, &ignored);
		bool none = strcmp(rows[i].found, "none") == 0;

		CU_ASSERT_STRING_EQUAL(found, rows[i].found);
		CU_ASSERT_EQUAL(
			strstr(ignored, ".filter: one that cannot be evaluated exactly") != NULL,
			none);
		if (strcmp(found, rows[i].found) != 0)
			printf("\n  %s: %s\n", rows[i].filter, found);
	}
}

/* not_health_check_filter in so many others. */
static const char *nested(uint32_t depth)
{
	static char text[512];
	char *to = text;

	for (uint32_t i = 0; i < depth; i++)
		to = stpcpy(to, "'and_filter': {'filters': [{");
	to = stpcpy(to, "'not_health_check_filter': {}");
	for (uint32_t i = 0; i < depth; i++)
		to = stpcpy(to, "}]}");
	return text;
}

/* Filters may be in each other, up to a limit. */
static void deep_filters(void)
{
	const char *ignored;

	CU_ASSERT_STRING_EQUAL(filter_of(nested(2), &ignored), "((true))");
	CU_ASSERT_STRING_NOT_EQUAL(filter_of(nested(8), &ignored), "none");
	CU_ASSERT_STRING_EQUAL(filter_of(nested(9), &ignored), "none");
}

const struct mt_test map_access_log_tests[] = {{"loggers", loggers}, {"logs of opaque TCP", of_tcp},
	{"logs of a listener", of_listener}, {"logs of an extension", of_extension},
	{"log_formats", formats}, {"logs that are not written", not_written}, {"tracing", tracing},
	{"filters of logs", filters}, {"filters in each other", deep_filters}, {0}};
