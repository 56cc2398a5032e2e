/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/observe: traces, captures (mt_capture.h), filter expressions (mt_expr.h), and the record of a
 * call (mt_record.h) for `show slow` and exemplars. It identifies packets and exchanges by
 * addresses, names and numbers, and uses only lib/base: other libraries call it, lib/ctl/trace
 * reads the results.
 *
 * Tracing follows single packets or exchanges through every stage. Each worker has a tracer (struct
 * mt_trace), which the control thread makes (3 MB of address space, backed as it is used) and hands
 * over through the worker's mailbox. Libraries keep a pointer to it that is NULL while nothing is
 * traced. Then the cost is one predictable test per burst in net, tcp and the transmit queue, one
 * at the start of each exchange, and a test of ex->trace at each point.
 * - Packets: while a trace runs, each packet passes lib/net, and later lib/tcp, alone. The outcome
 *   counters before and after show the decision (mt_trace_decided(): the most severe row that
 *   grew). So each outcome is a trace point, and the hot paths need no further test. Facts about a
 *   packet are a note in a ring of 1,024, found by the packet's addresses or by its buffer.
 * - Exchanges: at a request the expression is evaluated with the known fields. If it may still
 *   match, the exchange gets one of 256 traces (struct mt_trace_journey) and takes over the notes
 *   of its segments. Route, cluster and endpoint add fields and evaluate again. The trace is kept
 *   or discarded at the end of the iteration in which the exchange ended, after the last transmit,
 *   so that the reply's segments are included. Metadata keys are fields of the expression (`meta0`,
 *   ...), read once, at the request.
 * - Connections: the first packet that matches selects its connection. From then on its packets are
 *   traced, and exchanges that sent or received bytes on it are kept.
 * - Captures: a packet's note has its bytes in a ring (mt_capture_packet(), before lib/net reads
 *   it), and is kept or not at the end of the iteration. A packet for another worker is captured on
 *   arrival. Messages are stored with their trace until it ends. During a capture the traces are
 *   discarded.
 * - Records: made once, at the end of a call, and only if it took at least as long as the 16th
 *   slowest of its window, was sampled as an exemplar, or is traced (mt_exchange_record()).
 *   Counters and histograms do not use records, because then each call would need one.
 *
 * Invariants:
 * - Nothing in a trace affects a packet or an exchange.
 * - An early yes or no of an expression stays the same when all fields are known.
 * - Only the worker writes, except `state` of a trace: the worker sets KEPT (release), and the
 *   control thread sets FREE after copying it. The worker copies texts, because a snapshot may
 *   retire before.
 * - An exchange refers to its trace by number. The trace has the exchange's slab reference as key,
 *   so a stale number matches nothing.
 * - Everything has a fixed size; what does not fit is counted (`missed`, `lost`).
 *
 * To add a trace point: a row in trace_points.def, a function in lib/proxy/trace.c that calls
 * mt_trace_step() with as many texts and numbers as the row's text has, and its hook in
 * mt_proxy_trace.h. A reader of records: its condition in the test of mt_exchange_record(), a call
 * in mt_exchange_record_wanted(). A field: a row in expr_fields.def, its bit in the commands that
 * have it, and mt_trace_know() where its value becomes known.
 */
#pragma once

#include "mt_capture.h"
#include "mt_expr.h"
#include "mt_outcome.h"
#include "mt_record.h"

enum mt_trace_point {
#define MT_TRACE_POINT(n, r, w) MT_TRACE_##n,
#include "trace_points.def"
#undef MT_TRACE_POINT
	MT_TRACE_N_POINTS
};

struct mt_trace_point_row {
	const char *name, *room, *words;
};

extern const struct mt_trace_point_row mt_trace_points[MT_TRACE_N_POINTS];

#define MT_TRACE_JOURNEYS 256 /* at once, including kept ones */
#define MT_TRACE_STEPS	  48  /* per trace */
#define MT_TRACE_NUMBERS  4
#define MT_TRACE_TEXT	  208  /* bytes of a step's texts */
#define MT_TRACE_VALUE	  256  /* bytes kept of each text value of a trace */
#define MT_TRACE_POOL	  2304 /* bytes of all text values of a trace */
#define MT_TRACE_NOTES	  1024
#define MT_TRACE_BUCKETS  1024
#define MT_TRACE_WATCHES  256
#define MT_TRACE_SEGMENTS 4 /* of a message, shown with all their stages */

struct mt_trace_step {
	uint64_t tsc; /* start */
	/* Duration, or time since the previous step if that was in another loop iteration. */
	uint32_t cycles;
	uint16_t point;
	uint8_t n_texts, n_numbers;
	uint64_t numbers[MT_TRACE_NUMBERS];
	char text[MT_TRACE_TEXT]; /* n_texts strings one after another, each NUL-terminated */
};

enum mt_trace_state { MT_JOURNEY_FREE, MT_JOURNEY_LIVE, MT_JOURNEY_KEPT };

struct mt_trace_journey {
	uint32_t state;		/* written with release, read with acquire */
	bool packet;		/* of a packet, not of an exchange */
	bool followed;		/* it used the followed connection */
	bool ended;		/* kept or dropped when the loop iteration ends */
	uint16_t n_steps, lost; /* lost: steps without space */
	uint16_t n_pool;
	uint64_t key;		      /* slab reference of the exchange */
	uint64_t began, last;	      /* tsc: of the first step; when the last one was written */
	uint64_t wall;		      /* ns */
	uint64_t turn;		      /* loop iteration of the last step */
	struct mt_expr_values values; /* texts are in `pool` */
	char pool[MT_TRACE_POOL];
	struct mt_trace_step steps[MT_TRACE_STEPS];
};

/* Data of a packet, from its own bytes. */
struct mt_trace_packet {
	struct mt_addr src, dst;
	uint16_t sport, dport;
	const char *proto; /* "tcp", "udp", "icmp", "arp", "other"; static */
	const char *port;  /* name of Meltemi's port */
	uint32_t len, payload, seq, ack;
	uint8_t flags; /* TCP */
};

struct mt_trace_note {
	struct mt_trace_packet p;
	bool tx, handed, shown;
	uint64_t turn, tsc;
	uint32_t net_cycles, tcp_cycles, prev; /* previous note in its bucket, + 1 */
	const void *buffer; /* mbuf in which lib/net passed it on, in this iteration */
	const struct mt_outcome *net, *tcp; /* outcomes; NULL: none yet */
	int16_t owner;		    /* worker to which it was handed; -1: kept; -2: single worker */
	bool by_device;		    /* by the device's hash */
	struct mt_capture_rec *rec; /* its record in the capture; NULL: none */
};

struct mt_trace_conf {
	uint16_t worker;
	bool exchanges, packets; /* kinds that are traced */
	/* With both: those of the first connection that the expression selects. */
	bool connection;
	uint32_t count; /* traces to keep on this worker */
	struct mt_expr expr;
	struct mt_capture *
		capture; /* NULL: traces are kept for the control thread; otherwise captured data */
};

struct mt_trace_stats {
	uint64_t looked_at, kept, forgotten; /* exchanges and packets */
	uint64_t missed;		     /* no slot was free */
};

/*
 * The followed connection, which the worker writes. The control thread reads `conn` from
 * MT_TRACE_CONN_FOLLOWED on, and all members after the connection's end.
 */
struct mt_trace_conn {
	enum mt_trace_conn_state {
		MT_TRACE_CONN_NONE,
		MT_TRACE_CONN_FOLLOWED,
		MT_TRACE_CONN_CLOSED, /* by_us: we sent the first FIN or RST */
		MT_TRACE_CONN_RESET,
	} state; /* written with release, read with acquire */
	struct mt_tuple conn;
	bool fin_in, fin_out, by_us;
};

struct mt_trace {
	struct mt_trace_conf conf;
	struct mt_trace_stats stats;   /* worker: w, ctl: r (relaxed) */
	struct mt_capture *capture;    /* conf.capture */
	struct mt_trace_conn followed; /* conf.connection */
	uint64_t turn, wall;
	uint32_t next;	     /* where the search for a free slot starts */
	uint32_t left;	     /* traces that may still be kept */
	uint32_t n_notes;    /* made so far */
	uint32_t turn_notes; /* n_notes at the start of the iteration */
	uint16_t n_ended, n_watches;
	uint16_t ended[MT_TRACE_JOURNEYS];
	struct {
		uint64_t hash, key;
		uint16_t journey;
	} watches[MT_TRACE_WATCHES];
	uint32_t buckets[MT_TRACE_BUCKETS]; /* newest note, + 1 */
	struct mt_trace_note notes[MT_TRACE_NOTES];
	struct mt_trace_journey journeys[MT_TRACE_JOURNEYS];
};

/* NULL: no memory. Call mt_trace_free() when no worker has the tracer any more. Control thread. */
struct mt_trace *mt_trace_new(const struct mt_trace_conf *conf);
void mt_trace_free(struct mt_trace *t);

/* Copies out and frees the next kept trace from *at on; false: there is none. Control thread. */
bool mt_trace_take(struct mt_trace *t, uint32_t *at, struct mt_trace_journey *out);

/* The time stamp counter or its equivalent; 0 on other CPUs. */
static inline uint64_t mt_trace_tsc(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t v;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
	return v;
#else
	return 0;
#endif
}

/* ---- worker --------------------------------------------------------------------------------- */

/* Starts a loop iteration; t NULL: nothing is traced. */
static inline void mt_trace_turn_begin(struct mt_trace *t, uint64_t wall)
{
	if (mt_traced(t))
		t->wall = wall;
}
/* Ends a loop iteration, after the last transmit: keeps or drops the traces that ended. */
void mt_trace_settle(struct mt_trace *t);
static inline void mt_trace_turn_end(struct mt_trace *t)
{
	if (mt_traced(t))
		mt_trace_settle(t);
}

/* ---- traces of exchanges (lib/proxy) -------------------------------------------------------- */

/*
 * Starts the trace of an exchange that may match by the values in `v`, whose texts are copied.
 * Returns the trace's number + 1; 0: the exchange does not match, or there is no space. `key` is
 * never 0.
 */
uint16_t mt_trace_begin(struct mt_trace *t, uint64_t key, const struct mt_expr_values *v);
/* The trace at index `number` - 1 if it is live and belongs to the exchange; otherwise NULL. */
struct mt_trace_journey *mt_trace_journey(struct mt_trace *t, uint16_t number, uint64_t key);
/* Sets a value that has become known. The first MT_TRACE_VALUE bytes of the text are copied. */
void mt_trace_know(struct mt_trace_journey *j, enum mt_expr_field field, struct mt_slice text);
void mt_trace_know_str(struct mt_trace_journey *j, enum mt_expr_field field, const char *text);
/* False: the expression does not match any more, and the trace was dropped. */
bool mt_trace_go_on(struct mt_trace *t, struct mt_trace_journey *j);
/*
 * Records a step. `texts` has an entry for each text in the point's words; long texts are cut, and
 * NULL becomes "-".
 */
void mt_trace_step(struct mt_trace *t, struct mt_trace_journey *j, enum mt_trace_point point,
	const char *const *texts, uint8_t n_texts, const uint64_t *numbers, uint8_t n_numbers);
/*
 * Adds the packets of this iteration that arrived on that connection; without any, the newest
 * earlier one.
 */
void mt_trace_arrivals(struct mt_trace *t, struct mt_trace_journey *j, const struct mt_tuple *conn);
/* Segments that leave on that connection in this iteration are added to this trace, too. */
void mt_trace_watch(struct mt_trace *t, struct mt_trace_journey *j, const struct mt_tuple *conn);
/* Ends the trace of an exchange; the record has its last values. */
void mt_trace_over(struct mt_trace *t, struct mt_trace_journey *j, const struct mt_record *r);
/* Ends the trace: only segments of this iteration are still added. */
void mt_trace_end(struct mt_trace *t, struct mt_trace_journey *j);

/* ---- packets (lib/net, lib/tcp, lib/worker) ------------------------------------------------- */

/* Notes a packet that was received (or handed over), or is about to leave. */
struct mt_trace_note *mt_trace_note(struct mt_trace *t, const struct mt_trace_packet *p, bool tx);
/* lib/tcp of this worker has the packet, whose connection may be the one to follow. */
void mt_trace_note_tcp(struct mt_trace *t, const struct mt_trace_note *n);
/* The note of this iteration's packet that was last seen in this buffer; NULL: none. */
struct mt_trace_note *mt_trace_note_in(struct mt_trace *t, const void *buffer);
/* Removes the newest note, because the port did not accept its packet. */
void mt_trace_note_undo(struct mt_trace *t);
/* The port accepted the packet. */
void mt_trace_note_sent(struct mt_trace *t, struct mt_trace_note *n);
/*
 * What a library decided, from its counters before and after: the severest row that grew. NULL:
 * none grew.
 */
const struct mt_outcome *mt_trace_decided(
	const struct mt_outcome_set *set, const uint64_t *before, const uint64_t *after);
