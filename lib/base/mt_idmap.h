/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A map from number (a serial, an inode; any but 0) to pointer for the control thread: open addressing, grows by doubling, nothing
 * is ever removed but all at once. Zero-filled is a legal empty map.
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

/* Room for so many ids in all. 0 or -ENOMEM, nothing changed. */
int mt_idmap_reserve(struct mt_idmap *m, uint32_t n);
/* NULL: it is not there. */
void *mt_idmap_get(const struct mt_idmap *m, uint64_t id);
/* Adds or replaces. 0 or -ENOMEM. */
int mt_idmap_put(struct mt_idmap *m, uint64_t id, void *value);
/* Empty; its room stays. */
void mt_idmap_clear(struct mt_idmap *m);
void mt_idmap_fini(struct mt_idmap *m);
