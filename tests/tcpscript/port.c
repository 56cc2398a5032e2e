/* SPDX-License-Identifier: Apache-2.0 */
/* The port: frames of the stack's are checked and kept, frames of the peer's wait for a turn. */
#include "frame.h"
#include "stack_priv.h"

#include <rte_mbuf.h>
#include <string.h>

static bool payload_ok(struct sc_flow *f, const struct sc_seg *s, const uint8_t *payload)
{
	uint32_t pos = s->seq - f->iss - 1;

	for (uint32_t i = 0; i < s->len; i++)
		if (payload[i] != sc_pattern_ours(pos + i) || pos + i >= f->written)
			return false;
	return true;
}

static void sent(struct sc_stack *st, const uint8_t *f, uint32_t len)
{
	const uint8_t *payload;
	uint8_t answer[128];
	uint16_t lport;
	struct sc_flow *flow;
	const char *why;
	struct sc_seg s;
	uint32_t n;
	int rc = sc_frame_parse(f, len, &s, &lport, &payload, &why);

	if (rc < 0) {
		sc_fail(st->run, "a frame left that must not: %s", why);
		return;
	}
	if (rc == 0) {
		n = st->deaf ? 0 : sc_frame_neighbour(f, len, answer);
		if (n)
			sc_queue_frame(st->run, answer, n);
		return;
	}
	s.at = st->now;
	flow = sc_flow(st->run, s.port);
	flow->lport = lport;
	if (s.flags & SC_SYN && !flow->iss_known) {
		flow->iss = s.seq;
		flow->iss_known = true;
	}
	s.payload_ok = payload_ok(flow, &s, payload);
	sc_log(st->run, &s);
}

static uint16_t port_tx(struct mt_port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct sc_stack *st = (struct sc_stack *)port;
	uint8_t flat[SC_FRAME_MAX];

	for (uint16_t i = 0; i < n; i++) {
		uint32_t len = pkts[i]->pkt_len;
		const void *p =
			len <= sizeof(flat) ? rte_pktmbuf_read(pkts[i], 0, len, flat) : NULL;

		if (!p)
			sc_fail(st->run, "a frame of %u bytes in broken buffers left", len);
		else if (len > port->caps.max_frame)
			sc_fail(st->run, "a frame of %u bytes left, the MTU is %u", len, port->mtu);
		else
			sent(st, p, len);
		rte_pktmbuf_free(pkts[i]);
	}
	return n;
}

static uint16_t port_rx(struct mt_port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct sc_stack *st = (struct sc_stack *)port;
	uint16_t got = 0;

	while (got < n && st->rx_n) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(sc_pools.data);
		uint32_t len = st->rx_len[st->rx_head];

		if (!m || len > rte_pktmbuf_tailroom(m)) {
			sc_fail(st->run, "no buffer for a frame of %u bytes", len);
			rte_pktmbuf_free(m);
		} else {
			memcpy(rte_pktmbuf_append(m, (uint16_t)len), st->rx[st->rx_head], len);
			pkts[got++] = m;
		}
		st->rx_head = (st->rx_head + 1) % SC_RX_QUEUE;
		st->rx_n--;
	}
	return got;
}

void sc_queue_frame(struct sc_run *r, const uint8_t *f, uint32_t len)
{
	struct sc_stack *st = r->st;
	uint32_t at = (st->rx_head + st->rx_n) % SC_RX_QUEUE;

	if (st->rx_n == SC_RX_QUEUE) {
		sc_fail(r, "more than %u frames in one burst", SC_RX_QUEUE);
		return;
	}
	memcpy(st->rx[at], f, len);
	st->rx_len[at] = len;
	st->rx_n++;
}

const struct mt_port_ops sc_port_ops = {.rx = port_rx, .tx = port_tx};
