/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/forward: packets that the node forwards as a router. The library knows prefixes, next hops
 * and bytes; it has no ports, neighbours, clocks or counters, which belong to its caller. Nothing
 * calls it yet.
 *
 * This header: the table of routes. Destination prefixes of both families each have up to
 * MT_FWD_HOPS_MAX next hops of equal cost, or none if the destinations are unreachable.
 *
 * - The control thread builds a table from all routes and guests, and replaces the one in a slot as
 *   a whole. If the new table is refused, or there is no memory, the old one stays.
 * - Workers look up without a lock or an allocation, in one or two reads of memory for IPv4
 *   (rte_lpm), in up to 14 for IPv6 (rte_lpm6), in none for a default route alone. They report
 *   quiescence (RCU QSBR) between loop iterations.
 * - The hash of a flow selects one of several next hops by rendezvous hashing: if one leaves, only
 *   its own flows move; if one comes, only the flows that it gets. The order of the list does not
 *   count, and two nodes with the same next hops select the same one.
 *
 * Memory: 64 MB for each family that has routes other than the default route, and 1 KB for each
 * group of 256 entries, from the EAL; the number of groups is counted from the routes. The old and
 * the new table exist together for a moment.
 */
#pragma once

#include "mt_addr.h"
#include "mt_log.h"

#include <stdatomic.h>

struct rte_rcu_qsbr;

/*
 * rte_lpm compares a new route with all of the same length, so 16,384 host routes take some 0.1 s
 * of the control thread; a node has 512 guests.
 */
#define MT_FWD_ROUTES_MAX 16384 /* of one family */
/*
 * Of one family, 1 KB each. An IPv4 /24 with longer routes has one. A random IPv6 address has 13,
 * eight of them if others share its /64.
 */
#define MT_FWD_GROUPS_MAX 65536
/* Each hop of the list costs about 2 cycles. */
#define MT_FWD_HOPS_MAX 16

struct mt_fwd_hop {
	struct mt_addr via; /* the next router; all zero: the destination is on the port's link */
	uint16_t port;
	uint32_t tag; /* the caller's, such as the number of a guest */
};

struct mt_fwd_route {
	struct mt_addr to; /* bits after the prefix do not count */
	uint8_t prefix;	   /* in bits of the address family */
	uint32_t n_hops;   /* 0: packets to it are answered as unreachable */
	const struct mt_fwd_hop *hops;
};

struct mt_fwd_table;

/*
 * Builds a table of copies of these routes. Of several routes to one prefix the first one counts.
 * Returns 0; -EINVAL for a route that is not valid; -ENOSPC for too many; -ENOMEM. In each case the
 * reason is in `e`, with the route if it is due to one. `socket`: NUMA socket of the memory, or
 * SOCKET_ID_ANY. Control thread.
 */
int mt_fwd_table_new(const struct mt_fwd_route *routes, uint32_t n, int socket,
	struct mt_fwd_table **out, struct mt_err *e);
/* No worker uses it any more. NULL is allowed. */
void mt_fwd_table_free(struct mt_fwd_table *t);

/* The place from which workers read the table; all zero: there is none. */
struct mt_fwd_slot {
	_Atomic(struct mt_fwd_table *) table;
};

/* Returns the table that `t` replaces; workers use it until they are quiescent. */
struct mt_fwd_table *mt_fwd_swap(struct mt_fwd_slot *slot, struct mt_fwd_table *t);
/*
 * Builds a table, puts it into the slot, waits until no worker uses the old one, and frees that.
 * `qsbr` NULL: no worker runs. Errors are those of mt_fwd_table_new(), when nothing has changed.
 */
int mt_fwd_set(struct mt_fwd_slot *slot, const struct mt_fwd_route *routes, uint32_t n, int socket,
	struct rte_rcu_qsbr *qsbr, struct mt_err *e);

/* The present table, valid until the worker's next quiescence; NULL: none. */
static inline const struct mt_fwd_table *mt_fwd_now(struct mt_fwd_slot *slot)
{
	return atomic_load_explicit(&slot->table, memory_order_acquire);
}

enum mt_fwd_found {
	MT_FWD_HOP,
	MT_FWD_NO_ROUTE,    /* no prefix contains the destination */
	MT_FWD_UNREACHABLE, /* the longest prefix that contains it has no next hop */
};

/*
 * Finds the route to `to` with the longest prefix, and the next hop for a flow with this hash. Sets
 * *hop for MT_FWD_HOP, otherwise to NULL. `t` NULL has no routes.
 */
enum mt_fwd_found mt_fwd_find(const struct mt_fwd_table *t, const struct mt_addr *to, uint32_t flow,
	const struct mt_fwd_hop **hop);

/* Contents of a table, for the shell. */
struct mt_fwd_info {
	uint32_t routes4, routes6; /* different prefixes */
	uint32_t groups4, groups6;
	uint64_t bytes;
};

void mt_fwd_table_info(const struct mt_fwd_table *t, struct mt_fwd_info *out);
