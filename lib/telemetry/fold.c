/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded cardinality. The first items get series of their own and keep them as long as they exist;
 * the others are summed up. The sum grows by what each item has counted since its last round, so
 * that it never decreases when an item goes away: a scraper would take a decrease for a restart and
 * show a burst that never happened.
 *
 * An item that is itself a sum, over workers for example, also falls when one of its parts starts
 * again at 0. The parts are not known here, so such an item keeps its values for that round, all of
 * them, because they belong together: what was counted in this round is lost, and no more.
 */
#include "mt_telemetry.h"

#include <errno.h>
#include <string.h>

#define ROUNDS_KEPT 16

struct entry {
	uint64_t id; /* 0: free */
	/*
	 * Values of the last round; of an item with series of its own also what it lost, which is added
	 * to later values. NULL: not needed.
	 */
	uint64_t *last;
	uint32_t round; /* in which it was last seen */
	bool own;	/* it has series of its own */
};

struct mt_fold {
	uint32_t limit, width, n_own, round;
	bool sums;	 /* items are sums */
	struct entry *v; /* open addressing, cap a power of two */
	uint32_t n, cap;
	uint64_t other[];
};

struct mt_fold *mt_fold_new(uint32_t limit, uint32_t width, bool sums)
{
	struct mt_fold *f = calloc(1, sizeof(*f) + width * sizeof(f->other[0]));

	if (!f)
		return NULL;
	f->limit = limit;
	f->width = width;
	f->sums = sums;
	return f;
}

void mt_fold_free(struct mt_fold *f)
{
	for (uint32_t i = 0; f && i < f->cap; i++)
		free(f->v[i].last);
	if (f)
		free(f->v);
	free(f);
}

static struct entry *find(struct entry *v, uint32_t cap, uint64_t id)
{
	uint32_t i = (uint32_t)(id ^ id >> 32) & (cap - 1);

	while (v[i].id && v[i].id != id)
		i = (i + 1) & (cap - 1);
	return &v[i];
}

/* Rebuilds the table with `cap` slots, without items that were not seen for ROUNDS_KEPT rounds. */
static int rebuild(struct mt_fold *f, uint32_t cap)
{
	struct entry *v = calloc(cap, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->cap; i++) {
		struct entry *e = &f->v[i];

		if (e->id && f->round - e->round < ROUNDS_KEPT) {
			*find(v, cap, e->id) = *e;
		} else if (e->id) {
			f->n_own -= e->own;
			f->n--;
			free(e->last);
		}
	}
	free(f->v);
	f->v = v;
	f->cap = cap;
	return 0;
}

void mt_fold_begin(struct mt_fold *f)
{
	if (++f->round % ROUNDS_KEPT == 0 && f->cap)
		(void)rebuild(f, f->cap);
}

static struct entry *get(struct mt_fold *f, uint64_t id)
{
	struct entry *e;

	if (f->n * 2 >= f->cap && rebuild(f, f->cap ? f->cap * 2 : 64))
		return NULL;
	e = find(f->v, f->cap, id);
	if (!e->id) {
		bool own = f->n_own < f->limit;

		if (!own || f->sums) {
			e->last = calloc(f->width, (own ? 2 : 1) * sizeof(*e->last));
			if (!e->last)
				return NULL;
		}
		e->id = id;
		e->own = own;
		f->n_own += own;
		f->n++;
	}
	e->round = f->round;
	return e;
}

static bool fell(const struct mt_fold *f, const struct entry *e, const uint64_t *values)
{
	for (uint32_t i = 0; i < f->width; i++)
		if (values[i] < e->last[i])
			return true;
	return false;
}

/* Adds what the item has lost, which is negative for values that grew while another one fell. */
static void restore(const struct mt_fold *f, struct entry *e, uint64_t *values)
{
	uint64_t *lost = e->last + f->width;
	bool part = fell(f, e, values);

	for (uint32_t i = 0; i < f->width; i++) {
		if (part)
			lost[i] += e->last[i] - values[i];
		e->last[i] = values[i];
		values[i] += lost[i];
	}
}

static void add_to_other(struct mt_fold *f, struct entry *e, const uint64_t *values)
{
	bool part = f->sums && fell(f, e, values);

	for (uint32_t i = 0; i < f->width; i++) {
		/* A lower value: its counters serve another item now. */
		if (!part)
			f->other[i] += values[i] >= e->last[i] ? values[i] - e->last[i] : values[i];
		e->last[i] = values[i];
	}
}

bool mt_fold_own(struct mt_fold *f, uint64_t id, uint64_t *values)
{
	struct entry *e = get(f, id ? id : 1);

	if (!e)
		return false; /* no memory: tried again by the next scrape */
	if (!e->own)
		add_to_other(f, e, values);
	else if (f->sums)
		restore(f, e, values);
	return e->own;
}

const uint64_t *mt_fold_other(const struct mt_fold *f)
{
	return f->other;
}
