/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults on purpose: a share of a service's requests is answered by an error, or held back for a while before it goes
 * on. An operator sets it at run time to see how callers cope; no document does.
 */
#pragma once

#include "mt_filter.h"

#define MT_FAULT_DELAY_MAX_MS 60000u
#define MT_FAULT_ALL	      1000000u /* of a million: every request */

struct mt_fault_conf {
	uint32_t delay_ms;
	uint32_t delay_ppm, abort_ppm; /* of a million requests */
};

/* The conf of a filter of type "fault"; NULL: no memory. */
void *mt_fault_compile(const struct mt_fault_conf *c);
