/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/callout: queries of a service over gRPC, for workers. A worker fills a slot and hands it to
 * the library's thread, which sends it as a unary call and hands it back with the answer. Neither
 * waits for the other.
 *
 * A protocol (lib/extauthz, lib/rls) describes itself by an mt_callout_kind: its slots begin with
 * an mt_callout_slot, and functions encode a query and decode its answer. It has a thread of its
 * own, which is an mt_callout, and its own counters. This library knows no protocol.
 *
 * Limits: MT_CALLOUT_SLOTS queries of a worker; answers of 64 KiB. The timeout is the provider's,
 * or the query's if that is not longer.
 *
 * Invariants:
 * - Workers take no lock, allocate nothing and never wait. A worker owns a slot from
 *   mt_callout_slot() to mt_callout_ask(), and again from mt_callout_take(). Each queued slot comes
 *   back exactly once.
 * - The end of the query's own timeout is a separate failure (MT_CALLOUT_EXPIRED), because callers
 *   choose the timeouts of their calls.
 * - Queries never wait for a provider that cannot be reached: they fail when the attempt to connect
 *   fails, and at once until the next attempt.
 * - The close of a connection that has answered queries is not a failure, because servers close old
 *   connections and restart. After GOAWAY, outstanding queries stay on the connection and new ones
 *   use another (`leaves`). A query without an answer is sent once more, and Meltemi reconnects at
 *   once.
 * - The close of an idle HTTP/2 connection that came up before any query (`up_unasked`) is not a
 *   failure either. The next one is made with the next query, or after an increasing delay.
 * - A server that accepts and closes without sending SETTINGS is not a gRPC service: this is
 *   logged, and queries fail at once.
 * - Ids of providers are never reused. A provider's connection is closed a second after the last
 *   reference is released.
 */
#pragma once

#include "mt_callout_types.h"
#include "mt_log.h"

/* Why a query has no answer. */
enum mt_callout_failure {
	MT_CALLOUT_UNREACHABLE, /* no connection, a lost one, or a peer that is not the service */
	MT_CALLOUT_LATE,	/* no answer within the provider's timeout */
	MT_CALLOUT_EXPIRED,	/* no answer within the query's own timeout */
	MT_CALLOUT_REFUSED,	/* the service answered with an error */
	MT_CALLOUT_BAD_ANSWER,	/* none although the call succeeded, several, or not decodable */
	MT_CALLOUT_NO_MEMORY,	/* the query was not sent */
};

/* A protocol. The thread calls its functions. */
struct mt_callout_kind {
	const char *thread; /* name of the thread, "mt-extauthz" */
	const char *what;   /* for messages of errors: "external authorization" */
	const char *method; /* "/envoy.service.auth.v3.Authorization/Check" */
	size_t slot_size;   /* of the protocol's slot, which begins with an mt_callout_slot */
	/* Encodes the query, allocated with malloc(). NULL: no memory, or the texts do not fit. */
	uint8_t *(*pack)(const struct mt_callout_slot *s, size_t *len);
	/* Decodes the bytes of an answer into the slot. */
	void (*read)(struct mt_callout_slot *s, const uint8_t *data, size_t len);
	/* There is no answer; replaces one that was read before. */
	void (*fail)(struct mt_callout_slot *s, enum mt_callout_failure why);
	/* The slot is handed back next: counts the result. */
	void (*done)(struct mt_callout *x, const struct mt_callout_slot *s);
};

/* ---- answers --------------------------------------------------------------------------------- */

/* False for names of pseudo-headers and for "host", which are not metadata of a call. */
bool mt_callout_is_metadata(const char *name);

/* ---- providers: control thread --------------------------------------------------------------- */

struct mt_callout_conf {
	const char *name; /* "sample-ext-authz-grpc" */
	/* "host:port", "192.0.2.1:9000", "unix:/path"; tried in this order. */
	const char *const *servers;
	uint32_t n_servers;
	uint64_t timeout; /* ns for one query, including the wait for a connection */
	bool fail_open;	  /* for the protocol: what becomes of calls without an answer */
	uint64_t owner;	  /* for the protocol: equal for providers that share a part of the slots */
	/*
	 * NULL: plaintext. Otherwise `credential` is used, not PEM texts; the provider takes a
	 * reference.
	 */
	const struct mt_grpc_tls *tls;
};

/* Copies `conf` and returns the first reference. NULL: no memory. */
struct mt_callout_provider *mt_callout_provider_new(const struct mt_callout_conf *conf);
/*
 * Take and release a reference; any thread. The provider's connection is closed soon after the last
 * reference is released. NULL may be released.
 */
struct mt_callout_provider *mt_callout_hold(struct mt_callout_provider *p);
void mt_callout_drop(struct mt_callout_provider *p);

/* ---- queries: worker ------------------------------------------------------------------------- */

/* Number of free slots. */
uint32_t mt_callout_room(const struct mt_callout_lane *l);
/* A free slot; NULL if none is free. The protocol's part is as the last query left it. */
struct mt_callout_slot *mt_callout_slot(struct mt_callout_lane *l);
/*
 * Hands a filled slot to the thread, which queries the provider; wakes the thread if it sleeps.
 * `timeout`: ns left to the query; the provider's timeout may be shorter. Every slot comes back
 * exactly once, through mt_callout_take().
 */
void mt_callout_ask(struct mt_callout_slot *s, struct mt_callout_provider *p, uint64_t timeout);
/* The next answered slot; NULL if there is none. */
struct mt_callout_slot *mt_callout_take(struct mt_callout_lane *l);
/* Frees a slot that was taken, or that was not passed to mt_callout_ask(). */
void mt_callout_give_back(struct mt_callout_slot *s);

/* ---- the thread: boot ------------------------------------------------------------------------ */

/* Starts the thread in zeroed memory. Returns 0, or an error with *e set and nothing to free. */
int mt_callout_init(struct mt_callout *x, const struct mt_callout_kind *kind, uint32_t n_workers,
	struct mt_err *e);
/*
 * Ends the thread and frees its memory. Call after the workers have ended; outstanding queries are
 * dropped.
 */
void mt_callout_fini(struct mt_callout *x);
struct mt_callout_lane *mt_callout_lane(struct mt_callout *x, uint32_t worker);
/*
 * Sets the function that the thread calls, with `who`, when it has answered a query. Call it before
 * the worker's first query.
 */
void mt_callout_wake(struct mt_callout_lane *l, void (*wake)(uint64_t who), uint64_t who);
/*
 * Reports the i-th provider that was queried and has no connection now, with the reason. False if
 * there are not so many. Any thread.
 */
struct mt_callout_trouble {
	char name[128], why[200];
	bool fails_open;
};
bool mt_callout_trouble(struct mt_callout *x, uint32_t i, struct mt_callout_trouble *t);
