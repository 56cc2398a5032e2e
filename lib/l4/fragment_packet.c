/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets that are fragments: how they are read, and how they are rewritten when the ports of their
 * datagram are known. Only the first one has ports and the checksum, which covers the whole
 * datagram; its difference is that of any packet of the flow. All of them get a new identification,
 * because clients share a NAT address, and endpoints a VIP (RFC 6864 §4.3).
 */
#include "mt_l4_fragment.h"

#include <string.h>

#include <rte_udp.h>

#define ID_SHIFT 32

static void *l3_of(const struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod_offset(m, void *, m->l2_len);
}

static void *l4_of(const struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod_offset(m, void *, m->l2_len + m->l3_len);
}

/* The fragment header is the last one before the payload. */
static struct rte_ipv6_fragment_ext *header6(const struct rte_mbuf *m)
{
	return (struct rte_ipv6_fragment_ext *)l4_of(m) - 1;
}

/* Offset in units of 8 bytes, and whether others follow. */
static uint16_t offset_of(const struct rte_mbuf *m, bool *more)
{
	uint16_t word;

	if (RTE_ETH_IS_IPV4_HDR(m->packet_type)) {
		word = rte_be_to_cpu_16(((const struct rte_ipv4_hdr *)l3_of(m))->fragment_offset);
		*more = word & RTE_IPV4_HDR_MF_FLAG;
		return word & RTE_IPV4_HDR_OFFSET_MASK;
	}
	word = rte_be_to_cpu_16(header6(m)->frag_data);
	*more = word & 1;
	return word >> 3;
}

bool l4_is_later_fragment(const struct rte_mbuf *m)
{
	bool more;

	return (m->packet_type & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_FRAG && offset_of(m, &more);
}

static void read_ends(const struct rte_mbuf *m, struct l4_fragment *f)
{
	if (RTE_ETH_IS_IPV4_HDR(m->packet_type)) {
		const struct rte_ipv4_hdr *ip = l3_of(m);

		f->src = mt_addr4(ip->src_addr);
		f->dst = mt_addr4(ip->dst_addr);
		f->id = ip->packet_id;
	} else {
		const struct rte_ipv6_hdr *ip = l3_of(m);

		memcpy(&f->src, ip->src_addr, sizeof(f->src));
		memcpy(&f->dst, ip->dst_addr, sizeof(f->dst));
		f->id = header6(m)->id;
	}
}

/* `len` bytes of the first fragment, which is not the whole datagram. */
static enum mt_l4_outcome read_udp(struct rte_mbuf *m, uint32_t len, struct l4_fragment *f)
{
	const struct rte_udp_hdr *udp = l4_of(m);

	if (m->data_len < m->l2_len + m->l3_len + sizeof(*udp) ||
		rte_be_to_cpu_16(udp->dgram_len) <= len || !udp->src_port || !udp->dst_port)
		return MT_L4_fragment_bad;
	if (!udp->dgram_cksum && !RTE_ETH_IS_IPV4_HDR(m->packet_type))
		return MT_L4_checksum_missing;
	memcpy(&f->ports, udp, sizeof(f->ports));
	return MT_L4_forwarded;
}

enum mt_l4_outcome l4_read_fragment(struct rte_mbuf *m, struct l4_fragment *f)
{
	uint32_t len = m->pkt_len - m->l2_len - m->l3_len, end;

	*f = (struct l4_fragment){.m = m};
	f->from = offset_of(m, &f->more);
	end = f->from * 8u + len;
	if (RTE_ETH_IS_IPV4_HDR(m->packet_type))
		end += m->l3_len;
	if (len == 0 || (f->more && len % 8) || end > UINT16_MAX)
		return MT_L4_fragment_bad;
	f->to = (uint16_t)(f->from + (len + 7) / 8);
	read_ends(m, f);
	return f->from ? MT_L4_forwarded : read_udp(m, len, f);
}

void l4_mark_fragment(struct rte_mbuf *m, uint32_t ports, uint32_t id)
{
	/* The packet is on no chain. */
	mt_link(m)->mark = ports | (uint64_t)id << ID_SHIFT;
	m->packet_type |= RTE_PTYPE_INNER_L4_UDP;
}

static void read_key(const struct rte_mbuf *m, struct l4_key *k)
{
	*k = (struct l4_key){{[4] = (uint32_t)mt_link(m)->mark | L4_KEY_PROTO(IPPROTO_UDP)}};
	if (RTE_ETH_IS_IPV4_HDR(m->packet_type)) {
		memcpy(&k->q[0], &((const struct rte_ipv4_hdr *)l3_of(m))->src_addr, 8);
		return;
	}
	memcpy(k->q, ((const struct rte_ipv6_hdr *)l3_of(m))->src_addr, 32);
	k->q[4] |= L4_KEY6;
}

static void rewrite4(struct rte_ipv4_hdr *ip, const struct l4_entry *e, uint16_t id)
{
	uint32_t ids = (uint32_t)(uint16_t)~ip->packet_id + id;

	ip->packet_id = id;
	ip->src_addr = e->v4.src;
	ip->dst_addr = e->v4.dst;
	ip->time_to_live--;
	ip->hdr_checksum = l4_adjusted(ip->hdr_checksum, e->ip_sum);
	ip->hdr_checksum = l4_adjusted(ip->hdr_checksum, (uint16_t)((ids & 0xffff) + (ids >> 16)));
}

static void rewrite(struct rte_mbuf *m, const struct l4_entry *e, const struct l4_entry *other)
{
	uint32_t id = (uint32_t)(mt_link(m)->mark >> ID_SHIFT);
	struct rte_ipv6_hdr *ip = l3_of(m);

	if (!l4_is_later_fragment(m))
		l4_rewrite_udp(l4_of(m), e);
	if (RTE_ETH_IS_IPV4_HDR(m->packet_type)) {
		rewrite4(l3_of(m), e, (uint16_t)id);
		return;
	}
	memcpy(ip->src_addr, &other->key.q[2], sizeof(ip->src_addr));
	memcpy(ip->dst_addr, &other->key.q[0], sizeof(ip->dst_addr));
	ip->hop_limits--;
	header6(m)->id = id;
}

/* As forward() in input.c, which has no instruction for fragments. */
static bool forward(struct mt_l4 *l, struct rte_mbuf *m, uint32_t idx)
{
	struct l4_entry *e = &l->entries[idx];
	uint32_t len = m->pkt_len - m->l2_len;
	const struct mt_net_dst *dst;
	struct mt_l4_stats *s;

	if (l4_hops_left(m) <= 1) {
		l4_refuse(l, m, MT_L4_ttl_exceeded, MT_NET_ERROR_TIME, 0);
		return false;
	}
	dst = l4_route(l, m, idx);
	if (!dst)
		return false;
	if (len > dst->mtu) {
		l4_refuse(l, m, MT_L4_too_big, MT_NET_ERROR_TOO_BIG, dst->mtu);
		return false;
	}
	if (!(idx & 1) || e->service & L4_KEPT || l4_answer(l, idx / 2)) {
		e->seen = l->tick;
		e->packets++;
	}
	s = &l->stats[e->service & L4_SERVICE];
	mt_count(s->packets, idx & 1);
	mt_count_n(&s->bytes, 0, len);
	rewrite(m, e, &l->entries[idx ^ 1]);
	return mt_net_forward(l->net, m, dst);
}

void l4_forward_fragment(struct mt_l4 *l, struct rte_mbuf *m)
{
	struct l4_pkt p = {.m = m};
	uint32_t idx;

	read_key(m, &p.key);
	p.hash = l4_hash(l, &p.key);
	idx = l4_find(l, &p.key, p.hash);
	if (idx != L4_NONE && l4_leave(l, &p, idx))
		idx = L4_NONE;
	/* Later fragments make a flow as well: they may wait for a neighbour with the first one. */
	if (idx == L4_NONE)
		idx = l4_new(l, &p);
	else if (!l4_is_within(l, &p, idx))
		return;
	if (idx == L4_NONE)
		return;
	if (l->entries[idx].service & L4_ONE_WAY ? l4_one_way(l, m, idx, false)
						 : forward(l, m, idx))
		l4_count(l, MT_L4_forwarded);
}
