/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over workers. */
#include "mt_ctl_priv.h"

#include <string.h>

/* Structs of nothing but counters, added up as arrays; the assertions below hold that. */
static void add_counters(uint64_t *to, const uint64_t *from, size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(*to); i++)
		to[i] += mt_count_read(&from[i]);
}

/* What worker `p` counted for an index; NULL: no such one. */
typedef const void *(*mt_stats_of)(const struct mt_proxy *p, uint32_t index);

static const void *service_stats(const struct mt_proxy *p, uint32_t index)
{
	return mt_proxy_service_stats(p, index);
}

static const void *service_hist(const struct mt_proxy *p, uint32_t index)
{
	return mt_proxy_service_hist(p, index);
}

static const void *ep_stats(const struct mt_proxy *p, uint32_t index)
{
	return mt_proxy_ep_stats(p, index);
}

static bool sum_workers(
	const struct mt_ctl *c, uint32_t index, mt_stats_of of, void *sum, size_t bytes)
{
	memset(sum, 0, bytes);
	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const void *one = of(mt_worker_proxy(c->env.workers[w]), index);

		if (!one)
			return false;
		add_counters(sum, one, bytes);
	}
	return true;
}

bool mt_ctl_service_stats(const struct mt_ctl *c, uint32_t index, struct mt_service_stats *sum)
{
	return sum_workers(c, index, service_stats, sum, sizeof(*sum));
}

bool mt_ctl_ep_stats(const struct mt_ctl *c, uint32_t index, struct mt_ep_stats *sum)
{
	return sum_workers(c, index, ep_stats, sum, sizeof(*sum));
}

bool mt_ctl_service_hist(const struct mt_ctl *c, uint32_t index, struct mt_service_hist *sum)
{
	return sum_workers(c, index, service_hist, sum, sizeof(*sum));
}

void mt_ctl_ep_latency(
	const struct mt_ctl *c, const struct mt_ep_state *ep, uint64_t sum[MT_EP_LATENCY_BUCKETS])
{
	memset(sum, 0, sizeof(*sum) * MT_EP_LATENCY_BUCKETS);
	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_ep_hist *h =
			mt_proxy_ep_hist(mt_worker_proxy(c->env.workers[w]), ep->index);

		if (!h || __atomic_load_n(&h->ep_id, __ATOMIC_RELAXED) != ep->id)
			continue;
		for (uint32_t i = 0; i < MT_EP_LATENCY_BUCKETS; i++)
			sum[i] += __atomic_load_n(&h->latency[i], __ATOMIC_RELAXED);
	}
}

_Static_assert(sizeof(struct mt_service_stats) % sizeof(uint64_t) == 0, "counters only");
_Static_assert(sizeof(struct mt_service_hist) % sizeof(uint64_t) == 0, "counters only");
_Static_assert(sizeof(struct mt_ep_stats) % sizeof(uint64_t) == 0, "counters only");
