/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adapts packets that a device cannot send as they are: short frames, and chains if it lacks them.
 */
#include "mt_port_priv.h"

#include <string.h>

static struct rte_mbuf *drop(uint64_t *counters, struct rte_mbuf *m, enum mt_port_outcome why)
{
	mt_count(counters, why);
	mt_buf_free(m);
	return NULL;
}

/* Copies the packet into one new mbuf; frees m. */
static struct rte_mbuf *linear(struct mt_pools *pools, uint64_t *counters, struct rte_mbuf *m)
{
	struct rte_mbuf *c = mt_buf_data(pools);
	uint32_t len = m->pkt_len;

	if (!c)
		return drop(counters, m, MT_PORT_tx_no_memory);
	if (len > rte_pktmbuf_tailroom(c)) {
		mt_buf_free(c);
		return drop(counters, m, MT_PORT_tx_too_long);
	}
	uint8_t *at = (uint8_t *)rte_pktmbuf_append(c, (uint16_t)len);
	for (struct rte_mbuf *s = m; s; s = s->next) {
		memcpy(at, rte_pktmbuf_mtod(s, void *), s->data_len);
		at += s->data_len;
	}
	c->ol_flags = m->ol_flags & ~(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
	c->tx_offload = m->tx_offload;
	c->vlan_tci = m->vlan_tci;
	mt_buf_free(m);
	return c;
}

static struct rte_mbuf *pad(
	struct mt_pools *pools, uint64_t *counters, struct rte_mbuf *m, uint16_t want)
{
	uint16_t more = (uint16_t)(want - m->pkt_len);

	if (m->nb_segs > 1 || !mt_buf_writable(m) || rte_pktmbuf_tailroom(m) < more) {
		m = linear(pools, counters, m);
		if (!m)
			return NULL;
	}
	memset(rte_pktmbuf_append(m, more), 0, more);
	mt_count(counters, MT_PORT_tx_padded);
	return m;
}

struct rte_mbuf *mt_port_fit(
	struct mt_port *p, struct mt_pools *pools, uint64_t *counters, struct rte_mbuf *m)
{
	if (m->pkt_len > p->caps.max_frame)
		return drop(counters, m, MT_PORT_tx_too_long);
	if (m->nb_segs > 1 && !p->caps.tx_chains) {
		m = linear(pools, counters, m);
		if (!m)
			return NULL;
		mt_count(counters, MT_PORT_tx_linearised);
	}
	if (m->pkt_len < p->caps.tx_min_len)
		m = pad(pools, counters, m, p->caps.tx_min_len);
	return m;
}
