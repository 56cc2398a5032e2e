/* SPDX-License-Identifier: Apache-2.0 */
/* Records in a ring of bytes. A record that does not fit before the end starts at the beginning. */
#include "mt_byte_ring.h"

#include "mt_outcome.h"

#include <string.h>

/* Before each record. */
struct record {
	uint32_t size; /* with this header; a multiple of 8 */
	uint32_t len;  /* bytes of the record; PADDING: the rest of the ring is skipped */
};

#define PADDING UINT32_MAX

_Static_assert(sizeof(struct record) == 8, "the rest of a ring has room for a header");

void mt_byte_ring_init(struct mt_byte_ring *r, void *bytes, uint32_t size)
{
	MT_ASSERT(size >= 64 && (size & (size - 1)) == 0);
	memset(r, 0, sizeof(*r));
	r->bytes = bytes;
	r->size = size;
}

static struct record *at(const struct mt_byte_ring *r, uint64_t where)
{
	return (struct record *)(void *)(r->bytes + (where & (r->size - 1)));
}

/* Bytes from `where` to the end of the ring. */
static uint32_t straight(const struct mt_byte_ring *r, uint64_t where)
{
	return r->size - (uint32_t)(where & (r->size - 1));
}

static uint32_t size_of(uint32_t len)
{
	return (uint32_t)(sizeof(struct record) + len + 7) & ~7u;
}

/* ---- worker --------------------------------------------------------------------------------- */

static bool fits(struct mt_byte_ring *r, uint64_t end)
{
	if (end - r->tail_seen <= r->size)
		return true;
	r->tail_seen = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
	return end - r->tail_seen <= r->size;
}

static void *lose(struct mt_byte_ring *r)
{
	if (!mt_mutant(MT_MUTANT_ring_loss_uncounted))
		mt_count(&r->lost, 0);
	return NULL;
}

/* For a record of any length, at any place. */
static mt_noinline void *reserve_slowly(struct mt_byte_ring *r, uint32_t len)
{
	uint32_t rest = straight(r, r->written), size;
	struct record *new;

	if (mt_unlikely(len > r->size - sizeof(struct record)))
		return lose(r);
	size = size_of(len);
	rest = rest < size ? rest : 0;
	if (mt_unlikely(!fits(r, r->written + rest + size)))
		return lose(r);
	if (rest) {
		*at(r, r->written) = (struct record){.size = rest, .len = PADDING};
		r->written += rest;
	}
	new = at(r, r->written);
	*new = (struct record){.size = size, .len = len};
	r->written += size;
	return new + 1;
}

void *mt_byte_ring_reserve(struct mt_byte_ring *r, uint32_t len)
{
	const uint64_t written = r->written;
	const uint32_t size = size_of(len);
	struct record *new = at(r, written);

	if (mt_unlikely(len > r->size - sizeof(*new) || size > straight(r, written) ||
			written + size - r->tail_seen > r->size))
		return reserve_slowly(r, len);
	*new = (struct record){.size = size, .len = len};
	r->written = written + size;
	return new + 1;
}

void mt_byte_ring_trim(struct mt_byte_ring *r, void *record, uint32_t len)
{
	struct record *newest = (struct record *)record - 1;
	uint64_t start = r->written - newest->size;

	MT_ASSERT(at(r, start) == newest && len <= newest->len);
	newest->len = len;
	newest->size = len ? size_of(len) : 0;
	r->written = start + newest->size;
}

void mt_byte_ring_publish(struct mt_byte_ring *r)
{
	if (r->head != r->written)
		__atomic_store_n(&r->head, r->written, __ATOMIC_RELEASE);
}

/* ---- reader --------------------------------------------------------------------------------- */

/* The record at *where or after the padding there; NULL: there is none before `head`. */
static const struct record *find(const struct mt_byte_ring *r, uint64_t *where)
{
	uint64_t head = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);

	while (*where != head) {
		const struct record *found = at(r, *where);

		if (found->len != PADDING)
			return found;
		*where += found->size;
	}
	return NULL;
}

const void *mt_byte_ring_peek(struct mt_byte_ring *r, uint32_t *len)
{
	uint64_t where = r->tail;
	const struct record *found = find(r, &where);

	if (where != r->tail)
		__atomic_store_n(&r->tail, where, __ATOMIC_RELEASE);
	if (!found)
		return NULL;
	*len = found->len;
	return found + 1;
}

void mt_byte_ring_pop(struct mt_byte_ring *r)
{
	uint64_t where = r->tail;
	const struct record *found = find(r, &where);

	MT_ASSERT(found != NULL);
	__atomic_store_n(&r->tail, where + found->size, __ATOMIC_RELEASE);
}

const void *mt_byte_ring_next(const struct mt_byte_ring *r, uint64_t *where, uint32_t *len)
{
	const struct record *found = find(r, where);

	if (!found)
		return NULL;
	*where += found->size;
	*len = found->len;
	return found + 1;
}
