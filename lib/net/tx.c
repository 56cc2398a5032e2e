/* SPDX-License-Identifier: Apache-2.0 */
/* Transmit queues: one small array per port, offered to the port at the end of the turn. */
#include "mt_mutant.h"
#include "mt_net_priv.h"

#include <string.h>

#define TX_BURST 64
#define TX_STUCK (100 * MT_MSEC)

/* Offers the queue in bursts until the port takes less than it was given. */
static void flush_port(struct mt_netw *w, uint16_t p)
{
	struct mt_port *port = w->net->ports[p];
	struct net_txq *q = &w->tx[p];
	uint16_t done = 0;

	while (done < q->n) {
		bool one = mt_traced(w->trace);
		uint16_t want = (uint16_t)MT_MIN(q->n - done, one ? 1 : TX_BURST);
		uint16_t took = one ? net_trace_tx(w, port, q->m[done])
				    : port->ops->tx(port, w->worker, &q->m[done], want);

		done = (uint16_t)(done + took);
		if (took < want)
			break;
	}
	if (done == 0)
		return;
	mt_count_n(w->counters, MT_NET_tx_packets, done);
	q->progress = w->now;
	q->n = (uint16_t)(q->n - done);
	if (mt_mutant(MT_MUTANT_partial_burst_lost))
		q->n = 0;
	memmove(q->m, &q->m[done], q->n * sizeof(q->m[0]));
}

void mt_net_flush(struct mt_netw *w)
{
	for (uint16_t p = 0; p < w->net->n_ports; p++) {
		struct net_txq *q = &w->tx[p];

		if (q->n == 0)
			continue;
		flush_port(w, p);
		if (mt_likely(q->n == 0 || w->now - q->progress < TX_STUCK))
			continue;
		/* A dead link must not deliver yesterday's segments when it comes back. */
		mt_count_n(w->counters, MT_NET_tx_stuck, q->n);
		mt_buf_free_bulk(q->m, q->n);
		q->n = 0;
	}
}

bool net_tx_room(struct mt_netw *w, uint16_t port)
{
	struct net_txq *q = &w->tx[port];

	if (mt_unlikely(q->n == NET_TXQ))
		flush_port(w, port);
	return q->n < NET_TXQ;
}

void net_tx_put(struct mt_netw *w, uint16_t port, struct rte_mbuf *m)
{
	struct net_txq *q = &w->tx[port];

	if (q->n == 0)
		q->progress = w->now;
	q->m[q->n++] = m;
}

void net_tx(struct mt_netw *w, uint16_t port, struct rte_mbuf *m)
{
	if (mt_unlikely(!net_tx_room(w, port))) {
		net_drop(w, m, MT_NET_tx_full);
		return;
	}
	net_tx_put(w, port, m);
}
