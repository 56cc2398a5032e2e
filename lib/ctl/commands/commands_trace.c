/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that trace packets and exchanges. */
#include "mt_ctl_trace_priv.h"

const struct mt_command mt_commands_trace[] = {
	{.words = "trace start",
		.group = MT_GROUP_EXPLAIN,
		.args = "[EXPRESSION...]",
		.help = "record the matching exchanges or packets in every stage",
		.more = "trace start [exchanges|packets|connection] EXPRESSION [count "
			"N]\n\nRecords the next N (10, at most 256) exchanges, or single packets, "
			"that match the expression, with the decision of each stage, its reason "
			"and its cycles. Without an expression all match. The trace ends by itself "
			"after N, or after ten minutes; `trace show` shows the records. An "
			"expression is a list of conditions, such as `service=*.Demo "
			"method=sayHello src=10.0.0.0/8 status!=ok`, with `or`, `not` and "
			"parentheses; `*` stands for any text; times have a unit "
			"(took>20ms).\n\n`connection` follows the first connection that matches "
			"the expression (src, dst, host, sport, dport, port): each of its packets "
			"and calls, until it ends or there are N (256) of them.",
		.operate = true,
		.offer = mt_trace_offer,
		.run = mt_trace_start},
	{.words = "trace show",
		.group = MT_GROUP_EXPLAIN,
		.args = "[from] [N]",
		.help = "recorded traces, step by step",
		.more = "Each step has its time since the start of its trace, its cycles, the "
			"library and the decision. `from N` skips the first N traces; `meltemi "
			"trace show --follow` shows them as they arrive.",
		.run = mt_trace_show},
	{.words = "trace stop",
		.group = MT_GROUP_EXPLAIN,
		.help = "end the trace; its records can still be shown",
		.operate = true,
		.run = mt_trace_stop},
	{0},
};
