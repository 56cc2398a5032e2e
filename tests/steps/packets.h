/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/net and lib/tcp over a port, with one established connection, and what their work is held to. Packets and time that passes
 * pay for steps; what was taken beyond that may at no time be more than STEPS_AHEAD, and STEPS_BUFFER for each buffer that the
 * application has queued: in any stretch of turns the work is linear in what came, however the peer chose it.
 */
#pragma once

#include "../unit/net/fixture.h"
#include "mt_tcp_priv.h"
#include "steps.h"

/*
 * A packet with all that it makes lib/tcp do, the turn's flush included: two walks over the buffers that an ACK pays for
 * (MT_TCP_WALK_ACK), the ranges that are out of order (MT_TCP_OOO_RANGES, looked at for each SACK block of the answer), those of
 * the scoreboard, a segment or two that leave; and its bytes, whose checksum may be the processor's to sum.
 */
#define STEPS_PACKET	  6000u
#define STEPS_PACKET_BYTE 8u
/* A millisecond: timers, and walks that were put off until then (1,024 buffers). */
#define STEPS_MS 60000u
/* What is saved up for walks (MT_TCP_WALK_MAX buffers). */
#define STEPS_AHEAD 60000u
/* A buffer that the application queued: it is sent, maybe twice, looked at, acknowledged. */
#define STEPS_BUFFER 300u

struct packets {
	struct fx f;
	struct mt_tcp *tcp;
	struct mt_stream *s; /* the connection; NULL: it has ended */
	bool reads;
	bool counting;
	uint16_t burst; /* packets of a turn */
	uint16_t n;	/* that wait for it */
	struct rte_mbuf *rx[32];
	uint64_t bytes,
		steps; /* of packets, of buffers that the application gave (64 at least), and for time */
	int64_t ahead;	  /* steps that were not paid for */
	uint32_t buffers; /* that the application queued */
	struct steps_worst worst;
};

/* The connection as it is at the begin. */
struct packets_conf {
	bool v6, ts, sack, wscale;
	uint32_t queued, piece; /* buffers that are in flight, and the bytes of each */
};

void packets_up(struct packets *w, struct mt_pools *pools, const struct packets_conf *conf);
void packets_down(struct packets *w);

/* A segment of the peer's. */
struct packets_seg {
	uint16_t port, wnd, len;
	uint8_t flags, n_opts;
	uint32_t seq, ack;
	uint8_t opts[40]; /* n_opts of them, a multiple of four */
};
void packets_send(struct packets *w, const struct packets_conf *conf, const struct packets_seg *s);
/* A frame; its checksums are made right. */
void packets_raw(struct packets *w, const uint8_t *bytes, uint16_t len);
/* The turn in which packets come that wait. */
void packets_turn(struct packets *w);
void packets_pass(struct packets *w, uint32_t ms);
void packets_write(struct packets *w, uint32_t buffers, uint32_t piece);
void packets_read(struct packets *w, bool on);
/* NULL: it has ended. */
struct mt_tcp_conn *packets_conn(struct packets *w);
