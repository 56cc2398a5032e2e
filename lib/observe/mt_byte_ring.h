/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of records of any length between two threads: a worker writes, one other thread reads.
 * A full ring drops the newest record and counts it, so the worker never waits.
 *
 * Invariants:
 * - A record is contiguous, starts at a multiple of 8 bytes and keeps its place until it is popped.
 * - The worker may change a record until mt_byte_ring_publish(); then the reader owns it.
 * - Positions count all bytes since the start and never decrease. Records may point to objects of
 *   a snapshot: the worker notes mt_byte_ring_position() when its last hold of the snapshot ends,
 *   and the snapshot is freed only after mt_byte_ring_passed() of that position, because the reader
 *   has then popped each record that was written before.
 *
 * The owner allocates the bytes, so that workers call no function that allocates.
 */
#pragma once

#include "mt_base.h"
#include "mt_mutant.h"

#define MT_BYTE_RING_SIZE (4u << 20) /* bytes of a worker's ring; a power of two */

struct mt_byte_ring {
	uint8_t *bytes;
	uint32_t size;
	uint64_t written;   /* worker: end of the newest record */
	uint64_t tail_seen; /* worker: `tail` when it was last read */
	uint64_t lost;	    /* records dropped because the ring was full; worker: w, others: r */
	__attribute__((aligned(64))) uint64_t head; /* worker: w (release), reader: r */
	__attribute__((aligned(64))) uint64_t tail; /* reader: w (release), worker: r */
};

/* `bytes` is aligned to 8, has `size` bytes, a power of two, and must outlive the ring. */
void mt_byte_ring_init(struct mt_byte_ring *r, void *bytes, uint32_t size);

/* ---- worker --------------------------------------------------------------------------------- */

/* Space for a record of `len` bytes; not cleared. NULL: the ring is full (counted). */
void *mt_byte_ring_reserve(struct mt_byte_ring *r, uint32_t len);
/* Shortens the newest record, which is not published yet, to `len` bytes; 0 removes it. */
void mt_byte_ring_trim(struct mt_byte_ring *r, void *record, uint32_t len);
/* Makes all records readable. */
void mt_byte_ring_publish(struct mt_byte_ring *r);

/* Position after the newest record, published or not. */
static inline uint64_t mt_byte_ring_position(const struct mt_byte_ring *r)
{
	return r->written;
}

/* ---- reader --------------------------------------------------------------------------------- */

/* The next record and its length, valid until mt_byte_ring_pop(); NULL: none is readable. */
const void *mt_byte_ring_peek(struct mt_byte_ring *r, uint32_t *len);
/* Returns the record that mt_byte_ring_peek() returned to the worker. */
void mt_byte_ring_pop(struct mt_byte_ring *r);
/*
 * The record at *at or later, without popping it; *at becomes the position after it. Start with the
 * reader's position, mt_byte_ring_tail(). NULL: none is readable there.
 */
const void *mt_byte_ring_next(const struct mt_byte_ring *r, uint64_t *at, uint32_t *len);

static inline uint64_t mt_byte_ring_tail(const struct mt_byte_ring *r)
{
	return r->tail;
}

/* ---- any thread ----------------------------------------------------------------------------- */

/* Position after the newest published record. */
static inline uint64_t mt_byte_ring_head(const struct mt_byte_ring *r)
{
	return __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
}

/* True if the reader has popped all records that were written before `position`. */
static inline bool mt_byte_ring_passed(const struct mt_byte_ring *r, uint64_t position)
{
	if (mt_mutant(MT_MUTANT_ring_freed_early))
		return mt_byte_ring_head(r) >= position;
	return __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE) >= position;
}

/* Bytes that are not read yet. */
static inline uint64_t mt_byte_ring_used(const struct mt_byte_ring *r)
{
	uint64_t tail = __atomic_load_n(&r->tail, __ATOMIC_RELAXED);

	return __atomic_load_n(&r->head, __ATOMIC_RELAXED) - tail;
}
