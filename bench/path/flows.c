/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many flows in the table of forwarded ports, and traffic of them, beside the exchanges that are
 * measured: their bursts pass the same worker between its loop iterations, and are not counted.
 */
#include "path.h"

#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#define BURST 32
#define TRIES 1000

static struct rte_mbuf *datagram(struct path_lane *l, uint32_t vip, uint32_t i)
{
	struct rte_mbuf *m = mt_buf_data(&l->pools[0]);
	struct rte_ether_hdr *eth = m ? (void *)rte_pktmbuf_append(m, 60) : NULL;
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	if (!eth)
		bench_die("flows: no buffers", NULL);
	memset(eth, 0, 60);
	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	*ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(46),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = rte_cpu_to_be_32(0x0b000001 + i), /* 11.0.0.1 on */
		.dst_addr = vip};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	*udp = (struct rte_udp_hdr){.src_port = rte_cpu_to_be_16(4000),
		.dst_port = rte_cpu_to_be_16(53),
		.dgram_len = rte_cpu_to_be_16(26)};
	m->port = 0;
	m->l2_len = sizeof(*eth);
	m->l3_len = sizeof(*ip);
	m->packet_type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4_EXT_UNKNOWN | RTE_PTYPE_L4_UDP;
	return m;
}

static void forward(struct path_lane *l, const uint32_t *flows, uint16_t n)
{
	struct rte_mbuf *burst[BURST];
	struct mt_addr vip;

	mt_addr_parse(l->o->forwarding == PATH_FORWARDS_HERE ? PATH_VIP : PATH_OTHER, &vip);
	for (uint16_t i = 0; i < n; i++)
		burst[i] = datagram(l, mt_addr_v4(&vip), flows[i]);
	mt_l4_input(mt_worker_l4(l->worker), burst, n);
	mt_net_flush(mt_worker_net(l->worker));
}

bool path_flows_next(struct path_lane *l)
{
	const struct mt_l4 *l4 = mt_worker_l4(l->worker);
	uint32_t flows[BURST], made = mt_l4_flows(l4);
	uint16_t n = (uint16_t)MT_MIN(l->o->flows - MT_MIN(made, l->o->flows), (uint32_t)BURST);

	if (n == 0)
		return false;
	/* Until the neighbour of the endpoint is known, packets make no flow. */
	for (uint16_t i = 0; i < n; i++)
		flows[i] = made + i;
	forward(l, flows, made ? n : 1);
	if (mt_l4_flows(l4) == made && ++l->tries > TRIES)
		bench_die("flows: the table does not take them", NULL);
	return true;
}

void path_flows_turn(struct path_lane *l)
{
	uint32_t flows[BURST];

	for (uint16_t i = 0; i < BURST; i++)
		flows[i] = mt_rand_below(&l->rand, l->o->flows);
	forward(l, flows, BURST);
}
