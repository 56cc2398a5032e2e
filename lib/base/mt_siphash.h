/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash (Aumasson, Bernstein 2012): a keyed hash that attackers cannot predict. mt_siphash() is
 * SipHash-2-4, for initial sequence numbers, SYN cookies and timestamp offsets, which peers see.
 * mt_siphash13() is SipHash-1-3 with fewer rounds, for tables if their hashes stay in the process.
 * Tables of tuples use mt_tuple_hash().
 */
#pragma once

#include "mt_base.h"

uint64_t mt_siphash(const uint8_t key[16], const void *data, size_t len);

/* The state of a hash; mt_sip_init() makes that before the first byte, which can be kept. */
struct mt_sip {
	uint64_t v0, v1, v2, v3;
};

struct mt_sip mt_sip_init(const uint8_t key[16]);
uint64_t mt_siphash13(const struct mt_sip *init, const void *data, size_t len);

static inline uint64_t mt_sip_rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static inline void mt_sip_round(struct mt_sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = mt_sip_rotl(s->v1, 13) ^ s->v0;
	s->v3 = mt_sip_rotl(s->v3, 16) ^ s->v2;
	s->v0 = mt_sip_rotl(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = mt_sip_rotl(s->v1, 17) ^ s->v2;
	s->v3 = mt_sip_rotl(s->v3, 21) ^ s->v0;
	s->v2 = mt_sip_rotl(s->v2, 32);
}

static inline void mt_sip13_word(struct mt_sip *s, uint64_t m)
{
	s->v3 ^= m;
	mt_sip_round(s);
	s->v0 ^= m;
}

static inline uint64_t mt_sip13_end(struct mt_sip *s)
{
	s->v2 ^= 0xff;
	mt_sip_round(s);
	mt_sip_round(s);
	mt_sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/*
 * A hash of one word, for keys that all have this length. Not to be mixed with mt_siphash13() by
 * the same key: the length is not a part of it.
 */
static inline uint64_t mt_sip13_one(const struct mt_sip *init, uint64_t word)
{
	struct mt_sip s = *init;

	mt_sip13_word(&s, word);
	return mt_sip13_end(&s);
}
