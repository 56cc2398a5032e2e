/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused, with the field and the reason that the server and the operator read. */
#include "map_fixture.h"

#include "cluster.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define EP(a, p)                                                                                   \
	"{'endpoint': {'address': {'socket_address': {'address': '" a "', 'port_value': " p "}}}}"
#define CLA(eps) "{'cluster_name': 'a', 'endpoints': [{'lb_endpoints': [" eps "]}]}"
#define L(rest)                                                                                    \
	"{'name': 'l', 'address': {'socket_address': {'address': '192.0.2.1', 'port_value': "      \
	"80}}, " rest "}"
#define F(rest) L("'filter_chains': [{'filters': [" rest "]}]")
#define TYPED	"'typed_config': {'@type': 'type.googleapis.com/"
#define TCP	TYPED "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy'"
#define META(rest)                                                                                 \
	F("{'name': 'x'}, {'name': 'm', " TYPED                                                    \
	  "aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy', " rest "}}")
#define AT "filter_chains[0].filters[1].typed_config."
#define RC "'route_config': {'routes': [{'route': {'cluster': 'c'}}]}"
#define LIMIT(rest)                                                                                \
	META("'codec': {'name': 'dubbo'}, " RC                                                     \
	     ", 'meta_protocol_filters': [{'name': 'local_ratelimit', 'config': {'@type':"         \
	     " 'type.googleapis.com/"                                                              \
	     "aeraki.meta_protocol_proxy.filters.local_ratelimit.v1alpha.LocalRateLimit', " rest   \
	     "}}]")
#define GLOBAL(rest)                                                                               \
	META("'codec': {'name': 'dubbo'}, " RC                                                     \
	     ", 'meta_protocol_filters': [{'name': 'x', 'config': {'@type': "                      \
	     "'type.googleapis.com/"                                                               \
	     "aeraki.meta_protocol_proxy.filters.ratelimit.v1alpha.RateLimit', " rest "}}]")
#define AT_LIMITS                                                                                  \
	"'rate_limit_service': {'grpc_service': {'envoy_grpc': {'cluster_name': 'limits'}}}"
#define BY_METHOD "{'property': 'method', 'descriptor_key': 'm'}"
#define GAT	  AT "meta_protocol_filters[0].config."
#define R(rest)	  "{'name': 'r', 'virtual_hosts': [{'routes': [" rest "]}]}"
#define H(rest)	  R("{'match': {'headers': [{'name': 'k'}, {" rest "}]}, 'route': {'cluster': 'c'}}")
#define HAT	  "virtual_hosts[0].routes[0].match.headers[1]"
#define RAT	  "virtual_hosts[0].routes[0]."
#define THRIFT(rest)                                                                               \
	F("{'name': 't', " TYPED                                                                   \
	  "envoy.extensions.filters.network.thrift_proxy.v3.ThriftProxy', " rest "}}")
#define DUBBO(rest)                                                                                \
	F("{'name': 't', " TYPED                                                                   \
	  "envoy.extensions.filters.network.dubbo_proxy.v3.DubboProxy', " rest "}}")
#define AT0 "filter_chains[0].filters[0].typed_config."
#define ROBIN                                                                                      \
	"{'policies': [{'typed_extension_config': {'name': 'r', " TYPED                            \
	"envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin'}}}]}"
#define WRR(inner)                                                                                 \
	"{'policies': [{'typed_extension_config': {'name': 'w', " TYPED                            \
	"envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality', "                  \
	"'endpoint_picking_policy': " inner "}}}]}"
#define CDS MT_XDS_CDS
#define EDS MT_XDS_EDS
#define LDS MT_XDS_LDS
#define RDS MT_XDS_RDS

static const struct {
	enum mt_xds_type type;
	const char *text, *why;
} rows[] = {
	/* clusters */
	{CDS, "{}", "name: missing"},
	{CDS,
		"{'name': 'a', 'transport_socket': {'name': 'x', " TYPED
		"udpa.type.v1.TypedStruct', 'type_url': "
		"'type.googleapis.com/xds.type.v3.TypedStruct', 'value': {}}}}",
		"transport_socket.typed_config: a TypedStruct in a TypedStruct"},
	{RDS,
		R("{'route': {'cluster': 'c'}, 'request_headers_to_add': [{'header': {'key': 'k', "
		  "'raw_value': 'YQ=='}}]}"),
		RAT "request_headers_to_add[0].header.raw_value: only texts are set (value)"},
	{EDS, CLA(EP("", "80")),
		"endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address: missing"},
	{RDS,
		R("{'match': {'runtime_fraction': {'default_value': {'numerator': 1, "
		  "'denominator': 3}}}, 'route': {'cluster': 'c'}}"),
		RAT "match.runtime_fraction.default_value: denominator 3 is not known"},
	{CDS, "{'name': 'a b'}", "name: \"a b\" has a character that no name may have"},
	{CDS, "{'name': 'a', 'type': 9}", "type: 9 is not known"},
	{CDS, "{'name': 'a', 'cluster_type': {'name': 'envoy.clusters.redis'}}",
		"cluster_type.name: \"envoy.clusters.redis\" is not a known type"},
	{CDS, "{'name': 'a', 'lb_policy': 4}", "lb_policy: 4 is not known"},
	{CDS, "{'name': 'a', 'lb_policy': 7}", "load_balancing_policy: missing"},
	{CDS, "{'name': 'a', 'load_balancing_policy': {'policies': [{}]}}",
		"load_balancing_policy: no policy that is known here"},
	{CDS, "{'name': 'a', 'type': 'EDS'}", "eds_cluster_config: missing"},
	{CDS, "{'name': 'a', 'type': 'EDS', 'eds_cluster_config': {}}",
		"eds_cluster_config.eds_config: missing"},
	{CDS,
		"{'name': 'a', 'type': 'EDS', 'eds_cluster_config': {'eds_config': "
		"{'path_config_source': {'path': '/x'}}}}",
		"eds_cluster_config.eds_config: neither ads, self nor api_config_source"},
	{CDS,
		"{'name': 'a', 'type': 'EDS', 'eds_cluster_config': {'eds_config': "
		"{'api_config_source': {'api_type': 'REST'}}}}",
		"eds_cluster_config.eds_config.api_config_source.api_type: only gRPC is spoken"},
	{CDS,
		"{'name': 'a', 'type': 'EDS', 'eds_cluster_config': {'eds_config': "
		"{'api_config_source': {'api_type': 'GRPC'}}}}",
		"eds_cluster_config.eds_config.api_config_source.grpc_services: the first one "
		"names no cluster (envoy_grpc)"},
	{CDS, "{'name': 'a', 'connect_timeout': '0s'}", "connect_timeout: shorter than 1 ms"},
	{CDS, "{'name': 'a', 'connect_timeout': '-1s'}", "connect_timeout: not a duration"},
	{CDS, "{'name': 'a', 'connect_timeout': '5000000s'}",
		"connect_timeout: longer than 49 days"},
	{CDS, "{'name': 'a', 'ring_hash_lb_config': {'minimum_ring_size': 9000000}}",
		"ring_hash_lb_config.minimum_ring_size: 9000000 is not within 1 and 8388608"},
	{CDS,
		"{'name': 'a', 'ring_hash_lb_config': {'minimum_ring_size': 9, "
		"'maximum_ring_size': 8}}",
		"ring_hash_lb_config.minimum_ring_size: above the maximum"},
	{CDS,
		"{'name': 'a', 'round_robin_lb_config': {'slow_start_config': {'aggression': "
		"{'default_value': 0}}}}",
		"slow_start_config.aggression: not within 0.01 and 100"},
	{CDS,
		"{'name': 'a', 'lb_policy': 'LEAST_REQUEST', 'least_request_lb_config': "
		"{'slow_start_config': {'min_weight_percent': {'value': 101}}}}",
		"slow_start_config.min_weight_percent: not a percentage"},
	{CDS, "{'name': 'a', 'maglev_lb_config': {'table_size': 65536}}",
		"maglev_lb_config.table_size: 65536 is not a prime"},
	{CDS, "{'name': 'a', 'maglev_lb_config': {'table_size': 9}}",
		"maglev_lb_config.table_size: 9 is not a prime"},
	{CDS, "{'name': 'a', 'maglev_lb_config': {'table_size': 1}}",
		"maglev_lb_config.table_size: 1 is not a prime"},
	{CDS, "{'name': 'a', 'maglev_lb_config': {'table_size': 0}}",
		"maglev_lb_config.table_size: 0 is not within 1 and 5000011"},
	{CDS, "{'name': 'a', 'ring_hash_lb_config': {'hash_function': 2}}",
		"ring_hash_lb_config.hash_function: 2 is not known"},
	{CDS, "{'name': 'a', 'type': 5}", "type: 5 is not known"},
	{CDS, "{'name': 'a', 'load_balancing_policy': " WRR(WRR(ROBIN)) "}",
		"load_balancing_policy: no policy that is known here"},
	{CDS, "{'name': 'a', 'circuit_breakers': {'thresholds': [{'priority': 2}]}}",
		"circuit_breakers.thresholds[0].priority: 2 is not known"},
	{CDS, "{'name': 'a', 'common_lb_config': {'healthy_panic_threshold': {'value': 101}}}",
		"common_lb_config.healthy_panic_threshold: not a percentage"},
	{CDS,
		"{'name': 'a', 'circuit_breakers': {'thresholds': [{'priority': 'HIGH'}, "
		"{'max_connections': 0}]}}",
		"circuit_breakers.thresholds[1].max_connections: 0 is not within 1 and 4294967295"},
	{CDS, "{'name': 'a', 'circuit_breakers': {'thresholds': [{}, {}]}}",
		"circuit_breakers.thresholds[1].priority: DEFAULT is given twice"},
	{CDS,
		"{'name': 'a', 'circuit_breakers': {'thresholds': [{'retry_budget': "
		"{'budget_percent': {'value': 100.5}}}]}}",
		"circuit_breakers.thresholds[0].retry_budget.budget_percent: not a percentage"},
	{CDS, "{'name': 'a', 'outlier_detection': {'max_ejection_percent': 101}}",
		"outlier_detection.max_ejection_percent: 101 is not within 0 and 100"},
	{CDS, "{'name': 'a', 'transport_socket': {'name': 'x', " TYPED "a.B'}}}",
		"transport_socket.typed_config: no such transport socket \"a.B\""},
	{CDS, "{'name': 'a', 'transport_socket': {'name': 'x'}}",
		"transport_socket.typed_config: missing"},
	{CDS,
		"{'name': 'a', 'load_assignment': {'endpoints': [{'lb_endpoints': [" EP(
			"db.x", "1") "]}]}}",
		"load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address."
		"address: \"db.x\" is not an IP address"},
	{CDS,
		"{'name': 'a', 'type': 'STRICT_DNS', 'load_assignment': {'endpoints': "
		"[{'lb_endpoints': [" EP("a b", "1") "]}]}}",
		"load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address."
		"address: \"a b\" is not a host name"},
	{CDS,
		"{'name': 'a', 'type': 'LOGICAL_DNS', 'load_assignment': {'endpoints': "
		"[{'lb_endpoints': [" EP("a", "1") "," EP("b", "1") "]}]}}",
		"load_assignment: a LOGICAL_DNS cluster has one endpoint"},
	{CDS, "{'name': 'a', 'type': 'STRICT_DNS', 'dns_lookup_family': 5}",
		"dns_lookup_family: 5 is not known"},
	/* endpoints */
	{EDS, "{}", "cluster_name: missing"},
	{EDS, CLA("{}"), "endpoints[0].lb_endpoints[0].endpoint: missing"},
	{EDS, CLA(EP("192.0.2.1", "1") ", {'endpoint': {}}"),
		"endpoints[0].lb_endpoints[1].endpoint.address: missing"},
	{EDS, CLA(EP("192.0.2.1", "0")),
		"endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value: 0 is not "
		"a port"},
	{EDS, CLA(EP("192.0.2.1", "65536")),
		"endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value: 65536 is "
		"not a port"},
	{EDS,
		CLA("{'endpoint': {'address': {'socket_address': {'address': '192.0.2.1', "
		    "'named_port': 'x'}}}}"),
		"endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value: missing"},
	{EDS,
		CLA("{'endpoint': {'address': {'socket_address': {'protocol': 'UDP', 'address': "
		    "'192.0.2.1', 'port_value': 1}}}}"),
		"endpoints[0].lb_endpoints[0].endpoint.address.socket_address.protocol: only TCP "
		"is served"},
	{EDS, CLA(EP("x", "1")),
		"endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address: \"x\" is "
		"not an IP address"},
	{EDS, CLA(EP("0.0.0.0", "1")),
		"endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address: 0.0.0.0 can "
		"be no endpoint"},
	{EDS, CLA(EP("224.0.0.1", "1")),
		"endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address: 224.0.0.1 "
		"can be no endpoint"},
	{EDS, CLA(EP("ff02::1", "1")),
		"endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address: ff02::1 can "
		"be no endpoint"},
	{EDS,
		CLA("{'health_status': 6, 'endpoint': {'address': {'socket_address': {'address': "
		    "'192.0.2.1', 'port_value': 1}}}}"),
		"endpoints[0].lb_endpoints[0].health_status: 6 is not known"},
	{EDS,
		CLA("{'load_balancing_weight': 0, 'endpoint': {'address': {'socket_address': "
		    "{'address': '192.0.2.1', 'port_value': 1}}}}"),
		"endpoints[0].lb_endpoints[0].load_balancing_weight: 0 is not a weight"},
	{EDS,
		CLA("{'load_balancing_weight': 4294967295, 'endpoint': {'address': "
		    "{'socket_address': {'address': '192.0.2.1', 'port_value': 1}}}}, " EP(
			    "192.0.2.2", "1")),
		"endpoints[0].lb_endpoints: the weights add up to more than 4294967295"},
	{EDS, "{'cluster_name': 'a', 'endpoints': [{'priority': 129}]}",
		"endpoints[0].priority: above 128"},
	{EDS, "{'cluster_name': 'a', 'endpoints': [{}, {'load_balancing_weight': 0}]}",
		"endpoints[1].load_balancing_weight: 0 is not within 1 and 4294967295"},
	{EDS, "{'cluster_name': 'a', 'policy': {'overprovisioning_factor': 0}}",
		"policy.overprovisioning_factor: 0 is not within 1 and 100000"},
	/* listeners */
	{LDS, "{'name': 'l'}", "address: missing"},
	{LDS,
		"{'name': 'l', 'address': {'socket_address': {'address': 'a.b', 'port_value': "
		"80}}, 'filter_chains': [{}]}",
		"address: \"a.b\" is not an IP address"},
	{LDS, "{'name': 'l', 'address': {'pipe': {'path': '/x'}}}",
		"address: not a socket's address"},
	{LDS, L("'traffic_direction': 3"), "traffic_direction: 3 is not known"},
	{LDS, L("'stat': 1"), "filter_chains: there are none"},
	{LDS, L("'additional_addresses': [{}]"), "additional_addresses[0].address: missing"},
	{LDS,
		L("'listener_filters': [{'name': 'p', " TYPED
		  "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol'}}]"),
		"listener_filters[0]: the PROXY protocol is not read"},
	{LDS, L("'filter_chains': [{'filter_chain_match': {'server_names': ['*.a.x', 'b*.x']}}]"),
		"filter_chains[0].filter_chain_match.server_names[1]: \"b*.x\" has a star that is "
		"not the first label"},
	{LDS, L("'filter_chains': [{'filter_chain_match': {'server_names': ['*']}}]"),
		"filter_chains[0].filter_chain_match.server_names[0]: \"*\" has a star that is not "
		"the first label"},
	{LDS,
		L("'filter_chains': [{'filter_chain_match': {'prefix_ranges': [{'address_prefix': "
		  "'192.0.2.0', 'prefix_len': 33}]}}]"),
		"filter_chains[0].filter_chain_match.prefix_ranges[0].prefix_len: 33 is not within "
		"0 and 32"},
	{LDS,
		L("'filter_chains': [{'filter_chain_match': {'source_prefix_ranges': "
		  "[{'address_prefix': 'x'}]}}]"),
		"filter_chains[0].filter_chain_match.source_prefix_ranges[0].address_prefix: \"x\" "
		"is not an IP address"},
	{LDS, L("'filter_chains': [{'filter_chain_match': {'destination_port': 0}}]"),
		"filter_chains[0].filter_chain_match.destination_port: 0 is not within 1 and "
		"65535"},
	{LDS, L("'filter_chains': [{'filter_chain_match': {'source_ports': [1]}}]"),
		"filter_chains[0].filter_chain_match.source_ports: not a condition that is tested "
		"here"},
	{LDS, L("'filter_chains': [{'filter_chain_match': {'source_type': 'EXTERNAL'}}]"),
		"filter_chains[0].filter_chain_match.source_type: not a condition that is tested "
		"here"},
	{LDS, F("{'name': 'a', " TCP "}}"),
		"filter_chains[0].filters[0].typed_config.cluster: missing"},
	{LDS, F("{'name': 'a', " TCP ", 'weighted_clusters': {'clusters': [{'name': 'x'}]}}}"),
		AT0 "weighted_clusters: all weights are 0"},
	{LDS,
		F("{'name': 'a', " TCP ", 'weighted_clusters': {'clusters': [{'name': 'x', "
		  "'weight': 1}, {'name': 'y', 'weight': 4294967295}]}}}"),
		AT0 "weighted_clusters: the weights add up to more than 4294967295"},
	{LDS, F("{'name': 'a', " TCP ", 'cluster': 'x'}}, {'name': 'b'}"),
		"filter_chains[0].filters[1]: is after the proxy that ends the chain"},
	{LDS,
		L("'default_filter_chain': {'filters': [{'name': 'a', " TCP
		  ", 'weighted_clusters': {}}}]}"),
		"default_filter_chain.filters[0].typed_config.weighted_clusters: there are no "
		"clusters"},
	{LDS,
		F("{'name': 'x', 'config_discovery': {'type_urls': "
		  "['envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy']}}"),
		"filter_chains[0].filters[0].config_discovery.config_source: missing"},
	/* fields that cannot be left out */
	{LDS, L("'filter_chain_matcher': {'matcher_tree': {}}"),
		"filter_chain_matcher: only filter_chain_match is read"},
	{LDS, F("{'name': 'a', " TCP ", 'cluster': 'c', 'tunneling_config': {'hostname': 'x'}}}"),
		AT0 "tunneling_config: bytes are sent as they are"},
	{RDS, R("{'match': {'query_parameters': [{'name': 'x'}]}, 'route': {'cluster': 'c'}}"),
		RAT "match.query_parameters: messages have none"},
	{EDS, "{'cluster_name': 'c', 'endpoints': [{'leds_cluster_locality_config': {}}]}",
		"endpoints[0].leds_cluster_locality_config: endpoints come in lb_endpoints"},
	{RDS, R("{'match': {'path_separated_prefix': '/a'}, 'route': {'cluster': 'c'}}"),
		RAT "match: messages have no path; only the prefix \"/\" holds"},
	/* MetaProtocol */
	{LDS, META("'codec': {'name': 'a b'}"),
		AT "codec.name: \"a b\" has a character that no name may have"},
	{LDS, META("'stat_prefix': 'x'"),
		AT "application_protocol: neither a protocol nor a codec is named"},
	{LDS, META("'codec': {'name': 'dubbo'}"), AT "rds: missing, and no route_config"},
	{LDS, META("'codec': {'name': 'dubbo'}, 'rds': {'config_source': {'ads': {}}}"),
		AT "rds.route_config_name: missing"},
	{LDS, META("'codec': {'name': 'dubbo'}, 'rds': {'route_config_name': 'r'}"),
		AT "rds.config_source: missing"},
	{LDS, META("'codec': {'name': 'dubbo'}, 'route_config': {}"),
		AT "route_config.routes: there are none"},
	{LDS, META("'codec': {'name': 'dubbo'}, 'route_config': {'routes': [{}]}"),
		AT "route_config.routes[0].route: missing"},
	{LDS, META("'codec': {'name': 'dubbo'}, 'route_config': {'routes': [{'route': {}}]}"),
		AT "route_config.routes[0].route: neither cluster nor weighted_clusters"},
	{LDS, META("'codec': {'name': 'dubbo'}, " RC ", 'idle_timeout': '0.5s'"),
		AT "idle_timeout: shorter than 1000 ms"},
	{LDS,
		META("'codec': {'name': 'dubbo'}, " RC
		     ", 'meta_protocol_filters': [{'name': 'new'}]"),
		AT "meta_protocol_filters[0]: no such filter \"new\""},
	{LDS, LIMIT("'stat_prefix': 'x'"),
		AT "meta_protocol_filters[0].config: neither token_bucket nor conditions"},
	{LDS, LIMIT("'token_bucket': {'max_tokens': 0, 'fill_interval': '1s'}"),
		AT "meta_protocol_filters[0].config.token_bucket.max_tokens: 0 is not within 1 and "
		   "2147483647"},
	{LDS, LIMIT("'token_bucket': {'max_tokens': 1}"),
		AT "meta_protocol_filters[0].config.token_bucket.fill_interval: missing"},
	{LDS, LIMIT("'token_bucket': {'max_tokens': 1, 'fill_interval': '0.049s'}"),
		AT
		"meta_protocol_filters[0].config.token_bucket.fill_interval: shorter than 50 ms"},
	{LDS,
		LIMIT("'token_bucket': {'max_tokens': 1, 'fill_interval': '1s', 'tokens_per_fill': "
		      "0}"),
		AT "meta_protocol_filters[0].config.token_bucket.tokens_per_fill: 0 is not within "
		   "1 and 2147483647"},
	{LDS, LIMIT("'conditions': [{'token_bucket': {'max_tokens': 1, 'fill_interval': '1s'}}]"),
		AT "meta_protocol_filters[0].config.conditions[0].match: missing"},
	{LDS, LIMIT("'conditions': [{'match': {'metadata': [{}]}, 'token_bucket': {}}]"),
		AT "meta_protocol_filters[0].config.conditions[0].match.metadata[0].name: missing"},
	{LDS, LIMIT("'conditions': [{'match': {}}]"),
		AT "meta_protocol_filters[0].config.conditions[0].token_bucket: missing"},
	{LDS, GLOBAL("'failure_mode_deny': true"), GAT "domain: missing"},
	{LDS, GLOBAL("'domain': 'a\\u0001b'"), GAT "domain: \"a\\x01b\" is not printable text"},
	{LDS, GLOBAL("'domain': 'd', 'timeout': '-1s'"), GAT "timeout: not a duration"},
	{LDS, GLOBAL("'domain': 'd'"), GAT "rate_limit_service: missing"},
	{LDS, GLOBAL("'domain': 'd', 'rate_limit_service': {}"),
		GAT "rate_limit_service.grpc_service: missing"},
	{LDS, GLOBAL("'domain': 'd', 'rate_limit_service': {'grpc_service': {}}"),
		GAT "rate_limit_service.grpc_service: names no cluster (envoy_grpc)"},
	{LDS,
		GLOBAL("'domain': 'd', 'rate_limit_service': {'grpc_service': {'google_grpc': "
		       "{'target_uri': 'a.test:1'}}}"),
		GAT "rate_limit_service.grpc_service: names no cluster (envoy_grpc)"},
	{LDS, GLOBAL("'domain': 'd', 'rate_limit_service': {'grpc_service': {'envoy_grpc': {}}}"),
		GAT "rate_limit_service.grpc_service.envoy_grpc.cluster_name: missing"},
	{LDS, GLOBAL("'domain': 'd', " AT_LIMITS), GAT "descriptors: there are none"},
	{LDS, GLOBAL("'domain': 'd', " AT_LIMITS ", 'descriptors': [{'property': 'method'}]"),
		GAT "descriptors[0].descriptor_key: missing"},
	{LDS, GLOBAL("'domain': 'd', " AT_LIMITS ", 'descriptors': [{'descriptor_key': 'm'}]"),
		GAT "descriptors[0].property: missing"},
	{LDS,
		GLOBAL("'domain': 'd', " AT_LIMITS ", 'descriptors': [" BY_METHOD
		       "], 'match': {'metadata': [{}]}"),
		GAT "match.metadata[0].name: missing"},
	/* Envoy's own proxies */
	{LDS, THRIFT("'route_config': {'routes': [{}]}"),
		AT0 "route_config.routes[0].match: missing"},
	{LDS, THRIFT("'route_config': {'routes': [{'match': {}}]}"),
		AT0 "route_config.routes[0].route: missing"},
	{LDS, DUBBO("'protocol_type': 1"), AT0 "protocol_type: not one that is spoken here"},
	{LDS, THRIFT("'trds': {}"),
		AT0 "trds: routes of this type are not fetched; use route_config"},
	{LDS, THRIFT("'stat_prefix': 'x'"), AT0 "route_config.routes: there are none"},
	{LDS, THRIFT("'protocol': 'TWITTER', 'route_config': {'routes': [{}]}"),
		AT0 "protocol: not one that is spoken here"},
	{LDS,
		THRIFT("'route_config': {'routes': [{'match': {'invert': true}, 'route': "
		       "{'cluster': 'c'}}]}"),
		AT0
		"route_config.routes[0].match.invert: nothing is left when every message is meant"},
	{LDS,
		THRIFT("'route_config': {'routes': [{'match': {'method_name': ':x'}, 'route': "
		       "{'cluster': 'c'}}]}"),
		AT0 "route_config.routes[0].match.method_name: begins with a colon"},
	{LDS,
		THRIFT("'route_config': {'routes': [{'match': {}, 'route': {'cluster': 'c', "
		       "'strip_service_name': true}}]}"),
		AT0 "route_config.routes[0].route.strip_service_name: methods' names are not "
		    "changed here"},
	{LDS,
		THRIFT("'route_config': {'routes': [{'match': {}, 'route': {'cluster_header': "
		       "'x'}}]}"),
		AT0 "route_config.routes[0].route: neither cluster nor weighted_clusters"},
	{LDS, DUBBO("'drds': {}"),
		AT0 "drds: routes of this type are not fetched; use route_config"},
	{LDS, DUBBO("'stat_prefix': 'x'"), AT0 "route_config: there are no routes"},
	{LDS, DUBBO("'route_config': [{'interface': 'a', 'routes': [{'route': {}}]}]"),
		AT0 "route_config[0].routes[0].route: neither cluster nor weighted_clusters"},
	/* routes */
	{RDS, "{'virtual_hosts': []}", "name: missing"},
	{RDS, "{'name': 'r', 'virtual_hosts': [{}, {}]}",
		"virtual_hosts: messages have no host: one of them at most"},
	{RDS, R("{}"), RAT "route: missing: messages are routed to clusters only"},
	{RDS, R("{'route': {'cluster_header': 'x'}}"),
		RAT "route: neither cluster nor weighted_clusters"},
	{RDS, R("{'route': {'cluster': ''}}"), RAT "route.cluster: missing"},
	{RDS, R("{'match': {'prefix': '/api'}, 'route': {'cluster': 'c'}}"),
		RAT "match: messages have no path; only the prefix \"/\" holds"},
	{RDS, R("{'match': {'path': '/'}, 'route': {'cluster': 'c'}}"),
		RAT "match: messages have no path; only the prefix \"/\" holds"},
	{RDS,
		R("{'match': {'runtime_fraction': {'default_value': {'numerator': 50}}}, 'route': "
		  "{'cluster': 'c'}}"),
		RAT "match.runtime_fraction: a part of the messages cannot be matched; use "
		    "weighted_clusters"},
	{RDS,
		R("{'route': {'weighted_clusters': {'clusters': [{'name': 'a', 'weight': "
		  "4294967295}, {'name': 'b', 'weight': 1}]}}}"),
		RAT "route.weighted_clusters.clusters: the weights add up to more than 4294967295"},
	{RDS, R("{'route': {'weighted_clusters': {'clusters': [{'weight': 1}]}}}"),
		RAT "route.weighted_clusters.clusters[0].name: missing"},
	{RDS, R("{'route': {'cluster': 'c', 'timeout': '-1s'}}"),
		RAT "route.timeout: not a duration"},
	{RDS, R("{'route': {'cluster': 'c', 'retry_policy': {'per_try_timeout': '-1s'}}}"),
		RAT "route.retry_policy.per_try_timeout: not a duration"},
	{RDS, R("{'route': {'cluster': 'c', 'retry_policy': {'retry_back_off': {}}}}"),
		RAT "route.retry_policy.retry_back_off.base_interval: missing"},
	{RDS,
		R("{'route': {'cluster': 'c', 'retry_policy': {'retry_back_off': "
		  "{'base_interval': '2s', 'max_interval': '1s'}}}}"),
		RAT "route.retry_policy.retry_back_off.max_interval: shorter than base_interval"},
	{RDS, R("{'route': {'cluster': 'c', 'hash_policy': [{'header': {}}]}}"),
		RAT "route.hash_policy[0].header.header_name: missing"},
	{RDS, R("{'route': {'cluster': 'c'}, 'request_headers_to_add': [{}]}"),
		RAT "request_headers_to_add[0].header: missing"},
	{RDS, R("{'route': {'cluster': 'c'}, 'response_headers_to_remove': ['']}"),
		RAT "response_headers_to_remove[0].key: missing"},
	{RDS, H("'exact_match': 'x'"), HAT ".name: missing"},
	{RDS, H("'name': 'a', 'prefix_match': ''"), HAT ".prefix_match: empty"},
	{RDS, H("'name': 'a', 'string_match': {}"), HAT ".string_match: no pattern"},
	{RDS, H("'name': 'a', 'range_match': {'start': 5, 'end': 5}"),
		HAT ".range_match: start is not below end"},
	{RDS, H("'name': 'a', 'safe_regex_match': {'regex': '('}"),
		HAT ".safe_regex_match.regex: bad regex: missing ): ("},
	{RDS, H("'name': 'a', 'string_match': {'safe_regex': {'regex': '['}}"),
		HAT ".string_match.safe_regex: bad regex: missing ]: ["},
	/* what a text could do to a terminal is written out */
	{RDS, "{'name': 'r\\u001b[2J'}",
		"name: \"r\\x1b[2J\" has a character that no name may have"},
	{RDS, R("{'name': 'r\\u0007', 'route': {'cluster': 'c'}}"),
		RAT "name: \"r\\x07\" is not printable text"},
	{EDS, "{'cluster_name': 'a', 'endpoints': [{'locality': {'zone': '\\u009b2J'}}]}",
		"endpoints[0].locality.zone: \"\\xc2\\x9b2J\" is not printable text"},
	/* extensions and secrets */
	{MT_XDS_ECDS, "{'name': 'e'}", "typed_config: missing"},
	{MT_XDS_ECDS, "{'name': 'e', " TYPED "a.B'}}", "typed_config: no such filter \"a.B\""},
	{MT_XDS_SDS, "{'name': 's'}",
		"neither tls_certificate nor validation_context, which is all that is read"},
	{MT_XDS_SDS,
		"{'name': 's', 'validation_context': {'trusted_ca': {'filename': '/etc/shadow'}}}",
		"validation_context.trusted_ca: only texts come over the network (inline_bytes, "
		"inline_string); files and variables of"
		" this host are not read for a peer"},
	{MT_XDS_SDS, "{'name': 's', 'validation_context': {'trusted_ca': {'inline_string': 'x'}}}",
		"validation_context.trusted_ca: it holds no certificate"},
	{MT_XDS_SDS,
		"{'name': 's', 'tls_certificate': {'private_key': {'environment_variable': "
		"'HOME'}}}",
		"tls_certificate.certificate_chain: missing"},
};

static void refused(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mapped m = map_text(rows[i].type, rows[i].text);

		if (m.rc != -EINVAL || strcmp(m.why.text, rows[i].why) != 0)
			printf("\n  %s\n  want %s\n  have %s\n", rows[i].text, rows[i].why,
				m.why.text);
		CU_ASSERT_EQUAL(m.rc, -EINVAL);
		CU_ASSERT_STRING_EQUAL(m.why.text, rows[i].why);
		CU_ASSERT_PTR_NULL(m.m.part);
		CU_ASSERT_EQUAL(m.m.n_refs + m.m.n_ignored, 0);
		unmap(&m);
	}
}

/* One more than may be of each thing: `piece` so many times in place of the %s, with commas; one fewer is fine. */
static const struct {
	enum mt_xds_type type;
	const char *text, *piece, *why;
	uint32_t most;
} limits[] = {
	{RDS, R("{'match': {'headers': [%s]}, 'route': {'cluster': 'c'}}"), "{'name': 'k'}",
		RAT "match.headers[256]: more than 256 conditions", 256},
	{RDS, R("{'route': {'weighted_clusters': {'clusters': [%s]}}}"),
		"{'name': 'c', 'weight': 1}",
		RAT "route.weighted_clusters.clusters[4096]: more than 4096 clusters", 4096},
	{RDS, R("{'route': {'cluster': 'c', 'hash_policy': [%s]}}"),
		"{'header': {'header_name': 'k'}}",
		RAT "route.hash_policy[100].header.header_name: more than 100", 100},
	{RDS, R("{'route': {'cluster': 'c'}, 'request_headers_to_remove': [%s]}"), "'k'",
		RAT "request_headers_to_remove[1000]: more than 1000 mutations", 1000},
	{CDS, "{'name': 'a%s'}", "bc", "name: longer than 500 characters", 166},
	{EDS, "{'cluster_name': 'a', 'endpoints': [%s]}", "{}",
		"endpoints: more than 4096 localities", 4096},
	{LDS, F("{'name': 'x'}, %s, {'name': 't', " TCP ", 'cluster': 'c'}}"), "{'name': 'x'}",
		"filter_chains[0].filters: more than 64", 62},
	{LDS,
		L("'filter_chains': [{'filter_chain_match': {'prefix_ranges': [%s]}, 'filters': "
		  "[{'name': 'x'}]}]"),
		"{'address_prefix': '192.0.2.0', 'prefix_len': 24}",
		"filter_chains[0].filter_chain_match.prefix_ranges: more than 4096", 4096},
	{LDS, L("'filter_chains': [%s]"), "{'filters': [{'name': 'x'}]}",
		"filter_chains: more than 10000", 10000},
	{LDS, L("'filter_chains': [{'filters': [{'name': 'x'}]}], 'additional_addresses': [%s]"),
		"{'address': {'socket_address': {'address': '192.0.2.2', 'port_value': 80}}}",
		"additional_addresses: more than 256", 255},
	{LDS,
		L("'filter_chains': [{'filter_chain_match': {'server_names': [%s]}, 'filters': "
		  "[{'name': 'x'}]}]"),
		"'a.b'", "filter_chains[0].filter_chain_match.server_names: more than 4096", 4096},
};

static char *repeated(const char *text, const char *piece, uint32_t n)
{
	const char *at = strstr(text, "%s");
	size_t size = strlen(text) + n * (strlen(piece) + 1) + 1;
	char *out = malloc(size), *p = out;

	p += sprintf(p, "%.*s", (int)(at - text), text);
	for (uint32_t i = 0; i < n; i++)
		p += sprintf(p, "%s%s", i ? "," : "", piece);
	strcpy(p, at + 2);
	return out;
}

static void numbers_of_things(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(limits); i++)
		for (uint32_t more = 0; more < 2; more++) {
			char *text =
				repeated(limits[i].text, limits[i].piece, limits[i].most + more);
			struct mapped m = map_text(limits[i].type, text);

			if (strcmp(m.why.text, more ? limits[i].why : "") != 0)
				printf("\n  want %s\n  have %s\n", more ? limits[i].why : "",
					m.why.text);
			CU_ASSERT_STRING_EQUAL(m.why.text, more ? limits[i].why : "");
			unmap(&m);
			free(text);
		}
}

/* Bodies that are no such message, or another one. */
static void bodies(void)
{
	static uint8_t noise[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x07};
	struct mt_xds_mapped out;
	struct mt_err why = {""};
	Xds__Any any = XDS__ANY__INIT;

	for (int t = 0; t < MT_XDS_TYPES; t++) {
		any.type_url = (char *)mt_xds_url(t);
		any.value = (ProtobufCBinaryData){sizeof(noise), noise};
		CU_ASSERT_EQUAL(
			mt_xds_map(t, &any, &(struct mt_xds_from){"x", NULL}, 1, &out, &why),
			-EINVAL);
		CU_ASSERT_STRING_EQUAL(why.text, "its bytes are no such message");
		any.type_url = (char *)"type.googleapis.com/a.B";
		CU_ASSERT_EQUAL(
			mt_xds_map(t, &any, &(struct mt_xds_from){"x", NULL}, 1, &out, &why),
			-EINVAL);
		CU_ASSERT_STRING_EQUAL(why.text,
			"type_url: \"type.googleapis.com/a.B\" is another type of resource");
	}
}

/* A body that is sound but for what an Any in it says to be. */
static void bytes_inside(void)
{
	static uint8_t noise[] = {0x0a, 0xff};
	Xds__Cluster c = XDS__CLUSTER__INIT;
	Xds__TransportSocket socket = XDS__TRANSPORT_SOCKET__INIT;
	Xds__Any typed = XDS__ANY__INIT, any = XDS__ANY__INIT;
	struct mt_xds_mapped out;
	struct mt_err why = {""};
	uint8_t buf[256];

	c.name = (char *)"a";
	c.transport_socket = &socket;
	socket.typed_config = &typed;
	typed.type_url = (char *)"type.googleapis.com/udpa.type.v1.TypedStruct";
	typed.value = (ProtobufCBinaryData){sizeof(noise), noise};
	any.type_url = (char *)mt_xds_url(CDS);
	any.value.data = buf;
	any.value.len = xds__cluster__pack(&c, buf);
	CU_ASSERT_EQUAL(
		mt_xds_map(CDS, &any, &(struct mt_xds_from){"x", NULL}, 1, &out, &why), -EINVAL);
	CU_ASSERT_STRING_EQUAL(
		why.text, "transport_socket.typed_config: its bytes are no such message");
}

const struct mt_test map_refuse_tests[] = {{"refused", refused},
	{"numbers_of_things", numbers_of_things}, {"bodies", bodies},
	{"bytes_inside", bytes_inside}, {0}};
