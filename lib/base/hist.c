/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_hist.h"

uint64_t mt_hist_count(const uint64_t *counts, uint32_t n)
{
	uint64_t sum = 0;

	for (uint32_t b = 0; b < n; b++)
		sum += counts[b];
	return sum;
}

/*
 * The rank of a share among n observations, from 1. In millionths, so that no mathematics library
 * is needed.
 */
static uint64_t rank_of(uint64_t n, double share)
{
	uint64_t ppm = (uint64_t)(share * 1e6 + 0.5);
	uint64_t rank = n / 1000000 * ppm + (n % 1000000 * ppm + 999999) / 1000000;

	return MT_MIN(MT_MAX(rank, UINT64_C(1)), n);
}

uint64_t mt_hist_at(const uint64_t *counts, uint32_t n, uint32_t bits, double share)
{
	uint64_t total = mt_hist_count(counts, n), seen = 0, rank;

	if (total == 0)
		return 0;
	rank = rank_of(total, share);
	for (uint32_t b = 0; b < n; b++) {
		seen += counts[b];
		if (seen >= rank)
			return mt_hist_middle(b, bits);
	}
	return 0;
}

uint64_t mt_hist_below(const uint64_t *counts, uint32_t n, uint32_t bits, uint64_t value)
{
	uint32_t end = mt_hist_bucket(value, bits);

	return mt_hist_count(counts, MT_MIN(end, n));
}
