/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiled form of forwarded services: addresses, rows and the choice of endpoints. The control
 * thread builds a set with mt_l4_compile() from plain arrays and publishes it as a whole; workers
 * only read. Flows hold copies and service ids, never pointers into a set, so a replaced set can be
 * freed after one quiescence of all workers.
 */
#pragma once

#include "mt_addr_range.h"
#include "mt_balance.h"
#include "mt_l4_limit.h"

/*
 * Ids of services are below this; they index the counters of mt_l4_service_stats(). A set of at
 * most half as many services leaves ids for the next set, although services keep theirs.
 */
#define MT_L4_SERVICES_MAX 8192u

/* How packets of a service are forwarded. */
enum mt_l4_mode {
	/*
	 * The destination becomes the endpoint's. The client's address is kept, so replies must
	 * return through this node. The client's port is kept if its replies arrive at the same
	 * worker and no other flow uses it; otherwise another port is chosen.
	 */
	MT_L4_NAT,
	/* The source becomes a NAT address and port, too, so replies return by themselves. */
	MT_L4_NAT_FULL,
	/*
	 * One-way modes: the endpoint has the VIP as an address of its own and answers the client
	 * itself. The packet is not changed, except for its TTL.
	 *
	 * MT_L4_DSR: it goes to the endpoint's station, so the endpoint is a neighbour.
	 * MT_L4_IPIP: it is the payload of a packet of its own family to the endpoint (RFC 2003, RFC
	 * 2473), from an address of this node.
	 */
	MT_L4_DSR,
	MT_L4_IPIP,
	/*
	 * As MT_L4_IPIP, in a datagram of UDP to port 6080 with a GUE header (variant 0, no
	 * options). Its source port is a hash of the flow, for queues and equal-cost paths.
	 */
	MT_L4_GUE,
	MT_L4_MODES
};

static inline bool mt_l4_is_one_way(enum mt_l4_mode mode)
{
	return mode >= MT_L4_DSR;
}

/* ---- input of the compiler; it copies what it needs ------------------------------------------ */

/* How endpoints are checked for health (health.c). */
enum mt_l4_check_kind {
	MT_L4_CHECK_NONE, /* they are always healthy */
	MT_L4_CHECK_TCP,  /* a connection to the endpoint's port */
	MT_L4_CHECK_ICMP, /* an echo request to its address */
};

struct mt_l4_check_conf {
	uint8_t kind; /* enum mt_l4_check_kind */
	/*
	 * Failures count only once a check of the endpoint has succeeded: it may be one that never
	 * answers.
	 */
	bool lenient;
	uint8_t failures;     /* in a row, after which the endpoint is unhealthy; > 0 */
	uint32_t interval_ms; /* from the start of a check to that of the next; > 0 */
};

struct mt_ep_state;

/* Identity and health of an endpoint, which outlive sets. */
struct mt_l4_health_of {
	/*
	 * Not 0: unhealthy. The worker that checks the endpoint changes it (atomic), and it is
	 * readable as long as the set. NULL: the endpoint is not checked.
	 */
	const uint8_t *unhealthy;
	uint64_t id;
	uint32_t index;		   /* < MT_L4_INDEXES_MAX; of no other endpoint at the same time */
	struct mt_ep_state *state; /* for mt_l4_check_ops */
};

#define MT_L4_INDEXES_MAX (1u << 18)

struct mt_l4_endpoint_conf {
	struct mt_addr addr;
	uint16_t port;
	uint32_t weight; /* relative; 0 excludes the endpoint, unless all are 0 */
	struct mt_l4_health_of health;
	uint32_t clients; /* index in mt_l4_service_conf.clients + 1; 0: all */
	/*
	 * A part of the endpoints, such as one destination of a route. If the endpoint is
	 * unhealthy, only endpoints of its part take its flows.
	 */
	uint8_t part;
	/*
	 * No endpoint: its share of new flows, by the weight, is refused and counted as
	 * no_endpoint. `port` is 0, and `addr` the unspecified one of a family.
	 */
	bool refuses;
};

/* A network; bits of `addr` after the prefix are ignored. */
struct mt_l4_network {
	struct mt_addr addr;
	uint8_t prefix; /* 0 to 32 for IPv4, 0 to 128 for IPv6 */
	/*
	 * Number of its counter + 1, the same in each set while the network is in the list; 0: it
	 * is not counted. A network inside another one of its list is counted by that one.
	 */
	uint32_t rule;
};

/* Numbers of counters are below this; a worker has one of each. */
#define MT_L4_RULES_MAX 4096u

struct mt_l4_service_conf {
	uint32_t id;	  /* < MT_L4_SERVICES_MAX; the same in each set while the service exists */
	const char *name; /* for operators: `show flows`, metrics */
	/*
	 * Seed of the choice: nodes with the same key and endpoints choose the same endpoint for a
	 * flow. NULL: the name.
	 */
	const char *key;
	const struct mt_addr *vips; /* both families allowed */
	uint32_t n_vips;
	uint16_t port; /* of the VIPs */
	uint8_t proto; /* IPPROTO_UDP or IPPROTO_TCP */
	enum mt_l4_mode mode;
	bool by_source; /* choose by the client's address alone, without ports */
	/*
	 * A policy closes the service: new flows are dropped and counted as closed_by_policy, and
	 * existing ones are removed within a second or two.
	 */
	bool closed;
	/*
	 * Clients that may use the service: those outside `deny` and, if `allow` is not empty,
	 * inside `allow`. New flows of others are dropped and counted as source_denied; existing
	 * ones are removed within a second or two.
	 */
	const struct mt_l4_network *allow, *deny;
	uint32_t n_allow, n_deny;
	/*
	 * Clients that policies let through to single endpoints. New flows of others are refused
	 * after their endpoint was chosen, and counted as policy_denied; existing ones are removed
	 * as above.
	 */
	const struct mt_addr_ranges *clients;
	uint32_t n_clients;
	struct mt_l4_limits_conf limits; /* no `connections` in one-way modes */
	/*
	 * A VIP uses the endpoints of its own family. Without any, new flows are refused and
	 * counted.
	 */
	const struct mt_l4_endpoint_conf *endpoints;
	uint32_t n_endpoints;
	/*
	 * The endpoints, with their weights then, that were in force before the changes of the last
	 * minutes; their health is not read. None: there was no change. In one-way modes, segments
	 * of TCP connections without a flow go where these lead to, until the time `before_until`
	 * (ns). New flows never do.
	 */
	const struct mt_l4_endpoint_conf *before;
	uint32_t n_before;
	uint64_t before_until;
	struct mt_l4_check_conf check;
	uint32_t cluster;  /* for mt_l4_check_ops */
	const char *owner; /* namespace: owners take turns at checks; NULL: none */
};

struct mt_l4_conf {
	const struct mt_l4_service_conf *services;
	uint32_t n_services;
	/* Sources of MT_L4_NAT_FULL flows; disjoint from VIPs and endpoints. */
	const struct mt_addr *nat;
	uint32_t n_nat;
	/*
	 * Ports of NAT addresses, inclusive: only these are forwarded. With an address that lib/tcp
	 * uses as a source too, disjoint from its ports.
	 */
	uint16_t nat_lo, nat_hi;
	uint16_t workers; /* among which limits are divided; 0: 1 */
	/*
	 * Flows of TCP from NAT addresses may exist although no service makes them: one had the mode
	 * MT_L4_NAT_FULL.
	 */
	bool nat_tcp;
};

/* ---- the compiled form --------------------------------------------------------------------- */

/* Bits of an address: which packets for it are forwarded. 0: none. */
#define MT_L4_ADDR_ROWS 0x01u /* those of its rows */
#define MT_L4_ADDR_NAT	0x02u /* ports nat_lo to nat_hi: replies of MT_L4_NAT_FULL flows */
/*
 * An endpoint: its packets from (address, port, protocol) of an endpoint to foreign addresses are
 * replies, if a flow of MT_L4_NAT has them.
 */
#define MT_L4_ADDR_SERVER 0x04u

/* An address, once in a set, with all its bits. */
struct mt_l4_addr {
	struct mt_addr addr;
	uint32_t bits;
};

struct mt_l4_endpoint {
	struct mt_addr addr;
	uint16_t port;			      /* 0: mt_l4_endpoint_conf.refuses */
	bool chosen;			      /* the table has it */
	uint8_t part;			      /* mt_l4_endpoint_conf.part */
	uint32_t index;			      /* mt_l4_health_of.index; UINT32_MAX: not checked */
	const struct mt_addr_ranges *clients; /* of the service; NULL: all */
	const uint8_t *unhealthy;	      /* mt_l4_health_of.unhealthy */
};

/* An endpoint that is checked. */
struct mt_l4_check {
	struct mt_addr addr;
	uint16_t port;
	struct mt_l4_check_conf conf;
	struct mt_l4_health_of health;
	uint32_t cluster;
	uint16_t queue; /* of mt_l4_check_range */
};

/* The checks of one owner and kind, adjacent in mt_l4_set.checks. */
struct mt_l4_check_range {
	uint32_t first, n;
	uint16_t queue; /* differs between ranges of a set; < MT_L4_CHECK_QUEUES */
};

/* Two for each owner; owners beyond that share queues with others. */
#define MT_L4_CHECK_QUEUES 2048u

/* A range of mt_l4_group.members. */
struct mt_l4_part {
	uint32_t first, n;
};

/* Endpoints of one family of a service, and the choice among them. */
struct mt_l4_group {
	struct mt_l4_endpoint *endpoints; /* sorted by address and port */
	uint32_t n_endpoints;		  /* > 0 */
	bool by_source;
	struct mt_maglev table; /* hash -> index in `endpoints` */
	/* Indexes of the endpoints that the table has, by part: parts[mt_l4_endpoint.part]. */
	uint32_t *members;
	struct mt_l4_part *parts;
	/* The table before, until `before_until`: hash -> place in `before_at`. */
	struct mt_maglev before;
	uint32_t *before_at; /* index in `endpoints`, or UINT32_MAX: it is gone; NULL: none */
	uint64_t before_until;
};

struct mt_l4_sources;
struct l4_limits;

struct mt_l4_row {
	struct mt_addr addr;
	uint16_t port;
	uint8_t proto;
	uint8_t mode; /* enum mt_l4_mode */
	bool closed;
	uint32_t service;		 /* id */
	const struct mt_l4_group *group; /* NULL: there is no endpoint of the address's family */
	const struct mt_l4_sources *sources; /* clients that may use it; NULL: all */
	struct mt_l4_check_conf check;
	struct mt_l4_limits_conf limits;
};

struct mt_l4_service {
	uint32_t id;
	uint64_t owner; /* hash of the key or the name; not 0 */
	uint16_t port;	/* of the VIPs */
	uint8_t proto;
	uint8_t mode; /* enum mt_l4_mode */
	char *name;
	bool closed;
	struct mt_l4_group *v4, *v6;   /* NULL: none */
	struct mt_l4_sources *sources; /* NULL: all */
	struct mt_addr_ranges *clients;
	uint32_t n_clients;
};

/* A network of a list of clients that is counted. */
struct mt_l4_rule {
	struct mt_l4_network network;
	uint32_t service; /* id */
	bool deny;
	uint64_t owner; /* differs between networks that have one number after each other; not 0 */
};

struct mt_l4_set {
	uint64_t generation; /* differs from that of each other set of the process; not 0 */
	struct mt_l4_service *services;
	uint32_t n_services;
	struct l4_limits **limits; /* by id of the service; NULL: none has any */
	struct mt_l4_rule *rules;
	uint32_t n_rules;
	struct mt_l4_row *rows;
	uint32_t n_rows;
	struct mt_l4_addr *addrs; /* sorted by address */
	uint32_t n_addrs;
	/* (address, port, protocol) of endpoints, each once. */
	struct mt_l4_row *servers; /* `group` is NULL */
	uint32_t n_servers;
	struct mt_l4_check *checks; /* sorted by queue */
	uint32_t n_checks;
	struct mt_l4_check_range *check_ranges; /* sorted by queue */
	uint32_t n_check_ranges;
	struct mt_addr *nat4, *nat6;
	uint32_t n_nat4, n_nat6;
	uint16_t nat_lo, nat_hi;
	bool nat_tcp; /* a MT_L4_NAT_FULL service is of TCP, or mt_l4_conf.nat_tcp */
	/* Open addressing, at most half full: index in `rows` + 1; 0: free. */
	uint32_t *slots;
	uint32_t mask;
};
