/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP echo requests of the node, and the replies to them (RFC 792, RFC 4443 §4). */
#include "mt_net_priv.h"

#include <string.h>

#include <rte_icmp.h>

#define ECHO6_REQUEST 128

static struct rte_mbuf *build(
	struct mt_netw *w, const struct mt_net_echo *e, const struct mt_addr *local)
{
	bool is4 = mt_addr_is4(&e->remote);
	struct rte_mbuf *m = mt_buf_ctrl(w->pools);
	struct rte_icmp_hdr *icmp;

	if (mt_unlikely(!m)) {
		net_count(w, MT_NET_tx_no_memory);
		return NULL;
	}
	icmp = (struct rte_icmp_hdr *)rte_pktmbuf_append(m, sizeof(*icmp) + MT_NET_ECHO_DATA);
	MT_ASSERT(icmp);
	*icmp = (struct rte_icmp_hdr){.icmp_type = is4 ? RTE_IP_ICMP_ECHO_REQUEST : ECHO6_REQUEST,
		.icmp_ident = rte_cpu_to_be_16(e->ident),
		.icmp_seq_nb = rte_cpu_to_be_16(e->seq)};
	memcpy(icmp + 1, e->data, MT_NET_ECHO_DATA);
	icmp->icmp_cksum = net_cksum(m, 0, m->pkt_len,
		is4 ? 0 : net_pseudo6(local, &e->remote, m->pkt_len, IPPROTO_ICMPV6));
	return m;
}

/* True if the host, or the router towards it, did not answer: the node itself lacks nothing. */
static bool is_silent(enum mt_net_result rc, const struct mt_net_dst *dst)
{
	return rc == MT_NET_NO_ROUTE && dst->mtu && dst->neigh != NET_NEIGH_NONE;
}

enum mt_net_result mt_net_ping(struct mt_netw *w, const struct mt_net_echo *e, uint64_t rnd)
{
	struct net_rx rx = {.is4 = mt_addr_is4(&e->remote), .src = e->remote};
	struct mt_net_dst dst = {0};
	enum mt_net_result rc;
	struct rte_mbuf *m;

	if (!mt_net_source_addr(w, &e->remote, rnd, &rx.dst))
		return MT_NET_NO_ROUTE;
	rc = mt_net_route(w, &rx.dst, &e->remote, &dst);
	if (is_silent(rc, &dst))
		return MT_NET_WAIT;
	if (rc != MT_NET_SENT)
		return rc;
	m = build(w, e, &rx.dst);
	if (!m)
		return MT_NET_NO_MEMORY;
	net_count(w, MT_NET_icmp_echo_out);
	/* An unused neighbour is removed, and a later request would wait for it again. */
	atomic_store_explicit(&w->used[dst.neigh], 1, memory_order_relaxed);
	net_reply_by(w, &rx, rx.is4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, m, &dst);
	return MT_NET_SENT;
}

void net_echo_reply(struct mt_netw *w, struct net_rx *rx)
{
	const struct rte_icmp_hdr *icmp = rx_l4(rx);
	struct mt_net_echo e;

	if (!w->events || !w->events->echo || rx_l4_len(rx) != sizeof(*icmp) + MT_NET_ECHO_DATA ||
		!rx_has(rx, sizeof(*icmp) + MT_NET_ECHO_DATA)) {
		net_drop(w, rx->m, MT_NET_icmp_ignored);
		return;
	}
	e = (struct mt_net_echo){.remote = rx->src,
		.ident = rte_be_to_cpu_16(icmp->icmp_ident),
		.seq = rte_be_to_cpu_16(icmp->icmp_seq_nb)};
	memcpy(e.data, icmp + 1, MT_NET_ECHO_DATA);
	net_count(w, MT_NET_icmp_echo_in);
	w->events->echo(w->events_arg, &e);
	mt_buf_free(rx->m);
}
