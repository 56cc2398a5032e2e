/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that a folder of lib/proxy uses although they are in a folder above it.
 * tests/lint/folders.py keeps their list, which only shrinks.
 */
#pragma once

#include "mt_proxy_types.h"

/* ---- call/run.c ---- */

/*
 * Advances the call from mt_exchange.step on. Its state is ROUTING, and it is in no list of calls
 * that wait. Afterwards it is sent or in the pool, waits, or was answered, and may be freed. Inside
 * the run of another call it is put off until the end of the loop iteration.
 */
void mt_call_run(struct mt_proxy *p, struct mt_exchange *ex);

/* ---- call/exchange.c ---- */

/*
 * Ends and frees an exchange; no other function frees it. If its reply may still come, its place on
 * the server connection becomes a tombstone.
 */
void mt_exchange_end(struct mt_proxy *p, struct mt_exchange *ex);
/*
 * mt_exchange.deadline has passed: ends the wait for an on-demand cluster, verdict, filter or
 * acknowledgement, the back-off, the attempt (mt_retry.try_ms), or the call.
 */
void mt_exchange_expired(struct mt_proxy *p, struct mt_exchange *ex);
/* Runs an unsent call again, at another endpoint, or answers it by `what`. */
void mt_exchange_retry(struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what);
/* Counts the outcome of a reply by the server. */
void mt_exchange_count_reply(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply);

/* ---- call/again.c ---- */

/*
 * Decides about a complete reply that is an error, before the reply leaves its connection. True:
 * the call waits for another attempt, and the caller drops the reply.
 */
bool mt_again_rejects(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply);

/* ---- call/reply_wait.c ---- */

/*
 * Runs the exchange's filters on its complete reply `msg`, which the view shows, and counts the
 * steps that they take as decoding of its connection. The exchange must have filters. False: a
 * filter waits, or has answered the call; the bytes of `reply` are taken.
 */
bool mt_exchange_filters_reply(struct mt_proxy *p, struct mt_exchange *ex,
	struct mt_reading *reading, const struct mt_msg *msg, struct mt_chain *reply);
/* Notes that the metadata have changed since the call was routed. */
static inline void mt_exchange_changed(struct mt_exchange *ex)
{
	if (ex->route)
		ex->routed = ex->route->id;
}

/* ---- call/retry.c ---- */

enum mt_up_end {
	MT_UP_END_GONE, /* inside closed() */
	MT_UP_END_ABORT,
	MT_UP_END_DETACH, /* but aborted if something has to be sent again */
};
/* The calls that ended with their connection. */
struct mt_up_lost {
	bool any;
	bool counted; /* as failures of the endpoint; not if all of them are known to have no reply */
};
/*
 * Ends the stream as `how` specifies. Calls that the server provably has not read are sent again;
 * all others get the local reply `what` and are returned.
 */
struct mt_up_lost mt_up_end_calls(struct mt_proxy *p, struct mt_up *u, struct mt_stream *s,
	enum mt_up_end how, enum mt_local_reply what, const char *text, enum mt_abort_reason why);
/*
 * Ends a connection after its server's FIN, when all bytes before the FIN are decoded. Waits if it
 * is not known yet which calls were read.
 */
void mt_up_peer_ended(struct mt_proxy *p, struct mt_up *u);

/* ---- call/unacked.c ---- */

/*
 * The server's TCP stack has acknowledged bytes, and one-way calls wait for that: ends those that
 * are delivered. False: the connection is gone.
 */
bool mt_unacked_look(struct mt_proxy *p, struct mt_up *u);
/*
 * Keeps the exchange of a one-way call that was sent completely until its bytes are acknowledged.
 * It no longer counts at its endpoint or in its client's limit. False: too many such calls are
 * kept, so the caller ends this one now.
 */
bool mt_unacked_wait(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a);
