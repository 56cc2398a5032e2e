/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Service, EndpointSlice, Endpoints, Namespace and Secret. An API server has validated most of
 * these objects, and a later version may have fields that are unknown here. An unknown field causes
 * a warning and no error.
 */
#include "mt_fields.h"

#include <string.h>

/* Fields of every document, which other code reads. */
bool mt_unknown_told(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	mt_f_note(c, n->key_line, NULL, "an unknown field, without effect");
	return true;
}

/* ---- Service --------------------------------------------------------------------------------- */

static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName", NULL};

static const struct mt_field port_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_kube_port, name),
		.help = "`PROTOCOL`, `PROTOCOL-ANYTHING` or `tcp-metaprotocol-PROTOCOL`"},
	{"protocol", MT_F_TEXT, AT(struct mt_kube_port, protocol),
		.help = "`TCP`, or `UDP` to be [forwarded](../how-to/layer-4.md); ports with "
			"others are not served"},
	{"appProtocol", MT_F_TEXT, AT(struct mt_kube_port, app_protocol),
		.help = "the port's protocol, before that in the name"},
	{"port", MT_F_NUM, AT(struct mt_kube_port, number), .min = 1, .max = 65535,
		.required = true, .help = "the port that clients connect to"},
	{"targetPort", MT_F_TEXT, AT(struct mt_kube_port, target),
		.help = "port of WorkloadEntries that the selector matches; endpoints have their "
			"own"},
	{"nodePort", MT_F_SKIP, .help = "answered by nodes of Kubernetes"},
};

static const struct mt_section port_section = {"service port", sizeof(struct mt_kube_port),
	MT_ARRAY_LEN(port_fields), .fields = port_fields, .unknown = mt_unknown_told};

/* Warns about session affinity by the client's address; `None` means no affinity. */
static void read_affinity(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	if (!mt_is_empty(n) && (n->type != MT_Y_SCALAR || strcmp(n->text, "None") != 0))
		mt_f_warn(c, n->key_line,
			"write consistentHash: {useSourceIp: true} in a DestinationRule",
			"accepted, not enforced: calls are spread by the balancer");
}

static void read_traffic_policy(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	if (!mt_is_empty(n) && (n->type != MT_Y_SCALAR || strcmp(n->text, "Cluster") != 0))
		mt_f_note(c, n->key_line, NULL,
			"accepted, not enforced: endpoints of all nodes are used");
}

static const struct mt_field service_fields[] = {
	{"type", MT_F_WORD, AT(struct mt_kube_service, type), .words = types, .blank = true,
		.help = "`ExternalName` is an alias and not served; others are served at their "
			"cluster addresses"},
	{"clusterIP", MT_F_TEXT, AT(struct mt_kube_service, cluster_ip),
		.help = "address for clients; `None` or not written: one is allocated"},
	{"clusterIPs", MT_F_TEXTS, AT_LIST(struct mt_kube_service, cluster_ips),
		.help = "addresses of both families"},
	{"ports", MT_F_LIST, AT_LIST(struct mt_kube_service, ports), .sub = &port_section,
		.max = MT_LIST_LONG, .help = "the service's ports"},
	{"selector", MT_F_LABELS, AT(struct mt_kube_service, selector), .length = MT_LABEL_TEXT,
		.help = "selects WorkloadEntries; Pods are endpoints by EndpointSlices"},
	{"externalName", MT_F_TEXT, AT(struct mt_kube_service, external_name), .status = MT_S_KEPT,
		.help = "a name that clients resolve instead"},
	{"publishNotReadyAddresses", MT_F_BOOL, AT(struct mt_kube_service, publish_not_ready),
		.help = "true: endpoints that are not ready get calls as well"},
	{"sessionAffinity", MT_F_CUSTOM, .custom = read_affinity, .status = MT_S_WARNS,
		.harms = true, .help = "other than `None`: the balancer spreads calls"},
	{"sessionAffinityConfig", MT_F_SKIP, .help = "time of an affinity, which is not enforced"},
	{"internalTrafficPolicy", MT_F_CUSTOM, .custom = read_traffic_policy, .status = MT_S_WARNS,
		.help = "other than `Cluster`: endpoints of all nodes get calls"},
	{"externalTrafficPolicy", MT_F_SKIP, .help = "for nodes of Kubernetes"},
	{"trafficDistribution", MT_F_LATER, .help = "endpoints of all zones are used"},
	{"externalIPs", MT_F_LATER, .harms = true, .help = "only cluster addresses are answered"},
	{"loadBalancerIP", MT_F_SKIP, .help = "for a load balancer"},
	{"loadBalancerSourceRanges", MT_F_SKIP, .help = "for a load balancer"},
	{"loadBalancerClass", MT_F_SKIP, .help = "for a load balancer"},
	{"allocateLoadBalancerNodePorts", MT_F_SKIP, .help = "for a load balancer"},
	{"healthCheckNodePort", MT_F_SKIP, .help = "for a load balancer"},
	{"ipFamilies", MT_F_SKIP, .help = "the addresses have their families"},
	{"ipFamilyPolicy", MT_F_SKIP, .help = "the addresses have their families"},
};

static const struct mt_section service_section = {"Service", sizeof(struct mt_kube_service),
	MT_ARRAY_LEN(service_fields), .fields = service_fields, .unknown = mt_unknown_told};

/* Reads the exportTo of a Service from its annotation, like "a,b". */
static void read_exports(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_ynode *a = mt_yaml_get(mt_yaml_get(n, "metadata"), "annotations");
	const struct mt_ynode *to = mt_yaml_get(a, "networking.istio.io/exportTo");
	struct mt_exports *e = &((struct mt_kube_service *)obj)->export_to;

	for (const char *p = to && to->type == MT_Y_SCALAR ? to->text : ""; *p;) {
		size_t blank = strspn(p, ", "), len = strcspn(p + blank, ", ");
		struct mt_text *slot = len ? mt_region_push(&c->model->region, (void **)&e->v,
						     &e->n, sizeof(*slot))
					   : NULL;

		if (slot)
			*slot = (struct mt_text){
				mt_region_strndup(&c->model->region, p + blank, len), to->line};
		p += blank + len;
	}
}

static const struct mt_field service_object[] = {
	MT_DOCUMENT_FIELDS,
	{"spec", MT_F_OBJECT, .sub = &service_section, .required = true,
		.help = "the object's settings"},
	{"status", MT_F_SKIP, .help = "set by a load balancer"},
};

const struct mt_section mt_sec_kube_service = {"Service", sizeof(struct mt_kube_service),
	MT_ARRAY_LEN(service_object), .fields = service_object, .unknown = mt_unknown_told,
	.after = read_exports};

/* ---- EndpointSlice --------------------------------------------------------------------------- */

static const struct mt_field slice_port_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_kube_port, name),
		.help = "name of the service's port; empty: its only port, without a name"},
	{"port", MT_F_NUM, AT(struct mt_kube_port, number), .min = 1, .max = 65535,
		.help = "port of the endpoints"},
	{"protocol", MT_F_TEXT, AT(struct mt_kube_port, protocol), .status = MT_S_KEPT,
		.help = "the Service's is used"},
	{"appProtocol", MT_F_SKIP, .help = "the Service's is used"},
};

static const struct mt_section slice_port_section = {"endpoint port", sizeof(struct mt_kube_port),
	MT_ARRAY_LEN(slice_port_fields), .fields = slice_port_fields, .unknown = mt_unknown_told};

static const struct mt_field condition_fields[] = {
	{"ready", MT_F_BOOL, AT(struct mt_kube_conditions, ready),
		.help = "false: the endpoint gets no calls; not written: true"},
	{"serving", MT_F_BOOL, AT(struct mt_kube_conditions, serving),
		.help = "false with `terminating`: the endpoint gets no calls; otherwise `ready` "
			"decides"},
	{"terminating", MT_F_BOOL, AT(struct mt_kube_conditions, terminating),
		.help = "true: the endpoint drains, it keeps its connections and flows and gets "
			"no new ones; without effect on a Service with `publishNotReadyAddresses`"},
};

static const struct mt_section condition_section = {"endpoint's conditions",
	sizeof(struct mt_kube_conditions), MT_ARRAY_LEN(condition_fields),
	.fields = condition_fields, .unknown = mt_unknown_told};

static const struct mt_field target_fields[] = {
	{"kind", MT_F_TEXT, AT(struct mt_kube_target, kind),
		.help = "`Pod`: the endpoint has the Pod's labels and identity"},
	{"name", MT_F_TEXT, AT(struct mt_kube_target, name), .help = "the Pod's name"},
	{"namespace", MT_F_TEXT, AT(struct mt_kube_target, ns),
		.help = "default: the document's namespace"},
	{"apiVersion", MT_F_SKIP, .help = "the name identifies the Pod"},
	{"uid", MT_F_SKIP, .help = "the name identifies the Pod"},
	{"resourceVersion", MT_F_SKIP, .help = "the name identifies the Pod"},
	{"fieldPath", MT_F_SKIP, .help = "the name identifies the Pod"},
};

static const struct mt_section target_section = {"endpoint's target", sizeof(struct mt_kube_target),
	MT_ARRAY_LEN(target_fields), .fields = target_fields, .unknown = mt_unknown_told};

static const struct mt_field endpoint_fields[] = {
	{"addresses", MT_F_TEXTS, AT_LIST(struct mt_kube_endpoint, addresses), .required = true,
		.help = "addresses of the endpoint, of which the first is used"},
	{"conditions", MT_F_OBJECT, AT(struct mt_kube_endpoint, conditions),
		.sub = &condition_section, .help = "whether the endpoint gets calls"},
	{"targetRef", MT_F_OBJECT, AT(struct mt_kube_endpoint, target), .sub = &target_section,
		.help = "the endpoint's Pod"},
	{"nodeName", MT_F_TEXT, AT(struct mt_kube_endpoint, node), .status = MT_S_KEPT,
		.help = "the node of Kubernetes that runs it"},
	{"zone", MT_F_TEXT, AT(struct mt_kube_endpoint, zone),
		.help = "the endpoint's zone, in the Node's own region"},
	{"hostname", MT_F_SKIP, .help = "DNS has no names of single endpoints"},
	{"hints", MT_F_SKIP, .help = "endpoints of all zones get calls"},
	{"deprecatedTopology", MT_F_SKIP, .help = "use `zone`"},
	{"topology", MT_F_SKIP, .help = "use `zone`"},
};

static const struct mt_section endpoint_section = {"endpoint", sizeof(struct mt_kube_endpoint),
	MT_ARRAY_LEN(endpoint_fields), .fields = endpoint_fields, .unknown = mt_unknown_told};

static const struct mt_field slice_fields[] = {
	MT_DOCUMENT_FIELDS,
	{"addressType", MT_F_TEXT, AT(struct mt_kube_slice, address_type), .required = true,
		.status = MT_S_KEPT,
		.help = "each address is read by its own form; names are not resolved"},
	{"endpoints", MT_F_LIST, AT(struct mt_kube_slice, own.ready),
		.count = offsetof(struct mt_kube_slice, own.n_ready), .sub = &endpoint_section,
		.help = "endpoints of the Service in the label kubernetes.io/service-name"},
	{"ports", MT_F_LIST, AT(struct mt_kube_slice, own.ports),
		.count = offsetof(struct mt_kube_slice, own.n_ports), .sub = &slice_port_section,
		.max = MT_LIST_LONG,
		.help = "ports of the endpoints, by names of the Service's ports"},
};

static void finish_slice(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_kube_slice *s = obj;

	s->subsets = &s->own;
	s->n_subsets = 1;
}

const struct mt_section mt_sec_kube_slice = {"EndpointSlice", sizeof(struct mt_kube_slice),
	MT_ARRAY_LEN(slice_fields), .fields = slice_fields, .unknown = mt_unknown_told,
	.after = finish_slice};

/* ---- Endpoints ------------------------------------------------------------------------------- */

static const struct mt_field address_fields[] = {
	{"ip", MT_F_TEXT, AT(struct mt_kube_endpoint, ip), .required = true,
		.help = "address of the endpoint"},
	{"targetRef", MT_F_OBJECT, AT(struct mt_kube_endpoint, target), .sub = &target_section,
		.help = "the endpoint's Pod"},
	{"nodeName", MT_F_TEXT, AT(struct mt_kube_endpoint, node), .status = MT_S_KEPT,
		.help = "the node of Kubernetes that runs it"},
	{"hostname", MT_F_SKIP, .help = "DNS has no names of single endpoints"},
};

static const struct mt_section address_section = {"address", sizeof(struct mt_kube_endpoint),
	MT_ARRAY_LEN(address_fields), .fields = address_fields, .unknown = mt_unknown_told};

static const struct mt_field subset_fields[] = {
	{"addresses", MT_F_LIST, AT(struct mt_kube_subset, ready),
		.count = offsetof(struct mt_kube_subset, n_ready), .sub = &address_section,
		.help = "endpoints that get calls"},
	{"notReadyAddresses", MT_F_LIST, AT(struct mt_kube_subset, not_ready),
		.count = offsetof(struct mt_kube_subset, n_not_ready), .sub = &address_section,
		.help = "endpoints without calls, unless the Service has "
			"`publishNotReadyAddresses`"},
	{"ports", MT_F_LIST, AT_LIST(struct mt_kube_subset, ports), .sub = &slice_port_section,
		.max = MT_LIST_LONG,
		.help = "ports of the endpoints, by names of the Service's ports"},
};

static const struct mt_section subset_section = {"subset of endpoints",
	sizeof(struct mt_kube_subset), MT_ARRAY_LEN(subset_fields), .fields = subset_fields,
	.unknown = mt_unknown_told};

static const struct mt_field endpoints_fields[] = {
	MT_DOCUMENT_FIELDS,
	{"subsets", MT_F_LIST, AT_LIST(struct mt_kube_slice, subsets), .sub = &subset_section,
		.help = "endpoints of the Service with the same name, if it has no EndpointSlice"},
};

static void finish_endpoints(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	((struct mt_kube_slice *)obj)->whole = true;
}

const struct mt_section mt_sec_kube_endpoints = {"Endpoints", sizeof(struct mt_kube_slice),
	MT_ARRAY_LEN(endpoints_fields), .fields = endpoints_fields, .unknown = mt_unknown_told,
	.after = finish_endpoints};

/* ---- Namespace, Secret ----------------------------------------------------------------------- */

static const struct mt_field namespace_fields[] = {
	MT_DOCUMENT_FIELDS,
	{"spec", MT_F_SKIP, .help = "only labels are read"},
	{"status", MT_F_SKIP, .help = "only labels are read"},
};

const struct mt_section mt_sec_kube_namespace = {"Namespace", sizeof(struct mt_kube_namespace),
	MT_ARRAY_LEN(namespace_fields), .fields = namespace_fields, .unknown = mt_unknown_told};

static const struct mt_field secret_fields[] = {
	MT_DOCUMENT_FIELDS,
	{"type", MT_F_TEXT, AT(struct mt_kube_secret, type), .status = MT_S_KEPT,
		.help = "the keys in `data` decide"},
	{"data", MT_F_LABELS, AT(struct mt_kube_secret, data),
		.help = "PEM in base64, for fields that name the Secret (`credentialName`): "
			"`tls.crt`, `tls.key`, `ca.crt`, `ca.crl`; never shown and never written "
			"to disk"},
	{"stringData", MT_F_LABELS, AT(struct mt_kube_secret, clear),
		.help = "the same without base64, used before `data`"},
	{"immutable", MT_F_SKIP, .help = "for an API server"},
};

const struct mt_section mt_sec_kube_secret = {"Secret", sizeof(struct mt_kube_secret),
	MT_ARRAY_LEN(secret_fields), .fields = secret_fields, .unknown = mt_unknown_told};
