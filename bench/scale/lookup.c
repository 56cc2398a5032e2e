/* SPDX-License-Identifier: Apache-2.0 */
/* Measures the hot table alone, in the stages in which input uses it. */
#include "scale.h"

#include "mt_tcp_priv.h"

#include <stdlib.h>

#include <rte_cycles.h>

#define BURST	32
#define BURSTS	256 /* per sample: short, so that many samples are undisturbed */
#define SAMPLES 60

static uint64_t sink; /* keeps results alive for the compiler */

static void staged(const struct mt_tcp *t, const struct mt_tuple *tuples)
{
	uint32_t hash[BURST], val[BURST];

	for (int i = 0; i < BURST; i++) {
		hash[i] = mt_tcp_hash(t, &tuples[i]);
		mt_table_prefetch(&t->table, hash[i]);
	}
	for (int i = 0; i < BURST; i++)
		val[i] = mt_tcp_prefetch(t, hash[i]);
	for (int i = 0; i < BURST; i++)
		mt_tcp_prefetch_queue(t, val[i]);
	for (int i = 0; i < BURST; i++)
		sink += mt_tcp_find(t, &tuples[i], hash[i]);
}

static void single(const struct mt_tcp *t, const struct mt_tuple *tuples)
{
	for (int i = 0; i < BURST; i++)
		sink += mt_tcp_find(t, &tuples[i], mt_tcp_hash(t, &tuples[i]));
}

static double least(const struct mt_tcp *t, const struct mt_tuple *tuples,
	void (*look)(const struct mt_tcp *t, const struct mt_tuple *tuples), struct mt_rand *r)
{
	uint64_t best = UINT64_MAX;

	for (int s = 0; s < SAMPLES; s++) {
		uint32_t from = mt_rand_below(r, SAMPLES * BURSTS) * BURST;
		uint64_t t0 = rte_rdtsc(), took;

		for (uint32_t b = 0; b < BURSTS; b++)
			look(t, &tuples[(from + b * BURST) % (SAMPLES * BURSTS * BURST)]);
		took = rte_rdtsc() - t0;
		best = MT_MIN(best, took);
	}
	return (double)best / (BURSTS * BURST);
}

void scale_lookup_measure(struct mt_tcp *t, uint32_t conns, struct scale_lookup *l)
{
	struct mt_tuple *tuples = calloc((size_t)SAMPLES * BURSTS * BURST, sizeof(*tuples));
	struct mt_rand r;

	MT_ASSERT(tuples);
	mt_rand_seed(&r, conns);
	for (uint32_t i = 0; i < SAMPLES * BURSTS * BURST; i++) {
		const struct mt_tcp_conn *c;

		do
			c = mt_slab_at(&t->conns, mt_rand_below(&r, t->conns.fresh));
		while (!(c->flags & MT_CF_IN_TABLE));
		tuples[i] = c->tuple;
	}
	l->staged = least(t, tuples, staged, &r);
	l->single = least(t, tuples, single, &r);
	free(tuples);
}
