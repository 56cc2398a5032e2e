/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL, from 3.0 on. */
#include "mt_crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/param_build.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define SMALLEST 32 /* bytes that the smallest piece of locked memory has */

/* The library that runs, which may be newer than its headers. */
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

bool mt_crypto_lock_keys(void)
{
	if (CRYPTO_secure_malloc_initialized())
		return true;
	return CRYPTO_secure_malloc_init(MT_KEYS_BYTES, SMALLEST) == 1;
}
