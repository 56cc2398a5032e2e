/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an exchange: made for one request, ended exactly once by mt_exchange_end(). */
#include "mt_mutant.h"
#include "mt_proxy_priv.h"

/* Endpoints tried for one call at most, whatever the cluster's size. */
#define MAX_TRIES 8

struct mt_exchange *mt_exchange_new(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_exchange *ex = mt_slab_alloc(&p->exchanges, NULL);

	if (mt_unlikely(!ex))
		return NULL;
	ex->self = mt_slab_idx(&p->exchanges, ex);
	mt_list_init(&ex->down_node);
	mt_list_init(&ex->queue_node);
	mt_list_init(&ex->deadline.node);
	ex->down = mt_slab_ref(&p->downs, d);
	ex->snap = d->snap;
	ex->codec = d->codec;
	ex->codec_opts = d->codec_opts;
	ex->started = p->now;
	ex->rnd = mt_rand_u64(&p->rnd);
	mt_snap_hold(p, ex->snap);
	mt_list_add_tail(&d->exchanges, &ex->down_node);
	d->outstanding++;
	mt_count(p->counters, MT_PROXY_exchange_started);
	return ex;
}

struct mt_down *mt_exchange_down(struct mt_proxy *p, const struct mt_exchange *ex)
{
	return mt_slab_get(&p->downs, ex->down);
}

struct mt_up *mt_exchange_up(struct mt_proxy *p, const struct mt_exchange *ex)
{
	return mt_slab_get(&p->ups, ex->up);
}

struct mt_ep_state *mt_exchange_ep(const struct mt_exchange *ex)
{
	if (!ex->ep || __atomic_load_n(&ex->ep->id, __ATOMIC_RELAXED) != ex->ep_id)
		return NULL;
	return ex->ep;
}

/* Takes it off the queue of its lane group or the waiting list of its connection. */
static void unqueue(struct mt_proxy *p, struct mt_exchange *ex)
{
	/* One whose reply waits for the client leaves when it ends. */
	if (!mt_list_linked(&ex->queue_node) || mt_reply_waits(ex))
		return;
	mt_list_del(&ex->queue_node);
	if (ex->state == MT_EX_PARKED) {
		mt_park_left(p, ex);
	} else if (ex->state == MT_EX_QUEUED) {
		mt_pending_sub(p, ex);
		mt_lanes_maybe_free(p, mt_slab_get(&p->lanes, ex->lanes));
	} else {
		mt_exchange_up(p, ex)->n_waiting--;
	}
}

static void leave_shared(struct mt_proxy *p, struct mt_exchange *ex, struct mt_up *u)
{
	struct mt_slot *slot = mt_ring_find(p, u, ex->up_id);

	if (slot && mt_slab_get(&p->exchanges, slot->ex) == ex)
		mt_ring_bury(u, slot);
	/* Too many calls without an answer: give the server a fresh connection. */
	if (u->tombstones > p->conf.ring_slots / 4 && u->state == MT_UP_OPEN &&
		!mt_mutant(MT_MUTANT_tombstones_kept)) {
		mt_count(p->counters, MT_PROXY_up_tombstones);
		mt_up_drain(p, u);
	} else {
		mt_up_arm(p, u); /* maybe nothing is awaited any more */
		mt_lane_hungry(p, u->lanes);
	}
}

/* The connection was this call's alone: wait for the unwanted reply, or give the connection up. */
static void leave_own(struct mt_proxy *p, struct mt_exchange *ex, struct mt_up *u)
{
	bool half_sent = ex->in_message && ex->state != MT_EX_WAITING;

	u->ex = MT_REF_NONE;
	if (ex->state == MT_EX_WAITING) {
		u->busy = false;
		return;
	}
	u->skip_until = MT_MAX(ex->deadline.at, p->now + p->conf.message_ms * MT_MSEC);
	if (half_sent)
		mt_up_kill(p, u, MT_REPLY_CONN_LOST, MT_PROXY_up_given_up);
	else
		mt_up_arm(p, u);
}

/* Leaves the connection it rides on; replies that still come are recognised as unwanted. */
static void leave_up(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_up *u = mt_exchange_up(p, ex);

	ex->up = MT_REF_NONE;
	if (!u)
		return;
	if (mt_ref_eq(u->reply, mt_slab_ref(&p->exchanges, ex))) {
		u->reply = MT_REF_NONE;
		u->reply_skip = true;
		/* It waits for nobody any more: the rest is read and skipped. */
		if (u->paused) {
			u->paused = false;
			u->retry_at = p->now;
		}
	}
	if (u->role == MT_UP_SHARED) {
		if (ex->state != MT_EX_WAITING)
			leave_shared(p, ex, u);
	} else {
		leave_own(p, ex, u);
	}
}

static void leave_endpoint(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (!ex->ep)
		return;
	if (!mt_mutant(MT_MUTANT_endpoint_not_left))
		p->lb.outstanding[ex->ep_index]--;
	p->ep_stats[ex->ep_index].outstanding--;
	ex->ep = NULL;
}

static void leave_down(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_down *d = mt_exchange_down(p, ex);

	mt_list_del(&ex->down_node);
	if (mt_unlikely(mt_list_linked(&ex->queue_node)))
		mt_list_del(&ex->queue_node);
	if (!d)
		return;
	d->outstanding--;
	if (mt_unlikely(ex->pending))
		mt_exchange_waits_no_more(p, ex);
	if (ex->state == MT_EX_READY || ex->state == MT_EX_REPLYING)
		mt_down_held(d, -(int64_t)ex->rsp.truesize);
	if (mt_slab_get(&p->exchanges, d->streaming) == ex)
		d->streaming = MT_REF_NONE;
	if (mt_slab_get(&p->exchanges, d->cur) == ex) {
		d->cur = MT_REF_NONE;
		d->skip_left = ex->req_left;
	}
}

void mt_exchange_detach(struct mt_proxy *p, struct mt_exchange *ex)
{
	unqueue(p, ex);
	leave_up(p, ex);
	leave_endpoint(p, ex);
}

void mt_exchange_end(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (mt_unlikely(p->now - ex->started >= p->slow.floor))
		mt_slow_keep(p, ex);
	if (mt_traced(ex->trace))
		mt_exchange_trace_end(p, ex);
	mt_exchange_detach(p, ex);
	leave_down(p, ex);
	mt_deadline_cancel(&ex->deadline);
	mt_chain_free(&ex->req);
	mt_chain_free(&ex->rsp);
	mt_chain_free(&ex->overlay);
	mt_snap_drop(p, ex->snap);
	mt_slab_free(&p->exchanges, ex);
}

void mt_exchange_leave(struct mt_proxy *p, struct mt_exchange *ex, bool cut_off)
{
	mt_count(p->counters, cut_off ? MT_PROXY_exchange_cut_off : MT_PROXY_exchange_client_left);
	mt_account_left(p, ex, cut_off);
	if (cut_off)
		mt_exchange_cut_off(ex);
	mt_exchange_end(p, ex);
}

void mt_exchange_expired(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_up *u = mt_exchange_up(p, ex);
	struct mt_ref own = MT_REF_NONE;

	if (mt_unlikely(ex->state == MT_EX_PARKED)) {
		mt_park_call_expired(p, ex);
		return;
	}
	if (u && u->role != MT_UP_SHARED && ex->state != MT_EX_WAITING)
		own = ex->up;
	if (ex->service)
		mt_stats_service(p, ex->service)->timeouts++;
	if (ex->ep)
		p->ep_stats[ex->ep_index].failures++;
	mt_admit_answered(p, ex);
	mt_reply_local(p, ex, MT_REPLY_TIMEOUT, "upstream did not answer in time");
	/* Nobody knows when a connection of one call at a time would be free again. */
	u = mt_slab_get(&p->ups, own);
	if (u)
		mt_up_kill(p, u, MT_REPLY_CONN_LOST, MT_PROXY_up_given_up);
}

void mt_exchange_retry(struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what)
{
	uint32_t n = ex->cluster ? ex->cluster->n_eps : 0;

	mt_exchange_detach(p, ex);
	ex->state = MT_EX_QUEUED;
	ex->tries++;
	if (mt_traced(ex->trace))
		mt_exchange_trace_retry(p, ex);
	if (ex->tries >= MT_MIN(n, (uint32_t)MAX_TRIES)) {
		mt_reply_local(p, ex, what, "no endpoint could be reached");
		return;
	}
	mt_count(p->counters, MT_PROXY_exchange_retried);
	mt_dispatch_pick(p, ex);
}

void mt_exchange_count_reply(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply)
{
	struct mt_ep_state *ep = mt_exchange_ep(ex);

	mt_count(p->counters, MT_PROXY_exchange_answered);
	mt_exchange_replied(ex, reply->status, p->now);
	ex->reply_len = reply->len;
	mt_admit_answered(p, ex);
	if (mt_likely(ep))
		mt_ep_succeeded(ep);
	if (MT_COUNTED)
		mt_account_reply(p, ex, reply);
}
