/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/extauthz: external authorization over gRPC (envoy.service.auth.v3.Authorization), as a
 * protocol of lib/callout: what a call looks like in a CheckRequest, and what a CheckResponse
 * decides. lib/callout has the slots, the thread and the connections, with their limits and
 * invariants.
 *
 * Path of a query:
 * 1. lib/conf (grpc_providers.c) makes providers of MeshConfig, with TLS settings like other
 *    clients of the service, and a reference to the credential instead of its texts.
 * 2. It attaches them to compiled policies of action CLOSE (mt_authz_policy.asks). If such a policy
 *    matches, lib/authz returns MT_AUTHZ_ASK; code that does not know this value denies.
 * 3. lib/proxy (access/ext_authz*.c) fills a slot and suspends the call, as for token
 *    verification (mt_verdict_wait()).
 * 4. After the answer it evaluates the policies again, with the provider's id in mt_exchange.asked.
 *    The id and the stored token data are released when the call has passed its authorization
 *    check.
 *
 * Limits: MT_EXTAUTHZ_SLOTS queries of a worker, MT_EXTAUTHZ_BYTES of texts each; answers of 64
 * KiB, read into 512 KiB.
 *
 * Invariants:
 * - The end of the call's own timeout is a separate verdict (MT_EXTAUTHZ_EXPIRED) that denies even
 *   with failOpen, because callers choose their timeouts. An answer after the call's deadline
 *   counts the same.
 * - A provider with unchanged settings is the same object in the next snapshot, so its connection
 *   stays.
 * - The service receives names of metadata in lower case. Keys that it sets or removes apply to
 *   every spelling in the call (mt_metadata_strip()).
 * - A query is sent only if its text is UTF-8 and fits. Otherwise a caller could make the server
 *   fail, and that might let the call pass. An answer with a change that cannot be made counts as
 *   no answer.
 * - Calls of one client address may use a quarter of a worker's slots, and more while more than the
 *   last quarter is free. A slot counts for its client until it is answered, even if the client has
 *   left.
 */
#pragma once

#include "mt_addr.h"
#include "mt_callout.h"
#include "mt_outcome.h"

enum mt_extauthz_outcome {
#define MT_OUTCOME(n, s, w) MT_EXTAUTHZ_##n,
#include "extauthz_outcomes.def"
#undef MT_OUTCOME
	MT_EXTAUTHZ_N_OUTCOMES
};

extern const struct mt_outcome_set mt_extauthz_outcomes;

/* ---- providers: control thread --------------------------------------------------------------- */

struct mt_extauthz_provider;

/* Copies `conf` and returns the first reference. NULL: no memory. */
struct mt_extauthz_provider *mt_extauthz_provider_new(const struct mt_callout_conf *conf);
/* A provider of lib/callout as one of external authorization. */
struct mt_extauthz_provider *mt_extauthz_of(struct mt_callout_provider *p);
/*
 * Take and release a reference; any thread. The provider's connection is closed soon after the last
 * reference is released.
 */
struct mt_extauthz_provider *mt_extauthz_hold(struct mt_extauthz_provider *p);
void mt_extauthz_drop(struct mt_extauthz_provider *p);
/* Id of the provider: never 0, never reused in this process. */
uint32_t mt_extauthz_id(const struct mt_extauthz_provider *p);
const char *mt_extauthz_name(const struct mt_extauthz_provider *p);
bool mt_extauthz_fails_open(const struct mt_extauthz_provider *p);

/* ---- questions: worker ----------------------------------------------------------------------- */

#define MT_EXTAUTHZ_SLOTS   MT_CALLOUT_SLOTS /* outstanding queries of one worker */
#define MT_EXTAUTHZ_BYTES   8192	     /* bytes of texts: of the query, then of its answer */
#define MT_EXTAUTHZ_ENTRIES 96		     /* metadata entries in a query */
#define MT_EXTAUTHZ_CHANGES 16		     /* metadata changes in an answer */

struct mt_extauthz_text {
	uint16_t at, len; /* offset and length in `bytes` of the slot */
};

struct mt_extauthz_entry {
	struct mt_extauthz_text key, value;
};

/* A change that the service makes to the call's metadata, before other code reads the metadata. */
struct mt_extauthz_change {
	struct mt_extauthz_text key, value;
	bool remove; /* removes the key with all its values; `value` is unused */
};

enum mt_extauthz_verdict {
	MT_EXTAUTHZ_ALLOW, /* with changes */
	MT_EXTAUTHZ_DENY,
	MT_EXTAUTHZ_UNJUDGED, /* no decision, because of `why`; the provider's fail_open applies */
	/*
	 * The call's own timeout ended first. The call is denied even with fail_open, because
	 * callers choose that timeout.
	 */
	MT_EXTAUTHZ_EXPIRED,
};

/*
 * A query and its answer. The worker owns it from mt_extauthz_slot() to mt_extauthz_ask(), and
 * again from mt_extauthz_take() to mt_extauthz_give_back(). mt_extauthz_put() adds texts.
 */
struct mt_extauthz_slot {
	struct mt_callout_slot callout;
	/* The query. */
	struct mt_addr source, destination;
	uint16_t source_port, destination_port;
	struct mt_extauthz_text source_principal, destination_principal,
		service,  /* the service called, "orders.shop.svc.cluster.local" */
		protocol, /* "dubbo" */
		interface, method, sni;
	struct mt_extauthz_entry entry[MT_EXTAUTHZ_ENTRIES];
	uint32_t n_entries;
	uint64_t id;	  /* request id, for the service's log */
	uint64_t timeout; /* ns left to the call; the provider's timeout may be shorter */
	/* The provider queried, and its answer. */
	uint32_t asked; /* mt_extauthz_id() */
	bool fails_open;
	enum mt_extauthz_verdict verdict;
	enum mt_extauthz_outcome why; /* reason, and the counter that is incremented */
	struct mt_extauthz_change change[MT_EXTAUTHZ_CHANGES];
	uint32_t n_changes;
	/* Texts of the query, then of the answer. */
	uint32_t used;
	char bytes[MT_EXTAUTHZ_BYTES];
};

struct mt_extauthz_lane;

/* Number of free slots. */
uint32_t mt_extauthz_room(const struct mt_extauthz_lane *l);
/* A free slot, without texts; NULL if none is free. */
struct mt_extauthz_slot *mt_extauthz_slot(struct mt_extauthz_lane *l);
/* Copies a text into the slot. False, with no change, if it does not fit. */
bool mt_extauthz_put(
	struct mt_extauthz_slot *s, struct mt_extauthz_text *t, const void *text, size_t len);
/*
 * Hands a filled slot to the thread, which queries the provider; wakes the thread if it sleeps.
 * Every slot comes back exactly once, through mt_extauthz_take().
 */
void mt_extauthz_ask(
	struct mt_extauthz_lane *l, struct mt_extauthz_slot *s, struct mt_extauthz_provider *p);
/* The next answered slot; NULL if there is none. */
struct mt_extauthz_slot *mt_extauthz_take(struct mt_extauthz_lane *l);
/* Frees a slot that was taken, or that was not passed to mt_extauthz_ask(). */
void mt_extauthz_give_back(struct mt_extauthz_lane *l, struct mt_extauthz_slot *s);

/* Index of a slot, less than MT_EXTAUTHZ_SLOTS. */
uint32_t mt_extauthz_index(const struct mt_extauthz_lane *l, const struct mt_extauthz_slot *s);

static inline const char *mt_extauthz_text(
	const struct mt_extauthz_slot *s, struct mt_extauthz_text t)
{
	return s->bytes + t.at;
}

/* ---- the thread: boot ------------------------------------------------------------------------ */

struct mt_extauthz;

/* Starts the thread. NULL on error, with *e set. */
struct mt_extauthz *mt_extauthz_new(uint32_t n_workers, struct mt_err *e);
/*
 * Ends the thread and frees its memory. Call after the workers have ended; outstanding queries are
 * dropped. NULL is allowed.
 */
void mt_extauthz_free(struct mt_extauthz *x);
struct mt_extauthz_lane *mt_extauthz_lane(struct mt_extauthz *x, uint32_t worker);
/*
 * Sets the function that the thread calls, with `who`, when it has answered a query. Call it before
 * the worker's first query.
 */
void mt_extauthz_wake(struct mt_extauthz_lane *l, void (*wake)(uint64_t who), uint64_t who);
/* Any thread. */
uint64_t mt_extauthz_counter(const struct mt_extauthz *x, enum mt_extauthz_outcome o);
const uint64_t *mt_extauthz_counters(const struct mt_extauthz *x);
/*
 * Reports the i-th provider that was queried and has no connection now, with the reason. False if
 * there are not so many. Any thread.
 */
bool mt_extauthz_trouble(struct mt_extauthz *x, uint32_t i, struct mt_callout_trouble *t);
