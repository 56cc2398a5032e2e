/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of call/: exchanges and attempts. */
#pragma once

#include "call/mt_call_filters.h"
#include "call/mt_call_retry.h"

/* Events of calls, reported to their clients' connections. client/leave.c has the table. */
struct mt_call_user {
	/*
	 * Ends a call that was decoded after its client's FIN, unless the call may go on. True if
	 * the call has ended.
	 */
	bool (*leaves)(struct mt_proxy *p, struct mt_down *d, struct mt_exchange *ex);
	/* Moves a client connection to the current snapshot before one of its calls moves. */
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
 * the run of another call, and while no steps are left for resumed calls, the run is put off until
 * the end of this or the next loop iteration.
 */
void mt_call_run(struct mt_proxy *p, struct mt_exchange *ex);
/* Runs the calls that were put off (mt_proxy.again), at most `budget` of them. Returns how many. */
uint32_t mt_call_turn(struct mt_proxy *p, uint32_t budget);

/* renew.c */
/* Moves an unsent call to the current snapshot. False: its service is gone. */
bool mt_exchange_snap_move(struct mt_proxy *p, struct mt_exchange *ex);
/*
 * Moves a call that waits for a verdict at an endpoint to the current snapshot. It is routed again
 * after the verdict, with its changes.
 */
void mt_exchange_renew(struct mt_proxy *p, struct mt_exchange *ex);
/* Answers a call, because its service or filters have changed while a filter waited. */
void mt_exchange_wait_is_void(struct mt_proxy *p, struct mt_exchange *ex);

/* choose.c */
/* An endpoint of the call's cluster that may take the call. NULL: the call was answered. */
const struct mt_endpoint *mt_call_choose(struct mt_proxy *p, struct mt_exchange *ex);

/* changes.c: unless noted, false: the call was answered, because its changes cannot be made. */
/* Adds the changes of the call's route to those of the view. */
bool mt_changes_by_route(struct mt_proxy *p, struct mt_exchange *ex);
/* Retains the request, and the view's changes by filters and route. False: not possible. */
bool mt_changes_retain(struct mt_proxy *p, struct mt_exchange *ex);
/* Keeps the view's changes for further attempts of a retained call that was routed again. */
bool mt_changes_renew(struct mt_proxy *p, struct mt_exchange *ex);
/* Authorizes the call at an endpoint, adds its policies' changes. False also if the call waits. */
bool mt_changes_by_endpoint(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep);
/*
 * Writes the view's changes into the message, with the attempt's trace context. The view must have
 * changes, or the call kept ones or is traced.
 */
bool mt_changes_write(struct mt_proxy *p, struct mt_exchange *ex);
/* Calls mt_changes_write() if there are changes. */
static inline bool mt_changes_encode(struct mt_proxy *p, struct mt_exchange *ex)
{
	return mt_likely(p->view.n_mutations == 0 && !(ex->changes_kept | ex->traced)) ||
	       mt_changes_write(p, ex);
}
/*
 * Writes the view's changes into `msg` and `c`, the exchange's request or a copy of it. True also
 * if there is nothing to change. False: the changes cannot be made, and nothing has changed.
 */
bool mt_changes_render(
	struct mt_proxy *p, const struct mt_exchange *ex, struct mt_msg *msg, struct mt_chain *c);

/* context.c: trace contexts */
/* Decides about the trace of a call. Its service has tracing, and the view shows its request. */
void mt_context_begin(struct mt_proxy *p, struct mt_exchange *ex);
/*
 * Writes the view's changes and the trace context of a traced call's attempt into its request. If
 * the context cannot be written, only the changes are. False: these cannot be made.
 */
bool mt_context_render(struct mt_proxy *p, struct mt_exchange *ex);

/* An attempt has failed, and the call goes on: writes the span of the attempt, if it has one. */
static inline void mt_context_failed(
	struct mt_proxy *p, const struct mt_exchange *ex, enum mt_ending ending)
{
	if (mt_unlikely(ex->traced == MT_CALL_TRACED_ATTEMPTS))
		mt_call_log_attempt(p, ex, ending);
}

/* on_demand.c: clusters that are fetched when they are first used */
/* True if the call's cluster must be fetched; the call then waits, or was answered. */
bool mt_on_demand_call(struct mt_proxy *p, struct mt_exchange *ex);
/* Subtracts a call that has left the list from the counts of waiting calls. */
void mt_on_demand_left(struct mt_proxy *p, struct mt_exchange *ex);
void mt_on_demand_expired(struct mt_proxy *p, struct mt_exchange *ex);
/* Requests that the next loop iterations check all waiting calls and streams again. */
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
 * Ends an attempt that was never sent. True: the caller may run the call again, at another
 * endpoint. False: the call waits for an attempt by the retry policy, or was answered: by `what` if
 * too many endpoints were tried or the call is sent only once, or because memory is short.
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
/* Calls mt_exchange_may_retry(), and runs the call if that returns true. */
void mt_exchange_retry(struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what);
/* Counts the outcome of a reply by the server. */
void mt_exchange_count_reply(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply);
struct mt_exchange *mt_exchange_new(struct mt_proxy *p, struct mt_down *d);
/* Makes the exchange of a mirrored copy of `of`, without a client. */
struct mt_exchange *mt_exchange_new_copy(struct mt_proxy *p, const struct mt_exchange *of);
/* Ends an exchange, because its client's connection ended; cut_off: Meltemi ended the connection. */
void mt_exchange_leave(struct mt_proxy *p, struct mt_exchange *ex, bool cut_off);
/* Ends the exchange's attempt and wait, if it has any; the exchange itself stays. */
void mt_exchange_detach(struct mt_proxy *p, struct mt_exchange *ex);
/*
 * Counts a reply for its endpoint only, because a filter waits at the reply, or answers the call
 * instead. Call while the attempt is under way.
 */
void mt_exchange_count_attempt(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply);

/* attempt.c */
/* Starts an attempt, which counts at the endpoint from now on. */
struct mt_attempt *mt_attempt_new(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep);
/*
 * Ends the attempt: it leaves its queue, connection and endpoint. Its place on a shared connection
 * becomes a tombstone. A connection that is not shared may end.
 */
void mt_attempt_end(struct mt_proxy *p, struct mt_attempt *a);
/*
 * Arms the time-out of the last call on the connection, if it is not armed because that of a later
 * call applied, and the later call has ended (oneway.c).
 */
void mt_attempt_time_last(struct mt_proxy *p, const struct mt_up *u);
/* Removes the attempt from its endpoint's outstanding calls. */
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
 * Ends a wait of the exchange: takes it out of the list in which it waits, and frees what it kept
 * only for the wait.
 */
void mt_side_wait_ends(struct mt_proxy *p, struct mt_exchange *ex);
/* The exchange ends: frees all that belongs to it outside of its object. Runs its filters' end. */
void mt_side_end(struct mt_proxy *p, struct mt_exchange *ex);
/* Frees data of an exchange that is open when its worker ends. */
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
 * Sends the copies if the call was sent or waits in the pool (`out`). Otherwise frees them, because
 * calls that get a local reply are not mirrored.
 */
void mt_mirror_send(struct mt_proxy *p, struct mt_mirroring *m, bool out);
/* Ends a copy that would get a local reply. */
void mt_mirror_failed(struct mt_proxy *p, struct mt_exchange *copy);
/* The endpoint that was chosen for the copy that runs. */
const struct mt_endpoint *mt_mirror_endpoint(const struct mt_proxy *p);
/* Subtracts a copy that ends from the counts of copies (side.c). */
void mt_mirror_ended(struct mt_proxy *p, const struct mt_exchange *copy);
