/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS settings of documents that cannot be applied. If a certificate, key, root or revocation list
 * that a document names cannot be had, the document's last good version is used in its place, as
 * after any other mistake. Without one the document stays in use, and what needs TLS is not served.
 */
#include "mt_conf_cluster_priv.h"
#include "mt_conf_credentials_priv.h"

#include <stdio.h>

void mt_b_tls_trouble(struct mt_build *b, const struct mt_res_tls *tls, struct mt_tls_trouble *out)
{
	const struct mt_conf_credential *with;

	*out = (struct mt_tls_trouble){.why = mt_b_unmade_tls(tls), .material = true};
	if (out->why)
		return;
	out->why = mt_b_no_tls(b, tls);
	with = mt_b_credential(b, tls);
	out->material = with && !with->own;
	if (!out->material)
		return;
	out->part = with->part;
	out->remedy = with->remedy;
	out->file = mt_b_secret_file(b, tls, with->part) != NULL;
	out->held = with->credential && with->why.text[0];
	if (out->held)
		out->why = with->why.text;
}

void mt_b_tell_trouble(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_tls_fields *f, const struct mt_tls_trouble *t, const char *remedy,
	const char *words)
{
	const struct mt_text *text = t->part ? f->texts[t->part] : NULL;
	const char *name = text && text->s ? f->names[t->part] : f->rest;
	uint32_t line = text && text->s ? text->line : f->line;
	char path[MT_CONF_PATH];

	snprintf(path, sizeof(path), "%.200s%s%s", f->path, name ? "." : "", name ? name : "");
	if (t->held)
		mt_b_warn(b, meta, line, path, t->remedy ? t->remedy : "restore it",
			"%s; the last good certificate and roots stay in use", t->why);
	else if (!t->material)
		mt_b_warn(b, meta, line, path, remedy, words, t->why);
	else
		mt_b_unusable(b, meta, line, path,
			t->remedy ? t->remedy
			: t->file ? "correct the path, or restore the file"
				  : remedy,
			t->file, words, t->why);
}
