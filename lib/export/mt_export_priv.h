/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/export: thread.c has the thread, queue.c the queues, call.c their messages, which
 * grpc.c and http.c send.
 */
#pragma once

#include "mt_byte_ring.h"
#include "mt_export.h"
#include "mt_export_retry.h"
#include "mt_list.h"

#include <pthread.h>

struct mt_export_queue;

/* How messages reach the collector. Thread only. */
struct mt_export_way {
	/* An iteration: connects and receives. True: messages can be sent. */
	bool (*turn)(struct mt_export_queue *q);
	bool (*is_open)(const struct mt_export_queue *q);
	/* Makes room for a message that is sent now. False: later. */
	bool (*open)(struct mt_export_queue *q);
	/* Sends q->message. One of the functions of call.c below is called with its result. */
	void (*send)(struct mt_export_queue *q);
	/* Gives up the message under way. It has no result any more. */
	void (*cancel)(struct mt_export_queue *q);
	/* The message under way has no result in time: gives it a result, or more time. */
	void (*late)(struct mt_export_queue *q);
	/* Ends the connection, if there is one. No message is under way. */
	void (*close)(struct mt_export_queue *q);
};

extern const struct mt_export_way mt_export_by_grpc, mt_export_by_http;

/* http.c: what a queue needs for requests. */
struct mt_export_post;

struct mt_export_queue {
	struct mt_byte_ring ring;
	void *memory; /* of the ring */
	struct mt_export *x;
	struct mt_list node; /* thread; before it is adopted: x->lock */
	struct mt_grpc_target *target;
	/* Its frames refer to `heads`; `name`, `target`, `http` and the path of HTTP are NULL. */
	struct mt_export_conf conf;
	uint8_t *heads;
	const struct mt_export_way *way;
	struct mt_export_post *post; /* HTTP; NULL: gRPC */
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
	bool sending;	     /* it is under way */
	struct mt_grpc_stream *call;
	uint64_t give_up; /* if it is under way */
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

/* http.c. NULL: no memory. Control thread. */
struct mt_export_post *mt_export_post_new(const char *path, const struct mt_export_http *http);
/* After `close`. NULL is allowed. */
void mt_export_post_free(struct mt_export_post *p);

/*
 * call.c: results of the message under way. Each but mt_export_answered() and mt_export_told(),
 * which come before the result, ends it.
 */
void mt_export_answered(struct mt_export_queue *q, const uint8_t *data, size_t len);
/* The collector specified a delay in ns. */
void mt_export_told(struct mt_export_queue *q, uint64_t delay);
/* The collector took it, and perhaps rejected some records. */
void mt_export_taken(struct mt_export_queue *q);
/* A temporary failure, perhaps the last one. */
void mt_export_again(struct mt_export_queue *q, enum mt_export_state state, const char *words);
void mt_export_lose(struct mt_export_queue *q, enum mt_export_state why, const char *words);
/* Nothing of it was sent: the records wait as without a connection. */
void mt_export_unreached(struct mt_export_queue *q, const char *words);
/* call.c: one iteration; false: the queue has ended and is not to be used. Thread only. */
bool mt_export_turn(struct mt_export_queue *q);
/* True if the thread should look at the queue again soon. */
bool mt_export_is_busy(const struct mt_export_queue *q);
