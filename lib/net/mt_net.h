/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/net: Ethernet, VLAN, ARP/ND, IPv4/IPv6, ICMP; routes and neighbours; output of IP packets.
 * `struct mt_net` is the node's (configured by the control thread, which swaps immutable tables; the
 * neighbour table has one owner worker, 0, and is read by all), `struct mt_netw` is one worker's part.
 * Called by lib/worker (begin, input, tick, flush) and by lib/tcp (route, output).
 *
 * One loop turn of a worker: mt_net_begin(now); rx bursts through mt_net_input(); packets that others
 * handed over through mt_net_input_handed(); mt_net_tick(); lib/tcp's work; mt_net_flush().
 */
#pragma once

#include "mt_addr.h"
#include "mt_outcome.h"
#include "mt_port.h"
#include "mt_rand.h"
#include "mt_steer.h"

enum mt_net_outcome {
#define MT_OUTCOME(n, s, w) MT_NET_##n,
#include "net_outcomes.def"
#undef MT_OUTCOME
	MT_NET_N_OUTCOMES
};

extern const struct mt_outcome_set mt_net_outcomes;

struct mt_net;
struct mt_netw;
struct mt_trace;

/* Where a packet to one remote address goes; cached in a connection, refreshed when `gen` is stale. */
struct mt_net_dst {
	uint16_t port;
	uint16_t mtu;	/* of the path: port MTU, or less after ICMP packet-too-big */
	uint32_t neigh; /* index in the neighbour table */
	uint32_t gen;	/* of routes and neighbours when this was filled; 0: never */
	uint8_t l2len;	/* 14, or 18 with a VLAN tag; 0: not resolved yet */
	uint8_t l2[18];
};

enum mt_net_result {
	MT_NET_SENT,	  /* it may go, or went */
	MT_NET_WAIT,	  /* neighbour is being resolved. neigh() follows */
	MT_NET_NO_ROUTE,  /* no route or neighbour failed */
	MT_NET_BUSY,	  /* the transmit queue is full */
	MT_NET_NO_MEMORY, /* there was no buffer for the packet */
};

/* What an ICMP error said about a segment of ours. */
enum mt_net_icmp {
	MT_NET_ICMP_UNREACH, /* soft: host or network unreachable, time exceeded (RFC 5461 §2) */
	MT_NET_ICMP_TOO_BIG, /* `mtu` is what the path takes */
	MT_NET_ICMP_HARD,    /* protocol or port unreachable, administratively prohibited */
};

/* Events for the layer above, set at creation; raised inside tick and input, on this worker. */
struct mt_net_events {
	/*
	 * The neighbour that mt_net_route() said WAIT for resolved (ok) or failed: connections parked
	 * on this index may go on or must fail. It may be raised once too often, never too seldom.
	 */
	void (*neigh)(void *arg, uint32_t neigh, bool ok);
	/*
	 * ICMP about a TCP packet that we sent: `t` as we see it (local, remote), seq of the inner
	 * packet. RFC 5927 checks are the receiver's; for TOO_BIG it calls mt_net_pmtu_learn() then.
	 */
	void (*icmp)(void *arg, const struct mt_tuple *t, uint32_t seq, enum mt_net_icmp kind,
		uint16_t mtu);
};

/* ---- the node's part: control thread ------------------------------------------------------- */

#define MT_NET_PORT_NONE UINT16_MAX

struct mt_net_addr_conf {
	struct mt_addr addr;
	uint8_t prefix; /* bits of its own family: makes a connected route */
	uint16_t port;
};

struct mt_net_route_conf {
	struct mt_addr to;
	uint8_t prefix;
	struct mt_addr via; /* all zero: on link of `port` */
	uint16_t port;	    /* MT_NET_PORT_NONE: the port whose connected prefix holds `via` */
};

struct mt_net_port_conf {
	uint16_t vlan;	    /* the one 802.1Q id that is ours; 0: untagged */
	uint16_t exception; /* TAP that gets what is not ours; MT_NET_PORT_NONE */
	bool workloads; /* only addresses that are bound to it enter by it (mt_net_vips_bind()) */
};

struct mt_net_conf {
	const struct mt_net_addr_conf *addrs;
	uint32_t n_addrs;
	const struct mt_net_route_conf *routes;
	uint32_t n_routes;
	/* More source addresses for upstream connections (besides VIPs and port addresses). */
	const struct mt_addr *sources;
	uint32_t n_sources;
	const struct mt_net_port_conf *ports; /* [n_ports], or NULL: untagged, no exception */
	/* Of TCP segments that we send. */
	uint8_t hop_limit; /* TTL; 0: 64 */
	uint8_t dscp;	   /* RFC 2474, 0-63 */
};

/* A table that was replaced; freed when no worker can still read it (one quiescence later). */
struct mt_net_old;

/*
 * The node's net. `ports[i]->index` is i. `steer` is NULL or has `workers` workers. NULL: no memory.
 * The ports and `steer` outlive it. Boot only.
 */
struct mt_net *mt_net_create(struct mt_port *const *ports, uint16_t n_ports, uint16_t workers,
	const struct mt_steer *steer);
/* After all workers' parts are destroyed. */
void mt_net_destroy(struct mt_net *net);

/*
 * Replaces addresses and routes as a whole. *old receives what the caller must free after quiescence;
 * old == NULL frees it at once (no worker runs yet). 0, -ENOMEM, or -EINVAL with the reason in `e`
 * (unknown port, gateway that is on no connected network, VLAN id out of range).
 */
int mt_net_configure(struct mt_net *net, const struct mt_net_conf *conf, struct mt_net_old **old,
	struct mt_err *e);

/*
 * Replaces the set of VIPs: the addresses that listeners serve, besides the ports' own. New ones are
 * announced (gratuitous ARP, unsolicited NA) on the port whose connected prefix holds them; an
 * address on no connected network is one that routers send to us, and is not announced. 0 or -ENOMEM.
 */
int mt_net_set_vips(
	struct mt_net *net, const struct mt_addr *vips, uint32_t n, struct mt_net_old **old);
/*
 * The last `n_leaving` of them are served no more: what still comes for them is taken in, so that their
 * connections can end, and nobody is told any more that they are ours.
 */
int mt_net_set_vips_leaving(struct mt_net *net, const struct mt_addr *vips, uint32_t n,
	uint32_t n_leaving, struct mt_net_old **old);

/*
 * The same in two steps, for who has to know that it will work before something else happens: a set is made, which can fail, and
 * used, which cannot, or dropped (NULL is allowed).
 */
struct mt_net_vips;
struct mt_net_vips *mt_net_vips_new(const struct mt_addr *vips, uint32_t n, uint32_t n_leaving);
/*
 * An address that enters by this port and by no other: packets with it as their source, and whoever claims it by ARP or ND, are
 * dropped elsewhere. A port of `workloads` takes nobody else.
 */
struct mt_net_bound {
	struct mt_addr addr;
	uint16_t port;
	bool has_mac;
	struct rte_ether_addr mac; /* has_mac: of that station only */
};
/* They come with the set, and replace those of the one before as a whole. Of one address the first counts. 0 or -ENOMEM. */
int mt_net_vips_bind(struct mt_net_vips *v, const struct mt_net_bound *bound, uint32_t n);
void mt_net_vips_use(struct mt_net *net, struct mt_net_vips *v, struct mt_net_old **old);
void mt_net_vips_drop(struct mt_net_vips *v);

/* NULL is allowed. */
void mt_net_old_free(struct mt_net_old *old);

/* What `show neighbours` prints. */
struct mt_net_neigh_info {
	struct mt_addr addr;
	uint16_t port;
	struct rte_ether_addr mac;
	const char *state; /* "incomplete", "stale", "reachable", "probe", "failed" */
};

/* Iterates neighbours, on any thread: *idx starts at 0; false at the end. */
bool mt_net_neigh_next(const struct mt_net *net, uint32_t *idx, struct mt_net_neigh_info *info);

/* ---- one worker's part --------------------------------------------------------------------- */

/*
 * `events` and `events_arg` may be set later (mt_netw_set_events): lib/tcp needs this part to be
 * created first. NULL: no memory. Boot only; or to load an image into: while the worker has a part, that keeps its place among the
 * others until mt_netw_take_over().
 */
struct mt_netw *mt_netw_create(struct mt_net *net, uint16_t worker, struct mt_pools *pools,
	const struct mt_net_events *events, void *events_arg, uint64_t seed);
void mt_netw_set_events(struct mt_netw *w, const struct mt_net_events *events, void *events_arg);
/* Packets are noted there from now on; NULL: no more. Between turns. */
void mt_netw_set_trace(struct mt_netw *w, struct mt_trace *t);
/* Frees the packets in its transmit queues. */
void mt_netw_destroy(struct mt_netw *w);
/*
 * What a worker's part has learnt, as an image (mt_image.h): path MTUs, and what it was about to do for neighbours. Between
 * two turns; packets that wait for a port stay behind. What is loaded into is a new part of the same node.
 */
struct mt_image;
void mt_netw_image(struct mt_netw *w, struct mt_image *im);
/* It is the worker's part from now on, in the place of the one that it was loaded from: other workers look here. */
void mt_netw_take_over(struct mt_netw *w);

/* MT_NET_N_OUTCOMES entries. */
uint64_t *mt_net_counters(struct mt_netw *w);

/* `now` for everything until the next call; takes over tables that the control thread replaced. */
void mt_net_begin(struct mt_netw *w, uint64_t now);

/*
 * Received packets of a port. Those that are TCP for us are left in tcp[] (n entries; may be pkts
 * itself) in arrival order and belong to the caller; all others were answered, dropped and counted,
 * or punted. A TCP packet has l2_len, l3_len and l4_len set, packet_type IPv4 or IPv6 with TCP, data
 * still at the Ethernet header, pkt_len trimmed to the IP length, headers contiguous, every checksum
 * verified, and no other owner. With several workers hash.rss is mt_steer_hash() of its tuple: the
 * caller hands it to mt_steer_owner_of_hash() if that is not this worker.
 */
uint16_t mt_net_input(struct mt_netw *w, struct mt_port *port, struct rte_mbuf **pkts, uint16_t n,
	struct rte_mbuf **tcp);

/* The same for packets from mt_steer_pop(): TCP is passed through, ICMP errors become events. */
uint16_t mt_net_input_handed(
	struct mt_netw *w, struct rte_mbuf **pkts, uint16_t n, struct rte_mbuf **tcp);

/* ARP and ND timers, announcements (owner), neighbour events (all). Once per turn. */
void mt_net_tick(struct mt_netw *w);

/*
 * Hands queued packets to the ports, segments of connections and all else in turn. What a port does not
 * take stays queued; what waits for a port that made no progress for 100 ms is dropped and counted.
 */
void mt_net_flush(struct mt_netw *w);

/* The next moment at which tick or flush has work (MT_NEVER: none). */
uint64_t mt_net_next(const struct mt_netw *w);

/* ---- datagrams ----------------------------------------------------------------------------- */

/* What an answer holds at most: with its headers it is no longer than IPv6's smallest MTU. */
#define MT_NET_UDP_MAX 1232

/* Where a datagram came from, and so where its answer goes. Plain data: answers may come later. */
struct mt_net_from {
	struct mt_addr local, remote;
	uint16_t lport, rport;
	uint16_t port; /* of ours */
	struct rte_ether_addr peer;
};

/*
 * A datagram for an address of ours, its checksum verified. `data` has `len` bytes, of longer ones than
 * MT_NET_UDP_MAX so many; it is gone after the call. False: nobody serves it, which the sender is told
 * (ICMP port unreachable, limited).
 */
typedef bool (*mt_net_udp_fn)(
	void *arg, const struct mt_net_from *from, const uint8_t *data, uint16_t len);
/* NULL: no datagrams are served (at first). Boot only. */
void mt_netw_set_udp(struct mt_netw *w, mt_net_udp_fn fn, void *arg);

/* Bytes that an answer may have on its way: those of one unfragmented packet. */
uint16_t mt_net_udp_room(const struct mt_netw *w, const struct mt_net_from *to);
/* A buffer for an answer, whose bytes are written at *data; NULL: no memory (counted). */
struct rte_mbuf *mt_net_udp_new(struct mt_netw *w, uint8_t **data) mt_must_check;
/* Takes the buffer, with `len` bytes in it, back to where a datagram came from. */
void mt_net_udp_send(
	struct mt_netw *w, const struct mt_net_from *to, struct rte_mbuf *m, uint16_t len);

/* ---- for lib/tcp --------------------------------------------------------------------------- */

/*
 * Fills dst for packets to `remote`. MT_NET_SENT: resolved; MT_NET_WAIT: dst->neigh is what neigh()
 * will name; MT_NET_NO_ROUTE. `local` (the source) may be NULL.
 */
enum mt_net_result mt_net_route(struct mt_netw *w, const struct mt_addr *local,
	const struct mt_addr *remote, struct mt_net_dst *dst);

/*
 * Where the answer to `in` goes, a TCP packet from mt_net_input() whose data has not moved: by the neighbour
 * that leads to `remote` if that is known, else straight back to the station that sent it, on the port where
 * it came. Asks for no neighbour, so floods from made-up addresses neither fill the table nor lose honest
 * clients their answers. `in` NULL (an answer that is sent again): known neighbours only. MT_NET_SENT;
 * MT_NET_WAIT: nobody is known, and no event follows; MT_NET_NO_ROUTE; MT_NET_BUSY: the port has no place
 * for answers (counted as tx_full). On MT_NET_SENT one mt_net_answer_tcp() may follow in the same turn.
 */
enum mt_net_result mt_net_route_back(struct mt_netw *w, const struct rte_mbuf *in,
	const struct mt_addr *remote, struct mt_net_dst *dst);

/*
 * Asked before a segment is built: whether segments of `t` may go now. dst is refreshed when it is stale (or
 * all zero). MT_NET_SENT: as many as *room (> 0) packets may follow by mt_net_output_tcp() in this turn, others
 * included; any other result: nothing may be sent.
 */
enum mt_net_result mt_net_tx_ready(
	struct mt_netw *w, const struct mt_tuple *t, struct mt_net_dst *dst, uint32_t *room);

/*
 * Segments that the queue of a port takes now. 0: it is full, and the port, which was asked once, stays full
 * for the rest of this turn.
 */
uint32_t mt_net_tx_room(struct mt_netw *w, uint16_t port);

/*
 * Takes a TCP segment of a connection: m->data at the TCP header, m->l4_len its length, pkt_len right,
 * headroom for IP and L2 (mt_net_headroom()). Prepends IP (`tos`: ECN bits, beside the configured DSCP) and
 * L2, does or offloads checksums, queues it for the port; mt_net_flush() transmits. mt_net_tx_ready() said in
 * this turn that there is room.
 */
void mt_net_output_tcp(struct mt_netw *w, struct rte_mbuf *m, const struct mt_tuple *t,
	const struct mt_net_dst *dst, uint8_t tos);

/*
 * The same for an answer that belongs to no connection, behind mt_net_route_back(). It shares the port with
 * ARP, ICMP and what is forwarded, not with connections.
 */
void mt_net_answer_tcp(struct mt_netw *w, struct rte_mbuf *m, const struct mt_tuple *t,
	const struct mt_net_dst *dst);

/* Bytes of header in front of the TCP header for this destination: what mt_buf_segment() must leave. */
static inline uint32_t mt_net_headroom(const struct mt_net_dst *dst, bool is4)
{
	return (dst->l2len ? dst->l2len : 18u) + (is4 ? 20u : 40u);
}

/*
 * The path to `remote` takes packets of `mtu` bytes at most: call it when an ICMP packet-too-big has
 * passed TCP's checks. Kept for 10 minutes (RFC 1191 §6.3, 8201 §4); never below 552 (IPv4) or 1280
 * (IPv6), never raised. The new value is in dst->mtu after the next mt_net_route() (all dsts become
 * stale).
 */
void mt_net_pmtu_learn(struct mt_netw *w, const struct mt_addr *remote, uint16_t mtu);

/* Whether this address is one of the node's: a port address, source address or a VIP. */
bool mt_net_is_local(const struct mt_netw *w, const struct mt_addr *a);

/*
 * A source address for connections to `remote`: from the configured pool (by `rnd`), else the egress
 * port's address nearest to the next hop. false: no route, or no address of that family.
 */
bool mt_net_source_addr(
	const struct mt_netw *w, const struct mt_addr *remote, uint64_t rnd, struct mt_addr *local);

/* The capability sheet of the port behind dst (valid after mt_net_route() said SENT or WAIT). */
const struct mt_port_caps *mt_net_caps(const struct mt_netw *w, const struct mt_net_dst *dst);
