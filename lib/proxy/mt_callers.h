/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callers: the workload of a client, for metrics. lib/conf writes one table for all snapshots, so
 * that a publish costs what it changes; workers read it when a client connects.
 *
 * Invariants:
 * - A key is a keyed hash of an address, of a service account or of a namespace. A place is among
 *   the MT_CALLER_PROBES that follow its hash, and no free place is before it.
 * - `turn` is odd while a place changes. A reader that meets a change takes the caller as unknown.
 */
#pragma once

#include "mt_addr.h"
#include "mt_secret_hash.h"

#define MT_CALLER_PLACES (1u << 17)
#define MT_CALLER_PROBES 64u
#define MT_CALLERS_MAX	 (MT_CALLER_PLACES / 2)
#define MT_CALLER_GONE	 1u

struct mt_caller_place {
	uint64_t key;	  /* 0: free; MT_CALLER_GONE: given up, others may follow */
	uint64_t id;	  /* mt_peer_id() of the workload; 0: unknown, or several have the key */
	uint64_t account; /* of an address: mt_caller_account() of its workload; 0: unknown */
	uint32_t turn;
	/* Control thread only: number of claims, their rank in lib/conf, and if several differ. */
	uint32_t refs : 29, rank : 2, several : 1;
};

struct mt_caller_table {
	uint32_t n;    /* places with a key; ctl: w, worker: r (atomic) */
	uint32_t used; /* control thread only: those and the ones given up */
	struct mt_caller_place places[MT_CALLER_PLACES];
};

static inline uint64_t mt_caller_key(uint64_t hash)
{
	return hash > MT_CALLER_GONE ? hash : hash + 2;
}

static inline uint64_t mt_caller_address(const struct mt_addr *a)
{
	return mt_caller_key(mt_secret_hash(a->q, sizeof(a->q), 1));
}

static inline uint64_t mt_caller_namespace(const char *ns, size_t len)
{
	return mt_caller_key(mt_secret_hash(ns, len, 2));
}

/* A service account of a namespace. */
static inline uint64_t mt_caller_account(
	const char *ns, size_t ns_len, const char *account, size_t len)
{
	return mt_caller_key(mt_secret_hash(account, len, mt_secret_hash(ns, ns_len, 3)));
}

/*
 * mt_peer_id() is odd. The id of a client that has a certificate of the mesh is even, so that its
 * calls are counted apart from those of its workload in clear text. MT_CALLER_NOBODY: its workload
 * is unknown.
 */
#define MT_CALLER_CLEAR	 1u
#define MT_CALLER_NOBODY 2u

struct mt_caller {
	uint64_t id, account; /* as in the place; 0: unknown */
};

static inline bool mt_callers_are_known(const struct mt_caller_table *t)
{
	return __atomic_load_n(&t->n, __ATOMIC_RELAXED) != 0;
}

/* Any thread. */
struct mt_caller mt_caller_find(const struct mt_caller_table *t, uint64_t key);

struct mt_proxy;
struct mt_stream;
/*
 * mt_peer_id() of the workload of the client of stream `s`, or of those labels of it that are known
 * (client/caller.c), even for one with a certificate. 0: unknown. Worker.
 */
uint64_t mt_caller_of(const struct mt_proxy *p, const struct mt_stream *s);

/* ---- lib/conf only, on the control thread ---------------------------------------------------- */

/* The place of a key; `add`: a new one if it has none. NULL: there is none, or no room. */
struct mt_caller_place *mt_caller_place(struct mt_caller_table *t, uint64_t key, bool add);
void mt_caller_set(struct mt_caller_place *p, uint64_t id, uint64_t account);
void mt_caller_give_up(struct mt_caller_table *t, struct mt_caller_place *p);
