/* SPDX-License-Identifier: Apache-2.0 */
/* Message types by their full names in the original API, and names of enum values. */
#include "mt_pb_json.h"

#include "cluster.pb-c.h"
#include "discovery.pb-c.h"
#include "listener.pb-c.h"
#include "metaprotocol.pb-c.h"
#include "names.pb-c.h"
#include "proxies.pb-c.h"
#include "route.pb-c.h"
#include "tls.pb-c.h"

#include <string.h>

struct type_row {
	const char *name;
	const ProtobufCMessageDescriptor *type;
};

#define LOGS   "envoy.extensions.access_loggers."
#define THRIFT "envoy.extensions.filters.network.thrift_proxy."
#define TLS    "envoy.extensions.transport_sockets.tls.v3."
#define META   "aeraki.meta_protocol_proxy."

/* Types that an Any may contain. */
static const struct type_row types[] = {
	{"envoy.config.cluster.v3.Cluster", &xds__cluster__descriptor},
	{"envoy.config.endpoint.v3.ClusterLoadAssignment",
		&xds__cluster_load_assignment__descriptor},
	{"envoy.config.listener.v3.Listener", &xds__listener__descriptor},
	{"envoy.config.route.v3.RouteConfiguration", &xds__route_configuration__descriptor},
	{"envoy.config.core.v3.TypedExtensionConfig", &xds__typed_extension_config__descriptor},
	{"envoy.service.discovery.v3.Resource", &xds__resource__descriptor},
	{"istio.networking.nds.v1.NameTable", &xds__name_table__descriptor},
	{"envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", &xds__tcp_proxy__descriptor},
	{"envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality",
		&xds__wrr_locality__descriptor},
	{"envoy.extensions.filters.network.ratelimit.v3.RateLimit",
		&xds__network_rate_limit__descriptor},
	{"envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit",
		&xds__network_local_rate_limit__descriptor},
	{THRIFT "v3.ThriftProxy", &xds__thrift_proxy__descriptor},
	{THRIFT "filters.ratelimit.v3.RateLimit", &xds__thrift_rate_limit__descriptor},
	{"envoy.extensions.filters.network.dubbo_proxy.v3.DubboProxy",
		&xds__dubbo_proxy__descriptor},
	{LOGS "file.v3.FileAccessLog", &xds__file_access_log__descriptor},
	{LOGS "stream.v3.StdoutAccessLog", &xds__stdout_access_log__descriptor},
	{LOGS "stream.v3.StderrAccessLog", &xds__stderr_access_log__descriptor},
	{LOGS "filters.cel.v3.ExpressionFilter", &xds__expression_filter__descriptor},
	{TLS "Secret", &xds__secret__descriptor},
	{TLS "UpstreamTlsContext", &xds__upstream_tls_context__descriptor},
	{TLS "DownstreamTlsContext", &xds__downstream_tls_context__descriptor},
	{META "v1alpha.MetaProtocolProxy", &xds__meta_protocol_proxy__descriptor},
	{META "filters.local_ratelimit.v1alpha.LocalRateLimit",
		&xds__meta_local_rate_limit__descriptor},
	{META "filters.ratelimit.v1alpha.RateLimit", &xds__meta_rate_limit__descriptor},
	{META "filters.istio_stats.v1alpha.IstioStats", &xds__meta_istio_stats__descriptor},
	{"udpa.type.v1.TypedStruct", &xds__typed_struct__descriptor},
	{"xds.type.v3.TypedStruct", &xds__typed_struct__descriptor},
	{"google.protobuf.Struct", &xds__struct__descriptor},
	{"google.protobuf.Duration", &xds__duration__descriptor},
	{"google.protobuf.StringValue", &xds__string_value__descriptor},
	{"google.protobuf.UInt32Value", &xds__uint32_value__descriptor},
	{"google.protobuf.BoolValue", &xds__bool_value__descriptor},
};

const char *mt_pb_type_name(const char *url)
{
	const char *slash = strrchr(url, '/');

	return slash ? slash + 1 : url;
}

const ProtobufCMessageDescriptor *mt_pb_type(const char *url)
{
	const char *name = mt_pb_type_name(url);

	for (size_t i = 0; i < MT_ARRAY_LEN(types); i++)
		if (strcmp(types[i].name, name) == 0)
			return types[i].type;
	return NULL;
}

struct enum_row {
	const ProtobufCMessageDescriptor *type;
	const char *field;
	const char *words; /* "WORD=NUMBER WORD=NUMBER" */
};

#define API_VERSIONS "AUTO=0 V2=1 V3=2"
#define TLS_VERSIONS "TLS_AUTO=0 TLSv1_0=1 TLSv1_1=2 TLSv1_2=3 TLSv1_3=4"

static const struct enum_row enums[] = {
	{&xds__api_config_source__descriptor, "api_type",
		"REST=1 GRPC=2 DELTA_GRPC=3 AGGREGATED_GRPC=5 AGGREGATED_DELTA_GRPC=6"},
	{&xds__api_config_source__descriptor, "transport_api_version", API_VERSIONS},
	{&xds__config_source__descriptor, "resource_api_version", API_VERSIONS},
	{&xds__rate_limit_service_config__descriptor, "transport_api_version", API_VERSIONS},
	{&xds__comparison_filter__descriptor, "op", "EQ=0 GE=1 LE=2 NE=3"},
	{&xds__fractional_percent__descriptor, "denominator", "HUNDRED=0 TEN_THOUSAND=1 MILLION=2"},
	{&xds__socket_address__descriptor, "protocol", "TCP=0 UDP=1"},
	{&xds__header_value_option__descriptor, "append_action",
		"APPEND_IF_EXISTS_OR_ADD=0 ADD_IF_ABSENT=1 OVERWRITE_IF_EXISTS_OR_ADD=2 "
		"OVERWRITE_IF_EXISTS=3"},
	{&xds__cluster__descriptor, "type",
		"STATIC=0 STRICT_DNS=1 LOGICAL_DNS=2 EDS=3 ORIGINAL_DST=4"},
	{&xds__cluster__descriptor, "lb_policy",
		"ROUND_ROBIN=0 LEAST_REQUEST=1 RING_HASH=2 RANDOM=3 MAGLEV=5 CLUSTER_PROVIDED=6 "
		"LOAD_BALANCING_POLICY_CONFIG=7"},
	{&xds__cluster__descriptor, "dns_lookup_family",
		"AUTO=0 V4_ONLY=1 V6_ONLY=2 V4_PREFERRED=3 ALL=4"},
	{&xds__cluster__ring_hash_lb_config__descriptor, "hash_function",
		"XX_HASH=0 MURMUR_HASH_2=1"},
	{&xds__circuit_breakers__thresholds__descriptor, "priority", "DEFAULT=0 HIGH=1"},
	{&xds__route_action__descriptor, "priority", "DEFAULT=0 HIGH=1"},
	{&xds__lb_endpoint__descriptor, "health_status",
		"UNKNOWN=0 HEALTHY=1 UNHEALTHY=2 DRAINING=3 TIMEOUT=4 DEGRADED=5"},
	{&xds__listener__descriptor, "traffic_direction", "UNSPECIFIED=0 INBOUND=1 OUTBOUND=2"},
	{&xds__filter_chain_match__descriptor, "source_type",
		"ANY=0 SAME_IP_OR_LOOPBACK=1 EXTERNAL=2"},
	{&xds__subject_alt_name_matcher__descriptor, "san_type",
		"SAN_TYPE_UNSPECIFIED=0 EMAIL=1 DNS=2 URI=3 IP_ADDRESS=4 OTHER_NAME=5"},
	{&xds__tls_parameters__descriptor, "tls_minimum_protocol_version", TLS_VERSIONS},
	{&xds__tls_parameters__descriptor, "tls_maximum_protocol_version", TLS_VERSIONS},
	{&xds__thrift_proxy__descriptor, "transport",
		"AUTO_TRANSPORT=0 FRAMED=1 UNFRAMED=2 HEADER=3"},
	{&xds__thrift_proxy__descriptor, "protocol",
		"AUTO_PROTOCOL=0 BINARY=1 LAX_BINARY=2 COMPACT=3 TWITTER=4"},
	{&xds__dubbo_proxy__descriptor, "protocol_type", "Dubbo=0"},
	{&xds__dubbo_proxy__descriptor, "serialization_type", "Hessian2=0"},
};

/* Finds the number after "WORD=" in a row. */
static bool word_of(const char *words, const char *word, int32_t *number)
{
	size_t len = strlen(word);

	for (const char *w = words; len && *w; w += *w == ' ') {
		if (strncmp(w, word, len) == 0 && w[len] == '=') {
			*number = (int32_t)strtol(w + len + 1, NULL, 10);
			return true;
		}
		w += strcspn(w, " ");
	}
	return false;
}

bool mt_pb_enum(const ProtobufCMessageDescriptor *type, const char *field, const char *word,
	int32_t *number)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(enums); i++)
		if (enums[i].type == type && strcmp(enums[i].field, field) == 0)
			return word_of(enums[i].words, word, number);
	return false;
}

bool mt_pb_is_entry(const ProtobufCMessageDescriptor *type)
{
	static const ProtobufCMessageDescriptor *const entries[] = {
		&xds__struct__fields_entry__descriptor,
		&xds__metadata__filter_metadata_entry__descriptor,
		&xds__cluster__typed_extension_protocol_options_entry__descriptor,
		&xds__dubbo_method_match__params_match_entry__descriptor,
		&xds__name_table__table_entry__descriptor,
		&xds__delta_discovery_request__initial_resource_versions_entry__descriptor};

	for (size_t i = 0; i < MT_ARRAY_LEN(entries); i++)
		if (entries[i] == type)
			return true;
	return false;
}
