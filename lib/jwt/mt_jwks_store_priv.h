/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations shared by source.c, fetch.c and reach.c. */
#pragma once

#include "mt_addr.h"
#include "mt_jwks_store.h"
#include "mt_list.h"

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
