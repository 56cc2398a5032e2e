/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The id ring of a shared connection: a monotonic id, slot = id & (N - 1). A busy slot (live or
 * tombstone) is skipped, and a reply must match the whole id, so an id that comes back late can never
 * meet another call. A bit for each slot says whether it is busy: while fewer than N are out, a free one is
 * found at once, however the busy ones lie.
 */
#include "mt_mutant.h"
#include "mt_proxy_priv.h"

static uint64_t next_id(const struct mt_codec *codec, struct mt_up *u)
{
	uint64_t id = u->next_id;

	u->next_id = id == codec->id_max ? codec->id_min : id + 1;
	return id;
}

uint64_t mt_ring_pass(struct mt_up *u)
{
	return next_id(u->lanes->codec, u);
}

static void mark(struct mt_up *u, uint64_t slot)
{
	u->ring_busy[slot / 64] ^= 1ull << slot % 64;
}

size_t mt_ring_size(uint32_t slots)
{
	return slots * sizeof(struct mt_slot) + (slots + 63) / 64 * sizeof(uint64_t);
}

/* The first free slot from `from` on, round the ring; there is one. */
static uint32_t free_slot(const struct mt_proxy *p, const struct mt_up *u, uint32_t from)
{
	uint32_t n = p->conf.ring_slots, words = (n + 63) / 64, w = from / 64;
	uint64_t all = n < 64 ? (1ull << n) - 1 : ~0ull;
	uint64_t free = ~u->ring_busy[w] & all & ~0ull << from % 64;

	while (free == 0) {
		w = (w + 1) % words;
		free = ~u->ring_busy[w] & all;
	}
	return w * 64 + (uint32_t)__builtin_ctzll(free);
}

/* The next id whose slot is free; those between are left out. */
static mt_noinline uint64_t skip_busy(const struct mt_proxy *p, struct mt_up *u, uint64_t id)
{
	const struct mt_codec *codec = u->lanes->codec;
	uint64_t mask = p->conf.ring_slots - 1;
	uint64_t slot = free_slot(p, u, (uint32_t)(id & mask));

	id += (slot - id) & mask;
	/* Round: the ids of a codec are more than a ring has slots. */
	if (id > codec->id_max)
		id = codec->id_min + ((slot - codec->id_min) & mask);
	u->next_id = id;
	return next_id(codec, u);
}

uint64_t mt_ring_take(struct mt_proxy *p, struct mt_up *u, struct mt_ref attempt)
{
	uint64_t mask = p->conf.ring_slots - 1;
	struct mt_slot *slot;
	uint64_t id;

	if (u->outstanding >= p->conf.ring_slots)
		return 0;
	id = next_id(u->lanes->codec, u);
	if (mt_unlikely(u->ring[id & mask].id != 0))
		id = skip_busy(p, u, id);
	slot = &u->ring[id & mask];
	slot->id = id;
	slot->attempt = attempt;
	mark(u, id & mask);
	u->outstanding++;
	return id;
}

struct mt_slot *mt_ring_find(struct mt_proxy *p, struct mt_up *u, uint64_t id)
{
	struct mt_slot *slot = &u->ring[id & (p->conf.ring_slots - 1)];

	if (mt_mutant(MT_MUTANT_id_not_whole))
		return slot->id ? slot : NULL;
	return id != 0 && slot->id == id ? slot : NULL;
}

void mt_ring_release(struct mt_up *u, struct mt_slot *slot)
{
	if (mt_ref_is_none(slot->attempt))
		u->tombstones--;
	slot->id = 0;
	slot->attempt = MT_REF_NONE;
	mark(u, (uint64_t)(slot - u->ring));
	u->outstanding--;
}

void mt_ring_bury(struct mt_up *u, struct mt_slot *slot)
{
	if (mt_ref_is_none(slot->attempt))
		return;
	if (mt_mutant(MT_MUTANT_tombstone_freed)) {
		mt_ring_release(u, slot);
		return;
	}
	slot->attempt = MT_REF_NONE;
	u->tombstones++;
}
