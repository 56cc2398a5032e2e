/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals of rate limits that have no buckets, by rule: for metrics. A count is identified by the
 * limited service and the rule in words. All compiled limits of this identity share it, so that it
 * continues over reloads; it is freed with the last of them. Workers count in cache lines of their
 * own.
 */
#pragma once

#include "mt_outcome.h"

struct mt_tally_registry;

/* One worker's part of a count. */
struct mt_tally_share {
	uint64_t refused;
} mt_cache_aligned;

struct mt_tally {
	/* Control thread only. */
	char *service, *rule;
	uint32_t refs;
	uint16_t workers;
	struct mt_tally_registry *registry;
	struct mt_tally *chain, *prev, *next; /* in the registry: of the same hash; of all */
	struct mt_tally_share shares[];	      /* by worker */
};

/* Control thread only, as all functions but mt_tally_refused(). NULL: no memory. */
struct mt_tally_registry *mt_tally_registry_new(uint16_t workers);
/* Call when no worker runs and all counts are dropped. NULL is allowed. */
void mt_tally_registry_free(struct mt_tally_registry *r);

/* A reference to the count of this identity. NULL: no memory. */
struct mt_tally *mt_tally_hold(struct mt_tally_registry *r, const char *service, const char *rule);
/* NULL is allowed. */
void mt_tally_drop(struct mt_tally *t);

/* Worker: counts a refusal. NULL: nothing counts. */
static inline void mt_tally_refused(struct mt_tally *t, uint16_t worker)
{
	if (t)
		mt_count(&t->shares[worker].refused, 0);
}

/* Iterates over all counts: starts with NULL; NULL after the last. */
const struct mt_tally *mt_tally_next(const struct mt_tally_registry *r, const struct mt_tally *t);
/* Sum of all workers since the count exists. */
uint64_t mt_tally_sum(const struct mt_tally *t);
