/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that wait for an answer of an endpoint, on all workers. The endpoint is silent only if no
 * worker has heard of it, because a worker without calls there may be the one that it answers.
 */
#include "mt_ctl_priv.h"

static uint64_t age(const struct mt_ctl *c, uint64_t since)
{
	return since && c->now > since ? c->now - since : 0;
}

struct mt_ctl_waiting mt_ctl_ep_waiting(const struct mt_ctl *c, uint32_t index, uint64_t id)
{
	uint64_t oldest = MT_NEVER, since = MT_NEVER, heard = 0;
	struct mt_ctl_waiting n = {0};

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		struct mt_ep_waiting one =
			mt_proxy_ep_waiting(mt_worker_proxy(c->env.workers[w]), index, id);

		heard = MT_MAX(heard, one.heard);
		if (!one.calls)
			continue;
		n.calls += one.calls;
		oldest = MT_MIN(oldest, one.oldest);
		since = MT_MIN(since, one.since);
	}
	if (!n.calls)
		return n;
	n.oldest = age(c, oldest);
	n.silent = age(c, MT_MAX(since, heard));
	return n;
}
