/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls and opaque streams that wait for an answer of an endpoint, on all workers. The endpoint is
 * silent only if no worker has heard of it, because a worker without calls there may be the one
 * that it answers.
 */
#include "mt_ctl_events_priv.h"

#include <string.h>

#define LEAST	(2 * MT_SEC) /* a shorter wait is not unusual */
#define SLOWEST 4	     /* times the 99th percentile is usual */

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

/* Age of the silence since then; 0: nothing waits, and the endpoint has been heard since. */
static uint64_t silence(const struct mt_ctl *c, uint64_t since, bool waits, uint64_t heard)
{
	return since && (waits || since > heard) ? age(c, MT_MAX(since, heard)) : 0;
}

/* Starts where the last look-up ended, because callers walk through the clusters in their order. */
static const struct mt_cluster *named(const struct mt_ctl *c, const char *cluster)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(c);

	for (uint32_t i = 0; snap && i < snap->n_clusters; i++) {
		uint32_t at = (c->answering->at + i) % snap->n_clusters;

		if (strcmp(snap->clusters[at].name, cluster) == 0) {
			c->answering->at = at;
			return &snap->clusters[at];
		}
	}
	return NULL;
}

static bool most_answer(const struct mt_ctl *c, const struct mt_cluster *cl)
{
	uint64_t answered = 0, unanswered = 0;

	for (uint32_t i = 0; i < cl->n_eps; i++) {
		struct mt_ep_waiting one = sum_of(c, cl->eps[i].state->index, cl->eps[i].state->id);

		answered += one.answered;
		unanswered += one.unanswered;
	}
	return answered > unanswered;
}

/* True if servers of the cluster usually answer. Endpoints of one cluster share the result. */
static bool cluster_answers(const struct mt_ctl *c, const char *cluster)
{
	const struct mt_cluster *cl = named(c, cluster);
	struct mt_answering *last = c->answering;

	if (!cl)
		return false;
	if (last->of != cl || last->asked != c->now) {
		last->of = cl;
		last->asked = c->now;
		last->most = most_answer(c, cl);
	}
	return last->most;
}

struct mt_ctl_waiting mt_ctl_ep_waiting(
	const struct mt_ctl *c, const char *cluster, uint32_t index, uint64_t id)
{
	struct mt_ep_waiting sum = sum_of(c, index, id);
	struct mt_ctl_waiting n = {.calls = sum.calls,
		.streams = sum.streams,
		.answers = sum.answered > sum.unanswered,
		.unheard = sum.heard ? age(c, sum.heard) : 0};

	if (sum.calls)
		n.oldest = age(c, sum.oldest);
	n.silent = silence(c, sum.since, sum.calls, sum.heard);
	n.streams_silent = silence(c, sum.streams_since, sum.streams, sum.heard);
	if (n.streams_silent && sum.answered + sum.unanswered == 0)
		n.answers = cluster_answers(c, cluster);
	return n;
}

uint64_t mt_ctl_oldest(const struct mt_ctl_waiting *n)
{
	return n->answers ? MT_MAX(n->oldest, n->streams_silent) : n->oldest;
}

static uint64_t ns_at(const uint64_t latency[MT_EP_LATENCY_BUCKETS], double share)
{
	return mt_hist_at(latency, MT_EP_LATENCY_BUCKETS, MT_EP_LATENCY_BITS, share) * MT_USEC;
}

uint64_t mt_ctl_long_for(const struct mt_ctl *c, const struct mt_ep_state *ep)
{
	uint64_t latency[MT_EP_LATENCY_BUCKETS];

	mt_ctl_ep_latency(c, ep, latency);
	return MT_MAX(LEAST, SLOWEST * ns_at(latency, 0.99));
}

/* The late replies after a hang raise the p99, which must not hide the next one. */
static uint64_t unusual(const struct mt_ctl *c, const struct mt_ep_state *ep)
{
	uint64_t latency[MT_EP_LATENCY_BUCKETS], least;

	mt_ctl_ep_latency(c, ep, latency);
	least = MT_MAX(LEAST, MT_MIN(SLOWEST * ns_at(latency, 0.99), MT_HANG_NS));
	return MT_MAX(least, SLOWEST * ns_at(latency, 0.5));
}

uint64_t mt_ctl_silent(const struct mt_ctl *c, const struct mt_ep_state *ep, const char *cluster,
	const char *endpoint, const struct mt_ctl_waiting *n)
{
	uint64_t at = mt_ep_is_out(ep) ? mt_outliers_silent(c, cluster, endpoint) : 0;

	if (at)
		return MT_MAX(age(c, at), n->unheard);
	if (n->silent >= LEAST && n->silent >= unusual(c, ep))
		return MT_MAX(n->silent, n->streams_silent);
	return n->answers && n->streams_silent >= LEAST ? n->streams_silent : 0;
}
