/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which cells of the TCP's state x event table were visited, over all seeds of the run. Segments are
 * looked at before lib/tcp processes them and may be several events: data that acknowledges is both.
 */
#pragma once

#include "sim.h"

#include "mt_tcp_cell_priv.h"

/* What a segment is to the state that it meets. */
enum sim_cell {
	/* its flags */
	CELL_SYN,
	CELL_SYN_ACK,
	CELL_RST_EXACT,
	CELL_RST_IN_WINDOW,
	CELL_RST_OUT,
	CELL_NO_ACK,
	CELL_BAD_SUM,
	CELL_PAWS,
	CELL_TS_MISSING,
	/* its place */
	CELL_IN_ORDER,
	CELL_AHEAD,
	CELL_OLD,
	CELL_OVERLAP,
	CELL_BEYOND,
	CELL_FIN,
	CELL_FIN_AHEAD,
	CELL_FIN_OLD,
	CELL_EMPTY,
	/* what it acknowledges and offers */
	CELL_ACK_NEW,
	CELL_ACK_DUP,
	CELL_ACK_OLD,
	CELL_ACK_ANCIENT,
	CELL_ACK_UNSENT,
	CELL_WND_UPDATE,
	CELL_WND_ZERO,
	CELL_WND_SHRUNK,
	CELL_SACK,
	CELL_DSACK,
	CELL_ECE,
	CELL_CWR,
	CELL_CE,
	/* everything else: MT_TCP_CELL_* from here on */
	CELL_OTHER,
	CELL_N = CELL_OTHER + MT_TCP_CELL_N_EVENTS
};

struct sim_cells {
	uint64_t n[MT_TCP_N_STATES][CELL_N];
};

/* Where they are counted; another place when several processes share the seeds. */
extern struct sim_cells *sim_cells;

void sim_cell(uint32_t state, enum sim_cell e);
uint32_t sim_cells_visited(const struct sim_cells *c);
/* Cells that can be visited at all. */
uint32_t sim_cells_possible(void);
/* Says which cells were visited that are listed as impossible; false: there are some. */
bool sim_cells_check(const struct sim_cells *c);
void sim_cells_print(const struct sim_cells *c);

/* What a state knows of both directions, whatever object keeps it. */
struct sim_view {
	uint32_t una, nxt, snd_wnd;
	uint32_t oldest; /* ACKs this far below una are too old */
	uint32_t rcv, edge;
	uint32_t ts_recent;
	uint8_t scale;
	bool ts;
};

/* False: the peer's numbers are not known. */
bool sim_view_of(enum mt_tcp_state state, const void *object, struct sim_view *v);

/* Initial sequence numbers of our stack end close to this; 0: where they fall. */
extern uint32_t sim_isn_near;
