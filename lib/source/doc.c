/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_fields.h"

#include <stdio.h>
#include <string.h>

struct doc_meta {
	struct mt_origin origin;
	struct mt_text name, ns;
	struct mt_labels labels, annotations;
};

static const struct mt_field metadata_fields[] = {
	{"name", MT_F_TEXT, AT(struct doc_meta, name), .required = true,
		.help = "names the document within its kind and namespace"},
	{"namespace", MT_F_TEXT, AT(struct doc_meta, ns), .help = "default: \"default\""},
	{"labels", MT_F_LABELS, AT(struct doc_meta, labels),
		.help = "a WorkloadEntry is selected by its own labels"},
	{"annotations", MT_F_LABELS, AT(struct doc_meta, annotations),
		.help = "`interface`: the service key of a ServiceEntry on a shared port"},
	/* What an API server adds when documents are exported from it. */
	{"uid", .type = MT_F_SKIP},
	{"resourceVersion", .type = MT_F_SKIP},
	{"generation", .type = MT_F_SKIP},
	{"creationTimestamp", .type = MT_F_SKIP},
	{"managedFields", .type = MT_F_SKIP},
	{"ownerReferences", .type = MT_F_SKIP},
	{"finalizers", .type = MT_F_SKIP},
	{"selfLink", .type = MT_F_SKIP},
};

const struct mt_section mt_sec_metadata = {"document's metadata", sizeof(struct doc_meta),
	MT_ARRAY_LEN(metadata_fields), .fields = metadata_fields};

static const char *const istio_versions[] = {"v1", "v1beta1", "v1alpha3", NULL};
static const char *const security_versions[] = {"v1", "v1beta1", NULL};
static const char *const alpha_versions[] = {"v1alpha1", NULL};
static const char *const node_versions[] = {"v1", NULL};

#define LIST(member) offsetof(struct mt_model, member)

const struct mt_kind mt_kinds[] = {
	{"Node", "meltemi.io", node_versions, &mt_sec_node, sizeof(struct mt_node), .list = 0,
		.note = "The node's own settings; one document."},
	{"ServiceEntry", "networking.istio.io", istio_versions, &mt_sec_service_entry,
		sizeof(struct mt_service_entry), .list = LIST(service_entries),
		.note = "A service: names, addresses, ports and instances."},
	{"WorkloadEntry", "networking.istio.io", istio_versions, &mt_sec_workload,
		sizeof(struct mt_workload_entry), offsetof(struct mt_workload_entry, w),
		LIST(workload_entries),
		"One instance, chosen by a ServiceEntry's workloadSelector."},
	{"DestinationRule", "networking.istio.io", istio_versions, &mt_sec_destination_rule,
		sizeof(struct mt_destination_rule), .list = LIST(destination_rules),
		.note = "Subsets of a service and how calls are spread over instances."},
	{"VirtualService", "networking.istio.io", istio_versions, &mt_sec_virtual_service,
		sizeof(struct mt_virtual_service), .list = LIST(virtual_services),
		.note = "Routes of a service. Besides `http` and `tcp`, a list may be named after "
			"a "
			"protocol (`dubbo`, `thrift`, `awesomeRPC`); it comes before `http`."},
	{"Gateway", "networking.istio.io", istio_versions, &mt_sec_gateway,
		sizeof(struct mt_gateway), .list = LIST(gateways),
		.note = "Ports that the node answers on any of its addresses, for the routes that "
			"name "
			"the gateway."},
	{"EnvoyFilter", "networking.istio.io", istio_versions, &mt_sec_envoy_filter,
		sizeof(struct mt_envoy_filter), .list = LIST(envoy_filters),
		.note = "Only NETWORK_FILTER / REPLACE patches whose value is a MetaProtocolProxy; "
			"others are refused by name."},
	{"MetaRouter", "metaprotocol.aeraki.io", alpha_versions, &mt_sec_meta_router,
		sizeof(struct mt_meta_router), .list = LIST(meta_routers),
		.note = "Routes, mutations and limits of a MetaProtocol service; wins over a "
			"VirtualService of the same host."},
	{"ApplicationProtocol", "metaprotocol.aeraki.io", alpha_versions, &mt_sec_app_protocol,
		sizeof(struct mt_app_protocol), .list = LIST(app_protocols),
		.note = "Names the codec of a protocol. Built-in protocols need none."},
	{"Sidecar", "networking.istio.io", istio_versions,
		.note = "every service of the configuration is served"},
	{"WorkloadGroup", "networking.istio.io", istio_versions,
		.note = "instances are WorkloadEntry documents"},
	{"ProxyConfig", "networking.istio.io", istio_versions,
		.note = "the Node document holds such settings"},
	{"AuthorizationPolicy", "security.istio.io", security_versions,
		.note = "nobody is refused by it"},
	{"PeerAuthentication", "security.istio.io", security_versions,
		.note = "connections are not encrypted by it"},
	{"RequestAuthentication", "security.istio.io", security_versions,
		.note = "no token is checked"},
	{"Telemetry", "telemetry.istio.io", (const char *const[]){"v1", "v1alpha1", NULL},
		.note = "metrics are always on"},
	{"DubboAuthorizationPolicy", "dubbo.aeraki.io", alpha_versions,
		.note = "nobody is refused by it"},
	{"RedisService", "redis.aeraki.io", alpha_versions, .note = "Redis is passed on as bytes"},
	{"RedisDestination", "redis.aeraki.io", alpha_versions,
		.note = "Redis is passed on as bytes"},
	{"AmeshPluginConfig", "apisix.apache.org", alpha_versions,
		.note = "no plugin is run by it"},
	{0},
};

static void remedy_kind(const char *word, char *remedy, size_t size)
{
	struct mt_suggest near = {.word = word};

	for (const struct mt_kind *k = mt_kinds; k->kind; k++)
		mt_suggest_offer(&near, k->kind);
	if (near.best)
		snprintf(remedy, size, "did you mean %s?", near.best);
	else
		snprintf(remedy, size, "docs/reference/configuration.md lists the kinds");
}

static const struct mt_kind *find_kind(struct mt_fctx *c, const struct mt_ynode *root)
{
	const struct mt_ynode *n = mt_yaml_get(root, "kind");
	char remedy[128];

	if (!n || mt_yaml_is_null(n)) {
		mt_f_error(c, root->line, "each document says its apiVersion and kind",
			"the document has no kind");
		return NULL;
	}
	mt_path_push(c, "kind");
	if (!mt_want_scalar(c, n, "a word"))
		return NULL;
	for (const struct mt_kind *k = mt_kinds; k->kind; k++)
		if (strcmp(k->kind, n->text) == 0) {
			mt_path_pop(c, 0);
			return k;
		}
	remedy_kind(n->text, remedy, sizeof(remedy));
	mt_f_error(c, n->line, remedy, "unknown kind \"%.64s\"", n->text);
	return NULL;
}

/* Only versions whose fields are the ones of the tables. */
static bool check_version(struct mt_fctx *c, const struct mt_kind *k, const struct mt_ynode *root)
{
	const struct mt_ynode *n = mt_yaml_get(root, "apiVersion");
	size_t len = strlen(k->group);
	char remedy[128];

	snprintf(remedy, sizeof(remedy), "write apiVersion: %s/%s", k->group, k->versions[0]);
	mt_path_push(c, "apiVersion");
	if (!n || mt_yaml_is_null(n)) {
		mt_f_error(c, root->line, remedy, "the document has no apiVersion");
		return false;
	}
	if (!mt_want_scalar(c, n, "a word"))
		return false;
	if (strncmp(n->text, k->group, len) == 0 && n->text[len] == '/')
		for (const char *const *v = k->versions; *v; v++)
			if (strcmp(*v, n->text + len + 1) == 0) {
				mt_path_pop(c, 0);
				return true;
			}
	mt_f_error(c, n->line, remedy, "\"%.64s\" is not an API version of %s", n->text, k->kind);
	return false;
}

/* Read by hand below; the table is there for the mistyped ones. */
static const struct mt_field document_fields[] = {
	{"apiVersion", .type = MT_F_SKIP},
	{"kind", .type = MT_F_SKIP},
	{"metadata", .type = MT_F_SKIP},
	{"spec", .type = MT_F_SKIP},
	{"status", .type = MT_F_SKIP},
};

static const struct mt_section document_section = {"document", sizeof(struct mt_origin),
	MT_ARRAY_LEN(document_fields), .fields = document_fields};

static void read_meta(struct mt_fctx *c, const struct mt_ynode *root, struct mt_meta *meta,
	const struct mt_kind *k)
{
	/* Never used again, so that what was compiled from a document can be known by it. */
	static uint64_t serial;
	const struct mt_ynode *n = mt_yaml_get(root, "metadata");
	struct doc_meta m = {0};

	*meta = (struct mt_meta){.origin = {c->file, root->line},
		.serial = ++serial,
		.kind = k->kind,
		.ns = "default"};
	if (!n || mt_yaml_is_null(n)) {
		mt_f_error(
			c, root->line, "add metadata: {name: ...}", "the document has no metadata");
		return;
	}
	mt_path_push(c, "metadata");
	mt_section_read(c, &mt_sec_metadata, n, &m);
	mt_path_pop(c, 0);
	meta->name = m.name.s;
	if (m.ns.s)
		meta->ns = m.ns.s;
	meta->labels = m.labels;
	meta->annotations = m.annotations;
}

static void store(struct mt_fctx *c, const struct mt_kind *k, void *obj)
{
	struct mt_model *m = c->model;
	const struct mt_meta *meta = obj;

	if (k->list) {
		mt_model_add(m, (struct mt_objs *)((uint8_t *)m + k->list), obj);
	} else if (m->node) {
		mt_f_error(c, meta->origin.line, "keep one of them",
			"a second Node; the first is %s:%u", m->node->meta.origin.file,
			m->node->meta.origin.line);
	} else {
		m->node = obj;
	}
}

/* A document goes into the model whole or not at all. */
static void read_spec(struct mt_fctx *c, const struct mt_kind *k, const struct mt_ynode *root)
{
	const struct mt_ynode *spec = mt_yaml_get(root, "spec");
	uint32_t errors = c->diags->errors;
	uint8_t *obj = mt_region_alloc(&c->model->region, k->size);
	struct mt_meta meta;

	if (!obj)
		return;
	read_meta(c, root, &meta, k);
	if (!spec || mt_yaml_is_null(spec)) {
		mt_f_error(c, root->line, "add spec:", "the document has no spec");
		return;
	}
	mt_path_push(c, "spec");
	mt_section_read(c, k->spec, spec, obj + k->spec_at);
	mt_path_pop(c, 0);
	/* Last, because a spec that begins where the object begins has put its own line there. */
	*(struct mt_meta *)obj = meta;
	if (c->diags->errors == errors)
		store(c, k, obj);
}

void mt_document_read(void *arg, const struct mt_ynode *root)
{
	struct mt_fctx *c = arg;
	struct mt_origin ignored = {0};
	const struct mt_kind *k;
	uint32_t errors = c->diags->errors;

	c->documents++;
	mt_path_pop(c, 0);
	mt_section_read(c, &document_section, root, &ignored);
	if (root->type != MT_Y_MAP || c->diags->errors != errors)
		return;
	k = find_kind(c, root);
	if (!k || !check_version(c, k, root)) {
		mt_path_pop(c, 0);
		return;
	}
	if (k->spec)
		read_spec(c, k, root);
	else
		mt_f_warn(
			c, root->line, NULL, "%s is accepted, not enforced: %s", k->kind, k->note);
}
