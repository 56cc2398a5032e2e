/* SPDX-License-Identifier: Apache-2.0 */
/* mt_crypto.h for OpenSSL 3.0 and later. */
#include "mt_crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define SMALLEST 32 /* bytes of the smallest block in the locked heap */

/* The version at run time, which may be newer than the headers. */
const char *mt_crypto_library(void)
{
	static _Thread_local char text[64];

	snprintf(text, sizeof(text), "OpenSSL %s", OpenSSL_version(OPENSSL_FULL_VERSION_STRING));
	return text;
}

void mt_crypto_thread_end(void)
{
	OPENSSL_thread_stop();
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *b)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

EVP_PKEY *mt_crypto_rsa_key(const BIGNUM *n, const BIGNUM *e)
{
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	if (b && OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, n) &&
		OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, e))
		key = from_params("RSA", b);
	OSSL_PARAM_BLD_free(b);
	return key;
}

EVP_PKEY *mt_crypto_ec_key(const char *curve, const uint8_t *point, size_t n)
{
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	if (b && OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) &&
		OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, n))
		key = from_params("EC", b);
	OSSL_PARAM_BLD_free(b);
	return key;
}

bool mt_crypto_digest_again(EVP_MD_CTX *x)
{
	return EVP_DigestInit_ex(x, NULL, NULL) == 1;
}

BIO *mt_crypto_secret_text(void)
{
	return BIO_new(BIO_s_secmem());
}

bool mt_crypto_same_key(const EVP_PKEY *a, const EVP_PKEY *b)
{
	return EVP_PKEY_eq(a, b) == 1;
}

bool mt_crypto_self_signed(X509 *x, bool verify)
{
	return X509_self_signed(x, verify) == 1;
}

/* ---- chains ---------------------------------------------------------------------------------- */

/* Longer lists are verified unfiltered, so that a peer cannot make the search expensive. */
#define SHOWN_MAX 16

/* True if the peer sent `cert`. */
static bool is_shown(X509_STORE_CTX *x, const X509 *cert)
{
	STACK_OF(X509) *all = X509_STORE_CTX_get0_untrusted(x);

	for (int i = 0; all && i < sk_X509_num(all); i++)
		if (sk_X509_value(all, i) == cert)
			return true;
	return false;
}

/*
 * Compares names, and verifies the signature unless the peer sent `issuer`. A peer could send 200
 * certificates with one name, and the library would verify the signature of each at every place in
 * the chain.
 */
static int has_issued(X509_STORE_CTX *x, X509 *cert, X509 *issuer)
{
	bool yes = X509_check_issued(issuer, cert) == X509_V_OK;

	if (!yes || is_shown(x, issuer))
		return yes;
	ERR_set_mark();
	yes = X509_verify(cert, X509_get0_pubkey(issuer)) == 1;
	ERR_pop_to_mark();
	return yes;
}

void mt_crypto_issuers_by_signature(X509_STORE *store)
{
	X509_STORE_set_check_issued(store, has_issued);
}

/* True if, by names, the store or another certificate of the list may have issued `cert`. */
static bool leads_on(X509_STORE_CTX *x, STACK_OF(X509) * all, X509 *cert)
{
	bool self = X509_check_issued(cert, cert) == X509_V_OK;
	X509 *issuer = NULL;

	for (int i = 0; !self && i < sk_X509_num(all); i++)
		if (X509_check_issued(sk_X509_value(all, i), cert) == X509_V_OK)
			return true;
	if (X509_STORE_CTX_get1_issuer(&issuer, x, cert) != 1)
		return false;
	X509_free(issuer);
	return true;
}

/*
 * Copies those certificates of the list from which a chain of issuers' names leads to the store.
 * The caller frees the list but not its certificates. NULL: no memory.
 */
static STACK_OF(X509) * without_dead_ends(X509_STORE_CTX *x, STACK_OF(X509) * all)
{
	STACK_OF(X509) *left = sk_X509_dup(all);
	int before = -1;

	while (left && before != sk_X509_num(left)) {
		before = sk_X509_num(left);
		for (int i = before; i-- > 0;)
			if (!leads_on(x, left, sk_X509_value(left, i)))
				(void)sk_X509_delete(left, i);
	}
	return left;
}

int mt_crypto_verify(X509_STORE_CTX *x)
{
	STACK_OF(X509) *all = X509_STORE_CTX_get0_untrusted(x), *left = NULL;
	int rc;

	if (all && sk_X509_num(all) <= SHOWN_MAX && mt_crypto_share_a_name(all)) {
		ERR_set_mark();
		left = without_dead_ends(x, all);
		ERR_pop_to_mark();
	}
	if (left)
		X509_STORE_CTX_set0_untrusted(x, left);
	rc = X509_verify_cert(x);
	if (left)
		X509_STORE_CTX_set0_untrusted(x, all);
	sk_X509_free(left);
	return rc;
}

bool mt_crypto_lock_keys(void)
{
	if (CRYPTO_secure_malloc_initialized())
		return true;
	return CRYPTO_secure_malloc_init(MT_KEYS_BYTES, SMALLEST) == 1;
}
