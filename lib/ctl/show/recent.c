/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growth of counters within the last minute. Counters count from the daemon's start, but an
 * operator needs to know what is wrong now. So all counters are stored at each of the last steps,
 * and the oldest value is subtracted.
 */
#include "mt_ctl_priv.h"

#include <errno.h>

/* Values per worker that are not in the registry. */
#define OF_WORKER 2

static uint32_t n_counters(const struct mt_ctl *c)
{
	struct mt_metric m;
	uint64_t pos = 0;
	uint32_t n = 0;

	while (mt_metrics_next(c->metrics, &pos, &m))
		n++;
	return n;
}

int mt_recent_init(struct mt_ctl *c)
{
	struct mt_recent *r = &c->recent;

	r->n = n_counters(c);
	r->values = calloc((size_t)MT_RECENT_STEPS * (r->n + OF_WORKER * c->env.n_workers),
		sizeof(*r->values));
	r->last = calloc(r->n + 1, sizeof(*r->last));
	if (!r->values || !r->last) {
		mt_recent_fini(c);
		return -ENOMEM;
	}
	r->next = c->now;
	return 0;
}

void mt_recent_fini(struct mt_ctl *c)
{
	free(c->recent.values);
	free(c->recent.last);
	c->recent.values = c->recent.last = NULL;
}

static uint64_t *step(const struct mt_ctl *c, uint32_t i)
{
	return c->recent.values +
	       (size_t)(i % MT_RECENT_STEPS) * (c->recent.n + OF_WORKER * c->env.n_workers);
}

/* The newest stored value of counter i; 0: none yet. */
static uint64_t newest(const struct mt_ctl *c, uint32_t i)
{
	const struct mt_recent *r = &c->recent;

	return r->values && r->taken && i < r->n ? step(c, r->taken - 1)[i] : 0;
}

void mt_recent_turn(struct mt_ctl *c)
{
	struct mt_recent *r = &c->recent;
	struct mt_metric m;
	uint64_t pos = 0, *values;
	uint32_t i = 0;

	if (!r->values || c->now < r->next)
		return;
	values = step(c, r->taken);
	for (; i < r->n && mt_metrics_next(c->metrics, &pos, &m); i++) {
		if (m.value != newest(c, i))
			r->last[i] = c->now;
		values[i] = m.value;
	}
	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_worker_stats *st = mt_worker_stats(c->env.workers[w]);

		values[r->n + OF_WORKER * w] = mt_count_read(&st->run_ns);
		values[r->n + OF_WORKER * w + 1] = mt_count_read(&st->work_cycles);
	}
	r->at[r->taken % MT_RECENT_STEPS] = c->now;
	r->taken++;
	r->next = c->now + MT_RECENT_STEP;
}

/* The oldest stored step; NULL: none yet. */
static const uint64_t *oldest(const struct mt_ctl *c)
{
	const struct mt_recent *r = &c->recent;

	if (!r->values || r->taken == 0)
		return NULL;
	return step(c, r->taken < MT_RECENT_STEPS ? 0 : r->taken);
}

uint64_t mt_recent_count(const struct mt_ctl *c, uint32_t i, uint64_t value)
{
	const uint64_t *from = oldest(c);

	return from && i < c->recent.n && from[i] <= value ? value - from[i] : value;
}

uint64_t mt_recent_last(const struct mt_ctl *c, uint32_t i, uint64_t value)
{
	if (value != newest(c, i))
		return c->now;
	return c->recent.last && i < c->recent.n ? c->recent.last[i] : 0;
}

uint32_t mt_recent_seconds(const struct mt_ctl *c)
{
	const struct mt_recent *r = &c->recent;
	uint32_t first = r->taken < MT_RECENT_STEPS ? 0 : r->taken;

	if (r->taken == 0)
		return 0;
	return (uint32_t)((c->now - r->at[first % MT_RECENT_STEPS]) / MT_SEC);
}

void mt_recent_worker(const struct mt_ctl *c, uint16_t w, uint64_t *run_ns, uint64_t *work_cycles)
{
	const struct mt_worker_stats *st = mt_worker_stats(c->env.workers[w]);
	const uint64_t *from = oldest(c);

	*run_ns = mt_count_read(&st->run_ns);
	*work_cycles = mt_count_read(&st->work_cycles);
	if (!from)
		return;
	*run_ns -= MT_MIN(*run_ns, from[c->recent.n + OF_WORKER * w]);
	*work_cycles -= MT_MIN(*work_cycles, from[c->recent.n + OF_WORKER * w + 1]);
}
