/* SPDX-License-Identifier: Apache-2.0 */
/* A compiled local rate limit. */
#pragma once

#include "../mt_filter_priv.h"

struct mt_limit {
	struct mt_limit_registry *registry;
	struct mt_bucket *own;	      /* NULL: requests without a matching condition pass */
	struct mt_route_table *conds; /* the route at place i selects buckets[i]; NULL: none */
	struct mt_bucket **buckets;
	uint32_t *lines; /* lines of the conditions in their file */
	uint32_t n;
};

void mt_limit_free(void *conf);
