/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of the node's connections that start or stop to refuse clients and calls. */
#include "mt_ctl_events_priv.h"

#define QUIET (60 * MT_SEC) /* without a refusal: the end */

enum mt_edge mt_full_step(struct mt_full *f, uint64_t refused, uint64_t now)
{
	bool was = f->on;

	if (refused != f->refused) {
		if (!was) {
			f->on = true;
			f->since = now;
			f->before = f->refused;
		}
		f->refused = refused;
		f->last = now;
	} else if (was && now - f->last >= QUIET) {
		f->on = false;
	}
	if (f->on == was)
		return MT_EDGE_NONE;
	return was ? MT_EDGE_ENDS : MT_EDGE_STARTS;
}

static const struct {
	enum mt_proxy_outcome counter;
	const char *starts, *what;
} limits[] = {
	{MT_PROXY_down_full,
		"new clients are refused: as many as spec.connections allows are connected; raise "
		"it, or add nodes",
		"client connections"},
	{MT_PROXY_up_full,
		"new connections to endpoints are refused: their table is full; raise "
		"spec.connections, or add nodes",
		"connections to endpoints"},
};
_Static_assert(MT_ARRAY_LEN(limits) == MT_FULL_LIMITS, "one row for each limit");

void mt_events_connections(struct mt_ctl *c)
{
	char words[MT_CTL_SPAN];

	for (uint32_t i = 0; i < MT_FULL_LIMITS; i++) {
		struct mt_full *f = &c->events->full[i];
		uint64_t refused = 0;

		for (uint16_t w = 0; w < c->env.n_workers; w++)
			refused += mt_count_read(&mt_proxy_counters(
				mt_worker_proxy(c->env.workers[w]))[limits[i].counter]);
		switch (mt_full_step(f, refused, c->now)) {
		case MT_EDGE_STARTS:
			mt_log(MT_LOG_WARN, "worker", "%s", limits[i].starts);
			break;
		case MT_EDGE_ENDS:
			mt_log(MT_LOG_INFO, "worker",
				"no %s were refused for %llu s; before that %llu in %s",
				limits[i].what, (unsigned long long)(QUIET / MT_SEC),
				(unsigned long long)(f->refused - f->before),
				mt_ctl_span(f->last - f->since, words));
			break;
		case MT_EDGE_NONE:
			break;
		}
	}
}
