/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes of addresses for tables by linear probing, if authors of documents or peers choose the
 * addresses. Two multiplications by a key that is random in each process: without the key, authors
 * cannot choose addresses that meet in one place. Do not store, send or show the results, and do
 * not use them where nodes must agree: they differ between processes. Any thread.
 *
 * Of n slots in a table that is at most half full, the longest row of used ones is about 5 ln n:
 * 60 to 80 of 131,072. A row of more than 256 has a chance below 10^-12, whatever the addresses.
 * Hence a look goes through 2 slots on average, and through 256 at most.
 */
#pragma once

#include "mt_addr.h"

/* Written once (mt_addr_hash_ready()), before any table is there. */
struct mt_addr_key {
	uint64_t q[2];
	uint64_t factor; /* odd, the upper bit is set */
} mt_cache_aligned;

extern struct mt_addr_key mt_addr_key;

/*
 * Makes the key, unless the process has one. Each builder of a table calls it first. The key
 * follows from that of mt_secret_hash.h, so that a simulation replays exactly.
 */
void mt_addr_hash_ready(void);

/* The 128 bits of the product, folded into 64. */
static inline uint64_t mt_fold64(uint64_t a, uint64_t b)
{
	unsigned __int128 r = (unsigned __int128)a * b;

	return (uint64_t)r ^ (uint64_t)(r >> 64);
}

/* The upper half of a product with the factor: each bit of `h` counts for its lower bits. */
static inline uint32_t mt_addr_hash_end(uint64_t h)
{
	return (uint32_t)((unsigned __int128)h * mt_addr_key.factor >> 64);
}

/*
 * One multiplication would keep a part of the order of consecutive addresses, and so make long rows
 * with some keys.
 */
static inline uint32_t mt_addr_hash(const struct mt_addr *a)
{
	return mt_addr_hash_end(mt_fold64(a->q[0] ^ mt_addr_key.q[0], a->q[1] ^ mt_addr_key.q[1]));
}

/*
 * The same of an address, port and protocol (0: of any). The port is spread over all bits, since
 * consecutive ones would make long rows like consecutive addresses. It is not a part of the first
 * product, where another address could make up for another port.
 */
static inline uint32_t mt_addr_port_hash(const struct mt_addr *a, uint16_t port, uint8_t proto)
{
	uint64_t h = mt_fold64(a->q[0] ^ mt_addr_key.q[0], a->q[1] ^ mt_addr_key.q[1]);

	return mt_addr_hash_end(h ^ ((uint64_t)proto << 16 | port) * 0x9e3779b97f4a7c15ull);
}
