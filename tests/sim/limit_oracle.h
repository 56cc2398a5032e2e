/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a local rate limit must do, computed beside the filter under test: one counter per bucket, charged
 * in the order in which requests came, whatever worker asked.
 *
 * It asks the real filter and judges each verdict: an admission when the reference has no token left is
 * one too many. A refusal is wrong while the reference has more tokens than other workers can hold in
 * claims; they may hold claims only for a millisecond after their last request.
 */
#pragma once

#include "sim.h"

#include "mt_filter_limit.h"

#define LIMIT_BUCKETS 2 /* of calls whose route is 'a'; the service's own */

struct limit_numbers {
	bool on;
	struct mt_bucket_numbers n;
};

struct limit_bucket {
	struct mt_bucket_numbers n;
	uint64_t origin, epoch; /* fills are counted from the origin on */
	bool live;
	/* Tokens left: at most (nothing was lost), and at least (what lay in claims at a fill was). */
	uint32_t most, least;
	uint64_t asked[SIM_MAX_WORKERS]; /* when a worker was last admitted */
	uint64_t
		changed; /* when it got its numbers; workers may hold so many each of those before */
	uint32_t claim_before;
	uint64_t admitted, refused;
};

struct limit_oracle {
	struct sim *sim;
	uint32_t workers;
	const char *key; /* metadata that names the route */
	struct limit_bucket bucket[LIMIT_BUCKETS];
};

/* Other numbers from now on, for `on` ones; those that are off keep their tokens until they come back. */
void limit_oracle_set(struct limit_oracle *o, const struct limit_numbers n[LIMIT_BUCKETS]);
/* The filter that asks the real one. `conf` of both is from limit_witness_new(). */
extern const struct mt_filter limit_witness;
/* `bucket` for calls of route 'a', and for others; -1: they pass. Owns `real`. */
void *limit_witness_new(struct limit_oracle *o, struct mt_filter_inst real, int of_a, int of_rest,
	struct mt_key key);
/* The filter's own numbers must agree, and nothing may be claimed when all is quiet. */
void limit_oracle_check(struct limit_oracle *o, const struct mt_limit_registry *r);
