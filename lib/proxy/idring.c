/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The id ring of a shared connection: a monotonic id, slot = id & (N - 1). A busy slot (live or
 * tombstone) is skipped, and a reply must match the whole id, so an id that comes back late can never
 * meet another call.
 */
#include "mt_mutant.h"
#include "mt_proxy_priv.h"

#define RING_PROBES 64

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

uint64_t mt_ring_take(struct mt_proxy *p, struct mt_up *u, struct mt_ref ex)
{
	uint64_t mask = p->conf.ring_slots - 1;

	if (u->outstanding >= p->conf.ring_slots)
		return 0;
	for (int i = 0; i < RING_PROBES; i++) {
		uint64_t id = next_id(u->lanes->codec, u);
		struct mt_slot *slot = &u->ring[id & mask];

		if (slot->id != 0 || id == 0) /* 0 means free */
			continue;
		slot->id = id;
		slot->ex = ex;
		u->outstanding++;
		return id;
	}
	return 0;
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
	if (mt_ref_is_none(slot->ex))
		u->tombstones--;
	slot->id = 0;
	slot->ex = MT_REF_NONE;
	u->outstanding--;
}

void mt_ring_bury(struct mt_up *u, struct mt_slot *slot)
{
	if (mt_ref_is_none(slot->ex))
		return;
	if (mt_mutant(MT_MUTANT_tombstone_freed)) {
		mt_ring_release(u, slot);
		return;
	}
	slot->ex = MT_REF_NONE;
	u->tombstones++;
}
