/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One's complement sums of 16-bit words: the Internet checksum (RFC 1071) before it is
 * complemented. Words are summed in memory order, because a one's complement sum does not depend on
 * the byte order as long as the result is stored the same way.
 *
 * Short runs are summed inline in 64-bit words. Long ones go through a pointer that
 * net_sum_choose() sets to the best implementation for this CPU.
 */
#pragma once

#include "mt_base.h"

#include <string.h>

/* From this length on vectors are faster than 64-bit words with carry. */
#define NET_SUM_LONG 256

/* Folds a sum of 64-bit words with end-around carry to one of 16-bit words; less than 2^16. */
static inline uint32_t net_sum_fold(uint64_t s)
{
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffff) + ((s >> 16) & 0xffff) + (s >> 32);
	s = (s & 0xffff) + (s >> 16);
	return (uint32_t)((s & 0xffff) + (s >> 16));
}

/* End-around carry. */
static inline uint64_t net_sum_add(uint64_t s, uint64_t v)
{
	s += v;
	return s + (s < v);
}

static inline uint64_t net_sum_load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/*
 * Sums the last bytes, fewer than 8; an odd one is the first half of a word whose other half is 0.
 */
static inline uint64_t net_sum_tail(const uint8_t *p, uint32_t len)
{
	uint64_t v = 0;
	uint32_t w;

	if (len & 1)
		v = p[len - 1];
	if (len & 2) {
		uint16_t h;

		memcpy(&h, p + (len & 4), sizeof(h));
		v = v << 16 | h;
	}
	if (len & 4) {
		memcpy(&w, p, sizeof(w));
		v = v << 32 | w;
	}
	return v;
}

#ifdef __x86_64__
/* 32 bytes with the carry passed from word to word, which C cannot express. */
static inline uint64_t net_sum_add32(uint64_t s, const uint8_t *p)
{
	__asm__("addq (%1), %0\n\t"
		"adcq 8(%1), %0\n\t"
		"adcq 16(%1), %0\n\t"
		"adcq 24(%1), %0\n\t"
		"adcq $0, %0"
		: "+r"(s)
		: "r"(p), "m"(*(const uint8_t(*)[32])p)
		: "cc");
	return s;
}
#else
static inline uint64_t net_sum_add32(uint64_t s, const uint8_t *p)
{
	for (int i = 0; i < 32; i += 8)
		s = net_sum_add(s, net_sum_load(p + i));
	return s;
}
#endif

static inline uint64_t net_sum_words(const uint8_t *p, uint32_t len)
{
	uint64_t s = 0;

	for (; len >= 32; p += 32, len -= 32)
		s = net_sum_add32(s, p);
	for (; len >= 8; p += 8, len -= 8)
		s = net_sum_add(s, net_sum_load(p));
	return len ? net_sum_add(s, net_sum_tail(p, len)) : s;
}

/* Implementations for net_sum_long; the tests run both. len < 2^18. */
uint32_t net_sum_portable(const uint8_t *p, uint32_t len);
uint32_t net_sum_avx2(const uint8_t *p, uint32_t len);

extern uint32_t (*net_sum_long)(const uint8_t *p, uint32_t len);

/* Call it before any worker runs; calling it again is harmless. */
void net_sum_choose(void);

/* The sum over [p, p + len), less than 2^16. */
static inline uint32_t net_sum(const void *p, uint32_t len)
{
	if (len >= NET_SUM_LONG)
		return net_sum_long(p, len);
	return net_sum_fold(net_sum_words(p, len));
}
