/* SPDX-License-Identifier: Apache-2.0 */
/* Patches of EnvoyFilters: those with a filter that may protect restrict access. */
#include "mt_yaml.h"
#include "source_test.h"

#include <stdio.h>
#include <string.h>

struct row {
	const char *patch;
	bool restricts;
};

#define URL	 "type.googleapis.com/"
#define NETWORK	 URL "envoy.extensions.filters.network."
#define HTTP	 URL "envoy.extensions.filters.http."
#define TCP	 NETWORK "tcp_proxy.v3.TcpProxy"
#define HCM	 NETWORK "http_connection_manager.v3.HttpConnectionManager"
#define STATS	 URL "stats.PluginConfig"
#define TLS	 URL "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
#define STRUCT	 "'@type': " URL "udpa.type.v1.TypedStruct"
#define NAME	 "name: envoy.filters.network.fault"
#define AS(type) "typed_config: {'@type': " type "}"

#define PATCH(to, op, value) "{applyTo: " to ", patch: {operation: " op ", value: " value "}}"
#define FILTER(fields)	     PATCH("NETWORK_FILTER", "INSERT_FIRST", "{" fields "}")
#define GUARD		     "{name: team.guard, " AS(URL "acme.Guard") "}"
#define LISTENER(fields)     PATCH("LISTENER", "MERGE", "{" fields "}")
#define CHAIN(fields)	     PATCH("FILTER_CHAIN", "MERGE", "{" fields "}")
#define LOG(filter)                                                                                \
	FILTER("typed_config: {'@type': " HCM ", access_log: [{name: a, filter: {" filter "}}]}")
#define META(filters)                                                                              \
	FILTER("typed_config: {'@type': " URL                                                      \
	       "aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy, metaProtocolFilters: "       \
	       "[" filters "]}")

static const struct row rows[] = {
	/* The whole type decides. */
	{FILTER("name: x, " AS(TCP)), false},
	{FILTER("name: x, typedConfig: {'@type': " TCP "}"), false},
	{FILTER("name: x, " AS("example.com/a/stats.PluginConfig")), false},
	{FILTER("name: x, " AS(URL "acme.stats.PluginConfig")), true},
	{FILTER(NAME ", " AS(URL "envoy.acme.default_deny.v3.Gate")), true},
	{FILTER(NAME ", " AS(URL "acme.Auth")), true},
	{FILTER(NAME ", typedConfig: {'@type': " URL "acme.Auth}"), true},
	{FILTER(NAME ", typedConfig: {'@type': " URL "acme.Auth}, " AS(STATS)), true},
	{FILTER("name: x, typed_config: {'@type': " STATS ", '@type': " URL "acme.Auth}"), true},
	{FILTER("name: x, typed_config: {" STRUCT ", type_url: " STATS "}"), false},
	{FILTER("name: x, typed_config: {" STRUCT ", typeUrl: " STATS "}"), false},
	{FILTER(NAME ", typed_config: {" STRUCT ", typeUrl: " URL "acme.Auth}"), true},
	{FILTER(NAME ", typed_config: {" STRUCT "}"), true},
	/* Only a TypedStruct has the type of another message. */
	{FILTER(NAME ", typed_config: {'@type': " URL "acme.Auth, type_url: " STATS "}"), true},
	/* Without a type, a name says nothing but that of a router. */
	{FILTER("name: envoy.team.router_auth"), true},
	{FILTER("name: envoy.filters.network.tcp_proxy"), true},
	{FILTER("name: envoy.filters.http.router"), false},
	{FILTER("name: envoy.filters.http.router, " AS(URL "acme.Auth")), true},
	{FILTER(NAME ", typed_config: {a: b}"), true},
	{FILTER(AS(URL "acme.Auth")), true},
	{FILTER(""), true},
	{PATCH("NETWORK_FILTER", "INSERT_FIRST", "[]"), true},
	{PATCH("NETWORK_FILTER", "MERGE", "~"), false},
	{PATCH("NETWORK_FILTER", "REMOVE", "{name: acme}"), false},
	/* A control plane sends the configuration, of one of the types. */
	{FILTER("name: envoy.team.router_auth, config_discovery: {type_urls: [" URL "acme.Auth]}"),
		true},
	{FILTER("name: x, config_discovery: {type_urls: [" STATS ", " URL "acme.Auth]}"), true},
	{FILTER("name: x, config_discovery: {type_urls: []}"), true},
	{FILTER("name: envoy.filters.http.router, configDiscovery: {}"), true},
	{FILTER("name: x, configDiscovery: {typeUrls: [" STATS "]}"), false},
	{PATCH("CLUSTER", "MERGE", "{a: {type_urls: [" URL "acme.rbac.Gate]}}"), true},
	/* Other filters. */
	{PATCH("HTTP_FILTER", "INSERT_FIRST", "{name: envoy.team.alpn}"), true},
	{PATCH("HTTP_FILTER", "INSERT_FIRST", "{name: x, " AS(HTTP "fault.v3.HTTPFault") "}"),
		false},
	{PATCH("LISTENER_FILTER", "INSERT_FIRST", "{name: x, " AS(URL "acme.Auth") "}"), true},
	{PATCH("EXTENSION_CONFIG", "ADD", "{name: x, " AS(URL "acme.Auth") "}"), true},
	/* Filters inside. */
	{FILTER("name: x, typed_config: {'@type': " HCM ", httpFilters: [{name: acme.router}]}"),
		true},
	{FILTER("name: x, typed_config: {'@type': " HCM ", http_filters: [{name: "
		"envoy.filters.http.router}]}"),
		false},
	{LISTENER("filter_chains: [{filters: [{name: envoy.team.router_auth}]}]"), true},
	{LISTENER("listenerFilters: [{name: envoy.team.tls_inspector}]"), true},
	{FILTER("typed_config: {'@type': " NETWORK
		"dubbo_proxy.v3.DubboProxy, dubbo_filters: [{name: envoy.filters.dubbo.router, "
		"config: {'@type': " NETWORK "dubbo_proxy.router.v3.Router}}]}"),
		false},
	{FILTER("typed_config: {'@type': " NETWORK
		"thrift_proxy.v3.ThriftProxy, thriftFilters: [{name: acme.router}]}"),
		true},
	{META("{name: aeraki.meta_protocol.filters.router}"), false},
	{META("{name: acme.router}"), true},
	/* Filters of a router towards upstreams. */
	{FILTER("typed_config: {'@type': " HTTP "router.v3.Router, upstream_http_filters: [{name: "
		"x, " AS(URL "acme.Auth") "}]}"),
		true},
	{FILTER("typed_config: {'@type': " HTTP "router.v3.Router, upstreamHttpFilters: [{name: "
		"x, " AS(URL "acme.Auth") "}]}"),
		true},
	{FILTER("typed_config: {'@type': " HTTP "router.v3.Router, upstream_http_filters: [{name: "
		"x, " AS(HTTP "upstream_codec.v3.UpstreamCodec") "}]}"),
		false},
	/* TLS and sources of connections select callers. */
	{CHAIN("transport_socket: {name: tls, " AS(TLS) "}"), true},
	{CHAIN("transportSocket: {}"), false},
	{CHAIN("filter_chain_match: {source_prefix_ranges: [{address_prefix: 10.0.0.0}]}"), true},
	{CHAIN("filterChainMatch: {directSourcePrefixRanges: [{addressPrefix: 10.0.0.0}]}"), true},
	{CHAIN("filter_chain_match: {source_ports: [7]}"), true},
	{CHAIN("filter_chain_match: {source_type: EXTERNAL}"), true},
	{CHAIN("filter_chain_match: {destination_port: 7, serverNames: [a]}"), false},
	{CHAIN("filter_chain_match: {}"), false},
	{CHAIN("tcp_keepalive: {}"), false},
	{LISTENER("filter_chains: [{transportSocket: {name: tls, " AS(TLS) "}}]"), true},
	{LISTENER("filterChains: [{filterChainMatch: {sourceType: EXTERNAL}}]"), true},
	{LISTENER("filter_chain_matcher: {matcher_tree: {}}"), true},
	{LISTENER("per_connection_buffer_limit_bytes: 7"), false},
	{PATCH("CLUSTER", "MERGE", "{transport_socket: {name: tls, " AS(TLS) "}}"), false},
	/* Conditions of access logs. */
	{LOG("and_filter: {filters: [{status_code_filter: {}}, {not_health_check_filter: {}}]}"),
		false},
	/* The name of a filter of a harmless type does not count, nor do parts of other words. */
	{FILTER("name: rbac, " AS(TCP)), false},
	{FILTER("name: rbac, " AS(URL "acme.Auth")), true},
	{FILTER("name: rbac"), true},
	{PATCH("CLUSTER", "MERGE", "{name: outbound|80||evaluation.x}"), false},
	{PATCH("CLUSTER", "MERGE", "{name: lua_evaluation}"), true},
	{PATCH("CLUSTER", "MERGE", "{name: evaluation_LUA}"), true},
	{PATCH("CLUSTER", "MERGE", "{name: my-ext_authz}"), true},
	{PATCH("CLUSTER", "MERGE", "{name: my-ext_authz2}"), true},
	{PATCH("CLUSTER", "MERGE", "{'@type': " URL "acme.MyLua}"), true},
	/* Words of protection count anywhere. */
	{PATCH("CLUSTER", "MERGE", "{typeUrl: " URL "acme.Lua}"), true},
	/* An unknown place is that of a filter, and of a listener. */
	{PATCH("NETWORK_FILTERS", "INSERT_FIRST", GUARD), true},
	{PATCH("network_filter", "INSERT_FIRST", GUARD), true},
	{PATCH("3", "INSERT_FIRST", GUARD), true},
	{PATCH("[NETWORK_FILTER]", "INSERT_FIRST", GUARD), true},
	{PATCH("NETWORK_FILTERS", "INSERT_FIRST", "{name: x, " AS(TCP) "}"), false},
	{PATCH("NETWORK_FILTERS", "REMOVE", GUARD), false},
	{PATCH("CHAIN", "MERGE", "{name: x, " AS(TCP) ", transport_socket: {name: tls}}"), true},
	{"{applyto: NETWORK_FILTER, patch: {operation: INSERT_FIRST, value: " GUARD "}}", true},
	{"{patch: {operation: INSERT_FIRST, value: " GUARD "}}", true},
	{PATCH("CLUSTER", "MERGE", GUARD), false},
	/* Misspelled fields around a filter, and such as are written twice. */
	{"{applyTo: NETWORK_FILTER, Patch: {operation: INSERT_FIRST, value: " GUARD "}}", true},
	{"{applyTo: NETWORK_FILTER, patch: {operation: INSERT_FIRST, Value: " GUARD "}}", true},
	{"{applyTo: NETWORK_FILTER, patch: [{operation: INSERT_FIRST, value: " GUARD "}]}", true},
	{"{applyTo: NETWORK_FILTER, patch: {operation: REMOVE, operation: INSERT_FIRST, "
	 "value: " GUARD "}}",
		true},
	{"{applyTo: CLUSTER, applyTo: NETWORK_FILTER, patch: {operation: ADD, value: " GUARD "}}",
		true},
	{"{applyTo: NETWORK_FILTER, patch: {operation: ADD, value: ~, value: " GUARD "}}", true},
	{"{applyTo: NETWORK_FILTER, patch: {operation: REMOVE}, patch: {value: " GUARD "}}", true},
	{"{applyTo: NETWORK_FILTER, match: {}, patch: {filterClass: AUTHZ, operation: ADD, value: "
	 "{name: x, " AS(TCP) "}}}",
		false},
	{"{applyTo: NETWORK_FILTER, match: {}}", false},
};

static void read(void *arg, const struct mt_ynode *root)
{
	*(bool *)arg = mt_patch_restricts(root);
}

static bool restricts(const char *text)
{
	struct mt_region region;
	struct mt_diags diags;
	bool yes = false;

	mt_region_init(&region, 1 << 20);
	mt_diags_init(&diags);
	CU_ASSERT_EQUAL_FATAL(
		mt_yaml_parse(&region, &diags, "t", text, strlen(text), read, &yes), 0);
	CU_ASSERT_EQUAL_FATAL(diags.n, 0);
	mt_diags_fini(&diags);
	mt_region_fini(&region);
	return yes;
}

static void by_type(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		CU_ASSERT_EQUAL(restricts(rows[i].patch), rows[i].restricts);
		if (restricts(rows[i].patch) != rows[i].restricts)
			fprintf(stderr, "%s\n", rows[i].patch);
	}
}

static void long_names(void)
{
	char text[1024];

	snprintf(text, sizeof(text), "{applyTo: CLUSTER, patch: {value: {name: %0300d.rbac}}}", 0);
	CU_ASSERT(restricts(text));
}

const struct mt_test patches_tests[] = {{"by_type", by_type}, {"long_names", long_names}, {0}};
