/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calling side. A worker is a thread with its own sockets, connections, calls and counters; the
 * main thread starts workers, reads their counters for the progress line and sums them up at the
 * end.
 *
 * In the closed loop a call is due when a slot is free. In the open loop only the schedule
 * determines when. A call that cannot be sent then (all slots taken, no connection) waits, and its
 * latency counts from the time when it was due, so a stalling server is charged with the whole
 * delay.
 */
#pragma once

#include "hist.h"
#include "io.h"
#include "mt_list.h"
#include "mt_outcome.h"
#include "options.h"
#include "queue.h"

#include <pthread.h>

/* Result of a call that was sent: exactly one of ANSWERED..ABANDONED. */
enum blast_count {
	BLAST_SENT,
	BLAST_ANSWERED,
	BLAST_NATIVE_ERROR, /* the protocol's error reply */
	BLAST_WRONG,	    /* the reply to this id has another token or length */
	BLAST_RESET,
	BLAST_CLOSED, /* the peer closed while the call was outstanding */
	BLAST_TIMEOUT,
	BLAST_BAD_BYTES, /* the connection's bytes were not a valid frame */
	BLAST_ABANDONED, /* still outstanding when the run ended, before its timeout */
	/* the rest are not results of a call that was sent */
	BLAST_UNSENT,	/* open loop: due, but never sent */
	BLAST_STRANGER, /* a reply to an unknown call */
	BLAST_LATE,	/* a reply after its call's timeout */
	BLAST_CONNECTED,
	BLAST_CONNECT_FAILED,
	BLAST_COUNTS
};
extern const char *const blast_count_names[BLAST_COUNTS];

struct blast_conn;

struct blast_call {
	struct mt_list node; /* in worker.sent, oldest first, while live */
	struct blast_conn *conn;
	uint64_t due, sent, token;
	uint32_t gen, reply_size;
	uint16_t next_free;
	bool live, measured;
};

enum blast_state { BLAST_DOWN, BLAST_CONNECTING, BLAST_UP };

struct blast_conn {
	struct mt_list node; /* worker.down, .connecting; when up: .ready or none */
	int sock;
	/* one of its calls in the measured part was answered; kept across reconnects */
	bool answered;
	enum blast_state state;
	uint16_t free;	/* index of the first free slot, BLAST_NO_SLOT: none */
	uint32_t index; /* among all connections of the run */
	uint32_t in_flight, issued, late;
	uint64_t since; /* DOWN: when to connect; CONNECTING: start */
	struct blast_call *calls;
	struct blast_queue in, out;
};
#define BLAST_NO_SLOT UINT16_MAX

struct blast_worker {
	const struct blast_options *o;
	struct blast_run *run;
	pthread_t thread;
	uint32_t index;
	struct blast_io *io;
	bool issuing, marked, failed;
	int last_errno; /* of the last failed connect */
	struct mt_rand rand;
	struct blast_conn *conns;
	struct blast_call *calls;
	uint32_t n_conns, n_connecting, n_up, slot_bits;
	uint32_t n_answered,
		up_at_end; /* connections that were answered when measured; up when that ended */
	struct mt_list ready, sent, connecting, down;
	struct blast_queue rx, tx; /* for the connection being processed */
	struct blast_cache cache;
	uint64_t start, measure_from, end;
	double due_exact; /* open loop: time of the next call, ns after start */
	uint64_t arrivals, max_lag;
	/* busy share and processor time of the measured part */
	uint64_t waited, waited_before, cpu_before, cpu;
	uint64_t counts[BLAST_COUNTS]; /* worker: w, main thread: r */
	/* calls due in the measured part; CONNECT_FAILED: since the first calls */
	uint64_t measured[BLAST_COUNTS];
	uint64_t in_window;	   /* answers received in the measured part */
	struct blast_hist latency; /* from due to answered */
	struct blast_hist service; /* from sent to answered */
	struct blast_hist lag;	   /* from due to sent */
	struct blast_hist connects;
};

struct blast_run {
	const struct blast_options *o;
	struct blast_worker *workers;
	pthread_barrier_t opened, started;
	bool abort; /* main: w, workers: r, between the barriers */
};

/* The sum of all workers. */
struct blast_result {
	uint64_t counts[BLAST_COUNTS], measured[BLAST_COUNTS];
	uint64_t in_window, max_lag, cpu;
	uint32_t n_answered, up_at_end;
	double elapsed, busy; /* busy: of the busiest worker */
	struct blast_hist latency, service, lag, connects;
};

/* True after an interrupt: the run ends early, with its report. */
bool blast_stopped(void);

/* run.c: 0, or 4 with a message when the server cannot be reached. */
int blast_run(const struct blast_options *o, struct blast_result *r);

/* Thread of a worker. */
void *blast_worker_main(void *worker);
/* When the open loop's next call is due; UINT64_MAX in the closed loop or past the end. */
uint64_t blast_due(const struct blast_worker *w);

/* conn.c */
void blast_conns_init(struct blast_worker *w, uint32_t first);
void blast_conns_fini(struct blast_worker *w);
/* Opens connections that are down and due; abandons connects that take too long. */
void blast_conns_run(struct blast_worker *w, uint64_t now);
void blast_conn_event(struct blast_worker *w, struct blast_conn *c, uint32_t events);
/*
 * Continues a connection after one of its calls ended. The closed loop calls again, and the open
 * loop marks it as ready. A connection that has made all its calls is replaced. Sends queued bytes,
 * which may close the connection.
 */
void blast_conn_next(struct blast_worker *w, struct blast_conn *c, uint64_t now);
void blast_conn_flush(struct blast_worker *w, struct blast_conn *c);
/*
 * Queue for the connection's next bytes: its own if bytes wait there, otherwise the one sent at the
 * end of its processing.
 */
static inline struct blast_queue *blast_conn_queue(struct blast_worker *w, struct blast_conn *c)
{
	return blast_queue_len(&c->out) ? &c->out : &w->tx;
}
/* Calls in flight end with `fate`; the connection is opened again after `pause` ns. */
void blast_conn_close(
	struct blast_worker *w, struct blast_conn *c, enum blast_count fate, uint64_t pause);

/* calls.c */
static inline bool blast_conn_has_room(const struct blast_worker *w, const struct blast_conn *c)
{
	return c->state == BLAST_UP && c->free != BLAST_NO_SLOT &&
	       (!w->o->calls_per_connection || c->issued < w->o->calls_per_connection);
}
/* Appends one call to the bytes to send; the connection must have room. */
void blast_call_issue(struct blast_worker *w, struct blast_conn *c, uint64_t due, uint64_t now);
/* Processes a reply; `now` is when its bytes were read. */
void blast_call_reply(
	struct blast_worker *w, struct blast_conn *c, const struct blast_frame *f, uint64_t now);
void blast_call_end(
	struct blast_worker *w, struct blast_call *k, enum blast_count fate, uint64_t now);
/* Ends calls whose timeout has passed. */
void blast_calls_expire(struct blast_worker *w, uint64_t now);

/* report.c */
void blast_report(const struct blast_options *o, const struct blast_result *r);
/* capacity.c; returns the exit status. */
int blast_find_capacity(const struct blast_options *o);
