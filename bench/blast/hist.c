/* SPDX-License-Identifier: Apache-2.0 */
#include "hist.h"

#include <math.h>
#include <string.h>

void blast_hist_clear(struct blast_hist *h)
{
	memset(h, 0, sizeof(*h));
}

void blast_hist_merge(struct blast_hist *h, const struct blast_hist *from)
{
	if (!from->n)
		return;
	h->min = h->n ? MT_MIN(h->min, from->min) : from->min;
	h->max = MT_MAX(h->max, from->max);
	h->n += from->n;
	h->sum += from->sum;
	for (uint32_t b = 0; b < BLAST_HIST_BUCKETS; b++)
		h->buckets[b] += from->buckets[b];
}

uint64_t blast_hist_at(const struct blast_hist *h, double share)
{
	/* The small term keeps rounding from moving the rank past the last observations. */
	uint64_t rank = (uint64_t)ceil(share * (double)h->n - 1e-6), seen = 0;

	rank = MT_MIN(MT_MAX(rank, 1), h->n);
	if (!h->n)
		return 0;
	if (rank == h->n)
		return h->max;
	for (uint32_t b = 0; b < BLAST_HIST_BUCKETS; b++) {
		seen += h->buckets[b];
		if (seen >= rank)
			return MT_MAX(MT_MIN(mt_hist_middle(b, BLAST_HIST_BITS), h->max), h->min);
	}
	return h->max;
}

uint64_t blast_hist_above(const struct blast_hist *h, uint64_t value)
{
	uint64_t n = 0;

	for (uint32_t b = mt_hist_bucket(value, BLAST_HIST_BITS); b < BLAST_HIST_BUCKETS; b++)
		n += h->buckets[b];
	return n;
}
