/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations shared by the files of lib/jwt. */
#pragma once

#include "mt_token.h"

#include <jansson.h>

/*
 * base64url.c: decodes to `out`, which has room for len * 3 / 4 bytes. Returns the bytes written; <
 * 0 if the text is not base64url without padding (RFC 7515 §2).
 */
ssize_t mt_base64url(const char *in, size_t len, uint8_t *out);

/* verify.c: true if `sig` is a signature over text[0..n) by the key. */
bool mt_jwk_verify(const struct mt_jwk *k, const char *alg, const char *text, size_t n,
	const uint8_t *sig, size_t sig_len);
/* True if the key is of the type that the algorithm needs. */
bool mt_jwk_fits(const struct mt_jwk *k, const char *alg);
/* True if the algorithm is supported. */
bool mt_token_algorithm(const char *alg);

/*
 * flatten.c: flattens the claims; strings of the claims in r->spaced become lists of words. False
 * if they do not fit.
 */
bool mt_claims_flatten(struct mt_claims *c, const json_t *claims, const struct mt_token_rule *r);
