/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that act on the whole node. */
#include "mt_ctl_priv.h"

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

/* Nothing ends by this: the operator looks at what is left, and stops the daemon himself. */
static json_t *run_drain(struct mt_ctl *c, const struct mt_request *r)
{
	if (!c->env.drain)
		return mt_ctl_error("this daemon cannot drain");
	c->env.drain(c->env.arg);
	return json_pack("{s:s}", "drain",
		"no new connections are taken; `show connections` tells what is left");
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

const struct mt_command mt_commands_act[] = {
	{.words = "reload",
		.args = "",
		.help = "read the documents again",
		.role = MT_ROLE_OPERATE,
		.run = run_reload},
	{.words = "forget",
		.args = "KIND NAMESPACE/NAME",
		.help = "hold no last good version of a document any more",
		.more = "A document that cannot be used goes on as it was last (`show held`). "
			"Behind this "
			"it does not: what is written now counts, and what is not there is gone.",
		.role = MT_ROLE_OPERATE,
		.run = run_forget},
	{.words = "drain",
		.args = "",
		.help = "take no new connections, finish what is owed",
		.role = MT_ROLE_OPERATE,
		.run = run_drain},
	{.words = "accept",
		.args = "",
		.help = "what is served now is what is to be served: the node is ready",
		.more = "Also remembered for the next start, hosts and sources that are waited for "
			"(`show ready`) are waited for no more. A source that delivers later is "
			"waited for again from the next start on.",
		.role = MT_ROLE_OPERATE,
		.run = run_accept},
	{0},
};
