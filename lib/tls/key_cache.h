/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Set-associative cache of four ways for the expanded keys of a provider. A caller remembers the
 * place of its key. The place is right if it contains that key, so an entry cannot be stale. Keys
 * are random, so their own bits choose the set, and nearly as many connections as there are places
 * keep theirs. A full set replaces by second chance, and only at each sixteenth miss. So with more
 * connections than places the busy ones keep theirs. The others use the scratch, which is place
 * number n, after the last.
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
	bool used;	/* hit since the last search that found no victim */
};

/* For a provider whose expanded keys do not start with the key itself. */
struct mt_key_place {
	uint8_t key[MT_KEY_MAX];
	struct mt_key_mark mark;
} mt_cache_aligned;

/*
 * Where a provider stores the key of its first place (MT_KEY_MAX bytes) and its mark. Those of each
 * next place are `stride` bytes later.
 */
struct mt_key_places {
	uint8_t *keys;
	struct mt_key_mark *marks;
	size_t stride;
};

/*
 * Shows, mostly without a look at the places of a set, that a key has none of them and gets none.
 */
struct mt_key_set {
	uint32_t tags[MT_KEY_CACHE_WAYS]; /* 32 bits of each place's key */
	uint32_t taken;			  /* bit mask of the places in use */
	uint32_t missed;		  /* misses while all places were in use */
} __attribute__((aligned(32)));

struct mt_key_cache {
	struct mt_key_places places;
	struct mt_key_set *sets;
	uint32_t n;    /* places: a power of two, or 0 */
	uint32_t ways; /* in a set */
	uint32_t mask; /* number of sets - 1 */
};

/* The number of sets for n places. */
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

/* Initializes n free places; `sets` has mt_key_cache_sets(n) elements. */
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

/* Compares 16 bytes; 0 if they are equal. */
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

/* The place of a key; n: it has none. */
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

/*
 * A place in set `at` for a key that has none; it may still contain another key. n: none this time.
 */
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

/*
 * For a key that is not at *hint: returns its place from now on, and sets *hint to it. *load: the
 * caller must expand the key there first.
 */
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

/*
 * True if a place contains the key and its mark is set as used. Otherwise call
 * mt_key_cache_find_slow().
 */
static mt_inline bool mt_key_is_ready(const uint8_t *place, const struct mt_key_mark *mark,
	uint8_t cipher, const uint8_t *key, uint32_t len)
{
	const struct mt_key_mark want = {.cipher = cipher, .used = true};

	/* Compare both bytes of the mark at once. */
	return mt_likely(!memcmp(mark, &want, sizeof(want))) &&
	       mt_likely(!mt_key_differs(place, key)) &&
	       (len == 16 || !mt_key_differs(place + 16, key + 16));
}

/*
 * The place for a key of 16 or 32 bytes. *load: the caller must expand the key there first. *hint
 * is the place that the last call for this key set, or any value.
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

/*
 * Frees a key's place and returns it. The caller must wipe it, except the mark. n: the key has
 * none.
 */
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
