/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes tokens from the bucket of a key.
 *
 * A line has at most one bucket of a key, although several workers may make one at once:
 * 1. A worker that finds none puts a pending word in a place that is free or gives way. The word
 *    has the number of the worker, which alone can make a bucket of it.
 * 2. Then it looks at all other words of the line. It removes pending ones of this key, and gives
 *    its own up if there is a bucket.
 * 3. Then it changes its pending word to a bucket that lacks the tokens it takes. That fails if
 *    another worker has removed the pending word meanwhile, and the worker begins again.
 * Of two workers at step 3 each has looked at the other's place after it had put its own pending
 * word, so the later one has seen the word of the other. Pending words do not come back, because
 * only the worker that is between steps 1 and 3 could put one like its own.
 *
 * A worker loads the fill after the word that it changes, and at step 3 after all words of the
 * line. So no worker that has changed or removed a bucket of the key used a later fill.
 */
#include "mt_keyed_priv.h"

#include "mt_mutant.h"

/*
 * Attempts of one take. An attempt fails only if another worker has changed the word, so 256
 * workers that all take from one key cause far fewer. After the last one the take is refused: the
 * tokens of an overflow bucket would be more than the rule has.
 */
#define TRIES 65536u

#ifdef MT_MUTANTS
void (*mt_keyed_between)(void);
#endif

struct taker {
	struct mt_keyed_rule *r;
	uint64_t *line;
	uint64_t key; /* rule and tag */
	uint64_t own; /* the worker's pending word */
	uint64_t now;
	uint32_t cost;
};

enum taken { REFUSED, ADMITTED, AGAIN };

static inline uint64_t *line_of(const struct mt_keyed_rule *r, uint64_t hash)
{
	return &r->words[(size_t)((uint32_t)hash & r->line_mask) * MT_KEYED_LINE];
}

/* The upper bits of the hash; the line has the lower ones. */
static inline uint64_t key_of(const struct mt_keyed_rule *r, uint64_t hash)
{
	return r->head | (hash >> 11 & ~r->count_mask);
}

static inline uint64_t *overflow_of(const struct mt_keyed_rule *r, uint64_t hash)
{
	return &r->overflow[hash >> 22 & (MT_KEYED_OVERFLOWS - 1)];
}

/* The bits of a key are above those of a count. */
static inline bool has_key(const struct mt_keyed_rule *r, uint64_t word, uint64_t key)
{
	return ((word & ~MT_KEYED_PENDING) ^ key) <= r->count_mask;
}

/* `at` is the bucket with this count. */
static inline enum taken take_from(const struct mt_keyed_rule *r, uint64_t *at, uint64_t key,
	uint64_t count, uint64_t mask, uint32_t cost)
{
	uint64_t base = mt_keyed_base(r), lacks = mt_keyed_lacks(r, count, base);

	if (lacks + cost > r->max)
		return REFUSED;
	base = (base + lacks + cost) & mask;
	return mt_keyed_swap(at, key | count, key | base) ? ADMITTED : AGAIN;
}

static void raise_to(uint64_t *p, uint64_t to)
{
	uint64_t at = mt_keyed_load(p);

	while (at < to && !mt_keyed_swap(p, at, to))
		at = mt_keyed_load(p);
}

mt_noinline void mt_keyed_advance(struct mt_keyed_rule *r, uint64_t now)
{
	uint64_t epoch = mt_keyed_epoch_at(r, now);

	raise_to(&r->base, epoch * r->per_fill);
	raise_to(&r->until, r->origin + (epoch + 1) * r->fill_ns);
}

bool mt_keyed_gives_way(struct mt_keyed *t, uint64_t word, uint64_t now)
{
	struct mt_keyed_rule *r;

	if (word & MT_KEYED_PENDING)
		return false;
	if (word == 0 || mt_mutant(MT_MUTANT_keyed_taken_over))
		return true;
	r = __atomic_load_n(&t->rules[word >> MT_KEYED_RULE_SHIFT], __ATOMIC_ACQUIRE);
	/* Of a rule without requests no worker may have noticed the fills. */
	if (mt_keyed_due(r, now))
		mt_keyed_advance(r, now);
	return mt_keyed_lacks(r, word, mt_keyed_base(r)) == 0;
}

/* Step 1. MT_KEYED_LINE: other keys have all places. *got is false if the place was lost. */
static uint32_t reserve(const struct taker *k, bool *got)
{
	uint32_t place = MT_KEYED_LINE;
	uint64_t old = 0;

	*got = false;
	for (uint32_t i = 0; i < MT_KEYED_LINE; i++) {
		uint64_t word = mt_keyed_load(&k->line[i]);

		/* Another worker makes the bucket, perhaps in the last place. */
		if (has_key(k->r, word, k->key))
			return i;
		if (word != 0 && place != MT_KEYED_LINE)
			continue;
		if (!mt_keyed_gives_way(k->r->table, word, k->now))
			continue;
		place = i;
		old = word;
		if (word == 0)
			break;
	}
	*got = place != MT_KEYED_LINE && mt_keyed_swap(&k->line[place], old, k->own);
	return place;
}

/* Step 2. True if the key has no other word in the line. */
static bool alone(const struct taker *k, uint32_t place)
{
	if (mt_mutant(MT_MUTANT_keyed_twice))
		return true;
	for (uint32_t i = 0; i < MT_KEYED_LINE; i++) {
		uint64_t word = mt_keyed_load(&k->line[i]);

		if (i == place || !has_key(k->r, word, k->key))
			continue;
		if (!(word & MT_KEYED_PENDING) || !mt_keyed_swap(&k->line[i], word, 0))
			return false;
	}
	return true;
}

/* Steps 2 and 3, with the worker's pending word at `place`. */
static enum taken make(const struct taker *k, uint32_t place)
{
	uint64_t count;

	if (!alone(k, place)) {
		mt_keyed_swap(&k->line[place], k->own, 0);
		return AGAIN;
	}
	count = (mt_keyed_base(k->r) + k->cost) & k->r->count_mask;
	return mt_keyed_swap(&k->line[place], k->own, k->key | count) ? ADMITTED : AGAIN;
}

static enum taken take_overflow(struct mt_keyed_rule *r, uint64_t hash, uint32_t cost)
{
	uint64_t *place = overflow_of(r, hash), count, base;

	do {
		count = mt_keyed_load(place);
		base = mt_keyed_base(r);
		base = MT_MAX(base, count) - base + cost > r->max ? 0 : MT_MAX(base, count) + cost;
		if (base == 0)
			return REFUSED;
		if (mt_mutant(MT_MUTANT_keyed_overflow_free))
			base = count;
	} while (!mt_keyed_swap(place, count, base));
	return ADMITTED;
}

/* The place of the key, and its word; MT_KEYED_LINE: none. */
static uint32_t find(
	const struct mt_keyed_rule *r, const uint64_t *line, uint64_t key, uint64_t *word)
{
	uint32_t i;

	for (i = 0; i < MT_KEYED_LINE; i++) {
		*word = mt_keyed_load(&line[i]);
		if (has_key(r, *word, key))
			break;
	}
	return i;
}

static enum taken try(const struct taker *k, bool *full)
{
	uint64_t word;
	uint32_t place = find(k->r, k->line, k->key, &word);
	bool got;

	if (place == MT_KEYED_LINE) {
		place = reserve(k, &got);
		*full = place == MT_KEYED_LINE;
	} else if (!(word & MT_KEYED_PENDING)) {
		return take_from(
			k->r, &k->line[place], k->key, word ^ k->key, k->r->count_mask, k->cost);
	} else {
		got = mt_keyed_swap(&k->line[place], word, k->own);
	}
	return got ? make(k, place) : AGAIN;
}

static inline bool count(struct mt_keyed_rule *r, uint16_t worker, bool admitted)
{
	struct mt_keyed_counts *counts = &r->counts[worker];

	mt_count(admitted ? &counts->admitted : &counts->refused, 0);
	return admitted;
}

/* The key had no bucket, or another worker was faster. */
static mt_noinline bool take_slowly(
	struct mt_keyed_rule *r, uint16_t worker, uint64_t hash, uint32_t cost, uint64_t now)
{
	uint64_t key = key_of(r, hash);
	struct taker k = {r, line_of(r, hash), key, key | MT_KEYED_PENDING | worker, now, cost};
	enum taken taken = AGAIN;
	bool full = false;

	/* More than a full bucket has would leave a bucket that lacks nothing. */
	if (cost > r->max)
		return count(r, worker, false);
	for (uint32_t n = 0; n < TRIES && taken == AGAIN && !full; n++)
		taken = try(&k, &full);
	if (full) {
		mt_count(&r->counts[worker].overflowed, 0);
		taken = take_overflow(r, hash, cost);
	}
	return count(r, worker, taken == ADMITTED);
}

bool mt_keyed_take(
	struct mt_keyed_rule *r, uint16_t worker, uint64_t hash, uint32_t cost, uint64_t now)
{
	uint64_t *at = line_of(r, hash), key = key_of(r, hash), mask = r->count_mask, had;
	enum taken taken;

	if (mt_unlikely(mt_keyed_due(r, now)))
		mt_keyed_advance(r, now);
	if (mt_mutant(MT_MUTANT_keyed_fills_undone))
		r->base = mt_keyed_epoch_at(r, now) * r->per_fill;
#pragma GCC unroll 8
	for (uint32_t i = 0; i < MT_KEYED_LINE; i++) {
		/* The count, if it is the bucket of the key; the bits of a pending word differ. */
		had = mt_keyed_load(&at[i]) ^ key;
		if (had > mask)
			continue;
		taken = take_from(r, &at[i], key, had, mask, cost);
		if (mt_unlikely(taken == AGAIN))
			break;
		return count(r, worker, taken == ADMITTED);
	}
	return take_slowly(r, worker, hash, cost, now);
}

/* As mt_keyed_base() after mt_keyed_advance(). */
static uint64_t base_at(const struct mt_keyed_rule *r, uint64_t now)
{
	uint64_t base = mt_keyed_base(r), at = mt_keyed_epoch_at(r, now) * r->per_fill;

	return MT_MAX(base, at);
}

/* mt_keyed_gives_way() without changing anything. */
static bool would_give_way(const struct mt_keyed *t, uint64_t word, uint64_t now)
{
	const struct mt_keyed_rule *r;

	if (word == 0 || (word & MT_KEYED_PENDING))
		return word == 0;
	r = __atomic_load_n(&t->rules[word >> MT_KEYED_RULE_SHIFT], __ATOMIC_ACQUIRE);
	return mt_keyed_lacks(r, word, base_at(r, now)) == 0;
}

uint32_t mt_keyed_left(const struct mt_keyed_rule *r, uint64_t hash, uint64_t now, bool *overflow)
{
	uint64_t *line = line_of(r, hash), word, count, base;
	uint32_t place = find(r, line, key_of(r, hash), &word);

	base = base_at(r, now);
	*overflow = false;
	if (place != MT_KEYED_LINE)
		return word & MT_KEYED_PENDING ? r->max : r->max - mt_keyed_lacks(r, word, base);
	for (uint32_t i = 0; i < MT_KEYED_LINE; i++) {
		if (would_give_way(r->table, mt_keyed_load(&line[i]), now))
			return r->max;
	}
	*overflow = true;
	count = mt_keyed_load(overflow_of(r, hash));
	return r->max - (count > base ? (uint32_t)(count - base) : 0);
}
