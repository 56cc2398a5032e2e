/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wraps messages in artificial TCP segments, so that packet analysers can decode them. Uses
 * Ethernet frames, because libpcap does not read files with several raw IP interfaces.
 */
#pragma once

#include "mt_addr.h"

#define SEGMENT_HEAD 74 /* Ethernet, IPv6 and TCP headers */
#define SEGMENT_MAX  65535

struct segment_ends {
	struct mt_addr src, dst;
	uint16_t sport, dport;
};

/*
 * The sequence numbers of each connection. Entries are shared if there are many connections; a
 * connection that loses its entry starts again.
 */
struct segment_flows {
	struct segment_flow {
		struct segment_ends ends; /* of one direction */
		uint32_t next;		  /* its next sequence number */
	} flows[4096];
};

/*
 * Makes the headers for a message of which `snap` of `len` bytes follow; returns their length.
 * *whole: the original length of the packet. A message too large for a packet is shortened to the
 * bytes that follow.
 */
uint32_t segment_head(struct segment_flows *f, const struct segment_ends *e, const void *bytes,
	uint32_t snap, uint32_t len, uint8_t head[SEGMENT_HEAD], uint32_t *whole);
