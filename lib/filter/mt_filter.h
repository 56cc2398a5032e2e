/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/filter: the filters of the layer-7 chain. A filter is a table entry and a directory. Its
 * compiled configuration is immutable; its mutable state (buckets) is found by a stable identity
 * when a snapshot is published.
 */
#pragma once

#include "mt_ending.h"
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

/* A message that a filter delays until `at` (ns). */
struct mt_filter_wait {
	uint64_t at;
	struct mt_filter_ticket ticket;
};

#define MT_FILTER_WAITS 1024

struct mt_filter_inbox;
struct mt_global_worker;

/*
 * The state of filters on one worker. Owned by the worker; must be initialized by
 * mt_filter_worker_init(), because zero-filled memory is not valid.
 */
struct mt_filter_worker {
	struct mt_list claims; /* bucket shares with claimed tokens, oldest claim first */
	uint16_t worker;
	uint64_t counters[MT_FILTER_N_OUTCOMES];
	struct mt_filter_inbox *inbox; /* completions from other threads; NULL: there can be none */
	struct mt_global_worker *global; /* queries of rate limit services; NULL: none */
	uint32_t n_waits;
	struct mt_filter_wait waits[MT_FILTER_WAITS]; /* a heap, the earliest first */
	/* Texts that filters in shared objects have passed since the chain began to run. */
	uint32_t text_used;
	char text[MT_VIEW_CHANGES], answer[MT_FILTER_TEXT_MAX + 1];
};

void mt_filter_worker_init(struct mt_filter_worker *fw, uint16_t worker);

/*
 * Returns tokens that have been claimed for a millisecond; called once per loop iteration. Cheap if
 * there are none.
 */
void mt_filter_tick(struct mt_filter_worker *fw, uint64_t now);

/* The next message whose delay is over, for mt_proxy_resume(); false if there is none. */
bool mt_filter_due(struct mt_filter_worker *fw, uint64_t now, struct mt_filter_ticket *t);

/*
 * When the next claim is to be returned, or the next delay ends; MT_NEVER: there is none. A
 * sleeping worker wakes up for it.
 */
uint64_t mt_filter_next(const struct mt_filter_worker *fw);

/* Returns all claimed tokens; call before the worker stops. */
void mt_filter_flush(struct mt_filter_worker *fw);

/* A caller, valid while the filter runs. */
struct mt_filter_caller {
	struct mt_addr addr;
	uint16_t port;
	struct mt_slice principal; /* "cluster.local/ns/a/sa/b"; p NULL: none */
};

/*
 * The context of a filter's functions besides the view. The worker has one, which belongs to one
 * exchange and direction while a chain runs.
 */
struct mt_filter_ctx {
	uint64_t now; /* ns */
	uint16_t worker;
	uint16_t workers;	   /* the number of workers, which share exact buckets */
	enum mt_local_reply reply; /* for MT_FILTER_REPLY: the local reply and its text */
	/*
	 * With MT_FILTER_REPLY: the reason for access logs and metrics, if it is more exact than
	 * `reply`. The worker sets it to MT_ENDING_ok when it has read it.
	 */
	enum mt_ending ending;
	const char *reply_text;
	/* the place after the filter that runs, or that stopped the chain */
	uint32_t at;
	uint32_t exchange, generation; /* the exchange */
	uint32_t direction;	       /* enum mt_filter_direction; not of streams */
	uint8_t *
		own; /* MT_FILTER_BYTES_MAX bytes of an exchange; NULL: the filters need no bytes */
	struct mt_filter_worker *fw;
	/* Set by the worker: returns ns until the exchange times out. */
	uint64_t (*left)(struct mt_filter_ctx *ctx);
	/* Set by the worker: finds the caller of the request or stream. NULL: not known. */
	void (*caller)(struct mt_filter_ctx *ctx, struct mt_filter_caller *caller);
	/* With on_stream(): the client's, for caller(); `exchange` is then the stream's. */
	const void *stream;
};

enum mt_filter_direction { MT_FILTER_OF_REQUEST, MT_FILTER_OF_REPLY };

struct mt_filter;

/* One configured filter of a service. */
struct mt_filter_inst {
	const struct mt_filter *type;
	void *conf;	  /* compiled, immutable, private to the type */
	const char *file; /* where it is configured, for the shell; NULL: unknown */
	uint32_t line;
	uint16_t own; /* offset of its bytes in those of an exchange; set by mt_filters_compile() */
};

/* Waits of requests are numbered from 1, those of replies and streams from the next number on. */
#define MT_FILTER_WAIT_OF_REPLY	 128
#define MT_FILTER_WAIT_OF_STREAM 256

/* A ticket for the wait of the filter that runs now. */
struct mt_filter_ticket mt_filter_ticket_of(const struct mt_filter_ctx *ctx);
/*
 * Delays the message of the filter that runs now, which then returns MT_FILTER_SUSPEND. False: the
 * worker delays MT_FILTER_WAITS messages already.
 */
bool mt_filter_delay(struct mt_filter_ctx *ctx, uint64_t ns);
/* Makes mt_filter_due() return this ticket at `at`. False: as mt_filter_delay(). */
bool mt_filter_wait_until(
	struct mt_filter_worker *fw, uint64_t at, const struct mt_filter_ticket *t);

/* What a filter would do with a message. */
struct mt_filter_told {
	enum mt_filter_verdict verdict;
	enum mt_local_reply reply; /* with MT_FILTER_REPLY */
	/* of the deciding element, in the filter's file; 0: the filter's own line */
	uint32_t line;
	char words[512];
};

typedef enum mt_filter_verdict mt_filter_fn(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx);

struct mt_filter_resume;

struct mt_filter {
	const char *name;	 /* "local_ratelimit" */
	const char *aeraki_name; /* "aeraki.meta_protocol.filters.local_ratelimit" */
	/* Each may be NULL if the filter does nothing there. */
	mt_filter_fn *on_request;
	mt_filter_fn *on_reply;
	/*
	 * The exchange is over. Called once for each exchange that has entered the chain, even if
	 * on_request() was not reached. The worker's view belongs to another exchange then.
	 */
	void (*on_end)(const struct mt_filter_inst *f, const struct mt_filter_end *end,
		struct mt_filter_ctx *ctx);
	/*
	 * An opaque stream opens: opaque TCP, or TLS that a port of messages forwards. It stands for
	 * a call of which nothing can be read. MT_FILTER_SUSPEND: it waits, as a request; otherwise
	 * anything but MT_FILTER_NEXT refuses it. NULL: the filter lets all of them pass.
	 */
	enum mt_filter_verdict (*on_stream)(
		const struct mt_filter_inst *f, struct mt_filter_ctx *ctx);
	/*
	 * A request that waited for the filter gets a local reply, or a stream is reset. NULL: the
	 * filter does not count these by rule.
	 */
	void (*on_refused)(const struct mt_filter_inst *f, const struct mt_filter_resume *r,
		struct mt_filter_worker *fw);
	uint16_t bytes; /* of its own, in each exchange */
	bool reads;	/* it reads or changes metadata */
	/*
	 * Other threads may use its conf while one of its exchanges waits, so a waiting exchange
	 * stays with this conf.
	 */
	bool conf_shared;
	/* The longest wait for it, ms; 0: until the call's time-out. */
	uint32_t wait_ms;
	/*
	 * Control thread. What on_request() would do with this message now, decided by the same
	 * code, but without effects: takes no token and counts nothing. NULL: the filter does
	 * nothing with requests.
	 */
	void (*explain)(const struct mt_filter_inst *f, struct mt_view *v, uint64_t now,
		struct mt_filter_told *told);
	/*
	 * Control thread. Called when no snapshot refers to the conf any more, or if it was never
	 * published.
	 */
	void (*free_conf)(void *conf);
};

extern const struct mt_filter *const mt_filter_types[]; /* NULL-terminated */
/* Finds a filter by its name, ignoring case, or by Aeraki's name; NULL: unknown. */
const struct mt_filter *mt_filter_find(const char *name);

/* One filter's function and its configuration. */
struct mt_filter_step {
	mt_filter_fn *run;
	const struct mt_filter_inst *f;
};

/*
 * The compiled filters of a service: lists without gaps of those that act on requests, on replies
 * and on ends. Not a listener's filter chain.
 */
struct mt_filters {
	uint16_t n_request, n_reply, n_end;
	uint16_t bytes; /* in each exchange */
	bool reads;	/* some filter reads or changes metadata */
	bool lasts;	/* some filter acts on replies or ends, or has bytes */
	const struct mt_filter_step *request, *reply;
	const struct mt_filter_inst *const *end;
};

/* Maximum number of filters of a service. */
#define MT_FILTERS_MAX 16

/* Bytes that `n` compiled filters need. */
size_t mt_filters_size(uint32_t n);
/*
 * Compiles filters into `mem`, which has that size and is aligned for pointers. filters[] stays the
 * caller's and must outlive the result. NULL with the reason in errbuf if there are more filters,
 * or bytes of their own, than an exchange can have.
 */
struct mt_filters *mt_filters_compile(
	void *mem, struct mt_filter_inst *filters, uint32_t n, char *errbuf, size_t errlen);

/*
 * Runs the chain from ctx->at on, up to the first verdict other than MT_FILTER_NEXT; then ctx->at
 * is the place after that filter.
 */
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

/* Calls on_end() of all filters of the chain that have one. */
void mt_filter_run_end(
	const struct mt_filters *c, const struct mt_filter_end *end, struct mt_filter_ctx *ctx);

/*
 * Adds changes to the view, also for a route's requestMutation and responseMutation. Counts those
 * beyond the limits: MT_VIEW_MUTATIONS changes, MT_VIEW_CHANGES bytes. A later change of the same
 * key replaces the earlier one; names are compared by bytes.
 */
void mt_filter_mutate(
	struct mt_filter_worker *fw, struct mt_view *v, const struct mt_mutation *m, uint32_t n);
/* Adds one change; false if it is beyond the limits. */
bool mt_filter_change(struct mt_filter_worker *fw, struct mt_view *v, const struct mt_mutation *m);

/* Changes in words, "sets a=b, removes c". Returns the length as snprintf() does. */
size_t mt_mutations_str(const struct mt_mutation *m, uint32_t n, char *buf, size_t size);

/*
 * Makes the conf of a filter of type "mutation" from copies of the changes for requests and for
 * replies. NULL: no memory.
 */
void *mt_mutation_compile(const struct mt_mutation *req, uint32_t n_req,
	const struct mt_mutation *rsp, uint32_t n_rsp);
