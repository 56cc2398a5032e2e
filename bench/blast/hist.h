/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log-linear histogram of nanoseconds: 128 buckets for each power of two over all of uint64_t. So
 * a value that is read is within 0.4 % of the recorded one; below 256 it is exact. One writer.
 */
#pragma once

#include "mt_hist.h"

#define BLAST_HIST_BITS	   7
#define BLAST_HIST_BUCKETS MT_HIST_BUCKETS(BLAST_HIST_BITS, 64)

struct blast_hist {
	uint64_t n, sum, min, max; /* min is undefined while n is 0 */
	uint64_t buckets[BLAST_HIST_BUCKETS];
};

void blast_hist_clear(struct blast_hist *h);
/* Adds the observations of `from`. */
void blast_hist_merge(struct blast_hist *h, const struct blast_hist *from);
/* The value at or below which `share` (0 to 1) of the observations are; 0 if there are none. */
uint64_t blast_hist_at(const struct blast_hist *h, double share);
/* Observations of at least `value`, to the resolution of a bucket. */
uint64_t blast_hist_above(const struct blast_hist *h, uint64_t value);

static inline void blast_hist_add(struct blast_hist *h, uint64_t v)
{
	if (h->n == 0 || v < h->min)
		h->min = v;
	if (v > h->max)
		h->max = v;
	h->n++;
	h->sum += v;
	h->buckets[mt_hist_bucket(v, BLAST_HIST_BITS)]++;
}
