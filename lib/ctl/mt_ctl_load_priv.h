/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/ctl: load of workers and use of their tables, for commands, `show health`, metrics. */
#pragma once

#include "mt_ctl_priv.h"

/*
 * Use of a table, or of a pool of packet buffers, of one worker. The neighbour table is that of
 * worker 0, which owns it.
 */
struct mt_table_use {
	const char *table, *setting; /* its name; field of the Node that enlarges it */
	uint16_t worker;
	uint64_t in_use, peak, size; /* peak: since start */
};

/* Percents; 0 of nothing. */
static inline double mt_ctl_percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

#define MT_TABLE_USES 40 /* at most, of one worker */

/* Writes at most `max` rows; returns their number. */
uint32_t mt_table_uses(const struct mt_ctl *c, uint16_t w, struct mt_table_use *uses, uint32_t max);

/*
 * Share (0 to 1) of the last minute that worker `w` spent in busy loop iterations; *run_ns: actual
 * length of that period.
 */
double mt_worker_busy(const struct mt_ctl *c, uint16_t w, uint64_t *run_ns);
