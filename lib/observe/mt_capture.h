/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capture: bytes of packets, or of messages, copied beside the traffic for pcapng. It rides on a trace (mt_trace.h): what a packet or an
 * exchange is known by comes from its notes and journeys, and a worker without a trace has nothing to test for it.
 *
 * Records go through a ring of bytes, one per worker. Those of a turn become readable at the turn's end, when it is known what became
 * of each packet and which exchanges it carries. What finds no room is counted, and nothing waits.
 *
 * Threads: the worker writes, the control thread reads; `head` and `tail` are on cache lines of their own.
 */
#pragma once

#include "mt_expr.h"
#include "mt_outcome.h"

struct mt_trace;
struct mt_trace_note;
struct mt_trace_journey;

/* Where the bytes were seen. */
enum mt_capture_at {
	MT_CAPTURE_RX,	      /* as a port received it */
	MT_CAPTURE_TX,	      /* as a port is given it */
	MT_CAPTURE_REQUEST,   /* a client's message, before the filters */
	MT_CAPTURE_FORWARDED, /* as the endpoint gets it, behind filters and changes */
	MT_CAPTURE_REPLY,     /* as the endpoint sent it */
	MT_CAPTURE_ANSWER,    /* as the client gets it; also what this node answered itself */
	MT_CAPTURE_N_AT
};

#define MT_CAPTURE_BIT(at)  (1u << MT_CAPTURE_##at)
#define MT_CAPTURE_PACKETS  (MT_CAPTURE_BIT(RX) | MT_CAPTURE_BIT(TX))
#define MT_CAPTURE_CLIENT   (MT_CAPTURE_BIT(REQUEST) | MT_CAPTURE_BIT(ANSWER))
#define MT_CAPTURE_ENDPOINT (MT_CAPTURE_BIT(FORWARDED) | MT_CAPTURE_BIT(REPLY))

#define MT_CAPTURE_RING		(4u << 20) /* bytes; a power of two */
#define MT_CAPTURE_SNAP		65535	   /* bytes of a packet, at most */
#define MT_CAPTURE_SNAP_MESSAGE 16384	   /* of a message */
#define MT_CAPTURE_EXCHANGES	4	   /* that a packet is known to carry */

struct mt_capture_conf {
	uint32_t what;	     /* MT_CAPTURE_BIT: either packets or sides of messages */
	uint32_t snap;	     /* bytes kept of each, 1 to MT_CAPTURE_SNAP or _SNAP_MESSAGE */
	uint64_t count;	     /* records to take on this worker */
	struct mt_expr expr; /* of packets; that of messages is the trace's */
};

/* Followed by `snap` bytes and by `comment` bytes of text. */
struct mt_capture_rec {
	uint32_t size; /* with all that follows; a multiple of 8 */
	uint8_t at;    /* enum mt_capture_at */
	bool unwanted; /* the expression does not choose it, or nothing but padding */
	uint8_t n_exchanges;
	uint32_t len, snap;
	uint16_t comment;
	uint64_t tsc;
	const char *port;		  /* RX, TX: static */
	const struct mt_outcome *outcome; /* RX: what became of it; static, may be NULL */
	uint64_t exchanges[MT_CAPTURE_EXCHANGES];
	/* messages */
	struct mt_addr src, dst;
	uint16_t sport, dport;
};

struct mt_capture_stats {
	uint64_t taken, lost; /* records; lost: the ring was full */
};

/* What of a message is kept until its exchange has ended. */
struct mt_capture_body {
	uint64_t tsc;
	struct mt_tuple conn;
	uint32_t len, snap; /* len 0: nothing was seen there */
};

struct mt_capture {
	struct mt_capture_conf conf;
	struct mt_capture_stats stats; /* worker: w, ctl: r (relaxed) */
	uint8_t *ring;
	struct mt_capture_body (
		*bodies)[4]; /* [MT_TRACE_JOURNEYS]; by at - REQUEST. NULL: of packets */
	uint8_t *bytes;	     /* of bodies, `snap` each */
	uint64_t written;    /* worker: where the next record begins */
	uint64_t tail_seen;
	__attribute__((aligned(64))) uint64_t head; /* worker: w (release), ctl: r */
	__attribute__((aligned(64))) uint64_t tail; /* ctl: w (release), worker: r */
};

/* Control thread. NULL: no memory. Only what is used becomes memory. mt_capture_free() when no worker has it any more. */
struct mt_capture *mt_capture_new(const struct mt_capture_conf *conf);
void mt_capture_free(struct mt_capture *c);
/* The next record, which stays until mt_capture_pop(); NULL: none is readable. Control thread. */
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

/* ---- the worker ---------------------------------------------------------------------------- */

/* A place for the bytes of the packet just noted, *n of them; NULL: it is not wanted, or there is no room (counted). */
uint8_t *mt_capture_packet(struct mt_trace *t, struct mt_trace_note *n, uint32_t *snap);
/* The port did not take it after all. It must be the newest record. */
void mt_capture_undo(struct mt_trace *t, struct mt_trace_note *n);
/* This packet carries (the end of) that exchange. */
void mt_capture_carries(struct mt_trace_note *n, uint64_t key);
/* What became of the packet is known now: it is kept if it is chosen. */
void mt_capture_decide(struct mt_trace *t, struct mt_trace_note *n);

/* A place for the first *n bytes of a message of `len`; NULL: it is not wanted. A later one takes an earlier one's. */
uint8_t *mt_capture_message(struct mt_trace *t, const struct mt_trace_journey *j,
	enum mt_capture_at at, const struct mt_tuple *conn, uint32_t len, uint32_t *n);
/* Whether something was put there. */
bool mt_capture_saw(
	const struct mt_trace *t, const struct mt_trace_journey *j, enum mt_capture_at at);
/* A journey begins: nothing was seen of it. */
void mt_capture_begin(struct mt_trace *t, const struct mt_trace_journey *j);
/* The exchange was chosen: its messages become records. */
void mt_capture_keep(struct mt_trace *t, const struct mt_trace_journey *j);
/* The turn is over: its records become readable. */
void mt_capture_publish(struct mt_capture *c);
