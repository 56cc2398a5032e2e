/* SPDX-License-Identifier: Apache-2.0 */
/* Which rate limits start and stop to refuse requests, for the log. Control thread only. */
#pragma once

#include "mt_filter_limit.h"

/* A bucket that has refused no request for this long has stopped to refuse. */
#define MT_LIMIT_QUIET (60 * MT_SEC)

/* A bucket started or stopped to refuse requests. */
struct mt_limit_edge {
	bool starts;
	uint64_t refused; /* since it started */
	uint64_t lasted;  /* ns, from the start to the last refusal; 0 if it starts */
};

typedef void mt_limit_edge_fn(
	void *arg, const struct mt_limit_info *info, const struct mt_limit_edge *edge);

/*
 * Call once a second. Calls fn for each bucket in use that refused a request after MT_LIMIT_QUIET
 * without any, and for each that has refused none for MT_LIMIT_QUIET. A change of a bucket's
 * numbers makes no difference. Returns the number of buckets that have started and not stopped.
 */
uint32_t mt_limit_watch(struct mt_limit_registry *r, uint64_t now, mt_limit_edge_fn *fn, void *arg);
