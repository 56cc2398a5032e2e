/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources of key sets, and the thread that fetches them by HTTP and HTTPS over the host's own
 * network (kernel sockets, never the ports of workers). Fetches, and the lookups of their hosts,
 * do not wait for each other. A fetched set is used until another one is fetched.
 */
#pragma once

#include "mt_addr.h"
#include "mt_token.h"

#define MT_JWKS_REFRESH_S 1200 /* s between fetches, as in Istio's control plane */
#define MT_JWKS_MISSED_S  15   /* s between fetches, at least, when a key is missing */
#define MT_JWKS_BACKOFF_S                                                                          \
	64 /* s: the delay after a failure is 1 s, 2 s, 4 s, ..., and this at most */
#define MT_JWKS_TIMEOUT_MS     5000
#define MT_JWKS_TIMEOUT_MAX_MS 10000 /* limit of configured timeouts */
#define MT_JWKS_SOURCES                                                                            \
	256 /* fetched sources; the last quarter is for namespaces with less than a quarter */
/* parallel fetches; the last quarter is for namespaces with less than a quarter */
#define MT_JWKS_TRANSFERS 16

enum mt_jwks_outcome {
#define MT_OUTCOME(n, s, w) MT_JWKS_##n,
#include "jwks_outcomes.def"
#undef MT_OUTCOME
	MT_JWKS_N_OUTCOMES
};

extern const struct mt_outcome_set mt_jwks_outcomes;

struct mt_jwks_store;

/* A rule's source of keys: one of text, uri and issuer. */
struct mt_jwks_said {
	const char *
		ns; /* of the rule (NULL is ""); a fetched set counts against its first namespace */
	const char *text; /* the key set itself */
	const char *uri;  /* where the set is fetched */
	/*
	 * Issuer whose OpenID Connect Discovery document contains the URI. An issuer that is not a
	 * URL has no such document, and so no keys.
	 */
	const char *issuer;
	uint32_t timeout_ms; /* for a fetch; 0: MT_JWKS_TIMEOUT_MS */
};

/* Status of a source: a copy for reports. */
struct mt_jwks_status {
	const char *name; /* the URI without user and password, in the caller's memory */
	uint32_t keys;	  /* 0: none yet */
	uint32_t passed_over;
	uint64_t fetches, failures; /* since the source was created */
	uint32_t failed;	    /* failures since the last success */
	/* Unix time of the last success (0: never) and of the next fetch (0: at once). */
	int64_t fetched, next;
	char why[256]; /* why the last fetch failed; "" if it did not */
};

/* NULL: no memory. */
struct mt_jwks_store *mt_jwks_store_new(void);
/* Call after all sources are dropped. NULL is allowed. */
void mt_jwks_store_free(struct mt_jwks_store *s);

/*
 * Returns a reference to the source, which is created unless it exists. NULL with *e: invalid key
 * set or URI, too many sources, or no memory. Control thread.
 */
struct mt_jwks_source *mt_jwks_store_get(
	struct mt_jwks_store *s, const struct mt_jwks_said *said, struct mt_err *e);

/*
 * Starts the thread. It trusts the CAs of the host and those in the file `roots` (NULL: none).
 * `local` permits addresses of this host and of the link, too, which an author of rules must not
 * reach by default. Call once. Returns 0, or -errno with *e.
 */
int mt_jwks_store_start(struct mt_jwks_store *s, const char *roots, bool local, struct mt_err *e);
/*
 * True for loopback addresses, those of the link, and those at which clouds serve metadata and
 * secrets to the host, also if an IPv6 address contains one. Any thread.
 */
bool mt_jwks_is_listed(const struct mt_addr *a);
/* Ends the thread. */
void mt_jwks_store_stop(struct mt_jwks_store *s);

/* Status of the i-th fetched source; false if there are fewer. Any thread but a worker. */
bool mt_jwks_store_status(
	struct mt_jwks_store *s, uint32_t i, struct mt_jwks_status *out, char *name, size_t size);

/* By enum mt_jwks_outcome, for all sources, also for those that no longer exist. */
const uint64_t *mt_jwks_store_counters(const struct mt_jwks_store *s);
