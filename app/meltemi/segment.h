/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages in TCP segments made for them, so that readers of packets know what to do with them. In Ethernet frames: libpcap reads no file
 * with several interfaces of raw IP.
 */
#pragma once

#include "mt_addr.h"

#define SEGMENT_HEAD 74 /* of Ethernet, IPv6 and TCP */
#define SEGMENT_MAX  65535

struct segment_ends {
	struct mt_addr src, dst;
	uint16_t sport, dport;
};

/* How far each connection has come; places are shared once there are many, and such a connection begins anew. */
struct segment_flows {
	struct segment_flow {
		struct segment_ends ends; /* of one direction */
		uint32_t next;		  /* its next sequence number */
	} flows[4096];
};

/*
 * The headers of a message of which `snap` of `len` bytes follow; their length. *whole: bytes of the packet as it was; a message that no
 * packet holds is as long as what there is of it.
 */
uint32_t segment_head(struct segment_flows *f, const struct segment_ends *e, const void *bytes,
	uint32_t snap, uint32_t len, uint8_t head[SEGMENT_HEAD], uint32_t *whole);
