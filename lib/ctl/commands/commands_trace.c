/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that trace packets and exchanges. */
#include "mt_ctl_trace_priv.h"

const struct mt_command mt_commands_trace[] = {
	{.words = "trace start",
		.args = "[EXPRESSION...]",
		.help = "follow what the expression chooses through every stage",
		.more = "trace start [exchanges|packets|connection] EXPRESSION [count N]\n"
			"\n"
			"The next N (10, at most 256) exchanges, or single packets, that the "
			"expression "
			"chooses are recorded with what each stage decided and why, and the cycles "
			"it "
			"took. Without an expression the next ones. It ends by itself after N, or "
			"after "
			"ten minutes; `trace show` shows what there is. An expression is "
			"conditions side "
			"by side, such as `service=*.Demo method=sayHello src=10.0.0.0/8 "
			"status!=ok`, "
			"with `or`, `not` and parentheses; `*` stands for any text; times have a "
			"unit "
			"(took>20ms).\n\n"
			"`connection` follows the first connection that the expression chooses "
			"(src, dst, host, sport, dport, port): each of its packets and calls, "
			"until it ends or there are N (256) of them.",
		.role = MT_ROLE_OPERATE,
		.offer = mt_trace_offer,
		.run = mt_trace_start},
	{.words = "trace show",
		.args = "[from] [N]",
		.help = "what was traced, step by step",
		.more = "Each step says when it happened since the journey's begin, the cycles "
			"that it "
			"took, the room and what was decided there. `from N` leaves out the first "
			"N "
			"journeys; `meltemi trace show --follow` shows them as they come.",
		.run = mt_trace_show},
	{.words = "trace stop",
		.args = "",
		.help = "end the trace; what was kept can still be shown",
		.role = MT_ROLE_OPERATE,
		.run = mt_trace_stop},
	{0},
};
