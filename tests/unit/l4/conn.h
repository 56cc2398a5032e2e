/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP connections through the scene, segment by segment. A connection remembers the sequence
 * numbers of both ends, so that a test names only flags and bytes.
 */
#pragma once

#include "scene.h"

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10

struct cn_segment {
	const char *src, *dst;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t data;
	uint32_t stamp; /* of the timestamp option; 0: none */
};

struct cn {
	const char *client, *vip;
	uint16_t cport, vport;
	uint32_t seq[2];     /* next of the client, of the server */
	uint32_t stamp;	     /* of segments from the client; 0: none */
	struct sc_ends seen; /* source and destination, as the server sees the client's segments */
};

void cn_frame(const struct cn_segment *g, struct fx_pkt *p);
/*
 * Gives a segment to worker 0 and turns until a TCP segment left; returns it, or NULL. The frames
 * sent before are forgotten.
 */
const struct fx_frame *cn_pass(struct scene *s, const struct cn_segment *g);
/* A connection to the nat service (or nat-full) over IPv4. */
struct cn cn_new(const char *client, uint16_t cport, bool full);
/* Writes the next segment of the client, or the server, and counts it as sent. */
void cn_next(struct cn *c, bool server, uint8_t flags, uint16_t data, struct fx_pkt *p);
/* A segment of the client, or the server, with the next sequence number, acknowledging all. */
const struct fx_frame *cn_client(struct scene *s, struct cn *c, uint8_t flags, uint16_t data);
const struct fx_frame *cn_server(struct scene *s, struct cn *c, uint8_t flags, uint16_t data);
/* SYN, SYN-ACK, ACK. False: one of them was not forwarded. */
bool cn_open(struct scene *s, struct cn *c);
/* The flow of the connection; false: there is none. */
bool cn_flow(const struct scene *s, const struct cn *c, struct mt_l4_flow *f);
/* Its state; MT_L4_STATELESS: there is none. */
enum mt_l4_state cn_state(const struct scene *s, const struct cn *c);

/* TCP header of a sent frame. */
const uint8_t *cn_tcp(const struct fx_frame *f);
uint32_t cn_word(const uint8_t *p);
