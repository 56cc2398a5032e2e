/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of public keys (RFC 7517), immutable and reference-counted: any thread may hold a
 * reference. Keys that cannot verify signatures of the supported algorithms (for encryption,
 * symmetric, of unknown type or curve, too short) are left out and counted.
 */
#pragma once

#include "mt_base.h"
#include "mt_log.h"

#include <openssl/evp.h>

#define MT_JWKS_MAX	 262144 /* bytes of the JSON text */
#define MT_JWKS_KEYS	 64	/* usable keys */
#define MT_JWKS_KID	 255
#define MT_JWKS_BITS_MIN 2048 /* of RSA, RFC 7518 §3.3 */
#define MT_JWKS_BITS_MAX 8192 /* longer keys cost a thread too much time */

enum mt_jwk_type { MT_JWK_RSA, MT_JWK_EC, MT_JWK_OKP };

struct mt_jwk {
	uint8_t type; /* enum mt_jwk_type */
	uint16_t bits;
	char alg[8];		   /* "": not given */
	char kid[MT_JWKS_KID + 1]; /* "": not given */
	EVP_PKEY *key;
};

struct mt_jwks {
	uint32_t refs;
	uint32_t n, passed_over;
	struct mt_jwk keys[];
};

/*
 * Parses a set. NULL with *e: the text is not a JWKS, or no memory. A set without usable keys is
 * valid.
 */
struct mt_jwks *mt_jwks_parse(const char *text, size_t len, struct mt_err *e);
struct mt_jwks *mt_jwks_hold(struct mt_jwks *k);
/* NULL is allowed. */
void mt_jwks_drop(struct mt_jwks *k);
