/* SPDX-License-Identifier: Apache-2.0 */
/* The table of states by events: its names, what cannot be in it, and its print. */
#include "cells.h"

#include "mt_mutant.h"

#include <inttypes.h>

static const char *const names[CELL_N] = {
	[CELL_SYN] = "SYN",
	[CELL_SYN_ACK] = "SYN+ACK",
	[CELL_RST_EXACT] = "RST exact",
	[CELL_RST_IN_WINDOW] = "RST in window",
	[CELL_RST_OUT] = "RST out of window",
	[CELL_NO_ACK] = "neither SYN, RST nor ACK",
	[CELL_BAD_SUM] = "bad checksum",
	[CELL_PAWS] = "old timestamp",
	[CELL_TS_MISSING] = "timestamp missing",
	[CELL_IN_ORDER] = "data in order",
	[CELL_AHEAD] = "data ahead",
	[CELL_OLD] = "data old",
	[CELL_OVERLAP] = "data old and new",
	[CELL_BEYOND] = "data beyond the window",
	[CELL_FIN] = "FIN",
	[CELL_FIN_AHEAD] = "FIN ahead",
	[CELL_FIN_OLD] = "FIN old",
	[CELL_EMPTY] = "no data",
	[CELL_ACK_NEW] = "ACK new",
	[CELL_ACK_DUP] = "ACK duplicate",
	[CELL_ACK_OLD] = "ACK old",
	[CELL_ACK_ANCIENT] = "ACK too old",
	[CELL_ACK_UNSENT] = "ACK of unsent",
	[CELL_WND_UPDATE] = "window opens",
	[CELL_WND_ZERO] = "window zero",
	[CELL_WND_SHRUNK] = "window taken back",
	[CELL_SACK] = "SACK",
	[CELL_DSACK] = "D-SACK",
	[CELL_ECE] = "ECE",
	[CELL_CWR] = "CWR",
	[CELL_CE] = "CE mark",
	[CELL_OTHER + MT_TCP_CELL_HANDSHAKE] = "timer: handshake",
	[CELL_OTHER + MT_TCP_CELL_RTO] = "timer: retransmission",
	[CELL_OTHER + MT_TCP_CELL_TLP] = "timer: tail probe",
	[CELL_OTHER + MT_TCP_CELL_REO] = "timer: reordering",
	[CELL_OTHER + MT_TCP_CELL_PERSIST] = "timer: persist",
	[CELL_OTHER + MT_TCP_CELL_DELACK] = "timer: delayed ACK",
	[CELL_OTHER + MT_TCP_CELL_KEEPALIVE] = "timer: keep-alive",
	[CELL_OTHER + MT_TCP_CELL_LIMIT] = "timer: limit",
	[CELL_OTHER + MT_TCP_CELL_TW] = "timer: TIME-WAIT",
	[CELL_OTHER + MT_TCP_CELL_SOFT] = "ICMP soft",
	[CELL_OTHER + MT_TCP_CELL_TOO_BIG] = "ICMP too big",
	[CELL_OTHER + MT_TCP_CELL_HARD] = "ICMP hard",
	[CELL_OTHER + MT_TCP_CELL_OPEN] = "call: open",
	[CELL_OTHER + MT_TCP_CELL_SEND] = "call: send",
	[CELL_OTHER + MT_TCP_CELL_RECV] = "call: receive",
	[CELL_OTHER + MT_TCP_CELL_SHUTDOWN] = "call: shut down",
	[CELL_OTHER + MT_TCP_CELL_DETACH] = "call: close",
	[CELL_OTHER + MT_TCP_CELL_ABORT] = "call: abort",
};

static const char *const states[MT_TCP_N_STATES] = {"closed", "listen", "half-open", "syn-sent",
	"syn-rcvd", "establ.", "fin-wait-1", "fin-wait-2", "close-wait", "closing", "last-ack",
	"time-wait"};

static struct sim_cells own_cells;
struct sim_cells *sim_cells = &own_cells;

#define BIT(e)	   (1ull << (e))
#define OTHER(e)   BIT(CELL_OTHER + MT_TCP_CELL_##e)
#define FROM(a, b) (BIT((b) + 1) - BIT(a))

#define ACKS   FROM(CELL_ACK_NEW, CELL_CWR)
#define TIMERS FROM(CELL_OTHER + MT_TCP_CELL_HANDSHAKE, CELL_OTHER + MT_TCP_CELL_TW)
#define ICMP   FROM(CELL_OTHER + MT_TCP_CELL_SOFT, CELL_OTHER + MT_TCP_CELL_HARD)
#define CALLS  FROM(CELL_OTHER + MT_TCP_CELL_OPEN, CELL_OTHER + MT_TCP_CELL_ABORT)
#define NO_TCB                                                                                     \
	(BIT(CELL_RST_EXACT) | BIT(CELL_RST_IN_WINDOW) | BIT(CELL_PAWS) | BIT(CELL_TS_MISSING) |   \
		FROM(CELL_IN_ORDER, CELL_OVERLAP) | BIT(CELL_FIN) | BIT(CELL_FIN_OLD) | ACKS |     \
		BIT(CELL_BAD_SUM))

/* What cannot be, with the reason. */
static const uint64_t impossible[MT_TCP_N_STATES] = {
	/* Nothing is known of the tuple: sequence numbers mean nothing, no timer runs. What is opened
	 * leaves the state; a stream that ended still takes calls. */
	[MT_TCP_CLOSED] = NO_TCB | TIMERS | ICMP,
	/* Likewise; and ACKs are only looked at here while cookies are out. */
	[MT_TCP_LISTEN] = NO_TCB | TIMERS | ICMP | CALLS,
	/* A record has no user, no timer but its FIFO's, and ICMP looks for connections. One number
	 * (its SYN) is outstanding, so no ACK is old and no window was offered before. */
	[MT_TCP_HALF_OPEN] = (TIMERS & ~OTHER(HANDSHAKE)) | ICMP | CALLS | BIT(CELL_ACK_OLD) |
			     BIT(CELL_WND_SHRUNK),
	/* The peer's numbers are not known yet. A layer may say that it has room. */
	[MT_TCP_SYN_SENT] = (NO_TCB & ~BIT(CELL_RST_EXACT) & ~BIT(CELL_BAD_SUM)) |
			    (TIMERS & ~OTHER(HANDSHAKE) & ~OTHER(LIMIT)) | OTHER(OPEN),
	/* After a simultaneous open. */
	[MT_TCP_SYN_RCVD] = (TIMERS & ~OTHER(HANDSHAKE) & ~OTHER(LIMIT)) | OTHER(OPEN),
	/* The connect limit is over, and detaching sends FIN, but memory can hold it back. */
	[MT_TCP_ESTABLISHED] = OTHER(HANDSHAKE) | OTHER(TW) | OTHER(OPEN),
	/* Behind our FIN nothing waits for a window. */
	[MT_TCP_FIN_WAIT_1] =
		OTHER(HANDSHAKE) | OTHER(PERSIST) | OTHER(TW) | OTHER(OPEN) | OTHER(SHUTDOWN),
	/* All that was sent is acknowledged. */
	[MT_TCP_FIN_WAIT_2] = OTHER(HANDSHAKE) | OTHER(TW) | OTHER(OPEN) | OTHER(SHUTDOWN) |
			      OTHER(RTO) | OTHER(TLP) | OTHER(REO) | OTHER(PERSIST) |
			      BIT(CELL_ACK_NEW) | BIT(CELL_ACK_DUP),
	/* Only the user's shutdown leads on from here. */
	[MT_TCP_CLOSE_WAIT] = OTHER(HANDSHAKE) | OTHER(TW) | OTHER(OPEN),
	[MT_TCP_CLOSING] =
		OTHER(HANDSHAKE) | OTHER(PERSIST) | OTHER(TW) | OTHER(OPEN) | OTHER(SHUTDOWN),
	[MT_TCP_LAST_ACK] =
		OTHER(HANDSHAKE) | OTHER(PERSIST) | OTHER(TW) | OTHER(OPEN) | OTHER(SHUTDOWN),
	/* A record: no window, nothing outstanding, no user. */
	[MT_TCP_TIME_WAIT] = (TIMERS & ~OTHER(TW)) | ICMP | CALLS | BIT(CELL_RST_IN_WINDOW) |
			     BIT(CELL_AHEAD) | BIT(CELL_ACK_NEW) | BIT(CELL_ACK_DUP) |
			     BIT(CELL_ACK_OLD) | BIT(CELL_WND_SHRUNK),
};

static bool can_be(uint32_t state, uint32_t e)
{
	return !(impossible[state] & BIT(e));
}

void sim_cell(uint32_t state, enum sim_cell e)
{
	sim_cells->n[state][e]++;
}

/* Called by lib/tcp; its columns are coarser than ours. */
void mt_cell(uint32_t state, const char *name, uint8_t tcp_flags, bool payload)
{
}

uint32_t sim_cells_visited(const struct sim_cells *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < MT_TCP_N_STATES; i++)
		for (uint32_t e = 0; e < CELL_N; e++)
			n += c->n[i][e] != 0;
	return n;
}

uint32_t sim_cells_possible(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < MT_TCP_N_STATES; i++)
		for (uint32_t e = 0; e < CELL_N; e++)
			n += can_be(i, e);
	return n;
}

bool sim_cells_check(const struct sim_cells *c)
{
	bool ok = true;

	for (uint32_t i = 0; i < MT_TCP_N_STATES; i++)
		for (uint32_t e = 0; e < CELL_N; e++)
			if (c->n[i][e] && !can_be(i, e)) {
				printf("cells: %s in %s was thought to be impossible\n", names[e],
					states[i]);
				ok = false;
			}
	return ok;
}

static void print_cell(const struct sim_cells *c, uint32_t state, uint32_t e)
{
	uint64_t n = c->n[state][e];

	if (!n)
		printf(" %10s", can_be(state, e) ? "." : "");
	else if (n < 100000)
		printf(" %10" PRIu64, n);
	else
		printf(" %9" PRIu64 "k", n / 1000);
}

void sim_cells_print(const struct sim_cells *c)
{
	printf("what met which state (. never, blank: cannot be):\n  %-25s", "");
	for (uint32_t i = 0; i < MT_TCP_N_STATES; i++)
		printf(" %10s", states[i]);
	printf("\n");
	for (uint32_t e = 0; e < CELL_N; e++) {
		printf("  %-25s", names[e]);
		for (uint32_t i = 0; i < MT_TCP_N_STATES; i++)
			print_cell(c, i, e);
		printf("\n");
	}
}
