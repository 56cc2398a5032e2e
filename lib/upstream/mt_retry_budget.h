/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retry budget of a cluster: limits the retries (further attempts by a retry policy) that wait or
 * are outstanding at the same time, for the whole node. A retry takes a unit when it is decided,
 * before its back-off, and returns it when its attempt ends. So if all servers of a cluster fail at
 * once, they get little more than the calls of their clients.
 *
 * The account belongs to the cluster's index in the registry and is never freed before the
 * registry, so a unit can be returned after the cluster was removed. Only retries write its shared
 * word. For budgets that are a share of outstanding calls, each worker counts these in a cache line
 * of its own.
 */
#pragma once

#include "mt_base.h"

enum mt_retry_bound {
	MT_RETRY_UNBOUNDED,
	MT_RETRY_BOUND_NUMBER, /* `n` retries */
	MT_RETRY_BOUND_SHARE,  /* `share` of the cluster's outstanding calls, but at least `n` */
};

/* Envoy's defaults. */
#define MT_RETRY_BUDGET_SHARE 2000u
#define MT_RETRY_BUDGET_LEAST 3u

struct mt_retry_budget {
	enum mt_retry_bound bound : 8;
	uint16_t share; /* hundredths of a percent */
	uint32_t n;
};

/* Outstanding calls of one worker. */
struct mt_budget_calls {
	uint32_t n mt_cache_aligned; /* worker: w, others: r */
};

struct mt_budget_account {
	uint32_t used;	/* units; atomic */
	uint32_t index; /* of its cluster */
	uint16_t workers;
	struct mt_budget_calls *calls; /* by worker; NULL: not counted, and taken as 0 */
};

/* Takes a unit; false: the limit is reached. Any worker. */
bool mt_budget_take(struct mt_budget_account *a, const struct mt_retry_budget *b);
/* Returns a unit. Any worker. */
void mt_budget_return(struct mt_budget_account *a);
/* Largest number of units at this moment; UINT32_MAX: no limit. Any thread. */
uint32_t mt_budget_limit(const struct mt_budget_account *a, const struct mt_retry_budget *b);

/* Adds to the outstanding calls of a worker, which alone calls this. `a` must count calls. */
static inline void mt_budget_count(struct mt_budget_account *a, uint16_t worker, int32_t more)
{
	uint32_t *n = &a->calls[worker].n;

	__atomic_store_n(n, *n + (uint32_t)more, __ATOMIC_RELAXED);
}
