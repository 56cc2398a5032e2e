/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of the fields of a bootstrap (envoy.config.bootstrap.v3.Bootstrap): which are read,
 * required, ignored or rejected. A field without a row is accepted with any content and listed as
 * unused, because existing files contain much that is meant for Envoy.
 */
#include "mt_xds_boot_priv.h"

#include "tls.pb-c.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define UNUSED_MAX 128

enum fate {
	READ,
	NEEDED,
	SILENT,	 /* ignored: known, without meaning for Meltemi */
	UNUSED,	 /* ignored and listed as unused */
	REFUSED, /* error, too important to ignore; `help`: what to write instead */
};

struct row {
	const char *field;
	enum fate fate;
	const char *help; /* of NEEDED fields: what to write */
	const char *const *words;
	uint32_t max; /* of numbers, which start at 1 */
};

struct rows {
	const ProtobufCMessageDescriptor *type;
	const char *what;
	const struct row *rows;
	uint32_t n;
};

#define READS(name, ...)                                                                           \
	{                                                                                          \
		.field = name, __VA_ARGS__                                                         \
	}
#define NEEDS(name, what, ...)                                                                     \
	{                                                                                          \
		.field = name, .fate = NEEDED, .help = what, __VA_ARGS__                           \
	}
#define SKIPS(name)                                                                                \
	{                                                                                          \
		.field = name, .fate = SILENT                                                      \
	}
#define LISTS(name)                                                                                \
	{                                                                                          \
		.field = name, .fate = UNUSED                                                      \
	}
#define REFUSES(name, instead)                                                                     \
	{                                                                                          \
		.field = name, .fate = REFUSED, .help = instead                                    \
	}

static const char *const api_words[] = {
	"GRPC", "DELTA_GRPC", "AGGREGATED_GRPC", "AGGREGATED_DELTA_GRPC", NULL};
static const char *const version_words[] = {"V3", "AUTO", NULL};

/* ---- trust and identity ---------------------------------------------------------------------- */

#define NO_SOURCE "write filename or inline_string"
static const struct row data_rows[] = {READS("filename"), READS("inline_string"),
	REFUSES("inline_bytes", NO_SOURCE), REFUSES("environment_variable", NO_SOURCE)};

static const struct row certificate_rows[] = {
	NEEDS("certificate_chain", "the certificate"), NEEDS("private_key", "its key")};

/* Names decide which server is trusted, so patterns are errors rather than ignored. */
#define WHOLE "names are compared whole: write exact"
static const struct row matcher_rows[] = {NEEDS("exact", WHOLE), REFUSES("prefix", WHOLE),
	REFUSES("suffix", WHOLE), REFUSES("contains", WHOLE), REFUSES("safe_regex", WHOLE)};

static const struct row san_rows[] = {SKIPS("san_type"), NEEDS("matcher", "the name")};

static const struct row validation_rows[] = {READS("trusted_ca"), READS("match_subject_alt_names"),
	READS("match_typed_subject_alt_names")};

/* sds_config has no effect: secrets always come from the node's identity, by name. */
static const struct row secret_rows[] = {NEEDS("name", "the secret's name"), LISTS("sds_config")};

static const struct row combined_rows[] = {
	READS("default_validation_context"), READS("validation_context_sds_secret_config")};

static const struct row common_rows[] = {READS("tls_certificates"),
	READS("tls_certificate_sds_secret_configs"), READS("validation_context"),
	READS("validation_context_sds_secret_config"), READS("combined_validation_context"),
	SKIPS("alpn_protocols")};

static const struct row tls_rows[] = {READS("sni"), READS("common_tls_context")};

static const struct row transport_rows[] = {READS("name"), READS("typed_config")};

/* ---- servers --------------------------------------------------------------------------------- */

static const struct row socket_rows[] = {SKIPS("protocol"),
	NEEDS("address", "an address or a name"), NEEDS("port_value", "the port", .max = 65535)};

static const struct row pipe_rows[] = {NEEDS("path", "the socket's path"), SKIPS("mode")};

static const struct row address_rows[] = {READS("socket_address"), READS("pipe")};

static const struct row endpoint_rows[] = {READS("address"), SKIPS("hostname")};

static const struct row lb_endpoint_rows[] = {READS("endpoint")};

static const struct row locality_endpoints_rows[] = {READS("lb_endpoints")};

static const struct row assignment_rows[] = {SKIPS("cluster_name"), READS("endpoints")};

/* `type` adds nothing to the addresses, and gRPC always uses HTTP/2. */
static const struct row cluster_rows[] = {NEEDS("name", "the cluster's name"), SKIPS("type"),
	READS("connect_timeout"), READS("load_assignment"), READS("transport_socket"),
	SKIPS("lb_policy"), SKIPS("http2_protocol_options"),
	SKIPS("typed_extension_protocol_options"), SKIPS("upstream_connection_options"),
	REFUSES("tls_context", "this is API v2: write transport_socket"),
	REFUSES("hosts", "this is API v2: write load_assignment")};

/* ---- config sources and node ----------------------------------------------------------------- */

static const struct row header_rows[] = {NEEDS("key", "its name"), NEEDS("value", "its value")};

static const struct row envoy_grpc_rows[] = {
	NEEDS("cluster_name", "the name of a static cluster"), LISTS("authority")};

static const struct row grpc_rows[] = {NEEDS("envoy_grpc", "{cluster_name: NAME}"),
	REFUSES("google_grpc", "write envoy_grpc, and the server as a static cluster"),
	READS("initial_metadata")};

static const struct row api_source_rows[] = {
	NEEDS("api_type", "GRPC, or DELTA_GRPC for changes only", .words = api_words),
	NEEDS("grpc_services", "[{envoy_grpc: ...}]"),
	READS("transport_api_version", .words = version_words),
	SKIPS("set_node_on_first_message_only")};

static const struct row source_rows[] = {
	READS("ads"), READS("api_config_source"), SKIPS("resource_api_version")};

static const struct row dynamic_rows[] = {
	READS("lds_config"), READS("cds_config"), READS("ads_config")};

static const struct row static_rows[] = {READS("clusters")};

static const struct row locality_rows[] = {READS("region"), READS("zone"), READS("sub_zone")};

static const struct row node_rows[] = {
	NEEDS("id", "Istio requires TYPE~ADDRESS~NAME.NAMESPACE~DOMAIN"), READS("cluster"),
	READS("locality"), READS("metadata")};

static const struct row root_rows[] = {NEEDS("node", "the id of this node: {id: ...}"),
	NEEDS("dynamic_resources", "the servers for each kind of resource"),
	NEEDS("static_resources", "the servers, as clusters")};

/* ---- all tables ------------------------------------------------------------------------------ */

#define ROWS(message, words, table)                                                                \
	{                                                                                          \
		&xds__##message##__descriptor, words, table, MT_ARRAY_LEN(table)                   \
	}

static const struct rows all[] = {
	ROWS(bootstrap, "bootstrap", root_rows),
	ROWS(bootstrap__dynamic_resources, "dynamic_resources", dynamic_rows),
	ROWS(bootstrap__static_resources, "static_resources", static_rows),
	ROWS(node, "node", node_rows),
	ROWS(locality, "locality", locality_rows),
	ROWS(config_source, "configuration source", source_rows),
	ROWS(api_config_source, "discovery service", api_source_rows),
	ROWS(grpc_service, "gRPC service", grpc_rows),
	ROWS(grpc_service__envoy_grpc, "gRPC service", envoy_grpc_rows),
	ROWS(header_value, "header", header_rows),
	ROWS(cluster, "cluster", cluster_rows),
	ROWS(cluster_load_assignment, "load assignment", assignment_rows),
	ROWS(locality_lb_endpoints, "locality", locality_endpoints_rows),
	ROWS(lb_endpoint, "endpoint", lb_endpoint_rows),
	ROWS(endpoint, "endpoint", endpoint_rows),
	ROWS(address, "address", address_rows),
	ROWS(socket_address, "socket address", socket_rows),
	ROWS(pipe, "pipe", pipe_rows),
	ROWS(transport_socket, "transport socket", transport_rows),
	ROWS(upstream_tls_context, "TLS context", tls_rows),
	ROWS(common_tls_context, "TLS context", common_rows),
	ROWS(common_tls_context__combined, "validation context", combined_rows),
	ROWS(certificate_validation_context, "validation context", validation_rows),
	ROWS(sds_secret_config, "secret", secret_rows),
	ROWS(subject_alt_name_matcher, "name", san_rows),
	ROWS(string_matcher, "name", matcher_rows),
	ROWS(tls_certificate, "certificate", certificate_rows),
	ROWS(data_source, "data source", data_rows),
};

static const struct rows *rows_of(const ProtobufCMessageDescriptor *type)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		if (all[i].type == type)
			return &all[i];
	return NULL;
}

static const struct row *row_of(const ProtobufCMessageDescriptor *type, const char *key)
{
	const struct rows *t = rows_of(type);

	for (uint32_t i = 0; t && i < t->n; i++)
		if (mt_pb_is_name(key, t->rows[i].field))
			return &t->rows[i];
	return NULL;
}

/* Sets the path of diagnostics to the position of the message reader. */
static struct boot_reader *here(struct mt_pb_reader *rd)
{
	struct boot_reader *r = rd->arg;

	snprintf(r->c.path, sizeof(r->c.path), "%s", rd->at.text);
	r->c.path_len = rd->at.len;
	return r;
}

static void note_unused(struct boot_reader *r)
{
	struct mt_region *region = &r->b->arena.region;
	const char **slot;

	if (r->b->n_unused == UNUSED_MAX)
		return;
	slot = mt_region_push(region, (void **)&r->b->unused, &r->b->n_unused, sizeof(*slot));
	if (slot)
		*slot = mt_region_strdup(region, r->c.path);
}

/*
 * Checks with the document readers what protobuf does not: port range, allowed words, non-empty
 * texts.
 */
static bool is_sound(struct boot_reader *r, const struct row *row,
	const ProtobufCFieldDescriptor *f, const struct mt_ynode *n)
{
	struct mt_text text;
	struct mt_num num;

	if (row->words)
		return mt_read_word(&r->c, n, row->words, &num);
	if (row->max)
		return mt_read_num(&r->c, n, 1, row->max, &num);
	return f->type != PROTOBUF_C_TYPE_STRING || mt_read_text(&r->c, n, &text);
}

static bool want(struct mt_pb_reader *rd, const ProtobufCMessageDescriptor *type,
	const ProtobufCFieldDescriptor *f, const struct mt_ynode *n)
{
	const struct row *row = row_of(type, n->key);
	struct boot_reader *r = here(rd);
	bool text = f && f->type == PROTOBUF_C_TYPE_STRING && !(row && row->words);
	bool absent = text ? mt_is_empty(n) : mt_yaml_is_null(n);

	if (!row || (row->fate == UNUSED && !absent))
		note_unused(r);
	else if (absent && row->fate == NEEDED)
		mt_f_error(&r->c, n->line, row->help, "is empty");
	else if (absent)
		return false;
	else if (row->fate == REFUSED)
		mt_f_error(&r->c, n->key_line, "remove it", "%s", row->help);
	else
		return row->fate <= NEEDED && is_sound(r, row, f, n);
	return false;
}

/* Converts "cluster_name" to "clusterName", as in protobuf's JSON. */
static const char *json_name(const char *field, char name[64])
{
	char *to = name;

	for (; *field && to < name + 63; field++) {
		bool up = *field == '_';

		field += up;
		*to++ = (char)(up ? toupper((unsigned char)*field) : *field);
	}
	*to = '\0';
	return name;
}

static bool has(const Xds__Struct *s, const char *field)
{
	for (size_t i = 0; i < s->n_fields; i++)
		if (mt_pb_is_name(s->fields[i]->key, field))
			return true;
	return false;
}

static void whole(struct mt_pb_reader *rd, const ProtobufCMessageDescriptor *type,
	const Xds__Struct *s, uint32_t line)
{
	const struct rows *t = rows_of(type);
	struct boot_reader *r = here(rd);
	char remedy[256], name[64];

	for (uint32_t i = 0; t && i < t->n; i++) {
		if (t->rows[i].fate != NEEDED || has(s, t->rows[i].field))
			continue;
		snprintf(remedy, sizeof(remedy), "add it: %s", t->rows[i].help);
		mt_f_error(&r->c, line, remedy, "the %s is missing its %s", t->what,
			json_name(t->rows[i].field, name));
	}
}

static void wrong(struct mt_pb_reader *rd, uint32_t line, const char *remedy, const char *what)
{
	mt_f_error(&here(rd)->c, line, remedy, "%s", what);
}

void boot_fields_read(struct boot_reader *r, const struct mt_ynode *n)
{
	static const struct mt_pb_of_text of_text = {want, whole, wrong};
	struct mt_pb_reader rd = {
		.arena = &r->b->arena, .arg = r, .of_text = &of_text, .line = n->line};
	Xds__Struct *s;

	if (!mt_want_map(&r->c, n, "a map of fields"))
		return;
	s = mt_pb_struct_of_node(&r->b->arena.region, n);
	if (s)
		r->root = mt_pb_from_struct(&rd, &xds__bootstrap__descriptor, s);
}
