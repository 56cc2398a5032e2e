/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of addresses as sorted, disjoint ranges. Addresses are ordered by their 16 bytes, so IPv4
 * ones are a block among those of IPv6. Built in a region, by the control thread; a set is then
 * immutable and may be read by any thread. Without memory functions leave the region `failed`.
 */
#pragma once

#include "mt_addr.h"
#include "mt_region.h"

struct mt_addr_range {
	struct mt_addr lo, hi; /* inclusive */
};

struct mt_addr_ranges {
	struct mt_addr_range *v;
	uint32_t n;
};

/*
 * Appends the addresses that mt_prefix_contains() has of this network. The list is a set only after
 * mt_ranges_settle().
 */
void mt_ranges_add(
	struct mt_region *r, struct mt_addr_ranges *s, const struct mt_addr *net, uint8_t prefix);
void mt_ranges_append(
	struct mt_region *r, struct mt_addr_ranges *s, const struct mt_addr_ranges *more);
/* Sorts a list of ranges and joins those that overlap or touch. */
void mt_ranges_settle(struct mt_addr_ranges *s);

/* All addresses. */
struct mt_addr_ranges mt_ranges_all(struct mt_region *r);
bool mt_ranges_are_all(const struct mt_addr_ranges *s);
/* Addresses that are not in the set. */
struct mt_addr_ranges mt_ranges_others(struct mt_region *r, const struct mt_addr_ranges *s);
/* Addresses in both sets. */
struct mt_addr_ranges mt_ranges_common(
	struct mt_region *r, const struct mt_addr_ranges *a, const struct mt_addr_ranges *b);
/* True if the address is in the set; O(log n). */
bool mt_ranges_have(const struct mt_addr_ranges *s, const struct mt_addr *a);
