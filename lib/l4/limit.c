/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares a client's packet with the rates of its source and its service. They are charged after
 * all comparisons, so a packet that exceeds one of them costs the others nothing.
 *
 * A service's bucket is a word that all workers share. A worker moves it by a lease, 1/64 s divided
 * by the number of workers, at most 64 times a second of full rate, and spends the lease from its
 * own cache line. A lease does not expire: the word's depth is smaller by all leases together, so
 * both never admit more than a second of the rate. A worker that found the bucket empty waits up to
 * 1 ms before it looks again, so that a flood does not pull the line from worker to worker; what
 * flows in until then stays in the bucket. If a lease would be less than one token, each token is
 * taken from the word alone.
 *
 * The buckets of a source are the worker's own, in sets of eight that the source's keyed hash
 * chooses. A source has a place while its buckets are not full, which is a second at most unless
 * its rate is tiny. A place with full buckets is free, so no sweep is needed. In a full set a new
 * source takes the place with the buckets nearest to full, and takes over how far they are from it
 * (Metwally, Agrawal and El Abbadi, 2005: Space-Saving). So a source that is displaced never comes
 * back with more than it had, forged sources pass no more than all places together, 65,536 times
 * the rate, and sources that send least lose next to nothing. Up to a flood of that size each set
 * has places with nearly full buckets, and other sources pass.
 */
#include "mt_l4_priv.h"

#include <emmintrin.h>

/* True if a SYN on the ports of this flow begins another connection: it was not a handshake. */
static bool opens_again(const struct mt_l4 *l, uint32_t idx)
{
	uint8_t state = l->tcp[idx / 2].state;

	return state != MT_L4_SYN_SENT && state != MT_L4_SYN_RECEIVED;
}

static mt_noinline bool refuse(
	struct mt_l4 *l, struct rte_mbuf *m, uint32_t service, uint32_t limit)
{
	mt_count(l->limiting.limited[service], limit);
	l4_drop(l, m, MT_L4_limit_source_new_connections + limit);
	return false;
}

/* Tokens that the packet costs a bucket. */
static mt_inline uint64_t cost_of(const struct l4_pkt *p, uint32_t kind)
{
	return kind == MT_L4_SOURCE_BYTES ? p->m->pkt_len - p->m->l2_len : 1;
}

/* ---- sources ------------------------------------------------------------------------------- */

static mt_inline uint64_t source_hash(const struct mt_l4 *l, const struct l4_key *k)
{
	uint64_t source = l4_key_is6(k) ? k->q[0] : (uint32_t)k->q[0];

	/* Bits of the address must reach both ends of the product. */
	return mt_fold64(source * UINT64_C(0x9e3779b97f4a7c15) ^ l->secret[1],
		l->secret[0] ^ (k->q[4] & L4_KEY6));
}

static mt_inline struct l4_source_set *set_of(const struct mt_l4 *l, uint64_t hash)
{
	return &l->limiting.sources[hash & (L4_SOURCE_SETS - 1)];
}

/* The way that a source takes if it is free. */
static mt_inline uint32_t home_of(uint64_t hash)
{
	return (uint32_t)(hash / L4_SOURCE_SETS) % L4_WAYS;
}

void l4_limit_prefetch(struct mt_l4 *l, struct l4_pkt *p)
{
	struct l4_source_set *s;

	p->source = source_hash(l, &p->key);
	s = set_of(l, p->source);
	__builtin_prefetch(s->keys);
	__builtin_prefetch(s->full_at[home_of(p->source)], 1);
}

/* How far from full a bucket is. */
static mt_inline uint64_t ahead_of(uint64_t full_at, uint64_t now)
{
	uint64_t ahead = full_at - now;

	return ahead > L4_AHEAD_MAX ? 0 : ahead;
}

static uint64_t farthest(const uint64_t *full_at, uint64_t now)
{
	uint64_t most = 0;

	for (uint32_t k = 0; k < L4_KINDS; k++)
		most = MT_MAX(most, ahead_of(full_at[k], now));
	return most;
}

#define DISPLACES L4_WAYS /* with a way: its buckets are not full */

/* A way for a source that has none: with full buckets, or with those nearest to full. */
static mt_noinline uint32_t choose_way(const struct l4_source_set *s, uint32_t home, uint64_t now)
{
	uint64_t least = UINT64_MAX;
	uint32_t chosen = home;

	for (uint32_t i = 0; i < L4_WAYS; i++) {
		uint32_t way = (home + i) % L4_WAYS;
		uint64_t ahead = farthest(s->full_at[way], now);

		if (ahead == 0)
			return way;
		if (ahead < least) {
			least = ahead;
			chosen = way;
		}
	}
	return chosen | DISPLACES;
}

/* The way with this key, or one for it. An unused one has the key 0, and full buckets. */
static mt_inline uint32_t way_of(
	const struct l4_source_set *s, uint32_t key, uint32_t home, uint64_t now)
{
	__m128i wanted = _mm_set1_epi32((int)key), same[2];
	uint32_t found;

	for (uint32_t i = 0; i < 2; i++)
		same[i] = _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)&s->keys[4 * i]), wanted);
	found = (uint32_t)_mm_movemask_epi8(
		_mm_packs_epi16(_mm_packs_epi32(same[0], same[1]), _mm_setzero_si128()));
	return mt_likely(found) ? (uint32_t)__builtin_ctz(found) : choose_way(s, home, now);
}

/* The buckets of the packet's source, and how far ahead each is with it. */
struct source {
	uint64_t *full_at;
	uint32_t *key, own;
	bool displaces;
	uint64_t next[L4_KINDS];
};

/* The first limit of the source that the packet exceeds; MT_L4_LIMITS: none. */
static mt_inline uint32_t source_exceeds(struct mt_l4 *l, const struct l4_limits *c,
	struct l4_pkt *p, uint32_t service, uint32_t first, struct source *at)
{
	uint64_t now = L4_UNITS(l->now);
	struct l4_source_set *s;
	uint32_t way;

	if (mt_unlikely(!p->source))
		l4_limit_prefetch(l, p);
	s = set_of(l, p->source);
	at->own = (uint32_t)(p->source >> 32) ^ service * 0x9e3779b9u;
	way = way_of(s, at->own, home_of(p->source), now);
	at->displaces = way & DISPLACES;
	at->key = &s->keys[way % L4_WAYS];
	at->full_at = s->full_at[way % L4_WAYS];
#pragma GCC unroll 3
	for (uint32_t k = first; k < L4_KINDS; k++) {
		at->next[k] = ahead_of(at->full_at[k], now) + cost_of(p, k) * c->source[k];
		if (mt_unlikely(at->next[k] > c->source_depth[k]))
			return k;
	}
	return MT_L4_LIMITS;
}

static mt_inline void charge_source(struct mt_l4 *l, uint32_t first, const struct source *at)
{
	*at->key = at->own;
#pragma GCC unroll 3
	for (uint32_t k = first; k < L4_KINDS; k++)
		at->full_at[k] = L4_UNITS(l->now) + at->next[k];
	if (mt_unlikely(at->displaces))
		l4_count(l, MT_L4_limit_sources_displaced);
}

/* ---- services ------------------------------------------------------------------------------ */

/* ns until the bucket has what was missing: at least a lease, at most 1 ms. */
static uint64_t wait_of(const struct l4_limits *c, uint32_t k, uint64_t missing)
{
	return MT_MIN(MT_MAX(missing, c->lease[k]) >> L4_UNIT_SHIFT, (uint64_t)MT_MSEC) + 1;
}

/* Leases more; false: the bucket has less than `cost`. */
static mt_noinline bool lease_more(
	struct mt_l4 *l, const struct l4_limits *c, uint32_t service, uint32_t k, uint64_t cost)
{
	struct l4_lease *own = &l->limiting.leases[service];
	uint64_t *shared = &l->limiting.shared->services[service].full_at[k];
	uint64_t now = L4_UNITS(l->now), full_at, ahead, has, n;

	if (l->now < own->retry[k])
		return false;
	full_at = __atomic_load_n(shared, __ATOMIC_RELAXED);
	do {
		ahead = ahead_of(full_at, now);
		has = c->service_depth[k] > ahead ? c->service_depth[k] - ahead : 0;
		n = MT_MIN(MT_MAX(c->lease[k], cost - own->left[k]), has);
		if (own->left[k] + n < cost) {
			own->retry[k] = l->now + wait_of(c, k, cost - own->left[k] - has);
			return false;
		}
	} while (!__atomic_compare_exchange_n(
		shared, &full_at, now + ahead + n, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	own->left[k] += n;
	return true;
}

/* The first limit of the service that the packet exceeds; MT_L4_LIMITS: none. */
static mt_inline uint32_t service_exceeds(struct mt_l4 *l, const struct l4_limits *c,
	const struct l4_pkt *p, uint32_t service, uint32_t first)
{
	const struct l4_lease *own = &l->limiting.leases[service];

#pragma GCC unroll 3
	for (uint32_t k = first; k < L4_KINDS; k++) {
		uint64_t cost = cost_of(p, k) * c->service[k];

		if (mt_unlikely(own->left[k] < cost) && !lease_more(l, c, service, k, cost))
			return MT_L4_SERVICE_NEW_CONNECTIONS + k;
	}
	return MT_L4_LIMITS;
}

static mt_inline void charge_service(struct mt_l4 *l, const struct l4_limits *c,
	const struct l4_pkt *p, uint32_t service, uint32_t first)
{
	struct l4_lease *own = &l->limiting.leases[service];

#pragma GCC unroll 3
	for (uint32_t k = first; k < L4_KINDS; k++)
		own->left[k] -= cost_of(p, k) * c->service[k];
}

/* ---- packets ------------------------------------------------------------------------------- */

/* `first`: the first kind that the packet costs. */
static mt_inline bool admit(struct mt_l4 *l, struct l4_pkt *p, const struct l4_limits *c,
	uint32_t service, const uint32_t first)
{
	bool by_source = c->by_source[first == MT_L4_SOURCE_NEW_CONNECTIONS];
	struct source at = {0};
	uint32_t limit;

	if (by_source) {
		limit = source_exceeds(l, c, p, service, first, &at);
		if (mt_unlikely(limit != MT_L4_LIMITS))
			return refuse(l, p->m, service, limit);
	}
	limit = service_exceeds(l, c, p, service, first);
	if (mt_unlikely(limit != MT_L4_LIMITS))
		return refuse(l, p->m, service, limit);
	if (by_source)
		charge_source(l, first, &at);
	charge_service(l, c, p, service, first);
	return true;
}

static mt_noinline bool admit_new(
	struct mt_l4 *l, struct l4_pkt *p, const struct l4_limits *c, uint32_t service)
{
	return admit(l, p, c, service, MT_L4_SOURCE_NEW_CONNECTIONS);
}

/* A packet that waited for a neighbour was charged when it came. */
static mt_inline const struct l4_limits *limits_of(const struct mt_l4 *l, uint32_t service)
{
	return mt_likely(l->park_until == 0) ? l->limits[service] : NULL;
}

/* A SYN of a flow. */
static mt_noinline bool admit_again(
	struct mt_l4 *l, struct l4_pkt *p, const struct l4_limits *c, uint32_t idx)
{
	struct l4_entry *e = &l->entries[idx];
	uint32_t service = e->service & L4_SERVICE;

	if (!opens_again(l, idx))
		return admit(l, p, c, service, MT_L4_SOURCE_PACKETS);
	if (!admit_new(l, p, c, service))
		return false;
	if (e->service & (L4_ONE_WAY | L4_COUNTED))
		return true;
	if (!l4_connection_begin(l, p->m, service))
		return false;
	l4_connection_made(l, service, idx);
	return true;
}

bool l4_limit(struct mt_l4 *l, struct l4_pkt *p, uint32_t idx)
{
	uint32_t service = l->entries[idx].service & L4_SERVICE;
	const struct l4_limits *c = limits_of(l, service);

	if (!c)
		return true;
	if (mt_unlikely(p->opens))
		return admit_again(l, p, c, idx);
	return admit(l, p, c, service, MT_L4_SOURCE_PACKETS);
}

bool l4_limit_new(struct mt_l4 *l, struct l4_pkt *p, uint32_t service, bool rest)
{
	const struct l4_limits *c = l->limits ? limits_of(l, service) : NULL;

	if (!c)
		return true;
	return rest ? admit(l, p, c, service, MT_L4_SOURCE_PACKETS) : admit_new(l, p, c, service);
}
