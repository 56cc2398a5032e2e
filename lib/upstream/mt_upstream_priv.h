/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/upstream: the two parts of the registry, warm-up and panic. */
#pragma once

#include "mt_upstream.h"

/* registry.c: endpoint states. */
struct mt_ep_index {
	struct mt_ep_state **blocks; /* by index / 1,024; a block never moves */
	uint32_t *slots;	     /* by identity; power of two */
	uint32_t n, n_slots;
	uint32_t n_idle; /* without references */
	uint32_t idle_head,
		idle_tail; /* queue of index + 1; states that are referenced again are skipped */
};

struct mt_cluster_entry {
	uint64_t id;
	char *name;
	uint32_t index, refs;
	uint64_t idle_since;
	struct mt_cluster_entry *next_idle;
	bool queued;
	struct mt_demand demand;
	struct mt_budget_account *budget; /* of its index: kept for the next name; NULL: none yet */
};

/* clusters.c: cluster indexes. */
struct mt_cluster_index {
	struct mt_cluster_entry **by_index;
	uint32_t n, cap;
	struct mt_cluster_entry **slots; /* power of two; NULL: free */
	uint32_t n_slots;
	struct mt_cluster_entry *idle_head, *idle_tail;
};

struct mt_upstream_registry {
	struct mt_ep_index eps;
	struct mt_cluster_index clusters;
	uint64_t demands; /* mt_demand.serial */
};

void mt_cluster_index_fini(struct mt_cluster_index *x);

/* True if no call may be sent to endpoint i, because no route leads to it, but to others. */
static inline bool mt_cluster_skips(const struct mt_cluster *c, uint32_t i)
{
	return c->skips_unreached && c->eps[i].drain == MT_EP_DRAIN_NO_ROUTE;
}

/*
 * careful.c: true if endpoint i, in a cluster with a warm-up, is warm enough for the random `rnd`.
 */
bool mt_endpoint_warm(const struct mt_cluster *c, uint32_t i, uint64_t rnd, uint64_t now);
/*
 * careful.c: true if less than min_health percent of the endpoints of `c` are in rotation, of those
 * that are reached, and all levels of `top` together cannot take the load. Computed once a
 * millisecond.
 */
bool mt_cluster_panics(const struct mt_cluster *c, const struct mt_cluster *top,
	struct mt_lb_worker *w, uint64_t now);
