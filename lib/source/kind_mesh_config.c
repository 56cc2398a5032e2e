/* SPDX-License-Identifier: Apache-2.0 */
/* MeshConfig: a file, or the key `mesh` of a ConfigMap, whose value is a YAML text. */
#include "mt_fields.h"

#include <stdio.h>
#include <string.h>

/* Only warns, because MeshConfig has many settings of proxies and of Istio, and gets new ones. */
static bool unknown_told(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	mt_f_warn(c, n->key_line, NULL, "accepted, not enforced: it is not read");
	return true;
}

static void read_body(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	((struct mt_ext_authz *)obj)->wants_body = !mt_yaml_is_null(n);
}

static const struct mt_field ext_authz_fields[] = {
	{"service", MT_F_TEXT, AT(struct mt_ext_authz, service), .required = true, .host = true,
		.help = "HOST or NAMESPACE/HOST: the addresses of its endpoints, else those in "
			"DNS"},
	{"port", MT_F_NUM, AT(struct mt_ext_authz, port), .min = 1, .max = 65535, .required = true,
		.help = "of the service"},
	{"timeout", MT_F_DURATION, AT(struct mt_ext_authz, timeout), .min = 1, .max = 600000,
		.help = "for one call, within the call's own; default: 600s"},
	{"failOpen", MT_F_BOOL, AT(struct mt_ext_authz, fail_open),
		.help = "calls without its decision pass; default: false, they are denied"},
	{"statusOnError", MT_F_SKIP, .help = "denied callers get the protocol's own error"},
	{"clearRouteCache", MT_F_SKIP, .help = "the route stays"},
	{"pathPrefix", .type = MT_F_SKIP},
	{"includeRequestBodyInCheck", MT_F_CUSTOM, .custom = read_body,
		.help = "bodies are not shown: what its policies fit is closed"},
};

static const struct mt_section ext_authz_section = {"envoyExtAuthzGrpc",
	sizeof(struct mt_ext_authz), MT_ARRAY_LEN(ext_authz_fields), .fields = ext_authz_fields,
	.unknown = unknown_told};

static const struct mt_field provider_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_ext_provider, name), .required = true,
		.help = "the provider name in AuthorizationPolicies of CUSTOM"},
	{"envoyExtAuthzGrpc", MT_F_POINTER, AT(struct mt_ext_provider, grpc),
		.sub = &ext_authz_section,
		.help = "an external authorization service, queried by gRPC in plaintext"},
};

/* Ignores providers of tracing, logs, metrics and future types, because nothing here uses them. */
static bool passed_over(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	return true;
}

static const struct mt_section provider_section = {"extension provider",
	sizeof(struct mt_ext_provider), MT_ARRAY_LEN(provider_fields), .fields = provider_fields,
	.unknown = passed_over};

static const struct mt_field config_fields[] = {
	{"rootNamespace", MT_F_TEXT, AT(struct mt_mesh_config, root_ns),
		.help = "policies there are for all namespaces; the Node's comes first"},
	{"trustDomain", MT_F_TEXT, AT(struct mt_mesh_config, trust_domain),
		.help = "the Node's comes first"},
	{"trustDomainAliases", MT_F_TEXTS, AT_LIST(struct mt_mesh_config, aliases),
		.help = "principals of these are the trust domain's own in policies"},
	{"enableAutoMtls", MT_F_BOOL, AT(struct mt_mesh_config, auto_mtls), .status = MT_S_KEPT,
		.help = "default: true"},
	{"defaultServiceExportTo", MT_F_TEXTS, AT_LIST(struct mt_mesh_config, service_export),
		.help = "for services without `exportTo`"},
	{"defaultVirtualServiceExportTo", MT_F_TEXTS, AT_LIST(struct mt_mesh_config, route_export),
		.help = "for VirtualServices without it"},
	{"defaultDestinationRuleExportTo", MT_F_TEXTS, AT_LIST(struct mt_mesh_config, rule_export),
		.help = "for DestinationRules without it"},
	{"defaultConfig", MT_F_LATER,
		.help = "of proxies: the Node document holds such settings, and names its sources"},
	{"extensionProviders", MT_F_LIST, AT_LIST(struct mt_mesh_config, providers),
		.sub = &provider_section,
		.help = "for policies of CUSTOM: envoyExtAuthzGrpc is queried, others close; those "
			"of tracing and logs are skipped"},
	{"outboundTrafficPolicy", MT_F_LATER,
		.help = "the Node's routes decide about addresses of no service"},
	{"localityLbSetting", MT_F_POINTER, AT(struct mt_mesh_config, locality),
		.sub = &mt_sec_locality,
		.help = "for clusters with none in their DestinationRule; default: `enabled: "
			"true`"},
	{"defaultHttpRetryPolicy", MT_F_SKIP, .help = "calls are not retried"},
	{"accessLogFile", MT_F_SKIP, .help = "no access log is written"},
	{"accessLogFormat", .type = MT_F_SKIP},
	{"accessLogEncoding", .type = MT_F_SKIP},
	{"defaultProviders", .type = MT_F_SKIP},
	{"enableTracing", .type = MT_F_SKIP},
	{"enablePrometheusMerge", .type = MT_F_SKIP},
	{"protocolDetectionTimeout", MT_F_SKIP, .help = "no protocol is detected"},
	{"dnsRefreshRate", .type = MT_F_SKIP},
	{"discoverySelectors", .type = MT_F_SKIP},
	{"ingressClass", .type = MT_F_SKIP},
	{"ingressService", .type = MT_F_SKIP},
	{"ingressSelector", .type = MT_F_SKIP},
	{"ingressControllerMode", .type = MT_F_SKIP},
	{"tcpKeepalive", MT_F_SKIP, .help = "Meltemi's own keep-alive is used"},
	{"connectTimeout", MT_F_DURATION, AT(struct mt_mesh_config, connect_timeout), .min = 1,
		.max = 600000,
		.help = "for clusters with none in their DestinationRule; default: 1s"},
	{"pathNormalization", .type = MT_F_SKIP},
	{"caCertificates", MT_F_LATER, .help = "the Node's sources name the authorities"},
	{"meshMTLS", MT_F_SKIP, .help = "TLS 1.2 is the least that is spoken"},
	{"tlsDefaults", MT_F_SKIP, .help = "TLS 1.2 is the least that is spoken"},
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
	{"apiVersion", .type = MT_F_SKIP},
	{"kind", .type = MT_F_SKIP},
	{"metadata", .type = MT_F_SKIP},
	{"data", MT_F_CUSTOM, .custom = read_data,
		.help = "`mesh`: the MeshConfig, in the root namespace; other ConfigMaps are "
			"ignored"},
	{"binaryData", .type = MT_F_SKIP},
	{"immutable", .type = MT_F_SKIP},
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
