/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The global rate limit: a service counts calls for several nodes (lib/rls). A call that matches
 * waits for its answer, as for a filter of another thread; each property of the limit is a
 * descriptor of one entry, with an empty value if the call does not have it. A limit of routes has
 * the descriptors of the first route that matches instead, as Envoy's filter for Thrift: an entry
 * without a value drops its descriptor, and a call without descriptors passes. A call that passes
 * gets the service's request_headers_to_add as metadata, as far as there is room for changes, and
 * its server's reply gets response_headers_to_add. A local reply gets none.
 *
 * - Without an answer (no connection, an error, too late for the provider's timeout, no slot left
 *   for the service) the limit's fail_open decides: the call passes, or gets the error of a limit.
 *   It gets a time-out, also with fail_open, if its own time ends first.
 * - A call that cannot be encoded gets the error of a limit, also with fail_open: texts that are
 *   not UTF-8 must not be a way past it. The same applies to opaque streams, which show no
 *   properties.
 * - A limit of streams has descriptors of fixed texts and the client's address, as Envoy's network
 *   filter. An opaque stream waits for the answer like a call, and is reset if it is over the limit.
 * - A worker's slots are shared. Calls for one service have at most three times as many as stay
 *   free: three quarters of all if others need none. Calls for all services of one namespace's
 *   limits have at most seven times as many as stay free. Calls of one client (an IPv4 address or
 *   an IPv6 /64) have at most as many as are left for the service: three eighths of all if it is
 *   alone. Its calls beyond get the error of an overload, also with fail_open: many calls must not
 *   be a way past the limit. With no slot left this applies to each client with calls that wait.
 *   Calls of others pass with fail_open, but as few as could wait: each counts as waiting for the
 *   provider's timeout, with the same shares; the rest get the error of an overload, too. A call
 *   that has left keeps its slot until the answer.
 * - A descriptor over its limit is remembered for a short time (mt_rls_over), by each worker.
 * - Calls with hits that the service has granted in advance (mt_rls_grants.h) pass without a query,
 *   and so without its headers. They are refused if a quota is used up.
 * - Refusals over a limit are counted by rule: "DOMAIN: KEY, KEY" of the first descriptor over its
 *   limit, or "DOMAIN" if the service does not name it.
 */
#pragma once

#include "mt_callout.h"
#include "mt_filter_inbox.h"
#include "mt_filter_tally.h"
#include "mt_route.h"

extern const struct mt_filter mt_filter_global_ratelimit;

struct mt_global_property {
	const char *property; /* key of the call's metadata */
	const char *key;      /* of the descriptor's entry */
};

/* Where the value of an entry comes from. */
enum mt_global_source {
	MT_GLOBAL_PROPERTY, /* metadata; "" for a call without them */
	MT_GLOBAL_METADATA,
	MT_GLOBAL_METHOD,  /* the method, after the service and a colon if the call has a service */
	MT_GLOBAL_ADDRESS, /* of the client */
	MT_GLOBAL_TEXT,
};

struct mt_global_entry_def {
	enum mt_global_source source;
	const char *key;
	const char *from; /* key of the metadata, or the text; else NULL */
	/* The entry is there for calls that match, or with `unless` for the others. */
	const struct mt_matcher_def *match;
	uint32_t n_match;
	bool unless;
};

struct mt_global_descriptor_def {
	const struct mt_global_entry_def *entries;
	uint32_t n; /* MT_RLS_ENTRIES at most */
};

/* A route with its descriptors, MT_RLS_DESCRIPTORS at most; none: its calls are not limited. */
struct mt_global_route_def {
	const struct mt_matcher_def *match;
	uint32_t n_match;
	const struct mt_global_descriptor_def *descriptors;
	uint32_t n;
};

struct mt_global_def {
	const char *domain;
	struct mt_callout_provider *provider; /* the conf takes a reference; NULL: no answer */
	bool fail_open;			      /* as the provider's */
	const struct mt_matcher_def *match;   /* none: every call */
	uint32_t n_match;
	const struct mt_global_property *properties;
	uint32_t n_properties; /* MT_RLS_DESCRIPTORS at most */
	/* They replace `properties`; the first that matches counts. */
	const struct mt_global_route_def *routes;
	uint32_t n_routes; /* 0: none */
	/* Of a limit of streams: MT_GLOBAL_TEXT and MT_GLOBAL_ADDRESS. They replace both. */
	const struct mt_global_descriptor_def *fixed;
	uint32_t n_fixed;		   /* 0: none; MT_RLS_DESCRIPTORS at most */
	struct mt_tally_registry *tallies; /* counts refusals; NULL: nothing does */
	const char *limited;		   /* host and port: part of the counts' identity */
};

/* Makes the conf of a filter of type "global_ratelimit". NULL with the reason in errbuf. */
void *mt_global_compile(
	const struct mt_codec *codec, const struct mt_global_def *def, char *errbuf, size_t errlen);

struct mt_rls_grants;
/*
 * Boot, after the worker has its inbox: its calls use this lane. False: no memory. Without a lane
 * no call gets an answer. `grants`: quotas and leases of all workers, which must outlive the last
 * call; NULL: each call needs a query.
 */
bool mt_global_attach(
	struct mt_filter_worker *fw, struct mt_callout_lane *lane, struct mt_rls_grants *grants);
/* Call when the worker does not run any more. */
void mt_global_detach(struct mt_filter_worker *fw);
/*
 * Worker: passes answers to resume() until it returns false; the inbox is then marked, so that the
 * worker comes back for the rest. Call it after mt_filter_inbox_take(), which removes that mark; an
 * answer that arrives in between would otherwise wait for the next event. Returns the number of
 * answers.
 */
uint32_t mt_global_take(struct mt_filter_worker *fw, uint64_t now,
	bool (*resume)(void *arg, const struct mt_filter_resume *r), void *arg);
