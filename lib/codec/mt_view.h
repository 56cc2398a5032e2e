/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exchange view: all that routes, filters and scripts see of a message. Reads metadata as late as
 * possible, collects changes, answers now, suspends and resumes.
 */
#pragma once

#include "mt_addr.h"
#include "mt_codec.h"

#define MT_VIEW_MUTATIONS 32

struct mt_view {
	const struct mt_codec *codec;
	struct mt_msg *msg;
	struct mt_chain *chain; /* begins with the message */
	struct mt_addr peer;	/* the client's address */
	uint64_t rnd;		/* one random draw per exchange (weights) */
	uint32_t n_mutations;
	struct mt_mutation mutations[MT_VIEW_MUTATIONS]; /* applied once, after the filters */
	uint8_t scratch[MT_META_SCRATCH];
};

/* What a hashing balancer takes of an exchange: the keys' values, then the client's address. */
struct mt_hash_by {
	struct mt_key *keys;
	uint32_t n_keys;
	bool source;
};

/* The value of a key; false when it is not there. Valid until the next call (one scratch). */
static inline bool mt_view_get(struct mt_view *v, const struct mt_key *key, struct mt_slice *value)
{
	return v->codec->metadata && v->codec->metadata(v->msg, v->chain, key, value, v->scratch);
}
