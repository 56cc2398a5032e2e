/* SPDX-License-Identifier: Apache-2.0 */
/* spec.tlsFiles: directories from which documents may name certificates and keys. */
#include "mt_fields.h"

static void check_files(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_node_tls_files *f = obj;

	/* Documents name files by absolute paths, which are compared with this one. */
	if (f->directory.s && *f->directory.s != '/')
		mt_f_error(c, f->directory.line, "write an absolute path",
			"\"%.128s\" is not an absolute path", f->directory.s);
	for (uint32_t i = 0; i < f->n_namespaces; i++)
		mt_check_label(c, &f->namespaces[i], "namespace");
}

static const struct mt_field files_fields[] = {
	{"directory", MT_F_TEXT, AT(struct mt_node_tls_files, directory), .required = true,
		.help = "absolute path; documents may name files in it and below it, and symbolic "
			"links that stay there"},
	{"namespaces", MT_F_TEXTS, AT_LIST(struct mt_node_tls_files, namespaces),
		.help = "namespaces of the documents that may name them; default: all"},
};

const struct mt_section mt_sec_node_tls_files = {"directory of files for TLS",
	sizeof(struct mt_node_tls_files), MT_ARRAY_LEN(files_fields), .fields = files_fields,
	.after = check_files};
