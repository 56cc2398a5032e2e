/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_fields.h"

static const struct mt_field port_fields[] = {
	{"number", MT_F_NUM, AT(struct mt_se_port, number), .min = 1, .max = 65535,
		.required = true, .help = "the port that clients connect to"},
	{"name", MT_F_TEXT, AT(struct mt_se_port, name), .required = true,
		.help = "`tcp-metaprotocol-PROTOCOL`: messages, if a codec reads PROTOCOL; other "
			"`tcp...`: opaque TCP; `udp...`: [forwarded](../how-to/layer-4.md)"},
	{"protocol", MT_F_TEXT, AT(struct mt_se_port, protocol),
		.help = "protocol of the port, if the name contains none"},
	{"targetPort", MT_F_NUM, AT(struct mt_se_port, target_port), .min = 1, .max = 65535,
		.help = "port of the endpoints; default: `number`"},
};

static const struct mt_section port_section = {"service port", sizeof(struct mt_se_port),
	MT_ARRAY_LEN(port_fields), .fields = port_fields};

static const struct mt_field selector_fields[] = {
	{"labels", MT_F_LABELS, AT(struct mt_selector, labels), .length = MT_LABEL_TEXT,
		.help = "labels that WorkloadEntries and Pods must all have; an empty selector "
			"selects none"},
};

static const struct mt_section selector_section = {"selector", sizeof(struct mt_selector),
	MT_ARRAY_LEN(selector_fields), .fields = selector_fields};

static const char *const locations[] = {"MESH_EXTERNAL", "MESH_INTERNAL", NULL};
/* In the order of enum mt_resolution. */
static const char *const resolutions[] = {
	"NONE", "DYNAMIC_DNS", "STATIC", "DNS", "DNS_ROUND_ROBIN", NULL};

static const struct mt_field service_fields[] = {
	{"hosts", MT_F_TEXTS, AT_LIST(struct mt_service_entry, hosts), .required = true,
		.host = true, .max = MT_LIST_LONG, .help = "the service's name, then its aliases"},
	{"addresses", MT_F_TEXTS, AT_LIST(struct mt_service_entry, addresses), .max = MT_LIST_LONG,
		.help = "addresses for clients, or networks of at most 256 addresses, all of which "
			"are answered; default: one from 240.240.0.0/16, kept in the state "
			"directory"},
	{"ports", MT_F_LIST, AT_LIST(struct mt_service_entry, ports), .sub = &port_section,
		.required = true, .max = MT_LIST_LONG, .help = "the service's ports"},
	{"location", MT_F_WORD, AT(struct mt_service_entry, location), .words = locations,
		.help = "MESH_EXTERNAL (default): policies select the service's inline endpoints "
			"only by `targetRefs`"},
	{"resolution", MT_F_WORD, AT(struct mt_service_entry, resolution), .words = resolutions,
		.help = "`STATIC`: endpoints by address; `DNS`: also by name, resolved by the "
			"host's resolv.conf; without endpoints, the hosts' own names; "
			"`DNS_ROUND_ROBIN`: the first address of each name that the node reaches; "
			"`NONE`, `DYNAMIC_DNS`: not served"},
	{"endpoints", MT_F_LIST, AT_LIST(struct mt_service_entry, endpoints),
		.sub = &mt_sec_workload, .help = "the endpoints"},
	{"workloadSelector", MT_F_POINTER, AT(struct mt_service_entry, selector),
		.sub = &selector_section, .help = "selects WorkloadEntries and Pods as endpoints"},
	{"exportTo", MT_F_TEXTS, AT(struct mt_service_entry, export_to.v),
		.count = offsetof(struct mt_service_entry, export_to.n), .max = MT_LIST_SHORT,
		.help = "namespaces of clients: names, `*`, `.` (its own), `~` (none); a node "
			"without a namespace (spec.mesh) has clients in the service's"},
	{"subjectAltNames", MT_F_TEXTS, AT_LIST(struct mt_service_entry, sans),
		.help = "names of servers' certificates, if the DestinationRule has none"},
};

static void check_service(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_service_entry *se = obj;
	const struct mt_ynode *hosts = mt_yaml_get(n, "hosts");
	const struct mt_ynode *endpoints = mt_yaml_get(n, "endpoints");

	if (hosts && se->n_hosts == 0 && hosts->type == MT_Y_SEQ)
		mt_f_error(c, hosts->line, "name the service", "no host");
	if (se->selector && se->n_endpoints)
		mt_f_error(c, endpoints->key_line, "keep one of them",
			"endpoints and workloadSelector exclude each other");
	if (!se->resolution.set && (se->n_endpoints || se->selector))
		((struct mt_service_entry *)obj)->resolution.v = MT_RESOLUTION_STATIC;
}

const struct mt_section mt_sec_service_entry = {"ServiceEntry", sizeof(struct mt_service_entry),
	MT_ARRAY_LEN(service_fields), .fields = service_fields, .after = check_service};

/*
 * Reads [{value: ADDRESS, host: ...}]. Skips invalid entries without an error, because an API
 * server wrote them.
 */
void mt_service_status(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_ynode *list = mt_yaml_get(n, "addresses");
	struct mt_service_entry *se = obj;

	if (se->n_addresses || !list || list->type != MT_Y_SEQ)
		return;
	for (const struct mt_ynode *k = list->first; k; k = k->next) {
		const struct mt_ynode *value = mt_yaml_get(k, "value");
		struct mt_text *slot;
		struct mt_addr ignored;

		if (!value || value->type != MT_Y_SCALAR || mt_addr_parse(value->text, &ignored))
			continue;
		slot = mt_region_push(&c->model->region, (void **)&se->addresses, &se->n_addresses,
			sizeof(*slot));
		if (slot)
			*slot = (struct mt_text){value->text, value->line};
	}
}
