/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_port_guests.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <rte_rcu_qsbr.h>

#define NONE UINT32_MAX

struct queue {
	struct mt_port *port;
	uint32_t next;
	uint16_t pair;
};

/* A list of queues, by index: visits take the head and append it again. */
struct list {
	uint32_t head, tail, n;
};

struct mt_guests_worker {
	struct mt_guests *guests;
	uint16_t index;
	uint32_t version; /* of the table that the lists are made from */
	struct list busy, idle;
	uint64_t idle_since; /* the last turn */
	struct queue *queues;
} mt_cache_aligned;

struct mt_guests {
	uint16_t n_workers;
	_Atomic uint32_t version; /* ctl: w, workers: r */
	_Atomic(struct mt_port *) ports[MT_VHOST_MAX];
	struct mt_guests_worker workers[];
};

/* ---- control thread -------------------------------------------------------------------------- */

struct mt_guests *mt_guests_create(uint16_t workers)
{
	size_t len = sizeof(struct mt_guests) + workers * sizeof(struct mt_guests_worker);
	struct mt_guests *g = aligned_alloc(MT_CACHE_LINE, len);
	/* Neighbouring pairs belong to different workers. */
	uint32_t share = (MT_VHOST_PAIRS_MAX + workers - 1u) / workers;

	if (!g)
		return NULL;
	memset(g, 0, len);
	g->n_workers = workers;
	for (uint16_t i = 0; i < workers; i++) {
		struct mt_guests_worker *w = &g->workers[i];

		w->guests = g;
		w->index = i;
		w->busy.head = w->busy.tail = w->idle.head = w->idle.tail = NONE;
		w->queues = calloc((size_t)MT_VHOST_MAX * share, sizeof(*w->queues));
		if (!w->queues) {
			mt_guests_destroy(g);
			return NULL;
		}
	}
	return g;
}

void mt_guests_destroy(struct mt_guests *g)
{
	if (!g)
		return;
	for (uint16_t i = 0; i < g->n_workers; i++)
		free(g->workers[i].queues);
	free(g);
}

struct mt_guests_worker *mt_guests_worker(struct mt_guests *g, uint16_t worker)
{
	return &g->workers[worker];
}

int mt_guests_attach(struct mt_guests *g, uint16_t number, struct mt_port *p)
{
	if (atomic_load(&g->ports[number]))
		return -EEXIST;
	atomic_store(&g->ports[number], p);
	atomic_fetch_add(&g->version, 1);
	return 0;
}

struct mt_port *mt_guests_detach(struct mt_guests *g, uint16_t number, struct rte_rcu_qsbr *qsbr)
{
	struct mt_port *p = atomic_exchange(&g->ports[number], NULL);

	if (!p)
		return NULL;
	atomic_fetch_add(&g->version, 1);
	if (qsbr)
		rte_rcu_qsbr_check(qsbr, rte_rcu_qsbr_start(qsbr), true);
	return p;
}

/* ---- workers --------------------------------------------------------------------------------- */

static void append(struct mt_guests_worker *w, struct list *l, uint32_t i)
{
	w->queues[i].next = NONE;
	if (l->tail == NONE)
		l->head = i;
	else
		w->queues[l->tail].next = i;
	l->tail = i;
	l->n++;
}

static uint32_t pop(struct mt_guests_worker *w, struct list *l)
{
	uint32_t i = l->head;

	l->head = w->queues[i].next;
	if (l->head == NONE)
		l->tail = NONE;
	l->n--;
	return i;
}

/* Makes the lists from the table. All queues are idle until their next visit. */
static void collect(struct mt_guests_worker *w, uint32_t version)
{
	const struct mt_guests *g = w->guests;
	uint32_t n = 0;

	w->version = version;
	w->busy = w->idle = (struct list){NONE, NONE, 0};
	for (uint16_t i = 0; i < MT_VHOST_MAX; i++) {
		struct mt_port *p = atomic_load(&g->ports[i]);

		for (uint16_t q = 0; p && q < p->n_rxq; q++) {
			if (mt_vhost_owner(i, q, g->n_workers) != w->index)
				continue;
			w->queues[n].port = p;
			w->queues[n].pair = q;
			append(w, &w->idle, n++);
		}
	}
}

/* Visits the first queue of a list. Returns the number of packets. */
static uint32_t visit(struct mt_guests_worker *w, struct list *from, uint32_t most,
	mt_guests_take *take, void *arg)
{
	struct rte_mbuf *pkts[MT_GUESTS_BURST];
	uint32_t i = pop(w, from);
	struct queue *q = &w->queues[i];
	uint16_t n = q->port->ops->rx(q->port, q->pair, pkts, (uint16_t)most);

	append(w, n ? &w->busy : &w->idle, i);
	if (n)
		take(arg, q->port, pkts, n);
	return n;
}

/* Visits of idle queues that are due, rounded up. */
static uint32_t due(struct mt_guests_worker *w, uint64_t now)
{
	uint64_t passed = MT_MIN(now - w->idle_since, MT_GUESTS_IDLE_NS);
	uint64_t n = (passed * w->idle.n + MT_GUESTS_IDLE_NS - 1) / MT_GUESTS_IDLE_NS;

	w->idle_since = now;
	return (uint32_t)MT_MIN(n, MT_GUESTS_IDLE);
}

uint32_t mt_guests_receive(
	struct mt_guests_worker *w, uint64_t now, mt_guests_take *take, void *arg)
{
	uint32_t version = atomic_load_explicit(&w->guests->version, memory_order_acquire);
	uint32_t n = 0, busy;

	if (mt_unlikely(version != w->version))
		collect(w, version);
	busy = w->busy.n; /* a queue that the first loop finds busy waits for the next turn */
	for (uint32_t i = due(w, now); i > 0; i--)
		n += visit(w, &w->idle, MT_GUESTS_IDLE_BURST, take, arg);
	for (; busy > 0 && n < MT_GUESTS_TURN; busy--)
		n += visit(w, &w->busy, MT_MIN(MT_GUESTS_TURN - n, MT_GUESTS_BURST), take, arg);
	return n;
}
