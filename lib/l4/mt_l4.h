/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/l4: forwards packets of services that need no layer-7 work. It knows flows, never calls.
 *
 * The control thread compiles services into a set (mt_l4_types.h) and publishes it as a whole;
 * workers only read it. A set is found by (address, port, protocol) and leads to the service's
 * endpoints, among which a Maglev table chooses by a hash of the flow. The table depends on
 * documents alone, so that several nodes choose alike, and health never rebuilds it.
 *
 * Each worker has a `struct mt_l4` with its own flow table. lib/net separates the packets of
 * forwarded services from the others, mt_l4_input() rewrites them, and lib/net queues them for a
 * port. A flow is a pair of entries, one per direction, in two adjacent cache lines. An entry has
 * the key, the rewrite (addresses, ports, checksum differences) and the time of its last packet. A
 * table of buckets of one cache line each (mt_table.h) leads from a packet's tuple to its entry.
 *
 * Invariants:
 * - A flow lives at the worker that owns the tuple of its first packet, and its ports are chosen so
 *   that its replies arrive there. Workers share nothing.
 * - A TCP flow begins with a SYN. Segments without a flow are answered by a reset, and time-outs
 *   depend on the state of the connection (tcp.c). One-way modes differ in both (oneway.c).
 * - L4 checksums are not verified, but changed by the difference of the header (RFC 1624), so a
 *   wrong one stays wrong. Two conclusions need a right one: that a repeated SYN had no answer, and
 *   that a reset is exact (tcp.c). A UDP checksum of 0 stays 0 (IPv4), or is refused (IPv6).
 * - Flows with replies are kept, in three quarters of the table, as long as their client and their
 *   service have not more than their share. All others have a quarter, and the oldest of them gives
 *   way to a new flow (share.c).
 * - Limits drop a client's packet before it changes a flow or makes one (mt_l4_limit.h).
 * - A datagram in fragments is known to the worker that owns its addresses and identification, from
 *   its first fragment to its last (fragment.c). The owner of the flow forwards them one by one.
 * - Each packet that is not forwarded is counted in l4_outcomes.def, or by lib/net if it is for no
 *   service or its port is busy. Time and randomness are parameters.
 * - A set is immutable. It holds no reference to the arrays from which it was compiled, and workers
 *   keep no pointer into it beyond one loop iteration.
 * - Each (address, port, protocol) leads to one service, and each NAT address is neither a VIP nor
 *   an endpoint.
 * - A VIP leads to endpoints of its own family only: addresses are never translated between
 *   families.
 */
#pragma once

#include "mt_l4_health.h"
#include "mt_l4_types.h"
#include "mt_log.h"
#include "mt_net.h"

enum mt_l4_outcome {
#define MT_OUTCOME(n, s, w) MT_L4_##n,
#include "l4_outcomes.def"
#undef MT_OUTCOME
	MT_L4_N_OUTCOMES
};

extern const struct mt_outcome_set mt_l4_outcomes;

/* ---- control thread ------------------------------------------------------------------------ */

/*
 * Compiles services into a new set, which the caller frees by mt_l4_set_free(). Returns 0, -ENOMEM,
 * or -EINVAL with the reason in `e`: two services at one (address, port, protocol), an id out of
 * range or used twice, an unsupported protocol or mode, no VIP, port 0, MT_L4_NAT_FULL without a
 * NAT address of a VIP's family, a one-way mode with an endpoint of another port, a bad range of
 * NAT ports, a NAT address that is a VIP or an endpoint, or a limit that cannot be. Control thread.
 */
int mt_l4_compile(const struct mt_l4_conf *c, struct mt_l4_set **set, struct mt_err *e);
/* NULL is allowed. */
void mt_l4_set_free(struct mt_l4_set *s);

/* Bits of an address (MT_L4_ADDR_*); 0 if the set does not have it. Any thread. */
uint32_t mt_l4_addr_bits(const struct mt_l4_set *s, const struct mt_addr *a);
/* The row at (address, port, protocol); NULL: none. Any thread. */
const struct mt_l4_row *mt_l4_row(
	const struct mt_l4_set *s, const struct mt_addr *a, uint16_t port, uint8_t proto);
/* The service with this id, or NULL. Any thread. */
const struct mt_l4_service *mt_l4_service(const struct mt_l4_set *s, uint32_t id);
/*
 * Index of the endpoint for a hash: that of its slot of the table or, if that one is unhealthy, of
 * the next slot with a healthy one, so that each node chooses alike. If all are unhealthy, they are
 * chosen as if none were. Any thread.
 */
uint32_t mt_l4_choose(const struct mt_l4_group *g, uint64_t hash);

/*
 * Makes lib/net separate the packets of this set's services from others, as soon as `v` is used. 0
 * or -ENOMEM. Control thread.
 */
int mt_l4_expose(const struct mt_l4_set *s, struct mt_net_vips *v);

/*
 * State of a TCP flow, by the segments that were forwarded (tcp.c). MT_L4_STATELESS: it is of
 * another protocol.
 */
enum mt_l4_state {
	MT_L4_STATELESS,
	MT_L4_SYN_SENT,	    /* the client has sent a SYN */
	MT_L4_SYN_RECEIVED, /* the server has sent a SYN-ACK */
	MT_L4_ESTABLISHED,
	MT_L4_HALF_CLOSED, /* one side has sent a FIN */
	MT_L4_CLOSING,	   /* both sides have */
	MT_L4_TIME_WAIT,   /* both FINs are acknowledged, the ports rest */
	MT_L4_RESET,	   /* one side has sent a reset */
	MT_L4_STATES
};

/* ---- one worker's part --------------------------------------------------------------------- */

struct mt_l4;

#define MT_L4_FLOWS_MAX 500000000u

struct mt_l4_worker_conf {
	uint16_t worker;
	const struct mt_steer *steer;
	struct mt_netw *net;
	uint32_t flows; /* connections that the table holds; 1 to MT_L4_FLOWS_MAX */
	uint64_t seed;
	uint64_t secret[2];	     /* of the table's hash */
	struct mt_l4_health *health; /* shared by all workers; NULL: endpoints are not checked */
	const struct mt_l4_check_ops *checks; /* not NULL with `health` */
	void *checks_arg;
	/* Shared by all workers; NULL: no service has limits. */
	struct mt_l4_limiter *limiter;
};

/* The most memory that a flow in the table takes, with its part of the index. */
uint64_t mt_l4_flow_bytes(void);
/* Boot only. NULL: no memory. Memory of the table is touched as flows are made. */
struct mt_l4 *mt_l4_create(const struct mt_l4_worker_conf *c);
void mt_l4_destroy(struct mt_l4 *l);

/* MT_L4_N_OUTCOMES entries. */
uint64_t *mt_l4_counters(struct mt_l4 *l);

/*
 * Of a service since it has its id. They begin again when another service gets the id. All members
 * are uint64_t.
 */
struct mt_l4_stats {
	uint64_t flows_made;
	uint64_t packets[2];	/* from clients, from endpoints */
	uint64_t bytes;		/* of IP packets in both directions */
	uint64_t closed;	/* packets dropped because a policy closes the service */
	uint64_t denied;	/* packets dropped because the client is not among its clients */
	uint64_t policy_denied; /* packets refused because a policy denies the client's address */
	uint64_t no_endpoint;	/* packets refused because no endpoint has the family */
	uint64_t no_nat_port;	/* new flows refused because no port was free */
	/* Packets that the node dropped; the outcomes of these names count those of all services. */
	uint64_t no_route, neighbour_unknown, ttl_exceeded, table_full;
};
/* Adds the statistics of the service to *sum. Any thread. */
void mt_l4_service_stats(const struct mt_l4 *l, uint32_t service, struct mt_l4_stats *sum);
/*
 * Packets without a flow that a network of a list decided, by its number (mt_l4_network.rule - 1):
 * dropped by one of `deny`, let through by one of `allow`. Any thread.
 */
uint64_t mt_l4_rule_packets(const struct mt_l4 *l, uint32_t number);
/* Connections in the table; any thread. */
uint32_t mt_l4_flows(const struct mt_l4 *l);

struct mt_l4_usage {
	uint32_t capacity, flows;
	uint32_t kept_max, kept; /* of them those that nothing evicts */
};
/* Any thread. */
void mt_l4_usage(const struct mt_l4 *l, struct mt_l4_usage *u);

/* Sets `now` until the next call, and the set to be used; NULL: nothing is forwarded. */
void mt_l4_begin(struct mt_l4 *l, uint64_t now, const struct mt_l4_set *set);

/*
 * Forwards or drops n packets; takes them. A packet is as mt_net_forwarded() leaves it: data at the
 * Ethernet header, l2_len and l3_len set, packet_type IPv4 or IPv6, with UDP or
 * MT_NET_PTYPE_SEGMENT, headers contiguous up to the transport header (of TCP without its options)
 * and writable, `port` the index of the port that received it, IP header checked, and trimmed to
 * the IP length; or it is an ICMP error about a packet of a flow (packet_type ICMP), or a fragment
 * of UDP or TCP (packet_type FRAG), possibly without a transport header. They leave by
 * mt_net_flush().
 */
void mt_l4_input(struct mt_l4 *l, struct rte_mbuf **pkts, uint16_t n);

/*
 * Sends packets that waited for a neighbour, drops old fragments, runs health checks, and removes
 * flows that have expired or lost their endpoint, a bounded number of each. Once per loop
 * iteration. Returns the number of removed flows.
 */
uint32_t mt_l4_tick(struct mt_l4 *l);
/* The next moment at which mt_l4_tick() has work (MT_NEVER: none). */
uint64_t mt_l4_next(const struct mt_l4 *l);

struct mt_l4_flow {
	struct mt_addr client, vip, source,
		endpoint; /* `source`: as the endpoint sees the client */
	uint16_t client_port, vip_port, source_port, endpoint_port;
	uint8_t proto;
	uint8_t mode;	     /* enum mt_l4_mode */
	bool answered;	     /* in one-way modes: it had a second packet */
	bool kept;	     /* nothing evicts it */
	uint8_t state;	     /* enum mt_l4_state */
	uint32_t service;    /* id */
	uint32_t packets[2]; /* from the client, from the endpoint since it is kept; modulo 2^32 */
	uint64_t idle;	     /* ns since the last packet */
	uint64_t timeout;    /* ns of `idle` after which the flow ends */
};
/* Places of the table that were ever used; a flow has one of them. On the worker's thread. */
uint32_t mt_l4_places(const struct mt_l4 *l);
/*
 * Iterates the flows of places before `end`, on the worker's thread: *idx, a place, starts at 0.
 * False: there are no more.
 */
bool mt_l4_flow_next(const struct mt_l4 *l, uint32_t *idx, uint32_t end, struct mt_l4_flow *f);
