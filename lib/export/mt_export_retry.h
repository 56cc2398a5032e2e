/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When is a request sent again that a collector did not take? The rules of OTLP 1.10, "Failures" of
 * OTLP/gRPC: only temporary failures, after the delay that the server specifies, otherwise after an
 * exponential back-off with jitter. A delay holds for the connection on which it was specified.
 */
#pragma once

#include "mt_base.h"
#include "mt_rand.h"

#define MT_EXPORT_BACKOFF_MIN (1 * MT_SEC)
#define MT_EXPORT_BACKOFF_MAX (30 * MT_SEC)

struct mt_export_retry {
	uint64_t at;	  /* the request may be sent again */
	uint64_t quiet;	  /* the collector accepts no request before this time */
	uint64_t backoff; /* of the next failure */
	bool told;	  /* the reply to this call had a delay */
};

/* The back-off starts again: at the first request, and after each one that was taken. */
static inline void mt_export_retry_reset(struct mt_export_retry *r)
{
	r->at = 0;
	r->backoff = MT_EXPORT_BACKOFF_MIN;
}

/* A call starts. */
static inline void mt_export_retry_call(struct mt_export_retry *r)
{
	r->told = false;
}

/* The server specified a delay (mt_grpc_stream_events.retry). */
void mt_export_retry_told(struct mt_export_retry *r, uint64_t now, uint64_t delay);
/*
 * True if the failure is temporary: CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE,
 * UNAVAILABLE, DATA_LOSS; RESOURCE_EXHAUSTED only if the server specified a delay.
 */
bool mt_export_retry_is_temporary(const struct mt_export_retry *r, int status);
/* A call failed temporarily: sets `at`. */
void mt_export_retry_again(struct mt_export_retry *r, uint64_t now, struct mt_rand *rng);
/*
 * There is a new connection, perhaps to another process: a delay that was specified on an earlier
 * one does not apply any more. At most the back-off is waited.
 */
void mt_export_retry_connected(struct mt_export_retry *r, uint64_t now, struct mt_rand *rng);
