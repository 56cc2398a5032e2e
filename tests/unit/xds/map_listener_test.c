/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners: addresses, matches, and proxies in bytes and in TypedStruct, camelCase and snake_case. */
#include "map_fixture.h"

#include "listener.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ADDRESS(a, p) "'address': {'socket_address': {'address': '" a "', 'port_value': " p "}}"
#define META	      "type.googleapis.com/aeraki.meta_protocol_proxy."

/* As Aeraki's outbound EnvoyFilter makes it of istiod's listener. */
static const char aeraki_listener[] = "{'name': '240.240.0.1_20880', " ADDRESS("240.240.0.1",
	"20880") ", 'traffic_direction': 'OUTBOUND', 'filter_chains': [{'filters':"
		 " [{'name': 'envoy.filters.network.meta_protocol_proxy', 'typed_config': %s}]}]}";

static const char camel[] =
	"{'@type': 'type.googleapis.com/udpa.type.v1.TypedStruct', 'typeUrl': '" META
	"v1alpha.MetaProtocolProxy', 'value': {"
	"'statPrefix': 'outbound|20880||org.example.demo', 'rds': {'routeConfigName': "
	"'org.example.demo_20880', 'configSource':"
	" {'apiConfigSource': {'apiType': 'GRPC', 'transportApiVersion': 'V3', 'grpcServices': "
	"[{'envoyGrpc': {'clusterName':"
	" 'aeraki-xds'}}]}, 'resourceApiVersion': 'V3'}}, 'applicationProtocol': 'dubbo', 'codec': "
	"{'name':"
	" 'aeraki.meta_protocol.codec.dubbo'}, 'metaProtocolFilters': ["
	"{'name': 'aeraki.meta_protocol.filters.metadata_exchange', 'config': {'@type': '" META
	"filters.metadata_exchange.v1alpha.MetadataExchange'}},"
	"{'name': 'aeraki.meta_protocol.filters.istio_stats', 'config': {'@type': '" META
	"filters.istio_stats.v1alpha.IstioStats', 'destinationService': 'org.example.demo'}},"
	"{'name': 'aeraki.meta_protocol.filters.local_ratelimit', 'config': {'@type': '" META
	"filters.local_ratelimit.v1alpha.LocalRateLimit', 'statPrefix': 'x', 'tokenBucket': "
	"{'maxTokens': 100, 'tokensPerFill': 50,"
	" 'fillInterval': '60s'}, 'conditions': [{'match': {'metadata': [{'name': 'method', "
	"'exactMatch': 'sayHello'}]},"
	" 'tokenBucket': {'maxTokens': 2, 'fillInterval': '1s'}}]}},"
	"{'name': 'aeraki.meta_protocol.filters.router', 'config': {'@type': '" META
	"filters.router.v1alpha.Router'}}],"
	" 'idleTimeout': '90s', 'accessLog': [{'name': 'envoy.access_loggers.file'}]}}";

static const char snake[] =
	"{'@type': 'type.googleapis.com/xds.type.v3.TypedStruct', 'type_url': '" META
	"v1alpha.MetaProtocolProxy', 'value': {"
	"'stat_prefix': 'outbound|20880||org.example.demo', 'rds': {'route_config_name': "
	"'org.example.demo_20880', 'config_source':"
	" {'api_config_source': {'api_type': 2, 'transport_api_version': 'V3', 'grpc_services': "
	"[{'envoy_grpc': {'cluster_name':"
	" 'aeraki-xds'}}]}}}, 'application_protocol': 'dubbo', 'codec': {'name': "
	"'aeraki.meta_protocol.codec.dubbo'},"
	" 'meta_protocol_filters': ["
	"{'name': 'aeraki.meta_protocol.filters.local_ratelimit', 'config': {'@type': "
	"'type.googleapis.com/udpa.type.v1.TypedStruct',"
	" 'type_url': '" META "filters.local_ratelimit.v1alpha.LocalRateLimit', 'value': "
	"{'token_bucket': {'max_tokens': 100,"
	" 'tokens_per_fill': 50, 'fill_interval': '60s'}, 'conditions': [{'match': {'metadata': "
	"[{'name': 'method', 'exact_match':"
	" 'sayHello'}]}, 'token_bucket': {'max_tokens': 2, 'fill_interval': '1s'}}]}}},"
	"{'name': 'aeraki.meta_protocol.filters.router'}], 'idle_timeout': '90s'}}";

/* In bytes: what the reader of JSON packs of an Any with its type. */
static const char binary[] =
	"{'@type': '" META "v1alpha.MetaProtocolProxy', 'rds': {'route_config_name': "
	"'org.example.demo_20880', 'config_source':"
	" {'api_config_source': {'api_type': 'GRPC', 'grpc_services': [{'envoy_grpc': "
	"{'cluster_name': 'aeraki-xds'}}]}}},"
	" 'application_protocol': 'older', 'codec': {'name': 'thrift'}, 'protocol': {'name': "
	"'dubbo', 'codec': {'name':"
	" 'aeraki.meta_protocol.codec.dubbo'}}, 'meta_protocol_filters': ["
	"{'name': 'x', 'config': {'@type': '" META
	"filters.local_ratelimit.v1alpha.LocalRateLimit', 'token_bucket': {'max_tokens': 100,"
	" 'tokens_per_fill': 50, 'fill_interval': '60s'}, 'conditions': [{'match': {'metadata': "
	"[{'name': 'method', 'string_match':"
	" {'exact': 'sayHello'}}]}, 'token_bucket': {'max_tokens': 2, 'fill_interval': '1s'}}]}}], "
	"'idle_timeout': '90s'}";

static const struct mt_res_listener *listener(const struct mapped *m)
{
	return (const void *)m->m.meta;
}

static void check_proxy(const struct mt_proxy_patch *p)
{
	CU_ASSERT_STRING_EQUAL(p->protocol.s, "dubbo");
	CU_ASSERT_STRING_EQUAL(p->codec.s, "aeraki.meta_protocol.codec.dubbo");
	CU_ASSERT_STRING_EQUAL(p->routes_name.s, "org.example.demo_20880");
	CU_ASSERT_EQUAL(p->routes.n_rules, 0);
	CU_ASSERT_EQUAL(p->idle_ms.v, 90000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p->limit);
	CU_ASSERT_EQUAL(p->limit->bucket->max_tokens.v, 100);
	CU_ASSERT_EQUAL(p->limit->bucket->tokens_per_fill.v, 50);
	CU_ASSERT_EQUAL(p->limit->bucket->fill_ms.v, 60000);
	CU_ASSERT_EQUAL_FATAL(p->limit->n_conds, 1);
	CU_ASSERT_STRING_EQUAL(conds_str(p->limit->conds[0].match), "method exact sayHello");
	CU_ASSERT_EQUAL(p->limit->conds[0].bucket->max_tokens.v, 2);
	CU_ASSERT_EQUAL(p->limit->conds[0].bucket->tokens_per_fill.v, 1);
}

static void one_proxy_in_all_forms(void)
{
	static const char *const forms[] = {camel, snake, binary};

	for (size_t i = 0; i < MT_ARRAY_LEN(forms); i++) {
		struct mapped m = map_text(MT_XDS_LDS, in_text(aeraki_listener, forms[i]));

		if (m.rc)
			printf("\n  %s\n", m.why.text);
		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		CU_ASSERT_EQUAL(listener(&m)->direction, MT_RES_OUTBOUND);
		CU_ASSERT_TRUE(listener(&m)->bound);
		CU_ASSERT_EQUAL_FATAL(listener(&m)->n_chains, 1);
		CU_ASSERT_PTR_NULL(listener(&m)->chains[0].unserved);
		CU_ASSERT_PTR_NOT_NULL_FATAL(listener(&m)->chains[0].proxy);
		check_proxy(listener(&m)->chains[0].proxy);
		CU_ASSERT_STRING_EQUAL(refs_str(&m), "RDS org.example.demo_20880 @aeraki-xds");
		unmap(&m);
	}
}

#define GLOBAL(timeout)                                                                            \
	"{'name': 'aeraki.meta_protocol.filters.ratelimit', 'config': {'@type': "                  \
	"'type.googleapis.com/udpa.type.v1.TypedStruct', 'type_url': '" META                       \
	"filters.ratelimit.v1alpha.RateLimit', 'value': {'match': {'metadata': [{'name': "         \
	"'method', 'exactMatch': 'buy'}]}, 'domain': 'shop', 'timeout': '" timeout                 \
	"', 'failureModeDeny': true, 'rateLimitService': {'transportApiVersion': 'V3', "           \
	"'grpcService': {'envoyGrpc': {'clusterName': 'outbound|8081||limits'}, 'timeout': "       \
	"'9s'}}, 'descriptors': [{'property': 'method', 'descriptorKey': 'm'}, {'property': "      \
	"'user', 'descriptorKey': 'u'}]}}}"

static struct mapped with_filters(const char *list)
{
	char proxy[4096];

	snprintf(proxy, sizeof(proxy),
		"{'@type': '" META "v1alpha.MetaProtocolProxy', 'codec': {'name': 'dubbo'}, "
		"'route_config': {'routes': [{'route': {'cluster': 'c'}}]}, "
		"'meta_protocol_filters': [%s]}",
		list);
	return map_text(MT_XDS_LDS, in_text(aeraki_listener, proxy));
}

static void a_global_limit(void)
{
	struct mapped m = with_filters(GLOBAL("0.0501s"));
	const struct mt_global_conf *g;

	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_STRING_EQUAL(ignored_str(&m), "");
	CU_ASSERT_STRING_EQUAL(refs_str(&m), "CDS c; CDS outbound|8081||limits");
	g = listener(&m)->chains[0].proxy->global;
	CU_ASSERT_PTR_NOT_NULL_FATAL(g);
	CU_ASSERT_STRING_EQUAL(conds_str(g->match), "method exact buy");
	CU_ASSERT_STRING_EQUAL(g->domain.s, "shop");
	CU_ASSERT_EQUAL(g->timeout.v, 51);
	CU_ASSERT(g->timeout.set && g->deny_on_fail.v);
	CU_ASSERT_STRING_EQUAL(g->service.s, "outbound|8081||limits");
	CU_ASSERT_PTR_NULL(g->host.s);
	CU_ASSERT_EQUAL_FATAL(g->n_descriptors, 2);
	CU_ASSERT_STRING_EQUAL(g->descriptors[1].property.s, "user");
	CU_ASSERT_STRING_EQUAL(g->descriptors[1].key.s, "u");
	CU_ASSERT(listener(&m)->chains[0].proxy->global_first);
	unmap(&m);
	/* No time-out of its own. */
	m = with_filters(GLOBAL("0s"));
	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_EQUAL(listener(&m)->chains[0].proxy->global->timeout.v, 600000);
	unmap(&m);
	m = with_filters(GLOBAL("1s") ", " GLOBAL("1s"));
	CU_ASSERT_EQUAL(m.rc, -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(m.why.text, "[1].config: a second global rate limit"));
	unmap(&m);
}

/* With the paths that an operator would look for. */
static void what_a_proxy_does_not_do(void)
{
#define WHERE "filter_chains[0].filters[0].typed_config."
	struct mapped m = map_text(MT_XDS_LDS, in_text(aeraki_listener, camel));

	CU_ASSERT_STRING_EQUAL(ignored_str(&m), WHERE
		"meta_protocol_filters[0]: metadata_exchange: peers' metadata are not "
		"exchanged\n" WHERE
		"meta_protocol_filters[1]: istio_stats: Meltemi's own metrics are always on\n" WHERE
		"access_log[0].typed_config: any but files, stdout and stderr: no line is "
		"written\n");
	unmap(&m);
	m = map_text(MT_XDS_LDS,
		in_text(aeraki_listener,
			"{'@type': 'type.googleapis.com/udpa.type.v1.TypedStruct', 'type_url': "
			"'" META "v1alpha.MetaProtocolProxy', 'value': {'codec': {'name': "
			"'thrift'}, 'newField': 1, 'routeConfig': {'routes': [{'retry':"
			" {}, 'route': {'cluster': 'c'}}]}, 'tracing': {'verbose': true}}}"));
	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_STRING_EQUAL(ignored_str(&m),
		WHERE "newField: not known here\n" WHERE
		      "route_config.routes[0].retry: not known here\n" WHERE
		      "tracing.verbose: spans have no events\n");
	CU_ASSERT_STRING_EQUAL(rules_str(&listener(&m)->chains[0].proxy->routes), ":  -> c");
	CU_ASSERT_STRING_EQUAL(refs_str(&m), "CDS c");
	unmap(&m);
}

static void inline_routes(void)
{
	struct mapped m = map_text(MT_XDS_LDS,
		in_text(aeraki_listener,
			"{'@type': '" META "v1alpha.MetaProtocolProxy', 'codec': {'name': "
			"'aeraki.meta_protocol.codec.dubbo'}, 'protocol':"
			" {'multiplexing': true}, 'route_config': {'name': 'inbound|20880||', "
			"'routes': [{'name': 'a', 'match': {'metadata':"
			" [{'name': 'method', 'exact_match': 'x'}]}, 'route': "
			"{'weighted_clusters': {'clusters': [{'name': 'c', 'weight': 1},"
			" {'name': 'd', 'weight': 3}], 'total_weight': 100}, 'hash_policy': "
			"['user', 'tenant'], 'request_mirror_policies':"
			" [{'cluster': 'm', 'runtime_fraction': {'default_value': {'numerator': 5, "
			"'denominator': 'TEN_THOUSAND'},"
			" 'runtime_key': 'k'}}]}, 'request_mutation': [{'key': 'a', 'value': "
			"'b'}], 'response_mutation': [{'key': 'c',"
			" 'value': 'd'}]}, {'route': {'cluster': 'e'}}]}}"));
	const struct mt_proxy_patch *p;

	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	p = listener(&m)->chains[0].proxy;
	CU_ASSERT_TRUE(p->multiplexing.set && p->multiplexing.v);
	CU_ASSERT_PTR_NULL(p->routes_name.s);
	CU_ASSERT_STRING_EQUAL(rules_str(&p->routes),
		"a: method exact x -> c=1 d=3 hash user hash tenant "
		"req a=b rsp c=d 500 copied to m | :  -> e");
	CU_ASSERT_STRING_EQUAL(refs_str(&m), "CDS c; CDS d; CDS m; CDS e");
	CU_ASSERT_PTR_NOT_NULL(strstr(ignored_str(&m), "total_weight: the sum of the weights"));
	unmap(&m);
}

#define TCP                                                                                        \
	"'typed_config': {'@type': "                                                               \
	"'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', "

static void bytes(void)
{
	struct mapped m = map_text(MT_XDS_LDS,
		"{'name': 'l', " ADDRESS("0.0.0.0",
			"80") ", 'bind_to_port': false, 'additional_addresses': [{" ADDRESS("2001:"
											    "db8::"
											    "1",
			"81") "}],"
			      " 'filter_chains': [{'name': 'one', 'filter_chain_match': "
			      "{'server_names': ['*.Example.org'], 'application_protocols': ['h2'],"
			      " 'transport_protocol': 'tls', 'destination_port': 80, "
			      "'prefix_ranges': [{'address_prefix': '192.0.2.0', 'prefix_len': "
			      "24}],"
			      " 'source_prefix_ranges': [{'address_prefix': '2001:db8::', "
			      "'prefix_len': 32}, {'address_prefix': '0.0.0.0'}]}, 'filters':"
			      " [{'name': 'rbac', 'typed_config': {'@type': "
			      "'type.googleapis.com/"
			      "envoy.extensions.filters.network.rbac.v3.RBAC'}},"
			      " {'name': 'tcp', " TCP
			      "'stat_prefix': 'x', 'weighted_clusters': {'clusters': [{'name': "
			      "'a', 'weight': 80}, {'name': 'b',"
			      " 'weight': 20}]}, 'idle_timeout': '30s'}}], 'transport_socket': "
			      "{'name': 'envoy.transport_sockets.tls', 'typed_config':"
			      " {'@type': "
			      "'type.googleapis.com/"
			      "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',"
			      " 'require_client_certificate': true, 'common_tls_context': "
			      "{'tls_params': {'tls_minimum_protocol_version': 'TLSv1_3', "
			      "'tls_maximum_protocol_version': 'TLSv1_3'}, "
			      "'tls_certificate_sds_secret_configs': [{'name': 'default',"
			      " 'sds_config': {'ads': {}}}]}}}}],"
			      " 'default_filter_chain': {'filters': [{'name': 'tcp', " TCP
			      "'cluster': 'PassthroughCluster'}}]}}");
	const struct mt_res_chain *c;
	const struct mt_res_listener *l = listener(&m);

	if (m.rc)
		printf("\n  %s\n", m.why.text);
	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_FALSE(l->bound);
	CU_ASSERT_EQUAL_FATAL(l->n_addresses, 2);
	CU_ASSERT_TRUE(mt_addr_is_zero(&l->addresses[0].addr));
	CU_ASSERT_EQUAL(l->addresses[0].port, 80);
	CU_ASSERT_EQUAL(l->addresses[1].port, 81);
	c = &l->chains[0];
	CU_ASSERT_STRING_EQUAL(c->name, "one");
	CU_ASSERT_STRING_EQUAL(c->match.server_names[0], "*.example.org");
	CU_ASSERT_STRING_EQUAL(c->match.alpn[0], "h2");
	CU_ASSERT_STRING_EQUAL(c->match.transport, "tls");
	CU_ASSERT_EQUAL(c->match.port, 80);
	CU_ASSERT_EQUAL(c->match.prefixes[0].bits, 24);
	CU_ASSERT_EQUAL_FATAL(c->match.n_sources, 2);
	CU_ASSERT_EQUAL(c->match.sources[0].bits, 32);
	CU_ASSERT_EQUAL(c->match.sources[1].bits, 0);
	CU_ASSERT_PTR_NULL(c->proxy);
	CU_ASSERT_EQUAL_FATAL(c->n_dests, 2);
	CU_ASSERT_STRING_EQUAL(c->dests[1].cluster.s, "b");
	CU_ASSERT_EQUAL(c->dests[1].weight.v, 20);
	CU_ASSERT_EQUAL(c->idle_ms, 30000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->tls);
	CU_ASSERT_TRUE(c->tls->client_certificate);
	CU_ASSERT_EQUAL(c->tls->min_version, 0x0304);
	CU_ASSERT_EQUAL(c->tls->max_version, 0);
	CU_ASSERT_STRING_EQUAL(c->tls->certificate, "default");
	CU_ASSERT_PTR_NOT_NULL_FATAL(l->fallback);
	CU_ASSERT_STRING_EQUAL(l->fallback->dests[0].cluster.s, "PassthroughCluster");
	CU_ASSERT_STRING_EQUAL(refs_str(&m), "SDS default; CDS a; CDS b; CDS PassthroughCluster");
	CU_ASSERT_PTR_NOT_NULL(strstr(ignored_str(&m), "RBAC, external authorization"));
	unmap(&m);
}

#define TCP1                                                                                       \
	"{'name': 't', 'typed_config': {'@type': 'type.googleapis.com/"                            \
	"envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', 'cluster': 'a'}}"

#define PROTECTS "one of its filters is not run here and may protect"
#define TYPED(name, type)                                                                          \
	"{'name': '" name "', 'typed_config': {'@type': 'type.googleapis.com/" type "'}}"
#define PROXIES "envoy.extensions.filters.network."
#define THRIFT_WITH(filters)                                                                       \
	"{'name': 't', 'typed_config': {'@type': 'type.googleapis.com/" PROXIES                    \
	"thrift_proxy.v3.ThriftProxy', 'route_config': {'routes': [{'match': {'method_name': "     \
	"''}, 'route': {'cluster': 'a'}}]}, 'thrift_filters': [" filters "]}}"
#define DUBBO_WITH(filters)                                                                        \
	"{'name': 'd', 'typed_config': {'@type': 'type.googleapis.com/" PROXIES                    \
	"dubbo_proxy.v3.DubboProxy', 'route_config': [{'name': 'r', 'interface': '*', "            \
	"'routes': [{'route': {'cluster': 'a'}}]}], 'dubbo_filters': [" filters "]}}"

static struct mapped map_filters(const char *filters)
{
	return map_text(MT_XDS_LDS, in_text("{'name': 'l', " ADDRESS("192.0.2.1",
						    "80") ", 'filter_chains': [{'filters': [%s]}]}",
					    filters));
}

/* A chain that cannot be served does not hold back its listener. */
static void other_proxies(void)
{
	static const struct {
		const char *filters, *unserved;
	} rows[] = {
		{"{'name': 'envoy.filters.network.http_connection_manager', 'typed_config': "
		 "{'@type':"
		 " 'type.googleapis.com/"
		 "envoy.extensions.filters.network.http_connection_manager.v3."
		 "HttpConnectionManager'}}",
			"HTTP is not served"},
		{"{'name': 'redis', 'typed_config': {'@type': "
		 "'type.googleapis.com/"
		 "envoy.extensions.filters.network.redis_proxy.v3.RedisProxy'}}",
			"it ends in no known proxy"},
		{"{'name': 'nothing'}", "it ends in no known proxy"},
		{"{'name': 'x', 'config_discovery': {'type_urls': ['type.googleapis.com/a.B']}}",
			"one of its filters is not run here and may protect"},
		{"{'name': 'rbac', 'typed_config': {'@type': 'type.googleapis.com/"
		 "envoy.extensions.filters.network.rbac.v3.RBAC'}}, " TCP1,
			"one of its filters is not run here and may protect"},
		{"{'name': 'istio.stats', 'typed_config': {'@type': 'type.googleapis.com/"
		 "envoy.extensions.filters.network.ext_authz.v3.ExtAuthz'}}, " TCP1,
			"one of its filters is not run here and may protect"},
		{"{'name': 'd', 'typed_config': {'@type': 'type.googleapis.com/"
		 "envoy.extensions.filters.network.dubbo_proxy.v3.DubboProxy', 'route_config': "
		 "[{'name': 'r', "
		 "'interface': '*', 'routes': [{'route': {'cluster': 'a'}}]}], 'dubbo_filters': "
		 "[{'name': "
		 "'envoy.filters.dubbo.rbac'}, {'name': 'envoy.filters.dubbo.router'}]}}",
			"one of its filters is not run here and may protect"},
		/* A name says nothing about a filter, whatever is in it. */
		{"{'name': 'team.ratelimit.rbac'}, " TCP1, PROTECTS},
		{"{'name': 'istio.stats'}, " TCP1, PROTECTS},
		{TYPED("x", "team.ratelimit.Rbac") ", " TCP1, PROTECTS},
		{TYPED("x", "team.istio_stats.v1.Rbac") ", " TCP1, PROTECTS},
		{"{'name': 'x', 'typed_config': {'@type': "
		 "'type.googleapis.com/udpa.type.v1.TypedStruct', 'type_url': "
		 "'type.googleapis.com/team.ratelimit.Rbac', 'value': {}}}, " TCP1,
			PROTECTS},
		{"{'name': 'x', 'typed_config': {'@type': "
		 "'type.googleapis.com/udpa.type.v1.TypedStruct', 'value': {}}}, " TCP1,
			PROTECTS},
		{"{'name': 'istio.stats', 'config_discovery': {'type_urls': "
		 "['type.googleapis.com/a.B']}}, " TCP1,
			PROTECTS},
		{"{'name': 'istio.stats', 'config_discovery': {'type_urls': "
		 "['type.googleapis.com/stats.PluginConfig', 'type.googleapis.com/a.B']}}, " TCP1,
			PROTECTS},
		{THRIFT_WITH("{'name': 'team.router.rbac'}"), PROTECTS},
		{THRIFT_WITH("{'name': 'team.rate_limit.rbac'}"), PROTECTS},
		{THRIFT_WITH("{'name': 'who_to_metadata'}"), PROTECTS},
		{THRIFT_WITH(TYPED("envoy.filters.thrift.router", "team.Rbac")), PROTECTS},
		{DUBBO_WITH("{'name': 'team.router.rbac'}"), PROTECTS},
		{DUBBO_WITH("{'name': 'envoy.filters.dubbo.router', 'config': {'@type': "
			    "'type.googleapis.com/team.router.Rbac'}}"),
			PROTECTS},
		{"", "it has no filters"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mapped m = map_filters(rows[i].filters);

		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(listener(&m)->chains[0].unserved);
		CU_ASSERT_STRING_EQUAL(listener(&m)->chains[0].unserved, rows[i].unserved);
		CU_ASSERT_EQUAL(m.m.n_ignored, 1);
		unmap(&m);
	}
}

/* Filters that protect nothing, with any name. */
static void harmless_filters(void)
{
	static const struct {
		const char *filters;
		uint32_t notes;
	} rows[] = {
		{TYPED("rbac", "envoy.tcp.metadataexchange.config.MetadataExchange") ", " TCP1, 1},
		{TYPED("rbac", "stats.PluginConfig") ", " TCP1, 1},
		{TYPED("rbac", PROXIES "ratelimit.v3.RateLimit") ", " THRIFT_WITH(
			 "{'name': 'envoy.filters.thrift.router'}"),
			1},
		{"{'name': 'x', 'config_discovery': {'type_urls': "
		 "['type.googleapis.com/" PROXIES "ratelimit.v3.RateLimit']}}, " TCP1,
			1},
		{TYPED("rbac", PROXIES "local_ratelimit.v3.LocalRateLimit") ", " THRIFT_WITH(
			 "{'name': 'envoy.filters.thrift.router'}"),
			1},
		{TYPED("rbac", PROXIES "connection_limit.v3.ConnectionLimit") ", " TCP1, 1},
		{TYPED("rbac", PROXIES "sni_cluster.v3.SniCluster") ", " TCP1, 1},
		{TYPED("rbac", PROXIES "set_filter_state.v3.Config") ", " TCP1, 1},
		{"{'name': 'x', 'typed_config': {'@type': "
		 "'type.googleapis.com/udpa.type.v1.TypedStruct', 'type_url': "
		 "'type.googleapis.com/stats.PluginConfig', 'value': {}}}, " TCP1,
			1},
		{"{'name': 'x', 'config_discovery': {'type_urls': "
		 "['type.googleapis.com/stats.PluginConfig']}}, " TCP1,
			1},
		{THRIFT_WITH("{'name': 'envoy.filters.thrift.router'}"), 0},
		{THRIFT_WITH(TYPED("x", PROXIES "thrift_proxy.router.v3.Router")), 0},
		{THRIFT_WITH(TYPED("x",
			 PROXIES "thrift_proxy.filters.header_to_metadata.v3.HeaderToMetadata")),
			1},
		{THRIFT_WITH(TYPED("x",
			 PROXIES "thrift_proxy.filters.payload_to_metadata.v3.PayloadToMetadata")),
			1},
		{DUBBO_WITH("{'name': 'envoy.filters.dubbo.router'}"), 0},
		{DUBBO_WITH("{'name': 'x', 'config': {'@type': 'type.googleapis.com/" PROXIES
			    "dubbo_proxy.router.v3.Router'}}"),
			0},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mapped m = map_filters(rows[i].filters);

		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		CU_ASSERT_PTR_NULL(listener(&m)->chains[0].unserved);
		CU_ASSERT_EQUAL(m.m.n_ignored, rows[i].notes);
		unmap(&m);
	}
}

static const char *or_none(const char *words)
{
	return words ? words : "";
}

#define LISTENING	 "envoy.extensions.filters.listener."
#define DISCOVERED(type) "{'name': 'x', 'config_discovery': {'type_urls': [" type "]}}"
#define TYPE_URL(type)	 "'type.googleapis.com/" type "'"

/* A listener filter that may protect closes all chains of its listener. */
static void listener_filters(void)
{
	static const struct {
		const char *filter;
		bool served;
	} rows[] = {
		{TYPED("rbac", LISTENING "tls_inspector.v3.TlsInspector"), true},
		{TYPED("x", LISTENING "http_inspector.v3.HttpInspector"), true},
		{TYPED("x", LISTENING "original_dst.v3.OriginalDst"), true},
		{TYPED("x", LISTENING "original_src.v3.OriginalSrc"), true},
		{TYPED("x", LISTENING "local_ratelimit.v3.LocalRateLimit"), true},
		{"{'name': 'envoy.filters.listener.tls_inspector'}", true},
		{"{'name': 'x', 'typed_config': {'@type': "
		 "'type.googleapis.com/udpa.type.v1.TypedStruct', 'type_url': "
		 "'type.googleapis.com/" LISTENING "original_dst.v3.OriginalDst', 'value': {}}}",
			true},
		{DISCOVERED(TYPE_URL(LISTENING "tls_inspector.v3.TlsInspector")), true},
		{TYPED("envoy.filters.listener.tls_inspector", "team.Gate"), false},
		{TYPED("x", "envoy.acme.filters.listener.tls_inspector.v3.TlsInspector"), false},
		{"{'name': 'envoy.filters.listener.tls_inspector.gate'}", false},
		{"{'name': 'x'}", false},
		{DISCOVERED(""), false},
		{DISCOVERED(TYPE_URL(LISTENING "tls_inspector.v3.TlsInspector") ", " TYPE_URL(
			 "team.Gate")),
			false},
		{"{'name': 'envoy.filters.listener.tls_inspector', 'config_discovery': {}}", false},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mapped m = map_text(MT_XDS_LDS,
			in_text("{'name': 'l', " ADDRESS("192.0.2.1",
					"80") ", 'listener_filters': [%s], 'filter_chains': "
					      "[{'filters': [" TCP1 "]}, {}], "
					      "'default_filter_chain': {'filters': [" TCP1 "]}}",
				rows[i].filter));
		const char *why =
			rows[i].served ? ""
				       : "a filter of its listener is not run here and may protect";

		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		CU_ASSERT_STRING_EQUAL(or_none(listener(&m)->chains[0].unserved), why);
		CU_ASSERT_STRING_EQUAL(or_none(listener(&m)->fallback->unserved), why);
		/* One that is not served anyway keeps its reason. */
		CU_ASSERT_STRING_EQUAL(listener(&m)->chains[1].unserved, "it has no filters");
		CU_ASSERT_EQUAL(m.m.n_ignored, 2);
		unmap(&m);
	}
}

/* What istiod sends each sidecar besides its services' listeners: all of it is taken, none of HTTP is served. */
static void listeners_of_istio(void)
{
#define STATS                                                                                      \
	"{'name': 'istio.stats', 'typed_config': {'@type': "                                       \
	"'type.googleapis.com/stats.PluginConfig'}}"
#define SDS_GRPC                                                                                   \
	"'sds_config': {'api_config_source': {'api_type': 'GRPC', "                                \
	"'set_node_on_first_message_only': true, 'grpc_services': [{'envoy_grpc': "                \
	"{'cluster_name': 'sds-grpc'}}], 'transport_api_version': 'V3'}, "                         \
	"'initial_fetch_timeout': '0s', 'resource_api_version': 'V3'}"
	struct mapped m = map_text(MT_XDS_LDS,
		"{'name': 'virtualOutbound', " ADDRESS("0.0.0.0",
			"15001") ", 'filter_chains': [{'filter_chain_match': {'destination_port': "
				 "15001},"
				 " 'filters': [" STATS
				 ", {'name': 'envoy.filters.network.tcp_proxy', " TCP
				 "'stat_prefix': 'BlackHoleCluster', 'cluster':"
				 " 'BlackHoleCluster'}}], 'name': 'virtualOutbound-blackhole'}, "
				 "{'filters': [" STATS
				 ", {'name': 'envoy.filters.network.tcp_proxy', " TCP
				 "'stat_prefix': 'PassthroughCluster', 'cluster': "
				 "'PassthroughCluster', 'access_log': [{'name': "
				 "'envoy.access_loggers.file',"
				 " 'typed_config': {'@type': "
				 "'type.googleapis.com/"
				 "envoy.extensions.access_loggers.file.v3.FileAccessLog', 'path': "
				 "'/dev/stdout'}}]}}],"
				 " 'name': 'virtualOutbound-catchall-tcp'}], 'use_original_dst': "
				 "true, 'traffic_direction': 'OUTBOUND', 'access_log': [{'name': "
				 "'x',"
				 " 'filter': {'response_flag_filter': {'flags': ['NR']}}}]}");

	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_EQUAL(listener(&m)->n_chains, 2);
	CU_ASSERT_EQUAL(listener(&m)->chains[0].match.port, 15001);
	CU_ASSERT_STRING_EQUAL(refs_str(&m), "CDS BlackHoleCluster; CDS PassthroughCluster");
	unmap(&m);
	m = map_text(MT_XDS_LDS,
		"{'name': 'virtualInbound', " ADDRESS("0.0.0.0",
			"15006") ", 'traffic_direction': 'INBOUND', 'listener_filters_timeout': "
				 "'0s',"
				 " 'continue_on_listener_filters_timeout': true, "
				 "'listener_filters': [{'name': "
				 "'envoy.filters.listener.original_dst', 'typed_config':"
				 " {'@type': "
				 "'type.googleapis.com/"
				 "envoy.extensions.filters.listener.original_dst.v3.OriginalDst'}},"
				 " {'name':"
				 " 'envoy.filters.listener.tls_inspector', 'filter_disabled': "
				 "{'destination_port_range': {'start': 15006, 'end': 15007}}}],"
				 " 'filter_chains': [{'filter_chain_match': {'prefix_ranges': "
				 "[{'address_prefix': '0.0.0.0', 'prefix_len': 0}], "
				 "'transport_protocol':"
				 " 'tls', 'application_protocols': ['istio-http/1.0', "
				 "'istio-h2']}, 'filters': [{'name': 'istio.metadata_exchange', "
				 "'typed_config': {'@type': 'type.googleapis.com/"
				 "envoy.tcp.metadataexchange.config.MetadataExchange'}}, "
				 "{'name':"
				 " 'envoy.filters.network.http_connection_manager', "
				 "'typed_config': {'@type': "
				 "'type.googleapis.com/envoy.extensions.filters.network"
				 ".http_connection_manager.v3.HttpConnectionManager', "
				 "'stat_prefix': 'InboundPassthroughCluster'}}], "
				 "'transport_socket': {'name':"
				 " 'envoy.transport_sockets.tls', 'typed_config': {'@type':"
				 " 'type.googleapis.com/"
				 "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', "
				 "'require_client_certificate': true,"
				 " 'common_tls_context': {'alpn_protocols': ['h2', 'http/1.1'], "
				 "'tls_params': {'tls_minimum_protocol_version': 'TLSv1_2',"
				 " 'cipher_suites': ['ECDHE-ECDSA-AES256-GCM-SHA384']}, "
				 "'tls_certificate_sds_secret_configs': [{'name': "
				 "'default', " SDS_GRPC "}], 'combined_validation_context': "
				 "{'default_validation_context': "
				 "{'match_subject_alt_names': [{'prefix':"
				 " 'spiffe://cluster.local/'}]}, "
				 "'validation_context_sds_secret_config': {'name': "
				 "'ROOTCA', " SDS_GRPC
				 "}}}}}, 'name': 'virtualInbound-catchall-http'}, "
				 "{'filter_chain_match': {'destination_port': 20880, "
				 "'transport_protocol': 'raw_buffer'},"
				 " 'filters': [{'name': 'envoy.filters.network.rbac'}, {'name': "
				 "'x', 'typed_config': {'@type':"
				 " 'type.googleapis.com/udpa.type.v1.TypedStruct', 'type_url': "
				 "'" META "v1alpha.MetaProtocolProxy', 'value': {'statPrefix':"
				 " 'inbound|20880||', 'applicationProtocol': 'dubbo', 'codec': "
				 "{'name': 'aeraki.meta_protocol.codec.dubbo'}, 'routeConfig': "
				 "{'name':"
				 " 'inbound|20880||', 'routes': [{'route': {'cluster': "
				 "'inbound|20880||'}}]}}}}], 'name': '0.0.0.0_20880'}]}");
	if (m.rc)
		printf("\n  %s\n", m.why.text);
	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_STRING_EQUAL(listener(&m)->chains[0].unserved, "HTTP is not served");
	CU_ASSERT_PTR_NOT_NULL(listener(&m)->chains[0].tls);
	CU_ASSERT_STRING_EQUAL(
		rules_str(&listener(&m)->chains[1].proxy->routes), ":  -> inbound|20880||");
	CU_ASSERT_STRING_EQUAL(refs_str(&m), "SDS default @sds-grpc no limit; SDS ROOTCA @sds-grpc "
					     "no limit; CDS inbound|20880||");
	unmap(&m);
}

static void extensions(void)
{
	struct mapped m = map_text(MT_XDS_LDS,
		"{'name': 'l', " ADDRESS("192.0.2.1",
			"80") ", 'filter_chains': [{'filters': [{'name': 'ext', "
			      "'config_discovery': {'config_source':"
			      " {'ads': {}}, 'type_urls': "
			      "['type.googleapis.com/"
			      "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy'],"
			      " 'default_config': {'@type': "
			      "'type.googleapis.com/"
			      "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', 'cluster': "
			      "'d'}}}]}]}");

	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_STRING_EQUAL(listener(&m)->chains[0].extension, "ext");
	CU_ASSERT_STRING_EQUAL(listener(&m)->chains[0].dests[0].cluster.s, "d");
	CU_ASSERT_STRING_EQUAL(refs_str(&m), "ECDS ext; CDS d");
	unmap(&m);
	m = map_text(MT_XDS_ECDS, "{'name': 'ext', " TCP "'cluster': 'e'}}");
	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_STRING_EQUAL(m.m.meta->name, "ext");
	CU_ASSERT_STRING_EQUAL(
		((const struct mt_res_extension *)m.m.meta)->chain.dests[0].cluster.s, "e");
	unmap(&m);
}

/* ---- Envoy's own proxies -------------------------------------------------------------------------------- */

#define NETWORK "type.googleapis.com/envoy.extensions.filters.network."

static const struct {
	const char *config, *codec, *rules;
} rpc_rows[] = {
	{"{'@type': '" NETWORK "thrift_proxy.v3.ThriftProxy', 'transport': 'FRAMED', 'protocol': "
	 "'BINARY', 'route_config': {'name': 'r',"
	 " 'routes': [{'match': {'method_name': 'ping'}, 'route': {'cluster': 'a'}}, {'match': "
	 "{'service_name': 'Calc:', 'headers':"
	 " [{'name': 'k', 'exact_match': 'v'}]}, 'route': {'weighted_clusters': {'clusters': "
	 "[{'name': 'b', 'weight': 1}, {'name': 'c',"
	 " 'weight': 2}]}, 'request_mirror_policies': [{'cluster': 'm'}]}}, {'match': "
	 "{'method_name': 'ping', 'invert': true}, 'route':"
	 " {'cluster': 'd'}}, {'match': {'method_name': ''}, 'route': {'cluster': 'e'}}]}, "
	 "'thrift_filters': [{'name':"
	 " 'envoy.filters.thrift.router'}]}",
		"thrift",
		": !service present, method exact ping -> a | : service exact Calc, k exact v -> "
		"b=1 c=2 1000000 copied to m | "
		": service present; !method exact ping or missing -> d | :  -> e"},
	{"{'@type': '" NETWORK "thrift_proxy.v3.ThriftProxy', 'route_config': {'routes': "
	 "[{'match': {'method_name': 'Calc:ping'}, 'route': {'cluster': 'a'}}, {'match': "
	 "{'method_name': 'Calc:ping', 'invert': true, 'headers': [{'name': 'k'}]}, 'route': "
	 "{'cluster': 'b'}}, {'match': {'service_name': 'a:b'}, 'route': {'cluster': 'c'}}, "
	 "{'match': {'service_name': 'Calc', 'invert': true}, 'route': {'cluster': 'd'}}]}}",
		"thrift",
		": service exact Calc, method exact ping -> a | : !service exact Calc or missing, "
		"k "
		"present; !method exact ping or missing, k present -> b | : service exact a, "
		"method "
		"prefix b: -> c | : !service exact Calc or missing -> d"},
	{"{'@type': '" NETWORK "dubbo_proxy.v3.DubboProxy', 'protocol_type': 'Dubbo', "
	 "'serialization_type': 'Hessian2', 'route_config':"
	 " [{'name': 'r', 'interface': 'org.example.Demo', 'group': 'g', 'version': '1.0.0', "
	 "'routes': [{'match': {'method': {'name':"
	 " {'exact': 'sayHello'}}, 'headers': [{'name': 'user', 'prefix_match': 'J'}]}, 'route': "
	 "{'cluster': 'a'}}, {'match': {'method':"
	 " {'name': {'safe_regex': {'regex': '.*'}}}}, 'route': {'weighted_clusters': {'clusters': "
	 "[{'name': 'b', 'weight': 3}, {'name':"
	 " 'c', 'weight': 1}]}}}]}, {'interface': '*.Other', 'routes': [{'match': {}, 'route': "
	 "{'cluster': 'o'}}]}, {'interface': 'com.*',"
	 " 'routes': [{'route': {'cluster': 'p'}}]}]}",
		"dubbo",
		": interface exact org.example.Demo, group exact g, version exact 1.0.0, method "
		"exact sayHello, user prefix J -> a | "
		": interface exact org.example.Demo, group exact g, version exact 1.0.0, method "
		"regex .* -> b=3 c=1 | "
		": interface suffix .Other -> o | : interface prefix com. -> p"},
	{"{'@type': '" NETWORK "dubbo_proxy.v3.DubboProxy', 'multiple_route_config': "
	 "{'route_config': [{'interface': '*', 'group': '*',"
	 " 'routes': [{'route': {'cluster': 'a'}}]}]}}",
		"dubbo", ":  -> a"},
	/* istiod's EnvoyFilter may write it as a TypedStruct too. */
	{"{'@type': 'type.googleapis.com/udpa.type.v1.TypedStruct', 'type_url': '" NETWORK
	 "thrift_proxy.v3.ThriftProxy', 'value': {'routeConfig': {'routes': [{'match': "
	 "{'methodName': 'x'}, 'route': {'cluster': 'a'}}]}}}",
		"thrift", ": !service present, method exact x -> a"},
};

static void envoys_own(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rpc_rows); i++) {
		struct mapped m =
			map_text(MT_XDS_LDS, in_text(aeraki_listener, rpc_rows[i].config));
		const struct mt_proxy_patch *p;

		if (m.rc)
			printf("\n  %s\n", m.why.text);
		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		p = listener(&m)->chains[0].proxy;
		CU_ASSERT_STRING_EQUAL(p->codec.s, rpc_rows[i].codec);
		CU_ASSERT_STRING_EQUAL(rules_str(&p->routes), rpc_rows[i].rules);
		unmap(&m);
	}
}

/* The time-out of protocol detection; 0 switches it off, as in Envoy. */
static void detection(void)
{
	static const struct {
		const char *text;
		struct mt_num ms;
	} rows[] = {
		{"", {0}},
		{"'listener_filters_timeout': '0s', ", {.set = true}},
		{"'listener_filters_timeout': '0.1s', ", {.v = 100, .set = true}},
		{"'listener_filters_timeout': '15s', 'continue_on_listener_filters_timeout': "
		 "true, ",
			{.v = 15000, .set = true}},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		char text[1024];
		struct mapped m;

		snprintf(text, sizeof(text),
			"{'name': 'l', %s" ADDRESS("192.0.2.1",
				"80") ", 'filter_chains': "
				      "[{'filters': [{'name': 'tcp', " TCP "'cluster': 'c'}}]}]}",
			rows[i].text);
		m = map_text(MT_XDS_LDS, text);
		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		CU_ASSERT_EQUAL(listener(&m)->detect.set, rows[i].ms.set);
		CU_ASSERT_EQUAL(listener(&m)->detect.v, rows[i].ms.v);
		unmap(&m);
	}
}

const struct mt_test map_listener_tests[] = {{"detection", detection},
	{"one_proxy_in_all_forms", one_proxy_in_all_forms}, {"a_global_limit", a_global_limit},
	{"what_a_proxy_does_not_do", what_a_proxy_does_not_do}, {"inline_routes", inline_routes},
	{"bytes", bytes}, {"other_proxies", other_proxies}, {"harmless_filters", harmless_filters},
	{"listener_filters", listener_filters}, {"listeners_of_istio", listeners_of_istio},
	{"extensions", extensions}, {"envoys_own", envoys_own}, {0}};
