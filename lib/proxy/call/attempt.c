/* SPDX-License-Identifier: Apache-2.0 */
/* Starts attempts at endpoints, and ends them: they leave their queue, connection and endpoint. */
#include "mt_mutant.h"
#include "call/mt_call_priv.h"

struct mt_attempt *mt_attempt_new(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep)
{
	struct mt_attempt *a = &ex->attempt;
	struct mt_ep_stats *st;

	MT_ASSERT(a->state == MT_ATTEMPT_NONE);
	mt_attempt_becomes(a, MT_ATTEMPT_QUEUED);
	a->up = MT_REF_NONE;
	a->up_id = 0;
	mt_exchange_becomes(ex, MT_EX_TRYING);
	a->ep = ep->state;
	a->ep_id = ep->state->id;
	a->ep_index = ep->state->index;
	/* A mirrored copy has its own copy of the endpoint, and counts for no service. */
	a->workload = mt_likely(ex->service) ? mt_endpoint_workload(a->cluster, ep) : 0;
	a->picked = p->now;
	a->trial = mt_ep_try(ep->state, &a->cluster->outlier, p->now);
	if (mt_unlikely(a->trial))
		mt_count(p->lb.counters, MT_UPSTREAM_trial);
	p->lb.outstanding[a->ep_index]++;
	st = mt_stats_endpoint(p, ep->state);
	st->outstanding++;
	st->requests++;
	p->n_attempts++;
	a->counted = NULL;
	if (mt_unlikely(a->cluster->retry_budget.bound == MT_RETRY_BOUND_SHARE)) {
		a->counted = a->cluster->budget;
		mt_budget_count(a->counted, p->worker, 1);
	}
	return a;
}

/* Takes the attempt out of the queue or list in which it is. */
static void unqueue(struct mt_proxy *p, struct mt_attempt *a)
{
	if (mt_likely(!mt_list_linked(&a->node)))
		return;
	if (a->state == MT_ATTEMPT_QUEUED) {
		struct mt_lanes *ln = mt_slab_get(&p->lanes, a->lanes);

		mt_queue_del(p, ln, a);
		/* Idle connections that did not suit this call may suit the next one. */
		mt_lane_hungry(p, ln);
		mt_lanes_maybe_free(p, ln);
		return;
	}
	/* A list of the connection, or of retry.c if the connection ends. */
	mt_list_del(&a->node);
	if (a->state == MT_ATTEMPT_CONNECTING)
		((struct mt_up *)mt_slab_get(&p->ups, a->up))->n_waiting--;
}

static void leave_shared(struct mt_proxy *p, struct mt_attempt *a, struct mt_up *u)
{
	struct mt_slot *slot = mt_ring_find(p, u, a->up_id);

	if (slot && mt_attempt_of(p, slot->exchange) == a)
		mt_ring_bury(u, slot);
	/* Too many calls had no answer: drain the connection, so that a new one is opened. */
	if (u->tombstones > p->conf.ring_slots / 4 && u->state == MT_UP_OPEN &&
		!mt_mutant(MT_MUTANT_tombstones_kept)) {
		mt_count(p->counters, MT_PROXY_up_tombstones);
		mt_up_drain(p, u);
	} else {
		mt_up_arm(p, u); /* it may be idle now */
		mt_lane_hungry(p, u->lanes);
	}
}

/*
 * The server does not echo ids, so the late reply could be taken for the reply to a later call. The
 * connection takes no other call. It still waits for the late reply, which shows that the server
 * responds (silence.c).
 */
static mt_noinline void skip_without_ids(struct mt_proxy *p, struct mt_up *u)
{
	mt_up_becomes(u, MT_UP_DRAINING);
	u->skip_until = p->now + p->conf.message_ms * MT_MSEC;
	mt_up_arm(p, u);
}

void mt_attempt_time_last(struct mt_proxy *p, const struct mt_up *u)
{
	struct mt_exchange *ex = mt_oneway_untimed(p, u);

	if (ex)
		mt_deadline_arm(&p->deadlines, &ex->deadline, p->now, mt_call_left(p, ex));
}

/* Leaves a connection that is not shared; the connection waits for the late reply, or is reset. */
static void leave_own(struct mt_proxy *p, struct mt_attempt *a, struct mt_up *u)
{
	const struct mt_exchange *ex = mt_attempt_exchange(a);
	bool first = mt_attempt_of(p, u->exchange) == a;
	bool in_doubt = u->in_doubt;

	if (a->state == MT_ATTEMPT_CONNECTING) {
		u->busy &= !first;
		u->lanes->bulk_in_vain = false;
		u->exchange = first ? MT_REF_NONE : u->exchange;
		return;
	}
	mt_oneway_off(p, u, a);
	if (!first) {
		mt_attempt_time_last(p, u);
		mt_oneway_left(p, u, a);
		return;
	}
	u->skip_until = MT_MAX(ex->deadline.at, p->now + p->conf.message_ms * MT_MSEC);
	if (mt_unlikely(ex->in_message))
		mt_up_kill(p, u, MT_REPLY_CONN_LOST, MT_PROXY_up_given_up);
	else if (mt_unlikely(!in_doubt && mt_ids_known(u) == MT_IDS_ABSENT))
		skip_without_ids(p, u);
	else if (mt_unlikely(in_doubt))
		mt_oneway_left(p, u, a);
	else
		mt_up_arm(p, u);
}

/*
 * Leaves the connection of a one-way call that was acknowledged, or that ends before. When no such
 * call is left, the connection may be idle or drained, or may be closed to make room for a call
 * that waits (lane.c, make_room()).
 */
static void leave_unacked(struct mt_proxy *p, struct mt_up *u)
{
	if (!mt_list_empty(&u->unacked))
		return;
	mt_up_arm(p, u);
	if (!mt_up_shares(u) && !u->busy)
		mt_lane_hungry(p, u->lanes);
}

/* Leaves the connection, which skips a reply that still comes. */
static void leave_up(struct mt_proxy *p, struct mt_attempt *a)
{
	struct mt_up *u = mt_slab_get(&p->ups, a->up);

	a->up = MT_REF_NONE;
	if (!u)
		return;
	if (mt_unlikely(a->state == MT_ATTEMPT_UNACKED)) {
		leave_unacked(p, u);
		return;
	}
	if (mt_ref_eq(u->reply, mt_attempt_exchange(a)->self)) {
		mt_up_skip_rest(u, a);
		if (u->paused) {
			u->paused = false;
			u->retry_at = p->now;
		}
	}
	if (!mt_up_shares(u))
		leave_own(p, a, u);
	else if (a->state != MT_ATTEMPT_CONNECTING)
		leave_shared(p, a, u);
}

void mt_attempt_leave_endpoint(struct mt_proxy *p, const struct mt_attempt *a)
{
	if (!mt_mutant(MT_MUTANT_endpoint_not_left))
		p->lb.outstanding[a->ep_index]--;
	p->ep_stats[a->ep_index].outstanding--;
	if (mt_unlikely(a->counted))
		mt_budget_count(a->counted, p->worker, -1);
}

/* Ends the attempt's own time-out. If the call goes on, run.c arms the rest of its time-out. */
static mt_noinline void end_time(struct mt_attempt *a)
{
	mt_deadline_cancel(&mt_attempt_exchange(a)->deadline);
	a->timed = false;
}

void mt_attempt_end(struct mt_proxy *p, struct mt_attempt *a)
{
	unqueue(p, a);
	leave_up(p, a);
	if (mt_unlikely(a->timed))
		end_time(a);
	if (mt_unlikely(a->state == MT_ATTEMPT_UNACKED))
		p->n_unacked--;
	else
		mt_attempt_leave_endpoint(p, a);
	mt_attempt_becomes(a, MT_ATTEMPT_NONE);
	mt_attempt_receives(a, MT_RECEIVE_NONE);
	a->ep = NULL;
	p->n_attempts--;
}
