/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A burst in stages, so that the cache misses of its packets overlap: tuple, hash and bucket; tag
 * and entry; comparison, next hop and rewrite; transmit queue. Packets without a flow or a known
 * next hop, or that may change more of their flow than its counters, follow when all others are
 * done, because they change the table and the next hops.
 */
#include "mt_l4_priv.h"

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

/* ---- headers ------------------------------------------------------------------------------- */

/* Fields of a packet that depend on its transport header. */
struct transport {
	uint64_t proto; /* L4_KEY_PROTO() */
	uint32_t plain; /* l4_pkt.plain */
	bool opens;	/* l4_pkt.opens */
};

#define PLAIN (L4_PLAIN | L4_ONE_WAY_PLAIN)

/*
 * True if the UDP header is possible, and has a checksum if it must have one. `here`: bytes from it
 * on in the first buffer; `len`: in all.
 */
static mt_inline bool read_udp(
	const struct rte_udp_hdr *udp, int32_t here, uint32_t len, bool is4, struct transport *t)
{
	*t = (struct transport){L4_KEY_PROTO(IPPROTO_UDP), PLAIN, false};
	return here >= (int32_t)sizeof(*udp) &&
	       rte_be_to_cpu_16(udp->dgram_len) - sizeof(*udp) <= len - sizeof(*udp) &&
	       (is4 || udp->dgram_cksum != 0);
}

/* True if the TCP header is possible. */
static mt_inline bool read_tcp(
	const struct rte_tcp_hdr *tcp, int32_t here, uint32_t len, struct transport *t)
{
	const uint8_t changes = RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG;

	if (mt_unlikely(here < (int32_t)sizeof(*tcp)))
		return false;
	*t = (struct transport){L4_KEY_PROTO(IPPROTO_TCP), tcp->tcp_flags & changes ? 0 : PLAIN,
		l4_opens(tcp->tcp_flags)};
	return (tcp->data_off >> 4) * 4u - sizeof(*tcp) <= len - sizeof(*tcp);
}

/* Reads the key of an IPv6 packet, with `end` as its last word; returns its hash. */
static uint32_t read_key6(const struct mt_l4 *l, struct l4_pkt *p, uint64_t end)
{
	memcpy(p->key.q, p->l3 + offsetof(struct rte_ipv6_hdr, src_addr), 32);
	p->key.q[4] = end | L4_KEY6;
	return l4_hash(l, &p->key);
}

/* The same of IPv4. Only late() sets q[1] to q[3]. */
static mt_inline uint32_t read_key4(const struct mt_l4 *l, struct l4_pkt *p, uint64_t end)
{
	uint64_t ends;

	memcpy(&ends, p->l3 + offsetof(struct rte_ipv4_hdr, src_addr), sizeof(ends));
	p->key.q[0] = ends;
	p->key.q[4] = end;
	return l4_hash_end(l, l4_hash_start(l, ends, end));
}

/* Reads a packet of UDP or TCP; false: the transport header is impossible. */
static mt_inline bool parse(const struct mt_l4 *l, struct l4_pkt *p, struct rte_mbuf *m)
{
	const uint32_t l2 = (uint32_t)m->l2_len, l3 = (uint32_t)m->l3_len, type = m->packet_type;
	const uint32_t len = m->pkt_len - l2;
	const int32_t here = (int32_t)(m->data_len - l2 - l3);
	const bool is4 = RTE_ETH_IS_IPV4_HDR(type) != 0;
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, l2), *l4 = ip + l3;
	struct transport t;
	uint32_t ports, ttl_at;

	if (mt_unlikely(!((type & RTE_PTYPE_L4_MASK) == MT_NET_PTYPE_SEGMENT
				  ? read_tcp((const void *)l4, here, len - l3, &t)
				  : read_udp((const void *)l4, here, len - l3, is4, &t))))
		return false;
	memcpy(&ports, l4, sizeof(ports));
	if (mt_unlikely((uint16_t)ports == 0 || ports >> 16 == 0))
		return false;
	ttl_at = is4 ? offsetof(struct rte_ipv4_hdr, time_to_live)
		     : offsetof(struct rte_ipv6_hdr, hop_limits);
	/* late() refuses a packet that may not go on. */
	p->plain = mt_likely(ip[ttl_at] > 1) ? t.plain : 0;
	p->opens = t.opens;
	p->m = m;
	p->l3 = ip;
	p->l4 = l4;
	p->len = len;
	p->hash = mt_likely(is4) ? read_key4(l, p, t.proto | ports)
				 : read_key6(l, p, t.proto | ports);
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
	memcpy(&ip->src_addr, &e->v4.to, sizeof(e->v4.to));
	ip->time_to_live--;
	ip->hdr_checksum = l4_adjusted(ip->hdr_checksum, e->ip_sum);
}

static mt_inline void rewrite6(struct rte_ipv6_hdr *ip, const struct l4_entry *other)
{
	memcpy(ip->src_addr, &other->key.q[2], sizeof(ip->src_addr));
	memcpy(ip->dst_addr, &other->key.q[0], sizeof(ip->dst_addr));
	ip->hop_limits--;
}

static mt_inline void rewrite(
	const struct l4_pkt *p, const struct l4_entry *e, const struct l4_entry *other)
{
	if (l4_key_is_tcp(&p->key))
		l4_rewrite_tcp((void *)p->l4, e);
	else
		l4_rewrite_udp((void *)p->l4, e);
	if (mt_likely(!l4_key_is6(&p->key)))
		rewrite4((void *)p->l3, e);
	else
		rewrite6((void *)p->l3, other);
}

/* ---- packets that change only counters of their flow --------------------------------------- */

static mt_inline void count(struct mt_l4 *l, struct l4_entry *e)
{
	e->seen = l->tick;
	e->packets++;
}

/* Packets that leave together. */
struct leaving {
	struct rte_mbuf *m[L4_BURST];
	const struct mt_net_dst *dst[L4_BURST];
	uint32_t n;
	uint32_t sent; /* others, which left already */
	/* The last packets of the burst that are of one service, not yet in its counters. */
	uint32_t service, packets, replies;
	uint64_t bytes;
};

static void count_service(struct mt_l4 *l, struct leaving *to)
{
	struct mt_l4_stats *s = &l->stats[to->service];

	mt_count_n(s->packets, 0, to->packets - to->replies);
	mt_count_n(s->packets, 1, to->replies);
	mt_count_n(&s->bytes, 0, to->bytes);
	to->packets = to->replies = 0;
	to->bytes = 0;
}

static mt_inline void count_leaving(
	struct mt_l4 *l, struct leaving *to, uint32_t service, bool reply, uint32_t len)
{
	if (mt_unlikely(service != to->service)) {
		count_service(l, to);
		to->service = service;
	}
	to->packets++;
	to->replies += reply;
	to->bytes += len;
}

/* Rewrites a packet of a flow, and adds it to those that leave, unless it must be refused. */
static mt_inline void leave(struct mt_l4 *l, const struct l4_pkt *p, uint32_t idx,
	const struct mt_net_dst *dst, struct leaving *to)
{
	struct l4_entry *e = &l->entries[idx];

	if (l4_is_too_big(l, p->m, dst, p->len)) {
		l4_refuse(l, p->m, MT_L4_too_big, MT_NET_ERROR_TOO_BIG, dst->mtu);
		return;
	}
	count(l, e);
	count_leaving(l, to, e->service & L4_SERVICE, idx & 1, p->len);
	rewrite(p, e, &l->entries[idx ^ 1]);
	to->m[to->n] = p->m;
	to->dst[to->n++] = dst;
}

/* Candidates after the first one. */
static mt_noinline uint32_t next_with(struct mt_l4 *l, struct l4_pkt *p)
{
	uint32_t idx;

	do {
		idx = mt_table_next(&l->table, &p->it);
	} while (idx != L4_NONE && !l4_key_is(&l->entries[idx], &p->key));
	return idx;
}

/* Takes a packet that changes only counters. False: late() must take it. Sets p->idx. */
static mt_inline bool take(struct mt_l4 *l, struct l4_pkt *p, struct leaving *to)
{
	const struct mt_net_dst *dst;
	struct l4_entry *e;
	uint32_t plain;

	if (mt_unlikely(p->idx == L4_NONE))
		return false;
	e = &l->entries[p->idx];
	if (mt_unlikely(!l4_key_is(e, &p->key))) {
		p->idx = next_with(l, p);
		if (p->idx == L4_NONE)
			return false;
		e = &l->entries[p->idx];
	}
	plain = e->service & p->plain;
	dst = l4_known_hop(l, e);
	if (mt_unlikely(!plain || !dst))
		return false;
	if (!l4_is_within(l, p, p->idx))
		return true;
	if (mt_likely(plain == L4_PLAIN))
		leave(l, p, p->idx, dst, to);
	else
		to->sent += l4_one_way(l, p->m, p->idx, true);
	return true;
}

/* ---- other packets of a flow --------------------------------------------------------------- */

/* Takes the packet; true: it was sent. */
static bool forward(struct mt_l4 *l, struct l4_pkt *p, uint32_t idx)
{
	struct l4_entry *e = &l->entries[idx];
	const struct mt_net_dst *dst;
	struct mt_l4_stats *s;

	dst = l4_way_out(l, p->m, idx, 0);
	if (mt_unlikely(!dst))
		return false;
	/* A packet that may change its flow is noted. */
	if (e->service & p->plain)
		count(l, e);
	else if (l4_is_tcp(p->m))
		l4_segment(l, p->m, idx);
	else
		l4_note_datagram(l, idx);
	s = &l->stats[e->service & L4_SERVICE];
	mt_count(s->packets, idx & 1);
	mt_count_n(&s->bytes, 0, p->len);
	rewrite(p, e, &l->entries[idx ^ 1]);
	return mt_net_forward(l->net, p->m, dst);
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

/* Handles a packet that take() did not take. `changes`: mt_l4.changes before the burst. */
static mt_noinline uint32_t late(struct mt_l4 *l, struct l4_pkt *p, uint32_t changes)
{
	uint32_t idx = p->idx;

	if (!l4_key_is6(&p->key))
		p->key.q[1] = p->key.q[2] = p->key.q[3] = 0;
	/* An earlier packet of the burst may have made or removed it. */
	if (l->changes != changes)
		idx = l4_find(l, &p->key, p->hash);
	idx = enter(l, p, idx);
	if (idx == L4_NONE)
		return 0;
	return l->entries[idx].service & L4_ONE_WAY ? l4_one_way(l, p->m, idx, false)
						    : forward(l, p, idx);
}

/* ---- the burst ----------------------------------------------------------------------------- */

/* Takes a packet that is not whole, or an ICMP error, or drops a malformed one. */
static mt_noinline void take_other(struct mt_l4 *l, struct rte_mbuf *m)
{
	if (l4_is_fragment(m))
		l4_fragment(l, m);
	else if ((m->packet_type & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_ICMP)
		l4_icmp(l, m);
	else
		drop_malformed(l, m);
}

static mt_inline bool has_ports(const struct rte_mbuf *m)
{
	return (m->packet_type & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_UDP || l4_is_tcp(m);
}

/* The packets with a possible header of UDP or TCP; takes the others. */
static uint32_t read_all(struct mt_l4 *l, struct l4_pkt *p, struct rte_mbuf **pkts, uint16_t n)
{
	struct l4_pkt *at = p;

	for (uint16_t i = 0; i < n; i++) {
		if (mt_unlikely(!has_ports(pkts[i]) || !parse(l, at, pkts[i]))) {
			take_other(l, pkts[i]);
			continue;
		}
		at->it.b = mt_table_bucket(&l->table, at->hash);
		__builtin_prefetch(at->it.b);
		at++;
	}
	return (uint32_t)(at - p);
}

/* Finds the first candidate in the bucket, and reads ahead what its packet needs. */
static mt_inline void find(struct mt_l4 *l, struct l4_pkt *p)
{
	p->it.tag = mt_table_tag(p->hash);
	p->it.mask = mt_table_match(p->it.b, p->it.tag);
	p->idx = mt_table_next(&l->table, &p->it);
	if (l->limits) {
		p->source = 0;
		if (!(p->idx & 1))
			l4_limit_prefetch(l, p);
	}
	if (mt_unlikely(p->idx == L4_NONE))
		return;
	__builtin_prefetch(&l->entries[p->idx], 1);
	if (mt_unlikely(l4_key_is6(&p->key)))
		__builtin_prefetch(&l->entries[p->idx ^ 1]);
}

static void burst(struct mt_l4 *l, struct rte_mbuf **pkts, uint16_t n)
{
	/* A fragment may grow the table after the bucket of a packet was chosen. */
	const uint32_t changes = l->changes;
	struct l4_pkt p[L4_BURST], *others[L4_BURST];
	uint32_t n_others = 0, whole = read_all(l, p, pkts, n);
	struct leaving to;

	/* The arrays stay as they are: to clear them costs as much as a packet. */
	to.n = to.sent = to.service = to.packets = to.replies = 0;
	to.bytes = 0;
	for (uint32_t i = 0; i < whole; i++)
		find(l, &p[i]);
	for (uint32_t i = 0; i < whole; i++)
		if (mt_unlikely(!take(l, &p[i], &to)))
			others[n_others++] = &p[i];
	count_service(l, &to);
	to.sent += mt_net_forward_burst(l->net, to.m, to.dst, (uint16_t)to.n);
	for (uint32_t i = 0; i < n_others; i++)
		to.sent += late(l, others[i], changes);
	mt_count_n(l->counters, MT_L4_forwarded, to.sent);
}

void mt_l4_input(struct mt_l4 *l, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t at = 0; at < n; at = (uint16_t)(at + L4_BURST))
		burst(l, pkts + at, (uint16_t)MT_MIN(n - at, L4_BURST));
	if (mt_unlikely(l->n_dropped))
		l4_free_dropped(l);
}
