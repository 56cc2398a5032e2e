/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of RFC 7518 §3.3 to §3.5 and RFC 8037 §3.1. */
#include "mt_jwt_priv.h"

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

/*
 * Supported algorithms. "none" and those with a shared secret are missing, because published keys
 * are not secret.
 */
static const struct algorithm {
	const char *name;
	const EVP_MD *(*digest)(void); /* NULL: given by the key */
	uint8_t type;		       /* enum mt_jwk_type */
	uint16_t bits;		       /* of the curve; 0: not EC */
	bool pss;
} algorithms[] = {
	{"RS256", EVP_sha256, MT_JWK_RSA, 0, false},
	{"RS384", EVP_sha384, MT_JWK_RSA, 0, false},
	{"RS512", EVP_sha512, MT_JWK_RSA, 0, false},
	{"PS256", EVP_sha256, MT_JWK_RSA, 0, true},
	{"PS384", EVP_sha384, MT_JWK_RSA, 0, true},
	{"PS512", EVP_sha512, MT_JWK_RSA, 0, true},
	{"ES256", EVP_sha256, MT_JWK_EC, 256, false},
	{"ES384", EVP_sha384, MT_JWK_EC, 384, false},
	{"ES512", EVP_sha512, MT_JWK_EC, 521, false},
	{"EdDSA", NULL, MT_JWK_OKP, 0, false},
};

static const struct algorithm *find(const char *alg)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(algorithms); i++)
		if (strcmp(alg, algorithms[i].name) == 0)
			return &algorithms[i];
	return NULL;
}

bool mt_token_algorithm(const char *alg)
{
	return find(alg) != NULL;
}

bool mt_jwk_fits(const struct mt_jwk *k, const char *alg)
{
	const struct algorithm *a = find(alg);

	return a && a->type == k->type && (!a->bits || a->bits == k->bits);
}

/*
 * Converts r and s, each as long as the curve's order, to DER for the library. Returns the length;
 * 0 if `sig` has another length or memory is short.
 */
static size_t ecdsa_der(const uint8_t *sig, size_t len, uint16_t bits, uint8_t out[160])
{
	size_t half = (bits + 7u) / 8;
	BIGNUM *r = NULL, *s = NULL;
	ECDSA_SIG *both = NULL;
	uint8_t *to = out;
	int n = 0;

	if (len != 2 * half)
		return 0;
	r = BN_bin2bn(sig, (int)half, NULL);
	s = BN_bin2bn(sig + half, (int)half, NULL);
	both = ECDSA_SIG_new();
	if (r && s && both && ECDSA_SIG_set0(both, r, s)) {
		r = s = NULL;
		n = i2d_ECDSA_SIG(both, NULL);
		n = n > 0 && n <= 160 ? i2d_ECDSA_SIG(both, &to) : 0;
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(both);
	return n > 0 ? (size_t)n : 0;
}

static bool use_pss(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) > 0;
}

bool mt_jwk_verify(const struct mt_jwk *k, const char *alg, const char *text, size_t n,
	const uint8_t *sig, size_t sig_len)
{
	const struct algorithm *a = find(alg);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *of_key = NULL;
	uint8_t der[160];
	bool ok = a && ctx && mt_jwk_fits(k, alg);

	if (ok && a->type == MT_JWK_EC) {
		sig_len = ecdsa_der(sig, sig_len, a->bits, der);
		sig = der;
		ok = sig_len > 0;
	}
	ok = ok &&
	     EVP_DigestVerifyInit(ctx, &of_key, a->digest ? a->digest() : NULL, NULL, k->key) > 0 &&
	     (!a->pss || use_pss(of_key)) &&
	     EVP_DigestVerify(ctx, sig, sig_len, (const uint8_t *)text, n) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}
