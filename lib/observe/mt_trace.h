/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace: one packet or exchange, followed through every stage. One object per worker, made by the control thread and handed
 * to the worker by its mailbox; rooms keep a pointer to it that is NULL while nothing is traced, which is all that it costs
 * then. Everything is of fixed size; what finds no place is counted.
 *
 * An exchange that the expression may still choose gets a *journey* at its request: steps are recorded as they happen,
 * and at the end of the turn in which it ends it is kept or forgotten. Packets become short *notes*, from which the
 * journeys of the exchanges that they carry take theirs.
 *
 * Threads: the worker writes all of it, but for `state` of a journey that is KEPT, which the control thread sets to FREE
 * when it has copied it.
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

#define MT_TRACE_JOURNEYS 256 /* at once, kept ones too */
#define MT_TRACE_STEPS	  48  /* of a journey */
#define MT_TRACE_NUMBERS  4
#define MT_TRACE_TEXT	  208  /* bytes of a step's texts */
#define MT_TRACE_VALUE	  256  /* bytes that are kept of a value that a journey is known by */
#define MT_TRACE_POOL	  2304 /* of all of them */
#define MT_TRACE_NOTES	  1024
#define MT_TRACE_BUCKETS  1024
#define MT_TRACE_WATCHES  256
#define MT_TRACE_SEGMENTS 4 /* of a message, shown with all their stages */

struct mt_trace_step {
	uint64_t tsc;	 /* when it began */
	uint32_t cycles; /* it took, or since the step before it when that was another turn's */
	uint16_t point;
	uint8_t n_texts, n_numbers;
	uint64_t numbers[MT_TRACE_NUMBERS];
	char text[MT_TRACE_TEXT]; /* n_texts strings, one behind the other, each with its end */
};

enum mt_trace_state { MT_JOURNEY_FREE, MT_JOURNEY_LIVE, MT_JOURNEY_KEPT };

struct mt_trace_journey {
	uint32_t state;		/* release and acquire */
	bool packet;		/* of a packet, not of an exchange */
	bool followed;		/* it had to do with the connection that is followed */
	bool ended;		/* to be kept or forgotten when the turn is over */
	uint16_t n_steps, lost; /* steps that found no place */
	uint16_t n_pool;
	uint64_t key;		      /* of the exchange; its slab reference */
	uint64_t began, last;	      /* tsc: of the first step; when the last one was written */
	uint64_t wall;		      /* ns */
	uint64_t turn;		      /* of the last step */
	struct mt_expr_values values; /* texts are in `pool` */
	char pool[MT_TRACE_POOL];
	struct mt_trace_step steps[MT_TRACE_STEPS];
};

/* What is known of a packet; from its own bytes. */
struct mt_trace_packet {
	struct mt_addr src, dst;
	uint16_t sport, dport;
	const char *proto; /* "tcp", "udp", "icmp", "arp", "other"; static */
	const char *port;  /* its name */
	uint32_t len, payload, seq, ack;
	uint8_t flags; /* TCP */
};

struct mt_trace_note {
	struct mt_trace_packet p;
	bool tx, handed, shown;
	uint64_t turn, tsc;
	uint32_t net_cycles, tcp_cycles, prev; /* the one before it in its bucket, + 1 */
	const void *buffer;		       /* where it went on, in this turn */
	const struct mt_outcome *net, *tcp;    /* what became of it; NULL: not so far */
	int16_t owner;			       /* to which worker it was handed; -1: kept */
	bool by_device;			       /* the device's hash said so */
	struct mt_capture_rec *rec;	       /* its bytes in the capture; NULL: none */
};

struct mt_trace_conf {
	uint16_t worker;
	bool exchanges, packets; /* which kind becomes journeys */
	bool connection; /* with both: those of the first connection that the expression chooses */
	uint32_t count;	 /* journeys to keep on this worker */
	struct mt_expr expr;
	struct mt_capture *
		capture; /* NULL: journeys are kept for the control thread; else messages, or packets, are */
};

struct mt_trace_stats {
	uint64_t looked_at, kept, forgotten; /* exchanges and packets */
	uint64_t missed;		     /* no journey was free */
};

/* The connection that is followed. Worker: w; ctl: r, what is behind `state` once that says so. */
struct mt_trace_conn {
	enum mt_trace_conn_state {
		MT_TRACE_CONN_NONE,
		MT_TRACE_CONN_FOLLOWED,
		MT_TRACE_CONN_CLOSED, /* by them or us, whose FIN or RST was the first */
		MT_TRACE_CONN_RESET,
	} state; /* release and acquire */
	struct mt_tuple conn;
	bool fin_in, fin_out, by_us;
};

struct mt_trace {
	struct mt_trace_conf conf;
	struct mt_trace_stats stats;   /* worker: w, ctl: r (relaxed) */
	struct mt_capture *capture;    /* conf.capture */
	struct mt_trace_conn followed; /* conf.connection */
	uint64_t turn, wall;
	uint32_t next;	     /* where a free journey is looked for */
	uint32_t left;	     /* journeys that may still be kept */
	uint32_t n_notes;    /* ever made */
	uint32_t turn_notes; /* n_notes when the turn began */
	uint16_t n_ended, n_watches;
	uint16_t ended[MT_TRACE_JOURNEYS];
	struct {
		uint64_t hash, key;
		uint16_t journey;
	} watches[MT_TRACE_WATCHES];
	uint32_t buckets[MT_TRACE_BUCKETS]; /* the newest note, + 1 */
	struct mt_trace_note notes[MT_TRACE_NOTES];
	struct mt_trace_journey journeys[MT_TRACE_JOURNEYS];
};

/* NULL: no memory. Control thread; mt_trace_free() when no worker has it any more. */
struct mt_trace *mt_trace_new(const struct mt_trace_conf *conf);
void mt_trace_free(struct mt_trace *t);

/* The next kept journey from *at on, copied out and freed; false: there is none. Control thread. */
bool mt_trace_take(struct mt_trace *t, uint32_t *at, struct mt_trace_journey *out);

/* The time stamp counter, or what stands for it. */
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

/* ---- the worker ---------------------------------------------------------------------------- */

/* A turn begins; NULL: nothing is traced. */
static inline void mt_trace_turn_begin(struct mt_trace *t, uint64_t wall)
{
	if (mt_traced(t))
		t->wall = wall;
}
/* Its end, behind the last transmit: what ended is kept or forgotten. */
void mt_trace_settle(struct mt_trace *t);
static inline void mt_trace_turn_end(struct mt_trace *t)
{
	if (mt_traced(t))
		mt_trace_settle(t);
}

/* ---- journeys of exchanges (lib/proxy) */

/*
 * One for an exchange that may match by what is known in `v`, whose texts are copied: its number + 1, 0: none (or no
 * place). `key` is told from 0.
 */
uint16_t mt_trace_begin(struct mt_trace *t, uint64_t key, const struct mt_expr_values *v);
/* By number + 1, if it is still that exchange's; else NULL. */
struct mt_trace_journey *mt_trace_journey(struct mt_trace *t, uint16_t number, uint64_t key);
/* More is known. The text is copied, its first MT_TRACE_VALUE bytes. */
void mt_trace_know(struct mt_trace_journey *j, enum mt_expr_field field, struct mt_slice text);
void mt_trace_know_str(struct mt_trace_journey *j, enum mt_expr_field field, const char *text);
/* false: the expression does not choose it any more, and it is forgotten. */
bool mt_trace_go_on(struct mt_trace *t, struct mt_trace_journey *j);
/* A step; texts are as many as the point's words name and are cut to what fits, NULL is "-". */
void mt_trace_step(struct mt_trace *t, struct mt_trace_journey *j, enum mt_trace_point point,
	const char *const *texts, uint8_t n_texts, const uint64_t *numbers, uint8_t n_numbers);
/* The packets of this turn that came from there on that connection (the newest one if there is none). */
void mt_trace_arrivals(struct mt_trace *t, struct mt_trace_journey *j, const struct mt_tuple *conn);
/* Segments that leave on that connection in this turn are this journey's, too. */
void mt_trace_watch(struct mt_trace *t, struct mt_trace_journey *j, const struct mt_tuple *conn);
/* The exchange is over: what is still to be known of it is in its record. */
void mt_trace_over(struct mt_trace *t, struct mt_trace_journey *j, const struct mt_record *r);
/* No further steps but the segments of this turn. */
void mt_trace_end(struct mt_trace *t, struct mt_trace_journey *j);

/* ---- packets (lib/net, lib/tcp, lib/worker) */

/* A packet was received (or handed over), or is about to leave. */
struct mt_trace_note *mt_trace_note(struct mt_trace *t, const struct mt_trace_packet *p, bool tx);
/* lib/tcp of this worker has it: the connection to be followed may be this one. */
void mt_trace_note_tcp(struct mt_trace *t, const struct mt_trace_note *n);
/* The note of the packet that was last said to be in this buffer, of this turn; NULL: none. */
struct mt_trace_note *mt_trace_note_in(struct mt_trace *t, const void *buffer);
/* The port did not take it: it was no packet after all. It must be the newest note. */
void mt_trace_note_undo(struct mt_trace *t);
/* The port took it. */
void mt_trace_note_sent(struct mt_trace *t, struct mt_trace_note *n);
/* What a room decided, told by its counters before and behind: the severest of the rows that grew. */
const struct mt_outcome *mt_trace_decided(
	const struct mt_outcome_set *set, const uint64_t *before, const uint64_t *after);
