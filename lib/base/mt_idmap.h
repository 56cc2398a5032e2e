/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A map from numbers (a serial, an inode; not 0) to pointers, for the control thread: open
 * addressing, grows by doubling, entries are removed only all at once. Zero-filled is a valid empty
 * map.
 */
#pragma once

#include "mt_base.h"

struct mt_idmap_slot {
	uint64_t id; /* 0: free */
	void *value;
};

struct mt_idmap {
	struct mt_idmap_slot *slots;
	uint32_t cap, n; /* cap: power of two */
};

/* Makes room for n ids in all. 0, or -ENOMEM with nothing changed. */
int mt_idmap_reserve(struct mt_idmap *m, uint32_t n);
/* NULL if the id is not in the map. */
void *mt_idmap_get(const struct mt_idmap *m, uint64_t id);
/* Adds or replaces. 0 or -ENOMEM. */
int mt_idmap_put(struct mt_idmap *m, uint64_t id, void *value);
/* Removes all entries and keeps the room. */
void mt_idmap_clear(struct mt_idmap *m);
void mt_idmap_fini(struct mt_idmap *m);
