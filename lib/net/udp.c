/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP (RFC 768) for the one layer above that serves datagrams. Answers go straight back to the
 * station that sent the request, like those of ICMP, so they need neither a route nor a neighbour.
 */
#include "mt_net_priv.h"

#include <rte_udp.h>

void mt_netw_set_udp(struct mt_netw *w, mt_net_udp_fn fn, void *arg)
{
	w->udp = fn;
	w->udp_arg = arg;
}

/* Sum of the pseudo header; addresses in network byte order. */
static uint32_t pseudo(const struct mt_addr *a, const struct mt_addr *b, uint16_t len)
{
	if (mt_addr_is4(a))
		return net_sum_fold((uint64_t)mt_addr_v4(a) + mt_addr_v4(b) +
				    rte_cpu_to_be_16(IPPROTO_UDP) + rte_cpu_to_be_16(len));
	return net_pseudo6(a, b, len, IPPROTO_UDP);
}

static bool checksum_ok(const struct net_rx *rx, const struct rte_udp_hdr *udp, uint16_t len)
{
	uint64_t flag = rx->m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

	/* The sender computed no checksum, which only IPv4 allows (RFC 8200 §8.1). */
	if (udp->dgram_cksum == 0)
		return rx->is4;
	if (rx->port->caps.rx_cksum && flag == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		return true;
	if (rx->port->caps.rx_cksum && flag == RTE_MBUF_F_RX_L4_CKSUM_BAD)
		return false;
	return net_cksum(rx->m, (uint32_t)rx->l2_len + rx->l3_len, len,
		       pseudo(&rx->src, &rx->dst, len)) == 0;
}

/* The datagram's length with its header; 0: it is malformed. */
static uint16_t length(const struct net_rx *rx)
{
	const struct rte_udp_hdr *udp = rx_l4(rx);
	uint16_t len;

	if (!rx_has(rx, sizeof(*udp)))
		return 0;
	len = rte_be_to_cpu_16(udp->dgram_len);
	if (len < sizeof(*udp) || len > rx_l4_len(rx) || udp->src_port == 0 ||
		!checksum_ok(rx, udp, len))
		return 0;
	return len;
}

void net_udp_input(struct mt_netw *w, struct net_rx *rx)
{
	const struct rte_udp_hdr *udp = rx_l4(rx);
	uint32_t off = (uint32_t)rx->l2_len + rx->l3_len + (uint32_t)sizeof(*udp);
	uint16_t len = length(rx);
	uint8_t scratch[MT_NET_UDP_MAX];
	struct mt_net_from from;
	const uint8_t *data;

	if (!len) {
		net_drop(w, rx->m, MT_NET_udp_bad);
		return;
	}
	len = (uint16_t)(len - sizeof(*udp));
	from = (struct mt_net_from){rx->dst, rx->src, rte_be_to_cpu_16(udp->dst_port),
		rte_be_to_cpu_16(udp->src_port), rx->port->index, rx->peer};
	/*
	 * No datagram that is served is longer than `scratch`; for longer ones only the length is
	 * right.
	 */
	data = rte_pktmbuf_read(rx->m, off, MT_MIN(len, (uint16_t)sizeof(scratch)), scratch);
	MT_ASSERT(data);
	if (!w->udp(w->udp_arg, &from, data, len)) {
		net_unreachable(w, rx);
		return;
	}
	net_count(w, MT_NET_udp_in);
	mt_buf_free(rx->m);
}

/* ---- answers -------------------------------------------------------------------------------- */

uint16_t mt_net_udp_room(const struct mt_netw *w, const struct mt_net_from *to)
{
	uint16_t mtu = __atomic_load_n(&w->net->ports[to->port]->mtu, __ATOMIC_RELAXED);
	uint16_t headers = mt_addr_is4(&to->remote) ? 28 : 48;

	return MT_MIN((uint16_t)(mtu - headers), (uint16_t)MT_NET_UDP_MAX);
}

struct rte_mbuf *mt_net_udp_new(struct mt_netw *w, uint8_t **data)
{
	struct rte_mbuf *m = mt_buf_data(w->pools);

	if (mt_unlikely(!m)) {
		net_count(w, MT_NET_tx_no_memory);
		return NULL;
	}
	*data = rte_pktmbuf_mtod(m, uint8_t *);
	return m;
}

void mt_net_udp_send(
	struct mt_netw *w, const struct mt_net_from *to, struct rte_mbuf *m, uint16_t len)
{
	const struct net_rx rx = {.port = w->net->ports[to->port],
		.peer = to->peer,
		.is4 = mt_addr_is4(&to->remote),
		.src = to->remote,
		.dst = to->local};
	uint16_t all = (uint16_t)(len + sizeof(struct rte_udp_hdr)), sum;
	char *end = rte_pktmbuf_append(m, len);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)rte_pktmbuf_prepend(m, sizeof(*udp));

	MT_ASSERT(len <= MT_NET_UDP_MAX && end && udp);
	*udp = (struct rte_udp_hdr){.src_port = rte_cpu_to_be_16(to->lport),
		.dst_port = rte_cpu_to_be_16(to->rport),
		.dgram_len = rte_cpu_to_be_16(all)};
	sum = net_cksum(m, 0, all, pseudo(&to->local, &to->remote, all));
	udp->dgram_cksum = sum ? sum : UINT16_MAX;
	net_count(w, MT_NET_udp_out);
	net_reply_as(w, &rx, IPPROTO_UDP, m);
}
