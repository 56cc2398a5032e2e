/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of client/: client connections. */
#pragma once

#include "call/mt_call_priv.h"

/* downstream.c */
struct mt_down *mt_down_of(struct mt_stream *s);
/*
 * downdecode.c. Decodes the received bytes of a client; also called when a reason to pause is gone.
 * Inside the run of a call the connection is only queued (mt_readings), for this or the next loop
 * iteration.
 */
void mt_down_pump(struct mt_proxy *p, struct mt_down *d);
/*
 * Ends the connection, normally by FIN, if the client has sent FIN or a drain has begun, no call is
 * outstanding, and no further message is expected.
 */
void mt_down_maybe_finish(struct mt_proxy *p, struct mt_down *d);
/* Resets the connection and ends its exchanges. */
void mt_down_reset(struct mt_proxy *p, struct mt_down *d, enum mt_proxy_outcome why);
extern const struct mt_stream_user mt_down_user;
/* Makes the stream a client connection of this protocol. False: no object is free. */
bool mt_down_begin(struct mt_proxy *p, struct mt_stream *s, const struct mt_listener *l,
	const struct mt_filter_chain_proto *proto);
/* True while the rest of a long request is forwarded, or is skipped. */
static inline bool mt_down_in_message(const struct mt_down *d)
{
	return d->skip_left || !mt_ref_is_none(d->cur);
}
void mt_down_free(struct mt_proxy *p, struct mt_down *d);
void mt_down_timer(struct mt_proxy *p, struct mt_down *d);
void mt_down_arm(struct mt_proxy *p, struct mt_down *d);
uint32_t mt_down_owed(const struct mt_down *d);

/* down_move.c */
/* Moves a connection to the current snapshot. Returns the cost, in objects. */
uint32_t mt_down_snap_move(struct mt_proxy *p, struct mt_down *d);
/*
 * A client that came while its listener drained has its turn: it drains, unless the listener
 * accepts clients for good again. The connection may have ended on return.
 */
void mt_down_drain_late(struct mt_proxy *p, struct mt_down *d);

/* worker_drain.c: continues the worker's drain; call when p->now has reached p->drain.next. */
void mt_drain_turn(struct mt_proxy *p);

/* drain.c: drain of a client connection */
/*
 * Begins the drain (drain.c), or shortens it. The connection may have ended on return. `ms`: its
 * time; 0: until the client is quiet, or the worker closes. mt_down_drain() takes drain_ms.
 */
void mt_down_drain_in(struct mt_proxy *p, struct mt_down *d, uint32_t ms);
void mt_down_drain(struct mt_proxy *p, struct mt_down *d);
/*
 * For a client that comes while its listener drains, in `ms`: it is served for a third of that time
 * before its drain begins. mt_down_drain_due(): when that is; MT_NEVER: not at all.
 */
void mt_down_drain_later(const struct mt_proxy *p, struct mt_down *d, uint32_t ms);
uint64_t mt_down_drain_due(const struct mt_proxy *p, const struct mt_down *d);
/*
 * Ends the connection without a notification, as soon as no reply is outstanding and nothing is
 * received.
 */
void mt_down_end(struct mt_proxy *p, struct mt_down *d);
/* Drains a connection that nothing serves any more; further requests get the local reply `what`. */
void mt_down_unserve(struct mt_proxy *p, struct mt_down *d, enum mt_local_reply what);
/* Stops decoding and drops received bytes, except those of a message that is being forwarded. */
void mt_down_close(struct mt_proxy *p, struct mt_down *d);
/*
 * Gives up a message that has begun; outstanding replies are still sent. The connection may have
 * ended on return.
 */
void mt_down_cut_short(struct mt_proxy *p, struct mt_down *d, enum mt_proxy_outcome why);
/* Continues a drain when its timer fires. False: the connection has ended. */
bool mt_down_drain_on(struct mt_proxy *p, struct mt_down *d);

/* evict.c: `holds` and `evict` of mt_down_user (mt_stream.h), for the ledger */
void mt_down_holds(struct mt_stream *s, struct mt_sums *sums);
void mt_down_evict(struct mt_stream *s, enum mt_class c);

/* reply.c: replies to clients */
/* True if bytes of the call's reply (state READY or REPLYING) wait here for the client. */
static inline bool mt_reply_waits(const struct mt_exchange *ex)
{
	return (ex->state == MT_EX_READY || ex->state == MT_EX_REPLYING) &&
	       mt_list_linked(&ex->queue_node);
}
/*
 * The waiting reply that is sent next, as soon as the client's send queue has room. NULL: no reply
 * waits, or the reply that is next in turn has not come.
 */
struct mt_exchange *mt_reply_next(struct mt_proxy *p, struct mt_down *d);
/* Sends waiting replies in turn, as far as the client's send queue has room. */
void mt_reply_flush(struct mt_proxy *p, struct mt_down *d);

/* ---- leave.c ---- */

/* True if the client has sent FIN and its protocol's clients never half-close. */
static inline bool mt_down_closed(const struct mt_down *d)
{
	return mt_unlikely(d->eof) && d->codec->client_whole_close;
}

/*
 * Ends the calls of a client that has closed its connection, except those that go on, and sets
 * mt_down.leave_at. Does not finish the connection, but it may have been reset on return.
 */
void mt_leave(struct mt_proxy *p, struct mt_down *d);

/*
 * Call when a reply comes to a call of a client that has left (mt_down.left): ends the call, and
 * perhaps the client's connection, and a server connection that has this call only.
 */
void mt_leave_answered(struct mt_proxy *p, struct mt_exchange *ex);

/* ---- chain_selection.c ---- */

/*
 * Stream user of a client in chain selection; the context is the proxy, owner_idx the object's
 * index.
 */
extern const struct mt_stream_user mt_chain_selection_user;

/*
 * Accepts a client of a listener for which the first bytes select the chain or the protocol.
 * `chain`: the chain, if it is known already; else NULL. False: the client is refused.
 */
bool mt_chain_selection_accept(struct mt_proxy *p, struct mt_stream *s, const struct mt_listener *l,
	const struct mt_filter_chain *chain);
/*
 * Call when the object's timer fires: the client's silence decides, or its time limit has passed.
 * The object may be gone on return, as after the next two functions.
 */
void mt_chain_selection_timer(struct mt_proxy *p, struct mt_chain_selection *u);
/* Starts the selection again with the listener in the current snapshot. */
void mt_chain_selection_snap_move(struct mt_proxy *p, struct mt_chain_selection *u);
/* Resets the client connection and counts the reset as `why`. */
void mt_chain_selection_reset(
	struct mt_proxy *p, struct mt_chain_selection *u, enum mt_proxy_outcome why);
