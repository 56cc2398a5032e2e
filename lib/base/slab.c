/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_slab.h"
#include "mt_poison.h"
#include "mt_slab_debug.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/*
 * Poisoning all of a large slab would fill shadow memory of an eighth of its size. So objects are
 * poisoned a block at a time, and until then cannot be accessed at all. A block of objects of any
 * size ends at the end of a page.
 */
#define BLOCK 4096u

static void *reserve(size_t len, int access)
{
	void *p = mmap(NULL, len, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t round_size(size_t size)
{
	size_t to = size >= MT_CACHE_LINE ? MT_CACHE_LINE : 8;

	return (size + to - 1) & ~(to - 1);
}

/*
 * The inverse of an odd number modulo 2^64: each step of Newton's method doubles the correct bits,
 * 3 at first.
 */
static uint64_t inverse_of(uint64_t odd)
{
	uint64_t x = odd;

	for (int i = 0; i < 5; i++)
		x *= 2 - odd * x;
	return x;
}

/* Bytes of the objects below `n`, rounded up to a block. */
static size_t bytes_of_blocks(const struct mt_slab *s, uint32_t n)
{
	uint64_t objects = ((uint64_t)n + BLOCK - 1) / BLOCK * BLOCK;

	return (size_t)s->size * MT_MIN(objects, (uint64_t)s->cap);
}

void mt_slab_reach(struct mt_slab *s, uint32_t fresh)
{
	size_t had = bytes_of_blocks(s, s->fresh), now = bytes_of_blocks(s, fresh);
	int rc;

	s->fresh = fresh;
	if (!MT_POISONS || had == now)
		return;
	rc = mprotect(s->base + had, now - had, PROT_READ | PROT_WRITE);
	MT_ASSERT(rc == 0);
	mt_poison(s->base + had, now - had);
}

int mt_slab_init(struct mt_slab *s, const char *name, size_t size, uint32_t cap)
{
	memset(s, 0, sizeof(*s));
	s->name = name;
	s->size = (uint32_t)round_size(size);
	s->shift = (uint32_t)__builtin_ctz(s->size);
	s->inverse = inverse_of(s->size >> s->shift);
	s->cap = cap;
	s->base = reserve((size_t)s->size * cap, MT_POISONS ? PROT_NONE : PROT_READ | PROT_WRITE);
	s->gens = reserve(sizeof(*s->gens) * cap, PROT_READ | PROT_WRITE);
	s->free = reserve(sizeof(*s->free) * cap, PROT_READ | PROT_WRITE);
	if (!s->base || !s->gens || !s->free) {
		mt_slab_fini(s);
		return -ENOMEM;
	}
	s->gens[0] = 2; /* MT_REF_NONE names no object */
	return 0;
}

void mt_slab_fini(struct mt_slab *s)
{
	if (s->base) {
		mt_unpoison(s->base, bytes_of_blocks(s, s->fresh));
		munmap(s->base, (size_t)s->size * s->cap);
	}
	if (s->gens)
		munmap(s->gens, sizeof(*s->gens) * s->cap);
	if (s->free)
		munmap(s->free, sizeof(*s->free) * s->cap);
	memset(s, 0, sizeof(*s));
}

#ifdef MT_DEBUG_POOLS
bool mt_slab_reuse_at_once;

/*
 * Takes fresh objects before any reuse, then the oldest, so that a stale pointer stays poisoned as
 * long as possible.
 */
int64_t mt_slab_take_slowly(struct mt_slab *s)
{
	uint32_t idx;

	if (mt_slab_reuse_at_once && s->n_free > 0)
		return s->free[(s->free_head + --s->n_free) % s->cap];
	if (s->fresh < s->cap) {
		mt_slab_reach(s, s->fresh + 1);
		return s->fresh - 1;
	}
	if (s->n_free == 0) {
		s->failed++;
		return -1;
	}
	idx = s->free[s->free_head];
	s->free_head = (s->free_head + 1) % s->cap;
	s->n_free--;
	return idx;
}

static void give_index(struct mt_slab *s, uint32_t idx)
{
	s->free[(s->free_head + s->n_free++) % s->cap] = idx;
}
#else
/* Takes a fresh object, because no freed one is available. */
int64_t mt_slab_take_slowly(struct mt_slab *s)
{
	if (s->fresh < s->cap) {
		mt_slab_reach(s, s->fresh + 1);
		return s->fresh - 1;
	}
	s->failed++;
	return -1;
}

static void give_index(struct mt_slab *s, uint32_t idx)
{
	s->free[s->n_free++] = idx;
}
#endif

void mt_slab_free(struct mt_slab *s, void *obj)
{
	uint32_t idx = mt_slab_idx(s, obj);

	MT_ASSERT(idx < s->fresh && (s->gens[idx] & 1));
	s->gens[idx]++;
	/* The generation may wrap to 0, which means "none"; skip it. */
	if (mt_unlikely(s->gens[idx] == 0))
		s->gens[idx] = 2;
	s->in_use--;
#ifdef MT_DEBUG_POOLS
	memset(obj, 0xdb, s->size);
#endif
	mt_poison(obj, s->size);
	give_index(s, idx);
}

void *mt_slab_next(const struct mt_slab *s, uint32_t *idx)
{
	while (*idx < s->fresh) {
		uint32_t i = (*idx)++;

		if (s->gens[i] & 1)
			return mt_slab_at(s, i);
	}
	return NULL;
}
