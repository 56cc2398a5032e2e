/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any other byte stream: one server connection per client connection, joined as soon as the client is
 * accepted (the server may speak first). FIN passes as FIN, reset as reset, and TCP's own back-pressure
 * does the rest: what can't be sent on one side stays in the receive window of the other.
 */
#include "mt_mutant.h"
#include "mt_proxy_priv.h"

#define MAX_TRIES 8

static struct mt_pair *pair_of(const struct mt_stream *s)
{
	struct mt_proxy *p = s->user_ctx;

	return mt_slab_at(&p->pairs, s->owner_idx);
}

const struct mt_lanes *mt_opaque_lanes(const struct mt_stream *s)
{
	return s->user == &mt_pair_up_user ? pair_of(s)->lanes : NULL;
}

static uint32_t ms_of(const struct mt_proxy *p)
{
	return (uint32_t)(p->now / MT_MSEC);
}

/* ---- life ---- */

static struct mt_pair *pair_new(struct mt_proxy *p, struct mt_stream *s)
{
	struct mt_pair *pr = mt_slab_alloc(&p->pairs, NULL);
	struct mt_joining *j = pr ? mt_slab_alloc(&p->joinings, NULL) : NULL;

	if (!j) {
		if (pr)
			mt_slab_free(&p->pairs, pr);
		return NULL;
	}
	pr->down = s;
	mt_list_init(&j->node);
	pr->joining = mt_slab_idx(&p->joinings, j) + 1;
	pr->last_ms = ms_of(p);
	mt_timer_init(&pr->timer);
	s->user = &mt_pair_down_user;
	mt_stream_class(s, MT_CLASS_STREAMING, MT_CLASS_STREAMING);
	s->yields = true;
	s->user_ctx = p;
	s->owner_idx = mt_slab_idx(&p->pairs, pr);
	return pr;
}

/* Connected, or never: nothing of a snapshot is needed any more. */
static void leave_joining(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_joining *j = mt_joining_of(p, pr);

	if (!j)
		return;
	mt_unpark_stream(p, j);
	mt_snap_drop(p, j->snap);
	mt_slab_free(&p->joinings, j);
	pr->joining = 0;
}

static void pair_free(struct mt_proxy *p, struct mt_pair *pr)
{
	mt_count(p->counters, MT_PROXY_down_closed);
	mt_wheel_cancel(&p->wheel, &pr->timer);
	leave_joining(p, pr);
	mt_slab_free(&p->pairs, pr);
}

/* The server's connection is gone or let go. */
static void forget_up(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_lanes *ln = pr->lanes;

	pr->up = NULL;
	pr->lanes = NULL;
	mt_lanes_conn_left(p, ln, MT_UP_PINNED);
	p->ep_stats[ln->ep_index].conns_active--;
	p->ep_stats[ln->ep_index].streams--;
	mt_count(p->counters, MT_PROXY_up_closed);
	mt_lanes_maybe_free(p, ln);
}

static void abort_up(struct mt_proxy *p, struct mt_pair *pr, enum mt_abort_reason why)
{
	struct mt_stream *s = pr->up;

	if (!s)
		return;
	forget_up(p, pr);
	mt_stream_abort(s, why);
}

static void abort_down(struct mt_proxy *p, struct mt_pair *pr, enum mt_abort_reason why)
{
	struct mt_stream *s = pr->down;

	pr->down = NULL;
	if (s)
		mt_stream_abort(s, why);
	pair_free(p, pr);
}

/* ---- numbers ---- */

static const struct mt_service *service_of(const struct mt_chain_proto *proto)
{
	return proto && proto->n_services ? proto->services[0] : NULL;
}

/* The stream's numbers are this service's from now on, under the current snapshot. NULL: nobody's. */
static void count_for(struct mt_proxy *p, struct mt_pair *pr, const struct mt_service *svc)
{
	pr->service = svc ? (uint16_t)(svc->index + 1) : 0;
	pr->version = (uint32_t)p->snap->version;
	if (svc)
		(void)mt_stats_service(p, svc);
}

/* Which of the listener's byte-stream services it is: the only one, or that of the same identity. NULL: none. */
static const struct mt_service *same_service(
	const struct mt_proxy *p, const struct mt_pair *pr, const struct mt_listener *l)
{
	uint64_t id = pr->service ? p->service_ids[pr->service - 1] : 0;

	for (uint32_t i = 0; i < l->n_protos; i++) {
		const struct mt_service *svc = service_of(&l->protos[i]);

		if (svc && l->protos[i].codec->opaque && (l->decided || svc->id == id))
			return svc;
	}
	return NULL;
}

/*
 * What the client's address names now; NULL: nothing any more. A stream lives on without the snapshot that it was
 * accepted under, and in a later one the service's number may belong to another.
 */
static struct mt_service_stats *stats_of(struct mt_proxy *p, struct mt_pair *pr)
{
	if (mt_unlikely(pr->version != (uint32_t)p->snap->version)) {
		const struct mt_tuple *t = mt_stream_ends(pr->down);
		const struct mt_listener *l = mt_snapshot_listener(p->snap, &t->local, t->lport);

		count_for(p, pr, l ? same_service(p, pr, l) : NULL);
	}
	return mt_likely(pr->service) ? &p->service_stats[pr->service - 1] : NULL;
}

/* A joined stream ends; the client's side is still there. */
static void count_closed(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_service_stats *st = pr->down && !pr->joining ? stats_of(p, pr) : NULL;

	if (st)
		st->closed++;
}

/* ---- joining ---- */

/* NULL: a name that the control plane has not explained yet. */
static const struct mt_cluster *cluster_at(const struct mt_snapshot *s, uint32_t at)
{
	return mt_likely(at != MT_ROUTE_NO_CLUSTER) ? &s->clusters[at] : NULL;
}

static const struct mt_cluster *choose_cluster(
	const struct mt_joining *j, const struct mt_chain_proto *proto)
{
	const struct mt_service *svc = service_of(proto);
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

static int pick(struct mt_proxy *p, const struct mt_pair *pr, const struct mt_joining *j)
{
	struct mt_chain nothing = {0};
	struct mt_msg none = {0};
	struct mt_view *v = &p->view;

	mt_view_bind(v, j->codec, &none, &nothing);
	v->peer = mt_stream_ends(pr->down)->remote;
	v->rnd = j->rnd;
	return mt_cluster_pick(j->cluster, &p->lb, v, j->rnd, p->now, j->tried);
}

/* A connection to an endpoint; false: none could be opened. */
static bool open_up(struct mt_proxy *p, struct mt_pair *pr, struct mt_lanes *ln)
{
	enum mt_close_reason why;
	struct mt_stream_to to = {.remote = &ln->addr,
		.port = ln->port,
		.connect_ms = ln->connect_ms,
		.silent_ms = MT_UP_SILENT_MS,
		.user = &mt_pair_up_user,
		.user_ctx = p,
		.owner_idx = mt_slab_idx(&p->pairs, pr)};

	if (mt_unlikely(p->ups.in_use + p->pairs.in_use > p->conf.max_up)) {
		mt_count(p->counters, MT_PROXY_up_full);
		mt_joining_of(p, pr)->limited = true;
		return false;
	}
	if (mt_lanes_at_limit(p, ln)) {
		mt_joining_of(p, pr)->limited = true;
		mt_count(p->counters, MT_PROXY_up_limited);
		return false;
	}
	pr->up = mt_stream_open(p->out, &to, &why);
	if (mt_unlikely(!pr->up)) {
		mt_count(p->counters, why == MT_CLOSE_NO_SOURCE_PORT ? MT_PROXY_up_no_source_port
								     : MT_PROXY_up_connect_failed);
		return false;
	}
	mt_stream_class(pr->up, MT_CLASS_STREAMING, MT_CLASS_STREAMING);
	pr->up->yields = true;
	pr->lanes = ln;
	mt_lanes_conn_added(p, ln, MT_UP_PINNED);
	mt_count(p->counters, MT_PROXY_up_opened);
	p->ep_stats[ln->ep_index].conns_opened++;
	p->ep_stats[ln->ep_index].conns_active++;
	p->ep_stats[ln->ep_index].streams++;
	return true;
}

/* Opens towards the next endpoint that was not tried. false: none is left, or a limit forbids any. */
static bool try_next(struct mt_proxy *p, struct mt_pair *pr, struct mt_joining *j)
{
	while (j->cluster && !j->limited &&
		j->tries < MT_MIN(j->cluster->n_eps, (uint32_t)MAX_TRIES)) {
		int pos = pick(p, pr, j);
		const struct mt_endpoint *ep;
		struct mt_lanes *ln;

		if (pos < 0)
			return false;
		ep = &j->cluster->eps[pos];
		j->tries++;
		if (pos < 64)
			j->tried |= 1ull << pos;
		(void)mt_stats_endpoint(p, ep->state);
		ln = mt_lanes_opaque(p, j, ep);
		if (!ln || !open_up(p, pr, ln))
			continue;
		j->ep = ep->state;
		j->trial = mt_ep_try(ep->state, &j->cluster->outlier, p->now);
		if (mt_unlikely(j->trial))
			mt_count(p->lb.counters, MT_UPSTREAM_trial);
		p->ep_stats[ep->state->index].requests++;
		return true;
	}
	return false;
}

/* Whether it is on its way to a server, or waits for its cluster. */
static bool go_on(struct mt_proxy *p, struct mt_pair *pr, struct mt_joining *j)
{
	if (mt_unlikely(j->cluster && j->cluster->demand)) {
		j->limited = !mt_park_stream(p, pr, j);
		return !j->limited;
	}
	return try_next(p, pr, j);
}

/* The client is going to be reset. A limit has counted itself and is no fault of the servers. */
static void joined_nobody(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_service_stats *st = stats_of(p, pr);

	bool limited = mt_joining_of(p, pr)->limited;

	if (st)
		st->local[limited ? MT_REPLY_OVERLOAD : MT_REPLY_NO_ENDPOINT]++;
	if (!limited)
		mt_count(p->counters, MT_PROXY_opaque_no_endpoint);
}

bool mt_opaque_begin(struct mt_proxy *p, struct mt_stream *s, const struct mt_chain_proto *proto)
{
	struct mt_pair *pr = pair_new(p, s);
	struct mt_service_stats *st;
	struct mt_joining *j;

	if (!pr)
		return mt_down_no_room(p);
	j = mt_joining_of(p, pr);
	j->codec = proto->codec;
	j->codec_opts = proto->codec_opts;
	j->chain = proto->chain->id;
	j->snap = p->snap;
	mt_snap_hold(p, j->snap);
	j->rnd = mt_rand_u64(&p->rnd);
	j->cluster = choose_cluster(j, proto);
	count_for(p, pr, service_of(proto));
	st = stats_of(p, pr);
	if (mt_likely(st))
		st->requests++;
	if (go_on(p, pr, j))
		return true;
	joined_nobody(p, pr);
	pair_free(p, pr);
	return false; /* answered by RST */
}

static void give_up(struct mt_proxy *p, struct mt_pair *pr)
{
	joined_nobody(p, pr);
	abort_down(p, pr, MT_ABORT_RELAYED);
}

void mt_opaque_again(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_joining *j = mt_joining_of(p, pr);
	const struct mt_chain_proto *proto;

	if (j->snap != p->snap) {
		proto = mt_joining_rebind(p, pr->down, j);
		j->cluster = choose_cluster(j, proto);
	}
	if (!go_on(p, pr, j)) {
		give_up(p, pr);
		return;
	}
	if (!j->parked)
		mt_wheel_cancel(&p->wheel, &pr->timer);
}

static void connect_failed(struct mt_proxy *p, struct mt_pair *pr, const struct mt_ep_where *at,
	enum mt_close_reason reason)
{
	struct mt_joining *j = mt_joining_of(p, pr);

	p->ep_stats[j->ep->index].failures++;
	mt_count(p->counters, MT_PROXY_up_connect_failed);
	mt_ep_blame(p, j->ep, j->cluster ? &j->cluster->outlier : NULL, at, reason);
	if (!try_next(p, pr, j))
		give_up(p, pr);
}

static void connect_succeeded(struct mt_proxy *p, const struct mt_pair *pr)
{
	const struct mt_joining *j = mt_joining_of(p, pr);
	struct mt_ep_where at = mt_lanes_where(pr->lanes);

	if (mt_unlikely(j->trial))
		mt_ep_is_back(p, j->ep, &at);
	else
		mt_ep_succeeded(j->ep);
}

/* ---- bytes ---- */

/* Bytes and FIN from one side to the other; how many bytes. */
static uint32_t pass(struct mt_stream *from, struct mt_stream *to, bool *fin_passed)
{
	struct mt_chain c = {0};
	uint32_t n = 0;

	if (from->rx.len && mt_stream_sendable(to) > 0) {
		mt_chain_concat(&c, &from->rx);
		n = c.len;
		mt_stream_consumed(from);
		mt_stream_send(to, &c);
	}
	if (from->rx_eof && from->rx.len == 0 && !*fin_passed) {
		*fin_passed = true;
		if (!mt_mutant(MT_MUTANT_fin_not_passed))
			mt_stream_shutdown(to);
	}
	return n;
}

static void pump(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_service_stats *st;
	uint32_t in, out;

	pr->last_ms = ms_of(p);
	if (pr->joining || !pr->down || !pr->up)
		return;
	in = pass(pr->down, pr->up, &pr->fin_to_up);
	out = pass(pr->up, pr->down, &pr->fin_to_down);
	st = stats_of(p, pr);
	if (mt_likely(st)) {
		st->bytes_in += in;
		st->bytes_out += out;
	}
	if (mt_unlikely(pr->fin_to_up != pr->fin_to_down))
		mt_wheel_arm(&p->wheel, &pr->timer, p->now + p->conf.half_closed_s * MT_SEC);
}

void mt_opaque_timer(struct mt_proxy *p, struct mt_pair *pr)
{
	uint64_t quiet = ms_of(p) - pr->last_ms, limit = p->conf.half_closed_s * 1000ull;

	if (pr->joining) {
		mt_count(p->counters, MT_PROXY_demand_late);
		mt_joining_of(p, pr)->limited = true;
		give_up(p, pr);
		return;
	}
	if (quiet < limit) {
		mt_wheel_arm(&p->wheel, &pr->timer, p->now + (limit - quiet) * MT_MSEC);
		return;
	}
	mt_count(p->counters, MT_PROXY_opaque_half_closed_timeout);
	count_closed(p, pr);
	abort_up(p, pr, MT_ABORT_SLOW);
	abort_down(p, pr, MT_ABORT_SLOW);
}

/* ---- events ---- */

/* Both sides': bytes, FIN, room. */
static void on_any(struct mt_stream *s)
{
	pump(s->user_ctx, pair_of(s));
}

static void on_connected(struct mt_stream *s)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_pair *pr = pair_of(s);

	struct mt_service_stats *st = stats_of(p, pr);

	if (mt_likely(st)) {
		st->ok++;
		st->opened++;
	}
	mt_count(p->counters, MT_PROXY_opaque_opened);
	connect_succeeded(p, pr);
	leave_joining(p, pr);
	pump(p, pr);
}

static void on_up_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_pair *pr = pair_of(s);

	if (pr->joining) {
		struct mt_ep_where at = mt_lanes_where(pr->lanes);

		forget_up(p, pr);
		connect_failed(p, pr, &at, reason);
		return;
	}
	forget_up(p, pr);
	count_closed(p, pr);
	if (reason != MT_CLOSE_OK) {
		mt_count(p->counters, MT_PROXY_opaque_reset);
		abort_down(p, pr, MT_ABORT_RELAYED);
		return;
	}
	/* Both FINs are through; what is still queued to the client is delivered. */
	if (pr->down)
		mt_stream_detach(pr->down);
	pair_free(p, pr);
}

static void on_down_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_pair *pr = pair_of(s);
	struct mt_service_stats *st = pr->joining ? stats_of(p, pr) : NULL;
	struct mt_stream *up = pr->up;

	if (st)
		st->client_left++;
	count_closed(p, pr);
	if (up && reason == MT_CLOSE_OK) {
		forget_up(p, pr);
		mt_stream_detach(up);
	} else if (up) {
		mt_count(p->counters, MT_PROXY_opaque_reset);
		abort_up(p, pr, MT_ABORT_RELAYED);
	}
	pair_free(p, pr);
}

/* The client answers for what both directions hold. */
static struct mt_addr client_of(const struct mt_stream *s)
{
	const struct mt_pair *pr = pair_of(s);

	return mt_stream_ends(pr->down ? pr->down : s)->remote;
}

/* Either side is asked: what it holds is the other's, too. */
static void on_evict(struct mt_stream *s, enum mt_class c)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_pair *pr = pair_of(s);

	mt_count(p->counters, MT_PROXY_evicted_streaming);
	if (pr->joining) {
		mt_joining_of(p, pr)->limited = true;
		joined_nobody(p, pr);
	}
	count_closed(p, pr);
	abort_up(p, pr, MT_ABORT_SLOW);
	abort_down(p, pr, MT_ABORT_SLOW);
}

static void on_prefetch(const struct mt_stream *s)
{
	__builtin_prefetch(pair_of(s), 1);
}

/* Clients are connected when they are accepted. */
static void never(struct mt_stream *s)
{
}

const struct mt_stream_user mt_pair_down_user = {
	.prefetch = on_prefetch,
	.connected = never,
	.readable = on_any,
	.eof = on_any,
	.writable = on_any,
	.closed = on_down_closed,
	.evict = on_evict,
};

const struct mt_stream_user mt_pair_up_user = {
	.prefetch = on_prefetch,
	.connected = on_connected,
	.readable = on_any,
	.eof = on_any,
	.writable = on_any,
	.closed = on_up_closed,
	.evict = on_evict,
	.holder = client_of,
};
