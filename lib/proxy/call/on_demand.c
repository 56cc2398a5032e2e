/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls and opaque streams that are routed to an on-demand cluster: a placeholder without endpoints
 * and with mt_cluster.demand. Only calls of clusters without endpoints are checked for `demand`, so
 * other calls pay nothing. A call waits in state MT_EX_ON_DEMAND for the rest of its time-out, but
 * at most demand_ms; a stream waits as its mt_connecting, with its client's bytes in the receive
 * window.
 * - Answers are a new snapshot, in which the cluster may have endpoints, and mt_upstream_absent(),
 *   which raises the registry's serial. A worker compares the serial in each iteration in which
 *   something waits. After an answer it processes the lists of calls and of streams, 256 entries
 *   of each in an iteration. It always takes the head, because the end of a call may end others.
 * - A call that continues is routed again in the new snapshot; its filters do not run again. While
 *   the call waits, changes by its filters are kept. Those by its route are made after the wait.
 * - Failure: the call gets a local reply (MT_REPLY_NO_CLUSTER), a stream is reset.
 * Requests and limits: pool/demand.c.
 */
#include "call/mt_call_priv.h"

/* Waiting calls that are checked in a loop iteration; the same number of streams. */
#define ON_DEMAND_SLICE 256u
/* A sleeping worker checks for answers at this interval. */
#define ON_DEMAND_STEP (1 * MT_MSEC)

static const char too_many[] = "too many calls wait for clusters that are not fetched yet";
static const char late[] = "the control plane did not send the cluster, or its endpoints, in time";

/* ---- calls ----------------------------------------------------------------------------------- */

bool mt_on_demand_call(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_cluster *c = ex->attempt.cluster;
	bool first = ex->on_demand_at == 0;
	const char *why;

	if (!c->demand)
		return false;
	why = mt_demand_absent(p, c);
	if (why) {
		mt_reply_local(p, ex, MT_REPLY_NO_CLUSTER, why);
		return true;
	}
	mt_compact_waiting(p, &ex->req);
	if (!mt_demand_may_wait(p, c, first)) {
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD, too_many);
		return true;
	}
	/* A call that waits again keeps an armed deadline: demand_ms run from the first wait. */
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
	mt_demand_add(&p->on_demand.calls, &ex->queue_node);
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
	mt_reply_ending(p, ex, MT_ENDING_on_demand_late, late);
}

/* Resumes or ends the first waiting call, or moves it to the end of the list. */
static void look_at_call(struct mt_proxy *p)
{
	struct mt_exchange *ex =
		mt_list_entry(p->on_demand.calls.list.next, struct mt_exchange, queue_node);
	const char *why = NULL;

	if (ex->snap == p->snap && ex->attempt.cluster) {
		why = mt_demand_absent(p, ex->attempt.cluster);
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
	/*
	 * NULL in a worker that was loaded from an image, if its snapshot has no placeholder: all
	 * waiting calls and streams go on.
	 */
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
