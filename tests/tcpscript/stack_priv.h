/* SPDX-License-Identifier: Apache-2.0 */
/* The stack under test from inside: what stack.c, port.c and user.c share. */
#pragma once

#include "stack.h"

#define SC_RX_QUEUE 512

struct sc_stack {
	struct mt_port port; /* first: the port's calls find the stack by it */
	struct sc_run *run;
	struct mt_steer steer;
	struct mt_net *net;
	struct mt_netw *netw;
	struct mt_tcp *tcp;
	uint64_t now, start;
	uint32_t free_pct;
	bool listening, refuse;
	bool deaf; /* the neighbour answers no solicitation */
	uint8_t rx[SC_RX_QUEUE][SC_FRAME_MAX];
	uint32_t rx_len[SC_RX_QUEUE];
	uint32_t rx_head, rx_n;
};

extern struct mt_pools sc_pools; /* one for all runs; each leaves it full */

/* port.c */
extern const struct mt_port_ops sc_port_ops;
/* user.c */
extern const struct mt_listen_ops sc_listen_ops;
