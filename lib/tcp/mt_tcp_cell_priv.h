/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What met which state, for the simulator's table of states by events (tests/sim/cells.c). Only builds
 * with MT_MUTANTS have these calls; elsewhere there is no code.
 */
#pragma once

#include "mt_tcp_conn_priv.h"

/* What happens to a connection besides segments. */
enum mt_tcp_cell_event {
	MT_TCP_CELL_HANDSHAKE, /* timers: a SYN or SYN-ACK goes again, or is given up */
	MT_TCP_CELL_RTO,
	MT_TCP_CELL_TLP,
	MT_TCP_CELL_REO,
	MT_TCP_CELL_PERSIST,
	MT_TCP_CELL_DELACK,
	MT_TCP_CELL_KEEPALIVE,
	MT_TCP_CELL_LIMIT, /* the connect limit, the patience with a detached connection */
	MT_TCP_CELL_TW,
	MT_TCP_CELL_SOFT, /* ICMP in the order of enum mt_net_icmp, whatever it names */
	MT_TCP_CELL_TOO_BIG,
	MT_TCP_CELL_HARD,
	MT_TCP_CELL_OPEN, /* calls of the user */
	MT_TCP_CELL_SEND,
	MT_TCP_CELL_RECV,
	MT_TCP_CELL_SHUTDOWN,
	MT_TCP_CELL_DETACH,
	MT_TCP_CELL_ABORT,
	MT_TCP_CELL_N_EVENTS
};

#ifdef MT_MUTANTS
/* Before the segment is processed. `object`: the connection, half-open or TIME-WAIT record; or NULL. */
void mt_tcp_cell_segment(enum mt_tcp_state state, const void *object, const struct mt_tcp_seg *seg);
void mt_tcp_cell(uint32_t state, enum mt_tcp_cell_event e);
/* The simulator has connections begin close to 2^31 and 2^32. */
uint32_t mt_tcp_cell_isn(uint32_t isn);
#else
#define mt_tcp_cell_segment(state, object, seg)                                                    \
	do {                                                                                       \
	} while (0)
#define mt_tcp_cell_isn(isn) (isn)
#define mt_tcp_cell(state, e)                                                                      \
	do {                                                                                       \
	} while (0)
#endif
