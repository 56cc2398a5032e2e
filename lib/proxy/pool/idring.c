/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids of calls on server connections. A connection counts its ids from a random start. The start
 * and the next id show which ids it has given to calls (mt_id_given()).
 *
 * The id ring of a shared connection has N slots: slot = id & (N - 1). Ids increase. A busy slot
 * (live or tombstone) is skipped and a reply must match the whole id, so a late reply never matches
 * another call. A bitmap shows the busy slots, so that a free slot is found without a visit to each
 * busy one.
 */
#include "mt_mutant.h"
#include "pool/mt_pool_priv.h"

/* The codec has no id after the last one: continues at `id`. */
static mt_noinline void start_over(struct mt_up *u, uint64_t id)
{
	u->next_id = id;
	u->ids_started_over = (uint8_t)MT_MIN(u->ids_started_over + 1, 2);
}

static uint64_t next_id(const struct mt_codec *codec, struct mt_up *u)
{
	uint64_t id = u->next_id;

	u->next_id = id + 1;
	if (mt_unlikely(id == codec->id_max))
		start_over(u, codec->id_min);
	return id;
}

uint64_t mt_id_next(struct mt_up *u)
{
	return next_id(u->lanes->codec, u);
}

bool mt_id_given(const struct mt_up *u, uint64_t id)
{
	const struct mt_codec *codec = u->lanes->codec;

	if (id == 0 || id < codec->id_min || id > codec->id_max)
		return false;
	if (u->ids_started_over == 0)
		return id >= u->first_id && id < u->next_id;
	if (u->ids_started_over > 1 || u->next_id > u->first_id)
		return true;
	return id >= u->first_id || id < u->next_id;
}

static void mark(struct mt_up *u, uint64_t slot)
{
	u->ring_busy[slot / 64] ^= 1ull << slot % 64;
}

size_t mt_ring_size(uint32_t slots)
{
	return slots * sizeof(struct mt_slot) + (slots + 63) / 64 * sizeof(uint64_t);
}

/* Returns the first free slot from `from` on; slot 0 follows the last slot. One must be free. */
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

/* Returns the next id whose slot is free, and skips the ids before it. */
static mt_noinline uint64_t skip_busy(const struct mt_proxy *p, struct mt_up *u, uint64_t id)
{
	const struct mt_codec *codec = u->lanes->codec;
	uint64_t mask = p->conf.ring_slots - 1;
	uint64_t slot = free_slot(p, u, (uint32_t)(id & mask));

	/* Replies with skipped ids count as late (mt_id_given()), which does no harm. */
	id += (slot - id) & mask;
	u->next_id = id;
	/* Starts over with the same slot: a codec has more ids than a ring has slots. */
	if (id > codec->id_max)
		start_over(u, codec->id_min + ((slot - codec->id_min) & mask));
	return next_id(codec, u);
}

uint64_t mt_ring_take(struct mt_proxy *p, struct mt_up *u, struct mt_ref exchange)
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
	slot->exchange = exchange;
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
	if (mt_ref_is_none(slot->exchange))
		u->tombstones--;
	slot->id = 0;
	slot->exchange = MT_REF_NONE;
	mark(u, (uint64_t)(slot - u->ring));
	u->outstanding--;
}

void mt_ring_bury(struct mt_up *u, struct mt_slot *slot)
{
	if (mt_ref_is_none(slot->exchange))
		return;
	if (mt_mutant(MT_MUTANT_tombstone_freed)) {
		mt_ring_release(u, slot);
		return;
	}
	slot->exchange = MT_REF_NONE;
	u->tombstones++;
}
