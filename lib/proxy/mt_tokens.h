/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of calls, for endpoints and gateway ports that verify them (lib/jwt). The result for a
 * token is looked up in a cache. If the cache has none, a thread verifies the token, and the call
 * waits like one that a filter has suspended.
 */
#pragma once

#include "mt_authz.h"
#include "mt_list.h"
#include "mt_token_cache.h"
#include "mt_token_pool.h"

struct mt_authorize_request;

/* Longest time that a call waits until its token is verified. */
#define MT_TOKENS_WAIT_MS 2000

/* Tokens on one worker. */
struct mt_tokens {
	/* NULL: no token can be verified, and calls with one are denied. */
	struct mt_token_lane *lane;
	struct mt_token_cache *cache; /* NULL without a lane */
	/* Calls that wait for the token in this slot of the lane. */
	struct mt_list by_slot[MT_TOKEN_SLOTS];
	struct mt_list later; /* calls that wait for a free slot */
	/* Slot with a new result, while the calls that waited for it continue; else NULL. */
	const struct mt_token_slot *fresh;
	/*
	 * Slot with a result for which calls still wait, because no steps were left to read their
	 * metadata again. The next iteration resumes them. NULL: none.
	 */
	struct mt_token_slot *unfinished;
	uint64_t counters[MT_TOKEN_N_OUTCOMES];
	char token[MT_TOKEN_MAX]; /* token of the call that is being evaluated */
};

/* Result of mt_tokens_find(). */
struct mt_tokens_found {
	enum mt_authz_read read;
	uint32_t n; /* number of different tokens; 2: two or more */
	bool too_long;
	/* Bit set of the rules that search every place where the token was found. */
	uint64_t allowed;
	uint32_t len; /* length of the token in the caller's buffer */
};

/* Searches for tokens and copies one to `token`, of MT_TOKEN_MAX bytes. Any thread. */
void mt_tokens_find(const struct mt_authorize_request *ask, const struct mt_authz_tokens *t,
	char *token, struct mt_tokens_found *f);

/*
 * Searches for a token and verifies it as of `now_s` (seconds since 1970). Returns NULL with
 * *claims set if it is valid, NULL with *claims NULL if there is no token, else the reason for a
 * denial. Texts and claims are valid until the next call. Control thread only.
 */
const char *mt_tokens_explain(const struct mt_authorize_request *ask,
	const struct mt_authz_tokens *t, int64_t now_s, const struct mt_claims **claims);
