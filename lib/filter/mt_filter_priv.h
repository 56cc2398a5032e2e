/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/filter: the types in mt_filter_types[], and the exact bucket. */
#pragma once

#include "mt_filter_limit.h"

extern const struct mt_filter mt_filter_local_ratelimit;
extern const struct mt_filter mt_filter_mutation;

/* module.c: the proxy's local reply for an enum mt_filter_answer. */
enum mt_local_reply mt_filter_reply_of(uint32_t answer);

/* One worker's part of one bucket. Written by that worker; others only clear `empty_until`. */
struct mt_bucket_share {
	struct mt_list node; /* on fw->claims while claimed > 0 */
	struct mt_bucket *bucket;
	uint64_t return_at;   /* ns: when the claimed tokens are returned */
	uint64_t claim_until; /* ns: end of claim_epoch; they are not spent after it */
	uint32_t claim_epoch; /* of the bucket's word at the time of the claim */
	uint64_t empty_until; /* ns: the bucket was empty in the epoch that ends here; atomic */
	uint32_t claimed;     /* atomic store: ctl reads it */
	uint64_t admitted, refused; /* since the start; read by ctl */
	/* the refused ones that passed because the bucket only reports */
	uint64_t reported;
} mt_cache_aligned;

enum mt_bucket_state {
	MT_BUCKET_PENDING, /* compiled but not committed: workers do not know it */
	MT_BUCKET_LIVE,	   /* found by its identity */
	MT_BUCKET_OLD,	   /* replaced; `next` has its tokens */
};

/* State of mt_limit_watch() for a bucket. Control thread only. */
struct mt_bucket_watch {
	bool on;
	uint64_t seen;	/* refused requests at the last look */
	uint64_t from;	/* the same before it started to refuse */
	uint64_t began; /* ns: when it started to refuse */
	uint64_t last;	/* ns: the last look that found a refusal */
};

/*
 * One bucket. `word` is (epoch of the last fill << 32 | tokens); epoch e begins at origin + e *
 * fill_ns. MT_BUCKET_MOVED means that `next` has replaced it, with other numbers. Numbers never
 * change.
 */
struct mt_bucket {
	uint64_t word mt_cache_aligned; /* atomic, all workers */
	/* The next members are set before `word` becomes MT_BUCKET_MOVED. */
	struct mt_bucket *next;
	/*
	 * Tokens claimed in last_epoch may be returned to `next` while it is in moved_epoch, at
	 * most moved_room of them.
	 */
	uint32_t last_epoch, moved_epoch;
	uint32_t moved_room; /* atomic */
	struct mt_bucket_numbers numbers mt_cache_aligned;
	uint64_t origin;  /* ns */
	bool report_only; /* ctl: w, workers: r (atomic) */
	/* From here on: control thread only. */
	char *service, *match;
	uint32_t ordinal; /* number among buckets with this service and match */
	uint32_t refs;	  /* compiled limits that use it, and buckets that moved to it */
	enum mt_bucket_state state;
	uint64_t retired_at;
	uint64_t base_admitted, base_refused, base_reported; /* of the buckets that it replaced */
	bool turned;					     /* its numbers are overridden */
	struct mt_bucket *chain;			     /* in the registry's hash */
	uint16_t workers;
	struct mt_bucket_share shares[]; /* by worker; after them: mt_bucket_watch() */
};

#define MT_BUCKET_MOVED UINT64_MAX

_Static_assert(sizeof(struct mt_bucket_watch) <= MT_CACHE_LINE, "space after the shares");

static inline struct mt_bucket_watch *mt_bucket_watch(struct mt_bucket *b)
{
	return (struct mt_bucket_watch *)&b->shares[b->workers];
}

/* How long claimed tokens may stay unused. */
#define MT_CLAIM_KEEP MT_MSEC

/* Takes one token; false if there is none. The hot path. */
bool mt_bucket_take(struct mt_bucket *b, struct mt_filter_worker *fw, uint64_t now);
/* Returns the tokens that this share has claimed; they are lost if the bucket was filled since. */
void mt_bucket_return(struct mt_bucket_share *s, struct mt_filter_worker *fw);
/* Tokens at `now`, without changing anything. */
uint32_t mt_bucket_tokens(const struct mt_bucket *b, uint64_t now);
/* Moves the remaining tokens to `to`, which also serves later requests. */
void mt_bucket_move(struct mt_bucket *b, struct mt_bucket *to, uint64_t now);

/* registry.c: a compiled limit acquires and releases its buckets. */
struct mt_bucket *mt_limit_bucket_get(struct mt_limit_registry *r, const char *service,
	const char *match, uint32_t ordinal, const struct mt_bucket_numbers *numbers, uint64_t now);
void mt_limit_bucket_put(struct mt_limit_registry *r, struct mt_bucket *b);
/* Describes a bucket for `show limits`; a moved one by its successor. */
void mt_limit_describe(const struct mt_bucket *b, uint64_t now, struct mt_limit_info *info);
