/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/export: thread.c has the thread, queue.c the queues, call.c their calls. */
#pragma once

#include "mt_byte_ring.h"
#include "mt_export.h"
#include "mt_export_retry.h"
#include "mt_list.h"

#include <pthread.h>

struct mt_export_queue {
	struct mt_byte_ring ring;
	void *memory; /* of the ring */
	struct mt_export *x;
	struct mt_list node; /* thread; before it is adopted: x->lock */
	struct mt_grpc_target *target;
	struct mt_export_conf conf; /* its frames refer to `heads`; `name` and `target` are NULL */
	uint8_t *heads;
	/* Of the producer; read by others. */
	uint64_t wanted, full[MT_EXPORT_STATES];
	/* Of the thread; the counters and `state` are read by others. */
	uint64_t sent, lost[MT_EXPORT_STATES], bytes, calls;
	enum mt_export_state state;
	struct mt_grpc *grpc;
	struct mt_export_retry retry;
	uint64_t up_at;	  /* the connection came up */
	uint64_t since;	  /* records wait since this time; 0: none */
	uint8_t *message; /* NULL: none is under way */
	size_t message_len;
	uint32_t n; /* records of the message, the first ones of the ring */
	uint64_t n_bytes;
	uint64_t first_call; /* of the message */
	uint32_t tries;	     /* calls for it */
	struct mt_grpc_stream *call;
	uint64_t give_up;
	bool answered, readable;
	uint64_t rejected;
	/* To the thread, which takes it and sets NULL: atomic. */
	struct mt_grpc_target *next_target;
	/* To the thread: atomic; `deadline` is written before `stop`. */
	bool stop;
	uint64_t deadline;
	/* x->lock */
	bool ended;
	char why[256];
};

struct mt_export {
	struct mt_fds fds;
	struct mt_fd_watch bell;
	uint32_t rung; /* atomic: the bell has rung, and the thread has not seen it */
	bool stop;
	bool started;
	pthread_t id;
	pthread_mutex_t lock;
	pthread_cond_t end;   /* a queue has ended */
	struct mt_list added; /* x->lock: new queues */
	/* Thread only. */
	struct mt_list queues;
	struct mt_resolver *names;
	struct mt_rand rng;
	uint64_t now;
};

/* thread.c */
uint64_t mt_export_now(void);
void mt_export_ring(struct mt_export *x);
/* 0 or -errno. */
int mt_export_start(struct mt_export *x);

/* queue.c: state of the queue; `why` NULL: none. Thread only. */
void mt_export_set_state(struct mt_export_queue *q, enum mt_export_state s, const char *why);
/* Records leave the queue: of the message, or of the ring if there is none. */
void mt_export_pop(struct mt_export_queue *q, uint32_t n);
void mt_export_destroy(struct mt_export_queue *q);

/* call.c: one iteration; false: the queue has ended and is not to be used. Thread only. */
bool mt_export_turn(struct mt_export_queue *q);
/* True if the thread should look at the queue again soon. */
bool mt_export_is_busy(const struct mt_export_queue *q);
