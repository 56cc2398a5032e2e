/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of what documents contain, and ids for maps by number. */
#pragma once

#include "mt_addr.h"
#include "mt_model.h"
#include "mt_secret_hash.h"
#include "mt_strmap.h"

#include <string.h>

/*
 * Hashes that decide if documents contain the same as before. Keyed, so that no author can write a
 * change that is taken for none.
 */
static inline uint64_t mt_hash_u64(uint64_t v, uint64_t h)
{
	return mt_secret_hash(&v, sizeof(v), h);
}

/*
 * Ids for maps by number (mt_idmap.h) of what authors of documents choose: never 0, and keyed, so
 * that no author can write many that are the same.
 */
static inline uint64_t mt_id_of_addr(const struct mt_addr *a)
{
	uint64_t h = mt_secret_hash(a->q, sizeof(a->q), 0);

	return h ? h : 1;
}

/* Namespace and name; objects of different kinds may have the same id. */
static inline uint64_t mt_id_of_name(const struct mt_meta *meta)
{
	uint64_t h = mt_secret_hash_text(meta->name, mt_secret_hash_text(meta->ns, 0));

	return h ? h : 1;
}

/* With the end of the text, so that "ab", "c" and "a", "bc" differ. NULL: none. */
static inline uint64_t mt_hash_text(const char *s, uint64_t h)
{
	return s ? mt_secret_hash(s, strlen(s) + 1, h) : mt_hash_u64(0, h);
}
