/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_table.h"

#include <errno.h>
#include <sys/mman.h>

/* Average entries in a main bucket before the table grows by one bucket. */
#define FILL 5

static void *reserve(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int mt_table_init(
	struct mt_table *t, uint32_t cap, uint32_t (*hash_of)(void *, uint32_t), void *arg)
{
	uint32_t want = cap / FILL + 1;

	memset(t, 0, sizeof(*t));
	t->max_buckets = 2;
	while (t->max_buckets < want)
		t->max_buckets *= 2;
	/* Only address space: many chains may each have a bucket that is nearly empty. */
	t->over_max = cap / 2 + t->max_buckets + 1;
	t->over_fresh = 1;
	t->n_buckets = 2;
	t->low_mask = 1;
	t->hash_of = hash_of;
	t->arg = arg;
	t->b = reserve(sizeof(*t->b) * t->max_buckets);
	t->over = reserve(sizeof(*t->over) * t->over_max);
	if (t->b && t->over)
		return 0;
	mt_table_fini(t);
	return -ENOMEM;
}

void mt_table_fini(struct mt_table *t)
{
	if (t->b)
		munmap(t->b, sizeof(*t->b) * t->max_buckets);
	if (t->over)
		munmap(t->over, sizeof(*t->over) * t->over_max);
	t->b = t->over = NULL;
	t->n = 0;
}

static uint32_t over_alloc(struct mt_table *t)
{
	uint32_t i = t->over_free;

	if (i) {
		t->over_free = t->over[i].next;
	} else {
		if (t->over_fresh == t->over_max)
			return 0;
		i = t->over_fresh++;
	}
	memset(&t->over[i], 0, sizeof(t->over[i]));
	t->over_used++;
	return i;
}

static void over_release(struct mt_table *t, uint32_t i)
{
	t->over[i].next = t->over_free;
	t->over_free = i;
	t->over_used--;
}

/* Puts an entry into the chain of buckets that starts at b. false: no overflow bucket left. */
static bool put(struct mt_table *t, struct mt_table_bucket *b, uint16_t tag, uint32_t val)
{
	for (;;) {
		uint32_t empty = mt_table_match(b, 0);

		if (empty) {
			uint32_t way = (uint32_t)__builtin_ctz(empty);

			b->tags[way] = tag;
			b->vals[way] = val;
			return true;
		}
		if (!b->next) {
			b->next = over_alloc(t);
			if (!b->next)
				return false;
		}
		b = &t->over[b->next];
	}
}

/*
 * Splits the next bucket: its entries are distributed between it and the new last bucket. The chain
 * is emptied first, so its own overflow buckets serve both halves.
 */
static void grow(struct mt_table *t)
{
	uint32_t from = t->n_buckets - (t->low_mask + 1);
	struct mt_table_bucket *b = &t->b[from];
	struct mt_table_bucket old = *b;
	uint32_t next;

	memset(b, 0, sizeof(*b));
	t->n_buckets++;
	if (t->n_buckets == 2 * (t->low_mask + 1))
		t->low_mask = 2 * t->low_mask + 1;
	for (;;) {
		for (uint32_t i = 0; i < MT_TABLE_WAYS; i++) {
			uint32_t hash;

			if (!old.tags[i])
				continue;
			hash = t->hash_of(t->arg, old.vals[i]);
			/* A freed bucket exists for each one needed: the halves never need more. */
			MT_ASSERT(put(t, mt_table_bucket(t, hash), old.tags[i], old.vals[i]));
		}
		next = old.next;
		if (!next)
			return;
		old = t->over[next];
		over_release(t, next);
	}
}

int mt_table_insert(struct mt_table *t, uint32_t hash, uint32_t val)
{
	if (t->n >= t->n_buckets * FILL && t->n_buckets < t->max_buckets)
		grow(t);
	if (!put(t, mt_table_bucket(t, hash), mt_table_tag(hash), val))
		return -ENOSPC;
	t->n++;
	return 0;
}

/* Frees an overflow bucket when its last entry is removed. */
static void unlink_if_empty(
	struct mt_table *t, struct mt_table_bucket *head, struct mt_table_bucket *b)
{
	uint32_t next = b->next;

	if (b == head || mt_table_match(b, 0) != (1u << MT_TABLE_WAYS) - 1)
		return;
	while (&t->over[head->next] != b)
		head = &t->over[head->next];
	over_release(t, head->next);
	head->next = next;
}

bool mt_table_remove(struct mt_table *t, uint32_t hash, uint32_t val)
{
	struct mt_table_bucket *head = mt_table_bucket(t, hash);
	struct mt_table_iter it;
	uint32_t v = mt_table_first(t, hash, &it);

	while (v != val && v != MT_TABLE_NONE)
		v = mt_table_next(t, &it);
	if (v == MT_TABLE_NONE)
		return false;
	it.b->tags[it.way] = 0;
	it.b->vals[it.way] = 0;
	t->n--;
	unlink_if_empty(t, head, it.b);
	return true;
}

bool mt_table_replace(struct mt_table *t, uint32_t hash, uint32_t old, uint32_t val)
{
	struct mt_table_iter it;
	uint32_t v = mt_table_first(t, hash, &it);

	while (v != old && v != MT_TABLE_NONE)
		v = mt_table_next(t, &it);
	if (v == MT_TABLE_NONE)
		return false;
	it.b->vals[it.way] = val;
	return true;
}
