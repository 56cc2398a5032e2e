/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/l4 on a node of lib/net (../net/fixture.h), with neighbours that answer. Services:
 *
 * 	nat	 192.0.2.80:4000	192.0.2.21 to 192.0.2.23, port 5000
 *		 [2001:db8::80]:4000	2001:db8::21, port 5000
 * 	nat-full 203.0.113.80:4001	198.51.100.21 (port 1, VLAN 7), port 5001
 *		 [2001:db8::81]:4001	2001:db8::31, port 5001
 * 	empty	 192.0.2.80:4002	none
 *
 * 	dsr	 192.0.2.80:4010	192.0.2.31 to 192.0.2.33
 *		 [2001:db8::80]:4010	2001:db8::41 to 2001:db8::43
 *	far	 192.0.2.80:4011	10.9.9.9, by mode dsr, although a router leads there
 *
 * 	ipip	 as dsr, at port 4012, by mode tunnel-ipip
 *	far-ipip as far, at port 4013, by mode tunnel-ipip
 *	gue	 as dsr, at port 4014, by mode tunnel-gue
 *
 * The same of TCP at ports 5432, 5433, 5434, 5440, 5441 and 5442, except for those that are far.
 *
 * NAT addresses 192.0.2.90 and 2001:db8::90, ports 40000 to 40999.
 */
#pragma once

#include "../net/fixture.h"

#include "mt_l4.h"

#define SC_NAT	     1
#define SC_FULL	     2
#define SC_EMPTY     3
#define SC_NAT_TCP   4
#define SC_FULL_TCP  5
#define SC_EMPTY_TCP 6
#define SC_DSR	     7
#define SC_DSR_TCP   8
#define SC_FAR	     9
#define SC_IPIP	     10
#define SC_IPIP_TCP  11
#define SC_FAR_IPIP  12
#define SC_GUE	     13
#define SC_GUE_TCP   14
#define SC_SERVICES  15

struct scene {
	struct fx f;
	struct mt_l4_set *set;
	struct mt_l4 *l[FX_WORKERS];
	/* For workers that check endpoints; set it before sc_open(). NULL: they do not. */
	struct mt_l4_health *health;
	const struct mt_l4_check_ops *checks;
	/* By service; in effect from sc_open() or sc_swap() on. */
	struct mt_l4_limits_conf limits[SC_SERVICES];
	struct mt_l4_limiter *limiter;
};

/* A datagram; the checksum is right unless `sum` is false: then it is 0. */
struct sc_udp {
	const char *src, *dst;
	uint16_t sport, dport, data;
	uint8_t ttl; /* 0: 64 */
	bool no_sum;
};

/* Endpoints of `dsr` and `ipip`, at a port: 0 to 2 of IPv4, 3 to 5 of IPv6. */
#define SC_DIRECT 6
void sc_direct_endpoints(struct mt_l4_endpoint_conf e[SC_DIRECT], uint16_t port);

void sc_open(struct scene *s, uint16_t workers, uint32_t flows);
/* Replaces the set by one with the limits that the scene has now. */
void sc_swap(struct scene *s);
/* False: packets were lost, or dropped without being counted for their service. */
bool sc_close(struct scene *s);
/* The same on pools that are there. */
void sc_open_node(struct scene *s, uint16_t workers, uint32_t flows);
bool sc_close_node(struct scene *s);
uint64_t sc_count(const struct scene *s, enum mt_l4_outcome o);
/* Of all workers. */
struct mt_l4_stats sc_stats(const struct scene *s, uint32_t service);
uint32_t sc_flows(const struct scene *s);

/* Writes the datagram as a frame. */
void sc_frame(const struct sc_udp *u, struct fx_pkt *p);
/* A part of a datagram, in bytes after its IP header. */
struct sc_part {
	uint16_t from, len;
	bool more;
	uint32_t id;
};
/* Writes a fragment of a frame. */
void sc_fragment(const struct fx_pkt *whole, const struct sc_part *part, struct fx_pkt *p);
/*
 * Writes the error of a router about a datagram that the node has sent: with `quote` bytes of it at
 * most, and `word` in bytes 4 to 7.
 */
void sc_error(const struct fx_frame *out, uint8_t type, uint8_t code, uint32_t word, uint16_t quote,
	struct fx_pkt *p);
/*
 * Worker 0 receives a frame; lib/net separates it from others, and its owner forwards it. TCP is
 * counted in s->f.tcp.
 */
void sc_receive(struct scene *s, uint16_t port, struct rte_mbuf *m);
/* The same in two steps: packets for other workers stay in rings, and sent ones in queues. */
void sc_enter(struct scene *s, uint16_t port, struct rte_mbuf *m);
void sc_hand_over(struct scene *s);
/* Gives a frame with l3_len bytes of IP header to a worker's lib/l4, past lib/net's checks. */
void sc_in(struct scene *s, uint16_t worker, const struct fx_pkt *p, uint16_t l3_len);
/* One loop iteration `step` ns later, with answers for neighbours. */
void sc_turn(struct scene *s, uint64_t step);
/*
 * Gives a datagram to worker 0 and turns until it left; returns it, or NULL. The frames sent before
 * are forgotten.
 */
const struct fx_frame *sc_pass(struct scene *s, const struct sc_udp *u);

/* Source, destination and ports of a sent frame. */
struct sc_ends {
	struct mt_addr src, dst;
	uint16_t sport, dport;
};
struct sc_ends sc_ends(const struct fx_frame *out);
/* Bytes of L2 in a sent frame. */
uint16_t sc_l2(const struct fx_frame *out);
