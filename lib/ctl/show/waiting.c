/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls and opaque streams that wait for an answer of an endpoint, on all workers. The endpoint is
 * silent only if no worker has heard of it, because a worker without calls there may be the one
 * that it answers.
 */
#include "mt_ctl_priv.h"

static uint64_t age(const struct mt_ctl *c, uint64_t since)
{
	return c->now > since ? c->now - since : 0;
}

static void earliest(uint64_t *all, uint64_t one)
{
	if (one && (*all == 0 || one < *all))
		*all = one;
}

/* Sums over workers; of times the earliest, but the last of `heard`. */
static struct mt_ep_waiting sum_of(const struct mt_ctl *c, uint32_t index, uint64_t id)
{
	struct mt_ep_waiting sum = {0};

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		struct mt_ep_waiting one =
			mt_proxy_ep_waiting(mt_worker_proxy(c->env.workers[w]), index, id, c->now);

		sum.calls += one.calls;
		earliest(&sum.oldest, one.oldest);
		earliest(&sum.since, one.since);
		sum.heard = MT_MAX(sum.heard, one.heard);
		sum.streams += one.streams;
		earliest(&sum.streams_since, one.streams_since);
		sum.answered += one.answered;
		sum.unanswered += one.unanswered;
	}
	return sum;
}

struct mt_ctl_waiting mt_ctl_ep_waiting(const struct mt_ctl *c, uint32_t index, uint64_t id)
{
	struct mt_ep_waiting sum = sum_of(c, index, id);
	struct mt_ctl_waiting n = {.calls = sum.calls,
		.streams = sum.streams,
		.answers = sum.answered > sum.unanswered};

	if (sum.calls) {
		n.oldest = age(c, sum.oldest);
		n.silent = age(c, MT_MAX(sum.since, sum.heard));
	}
	if (sum.streams)
		n.streams_silent = age(c, MT_MAX(sum.streams_since, sum.heard));
	return n;
}

uint64_t mt_ctl_oldest(const struct mt_ctl_waiting *n)
{
	return n->answers ? MT_MAX(n->oldest, n->streams_silent) : n->oldest;
}
