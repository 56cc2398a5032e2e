/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields of the messages in proto/ that have no effect, or that are always rejected. `show xds`
 * lists the ignored fields of each resource, and docs/reference/xds.md contains the tables. A field
 * without a row is read, and so are the fields below it.
 */
#include "mt_xds_map_priv.h"

#include <stdio.h>
#include <string.h>

/* Ignored; ignored with a note; rejected. */
#define MEANS_NOTHING(field)                                                                       \
	{                                                                                          \
		field, NULL, false                                                                 \
	}
#define TOLD(field, words)                                                                         \
	{                                                                                          \
		field, words, false                                                                \
	}
#define REFUSED(field, words)                                                                      \
	{                                                                                          \
		field, words, true                                                                 \
	}

#define ROWS(message, list)                                                                        \
	{                                                                                          \
		&xds__##message##__descriptor, list, MT_ARRAY_LEN(list)                            \
	}

static const struct mt_xds_row config_source[] = {MEANS_NOTHING("resource_api_version")};
static const struct mt_xds_row api_source[] = {
	MEANS_NOTHING("set_node_on_first_message_only"),
	MEANS_NOTHING("transport_api_version"),
};
static const struct mt_xds_row grpc_service[] = {
	MEANS_NOTHING("timeout"),
	TOLD("initial_metadata", "not sent to servers that resources name"),
};
static const struct mt_xds_row envoy_grpc[] = {MEANS_NOTHING("authority")};
static const struct mt_xds_row cluster[] = {
	TOLD("health_checks", "endpoints are not probed; those that fail are ejected"),
	TOLD("max_requests_per_connection", "connections are used as long as they work"),
	MEANS_NOTHING("dns_refresh_rate"),
	MEANS_NOTHING("metadata"),
	MEANS_NOTHING("alt_stat_name"),
	TOLD("upstream_connection_options", "TCP keep-alive is the Node's"),
	MEANS_NOTHING("typed_extension_protocol_options"),
	TOLD("filters", "filters towards endpoints are not run"),
	MEANS_NOTHING("per_connection_buffer_limit_bytes"),
	MEANS_NOTHING("http_protocol_options"),
	MEANS_NOTHING("http2_protocol_options"),
	MEANS_NOTHING("common_http_protocol_options"),
	MEANS_NOTHING("cleanup_interval"),
	TOLD("upstream_bind_config", "connections come from the Node's addresses"),
	TOLD("lb_subset_config",
		"endpoints are not chosen by metadata; subsets are clusters by name"),
	TOLD("close_connections_on_host_health_failure", "connections stay"),
	TOLD("ignore_health_on_host_removal", "endpoints that are gone take no new work"),
	TOLD("lrs_server", "no load is reported"),
	MEANS_NOTHING("dns_failure_refresh_rate"),
	MEANS_NOTHING("track_cluster_stats"),
	TOLD("preconnect_policy", "connections are opened when they are needed"),
	REFUSED("transport_socket_matcher",
		"only transport_socket and transport_socket_matches are read"),
};
static const struct mt_xds_row thresholds[] = {
	TOLD("max_requests", "not enforced: calls that are out are not counted"),
	MEANS_NOTHING("track_remaining"),
};
static const struct mt_xds_row outlier[] = {
	TOLD("interval", "shown, not enforced: failures in a row count, however far apart"),
	TOLD("split_external_local_origin_errors", "failures of all sorts count alike"),
};
static const struct mt_xds_row maglev[] = {
	TOLD("table_size", "shown, not enforced: 65,537 entries up to 4,000 endpoints"),
};
static const struct mt_xds_row common_lb[] = {
	TOLD("close_connections_on_host_set_change", "connections stay"),
	TOLD("zone_aware_lb_config", "zones are not preferred unless localities have weights"),
	MEANS_NOTHING("update_merge_window"),
	TOLD("consistent_hashing_lb_config", "not read: hashes by address, without load bounds"),
};
static const struct mt_xds_row least_request[] = {
	TOLD("choice_count", "two endpoints are compared"),
	TOLD("active_request_bias", "of two endpoints the one with fewer calls is taken"),
};
static const struct mt_xds_row runtime_double[] = {MEANS_NOTHING("runtime_key")};
static const struct mt_xds_row socket_match[] = {MEANS_NOTHING("name")};
static const struct mt_xds_row transport_socket[] = {MEANS_NOTHING("name")};
static const struct mt_xds_row endpoint[] = {
	MEANS_NOTHING("hostname"),
	TOLD("health_check_config", "endpoints are not probed"),
	TOLD("additional_addresses", "the first address is used"),
};
static const struct mt_xds_row locality_endpoints[] = {
	MEANS_NOTHING("metadata"),
	REFUSED("load_balancer_endpoints", "endpoints come in lb_endpoints"),
	REFUSED("leds_cluster_locality_config", "endpoints come in lb_endpoints"),
};
static const struct mt_xds_row assignment_policy[] = {
	TOLD("drop_overloads", "nothing is dropped"),
};
static const struct mt_xds_row listener[] = {
	TOLD("use_original_dst", "a connection is taken by the address it was made to"),
	MEANS_NOTHING("metadata"),
	MEANS_NOTHING("per_connection_buffer_limit_bytes"),
	MEANS_NOTHING("transparent"),
	MEANS_NOTHING("freebind"),
	TOLD("socket_options", "there is no kernel socket to set them on"),
	MEANS_NOTHING("continue_on_listener_filters_timeout"),
	REFUSED("udp_listener_config", "UDP is not served"),
	REFUSED("api_listener", "it has no address"),
	REFUSED("internal_listener", "it has no address"),
	MEANS_NOTHING("connection_balance_config"),
	MEANS_NOTHING("reuse_port"),
	MEANS_NOTHING("enable_reuse_port"),
	MEANS_NOTHING("tcp_backlog_size"),
	MEANS_NOTHING("stat_prefix"),
	MEANS_NOTHING("ignore_global_conn_limit"),
	REFUSED("filter_chain_matcher", "only filter_chain_match is read"),
};
static const struct mt_xds_row chain[] = {
	MEANS_NOTHING("metadata"),
	REFUSED("use_proxy_proto", "the PROXY protocol is not read"),
	MEANS_NOTHING("transport_socket_connect_timeout"),
};
static const struct mt_xds_row chain_match[] = {
	REFUSED("source_ports", "not a condition that is tested here"),
	REFUSED("source_type", "not a condition that is tested here"),
	REFUSED("address_suffix", "not a condition that is tested here"),
	REFUSED("direct_source_prefix_ranges", "not a condition that is tested here"),
};
static const struct mt_xds_row tcp_proxy[] = {
	MEANS_NOTHING("stat_prefix"),
	TOLD("downstream_idle_timeout", "idle_timeout holds"),
	TOLD("upstream_idle_timeout", "idle_timeout holds"),
	TOLD("max_connect_attempts", "attempts are Meltemi's own"),
	TOLD("metadata_match", "a cluster's endpoints are not chosen by metadata"),
	TOLD("hash_policy",
		"the cluster's balancer has no key; each connection is balanced by itself"),
	REFUSED("tunneling_config", "bytes are sent as they are"),
	TOLD("max_downstream_connection_duration", "connections last"),
	TOLD("on_demand", "the Node's onDemand specifies it, for all clusters"),
	TOLD("access_log_flush_interval", "a connection leaves one line, at its end"),
	TOLD("flush_access_log_on_connected", "a connection leaves one line, at its end"),
	TOLD("access_log_options", "a connection leaves one line, at its end"),
	REFUSED("proxy_protocol_tlvs", "the PROXY protocol is not written"),
};
static const struct mt_xds_row meta_proxy[] = {
	MEANS_NOTHING("stat_prefix"),
};
static const struct mt_xds_row meta_tracing[] = {
	MEANS_NOTHING("client_sampling"),
	TOLD("verbose", "spans have no events"),
	TOLD("max_tag_length", "maxTagLength of the MeshConfig's provider counts"),
};
static const struct mt_xds_row access_log[] = {MEANS_NOTHING("name")};
static const struct mt_xds_row log_filter[] = {
	TOLD("traceable_filter", "not evaluated: no line is written"),
	TOLD("grpc_status_filter", "not evaluated: no line is written"),
	TOLD("metadata_filter", "not evaluated: no line is written"),
	TOLD("log_type_filter", "not evaluated: no line is written"),
};
static const struct mt_xds_row runtime_filter[] = {MEANS_NOTHING("runtime_key")};
static const struct mt_xds_row runtime_number[] = {MEANS_NOTHING("runtime_key")};
static const struct mt_xds_row extension_filter[] = {MEANS_NOTHING("name")};
static const struct mt_xds_row format_string[] = {
	MEANS_NOTHING("content_type"),
	MEANS_NOTHING("formatters"),
	TOLD("json_format_options", "members are sorted by name"),
};
static const struct mt_xds_row meta_codec[] = {MEANS_NOTHING("config")};
static const struct mt_xds_row meta_routes[] = {MEANS_NOTHING("name")};
static const struct mt_xds_row meta_limit[] = {MEANS_NOTHING("stat_prefix")};
static const struct mt_xds_row limit_service[] = {MEANS_NOTHING("transport_api_version")};
static const struct mt_xds_row thrift_proxy[] = {
	MEANS_NOTHING("stat_prefix"),
	MEANS_NOTHING("payload_passthrough"),
	TOLD("max_requests_per_connection", "connections are used as long as they work"),
	MEANS_NOTHING("header_keys_preserve_case"),
};
static const struct mt_xds_row thrift_routes[] = {MEANS_NOTHING("name")};
static const struct mt_xds_row thrift_action[] = {
	TOLD("metadata_match", "a cluster's endpoints are not chosen by metadata"),
};
static const struct mt_xds_row rate_limit[] = {
	TOLD("disable_key", "there is no runtime layer: the limit is always on"),
	TOLD("limit", "the rate limit service's own limit counts"),
	TOLD("hits_addend", "each call counts as one"),
	TOLD("apply_on_stream_done", "calls are counted when they begin"),
};
static const struct mt_xds_row network_rate_limit[] = {MEANS_NOTHING("stat_prefix")};
static const struct mt_xds_row network_local_limit[] = {MEANS_NOTHING("stat_prefix")};
static const struct mt_xds_row feature_flag[] = {
	TOLD("runtime_key", "there is no runtime layer: default_value applies"),
};
static const struct mt_xds_row limit_descriptor[] = {
	TOLD("limit", "the rate limit service's own limit counts"),
	TOLD("hits_addend", "each connection counts as one"),
};
static const struct mt_xds_row limit_action[] = {
	REFUSED("dynamic_metadata", "not an action of Thrift calls"),
	REFUSED("metadata", "not an action of Thrift calls"),
	REFUSED("extension", "not an action of Thrift calls"),
	REFUSED("masked_remote_address", "not an action of Thrift calls"),
	REFUSED("query_parameter_value_match", "not an action of Thrift calls"),
	REFUSED("query_parameters", "not an action of Thrift calls"),
};
static const struct mt_xds_row limit_headers[] = {
	TOLD("skip_if_absent", "without the header the call has no such descriptor"),
};
static const struct mt_xds_row thrift_weight[] = {
	TOLD("metadata_match", "a cluster's endpoints are not chosen by metadata"),
};
static const struct mt_xds_row dubbo_proxy[] = {
	MEANS_NOTHING("stat_prefix"),
	MEANS_NOTHING("protocol_type"),
	MEANS_NOTHING("serialization_type"),
};
static const struct mt_xds_row dubbo_routes[] = {MEANS_NOTHING("name")};
static const struct mt_xds_row dubbo_multiple[] = {MEANS_NOTHING("name")};
static const struct mt_xds_row dubbo_action[] = {
	TOLD("metadata_match", "a cluster's endpoints are not chosen by metadata"),
};
static const struct mt_xds_row route_configuration[] = {
	MEANS_NOTHING("metadata"),
	TOLD("request_headers_to_add", "write them into routes"),
	TOLD("request_headers_to_remove", "write them into routes"),
	TOLD("response_headers_to_add", "write them into routes"),
	TOLD("response_headers_to_remove", "write them into routes"),
	MEANS_NOTHING("validate_clusters"),
	REFUSED("vhds", "virtual hosts come with the configuration"),
	MEANS_NOTHING("ignore_port_in_host_matching"),
};
static const struct mt_xds_row virtual_host[] = {
	MEANS_NOTHING("name"),
	MEANS_NOTHING("domains"),
	TOLD("rate_limits", "global rate limits are not applied"),
	TOLD("request_headers_to_add", "write them into routes"),
	TOLD("request_headers_to_remove", "write them into routes"),
	TOLD("response_headers_to_add", "write them into routes"),
	TOLD("response_headers_to_remove", "write them into routes"),
	MEANS_NOTHING("include_request_attempt_count"),
	TOLD("typed_per_filter_config", "not read"),
};
static const struct mt_xds_row route[] = {
	MEANS_NOTHING("metadata"),
	MEANS_NOTHING("decorator"),
	TOLD("typed_per_filter_config", "not read"),
	TOLD("tracing", "no spans are sent"),
};
static const struct mt_xds_row route_match[] = {
	MEANS_NOTHING("case_sensitive"),
	REFUSED("query_parameters", "messages have none"),
	REFUSED("grpc", "messages are not gRPC"),
	REFUSED("tls_context", "not a condition that is tested here"),
	REFUSED("dynamic_metadata", "not a condition that is tested here"),
	REFUSED("filter_state", "not a condition that is tested here"),
};
static const struct mt_xds_row route_action[] = {
	TOLD("idle_timeout", "the timeout bounds the whole exchange"),
	TOLD("metadata_match", "a cluster's endpoints are not chosen by metadata"),
	MEANS_NOTHING("priority"),
	TOLD("rate_limits", "global rate limits are not applied"),
	MEANS_NOTHING("max_grpc_timeout"),
	TOLD("hedge_policy", "one request is sent"),
	TOLD("max_stream_duration", "the timeout bounds the whole exchange"),
};
static const struct mt_xds_row retry_policy[] = {
	TOLD("retry_priority", "priorities are chosen as for the first attempt"),
	MEANS_NOTHING("host_selection_retry_max_attempts"),
	TOLD("retriable_headers", "replies have no headers"),
	TOLD("rate_limited_retry_back_off", "replies do not specify a back-off"),
	TOLD("retry_options_predicates", "not run"),
	TOLD("per_try_idle_timeout", "per_try_timeout limits an attempt"),
};
static const struct mt_xds_row host_predicate[] = {MEANS_NOTHING("typed_config")};
static const struct mt_xds_row hash_policy[] = {TOLD("terminal", "all keys are taken together")};
static const struct mt_xds_row header_option[] = {
	TOLD("append", "the value is set, as messages have a key once"),
	MEANS_NOTHING("keep_empty_value"),
};
static const struct mt_xds_row tls_params[] = {
	TOLD("cipher_suites", "those of Istio's proxies"),
	TOLD("ecdh_curves", "those of Istio's proxies"),
};
static const struct mt_xds_row tls_context[] = {
	TOLD("alpn_protocols", "where `istio` is among them, it alone is offered and taken"),
};
static const struct mt_xds_row validation[] = {
	TOLD("verify_certificate_hash", "not verified: no such TLS is spoken"),
	TOLD("verify_certificate_spki", "not verified: no such TLS is spoken"),
};
/*
 * These fields are not needed: short names are derived from spec.dns.domain, for hosts of every
 * registry.
 */
static const struct mt_xds_row name_info[] = {
	MEANS_NOTHING("registry"),
	MEANS_NOTHING("shortname"),
	MEANS_NOTHING("namespace"),
};
static const struct mt_xds_row extension_source[] = {
	TOLD("apply_default_config_without_warming",
		"default_config applies until the other arrives"),
};

const struct mt_xds_rows mt_xds_rows[] = {
	ROWS(config_source, config_source),
	ROWS(api_config_source, api_source),
	ROWS(grpc_service, grpc_service),
	ROWS(grpc_service__envoy_grpc, envoy_grpc),
	ROWS(cluster, cluster),
	ROWS(circuit_breakers__thresholds, thresholds),
	ROWS(outlier_detection, outlier),
	ROWS(cluster__maglev_lb_config, maglev),
	ROWS(cluster__common_lb_config, common_lb),
	ROWS(cluster__least_request_lb_config, least_request),
	ROWS(runtime_double, runtime_double),
	ROWS(cluster__transport_socket_match, socket_match),
	ROWS(transport_socket, transport_socket),
	ROWS(endpoint, endpoint),
	ROWS(locality_lb_endpoints, locality_endpoints),
	ROWS(cluster_load_assignment__policy, assignment_policy),
	ROWS(listener, listener),
	ROWS(filter_chain, chain),
	ROWS(filter_chain_match, chain_match),
	ROWS(tcp_proxy, tcp_proxy),
	ROWS(access_log, access_log),
	ROWS(access_log_filter, log_filter),
	ROWS(runtime_filter, runtime_filter),
	ROWS(runtime_uint32, runtime_number),
	ROWS(extension_filter, extension_filter),
	ROWS(substitution_format_string, format_string),
	ROWS(meta_protocol_proxy, meta_proxy),
	ROWS(meta_tracing, meta_tracing),
	ROWS(meta_codec, meta_codec),
	ROWS(meta_route_configuration, meta_routes),
	ROWS(meta_local_rate_limit, meta_limit),
	ROWS(rate_limit_service_config, limit_service),
	ROWS(thrift_proxy, thrift_proxy),
	ROWS(thrift_route_configuration, thrift_routes),
	ROWS(thrift_route_action, thrift_action),
	ROWS(rate_limit, rate_limit),
	ROWS(network_rate_limit, network_rate_limit),
	ROWS(network_local_rate_limit, network_local_limit),
	ROWS(runtime_feature_flag, feature_flag),
	ROWS(rate_limit_descriptor, limit_descriptor),
	ROWS(rate_limit__action, limit_action),
	ROWS(rate_limit__action__request_headers, limit_headers),
	ROWS(thrift_cluster_weight, thrift_weight),
	ROWS(dubbo_proxy, dubbo_proxy),
	ROWS(dubbo_route_configuration, dubbo_routes),
	ROWS(dubbo_multiple_route_configuration, dubbo_multiple),
	ROWS(dubbo_route_action, dubbo_action),
	ROWS(route_configuration, route_configuration),
	ROWS(virtual_host, virtual_host),
	ROWS(route, route),
	ROWS(route_match, route_match),
	ROWS(route_action, route_action),
	ROWS(route_action__hash_policy, hash_policy),
	ROWS(retry_policy, retry_policy),
	ROWS(retry_policy__retry_host_predicate, host_predicate),
	ROWS(header_value_option, header_option),
	ROWS(tls_parameters, tls_params),
	ROWS(common_tls_context, tls_context),
	ROWS(certificate_validation_context, validation),
	ROWS(extension_config_source, extension_source),
	ROWS(name_table__name_info, name_info),
	{0},
};

const struct mt_xds_note_row mt_xds_notes[MT_XDS_N_NOTES] = {
#define MT_XDS_NOTE(id, in, field, words) [MT_XDS_NOTE_##id] = {in, field, words},
#include "notes.def"
#undef MT_XDS_NOTE
};

/* ---- adding notes ---------------------------------------------------------------------------- */

/* True if a row is to be noted: only once, and up to MT_XM_TOLD rows. */
static bool first(struct mt_xmap *m, const void *row)
{
	for (uint32_t i = 0; i < m->n_told; i++)
		if (m->told[i] == row)
			return false;
	if (m->n_told == MT_XM_TOLD)
		return false;
	m->told[m->n_told++] = row;
	return true;
}

static void tell(struct mt_xmap *m, const char *field, const char *words)
{
	struct mt_xds_mapped *o = m->out;
	struct mt_xds_ignored *row;
	char path[400], safe[400];

	snprintf(path, sizeof(path), "%s%s%.64s", m->rd.at.text, field && m->rd.at.len ? "." : "",
		field ? field : "");
	mt_escape(safe, sizeof(safe), path);
	row = mt_region_push(m->r, (void **)&o->ignored, &o->n_ignored, sizeof(*row));
	if (!row)
		return;
	row->field = mt_region_strdup(m->r, safe);
	row->why = words;
}

void mt_xm_note(struct mt_xmap *m, enum mt_xds_note id, const char *field)
{
	if (first(m, &mt_xds_notes[id]))
		tell(m, field, mt_xds_notes[id].words);
}

void mt_xm_note_unknown(void *arg, const struct mt_pb_path *at, const char *field)
{
	struct mt_xmap *m = arg;

	/* Unknown fields have no row: each is noted, up to the limit. */
	if (m->n_told < MT_XM_TOLD) {
		m->told[m->n_told++] = NULL;
		tell(m, field, "not known here");
	}
}

static bool is_there(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f)
{
	const char *at = (const char *)msg + f->offset;

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)((const char *)msg + f->quantifier_offset) > 0;
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)((const char *)msg + f->quantifier_offset) == f->id;
	switch (f->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		return *(void *const *)at != NULL;
	case PROTOBUF_C_TYPE_STRING:
		return *(char *const *)at && **(char *const *)at;
	case PROTOBUF_C_TYPE_BYTES:
		return ((const ProtobufCBinaryData *)at)->len > 0;
	case PROTOBUF_C_TYPE_DOUBLE:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
		return *(const uint64_t *)at != 0;
	default:
		return *(const uint32_t *)at != 0;
	}
}

static const struct mt_xds_rows *rows_of(const ProtobufCMessageDescriptor *type)
{
	for (const struct mt_xds_rows *r = mt_xds_rows; r->type; r++)
		if (r->type == type)
			return r;
	return NULL;
}

static const struct mt_xds_row *row_of(const struct mt_xds_rows *rows, const char *field)
{
	for (uint32_t i = 0; rows && i < rows->n; i++)
		if (strcmp(rows->rows[i].field, field) == 0)
			return &rows->rows[i];
	return NULL;
}

/* True for messages whose fields have no rows and are not checked. */
static bool is_opaque(const ProtobufCMessageDescriptor *type)
{
	return type == &xds__any__descriptor || type == &xds__struct__descriptor ||
	       type == &xds__value__descriptor || type == &xds__list_value__descriptor ||
	       type == &xds__metadata__descriptor;
}

/* A list may have 100,000 endpoints, which look alike: only the first ones are checked. */
#define ENDPOINTS_LOOKED_AT 64u

static void below(struct mt_xmap *m, const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *f)
{
	const char *at = (const char *)msg + f->offset;
	ProtobufCMessage *const *items = *(ProtobufCMessage *const *const *)at;
	size_t n;
	uint32_t mark;

	if (f->label != PROTOBUF_C_LABEL_REPEATED) {
		mark = mt_xm_in(m, f->name);
		mt_xm_note_fields(m, *(ProtobufCMessage *const *)at);
		mt_xm_out(m, mark);
		return;
	}
	n = *(const size_t *)((const char *)msg + f->quantifier_offset);
	if (f->descriptor == &xds__lb_endpoint__descriptor)
		n = MT_MIN(n, ENDPOINTS_LOOKED_AT);
	for (size_t i = 0; i < n; i++) {
		mark = mt_xm_at(m, f->name, i);
		mt_xm_note_fields(m, items[i]);
		mt_xm_out(m, mark);
	}
}

void mt_xm_note_fields(struct mt_xmap *m, const ProtobufCMessage *msg)
{
	const ProtobufCMessageDescriptor *type = msg->descriptor;
	const struct mt_xds_rows *rows = rows_of(type);
	char number[32];

	for (unsigned int i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &type->fields[i];
		const struct mt_xds_row *row;

		if (!is_there(msg, f))
			continue;
		row = row_of(rows, f->name);
		if (row && row->refused)
			mt_xm_bad(m, f->name, "%s", row->words);
		else if (row && row->words && first(m, row))
			tell(m, f->name, row->words);
		else if (!row && f->type == PROTOBUF_C_TYPE_MESSAGE && !is_opaque(f->descriptor))
			below(m, msg, f);
	}
	for (unsigned int i = 0; i < msg->n_unknown_fields; i++) {
		snprintf(number, sizeof(number), "#%u", msg->unknown_fields[i].tag);
		mt_xm_note_unknown(m, &m->rd.at, number);
	}
}
