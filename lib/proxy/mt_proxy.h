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
#include "mt_proxy_conns.h"
#include "mt_proxy_health.h"
#include "mt_portion.h"
#include "mt_slab.h"
#include "mt_denied.h"
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
struct mt_node_limits;
struct mt_trace;

/*
 * Limits and times of one worker. 0 selects the default in parentheses (docs/design.md, section 6).
 */
struct mt_proxy_conf {
	uint32_t max_down;	/* client connections (32,768) */
	uint32_t max_exchanges; /* calls under way, without copies for mirrors (65,536) */
	/*
	 * Server connections for calls (16,384). An opaque stream gets a server connection only
	 * while calls' connections and opaque streams together are fewer than this.
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
	uint32_t slow_ms;	/* a client above reply_soft acknowledges nothing (10,000) */
	uint32_t pending_max;	/* waiting calls per cluster without max_pending (1,024) */
	uint32_t pending_bytes; /* truesize of these calls; one call may exceed it (16,777,216) */
	/*
	 * truesize of a client connection's calls that wait in the worker, above which its requests
	 * are not decoded (4,194,304); a single call may exceed it
	 */
	uint32_t waiting_soft;
	uint32_t down_outstanding; /* calls under way per client connection (1,024) */
	uint32_t connect_ms;	   /* (1,000) */
	uint32_t message_ms;	   /* from a message's start until it is complete (10,000) */
	/* bytes/s: each byte of a message that has arrived extends message_ms at this rate (500) */
	uint32_t message_rate;
	/*
	 * Limit of the time-out that a message carries. Also the time-out of a call if neither its
	 * message nor the snapshot has one (300,000).
	 */
	uint32_t exchange_ms;
	uint32_t grace_ms;	/* added to a deadline that the message carries (100) */
	uint32_t down_idle_s;	/* idle client connections (3,600) */
	uint32_t up_idle_s;	/* idle server connections; up to a quarter is added (60) */
	uint32_t half_closed_s; /* opaque streams with one direction closed (300) */
	uint32_t drain_ms;	/* until a draining client connection is cut short (30,000) */
	uint32_t mirror_max;	/* copies for mirrors under way (max_exchanges / 64) */
	uint32_t mirror_bytes;	/* truesize of these copies (4,194,304) */
	/* Count all transmitted bytes as read by the server, whatever its TCP stack acknowledges. */
	bool unread_strict;
	/*
	 * Accounts that all workers share (mt_node_limits.h); must outlive them. NULL: the proxy
	 * makes its own; allowed only with a single worker.
	 */
	struct mt_node_limits *node_limits;
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
struct mt_callout_lane;
struct mt_rls_grants;
/*
 * The same for rate limit services: without a lane, calls get no answer. `grants`: what they grant
 * in advance, for all workers; NULL: nothing is kept. 0 or -ENOMEM.
 */
int mt_proxy_attach_limits(
	struct mt_proxy *p, struct mt_callout_lane *lane, struct mt_rls_grants *grants);
struct mt_byte_ring;
/*
 * Attaches the ring for entries of the access log (struct mt_alog_entry), which must outlive the
 * proxy's last loop iteration. Without one nothing is logged. Boot only.
 */
void mt_proxy_attach_log(struct mt_proxy *p, struct mt_byte_ring *ring);
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
 * loop iteration, after input and stream events. `budget` limits, each by itself: timers and
 * time-outs together; calls whose run was put off; queued calls that are sent. Returns the work
 * done, in such items.
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
 * Starts to drain the worker while it still accepts new clients, so that no client finds a closed
 * node before it can know of another one. mt_proxy_timers() drains the clients that are connected
 * now, in slices. With ms 0 it notifies them, serves each until it is quiet for a second, and
 * serves later clients as always. Otherwise each drains as by itself (drain.c, with `ms` in place
 * of drain_ms), and later clients from the next third of `ms` on. A further call only resets
 * mt_proxy_lasted(). mt_proxy_stay() and mt_proxy_drain() end this; notified clients still drain.
 */
void mt_proxy_leave(struct mt_proxy *p, uint32_t ms);
void mt_proxy_stay(struct mt_proxy *p);
/*
 * Starts to drain the worker: new clients are refused, and mt_proxy_timers() drains the connected
 * ones in slices. If mt_proxy_leave() was called before, clients have had time to leave, so each
 * is closed between two messages, within a second unless a reply is outstanding for longer. The
 * drain is complete when mt_proxy_idle() returns true.
 */
void mt_proxy_drain(struct mt_proxy *p);
/* True if mt_proxy_idle(), and no client was accepted for a second. */
bool mt_proxy_left(const struct mt_proxy *p);
/*
 * True if there is no opaque stream, and the last complete pass after mt_proxy_leave() found none,
 * nor a call or message that had been under way for more than half a second. A drain by
 * mt_proxy_drain() would then be short.
 */
bool mt_proxy_brief(const struct mt_proxy *p);
/*
 * True if a pass after the last mt_proxy_leave() found a call or message under way for more than
 * half a second. After mt_proxy_drain(), such work needs time until its replies are delivered.
 */
bool mt_proxy_lasted(const struct mt_proxy *p);
/* True if no client is connected and no call is under way. Copies for mirrors do not count. */
bool mt_proxy_idle(const struct mt_proxy *p);
/* Number of copies for mirrors under way. */
uint32_t mt_proxy_copies(const struct mt_proxy *p);
/* Truesize of the copies that wait for a connection; charged to the ledger as MT_CLASS_RETAINED. */
uint64_t mt_proxy_copies_waiting(const struct mt_proxy *p);

/*
 * Continues an exchange or opaque stream that a filter suspended: with the next filter, or by a
 * local reply, or a reset of the stream. False: it does not wait for this ticket any more, and
 * nothing was done.
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
/* Number of requests for on-demand clusters since start, modulo 2^32. */
uint32_t mt_proxy_asks(const struct mt_proxy *p);

/*
 * Ends the ejection of an endpoint for an operator. `port` and `addr` name the endpoint in the
 * event. False: the endpoint was not ejected, or `ep` belongs to another endpoint than `ep_id` by
 * now. Call between loop iterations.
 */
bool mt_proxy_return(struct mt_proxy *p, struct mt_ep_state *ep, uint64_t ep_id, uint32_t cluster,
	const struct mt_addr *addr, uint16_t port);

/*
 * Fills *r with the next exchange under way; copies for mirrors are skipped. Start with *idx = 0;
 * false: there is no other.
 */
bool mt_proxy_record_next(struct mt_proxy *p, uint32_t *idx, struct mt_record *r);
/* Denied callers since the start. */
const struct mt_denied *mt_proxy_denied(const struct mt_proxy *p);
/* The slowest finished calls of this window and the one before it. */
const struct mt_slow *mt_proxy_slow(const struct mt_proxy *p);

/*
 * Bytes of the proxy's objects for a client connection with `calls` calls and a server connection.
 * Excludes lib/tcp's objects and the payload. An opaque stream takes less.
 */
uint32_t mt_proxy_pair_bytes(uint32_t calls);
/* Maximum bytes of a worker's notes for the access log; `metadata`: outputs name metadata. */
uint64_t mt_proxy_log_bytes(bool metadata);
/* Writes up to `max` of the proxy's main slabs to slabs[], for `show memory`; returns how many. */
uint32_t mt_proxy_slabs(const struct mt_proxy *p, const struct mt_slab **slabs, uint32_t max);
