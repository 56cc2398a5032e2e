/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits for on-demand clusters: placeholders without endpoints and with mt_cluster.demand.
 * - Requests: the first call or stream that waits puts the cluster's index into a ring (struct
 *   mt_asks, 256 entries), which the control thread reads with mt_proxy_asked(). At each new
 *   snapshot the first call or stream that waits again, or begins to, repeats the request, in case
 *   it was lost.
 * - Until mt_demand.absent_until, calls for the cluster fail at once, without a request.
 * - Limits of this worker: pending_max waiting calls per cluster; 4 * pending_max calls and
 *   pending_bytes for all clusters together.
 * How calls wait and continue: call/on_demand.c.
 */
#include "pool/mt_pool_priv.h"

/* Limit of waiting calls for all clusters, in multiples of the limit for one. */
#define ON_DEMAND_FACTOR 4u

void mt_on_demand_init(struct mt_proxy *p)
{
	mt_list_init(&p->on_demand.calls.list);
	mt_list_init(&p->on_demand.streams.list);
}

static bool ask(struct mt_proxy *p, uint32_t cluster)
{
	struct mt_asks *a = &p->asks;

	if (a->head - __atomic_load_n(&a->tail, __ATOMIC_ACQUIRE) == MT_ASKS)
		return false;
	a->cluster[a->head % MT_ASKS] = cluster;
	__atomic_store_n(&a->head, a->head + 1, __ATOMIC_RELEASE);
	p->asked_under[cluster] = (uint32_t)p->snap->version;
	return true;
}

/* True if calls or streams wait for the cluster, and it was requested under this snapshot. */
static bool is_asked(const struct mt_proxy *p, uint32_t cluster)
{
	return p->pending[cluster] && p->asked_under[cluster] == (uint32_t)p->snap->version;
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

const char *mt_demand_absent(struct mt_proxy *p, const struct mt_cluster *c)
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

bool mt_demand_may_wait(struct mt_proxy *p, const struct mt_cluster *c, bool first)
{
	/* The control thread raises this counter with each answer. */
	if (!p->on_demand.serial) {
		p->on_demand.serial = c->demand->serial;
		p->on_demand.seen = __atomic_load_n(p->on_demand.serial, __ATOMIC_ACQUIRE);
	}
	if ((first && is_full(p, c->index)) ||
		(!is_asked(p, c->index) && !ask(p, c->index) && first && !p->pending[c->index])) {
		mt_count(p->counters, MT_PROXY_demand_full);
		return false;
	}
	if (first)
		mt_count(p->counters, MT_PROXY_demand_waited);
	return true;
}

void mt_demand_add(struct mt_on_demand_list *l, struct mt_list *node)
{
	mt_list_add_tail(&l->list, node);
	l->n++;
}

static void take(struct mt_on_demand_list *l, struct mt_list *node)
{
	mt_list_del(node);
	l->n--;
}

enum mt_ending mt_on_demand_stream(struct mt_proxy *p, struct mt_pair *pr, struct mt_connecting *j)
{
	bool first = !j->waited;

	if (mt_demand_absent(p, j->cluster))
		return MT_ENDING_no_cluster;
	if (!mt_demand_may_wait(p, j->cluster, first))
		return MT_ENDING_overload;
	if (first)
		mt_wheel_arm(&p->wheel, &pr->timer, p->now + j->cluster->demand_ms * MT_MSEC);
	j->waited = true;
	j->on_demand = j->cluster->index + 1;
	p->pending[j->cluster->index]++;
	mt_pending_settle(p, j->cluster->index, j->cluster->max_pending);
	mt_demand_add(&p->on_demand.streams, &j->node);
	return MT_ENDING_ok;
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
