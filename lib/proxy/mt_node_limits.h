/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits that documents set for the whole node, and of which workers take single units: connections
 * to a cluster's endpoints, and calls that wait for one (connectionPool of a DestinationRule). A
 * worker takes a unit before it opens a connection or queues a call, and returns it at the end.
 *
 * A unit is free, in use, or kept. The shared word of a limit counts the units that are not free.
 * A worker keeps a few units that it has returned, in a word of its own, and takes these first. So
 * connections and calls that come and go at a steady number change no shared line. If no unit is
 * free, a worker takes one that another worker keeps.
 * - At most `max` units are in use, whatever the number of workers, and none is refused while
 *   fewer are. Exceptions are units that were forced (mt_units_set()), and a limit that was
 *   lowered.
 * - A returned unit wakes no worker. A worker that waits for one checks again (mt_units_left()).
 * - Workers write the shared word when they take more units than they keep, or return more than
 *   they may keep (1/8 of max / workers; none at the limit), and for each unit if max is below 8
 *   for each worker. A refusal writes nothing, unless more than `max` units are taken.
 * - Limits are in snapshots, so the caller passes `max`, and workers need not agree on a change.
 *   Accounts are by cluster index, which belongs to the cluster's name in all snapshots.
 *
 * Without limits, no function writes anything.
 */
#pragma once

#include "mt_upstream.h"

enum mt_node_limit {
	MT_NODE_CONNS,	 /* connections to the cluster's endpoints */
	MT_NODE_PENDING, /* calls that wait for a connection */
	MT_NODE_LIMITS
};

/* A worker's units of one limit of one cluster. */
struct mt_units_own {
	uint32_t used; /* in use; only the worker writes it */
	uint32_t kept; /* returned; atomic, because other workers take from it */
};

struct mt_units_of_cluster {
	struct mt_units_own of[MT_NODE_LIMITS];
};

/* The accounts of all clusters. */
struct mt_node_limits {
	uint16_t workers;
	struct mt_units_shared *shared; /* by cluster index; written by all workers */
	/* [workers][MT_UPSTREAM_CLUSTERS_MAX]: each worker has pages of its own */
	struct mt_units_of_cluster *own;
};

/* Makes the accounts for `workers` workers; the caller frees them. NULL: no memory. Boot only. */
struct mt_node_limits *mt_node_limits_new(uint16_t workers);
/* Frees the accounts after the last worker has ended; NULL is allowed. */
void mt_node_limits_free(struct mt_node_limits *l);

/* One worker's view of one limit of one cluster. */
struct mt_units {
	struct mt_node_limits *limits;
	uint32_t cluster; /* its index */
	uint16_t worker;
	uint16_t limit; /* enum mt_node_limit */
};

/* A worker's view of a limit: a value, valid as long as `l`. */
static inline struct mt_units mt_units_of(
	struct mt_node_limits *l, uint16_t worker, uint32_t cluster, enum mt_node_limit limit)
{
	return (struct mt_units){
		.limits = l, .cluster = cluster, .worker = worker, .limit = (uint16_t)limit};
}

/* The worker's own units; another thread may read them only if the worker does not run. */
static inline struct mt_units_own *mt_units_own(struct mt_units u)
{
	size_t at = (size_t)u.worker * MT_UPSTREAM_CLUSTERS_MAX + u.cluster;

	return &u.limits->own[at].of[u.limit];
}

/* Takes a unit; false: `max` are in use by all workers together. The worker only. */
bool mt_units_take(struct mt_units u, uint32_t max);
/* True if a unit is left: mt_units_take() may succeed. Changes nothing. */
bool mt_units_left(struct mt_units u, uint32_t max);
/* True if more than `max` units are taken, because some were forced or the limit became lower. */
bool mt_units_over(struct mt_units u, uint32_t max);

/* The part of mt_units_set() for a number that changes. */
void mt_units_settle(struct mt_units u, uint32_t n, uint32_t max);
/*
 * Makes n the number of units that the worker uses: returns the others, or forces those that are
 * missing, also beyond `max`. Without a limit (max 0) no unit is forced, so connections and calls
 * that begin without a limit are counted once there is one. The worker only.
 */
static inline void mt_units_set(struct mt_units u, uint32_t n, uint32_t max)
{
	uint32_t used = mt_units_own(u)->used;

	if (mt_unlikely(used > n || (max && used < n)))
		mt_units_settle(u, n, max);
}

/* Notes that this worker needs a unit and got none; `now` is monotonic ns. */
void mt_units_want(struct mt_units u, uint64_t now);
/* True if a worker needed a unit within the last two seconds and got none. */
bool mt_units_wanted(struct mt_units u, uint64_t now);
/* Units that each worker has if all use the same number; at least 1. */
uint32_t mt_units_even(struct mt_units u, uint32_t max);
/* As mt_units_even(), but rounded down: the shares of all workers together are at most `max`. */
static inline uint32_t mt_units_share(struct mt_units u, uint32_t max)
{
	return max / u.limits->workers;
}
/* ns: how long one of the max % workers remaining units is a worker's, then the next worker's. */
#define MT_UNITS_TURN MT_SEC
/*
 * Returns the worker's share, plus 1 while it is the worker's turn to have one of the remaining
 * units. So each worker has a unit at times, even if there are fewer units than workers.
 */
static inline uint32_t mt_units_turn(struct mt_units u, uint32_t max, uint64_t now)
{
	uint32_t n = u.limits->workers;

	return max / n + ((now / MT_UNITS_TURN + u.worker) % n < max % n);
}
