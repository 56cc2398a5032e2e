/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that act on the whole node. */
#include "mt_ctl_priv.h"

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
	return json_pack("{s:o}", "reload", mt_json_text(c->reload_words));
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

const struct mt_command mt_commands_act[] = {
	{.words = "reload",
		.args = "",
		.help = "read the documents again",
		.role = MT_ROLE_OPERATE,
		.run = run_reload},
	{.words = "drain",
		.args = "",
		.help = "take no new connections, finish what is owed",
		.role = MT_ROLE_OPERATE,
		.run = run_drain},
	{0},
};
