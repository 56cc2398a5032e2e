/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps Secret (SDS): lib/ads reads the texts; here certificates are parsed and the key is checked
 * against them.
 */
#include "mt_xds_map_priv.h"

#include "mt_secret.h"
#include "mt_x509.h"

#include <openssl/err.h>
#include <string.h>

/* Copies a text with a NUL at its end; *out is NULL if t->p is. False: no memory. */
static bool keep(struct mt_xmap *m, const struct mt_slice *t, const char **out)
{
	*out = t->p ? mt_region_strndup(m->r, (const char *)t->p, t->len) : NULL;
	return *out || !t->p || mt_xm_no_memory(m);
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

static bool certificate(struct mt_xmap *m, const struct mt_res_secret *out)
{
	const char *why;

	if (!holds_certificate(out->chain))
		return mt_xm_bad(m, "certificate_chain", "it holds no certificate");
	return fits(out->chain, out->key, &why) || mt_xm_bad(m, "private_key", "%s", why);
}

bool mt_xm_secret(struct mt_xmap *m, const Xds__Secret *s)
{
	struct mt_res_secret *out = mt_xm_alloc(m, sizeof(*out));
	struct mt_secret_message said;
	struct mt_secret_wrong wrong;
	bool ok;

	if (!out || !mt_xm_add(m, &m->out->part->res_secrets, &out->meta, "Secret", s->name))
		return false;
	ok = mt_secret_read(s, &said, &wrong);
	if (wrong.in)
		mt_xm_in(m, wrong.in);
	if (!ok)
		return mt_xm_bad(m, wrong.field, "%s", wrong.words);
	if (!keep(m, &said.chain, &out->chain) || !keep(m, &said.key, &out->key) ||
		!keep(m, &said.roots, &out->roots) || !keep(m, &said.crl, &out->crl))
		return false;
	if (out->chain)
		return certificate(m, out);
	return holds_certificate(out->roots) ||
	       mt_xm_bad(m, "trusted_ca", "it holds no certificate");
}
