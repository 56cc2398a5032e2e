/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stripped host: answers, or asks, one exchange whose bytes it knows, at a cost of at most 100 cycles a
 * packet, so that what is between two of them is what is measured. Messages are copied from a template with
 * few bytes changed, headers are written in place, checksums are made from the template's by what differs.
 *
 * It is no TCP to be used anywhere else. What it does: handshakes and closes of both kinds, windows of the
 * peer with scaling, timestamps, in-order data in segments of any cut, answers of a turn gathered into full
 * segments, one ACK a turn. What it does not do:
 *
 *	- it sends nothing a second time: no retransmission, no SACK, no congestion control, no TIME-WAIT. A
 *	  packet of its own that is lost stalls its connection; a link without loss is required
 *	- it keeps nothing that is out of order: the peer sends it again
 *	- it verifies no checksum, and of a message only the bytes before the id (and as a client the id)
 *	- IPv4 without VLAN, one neighbour, peers that offer timestamps and window scaling, messages of at most
 *	  16 KiB
 *
 * One thread owns it; packets come from and go to queue 0 of its port.
 */
#pragma once

#include "bench_message.h"
#include "mt_outcome.h"
#include "mt_port.h"
#include "mt_steer.h"

enum bench_stripped_outcome {
#define MT_OUTCOME(n, s, w) BENCH_STRIPPED_##n,
#include "stripped_outcomes.def"
#undef MT_OUTCOME
	BENCH_STRIPPED_N_OUTCOMES
};

extern const struct mt_outcome_set bench_stripped_outcomes;

/* A range of what came in that is put into the answer, in units of four bytes. */
struct bench_copy {
	uint16_t from, to, len;
};

struct bench_exchange {
	const uint8_t *in, *out; /* whole messages; the caller's until the host is destroyed */
	uint32_t in_len, out_len;
	uint32_t same; /* so many first bytes of each message are those of `in`; a multiple of 4 */
	struct bench_copy copies[2];
	uint32_t n_copies;
};

struct bench_stripped_conf {
	struct bench_exchange exchange;
	struct mt_port *port;
	struct mt_pools *pools;
	struct mt_addr address;
	uint32_t max_conns;
	/*
	 * Sent payload is held until the next turn, as a stack holds it until it is acknowledged: then a ring's
	 * receiver finds the same that it finds behind a real stack.
	 */
	bool hold;
	uint16_t listen; /* server: on this port; 0: on any. */
	/* Client: a request bears the connection's number as its id, in copies[0].to of `len` bytes. */
	bool client;
	bool once; /* closes when it was answered */
	struct mt_addr gateway;
	uint32_t outstanding;
	/* Connections are opened so that this worker of this node owns them; NULL: no matter. */
	const struct mt_steer *node;
	uint16_t worker;
	uint64_t seed;
};

struct bench_stripped;

#define BENCH_STRIPPED_MAX 16384u /* bytes of a message */

/* NULL with the reason in `e`. */
struct bench_stripped *bench_stripped_create(const struct bench_stripped_conf *c, struct mt_err *e);
void bench_stripped_destroy(struct bench_stripped *p);
/* Whether packets came. */
bool bench_stripped_turn(struct bench_stripped *p, uint64_t now);
/* Client; false: not now (the gateway is being asked for, all connections or ports are in use). */
bool bench_stripped_open(struct bench_stripped *p, const struct mt_addr *vip, uint16_t port);

/* Connections that are up, and those besides that begin or end. */
uint32_t bench_stripped_connected(const struct bench_stripped *p);
uint32_t bench_stripped_used(const struct bench_stripped *p);
/* Messages that arrived whole. */
uint64_t bench_stripped_messages(const struct bench_stripped *p);
/* BENCH_STRIPPED_N_OUTCOMES entries. */
const uint64_t *bench_stripped_counters(const struct bench_stripped *p);
/* Sum of those that should not be. */
uint64_t bench_stripped_errors(const struct bench_stripped *p);
