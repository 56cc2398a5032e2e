/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/filter: one step of the layer-7 chain. A filter is a table entry and a folder; its compiled
 * configuration is immutable, its mutable state (buckets) is found by stable identity at publish.
 */
#pragma once

#include "mt_filter_abi.h"
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

/* A request that a filter holds back until `at` (ns). */
struct mt_filter_wait {
	uint64_t at;
	struct mt_filter_ticket ticket;
};

#define MT_FILTER_WAITS 1024

struct mt_filter_inbox;

/*
 * What filters keep for one worker. Owned by the worker; zero-filled memory is not enough: see
 * mt_filter_worker_init().
 */
struct mt_filter_worker {
	struct mt_list claims; /* shares of buckets that hold claimed tokens, oldest claim first */
	uint16_t worker;
	uint64_t counters[MT_FILTER_N_OUTCOMES];
	struct mt_filter_inbox *inbox; /* what other threads tell it; NULL: they cannot */
	uint32_t n_waits;
	struct mt_filter_wait waits[MT_FILTER_WAITS]; /* a heap, the soonest first */
	/* What filters in shared objects have passed since the chain began to run. */
	uint32_t text_used;
	char text[MT_VIEW_CHANGES], answer[MT_FILTER_TEXT_MAX + 1];
};

void mt_filter_worker_init(struct mt_filter_worker *fw, uint16_t worker);

/* Once per loop turn: gives back what has been claimed for a millisecond. Cheap when nothing is. */
void mt_filter_tick(struct mt_filter_worker *fw, uint64_t now);

/* The next request that has waited long enough, for mt_proxy_resume(); false: none. */
bool mt_filter_due(struct mt_filter_worker *fw, uint64_t now, struct mt_filter_ticket *t);

/* When the next tick or request that waits has something to do (MT_NEVER: nothing): a sleeping worker wakes for it. */
uint64_t mt_filter_next(const struct mt_filter_worker *fw);

/* Gives everything back at once: before the worker stops. */
void mt_filter_flush(struct mt_filter_worker *fw);

/*
 * What a filter is given besides the view. The worker has one, which is an exchange's and a direction's for as long as
 * its chain runs.
 */
struct mt_filter_ctx {
	uint64_t now; /* ns */
	uint16_t worker;
	uint16_t workers;	   /* how many there are: shares of exact buckets */
	enum mt_local_reply reply; /* with MT_FILTER_REPLY: what is answered, and the words */
	const char *reply_text;
	uint32_t at;		       /* place behind the filter that runs, or stopped the chain */
	uint32_t exchange, generation; /* whose it is */
	uint32_t direction;	       /* enum mt_filter_direction */
	uint8_t *
		own; /* MT_FILTER_BYTES_MAX bytes of the exchange's; NULL: the chain's filters want none */
	struct mt_filter_worker *fw;
	/* Of the worker: ns until the exchange times out. */
	uint64_t (*left)(struct mt_filter_ctx *ctx);
};

enum mt_filter_direction { MT_FILTER_OF_REQUEST, MT_FILTER_OF_REPLY };

struct mt_filter;

/* One configured filter in a service's chain. */
struct mt_filter_inst {
	const struct mt_filter *type;
	void *conf;	  /* compiled, immutable, the type's own */
	const char *file; /* where it is written, for the shell; NULL: not known */
	uint32_t line;
	uint16_t own; /* where its bytes begin in those of an exchange; mt_filters_compile() */
};

/* Who ends the wait of the filter that runs now. */
struct mt_filter_ticket mt_filter_ticket_of(const struct mt_filter_ctx *ctx);

/* What a filter would do with a message. */
struct mt_filter_told {
	enum mt_filter_verdict verdict;
	enum mt_local_reply reply; /* with MT_FILTER_REPLY */
	uint32_t line;		   /* of what decided, in the filter's file; 0: the filter's own */
	char words[512];
};

typedef enum mt_filter_verdict mt_filter_fn(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx);

struct mt_filter {
	const char *name;	 /* "local_ratelimit" */
	const char *aeraki_name; /* "aeraki.meta_protocol.filters.local_ratelimit" */
	/* Each may be NULL: nothing to do there. */
	mt_filter_fn *on_request;
	mt_filter_fn *on_reply;
	/*
	 * The exchange is over; once for each that has come to the chain, also when on_request() was not reached. The view is
	 * another's.
	 */
	void (*on_end)(const struct mt_filter_inst *f, const struct mt_filter_end *end,
		struct mt_filter_ctx *ctx);
	/*
	 * A byte stream opens at a port of messages (TLS that is forwarded): it stands for a call of which nothing can be
	 * read. Anything but MT_FILTER_NEXT refuses it. NULL: the filter lets all of them pass.
	 */
	enum mt_filter_verdict (*on_stream)(
		const struct mt_filter_inst *f, struct mt_filter_ctx *ctx);
	uint16_t bytes; /* of its own, in each exchange */
	bool reads;	/* it reads any metadata, or changes them */
	/* Others than the worker know its conf for as long as one of its exchanges waits: that stays with the conf. */
	bool conf_shared;
	/*
	 * Control thread: what on_request() would do now with this message, decided by the same code, without
	 * doing it: no token is taken, nothing is counted. NULL: it does nothing with requests.
	 */
	void (*explain)(const struct mt_filter_inst *f, struct mt_view *v, uint64_t now,
		struct mt_filter_told *told);
	/* Control thread, when no snapshot names it any more, or when it was never published. */
	void (*free_conf)(void *conf);
};

extern const struct mt_filter *const mt_filter_types[]; /* NULL-terminated */
/* By name, case-insensitive, or by Aeraki's name; NULL: unknown. */
const struct mt_filter *mt_filter_find(const char *name);

/* One filter's function and its configuration. */
struct mt_filter_step {
	mt_filter_fn *run;
	const struct mt_filter_inst *f;
};

/*
 * A service's filters, compiled: who has something to do with requests, with replies, with ends, each list by itself and
 * without holes. Not a listener's filter chain.
 */
struct mt_filters {
	uint16_t n_request, n_reply, n_end;
	uint16_t bytes; /* of each exchange */
	bool reads;	/* one of them does (struct mt_filter) */
	bool lasts;	/* one of them has to do with more than requests */
	const struct mt_filter_step *request, *reply;
	const struct mt_filter_inst *const *end;
};

/* Of a service. */
#define MT_FILTERS_MAX 16

/* Bytes that so many filters take, compiled. */
size_t mt_filters_size(uint32_t n);
/*
 * Compiles them in `mem`, which has that size and is aligned for pointers. filters[] stays the caller's and outlives it. NULL
 * with the reason in errbuf: more filters, or bytes of their own, than an exchange has room for.
 */
struct mt_filters *mt_filters_compile(
	void *mem, struct mt_filter_inst *filters, uint32_t n, char *errbuf, size_t errlen);

/* Runs what is left from ctx->at on, up to the first verdict that is not MT_FILTER_NEXT; ctx->at is behind that filter then. */
static inline enum mt_filter_verdict mt_filter_run(const struct mt_filter_step *steps, uint32_t n,
	struct mt_view *v, struct mt_filter_ctx *ctx)
{
	for (uint32_t i = ctx->at; i < n; i++) {
		enum mt_filter_verdict verdict;

		ctx->at = i + 1;
		verdict = steps[i].run(steps[i].f, v, ctx);
		if (mt_unlikely(verdict != MT_FILTER_NEXT))
			return verdict;
	}
	return MT_FILTER_NEXT;
}

/* Tells all filters of the chain that want to know. */
void mt_filter_run_end(
	const struct mt_filters *c, const struct mt_filter_end *end, struct mt_filter_ctx *ctx);

/*
 * Adds changes to the view, for a route's requestMutation and responseMutation too; counts what does
 * not fit (MT_VIEW_MUTATIONS of them, MT_VIEW_CHANGES bytes). A later change of the same key (names compare by bytes) takes the earlier one's place.
 */
void mt_filter_mutate(
	struct mt_filter_worker *fw, struct mt_view *v, const struct mt_mutation *m, uint32_t n);
/* One of them; false: it did not fit. */
bool mt_filter_change(struct mt_filter_worker *fw, struct mt_view *v, const struct mt_mutation *m);

/* Changes in words, "sets a=b, removes c"; the length as snprintf() has it. */
size_t mt_mutations_str(const struct mt_mutation *m, uint32_t n, char *buf, size_t size);

/*
 * The conf of a filter of type "mutation": changes for requests and for replies, copied. NULL: no
 * memory.
 */
void *mt_mutation_compile(const struct mt_mutation *req, uint32_t n_req,
	const struct mt_mutation *rsp, uint32_t n_rsp);
