/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tunnels: a packet becomes the payload of another one, which the endpoint unpacks.
 *
 * - The outer source is the first address of the family in spec.sourceAddresses, else that of the
 *   port. Its TTL is 64; the inner one falls by 1.
 * - DSCP and ECN are copied (RFC 6040, normal mode), of IPv6 the flow label as well.
 * - The outer packet has DF if the inner one has. It is never fragmented here: the caller has
 *   compared the length with the MTU.
 * - GUE: the source port is one of the dynamic ports, by a hash of the flow. The checksum of UDP is
 *   0 over IPv4 (RFC 768), so that the payload is not read; over IPv6 it is computed, because hosts
 *   may drop 0 (RFC 6935), although fou of Linux 6.1 accepts it.
 */
#include "mt_l4_priv.h"

#define TTL	  64
#define GUE_PORT  6080
#define PORT_BITS 0xc000 /* of dynamic ports (RFC 6335) */

/* Variant 0 without control bit, options and flags; `payload` is a protocol number. */
struct gue {
	uint8_t lengths, payload;
	uint16_t flags;
};

_Static_assert(sizeof(struct rte_udp_hdr) + sizeof(struct gue) == L4_GUE_BYTES, "no padding");

/* An identification that differs from other workers' and from this one's last ones. */
static uint16_t next_id(struct mt_l4 *l)
{
	return (uint16_t)(l->tunnel_id++ * l->steer->workers + l->worker);
}

static void put_gue(struct rte_mbuf *m, uint16_t off, const struct l4_way *way, bool is4)
{
	struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, void *, off);
	struct gue *gue = (struct gue *)(udp + 1);
	uint64_t h = l4_choice_hash(way->in, false);

	*gue = (struct gue){.payload = is4 ? IPPROTO_IPIP : IPPROTO_IPV6};
	*udp = (struct rte_udp_hdr){.src_port = rte_cpu_to_be_16((uint16_t)(PORT_BITS | h >> 48)),
		.dst_port = rte_cpu_to_be_16(GUE_PORT),
		.dgram_len = rte_cpu_to_be_16((uint16_t)(m->pkt_len - off))};
	if (!is4)
		udp->dgram_cksum = rte_ipv6_udptcp_cksum_mbuf(
			m, rte_pktmbuf_mtod_offset(m, const void *, m->l2_len), off);
}

static void put4(
	struct mt_l4 *l, struct rte_mbuf *m, const struct mt_addr *from, const struct l4_way *way)
{
	struct rte_ipv4_hdr *outer = rte_pktmbuf_mtod_offset(m, void *, m->l2_len);
	const struct rte_ipv4_hdr *inner =
		rte_pktmbuf_mtod_offset(m, const void *, m->l2_len + l4_overhead(way->mode, true));

	*outer = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
		.type_of_service = inner->type_of_service,
		.total_length = rte_cpu_to_be_16((uint16_t)(m->pkt_len - m->l2_len)),
		.packet_id = rte_cpu_to_be_16(next_id(l)),
		.fragment_offset = inner->fragment_offset & rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = TTL,
		.next_proto_id = way->mode == MT_L4_GUE ? IPPROTO_UDP : IPPROTO_IPIP,
		.src_addr = mt_addr_v4(from),
		.dst_addr = mt_addr_v4(&way->endpoint)};
	outer->hdr_checksum = rte_ipv4_cksum(outer);
}

static void put6(struct rte_mbuf *m, const struct mt_addr *from, const struct l4_way *way)
{
	struct rte_ipv6_hdr *outer = rte_pktmbuf_mtod_offset(m, void *, m->l2_len);
	const struct rte_ipv6_hdr *inner =
		rte_pktmbuf_mtod_offset(m, const void *, m->l2_len + l4_overhead(way->mode, false));

	outer->vtc_flow = inner->vtc_flow;
	outer->payload_len = rte_cpu_to_be_16((uint16_t)(m->pkt_len - m->l2_len - sizeof(*outer)));
	outer->proto = way->mode == MT_L4_GUE ? IPPROTO_UDP : IPPROTO_IPV6;
	outer->hop_limits = TTL;
	memcpy(outer->src_addr, from, sizeof(outer->src_addr));
	memcpy(outer->dst_addr, &way->endpoint, sizeof(outer->dst_addr));
}

static bool has_source(struct mt_l4 *l, struct l4_hop *hop, const struct mt_addr *endpoint)
{
	if (mt_unlikely(!hop->has_source))
		hop->has_source = mt_net_source_addr(l->net, endpoint, 0, &hop->source);
	return hop->has_source;
}

bool l4_encapsulate(
	struct mt_l4 *l, struct rte_mbuf *m, struct l4_hop *hop, const struct l4_way *way)
{
	bool is4 = mt_addr_is4(&way->endpoint);
	uint16_t over = l4_overhead(way->mode, is4);

	if (mt_unlikely(!has_source(l, hop, &way->endpoint))) {
		l4_lose(l, m, MT_L4_no_route, way->service);
		return false;
	}
	if (mt_unlikely(!rte_pktmbuf_prepend(m, over))) {
		l4_drop(l, m, MT_L4_no_headroom);
		return false;
	}
	if (is4)
		put4(l, m, &hop->source, way);
	else
		put6(m, &hop->source, way);
	if (way->mode == MT_L4_GUE)
		put_gue(m, (uint16_t)(m->l2_len + over - L4_GUE_BYTES), way, is4);
	return true;
}
