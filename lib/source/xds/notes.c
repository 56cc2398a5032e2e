/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the messages in proto/ has no effect: what `show xds` tells of each resource, and the tables of
 * docs/reference/xds.md. A field without a row is enforced, as are all that stand below it and have none.
 */
#include "mt_xds_map_priv.h"

#include <stdio.h>
#include <string.h>

#define ROWS(message, list)                                                                        \
	{                                                                                          \
		&xds__##message##__descriptor, list, MT_ARRAY_LEN(list)                            \
	}

static const struct mt_xds_row cluster[] = {
	{"health_checks", "endpoints are not probed; those that fail are put aside"},
	{"max_requests_per_connection", "connections are used as long as they work"},
	{"dns_refresh_rate", NULL},
	{"metadata", NULL},
	{"alt_stat_name", NULL},
	{"upstream_connection_options", "TCP keep-alive is the Node's"},
	{"typed_extension_protocol_options", NULL},
	{"filters", "filters towards endpoints are not run"},
};
static const struct mt_xds_row thresholds[] = {
	{"max_requests", "shown, not enforced: calls that are out are not counted"},
	{"max_retries", "shown, not enforced: the retry bound is Meltemi's own"},
	{"track_remaining", NULL},
};
static const struct mt_xds_row outlier[] = {
	{"split_external_local_origin_errors", "failures of all sorts count alike"},
};
static const struct mt_xds_row common_lb[] = {
	{"close_connections_on_host_set_change", "connections stay"},
};
static const struct mt_xds_row least_request[] = {
	{"choice_count", "two endpoints are compared"},
};
static const struct mt_xds_row socket_match[] = {{"name", NULL}};
static const struct mt_xds_row transport_socket[] = {{"name", NULL}};
static const struct mt_xds_row endpoint[] = {{"hostname", NULL}};
static const struct mt_xds_row locality_endpoints[] = {{"metadata", NULL}};
static const struct mt_xds_row assignment_policy[] = {
	{"drop_overloads", "nothing is dropped"},
};
static const struct mt_xds_row listener[] = {
	{"use_original_dst", "a connection is taken by the address it was made to"},
	{"metadata", NULL},
	{"access_log", "no access log is written"},
};
static const struct mt_xds_row chain[] = {{"metadata", NULL}};
static const struct mt_xds_row tcp_proxy[] = {
	{"stat_prefix", NULL},
	{"access_log", "no access log is written"},
};
static const struct mt_xds_row meta_proxy[] = {
	{"stat_prefix", NULL},
	{"tracing", "no spans are sent"},
	{"access_log", "no access log is written"},
};
static const struct mt_xds_row meta_codec[] = {{"config", NULL}};
static const struct mt_xds_row meta_routes[] = {{"name", NULL}};
static const struct mt_xds_row meta_limit[] = {{"stat_prefix", NULL}};
static const struct mt_xds_row thrift_proxy[] = {
	{"stat_prefix", NULL},
	{"payload_passthrough", NULL},
	{"max_requests_per_connection", "connections are used as long as they work"},
	{"access_log", "no access log is written"},
	{"header_keys_preserve_case", NULL},
};
static const struct mt_xds_row thrift_routes[] = {{"name", NULL}};
static const struct mt_xds_row thrift_action[] = {
	{"metadata_match", "a cluster's endpoints are not chosen by metadata"},
};
static const struct mt_xds_row thrift_weight[] = {
	{"metadata_match", "a cluster's endpoints are not chosen by metadata"},
};
static const struct mt_xds_row dubbo_proxy[] = {
	{"stat_prefix", NULL},
	{"protocol_type", NULL},
	{"serialization_type", NULL},
};
static const struct mt_xds_row dubbo_routes[] = {{"name", NULL}};
static const struct mt_xds_row dubbo_multiple[] = {{"name", NULL}};
static const struct mt_xds_row dubbo_action[] = {
	{"metadata_match", "a cluster's endpoints are not chosen by metadata"},
};
static const struct mt_xds_row route_configuration[] = {{"metadata", NULL}};
static const struct mt_xds_row virtual_host[] = {{"name", NULL}, {"domains", NULL}};
static const struct mt_xds_row route[] = {{"metadata", NULL}};
static const struct mt_xds_row route_action[] = {
	{"idle_timeout", "the timeout bounds the whole exchange"},
};
static const struct mt_xds_row hash_policy[] = {{"terminal", "all keys are taken together"}};
static const struct mt_xds_row header_option[] = {
	{"append", "the value is set, as messages have a key once"},
	{"keep_empty_value", NULL},
};
static const struct mt_xds_row tls_params[] = {
	{"tls_minimum_protocol_version", "TLS is not spoken yet"},
	{"tls_maximum_protocol_version", "TLS is not spoken yet"},
	{"cipher_suites", "TLS is not spoken yet"},
	{"ecdh_curves", "TLS is not spoken yet"},
};
static const struct mt_xds_row tls_context[] = {{"alpn_protocols", "TLS is not spoken yet"}};
static const struct mt_xds_row upstream_tls[] = {
	{"common_tls_context", "shown, not enforced: TLS is not spoken yet"},
};
static const struct mt_xds_row downstream_tls[] = {
	{"common_tls_context", "shown, not enforced: TLS is not spoken yet"},
};
static const struct mt_xds_row validation[] = {
	{"verify_certificate_hash", "TLS is not spoken yet"},
	{"verify_certificate_spki", "TLS is not spoken yet"},
	{"crl", "TLS is not spoken yet"},
};
static const struct mt_xds_row extension_source[] = {
	{"apply_default_config_without_warming", "default_config holds until the other is there"},
};

const struct mt_xds_rows mt_xds_rows[] = {
	ROWS(cluster, cluster),
	ROWS(circuit_breakers__thresholds, thresholds),
	ROWS(outlier_detection, outlier),
	ROWS(cluster__common_lb_config, common_lb),
	ROWS(cluster__least_request_lb_config, least_request),
	ROWS(cluster__transport_socket_match, socket_match),
	ROWS(transport_socket, transport_socket),
	ROWS(endpoint, endpoint),
	ROWS(locality_lb_endpoints, locality_endpoints),
	ROWS(cluster_load_assignment__policy, assignment_policy),
	ROWS(listener, listener),
	ROWS(filter_chain, chain),
	ROWS(tcp_proxy, tcp_proxy),
	ROWS(meta_protocol_proxy, meta_proxy),
	ROWS(meta_codec, meta_codec),
	ROWS(meta_route_configuration, meta_routes),
	ROWS(meta_local_rate_limit, meta_limit),
	ROWS(thrift_proxy, thrift_proxy),
	ROWS(thrift_route_configuration, thrift_routes),
	ROWS(thrift_route_action, thrift_action),
	ROWS(thrift_cluster_weight, thrift_weight),
	ROWS(dubbo_proxy, dubbo_proxy),
	ROWS(dubbo_route_configuration, dubbo_routes),
	ROWS(dubbo_multiple_route_configuration, dubbo_multiple),
	ROWS(dubbo_route_action, dubbo_action),
	ROWS(route_configuration, route_configuration),
	ROWS(virtual_host, virtual_host),
	ROWS(route, route),
	ROWS(route_action, route_action),
	ROWS(route_action__hash_policy, hash_policy),
	ROWS(header_value_option, header_option),
	ROWS(tls_parameters, tls_params),
	ROWS(common_tls_context, tls_context),
	ROWS(upstream_tls_context, upstream_tls),
	ROWS(downstream_tls_context, downstream_tls),
	ROWS(certificate_validation_context, validation),
	ROWS(extension_config_source, extension_source),
	{0},
};

const struct mt_xds_note_row mt_xds_notes[MT_XDS_N_NOTES] = {
#define MT_XDS_NOTE(id, in, field, words) [MT_XDS_NOTE_##id] = {in, field, words},
#include "map_notes.def"
#undef MT_XDS_NOTE
};

/* ---- telling ---------------------------------------------------------------------------------------- */

/* Whether a row is told now: the first time, and while there is room. */
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

	/* Each is a thing of its own; only their number is bounded. */
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

/* What has fields of its own, but none of ours. */
static bool is_opaque(const ProtobufCMessageDescriptor *type)
{
	return type == &xds__any__descriptor || type == &xds__struct__descriptor ||
	       type == &xds__value__descriptor || type == &xds__list_value__descriptor ||
	       type == &xds__metadata__descriptor;
}

/* A hundred thousand endpoints look alike: the first ones tell. */
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
		if (row && row->words && first(m, row))
			tell(m, f->name, row->words);
		else if (!row && f->type == PROTOBUF_C_TYPE_MESSAGE && !is_opaque(f->descriptor))
			below(m, msg, f);
	}
	for (unsigned int i = 0; i < msg->n_unknown_fields; i++) {
		snprintf(number, sizeof(number), "#%u", msg->unknown_fields[i].tag);
		mt_xm_note_unknown(m, &m->rd.at, number);
	}
}
