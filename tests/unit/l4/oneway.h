/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-way modes, for the tests: endpoints with stations of their own, and frames that are compared
 * byte by byte with what a rewriter that knows nothing of lib/l4 makes of them.
 */
#pragma once

#include "conn.h"

#define C    "10.1.1.1"
#define VIP4 "192.0.2.80"
#define VIP6 "2001:db8::80"

extern struct scene ow;
extern struct mt_l4_endpoint_conf ow_endpoints[SC_DIRECT];
/* Ports of the mode that is tested. */
extern uint16_t ow_udp_port, ow_tcp_port;

/* The scene, with the stations of all endpoints known. */
void ow_open_mode(uint16_t workers, uint32_t flows, enum mt_l4_mode mode);
/* The same of MT_L4_DSR. */
void ow_open(uint16_t workers, uint32_t flows);
/* Health of the endpoints of ow_use_endpoints(). */
extern uint8_t ow_unhealthy[SC_DIRECT];
/* Replaces the services by those of dsr, with only the first n endpoints of IPv4. */
void ow_use_endpoints(uint32_t n);

/* Index of the endpoint whose station the frame is for; -1: none. */
int ow_received_by(const struct fx_frame *f);
/* The endpoint that the hash of these ends leads to, as any node computes it. */
int ow_chosen(const struct mt_l4_set *set, const struct sc_ends *e, uint8_t proto);

/* Makes of a frame, without its L2, what must come of it: the TTL is 1 less. */
void ow_rewritten(struct fx_pkt *p);
/* Puts the outer header before the packet; the identification is taken from `out`. */
void ow_tunnelled(struct fx_pkt *p, const struct mt_addr *to, const struct fx_frame *out);
/* Makes of a frame what must come of it for the i-th endpoint. */
void ow_expected(struct fx_pkt *p, int i, const struct fx_frame *out);
/* The frame that left for an endpoint; NULL: none. */
const struct fx_frame *ow_left(void);
/* Gives the frame to worker 0; it must leave as expected. Returns the endpoint. */
int ow_forwarded(const struct fx_pkt *p, uint16_t pieces);
/* Gives the frame to worker 0; true: nothing left for an endpoint. */
bool ow_drops(const struct fx_pkt *p);

/* A datagram from C, or a segment, by this port. */
void ow_datagram(struct fx_pkt *p, uint16_t sport, uint16_t data);
void ow_segment(struct fx_pkt *p, uint16_t sport, uint8_t flags);
/* Passes a segment; returns the endpoint. */
int ow_pass_segment(uint16_t sport, uint8_t flags);
