/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connects an opaque stream to a server: selects the endpoint and opens a connection that only this
 * stream uses. If the server ends the connection, has sent nothing and provably has read nothing
 * (mt_stream_unread(), or nothing was sent to it), the stream is connected again, and its client
 * does not notice.
 * - The first reconnect goes to another endpoint. The second one, or the first if no connection to
 *   another endpoint can be opened, goes to any endpoint. There are two reconnects at most.
 * - The client's bytes are copied from the old connection's send queue, if TCP still holds all of
 *   them. They wait in mt_connecting.given, charged to the client's stream as *streaming*, and are
 *   sent first on the new connection. The client's FIN is sent again.
 * - A reconnect uses the stream's service in the current snapshot (chain_opaque.c). In the
 *   service's counters the stream stays one request.
 * - A server of opaque TCP may close only its sending side, so its FIN is not the end of the
 *   stream, and MT_UNREAD_IF_WHOLE_CLOSE is not a proof.
 * - A server's FIN without data, which client bytes have crossed, is held back (mt_pair.fin_waits)
 *   until those bytes are acknowledged, answered by RST, or unanswered for a retransmission
 *   time-out. The bytes are checked every 50 ms, for 3 s at most. If the FIN was forwarded to the
 *   client, a reset that follows is forwarded, too, and there is no reconnect.
 */
#include "mt_authz.h"
#include "mt_mutant.h"
#include "session/mt_session_priv.h"

#include <errno.h>

#define MAX_TRIES 8
/* Times that a stream is connected again: first to another endpoint, then to any. */
#define RETRIES 2

/* The cluster at this index. NULL: the control plane has not sent the destination's cluster yet. */
static const struct mt_cluster *cluster_at(const struct mt_snapshot *s, uint32_t at)
{
	return mt_likely(at != MT_ROUTE_NO_CLUSTER) ? &s->clusters[at] : NULL;
}

static const struct mt_cluster *choose_cluster(
	const struct mt_connecting *j, const struct mt_filter_chain_proto *proto)
{
	const struct mt_service *svc = mt_opaque_service(proto);
	uint64_t at, sum = 0;

	if (!svc)
		return NULL;
	if (svc->n_tcp_dests == 0)
		return cluster_at(j->snap, svc->tcp_cluster);
	at = j->rnd % svc->tcp_total_weight;
	for (uint32_t i = 0; i < svc->n_tcp_dests; i++) {
		sum += svc->tcp_dests[i].weight;
		if (at < sum)
			return cluster_at(j->snap, svc->tcp_dests[i].cluster);
	}
	return NULL;
}

static void find_cluster(struct mt_proxy *p, const struct mt_pair *pr, struct mt_connecting *j,
	const struct mt_filter_chain_proto *proto)
{
	const struct mt_service *svc = mt_opaque_service(proto);

	j->cluster = choose_cluster(j, proto);
	j->gateway = svc && svc->gateway;
	if (mt_likely(!j->cluster || !j->cluster->lend))
		return;
	j->cluster = mt_secure_reach(p, pr->down, j->gateway, j->cluster, &j->shows);
	if (j->cluster)
		return;
	j->refused = MT_ENDING_no_identity;
	mt_count(p->counters, MT_PROXY_opaque_no_node_identity);
	mt_denied_stream(p, pr, NULL, MT_DENIED_NO_IDENTITY);
}

/* Makes the data to connect the stream for `proto`, in the current snapshot. NULL: none is free. */
static struct mt_connecting *connecting_new(
	struct mt_proxy *p, struct mt_pair *pr, const struct mt_filter_chain_proto *proto)
{
	struct mt_connecting *j = mt_slab_alloc(&p->connecting, NULL);

	if (!j)
		return NULL;
	mt_list_init(&j->node);
	j->pair = mt_slab_idx(&p->pairs, pr);
	pr->connecting = mt_slab_idx(&p->connecting, j) + 1;
	j->codec = proto->codec;
	j->codec_opts = proto->codec_opts;
	j->chain_id = proto->chain->id;
	j->snap = p->snap;
	mt_snap_hold(p, j->snap);
	j->rnd = mt_rand_u64(&p->rnd);
	find_cluster(p, pr, j, proto);
	return j;
}

static bool passes_tls(const struct mt_filter_chain_match *m)
{
	return m->transport == MT_TRANSPORT_TLS || m->n_server_names;
}

static struct mt_pair *pair_new(
	struct mt_proxy *p, struct mt_stream *s, const struct mt_filter_chain_proto *proto)
{
	struct mt_pair *pr = mt_slab_alloc(&p->pairs, NULL);

	if (!pr)
		return NULL;
	pr->down = s;
	pr->sni_unkept = passes_tls(&proto->chain->match) && !proto->chain->tls;
	if (!connecting_new(p, pr, proto)) {
		mt_slab_free(&p->pairs, pr);
		return NULL;
	}
	pr->last_ms = mt_opaque_ms(p);
	mt_timer_init(&pr->timer);
	s->user = &mt_pair_down_user;
	mt_stream_class(s, MT_CLASS_STREAMING, MT_CLASS_STREAMING);
	s->yields = true;
	s->user_ctx = p;
	s->owner_idx = mt_slab_idx(&p->pairs, pr);
	return pr;
}

void mt_opaque_leave_connecting(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_connecting *j = mt_connecting_of(p, pr);

	if (!j)
		return;
	mt_on_demand_stream_left(p, j);
	mt_snap_drop(p, j->snap);
	if (j->given.len && pr->down)
		mt_stream_touch(pr->down);
	mt_chain_free(&j->given);
	mt_slab_free(&p->connecting, j);
	pr->connecting = 0;
}

static int pick(struct mt_proxy *p, const struct mt_pair *pr, const struct mt_connecting *j)
{
	struct mt_chain nothing = {0};
	struct mt_msg none = {0};
	struct mt_view *v = &p->view;

	mt_view_bind(v, j->codec, &none, &nothing);
	v->peer = mt_stream_ends(pr->down)->remote;
	v->rnd = j->rnd;
	return mt_cluster_pick(j->cluster, &p->lb, v, j->rnd, p->now, j->tried);
}

/* Counts for the endpoint that a connection could not be opened, like one that fails later. */
static void not_opened(struct mt_proxy *p, const struct mt_connecting *j, const struct mt_lanes *ln,
	enum mt_close_reason why)
{
	struct mt_ep_where at = mt_lanes_where(ln);

	mt_account_connection(p, ln, true, why);
	if (__atomic_load_n(&ln->state->id, __ATOMIC_RELAXED) == ln->ep_id)
		mt_ep_blame(p, ln->state, j->cluster ? &j->cluster->outlier : NULL, &at, why, NULL);
}

/* Opens a connection to the lane group's endpoint. False: no connection could be opened. */
static bool open_up(struct mt_proxy *p, struct mt_pair *pr, struct mt_lanes *ln)
{
	enum mt_close_reason why;
	struct mt_stream_to to = {.remote = &ln->addr,
		.port = ln->port,
		.connect_ms = ln->connect_ms,
		.silent_ms = MT_UP_SILENT_MS,
		.tls = ln->tls,
		.user = &mt_pair_up_user,
		.user_ctx = p,
		.owner_idx = mt_slab_idx(&p->pairs, pr)};

	if (mt_unlikely(p->ups.in_use + p->pairs.in_use > p->conf.max_up)) {
		mt_count(p->counters, MT_PROXY_up_full);
		mt_connecting_of(p, pr)->refused = MT_ENDING_overload;
		return false;
	}
	if (!mt_lanes_conn_begin(p, ln, MT_UP_PINNED, false)) {
		mt_connecting_of(p, pr)->refused = MT_ENDING_breaker;
		mt_count(p->counters, MT_PROXY_up_limited);
		return false;
	}
	pr->up = mt_open(p, &to, &why);
	if (mt_unlikely(!pr->up)) {
		mt_count(p->counters, why == MT_CLOSE_NO_SOURCE_PORT ? MT_PROXY_up_no_source_port
								     : MT_PROXY_up_connect_failed);
		not_opened(p, mt_connecting_of(p, pr), ln, why);
		mt_lanes_conn_left(p, ln, MT_UP_PINNED);
		return false;
	}
	mt_stream_class(pr->up, MT_CLASS_STREAMING, MT_CLASS_STREAMING);
	pr->up->yields = true;
	pr->lanes = ln;
	if (mt_unlikely(pr->logged))
		mt_stream_log_connect(p, pr);
	mt_count(p->counters, MT_PROXY_up_opened);
	p->ep_stats[ln->ep_index].conns_opened++;
	p->ep_stats[ln->ep_index].conns_active++;
	p->ep_stats[ln->ep_index].streams++;
	return true;
}

/* True if the endpoint's policies and rate limits admit the stream. */
static bool may_reach(
	struct mt_proxy *p, const struct mt_pair *pr, struct mt_connecting *j, uint32_t at)
{
	const struct mt_authz *guard;

	if (mt_likely(!j->cluster->eps[at].guarded))
		return true;
	if (!mt_authorize_opaque(p, pr, j->cluster, at)) {
		j->refused = MT_ENDING_connection_denied;
		return false;
	}
	guard = j->cluster->guards[at];
	return !guard->limit || mt_opaque_is_within(p, pr, j, guard->limit);
}

/*
 * Connects to the next endpoint that was not tried. False: no endpoint is left, a limit is reached,
 * or a policy denies the stream.
 */
static bool try_next(struct mt_proxy *p, struct mt_pair *pr, struct mt_connecting *j)
{
	while (j->cluster && !j->refused &&
		j->tries < MT_MIN(j->cluster->n_eps, (uint32_t)MAX_TRIES)) {
		int pos = pick(p, pr, j);
		const struct mt_endpoint *ep;
		struct mt_lanes *ln;

		if (pos < 0)
			return false;
		ep = &j->cluster->eps[pos];
		if (mt_unlikely(!may_reach(p, pr, j, (uint32_t)pos)))
			return false;
		j->tries++;
		if (pos < 64)
			j->tried |= 1ull << pos;
		(void)mt_stats_endpoint(p, ep->state);
		ln = mt_lanes_opaque(p, j, ep);
		if (!ln || !open_up(p, pr, ln))
			continue;
		j->ep = ep->state;
		if (mt_unlikely(mt_ep_try(ep->state, &j->cluster->outlier, p->now)))
			mt_count(p->lb.counters, MT_UPSTREAM_trial);
		p->ep_stats[ep->state->index].requests++;
		return true;
	}
	return false;
}

/* Connects to a server, or waits for the on-demand cluster. False: neither is possible. */
static bool go_on(struct mt_proxy *p, struct mt_pair *pr, struct mt_connecting *j)
{
	if (mt_unlikely(j->cluster && j->cluster->demand)) {
		j->refused = mt_on_demand_stream(p, pr, j);
		return !j->refused;
	}
	return try_next(p, pr, j);
}

/* Why the stream gets no server; `closed`: an operator has closed the cluster. */
static enum mt_ending why_nobody(const struct mt_connecting *j, bool closed)
{
	if (closed)
		return MT_ENDING_connection_denied;
	if (j->refused)
		return j->refused;
	return j->tries ? MT_ENDING_connect_failed : MT_ENDING_no_endpoint;
}

/* `closed`: an operator has closed the cluster. */
static void count_nobody(struct mt_proxy *p, struct mt_pair *pr, enum mt_ending why, bool closed)
{
	const struct mt_connecting *j = mt_connecting_of(p, pr);
	struct mt_service_stats *st;

	/* The stream was open before, so only its end is counted. */
	if (mt_opaque_was_joined(pr)) {
		mt_opaque_count_closed(p, pr);
		return;
	}
	st = mt_opaque_stats(p, pr);
	if (st) {
		st->local[why]++;
		st->limited += mt_opaque_is_limited(why);
	}
	if (why == MT_ENDING_no_endpoint || why == MT_ENDING_connect_failed)
		mt_count(p->counters, MT_PROXY_opaque_no_endpoint);
	if (!closed)
		return;
	mt_authorize_count_closed_opaque(p, j->cluster->closed_by);
	mt_denied_stream(p, pr, j->cluster->closed_by->by, MT_DENIED_BY_POLICY);
}

void mt_opaque_joins_nobody(struct mt_proxy *p, struct mt_pair *pr)
{
	const struct mt_connecting *j = mt_connecting_of(p, pr);
	bool closed = j->cluster && j->cluster->closed_by;
	enum mt_ending why = why_nobody(j, closed);

	count_nobody(p, pr, why, closed);
	if (mt_unlikely(pr->logged))
		mt_stream_log_end(p, pr, why);
}

/* True if the service is not at a gateway's port, or the port's policies allow the stream. */
static bool comes_in(struct mt_proxy *p, struct mt_pair *pr, const struct mt_service *svc)
{
	if (mt_likely(!svc || !svc->gate) || mt_authorize_opaque_at_gateway(p, pr, svc->gate))
		return true;
	mt_connecting_of(p, pr)->refused = MT_ENDING_connection_denied;
	return false;
}

/* Why the stream may not go on yet, or at all. MT_FILTER_NEXT: it may. */
static enum mt_filter_verdict filters(
	struct mt_proxy *p, struct mt_pair *pr, const struct mt_filter_chain_proto *proto)
{
	const struct mt_service *svc = mt_opaque_service(proto);

	if (!comes_in(p, pr, svc))
		return MT_FILTER_REPLY;
	return mt_opaque_filters(p, pr, mt_connecting_of(p, pr), svc);
}

bool mt_opaque_begin(struct mt_proxy *p, struct mt_stream *s,
	const struct mt_filter_chain_proto *proto, bool unheard)
{
	struct mt_pair *pr = pair_new(p, s, proto);
	enum mt_filter_verdict verdict;
	struct mt_service_stats *st;

	if (!pr)
		return mt_down_no_room(p, s);
	pr->unheard = unheard;
	mt_stream_log_begin(p, pr);
	mt_opaque_count_for(p, pr, mt_opaque_service(proto));
	st = mt_opaque_stats(p, pr);
	if (mt_likely(st))
		st->requests++;
	verdict = filters(p, pr, proto);
	if (verdict == MT_FILTER_SUSPEND ||
		(verdict == MT_FILTER_NEXT && go_on(p, pr, mt_connecting_of(p, pr))))
		return true;
	mt_opaque_joins_nobody(p, pr);
	mt_opaque_free(p, pr);
	return false; /* the caller resets the client */
}

void mt_opaque_give_up(struct mt_proxy *p, struct mt_pair *pr)
{
	if (mt_opaque_was_joined(pr))
		mt_count(p->counters, MT_PROXY_opaque_reset);
	mt_opaque_joins_nobody(p, pr);
	mt_opaque_abort_down(p, pr, MT_ABORT_RELAYED);
}

/*
 * Moves an unconnected stream to the current snapshot. Returns the stream's protocol there; NULL:
 * none.
 */
static const struct mt_filter_chain_proto *snap_move(
	struct mt_proxy *p, const struct mt_stream *s, struct mt_connecting *j)
{
	const struct mt_tuple *t = mt_stream_ends(s);
	const struct mt_listener *l = mt_snapshot_listener(p->snap, &t->local, t->lport);

	j->cluster = NULL;
	j->tried = 0;
	mt_snap_switch(p, &j->snap, p->snap);
	return l ? mt_filter_chain_find(l, j->chain_id, j->codec, j->codec_opts) : NULL;
}

void mt_opaque_again(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_connecting *j = mt_connecting_of(p, pr);

	if (j->snap != p->snap)
		find_cluster(p, pr, j, snap_move(p, pr->down, j));
	/* The policies may have changed while the stream waited, with its snapshot or before. */
	if (!comes_in(p, pr, mt_opaque_service_in(j->snap, pr->down, j)) || !go_on(p, pr, j)) {
		mt_opaque_give_up(p, pr);
		return;
	}
	if (!j->on_demand)
		mt_wheel_cancel(&p->wheel, &pr->timer);
}

void mt_opaque_not_connected(struct mt_proxy *p, struct mt_pair *pr, enum mt_close_reason reason)
{
	struct mt_ep_where at = mt_lanes_where(pr->lanes);
	struct mt_connecting *j = mt_connecting_of(p, pr);
	const char *handshake = mt_secure_failure(p, pr->up);

	mt_account_connection(p, pr->lanes, true, reason);
	mt_opaque_forget_up(p, pr);
	mt_count(p->counters, MT_PROXY_up_connect_failed);
	mt_ep_blame(p, j->ep, j->cluster ? &j->cluster->outlier : NULL, &at, reason, handshake);
	if (!try_next(p, pr, j))
		mt_opaque_give_up(p, pr);
}

static void count_joined(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_service_stats *st = mt_opaque_stats(p, pr);

	if (mt_likely(st)) {
		st->ok++;
		st->opened++;
	}
	mt_count(p->counters, MT_PROXY_opaque_opened);
}

void mt_opaque_joined(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_connecting *j = mt_connecting_of(p, pr);
	struct mt_ep_where at = mt_lanes_where(pr->lanes);

	if (mt_likely(!pr->again))
		count_joined(p, pr);
	if (mt_unlikely(pr->logged))
		mt_stream_log_connected(p, pr);
	if (mt_unlikely(mt_ep_on_trial(j->ep)))
		mt_ep_answered_trial(p, j->ep, &at);
	else
		mt_ep_succeeded(j->ep);
	if (mt_unlikely(j->given.len)) {
		mt_stream_touch(pr->down);
		mt_stream_send(pr->up, &j->given);
		mt_waiting_asked(p, pr);
	}
	mt_opaque_leave_connecting(p, pr);
}

/* ---- reconnects ---- */

/* True if no byte came from the server, and its FIN, if it has sent one, was not forwarded. */
static bool said_nothing(const struct mt_pair *pr)
{
	return !pr->fin_to_down && pr->up->rx.len == 0 &&
	       mt_stream_positions(pr->down).accepted == 0;
}

static bool read_nothing(const struct mt_proxy *p, const struct mt_stream_end *e)
{
	return e->pos.accepted == 0 || mt_up_unread(p, e, 0, e->pos.accepted) == MT_UNREAD_PROVEN ||
	       mt_mutant(MT_MUTANT_retried_after_sent);
}

bool mt_opaque_fin_waits(struct mt_proxy *p, struct mt_pair *pr)
{
	uint64_t waited = (uint64_t)(mt_opaque_ms(p) - pr->last_ms) * MT_MSEC;
	struct mt_stream_end e;

	mt_stream_end(pr->up, &e);
	pr->fin_waits = !p->conf.unread_strict && said_nothing(pr) && e.pos.sent > 0 &&
			e.pos.acked == 0 && e.resent == 0 && !e.quiet && waited < MT_LOOK_UNTIL;
	if (pr->fin_waits)
		mt_wheel_arm(&p->wheel, &pr->timer, p->now + MT_LOOK_AGAIN);
	return pr->fin_waits;
}

/* The endpoint's bit in mt_connecting.tried; 0: not in the cluster, or its position has no bit. */
static uint64_t place_of(const struct mt_cluster *c, const struct mt_ep_state *ep)
{
	for (uint32_t i = 0; c && i < MT_MIN(c->n_eps, 64u); i++)
		if (c->eps[i].state == ep)
			return 1ull << i;
	return 0;
}

/*
 * Connects the first time to an endpoint other than `from`; the second time, or if no other could
 * be connected, to any endpoint.
 */
static bool join_again(struct mt_proxy *p, struct mt_pair *pr, const struct mt_ep_state *from)
{
	struct mt_connecting *j = mt_connecting_of(p, pr);

	if (++pr->again < RETRIES) {
		j->tried = place_of(j->cluster, from);
		if (go_on(p, pr, j))
			return true;
		if (j->refused)
			return false;
		pr->again++;
	}
	j->tries = 0;
	j->tried = 0;
	return go_on(p, pr, j);
}

bool mt_opaque_retry(struct mt_proxy *p, struct mt_pair *pr)
{
	const struct mt_ep_state *from = pr->lanes->state;
	const struct mt_filter_chain_proto *proto;
	struct mt_connecting *j;
	struct mt_stream_end e;
	int rc;

	mt_stream_end(pr->up, &e);
	if (pr->again == RETRIES || !said_nothing(pr) || !read_nothing(p, &e))
		return false;
	proto = mt_opaque_proto(p, pr);
	j = proto ? connecting_new(p, pr, proto) : NULL;
	if (!j)
		return false;
	rc = mt_stream_reclaim(pr->up, 0, e.pos.accepted, &j->given);
	if (rc) {
		if (rc == -ENOMEM)
			mt_count(p->counters, MT_PROXY_no_memory);
		mt_opaque_leave_connecting(p, pr);
		return false;
	}
	mt_stream_touch(pr->down);
	mt_opaque_forget_up(p, pr);
	mt_wheel_cancel(&p->wheel, &pr->timer);
	pr->fin_to_up = pr->fin_waits = false;
	mt_count(p->counters, MT_PROXY_opaque_transparent_retry);
	if (!join_again(p, pr, from))
		mt_opaque_give_up(p, pr);
	return true;
}

void mt_opaque_holds(struct mt_stream *s, struct mt_sums *sums)
{
	struct mt_proxy *p = s->user_ctx;
	const struct mt_connecting *j = mt_connecting_of(p, mt_pair_of(s));
	uint32_t n = j ? j->given.truesize : 0;

	sums->of[MT_CLASS_STREAMING] += n;
	s->keeps = n != 0;
}
