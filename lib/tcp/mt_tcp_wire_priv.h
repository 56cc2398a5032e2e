/* SPDX-License-Identifier: Apache-2.0 */
/* TCP on the wire: header fields, options, sequence arithmetic (RFC 9293 §3.1, §3.4; RFC 7323). */
#pragma once

#include "mt_addr.h"

#define MT_TCP_FIN 0x01
#define MT_TCP_SYN 0x02
#define MT_TCP_RST 0x04
#define MT_TCP_PSH 0x08
#define MT_TCP_ACK 0x10
#define MT_TCP_ECE 0x40 /* RFC 3168 §6.1 */
#define MT_TCP_CWR 0x80
#define MT_IP_ECT  0x02 /* ECT(0) in the IP header, §5 */

#define MT_TCP_HDR_LEN	    20u
#define MT_TCP_OPTS_MAX	    40u
#define MT_TCP_MSS_DEFAULT4 536u  /* RFC 9293 §3.7.1 */
#define MT_TCP_MSS_DEFAULT6 1220u /* 1280 - 60 */
/* smaller announcements are raised to this (tiny segment attacks) */
#define MT_TCP_MSS_MIN	   64u
#define MT_TCP_WSCALE_MAX  14u /* RFC 7323 §2.3 */
#define MT_TCP_SACK_BLOCKS 4u
#define MT_TCP_TS_LEN	   12u /* NOP NOP timestamps */
#define MT_TCP_MSS_SPARE   20u /* subtracted from the MTU's MSS when announcing */

enum mt_tcp_opt_kind {
	MT_TCP_OPT_END = 0,
	MT_TCP_OPT_NOP = 1,
	MT_TCP_OPT_MSS = 2,
	MT_TCP_OPT_WSCALE = 3,
	MT_TCP_OPT_SACK_OK = 4,
	MT_TCP_OPT_SACK = 5,
	MT_TCP_OPT_TS = 8,
};

/* Which options a segment had. */
#define MT_TCP_HAS_MSS	   0x01
#define MT_TCP_HAS_WSCALE  0x02
#define MT_TCP_HAS_SACK_OK 0x04
#define MT_TCP_HAS_TS	   0x08
#define MT_TCP_HAS_CE	   0x10 /* not an option: a router marked the packet (CE) */

struct mt_tcp_block {
	uint32_t start, end; /* [start, end) in sequence space */
};

/*
 * One received segment: the wire's values in host byte order. The segment owns `m` until it is
 * taken.
 */
struct mt_tcp_seg {
	struct rte_mbuf *m; /* NULL: taken or freed */
	struct mt_tuple tuple;
	uint32_t hash;
	uint32_t
		val; /* first value in the table for this hash before the burst, or MT_TABLE_NONE */
	uint32_t seq, ack;
	uint32_t len; /* payload bytes, after trimming */
	uint32_t tsval, tsecr;
	uint16_t wnd;  /* as on the wire, not scaled */
	uint32_t skip; /* bytes of m in front of the payload */
	uint16_t mss;
	uint8_t flags;
	uint8_t has; /* MT_TCP_HAS_* */
	uint8_t wscale;
	uint8_t n_sack;
	struct mt_tcp_block sack[MT_TCP_SACK_BLOCKS];
};

static inline bool mt_seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool mt_seq_leq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline bool mt_seq_gt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static inline bool mt_seq_geq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) >= 0;
}

static inline uint32_t mt_seq_max(uint32_t a, uint32_t b)
{
	return mt_seq_gt(a, b) ? a : b;
}

static inline uint32_t mt_seq_min(uint32_t a, uint32_t b)
{
	return mt_seq_lt(a, b) ? a : b;
}

static inline uint16_t mt_get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t mt_get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void mt_put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void mt_put_be32(uint8_t *p, uint32_t v)
{
	mt_put_be16(p, (uint16_t)(v >> 16));
	mt_put_be16(p + 2, (uint16_t)v);
}
