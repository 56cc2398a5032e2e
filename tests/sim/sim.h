/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator: several hosts in one process, virtual time, a seeded network. One `struct sim` is one
 * run of one seed; everything in it happens in the order of one event queue, and every choice comes
 * from the seed, so a seed replays exactly. docs/testing/simulator.md explains how to read a failure.
 */
#pragma once

#include "mt_addr.h"
#include "mt_base.h"
#include "mt_ending.h"
#include "mt_rand.h"

#include <stdio.h>

#define SIM_TRACE_LINES 200
#define SIM_TRACE_WIDTH 176
#define SIM_MAX_NICS	12
#define SIM_MAX_WORKERS 4
#define SIM_DIALECTS	16 /* at most */
/* A seed that needs more events than this turns in a circle, unless its scenario is that large (most_events). */
#define SIM_MAX_EVENTS 600000u

/* Faults that the network and the ports commit, counted when one really hit a packet. */
enum sim_fault {
	SIM_F_LOSS,
	SIM_F_BURST_LOSS,
	SIM_F_DUPLICATE,
	SIM_F_REORDER,
	SIM_F_CORRUPT,	     /* bits flipped; checksums tell */
	SIM_F_CORRUPT_FIXED, /* a field changed and the checksums made right again */
	SIM_F_BLACKOUT,
	SIM_F_QUEUE_FULL, /* rate limit: tail drop */
	SIM_F_TX_PARTIAL, /* a port took n - k of n packets */
	SIM_F_TX_HELD,	  /* a port kept a sent mbuf for later */
	SIM_F_RX_SHARED,  /* a port handed over the sender's own mbuf */
	SIM_F_RX_SEGMENTS,
	SIM_F_RX_WRONG_WORKER,
	SIM_F_ALLOC_FAILED,
	SIM_F_MTU_TOLD,	     /* too long for the path, and a router said so */
	SIM_F_MTU_HOLE,	     /* too long, and nobody said so */
	SIM_F_MARK,	     /* a router marked a packet (ECN) */
	SIM_F_BLIND,	     /* a stranger's segment or ICMP error for a connection of others */
	SIM_F_PEER_LIE,	     /* a peer's ACK or SACK is not true */
	SIM_F_PEER_REBOOT,   /* a host forgets its connections and goes on */
	SIM_F_PEER_MISCHIEF, /* a peer did what RFC 9293 forbids or nobody expects */
	SIM_F_HOST_DEATH,
	SIM_F_STALL, /* a worker of the node has no CPU for a while */
	SIM_F_N
};

extern const char *const sim_fault_names[SIM_F_N];

/* What layers between TCP and its users did (layer.h). */
enum sim_layer_event {
	SIM_LAYER_OPENED,
	SIM_LAYER_ACCEPTED,
	SIM_LAYER_UPDATE,      /* the answer to a key update, */
	SIM_LAYER_UPDATE_IDLE, /* while nothing of the user's was on its way, */
	SIM_LAYER_UPDATE_FULL, /* or its queue was full */
	SIM_LAYER_ALERT,
	SIM_LAYER_RECLAIMED, /* bytes, to be sent on another stream */
	SIM_MUX_STREAM,
	SIM_MUX_RESET,	       /* of one stream alone */
	SIM_MUX_AWAY,	       /* a side asks for no more streams */
	SIM_MUX_OUT_OF_CREDIT, /* a stream's bytes wait for who reads them */
	SIM_MUX_BESIDE_PAUSED, /* bytes arrive beside a stream that is not read */
	SIM_TLS_STREAM,
	SIM_TLS_UPDATE, /* of keys */
	SIM_TLS_LATER,	/* a handshake had to wait for room */
	SIM_LAYER_N
};

extern const char *const sim_layer_event_names[SIM_LAYER_N];

/* Calls in back-off, each counted in each ms: after what, in which pool; and what happened to retries. */
enum sim_retry {
	SIM_RETRY_RESET,
	SIM_RETRY_LATE,
	SIM_RETRY_UNREACHED,
	SIM_RETRY_SHARED,
	SIM_RETRY_WIDE,
	SIM_RETRY_SERIAL,
	SIM_RETRY_MOVED,       /* the worker was transplanted in between */
	SIM_RETRY_OVER_BUDGET, /* refused */
	SIM_RETRY_HELD_BACK,   /* a client's requests waited because of calls that did */
	SIM_RETRY_N
};

extern const char *const sim_retry_names[SIM_RETRY_N];

struct sim_options {
	uint64_t seed_from, seed_to;
	uint32_t jobs;	  /* processes that share the seeds */
	uint32_t workers; /* 0: 1 or 3 by seed */
	const char *scenario;
	const char *mutant;
	bool verbose, json, keep_going;
	bool transplant;   /* in each seed that can */
	bool log;	   /* calls leave entries of the access log */
	bool tracing;	   /* of calls, of which none is drawn */
	bool trace_hash;   /* prints each seed's hash, which is the same for any build */
	const char *cases; /* a file of lines "scenario seed": runs these; NULL: seeds */
};

struct sim;
typedef void (*sim_event_fn)(struct sim *s, void *arg, uint64_t n);

struct sim_event {
	uint64_t at, order; /* equal times fire in the order in which they were made */
	sim_event_fn fn;
	void *arg;
	uint64_t n;
	void (*drop)(void *arg); /* frees arg when the event never fires; or NULL */
};

struct sim_trace {
	char line[SIM_TRACE_LINES][SIM_TRACE_WIDTH];
	uint64_t n;
	uint64_t
		hash; /* over all lines, frames and outcomes since the seed began, with their times */
};

/* What a seed did; summed up over the run. */
struct sim_stats {
	uint64_t faults[SIM_F_N];
	uint64_t calls;	    /* that ended, however */
	uint64_t exchanges; /* of them: what a server answered, or took and need not answer */
	uint64_t dialect[SIM_DIALECTS]; /* calls that a server answered, by dialect (dialect.h) */
	uint64_t heartbeats, heartbeats_back, heartbeats_up; /* of clients, servers, the proxy */
	uint64_t heartbeats_unanswered; /* of servers; the proxy has counted each */
	uint64_t layer[SIM_LAYER_N];
	uint64_t retries[SIM_RETRY_N];
	uint64_t limit_admitted, limit_refused, limit_changes;
	uint64_t streams_again; /* byte streams that the node joined to a server again */
	uint64_t connections;	/* that were established by applications */
	uint64_t bytes;		/* of stream, verified */
	uint64_t frames, events, turns;
	uint64_t transplants;		/* of workers (transplant.h) */
	uint64_t endings[MT_N_ENDINGS]; /* of entries of the access log, with --log */
	uint64_t virtual_ns;
};

struct sim_net;
struct sim_node;

struct sim {
	const struct sim_options *opt;
	const struct sim_scenario *scenario;
	uint64_t seed, now, start;
	/* Apart, so that one more draw in the network does not change the plan. */
	struct mt_rand plan, net_rand, host_rand;
	struct sim_event *heap;
	uint32_t n_events, cap_events;
	uint64_t event_order;
	struct sim_trace trace;
	struct sim_stats st;
	struct sim_net *net;
	uint32_t workers;
	uint32_t connects; /* of applications, also in vain */
	bool failed, done;
	char why[256];
};

/* ---- events.c ---- */
void sim_at(struct sim *s, uint64_t at, sim_event_fn fn, void *arg, uint64_t n);
/* The same; `arg` belongs to the event. */
void sim_at_owned(struct sim *s, uint64_t at, sim_event_fn fn, void *arg, uint64_t n,
	void (*drop)(void *arg));
/* The seed is over: what is still queued is dropped. */
void sim_events_drop(struct sim *s);
/* Runs events until `until` (virtual), failure, or stop(arg) answers true. */
void sim_run(struct sim *s, uint64_t until, bool (*stop)(struct sim *s, void *arg), void *arg);

/* ---- trace.c ---- */
void sim_trace(struct sim *s, const char *fmt, ...) mt_printf(2, 3);
/* Adds bytes to the trace's hash only. */
void sim_trace_bytes(struct sim *s, const void *bytes, size_t n);
/*
 * Adds named numbers to the hash (--verbose prints them), whatever their order; 0 as if it was not
 * there.
 */
struct sim_outcomes {
	struct sim *sim;
	uint64_t sum;
};
void sim_trace_outcome(
	struct sim_outcomes *o, const char *of, uint32_t which, const char *name, uint64_t value);
void sim_trace_outcomes_end(struct sim_outcomes *o);
/* The seed has failed: the first reason is kept, the run ends. */
void sim_fail(struct sim *s, const char *fmt, ...) mt_printf(2, 3);
void sim_trace_dump(const struct sim *s, FILE *to);
void sim_count_fault(struct sim *s, enum sim_fault f);

/* ---- draws ---- */
static inline uint32_t sim_below(struct mt_rand *r, uint32_t n)
{
	return mt_rand_below(r, n);
}

static inline uint64_t sim_between(struct mt_rand *r, uint64_t lo, uint64_t hi)
{
	return lo + (mt_rand_u64(r) >> 1) % (hi - lo + 1);
}

/* True in `ppm` of a million draws. */
static inline bool sim_chance(struct mt_rand *r, uint32_t ppm)
{
	return ppm && mt_rand_below(r, 1000000) < ppm;
}

/* True in one of n draws. */
static inline bool sim_one_in(struct mt_rand *r, uint32_t n)
{
	return mt_rand_below(r, n) == 0;
}

/* A scenario: sets hosts and plans up, says when all is done, checks what came of it. */
struct sim_scenario {
	const char *name;
	const char *words;
	uint32_t weight; /* share of the default run; 0: only by name */
	void (*run)(struct sim *s);
	/* Work that a seed must do. */
	uint64_t min_calls, min_exchanges, min_bytes, min_connections;
	bool must_hurt;	      /* at least one fault must fire */
	uint32_t most_events; /* 0: SIM_MAX_EVENTS */
};

extern const struct sim_scenario *const sim_scenarios[]; /* NULL-terminated */

/* One seed from nothing to its verdict; `s` is cleared first. */
void sim_seed_run(struct sim *s, const struct sim_options *opt, uint64_t seed);
