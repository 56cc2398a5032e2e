/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded cardinality. The first items get series of their own and keep them as long as they exist;
 * the others are summed up. The sum grows by what each item has counted since its last round, so
 * that it never decreases when an item goes away: a scraper would take a decrease for a restart and
 * show a burst that never happened.
 */
#include "mt_telemetry.h"

#include <errno.h>
#include <string.h>

#define ROUNDS_KEPT 16

struct entry {
	uint64_t id;	/* 0: free */
	uint64_t *last; /* values of the last round; NULL: has series of its own */
	uint32_t round; /* in which it was last seen */
};

struct mt_fold {
	uint32_t limit, width, n_own, round;
	struct entry *v; /* open addressing, cap a power of two */
	uint32_t n, cap;
	uint64_t other[];
};

struct mt_fold *mt_fold_new(uint32_t limit, uint32_t width)
{
	struct mt_fold *f = calloc(1, sizeof(*f) + width * sizeof(f->other[0]));

	if (!f)
		return NULL;
	f->limit = limit;
	f->width = width;
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
			f->n_own -= !e->last;
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
		if (f->n_own >= f->limit) {
			e->last = calloc(f->width, sizeof(*e->last));
			if (!e->last)
				return NULL;
		} else {
			f->n_own++;
		}
		e->id = id;
		f->n++;
	}
	e->round = f->round;
	return e;
}

bool mt_fold_own(struct mt_fold *f, uint64_t id, const uint64_t *values)
{
	struct entry *e = get(f, id ? id : 1);

	if (!e)
		return false; /* no memory: tried again by the next scrape */
	if (!e->last)
		return true;
	for (uint32_t i = 0; i < f->width; i++) {
		/* A lower value: its counters serve another item now. */
		f->other[i] += values[i] >= e->last[i] ? values[i] - e->last[i] : values[i];
		e->last[i] = values[i];
	}
	return false;
}

const uint64_t *mt_fold_other(const struct mt_fold *f)
{
	return f->other;
}
