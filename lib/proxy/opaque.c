/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any other byte stream: one server connection per client connection, joined as soon as the client is
 * accepted (the server may speak first). FIN passes as FIN, reset as reset, and TCP's own back-pressure
 * does the rest: what can't be sent on one side stays in the receive window of the other.
 */
#include "mt_mutant.h"
#include "mt_proxy_priv.h"

#define MAX_TRIES 8

static const struct mt_cluster *choose_cluster(struct mt_down *d)
{
	const struct mt_service *svc = d->listener->n_services ? d->listener->services[0] : NULL;
	uint64_t at, sum = 0;

	if (!svc)
		return NULL;
	if (svc->n_tcp_dests == 0)
		return &d->snap->clusters[svc->tcp_cluster];
	at = d->rnd % svc->tcp_total_weight;
	for (uint32_t i = 0; i < svc->n_tcp_dests; i++) {
		sum += svc->tcp_dests[i].weight;
		if (at < sum)
			return &d->snap->clusters[svc->tcp_dests[i].cluster];
	}
	return NULL;
}

static int pick(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_msg none = {0};
	struct mt_view *v = &p->view;

	v->codec = d->codec;
	v->msg = &none;
	v->chain = &d->in;
	v->peer = mt_tcp_tuple(d->s)->remote;
	v->rnd = d->rnd;
	v->n_mutations = 0;
	return mt_cluster_pick(d->cluster, &p->lb, v, d->rnd, p->now, d->tried);
}

/* Opens towards the next endpoint that was not tried. false: none is left. */
static bool try_next(struct mt_proxy *p, struct mt_down *d)
{
	while (d->cluster && d->tries < MT_MIN(d->cluster->n_eps, (uint32_t)MAX_TRIES)) {
		int pos = pick(p, d);
		const struct mt_endpoint *ep;
		enum mt_close_reason why;
		struct mt_lanes *ln;
		struct mt_up *u;

		if (pos < 0)
			return false;
		ep = &d->cluster->eps[pos];
		d->tries++;
		if (pos < 64)
			d->tried |= 1ull << pos;
		ln = mt_lanes_opaque(p, d, ep);
		u = ln ? mt_up_open(p, ln, MT_UP_PINNED, &why) : NULL;
		if (!u)
			continue;
		u->pair = mt_slab_ref(&p->downs, d);
		d->pair = mt_slab_ref(&p->ups, u);
		d->ep = ep->state;
		p->ep_stats[ep->state->index].requests++;
		return true;
	}
	return false;
}

bool mt_opaque_accept(struct mt_proxy *p, struct mt_down *d)
{
	d->rnd = mt_rand_u64(&p->rnd);
	d->cluster = choose_cluster(d);
	if (d->cluster && try_next(p, d))
		return true;
	mt_count(p->counters, MT_PROXY_opaque_no_endpoint);
	d->s = NULL;
	mt_down_free(p, d);
	return false; /* answered by RST */
}

/* Bytes and FIN from one side to the other. */
static void pass(struct mt_stream *from, struct mt_stream *to, bool *fin_passed)
{
	struct mt_chain c = {0};

	if (from->rx.len && mt_stream_sendable(to) > 0) {
		mt_chain_concat(&c, &from->rx);
		mt_stream_consumed(from);
		mt_stream_send(to, &c);
	}
	if (from->rx_eof && from->rx.len == 0 && !*fin_passed) {
		*fin_passed = true;
		if (!mt_mutant(MT_MUTANT_fin_not_passed))
			mt_stream_shutdown(to);
	}
}

static void arm_half_closed(struct mt_proxy *p, struct mt_down *d)
{
	if (d->fin_to_up != d->fin_to_down)
		mt_wheel_arm(&p->wheel, &d->timer, p->now + p->conf.half_closed_s * MT_SEC);
}

void mt_opaque_pump(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_up *u = mt_slab_get(&p->ups, d->pair);

	if (!u || !u->s || !d->s || u->state == MT_UP_CONNECTING)
		return;
	d->last_rx = p->now;
	pass(d->s, u->s, &d->fin_to_up);
	pass(u->s, d->s, &d->fin_to_down);
	arm_half_closed(p, d);
}

void mt_opaque_up_connected(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_down *d = mt_slab_get(&p->downs, u->pair);

	MT_ASSERT(d);
	d->joined = true;
	mt_count(p->counters, MT_PROXY_opaque_opened);
	mt_ep_succeeded(d->ep);
	d->ep = NULL;
	d->cluster = NULL;
	mt_down_rebind(p, d);
	mt_opaque_pump(p, d);
}

static void abort_down(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_stream *s = d->s;

	d->s = NULL;
	if (s)
		mt_stream_abort(s);
	mt_down_free(p, d);
}

static void connect_failed(struct mt_proxy *p, struct mt_down *d)
{
	p->ep_stats[d->ep->index].failures++;
	mt_count(p->counters, MT_PROXY_up_connect_failed);
	if (mt_ep_failed(d->ep, p->now))
		mt_count(p->lb.counters, MT_UPSTREAM_ejected);
	if (try_next(p, d))
		return;
	mt_count(p->counters, MT_PROXY_opaque_no_endpoint);
	abort_down(p, d);
}

void mt_opaque_up_closed(struct mt_proxy *p, struct mt_up *u, enum mt_close_reason reason)
{
	struct mt_down *d = mt_slab_get(&p->downs, u->pair);
	bool connecting = u->state == MT_UP_CONNECTING;
	struct mt_stream *s;

	u->s = NULL;
	mt_up_forget(p, u);
	if (!d)
		return;
	d->pair = MT_REF_NONE;
	if (connecting) {
		connect_failed(p, d);
		return;
	}
	if (reason != MT_CLOSE_OK) {
		mt_count(p->counters, MT_PROXY_opaque_reset);
		abort_down(p, d);
		return;
	}
	/* Both FINs are through; what is still queued to the client is delivered. */
	s = d->s;
	d->s = NULL;
	if (s)
		mt_stream_detach(s);
	mt_down_free(p, d);
}

void mt_opaque_down_closed(struct mt_proxy *p, struct mt_down *d, enum mt_close_reason reason)
{
	struct mt_up *u = mt_slab_get(&p->ups, d->pair);
	struct mt_stream *s = u ? u->s : NULL;

	d->s = NULL;
	mt_down_free(p, d);
	if (!u)
		return;
	u->s = NULL;
	if (s && reason == MT_CLOSE_OK) {
		mt_stream_detach(s);
	} else if (s) {
		mt_count(p->counters, MT_PROXY_opaque_reset);
		mt_stream_abort(s);
	}
	mt_up_forget(p, u);
}

void mt_opaque_timer(struct mt_proxy *p, struct mt_down *d)
{
	uint64_t at = d->last_rx + p->conf.half_closed_s * MT_SEC;
	struct mt_up *u = mt_slab_get(&p->ups, d->pair);
	struct mt_stream *s = u ? u->s : NULL;

	if (p->now < at) {
		mt_wheel_arm(&p->wheel, &d->timer, at);
		return;
	}
	mt_count(p->counters, MT_PROXY_opaque_half_closed_timeout);
	if (u) {
		u->s = NULL;
		mt_stream_abort(s);
		mt_up_forget(p, u);
	}
	abort_down(p, d);
}
