/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network: one switch, a wire per host. Frames travel as copies (or, between ports that share
 * mbufs, as the mbuf itself beside the copy). Each wire has its own faults.
 */
#pragma once

#include "sim.h"

#include <rte_mbuf.h>

#define SIM_FRAME_MAX 1600

struct sim_frame {
	struct sim_frame *next;
	struct rte_mbuf *shared; /* the sender's own mbuf, with a reference for us; or NULL */
	uint64_t serial;	 /* order in which the network was given frames; a copy keeps it */
	uint16_t len;
	bool hurt;		       /* its bytes are not what the sender sent */
	bool old;		       /* a duplicate or a replay: the receiver may have moved on */
	struct sim_frame *made_before; /* frames live for ever: used again */
	uint8_t data[SIM_FRAME_MAX];
};

/* Half open [from, to). */
struct sim_window {
	uint64_t from, to;
};

#define SIM_BLACKOUTS 3

/* Faults of one wire, in the direction from the host into the switch. Rates are per million frames. */
struct sim_wire {
	uint64_t delay, jitter, reorder_by; /* ns */
	uint32_t loss, burst_enter, burst_leave, duplicate, reorder, corrupt, corrupt_fixed;
	uint64_t bytes_per_sec; /* 0: no limit */
	uint32_t queue_bytes;
	uint32_t
		mark_bytes; /* a longer queue marks packets that may be marked (RFC 3168); 0: never */
	struct sim_window blackout[SIM_BLACKOUTS];
	uint32_t mark; /* packets that may be marked are, whatever the queue */
	/* While `narrow` lasts, longer packets of the family are dropped; 0: none are. */
	uint16_t mtu4, mtu6;
	struct sim_window narrow;
	bool mtu_told; /* by ICMP, most of the time */
	bool wild;     /* re-checksummed corruption may hit any field and the payload */
	/* state */
	bool in_burst;
	uint64_t busy_until, last_arrival, burst_until;
};

struct sim_nic {
	struct sim *sim;
	const char *name;
	uint8_t mac[6];
	struct sim_wire wire;
	void *owner;
	bool takes_shared; /* its port receives the sender's own mbufs */
	/* Takes the frame. */
	void (*deliver)(struct sim_nic *nic, struct sim_frame *f);
};

struct sim_net {
	struct sim_nic *nics[SIM_MAX_NICS];
	uint32_t n;
	uint64_t serial;
	bool spare_arp; /* neighbour discovery is left alone */
};

struct sim_pkt;

struct sim_frame *sim_frame_new(void);
struct sim_frame *sim_frame_copy(const struct sim_frame *f);
void sim_frame_free(struct sim_frame *f);
/* Frames that exist: 0 when a seed is over. */
uint32_t sim_frames_live(void);
/* Each frame that bears a buffer of its sender's. */
void sim_frames_each(void (*each)(void *arg, const struct sim_frame *f), void *arg);

void sim_net_add(struct sim *s, struct sim_nic *nic);
/* The frame leaves `from`; it is taken. */
void sim_net_send(struct sim_nic *from, struct sim_frame *f);
/* A router's frame for this NIC; it is taken. */
void sim_net_answer(struct sim_nic *to, struct sim_frame *f, uint64_t at);
/* The NIC a unicast frame is for, or NULL. */
struct sim_nic *sim_net_find(struct sim_net *net, const uint8_t mac[6]);

/* link_mtu.c: true: the frame was too long for the path, and is gone. */
bool sim_too_long(struct sim_nic *from, struct sim_frame *f);
/* A path that is narrower than its ends, from a time on or for a while. */
void sim_mtu_draw(struct sim *s, struct sim_wire *w);
enum sim_icmp { SIM_ICMP_SOFT, SIM_ICMP_TOO_BIG, SIM_ICMP_HARD };
/* What a router writes about the packet `about` to its sender. */
struct sim_frame *sim_icmp_error(const struct sim_pkt *about, enum sim_icmp kind, uint16_t mtu);

/* link_faults.c: draws the wire's faults for this seed; severity 0 (clean) to 3. */
void sim_wire_draw(struct sim *s, struct sim_wire *w, uint32_t severity);
/* Damages a frame. Checksummed: fields change and the checksums are made right again. */
void sim_corrupt(struct sim *s, struct sim_frame *f);
void sim_corrupt_fixed(struct sim *s, struct sim_frame *f, bool wild);

/* wire.c: a parsed frame, for the trace, the faults and the peers. Independent of lib/net. */
struct sim_pkt {
	uint8_t family; /* 4, 6 or 0 */
	uint8_t proto;
	uint8_t *ip, *l4;
	uint16_t l4_len; /* header and payload */
	struct mt_addr src, dst;
	/* TCP only */
	uint16_t sport, dport, wnd, payload_len;
	uint32_t seq, ack;
	uint8_t flags, hdr_len;
	uint8_t *payload;
};

#define SIM_FIN 0x01
#define SIM_SYN 0x02
#define SIM_RST 0x04
#define SIM_PSH 0x08
#define SIM_ACK 0x10
#define SIM_URG 0x20
#define SIM_ECE 0x40
#define SIM_CWR 0x80

/* False: not IP, or lengths do not fit. Checksums are not looked at. */
bool sim_parse(uint8_t *frame, uint16_t len, struct sim_pkt *p);
/* Checksums as they are on the wire: 0 is right. */
uint16_t sim_ip_cksum_error(const struct sim_pkt *p);
uint16_t sim_l4_cksum_error(const struct sim_pkt *p);
void sim_fix_cksums(struct sim_pkt *p);
uint16_t sim_cksum(const void *p, uint32_t len, uint32_t sum);
uint32_t sim_pseudo_sum(const struct sim_pkt *p);
void sim_trace_frame(struct sim *s, const char *what, const char *who, struct sim_frame *f);

static inline uint16_t sim_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t sim_get32(const uint8_t *p)
{
	return (uint32_t)sim_get16(p) << 16 | sim_get16(p + 2);
}

static inline void sim_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void sim_put32(uint8_t *p, uint32_t v)
{
	sim_put16(p, (uint16_t)(v >> 16));
	sim_put16(p + 2, (uint16_t)v);
}
