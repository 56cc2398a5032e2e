/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A burst in stages, so that the cache misses of its packets overlap: tuple, hash and bucket; tag
 * and entry; comparison, rewrite, transmit queue. Packets without a flow, or that may change more
 * of it than its counters, follow when all others are done, because they change the table.
 */
#include "mt_l4_priv.h"

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

/* True if the UDP header is possible, and has a checksum if it must have one. */
static mt_inline bool parse_udp(struct l4_pkt *p, const struct rte_udp_hdr *udp, uint32_t off)
{
	const struct rte_mbuf *m = p->m;
	uint32_t len = m->pkt_len - off;

	if (mt_unlikely(m->data_len < off + sizeof(*udp)))
		return false;
	if (mt_unlikely(
		    (uint32_t)rte_be_to_cpu_16(udp->dgram_len) - sizeof(*udp) > len - sizeof(*udp)))
		return false;
	p->opens = false;
	p->key.q[4] = L4_KEY_PROTO(IPPROTO_UDP);
	return udp->dgram_cksum != 0 || RTE_ETH_IS_IPV4_HDR(m->packet_type);
}

/* True if the TCP header is possible. */
static mt_inline bool parse_tcp(struct l4_pkt *p, const struct rte_tcp_hdr *tcp, uint32_t off)
{
	const struct rte_mbuf *m = p->m;

	if (mt_unlikely(m->data_len < off + sizeof(*tcp)))
		return false;
	if (mt_unlikely((tcp->data_off >> 4) * 4u - sizeof(*tcp) > m->pkt_len - off - sizeof(*tcp)))
		return false;
	p->opens = l4_opens(tcp->tcp_flags);
	p->key.q[4] = L4_KEY_PROTO(IPPROTO_TCP);
	return true;
}

/* Reads the tuple; false: the transport header is impossible. */
static mt_inline bool parse(struct l4_pkt *p)
{
	struct rte_mbuf *m = p->m;
	uint32_t off = (uint32_t)m->l2_len + m->l3_len;
	const uint8_t *l3 = rte_pktmbuf_mtod_offset(m, const uint8_t *, m->l2_len);
	const uint16_t *l4 = rte_pktmbuf_mtod_offset(m, const void *, off);
	uint32_t ports;

	if (mt_unlikely(!(l4_is_tcp(m) ? parse_tcp(p, (const void *)l4, off)
				       : parse_udp(p, (const void *)l4, off))))
		return false;
	if (mt_unlikely(l4[0] == 0 || l4[1] == 0))
		return false;
	memcpy(&ports, l4, sizeof(ports));
	p->key.q[4] |= ports;
	if (mt_likely(RTE_ETH_IS_IPV4_HDR(m->packet_type))) {
		memcpy(&p->key.q[0], l3 + offsetof(struct rte_ipv4_hdr, src_addr), 8);
		p->key.q[1] = p->key.q[2] = p->key.q[3] = 0;
		return true;
	}
	memcpy(p->key.q, l3 + offsetof(struct rte_ipv6_hdr, src_addr), 32);
	p->key.q[4] |= L4_KEY6;
	return true;
}

static mt_noinline void drop_malformed(struct mt_l4 *l, struct rte_mbuf *m)
{
	uint32_t off = (uint32_t)m->l2_len + m->l3_len;
	const struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, const void *, off);
	bool no_sum = !l4_is_tcp(m) && m->data_len >= off + sizeof(*udp) && udp->dgram_cksum == 0;

	/* Only IPv4 allows a datagram without a checksum (RFC 8200 §8.1). */
	l4_drop(l, m,
		no_sum && RTE_ETH_IS_IPV6_HDR(m->packet_type) ? MT_L4_checksum_missing
							      : MT_L4_header_bad);
}

/* ---- the rewrite --------------------------------------------------------------------------- */

static mt_inline void rewrite4(struct rte_ipv4_hdr *ip, const struct l4_entry *e)
{
	ip->src_addr = e->v4.src;
	ip->dst_addr = e->v4.dst;
	ip->time_to_live--;
	ip->hdr_checksum = l4_adjusted(ip->hdr_checksum, e->ip_sum);
}

static mt_inline void rewrite6(struct rte_ipv6_hdr *ip, const struct l4_entry *other)
{
	memcpy(ip->src_addr, &other->key.q[2], sizeof(ip->src_addr));
	memcpy(ip->dst_addr, &other->key.q[0], sizeof(ip->dst_addr));
	ip->hop_limits--;
}

static mt_inline void rewrite(struct rte_mbuf *m, struct l4_entry *e, const struct l4_entry *other)
{
	void *l3 = rte_pktmbuf_mtod_offset(m, void *, m->l2_len);
	void *l4 = rte_pktmbuf_mtod_offset(m, void *, m->l2_len + m->l3_len);

	if (l4_is_tcp(m))
		l4_rewrite_tcp(l4, e);
	else
		l4_rewrite_udp(l4, e);
	if (mt_likely(RTE_ETH_IS_IPV4_HDR(m->packet_type)))
		rewrite4(l3, e);
	else
		rewrite6(l3, other);
}

/* ---- one packet of a flow ------------------------------------------------------------------ */

/* True if the packet changes only counters of its entry. */
static mt_inline bool is_plain(const struct rte_mbuf *m, const struct l4_entry *e)
{
	if (mt_unlikely(!(e->service & L4_PLAIN)))
		return false;
	return !l4_is_tcp(m) ||
	       !(l4_tcp_flags(m) & (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG));
}

/* The same of a one-way mode. */
static bool is_one_way_plain(const struct rte_mbuf *m, const struct l4_entry *e)
{
	if (!(e->service & L4_ONE_WAY_PLAIN))
		return false;
	return !l4_is_tcp(m) ||
	       !(l4_tcp_flags(m) & (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG));
}

static mt_inline void count(struct mt_l4 *l, struct l4_entry *e)
{
	e->seen = l->tick;
	e->packets++;
}

/* Notes a packet that may change its flow. */
static mt_noinline void note(struct mt_l4 *l, const struct rte_mbuf *m, uint32_t idx)
{
	struct l4_entry *e = &l->entries[idx];

	if (l4_is_tcp(m))
		l4_segment(l, m, idx);
	/* In a reply's entry, these are links while the flow is not kept. */
	else if (!(idx & 1) || e->service & L4_KEPT || l4_answer(l, idx / 2))
		count(l, e);
}

/* Takes the packet; true: it was sent. */
static mt_inline bool forward(struct mt_l4 *l, struct rte_mbuf *m, uint32_t idx, bool plain)
{
	struct l4_entry *e = &l->entries[idx];
	uint32_t len = m->pkt_len - m->l2_len;
	const struct mt_net_dst *dst;
	struct mt_l4_stats *s;

	if (mt_unlikely(l4_hops_left(m) <= 1)) {
		l4_refuse(l, m, MT_L4_ttl_exceeded, MT_NET_ERROR_TIME, 0);
		return false;
	}
	dst = l4_route(l, m, idx);
	if (mt_unlikely(!dst))
		return false;
	if (l4_is_too_big(l, m, dst, len)) {
		l4_refuse(l, m, MT_L4_too_big, MT_NET_ERROR_TOO_BIG, dst->mtu);
		return false;
	}
	if (plain)
		count(l, e);
	else
		note(l, m, idx);
	s = &l->stats[e->service & L4_SERVICE];
	mt_count(s->packets, idx & 1);
	mt_count_n(&s->bytes, 0, len);
	rewrite(m, e, &l->entries[idx ^ 1]);
	return mt_net_forward(l->net, m, dst);
}

/* ---- the burst ----------------------------------------------------------------------------- */

static uint32_t first(struct mt_l4 *l, struct l4_pkt *p)
{
	p->idx = mt_table_first(&l->table, p->hash, &p->it);
	p->source = 0;
	if (l->limits && !(p->idx & 1))
		l4_limit_prefetch(l, p);
	if (mt_unlikely(p->idx == L4_NONE))
		return 0;
	__builtin_prefetch(&l->entries[p->idx], 1);
	if (l4_key_is6(&p->key))
		__builtin_prefetch(&l->entries[p->idx ^ 1]);
	return 1;
}

static inline uint32_t compared(struct mt_l4 *l, struct l4_pkt *p)
{
	uint32_t idx = p->idx;

	while (idx != L4_NONE && !l4_key_is(&l->entries[idx], &p->key))
		idx = mt_table_next(&l->table, &p->it);
	return idx;
}

static mt_inline uint32_t enter(struct mt_l4 *l, struct l4_pkt *p, uint32_t idx)
{
	if (idx != L4_NONE && p->opens && l4_reopens(l, p->m, idx)) {
		l4_expire(l, idx / 2);
		idx = L4_NONE;
	}
	p->leaves = 0;
	if (idx != L4_NONE && l4_leaves(l, p, idx)) {
		p->leaves = idx / 2 + 1;
		idx = L4_NONE;
	}
	if (idx == L4_NONE)
		return l4_new(l, p);
	return l4_is_within(l, p, idx) ? idx : L4_NONE;
}

uint32_t l4_enter(struct mt_l4 *l, struct l4_pkt *p, uint32_t idx)
{
	return enter(l, p, idx);
}

/* A packet that is not plain; `changes` of the table when its entry was searched. */
static mt_noinline uint32_t late(struct mt_l4 *l, struct l4_pkt *p, uint32_t changes)
{
	uint32_t idx = p->idx;

	/* An earlier packet of the burst may have made or removed it. */
	if (l->changes != changes)
		idx = l4_find(l, &p->key, p->hash);
	idx = enter(l, p, idx);
	if (idx == L4_NONE)
		return 0;
	return l->entries[idx].service & L4_ONE_WAY ? l4_one_way(l, p->m, idx, false)
						    : forward(l, p->m, idx, false);
}

static void burst(struct mt_l4 *l, struct rte_mbuf **pkts, uint16_t n)
{
	struct l4_pkt p[L4_BURST], *others[L4_BURST];
	uint32_t valid = 0, n_others = 0, sent = 0, changes;

	for (uint16_t i = 0; i < n; i++) {
		struct l4_pkt *at = &p[valid];

		at->m = pkts[i];
		if (mt_unlikely(l4_is_fragment(at->m))) {
			l4_fragment(l, at->m);
			continue;
		}
		if (mt_unlikely((at->m->packet_type & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_ICMP)) {
			l4_icmp(l, at->m);
			continue;
		}
		if (mt_unlikely(!parse(at))) {
			drop_malformed(l, at->m);
			continue;
		}
		at->hash = l4_hash(l, &at->key);
		mt_table_prefetch(&l->table, at->hash);
		valid++;
	}
	changes = l->changes;
	for (uint32_t i = 0; i < valid; i++)
		first(l, &p[i]);
	for (uint32_t i = 0; i < valid; i++) {
		uint32_t idx = compared(l, &p[i]);

		if (mt_likely(idx != L4_NONE && is_plain(p[i].m, &l->entries[idx])))
			sent += l4_is_within(l, &p[i], idx) && forward(l, p[i].m, idx, true);
		else if (idx != L4_NONE && is_one_way_plain(p[i].m, &l->entries[idx]))
			sent += l4_is_within(l, &p[i], idx) && l4_one_way(l, p[i].m, idx, true);
		else {
			p[i].idx = idx;
			others[n_others++] = &p[i];
		}
	}
	for (uint32_t i = 0; i < n_others; i++)
		sent += late(l, others[i], changes);
	mt_count_n(l->counters, MT_L4_forwarded, sent);
}

void mt_l4_input(struct mt_l4 *l, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t at = 0; at < n; at = (uint16_t)(at + L4_BURST))
		burst(l, pkts + at, (uint16_t)MT_MIN(n - at, L4_BURST));
	if (mt_unlikely(l->n_dropped))
		l4_free_dropped(l);
}
