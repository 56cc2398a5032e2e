/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stripped host: answers, or sends, one exchange whose bytes are fixed. It costs at most 100
 * cycles a packet, so that measurements between two of them show the device under test. Messages
 * are copied from a template with few bytes changed, headers are written in place, and checksums
 * are derived from the template's.
 *
 * Its TCP is unfit for any other use. It supports handshakes and closes of both kinds, the peer's
 * window with scaling, timestamps, and in-order data in segments of any size. The answers of a loop
 * iteration are gathered into full segments, with one ACK per iteration. Its limits:
 *
 * - No retransmission, no SACK, no congestion control, no TIME-WAIT. A lost packet of this host
 *   stalls its connection, so the link must be free of loss.
 * - Out-of-order data is dropped: the peer sends it again.
 * - Checksums are not verified. Of a message only the bytes before the id are checked, and as a
 *   client also the id.
 * - IPv4 without VLAN, one neighbour, peers that offer timestamps and window scaling, messages of
 *   at most 16 KiB.
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

/* A range of the received message that is copied into the answer, in units of four bytes. */
struct bench_copy {
	uint16_t from, to, len;
};

struct bench_exchange {
	/* whole messages; owned by the caller, who keeps them until the host is destroyed */
	const uint8_t *in, *out;
	uint32_t in_len, out_len;
	/* number of bytes at the start of each message that equal `in`; a multiple of 4 */
	uint32_t same;
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
	 * Holds sent payload until the next loop iteration, as a real stack holds it until it is
	 * acknowledged. So a ring's receiver sees the same buffer references as with a real stack.
	 */
	bool hold;
	uint16_t listen; /* server: on this port; 0: on any. */
	/*
	 * Client: a request has the connection's number as its id, in copies[0].to of `len` bytes.
	 */
	bool client;
	bool once; /* closes after the answer */
	struct mt_addr gateway;
	uint32_t outstanding;
	/* Opens connections so that this worker of this node owns them; NULL: no restriction. */
	const struct mt_steer *node;
	uint16_t worker;
	uint64_t seed;
};

struct bench_stripped;

#define BENCH_STRIPPED_MAX 16384u /* bytes of a message */

/* Returns NULL with the reason in `e`. */
struct bench_stripped *bench_stripped_create(const struct bench_stripped_conf *c, struct mt_err *e);
void bench_stripped_destroy(struct bench_stripped *p);
/* Runs one loop iteration; true if packets were received. */
bool bench_stripped_turn(struct bench_stripped *p, uint64_t now);
/*
 * Client: opens a connection. False: not now (gateway not resolved yet, or all connections or ports
 * in use).
 */
bool bench_stripped_open(struct bench_stripped *p, const struct mt_addr *vip, uint16_t port);

/* Connections that are up; and all connections including those that open or close. */
uint32_t bench_stripped_connected(const struct bench_stripped *p);
uint32_t bench_stripped_used(const struct bench_stripped *p);
/* Number of complete messages received. */
uint64_t bench_stripped_messages(const struct bench_stripped *p);
/* BENCH_STRIPPED_N_OUTCOMES entries. */
const uint64_t *bench_stripped_counters(const struct bench_stripped *p);
/* Sum of the counters that indicate errors. */
uint64_t bench_stripped_errors(const struct bench_stripped *p);
