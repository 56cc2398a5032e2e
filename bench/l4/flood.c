/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floods of TCP segments, each from another client, after the table's places for new flows or all
 * ports of nat-full are in use.
 */
#include "bench_l4.h"

#include <string.h>

#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>

static void write_segment(struct bench_l4 *b, struct rte_mbuf *m, uint32_t i)
{
	uint32_t net = b->flood == FLOOD_DENIED ? BENCH_DENIED : 0x0a000000;
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(ip + 1);

	m->data_len = sizeof(*eth) + sizeof(*ip) + sizeof(*tcp);
	m->pkt_len = m->data_len;
	memcpy(&eth->dst_addr, &b->port.mac, sizeof(eth->dst_addr));
	memcpy(&eth->src_addr, BENCH_SENDER, sizeof(eth->src_addr));
	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	*ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(40),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_TCP,
		.src_addr = rte_cpu_to_be_32(net + i % 0xffffff),
		.dst_addr = BENCH_VIP};
	*tcp = (struct rte_tcp_hdr){.src_port = rte_cpu_to_be_16((uint16_t)(1024 + i % 60000)),
		.dst_port = rte_cpu_to_be_16(VIP_PORT),
		.sent_seq = i,
		.data_off = 5 << 4,
		.tcp_flags = b->flood == FLOOD_SEGMENT ? RTE_TCP_ACK_FLAG : RTE_TCP_SYN_FLAG};
	m->port = 0;
	m->l2_len = sizeof(*eth);
	m->l3_len = sizeof(*ip);
	m->packet_type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4_EXT_UNKNOWN | MT_NET_PTYPE_SEGMENT;
}

/* Of this, callgrind counts instructions (flood_cost.py). */
void measured_flood(struct bench_l4 *b, struct rte_mbuf **pkts);

mt_noinline void measured_flood(struct bench_l4 *b, struct rte_mbuf **pkts)
{
	bench_forward(b, pkts, BURST);
	mt_l4_tick(b->l4);
}

void bench_flood(struct bench_l4 *b, uint32_t bursts)
{
	/* Places for flows without a reply are a quarter of the table. */
	uint32_t fill = b->flows / BURST + 1, at = 1;

	for (uint32_t i = 0; i < fill + bursts; i++) {
		struct rte_mbuf *pkts[BURST];

		for (int k = 0; k < BURST; k++) {
			pkts[k] = mt_buf_data(&b->pools);
			write_segment(b, pkts[k], at++);
		}
		bench_begin(b, 10 * MT_USEC);
		if (i >= fill) {
			measured_flood(b, pkts);
			continue;
		}
		bench_forward(b, pkts, BURST);
		mt_l4_tick(b->l4);
	}
}
