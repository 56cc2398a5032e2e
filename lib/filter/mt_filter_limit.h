/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local rate limit: exact token buckets, shared by all workers without a lock. This is the
 * configuration side. lib/conf compiles a limit per service, commits it when its snapshot is
 * published, and frees it when the snapshot retires; lib/ctl reads the buckets.
 *
 * A bucket is full when it is new, gets tokensPerFill at every multiple of fillInterval after that,
 * and never has more than maxTokens. A request takes one token. Conditions (a lib/route table, so
 * their number does not affect the cost) are tested in order, and the first that matches decides by
 * its own bucket alone. If none matches, the service's bucket decides; without one the request
 * passes.
 *
 * The shared state is one 64-bit word: the epoch of the last fill, and the tokens. The first worker
 * in a new epoch adds the fill, in its own compare-and-swap. Tokens are in the word or in a claim,
 * and only fills increase their sum. So no token is spent twice, even if workers' clocks are in
 * different epochs.
 * - Claims: a worker takes min(32, tokens / (8 * workers)) tokens at once, but at least one, and
 *   spends them from its own cache line. It returns the rest after a millisecond
 *   (mt_filter_tick()). A claim is returned only while the word still shows its epoch. After a fill
 *   it is dropped, because it might exceed a full bucket (claims_expired: at most 31 tokens per
 *   worker and fill).
 * - Each worker remembers an empty bucket until the epoch ends, so an overload does not touch the
 *   shared line. A worker that returns tokens clears this mark of all others. Both sides store and
 *   then load, sequentially consistent, so one of them sees the other.
 * - Identity: service, text of the condition, and index among equal ones. A bucket outlives
 *   snapshots by 10 minutes. If its numbers change, a new bucket is made. mt_limit_commit() moves
 *   min(tokens, new max) to it and marks the old word as moved, so that calls under the old
 *   snapshot use the new bucket. Outstanding claims return to the new bucket, up to its maximum,
 *   unless a fill came between. Before the commit nothing moves, so a refused configuration changes
 *   nothing.
 * - Overrides: mt_limit_set_rules() gives named buckets other numbers, which the next compile uses,
 *   or switches them to report-only: from the next commit on, calls over the limit pass and are
 *   counted (would_refuse, would_be_limited). The mark is on the bucket, including old ones. It is
 *   read when no token is left, and for opaque streams under a limit with conditions.
 * - An opaque stream on a port of messages (forwarded TLS) takes a token of the service's bucket
 *   (mt_filter.on_stream). A limit with conditions refuses it, because conditions compare metadata,
 *   which the stream does not show, unless all its buckets are report-only.
 */
#pragma once

#include "mt_filter.h"
#include "mt_route.h"

struct mt_bucket_numbers {
	uint32_t max_tokens;	  /* >= 1 */
	uint32_t tokens_per_fill; /* >= 1 */
	uint64_t fill_ns;	  /* >= MT_BUCKET_FILL_MIN */
};

#define MT_BUCKET_FILL_MIN (50 * MT_MSEC)

/* A condition as it is configured. */
struct mt_limit_cond_def {
	const struct mt_matcher_def *match;
	uint32_t n_match;
	struct mt_bucket_numbers numbers;
	uint32_t line; /* in its file */
};

struct mt_limit_def {
	const char *service; /* part of the buckets' identity: host and port */
	bool has_bucket;     /* the service's own bucket */
	struct mt_bucket_numbers numbers;
	const struct mt_limit_cond_def *conds;
	uint32_t n_conds;
	const char *label; /* of the service's own bucket, in place of a condition; NULL: "*" */
};

/*
 * All buckets of the node. A bucket is identified by the service, the condition in words, and a
 * number among conditions with the same words. Control thread only; workers use buckets through
 * compiled limits.
 */
struct mt_limit_registry;

/* NULL: no memory. */
struct mt_limit_registry *mt_limit_registry_new(uint16_t workers);
/* Call when no worker runs and all compiled limits are freed. */
void mt_limit_registry_free(struct mt_limit_registry *r);

/*
 * Compiles a limit: the conf of a filter of type "local_ratelimit" (freed by its free_conf). Uses
 * existing buckets of the same identity and numbers, and changes nothing that a running snapshot
 * uses. NULL with the reason in errbuf.
 */
void *mt_limit_compile(struct mt_limit_registry *r, const struct mt_codec *codec,
	const struct mt_limit_def *def, uint64_t now, char *errbuf, size_t errlen);

/*
 * Call at publish, just before workers can see the snapshot. Buckets whose numbers changed move to
 * new ones, which keep min(tokens, new max). A limit that was compiled but not committed may be
 * freed instead, without any effect.
 */
void mt_limit_commit(struct mt_limit_registry *r, uint64_t now);
/*
 * Sets the time; call before limits are freed. Their buckets are kept for 10 minutes from then on.
 */
void mt_limit_now(struct mt_limit_registry *r, uint64_t now);

/* An operator's override at run time; 0: as configured. */
struct mt_limit_override {
	uint32_t max_tokens, tokens_per_fill;
	uint64_t fill_ns;
	bool report_only; /* count requests that would be refused, but let them pass */
};

/* An override and its bucket, as `show limits` names it. */
struct mt_limit_rule {
	const char *service, *match;
	struct mt_limit_override set;
};

/*
 * In effect from the next compile and commit on; rules[] stays the caller's and must outlive the
 * registry or the next call. Overridden numbers replace the configured ones in mt_limit_compile();
 * report_only takes effect at the commit.
 */
void mt_limit_set_rules(struct mt_limit_registry *r, const struct mt_limit_rule *rules, uint32_t n);

/* One bucket, for `show limits`. Strings are valid until the next compile, commit or free. */
struct mt_limit_info {
	const char *service;
	const char *match; /* "*": the service's own bucket */
	struct mt_bucket_numbers numbers;
	uint32_t tokens;  /* in the shared bucket at `now` */
	uint32_t claimed; /* by workers, for less than a millisecond */
	uint64_t admitted, refused;
	uint64_t would_refuse;	  /* passed because the bucket only reports */
	bool report_only, turned; /* turned: the numbers are not the configured ones */
};

/* Iterates over the buckets in use: *idx starts at 0; false at the end. */
bool mt_limit_next(
	const struct mt_limit_registry *r, uint32_t *idx, uint64_t now, struct mt_limit_info *info);
