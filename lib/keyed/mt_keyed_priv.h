/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/keyed. */
#pragma once

#include "mt_keyed_top.h"

#include "mt_list.h"
#include "mt_outcome.h"
#include "mt_siphash.h"

/*
 * A word: rule (10 bits), MT_KEYED_PENDING, tag, count of tokens (r->bits). 0: no bucket.
 *
 * The count is GCRA's in tokens: epoch e of a rule has the base e * per_fill, and a bucket of count
 * c lacks c - base tokens, or is full if c <= base. A take sets c to max(c, base) + cost. So fills
 * change no word. Counts are modulo 2^bits: c - base from 1 to max_tokens means that tokens are
 * missing, all else that the bucket is full.
 *
 * A pending word is the place of a bucket that is being made. It holds no tokens; its count is the
 * number of the worker, which alone changes it to a bucket (take.c).
 */
#define MT_KEYED_LINE	    8u
#define MT_KEYED_RULE_SHIFT 54
#define MT_KEYED_PENDING    (UINT64_C(1) << 53)
#define MT_KEYED_OVERFLOWS  1024u
#define MT_KEYED_BITS_MIN   8u
#define MT_KEYED_BITS_MAX   28u

/* How long a full bucket may stay in the table without a tick. */
#define MT_KEYED_LATEST (60 * MT_SEC)
/* How long a rule without references keeps its buckets, and then its number. */
#define MT_KEYED_LINGER (10 * 60 * MT_SEC)
#define MT_KEYED_REST	(10 * MT_SEC)

struct mt_keyed_counts {
	uint64_t admitted, refused, overflowed;
} mt_cache_aligned;

enum mt_keyed_rule_state {
	MT_KEYED_FREE,	/* its number may be used again */
	MT_KEYED_LIVE,	/* found by its identity, also without references */
	MT_KEYED_ENDED, /* the ticks of two passes remove its buckets */
};

struct mt_keyed_rule {
	/* Read by workers; constant but for base and until. */
	struct mt_sip sip4 mt_cache_aligned, sip6, sip; /* of addresses, and of other keys */
	uint64_t base;	/* of the last fill; atomic, never less than before */
	uint64_t until; /* ns: the next fill; atomic, may be too early for a moment */
	uint64_t origin, fill_ns;
	uint32_t per_fill, max; /* per_fill <= max */
	uint64_t head;		/* the rule's bits of a word */
	uint64_t count_mask;	/* (1 << bits) - 1 */
	uint64_t mask6;		/* of the upper half of an IPv6 address, in its order of bytes */
	uint32_t mask4;
	uint32_t line_mask;
	uint64_t *words;
	uint64_t *overflow; /* counts, not modulo */
	struct mt_keyed_counts *counts;
	struct mt_keyed *table;
	bool hidden; /* atomic */
	/* Control thread only. */
	struct mt_keyed_def def mt_cache_aligned;
	enum mt_keyed_rule_state state;
	uint32_t refs, bits;
	uint64_t serial;     /* another one for each rule; workers read it, too */
	uint64_t ended_at;   /* ns: refs became 0; in state MT_KEYED_ENDED: the state began */
	uint64_t ended_pass; /* of the ticks in which the state began */
};

#define MT_KEYED_SETS 8u
#define MT_KEYED_WAYS 8u

/* Written by its worker. `seq` is odd while all but count, error and last change. All atomic. */
struct mt_keyed_entry {
	uint64_t seq, hash, serial, count, error, last, len;
	uint64_t name[MT_KEYED_NAME / 8];
	uint64_t unused;
};

_Static_assert(sizeof(struct mt_keyed_entry) == 2 * MT_CACHE_LINE, "two cache lines");

struct mt_keyed_top {
	uint64_t halve_at;
	struct mt_keyed_entry entries[MT_KEYED_SETS * MT_KEYED_WAYS] mt_cache_aligned;
};

struct mt_keyed {
	uint64_t *words; /* atomic */
	uint32_t lines;	 /* a power of two */
	uint16_t workers;
	/* By number, atomic; from 1 on. They are freed with the table, so each word has its rule. */
	struct mt_keyed_rule *rules[MT_KEYED_RULES + 1];
	struct mt_keyed_top *tops; /* by worker */
	uint64_t serial;
	/* The ticks: the next line, complete passes, and words in use of this pass and the last. */
	uint32_t next_line;
	uint64_t passes;
	uint32_t used_now, used;
};

/* In builds with known bugs a test may let other workers run before each access to shared words. */
#ifdef MT_MUTANTS
extern void (*mt_keyed_between)(void);
#define mt_keyed_pause() (mt_keyed_between ? mt_keyed_between() : (void)0)
#else
#define mt_keyed_pause() ((void)0)
#endif

static inline uint64_t mt_keyed_load(const uint64_t *p)
{
	mt_keyed_pause();
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static inline bool mt_keyed_swap(uint64_t *p, uint64_t old, uint64_t to)
{
	mt_keyed_pause();
	return __atomic_compare_exchange_n(p, &old, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static inline uint64_t mt_keyed_epoch_at(const struct mt_keyed_rule *r, uint64_t now)
{
	return now > r->origin ? (now - r->origin) / r->fill_ns : 0;
}

static inline bool mt_keyed_due(const struct mt_keyed_rule *r, uint64_t now)
{
	return now >= mt_keyed_load(&r->until);
}

static inline uint64_t mt_keyed_base(const struct mt_keyed_rule *r)
{
	return mt_keyed_load(&r->base);
}

/* Tokens that a word's bucket lacks. Load the word before the base. */
static inline uint32_t mt_keyed_lacks(const struct mt_keyed_rule *r, uint64_t word, uint64_t base)
{
	uint64_t d = (word - base) & r->count_mask;

	return d <= r->max ? (uint32_t)d : 0;
}

/* Makes the fills up to `now` known to all workers. */
void mt_keyed_advance(struct mt_keyed_rule *r, uint64_t now);
/* True if another key may take the place: the bucket is full, and none is pending. */
bool mt_keyed_gives_way(struct mt_keyed *t, uint64_t word, uint64_t now);
