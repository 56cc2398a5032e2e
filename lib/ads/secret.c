/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_secret.h"

#include <string.h>

static bool bad(struct mt_secret_wrong *wrong, const char *field, const char *words)
{
	wrong->field = field;
	wrong->words = words;
	return false;
}

static bool text(const Xds__DataSource *d, const char *field, struct mt_slice *out,
	struct mt_secret_wrong *wrong)
{
	const uint8_t *p = NULL;
	size_t len = 0;

	if (!d || d->specifier_case == XDS__DATA_SOURCE__SPECIFIER__NOT_SET)
		return bad(wrong, field, "missing");
	if (d->specifier_case == XDS__DATA_SOURCE__SPECIFIER_INLINE_BYTES) {
		p = d->inline_bytes.data;
		len = d->inline_bytes.len;
	} else if (d->specifier_case == XDS__DATA_SOURCE__SPECIFIER_INLINE_STRING) {
		p = (const uint8_t *)d->inline_string;
		len = strlen(d->inline_string);
	} else {
		return bad(wrong, field,
			"only texts come over the network (inline_bytes, inline_string); files "
			"and variables of this host are not read for a peer");
	}
	if (!len || len > MT_SECRET_TEXT_MAX || memchr(p, '\0', len))
		return bad(wrong, field, "not a PEM text");
	*out = (struct mt_slice){p, (uint32_t)len};
	return true;
}

static bool certificate(
	const Xds__TlsCertificate *c, struct mt_secret_message *out, struct mt_secret_wrong *wrong)
{
	wrong->in = "tls_certificate";
	if (!text(c->certificate_chain, "certificate_chain", &out->chain, wrong) ||
		!text(c->private_key, "private_key", &out->key, wrong))
		return false;
	return !c->password || bad(wrong, "password", "keys with a passphrase are not read");
}

static bool roots(const Xds__CertificateValidationContext *v, struct mt_secret_message *out,
	struct mt_secret_wrong *wrong)
{
	wrong->in = "validation_context";
	if (!text(v->trusted_ca, "trusted_ca", &out->roots, wrong) ||
		(v->crl && !text(v->crl, "crl", &out->crl, wrong)))
		return false;
	/* A configuration that references the secret relies on all of its checks. */
	if (v->n_verify_certificate_hash || v->n_verify_certificate_spki ||
		v->n_match_subject_alt_names || v->n_match_typed_subject_alt_names)
		return bad(wrong, "match_typed_subject_alt_names",
			"a secret with more than roots is not read: set it next to the secret's "
			"name");
	return true;
}

bool mt_secret_read(
	const Xds__Secret *s, struct mt_secret_message *out, struct mt_secret_wrong *wrong)
{
	*out = (struct mt_secret_message){.chain = {NULL, 0}};
	*wrong = (struct mt_secret_wrong){NULL, NULL, NULL};
	switch (s->type_case) {
	case XDS__SECRET__TYPE_TLS_CERTIFICATE:
		return certificate(s->tls_certificate, out, wrong);
	case XDS__SECRET__TYPE_VALIDATION_CONTEXT:
		return roots(s->validation_context, out, wrong);
	default:
		return bad(wrong, NULL,
			"neither tls_certificate nor validation_context, which is all that is "
			"read");
	}
}
