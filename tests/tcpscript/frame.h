/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of the peer and frames of the stack, byte by byte from the RFCs (791, 8200, 9293, 792, 4443):
 * on purpose without a line of lib/net or lib/tcp, whose mistakes must not be mirrored here.
 */
#pragma once

#include "script.h"

/* What is around the segment; the peer sends to us. */
struct sc_wire {
	bool v6;
	uint16_t lport; /* ours */
	uint8_t opts[60];
	uint32_t opt_len;
	uint8_t doff; /* 0: what the options need */
	bool badsum;
	int fill;     /* payload octet; -1: the pattern of the peer's stream */
	uint32_t pos; /* of the first payload octet in the peer's stream */
};

extern const uint8_t sc_our_mac[6], sc_peer_mac[6];

/* A frame of the peer's; its length. */
uint32_t sc_frame_tcp(uint8_t *f, const struct sc_seg *s, const struct sc_wire *w);

struct sc_icmp {
	bool v6, badsum;
	uint8_t type, code;
	uint32_t mtu;
	uint16_t lport, port;
	uint32_t seq;
};
uint32_t sc_frame_icmp(uint8_t *f, const struct sc_icmp *i);

/*
 * A frame of the stack's. 1: a segment (in *s, payload at *payload, its own port in *lport); 0: nothing
 * of interest; -1: something that must not leave, *why says what.
 */
int sc_frame_parse(const uint8_t *f, uint32_t len, struct sc_seg *s, uint16_t *lport,
	const uint8_t **payload, const char **why);
/* The peer asks who we are, so that it is known from the start. */
uint32_t sc_frame_hello(uint8_t *f, bool v6);
/* The answer to a neighbour's question in f; 0: it is none. */
uint32_t sc_frame_neighbour(const uint8_t *f, uint32_t len, uint8_t *answer);

static inline uint16_t sc_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t sc_get32(const uint8_t *p)
{
	return (uint32_t)sc_get16(p) << 16 | sc_get16(p + 2);
}

static inline void sc_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void sc_put32(uint8_t *p, uint32_t v)
{
	sc_put16(p, v >> 16);
	sc_put16(p + 2, v);
}
