/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of client/: client connections. */
#pragma once

#include "call/mt_call_priv.h"

/* downstream.c */
struct mt_down *mt_down_of(struct mt_stream *s);
/* The connection is this protocol's. false: there is no room. */
bool mt_down_begin(
	struct mt_proxy *p, struct mt_stream *s, const struct mt_filter_chain_proto *proto);
/* A long request, or the unwanted rest of one, is still arriving. */
static inline bool mt_down_in_message(const struct mt_down *d)
{
	return d->skip_left || !mt_ref_is_none(d->cur);
}
void mt_down_free(struct mt_proxy *p, struct mt_down *d);
void mt_down_timer(struct mt_proxy *p, struct mt_down *d);
void mt_down_arm(struct mt_proxy *p, struct mt_down *d);
uint32_t mt_down_owed(const struct mt_down *d);

/* worker_drain.c: once p->now has reached p->drain.next */
void mt_drain_turn(struct mt_proxy *p);

/* drain.c: the end of a client's connection that we want */
/* The client is told; what it has sent, and sends until it is quiet, is served; then FIN. It may have ended on return. */
void mt_down_drain(struct mt_proxy *p, struct mt_down *d);
/* The same where nothing is awaited of it: FIN as soon as nothing is owed and nothing is there. */
void mt_down_end(struct mt_proxy *p, struct mt_down *d);
/* It is wound up, and `what` is the answer to requests that still come: nothing serves it any more. */
void mt_down_unserve(struct mt_proxy *p, struct mt_down *d, enum mt_local_reply what);
/* Nothing more is decoded: what is there is dropped. */
void mt_down_close(struct mt_proxy *p, struct mt_down *d);
/* The message that has begun never ends: it is dropped, and what is owed goes. It may have ended on return. */
void mt_down_cut_short(struct mt_proxy *p, struct mt_down *d, enum mt_proxy_outcome why);
/* A timer of one that is wound up; false: it has ended. */
bool mt_down_drain_on(struct mt_proxy *p, struct mt_down *d);

/* evict.c: the ledger's part of streams' users (mt_stream.h: holds, evict) */
void mt_down_holds(struct mt_stream *s, struct mt_sums *sums);
void mt_down_evict(struct mt_stream *s, enum mt_class c);

/* reply.c: what goes back to clients */
/*
 * Returns the first call that is not one-way; NULL if all are. Many one-way calls may wait for
 * their acknowledgement, so each is passed once.
 */
struct mt_exchange *mt_reply_first(struct mt_down *d);
/* READY, REPLYING: bytes of the reply wait here for the client. */
static inline bool mt_reply_waits(const struct mt_exchange *ex)
{
	return (ex->state == MT_EX_READY || ex->state == MT_EX_REPLYING) &&
	       mt_list_linked(&ex->queue_node);
}
/* The one that waits and whose turn it is: the client's `writable` goes on with it. NULL: the reply that is in turn has not come. */
struct mt_exchange *mt_reply_next(struct mt_proxy *p, struct mt_down *d);
/* Goes on with what waits for the client, in turn, as far as it has room. */
void mt_reply_flush(struct mt_proxy *p, struct mt_down *d);

/* ---- leave.c ---- */

/* True if the client has sent FIN and its protocol's clients never half-close. */
static inline bool mt_down_closed(const struct mt_down *d)
{
	return mt_unlikely(d->eof) && d->codec->client_whole_close;
}

/*
 * Ends the calls of a client that has closed its connection, except those that go on, and sets
 * mt_down.leave_at. Does not close the connection, but look whether it is still there.
 */
void mt_leave(struct mt_proxy *p, struct mt_down *d);

/* ---- chain_selection.c ---- */

/* Of its connection; the context is the proxy, owner_idx the object's. */
extern const struct mt_stream_user mt_chain_selection_user;

/* Its timer: silence decides, or its time is over. It may be gone on return, as behind the two below. */
void mt_chain_selection_timer(struct mt_proxy *p, struct mt_chain_selection *u);
/* Another snapshot: it is decided anew, under its listener there. */
void mt_chain_selection_snap_move(struct mt_proxy *p, struct mt_chain_selection *u);
/* Resets it, and counts it as `why`. */
void mt_chain_selection_reset(
	struct mt_proxy *p, struct mt_chain_selection *u, enum mt_proxy_outcome why);
