/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of forwarded services: rates of one source (an IPv4 address, or the /64 of an IPv6
 * address), and rates and connections of all of them. Only packets from clients count. One beyond a
 * limit is dropped without an answer and counted; TCP repeats it later.
 *
 * - Rates are those of buckets, which are full at first and hold a second of their rate. In each
 *   span of T seconds a rate of N admits at most N * (T + 1) units. A bucket of bytes holds at
 *   least 65,535, so that each packet fits.
 * - Rates of a service are exact, whatever the number of workers: a worker leases 1/64 s of the
 *   rate, divided by their number, from a word that all share, and spends it alone.
 * - Workers share nothing of a source. Of W workers each admits 1/W of its rate, at least one unit
 *   at once.
 * - New connections are flows that begin, of TCP by a SYN. Packets of a flow never count as one,
 *   but a SYN does on the ports of a flow that was established, closed or reset before.
 * - `connections` counts the service's flows of all workers, except TCP flows that are closed,
 *   reset by the server before it has sent data or after its FIN was acknowledged, or silent for
 *   10 s since another reset. It is exact. One-way modes have no such limit, because there packets
 *   pass without flows.
 * - A change of limits keeps flows, and buckets as full as they are. Flows that a new limit of
 *   connections finds are counted within two seconds.
 */
#pragma once

#include <stdint.h>

enum mt_l4_limit {
	MT_L4_SOURCE_NEW_CONNECTIONS, /* a second, and the next five */
	MT_L4_SOURCE_PACKETS,
	MT_L4_SOURCE_BYTES, /* of IP packets */
	MT_L4_SERVICE_NEW_CONNECTIONS,
	MT_L4_SERVICE_PACKETS,
	MT_L4_SERVICE_BYTES,
	MT_L4_SERVICE_CONNECTIONS, /* at once */
	MT_L4_LIMITS
};

/* "perSource.newConnections", ... "service.connections", as in the Node. */
extern const char *const mt_l4_limit_names[MT_L4_LIMITS];

/* The least rate of bytes. */
#define MT_L4_BYTES_MIN 10000u

struct mt_l4_limits_conf {
	uint32_t max[MT_L4_LIMITS]; /* 0: no limit; bytes: at least MT_L4_BYTES_MIN */
};

struct mt_l4;

/* State of limits that all workers share. */
struct mt_l4_limiter;

/* NULL: no memory. Boot only. */
struct mt_l4_limiter *mt_l4_limiter_new(uint16_t workers);
/* When no worker uses it any more; NULL is allowed. */
void mt_l4_limiter_free(struct mt_l4_limiter *s);
/* That of a worker. Any thread. */
struct mt_l4_limiter *mt_l4_limiter_of(const struct mt_l4 *l);
/* Connections of a service that a limit counts. Any thread. */
uint32_t mt_l4_limiter_connections(const struct mt_l4_limiter *s, uint32_t service);

/* Packets of a service that this worker dropped because of a limit. Any thread. */
uint64_t mt_l4_limited(const struct mt_l4 *l, uint32_t service, enum mt_l4_limit limit);
