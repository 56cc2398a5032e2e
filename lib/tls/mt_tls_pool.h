/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes on threads of their own, for workers, which never call the library: each worker has a lane, which holds its
 * handshakes by slot and generation, and for each thread two bounded rings. A worker hands bytes over and takes bytes,
 * keys and failures back; it locks nothing, allocates nothing and waits for nobody. The peer's bytes stay in the connection's
 * chain until a handshake has used them: what is behind it at the end is records.
 */
#pragma once

#include "mt_hello.h"
#include "mt_tls.h"

#define MT_TLS_SLOTS   256  /* handshakes of a worker at once */
#define MT_TLS_RING    256  /* pieces in a ring, one less */
#define MT_TLS_PIECE   1024 /* bytes of a piece, header and all */
#define MT_TLS_THREADS 16
/* Of slots and of a ring: begins of clients leave them to handshakes under way and to connections that we open. */
#define MT_TLS_RESERVE(n) ((n) / 4)

struct mt_tls_pool;

/* A worker's, w and r by it alone unless said. */
struct mt_tls_lane {
	mt_cache_aligned uint32_t rung; /* any: w 1; worker: w 0; something may be there to take */
	uint32_t asleep; /* worker: w; threads: r; who rings has to write to wake_fd */
	int wake_fd;	 /* -1: the worker looks by itself often enough; boot */
	uint32_t worker, n_threads, n_wires_dirty;
	uint32_t n_used, n_wanting, first_free;
	struct mt_tls_wire *wires; /* of n_threads */
	struct mt_tls_slot *slots; /* of MT_TLS_SLOTS */
	uint32_t *live;		   /* generation of each slot; worker: w, threads: r */

	uint64_t begun, done, failed, cancelled;
	uint64_t full;	/* refused: no room in a ring, or no slot */
	uint64_t stale; /* came for a handshake that was gone */
};

/* ---- boot ------------------------------------------------------------------------------------------------ */

/* NULL with *e. */
struct mt_tls_pool *mt_tls_pool_new(uint32_t n_workers, uint32_t n_threads, struct mt_err *e);
/* When workers have ended: ends the threads, frees what is under way, wipes the rings. NULL is allowed. */
void mt_tls_pool_free(struct mt_tls_pool *p);
struct mt_tls_lane *mt_tls_pool_lane(struct mt_tls_pool *p, uint32_t worker);

/* ---- worker ------------------------------------------------------------------------------------------------ */

/*
 * A client's handshake, whose hello is whole: the chain's first h->cur.pos bytes are handed over. `owner` is told with each
 * event. 0 with its reference; -EAGAIN: too much is under way. Nothing is held then.
 */
int mt_tls_lane_accept(struct mt_tls_lane *l, struct mt_tls_context *c, const struct mt_hello *h,
	struct mt_ref owner, struct mt_ref *out);
/* A connection of ours; `sni` NULL: no name is sent; at most MT_TLS_NAME_MAX bytes. As above; -EINVAL: it is longer. */
int mt_tls_lane_connect(struct mt_tls_lane *l, struct mt_tls_context *c, const char *sni,
	struct mt_ref owner, struct mt_ref *out);
/*
 * The chain, from the first byte on that no event has told to be used, has got longer: what was not handed over yet is,
 * if there is room; else MT_TLS_EVENT_ROOM comes when there is some.
 */
void mt_tls_lane_more(struct mt_tls_lane *l, struct mt_ref handshake, const struct mt_chain *c);
/* Nothing is wanted of it any more: its connection is gone, or its time is over. */
void mt_tls_lane_cancel(struct mt_tls_lane *l, struct mt_ref handshake);

/* The end of a turn, or of a burst: threads that sleep are woken, by one system call each. */
void mt_tls_lane_flush(struct mt_tls_lane *l);

enum mt_tls_event_kind {
	MT_TLS_EVENT_OUT,    /* bytes for the peer; none: only `used` counts */
	MT_TLS_EVENT_ROOM,   /* call mt_tls_lane_more() */
	MT_TLS_EVENT_DONE,   /* result; the handshake is over, the reference gone */
	MT_TLS_EVENT_FAILED, /* the same */
};

struct mt_tls_event {
	enum mt_tls_event_kind kind;
	struct mt_ref handshake, owner;
	uint32_t
		used; /* bytes of the chain's begin that are the handshake's: to be dropped, before anything is handed over */
	struct mt_slice out;
	const struct mt_tls_result *result; /* wiped behind the call */
};

typedef void mt_tls_event_fn(void *arg, const struct mt_tls_event *e);

/* Whether there may be something to take: one load a turn. */
static inline bool mt_tls_lane_rung(const struct mt_tls_lane *l)
{
	return __atomic_load_n(&l->rung, __ATOMIC_ACQUIRE);
}

/* At most `budget` events, which may begin, feed and cancel handshakes. How many there were. */
uint32_t mt_tls_lane_take(struct mt_tls_lane *l, uint32_t budget, mt_tls_event_fn *fn, void *arg);

/* Before it sleeps on wake_fd among others: false: not now, there is something to take. And when it is up again. */
bool mt_tls_lane_sleep(struct mt_tls_lane *l);
void mt_tls_lane_awake(struct mt_tls_lane *l);
