/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fragments of IPv4 packets (RFC 791 §3.2). DPDK's function that copies is used, because its
 * fragments are single mbufs without another owner, which each port can send.
 */
#include "mt_forward_packet.h"

#include <errno.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_ip_frag.h>
#include <rte_mbuf.h>

#define UNIT 8 /* payloads of all but the last fragment are a multiple */

int mt_fwd_split(struct rte_mbuf *m, uint16_t mtu, struct rte_mempool *pool,
	struct rte_mbuf *out[MT_FWD_FRAGMENTS_MAX])
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
	uint32_t room = (uint32_t)rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
	uint32_t head, piece;
	int n;

	if (m->data_len < sizeof(*ip) || m->data_len < rte_ipv4_hdr_len(ip) ||
		rte_ipv4_hdr_len(ip) < sizeof(*ip))
		return -EINVAL;
	head = rte_ipv4_hdr_len(ip);
	/* Smaller fragments than the link allows, if mbufs are smaller. */
	mtu = (uint16_t)MT_MIN(mtu, room);
	if (mtu < RTE_ETHER_MIN_MTU || mtu < head + UNIT || m->pkt_len <= head)
		return -EINVAL;
	piece = (mtu - head) / UNIT * UNIT;
	if ((m->pkt_len - head + piece - 1) / piece > MT_FWD_FRAGMENTS_MAX)
		return -EINVAL;
	n = rte_ipv4_fragment_copy_nonseg_packet(m, out, MT_FWD_FRAGMENTS_MAX, mtu, pool);
	for (int i = 0; i < n; i++) {
		ip = rte_pktmbuf_mtod(out[i], struct rte_ipv4_hdr *);
		ip->hdr_checksum = 0;
		ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, rte_ipv4_hdr_len(ip));
		out[i]->ol_flags = 0;
	}
	return n;
}
