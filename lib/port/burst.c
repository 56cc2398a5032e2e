/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bursts of an ethdev port: corrects the driver's deficiencies that its profile lists, and passes
 * all else through.
 */
#include "mt_port_priv.h"

#include <rte_ethdev.h>

/* ---- receive ------------------------------------------------------------------------------ */

/*
 * Drivers that read from the kernel truncate frames longer than their buffers. A frame longer than
 * the MTU of the start is invalid on this link: it was truncated already, or the next port would do
 * so.
 */
static uint16_t drop_superframes(
	struct mt_port *p, uint64_t *counters, struct rte_mbuf **pkts, uint16_t n)
{
	uint32_t longest = mt_ethdev(p)->mtu + 18u;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (mt_likely(pkts[i]->pkt_len <= longest)) {
			pkts[kept++] = pkts[i];
			continue;
		}
		mt_count(counters, MT_PORT_rx_superframe);
		mt_buf_free(pkts[i]);
	}
	return kept;
}

/* Sends packets that workers without a transmit queue put on this one's ring. */
static void send_forwarded(struct mt_ethdev *d, uint16_t txq)
{
	struct rte_mbuf *pkts[MT_PORT_FORWARD_BURST];
	unsigned int n =
		rte_ring_sc_dequeue_burst(d->forward[txq], (void **)pkts, MT_ARRAY_LEN(pkts), NULL);
	uint16_t sent;

	if (n == 0)
		return;
	sent = rte_eth_tx_burst(d->port.dpdk_id, txq, pkts, (uint16_t)n);
	if (sent < n) {
		mt_count_n(d->port.workers[txq].counters, MT_PORT_tx_stranded, n - sent);
		mt_buf_free_bulk(pkts + sent, n - sent);
	}
}

static uint16_t rx(struct mt_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct mt_ethdev *d = mt_ethdev(p);
	uint16_t worker = queue % p->n_workers;
	uint64_t *counters = p->workers[worker].counters;

	if (mt_unlikely(!__atomic_load_n(&d->polling, __ATOMIC_ACQUIRE)))
		return 0;
	if (mt_unlikely(queue < p->n_workers && d->forward[queue]))
		send_forwarded(d, queue);
	n = rte_eth_rx_burst(p->dpdk_id, queue, pkts, n);
	if (n == 0)
		return 0;
	mt_count_n(counters, MT_PORT_rx_packets, n);
	mt_count_n(counters, MT_PORT_rx_bytes, mt_port_bytes(pkts, n));
	return p->caps.rx_superframes ? drop_superframes(p, counters, pkts, n) : n;
}

/* ---- transmit ----------------------------------------------------------------------------- */

/*
 * Adapts all packets to the device. Dropped ones are removed and count as sent for the caller: the
 * kept ones move to the end of the array. Returns how many were dropped.
 */
static uint16_t fit_all(struct mt_port *p, uint16_t worker, struct rte_mbuf **pkts, uint16_t n)
{
	struct mt_ethdev *d = mt_ethdev(p);
	uint16_t gone = 0;

	for (uint16_t i = n; i-- > 0;) {
		struct rte_mbuf *m = pkts[i];

		if (mt_unlikely(mt_port_unfit(p, m)))
			m = mt_port_fit(p, d->pools[worker], p->workers[worker].counters, m);
		if (mt_likely(m))
			pkts[i + gone] = m;
		else
			gone++;
	}
	return gone;
}

static uint16_t transmit(struct mt_ethdev *d, uint16_t worker, struct rte_mbuf **pkts, uint16_t n,
	uint64_t *counters)
{
	struct mt_port *p = &d->port;
	uint16_t txqs = MT_MIN(p->n_txq, p->n_rxq);

	if (mt_likely(worker < txqs))
		return rte_eth_tx_burst(p->dpdk_id, worker, pkts, n);
	n = (uint16_t)rte_ring_mp_enqueue_burst(d->forward[worker % txqs], (void **)pkts, n, NULL);
	mt_count_n(counters, MT_PORT_tx_forwarded, n);
	return n;
}

static uint16_t tx(struct mt_port *p, uint16_t worker, struct rte_mbuf **pkts, uint16_t n)
{
	struct mt_ethdev *d = mt_ethdev(p);
	uint64_t *counters = p->workers[worker].counters;
	uint64_t bytes;
	uint16_t gone, sent;

	if (mt_unlikely(!__atomic_load_n(&d->polling, __ATOMIC_ACQUIRE)))
		return 0;
	gone = fit_all(p, worker, pkts, n);
	pkts += gone;
	n -= gone;
	bytes = mt_port_bytes(pkts, n);
	sent = transmit(d, worker, pkts, n, counters);
	if (mt_unlikely(sent < n)) {
		mt_count_n(counters, MT_PORT_tx_full, n - sent);
		bytes -= mt_port_bytes(pkts + sent, n - sent);
	}
	mt_count_n(counters, MT_PORT_tx_packets, sent);
	mt_count_n(counters, MT_PORT_tx_bytes, bytes);
	return gone + sent;
}

const struct mt_port_ops mt_ethdev_ops = {.rx = rx, .tx = tx};
