/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequences from seeds: steps that lead to a state, then plausible ones and mutated ones near the edges of
 * what the stack expects. A step never depends on an answer, so both stacks get the same ones; a small
 * model of the peer's own stream says where plausible segments lie.
 */
#include "gen.h"

#include <string.h>

/* ---- plain steps ---- */

struct df_step *gen_step(struct gen *g, enum df_kind kind)
{
	static struct df_step spill;
	struct df_seq *q = g->q;
	struct df_step *st = q->n_steps < DF_STEPS ? &q->step[q->n_steps++] : &spill;

	*st = (struct df_step){.kind = (uint8_t)kind, .wnd = q->wnd, .origin = g->origin};
	return st;
}

struct df_step *gen_seg(struct gen *g, uint8_t flags, int32_t seq, uint32_t len)
{
	struct df_step *st = gen_step(g, DF_SEG);

	st->flags = flags;
	st->seq = seq;
	st->len = (uint16_t)len;
	if (g->lazy) {
		st->ack_at = DF_ACK_ISS;
		st->ack = g->una;
	}
	return st;
}

void gen_call(struct gen *g, enum df_kind kind, uint32_t n)
{
	gen_step(g, kind)->n = n;
}

void gen_write(struct gen *g)
{
	/* Few short segments: initial windows in segments and in bytes are the same to them. */
	uint32_t mss = g->q->has_mss ? g->q->mss : 536;
	uint32_t most = mss < 536 ? 60 : mss < 1000 ? 400 : 1400;
	uint32_t n = 1 + below(g, chance(g, 30) ? 20 : most);

	gen_call(g, DF_WRITE, n);
	g->written += (int32_t)n;
}

void gen_grow(struct gen *g, int32_t end)
{
	g->nxt = MT_MAX(g->nxt, end);
	if (g->hole_end && g->nxt >= g->hole_at) {
		g->nxt = MT_MAX(g->nxt, g->hole_end);
		g->hole_end = 0;
	}
}

void gen_data(struct gen *g)
{
	uint32_t len = 1 + below(g, chance(g, 50) ? 20 : SEGMENT_MAX);

	gen_seg(g, SC_ACK | SC_PSH, g->nxt, len);
	gen_grow(g, g->nxt + (int32_t)len);
}

void gen_fin(struct gen *g)
{
	gen_seg(g, SC_FIN | SC_ACK, g->nxt, 0);
	gen_grow(g, g->nxt + 1);
	g->fin = true;
}

void gen_ack(struct gen *g)
{
	gen_seg(g, SC_ACK, g->nxt, 0);
}

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
	gen_seg(g, SC_SYN, at, 0);
	g->nxt = at + 1;
	g->fin = g->time_wait = false;
	if (chance(g, 80))
		gen_ack(g);
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
	gen_state(&g);
	if (g.time_wait && chance(&g, 50))
		reuse(&g);
	n = 3 + below(&g, 10);
	for (uint32_t i = 0; i < n && q->n_steps < DF_STEPS; i++) {
		uint32_t before = q->n_steps;
		int32_t nxt = g.nxt;

		gen_move(&g);
		if (q->n_steps == before)
			return;
		spoil(&g, &q->step[before], nxt);
		if (ends(&q->step[before]))
			return;
	}
}
