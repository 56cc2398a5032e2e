/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where sets of keys are from, and the thread that fetches them: by HTTP and HTTPS out of the machine's own network (the kernel's
 * sockets, never the ports of workers). A set that was fetched is used until another one is.
 */
#pragma once

#include "mt_token.h"

#define MT_JWKS_REFRESH_S 1200 /* as Istio's control plane does */
#define MT_JWKS_MISSED_S  15   /* a key that is missing is looked for so early at the earliest */
#define MT_JWKS_BACKOFF_S                                                                          \
	64 /* from one failure to the next attempt: 1 s, 2 s, 4 s, and so long at most */
#define MT_JWKS_TIMEOUT_MS     5000
#define MT_JWKS_TIMEOUT_MAX_MS 10000 /* a longer one counts as this */
#define MT_JWKS_SOURCES                                                                            \
	256 /* fetched ones; the last quarter is for namespaces that have less than a quarter */
#define MT_JWKS_TRANSFERS 16 /* at once; the last quarter likewise */

enum mt_jwks_outcome {
#define MT_OUTCOME(n, s, w) MT_JWKS_##n,
#include "jwks_outcomes.def"
#undef MT_OUTCOME
	MT_JWKS_N_OUTCOMES
};

extern const struct mt_outcome_set mt_jwks_outcomes;

struct mt_jwks_store;

/* What a rule says of its keys: one of text, uri and issuer. */
struct mt_jwks_said {
	const char *
		ns; /* of the rule; a fetched set counts against the namespace that named it first. NULL: "" */
	const char *text; /* the set itself */
	const char *uri;  /* where it is */
	/* Whose OpenID Connect Discovery document says where it is; who is no URL has none, and so no keys. */
	const char *issuer;
	uint32_t timeout_ms; /* of a fetch; 0: MT_JWKS_TIMEOUT_MS */
};

/* A plain copy, for who tells. */
struct mt_jwks_status {
	const char *name; /* the uri without who asks, in the caller's memory */
	uint32_t keys;	  /* 0: there are none yet */
	uint32_t passed_over;
	uint64_t fetches, failures; /* since it is known */
	uint32_t failed;	    /* in a row, the last ones */
	int64_t fetched, next;	    /* seconds since 1970; 0: never, or just now */
	char why[256];		    /* how the last fetch failed; "": it did not */
};

/* NULL: no memory. */
struct mt_jwks_store *mt_jwks_store_new(void);
/* When no source is held any more. NULL is allowed. */
void mt_jwks_store_free(struct mt_jwks_store *s);

/* Held. NULL with *e: no such set, no such uri, too many, or no memory. Control thread. */
struct mt_jwks_source *mt_jwks_store_get(
	struct mt_jwks_store *s, const struct mt_jwks_said *said, struct mt_err *e);

/*
 * Begins to fetch, trusting the machine's authorities and those in the file `roots` (NULL: none). `local`: also from addresses of the
 * loopback and of the link, which are out of reach for who only writes a rule. Once. 0 or -errno with *e.
 */
int mt_jwks_store_start(struct mt_jwks_store *s, const char *roots, bool local, struct mt_err *e);
/* Ends the thread. */
void mt_jwks_store_stop(struct mt_jwks_store *s);

/* Of the i-th source that is fetched; false: there are fewer. Any thread but a worker. */
bool mt_jwks_store_status(
	struct mt_jwks_store *s, uint32_t i, struct mt_jwks_status *out, char *name, size_t size);

/* By enum mt_jwks_outcome, of all sources, also of those that are gone. */
const uint64_t *mt_jwks_store_counters(const struct mt_jwks_store *s);
