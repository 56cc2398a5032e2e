/* SPDX-License-Identifier: Apache-2.0 */
/* The generator: what its three files share. */
#pragma once

#include "diff.h"

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

static inline uint32_t below(struct gen *g, uint32_t n)
{
	return mt_rand_below(&g->rand, n);
}

static inline bool chance(struct gen *g, uint32_t percent)
{
	return below(g, 100) < percent;
}

static inline int32_t between(struct gen *g, int32_t lo, int32_t hi)
{
	return lo + (int32_t)below(g, (uint32_t)(hi - lo + 1));
}

#define PICK(g, list) (list)[below((g), MT_ARRAY_LEN(list))]

/* ---- gen.c: plain steps ---- */
struct df_step *gen_step(struct gen *g, enum df_kind kind);
struct df_step *gen_seg(struct gen *g, uint8_t flags, int32_t seq, uint32_t len);
void gen_call(struct gen *g, enum df_kind kind, uint32_t n);
void gen_write(struct gen *g);
/* The peer's stream has grown to `end`; what lies behind a hole may join it. */
void gen_grow(struct gen *g, int32_t end);
void gen_data(struct gen *g);
void gen_fin(struct gen *g);
void gen_ack(struct gen *g);

/* ---- gen_states.c ---- */
/* Steps that lead to a state. */
void gen_state(struct gen *g);

/* ---- gen_moves.c ---- */
/* One step more, of which a mutation may come. */
void gen_move(struct gen *g);
