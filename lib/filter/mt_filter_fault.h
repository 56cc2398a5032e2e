/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fault injection: answers a share of a service's requests by an error, or delays them. Set by an
 * operator at run time to see how callers react; no document can configure it.
 */
#pragma once

#include "mt_filter.h"

extern const struct mt_filter mt_filter_fault;

#define MT_FAULT_DELAY_MAX_MS 60000u
#define MT_FAULT_ALL	      1000000u /* parts per million: every request */

struct mt_fault_conf {
	uint32_t delay_ms;
	/* parts per million: abort_ppm of all requests, delay_ppm of the others */
	uint32_t delay_ppm, abort_ppm;
};

/* The conf of a filter of type "fault"; NULL: no memory. */
void *mt_fault_compile(const struct mt_fault_conf *c);
