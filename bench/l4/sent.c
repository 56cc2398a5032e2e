/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks sent frames without lib/net and lib/l4: stations, each field of the headers that a mode
 * writes, all checksums, and that packets of a flow go to one endpoint.
 */
#include "bench_l4.h"

#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#define GUE_PORT  6080
#define GUE_BYTES 4
#define PORTS_LO  49152 /* source ports of GUE */

uint16_t bench_fold(uint64_t s)
{
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)((s & 0xffff) + (s >> 16));
}

void bench_station(uint32_t addr, uint8_t mac[6])
{
	memcpy(mac, (uint8_t[]){2, 0}, 2);
	memcpy(mac + 2, &addr, sizeof(addr));
}

/* Sum of words as they lie in memory. */
static uint32_t words(const void *p, uint32_t len)
{
	const uint8_t *at = p;
	uint32_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? (uint32_t)at[i] << 8 : at[i];
	return sum;
}

/* Parts of a frame; `outer` and `gue` are NULL in packets without them. */
struct sent {
	const struct rte_ether_hdr *eth;
	const struct rte_ipv4_hdr *outer, *ip;
	const struct rte_udp_hdr *gue, *udp;
	uint32_t left; /* bytes from `ip` on */
	uint32_t flow;
	bool reply;
};

static struct sent parts(const struct bench_l4 *b, const struct rte_mbuf *m)
{
	struct sent s = {.eth = rte_pktmbuf_mtod(m, const void *)};
	const uint8_t *at = (const void *)(s.eth + 1);
	uint32_t mark[2];

	if (b->form == MT_L4_IPIP || b->form == MT_L4_GUE) {
		s.outer = (const void *)at;
		at += sizeof(*s.outer);
	}
	if (b->form == MT_L4_GUE) {
		s.gue = (const void *)at;
		at += sizeof(*s.gue) + GUE_BYTES;
	}
	s.ip = (const void *)at;
	s.udp = (const void *)(s.ip + 1);
	s.left = (uint32_t)(m->pkt_len - (uint32_t)(at - (const uint8_t *)s.eth));
	memcpy(mark, s.udp + 1, MARK);
	s.flow = mark[0];
	s.reply = mark[1];
	return s;
}

/* The packet that a client or an endpoint wrote, with one hop less. */
static bool is_whole(const struct sent *s)
{
	const struct rte_ipv4_hdr *ip = s->ip;
	const struct rte_udp_hdr *udp = s->udp;
	uint32_t len = s->left - (uint32_t)sizeof(*ip);

	return ip->version_ihl == RTE_IPV4_VHL_DEF && ip->type_of_service == 0 &&
	       ip->packet_id == 0 && ip->fragment_offset == 0 && ip->time_to_live == 63 &&
	       ip->next_proto_id == IPPROTO_UDP && rte_be_to_cpu_16(ip->total_length) == s->left &&
	       rte_be_to_cpu_16(udp->dgram_len) == len && udp->dgram_cksum &&
	       bench_fold(words(ip, sizeof(*ip))) == 0xffff &&
	       bench_fold(words(&ip->src_addr, 8) + (uint64_t)rte_cpu_to_be_16(IPPROTO_UDP) +
			  udp->dgram_len + words(udp, len)) == 0xffff;
}

/* The outer header: of what mt_net_source_addr() chooses, to the endpoint. */
static bool is_outer(const struct bench_l4 *b, const struct sent *s)
{
	const struct rte_ipv4_hdr *o = s->outer;
	uint32_t len = s->left + (uint32_t)sizeof(*o);

	if (s->gue)
		len += (uint32_t)sizeof(*s->gue) + GUE_BYTES;
	return o->version_ihl == RTE_IPV4_VHL_DEF && o->type_of_service == 0 &&
	       rte_be_to_cpu_16(o->total_length) == len && o->fragment_offset == 0 &&
	       o->time_to_live == 64 && o->next_proto_id == (s->gue ? IPPROTO_UDP : IPPROTO_IPIP) &&
	       o->src_addr == BENCH_NODE && bench_fold(words(o, sizeof(*o))) == 0xffff &&
	       o->dst_addr == bench_endpoint(b->flow[s->flow].endpoint);
}

static bool is_gue(const struct bench_l4 *b, const struct sent *s)
{
	static const uint8_t header[GUE_BYTES] = {0, IPPROTO_IPIP};

	return s->gue->src_port == b->flow[s->flow].port &&
	       rte_be_to_cpu_16(s->gue->src_port) >= PORTS_LO &&
	       s->gue->dst_port == rte_cpu_to_be_16(GUE_PORT) && s->gue->dgram_cksum == 0 &&
	       rte_be_to_cpu_16(s->gue->dgram_len) == s->left + sizeof(*s->gue) + GUE_BYTES &&
	       memcmp(s->gue + 1, header, GUE_BYTES) == 0;
}

static bool has_ends(
	const struct sent *s, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
	return s->ip->src_addr == src && s->udp->src_port == sport && s->ip->dst_addr == dst &&
	       s->udp->dst_port == dport;
}

static bool is_for_station(const struct bench_l4 *b, const struct sent *s)
{
	uint8_t to[6];

	bench_station(s->reply ? BENCH_ROUTER : bench_endpoint(b->flow[s->flow].endpoint), to);
	return memcmp(&s->eth->dst_addr, to, 6) == 0 &&
	       memcmp(&s->eth->src_addr, &b->port.mac, 6) == 0 &&
	       s->eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
}

static bool is_right(const struct bench_l4 *b, const struct sent *s)
{
	const uint16_t vip = rte_cpu_to_be_16(VIP_PORT);
	uint32_t client = bench_client(s->flow);
	uint16_t port = bench_client_port(s->flow);
	struct bench_flow f = bench_seen(b, s->flow);

	if (!is_for_station(b, s) || !is_whole(s) || (s->outer && !is_outer(b, s)) ||
		(s->gue && !is_gue(b, s)))
		return false;
	if (b->form != BENCH_BARE && mt_l4_is_one_way(b->form))
		return !s->reply && has_ends(s, client, port, BENCH_VIP, vip);
	if (s->reply)
		return has_ends(s, BENCH_VIP, vip, client, port);
	return has_ends(s, f.source, f.port, bench_endpoint(f.endpoint),
		rte_cpu_to_be_16(bench_endpoint_port(b)));
}

/* What the first packet of a flow shows of its endpoint. */
static struct bench_flow seen(const struct bench_l4 *b, const struct sent *s)
{
	struct bench_flow f = {.source = s->ip->src_addr, .port = s->udp->src_port};
	uint32_t endpoint = s->ip->dst_addr;

	if (b->form == MT_L4_DSR)
		memcpy(&endpoint, &s->eth->dst_addr.addr_bytes[2], sizeof(endpoint));
	if (s->outer)
		endpoint = s->outer->dst_addr;
	if (s->gue)
		f.port = s->gue->src_port;
	f.endpoint = (uint16_t)(rte_be_to_cpu_32(endpoint) - rte_be_to_cpu_32(bench_endpoint(0)));
	return f;
}

struct bench_flow bench_seen(const struct bench_l4 *b, uint32_t i)
{
	if (!mt_l4_is_one_way(b->mode))
		return b->flow[i];
	return (struct bench_flow){bench_client(i), bench_client_port(i), b->flow[i].endpoint};
}

void bench_look(struct bench_l4 *b, const struct rte_mbuf *m)
{
	struct sent s = parts(b, m);

	if (s.flow >= b->flows) {
		b->wrong++;
		return;
	}
	if (b->learn && !s.reply && !b->flow[s.flow].source)
		b->flow[s.flow] = seen(b, &s);
	if (b->flow[s.flow].endpoint >= ENDPOINTS || !is_right(b, &s))
		b->wrong++;
}
