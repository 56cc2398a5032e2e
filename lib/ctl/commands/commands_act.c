/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that act on the whole node. */
#include "names.h"

#include <stdio.h>
#include <string.h>

static json_t *run_reload(struct mt_ctl *c, const struct mt_request *r)
{
	int rc;

	if (!c->env.reload)
		return mt_ctl_error("this daemon cannot reload");
	c->reload_words[0] = '\0';
	rc = c->env.reload(c->env.arg, r->who, c->reload_words, sizeof(c->reload_words));
	c->reload_ok = rc == 0;
	c->reloaded_at = c->now;
	return mt_ctl_when(c, r, rc, "reload", c->reload_words);
}

static json_t *run_forget(struct mt_ctl *c, const struct mt_request *r)
{
	const char *slash = strchr(r->args[1], '/');
	char ns[256], words[1024] = "";
	int rc;

	if (!c->env.forget)
		return mt_ctl_error("this daemon holds no documents");
	if (!slash || (size_t)(slash - r->args[1]) >= sizeof(ns))
		return mt_ctl_error("usage: forget KIND NAMESPACE/NAME");
	snprintf(ns, sizeof(ns), "%.*s", (int)(slash - r->args[1]), r->args[1]);
	rc = c->env.forget(c->env.arg, r->who, r->args[0], ns, slash + 1, words, sizeof(words));
	return mt_ctl_when(c, r, rc, "forget", words);
}

static json_t *run_accept(struct mt_ctl *c, const struct mt_request *r)
{
	char words[256] = "";
	int rc;

	if (!c->env.accept)
		return mt_ctl_error("this daemon keeps no list of what is to be served");
	rc = c->env.accept(c->env.arg, r->who, words, sizeof(words));
	return mt_ctl_when(c, r, rc, "accept", words);
}

static json_t *run_ready(struct mt_ctl *c, const struct mt_request *r)
{
	bool off = strcmp(r->args[0], "off") == 0;
	char who[MT_WHO_LEN];

	if (!off && strcmp(r->args[0], "on") != 0)
		return mt_ctl_error("usage: ready on|off");
	c->ready_off = off;
	mt_log(MT_LOG_INFO, "admin", "ready %s by %s: /ready answers %s", r->args[0],
		mt_who_str(r->who, who),
		off ? "503; clients are served as before" : "by the node's state");
	return mt_json_object(MT_M("ready",
		off ? "/ready answers 503 until `ready on`; clients are served as before"
		: mt_ctl_answers_ready(c) ? "/ready answers 200"
					  : "/ready answers by the node's state, which is not "
					    "ready: see `show ready`"));
}

static void offer_ready(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o)
{
	if (r->n_args)
		return;
	mt_offer(o, "on", "/ready answers by the node's state");
	mt_offer(o, "off", "/ready answers 503");
}

static void offer_undo(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o)
{
	if (!r->n_args)
		mt_offer(o, "undo", "count from the start again");
}

const struct mt_command mt_commands_act[] = {
	{.words = "reload",
		.group = MT_GROUP_CHANGE,
		.help = "read the documents again",
		.run = run_reload},
	{.words = "forget",
		.group = MT_GROUP_RESCUE,
		.args = "KIND NAMESPACE/NAME",
		.help = "drop the last good version of a document",
		.more = "If the current version of a document cannot be used, its last good "
			"version stays in force (`show last-good`). After `forget` the current "
			"version counts, and a document that is in no file is gone.",
		.run = run_forget},
	{.words = "ready",
		.group = MT_GROUP_CHANGE,
		.args = "on|off",
		.help = "off: /ready answers 503, so that load balancers avoid the node; on: ends "
			"that",
		.more = "The node serves all clients as before, new ones too. `off` applies until "
			"`ready on` or the end of the daemon, not after a restart.",
		.offer = offer_ready,
		.run = run_ready},
	{.words = "clear counters",
		.group = MT_GROUP_CHANGE,
		.args = "[undo]",
		.help = "`show counters` and `show errors` count from now on; undo: from the start "
			"again",
		.more = "Only these two, for all shells, until `undo` or a restart: both then show "
			"since when they count. Metrics, the other tables and the last minute of "
			"`show errors` are not affected.",
		.offer = offer_undo,
		.run = mt_run_clear},
	{.words = "accept",
		.group = MT_GROUP_RESCUE,
		.help = "accept the services served now as complete: the node is ready",
		.more = "The node stops waiting for the hosts and sources that `show ready` lists, "
			"now and at the next start. A source that delivers later is waited for "
			"again from the next start on.",
		.run = run_accept},
	{0},
};
