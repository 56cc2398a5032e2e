/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/route: compiled conditions, the arena of a table, the exact index. */
#pragma once

#include "mt_balance.h"
#include "mt_route.h"
#include "re2_shim.h"

/* All memory of one table or matcher, freed at once. */
struct mt_arena {
	struct mt_arena_chunk *chunks;
	size_t used;
};

void *mt_arena_alloc(struct mt_arena *a, size_t size) mt_must_check; /* zeroed, 16-aligned */
void *mt_arena_dup(struct mt_arena *a, const void *p, size_t size) mt_must_check;
/* Copies a string; NULL stays NULL and leaves *ok unchanged. Without memory sets *ok to false. */
const char *mt_arena_str(struct mt_arena *a, const char *s, bool *ok);
void mt_arena_free(struct mt_arena *a);

#define MT_ROUTE_CACHED_KEYS 16
#define MT_ROUTE_NO_SLOT     UINT8_MAX

struct mt_cond {
	struct mt_key key;
	enum mt_match_op op;
	bool invert, ignore_case, missing_as_empty;
	uint8_t slot;	   /* index in the lookup's value cache; MT_ROUTE_NO_SLOT: none */
	const char *value; /* lower case with ignore_case */
	uint32_t len;
	int64_t lo, hi;
	struct mt_re2 *re;
};

struct mt_matcher {
	struct mt_cond *conds;
	uint32_t n;
	struct mt_arena
		arena; /* of mt_matcher_compile() only; matchers of a table use the table's */
};

/* Values read during one lookup. A value in the view's scratch is not cached. */
struct mt_value_cache {
	uint32_t known, present; /* bits by slot */
	struct mt_slice values[MT_ROUTE_CACHED_KEYS];
};

/* Reads a value; false if the message does not have the key. */
bool mt_route_value(struct mt_view *v, const struct mt_key *key, uint8_t slot,
	struct mt_value_cache *cache, struct mt_slice *value);
bool mt_cond_list_test(
	const struct mt_cond *conds, uint32_t n, struct mt_view *v, struct mt_value_cache *cache);

/*
 * 0, or -EINVAL or -ENOMEM with the reason in errbuf; the caller must call mt_matcher_fini() after
 * an error, too.
 */
int mt_matcher_init(struct mt_matcher *m, struct mt_arena *a, const struct mt_codec *codec,
	const struct mt_matcher_def *defs, uint32_t n, char *errbuf, size_t errlen);
/* Frees regexes only, because the arena owns the rest. */
void mt_matcher_fini(struct mt_matcher *m);

int mt_action_copy(
	struct mt_arena *a, const struct mt_route_action *from, struct mt_route_action *to);

struct mt_route {
	struct mt_matcher match;
	/* The conditions of `match` without the one that the index has tested. */
	struct mt_cond *rest;
	uint32_t n_rest;
	struct mt_route_action action;
};

/* value -> ascending list of places */
struct mt_exact_slot {
	uint64_t hash;
	const char *value; /* NULL: free */
	uint32_t len;
	uint32_t first, n; /* in places[] */
};

struct mt_exact_index {
	struct mt_key key;
	uint8_t slot;
	bool secret;   /* hashes are those of mt_secret_hash.h */
	uint32_t mask; /* of slots */
	struct mt_exact_slot *slots;
	uint32_t *places;
};

#define MT_ROUTE_INDEXES 4

struct mt_route_table {
	const struct mt_codec *codec;
	struct mt_route *routes;
	uint32_t n;
	struct mt_exact_index index[MT_ROUTE_INDEXES];
	uint32_t n_index;
	uint32_t *linear; /* places without an index, ascending */
	uint32_t n_linear;
	uint32_t keys; /* bits of codec->keys that are read */
	bool other_keys;
	struct mt_arena arena;
};

/* Chooses the keys, builds the indexes and the linear list. 0 or -ENOMEM. */
int mt_route_index_build(struct mt_route_table *t);
/* The places with that value; *n is 0 if there are none. */
const uint32_t *mt_exact_find(const struct mt_exact_index *x, struct mt_slice value, uint32_t *n);
