/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/accesslog: filters. filter.c evaluates them, also on workers; filter_new.c compiles
 * them on the control thread.
 */
#pragma once

#include "mt_alog_filter.h"
#include "mt_cel.h"

#define MT_ALOG_FILTER_KEYS 64 /* uses of metadata */

struct mt_alog_filter {
	struct mt_cel *cel;
	struct mt_alog_key keys[MT_ALOG_FILTER_KEYS];
	uint32_t n_keys;
};

/* Their functions get a struct mt_alog_trial. */
extern const struct mt_cel_attributes mt_alog_attributes;

/* Sets *from if attribute i is metadata. */
bool mt_alog_is_metadata(uint32_t i, enum mt_alog_from *from);
