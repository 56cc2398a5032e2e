/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/balance: pure tables and random choices of the load balancers: Maglev, hash ring, weighted
 * order. A hash, a random number or a counter goes in, the index of a backend comes out. The
 * library knows names and weights only: no endpoint, cluster or clock. lib/upstream uses it, for L4
 * and L7 alike.
 *
 * Invariants:
 * - The control thread builds tables; they are immutable, and workers only read.
 * - The backend of a key depends on names and weights, never on the order of backends.
 * - A backend with a weight above 0 has at least one slot (Maglev), turn (sequence) or point (ring,
 *   if the ring's limit permits). If all weights are 0, they count as equal.
 *
 * Maglev size: a prime that does not follow the number of backends: 65,537 up to 4,000 of them,
 * 1,000,003 up to 80,000, then 4,194,319. A key's slot is a function of its hash and the size, so
 * tables of different sizes share almost nothing: where one more backend makes the table larger,
 * nearly every key moves. Within a size, a backend of average weight that comes or goes moves at
 * most 2.5 / n of the keys, 1 / n of them its own. A change of a weight moves the difference, and
 * few other keys. The table is a function of names and weights alone, so several nodes before the
 * same endpoints choose alike.
 *
 * Maglev shares: a backend has at most three quarters of its share's square root, in slots, above
 * that share: 2.5 % with 65 backends, 10 % with 1,000. The unluckiest are as much as 7 % and 35 %
 * below it, because others claim the same slots earlier.
 *
 * Ring, compatible with Envoy's: points are proportional to weight, 1,024 for equal weights by
 * default, 262,144 at most. Point j of a backend is XXH64("NAME_j"), and a key belongs to the first
 * point at or after its hash. Arcs differ in length, so shares deviate by 10 to 20 % and more. It
 * is for meshes with other proxies that use it. tests/interop/xds/test_oracle_ring.py compares it
 * with a real Envoy.
 *
 * Hashing: one value is XXH64(value, 0). Several values are sorted by bytes, each hashed with the
 * previous result as its seed. A missing key counts as the empty value, so requests without it go
 * to one endpoint. A client address is hashed as text, without its port.
 */
#pragma once

#include "mt_base.h"

/*
 * Maglev (Eisenbud et al., NSDI 2016), with turns that move fewer keys (maglev.c). The mapping of a
 * key depends on the names and weights only, not on the order in which backends are listed.
 *
 * A table is shared by all users with the same names and weights in the same order, so callers list
 * backends in an order of their own, not in that of documents. Each successful build is a
 * reference; copies of the structure are not.
 */
struct mt_maglev {
	uint64_t size;	       /* prime, or 1 for one backend; 64 bits save three instructions */
	const uint16_t *slots; /* NULL if `wide` is used */
	const uint32_t *wide;  /* for more than 65,535 backends */
	struct mt_maglev_table *table;
};

/* More backends than this are rejected. */
#define MT_MAGLEV_MAX 262144u
/* Size of tables up to MT_MAGLEV_USUAL backends; 128 KiB. */
#define MT_MAGLEV_SIZE	65537u
#define MT_MAGLEV_USUAL 4000u

/*
 * names[i] identifies backend i independently of its position; weights may be NULL (equal). A
 * weight of 0 excludes a backend, unless all are 0. n > 0. Takes 0.5 to 5 ms, unless the table
 * exists. Control thread only, as mt_maglev_free(). Returns 0, -ENOMEM, or -E2BIG above
 * MT_MAGLEV_MAX.
 */
int mt_maglev_build(
	struct mt_maglev *m, const char *const *names, const uint32_t *weights, uint32_t n);
/* Drops the reference. Call when no worker reads the table through `m`; zero-filled is allowed. */
void mt_maglev_free(struct mt_maglev *m);

/* The slot of a key. The high bits of the hash decide. */
static inline uint64_t mt_maglev_slot(const struct mt_maglev *m, uint64_t hash)
{
	return (uint64_t)(((unsigned __int128)hash * m->size) >> 64);
}

/* The backend of a slot < m->size. */
static inline uint32_t mt_maglev_at(const struct mt_maglev *m, uint64_t slot)
{
	return mt_likely(m->slots) ? m->slots[slot] : m->wide[slot];
}

static inline uint32_t mt_maglev_pick(const struct mt_maglev *m, uint64_t hash)
{
	return mt_maglev_at(m, mt_maglev_slot(m, hash));
}

/* Tables of the process, and what they cost; `users` are references to them. */
struct mt_maglev_usage {
	uint32_t tables, users;
	uint64_t bytes;
	uint64_t built; /* since the start */
};

struct mt_maglev_usage mt_maglev_usage(void);

/* One of a backend's points on the ring. */
struct mt_ring_point {
	uint64_t hash;
	uint32_t idx;
};

/*
 * A hash ring: few keys move when a backend leaves. A key selects the same backend as in other
 * proxies of the mesh that build the ring from the same names, weights and sizes. A pick is a
 * binary search. Maglev is faster and spreads better where no other proxy has to agree.
 */
struct mt_ring {
	uint32_t n;
	struct mt_ring_point *points; /* by hash */
};

#define MT_RING_DEFAULT_MIN 1024u
#define MT_RING_MAX	    262144u /* 4 MiB */

/*
 * names and weights as for mt_maglev_build(). min: least number of points (0: 1,024); max: largest
 * number (0, or above it: MT_RING_MAX). With more backends than points some have none. n > 0.
 * Returns 0 or -ENOMEM.
 */
int mt_ring_build(struct mt_ring *r, const char *const *names, const uint32_t *weights, uint32_t n,
	uint32_t min, uint32_t max);
void mt_ring_free(struct mt_ring *r);
/* The ring must not be empty. */
uint32_t mt_ring_pick(const struct mt_ring *r, uint64_t hash);

/*
 * A weighted order for balancers without a hash: each backend occurs in proportion to its weight,
 * its turns spread out evenly. Read by position (round robin) or at random (random, least request).
 * n == 0 means equal weights: backends in their own order.
 */
struct mt_wseq {
	uint32_t n;
	uint32_t *order;
};

#define MT_WSEQ_MAX 8192u

/*
 * Weights are reduced by their common divisor, and scaled down if their sum is still above
 * MT_WSEQ_MAX (every weight > 0 keeps a turn). Returns 0 (also for equal weights: s->n = 0) or
 * -ENOMEM.
 */
int mt_wseq_build(struct mt_wseq *s, const uint32_t *weights, uint32_t n);
void mt_wseq_free(struct mt_wseq *s);

/* The backend at position `x` of the endless sequence over n_backends > 0. */
static inline uint32_t mt_wseq_at(const struct mt_wseq *s, uint32_t x, uint32_t n_backends)
{
	return s->n ? s->order[x % s->n] : x % n_backends;
}

/* Uniform in [0, n), n > 0, from the high bits of `rnd`. */
static inline uint32_t mt_balance_random(uint64_t rnd, uint32_t n)
{
	return (uint32_t)(((rnd >> 32) * n) >> 32);
}

/*
 * Two positions of n for "power of two choices", different if n > 1. One draw of 64 bits gives
 * both.
 */
static inline void mt_balance_two(uint64_t rnd, uint32_t n, uint32_t *a, uint32_t *b)
{
	*a = mt_balance_random(rnd, n);
	*b = *a;
	if (n > 1) {
		*b = (uint32_t)(((rnd & UINT32_MAX) * (n - 1)) >> 32);
		if (*b >= *a)
			(*b)++;
	}
}

/* XXH64 of the value seeded with `seed` (0 first, then the previous result for more keys). */
uint64_t mt_balance_hash(const void *p, size_t len, uint64_t seed);

/*
 * The hash of several metadata values: sorted by bytes, then chained by mt_balance_hash(). The
 * array is sorted in place. A missing key is the empty slice. One value is XXH64(value, 0).
 */
uint64_t mt_balance_hash_values(struct mt_slice *values, uint32_t n);
