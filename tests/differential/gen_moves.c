/* SPDX-License-Identifier: Apache-2.0 */
/* Single steps: plausible segments, and others near the edges of what is expected. */
#include "gen.h"

static struct df_step *m_data(struct gen *g)
{
	gen_data(g);
	return NULL;
}

static struct df_step *m_old(struct gen *g)
{
	int32_t back = between(g, 1, MT_MAX(g->nxt, 2));

	return gen_seg(g, SC_ACK, g->nxt - back, 1 + below(g, (uint32_t)MT_MIN(back, SEGMENT_MAX)));
}

static struct df_step *m_overlap(struct gen *g)
{
	int32_t back = between(g, 1, 30), len = back + between(g, 1, 60);
	struct df_step *st = gen_seg(g, SC_ACK, g->nxt - back, (uint32_t)len);

	gen_grow(g, g->nxt - back + len);
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
	return gen_seg(g, SC_ACK, at, len);
}

static struct df_step *m_ack(struct gen *g)
{
	static const int32_t far[] = {
		1, 2, 1000, 100000, 0x7ffffff0, -1, -2, -100, -70000, -140000};
	struct df_step *st = gen_seg(g, SC_ACK, g->nxt, 0);

	if (chance(g, 50))
		return st;
	st->ack_at = (uint8_t)below(g, 2);
	st->ack = chance(g, 50) ? PICK(g, far) : between(g, 0, g->written + 2);
	return st;
}

static struct df_step *m_all(struct gen *g)
{
	g->lazy = false;
	return gen_seg(g, SC_ACK, g->nxt, 0);
}

static struct df_step *m_fin(struct gen *g)
{
	uint32_t len = chance(g, 50) ? below(g, 100) : 0;
	struct df_step *st = gen_seg(g, SC_FIN | SC_ACK, g->nxt, len);

	if (g->fin)
		st->seq -= 1 + (int32_t)len; /* again */
	else
		gen_grow(g, g->nxt + (int32_t)len + 1);
	g->fin = true;
	return st;
}

static struct df_step *m_fin_far(struct gen *g)
{
	return gen_seg(g, SC_FIN | SC_ACK, g->nxt + between(g, -3, 100), below(g, 10));
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
	struct df_step *st = gen_seg(g, chance(g, 50) ? SC_RST : SC_RST | SC_ACK, 0, 0);

	place(g, st);
	if (chance(g, 10))
		st->len = (uint16_t)(1 + below(g, 20));
	return st;
}

static struct df_step *m_syn(struct gen *g)
{
	struct df_step *st = gen_seg(g, chance(g, 70) ? SC_SYN : SC_SYN | SC_ACK, 0, 0);

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
	struct df_step *st = gen_seg(g, SC_ACK, 0, below(g, 3) * (1 + below(g, 200)));

	st->seq_at = DF_AT_EDGE;
	st->seq = between(g, -2, 2) * GRAIN - (chance(g, 50) ? st->len : 0);
	return st;
}

static struct df_step *m_flags(struct gen *g)
{
	struct df_step *st = gen_seg(g, (uint8_t)mt_rand_u64(&g->rand), 0, 0);

	place(g, st);
	if (chance(g, 30))
		st->len = (uint16_t)(1 + below(g, 100));
	return st;
}

static struct df_step *m_sack(struct gen *g)
{
	struct df_step *st = gen_seg(g, SC_ACK, g->nxt, 0);

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
	struct df_step *st = gen_seg(g, SC_ACK | SC_URG, g->nxt, len);

	st->urg = (uint16_t)below(g, chance(g, 80) ? len + 2 : 65536);
	gen_grow(g, g->nxt + (int32_t)len);
	return st;
}

static struct df_step *m_write(struct gen *g)
{
	gen_write(g);
	return NULL;
}

static struct df_step *m_shutdown(struct gen *g)
{
	gen_call(g, DF_SHUTDOWN, 0);
	return NULL;
}

static struct df_step *m_leave(struct gen *g)
{
	gen_call(g, chance(g, 50) ? DF_CLOSE : DF_ABORT, 0);
	return NULL;
}

static struct df_step *m_wait(struct gen *g)
{
	if (g->full && chance(g, 80)) {
		gen_call(g, DF_READER, 1);
		return NULL;
	}
	gen_call(g, DF_WAIT, 0);
	return NULL;
}

static const struct {
	uint32_t weight;
	struct df_step *(*make)(struct gen *g);
} moves[] = {{14, m_data}, {7, m_old}, {7, m_overlap}, {8, m_hole}, {10, m_ack}, {5, m_all},
	{6, m_fin}, {3, m_fin_far}, {7, m_rst}, {7, m_syn}, {6, m_edge}, {4, m_flags}, {6, m_sack},
	{3, m_urgent}, {10, m_write}, {3, m_shutdown}, {2, m_leave}, {3, m_wait}};

void gen_move(struct gen *g)
{
	uint32_t all = 0, at, i;

	for (i = 0; i < MT_ARRAY_LEN(moves); i++)
		all += moves[i].weight;
	at = below(g, all);
	for (i = 0; at >= moves[i].weight; i++)
		at -= moves[i].weight;
	moves[i].make(g);
}
