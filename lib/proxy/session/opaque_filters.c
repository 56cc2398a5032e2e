/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rate limits of opaque streams, the only filters that apply without messages. Those of a stream's
 * service run before a server is selected; that of an endpoint runs when the endpoint is selected.
 * - A filter of the service may let the stream wait (MT_FILTER_SUSPEND). The stream waits as its
 *   mt_connecting, with its client's bytes in the receive window, like one that waits for an
 *   on-demand cluster. When the filter has decided, the next filters run, and the stream connects
 *   under the current snapshot.
 * - The wait has a time-out of its own. The limits have shorter ones; only a stream that a loaded
 *   image has waiting could wait longer, and runs the filter again.
 * - While a stream waits, it keeps its snapshot with the filters, unless that is too old. Then it
 *   goes on with those of the current snapshot if they are of the same types, and is reset
 *   otherwise (snapshot_move.c).
 */
#include "mt_filter_inbox.h"
#include "session/mt_session_priv.h"

/* How a stream ends for which a call would end in this way. */
static enum mt_ending ending_of(enum mt_ending of_call)
{
	if (of_call == MT_ENDING_over_global_limit)
		return MT_ENDING_connection_over_global;
	if (of_call == MT_ENDING_limit_error || of_call == MT_ENDING_timeout)
		return MT_ENDING_connection_limit_error;
	return of_call == MT_ENDING_overload ? MT_ENDING_overload : MT_ENDING_connection_limited;
}

static void refuse(struct mt_proxy *p, struct mt_connecting *j, enum mt_ending of_call)
{
	j->refused = ending_of(of_call);
	if (mt_opaque_is_limited(j->refused))
		mt_count(p->counters, MT_PROXY_opaque_over_limit);
}

/* Runs the filter at place `at`, from 0. */
static enum mt_filter_verdict run(struct mt_proxy *p, const struct mt_pair *pr,
	struct mt_connecting *j, const struct mt_filter_inst *f, uint32_t at)
{
	struct mt_filter_ctx *ctx = &p->filter_ctx;
	struct mt_ref self = mt_slab_ref(&p->connecting, j);
	enum mt_filter_verdict verdict;

	if (!f->type->on_stream)
		return MT_FILTER_NEXT;
	ctx->stream = pr->down;
	ctx->at = at + 1;
	ctx->exchange = self.idx;
	ctx->generation = self.gen;
	verdict = f->type->on_stream(f, ctx);
	ctx->stream = NULL;
	if (verdict != MT_FILTER_NEXT && verdict != MT_FILTER_SUSPEND)
		refuse(p, j, ctx->ending);
	ctx->ending = MT_ENDING_ok;
	return verdict;
}

bool mt_opaque_is_within(struct mt_proxy *p, const struct mt_pair *pr, struct mt_connecting *j,
	const struct mt_filter_inst *limit)
{
	enum mt_filter_verdict verdict = run(p, pr, j, limit, 0);

	/* Nothing could continue the stream. */
	if (verdict == MT_FILTER_SUSPEND)
		refuse(p, j, MT_ENDING_limit_error);
	return verdict == MT_FILTER_NEXT;
}

const struct mt_service *mt_opaque_service_in(
	const struct mt_snapshot *s, const struct mt_stream *down, const struct mt_connecting *j)
{
	const struct mt_tuple *t = mt_stream_ends(down);
	const struct mt_listener *l = mt_snapshot_listener(s, &t->local, t->lport);

	return l ? mt_opaque_service(mt_filter_chain_find(l, j->chain_id, j->codec, j->codec_opts))
		 : NULL;
}

enum mt_filter_verdict mt_opaque_filters(struct mt_proxy *p, struct mt_pair *pr,
	struct mt_connecting *j, const struct mt_service *svc)
{
	uint32_t n = svc ? svc->n_filter_insts : 0;

	for (uint32_t i = j->filter_at; i < n; i++) {
		enum mt_filter_verdict verdict = run(p, pr, j, &svc->filter_insts[i], i);

		if (verdict == MT_FILTER_NEXT)
			continue;
		j->filter_at = verdict == MT_FILTER_SUSPEND ? (uint8_t)(i + 1) : 0;
		if (j->filter_at)
			mt_wheel_arm(&p->wheel, &pr->timer, p->now + MT_OPAQUE_FILTERS_WAIT);
		return verdict;
	}
	j->filter_at = 0;
	return MT_FILTER_NEXT;
}

/* The next filters run, and the stream goes on to a server. It may have ended on return. */
static void go_on(struct mt_proxy *p, struct mt_pair *pr, struct mt_connecting *j)
{
	const struct mt_service *svc = mt_opaque_service_in(j->snap, pr->down, j);

	switch (mt_opaque_filters(p, pr, j, svc)) {
	case MT_FILTER_NEXT:
		mt_opaque_again(p, pr);
		return;
	case MT_FILTER_SUSPEND:
		return;
	default:
		mt_opaque_give_up(p, pr);
	}
}

/* The stream that waits with this ticket; NULL: that wait is over. */
static struct mt_connecting *waiting(struct mt_proxy *p, const struct mt_filter_ticket *t)
{
	struct mt_ref ref = {t->exchange, t->generation};
	struct mt_connecting *j;

	/* The ticket comes from a filter, so its fields may have any value. */
	if (t->exchange >= p->connecting.cap || !(t->generation & 1))
		return NULL;
	j = mt_slab_get(&p->connecting, ref);
	return j && j->filter_at && t->wait == MT_FILTER_WAIT_OF_STREAM + (uint32_t)j->filter_at
		       ? j
		       : NULL;
}

bool mt_opaque_resume(struct mt_proxy *p, const struct mt_filter_resume *r)
{
	struct mt_connecting *j = waiting(p, &r->ticket);
	const struct mt_service *svc;
	const struct mt_filter_inst *f;
	struct mt_pair *pr;

	if (!j)
		return false;
	pr = mt_slab_at(&p->pairs, j->pair);
	if (r->verdict == MT_FILTER_NEXT) {
		go_on(p, pr, j);
		return true;
	}
	svc = mt_opaque_service_in(j->snap, pr->down, j);
	f = svc && j->filter_at <= svc->n_filter_insts ? &svc->filter_insts[j->filter_at - 1]
						       : NULL;
	if (f && f->type->on_refused)
		f->type->on_refused(f, r, &p->filters);
	j->filter_at = 0;
	refuse(p, j, r->ending);
	mt_opaque_give_up(p, pr);
	return true;
}

void mt_opaque_filters_void(struct mt_proxy *p, struct mt_pair *pr, struct mt_connecting *j)
{
	j->filter_at = 0;
	refuse(p, j, MT_ENDING_limit_error);
	mt_opaque_give_up(p, pr);
}

void mt_opaque_filters_timer(struct mt_proxy *p, struct mt_pair *pr, struct mt_connecting *j)
{
	if (!j->filter_again) {
		mt_opaque_filters_void(p, pr, j);
		return;
	}
	j->filter_again = false;
	j->filter_at--;
	go_on(p, pr, j);
}

void mt_opaque_filters_again(struct mt_proxy *p)
{
	struct mt_connecting *j;
	uint32_t i = 0;

	while ((j = mt_slab_next(&p->connecting, &i))) {
		struct mt_pair *pr = mt_slab_at(&p->pairs, j->pair);

		if (!j->filter_at)
			continue;
		j->filter_again = true;
		mt_wheel_arm(&p->wheel, &pr->timer, p->now);
	}
}
