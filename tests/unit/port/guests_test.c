/* SPDX-License-Identifier: Apache-2.0 */
/* The table of guests' ports and the order of their queues, with ports of the test. */
#include "mt_port_guests.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_rcu_qsbr.h>

#include "suites.h"

/* A port with a number of packets in each queue; packets are pointers that nobody reads. */
struct fake {
	struct mt_port port; /* first */
	uint32_t waiting[MT_VHOST_PAIRS_MAX];
	uint32_t visits[MT_VHOST_PAIRS_MAX];
	uint32_t most[MT_VHOST_PAIRS_MAX]; /* packets that a visit took */
	_Atomic bool closed;
	_Atomic uint32_t used_closed;
	/* of sends, whose packets are real */
	struct mt_port_worker workers[2];
	uint16_t pairs;	     /* that the guest uses */
	uint32_t room;	     /* frames that it takes yet */
	uint32_t sent_by[2]; /* workers */
	uint8_t sent[64];    /* marks of the first frames, in order */
	uint32_t n_sent;
};

static uint16_t fake_rx(struct mt_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct fake *f = mt_container_of(p, struct fake, port);

	if (atomic_load(&f->closed))
		atomic_fetch_add(&f->used_closed, 1);
	f->visits[queue]++;
	n = (uint16_t)MT_MIN(n, f->waiting[queue]);
	f->waiting[queue] -= n;
	f->most[queue] = MT_MAX(f->most[queue], n);
	memset(pkts, 0, n * sizeof(*pkts));
	return n;
}

static uint16_t fake_tx(struct mt_port *p, uint16_t worker, struct rte_mbuf **pkts, uint16_t n)
{
	struct fake *f = mt_container_of(p, struct fake, port);

	if (atomic_load(&f->closed))
		atomic_fetch_add(&f->used_closed, 1);
	n = (uint16_t)MT_MIN(n, f->room);
	f->room -= n;
	f->sent_by[worker] += n;
	for (uint16_t i = 0; i < n; i++, f->n_sent++)
		if (f->n_sent < MT_ARRAY_LEN(f->sent))
			f->sent[f->n_sent] = *rte_pktmbuf_mtod(pkts[i], const uint8_t *);
	mt_buf_free_bulk(pkts, n);
	return n;
}

static uint16_t fake_pairs(const struct mt_port *p)
{
	return mt_container_of(p, const struct fake, port)->pairs;
}

static const struct mt_port_ops fake_ops = {.rx = fake_rx, .tx = fake_tx};

static void fake_init(struct fake *f, uint16_t pairs)
{
	memset(f, 0, sizeof(*f));
	f->port.ops = &fake_ops;
	f->port.n_rxq = pairs;
	f->port.n_workers = 2;
	f->port.workers = f->workers;
	f->pairs = 1;
	f->room = UINT32_MAX;
}

static void count(void *arg, uint16_t number, struct rte_mbuf **pkts, uint16_t n)
{
	(void)number;
	(void)pkts;
	*(uint32_t *)arg += n;
}

/* One turn of a worker, 1 us after the last one. Returns the packets. */
static uint32_t turn(struct mt_guests *g, uint16_t worker, uint64_t *now)
{
	uint32_t taken = 0, n;

	*now += 1000;
	n = mt_guests_receive(mt_guests_worker(g, worker), *now, count, &taken);
	CU_ASSERT_EQUAL(n, taken);
	return n;
}

static void test_table(void)
{
	struct mt_guests *g = mt_guests_create(2, fake_pairs);
	struct fake a, b;
	uint64_t now = 1000000;

	fake_init(&a, 2);
	fake_init(&b, 1);
	CU_ASSERT_EQUAL(turn(g, 0, &now), 0);
	CU_ASSERT_EQUAL(mt_guests_attach(g, 3, &a.port), 0);
	CU_ASSERT_EQUAL(mt_guests_attach(g, 3, &b.port), -EEXIST);
	CU_ASSERT_EQUAL(mt_guests_attach(g, 511, &b.port), 0);
	for (int i = 0; i < 1000; i++) {
		turn(g, 0, &now);
		turn(g, 1, &now);
	}
	/* each queue belongs to one worker: 3 + 0 and 511 + 0 to the second one, 3 + 1 to the first */
	CU_ASSERT(a.visits[0] > 0 && a.visits[1] > 0 && b.visits[0] > 0);
	a.waiting[1] = b.waiting[0] = 1;
	for (int i = 0; i < 1000; i++)
		turn(g, 0, &now);
	CU_ASSERT(a.waiting[1] == 0 && b.waiting[0] == 1);
	CU_ASSERT_PTR_EQUAL(mt_guests_detach(g, 511, NULL), &b.port);
	CU_ASSERT_PTR_NULL(mt_guests_detach(g, 511, NULL));
	b.visits[0] = 0;
	for (int i = 0; i < 1000; i++)
		turn(g, 1, &now);
	CU_ASSERT_EQUAL(b.visits[0], 0);
	mt_guests_destroy(g);
	mt_guests_destroy(NULL);
}

/* Floods of many guests: the budget of a turn, and equal shares over turns. */
static void test_floods(void)
{
	struct mt_guests *g = mt_guests_create(1, fake_pairs);
	static struct fake f[20];
	uint64_t now = 1000000;
	uint32_t least = UINT32_MAX, most = 0;

	for (uint16_t i = 0; i < MT_ARRAY_LEN(f); i++) {
		fake_init(&f[i], 1);
		f[i].waiting[0] = 1000000;
		CU_ASSERT_EQUAL(mt_guests_attach(g, i, &f[i].port), 0);
	}
	for (int i = 0; i < 100; i++)
		turn(g, 0, &now); /* all are known to be busy */
	for (uint16_t i = 0; i < MT_ARRAY_LEN(f); i++)
		f[i].waiting[0] = 1000000;
	for (int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(turn(g, 0, &now), MT_GUESTS_TURN);
	for (uint16_t i = 0; i < MT_ARRAY_LEN(f); i++) {
		least = MT_MIN(least, 1000000 - f[i].waiting[0]);
		most = MT_MAX(most, 1000000 - f[i].waiting[0]);
		CU_ASSERT_EQUAL(f[i].most[0], MT_GUESTS_BURST);
	}
	CU_ASSERT(most - least <= MT_GUESTS_BURST);
	mt_guests_destroy(g);
}

/* A flood does not delay the visits of others. */
static void test_idle(void)
{
	struct mt_guests *g = mt_guests_create(1, fake_pairs);
	static struct fake f[MT_VHOST_MAX];
	uint64_t now = 1000000;
	uint32_t visits = 0, since = 0;

	for (uint16_t i = 0; i < MT_VHOST_MAX; i++) {
		fake_init(&f[i], 1);
		CU_ASSERT_EQUAL(mt_guests_attach(g, i, &f[i].port), 0);
	}
	for (uint32_t i = 0; i < 16; i++)
		f[i].waiting[0] = UINT32_MAX / 2;
	for (uint32_t t = 0; t < 4000; t++) {
		turn(g, 0, &now);
		for (uint32_t i = 16; i < MT_VHOST_MAX; i++) {
			visits += f[i].visits[0];
			f[i].visits[0] = 0;
		}
		CU_ASSERT(visits <= MT_GUESTS_IDLE);
		visits = 0;
		/* one packet, which comes at any time */
		if (t > 1000 && f[400].waiting[0] == 0) {
			CU_ASSERT(!since || t - since <= MT_GUESTS_IDLE_NS / 1000 + 1);
			f[400].waiting[0] = 1;
			since = t;
		}
	}
	CU_ASSERT(since > 3500);
	mt_guests_destroy(g);
}

/* ---- send ------------------------------------------------------------------------------------ */

static struct rte_mbuf *frame(uint16_t pool, uint8_t mark)
{
	struct rte_mbuf *m = mt_buf_data(test_pools[pool]);

	if (m)
		*(uint8_t *)rte_pktmbuf_append(m, 1) = mark;
	return m;
}

/* Sends frames with the marks 1, 2, ... Returns how many were taken; the others are freed. */
static uint16_t send_frames(struct mt_guests *g, uint16_t worker, uint16_t number, uint16_t n)
{
	struct rte_mbuf *pkts[MT_GUESTS_BURST];
	uint16_t took;

	for (uint16_t i = 0; i < n; i++) {
		pkts[i] = frame(0, (uint8_t)(i + 1));
		CU_ASSERT_PTR_NOT_NULL_FATAL(pkts[i]);
	}
	took = mt_guests_send(mt_guests_worker(g, worker), number, pkts, n);
	mt_buf_free_bulk(pkts + took, (uint16_t)(n - took));
	return took;
}

/* A turn of a worker. Returns the frames that it sent or received. */
static uint32_t receive(struct mt_guests *g, uint16_t worker, uint64_t now)
{
	uint32_t taken = 0;

	return mt_guests_receive(mt_guests_worker(g, worker), now, count, &taken);
}

/* Each worker sends by its own pair; without one it hands its frames to the worker of the first. */
static void test_send(void)
{
	uint32_t in_use = rte_mempool_in_use_count(test_pools[0]->data);
	struct mt_guests *g = mt_guests_create(2, fake_pairs);
	static struct fake f;

	fake_init(&f, 2);
	f.pairs = 2;
	CU_ASSERT_EQUAL(mt_guests_attach(g, 3, &f.port), 0);
	CU_ASSERT_EQUAL(send_frames(g, 0, 3, 2), 2);
	CU_ASSERT_EQUAL(send_frames(g, 1, 3, 1), 1);
	CU_ASSERT(f.sent_by[0] == 2 && f.sent_by[1] == 1);
	CU_ASSERT_EQUAL(mt_port_count(&f.port, MT_PORT_tx_forwarded), 0);
	f.pairs = 1;
	f.n_sent = 0;
	CU_ASSERT_EQUAL(send_frames(g, 1, 3, 1), 1);
	CU_ASSERT_EQUAL(send_frames(g, 0, 3, 3), 3);
	CU_ASSERT(f.sent_by[0] == 2 && f.sent_by[1] == 2);
	CU_ASSERT_EQUAL(receive(g, 0, 0), 0);
	CU_ASSERT_EQUAL(receive(g, 1, 0), 3);
	CU_ASSERT(f.sent_by[0] == 2 && f.sent_by[1] == 5);
	CU_ASSERT_EQUAL(memcmp(f.sent, "\1\1\2\3", 4), 0);
	CU_ASSERT_EQUAL(mt_port_count(&f.port, MT_PORT_tx_forwarded), 3);
	/* the guest's driver does not run */
	f.pairs = 0;
	CU_ASSERT_EQUAL(send_frames(g, 0, 3, 2), 0);
	CU_ASSERT_EQUAL(send_frames(g, 1, 3, 2), 0);
	CU_ASSERT_EQUAL(receive(g, 1, 0), 0);
	mt_guests_destroy(g);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(test_pools[0]->data), in_use);
}

/* A guest that takes no more, and a ring that is full. */
static void test_full(void)
{
	uint32_t in_use = rte_mempool_in_use_count(test_pools[0]->data), n = 0;
	struct mt_guests *g = mt_guests_create(2, fake_pairs);
	static struct fake f, other;
	uint16_t took;

	fake_init(&f, 1);
	fake_init(&other, 1);
	CU_ASSERT_EQUAL(mt_guests_attach(g, 3, &f.port), 0);
	CU_ASSERT_EQUAL(mt_guests_attach(g, 5, &other.port), 0);
	f.room = 2;
	CU_ASSERT_EQUAL(send_frames(g, 1, 3, 3), 2);
	/* frames that were handed over are dropped, and those of other guests go on */
	f.room = 2;
	CU_ASSERT_EQUAL(send_frames(g, 0, 3, 3), 3);
	CU_ASSERT_EQUAL(send_frames(g, 0, 5, 3), 3);
	CU_ASSERT_EQUAL(send_frames(g, 0, 3, 1), 1);
	CU_ASSERT_EQUAL(receive(g, 1, 0), 7);
	CU_ASSERT(f.sent_by[1] == 4 && other.sent_by[1] == 3);
	CU_ASSERT_EQUAL(mt_port_count(&f.port, MT_PORT_tx_stranded), 2);
	do {
		took = send_frames(g, 0, 3, MT_GUESTS_BURST);
		n += took;
	} while (took == MT_GUESTS_BURST);
	CU_ASSERT_EQUAL(n, 1023);
	f.room = UINT32_MAX;
	CU_ASSERT_EQUAL(receive(g, 1, 0), MT_GUESTS_TURN);
	mt_guests_destroy(g);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(test_pools[0]->data), in_use);
}

/* Frames for a guest that has left do not reach the next one with its number. */
static void test_gone(void)
{
	uint32_t in_use = rte_mempool_in_use_count(test_pools[0]->data);
	struct mt_guests *g = mt_guests_create(2, fake_pairs);
	static struct fake f, next;

	fake_init(&f, 1);
	fake_init(&next, 1);
	CU_ASSERT_EQUAL(send_frames(g, 0, 3, 2), 2);
	CU_ASSERT_EQUAL(mt_guests_gone(g), 2);
	CU_ASSERT_EQUAL(mt_guests_attach(g, 3, &f.port), 0);
	CU_ASSERT_EQUAL(send_frames(g, 0, 3, 3), 3);
	CU_ASSERT_PTR_EQUAL(mt_guests_detach(g, 3, NULL), &f.port);
	CU_ASSERT_EQUAL(send_frames(g, 1, 3, 1), 1);
	CU_ASSERT_EQUAL(mt_guests_attach(g, 3, &next.port), 0);
	CU_ASSERT_EQUAL(send_frames(g, 0, 3, 1), 1);
	CU_ASSERT_EQUAL(receive(g, 1, 0), 4);
	CU_ASSERT(f.n_sent == 0 && next.n_sent == 1);
	CU_ASSERT_EQUAL(mt_guests_gone(g), 6);
	mt_guests_destroy(g);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(test_pools[0]->data), in_use);
}

/* ---- threads --------------------------------------------------------------------------------- */

/*
 * Frames of one thread. None is used twice, because the thread sanitizer does not see that DPDK's
 * pools hand a buffer from one thread to another.
 */
#define FRAMES	    512
#define FRAME_EVERY 32 /* turns */

struct runner {
	pthread_t thread;
	struct rte_mbuf *frames[FRAMES];
	uint32_t n_frames;
	struct mt_guests *guests;
	struct rte_rcu_qsbr *qsbr;
	uint16_t index;
	_Atomic bool end;
};

static void *run(void *arg)
{
	struct runner *r = arg;
	struct mt_guests_worker *w = mt_guests_worker(r->guests, r->index);
	uint64_t now = 0;
	uint32_t turn = 0;

	rte_rcu_qsbr_thread_register(r->qsbr, r->index);
	rte_rcu_qsbr_thread_online(r->qsbr, r->index);
	while (!atomic_load(&r->end)) {
		uint32_t taken = 0;

		now += MT_GUESTS_IDLE_NS;
		mt_guests_receive(w, now, count, &taken);
		if (turn % FRAME_EVERY == 0 && r->n_frames) {
			struct rte_mbuf *m = r->frames[--r->n_frames];

			if (mt_guests_send(w, turn / FRAME_EVERY % 8, &m, 1) == 0)
				mt_buf_free(m);
		}
		turn++;
		rte_rcu_qsbr_quiescent(r->qsbr, r->index);
	}
	rte_rcu_qsbr_thread_offline(r->qsbr, r->index);
	rte_rcu_qsbr_thread_unregister(r->qsbr, r->index);
	return NULL;
}

/* No worker uses a port after it was detached. */
static void test_detach(void)
{
	struct rte_rcu_qsbr *qsbr = aligned_alloc(64, rte_rcu_qsbr_get_memsize(2));
	struct mt_guests *g = mt_guests_create(2, fake_pairs);
	static struct runner r[2];
	static struct fake f[8];

	CU_ASSERT_EQUAL_FATAL(rte_rcu_qsbr_init(qsbr, 2), 0);
	for (uint16_t i = 0; i < 2; i++) {
		r[i] = (struct runner){.guests = g, .qsbr = qsbr, .index = i};
		while (r[i].n_frames < FRAMES && (r[i].frames[r[i].n_frames] = frame(i, 0)))
			r[i].n_frames++;
		CU_ASSERT(r[i].n_frames > 0);
		CU_ASSERT_EQUAL_FATAL(pthread_create(&r[i].thread, NULL, run, &r[i]), 0);
	}
	for (int round = 0; round < 50; round++) {
		for (uint16_t i = 0; i < MT_ARRAY_LEN(f); i++) {
			fake_init(&f[i], 3);
			CU_ASSERT_EQUAL(mt_guests_attach(g, i, &f[i].port), 0);
		}
		usleep(500);
		for (uint16_t i = 0; i < MT_ARRAY_LEN(f); i++) {
			CU_ASSERT_PTR_EQUAL(mt_guests_detach(g, i, qsbr), &f[i].port);
			atomic_store(&f[i].closed, true);
		}
		usleep(200);
		for (uint16_t i = 0; i < MT_ARRAY_LEN(f); i++)
			CU_ASSERT_EQUAL(atomic_load(&f[i].used_closed), 0);
	}
	for (uint16_t i = 0; i < 2; i++) {
		atomic_store(&r[i].end, true);
		pthread_join(r[i].thread, NULL);
		while (r[i].n_frames)
			mt_buf_free(r[i].frames[--r[i].n_frames]);
	}
	mt_guests_destroy(g);
	free(qsbr);
}

const struct mt_test guests_tests[] = {
	{"guests_table", test_table},
	{"guests_floods", test_floods},
	{"guests_idle", test_idle},
	{"guests_send", test_send},
	{"guests_full", test_full},
	{"guests_gone", test_gone},
	{"guests_detach", test_detach},
	{0},
};
