/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/net: Ethernet, VLAN, ARP/ND, IPv4/IPv6, ICMP; routes and neighbours; output of IP packets.
 * `struct mt_net` is the node's (one writer: the control thread at boot and on changes; the neighbour
 * table has one owner worker and is read by all), `struct mt_netw` is one worker's part. Called by
 * lib/worker (input, tick, flush) and by lib/tcp (route, output).
 */
#pragma once

#include "mt_addr.h"
#include "mt_outcome.h"
#include "mt_port.h"
#include "mt_steer.h"

enum mt_net_outcome {
#define MT_OUTCOME(n, s, w) MT_NET_##n,
#include "net_outcomes.def"
#undef MT_OUTCOME
	MT_NET_N_OUTCOMES
};

extern const struct mt_outcome_set mt_net_outcomes;

struct mt_net;	/* net_types.h: routes, addresses, VIPs, neighbours */
struct mt_netw; /* one worker's part: transmit queues, counters */

/* Where a packet to one remote address goes; cached in a connection, refreshed when `gen` is stale. */
struct mt_net_dst {
	uint16_t port;
	uint16_t mtu;	/* of the path: port MTU, or less after ICMP packet-too-big */
	uint32_t neigh; /* index in the neighbour table */
	uint32_t gen;	/* of routes and neighbours when this was filled */
	uint8_t l2len;	/* 14, or 18 with a VLAN tag; 0: not resolved yet */
	uint8_t l2[18];
};

enum mt_net_result {
	MT_NET_SENT, /* taken */
	MT_NET_WAIT, /* neighbour is being resolved; the packet was not taken. neigh_event() follows */
	MT_NET_NO_ROUTE, /* no route or neighbour failed; not taken */
	MT_NET_BUSY,	 /* the transmit queue is full; not taken */
};

/*
 * What input made of a packet, in place of an array per kind. For MT_NET_IN_TCP the mbuf has l2_len,
 * l3_len set, data still at the Ethernet header, pkt_len trimmed to the IP length, IP header and TCP
 * checksum verified.
 */
enum mt_net_in {
	MT_NET_IN_DONE, /* consumed: answered, parked, dropped and counted, or punted to the kernel */
	MT_NET_IN_TCP, /* for the owner's lib/tcp */
};

/* Events for the layer above, set at init; `arg` is events_arg. */
struct mt_net_events {
	/* The neighbour resolved (ok) or failed: parked connections may go on or must fail. */
	void (*neigh)(void *arg, uint32_t neigh, bool ok);
	/* ICMP about a TCP packet that we sent: `t` as we see it (local, remote), seq of the inner
	 * packet, kind and (packet too big) the MTU. RFC 5927 checks are the receiver's. */
	void (*icmp)(void *arg, const struct mt_tuple *t, uint32_t seq,
		enum mt_net_icmp{MT_NET_ICMP_UNREACH, MT_NET_ICMP_TOO_BIG, MT_NET_ICMP_HARD} kind,
		uint16_t mtu);
};

/* Fills dst for packets from `local` to `remote`. MT_NET_SENT: resolved; WAIT; NO_ROUTE. */
enum mt_net_result mt_net_route(struct mt_netw *w, const struct mt_addr *local,
	const struct mt_addr *remote, struct mt_net_dst *dst);

/*
 * Sends a TCP segment: m->data at the TCP header, m->l4_len its length, pkt_len right, headroom for
 * IP and L2. Prepends IP (ECN bits `tos`) and L2, does or offloads checksums, queues it for the port;
 * mt_net_flush() transmits. Only on MT_NET_SENT the packet is taken.
 */
enum mt_net_result mt_net_output_tcp(struct mt_netw *w, struct rte_mbuf *m,
	const struct mt_tuple *t, struct mt_net_dst *dst, uint8_t tos);

/* Bytes of header in front of the TCP header for this destination: what mt_buf_segment() must leave. */
static inline uint32_t mt_net_headroom(const struct mt_net_dst *dst, bool is4)
{
	return (dst->l2len ? dst->l2len : 18u) + (is4 ? 20u : 40u);
}

/* Whether this address is one of the node's: a port address or a VIP (listener addresses). */
bool mt_net_is_local(const struct mt_netw *w, const struct mt_addr *a);

/* A source address for connections to `remote`: the egress port's, or the configured pool's. */
bool mt_net_source_addr(
	const struct mt_netw *w, const struct mt_addr *remote, uint64_t rnd, struct mt_addr *local);

/* The capability sheet of the port behind dst. */
const struct mt_port_caps *mt_net_caps(const struct mt_netw *w, const struct mt_net_dst *dst);
