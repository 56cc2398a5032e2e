/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/proxy: forwards calls and opaque TCP (docs/design.md, "Exchanges and lanes"). Each worker has
 * one struct mt_proxy with its client connections, exchanges, server connections and opaque
 * streams. lib/worker calls it, a transport provides its streams, and a snapshot configures it.
 *
 * Unless a comment names another thread, only the worker's thread may call a function while the
 * worker runs.
 */
#pragma once

#include "mt_exemplar.h"
#include "mt_filter_inbox.h"
#include "mt_hist.h"
#include "mt_snapshot.h"
#include "mt_outcome.h"
#include "mt_rand.h"
#include "mt_slab.h"
#include "mt_slow.h"
#include "mt_stream.h"
#include "mt_wheel.h"

enum mt_proxy_outcome {
#define MT_OUTCOME(n, s, w) MT_PROXY_##n,
#include "proxy_outcomes.def"
#undef MT_OUTCOME
	MT_PROXY_N_OUTCOMES
};

extern const struct mt_outcome_set mt_proxy_outcomes;

struct mt_proxy; /* mt_proxy_types.h */
struct mt_trace;

/*
 * Limits and times of one worker. 0 selects the default in parentheses (docs/design.md, section 6).
 */
struct mt_proxy_conf {
	uint32_t max_down;	/* client connections (32,768) */
	uint32_t max_exchanges; /* calls under way, without copies for mirrors (65,536) */
	/*
	 * Server connections for calls (16,384). An opaque stream gets a server connection only while
	 * there are fewer than this many of both kinds.
	 */
	uint32_t max_up;
	uint32_t ring_slots; /* ids of a shared connection; a power of two (1,024) */
	uint32_t shared_max; /* bytes: longest message on a shared or wide connection (65,536) */
	/* bytes: longer messages use wide connections (8,192; shared_max if that is less) */
	uint32_t wide_from;
	/*
	 * Bulk connections per endpoint (24). At most half of them serve one client address, and at
	 * most a third serve one client connection.
	 */
	uint32_t bulk_lanes;
	/* silence of a client after part of its request was forwarded (10,000) */
	uint32_t bulk_idle_ms;
	uint32_t serial_lanes; /* connections per endpoint of a serial codec (256) */
	/* bytes of unread replies of a client above which its requests wait (262,144) */
	uint32_t reply_soft;
	uint32_t slow_ms;	   /* above reply_soft without an acknowledgement (10,000) */
	uint32_t pending_max;	   /* waiting calls per cluster (1,024) */
	uint32_t pending_bytes;	   /* truesize of these; a single call may exceed it (16,777,216) */
	uint32_t down_outstanding; /* calls under way per client connection (1,024) */
	uint32_t connect_ms;	   /* (1,000) */
	uint32_t message_ms;	   /* until a started message is complete (10,000) */
	/*
	 * Longest time-out that a message may carry, and the time-out of a call without any, unless
	 * the snapshot has one (300,000).
	 */
	uint32_t exchange_ms;
	uint32_t grace_ms;	/* added to a deadline that the message carries (100) */
	uint32_t down_idle_s;	/* idle client connections (3,600) */
	uint32_t up_idle_s;	/* idle server connections; up to a quarter is added (60) */
	uint32_t half_closed_s; /* opaque streams with one direction closed (300) */
	uint32_t drain_ms;	/* until a draining client connection is cut short (30,000) */
	uint32_t mirror_max;	/* copies for mirrors under way (max_exchanges / 64) */
	uint32_t mirror_bytes;	/* truesize of these (4,194,304) */
	/* Count all transmitted bytes as read by the server, whatever its TCP stack acknowledges. */
	bool unread_strict;
};

/*
 * Creates the proxy of worker number `worker` of `workers`. Copies *conf; `pools` must outlive the
 * proxy. `seed` seeds its random numbers, `now` is monotonic ns. Call mt_proxy_attach() afterwards,
 * because proxy and transport need each other. NULL: no memory. Boot only.
 */
struct mt_proxy *mt_proxy_create(const struct mt_proxy_conf *conf, uint16_t worker,
	uint16_t workers, struct mt_pools *pools, uint64_t seed, uint64_t now);
/*
 * Sets the transport that opens server connections. It must outlive the proxy's last loop
 * iteration. Boot only.
 */
void mt_proxy_attach(struct mt_proxy *p, struct mt_transport *out);
/* Sets the ledger that is charged for copies of calls that wait for a connection. Boot only. */
void mt_proxy_attach_ledger(struct mt_proxy *p, struct mt_ledger *l);
struct mt_tls_layer;
/*
 * Overrides mt_proxy_attach(): this layer opens server connections, with TLS where the
 * configuration requires it, and terminates TLS of clients. Without a layer the proxy uses no TLS.
 * The layer must outlive the proxy's last loop iteration. Boot only.
 */
void mt_proxy_attach_tls(struct mt_proxy *p, struct mt_tls_layer *tls);
struct mt_token_lane;
/*
 * Attaches the token verification lane, which must outlive the proxy's last loop iteration. Without
 * one, calls with a token that must be verified are denied. 0 or -ENOMEM. Boot only.
 */
int mt_proxy_attach_tokens(struct mt_proxy *p, struct mt_token_lane *lane);
struct mt_extauthz_lane;
/*
 * Attaches the external authorization lane, which must outlive the proxy's last loop iteration.
 * Without one, calls that need an external decision are denied. Boot only.
 */
void mt_proxy_attach_asks(struct mt_proxy *p, struct mt_extauthz_lane *lane);
/* Frees the proxy and its objects, but closes no stream. Call after the last loop iteration. */
void mt_proxy_destroy(struct mt_proxy *p);

/* Callbacks for a transport that accepts clients; their `arg` is the struct mt_proxy. */
extern const struct mt_listen_ops mt_proxy_listen_ops;

/*
 * Makes `s` the worker's current snapshot and holds it (mt_snapshot_hold()). Clients and server
 * connections move to it in later loop iterations. Call at the start of an iteration.
 */
void mt_proxy_adopt(struct mt_proxy *p, struct mt_snapshot *s);

/* Sets the time, monotonic and of the wall clock, in ns. Call first in each loop iteration. */
void mt_proxy_begin(struct mt_proxy *p, uint64_t now, uint64_t wall);
/*
 * Runs what is due: timers, call time-outs, queued calls, and slices of long work. Call once per
 * loop iteration, after input and stream events. `budget` limits timers with time-outs, and the
 * queued calls that are sent. Returns the work done, in such units.
 */
uint32_t mt_proxy_timers(struct mt_proxy *p, uint32_t budget);
/* When mt_proxy_timers() has work again, monotonic ns; at most p->now if it has work already. */
uint64_t mt_proxy_next(struct mt_proxy *p);

/*
 * Checks that each waiting object is in a list, and that an event or timer for the list will come.
 * Returns NULL, or a static text with the fault. For tests and the simulator, between loop
 * iterations; walks all objects (invariants.c).
 */
const char *mt_proxy_check(struct mt_proxy *p);

/* Sets the percentage of free data mbufs: below certain marks calls are refused, or not copied. */
void mt_proxy_pressure(struct mt_proxy *p, uint32_t free_pct);

/*
 * Starts to drain the worker, for SIGTERM or the command `drain`: new clients are refused, and
 * mt_proxy_timers() drains the connected ones in slices. The drain is complete when mt_proxy_idle()
 * returns true.
 */
void mt_proxy_drain(struct mt_proxy *p);
/* True if no client is connected and no call is under way. Copies for mirrors do not count. */
bool mt_proxy_idle(const struct mt_proxy *p);
/* Number of copies for mirrors under way. */
uint32_t mt_proxy_copies(const struct mt_proxy *p);
/* Truesize of the copies that wait for a connection; charged to the ledger as MT_CLASS_RETAINED. */
uint64_t mt_proxy_copies_waiting(const struct mt_proxy *p);

/*
 * Continues an exchange that a filter suspended: with the next filter, or by a local reply. False:
 * the exchange does not wait for this ticket any more, and nothing was done.
 */
bool mt_proxy_resume(struct mt_proxy *p, const struct mt_filter_resume *r);

/* Inbox through which other threads resume exchanges of this worker; lives as long as the proxy. */
struct mt_filter_inbox *mt_proxy_inbox(const struct mt_proxy *p);

/*
 * Traces the exchanges that start from now on into `t`; NULL: none. The caller owns the trace. Call
 * between loop iterations.
 */
void mt_proxy_set_trace(struct mt_proxy *p, struct mt_trace *t);

/* Status name of a local reply: no_route, over_limit, ... Static text; any thread. */
const char *mt_local_reply_name(enum mt_local_reply what);

/*
 * Takes the next on-demand cluster that this worker requests: *cluster is the mt_cluster.index of a
 * cluster with only a name. The answer is mt_upstream_absent(), or a snapshot that contains the
 * cluster. False: there is none. Control thread only.
 */
bool mt_proxy_asked(struct mt_proxy *p, uint32_t *cluster);
/* Number of such requests since start, modulo 2^32. */
uint32_t mt_proxy_asks(const struct mt_proxy *p);

/* Calls and cluster of a connection, copied at one moment. */
struct mt_conn_use {
	uint32_t calls;	  /* under way on it */
	uint32_t cluster; /* mt_cluster.index of a server connection; UINT32_MAX: none */
};

/* Use of a stream of this worker; no calls and no cluster if the proxy does not use it. */
struct mt_conn_use mt_proxy_use(struct mt_proxy *p, const struct mt_stream *s);

/* An event of an endpoint's health, as a worker reports it to the control thread. */
struct mt_aside {
	enum mt_aside_what {
		MT_ASIDE_FAILED, /* ejected, until MT_ASIDE_BACK */
		MT_ASIDE_BACK,	 /* it has replied and is in rotation again */
		MT_ASIDE_LEAVING, /* it announced its shutdown, for example by Dubbo's read-only event */
		MT_ASIDE_STAYS, /* it withdrew that announcement */
	} what;
	/* FAILED: how its last connection ended, or another cause; else NULL. Static. */
	const char *why;
	struct mt_addr addr;
	uint16_t port;
	uint8_t times;		   /* FAILED: ejections in a row, with this one */
	uint32_t cluster;	   /* mt_cluster.index */
	uint32_t failures, errors; /* FAILED: of the cluster's struct mt_outlier_rule */
	const char *rule; /* FAILED: the rule, if it was not one of those; else NULL; static */
	/* Monotonic ns: `at` of the event. `until`: the ejection's or announcement's end, else `at`. */
	uint64_t at, until;
	uint64_t wall; /* `at` by the wall clock, ns */
};

/*
 * Takes the next health event of this worker into *a. Returns false if there is none. Always sets
 * *missed to the number of events lost since start because the queue was full. Control thread only.
 */
bool mt_proxy_aside(struct mt_proxy *p, struct mt_aside *a, uint64_t *missed);

/*
 * Fills *r with the next exchange under way; copies for mirrors are skipped. Start with *idx = 0;
 * false: there is no other.
 */
bool mt_proxy_record_next(struct mt_proxy *p, uint32_t *idx, struct mt_record *r);
/* The slowest finished calls of this window and the one before it. */
const struct mt_slow *mt_proxy_slow(const struct mt_proxy *p);

/* Counters of this worker's tokens, by enum mt_token_outcome. */
const uint64_t *mt_proxy_token_counters(const struct mt_proxy *p);
/* Counters of this worker's filters, by enum mt_filter_outcome. */
const uint64_t *mt_proxy_filter_counters(const struct mt_proxy *p);
/* Counters of this worker's load balancing, by enum mt_upstream_outcome. */
const uint64_t *mt_proxy_upstream_counters(const struct mt_proxy *p);

/* Counters of this worker's proxy, by enum mt_proxy_outcome. */
uint64_t *mt_proxy_counters(struct mt_proxy *p);

/* ---- statistics: the worker writes, the control thread reads (account.c) --------------------- */

/* Counters of a service, which grow from 0 since its first call on this worker. */
struct mt_service_stats {
	uint64_t requests, ok, app_error, proto_error, timeouts, bytes_in, bytes_out;
	uint64_t limited; /* requests refused by a rate limit */
	/*
	 * Calls that ended without a reply: one-way calls; calls of clients that closed before the
	 * reply; calls of clients that Meltemi reset.
	 */
	uint64_t oneway, client_left, cut_off;
	uint64_t opened, closed; /* opaque streams: connected to a server; ended after that */
	/* Requests with a local reply, or dropped if they were one-way, by reason. */
	uint64_t local[MT_REPLY_N];
	uint64_t latency_sum_us; /* of replies by servers */
};
/* By mt_service.index; NULL: index too large. Any thread. */
const struct mt_service_stats *mt_proxy_service_stats(const struct mt_proxy *p, uint32_t index);
/*
 * The mt_service.id to which the statistics at this index belong. A service may take over an index,
 * but the statistics stay with the former one until the first call of the new one. 0: none. Any
 * thread; read it before and after the statistics.
 */
uint64_t mt_proxy_service_id(const struct mt_proxy *p, uint32_t index);

/* Sum of `local` over all reasons. */
uint64_t mt_service_local_replies(const struct mt_service_stats *st);

/* For mt_hist.h: microseconds up to 537 s, within 3 %; bytes up to 16 MiB by powers of two. */
#define MT_LATENCY_BITS	   4
#define MT_LATENCY_TOP	   29
#define MT_LATENCY_BUCKETS MT_HIST_BUCKETS(MT_LATENCY_BITS, MT_LATENCY_TOP)
#define MT_SIZE_BITS	   0
#define MT_SIZE_TOP	   24
#define MT_SIZE_BUCKETS	   (MT_HIST_BUCKETS(MT_SIZE_BITS, MT_SIZE_TOP) + 1)

/* Histograms of a service, each bucket a counter. */
struct mt_service_hist {
	uint64_t latency[MT_LATENCY_BUCKETS]; /* us, from a request's last byte to its reply's */
	/* Bytes minus one, so that bucket b holds lengths above 2^(b - 1) and up to 2^b. */
	uint64_t request[MT_SIZE_BUCKETS], reply[MT_SIZE_BUCKETS];
};
/* By mt_service.index; NULL: index too large. Any thread. */
const struct mt_service_hist *mt_proxy_service_hist(const struct mt_proxy *p, uint32_t index);

/* Exemplars of a service, by mt_service.index, for mt_exemplar_read(); NULL: index too large. */
const struct mt_exemplars *mt_proxy_exemplars(const struct mt_proxy *p, uint32_t index);
#define MT_EXEMPLAR_MS 1 /* default of mt_proxy_set_sampling() */
/*
 * Lets at most one call in `ms` milliseconds become an exemplar; 0: none. Call between loop
 * iterations.
 */
void mt_proxy_set_sampling(struct mt_proxy *p, uint32_t ms);
uint32_t mt_proxy_sampling(const struct mt_proxy *p);

/* Statistics of an endpoint. */
struct mt_ep_stats {
	uint64_t requests, conns_opened, outstanding;
	uint64_t failures;	 /* failed connects, reset connections, calls lost or timed out */
	uint64_t connect_failed; /* part of `failures` */
	uint64_t heard;		 /* monotonic ns: its last bytes, on any connection; 0: none */
	uint32_t conns_active;
	uint32_t streams; /* part of conns_active: opaque streams */
	/*
	 * The mt_ep_state.id to which requests, failures, connect_failed, conns_opened and heard
	 * belong. The other fields are current numbers of whichever endpoint has the index.
	 */
	uint64_t id;
};
_Static_assert(sizeof(struct mt_ep_stats) == MT_CACHE_LINE, "a call touches one line of these");
/* By mt_ep_state.index; NULL: index too large. Any thread. */
const struct mt_ep_stats *mt_proxy_ep_stats(const struct mt_proxy *p, uint32_t index);

/* Results of calls at an endpoint. One-way calls and calls of clients that closed do not count. */
struct mt_ep_answers {
	uint64_t ok; /* replies without an error */
	/* error replies; calls lost or timed out; calls for which no connection opened */
	uint64_t errors;
};

/*
 * Results and latency of an endpoint. `latency` is a histogram of microseconds up to 33 s, within
 * 13 %. Its counters are small because there may be hundreds of thousands of endpoints. When one is
 * full, all are halved, so older calls count less.
 */
#define MT_EP_LATENCY_BITS    2
#define MT_EP_LATENCY_BUCKETS MT_HIST_BUCKETS(MT_EP_LATENCY_BITS, 25)
struct mt_ep_hist {
	uint64_t ep_id; /* mt_ep_state.id; another endpoint may get the index later */
	struct mt_ep_answers answers;
	uint16_t latency[MT_EP_LATENCY_BUCKETS];
};
/* By mt_ep_state.index; NULL: index too large. Any thread. */
const struct mt_ep_hist *mt_proxy_ep_hist(const struct mt_proxy *p, uint32_t index);

/*
 * Calls that wait for an answer of an endpoint, as a worker counted them at most about a second ago
 * (waiting.c). Times in monotonic ns.
 */
struct mt_ep_waiting {
	uint64_t calls;	 /* sent completely, without a byte of their reply yet */
	uint64_t oldest; /* when the oldest of them was sent; 0: no call waits */
	uint64_t since;	 /* calls have waited there without a pause since then; 0: no call waits */
	uint64_t heard;	 /* mt_ep_stats.heard */
	/* Opaque streams now that wait: the server got bytes, and has sent none since. */
	uint64_t streams;
	uint64_t streams_since; /* some have waited without a pause since then; 0: none waits */
	/* Opaque streams that got an answer; those that the server ended without one. */
	uint64_t answered, unanswered;
};
/* By mt_ep_state.index and id; all 0 if the index has another endpoint. Any thread. */
struct mt_ep_waiting mt_proxy_ep_waiting(const struct mt_proxy *p, uint32_t index, uint64_t id);

struct mt_closer;
/*
 * Number of calls, connections and opaque streams refused because of this object. For an object
 * without an index of its own it is the number for all such objects together. Any thread.
 */
uint64_t mt_proxy_closed_by(const struct mt_proxy *p, const struct mt_closer *by);

/* Number of calls for which the route was chosen, by mt_route_action.index. Any thread. */
uint64_t mt_proxy_route_hits(const struct mt_proxy *p, uint32_t index);

/*
 * Bytes of the proxy's objects for a client connection with `calls` calls and a server connection.
 * Excludes lib/tcp's objects and the payload. An opaque stream takes less.
 */
uint32_t mt_proxy_pair_bytes(uint32_t calls);
/* Writes up to `max` of the proxy's main slabs to slabs[], for `show memory`; returns how many. */
uint32_t mt_proxy_slabs(const struct mt_proxy *p, const struct mt_slab **slabs, uint32_t max);
