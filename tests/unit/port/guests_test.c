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

static const struct mt_port_ops fake_ops = {.rx = fake_rx};

static void fake_init(struct fake *f, uint16_t pairs)
{
	memset(f, 0, sizeof(*f));
	f->port.ops = &fake_ops;
	f->port.n_rxq = pairs;
}

static void count(void *arg, struct mt_port *p, struct rte_mbuf **pkts, uint16_t n)
{
	(void)p;
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
	struct mt_guests *g = mt_guests_create(2);
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
	struct mt_guests *g = mt_guests_create(1);
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
	struct mt_guests *g = mt_guests_create(1);
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

/* ---- threads --------------------------------------------------------------------------------- */

struct runner {
	pthread_t thread;
	struct mt_guests *guests;
	struct rte_rcu_qsbr *qsbr;
	uint16_t index;
	_Atomic bool end;
};

static void *run(void *arg)
{
	struct runner *r = arg;
	uint64_t now = 0;

	rte_rcu_qsbr_thread_register(r->qsbr, r->index);
	rte_rcu_qsbr_thread_online(r->qsbr, r->index);
	while (!atomic_load(&r->end)) {
		uint32_t taken = 0;

		now += MT_GUESTS_IDLE_NS;
		mt_guests_receive(mt_guests_worker(r->guests, r->index), now, count, &taken);
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
	struct mt_guests *g = mt_guests_create(2);
	struct runner r[2];
	static struct fake f[8];

	CU_ASSERT_EQUAL_FATAL(rte_rcu_qsbr_init(qsbr, 2), 0);
	for (uint16_t i = 0; i < 2; i++) {
		r[i] = (struct runner){.guests = g, .qsbr = qsbr, .index = i};
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
	}
	mt_guests_destroy(g);
	free(qsbr);
}

const struct mt_test guests_tests[] = {
	{"guests_table", test_table},
	{"guests_floods", test_floods},
	{"guests_idle", test_idle},
	{"guests_detach", test_detach},
	{0},
};
