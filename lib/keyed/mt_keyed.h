/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/keyed: token buckets by key, such as one for each client address, that all workers share.
 *
 * A rule has numbers as a local rate limit has: a bucket is full when it is new, gets
 * tokens_per_fill at every multiple of fill_ns after the start of the rule, and never has more than
 * max_tokens. The buckets of all rules are in one table with a fixed number of places, so keys that
 * clients choose cannot take memory.
 *
 * - A bucket is one 64-bit word: rule, tag of the key, and a count of tokens. Eight words are a
 *   cache line; a hash with a secret selects the line. Workers change words by compare-and-swap
 *   alone, so no worker waits for another one.
 * - Counts are exact: as many tokens are granted as were filled in, whatever the number of workers.
 *   The fills of a rule are one number that all workers read after the word, and that the first
 *   worker after a fill increases. So workers with different clocks count in the same fill.
 * - Only a full bucket gives way to another key. It is the same as a new one, so nothing is lost,
 *   and no number of other keys gives a key more tokens than its rule has.
 * - A key that finds eight buckets which are not full takes from one of 1,024 overflow buckets of
 *   its rule, which it shares with other such keys (`overflowed`). It gets less than the rule has,
 *   and may take from its own bucket, full at first, when a place becomes free.
 * - Two keys of a rule share a bucket if line and tag agree. The tag has 25 to 45 bits: more for
 *   rules with fewer tokens. Up to 1,000 tokens a second it has 37 or more, so the chance that a
 *   new key shares one of the eight buckets in its line is at most 8 / 2^37, one in 17 thousand
 *   million; with the largest numbers that are allowed one in four million. Clients cannot choose
 *   such keys, because they do not know the secret. Keys of two rules never share a bucket.
 * - Counts are kept modulo 2^8 to 2^28, by the rule. mt_keyed_tick() removes full buckets before
 *   their count could look like one of the next round. If it is late by more than 50 s, a key that
 *   was idle meanwhile may be refused until the next tick, but never gets more.
 *
 * Threads: mt_keyed_take() and mt_keyed_note() by workers, with the number of the worker, which has
 * one thread; hashes by any thread; all else by the control thread.
 */
#pragma once

#include "mt_addr.h"

struct mt_keyed;
struct mt_keyed_rule;

#define MT_KEYED_DEFAULT 65536u
#define MT_KEYED_MAX	 (1u << 22)
/* Rules that exist at once. */
#define MT_KEYED_RULES	  1023u
#define MT_KEYED_WORKERS  256u
#define MT_KEYED_FILL_MIN (50 * MT_MSEC)

/*
 * A table for `keys` buckets, at least 64 and at most MT_KEYED_MAX, rounded up to a power of two.
 * NULL: no memory, or more workers than MT_KEYED_WORKERS.
 */
struct mt_keyed *mt_keyed_new(uint32_t keys, uint16_t workers);
/* When no worker uses it any more; NULL is allowed. */
void mt_keyed_free(struct mt_keyed *t);

struct mt_keyed_numbers {
	uint32_t max_tokens;	  /* >= 1 */
	uint32_t tokens_per_fill; /* >= 1 */
	uint64_t fill_ns;	  /* >= MT_KEYED_FILL_MIN */
};

/* Returns the error of wrong numbers, or NULL. Any thread. */
const char *mt_keyed_numbers_bad(const struct mt_keyed_numbers *n);

struct mt_keyed_def {
	const char *name; /* identifies the rule, together with all members but `hidden` */
	struct mt_keyed_numbers numbers;
	/* Bits of an address that count; 0: 32 and 64. At most 32 and 64. */
	uint8_t prefix4, prefix6;
	bool hidden; /* keys may be secrets: mt_keyed_hottest() does not show them */
};

/*
 * Finds or makes a rule; a reference of the caller. A rule outlives its last reference by 10
 * minutes, so that a reload keeps its buckets. If the numbers change, another rule is made, and its
 * buckets are full. Returns 0, -EINVAL (numbers), -ENOSPC (MT_KEYED_RULES) or -ENOMEM.
 */
int mt_keyed_rule_get(struct mt_keyed *t, const struct mt_keyed_def *def, uint64_t now,
	struct mt_keyed_rule **rule);
/* Call when no worker uses the rule by this reference any more. */
void mt_keyed_rule_put(struct mt_keyed *t, struct mt_keyed_rule *r, uint64_t now);

/*
 * Call once a second. Looks at an eighth of the table: removes full buckets, and those of rules
 * that have ended.
 */
void mt_keyed_tick(struct mt_keyed *t, uint64_t now);

/*
 * The hash of a key. It depends on the rule, and is valid while the caller has a reference to that.
 * Do not store, send or show it elsewhere: hashes differ between processes.
 */
uint64_t mt_keyed_hash(const struct mt_keyed_rule *r, const void *key, size_t len);
/* Of the network of an address: prefix4 or prefix6 bits of it. */
uint64_t mt_keyed_hash_addr(const struct mt_keyed_rule *r, const struct mt_addr *a);
/* Of a key that has two parts, by their hashes. */
uint64_t mt_keyed_hash_both(const struct mt_keyed_rule *r, uint64_t a, uint64_t b);

/*
 * Takes `cost` tokens (>= 1) from the bucket of a key; false if it has fewer, and then it keeps
 * them. The hot path. `now` may be earlier than that of other workers.
 */
bool mt_keyed_take(
	struct mt_keyed_rule *r, uint16_t worker, uint64_t hash, uint32_t cost, uint64_t now);
/*
 * Tokens that a take of this key would find at `now`, without changing anything; *overflow is true
 * if they are in an overflow bucket.
 */
uint32_t mt_keyed_left(const struct mt_keyed_rule *r, uint64_t hash, uint64_t now, bool *overflow);

/* A rule, for `show limits`. Strings are valid until the next call of a function of this header. */
struct mt_keyed_info {
	const char *name;
	struct mt_keyed_numbers numbers;
	uint64_t admitted, refused;
	uint64_t overflowed; /* of both: decided by an overflow bucket */
};

/*
 * Fills `info` with the sums of all workers since the rule was made. Control thread, while the
 * caller has a reference to the rule: workers go on counting, so the sums are of slightly different
 * times.
 */
void mt_keyed_describe(const struct mt_keyed_rule *r, struct mt_keyed_info *info);
/* Iterates over the rules with references: *idx starts at 0; false at the end. */
bool mt_keyed_next(const struct mt_keyed *t, uint32_t *idx, struct mt_keyed_info *info);
/* Places of the table, and how many had a bucket that was not full when mt_keyed_tick() looked. */
uint32_t mt_keyed_places(const struct mt_keyed *t);
uint32_t mt_keyed_used(const struct mt_keyed *t);
