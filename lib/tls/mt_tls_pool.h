/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes on threads of their own, for workers, which never call the library. Each worker has a
 * lane: 256 slots, each with a generation, and two bounded rings to each thread (one producer, one
 * consumer, 256 pieces of 1 KiB, written in place). Each slot always uses the same thread, so the
 * pieces of a handshake arrive in order. A worker hands bytes over, and gets bytes, keys and
 * failures back. It takes no lock, allocates nothing and never waits.
 * - Hot path: an idle lane costs one load per loop iteration (mt_tls_lane_rung()) and one in flush.
 *   mt_tls_lane_flush() makes one system call per burst, and only if the thread sleeps. A worker
 *   spends 400 instructions to begin a handshake and 300 for each hand-over of bytes.
 * - The peer's bytes stay in the connection's chain until an event reports them as used, so that at
 *   the end of a handshake the rest of the chain is records. Pieces in flight at that moment are
 *   ignored.
 * - A server handshake begins with a complete hello (mt_hello.h). A partial hello or garbage takes
 *   neither object nor slot.
 * - Back-pressure: without a free slot or ring space a call returns -EAGAIN, counts it (`full`) and
 *   keeps nothing. If bytes of an active handshake find no space, MT_TLS_EVENT_ROOM reports when to
 *   try again. New client connections leave a quarter of slots and ring to active handshakes and to
 *   outgoing connections. A thread with a full ring takes no more work of that worker until it has
 *   read events.
 * - Late results are dropped: cancelling or ending a handshake raises the slot's generation. The
 *   thread compares it before each piece of work, so a flood of closed connections causes no
 *   handshakes. The worker compares it for each event and counts old ones (`stale`).
 * - Time-outs belong to the connection. Its owner cancels the handshake and counts `timed_out`.
 * - Shutdown: stop the workers first, then call mt_tls_pool_free(). The rings are overwritten
 *   because they have held keys. A worker overwrites a result after reading it.
 *
 * The threads run on the CPUs of the thread that created the pool: those of the control thread.
 *
 * Use: read the client's hello, choose the context and call mt_tls_lane_accept(), or
 * mt_tls_lane_connect(); after -EAGAIN try again in a later iteration. Call mt_tls_lane_more()
 * whenever rx has grown. In the event function drop `used` bytes of rx and send `out`; on *done*
 * call mt_tls_record_init() with the keys; on *failed* close after the alert is sent. Call
 * mt_tls_lane_cancel() if the connection ends, mt_tls_lane_flush() at the end of each iteration,
 * and mt_tls_lane_sleep() before sleeping on wake_fd.
 */
#pragma once

#include "mt_hello.h"
#include "mt_tls.h"

#define MT_TLS_SLOTS   256  /* handshakes of a worker at the same time */
#define MT_TLS_RING    256  /* size of a ring; it holds one piece less */
#define MT_TLS_PIECE   1024 /* bytes of a piece, with its header */
#define MT_TLS_THREADS 16
/*
 * Part of the slots and of a ring that new client handshakes leave free for handshakes in progress
 * and for connections that we open.
 */
#define MT_TLS_RESERVE(n) ((n) / 4)

struct mt_tls_pool;

/* A worker's lane. The worker alone reads and writes its fields, except as noted. */
struct mt_tls_lane {
	/* any thread sets 1, the worker 0: there may be something to take */
	mt_cache_aligned uint32_t rung;
	uint32_t asleep; /* the worker writes, threads read; if set, write to wake_fd */
	int wake_fd;	 /* -1: the worker polls often enough; set at boot */
	uint32_t worker, n_threads, n_wires_dirty;
	uint32_t n_used, n_wanting, first_free;
	struct mt_tls_wire *wires; /* n_threads of them */
	struct mt_tls_slot *slots; /* MT_TLS_SLOTS of them */
	uint32_t *live;		   /* generation of each slot; the worker writes, threads read */

	uint64_t begun, done, failed, cancelled;
	uint64_t full;	/* refused: no room in a ring, or no slot */
	uint64_t stale; /* pieces that came for a handshake that was gone */
};

/* ---- boot ------------------------------------------------------------------------------------ */

/* Creates the pool and starts its threads. Returns NULL with *e. */
struct mt_tls_pool *mt_tls_pool_new(uint32_t n_workers, uint32_t n_threads, struct mt_err *e);
/*
 * Call after the workers have ended: ends the threads, frees handshakes in progress, wipes the
 * rings. NULL is allowed.
 */
void mt_tls_pool_free(struct mt_tls_pool *p);
struct mt_tls_lane *mt_tls_pool_lane(struct mt_tls_pool *p, uint32_t worker);

/* ---- worker ---------------------------------------------------------------------------------- */

/*
 * Starts the handshake of a client whose hello is whole: hands over the chain's first h->cur.pos
 * bytes. `owner` is in each event. Returns 0 with the reference in *out; -EAGAIN, keeping nothing,
 * if too much is in progress.
 */
int mt_tls_lane_accept(struct mt_tls_lane *l, struct mt_tls_context *c, const struct mt_hello *h,
	struct mt_ref owner, struct mt_ref *out);
/*
 * Starts the handshake of a connection that we open. `sni` NULL: sends no name. Returns as above,
 * or -EINVAL if `sni` is longer than MT_TLS_NAME_MAX bytes.
 */
int mt_tls_lane_connect(struct mt_tls_lane *l, struct mt_tls_context *c, const char *sni,
	struct mt_ref owner, struct mt_ref *out);
/*
 * Call when the chain has grown. It starts at the first byte that no event has reported as used.
 * Hands over the new bytes if there is room; otherwise MT_TLS_EVENT_ROOM comes when there is.
 */
void mt_tls_lane_more(struct mt_tls_lane *l, struct mt_ref handshake, const struct mt_chain *c);
/* Cancels a handshake whose connection is gone or whose time is over. */
void mt_tls_lane_cancel(struct mt_tls_lane *l, struct mt_ref handshake);

/*
 * Call at the end of a loop iteration or of a burst: wakes sleeping threads, by one system call
 * each.
 */
void mt_tls_lane_flush(struct mt_tls_lane *l);

enum mt_tls_event_kind {
	MT_TLS_EVENT_OUT,    /* bytes for the peer; if there are none, only `used` counts */
	MT_TLS_EVENT_ROOM,   /* call mt_tls_lane_more() */
	MT_TLS_EVENT_DONE,   /* see `result`; the handshake is over and the reference invalid */
	MT_TLS_EVENT_FAILED, /* as MT_TLS_EVENT_DONE */
};

struct mt_tls_event {
	enum mt_tls_event_kind kind;
	struct mt_ref handshake, owner;
	uint32_t
		used; /* bytes of the chain's start that were used; drop them before handing over */
	struct mt_slice out;
	const struct mt_tls_result *result; /* wiped after the call */
};

typedef void mt_tls_event_fn(void *arg, const struct mt_tls_event *e);

/* True if there may be something to take. One load for each loop iteration. */
static inline bool mt_tls_lane_rung(const struct mt_tls_lane *l)
{
	return __atomic_load_n(&l->rung, __ATOMIC_ACQUIRE);
}

/*
 * Delivers at most `budget` events, plus those of MT_TLS_EVENT_ROOM. Their handlers may start, feed
 * and cancel handshakes. Returns the number of events.
 */
uint32_t mt_tls_lane_take(struct mt_tls_lane *l, uint32_t budget, mt_tls_event_fn *fn, void *arg);

/*
 * Call before the worker sleeps on wake_fd. Returns false if it must not sleep, because there is
 * something to take. Call mt_tls_lane_awake() after the sleep.
 */
bool mt_tls_lane_sleep(struct mt_tls_lane *l);
void mt_tls_lane_awake(struct mt_tls_lane *l);
