/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash functions compatible with the mesh's other proxies, so that a key selects the same endpoint
 * in all of them.
 */
#include "mt_balance.h"

#include <string.h>

#include <xxhash.h>

uint64_t mt_balance_hash(const void *p, size_t len, uint64_t seed)
{
	return XXH64(p, len, seed);
}

static int slice_cmp(const struct mt_slice *a, const struct mt_slice *b)
{
	uint32_t n = MT_MIN(a->len, b->len);
	int d = n ? memcmp(a->p, b->p, n) : 0;

	if (d)
		return d;
	return a->len < b->len ? -1 : a->len > b->len;
}

uint64_t mt_balance_hash_values(struct mt_slice *values, uint32_t n)
{
	uint64_t h = 0;

	/* Few keys, so insertion sort is enough. */
	for (uint32_t i = 1; i < n; i++) {
		struct mt_slice v = values[i];
		uint32_t j = i;

		for (; j > 0 && slice_cmp(&v, &values[j - 1]) < 0; j--)
			values[j] = values[j - 1];
		values[j] = v;
	}
	for (uint32_t i = 0; i < n; i++)
		h = XXH64(values[i].len ? (const void *)values[i].p : "", values[i].len, h);
	return h;
}
