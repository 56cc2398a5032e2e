/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of a bootstrap file (envoy.config.bootstrap.v3.Bootstrap as protobuf JSON, so in snake_case and
 * camelCase). What is not in these tables is accepted and listed as not used: existing files say much that is meant
 * for another program.
 */
#include "mt_xds_boot_priv.h"

#include <stdlib.h>
#include <string.h>

#define UNUSED_MAX 128

/* ---- what has no effect --------------------------------------------------------------------------- */

static void note_unused(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct boot_reader *r = mt_container_of(c, struct boot_reader, c);
	const char **slot;

	if (r->b->n_unused == UNUSED_MAX)
		return;
	slot = mt_region_push(
		&c->model->region, (void **)&r->b->unused, &r->b->n_unused, sizeof(*slot));
	if (slot)
		*slot = mt_region_strdup(&c->model->region, c->path);
}

static bool unused(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	note_unused(c, n, obj);
	return true;
}

#define SECTION(what, type, rows)                                                                  \
	{                                                                                          \
		what, sizeof(type), MT_ARRAY_LEN(rows), .fields = rows, .snake = true,             \
							.unknown = unused                          \
	}

/* ---- trust and identity --------------------------------------------------------------------------- */

static const struct mt_field data_fields[] = {
	{"filename", MT_F_TEXT, AT(struct boot_data, filename)},
	{"inlineString", MT_F_TEXT, AT(struct boot_data, inline_string)},
	{"inlineBytes", MT_F_REFUSED, .help = "write filename or inline_string"},
	{"environmentVariable", MT_F_REFUSED, .help = "write filename or inline_string"},
};
static const struct mt_section data_section = SECTION("data source", struct boot_data, data_fields);

static const struct mt_field certificate_fields[] = {
	{"certificateChain", MT_F_POINTER, AT(struct boot_certificate, chain), .required = true,
		.sub = &data_section, .help = "the certificate"},
	{"privateKey", MT_F_POINTER, AT(struct boot_certificate, key), .required = true,
		.sub = &data_section, .help = "its key"},
};
static const struct mt_section certificate_section =
	SECTION("certificate", struct boot_certificate, certificate_fields);

/* Who may answer is not a field to be lenient with. */
#define WHOLE "names are compared whole: write exact"
static const struct mt_field matcher_fields[] = {
	{"exact", MT_F_TEXT, AT(struct boot_matcher, exact), .required = true, .help = WHOLE},
	{"prefix", MT_F_REFUSED, .help = WHOLE},
	{"suffix", MT_F_REFUSED, .help = WHOLE},
	{"contains", MT_F_REFUSED, .help = WHOLE},
	{"safeRegex", MT_F_REFUSED, .help = WHOLE},
};
static const struct mt_section matcher_section =
	SECTION("name", struct boot_matcher, matcher_fields);

static const struct mt_field san_fields[] = {
	{.name = "sanType", .type = MT_F_SKIP},
	{"matcher", MT_F_OBJECT, AT(struct boot_san, matcher), .required = true,
		.sub = &matcher_section, .help = "the name"},
};
static const struct mt_section san_section = SECTION("name", struct boot_san, san_fields);

static const struct mt_field validation_fields[] = {
	{"trustedCa", MT_F_POINTER, AT(struct boot_validation, roots), .sub = &data_section},
	{"matchSubjectAltNames", MT_F_LIST, AT_LIST(struct boot_validation, names),
		.sub = &matcher_section},
	{"matchTypedSubjectAltNames", MT_F_LIST, AT_LIST(struct boot_validation, sans),
		.sub = &san_section},
};
static const struct mt_section validation_section =
	SECTION("validation context", struct boot_validation, validation_fields);

/* Where secrets come from is not asked: they are the node's identity, by their names. */
static const struct mt_field secret_fields[] = {
	{"name", MT_F_TEXT, AT(struct boot_secret, name), .required = true,
		.help = "the secret's name"},
	{"sdsConfig", MT_F_CUSTOM, .custom = note_unused},
};
static const struct mt_section secret_section =
	SECTION("secret", struct boot_secret, secret_fields);

static const struct mt_field combined_fields[] = {
	{"defaultValidationContext", MT_F_POINTER, AT(struct boot_combined, validation),
		.sub = &validation_section},
	{"validationContextSdsSecretConfig", MT_F_POINTER, AT(struct boot_combined, secret),
		.sub = &secret_section},
};
static const struct mt_section combined_section =
	SECTION("validation context", struct boot_combined, combined_fields);

static const struct mt_field common_fields[] = {
	{"tlsCertificates", MT_F_LIST, AT_LIST(struct boot_common_tls, certificates),
		.sub = &certificate_section},
	{"tlsCertificateSdsSecretConfigs", MT_F_LIST,
		AT_LIST(struct boot_common_tls, certificate_secrets), .sub = &secret_section},
	{"validationContext", MT_F_POINTER, AT(struct boot_common_tls, validation),
		.sub = &validation_section},
	{"validationContextSdsSecretConfig", MT_F_POINTER,
		AT(struct boot_common_tls, validation_secret), .sub = &secret_section},
	{"combinedValidationContext", MT_F_POINTER, AT(struct boot_common_tls, combined),
		.sub = &combined_section},
	{.name = "alpnProtocols", .type = MT_F_SKIP},
};
static const struct mt_section common_section =
	SECTION("TLS context", struct boot_common_tls, common_fields);

static const struct mt_field tls_fields[] = {
	{"@type", MT_F_TEXT, AT(struct boot_tls, type)},
	{"sni", MT_F_TEXT, AT(struct boot_tls, sni)},
	{"commonTlsContext", MT_F_POINTER, AT(struct boot_tls, common), .sub = &common_section},
};
static const struct mt_section tls_section = SECTION("TLS context", struct boot_tls, tls_fields);

static const struct mt_field transport_fields[] = {
	{"name", MT_F_TEXT, AT(struct boot_transport, name)},
	{"typedConfig", MT_F_POINTER, AT(struct boot_transport, config), .sub = &tls_section},
};
static const struct mt_section transport_section =
	SECTION("transport socket", struct boot_transport, transport_fields);

/* ---- addresses ------------------------------------------------------------------------------------ */

static const struct mt_field socket_fields[] = {
	{.name = "protocol", .type = MT_F_SKIP},
	{"address", MT_F_TEXT, AT(struct boot_socket, address), .required = true,
		.help = "an address or a name"},
	{"portValue", MT_F_NUM, AT(struct boot_socket, port), .min = 1, .max = 65535,
		.required = true, .help = "the port"},
};
static const struct mt_section socket_section =
	SECTION("socket address", struct boot_socket, socket_fields);

static const struct mt_field pipe_fields[] = {
	{"path", MT_F_TEXT, AT(struct boot_pipe, path), .required = true,
		.help = "the socket's path"},
	{.name = "mode", .type = MT_F_SKIP},
};
static const struct mt_section pipe_section = SECTION("pipe", struct boot_pipe, pipe_fields);

static const struct mt_field address_fields[] = {
	{"socketAddress", MT_F_POINTER, AT(struct boot_address, socket), .sub = &socket_section},
	{"pipe", MT_F_POINTER, AT(struct boot_address, pipe), .sub = &pipe_section},
};
static const struct mt_section address_section =
	SECTION("address", struct boot_address, address_fields);

static const struct mt_field endpoint_fields[] = {
	{"address", MT_F_POINTER, AT(struct boot_endpoint, address), .sub = &address_section},
	{.name = "hostname", .type = MT_F_SKIP},
};
static const struct mt_section endpoint_section =
	SECTION("endpoint", struct boot_endpoint, endpoint_fields);

static const struct mt_field lb_endpoint_fields[] = {
	{"endpoint", MT_F_POINTER, AT(struct boot_lb_endpoint, endpoint), .sub = &endpoint_section},
};
static const struct mt_section lb_endpoint_section =
	SECTION("endpoint", struct boot_lb_endpoint, lb_endpoint_fields);

static const struct mt_field locality_endpoints_fields[] = {
	{"lbEndpoints", MT_F_LIST, AT_LIST(struct boot_locality_endpoints, endpoints),
		.sub = &lb_endpoint_section},
};
static const struct mt_section locality_endpoints_section =
	SECTION("locality", struct boot_locality_endpoints, locality_endpoints_fields);

static const struct mt_field assignment_fields[] = {
	{.name = "clusterName", .type = MT_F_SKIP},
	{"endpoints", MT_F_LIST, AT_LIST(struct boot_assignment, localities),
		.sub = &locality_endpoints_section},
};
static const struct mt_section assignment_section =
	SECTION("load assignment", struct boot_assignment, assignment_fields);

/* `type` says no more than the addresses do; HTTP/2 is what gRPC speaks. */
static const struct mt_field cluster_fields[] = {
	{"name", MT_F_TEXT, AT(struct boot_cluster, name), .required = true,
		.help = "the cluster's name"},
	{.name = "type", .type = MT_F_SKIP},
	{"connectTimeout", MT_F_DURATION, AT(struct boot_cluster, connect_ms)},
	{"loadAssignment", MT_F_POINTER, AT(struct boot_cluster, assignment),
		.sub = &assignment_section},
	{"transportSocket", MT_F_POINTER, AT(struct boot_cluster, transport),
		.sub = &transport_section},
	{.name = "lbPolicy", .type = MT_F_SKIP},
	{.name = "http2ProtocolOptions", .type = MT_F_SKIP},
	{.name = "typedExtensionProtocolOptions", .type = MT_F_SKIP},
	{.name = "upstreamConnectionOptions", .type = MT_F_SKIP},
	{"tlsContext", MT_F_REFUSED, .help = "this is API v2: write transport_socket"},
	{"hosts", MT_F_REFUSED, .help = "this is API v2: write load_assignment"},
};
static const struct mt_section cluster_section =
	SECTION("cluster", struct boot_cluster, cluster_fields);

/* ---- who is asked for what ------------------------------------------------------------------------- */

static const struct mt_field header_fields[] = {
	{"key", MT_F_TEXT, AT(struct boot_header, key), .required = true, .help = "its name"},
	{"value", MT_F_TEXT, AT(struct boot_header, value), .required = true, .help = "its value"},
};
static const struct mt_section header_section =
	SECTION("header", struct boot_header, header_fields);

static const struct mt_field envoy_grpc_fields[] = {
	{"clusterName", MT_F_TEXT, AT(struct boot_envoy_grpc, cluster), .required = true,
		.help = "the name of a static cluster"},
	{"authority", MT_F_CUSTOM, .custom = note_unused},
};
static const struct mt_section envoy_grpc_section =
	SECTION("gRPC service", struct boot_envoy_grpc, envoy_grpc_fields);

static const struct mt_field grpc_fields[] = {
	{"envoyGrpc", MT_F_POINTER, AT(struct boot_grpc, envoy), .required = true,
		.sub = &envoy_grpc_section, .help = "{cluster_name: NAME}"},
	{"googleGrpc", MT_F_REFUSED,
		.help = "write envoy_grpc, and the server as a static cluster"},
	{"initialMetadata", MT_F_LIST, AT_LIST(struct boot_grpc, headers), .sub = &header_section},
};
static const struct mt_section grpc_section =
	SECTION("gRPC service", struct boot_grpc, grpc_fields);

static const char *const api_words[] = {
	"GRPC", "DELTA_GRPC", "AGGREGATED_GRPC", "AGGREGATED_DELTA_GRPC", NULL};

static const char *const version_words[] = {"V3", "AUTO", NULL};

static const struct mt_field api_source_fields[] = {
	{"apiType", MT_F_WORD, AT(struct boot_api_source, api), .words = api_words,
		.required = true, .help = "GRPC, or DELTA_GRPC for changes only"},
	{"grpcServices", MT_F_LIST, AT_LIST(struct boot_api_source, services), .sub = &grpc_section,
		.required = true, .help = "[{envoy_grpc: ...}]"},
	{"transportApiVersion", MT_F_WORD, AT(struct boot_api_source, version),
		.words = version_words},
	{.name = "setNodeOnFirstMessageOnly", .type = MT_F_SKIP},
};
static const struct mt_section api_source_section =
	SECTION("discovery service", struct boot_api_source, api_source_fields);

static void read_ads(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	((struct boot_source *)obj)->ads = true;
}

static const struct mt_field source_fields[] = {
	{"ads", MT_F_CUSTOM, .custom = read_ads},
	{"apiConfigSource", MT_F_POINTER, AT(struct boot_source, api), .sub = &api_source_section},
	{.name = "resourceApiVersion", .type = MT_F_SKIP},
};
static const struct mt_section source_section =
	SECTION("configuration source", struct boot_source, source_fields);

static const struct mt_field dynamic_fields[] = {
	{"ldsConfig", MT_F_POINTER, AT(struct boot_dynamic, lds), .sub = &source_section},
	{"cdsConfig", MT_F_POINTER, AT(struct boot_dynamic, cds), .sub = &source_section},
	{"adsConfig", MT_F_POINTER, AT(struct boot_dynamic, ads), .sub = &api_source_section},
};
static const struct mt_section dynamic_section =
	SECTION("dynamic_resources", struct boot_dynamic, dynamic_fields);

static const struct mt_field static_fields[] = {
	{"clusters", MT_F_LIST, AT_LIST(struct boot_static, clusters), .sub = &cluster_section},
};
static const struct mt_section static_section =
	SECTION("static_resources", struct boot_static, static_fields);

/* ---- who asks ------------------------------------------------------------------------------------- */

static Xds__Value *value_of(struct mt_region *region, const struct mt_ynode *n);

static Xds__Struct *struct_of(struct mt_region *region, const struct mt_ynode *n)
{
	Xds__Struct *s = mt_region_alloc(region, sizeof(*s));

	if (!s)
		return NULL;
	xds__struct__init(s);
	s->fields = mt_region_alloc(region, sizeof(*s->fields) * (n->n + 1));
	for (const struct mt_ynode *k = n->first; k && s->fields; k = k->next) {
		Xds__Struct__FieldsEntry *e = mt_region_alloc(region, sizeof(*e));

		if (!e)
			return NULL;
		xds__struct__fields_entry__init(e);
		e->key = (char *)k->key;
		e->value = value_of(region, k);
		s->fields[s->n_fields++] = e;
	}
	return s;
}

static Xds__ListValue *list_of(struct mt_region *region, const struct mt_ynode *n)
{
	Xds__ListValue *l = mt_region_alloc(region, sizeof(*l));

	if (!l)
		return NULL;
	xds__list_value__init(l);
	l->values = mt_region_alloc(region, sizeof(*l->values) * (n->n + 1));
	for (const struct mt_ynode *k = n->first; k && l->values; k = k->next)
		l->values[l->n_values++] = value_of(region, k);
	return l;
}

/* As JSON means it: a plain word that is a number or a boolean is one. */
static void scalar_of(Xds__Value *v, const struct mt_ynode *n)
{
	bool yes = strcmp(n->text, "true") == 0;
	char *end;

	if (n->plain && mt_yaml_is_null(n)) {
		v->kind_case = XDS__VALUE__KIND_NULL_VALUE;
		return;
	}
	if (n->plain && (yes || strcmp(n->text, "false") == 0)) {
		v->kind_case = XDS__VALUE__KIND_BOOL_VALUE;
		v->bool_value = yes;
		return;
	}
	v->number_value = strtod(n->text, &end);
	if (n->plain && *n->text && strchr("-0123456789", *n->text) && !*end) {
		v->kind_case = XDS__VALUE__KIND_NUMBER_VALUE;
		return;
	}
	v->kind_case = XDS__VALUE__KIND_STRING_VALUE;
	v->string_value = (char *)n->text;
}

/* The reader bounds the depth (MT_YAML_DEPTH). */
static Xds__Value *value_of(struct mt_region *region, const struct mt_ynode *n)
{
	Xds__Value *v = mt_region_alloc(region, sizeof(*v));

	if (!v)
		return NULL;
	xds__value__init(v);
	if (n->type == MT_Y_SCALAR) {
		scalar_of(v, n);
	} else if (n->type == MT_Y_SEQ) {
		v->kind_case = XDS__VALUE__KIND_LIST_VALUE;
		v->list_value = list_of(region, n);
	} else {
		v->kind_case = XDS__VALUE__KIND_STRUCT_VALUE;
		v->struct_value = struct_of(region, n);
	}
	return v;
}

static void read_metadata(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	if (mt_want_map(c, n, "a map"))
		((struct boot_node *)obj)->metadata = struct_of(&c->model->region, n);
}

static const struct mt_field locality_fields[] = {
	{"region", MT_F_TEXT, AT(struct boot_locality, region)},
	{"zone", MT_F_TEXT, AT(struct boot_locality, zone)},
	{"subZone", MT_F_TEXT, AT(struct boot_locality, subzone)},
};
static const struct mt_section locality_section =
	SECTION("locality", struct boot_locality, locality_fields);

static const struct mt_field node_fields[] = {
	{"id", MT_F_TEXT, AT(struct boot_node, id), .required = true,
		.help = "Istio wants TYPE~ADDRESS~NAME.NAMESPACE~DOMAIN"},
	{"cluster", MT_F_TEXT, AT(struct boot_node, cluster)},
	{"locality", MT_F_POINTER, AT(struct boot_node, locality), .sub = &locality_section},
	{"metadata", MT_F_CUSTOM, .custom = read_metadata},
};
static const struct mt_section node_section = SECTION("node", struct boot_node, node_fields);

/* ---- all of it ------------------------------------------------------------------------------------ */

static const struct mt_field root_fields[] = {
	{"node", MT_F_POINTER, AT(struct boot_root, node), .required = true, .sub = &node_section,
		.help = "who asks: {id: ...}"},
	{"dynamicResources", MT_F_POINTER, AT(struct boot_root, dynamic), .required = true,
		.sub = &dynamic_section, .help = "who is asked for what"},
	{"staticResources", MT_F_POINTER, AT(struct boot_root, statics), .required = true,
		.sub = &static_section, .help = "the servers, as clusters"},
};

const struct mt_section boot_root_section = SECTION("bootstrap", struct boot_root, root_fields);
