/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of a call from a decoded request to a server connection. Only mt_call_run() advances a
 * call: service, filters, route, cluster, endpoint, authorization at the endpoint, lane. Each step
 * continues with the next one, answers the call, or lets it wait. A call that waits is in a list of
 * calls with the same wait, or has a filter's ticket. mt_exchange.step names the step at which
 * mt_call_run() resumes the call, or SERVICE for a new call; other steps have no name.
 *
 * Runs do not nest. A run may end connections with attempts of other calls, which could then run
 * again, and may answer calls of other clients, whose next requests could then be read. These calls
 * are put into mt_proxy.again, and these clients into the queue of mt_readings. Both lists are
 * served at the end of this or the next loop iteration. A resumed call is put into mt_proxy.again,
 * too, if resumed calls have used up the iteration's steps for reading their metadata again
 * (mt_resumes_may()).
 */
#include "call/mt_call_priv.h"

#include <string.h>

/* ---- service --------------------------------------------------------------------------------- */

/*
 * Keeps the start of the method's name for the shell, because the message's bytes are freed before
 * the call ends. Usually the decoder has found the name, and enough bytes follow its start for a
 * copy of fixed size.
 */
static void keep_method(struct mt_proxy *p, struct mt_exchange *ex)
{
	uint32_t off = ex->msg.field[ex->codec->method_field].off;
	uint32_t len = ex->msg.field[ex->codec->method_field].len;
	const struct rte_mbuf *m = ex->req.head;
	uint32_t here = mt_link(m)->len;

	if (mt_unlikely(!ex->codec->method_field || off == 0 || len > MT_META_SCRATCH ||
			here < MT_RECORD_METHOD || off > here - MT_RECORD_METHOD)) {
		mt_exchange_find_method(p, ex);
		return;
	}
	memcpy(ex->method, mt_link_data(m) + off, MT_RECORD_METHOD);
	ex->method_len = (uint8_t)MT_MIN(len, (uint32_t)MT_RECORD_METHOD + 1);
}

static bool find_service(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_filter_chain_proto *proto)
{
	ex->service = mt_filter_chain_proto_service(proto, &p->view);
	if (!ex->service) {
		mt_reply_local(p, ex, MT_REPLY_NO_ROUTE, "no such service at this address");
		return false;
	}
	if (MT_COUNTED) {
		mt_account_request(p, ex);
		if (mt_unlikely(p->now >= p->exemplar_due))
			mt_exchange_sample(p, ex);
	}
	keep_method(p, ex);
	mt_exchange_trace_service(p, ex);
	return true;
}

/*
 * True if routes, filters and balancers can read all metadata that they search. A limit or a route
 * would else take metadata that break their format for none.
 */
static bool metadata_known(struct mt_proxy *p, struct mt_exchange *ex)
{
	enum mt_meta_state state;

	if (mt_likely(!ex->service->searches) || ex->in_message)
		return true;
	state = mt_view_read(&p->view);
	if (mt_likely(state != MT_META_TOO_LARGE && state != MT_META_BROKEN))
		return true;
	if (state == MT_META_BROKEN)
		mt_reply_local(
			p, ex, MT_REPLY_BAD_REQUEST, "metadata that contradict their format");
	else
		mt_reply_local(p, ex, MT_REPLY_TOO_LARGE, "more metadata than are read");
	return false;
}

static mt_inline bool to_service(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_down *d = mt_exchange_down(p, ex);

	if (!find_service(p, ex, d->proto) || !metadata_known(p, ex))
		return false;
	if (mt_unlikely(ex->service->tracing))
		mt_context_begin(p, ex);
	return mt_likely(!d->eof) || !mt_call_user.leaves(p, d, ex);
}

/* ---- route, cluster -------------------------------------------------------------------------- */

/*
 * Routes a call once more, in another snapshot. Metadata changes may have removed what the route
 * matched, so a changed call keeps its route as long as the snapshot has one with the same id.
 */
static mt_noinline const struct mt_route_action *same_route(
	struct mt_proxy *p, struct mt_exchange *ex, uint32_t *idx)
{
	const struct mt_route_table *t = ex->service->routes;
	uint32_t n = ex->routed ? mt_route_count(t) : 0;

	for (*idx = 0; *idx < n; ++*idx)
		if (mt_route_at(t, *idx)->id == ex->routed)
			return mt_route_at(t, *idx);
	return mt_route_lookup(t, &p->view, idx);
}

/* Chooses the cluster of the route, which is at `idx` in the table. False: answered, or waits. */
static mt_inline bool to_cluster(struct mt_proxy *p, struct mt_exchange *ex, uint32_t idx)
{
	uint32_t at;

	if (!ex->route) {
		mt_reply_local(p, ex, MT_REPLY_NO_ROUTE, "no route matches");
		return false;
	}
	if (MT_COUNTED)
		mt_account_route(p, ex);
	if (ex->route->n_dests == 0) {
		mt_reply_local(p, ex, MT_REPLY_NO_CLUSTER, "route without destination");
		return false;
	}
	at = mt_route_pick(ex->route, ex->rnd);
	if (mt_unlikely(at == MT_ROUTE_NO_CLUSTER)) {
		mt_reply_local(p, ex, MT_REPLY_NO_CLUSTER, "the route's cluster is not known");
		return false;
	}
	ex->attempt.cluster = mt_secure_reach_for_call(p, mt_exchange_down(p, ex),
		ex->service->gateway, &ex->snap->clusters[at], &ex->attempt.shows);
	if (mt_unlikely(!ex->attempt.cluster)) {
		mt_count(p->counters, MT_PROXY_exchange_no_node_identity);
		p->denied.by = NULL;
		mt_reply_ending(p, ex, MT_ENDING_no_identity, MT_DENIED_NO_IDENTITY);
		return false;
	}
	ex->attempt.cluster_index = ex->attempt.cluster->index;
	mt_exchange_trace_route(p, ex, idx);
	/* The wait comes before the route's changes, because the call is routed again after it. */
	return mt_likely(ex->attempt.cluster->n_eps) || !mt_on_demand_call(p, ex);
}

static mt_inline bool to_route(struct mt_proxy *p, struct mt_exchange *ex)
{
	bool again = mt_unlikely(ex->step == MT_CALL_ROUTE);
	uint32_t idx;

	ex->route = again ? same_route(p, ex, &idx)
			  : mt_route_lookup(ex->service->routes, &p->view, &idx);
	if (!to_cluster(p, ex, idx))
		return false;
	if (mt_unlikely(ex->route->n_req_mut) && !mt_changes_by_route(p, ex))
		return false;
	if (again && ex->retained && !mt_changes_renew(p, ex))
		return false;
	/* The time that the call has waited is part of its time-out. */
	mt_deadline_arm(&p->deadlines, &ex->deadline, p->now,
		mt_unlikely(ex->step != MT_CALL_SERVICE) ? mt_call_left(p, ex)
							 : mt_call_timeout(p, ex));
	return true;
}

/* ---- endpoint, lane -------------------------------------------------------------------------- */

static mt_inline enum mt_tried try_endpoint(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_endpoint *ep;
	struct mt_attempt *a;
	struct mt_lanes *ln;

	if (mt_unlikely(ex->attempt.cluster->n_eps == 0) && mt_on_demand_call(p, ex))
		return MT_TRIED_ENDED;
	mt_exchange_trace_pick(p, ex);
	ep = mt_call_choose(p, ex);
	if (!ep || (mt_unlikely(ep->guarded | ex->layered) && !mt_changes_by_endpoint(p, ex, ep)))
		return MT_TRIED_ENDED;
	mt_exchange_trace_endpoint(p, ex, ep);
	if (!mt_changes_encode(p, ex))
		return MT_TRIED_ENDED;
	a = mt_attempt_new(p, ex, ep);
	ln = mt_lanes_get(p, ex, ep);
	if (mt_unlikely(!ln)) {
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "too many endpoints");
		return MT_TRIED_ENDED;
	}
	return mt_lane_submit(p, ln, a);
}

/* False: the call was answered, or waits for something outside of the pool. */
static bool to_endpoint(struct mt_proxy *p, struct mt_exchange *ex)
{
	enum mt_tried tried;

	while (mt_unlikely((tried = try_endpoint(p, ex)) == MT_TRIED_UNREACHED)) {
		if (!mt_exchange_may_retry(p, ex, MT_REPLY_NO_ENDPOINT))
			return false;
		/* The view's changes are in the message now, or the message was restored. */
		mt_call_show(p, ex);
	}
	return tried == MT_TRIED_OUT;
}

/* True for the first attempt of a call if its route has mirrors or a retry policy. */
static mt_inline bool is_copied(const struct mt_proxy *p, const struct mt_exchange *ex)
{
	return mt_unlikely(ex->route && (ex->route->n_mirrors || ex->route->retries)) &&
	       !ex->tries && !ex->retries && !(ex->has_policy && mt_exchange_side(p, ex)->attempts);
}

/* Makes the mirrored copies and sends them after the call. Each copy has a run of its own. */
static mt_noinline void mirror_and_to_endpoint(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_mirroring copies;
	bool out;

	if (!mt_mirror_choose(p, ex, &copies)) {
		to_endpoint(p, ex);
		return;
	}
	mt_mirror_copy(p, ex, &copies);
	out = to_endpoint(p, ex);
	p->running = false;
	mt_mirror_send(p, &copies, out);
}

/*
 * Copies the request for mirrors, and for further attempts (again.c). The view has the changes of
 * filters and route, but not yet those of the endpoint's policies, which are not for the copies.
 */
static mt_noinline void copy_and_to_endpoint(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (ex->attempt.cluster->n_eps == 0) {
		to_endpoint(p, ex);
		return;
	}
	if (ex->route->retries)
		mt_again_arm(p, ex);
	if (mt_unlikely(ex->route->n_mirrors))
		mirror_and_to_endpoint(p, ex);
	else
		to_endpoint(p, ex);
}

/* ---- the run --------------------------------------------------------------------------------- */

/*
 * Moves a call without a cluster to the newest snapshot. False: the call was answered. The call may
 * be late already, because a loop iteration serves only a limited number of expired deadlines. (A
 * one-way call is sent late rather than lost.)
 */
static mt_noinline bool resume(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (ex->step == MT_CALL_ENDPOINT && !ex->attempt.cluster)
		ex->step = MT_CALL_ROUTE;
	if (ex->step == MT_CALL_ROUTE && !mt_exchange_snap_move(p, ex)) {
		mt_reply_local(p, ex, MT_REPLY_NO_ROUTE, "its service has left");
		return false;
	}
	mt_call_show(p, ex);
	if (mt_likely(ex->oneway || !mt_call_is_late(p, ex)))
		return true;
	mt_exchange_expired(p, ex);
	return false;
}

static mt_inline void lead(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (mt_unlikely(ex->step != MT_CALL_SERVICE) && !resume(p, ex))
		return;
	switch (ex->step) {
	case MT_CALL_SERVICE:
		if (!to_service(p, ex))
			return;
		/* fallthrough */
	case MT_CALL_FILTERS:
		if (ex->service->filters && !mt_exchange_filters_request(p, ex))
			return;
		/* fallthrough */
	case MT_CALL_ROUTE:
		if (!to_route(p, ex))
			return;
		break;
	case MT_CALL_ENDPOINT:
		/*
		 * The deadline is not armed if a later call's time-out applied instead (oneway.c),
		 * or if the attempt before had a time-out of its own (attempt.c).
		 */
		if (!mt_list_linked(&ex->deadline.node))
			mt_deadline_arm(&p->deadlines, &ex->deadline, p->now, mt_call_left(p, ex));
	}
	if (is_copied(p, ex))
		copy_and_to_endpoint(p, ex);
	else
		to_endpoint(p, ex);
}

/* Puts off a call that would run inside the run of another one, or for which no steps are left. */
static mt_noinline void put_off(struct mt_proxy *p, struct mt_exchange *ex)
{
	ex->side = true;
	mt_exchange_waits(p, ex);
	mt_list_add_tail(&p->again, &ex->queue_node);
}

/*
 * True for a call that goes on after a wait. False for a mirrored copy, because the copy's endpoint
 * is known for one run only.
 */
static mt_inline bool is_resumed(const struct mt_exchange *ex)
{
	return mt_unlikely(ex->step != MT_CALL_SERVICE) && ex->origin != MT_CALL_OF_MIRROR;
}

void mt_call_run(struct mt_proxy *p, struct mt_exchange *ex)
{
	bool resumed = is_resumed(ex);

	if (mt_unlikely(p->running || (resumed && !mt_resumes_may(p)))) {
		put_off(p, ex);
		return;
	}
	p->running = true;
	lead(p, ex);
	p->running = false;
	if (mt_unlikely(resumed))
		mt_resumes_spend(p);
}

uint32_t mt_call_turn(struct mt_proxy *p, uint32_t budget)
{
	struct mt_list now, *n;
	uint32_t runs = 0;

	/* Calls that are put off during these runs are served in the next iteration. */
	mt_list_init(&now);
	mt_resumes_begin(p);
	if (!mt_list_empty(&p->again))
		mt_list_splice_tail(&now, &p->again);
	for (; runs < budget && mt_resumes_may(p) && (n = mt_list_first(&now)); runs++) {
		mt_list_del(n);
		mt_call_run(p, mt_list_entry(n, struct mt_exchange, queue_node));
	}
	/* Calls that had no budget or no steps left go before the calls put off meanwhile. */
	if (!mt_list_empty(&p->again))
		mt_list_splice_tail(&now, &p->again);
	if (!mt_list_empty(&now))
		mt_list_splice_tail(&p->again, &now);
	return runs;
}
