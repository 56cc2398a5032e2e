/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deferred answers. A command's change is still being written to disk, and this thread does not
 * wait for that. Commands of the view role are answered meanwhile; those of the operator role wait,
 * so that at most one answer is outstanding.
 */
#include "mt_ctl_priv.h"

json_t *mt_ctl_when(
	struct mt_ctl *c, const struct mt_request *r, int rc, const char *key, const char *words)
{
	json_t *j = rc < 0 ? mt_ctl_error("%s", words) : mt_json_object(MT_M(key, words));

	if (rc != MT_CTL_LATER || !j || c->later.answer)
		return j;
	c->later = (struct mt_ctl_later){.answer = json_incref(j), .key = key, .json = r->json};
	return j;
}

bool mt_ctl_must_wait(const struct mt_ctl *c, const char *line, size_t len)
{
	const struct mt_command *cmd;
	struct mt_request r;
	struct mt_err e;
	uint32_t used;

	if (!c->later.answer || mt_request_parse(&r, line, len, &e) < 0 || r.help)
		return false;
	cmd = mt_command_find(&r, &used, &e);
	return cmd && mt_command_role(cmd) == MT_ROLE_OPERATE;
}

void mt_ctl_answer(struct mt_ctl *c, int rc, const char *words, uint64_t now)
{
	struct mt_text_buf body = {0};
	struct mt_ctl_later l;
	json_t *j;

	if (!c || !c->later.answer)
		return;
	l = c->later;
	c->later = (struct mt_ctl_later){0};
	c->now = now;
	if (strcmp(l.key, "reload") == 0)
		mt_ctl_reloaded(c, rc == 0, words, now);
	j = rc < 0 ? mt_ctl_error("%s", words) : json_incref(l.answer);
	if (rc >= 0) {
		json_object_set_new(j, l.key, mt_json_text(words));
		if (json_object_get(j, "version") && c->env.conf)
			mt_json_set(j, MT_M("version", mt_conf_overrides(c->env.conf)->version));
	}
	json_decref(l.answer);
	mt_ctl_put_answer(j, l.json, &body);
	mt_ctl_client_answer(c, rc < 0 ? MT_CTL_FAILED : MT_CTL_OK, &body);
	mt_text_fini(&body);
}
