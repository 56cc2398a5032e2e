/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters of outputs: expressions in CEL over a record, with attributes as in Envoy
 * (attributes.def). The control thread compiles a filter, and then one thread uses it, because it
 * has the memory of an evaluation and because matches() locks and allocates.
 */
#pragma once

#include "mt_alog_format.h"

struct mt_alog_filter;

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
/* True if the filter is true for the record. An error of the evaluation is false, as in Envoy. */
bool mt_alog_filter_passes(struct mt_alog_filter *f, const struct mt_alog_record *r);
