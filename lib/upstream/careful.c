/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slow start and panic: how warm an endpoint is, and whether so few endpoints are in rotation that
 * ejected ones are used as well. Only for clusters with a warm-up or min_health.
 */
#include "mt_upstream_priv.h"

#include <math.h>

/* ---- warm-up --------------------------------------------------------------------------------- */

/* Fraction of its full share that an endpoint gets at this age (ns). */
static double share_at(const struct mt_warmup_rule *r, uint64_t age)
{
	double part;

	if (age >= r->ms * MT_MSEC)
		return 1;
	part = pow((double)age / (double)(r->ms * MT_MSEC), 100.0 / r->aggression);
	return MT_MAX(part, r->least / 10000.0);
}

static uint64_t age(uint64_t since, uint64_t now)
{
	return now > since ? now - since : 0;
}

bool mt_endpoint_warm(const struct mt_cluster *c, uint32_t i, uint64_t rnd, uint64_t now)
{
	const struct mt_warmup *w = c->warmup;
	const struct mt_endpoint *e = &c->eps[i];
	uint64_t since = w->since[e - w->eps];
	uint64_t back = __atomic_load_n(&e->state->ejected_until, __ATOMIC_RELAXED);
	double chance;

	/* Slow start begins again when an ejected endpoint returns. */
	if (back <= now)
		since = MT_MAX(since, back);
	if (age(since, now) >= w->rule.ms * MT_MSEC)
		return true;
	/*
	 * Relative to the warmest endpoint, so that a cluster of only new ones does not reject all
	 * draws.
	 */
	chance = (double)(rnd >> 11) * 0x1p-53 * share_at(&w->rule, age(w->oldest, now));
	return chance < share_at(&w->rule, age(since, now));
}

/* ---- panic ----------------------------------------------------------------------------------- */

/*
 * Envoy's overprovisioning factor: a level with x percent of its endpoints in rotation can take 1.4
 * x percent of the load.
 */
#define OVERPROVISION 140

/* Endpoints that can get calls, and those of them in rotation. */
struct rotation {
	uint64_t all, in;
};

static struct rotation rotation_of(const struct mt_cluster *c, uint64_t now)
{
	struct rotation n = {0};

	for (uint32_t i = 0; i < c->n_eps; i++) {
		if (mt_cluster_skips(c, i))
			continue;
		n.in += !mt_ep_ejected(c->eps[i].state, now);
		n.all++;
	}
	return n;
}

/* Percentage of the load that the cluster can take. */
static uint64_t load_of_one(const struct mt_cluster *c, uint64_t now)
{
	struct rotation n = rotation_of(c, now);

	return n.all ? OVERPROVISION * n.in / n.all : 0;
}

/* Percentage of the load that all levels together can take. */
static uint64_t load_of(const struct mt_cluster *top, uint64_t now)
{
	uint64_t sum = 0;

	if (!top->n_levels)
		return load_of_one(top, now);
	for (uint32_t i = 0; i < top->n_levels; i++)
		sum += MT_MIN(load_of_one(&top->levels[i].in, now), 100);
	return sum;
}

bool mt_cluster_panics(const struct mt_cluster *c, const struct mt_cluster *top,
	struct mt_lb_worker *w, uint64_t now)
{
	struct rotation n;

	if (w->panic_of == c && w->panic_ms == now / MT_MSEC)
		return w->panic;
	w->panic_of = c;
	w->panic_ms = now / MT_MSEC;
	n = rotation_of(c, now);
	w->panic = n.in * 100 < c->min_health * n.all && load_of(top, now) < 100;
	return w->panic;
}
