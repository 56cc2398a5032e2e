/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Web Key Sets: RFC 7517, with the keys of RFC 7518 §6.2 and §6.3 and of RFC 8037. */
#include "mt_jwks.h"

#include "mt_crypto.h"
#include "mt_jwt_priv.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

/* Bytes of a modulus of MT_JWKS_BITS_MAX, and one more. */
#define NUMBER_MAX (MT_JWKS_BITS_MAX / 8 + 1)

/* Decodes a base64url member and returns its length; 0 if it is missing, invalid or too long. */
static size_t bytes_of(const json_t *o, const char *name, uint8_t out[NUMBER_MAX])
{
	const json_t *v = json_object_get(o, name);
	const char *s = json_string_value(v);
	size_t len = json_string_length(v);
	ssize_t n;

	if (!s || len > NUMBER_MAX * 4 / 3)
		return 0;
	n = mt_base64url(s, len, out);
	return n > 0 ? (size_t)n : 0;
}

static EVP_PKEY *rsa_key(const json_t *o)
{
	uint8_t n[NUMBER_MAX], e[NUMBER_MAX];
	size_t n_len = bytes_of(o, "n", n), e_len = bytes_of(o, "e", e);
	BIGNUM *bn = NULL, *be = NULL;
	EVP_PKEY *key = NULL;
	int bits = 0;

	/* Reject exponents above 64 bits: they have no use and cost as much as a modulus. */
	if (n_len && e_len && e_len <= 8) {
		bn = BN_bin2bn(n, (int)n_len, NULL);
		be = BN_bin2bn(e, (int)e_len, NULL);
	}
	if (bn)
		bits = BN_num_bits(bn);
	if (be && bits >= MT_JWKS_BITS_MIN && bits <= MT_JWKS_BITS_MAX && BN_is_odd(bn) &&
		BN_is_odd(be) && !BN_is_one(be))
		key = mt_crypto_rsa_key(bn, be);
	BN_free(bn);
	BN_free(be);
	return key;
}

static const struct curve {
	const char *name, *group;
	uint16_t bits;
} curves[] = {{"P-256", "P-256", 256}, {"P-384", "P-384", 384}, {"P-521", "P-521", 521}};

/*
 * Encodes the point as octets (SEC 1 §2.3.3): 4, x, y. mt_crypto_ec_key() checks that it is on the
 * curve.
 */
static EVP_PKEY *ec_key(const json_t *o, uint16_t *bits)
{
	const char *crv = json_string_value(json_object_get(o, "crv"));
	uint8_t x[NUMBER_MAX], y[NUMBER_MAX], point[1 + 2 * 66] = {4};
	size_t x_len = bytes_of(o, "x", x), y_len = bytes_of(o, "y", y), size;

	for (size_t i = 0; crv && i < MT_ARRAY_LEN(curves); i++)
		if (strcmp(crv, curves[i].name) == 0)
			*bits = curves[i].bits;
	size = (*bits + 7u) / 8;
	if (!*bits || x_len != size || y_len != size)
		return NULL;
	memcpy(point + 1, x, size);
	memcpy(point + 1 + size, y, size);
	return mt_crypto_ec_key(crv, point, 1 + 2 * size);
}

static EVP_PKEY *okp_key(const json_t *o)
{
	const char *crv = json_string_value(json_object_get(o, "crv"));
	uint8_t x[NUMBER_MAX];

	if (!crv || strcmp(crv, "Ed25519") != 0 || bytes_of(o, "x", x) != 32)
		return NULL;
	return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, 32);
}

static EVP_PKEY *key_of(const json_t *o, struct mt_jwk *k)
{
	const char *kty = json_string_value(json_object_get(o, "kty"));
	EVP_PKEY *key = NULL;

	if (!kty)
		return NULL;
	if (strcmp(kty, "RSA") == 0) {
		k->type = MT_JWK_RSA;
		key = rsa_key(o);
	} else if (strcmp(kty, "EC") == 0) {
		k->type = MT_JWK_EC;
		key = ec_key(o, &k->bits);
	} else if (strcmp(kty, "OKP") == 0) {
		k->type = MT_JWK_OKP;
		key = okp_key(o);
	}
	/* Clear the library's error queue, which nothing else reads. */
	ERR_clear_error();
	return key;
}

/* Copies a text member; "" if it is absent. False if it is not a text, or too long. */
static bool text_of(const json_t *o, const char *name, char *to, size_t size)
{
	const json_t *v = json_object_get(o, name);
	const char *s = json_string_value(v);

	return (s || !v) && (size_t)snprintf(to, size, "%s", s ? s : "") < size;
}

/*
 * True if "use" and "key_ops" permit verification (RFC 7517 §4.2 and §4.3); each permits it if
 * absent.
 */
static bool is_for_signatures(const json_t *o)
{
	const json_t *ops = json_object_get(o, "key_ops"), *v;
	bool verifies = !ops;
	char use[4];
	size_t i;

	json_array_foreach((json_t *)ops, i, v)
	{
		const char *op = json_string_value(v);

		verifies |= op && strcmp(op, "verify") == 0;
	}
	return verifies && text_of(o, "use", use, sizeof(use)) &&
	       (!json_object_get(o, "use") || !strcmp(use, "sig"));
}

/* Reads a key; false if it cannot verify signatures. */
static bool read_key(const json_t *o, struct mt_jwk *k)
{
	*k = (struct mt_jwk){0};
	if (!is_for_signatures(o) || !text_of(o, "kid", k->kid, sizeof(k->kid)) ||
		!text_of(o, "alg", k->alg, sizeof(k->alg)))
		return false;
	k->key = key_of(o, k);
	if (k->key && (!*k->alg || mt_jwk_fits(k, k->alg)))
		return true;
	EVP_PKEY_free(k->key);
	k->key = NULL;
	return false;
}

static struct mt_jwks *read_keys(const json_t *list, struct mt_err *e)
{
	struct mt_jwks *k = calloc(1, sizeof(*k) + MT_JWKS_KEYS * sizeof(k->keys[0]));
	const json_t *o;
	size_t i;

	if (!k) {
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	k->refs = 1;
	json_array_foreach((json_t *)list, i, o)
	{
		if (k->n < MT_JWKS_KEYS && read_key(o, &k->keys[k->n]))
			k->n++;
		else
			k->passed_over++;
	}
	return k;
}

struct mt_jwks *mt_jwks_parse(const char *text, size_t len, struct mt_err *e)
{
	struct mt_jwks *k = NULL;
	json_error_t why;
	json_t *o, *list;

	if (len > MT_JWKS_MAX) {
		mt_err(e, -EINVAL, "it is longer than %d bytes", MT_JWKS_MAX);
		return NULL;
	}
	o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	list = json_object_get(o, "keys");
	if (!o)
		mt_err(e, -EINVAL, "it is not JSON: line %d: %s", why.line, why.text);
	else if (!json_is_array(list))
		mt_err(e, -EINVAL, "it has no list \"keys\" (RFC 7517 §5)");
	else
		k = read_keys(list, e);
	json_decref(o);
	return k;
}

struct mt_jwks *mt_jwks_hold(struct mt_jwks *k)
{
	__atomic_add_fetch(&k->refs, 1, __ATOMIC_RELAXED);
	return k;
}

void mt_jwks_drop(struct mt_jwks *k)
{
	if (!k || __atomic_sub_fetch(&k->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (uint32_t i = 0; i < k->n; i++)
		EVP_PKEY_free(k->keys[i].key);
	free(k);
}
