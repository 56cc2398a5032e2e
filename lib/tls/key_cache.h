/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of a provider's places holds what was expanded of a key: a set-associative cache of four
 * ways. A caller remembers the place, which is right if its key is there, so an entry cannot be
 * stale. Keys are random, so their own bits choose the set, and nearly as many connections as there
 * are places keep theirs. A full set replaces by second chance, and only at each sixteenth miss. So
 * with more connections than places those that are busy stay. The others use the scratch, place
 * number n after the last.
 */
#pragma once

#include "mt_base.h"

#include <openssl/crypto.h>
#include <string.h>

#define MT_KEY_CACHE_NONE   UINT8_MAX
#define MT_KEY_MAX	    32 /* bytes */
#define MT_KEY_CACHE_WAYS   4u
#define MT_KEY_CACHE_ONE_IN 16u

struct mt_key_mark {
	uint8_t cipher; /* MT_KEY_CACHE_NONE: free */
	bool used;	/* hit since the full set was searched in vain */
};

/* For a provider whose expanded keys do not begin with the key. */
struct mt_key_place {
	uint8_t key[MT_KEY_MAX];
	struct mt_key_mark mark;
} mt_cache_aligned;

/* Where a provider has the key of its first place, MT_KEY_MAX bytes, and its mark: those of the next are `stride` bytes behind. */
struct mt_key_places {
	uint8_t *keys;
	struct mt_key_mark *marks;
	size_t stride;
};

/* What tells, for the most part without a look at a set's places, that a key has none of them and gets none. */
struct mt_key_set {
	uint32_t tags[MT_KEY_CACHE_WAYS]; /* bits of each place's key */
	uint32_t taken;			  /* places, by bits */
	uint32_t missed;		  /* how often a key had none, and all were taken */
} __attribute__((aligned(32)));

struct mt_key_cache {
	struct mt_key_places places;
	struct mt_key_set *sets;
	uint32_t n;    /* places: a power of two, or 0 */
	uint32_t ways; /* of a set */
	uint32_t mask; /* sets, less one */
};

/* How many sets are n places. */
static inline uint32_t mt_key_cache_sets(uint32_t n)
{
	return MT_MAX(n / MT_KEY_CACHE_WAYS, 1u);
}

static inline uint8_t *mt_key_at(const struct mt_key_cache *c, uint32_t i)
{
	return c->places.keys + i * c->places.stride;
}

static inline struct mt_key_mark *mt_key_mark_at(const struct mt_key_cache *c, uint32_t i)
{
	return (struct mt_key_mark *)((uint8_t *)c->places.marks + i * c->places.stride);
}

/* There are n places; `sets` is mt_key_cache_sets(n) long. */
static inline void mt_key_cache_init(
	struct mt_key_cache *c, struct mt_key_places places, struct mt_key_set *sets, uint32_t n)
{
	MT_ASSERT(n <= UINT16_MAX && (n & (n - 1)) == 0);
	*c = (struct mt_key_cache){
		.places = places,
		.sets = sets,
		.n = n,
		.ways = MT_MIN(n, MT_KEY_CACHE_WAYS),
		.mask = mt_key_cache_sets(n) - 1,
	};
	memset(sets, 0, mt_key_cache_sets(n) * sizeof(*sets));
	for (uint32_t i = 0; i < n; i++)
		*mt_key_mark_at(c, i) = (struct mt_key_mark){.cipher = MT_KEY_CACHE_NONE};
}

static inline uint32_t mt_key_bits(const uint8_t *key, uint32_t at)
{
	uint32_t bits;

	memcpy(&bits, key + at, sizeof(bits));
	return bits;
}

static inline uint32_t mt_key_set_of(const struct mt_key_cache *c, const uint8_t *key)
{
	return mt_key_bits(key, 0) & c->mask;
}

static inline uint32_t mt_key_tag(const uint8_t *key)
{
	return mt_key_bits(key, 4);
}

/* Of 16 bytes each; 0: they are the same. */
static inline uint64_t mt_key_differs(const uint8_t *a, const uint8_t *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return (x[0] ^ y[0]) | (x[1] ^ y[1]);
}

static inline bool mt_key_is_at(
	const struct mt_key_cache *c, uint32_t i, uint8_t cipher, const uint8_t *key, uint32_t len)
{
	const uint8_t *k = mt_key_at(c, i);

	return mt_key_mark_at(c, i)->cipher == cipher && !mt_key_differs(k, key) &&
	       (len == 16 || !mt_key_differs(k + 16, key + 16));
}

/* The place that has it; n: none. */
static inline uint32_t mt_key_cache_search(
	const struct mt_key_cache *c, uint8_t cipher, const uint8_t *key, uint32_t len)
{
	uint32_t set = mt_key_set_of(c, key), tag = mt_key_tag(key);

	for (uint32_t w = 0; w < c->ways; w++)
		if (c->sets[set].tags[w] == tag &&
			mt_key_is_at(c, set * c->ways + w, cipher, key, len))
			return set * c->ways + w;
	return c->n;
}

/* A place in this set for a key that has none, which may be another's still; n: not this time. */
static inline uint32_t mt_key_cache_place(struct mt_key_cache *c, uint32_t at)
{
	struct mt_key_set *set = &c->sets[at];
	uint32_t first = at * c->ways, end = first + c->ways;
	uint32_t way = (uint32_t)__builtin_ctz(~set->taken);

	if (way < c->ways)
		return first + way;
	if (mt_likely(++set->missed % MT_KEY_CACHE_ONE_IN))
		return c->n;
	for (uint32_t i = first; i < end; i++)
		if (!mt_key_mark_at(c, i)->used)
			return i;
	for (uint32_t i = first; i < end; i++)
		mt_key_mark_at(c, i)->used = false;
	return c->n;
}

/* The key is not where *hint says: the place it has from now on, and *hint is that; *load: expand it there first. */
static inline uint32_t mt_key_cache_find_slow(struct mt_key_cache *c, uint8_t cipher,
	const uint8_t *key, uint32_t len, uint16_t *hint, bool *load)
{
	uint32_t at = mt_key_set_of(c, key), i = mt_key_cache_search(c, cipher, key, len);

	*load = i == c->n;
	if (*load && c->n)
		i = mt_key_cache_place(c, at);
	*hint = (uint16_t)i;
	if (i == c->n)
		return i;
	if (!*load) {
		mt_key_mark_at(c, i)->used = true;
		return i;
	}
	*mt_key_mark_at(c, i) = (struct mt_key_mark){.cipher = cipher};
	memcpy(mt_key_at(c, i), key, len);
	if (len < MT_KEY_MAX)
		OPENSSL_cleanse(mt_key_at(c, i) + len, MT_KEY_MAX - len);
	c->sets[at].tags[i % c->ways] = mt_key_tag(key);
	c->sets[at].taken |= 1u << i % c->ways;
	return i;
}

/* Whether a place, with its mark, has the key and is marked as used: else mt_key_cache_find_slow() sees to it. */
static mt_inline bool mt_key_is_ready(const uint8_t *place, const struct mt_key_mark *mark,
	uint8_t cipher, const uint8_t *key, uint32_t len)
{
	const struct mt_key_mark want = {.cipher = cipher, .used = true};

	/* Both of a mark's bytes in one comparison. */
	return mt_likely(!memcmp(mark, &want, sizeof(want))) &&
	       mt_likely(!mt_key_differs(place, key)) &&
	       (len == 16 || !mt_key_differs(place + 16, key + 16));
}

/*
 * The place for a key of 16 or 32 bytes; *load: expand it there first. *hint is where the last call for it found it, or anything.
 */
static inline uint32_t mt_key_cache_find(struct mt_key_cache *c, uint8_t cipher, const uint8_t *key,
	uint32_t len, uint16_t *hint, bool *load)
{
	uint32_t i = *hint;

	*load = false;
	if (mt_likely(i < c->n) &&
		mt_key_is_ready(mt_key_at(c, i), mt_key_mark_at(c, i), cipher, key, len))
		return i;
	return mt_key_cache_find_slow(c, cipher, key, len, hint, load);
}

/* The place that held it, which is free now and has to be wiped, but for its mark; n: none. */
static inline uint32_t mt_key_cache_forget(
	struct mt_key_cache *c, uint8_t cipher, const uint8_t *key, uint32_t len)
{
	uint32_t i = mt_key_cache_search(c, cipher, key, len);
	struct mt_key_set *set = &c->sets[mt_key_set_of(c, key)];

	if (i == c->n)
		return i;
	set->tags[i % c->ways] = 0;
	set->taken &= ~(1u << i % c->ways);
	OPENSSL_cleanse(mt_key_at(c, i), MT_KEY_MAX);
	*mt_key_mark_at(c, i) = (struct mt_key_mark){.cipher = MT_KEY_CACHE_NONE};
	return i;
}
