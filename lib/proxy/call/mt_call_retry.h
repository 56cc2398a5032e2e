/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retained.c, again.c, retry.c, unacked.c: further attempts of calls, and the calls on a server
 * connection that ends. Included by mt_call_priv.h.
 */
#pragma once

#include "session/mt_session_priv.h"

/*
 * Subtracts a call from mt_down.backing_off, because it does not wait for its next attempt any
 * more, or loses its retained request.
 */
static inline void mt_down_backs_off_less(struct mt_proxy *p, struct mt_down *d, uint32_t truesize)
{
	d->backing_off -= truesize;
	mt_down_waits_for_less(p, d);
}

/* retained.c */
/* True if the request is complete, and short enough to be retained. */
bool mt_retained_fits(const struct mt_exchange *ex);
/* True if memory for retained requests is left. */
bool mt_retained_has_room(const struct mt_proxy *p);
/* Appends the bytes of a request to another chain. 0 or -ENOMEM. */
int mt_retained_copy(struct mt_proxy *p, const struct mt_chain *from, struct mt_chain *to);
/* Retains the request of an exchange with a client. False: it does not fit, or memory is short. */
bool mt_retained_keep(struct mt_proxy *p, struct mt_exchange *ex);
/* Gives the exchange the retained request in place of its bytes. 0 or -ENOMEM. */
int mt_retained_restore(struct mt_proxy *p, struct mt_exchange *ex);
/* Frees the retained request, so that the retry policy allows no further attempt. */
void mt_retained_drop(struct mt_proxy *p, struct mt_exchange *ex);

/* again.c */
/*
 * Decides about a complete reply that is an error, before the reply leaves its connection. True:
 * the call waits for another attempt, and the caller drops the reply.
 */
bool mt_again_rejects(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply);
/* Retains the request for further attempts if the retry policy, length and memory allow this. */
__attribute__((noinline, hot)) void mt_again_arm(struct mt_proxy *p, struct mt_exchange *ex);
/*
 * Ends the attempt if the retry policy allows another one for the reason `why`. True: the call
 * waits for the next attempt; if its route is gone after the wait, it is answered by `what`. False:
 * the retained request is dropped, and the caller answers the call.
 */
bool mt_again_later(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_retry_on why, enum mt_local_reply what);
static inline bool mt_again(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_retry_on why, enum mt_local_reply what)
{
	return mt_unlikely(ex->armed) && mt_again_later(p, ex, why, what);
}
/* Returns the unit of the retry budget. */
void mt_again_unit(struct mt_proxy *p, struct mt_exchange *ex);
/* Frees the retained request and returns the unit of the retry budget. One of them must exist. */
void mt_again_ended(struct mt_proxy *p, struct mt_exchange *ex);
/* Ends what a call has for further attempts, because it is answered. */
static inline void mt_again_end(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (mt_unlikely(ex->retained | ex->budgeted))
		mt_again_ended(p, ex);
}
/* Runs or answers a call whose back-off is over. */
void mt_again_wake(struct mt_proxy *p, struct mt_exchange *ex);

/* retry.c */
/*
 * Starts another attempt of a call that the server has provably not read; its bytes are in `req`.
 */
void mt_exchange_retry_unread(struct mt_proxy *p, struct mt_exchange *ex);
/*
 * Ends the stream as `how` specifies. Calls that the server provably has not read are sent again.
 * Other calls get the local reply `what`, unless they wait for an attempt by the retry policy or
 * are known to be one-way. Returns whether there were other calls.
 */
struct mt_up_lost mt_up_end_calls(struct mt_proxy *p, struct mt_up *u, struct mt_stream *s,
	enum mt_up_end how, enum mt_local_reply what, const char *text, enum mt_abort_reason why);
/*
 * Ends a connection after its server's FIN, when all bytes before the FIN are decoded. While it is
 * not known which calls the server has read, drains the connection instead, and checks again later.
 */
void mt_up_peer_ended(struct mt_proxy *p, struct mt_up *u);

/* ---- unacked.c ---- */

/* Counts the call as outstanding again, because it will be sent again. */
void mt_unacked_again(struct mt_proxy *p, struct mt_exchange *ex);
/* Ends a call that was not acknowledged in time; its connection continues. */
void mt_unacked_expired(struct mt_proxy *p, struct mt_exchange *ex);
/* Ends the call, and counts it as sent. */
void mt_unacked_end(struct mt_proxy *p, struct mt_exchange *ex);
/* Moves the calls that are acknowledged up to this position to another list. */
void mt_unacked_take(struct mt_up *u, uint64_t acked, struct mt_list *to);
/*
 * Ends the one-way calls that the server's TCP stack has acknowledged completely. False: the
 * connection is gone.
 */
bool mt_unacked_look(struct mt_proxy *p, struct mt_up *u);
/*
 * Keeps the exchange of a one-way call that was sent completely until its bytes are acknowledged.
 * The call no longer counts at its endpoint or in its client's limit. False: too many such calls
 * are kept, or it is a mirrored copy; the caller ends the call now.
 */
bool mt_unacked_wait(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a);
