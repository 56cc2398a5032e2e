/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that an author may choose so that a hash without a key does not tell them apart, and what a look among them costs: the most slots in a row
 * that are in use. Chance stays below CROWD_ROW.
 */
#pragma once

#include "mt_addr.h"
#include "mt_rand.h"

#define CROWD	  8192
#define CROWD_ROW 256

/* The i-th of many below 2001:db8::/32 that agree in q[0] ^ rotl(q[1], 29). */
static inline struct mt_addr crowd_addr(uint32_t i)
{
	struct mt_addr a = {.b = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
	uint64_t d = (uint64_t)i << 3;

	a.q[1] ^= d;
	a.q[0] ^= mt_rotl64(d, 29);
	return a;
}

static inline uint32_t crowd_longest_row(const uint32_t *slots, uint32_t n)
{
	uint32_t row = 0, most = 0;

	for (uint32_t i = 0; i < 2 * n; i++) {
		row = slots[i % n] ? row + 1 : 0;
		most = MT_MAX(most, row);
	}
	return most;
}
