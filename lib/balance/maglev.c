/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fills a Maglev table so that few keys move. Each backend has its own permutation of the slots,
 * and its turns at its own times. In a turn it claims the next slot of the permutation, and the
 * earliest claim to a slot wins. Times and permutation depend only on the backend's name and
 * weight. So a backend that leaves moves its own slots only, because the order of all other claims
 * stays the same. In the published algorithm a backend looks for a free slot at once if the next
 * one is taken. Each removal then shifts the claims of others, and one of 1,000 backends moves
 * seven times its share.
 *
 * The times spread the slots by weight only on average. So a backend stops at a cap: its share and
 * a slack of three quarters of the share's square root. It goes on when an earlier claim takes a
 * slot from it. A smaller slack would move more keys of others; without any, dozens of shares.
 *
 * All numbers are integers, so that nodes of any architecture fill the same table.
 */
#include "mt_balance_priv.h"

#include <errno.h>
#include <string.h>

#define SLOT_FREE      UINT32_MAX
#define SEED_OFFSET    0u
#define SEED_SKIP      0x6d61676c65760001ull
#define NAME_HASH_SEED 0x6d61676c65760002ull
#define SEED_PHASE     0x6d61676c65760003ull
#define SEED_CAP       0x6d61676c65760004ull

/* Time is in ticks; turns of the heaviest backend are this far apart at first. */
#define INTERVAL_MIN (1ull << 28)
/* Of a backend that is too light to have turns after its first one. */
#define INTERVAL_MAX (1ull << 44)
/* Without an end until this time, caps are lifted. */
#define TIME_LIMIT (1ull << 58)
#define BLOCKS	   256u
/* A window has about this part of the slots as turns: then a claim rarely takes a slot away. */
#define WINDOW_PART 16u
#define WINDOW_LOW  64u

struct backend {
	const char *name;
	uint64_t order;		    /* by name, so that the caller's order has no effect */
	uint64_t at, interval;	    /* of its turns: the next time, and the distance at first */
	uint64_t step;		    /* the present distance */
	uint32_t idx;		    /* the caller's index */
	uint32_t next, skip;	    /* the permutation: next slot and its step */
	uint32_t turns, count, cap; /* turns taken; slots held, and the most of them */
	bool queued;		    /* in filling.lost */
};

struct filling {
	struct backend *b;
	uint32_t *holders; /* by slot: place in `b`, or SLOT_FREE */
	uint64_t *times;   /* by slot: time of the claim that holds it */
	uint32_t *lost;	   /* backends that lost a slot in this window */
	uint32_t n, size, n_lost, n_free, block;
	uint64_t end; /* of the window */
	uint64_t turns;
};

static int by_order(const void *a, const void *b)
{
	const struct backend *x = a, *y = b;
	int cmp;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	cmp = strcmp(x->name, y->name);
	return cmp ? cmp : (x->idx > y->idx) - (x->idx < y->idx);
}

static uint64_t square_root(uint64_t x)
{
	uint64_t root = 0;

	for (uint64_t bit = 1ull << 31; bit; bit >>= 1)
		if ((root + bit) * (root + bit) <= x)
			root += bit;
	return root;
}

/*
 * Most slots of a backend: its share and the slack, in 16 bits of fraction. A fraction that the
 * name determines rounds it, so that not all caps change at once when the number of backends does.
 */
static uint32_t cap_of(const struct backend *b, uint32_t size, uint32_t weight, uint64_t sum)
{
	uint64_t share = (uint64_t)(((unsigned __int128)size << 16) * weight / sum);
	uint64_t rounding = mt_balance_hash(b->name, strlen(b->name), SEED_CAP) >> 48;
	uint64_t cap = (share + square_root(share << 16) * 3 / 4 + rounding) >> 16;

	return (uint32_t)MT_MAX(cap, 1u);
}

static void prepare(struct filling *f, struct backend *b, const char *name, uint32_t weight,
	uint32_t heaviest, uint64_t sum)
{
	size_t len = strlen(name);
	uint64_t phase = mt_balance_hash(name, len, SEED_PHASE);

	b->name = name;
	b->order = mt_balance_hash(name, len, NAME_HASH_SEED);
	b->next = (uint32_t)(mt_balance_hash(name, len, SEED_OFFSET) % f->size);
	b->skip = (uint32_t)(mt_balance_hash(name, len, SEED_SKIP) % (f->size - 1)) + 1;
	if (!weight)
		return;
	b->interval = (uint64_t)((unsigned __int128)INTERVAL_MIN * heaviest / weight);
	b->interval = b->step = MT_MIN(b->interval, INTERVAL_MAX);
	b->at = (uint64_t)(((unsigned __int128)b->interval * phase) >> 64);
	b->cap = cap_of(b, f->size, weight, sum);
}

/*
 * A turn. The distance of turns grows with the part of the slots that the backend has claimed.
 * Without that, claims of a heavy backend would reach the last slots too early for their weight.
 */
static uint32_t next_slot(const struct filling *f, struct backend *b)
{
	uint32_t slot = b->next;

	b->next += b->skip;
	if (b->next >= f->size)
		b->next -= f->size;
	b->turns++;
	if (b->turns % f->block == 0)
		b->step = b->interval * (BLOCKS * BLOCKS / (BLOCKS - b->turns / f->block)) / BLOCKS;
	return slot;
}

/* The first turn of each: it takes the first free slot for good, so that each backend has one. */
static void take_first(struct filling *f, uint32_t i)
{
	struct backend *b = &f->b[i];
	uint32_t slot;

	do
		slot = next_slot(f, b);
	while (f->holders[slot] != SLOT_FREE);
	f->holders[slot] = i;
	f->times[slot] = 0;
	f->n_free--;
	b->count = 1;
	b->at += b->step;
}

static void claim(struct filling *f, uint32_t i)
{
	struct backend *b = &f->b[i];
	uint64_t at = b->at;
	uint32_t slot = next_slot(f, b), old = f->holders[slot];

	b->at += b->step;
	f->turns++;
	if (f->times[slot] < at || (f->times[slot] == at && old < i))
		return;
	f->holders[slot] = i;
	f->times[slot] = at;
	b->count++;
	if (old == SLOT_FREE) {
		f->n_free--;
		return;
	}
	f->b[old].count--;
	if (!f->b[old].queued) {
		f->b[old].queued = true;
		f->lost[f->n_lost++] = old;
	}
}

static void play(struct filling *f, uint32_t i)
{
	struct backend *b = &f->b[i];

	while (b->count < b->cap && b->at < f->end && b->turns < f->size)
		claim(f, i);
}

/*
 * Plays the turns up to f->end. The result does not depend on the order in which backends play,
 * because a claim takes the slot from a later one, and the backend of that goes on.
 */
static void play_window(struct filling *f)
{
	f->turns = 0;
	for (uint32_t i = 0; i < f->n; i++) {
		play(f, i);
		while (f->n_lost) {
			uint32_t old = f->lost[--f->n_lost];

			f->b[old].queued = false;
			play(f, old);
		}
	}
}

static void fill(struct filling *f, uint64_t window)
{
	f->n_free = f->size;
	f->block = f->size / BLOCKS + 1;
	memset(f->holders, 0xff, f->size * sizeof(*f->holders));
	memset(f->times, 0xff, f->size * sizeof(*f->times));
	for (uint32_t i = 0; i < f->n; i++)
		if (f->b[i].cap)
			take_first(f, i);
	while (f->n_free) {
		f->end += window;
		play_window(f);
		if (f->turns < f->size / WINDOW_LOW)
			window *= 2;
		if (f->end < TIME_LIMIT)
			continue;
		/* Only backends with hardly any turns have not reached their caps. */
		for (uint32_t i = 0; i < f->n; i++)
			f->b[i].cap = f->b[i].cap ? f->size : 0;
	}
}

static int allocate(struct filling *f)
{
	f->b = calloc(f->n, sizeof(*f->b));
	f->lost = malloc(f->n * sizeof(*f->lost));
	f->times = malloc(f->size * sizeof(*f->times));
	return f->b && f->lost && f->times ? 0 : -ENOMEM;
}

int mt_maglev_fill(uint32_t *slots, uint32_t size, const char *const *names,
	const uint32_t *weights, uint32_t n)
{
	struct filling f = {.n = n, .size = size, .holders = slots};
	uint32_t heaviest = 0;
	uint64_t sum = 0, turns = size / WINDOW_PART;
	int rc = allocate(&f);

	for (uint32_t i = 0; i < n; i++) {
		heaviest = MT_MAX(heaviest, weights[i]);
		sum += weights[i];
	}
	for (uint32_t i = 0; !rc && i < n; i++) {
		f.b[i].idx = i;
		prepare(&f, &f.b[i], names[i], weights[i], heaviest, sum);
	}
	if (!rc) {
		qsort(f.b, n, sizeof(*f.b), by_order);
		fill(&f, (uint64_t)((unsigned __int128)INTERVAL_MIN * turns * heaviest / sum));
		for (uint32_t i = 0; i < size; i++)
			slots[i] = f.b[slots[i]].idx;
	}
	free(f.times);
	free(f.lost);
	free(f.b);
	return rc;
}
