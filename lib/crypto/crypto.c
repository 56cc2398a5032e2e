/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that need several calls and are the same with both libraries. */
#include "mt_crypto.h"

#include <openssl/ec.h>

EVP_PKEY *mt_crypto_new_key(void)
{
	EVP_PKEY_CTX *x = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
	EVP_PKEY *key = NULL;

	if (!x || EVP_PKEY_keygen_init(x) != 1 ||
		EVP_PKEY_CTX_set_ec_paramgen_curve_nid(x, NID_X9_62_prime256v1) != 1 ||
		EVP_PKEY_keygen(x, &key) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(x);
	return key;
}

bool mt_crypto_share_a_name(const STACK_OF(X509) * all)
{
	for (int i = 1; i < (int)sk_X509_num(all); i++)
		for (int k = 0; k < i; k++)
			if (X509_NAME_cmp(X509_get_subject_name(sk_X509_value(all, i)),
				    X509_get_subject_name(sk_X509_value(all, k))) == 0)
				return true;
	return false;
}
