/* SPDX-License-Identifier: Apache-2.0 */
/* Links between Meltemi and the stub peers: rings of mbuf pointers, or memif devices. */
#include "bench_wire.h"

#include "mt_port_boot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ip.h>
#include <rte_ring.h>
#include <rte_tcp.h>

#define RING_SIZE 4096

const char *const bench_link_names[] = {"ring", "memif", NULL};

/* One queue of an end; `inner` is the ethdev port of a memif link. Used by one thread. */
struct queue {
	struct rte_ring *rx, *tx;
	struct mt_port *inner;
	uint64_t cycles;
} mt_cache_aligned;

/* An end of a link: Meltemi's with all queues, or a peer's with one. */
struct end {
	struct mt_port port; /* first: the port that callers get */
	const struct mt_steer *rss;
	struct queue q[];
};

static uint16_t ring_rx(struct mt_port *p, uint16_t q, struct rte_mbuf **m, uint16_t n)
{
	struct queue *e = &((struct end *)p)->q[q];
	uint64_t t0 = rte_rdtsc();
	uint16_t got = (uint16_t)rte_ring_sc_dequeue_burst(e->rx, (void **)m, n, NULL);

	e->cycles += rte_rdtsc() - t0;
	return got;
}

/* Sets the hash that a device with RSS leaves in the descriptor. */
static void hash_frame(const struct mt_steer *s, struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(eth + 1);
	const struct rte_tcp_hdr *tcp = (const struct rte_tcp_hdr *)(ip + 1);
	struct mt_tuple t;

	if (eth->ether_type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) ||
		ip->next_proto_id != IPPROTO_TCP)
		return;
	t = (struct mt_tuple){.local = mt_addr4(ip->dst_addr),
		.remote = mt_addr4(ip->src_addr),
		.lport = rte_be_to_cpu_16(tcp->dst_port),
		.rport = rte_be_to_cpu_16(tcp->src_port)};
	m->hash.rss = mt_steer_hash(s, &t);
	m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
}

static uint16_t ring_tx(struct mt_port *p, uint16_t q, struct rte_mbuf **m, uint16_t n)
{
	struct end *end = (struct end *)p;
	struct queue *e = &end->q[p->n_txq > 1 ? q : 0];
	uint64_t t0;
	uint16_t put;

	if (end->rss)
		for (uint16_t i = 0; i < n; i++)
			hash_frame(end->rss, m[i]);
	t0 = rte_rdtsc();
	put = (uint16_t)rte_ring_sp_enqueue_burst(e->tx, (void *const *)m, n, NULL);
	e->cycles += rte_rdtsc() - t0;
	return put;
}

static uint16_t memif_rx(struct mt_port *p, uint16_t q, struct rte_mbuf **m, uint16_t n)
{
	struct queue *e = &((struct end *)p)->q[q];
	uint64_t t0 = rte_rdtsc();
	uint16_t got = e->inner->ops->rx(e->inner, 0, m, n);

	e->cycles += rte_rdtsc() - t0;
	return got;
}

static uint16_t memif_tx(struct mt_port *p, uint16_t q, struct rte_mbuf **m, uint16_t n)
{
	struct queue *e = &((struct end *)p)->q[p->n_txq > 1 ? q : 0];
	uint64_t t0 = rte_rdtsc();
	uint16_t put = e->inner->ops->tx(e->inner, 0, m, n);

	e->cycles += rte_rdtsc() - t0;
	return put;
}

static const struct mt_port_ops ring_ops = {ring_rx, ring_tx};
static const struct mt_port_ops memif_ops = {memif_rx, memif_tx};

static struct mt_port *end_new(
	const struct bench_wire_conf *c, int side, uint16_t index, uint16_t queues)
{
	size_t size = sizeof(struct end) + queues * sizeof(struct queue);
	struct end *e = aligned_alloc(MT_CACHE_LINE, (size + MT_CACHE_LINE - 1) & ~(size_t)63);

	MT_ASSERT(e);
	memset(e, 0, size);
	snprintf(e->port.name, sizeof(e->port.name), "%s%d", c->name, side);
	e->port.ops = &ring_ops;
	e->port.index = side == 0 ? index : 0;
	e->port.mtu = c->mtu;
	e->port.n_rxq = e->port.n_txq = queues;
	e->port.mac.addr_bytes[0] = 2;
	e->port.mac.addr_bytes[4] = (uint8_t)index;
	e->port.mac.addr_bytes[5] = (uint8_t)(side + 1);
	e->port.caps.tx_chains = true;
	e->port.caps.rx_shared = true;
	e->port.caps.max_frame = (uint16_t)(c->mtu + 14);
	e->port.link_up = true;
	return &e->port;
}

static struct queue *queue_of(struct mt_port *p, uint16_t q)
{
	return &((struct end *)p)->q[q];
}

static int open_rings(struct bench_wire *w, const char *name, uint16_t lane, struct mt_err *err)
{
	struct queue *e[2] = {queue_of(w->meltemi, lane), queue_of(w->peers[lane], 0)};
	char ring[32];

	for (int i = 0; i < 2; i++) {
		snprintf(ring, sizeof(ring), "%s%u_%u_%d", name, w->meltemi->index, lane, i);
		e[i]->tx = rte_ring_create(
			ring, RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (!e[i]->tx)
			return mt_err(err, -ENOMEM, "no memory for a ring");
		e[1 - i]->rx = e[i]->tx;
	}
	return 0;
}

static int open_memif(struct bench_wire *w, const char *name, uint16_t lane, struct mt_err *err)
{
	uint16_t index = w->meltemi->index, id = (uint16_t)(index * MT_WORKERS_MAX + lane);
	struct queue *e[2] = {queue_of(w->meltemi, lane), queue_of(w->peers[lane], 0)};
	char device[160];

	for (int i = 0; i < 2; i++) {
		struct mt_port_conf c = {.name = name, .device = device, .mtu = w->meltemi->mtu};
		int rc;

		/* The server first: a client that starts before it never connects. */
		snprintf(device, sizeof(device),
			"net_memif%u,role=%s,id=%u,mac=02:00:00:00:%02x:%02x,socket-abstract=yes,"
			"socket=meltemi-bench-%d-%u",
			2u * id + (uint32_t)i, i == 0 ? "server" : "client", id, index, i + 1,
			getpid(), id);
		rc = mt_port_open(&c, i == 0 ? index : 0, 1, &e[i]->inner, err);
		if (rc)
			return rc;
	}
	w->meltemi->ops = w->peers[lane]->ops = &memif_ops;
	return 0;
}

uint16_t bench_wire_room(uint16_t mtu)
{
	uint32_t room = RTE_ALIGN_CEIL(RTE_PKTMBUF_HEADROOM + mtu + 18u, 64u);

	return (uint16_t)MT_MAX(room, (uint32_t)MT_BUF_DATA_ROOM);
}

int bench_wire_open(struct bench_wire *w, const struct bench_wire_conf *c, struct mt_err *e)
{
	uint16_t n = c->queues;

	memset(w, 0, sizeof(*w));
	w->meltemi = end_new(c, 0, c->index, n);
	w->meltemi->caps.rss = n > 1 && c->link == BENCH_RING;
	for (uint16_t lane = 0; lane < n; lane++) {
		int rc;

		w->peers[lane] = end_new(c, 1, c->index, 1);
		if (w->meltemi->caps.rss)
			((struct end *)w->peers[lane])->rss = c->steer;
		rc = c->link == BENCH_RING ? open_rings(w, c->name, lane, e)
					   : open_memif(w, c->name, lane, e);
		if (rc)
			return rc;
	}
	return 0;
}

static int start_memif(struct mt_port *p, uint16_t q, struct mt_pools *pools, struct mt_err *err)
{
	struct mt_port *inner = queue_of(p, q)->inner;
	int rc;

	if (!inner)
		return 0;
	rc = mt_port_start(inner, &pools, NULL, err);
	p->mac = inner->mac;
	p->caps = inner->caps;
	p->mtu = inner->mtu;
	return rc;
}

int bench_wire_start(struct bench_wire *w, struct mt_pools *const *meltemi,
	struct mt_pools *const *peers, struct mt_err *err)
{
	for (uint16_t i = 0; i < w->meltemi->n_rxq; i++) {
		int rc = start_memif(w->meltemi, i, meltemi[i], err);

		if (rc == 0)
			rc = start_memif(w->peers[i], 0, peers[i], err);
		if (rc)
			return rc;
	}
	return 0;
}

static bool queue_up(struct mt_port *p, uint16_t q, uint64_t now)
{
	struct mt_port *inner = queue_of(p, q)->inner;

	if (!inner)
		return true;
	mt_port_watch(inner, now, NULL, NULL);
	return inner->link_up;
}

bool bench_wire_up(struct bench_wire *w, uint64_t now)
{
	bool up = true;

	for (uint16_t i = 0; i < w->meltemi->n_rxq; i++) {
		up &= queue_up(w->meltemi, i, now);
		up &= queue_up(w->peers[i], 0, now);
	}
	return up;
}

uint64_t bench_wire_io_cycles(const struct bench_wire *w, uint16_t queue)
{
	return queue_of(w->meltemi, queue)->cycles;
}

uint64_t bench_wire_peer_cycles(const struct bench_wire *w, uint16_t queue)
{
	return queue_of(w->peers[queue], 0)->cycles;
}

/*
 * The other end handles a close on DPDK's interrupt thread, which cleans up without a lock. So that
 * must be finished before this thread closes that end, too.
 */
static void await_hang_up(struct mt_port *inner)
{
	for (int i = 0; inner->link_up && i < 100; i++) {
		usleep(10000);
		mt_port_watch(inner, 0, NULL, NULL);
	}
	usleep(10000);
}

void bench_wire_close(struct bench_wire *w)
{
	for (uint16_t i = 0; i < w->meltemi->n_rxq; i++) {
		struct mt_port *other = queue_of(w->peers[i], 0)->inner;

		rte_ring_free(queue_of(w->meltemi, i)->tx);
		rte_ring_free(queue_of(w->peers[i], 0)->tx);
		mt_port_close(queue_of(w->meltemi, i)->inner);
		if (other)
			await_hang_up(other);
		mt_port_close(other);
		free(w->peers[i]);
	}
	free(w->meltemi);
}
