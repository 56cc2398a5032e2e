/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/net: Ethernet, VLAN, ARP/ND, IPv4/IPv6, ICMP; routes and neighbours; output of IP packets.
 * `struct mt_net` is shared by the node; the control thread configures it by swapping immutable
 * tables. Worker 0 owns its neighbour table, which all workers read. `struct mt_netw` is one
 * worker's part. Called by lib/worker (begin, input, tick, flush) and by lib/tcp (route, output).
 *
 * One loop iteration of a worker: mt_net_begin(now); receive bursts through mt_net_input(); packets
 * from other workers through mt_net_input_handed(); mt_net_tick(); lib/tcp's work; mt_net_flush().
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

/* Next hop for one remote address; cached in a connection, refreshed when `gen` is stale. */
struct mt_net_dst {
	uint16_t port;
	uint16_t mtu;	/* of the path: port MTU, or less after ICMP packet-too-big */
	uint32_t neigh; /* index in the neighbour table */
	uint32_t gen;	/* of routes and neighbours when this was filled; 0: never */
	uint8_t l2len;	/* 14, or 18 with a VLAN tag; 0: not resolved yet */
	uint8_t l2[18];
	bool on_link; /* the neighbour is the destination itself, not a router */
};

enum mt_net_result {
	MT_NET_SENT,	  /* the packet may be sent, or was sent */
	MT_NET_WAIT,	  /* the neighbour is being resolved; the event neigh() follows */
	MT_NET_NO_ROUTE,  /* no route or neighbour failed */
	MT_NET_BUSY,	  /* the transmit queue is full */
	MT_NET_NO_MEMORY, /* there was no buffer for the packet */
};

/* Kind of an ICMP error about a segment that this node sent. */
enum mt_net_icmp {
	MT_NET_ICMP_UNREACH, /* soft: host or network unreachable, time exceeded (RFC 5461 §2) */
	MT_NET_ICMP_TOO_BIG, /* `mtu` is the path's new MTU */
	MT_NET_ICMP_HARD,    /* protocol or port unreachable, administratively prohibited */
};

#define MT_NET_ECHO_DATA 16

/* An ICMP echo request of the node, or the reply to one. */
struct mt_net_echo {
	struct mt_addr remote; /* receiver of a request, sender of a reply */
	uint16_t ident, seq;
	uint8_t data[MT_NET_ECHO_DATA];
};

/* Events for the layer above, set at creation; raised inside tick and input, on this worker. */
struct mt_net_events {
	/*
	 * The neighbour for which mt_net_route() returned MT_NET_WAIT was resolved (ok) or failed:
	 * connections parked on this index may continue or must fail. An event may be spurious, but
	 * none is missed.
	 */
	void (*neigh)(void *arg, uint32_t neigh, bool ok);
	/*
	 * An ICMP error about a TCP packet that this node sent: `t` from its point of view (local,
	 * remote), seq of the quoted packet. The receiver of the event does the checks of RFC 5927;
	 * for TOO_BIG it then calls mt_net_pmtu_learn().
	 */
	void (*icmp)(void *arg, const struct mt_tuple *t, uint32_t seq, enum mt_net_icmp kind,
		uint16_t mtu);
	/*
	 * An ICMP echo reply with MT_NET_ECHO_DATA bytes, to whatever request; the receiver checks
	 * that it answers one of its own. NULL: replies are dropped.
	 */
	void (*echo)(void *arg, const struct mt_net_echo *e);
};

/* ---- the node's part: control thread ------------------------------------------------------- */

#define MT_NET_PORT_NONE UINT16_MAX

struct mt_net_addr_conf {
	struct mt_addr addr;
	uint8_t prefix; /* in bits of the address family; makes a connected route */
	uint16_t port;
};

struct mt_net_route_conf {
	struct mt_addr to;
	uint8_t prefix;
	struct mt_addr via; /* all zero: on link of `port` */
	uint16_t port;	    /* MT_NET_PORT_NONE: the port whose connected prefix holds `via` */
};

struct mt_net_port_conf {
	uint16_t vlan;	    /* the one 802.1Q id that is accepted and sent; 0: untagged */
	uint16_t exception; /* TAP that gets frames not meant for Meltemi; MT_NET_PORT_NONE: none */
	bool workloads; /* accept only source addresses bound to this port (mt_net_vips_bind()) */
};

struct mt_net_conf {
	const struct mt_net_addr_conf *addrs;
	uint32_t n_addrs;
	const struct mt_net_route_conf *routes;
	uint32_t n_routes;
	/*
	 * More source addresses for upstream connections, in addition to VIPs and port addresses.
	 */
	const struct mt_addr *sources;
	uint32_t n_sources;
	const struct mt_net_port_conf *ports; /* [n_ports]; NULL: untagged, no exception */
	/* For the TCP segments that the node sends. */
	uint8_t hop_limit; /* TTL; 0: 64 */
	uint8_t dscp;	   /* RFC 2474, 0-63 */
};

/* A table that was replaced; freed when no worker can still read it (one quiescence later). */
struct mt_net_old;

/*
 * Creates the node's part. `ports[i]->index` is i. `steer` is NULL or has `workers` workers. The
 * ports and `steer` must outlive it. NULL: no memory. Boot only.
 */
struct mt_net *mt_net_create(struct mt_port *const *ports, uint16_t n_ports, uint16_t workers,
	const struct mt_steer *steer);
/*
 * Sets the key of the neighbour table's hash, so that outsiders cannot aim at one bucket. Random in
 * a daemon; without a call it is 0. Boot only, before the first worker's part.
 */
void mt_net_key(struct mt_net *net, const uint64_t key[2]);
/* Call it after all workers' parts are destroyed. */
void mt_net_destroy(struct mt_net *net);

/*
 * Replaces addresses and routes as a whole. *old receives what the caller must free after
 * quiescence; old == NULL frees it at once (no worker runs yet). Returns 0, -ENOMEM, or -EINVAL
 * with the reason in `e` (unknown port, gateway that is on no connected network, VLAN id out of
 * range).
 */
int mt_net_configure(struct mt_net *net, const struct mt_net_conf *conf, struct mt_net_old **old,
	struct mt_err *e);

/*
 * Replaces the set of VIPs: the addresses that listeners serve, besides the ports' own. New ones
 * are announced (gratuitous ARP, unsolicited NA) on the port whose connected prefix holds them. An
 * address on no connected network is reached through routers and is not announced. Returns 0 or
 * -ENOMEM.
 */
int mt_net_set_vips(
	struct mt_net *net, const struct mt_addr *vips, uint32_t n, struct mt_net_old **old);
/*
 * The same, with the last `n_leaving` addresses no longer served. Packets for them are still
 * accepted, so that their connections can end. ARP, ND and announcements no longer claim them.
 */
int mt_net_set_vips_leaving(struct mt_net *net, const struct mt_addr *vips, uint32_t n,
	uint32_t n_leaving, struct mt_net_old **old);

/*
 * The same in two steps, for callers that must know of a failure before they commit:
 * mt_net_vips_new() can fail; mt_net_vips_use() cannot. mt_net_vips_drop() discards an unused set
 * (NULL is allowed).
 */
struct mt_net_vips;
struct mt_net_vips *mt_net_vips_new(const struct mt_addr *vips, uint32_t n, uint32_t n_leaving);
/*
 * An address that may enter by this port only: packets with it as their source and ARP or ND claims
 * of it are dropped on other ports. A port of `workloads` accepts no other sources.
 */
struct mt_net_bound {
	struct mt_addr addr;
	uint16_t port;
	bool has_mac;
	struct rte_ether_addr mac; /* if has_mac: accept only this Ethernet address */
};
/*
 * Sets the bound addresses of `v`; the new set replaces the previous one as a whole. If an address
 * occurs twice, the first entry counts. Returns 0 or -ENOMEM.
 */
int mt_net_vips_bind(struct mt_net_vips *v, const struct mt_net_bound *bound, uint32_t n);
/* (address, port, protocol) of packets that lib/l4 forwards. */
struct mt_net_row {
	struct mt_addr addr;
	uint16_t port; /* > 0 */
	uint8_t proto; /* IPPROTO_UDP or IPPROTO_TCP; others are ignored */
};

struct mt_net_forwards {
	const struct mt_net_row *rows; /* destinations, of the VIPs */
	uint32_t n_rows;
	const struct mt_net_row *servers; /* sources of packets to addresses that are not local */
	uint32_t n_servers;
	/* Destinations with a port of nat_lo to nat_hi: VIPs or the node's own addresses. */
	const struct mt_addr *nat;
	uint32_t n_nat;
	uint16_t nat_lo, nat_hi;
	bool nat_tcp; /* of TCP as well, not only of UDP */
};
/*
 * Sets which packets of `v` are left to mt_net_forwarded(); the new ones replace the previous ones
 * as a whole. Without a call there are none. Returns 0 or -ENOMEM.
 */
int mt_net_vips_forward(struct mt_net_vips *v, const struct mt_net_forwards *f);
void mt_net_vips_use(struct mt_net *net, struct mt_net_vips *v, struct mt_net_old **old);
void mt_net_vips_drop(struct mt_net_vips *v);

/* NULL is allowed. */
void mt_net_old_free(struct mt_net_old *old);

/* One line of `show neighbours`. */
struct mt_net_neigh_info {
	struct mt_addr addr;
	uint16_t port;
	struct rte_ether_addr mac;
	const char *state; /* "incomplete", "stale", "reachable", "probe", "failed" */
};

/* Iterates neighbours, on any thread: *idx starts at 0; false at the end. */
bool mt_net_neigh_next(const struct mt_net *net, uint32_t *idx, struct mt_net_neigh_info *info);
/* Entries of the neighbour table that are in use, of all workers; *size: all. Any thread. */
uint32_t mt_net_neigh_in_use(const struct mt_net *net, uint32_t *size);

/* ---- one worker's part --------------------------------------------------------------------- */

/*
 * Creates a worker's part. `events` and `events_arg` may be set later (mt_netw_set_events()),
 * because lib/tcp needs this part to exist first. NULL: no memory. Boot only, or to load an image:
 * if the worker already has a part, that one stays registered until mt_netw_take_over().
 */
struct mt_netw *mt_netw_create(struct mt_net *net, uint16_t worker, struct mt_pools *pools,
	const struct mt_net_events *events, void *events_arg, uint64_t seed);
void mt_netw_set_events(struct mt_netw *w, const struct mt_net_events *events, void *events_arg);
/* Records packets in `t` from now on; NULL: stop. Call it between loop iterations. */
void mt_netw_set_trace(struct mt_netw *w, struct mt_trace *t);
/* Frees the packets in its transmit queues. */
void mt_netw_destroy(struct mt_netw *w);
/*
 * Saves or loads what a worker's part has learnt (mt_image.h): path MTUs and pending work for
 * neighbours. Call it between two loop iterations; packets queued for a port are not included. Load
 * into a new part of the same node.
 */
struct mt_image;
void mt_netw_image(struct mt_netw *w, struct mt_image *im);
/*
 * Makes this the worker's registered part, which other workers access, in place of the one it was
 * loaded from.
 */
void mt_netw_take_over(struct mt_netw *w);

/* MT_NET_N_OUTCOMES entries. */
uint64_t *mt_net_counters(struct mt_netw *w);

/* Sets `now` until the next call, and takes over tables that the control thread replaced. */
void mt_net_begin(struct mt_netw *w, uint64_t now);

/*
 * Processes received packets of a port. TCP segments for this node are left in tcp[] (n entries;
 * may be pkts itself) in arrival order and belong to the caller; all others were answered, dropped
 * and counted, or punted. A TCP packet has l2_len, l3_len and l4_len set, packet_type IPv4 or IPv6
 * with TCP, data still at the Ethernet header, pkt_len trimmed to the IP length, headers
 * contiguous, every checksum verified, and no other owner. With several workers hash.rss is
 * mt_steer_hash() of its tuple, and the caller hands the packet to worker mt_steer_owner_of_hash()
 * if that is not this one.
 */
uint16_t mt_net_input(struct mt_netw *w, struct mt_port *port, struct rte_mbuf **pkts, uint16_t n,
	struct rte_mbuf **tcp);

/* In packet_type: a TCP segment for lib/l4, unlike RTE_PTYPE_L4_TCP for lib/tcp. */
#define MT_NET_PTYPE_SEGMENT RTE_PTYPE_L4_NONFRAG

/*
 * Packets of the last burst for lib/l4, which the caller takes before it passes another burst: the
 * array and, in *n, how many. Their IP headers are checked, they are datagrams or TCP segments with
 * a complete header (of TCP without its options) and a source that can be a host, fragments of
 * both (packet_type L4_FRAG; l3_len includes an IPv6 fragment header), or ICMP errors about
 * one that the node sent, and otherwise as mt_l4_input() needs them. With several workers hash.rss
 * is as for TCP; for an error it is that of the quoted tuple, and a fragment is at its datagram's
 * owner already.
 */
struct rte_mbuf **mt_net_forwarded(struct mt_netw *w, uint16_t *n);

/*
 * The same for packets from mt_steer_pop(): TCP and forwarded packets are passed through, ICMP
 * errors become events.
 */
uint16_t mt_net_input_handed(
	struct mt_netw *w, struct rte_mbuf **pkts, uint16_t n, struct rte_mbuf **tcp);

/*
 * Runs ARP and ND timers and announcements (owner), neighbour events (all). Once per loop
 * iteration.
 */
void mt_net_tick(struct mt_netw *w);

/*
 * Hands queued packets to the ports, alternating between segments of connections, forwarded packets
 * and all others.
 * Packets that a port does not take stay queued; if the port made no progress for 100 ms they are
 * dropped and counted.
 */
void mt_net_flush(struct mt_netw *w);

/* The next moment at which tick or flush has work (MT_NEVER: none). */
uint64_t mt_net_next(const struct mt_netw *w);

/* ---- datagrams ----------------------------------------------------------------------------- */

/* Bytes of an answer at most; with its headers it does not exceed IPv6's smallest MTU. */
#define MT_NET_UDP_MAX 1232

/*
 * Where a datagram came from and its answer goes. Plain data, so it may be copied for a later
 * answer.
 */
struct mt_net_from {
	struct mt_addr local, remote;
	uint16_t lport, rport;
	uint16_t port; /* the port that received it */
	struct rte_ether_addr peer;
};

/*
 * Receives a datagram for an address of this node, its checksum verified. `len` is its real length,
 * but `data` has at most MT_NET_UDP_MAX bytes of it and is valid during the call only. False: no
 * service takes it; the sender gets an ICMP port unreachable (rate limited).
 */
typedef bool (*mt_net_udp_fn)(
	void *arg, const struct mt_net_from *from, const uint8_t *data, uint16_t len);
/* NULL (the default): no datagrams are served. Boot only. */
void mt_netw_set_udp(struct mt_netw *w, mt_net_udp_fn fn, void *arg);

/* Bytes that an answer to `to` may have in one unfragmented packet. */
uint16_t mt_net_udp_room(const struct mt_netw *w, const struct mt_net_from *to);
/*
 * Returns a buffer for an answer, whose bytes the caller writes at *data; NULL: no memory
 * (counted).
 */
struct rte_mbuf *mt_net_udp_new(struct mt_netw *w, uint8_t **data) mt_must_check;
/* Sends the buffer, with `len` bytes in it, back to the datagram's sender; takes the buffer. */
void mt_net_udp_send(
	struct mt_netw *w, const struct mt_net_from *to, struct rte_mbuf *m, uint16_t len);

/* ---- for lib/tcp --------------------------------------------------------------------------- */

/*
 * Fills dst for packets to `remote`. MT_NET_SENT: resolved; MT_NET_WAIT: neigh() will be raised for
 * dst->neigh; MT_NET_NO_ROUTE. `local` (the source) may be NULL.
 */
enum mt_net_result mt_net_route(struct mt_netw *w, const struct mt_addr *local,
	const struct mt_addr *remote, struct mt_net_dst *dst);

/*
 * The same for a connection. If it was accepted, a station of a link may have made the client up:
 * an entry for an unknown neighbour leaves a part of its bucket to those that the node calls.
 */
enum mt_net_result mt_net_route_stream(
	struct mt_netw *w, const struct mt_tuple *t, struct mt_net_dst *dst);

/*
 * Fills dst for the answer to `in`, a TCP packet from mt_net_input() whose data has not moved. Uses
 * the neighbour of the route to `remote` if it is known, otherwise the station that sent `in`, on
 * the port where it arrived. Starts no neighbour resolution, so floods from spoofed addresses
 * neither fill the table nor cost real clients their answers. `in` NULL (retransmission of an
 * answer): known neighbours only.
 *
 * MT_NET_SENT: one mt_net_answer_tcp() may follow in the same loop iteration. MT_NET_WAIT: no
 * neighbour is known, and no event follows. MT_NET_NO_ROUTE. MT_NET_BUSY: the port's queue for
 * answers is full (counted as tx_full).
 */
enum mt_net_result mt_net_route_back(struct mt_netw *w, const struct rte_mbuf *in,
	const struct mt_addr *remote, struct mt_net_dst *dst);

/*
 * Call it before building a segment: checks whether segments of `t` may be sent now. Refreshes dst
 * when it is stale (or all zero). MT_NET_SENT: up to *room (> 0) packets, shared with other
 * connections, may follow by mt_net_output_tcp() in this loop iteration. Any other result: nothing
 * may be sent.
 */
enum mt_net_result mt_net_tx_ready(
	struct mt_netw *w, const struct mt_tuple *t, struct mt_net_dst *dst, uint32_t *room);

/*
 * Segments that the queue of a port takes now. A full queue is offered to the port once per loop
 * iteration; if it is then still full the result is 0 for the rest of the iteration.
 */
uint32_t mt_net_tx_room(struct mt_netw *w, uint16_t port);

/*
 * Takes a TCP segment of a connection: m->data at the TCP header, m->l4_len its length, pkt_len
 * right, headroom for IP and L2 (mt_net_headroom()). Prepends IP (`tos`: ECN bits, added to the
 * configured DSCP) and L2, computes or offloads checksums, and queues it for the port;
 * mt_net_flush() transmits. mt_net_tx_ready() must have reported room in this loop iteration.
 */
void mt_net_output_tcp(struct mt_netw *w, struct rte_mbuf *m, const struct mt_tuple *t,
	const struct mt_net_dst *dst, uint8_t tos);

/*
 * The same for an answer that belongs to no connection; call it after mt_net_route_back(). It
 * shares a queue with ARP, ICMP and punted frames, not with connections.
 */
void mt_net_answer_tcp(struct mt_netw *w, struct rte_mbuf *m, const struct mt_tuple *t,
	const struct mt_net_dst *dst);

/*
 * Bytes of header in front of the TCP header for this destination, which mt_buf_segment() must
 * reserve.
 */
static inline uint32_t mt_net_headroom(const struct mt_net_dst *dst, bool is4)
{
	return (dst->l2len ? dst->l2len : 18u) + (is4 ? 20u : 40u);
}

/* ---- for lib/l4 ---------------------------------------------------------------------------- */

/* Makes destinations that were filled earlier stale, after the MTU of a port changed. */
void mt_net_mtu_changed(struct mt_net *net);
/* Changes when a struct mt_net_dst filled earlier is stale. */
uint32_t mt_net_gen(const struct mt_netw *w);

/*
 * As mt_net_route(), for a destination that an outsider may have made up: the client of a reply. An
 * entry for an unknown neighbour takes only the part of a bucket that is open to outsiders, so that
 * entries for endpoints and routers find a place. After MT_NET_WAIT no event follows: the caller
 * tries again. The owner solicits only so many of these neighbours a second. Beyond a router it is
 * the same as mt_net_route().
 */
enum mt_net_result mt_net_route_guest(
	struct mt_netw *w, const struct mt_addr *remote, struct mt_net_dst *dst);

/*
 * Queues a received packet for the port of `dst`, which mt_net_route() filled; takes it. Its header
 * is rewritten already, except for the Ethernet header, of m->l2_len bytes, which is replaced here.
 * False: it was dropped, because the queue for forwarded packets is full or there was no buffer
 * (counted).
 */
bool mt_net_forward(struct mt_netw *w, struct rte_mbuf *m, const struct mt_net_dst *dst);
/*
 * The same for n packets in this order, each with its destination. Returns how many were queued.
 */
uint16_t mt_net_forward_burst(struct mt_netw *w, struct rte_mbuf **pkts,
	const struct mt_net_dst *const *dsts, uint16_t n);

/* MTU of a destination's port, whatever the MTU of its path. */
uint16_t mt_net_port_mtu(const struct mt_netw *w, const struct mt_net_dst *dst);

/* Errors about a packet that is not forwarded. */
enum mt_net_error {
	MT_NET_ERROR_TIME,    /* its TTL or hop limit is used up */
	MT_NET_ERROR_TOO_BIG, /* it is longer than the next hop's MTU */
	MT_NET_ERROR_PORT,    /* nothing serves its port */
	MT_NET_ERROR_ADMIN,   /* it was refused */
};
/*
 * Answers a packet, not yet rewritten, with an ICMP error (rate limited) from its destination
 * address, or from the receiving port's own if the destination is not local; takes the packet.
 * `mtu`: for TOO_BIG.
 */
void mt_net_forward_error(
	struct mt_netw *w, struct rte_mbuf *m, enum mt_net_error kind, uint16_t mtu);
/*
 * Answers a TCP segment, not yet rewritten, with a reset as a host without a connection does (RFC
 * 9293 §3.10.7.1), at most 10,000 a second. The segment stays the caller's. A reset gets no
 * answer.
 */
void mt_net_forward_reset(struct mt_netw *w, struct rte_mbuf *m);
/* Bytes of a packet that an ICMP error quotes at most. */
#define MT_NET_QUOTE_MAX 112

/* An ICMP error that goes on to the sender of the quoted packet. */
struct mt_net_passed {
	struct mt_addr from, to;
	uint8_t type, code; /* of the family of `to` */
	uint8_t word[4];    /* bytes 4 to 7 of the message */
	uint16_t len;	    /* of the quote, at most MT_NET_QUOTE_MAX */
	const void *quote;
};
/*
 * True if an ICMP error may go on, within the rate limit of those that quote a packet of a known
 * flow, or of the others, which are easily forged. False: drop it (counted). The worker itself.
 */
bool mt_net_may_pass_error(struct mt_netw *w, bool known);
/*
 * Sends the error by `dst`, which mt_net_route() filled, within the rate limit of known flows.
 * False: it was dropped (counted).
 */
bool mt_net_pass_error(
	struct mt_netw *w, const struct mt_net_passed *e, const struct mt_net_dst *dst);
/*
 * Reads the tuple and protocol of a quoted datagram or TCP segment, from the view of its sender.
 * False: it is another protocol, a later fragment, of IPv6 with an IPv4-mapped address, or cut off
 * before the eighth byte after the IP header.
 */
bool mt_net_quoted(const void *quote, uint32_t len, struct mt_tuple *t, uint8_t *proto);
/*
 * Sends an echo request, from an address of mt_net_source_addr(). Any worker may receive the reply,
 * by mt_net_events.echo(). MT_NET_SENT; otherwise nothing was sent: MT_NET_WAIT if the neighbour is
 * being resolved or did not answer lately, MT_NET_NO_ROUTE or MT_NET_NO_MEMORY if the node lacks a
 * route, a source address, a place for the neighbour, or a buffer.
 */
enum mt_net_result mt_net_ping(struct mt_netw *w, const struct mt_net_echo *e, uint64_t rnd);
/*
 * Takes back a packet for an address that is not local and for which there is no flow: it goes to
 * the kernel, or is dropped and counted.
 */
void mt_net_not_forwarded(struct mt_netw *w, struct rte_mbuf *m);
/*
 * Drops and counts a fragment for a local address with a port that lib/l4 does not forward. lib/l4
 * decides it, because later fragments have no ports.
 */
void mt_net_refuse_fragment(struct mt_netw *w, struct rte_mbuf *m);

/*
 * Lowers the MTU of the path to `remote` to `mtu` bytes. Call it when an ICMP packet-too-big has
 * passed TCP's checks. Kept for 10 minutes (RFC 1191 §6.3, 8201 §4); never below 552 (IPv4) or 1280
 * (IPv6), never raised. The new value is in dst->mtu after the next mt_net_route() (all dsts become
 * stale).
 */
void mt_net_pmtu_learn(struct mt_netw *w, const struct mt_addr *remote, uint16_t mtu);

/* True if this address is one of the node's: a port address, a source address or a VIP. */
bool mt_net_is_local(const struct mt_netw *w, const struct mt_addr *a);

/*
 * Chooses a source address for connections to `remote`: from the configured pool (by `rnd`),
 * otherwise the egress port's address nearest to the next hop. False: no route, or no address of
 * that family.
 */
bool mt_net_source_addr(
	const struct mt_netw *w, const struct mt_addr *remote, uint64_t rnd, struct mt_addr *local);

/*
 * Capabilities of the port of dst (valid after mt_net_route() returned MT_NET_SENT or MT_NET_WAIT).
 */
const struct mt_port_caps *mt_net_caps(const struct mt_netw *w, const struct mt_net_dst *dst);
