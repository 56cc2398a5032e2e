/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwards the packets of a capture by lib/net and lib/l4, and writes what leaves into another one.
 * The time of the captures is that of the node: packets of one time are received in one burst.
 */
#pragma once

#include "mt_l4.h"

#include <stdio.h>

#define REPLAY_BURST 32
#define REPLAY_FRAME 2048 /* longest frame that is read */

struct replay {
	struct mt_port port; /* first: the port's functions get this */
	struct mt_pools pools;
	struct mt_steer steer;
	struct mt_net *net;
	struct mt_netw *netw;
	struct mt_l4_set *set;
	struct mt_l4 *l4;
	uint64_t now;
	FILE *in, *out; /* `out` is NULL while the node starts */
	uint64_t read, written;
	uint64_t unclaimed; /* TCP segments that were left to lib/tcp */
};

/* Writes a reason on standard error and exits. */
void replay_die(const char *what, const char *of) __attribute__((noreturn));

/*
 * node.c: one worker with a port that has the addresses 192.0.2.1/24, 198.51.100.254/24,
 * 2001:db8::1/64 and 2001:db8:1::ff/64, routes to 10.0.0.0/8 by 192.0.2.254 and to 2001:db8:c::/48 by
 * 2001:db8::fe, and services of UDP and TCP at port 4000 of 192.0.2.80 and 2001:db8::80. Endpoints are
 * 198.51.100.1 to 198.51.100.3 and 2001:db8:1::1 to 2001:db8:1::3, at port 5000, in one-way modes 4000.
 * NAT addresses are 203.0.113.1 and 2001:db8:2::1. Frames that it sends are passed to replay_sent().
 */
void replay_open(struct replay *r, enum mt_l4_mode mode);
void replay_close(struct replay *r);
/* Begins a loop iteration at r->now, receives n frames and forwards them; takes them. */
void replay_turn(struct replay *r, struct rte_mbuf **pkts, uint16_t n);

/* main.c: writes a frame to r->out, if it is open. */
void replay_sent(struct replay *r, const struct rte_mbuf *m);
