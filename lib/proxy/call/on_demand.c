/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls and opaque streams that are routed to an on-demand cluster: a placeholder without endpoints
 * and with mt_cluster.demand. The check is made only for clusters without endpoints, so other calls
 * pay nothing. A call waits in state MT_EX_ON_DEMAND for the rest of its time-out, but at most
 * demand_ms; a stream waits as its mt_connecting, with its client's bytes in the receive window.
 * - Requests: the first waiting call puts the cluster's index into a ring (struct mt_asks, 256
 *   entries). The control thread reads it with mt_proxy_asked(). Calls that still wait when another
 *   snapshot is adopted request it again, in case a request was lost.
 * - Answers are a snapshot in which the cluster has endpoints, or mt_upstream_absent(), which
 *   raises the registry's serial. A worker compares the serial in each iteration in which something
 *   waits, and then processes the list from its head, 256 per iteration, because answering one call
 *   may end others.
 * - A call that continues is routed again under the new snapshot; its filters do not run again.
 *   While it waits, changes by filters are kept and those by its route are dropped.
 * - Failure: the call gets a local reply (MT_REPLY_NO_CLUSTER), a stream is reset. Until
 *   absent_until calls fail at once without a request.
 * - Limits: pending_max per cluster; four times that and pending_bytes for all.
 */
#include "call/mt_call_priv.h"

/* Limit of waiting calls for all clusters, in multiples of the limit for one. */
#define ON_DEMAND_FACTOR 4u
/* Waiting calls that are checked in a loop iteration. */
#define ON_DEMAND_SLICE 256u
/* A sleeping worker checks for answers at this interval. */
#define ON_DEMAND_STEP (1 * MT_MSEC)

static const char too_many[] = "too many calls wait for clusters that are not fetched yet";
static const char late[] = "the control plane did not send the cluster, or its endpoints, in time";

void mt_on_demand_init(struct mt_proxy *p)
{
	mt_list_init(&p->on_demand.calls.list);
	mt_list_init(&p->on_demand.streams.list);
}

/* ---- requests -------------------------------------------------------------------------------- */

static bool ask(struct mt_proxy *p, uint32_t cluster)
{
	struct mt_asks *a = &p->asks;

	if (a->head - __atomic_load_n(&a->tail, __ATOMIC_ACQUIRE) == MT_ASKS)
		return false;
	a->cluster[a->head % MT_ASKS] = cluster;
	__atomic_store_n(&a->head, a->head + 1, __ATOMIC_RELEASE);
	return true;
}

uint32_t mt_proxy_asks(const struct mt_proxy *p)
{
	return p->asks.head;
}

bool mt_proxy_asked(struct mt_proxy *p, uint32_t *cluster)
{
	struct mt_asks *a = &p->asks;

	if (__atomic_load_n(&a->head, __ATOMIC_ACQUIRE) == a->tail)
		return false;
	*cluster = a->cluster[a->tail % MT_ASKS];
	__atomic_store_n(&a->tail, a->tail + 1, __ATOMIC_RELEASE);
	return true;
}

/* Why the cluster is not requested now; NULL: it may be. */
static const char *absent(struct mt_proxy *p, const struct mt_cluster *c)
{
	if (p->now >= __atomic_load_n(&c->demand->absent_until, __ATOMIC_ACQUIRE))
		return NULL;
	mt_count(p->counters, MT_PROXY_demand_absent);
	return __atomic_load_n(&c->demand->why, __ATOMIC_RELAXED);
}

void mt_on_demand_request(struct mt_proxy *p, const struct mt_cluster *c)
{
	if (p->now >= __atomic_load_n(&c->demand->absent_until, __ATOMIC_ACQUIRE))
		(void)ask(p, c->index);
}

static bool is_full(const struct mt_proxy *p, uint32_t cluster)
{
	const struct mt_on_demand *k = &p->on_demand;

	return k->calls.n + k->streams.n >= ON_DEMAND_FACTOR * p->conf.pending_max ||
	       k->bytes > p->conf.pending_bytes || p->pending[cluster] >= p->conf.pending_max;
}

/*
 * True if a call or stream may wait for the cluster; `first`: it has not waited yet. The first one
 * that waits requests the cluster. Those that wait longer request it again with each snapshot, in
 * case a request was lost.
 */
static bool may_wait(struct mt_proxy *p, const struct mt_cluster *c, bool first)
{
	/* The control thread raises it with each answer. */
	if (!p->on_demand.serial) {
		p->on_demand.serial = c->demand->serial;
		p->on_demand.seen = __atomic_load_n(p->on_demand.serial, __ATOMIC_ACQUIRE);
	}
	if ((first && is_full(p, c->index)) ||
		(p->pending[c->index] == 0 && !ask(p, c->index) && first)) {
		mt_count(p->counters, MT_PROXY_demand_full);
		return false;
	}
	if (first)
		mt_count(p->counters, MT_PROXY_demand_waited);
	return true;
}

static void add(struct mt_on_demand_list *l, struct mt_list *node)
{
	mt_list_add_tail(&l->list, node);
	l->n++;
}

static void take(struct mt_on_demand_list *l, struct mt_list *node)
{
	mt_list_del(node);
	l->n--;
}

/* ---- calls ----------------------------------------------------------------------------------- */

bool mt_on_demand_call(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_cluster *c = ex->attempt.cluster;
	bool first = ex->on_demand_at == 0;
	const char *why;

	if (!c->demand)
		return false;
	why = absent(p, c);
	if (why) {
		mt_reply_local(p, ex, MT_REPLY_NO_CLUSTER, why);
		return true;
	}
	mt_compact_waiting(p, &ex->req);
	if (!may_wait(p, c, first)) {
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD, too_many);
		return true;
	}
	/* The time limit of the wait runs from its start, also if the call waits again. */
	if (first || !mt_list_linked(&ex->deadline.node)) {
		uint32_t left = mt_call_left(p, ex);

		mt_deadline_arm(&p->deadlines, &ex->deadline, p->now,
			first ? MT_MIN(left, c->demand_ms) : left);
	}
	if (first)
		ex->on_demand_at = p->now;
	if (mt_unlikely(mt_overlay_keep_view(p, ex))) {
		mt_count(p->counters, MT_PROXY_no_memory);
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "out of memory");
		return true;
	}
	ex->step = MT_CALL_ROUTE;
	mt_exchange_becomes(ex, MT_EX_ON_DEMAND);
	ex->side = true;
	mt_exchange_waits(p, ex);
	ex->attempt.queued_size = ex->req.truesize;
	mt_pending_add(p, ex);
	p->on_demand.bytes += ex->attempt.queued_size;
	add(&p->on_demand.calls, &ex->queue_node);
	mt_exchange_trace_queued(p, ex, "its cluster has to be fetched");
	return true;
}

void mt_on_demand_left(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_pending_sub(p, ex);
	p->on_demand.bytes -= ex->attempt.queued_size;
	p->on_demand.calls.n--;
}

void mt_on_demand_expired(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_count(p->counters, MT_PROXY_demand_late);
	mt_reply_local(p, ex, MT_REPLY_NO_CLUSTER, late);
}

/* Resumes or ends the first waiting call, or moves it to the end of the list. */
static void look_at_call(struct mt_proxy *p)
{
	struct mt_exchange *ex =
		mt_list_entry(p->on_demand.calls.list.next, struct mt_exchange, queue_node);
	const char *why = NULL;

	if (ex->snap == p->snap && ex->attempt.cluster) {
		why = absent(p, ex->attempt.cluster);
		mt_list_del(&ex->queue_node);
		mt_list_add_tail(&p->on_demand.calls.list, &ex->queue_node);
		if (why)
			mt_reply_local(p, ex, MT_REPLY_NO_CLUSTER, why);
		return;
	}
	mt_list_del(&ex->queue_node);
	mt_on_demand_left(p, ex);
	mt_exchange_becomes(ex, MT_EX_ROUTING);
	mt_call_run(p, ex);
}

/* ---- opaque streams -------------------------------------------------------------------------- */

bool mt_on_demand_stream(struct mt_proxy *p, struct mt_pair *pr, struct mt_connecting *j)
{
	bool first = !j->waited;

	if (absent(p, j->cluster) || !may_wait(p, j->cluster, first))
		return false;
	if (first)
		mt_wheel_arm(&p->wheel, &pr->timer, p->now + j->cluster->demand_ms * MT_MSEC);
	j->waited = true;
	j->on_demand = j->cluster->index + 1;
	p->pending[j->cluster->index]++;
	mt_pending_settle(p, j->cluster->index, j->cluster->max_pending);
	add(&p->on_demand.streams, &j->node);
	return true;
}

void mt_on_demand_stream_left(struct mt_proxy *p, struct mt_connecting *j)
{
	if (!j->on_demand)
		return;
	p->pending[j->on_demand - 1]--;
	mt_pending_settle(p, j->on_demand - 1, 0);
	j->on_demand = 0;
	take(&p->on_demand.streams, &j->node);
}

static void look_at_stream(struct mt_proxy *p)
{
	struct mt_connecting *j =
		mt_list_entry(p->on_demand.streams.list.next, struct mt_connecting, node);

	mt_on_demand_stream_left(p, j);
	mt_opaque_again(p, mt_slab_at(&p->pairs, j->pair));
}

/* ---- loop iterations ------------------------------------------------------------------------- */

void mt_on_demand_look(struct mt_proxy *p)
{
	p->on_demand.calls.look = p->on_demand.calls.n;
	p->on_demand.streams.look = p->on_demand.streams.n;
}

static uint32_t look(
	struct mt_proxy *p, struct mt_on_demand_list *l, void (*at_first)(struct mt_proxy *p))
{
	uint32_t n = 0;

	for (; l->look && n < ON_DEMAND_SLICE; n++) {
		l->look--;
		if (mt_list_empty(&l->list))
			l->look = 0;
		else
			at_first(p);
	}
	return n;
}

uint32_t mt_on_demand_turn(struct mt_proxy *p)
{
	struct mt_on_demand *k = &p->on_demand;
	/* NULL in a loaded worker if its snapshot has no placeholder any more: all go on. */
	uint64_t serial = k->serial ? __atomic_load_n(k->serial, __ATOMIC_ACQUIRE) : k->seen;

	if (serial != k->seen) {
		k->seen = serial;
		mt_on_demand_look(p);
	}
	return look(p, &k->calls, look_at_call) + look(p, &k->streams, look_at_stream);
}

uint64_t mt_on_demand_next(const struct mt_proxy *p)
{
	const struct mt_on_demand *k = &p->on_demand;

	return k->calls.look || k->streams.look ? p->now : p->now + ON_DEMAND_STEP;
}
