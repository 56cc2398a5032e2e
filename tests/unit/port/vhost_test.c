/* SPDX-License-Identifier: Apache-2.0 */
/* Ports of guests, with processes of DPDK's virtio_user, which make the socket as hypervisors do. */
#include "vhost_test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_rcu_qsbr.h>

#include "../../outcomes_seen.h"
#include "suites.h"
#include "vhost_memory.h"

#define PAGE 4096u
#define MTU  1500u

void vhost_port_open(struct vhost_port *v, uint16_t pairs, struct rte_rcu_qsbr *qsbr)
{
	struct mt_vhost_conf conf = {.name = "g1",
		.socket = v->socket,
		.number = 1,
		.pairs = pairs,
		.mtu = MTU,
		.n_workers = VHOST_WORKERS,
		.pools = test_pools,
		.qsbr = qsbr};
	struct mt_err err = {0};

	strcpy(v->directory, "/tmp/unit-vhost-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(v->directory));
	snprintf(v->socket, sizeof(v->socket), "%s/vm.sock", v->directory);
	snprintf(v->runs, sizeof(v->runs), "%s/runs", v->directory);
	v->port = NULL;
	CU_ASSERT_EQUAL(mt_vhost_open(&conf, &v->port, &err), 0);
	if (!v->port)
		fprintf(stderr, "%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(v->port);
}

void vhost_port_close(struct vhost_port *v)
{
	for (uint16_t w = 0; w < VHOST_WORKERS; w++)
		outcomes_seen(&mt_port_outcomes, v->port->workers[w].counters);
	mt_vhost_close(v->port);
	unlink(v->socket);
	unlink(v->runs);
	rmdir(v->directory);
}

bool vhost_port_becomes(const struct vhost_port *v, bool up)
{
	for (int i = 0; i < 2000 && mt_vhost_is_up(v->port) != up; i++) {
		if (up && i % 10 == 0)
			mt_vhost_watch(v->port);
		usleep(10000);
	}
	return mt_vhost_is_up(v->port) == up;
}

struct mt_vhost_counts vhost_port_counts(const struct vhost_port *v)
{
	struct mt_vhost_counts c;

	mt_vhost_counts(v->port, &c);
	return c;
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* A frame in segments of at most 700 bytes. */
static struct rte_mbuf *frame(uint8_t fill, uint16_t len)
{
	struct rte_mbuf *head = NULL, **tail = &head;
	uint16_t part, segs = 0;

	for (uint16_t left = len; left > 0; left = (uint16_t)(left - part), segs++) {
		struct rte_mbuf *m = mt_buf_data(test_pools[0]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		part = MT_MIN(left, 700);
		memset(rte_pktmbuf_append(m, part), fill, part);
		*tail = m;
		tail = &m->next;
	}
	head->nb_segs = segs;
	head->pkt_len = len;
	return head;
}

static uint16_t receive(const struct vhost_port *v, struct rte_mbuf **got, uint16_t n)
{
	uint16_t have = 0;

	for (int i = 0; i < 3000 && have < n; i++, usleep(1000))
		for (uint16_t q = 0; q < v->port->n_rxq; q++)
			have = (uint16_t)(have + v->port->ops->rx(v->port, q, got + have,
							 (uint16_t)(n - have)));
	return have;
}

/* Waits, because the guest's driver may still fill its queue. */
static void transmit(const struct vhost_port *v, uint16_t worker, struct rte_mbuf *m)
{
	uint16_t sent = 0;

	for (int i = 0; i < 3000 && !sent; i++, usleep(1000))
		sent = v->port->ops->tx(v->port, worker, &m, 1);
	CU_ASSERT_EQUAL_FATAL(sent, 1);
}

/* Sends a frame of a worker. Returns the guest's queue that the frame came back from. */
static uint16_t exchange_one(const struct vhost_port *v, uint16_t worker)
{
	struct rte_mbuf *m;
	const uint8_t *p;
	uint16_t queue;

	transmit(v, worker, frame(0x22, MTU));
	CU_ASSERT_EQUAL_FATAL(receive(v, &m, 1), 1);
	p = rte_pktmbuf_mtod(m, const uint8_t *);
	CU_ASSERT(m->pkt_len == MTU && m->nb_segs == 1);
	CU_ASSERT(p[1] == 0x22 && p[MTU - 1] == 0x22);
	queue = p[0];
	rte_pktmbuf_free(m);
	return queue;
}

/*
 * Each worker sends to the pair of queues that it receives from, or to the first one if the guest
 * has less. A guest's driver enables the first pair before the others.
 */
static void exchange(const struct vhost_port *v, uint16_t pairs)
{
	for (uint16_t w = 0; w < VHOST_WORKERS; w++) {
		uint16_t pair = mt_vhost_pair(1, w, VHOST_WORKERS), queue = exchange_one(v, w);

		if (pair >= pairs)
			pair = 0;
		for (int i = 0; i < 1000 && queue != pair; i++, usleep(1000))
			queue = exchange_one(v, w);
		CU_ASSERT_EQUAL(queue, pair);
	}
	CU_ASSERT_EQUAL(mt_vhost_active(v->port), pairs);
}

/* The counters after the end of a guest; the last one is counted when no worker uses its memory. */
static struct mt_vhost_counts counts_after(const struct vhost_port *v)
{
	struct mt_vhost_counts c = vhost_port_counts(v);

	for (int i = 0; i < 1000 && c.downs != c.ups; i++, usleep(10000))
		c = vhost_port_counts(v);
	CU_ASSERT_EQUAL(c.downs, c.ups);
	return c;
}

/* ---- guests ---------------------------------------------------------------------------------- */

static void test_guest(void)
{
	struct vhost_port v;
	struct mt_vhost_counts c;
	struct rte_mbuf *m = frame(1, 60);
	pid_t guest;

	vhost_port_open(&v, 1, NULL);
	CU_ASSERT(!mt_vhost_is_up(v.port) && mt_vhost_active(v.port) == 0);
	CU_ASSERT_EQUAL(v.port->ops->tx(v.port, 0, &m, 1), 0);
	rte_pktmbuf_free(m);
	guest = guest_start(&v, 1);
	CU_ASSERT_FATAL(guest_runs(&v));
	mt_vhost_watch(v.port);
	CU_ASSERT(v.port->link_up);
	exchange(&v, 1);
	guest_end(guest, SIGTERM);
	CU_ASSERT(vhost_port_becomes(&v, false));
	CU_ASSERT_EQUAL(v.port->ops->rx(v.port, 0, &m, 1), 0);
	/* the next hypervisor at the same socket, which does not stop the driver */
	guest = guest_start(&v, 1);
	CU_ASSERT_FATAL(guest_runs(&v));
	exchange(&v, 1);
	guest_end(guest, SIGKILL);
	CU_ASSERT(vhost_port_becomes(&v, false));
	mt_vhost_watch(v.port);
	CU_ASSERT(!v.port->link_up);
	c = counts_after(&v);
	CU_ASSERT(c.ups >= 2);
	CU_ASSERT(c.truncated + c.remaps + c.memory + c.queues + c.messages == 0);
	vhost_port_close(&v);
}

/* Several pairs of queues, frames that are too long, and a port that closes while it is up. */
static void test_queues(void)
{
	struct vhost_port v;
	struct rte_mbuf *pkts[3], *got[2];
	uint64_t sent;
	pid_t guest;

	vhost_port_open(&v, 3, NULL);
	guest = guest_start(&v, 2);
	CU_ASSERT_FATAL(guest_runs(&v));
	exchange(&v, 2);
	sent = mt_port_count(v.port, MT_PORT_tx_packets);
	for (uint16_t i = 0; i < 3; i++)
		pkts[i] = frame((uint8_t)i, i == 1 ? MTU + 19 : 100);
	CU_ASSERT_EQUAL(v.port->ops->tx(v.port, 0, pkts, 3), 3);
	CU_ASSERT_EQUAL_FATAL(receive(&v, got, 2), 2);
	for (uint16_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(rte_pktmbuf_mtod(got[i], uint8_t *)[1], 2 * i);
		rte_pktmbuf_free(got[i]);
	}
	CU_ASSERT_EQUAL(mt_port_count(v.port, MT_PORT_tx_too_long), 1);
	CU_ASSERT_EQUAL(mt_port_count(v.port, MT_PORT_tx_packets), sent + 2);
	CU_ASSERT_EQUAL(mt_port_count(v.port, MT_PORT_rx_bytes), sent * MTU + 200);
	/* a pair that the guest does not have */
	CU_ASSERT_EQUAL(v.port->ops->rx(v.port, 2, got, 1), 0);
	vhost_port_close(&v);
	guest_end(guest, SIGKILL);
}

static void test_owner(void)
{
	CU_ASSERT_EQUAL(mt_vhost_owner(0, 0, 4), 0);
	CU_ASSERT_EQUAL(mt_vhost_owner(511, 7, 4), 2);
	CU_ASSERT_EQUAL(mt_vhost_owner(3, 2, 1), 0);
	/* a worker sends by a pair that it receives from */
	for (uint16_t workers = 1; workers <= 9; workers++)
		for (uint16_t w = 0; w < workers; w++)
			for (uint16_t number = 0; number < MT_VHOST_MAX; number++)
				CU_ASSERT_EQUAL(mt_vhost_owner(number,
							mt_vhost_pair(number, w, workers), workers),
					w);
}

/* ---- workers --------------------------------------------------------------------------------- */

struct worker {
	pthread_t thread;
	struct mt_port *port;
	struct rte_rcu_qsbr *qsbr;
	uint16_t index;
	_Atomic bool end;
	_Atomic uint32_t n;
};

/* Sends and receives all the time, as a worker does with a port that its table has. */
static void *work(void *arg)
{
	struct worker *w = arg;
	struct mt_port *p = w->port;
	struct rte_mbuf *pkts[8];

	rte_rcu_qsbr_thread_register(w->qsbr, w->index);
	rte_rcu_qsbr_thread_online(w->qsbr, w->index);
	while (!atomic_load(&w->end)) {
		struct rte_mbuf *m = mt_buf_data(test_pools[w->index]);
		uint16_t n = 0;

		for (uint16_t q = 0; q < p->n_rxq; q++)
			if (mt_vhost_owner(1, q, VHOST_WORKERS) == w->index)
				n = p->ops->rx(p, q, pkts, MT_ARRAY_LEN(pkts));
		rte_pktmbuf_free_bulk(pkts, n);
		atomic_fetch_add(&w->n, n);
		if (m)
			memset(rte_pktmbuf_append(m, 1000), 0x33, 1000);
		if (m && p->ops->tx(p, w->index, &m, 1) == 0)
			rte_pktmbuf_free(m);
		rte_rcu_qsbr_quiescent(w->qsbr, w->index);
		usleep(20);
	}
	rte_rcu_qsbr_thread_offline(w->qsbr, w->index);
	rte_rcu_qsbr_thread_unregister(w->qsbr, w->index);
	return NULL;
}

static void workers_start(struct worker *w, struct mt_port *p, struct rte_rcu_qsbr *qsbr)
{
	for (uint16_t i = 0; i < VHOST_WORKERS; i++) {
		w[i] = (struct worker){.port = p, .qsbr = qsbr, .index = i};
		CU_ASSERT_EQUAL_FATAL(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	}
}

static void workers_end(struct worker *w)
{
	for (uint16_t i = 0; i < VHOST_WORKERS; i++) {
		atomic_store(&w[i].end, true);
		pthread_join(w[i].thread, NULL);
	}
}

static bool frames_flow(struct worker *w)
{
	uint32_t from[VHOST_WORKERS];
	bool flow = false;

	for (uint16_t i = 0; i < VHOST_WORKERS; i++)
		from[i] = atomic_load(&w[i].n);
	for (int t = 0; t < 1000 && !flow; t++, usleep(10000)) {
		flow = true;
		for (uint16_t i = 0; i < VHOST_WORKERS; i++)
			flow &= atomic_load(&w[i].n) - from[i] > 50;
	}
	return flow;
}

/* Guests come, go and die while workers use the port. */
static void test_workers(void)
{
	struct rte_rcu_qsbr *qsbr = aligned_alloc(64, rte_rcu_qsbr_get_memsize(VHOST_WORKERS));
	struct worker w[VHOST_WORKERS];
	struct vhost_port v;
	struct mt_vhost_counts c;

	CU_ASSERT_EQUAL_FATAL(rte_rcu_qsbr_init(qsbr, VHOST_WORKERS), 0);
	vhost_port_open(&v, 2, qsbr);
	workers_start(w, v.port, qsbr);
	for (int i = 0; i < 4; i++) {
		pid_t guest = guest_start(&v, 2);

		CU_ASSERT_FATAL(guest_runs(&v));
		CU_ASSERT(frames_flow(w));
		guest_end(guest, i % 2 ? SIGKILL : SIGTERM);
		CU_ASSERT(vhost_port_becomes(&v, false));
	}
	c = counts_after(&v);
	CU_ASSERT(c.ups >= 4 && c.truncated == 0);
	workers_end(w);
	vhost_port_close(&v);
	free(qsbr);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* The memory of a guest vanishes under the workers; the next guest works. */
static void test_truncated(void)
{
	struct rte_rcu_qsbr *qsbr = aligned_alloc(64, rte_rcu_qsbr_get_memsize(VHOST_WORKERS));
	struct worker w[VHOST_WORKERS];
	struct vhost_port v;
	pid_t guest;

	CU_ASSERT_EQUAL_FATAL(rte_rcu_qsbr_init(qsbr, VHOST_WORKERS), 0);
	vhost_port_open(&v, 2, qsbr);
	guest = guest_start(&v, 2);
	CU_ASSERT_FATAL(guest_runs(&v));
	workers_start(w, v.port, qsbr);
	CU_ASSERT(frames_flow(w));
	kill(guest, SIGSTOP);
	guest_truncate(guest);
	CU_ASSERT(vhost_port_becomes(&v, false));
	CU_ASSERT(vhost_port_counts(&v).truncated >= 1);
	mt_vhost_watch(v.port); /* the guest's process is stopped, and answers nothing */
	CU_ASSERT(!v.port->link_up);
	guest_end(guest, SIGKILL);
	guest = guest_start(&v, 2);
	CU_ASSERT_FATAL(guest_runs(&v));
	CU_ASSERT(frames_flow(w));
	workers_end(w);
	vhost_port_close(&v);
	guest_end(guest, SIGKILL);
	free(qsbr);
}

static void *volatile reported; /* written in the handler */

static void missing(void *owner)
{
	reported = owner;
}

static volatile uint8_t *truncated(void)
{
	int fd = memfd_create("unit", MFD_CLOEXEC);
	void *p;

	CU_ASSERT_EQUAL_FATAL(ftruncate(fd, 2 * PAGE), 0);
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_FATAL(p != MAP_FAILED);
	memset(p, 0x77, 2 * PAGE);
	CU_ASSERT_EQUAL_FATAL(ftruncate(fd, 0), 0);
	close(fd);
	return p;
}

/* Runs in a process of its own, because the handler stays. Returns its status. */
static int in_child(void (*run)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGBUS, SIG_DFL);
		run();
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	return status;
}

static void guarded(void)
{
	int owner;
	volatile uint8_t *p = truncated();

	if (mt_vhost_memory_guard(missing))
		_exit(1);
	mt_vhost_inside = &owner;
	if (p[PAGE + 5] != 0 || reported != &owner)
		_exit(2);
	reported = NULL;
	p[PAGE + 3] = 1;
	if (p[PAGE + 3] != 1 || reported)
		_exit(3);
	p[0] = 1; /* the other page */
	if (p[0] != 1 || reported != &owner)
		_exit(4);
}

/* Without an owner, the effect is that of before. */
static void unguarded(void)
{
	volatile uint8_t *p = truncated();

	if (mt_vhost_memory_guard(missing))
		_exit(1);
	_exit(p[0] ? 2 : 3);
}

/* A signal that a process sent is not of an access. */
static void sent(void)
{
	int owner;

	if (mt_vhost_memory_guard(missing))
		_exit(1);
	mt_vhost_inside = &owner;
	raise(SIGBUS);
	raise(SIGBUS);
	_exit(2);
}

static void test_memory(void)
{
	int status = in_child(guarded);

	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	status = in_child(unguarded);
	CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	status = in_child(sent);
	CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

const struct mt_test vhost_tests[] = {
	{"vhost_memory", test_memory},
	{"vhost_owner", test_owner},
	{"vhost_guest", test_guest},
	{"vhost_queues", test_queues},
	{"vhost_workers", test_workers},
	{"vhost_truncated", test_truncated},
	{0},
};
