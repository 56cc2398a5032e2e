/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two rings between one worker and the control thread: one for queries to forward to other servers,
 * one for their answers. Both are bounded, with one writer and one reader each, and neither side
 * waits. The owner of a lane wakes the control thread (lib/worker/wake.c); workers poll.
 */
#pragma once

#include "mt_dns.h"

#define MT_DNS_LANE	128 /* entries of each ring */
#define MT_DNS_LANE_MAX 64  /* most queries that the control thread takes at once */

/* Opaque data of the worker that identifies the client of an answer; returned unchanged. */
struct mt_dns_where {
	uint64_t b[8];
};

struct mt_dns_asked {
	struct mt_dns_where where;
	struct mt_addr client; /* for the limit per client */
	bool datagram;
	uint16_t len;
	uint8_t msg[MT_DNS_QUERY_MAX];
};

struct mt_dns_told {
	struct mt_dns_where where;
	uint32_t len;
	const uint8_t *msg; /* owned by the control thread; valid until mt_dns_lane_heard() */
};

struct mt_dns_lane;

struct mt_dns_lane *mt_dns_lane_new(void);
void mt_dns_lane_free(struct mt_dns_lane *l);

/* ---- worker ---- */

/* Queues a query to forward. False: the ring is full, or the message too long. */
bool mt_dns_lane_ask(struct mt_dns_lane *l, const struct mt_dns_where *where,
	const struct mt_addr *client, bool datagram, const uint8_t *msg, uint32_t len);
/* Number of queries that were ever queued, modulo 2^32. */
uint32_t mt_dns_lane_asks(const struct mt_dns_lane *l);
/* The next answer, which stays in the ring until mt_dns_lane_heard(); NULL: none. */
const struct mt_dns_told *mt_dns_lane_hear(struct mt_dns_lane *l);
void mt_dns_lane_heard(struct mt_dns_lane *l);
/* True if there is an answer; workers poll this in each loop iteration. */
bool mt_dns_lane_has_answer(const struct mt_dns_lane *l);

/* ---- control thread ---- */

/* The next query, which stays in the ring until mt_dns_lane_taken(); NULL: none. */
const struct mt_dns_asked *mt_dns_lane_take(struct mt_dns_lane *l);
void mt_dns_lane_taken(struct mt_dns_lane *l);
/* Queues a copy of an answer. False: no memory, or the ring is full. */
bool mt_dns_lane_tell(
	struct mt_dns_lane *l, const struct mt_dns_where *where, const uint8_t *msg, uint32_t len);
