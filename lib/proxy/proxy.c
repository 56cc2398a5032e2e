/* SPDX-License-Identifier: Apache-2.0 */
/* One worker's proxy: creation and end, timers, use of connections. */
#include "mt_proxy_priv.h"

#include "mt_filter_global.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define HEALTH_CHECKS                                                                              \
	1024 /* ejected endpoints that get health checks; further ones return by a trial call */

static void set_default(uint32_t *v, uint32_t value)
{
	if (*v == 0)
		*v = value;
}

static void apply_defaults(struct mt_proxy_conf *c)
{
	set_default(&c->max_down, 32768);
	set_default(&c->max_exchanges, 65536);
	set_default(&c->max_up, 16384);
	set_default(&c->ring_slots, 1024);
	set_default(&c->shared_max, 65536);
	set_default(&c->wide_from, MT_MIN(8192u, c->shared_max));
	set_default(&c->bulk_lanes, 24);
	set_default(&c->bulk_idle_ms, 10000);
	set_default(&c->serial_lanes, 256);
	set_default(&c->reply_soft, 262144);
	set_default(&c->slow_ms, 10000);
	set_default(&c->pending_max, 1024);
	set_default(&c->pending_bytes, 16777216);
	set_default(&c->waiting_soft, 4194304);
	set_default(&c->down_outstanding, 1024);
	set_default(&c->connect_ms, 1000);
	set_default(&c->message_ms, 10000);
	set_default(&c->message_rate, 500);
	set_default(&c->exchange_ms, 300000);
	set_default(&c->grace_ms, 100);
	set_default(&c->down_idle_s, 3600);
	set_default(&c->up_idle_s, 60);
	set_default(&c->half_closed_s, 300);
	set_default(&c->drain_ms, 30000);
	set_default(&c->mirror_max, c->max_exchanges / 64);
	set_default(&c->mirror_bytes, 4194304);
}

/* Address space for an array that is indexed by stable indexes; memory comes as it is touched. */
static void *reserve(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void unreserve(void *p, size_t len)
{
	if (p)
		munmap(p, len);
}

static int reserve_arrays(struct mt_proxy *p)
{
	p->sides = reserve(sizeof(*p->sides) * p->exchanges.cap);
	p->limit_headers = reserve(sizeof(*p->limit_headers) * p->exchanges.cap);
	p->stream_notes = reserve(sizeof(*p->stream_notes) * p->pairs.cap);
	p->log.kept = reserve((size_t)MT_ALOG_KEPT * p->log.notes.cap);
	p->log.trial = reserve(mt_alog_trial_size());
	p->lanes_by_ep = reserve(sizeof(*p->lanes_by_ep) * MT_PROXY_EPS_MAX);
	p->pending = reserve(sizeof(*p->pending) * MT_PROXY_CLUSTERS_MAX);
	p->pending_size = reserve(sizeof(*p->pending_size) * MT_PROXY_CLUSTERS_MAX);
	p->asked_under = reserve(sizeof(*p->asked_under) * MT_PROXY_CLUSTERS_MAX);
	p->cluster_conns = reserve(sizeof(*p->cluster_conns) * MT_PROXY_CLUSTERS_MAX);
	p->service_stats = reserve(sizeof(*p->service_stats) * MT_PROXY_SERVICES_MAX);
	p->service_ids = reserve(sizeof(*p->service_ids) * MT_PROXY_SERVICES_MAX);
	p->service_hists = reserve(sizeof(*p->service_hists) * MT_PROXY_SERVICES_MAX);
	p->portions = reserve(sizeof(*p->portions) * (MT_PORTIONS + 1));
	p->exemplar_ms = MT_EXEMPLAR_MS;
	p->exemplars = reserve(sizeof(*p->exemplars) * MT_PROXY_SERVICES_MAX);
	p->ep_stats = reserve(sizeof(*p->ep_stats) * MT_PROXY_EPS_MAX);
	p->ep_hists = reserve(sizeof(*p->ep_hists) * MT_PROXY_EPS_MAX);
	p->route_hits = reserve(sizeof(*p->route_hits) * MT_SNAPSHOT_ROUTES_MAX);
	p->closed = reserve(sizeof(*p->closed) * MT_AUTHZ_CLOSERS_MAX);
	p->admit = reserve(sizeof(*p->admit) * MT_PROXY_EPS_MAX);
	p->waiting.of[0] = reserve(sizeof(struct mt_waiting_ep) * MT_PROXY_EPS_MAX);
	p->waiting.of[1] = reserve(sizeof(struct mt_waiting_ep) * MT_PROXY_EPS_MAX);
	p->waiting.kept = reserve(sizeof(*p->waiting.kept) * MT_PROXY_EPS_MAX);
	p->lb.outstanding = reserve(sizeof(*p->lb.outstanding) * MT_PROXY_EPS_MAX);
	p->lb.rr = reserve(sizeof(*p->lb.rr) * MT_PROXY_CLUSTERS_MAX);
	p->lb.n_eps = MT_PROXY_EPS_MAX;
	p->lb.n_clusters = MT_PROXY_CLUSTERS_MAX;
	return p->sides && p->limit_headers && p->stream_notes && p->log.kept && p->log.trial &&
			       p->lanes_by_ep && p->pending && p->pending_size && p->asked_under &&
			       p->cluster_conns && p->service_ids && p->service_stats &&
			       p->service_hists && p->portions && p->exemplars && p->ep_stats &&
			       p->ep_hists && p->route_hits && p->closed && p->admit &&
			       p->waiting.of[0] && p->waiting.of[1] && p->waiting.kept &&
			       p->lb.outstanding && p->lb.rr
		       ? 0
		       : -ENOMEM;
}

static int init_slabs(struct mt_proxy *p)
{
	const struct mt_proxy_conf *c = &p->conf;
	uint32_t rings = MT_MIN(c->max_up, 4096u);
	/* Mirrored copies have places of their own, so that they take none from clients' calls. */
	uint32_t exchanges = c->max_exchanges + c->mirror_max;

	if (mt_slab_init(&p->downs, "downstream", sizeof(struct mt_down), c->max_down) ||
		mt_slab_init(&p->ups, "upstream", sizeof(struct mt_up), c->max_up) ||
		mt_slab_init(&p->exchanges, "exchange", sizeof(struct mt_exchange), exchanges) ||
		mt_slab_init(
			&p->pairs, "opaque connections", sizeof(struct mt_pair), c->max_down) ||
		mt_slab_init(&p->selections, "chain selection", sizeof(struct mt_chain_selection),
			c->max_down) ||
		mt_slab_init(&p->connecting, "opaque connections connecting",
			sizeof(struct mt_connecting), c->max_down) ||
		mt_slab_init(&p->fairs, "queues of endpoints", sizeof(struct mt_fair),
			MT_FAIR_QUEUES * MT_PROXY_EPS_MAX) ||
		mt_slab_init(&p->lanes, "lanes", sizeof(struct mt_lanes), MT_PROXY_EPS_MAX) ||
		mt_slab_init(&p->scans, "messages looked through", sizeof(struct mt_scan),
			c->max_down + c->max_up) ||
		mt_slab_init(&p->unanswered, "unanswered calls of clients",
			sizeof(struct mt_unanswered), c->max_up) ||
		mt_slab_init(&p->log.notes, "notes for the access log", sizeof(struct mt_call_note),
			MT_MIN(exchanges, MT_CALL_NOTES)) ||
		mt_slab_init(&p->health_checks, "endpoint checks", sizeof(struct mt_health_check),
			HEALTH_CHECKS) ||
		mt_slab_init(&p->rings, "id rings", mt_ring_size(c->ring_slots), rings))
		return -ENOMEM;
	return 0;
}

struct mt_proxy *mt_proxy_create(const struct mt_proxy_conf *conf, uint16_t worker,
	uint16_t workers, struct mt_pools *pools, uint64_t seed, uint64_t now)
{
	struct mt_proxy *p = aligned_alloc(
		MT_CACHE_LINE, (sizeof(*p) + MT_CACHE_LINE - 1) / MT_CACHE_LINE * MT_CACHE_LINE);

	if (!p)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->conf = *conf;
	apply_defaults(&p->conf);
	MT_ASSERT((p->conf.ring_slots & (p->conf.ring_slots - 1)) == 0);
	MT_ASSERT(conf->node_limits || workers == 1);
	p->worker = worker;
	p->workers = workers;
	p->node_limits = conf->node_limits ? conf->node_limits : mt_node_limits_new(1);
	p->pools = pools;
	p->now = now;
	p->free_pct = 100;
	mt_rand_seed(&p->rnd, seed);
	mt_rand_seed(&p->trace_rnd, ~seed);
	p->fair_salt = mt_rand_u64(&p->rnd);
	p->drain.next = MT_NEVER;
	mt_wheel_init(&p->wheel, now);
	mt_deadlines_init(&p->deadlines);
	mt_list_init(&p->hungry);
	mt_list_init(&p->former);
	mt_list_init(&p->again);
	mt_on_demand_init(p);
	mt_readings_init(p);
	mt_filter_worker_init(&p->filters, worker);
	mt_verdict_init(p);
	mt_tokens_init(p);
	mt_ext_authz_init(p);
	p->filters.inbox = mt_filter_inbox_new();
	if (!p->filters.inbox || !p->node_limits || init_slabs(p) || reserve_arrays(p)) {
		mt_proxy_destroy(p);
		return NULL;
	}
	/* Round robin starts anywhere, so that workers do not all begin with the same endpoint. */
	for (uint32_t i = 0; i < MT_PROXY_CLUSTERS_MAX; i++)
		p->lb.rr[i] = (uint32_t)mt_rand_u64(&p->rnd);
	p->filter_ctx.worker = worker;
	p->filter_ctx.workers = workers;
	p->filter_ctx.fw = &p->filters;
	p->filter_ctx.left = mt_exchange_filters_left;
	p->filter_ctx.caller = mt_exchange_filters_caller;
	return p;
}

void mt_proxy_attach(struct mt_proxy *p, struct mt_transport *out)
{
	p->out = out;
}

void mt_proxy_attach_tls(struct mt_proxy *p, struct mt_tls_layer *tls)
{
	p->tls = tls;
	p->out = &tls->transport;
	mt_secure_begin(p);
}

int mt_proxy_attach_limits(
	struct mt_proxy *p, struct mt_callout_lane *lane, struct mt_rls_grants *grants)
{
	return mt_global_attach(&p->filters, lane, grants) ? 0 : -ENOMEM;
}

static void free_chains(struct mt_proxy *p)
{
	struct mt_exchange *ex;
	uint32_t i = 0;
	void *o;

	while ((o = mt_slab_next(&p->downs, &i)))
		mt_chain_free(&((struct mt_down *)o)->after);
	i = 0;
	while ((o = mt_slab_next(&p->connecting, &i)))
		mt_chain_free(&((struct mt_connecting *)o)->given);
	i = 0;
	while ((ex = mt_slab_next(&p->exchanges, &i))) {
		if (ex->side)
			mt_side_stop(p, ex);
		mt_chain_free(&ex->req);
		mt_chain_free(&ex->rsp);
	}
}

void mt_proxy_destroy(struct mt_proxy *p)
{
	const uint32_t exchanges = p->exchanges.cap, pairs = p->pairs.cap, notes = p->log.notes.cap;

	mt_filter_inbox_close(p->filters.inbox);
	free_chains(p);
	mt_secure_end(p);
	mt_tokens_fini(p);
	if (p->filter_ctx.fw)
		mt_filter_flush(&p->filters);
	mt_global_detach(&p->filters);
	mt_filter_inbox_free(p->filters.inbox);
	mt_slab_fini(&p->downs);
	mt_slab_fini(&p->pairs);
	mt_slab_fini(&p->connecting);
	mt_slab_fini(&p->selections);
	mt_slab_fini(&p->ups);
	mt_slab_fini(&p->exchanges);
	mt_slab_fini(&p->fairs);
	mt_slab_fini(&p->lanes);
	mt_slab_fini(&p->rings);
	mt_slab_fini(&p->scans);
	mt_slab_fini(&p->unanswered);
	mt_slab_fini(&p->health_checks);
	mt_slab_fini(&p->log.notes);
	unreserve(p->sides, sizeof(*p->sides) * exchanges);
	unreserve(p->limit_headers, sizeof(*p->limit_headers) * exchanges);
	unreserve(p->log.kept, (size_t)MT_ALOG_KEPT * notes);
	unreserve(p->log.trial, mt_alog_trial_size());
	unreserve(p->stream_notes, sizeof(*p->stream_notes) * pairs);
	unreserve(p->lanes_by_ep, sizeof(*p->lanes_by_ep) * MT_PROXY_EPS_MAX);
	unreserve(p->pending, sizeof(*p->pending) * MT_PROXY_CLUSTERS_MAX);
	unreserve(p->pending_size, sizeof(*p->pending_size) * MT_PROXY_CLUSTERS_MAX);
	unreserve(p->asked_under, sizeof(*p->asked_under) * MT_PROXY_CLUSTERS_MAX);
	unreserve(p->cluster_conns, sizeof(*p->cluster_conns) * MT_PROXY_CLUSTERS_MAX);
	unreserve(p->service_stats, sizeof(*p->service_stats) * MT_PROXY_SERVICES_MAX);
	unreserve(p->service_ids, sizeof(*p->service_ids) * MT_PROXY_SERVICES_MAX);
	unreserve(p->service_hists, sizeof(*p->service_hists) * MT_PROXY_SERVICES_MAX);
	unreserve(p->portions, sizeof(*p->portions) * (MT_PORTIONS + 1));
	unreserve(p->exemplars, sizeof(*p->exemplars) * MT_PROXY_SERVICES_MAX);
	unreserve(p->ep_stats, sizeof(*p->ep_stats) * MT_PROXY_EPS_MAX);
	unreserve(p->ep_hists, sizeof(*p->ep_hists) * MT_PROXY_EPS_MAX);
	unreserve(p->route_hits, sizeof(*p->route_hits) * MT_SNAPSHOT_ROUTES_MAX);
	unreserve(p->closed, sizeof(*p->closed) * MT_AUTHZ_CLOSERS_MAX);
	unreserve(p->admit, sizeof(*p->admit) * MT_PROXY_EPS_MAX);
	unreserve(p->waiting.of[0], sizeof(struct mt_waiting_ep) * MT_PROXY_EPS_MAX);
	unreserve(p->waiting.of[1], sizeof(struct mt_waiting_ep) * MT_PROXY_EPS_MAX);
	unreserve(p->waiting.kept, sizeof(*p->waiting.kept) * MT_PROXY_EPS_MAX);
	unreserve(p->lb.outstanding, sizeof(*p->lb.outstanding) * MT_PROXY_EPS_MAX);
	unreserve(p->lb.rr, sizeof(*p->lb.rr) * MT_PROXY_CLUSTERS_MAX);
	if (!p->conf.node_limits)
		mt_node_limits_free(p->node_limits);
	free(p);
}

void mt_proxy_begin(struct mt_proxy *p, uint64_t now, uint64_t wall)
{
	p->now = now;
	p->wall = wall;
	p->filter_ctx.now = now;
	p->denied.by = NULL; /* its snapshot may be freed after an iteration */
	mt_readings_begin(p);
}

static void fire(void *arg, struct mt_timer *t)
{
	struct mt_proxy *p = arg;

	if (mt_lies_in(&p->downs, t))
		mt_down_timer(p, mt_container_of(t, struct mt_down, timer));
	else if (mt_lies_in(&p->ups, t))
		mt_up_timer(p, mt_container_of(t, struct mt_up, timer));
	else if (mt_lies_in(&p->lanes, t))
		mt_lanes_timer(p, mt_container_of(t, struct mt_lanes, timer));
	else if (mt_lies_in(&p->selections, t))
		mt_chain_selection_timer(p, mt_container_of(t, struct mt_chain_selection, timer));
	else if (mt_lies_in(&p->health_checks, t))
		mt_health_check_timer(p, mt_container_of(t, struct mt_health_check, timer));
	else
		mt_opaque_timer(p, mt_container_of(t, struct mt_pair, timer));
}

/* Resumes exchanges whose timed wait in a filter has ended; returns how many. */
static uint32_t resume_waiting(struct mt_proxy *p)
{
	struct mt_filter_resume r = {.verdict = MT_FILTER_NEXT};
	uint32_t n = 0;

	mt_resumes_begin(p);
	for (; mt_resumes_may(p) && mt_filter_due(&p->filters, p->now, &r.ticket); n++)
		mt_proxy_resume(p, &r);
	return n;
}

uint32_t mt_proxy_timers(struct mt_proxy *p, uint32_t budget)
{
	uint32_t n = mt_wheel_run(&p->wheel, p->now, budget, fire, p);
	struct mt_deadline *e;

	while (n < budget && (e = mt_deadlines_pop(&p->deadlines, p->now))) {
		mt_exchange_expired(p, mt_container_of(e, struct mt_exchange, deadline));
		n++;
	}
	if (mt_unlikely(mt_on_demand_busy(p)))
		n += mt_on_demand_turn(p);
	if (mt_unlikely(!mt_list_empty(&p->again)))
		n += mt_call_turn(p, budget);
	if (mt_unlikely(!mt_list_empty(&p->readings.queue)))
		n += mt_readings_turn(p);
	if (!mt_list_empty(&p->hungry))
		n += mt_lanes_feed(p, budget);
	if (mt_unlikely(!mt_list_empty(&p->former)))
		n += mt_former_turn(p);
	if (mt_unlikely(p->snap_moving))
		mt_snap_move_slice(p);
	if (mt_unlikely(p->now >= p->drain.next))
		mt_drain_turn(p);
	mt_filter_tick(&p->filters, p->now);
	if (mt_unlikely(p->now >= p->slow.until))
		mt_slow_turn(&p->slow, p->now);
	if (mt_unlikely(p->now >= p->waiting.due) && mt_waiting_busy(p))
		mt_waiting_turn(p);
	if (mt_unlikely(p->filters.n_waits))
		n += resume_waiting(p);
	if (mt_unlikely(mt_filter_inbox_rung(p->filters.inbox)))
		n += mt_exchange_filters_turn(p);
	return n;
}

uint64_t mt_proxy_next(struct mt_proxy *p)
{
	uint64_t wheel = mt_wheel_next(&p->wheel);
	uint64_t exchanges = mt_deadlines_next(&p->deadlines);

	uint64_t filters = mt_filter_next(&p->filters);

	if (p->snap_moving || !mt_list_empty(&p->hungry) || !mt_list_empty(&p->readings.queue) ||
		!mt_list_empty(&p->again) || mt_filter_inbox_rung(p->filters.inbox))
		return p->now;
	wheel = MT_MIN(MT_MIN(wheel, exchanges), p->drain.next);
	if (mt_unlikely(mt_on_demand_busy(p)))
		wheel = MT_MIN(wheel, mt_on_demand_next(p));
	if (mt_waiting_busy(p))
		wheel = MT_MIN(wheel, p->waiting.due);
	if (mt_unlikely(!mt_list_empty(&p->former)))
		wheel = MT_MIN(wheel, mt_former_next(p));
	return MT_MIN(wheel, filters);
}

void mt_proxy_pressure(struct mt_proxy *p, uint32_t free_pct)
{
	p->free_pct = free_pct;
}

struct mt_filter_inbox *mt_proxy_inbox(const struct mt_proxy *p)
{
	return p->filters.inbox;
}

const uint64_t *mt_proxy_filter_counters(const struct mt_proxy *p)
{
	return p->filters.counters;
}

const uint64_t *mt_proxy_upstream_counters(const struct mt_proxy *p)
{
	return p->lb.counters;
}

uint64_t *mt_proxy_counters(struct mt_proxy *p)
{
	return p->counters;
}

uint32_t mt_proxy_pair_bytes(uint32_t calls)
{
	/* A slab stores two 32-bit numbers for each object. */
	return sizeof(struct mt_down) + sizeof(struct mt_up) + 4 * sizeof(uint32_t) +
	       calls * (uint32_t)(sizeof(struct mt_exchange) + 2 * sizeof(uint32_t));
}

uint64_t mt_proxy_log_bytes(bool metadata)
{
	return MT_CALL_NOTES *
	       (sizeof(struct mt_call_note) + 2 * sizeof(uint32_t) + (metadata ? MT_ALOG_KEPT : 0));
}

uint32_t mt_proxy_slabs(const struct mt_proxy *p, const struct mt_slab **slabs, uint32_t max)
{
	const struct mt_slab *all[] = {&p->downs, &p->pairs, &p->connecting, &p->selections,
		&p->ups, &p->exchanges, &p->lanes, &p->rings, &p->scans, &p->log.notes};
	uint32_t n = MT_MIN(max, (uint32_t)MT_ARRAY_LEN(all));

	memcpy(slabs, all, n * sizeof(*slabs));
	return n;
}

/* Copies the TLS parameters of a connection; returns its TLS stream, or `s` if it has none. */
static const struct mt_stream *use_of_tls(
	const struct mt_proxy *p, const struct mt_stream *s, struct mt_conn_use *use)
{
	const struct mt_stream *above = p->tls ? mt_tls_stream_above(p->tls, s) : NULL;
	const struct mt_tls_peer *peer;

	_Static_assert(MT_CONN_PEER > MT_TLS_PRINCIPAL_MAX, "a principal");
	if (!above)
		return s;
	use->tls = mt_tls_stream_version(above);
	use->cipher = mt_tls_stream_cipher(above);
	peer = mt_tls_stream_peer(p->tls, above);
	if (peer && peer->certificate)
		strcpy(use->peer, *peer->principal ? peer->principal : "certificate");
	return above;
}

void mt_proxy_use(struct mt_proxy *p, const struct mt_stream *s, struct mt_conn_use *use)
{
	const struct mt_lanes *ln;
	const struct mt_up *u;

	*use = (struct mt_conn_use){.cluster = UINT32_MAX};
	s = use_of_tls(p, s, use);
	ln = mt_opaque_lanes(s);
	if (s->user == &mt_down_user) {
		const struct mt_down *d = mt_slab_at(&p->downs, s->owner_idx);

		use->calls = d->outstanding;
	} else if (s->user == &mt_up_user) {
		u = mt_slab_at(&p->ups, s->owner_idx);
		ln = u->lanes;
		use->calls = u->ring ? u->outstanding - u->tombstones : u->busy + u->n_behind;
	} else if (s->user == &mt_health_check_user) {
		use->cluster = ((const struct mt_health_check *)mt_slab_at(
					&p->health_checks, s->owner_idx))
				       ->at.cluster;
	}
	if (ln)
		use->cluster = ln->cluster_index;
}
