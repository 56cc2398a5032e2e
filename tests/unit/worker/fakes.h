/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rooms below a worker, faked at the link line: each call is written down, so that a test sees the
 * order of a turn and who got which packet.
 */
#pragma once

#include "mt_worker_priv.h"

struct fake {
	char calls[4096]; /* names of the calls, each with a blank behind */
	uint32_t tcp_input, handed_input;
	uint64_t tcp_next, proxy_next, net_next;
	uint32_t timers;	/* that mt_tcp_timers() claims to have fired */
	uint32_t pressure_told; /* percent */
	struct mt_snapshot *adopted;
	uint32_t conns; /* that mt_tcp_reset_all() finds */
};

/* [worker] */
extern struct fake fakes[2];
void fakes_reset(void);
