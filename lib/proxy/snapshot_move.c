/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves a worker from one snapshot to the next, in slices. Lane groups drain if their endpoint or
 * codec is not in the new snapshot; client connections move. Exchanges, and opaque streams that are
 * connecting, finish under the snapshot with which they started, unless that snapshot is too old
 * (mt_snapshot.keep_from). Then the parts of it that they still need are found in the new snapshot
 * by stable ids; a part that is not found becomes NULL.
 */
#include "mt_mutant.h"
#include "mt_proxy_priv.h"

#include <string.h>

/* Maximum cost in one loop iteration; an object costs 1 or more. */
#define SNAP_MOVE_SLICE 256
/* Endpoints whose lane groups are marked at a cost of 1; few, because each is a cache miss. */
#define NAMED_PER_UNIT 4

void mt_proxy_adopt(struct mt_proxy *p, struct mt_snapshot *s)
{
	struct mt_snapshot *old = p->snap;

	if (s == old)
		return;
	p->snap = s;
	mt_snapshot_hold(s, p->worker);
	if (old)
		mt_snapshot_drop(old, p->worker);
	p->snap_move_idx = p->snap_move_cluster = 0;
	p->snap_move_from = p->snap_move_to = NULL;
	p->snap_moving = MT_SNAP_MOVE_NAMED;
	mt_on_demand_look(p);
}

/* The cluster of the same id in the new snapshot, or NULL. Adds the cost of the search to *cost. */
static const struct mt_cluster *find_cluster(
	struct mt_proxy *p, const struct mt_cluster *old, uint32_t *cost)
{
	const struct mt_snapshot *s = p->snap;
	uint32_t i = 0;

	if (old == p->snap_move_from)
		return p->snap_move_to;
	while (i < s->n_clusters && s->clusters[i].id != old->id)
		i++;
	*cost += i / MT_MOVE_ENTRIES;
	p->snap_move_from = old;
	p->snap_move_to = i < s->n_clusters ? &s->clusters[i] : NULL;
	return p->snap_move_to;
}

/* Converts a bit set of endpoint positions in `from` to one of positions in `to`. */
static uint64_t move_tried(
	const struct mt_cluster *from, const struct mt_cluster *to, uint64_t tried, uint32_t *cost)
{
	uint32_t n = to ? MT_MIN(to->n_eps, 64u) : 0;
	uint64_t moved = 0;

	for (; tried; tried &= tried - 1) {
		const struct mt_ep_state *st = from->eps[__builtin_ctzll(tried)].state;

		for (uint32_t i = 0; i < n; i++)
			if (to->eps[i].state == st)
				moved |= 1ull << i;
		*cost += n / MT_MOVE_ENTRIES;
	}
	return moved;
}

/* Replaces the cluster and what depends on it. `s`: the client's stream; NULL: it is gone. */
static void switch_cluster(struct mt_proxy *p, const struct mt_stream *s, bool gateway,
	const struct mt_cluster **cluster, uint8_t *shows, uint64_t *tried, uint32_t *cost)
{
	const struct mt_cluster *to;

	if (!*cluster)
		return;
	to = find_cluster(p, *cluster, cost);
	if (to && to->lend && mt_unlikely(!s))
		to = to->unlent;
	else if (to)
		to = mt_secure_reach(p, s, gateway, to, shows);
	*tried = move_tried(*cluster, to, *tried, cost);
	*cluster = to;
}

/* ---- client connections ---- */

static const struct mt_listener *listener_of(const struct mt_proxy *p, const struct mt_stream *s)
{
	const struct mt_tuple *t = mt_stream_ends(s);

	return mt_snapshot_listener(p->snap, &t->local, t->lport);
}

static bool must_move(const struct mt_proxy *p, const struct mt_snapshot *held)
{
	return held->version < p->snap->keep_from && !mt_mutant(MT_MUTANT_not_rebound);
}

/* Selects the chain again, among all chains of the listener. Returns the cost. */
static uint32_t snap_move_selection(struct mt_proxy *p, struct mt_chain_selection *u)
{
	const struct mt_listener *l = u->snap == p->snap ? NULL : listener_of(p, u->s);
	uint32_t cost = 1 + (l ? l->n_chains / MT_MOVE_CHAINS : 0);

	mt_chain_selection_snap_move(p, u);
	return cost;
}

/* True if the filters of the stream's service are the same in the new snapshot. */
static bool filters_stay(
	struct mt_proxy *p, const struct mt_pair *pr, const struct mt_connecting *j)
{
	const struct mt_service *from = mt_opaque_service_in(j->snap, pr->down, j);

	return from &&
	       mt_exchange_filters_wait_on(from, mt_opaque_service_in(p->snap, pr->down, j));
}

/*
 * An opaque stream keeps the snapshot with its cluster until it is connected, because it may have
 * to try another endpoint, unless it must move. Afterwards it needs no snapshot. Returns the cost.
 */
static uint32_t snap_move_connecting(struct mt_proxy *p, struct mt_connecting *j)
{
	struct mt_pair *pr = mt_slab_at(&p->pairs, j->pair);
	uint32_t cost = 1;

	/* Streams that wait for an on-demand cluster move by themselves (on_demand.c). */
	if (j->snap == p->snap || j->on_demand || !must_move(p, j->snap))
		return cost;
	if (mt_unlikely(j->filter_at) && !filters_stay(p, pr, j)) {
		mt_opaque_filters_void(p, pr, j);
		return cost;
	}
	switch_cluster(p, pr->down, j->gateway, &j->cluster, &j->shows, &j->tried, &cost);
	mt_snap_switch(p, &j->snap, p->snap);
	return cost;
}

/* Ends the next stream if the rules deny it now. Returns the cost; 0: no stream is left. */
static uint32_t snap_move_pair(struct mt_proxy *p)
{
	struct mt_pair *pr = mt_slab_next(&p->pairs, &p->snap_move_idx);
	uint32_t cost = 0;

	if (!pr)
		return 0;
	if (mt_authorize_opaque_ends(p, pr, &cost))
		mt_opaque_end_denied(p, pr);
	return 1 + cost / MT_MOVE_ENTRIES;
}

/* ---- exchanges ---- */

/*
 * The route with the same id; NULL: none, or the old one has neither changes of replies nor
 * retries, which are all that is read of a route after the call was sent.
 */
static const struct mt_route_action *find_route(
	const struct mt_route_action *old, const struct mt_service *service, uint32_t *cost)
{
	uint32_t n, i = 0;

	if (!old || !(old->n_rsp_mut || old->retries) || !service || !service->routes)
		return NULL;
	n = mt_route_count(service->routes);
	while (i < n && mt_route_at(service->routes, i)->id != old->id)
		i++;
	*cost += i / MT_MOVE_ENTRIES;
	return i < n ? mt_route_at(service->routes, i) : NULL;
}

/* True if a filter waits, or has waited and the call's filters go on in its turn (run.c). */
static bool is_in_filters(const struct mt_exchange *ex)
{
	return ex->state == MT_EX_SUSPENDED || ex->state == MT_EX_FILTERING ||
	       (ex->state == MT_EX_ROUTING && ex->step == MT_CALL_FILTERS);
}

/* Returns the cost. */
static uint32_t snap_move_exchange(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_attempt *a = mt_exchange_attempt(ex);
	const struct mt_down *d = mt_exchange_down(p, ex);
	struct mt_service *service = NULL;
	uint32_t cost = 1;

	if (ex->state == MT_EX_ON_DEMAND || !must_move(p, ex->snap))
		return cost;
	if (d && d->proto && ex->service)
		service = mt_filter_chain_proto_same(d->proto, ex->service);
	if (mt_unlikely(mt_verdict_in_front(p, ex))) {
		mt_exchange_renew(p, ex);
		return cost;
	}
	if (is_in_filters(ex) && !mt_exchange_filters_wait_on(ex->service, service)) {
		/*
		 * The local reply may have to wait, so end the filters now, while the exchange
		 * holds their configuration.
		 */
		mt_exchange_wait_is_void(p, ex);
		return cost;
	}
	/*
	 * Only a call with an attempt that is not sent yet, or with a retry policy, may go to another
	 * endpoint of the same cluster. Any other call loses its cluster, so that a transparent retry
	 * routes the call again.
	 */
	if (ex->armed || (a && a->state <= MT_ATTEMPT_CONNECTING))
		switch_cluster(p, d ? d->s : NULL, ex->service && ex->service->gateway,
			&ex->attempt.cluster, &ex->attempt.shows, &ex->tried, &cost);
	else
		ex->attempt.cluster = NULL;
	mt_count(p->counters, ex->service && !service ? MT_PROXY_exchange_snapshot_lost
						      : MT_PROXY_exchange_snapshot_moved);
	ex->route = find_route(ex->route, service, &cost);
	mt_exchange_filters_snap_move(p, ex, service);
	ex->service = service;
	mt_snap_switch(p, &ex->snap, p->snap);
	return cost;
}

/* ---- lane groups ---- */

/* True if the lane group has a current identity: the node's, or one that callers may use. */
static bool is_secured(
	struct mt_lanes *ln, const struct mt_cluster *c, const struct mt_endpoint *ep)
{
	uint32_t n = ep->tls && c->as ? c->lend->n_held : 0;

	for (uint32_t i = 0; i < n; i++)
		if (c->as[i] && mt_lanes_secured(ln, c->as[i]))
			return true;
	return ep->tls ? c->tls && mt_lanes_secured(ln, c->tls) : mt_lanes_secured(ln, NULL);
}

/*
 * Marks the endpoint's lane groups as current. Those whose TLS settings are not valid any more are
 * not marked, so they drain.
 */
static void mark_lanes(struct mt_proxy *p, const struct mt_cluster *c, const struct mt_endpoint *ep)
{
	const struct mt_ep_state *st = ep->state;

	for (struct mt_lanes *ln = p->lanes_by_ep[st->index]; ln; ln = ln->next_class)
		if (ln->ep_id == st->id && is_secured(ln, c, ep)) {
			ln->seen = p->snap->version;
			ln->conns_max = c->max_connections;
			if (mt_unlikely((c->max_connections || c->max_pending) && ln->n_queued))
				mt_lanes_look_later(p, ln);
		}
}

/* Counts connections and calls that were there before the node's limit. */
static void count_for_limits(struct mt_proxy *p, const struct mt_cluster *c)
{
	if (mt_unlikely(c->max_connections))
		mt_conns_settle(p, c->index, c->max_connections);
	if (mt_unlikely(c->max_pending))
		mt_pending_settle(p, c->index, c->max_pending);
}

void mt_snap_count_for_limits(struct mt_proxy *p)
{
	for (uint32_t i = 0; i < p->snap->n_clusters; i++)
		count_for_limits(p, &p->snap->clusters[i]);
}

/* Marks lane groups of the next endpoints of the snapshot. False: all are marked. */
static bool mark_named(struct mt_proxy *p)
{
	const struct mt_snapshot *s = p->snap;

	for (uint32_t n = 0; n < NAMED_PER_UNIT; n++) {
		const struct mt_cluster *c;

		if (p->snap_move_cluster == s->n_clusters)
			return false;
		c = &s->clusters[p->snap_move_cluster];
		if (p->snap_move_idx < c->n_eps) {
			mark_lanes(p, c, &c->eps[p->snap_move_idx++]);
			continue;
		}
		count_for_limits(p, c);
		p->snap_move_cluster++;
		p->snap_move_idx = 0;
	}
	return true;
}

/*
 * Drains the next lane group if it is not marked; a new group is marked when it is made
 * (pool/lane.c). Others with a codec that the snapshot lacks drain later (pool/former.c). Returns
 * the cost; 0: no group is left.
 */
static uint32_t drain_unnamed(struct mt_proxy *p)
{
	struct mt_lanes *ln = mt_slab_next(&p->lanes, &p->snap_move_idx);
	uint32_t cost = 1;

	if (!ln)
		return 0;
	if (ln->gone)
		return cost;
	if (ln->seen == p->snap->version) {
		mt_former_look(p, ln);
		return cost;
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(ln->n_conns); i++)
		cost += ln->n_conns[i];
	mt_lanes_drain(p, ln);
	return cost;
}

static void next_stage(struct mt_proxy *p)
{
	static const uint8_t after[] = {
		[MT_SNAP_MOVE_NAMED] = MT_SNAP_MOVE_LANES,
		[MT_SNAP_MOVE_LANES] = MT_SNAP_MOVE_DOWNS,
		[MT_SNAP_MOVE_DOWNS] = MT_SNAP_MOVE_SELECTIONS,
		[MT_SNAP_MOVE_SELECTIONS] = MT_SNAP_MOVE_PAIRS,
		[MT_SNAP_MOVE_PAIRS] = MT_SNAP_MOVE_CONNECTING,
		[MT_SNAP_MOVE_CONNECTING] = MT_SNAP_MOVE_EXCHANGES,
		[MT_SNAP_MOVE_EXCHANGES] = MT_SNAP_MOVE_DONE,
	};

	p->snap_moving = after[p->snap_moving];
	p->snap_move_idx = 0;
}

/*
 * One step of the stage. Clients move before exchanges, which find their services by their clients'
 * filter chains. Returns the cost; 0: the stage is done.
 */
static uint32_t snap_move_next(struct mt_proxy *p)
{
	struct mt_chain_selection *u;
	struct mt_exchange *ex;
	struct mt_connecting *j;
	struct mt_down *d;

	switch (p->snap_moving) {
	case MT_SNAP_MOVE_NAMED:
		return mark_named(p);
	case MT_SNAP_MOVE_LANES:
		return drain_unnamed(p);
	case MT_SNAP_MOVE_DOWNS:
		d = mt_slab_next(&p->downs, &p->snap_move_idx);
		return d ? mt_down_snap_move(p, d) : 0;
	case MT_SNAP_MOVE_SELECTIONS:
		u = mt_slab_next(&p->selections, &p->snap_move_idx);
		return u ? snap_move_selection(p, u) : 0;
	case MT_SNAP_MOVE_PAIRS:
		return snap_move_pair(p);
	case MT_SNAP_MOVE_CONNECTING:
		j = mt_slab_next(&p->connecting, &p->snap_move_idx);
		return j ? snap_move_connecting(p, j) : 0;
	default:
		ex = mt_slab_next(&p->exchanges, &p->snap_move_idx);
		return ex ? snap_move_exchange(p, ex) : 0;
	}
}

void mt_snap_move_slice(struct mt_proxy *p)
{
	for (uint32_t cost = 0; cost < SNAP_MOVE_SLICE && p->snap_moving != MT_SNAP_MOVE_DONE;) {
		uint32_t n = snap_move_next(p);

		cost += n;
		if (n == 0)
			next_stage(p);
	}
}
