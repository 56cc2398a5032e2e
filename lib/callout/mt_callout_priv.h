/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations shared by the files of lib/callout, and for tests that take the thread's place. */
#pragma once

#include "mt_callout.h"

/* A provider that was queried, and its connection. Thread only, except `why`. */
struct mt_callout_channel {
	struct mt_list node;
	struct mt_callout *x;
	struct mt_callout_provider *provider; /* reference */
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

/* ---- lane.c ---------------------------------------------------------------------------------- */
bool mt_callout_lane_init(struct mt_callout *x, struct mt_callout_lane *l);
void mt_callout_lane_fini(struct mt_callout_lane *l);
/* Thread: the next query of the worker; NULL if there is none. */
struct mt_callout_slot *mt_callout_lane_asked(struct mt_callout_lane *l);
/* Thread: counts the result and hands the slot back to the worker. */
void mt_callout_lane_answered(struct mt_callout_slot *s);
/* Wakes the thread if it sleeps. Any thread. */
void mt_callout_ring_bell(struct mt_callout *x);

static inline struct mt_callout_slot *mt_callout_slot_at(
	const struct mt_callout_lane *l, uint32_t i)
{
	return (struct mt_callout_slot *)(void *)(l->slots + i * l->x->kind->slot_size);
}

/* ---- provider.c: channels -------------------------------------------------------------------- */
/* Sends the query or queues it for the connection; if neither is possible, answers it as failed. */
void mt_callout_begin(struct mt_callout *x, struct mt_callout_slot *s);
/*
 * One loop iteration: connections, timeouts, unused channels. Returns how many ms the thread may
 * sleep; -1: without limit.
 */
int mt_callout_channels_turn(struct mt_callout *x);
void mt_callout_channels_fini(struct mt_callout *x);
