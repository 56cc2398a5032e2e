/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Portions: calls of a service by one workload that ended at one workload, for metrics by workload.
 * Each worker has a table of them, in reserved address space. The worker writes, the control thread
 * reads.
 *
 * Invariants:
 * - Every call that is counted for a service is counted in one portion, when it ends. Its workload
 *   is that of the endpoint that was picked last, as it was known then; 0: unknown, or none. Its
 *   caller is the client's workload, as it was known when the call began; 0: unknown.
 * - A portion belongs to the service and workloads in it, identified by keyed hashes of host and
 *   port and of all labels. So a service or workload never gets the calls of another one, even if
 *   it gets its index, endpoint or address.
 * - A key has MT_PORTION_WAYS places. If others have them all, it takes over one that had no call
 *   for MT_PORTION_STALE, and starts at 0; otherwise its calls go to the last portion, that of all
 *   others, which only grows.
 */
#pragma once

#include "mt_proxy_stats.h"

#define MT_PORTION_WAYS	 8u
#define MT_PORTIONS	 2048u /* and that of all others after them */
#define MT_PORTION_STALE (3600 * MT_SEC)

struct mt_portion {
	uint64_t key;		    /* mt_portion_key(); 0: free, or of all others */
	uint64_t service, workload; /* mt_service.id, mt_peer_id() */
	uint64_t caller;	    /* mt_peer_id() */
	uint64_t used;		    /* ns: its last call */
	/*
	 * Of ended calls: requests, the ways to end, bytes and latency; opened, closed, limited and
	 * timeouts are not counted.
	 */
	struct mt_service_stats stats;
	struct mt_service_hist hist;
};

static inline uint64_t mt_portion_key(uint64_t service, uint64_t workload, uint64_t caller)
{
	uint64_t key = service ^ (workload << 32 | workload >> 32) ^ (caller << 17 | caller >> 47);

	return mt_likely(key) ? key : 1;
}

/* mt_portion_of() if the portion is not at the first place of its key. */
struct mt_portion *mt_portion_search(struct mt_portion *table, uint64_t service, uint64_t workload,
	uint64_t caller, uint64_t now);

/* The portion in which an ended call counts. Worker. */
static inline struct mt_portion *mt_portion_of(struct mt_portion *table, uint64_t service,
	uint64_t workload, uint64_t caller, uint64_t now)
{
	uint64_t key = mt_portion_key(service, workload, caller);
	struct mt_portion *p = &table[key % MT_PORTIONS];

	if (mt_unlikely(p->key != key))
		p = mt_portion_search(table, service, workload, caller, now);
	p->used = now;
	return p;
}

/*
 * Copies a portion, except for `used`. False: it has no longer this key, or is being cleared. Key 0
 * is that of all others. Any thread.
 */
bool mt_portion_read(const struct mt_portion *p, uint64_t key, struct mt_portion *to);
/* MT_PORTIONS + 1 portions. Any thread. */
const struct mt_portion *mt_proxy_portions(const struct mt_proxy *p);
