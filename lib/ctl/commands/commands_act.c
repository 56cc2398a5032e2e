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
	if (rc < 0)
		return mt_ctl_error("%s", c->reload_words);
	return mt_ctl_when(
		c, r, rc, "reload", json_pack("{s:o}", "reload", mt_json_text(c->reload_words)));
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
	if (rc < 0)
		return mt_ctl_error("%s", words);
	return mt_ctl_when(c, r, rc, "forget", json_pack("{s:o}", "forget", mt_json_text(words)));
}

/* Does not stop the daemon: the operator watches what is left and then stops it. */
static json_t *run_drain(struct mt_ctl *c, const struct mt_request *r)
{
	char who[MT_WHO_LEN];

	if (!c->env.drain)
		return mt_ctl_error("this daemon cannot drain");
	mt_log(MT_LOG_INFO, "boot",
		"draining by `drain` of %s: new connections are refused, calls under way are "
		"answered",
		mt_who_str(r->who, who));
	c->env.drain(c->env.arg);
	return json_pack("{s:s}", "drain",
		"no new connections are accepted; `show connections` lists those that are left");
}

static json_t *run_accept(struct mt_ctl *c, const struct mt_request *r)
{
	char words[256] = "";
	int rc;

	if (!c->env.accept)
		return mt_ctl_error("this daemon keeps no list of what is to be served");
	rc = c->env.accept(c->env.arg, r->who, words, sizeof(words));
	if (rc < 0)
		return mt_ctl_error("%s", words);
	return mt_ctl_when(c, r, rc, "accept", json_pack("{s:o}", "accept", mt_json_text(words)));
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
	return json_pack("{s:s}", "ready",
		off ? "/ready answers 503 until `ready on`; clients are served as before"
		: mt_ctl_answers_ready(c) ? "/ready answers 200"
					  : "/ready answers by the node's state, which is not "
					    "ready: see `show ready`");
}

static void offer_ready(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o)
{
	if (r->n_args)
		return;
	mt_offer(o, "on", "/ready answers by the node's state");
	mt_offer(o, "off", "/ready answers 503");
}

const struct mt_command mt_commands_act[] = {
	{.words = "reload",
		.group = MT_GROUP_CHANGE,
		.args = "",
		.help = "read the documents again",
		.role = MT_ROLE_OPERATE,
		.run = run_reload},
	{.words = "forget",
		.group = MT_GROUP_RESCUE,
		.args = "KIND NAMESPACE/NAME",
		.help = "drop the last good version of a document",
		.more = "If the current version of a document cannot be used, its last good "
			"version stays in force (`show last-good`). After `forget` the current "
			"version counts, and a document that is in no file is gone.",
		.role = MT_ROLE_OPERATE,
		.run = run_forget},
	{.words = "drain",
		.group = MT_GROUP_CHANGE,
		.args = "",
		.help = "accept no new connections, finish outstanding calls",
		.role = MT_ROLE_OPERATE,
		.run = run_drain},
	{.words = "ready",
		.group = MT_GROUP_CHANGE,
		.args = "on|off",
		.help = "off: /ready answers 503, so that load balancers avoid the node; on: ends "
			"that",
		.more = "The node serves all clients as before, new ones too. `off` applies until "
			"`ready on` or the end of the daemon, not after a restart.",
		.role = MT_ROLE_OPERATE,
		.offer = offer_ready,
		.run = run_ready},
	{.words = "accept",
		.group = MT_GROUP_RESCUE,
		.args = "",
		.help = "accept the services served now as complete: the node is ready",
		.more = "The node stops waiting for the hosts and sources that `show ready` lists, "
			"now and at the next start. A source that delivers later is waited for "
			"again from the next start on.",
		.role = MT_ROLE_OPERATE,
		.run = run_accept},
	{0},
};
