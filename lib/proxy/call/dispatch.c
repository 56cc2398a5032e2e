/* SPDX-License-Identifier: Apache-2.0 */
/* From a decoded request to a lane: service, filters, route, cluster, endpoint. */
#include "mt_proxy_priv.h"

#include <string.h>

/* Below this share of free data mbufs new calls are refused natively (design §4). */
#define REFUSE_BELOW_PCT 20

static void view_of(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_down *d)
{
	struct mt_view *v = &p->view;

	mt_view_bind(v, ex->codec, &ex->msg, &ex->req);
	v->peer = mt_stream_ends(d->s)->remote;
	v->rnd = ex->rnd;
}

void mt_dispatch_view(struct mt_proxy *p, struct mt_exchange *ex)
{
	view_of(p, ex, mt_exchange_down(p, ex));
}

/*
 * The begin of the method's name, for the shell: its bytes will be gone. As a rule they are where the decoder saw them, with
 * enough of the message behind them for a copy of fixed size.
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
	if (MT_COUNTED)
		mt_account_request(p, ex);
	keep_method(p, ex);
	mt_exchange_trace_service(p, ex);
	return true;
}

/* The cluster of its route, which is the service's idx-th. false: it was answered, or waits for its cluster. */
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
	ex->cluster = mt_secure_reach_for_call(p, mt_exchange_down(p, ex), ex->service->gateway,
		&ex->snap->clusters[at], &ex->shows);
	if (mt_unlikely(!ex->cluster)) {
		mt_count(p->counters, MT_PROXY_exchange_no_node_identity);
		mt_reply_local(
			p, ex, MT_REPLY_DENIED, "this node's identity is not permitted for you");
		return false;
	}
	ex->cluster_index = ex->cluster->index;
	mt_exchange_trace_route(p, ex, idx);
	/* Without the route's changes: it is routed once more then. */
	return mt_likely(ex->cluster->n_eps) || !mt_await_call(p, ex);
}

static mt_inline bool find_cluster(struct mt_proxy *p, struct mt_exchange *ex)
{
	uint32_t idx;

	ex->route = mt_route_lookup(ex->service->routes, &p->view, &idx);
	return to_cluster(p, ex, idx);
}

/*
 * Under another configuration. What has changed its metadata may have removed what its route matched: it keeps that route, as
 * long as there is one of this identity.
 */
static mt_noinline bool find_cluster_again(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_route_table *t = ex->service->routes;
	uint32_t n = ex->routed ? mt_route_count(t) : 0, idx = 0;

	while (idx < n && mt_route_at(t, idx)->id != ex->routed)
		idx++;
	ex->route = idx < n ? mt_route_at(t, idx) : mt_route_lookup(t, &p->view, &idx);
	return to_cluster(p, ex, idx);
}

/* The call is not sent without the changes of its route or of a policy, and it cannot have them. */
static void unchangeable(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_reply_local(p, ex, MT_REPLY_OVERLOAD,
		"its metadata cannot be changed as its route or a policy requires");
}

static bool has_key(const struct mt_metadata *m, const struct mt_mutation *change)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->entry[i].key_len == change->key_len && m->entry[i].key &&
			memcmp(m->entry[i].key, change->key, change->key_len) == 0)
			return true;
	return false;
}

/* No value is set, and the message has none of those that are removed. */
static bool nothing_to_change(struct mt_view *v)
{
	const struct mt_codec *codec = v->codec;
	enum mt_meta_state state = codec->metadata.index ? mt_view_read(v) : MT_META_TOO_LARGE;

	for (uint32_t i = 0; i < v->n_mutations; i++)
		if (v->mutations[i].value ||
			(state == MT_META_READ && has_key(&v->meta, &v->mutations[i])))
			return false;
	return state == MT_META_READ ||
	       (state == MT_META_ABSENT &&
		       !(codec->metadata.carries && codec->metadata.carries(codec, v->msg)));
}

/* What filters and the route have changed goes into the message, once. false: it was answered, as it does not go without. */
static bool encode(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_codec *codec = ex->codec;
	struct mt_view *v = &p->view;
	bool ok;

	if (mt_likely(v->n_mutations == 0))
		return true;
	ok = codec->rewrite.mutate && !ex->in_message &&
	     codec->rewrite.mutate(codec, &ex->msg, &ex->req, &v->meta, v->mutations,
		     v->n_mutations, p->pools) == 0;
	ok = ok || (!ex->in_message && nothing_to_change(v));
	if (!ok)
		mt_count(p->counters, MT_PROXY_mutation_failed);
	mt_exchange_trace_mutated(p, ex, v->n_mutations, ok);
	mt_exchange_changed(ex);
	v->n_mutations = 0;
	if (ok || !ex->must_change)
		return true;
	unchangeable(p, ex);
	return false;
}

/* Notes the changes of the call's route. false: there is no room for them in the view, and the call was answered. */
static mt_noinline bool change_by_route(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_route_action *r = ex->route;

	for (uint32_t i = 0; i < r->n_req_mut; i++) {
		if (mt_filter_change(&p->filters, &p->view, &r->req_mut[i]))
			continue;
		unchangeable(p, ex);
		return false;
	}
	if (r->n_req_mut) {
		ex->must_change = true;
		mt_exchange_changed(ex);
	}
	return true;
}

/* The caller's own time-out in ms; 0: none that can be read. */
static mt_inline uint32_t carried_timeout(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_key *key = &ex->codec->deadline_key;
	struct mt_slice v;
	uint32_t ms = 0;

	if (ex->msg.timeout_ms || !key->name || ex->in_message)
		return ex->msg.timeout_ms;
	/* A filter that asks what is left of it may have what it read in the view's scratch. */
	if (!mt_view_get_in(&p->view, key, &v, p->deadline_scratch) || v.len > 8)
		return 0;
	for (uint32_t i = 0; i < v.len; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return 0;
		ms = ms * 10 + (v.p[i] - '0');
	}
	return ms;
}

/* The configured time-out (`said`; 0: none), else the caller's own, else the node's. */
static mt_inline uint32_t timeout_of(struct mt_proxy *p, struct mt_exchange *ex, uint32_t said)
{
	uint32_t carried;

	if (said)
		return said;
	carried = carried_timeout(p, ex);
	if (carried && carried < p->conf.exchange_ms)
		return mt_deadline_round(&p->deadlines, carried + p->conf.grace_ms);
	return carried || !ex->snap->timeout_ms ? p->conf.exchange_ms : ex->snap->timeout_ms;
}

uint32_t mt_dispatch_left(struct mt_proxy *p, struct mt_exchange *ex)
{
	uint64_t gone = (p->now - ex->started) / MT_MSEC;
	uint32_t said = 0, all;

	if (ex->route)
		said = mt_snapshot_timeout(ex->route, ex->service);
	else if (ex->service)
		said = ex->service->timeout_ms;
	all = timeout_of(p, ex, said);
	return gone < all ? mt_deadline_round(&p->deadlines, all - (uint32_t)gone) : 1;
}

/*
 * Takes the message's bytes (those that are there) out of the receive chain. On -ENOMEM the exchange has
 * none of them and the client's bytes are skipped.
 */
static int take_bytes(struct mt_proxy *p, struct mt_down *d, struct mt_exchange *ex)
{
	uint32_t have = MT_MIN(d->s->rx.len, ex->msg.len);
	uint32_t left = ex->msg.len - have;
	int rc = mt_chain_split(&d->s->rx, have, &ex->req, p->pools);

	if (mt_unlikely(rc))
		mt_chain_drop(&d->s->rx, have - ex->req.len);
	ex->in_message = left > 0;
	ex->req_left = left;
	if (left > 0)
		d->cur = ex->self;
	return rc;
}

/* No exchange object: answers without one if the order of replies allows it. */
static void refuse_without_exchange(struct mt_proxy *p, struct mt_down *d)
{
	const struct mt_codec *codec = d->codec;
	uint32_t have = MT_MIN(d->s->rx.len, d->msg.len);
	struct mt_chain out = {0};
	struct mt_seed seed = {0};

	codec->correlate.save(codec, &d->msg, &d->s->rx, &seed);
	mt_count(p->counters, MT_PROXY_reply_overload);
	mt_chain_drop(&d->s->rx, have);
	d->skip_left = d->msg.len - have;
	if (d->msg.kind == MT_MSG_ONEWAY) {
		mt_count(p->counters, MT_PROXY_exchange_oneway_lost);
		return;
	}
	if ((d->ordered && d->outstanding > 0) ||
		codec->write.reply(
			codec, &seed, MT_REPLY_OVERLOAD, "too many calls", &out, p->pools)) {
		mt_down_reset(p, d, MT_PROXY_reply_unsendable);
		return;
	}
	mt_reply_aside(p, d, &out);
}

/* Whether routes, filters and balancers can know what they will ask for. */
static bool metadata_known(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (mt_likely(!ex->service->searches) || ex->in_message ||
		mt_view_read(&p->view) != MT_META_TOO_LARGE)
		return true;
	mt_reply_local(p, ex, MT_REPLY_TOO_LARGE, "more metadata than are read");
	return false;
}

static bool send_off(struct mt_proxy *p, struct mt_exchange *ex);

/*
 * Its route has mirrors. What is copied has the route's changes, so they go into the message before an endpoint is picked; and
 * the copies go when the call itself is on its way.
 */
static mt_noinline void send_mirrored(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_mirroring copies;

	if (ex->cluster->n_eps == 0 || !mt_mirror_choose(p, ex, &copies)) {
		(void)send_off(p, ex);
		return;
	}
	if (p->view.n_mutations) {
		if (!encode(p, ex))
			return;
		view_of(p, ex, mt_exchange_down(p, ex));
	}
	mt_mirror_copy(p, ex, &copies);
	mt_mirror_send(p, &copies, send_off(p, ex));
}

static mt_noinline void route_mirrored(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_deadline_arm(&p->deadlines, &ex->deadline, p->now, mt_dispatch_left(p, ex));
	if (change_by_route(p, ex))
		send_mirrored(p, ex);
}

void mt_dispatch_route(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (!find_cluster(p, ex))
		return;
	if (mt_unlikely(ex->route->rare)) {
		if (ex->route->n_mirrors) {
			route_mirrored(p, ex);
			return;
		}
		if (!change_by_route(p, ex))
			return;
	}
	/* The time in which filters waited is part of it. */
	mt_deadline_arm(&p->deadlines, &ex->deadline, p->now,
		mt_unlikely(ex->filter_at)
			? mt_dispatch_left(p, ex)
			: timeout_of(p, ex, mt_snapshot_timeout(ex->route, ex->service)));
	send_off(p, ex);
}

/*
 * What is not short, and what may bring a reply that is not, as the client's last ones were, holds up short messages on a connection: by
 * its length in the windows' time each way. (A long message that is not complete has more than shared_max.)
 */
static mt_noinline enum mt_up_role lane_apart(
	struct mt_proxy *p, struct mt_down *d, const struct mt_exchange *ex)
{
	/* Lanes of its own for as long as it is behind with reading. */
	if (d->own_lane && d->s->tx_queued + d->held <= p->conf.reply_soft / 2)
		d->own_lane = false;
	if (ex->msg.len > p->conf.shared_max || d->own_lane)
		return MT_UP_BULK;
	if (d->apart)
		d->apart--;
	return ex->msg.len > p->conf.wide_from || d->apart ? MT_UP_WIDE : MT_UP_SHARED;
}

void mt_dispatch(struct mt_proxy *p, struct mt_down *d, bool complete)
{
	struct mt_exchange *ex = mt_exchange_new(p, d);
	int rc;

	if (mt_unlikely(!ex)) {
		refuse_without_exchange(p, d);
		return;
	}
	ex->msg = d->msg;
	ex->oneway = d->msg.kind == MT_MSG_ONEWAY;
	ex->state = MT_EX_ROUTING;
	if (mt_unlikely(ex->msg.len > p->conf.wide_from || d->apart))
		ex->lane = (uint8_t)lane_apart(p, d, ex);
	ex->codec->correlate.save(ex->codec, &ex->msg, &d->s->rx, &ex->seed);
	rc = take_bytes(p, d, ex);
	view_of(p, ex, d);
	mt_reading_use_scan(p, &d->reading);
	mt_exchange_trace_begin(p, d, ex, complete);
	if (mt_unlikely(rc || p->free_pct < REFUSE_BELOW_PCT)) {
		mt_count(p->counters, MT_PROXY_no_memory);
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "out of memory");
		return;
	}
	if (mt_unlikely(ex->msg.refuse)) {
		mt_reply_local(p, ex, ex->msg.refuse - 1,
			mt_local_reply_str((enum mt_local_reply)(ex->msg.refuse - 1)));
		return;
	}
	if (!complete)
		mt_count(p->counters, MT_PROXY_request_early);
	if (!find_service(p, ex, d->proto) || !metadata_known(p, ex))
		return;
	if (mt_unlikely(d->eof) && mt_leave_call(p, d, ex))
		return;
	if (!ex->service->filters || mt_exchange_filters_request(p, ex))
		mt_dispatch_route(p, ex);
}

/* How many endpoints are looked at for one that is not overloaded. */
#define LOOK_AT 3u

/* A hash binds callers to their endpoint, which has what they need: another one does not. */
static uint32_t look_at(const struct mt_cluster *c)
{
	return c->lb == MT_LB_MAGLEV || c->lb == MT_LB_RING_HASH ? 1 : MT_MIN(c->n_eps, LOOK_AT);
}

static void reply_nobody(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (!ex->cluster->closed_by) {
		mt_reply_local(p, ex, MT_REPLY_NO_ENDPOINT, "no endpoint left");
		return;
	}
	mt_count(p->counters, MT_PROXY_exchange_closed);
	mt_account_closed(p, ex->cluster->closed_by);
	mt_reply_local(p, ex, MT_REPLY_DENIED, "denied by policy");
}

/*
 * An endpoint that may take the call; NULL: it was answered natively. One with too long a queue is passed by as long as there
 * are others.
 */
static mt_inline const struct mt_endpoint *pick(struct mt_proxy *p, struct mt_exchange *ex)
{
	/* NULL: the call has moved to a snapshot that has the route no more. */
	const struct mt_route_action *route = ex->route;

	const struct mt_endpoint *bound = mt_oneway_endpoint(p, ex);

	if (mt_unlikely(bound))
		return bound;
	for (uint32_t n = 0; n == 0 || n < look_at(ex->cluster); n++) {
		int at = mt_cluster_pick_by(ex->cluster, &p->lb, &p->view,
			route ? &route->hash : NULL, ex->rnd, p->now, ex->tried);
		const struct mt_endpoint *ep;

		if (at < 0 && n == 0) {
			reply_nobody(p, ex);
			return NULL;
		}
		if (at < 0)
			break;
		ep = &ex->cluster->eps[at];
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

void mt_dispatch_again(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (!mt_exchange_rebind(p, ex)) {
		mt_reply_local(p, ex, MT_REPLY_NO_ROUTE, "its service has left");
		return;
	}
	view_of(p, ex, mt_exchange_down(p, ex));
	mt_overlay_restore(p, ex);
	if (!find_cluster_again(p, ex) || !change_by_route(p, ex))
		return;
	mt_deadline_arm(&p->deadlines, &ex->deadline, p->now, mt_dispatch_left(p, ex));
	/* One that is sent again had its copies. */
	if (ex->route->n_mirrors && !ex->tries && !ex->repeats)
		send_mirrored(p, ex);
	else
		send_off(p, ex);
}

/* Its cluster is known, and the view shows it. false: it was answered natively, and may be gone. */
static bool send_off(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_endpoint *ep;
	struct mt_attempt *a;
	struct mt_lanes *ln;

	if (mt_unlikely(ex->cluster->n_eps == 0) && mt_await_call(p, ex))
		return true;
	mt_exchange_trace_pick(p, ex);
	ep = pick(p, ex);
	if (!ep || (mt_unlikely(ep->guarded) && !mt_guard_passes(p, ex, ep)))
		return false;
	mt_exchange_trace_endpoint(p, ex, ep);
	if (mt_unlikely(!encode(p, ex)))
		return false;
	a = mt_attempt_new(p, ex, ep);
	ln = a ? mt_lanes_get(p, ex, ep) : NULL;
	if (mt_unlikely(!ln)) {
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "too many endpoints");
		return false;
	}
	mt_lane_submit(p, ln, a);
	return true;
}

void mt_dispatch_verified(struct mt_proxy *p, struct mt_exchange *ex)
{
	/* It has moved to another snapshot, perhaps to one without its service. */
	if (!ex->service || (!ex->cluster && !mt_exchange_rebind(p, ex))) {
		mt_reply_local(p, ex, MT_REPLY_NO_ROUTE, "its service has left");
		return;
	}
	view_of(p, ex, mt_exchange_down(p, ex));
	mt_overlay_restore(p, ex);
	if (!ex->cluster) {
		mt_deadline_cancel(&ex->deadline); /* of the verdict */
		if (!find_cluster_again(p, ex) || !change_by_route(p, ex))
			return;
	}
	mt_deadline_arm(&p->deadlines, &ex->deadline, p->now, mt_dispatch_left(p, ex));
	if (ex->route && ex->route->n_mirrors && !ex->tries && !ex->repeats)
		send_mirrored(p, ex);
	else
		send_off(p, ex);
}

void mt_dispatch_pick(struct mt_proxy *p, struct mt_exchange *ex)
{
	view_of(p, ex, mt_exchange_down(p, ex));
	/* It waited behind another's time-out (oneway.c). */
	if (mt_unlikely(!mt_list_linked(&ex->deadline.node)))
		mt_deadline_arm(&p->deadlines, &ex->deadline, p->now, mt_dispatch_left(p, ex));
	send_off(p, ex);
}
