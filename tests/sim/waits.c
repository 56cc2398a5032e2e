/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After each turn of a worker: whoever waits names what it waits for, stands in that thing's list, and something is due that
 * looks at the list (an event of a peer, or a timer). What waits for clients and for lanes is looked at by mt_proxy_check();
 * here are the states of calls and connections, and what is counted.
 */
#include "waits.h"
#include "mt_filter_global.h"
#include "mt_proxy_priv.h"

static bool wrong(
	struct sim *s, const struct mt_proxy *p, const char *who, uint32_t idx, const char *what)
{
	sim_fail(s, "worker %u after a turn: %s %u %s", p->worker, who, idx, what);
	return false;
}

/* ---- calls ----------------------------------------------------------------------------------------- */

static const char *check_queued(struct mt_proxy *p, const struct mt_attempt *a)
{
	return mt_slab_get(&p->lanes, a->lanes) && mt_list_linked(&a->node)
		       ? NULL
		       : "is queued, but not at an endpoint";
}

static const char *check_sending(struct mt_proxy *p, const struct mt_exchange *ex)
{
	const struct mt_down *d = mt_exchange_down(p, ex);
	const struct mt_up *u = mt_exchange_up(p, ex);

	if (!d || !u || mt_slab_get(&p->exchanges, d->cur) != ex)
		return "is being sent, but nobody reads the rest of it";
	if (d->s->rx.len == 0)
		return NULL; /* its client's next bytes, or his timer */
	if (!u->s->want_writable && !d->retry_at)
		return "has bytes to send, and nobody is told of room for them";
	return NULL;
}

static bool is_behind(const struct mt_up *u, const struct mt_attempt *a)
{
	const struct mt_list *n;

	mt_list_foreach (n, &u->behind)
		if (n == &a->node)
			return true;
	return false;
}

/* Behind calls that may be one-way others of their client are sent: the time-out of the last one is that of all. */
static bool is_last(struct mt_proxy *p, const struct mt_attempt *a)
{
	const struct mt_up *u = mt_slab_get(&p->ups, a->up);

	return !u || mt_list_empty(&u->behind) || u->behind.prev == &a->node;
}

static const char *check_sent(struct mt_proxy *p, const struct mt_attempt *a)
{
	struct mt_up *u = mt_slab_get(&p->ups, a->up);
	struct mt_slot *slot;

	if (!u)
		return "was sent on no connection";
	if (!mt_up_shares(u))
		return mt_attempt_of(p, u->exchange) == a || is_behind(u, a)
			       ? NULL
			       : "is not known to its connection";
	slot = mt_ring_find(p, u, a->up_id);
	return slot && mt_attempt_of(p, slot->exchange) == a ? NULL : "has no slot";
}

static const char *check_replying(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_up *u = mt_exchange_up(p, ex);

	if (ex->rsp_complete)
		return NULL;
	if (!u || mt_slab_get(&p->exchanges, u->reply) != ex)
		return "waits for the rest of a reply that nobody sends";
	return NULL;
}

static const char *check_connecting(struct mt_proxy *p, const struct mt_attempt *a)
{
	const struct mt_up *u = mt_slab_get(&p->ups, a->up);

	if (!u || u->state != MT_UP_CONNECTING || !mt_list_linked(&a->node))
		return "waits for a connection that is not being opened";
	return NULL;
}

static const char *check_attempt(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_attempt *a, bool timed)
{
	if (!a || mt_attempt_exchange(a) != ex)
		return "is tried nowhere";
	switch (a->state) {
	case MT_ATTEMPT_QUEUED:
		return timed ? check_queued(p, a) : "is queued without a time-out";
	case MT_ATTEMPT_CONNECTING:
		return timed ? check_connecting(p, a) : "waits without a time-out";
	case MT_ATTEMPT_SENDING:
		return timed ? check_sending(p, ex) : "is being sent without a time-out";
	case MT_ATTEMPT_UNACKED: /* check_up() */
		return mt_list_linked(&a->node) && timed ? NULL : "is sent, and waits for nothing";
	default:
		return timed || !is_last(p, a) ? check_sent(p, a) : "was sent without a time-out";
	}
}

/* A call may be put off until the next iteration, if no steps are left to read its metadata again. */
static const char *check_put_off(const struct mt_proxy *p, const struct mt_exchange *ex)
{
	const struct mt_list *n;

	mt_list_foreach (n, &p->again)
		if (n == &ex->queue_node)
			return NULL;
	return "is nowhere";
}

/* The thread answers each query, and the call's own time ends as well. */
static bool waits_for_limit(const struct mt_exchange *ex, bool timed)
{
	const struct mt_filters *c = ex->filters;

	return timed && c && ex->filter_at &&
	       c->request[ex->filter_at - 1].f->type == &mt_filter_global_ratelimit;
}

static const char *check_call(struct mt_proxy *p, struct mt_exchange *ex)
{
	bool timed = mt_list_linked(&ex->deadline.node);

	switch (ex->state) {
	case MT_EX_ROUTING:
		return check_put_off(p, ex);
	case MT_EX_ON_DEMAND:
		return timed && mt_list_linked(&ex->queue_node) ? NULL : "awaits nothing";
	case MT_EX_SUSPENDED:
		if (ex->awaits_verdict)
			return timed && mt_list_linked(&ex->queue_node)
				       ? NULL
				       : "waits for a verdict that is not asked for";
		return p->filters.n_waits || waits_for_limit(ex, timed)
			       ? NULL
			       : "waits for a filter that does not wait";
	case MT_EX_BACKOFF:
		return timed ? NULL : "waits for its next attempt without a timer";
	case MT_EX_TRYING:
		return check_attempt(p, ex, mt_exchange_attempt(ex), timed);
	case MT_EX_FILTERING:
		return timed ? NULL : "waits at its reply for a filter without a time-out";
	case MT_EX_REPLYING:
		return check_replying(p, ex);
	default:
		return NULL; /* READY: mt_proxy_check() */
	}
}

/* ---- connections ----------------------------------------------------------------------------------- */

static const char *check_down(struct mt_proxy *p, const struct mt_down *d)
{
	if (!d->s)
		return "is gone and was not freed";
	if (d->decoding || d->flushing)
		return "is in the middle of something";
	if (!mt_timer_armed(&d->timer))
		return "has no timer";
	if (d->ending == MT_DOWN_CLOSING || mt_down_in_message(d) ||
		(d->retry_at && !d->drain_started) || mt_reading_waits(&d->reading))
		return NULL;
	if (!d->paused)
		return d->s->rx.len > d->s->rx_kept ? "has sent bytes that nobody looks at" : NULL;
	if (d->outstanding >= p->conf.down_outstanding || !mt_list_empty(&d->waiting) ||
		d->after.len)
		return NULL;
	/* Another event than the client's wakes each of the calls. */
	if (d->paused_by_bytes)
		return d->pending | d->backing_off ? NULL : "is paused by calls that have left";
	return d->s->want_writable && d->s->tx_queued ? NULL : "is paused for nothing";
}

/* Of the ring's places that calls without an answer may hold. */
#define TOMBSTONES_PART 4

static const char *check_up(struct mt_proxy *p, const struct mt_up *u)
{
	const struct mt_list *n;
	uint32_t waiting = 0;

	if (u->state == MT_UP_OPEN && u->tombstones > p->conf.ring_slots / TOMBSTONES_PART)
		return "goes on though too many calls had no answer";

	mt_list_foreach (n, &u->waiting)
		waiting++;
	if (waiting != u->n_waiting)
		return "counts other calls than wait for it";
	waiting = 0;
	mt_list_foreach (n, &u->behind)
		waiting++;
	if (waiting != u->n_behind)
		return "counts other calls than are out on it";
	if (!mt_list_empty(&u->unacked) && (!u->s->want_writable || u->s->tx_queued == 0))
		return "has one-way calls, and no acknowledgement of them is waited for";
	if (u->decoding || u->release)
		return "is in the middle of something";
	if (u->state == MT_UP_CONNECTING)
		return NULL;
	if (u->s->rx.len > u->s->rx_kept && !u->paused && !u->retry_at &&
		!mt_reading_waits(&u->reading))
		return "has sent bytes that nobody looks at";
	if (mt_timer_armed(&u->timer))
		return NULL;
	if (u->msg_started || u->retry_at || (mt_up_in_reply(u) && !u->paused))
		return "has begun a message, without a timer";
	if (u->busy && mt_ref_is_none(u->exchange))
		return "is kept for a reply that nobody wants, without a timer";
	return mt_up_nothing_awaited(u) ? "is idle, without a timer" : NULL;
}

/* Bytes or a FIN of one side that the other has room for. */
static bool stuck(const struct mt_stream *from, const struct mt_stream *to, bool fin_passed)
{
	if (from->rx.len)
		return !to->want_writable;
	return from->rx_eof && !fin_passed;
}

static const char *check_pair(const struct mt_pair *pr)
{
	if (pr->connecting || !pr->down || !pr->up)
		return NULL;
	if (stuck(pr->down, pr->up, pr->fin_to_up) ||
		stuck(pr->up, pr->down, pr->fin_to_down || pr->fin_waits))
		return "has bytes of one side that the other is not given";
	return NULL;
}

/* ---- sums ------------------------------------------------------------------------------------------ */

struct sums {
	uint32_t queued, size, at_endpoints, conns, unacked, streams;
};

static void add_call(struct sums *n, const struct mt_exchange *ex, const struct mt_attempt *a)
{
	bool queued = ex->state == MT_EX_ON_DEMAND || (a && a->state == MT_ATTEMPT_QUEUED);

	n->queued += queued;
	n->size += queued ? ex->attempt.queued_size : 0;
	n->unacked += ex->unacked;
	n->at_endpoints += a && a->state != MT_ATTEMPT_UNACKED;
}

static const char *check_sums(const struct mt_proxy *p, const struct sums *n)
{
	struct sums is = {0};
	uint32_t shown = 0;

	for (uint32_t i = 0; i < p->snap->max_cluster_index; i++) {
		is.queued += p->pending[i];
		is.size += p->pending_size[i];
		is.conns += p->cluster_conns[i];
	}
	for (uint32_t i = 0; i < p->snap->max_ep_index; i++) {
		is.at_endpoints += p->lb.outstanding[i];
		shown += p->ep_stats[i].outstanding;
		is.streams += p->waiting.kept[i].n;
	}
	if (p->n_unacked != n->unacked)
		return "other one-way calls are counted as unacknowledged than are";
	if (is.queued != n->queued)
		return "calls are counted as waiting that do not wait";
	if (is.size != n->size)
		return "bytes are counted as waiting that do not wait";
	if (is.conns != n->conns)
		return "connections are counted that there are not";
	if (is.streams != n->streams)
		return "other byte streams are counted that wait for their server than do";
	if (is.at_endpoints != n->at_endpoints || shown != n->at_endpoints)
		return "other calls are counted at endpoints than are there";
	return NULL;
}

/* Whoever names a snapshot holds it. */
static bool check_snapshots(struct sim *s, struct mt_proxy *p, const struct config_store *st)
{
	uint32_t i = 0;
	void *o;

	while ((o = mt_slab_next(&p->exchanges, &i)))
		if (!config_is_alive(st, ((struct mt_exchange *)o)->snap))
			return wrong(s, p, "call", i - 1, "names a snapshot that was freed");
	for (i = 0; (o = mt_slab_next(&p->downs, &i));) {
		const struct mt_snapshot *snap = ((struct mt_down *)o)->snap;

		if (snap && !config_is_alive(st, snap))
			return wrong(s, p, "client", i - 1, "names a snapshot that was freed");
	}
	for (i = 0; (o = mt_slab_next(&p->connecting, &i));)
		if (!config_is_alive(st, ((struct mt_connecting *)o)->snap))
			return wrong(s, p, "byte stream", i - 1, "names a snapshot that was freed");
	return true;
}

static bool check_calls(struct sim *s, struct mt_proxy *p, struct sums *n)
{
	struct mt_exchange *ex;
	uint32_t i = 0;
	const char *bad;

	while ((ex = mt_slab_next(&p->exchanges, &i))) {
		add_call(n, ex, mt_exchange_attempt(ex));
		bad = check_call(p, ex);
		if (bad)
			return wrong(s, p, "call", ex->self.idx, bad);
	}
	return true;
}

static bool check_conns(struct sim *s, struct mt_proxy *p, struct sums *n)
{
	const char *bad = NULL;
	uint32_t i = 0;
	void *o;

	while ((o = mt_slab_next(&p->downs, &i)))
		if ((bad = check_down(p, o)))
			return wrong(s, p, "client", i - 1, bad);
	for (i = 0; (o = mt_slab_next(&p->ups, &i)); n->conns++)
		if ((bad = check_up(p, o)))
			return wrong(s, p, "connection to a server", i - 1, bad);
	for (i = 0; (o = mt_slab_next(&p->pairs, &i));
		n->conns += ((struct mt_pair *)o)->up != NULL) {
		n->streams += ((struct mt_pair *)o)->waits;
		if ((bad = check_pair(o)))
			return wrong(s, p, "byte stream", i - 1, bad);
	}
	return true;
}

void waits_check(struct sim *s, struct mt_proxy *p, const struct config_store *st)
{
	struct sums n = {0};
	const char *bad;

	if (!check_snapshots(s, p, st) || !check_calls(s, p, &n) || !check_conns(s, p, &n))
		return;
	bad = mt_proxy_check(p);
	if (!bad)
		bad = check_sums(p, &n);
	if (bad)
		sim_fail(s, "worker %u after a turn: %s", p->worker, bad);
}

uint32_t waits_most_queued(struct mt_proxy *p)
{
	const struct mt_up *u;
	uint32_t i = 0, most = 0;

	while ((u = mt_slab_next(&p->ups, &i)))
		if (u->s)
			most = MT_MAX(most, u->s->tx_queued);
	return most;
}
