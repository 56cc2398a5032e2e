/* SPDX-License-Identifier: Apache-2.0 */
/* Links between Meltemi and the stub peers: rings of mbuf pointers, or two memif devices. */
#include "path.h"

#include "mt_port_boot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ring.h>

#define RING_SIZE 4096

/* An end of a wire; `inner` is the ethdev port of a memif link. */
struct end {
	struct mt_port port; /* first: the port that is handed out */
	struct rte_ring *rx, *tx;
	struct mt_port *inner;
	uint64_t *cycles;
};

static uint16_t ring_rx(struct mt_port *p, uint16_t q, struct rte_mbuf **m, uint16_t n)
{
	struct end *e = (struct end *)p;
	uint64_t t0 = rte_rdtsc();
	uint16_t got = (uint16_t)rte_ring_sc_dequeue_burst(e->rx, (void **)m, n, NULL);

	*e->cycles += rte_rdtsc() - t0;
	return got;
}

static uint16_t ring_tx(struct mt_port *p, uint16_t q, struct rte_mbuf **m, uint16_t n)
{
	struct end *e = (struct end *)p;
	uint64_t t0 = rte_rdtsc();
	uint16_t put = (uint16_t)rte_ring_sp_enqueue_burst(e->tx, (void *const *)m, n, NULL);

	*e->cycles += rte_rdtsc() - t0;
	return put;
}

static uint16_t memif_rx(struct mt_port *p, uint16_t q, struct rte_mbuf **m, uint16_t n)
{
	struct end *e = (struct end *)p;
	uint64_t t0 = rte_rdtsc();
	uint16_t got = e->inner->ops->rx(e->inner, q, m, n);

	*e->cycles += rte_rdtsc() - t0;
	return got;
}

static uint16_t memif_tx(struct mt_port *p, uint16_t q, struct rte_mbuf **m, uint16_t n)
{
	struct end *e = (struct end *)p;
	uint64_t t0 = rte_rdtsc();
	uint16_t put = e->inner->ops->tx(e->inner, q, m, n);

	*e->cycles += rte_rdtsc() - t0;
	return put;
}

static const struct mt_port_ops ring_ops = {ring_rx, ring_tx};
static const struct mt_port_ops memif_ops = {memif_rx, memif_tx};

static struct end *end_new(struct bench_wire *w, int i, const char *name, uint16_t index)
{
	static uint64_t nobody; /* what the peers' ends cost is not of interest */
	struct end *e = calloc(1, sizeof(*e));

	MT_ASSERT(e);
	snprintf(e->port.name, sizeof(e->port.name), "%s%d", name, i);
	e->port.ops = &ring_ops;
	e->port.index = i == 0 ? index : 0;
	e->port.mtu = 1500;
	e->port.n_rxq = e->port.n_txq = 1;
	e->port.mac.addr_bytes[0] = 2;
	e->port.mac.addr_bytes[4] = (uint8_t)index;
	e->port.mac.addr_bytes[5] = (uint8_t)(i + 1);
	e->port.caps.tx_chains = true;
	e->port.caps.rx_shared = true;
	e->port.caps.max_frame = 1514;
	e->port.link_up = true;
	e->cycles = i == 0 ? &w->io_cycles : &nobody;
	w->ends[i] = &e->port;
	return e;
}

static int open_ring(struct bench_wire *w, const char *name, uint16_t index, struct mt_err *err)
{
	struct end *e[2] = {end_new(w, 0, name, index), end_new(w, 1, name, index)};
	char ring[32];

	for (int i = 0; i < 2; i++) {
		snprintf(ring, sizeof(ring), "%s_%d", name, i);
		e[i]->tx = rte_ring_create(
			ring, RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (!e[i]->tx)
			return mt_err(err, -ENOMEM, "no memory for a ring");
		e[1 - i]->rx = e[i]->tx;
	}
	return 0;
}

static int open_memif(struct bench_wire *w, const char *name, uint16_t index, struct mt_err *err)
{
	char device[160];

	for (int i = 0; i < 2; i++) {
		struct mt_port_conf c = {.name = name, .device = device};
		struct end *e = end_new(w, i, name, index);
		int rc;

		/* The server first: a client that starts before it never connects. */
		snprintf(device, sizeof(device),
			"net_memif%u,role=%s,id=%u,mac=02:00:00:00:%02x:%02x,socket-abstract=yes,"
			"socket=meltemi-bench-%d-%u",
			2u * index + (uint32_t)i, i == 0 ? "server" : "client", index, index, i + 1,
			getpid(), index);
		rc = mt_port_open(&c, e->port.index, 1, &e->inner, err);
		if (rc)
			return rc;
		e->port.ops = &memif_ops;
	}
	return 0;
}

int bench_wire_open(struct bench_wire *w, enum bench_link link, const char *name, uint16_t index,
	struct mt_err *e)
{
	memset(w, 0, sizeof(*w));
	return link == BENCH_RING ? open_ring(w, name, index, e) : open_memif(w, name, index, e);
}

int bench_wire_start(
	struct bench_wire *w, struct mt_pools *meltemi, struct mt_pools *peer, struct mt_err *err)
{
	for (int i = 0; i < 2; i++) {
		struct end *e = (struct end *)w->ends[i];
		struct mt_pools *pools = i == 0 ? meltemi : peer;
		int rc;

		if (!e->inner)
			continue;
		rc = mt_port_start(e->inner, &pools, NULL, err);
		if (rc)
			return rc;
		e->port.mac = e->inner->mac;
		e->port.caps = e->inner->caps;
		e->port.mtu = e->inner->mtu;
	}
	return 0;
}

bool bench_wire_up(struct bench_wire *w, uint64_t now)
{
	bool up = true;

	for (int i = 0; i < 2; i++) {
		struct end *e = (struct end *)w->ends[i];

		if (!e->inner)
			continue;
		mt_port_watch(e->inner, now, NULL, NULL);
		up &= e->inner->link_up;
	}
	return up;
}

/*
 * The other end learns of a close on DPDK's interrupt thread, which tidies up without a lock: it must
 * have done so before this thread closes that end, too.
 */
static void await_hang_up(struct end *other)
{
	for (int i = 0; other && other->inner && other->inner->link_up && i < 100; i++) {
		usleep(10000);
		mt_port_watch(other->inner, 0, NULL, NULL);
	}
	usleep(10000);
}

void bench_wire_close(struct bench_wire *w)
{
	for (int i = 0; i < 2; i++) {
		struct end *e = (struct end *)w->ends[i];

		if (!e)
			continue;
		mt_port_close(e->inner);
		if (e->inner && i == 0)
			await_hang_up((struct end *)w->ends[1]);
		free(e);
	}
}
