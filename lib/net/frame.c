/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and mbufs: L2 headers, copies, trimming, and the rate limit for replies. */
#include "mt_net_priv.h"

#include <string.h>

static void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

uint8_t net_l2_write(const struct mt_netw *w, uint16_t port, const struct rte_ether_addr *to,
	uint16_t ethertype, uint8_t l2[18])
{
	uint16_t vlan = w->table->ports[port].vlan;

	memcpy(l2, to, RTE_ETHER_ADDR_LEN);
	memcpy(l2 + 6, &w->net->ports[port]->mac, RTE_ETHER_ADDR_LEN);
	if (!vlan) {
		put_be16(l2 + 12, ethertype);
		return 14;
	}
	put_be16(l2 + 12, RTE_ETHER_TYPE_VLAN);
	put_be16(l2 + 14, vlan);
	put_be16(l2 + 16, ethertype);
	return 18;
}

struct rte_mbuf *net_frame(struct mt_netw *w, uint16_t port, const struct rte_ether_addr *to,
	uint16_t ethertype, uint16_t len, void **payload)
{
	struct rte_mbuf *m = mt_buf_ctrl(w->pools);
	uint8_t l2[18];
	uint8_t l2len = net_l2_write(w, port, to, ethertype, l2);
	char *p;

	if (mt_unlikely(!m)) {
		net_count(w, MT_NET_tx_no_memory);
		return NULL;
	}
	p = rte_pktmbuf_append(m, (uint16_t)(l2len + len));
	MT_ASSERT(p);
	memcpy(p, l2, l2len);
	*payload = p + l2len;
	memset(*payload, 0, len);
	return m;
}

/* From this size on a clone costs less than a copy (lib/buf, transmitted payloads). */
#define CLONE_MIN 512

static bool all_ours(const struct rte_mbuf *m)
{
	for (; m; m = m->next)
		if (rte_mbuf_refcnt_read(m) != 1)
			return false;
	return true;
}

/*
 * Copies a frame in one buffer with the mbuf fields that its port set; other fields do not matter
 * on receive.
 */
static struct rte_mbuf *copied(struct mt_netw *w, const struct rte_mbuf *m)
{
	struct rte_mbuf *to = mt_buf_data(w->pools);

	if (mt_unlikely(!to))
		return NULL;
	to->port = m->port;
	to->ol_flags = m->ol_flags & ~(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
	to->vlan_tci = m->vlan_tci;
	to->packet_type = m->packet_type;
	to->hash = m->hash;
	to->data_len = m->data_len;
	to->pkt_len = m->data_len;
	memcpy(rte_pktmbuf_mtod(to, void *), rte_pktmbuf_mtod(m, const void *), m->data_len);
	return to;
}

/*
 * lib/net links mbufs through a field inside them, so a buffer that its sender still references
 * (net_ring hands over the sender's own) cannot be kept. It is copied or, if it is long, cloned;
 * nothing may write to the cloned bytes. Packets with scattered headers are copied, too.
 *
 * The new mbufs come from the data pool, because payload may wait for long and the data pool's
 * marks handle shortage. The control pool must stay free for ACKs and resets.
 */
struct rte_mbuf *net_own(struct mt_netw *w, struct rte_mbuf *m, bool shared, uint32_t need)
{
	struct rte_mbuf *copy;

	if (mt_likely(m->data_len >= MT_MIN(need, m->pkt_len) && (!shared || all_ours(m))))
		return m;
	if (m->pkt_len >= CLONE_MIN && m->data_len >= need)
		copy = rte_pktmbuf_clone(m, w->pools->data);
	else if (mt_likely(m->nb_segs == 1 && m->data_len < CLONE_MIN))
		copy = copied(w, m);
	else
		copy = rte_pktmbuf_copy(m, w->pools->data, 0, UINT32_MAX);
	if (mt_unlikely(!copy)) {
		net_drop(w, m, MT_NET_rx_no_memory);
		return NULL;
	}
	net_count(w, RTE_MBUF_DIRECT(copy) ? MT_NET_rx_copied : MT_NET_rx_cloned);
	mt_buf_free(m);
	return copy;
}

void net_trim(struct rte_mbuf *m, uint32_t len)
{
	struct rte_mbuf *last = m;
	uint32_t left = len;
	uint16_t segs = 1;

	if (mt_likely(m->pkt_len == len))
		return;
	while (left > last->data_len && last->next) {
		left -= last->data_len;
		last = last->next;
		segs++;
	}
	mt_buf_free(last->next);
	last->next = NULL;
	last->data_len = (uint16_t)left;
	m->nb_segs = segs;
	m->pkt_len = len;
}

bool net_limited(struct net_limit *l, uint64_t now)
{
	uint64_t gone = now - l->last;
	uint64_t fresh = MT_MIN(gone, 10 * MT_SEC) * l->per_sec / MT_SEC;

	if (fresh > 0) {
		l->tokens = (uint32_t)MT_MIN(l->tokens + fresh, (uint64_t)l->burst);
		/* The remainder of a token counts towards the next one. */
		l->last = gone > 10 * MT_SEC ? now : l->last + fresh * MT_SEC / l->per_sec;
	}
	if (l->tokens == 0)
		return true;
	l->tokens--;
	return false;
}
