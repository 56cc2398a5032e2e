/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges: mt_exchange_new() makes one for a request, only mt_exchange_end() ends it. */
#include "mt_mutant.h"
#include "call/mt_call_priv.h"

/* Largest number of endpoints tried for a call. */
#define MAX_TRIES 8

static mt_inline struct mt_exchange *born(struct mt_proxy *p, struct mt_snapshot *snap,
	const struct mt_codec *codec, uint8_t codec_opts)
{
	struct mt_ref ref;
	struct mt_exchange *ex = mt_slab_alloc(&p->exchanges, &ref);

	if (mt_unlikely(!ex))
		return NULL;
	ex->self = ref;
	mt_side_assert_empty(p, ex);
	mt_list_init(&ex->down_node);
	mt_list_init(&ex->queue_node);
	mt_list_init(&ex->attempt.node);
	mt_list_init(&ex->deadline.node);
	ex->snap = snap;
	ex->codec = codec;
	ex->codec_opts = codec_opts;
	ex->started = p->now;
	ex->rnd = mt_rand_u64(&p->rnd);
	mt_snap_hold(p, ex->snap);
	return ex;
}

struct mt_exchange *mt_exchange_new(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_exchange *ex = born(p, d->snap, d->codec, d->codec_opts);

	if (mt_unlikely(!ex))
		return NULL;
	ex->down = d->self;
	ex->caller = d->caller;
	mt_list_add_tail(&d->exchanges, &ex->down_node);
	if (d->owed == &d->exchanges)
		d->owed = &ex->down_node;
	d->outstanding++;
	mt_count(p->counters, MT_PROXY_exchange_started);
	return ex;
}

mt_noinline struct mt_exchange *mt_exchange_new_copy(
	struct mt_proxy *p, const struct mt_exchange *of)
{
	struct mt_exchange *ex = born(p, of->snap, of->codec, of->codec_opts);

	if (ex)
		ex->origin = MT_CALL_OF_MIRROR;
	return ex;
}

static void leave_down(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_down *d = mt_exchange_down(p, ex);

	if (d && d->owed == &ex->down_node)
		d->owed = ex->down_node.next;
	mt_list_del(&ex->down_node);
	if (mt_unlikely(mt_list_linked(&ex->queue_node)))
		mt_list_del(&ex->queue_node);
	if (mt_unlikely(ex->pending))
		mt_exchange_waits_no_more(p, ex);
	if (!d)
		return;
	if (mt_unlikely(ex->unacked)) {
		d->unacked--;
		return;
	}
	d->outstanding--;
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
	struct mt_attempt *a = mt_exchange_attempt(ex);

	if (mt_unlikely(ex->side))
		mt_side_wait_ends(p, ex);
	if (a)
		mt_attempt_end(p, a);
}

void mt_exchange_end(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_exchange_record(p, ex);
	if (mt_unlikely(ex->note))
		mt_call_log_write(p, ex);
	if (mt_unlikely(ex->side))
		mt_side_end(p, ex);
	mt_side_assert_empty(p, ex);
	mt_exchange_detach(p, ex);
	leave_down(p, ex);
	mt_deadline_cancel(&ex->deadline);
	mt_chain_free(&ex->req);
	mt_chain_free(&ex->rsp);
	mt_snap_drop(p, ex->snap);
	mt_states_change(&mt_exchange_states, ex->state, MT_EX_N_STATES);
	mt_slab_free(&p->exchanges, ex);
}

void mt_exchange_leave(struct mt_proxy *p, struct mt_exchange *ex, bool cut_off)
{
	if (mt_unlikely(ex->unacked)) {
		mt_unacked_end(p, ex);
		return;
	}
	/* An exchange that was answered was counted with its answer. */
	if (!ex->status || cut_off)
		mt_count(p->counters,
			cut_off ? MT_PROXY_exchange_reset : MT_PROXY_exchange_client_closed);
	mt_account_left(p, ex, cut_off);
	if (cut_off)
		mt_exchange_cut_off(ex);
	ex->left = cut_off ? MT_CALL_CUT : MT_CALL_LEFT;
	mt_exchange_end(p, ex);
}

/*
 * True if the method of the call never has a reply, so that the call has ended as one-way. Arms the
 * time-out of the last call that is left on the connection, if it is not armed.
 */
static bool in_doubt_expired(struct mt_proxy *p, struct mt_exchange *ex, struct mt_ref up)
{
	struct mt_up *u;

	if (!mt_oneway_expired(p, ex))
		return false;
	u = mt_slab_get(&p->ups, up);
	if (u)
		mt_attempt_time_last(p, u);
	return true;
}

void mt_exchange_expired(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_attempt *a = mt_exchange_attempt(ex);
	struct mt_up *u = mt_exchange_up(p, ex);
	bool of_attempt = a && a->timed;
	struct mt_ref own = MT_REF_NONE;

	if (mt_unlikely(ex->unacked)) {
		mt_unacked_expired(p, ex);
		return;
	}
	if (u && mt_unlikely(u->in_doubt) && in_doubt_expired(p, ex, u->self))
		return;
	if (mt_unlikely(ex->state == MT_EX_ON_DEMAND)) {
		mt_on_demand_expired(p, ex);
		return;
	}
	if (mt_unlikely(ex->state == MT_EX_BACKOFF)) {
		mt_again_wake(p, ex);
		return;
	}
	if (u && !mt_up_shares(u) && a->state != MT_ATTEMPT_CONNECTING)
		own = a->up;
	if (a) {
		mt_account_failed(p, a);
		mt_admit_answered(p, a);
		mt_silence_timed_out(p, ex);
	}
	if (!a || !mt_again(p, ex, MT_RETRY_LOST, MT_REPLY_TIMEOUT)) {
		if (ex->service)
			mt_stats_service(p, ex->service)->timeouts++;
		mt_reply_ending(p, ex, of_attempt ? MT_ENDING_try_timeout : MT_ENDING_timeout,
			mt_unlikely(ex->state == MT_EX_SUSPENDED || ex->state == MT_EX_FILTERING)
				? mt_verdict_expired(p, ex)
				: "upstream did not answer in time");
	}
	/*
	 * It is unknown when the server will answer, so a connection that carries one call at a time is
	 * reset, unless a test by FIN is under way on it (oneway.c).
	 */
	u = mt_slab_get(&p->ups, own);
	if (u && !(u->left && u->s && u->s->tx_shut && mt_ref_is_none(u->exchange) &&
			 mt_list_empty(&u->behind)))
		mt_up_kill(p, u, MT_REPLY_CONN_LOST, MT_PROXY_up_given_up);
}

bool mt_exchange_may_retry(struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what)
{
	uint32_t n = ex->attempt.cluster ? ex->attempt.cluster->n_eps : 0;

	mt_context_failed(p, ex, MT_ENDING_connect_failed);
	mt_exchange_detach(p, ex);
	mt_exchange_becomes(ex, MT_EX_ROUTING);
	ex->tries++;
	mt_exchange_trace_retry(p, ex);
	if (ex->tries >= MT_MIN(n, (uint32_t)MAX_TRIES) || !mt_call_rules_of(ex)->sent_again) {
		if (mt_again(p, ex, MT_RETRY_UNSENT, what))
			return false;
		if (what == MT_REPLY_NO_ENDPOINT)
			ex->local_ending = MT_ENDING_connect_failed;
		mt_reply_local(p, ex, what, "no endpoint could be reached");
		return false;
	}
	if (ex->retained && mt_retained_restore(p, ex)) {
		mt_count(p->counters, MT_PROXY_no_memory);
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "out of memory");
		return false;
	}
	mt_count(p->counters, MT_PROXY_exchange_retried);
	ex->step = MT_CALL_ENDPOINT;
	return true;
}

void mt_exchange_retry(struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what)
{
	if (mt_exchange_may_retry(p, ex, what))
		mt_call_run(p, ex);
}

/* Counts the answer for the endpoint. */
static mt_inline void endpoint_answered(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply)
{
	const struct mt_attempt *a = mt_exchange_attempt(ex);
	struct mt_ep_state *ep = mt_attempt_ep(a);

	mt_admit_answered(p, a);
	if (mt_unlikely(!ep))
		return;
	if (mt_unlikely(mt_ep_on_trial(ep) || reply->status >= MT_STATUS_SERVER_ERROR))
		mt_ep_answered(p, ex, a, reply->status);
	else
		mt_ep_succeeded(ep);
}

void mt_exchange_count_attempt(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply)
{
	ex->attempt.replied = p->now;
	ex->attempt.reply_len = reply->len;
	endpoint_answered(p, ex, reply);
	if (MT_COUNTED)
		mt_account_attempt(p, &ex->attempt, reply);
}

/* Counts a reply that waited for a filter. For its endpoint the reply was counted when it came. */
static mt_noinline void count_filtered(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply)
{
	mt_exchange_replied(ex, reply->status, ex->attempt.replied);
	mt_exchange_side(p, ex)->passed = p->now;
	if (MT_COUNTED)
		mt_account_answer(p, ex, reply);
	else
		mt_count(p->counters, MT_PROXY_exchange_answered);
}

void mt_exchange_count_reply(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply)
{
	const struct mt_attempt *a = &ex->attempt;

	if (mt_unlikely(ex->state == MT_EX_FILTERING)) {
		count_filtered(p, ex, reply);
		return;
	}
	mt_again_end(p, ex);
	mt_exchange_replied(ex, reply->status, p->now);
	ex->attempt.reply_len = reply->len;
	endpoint_answered(p, ex, reply);
	if (MT_COUNTED)
		mt_account_reply(p, ex, a, reply);
	else
		mt_count(p->counters, MT_PROXY_exchange_answered);
}

const struct mt_pool_user mt_pool_user = {
	.rejects = mt_again_rejects,
	.filters = mt_exchange_filters_reply,
	.limit_headers = mt_reply_headers_show,
	.replied = mt_exchange_count_reply,
	.ended = mt_exchange_end,
	.unreached = mt_exchange_retry,
	.sent_oneway = mt_unacked_wait,
	.acked = mt_unacked_look,
	.conn_ends = mt_up_end_calls,
	.peer_ended = mt_up_peer_ended,
};
