/* SPDX-License-Identifier: Apache-2.0 */
/* A compiled local rate limit. */
#pragma once

#include "../mt_filter_priv.h"

struct mt_limit {
	struct mt_limit_registry *registry;
	struct mt_bucket *own;	      /* NULL: without a matching condition requests pass */
	struct mt_route_table *conds; /* place i decides by buckets[i]; NULL: none */
	struct mt_bucket **buckets;
	uint32_t *lines; /* of the conditions, in their file */
	uint32_t n;
};

void mt_limit_free(void *conf);
