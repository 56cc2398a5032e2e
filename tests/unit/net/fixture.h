/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node of lib/net between two fake ports: what it sends is kept as bytes, what it tells TCP is
 * recorded. Frames are built and checked by code of its own, so that an error in lib/net's checksums or
 * offsets cannot hide itself. Also used by the packet fuzz target.
 */
#pragma once

#include "mt_net.h"

#define FX_PORTS   2
#define FX_WORKERS 3
#define FX_SENT	   256

struct fx_frame {
	uint16_t len, segs;
	uint64_t ol_flags;
	uint8_t b[2048];
};

struct fx_port {
	struct mt_port p;
	uint16_t n;    /* frames sent since fx_clear(); the first FX_SENT of them are kept */
	bool deaf;     /* takes nothing */
	uint16_t take; /* takes so many at once; 0: all */
	uint32_t calls;
	struct fx_frame sent[FX_SENT];
};

struct fx {
	struct mt_pools pools;
	struct mt_steer steer;
	struct mt_net *net;
	uint16_t workers;
	struct mt_netw *w[FX_WORKERS];
	struct fx_port port[FX_PORTS];
	uint64_t now;
	/* events */
	uint32_t neigh_ok, neigh_failed, last_neigh;
	uint32_t icmp;
	struct mt_tuple icmp_tuple;
	uint32_t icmp_seq;
	enum mt_net_icmp icmp_kind;
	uint16_t icmp_mtu;
	uint32_t tcp; /* segments left by fx_in() */
};

/* EAL without huge pages, once per process. */
void fx_eal(void);

/*
 * Port 0 has 192.0.2.1/24, 2001:db8::1/64, port 1 198.51.100.1/24 and VLAN 7; VIPs 192.0.2.80,
 * 203.0.113.80, 2001:db8::80; default routes by 192.0.2.254 and 2001:db8::fe.
 */
void fx_open(struct fx *f, uint16_t workers);
/* Closes; false when an mbuf was lost. */
bool fx_close(struct fx *f);
/* The node alone, on pools that are there: f->pools is kept, all else begins anew. */
void fx_open_node(struct fx *f, uint16_t workers);
bool fx_close_node(struct fx *f);

/* One turn of every worker `step` ns later. */
void fx_turn(struct fx *f, uint64_t step);
void fx_clear(struct fx *f);
uint64_t fx_count(const struct fx *f, enum mt_net_outcome o);

/* An mbuf with these bytes; `seg` > 0 scatters them over mbufs of so many bytes. */
struct rte_mbuf *fx_mbuf(struct fx *f, const void *bytes, uint16_t len, uint16_t seg);
/* Takes m: sent as a connection sends, or freed when lib/net is not ready for it. */
enum mt_net_result fx_send(struct fx *f, uint16_t worker, struct rte_mbuf *m,
	const struct mt_tuple *t, struct mt_net_dst *dst, uint8_t tos);
/* Gives a frame to a worker, in one mbuf; TCP left over is counted in f->tcp and freed. */
void fx_in(struct fx *f, uint16_t worker, uint16_t port, const void *bytes, uint16_t len);
/* The same, but what is left is the caller's; NULL: nothing was. */
struct rte_mbuf *fx_in_keep(struct fx *f, uint16_t worker, uint16_t port, struct rte_mbuf *m);

/* ---- frames -------------------------------------------------------------------------------- */

/* The peer's station on a port, and ours. */
extern const uint8_t fx_peer_mac[6];
extern const uint8_t fx_our_mac[FX_PORTS][6];

struct fx_pkt {
	uint16_t len;
	uint8_t b[2048];
};

struct mt_addr fx_addr(const char *text);
/* RFC 1071 over bytes, one at a time. */
uint16_t fx_sum(uint32_t start, const uint8_t *p, uint32_t len);
/* Ethernet header from the peer to port 0 (or its broadcast: `to` NULL). */
void fx_eth(struct fx_pkt *p, const uint8_t *to, uint16_t type);
void fx_put(struct fx_pkt *p, const void *bytes, uint16_t len);
/* Ethernet + IP + payload with right lengths and checksums; the payload's own checksum at `sum_at`. */
void fx_ip(struct fx_pkt *p, const char *src, const char *dst, uint8_t proto, const void *payload,
	uint16_t len, int sum_at);
/* A SYN with `data` bytes of payload. */
void fx_tcp(struct fx_pkt *p, const char *src, uint16_t sport, const char *dst, uint16_t dport,
	uint16_t data);
void fx_echo(struct fx_pkt *p, const char *src, const char *dst, uint16_t data);
void fx_arp(struct fx_pkt *p, uint16_t op, const uint8_t sha[6], const char *sip, const char *tip,
	const uint8_t *to);
/* Solicitation (135) or advertisement (136), with link-layer option `opt` if not 0. */
void fx_nd(struct fx_pkt *p, uint8_t type, const char *src, const char *dst, const char *target,
	uint32_t flags, uint8_t opt, const uint8_t mac[6]);
/* ICMP error of the destination's family about a TCP segment that we sent. */
void fx_icmp_error(struct fx_pkt *p, const char *router, uint8_t type, uint8_t code, uint32_t rest,
	const char *inner_src, uint16_t sport, const char *inner_dst, uint16_t dport, uint32_t seq);

/* Makes the checksums right again after changes, as far as the lengths make sense. */
void fx_resum(struct fx_pkt *p, uint16_t l2);
/* Whether every checksum in a sent IPv4 or IPv6 frame (l2 bytes of L2) is right. */
bool fx_sums_ok(const struct fx_frame *f, uint16_t l2);
