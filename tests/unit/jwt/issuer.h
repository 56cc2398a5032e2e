/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody who signs tokens, by the library itself and not by what is tested. */
#pragma once

#include "mt_jwks_store.h"

#include <openssl/evp.h>

struct issuer {
	const char *alg, *kid;
	EVP_PKEY *key;
};

/* By "RS256" … "EdDSA"; RSA of 2,048 bits. Kept until the program ends. */
const struct issuer *issuer_of(const char *alg);
/* Another key of it. */
struct issuer issuer_make(const char *alg, const char *kid);
void issuer_free(struct issuer *i);

/* All from malloc(). */
char *base64url(const void *p, size_t n);
/* "{…}" of its public key; `more`: further members, with a comma in front. */
char *issuer_jwk(const struct issuer *i, const char *more);
char *issuer_jwks(const struct issuer *i);
/* The claims in JSON; `header` NULL: its alg and kid. */
char *issuer_sign(const struct issuer *i, const char *header, const char *claims);

/* One rule, for tokens of "iss" in `authorization`, `Bearer `. */
struct mt_token_rules *one_rule(struct mt_jwks_store *s, const char *jwks,
	const char *const *audiences, uint32_t n_audiences);
