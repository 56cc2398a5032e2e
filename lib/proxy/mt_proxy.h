/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/proxy: exchanges and lanes (docs/design.md, "Exchanges and lanes"). One struct mt_proxy per
 * worker: downstream connections, exchanges, upstream lanes with their id rings, the opaque path. Called
 * by lib/worker; its streams come from a transport; reads a snapshot.
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

struct mt_proxy; /* proxy_types.h */
struct mt_trace;

/* Tunables; 0 means the default that is named (design §6). */
struct mt_proxy_conf {
	uint32_t max_down;	/* downstream connections (32,768) */
	uint32_t max_exchanges; /* (65,536) */
	/* Upstream connections for calls (16,384); a byte stream gets one while there are fewer of both kinds. */
	uint32_t max_up;
	uint32_t ring_slots; /* id ring per shared connection (1,024) */
	uint32_t shared_max; /* longest message that enters a lane with others (65,536) */
	uint32_t wide_from;  /* longer ones do not enter the lane of short ones (8,192) */
	uint32_t
		bulk_lanes; /* per endpoint (24); half of them for one address, a third for one connection at most */
	uint32_t bulk_idle_ms;	   /* no byte on a bulk lane (10,000) */
	uint32_t serial_lanes;	   /* connections per endpoint of a serial codec (256) */
	uint32_t reply_soft;	   /* above so much owed to it a client is not read on (262,144) */
	uint32_t slow_ms;	   /* no ACK progress above soft (10,000) */
	uint32_t pending_max;	   /* queue per cluster while no endpoint takes more (1,024) */
	uint32_t pending_bytes;	   /* truesize of that queue, one call apart (16,777,216) */
	uint32_t down_outstanding; /* exchanges of one downstream (1,024) */
	uint32_t connect_ms;	   /* (1,000) */
	uint32_t message_ms;	   /* a started message (10,000) */
	uint32_t exchange_ms;	   /* (300,000) */
	uint32_t grace_ms;	   /* on top of a deadline that the message carries (100) */
	uint32_t down_idle_s;	   /* (3,600) */
	uint32_t up_idle_s;	   /* + jitter (60) */
	uint32_t half_closed_s;	   /* opaque (300) */
	uint32_t drain_ms;	   /* (30,000) */
	uint32_t mirror_max;	   /* copies of calls that are under way (max_exchanges / 64) */
	uint32_t mirror_bytes;	   /* truesize of those (4,194,304) */
	bool unread_strict; /* what was transmitted may have been read, whatever the server's TCP says */
};

/* The transport is attached afterwards (they need each other). 0 or -errno. Boot only. */
struct mt_proxy *mt_proxy_create(const struct mt_proxy_conf *conf, uint16_t worker,
	uint16_t workers, struct mt_pools *pools, uint64_t seed, uint64_t now);
/* What connections to servers are opened by; it outlives the proxy's last turn. */
void mt_proxy_attach(struct mt_proxy *p, struct mt_transport *out);
/* Who is told of what is held for no connection: copies of calls that wait for theirs. */
void mt_proxy_attach_ledger(struct mt_proxy *p, struct mt_ledger *l);
/* In place of that: they are opened by the layer, which also ends TLS of clients. Without it neither is done. */
struct mt_tls_layer;
void mt_proxy_attach_tls(struct mt_proxy *p, struct mt_tls_layer *tls);
/* By whom tokens are verified; it outlives the proxy's last turn. Without it all are denied. 0 or -ENOMEM. */
struct mt_token_lane;
int mt_proxy_attach_tokens(struct mt_proxy *p, struct mt_token_lane *lane);
/* By whom external authorization services are asked; it outlives the proxy's last turn. Without it what has to be asked about is denied. */
struct mt_extauthz_lane;
void mt_proxy_attach_asks(struct mt_proxy *p, struct mt_extauthz_lane *lane);
void mt_proxy_destroy(struct mt_proxy *p);

/* What accepts clients; arg is the struct mt_proxy. */
extern const struct mt_listen_ops mt_proxy_listen_ops;

/* The current snapshot, at the head of a loop turn when it changed. */
void mt_proxy_adopt(struct mt_proxy *p, struct mt_snapshot *s);

/* Once per turn: `now`, then after input and events the exchange timers; returns work done. */
void mt_proxy_begin(struct mt_proxy *p, uint64_t now, uint64_t wall);
uint32_t mt_proxy_timers(struct mt_proxy *p, uint32_t budget);
uint64_t mt_proxy_next(struct mt_proxy *p);

/*
 * check.c, for tests: whether everything that waits stands in a list of what it waits for, and that will wake it. NULL,
 * or what is wrong. Between turns; walks all objects.
 */
const char *mt_proxy_check(struct mt_proxy *p);

/* Memory marks, percent of free data mbufs. */
void mt_proxy_pressure(struct mt_proxy *p, uint32_t free_pct);

/*
 * SIGTERM or `drain`: accept nothing new from now on, wind up the clients in slices from the next
 * mt_proxy_timers() on, finish what is owed; mt_proxy_idle() says when done.
 */
void mt_proxy_drain(struct mt_proxy *p);
bool mt_proxy_idle(const struct mt_proxy *p);
/* Copies of calls that are under way: mt_proxy_idle() does not wait for them. */
uint32_t mt_proxy_copies(const struct mt_proxy *p);
/* Truesize of those that wait for a connection: part of what is charged as MT_CLASS_RETAINED. */
uint64_t mt_proxy_copies_waiting(const struct mt_proxy *p);

/*
 * Goes on with an exchange that a filter suspended: with the next filter, or with a native answer. false: that wait is over,
 * or the exchange is, and nothing happened.
 */
bool mt_proxy_resume(struct mt_proxy *p, const struct mt_filter_resume *r);

/* What other threads tell this worker's filters; it lives as long as the proxy. */
struct mt_filter_inbox *mt_proxy_inbox(const struct mt_proxy *p);

/* Exchanges that begin from now on are traced there; NULL: none. Between turns. */
void mt_proxy_set_trace(struct mt_proxy *p, struct mt_trace *t);

/* How a reply of our own is called as a status: no_route, over_limit … Static. */
const char *mt_local_reply_name(enum mt_local_reply what);

/*
 * The control thread: the next cluster (mt_cluster.index) that a call of this worker leads to and of which only the
 * name is there. False: none. mt_upstream_absent(), or a snapshot that has the cluster, is the answer.
 */
bool mt_proxy_asked(struct mt_proxy *p, uint32_t *cluster);
/* Worker: how many were ever asked for so. */
uint32_t mt_proxy_asks(const struct mt_proxy *p);

/* What a connection is used for: a plain copy. */
struct mt_conn_use {
	uint32_t calls;	  /* on it now: not answered yet */
	uint32_t cluster; /* mt_cluster.index, of those to servers; UINT32_MAX: none */
};

/* Of a connection of this worker, whoever's it is. Worker's thread only. */
struct mt_conn_use mt_proxy_use(struct mt_proxy *p, const struct mt_stream *s);

/* What happened to an endpoint: a plain copy. */
struct mt_aside {
	enum mt_aside_what {
		MT_ASIDE_FAILED, /* put aside, until MT_ASIDE_BACK: its connections failed, or it was silent */
		MT_ASIDE_BACK,	  /* it has answered */
		MT_ASIDE_LEAVING, /* it said that it is about to stop */
		MT_ASIDE_STAYS,	  /* it said that it does not: a MT_ASIDE_LEAVING is over */
	} what;
	const char *
		why; /* static: how the last of its connections ended, or what else was; else NULL */
	struct mt_addr addr;
	uint16_t port;
	uint8_t times;		   /* MT_ASIDE_FAILED: in a row, this one counted */
	uint32_t cluster;	   /* mt_cluster.index */
	uint32_t failures, errors; /* mt_outlier_rule */
	const char *rule;	   /* static: another rule than those; else NULL */
	uint64_t at, until;	   /* ns; until: MT_ASIDE_FAILED: before that nobody looks */
	uint64_t wall;		   /* of `at` */
};

/*
 * The control thread: the next of this worker's. False: none. *missed: how many there were, since the start, that found no
 * place, because nobody asked in time.
 */
bool mt_proxy_aside(struct mt_proxy *p, struct mt_aside *a, uint64_t *missed);

/* Exchanges under way: *idx starts at 0; false at the end. Worker's thread only. */
bool mt_proxy_record_next(struct mt_proxy *p, uint32_t *idx, struct mt_record *r);
/* The slowest of those that are over. Worker's thread only. */
const struct mt_slow *mt_proxy_slow(const struct mt_proxy *p);

/* Counters of filters and of balancing on this worker. */
/* By enum mt_token_outcome. */
const uint64_t *mt_proxy_token_counters(const struct mt_proxy *p);
const uint64_t *mt_proxy_filter_counters(const struct mt_proxy *p);
const uint64_t *mt_proxy_upstream_counters(const struct mt_proxy *p);

uint64_t *mt_proxy_counters(struct mt_proxy *p);

/* ---- numbers: written by the worker, read by the control thread; account.c --------------------- */

/* Per service, by mt_service.index. Nothing but counters. */
struct mt_service_stats {
	uint64_t requests, ok, app_error, proto_error, timeouts, bytes_in, bytes_out;
	uint64_t limited;
	/* Over without an answer: sent and none is owed; its client left; Meltemi reset its client. */
	uint64_t oneway, client_left, cut_off;
	uint64_t opened, closed; /* byte streams: joined to a server, and ended after that */
	/* Requests that Meltemi answered or, one-way, dropped: by reason. */
	uint64_t local[MT_REPLY_N];
	uint64_t latency_sum_us;
};
const struct mt_service_stats *mt_proxy_service_stats(const struct mt_proxy *p, uint32_t index);
/* Whose (mt_service.id) the numbers of this index are: another service may have it now that nobody has called yet. 0: nobody's. */
uint64_t mt_proxy_service_id(const struct mt_proxy *p, uint32_t index);

/* All that Meltemi answered, whatever the reason. */
uint64_t mt_service_local_replies(const struct mt_service_stats *st);

/* mt_hist.h: microseconds up to 537 s, within 3 %; bytes up to 16 MiB by powers of two. */
#define MT_LATENCY_BITS	   4
#define MT_LATENCY_TOP	   29
#define MT_LATENCY_BUCKETS MT_HIST_BUCKETS(MT_LATENCY_BITS, MT_LATENCY_TOP)
#define MT_SIZE_BITS	   0
#define MT_SIZE_TOP	   24
#define MT_SIZE_BUCKETS	   (MT_HIST_BUCKETS(MT_SIZE_BITS, MT_SIZE_TOP) + 1)

/* Per service, by mt_service.index. Nothing but counters. */
struct mt_service_hist {
	uint64_t latency[MT_LATENCY_BUCKETS]; /* from a request's last byte to its reply's */
	/* Bytes less one, so that bucket b holds what is longer than 2^(b - 1) and not than 2^b. */
	uint64_t request[MT_SIZE_BUCKETS], reply[MT_SIZE_BUCKETS];
};
const struct mt_service_hist *mt_proxy_service_hist(const struct mt_proxy *p, uint32_t index);

/* Of a service (mt_service.index), for mt_exemplar_read(); NULL: there is none of that index. */
const struct mt_exemplars *mt_proxy_exemplars(const struct mt_proxy *p, uint32_t index);
#define MT_EXEMPLAR_MS 1 /* unless told */
/* At most one call in `ms` becomes one; 0: none does. Between turns. */
void mt_proxy_set_sampling(struct mt_proxy *p, uint32_t ms);
uint32_t mt_proxy_sampling(const struct mt_proxy *p);

/* Per endpoint, by mt_ep_state.index. Nothing but counters. */
struct mt_ep_stats {
	uint64_t requests, conns_opened, conns_active, outstanding;
	uint64_t failures;	 /* failed connects, reset connections, calls lost or timed out */
	uint64_t connect_failed; /* of these */
	uint64_t streams;	 /* of conns_active: those of byte streams */
	uint64_t
		id; /* whose (mt_ep_state.id) requests, failures, connect_failed and conns_opened these are; the others are of now */
};
const struct mt_ep_stats *mt_proxy_ep_stats(const struct mt_proxy *p, uint32_t index);

/* How calls given to an endpoint ended. Neither: one-way calls, and those whose client left. */
struct mt_ep_answers {
	uint64_t ok; /* replies without an error */
	uint64_t
		errors; /* error replies; calls lost, timed out, or whose connection did not open */
};

/*
 * How an endpoint answered. `latency` is a histogram of microseconds up to 33 s, within 13 %. There
 * may be hundreds of thousands of endpoints, so its counters are small: when one is full, all are
 * halved, so that older calls count less.
 */
#define MT_EP_LATENCY_BITS    2
#define MT_EP_LATENCY_BUCKETS MT_HIST_BUCKETS(MT_EP_LATENCY_BITS, 25)
struct mt_ep_hist {
	uint64_t ep_id; /* whose (mt_ep_state.id): the place may serve another one later */
	struct mt_ep_answers answers;
	uint16_t latency[MT_EP_LATENCY_BUCKETS];
};
const struct mt_ep_hist *mt_proxy_ep_hist(const struct mt_proxy *p, uint32_t index);

/* Calls, connections and byte streams that were refused because of the object; of one without a place: of all such. */
struct mt_closer;
uint64_t mt_proxy_closed_by(const struct mt_proxy *p, const struct mt_closer *by);

/* Calls that a route was chosen for, by mt_route_action.index. */
uint64_t mt_proxy_route_hits(const struct mt_proxy *p, uint32_t index);

/*
 * What a client's connection with `calls` calls and one to a server take here, without lib/tcp's part and the bytes
 * of the calls. A byte stream takes less.
 */
uint32_t mt_proxy_pair_bytes(uint32_t calls);
/* The proxy's slabs, for `show memory`; returns how many were written to slabs[]. */
uint32_t mt_proxy_slabs(const struct mt_proxy *p, const struct mt_slab **slabs, uint32_t max);
