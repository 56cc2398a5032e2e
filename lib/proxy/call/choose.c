/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the endpoint of an attempt. */
#include "call/mt_call_priv.h"

/* Maximum number of endpoints that are tested to find one that is not overloaded. */
#define TESTED 3u
/* Maximum number of positions that are searched for an endpoint that has another one now. */
#define SEARCHED 32u

/*
 * Number of endpoints to test. With a hashing balancer only the picked endpoint is tested, because
 * it may have data of its callers that other endpoints do not have.
 */
static uint32_t tested(const struct mt_cluster *c)
{
	return mt_lb_hashes(c->lb) ? 1 : MT_MIN(c->n_eps, TESTED);
}

/* True if an endpoint could not be reached in this attempt; earlier attempts do not count. */
static bool tried_any(const struct mt_proxy *p, const struct mt_exchange *ex)
{
	return ex->tries != (ex->has_policy ? mt_exchange_side(p, ex)->tries : 0);
}

static void reply_no_endpoint(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (!ex->attempt.cluster->closed_by) {
		mt_reply_ending(p, ex,
			tried_any(p, ex) ? MT_ENDING_connect_failed : MT_ENDING_no_endpoint,
			"no endpoint left");
		return;
	}
	mt_count(p->counters, MT_PROXY_exchange_closed);
	mt_account_closed(p, ex->attempt.cluster->closed_by);
	p->denied.by = ex->attempt.cluster->closed_by->by;
	mt_reply_local(p, ex, MT_REPLY_DENIED, MT_DENIED_BY_POLICY);
}

static int pick(struct mt_proxy *p, const struct mt_exchange *ex)
{
	/* NULL: the call has moved to a snapshot that does not have its route. */
	const struct mt_route_action *route = ex->route;

	return mt_cluster_pick_by(ex->attempt.cluster, &p->lb, &p->view,
		route ? &route->hash : NULL, ex->rnd, p->now, ex->tried);
}

/*
 * Position of the endpoint with this id, which was at position `was` in an older snapshot. Searches
 * only near that position, because a cluster may have many endpoints. c->n_eps: it is not there.
 */
static uint32_t find_near(const struct mt_cluster *c, uint32_t was, uint64_t id)
{
	uint32_t n = MT_MIN(c->n_eps, SEARCHED);
	uint32_t from = MT_MIN(was > n / 2 ? was - n / 2 : 0, c->n_eps - n);

	if (was < c->n_eps && c->eps[was].state->id == id)
		return was;
	for (uint32_t i = from; i < from + n; i++)
		if (c->eps[i].state->id == id)
			return i;
	return c->n_eps;
}

/*
 * Position of the endpoint whose policies needed the verdict for which the call has waited; -1:
 * none, or this endpoint cannot be used any more. Another endpoint may have other token rules, so
 * the call could wait again, and in turn for two endpoints without end.
 */
static mt_noinline int verdict_at(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_cluster *c = ex->attempt.cluster;
	struct mt_exchange_side *side = mt_exchange_side(p, ex);
	uint32_t at;

	if (!side->verdict_at)
		return -1;
	at = find_near(c, side->verdict_at - 1, side->verdict_ep);
	side->verdict_at = 0;
	if (at == c->n_eps || (at < 64 && ex->tried >> at & 1) || !mt_cluster_usable(c, at, p->now))
		return -1;
	return (int)at;
}

/* With a retry policy, an endpoint that was tried before is better than none. */
static int pick_first(struct mt_proxy *p, struct mt_exchange *ex)
{
	int at = mt_unlikely(ex->waited_verdict) ? verdict_at(p, ex) : -1;

	if (mt_likely(at < 0))
		at = pick(p, ex);
	if (mt_likely(at >= 0 || !ex->armed || !ex->tried))
		return at;
	ex->tried = 0;
	return pick(p, ex);
}

const struct mt_endpoint *mt_call_choose(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_endpoint *bound = mt_unlikely(ex->origin == MT_CALL_OF_MIRROR)
						  ? mt_mirror_endpoint(p)
						  : mt_oneway_endpoint(p, ex);

	if (mt_unlikely(bound))
		return bound;
	for (uint32_t n = 0; n == 0 || n < tested(ex->attempt.cluster); n++) {
		int at = n ? pick(p, ex) : pick_first(p, ex);
		const struct mt_endpoint *ep;

		if (at < 0 && n == 0) {
			reply_no_endpoint(p, ex);
			return NULL;
		}
		if (at < 0)
			break;
		ep = &ex->attempt.cluster->eps[at];
		if (at < 64)
			ex->tried |= 1ull << at;
		if (mt_likely(!mt_admit_refuses(p, ex, ep->state->index, ep->state->id)))
			return ep;
		mt_count(p->counters, MT_PROXY_endpoint_overloaded);
		mt_exchange_trace_passed_by(p, ex, ep);
	}
	mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "the service cannot answer in time");
	return NULL;
}
