/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hot table: hash -> 32-bit value (an index into the owner's objects). A bucket is one cache
 * line of 8 tags, 8 values and a link to an overflow bucket. The table grows by linear hashing, one
 * bucket split per insert, so no insert ever rehashes everything. Keys live in the owner's objects:
 * a lookup walks candidates whose 16-bit tag agrees, and the owner compares. One worker owns a
 * table.
 *
 * Used in staged passes over a burst: mt_table_prefetch() for all, then mt_table_first() for all
 * with a prefetch of the object, then the work itself.
 */
#pragma once

#include "mt_addr_hash.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define MT_TABLE_WAYS 8
#define MT_TABLE_NONE UINT32_MAX /* also the only value that cannot be stored */

struct mt_table_bucket {
	uint16_t tags[MT_TABLE_WAYS]; /* 0: the way is empty */
	uint32_t vals[MT_TABLE_WAYS];
	uint32_t next; /* overflow bucket, 0: none */
	uint32_t pad[3];
} mt_cache_aligned;

struct mt_table {
	struct mt_table_bucket *b;    /* main buckets; never moves */
	struct mt_table_bucket *over; /* overflow buckets; [0] is not used */
	uint32_t n_buckets;	      /* main buckets in use */
	uint32_t max_buckets;	      /* power of two */
	uint32_t low_mask;	      /* (power of two <= n_buckets) - 1 */
	uint32_t n;		      /* entries */
	uint32_t over_fresh, over_max, over_free, over_used;
	/* The full hash of a stored value, needed by splits. */
	uint32_t (*hash_of)(void *arg, uint32_t val);
	void *arg;
};

struct mt_table_iter {
	struct mt_table_bucket *b;
	uint32_t mask; /* ways of `b` not visited yet */
	uint32_t way;  /* way of the last result */
	uint16_t tag;
};

/* Room for `cap` entries; memory is touched as the table grows. 0 or -ENOMEM. Boot only. */
int mt_table_init(
	struct mt_table *t, uint32_t cap, uint32_t (*hash_of)(void *, uint32_t), void *arg);
void mt_table_fini(struct mt_table *t);

/* 0, or -ENOSPC when the table has `cap` entries (or no overflow bucket is left). */
int mt_table_insert(struct mt_table *t, uint32_t hash, uint32_t val);
/* Removes exactly this entry; false when it is not there. */
bool mt_table_remove(struct mt_table *t, uint32_t hash, uint32_t val);
/* Replaces the value of the entry (hash, old) by `val`; false when it is not there. */
bool mt_table_replace(struct mt_table *t, uint32_t hash, uint32_t old, uint32_t val);

static inline uint16_t mt_table_tag(uint32_t hash)
{
	uint16_t tag = (uint16_t)(hash >> 16);

	return tag ? tag : 1;
}

static inline struct mt_table_bucket *mt_table_bucket(const struct mt_table *t, uint32_t hash)
{
	uint32_t i = hash & (2 * t->low_mask + 1);

	return &t->b[i < t->n_buckets ? i : hash & t->low_mask];
}

static inline void mt_table_prefetch(const struct mt_table *t, uint32_t hash)
{
	__builtin_prefetch(mt_table_bucket(t, hash));
}

/* Bit i: way i has `tag`. */
static inline uint32_t mt_table_match(const struct mt_table_bucket *b, uint16_t tag)
{
#ifdef __SSE2__
	__m128i tags = _mm_load_si128((const __m128i *)b->tags);
	__m128i same = _mm_cmpeq_epi16(tags, _mm_set1_epi16((short)tag));

	return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(same, _mm_setzero_si128()));
#else
	uint32_t mask = 0;

	for (uint32_t i = 0; i < MT_TABLE_WAYS; i++)
		mask |= (uint32_t)(b->tags[i] == tag) << i;
	return mask;
#endif
}

/* The next candidate value, MT_TABLE_NONE at the end. The table must not change in between. */
static inline uint32_t mt_table_next(const struct mt_table *t, struct mt_table_iter *it)
{
	while (!it->mask) {
		if (mt_likely(!it->b->next))
			return MT_TABLE_NONE;
		it->b = &t->over[it->b->next];
		it->mask = mt_table_match(it->b, it->tag);
	}
	it->way = (uint32_t)__builtin_ctz(it->mask);
	it->mask &= it->mask - 1;
	return it->b->vals[it->way];
}

static inline uint32_t mt_table_first(
	const struct mt_table *t, uint32_t hash, struct mt_table_iter *it)
{
	it->b = mt_table_bucket(t, hash);
	it->tag = mt_table_tag(hash);
	it->mask = mt_table_match(it->b, it->tag);
	return mt_table_next(t, it);
}

/*
 * A keyed hash of a tuple for such tables: without the key an attacker cannot aim at one bucket.
 * Multiplies and folds both addresses and the ports.
 */
static inline uint32_t mt_tuple_hash(const struct mt_tuple *t, const uint64_t key[2])
{
	uint64_t ports = (uint64_t)t->lport << 16 | t->rport;
	uint64_t a = mt_fold64(t->local.q[0] ^ key[0], t->local.q[1] ^ key[1]);
	uint64_t b = mt_fold64(t->remote.q[0] ^ key[1], t->remote.q[1] ^ mt_fold64(key[0], ~ports));
	uint64_t h = mt_fold64(a ^ ports ^ key[0], b ^ 0x9e3779b97f4a7c15ull);

	return (uint32_t)(h ^ h >> 32);
}
