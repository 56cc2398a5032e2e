/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/filter: the types behind mt_filter_types[], and the exact bucket. */
#pragma once

#include "mt_filter_limit.h"

extern const struct mt_filter mt_filter_fault;
extern const struct mt_filter mt_filter_local_ratelimit;
extern const struct mt_filter mt_filter_mutation;

/* module.c: an answer of a filter's in a shared object as the proxy has it. */
enum mt_local_reply mt_filter_reply_of(uint32_t answer);

/* What one worker has of one bucket. Written by that worker; others only clear `empty_until`. */
struct mt_bucket_share {
	struct mt_list node; /* on fw->claims while claimed > 0 */
	struct mt_bucket *bucket;
	uint64_t return_at;   /* ns: when the claim goes back */
	uint64_t claim_until; /* ns: end of claim_epoch; not spent after it */
	uint32_t claim_epoch; /* of the bucket's word when it was claimed */
	uint64_t empty_until; /* ns: the bucket was empty in the epoch that ends here; atomic */
	uint32_t claimed;     /* atomic store: ctl reads it */
	uint64_t admitted, refused; /* since start; ctl reads */
	uint64_t reported;	    /* of the refused: passed, because the bucket only reports */
} mt_cache_aligned;

enum mt_bucket_state {
	MT_BUCKET_PENDING, /* compiled, not committed: no worker knows it */
	MT_BUCKET_LIVE,	   /* the one that its identity finds */
	MT_BUCKET_OLD,	   /* replaced; `next` has its tokens */
};

/*
 * One bucket. `word` is (epoch of the last fill << 32 | tokens); epoch e begins at origin + e * fill_ns.
 * MT_BUCKET_MOVED means that `next` has taken over (other numbers). Numbers never change.
 */
struct mt_bucket {
	uint64_t word mt_cache_aligned; /* atomic, all workers */
	/* What follows is set before word becomes MOVED. */
	struct mt_bucket *next;
	/* Claims of this epoch may go back to `next` until its epoch turns, and so many tokens of them. */
	uint32_t last_epoch, moved_epoch;
	uint32_t moved_room; /* atomic */
	struct mt_bucket_numbers numbers mt_cache_aligned;
	uint64_t origin;  /* ns */
	bool report_only; /* ctl: w, workers: r (atomic) */
	/* From here on: control thread only. */
	char *service, *match;
	uint32_t ordinal; /* the how-manieth of this service and match */
	uint32_t refs;	  /* compiled limits that name it, and buckets that moved to it */
	enum mt_bucket_state state;
	uint64_t retired_at;
	uint64_t base_admitted, base_refused, base_reported; /* of the buckets that it replaced */
	bool turned;					     /* its numbers are an operator's */
	struct mt_bucket *chain;			     /* in the registry's hash */
	uint16_t workers;
	struct mt_bucket_share shares[]; /* by worker */
};

#define MT_BUCKET_MOVED UINT64_MAX

/* How long a claim may lie unused. */
#define MT_CLAIM_KEEP MT_MSEC

/* One token, or false. The hot path. */
bool mt_bucket_take(struct mt_bucket *b, struct mt_filter_worker *fw, uint64_t now);
/* Gives back what this share has claimed, if the bucket was not filled since; else it is lost. */
void mt_bucket_return(struct mt_bucket_share *s, struct mt_filter_worker *fw);
/* Tokens at `now`, without changing anything. */
uint32_t mt_bucket_tokens(const struct mt_bucket *b, uint64_t now);
/* Hands the tokens that are left to `to`; from now on takers follow. */
void mt_bucket_move(struct mt_bucket *b, struct mt_bucket *to, uint64_t now);

/* registry.c: a compiled limit takes and gives back what it names. */
struct mt_bucket *mt_limit_bucket_get(struct mt_limit_registry *r, const char *service,
	const char *match, uint32_t ordinal, const struct mt_bucket_numbers *numbers, uint64_t now);
void mt_limit_bucket_put(struct mt_limit_registry *r, struct mt_bucket *b);
/* What `show limits` says of a bucket. A moved one is what it has become. */
void mt_limit_describe(const struct mt_bucket *b, uint64_t now, struct mt_limit_info *info);
