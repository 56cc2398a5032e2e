/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's cache of token verifications: the claims of valid tokens until they expire, and the
 * outcomes of invalid ones for a while. The key is a SHA-256 digest of the token, the rules' id and
 * the places where the token was found; tokens themselves are not kept. The size is bounded, and
 * new invalid tokens evict only cached invalid tokens. Worker only.
 */
#pragma once

#include "mt_list.h"
#include "mt_token.h"

#define MT_TOKEN_KNOWN	    1024 /* valid tokens */
#define MT_TOKEN_REFUSED    1024
#define MT_TOKEN_DIGEST_LEN 32

struct mt_token_cache;

/* A valid token. */
struct mt_token_known {
	struct mt_list node; /* in the order of last use */
	uint8_t digest[MT_TOKEN_DIGEST_LEN];
	uint64_t rules, generation;
	uint32_t rule;
	uint32_t refs; /* calls that still use the claims */
	uint16_t next; /* next entry in the bucket: its index + 1; 0: none */
	bool used;
	struct mt_claims claims;
};

/* NULL: no memory. Boot only. */
struct mt_token_cache *mt_token_cache_new(void);
/* NULL is allowed. */
void mt_token_cache_free(struct mt_token_cache *c);

/* Computes the cache key of a token. */
void mt_token_cache_digest(struct mt_token_cache *c, const struct mt_token_rules *rules,
	uint64_t allowed, const void *token, uint32_t len, uint8_t digest[MT_TOKEN_DIGEST_LEN]);

/*
 * True if the token's outcome is cached; sets *o. Sets *known for a valid token, otherwise to NULL;
 * *known stays valid until the next call of a function here, or longer if it is held.
 */
bool mt_token_cache_find(struct mt_token_cache *c, const struct mt_token_rules *rules,
	const uint8_t digest[MT_TOKEN_DIGEST_LEN], int64_t now_s, enum mt_token_outcome *o,
	struct mt_token_known **known);
/* Caches a result until r->until. `rules`: the id of the rules. */
void mt_token_cache_put(struct mt_token_cache *c, uint64_t rules,
	const uint8_t digest[MT_TOKEN_DIGEST_LEN], const struct mt_token_result *r, int64_t now_s);

/* Keeps an entry until it is dropped as often as it was held. Returns its number, never 0. */
uint32_t mt_token_cache_hold(struct mt_token_cache *c, struct mt_token_known *k);
struct mt_token_known *mt_token_cache_held(struct mt_token_cache *c, uint32_t number);
void mt_token_cache_drop(struct mt_token_cache *c, uint32_t number);
