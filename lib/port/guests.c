/* SPDX-License-Identifier: Apache-2.0 */
/* DPDK's rings use C11 atomics here, which the thread sanitizer understands. */
#define RTE_USE_C11_MEM_MODEL 1
#include "mt_port_guests.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#define NONE UINT32_MAX
#define RING 1024 /* frames that other workers hand to one */

struct queue {
	struct mt_port *port;
	uint32_t next;
	uint16_t number; /* of the guest */
	uint16_t pair;
};

/* A list of queues, by index: visits take the head and append it again. */
struct list {
	uint32_t head, tail, n;
};

/* A frame that one worker hands to another. */
struct parcel {
	struct rte_mbuf *m;
	uint32_t number; /* of the guest */
	uint32_t turn;	 /* slot.turn when it was handed over */
};

struct slot {
	_Atomic(struct mt_port *) port; /* ctl: w, workers: r */
	/*
	 * Grows with each attach, so that no guest gets frames for the one before it. ctl: w,
	 * workers: r.
	 */
	_Atomic uint32_t turn;
};

struct mt_guests_worker {
	struct mt_guests *guests;
	struct rte_ring *ring; /* parcels from other workers */
	uint16_t index;
	uint32_t version; /* of the table that the lists are made from */
	struct list busy, idle;
	uint64_t idle_since; /* the last turn */
	struct queue *queues;
	uint64_t n_gone; /* frames for guests that are not attached */
} mt_cache_aligned;

struct mt_guests {
	uint16_t n_workers;
	mt_guests_pairs *pairs;
	_Atomic uint32_t version; /* ctl: w, workers: r */
	struct slot slots[MT_VHOST_MAX];
	struct mt_guests_worker workers[];
};

/* ---- control thread -------------------------------------------------------------------------- */

static struct rte_ring *make_ring(void)
{
	ssize_t bytes = rte_ring_get_memsize_elem(sizeof(struct parcel), RING);
	struct rte_ring *r;

	if (bytes < 0)
		return NULL;
	r = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL((size_t)bytes, RTE_CACHE_LINE_SIZE));
	if (r && rte_ring_init(r, "guests", RING, RING_F_SC_DEQ)) {
		free(r);
		r = NULL;
	}
	return r;
}

static void free_ring(struct rte_ring *r)
{
	struct parcel x;

	while (r && rte_ring_sc_dequeue_elem(r, &x, sizeof(x)) == 0)
		mt_buf_free(x.m);
	free(r);
}

struct mt_guests *mt_guests_create(uint16_t workers, mt_guests_pairs *pairs)
{
	size_t len = sizeof(struct mt_guests) + workers * sizeof(struct mt_guests_worker);
	struct mt_guests *g = aligned_alloc(MT_CACHE_LINE, len);
	/* Neighbouring pairs belong to different workers. */
	uint32_t share = (MT_VHOST_PAIRS_MAX + workers - 1u) / workers;

	if (!g)
		return NULL;
	memset(g, 0, len);
	g->n_workers = workers;
	g->pairs = pairs;
	for (uint16_t i = 0; i < workers; i++) {
		struct mt_guests_worker *w = &g->workers[i];

		w->guests = g;
		w->index = i;
		w->busy.head = w->busy.tail = w->idle.head = w->idle.tail = NONE;
		w->queues = calloc((size_t)MT_VHOST_MAX * share, sizeof(*w->queues));
		w->ring = make_ring();
		if (!w->queues || !w->ring) {
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
	for (uint16_t i = 0; i < g->n_workers; i++) {
		free(g->workers[i].queues);
		free_ring(g->workers[i].ring);
	}
	free(g);
}

struct mt_guests_worker *mt_guests_worker(struct mt_guests *g, uint16_t worker)
{
	return &g->workers[worker];
}

int mt_guests_attach(struct mt_guests *g, uint16_t number, struct mt_port *p)
{
	struct slot *s = &g->slots[number];

	if (atomic_load(&s->port))
		return -EEXIST;
	atomic_fetch_add(&s->turn, 1);
	atomic_store(&s->port, p);
	atomic_fetch_add(&g->version, 1);
	return 0;
}

struct mt_port *mt_guests_detach(struct mt_guests *g, uint16_t number, struct rte_rcu_qsbr *qsbr)
{
	struct mt_port *p = atomic_exchange(&g->slots[number].port, NULL);

	if (!p)
		return NULL;
	atomic_fetch_add(&g->version, 1);
	if (qsbr)
		rte_rcu_qsbr_check(qsbr, rte_rcu_qsbr_start(qsbr), true);
	return p;
}

uint64_t mt_guests_gone(const struct mt_guests *g)
{
	uint64_t n = 0;

	for (uint16_t i = 0; i < g->n_workers; i++)
		n += mt_count_read(&g->workers[i].n_gone);
	return n;
}

/* ---- receive --------------------------------------------------------------------------------- */

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
		struct mt_port *p = atomic_load(&g->slots[i].port);

		for (uint16_t q = 0; p && q < p->n_rxq; q++) {
			if (mt_vhost_owner(i, q, g->n_workers) != w->index)
				continue;
			w->queues[n].port = p;
			w->queues[n].number = i;
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
		take(arg, q->number, pkts, n);
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

/* ---- send ------------------------------------------------------------------------------------ */

static void drop_gone(struct mt_guests_worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	mt_count_n(&w->n_gone, 0, n);
	mt_buf_free_bulk(pkts, n);
}

/* The guest's port, if the guest is the one that was there in that turn; otherwise NULL. */
static struct mt_port *port_of(struct slot *s, uint32_t turn)
{
	struct mt_port *p = atomic_load_explicit(&s->port, memory_order_acquire);

	return p && atomic_load_explicit(&s->turn, memory_order_relaxed) == turn ? p : NULL;
}

/*
 * Sends the first of n parcels, as many as are for one guest. Returns their number. Drops those
 * that the guest's queue does not take.
 */
static uint32_t send_first(struct mt_guests_worker *w, const struct parcel *v, uint32_t n)
{
	struct mt_port *p = port_of(&w->guests->slots[v->number], v->turn);
	struct rte_mbuf *pkts[MT_GUESTS_BURST];
	uint16_t same = 0, sent;

	while (same < n && v[same].number == v->number && v[same].turn == v->turn) {
		pkts[same] = v[same].m;
		same++;
	}
	if (mt_unlikely(!p)) {
		drop_gone(w, pkts, same);
		return same;
	}
	sent = p->ops->tx(p, w->index, pkts, same);
	if (mt_unlikely(sent < same)) {
		mt_count_n(p->workers[w->index].counters, MT_PORT_tx_stranded, same - sent);
		mt_buf_free_bulk(pkts + sent, (uint16_t)(same - sent));
	}
	return same;
}

/* Sends what other workers have handed over. Returns the number of frames. */
static uint32_t send_handed(struct mt_guests_worker *w)
{
	struct parcel v[MT_GUESTS_BURST];
	uint32_t total = 0, n;

	do {
		n = rte_ring_sc_dequeue_burst_elem(w->ring, v, sizeof(*v), MT_ARRAY_LEN(v), NULL);
		for (uint32_t i = 0; i < n;)
			i += send_first(w, &v[i], n - i);
		total += n;
	} while (n == MT_ARRAY_LEN(v) && total < MT_GUESTS_TURN);
	return total;
}

/* Hands the first frames to another worker. Returns how many its ring took. */
static uint16_t hand_over(
	struct rte_ring *ring, uint16_t number, uint32_t turn, struct rte_mbuf **pkts, uint16_t n)
{
	struct parcel v[MT_GUESTS_BURST];
	uint16_t done = 0;

	while (done < n) {
		uint16_t part = (uint16_t)MT_MIN((uint32_t)(n - done), MT_GUESTS_BURST), took;

		for (uint16_t i = 0; i < part; i++)
			v[i] = (struct parcel){pkts[done + i], number, turn};
		took = (uint16_t)rte_ring_mp_enqueue_burst_elem(ring, v, sizeof(*v), part, NULL);
		done = (uint16_t)(done + took);
		if (took < part)
			break;
	}
	return done;
}

uint16_t mt_guests_send(
	struct mt_guests_worker *w, uint16_t number, struct rte_mbuf **pkts, uint16_t n)
{
	struct mt_guests *g = w->guests;
	struct slot *s = &g->slots[number];
	struct mt_port *p = atomic_load_explicit(&s->port, memory_order_acquire);
	uint16_t pairs;
	uint64_t *counters;

	if (mt_unlikely(!p)) {
		drop_gone(w, pkts, n);
		return n;
	}
	pairs = g->pairs(p);
	if (!pairs)
		return 0;
	if (mt_vhost_pair(number, w->index, g->n_workers) < pairs)
		return p->ops->tx(p, w->index, pkts, n);
	counters = p->workers[w->index].counters;
	w = &g->workers[mt_vhost_owner(number, 0, g->n_workers)];
	n = hand_over(
		w->ring, number, atomic_load_explicit(&s->turn, memory_order_relaxed), pkts, n);
	mt_count_n(counters, MT_PORT_tx_forwarded, n);
	return n;
}

/* ---- a turn ---------------------------------------------------------------------------------- */

uint32_t mt_guests_receive(
	struct mt_guests_worker *w, uint64_t now, mt_guests_take *take, void *arg)
{
	uint32_t version = atomic_load_explicit(&w->guests->version, memory_order_acquire);
	uint32_t handed = send_handed(w), n = 0, busy;

	if (mt_unlikely(version != w->version))
		collect(w, version);
	busy = w->busy.n; /* a queue that the first loop finds busy waits for the next turn */
	for (uint32_t i = due(w, now); i > 0; i--)
		n += visit(w, &w->idle, MT_GUESTS_IDLE_BURST, take, arg);
	for (; busy > 0 && n < MT_GUESTS_TURN; busy--)
		n += visit(w, &w->busy, MT_MIN(MT_GUESTS_TURN - n, MT_GUESTS_BURST), take, arg);
	return n + handed;
}
