/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_fields.h"

static const struct mt_field port_fields[] = {
	{"number", MT_F_NUM, AT(struct mt_gateway_port, number), .min = 1, .max = 65535,
		.required = true, .help = "the port that clients connect to"},
	{"name", MT_F_TEXT, AT(struct mt_gateway_port, name), .required = true,
		.help = "as in a ServiceEntry"},
	{"protocol", MT_F_TEXT, AT(struct mt_gateway_port, protocol), .help = "`TCP`"},
	{"targetPort", MT_F_LATER, .help = "the node answers at `number`"},
};

static const struct mt_section port_section = {"gateway port", sizeof(struct mt_gateway_port),
	MT_ARRAY_LEN(port_fields), .fields = port_fields};

static void read_bind(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_gateway_server *s = obj;

	if (mt_read_text(c, n, &s->bind) && mt_addr_parse(s->bind.s, &s->bind_addr))
		mt_f_error(c, n->line, "write one of the node's addresses",
			"\"%.64s\" is not an address", n->text);
}

static const struct mt_field server_fields[] = {
	{"port", MT_F_OBJECT, AT(struct mt_gateway_server, port), .sub = &port_section,
		.required = true, .help = "number and name"},
	{"hosts", MT_F_TEXTS, AT_LIST(struct mt_gateway_server, hosts),
		.help = "of VirtualServices that may lead from here; NAMESPACE/HOST: of those "
			"there"},
	{"bind", MT_F_CUSTOM, .custom = read_bind,
		.help = "an address of the node; default: all of them"},
	{"tls", MT_F_REFUSED, .help = "TLS is not terminated at gateways"},
	{"name", .type = MT_F_SKIP},
	{"defaultEndpoint", .type = MT_F_SKIP},
};

static const struct mt_section server_section = {"gateway server", sizeof(struct mt_gateway_server),
	MT_ARRAY_LEN(server_fields), .fields = server_fields};

static const struct mt_field gateway_fields[] = {
	{"servers", MT_F_LIST, AT_LIST(struct mt_gateway, servers), .sub = &server_section,
		.required = true, .help = "the ports"},
	{"selector", MT_F_LABELS, AT(struct mt_gateway, selector),
		.help = "all of them must be among the Node's metadata.labels"},
};

const struct mt_section mt_sec_gateway = {"Gateway", sizeof(struct mt_gateway),
	MT_ARRAY_LEN(gateway_fields), .fields = gateway_fields};
