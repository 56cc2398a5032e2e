/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transmit queues: three small arrays per port, offered to the port at the end of the loop
 * iteration, or when one is full. One holds segments of connections: a connection checks for room
 * before it builds a segment, and keeps its bytes if there is none. The second holds packets
 * without flow control (ARP, ND, ICMP, datagrams, answers without a connection, packets between a
 * port and its exception TAP), the third forwarded packets; both drop the newest when full.
 */
#include "mt_mutant.h"
#include "mt_net_priv.h"

#include <string.h>

#define TX_BURST 64
#define TX_STUCK (100 * MT_MSEC)

/* Offers a burst; false: the port took less. */
static bool offer(struct mt_netw *w, uint16_t p, struct net_lane *l)
{
	struct mt_port *port = w->net->ports[p];
	struct rte_mbuf **m = &l->m[l->done];
	uint16_t want = (uint16_t)MT_MIN(l->n - l->done, TX_BURST);
	uint16_t took = mt_traced(w->trace) ? net_trace_tx(w, port, m, want)
					    : port->ops->tx(port, w->worker, m, want);

	l->done = (uint16_t)(l->done + took);
	return took == want;
}

/* Removes what the port took; returns how many packets that were. */
static uint16_t settle(struct net_lane *l)
{
	uint16_t done = l->done;

	if (done == 0)
		return 0;
	l->done = 0;
	l->n = (uint16_t)(l->n - done);
	if (mt_mutant(MT_MUTANT_partial_burst_lost))
		l->n = 0;
	memmove(l->m, &l->m[done], l->n * sizeof(l->m[0]));
	return done;
}

/* The next queue, from q->next on, with packets that were not offered yet; NET_LANES: none. */
static uint8_t next_lane(const struct net_txq *q)
{
	uint8_t k = q->next;

	for (int i = 0; i < NET_LANES; i++) {
		if (q->lane[k].done < q->lane[k].n)
			return k;
		k = (uint8_t)(k + 1) % NET_LANES;
	}
	return NET_LANES;
}

/* Offers bursts of the queues in turn until the port takes less than it was offered. */
static void flush_port(struct mt_netw *w, uint16_t p)
{
	struct net_txq *q = &w->tx[p];
	bool took_all = true;
	uint16_t done = 0;
	uint8_t k;

	while (took_all && (k = next_lane(q)) < NET_LANES) {
		took_all = offer(w, p, &q->lane[k]);
		q->next = (uint8_t)(k + 1) % NET_LANES;
	}
	q->refused = !took_all;
	for (k = 0; k < NET_LANES; k++)
		done = (uint16_t)(done + settle(&q->lane[k]));
	if (done == 0)
		return;
	mt_count_n(w->counters, MT_NET_tx_packets, done);
	q->progress = w->now;
}

static void drop_all(struct net_lane *l)
{
	mt_buf_free_bulk(l->m, l->n);
	l->n = 0;
}

void mt_net_flush(struct mt_netw *w)
{
	for (uint16_t p = 0; p < w->net->n_ports; p++) {
		struct net_txq *q = &w->tx[p];

		if (net_txq_empty(q))
			continue;
		flush_port(w, p);
		q->refused = false; /* it may be offered again in the next loop iteration */
		if (mt_likely(net_txq_empty(q) || w->now - q->progress < TX_STUCK))
			continue;
		/* A link that comes back must not deliver outdated segments. */
		mt_count_n(w->counters, MT_NET_tx_stuck, net_txq_queued(q));
		net_txq_drop(q);
	}
}

void net_txq_drop(struct net_txq *q)
{
	for (int k = 0; k < NET_LANES; k++)
		drop_all(&q->lane[k]);
}

static uint32_t room(struct mt_netw *w, uint16_t port, enum net_lane_kind kind, uint32_t max)
{
	struct net_txq *q = &w->tx[port];

	if (mt_unlikely(q->lane[kind].n == max) && !q->refused)
		flush_port(w, port);
	return max - q->lane[kind].n;
}

uint32_t mt_net_tx_room(struct mt_netw *w, uint16_t port)
{
	return room(w, port, NET_LANE_TCP, NET_TXQ);
}

bool net_tx_other_room(struct mt_netw *w, uint16_t port)
{
	if (mt_likely(room(w, port, NET_LANE_OTHER, NET_TXQ_OTHER)))
		return true;
	net_count(w, MT_NET_tx_full);
	return false;
}

bool net_tx_forward_room(struct mt_netw *w, uint16_t port)
{
	return room(w, port, NET_LANE_FORWARD, NET_TXQ) > 0;
}

void net_tx_put(struct mt_netw *w, uint16_t port, enum net_lane_kind kind, struct rte_mbuf *m)
{
	struct net_txq *q = &w->tx[port];
	struct net_lane *l = &q->lane[kind];

	MT_ASSERT(l->n < (kind == NET_LANE_OTHER ? NET_TXQ_OTHER : NET_TXQ));
	if (net_txq_empty(q))
		q->progress = w->now;
	l->m[l->n++] = m;
}

void net_tx(struct mt_netw *w, uint16_t port, struct rte_mbuf *m)
{
	if (mt_unlikely(!net_tx_other_room(w, port))) {
		mt_buf_free(m);
		return;
	}
	net_tx_put(w, port, NET_LANE_OTHER, m);
}
