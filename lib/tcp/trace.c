/* SPDX-License-Identifier: Apache-2.0 */
/* Processing of segments while tracing is on. */
#include "mt_tcp_priv.h"
#include "mt_trace.h"

#include <string.h>

mt_noinline void mt_tcp_trace_burst(struct mt_tcp *t, struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t before[MT_TCP_N_OUTCOMES];

	for (uint16_t i = 0; i < n; i++) {
		struct mt_trace_note *note = mt_trace_note_in(t->trace, pkts[i]);
		uint64_t began;

		if (note)
			mt_trace_note_tcp(t->trace, note);
		began = mt_trace_tsc();

		memcpy(before, t->counters, sizeof(before));
		mt_tcp_burst(t, &pkts[i], 1);
		if (!note)
			continue;
		note->tcp_cycles = (uint32_t)(mt_trace_tsc() - began);
		note->tcp = mt_trace_decided(&mt_tcp_outcomes, before, t->counters);
	}
}
