/* SPDX-License-Identifier: Apache-2.0 */
/* Between source.c and fetch.c. */
#pragma once

#include "mt_jwks_store.h"
#include "mt_list.h"

#include <pthread.h>

struct mt_jwks_source {
	struct mt_list node; /* mt_jwks_store.sources; under its lock, as all but `generation` */
	struct mt_jwks_store *store;
	char *name, *uri; /* uri NULL: the set was written out */
	char *ns;	  /* whose share it takes */
	bool openid;	  /* there is the document that says where it is */
	bool missed;	  /* somebody asks for a key that it does not have */
	bool busy;	  /* it is being fetched */
	uint32_t refs, timeout_ms;
	uint64_t generation; /* any thread reads it */
	struct mt_jwks *keys;
	struct mt_jwks_status status;
};

struct mt_jwks_store {
	pthread_mutex_t lock;
	struct mt_list sources;
	uint32_t n;			       /* fetched ones */
	uint32_t n_busy;		       /* of these */
	uint64_t counters[MT_JWKS_N_OUTCOMES]; /* by who fetches */
	struct mt_jwks_fetcher *fetcher;       /* NULL: nobody fetches */
};

/* source.c: how a fetch ended, `keys` taken over (NULL: it failed, and `why`). */
void mt_jwks_source_fetched(
	struct mt_jwks_source *s, struct mt_jwks *keys, const char *why, int64_t now_s);
/*
 * The one that is due for the longest time, held and busy; NULL: none, or all MT_JWKS_TRANSFERS are taken. *next: when there will be
 * one.
 */
struct mt_jwks_source *mt_jwks_store_due(struct mt_jwks_store *s, int64_t now_s, int64_t *next);

/* fetch.c: there is something new to look at. */
void mt_jwks_fetcher_wake(struct mt_jwks_fetcher *f);
