/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Further attempts of a call by the retry policy of its route (struct mt_retry). Calls that the
 * server has provably not read are sent again without a policy (retry.c); these attempts come first
 * and are not counted here.
 * - Before the first attempt the request is retained (retained.c). A call whose request cannot be
 *   retained has no further attempts.
 * - An attempt that was sent ends after mt_retry.try_ms (lane.c, arm_try_timeout()), as if its
 *   connection had ended (MT_RETRY_LOST). If the call has no other attempt, the call ends, too.
 *   try_ms applies even if the policy allows no attempts or the request is not retained.
 * - mt_again() decides at the end of an attempt. A call with another attempt waits in
 *   MT_EX_BACKOFF, in no list but that of its deadline, and then runs from MT_CALL_ENDPOINT on. It
 *   keeps its service, route and cluster, which are found by their ids if the call moves to another
 *   snapshot meanwhile.
 * - If a reply is an error of a class that the policy names, and the call has another attempt, the
 *   reply is dropped; otherwise it is forwarded. Only complete replies are classified; long replies
 *   are forwarded.
 * - A call that the server may have read is repeated only if the policy allows this. If its
 *   connection is serial, its method must also be known to answer (oneway.c), because another call
 *   must not get a late reply.
 * - The retained bytes of calls in MT_EX_BACKOFF count as bytes that wait (mt_down.backing_off):
 *   with too many of them the client's requests are not decoded (downdecode.c).
 * - A further attempt takes a unit of its cluster's retry budget (mt_retry_budget.h), from its
 *   decision until it is answered or ends, back-off included. If it is not read and sent again, it
 *   keeps the unit. If the budget is used up, the call ends as if it had no attempts left.
 */
#include "mt_mutant.h"
#include "call/mt_call_priv.h"

/* Number of lengths that a back-off may have; few, because there are few deadline lists. */
#define STEPS 16u

void mt_again_unit(struct mt_proxy *p, struct mt_exchange *ex)
{
	ex->budgeted = false;
	if (!mt_mutant(MT_MUTANT_budget_not_returned))
		mt_budget_return(mt_exchange_side(p, ex)->budget);
}

mt_noinline void mt_again_ended(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (ex->retained)
		mt_retained_drop(p, ex);
	if (ex->budgeted)
		mt_again_unit(p, ex);
}

void mt_again_arm(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_exchange_side *side = mt_exchange_side(p, ex);

	if (ex->armed || (ex->oneway && !mt_mutant(MT_MUTANT_oneway_retried)))
		return;
	ex->has_policy = true;
	side->until = ex->deadline.at;
	side->attempts = side->tries = 0;
	if (!ex->route->retry->attempts)
		return;
	if (mt_unlikely(!ex->retained && !mt_changes_retain(p, ex))) {
		mt_count(p->counters, MT_PROXY_retry_disarmed);
		return;
	}
	ex->armed = true;
}

/*
 * True if the call may be repeated. On a serial connection the late reply to the attempt before
 * must not be taken for the reply to another call.
 */
static bool may_repeat(struct mt_proxy *p, const struct mt_exchange *ex, enum mt_retry_on why)
{
	const struct mt_attempt *a = &ex->attempt;
	const struct mt_lanes *ln = mt_slab_get(&p->lanes, a->lanes);

	if (why != MT_RETRY_LOST || (ln && mt_lane_role(ln, ex) != MT_UP_SERIAL))
		return true;
	if (mt_mutant(MT_MUTANT_doubt_repeated))
		return true;
	return a->knows == MT_METHOD_ANSWERS && mt_ref_is_none(mt_exchange_down(p, ex)->serial);
}

/*
 * ms to wait before the n-th attempt; at least 1, so that the attempt never begins inside the event
 * that has ended the attempt before.
 */
static uint32_t back_off(struct mt_proxy *p, const struct mt_retry *retry, uint32_t n)
{
	uint64_t most =
		MT_MIN((uint64_t)retry->base_ms << MT_MIN(n - 1, 31u), (uint64_t)retry->max_ms);
	uint32_t step = (uint32_t)(mt_rand_u64(&p->rnd) % STEPS);

	return MT_MAX((uint32_t)(most * (2 * step + 1) / (2 * STEPS)), 1u);
}

/* ms until the end of the call's time-out, which has not passed; rounded up. */
static uint32_t left(const struct mt_proxy *p, const struct mt_exchange_side *side)
{
	return (uint32_t)((side->until - p->now + MT_MSEC - 1) / MT_MSEC);
}

/* The policy that gives the call another attempt; NULL: none. */
static const struct mt_retry *policy_of(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_retry_on why)
{
	const struct mt_exchange_side *side = mt_exchange_side(p, ex);
	const struct mt_retry *retry = ex->route ? ex->route->retry : NULL;
	const struct mt_down *d = mt_exchange_down(p, ex);

	if (!retry || !ex->attempt.cluster || !(retry->on & why))
		return NULL;
	if (ex->state == MT_EX_REPLYING || !d || !d->s || d->left || p->now >= side->until)
		return NULL;
	if (side->attempts >= retry->attempts) {
		ex->exhausted = retry->attempts > 0;
		return NULL;
	}
	return may_repeat(p, ex, why) ? retry : NULL;
}

/*
 * Gives back the unit of the attempt before, if there is one, and takes a unit of the cluster's
 * retry budget. True also if the cluster has no budget. False: the budget is used up.
 */
static bool take_unit(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_cluster *c = ex->attempt.cluster;

	if (ex->budgeted)
		mt_again_unit(p, ex);
	if (mt_likely(!c->budget))
		return true;
	if (!mt_budget_take(c->budget, &c->retry_budget)) {
		mt_count(p->counters, MT_PROXY_retry_over_budget);
		return false;
	}
	mt_exchange_side(p, ex)->budget = c->budget;
	ex->budgeted = ex->side = true;
	return true;
}

/* Ends the attempt; the call waits for the next one. */
static void wait_for_next(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_retry *retry,
	enum mt_local_reply what, enum mt_ending ending)
{
	struct mt_exchange_side *side = mt_exchange_side(p, ex);

	mt_context_failed(p, ex, ending);
	mt_exchange_detach(p, ex);
	if (ex->pending)
		mt_exchange_waits_no_more(p, ex);
	mt_chain_free(&ex->req);
	mt_exchange_becomes(ex, MT_EX_BACKOFF);
	/* The policies of the next endpoint decide again; their waits are counted anew. */
	mt_ext_authz_forget(p, ex);
	ex->waited_verdict = false;
	if (ex->token)
		mt_tokens_drop(p, ex);
	mt_exchange_down(p, ex)->backing_off += mt_side_truesize(side);
	side->attempts++;
	side->tries = ex->tries;
	side->what = (uint8_t)what;
	if (retry->same_hosts || mt_cluster_hashes(ex->attempt.cluster, &ex->route->hash) ||
		mt_mutant(MT_MUTANT_same_host_again))
		ex->tried = 0;
	mt_count(p->counters, MT_PROXY_retry_by_policy);
	mt_exchange_trace_retry(p, ex);
	mt_deadline_arm(&p->deadlines, &ex->deadline, p->now,
		MT_MIN(back_off(p, retry, side->attempts), left(p, side)));
}

mt_noinline bool mt_again_later(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_retry_on why, enum mt_local_reply what)
{
	const struct mt_retry *retry = policy_of(p, ex, why);

	if (!retry || !take_unit(p, ex)) {
		mt_retained_drop(p, ex);
		return false;
	}
	wait_for_next(p, ex, retry, what,
		what == MT_REPLY_TIMEOUT       ? MT_ENDING_try_timeout
		: what == MT_REPLY_NO_ENDPOINT ? MT_ENDING_connect_failed
					       : MT_ENDING_connection_lost);
	return true;
}

static const struct {
	uint8_t why;	/* enum mt_retry_on; 0: never */
	uint8_t what;	/* enum mt_local_reply, if the route is gone when the wait ends */
	uint8_t ending; /* enum mt_ending of the attempt */
} by_class[MT_STATUS_N] = {
	[MT_STATUS_SERVER_ERROR] = {MT_RETRY_SERVER_ERROR, MT_REPLY_NO_ENDPOINT,
		MT_ENDING_server_error},
	[MT_STATUS_OVERLOAD] = {MT_RETRY_OVERLOAD, MT_REPLY_NO_ENDPOINT, MT_ENDING_server_overload},
	[MT_STATUS_UNAVAILABLE] = {MT_RETRY_UNAVAILABLE, MT_REPLY_NO_ENDPOINT,
		MT_ENDING_server_unavailable},
	[MT_STATUS_DEADLINE] = {MT_RETRY_DEADLINE, MT_REPLY_TIMEOUT, MT_ENDING_server_timeout},
};

/* Counts the reply for its endpoint, but not for the service, because the call goes on. */
static void count_rejected(
	struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_msg *reply)
{
	const struct mt_attempt *a = mt_exchange_attempt(ex);

	mt_admit_answered(p, a);
	mt_ep_answered(p, ex, a, reply->status);
	if (MT_COUNTED)
		mt_account_attempt(p, a, reply);
}

bool mt_again_rejects(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply)
{
	enum mt_retry_on why = by_class[reply->status].why;
	const struct mt_retry *retry = ex->armed && why ? policy_of(p, ex, why) : NULL;

	if (!retry || !take_unit(p, ex))
		return false;
	count_rejected(p, ex, reply);
	wait_for_next(p, ex, retry, by_class[reply->status].what, by_class[reply->status].ending);
	return true;
}

void mt_again_wake(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_exchange_side *side = mt_exchange_side(p, ex);

	if (p->now >= side->until) {
		if (ex->service)
			mt_stats_service(p, ex->service)->timeouts++;
		mt_reply_local(p, ex, MT_REPLY_TIMEOUT, "no attempt was answered in time");
		return;
	}
	if (!ex->service || !ex->route || !ex->attempt.cluster) {
		mt_reply_local(p, ex, side->what, mt_local_reply_str(side->what));
		return;
	}
	if (mt_retained_restore(p, ex)) {
		mt_count(p->counters, MT_PROXY_no_memory);
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "out of memory");
		return;
	}
	mt_deadline_arm(&p->deadlines, &ex->deadline, p->now, left(p, side));
	mt_exchange_becomes(ex, MT_EX_ROUTING);
	mt_down_backs_off_less(p, mt_exchange_down(p, ex), mt_side_truesize(side));
	ex->step = MT_CALL_ENDPOINT;
	mt_call_run(p, ex);
}
