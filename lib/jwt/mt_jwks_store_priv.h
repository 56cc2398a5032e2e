/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations shared by source.c, fetch.c, host.c and reach.c. */
#pragma once

#include "mt_addr.h"
#include "mt_jwks_store.h"
#include "mt_list.h"
#include "mt_resolve.h"
#include "mt_strmap.h"

#include <pthread.h>

struct mt_jwks_source {
	/* in mt_jwks_store.sources; its lock guards all members except `generation` */
	struct mt_list node;
	struct mt_jwks_store *store;
	char *name, *uri; /* uri NULL: the set is inline, or there is none */
	char *ns;	  /* the namespace against which it counts */
	bool openid;	  /* `uri` is the discovery document */
	bool missed;	  /* a token needs a key that the set lacks */
	bool busy;	  /* a fetch is in progress */
	uint32_t refs, timeout_ms;
	uint64_t generation; /* read by any thread */
	struct mt_jwks *keys;
	struct mt_jwks_status status;
};

struct mt_jwks_store {
	pthread_mutex_t lock;
	struct mt_list sources;
	struct mt_strmap by_name;	       /* the same */
	uint32_t n;			       /* sources that are fetched */
	uint32_t n_busy;		       /* of these, with a fetch in progress */
	uint64_t counters[MT_JWKS_N_OUTCOMES]; /* written under the lock */
	struct mt_jwks_fetcher *fetcher;       /* NULL: no thread */
};

/* source.c: records the end of a fetch; takes over `keys` (NULL: it failed, because of `why`). */
void mt_jwks_source_fetched(
	struct mt_jwks_source *s, struct mt_jwks *keys, const char *why, int64_t now_s);
/*
 * Returns the source that is overdue for the longest time, with a reference and marked busy. NULL:
 * none is due, or the limit of parallel fetches is reached. *next: when another source is due.
 */
struct mt_jwks_source *mt_jwks_store_due(struct mt_jwks_store *s, int64_t now_s, int64_t *next);

/* fetch.c: wakes the thread to check for due sources. */
void mt_jwks_fetcher_wake(struct mt_jwks_fetcher *f);

/*
 * reach.c: true for addresses that keys may only come from with spec.jwks.localAddresses: of this
 * host, of the link, and at which clouds serve metadata and secrets to the host.
 */
bool mt_jwks_is_protected(const struct mt_addr *a);

/* ---- host.c: addresses of the host of a URI -------------------------------------------------- */

#define MT_JWKS_ADDRS 32 /* that are tried for one fetch */

struct mt_jwks_host {
	struct mt_resolver *resolver; /* NULL: no lookup in progress */
	bool local;		      /* addresses of this host are permitted */
	bool done;		      /* the lookup has ended */
	bool kept_out;		      /* an address was left out */
	uint16_t port;
	uint32_t n;
	struct mt_addr addrs[MT_JWKS_ADDRS];
	char why[64]; /* why the name has no address */
};

/*
 * Starts the lookup of the URI's host; `h` stays at its place until mt_jwks_host_end(). Returns 1,
 * 0 if the URI contains an address, or -errno with *e. Until `done` the caller calls
 * mt_resolver_turn() and dispatches `fds`.
 */
int mt_jwks_host_ask(
	struct mt_jwks_host *h, struct mt_fds *fds, const char *uri, bool local, struct mt_err *e);
/* Ends the lookup; not from within mt_fds_dispatch(). */
void mt_jwks_host_end(struct mt_jwks_host *h);
/* The addresses for CURLOPT_RESOLVE, from malloc(); NULL: no memory. */
char *mt_jwks_host_entry(const struct mt_jwks_host *h);
