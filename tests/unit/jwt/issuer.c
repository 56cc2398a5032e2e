/* SPDX-License-Identifier: Apache-2.0 */
#include "issuer.h"

#include "mt_test.h"
#include "mt_test_keys.h"

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/x509.h>

char *base64url(const void *p, size_t n)
{
	char *s = malloc(4 * n / 3 + 5);
	int len = EVP_EncodeBlock((unsigned char *)s, p, (int)n);

	while (len && s[len - 1] == '=')
		len--;
	s[len] = '\0';
	for (char *c = s; *c; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
	return s;
}

static const char *curve_of(const char *alg)
{
	return alg[2] == '2' ? "P-256" : alg[2] == '3' ? "P-384" : "P-521";
}

struct issuer issuer_make(const char *alg, const char *kid)
{
	struct issuer i = {.alg = alg, .kid = kid};

	if (alg[0] == 'R' || alg[0] == 'P')
		i.key = mt_test_key(EVP_PKEY_RSA, 2048);
	else if (strcmp(alg, "EdDSA") == 0)
		i.key = mt_test_key(EVP_PKEY_ED25519, 0);
	else
		i.key = mt_test_key(EVP_PKEY_EC, EC_curve_nist2nid(curve_of(alg)));
	CU_ASSERT_PTR_NOT_NULL_FATAL(i.key);
	return i;
}

void issuer_free(struct issuer *i)
{
	EVP_PKEY_free(i->key);
}

const struct issuer *issuer_of(const char *alg)
{
	static struct issuer all[16];
	size_t n = 0;

	for (; all[n].alg; n++)
		if (strcmp(all[n].alg, alg) == 0)
			return &all[n];
	all[n] = issuer_make(alg, alg);
	return &all[n];
}

/* ---- its key --------------------------------------------------------------------------------------- */

static char *integer(const uint8_t **p, const uint8_t *end)
{
	ASN1_INTEGER *i = d2i_ASN1_INTEGER(NULL, p, end - *p);
	BIGNUM *n = i ? ASN1_INTEGER_to_BN(i, NULL) : NULL;
	uint8_t bytes[1024];
	int len;

	CU_ASSERT_PTR_NOT_NULL_FATAL(n);
	len = BN_bn2bin(n, bytes);
	BN_free(n);
	ASN1_INTEGER_free(i);
	return base64url(bytes, (size_t)len);
}

/* Modulus and exponent (RFC 8017 §A.1.1), or the point's coordinates (SEC 1 §2.3.3). */
static void numbers(const struct issuer *i, char **a, char **b)
{
	uint8_t *der = NULL;
	int n = i2d_PublicKey(i->key, &der), tag, class;
	const uint8_t *p = der;
	long len;

	CU_ASSERT_FATAL(n > 0);
	if (EVP_PKEY_id(i->key) == EVP_PKEY_RSA) {
		CU_ASSERT_FATAL((ASN1_get_object(&p, &len, &tag, &class, n) & 0x80) == 0);
		*a = integer(&p, der + n);
		*b = integer(&p, der + n);
	} else {
		CU_ASSERT_EQUAL_FATAL(der[0], 4);
		*a = base64url(der + 1, (size_t)n / 2);
		*b = base64url(der + 1 + n / 2, (size_t)n / 2);
	}
	OPENSSL_free(der);
}

char *issuer_jwk(const struct issuer *i, const char *more)
{
	char *a = NULL, *b = NULL, *out;
	uint8_t raw[32];
	size_t n = sizeof(raw);
	int rc;

	if (i->alg[0] == 'R' || i->alg[0] == 'P') {
		numbers(i, &a, &b);
		rc = asprintf(&out, "{\"kty\":\"RSA\",\"kid\":\"%s\",\"n\":\"%s\",\"e\":\"%s\"%s}",
			i->kid, a, b, more);
	} else if (i->alg[1] == 'S') {
		numbers(i, &a, &b);
		rc = asprintf(&out,
			"{\"kty\":\"EC\",\"crv\":\"%s\",\"kid\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"%"
			"s}",
			curve_of(i->alg), i->kid, a, b, more);
	} else {
		CU_ASSERT_FATAL(EVP_PKEY_get_raw_public_key(i->key, raw, &n));
		a = base64url(raw, n);
		rc = asprintf(&out,
			"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"%s\",\"x\":\"%s\"%s}",
			i->kid, a, more);
	}
	CU_ASSERT_FATAL(rc > 0);
	free(a);
	free(b);
	return out;
}

char *issuer_jwks(const struct issuer *i)
{
	char *key = issuer_jwk(i, ""), *out;

	CU_ASSERT_FATAL(asprintf(&out, "{\"keys\":[%s]}", key) > 0);
	free(key);
	return out;
}

/* ---- its tokens ------------------------------------------------------------------------------------ */

/* r and s, of fixed size. */
static size_t raw_ecdsa(const struct issuer *i, uint8_t *sig, size_t n)
{
	int half = (EVP_PKEY_bits(i->key) + 7) / 8;
	const uint8_t *p = sig;
	ECDSA_SIG *both = d2i_ECDSA_SIG(NULL, &p, (long)n);

	BN_bn2binpad(ECDSA_SIG_get0_r(both), sig, half);
	BN_bn2binpad(ECDSA_SIG_get0_s(both), sig + half, half);
	ECDSA_SIG_free(both);
	return 2 * (size_t)half;
}

static size_t sign(const struct issuer *i, const char *text, uint8_t sig[1024])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *k = NULL;
	const EVP_MD *digest = NULL;
	char name[8];
	size_t n = 1024;

	if (i->alg[0] != 'E' || i->alg[1] == 'S') {
		snprintf(name, sizeof(name), "SHA%s", i->alg + 2);
		digest = EVP_get_digestbyname(name);
	}
	CU_ASSERT_FATAL(EVP_DigestSignInit(ctx, &k, digest, NULL, i->key));
	if (i->alg[0] == 'P')
		CU_ASSERT_FATAL(EVP_PKEY_CTX_set_rsa_padding(k, RSA_PKCS1_PSS_PADDING) > 0 &&
				EVP_PKEY_CTX_set_rsa_pss_saltlen(k, RSA_PSS_SALTLEN_DIGEST) > 0);
	CU_ASSERT_FATAL(EVP_DigestSign(ctx, sig, &n, (const uint8_t *)text, strlen(text)));
	EVP_MD_CTX_free(ctx);
	return i->alg[0] == 'E' && i->alg[1] == 'S' ? raw_ecdsa(i, sig, n) : n;
}

char *issuer_sign(const struct issuer *i, const char *header, const char *claims)
{
	char own[128], *a, *b, *c, *both, *out;
	uint8_t sig[1024];

	snprintf(own, sizeof(own), "{\"alg\":\"%s\",\"kid\":\"%s\"}", i->alg, i->kid);
	header = header ? header : own;
	a = base64url(header, strlen(header));
	b = base64url(claims, strlen(claims));
	CU_ASSERT_FATAL(asprintf(&both, "%s.%s", a, b) > 0);
	c = base64url(sig, sign(i, both, sig));
	CU_ASSERT_FATAL(asprintf(&out, "%s.%s", both, c) > 0);
	free(a);
	free(b);
	free(c);
	free(both);
	return out;
}

struct mt_token_rules *one_rule(struct mt_jwks_store *s, const char *jwks,
	const char *const *audiences, uint32_t n_audiences)
{
	static const char *const spaced[] = {"scope", "permission"};
	struct mt_err e = {""};
	const struct mt_jwks_said said = {.text = jwks};
	struct mt_jwks_source *keys = mt_jwks_store_get(s, &said, &e);
	const struct mt_token_place place = {"authorization", "Bearer ", 1};
	const struct mt_token_rule rule = {.by = "RequestAuthentication a/b",
		.issuer = "iss",
		.audiences = audiences,
		.n_audiences = n_audiences,
		.spaced = spaced,
		.n_spaced = 2,
		.keys = keys};
	struct mt_token_rules *r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(keys);
	r = mt_token_rules_new(&rule, 1, &place, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	mt_jwks_source_drop(keys);
	return r;
}
