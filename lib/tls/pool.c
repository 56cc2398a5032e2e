/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts and ends threads, creates and frees lanes, and lets threads sleep.
 *
 * 	worker: put, rung = 1, asleep? then write
 * 	thread: rung = 0, take; before it sleeps: asleep = 1, rung? then it stays up
 *
 * Both sides store and then load, sequentially consistent. An atomic exchange clears `rung`, so
 * that a thread that finds it set also sees what was put before. The other direction, from a thread
 * to a sleeping worker, works the same way.
 */
#include "mt_tls_pool_priv.h"

#include "mt_crypto.h"
#include "mt_rights.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- a thread -------------------------------------------------------------------------------- */

void mt_tls_thread_ring(struct mt_tls_thread *t)
{
	const uint64_t one = 1;

	__atomic_store_n(&t->rung, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&t->asleep, __ATOMIC_SEQ_CST))
		(void)!write(t->fd, &one, sizeof(one));
}

static void rest(struct mt_tls_thread *t)
{
	uint64_t n;

	__atomic_store_n(&t->asleep, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&t->rung, __ATOMIC_SEQ_CST))
		(void)!read(t->fd, &n, sizeof(n));
	__atomic_store_n(&t->asleep, 0, __ATOMIC_SEQ_CST);
}

static void *loop(void *arg)
{
	struct mt_tls_thread *t = arg;
	struct mt_tls_pool *p = t->pool;

	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE)) {
		bool busy = __atomic_exchange_n(&t->rung, 0, __ATOMIC_SEQ_CST);

		for (uint32_t i = 0; i < p->n_workers; i++)
			busy |= mt_tls_wire_serve(&p->lanes[i].wires[t->number]);
		if (!busy)
			rest(t);
	}
	/* Frees what the library keeps for each thread. */
	mt_crypto_thread_end();
	return NULL;
}

static int start(struct mt_tls_thread *t)
{
	char name[16];
	int rc;

	t->fd = eventfd(0, EFD_CLOEXEC);
	if (t->fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "mt-tls-%u", t->number % MT_TLS_THREADS);
	rc = mt_rights_thread(&t->id, name, loop, t);
	if (rc)
		close(t->fd);
	return rc;
}

static void stop(struct mt_tls_thread *t)
{
	__atomic_store_n(&t->stop, 1, __ATOMIC_SEQ_CST);
	mt_tls_thread_ring(t);
	pthread_join(t->id, NULL);
	close(t->fd);
}

/* ---- lanes ----------------------------------------------------------------------------------- */

static size_t ring_bytes(void)
{
	return RTE_ALIGN_CEIL((size_t)rte_ring_get_memsize_elem(sizeof(struct piece), MT_TLS_RING),
		(size_t)RTE_CACHE_LINE_SIZE);
}

static struct rte_ring *make_ring(void)
{
	/* Only address space until it is used. */
	struct rte_ring *r = aligned_alloc(RTE_CACHE_LINE_SIZE, ring_bytes());

	if (r && rte_ring_init(r, "handshakes", MT_TLS_RING, RING_F_SP_ENQ | RING_F_SC_DEQ)) {
		free(r);
		return NULL;
	}
	return r;
}

/* Wipes the ring, which has contained keys. */
static void free_ring(struct rte_ring *r)
{
	if (r)
		OPENSSL_cleanse(r, ring_bytes());
	free(r);
}

static bool make_wire(struct mt_tls_wire *w, struct mt_tls_lane *l, struct mt_tls_thread *t)
{
	w->lane = l;
	w->thread = t;
	w->to_thread = make_ring();
	w->to_worker = make_ring();
	w->jobs = calloc(MT_TLS_SLOTS, sizeof(*w->jobs));
	return w->to_thread && w->to_worker && w->jobs;
}

static bool make_lane(struct mt_tls_pool *p, uint32_t worker)
{
	struct mt_tls_lane *l = &p->lanes[worker];
	bool ok;

	l->worker = worker;
	l->wake_fd = -1;
	l->n_threads = p->n_threads;
	l->wires = aligned_alloc(MT_CACHE_LINE, p->n_threads * sizeof(*l->wires));
	l->slots = calloc(MT_TLS_SLOTS, sizeof(*l->slots));
	l->live = calloc(MT_TLS_SLOTS, sizeof(*l->live));
	ok = l->wires && l->slots && l->live;
	if (l->wires)
		memset(l->wires, 0, p->n_threads * sizeof(*l->wires));
	for (uint32_t i = 0; ok && i < p->n_threads; i++)
		ok = make_wire(&l->wires[i], l, &p->threads[i]);
	for (uint32_t i = 0; ok && i < MT_TLS_SLOTS; i++) {
		l->live[i] = 1;
		l->slots[i].next_free = i + 1 < MT_TLS_SLOTS ? i + 1 : UINT32_MAX;
	}
	return ok;
}

static void free_lane(struct mt_tls_pool *p, uint32_t worker)
{
	struct mt_tls_lane *l = &p->lanes[worker];

	for (uint32_t i = 0; l->wires && i < p->n_threads; i++) {
		mt_tls_wire_end(&l->wires[i]);
		free_ring(l->wires[i].to_thread);
		free_ring(l->wires[i].to_worker);
		free(l->wires[i].jobs);
	}
	free(l->wires);
	free(l->slots);
	free(l->live);
}

/* ---- the pool -------------------------------------------------------------------------------- */

static int fill(struct mt_tls_pool *p, struct mt_err *e)
{
	int rc = 0;

	p->lanes = aligned_alloc(MT_CACHE_LINE, p->n_workers * sizeof(*p->lanes));
	if (!p->lanes)
		return mt_err(e, -ENOMEM, "no memory");
	memset(p->lanes, 0, p->n_workers * sizeof(*p->lanes));
	for (uint32_t i = 0; i < p->n_workers; i++)
		if (!make_lane(p, i))
			return mt_err(e, -ENOMEM, "no memory");
	for (uint32_t i = 0; i < p->n_threads && rc == 0; i++) {
		p->threads[i] = (struct mt_tls_thread){.number = i, .pool = p};
		rc = start(&p->threads[i]);
		p->n_started += rc == 0;
	}
	return rc ? mt_err(e, rc, "a thread for handshakes: %s", strerror(-rc)) : 0;
}

struct mt_tls_pool *mt_tls_pool_new(uint32_t n_workers, uint32_t n_threads, struct mt_err *e)
{
	struct mt_tls_pool *p;

	if (n_workers == 0 || n_threads == 0 || n_threads > MT_TLS_THREADS) {
		mt_err(e, -EINVAL,
			"%u threads for handshakes of %u workers: 1 to %d for at least one worker",
			n_threads, n_workers, MT_TLS_THREADS);
		return NULL;
	}
	p = aligned_alloc(MT_CACHE_LINE, sizeof(*p));
	if (!p) {
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	memset(p, 0, sizeof(*p));
	p->n_workers = n_workers;
	p->n_threads = n_threads;
	if (fill(p, e) == 0)
		return p;
	mt_tls_pool_free(p);
	return NULL;
}

void mt_tls_pool_free(struct mt_tls_pool *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->n_started; i++)
		stop(&p->threads[i]);
	for (uint32_t i = 0; p->lanes && i < p->n_workers; i++)
		free_lane(p, i);
	free(p->lanes);
	free(p);
}

struct mt_tls_lane *mt_tls_pool_lane(struct mt_tls_pool *p, uint32_t worker)
{
	MT_ASSERT(worker < p->n_workers);
	return &p->lanes[worker];
}
