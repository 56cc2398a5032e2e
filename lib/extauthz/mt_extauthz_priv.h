/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations shared by the files of lib/extauthz. */
#pragma once

#include "mt_extauthz.h"
#include "mt_grpc.h"
#include "mt_list.h"

#include <pthread.h>

/*
 * Ring of slot numbers for one producer and one consumer. It has an entry for every slot, so it
 * never overflows.
 */
struct mt_extauthz_ring {
	mt_cache_aligned uint32_t head;
	mt_cache_aligned uint32_t tail;
	uint8_t v[MT_EXTAUTHZ_SLOTS];
};

/* State of a query that only the thread uses. */
struct mt_extauthz_call {
	struct mt_list node; /* in `calls` of its channel */
	struct mt_extauthz_lane *lane;
	struct mt_extauthz_slot *slot;
	struct mt_extauthz_channel *channel;
	struct mt_grpc_stream *stream; /* NULL while it waits for the connection */
	uint64_t give_up;
	bool own_time; /* give_up is from the call's own timeout */
	bool answered;
	bool again; /* sent again, because its first connection ended */
};

struct mt_extauthz_lane {
	struct mt_extauthz_ring asked, answered;
	struct mt_extauthz *x;
	struct mt_extauthz_slot *slots; /* backed by memory only once they are used */
	/* Worker only. */
	uint8_t free[MT_EXTAUTHZ_SLOTS];
	uint32_t n_free;
	/* Thread only. */
	struct mt_extauthz_call calls[MT_EXTAUTHZ_SLOTS];
	void (*wake)(uint64_t who);
	uint64_t who;
};

struct mt_extauthz_provider {
	uint32_t refs; /* atomic */
	uint32_t id;
	char *name;
	char **servers;
	uint32_t n_servers;
	uint64_t timeout;
	bool fail_open, has_tls;
	struct mt_grpc_tls tls; /* refers to the texts below; holds a reference to the credential */
	char *server_name;
	char **sans;
};

/* A provider that was queried, and its connection. Thread only, except `why`. */
struct mt_extauthz_channel {
	struct mt_list node;
	struct mt_extauthz *x;
	struct mt_extauthz_provider *provider; /* reference */
	struct mt_grpc *grpc;
	struct mt_list calls;
	bool useful;	 /* a query was answered over this connection */
	bool up_unasked; /* no query was waiting when this connection came up */
	/*
	 * The server sent GOAWAY: another channel takes new queries; this one is closed after its
	 * last query.
	 */
	bool leaves;
	/* x->lock: why there is no connection; "" if there is one or no attempt failed. */
	char why[200];
};

struct mt_extauthz {
	mt_cache_aligned uint32_t rung; /* workers set it, the thread clears it */
	uint32_t asleep;		/* the thread writes it, workers read it */
	uint32_t stop;
	struct mt_fd_watch bell;
	pthread_t id;
	bool started;
	uint32_t n_lanes;
	struct mt_extauthz_lane *lanes;
	/* Thread only. */
	struct mt_fds fds;
	struct mt_resolver *names;
	struct mt_rand rng;
	struct mt_list channels;
	uint64_t now, swept;
	uint64_t counters[MT_EXTAUTHZ_N_OUTCOMES];
	pthread_mutex_t
		lock; /* guards `channels` and their `why`; mt_extauthz_trouble() reads them */
};

/* ---- lane.c ---------------------------------------------------------------------------------- */
bool mt_extauthz_lane_init(struct mt_extauthz *x, struct mt_extauthz_lane *l);
void mt_extauthz_lane_fini(struct mt_extauthz_lane *l);
/* Thread: the next query of the worker; NULL if there is none. */
struct mt_extauthz_call *mt_extauthz_lane_asked(struct mt_extauthz_lane *l);
/* Thread: counts the result and hands the slot back to the worker. */
void mt_extauthz_lane_answered(struct mt_extauthz_call *c);
/* Wakes the thread if it sleeps. Any thread. */
void mt_extauthz_ring_bell(struct mt_extauthz *x);

/* ---- question.c, answer.c -------------------------------------------------------------------- */
/* Encodes a CheckRequest, allocated with malloc(). NULL: no memory, or the texts do not fit. */
uint8_t *mt_extauthz_pack(const struct mt_extauthz_slot *s, size_t *len);
/* Decodes a CheckResponse into the slot: verdict, why, changes. */
void mt_extauthz_read(struct mt_extauthz_slot *s, const uint8_t *data, size_t len);
static inline void mt_extauthz_unjudged(struct mt_extauthz_slot *s, enum mt_extauthz_outcome why)
{
	s->verdict = MT_EXTAUTHZ_UNJUDGED;
	s->why = why;
	s->n_changes = 0;
}

/* ---- provider.c: channels -------------------------------------------------------------------- */
/* Sends the query or queues it for the connection; if neither is possible, answers it as failed. */
void mt_extauthz_begin(struct mt_extauthz *x, struct mt_extauthz_call *c);
/*
 * One loop iteration: connections, timeouts, unused channels. Returns how many ms the thread may
 * sleep; -1: without limit.
 */
int mt_extauthz_channels_turn(struct mt_extauthz *x);
void mt_extauthz_channels_fini(struct mt_extauthz *x);
