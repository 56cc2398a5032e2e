/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that lead to a state: handshakes, closes, holes. */
#include "gen.h"

static void to_listen(struct gen *g)
{
	g->nxt = 0;
}

static void to_syn_received(struct gen *g)
{
	gen_seg(g, SC_SYN, 0, 0);
	g->nxt = 1;
}

static void to_syn_sent(struct gen *g)
{
	gen_call(g, DF_CONNECT, 0);
	g->active = true;
	g->nxt = 0;
}

static void to_crossed(struct gen *g)
{
	to_syn_sent(g);
	gen_seg(g, SC_SYN, 0, 0);
	g->nxt = 1;
	if (chance(g, 10))
		gen_seg(g, SC_SYN | SC_ACK, 0, below(g, 20));
}

static void to_established(struct gen *g)
{
	if (chance(g, 30)) {
		to_syn_sent(g);
		gen_seg(g, SC_SYN | SC_ACK, 0, 0);
		g->nxt = 1;
	} else {
		to_syn_received(g);
		gen_ack(g);
	}
	g->una = 1;
}

static void to_flight(struct gen *g)
{
	to_established(g);
	g->lazy = true;
	gen_write(g);
	gen_write(g);
}

static void to_holed(struct gen *g)
{
	to_established(g);
	g->hole_at = g->nxt + 100;
	g->hole_end = g->hole_at + 100;
	gen_seg(g, SC_ACK, g->hole_at, 100);
}

/* The application does not read, and the window is shut: to the byte, so not scaled. */
static void to_full(struct gen *g)
{
	g->q->wscale = false;
	to_established(g);
	gen_call(g, DF_READER, 0);
	gen_call(g, DF_FILL, 0);
	g->nxt = DF_FILLED;
	g->full = true;
}

static void to_close_wait(struct gen *g)
{
	to_established(g);
	gen_fin(g);
}

static void to_last_ack(struct gen *g)
{
	to_close_wait(g);
	g->lazy = true;
	gen_call(g, DF_SHUTDOWN, 0);
}

static void to_fin_wait_1(struct gen *g)
{
	to_established(g);
	g->lazy = true;
	gen_call(g, DF_SHUTDOWN, 0);
}

static void to_fin_wait_2(struct gen *g)
{
	to_established(g);
	gen_call(g, DF_SHUTDOWN, 0);
	gen_ack(g);
}

static void to_closing(struct gen *g)
{
	to_fin_wait_1(g);
	gen_fin(g);
}

static void to_time_wait(struct gen *g)
{
	to_fin_wait_2(g);
	gen_fin(g);
	g->time_wait = true;
}

static void to_closed(struct gen *g)
{
	to_close_wait(g);
	gen_call(g, DF_SHUTDOWN, 0);
	gen_ack(g);
}

/* The application lets go while the connection lives. */
static void to_orphan(struct gen *g)
{
	to_established(g);
	gen_call(g, DF_CLOSE, 0);
}

static void (*const states[])(struct gen *g) = {to_listen, to_syn_received, to_syn_received,
	to_syn_sent, to_crossed, to_established, to_established, to_established, to_established,
	to_flight, to_flight, to_holed, to_holed, to_close_wait, to_last_ack, to_fin_wait_1,
	to_fin_wait_2, to_closing, to_time_wait, to_closed, to_orphan, to_full, to_full};

void gen_state(struct gen *g)
{
	PICK(g, states)(g);
}
