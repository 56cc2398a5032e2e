/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From one snapshot to the next, in slices. Lane groups of endpoints that it does not name drain, client
 * connections move at once. Exchanges and byte streams that are being joined finish under the snapshot that
 * they began with, unless that has to retire (mt_snapshot.keep_from): then each thing that they still need
 * of it is found in the new one by its stable identity, or done without.
 */
#include "mt_mutant.h"
#include "mt_proxy_priv.h"

#include <string.h>

/* What one turn may cost, in objects looked at. */
#define SNAP_MOVE_SLICE 256
/* Entries of a table that may be walked for the cost of one object. */
#define WALK_PER_UNIT 16
/* Filter chains whose matches may be compared with a connection for that. */
#define CHAINS_PER_UNIT 4
/* Endpoints whose lane groups may be looked for: neither lies beside the one before. */
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

/* The cluster of the same name in the new snapshot, or NULL; what the walk costs is added to *cost. */
static const struct mt_cluster *find_cluster(
	struct mt_proxy *p, const struct mt_cluster *old, uint32_t *cost)
{
	const struct mt_snapshot *s = p->snap;
	uint32_t i = 0;

	if (old == p->snap_move_from)
		return p->snap_move_to;
	while (i < s->n_clusters && s->clusters[i].id != old->id)
		i++;
	*cost += i / WALK_PER_UNIT;
	p->snap_move_from = old;
	p->snap_move_to = i < s->n_clusters ? &s->clusters[i] : NULL;
	return p->snap_move_to;
}

/* Positions of endpoints mean other endpoints in another snapshot. */
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
		*cost += n / WALK_PER_UNIT;
	}
	return moved;
}

/* Of the client whose stream it is. */
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

static void switch_snapshot(struct mt_proxy *p, struct mt_snapshot **held, struct mt_snapshot *to)
{
	if (to)
		mt_snap_hold(p, to);
	mt_snap_drop(p, *held);
	*held = to;
}

/* ---- client connections ---- */

static const struct mt_listener *listener_of(const struct mt_proxy *p, const struct mt_stream *s)
{
	const struct mt_tuple *t = mt_stream_ends(s);

	return mt_snapshot_listener(p->snap, &t->local, t->lport);
}

/* What serves the connection in the current snapshot: the same chain of its listener, in the same protocol. NULL: gone. */
static const struct mt_filter_chain_proto *same_proto(const struct mt_proxy *p,
	const struct mt_stream *s, uint64_t chain, const struct mt_codec *codec, uint8_t opts)
{
	const struct mt_listener *l = listener_of(p, s);

	return l ? mt_filter_chain_find(l, chain, codec, opts) : NULL;
}

/* Its chain speaks another protocol now, or is gone. */
static void listener_gone(struct mt_proxy *p, struct mt_down *d)
{
	mt_count(p->counters, MT_PROXY_down_listener_gone);
	mt_down_unserve(p, d, MT_REPLY_NO_ROUTE);
}

static bool must_move(const struct mt_proxy *p, const struct mt_snapshot *held)
{
	return held->version < p->snap->keep_from && !mt_mutant(MT_MUTANT_not_rebound);
}

/* What serves the connection now; nothing if `to` is NULL. */
struct heir {
	const struct mt_filter_chain_proto *to;
	enum mt_tls_standing standing; /* of the client by the rules of that chain */
	bool changed;		       /* another chain than the one that it was accepted by */
	bool drained;		       /* by an operator: the listener */
};

/*
 * Finds what serves the connection until its end, because its chain is gone, matches other
 * connections or ends TLS no longer.
 */
static const struct mt_filter_chain_proto *successor_of(
	const struct mt_down *d, const struct mt_listener *l)
{
	const struct mt_tuple *t = mt_stream_ends(d->s);
	const struct mt_filter_chain_facts f = {.local = t->local,
		.remote = t->remote,
		.lport = t->lport,
		.rport = t->rport,
		.tls = d->proto->chain->tls != NULL};

	return mt_filter_chain_successor(l, d->proto, &f);
}

/* Cost of a search through the listener's protocols that ended at `found`; NULL: at their end. */
static uint32_t cost_of_walk(const struct mt_listener *l, const struct mt_filter_chain_proto *found)
{
	uint32_t n = found ? (uint32_t)(found - l->protos) : l->n_protos;

	return n / WALK_PER_UNIT;
}

/* Adds what the search costs to *cost, because a listener may have thousands of chains. */
static struct heir heir_of(const struct mt_proxy *p, const struct mt_down *d, uint32_t *cost)
{
	const struct mt_listener *l = listener_of(p, d->s);
	const struct mt_filter_chain *was = d->proto->chain;
	struct heir h = {.standing = MT_TLS_STANDS};

	if (!l)
		return h;
	h.drained = l->drained;
	h.to = mt_filter_chain_find(l, was->id, d->codec, d->codec_opts);
	*cost += cost_of_walk(l, h.to);
	if (mt_likely(h.to))
		return h;
	if (was->tls) {
		h.to = mt_filter_chain_heir(l, was->kin, d->codec, d->codec_opts);
		*cost += cost_of_walk(l, h.to);
	}
	if (!h.to) {
		h.to = successor_of(d, l);
		h.changed = h.to != NULL;
		*cost += l->n_protos / CHAINS_PER_UNIT;
	}
	/* A chain for plaintext has no rules for certificates. */
	if (h.to && h.to->chain->tls)
		h.standing = mt_secure_standing(p, d->s, h.to->chain);
	return h;
}

/*
 * Drains or denies a connection whose chain is another one, or has other rules for clients than
 * those that accepted it, or if its listener is drained.
 */
static void judged_otherwise(struct mt_proxy *p, struct mt_down *d, const struct heir *h)
{
	if (h->standing == MT_TLS_CONDEMNED) {
		mt_count(p->counters, MT_PROXY_down_revoked);
		mt_down_unserve(p, d, MT_REPLY_DENIED);
	} else if (h->changed && !d->ending) {
		mt_count(p->counters, MT_PROXY_down_chain_changed);
		mt_down_drain(p, d);
	} else if (h->standing == MT_TLS_OUTDATED && !d->ending) {
		mt_count(p->counters, MT_PROXY_down_tls_outdated);
		mt_down_drain(p, d);
	} else if (h->drained && !d->ending) {
		mt_count(p->counters, MT_PROXY_down_listener_drained);
		mt_down_drain(p, d);
	}
}

/* Returns what it cost. */
static uint32_t snap_move_down(struct mt_proxy *p, struct mt_down *d)
{
	struct heir h = {0};
	uint32_t cost = 1;

	if (d->snap == p->snap || !d->snap || !d->s || d->decoding)
		return cost;
	if (mt_likely(d->proto))
		h = heir_of(p, d, &cost);
	if (h.to && h.to->idle_s != d->proto->idle_s)
		mt_wheel_arm(&p->wheel, &d->timer, p->now); /* looks at its new one */
	switch_snapshot(p, &d->snap, p->snap);
	d->proto = h.to;
	if (h.to)
		judged_otherwise(p, d, &h);
	else if (!d->unserved)
		listener_gone(p, d);
	return cost;
}

void mt_down_snap_move(struct mt_proxy *p, struct mt_down *d)
{
	(void)snap_move_down(p, d);
}

/* Chooses the chain again, among all of the listener. Returns what it cost. */
static uint32_t snap_move_selection(struct mt_proxy *p, struct mt_chain_selection *u)
{
	const struct mt_listener *l = u->snap == p->snap ? NULL : listener_of(p, u->s);
	uint32_t cost = 1 + (l ? l->n_chains / CHAINS_PER_UNIT : 0);

	mt_chain_selection_snap_move(p, u);
	return cost;
}

/*
 * A byte stream keeps the snapshot with its cluster until it is connected, or has to move: it may have to try
 * another endpoint. Afterwards it needs none. Returns what it cost.
 */
static uint32_t snap_move_connecting(struct mt_proxy *p, struct mt_connecting *j)
{
	const struct mt_pair *pr = mt_slab_at(&p->pairs, j->pair);
	uint32_t cost = 1;

	/* Those that wait for their cluster have moved, or do so soon (on_demand.c). */
	if (j->snap == p->snap || j->on_demand || !must_move(p, j->snap))
		return cost;
	switch_cluster(p, pr->down, j->gateway, &j->cluster, &j->shows, &j->tried, &cost);
	switch_snapshot(p, &j->snap, p->snap);
	return cost;
}

/* Bytes that nobody may send any more. Returns what it cost; 0: that was the last one. */
static uint32_t snap_move_pair(struct mt_proxy *p)
{
	struct mt_pair *pr = mt_slab_next(&p->pairs, &p->snap_move_idx);
	uint32_t cost = 0;

	if (!pr)
		return 0;
	if (mt_authorize_opaque_ends(p, pr, &cost))
		mt_opaque_end_denied(p, pr);
	return 1 + cost / WALK_PER_UNIT;
}

/* ---- exchanges ---- */

/* All that is read of a route once the call is on its way is what it does to the reply. */
static const struct mt_route_action *find_route(
	const struct mt_route_action *old, const struct mt_service *service, uint32_t *cost)
{
	uint32_t n, i = 0;

	if (!old || !(old->n_rsp_mut || old->retries) || !service || !service->routes)
		return NULL;
	n = mt_route_count(service->routes);
	while (i < n && mt_route_at(service->routes, i)->id != old->id)
		i++;
	*cost += i / WALK_PER_UNIT;
	return i < n ? mt_route_at(service->routes, i) : NULL;
}

/*
 * The call is routed again after its verdict. It keeps changes by filters, even of filters that are
 * gone.
 */
void mt_exchange_renew(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_count(p->counters, mt_exchange_snap_move(p, ex) ? MT_PROXY_exchange_snapshot_moved
							   : MT_PROXY_exchange_snapshot_lost);
}

static void wait_is_void(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_exchange_filters_end(p, ex, MT_FILTER_ENDED_HERE);
	mt_reply_local(p, ex, MT_REPLY_NO_ROUTE, "its service changed while a filter waited");
}

bool mt_exchange_renew_at_gate(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_down *d = mt_exchange_down(p, ex);
	const struct mt_service *service = NULL;

	mt_down_snap_move(p, d);
	if (d->proto && ex->service)
		service = mt_filter_chain_proto_same(d->proto, ex->service);
	if (!mt_exchange_filters_wait_on(ex->service, service)) {
		wait_is_void(p, ex);
		return false;
	}
	mt_exchange_renew(p, ex);
	return true;
}

/* Returns what it cost. */
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
	if ((ex->state == MT_EX_SUSPENDED || ex->state == MT_EX_FILTERING) &&
		!mt_exchange_filters_wait_on(ex->service, service)) {
		/* Now, while it holds their configuration: its answer may have to wait, and move. */
		wait_is_void(p, ex);
		return cost;
	}
	/*
	 * Only a call that was not sent, or has a retry policy, may go to another endpoint of the same
	 * cluster. A transparent retry of another call routes it again.
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
	switch_snapshot(p, &ex->snap, p->snap);
	return cost;
}

/* ---- what waits for its cluster ---- */

bool mt_exchange_snap_move(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_down *d = mt_exchange_down(p, ex);

	struct mt_service *service = NULL;

	mt_down_snap_move(p, d);
	if (d->proto && ex->service)
		service = mt_filter_chain_proto_same(d->proto, ex->service);
	mt_exchange_filters_snap_move(p, ex, service);
	ex->service = service;
	ex->attempt.cluster = NULL;
	ex->route = NULL;
	ex->tried = 0;
	switch_snapshot(p, &ex->snap, p->snap);
	return ex->service != NULL;
}

const struct mt_filter_chain_proto *mt_connecting_snap_move(
	struct mt_proxy *p, const struct mt_stream *s, struct mt_connecting *j)
{
	j->cluster = NULL;
	j->tried = 0;
	switch_snapshot(p, &j->snap, p->snap);
	return same_proto(p, s, j->chain_id, j->codec, j->codec_opts);
}

/* ---- lane groups ---- */

/* By the node's identity, or by one of callers'. */
static bool is_secured(
	struct mt_lanes *ln, const struct mt_cluster *c, const struct mt_endpoint *ep)
{
	uint32_t n = ep->tls && c->as ? c->lend->n_held : 0;

	for (uint32_t i = 0; i < n; i++)
		if (c->as[i] && mt_lanes_secured(ln, c->as[i]))
			return true;
	return ep->tls ? c->tls && mt_lanes_secured(ln, c->tls) : mt_lanes_secured(ln, NULL);
}

/* Those whose peers would not be taken for who they are any more are not named. */
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

/* Has connections and calls counted that were there before the node had a limit for them. */
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

/* Marks the lane groups of some endpoints that the snapshot names; false: all are marked. */
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

/* Those made meanwhile are marked by pool/lane.c. Returns what it cost, 0: none is left. */
static uint32_t drain_unnamed(struct mt_proxy *p)
{
	struct mt_lanes *ln = mt_slab_next(&p->lanes, &p->snap_move_idx);
	uint32_t cost = 1;

	if (!ln)
		return 0;
	if (ln->seen == p->snap->version || ln->gone)
		return cost;
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
 * One step of the stage. Exchanges look for their services where their clients' listeners are now, so those
 * come first. Returns what it cost; 0: the stage is done.
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
		return d ? snap_move_down(p, d) : 0;
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
