/* SPDX-License-Identifier: Apache-2.0 */
/* Rate limits that start or stop to refuse calls. */
#include "mt_ctl_events_priv.h"

#include "mt_filter_keyed.h"
#include "mt_filter_limit_watch.h"

static void edge(void *arg, const struct mt_limit_info *info, const struct mt_limit_edge *e)
{
	char words[MT_CTL_SPAN];

	if (e->starts)
		mt_log(MT_LOG_WARN, "worker",
			"limit \"%s\" of %s refuses calls: more than %u in %s", info->match,
			info->service, info->numbers.tokens_per_fill,
			mt_ctl_span(info->numbers.fill_ns, words));
	else
		mt_log(MT_LOG_INFO, "worker",
			"limit \"%s\" of %s refused nothing for %llu s; before that it refused "
			"%llu calls in %s",
			info->match, info->service, (unsigned long long)(MT_LIMIT_QUIET / MT_SEC),
			(unsigned long long)e->refused, mt_ctl_span(e->lasted, words));
}

/* Skipped while no limit refuses anything, because there may be thousands. */
void mt_events_limits(struct mt_ctl *c)
{
	struct mt_limit_registry *reg = c->env.conf ? mt_conf_limits(c->env.conf) : NULL;
	struct mt_events *e = c->events;
	uint64_t refused = 0;

	if (reg)
		mt_limit_tick(reg, c->now);
	for (uint16_t w = 0; w < c->env.n_workers; w++)
		refused += mt_count_read(&mt_proxy_filter_counters(
			mt_worker_proxy(c->env.workers[w]))[MT_FILTER_rate_limited]);
	if (!reg || (refused == e->refused && !e->n_refusing))
		return;
	e->refused = refused;
	e->n_refusing = mt_limit_watch(reg, c->now, edge, NULL);
}
