/* SPDX-License-Identifier: Apache-2.0 */
/* What goes back to clients: in turn where the protocol wants order, within the reply budget. */
#include "mt_mutant.h"
#include "mt_proxy_priv.h"

/* Replies that wait for their turn may take this many times the hard limit. */
#define HELD_FACTOR 4

/* The rows of proxy_outcomes.def stand in the order of enum mt_local_reply. */
_Static_assert(MT_PROXY_reply_denied - MT_PROXY_reply_no_route == MT_REPLY_N - 1, "outcome rows");

bool mt_reply_in_turn(const struct mt_down *d, const struct mt_exchange *ex)
{
	const struct mt_list *n;

	if (!mt_ref_is_none(d->streaming) && d->streaming.idx != ex->self)
		return false;
	if (!d->ordered || mt_mutant(MT_MUTANT_reply_out_of_turn))
		return true;
	mt_list_foreach (n, &d->exchanges) {
		const struct mt_exchange *first = mt_list_entry(n, struct mt_exchange, down_node);

		if (!first->oneway)
			return first == ex;
	}
	return true;
}

bool mt_reply_budget(struct mt_proxy *p, struct mt_down *d)
{
	uint32_t q = d->s->tx_queued + d->held;

	if (mt_likely(q < p->conf.reply_soft)) {
		d->above_soft_since = 0;
		return true;
	}
	/* One message may be longer than the hard limit; what comes on top of it may not. */
	if (d->s->tx_queued > MT_MAX(p->conf.reply_hard, d->largest_reply)) {
		mt_down_reset(p, d, MT_PROXY_slow_reader);
		return false;
	}
	/* What waits for an earlier call's reply is not the client's doing, but it has a bound, too. */
	if (q > MT_MAX(p->conf.reply_hard * HELD_FACTOR, d->largest_reply)) {
		mt_down_reset(p, d, MT_PROXY_replies_held);
		return false;
	}
	d->own_lane |= d->s->tx_queued >= p->conf.reply_soft;
	if (d->above_soft_since == 0)
		d->above_soft_since = d->last_ack = p->now;
	mt_down_arm(p, d);
	return true;
}

void mt_reply_settle(struct mt_proxy *p, struct mt_ref down)
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
	uint32_t before = ex->rsp.truesize;

	mt_exchange_detach(p, ex);
	mt_chain_concat(&ex->rsp, reply);
	if (ex->state != MT_EX_REPLYING)
		ex->state = MT_EX_READY;
	ex->rsp_complete = true;
	d->held += ex->rsp.truesize - before;
	mt_deadline_cancel(&ex->deadline);
	mt_reply_budget(p, d);
}

static void note_size(struct mt_down *d, const struct mt_chain *reply)
{
	if (mt_unlikely(reply->truesize > d->largest_reply))
		d->largest_reply = reply->truesize;
}

void mt_reply_whole(struct mt_proxy *p, struct mt_exchange *ex, struct mt_chain *reply)
{
	struct mt_down *d = mt_exchange_down(p, ex);
	struct mt_ref down = ex->down;

	note_size(d, reply);
	if (mt_traced(ex->trace))
		mt_exchange_trace_client(p, ex, d, reply, !mt_reply_in_turn(d, ex));
	if (!mt_reply_in_turn(d, ex)) {
		hold(p, d, ex, reply);
		return;
	}
	mt_reply_send(p, d, reply);
	mt_exchange_end(p, ex);
	if (mt_reply_budget(p, d))
		mt_reply_settle(p, down);
}

/* Nobody else answers it. */
static void count_local(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what, const char *text)
{
	mt_count(p->counters,
		ex->oneway ? MT_PROXY_exchange_oneway_lost : MT_PROXY_reply_no_route + what);
	if (ex->service)
		mt_stats_service(p, ex->service)->local[what]++;
	mt_exchange_answered_here(ex, what);
	if (mt_traced(ex->trace))
		mt_exchange_trace_local(p, ex, what, text);
}

void mt_reply_local(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what, const char *text)
{
	const struct mt_codec *codec = ex->codec;
	struct mt_down *d = mt_exchange_down(p, ex);
	struct mt_ref down = ex->down;
	struct mt_chain out = {0};

	if (ex->oneway) {
		count_local(p, ex, what, text);
		mt_exchange_end(p, ex);
		mt_reply_settle(p, down);
		return;
	}
	if (ex->state == MT_EX_REPLYING) {
		mt_down_reset(p, d, MT_PROXY_reply_truncated);
		return;
	}
	count_local(p, ex, what, text);
	if (mt_unlikely(!codec->reply || codec->reply(&ex->seed, what, text, &out, p->pools))) {
		mt_chain_free(&out);
		mt_down_reset(p, d, MT_PROXY_reply_unsendable);
		return;
	}
	mt_reply_whole(p, ex, &out);
}

/* What is held of the first exchange goes out; true when it was complete and has ended. */
static bool flush_first(struct mt_proxy *p, struct mt_down *d, struct mt_exchange *ex)
{
	struct mt_up *u;

	if (ex->rsp.len > 0) {
		if (mt_traced(ex->trace))
			mt_exchange_trace_client(p, ex, d, &ex->rsp, false);
		d->held -= ex->rsp.truesize;
		d->streaming = mt_slab_ref(&p->exchanges, ex);
		mt_reply_send(p, d, &ex->rsp);
	}
	if (ex->rsp_complete) {
		mt_exchange_end(p, ex);
		return true;
	}
	/* Its long reply may have waited for its turn. */
	u = mt_exchange_up(p, ex);
	if (u && u->paused && !u->decoding)
		mt_up_pump(p, u);
	return false;
}

void mt_reply_aside(struct mt_proxy *p, struct mt_down *d, struct mt_chain *c)
{
	if (mt_ref_is_none(d->streaming)) {
		mt_reply_send(p, d, c);
		return;
	}
	d->held += c->truesize;
	mt_chain_concat(&d->after, c);
	mt_reply_budget(p, d);
}

/* The exchange whose reply may go next and is there, at least in part. */
static struct mt_exchange *next_ready(struct mt_down *d)
{
	struct mt_list *n;

	mt_list_foreach (n, &d->exchanges) {
		struct mt_exchange *ex = mt_list_entry(n, struct mt_exchange, down_node);
		bool there = ex->state == MT_EX_READY || ex->state == MT_EX_REPLYING;

		if (there && mt_reply_in_turn(d, ex))
			return ex;
		if (d->ordered && !ex->oneway)
			return NULL;
	}
	return NULL;
}

/* Whether a connection of one call holds a long reply back until its turn. */
static bool any_stalled(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_list *n;

	mt_list_foreach (n, &d->exchanges) {
		struct mt_exchange *ex = mt_list_entry(n, struct mt_exchange, down_node);
		struct mt_up *u = mt_exchange_up(p, ex);

		if (ex->state == MT_EX_REPLYING && u && u->paused)
			return true;
	}
	return false;
}

void mt_reply_flush(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_ref ref = mt_slab_ref(&p->downs, d);
	struct mt_exchange *ex;

	if (d->after.len && mt_ref_is_none(d->streaming)) {
		d->held -= d->after.truesize;
		mt_reply_send(p, d, &d->after);
	}
	if (mt_likely(d->held == 0 && !d->stalled_replies))
		return;
	while (mt_slab_get(&p->downs, ref) && (ex = next_ready(d))) {
		bool ended = flush_first(p, d, ex);

		if (!mt_slab_get(&p->downs, ref) || !mt_reply_budget(p, d) || !ended)
			return;
	}
	/* Several may be stalled: the flag stays until the last one has had its turn. */
	if (mt_slab_get(&p->downs, ref))
		d->stalled_replies = any_stalled(p, d);
}
