/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of calls, in front of endpoints and at gates that ask for them (lib/jwt). What is known of one is looked up; else a thread
 * verifies it, and the call waits, as one that a filter has suspended.
 */
#pragma once

#include "mt_authz.h"
#include "mt_list.h"
#include "mt_token_cache.h"
#include "mt_token_pool.h"

struct mt_guard_ask;

#define MT_TOKENS_WAIT_MS 2000

/* A worker's. */
struct mt_tokens {
	struct mt_token_lane *lane;   /* NULL: none can be verified, and all are denied */
	struct mt_token_cache *cache; /* with it */
	struct mt_list
		by_slot[MT_TOKEN_SLOTS];   /* calls that wait for the one that is verified there */
	struct mt_list later;		   /* for a slot */
	const struct mt_token_slot *fresh; /* whose calls go on just now */
	uint64_t counters[MT_TOKEN_N_OUTCOMES];
	char token[MT_TOKEN_MAX]; /* of the call that is looked at */
};

/* What is found in a call's metadata. */
struct mt_tokens_found {
	enum mt_authz_read read;
	uint32_t n; /* 2: more than one */
	bool too_long;
	uint64_t allowed; /* rules that look in all the places where it stands */
	uint32_t len;	  /* of the token, in the caller's buffer */
};

/* Any thread: looks for tokens, and copies one to `token`, of MT_TOKEN_MAX bytes. */
void mt_tokens_find(const struct mt_guard_ask *ask, const struct mt_authz_tokens *t, char *token,
	struct mt_tokens_found *f);

/* The control thread: the same, and verifies it. NULL: it is valid (*claims), or there is none (*claims NULL); else why not. */
const char *mt_tokens_explain(const struct mt_guard_ask *ask, const struct mt_authz_tokens *t,
	int64_t now_s, const struct mt_claims **claims);
