/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of all kinds, for tests, by what OpenSSL and AWS-LC both have. */
#pragma once

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

/* `type`: EVP_PKEY_RSA with `what` bits, EVP_PKEY_EC on the curve `what` (a NID), EVP_PKEY_ED25519. NULL: it cannot be made. */
static inline EVP_PKEY *mt_test_key(int type, int what)
{
	EVP_PKEY_CTX *x = EVP_PKEY_CTX_new_id(type, NULL);
	EVP_PKEY *key = NULL;
	int ok = x && EVP_PKEY_keygen_init(x) == 1;

	if (ok && type == EVP_PKEY_RSA)
		ok = EVP_PKEY_CTX_set_rsa_keygen_bits(x, what) == 1;
	if (ok && type == EVP_PKEY_EC)
		ok = EVP_PKEY_CTX_set_ec_paramgen_curve_nid(x, what) == 1;
	if (!ok || EVP_PKEY_keygen(x, &key) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(x);
	return key;
}
