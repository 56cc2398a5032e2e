/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual machines that a node connects by vhost-user: annotations of their WorkloadEntries, and
 * the Node's `guests`.
 */
#pragma once

#include "mt_model_types.h"

/* Annotations of a WorkloadEntry. The first makes it a guest; MAC is required as well. */
#define MT_GUEST_KEY_SOCKET    "meltemi.io/vhost-user" /* path of the hypervisor's socket */
#define MT_GUEST_KEY_MAC       "meltemi.io/mac"	       /* "52:54:00:12:34:56" */
#define MT_GUEST_KEY_ADDRESSES "meltemi.io/addresses"  /* more addresses: "A,B" */
#define MT_GUEST_KEY_LIMITS    "meltemi.io/limits"     /* mt_guest_limits_parse() */
#define MT_GUEST_KEY_NODE      "meltemi.io/node"       /* name of the only Node with this guest */

/* Limits of a guest; not set: none. Rates are per second. */
struct mt_guest_limits {
	struct mt_origin origin;
	struct mt_num packets, bytes, new_connections;
	struct mt_num connections; /* concurrent ones */
	struct mt_num calls;	   /* a rate */
};

/* A lower limit of bytes would stop a guest. */
#define MT_GUEST_BYTES_MIN 10000u

/* A network of guests; `address` is also the node's address there, the guests' gateway. */
struct mt_guest_network {
	struct mt_origin origin;
	struct mt_node_addr address;
	struct mt_num nat; /* guests reach other networks with an address of the node */
};

/* Destinations of guests besides services: all, or none. */
enum mt_guest_default { MT_GUEST_DEFAULT_ALLOW, MT_GUEST_DEFAULT_DENY };

struct mt_node_guests {
	struct mt_origin origin;
	struct mt_guest_network *networks;
	uint32_t n_networks;
	struct mt_num by_default;	/* enum mt_guest_default */
	struct mt_guest_limits *limits; /* of each guest without its own; NULL: none */
	struct mt_text mac_text;	/* the node's Ethernet address on guests' ports */
	uint8_t mac[6];
};

/*
 * Parses six hexadecimal bytes between colons: the Ethernet address of one station. Returns 0 or
 * -EINVAL.
 */
int mt_mac_parse(const char *text, uint8_t mac[6]);

/*
 * Parses "N/s", of `len` bytes. Returns 0, -EINVAL if it is not a rate, or -ERANGE if N exceeds 32
 * bits. *v may be 0.
 */
int mt_rate_parse(const char *text, size_t len, uint32_t *v);

/*
 * Parses one or more of "packets=N/s,bytes=N/s,newConnections=N/s,connections=N,calls=N/s". Blanks
 * may follow commas. Returns NULL, or the reason why the text is invalid, with its column, which is
 * in `why`.
 */
const char *mt_guest_limits_parse(
	const char *text, uint32_t line, struct mt_guest_limits *out, char *why, size_t size);
/* Returns the reason why one of the limits has no effect, in `why`; NULL: all have one. */
const char *mt_guest_limits_wrong(const struct mt_guest_limits *l, char *why, size_t size);
