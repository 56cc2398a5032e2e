/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistics of lib/proxy: the worker writes, the control thread reads (account.c, waiting.c).
 * Included by mt_proxy.h.
 */
#pragma once

#include "mt_ending.h"
#include "mt_exemplar.h"
#include "mt_hist.h"
#include "mt_snapshot.h"

struct mt_proxy;

/* Counters of this worker's tokens, by enum mt_token_outcome. */
const uint64_t *mt_proxy_token_counters(const struct mt_proxy *p);
/* Counters of this worker's filters, by enum mt_filter_outcome. */
const uint64_t *mt_proxy_filter_counters(const struct mt_proxy *p);
/* Counters of this worker's load balancing, by enum mt_upstream_outcome. */
const uint64_t *mt_proxy_upstream_counters(const struct mt_proxy *p);

/* Counters of this worker's proxy, by enum mt_proxy_outcome. */
uint64_t *mt_proxy_counters(struct mt_proxy *p);

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
	/*
	 * Requests with a local reply, or dropped if they were one-way, and opaque streams that got no
	 * server, by enum mt_ending.
	 */
	uint64_t local[MT_N_ENDINGS];
	uint64_t latency_sum_us; /* of replies by servers */
};
/* By mt_service.index; NULL: index too large. Any thread. */
const struct mt_service_stats *mt_proxy_service_stats(const struct mt_proxy *p, uint32_t index);
/*
 * The mt_service.id to which the statistics at this index belong. If a service takes over an index,
 * the statistics belong to the former service until the first call of the new one. 0: none. Any
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
	 * belong. The other fields are current numbers, and count calls and connections of every
	 * endpoint that has had the index.
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
	uint64_t calls;	 /* sent completely, not one-way; no byte of their reply is forwarded yet */
	uint64_t oldest; /* when the oldest of `calls` was sent; 0: no call waits */
	/*
	 * Start of the period in which some call always waited, apart from pauses of at most
	 * MT_WAITING_PAUSE: when the period's first call was sent. After bytes from the endpoint
	 * the period starts with the oldest call that still waits. 0: none. May be set without
	 * calls, during a pause.
	 */
	uint64_t since;
	uint64_t heard; /* mt_ep_stats.heard */
	/* Opaque streams that wait now: the server got bytes and has sent none since. */
	uint64_t streams;
	/* As `since`, for opaque streams; bytes do not end the period while a stream waits. */
	uint64_t streams_since;
	/* Opaque streams that got an answer; those that the server ended without one. */
	uint64_t answered, unanswered;
};
/*
 * ns: longest pause without a waiting call that does not end the period of `since`. Clients with
 * short time-outs give up and try again a moment later, and meanwhile no call may wait.
 */
#define MT_WAITING_PAUSE (3 * MT_SEC)
/* By mt_ep_state.index and id; all 0 if the index has another endpoint. Any thread. */
struct mt_ep_waiting mt_proxy_ep_waiting(
	const struct mt_proxy *p, uint32_t index, uint64_t id, uint64_t now);

struct mt_closer;
/*
 * Number of calls, connections and opaque streams refused because of this object. For an object
 * without an index of its own it is the number for all such objects together. Any thread.
 */
uint64_t mt_proxy_closed_by(const struct mt_proxy *p, const struct mt_closer *by);

/* Number of calls for which the route was chosen, by mt_route_action.index. Any thread. */
uint64_t mt_proxy_route_hits(const struct mt_proxy *p, uint32_t index);
