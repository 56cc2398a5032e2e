/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/accesslog: sieves. sieve.c uses them, also on workers; sieve_new.c makes them. */
#pragma once

#include "mt_alog_sieve.h"

_Static_assert(MT_ALOG_OUTPUTS <= 16, "a bit of mt_alog_verdict for each");

struct mt_alog_sieve {
	uint32_t n, n_filters;
	uint32_t open; /* outputs without a filter for workers, as bits */
	struct mt_alog_sift outputs[MT_ALOG_OUTPUTS]; /* without texts */
	uint8_t filter_of[MT_ALOG_OUTPUTS];	      /* index in `filters`, unless it is open */
	/* Each text is there once. */
	struct {
		uint64_t id;
		struct mt_alog_filter *filter;
	} filters[MT_ALOG_OUTPUTS];
};
