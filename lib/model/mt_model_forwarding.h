/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwarding at layer 4: the node sends packets of a port to endpoints without terminating
 * connections.
 */
#pragma once

#include "mt_model_types.h"

/* Annotation of a ServiceEntry or Service: "MODE" or "PORTNAME=MODE,...". */
#define MT_FORWARDING_ANNOTATION "meltemi.io/forwarding"

enum mt_forwarding {
	MT_FORWARDING_NONE, /* the port is terminated, or not served */
	MT_FORWARDING_NAT,  /* destination address and port become the endpoint's */
	/* also rewrites the source, so that replies always return through the node */
	MT_FORWARDING_NAT_FULL,
	MT_FORWARDING_DSR, /* the endpoint answers the client itself */
	/* as DSR; the packet travels in an IP packet of its own family */
	MT_FORWARDING_TUNNEL_IPIP,
	MT_FORWARDING_TUNNEL_GUE, /* as DSR; the packet travels in a UDP datagram */
};

/* The remedy for an unknown mode. */
#define MT_FORWARDING_MODES "write nat, nat-full, dsr, tunnel-ipip or tunnel-gue"

/* Returns the mode with this name; MT_FORWARDING_NONE if there is none. */
enum mt_forwarding mt_forwarding_find(const char *word, size_t len);
/* Returns the name of a mode; "none" for MT_FORWARDING_NONE. */
const char *mt_forwarding_str(enum mt_forwarding mode);
/* True if endpoints answer clients themselves, from the service's address and port. */
static inline bool mt_forwarding_is_one_way(enum mt_forwarding mode)
{
	return mode >= MT_FORWARDING_DSR;
}
static inline bool mt_forwarding_is_tunnel(enum mt_forwarding mode)
{
	return mode >= MT_FORWARDING_TUNNEL_IPIP;
}

/* Annotation of a ServiceEntry or Service: "KIND[, interval=DURATION][, failures=N]". */
#define MT_HEALTH_CHECK_ANNOTATION "meltemi.io/health-check"

/* How endpoints of forwarded ports are checked for health. */
enum mt_health_check_kind {
	MT_HEALTH_CHECK_NONE,
	MT_HEALTH_CHECK_TCP,  /* a connection to the endpoint's port */
	MT_HEALTH_CHECK_ICMP, /* an echo request to the endpoint's address */
};

/* "none", "tcp", "icmp", NULL: the values of enum mt_health_check_kind. */
extern const char *const mt_health_check_words[];

#define MT_HEALTH_CHECK_INTERVAL_MS	2000u
#define MT_HEALTH_CHECK_INTERVAL_MIN_MS 100u
#define MT_HEALTH_CHECK_INTERVAL_MAX_MS 3600000u
#define MT_HEALTH_CHECK_FAILURES	3u
#define MT_HEALTH_CHECK_FAILURES_MAX	100u

struct mt_health_check_of {
	struct mt_origin origin;
	struct mt_num kind; /* enum mt_health_check_kind; not set: decided by the port's protocol */
	struct mt_num interval, failures;
};

/* The lowest limit of bytes in a second, and the size of the smallest packet that is forwarded. */
#define MT_FORWARDING_BYTES_MIN	 10000u
#define MT_FORWARDING_PACKET_MIN 28u

/* Limits of the clients of a forwarded port; rates are per second. */
struct mt_forwarding_rates {
	struct mt_origin origin;
	struct mt_num connections; /* concurrent ones; only for a service */
	struct mt_num new_connections, packets, bytes;
};

struct mt_forwarding_limits {
	struct mt_origin origin;
	struct mt_forwarding_rates *source, *service; /* NULL: no limits */
};

/* Forwarding of a service's port that the Node document requests, for services of any source. */
struct mt_node_forwarding {
	struct mt_origin origin;
	struct mt_text host;
	struct mt_num port;
	struct mt_num mode; /* enum mt_forwarding; not written: MT_FORWARDING_NAT */
	struct mt_node_addr *allow,
		*deny; /* networks of clients; without `allow` all except those of `deny` */
	uint32_t n_allow, n_deny;
	struct mt_health_check_of *check;    /* NULL: as the annotation specifies */
	struct mt_forwarding_limits *limits; /* NULL: none */
};

/* Source addresses and ports of forwarded flows towards endpoints. */
struct mt_node_nat {
	struct mt_origin origin;
	struct mt_node_addr *addresses;
	uint32_t n_addresses;
	struct mt_text ports; /* "1024-65535" */
	uint16_t first, last; /* of `ports`; 0: not written */
};
