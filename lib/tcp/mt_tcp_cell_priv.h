/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records which events occurred in which states, for the simulator's state table
 * (tests/sim/cells.c). Compiled only in builds with MT_MUTANTS.
 */
#pragma once

#include "mt_tcp_conn_priv.h"

/* Events of a connection other than segments. */
enum mt_tcp_cell_event {
	MT_TCP_CELL_HANDSHAKE, /* timers: a SYN or SYN-ACK is sent again, or abandoned */
	MT_TCP_CELL_RTO,
	MT_TCP_CELL_TLP,
	MT_TCP_CELL_REO,
	MT_TCP_CELL_PERSIST,
	MT_TCP_CELL_DELACK,
	MT_TCP_CELL_KEEPALIVE,
	MT_TCP_CELL_LIMIT, /* the connect timeout, or the limit of a detached connection */
	MT_TCP_CELL_TW,
	MT_TCP_CELL_SOFT, /* ICMP in the order of enum mt_net_icmp, for any state */
	MT_TCP_CELL_TOO_BIG,
	MT_TCP_CELL_HARD,
	MT_TCP_CELL_OPEN, /* calls by the user */
	MT_TCP_CELL_SEND,
	MT_TCP_CELL_RECV,
	MT_TCP_CELL_SHUTDOWN,
	MT_TCP_CELL_DETACH,
	MT_TCP_CELL_ABORT,
	MT_TCP_CELL_N_EVENTS
};

#ifdef MT_MUTANTS
/*
 * Call it before the segment is processed. `object`: the connection, half-open or TIME-WAIT record;
 * or NULL.
 */
void mt_tcp_cell_segment(enum mt_tcp_state state, const void *object, const struct mt_tcp_seg *seg);
void mt_tcp_cell(uint32_t state, enum mt_tcp_cell_event e);
/* In the simulator, initial sequence numbers are close to 2^31 and 2^32. */
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
