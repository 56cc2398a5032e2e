/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Distributions of sizes and delays: weighted values and ranges, "20@9,1K-10K@1", "5ms@99,50ms@1".
 */
#pragma once

#include "mt_log.h"
#include "mt_rand.h"

#define BLAST_DIST_ITEMS 32

enum blast_unit { BLAST_BYTES, BLAST_TIME }; /* TIME: in nanoseconds */

struct blast_dist {
	uint32_t n; /* 0: not given */
	struct {
		uint64_t lo, hi; /* uniform in lo..hi */
		double upto;	 /* cumulative share of this item and all before it */
	} items[BLAST_DIST_ITEMS];
};

/*
 * Parses one value: "120000", "10K", "250us". Returns 0, or -EINVAL with the error and the expected
 * form.
 */
int blast_value_parse(const char *text, enum blast_unit unit, uint64_t *v, struct mt_err *e);
/* ITEM[,ITEM...], ITEM = VALUE[-VALUE][@WEIGHT]. 0 or -EINVAL. */
int blast_dist_parse(
	const char *text, enum blast_unit unit, struct blast_dist *d, struct mt_err *e);
uint64_t blast_dist_pick(const struct blast_dist *d, struct mt_rand *r);
uint64_t blast_dist_min(const struct blast_dist *d);
uint64_t blast_dist_max(const struct blast_dist *d);
double blast_dist_mean(const struct blast_dist *d);
