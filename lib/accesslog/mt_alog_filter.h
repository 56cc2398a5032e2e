/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters of outputs: expressions in CEL over a record, with attributes as in Envoy
 * (attributes.def). The control thread compiles a filter, which is constant then. Each thread
 * evaluates it in memory of its own. Workers may evaluate a filter only if
 * mt_alog_filter_is_for_workers(), because matches() locks and allocates.
 */
#pragma once

#include "mt_alog_format.h"

/* Most instructions of CEL in a filter that workers evaluate: about 25 comparisons. */
#define MT_ALOG_WORKER_STEPS 128

struct mt_alog_filter;

/* Memory of a thread's evaluations, mt_alog_trial_size() bytes; needs no initialization. */
struct mt_alog_trial;
size_t mt_alog_trial_size(void);

/* Calls that leave no line, though they pass the filter. */
struct mt_alog_draw {
	uint32_t skips; /* of a million; 0: none */
	bool own; /* drawn for this output; false: a call's draw is that of all such outputs */
};

/* NULL: it cannot be used, and *e has the column and the reason. */
struct mt_alog_filter *mt_alog_filter_new(const char *text, struct mt_err *e);
void mt_alog_filter_free(struct mt_alog_filter *f);
/* Metadata i that the filter reads; NULL after the last one. */
const struct mt_alog_key *mt_alog_filter_key(const struct mt_alog_filter *f, uint32_t i);
/* False if it has matches() or string(), or more instructions than MT_ALOG_WORKER_STEPS. */
bool mt_alog_filter_is_for_workers(const struct mt_alog_filter *f);
/* True if the filter is true for the record. An error of the evaluation is false, as in Envoy. */
bool mt_alog_filter_passes(
	const struct mt_alog_filter *f, struct mt_alog_trial *t, const struct mt_alog_record *r);
