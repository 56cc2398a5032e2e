/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/l4: limits (mt_l4_limit.h). A bucket is one word, the moment at which it is full again
 * (GCRA, ITU-T I.371), in units of 2^-10 ns. A packet moves it by the time in which its cost flows
 * in, and exceeds the limit if it would be further ahead than the bucket's depth. So a bucket that
 * is not used needs no update, and a change of its rate no conversion.
 */
#pragma once

#include "mt_l4_types.h"

#include <stdbool.h>

/* New connections, packets and bytes, in the order of enum mt_l4_limit. */
#define L4_KINDS 3

#define L4_UNIT_SHIFT 10
#define L4_UNITS(ns)  ((uint64_t)(ns) << L4_UNIT_SHIFT)
/*
 * No bucket is full later than this; a word that is further ahead is one of the past, half a round
 * of 208 days ago.
 */
#define L4_AHEAD_MAX L4_UNITS(1100 * MT_SEC)

/* Limits of a service, compiled; times in units of 2^-10 ns. Without a rate: 0, and no depth. */
struct l4_limits {
	uint64_t source[L4_KINDS]; /* the time in which one token flows in */
	uint64_t source_depth[L4_KINDS];
	uint64_t service[L4_KINDS];
	uint64_t service_depth[L4_KINDS];
	uint64_t lease[L4_KINDS]; /* taken by a worker at once; 0: each token alone */
	bool by_source[2];	  /* a packet needs the source's buckets: of a flow, of a new one */
	uint32_t connections;	  /* 0: any number */
};

#define L4_WAYS 8

/* Buckets of sources with one hash (limit.c). */
struct l4_source_set {
	uint32_t keys[L4_WAYS]; /* by the source and the service */
	uint64_t unused[4];
	uint64_t full_at[L4_WAYS][L4_KINDS];
} mt_cache_aligned;

_Static_assert(sizeof(struct l4_source_set) == 4 * MT_CACHE_LINE, "four cache lines");

#define L4_SOURCE_SETS 8192u /* of each worker: 65,536 sources, 2 MiB; a power of two */

/* A worker's part of a service's buckets. */
struct l4_lease {
	uint64_t left[L4_KINDS];  /* leased, not spent */
	uint64_t retry[L4_KINDS]; /* ns: when to look again after the bucket was empty */
} mt_cache_aligned;

struct l4_limits_own {
	struct mt_l4_limiter *shared;
	struct l4_lease *leases; /* [MT_L4_SERVICES_MAX]; memory is touched as it is used */
	struct l4_source_set *sources;
	uint64_t (*limited)[MT_L4_LIMITS]; /* [MT_L4_SERVICES_MAX] */
};

/* Words of a service that all workers write: two lines, because connections end at any time. */
struct l4_shared {
	uint64_t full_at[L4_KINDS] mt_cache_aligned;
	uint32_t connections mt_cache_aligned;
};

struct mt_l4_limiter {
	uint16_t workers;
	struct l4_shared *services; /* [MT_L4_SERVICES_MAX] */
};

struct l4_pkt;
struct rte_mbuf;

/* limit_make.c: *out: the limits by service; NULL: none has any. 0 or -ENOMEM. */
int l4_limits_make(const struct mt_l4_conf *c, struct l4_limits ***out);
void l4_limits_free(struct l4_limits **limits);
/* A worker's part. 0 or -ENOMEM. */
int l4_limits_init(struct mt_l4 *l, struct mt_l4_limiter *shared);
void l4_limits_fini(struct mt_l4 *l);
/* Another service has the id now: what was refused of the one before is forgotten. */
void l4_limits_forget(struct mt_l4 *l, uint32_t service);

/* limit.c: notes the source of the packet, and reads its buckets ahead. */
void l4_limit_prefetch(struct mt_l4 *l, struct l4_pkt *p);
/*
 * True if a client's packet of a flow is within the limits of its service, see l4_is_within();
 * otherwise it is dropped and counted.
 */
bool l4_limit(struct mt_l4 *l, struct l4_pkt *p, uint32_t idx);
/* The same of a packet that gets a flow, which begins a connection unless `rest`. */
bool l4_limit_new(struct mt_l4 *l, struct l4_pkt *p, uint32_t service, bool rest);

/* limit_connections.c: counts a connection that is to be made; false: the packet was dropped. */
bool l4_connection_begin(struct mt_l4 *l, struct rte_mbuf *m, uint32_t service);
/* The same of a flow that is to be removed and made again: it keeps its place, if it has one. */
void l4_connection_move(struct mt_l4 *l, uint32_t pair);
/* The flow of that connection; L4_NONE: it was not made. */
void l4_connection_made(struct mt_l4 *l, uint32_t service, uint32_t idx);
/* The state of a flow has changed: whether it counts as a connection. */
void l4_connection_set(struct mt_l4 *l, uint32_t pair, bool counts);
/* Lets a flow give its place back that was reset and has been silent since. */
void l4_connection_check(struct mt_l4 *l, uint32_t pair);
/* Counts a flow that was made before its service had the limit. */
void l4_connection_adopt(struct mt_l4 *l, uint32_t pair);
