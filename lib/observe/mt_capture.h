/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capture: bytes of packets or messages, copied for pcapng while traffic flows. A capture uses a
 * tracer (mt_trace.h): the tracer's notes and traces have the names of a packet or an exchange, and
 * a worker without a tracer executes no test for captures.
 *
 * Records go through a ring (mt_byte_ring.h), one per worker. The records of a loop iteration
 * become readable at its end, when the outcome of each packet and the exchanges that it carries are
 * known. A record without space is counted; nothing waits.
 *
 * Threads: the worker writes, the control thread reads.
 */
#pragma once

#include "mt_byte_ring.h"
#include "mt_expr.h"
#include "mt_outcome.h"

struct mt_trace;
struct mt_trace_note;
struct mt_trace_journey;

/* Where the bytes were captured. */
enum mt_capture_at {
	MT_CAPTURE_RX,	      /* as a port received it */
	MT_CAPTURE_TX,	      /* as passed to a port */
	MT_CAPTURE_REQUEST,   /* a client's message, before the filters */
	MT_CAPTURE_FORWARDED, /* as sent to the endpoint, after filters and changes */
	MT_CAPTURE_REPLY,     /* as the endpoint sent it */
	MT_CAPTURE_ANSWER,    /* as sent to the client, including local replies */
	MT_CAPTURE_N_AT
};

#define MT_CAPTURE_BIT(at)  (1u << MT_CAPTURE_##at)
#define MT_CAPTURE_PACKETS  (MT_CAPTURE_BIT(RX) | MT_CAPTURE_BIT(TX))
#define MT_CAPTURE_CLIENT   (MT_CAPTURE_BIT(REQUEST) | MT_CAPTURE_BIT(ANSWER))
#define MT_CAPTURE_ENDPOINT (MT_CAPTURE_BIT(FORWARDED) | MT_CAPTURE_BIT(REPLY))

#define MT_CAPTURE_RING		MT_BYTE_RING_SIZE
#define MT_CAPTURE_SNAP		65535 /* bytes of a packet at most */
#define MT_CAPTURE_SNAP_MESSAGE 16384 /* bytes of a message at most */
#define MT_CAPTURE_EXCHANGES	4     /* recorded per packet at most */

struct mt_capture_conf {
	uint32_t what;	     /* MT_CAPTURE_BIT: either packets, or sides of messages */
	uint32_t snap;	     /* bytes kept of each, 1 to MT_CAPTURE_SNAP or _SNAP_MESSAGE */
	uint64_t count;	     /* records to take on this worker */
	struct mt_expr expr; /* for packets; messages use the tracer's */
};

/* Followed by `snap` bytes of data and `comment` bytes of text. */
struct mt_capture_rec {
	uint8_t at;    /* enum mt_capture_at */
	bool unwanted; /* the expression does not match */
	uint8_t n_exchanges;
	uint32_t len, snap;
	uint16_t comment;
	uint64_t tsc;
	const char *port;		  /* RX, TX: static */
	const struct mt_outcome *outcome; /* RX: outcome of the packet; static, may be NULL */
	uint64_t exchanges[MT_CAPTURE_EXCHANGES];
	/* messages only */
	struct mt_addr src, dst;
	uint16_t sport, dport;
};

struct mt_capture_stats {
	uint64_t taken, lost; /* records; lost: the ring was full */
};

/* Data of a message, kept until its exchange has ended. */
struct mt_capture_body {
	uint64_t tsc;
	struct mt_tuple conn;
	uint32_t len, snap; /* len 0: no message was seen */
};

struct mt_capture {
	struct mt_capture_conf conf;
	struct mt_capture_stats stats; /* worker: w, ctl: r (relaxed) */
	struct mt_byte_ring ring;
	uint8_t *memory; /* of the ring */
	struct mt_capture_body (
		*bodies)[4]; /* [MT_TRACE_JOURNEYS][at - REQUEST]; NULL: captures packets */
	uint8_t *bytes;	     /* of bodies, `snap` each */
};

/*
 * NULL: no memory. Only what is used becomes resident. Call mt_capture_free() when no worker has
 * the capture any more. Control thread.
 */
struct mt_capture *mt_capture_new(const struct mt_capture_conf *conf);
void mt_capture_free(struct mt_capture *c);
/* The next record, valid until mt_capture_pop(); NULL: none is readable. Control thread. */
const struct mt_capture_rec *mt_capture_peek(struct mt_capture *c);
void mt_capture_pop(struct mt_capture *c);

static inline const uint8_t *mt_capture_bytes(const struct mt_capture_rec *r)
{
	return (const uint8_t *)(r + 1);
}

static inline const char *mt_capture_comment(const struct mt_capture_rec *r)
{
	return (const char *)mt_capture_bytes(r) + r->snap;
}

/* ---- worker --------------------------------------------------------------------------------- */

/*
 * Reserves space for the bytes of the packet just noted; *snap: how many. NULL: the packet is not
 * wanted, or there is no space (counted).
 */
uint8_t *mt_capture_packet(struct mt_trace *t, struct mt_trace_note *n, uint32_t *snap);
/* Removes the record, because the port did not accept the packet. It must be the newest one. */
void mt_capture_undo(struct mt_trace *t, struct mt_trace_note *n);
/* Records that this packet carries that exchange, or its end. */
void mt_capture_carries(struct mt_trace_note *n, uint64_t key);
/* Keeps the packet if the expression matches. Call when the packet's outcome is known. */
void mt_capture_decide(struct mt_trace *t, struct mt_trace_note *n);

/*
 * Returns space for the first *n bytes of a message of `len`; NULL: the message is not wanted. A
 * later message at the same point replaces an earlier one.
 */
uint8_t *mt_capture_message(struct mt_trace *t, const struct mt_trace_journey *j,
	enum mt_capture_at at, const struct mt_tuple *conn, uint32_t len, uint32_t *n);
/* True if a message was captured there. */
bool mt_capture_saw(
	const struct mt_trace *t, const struct mt_trace_journey *j, enum mt_capture_at at);
/* Prepares for a new trace: none of its messages was seen yet. */
void mt_capture_begin(struct mt_trace *t, const struct mt_trace_journey *j);
/* Makes records of the messages of an exchange that was selected. */
void mt_capture_keep(struct mt_trace *t, const struct mt_trace_journey *j);
/* Makes the records of this loop iteration readable. */
void mt_capture_publish(struct mt_capture *c);
