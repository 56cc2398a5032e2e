/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over workers. */
#include "mt_ctl_priv.h"

#include <string.h>

/*
 * Adds structs that consist of counters only (asserted below) as arrays, if they belong to this
 * service. The worker may reassign the index to another service during the reads; then the values
 * are dropped.
 */
static void add_counters(const struct mt_proxy *p, uint32_t index, uint64_t id, uint64_t *to,
	const uint64_t *from, size_t bytes)
{
	uint64_t got[sizeof(struct mt_service_hist) / sizeof(uint64_t)];
	size_t n = bytes / sizeof(*to);

	if (mt_proxy_service_id(p, index) != id)
		return;
	for (size_t i = 0; i < n; i++)
		got[i] = mt_count_read(&from[i]);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (mt_proxy_service_id(p, index) != id)
		return;
	for (size_t i = 0; i < n; i++)
		to[i] += got[i];
}

bool mt_ctl_service_stats(
	const struct mt_ctl *c, uint32_t index, uint64_t id, struct mt_service_stats *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_proxy *p = mt_worker_proxy(c->env.workers[w]);
		const struct mt_service_stats *one = mt_proxy_service_stats(p, index);

		if (!one)
			return false;
		add_counters(p, index, id, (uint64_t *)sum, (const uint64_t *)one, sizeof(*sum));
	}
	return true;
}

bool mt_ctl_service_hist(
	const struct mt_ctl *c, uint32_t index, uint64_t id, struct mt_service_hist *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_proxy *p = mt_worker_proxy(c->env.workers[w]);
		const struct mt_service_hist *one = mt_proxy_service_hist(p, index);

		if (!one)
			return false;
		add_counters(p, index, id, (uint64_t *)sum, (const uint64_t *)one, sizeof(*sum));
	}
	return true;
}

const struct mt_portion *mt_ctl_portions(const struct mt_ctl *c, uint16_t worker)
{
	return worker < c->env.n_workers
		       ? mt_proxy_portions(mt_worker_proxy(c->env.workers[worker]))
		       : NULL;
}

bool mt_ctl_ep_stats(const struct mt_ctl *c, uint32_t index, uint64_t id, struct mt_ep_stats *sum)
{
	*sum = (struct mt_ep_stats){.id = id};
	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_ep_stats *one =
			mt_proxy_ep_stats(mt_worker_proxy(c->env.workers[w]), index);

		if (!one)
			return false;
		sum->conns_active += __atomic_load_n(&one->conns_active, __ATOMIC_RELAXED);
		sum->outstanding += mt_count_read(&one->outstanding);
		sum->streams += __atomic_load_n(&one->streams, __ATOMIC_RELAXED);
		if (__atomic_load_n(&one->id, __ATOMIC_ACQUIRE) != id)
			continue;
		sum->requests += mt_count_read(&one->requests);
		sum->failures += mt_count_read(&one->failures);
		sum->connect_failed += mt_count_read(&one->connect_failed);
		sum->conns_opened += mt_count_read(&one->conns_opened);
	}
	return true;
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

void mt_ctl_ep_answers(
	const struct mt_ctl *c, const struct mt_ep_state *ep, struct mt_ep_answers *sum)
{
	*sum = (struct mt_ep_answers){0};
	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_ep_hist *h =
			mt_proxy_ep_hist(mt_worker_proxy(c->env.workers[w]), ep->index);

		if (!h || __atomic_load_n(&h->ep_id, __ATOMIC_RELAXED) != ep->id)
			continue;
		sum->ok += mt_count_read(&h->answers.ok);
		sum->errors += mt_count_read(&h->answers.errors);
	}
}

_Static_assert(sizeof(struct mt_service_stats) % sizeof(uint64_t) == 0, "counters only");
_Static_assert(sizeof(struct mt_service_hist) % sizeof(uint64_t) == 0, "counters only");
_Static_assert(sizeof(struct mt_service_stats) <= sizeof(struct mt_service_hist), "room for both");
