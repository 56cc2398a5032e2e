/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cycles and instructions of a forwarded packet. A generator writes datagrams of random flows, in
 * both directions, into a few buffers, and one of these loops takes them, 32 at a time:
 *
 * 	gen	 nothing
 * 	macswap	 swaps the Ethernet addresses, as testpmd's macswap does
 * 	bare	 checks headers, finds a 64-byte entry, rewrites, counts: the least that NAT needs
 * 	l4	 lib/l4 and lib/net's transmit queue
 * 	limited	 the same, with lists of clients and all limits, which no packet exceeds
 *
 * All of them include the generator and, with --link, a device of DPDK. The port is this program's:
 * it takes each packet and, while verifying, checks its bytes (sent.c) before the device gets it. In one-way modes all packets are those of clients, which the
 * bare loop rewrites all the same.
 */
#pragma once

#include "mt_l4.h"

#define BURST	  32
#define ENDPOINTS 100
#define VIP_PORT  4000
#define EP_PORT	  5000
#define MARK	  8 /* bytes of payload that name flow and direction */

/* Address and station of the sender of frames; the router to clients, and this node. */
#define BENCH_SENDER "\2\0\0\0\0\x99"
#define BENCH_ROUTER rte_cpu_to_be_32(0xc00002fe) /* 192.0.2.254 */
#define BENCH_NODE   rte_cpu_to_be_32(0xc63364fe) /* 198.51.100.254, nearest to endpoints */

/* The form of frames that the bare loop sends. */
#define BENCH_BARE MT_L4_MODES

#define BENCH_DENIED 0x0b000000u /* 11.0.0.0/8: clients that the TCP service denies */

/* Where buffers of frames come from and go to (link.c). */
enum bench_link { LINK_OWN, LINK_NULL, LINK_RING, LINK_MEMIF };
#define BENCH_DEVICES 2	  /* most devices of a link */
#define BENCH_BUFFERS 511 /* for frames */

/* Segments of a flood (flood.c). */
enum bench_flood { FLOOD_NONE, FLOOD_SYN, FLOOD_SEGMENT, FLOOD_DENIED, FLOOD_PORTS };

/* What the endpoint sees of a flow; network byte order. */
struct bench_flow {
	uint32_t source;   /* 0: not known yet */
	uint16_t port;	   /* of GUE: the outer one */
	uint16_t endpoint; /* index */
};

struct bench_l4 {
	struct mt_port port; /* first: the port's functions get this */
	struct mt_pools pools;
	struct mt_steer steer;
	struct mt_net *net;
	struct mt_netw *netw;
	struct mt_l4_set *set, *limited; /* in use; with limits and lists of clients */
	struct mt_l4_set *changed;	 /* with one endpoint more, which nothing chooses */
	struct mt_l4_limiter *limiter;
	struct mt_l4 *l4;
	uint64_t now;
	uint32_t flows;
	uint16_t size; /* of frames, without CRC; 0: IMIX */
	enum mt_l4_mode mode;
	uint64_t rnd;
	struct bench_flow *flow;
	enum bench_link link;
	struct rte_mbuf *stock[2 * BURST];
	uint32_t n_stock;
	/* transmit */
	enum bench_flood flood;
	bool learn, verify;
	enum mt_l4_mode form; /* of frames that are sent, or BENCH_BARE */
	uint64_t sent, wrong, arps;
	struct mt_addr arp_target;
	bool arp_due;
};

/* node.c: a node with services on this program's port. Exits with a reason if it cannot. */
void bench_open(struct bench_l4 *b);
void bench_die(const char *what) __attribute__((noreturn));
void bench_close(struct bench_l4 *b);
/* Uses the other set, which all flows are compared with. */
void bench_limit(struct bench_l4 *b);
/* Uses a set after a change of endpoints; all flows stay, but are compared with it. */
void bench_change(struct bench_l4 *b);
/* Begins a loop iteration `ns` later. */
void bench_begin(struct bench_l4 *b, uint64_t ns);
/* Passes n packets to lib/l4 and flushes. */
void bench_forward(struct bench_l4 *b, struct rte_mbuf **pkts, uint16_t n);

/* flows.c: frames of flow i in a direction; those of replies need its source. */
void bench_write(struct bench_l4 *b, struct rte_mbuf *m, uint32_t i, bool reply);
/* A burst of random flows in buffers of the link, to which they return when the port takes them. */
void bench_burst(struct bench_l4 *b, struct rte_mbuf **pkts);
/* Makes all flows, each with a reply or, in one-way modes, a second packet. Cycles a flow. */
double bench_fill(struct bench_l4 *b);
uint32_t bench_client(uint32_t i);
uint16_t bench_client_port(uint32_t i);
uint32_t bench_endpoint(uint32_t i);
/* Of endpoints, in host byte order; one-way modes keep that of the service. */
uint16_t bench_endpoint_port(const struct bench_l4 *b);
#define BENCH_VIP rte_cpu_to_be_32(0xc0000250) /* 192.0.2.80 */

/* link.c: sets arguments of the EAL for the link's devices, whose text stays; returns their number. */
int bench_link_args(enum bench_link link, char *args[BENCH_DEVICES]);
/* Starts the devices that the EAL has; buffers are zero. */
void bench_link_open(struct bench_l4 *b);
void bench_link_close(struct bench_l4 *b);
void bench_take(struct bench_l4 *b, struct rte_mbuf **pkts, uint16_t n);
void bench_return(struct bench_l4 *b, struct rte_mbuf **pkts, uint16_t n);

/* sent.c: counts a sent frame that is wrong; while learning, notes the endpoint of its flow. */
void bench_look(struct bench_l4 *b, const struct rte_mbuf *m);
/* Source and endpoint that NAT gives to a flow; in one-way modes, with its client as source. */
struct bench_flow bench_seen(const struct bench_l4 *b, uint32_t i);
/* The station of a neighbour. */
void bench_station(uint32_t addr, uint8_t mac[6]);
/* The one's complement sum of words, in 16 bits. */
uint16_t bench_fold(uint64_t s);

/* flood.c: fills the places of new flows, then counts so many bursts of b->flood. */
void bench_flood(struct bench_l4 *b, uint32_t bursts);

/* bare.c: the loop without lib/l4, over the same flows. */
struct bare;
struct bare *bare_open(const struct bench_l4 *b);
void bare_close(struct bare *a);
/* Packets without an entry are counted in b->wrong. */
void bare_forward(struct bare *a, struct bench_l4 *b, struct rte_mbuf **pkts, uint16_t n);
