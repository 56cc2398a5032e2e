/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slab: objects of one size, identified by index and generation, for one worker. Address space
 * for all of them is reserved at creation and backed by memory as objects are first used, so an
 * object never moves and taking one never calls the kernel on purpose. Not thread-safe: the worker
 * owns it.
 *
 * Debug builds poison freed objects and reuse them as late as possible (FIFO quarantine).
 */
#pragma once

#include "mt_base.h"
#include "mt_poison.h"

#include <string.h>

struct mt_slab {
	const char *name; /* for `show memory` */
	uint8_t *base;
	uint32_t *
		gens; /* generation of every object: odd = live, even = free; never 0 for index 0 */
	uint32_t *free;	  /* ring (debug) or stack of free indices below `fresh` */
	uint32_t size;	  /* bytes of one object, rounded up to 8 (64 from 64 on) */
	uint32_t shift;	  /* size = odd << shift, */
	uint64_t inverse; /* and odd * inverse = 1 (mod 2^64): divides by a multiplication */
	uint32_t cap;	  /* maximum objects */
	uint32_t fresh;	  /* indices from here on were never used */
	uint32_t n_free, free_head;
	uint32_t in_use, peak;
	uint64_t failed; /* calls of mt_slab_alloc() that returned NULL */
};

/* Reserves room for `cap` objects of `size` bytes. 0 or -ENOMEM. Boot only. */
int mt_slab_init(struct mt_slab *s, const char *name, size_t size, uint32_t cap);
void mt_slab_fini(struct mt_slab *s);

/*
 * Sets the first index that was never used, which only grows and is at most `cap`. For loading a
 * slab from an image.
 */
void mt_slab_reach(struct mt_slab *s, uint32_t fresh);

/* Frees the object. Every reference to it is stale from here on. */
void mt_slab_free(struct mt_slab *s, void *obj);

static inline void *mt_slab_at(const struct mt_slab *s, uint32_t idx)
{
	return s->base + (size_t)idx * s->size;
}

/* `obj` must be the address of an object, not an address inside one. */
static inline uint32_t mt_slab_idx(const struct mt_slab *s, const void *obj)
{
	uint64_t off = (uint64_t)((const uint8_t *)obj - s->base);

#ifdef MT_DEBUG_POOLS
	MT_ASSERT(off % s->size == 0);
#endif
	return (uint32_t)((off >> s->shift) * s->inverse);
}

static inline struct mt_ref mt_slab_ref(const struct mt_slab *s, const void *obj)
{
	uint32_t i = mt_slab_idx(s, obj);

	return (struct mt_ref){i, s->gens[i]};
}

/* True if the object still exists. `ref` must be from this slab, or MT_REF_NONE. */
static inline bool mt_slab_live(const struct mt_slab *s, struct mt_ref ref)
{
	return s->gens[ref.idx] == ref.gen;
}

/* The object; NULL if the reference is none or stale. */
static inline void *mt_slab_get(const struct mt_slab *s, struct mt_ref ref)
{
	if (mt_unlikely(!mt_slab_live(s, ref)))
		return NULL;
	return mt_slab_at(s, ref.idx);
}

/*
 * For mt_slab_alloc(): index of an object that is not in use; -1 if there is none (counted in
 * `failed`).
 */
int64_t mt_slab_take_slowly(struct mt_slab *s);

/* mt_slab_alloc() for a caller that sets all fields: the object has any content. */
static inline mt_must_check void *mt_slab_take(struct mt_slab *s, struct mt_ref *ref)
{
	int64_t idx;
	void *obj;

#ifdef MT_DEBUG_POOLS
	idx = mt_slab_take_slowly(s);
#else
	idx = mt_likely(s->n_free > 0) ? s->free[--s->n_free] : mt_slab_take_slowly(s);
#endif
	if (mt_unlikely(idx < 0)) {
		if (ref)
			*ref = MT_REF_NONE;
		return NULL;
	}
	s->gens[idx]++;
	if (++s->in_use > s->peak)
		s->peak = s->in_use;
	obj = mt_slab_at(s, (uint32_t)idx);
	mt_unpoison(obj, s->size);
	if (ref)
		*ref = (struct mt_ref){(uint32_t)idx, s->gens[idx]};
	return obj;
}

/*
 * A zeroed object, or NULL if `cap` are in use (counted in `failed`). *ref, if not NULL, receives
 * its reference, or none.
 */
static inline mt_must_check void *mt_slab_alloc(struct mt_slab *s, struct mt_ref *ref)
{
	void *obj = mt_slab_take(s, ref);

	if (mt_likely(obj != NULL))
		memset(obj, 0, s->size);
	return obj;
}

/* Iterates live objects: *idx starts at 0; NULL at the end. The object may be freed meanwhile. */
void *mt_slab_next(const struct mt_slab *s, uint32_t *idx);
