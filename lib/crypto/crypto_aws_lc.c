/* SPDX-License-Identifier: Apache-2.0 */
/* mt_crypto.h for AWS-LC, which has the API of OpenSSL 1.1.1 and parts of that of 3. */
#include "mt_crypto.h"

#include "mt_rights.h"

#include <linux/capability.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/rsa.h>
#include <openssl/thread.h>
#include <openssl/x509v3.h>
#include <sys/mman.h>
#include <sys/resource.h>

const char *mt_crypto_library(void)
{
	return "AWS-LC " AWSLC_VERSION_NUMBER_STRING;
}

void mt_crypto_thread_end(void)
{
	(void)AWSLC_thread_local_clear();
}

EVP_PKEY *mt_crypto_rsa_key(const BIGNUM *n, const BIGNUM *e)
{
	RSA *rsa = RSA_new_public_key(n, e);
	EVP_PKEY *key = rsa ? EVP_PKEY_new() : NULL;

	if (key && EVP_PKEY_set1_RSA(key, rsa) != 1) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	RSA_free(rsa);
	return key;
}

EVP_PKEY *mt_crypto_ec_key(const char *curve, const uint8_t *point, size_t n)
{
	EC_KEY *ec = EC_KEY_new_by_curve_name(EC_curve_nist2nid(curve));
	EC_POINT *at = ec ? EC_POINT_new(EC_KEY_get0_group(ec)) : NULL;
	EVP_PKEY *key = NULL;

	/* EC_POINT_oct2point() checks that the point is on the curve. */
	if (at && EC_POINT_oct2point(EC_KEY_get0_group(ec), at, point, n, NULL) == 1 &&
		EC_KEY_set_public_key(ec, at) == 1)
		key = EVP_PKEY_new();
	if (key && EVP_PKEY_set1_EC_KEY(key, ec) != 1) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	EC_POINT_free(at);
	EC_KEY_free(ec);
	return key;
}

bool mt_crypto_digest_again(EVP_MD_CTX *x)
{
	const EVP_MD *md = EVP_MD_CTX_md(x);

	return md && EVP_DigestInit_ex(x, md, NULL) == 1;
}

BIO *mt_crypto_secret_text(void)
{
	return BIO_new(BIO_s_mem());
}

bool mt_crypto_same_key(const EVP_PKEY *a, const EVP_PKEY *b)
{
	return EVP_PKEY_cmp(a, b) == 1;
}

bool mt_crypto_self_signed(X509 *x, bool verify)
{
	EVP_PKEY *key = X509_get0_pubkey(x);

	if (!key || !(X509_get_extension_flags(x) & EXFLAG_SS))
		return false;
	return !verify || X509_verify(x, key) == 1;
}

void mt_crypto_issuers_by_signature(X509_STORE *store)
{
	(void)store;
}

int mt_crypto_verify(X509_STORE_CTX *x)
{
	return X509_verify_cert(x);
}

/* With a limit on locked memory, later mappings that exceed it would fail. */
static bool is_unlimited(void)
{
	struct rlimit r;

	return (mt_rights_now() & MT_RIGHT(CAP_IPC_LOCK)) ||
	       (getrlimit(RLIMIT_MEMLOCK, &r) == 0 && r.rlim_cur == RLIM_INFINITY);
}

bool mt_crypto_lock_keys(void)
{
	return is_unlimited() && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}
