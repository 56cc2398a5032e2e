/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of flows, written without lib/net and lib/l4. */
#include "bench_l4.h"

#include <string.h>

#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

static const uint16_t imix[] = {64, 64, 64, 64, 64, 64, 64, 594, 594, 594, 594, 1514};

uint32_t bench_client(uint32_t i)
{
	return rte_cpu_to_be_32(0x0a000001 + i);
}

uint16_t bench_client_port(uint32_t i)
{
	return rte_cpu_to_be_16((uint16_t)(1024 + i * 2654435761u % 60000));
}

uint32_t bench_endpoint(uint32_t i)
{
	return rte_cpu_to_be_32(0xc6336401 + i); /* 198.51.100.1 on */
}

static uint64_t next(struct bench_l4 *b)
{
	b->rnd ^= b->rnd << 13;
	b->rnd ^= b->rnd >> 7;
	return b->rnd ^= b->rnd << 17;
}

uint16_t bench_endpoint_port(const struct bench_l4 *b)
{
	return mt_l4_is_one_way(b->mode) ? VIP_PORT : EP_PORT;
}

/* Bit 0 decides if a random packet is a reply, which one-way modes have none of. */
static uint64_t replies(const struct bench_l4 *b)
{
	return mt_l4_is_one_way(b->mode) ? 0 : 1;
}

void bench_write(struct bench_l4 *b, struct rte_mbuf *m, uint32_t i, bool reply)
{
	uint16_t size = b->size ? b->size : imix[next(b) % MT_ARRAY_LEN(imix)];
	uint16_t len = (uint16_t)(size - sizeof(struct rte_ether_hdr));
	struct rte_ether_hdr *eth;
	struct rte_ipv4_hdr *ip;
	struct rte_udp_hdr *udp;
	uint32_t mark[2] = {i, reply};
	uint64_t ends;
	uint16_t sum;

	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->data_len = size;
	m->pkt_len = size;
	eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	ip = (struct rte_ipv4_hdr *)(eth + 1);
	udp = (struct rte_udp_hdr *)(ip + 1);
	memcpy(&eth->dst_addr, &b->port.mac, sizeof(eth->dst_addr));
	memcpy(&eth->src_addr, BENCH_SENDER, sizeof(eth->src_addr));
	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	*ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(len),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP};
	len = (uint16_t)(len - sizeof(*ip));
	*udp = (struct rte_udp_hdr){.dgram_len = rte_cpu_to_be_16(len)};
	if (reply) {
		ip->src_addr = bench_endpoint(b->flow[i].endpoint);
		ip->dst_addr = b->flow[i].source;
		udp->src_port = rte_cpu_to_be_16(EP_PORT);
		udp->dst_port = b->flow[i].port;
	} else {
		ip->src_addr = bench_client(i);
		ip->dst_addr = BENCH_VIP;
		udp->src_port = bench_client_port(i);
		udp->dst_port = rte_cpu_to_be_16(VIP_PORT);
	}
	ends = (uint64_t)ip->src_addr + ip->dst_addr;
	ip->hdr_checksum = (uint16_t)~bench_fold(
		ends + RTE_IPV4_VHL_DEF + ip->total_length + 64 + rte_cpu_to_be_16(IPPROTO_UDP));
	memcpy(udp + 1, mark, MARK);
	/* The rest of the payload is 0. A sum of 0 would mean that there is none. */
	sum = (uint16_t)~bench_fold(ends + rte_cpu_to_be_16(IPPROTO_UDP) +
				    2u * (uint32_t)udp->dgram_len + udp->src_port + udp->dst_port +
				    mark[0] + mark[1]);
	udp->dgram_cksum = sum ? sum : UINT16_MAX;
}

/* What lib/net's input path leaves. */
static void as_received(struct rte_mbuf *m)
{
	m->port = 0;
	m->l2_len = sizeof(struct rte_ether_hdr);
	m->l3_len = sizeof(struct rte_ipv4_hdr);
	m->packet_type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4_EXT_UNKNOWN | RTE_PTYPE_L4_UDP;
}

void bench_burst(struct bench_l4 *b, struct rte_mbuf **pkts)
{
	const uint64_t reply = replies(b);

	bench_take(b, pkts, BURST);
	for (int i = 0; i < BURST; i++) {
		uint64_t r = next(b);

		bench_write(b, pkts[i], (uint32_t)(((r >> 32) * b->flows) >> 32), r & reply);
		as_received(pkts[i]);
	}
}

double bench_fill(struct bench_l4 *b)
{
	uint64_t began = rte_rdtsc();
	uint32_t made = 0;

	b->form = b->mode;
	b->learn = true;
	while (made < b->flows) {
		uint16_t n = (uint16_t)MT_MIN(b->flows - made, (uint32_t)BURST);
		struct rte_mbuf *burst[BURST];

		for (uint64_t second = 0; second < 2; second++) {
			bench_take(b, burst, n);
			for (uint16_t k = 0; k < n; k++) {
				bench_write(b, burst[k], made + k, second & replies(b));
				as_received(burst[k]);
			}
			bench_begin(b, 0);
			bench_forward(b, burst, n);
		}
		made += n;
	}
	b->learn = false;
	return (double)(rte_rdtsc() - began) / b->flows;
}
