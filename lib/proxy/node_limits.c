/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of the node (mt_node_limits.h). The shared word has the units that are not free in its
 * low half, and a count of its changes in the high half.
 *
 * Why no unit is refused while one is left: a worker that refuses has read the shared word at the
 * limit, then found that no worker keeps a unit, then read the same word again. Kept units only
 * become fewer in between: a worker that returns one keeps it only if the shared word, read after
 * that, is below the limit, and otherwise moves it to the shared word, which changes. So at the
 * second read all units are in use or about to be returned. All accesses are sequentially
 * consistent, because a worker that returns a unit stores its kept units and then loads the shared
 * word, and a worker that takes one accesses them in the reverse order. A worker takes a unit that
 * another one keeps only to use it, or to reduce the units beyond `max`.
 */
#include "mt_node_limits.h"

#include <stdlib.h>
#include <sys/mman.h>

/* A worker keeps at most 1 / KEEP_PART of its even share. */
#define KEEP_PART 8u
/* ns: how often a worker notes that it needs a unit, and how long the note counts. */
#define WANT_EVERY  (200 * MT_MSEC)
#define WANT_COUNTS (2 * MT_SEC)

/* Words of one cluster that all workers write. */
struct mt_units_shared {
	uint64_t word[MT_NODE_LIMITS];
	uint64_t wanted[MT_NODE_LIMITS]; /* ns */
} mt_cache_aligned;

/* ---- memory: address space that is backed as it is touched --------------------------------- */

static void *reserve(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t shared_size(void)
{
	return sizeof(struct mt_units_shared) * MT_UPSTREAM_CLUSTERS_MAX;
}

static size_t own_size(const struct mt_node_limits *l)
{
	return sizeof(struct mt_units_of_cluster) * MT_UPSTREAM_CLUSTERS_MAX * l->workers;
}

struct mt_node_limits *mt_node_limits_new(uint16_t workers)
{
	struct mt_node_limits *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->workers = workers;
	l->shared = reserve(shared_size());
	l->own = reserve(own_size(l));
	if (l->shared && l->own)
		return l;
	mt_node_limits_free(l);
	return NULL;
}

void mt_node_limits_free(struct mt_node_limits *l)
{
	if (!l)
		return;
	if (l->shared)
		munmap(l->shared, shared_size());
	if (l->own)
		munmap(l->own, own_size(l));
	free(l);
}

/* ---- words --------------------------------------------------------------------------------- */

static uint64_t *word_of(const struct mt_units *u)
{
	return &u->limits->shared[u->cluster].word[u->limit];
}

static uint64_t read_word(const struct mt_units *u)
{
	return __atomic_load_n(word_of(u), __ATOMIC_SEQ_CST);
}

static uint32_t taken_in(uint64_t word)
{
	return (uint32_t)word;
}

/*
 * Adds `by` to the taken units if the word still is *word, and counts the change in its upper half.
 * False: it is not; sets *word to the current value.
 */
static bool change(const struct mt_units *u, uint64_t *word, uint32_t by)
{
	uint64_t next = ((*word >> 32) + 1) << 32 | (uint32_t)(taken_in(*word) + by);

	return __atomic_compare_exchange_n(
		word_of(u), word, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Adds `by`, which may be negative (modulo 2^32), to the number of taken units. */
static void add(const struct mt_units *u, uint32_t by)
{
	uint64_t word = read_word(u);

	while (!change(u, &word, by))
		;
}

/* Takes at most n of the units that a worker keeps; returns how many it took. */
static uint32_t take_kept(struct mt_units_own *own, uint32_t n)
{
	uint32_t kept = __atomic_load_n(&own->kept, __ATOMIC_SEQ_CST), take;

	do {
		take = MT_MIN(kept, n);
	} while (take && !__atomic_compare_exchange_n(&own->kept, &kept, kept - take, false,
				 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	return take;
}

static bool take_of_any(const struct mt_units *u)
{
	uint16_t n = u->limits->workers;

	for (uint16_t i = 0; i < n; i++) {
		struct mt_units of = *u;

		of.worker = (uint16_t)((u->worker + i) % n);
		if (take_kept(mt_units_own(of), 1))
			return true;
	}
	return false;
}

/* ---- units --------------------------------------------------------------------------------- */

static mt_noinline bool take_shared(const struct mt_units *u, uint32_t max)
{
	uint64_t word = read_word(u);

	for (;;) {
		if (taken_in(word) < max) {
			if (change(u, &word, 1))
				return true;
		} else if (take_of_any(u)) {
			if (taken_in(word) <= max)
				return true;
			/* More than `max` units are taken: free the kept one, do not use it. */
			add(u, (uint32_t)-1);
			word = read_word(u);
		} else {
			uint64_t before = word;

			word = read_word(u);
			if (word == before)
				return false;
		}
	}
}

bool mt_units_take(struct mt_units u, uint32_t max)
{
	struct mt_units_own *own = mt_units_own(u);
	bool kept = taken_in(read_word(&u)) <= max && take_kept(own, 1);

	if (!kept && !take_shared(&u, max))
		return false;
	own->used++;
	return true;
}

bool mt_units_left(struct mt_units u, uint32_t max)
{
	uint32_t taken = taken_in(read_word(&u));
	struct mt_units of = u;

	/* Kept units are not in use, so one may be left even if the limit was lowered. */
	for (of.worker = 0; taken >= max && of.worker < u.limits->workers; of.worker++)
		taken -= MT_MIN(taken, __atomic_load_n(&mt_units_own(of)->kept, __ATOMIC_RELAXED));
	return taken < max;
}

bool mt_units_over(struct mt_units u, uint32_t max)
{
	return taken_in(read_word(&u)) > max;
}

uint32_t mt_units_even(struct mt_units u, uint32_t max)
{
	return max / u.limits->workers + (max % u.limits->workers != 0);
}

/* How many of n returned units the worker keeps. */
static uint32_t keeps(const struct mt_units *u, uint32_t n, uint32_t max)
{
	uint32_t most = mt_units_share(*u, max) / KEEP_PART;
	uint32_t kept = __atomic_load_n(&mt_units_own(*u)->kept, __ATOMIC_RELAXED);

	if (kept >= most || taken_in(read_word(u)) >= max)
		return 0;
	return MT_MIN(n, most - kept);
}

static void give_back(const struct mt_units *u, uint32_t n, uint32_t max)
{
	uint32_t keep = keeps(u, n, max);

	if (keep) {
		__atomic_fetch_add(&mt_units_own(*u)->kept, keep, __ATOMIC_SEQ_CST);
		n -= keep;
		/* The limit is reached: others may have missed these units in their search. */
		if (taken_in(read_word(u)) >= max)
			n += take_kept(mt_units_own(*u), keep);
	}
	if (n)
		add(u, (uint32_t)-n);
}

void mt_units_settle(struct mt_units u, uint32_t n, uint32_t max)
{
	struct mt_units_own *own = mt_units_own(u);
	uint32_t used = own->used;

	own->used = n;
	if (n > used)
		add(&u, n - used);
	else
		give_back(&u, used - n, max);
}

/* ---- units that a worker needs ------------------------------------------------------------- */

void mt_units_want(struct mt_units u, uint64_t now)
{
	uint64_t *wanted = &u.limits->shared[u.cluster].wanted[u.limit];

	if (now >= __atomic_load_n(wanted, __ATOMIC_RELAXED) + WANT_EVERY)
		__atomic_store_n(wanted, now, __ATOMIC_RELAXED);
}

bool mt_units_wanted(struct mt_units u, uint64_t now)
{
	uint64_t wanted =
		__atomic_load_n(&u.limits->shared[u.cluster].wanted[u.limit], __ATOMIC_RELAXED);

	return wanted && now < wanted + WANT_COUNTS;
}
