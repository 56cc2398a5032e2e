/* SPDX-License-Identifier: Apache-2.0 */
/* Saves and loads a worker's proxy: its objects, and arrays by index. */
#include "mt_proxy_image_priv.h"

#include "mt_filter_global.h"

#include <string.h>

void mt_proxy_image_parts(struct mt_proxy *p, struct mt_image *im)
{
	const struct mt_slab *const pointed_to[] = {&p->downs, &p->ups, &p->exchanges, &p->lanes,
		&p->rings, &p->pairs, &p->connecting, &p->selections, &p->fairs, &p->health_checks};
	const struct mt_stream_user *const users[] = {&mt_down_user, &mt_up_user,
		&mt_health_check_user, &mt_chain_selection_user, &mt_pair_down_user,
		&mt_pair_up_user, &mt_pair_cut_user};

	mt_image_space(im, p, sizeof(*p)); /* heads of lists */
	for (size_t i = 0; i < MT_ARRAY_LEN(pointed_to); i++)
		mt_image_space_slab(im, pointed_to[i]);
	for (size_t i = 0; i < MT_ARRAY_LEN(users); i++)
		mt_image_user(im, users[i], p);
}

void mt_proxy_moved(struct mt_proxy *p)
{
	p->moved = true;
}

/* ---- connections -------------------------------------------------------------------------- */

/* A loaded cursor searches its position again, because the bytes are in other buffers. */
static void cursor(struct mt_image *im, struct mt_cursor *cur)
{
	mt_image_pointer(im, &cur->chain);
	if (im->loading)
		cur->seg = NULL;
}

static void decoder(struct mt_image *im, const struct proxy_image *x, struct mt_decoder *d)
{
	mt_name_codec(im, x, &d->codec);
	cursor(im, &d->cur);
	if (im->loading)
		d->why = NULL;
}

/* After loading, the scan of a long message starts again. */
static void reading(struct mt_image *im, struct mt_reading *r)
{
	mt_image_list(im, &r->node);
	if (im->loading)
		r->scan = 0;
}

static void down(struct mt_image *im, void *obj, void *arg)
{
	const struct proxy_image *x = arg;
	struct mt_down *d = obj;

	mt_image_pointer(im, &d->s);
	mt_name_codec(im, x, &d->codec);
	mt_proxy_image_snapshot(im, x->names, &d->snap);
	mt_name_filter_chain_proto(im, d->snap, &d->proto);
	decoder(im, x, &d->dec);
	reading(im, &d->reading);
	mt_image_list(im, &d->exchanges);
	mt_image_pointer(im, &d->owed);
	mt_image_list(im, &d->waiting);
	mt_image_chain(im, &d->after);
	mt_image_list(im, &d->timer.node);
}

static void up(struct mt_image *im, void *obj, void *arg)
{
	struct mt_up *u = obj;

	mt_image_pointer(im, &u->s);
	mt_image_list(im, &u->node);
	mt_image_pointer(im, &u->lanes);
	decoder(im, arg, &u->dec);
	reading(im, &u->reading);
	mt_image_pointer(im, &u->ring);
	mt_image_pointer(im, &u->ring_busy);
	mt_image_list(im, &u->behind);
	mt_image_list(im, &u->waiting);
	mt_image_list(im, &u->unacked);
	mt_image_list(im, &u->timer.node);
}

static void selections(struct mt_image *im, void *obj, void *arg)
{
	const struct proxy_image *x = arg;
	struct mt_chain_selection *u = obj;

	mt_image_pointer(im, &u->s);
	mt_proxy_image_snapshot(im, x->names, &u->snap);
	mt_name_listener(im, u->snap, &u->listener);
	mt_name_filter_chain(im, u->listener, &u->chain);
	cursor(im, &u->hello.cur);
	mt_image_list(im, &u->timer.node);
}

static void pair(struct mt_image *im, void *obj, void *arg)
{
	const struct proxy_image *x = arg;
	struct mt_pair *pr = obj;

	if (pr->logged)
		MT_IMAGE(im, x->p->stream_notes[mt_slab_idx(&x->p->pairs, pr)]);
	mt_image_pointer(im, &pr->down);
	mt_image_pointer(im, &pr->up);
	mt_image_pointer(im, &pr->lanes);
	mt_image_list(im, &pr->timer.node);
}

static void connecting(struct mt_image *im, void *obj, void *arg)
{
	const struct proxy_image *x = arg;
	struct mt_connecting *j = obj;

	mt_name_codec(im, x, &j->codec);
	mt_proxy_image_snapshot(im, x->names, &j->snap);
	mt_name_cluster(im, j->snap, &j->cluster);
	mt_name_endpoint(im, x, &j->ep);
	mt_image_chain(im, &j->given);
	mt_image_list(im, &j->node);
}

static void health_check(struct mt_image *im, void *obj, void *arg)
{
	const struct proxy_image *x = arg;
	struct mt_health_check *pb = obj;

	mt_image_pointer(im, &pb->s);
	mt_image_list(im, &pb->timer.node);
	mt_name_endpoint(im, x, &pb->ep);
	mt_name_codec(im, x, &pb->at.codec);
	decoder(im, x, &pb->dec);
}

/* ---- calls -------------------------------------------------------------------------------------- */

static void context(struct mt_image *im, const struct mt_exchange *ex, struct mt_exchange_side *s)
{
	MT_IMAGE(im, s->context);
	MT_IMAGE(im, s->attempt_span);
	MT_IMAGE(im, s->attempt_at);
	if (im->loading && (ex->traced >= MT_CALL_N_TRACED ||
				   (s->context.trace_len != MT_TRACE_ID &&
					   s->context.trace_len != MT_TRACE_ID / 2)))
		mt_image_fail(im, -EINVAL, "the trace context of a call is damaged");
}

static void limit_headers(struct mt_image *im, struct mt_limit_headers *h)
{
	MT_IMAGE(im, *h);
	if (im->loading && h->used > sizeof(h->bytes))
		mt_image_fail(im, -EINVAL, "a call has more headers for its reply than have room");
}

static void side(struct mt_image *im, const struct proxy_image *x, const struct mt_exchange *ex)
{
	struct mt_exchange_side *s = &x->p->sides[ex->self.idx];

	if (ex->filters)
		MT_IMAGE(im, s->own);
	if (ex->changes_kept) {
		MT_IMAGE(im, s->overlay);
		mt_image_chain(im, &s->overlay);
		MT_IMAGE(im, s->decision);
		mt_image_chain(im, &s->decision);
	}
	if (ex->layered)
		MT_IMAGE(im, s->layered_by);
	if (ex->waited_verdict) {
		MT_IMAGE(im, s->verdict_at);
		MT_IMAGE(im, s->verdict_ep);
		MT_IMAGE(im, s->verdict_waits);
	}
	if (ex->awaits_verdict) {
		MT_IMAGE(im, s->verdict_client);
		MT_IMAGE(im, s->verdict_at_gate);
		MT_IMAGE(im, s->asks);
		MT_IMAGE(im, s->verdict_bytes);
	}
	if (ex->has_policy || ex->state == MT_EX_FILTERING)
		MT_IMAGE(im, s->until);
	if (ex->has_policy) {
		MT_IMAGE(im, s->attempts);
		MT_IMAGE(im, s->tries);
	}
	if (ex->retained) {
		MT_IMAGE(im, s->what);
		MT_IMAGE(im, s->msg);
		MT_IMAGE(im, s->n_bytes);
		MT_IMAGE(im, s->bytes);
		MT_IMAGE(im, s->retained);
		mt_image_chain(im, &s->retained);
	}
	if (ex->state == MT_EX_FILTERING)
		MT_IMAGE(im, s->reply);
	if (ex->filter_at > MT_FILTER_WAIT_OF_REPLY)
		MT_IMAGE(im, s->passed);
	if (ex->origin == MT_CALL_OF_MIRROR)
		MT_IMAGE(im, s->copied);
	if (ex->budgeted)
		mt_name_budget(im, x, &s->budget);
	if (ex->traced)
		context(im, ex, s);
	if (ex->limit_headers)
		limit_headers(im, &x->p->limit_headers[ex->self.idx]);
}

static void attempt(struct mt_image *im, const struct proxy_image *x, struct mt_exchange *ex)
{
	struct mt_attempt *a = &ex->attempt;

	mt_image_list(im, &a->node);
	mt_name_cluster(im, ex->snap, &a->cluster);
	mt_name_endpoint(im, x, &a->ep);
	mt_name_budget(im, x, &a->counted);
}

static void exchange(struct mt_image *im, void *obj, void *arg)
{
	const struct proxy_image *x = arg;
	struct mt_exchange *ex = obj;

	mt_image_list(im, &ex->down_node);
	mt_image_list(im, &ex->queue_node);
	mt_image_list(im, &ex->deadline.node);
	mt_name_codec(im, x, &ex->codec);
	mt_proxy_image_snapshot(im, x->names, &ex->snap);
	mt_name_service(im, ex->snap, &ex->service);
	mt_name_route(im, ex->service, &ex->route);
	attempt(im, x, ex);
	mt_name_filters(im, ex->service, &ex->filters);
	mt_image_chain(im, &ex->req);
	mt_image_chain(im, &ex->rsp);
	if (im->loading) {
		ex->trace = 0;
		ex->asked = 0;
		mt_tokens_forget(ex);
		if (ex->awaits_verdict)
			mt_verdict_moved(x->p, ex);
	}
	side(im, x, ex);
}

static void lanes(struct mt_image *im, void *obj, void *arg)
{
	const struct proxy_image *x = arg;
	struct mt_lanes *ln = obj;

	mt_name_endpoint(im, x, &ln->state);
	mt_name_codec(im, x, &ln->codec);
	mt_image_pointer(im, &ln->next_class);
	for (size_t i = 0; i < MT_ARRAY_LEN(ln->conns); i++)
		mt_image_list(im, &ln->conns[i]);
	for (size_t i = 0; i < MT_ARRAY_LEN(ln->idle); i++)
		mt_image_list(im, &ln->idle[i]);
	for (size_t i = 0; i < MT_ARRAY_LEN(ln->fair); i++)
		mt_image_pointer(im, &ln->fair[i]);
	mt_image_list(im, &ln->bulk);
	mt_image_list(im, &ln->hungry_node);
	mt_image_list(im, &ln->former_node);
	mt_image_list(im, &ln->timer.node);
}

static void fair(struct mt_image *im, void *obj, void *arg)
{
	struct mt_fair *f = obj;

	(void)arg;
	for (size_t i = 0; i < MT_FAIR_BUCKETS; i++)
		mt_image_list(im, &f->bucket[i]);
}

/* A note, and its metadata values. */
static void note(struct mt_image *im, void *obj, void *arg)
{
	const struct proxy_image *x = arg;
	struct mt_call_note *n = obj;

	if (n->kept_len > MT_ALOG_KEPT)
		mt_image_fail(im, -EINVAL, "a note has more metadata than there is room for");
	else if (n->kept_len)
		mt_image_raw(im, mt_call_kept_of(x->p, n), n->kept_len);
}

static void objects(struct mt_image *im, struct proxy_image *x)
{
	struct mt_proxy *p = x->p;

	mt_image_slab(im, &p->downs, down, x);
	mt_image_slab(im, &p->ups, up, x);
	mt_image_slab(im, &p->rings, NULL, NULL);
	mt_image_slab(im, &p->unanswered, NULL, NULL);
	mt_image_slab(im, &p->selections, selections, x);
	mt_image_slab(im, &p->pairs, pair, x);
	mt_image_slab(im, &p->connecting, connecting, x);
	mt_image_slab(im, &p->health_checks, health_check, x);
	mt_image_slab(im, &p->exchanges, exchange, x);
	mt_image_slab(im, &p->log.notes, note, x);
	mt_image_slab(im, &p->lanes, lanes, x);
	mt_image_slab(im, &p->fairs, fair, NULL);
}

/* ---- by index ----------------------------------------------------------------------------------- */

/* Saves n and returns it; or returns the number in the image, 0 if it is above `max`. */
static uint32_t count_of(struct mt_image *im, uint32_t n, uint32_t max)
{
	MT_IMAGE(im, n);
	if (!im->loading)
		return n; /* also after an error, because the saved worker continues to run */
	if (n > max)
		mt_image_fail(im, -EINVAL, "the image has more than there is room for");
	return im->error ? 0 : n;
}

#define FIRST_OF(im, array, n) mt_image_raw(im, array, (size_t)(n) * sizeof(*(array)))

static void by_endpoint(struct mt_image *im, const struct proxy_image *x)
{
	struct mt_proxy *p = x->p;
	uint32_t n = count_of(im, im->loading ? 0 : x->names->n_endpoints, MT_PROXY_EPS_MAX);

	for (uint32_t i = 0; i < n; i++)
		mt_image_pointer(im, &p->lanes_by_ep[i]);
	FIRST_OF(im, p->ep_stats, n);
	FIRST_OF(im, p->ep_hists, n);
	FIRST_OF(im, p->admit, n);
	FIRST_OF(im, p->waiting.kept, n);
	FIRST_OF(im, p->lb.outstanding, n);
}

static void by_cluster(struct mt_image *im, const struct proxy_image *x)
{
	struct mt_proxy *p = x->p;
	uint32_t n = count_of(im, im->loading ? 0 : x->names->n_clusters, MT_PROXY_CLUSTERS_MAX);

	FIRST_OF(im, p->pending, n);
	FIRST_OF(im, p->pending_size, n);
	FIRST_OF(im, p->asked_under, n);
	FIRST_OF(im, p->cluster_conns, n);
	FIRST_OF(im, p->lb.rr, n);
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

/*
 * The number of elements up to the last one that is not zero. Checks large steps first, because
 * most of such an array was never written.
 */
#define USED_OF(array, n) used_of((const uint8_t *)(array), sizeof(*(array)), n)
#define LARGE_STEP	  4096

static uint32_t used_of(const uint8_t *array, size_t size, size_t n)
{
	size_t len = size * n;

	while (len >= LARGE_STEP && is_zero(array + len - LARGE_STEP, LARGE_STEP))
		len -= LARGE_STEP;
	len += (size - len % size) % size;
	while (len > 0 && is_zero(array + len - size, size))
		len -= size;
	return (uint32_t)(len / size);
}

/* Only those that are used, with their places; that of all others is the last. */
static void portions(struct mt_image *im, struct mt_proxy *p)
{
	uint32_t n = 0, at = 0;

	for (uint32_t i = 0; !im->loading && i < MT_PORTIONS; i++)
		n += p->portions[i].key != 0;
	n = count_of(im, n, MT_PORTIONS);
	for (uint32_t i = 0; i < n; i++, at++) {
		while (!im->loading && !p->portions[at].key)
			at++;
		MT_IMAGE(im, at);
		if (at >= MT_PORTIONS) {
			mt_image_fail(im, -EINVAL, "the image has a portion that cannot be");
			return;
		}
		MT_IMAGE(im, p->portions[at]);
	}
	MT_IMAGE(im, p->portions[MT_PORTIONS]);
}

static void by_service(struct mt_image *im, struct mt_proxy *p)
{
	uint32_t n = im->loading ? 0 : USED_OF(p->service_ids, MT_PROXY_SERVICES_MAX);

	n = count_of(im, n, MT_PROXY_SERVICES_MAX);
	FIRST_OF(im, p->service_ids, n);
	FIRST_OF(im, p->service_stats, n);
	FIRST_OF(im, p->service_hists, n);
	portions(im, p);
	n = im->loading ? 0 : USED_OF(p->route_hits, MT_SNAPSHOT_ROUTES_MAX);
	FIRST_OF(im, p->route_hits, count_of(im, n, MT_SNAPSHOT_ROUTES_MAX));
	n = im->loading ? 0 : USED_OF(p->closed, MT_AUTHZ_CLOSERS_MAX);
	FIRST_OF(im, p->closed, count_of(im, n, MT_AUTHZ_CLOSERS_MAX));
}

/* ---- the rest ----------------------------------------------------------------------------------- */

static void numbers(struct mt_image *im, struct mt_proxy *p)
{
	MT_IMAGE(im, p->now);
	MT_IMAGE(im, p->wall);
	MT_IMAGE(im, p->free_pct);
	MT_IMAGE(im, p->rnd);
	MT_IMAGE(im, p->trace_rnd);
	MT_IMAGE(im, p->fair_salt);
	MT_IMAGE(im, p->health_checks_out);
	MT_IMAGE(im, p->n_attempts);
	MT_IMAGE(im, p->n_unacked);
	MT_IMAGE(im, p->verdicts.n);
	MT_IMAGE(im, p->verdicts.bytes);
	MT_IMAGE(im, p->verdicts.by_client);
	MT_IMAGE(im, p->mirror.n);
	MT_IMAGE(im, p->mirror.bytes);
	MT_IMAGE(im, p->mirror.waits);
	MT_IMAGE(im, p->mirror.ask_at);
	MT_IMAGE(im, p->readings.turn);
	MT_IMAGE(im, p->readings.left);
	MT_IMAGE(im, p->snap_move_idx);
	MT_IMAGE(im, p->snap_move_cluster);
	MT_IMAGE(im, p->snap_moving);
	MT_IMAGE(im, p->draining);
	MT_IMAGE(im, p->drain);
	MT_IMAGE(im, p->methods);
	MT_IMAGE(im, p->counters);
	MT_IMAGE(im, p->lb.counters);
	MT_IMAGE(im, p->filters.counters);
	MT_IMAGE(im, p->asks);
}

static void deadlines(struct mt_image *im, struct mt_deadlines *d)
{
	d->n = count_of(im, d->n, MT_DEADLINE_LISTS);
	for (uint32_t i = 0; i < d->n; i++) {
		MT_IMAGE(im, d->lists[i].ms);
		mt_image_list(im, &d->lists[i].fifo);
	}
}

/*
 * Timed waits of filters. Completions of other threads are not saved, because they belong to the
 * worker that requested them; a worker with completions that it has not taken is not saved at all.
 */
static void waits(struct mt_image *im, struct mt_filter_worker *fw)
{
	fw->n_waits = count_of(im, fw->n_waits, MT_FILTER_WAITS);
	FIRST_OF(im, fw->waits, fw->n_waits);
}

static bool waits_for_limit(const struct mt_exchange *ex)
{
	const struct mt_filters *c = ex->filters;
	uint32_t at = ex->filter_at;

	return ex->state == MT_EX_SUSPENDED && !ex->awaits_verdict && c && at > 0 &&
	       at <= c->n_request && c->request[at - 1].f->type == &mt_filter_global_ratelimit;
}

/*
 * Queries of rate limit services ended with the worker that was saved. Calls that waited for the
 * answers run the filter again in the next iteration; the service counts them twice.
 */
static void query_limits_again(struct mt_proxy *p)
{
	struct mt_exchange *ex;
	uint32_t i = 0;

	while ((ex = mt_slab_next(&p->exchanges, &i))) {
		struct mt_filter_ticket t;

		if (!waits_for_limit(ex))
			continue;
		ex->filter_at--;
		t = (struct mt_filter_ticket){.exchange = ex->self.idx,
			.generation = ex->self.gen,
			.wait = ex->filter_at};
		/* Without a place it waits until its time-out. */
		(void)mt_filter_wait_until(&p->filters, 0, &t);
	}
}

static void on_demand_list(struct mt_image *im, struct mt_on_demand_list *k)
{
	mt_image_list(im, &k->list);
	MT_IMAGE(im, k->n);
	MT_IMAGE(im, k->look);
}

/* After loading, any on-demand cluster provides the serial, which all of them share. */
static void on_demand(struct mt_image *im, struct mt_proxy *p)
{
	struct mt_on_demand *k = &p->on_demand;
	uint32_t i = 0;

	on_demand_list(im, &k->calls);
	on_demand_list(im, &k->streams);
	MT_IMAGE(im, k->bytes);
	MT_IMAGE(im, k->seen);
	for (; im->loading && !k->serial && p->snap && i < p->snap->n_clusters; i++)
		if (p->snap->clusters[i].demand)
			k->serial = p->snap->clusters[i].demand->serial;
}

void mt_proxy_image(struct mt_proxy *p, struct mt_image *im, const struct mt_proxy_names *names)
{
	struct proxy_image x = {p, names};

	mt_image_section(im, "proxy");
	mt_image_same(im, p->worker, "it is the image of another worker");
	mt_image_same(im, p->workers, "there is another number of workers");
	mt_image_same(im, mt_ring_size(p->conf.ring_slots), "connections have other id rings");
	if (im->loading)
		p->moved = true; /* until all objects are loaded */
	else
		mt_filter_flush(&p->filters);
	numbers(im, p);
	mt_proxy_image_snapshot(im, names, &p->snap);
	objects(im, &x);
	by_endpoint(im, &x);
	by_cluster(im, &x);
	by_service(im, p);
	mt_image_wheel(im, &p->wheel);
	deadlines(im, &p->deadlines);
	waits(im, &p->filters);
	mt_image_list(im, &p->hungry);
	mt_image_list(im, &p->former);
	mt_image_list(im, &p->again);
	mt_image_list(im, &p->readings.queue);
	on_demand(im, p);
	if (!im->loading)
		return;
	p->moved = im->error != 0;
	if (!p->moved) {
		query_limits_again(p);
		mt_opaque_filters_again(p);
	}
	if (!mt_list_empty(&p->verdicts.moved))
		mt_filter_inbox_ring(mt_filter_inbox_who(p->filters.inbox));
	if (!p->moved && p->snap)
		mt_snap_count_for_limits(p);
}
