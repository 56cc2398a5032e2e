/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of lib/jwt. */
#pragma once

#include "mt_token.h"

#include <jansson.h>

/* base64url.c: bytes written to `out`, which has room for len * 3 / 4; negative: it is no base64url without padding (RFC 7515 §2). */
ssize_t mt_base64url(const char *in, size_t len, uint8_t *out);

/* verify.c: whether the signature over signed[0..n) is the key's. */
bool mt_jwk_verify(const struct mt_jwk *k, const char *alg, const char *text, size_t n,
	const uint8_t *sig, size_t sig_len);
/* Whether a key may sign by the algorithm at all. */
bool mt_jwk_fits(const struct mt_jwk *k, const char *alg);
/* Whether it is one that is taken. */
bool mt_token_algorithm(const char *alg);

/* flatten.c: NULL-terminated `spaced`: top claims whose strings are lists of words. false: they do not fit. */
bool mt_claims_flatten(struct mt_claims *c, const json_t *claims, const struct mt_token_rule *r);
