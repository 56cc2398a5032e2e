/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that show load and remaining capacity. */
#include "mt_ctl_priv.h"

const struct mt_command mt_commands_load[] = {
	{.words = "show node",
		.help = "the node in one screen: ports, workers, load, connections, requests",
		.run = mt_show_node},
	{.words = "show topology",
		.args = "[SERVICE]",
		.columns = "service listener protocol requests ok local_replies limited "
			   "timeouts p99_us clusters_left_out cluster endpoint health "
			   "failures connections outstanding waiting oldest_call_ms mode state "
			   "flows_made packets bytes refused",
		.help = "the services that fail or are busy, with the clusters and endpoints of "
			"their calls, and forwarded ports",
		.more = "At most 30 services with the word in their name, at most 8 clusters of "
			"each and 8 endpoints of each cluster: first those with failures in the "
			"last seconds, then the busiest. At most 30 ports that are forwarded at "
			"layer 4: first those that forward nothing, then those with the most "
			"packets. The built-in page draws these.",
		.names = {MT_NAMES_SERVICE},
		.run = mt_show_topology},
	{.words = "show stages",
		.help = "cycles of the workers by stage, per packet and per request",
		.more = "Cycles of the time stamp counter since the start, in loop iterations that "
			"found work; idle iterations do not count. Per packet and per request the "
			"stage's cycles (work_cycles: of all stages) are divided by all packets or "
			"requests that the worker received. packets_per_busy_loop is the mean "
			"number of packets in an iteration that found work.",
		.run = mt_show_stages},
	{.words = "show offloads",
		.args = "[PORT]",
		.key = "port",
		.help = "offloads of each port's device, and what workers do without them",
		.names = {MT_NAMES_PORT},
		.run = mt_show_offloads},
	{.words = "show tables",
		.help = "tables and pools of each worker: in use, maximum since the start, size",
		.run = mt_show_tables},
	{.words = "show talkers",
		.help = "hosts by the bytes of their connections, largest first",
		.more = "Of the current connections, the 512 with the most bytes; looked_at is "
			"their number.",
		.run = mt_show_talkers},
	{.words = "show outliers",
		.args = "[CLUSTER]",
		.key = "cluster",
		.columns = "when cluster endpoint what rule why times for_ms now left_ms",
		.help = "endpoints that were ejected or left: when, why, for how long",
		.more = "The newest first: an endpoint whose connections failed as often as its "
			"cluster's rule allows, and one that said that it is about to stop. At "
			"most 32 of each cluster and 1024 in all are kept; the endpoint's state "
			"now "
			"is in `show endpoints`.",
		.names = {MT_NAMES_CLUSTER},
		.run = mt_show_outliers},
	{.words = "show capacity",
		.help = "remaining capacity of each worker, and the limit that it will reach first",
		.more = "busy_percent is the share of the last minute (of_last_s) in loop "
			"iterations that found work; fullest_percent is the maximum use of the "
			"fullest table since the start. The larger one is the limit that the "
			"worker will reach first; remedy names the setting that raises it.",
		.run = mt_show_capacity},
	{0},
};
