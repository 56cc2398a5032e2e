/* SPDX-License-Identifier: Apache-2.0 */
/* MeshConfig: a file, or the key `mesh` of a ConfigMap, which is a YAML text of its own. */
#include "mt_fields.h"

#include <stdio.h>
#include <string.h>

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
		.help = "of services that do not say whom they are visible to"},
	{"defaultVirtualServiceExportTo", MT_F_TEXTS, AT_LIST(struct mt_mesh_config, route_export),
		.help = "of VirtualServices that do not say it"},
	{"defaultDestinationRuleExportTo", MT_F_TEXTS, AT_LIST(struct mt_mesh_config, rule_export),
		.help = "of DestinationRules that do not say it"},
	{"defaultConfig", MT_F_LATER,
		.help = "of proxies: the Node document holds such settings, and names its sources"},
	{"extensionProviders", MT_F_SKIP, .help = "who asks for one says what becomes of it"},
	{"outboundTrafficPolicy", MT_F_LATER,
		.help = "what is no service's is forwarded or not "
			"by the Node's routes"},
	{"localityLbSetting", MT_F_POINTER, AT(struct mt_mesh_config, locality),
		.sub = &mt_sec_locality,
		.help = "of clusters whose DestinationRule says none; default: `enabled: true`"},
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
		.max = 600000, .help = "of clusters whose DestinationRule says none; default: 1s"},
	{"pathNormalization", .type = MT_F_SKIP},
	{"caCertificates", MT_F_LATER, .help = "the Node's sources name who signs"},
	{"meshMTLS", MT_F_SKIP, .help = "TLS 1.2 is the least that is spoken"},
	{"tlsDefaults", MT_F_SKIP, .help = "TLS 1.2 is the least that is spoken"},
};

/* Settings of proxies and of Istio itself are many, and new ones come. */
static bool unknown(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	mt_f_warn(c, n->key_line, NULL, "accepted, not enforced: it is not read");
	return true;
}

const struct mt_section mt_sec_mesh_config = {"MeshConfig", sizeof(struct mt_mesh_config),
	MT_ARRAY_LEN(config_fields), .fields = config_fields, .unknown = unknown};

struct inner {
	struct mt_fctx *c;
	void *obj;
};

static void read_inner(void *arg, const struct mt_ynode *root)
{
	struct inner *in = arg;

	mt_section_read(in->c, &mt_sec_mesh_config, root, in->obj);
}

/* Its lines count from the line of its key. */
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
			"foreign"},
	{"binaryData", .type = MT_F_SKIP},
	{"immutable", .type = MT_F_SKIP},
};

const struct mt_section mt_sec_config_map = {"ConfigMap", sizeof(struct mt_mesh_config),
	MT_ARRAY_LEN(map_fields), .fields = map_fields, .unknown = mt_unknown_told};

/* As istiod looks for it. */
bool mt_is_mesh_config(const struct mt_ynode *root)
{
	const struct mt_ynode *name = mt_yaml_get(mt_yaml_get(root, "metadata"), "name");

	return name && name->type == MT_Y_SCALAR && strcmp(name->text, "istio") == 0 &&
	       mt_yaml_get(mt_yaml_get(root, "data"), "mesh");
}
