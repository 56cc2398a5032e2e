/* SPDX-License-Identifier: Apache-2.0 */
/* Workloads that are bound to a port of `side: workloads`. */
#include "mt_fields.h"

#include "mt_model_guest.h"

static void read_address(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_bound *b = obj;

	if (mt_read_text(c, n, &b->address_text) && mt_addr_parse(b->address_text.s, &b->address))
		mt_f_error(c, n->line, "write the workload's address",
			"\"%.64s\" is not an address", n->text);
}

static void read_mac(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_bound *b = obj;

	if (mt_read_text(c, n, &b->mac_text) && mt_mac_parse(b->mac_text.s, b->mac))
		mt_f_error(c, n->line, "write it in quotes, like \"52:54:00:12:34:56\"",
			"\"%.64s\" is not the Ethernet address of a station", n->text);
}

static const struct mt_field fields[] = {
	{"address", MT_F_CUSTOM, .custom = read_address, .required = true,
		.help = "the workload's address"},
	{"mac", MT_F_CUSTOM, .custom = read_mac,
		.help = "the only Ethernet address that may use it; default: any on the port's "
			"link"},
};

const struct mt_section mt_sec_node_bound = {
	"workload", sizeof(struct mt_node_bound), MT_ARRAY_LEN(fields), .fields = fields};

void mt_check_node_port(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_node_port *p = obj;

	(void)n;
	if (p->workloads_set && p->side.v != MT_SIDE_WORKLOADS)
		mt_f_error(c, p->workloads_line, "write side: workloads, too",
			"workloads are bound to ports of that side only");
}

void mt_read_node_workloads(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	static const struct mt_field list = {"workloads", MT_F_LIST,
		AT_LIST(struct mt_node_port, workloads), .sub = &mt_sec_node_bound};
	struct mt_node_port *p = obj;

	p->workloads_set = true;
	p->workloads_line = n->line;
	mt_field_read(c, &list, n, obj);
}
