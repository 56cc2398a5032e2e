/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that show load and remaining capacity. */
#include "mt_ctl_priv.h"

const struct mt_command mt_commands_load[] = {
	{.words = "show node",
		.args = "",
		.help = "the node in one screen: ports, workers, load, connections, requests",
		.run = mt_show_node},
	{.words = "show topology",
		.args = "[SERVICE]",
		.help = "the services that fail or are busy, with where their calls go",
		.more = "At most 30 services whose names hold the word, at most 8 clusters of each "
			"and 8 "
			"endpoints of each cluster: first those that failed in the last seconds, "
			"then "
			"the busiest ones. What the built-in page draws.",
		.names = {MT_NAMES_SERVICE},
		.run = mt_show_topology},
	{.words = "show stages",
		.args = "[TEXT]",
		.help = "where workers' cycles go: by stage, by packet, by request",
		.more = "Cycles are those of the time stamp counter, since the start, of turns "
			"that found something to do; the others only look and do not count. Per "
			"packet and per request the stage's cycles (work_cycles: all stages') are "
			"divided by all that the worker received. packets_per_busy_turn is the "
			"mean size of what one turn found.",
		.run = mt_show_stages},
	{.words = "show offloads",
		.args = "[TEXT]",
		.help = "what each port's device does itself, and who does it otherwise",
		.names = {MT_NAMES_PORT},
		.run = mt_show_offloads},
	{.words = "show tables",
		.args = "[TEXT]",
		.help = "tables and pools of each worker: in use, the most ever, size",
		.run = mt_show_tables},
	{.words = "show talkers",
		.args = "[TEXT]",
		.help = "hosts by the bytes of their connections, largest first",
		.more = "Of connections that are there now, the 512 that moved most; looked_at "
			"says "
			"how many of them.",
		.run = mt_show_talkers},
	{.words = "show outliers",
		.args = "[TEXT]",
		.help = "endpoints that were ejected or left: when, why, for how long",
		.more = "The newest first: an endpoint whose connections failed as often as its "
			"cluster's rule allows, and one that said that it is about to stop. At "
			"most 32 of each cluster and 1024 in all are kept; the endpoint's state "
			"now "
			"is in `show clusters`.",
		.names = {MT_NAMES_CLUSTER},
		.run = mt_show_outliers},
	{.words = "show capacity",
		.args = "",
		.help = "what each worker has left, and the limit that it meets first",
		.more = "busy_percent is the share of the last minute (of_last_s) in turns that "
			"found work; "
			"fullest_percent that of the fullest table at its fullest since the start. "
			"What "
			"is larger is the limit that the worker meets first; remedy names the "
			"setting that gives more of it.",
		.run = mt_show_capacity},
	{0},
};
