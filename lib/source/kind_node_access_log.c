/* SPDX-License-Identifier: Apache-2.0 */
/* spec.accessLog: directories in which documents may name files of access logs, and sampling. */
#include "mt_fields.h"

static void check_directories(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_node_access_log *l = obj;

	/* Documents name files by absolute paths, which are compared with these. */
	for (uint32_t i = 0; i < l->n_directories; i++)
		if (*l->directories[i].s != '/')
			mt_f_error(c, l->directories[i].line, "write an absolute path",
				"\"%.128s\" is not an absolute path", l->directories[i].s);
}

static void read_sample(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	(void)mt_read_decimal(c, n, 0, 100, &((struct mt_node_access_log *)obj)->sample);
}

static const struct mt_field log_fields[] = {
	{"directories", MT_F_TEXTS, AT_LIST(struct mt_node_access_log, directories),
		.help = "absolute paths; documents may name files in them and below them; default: "
			"`[/var/log/meltemi]`"},
	{"sample", MT_F_CUSTOM, .custom = read_sample,
		.help = "percentage of calls and opaque TCP connections that leave a line, in "
			"steps of 0.01; default: 100"},
};

const struct mt_section mt_sec_node_access_log = {"access log", sizeof(struct mt_node_access_log),
	MT_ARRAY_LEN(log_fields), .fields = log_fields, .after = check_directories};
