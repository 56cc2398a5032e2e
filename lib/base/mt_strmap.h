/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A map from text to pointer for the control thread: open addressing, grows by doubling, keys are
 * borrowed (they must outlive the map). Zero-filled is a valid empty map.
 *
 * A key may be NULL, so that callers can pass the result of mt_region_strdup() and its siblings
 * unchecked: it is in no map, and mt_strmap_put() of it returns -ENOMEM.
 *
 * Authors of documents choose keys, and many keys with one hash would make each operation walk
 * through all of them. When an insertion meets more keys than chance explains, the map changes to
 * SipHash with a key of its own. Until then the order of iteration is the same in each run.
 */
#pragma once

#include "mt_base.h"

struct mt_strmap_slot {
	const char *key; /* NULL: free */
	void *value;
	uint64_t hash; /* the map's own */
};

struct mt_strmap {
	struct mt_strmap_slot *slots;
	uint32_t cap, n, dead; /* cap: power of two; dead: removed slots still in probe chains */
	bool secret;	       /* hashes are SipHash by `key` */
	uint8_t key[16];
};

/* FNV-1a with a final mix: well distributed for names, also used as their stable identity. */
uint64_t mt_strhash(const char *s, uint64_t seed);
uint64_t mt_hash_bytes(const void *p, size_t len, uint64_t seed);
/*
 * Hashes eight bytes in a step. Do not store or show the result, because it may change with any
 * version.
 */
uint64_t mt_hash_words(const void *p, size_t len, uint64_t seed);

/*
 * Makes room for `more` keys at once, so that the map does not grow while they are added. 0, or
 * -ENOMEM with nothing changed.
 */
int mt_strmap_reserve(struct mt_strmap *m, uint32_t more);
void *mt_strmap_get(const struct mt_strmap *m, const char *key);
/*
 * Adds or replaces; *old receives the previous value or NULL, if `old` is not NULL. 0, or -ENOMEM,
 * also for a NULL key.
 */
int mt_strmap_put(struct mt_strmap *m, const char *key, void *value, void **old);
/* Removes a key. Returns its value, or NULL. */
void *mt_strmap_del(struct mt_strmap *m, const char *key);
/* Iterates: *pos starts at 0; NULL at the end. *key may be NULL. */
void *mt_strmap_next(const struct mt_strmap *m, uint32_t *pos, const char **key);
void mt_strmap_fini(struct mt_strmap *m);
