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
	"It holds over reloads until it is dropped or the daemon ends; `tune keep` makes it hold " \
	"over "                                                                                    \
	"restarts. With version=N it is refused when anybody else changed an override since."

const struct mt_command mt_commands_tune[] = {
	{.words = "explain",
		.args = "KEY=VALUE...",
		.help = "what a message would meet, without sending one",
		.more = "protocol=NAME service=NAME method=NAME src=ADDRESS principal=PRINCIPAL "
			"sni=NAME "
			"listener=ADDRESS:PORT, "
			"and KEY=VALUE "
			"for any other metadata of the message (.KEY=VALUE where KEY is one of "
			"these words). Either "
			"protocol or listener has to be said. The answer names the listener, what "
			"each filter would "
			"do (no token is taken), the route and why earlier ones do not match, and "
			"how often each "
			"endpoint would come up, with the line of the document that decides each.",
		.offer = mt_offer_said,
		.run = mt_run_explain},
	{.words = "tune drain",
		.args = "ADDRESS:PORT [CLUSTER] [version=N]",
		.help = "an endpoint gets no new calls; `tune drop` brings it back",
		.more = "Refused for the only endpoint of a cluster that is not drained: calls are "
			"never left without any, so it would go on to get them. In a cluster of "
			"several that it is in it may be the only one: the note says so. " HOLDS,
		.role = MT_ROLE_OPERATE,
		.names = {MT_NAMES_ENDPOINT, MT_NAMES_CLUSTER},
		.run = tune_drain},
	{.words = "tune weight",
		.args = "ADDRESS:PORT WEIGHT [CLUSTER] [version=N]",
		.help = "an endpoint's weight among its cluster's",
		.more = HOLDS,
		.role = MT_ROLE_OPERATE,
		.names = {MT_NAMES_ENDPOINT, MT_NAMES_NONE, MT_NAMES_CLUSTER},
		.run = tune_weight},
	{.words = "tune split",
		.args = "SERVICE ROUTE SUBSET=WEIGHT...",
		.help = "how a route's calls are shared by its destinations",
		.more = "Name each destination by its subset or its cluster; one that is not named "
			"gets nothing, and a name that is no destination of the route is "
			"refused. " HOLDS,
		.role = MT_ROLE_OPERATE,
		.names = {MT_NAMES_SERVICE, MT_NAMES_ROUTE},
		.run = tune_split},
	{.words = "tune limit",
		.args = "SERVICE:PORT SETTING...",
		.help = "numbers of a rate limit, or that it only reports",
		.more = "[CONDITION] as `show limits` has it (none: the service's own bucket), "
			"then max=N, per-fill=N, "
			"fill=10s, report-only=on|off. A limit that only reports refuses nothing "
			"and counts what it "
			"would have refused (`show limits`: would_refuse). " HOLDS,
		.role = MT_ROLE_OPERATE,
		.names = {MT_NAMES_LIMIT},
		.run = tune_limit},
	{.words = "tune fault",
		.args = "SERVICE SETTING...",
		.help = "answers a share of a service's calls by an error, or holds it back",
		.more = "delay=100ms delay-percent=5 abort-percent=5, to see how callers "
			"cope. " HOLDS,
		.role = MT_ROLE_OPERATE,
		.names = {MT_NAMES_SERVICE},
		.run = tune_fault},
	{.words = "tune worker",
		.args = "SETTING [version=N]",
		.help = "idle=poll|adaptive, burst=N (packets), coalesce=N (bytes), sampling=T|off",
		.more = "sampling: at most one call in that time (1ms) becomes an exemplar of the "
			"latency histograms. " HOLDS,
		.role = MT_ROLE_OPERATE,
		.run = tune_worker},
	{.words = "tune keep",
		.args = "ID|all [version=N]",
		.help = "an override holds over restarts, too",
		.role = MT_ROLE_OPERATE,
		.run = mt_run_tune_keep},
	{.words = "show overrides",
		.args = "[TEXT]",
		.help = "what was turned at run time, by whom, and whether it is in effect",
		.run = mt_show_overrides},
	{.words = "tune drop",
		.args = "ID|all [version=N]",
		.help = "an override ends: documents count again",
		.role = MT_ROLE_OPERATE,
		.run = mt_run_tune_drop},
	{.words = "show history",
		.args = "[TEXT]",
		.help = "configurations that were in force: when, who, from where, what changed",
		.run = mt_show_history},
	{.words = "diff",
		.args = "VERSION VERSION",
		.help = "what differs between two configurations, line by line",
		.more = "Documents are shown as they are, with what is secret in them, to those "
			"who may read them: operators.",
		.role = MT_ROLE_OPERATE,
		.names = {MT_NAMES_VERSION, MT_NAMES_VERSION},
		.run = mt_run_diff},
	{.words = "rollback",
		.args = "VERSION",
		.help = "documents and overrides of that version come back, until the next reload",
		.more = "Files on disk are not touched: the next reload takes what they say, and "
			"`show config` says so "
			"until then. What discovery servers say goes on.",
		.role = MT_ROLE_OPERATE,
		.names = {MT_NAMES_VERSION},
		.run = mt_run_rollback},
	{.words = "commit confirm",
		.args = "TIME",
		.help = "what changes from now on is undone after TIME unless `commit` is said",
		.role = MT_ROLE_OPERATE,
		.run = mt_run_commit_confirm},
	{.words = "commit",
		.args = "",
		.help = "what is in force stays",
		.role = MT_ROLE_OPERATE,
		.run = mt_run_commit},
	{.words = "show coverage",
		.args = "[TEXT]",
		.help = "which services have limits, time-outs, breakers, and which have none",
		.run = mt_show_coverage},
	{0},
};
