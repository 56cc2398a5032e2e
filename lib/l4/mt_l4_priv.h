/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/l4. A flow is a pair of entries in adjacent cache lines: the even one has the tuple of
 * packets from the client as its key, the odd one that of packets from the endpoint. A packet's new
 * tuple is the reverse of the other entry's key. IPv4 entries also hold their own new addresses, so
 * that a packet touches one line only.
 */
#pragma once

#include "mt_l4.h"
#include "mt_l4_health_priv.h"
#include "mt_l4_limit_priv.h"
#include "mt_rand.h"
#include "mt_table.h"

#include <netinet/in.h>
#include <string.h>
#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#define L4_NONE MT_TABLE_NONE

#define L4_BURST	  32
#define L4_DROPPED	  64	  /* buffers that are freed together */
#define L4_PARKED	  128	  /* packets that wait for a neighbour */
#define L4_PARKED_REPLIES 64	  /* of these to clients, because a sender may forge many */
#define L4_PARKED_HOP	  16	  /* of these for one next hop */
#define L4_RETRY	  MT_MSEC /* between two tries to send them */
#define L4_HOP_BITS	  10
#define L4_HOPS		  (1 << L4_HOP_BITS)
#define L4_HOP_WAYS	  4u
#define L4_PORTS_LO	  1024 /* ports of clients that must be changed are replaced by these */
#define L4_PORTS_HI	  65535
#define L4_HINT_BITS	  10
#define L4_CLIENTS	  4096 /* counts of clients' flows: a power of two, at most 65,536 */

/* Times of entries: units of 2^20 ns, about a millisecond. */
#define L4_TICK_SHIFT 20
#define L4_TICKS(ns)  ((uint32_t)((ns) >> L4_TICK_SHIFT))

/*
 * A tuple as the packet has it, in network byte order. IPv4: q[0] has source and destination.
 * IPv6: q[0], q[1] the source, q[2], q[3] the destination. q[4]: ports, protocol, and L4_KEY6.
 */
struct l4_key {
	uint64_t q[5];
};

#define L4_KEY6		(UINT64_C(1) << 40)
#define L4_KEY_PROTO(p) ((uint64_t)(p) << 32)

/* In l4_entry.service. */
#define L4_SERVICE 0x00ffffffu
#define L4_USED	   0x01000000u /* even entry: the pair holds a flow */
/* Odd entry: the endpoint has answered, or in one-way modes a second packet has come. */
#define L4_CONFIRMED 0x02000000u
#define L4_KEPT	     0x04000000u /* odd entry: the flow is not evicted (share.c) */
/*
 * A packet with this entry's key changes nothing else, unless it is a TCP segment with SYN, FIN or
 * RST.
 */
#define L4_PLAIN 0x08000000u
/* Even entry: the flow is of a one-way mode, and its odd entry is not in the table (oneway.c). */
#define L4_ONE_WAY 0x10000000u
/* Even entry: as L4_PLAIN, which a flow of a one-way mode never has there. */
#define L4_ONE_WAY_PLAIN 0x20000000u
/* Even entry: a connection that the service's limit counts (limit_connections.c). */
#define L4_COUNTED 0x40000000u

struct l4_entry {
	union {
		struct l4_key key;
		struct {
			uint64_t ends;
			union { /* new addresses of an IPv4 packet */
				struct {
					uint32_t src, dst;
				};
				uint64_t to;
			};
			uint64_t none[2];
			uint64_t ports;
		} v4;
	};
	union {
		struct {
			union { /* new ports, in network byte order */
				struct {
					uint16_t sport, dport;
				};
				uint32_t ports;
			};
			/*
			 * Added to the complement of a checksum, as the words lie in memory. The
			 * IPv4 header's includes that the TTL falls by 1.
			 */
			uint16_t l4_sum, ip_sum;
		};
		uint8_t mode; /* enum mt_l4_mode, if L4_ONE_WAY */
	};
	uint32_t service; /* id, and the bits above */
	uint32_t hop;	  /* the next hop, valid while l4_hop.name is this; 0: none */
	union {
		struct {
			uint32_t seen; /* tick of the last packet */
			uint32_t packets;
		};
		/* Odd entry of a flow that is not kept: its place among those, as pair + 1. */
		struct {
			uint32_t newer, older;
		};
		/* Even entry of a free pair: pair + 1. */
		uint32_t next_free;
	};
};

_Static_assert(sizeof(struct l4_entry) == MT_CACHE_LINE, "one cache line");

/* In l4_tcp.fin. */
#define L4_FIN_SENT  1
#define L4_FIN_ACKED 2
#define L4_FIN_EXACT 3 /* acknowledged by its own number */

/* A TCP flow's state (tcp.c). Segments of an established flow do not touch it. */
struct l4_tcp {
	uint32_t syn; /* number after the client's last SYN */
	/*
	 * Of the client [0] and the server [1]:
	 * - TCP after a FIN: the number after it.
	 * - TCP before, at [1]: the number after the server's last SYN-ACK.
	 * - MT_L4_SYN_RECEIVED, at [0]: the number after the SYN-ACK before that one.
	 * - UDP (leave.c), at [1]: the tick of the endpoint's last packet, if it has answered and
	 *   the flow is not kept.
	 */
	uint32_t end[2];
	/*
	 * Timestamp of a recent segment of the client, if has_stamp. Of UDP (leave.c): tick at which
	 * the sweep found the endpoint unhealthy or, if `spoke`, that of the client's first packet
	 * after the endpoint's last one.
	 */
	uint32_t stamp;
	uint8_t state;	       /* enum mt_l4_state */
	uint8_t fin[2];	       /* 0 to L4_FIN_EXACT */
	uint8_t before : 4;    /* the state before MT_L4_RESET */
	uint8_t reset_by : 1;  /* 0: the client, 1: the server */
	bool server_first : 1; /* the first FIN was the server's */
	bool has_stamp : 1;
	bool again : 1;	   /* a SYN of the client has no SYN-ACK yet */
	bool exact : 1;	   /* the receiver of the reset accepts it */
	bool over : 1;	   /* an exact reset was the server's */
	bool open : 1;	   /* the handshake was complete, and the flow has not come to rest since */
	bool spoke : 1;	   /* of UDP: the endpoint has sent since it was found unhealthy */
	bool early : 1;	   /* the client's first acknowledgement of the SYN-ACK had data */
	uint16_t first;	   /* if `again`: lower half of the number after the first of these SYNs */
	uint32_t endpoint; /* mt_l4_endpoint.index */
};

struct l4_hop {
	struct mt_net_dst dst;
	uint32_t name; /* its place in mt_l4.hops, and above L4_HOP_BITS a stamp that is not 0 */
	bool has_source;
	struct mt_addr source; /* of tunnels, if has_source */
} mt_cache_aligned;

struct l4_parked {
	struct rte_mbuf *m;
	uint64_t until;
	uint32_t hop; /* struct mt_net_dst.neigh */
	bool reply;
};

/* Kept flows (share.c). */
struct l4_shares {
	uint32_t max;
	uint32_t kept; /* other threads read it */
	uint32_t clients[2][L4_CLIENTS];
	uint32_t services[MT_L4_SERVICES_MAX];
};

struct mt_l4 {
	const struct mt_l4_set *set;
	/* Of the set, by service; NULL: no service has limits. */
	struct l4_limits *const *limits;
	uint64_t generation;  /* of the set: another one may have its address; 0: none */
	uint32_t health_seen; /* mt_l4_health.changes at the last sweep's start */
	struct mt_netw *net;
	const struct mt_steer *steer;
	struct l4_entry *entries; /* two for each pair */
	struct l4_tcp *tcp;	  /* one for each pair */
	struct mt_table table;
	uint32_t changes; /* of the table */
	uint64_t now;
	uint32_t tick;
	uint32_t net_gen;
	uint16_t worker;
	uint64_t secret[2];
	struct mt_rand rand;
	/* new.c: searches for a port of nat-full beyond a flow's first, and when they were counted. */
	uint32_t searches, search_tick;
	uint32_t max;		 /* pairs */
	uint32_t fresh;		 /* pairs from here on were never used */
	uint32_t free;		 /* pair + 1 */
	uint32_t used;		 /* pairs; other threads read it */
	uint32_t unkept;	 /* pairs; the oldest gives way to a new flow */
	uint32_t oldest, newest; /* of those, as pair + 1 */
	struct l4_shares shares;
	struct l4_limits_own limiting;
	struct l4_fragments *fragments; /* fragment.c */
	uint16_t tunnel_id;		/* tunnel.c */
	/* age.c */
	uint32_t at;	   /* next pair to check */
	uint32_t to_check; /* pairs left to compare with a new set */
	uint32_t *hints;   /* [1 << L4_HINT_BITS]: where endpoints were found, by their hash */
	uint64_t swept;	   /* when the last check was */
	uint32_t n_parked;
	uint64_t retried;
	uint64_t park_until; /* of a packet that is being retried; 0: none */
	struct l4_parked parked[L4_PARKED];
	struct l4_hop hops[L4_HOPS];
	uint32_t hop_turn; /* which of a full set gives way */
	/* health.c */
	struct mt_l4_health *health; /* NULL: endpoints are not checked */
	const struct mt_l4_check_ops *check_ops;
	void *check_arg;
	struct l4_checked *checked; /* [MT_L4_INDEXES_MAX], touched as endpoints are checked */
	uint64_t check_began;	    /* when the pass over the set's checks began */
	uint32_t check_passes;	    /* complete ones; without checks, loop iterations */
	struct l4_turns turns;
	struct mt_l4_stats *stats; /* [MT_L4_SERVICES_MAX] */
	uint64_t *owners;	   /* mt_l4_service.owner of these */
	uint64_t *rules;	   /* [MT_L4_RULES_MAX]: mt_l4_rule_packets() */
	uint64_t *rule_owners;	   /* mt_l4_rule.owner of these */
	/* Dropped packets, until the end of mt_l4_input() or mt_l4_tick(). */
	uint32_t n_dropped;
	struct rte_mbuf *dropped[L4_DROPPED];
	uint64_t counters[MT_L4_N_OUTCOMES] mt_cache_aligned;
};

/* A packet on its way through the stages. */
struct l4_pkt {
	struct rte_mbuf *m;
	struct l4_key key;
	uint32_t hash;
	uint32_t idx; /* candidate entry */
	struct mt_table_iter it;
	uint64_t source; /* its hash, for limits; 0: not computed */
	uint32_t leaves; /* l4_new(): the flow that its new one replaces, as pair + 1; 0: none */
	bool opens;	 /* l4_opens(): a SYN of TCP without ACK, FIN and RST */
	/* Only of packets in input.c: */
	uint32_t len;	  /* of the IP packet */
	uint32_t plain;	  /* marks of an entry with which the packet changes only its counters */
	uint8_t *l3, *l4; /* the IP header and the transport header */
};

static inline void l4_count(struct mt_l4 *l, enum mt_l4_outcome o)
{
	mt_count(l->counters, o);
}

/* Returns the buffers of dropped packets to their pools. */
void l4_free_dropped(struct mt_l4 *l);

/* Frees a packet, with others: a flood of them costs the pool one access for each burst. */
static mt_inline void l4_free(struct mt_l4 *l, struct rte_mbuf *m)
{
	if (mt_unlikely(l->n_dropped == L4_DROPPED))
		l4_free_dropped(l);
	l->dropped[l->n_dropped++] = m;
}

/* Counts and frees. */
static mt_inline void l4_drop(struct mt_l4 *l, struct rte_mbuf *m, enum mt_l4_outcome o)
{
	mt_count(l->counters, o);
	l4_free(l, m);
}

/* l4.c: counts a packet that the node drops for the node and for its service; and frees it. */
void l4_count_lost(struct mt_l4 *l, enum mt_l4_outcome o, uint32_t service);
void l4_lose(struct mt_l4 *l, struct rte_mbuf *m, enum mt_l4_outcome o, uint32_t service);

/* TTL or hop limit of the packet. */
static inline uint8_t l4_hops_left(const struct rte_mbuf *m)
{
	const uint8_t *l3 = rte_pktmbuf_mtod_offset(m, const uint8_t *, m->l2_len);

	return l3[RTE_ETH_IS_IPV4_HDR(m->packet_type) ? offsetof(struct rte_ipv4_hdr, time_to_live)
						      : offsetof(struct rte_ipv6_hdr, hop_limits)];
}

static mt_inline bool l4_is_tcp(const struct rte_mbuf *m)
{
	return (m->packet_type & RTE_PTYPE_L4_MASK) == MT_NET_PTYPE_SEGMENT;
}

static mt_inline bool l4_is_fragment(const struct rte_mbuf *m)
{
	return (m->packet_type & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_FRAG;
}

/* Flags of a packet with a TCP header. */
static mt_inline uint8_t l4_tcp_flags(const struct rte_mbuf *m)
{
	const struct rte_tcp_hdr *tcp =
		rte_pktmbuf_mtod_offset(m, const void *, m->l2_len + m->l3_len);

	return tcp->tcp_flags;
}

/* True for a SYN without ACK, FIN and RST. */
static mt_inline bool l4_opens(uint8_t tcp_flags)
{
	return (tcp_flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_FIN_FLAG |
				    RTE_TCP_RST_FLAG)) == RTE_TCP_SYN_FLAG;
}

/* ---- the rewrite --------------------------------------------------------------------------- */

/* RFC 1624, equation 3; words as they lie in memory. */
static inline uint16_t l4_adjusted(uint16_t sum, uint16_t delta)
{
	uint32_t s = (uint32_t)(uint16_t)~sum + delta;

	return (uint16_t) ~((s & 0xffff) + (s >> 16));
}

static mt_inline void l4_rewrite_udp(struct rte_udp_hdr *udp, const struct l4_entry *e)
{
	uint16_t sum;

	memcpy(udp, &e->ports, sizeof(e->ports));
	if (udp->dgram_cksum == 0)
		return; /* the sender computed none */
	sum = l4_adjusted(udp->dgram_cksum, e->l4_sum);
	udp->dgram_cksum = sum ? sum : UINT16_MAX;
}

static mt_inline void l4_rewrite_tcp(struct rte_tcp_hdr *tcp, const struct l4_entry *e)
{
	memcpy(tcp, &e->ports, sizeof(e->ports));
	tcp->cksum = l4_adjusted(tcp->cksum, e->l4_sum);
}

/* ---- keys ---------------------------------------------------------------------------------- */

static inline bool l4_key_is6(const struct l4_key *k)
{
	return (k->q[4] & L4_KEY6) != 0;
}

/* The hash of q[0] and q[4], which is that of an IPv4 key but for l4_hash_end(). */
static mt_inline uint64_t l4_hash_start(const struct mt_l4 *l, uint64_t q0, uint64_t q4)
{
	return mt_fold64(q0 ^ l->secret[0], q4 ^ l->secret[1]);
}

static mt_inline uint32_t l4_hash_end(const struct mt_l4 *l, uint64_t h)
{
	h = mt_fold64(h ^ l->secret[1], UINT64_C(0x9e3779b97f4a7c15));
	return (uint32_t)(h ^ h >> 32);
}

/* Keyed, so that clients cannot aim at one bucket. */
static inline uint32_t l4_hash(const struct mt_l4 *l, const struct l4_key *k)
{
	uint64_t h = l4_hash_start(l, k->q[0], k->q[4]);

	if (mt_unlikely(l4_key_is6(k)))
		h ^= mt_fold64(k->q[1] ^ l->secret[1], k->q[2] ^ mt_rotl64(l->secret[0], 31)) +
		     (k->q[3] ^ l->secret[1]) * UINT64_C(0xa0761d6478bd642f);
	return l4_hash_end(l, h);
}

static inline bool l4_key_is(const struct l4_entry *e, const struct l4_key *k)
{
	if (((e->key.q[0] ^ k->q[0]) | (e->key.q[4] ^ k->q[4])) != 0)
		return false;
	if (mt_likely(!l4_key_is6(k)))
		return true;
	return ((e->key.q[1] ^ k->q[1]) | (e->key.q[2] ^ k->q[2]) | (e->key.q[3] ^ k->q[3])) == 0;
}

static inline struct mt_addr l4_key_src(const struct l4_key *k)
{
	if (!l4_key_is6(k))
		return mt_addr4((uint32_t)k->q[0]);
	return (struct mt_addr){.q = {k->q[0], k->q[1]}};
}

static inline struct mt_addr l4_key_dst(const struct l4_key *k)
{
	if (!l4_key_is6(k))
		return mt_addr4((uint32_t)(k->q[0] >> 32));
	return (struct mt_addr){.q = {k->q[2], k->q[3]}};
}

static inline uint16_t l4_key_sport(const struct l4_key *k)
{
	return rte_be_to_cpu_16((uint16_t)k->q[4]);
}

static inline uint16_t l4_key_dport(const struct l4_key *k)
{
	return rte_be_to_cpu_16((uint16_t)(k->q[4] >> 16));
}

static inline uint8_t l4_key_proto(const struct l4_key *k)
{
	return (uint8_t)(k->q[4] >> 32);
}

/* Also true for fragments without a TCP header. */
static inline bool l4_key_is_tcp(const struct l4_key *k)
{
	return l4_key_proto(k) == IPPROTO_TCP;
}

/* The mode in which the flow was made. */
static inline enum mt_l4_mode l4_mode_of(const struct l4_entry *pair)
{
	struct mt_addr client, source;

	if (pair[0].service & L4_ONE_WAY)
		return (enum mt_l4_mode)pair[0].mode;
	client = l4_key_src(&pair[0].key);
	source = l4_key_dst(&pair[1].key);
	return mt_addr_eq(&client, &source) ? MT_L4_NAT : MT_L4_NAT_FULL;
}

struct l4_ranges {
	struct mt_addr_range *v; /* sorted, disjoint; IPv4 first */
	uint32_t *rules;	 /* by range: mt_l4_network.rule */
	uint32_t n4, n;
};

struct mt_l4_sources {
	struct l4_ranges allow; /* empty: all */
	struct l4_ranges deny;
};

/* compile_sources.c: *out: the clients that may use the service; NULL: all. 0 or -ENOMEM. */
int l4_sources_make(const struct mt_l4_service_conf *c, struct mt_l4_sources **out);
void l4_sources_free(struct mt_l4_sources *s);
/* Lists the networks of all services that are counted. 0 or -ENOMEM. */
int l4_rules_list(struct mt_l4_set *s, const struct mt_l4_conf *c);
/* Copies the clients of endpoints. 0 or -ENOMEM. */
int l4_clients_copy(const struct mt_l4_service_conf *c, struct mt_l4_service *to);
void l4_clients_free(struct mt_l4_service *s);
/*
 * compile_group.c: *out: the endpoints of one family; NULL: there is none. `clients` are those of
 * the service in the set. 0, -ENOMEM or -E2BIG.
 */
int l4_group_make(const struct mt_l4_service_conf *c, bool is4,
	const struct mt_addr_ranges *clients, struct mt_l4_group **out);
void l4_group_free(struct mt_l4_group *g);
/* compile_checks.c: an endpoint of the service, without its place in the table. */
struct mt_l4_endpoint l4_endpoint_of(
	const struct mt_l4_service_conf *c, const struct mt_l4_endpoint_conf *e);
/* Lists the endpoints that are checked. 0 or -ENOMEM. */
int l4_checks_list(struct mt_l4_set *s, const struct mt_l4_conf *c);

/* True if an endpoint failed its health checks. */
static inline bool l4_is_unhealthy(const struct mt_l4_endpoint *e)
{
	return e->unhealthy && __atomic_load_n(e->unhealthy, __ATOMIC_RELAXED);
}

/* Index of the endpoint for a hash, whatever its health. */
static inline uint32_t l4_slot(const struct mt_l4_group *g, uint64_t hash)
{
	return mt_maglev_at(&g->table, hash % g->table.size);
}

/* True if policies let packets of the client through to the endpoint. */
static inline bool l4_is_let_through(const struct mt_l4_endpoint *e, const struct mt_addr *client)
{
	return mt_likely(!e->clients) || mt_ranges_have(e->clients, client);
}

/* set.c */
/*
 * Index of the endpoint of a TCP connection without a flow that began earlier, whatever its health:
 * for a while after a change of endpoints that of the table before, if the service still has it.
 */
uint32_t l4_slot_of_rest(const struct mt_l4_group *g, uint64_t hash, uint64_t now);
/* True if the client may use the service. *rule: of the network that decides; 0: none counts. */
bool l4_sources_find(const struct mt_l4_sources *s, const struct mt_addr *client, uint32_t *rule);
/*
 * Conditions of a row for flows of a client: for new ones, for those that exist after a change, and
 * for packets without one. Returns why there is none, MT_L4_closed_by_policy or
 * MT_L4_source_denied; MT_L4_N_OUTCOMES: there may be one. *rule: as l4_sources_find().
 */
static inline enum mt_l4_outcome l4_may_begin(
	const struct mt_l4_row *r, const struct mt_addr *client, uint32_t *rule)
{
	*rule = 0;
	if (mt_unlikely(r->closed))
		return MT_L4_closed_by_policy;
	if (mt_unlikely(r->sources) && !l4_sources_find(r->sources, client, rule))
		return MT_L4_source_denied;
	return MT_L4_N_OUTCOMES;
}

/* flow.c */
struct l4_key l4_make_key(const struct mt_addr *src, uint16_t sport, const struct mt_addr *dst,
	uint16_t dport, uint8_t proto);
/* The entry of a tuple, or L4_NONE. */
uint32_t l4_find(const struct mt_l4 *l, const struct l4_key *k, uint32_t hash);
uint32_t l4_hash_of(void *arg, uint32_t idx);
/* True if another flow that is not kept would cost the oldest of them its place. */
static inline bool l4_is_crowded(const struct mt_l4 *l)
{
	return l->unkept >= l->max - l->shares.max;
}
/*
 * Adds a flow: packets from the client have the key `in`, those from the endpoint `back`. Returns
 * its even entry, or L4_NONE without space.
 */
uint32_t l4_add(
	struct mt_l4 *l, const struct l4_key *in, const struct l4_key *back, uint32_t service);
/* The same of a one-way mode: no packet has the key `back`, which names the endpoint. */
uint32_t l4_add_one_way(struct mt_l4 *l, const struct l4_key *in, const struct l4_key *back,
	uint32_t service, enum mt_l4_mode mode);
void l4_remove(struct mt_l4 *l, uint32_t pair);
/* Notes the endpoint's first answer; the flow becomes the newest of those that are not kept. */
void l4_confirm(struct mt_l4 *l, uint32_t pair);
/* Makes a kept flow the newest of those that are not kept. */
void l4_unkeep(struct mt_l4 *l, uint32_t pair);
/*
 * Keeps a flow that is not kept, because the endpoint has answered or, in one-way modes, because
 * its packets would go elsewhere without it. False: its client or service keeps its share already,
 * and the flow is the newest of those that are not kept.
 */
bool l4_keep(struct mt_l4 *l, uint32_t pair);
/* Notes a packet of UDP in its flow; a reply has the flow kept. */
void l4_note_datagram(struct mt_l4 *l, uint32_t idx);

/* age.c: time without packets after which the flow ends, in ticks; and whether that is over. */
uint32_t l4_timeout(const struct mt_l4 *l, uint32_t pair);
bool l4_is_expired(const struct mt_l4 *l, uint32_t pair);
/* Time since the last packet, in ticks. */
uint32_t l4_idle(const struct mt_l4 *l, uint32_t pair);
/*
 * Time since the last packet, in ticks + 1, of a flow that gives its port to a new one when no
 * other is free; 0: it keeps it. UDP without a reply gives it, TCP without a complete handshake,
 * and TCP that was reset and had no packet for 10 s.
 */
uint32_t l4_port_idle(const struct mt_l4 *l, uint32_t pair);
/* Removes a flow that gives its port, and counts it. */
void l4_take_port(struct mt_l4 *l, uint32_t pair);
/*
 * The endpoint of a flow and its row, if a new flow of the same client could be this one: the row
 * leads to the same service, no policy closes it, the client may use it and the endpoint, and the
 * endpoint is still one of them. Otherwise NULL.
 */
const struct mt_l4_endpoint *l4_endpoint_now(
	const struct mt_l4 *l, uint32_t pair, const struct mt_l4_row **row);
/* Counts and removes an expired flow. */
void l4_expire(struct mt_l4 *l, uint32_t pair);

/* leave.c: marks a flow by the health of its endpoint, after it may have changed. */
void l4_review(struct mt_l4 *l, uint32_t pair, const struct mt_l4_endpoint *e);
/* True if the packet needs another flow, as its endpoint is unhealthy and has not answered. */
bool l4_leaves(struct mt_l4 *l, const struct l4_pkt *p, uint32_t idx);
/* Counts and removes the flow of such a packet, once it is certain that the packet gets another. */
void l4_left(struct mt_l4 *l, uint32_t pair);

/* tcp.c: the state for the time-out of a flow; its own may result from forged segments. */
enum mt_l4_state l4_tcp_lasting(const struct l4_tcp *t);
/* The state of a new flow, which this SYN has made. */
void l4_tcp_open(struct mt_l4 *l, uint32_t pair, const struct rte_mbuf *m, uint32_t endpoint);
/* Notes a segment of a flow that may change its state, or the first fragment of one. */
void l4_segment(struct mt_l4 *l, const struct rte_mbuf *m, uint32_t idx);
/* Notes a later fragment of a segment. */
void l4_segment_rest(struct mt_l4 *l, uint32_t idx);
/* Notes that a segment in fragments had a FIN; `end` is the sequence number after it. */
void l4_segment_fin(struct mt_l4 *l, uint32_t idx, uint32_t end);
/* True if this SYN for an entry starts another connection, so that its flow can be removed. */
bool l4_reopens(struct mt_l4 *l, const struct rte_mbuf *m, uint32_t idx);

/* share.c: lets the flow be kept, unless its client or service has its share; and ends that. */
bool l4_share_take(struct mt_l4 *l, uint32_t pair);
void l4_share_return(struct mt_l4 *l, uint32_t pair);

/*
 * new.c: counts, answers with an ICMP error, and frees. A TCP segment gets a reset for
 * MT_NET_ERROR_PORT and MT_NET_ERROR_ADMIN.
 */
void l4_refuse(struct mt_l4 *l, struct rte_mbuf *m, enum mt_l4_outcome why, enum mt_net_error error,
	uint16_t mtu);
/* new.c: the same for a packet of the service that has no hop left. */
void l4_refuse_ttl(struct mt_l4 *l, struct rte_mbuf *m, uint32_t service);
/*
 * input.c: the entry of a packet that may make a flow, or change more of its own than counters;
 * L4_NONE: the packet was sent, parked, answered or dropped. `idx`: what l4_find() returns.
 */
uint32_t l4_enter(struct mt_l4 *l, struct l4_pkt *p, uint32_t idx);
/* Makes the flow of a packet without one; L4_NONE: the packet was answered or dropped. */
uint32_t l4_new(struct mt_l4 *l, struct l4_pkt *p);

/* Hash of a flow by its first packet's key, the same at each node. */
uint64_t l4_choice_hash(const struct l4_key *k, bool by_source);

#define L4_GUE_BYTES 12 /* UDP and GUE headers */

/* tunnel.c: bytes that the mode puts before a packet. */
static mt_inline uint16_t l4_overhead(enum mt_l4_mode mode, bool is4)
{
	uint16_t ip = is4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);

	if (mode == MT_L4_GUE)
		return (uint16_t)(ip + L4_GUE_BYTES);
	return mode == MT_L4_IPIP ? ip : 0;
}

/* Where packets of a flow of a one-way mode go. */
struct l4_way {
	enum mt_l4_mode mode;
	struct mt_addr endpoint;
	const struct l4_key *in; /* key of the flow; for an ICMP error: of the quoted one */
	uint32_t service;	 /* id */
};

/*
 * Makes the packet the payload of one to the endpoint. The space for its Ethernet header stays.
 * False: it was dropped.
 */
bool l4_encapsulate(
	struct mt_l4 *l, struct rte_mbuf *m, struct l4_hop *hop, const struct l4_way *way);

/*
 * oneway.c: makes the flow of a packet without one; L4_NONE: the packet was sent without a flow,
 * answered or dropped.
 */
uint32_t l4_one_way_new(struct mt_l4 *l, struct l4_pkt *p, const struct mt_l4_row *r,
	const struct mt_l4_endpoint *to);
/* True if packets of a flow of a one-way mode would go to the same endpoint without it. */
bool l4_is_home(const struct mt_l4 *l, uint32_t pair);
/*
 * Decides if a flow of a one-way mode with a second packet is kept. False: it should be, but its
 * client or service has its share.
 */
bool l4_one_way_settle(struct mt_l4 *l, uint32_t pair);
/*
 * Takes a packet of a flow of a one-way mode, or a fragment; true: it was sent. `plain`: it changes
 * only counters.
 */
bool l4_one_way(struct mt_l4 *l, struct rte_mbuf *m, uint32_t idx, bool plain);
/*
 * Takes an ICMP error about a packet that an endpoint has sent; `in` is the key of packets to it,
 * `idx` their entry or L4_NONE. False: the error is about another packet, and is left alone.
 */
bool l4_one_way_icmp(struct mt_l4 *l, struct rte_mbuf *m, const struct l4_key *in, uint32_t idx);

/* icmp.c: passes on an ICMP error about a packet of a flow, or drops it. */
void l4_icmp(struct mt_l4 *l, struct rte_mbuf *m);

/* The next hop of an entry's packets, part of a struct l4_hop; NULL: it is not known yet. */
static mt_inline const struct mt_net_dst *l4_known_hop(
	const struct mt_l4 *l, const struct l4_entry *e)
{
	const struct l4_hop *h = &l->hops[e->hop % L4_HOPS];

	return mt_likely(h->name == e->hop && h->dst.gen == l->net_gen) ? &h->dst : NULL;
}

/* hop.c: finds the next hop of an entry's packets; NULL: the packet was parked or dropped. */
const struct mt_net_dst *l4_resolve(struct mt_l4 *l, struct rte_mbuf *m, uint32_t idx);
/*
 * True if a packet that has `len` bytes when it leaves is too long for the way, which it is for the
 * path's MTU. Without DF routers may fragment it, so only the port's MTU counts.
 */
bool l4_is_too_long(const struct mt_l4 *l, const struct rte_mbuf *m, const struct mt_net_dst *dst,
	uint32_t len);
static mt_inline bool l4_is_too_big(
	const struct mt_l4 *l, const struct rte_mbuf *m, const struct mt_net_dst *dst, uint32_t len)
{
	return mt_unlikely(len > dst->mtu) && l4_is_too_long(l, m, dst, len);
}
/* Refuses a packet that is too long with `overhead` bytes before it; an ICMP error is dropped. */
void l4_refuse_too_big(
	struct mt_l4 *l, struct rte_mbuf *m, const struct mt_net_dst *dst, uint16_t overhead);
/*
 * The next hop of a packet of an entry, which leaves with `overhead` bytes before it; NULL: the
 * packet was parked, answered or dropped.
 */
static mt_inline const struct mt_net_dst *l4_way_out(
	struct mt_l4 *l, struct rte_mbuf *m, uint32_t idx, uint16_t overhead)
{
	const struct l4_entry *e = &l->entries[idx];
	const struct mt_net_dst *dst;

	if (mt_unlikely(l4_hops_left(m) <= 1)) {
		l4_refuse_ttl(l, m, e->service & L4_SERVICE);
		return NULL;
	}
	dst = l4_known_hop(l, e);
	if (mt_unlikely(!dst)) {
		dst = l4_resolve(l, m, idx);
		if (!dst)
			return NULL;
	}
	if (l4_is_too_big(l, m, dst, m->pkt_len - m->l2_len + overhead)) {
		l4_refuse_too_big(l, m, dst, overhead);
		return NULL;
	}
	return dst;
}
/*
 * True if a packet without a flow can leave for its endpoint, by *dst; otherwise it was parked,
 * answered or dropped. An ICMP error gets no answer.
 */
bool l4_reaches(
	struct mt_l4 *l, struct rte_mbuf *m, const struct l4_way *way, struct mt_net_dst *dst);
/* Sets the next hop of an entry's packets; returns it. */
const struct mt_net_dst *l4_set_hop(struct mt_l4 *l, uint32_t idx, const struct mt_net_dst *dst);
/*
 * Lets a packet wait for the neighbour of `hop`, or drops it; `reply`: it goes to a client. Once
 * the neighbour is known the packet is processed as if it came again.
 */
void l4_park(struct mt_l4 *l, struct rte_mbuf *m, uint32_t hop, bool reply, uint32_t service);
/* Tries again to send packets that wait for a neighbour. */
void l4_retry(struct mt_l4 *l);

/* fragment.c: datagrams in fragments, in zeroed memory of this size. 0 or -ENOMEM. */
size_t l4_fragments_size(void);
int l4_fragments_init(struct mt_l4 *l);
void l4_fragments_fini(struct mt_l4 *l);
/* Keeps, forwards or drops a fragment. */
void l4_fragment(struct mt_l4 *l, struct rte_mbuf *m);
/* Drops fragments that were kept for a second; and when that is due. */
void l4_fragments_tick(struct mt_l4 *l);
uint64_t l4_fragments_next(const struct mt_l4 *l);
/* True for fragments other than the first one. */
bool l4_is_later_fragment(const struct rte_mbuf *m);
/* True for the first fragment of a TCP segment, which has the whole TCP header. */
bool l4_is_first_of_tcp(const struct rte_mbuf *m);
/* True if the packet has a TCP header. */
static mt_inline bool l4_has_tcp(const struct rte_mbuf *m)
{
	return l4_is_tcp(m) || (mt_unlikely(l4_is_fragment(m)) && l4_is_first_of_tcp(m));
}

/* l4.c: pages of memory that are touched as they are used; NULL: none. */
void *l4_reserve(size_t len);

/* limit.c: true if the packet of a flow is within limits; otherwise it was dropped. */
static mt_inline bool l4_is_within(struct mt_l4 *l, struct l4_pkt *p, uint32_t idx)
{
	return mt_likely(!l->limits) || idx & 1 || l4_limit(l, p, idx);
}
