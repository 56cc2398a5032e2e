/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of lib/extauthz. */
#pragma once

#include "mt_extauthz.h"
#include "mt_grpc.h"
#include "mt_list.h"

#include <pthread.h>

/* Numbers of slots: one puts, one takes. There are never more than it has room for. */
struct mt_extauthz_ring {
	mt_cache_aligned uint32_t head;
	mt_cache_aligned uint32_t tail;
	uint8_t v[MT_EXTAUTHZ_SLOTS];
};

/* The thread's part of a question. */
struct mt_extauthz_call {
	struct mt_list node; /* of its channel */
	struct mt_extauthz_lane *lane;
	struct mt_extauthz_slot *slot;
	struct mt_extauthz_channel *channel;
	struct mt_grpc_stream *stream; /* NULL: it waits for the connection */
	uint64_t give_up;
	bool own_time; /* give_up is the end of the call's own time */
	bool answered;
	bool again; /* its first connection has ended under it */
};

struct mt_extauthz_lane {
	struct mt_extauthz_ring asked, answered;
	struct mt_extauthz *x;
	struct mt_extauthz_slot *slots; /* address space until they are used */
	/* The worker's. */
	uint8_t free[MT_EXTAUTHZ_SLOTS];
	uint32_t n_free;
	/* The thread's. */
	struct mt_extauthz_call calls[MT_EXTAUTHZ_SLOTS];
	void (*wake)(uint64_t who);
	uint64_t who;
};

struct mt_extauthz_provider {
	uint32_t refs; /* any thread */
	uint32_t id;
	char *name;
	char **servers;
	uint32_t n_servers;
	uint64_t timeout;
	bool fail_open, has_tls;
	struct mt_grpc_tls tls; /* with these texts, and a credential that is held */
	char *server_name;
	char **sans;
};

/* A provider that was asked, and its connection. The thread's. */
struct mt_extauthz_channel {
	struct mt_list node;
	struct mt_extauthz *x;
	struct mt_extauthz_provider *provider; /* held */
	struct mt_grpc *grpc;
	struct mt_list calls;
	bool useful;	 /* somebody has answered over this connection */
	bool up_unasked; /* it was up before anybody was asked over it */
	bool leaves; /* its server takes no more questions: another channel does, and this one ends with its last */
	char why[200]; /* x->lock; it has no connection; "": it has, or nothing is known */
};

struct mt_extauthz {
	mt_cache_aligned uint32_t rung; /* workers: w 1; thread: w 0 */
	uint32_t asleep;		/* thread: w, workers: r */
	uint32_t stop;
	struct mt_fd_watch bell;
	pthread_t id;
	bool started;
	uint32_t n_lanes;
	struct mt_extauthz_lane *lanes;
	/* The thread's. */
	struct mt_fds fds;
	struct mt_resolver *names;
	struct mt_rand rng;
	struct mt_list channels;
	uint64_t now, swept;
	uint64_t counters[MT_EXTAUTHZ_N_OUTCOMES];
	pthread_mutex_t
		lock; /* of `channels` and their `why`: the thread, and who asks for troubles */
};

/* ---- lane.c ---------------------------------------------------------------------------------------- */
bool mt_extauthz_lane_init(struct mt_extauthz *x, struct mt_extauthz_lane *l);
void mt_extauthz_lane_fini(struct mt_extauthz_lane *l);
/* Thread: the next question; NULL: none. */
struct mt_extauthz_call *mt_extauthz_lane_asked(struct mt_extauthz_lane *l);
/* Thread: the slot is the worker's again. */
void mt_extauthz_lane_answered(struct mt_extauthz_call *c);
/* Any thread. */
void mt_extauthz_ring_bell(struct mt_extauthz *x);

/* ---- question.c, answer.c -------------------------------------------------------------------------- */
/* The message's bytes, from malloc(); NULL: no memory. */
uint8_t *mt_extauthz_pack(const struct mt_extauthz_slot *s, size_t *len);
/* What the service has said, into the slot: verdict, why, changes. */
void mt_extauthz_read(struct mt_extauthz_slot *s, const uint8_t *data, size_t len);
static inline void mt_extauthz_unjudged(struct mt_extauthz_slot *s, enum mt_extauthz_outcome why)
{
	s->verdict = MT_EXTAUTHZ_UNJUDGED;
	s->why = why;
	s->n_changes = 0;
}

/* ---- provider.c: channels -------------------------------------------------------------------------- */
/* The question is on its way, or answered that it cannot be. */
void mt_extauthz_begin(struct mt_extauthz *x, struct mt_extauthz_call *c);
/* Connections, time-outs, channels that nobody has any more. How long the thread may sleep, ms; -1: for good. */
int mt_extauthz_channels_turn(struct mt_extauthz *x);
void mt_extauthz_channels_fini(struct mt_extauthz *x);
