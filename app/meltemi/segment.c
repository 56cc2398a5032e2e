/* SPDX-License-Identifier: Apache-2.0 */
#include "segment.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <string.h>

static uint32_t sum(uint32_t s, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i + 1 < n; i += 2)
		s += (uint32_t)(b[i] << 8 | b[i + 1]);
	if (n & 1)
		s += (uint32_t)(b[n - 1] << 8);
	return s;
}

static uint16_t fold(uint32_t s)
{
	s = (s >> 16) + (s & 0xffff);
	s += s >> 16;
	return htons((uint16_t)~s);
}

static struct segment_flow *flow_of(struct segment_flows *f, const struct segment_ends *e)
{
	uint64_t h = (e->src.q[0] ^ e->dst.q[0] * 31) * 0x9e3779b97f4a7c15ull;
	struct segment_flow *flow;

	h = (h ^ e->src.q[1] ^ e->dst.q[1] * 31) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ ((uint64_t)e->sport << 16 | e->dport)) * 0x94d049bb133111ebull;
	flow = &f->flows[h >> 52];
	if (!mt_addr_eq(&flow->ends.src, &e->src) || !mt_addr_eq(&flow->ends.dst, &e->dst) ||
		flow->ends.sport != e->sport || flow->ends.dport != e->dport)
		*flow = (struct segment_flow){.ends = *e, .next = 1};
	return flow;
}

/*
 * Writes the IP header for a TCP segment of `n` bytes to `head`; returns its length. *pseudo: the
 * sum of the pseudo header.
 */
static uint32_t ip_head(const struct segment_ends *e, uint32_t n, uint8_t *head, uint32_t *pseudo)
{
	struct ip6_hdr ip6 = {.ip6_nxt = IPPROTO_TCP, .ip6_hlim = 64};
	struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP};

	*pseudo = IPPROTO_TCP + n;
	if (mt_addr_is4(&e->src) && mt_addr_is4(&e->dst)) {
		ip.tot_len = htons((uint16_t)(sizeof(ip) + n));
		ip.saddr = mt_addr_v4(&e->src);
		ip.daddr = mt_addr_v4(&e->dst);
		ip.check = fold(sum(0, &ip, sizeof(ip)));
		*pseudo = sum(*pseudo, &ip.saddr, 8);
		memcpy(head, &ip, sizeof(ip));
		return sizeof(ip);
	}
	ip6.ip6_vfc = 6 << 4;
	ip6.ip6_plen = htons((uint16_t)n);
	memcpy(&ip6.ip6_src, &e->src, 16);
	memcpy(&ip6.ip6_dst, &e->dst, 16);
	*pseudo = sum(*pseudo, &ip6.ip6_src, 32);
	memcpy(head, &ip6, sizeof(ip6));
	return sizeof(ip6);
}

uint32_t segment_head(struct segment_flows *f, const struct segment_ends *e, const void *bytes,
	uint32_t snap, uint32_t len, uint8_t head[SEGMENT_HEAD], uint32_t *whole)
{
	struct ether_header eth = {.ether_type = htons(ETHERTYPE_IPV6)};
	const struct segment_ends back = {e->dst, e->src, e->dport, e->sport};
	uint32_t ack = flow_of(f, &back)->next, pseudo, n;
	struct segment_flow *flow = flow_of(f, e);
	struct tcphdr tcp = {.doff = 5, .psh = 1, .ack = 1};

	if (len > SEGMENT_MAX - SEGMENT_HEAD)
		len = MT_MIN(snap, (uint32_t)(SEGMENT_MAX - SEGMENT_HEAD));
	tcp.source = htons(e->sport);
	tcp.dest = htons(e->dport);
	tcp.seq = htonl(flow->next);
	tcp.ack_seq = htonl(ack);
	tcp.window = htons(65535);
	flow->next += len;
	n = sizeof(eth) + ip_head(e, (uint32_t)sizeof(tcp) + len, head + sizeof(eth), &pseudo);
	if (n - sizeof(eth) == sizeof(struct iphdr))
		eth.ether_type = htons(ETHERTYPE_IP);
	memcpy(head, &eth, sizeof(eth));
	/* Without all bytes the checksum cannot be computed. */
	if (snap == len)
		tcp.check = fold(sum(sum(pseudo, &tcp, sizeof(tcp)), bytes, snap));
	memcpy(head + n, &tcp, sizeof(tcp));
	*whole = n + (uint32_t)sizeof(tcp) + len;
	return n + (uint32_t)sizeof(tcp);
}
