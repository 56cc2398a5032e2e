/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters at replies. They run on a complete reply that the client is about to get. Retries by
 * policy were decided before (again.c), so these filters run once for a call. A filter may wait
 * (MT_EX_FILTERING). During the wait
 * - the attempt has ended. The reply has left its connection, which serves other calls; the end of
 *   this connection does not affect the call any more;
 * - the reply is in mt_exchange.rsp, charged to the client as bytes that wait
 *   (mt_exchange.pending). If the class is full, the call gets a local reply (evict.c);
 * - the view's changes so far are kept as bytes (overlay.c);
 * - the call's time-out continues, but not that of its attempt. The filter may have a shorter
 *   time-out (mt_filter.wait_ms);
 * - later replies of an ordered client wait behind this one (reply.c).
 * A reply counts for its endpoint when it has come, and for its service when it is forwarded. If a
 * filter or Meltemi answers instead, the service counts only the local reply.
 */
#include "call/mt_call_priv.h"

uint64_t mt_reply_wait_end(const struct mt_proxy *p, const struct mt_exchange *ex)
{
	/* `until` is the end of the call's time-out; the deadline may be that of the attempt. */
	if (ex->has_policy || ex->state == MT_EX_FILTERING)
		return mt_exchange_side(p, ex)->until;
	/*
	 * The deadline was armed when the call was routed. `at` stays valid if a later call in
	 * doubt has taken the deadline out of its list (oneway.c).
	 */
	return ex->deadline.at;
}

/* Takes the reply from the attempt, which ends. */
static void take(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *msg,
	struct mt_chain *reply)
{
	struct mt_exchange_side *side = mt_exchange_side(p, ex);

	side->until = mt_reply_wait_end(p, ex);
	side->reply = *msg;
	mt_again_end(p, ex);
	mt_exchange_detach(p, ex);
	mt_chain_free(&ex->req);
	if (ex->pending)
		mt_exchange_waits_no_more(p, ex);
	mt_exchange_becomes(ex, MT_EX_FILTERING);
	ex->side = true;
	mt_chain_concat(&ex->rsp, reply);
}

/* Arms the rest of the call's time-out, or the filter's time-out if this ends earlier. */
static void arm(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_filter *type)
{
	uint64_t until = mt_exchange_side(p, ex)->until;
	uint64_t ns = until > p->now ? until - p->now : 0;
	uint32_t left = (uint32_t)MT_MAX((ns + MT_MSEC - 1) / MT_MSEC, 1u);

	if (type->wait_ms && type->wait_ms < left)
		mt_deadline_arm(&p->deadlines, &ex->deadline, p->now, type->wait_ms);
	else if (!mt_list_linked(&ex->deadline.node) || ex->deadline.at != until)
		mt_deadline_arm(&p->deadlines, &ex->deadline, p->now,
			mt_deadline_round(&p->deadlines, left));
}

/* The filter at place `at` - 1 waits. */
static void suspend(struct mt_proxy *p, struct mt_exchange *ex, uint32_t at)
{
	if (mt_unlikely(mt_overlay_keep_view(p, ex))) {
		mt_count(p->counters, MT_PROXY_no_memory);
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "out of memory");
		return;
	}
	ex->filter_at = (uint8_t)(MT_FILTER_WAIT_OF_REPLY + at);
	mt_compact_waiting(p, &ex->rsp);
	mt_exchange_waits(p, ex);
	arm(p, ex, ex->filters->reply[at - 1].f->type);
	mt_count(p->filters.counters, MT_FILTER_reply_waits);
}

/* Runs the filters on the reply that the view shows, from place `at` on. */
static enum mt_filter_verdict run_from(struct mt_proxy *p, struct mt_exchange *ex, uint32_t at)
{
	mt_filters_bind(p, ex, ex->filters, MT_FILTER_OF_REPLY, at);
	return mt_filters_run(p, ex, ex->filters->reply, ex->filters->n_reply);
}

bool mt_exchange_filters_reply(struct mt_proxy *p, struct mt_exchange *ex,
	struct mt_reading *reading, const struct mt_msg *msg, struct mt_chain *reply)
{
	const struct mt_down *d = mt_exchange_down(p, ex);
	enum mt_filter_verdict verdict;

	if (d->s)
		p->view.peer = mt_stream_ends(d->s)->remote;
	verdict = run_from(p, ex, 0);
	mt_reading_index(p, reading);
	if (mt_likely(verdict == MT_FILTER_NEXT))
		return true;
	mt_exchange_count_attempt(p, ex, msg);
	if (verdict == MT_FILTER_SUSPEND) {
		take(p, ex, msg, reply);
		suspend(p, ex, p->filter_ctx.at);
		return false;
	}
	mt_chain_free(reply);
	mt_filters_stopped(p, ex);
	return false;
}

/* The client has closed its connection while one of its calls waited: no reply may follow. */
static void drop(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_ref down = ex->down;

	mt_count(p->counters, MT_PROXY_up_late_reply);
	mt_exchange_leave(p, ex, false);
	mt_reply_settle(p, down);
}

/* All filters have passed the reply. */
static void pass(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_chain reply;

	if (mt_unlikely(mt_exchange_down(p, ex)->left)) {
		drop(p, ex);
		return;
	}
	reply = mt_chain_take(&ex->rsp);
	mt_reply_filtered(p, ex, &mt_exchange_side(p, ex)->reply, &reply);
}

void mt_reply_wait_over(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_filter_resume *r)
{
	uint32_t at = ex->filter_at - MT_FILTER_WAIT_OF_REPLY;
	enum mt_filter_verdict verdict;

	if (r->verdict != MT_FILTER_NEXT) {
		mt_filters_answer(p, ex, r->reply, r->text);
		return;
	}
	mt_view_bind(&p->view, ex->codec, &mt_exchange_side(p, ex)->reply, &ex->rsp);
	p->view.peer = mt_stream_ends(mt_exchange_down(p, ex)->s)->remote;
	mt_overlay_restore(p, ex);
	mt_filter_mutate(&p->filters, &p->view, r->changes, r->n_changes);
	verdict = run_from(p, ex, at);
	mt_resumes_spend(p);
	if (verdict == MT_FILTER_NEXT)
		pass(p, ex);
	else if (verdict == MT_FILTER_SUSPEND)
		suspend(p, ex, p->filter_ctx.at);
	else
		mt_filters_stopped(p, ex);
}
