/* SPDX-License-Identifier: Apache-2.0 */
/* Retry budgets (mt_retry_budget.h), and their accounts in the registry. */
#include "mt_upstream_priv.h"

#define WHOLE 10000u /* mt_retry_budget.share */

static uint64_t outstanding(const struct mt_budget_account *a)
{
	uint64_t n = 0;

	for (uint16_t w = 0; a->calls && w < a->workers; w++)
		n += __atomic_load_n(&a->calls[w].n, __ATOMIC_RELAXED);
	return n;
}

uint32_t mt_budget_limit(const struct mt_budget_account *a, const struct mt_retry_budget *b)
{
	switch (b->bound) {
	case MT_RETRY_BOUND_NUMBER:
		return b->n;
	case MT_RETRY_BOUND_SHARE:
		return (uint32_t)MT_MAX(
			MT_MIN(outstanding(a) * b->share / WHOLE, (uint64_t)UINT32_MAX - 1),
			(uint64_t)b->n);
	case MT_RETRY_UNBOUNDED:
		break;
	}
	return UINT32_MAX;
}

bool mt_budget_take(struct mt_budget_account *a, const struct mt_retry_budget *b)
{
	uint32_t used = __atomic_load_n(&a->used, __ATOMIC_RELAXED);
	uint32_t limit = mt_budget_limit(a, b);

	while (used < limit)
		if (__atomic_compare_exchange_n(
			    &a->used, &used, used + 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	return false;
}

void mt_budget_return(struct mt_budget_account *a)
{
	uint32_t used = __atomic_fetch_sub(&a->used, 1, __ATOMIC_RELAXED);

	MT_ASSERT(used > 0);
}

static int count_calls(struct mt_budget_account *a)
{
	size_t size = sizeof(*a->calls) * a->workers;
	struct mt_budget_calls *calls = aligned_alloc(MT_CACHE_LINE, size);

	if (!calls)
		return -1;
	for (uint16_t w = 0; w < a->workers; w++)
		calls[w].n = 0;
	/* Workers count calls of clusters of later snapshots only. */
	__atomic_store_n(&a->calls, calls, __ATOMIC_RELEASE);
	return 0;
}

struct mt_budget_account *mt_upstream_budget(
	struct mt_upstream_registry *r, uint32_t index, uint16_t workers, bool counts)
{
	struct mt_cluster_entry *e = r->clusters.by_index[index];

	if (!e->budget) {
		e->budget = calloc(1, sizeof(*e->budget));
		if (!e->budget)
			return NULL;
		e->budget->index = index;
		e->budget->workers = workers;
	}
	return counts && !e->budget->calls && count_calls(e->budget) ? NULL : e->budget;
}

struct mt_budget_account *mt_upstream_budget_at(
	const struct mt_upstream_registry *r, uint32_t index)
{
	return index < r->clusters.n ? r->clusters.by_index[index]->budget : NULL;
}

void mt_budget_free(struct mt_budget_account *a)
{
	if (!a)
		return;
	free(a->calls);
	free(a);
}
