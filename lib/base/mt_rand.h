/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every context gets its random source as a parameter, so that a simulation replays exactly.
 * xoshiro256** (Blackman, Vigna 2018): fast and well distributed, not for secrets. Secrets
 * (cookies, initial sequence numbers) come from mt_rand_secret(), which uses the kernel's random
 * source once at start.
 */
#pragma once

#include "mt_base.h"

struct mt_rand {
	uint64_t s[4];
};

/* Expands a 64-bit seed by splitmix64; every seed, also 0, is good. */
void mt_rand_seed(struct mt_rand *r, uint64_t seed);

/* Fills `len` bytes from getrandom(2); boot and control thread only. */
void mt_rand_secret(void *buf, size_t len);

static inline uint64_t mt_rotl64(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static inline uint64_t mt_rand_u64(struct mt_rand *r)
{
	uint64_t *s = r->s;
	uint64_t result = mt_rotl64(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = mt_rotl64(s[3], 45);
	return result;
}

/* Uniform in [0, n); n > 0. Bias below n / 2^32 (multiply-shift). */
static inline uint32_t mt_rand_below(struct mt_rand *r, uint32_t n)
{
	return (uint32_t)(((mt_rand_u64(r) >> 32) * n) >> 32);
}
