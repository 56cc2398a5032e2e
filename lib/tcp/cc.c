/* SPDX-License-Identifier: Apache-2.0 */
/* What the congestion controls share. */
#include "mt_mutant.h"
#include "mt_tcp_cc_priv.h"

/* Segments by which one ACK may open the window: receivers that merge segments acknowledge many at once. */
#define SLOW_START_L 8

uint32_t mt_cc_initial_window(uint32_t mss)
{
	if (mt_mutant(MT_BREAK_initial_window_large))
		return 40 * mss;
	return MT_MIN(10 * mss, MT_MAX(2 * mss, 14600u));
}

uint32_t mt_cc_slow_start(struct mt_tcp_cc *cc, uint32_t acked)
{
	uint32_t grow = MT_MIN(acked, SLOW_START_L * cc->mss);
	uint32_t room = cc->ssthresh - cc->cwnd;

	if (mt_mutant(MT_BREAK_growth_per_ack))
		grow = cc->mss;
	if (grow <= room) {
		cc->cwnd = MT_MIN(cc->cwnd + grow, MT_CC_CWND_MAX);
		return 0;
	}
	cc->cwnd = cc->ssthresh;
	return grow - room;
}
