/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secret: texts only. A name of a file or of an environment variable that comes over the network would let a peer
 * choose what this process reads.
 */
#include "mt_xds_map_priv.h"

#include "mt_x509.h"

#include <openssl/err.h>
#include <string.h>

#define PEM_MAX (1u << 20)

static bool source(struct mt_xmap *m, const char *field, const Xds__DataSource *d, const char **out)
{
	const char *p = NULL;
	size_t len = 0;

	if (!d || d->specifier_case == XDS__DATA_SOURCE__SPECIFIER__NOT_SET)
		return mt_xm_bad(m, field, "missing");
	if (d->specifier_case == XDS__DATA_SOURCE__SPECIFIER_INLINE_BYTES) {
		p = (const char *)d->inline_bytes.data;
		len = d->inline_bytes.len;
	} else if (d->specifier_case == XDS__DATA_SOURCE__SPECIFIER_INLINE_STRING) {
		p = d->inline_string;
		len = strlen(p);
	} else
		return mt_xm_bad(m, field,
			"only texts come over the network (inline_bytes, inline_string); files "
			"and variables of this host are not read for a peer");
	if (!len || len > PEM_MAX || memchr(p, '\0', len))
		return mt_xm_bad(m, field, "not a PEM text");
	*out = mt_region_strndup(m->r, p, len);
	return *out || mt_xm_no_memory(m);
}

static bool holds_certificate(const char *pem)
{
	STACK_OF(X509) *list = mt_x509_list(pem, 1);

	mt_x509_list_free(list);
	return list != NULL;
}

static bool fits(const char *chain, const char *pem, const char **why)
{
	EVP_PKEY *key = mt_x509_key(pem);
	STACK_OF(X509) *list = mt_x509_list(chain, 1);
	bool ok = key && list && X509_check_private_key(sk_X509_value(list, 0), key) == 1;

	*why = key ? "it is not the certificate's" : "not a private key without a passphrase";
	mt_x509_list_free(list);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok;
}

static bool certificate(struct mt_xmap *m, const Xds__TlsCertificate *c, struct mt_res_secret *out)
{
	const char *why;

	mt_xm_in(m, "tls_certificate");
	if (!source(m, "certificate_chain", c->certificate_chain, &out->chain) ||
		!source(m, "private_key", c->private_key, &out->key))
		return false;
	if (c->password)
		return mt_xm_bad(m, "password", "keys with a passphrase are not read");
	if (!holds_certificate(out->chain))
		return mt_xm_bad(m, "certificate_chain", "it holds no certificate");
	return fits(out->chain, out->key, &why) || mt_xm_bad(m, "private_key", "%s", why);
}

static bool roots(
	struct mt_xmap *m, const Xds__CertificateValidationContext *v, struct mt_res_secret *out)
{
	mt_xm_in(m, "validation_context");
	if (!source(m, "trusted_ca", v->trusted_ca, &out->roots) ||
		(v->crl && !source(m, "crl", v->crl, &out->crl)))
		return false;
	/* Whoever names the secret means all of it. */
	if (v->n_verify_certificate_hash || v->n_verify_certificate_spki ||
		v->n_match_subject_alt_names || v->n_match_typed_subject_alt_names)
		return mt_xm_bad(m, "match_typed_subject_alt_names",
			"a secret that asks for more than roots is not read: say it beside the "
			"secret's name");
	return holds_certificate(out->roots) ||
	       mt_xm_bad(m, "trusted_ca", "it holds no certificate");
}

bool mt_xm_secret(struct mt_xmap *m, const Xds__Secret *s)
{
	struct mt_res_secret *out = mt_xm_alloc(m, sizeof(*out));

	if (!out || !mt_xm_add(m, &m->out->part->res_secrets, &out->meta, "Secret", s->name))
		return false;
	switch (s->type_case) {
	case XDS__SECRET__TYPE_TLS_CERTIFICATE:
		return certificate(m, s->tls_certificate, out);
	case XDS__SECRET__TYPE_VALIDATION_CONTEXT:
		return roots(m, s->validation_context, out);
	default:
		return mt_xm_bad(m, NULL,
			"neither tls_certificate nor validation_context, which is all that is "
			"read");
	}
}
