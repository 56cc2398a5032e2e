/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What folders use of folders above them: these declarations, and no other ones.
 * tests/lint/folders.py keeps the list of the symbols, which only shrinks.
 */
#pragma once

#include "mt_proxy_types.h"

/* ---- proxy.c ---- */

void mt_snap_hold(struct mt_proxy *p, struct mt_snapshot *s);
void mt_snap_drop(struct mt_proxy *p, struct mt_snapshot *s);

/* ---- snapshot_move.c ---- */

/* Moves a connection to the current snapshot. */
void mt_down_snap_move(struct mt_proxy *p, struct mt_down *d);
/* Moves a call that is not on its way to the current snapshot; false: its service is gone. */
bool mt_exchange_snap_move(struct mt_proxy *p, struct mt_exchange *ex);
/* One that waits in front of an endpoint: to the newest configuration, with the changes that are kept for it. */
void mt_exchange_renew(struct mt_proxy *p, struct mt_exchange *ex);
/* One that waits at a gate likewise, to be judged there by what holds now; false: it cannot, and is answered. */
bool mt_exchange_renew_at_gate(struct mt_proxy *p, struct mt_exchange *ex);
/* Moves a byte stream that is not joined yet; what serves it there, NULL: gone. */
const struct mt_filter_chain_proto *mt_connecting_snap_move(
	struct mt_proxy *p, const struct mt_stream *s, struct mt_connecting *j);

/* ---- client/downstream.c, downdecode.c ---- */

/* An accepted connection finds no object: counts that it is refused. Always false. */
bool mt_down_no_room(struct mt_proxy *p);
/*
 * downdecode.c. Decodes what is there; also called when something that paused it has changed. Inside
 * the run of a call: later in this loop iteration, or in the next one.
 */
void mt_down_pump(struct mt_proxy *p, struct mt_down *d);
/* FIN when nothing is owed any more and the client ended (or we want to). */
void mt_down_maybe_finish(struct mt_proxy *p, struct mt_down *d);
/* RST now; every exchange ends. */
void mt_down_reset(struct mt_proxy *p, struct mt_down *d, enum mt_proxy_outcome why);
/* What a stream is told that is aborted for this. */
enum mt_abort_reason mt_abort_of(enum mt_proxy_outcome why);
extern const struct mt_stream_user mt_down_user;
/* Clients that are connected, to listeners of any kind. */
static inline bool mt_downs_full(const struct mt_proxy *p)
{
	return p->downs.in_use + p->pairs.in_use + p->selections.in_use +
		       (p->tls ? p->tls->coming : 0) >=
	       p->conf.max_down;
}

/* ---- client/chain_selection.c ---- */

/* A client of a listener that has to be chosen from; `chain`: which it is, if that is known. false: it is refused. */
bool mt_chain_selection_accept(struct mt_proxy *p, struct mt_stream *s, const struct mt_listener *l,
	const struct mt_filter_chain *chain);

/* ---- client/evict.c ---- */

void mt_up_evict(struct mt_stream *s, enum mt_class c);
/* The call waits with us: its request is charged to its client; also when the request has changed. */
void mt_exchange_waits(struct mt_proxy *p, struct mt_exchange *ex);
void mt_exchange_waits_no_more(struct mt_proxy *p, struct mt_exchange *ex);
/* So much more, or less, of its replies is held. */
static inline void mt_down_held(struct mt_down *d, int64_t more)
{
	d->held += more;
	if (more && mt_likely(d->s))
		mt_stream_touch(d->s);
}

/* ---- client/leave.c ---- */

/* The same for a call that is decoded after its client's FIN. True if it has ended. */
bool mt_leave_call(struct mt_proxy *p, struct mt_down *d, struct mt_exchange *ex);
/*
 * Ends a call when its reply comes, because of mt_down.left. Its client's connection may end, and a
 * server connection that the call has alone.
 */
void mt_leave_answered(struct mt_proxy *p, struct mt_exchange *ex);

/* ---- client/reply.c ---- */

/* Bytes to the client; the clock of a slow reader starts with the first unread one. */
static inline void mt_reply_send(struct mt_proxy *p, struct mt_down *d, struct mt_chain *c)
{
	if (d->s->tx_queued == 0)
		d->last_ack = p->now;
	mt_stream_send(d->s, c);
}
/* Sends a complete reply (takes the chain) in its turn, and ends the exchange. */
void mt_reply_whole(struct mt_proxy *p, struct mt_exchange *ex, struct mt_chain *reply);
/* A native error in place of a reply, and the end of the exchange. */
void mt_reply_local(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what, const char *text);
/*
 * Bytes that belong to no exchange (heartbeat answers, refusals without one): now, or behind a long reply under
 * way. They count as owed.
 */
void mt_reply_aside(struct mt_proxy *p, struct mt_down *d, struct mt_chain *c);
/* Whether no earlier call of the client's is owed a reply. */
bool mt_reply_is_first(struct mt_down *d, const struct mt_exchange *ex);
/* After a send or a hold: notes whether more than the soft limit is owed. */
void mt_reply_budget(struct mt_proxy *p, struct mt_down *d);
/*
 * Whether `len` bytes of its reply may be sent now: it is its turn, nothing of it waits and the client has
 * room. Bytes that may not are given to mt_reply_wait(), by which the exchange is woken.
 */
bool mt_reply_may_go(struct mt_down *d, const struct mt_exchange *ex, uint32_t len);
/* READY, REPLYING: puts the exchange behind those that wait for the client; if it is there already, it stays in its place. */
void mt_reply_wait(struct mt_down *d, struct mt_exchange *ex);
/* After an exchange ended: others may be in turn, requests may be read again, or nothing is owed. */
void mt_reply_settle(struct mt_proxy *p, struct mt_ref down);

/* ---- call/run.c, timeout.c ---- */

/*
 * Leads the call on, from mt_exchange.step. Its state is ROUTING, and it is in no list of calls that
 * wait. Afterwards it is on its way to a server, waits, or was answered, and may be freed. Inside
 * the run of another call it is put off until the end of the loop iteration.
 */
void mt_call_run(struct mt_proxy *p, struct mt_exchange *ex);
/* Binds the view to the request of the exchange, and moves its kept changes to the view. */
void mt_call_show(struct mt_proxy *p, struct mt_exchange *ex);
/*
 * Time that is left until the call's time-out, ms; at least 1. As long as the call has no route,
 * the time-out is that of the service or the caller.
 */
uint32_t mt_call_left(struct mt_proxy *p, struct mt_exchange *ex);

/* ---- call/exchange.c ---- */

/* The connection that its attempt rides on or waits for. */
struct mt_up *mt_exchange_up(struct mt_proxy *p, const struct mt_exchange *ex);
/* The one end of an exchange: frees its chains, turns its place upstream into a tombstone if needed. */
void mt_exchange_end(struct mt_proxy *p, struct mt_exchange *ex);
void mt_exchange_expired(struct mt_proxy *p, struct mt_exchange *ex);
/* Never sent: runs the call again, at another endpoint, or answers it by `what`. */
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

/* ---- call/filters.c ---- */

/* A limit in the server's place. false: the call is over it, and was answered. */
bool mt_exchange_within(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_filter_inst *limit);
/* Of an exchange that has some, on a reply that the view shows. false: one answers in its place (p->filter_ctx). */
bool mt_exchange_filters_reply(struct mt_proxy *p, struct mt_exchange *ex);
/* Its metadata are not those any more by which its route was found. */
static inline void mt_exchange_changed(struct mt_exchange *ex)
{
	if (ex->route)
		ex->routed = ex->route->id;
}

/* ---- call/on_demand.c ---- */

/* The stream waits; false: it is not going to be there. */
bool mt_on_demand_stream(struct mt_proxy *p, struct mt_pair *pr, struct mt_connecting *j);
void mt_on_demand_stream_left(struct mt_proxy *p, struct mt_connecting *j);

/* ---- call/record.c ---- */

/* It is to be an exemplar, if it is answered: asks for its trace, in p->view. */
void mt_exchange_sample(struct mt_proxy *p, struct mt_exchange *ex);

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
/* The server's FIN is there and all before it is decoded: ends the connection, perhaps only when more is known. */
void mt_up_peer_ended(struct mt_proxy *p, struct mt_up *u);

/* ---- call/unacked.c ---- */

/* Something was acknowledged, and some wait for it. false: the connection is gone. */
bool mt_unacked_look(struct mt_proxy *p, struct mt_up *u);
/*
 * The call, one-way by its own words, is sent in full: its exchange lives until its bytes are acknowledged, and counts neither for its
 * endpoint nor for its client's limit. false: there are too many of them, it is to end now.
 */
bool mt_unacked_wait(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a);

/* ---- call/health_check.c ---- */

/* Asks an endpoint that was just put aside whether it is back; when its time is over, until it answers. */
void mt_health_check_begin(
	struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_ep_where *at);

/* ---- session/opaque.c ---- */

/* What serves the client's address in the current snapshot; NULL: nothing. */
const struct mt_filter_chain_proto *mt_opaque_proto(struct mt_proxy *p, const struct mt_pair *pr);
static inline const struct mt_service *mt_opaque_service(const struct mt_filter_chain_proto *proto)
{
	return proto && proto->n_services ? proto->services[0] : NULL;
}

/* ---- pool/upstream.c ---- */

void mt_up_arm(struct mt_proxy *p, struct mt_up *u);
/* Resets it; calls that are out on it are answered natively with `what`. */
void mt_up_kill(
	struct mt_proxy *p, struct mt_up *u, enum mt_local_reply what, enum mt_proxy_outcome why);
/* No call needs a reply from it any more, and none is on its way. */
bool mt_up_nothing_awaited(const struct mt_up *u);
/* Whose fault the end of a connection is, while its calls are still known. */
struct mt_blame {
	struct mt_ep_state *ep; /* NULL: nobody's */
	const struct mt_outlier_rule *rule;
};
struct mt_blame mt_up_blame(struct mt_proxy *p, struct mt_up *u);
/* Bytes to the server. */
static inline void mt_up_send(struct mt_up *u, struct mt_chain *c)
{
	u->given += c->len;
	mt_stream_send(u->s, c);
}

/* ---- pool/lane.c ---- */

/* The address that a client's connection counts for (IPv6: its /64). */
struct mt_addr mt_client_holder(const struct mt_stream *s);
/* What kind of connection a call takes. */
enum mt_up_role mt_lane_role(const struct mt_lanes *ln, const struct mt_exchange *ex);

/* ---- pool/idring.c ---- */

/* The connection's next id, without a slot of a ring. */
uint64_t mt_id_next(struct mt_up *u);
