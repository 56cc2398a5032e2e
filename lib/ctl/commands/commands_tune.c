/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that explain the handling of a message, override settings at run time, or go back. */
#include "explain.h"
#include "tune.h"

static json_t *tune_drain(struct mt_ctl *c, const struct mt_request *r)
{
	return mt_run_tune(c, r, "drain");
}

static json_t *tune_weight(struct mt_ctl *c, const struct mt_request *r)
{
	return mt_run_tune(c, r, "weight");
}

static json_t *tune_split(struct mt_ctl *c, const struct mt_request *r)
{
	return mt_run_tune(c, r, "split");
}

static json_t *tune_limit(struct mt_ctl *c, const struct mt_request *r)
{
	return mt_run_tune(c, r, "limit");
}

static json_t *tune_fault(struct mt_ctl *c, const struct mt_request *r)
{
	return mt_run_tune(c, r, "fault");
}

static json_t *tune_worker(struct mt_ctl *c, const struct mt_request *r)
{
	return mt_run_tune(c, r, "worker");
}

#define HOLDS                                                                                      \
	"It applies across reloads until it is dropped or the daemon ends; `tune keep` makes it "  \
	"apply across restarts. With version=N it is refused if an override changed after that "   \
	"version."

const struct mt_command mt_commands_tune[] = {
	{.words = "explain",
		.group = MT_GROUP_EXPLAIN,
		.args = "KEY=VALUE...",
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
	{.words = "tune drain",
		.group = MT_GROUP_CHANGE,
		.args = "ADDRESS:PORT [CLUSTER] [version=N]",
		.help = "an endpoint gets no new calls; `tune drop` brings it back",
		.more = "Refused for the only endpoint of a cluster that is not drained, because "
			"it would continue to get the calls. If the endpoint is in several "
			"clusters, it may be the only one in some of them, and a note names "
			"these. " HOLDS,
		.role = MT_ROLE_OPERATE,
		.names = {MT_NAMES_ENDPOINT, MT_NAMES_CLUSTER},
		.run = tune_drain},
	{.words = "tune weight",
		.group = MT_GROUP_CHANGE,
		.args = "ADDRESS:PORT WEIGHT [CLUSTER] [version=N]",
		.help = "an endpoint's weight among its cluster's",
		.more = HOLDS,
		.role = MT_ROLE_OPERATE,
		.names = {MT_NAMES_ENDPOINT, MT_NAMES_NONE, MT_NAMES_CLUSTER},
		.run = tune_weight},
	{.words = "tune split",
		.group = MT_GROUP_CHANGE,
		.args = "SERVICE ROUTE SUBSET=WEIGHT...",
		.help = "shares of a route's calls by destination",
		.more = "Name each destination by its subset or its cluster; other destinations "
			"get nothing, and a name that is not a destination of the route is "
			"refused. " HOLDS,
		.role = MT_ROLE_OPERATE,
		.names = {MT_NAMES_SERVICE, MT_NAMES_ROUTE},
		.run = tune_split},
	{.words = "tune limit",
		.group = MT_GROUP_CHANGE,
		.args = "SERVICE:PORT SETTING...",
		.help = "settings of a rate limit, or report-only mode",
		.more = "[CONDITION] as in `show limits` (none: the service's own bucket), then "
			"max=N, per-fill=N, fill=10s, report-only=on|off. A report-only limit "
			"refuses nothing and counts the calls that it would have refused (`show "
			"limits`: would_refuse). " HOLDS,
		.role = MT_ROLE_OPERATE,
		.names = {MT_NAMES_LIMIT},
		.run = tune_limit},
	{.words = "tune fault",
		.group = MT_GROUP_CHANGE,
		.args = "SERVICE SETTING...",
		.help = "fault injection: answer a share of a service's calls with an error, or "
			"delay it",
		.more = "delay=100ms delay-percent=5 abort-percent=5, to see how callers "
			"cope. " HOLDS,
		.role = MT_ROLE_OPERATE,
		.names = {MT_NAMES_SERVICE},
		.run = tune_fault},
	{.words = "tune worker",
		.group = MT_GROUP_CHANGE,
		.args = "SETTING [version=N]",
		.help = "idle=poll|adaptive, burst=N (packets), coalesce=N (bytes), sampling=T|off",
		.more = "sampling: at most one call in that time (1ms) becomes an exemplar of the "
			"latency histograms. " HOLDS,
		.role = MT_ROLE_OPERATE,
		.run = tune_worker},
	{.words = "tune keep",
		.group = MT_GROUP_CHANGE,
		.args = "ID|all [version=N]",
		.help = "make an override apply across restarts",
		.role = MT_ROLE_OPERATE,
		.run = mt_run_tune_keep},
	{.words = "show overrides",
		.args = "[TEXT]",
		.help = "run-time overrides: author, time, and if they have an effect",
		.run = mt_show_overrides},
	{.words = "tune drop",
		.group = MT_GROUP_RESCUE,
		.args = "ID|all [version=N]",
		.help = "drop an override: documents apply again",
		.role = MT_ROLE_OPERATE,
		.run = mt_run_tune_drop},
	{.words = "show history",
		.args = "[TEXT]",
		.help = "earlier configurations: time, author, source, changes",
		.run = mt_show_history},
	{.words = "diff",
		.group = MT_GROUP_EXPLAIN,
		.args = "VERSION VERSION",
		.help = "differences between two configurations, line by line",
		.more = "Documents are shown unchanged, with their secrets, which operators may "
			"read.",
		.role = MT_ROLE_OPERATE,
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
		.role = MT_ROLE_OPERATE,
		.names = {MT_NAMES_VERSION},
		.run = mt_run_rollback},
	{.words = "commit confirm",
		.group = MT_GROUP_CHANGE,
		.args = "TIME",
		.help = "undo all changes from now on after TIME, unless `commit` is given",
		.role = MT_ROLE_OPERATE,
		.run = mt_run_commit_confirm},
	{.words = "commit",
		.group = MT_GROUP_CHANGE,
		.args = "",
		.help = "keep the active configuration",
		.role = MT_ROLE_OPERATE,
		.run = mt_run_commit},
	{.words = "show coverage",
		.args = "[TEXT]",
		.help = "services with and without limits, timeouts and circuit breakers",
		.run = mt_show_coverage},
	{0},
};
