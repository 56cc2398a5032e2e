/* SPDX-License-Identifier: Apache-2.0 */
/* Retry budgets (mt_retry_budget.h); their accounts are in the registry (clusters.c). */
#include "mt_retry_budget.h"

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
