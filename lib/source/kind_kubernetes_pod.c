/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod: its address, whether it is ready, its identity, and whether it contains a proxy. All other
 * fields concern only the node that runs it.
 */
#include "mt_fields.h"

#include <string.h>

/* Ignores fields about how to run the Pod without a warning for each. */
static bool unknown_silent(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	return true;
}

static const struct mt_field container_port_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_kube_container_port, name), .status = MT_S_KEPT,
		.help = "the port's name"},
	{"containerPort", MT_F_NUM, AT(struct mt_kube_container_port, number), .min = 1,
		.max = 65535, .required = true, .status = MT_S_KEPT, .help = "the port's number"},
};

static const struct mt_section container_port_section = {"container's port",
	sizeof(struct mt_kube_container_port), MT_ARRAY_LEN(container_port_fields),
	.fields = container_port_fields, .unknown = unknown_silent};

static const struct mt_field container_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_kube_container, name),
		.help = "`istio-proxy`: the Pod has a proxy of its own"},
	{"ports", MT_F_LIST, AT_LIST(struct mt_kube_container, ports),
		.sub = &container_port_section, .status = MT_S_KEPT,
		.help = "for `meltemi analyse`; endpoints have their own ports"},
};

static const struct mt_section container_section = {"container", sizeof(struct mt_kube_container),
	MT_ARRAY_LEN(container_fields), .fields = container_fields, .unknown = unknown_silent};

static const struct mt_field spec_fields[] = {
	{"serviceAccountName", MT_F_TEXT, AT(struct mt_kube_pod_spec, service_account),
		.help = "the Pod's identity"},
	{"nodeName", MT_F_TEXT, AT(struct mt_kube_pod_spec, node), .status = MT_S_KEPT,
		.help = "the node of Kubernetes that runs it"},
	{"hostNetwork", MT_F_BOOL, AT(struct mt_kube_pod_spec, host_network), .status = MT_S_KEPT,
		.help = "whether the Pod has the host's network"},
	{"containers", MT_F_LIST, AT_LIST(struct mt_kube_pod_spec, containers),
		.sub = &container_section,
		.help = "the Pod's containers, one of which may be a proxy"},
	{"initContainers", MT_F_LIST, AT_LIST(struct mt_kube_pod_spec, init_containers),
		.sub = &container_section, .help = "one of these may be a proxy as well"},
};

static const struct mt_section spec_section = {"Pod", sizeof(struct mt_kube_pod_spec),
	MT_ARRAY_LEN(spec_fields), .fields = spec_fields, .unknown = unknown_silent};

static const char *const phases[] = {"Pending", "Running", "Succeeded", "Failed", "Unknown", NULL};

static const struct mt_field ip_fields[] = {
	{"ip", MT_F_TEXT, AT(struct mt_kube_ip, ip), .required = true,
		.help = "an address of the Pod"},
};

static const struct mt_section ip_section = {"Pod's address", sizeof(struct mt_kube_ip),
	MT_ARRAY_LEN(ip_fields), .fields = ip_fields, .unknown = unknown_silent};

const struct mt_ynode *mt_condition(const struct mt_ynode *list, const char *type)
{
	const struct mt_ynode *found = NULL;

	for (const struct mt_ynode *k = list->type == MT_Y_SEQ ? list->first : NULL; k;
		k = k->next) {
		const struct mt_ynode *t = mt_yaml_get(k, "type"), *status;

		if (!t || t->type != MT_Y_SCALAR || strcmp(t->text, type) != 0)
			continue;
		status = mt_yaml_get(k, "status");
		found = status && status->type == MT_Y_SCALAR ? status : found;
	}
	return found;
}

/* Sets `ready` from the condition Ready; without it `ready` stays as it is. */
static void read_conditions(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_kube_pod_status *s = obj;
	const struct mt_ynode *ready;

	if (!mt_want_list(c, n, "a list of conditions"))
		return;
	ready = mt_condition(n, "Ready");
	if (ready)
		s->ready = strcmp(ready->text, "True") == 0;
}

static const struct mt_field status_fields[] = {
	{"phase", MT_F_WORD, AT(struct mt_kube_pod_status, phase), .words = phases, .blank = true,
		.help = "a Pod that has ended (Succeeded, Failed) is not an endpoint"},
	{"podIP", MT_F_TEXT, AT(struct mt_kube_pod_status, ip), .help = "the Pod's address"},
	{"podIPs", MT_F_LIST, AT_LIST(struct mt_kube_pod_status, ips), .sub = &ip_section,
		.help = "all addresses of the Pod"},
	{"conditions", MT_F_CUSTOM, .custom = read_conditions,
		.help = "`Ready` decides if a ServiceEntry selects the Pod"},
};

static const struct mt_section status_section = {"Pod's status", sizeof(struct mt_kube_pod_status),
	MT_ARRAY_LEN(status_fields), .fields = status_fields, .unknown = unknown_silent};

/*
 * A Pod with a status is ready unless its condition Ready denies it. A Pod has `status: {}` before
 * it runs, and always in a chart.
 */
static void read_status(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_kube_pod_status *s = &((struct mt_kube_pod *)obj)->status;

	s->ready = true;
	mt_section_read(c, &status_section, n, s);
}

static const struct mt_field pod_fields[] = {
	MT_DOCUMENT_FIELDS,
	{"spec", MT_F_OBJECT, AT(struct mt_kube_pod, spec), .sub = &spec_section,
		.help = "account and containers"},
	{"status", MT_F_CUSTOM, .custom = read_status, .help = "address, and whether the Pod runs"},
};

const struct mt_section mt_sec_kube_pod = {"Pod", sizeof(struct mt_kube_pod),
	MT_ARRAY_LEN(pod_fields), .fields = pod_fields, .unknown = mt_unknown_told};
