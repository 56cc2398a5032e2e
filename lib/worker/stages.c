/* SPDX-License-Identifier: Apache-2.0 */
/* The stages of a loop iteration. */
#include "mt_worker_priv.h"

/* Passes the packets that lib/net left to lib/l4; `split`: other workers own some of them. */
static void forward(struct mt_worker *w, bool split, bool hashed)
{
	uint16_t n;
	struct rte_mbuf **pkts = mt_net_forwarded(w->net, &n);

	if (mt_likely(n == 0))
		return;
	if (split && w->workers > 1)
		n = mt_handoff_split(w, pkts, n, hashed);
	if (mt_likely(w->l4))
		mt_l4_input(w->l4, pkts, n);
	else
		mt_buf_free_bulk(pkts, n);
}

static mt_inline void input(
	struct mt_worker *w, struct mt_port *port, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t tcp = mt_net_input(w->net, port, pkts, n, pkts);

	forward(w, true, port->caps.rss_udp);
	if (tcp > 0 && w->workers > 1) {
		mt_handoff_trace(w, pkts, tcp, port->caps.rss);
		tcp = mt_handoff_split(w, pkts, tcp, port->caps.rss);
	}
	if (tcp > 0)
		mt_tcp_input(w->tcp, pkts, tcp);
}

void mt_stage_input(struct mt_worker *w, struct mt_port *port, struct rte_mbuf **pkts, uint16_t n)
{
	input(w, port, pkts, n);
}

static uint32_t receive_burst(struct mt_worker *w, const struct mt_polled *p)
{
	struct rte_mbuf *pkts[MT_WORKER_BURST];
	uint16_t n = p->port->ops->rx(p->port, p->queue, pkts, w->burst);

	if (n > 0)
		input(w, p->port, pkts, n);
	return n;
}

uint32_t mt_stage_receive(struct mt_worker *w)
{
	uint32_t work = 0;

	for (uint16_t i = 0; i < w->n_polled; i++)
		work += receive_burst(w, &w->polled[i]);
	if (mt_unlikely(w->guests))
		work += mt_guests_stage(w);
	return work;
}

uint32_t mt_stage_handed(struct mt_worker *w)
{
	struct rte_mbuf *pkts[MT_WORKER_BURST];
	uint32_t work = 0;

	if (w->workers == 1)
		return 0;
	while (work < MT_WORKER_HANDED_MAX) {
		uint16_t n = mt_steer_pop(w->steer, w->index, &w->pop_next, pkts, MT_WORKER_BURST);
		uint16_t tcp;

		if (n == 0)
			break;
		work += n;
		tcp = mt_net_input_handed(w->net, pkts, n, pkts);
		forward(w, false, false);
		if (tcp > 0)
			mt_tcp_input(w->tcp, pkts, tcp);
	}
	mt_count_n(w->stats.counters, MT_WORKER_taken_over, work);
	return work;
}

/* Processes results of handshakes. Events that follow are delivered with TCP's. */
static uint32_t tls_events(struct mt_worker *w)
{
	if (!w->tls_lane || !mt_tls_lane_rung(w->tls_lane))
		return 0;
	return mt_tls_lane_take(w->tls_lane, MT_WORKER_HANDSHAKES, mt_tls_layer_event, &w->tls);
}

uint32_t mt_stage_events(struct mt_worker *w)
{
	uint32_t work;

	mt_net_tick(w->net);
	if (w->l4)
		mt_l4_tick(w->l4);
	work = tls_events(w) + mt_tcp_timers(w->tcp, MT_WORKER_TIMERS);
	mt_tcp_deliver(w->tcp);
	work += mt_tcp_evict(w->tcp, MT_WORKER_EVICTED);
	work += mt_proxy_timers(w->proxy, MT_WORKER_TIMERS);
	work += mt_names_turn(w);
	return work;
}

uint32_t mt_stage_send(struct mt_worker *w)
{
	mt_tcp_flush(w->tcp);
	mt_net_flush(w->net);
	if (w->tls_lane)
		mt_tls_lane_flush(w->tls_lane);
	return 0;
}

/* Reports the share of free buffers to tcp and proxy, which limits how much they still accept. */
static void memory_marks(struct mt_worker *w)
{
	uint32_t pct;

	if (w->to_marks-- > 0)
		return;
	w->to_marks = MT_WORKER_MARKS_EVERY - 1;
	mt_pools_sample(w->pools);
	pct = mt_pools_free_pct(w->pools);
	if (pct == w->free_pct)
		return;
	w->free_pct = pct;
	mt_tcp_pressure(w->tcp, pct);
	mt_proxy_pressure(w->proxy, pct);
}

uint32_t mt_stage_house(struct mt_worker *w)
{
	memory_marks(w);
	return mt_mailbox_run(w);
}
