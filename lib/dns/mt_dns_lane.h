/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between one worker and the control thread: questions that other servers must be asked go one way, what they
 * said comes back the other. Both rings are bounded, with one writer and one reader each; neither side
 * waits. Who wakes the control thread up is its owner's business (lib/worker/wake.c); workers look.
 */
#pragma once

#include "mt_dns.h"

#define MT_DNS_LANE	128 /* questions, answers */
#define MT_DNS_LANE_MAX 64  /* taken in one go */

/* Where an answer goes: the worker's own words, handed back as they were. */
struct mt_dns_where {
	uint64_t b[8];
};

struct mt_dns_asked {
	struct mt_dns_where where;
	struct mt_addr client; /* who asks, so that nobody takes all of it */
	bool datagram;
	uint16_t len;
	uint8_t msg[MT_DNS_QUERY_MAX];
};

struct mt_dns_told {
	struct mt_dns_where where;
	uint32_t len;
	const uint8_t *msg; /* the control thread's, until the slot is used again */
};

struct mt_dns_lane;

struct mt_dns_lane *mt_dns_lane_new(void);
void mt_dns_lane_free(struct mt_dns_lane *l);

/* ---- worker ---- */

/* False: the ring is full, or the message too long. */
bool mt_dns_lane_ask(struct mt_dns_lane *l, const struct mt_dns_where *where,
	const struct mt_addr *client, bool datagram, const uint8_t *msg, uint32_t len);
/* How many questions were ever put. */
uint32_t mt_dns_lane_asks(const struct mt_dns_lane *l);
/* The next answer, which stays until mt_dns_lane_heard(); NULL: none. */
const struct mt_dns_told *mt_dns_lane_hear(struct mt_dns_lane *l);
void mt_dns_lane_heard(struct mt_dns_lane *l);
/* Whether there is an answer; what a worker looks at in each turn. */
bool mt_dns_lane_has_answer(const struct mt_dns_lane *l);

/* ---- control thread ---- */

/* The next question, which stays until mt_dns_lane_taken(); NULL: none. */
const struct mt_dns_asked *mt_dns_lane_take(struct mt_dns_lane *l);
void mt_dns_lane_taken(struct mt_dns_lane *l);
/* The message is copied. False: no memory, or the ring is full. */
bool mt_dns_lane_tell(
	struct mt_dns_lane *l, const struct mt_dns_where *where, const uint8_t *msg, uint32_t len);
