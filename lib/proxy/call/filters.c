/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a service's filters on an exchange. An exchange keeps the filters with which it started, in
 * the snapshot that it holds; these filters get its request, its reply and its end. If the exchange
 * moves to a configuration with other filters, the filters with which it started get its end then.
 */
#include "call/mt_call_priv.h"

#include "mt_filter_fault.h"
#include "mt_filter_global.h"
#include "mt_secure.h"

#include <string.h>

/* Maximum number of completions that are processed in a loop iteration. */
#define COMPLETIONS 256

void mt_filters_bind(struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_filters *c,
	enum mt_filter_direction direction, uint32_t at)
{
	struct mt_filter_ctx *ctx = &p->filter_ctx;

	ctx->at = at;
	ctx->exchange = ex->self.idx;
	ctx->generation = ex->self.gen;
	ctx->direction = direction;
	ctx->own = c->bytes ? mt_exchange_side(p, ex)->own : NULL;
	/* The view's changes are in the overlay or a completion; none points into filters.text. */
	p->filters.text_used = 0;
}

uint64_t mt_exchange_filters_left(struct mt_filter_ctx *ctx)
{
	struct mt_proxy *p = mt_container_of(ctx, struct mt_proxy, filter_ctx);
	struct mt_exchange *ex;
	uint64_t end;

	if (ctx->stream)
		return MT_OPAQUE_FILTERS_WAIT;
	ex = mt_slab_at(&p->exchanges, ctx->exchange);
	if (ctx->direction == MT_FILTER_OF_REPLY) {
		end = mt_reply_wait_end(p, ex);
		return end > p->now ? end - p->now : 0;
	}
	if (mt_list_linked(&ex->deadline.node))
		return ex->deadline.at > p->now ? ex->deadline.at - p->now : 0;
	return mt_call_left(p, ex) * MT_MSEC;
}

void mt_exchange_filters_caller(struct mt_filter_ctx *ctx, struct mt_filter_caller *who)
{
	const struct mt_proxy *p = mt_container_of(ctx, struct mt_proxy, filter_ctx);
	const struct mt_stream *s = ctx->stream;
	const struct mt_tuple *ends;

	if (!s)
		s = mt_exchange_down(p, mt_slab_at(&p->exchanges, ctx->exchange))->s;
	ends = mt_stream_ends(s);
	*who = (struct mt_filter_caller){
		.addr = ends->remote, .port = ends->rport, .principal = mt_secure_caller(p, s)};
}

/*
 * ---- requests -----------------------------------------------------------------------------------
 */

/*
 * Suspends the call for the filter at which the context stopped. The filter's time-out limits the
 * wait if it has one (mt_filter.wait_ms) that is shorter than the rest of the call's time-out;
 * otherwise this rest does.
 */
static void suspend(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_filters *c)
{
	uint32_t left = mt_call_left(p, ex);
	uint32_t most = c->request[p->filter_ctx.at - 1].f->type->wait_ms;

	ex->filters = c;
	ex->side = true;
	/* The next call that a filter answers would get this ending. */
	MT_ASSERT(p->filter_ctx.ending == MT_ENDING_ok);
	ex->delayed |= c->request[p->filter_ctx.at - 1].f->type == &mt_filter_fault;
	if (mt_unlikely(mt_overlay_keep_view(p, ex))) {
		mt_count(p->counters, MT_PROXY_no_memory);
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "out of memory");
		return;
	}
	ex->filter_at = (uint8_t)p->filter_ctx.at;
	ex->step = MT_CALL_FILTERS;
	mt_exchange_becomes(ex, MT_EX_SUSPENDED);
	mt_compact_waiting(p, &ex->req);
	mt_exchange_waits(p, ex);
	if (most && most < left)
		mt_deadline_arm(&p->deadlines, &ex->deadline, p->now, most);
	else if (!mt_list_linked(&ex->deadline.node))
		mt_deadline_arm(&p->deadlines, &ex->deadline, p->now, left);
}

void mt_filters_answer(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what, const char *text)
{
	/* Autoscalers use this count: it has no calls that the service could not judge. */
	if (ex->local_ending != MT_ENDING_limit_error)
		mt_account_limited(p, ex, what);
	mt_reply_local(p, ex, what, text);
}

void mt_filters_stopped(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_filter_ctx *ctx = &p->filter_ctx;

	ex->local_ending = (uint8_t)ctx->ending;
	ctx->ending = MT_ENDING_ok;
	mt_filters_answer(p, ex, ctx->reply, ctx->reply_text);
}

static mt_noinline void begin_lasting(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_filters *c)
{
	ex->filters = c;
	ex->side = true;
	memset(mt_exchange_side(p, ex)->own, 0, MT_FILTER_BYTES_MAX);
}

bool mt_exchange_filters_request(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_filters *c = ex->service->filters;
	enum mt_filter_verdict verdict;

	if (mt_unlikely(c->lasts) && !ex->filters)
		begin_lasting(p, ex, c);
	mt_filters_bind(p, ex, c, MT_FILTER_OF_REQUEST, ex->filter_at);
	verdict = mt_filters_run(p, ex, c->request, c->n_request);
	if (mt_likely(verdict == MT_FILTER_NEXT))
		return true;
	if (verdict == MT_FILTER_SUSPEND) {
		suspend(p, ex, c);
		return false;
	}
	mt_filters_stopped(p, ex);
	return false;
}

/* The exchange that waits with this ticket; NULL: that wait is over. */
static struct mt_exchange *waiting(struct mt_proxy *p, const struct mt_filter_ticket *t)
{
	struct mt_ref ref = {t->exchange, t->generation};
	struct mt_exchange *ex;

	/* The ticket comes from a filter, so its fields may have any value. */
	if (t->exchange >= p->exchanges.cap || !(t->generation & 1))
		return NULL;
	ex = mt_slab_get(&p->exchanges, ref);
	if (!ex || ex->filter_at != t->wait || ex->awaits_verdict)
		return NULL;
	return ex->state == MT_EX_SUSPENDED || ex->state == MT_EX_FILTERING ? ex : NULL;
}

/* The call gets a local reply of the filter for which it waited. */
static void refused(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_filter_resume *r)
{
	/* A call of a loaded image may be in front of its first filter (image.c). */
	const struct mt_filter_inst *f =
		ex->filter_at > 0 ? ex->filters->request[ex->filter_at - 1].f : NULL;

	if (f && f->type->on_refused)
		f->type->on_refused(f, r, &p->filters);
	ex->local_ending = (uint8_t)r->ending;
	mt_filters_answer(p, ex, r->reply, r->text);
}

/* Adds the filter's changes to the call's kept changes. 0 or -ENOMEM. */
static int keep_changes(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_filter_resume *r)
{
	if (!r->n_changes)
		return 0;
	mt_call_show(p, ex);
	mt_filter_mutate(&p->filters, &p->view, r->changes, r->n_changes);
	return mt_overlay_keep_view(p, ex);
}

bool mt_proxy_resume(struct mt_proxy *p, const struct mt_filter_resume *r)
{
	struct mt_exchange *ex;

	if (mt_unlikely(r->ticket.wait >= MT_FILTER_WAIT_OF_STREAM))
		return mt_opaque_resume(p, r);
	ex = waiting(p, &r->ticket);
	if (!ex)
		return false;
	if (ex->state == MT_EX_FILTERING) {
		mt_reply_wait_over(p, ex, r);
		return true;
	}
	if (r->verdict != MT_FILTER_NEXT) {
		refused(p, ex, r);
		return true;
	}
	/*
	 * The deadline may be the filter's. The next filter that waits, or run.c, arms another. A
	 * call of a loaded image may be in front of its first filter (image.c).
	 */
	if (ex->filter_at > 0 && ex->filters->request[ex->filter_at - 1].f->type->wait_ms)
		mt_deadline_cancel(&ex->deadline);
	if (r->n_reply_changes)
		mt_reply_headers_keep(p, ex, r);
	if (mt_unlikely(keep_changes(p, ex, r))) {
		mt_count(p->counters, MT_PROXY_no_memory);
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "out of memory");
		return true;
	}
	mt_exchange_becomes(ex, MT_EX_ROUTING);
	mt_call_run(p, ex);
	return true;
}

/* True: the next completion may be taken. */
static bool told(void *arg, const struct mt_filter_resume *r)
{
	struct mt_proxy *p = arg;
	bool waited = mt_proxy_resume(p, r);

	mt_count(p->filters.counters, waited ? MT_FILTER_completions : MT_FILTER_completions_late);
	return mt_resumes_may(p);
}

/* Answers of rate limit services. */
static uint32_t global_turn(struct mt_proxy *p)
{
	mt_resumes_begin(p);
	return mt_global_take(&p->filters, p->now, told, p);
}

uint32_t mt_exchange_filters_turn(struct mt_proxy *p)
{
	uint32_t n;

	mt_resumes_begin(p);
	n = mt_filter_inbox_take(p->filters.inbox, &p->filters, COMPLETIONS, told, p);
	/* After the inbox was marked as empty: an answer that comes from now on marks it again. */
	if (mt_unlikely(p->filters.global))
		n += global_turn(p);
	return n + mt_verdict_turn(p) + mt_tokens_turn(p) + mt_ext_authz_turn(p);
}

/*
 * ---- ends ---------------------------------------------------------------------------------------
 */

void mt_exchange_filters_end(struct mt_proxy *p, struct mt_exchange *ex, enum mt_filter_ended how)
{
	const struct mt_filter_end end = {
		.size = sizeof(end), .how = how, .took = p->now - ex->started};

	if (ex->filters->n_end) {
		mt_filters_bind(p, ex, ex->filters, MT_FILTER_OF_REQUEST, 0);
		mt_filter_run_end(ex->filters, &end, &p->filter_ctx);
	}
	ex->filters = NULL;
}

bool mt_exchange_filters_same(const struct mt_service *a, const struct mt_service *b)
{
	if (!b || a->n_filter_insts != b->n_filter_insts)
		return false;
	for (uint32_t i = 0; i < a->n_filter_insts; i++)
		if (a->filter_insts[i].type != b->filter_insts[i].type)
			return false;
	return true;
}

bool mt_exchange_filters_wait_on(const struct mt_service *a, const struct mt_service *b)
{
	if (!mt_exchange_filters_same(a, b))
		return false;
	for (uint32_t i = 0; i < a->n_filter_insts; i++) {
		const struct mt_filter *type = a->filter_insts[i].type;

		if ((type->conf_shared || type->bytes || type->on_end) &&
			a->filter_insts[i].conf != b->filter_insts[i].conf)
			return false;
	}
	return true;
}

void mt_exchange_filters_snap_move(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_service *to)
{
	if (!ex->filters)
		return;
	if (mt_exchange_filters_same(ex->service, to))
		ex->filters = to->filters;
	else
		mt_exchange_filters_end(p, ex, MT_FILTER_ENDED_UNBOUND);
}
