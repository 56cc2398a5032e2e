/* SPDX-License-Identifier: Apache-2.0 */
/* The port of all guests: which guest gets a frame, and changes of the table while workers send. */
#include "mt_port_guest_hub.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_rcu_qsbr.h>

#include "suites.h"

#define NUMBERS 8
#define COUNTS	3

/* The port of a guest, which counts its frames. */
struct hub_guest {
	struct mt_port port; /* first */
	struct mt_port_worker workers[2];
	uint32_t room;
	_Atomic uint32_t got;
};

struct hub_rig {
	struct mt_guests *guests;
	struct mt_guest_hub *hub;
	struct hub_guest g[NUMBERS];
};

static uint16_t guest_rx(struct mt_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return 0;
}

static uint16_t guest_tx(struct mt_port *p, uint16_t worker, struct rte_mbuf **pkts, uint16_t n)
{
	struct hub_guest *g = mt_container_of(p, struct hub_guest, port);

	n = (uint16_t)MT_MIN(n, g->room);
	g->room -= n;
	atomic_fetch_add(&g->got, n);
	mt_buf_free_bulk(pkts, n);
	return n;
}

static uint16_t one_pair(const struct mt_port *p)
{
	return 1;
}

static const struct mt_port_ops guest_ops = {.rx = guest_rx, .tx = guest_tx};

/* With one worker, which so owns all queues. */
static void begin(struct hub_rig *r)
{
	struct mt_guest_hub_conf c = {.index = 3,
		.mtu = 1500,
		.n_workers = 1,
		.n_counters = COUNTS,
		.mac = {{2, 0, 0, 0, 0, 1}}};

	memset(r, 0, sizeof(*r));
	r->guests = mt_guests_create(1, one_pair);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->guests);
	c.guests = r->guests;
	r->hub = mt_guest_hub_create(&c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->hub);
	for (uint16_t i = 0; i < NUMBERS; i++) {
		r->g[i].port = (struct mt_port){
			.ops = &guest_ops, .n_rxq = 1, .n_workers = 2, .workers = r->g[i].workers};
		r->g[i].room = UINT32_MAX;
		CU_ASSERT_EQUAL(mt_guests_attach(r->guests, i, &r->g[i].port), 0);
	}
}

static void end(struct hub_rig *r)
{
	mt_guest_hub_destroy(r->hub);
	mt_guest_hub_destroy(NULL);
	mt_guests_destroy(r->guests);
}

/* Guest `mark` has the Ethernet address 52:..:mark, and addresses 10.9.0.mark and fd00::mark. */
static struct mt_guest_station station(
	const char *name, uint16_t number, uint8_t mark, struct mt_addr addresses[2])
{
	addresses[0] = mt_addr4(rte_cpu_to_be_32(0x0a090000u | mark));
	addresses[1] = (struct mt_addr){.b = {0xfd, [15] = mark}};
	return (struct mt_guest_station){.name = name,
		.number = number,
		.mac = {0x52, 0, 0, 0, 0, mark},
		.addresses = addresses,
		.n_addresses = 2};
}

/* A frame with the first bytes as given, and `len` in total. */
static struct rte_mbuf *frame(const uint8_t *head, uint16_t n, uint16_t len)
{
	struct rte_mbuf *m = mt_buf_data(test_pools[0]);
	uint8_t *p;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	p = (uint8_t *)rte_pktmbuf_append(m, len);
	memset(p, 0, len);
	memcpy(p, head, MT_MIN(n, len));
	return m;
}

static struct rte_mbuf *to_mac(uint8_t mark)
{
	const uint8_t head[14] = {0x52, 0, 0, 0, 0, mark, [12] = 8, 0};

	return frame(head, sizeof(head), 60);
}

static struct rte_mbuf *arp(uint8_t op, uint8_t mark, uint16_t len)
{
	const uint8_t head[42] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, [12] = 8, 6, [21] = op, [38] = 10, 9, 0, mark};

	return frame(head, sizeof(head), len);
}

static struct rte_mbuf *solicit(uint8_t type, uint8_t mark, uint16_t len)
{
	const uint8_t head[78] = {0x33, 0x33, 0xff, 0, 0, mark, [12] = 0x86, 0xdd,
		0x60, [20] = 58, [54] = type, [62] = 0xfd, [77] = mark};

	return frame(head, sizeof(head), len);
}

static void send_one(const struct hub_rig *r, struct rte_mbuf *m)
{
	struct mt_port *p = mt_guest_hub_port(r->hub);

	CU_ASSERT_EQUAL(p->ops->tx(p, 0, &m, 1), 1);
}

static bool counts_are(const struct hub_rig *r, uint64_t unknown, uint64_t refused)
{
	struct mt_guest_hub_counts c;

	mt_guest_hub_counts(r->hub, &c);
	return c.unknown == unknown && c.refused == refused;
}

static void test_port(void)
{
	static struct hub_rig r;
	struct rte_mbuf *pkts[1];
	struct mt_port *p;

	begin(&r);
	p = mt_guest_hub_port(r.hub);
	CU_ASSERT_STRING_EQUAL(p->name, "guests");
	CU_ASSERT(p->index == 3 && p->mtu == 1500 && p->n_rxq == 0 && p->link_up);
	CU_ASSERT(p->mac.addr_bytes[0] == 2 && p->mac.addr_bytes[5] == 1);
	CU_ASSERT(p->caps.max_frame >= 1514 && !p->caps.rss && !p->caps.tx_cksum_tcp);
	CU_ASSERT_EQUAL(p->ops->rx(p, 0, pkts, 1), 0);
	CU_ASSERT_EQUAL(p->ops->tx(p, 0, pkts, 0), 0);
	end(&r);
}

static void test_receivers(void)
{
	uint32_t in_use = rte_mempool_in_use_count(test_pools[0]->data);
	struct mt_guest_station v[2];
	struct mt_addr a[2], b[2];
	static struct hub_rig r;

	begin(&r);
	v[0] = station("a/a", 5, 1, a);
	v[1] = station("a/b", 2, 2, b);
	send_one(&r, to_mac(1));
	CU_ASSERT(counts_are(&r, 1, 0));
	CU_ASSERT_EQUAL(mt_guest_hub_set(r.hub, v, 2, NULL), 0);
	send_one(&r, to_mac(1));
	CU_ASSERT_EQUAL(r.g[5].got, 1);
	send_one(&r, to_mac(2));
	send_one(&r, arp(1, 2, 60));
	send_one(&r, arp(1, 2, 42));
	send_one(&r, solicit(135, 2, 78));
	CU_ASSERT(r.g[5].got == 1 && r.g[2].got == 4);
	CU_ASSERT(counts_are(&r, 1, 0));
	/* others' addresses, other kinds of group frames, and frames that are cut */
	send_one(&r, to_mac(3));
	send_one(&r, arp(1, 3, 60));
	send_one(&r, arp(2, 2, 60));
	send_one(&r, solicit(135, 3, 78));
	send_one(&r, solicit(136, 2, 78));
	send_one(&r, arp(1, 2, 41));
	send_one(&r, solicit(135, 2, 77));
	send_one(&r, frame((const uint8_t *)"\x52\0\0\0\0\2", 6, 13));
	CU_ASSERT(r.g[5].got == 1 && r.g[2].got == 4);
	CU_ASSERT(counts_are(&r, 9, 0));
	end(&r);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(test_pools[0]->data), in_use);
}

/* A burst for several guests. What one does not take holds up no other. */
static void test_burst(void)
{
	uint32_t in_use = rte_mempool_in_use_count(test_pools[0]->data);
	static const uint8_t marks[] = {1, 1, 2, 3, 1, 1, 2, 2};
	struct rte_mbuf *pkts[MT_ARRAY_LEN(marks)];
	struct mt_guest_station v[2];
	struct mt_addr a[2], b[2];
	static struct hub_rig r;
	struct mt_port *p;

	begin(&r);
	p = mt_guest_hub_port(r.hub);
	v[0] = station("a/a", 0, 1, a);
	v[1] = station("a/b", 1, 2, b);
	CU_ASSERT_EQUAL(mt_guest_hub_set(r.hub, v, 2, NULL), 0);
	r.g[0].room = 3;
	for (uint16_t i = 0; i < MT_ARRAY_LEN(marks); i++)
		pkts[i] = to_mac(marks[i]);
	CU_ASSERT_EQUAL(p->ops->tx(p, 0, pkts, MT_ARRAY_LEN(marks)), MT_ARRAY_LEN(marks));
	CU_ASSERT(r.g[0].got == 3 && r.g[1].got == 3);
	CU_ASSERT(counts_are(&r, 1, 1));
	end(&r);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(test_pools[0]->data), in_use);
}

/* A number that another guest gets, and one whose guest changes. */
static void test_change(void)
{
	struct mt_guest_station v[2];
	const struct mt_guest_station *s;
	struct mt_addr a[2], b[2];
	static struct hub_rig r;

	begin(&r);
	CU_ASSERT_PTR_NULL(mt_guest_hub_find(r.hub, 4));
	v[0] = station("a/a", 4, 1, a);
	v[1] = station("a/b", 5, 2, b);
	CU_ASSERT_EQUAL(mt_guest_hub_set(r.hub, v, 2, NULL), 0);
	mt_count_n(mt_guest_hub_counters(r.hub, 0, 4), COUNTS - 1, 7);
	mt_count_n(mt_guest_hub_counters(r.hub, 0, 5), 0, 9);
	CU_ASSERT_EQUAL(mt_guest_hub_count(r.hub, 4, COUNTS - 1), 7);
	CU_ASSERT_EQUAL(mt_guest_hub_count(r.hub, 5, 0), 9);
	v[0] = station("a/c", 4, 3, a);
	v[1].mac[5] = 4;
	CU_ASSERT_EQUAL(mt_guest_hub_set(r.hub, v, 2, NULL), 0);
	s = mt_guest_hub_find(r.hub, 4);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(strcmp(s->name, "a/c") == 0 && s->name != v[0].name);
	CU_ASSERT(s->n_addresses == 2 && s->addresses != a && mt_addr_eq(&s->addresses[1], &a[1]));
	CU_ASSERT_EQUAL(mt_guest_hub_count(r.hub, 4, COUNTS - 1), 0);
	CU_ASSERT_EQUAL(mt_guest_hub_count(r.hub, 5, 0), 9);
	send_one(&r, to_mac(1));
	send_one(&r, to_mac(2));
	CU_ASSERT(counts_are(&r, 2, 0));
	send_one(&r, to_mac(3));
	send_one(&r, to_mac(4));
	CU_ASSERT(r.g[4].got == 1 && r.g[5].got == 1);
	CU_ASSERT_EQUAL(mt_guest_hub_set(r.hub, NULL, 0, NULL), 0);
	CU_ASSERT_PTR_NULL(mt_guest_hub_find(r.hub, 4));
	end(&r);
}

/* ---- threads --------------------------------------------------------------------------------- */

struct sender {
	pthread_t thread;
	struct hub_rig *rig;
	struct rte_rcu_qsbr *qsbr;
	_Atomic bool end, failed;
};

/* CUnit is for one thread. */
static void send_all(struct sender *s)
{
	struct mt_port *p = mt_guest_hub_port(s->rig->hub);

	for (uint8_t i = 1; i <= 4; i++) {
		const uint8_t head[14] = {0x52, 0, 0, 0, 0, i, [12] = 8, 0};
		struct rte_mbuf *m = mt_buf_data(test_pools[0]);

		if (!m)
			continue;
		memcpy(rte_pktmbuf_append(m, sizeof(head)), head, sizeof(head));
		if (p->ops->tx(p, 0, &m, 1) != 1)
			atomic_store(&s->failed, true);
	}
}

static void *run(void *arg)
{
	struct sender *s = arg;

	rte_rcu_qsbr_thread_register(s->qsbr, 0);
	rte_rcu_qsbr_thread_online(s->qsbr, 0);
	while (!atomic_load(&s->end)) {
		const struct mt_guest_station *g = mt_guest_hub_find(s->rig->hub, 1);

		if (g && g->addresses[0].b[15] != g->mac[5])
			atomic_store(&s->failed, true);
		send_all(s);
		rte_rcu_qsbr_quiescent(s->qsbr, 0);
	}
	rte_rcu_qsbr_thread_offline(s->qsbr, 0);
	rte_rcu_qsbr_thread_unregister(s->qsbr, 0);
	return NULL;
}

/* The table changes while a worker sends; a sanitizer finds uses of the freed one. */
static void test_threads(void)
{
	struct rte_rcu_qsbr *qsbr = aligned_alloc(64, rte_rcu_qsbr_get_memsize(1));
	static struct hub_rig r;
	struct mt_addr a[2], b[2];
	struct sender s = {.rig = &r, .qsbr = qsbr};

	begin(&r);
	CU_ASSERT_EQUAL_FATAL(rte_rcu_qsbr_init(qsbr, 1), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&s.thread, NULL, run, &s), 0);
	for (int round = 0; round < 200; round++) {
		struct mt_guest_station v[2] = {station("a/a", 1, (uint8_t)(1 + round % 2), a),
			station("a/b", 2, (uint8_t)(3 + round % 2), b)};

		CU_ASSERT_EQUAL(mt_guest_hub_set(r.hub, v, 2, qsbr), 0);
		usleep(100);
	}
	atomic_store(&s.end, true);
	pthread_join(s.thread, NULL);
	CU_ASSERT(!s.failed && r.g[1].got > 0 && r.g[2].got > 0);
	end(&r);
	free(qsbr);
}

const struct mt_test guest_hub_tests[] = {
	{"guest_hub_port", test_port},
	{"guest_hub_receivers", test_receivers},
	{"guest_hub_burst", test_burst},
	{"guest_hub_change", test_change},
	{"guest_hub_threads", test_threads},
	{0},
};
