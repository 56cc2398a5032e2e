/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4 input (RFC 791, RFC 1122 §3.2.1). */
#include "mt_net_priv.h"

/* More fragments follow, or the offset is not 0. */
#define FRAGMENTED rte_cpu_to_be_16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)

#define OPT_END	 0
#define OPT_NOP	 1
#define OPT_LSRR 131
#define OPT_SSRR 137

/* Rejects source routes (RFC 7126 §4.3); skips other options, whose lengths must add up. */
static bool options_ok(const uint8_t *p, uint32_t len)
{
	while (len > 0 && *p != OPT_END) {
		uint32_t step = 1;

		if (*p == OPT_LSRR || *p == OPT_SSRR)
			return false;
		if (*p != OPT_NOP) {
			if (len < 2 || p[1] < 2 || p[1] > len)
				return false;
			step = p[1];
		}
		p += step;
		len -= step;
	}
	return true;
}

static bool is_multicast(uint32_t be)
{
	return (be & rte_cpu_to_be_32(0xf0000000)) == rte_cpu_to_be_32(0xe0000000);
}

/*
 * "This network", loopback, multicast and broadcast cannot be sources. Class E can: VIPs live
 * there.
 */
static bool source_ok(uint32_t be)
{
	uint8_t first = (uint8_t)(rte_be_to_cpu_32(be) >> 24);

	return first != 0 && first != 127 && !is_multicast(be) && be != UINT32_MAX;
}

/* Without options the length is a constant, which the compiler can use. */
static uint32_t header_sum(const struct rte_ipv4_hdr *ip, uint32_t hlen)
{
	return mt_likely(hlen == sizeof(*ip)) ? net_sum(ip, sizeof(*ip)) : net_sum(ip, hlen);
}

/* Checks the header; MT_NET_rx_tcp if it is valid. */
static enum mt_net_outcome check(const struct net_rx *rx, const struct rte_ipv4_hdr *ip)
{
	uint32_t got = rx->m->pkt_len - rx->l2_len;
	uint32_t here = rx->m->data_len - (uint32_t)rx->l2_len;
	uint64_t flag = rx->m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
	uint32_t hlen, total;

	if (here < sizeof(*ip) || ip->version != 4)
		return MT_NET_ip_header_bad;
	hlen = ip->ihl * 4u;
	total = rte_be_to_cpu_16(ip->total_length);
	if (hlen < sizeof(*ip) || hlen > here || total < hlen)
		return MT_NET_ip_header_bad;
	if (total > got)
		return MT_NET_truncated;
	if (rx->port->caps.rx_cksum && flag == RTE_MBUF_F_RX_IP_CKSUM_BAD)
		return MT_NET_ip_checksum_bad;
	if (!(rx->port->caps.rx_cksum && flag == RTE_MBUF_F_RX_IP_CKSUM_GOOD) &&
		header_sum(ip, hlen) != 0xffff)
		return MT_NET_ip_checksum_bad;
	if (!source_ok(ip->src_addr))
		return MT_NET_martian_source;
	if (mt_unlikely(hlen > sizeof(*ip)) &&
		!options_ok((const uint8_t *)(ip + 1), hlen - (uint32_t)sizeof(*ip)))
		return MT_NET_ip_options_refused;
	return MT_NET_rx_tcp;
}

bool net_ip4_input(struct mt_netw *w, struct net_rx *rx)
{
	const struct rte_ipv4_hdr *ip = rx_l3(rx);
	enum mt_net_outcome bad = check(rx, ip);

	if (mt_unlikely(bad != MT_NET_rx_tcp)) {
		net_drop(w, rx->m, bad);
		return false;
	}
	rx->is4 = true;
	rx->l3_len = (uint16_t)(ip->ihl * 4u);
	rx->len = rte_be_to_cpu_16(ip->total_length);
	rx->proto = ip->next_proto_id;
	rx->nh_off = 9;
	rx->ttl = ip->time_to_live;
	rx->src = mt_addr4(ip->src_addr);
	rx->dst = mt_addr4(ip->dst_addr);
	if (is_multicast(ip->dst_addr) || ip->dst_addr == UINT32_MAX || !rx->l2_unicast) {
		net_drop(w, rx->m, MT_NET_multicast_ignored);
		return false;
	}
	if (mt_unlikely(!net_to_us(w, rx))) {
		if (w->has_servers &&
			(ip->fragment_offset & FRAGMENTED ? net_gate_fragment(w, rx, false)
							  : net_gate_foreign(w, rx)))
			return false;
		net_punt(w, rx, MT_NET_not_local);
		return false;
	}
	if (mt_unlikely(net_is_ours(w, &rx->src))) {
		net_drop(w, rx->m, MT_NET_martian_source);
		return false;
	}
	if (mt_unlikely(ip->fragment_offset & FRAGMENTED)) {
		if (!net_gate_fragment(w, rx, true))
			net_drop(w, rx->m, MT_NET_ip_fragment_refused);
		return false;
	}
	if (mt_unlikely(rx->forward) && net_gate_may(w->served, rx) && net_gate(w, rx))
		return false;
	net_trim(rx->m, (uint32_t)rx->l2_len + rx->len);
	return net_l4_input(w, rx);
}
