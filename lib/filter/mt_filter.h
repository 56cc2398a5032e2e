/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/filter: one step of the layer-7 chain. A filter is a table entry and a folder; its compiled
 * configuration is immutable, its mutable state (buckets) is found by stable identity at publish.
 */
#pragma once

#include "mt_list.h"
#include "mt_outcome.h"
#include "mt_view.h"

enum mt_filter_outcome {
#define MT_OUTCOME(n, s, w) MT_FILTER_##n,
#include "filter_outcomes.def"
#undef MT_OUTCOME
	MT_FILTER_N_OUTCOMES
};

extern const struct mt_outcome_set mt_filter_outcomes;

enum mt_filter_verdict {
	MT_FILTER_NEXT,	   /* go on with the next filter */
	MT_FILTER_REPLY,   /* answer now: ctx->reply, ctx->reply_text */
	MT_FILTER_SUSPEND, /* an answer comes later: mt_filter_resume(ctx->token) */
};

/* A request that a filter holds back until `at` (ns). */
struct mt_filter_wait {
	uint64_t at, token;
};

#define MT_FILTER_WAITS 1024

/*
 * What filters keep for one worker. Owned by the worker; zero-filled memory is not enough: see
 * mt_filter_worker_init().
 */
struct mt_filter_worker {
	struct mt_list claims; /* shares of buckets that hold claimed tokens, oldest claim first */
	uint16_t worker;
	uint64_t counters[MT_FILTER_N_OUTCOMES];
	uint32_t n_waits;
	struct mt_filter_wait waits[MT_FILTER_WAITS]; /* a heap, the soonest first */
};

void mt_filter_worker_init(struct mt_filter_worker *fw, uint16_t worker);

/* Once per loop turn: gives back what has been claimed for a millisecond. Cheap when nothing is. */
void mt_filter_tick(struct mt_filter_worker *fw, uint64_t now);

/* The next request that has waited long enough, for mt_proxy_resume(); false: none. */
bool mt_filter_due(struct mt_filter_worker *fw, uint64_t now, uint64_t *token);

/* When the next tick or request that waits has something to do (MT_NEVER: nothing): a sleeping worker wakes for it. */
uint64_t mt_filter_next(const struct mt_filter_worker *fw);

/* Gives everything back at once: before the worker stops. */
void mt_filter_flush(struct mt_filter_worker *fw);

/* What a filter is given besides the view; one per exchange and direction. */
struct mt_filter_ctx {
	uint64_t now; /* ns */
	uint16_t worker;
	uint16_t workers; /* how many there are: shares of exact buckets */
	enum mt_local_reply reply;
	const char *reply_text;
	uint64_t token;
	struct mt_filter_worker *fw;
};

struct mt_filter;

/* One configured filter in a listener's or service's chain. */
struct mt_filter_inst {
	const struct mt_filter *type;
	void *conf;	  /* compiled, immutable, the type's own */
	const char *file; /* where it is written, for the shell; NULL: not known */
	uint32_t line;
};

/* What a filter would do with a message. */
struct mt_filter_told {
	enum mt_filter_verdict verdict;
	enum mt_local_reply reply; /* with MT_FILTER_REPLY */
	uint32_t line;		   /* of what decided, in the filter's file; 0: the filter's own */
	char words[512];
};

struct mt_filter {
	const char *name;	 /* "local_ratelimit" */
	const char *aeraki_name; /* "aeraki.meta_protocol.filters.local_ratelimit" */
	/* Either may be NULL: nothing to do in that direction. */
	enum mt_filter_verdict (*on_request)(
		const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx);
	/* Replies can be answered in their place, too (MT_FILTER_REPLY), but not held back. */
	enum mt_filter_verdict (*on_reply)(
		const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx);
	/*
	 * Control thread: what on_request() would do now with this message, decided by the same code, without
	 * doing it: no token is taken, nothing is counted. NULL: it does nothing with requests.
	 */
	void (*explain)(const struct mt_filter_inst *f, struct mt_view *v, uint64_t now,
		struct mt_filter_told *told);
	/* Control thread, when no snapshot names it any more, or when it was never published. */
	void (*free_conf)(void *conf);
};

extern const struct mt_filter *const mt_filters[]; /* NULL-terminated */
/* By name, case-insensitive, or by Aeraki's name; NULL: unknown. */
const struct mt_filter *mt_filter_find(const char *name);

/*
 * Runs a chain in order; stops at the first verdict that is not MT_FILTER_NEXT. *at receives the place
 * of the filter that stopped, for resuming behind it.
 */
enum mt_filter_verdict mt_filter_run_request(const struct mt_filter_inst *filters, uint32_t n,
	struct mt_view *v, struct mt_filter_ctx *ctx, uint32_t *at);

/*
 * Adds changes to the view, for a route's requestMutation and responseMutation too; counts what does
 * not fit (MT_VIEW_MUTATIONS of them, MT_VIEW_CHANGES bytes). A later change of the same key (names compare by bytes) takes the earlier one's place.
 */
void mt_filter_mutate(
	struct mt_filter_worker *fw, struct mt_view *v, const struct mt_mutation *m, uint32_t n);

/* Changes in words, "sets a=b, removes c"; the length as snprintf() has it. */
size_t mt_mutations_str(const struct mt_mutation *m, uint32_t n, char *buf, size_t size);

/*
 * The conf of a filter of type "mutation": changes for requests and for replies, copied. NULL: no
 * memory.
 */
void *mt_mutation_compile(const struct mt_mutation *req, uint32_t n_req,
	const struct mt_mutation *rsp, uint32_t n_rsp);
