/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rates of connections. Nothing is counted per second. The control thread stores the byte counts of
 * a connection at each query, for a bounded number of connections, and the next query takes the
 * difference. Time is the connection's age on its worker, so that counts and time belong together.
 */
#include "mt_ctl_priv.h"

#define PLACES	 (16u << 10)	 /* 1 MB, allocated by the first query */
#define AGAIN	 (250 * MT_MSEC) /* a query within this time gets the last rate */
#define KEEP	 (10 * MT_SEC)	 /* time for which a queried connection keeps its slot */
#define WORKER_1 1u		 /* worker + 1; 0: free */

struct sample {
	uint32_t index, born_ms;
	uint32_t worker; /* + WORKER_1 */
	uint64_t at;	 /* time of the last query on the control thread's clock, ns */
	uint64_t age_ns, in, out;
	struct mt_rate rate; /* result of the last query */
};

struct mt_pace {
	struct sample at[PLACES];
};

static uint64_t per_second(uint64_t n, uint64_t ns)
{
	return ns ? (uint64_t)((double)n * (double)MT_SEC / (double)ns) : 0;
}

/* Rate between an older sample (all 0: the start of the connection) and now. */
static struct mt_rate between(const struct sample *old, const struct mt_tcp_info *t)
{
	uint64_t ns = t->age_ns - old->age_ns;

	return (struct mt_rate){per_second(t->bytes_in - old->in, ns),
		per_second(t->bytes_out - old->out, ns),
		(uint32_t)MT_MIN(ns / MT_MSEC, UINT32_MAX)};
}

static bool is_same(const struct sample *s, uint16_t worker, const struct mt_tcp_info *t)
{
	return s->worker == worker + WORKER_1 && s->index == t->index && s->born_ms == t->born_ms &&
	       s->age_ns <= t->age_ns && s->in <= t->bytes_in && s->out <= t->bytes_out;
}

struct mt_rate mt_pace_look(struct mt_ctl *c, uint16_t worker, const struct mt_tcp_info *t)
{
	static const struct sample begin;
	struct sample *s;
	struct mt_rate rate;
	bool same;

	if (!c->paces)
		c->paces = calloc(1, sizeof(*c->paces));
	if (!c->paces)
		return between(&begin, t);
	/*
	 * A worker's connection indices are dense, so that the first thousands have slots of their
	 * own.
	 */
	s = &c->paces->at[(t->index * MT_MAX(c->env.n_workers, 1u) + worker) % PLACES];
	same = is_same(s, worker, t);
	if (same && t->age_ns - s->age_ns < AGAIN)
		return s->rate;
	rate = between(same ? s : &begin, t);
	if (!same && s->worker && c->now - s->at < KEEP && s->index != t->index)
		return rate;
	*s = (struct sample){t->index, t->born_ms, worker + WORKER_1, c->now, t->age_ns,
		t->bytes_in, t->bytes_out, rate};
	return rate;
}

void mt_pace_fini(struct mt_ctl *c)
{
	free(c->paces);
	c->paces = NULL;
}
