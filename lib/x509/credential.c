/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_credential.h"

#include "mt_crypto.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

/* An empty password, so that the library does not prompt for one. */
static char no_password[] = "";

/* ---- digests --------------------------------------------------------------------------------- */

static bool digest_certificates(STACK_OF(X509) * list, EVP_MD_CTX *md)
{
	uint8_t one[32];

	for (int i = 0; list && i < (int)sk_X509_num(list); i++)
		if (X509_digest(sk_X509_value(list, i), EVP_sha256(), one, NULL) != 1 ||
			EVP_DigestUpdate(md, one, sizeof(one)) != 1)
			return false;
	return true;
}

/*
 * Digest of certificates and of a revocation list's text. The text is enough: if the same list is
 * written in another way, TLS sessions are not resumed, which is safe.
 */
static int digest(STACK_OF(X509) * list, const char *text, uint8_t out[32])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
		  digest_certificates(list, md) &&
		  (!text || EVP_DigestUpdate(md, text, strlen(text)) == 1) &&
		  EVP_DigestFinal_ex(md, out, NULL) == 1;

	EVP_MD_CTX_free(md);
	return ok ? 0 : -ENOMEM;
}

/* ---- chain and key --------------------------------------------------------------------------- */

static int read_chain(
	struct mt_credential *c, const struct mt_credential_texts *t, struct mt_err *e)
{
	const X509 *leaf;

	if (!t->chain != !t->key)
		return mt_err(e, -EINVAL, "a certificate and its key come together");
	if (!t->chain)
		return 0;
	c->chain = mt_x509_list(t->chain, MT_CREDENTIAL_CERTS);
	if (!c->chain)
		return mt_err(e, -EINVAL, "the chain holds no PEM certificate");
	c->key = mt_x509_key(t->key);
	if (!c->key)
		return mt_err(e, -EINVAL,
			"the key is not a PEM private key without a password, or of a kind that %s "
			"does not have",
			mt_crypto_library());
	leaf = sk_X509_value(c->chain, 0);
	if (X509_check_private_key(leaf, c->key) != 1)
		return mt_err(e, -EINVAL, "the private key does not belong to the certificate");
	c->not_before = mt_x509_time(X509_get0_notBefore(leaf));
	c->not_after = mt_x509_time(X509_get0_notAfter(leaf));
	if (digest(c->chain, NULL, c->chain_digest))
		return mt_err(e, -ENOMEM, "no memory");
	return 0;
}

/* ---- roots and revocation lists -------------------------------------------------------------- */

static bool trust(struct mt_credential *c, X509 *root)
{
	X509_NAME *name = X509_NAME_dup(X509_get_subject_name(root));

	if (!name || !sk_X509_NAME_push(c->authorities, name)) {
		X509_NAME_free(name);
		return false;
	}
	return X509_STORE_add_cert(c->trust, root) == 1;
}

/*
 * True if at most `n` PEM blocks with this label are in the text, so that all of them were read. If
 * one is cut off or broken, none is used.
 */
static bool are_all(const char *pem, const char *label, int n)
{
	for (const char *at = pem; (at = strstr(at, label)) != NULL; at += strlen(label))
		n--;
	return n >= 0;
}

/* Adds the revocation lists of a PEM text to the store; returns how many were added. */
static int add_crls(X509_STORE *store, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509_CRL *crl;
	int n = 0;

	while (bio && n < MT_CREDENTIAL_CRLS &&
		(crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, no_password)) != NULL) {
		n += X509_STORE_add_crl(store, crl) == 1;
		X509_CRL_free(crl);
	}
	BIO_free(bio);
	ERR_clear_error();
	return n;
}

/* True if any list of the store has the certificate; the signer of the list does not matter. */
static bool is_revoked(X509_STORE_CTX *x, X509 *cert)
{
	STACK_OF(X509_CRL) *lists = X509_STORE_CTX_get1_crls(x, X509_get_issuer_name(cert));
	X509_REVOKED *entry;
	bool found = false;

	for (int i = 0; lists && i < (int)sk_X509_CRL_num(lists) && !found; i++)
		found = X509_CRL_get0_by_cert(sk_X509_CRL_value(lists, i), &entry, cert) == 1;
	sk_X509_CRL_pop_free(lists, X509_CRL_free);
	return found;
}

/* True if the library found no valid list for the certificate that it has just checked. */
static bool lacks_list(int error)
{
	switch (error) {
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_CRL_HAS_EXPIRED:
		return true;
	default:
		return false;
	}
}

int mt_x509_on_verify(int ok, X509_STORE_CTX *x)
{
	int depth = X509_STORE_CTX_get_error_depth(x);
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(x);
	X509 *anchor;

	if (ok || depth < 1 || !chain || depth != (int)sk_X509_num(chain) - 1 ||
		!lacks_list(X509_STORE_CTX_get_error(x)))
		return ok;
	anchor = sk_X509_value(chain, depth);
	if (is_revoked(x, anchor)) {
		X509_STORE_CTX_set_error(x, X509_V_ERR_CERT_REVOKED);
		return 0;
	}
	X509_STORE_CTX_set_error(x, X509_V_OK);
	return 1;
}

static int read_crl(struct mt_credential *c, const struct mt_credential_texts *t, struct mt_err *e)
{
	unsigned long all = t->crl_leaf_only ? 0 : X509_V_FLAG_CRL_CHECK_ALL;
	int n;

	if (!t->crl)
		return 0;
	n = add_crls(c->trust, t->crl);
	if (n == 0)
		return mt_err(e, -EINVAL, "the CRL holds no PEM list");
	if (!are_all(t->crl, "-----BEGIN X509 CRL-----", n))
		return mt_err(e, -EINVAL,
			"not all lists of the CRL can be read, or they are more than %d",
			MT_CREDENTIAL_CRLS);
	X509_STORE_set_flags(c->trust, X509_V_FLAG_CRL_CHECK | all);
	X509_STORE_set_verify_cb(c->trust, mt_x509_on_verify);
	c->revoked_leaf_only = t->crl_leaf_only;
	return 0;
}

static int read_trust(
	struct mt_credential *c, const struct mt_credential_texts *t, struct mt_err *e)
{
	STACK_OF(X509) * roots;
	bool ok;
	int rc;

	if (!t->roots)
		return t->crl ? mt_err(e, -EINVAL, "a CRL without roots is of no use") : 0;
	roots = mt_x509_list(t->roots, MT_CREDENTIAL_ROOTS);
	if (!roots)
		return mt_err(e, -EINVAL, "the roots hold no PEM certificate");
	if (!are_all(t->roots, "-----BEGIN CERTIFICATE-----", (int)sk_X509_num(roots))) {
		mt_x509_list_free(roots);
		return mt_err(e, -EINVAL,
			"not all certificates of the roots can be read, or they are more than %d",
			MT_CREDENTIAL_ROOTS);
	}
	c->trust = X509_STORE_new();
	c->authorities = sk_X509_NAME_new_null();
	ok = c->trust && c->authorities;
	for (int i = 0; ok && i < (int)sk_X509_num(roots); i++)
		ok = trust(c, sk_X509_value(roots, i));
	if (ok && mt_crypto_share_a_name(roots))
		mt_crypto_issuers_by_signature(c->trust);
	ok = ok && digest(roots, t->crl, c->trust_digest) == 0;
	mt_x509_list_free(roots);
	if (!ok)
		return mt_err(e, -ENOMEM, "no memory");
	/* A root may be an intermediate authority, because whoever configured it trusts it. */
	X509_STORE_set_flags(c->trust, X509_V_FLAG_PARTIAL_CHAIN);
	rc = read_crl(c, t, e);
	if (rc)
		return rc;
	return mt_credential_mark(c) ? 0 : mt_err(e, -ENOMEM, "no memory");
}

/* ---- creation and references ----------------------------------------------------------------- */

struct mt_credential *mt_credential_new(const struct mt_credential_texts *t, struct mt_err *e)
{
	struct mt_credential *c = calloc(1, sizeof(*c));
	int rc;

	if (!c) {
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	c->refs = 1;
	rc = read_chain(c, t, e);
	if (rc == 0)
		rc = read_trust(c, t, e);
	ERR_clear_error();
	if (rc == 0)
		return c;
	mt_credential_drop(c);
	return NULL;
}

struct mt_credential *mt_credential_hold(struct mt_credential *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void mt_credential_drop(struct mt_credential *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		return;
	mt_x509_list_free(c->chain);
	EVP_PKEY_free(c->key); /* the library overwrites the key */
	X509_STORE_free(c->trust);
	sk_X509_NAME_pop_free(c->authorities, X509_NAME_free);
	free(c->trusted.at);
	free(c->revoked.at);
	free(c);
}
