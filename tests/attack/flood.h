/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flooder on raw frames: floods without a connection (kinds.c), resets for connections of others that it
 * overhears (flows.c), and connections that are made without a kernel and then misused (hold.c). Everything is
 * bounded by a count and a time, paced, and drawn from a seed.
 */
#pragma once

#include "mt_rand.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 1514

enum {
	FIN = 1,
	SYN = 2,
	RST = 4,
	PSH = 8,
	ACK = 16,
};

struct flood {
	int fd, ifindex;
	uint8_t mac[6], hop[6]; /* own station, and the one that frames go to */
	uint32_t net;		/* sources are in this /16; host order, as all addresses here */
	uint32_t to;
	uint16_t port;
	struct mt_rand rand;
	uint64_t end; /* ns, monotonic */
	uint32_t rate, conns;
	uint64_t sent, refused; /* frames; those that the interface did not take at once */
};

/* A segment to be made. */
struct seg {
	uint32_t src, dst;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t wnd;
	uint8_t opts[40];
	uint8_t opt_len; /* a multiple of 4 */
	const uint8_t *data;
	uint16_t len;
};

static inline void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* frame.c */
uint64_t now_ns(void);
uint32_t draw(struct flood *f, uint32_t below);
/* An address in the sources' network. */
uint32_t any_source(struct flood *f);
/* Writes an Ethernet frame with right checksums; returns its length. */
uint16_t make_frame(const struct flood *f, uint8_t *b, const struct seg *s);
/* Writes both checksums again, after changes; `l4`: bytes behind a 20-byte IP header. */
void resum(uint8_t *b, uint16_t l4);
void send_frame(struct flood *f, const uint8_t *b, uint16_t len);
void send_seg(struct flood *f, const struct seg *s);
/* Waits until the n-th frame of `rate` a second since `start` is due; false: the time is over. */
bool pace(const struct flood *f, uint64_t start, uint64_t n);
/* Opens the packet socket; exits with a message when that fails. */
void open_wire(struct flood *f, const char *iface, bool listen);
/* One TCP segment seen on the wire. */
struct seen {
	uint32_t src, dst, seq, ack;
	uint16_t sport, dport, wnd, len;
	uint8_t flags;
	bool ours; /* it left this host's kernel */
};
/* The next IPv4 TCP segment that was seen; false: there is none just now. */
bool next_seen(struct flood *f, struct seen *s);

/* A kind of flood: runs until f->end and prints one JSON line. */
struct kind {
	const char *name;
	bool listens;
	void (*run)(struct flood *f);
};
/* Prints what all have in common, and `more` (", \"x\": 1"). */
void report(const struct flood *f, const char *more);

void run_syn(struct flood *f);
void run_ack(struct flood *f);
void run_garbage(struct flood *f);
void run_rst(struct flood *f);
void run_rst_near(struct flood *f);
void run_rst_exact(struct flood *f);
void run_ooo(struct flood *f);
void run_tiny(struct flood *f);
void run_stop16(struct flood *f);
