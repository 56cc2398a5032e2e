/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata values that a worker keeps of a call until its entry is written: those that outputs
 * name (mt_alog_names.h), one after another in a block of bytes. Each has its name, so that a block
 * has a meaning whatever the outputs are when the call ends.
 */
#pragma once

#include "mt_alog_record.h"
#include "mt_span.h"

#define MT_ALOG_KEPT	    1024 /* most bytes of a call's block: its values with their names */
#define MT_ALOG_KEPT_VALUES 64	 /* most values of a call */

/* Appends a value. False: it does not fit, and nothing is changed. */
bool mt_alog_keep(uint8_t block[MT_ALOG_KEPT], uint16_t *used, enum mt_alog_from from,
	struct mt_slice name, struct mt_slice value);

/*
 * Reads a block of `len` bytes. The texts stay in the block. Returns the number of values; what is
 * not a whole value is left out.
 */
uint32_t mt_alog_kept(
	const uint8_t *block, uint32_t len, struct mt_alog_named to[MT_ALOG_KEPT_VALUES]);

/* Finds the trace that metadata of a request name (mt_span_find()). */
bool mt_alog_trace(const struct mt_alog_named *named, uint32_t n, struct mt_span *span);
