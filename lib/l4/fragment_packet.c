/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets that are fragments: how they are read, and how they are rewritten when the ports of their
 * datagram are known. Only the first one has ports and the checksum, which covers the whole
 * datagram; its difference is that of any packet of the flow. All of them get a new identification,
 * because clients share a NAT address, and endpoints a VIP (RFC 6864 §4.3).
 *
 * A TCP segment changes the state of its flow with its first fragment. A FIN does so with the last
 * one, because only then its sequence number is known.
 */
#include "mt_l4_fragment.h"

#include <string.h>

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

static uint8_t proto_of(const struct rte_mbuf *m)
{
	return RTE_ETH_IS_IPV4_HDR(m->packet_type)
		       ? ((const struct rte_ipv4_hdr *)l3_of(m))->next_proto_id
		       : header6(m)->next_header;
}

static uint32_t bytes_of(const struct rte_mbuf *m)
{
	return m->pkt_len - m->l2_len - m->l3_len;
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

	return l4_is_fragment(m) && offset_of(m, &more);
}

bool l4_is_first_of_tcp(const struct rte_mbuf *m)
{
	bool more;

	return proto_of(m) == IPPROTO_TCP && offset_of(m, &more) == 0;
}

static void read_ends(const struct rte_mbuf *m, struct l4_fragment *f)
{
	if (RTE_ETH_IS_IPV4_HDR(m->packet_type)) {
		const struct rte_ipv4_hdr *ip = l3_of(m);

		f->src = mt_addr4(ip->src_addr);
		f->dst = mt_addr4(ip->dst_addr);
		/* Protocols do not share identifications (RFC 791). */
		f->id = ip->packet_id | (uint32_t)f->proto << 16;
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
	memcpy(&f->first.ports, udp, sizeof(f->first.ports));
	return MT_L4_forwarded;
}

/* The same of TCP. Flags in another fragment than the ports could be hidden, or replaced. */
static enum mt_l4_outcome read_tcp(struct rte_mbuf *m, uint32_t len, struct l4_fragment *f)
{
	const struct rte_tcp_hdr *tcp = l4_of(m);
	uint32_t hlen;

	if (len < sizeof(*tcp))
		return MT_L4_fragment_tiny;
	if (m->data_len < m->l2_len + m->l3_len + sizeof(*tcp))
		return MT_L4_fragment_bad;
	hlen = (tcp->data_off >> 4) * 4u;
	if (hlen > len)
		return MT_L4_fragment_tiny;
	if (hlen < sizeof(*tcp) || !tcp->src_port || !tcp->dst_port)
		return MT_L4_fragment_bad;
	memcpy(&f->first.ports, tcp, sizeof(f->first.ports));
	f->first.fin = tcp->tcp_flags & RTE_TCP_FIN_FLAG;
	f->first.base = rte_be_to_cpu_32(tcp->sent_seq) - hlen;
	return MT_L4_forwarded;
}

static enum mt_l4_outcome read_header(struct rte_mbuf *m, uint32_t len, struct l4_fragment *f)
{
	if (f->proto == IPPROTO_UDP)
		return f->from ? MT_L4_forwarded : read_udp(m, len, f);
	if (f->from)
		return f->from * 8u < sizeof(struct rte_tcp_hdr) ? MT_L4_fragment_tiny
								 : MT_L4_forwarded;
	return read_tcp(m, len, f);
}

enum mt_l4_outcome l4_read_fragment(struct rte_mbuf *m, struct l4_fragment *f)
{
	uint32_t len = bytes_of(m), end;

	*f = (struct l4_fragment){.m = m, .proto = proto_of(m)};
	f->from = offset_of(m, &f->more);
	end = f->from * 8u + len;
	if (RTE_ETH_IS_IPV4_HDR(m->packet_type))
		end += m->l3_len;
	if (len == 0 || (f->more && len % 8) || end > UINT16_MAX)
		return MT_L4_fragment_bad;
	f->to = (uint16_t)(f->from + (len + 7) / 8);
	read_ends(m, f);
	return read_header(m, len, f);
}

/*
 * Marks in packet_type: the ports are known; and hash.fdir.hi has the sequence number after the FIN
 * of the segment that ends with this fragment.
 */
#define MARKED	   RTE_PTYPE_INNER_L4_FRAG
#define MARKED_FIN RTE_PTYPE_INNER_L4_TCP

void l4_mark_fragment(struct rte_mbuf *m, const struct l4_first *first)
{
	bool more;
	uint32_t at = offset_of(m, &more) * 8u;

	/* The packet is on no chain. */
	mt_link(m)->mark = first->ports | (uint64_t)first->new_id << ID_SHIFT;
	if (first->fin && !more) {
		m->hash.fdir.hi = first->base + at + bytes_of(m) + 1;
		m->packet_type |= MARKED_FIN;
	} else {
		m->packet_type |= MARKED;
	}
}

static void read_key(const struct rte_mbuf *m, struct l4_key *k)
{
	*k = (struct l4_key){{[4] = (uint32_t)mt_link(m)->mark | L4_KEY_PROTO(proto_of(m))}};
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

static void rewrite_l4(struct rte_mbuf *m, const struct l4_entry *e)
{
	if (l4_is_later_fragment(m))
		return;
	if (proto_of(m) == IPPROTO_TCP)
		l4_rewrite_tcp(l4_of(m), e);
	else
		l4_rewrite_udp(l4_of(m), e);
}

static void rewrite(struct rte_mbuf *m, const struct l4_entry *e, const struct l4_entry *other)
{
	uint32_t id = (uint32_t)(mt_link(m)->mark >> ID_SHIFT);
	struct rte_ipv6_hdr *ip = l3_of(m);

	rewrite_l4(m, e);
	if (RTE_ETH_IS_IPV4_HDR(m->packet_type)) {
		rewrite4(l3_of(m), e, (uint16_t)id);
		return;
	}
	memcpy(ip->src_addr, &other->key.q[2], sizeof(ip->src_addr));
	memcpy(ip->dst_addr, &other->key.q[0], sizeof(ip->dst_addr));
	ip->hop_limits--;
	header6(m)->id = id;
}

/* Notes a fragment. Later ones of TCP change no state, but for the end of a FIN. */
static void note_fragment(struct mt_l4 *l, const struct rte_mbuf *m, uint32_t idx)
{
	if (proto_of(m) != IPPROTO_TCP) {
		l4_note_datagram(l, idx);
		return;
	}
	if (!l4_is_later_fragment(m)) {
		l4_segment(l, m, idx);
		return;
	}
	if ((m->packet_type & RTE_PTYPE_INNER_L4_MASK) == MARKED_FIN)
		l4_segment_fin(l, idx, m->hash.fdir.hi);
	l4_segment_rest(l, idx);
}

/* Takes a fragment of a flow; true: it was sent. */
static bool forward_fragment(struct mt_l4 *l, struct rte_mbuf *m, uint32_t idx)
{
	struct l4_entry *e = &l->entries[idx];
	const struct mt_net_dst *dst = l4_way_out(l, m, idx, 0);
	struct mt_l4_stats *s;

	if (!dst)
		return false;
	note_fragment(l, m, idx);
	s = &l->stats[e->service & L4_SERVICE];
	mt_count(s->packets, idx & 1);
	mt_count_n(&s->bytes, 0, m->pkt_len - m->l2_len);
	rewrite(m, e, &l->entries[idx ^ 1]);
	return mt_net_forward(l->net, m, dst);
}

void l4_forward_fragment(struct mt_l4 *l, struct rte_mbuf *m)
{
	struct l4_pkt p = {.m = m};
	bool tcp;
	uint32_t idx;

	read_key(m, &p.key);
	p.hash = l4_hash(l, &p.key);
	tcp = l4_has_tcp(m);
	p.opens = tcp && l4_opens(l4_tcp_flags(m));
	/*
	 * Later fragments of UDP make a flow as well: they may wait for a neighbour with the first
	 * one. Of TCP only a SYN does.
	 */
	idx = l4_enter(l, &p, l4_find(l, &p.key, p.hash));
	if (idx == L4_NONE)
		return;
	if (l->entries[idx].service & L4_ONE_WAY
			? l4_one_way(l, m, idx, l4_key_is_tcp(&p.key) && !tcp)
			: forward_fragment(l, m, idx))
		l4_count(l, MT_L4_forwarded);
}
