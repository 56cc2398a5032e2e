/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequences from seeds: steps that lead to a state, then plausible ones and mutated ones near the edges of
 * what the stack expects. A step never depends on an answer, so both stacks get the same ones; a small
 * model of the peer's own stream says where plausible segments lie.
 */
#include "diff.h"

#include <string.h>

/* A scaled window is told in steps of up to 1024, and no window is told beyond 65535: so exact its edge is. */
#define GRAIN	    1500
#define SEGMENT_MAX 1400 /* fits what either stack announces */

struct gen {
	struct df_seq *q;
	struct mt_rand rand;
	int32_t nxt;		   /* the peer's next number */
	int32_t hole_end, hole_at; /* what it sent beyond a hole; 0: nothing */
	int32_t origin;
	int32_t una; /* what a lazy peer acknowledges */
	int32_t written;
	bool lazy, fin, active, time_wait, full;
};

static uint32_t below(struct gen *g, uint32_t n)
{
	return mt_rand_below(&g->rand, n);
}

static bool chance(struct gen *g, uint32_t percent)
{
	return below(g, 100) < percent;
}

static int32_t between(struct gen *g, int32_t lo, int32_t hi)
{
	return lo + (int32_t)below(g, (uint32_t)(hi - lo + 1));
}

#define PICK(g, list) (list)[below((g), MT_ARRAY_LEN(list))]

/* ---- plain steps ---- */

static struct df_step *step(struct gen *g, enum df_kind kind)
{
	static struct df_step spill;
	struct df_seq *q = g->q;
	struct df_step *st = q->n_steps < DF_STEPS ? &q->step[q->n_steps++] : &spill;

	*st = (struct df_step){.kind = (uint8_t)kind, .wnd = q->wnd, .origin = g->origin};
	return st;
}

static struct df_step *seg(struct gen *g, uint8_t flags, int32_t seq, uint32_t len)
{
	struct df_step *st = step(g, DF_SEG);

	st->flags = flags;
	st->seq = seq;
	st->len = (uint16_t)len;
	if (g->lazy) {
		st->ack_at = DF_ACK_ISS;
		st->ack = g->una;
	}
	return st;
}

static void call(struct gen *g, enum df_kind kind, uint32_t n)
{
	step(g, kind)->n = n;
}

static void write_some(struct gen *g)
{
	/* Few short segments: initial windows in segments and in bytes are the same to them. */
	uint32_t mss = g->q->has_mss ? g->q->mss : 536;
	uint32_t most = mss < 536 ? 60 : mss < 1000 ? 400 : 1400;
	uint32_t n = 1 + below(g, chance(g, 30) ? 20 : most);

	call(g, DF_WRITE, n);
	g->written += (int32_t)n;
}

/* The peer's stream has grown to `end`; what lies behind a hole may join it. */
static void grow(struct gen *g, int32_t end)
{
	g->nxt = MT_MAX(g->nxt, end);
	if (g->hole_end && g->nxt >= g->hole_at) {
		g->nxt = MT_MAX(g->nxt, g->hole_end);
		g->hole_end = 0;
	}
}

static void data(struct gen *g)
{
	uint32_t len = 1 + below(g, chance(g, 50) ? 20 : SEGMENT_MAX);

	seg(g, SC_ACK | SC_PSH, g->nxt, len);
	grow(g, g->nxt + (int32_t)len);
}

static void fin(struct gen *g)
{
	seg(g, SC_FIN | SC_ACK, g->nxt, 0);
	grow(g, g->nxt + 1);
	g->fin = true;
}

static void ack(struct gen *g)
{
	seg(g, SC_ACK, g->nxt, 0);
}

/* ---- states ---- */

static void to_listen(struct gen *g)
{
	g->nxt = 0;
}

static void to_syn_received(struct gen *g)
{
	seg(g, SC_SYN, 0, 0);
	g->nxt = 1;
}

static void to_syn_sent(struct gen *g)
{
	call(g, DF_CONNECT, 0);
	g->active = true;
	g->nxt = 0;
}

static void to_crossed(struct gen *g)
{
	to_syn_sent(g);
	seg(g, SC_SYN, 0, 0);
	g->nxt = 1;
	if (chance(g, 10))
		seg(g, SC_SYN | SC_ACK, 0, below(g, 20));
}

static void to_established(struct gen *g)
{
	if (chance(g, 30)) {
		to_syn_sent(g);
		seg(g, SC_SYN | SC_ACK, 0, 0);
		g->nxt = 1;
	} else {
		to_syn_received(g);
		ack(g);
	}
	g->una = 1;
}

static void to_flight(struct gen *g)
{
	to_established(g);
	g->lazy = true;
	write_some(g);
	write_some(g);
}

static void to_holed(struct gen *g)
{
	to_established(g);
	g->hole_at = g->nxt + 100;
	g->hole_end = g->hole_at + 100;
	seg(g, SC_ACK, g->hole_at, 100);
}

/* The application does not read, and the window is shut: to the byte, so not scaled. */
static void to_full(struct gen *g)
{
	g->q->wscale = false;
	to_established(g);
	call(g, DF_READER, 0);
	call(g, DF_FILL, 0);
	g->nxt = DF_FILLED;
	g->full = true;
}

static void to_close_wait(struct gen *g)
{
	to_established(g);
	fin(g);
}

static void to_last_ack(struct gen *g)
{
	to_close_wait(g);
	g->lazy = true;
	call(g, DF_SHUTDOWN, 0);
}

static void to_fin_wait_1(struct gen *g)
{
	to_established(g);
	g->lazy = true;
	call(g, DF_SHUTDOWN, 0);
}

static void to_fin_wait_2(struct gen *g)
{
	to_established(g);
	call(g, DF_SHUTDOWN, 0);
	ack(g);
}

static void to_closing(struct gen *g)
{
	to_fin_wait_1(g);
	fin(g);
}

static void to_time_wait(struct gen *g)
{
	to_fin_wait_2(g);
	fin(g);
	g->time_wait = true;
}

static void to_closed(struct gen *g)
{
	to_close_wait(g);
	call(g, DF_SHUTDOWN, 0);
	ack(g);
}

/* The application lets go while the connection lives. */
static void to_orphan(struct gen *g)
{
	to_established(g);
	call(g, DF_CLOSE, 0);
}

static void (*const states[])(struct gen *g) = {to_listen, to_syn_received, to_syn_received,
	to_syn_sent, to_crossed, to_established, to_established, to_established, to_established,
	to_flight, to_flight, to_holed, to_holed, to_close_wait, to_last_ack, to_fin_wait_1,
	to_fin_wait_2, to_closing, to_time_wait, to_closed, to_orphan, to_full, to_full};

/* ---- steps that may be mutated ---- */

static struct df_step *m_data(struct gen *g)
{
	data(g);
	return NULL;
}

static struct df_step *m_old(struct gen *g)
{
	int32_t back = between(g, 1, MT_MAX(g->nxt, 2));

	return seg(g, SC_ACK, g->nxt - back, 1 + below(g, (uint32_t)MT_MIN(back, SEGMENT_MAX)));
}

static struct df_step *m_overlap(struct gen *g)
{
	int32_t back = between(g, 1, 30), len = back + between(g, 1, 60);
	struct df_step *st = seg(g, SC_ACK, g->nxt - back, (uint32_t)len);

	grow(g, g->nxt - back + len);
	return st;
}

static struct df_step *m_hole(struct gen *g)
{
	int32_t at = g->nxt + between(g, 1, chance(g, 70) ? 300 : 20000);
	uint32_t len = 1 + below(g, 200);

	if (!g->hole_end) {
		g->hole_at = at;
		g->hole_end = at + (int32_t)len;
	}
	return seg(g, SC_ACK, at, len);
}

static struct df_step *m_ack(struct gen *g)
{
	static const int32_t far[] = {
		1, 2, 1000, 100000, 0x7ffffff0, -1, -2, -100, -70000, -140000};
	struct df_step *st = seg(g, SC_ACK, g->nxt, 0);

	if (chance(g, 50))
		return st;
	st->ack_at = (uint8_t)below(g, 2);
	st->ack = chance(g, 50) ? PICK(g, far) : between(g, 0, g->written + 2);
	return st;
}

static struct df_step *m_all(struct gen *g)
{
	g->lazy = false;
	return seg(g, SC_ACK, g->nxt, 0);
}

static struct df_step *m_fin(struct gen *g)
{
	uint32_t len = chance(g, 50) ? below(g, 100) : 0;
	struct df_step *st = seg(g, SC_FIN | SC_ACK, g->nxt, len);

	if (g->fin)
		st->seq -= 1 + (int32_t)len; /* again */
	else
		grow(g, g->nxt + (int32_t)len + 1);
	g->fin = true;
	return st;
}

static struct df_step *m_fin_far(struct gen *g)
{
	return seg(g, SC_FIN | SC_ACK, g->nxt + between(g, -3, 100), below(g, 10));
}

/* In sequence, near it, in the window, at its edges, outside. */
static void place(struct gen *g, struct df_step *st)
{
	static const int32_t near[] = {0, 0, 0, 1, 2, -1, -2, 100, -100, 30000, -30000};
	static const int32_t edge[] = {0, 1, 2, -1, -2, 50};

	if (g->full || chance(g, 70)) {
		st->seq = g->nxt + PICK(g, near);
	} else if (chance(g, 80)) {
		st->seq_at = DF_AT_EDGE;
		st->seq = PICK(g, edge) * GRAIN;
	} else {
		st->seq = (int32_t)mt_rand_u64(&g->rand);
	}
}

static struct df_step *m_rst(struct gen *g)
{
	struct df_step *st = seg(g, chance(g, 50) ? SC_RST : SC_RST | SC_ACK, 0, 0);

	place(g, st);
	if (chance(g, 10))
		st->len = (uint16_t)(1 + below(g, 20));
	return st;
}

static struct df_step *m_syn(struct gen *g)
{
	struct df_step *st = seg(g, chance(g, 70) ? SC_SYN : SC_SYN | SC_ACK, 0, 0);

	if (chance(g, 70))
		place(g, st);
	if (chance(g, 10))
		st->len = (uint16_t)(1 + below(g, 20));
	return st;
}

static struct df_step *m_edge(struct gen *g)
{
	if (g->full)
		return m_data(g);
	struct df_step *st = seg(g, SC_ACK, 0, below(g, 3) * (1 + below(g, 200)));

	st->seq_at = DF_AT_EDGE;
	st->seq = between(g, -2, 2) * GRAIN - (chance(g, 50) ? st->len : 0);
	return st;
}

static struct df_step *m_flags(struct gen *g)
{
	struct df_step *st = seg(g, (uint8_t)mt_rand_u64(&g->rand), 0, 0);

	place(g, st);
	if (chance(g, 30))
		st->len = (uint16_t)(1 + below(g, 100));
	return st;
}

static struct df_step *m_sack(struct gen *g)
{
	struct df_step *st = seg(g, SC_ACK, g->nxt, 0);

	st->ack_at = DF_ACK_ISS;
	st->ack = g->una;
	st->n_sack = (uint8_t)(2 * (1 + below(g, 3)));
	for (uint32_t i = 0; i < st->n_sack; i += 2) {
		st->sack[i] = between(g, 0, g->written + 2);
		st->sack[i + 1] = st->sack[i] + between(g, chance(g, 10) ? -5 : 1, 1000);
	}
	return st;
}

static struct df_step *m_urgent(struct gen *g)
{
	uint32_t len = 1 + below(g, 100);
	struct df_step *st = seg(g, SC_ACK | SC_URG, g->nxt, len);

	st->urg = (uint16_t)below(g, chance(g, 80) ? len + 2 : 65536);
	grow(g, g->nxt + (int32_t)len);
	return st;
}

static struct df_step *m_write(struct gen *g)
{
	write_some(g);
	return NULL;
}

static struct df_step *m_shutdown(struct gen *g)
{
	call(g, DF_SHUTDOWN, 0);
	return NULL;
}

static struct df_step *m_leave(struct gen *g)
{
	call(g, chance(g, 50) ? DF_CLOSE : DF_ABORT, 0);
	return NULL;
}

static struct df_step *m_wait(struct gen *g)
{
	if (g->full && chance(g, 80)) {
		call(g, DF_READER, 1);
		return NULL;
	}
	call(g, DF_WAIT, 0);
	return NULL;
}

static const struct {
	uint32_t weight;
	struct df_step *(*make)(struct gen *g);
} moves[] = {{14, m_data}, {7, m_old}, {7, m_overlap}, {8, m_hole}, {10, m_ack}, {5, m_all},
	{6, m_fin}, {3, m_fin_far}, {7, m_rst}, {7, m_syn}, {6, m_edge}, {4, m_flags}, {6, m_sack},
	{3, m_urgent}, {10, m_write}, {3, m_shutdown}, {2, m_leave}, {3, m_wait}};

/* ---- mutations ---- */

static void spoil_ts(struct gen *g, struct df_step *st, int32_t nxt)
{
	static const int32_t by[] = {-1000000, -1000, -200, -20, -10, 10, 1000, 0x70000000};

	if (chance(g, 25)) {
		st->ts = DF_TS_NONE;
	} else if (chance(g, 70)) {
		st->ts = DF_TS_MOVED;
		st->ts_by = PICK(g, by);
		if (st->seq < nxt && st->ts_by > 0)
			st->ts_by = -st->ts_by; /* kept by one of them only, it would part them */
	} else {
		st->ecr = (uint8_t)(1 + below(g, 2));
	}
}

static void spoil_options(struct gen *g, struct df_step *st)
{
	static const struct {
		uint8_t n, bytes[8];
	} odd[] = {{4, {253, 4, 1, 2}}, {4, {2, 4, 1, 0}}, {4, {1, 1, 4, 2}}, {4, {3, 3, 14, 1}},
		{4, {2, 0, 0, 0}}, {4, {2, 1, 5, 0}}, {4, {254, 40, 0, 0}}, {4, {8, 4, 0, 0}},
		{4, {0, 2, 4, 9}}, {4, {1, 1, 1, 8}}, {4, {5, 2, 0, 0}}, {6, {5, 6, 0, 0, 0, 9}},
		{8, {1, 1, 1, 1, 1, 1, 1, 1}}, {4, {34, 4, 1, 2}}, {4, {3, 3, 200, 0}}};
	uint32_t i = below(g, MT_ARRAY_LEN(odd));

	st->n_raw = odd[i].n;
	memcpy(st->raw, odd[i].bytes, odd[i].n);
}

/* We drop it whole and the kernel does not; what that changes shows later, if at all. */
static bool ends(const struct df_step *st)
{
	return st->n_raw || st->ts == DF_TS_NONE;
}

static void spoil(struct gen *g, struct df_step *st, int32_t nxt)
{
	static const uint16_t windows[] = {0, 1, 100, 1000, 65535};
	static const uint8_t extra[] = {SC_PSH, SC_URG, SC_ECE, SC_CWR, SC_ECE | SC_CWR, SC_FIN};

	if (st->kind != DF_SEG)
		return;
	if (g->q->ts && chance(g, 8))
		spoil_ts(g, st, nxt);
	if (chance(g, 3))
		spoil_options(g, st);
	if (chance(g, 3))
		st->badsum = true;
	if (chance(g, 3))
		st->flags ^= SC_ACK;
	if (chance(g, 4))
		st->flags |= PICK(g, extra);
	if (chance(g, 4))
		st->wnd = PICK(g, windows);
}

/* A new connection of the same tuple: its stream goes on where the old one's ended. */
static void reuse(struct gen *g)
{
	int32_t at = g->nxt + between(g, 1, 200000);

	g->origin = at - (g->nxt - 1 - (g->fin ? 1 : 0));
	seg(g, SC_SYN, at, 0);
	g->nxt = at + 1;
	g->fin = g->time_wait = false;
	if (chance(g, 80))
		ack(g);
}

static void move(struct gen *g)
{
	uint32_t all = 0, at, i;

	for (i = 0; i < MT_ARRAY_LEN(moves); i++)
		all += moves[i].weight;
	at = below(g, all);
	for (i = 0; at >= moves[i].weight; i++)
		at -= moves[i].weight;
	moves[i].make(g);
}

static void choose_options(struct gen *g)
{
	static const uint16_t mss[] = {1460, 1460, 1000, 536, 536, 100, 88, 48, 1, 0, 9000};
	static const uint32_t irs[] = {0x20000000, 0x7ffffff8, 0xfffffff0, 0xffffff00, 0, 1};
	struct df_seq *q = g->q;

	q->v6 = chance(g, 25);
	q->ts = chance(g, 60);
	q->sack = chance(g, 70);
	q->wscale = chance(g, 70);
	q->shift = (uint8_t)(chance(g, 90) ? below(g, 9) : below(g, 256));
	q->has_mss = chance(g, 90);
	q->mss = chance(g, 80) ? 1460 : PICK(g, mss);
	q->wnd = (uint16_t)(chance(g, 85) ? 65535 : 4000 + below(g, 60000));
	q->irs = PICK(g, irs) + (chance(g, 50) ? below(g, 1000) : 0);
}

void df_generate(struct df_seq *q, uint64_t seed)
{
	struct gen g = {.q = q, .una = 1};
	uint32_t n;

	memset(q, 0, sizeof(*q));
	q->seed = seed;
	mt_rand_seed(&g.rand, seed);
	choose_options(&g);
	PICK(&g, states)(&g);
	if (g.time_wait && chance(&g, 50))
		reuse(&g);
	n = 3 + below(&g, 10);
	for (uint32_t i = 0; i < n && q->n_steps < DF_STEPS; i++) {
		uint32_t before = q->n_steps;
		int32_t nxt = g.nxt;

		move(&g);
		if (q->n_steps == before)
			return;
		spoil(&g, &q->step[before], nxt);
		if (ends(&q->step[before]))
			return;
	}
}
