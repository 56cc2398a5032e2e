/* SPDX-License-Identifier: Apache-2.0 */
/* Codec: a protocol as data. lib/codecfile reads its spec; here it only gets its place. */
#include "mt_fields.h"

static bool read_later(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	return true;
}

static void keep_spec(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_codec_document *d = obj;

	d->spec = n;
}

/*
 * Only directories of the operator and of packages have codecs, because a codec decides how the
 * calls of all namespaces are read.
 */
void mt_codec_complete(struct mt_fctx *c, void *obj)
{
	struct mt_codec_document *d = obj;

	d->installed = c->place->codecs == MT_CODECS_INSTALLED;
	if (c->place->codecs == MT_CODECS_NONE)
		mt_f_error(c, d->meta.origin.line,
			"move the document to a directory of the Node's spec.codecs",
			"codecs are read only from directories of spec.codecs");
}

const struct mt_section mt_sec_codec = {
	"Codec", sizeof(struct mt_codec_document), .unknown = read_later, .after = keep_spec};
