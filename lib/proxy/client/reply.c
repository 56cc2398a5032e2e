/* SPDX-License-Identifier: Apache-2.0 */
/* Replies to clients: in turn (pool/turn.c), within the reply budget. */
#include "mt_mutant.h"
#include "client/mt_client_priv.h"

#include <string.h>

/* The rows of proxy_outcomes.def have the order of enum mt_local_reply. */
_Static_assert(
	MT_PROXY_reply_no_upgrade - MT_PROXY_reply_no_route == MT_REPLY_N - 1, "outcome rows");

struct mt_exchange *mt_reply_next(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_exchange *ex;

	if (mt_list_empty(&d->waiting))
		return NULL;
	if (!mt_ref_is_none(d->streaming))
		ex = mt_slab_get(&p->exchanges, d->streaming);
	else if (d->ordered)
		ex = mt_reply_first(d);
	else
		ex = mt_list_entry(mt_list_first(&d->waiting), struct mt_exchange, queue_node);
	return ex && mt_reply_waits(ex) ? ex : NULL;
}

static void note_budget(struct mt_proxy *p, struct mt_down *d)
{
	bool unread = d->s->tx_queued >= p->conf.reply_soft;

	if (mt_likely(d->s->tx_queued + d->held < p->conf.reply_soft)) {
		d->above_soft_since = 0;
		return;
	}
	if (unread) {
		d->own_lane = true;
		d->apart = MT_MAX(d->apart, 1);
	}
	if (d->above_soft_since == 0)
		d->above_soft_since = d->last_ack = p->now;
	mt_down_arm(p, d);
}

static void settle(struct mt_proxy *p, struct mt_ref down)
{
	struct mt_down *d = mt_slab_get(&p->downs, down);

	if (!d)
		return;
	mt_reply_flush(p, d);
	d = mt_slab_get(&p->downs, down);
	if (!d || d->decoding)
		return;
	if (d->paused || d->skip_left) {
		mt_down_pump(p, d);
		d = mt_slab_get(&p->downs, down);
	}
	if (d)
		mt_down_maybe_finish(p, d);
}

static void hold(
	struct mt_proxy *p, struct mt_down *d, struct mt_exchange *ex, struct mt_chain *reply)
{
	uint32_t before;

	mt_exchange_trace_held(p, ex);
	mt_exchange_detach(p, ex);
	before = ex->rsp.truesize;
	mt_chain_free(&ex->req); /* not needed after the answer */
	if (ex->pending)
		mt_exchange_waits_no_more(p, ex);
	mt_again_end(p, ex);
	mt_chain_concat(&ex->rsp, reply);
	if (ex->state != MT_EX_REPLYING)
		mt_exchange_becomes(ex, MT_EX_READY);
	ex->rsp_complete = true;
	mt_down_held(d, (int64_t)ex->rsp.truesize - before);
	mt_deadline_cancel(&ex->deadline);
	mt_reply_wait(d, ex);
	note_budget(p, d);
}

static void send_whole(struct mt_proxy *p, struct mt_exchange *ex, struct mt_chain *reply)
{
	struct mt_down *d = mt_exchange_down(p, ex);
	struct mt_ref down = ex->down;

	if (mt_unlikely(!d)) { /* a mirrored copy */
		mt_chain_free(reply);
		mt_exchange_end(p, ex);
		return;
	}
	if (mt_unlikely(!mt_reply_may_go(d, ex, reply->len))) {
		hold(p, d, ex, reply);
		return;
	}
	mt_exchange_trace_client(p, ex, d, reply);
	mt_reply_send(p, d, reply);
	mt_exchange_end(p, ex);
	if (mt_unlikely(d->left))
		d->last_ack =
			p->now; /* time for the client to acknowledge the reply (downstream.c) */
	note_budget(p, d);
	settle(p, down);
}

/* Counts a local reply. */
static void count_local(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what, const char *text)
{
	mt_count(p->counters,
		ex->oneway ? MT_PROXY_exchange_oneway_lost : MT_PROXY_reply_no_route + what);
	mt_account_local(p, ex, ex->local_ending ? ex->local_ending : mt_ending_of_reply(what));
	mt_exchange_answered_here(ex, what);
	mt_exchange_trace_local(p, ex, what, text);
}

/* The reason of a denial, for the details of its entry in the access log; NULL: none. */
static const char *reason_of(
	const struct mt_proxy *p, const struct mt_exchange *ex, const char *text)
{
	if (ex->local_ending == MT_ENDING_token_refused)
		return text + strlen(MT_DENIED_TOKEN);
	return ex->local_ending && ex->local_ending != MT_ENDING_denied ? NULL : p->denied.by;
}

static mt_noinline void deny(struct mt_proxy *p, struct mt_exchange *ex, const char *text)
{
	const char *reason = reason_of(p, ex, text);

	if (ex->note && reason)
		mt_call_log_reason(p, ex, reason);
	mt_denied_call(p, ex, text);
}

static void answer(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what, const char *text)
{
	const struct mt_codec *codec = ex->codec;
	struct mt_down *d = mt_exchange_down(p, ex);
	struct mt_ref down = ex->down;
	struct mt_chain out = {0};

	if (mt_unlikely(what == MT_REPLY_DENIED))
		deny(p, ex, text);
	p->denied.by = NULL;
	if (ex->origin == MT_CALL_OF_MIRROR) {
		mt_mirror_failed(p, ex);
		return;
	}
	if (ex->oneway) {
		count_local(p, ex, what, text);
		mt_exchange_end(p, ex);
		settle(p, down);
		return;
	}
	if (ex->state == MT_EX_REPLYING) {
		mt_down_reset(p, d, MT_PROXY_reply_truncated);
		return;
	}
	if (mt_unlikely(d->left)) {
		mt_exchange_leave(p, ex, false);
		settle(p, down);
		return;
	}
	count_local(p, ex, what, text);
	if (mt_unlikely(!codec->write.reply ||
			codec->write.reply(codec, &ex->seed, what, text, &out, p->pools))) {
		mt_chain_free(&out);
		mt_down_reset(p, d, MT_PROXY_reply_unsendable);
		return;
	}
	send_whole(p, ex, &out);
}

static void send_aside(struct mt_proxy *p, struct mt_down *d, struct mt_chain *c)
{
	if (mt_unlikely(d->left)) {
		mt_chain_free(c);
		return;
	}
	if (mt_likely(mt_ref_is_none(d->streaming))) {
		mt_reply_send(p, d, c);
	} else {
		mt_down_held(d, c->truesize);
		mt_chain_concat(&d->after, c);
	}
	note_budget(p, d);
}

/*
 * Sends the held bytes of a reply. If the reply is complete now, ends its exchange; otherwise
 * resumes the server connection if that is paused.
 */
static void go_on(struct mt_proxy *p, struct mt_down *d, struct mt_exchange *ex)
{
	struct mt_up *u;

	mt_list_del(&ex->queue_node);
	if (mt_unlikely(d->left) && mt_ref_is_none(d->streaming)) {
		mt_exchange_leave(p, ex, false);
		return;
	}
	if (ex->rsp.len > 0) {
		mt_exchange_trace_client(p, ex, d, &ex->rsp);
		mt_down_held(d, -(int64_t)ex->rsp.truesize);
		d->streaming = ex->self;
		if (mt_unlikely(d->left))
			d->last_ack = p->now;
		mt_reply_send(p, d, &ex->rsp);
	}
	if (ex->rsp_complete) {
		mt_exchange_end(p, ex);
		return;
	}
	u = mt_exchange_up(p, ex);
	if (u && u->paused)
		mt_up_resume(p, u);
}

/* Sends the bytes that waited for the end of a long reply. */
static void send_after(struct mt_proxy *p, struct mt_down *d)
{
	if (d->after.len == 0 || !mt_ref_is_none(d->streaming))
		return;
	if (!mt_mutant(MT_MUTANT_held_not_returned))
		mt_down_held(d, -(int64_t)d->after.truesize);
	mt_reply_send(p, d, &d->after);
}

void mt_reply_flush(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_ref ref = d->self;
	struct mt_exchange *ex;

	if (mt_likely(mt_list_empty(&d->waiting) && d->after.len == 0) || d->flushing)
		return;
	d->flushing = true;
	send_after(p, d);
	/* If there is no room, mt_stream_sendable() requests `writable`, which calls this again. */
	while ((ex = mt_reply_next(p, d)) && mt_stream_sendable(d->s) > 0) {
		go_on(p, d, ex);
		if (!mt_slab_live(&p->downs, ref) || !d->s)
			return;
		send_after(p, d);
	}
	d->flushing = false;
	note_budget(p, d);
}

const struct mt_client_user mt_client_user = {
	.whole = send_whole,
	.local = answer,
	.aside = send_aside,
	.sent = note_budget,
	.ended = settle,
	.left = mt_leave_answered,
	.readable = mt_down_pump,
	.accepted = mt_chain_selection_accept,
};
