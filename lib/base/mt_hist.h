/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log-linear histograms: 2^bits buckets for each power of two, so that a value read back lies
 * within 1 / 2^(bits + 1) of one that was put in; values below 2^(bits + 1) are exact. The caller
 * owns an array of counters (64 bits, one writer, read with relaxed loads) and chooses `bits`; this
 * file has the arithmetic only.
 */
#pragma once

#include "mt_base.h"

/* Counters for values below 2^top. */
#define MT_HIST_BUCKETS(bits, top) (((top) - (bits) + 1) << (bits))

static inline uint32_t mt_hist_bucket(uint64_t v, uint32_t bits)
{
	uint32_t top = 63 - (uint32_t)__builtin_clzll(v | 1);
	uint32_t shift = top > bits ? top - bits : 0;

	return (shift << bits) + (uint32_t)(v >> shift);
}

/* The smallest value of a bucket. */
static inline uint64_t mt_hist_low(uint32_t bucket, uint32_t bits)
{
	uint32_t shift = bucket >> bits;

	if (shift < 2)
		return bucket;
	shift--;
	return (uint64_t)(bucket - (shift << bits)) << shift;
}

/* The middle of a bucket, which is what its values are read back as. */
static inline uint64_t mt_hist_middle(uint32_t bucket, uint32_t bits)
{
	uint64_t low = mt_hist_low(bucket, bits);

	return low + (mt_hist_low(bucket + 1, bits) - low) / 2;
}

/* Counts a value v in n buckets; a value that is too large goes into the last one. */
static inline void mt_hist_add(uint64_t *counts, uint32_t n, uint32_t bits, uint64_t v)
{
	uint32_t b = mt_hist_bucket(v, bits);
	uint64_t *c = &counts[MT_MIN(b, n - 1)];

	__atomic_store_n(c, *c + 1, __ATOMIC_RELAXED);
}

/* The quantile `share` (0 to 1) of the observations; 0 when there are none. */
uint64_t mt_hist_at(const uint64_t *counts, uint32_t n, uint32_t bits, double share);

/* The number of observations. */
uint64_t mt_hist_count(const uint64_t *counts, uint32_t n);

/*
 * The number of observations below `value`, which is the smallest value of a bucket (otherwise: in
 * the buckets that end before it).
 */
uint64_t mt_hist_below(const uint64_t *counts, uint32_t n, uint32_t bits, uint64_t value);
