/* SPDX-License-Identifier: Apache-2.0 */
/* MeshConfig: a file, or the key `mesh` of a ConfigMap, whose value is a YAML text. */
#include "mt_fields.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Only warns, because MeshConfig has many settings of proxies and of Istio, and gets new ones. */
static bool unknown_told(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	mt_f_note(c, n->key_line, NULL, "accepted, not enforced: it is not read");
	return true;
}

static void read_body(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	((struct mt_ext_authz *)obj)->wants_body = !mt_yaml_is_null(n);
}

static const struct mt_field ext_authz_fields[] = {
	{"service", MT_F_TEXT, AT(struct mt_ext_authz, service), .required = true, .host = true,
		.help = "HOST or NAMESPACE/HOST: the addresses of its endpoints, else those from "
			"DNS"},
	{"port", MT_F_NUM, AT(struct mt_ext_authz, port), .min = 1, .max = 65535, .required = true,
		.help = "port of the service"},
	{"timeout", MT_F_DURATION, AT(struct mt_ext_authz, timeout), .min = 1, .max = 600000,
		.help = "longest time of one check, within the call's own timeout; default: 600s"},
	{"failOpen", MT_F_BOOL, AT(struct mt_ext_authz, fail_open),
		.help = "true: calls pass if the service cannot decide; default: false, they are "
			"denied"},
	{"statusOnError", MT_F_SKIP, .help = "a denied caller gets its protocol's own error"},
	{"clearRouteCache", MT_F_SKIP, .help = "the route does not change"},
	{"pathPrefix", MT_F_SKIP, .help = "for HTTP services"},
	{"includeRequestBodyInCheck", MT_F_CUSTOM, .custom = read_body,
		.help = "bodies are not sent; a policy that uses such a provider fails closed"},
};

static const struct mt_section ext_authz_section = {"envoyExtAuthzGrpc",
	sizeof(struct mt_ext_authz), MT_ARRAY_LEN(ext_authz_fields), .fields = ext_authz_fields,
	.unknown = unknown_told};

static const struct mt_field format_fields[] = {
	{"text", MT_F_TEXT, AT(struct mt_file_log_format, text),
		.help = "a [format](../how-to/access-logs.md#formats) of text lines; default: "
			"Istio's"},
	{"labels", MT_F_CUSTOM, .custom = mt_read_log_labels,
		.help = "members of a JSON line: texts with operators, maps and lists"},
};

static const struct mt_section format_section = {"logFormat", sizeof(struct mt_file_log_format),
	MT_ARRAY_LEN(format_fields), .fields = format_fields, .unknown = unknown_told};

static const struct mt_field file_log_fields[] = {
	{"path", MT_F_TEXT, AT(struct mt_file_log, path),
		.help = "as `accessLogFile`; default: `/dev/stdout`"},
	{"logFormat", MT_F_OBJECT, AT(struct mt_file_log, format), .sub = &format_section,
		.help = "one of `text` and `labels`"},
	{"omitEmptyValues", MT_F_BOOL, AT(struct mt_file_log, omit_empty),
		.help = "true: a value that is not known is an empty text, or its member is left "
			"out; default: `-`, or `null`"},
};

static const struct mt_section file_log_section = {"envoyFileAccessLog", sizeof(struct mt_file_log),
	MT_ARRAY_LEN(file_log_fields), .fields = file_log_fields, .unknown = unknown_told};

#define NET_LOG_FIELDS                                                                             \
	{"service", MT_F_TEXT, AT(struct mt_net_log, service), .required = true, .host = true,     \
		.help = "HOST or NAMESPACE/HOST, as of `envoyExtAuthzGrpc`"},                      \
	{                                                                                          \
		"port", MT_F_NUM, AT(struct mt_net_log, port),                                     \
			.min = 1, .max = 65535, .required = true, .help = "port of the service"    \
	}

#define ALS_FIELDS                                                                                 \
	NET_LOG_FIELDS,                                                                            \
	{                                                                                          \
		"filterStateObjectsToLog", MT_F_LATER, .help = "entries have no filter state"      \
	}

static const struct mt_field http_als_fields[] = {
	ALS_FIELDS,
	{"logName", MT_F_TEXT, AT(struct mt_net_log, log_name),
		.help = "name in the identifier; default: http_envoy_accesslog"},
	{"additionalRequestHeadersToLog", MT_F_LATER, .help = "entries have no metadata of calls"},
	{"additionalResponseHeadersToLog", MT_F_LATER, .help = "entries have no metadata of calls"},
	{"additionalResponseTrailersToLog", MT_F_SKIP, .help = "RPC protocols have no trailers"},
};

static const struct mt_field tcp_als_fields[] = {
	ALS_FIELDS,
	{"logName", MT_F_TEXT, AT(struct mt_net_log, log_name),
		.help = "name in the identifier; default: tcp_envoy_accesslog"},
};

static const struct mt_field otel_format_fields[] = {
	{"text", MT_F_TEXT, AT(struct mt_file_log_format, text),
		.help = "a [format](../how-to/access-logs.md#formats): the body; default: Istio's"},
	{"labels", MT_F_CUSTOM, .custom = mt_read_log_labels,
		.help = "attributes: names, and texts with operators"},
};

static const struct mt_section otel_format_section = {"logFormat",
	sizeof(struct mt_file_log_format), MT_ARRAY_LEN(otel_format_fields),
	.fields = otel_format_fields, .unknown = unknown_told};

static const struct mt_field otel_als_fields[] = {
	NET_LOG_FIELDS,
	{"logName", MT_F_TEXT, AT(struct mt_net_log, log_name),
		.help = "attribute `log_name` of the resource; default: otel_envoy_accesslog"},
	{"logFormat", MT_F_OBJECT, AT(struct mt_net_log, format), .sub = &otel_format_section,
		.help = "body and attributes of a log record"},
};

static const struct mt_section http_als_section = {"envoyHttpAls", sizeof(struct mt_net_log),
	MT_ARRAY_LEN(http_als_fields), .fields = http_als_fields, .unknown = unknown_told};
static const struct mt_section tcp_als_section = {"envoyTcpAls", sizeof(struct mt_net_log),
	MT_ARRAY_LEN(tcp_als_fields), .fields = tcp_als_fields, .unknown = unknown_told};
static const struct mt_section otel_als_section = {"envoyOtelAls", sizeof(struct mt_net_log),
	MT_ARRAY_LEN(otel_als_fields), .fields = otel_als_fields, .unknown = unknown_told};

/* ---- requests of HTTP ------------------------------------------------------------------------ */

#define HEADERS_MAX   16u
#define NAME_MAX_LEN  128u
#define VALUE_MAX_LEN 4096u
#define PATH_MAX_LEN  1024u

/* A name of RFC 9110 §5.1, and not one that decides how the request is read, or that it has. */
static bool is_header_name(const char *s)
{
	static const char *const ours[] = {"host", "content-type", "content-length",
		"transfer-encoding", "connection", "expect", "user-agent", "accept-encoding",
		"content-encoding", "te", "trailer", "upgrade"};

	for (size_t i = 0; i < MT_ARRAY_LEN(ours); i++)
		if (strcasecmp(s, ours[i]) == 0)
			return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("!#$%&'*+-.^_`|~", *s))
			return false;
	return true;
}

static bool is_printable(const char *s, char least)
{
	for (; *s; s++)
		if (*s < least || *s > '~')
			return false;
	return true;
}

static void check_header(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_http_header *h = obj;

	if (h->name.s && (!is_header_name(h->name.s) || strlen(h->name.s) > NAME_MAX_LEN))
		mt_f_error(c, h->name.line, "write another name",
			"this header cannot be set: \"%.64s\"", h->name.s);
	/* The value may be a secret, so the message does not have it. */
	if (h->value.s && (!is_printable(h->value.s, ' ') || strlen(h->value.s) > VALUE_MAX_LEN))
		mt_f_error(c, h->value.line, "write at most 4096 printable ASCII characters",
			"this value of a header cannot be sent");
}

static const struct mt_field header_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_http_header, name), .required = true,
		.help = "name of the header, but none that a request has in any case"},
	{"value", MT_F_TEXT, AT(struct mt_http_header, value), .help = "its value"},
	{"envName", MT_F_LATER,
		.help = "the node has no environment of a proxy: the header has no value"},
};

static const struct mt_section header_section = {"header", sizeof(struct mt_http_header),
	MT_ARRAY_LEN(header_fields), .fields = header_fields, .unknown = unknown_told,
	.after = check_header};

static void check_path(struct mt_fctx *c, const struct mt_text *path)
{
	if (path->s && (*path->s != '/' || !is_printable(path->s, '!') || strchr(path->s, '#') ||
			       strlen(path->s) > PATH_MAX_LEN))
		mt_f_error(c, path->line, "write a path such as /v1/traces",
			"not a path of at most 1024 printable characters that starts with /");
}

static void check_http(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	check_path(c, &((struct mt_http_collector *)obj)->path);
}

static const struct mt_field http_fields[] = {
	{"path", MT_F_TEXT, AT(struct mt_http_collector, path), .required = true,
		.help = "path of the requests, such as /v1/traces; a query is part of it"},
	{"timeout", MT_F_LATER, .help = "a request has 10 s"},
	{"headers", MT_F_LIST, AT_LIST(struct mt_http_collector, headers), .max = HEADERS_MAX,
		.sub = &header_section, .help = "headers of each request"},
};

static const struct mt_section http_section = {"http", sizeof(struct mt_http_collector),
	MT_ARRAY_LEN(http_fields), .fields = http_fields, .unknown = unknown_told,
	.after = check_http};

static const char *const contexts[] = {"USE_B3", "USE_B3_WITH_W3C_PROPAGATION", NULL};

#define TAG_LENGTH                                                                                 \
	{                                                                                          \
		"maxTagLength", MT_F_NUM, AT(struct mt_net_log, longest),                          \
			.max = UINT32_MAX,                                                         \
			.help = "most bytes of a tag's value, at most 4096; 0 and default: 256"    \
	}

static void check_zipkin(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	check_path(c, &((struct mt_net_log *)obj)->web.path);
}

static const struct mt_field zipkin_fields[] = {
	NET_LOG_FIELDS,
	TAG_LENGTH,
	{"enable64bitTraceId", MT_F_BOOL, AT(struct mt_net_log, short_ids),
		.help = "true: new traces have ids of 64 bits; default: of 128"},
	{"path", MT_F_TEXT, AT(struct mt_net_log, web.path),
		.help = "path of the requests; default: /api/v2/spans"},
	{"traceContextOption", MT_F_WORD, AT(struct mt_net_log, context), .words = contexts,
		.help = "context that requests get: X-B3-TraceId and its siblings, or these and "
			"traceparent; default: USE_B3"},
	{"timeout", MT_F_LATER, .help = "a request has 10 s"},
	{"headers", MT_F_LIST, AT(struct mt_net_log, web.headers),
		.count = offsetof(struct mt_net_log, web.n_headers), .max = HEADERS_MAX,
		.sub = &header_section, .help = "headers of each request"},
};

static const struct mt_section zipkin_section = {"zipkin", sizeof(struct mt_net_log),
	MT_ARRAY_LEN(zipkin_fields), .fields = zipkin_fields, .unknown = unknown_told,
	.after = check_zipkin};

static const struct mt_field otel_fields[] = {
	NET_LOG_FIELDS,
	TAG_LENGTH,
	{"http", MT_F_POINTER, AT(struct mt_net_log, http), .sub = &http_section,
		.help = "spans are sent by OTLP over HTTP, in place of gRPC"},
	{"grpc", MT_F_LATER, .help = "a message has 10 s, and no metadata of its own"},
	{"resourceDetectors", MT_F_LATER,
		.help = "the resource has service.name, service.version, service.instance.id and "
			"k8s.cluster.name"},
	{"dynatraceSampler", MT_F_LATER, .help = "calls are drawn by their number alone"},
	{"serviceAttributeEnrichment", MT_F_LATER, .help = "service.name is meltemi"},
};

static const struct mt_section otel_section = {"opentelemetry", sizeof(struct mt_net_log),
	MT_ARRAY_LEN(otel_fields), .fields = otel_fields, .unknown = unknown_told};

#define NO_SPANS "spans are sent to providers with `opentelemetry` and `zipkin` only"

static const struct mt_field provider_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_ext_provider, name), .required = true,
		.help = "the name that AuthorizationPolicies with CUSTOM and `defaultProviders` "
			"refer to"},
	{"envoyExtAuthzGrpc", MT_F_POINTER, AT(struct mt_ext_provider, grpc),
		.sub = &ext_authz_section,
		.help = "an external authorization service, called by gRPC without TLS"},
	{"envoyFileAccessLog", MT_F_POINTER, AT(struct mt_ext_provider, file),
		.sub = &file_log_section,
		.help = "an access log, if `defaultProviders.accessLogging` or a Telemetry names "
			"it"},
	{"envoyHttpAls", MT_F_POINTER, AT(struct mt_ext_provider, http_als),
		.sub = &http_als_section,
		.help = "the same, of calls, sent to an Access Log Service by gRPC"},
	{"envoyTcpAls", MT_F_POINTER, AT(struct mt_ext_provider, tcp_als), .sub = &tcp_als_section,
		.help = "the same, of opaque TCP connections and refused connections"},
	{"envoyOtelAls", MT_F_POINTER, AT(struct mt_ext_provider, otel_als),
		.sub = &otel_als_section,
		.help = "the same, of both, sent to a collector of OpenTelemetry by gRPC"},
	{"opentelemetry", MT_F_POINTER, AT(struct mt_ext_provider, otel), .sub = &otel_section,
		.help = "[spans](../how-to/traces.md) of traced calls, sent to a collector of "
			"OpenTelemetry, if `defaultProviders.tracing` or a Telemetry names "
			"it"},
	{"zipkin", MT_F_POINTER, AT(struct mt_ext_provider, zipkin), .sub = &zipkin_section,
		.help = "the same, sent to a collector of Zipkin, version 2, by HTTP"},
	{"skywalking", MT_F_LATER, .help = NO_SPANS},
	{"lightstep", MT_F_LATER, .help = NO_SPANS},
	{"datadog", MT_F_LATER, .help = NO_SPANS},
	{"opencensus", MT_F_LATER, .help = NO_SPANS},
	{"stackdriver", MT_F_LATER, .help = NO_SPANS},
};

static const struct mt_field default_fields[] = {
	{"accessLogging", MT_F_TEXTS, AT_LIST(struct mt_default_providers, logs),
		.help = "providers of access logs, or `envoy`, which is `/dev/stdout` with "
			"`accessLogFormat`: each gets a line for each call, in place of "
			"`accessLogFile`"},
	{"tracing", MT_F_TEXTS, AT_LIST(struct mt_default_providers, tracing),
		.help = "the first is the provider that spans are sent to"},
	{"metrics", MT_F_SKIP, .help = "metrics are always on"},
};

/* Istio has the first one only, too. */
static void check_defaults(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_default_providers *d = obj;

	if (d->n_tracing > 1)
		mt_f_note(c, d->tracing[1].line, NULL,
			"accepted, not enforced: spans are sent to the first provider of "
			"`tracing` only");
}

static const struct mt_section defaults_section = {"defaultProviders",
	sizeof(struct mt_default_providers), MT_ARRAY_LEN(default_fields), .fields = default_fields,
	.unknown = unknown_told, .after = check_defaults};

/* ---- defaultConfig --------------------------------------------------------------------------- */

static bool proxy_setting_told(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	mt_f_note(c, n->key_line, NULL,
		"accepted, not enforced: settings of proxies are in the Node document");
	return true;
}

static void read_default_sampling(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	(void)mt_read_decimal(c, n, 0, 100, &((struct mt_default_tracing *)obj)->sampling);
}

static void read_default_tags(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	mt_read_custom_tags(c, n, &((struct mt_default_tracing *)obj)->tags);
}

/* Makes the provider with the collector at the address. */
static void make_provider(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_region *r = &c->model->region;
	struct mt_default_zipkin *z = obj;
	struct mt_net_log *net;
	char host[256];
	uint16_t port;

	if (!z->address.s)
		return;
	/* The document is not refused, because sidecars replace variables in the address. */
	if (mt_host_port(z->address.s, host, sizeof(host), &port)) {
		mt_f_warn(c, z->address.line, "write HOST:PORT",
			"calls are not traced by it: \"%.128s\" is not an address", z->address.s);
		return;
	}
	z->provider = mt_region_alloc(r, sizeof(*z->provider));
	net = z->provider ? mt_region_alloc(r, sizeof(*net)) : NULL;
	if (!net)
		return;
	z->provider->origin = net->origin = (struct mt_origin){c->file, z->address.line};
	z->provider->name = (struct mt_text){MT_DEFAULT_TRACING, z->address.line};
	z->provider->zipkin = net;
	net->service = (struct mt_text){mt_host_name(r, host), z->address.line};
	net->port = (struct mt_num){.v = port, .set = true, .line = z->address.line};
}

static const struct mt_field default_zipkin_fields[] = {
	{"address", MT_F_TEXT, AT(struct mt_default_zipkin, address),
		.help = "HOST:PORT of a collector of Zipkin, where spans are sent if neither "
			"`defaultProviders.tracing` nor a Telemetry has `tracing`"},
};

static const struct mt_section default_zipkin_section = {"zipkin", sizeof(struct mt_default_zipkin),
	MT_ARRAY_LEN(default_zipkin_fields), .fields = default_zipkin_fields,
	.unknown = unknown_told, .after = make_provider};

static const struct mt_field default_tracing_fields[] = {
	{"sampling", MT_F_CUSTOM, .custom = read_default_sampling,
		.help = "percent of calls without a trace that get one, unless a Telemetry has "
			"randomSamplingPercentage; 0 and default: 1"},
	{"zipkin", MT_F_OBJECT, AT(struct mt_default_tracing, zipkin),
		.sub = &default_zipkin_section, .help = "a collector"},
	{"customTags", MT_F_CUSTOM, .custom = read_default_tags, .sub = &mt_sec_custom_tag,
		.help = "tags of spans by name, at most 32, unless a Telemetry has `customTags`"},
	{"maxPathTagLength", MT_F_NUM, AT(struct mt_default_tracing, longest), .max = UINT32_MAX,
		.help = "`maxTagLength` of providers that have none; 0 and default: 256"},
	{"tlsSettings", MT_F_LATER, .help = "a DestinationRule has the TLS of the collector"},
	{"enableIstioTags", MT_F_BOOL, AT(struct mt_default_tracing, istio_tags),
		.help = "false: spans have no tags of Istio, unless `defaultProviders.tracing` or "
			"a Telemetry has `tracing`; default: true"},
};

static const struct mt_section default_tracing_section = {"tracing",
	sizeof(struct mt_default_tracing), MT_ARRAY_LEN(default_tracing_fields),
	.fields = default_tracing_fields, .unknown = unknown_told};

static const struct mt_field default_config_fields[] = {
	{"tracing", MT_F_POINTER, AT(struct mt_default_config, tracing),
		.sub = &default_tracing_section, .help = "[traces](../how-to/traces.md) of calls"},
};

static const struct mt_section default_config_section = {"defaultConfig",
	sizeof(struct mt_default_config), MT_ARRAY_LEN(default_config_fields),
	.fields = default_config_fields, .unknown = proxy_setting_told};

static const char *const encodings[] = {"TEXT", "JSON", NULL};

/* Ignores providers of metrics and of future types, because nothing here uses them. */
static bool passed_over(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	return true;
}

/* The collector of defaultConfig has this name, and would share the output of its spans. */
static void check_provider(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_text *name = &((struct mt_ext_provider *)obj)->name;

	if (name->s && strcmp(name->s, MT_DEFAULT_TRACING) == 0)
		mt_f_error(c, name->line, "write another name",
			"%s is the name of the collector of `tracing` of `defaultConfig`", name->s);
}

static const struct mt_section provider_section = {"extension provider",
	sizeof(struct mt_ext_provider), MT_ARRAY_LEN(provider_fields), .fields = provider_fields,
	.unknown = passed_over, .after = check_provider};

static const struct mt_field config_fields[] = {
	{"rootNamespace", MT_F_TEXT, AT(struct mt_mesh_config, root_ns),
		.help = "policies of this namespace apply to all; the Node's setting is used "
			"first"},
	{"trustDomain", MT_F_TEXT, AT(struct mt_mesh_config, trust_domain),
		.help = "the mesh's trust domain; the Node's setting is used first"},
	{"trustDomainAliases", MT_F_TEXTS, AT_LIST(struct mt_mesh_config, aliases),
		.help = "in policies, principals of these domains count as the trust domain's"},
	{"enableAutoMtls", MT_F_BOOL, AT(struct mt_mesh_config, auto_mtls),
		.help = "false: endpoints with a proxy of their own are called in plaintext unless "
			"a DestinationRule has `tls`; default: true"},
	{"defaultServiceExportTo", MT_F_TEXTS, AT_LIST(struct mt_mesh_config, service_export),
		.help = "default `exportTo` of services"},
	{"defaultVirtualServiceExportTo", MT_F_TEXTS, AT_LIST(struct mt_mesh_config, route_export),
		.help = "default `exportTo` of VirtualServices"},
	{"defaultDestinationRuleExportTo", MT_F_TEXTS, AT_LIST(struct mt_mesh_config, rule_export),
		.help = "default `exportTo` of DestinationRules"},
	{"defaultConfig", MT_F_POINTER, AT(struct mt_mesh_config, proxies),
		.sub = &default_config_section,
		.help = "its `tracing` counts; other settings of proxies are in the Node document"},
	{"extensionProviders", MT_F_LIST, AT_LIST(struct mt_mesh_config, providers),
		.sub = &provider_section,
		.help = "providers of CUSTOM policies: envoyExtAuthzGrpc is called, other "
			"authorization fails closed; and of access logs: envoyFileAccessLog, "
			"envoyHttpAls, envoyTcpAls, envoyOtelAls; and of spans: opentelemetry, "
			"zipkin; "
			"other providers are ignored"},
	{"outboundTrafficPolicy", MT_F_LATER,
		.help = "the Node's routes decide about traffic to other addresses"},
	{"localityLbSetting", MT_F_POINTER, AT(struct mt_mesh_config, locality),
		.sub = &mt_sec_locality,
		.help = "of clusters without one in their DestinationRule; default: `enabled: "
			"true`"},
	{"defaultHttpRetryPolicy", MT_F_POINTER, AT(struct mt_mesh_config, retries),
		.sub = &mt_sec_retries,
		.help = "`retries` of routes that have none, of all protocols; default: only calls "
			"that no endpoint has read are sent again"},
	{"accessLogFile", MT_F_TEXT, AT(struct mt_mesh_config, access_log),
		.help = "a line for each call goes to this file in a directory of the Node's "
			"`accessLog.directories`, or to `/dev/stdout` or `/dev/stderr`; "
			"`\"\"` (default): to no file"},
	{"accessLogFormat", MT_F_TEXT, AT(struct mt_mesh_config, access_log_format),
		.help = "[format](../how-to/access-logs.md#formats) of the lines of "
			"`accessLogFile`: text, or a JSON object by `accessLogEncoding`; default: "
			"Istio's"},
	{"accessLogEncoding", MT_F_WORD, AT(struct mt_mesh_config, access_log_json),
		.words = encodings, .help = "default: TEXT"},
	{"defaultProviders", MT_F_POINTER, AT(struct mt_mesh_config, defaults),
		.sub = &defaults_section,
		.help = "providers that are used unless a Telemetry names others"},
	{"enableTracing", MT_F_BOOL, AT(struct mt_mesh_config, traces),
		.help = "false: `defaultConfig.tracing.zipkin` gets no spans; default: true"},
	{"enablePrometheusMerge", MT_F_SKIP, .help = "for sidecars"},
	{"protocolDetectionTimeout", MT_F_DURATION, AT(struct mt_mesh_config, detect_timeout),
		.max = 60000,
		.help = "at addresses where plaintext is accepted: a client that sends nothing for "
			"this time counts as plaintext, so that a server may speak first; 0s: "
			"never; default: 1s"},
	{"dnsRefreshRate", MT_F_SKIP, .help = "names are resolved again as their records expire"},
	{"discoverySelectors", MT_F_SKIP, .help = "for a control plane"},
	{"ingressClass", MT_F_SKIP, .help = "for a control plane"},
	{"ingressService", MT_F_SKIP, .help = "for a control plane"},
	{"ingressSelector", MT_F_SKIP, .help = "for a control plane"},
	{"ingressControllerMode", MT_F_SKIP, .help = "for a control plane"},
	{"tcpKeepalive", MT_F_SKIP, .help = "Meltemi's own keep-alive is used"},
	{"connectTimeout", MT_F_DURATION, AT(struct mt_mesh_config, connect_timeout), .min = 1,
		.max = 600000,
		.help = "of clusters without one in their DestinationRule; default: 1s"},
	{"pathNormalization", MT_F_SKIP, .help = "HTTP only"},
	{"caCertificates", MT_F_LATER, .help = "the Node's sources name trusted authorities"},
	{"meshMTLS", MT_F_SKIP, .help = "TLS 1.2 is the lowest version"},
	{"tlsDefaults", MT_F_SKIP, .help = "TLS 1.2 is the lowest version"},
};

const struct mt_section mt_sec_mesh_config = {"MeshConfig", sizeof(struct mt_mesh_config),
	MT_ARRAY_LEN(config_fields), .fields = config_fields, .unknown = unknown_told};

struct inner {
	struct mt_fctx *c;
	void *obj;
};

static void read_inner(void *arg, const struct mt_ynode *root)
{
	struct inner *in = arg;

	mt_section_read(in->c, &mt_sec_mesh_config, root, in->obj);
}

/* Parses the text of the key; line numbers in messages are those of the ConfigMap's file. */
static void read_text(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_meta about = {.origin = {c->file, n->line}, .serial = c->serial};
	struct inner in = {c, obj};
	uint32_t mark;

	if (!mt_want_scalar(c, n, "a text"))
		return;
	mark = mt_path_push(c, "mesh");
	(void)mt_yaml_piece(&c->model->region, c->diags, &about, n->line + !n->plain, n->text,
		strlen(n->text), read_inner, &in);
	mt_path_pop(c, mark);
}

static void read_data(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_ynode *mesh = mt_yaml_get(n, "mesh");

	if (mesh && !mt_yaml_is_null(mesh))
		read_text(c, mesh, obj);
}

static const struct mt_field map_fields[] = {
	MT_DOCUMENT_FIELDS,
	{"data", MT_F_CUSTOM, .custom = read_data,
		.help = "`mesh`: a [MeshConfig](#meshconfig), in the root namespace; other "
			"ConfigMaps are ignored"},
	{"binaryData", MT_F_SKIP, .help = "`data` is read"},
	{"immutable", MT_F_SKIP, .help = "for an API server"},
};

const struct mt_section mt_sec_config_map = {"ConfigMap", sizeof(struct mt_mesh_config),
	MT_ARRAY_LEN(map_fields), .fields = map_fields, .unknown = mt_unknown_told};

/* istiod looks for the same name and key. */
bool mt_is_mesh_config(const struct mt_ynode *root)
{
	const struct mt_ynode *name = mt_yaml_get(mt_yaml_get(root, "metadata"), "name");

	return name && name->type == MT_Y_SCALAR && strcmp(name->text, "istio") == 0 &&
	       mt_yaml_get(mt_yaml_get(root, "data"), "mesh");
}
