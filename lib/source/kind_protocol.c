/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_fields.h"

#include <string.h>

static const struct mt_field protocol_fields[] = {
	{"protocol", MT_F_TEXT, AT(struct mt_app_protocol, protocol), .required = true,
		.help = "third word of a port's name: tcp-metaprotocol-PROTOCOL"},
	{"codec", MT_F_TEXT, AT(struct mt_app_protocol, codec), .required = true,
		.help = "aeraki.meta_protocol.codec.NAME"},
	{"multiplexing", MT_F_BOOL, AT(struct mt_app_protocol, multiplexing),
		.help = "calls of several clients share connections to servers, if the codec's ids "
			"allow it; default: the codec's choice"},
};

static void check_protocol(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_app_protocol *p = obj;

	if (p->protocol.s && strchr(p->protocol.s, '-')) {
		uint32_t mark = mt_path_push(c, "protocol");

		mt_f_error(c, p->protocol.line, "use letters and digits",
			"a protocol's name cannot contain \"-\"");
		mt_path_pop(c, mark);
	}
}

const struct mt_section mt_sec_app_protocol = {"ApplicationProtocol",
	sizeof(struct mt_app_protocol), MT_ARRAY_LEN(protocol_fields), .fields = protocol_fields,
	.after = check_protocol};
