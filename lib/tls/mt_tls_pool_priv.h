/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between lanes and threads. To be included first: DPDK's rings are to use C11's atomics, which the compiler and the thread
 * sanitizer know.
 */
#pragma once

#define RTE_USE_C11_MEM_MODEL 1
#include "mt_tls_pool.h"

#include <pthread.h>
#include <rte_ring.h>

enum piece_kind {
	/* To a thread. */
	PIECE_BEGIN, /* context, held; bytes: a client's server name */
	PIECE_BYTES,
	/* To a worker. */
	PIECE_OUT,
	PIECE_DONE,
	PIECE_FAILED,
};

#define PIECE_HEAD 32

/* What the rings hold. */
struct piece {
	uint16_t worker, len;
	uint32_t slot, generation;
	uint32_t sequence; /* of this handshake's pieces of this direction, from 0 on */
	uint32_t used;
	uint8_t kind;
	struct mt_tls_context *context;
	union {
		uint8_t bytes[MT_TLS_PIECE - PIECE_HEAD];
		struct mt_tls_result result;
	};
};
_Static_assert(sizeof(struct piece) == MT_TLS_PIECE, "an element of a ring");
_Static_assert(sizeof(struct mt_tls_result) <= MT_TLS_PIECE - PIECE_HEAD, "a result is one piece");

/* A thread's side of one handshake. */
struct mt_tls_job {
	struct mt_tls_handshake *handshake; /* NULL: none */
	uint32_t generation;
	uint32_t told; /* bytes that the worker knows to be used */
	uint32_t sequence, heard;
	enum mt_tls_step step;
};

/* Between one lane and one thread: one puts, one takes, in both rings. */
struct mt_tls_wire {
	struct rte_ring *to_thread, *to_worker;
	struct mt_tls_thread *thread;
	struct mt_tls_lane *lane;
	bool dirty; /* worker: put since the last flush */
	/* Any: something was cancelled; the thread found to_worker full. By exchange only. */
	mt_cache_aligned uint32_t sweep, blocked;
	/* Thread. */
	struct mt_tls_job *jobs; /* of MT_TLS_SLOTS */
	uint32_t stalled;	 /* a slot that has more to say, 1 + its number; 0: none */
};

/* What a worker knows of a handshake. */
struct mt_tls_slot {
	uint32_t next_free; /* while it is free */
	uint32_t given;	    /* bytes of the chain's begin that were handed over */
	uint32_t sequence, heard;
	struct mt_ref owner;
	bool used, wants;
};

struct mt_tls_thread {
	mt_cache_aligned uint32_t rung; /* workers: w 1; thread: w 0 */
	uint32_t asleep;		/* thread: w, workers: r */
	uint32_t stop;
	int fd;
	uint32_t number;
	pthread_t id;
	struct mt_tls_pool *pool;
};

struct mt_tls_pool {
	uint32_t n_workers, n_threads, n_started;
	struct mt_tls_lane *lanes;
	struct mt_tls_thread threads[MT_TLS_THREADS];
};

/* ---- pool.c ----- */

/* Any: the thread looks at its wires. A system call if it sleeps. */
void mt_tls_thread_ring(struct mt_tls_thread *t);

/* ---- thread.c ----- */

/* A turn for one wire; whether something was done. */
bool mt_tls_wire_serve(struct mt_tls_wire *w);
/* When nobody is at its ends any more: frees what is in it. */
void mt_tls_wire_end(struct mt_tls_wire *w);
