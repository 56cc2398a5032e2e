/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/net. Threads:
 * - struct mt_net's tables are written by the control thread (whole, by pointer swap).
 * - Neighbour entries are written by the owner worker, but any worker may claim a free one.
 * - struct mt_netw belongs to its worker, except for `learned` (read by the owner) and `used` (read
 *   and cleared by the owner).
 */
#pragma once

#include "mt_addr_hash.h"
#include "mt_net.h"
#include "mt_net_cksum.h"

#include <stdatomic.h>

#include <rte_arp.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>

#define NET_OWNER 0 /* the worker that owns the neighbour table */

/* ---- tables -------------------------------------------------------------------------------- */

struct net_route {
	struct mt_addr to;
	uint8_t prefix;
	bool is4;
	bool connected;
	uint16_t port;
	struct mt_addr via; /* unless connected */
};

struct net_addr {
	struct mt_addr addr;
	/* MT_NET_PORT_NONE: announced and answered on the port of its connected prefix */
	uint16_t port;
	uint8_t prefix;
	bool fresh;	 /* to be announced */
	bool leaving;	 /* still received, for existing connections, but no longer claimed */
	bool has_mac;	 /* for `bound` */
	uint8_t forward; /* NET_FORWARD_*: some packets for it are forwarded */
	struct rte_ether_addr mac;
};

/* Open addressing, at most half full; values are indices into `list` + 1. */
struct net_set {
	struct net_addr *list;
	uint32_t n;
	uint32_t mask;
	uint32_t *slots;
};

/* (address, port, protocol), open addressing, at most half full; port 0: free. */
struct net_rows {
	struct mt_net_row *slots;
	uint32_t n;
	uint32_t mask;
};

#define NET_FORWARD_ROWS 0x01 /* those of net_served.rows */
#define NET_FORWARD_NAT	 0x02 /* those to ports nat_lo to nat_hi, if the address is in `nat` */

/* Bits of net_served.row_ports: twice a power of two, for the ports of UDP and of TCP. */
#define NET_ROW_PORTS 8192u

/* Address sets that the control thread swaps as one when the configuration changes. */
struct net_served {
	struct net_set vips;
	struct net_set bound; /* workloads' addresses, each with the port by which it enters */
	/* Forwarded: destinations; sources of packets to foreign addresses; NAT addresses. */
	struct net_rows rows, servers;
	/* Bits by net_row_bit(). A bit is set if an address has a row for the port. */
	uint64_t row_ports[NET_ROW_PORTS / 64];
	struct net_set nat;
	struct net_set server_addrs; /* of `servers`: a later fragment has no port */
	uint16_t nat_lo, nat_hi;
	bool nat_tcp; /* NAT addresses take TCP as well */
};

/* Checks on a port's frames that come first. The common port has no flag. */
#define NET_PORT_PUNTS 0x01 /* it has an exception TAP, or is one */
#define NET_PORT_BOUND 0x02 /* sources are checked against `bound`: some port has `workloads` */

struct net_table {
	struct net_route *routes; /* longest prefix first */
	uint32_t n_routes;
	/* addresses of ports (including link-local ones) and sources */
	struct net_set own;
	uint32_t n_sources;	     /* the last ones of own.list */
	uint32_t gen;		     /* conf_gen of this table */
	uint8_t hop_limit;	     /* of TCP segments */
	uint8_t tos;		     /* DSCP, shifted into place; ECN 0 */
	uint8_t flags[MT_PORTS_MAX]; /* NET_PORT_* */
	struct mt_net_port_conf ports[MT_PORTS_MAX];
	uint16_t uplink[MT_PORTS_MAX]; /* if the port is an exception TAP: the port it belongs to */
};

/* Exactly one of the two is set. */
struct mt_net_old {
	struct net_table *table;
	struct net_served *served;
};

int net_set_init(struct net_set *s, uint32_t cap);
void net_set_fini(struct net_set *s);
static inline const struct net_addr *net_set_find(const struct net_set *s, const struct mt_addr *a)
{
	for (uint32_t i = mt_addr_hash(a) & s->mask; s->slots[i]; i = (i + 1) & s->mask) {
		const struct net_addr *e = &s->list[(size_t)s->slots[i] - 1];

		if (mt_addr_eq(&e->addr, a))
			return e;
	}
	return NULL;
}

/* Adds the address unless the set has it; must not exceed the capacity given at init. */
void net_set_add(struct net_set *s, const struct net_addr *a);
void net_table_free(struct net_table *t);
/* NULL is allowed. */
void net_served_free(struct net_served *s);
/* The best route, or NULL. */
const struct net_route *net_lookup(const struct net_table *t, const struct mt_addr *remote);
/* The connected route that holds the address, on `port` (or any: MT_NET_PORT_NONE), or NULL. */
const struct net_route *net_connected(
	const struct net_table *t, const struct mt_addr *a, uint16_t port);
/* True if a station of the port's link may have the address. */
bool net_is_on_link(const struct net_table *t, const struct mt_addr *a, uint16_t port);
/* The address of `port` to be used as a source towards `to`, or NULL. */
const struct net_addr *net_port_addr(
	const struct net_table *t, uint16_t port, const struct mt_addr *to);

/* ---- neighbours ---------------------------------------------------------------------------- */

#define NET_NEIGH_MAX  65536
#define NET_NEIGH_WAYS 8
/* Entries that the owner looks at together, when one of them is new or due. */
#define NET_NEIGH_GROUP	 64
#define NET_NEIGH_GROUPS (NET_NEIGH_MAX / NET_NEIGH_GROUP)
/* Entries that outsiders can cause may fill only this part of a bucket. */
#define NET_NEIGH_GUEST_WAYS (NET_NEIGH_WAYS / 2)
/* The same of entries that cost an outsider a handshake. */
#define NET_NEIGH_CLIENT_WAYS (NET_NEIGH_WAYS - 2)
#define NET_NEIGH_NONE	      UINT32_MAX
#define NET_NEIGH_NOBODY                                                                           \
	NET_NEIGH_MAX /* mt_net_dst.neigh of an answer to a station that has no entry */

enum net_neigh_state {
	NEIGH_FREE,
	NEIGH_CLAIMED,	  /* key is being written */
	NEIGH_NEW,	  /* waits for the owner */
	NEIGH_INCOMPLETE, /* solicited, no answer yet */
	NEIGH_FAILED,	  /* negative entry, for a short time */
	NEIGH_STALE,	  /* usable from here on: seen, not confirmed */
	NEIGH_REACHABLE,
	NEIGH_PROBE, /* usable, being solicited again */
};

/* User of an entry: the first of these that needs it. */
enum net_neigh_user {
	NET_NEIGH_OWN,	  /* the node */
	NET_NEIGH_CLIENT, /* an accepted connection; a station may forge many */
	NET_NEIGH_GUEST,  /* an outsider may have made it up */
	NET_NEIGH_USERS
};

/*
 * One word holds Ethernet address (bits 0-47), state (48-55) and version (56-63), so that a reader
 * gets all three at once. The key changes only together with the version: a reader compares the
 * key, then checks that the version is unchanged.
 */
struct net_neigh {
	_Atomic uint64_t word;
	_Atomic uint64_t key[2];
	_Atomic uint32_t port;
	_Atomic uint8_t user; /* enum net_neigh_user */
	/* A worker may have a destination with this address that `dst_gen` has not made stale. */
	_Atomic uint8_t cached;
} mt_cache_aligned;

static inline enum net_neigh_state neigh_state(uint64_t word)
{
	return (enum net_neigh_state)(word >> 48 & 0xff);
}

static inline uint8_t neigh_version(uint64_t word)
{
	return (uint8_t)(word >> 56);
}

static inline bool neigh_usable(uint64_t word)
{
	return neigh_state(word) >= NEIGH_STALE;
}

static inline uint64_t neigh_mac_bits(const struct rte_ether_addr *mac)
{
	uint64_t bits = 0;

	memcpy(&bits, mac, sizeof(*mac));
	return rte_le_to_cpu_64(bits);
}

static inline void neigh_mac(uint64_t word, struct rte_ether_addr *mac)
{
	uint64_t bits = rte_cpu_to_le_64(word);

	memcpy(mac, &bits, sizeof(*mac));
}

static inline uint64_t neigh_word(uint8_t version, enum net_neigh_state state, uint64_t mac_bits)
{
	return (uint64_t)version << 56 | (uint64_t)state << 48 | mac_bits;
}

/* The owner's notes on an entry. */
struct net_neigh_own {
	uint64_t due;  /* next action; MT_NEVER: none */
	uint64_t idle; /* usable, but no worker has used it since then */
	uint64_t hold; /* the Ethernet address does not change again before this */
	uint64_t next; /* that of the last change that waits for `hold`, as bits; 0: none */
	uint8_t tries; /* solicitations, */
	uint8_t sent;  /* and those of them that were not held back */
	uint8_t user;  /* enum net_neigh_user, as last seen */
	uint8_t version;
};

/* An observed address of a neighbour, queued for the owner. */
struct net_learn {
	struct mt_addr addr;
	uint16_t port;
	bool create;	/* make an entry if there is none */
	bool confirmed; /* it answered us: reachable */
	bool has_mac;
	bool override; /* may replace another Ethernet address */
	struct rte_ether_addr mac;
};

#define NET_LEARN_RING 64

/* Single producer (a worker), single consumer (the owner). */
struct net_learn_ring {
	_Atomic uint32_t head, tail;
	struct net_learn slots[NET_LEARN_RING];
};

struct mt_net {
	struct mt_port *ports[MT_PORTS_MAX];
	uint16_t n_ports;
	uint16_t workers;
	const struct mt_steer *steer;
	_Atomic(struct net_table *) table;
	_Atomic(struct net_served *) served;
	_Atomic uint32_t dst_gen;   /* grows when cached destinations are stale */
	_Atomic uint32_t conf_gen;  /* grows with each new table or VIP set */
	_Atomic uint32_t announced; /* the conf_gen whose announcements are done */
	_Atomic(struct mt_netw *) workers_part[MT_WORKERS_MAX];
	struct net_neigh *neigh;
	uint64_t key[2]; /* of the neighbours' buckets */
	/*
	 * The fields above are read with packets. Those below change with each new neighbour, which
	 * a flood of forged clients makes many of, so they have cache lines of their own.
	 */
	/* Grows when an entry became usable or failed; the owner writes it. */
	_Atomic uint32_t neigh_done mt_cache_aligned;
	/* Written by each worker that claims an entry: grows; entries that are not free; their bits */
	_Atomic uint32_t neigh_kick mt_cache_aligned;
	_Atomic uint32_t neigh_in_use;
	_Atomic uint64_t neigh_new[NET_NEIGH_GROUPS] mt_cache_aligned;
};

/* ---- one worker ---------------------------------------------------------------------------- */

/*
 * Packets waiting for one port, in three queues: segments of connections, forwarded packets, and
 * all others. The last two drop the newest packet when they are full.
 */
#define NET_TXQ	      512
#define NET_TXQ_OTHER 128

enum net_lane_kind { NET_LANE_TCP, NET_LANE_OTHER, NET_LANE_FORWARD, NET_LANES };

struct net_lane {
	uint16_t n;
	uint16_t done; /* within a flush: packets taken so far */
	struct rte_mbuf *m[NET_TXQ];
};

/* Queues that take turns while several hold packets, so that none starves another. */
struct net_txq {
	/* the port took less than it was offered: not offered again in this loop iteration */
	bool refused;
	uint8_t next;	   /* whose burst is next */
	uint64_t progress; /* when the port last took something, or the queues became non-empty */
	struct net_lane lane[NET_LANES];
};

static inline uint32_t net_txq_queued(const struct net_txq *q)
{
	return (uint32_t)q->lane[NET_LANE_TCP].n + q->lane[NET_LANE_OTHER].n +
	       q->lane[NET_LANE_FORWARD].n;
}

static inline bool net_txq_empty(const struct net_txq *q)
{
	return net_txq_queued(q) == 0;
}

#define NET_PMTU_SETS 64
#define NET_PMTU_WAYS 4

struct net_pmtu {
	struct mt_addr remote;
	uint64_t expires; /* 0: free */
	uint16_t mtu;
};

/* Token bucket for replies that outsiders can trigger. */
struct net_limit {
	uint64_t last;
	uint32_t tokens, burst, per_sec;
};

struct net_wait {
	uint32_t idx;
	uint8_t version;
};

/* State of the owner worker only. */
struct net_owner {
	uint64_t due; /* earliest entry */
	uint32_t kick_seen;
	uint32_t conf_seen, table_seen;
	bool announce_own;    /* announce own addresses too, not only VIPs */
	uint64_t announce_at; /* MT_NEVER: nothing to announce */
	uint32_t announce_next, announce_round;
	/* Solicitations of unknown neighbours, but of none of NET_NEIGH_OWN. */
	struct net_limit user_limit[NET_NEIGH_USERS][MT_PORTS_MAX];
	struct net_limit stale_limit;	      /* changes of dst_gen without delay */
	uint64_t stale_at;		      /* when the next delayed one is due; MT_NEVER: none */
	uint64_t group_due[NET_NEIGH_GROUPS]; /* earliest of a group */
	struct net_neigh_own neigh[NET_NEIGH_MAX];
};

/* A received burst at most, as long as the caller takes forwarded packets after each. */
#define NET_FORWARDED 256

struct mt_netw {
	struct mt_net *net;
	const struct net_table *table;
	const struct net_served *served;
	const struct net_set *vips; /* of `served` */
	uint8_t own_forward;	    /* NET_FORWARD_NAT if there are NAT addresses */
	bool has_servers;	    /* served->servers is not empty */
	uint16_t n_forwarded;
	struct rte_mbuf *forwarded[NET_FORWARDED]; /* for lib/l4 */
	struct mt_pools *pools;
	uint64_t now;
	uint32_t gen; /* of destinations; see mt_net_begin() */
	uint32_t pmtu_gen;
	uint32_t conf; /* net->conf_gen as read before the tables */
	uint32_t done_seen;
	uint16_t worker;
	const struct mt_net_events *events;
	void *events_arg;
	mt_net_udp_fn udp; /* NULL: no datagrams are served */
	void *udp_arg;
	struct mt_trace *trace; /* NULL: nothing is traced */
	struct mt_rand rand;
	struct net_limit echo_limit, error_limit;
	struct net_limit forward_limit; /* errors about packets that lib/l4 does not forward */
	struct net_limit reset_limit;	/* resets that answer them */
	struct net_limit too_big_limit; /* those that path MTU discovery of its clients needs */
	struct net_limit pass_limit;	/* errors about flows that lib/l4 passes on */
	struct net_limit stray_limit;	/* the same without a known flow */
	uint32_t n_pmtu;
	uint64_t pmtu_check;
	struct net_owner *owner; /* NULL but for the owner */
	struct net_learn_ring learned;
	uint32_t n_wait;
	uint64_t look_at;			 /* when `wait` may be looked through again */
	struct net_wait *wait, *wait_spare;	 /* NET_NEIGH_MAX each */
	uint8_t waiting[NET_NEIGH_MAX];		 /* on `wait` */
	_Atomic uint8_t used[NET_NEIGH_MAX + 1]; /* the last: sent to a station without an entry */
	struct net_pmtu pmtu[NET_PMTU_SETS][NET_PMTU_WAYS];
	struct net_txq tx[MT_PORTS_MAX];
	uint64_t counters[MT_NET_N_OUTCOMES] mt_cache_aligned;
};

/*
 * True if the address is this node's alone. A leaving address is local, so that its last packets
 * are received, but another node may already have it. Always inline, because every packet's source
 * is checked: the lookups in both sets then share one hash.
 */
static mt_inline bool net_is_ours(const struct mt_netw *w, const struct mt_addr *a)
{
	const struct net_addr *vip = net_set_find(w->vips, a);

	return (vip && !vip->leaving) || net_set_find(&w->table->own, a);
}

static inline void net_count(struct mt_netw *w, enum mt_net_outcome o)
{
	mt_count(w->counters, o);
}

/* Counts and frees. */
static inline void net_drop(struct mt_netw *w, struct rte_mbuf *m, enum mt_net_outcome o)
{
	mt_count(w->counters, o);
	mt_buf_free(m);
}

/* neigh.c */
uint32_t net_neigh_find(
	const struct mt_net *net, uint16_t port, const struct mt_addr *a, uint64_t *word);
/* Finds or claims; `ways` bounds how full a bucket may get. NET_NEIGH_NONE: full. */
uint32_t net_neigh_get(
	struct mt_net *net, uint16_t port, const struct mt_addr *a, uint32_t ways, uint64_t *word);
/* Notes that a destination with the entry's word is cached. */
void net_neigh_cache(struct mt_netw *w, uint32_t idx, uint64_t word);
/* As net_neigh_get() for an entry that is there: it may have had a lesser user so far. */
void net_neigh_need(struct mt_net *net, uint32_t idx, uint32_t ways);
void net_neigh_wait(struct mt_netw *w, uint32_t idx, uint64_t word);
void net_neigh_events(struct mt_netw *w);
/* neigh_owner.c */
void net_learn(struct mt_netw *w, const struct net_learn *l);
void net_owner_tick(struct mt_netw *w);
uint64_t net_owner_next(const struct mt_netw *w);
struct net_owner *net_owner_create(void);
/* announce.c */
void net_announce_tick(struct mt_netw *w);

/* pmtu.c */
uint16_t net_pmtu(const struct mt_netw *w, const struct mt_addr *remote, uint16_t mtu);
void net_pmtu_tick(struct mt_netw *w);

/* tx.c */
/* Queues the packet, or drops and counts it; takes it in any case. */
void net_tx(struct mt_netw *w, uint16_t port, struct rte_mbuf *m);
/*
 * True if there is room for one more packet other than a segment of a connection, after a flush if
 * necessary. If there is none, counts a drop.
 */
bool net_tx_other_room(struct mt_netw *w, uint16_t port);
/* True if there is room for one more forwarded packet, after a flush if necessary. */
bool net_tx_forward_room(struct mt_netw *w, uint16_t port);
/* The queue must have room. */
void net_tx_put(struct mt_netw *w, uint16_t port, enum net_lane_kind kind, struct rte_mbuf *m);
/* Frees the queued packets. */
void net_txq_drop(struct net_txq *q);

/* input.c: processes a burst while nothing is traced */
uint16_t net_input(struct mt_netw *w, struct mt_port *port, struct rte_mbuf **pkts, uint16_t n,
	struct rte_mbuf **tcp);
uint16_t net_input_handed(
	struct mt_netw *w, struct rte_mbuf **pkts, uint16_t n, struct rte_mbuf **tcp);

/* trace.c: processes packet by packet. port NULL: handed over by other workers. */
uint16_t net_trace_input(struct mt_netw *w, struct mt_port *port, struct rte_mbuf **pkts,
	uint16_t n, struct rte_mbuf **tcp);
/* Offers packets to the port one by one until it refuses one; returns how many it took. */
uint16_t net_trace_tx(struct mt_netw *w, struct mt_port *port, struct rte_mbuf **m, uint16_t n);

/* frame.c */
/* Writes Ethernet (and VLAN) header; returns its length (14 or 18). */
uint8_t net_l2_write(const struct mt_netw *w, uint16_t port, const struct rte_ether_addr *to,
	uint16_t ethertype, uint8_t l2[18]);
/* A control mbuf with the L2 header written and `len` zeroed bytes after it, at *payload. */
struct rte_mbuf *net_frame(struct mt_netw *w, uint16_t port, const struct rte_ether_addr *to,
	uint16_t ethertype, uint16_t len, void **payload);
/*
 * Returns the packet in mbufs that only the caller references, with its first `need` bytes
 * contiguous; NULL: dropped.
 */
struct rte_mbuf *net_own(struct mt_netw *w, struct rte_mbuf *m, bool shared, uint32_t need);
/* Cuts the packet to `len` bytes (len <= pkt_len). */
void net_trim(struct rte_mbuf *m, uint32_t len);
bool net_limited(struct net_limit *l, uint64_t now);

/* Sum of TCP's pseudo header (RFC 9293 §3.1); addresses in network byte order, `len` in bytes. */
static inline uint32_t net_pseudo4(uint32_t a, uint32_t b, uint16_t len)
{
	return net_sum_fold(
		(uint64_t)a + b + rte_cpu_to_be_16(IPPROTO_TCP) + rte_cpu_to_be_16(len));
}

/* cksum.c */
/*
 * Internet checksum of [off, off + len), with `start` added; 0 if the range contains a correct one.
 */
uint16_t net_cksum(const struct rte_mbuf *m, uint32_t off, uint32_t len, uint32_t start);
/*
 * Sum of m's own data from `off` on. The sum without the first `front` bytes is stored in m's link,
 * so that it need not be computed again on transmit.
 */
uint32_t net_sum_keep(struct rte_mbuf *m, uint32_t off, uint32_t front);
/* Shorter payloads are summed again on transmit, which costs less than the bookkeeping. */
#define NET_SUM_KEEP_MIN 512

/* Headers are made contiguous up to here; packets with longer ones are dropped. */
#define NET_HEADERS_MAX 384
/* They fit in a control mbuf. */
#define NET_QUOTE_MAX MT_NET_QUOTE_MAX

/*
 * An Ethernet header in a frame, possibly unaligned: net_ring hands over headers that a sender put
 * in front of its payload.
 */
struct net_ether {
	uint8_t dst[RTE_ETHER_ADDR_LEN], src[RTE_ETHER_ADDR_LEN];
	rte_be16_t type;
} __attribute__((packed));

static inline bool net_ether_is(const uint8_t *addr, const struct rte_ether_addr *mac)
{
	return memcmp(addr, mac->addr_bytes, RTE_ETHER_ADDR_LEN) == 0;
}

struct net_rx {
	struct mt_port *port;
	struct rte_mbuf *m;
	struct rte_ether_addr peer; /* sender of the frame */
	bool l2_unicast;	    /* sent to this station, not to a group */
	bool is4;
	uint8_t forward; /* NET_FORWARD_* of the destination */
	uint8_t l2_len;
	uint8_t proto;
	uint8_t ttl;
	uint8_t nh_off;	 /* offset of the field of the IP header that names `proto` */
	uint16_t l3_len; /* with options and extension headers */
	uint16_t len;	 /* of the IP packet */
	struct mt_addr src, dst;
};

static inline void *rx_l3(const struct net_rx *rx)
{
	return rte_pktmbuf_mtod_offset(rx->m, void *, rx->l2_len);
}

static inline void *rx_l4(const struct net_rx *rx)
{
	return rte_pktmbuf_mtod_offset(rx->m, void *, rx->l2_len + rx->l3_len);
}

/* Bytes after the IP header(s). */
static inline uint16_t rx_l4_len(const struct net_rx *rx)
{
	return (uint16_t)(rx->len - rx->l3_len);
}

/* True if the bytes [0, n) after the IP header exist and are contiguous with it. */
static inline bool rx_has(const struct net_rx *rx, uint16_t n)
{
	return rx_l4_len(rx) >= n && rx->m->data_len >= rx->l2_len + rx->l3_len + n;
}

/* Each takes the packet, or returns true and leaves it in rx->m: TCP for the caller. */
bool net_ip4_input(struct mt_netw *w, struct net_rx *rx);
bool net_ip6_input(struct mt_netw *w, struct net_rx *rx);
/* Handles what follows the IP header of a packet for this node. */
bool net_l4_input(struct mt_netw *w, struct net_rx *rx);
/* True if the destination is local; sets rx->forward. */
bool net_to_us(const struct mt_netw *w, struct net_rx *rx);
static inline uint32_t net_row_bit(uint16_t port, uint8_t proto)
{
	_Static_assert((IPPROTO_TCP & 1) != (IPPROTO_UDP & 1), "their lowest bits differ");
	return (port * 2u | (proto & 1u)) % NET_ROW_PORTS;
}

/*
 * False: net_gate() would not take the packet. Spares most packets of terminated services at an
 * address with rx->forward the search.
 */
static inline bool net_gate_may(const struct net_served *s, const struct net_rx *rx)
{
	uint16_t port;
	uint32_t bit;

	if (rx->m->data_len < rx->l2_len + rx->l3_len + 2 * sizeof(port))
		return false;
	port = rte_be_to_cpu_16(((const uint16_t *)rx_l4(rx))[1]);
	bit = net_row_bit(port, rx->proto);
	if (s->row_ports[bit / 64] >> bit % 64 & 1)
		return true;
	return rx->forward & NET_FORWARD_NAT && port >= s->nat_lo && port <= s->nat_hi;
}

/*
 * gate.c. Takes a datagram or TCP segment for an address with rx->forward, or for a foreign
 * address, to w->forwarded if lib/l4 forwards it; false: it does not.
 */
bool net_gate(struct mt_netw *w, struct net_rx *rx);
bool net_gate_foreign(struct mt_netw *w, struct net_rx *rx);
/*
 * The same for a fragment, which goes to the worker that keeps its datagram's state. `local`: its
 * destination is a local address.
 */
bool net_gate_fragment(struct mt_netw *w, struct net_rx *rx, bool local);
/*
 * The same for an ICMP error with a right checksum about a packet that lib/l4 sent; the quoted
 * packet starts `off` bytes after the start of the ICMP header.
 */
bool net_gate_error(struct mt_netw *w, struct net_rx *rx, uint16_t off);
/*
 * Reads tuple and protocol of the packet that an ICMP error quotes, `off` bytes after the start of
 * the ICMP header: as mt_net_quoted(). False also if it is of the other family than the error.
 */
bool net_quoted(const struct net_rx *rx, uint16_t off, struct mt_tuple *t, uint8_t *proto);
/* set.c. Copies the rows; 0 or -ENOMEM. */
int net_rows_init(struct net_rows *r, const struct mt_net_row *rows, uint32_t n);
bool net_rows_has(const struct net_rows *r, const struct mt_addr *a, uint16_t port, uint8_t proto);
/*
 * bound.c. True if the frame's source address may enter by its port; false: it was dropped and
 * counted. A frame too short to have a source address passes, because no later stage attributes the
 * frame to an address.
 */
bool net_bound(struct mt_netw *w, struct net_rx *rx, uint16_t type);
/* The same for one address that the packet claims. */
bool net_speaks_for(struct mt_netw *w, struct net_rx *rx, const struct mt_addr *a);
void net_arp_input(struct mt_netw *w, struct net_rx *rx);
void net_arp_send(struct mt_netw *w, uint16_t port, uint16_t op, const struct rte_ether_addr *to,
	const struct mt_addr *from, const struct mt_addr *target, const struct rte_ether_addr *tha);
/* Neighbour solicitation and advertisement; the checksum is verified. */
void net_nd_input(struct mt_netw *w, struct net_rx *rx);
void net_nd_solicit(struct mt_netw *w, uint16_t port, const struct mt_addr *from,
	const struct mt_addr *target, const struct rte_ether_addr *to);
void net_nd_advertise(struct mt_netw *w, uint16_t port, const struct mt_addr *target,
	const struct mt_addr *to, const struct rte_ether_addr *to_mac, uint32_t flags);
/* True if this port answers ARP and ND for the address. */
bool net_answers(const struct mt_netw *w, const struct mt_port *port, const struct mt_addr *a);
void net_icmp4_input(struct mt_netw *w, struct net_rx *rx);
void net_icmp6_input(struct mt_netw *w, struct net_rx *rx);
/*
 * Handles an ICMP error; the quoted packet starts `off` bytes after the start of the ICMP header.
 */
void net_icmp_error_in(
	struct mt_netw *w, struct net_rx *rx, uint16_t off, enum mt_net_icmp kind, uint16_t mtu);
/* Kind of an ICMP error that the node sends, for both families. */
struct net_error {
	uint8_t type4, code4, type6, code6;
	uint32_t word; /* bytes 4 to 7 of the message: an MTU */
};
extern const struct net_error net_port_unreachable;
/*
 * Sends the error to the packet's sender, from the address to which the packet was sent (rx->dst
 * may be replaced before), unless the limit is exhausted; takes the packet.
 */
void net_error_out(
	struct mt_netw *w, struct net_rx *rx, const struct net_error *e, struct net_limit *limit);
/* Answers that the protocol (or UDP port) is not served, rate limited; takes the packet. */
void net_unreachable(struct mt_netw *w, struct net_rx *rx);
/*
 * Sends m (data at the ICMP header, checksum done) back to rx's sender, on the same port and to the
 * same station. An answer needs no route and no neighbour, so outsiders cannot trigger resolution.
 */
void net_reply(struct mt_netw *w, const struct net_rx *rx, struct rte_mbuf *m);
/* The same for any protocol: m's data starts at its header. */
void net_reply_as(struct mt_netw *w, const struct net_rx *rx, uint8_t proto, struct rte_mbuf *m);
/* The same, by another port and to another station. Of rx it needs is4, src and dst. */
void net_reply_by(struct mt_netw *w, const struct net_rx *rx, uint8_t proto, struct rte_mbuf *m,
	const struct mt_net_dst *dst);
/* Handles a UDP datagram for this node if UDP is served; takes the packet. */
void net_udp_input(struct mt_netw *w, struct net_rx *rx);
/* echo.c: passes on an echo reply with a right checksum, or drops it. */
void net_echo_reply(struct mt_netw *w, struct net_rx *rx);
/* Answers an echo request by `type` (checksum over `pseudo` too, for ICMPv6); takes the packet. */
void net_echo(struct mt_netw *w, struct net_rx *rx, uint8_t type, uint32_t pseudo);
/* Sum of the pseudo header. */
uint16_t net_pseudo6(const struct mt_addr *a, const struct mt_addr *b, uint32_t len, uint8_t proto);

/*
 * punt.c, for ports with an exception TAP and for these TAPs. net_punt_early() takes frames from
 * the kernel and frames for the TAP's Ethernet address, and returns true. For group frames it
 * returns false and sends a copy to the kernel.
 */
bool net_punt_early(struct mt_netw *w, struct net_rx *rx);
/*
 * An IP packet for an address that is not local: sent to the kernel, or dropped and counted as
 * `otherwise`.
 */
void net_punt(struct mt_netw *w, struct net_rx *rx, enum mt_net_outcome otherwise);
