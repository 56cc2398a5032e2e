/* SPDX-License-Identifier: Apache-2.0 */
/* Types of lib/callout, for protocols that have them as members of their own. */
#pragma once

#include "mt_grpc_target.h"
#include "mt_list.h"

#include <pthread.h>

struct mt_callout;
struct mt_callout_channel;
struct mt_callout_kind;
struct mt_callout_lane;

#define MT_CALLOUT_SLOTS 128 /* outstanding queries of one worker */

struct mt_callout_provider {
	uint32_t refs; /* atomic */
	uint32_t id;   /* never 0, never reused in this process */
	uint64_t owner;
	char *name;
	struct mt_grpc_target *target;
	uint64_t timeout;
	bool fail_open;
};

/* A query and its answer: the start of a protocol's slot. */
struct mt_callout_slot {
	struct mt_callout_lane *lane;
	struct mt_callout_provider *provider; /* reference, while the thread has the slot */
	uint64_t timeout;
	uint32_t index; /* less than MT_CALLOUT_SLOTS */
};

/*
 * Ring of slot numbers for one producer and one consumer. It has an entry for every slot, so it
 * never overflows.
 */
struct mt_callout_ring {
	mt_cache_aligned uint32_t head;
	mt_cache_aligned uint32_t tail;
	uint8_t v[MT_CALLOUT_SLOTS];
};

/* State of a query that only the thread uses. */
struct mt_callout_call {
	struct mt_list node; /* in `calls` of its channel */
	struct mt_callout_slot *slot;
	struct mt_callout_channel *channel;
	struct mt_grpc_stream *stream; /* NULL while it waits for the connection */
	uint64_t give_up;
	bool own_time; /* give_up is from the query's own timeout */
	bool answered;
	bool again; /* sent again, because its first connection ended */
};

struct mt_callout_lane {
	struct mt_callout_ring asked, answered;
	struct mt_callout *x;
	char *slots; /* of kind->slot_size each; backed by memory only once they are used */
	/* Worker only. */
	uint8_t free[MT_CALLOUT_SLOTS];
	uint32_t n_free;
	/* Thread only. */
	struct mt_callout_call calls[MT_CALLOUT_SLOTS];
	void (*wake)(uint64_t who);
	uint64_t who;
};

struct mt_callout {
	mt_cache_aligned uint32_t rung; /* workers set it, the thread clears it */
	uint32_t asleep;		/* the thread writes it, workers read it */
	uint32_t stop;
	const struct mt_callout_kind *kind;
	struct mt_fd_watch bell;
	pthread_t id;
	bool started;
	uint32_t n_lanes;
	struct mt_callout_lane *lanes;
	/* Thread only. */
	struct mt_fds fds;
	struct mt_resolver *names;
	struct mt_rand rng;
	struct mt_list channels;
	uint64_t now, swept;
	pthread_mutex_t
		lock; /* guards `channels` and their `why`; mt_callout_trouble() reads them */
};
