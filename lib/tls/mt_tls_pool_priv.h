/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by lanes and threads. Include it first, because DPDK's rings must use C11 atomics, which
 * the compiler and ThreadSanitizer understand.
 */
#pragma once

#define RTE_USE_C11_MEM_MODEL 1
#include "mt_tls_pool.h"

#include <pthread.h>
#include <rte_ring.h>

enum piece_kind {
	/* To a thread. */
	PIECE_BEGIN, /* context, with a reference; bytes: a client's server name */
	PIECE_BYTES,
	/* To a worker. */
	PIECE_OUT,
	PIECE_DONE,
	PIECE_FAILED,
};

#define PIECE_HEAD 32

/* An element of the rings. */
struct piece {
	uint16_t worker, len;
	uint32_t slot, generation;
	uint32_t sequence; /* number of the piece in this handshake and direction, from 0 on */
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

/* A thread's state of one handshake. */
struct mt_tls_job {
	struct mt_tls_handshake *handshake; /* NULL: none */
	uint32_t generation;
	uint32_t told; /* bytes that the worker knows are used */
	uint32_t sequence, heard;
	enum mt_tls_step step;
};

/* Connects one lane and one thread. Each ring has one producer and one consumer. */
struct mt_tls_wire {
	struct rte_ring *to_thread, *to_worker;
	struct mt_tls_thread *thread;
	struct mt_tls_lane *lane;
	bool dirty; /* worker: something was put since the last flush */
	/*
	 * Set by any thread. `sweep`: a handshake was cancelled. `blocked`: the thread found
	 * to_worker full. Changed only by exchange.
	 */
	mt_cache_aligned uint32_t sweep, blocked;
	/* Thread only. */
	struct mt_tls_job *jobs; /* MT_TLS_SLOTS of them */
	uint32_t stalled;	 /* 1 + number of a slot whose output found no room; 0: none */
};

/* A worker's state of one handshake. */
struct mt_tls_slot {
	uint32_t next_free; /* next free slot, while this one is free */
	uint32_t given;	    /* bytes at the chain's start that were handed over */
	uint32_t sequence, heard;
	struct mt_ref owner;
	bool used, wants;
};

struct mt_tls_thread {
	mt_cache_aligned uint32_t rung; /* workers set 1, the thread 0 */
	uint32_t asleep;		/* the thread writes, workers read */
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

/* Makes the thread check its wires. Any thread. Takes a system call if the thread sleeps. */
void mt_tls_thread_ring(struct mt_tls_thread *t);

/* ---- thread.c ----- */

/* Processes pieces of one wire. True if there were any. */
bool mt_tls_wire_serve(struct mt_tls_wire *w);
/* Frees what is left in a wire. Call when both ends have stopped. */
void mt_tls_wire_end(struct mt_tls_wire *w);
