/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants (mt_rls_grants.h): a fixed table with a few places for each key. A word of an entry has,
 * from its low end, the hits that are left, two flags, and the end in ms. It is 0 for an entry that
 * was never used.
 */
#include "mt_rls_grants.h"
#include "mt_secret_hash.h"

#include <stdlib.h>
#include <string.h>

#define SETS 4096
#define WAYS 4

#define LEFT   ((1ull << 24) - 1)
#define QUOTA  (1ull << 24)
#define LEASED (1ull << 25) /* a query leases hits, or one has failed to */
#define END_AT 26
#define BUSY   UINT64_MAX

/* Later ends count as these, ns from now: a service that forgets its quotas is queried again. */
#define QUOTA_LASTS (86400 * MT_SEC)
#define LEASE_LASTS (400 * 86400 * MT_SEC) /* more than a year, the longest window */
/* How often a worker looks for a place again because another one changes the key's entry. */
#define TRIES 64
/* The service rounds the end of a window to whole seconds. */
#define EARLY (1 * MT_SEC)

struct entry {
	uint64_t word, key;
	/* Quotas: the key of the entry that has the count; 0: this one. */
	uint64_t account;
	/* Quotas: when it was granted, ns. Leases: hits that remained in the window. */
	uint64_t extra;
};

struct mt_rls_grants {
	uint32_t lease;
	uint32_t used; /* not 0: there are or were grants */
	struct entry entry[SETS][WAYS] mt_cache_aligned;
};

_Static_assert(MT_CACHE_LINE % sizeof(struct entry) == 0, "an entry is in one cache line");

/* ---- memory ---------------------------------------------------------------------------------- */

struct mt_rls_grants *mt_rls_grants_new(uint32_t lease)
{
	struct mt_rls_grants *g = aligned_alloc(MT_CACHE_LINE, sizeof(*g));

	if (!g)
		return NULL;
	memset(g, 0, sizeof(*g));
	g->lease = MT_MIN(lease, (uint32_t)MT_RLS_LEASE_MAX);
	return g;
}

void mt_rls_grants_free(struct mt_rls_grants *g)
{
	free(g);
}

/* ---- words ----------------------------------------------------------------------------------- */

static uint64_t ms_of(uint64_t ns)
{
	return ns / MT_MSEC;
}

static uint64_t end_of(uint64_t word)
{
	return word == BUSY ? 0 : word >> END_AT;
}

static bool is_live(uint64_t word, uint64_t now)
{
	return end_of(word) > ms_of(now);
}

static uint64_t left_of(uint64_t word)
{
	return word & LEFT;
}

static uint64_t word_of(uint64_t left, uint64_t flags, uint64_t end)
{
	return MT_MIN(left, LEFT) | flags | ms_of(end) << END_AT;
}

static uint64_t load(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static bool change(struct entry *e, uint64_t *word, uint64_t to)
{
	return __atomic_compare_exchange_n(
		&e->word, word, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* ---- entries --------------------------------------------------------------------------------- */

/* An entry with what it had; all 0: there is none. */
struct found {
	struct entry *e;
	uint64_t word, account, extra;
};

static struct entry *set_of(struct mt_rls_grants *g, uint64_t key)
{
	return g->entry[key % SETS];
}

static struct found find(struct mt_rls_grants *g, uint64_t key, uint64_t now)
{
	struct entry *set = set_of(g, key);

	for (uint32_t i = 0; i < WAYS; i++) {
		struct found f = {.e = &set[i], .word = load(&set[i].word)};
		uint64_t end = end_of(f.word);

		if (!is_live(f.word, now) || load(&f.e->key) != key)
			continue;
		f.account = load(&f.e->account);
		f.extra = load(&f.e->extra);
		f.word = load(&f.e->word);
		/* Another end: the entry has changed in between. */
		if (end_of(f.word) == end)
			return f;
	}
	return (struct found){0};
}

/* The entry with the count of a descriptor's grant, or of a set's. */
static struct found find_count(struct mt_rls_grants *g, uint64_t key, uint64_t now)
{
	struct found f = find(g, key, now);

	return f.account ? find(g, f.account, now) : f;
}

/* Takes a hit; false: none is left, or the entry has another grant now. */
static bool take_hit(struct found f)
{
	uint64_t end = end_of(f.word);

	while (end_of(f.word) == end && left_of(f.word))
		if (change(f.e, &f.word, f.word - 1))
			return true;
	return false;
}

/* Returns a hit that was taken. */
static void return_hit(struct found f)
{
	uint64_t end = end_of(f.word);

	for (uint32_t i = 0; i < TRIES; i++) {
		if (f.word == BUSY) {
			f.word = load(&f.e->word);
			continue;
		}
		if (end_of(f.word) != end || left_of(f.word) == LEFT ||
			change(f.e, &f.word, f.word + 1))
			return;
	}
}

static bool gives_way(uint64_t word, uint64_t now)
{
	if (word == BUSY)
		return false;
	return !is_live(word, now) || !(word & (LEFT | QUOTA | LEASED));
}

/* A grant that is to be kept. */
struct grant {
	uint64_t key, word, account, extra;
};

static bool put(struct entry *e, uint64_t word, const struct grant *from)
{
	if (!change(e, &word, BUSY))
		return false;
	__atomic_store_n(&e->key, from->key, __ATOMIC_RELEASE);
	__atomic_store_n(&e->account, from->account, __ATOMIC_RELEASE);
	__atomic_store_n(&e->extra, from->extra, __ATOMIC_RELEASE);
	__atomic_store_n(&e->word, from->word, __ATOMIC_RELEASE);
	return true;
}

/* An entry that gives way to the key. *again: the key may have one now. */
static struct found spare(struct mt_rls_grants *g, uint64_t key, uint64_t now, bool *again)
{
	struct entry *set = set_of(g, key);
	struct found f = {0};

	*again = false;
	for (uint32_t i = 0; i < WAYS; i++) {
		uint64_t word = load(&set[i].word);

		*again |= word == BUSY || (is_live(word, now) && load(&set[i].key) == key);
		if (!f.e && gives_way(word, now))
			f = (struct found){.e = &set[i], .word = word};
	}
	return f;
}

/* Stores the grant of a key that has no entry. False: that may have changed. */
static bool add(struct mt_rls_grants *g, const struct grant *from, uint64_t now)
{
	struct grant own = *from;
	bool again;
	struct found f = spare(g, from->key, now, &again);

	if (again)
		return false;
	if (!f.e)
		return true;
	/* Two keys, one after the other, do not have the same word. */
	if (end_of(f.word) == end_of(own.word))
		own.word -= 1ull << END_AT;
	if (!put(f.e, f.word, &own))
		return false;
	if (!__atomic_load_n(&g->used, __ATOMIC_RELAXED))
		__atomic_store_n(&g->used, 1, __ATOMIC_RELAXED);
	return true;
}

/*
 * Replaces the grant `f` of the key, or one that gives way. If there is no place, it is not kept.
 * False: another worker has changed the entry.
 */
static bool store(struct mt_rls_grants *g, struct found f, const struct grant *from, uint64_t now)
{
	return f.e ? put(f.e, f.word, from) : add(g, from, now);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static bool is_used_up(struct found f)
{
	return (f.word & QUOTA) && !left_of(f.word);
}

/* Takes a hit of each, once of a quota that several descriptors share; false: of none. */
static bool take_all(struct found *f, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		bool again = false;

		for (uint32_t k = 0; k < i; k++)
			again |= f[k].e == f[i].e && (f[i].word & QUOTA);
		if (again) {
			f[i].e = NULL;
			continue;
		}
		if (take_hit(f[i]))
			continue;
		while (i-- > 0)
			if (f[i].e)
				return_hit(f[i]);
		return false;
	}
	return true;
}

static enum mt_rls_grant take_each(
	struct mt_rls_grants *g, const struct mt_rls_keys *keys, uint64_t now, uint32_t *which)
{
	struct found f[MT_RLS_DESCRIPTORS];
	bool each = true;

	for (uint32_t i = 0; i < keys->n; i++) {
		f[i] = find_count(g, keys->of[i], now);
		each &= f[i].e && left_of(f[i].word);
		if (!f[i].e || !is_used_up(f[i]))
			continue;
		*which = i;
		return MT_RLS_USED_UP;
	}
	return each && take_all(f, keys->n) ? MT_RLS_GRANTED : MT_RLS_ASK;
}

enum mt_rls_grant mt_rls_grants_take(
	struct mt_rls_grants *g, const struct mt_rls_keys *keys, uint64_t now, uint32_t *which)
{
	struct found set;

	if (mt_likely(!__atomic_load_n(&g->used, __ATOMIC_RELAXED)))
		return MT_RLS_ASK;
	set = find_count(g, keys->set, now);
	if (!set.e)
		return take_each(g, keys, now, which);
	if (left_of(set.word))
		return take_hit(set) ? MT_RLS_GRANTED : MT_RLS_ASK;
	*which = keys->n;
	return MT_RLS_USED_UP;
}

/* ---- leases ---------------------------------------------------------------------------------- */

/* How many hits a query may lease of a descriptor; less than 2: none. */
static uint64_t leasable(const struct mt_rls_grants *g, struct found f)
{
	if (!f.e || (f.word & (LEFT | QUOTA | LEASED)))
		return 0;
	return MT_MIN(f.extra, g->lease);
}

/* True if calls with these descriptors pass by leases, unless one is refused. */
static bool is_worth(struct mt_rls_grants *g, const struct mt_rls_keys *keys, uint64_t now)
{
	for (uint32_t i = 0; i < keys->n; i++) {
		struct found f = find_count(g, keys->of[i], now);

		if (!f.e || (!left_of(f.word) && leasable(g, f) < 2))
			return false;
	}
	return true;
}

/* How many hits a query takes of a descriptor: 1, or a lease, which it notes. */
static uint32_t hits_of(struct mt_rls_grants *g, uint64_t key, uint64_t now)
{
	struct found f = find(g, key, now);
	uint64_t hits = leasable(g, f);

	return hits > 1 && change(f.e, &f.word, f.word | LEASED) ? (uint32_t)hits : 1;
}

bool mt_rls_grants_ask(struct mt_rls_grants *g, const struct mt_rls_keys *keys, uint64_t now,
	struct mt_rls_asked *asked)
{
	bool worth = g->lease > 1 && is_worth(g, keys, now), leases = false;

	asked->at = now;
	for (uint32_t i = 0; i < keys->n; i++) {
		asked->hits[i] = worth ? hits_of(g, keys->of[i], now) : 1;
		leases |= asked->hits[i] > 1;
	}
	return leases;
}

/* A word with the hits of `to` and those that are left; it ends with the window that ends first. */
static uint64_t with_left(uint64_t to, struct found f)
{
	if (!f.e)
		return to;
	return MT_MIN(left_of(f.word) + left_of(to), LEFT) | MT_MIN(end_of(f.word), end_of(to))
								     << END_AT;
}

/*
 * Keeps what a query leaves over, and how many hits the next one may lease. The lease of a query
 * that is refused stays noted until the window ends, so that there is no other one.
 */
static void keep_lease(struct mt_rls_grants *g, uint64_t key, const struct mt_rls_status *s,
	uint32_t hits, uint64_t asked, uint64_t now)
{
	uint64_t lasts = s->has_reset && s->reset > EARLY ? s->reset - EARLY : 0;
	uint64_t word = word_of(hits - 1, 0, asked + MT_MIN(lasts, LEASE_LASTS));
	struct grant lease = {.key = key, .extra = s->remaining};

	if (s->code != MT_RLS_OK || !is_live(word, now))
		return;
	for (uint32_t i = 0; i < TRIES; i++) {
		struct found f = find(g, key, now);

		if ((f.word & QUOTA) || (hits == 1 && (f.word & (LEFT | LEASED))))
			return;
		if (!f.e && !s->remaining && hits == 1)
			return;
		lease.word = with_left(word, f);
		if (store(g, f, &lease, now))
			return;
	}
}

/* ---- quotas ---------------------------------------------------------------------------------- */

/* The key of the count of all quotas with this id. */
static uint64_t account_of(
	const struct mt_rls_keys *keys, const struct mt_rls_answer *a, struct mt_rls_text id)
{
	return mt_secret_hash(mt_rls_text(a, id), id.len, ~keys->seed) | 1;
}

/* Keeps a quota; the call of the query has taken a hit of it. */
static void keep_count(
	struct mt_rls_grants *g, const struct grant *quota, uint64_t asked, uint64_t now)
{
	for (uint32_t i = 0; i < TRIES; i++) {
		struct found f = find(g, quota->key, now);

		if (f.e && (f.word & QUOTA) && asked <= f.extra) {
			(void)take_hit(f);
			return;
		}
		if (store(g, f, quota, now))
			return;
	}
}

/* Lets a descriptor, or a set, use the quota that others have as well. */
static void keep_alias(struct mt_rls_grants *g, const struct grant *alias, uint64_t now)
{
	for (uint32_t i = 0; i < TRIES; i++)
		if (store(g, find(g, alias->key, now), alias, now))
			return;
}

static void keep_quota(struct mt_rls_grants *g, const struct mt_rls_keys *keys, uint64_t key,
	const struct mt_rls_answer *a, const struct mt_rls_quota *q, uint64_t asked, uint64_t now)
{
	struct grant quota = {.key = key, .extra = now};
	uint64_t end = now + MT_MIN(q->lasts, QUOTA_LASTS);

	if (q->id.len) {
		struct grant alias = {.key = key,
			.word = word_of(0, QUOTA, end),
			.account = account_of(keys, a, q->id)};

		keep_alias(g, &alias, now);
		quota.key = alias.account;
	}
	quota.word = word_of(q->requests - 1, QUOTA, end);
	keep_count(g, &quota, asked, now);
}

static void keep_status(struct mt_rls_grants *g, const struct mt_rls_keys *keys, uint32_t i,
	const struct mt_rls_asked *asked, const struct mt_rls_answer *a, uint64_t now)
{
	const struct mt_rls_status *s = &a->status[i];
	struct found f;

	if (s->code == MT_RLS_OK && s->quota.requests) {
		keep_quota(g, keys, keys->of[i], a, &s->quota, asked->at, now);
		return;
	}
	f = find_count(g, keys->of[i], now);
	if (f.e && (f.word & QUOTA))
		(void)take_hit(f);
	else if (g->lease > 1)
		keep_lease(g, keys->of[i], s, asked->hits[i], asked->at, now);
}

void mt_rls_grants_keep(struct mt_rls_grants *g, const struct mt_rls_keys *keys,
	const struct mt_rls_asked *asked, const struct mt_rls_answer *a, uint64_t now)
{
	if (a->code == MT_RLS_OK && a->quota.requests)
		keep_quota(g, keys, keys->set, a, &a->quota, asked->at, now);
	for (uint32_t i = 0; i < MT_MIN(keys->n, a->n_statuses); i++)
		keep_status(g, keys, i, asked, a, now);
}
