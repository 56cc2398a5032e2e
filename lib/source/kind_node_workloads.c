/* SPDX-License-Identifier: Apache-2.0 */
/* Workloads that are bound to a port of `side: workloads`. */
#include "mt_fields.h"

#include <ctype.h>

static void read_address(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_bound *b = obj;

	if (mt_read_text(c, n, &b->address_text) && mt_addr_parse(b->address_text.s, &b->address))
		mt_f_error(c, n->line, "write the workload's address",
			"\"%.64s\" is not an address", n->text);
}

/* Parses six hexadecimal bytes between colons. False: not the address of a single station. */
static bool parse_mac(const char *s, uint8_t mac[6])
{
	for (int i = 0; i < 6; i++) {
		unsigned int v = 0;

		for (int k = 0; k < 2; k++, s++) {
			if (!isxdigit((unsigned char)*s))
				return false;
			v = v * 16 + (isdigit((unsigned char)*s)
						     ? (unsigned int)(*s - '0')
						     : (unsigned int)(tolower(*s) - 'a' + 10));
		}
		if (*s++ != (i < 5 ? ':' : '\0'))
			return false;
		mac[i] = (uint8_t)v;
	}
	return !(mac[0] & 1) && (mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

static void read_mac(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_bound *b = obj;

	if (mt_read_text(c, n, &b->mac_text) && !parse_mac(b->mac_text.s, b->mac))
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
