/* SPDX-License-Identifier: Apache-2.0 */
/* Portions of services' calls, by workloads: finds and reads them. */
#include "mt_portion.h"

#include <string.h>

_Static_assert(MT_PORTIONS % MT_PORTION_WAYS == 0, "places of a key");
_Static_assert(sizeof(struct mt_portion) % sizeof(uint64_t) == 0, "counters only");

/*
 * Meanwhile the key is 0, so that a reader takes the counters for those of neither. An unused
 * portion is not written, because most of the table's memory was never touched.
 */
static struct mt_portion *begin(
	struct mt_portion *p, uint64_t service, uint64_t workload, uint64_t caller)
{
	if (p->key) {
		__atomic_store_n(&p->key, 0, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_RELEASE);
		memset(&p->stats, 0, sizeof(p->stats));
		memset(&p->hist, 0, sizeof(p->hist));
	}
	p->service = service;
	p->workload = workload;
	p->caller = caller;
	__atomic_store_n(&p->key, mt_portion_key(service, workload, caller), __ATOMIC_RELEASE);
	return p;
}

/* The place for a new key: its first one, another free one, or the one unused for longest. */
static struct mt_portion *place(struct mt_portion *ways, struct mt_portion *first, uint64_t now)
{
	struct mt_portion *oldest = first;

	if (!first->key)
		return first;
	for (uint32_t i = 0; i < MT_PORTION_WAYS; i++) {
		if (!ways[i].key)
			return &ways[i];
		if (ways[i].used < oldest->used)
			oldest = &ways[i];
	}
	return now - oldest->used >= MT_PORTION_STALE ? oldest : NULL;
}

mt_noinline struct mt_portion *mt_portion_search(struct mt_portion *table, uint64_t service,
	uint64_t workload, uint64_t caller, uint64_t now)
{
	uint64_t key = mt_portion_key(service, workload, caller);
	uint32_t at = (uint32_t)(key % MT_PORTIONS);
	struct mt_portion *ways = &table[at - at % MT_PORTION_WAYS], *p;

	for (uint32_t i = 0; i < MT_PORTION_WAYS; i++)
		if (ways[i].key == key)
			return &ways[i];
	p = place(ways, &table[at], now);
	return p ? begin(p, service, workload, caller) : &table[MT_PORTIONS];
}

bool mt_portion_read(const struct mt_portion *p, uint64_t key, struct mt_portion *to)
{
	if (__atomic_load_n(&p->key, __ATOMIC_ACQUIRE) != key)
		return false;
	to->key = key;
	to->service = mt_count_read(&p->service);
	to->workload = mt_count_read(&p->workload);
	to->caller = mt_count_read(&p->caller);
	to->used = 0;
	for (size_t i = offsetof(struct mt_portion, stats) / sizeof(uint64_t);
		i < sizeof(*p) / sizeof(uint64_t); i++)
		((uint64_t *)to)[i] = mt_count_read(&((const uint64_t *)p)[i]);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&p->key, __ATOMIC_RELAXED) == key;
}
