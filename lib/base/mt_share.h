/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares of a limit that several owners use, in the order in which they come: the last quarter is
 * for owners that have less than a quarter, so that one owner cannot use up what others need.
 */
#pragma once

#include "mt_region.h"
#include "mt_strmap.h"

/* The part of the limit that an owner with `own` may still take, if all together have `used`. */
static inline uint64_t mt_share_left(uint64_t limit, uint64_t used, uint64_t own)
{
	uint64_t share = limit / 4, common = limit - share;
	uint64_t left = used < common ? common - used : 0;
	uint64_t rest = own < share ? share - own : 0;

	return MT_MAX(left, MT_MIN(rest, limit - MT_MIN(used, limit)));
}

/*
 * Returns the account of an owner in a map by owner: `size` bytes of the region, zero at first.
 * `owner` must outlive the map. NULL: no memory, and the region has failed.
 */
void *mt_share_account(
	struct mt_strmap *accounts, struct mt_region *r, const char *owner, size_t size);
