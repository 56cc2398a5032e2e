/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of a provider's places holds what was expanded of a key. Keys are random, so their own bits are the hash, and a key is found by
 * comparing it: an entry cannot be stale. A place is given to a key that was wanted twice without its owner between: with more
 * connections than places those that are busy stay, and the others expand into the scratch, place number n.
 */
#pragma once

#include "mt_base.h"

#include <openssl/crypto.h>
#include <string.h>

#define MT_KEY_CACHE_NONE UINT8_MAX

struct mt_key_place {
	uint8_t key[32];
	uint32_t wanted; /* bits of the key that was wanted last while another one is here */
	uint8_t cipher;	 /* MT_KEY_CACHE_NONE: free */
};

struct mt_key_cache {
	struct mt_key_place *places;
	uint32_t n; /* a power of two, or 0 */
};

/* `places` is n long. */
static inline void mt_key_cache_init(
	struct mt_key_cache *c, struct mt_key_place *places, uint32_t n)
{
	*c = (struct mt_key_cache){.places = places, .n = n};
	for (uint32_t i = 0; i < n; i++)
		places[i] = (struct mt_key_place){.cipher = MT_KEY_CACHE_NONE};
}

static inline uint32_t mt_key_bits(const uint8_t *key, uint32_t at)
{
	uint32_t bits;

	memcpy(&bits, key + at, sizeof(bits));
	return bits;
}

/* Of 16 bytes each; 0: they are the same. */
static inline uint64_t mt_key_differs(const uint8_t *a, const uint8_t *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return (x[0] ^ y[0]) | (x[1] ^ y[1]);
}

static inline bool mt_key_cache_has(
	const struct mt_key_place *p, uint8_t cipher, const uint8_t *key, uint32_t key_len)
{
	return p->cipher == cipher && !mt_key_differs(p->key, key) &&
	       (key_len == 16 || !mt_key_differs(p->key + 16, key + 16));
}

/* The place for a key of 16 or 32 bytes; *load: expand it there first. */
static inline uint32_t mt_key_cache_find(
	struct mt_key_cache *c, uint8_t cipher, const uint8_t *key, uint32_t key_len, bool *load)
{
	uint32_t i = mt_key_bits(key, 0) & (c->n - 1), who = mt_key_bits(key, 4);
	struct mt_key_place *p;

	*load = true;
	if (mt_unlikely(c->n == 0))
		return 0;
	p = &c->places[i];
	if (mt_likely(mt_key_cache_has(p, cipher, key, key_len))) {
		if (mt_unlikely(p->wanted))
			p->wanted = 0;
		*load = false;
		return i;
	}
	if (p->cipher != MT_KEY_CACHE_NONE && p->wanted != who) {
		p->wanted = who;
		return c->n;
	}
	memcpy(p->key, key, key_len);
	p->cipher = cipher;
	p->wanted = 0;
	return i;
}

/* The place that held it, which is free now and has to be wiped; n: none. */
static inline uint32_t mt_key_cache_forget(
	struct mt_key_cache *c, uint8_t cipher, const uint8_t *key, uint32_t key_len)
{
	uint32_t i = mt_key_bits(key, 0) & (c->n - 1);

	if (c->n == 0)
		return 0;
	if (c->places[i].wanted == mt_key_bits(key, 4))
		c->places[i].wanted = 0;
	if (!mt_key_cache_has(&c->places[i], cipher, key, key_len))
		return c->n;
	OPENSSL_cleanse(c->places[i].key, sizeof(c->places[i].key));
	c->places[i].cipher = MT_KEY_CACHE_NONE;
	return i;
}
