/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that explain the handling of a message, override settings at run time, or go back. */
#include "explain.h"
#include "tune.h"

#define HOLDS                                                                                      \
	"It applies across reloads until it is dropped or the daemon ends; `tune keep` makes it "  \
	"apply across restarts. With version=N it is refused if an override changed after that "   \
	"version."

const struct mt_command mt_commands_tune[] = {
	{.words = "explain",
		.group = MT_GROUP_EXPLAIN,
		.args = "KEY=VALUE...",
		.settings = "protocol service method src principal sni listener",
		.help = "the handling of a message, without sending one",
		.more = "protocol=NAME service=NAME method=NAME src=ADDRESS principal=PRINCIPAL "
			"sni=NAME listener=ADDRESS:PORT, and KEY=VALUE for any other metadata of "
			"the message (.KEY=VALUE where KEY is one of these words). Give "
			"service, protocol or listener; without protocol it is that of the "
			"service. The answer names the listener, the result of "
			"each filter (no token is used), the route and why earlier ones do not "
			"match, and the share of each endpoint, with the line of the document that "
			"decides each.",
		.offer = mt_offer_said,
		.run = mt_run_explain},
	{.words = "tune weight",
		.group = MT_GROUP_CHANGE,
		.args = "ADDRESS:PORT WEIGHT [CLUSTER] [version=N]",
		.settings = "version",
		.help = "an endpoint's weight among its cluster's",
		.more = HOLDS,
		.names = {MT_NAMES_ENDPOINT, MT_NAMES_NONE, MT_NAMES_CLUSTER},
		.run = mt_run_tune},
	{.words = "tune split",
		.group = MT_GROUP_CHANGE,
		.args = "SERVICE ROUTE SUBSET=WEIGHT...",
		.settings = "version",
		.help = "shares of a route's calls by destination",
		.more = "Name each destination by its subset or its cluster; other destinations "
			"get nothing, and a name that is not a destination of the route is "
			"refused. " HOLDS,
		.names = {MT_NAMES_SERVICE, MT_NAMES_ROUTE},
		.run = mt_run_tune},
	{.words = "tune limit",
		.group = MT_GROUP_CHANGE,
		.args = "SERVICE:PORT SETTING...",
		.settings = "max per-fill fill report-only version",
		.help = "settings of a rate limit, or report-only mode",
		.more = "[CONDITION] as in `show limits` (none: the service's own bucket), then "
			"max=N, per-fill=N, fill=10s, report-only=on|off. A report-only limit "
			"refuses nothing and counts the calls that it would have refused (`show "
			"limits`: would_refuse). " HOLDS,
		.names = {MT_NAMES_LIMIT},
		.run = mt_run_tune},
	{.words = "tune fault",
		.group = MT_GROUP_CHANGE,
		.args = "SERVICE SETTING...",
		.settings = "delay delay-percent abort-percent version",
		.help = "fault injection: answer a share of a service's calls with an error, or "
			"delay it",
		.more = "delay=100ms delay-percent=5 abort-percent=5, to see how callers "
			"cope. " HOLDS,
		.names = {MT_NAMES_SERVICE},
		.run = mt_run_tune},
	{.words = "tune worker",
		.group = MT_GROUP_CHANGE,
		.args = "SETTING [version=N]",
		.settings = "idle burst coalesce sampling log-sample version",
		.help = "idle=poll|adaptive, burst=N (packets), coalesce=N (bytes), "
			"sampling=T|off, "
			"log-sample=PERCENT",
		.more = "sampling: at most one call in that time (1ms) becomes an exemplar of the "
			"latency histograms. log-sample: percentage of calls and opaque TCP "
			"connections that leave a line in access logs, instead of "
			"spec.accessLog.sample of the Node. " HOLDS,
		.run = mt_run_tune},
	{.words = "tune keep",
		.group = MT_GROUP_CHANGE,
		.args = "ID|all [version=N]",
		.settings = "version",
		.help = "make an override apply across restarts",
		.run = mt_run_tune_keep},
	{.words = "show overrides",
		.help = "run-time overrides: author, time, and if they have an effect",
		.run = mt_show_overrides},
	{.words = "tune drop",
		.group = MT_GROUP_RESCUE,
		.args = "ID|all [version=N]",
		.settings = "version",
		.help = "drop an override: documents apply again",
		.run = mt_run_tune_drop},
	{.words = "show history",
		.help = "earlier configurations: time, author, source, changes",
		.run = mt_show_history},
	{.words = "diff",
		.group = MT_GROUP_EXPLAIN,
		.args = "VERSION VERSION",
		.help = "objects and overrides that differ between two configurations",
		.more = "The content of documents is not shown, because it may contain secrets.",
		.names = {MT_NAMES_VERSION, MT_NAMES_VERSION},
		.run = mt_run_diff},
	{.words = "rollback",
		.group = MT_GROUP_RESCUE,
		.args = "VERSION",
		.help = "return to the documents and overrides of that version, until the next "
			"reload",
		.more = "Files on disk are not changed: the next reload applies them, and `show "
			"config` has a note until then. Resources of discovery servers are not "
			"affected.",
		.names = {MT_NAMES_VERSION},
		.run = mt_run_rollback},
	{.words = "commit confirm",
		.group = MT_GROUP_CHANGE,
		.args = "TIME",
		.help = "undo all changes from now on after TIME, unless `commit` is given",
		.run = mt_run_commit_confirm},
	{.words = "commit",
		.group = MT_GROUP_CHANGE,
		.help = "keep the active configuration",
		.run = mt_run_commit},
	{.words = "show coverage",
		.args = "[SERVICE]",
		.key = "service",
		.help = "services with and without limits, timeouts and circuit breakers",
		.names = {MT_NAMES_SERVICE},
		.run = mt_show_coverage},
	{0},
};
