/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of Envoy's thrift_proxy, and of connections, that a rate limit service counts. */
#include "map_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define THRIFT "type.googleapis.com/envoy.extensions.filters.network.thrift_proxy."
#define AT     "filter_chains[0].filters[0].typed_config."

/* A listener with `limits` of the first route, which leads to `cluster`; the second has none. */
static struct mapped with(const char *stage, const char *limits, const char *cluster)
{
	char text[8192];

	snprintf(text, sizeof(text),
		"{'name': 'l', 'address': {'socket_address': {'address': '192.0.2.1', "
		"'port_value': 80}}, 'filter_chains': [{'filters': [{'name': 't', "
		"'typed_config': {'@type': '" THRIFT
		"v3.ThriftProxy', 'thrift_filters': [{'name': 'x', 'typed_config': {'@type': "
		"'" THRIFT "filters.ratelimit.v3.RateLimit', 'domain': 'shop', 'stage': %s, "
		"'failure_mode_deny': true, 'rate_limit_service': {'grpc_service': {'envoy_grpc': "
		"{'cluster_name': 'limits'}}}}}, {'name': 'envoy.filters.thrift.router'}], "
		"'route_config': {'routes': [{'match': {'method_name': 'buy'}, 'route': {%s, "
		"'rate_limits': [%s]}}, {'match': {'method_name': ''}, 'route': {'cluster': "
		"'b'}}]}}}]}]}",
		stage, cluster, limits);
	return map_text(MT_XDS_LDS, text);
}

static const struct mt_res_chain *chain(const struct mapped *m)
{
	return ((const struct mt_res_listener *)(const void *)m->m.meta)->chains;
}

static void check_first(const struct mt_global_descriptor *d)
{
	CU_ASSERT_EQUAL_FATAL(d->n_entries, 3);
	CU_ASSERT_EQUAL(d->entries[0].value, MT_GLOBAL_OF_METHOD);
	CU_ASSERT_STRING_EQUAL(d->entries[0].key.s, "m");
	CU_ASSERT_EQUAL(d->entries[1].value, MT_GLOBAL_OF_ADDRESS);
	CU_ASSERT_STRING_EQUAL(d->entries[1].key.s, "remote_address");
	CU_ASSERT_EQUAL(d->entries[2].value, MT_GLOBAL_OF_TEXT);
	CU_ASSERT_STRING_EQUAL(d->entries[2].key.s, "generic_key");
	CU_ASSERT_STRING_EQUAL(d->entries[2].from.s, "v");
}

static void check_second(const struct mt_global_descriptor *d)
{
	CU_ASSERT_EQUAL_FATAL(d->n_entries, 4);
	CU_ASSERT_STRING_EQUAL(d->entries[0].key.s, "source_cluster");
	CU_ASSERT_STRING_EQUAL(d->entries[0].from.s, "lab");
	CU_ASSERT_STRING_EQUAL(d->entries[1].key.s, "destination_cluster");
	CU_ASSERT_STRING_EQUAL(d->entries[1].from.s, "a");
	CU_ASSERT_EQUAL(d->entries[2].value, MT_GLOBAL_OF_METADATA);
	CU_ASSERT_STRING_EQUAL(d->entries[2].from.s, "x-user");
	CU_ASSERT_STRING_EQUAL(d->entries[3].key.s, "header_match");
	CU_ASSERT_STRING_EQUAL(d->entries[3].from.s, "vip");
	CU_ASSERT_STRING_EQUAL(conds_str(d->entries[3].match), "tier exact gold");
	CU_ASSERT(d->entries[3].unless);
}

/* A descriptor of another stage is not the filter's. */
static void of_routes(void)
{
	struct mapped m = with("0",
		"{'actions': [{'request_headers': {'header_name': ':method-name', "
		"'descriptor_key': 'm'}}, {'remote_address': {}}, {'generic_key': "
		"{'descriptor_value': 'v'}}]}, {'stage': 2, 'actions': [{'remote_address': {}}]}, "
		"{'disable_key': 'k', 'limit': {}, 'actions': [{'source_cluster': {}}, "
		"{'destination_cluster': {}}, {'request_headers': {'header_name': 'x-user', "
		"'descriptor_key': 'u', 'skip_if_absent': true}}, {'header_value_match': "
		"{'descriptor_value': 'vip', 'expect_match': false, 'headers': [{'name': 'tier', "
		"'exact_match': 'gold'}]}}]}",
		"'cluster': 'a'");
	const struct mt_global_conf *g;

	if (m.rc)
		printf("\n  %s\n", m.why.text);
	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_STRING_EQUAL(refs_str(&m), "CDS limits; CDS a; CDS b");
	CU_ASSERT_PTR_NOT_NULL(strstr(ignored_str(&m), "disable_key: there is no runtime layer"));
	CU_ASSERT_PTR_NOT_NULL(strstr(ignored_str(&m), "limit: the rate limit service's own"));
	CU_ASSERT_PTR_NOT_NULL(strstr(ignored_str(&m), "skip_if_absent: without the header"));
	CU_ASSERT_PTR_NULL(chain(&m)->unserved);
	g = chain(&m)->proxy->global;
	CU_ASSERT_PTR_NOT_NULL_FATAL(g);
	CU_ASSERT(g->deny_on_fail.v);
	CU_ASSERT_PTR_EQUAL(g->rules, &chain(&m)->proxy->routes);
	CU_ASSERT_EQUAL_FATAL(g->n_routes, 2);
	CU_ASSERT_EQUAL(g->routes[1].n_descriptors, 0);
	CU_ASSERT_EQUAL_FATAL(g->routes[0].n_descriptors, 2);
	check_first(&g->routes[0].descriptors[0]);
	check_second(&g->routes[0].descriptors[1]);
	unmap(&m);
}

#define LIMIT  AT "route_config.routes[0].route.rate_limits[0]"
#define ACTION LIMIT ".actions[0]"
#define TO_A   "'cluster': 'a'"

static void refused(void)
{
	static const struct {
		const char *stage, *limits, *cluster, *why;
	} rows[] = {
		{"11", "", TO_A, AT "thrift_filters[0].typed_config.stage: more than 10"},
		{"0", "{'stage': 11}", TO_A, LIMIT ".stage: 11 is not within 0 and 10"},
		{"0", "{}", TO_A, LIMIT ".actions: there are none"},
		{"0", "{'actions': [{}]}", TO_A, ACTION ": no action of Thrift calls"},
		{"0", "{'actions': [{'masked_remote_address': {}}]}", TO_A,
			ACTION ".masked_remote_address: not an action of Thrift calls"},
		{"0", "{'actions': [{'generic_key': {}}]}", TO_A,
			ACTION ".generic_key.descriptor_value: missing"},
		{"0", "{'actions': [{'request_headers': {'header_name': 'x'}}]}", TO_A,
			ACTION ".request_headers.descriptor_key: missing"},
		{"0", "{'actions': [{'request_headers': {'descriptor_key': 'x'}}]}", TO_A,
			ACTION ".request_headers.header_name: missing"},
		{"0", "{'actions': [{'header_value_match': {'descriptor_value': 'v'}}]}", TO_A,
			ACTION ".header_value_match.headers: there are none"},
		{"0", "{'actions': [{'destination_cluster': {}}]}",
			"'weighted_clusters': {'clusters': [{'name': 'a', 'weight': 1}, {'name': "
			"'b', 'weight': 1}]}",
			ACTION ".destination_cluster: calls are counted before one of the route's "
			       "clusters is chosen"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mapped m = with(rows[i].stage, rows[i].limits, rows[i].cluster);

		CU_ASSERT_EQUAL(m.rc, -EINVAL);
		CU_ASSERT_STRING_EQUAL(m.why.text, rows[i].why);
		unmap(&m);
	}
}

/* A query has 16 descriptors of 8 entries, and 2,048 bytes of texts that do not depend on the call. */
static void too_much(void)
{
	static char limits[8192], word[2048];
	struct mapped m;
	size_t at = 0;

	for (int i = 0; i < 17; i++)
		at += (size_t)snprintf(limits + at, sizeof(limits) - at,
			"%s{'actions': [{'generic_key': {'descriptor_value': 'v'}}]}",
			i ? ", " : "");
	m = with("0", limits, TO_A);
	CU_ASSERT_STRING_EQUAL(
		m.why.text, AT "route_config.routes[0].route.rate_limits[16]: more than 16");
	unmap(&m);
	at = 0;
	for (int i = 0; i < 9; i++)
		at += (size_t)snprintf(limits + at, sizeof(limits) - at, "%s{'remote_address': {}}",
			i ? ", " : "{'actions': [");
	snprintf(limits + at, sizeof(limits) - at, "]}");
	m = with("0", limits, TO_A);
	CU_ASSERT_STRING_EQUAL(m.why.text, LIMIT ".actions: more than 8");
	unmap(&m);
	memset(word, 'x', sizeof(word) - 1);
	snprintf(limits, sizeof(limits),
		"{'actions': [{'generic_key': {'descriptor_value': '%s'}}]}", word);
	m = with("0", limits, TO_A);
	CU_ASSERT_STRING_EQUAL(m.why.text, AT
		"route_config.routes[0].route.rate_limits: the domain, keys and values have more "
		"than 2048 bytes");
	unmap(&m);
}

/* ---- connections ----------------------------------------------------------------------------- */

#define NETWORK "type.googleapis.com/envoy.extensions.filters.network."
#define TO_SERVICE                                                                                 \
	"'rate_limit_service': {'grpc_service': {'envoy_grpc': {'cluster_name': 'limits'}}}"
#define ENTRY(k, v) "{'key': '" k "', 'value': '" v "'}"
#define FILTER(fields)                                                                             \
	"{'name': 'x', 'typed_config': {'@type': '" NETWORK "ratelimit.v3.RateLimit', "            \
	"'stat_prefix': 's', " fields "}}"
#define LIMIT_OF(entries)                                                                          \
	FILTER("'domain': 'shop', " TO_SERVICE ", 'descriptors': [{'entries': [" entries "]}]")
#define TCP                                                                                        \
	"{'name': 't', 'typed_config': {'@type': '" NETWORK                                        \
	"tcp_proxy.v3.TcpProxy', 'cluster': 'a'}}"
#define ADDRESS "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"

static struct mapped before_tcp(const char *filters)
{
	char text[8192];

	snprintf(text, sizeof(text),
		"{'name': 'l', 'address': {'socket_address': {'address': '192.0.2.1', "
		"'port_value': 80}}, 'filter_chains': [{'filters': [%s, " TCP "]}]}",
		filters);
	return map_text(MT_XDS_LDS, text);
}

static void of_connections(void)
{
	struct mapped m = before_tcp(FILTER(
		"'domain': 'shop', 'failure_mode_deny': true, 'timeout': '2s', " TO_SERVICE
		", 'descriptors': [{'entries': [" ENTRY("k", "v") ", " ENTRY("client",
			ADDRESS) "]}, {'limit': {}, 'hits_addend': 3, 'entries': [" ENTRY("empty",
			"") "]}]"));
	const struct mt_global_conf *g;

	if (m.rc)
		printf("\n  %s\n", m.why.text);
	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_STRING_EQUAL(refs_str(&m), "CDS limits; CDS a");
	CU_ASSERT_PTR_NOT_NULL(strstr(ignored_str(&m), "limit: the rate limit service's own"));
	CU_ASSERT_PTR_NOT_NULL(strstr(ignored_str(&m), "hits_addend: each connection"));
	CU_ASSERT_PTR_NULL(strstr(ignored_str(&m), "not run"));
	CU_ASSERT_PTR_NULL(chain(&m)->unserved);
	g = chain(&m)->global;
	CU_ASSERT_PTR_NOT_NULL_FATAL(g);
	CU_ASSERT(g->of_streams && g->deny_on_fail.v && g->timeout.v == 2000);
	CU_ASSERT_STRING_EQUAL(g->domain.s, "shop");
	CU_ASSERT_EQUAL_FATAL(g->n_descriptors, 2);
	CU_ASSERT_EQUAL_FATAL(g->descriptors[0].n_entries, 2);
	CU_ASSERT_EQUAL(g->descriptors[0].entries[0].value, MT_GLOBAL_OF_TEXT);
	CU_ASSERT_STRING_EQUAL(g->descriptors[0].entries[0].from.s, "v");
	CU_ASSERT_EQUAL(g->descriptors[0].entries[1].value, MT_GLOBAL_OF_ADDRESS);
	CU_ASSERT_STRING_EQUAL(g->descriptors[0].entries[1].key.s, "client");
	CU_ASSERT_STRING_EQUAL(g->descriptors[1].entries[0].from.s, "");
	unmap(&m);
}

/* Other command operators than the client's address: the filter is not run, as before. */
static void operators(void)
{
	static const char *const values[] = {"%REQ(x)%", "%DOWNSTREAM_REMOTE_ADDRESS%",
		"a " ADDRESS, "%%", "%DOWNSTREAM_LOCAL_PORT%"};
	char filter[1024];

	for (size_t i = 0; i < MT_ARRAY_LEN(values); i++) {
		struct mapped m;

		snprintf(filter, sizeof(filter),
			FILTER("'domain': 'd', " TO_SERVICE
			       ", 'descriptors': [{'entries': [{'key': 'k', 'value': '%s'}]}]"),
			values[i]);
		m = before_tcp(filter);
		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		CU_ASSERT_PTR_NULL(chain(&m)->global);
		CU_ASSERT_PTR_NULL(chain(&m)->unserved);
		CU_ASSERT_STRING_EQUAL(refs_str(&m), "CDS a");
		CU_ASSERT_PTR_NOT_NULL(strstr(ignored_str(&m), "limits and statistics: not run"));
		unmap(&m);
	}
}

#define DESCRIPTOR AT "descriptors[0]"

static void refused_connections(void)
{
	static const struct {
		const char *filters, *why;
	} rows[] = {
		{FILTER(TO_SERVICE), AT "domain: missing"},
		{FILTER("'domain': 'd'"), AT "rate_limit_service: missing"},
		{FILTER("'domain': 'd', " TO_SERVICE), AT "descriptors: there are none"},
		{FILTER("'domain': 'd', " TO_SERVICE ", 'descriptors': [{}]"),
			DESCRIPTOR ".entries: there are none"},
		{LIMIT_OF(ENTRY("", "v")), DESCRIPTOR ".entries[0].key: missing"},
		{LIMIT_OF(ENTRY("k", "v")) ", " LIMIT_OF(ENTRY("k", "v")),
			"filter_chains[0].filters[1].typed_config: a second global rate limit"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mapped m = before_tcp(rows[i].filters);

		CU_ASSERT_EQUAL(m.rc, -EINVAL);
		CU_ASSERT_STRING_EQUAL(m.why.text, rows[i].why);
		unmap(&m);
	}
}

/* The same numbers as for calls. */
static void too_many_connections(void)
{
	static char filter[8192], word[2048];
	struct mapped m;
	size_t at;

	at = (size_t)snprintf(filter, sizeof(filter),
		"{'name': 'x', 'typed_config': {'@type': "
		"'" NETWORK "ratelimit.v3.RateLimit', 'domain': 'd', " TO_SERVICE
		", 'descriptors': [");
	for (int i = 0; i < 17; i++)
		at += (size_t)snprintf(filter + at, sizeof(filter) - at, "%s{'entries': [%s]}",
			i ? ", " : "", ENTRY("k", "v"));
	snprintf(filter + at, sizeof(filter) - at, "]}}");
	m = before_tcp(filter);
	CU_ASSERT_STRING_EQUAL(m.why.text, AT "descriptors: more than 16");
	unmap(&m);
	m = before_tcp(LIMIT_OF(ENTRY("1", "v") ", " ENTRY("2", "v") ", " ENTRY(
		"3", "v") ", " ENTRY("4", "v") ", " ENTRY("5", "v") ", " ENTRY("6",
		"v") ", " ENTRY("7", "v") ", " ENTRY("8", "v") ", " ENTRY("9", "v")));
	CU_ASSERT_STRING_EQUAL(m.why.text, DESCRIPTOR ".entries: more than 8");
	unmap(&m);
	memset(word, 'x', sizeof(word) - 1);
	snprintf(filter, sizeof(filter),
		FILTER("'domain': 'd', " TO_SERVICE
		       ", 'descriptors': [{'entries': [{'key': 'k', 'value': '%s'}]}]"),
		word);
	m = before_tcp(filter);
	CU_ASSERT_PTR_NOT_NULL(strstr(m.why.text, "have more than 2048 bytes"));
	unmap(&m);
}

/* ---- connections, counted by the node itself ------------------------------------------------- */

#define LOCAL(fields)                                                                              \
	"{'name': 'x', 'typed_config': {'@type': '" NETWORK                                        \
	"local_ratelimit.v3.LocalRateLimit', 'stat_prefix': 's', " fields "}}"
#define BUCKET "'token_bucket': {'max_tokens': 9, 'tokens_per_fill': 3, 'fill_interval': '2s'}"
#define ENABLED(flag)                                                                              \
	", 'runtime_enabled': {'default_value': " flag ", 'runtime_key': 'connections'}"

static void of_own_connections(void)
{
	struct mapped m = before_tcp(LOCAL(BUCKET ENABLED("true")));
	const struct mt_limit_conf *l;

	if (m.rc)
		printf("\n  %s\n", m.why.text);
	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_STRING_EQUAL(refs_str(&m), "CDS a");
	CU_ASSERT_PTR_NOT_NULL(strstr(ignored_str(&m), "runtime_key: there is no runtime layer"));
	CU_ASSERT_PTR_NULL(strstr(ignored_str(&m), "not run"));
	CU_ASSERT_PTR_NULL(chain(&m)->unserved);
	l = chain(&m)->local;
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT(l->bucket->max_tokens.v == 9 && l->bucket->tokens_per_fill.v == 3);
	CU_ASSERT_EQUAL(l->bucket->fill_ms.v, 2000);
	CU_ASSERT_STRING_EQUAL(l->label, "listener l");
	CU_ASSERT_PTR_NULL(l->shared);
	unmap(&m);
}

/* As in Envoy. */
static void turned_off(void)
{
	struct mapped m = before_tcp(LOCAL(BUCKET ENABLED("false")));

	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_PTR_NULL(chain(&m)->local);
	CU_ASSERT_PTR_NULL(chain(&m)->unserved);
	CU_ASSERT_PTR_NULL(strstr(ignored_str(&m), "not run"));
	unmap(&m);
}

/* The key and the numbers are the name of the bucket. */
static void shared_connections(void)
{
	struct mapped m = before_tcp(LOCAL(BUCKET ", 'share_key': 'k'"));

	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(chain(&m)->local);
	CU_ASSERT_STRING_EQUAL(chain(&m)->local->shared, "share_key:k");
	CU_ASSERT_STRING_EQUAL(chain(&m)->local->label, "9 tokens, 3 per 2000 ms");
	unmap(&m);
}

/* Each chain has a bucket, which its place names. */
static void chains_of_connections(void)
{
	struct mapped m = map_text(MT_XDS_LDS,
		"{'name': 'l', 'address': {'socket_address': {'address': '192.0.2.1', "
		"'port_value': 80}}, 'filter_chains': [{'filter_chain_match': {'server_names': "
		"['a.x']}, 'filters': [" LOCAL(
			BUCKET) ", " TCP "]}, {'filter_chain_match': "
				"{'server_names': ['b.x']}, 'filters': [" LOCAL(
					BUCKET) ", " TCP "]}], "
						"'default_filter_chain': {'filters': [" LOCAL(
							BUCKET) ", " TCP "]}}");
	const struct mt_res_listener *l = (const struct mt_res_listener *)(const void *)m.m.meta;

	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_STRING_EQUAL(l->chains[0].local->label, "listener l");
	CU_ASSERT_STRING_EQUAL(l->chains[1].local->label, "listener l, filter_chains[1]");
	CU_ASSERT_STRING_EQUAL(l->fallback->local->label, "listener l, default_filter_chain");
	unmap(&m);
}

/* The filters' order is kept. */
static void order_of_connections(void)
{
	static const char *const filters[] = {LOCAL(BUCKET) ", " LIMIT_OF(ENTRY("k", "v")),
		LIMIT_OF(ENTRY("k", "v")) ", " LOCAL(BUCKET)};

	for (size_t i = 0; i < MT_ARRAY_LEN(filters); i++) {
		struct mapped m = before_tcp(filters[i]);

		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		CU_ASSERT(chain(&m)->local && chain(&m)->global);
		CU_ASSERT_EQUAL(chain(&m)->global_first, i == 1);
		unmap(&m);
	}
}

static void refused_local(void)
{
	static const struct {
		const char *filters, *why;
	} rows[] = {
		{LOCAL("'share_key': 'k'"), AT "token_bucket: missing"},
		{LOCAL("'token_bucket': {'max_tokens': 0, 'fill_interval': '1s'}"),
			AT "token_bucket.max_tokens: 0 is not within 1 and 2147483647"},
		{LOCAL("'token_bucket': {'max_tokens': 1}"),
			AT "token_bucket.fill_interval: missing"},
		{LOCAL(BUCKET ", 'runtime_enabled': {'runtime_key': 'k'}"),
			AT "runtime_enabled.default_value: missing"},
		{LOCAL(BUCKET) ", " LOCAL(BUCKET),
			"filter_chains[0].filters[1].typed_config: a second local rate limit"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mapped m = before_tcp(rows[i].filters);

		CU_ASSERT_EQUAL(m.rc, -EINVAL);
		CU_ASSERT_STRING_EQUAL(m.why.text, rows[i].why);
		unmap(&m);
	}
}

const struct mt_test map_limits_tests[] = {{"of_routes", of_routes}, {"refused", refused},
	{"too_much", too_much}, {"of_connections", of_connections}, {"operators", operators},
	{"refused_connections", refused_connections},
	{"too_many_connections", too_many_connections}, {"of_own_connections", of_own_connections},
	{"turned_off", turned_off}, {"shared_connections", shared_connections},
	{"chains_of_connections", chains_of_connections},
	{"order_of_connections", order_of_connections}, {"refused_local", refused_local}, {0}};
