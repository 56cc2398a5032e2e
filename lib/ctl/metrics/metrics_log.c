/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of the access log: lines by file or descriptor, over all outputs that write there. */
#include "mt_alog.h"
#include "mt_ctl_metrics_priv.h"

#include <stdio.h>

static void collect_written(struct mt_collect *k)
{
	const struct mt_alog *log = k->c->env.log;
	struct mt_alog_total t;

	for (uint32_t i = 0; log && mt_alog_total(log, i, &t); i++)
		mt_emit(k, t.written, {"sink", t.path});
}

/* The reasons are those of `show telemetry`, which has them as columns lost_REASON. */
static void collect_lost(struct mt_collect *k)
{
	const struct mt_alog *log = k->c->env.log;
	struct mt_alog_total t;

	for (uint32_t i = 0; log && mt_alog_total(log, i, &t); i++) {
		mt_emit(k, t.lost_ring, {"sink", t.path}, {"reason", "ring"});
		for (enum mt_alog_state s = 0; s < MT_ALOG_STATES; s++)
			mt_emit(k, t.lost[s], {"sink", t.path}, {"reason", mt_alog_lost_name(s)});
	}
}

const struct mt_family_row mt_families_log[] = {
	{"meltemi_access_log_written_total", MT_COUNTER, "lines", "sink",
		"lines written to a file, `/dev/stdout` or `/dev/stderr`, or taken by the "
		"collector of a provider; beyond 63 of them `other` counts the rest",
		collect_written, 0},
	{"meltemi_access_log_lost_total", MT_COUNTER, "lines", "sink, reason",
		"lines that were not written: `ring`: the thread that renders lines was too slow; "
		"`busy`: lines came faster than they were written; `not_open`, `no_space`, "
		"`stalled`, `closed`, `failed`: the file or descriptor could not be written; "
		"`unreachable`, `unavailable`, `late`: the collector did not take them in time; "
		"`refused`, `rejected`, `bad_answer`: its answer to them; "
		"`stopped`: the output ended first",
		collect_lost, 0},
	{0},
};
