/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over workers, and what one scrape gathers for all its families. */
#include "mt_ctl_priv.h"

#include <errno.h>
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

static int by_name(const void *a, const void *b)
{
	const struct mt_ctl_series *x = a, *y = b;

	return strcmp(x->service->name, y->service->name);
}

static int begin_services(struct mt_ctl *c, const struct mt_snapshot *snap)
{
	struct mt_ctl_series *s = calloc(snap->n_services + 1, sizeof(*s));
	uint32_t n = 0, k = 0;

	c->series = s;
	if (!s)
		return -ENOMEM;
	for (uint32_t i = 0; i < snap->n_services; i++)
		if (mt_ctl_service_stats(c, snap->services[i]->index, &s[n].stats) &&
			mt_ctl_service_hist(c, snap->services[i]->index, &s[n].hist))
			s[n++].service = snap->services[i];
	/* Equal names come together and are added up in place. */
	qsort(s, n, sizeof(*s), by_name);
	for (uint32_t i = 1; i < n; i++) {
		if (by_name(&s[k], &s[i]) == 0) {
			add_counters((uint64_t *)&s[k].stats, (uint64_t *)&s[i].stats,
				sizeof(s[k].stats));
			add_counters(
				(uint64_t *)&s[k].hist, (uint64_t *)&s[i].hist, sizeof(s[k].hist));
		} else
			s[++k] = s[i];
	}
	c->n_series = n ? k + 1 : 0;
	return 0;
}

static int begin_endpoints(struct mt_ctl *c, const struct mt_snapshot *snap)
{
	uint32_t n = 0, max = 0;
	uint8_t *seen;

	for (uint32_t i = 0; i < snap->n_clusters; i++)
		n += snap->clusters[i].n_eps;
	for (uint32_t i = 0; i < snap->n_clusters; i++)
		for (uint32_t k = 0; k < snap->clusters[i].n_eps; k++)
			max = MT_MAX(max, snap->clusters[i].eps[k].state->index);
	c->ep_series = calloc(n + 1, sizeof(*c->ep_series));
	seen = calloc((size_t)max + 1, 1);
	for (uint32_t i = 0; c->ep_series && seen && i < snap->n_clusters; i++) {
		const struct mt_cluster *cl = &snap->clusters[i];

		for (uint32_t k = 0; k < cl->n_eps; k++) {
			uint8_t *again = &seen[cl->eps[k].state->index];

			if (!*again)
				c->ep_series[c->n_ep_series++] =
					(struct mt_ctl_ep_series){cl, &cl->eps[k]};
			*again = 1;
		}
	}
	n = c->ep_series && seen;
	free(seen);
	return n ? 0 : -ENOMEM;
}

int mt_ctl_scrape_begin(struct mt_ctl *c)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(c);
	int rc;

	if (!snap)
		return 0;
	rc = begin_services(c, snap);
	return rc ? rc : begin_endpoints(c, snap);
}

void mt_ctl_scrape_end(struct mt_ctl *c)
{
	free(c->series);
	free(c->ep_series);
	c->series = NULL;
	c->ep_series = NULL;
	c->n_series = c->n_ep_series = 0;
}
