/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three workers on three threads while tables are swapped: whatever a worker reads of a neighbour
 * belongs to that neighbour (its Ethernet address is made of its IP address). Also what a run under a
 * thread sanitizer looks at.
 */
#include "fixture.h"
#include "test_net.h"

#include <pthread.h>
#include <stdatomic.h>

#define STEPS	   20000
#define NEIGHBOURS 1500

static struct fx f;
static _Atomic uint64_t now;
static _Atomic uint32_t resolved, wrong, turns[FX_WORKERS];

struct part {
	uint16_t worker;
	struct mt_pools pools;
};

static struct mt_addr pick(struct mt_rand *r)
{
	uint32_t n = mt_rand_below(r, NEIGHBOURS);
	struct mt_addr a = mt_addr4(0);

	a.b[12] = 10;
	a.b[14] = (uint8_t)(n >> 8);
	a.b[15] = (uint8_t)n;
	return a;
}

/* The neighbour speaks: seen by whichever worker. */
static void sight(struct part *p, struct mt_rand *r)
{
	uint8_t mac[6] = {2, 0x55, 10, 0, 0, 0};
	struct mt_addr a = pick(r);
	struct fx_pkt frame = {0};
	struct rte_mbuf *m;

	mac[4] = a.b[14];
	mac[5] = a.b[15];
	fx_arp(&frame, 2, mac, "10.0.0.0", "10.255.0.1", fx_our_mac[0]);
	memcpy(frame.b + 28, a.b + 12, 4);
	m = rte_pktmbuf_alloc(p->pools.data);
	if (!m)
		return;
	memcpy(rte_pktmbuf_append(m, frame.len), frame.b, frame.len);
	mt_net_input(f.w[p->worker], &f.port[0].p, &m, 1, &m);
}

static void look(struct part *p, struct mt_rand *r)
{
	struct mt_net_dst dst = {0};
	struct mt_addr a = pick(r);

	if (mt_net_route(f.w[p->worker], NULL, &a, &dst) != MT_NET_SENT)
		return;
	atomic_fetch_add(&resolved, 1);
	if (dst.l2[1] != 0x55 || dst.l2[4] != a.b[14] || dst.l2[5] != a.b[15])
		atomic_fetch_add(&wrong, 1);
}

static void *worker(void *arg)
{
	struct part *p = arg;
	struct mt_rand r;

	mt_rand_seed(&r, p->worker);
	for (uint32_t i = 0; i < STEPS; i++) {
		/* Entries must live and die many times: a step of the owner is 20 ms. */
		if (p->worker == 0)
			atomic_fetch_add(&now, 20 * MT_MSEC);
		mt_net_begin(f.w[p->worker], atomic_load(&now));
		look(p, &r);
		sight(p, &r);
		mt_net_tick(f.w[p->worker]);
		mt_net_flush(f.w[p->worker]);
		atomic_store_explicit(&turns[p->worker], i + 1, memory_order_release);
	}
	return NULL;
}

/* Waits until every worker began another turn after this call. */
static void quiesce(void)
{
	for (uint16_t i = 0; i < FX_WORKERS; i++) {
		uint32_t seen = atomic_load_explicit(&turns[i], memory_order_acquire);

		while (seen < STEPS &&
			atomic_load_explicit(&turns[i], memory_order_acquire) < seen + 2 &&
			atomic_load_explicit(&turns[i], memory_order_acquire) < STEPS)
			sched_yield();
	}
}

static void threads(void)
{
	const struct mt_net_addr_conf wide = {fx_addr("10.255.0.1"), 8, 0};
	const struct mt_net_conf conf = {.addrs = &wide, .n_addrs = 1};
	struct mt_addr vip = fx_addr("10.255.0.80");
	static const char *const names[FX_WORKERS] = {"t0", "t1", "t2"};
	static struct part parts[FX_WORKERS];
	pthread_t ids[FX_WORKERS];
	struct mt_err e;

	fx_open(&f, FX_WORKERS);
	for (uint16_t i = 0; i < FX_WORKERS; i++) {
		mt_netw_destroy(f.w[i]);
		parts[i].worker = i;
		CU_ASSERT_EQUAL_FATAL(mt_pools_init(&parts[i].pools, names[i], 63, 511,
					      MT_BUF_DATA_ROOM, SOCKET_ID_ANY),
			0);
		f.w[i] = mt_netw_create(f.net, i, &parts[i].pools, NULL, NULL, i);
	}
	CU_ASSERT_EQUAL(mt_net_configure(f.net, &conf, NULL, &e), 0);
	atomic_store(&now, f.now);
	for (uint16_t i = 0; i < FX_WORKERS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&ids[i], NULL, worker, &parts[i]), 0);
	for (int i = 0; i < 50; i++) {
		struct mt_net_old *table, *vips;

		CU_ASSERT_EQUAL(mt_net_configure(f.net, &conf, &table, &e), 0);
		CU_ASSERT_EQUAL(mt_net_set_vips(f.net, &vip, (uint32_t)i % 2, &vips), 0);
		quiesce();
		mt_net_old_free(table);
		mt_net_old_free(vips);
	}
	for (uint16_t i = 0; i < FX_WORKERS; i++)
		pthread_join(ids[i], NULL);
	CU_ASSERT_EQUAL(atomic_load(&wrong), 0);
	CU_ASSERT(atomic_load(&resolved) > 1000);
	/* Entries were freed and claimed again meanwhile. */
	CU_ASSERT(fx_count(&f, MT_NET_neigh_failed) > 100);
	CU_ASSERT(fx_close(&f));
	for (uint16_t i = 0; i < FX_WORKERS; i++) {
		mt_pools_sample(&parts[i].pools);
		CU_ASSERT_EQUAL(parts[i].pools.data_free, 63);
		CU_ASSERT_EQUAL(parts[i].pools.ctrl_free, 511);
		mt_pools_fini(&parts[i].pools);
	}
}

const struct mt_test net_threads_tests[] = {
	{"threads", threads},
	{0},
};
