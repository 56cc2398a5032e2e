/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of call/: exchanges and attempts. */
#pragma once

#include "call/mt_call_filters.h"
#include "call/mt_call_retry.h"

/* Events of calls, reported to their clients' connections. client/leave.c has the table. */
struct mt_call_user {
	/*
	 * A call was decoded after its client's FIN: ends it, unless it may go on. True if it has
	 * ended.
	 */
	bool (*leaves)(struct mt_proxy *p, struct mt_down *d, struct mt_exchange *ex);
	/* A call moves to the current snapshot: moves its client's connection before. */
	void (*snap_move)(struct mt_proxy *p, struct mt_down *d);
};
extern const struct mt_call_user mt_call_user;

/* begin.c */
/*
 * Makes and starts the exchange of a request that is decoded, completely or as far as its leading
 * metadata. False: all exchange objects are in use, and nothing has changed.
 */
bool mt_call_begin(struct mt_proxy *p, struct mt_down *d, bool complete);

/* run.c */
/*
 * Advances the call from mt_exchange.step on. Its state is ROUTING, and it is in no list of calls
 * that wait. Afterwards it is sent or in the pool, waits, or was answered, and may be freed. Inside
 * the run of another call it is put off until the end of the loop iteration.
 */
void mt_call_run(struct mt_proxy *p, struct mt_exchange *ex);
/* Runs the calls that were put off (mt_proxy.again), at most `budget` of them. Returns how many. */
uint32_t mt_call_turn(struct mt_proxy *p, uint32_t budget);

/* True if calls under this snapshot leave entries of the access log (mt_call_log.h). */
static mt_inline bool mt_call_log_is_on(const struct mt_proxy *p, const struct mt_snapshot *snap)
{
	return mt_unlikely(snap->log) && p->log.ring;
}

/* renew.c */
/* Moves an unsent call to the current snapshot. False: its service is gone. */
bool mt_exchange_snap_move(struct mt_proxy *p, struct mt_exchange *ex);
/*
 * Moves a call that waits for a verdict at an endpoint to the current snapshot. It is routed again
 * after the verdict, with its changes.
 */
void mt_exchange_renew(struct mt_proxy *p, struct mt_exchange *ex);
/* Answers a call: its service or filters have changed while a filter waited. */
void mt_exchange_wait_is_void(struct mt_proxy *p, struct mt_exchange *ex);

/* choose.c */
/* An endpoint of the call's cluster that may take the call. NULL: the call was answered. */
const struct mt_endpoint *mt_call_choose(struct mt_proxy *p, struct mt_exchange *ex);

/* changes.c; unless noted, false: the call was answered, because its changes cannot be made. */
/* Adds the changes of the call's route to those of the view. */
bool mt_changes_by_route(struct mt_proxy *p, struct mt_exchange *ex);
/* Retains the request and the view's changes, by filters and route. False: no room for it. */
bool mt_changes_retain(struct mt_proxy *p, struct mt_exchange *ex);
/* A retained call was routed again: keeps the view's changes for its further attempts. */
bool mt_changes_renew(struct mt_proxy *p, struct mt_exchange *ex);
/* Authorizes the call at an endpoint, and adds its policies' changes. False, too: it waits. */
bool mt_changes_by_endpoint(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep);
/* Writes the view's changes into the attempt's message. There must be one, or a kept one. */
bool mt_changes_write(struct mt_proxy *p, struct mt_exchange *ex);
/* The same if there are changes. */
static inline bool mt_changes_encode(struct mt_proxy *p, struct mt_exchange *ex)
{
	return mt_likely(p->view.n_mutations == 0 && !ex->changes_kept) || mt_changes_write(p, ex);
}
/*
 * Writes the view's changes into these bytes of the exchange's request. True also if there is
 * nothing to change. False: they cannot be made; nothing has changed.
 */
bool mt_changes_render(
	struct mt_proxy *p, const struct mt_exchange *ex, struct mt_msg *msg, struct mt_chain *c);

/* on_demand.c: clusters that are fetched when they are first used */
/* True if the call's cluster is such a one; the call then waits, or was answered. */
bool mt_on_demand_call(struct mt_proxy *p, struct mt_exchange *ex);
/* The call waits no longer; it is not in the list any more. */
void mt_on_demand_left(struct mt_proxy *p, struct mt_exchange *ex);
void mt_on_demand_expired(struct mt_proxy *p, struct mt_exchange *ex);
/* Checks all that waits again, in the next loop iterations. */
void mt_on_demand_look(struct mt_proxy *p);
/* Call only if mt_on_demand_busy(). Returns how many waiting objects it checked. */
uint32_t mt_on_demand_turn(struct mt_proxy *p);
uint64_t mt_on_demand_next(const struct mt_proxy *p);
static inline bool mt_on_demand_busy(const struct mt_proxy *p)
{
	return p->on_demand.calls.n + p->on_demand.streams.n != 0;
}

/* exchange.c */
/*
 * Ends an attempt that was never sent. True: the call may be run again, at another endpoint. False:
 * too many endpoints were tried, and the call was answered by `what`.
 */
bool mt_exchange_may_retry(struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what);
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
struct mt_exchange *mt_exchange_new(struct mt_proxy *p, struct mt_down *d);
/* Makes the exchange of a mirrored copy of `of`, without a client. */
struct mt_exchange *mt_exchange_new_copy(struct mt_proxy *p, const struct mt_exchange *of);
/* Ends an exchange, because its client's connection ended; cut_off: Meltemi ended the connection. */
void mt_exchange_leave(struct mt_proxy *p, struct mt_exchange *ex, bool cut_off);
/* Ends the attempt and all waiting of an exchange that goes on, because its client gets a reply. */
void mt_exchange_detach(struct mt_proxy *p, struct mt_exchange *ex);
/*
 * Counts a reply for its endpoint only, because a filter waits at it, or answers instead. The
 * attempt is under way.
 */
void mt_exchange_count_attempt(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply);

/* attempt.c */
/* Starts an attempt at the endpoint; it counts there from now on. */
struct mt_attempt *mt_attempt_new(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep);
/*
 * Ends the attempt: it leaves its queue, connection and endpoint. Its place on a shared connection
 * becomes a tombstone. A connection that it had alone may end.
 */
void mt_attempt_end(struct mt_proxy *p, struct mt_attempt *a);
/*
 * A call on the connection has ended alone: arms the time-out of the one before it, if it had none
 * (oneway.c).
 */
void mt_attempt_time_last(struct mt_proxy *p, const struct mt_up *u);
/* The attempt no longer counts as outstanding at its endpoint. */
void mt_attempt_leave_endpoint(struct mt_proxy *p, const struct mt_attempt *a);

/* record.c */
/* Stores the method's name; p->view must show the request. */
void mt_exchange_find_method(struct mt_proxy *p, struct mt_exchange *ex);
/*
 * Makes the call an exemplar of its service's latency. The view must show its request. Call when
 * mt_proxy.exemplar_due is reached.
 */
void mt_exchange_sample(struct mt_proxy *p, struct mt_exchange *ex);
void mt_exchange_replied(struct mt_exchange *ex, enum mt_msg_status status, uint64_t now);
void mt_exchange_answered_here(struct mt_exchange *ex, enum mt_local_reply what);
void mt_exchange_cut_off(struct mt_exchange *ex);
/* How the exchange ended, for filters. */
enum mt_filter_ended mt_exchange_ended(const struct mt_exchange *ex);
/* Records the end of an exchange that is slow, sampled or traced. */
void mt_exchange_record_wanted(struct mt_proxy *p, struct mt_exchange *ex);
static inline void mt_exchange_record(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (mt_unlikely(p->now - ex->started >= p->slow.floor || ex->sampled) ||
		mt_traced(ex->trace))
		mt_exchange_record_wanted(p, ex);
}

/* side.c: for exchanges with mt_exchange.side */
/*
 * The exchange waits no longer: takes it out of the list that it waits in, and frees what it kept.
 */
void mt_side_wait_ends(struct mt_proxy *p, struct mt_exchange *ex);
/* The exchange ends: frees all that belongs to it outside of its object. Runs its filters' end. */
void mt_side_end(struct mt_proxy *p, struct mt_exchange *ex);
/* The worker ends with this exchange still open. */
void mt_side_stop(struct mt_proxy *p, struct mt_exchange *ex);
/* Debug builds and the simulator: asserts that nothing of an exchange with this index is left. */
static inline void mt_side_assert_empty(const struct mt_proxy *p, const struct mt_exchange *ex)
{
#if defined(MT_DEBUG_POOLS) || defined(MT_MUTANTS)
	const struct mt_exchange_side *side = mt_exchange_side(p, ex);

	MT_ASSERT(!ex->side && !ex->filters && !ex->token && !ex->changes_kept &&
		  !ex->awaits_verdict);
	MT_ASSERT(!side->overlay.head && !side->decision.head && mt_side_truesize(side) == 0);
#endif
}

/* ---- mirror.c ---- */

/* The mirrored copies of a call while it is dispatched. */
struct mt_mirroring {
	uint32_t ms; /* how long to wait for a reply */
	uint32_t n;
	struct {
		const struct mt_cluster *cluster;
		const struct mt_endpoint *ep;
		struct mt_exchange *copy;
		uint8_t shows; /* mt_attempt.shows */
	} to[MT_ROUTE_MIRRORS_MAX];
};

/*
 * Chooses the mirrors that get a copy of the call. The view shows the call with the changes of
 * filters and route. False: no mirror gets one.
 */
bool mt_mirror_choose(struct mt_proxy *p, struct mt_exchange *ex, struct mt_mirroring *m);
/* Makes the copies, with the view's changes. */
void mt_mirror_copy(struct mt_proxy *p, const struct mt_exchange *ex, struct mt_mirroring *m);
/*
 * Sends the copies if the call was sent (`out`); otherwise frees them, because a local reply is not
 * mirrored.
 */
void mt_mirror_send(struct mt_proxy *p, struct mt_mirroring *m, bool out);
/* Ends a copy that would get a local reply. */
void mt_mirror_failed(struct mt_proxy *p, struct mt_exchange *copy);
/* The endpoint that was chosen for the copy that runs. */
const struct mt_endpoint *mt_mirror_endpoint(const struct mt_proxy *p);
/* The copy ends (side.c). */
void mt_mirror_ended(struct mt_proxy *p, const struct mt_exchange *copy);
