/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker knows of tokens: claims of valid ones until they expire, and why others are not valid, for a while. Tokens
 * themselves are not kept: they are known by a digest of them, of the rules and of where they stood, which nobody can make two of.
 * Bounded; who sends new bad tokens drives out what is known of bad ones alone. All functions are the worker's.
 */
#pragma once

#include "mt_list.h"
#include "mt_token.h"

#define MT_TOKEN_KNOWN	    1024 /* valid ones */
#define MT_TOKEN_REFUSED    1024
#define MT_TOKEN_DIGEST_LEN 32

struct mt_token_cache;

/* One that is valid. */
struct mt_token_known {
	struct mt_list node; /* by when it was last used; */
	uint8_t digest[MT_TOKEN_DIGEST_LEN];
	uint64_t rules, generation;
	uint32_t rule;
	uint32_t refs; /* calls that still need what it says */
	uint16_t next; /* of its bucket, + 1 */
	bool used;
	struct mt_claims claims;
};

/* NULL: no memory. Boot. */
struct mt_token_cache *mt_token_cache_new(void);
/* NULL is allowed. */
void mt_token_cache_free(struct mt_token_cache *c);

/* Names a token. */
void mt_token_cache_digest(struct mt_token_cache *c, const struct mt_token_rules *rules,
	uint64_t allowed, const void *token, uint32_t len, uint8_t digest[MT_TOKEN_DIGEST_LEN]);

/* Whether it is known what it is: *o, and of a valid one *known, until the next call of a function here unless it is held. */
bool mt_token_cache_find(struct mt_token_cache *c, const struct mt_token_rules *rules,
	const uint8_t digest[MT_TOKEN_DIGEST_LEN], int64_t now_s, enum mt_token_outcome *o,
	struct mt_token_known **known);
/* `rules`: their id. */
void mt_token_cache_put(struct mt_token_cache *c, uint64_t rules,
	const uint8_t digest[MT_TOKEN_DIGEST_LEN], const struct mt_token_result *r, int64_t now_s);

/* It stays, whatever comes, until it is dropped as often; its number is not 0. */
uint32_t mt_token_cache_hold(struct mt_token_cache *c, struct mt_token_known *k);
struct mt_token_known *mt_token_cache_held(struct mt_token_cache *c, uint32_t number);
void mt_token_cache_drop(struct mt_token_cache *c, uint32_t number);
